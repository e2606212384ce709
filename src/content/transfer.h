/*
 * Where content comes from, as the assembler sees it: one way to one distribution point, behind
 * two calls, so that content knows nothing of networks. Also the pace of a limited transfer.
 *
 * Objects are named relative to the package's folder on the distribution point:
 * "packs/<hash>.pack", "index/<version>-<hash>".
 *
 * PURE.
 */
#ifndef CONTENT_TRANSFER_H
#define CONTENT_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/recvroom.h"
#include "common/span.h"

enum transfer_result {
	TRANSFER_OK,      /* everything asked for was delivered */
	TRANSFER_FAILED,  /* the source failed; it knows the class, `err` has the words */
	TRANSFER_STOPPED, /* the sink wanted no more */
};

struct transfer_range {
	uint64_t offset; /* in the object */
	uint64_t size;   /* at least 1 */
};

/*
 * Take `bytes`, which begin at `offset` of the object. Pieces may be of any size; small ones
 * (64 KiB) keep a rate limit even. Blocks while the receiver is busy or the rate is used up.
 * False: stop, deliver nothing more.
 */
typedef bool (*transfer_sink_fn)(void *ctx, uint64_t offset, struct span bytes);

struct transfer_source {
	/*
	 * Read a whole object of at most `cap` bytes into `out`. A larger one is a failure with
	 * ERR_LIMIT, found without reading past the cap.
	 */
	enum transfer_result (*read_object)(void *ctx, const char *name, uint64_t cap,
					    struct buf *out, struct err *err);

	/*
	 * Stream the ranges, which ascend and do not overlap, to the sink: range after range, each
	 * from its beginning. Ranges may be asked for in any number of requests and read ahead.
	 *
	 * A server without ranges is no failure: the source streams the object from offset 0 as it
	 * comes. The sink drops what was not asked for and stops the source behind the last byte
	 * that was, so no end of the object is needed.
	 *
	 * An object that ends early is TRANSFER_FAILED where the source notices, else the receiver
	 * does.
	 */
	enum transfer_result (*read_ranges)(void *ctx, const char *name,
					    const struct transfer_range *ranges, size_t count,
					    transfer_sink_fn sink, void *sink_ctx, struct err *err);

	/*
	 * Let what read_ranges reads be put into the receiver's own memory, until another is lent
	 * or NULL. The sink gets it there, in pieces as before. NULL: the source cannot.
	 */
	void (*lend)(void *ctx, const struct recvroom *room);

	/*
	 * How many bytes have come by this source until now, those included that it delivered to
	 * nobody: error pages, what a wrong answer began with. NULL: what was delivered is all.
	 */
	uint64_t (*bytes_in)(void *ctx);
	void *ctx;
};

/*
 * The pace of a transfer with a limit: { .rate_bps = limit } to begin with. Bytes per second;
 * 0 is no limit. After a pause at most TRANSFER_BURST_MS worth of bytes come at once.
 */
#define TRANSFER_BURST_MS 100

struct transfer_pace {
	uint64_t rate_bps;
	uint64_t due_us; /* when the next byte may come */
};

/* Account for `bytes` that came at `now_ms`; returns for how many ms to take no more. */
uint64_t transfer_pace_wait_ms(struct transfer_pace *pace, uint64_t bytes, uint64_t now_ms);

#endif

/*
 * Reading ranges of one object over several connections to a server that is far away: where a round
 * trip takes long, or packets are lost, one connection leaves most of the line idle.
 *
 * Parts are asked for ahead of what is delivered, up to HTTPSPREAD_PARTS of them, and come to the
 * sink in order. Only silence is judged here, since waiting for it twice would take twice as long:
 * where an answer is not what was asked for, the rest is left to a plain read, which asks again and
 * gives the fault its class.
 */
#ifndef NAL_HTTPSPREAD_H
#define NAL_HTTPSPREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "nal/httpsession.h"

#define HTTPSPREAD_CONNECTIONS 6  /* at a time, as browsers have */
#define HTTPSPREAD_PARTS       12 /* asked for or waiting for their turn */
#define HTTPSPREAD_PART_BYTES  (512u << 10)

/* What to read, and how far it came; the caller goes on from there. */
struct httpspread {
	struct way *way;
	const char *url;
	const struct way_range *ranges;
	size_t count;
	way_sink_fn *sink;
	void *ctx;
	size_t at;     /* the range that is wanted next */
	uint64_t done; /* bytes of it that were delivered */
	bool stopped;  /* by the sink */
};

/* True if several connections are worth it: the server is far, there is more than one part, and no
 * limited rate forbids to receive so many ahead. */
bool httpspread_is_due(const struct way *way, const struct way_range *ranges, size_t count);

/*
 * Read as far as all goes well, within the way's limits for each part. NAL_CLASS_OK also where
 * something is left for a plain read; NAL_CLASS_TIMEOUT, NAL_CLASS_SLOW: the server lets us wait.
 */
enum nal_class httpspread_read(struct httpspread *s, struct err *err) MUST_USE;

#endif

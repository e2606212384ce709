/*
 * Records that the site does not have for certain yet. A record that was appended is on disk, keeps
 * its number, and stays until a receipt of the site covers it. Format: docs/formats/outbox.md.
 *
 * Records have contiguous sequence numbers from 1 within a stream. They lie in segments of at most
 * OUTBOX_GROUP_MAX records; a segment that is sealed never changes again, so that a number never
 * stands for two records, whatever is killed when. An inventory waits apart without a number until
 * a segment is sealed: a newer one replaces it, and it is what goes first when room is short.
 *
 * Several processes may use one outbox: outbox_open takes its lock, so keep it open for moments.
 * No cryptography: sealing is a callback.
 */
#ifndef AGENT_OUTBOX_H
#define AGENT_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/stream.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

#define OUTBOX_GROUP_MAX   STREAM_SEGMENT_RECORDS_MAX
#define OUTBOX_SEGMENT_MAX STREAM_SEGMENT_BYTES_MAX
#define OUTBOX_RECORD_MAX  ((size_t)999 << 10)  /* bytes of one record */
#define OUTBOX_BYTES_MAX   ((uint64_t)64 << 20) /* together; envelopes may go beyond … */
#define OUTBOX_SEALED_PART 4 /* … but are no more at a time than a fourth of it, or one */
#define OUTBOX_RESERVE     ((uint64_t)4 << 20) /* of it for the ends of what already runs */
#define OUTBOX_KEY_MAX     127
#define OUTBOX_UID_BYTES   16
#define OUTBOX_SEALED_MAX  64 /* sealed segments without a receipt */

struct outbox;

/*
 * Open the outbox in `dir` (made if absent), waiting up to `wait_ms` for another process to close
 * it. A record torn by a kill is removed: its append had not returned. `stream` (32 hex digits) is
 * the stream to begin with; an outbox that has one already keeps its own. The limit is for tests;
 * 0 stands for OUTBOX_BYTES_MAX.
 */
bool outbox_open(struct outbox **out, const char *dir, const char *stream, uint64_t bytes_max,
		 uint32_t wait_ms, struct err *err) MUST_USE;
void outbox_close(struct outbox *ob);

static inline void outbox_scoped(struct outbox **ob)
{
	outbox_close(*ob);
}

/* The stream's id, 32 hex digits; borrowed until outbox_new_stream or the end. */
const char *outbox_stream(const struct outbox *ob);

enum outbox_result {
	OUTBOX_KEPT,  /* on disk */
	OUTBOX_KNOWN, /* a record with this key is there already; nothing was added */
	OUTBOX_FULL,  /* no room (the inventory has gone already); nothing was added */
	OUTBOX_FAULT, /* see err; nothing was added */
};

/*
 * Append a record (borrowed). It gets a random id, "uid", unless it has one. `key`, at most
 * OUTBOX_KEY_MAX characters, makes a repeated append harmless; NULL for none. Returns after the
 * record is on disk. ERR_LIMIT: it is longer than OUTBOX_RECORD_MAX. outbox_append_end is for what
 * a run tells, which may use the reserve.
 */
enum outbox_result outbox_append(struct outbox *ob, const json_t *record, const char *key,
				 struct err *err) MUST_USE;
enum outbox_result outbox_append_end(struct outbox *ob, const json_t *record, const char *key,
				     struct err *err) MUST_USE;

/* Replace the waiting inventory record. OUTBOX_FULL: dropped, the older one too. ERR_LIMIT: it is
 * longer than OUTBOX_RECORD_MAX. */
enum outbox_result outbox_put_inventory(struct outbox *ob, const json_t *record, struct err *err)
	MUST_USE;

/* True if an inventory had to go for want of room and none was put since: put the newest again. */
bool outbox_lacks_inventory(const struct outbox *ob);

/* True if new programs have to wait: room is left only for what runs already. */
bool outbox_is_full(const struct outbox *ob);

/* The first number that no envelope has ever carried. */
uint64_t outbox_first_unsealed(const struct outbox *ob);

/* Bytes on disk, and records that no receipt covers. */
uint64_t outbox_bytes(const struct outbox *ob);
uint64_t outbox_waiting(const struct outbox *ob);

/*
 * Seal `records` (an array, borrowed), whose first has the number `first`. The callback makes a
 * file in the file system of the outbox and gives its path, the envelope's name, and what `chain`
 * (of the records before; empty for none, NULL: not known) has become; the outbox frees them. The
 * file is moved away from there.
 */
struct outbox_sealed {
	char *name;
	char *file;
	char *chain; /* NULL where `chain` was */
};
typedef bool outbox_seal_fn(struct outbox_sealed *out, const char *stream, uint64_t first,
			    const char *chain, const json_t *records, void *ctx, struct err *err);

/*
 * Seal what waits, up to OUTBOX_SEALED_MAX segments without a receipt, or a fourth of the outbox's
 * bytes: what follows has its turn once the site has these. On a fault what was sealed
 * before it stays so. Calls back with the outbox locked.
 */
bool outbox_seal(struct outbox *ob, outbox_seal_fn *seal, void *ctx, struct err *err) MUST_USE;

struct outbox_envelope {
	char *name; /* the object's name in an inbox */
	char *file; /* path of its bytes */
	uint64_t first;
	uint32_t count;
	int64_t sent_s; /* when a CAP took it; 0: never */
};

struct outbox_envelopes {
	struct outbox_envelope *items;
	size_t count;
};

void outbox_envelopes_release(struct outbox_envelopes *e);
SCOPED_RELEASE(outbox_envelopes);

/*
 * The sealed envelopes that are due, oldest first: never sent, or sent at least `again_s` seconds
 * before `now_s` without a receipt since (a CAP may lose its disk). A clock that went back makes
 * them due. `out` needs no initial value.
 */
void outbox_due(struct outbox_envelopes *out, const struct outbox *ob, int64_t now_s,
		int64_t again_s);

enum outbox_fate {
	OUTBOX_SENT,    /* a CAP has it */
	OUTBOX_SPOILED, /* other bytes stand there under its name: it is sealed again, for another
			 */
};

/* What became of this envelope. Unknown names are fine (a receipt was faster). */
bool outbox_mark(struct outbox *ob, const char *name, enum outbox_fate fate, int64_t now_s,
		 struct err *err) MUST_USE;

enum outbox_receipt {
	OUTBOX_COVERED, /* applied; what it covers is forgotten */
	OUTBOX_AHEAD,   /* it covers records that are not from here: start a new stream */
	OUTBOX_RECEIPT_FAULT,
};

/*
 * Apply a verified receipt for this stream: everything up to `high` is stored or refused, and
 * `chain` is that of the records which the site has under these numbers (NULL: it does not say, and
 * nothing is forgotten). Only if that is the chain of what was sealed here are the segments up to
 * there forgotten; otherwise some of these records are a clone's. Receipts may come twice and out
 * of order.
 */
enum outbox_receipt outbox_apply_receipt(struct outbox *ob, uint64_t high, const char *chain,
					 struct err *err) MUST_USE;

/*
 * After a fork (a clone, or a machine put back): move every record without a receipt to a new
 * stream with new numbers, keeping their order. After a fault the outbox is to be closed.
 */
bool outbox_new_stream(struct outbox *ob, const char *stream, struct err *err) MUST_USE;

/*
 * The newest records, at most `max`, oldest first, covered or not, each with "stream" and
 * "sequence"; the caller owns the array.
 */
bool outbox_recent(json_t **out, const struct outbox *ob, size_t max, struct err *err) MUST_USE;

#endif

/*
 * The end of a handover (handover.h) that gives: in a worker whose account keeps nothing.
 *
 *     giver_open → giver_port for the landing → giver_stock → … → giver_finish → giver_close
 */
#ifndef CONTENT_GIVER_H
#define CONTENT_GIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"
#include "content/landing.h"

struct giver;

enum giver_begun {
	GIVER_BEGUN,
	GIVER_HERE,  /* it is complete already: there is nothing to give, and no handle */
	GIVER_FAULT, /* see err: the keeper's own words */
};

/*
 * Say by `request` what is to be given, and wait until it may be, however long the keeper waits for
 * a lock. Takes over `socket`, whatever comes of it.
 */
enum giver_begun giver_open(struct giver **out, int socket, const json_t *request, struct err *err)
	MUST_USE;

/* Leaves what has landed to another time. NULL is fine. */
void giver_close(struct giver *g);

/* Valid until the close. */
const struct landing_port *giver_port(const struct giver *g);

/* Told now and then of the bytes found so far; false stops. */
typedef bool giver_progress_fn(uint64_t bytes, void *ctx);

/*
 * Wait until the keeper has looked what it has: `have` gets one byte for each of `count` chunks.
 * ERR_INTERRUPTED: stopped, or the keeper has ended.
 */
bool giver_stock(uint8_t *have, uint32_t count, struct giver *g, giver_progress_fn *progress,
		 void *ctx, struct err *err) MUST_USE;

/* All was given: have it finished. Does not wait for that; asking twice is asking once. */
bool giver_ask_finish(struct giver *g, struct err *err) MUST_USE;

/* The same, and wait until it stands under its final name. */
bool giver_finish(struct giver *g, struct err *err) MUST_USE;

#endif

/*
 * Where the chain of a stream's records stands behind what was forgotten: the file `covered` of an
 * outbox (docs/formats/outbox.md). The chain itself is made by whoever seals (trust/envelope.h);
 * here it is a text.
 *
 * One process at a time: the outbox has the lock.
 */
#ifndef AGENT_COVERED_H
#define AGENT_COVERED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"

/*
 * The chain of `stream` up to record `number`: empty for 0, NULL if it is not known (the file is
 * lost, or of another stream or number). The caller frees it.
 */
char *covered_chain(const char *dir, const char *stream, uint64_t number) MUST_USE;

/* Replace what `dir` says, in one step, flushed. */
bool covered_write(const char *dir, const char *stream, uint64_t number, const char *chain,
		   struct err *err) MUST_USE;

#endif

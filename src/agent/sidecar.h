/*
 * What is known of a segment's envelope: its name in an inbox, and when a CAP took it. Stands
 * beside the segment as FIRST.json (docs/formats/outbox.md).
 */
#ifndef AGENT_SIDECAR_H
#define AGENT_SIDECAR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/stream.h"
#include "common/error.h"
#include "common/macros.h"

struct sidecar {
	char *name;     /* NULL: the segment is not sealed */
	char *chain;    /* of the stream up to the segment's last record; NULL: not known */
	int64_t sent_s; /* seconds since 1970; 0: never */
	bool spoiled;   /* other bytes stand under that name: seal again, for another one */
};

static inline void sidecar_release(struct sidecar *s)
{
	free(s->name);
	free(s->chain);
}
SCOPED_RELEASE(sidecar);

/* That of the segment that begins with `first`. A damaged one counts as none: the segment is sealed
 * again. */
void sidecar_read(struct sidecar *out, const struct stream *s, uint64_t first);

/* Replace it in one step, and flush the folder. */
bool sidecar_write(const struct stream *s, uint64_t first, const struct sidecar *sidecar,
		   struct err *err) MUST_USE;

#endif

/*
 * The parts of a patch file, decoded: a thread works ahead of their reader, as far as there is room
 * for. Where it is busy with one part the reader decodes another by itself, so that neither waits
 * for long and a machine that gives no thread still works.
 *
 *     patchparts_new → (patchparts_begin → patchparts_next* → patchparts_end)* → patchparts_free
 *
 * All calls by one thread. What a part decodes to is the same however the work was shared.
 */
#ifndef CONTENT_PATCHPARTS_H
#define CONTENT_PATCHPARTS_H

#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/patchform.h"

struct patchparts;

/* Never NULL. Beside the windows (patchform.h) some 3 MiB. */
struct patchparts *patchparts_new(void) MUST_USE;
void patchparts_free(struct patchparts *p);
SCOPED_FREE(patchparts);

/* Begin a segment: a block of each part, borrowed until its end or the parts' release. */
void patchparts_begin(struct patchparts *p, const struct span *blocks);

/*
 * The next bytes of a part, at least one, valid until the next call for that part or the end of the
 * segment. ERR_FORMAT: its block has no more, or is damaged.
 */
bool patchparts_next(struct span *out, struct patchparts *p, enum patchform_part which,
		     struct err *err) MUST_USE;

/*
 * End the segment, of which every byte that was given is used. ERR_FORMAT: a block holds more, or
 * is damaged; no other segment can follow then.
 */
bool patchparts_end(struct patchparts *p, struct err *err) MUST_USE;

#endif

/*
 * How a worker that keeps nothing gets to give (content/handover.h) what it downloads of a version.
 */
#ifndef AGENT_SUPPLIER_H
#define AGENT_SUPPLIER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/packageview.h"
#include "agent/worker.h"
#include "common/error.h"
#include "common/macros.h"
#include "content/giver.h"

/*
 * Have a keeper started and begin. `mends`: what stands there is looked at again. Blocks, up to
 * `lock_wait_ms` for who builds the same version. The caller closes *out.
 */
enum giver_begun supplier_begin(struct giver **out, struct worker *w,
				const struct packageview *view, bool mends, uint32_t lock_wait_ms,
				struct err *err) MUST_USE;

#endif

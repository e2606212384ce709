/*
 * Publishing: the database's present policy, signed, on every CAP.
 *
 * The folder SITE/published always holds a whole publication. CAPs get its files in an order that
 * no reader can be misled by: what nothing refers to yet first, timestamp.json last.
 */
#ifndef SITE_PUBLISH_H
#define SITE_PUBLISH_H

#include "site/policydoc.h"
#include "site/site.h"

#define PUBLISH_AT_ONCE 8 /* CAPs */

/*
 * Publish once; takes the lock `publish`. Each CAP is served by a process of its own, so that one
 * that is dead or slow delays no other; returns when all have ended. Nothing to do is fine. `out`
 * (owned by the caller) is {"outcome","timestamp","waiting":["packages"],"caps":[{"cap","state",
 * "files","reason"}]}: the roles in "waiting" changed, and their keys are elsewhere. `failed_out`
 * counts the CAPs that could not be brought up to date.
 *
 * ERR_REFUSED for a site where no CAP takes uploads: clients could never report.
 */
bool publish_run(json_t **out, size_t *failed_out, struct site *site,
		 const struct policydoc_settings *settings, struct err *err) MUST_USE;

/*
 * What `keys request` writes: the roles that are changed or grow old and whose keys are elsewhere,
 * as docs/formats/request.md says. Takes the lock; publishes nothing. The caller owns it.
 */
bool publish_request(json_t **out, struct site *site, const struct policydoc_settings *settings,
		     struct err *err) MUST_USE;

/* Who publishes again and again. Its processes may outlive a pass. */
struct publish;

/* `site` is borrowed. The caller closes it, which ends the processes. */
struct publish *publish_open(struct site *site) MUST_USE;
void publish_close(struct publish *p);
static inline void publish_scoped(struct publish **p)
{
	publish_close(*p);
}

/*
 * As publish_run, but a CAP that has not got everything after `patience_s` seconds is left to its
 * process, which goes on with this publication. It counts as failed, as it does in later passes
 * until that process has ended.
 */
bool publish_pass(json_t **out, size_t *failed_out, struct publish *p,
		  const struct policydoc_settings *settings, int64_t patience_s, struct err *err)
	MUST_USE;

#endif

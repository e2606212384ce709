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

/*
 * Publish once; takes the lock `publish`. Nothing to do is fine. `out` (owned by the caller) is
 * {"outcome","timestamp","caps":[{"cap","state","files","reason"}]}; `failed_out` counts the CAPs
 * that could not be brought up to date.
 *
 * ERR_REFUSED for a site where no CAP takes uploads: clients could never report.
 */
bool publish_run(json_t **out, size_t *failed_out, struct site *site,
		 const struct policydoc_settings *settings, struct err *err) MUST_USE;

#endif

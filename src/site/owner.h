/*
 * Whose a site is. A site of a service account, packway-site for one, stays that account's, whoever
 * runs the commands: root takes the account on for each of them, since a single file of root's in
 * the folder (a journal of SQLite's) would stop the service.
 *
 * What such a command reads and writes outside, it does with the account's rights too: sources,
 * bundles, CAPs and DPs that are folders. Nothing happens here without root, or where root owns the
 * site.
 */
#ifndef SITE_OWNER_H
#define SITE_OWNER_H

#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"

/*
 * Take on the account that `dir` belongs to, for good; nothing if it does not exist. One thread
 * only. A failure leaves the process half changed: it must end.
 */
bool owner_become(const char *dir, struct err *err) MUST_USE;

/*
 * Give the new tree `tree` to whom the folder `heir` belongs to, with that folder's mode, before it
 * takes its place; nothing if there is none.
 */
bool owner_give(const char *tree, const char *heir, struct err *err) MUST_USE;

#endif

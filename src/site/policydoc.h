/*
 * From the database to the policy documents that clients read (docs/ARCHITECTURE.md 4).
 */
#ifndef SITE_POLICYDOC_H
#define SITE_POLICYDOC_H

#include "site/site.h"
#include "trust/repository.h"

struct policydoc_settings {
	int64_t poll_s;
	int64_t linger_s;
};

/*
 * Let the repository's next commit hold exactly the documents and manifests of the present
 * database. Works inside the caller's transaction: advertisements whose version has changed count
 * up.
 */
bool policydoc_stage(struct site *site, struct repository *repo,
		     const struct policydoc_settings *settings, struct err *err) MUST_USE;

#endif

/*
 * From the database to the policy documents that clients read (docs/ARCHITECTURE.md 4).
 */
#ifndef SITE_POLICYDOC_H
#define SITE_POLICYDOC_H

#include "policy/docs.h"
#include "policy/systems.h"
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

/*
 * The same documents for whoever asks the choice here in a client's place: servers and groups as
 * clients will read them after the next publish. `out` is empty before and released by the caller.
 */
bool policydoc_systems(struct systems *out, struct site *site, struct err *err) MUST_USE;

/* Where a package is; ERR_NOT_FOUND if there is no such package. The caller releases `out`. */
bool policydoc_location(struct docs_location *out, struct site *site, const char *id,
			struct err *err) MUST_USE;

#endif

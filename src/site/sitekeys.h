/*
 * The site's secret keys beside those of the TUF roles: the pair that clients seal uploads to, and
 * the key that signs receipts. All keys of a site are made here, by `init`.
 */
#ifndef SITE_SITEKEYS_H
#define SITE_SITEKEYS_H

#include <jansson.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "site/site.h"
#include "trust/repository.h"
#include "trust/sealer.h"
#include "trust/signer.h"

/*
 * Make every key of the site in the folder `dir`, its first metadata, and the root that enrolling
 * clients are given (DIR/root.json). Used by site_init on a folder that nobody else sees.
 */
bool sitekeys_make(const char *dir, int64_t now_s, struct err *err) MUST_USE;

/* The two pairs; the caller frees them. */
bool sitekeys_load_sealer(struct sealer **out, const struct site *site, struct err *err) MUST_USE;
bool sitekeys_load_receipt(struct signer **out, const struct site *site, struct err *err) MUST_USE;

/* Open the metadata repository; the caller closes it and holds the publish lock if it changes it.
 */
bool sitekeys_open_repository(struct repository **out, const struct site *site, struct err *err)
	MUST_USE;

/*
 * What `keys` shows: per role its version, expiry, keys, threshold and how many secret keys are on
 * this machine. The caller owns it.
 */
bool sitekeys_list(json_t **out, const struct site *site, struct err *err) MUST_USE;

/*
 * True if a thief of this server could write code: the keys of `packages` or `root` that are needed
 * are all here.
 */
bool sitekeys_can_sign_code(const json_t *list);

#endif

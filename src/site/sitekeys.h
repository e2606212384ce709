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
 * What `keys` shows: per role its version, expiry, days left, keys, threshold, how many secret keys
 * are on this machine, whether that is enough to sign (`where`: "here" or "elsewhere"), and since
 * when changes to it wait for a signature (`waiting_since`, null). The caller owns it.
 */
bool sitekeys_list(json_t **out, struct site *site, struct err *err) MUST_USE;

/*
 * Say in one sentence that the role of a row waits, what it takes, and how long clients can do with
 * what they have. NULL if it does not. The caller frees it.
 */
char *sitekeys_new_waiting(const json_t *row) MUST_USE;

/* Keep since when the roles named in `waiting` (sitekeys_waiting) wait, and that others do not. */
bool sitekeys_note_waiting(struct site *site, const json_t *waiting, struct err *err) MUST_USE;

/*
 * True if a thief of this server could write code: the keys of `packages`, `targets` or `root` that
 * are needed are all here.
 */
bool sitekeys_can_sign_code(const json_t *list);

/*
 * Say in one sentence which role of such a list ends soon and has nobody here to renew it, or ends
 * sooner than its renewal leaves it. NULL: none. The caller frees it.
 */
char *sitekeys_new_warning(const json_t *list) MUST_USE;

/* The names of the roles that wait for a signature after a commit; the caller owns it. */
json_t *sitekeys_waiting(const struct repository *repo) MUST_USE;

/* The document around the roles of a request, which it takes over; the caller owns it. */
json_t *sitekeys_new_request(const struct site *site, json_t *roles) MUST_USE;

/*
 * Give the role new keys in the place of those that are here, or another threshold, and publish
 * that at once into SITE/published. Takes the lock `publish`. `out` (owned by the caller) is
 * {"role","version","waiting":[…]}: root in "waiting" means that a request has to be signed first.
 */
bool sitekeys_rotate(json_t **out, struct site *site, const char *role_name, struct err *err)
	MUST_USE;

/*
 * The same, with a key that was made elsewhere (sitekeys_make_key) in the place of those of the
 * role that are here, or of all where none is: its secret half was never on this machine. What
 * names it is published together with what it has signed: a request has to be signed first.
 */
bool sitekeys_rotate_to(json_t **out, struct site *site, const char *role_name, const char *file,
			struct err *err) MUST_USE;

/*
 * Make a key for a role in the folder `keys` on a machine that need not have a site, and write its
 * public half to the new file `file`. `name_out` is the key file's name; the caller frees it.
 */
bool sitekeys_make_key(char **name_out, const char *role_name, const char *keys, const char *file,
		       struct err *err) MUST_USE;

bool sitekeys_set_threshold(json_t **out, struct site *site, const char *role_name,
			    size_t threshold, struct err *err) MUST_USE;

/* Write a request to a new file, or read one from a file that somebody else wrote. */
bool sitekeys_write_request(const char *file, const json_t *request, struct err *err) MUST_USE;
bool sitekeys_read_request(json_t **out, const char *file, struct err *err) MUST_USE;

/* Take in a request that was signed, as sitekeys_rotate takes in its change. */
bool sitekeys_import(json_t **out, struct site *site, const char *file, struct err *err) MUST_USE;

#endif

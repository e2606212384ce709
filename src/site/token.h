/*
 * Tokens with which clients enrol without an admin: counted, expiring, revocable. The database
 * keeps a hash only.
 */
#ifndef SITE_TOKEN_H
#define SITE_TOKEN_H

#include "site/site.h"

#define TOKEN_EXPIRES_DEFAULT_S 86400
#define TOKEN_EXPIRES_MAX_S     (366 * 86400)
#define TOKEN_USES_MAX          1000000
#define TOKEN_SIZE              48 /* with its terminator */

/* Make a token; its text is seen this once. */
bool token_create(char *token_out, struct site *site, uint64_t uses, uint64_t life_s,
		  struct err *err) MUST_USE;

/*
 * Write the file that `packway enroll FILE` takes (docs/formats/bundle.md): root, CAP addresses and
 * token. ERR_NOT_FOUND if the site has no CAP yet, ERR_EXISTS if the file is there.
 */
bool token_write_bundle(struct site *site, const char *token, const char *path, struct err *err)
	MUST_USE;

bool token_list(json_t **out, struct site *site, struct err *err) MUST_USE;
bool token_revoke(struct site *site, int64_t id, struct err *err) MUST_USE;

/*
 * Use a token once, inside the caller's transaction: its id, or 0 if it is unknown, expired, used
 * up or revoked.
 */
bool token_use(int64_t *id_out, struct site *site, const char *token, struct err *err) MUST_USE;

#endif

/*
 * A site: its folder, database and settings (docs/ARCHITECTURE.md 2).
 *
 *     site_open → site_begin → … → site_commit → site_close
 *
 * Modules of this folder take the open site and work inside the caller's transaction unless they
 * say otherwise. A site is used by one thread; every process opens its own.
 */
#ifndef SITE_SITE_H
#define SITE_SITE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/error.h"
#include "common/macros.h"
#include "site/statements.h"

#define SITE_CODE_SIZE 4 /* with its terminator */
#define SITE_UUID_SIZE 37

#define SITE_PATCH_VERSIONS     3 /* where nobody says otherwise */
#define SITE_PATCH_VERSIONS_MAX 32

struct site {
	char *dir;
	char code[SITE_CODE_SIZE];
	char *name;
	char uuid[SITE_UUID_SIZE]; /* this instance: what serve answers */
	struct db *db;
	const struct clock *clock;
	const char *
		tls_ca; /* authorities for https CAPs and DPs (PEM); borrowed; NULL: the system's */
	uint32_t patch_versions; /* patches start from so many before the latest */
};

/*
 * Make a site in the folder `dir`, which must not exist or be empty: keys, database, library, first
 * root. It appears whole or not at all. `name` may be NULL: the code. ERR_USAGE for a code that is
 * not three of [A-Z0-9], ERR_EXISTS for a folder that holds something.
 */
bool site_init(const char *dir, const char *code, const char *name, const struct clock *clock,
	       struct err *err) MUST_USE;

/* Open the site in `dir`; ERR_NO_SITE where there is none. The caller closes it. */
bool site_open(struct site **out, const char *dir, const struct clock *clock, struct err *err)
	MUST_USE;

/* The same site with the same settings once more, for a process that was forked: a handle of a
 * database does not outlive that. What is borrowed stays so. */
bool site_open_again(struct site **out, const struct site *site, struct err *err) MUST_USE;

void site_close(struct site *site);

static inline void site_scoped(struct site **site)
{
	site_close(*site);
}

/*
 * A change of policy or of the site's own records. site_commit_policy also counts the change, which
 * is how serve learns that there is something to publish.
 */
bool site_begin(struct site *site, struct err *err) MUST_USE;
bool site_commit(struct site *site, struct err *err) MUST_USE;
bool site_commit_policy(struct site *site, struct err *err) MUST_USE;
void site_abandon(struct site *site);

/* The count of policy changes so far. */
bool site_changes(int64_t *out, struct site *site, struct err *err) MUST_USE;

static inline void site_undo_scoped(struct site **site)
{
	site_abandon(*site);
}
#define SITE_UNDO __attribute__((cleanup(site_undo_scoped), unused))

static inline int64_t site_now(const struct site *site)
{
	return clock_wall_s(site->clock);
}

/* "DIR/name"; the caller frees it. */
char *site_path(const struct site *site, const char *name) MUST_USE;

/* The library folder of a package; the caller frees it. */
char *site_library(const struct site *site) MUST_USE;

/*
 * Take the lock `what` ("publish", "distribute", "intake", "package"), waiting up to `wait_ms`. It
 * ends when the descriptor is closed. ERR_LOCKED if somebody else holds it still.
 */
bool site_lock(int *fd_out, const struct site *site, const char *what, uint32_t wait_ms,
	       struct err *err) MUST_USE;

/* Numbers that survive: 0 where the key was never set. Set inside a transaction. */
bool site_setting(int64_t *out, struct site *site, const char *key, struct err *err) MUST_USE;
bool site_set_setting(struct site *site, const char *key, int64_t value, struct err *err) MUST_USE;

/*
 * The next id of a kind, inside a transaction: packages count from 00001, advertisements from
 * 20001. `dst` has room for SITE_ID_SIZE. Ids are never used twice, whatever is removed.
 */
#define SITE_ID_SIZE 9
bool site_next_package_id(char *dst, struct site *site, struct err *err) MUST_USE; /* uses none */
bool site_new_package_id(char *dst, struct site *site, struct err *err) MUST_USE;
bool site_new_advertisement_id(char *dst, struct site *site, struct err *err) MUST_USE;

#endif

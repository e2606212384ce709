/*
 * The site's side of TUF: the folder that holds what is published (metadata/, targets/), the keys
 * that sign it, and changes to it that appear whole or not at all.
 *
 *     repository_open → repository_begin → repository_set_target … → repository_commit →
 * repository_close
 *
 * Any TUF 1.0 client can read the folder. Every file has a name of its own that is never used for
 * other bytes, except timestamp.json, which is replaced last: a kill at any point leaves the old
 * publication whole, and the next commit goes on from there with versions that nobody has seen. See
 * docs/formats/repository.md.
 *
 * One process at a time may have it open for changes; the caller holds that lock. Everything here
 * may block on the disk.
 */
#ifndef TRUST_REPOSITORY_H
#define TRUST_REPOSITORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/publication.h"
#include "trust/siterole.h"

#define REPOSITORY_KEEP_S (INT64_C(30) * 24 * 3600) /* how long what left the publication stays */

struct repository_folders {
	const char *published; /* holds metadata/ and targets/ */
	const char *keys;      /* holds ROLE.key, or ROLE-ANYTHING.key where a role has several */
};

struct repository;

/*
 * Make the folders, one key per role where there is none, and the first publication, which lists
 * no target. A creation that was cut short goes on. ERR_EXISTS if something is published there
 * already.
 */
bool repository_create(const struct repository_folders *where, int64_t now_s, struct err *err)
	MUST_USE;

/*
 * Read back what is published, checked from its root down. Keys that are not there are no fault:
 * what needs them is refused when it is needed. ERR_NOT_FOUND if nothing was ever published;
 * ERR_TRUST or ERR_FORMAT if the files are not what our keys signed.
 */
bool repository_open(struct repository **out, const struct repository_folders *where,
		     struct err *err) MUST_USE;
void repository_close(struct repository *repo);

static inline void repository_scoped(struct repository **repo)
{
	repository_close(*repo);
}

/* Start a set of changes from what is published; changes that were not committed are forgotten. */
void repository_begin(struct repository *repo);

/*
 * Let `path` have these bytes from the next commit on. The bytes are written now, under a name that
 * nothing refers to yet; the same bytes as published cost one stat. ERR_REFUSED if no role signs
 * such a path.
 */
bool repository_set_target(struct repository *repo, const char *path, struct span bytes,
			   struct err *err) MUST_USE;

/* Let `path` be gone from the next commit on; one that is not there is fine. */
bool repository_remove_target(struct repository *repo, const char *path, struct err *err) MUST_USE;

/*
 * Call `fn` for each target as it will be after the next commit, in no order, until it returns
 * false. It must not change the repository. Says whether all were seen.
 */
bool repository_each_target(const struct repository *repo, publication_target_fn fn, void *ctx);

enum repository_outcome {
	REPOSITORY_UNCHANGED, /* nothing changed and nothing was due */
	REPOSITORY_RENEWED,   /* nothing changed; roles that grew old were signed again */
	REPOSITORY_CHANGED,   /* what clients see has changed */
};

/*
 * Publish the changes and whatever has to be renewed at `now_s`. On failure the old publication
 * stands, the changes are still there, and the call may be repeated. ERR_REFUSED if a changed
 * role's keys are elsewhere.
 */
bool repository_commit(enum repository_outcome *out, struct repository *repo, int64_t now_s,
		       struct err *err) MUST_USE;

/*
 * Replace each secret key of the role that is here by a new one; the next commit makes it so for
 * clients. Key files of new keys get names of their own. ERR_REFUSED if none is here. The old key
 * files are removed by the commit that publishes the change, or kept if that has to wait.
 */
bool repository_rotate(struct repository *repo, enum siterole role, struct err *err) MUST_USE;

/*
 * The same with one key whose secret half is elsewhere, in the place of the role's keys that are
 * here, or of all if none is. ERR_REFUSED for snapshot and timestamp, and where one key is fewer
 * than the threshold.
 */
bool repository_rotate_to(struct repository *repo, enum siterole role, const struct key *key,
			  struct err *err) MUST_USE;

/* The file of a new key, ROLE-<16 hex of its id>.key; the caller frees it. */
char *repository_key_name(enum siterole role, const struct key *key) MUST_USE;

/*
 * Let `threshold` keys have to sign the role, from the next commit on. Where it lists fewer, new
 * ones are made here, to be moved away. ERR_REFUSED for 0 or more than SITEROLE_KEYS_MAX.
 */
bool repository_set_threshold(struct repository *repo, enum siterole role, size_t threshold,
			      struct err *err) MUST_USE;

/* issuance_request over what is changed and due; close the repository then. */
bool repository_request(json_t **out, struct repository *repo, int64_t now_s, struct err *err)
	MUST_USE;

/*
 * Take the role files of a request that was signed elsewhere into the next commit. ERR_NOT_FOUND
 * if a target that they list is not here (any more). `count_out` is how many there are.
 */
bool repository_import(size_t *count_out, struct repository *repo, const json_t *request,
		       struct err *err) MUST_USE;

/* True if the last commit left out changes to the role, since its keys are elsewhere. */
bool repository_waits(const struct repository *repo, enum siterole role);

/* Sign what the keys in the folder `keys` may sign of a request; says how many signatures. */
bool repository_sign_request(size_t *count_out, json_t *request, const char *keys, struct err *err)
	MUST_USE;

/* What `keys` and `status` show of a role. */
struct repository_role {
	struct siterole_name name;
	int64_t version;
	int64_t expires_s; /* of the file that ends first, bins included */
	unsigned int bins; /* 0: it is whole */
	struct publication_keys keys;
};
void repository_show_role(struct repository_role *out, const struct repository *repo,
			  enum siterole role);

/* The newest root's bytes, as clients are given them to begin with. The caller releases `out`. */
bool repository_read_root(struct buf *out, const struct repository *repo, struct err *err) MUST_USE;

/*
 * The files of the current publication, relative to the published folder, in the order in which a
 * server may be given them (timestamp last). The caller releases `out`.
 */
void repository_files(struct publication_paths *out, const struct repository *repo);

/*
 * The files that left the publication more than REPOSITORY_KEEP_S before `now_s`, or were never
 * part of it and are as old. Servers that hold copies drop them first, then repository_remove does
 * it here.
 */
bool repository_garbage(struct publication_paths *out, const struct repository *repo, int64_t now_s,
			struct err *err) MUST_USE;
bool repository_remove(const struct repository *repo, const struct publication_paths *garbage,
		       struct err *err) MUST_USE;

#endif

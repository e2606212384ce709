/*
 * A metadata repository in memory, with its keys, for tests: honest until a test edits a role's
 * body, its signers or the served files. Also a client's store in memory, and both as the callbacks
 * of an updater. What goes wrong in here aborts.
 */
#ifndef TESTS_SUPPORT_TUFREPO_H
#define TESTS_SUPPORT_TUFREPO_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "trust/updater.h"

#define TUFREPO_NOW  INT64_C(1800000000) /* the tests' present */
#define TUFREPO_LIFE INT64_C(864000)     /* ten days: the life of every role */

/* Keys are numbers; the same number is always the same key. These are the first signers. */
enum tufrepo_key {
	TUFREPO_KEY_ROOT,
	TUFREPO_KEY_TIMESTAMP,
	TUFREPO_KEY_SNAPSHOT,
	TUFREPO_KEY_TARGETS
};

/* Files by name. */
struct memfiles {
	struct memfile {
		char *name;
		struct buf bytes;
	} * list;
	size_t count;
};

struct buf *memfiles_find(struct memfiles *files, const char *name); /* NULL: none */
void memfiles_put(struct memfiles *files, const char *name, struct span bytes);
void memfiles_drop(struct memfiles *files, const char *name);
void memfiles_copy(struct memfiles *to, const struct memfiles *from);
bool memfiles_equal(const struct memfiles *a, const struct memfiles *b);
void memfiles_release(struct memfiles *files);

struct tufrepo {
	struct tufrepo_role {
		char *name;
		json_t *body; /* "signed" */
		struct tufrepo_signer {
			int key;
			char *keyid;
		} signers[16];
		size_t signer_count;
	} * roles;
	size_t role_count;
	bool list_hashes;         /* snapshot and timestamp list length and hashes */
	bool plain_names;         /* consistent_snapshot is false */
	struct memfiles metadata; /* what is served */
	struct memfiles targets;
	struct memfiles store;    /* the client's */
	struct buf requests;      /* what the client asked for: " 2.root timestamp …" */
	size_t calls_until_fault; /* 0: none; n: the nth store call fails */
	bool not_modified;        /* conditional requests are answered with "unchanged" */
	bool oversize;            /* serve beyond the cap */
};

/* Version 1 of the four roles, signed and served; the store holds the root. */
struct tufrepo *tufrepo_new(void);
void tufrepo_free(struct tufrepo *r);

/* The body of a role, to be edited at will; borrowed. */
json_t *tufrepo_body(struct tufrepo *r, const char *role);

/* A role's entry with its key ids and threshold in `holder` ("root", or a delegating role). */
json_t *tufrepo_entry(struct tufrepo *r, const char *holder, const char *role);

/* Let a key sign for a role / no longer; `keyid` NULL is the usual id. Nothing is signed by it. */
void tufrepo_allow(struct tufrepo *r, const char *holder, const char *role, int key,
		   const char *keyid);
void tufrepo_forbid_all(struct tufrepo *r, const char *holder, const char *role);

/* Have a role signed by a key from now on / by none any more. */
void tufrepo_sign_by(struct tufrepo *r, const char *role, int key, const char *keyid);
void tufrepo_sign_by_none(struct tufrepo *r, const char *role);

/* A new delegated role of version 1, signed by `key`; `pattern` NULL: no paths yet. */
void tufrepo_delegate(struct tufrepo *r, const char *holder, const char *role, int key,
		      const char *pattern, bool terminating);

/* List and serve a target. */
void tufrepo_target(struct tufrepo *r, const char *role, const char *path, const char *content);
void tufrepo_target_bytes(struct tufrepo *r, const char *role, const char *path,
			  struct span content);

/* Change the version, the expiry. */
void tufrepo_set_version(struct tufrepo *r, const char *role, int64_t version);
void tufrepo_bump(struct tufrepo *r, const char *role);
void tufrepo_expire(struct tufrepo *r, const char *role, int64_t unix_s);

/* Sign a role as it is and serve it. */
void tufrepo_put(struct tufrepo *r, const char *role);

/* Put every targets role, then a new snapshot that lists them, then a new timestamp. */
void tufrepo_publish(struct tufrepo *r);
void tufrepo_publish_timestamp(struct tufrepo *r);

/* The new version of root. */
void tufrepo_publish_root(struct tufrepo *r);

/* A served metadata file as a document, and back; the caller owns the first, gives the second. */
json_t *tufrepo_read(struct tufrepo *r, const char *path);
void tufrepo_write(struct tufrepo *r, const char *path, json_t *document);

/* The repository as a server for any updater. */
struct updater_source tufrepo_source(struct tufrepo *r);

/* The repository and its client's store as an updater's; offline without source. */
struct updater *tufrepo_client(struct tufrepo *r, int64_t now_s, int64_t floor_s);
struct updater *tufrepo_offline_client(struct tufrepo *r, int64_t now_s);

/* One refresh at TUFREPO_NOW. */
enum verdict tufrepo_refresh(struct tufrepo *r);

#endif

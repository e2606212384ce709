/*
 * One metadata file of The Update Framework (TUF 1.0), read strictly: root, timestamp, snapshot,
 * targets and every delegated role (which has the form of targets).
 *
 * Reading proves the form and nothing else; whether anybody signed it is verify.h's business.
 * Unknown fields are kept and ignored. A role is immutable once read; all that it hands out is
 * borrowed from it. docs/formats/metadata.md has the form and the limits.
 *
 * PURE.
 */
#ifndef TRUST_ROLE_H
#define TRUST_ROLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/keys.h"
#include "trust/verdict.h"

enum role_kind {
	ROLE_ROOT,
	ROLE_TIMESTAMP,
	ROLE_SNAPSHOT,
	ROLE_TARGETS, /* delegated roles too */
	ROLE_COUNT_,
};

#define ROLE_ROOT_MAX        512000 /* bytes of each file: read no more from anybody */
#define ROLE_TIMESTAMP_MAX   16384
#define ROLE_SNAPSHOT_MAX    2000000
#define ROLE_TARGETS_MAX     5000000
#define ROLE_KEYS_MAX        1024  /* keys of a file, key ids of a role, signatures of a file */
#define ROLE_DELEGATIONS_MAX 16384 /* roles that one role delegates to */

/* "root", "timestamp", "snapshot" or "targets": the "_type", and the name of a top-level role. */
const char *role_kind_name(enum role_kind kind);

/* The most bytes that a file of this kind may have. */
size_t role_kind_max(enum role_kind kind);

/* One key id of a role, with the key of that id; NULL where the file has no such key. */
struct role_signer {
	const char *keyid;
	const struct key *key;
};

/* Who may sign a role, and how many of them have to. */
struct role_signers {
	struct role_signer *list; /* key ids are distinct; keys need not be */
	size_t count;
	int64_t threshold; /* at least 1 */
};

struct role_signature {
	const char *keyid; /* distinct within a file */
	const char *hex;   /* as received; may be no hexadecimal at all */
};

/* A delegation of a targets role, in its listed order. */
struct role_delegation {
	const char *name; /* NULL: bins, whose names role_bin_name makes from the path */
	struct role_signers signers;
	bool terminating;
	const json_t *paths;    /* array of patterns, or NULL */
	const json_t *prefixes; /* array of hexadecimal prefixes of SHA-256(path), or NULL */
	const char *bin_prefix; /* bins only: what their names begin with */
	unsigned int bin_bits;  /* bins only: 1 to 32 leading bits of SHA-256(path) number them */
};

struct role {
	enum role_kind kind;
	int64_t version;                   /* 1 to 2^53 */
	int64_t expires;                   /* seconds since 1970 */
	json_t *document;                  /* the whole, as parsed */
	const json_t *body;                /* its "signed" */
	struct role_signature *signatures; /* sorted by key id */
	size_t signature_count;
	const json_t *files; /* snapshot and timestamp: "meta"; targets: "targets" */
	struct role_keyring *keyring;
	/* root */
	bool consistent_snapshot;
	struct role_signers top[ROLE_COUNT_];
	/* targets */
	struct role_delegation *delegations;
	size_t delegation_count;
};

/*
 * Read one file of the kind that is expected. VERDICT_TOO_LARGE above the kind's maximum,
 * VERDICT_WRONG_ROLE if it is a file of another kind, VERDICT_MALFORMED for everything else. The
 * caller frees the result; it keeps nothing of `bytes`.
 */
enum verdict role_parse(struct role **out, enum role_kind kind, struct span bytes, struct err *err)
	MUST_USE;

void role_free(struct role *role);
SCOPED_FREE(role);

/* Append the canonical bytes that signatures are made over. ERR_FORMAT if "signed" has no such
 * form. */
bool role_payload(struct buf *out, const struct role *role, struct err *err) MUST_USE;

/* The signature with this key id, or NULL. */
const struct role_signature *role_signature_find(const struct role *role, const char *keyid);

/* What snapshot and timestamp list of another metadata file. */
struct role_listing {
	int64_t version;      /* at least 1 */
	int64_t length;       /* bytes; -1: not said */
	const json_t *hashes; /* NULL: not said */
};

/* The listing of `file` ("snapshot.json", "targets.json", "name.json"); false if there is none. */
bool role_listing_find(struct role_listing *out, const struct role *role, const char *file)
	MUST_USE;

/* The listing of the role `name`, whatever its name. */
bool role_listing_of(struct role_listing *out, const struct role *role, const char *name) MUST_USE;

/* What a targets role lists of a target. */
struct role_target {
	int64_t length;       /* bytes */
	const json_t *hashes; /* never empty */
	const json_t *custom; /* NULL: none */
};

bool role_target_find(struct role_target *out, const struct role *role, const char *path) MUST_USE;

/*
 * True if the delegation covers `path`, whose SHA-256 is `path_digest`. Bins cover every path.
 */
bool role_delegation_covers(const struct role_delegation *d, const char *path,
			    const struct digest *path_digest);

/* The role's name for `path`: its own, or that of the path's bin. The caller frees it. */
char *role_delegation_name(const struct role_delegation *d, const struct digest *path_digest)
	MUST_USE;

#endif

/*
 * The policy documents: what a site tells its clients, as signed JSON target files
 * (docs/ARCHITECTURE.md 4).
 *
 * Every document has the same three functions: x_parse reads foreign bytes strictly and bounded,
 * x_write appends the canonical form, x_release frees what x_parse made. Texts of a parsed document
 * are borrowed from its `json` and live as long. A document that is only written is filled by hand;
 * its texts and arrays stay the writer's and x_release is not called.
 *
 * Faults of x_parse: ERR_FORMAT and ERR_LIMIT name the member.
 *
 * PURE.
 */
#ifndef POLICY_DOCS_H
#define POLICY_DOCS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"
#include "common/netaddr.h"
#include "common/span.h"

#define DOCS_SIZE_MAX           ((size_t)4 << 20) /* bytes of one document */
#define DOCS_SYSTEMS_MAX        20000
#define DOCS_ADDRESSES_MAX      16
#define DOCS_GROUPS_MAX         20000
#define DOCS_BOUNDARIES_MAX     4096
#define DOCS_VERSIONS_MAX       4096
#define DOCS_PROGRAMS_MAX       256
#define DOCS_CODES_MAX          64
#define DOCS_ADVERTISEMENTS_MAX 20000 /* in one bin */
#define DOCS_COLLECTIONS_MAX    20000 /* in one bin */
#define DOCS_MEMBERS_MAX        50000
#define DOCS_BINS               64
#define DOCS_NEVER              INT64_C(-1) /* an absent time or count */

/* ---- site.json ---- */

enum docs_system_kind {
	DOCS_CAP,
	DOCS_DP,
};

struct docs_system {
	const char *name;
	enum docs_system_kind kind;
	const char *uuid;
	const char *addresses[DOCS_ADDRESSES_MAX];
	size_t address_count;
	const char *group; /* NULL: the site default */
	const char *inbox; /* a locator; NULL: inbox/ beneath the addresses */
};

struct docs_site {
	json_t *json;
	const char *site; /* three characters */
	const char *name;
	uint8_t sealing_key[32]; /* X25519 */
	uint8_t receipt_key[32]; /* Ed25519 */
	int64_t poll_s;
	int64_t linger_s;
	const char **groups;
	size_t group_count;
	struct docs_system *systems;
	size_t system_count;
};

bool docs_site_parse(struct docs_site *out, struct span bytes, struct err *err) MUST_USE;
void docs_site_write(struct buf *out, const struct docs_site *doc);
void docs_site_release(struct docs_site *doc);
SCOPED_RELEASE(docs_site);

/* ---- group/<name>.json ---- */

struct docs_neighbour {
	const char *group;
	int64_t minutes;
};

struct docs_group {
	json_t *json;
	const char *name;
	struct netaddr_net *boundaries;
	size_t boundary_count;
	struct docs_neighbour *neighbours;
	size_t neighbour_count;
	int64_t default_after_min; /* DOCS_NEVER: the site default never opens */
	bool fence;
	const char *policy; /* NULL: the client's own */
	const char **prefer;
	size_t prefer_count;
	bool cross_tier;    /* open ways decide across tiers */
	uint64_t max_rate;  /* bytes a second of each client's fetch; 0: no limit */
	const char *window; /* when content may be fetched, as clock_window_parse; NULL: always */
};

bool docs_group_parse(struct docs_group *out, struct span bytes, struct err *err) MUST_USE;
void docs_group_write(struct buf *out, const struct docs_group *doc);
void docs_group_release(struct docs_group *doc);
SCOPED_RELEASE(docs_group);

/* ---- package/<id>.json ---- */

enum docs_rerun {
	DOCS_RERUN_NEVER,
	DOCS_RERUN_ALWAYS,
	DOCS_RERUN_ON_FAILURE,
};

struct docs_version {
	int64_t version;
	const char *manifest; /* 64 hex digits: SHA-256 of the manifest's bytes */
	int64_t manifest_size;
	int64_t files;
	int64_t bytes;
};

struct docs_program {
	const char *name;
	const char *command;
	int64_t timeout_s;
	int64_t success[DOCS_CODES_MAX];
	size_t success_count;
	int64_t restart[DOCS_CODES_MAX];
	size_t restart_count;
	const char *after_package; /* NULL: no run-after */
	const char *after_program;
	enum docs_rerun rerun;
	const char *as;    /* root, user or an account's name */
	const char *mount; /* none, any or a path */
	bool keep;
};

struct docs_package {
	json_t *json;
	const char *id;
	const char *name;
	int64_t latest; /* 0: no version */
	struct docs_version *versions;
	size_t version_count;
	struct docs_program *programs;
	size_t program_count;
};

bool docs_package_parse(struct docs_package *out, struct span bytes, struct err *err) MUST_USE;
void docs_package_write(struct buf *out, const struct docs_package *doc);
void docs_package_release(struct docs_package *doc);
SCOPED_RELEASE(docs_package);

const struct docs_version *docs_package_version(const struct docs_package *doc, int64_t version);

/* True if these are the bytes of the version's manifest: the package's document has its hash. */
bool docs_package_is_manifest(const struct docs_version *version, struct span bytes);

const struct docs_program *docs_package_program(const struct docs_package *doc, const char *name);

/* "never", "always", "on-failure". */
const char *docs_rerun_name(enum docs_rerun rerun);
bool docs_rerun_parse(enum docs_rerun *out, const char *name) MUST_USE;

/* ---- location/<id>.json: SMS's .nal file ---- */

struct docs_place {
	int64_t version;
	const char *index; /* its file name on a DP: <version>-<64 hex digits> */
	int64_t index_size;
	const char **dps; /* names of those that were validated for it */
	size_t dp_count;
};

struct docs_location {
	json_t *json;
	const char *package;
	struct docs_place *versions;
	size_t version_count;
};

bool docs_location_parse(struct docs_location *out, struct span bytes, struct err *err) MUST_USE;
void docs_location_write(struct buf *out, const struct docs_location *doc);
void docs_location_release(struct docs_location *doc);
SCOPED_RELEASE(docs_location);

const struct docs_place *docs_location_version(const struct docs_location *doc, int64_t version);

/* ---- advertisement/<bin>.json ---- */

struct docs_advertisement {
	const char *id;
	const char *package;
	const char *program;
	const char *collection;
	int64_t version; /* resolved by the site */
	int64_t serial;  /* grows when it becomes due anew */
	bool stopped;
	int64_t available_s; /* unix times; DOCS_NEVER: none */
	int64_t mandatory_s;
	int64_t expires_s;
	const char *window;   /* HH:MM-HH:MM; NULL: any time */
	const char *offer_to; /* a Unix group that may run it; NULL: root only */
};

struct docs_advertisements {
	json_t *json;
	unsigned int bin;
	struct docs_advertisement *items;
	size_t count;
};

bool docs_advertisements_parse(struct docs_advertisements *out, struct span bytes, struct err *err)
	MUST_USE;
void docs_advertisements_write(struct buf *out, const struct docs_advertisements *doc);
void docs_advertisements_release(struct docs_advertisements *doc);
SCOPED_RELEASE(docs_advertisements);

/* ---- collection/<bin>.json ---- */

struct docs_collection {
	const char *name;
	const char *query;    /* a SELECT, or NULL: named members */
	const char **members; /* 64 hex digits each: docs_member_hash */
	size_t member_count;
	const char *salt; /* 32 hex digits; NULL with a query */
	int64_t percent;  /* 1 to 100; DOCS_NEVER: all */
};

struct docs_collections {
	json_t *json;
	unsigned int bin;
	struct docs_collection *items;
	size_t count;
};

bool docs_collections_parse(struct docs_collections *out, struct span bytes, struct err *err)
	MUST_USE;
void docs_collections_write(struct buf *out, const struct docs_collections *doc);
void docs_collections_release(struct docs_collections *doc);
SCOPED_RELEASE(docs_collections);

/* ---- names ---- */

/* The bin of an advertisement's id or a collection's name: 0 to DOCS_BINS - 1. */
unsigned int docs_bin(const char *key);

/* A named member's hash: SHA-256 over the salt's bytes and the client id's text; `hex` has room
 * for 65. */
void docs_member_hash(char *hex, const char *salt_hex, const char *client_id);

/* Target paths; the caller frees them. */
char *docs_path_group(const char *name) MUST_USE;
char *docs_path_package(const char *id) MUST_USE;
char *docs_path_manifest(const char *id, int64_t version) MUST_USE;
char *docs_path_location(const char *id) MUST_USE;
char *docs_path_advertisements(unsigned int bin) MUST_USE;
char *docs_path_collections(unsigned int bin) MUST_USE;
#define DOCS_PATH_SITE "site.json"

#endif

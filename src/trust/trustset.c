#include "trust/trustset.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "trust/verify.h"

/* One targets role, and the signers whose threshold it was found to meet. */
struct member {
	char *name;
	struct role *role;
	const struct role_signers **satisfied;
	size_t satisfied_count;
};

struct trustset {
	int64_t now;
	enum trustset_mode mode;
	struct role *root;
	struct role *timestamp;
	struct role *snapshot;
	bool stale;
	struct member *members; /* a later one of the same name hides an earlier one */
	size_t member_count;
};

struct trustset *trustset_new(int64_t now_s, enum trustset_mode mode)
{
	struct trustset *set = alloc_zeroed(1, sizeof(*set));

	set->now = now_s;
	set->mode = mode;
	return set;
}

void trustset_free(struct trustset *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->member_count; i++) {
		free(set->members[i].name);
		free(set->members[i].satisfied);
		role_free(set->members[i].role);
	}
	free(set->members);
	role_free(set->root);
	role_free(set->timestamp);
	role_free(set->snapshot);
	free(set);
}

/* Put the role in its place and let go of the one that was there. */
static void hold(struct role **place, struct role **role)
{
	role_free(*place);
	*place = *role;
	*role = NULL;
}

/* Read one of the top-level roles and check it against the held root. */
static enum verdict read_signed(const struct trustset *set, struct role **out, enum role_kind kind,
				struct span bytes, struct err *err)
{
	enum verdict verdict = role_parse(out, kind, bytes, err);

	assert(set->root != NULL);
	if (verdict != VERDICT_OK)
		return verdict;
	return verify_threshold(*out, &set->root->top[kind], role_kind_name(kind), err);
}

enum verdict trustset_load_root(struct trustset *set, struct span bytes, struct err *err)
{
	SCOPED(role) struct role *root = NULL;
	enum verdict verdict = role_parse(&root, ROLE_ROOT, bytes, err);

	assert(set->root == NULL);
	if (verdict == VERDICT_OK)
		verdict = verify_threshold(root, &root->top[ROLE_ROOT], "root", err);
	if (verdict == VERDICT_OK)
		hold(&set->root, &root);
	return verdict;
}

/* The new root's form, both thresholds and its version. */
static enum verdict check_next_root(const struct trustset *set, const struct role *next,
				    struct err *err)
{
	enum verdict verdict = verify_threshold(next, &set->root->top[ROLE_ROOT],
						"root (by the keys before)", err);

	if (verdict == VERDICT_OK)
		verdict = verify_threshold(next, &next->top[ROLE_ROOT], "root", err);
	if (verdict == VERDICT_OK && next->version != set->root->version + 1)
		return verdict_set(err, VERDICT_WRONG_VERSION,
				   "root has version %" PRId64 " where %" PRId64 " follows",
				   next->version, set->root->version + 1);
	return verdict;
}

enum verdict trustset_update_root(struct trustset *set, struct span bytes, bool *revoked_out,
				  struct err *err)
{
	SCOPED(role) struct role *next = NULL;
	enum verdict verdict = role_parse(&next, ROLE_ROOT, bytes, err);

	assert(set->root != NULL && set->timestamp == NULL);
	if (verdict == VERDICT_OK)
		verdict = check_next_root(set, next, err);
	if (verdict != VERDICT_OK)
		return verdict;
	*revoked_out = !verify_keys_kept(&set->root->top[ROLE_TIMESTAMP],
					 &next->top[ROLE_TIMESTAMP]) ||
		       !verify_keys_kept(&set->root->top[ROLE_SNAPSHOT], &next->top[ROLE_SNAPSHOT]);
	hold(&set->root, &next);
	return VERDICT_OK;
}

enum verdict trustset_root_life(const struct trustset *set, struct err *err)
{
	return verify_life(set->root, "root", set->now, err);
}

/* What a timestamp lists; role_parse has seen that it is there. */
static struct role_listing snapshot_listing(const struct role *timestamp)
{
	struct role_listing listing = { 0 };
	bool listed = role_listing_find(&listing, timestamp, "snapshot.json");

	assert(listed);
	return listing;
}

enum verdict trustset_load_timestamp(struct trustset *set, struct span bytes, struct err *err)
{
	SCOPED(role) struct role *timestamp = NULL;
	enum verdict verdict = read_signed(set, &timestamp, ROLE_TIMESTAMP, bytes, err);

	if (verdict == VERDICT_OK)
		hold(&set->timestamp, &timestamp);
	return verdict;
}

static enum verdict check_newer_timestamp(const struct trustset *set, const struct role *next,
					  struct err *err)
{
	int64_t listed = snapshot_listing(next).version;
	int64_t held;

	if (set->timestamp == NULL)
		return VERDICT_OK;
	if (next->version < set->timestamp->version)
		return verdict_set(err, VERDICT_ROLLBACK,
				   "timestamp has version %" PRId64 ", trusted is %" PRId64,
				   next->version, set->timestamp->version);
	if (next->version == set->timestamp->version)
		return VERDICT_UNCHANGED;
	held = snapshot_listing(set->timestamp).version;
	if (listed < held)
		return verdict_set(err, VERDICT_ROLLBACK,
				   "timestamp lists snapshot version %" PRId64
				   ", trusted is %" PRId64,
				   listed, held);
	return VERDICT_OK;
}

enum verdict trustset_update_timestamp(struct trustset *set, struct span bytes, struct err *err)
{
	SCOPED(role) struct role *next = NULL;
	enum verdict verdict = read_signed(set, &next, ROLE_TIMESTAMP, bytes, err);

	if (verdict == VERDICT_OK)
		verdict = check_newer_timestamp(set, next, err);
	if (verdict == VERDICT_OK)
		verdict = verify_life(next, "timestamp", set->now, err);
	if (verdict == VERDICT_OK)
		hold(&set->timestamp, &next);
	return verdict;
}

enum verdict trustset_timestamp_life(const struct trustset *set, struct err *err)
{
	return verify_life(set->timestamp, "timestamp", set->now, err);
}

static enum verdict check_version(const struct role *role, const char *name, int64_t listed,
				  struct err *err)
{
	if (role->version == listed)
		return VERDICT_OK;
	return verdict_set(err, VERDICT_WRONG_VERSION,
			   "%s has version %" PRId64 ", listed is %" PRId64, name, role->version,
			   listed);
}

/* A stored file where what was trusted stays in force: no newer than listed, dead or alive. */
static enum verdict check_stored(struct trustset *set, const struct role *role, const char *name,
				 const struct role_listing *listing, struct span bytes,
				 struct err *err)
{
	if (role->version >= listing->version) {
		enum verdict verdict = check_version(role, name, listing->version, err);

		return verdict == VERDICT_OK ? verify_listing(listing, name, bytes, err) : verdict;
	}
	set->stale = true;
	return VERDICT_OK;
}

/* The listed version, and in life. */
static enum verdict check_current(const struct trustset *set, const struct role *role,
				  const char *name, const struct role_listing *listing,
				  struct err *err)
{
	enum verdict verdict = check_version(role, name, listing->version, err);

	return verdict == VERDICT_OK ? verify_life(role, name, set->now, err) : verdict;
}

static enum verdict check_listed(const struct trustset *set, const struct role *role,
				 const char *name, const struct role_listing *listing,
				 struct span bytes, struct err *err)
{
	enum verdict verdict = verify_listing(listing, name, bytes, err);

	return verdict == VERDICT_OK ? check_current(set, role, name, listing, err) : verdict;
}

enum verdict trustset_load_snapshot(struct trustset *set, struct span bytes, struct err *err)
{
	SCOPED(role) struct role *stored = NULL;
	struct role_listing listing = snapshot_listing(set->timestamp);
	enum verdict verdict = read_signed(set, &stored, ROLE_SNAPSHOT, bytes, err);

	if (verdict != VERDICT_OK)
		return verdict;
	if (set->mode == TRUSTSET_LENIENT)
		verdict = check_stored(set, stored, "snapshot", &listing, bytes, err);
	else
		verdict = check_listed(set, stored, "snapshot", &listing, bytes, err);
	hold(&set->snapshot, &stored);
	return verdict;
}

/* No targets file may leave the list or go back. */
static enum verdict check_newer_snapshot(const struct role *held, const struct role *next,
					 struct err *err)
{
	const char *file;
	json_t *entry;

	json_object_foreach ((json_t *)(uintptr_t)held->files, file, entry) {
		struct role_listing before, after;

		if (!role_listing_find(&before, held, file))
			continue;
		if (!role_listing_find(&after, next, file))
			return verdict_set(err, VERDICT_VANISHED, "snapshot lists %s no longer",
					   file);
		if (after.version < before.version)
			return verdict_set(err, VERDICT_ROLLBACK,
					   "snapshot lists %s version %" PRId64
					   ", trusted is %" PRId64,
					   file, after.version, before.version);
	}
	return VERDICT_OK;
}

enum verdict trustset_update_snapshot(struct trustset *set, struct span bytes, struct err *err)
{
	SCOPED(role) struct role *next = NULL;
	struct role_listing listing = snapshot_listing(set->timestamp);
	enum verdict verdict = verify_listing(&listing, "snapshot", bytes, err);

	if (verdict == VERDICT_OK)
		verdict = read_signed(set, &next, ROLE_SNAPSHOT, bytes, err);
	if (verdict == VERDICT_OK)
		verdict = check_current(set, next, "snapshot", &listing, err);
	if (verdict == VERDICT_OK && set->snapshot != NULL)
		verdict = check_newer_snapshot(set->snapshot, next, err);
	if (verdict == VERDICT_OK)
		hold(&set->snapshot, &next);
	return verdict;
}

enum verdict trustset_listing(const struct trustset *set, const char *name,
			      struct role_listing *out, struct err *err)
{
	assert(set->snapshot != NULL);
	if (role_listing_of(out, set->snapshot, name))
		return VERDICT_OK;
	return verdict_set(err, VERDICT_MISSING_TARGET_ROLE,
			   "snapshot version %" PRId64 " does not list role %s",
			   set->snapshot->version, name);
}

static void remember_signers(struct member *m, const struct role_signers *signers)
{
	ALLOC_GROW(m->satisfied, m->satisfied_count);
	m->satisfied[m->satisfied_count++] = signers;
}

static void add_member(struct trustset *set, const char *name, struct role **role,
		       const struct role_signers *signers)
{
	struct member *m;

	ALLOC_GROW(set->members, set->member_count);
	m = &set->members[set->member_count++];
	*m = (struct member){ .name = alloc_text(name), .role = *role };
	*role = NULL;
	remember_signers(m, signers);
}

enum verdict trustset_add_targets(struct trustset *set, const char *name,
				  const struct role_signers *signers, struct span bytes,
				  struct err *err)
{
	SCOPED(role) struct role *role = NULL;
	struct role_listing listing;
	enum verdict verdict = trustset_listing(set, name, &listing, err);

	/* Bytes that are not the listed ones are not even parsed, unless older ones will do. */
	if (verdict == VERDICT_OK && set->mode == TRUSTSET_STRICT)
		verdict = verify_listing(&listing, name, bytes, err);
	if (verdict == VERDICT_OK)
		verdict = role_parse(&role, ROLE_TARGETS, bytes, err);
	if (verdict == VERDICT_OK)
		verdict = verify_threshold(role, signers, name, err);
	if (verdict == VERDICT_OK)
		verdict = set->mode == TRUSTSET_STRICT
				  ? check_current(set, role, name, &listing, err)
				  : check_stored(set, role, name, &listing, bytes, err);
	if (verdict == VERDICT_OK)
		add_member(set, name, &role, signers);
	return verdict;
}

static bool satisfies(struct member *m, const struct role_signers *signers)
{
	struct err ignored;

	for (size_t i = 0; i < m->satisfied_count; i++)
		if (m->satisfied[i] == signers)
			return true;
	if (verify_threshold(m->role, signers, m->name, &ignored) != VERDICT_OK)
		return false;
	remember_signers(m, signers);
	return true;
}

const struct role *trustset_find_targets(struct trustset *set, const char *name,
					 const struct role_signers *signers)
{
	for (size_t i = set->member_count; i-- > 0;) {
		struct member *m = &set->members[i];

		if (strcmp(m->name, name) == 0 && satisfies(m, signers))
			return m->role;
	}
	return NULL;
}

const char *trustset_name(const struct trustset *set, const struct role *role)
{
	for (size_t i = set->member_count; i-- > 0;)
		if (set->members[i].role == role)
			return set->members[i].name;
	return "";
}

const char *trustset_targets_name(const struct trustset *set, size_t i)
{
	return i < set->member_count ? set->members[i].name : NULL;
}

const struct role *trustset_root(const struct trustset *set)
{
	return set->root;
}

const struct role *trustset_timestamp(const struct trustset *set)
{
	return set->timestamp;
}

const struct role *trustset_snapshot(const struct trustset *set)
{
	return set->snapshot;
}

static void note_expiry(int64_t *earliest, const char **name_out, const struct role *role,
			const char *name)
{
	if (role == NULL || role->expires >= *earliest)
		return;
	*earliest = role->expires;
	*name_out = name;
}

int64_t trustset_expires(const struct trustset *set, const char **role_out)
{
	int64_t earliest = INT64_MAX;

	*role_out = "";
	note_expiry(&earliest, role_out, set->root, "root");
	note_expiry(&earliest, role_out, set->timestamp, "timestamp");
	note_expiry(&earliest, role_out, set->snapshot, "snapshot");
	for (size_t i = 0; i < set->member_count; i++)
		note_expiry(&earliest, role_out, set->members[i].role, set->members[i].name);
	return earliest;
}

bool trustset_is_stale(const struct trustset *set)
{
	return set->stale;
}

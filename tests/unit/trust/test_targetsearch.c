#include "support/testing.h"

#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "support/tufrepo.h"
#include "trust/updater.h"

#define PATH "releases/x/tool"

/* A delegation of a small graph, in the order of being listed. */
struct edge {
	const char *from, *to, *pattern;
	bool terminating;
};

struct graph {
	const char *why;
	struct edge edges[8];
	const char *lists;  /* the role that lists PATH; NULL: none */
	const char *visits; /* delegated roles fetched, in order */
	enum verdict want;
};

static const struct graph graphs[] = {
	{ "no delegation, no target", { { 0 } }, NULL, "", VERDICT_TARGET_NOT_FOUND },
	{ "the top-level role is first",
	  { { "targets", "a", "*/*/*" } },
	  "targets",
	  "",
	  VERDICT_OK },
	{ "one delegation", { { "targets", "a", "*/*/*" } }, "a", " a", VERDICT_OK },
	{ "listed order",
	  { { "targets", "a", "*/*/*" }, { "targets", "b", "*/*/*" } },
	  "b",
	  " a b",
	  VERDICT_OK },
	{ "depth before breadth",
	  { { "targets", "a", "*/*/*" },
	    { "targets", "b", "*/*/*" },
	    { "a", "c", "*/*/*" },
	    { "a", "d", "*/*/*" } },
	  NULL,
	  " a c d b",
	  VERDICT_TARGET_NOT_FOUND },
	{ "three levels",
	  { { "targets", "a", "*/*/*" },
	    { "targets", "b", "*/*/*" },
	    { "a", "c", "*/*/*" },
	    { "c", "d", "*/*/*" } },
	  NULL,
	  " a c d b",
	  VERDICT_TARGET_NOT_FOUND },
	{ "a terminating role ends its siblings and those further up",
	  { { "targets", "a", "*/*/*" },
	    { "targets", "b", "*/*/*" },
	    { "a", "c", "*/*/*", true },
	    { "a", "d", "*/*/*" } },
	  "b",
	  " a c",
	  VERDICT_TARGET_NOT_FOUND },
	{ "a terminating role's own delegations count",
	  { { "targets", "a", "*/*/*" },
	    { "a", "c", "*/*/*", true },
	    { "c", "d", "*/*/*" },
	    { "targets", "b", "*/*/*" } },
	  "d",
	  " a c d",
	  VERDICT_OK },
	{ "roles before a terminating one are asked",
	  { { "targets", "a", "*/*/*" },
	    { "targets", "b", "*/*/*", true },
	    { "targets", "c", "*/*/*" } },
	  NULL,
	  " a b",
	  VERDICT_TARGET_NOT_FOUND },
	{ "a terminating role that does not match ends nothing",
	  { { "targets", "a", "*.zip", true }, { "targets", "b", "*/*/*" } },
	  "b",
	  " b",
	  VERDICT_OK },
	{ "a role outside its paths is not asked",
	  { { "targets", "a", "docs/*" }, { "targets", "b", "*/*/*" } },
	  "a",
	  " b",
	  VERDICT_TARGET_NOT_FOUND },
	{ "the whole chain must match",
	  { { "targets", "a", "releases/y/*" }, { "a", "b", "*/*/*" } },
	  "b",
	  "",
	  VERDICT_TARGET_NOT_FOUND },
	{ "a cycle ends",
	  { { "targets", "a", "*/*/*" }, { "a", "b", "*/*/*" }, { "b", "a", "*/*/*" } },
	  NULL,
	  " a b",
	  VERDICT_TARGET_NOT_FOUND },
	{ "a role that delegates to itself",
	  { { "targets", "a", "*/*/*" }, { "a", "a", "*/*/*" } },
	  NULL,
	  " a",
	  VERDICT_TARGET_NOT_FOUND },
	{ "a diamond is visited once",
	  { { "targets", "a", "*/*/*" },
	    { "targets", "b", "*/*/*" },
	    { "a", "c", "*/*/*" },
	    { "b", "c", "*/*/*" } },
	  NULL,
	  " a c b",
	  VERDICT_TARGET_NOT_FOUND },
	{ "a diamond by the path that matches",
	  { { "targets", "a", "*/*/*" },
	    { "targets", "b", "*/*/*" },
	    { "a", "c", "*.py" },
	    { "b", "c", "*/*/*" } },
	  "c",
	  " a b c",
	  VERDICT_OK },
	{ "a star stays within its folder",
	  { { "targets", "a", "releases/*" } },
	  "a",
	  "",
	  VERDICT_TARGET_NOT_FOUND },
};

static int key_of(const char *role)
{
	return role[0];
}

static struct tufrepo *build(const struct graph *g)
{
	struct tufrepo *r = tufrepo_new();

	for (size_t i = 0; i < COUNT_OF(g->edges) && g->edges[i].from != NULL; i++) {
		const struct edge *e = &g->edges[i];

		tufrepo_delegate(r, e->from, e->to, key_of(e->to), e->pattern, e->terminating);
	}
	if (g->lists != NULL)
		tufrepo_target(r, g->lists, PATH, "content");
	tufrepo_publish(r);
	return r;
}

/* A refreshed client whose log of requests is empty. */
static struct updater *refreshed(struct tufrepo *r)
{
	struct updater *u = tufrepo_client(r, TUFREPO_NOW, 0);
	struct err err;

	assert_done(updater_refresh(u, &err) == VERDICT_OK, &err);
	buf_clear(&r->requests);
	return u;
}

/* " 1.a.json 1.b.json" as " a b". */
static void print_visits(char *dst, size_t size, const char *requests)
{
	size_t used = 0;

	for (const char *p = requests; (p = strstr(p, " 1.")) != NULL && used + 2 < size; p += 3) {
		dst[used++] = ' ';
		dst[used++] = p[3];
	}
	dst[used] = '\0';
}

static void graphs_are_searched_in_order(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(graphs); i++) {
		struct tufrepo *r = build(&graphs[i]);
		SCOPED(updater) struct updater *u = refreshed(r);
		struct updater_target target = { 0 };
		char visits[64];
		enum verdict got;
		struct err err;

		got = updater_find_target(u, PATH, &target, &err);
		print_visits(visits, sizeof(visits), buf_text(&r->requests));
		if (got != graphs[i].want || strcmp(visits, graphs[i].visits) != 0 ||
		    (got == VERDICT_OK && strcmp(target.role, graphs[i].lists) != 0))
			fail_msg("%s: %s, visited%s", graphs[i].why, verdict_name(got), visits);
		tufrepo_free(r);
	}
}

static void a_found_target_is_fetched_and_checked(void **state UNUSED)
{
	struct tufrepo *r = build(&graphs[2]);
	SCOPED(updater) struct updater *u = refreshed(r);
	SCOPED(buf) struct buf bytes = { 0 };
	struct updater_target target;
	struct err err;

	assert_int_equal(updater_find_target(u, PATH, &target, &err), VERDICT_OK);
	assert_int_equal(target.listing.length, 7);
	assert_done(updater_fetch_target(u, &target, &bytes, &err) == VERDICT_OK, &err);
	assert_string_equal(buf_text(&bytes), "content");
	assert_true(updater_target_matches(&target, span_of_text("content")));
	assert_false(updater_target_matches(&target, span_of_text("Content")));
	assert_false(updater_target_matches(&target, span_of_text("content ")));
	tufrepo_free(r);
}

static void false_targets_are_refused(void **state UNUSED)
{
	static const struct {
		const char *why, *served;
		enum verdict want;
	} rows[] = {
		{ "other bytes", "CONTENT", VERDICT_BAD_HASH },
		{ "fewer bytes", "conten", VERDICT_BAD_LENGTH },
		{ "more bytes", "content and more", VERDICT_TOO_LARGE },
		{ "none", NULL, VERDICT_MISSING },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct tufrepo *r = build(&graphs[1]);
		SCOPED(updater) struct updater *u = refreshed(r);
		SCOPED(buf) struct buf bytes = { 0 };
		SCOPED_TEXT char *name = alloc_text(r->targets.list[0].name);
		struct updater_target target;
		struct err err;

		if (rows[i].served != NULL)
			memfiles_put(&r->targets, name, span_of_text(rows[i].served));
		else
			memfiles_drop(&r->targets, name);
		assert_int_equal(updater_find_target(u, PATH, &target, &err), VERDICT_OK);
		if (updater_fetch_target(u, &target, &bytes, &err) != rows[i].want ||
		    bytes.size != 0)
			fail_msg("%s: %s", rows[i].why, err.why);
		tufrepo_free(r);
	}
}

static void targets_are_asked_for_by_name_and_hash(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	SCOPED(updater) struct updater *u = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct updater_target target;
	struct err err;

	tufrepo_target(r, "targets", "a b/c?d", "x");
	tufrepo_publish(r);
	u = refreshed(r);
	assert_int_equal(updater_find_target(u, "a b/c?d", &target, &err), VERDICT_OK);
	assert_int_equal(updater_fetch_target(u, &target, &bytes, &err), VERDICT_OK);
	assert_string_equal(buf_text(&r->requests),
			    " a%20b/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4"
			    "881.c%3Fd");
	tufrepo_free(r);
}

static void plain_repositories_have_plain_names(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	SCOPED(updater) struct updater *u = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct updater_target target;
	struct err err;

	r->plain_names = true;
	jsondoc_set_flag(tufrepo_body(r, "root"), "consistent_snapshot", false);
	tufrepo_publish_root(r);
	tufrepo_delegate(r, "targets", "a", 10, "*", false);
	tufrepo_target(r, "a", "tool", "x");
	tufrepo_publish(r);
	u = refreshed(r);
	assert_int_equal(updater_find_target(u, "tool", &target, &err), VERDICT_OK);
	assert_int_equal(updater_fetch_target(u, &target, &bytes, &err), VERDICT_OK);
	assert_string_equal(buf_text(&r->requests), " a.json tool");
	tufrepo_free(r);
}

/* Names that would leave the folder or change the URL's meaning. */
static void hostile_role_names_are_encoded(void **state UNUSED)
{
	static const struct {
		const char *name, *request, *file;
	} rows[] = {
		{ "?", " 1.%3F.json", "%3F.json" },
		{ "#", " 1.%23.json", "%23.json" },
		{ "/role", " 1.%2Frole.json", "%2Frole.json" },
		{ "../role", " 1...%2Frole.json", "%2E.%2Frole.json" },
		{ "..", " 1....json", "%2E..json" },
		{ "a\nb", " 1.a%0Ab.json", "a%0Ab.json" },
		{ "%2e", " 1.%252e.json", "%252e.json" },
		{ "r\xc3\xb6le", " 1.r%C3%B6le.json", "r%C3%B6le.json" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct tufrepo *r = tufrepo_new();
		SCOPED(updater) struct updater *u = NULL;
		struct updater_target target;
		struct err err;

		tufrepo_delegate(r, "targets", rows[i].name, 10, "*", false);
		tufrepo_publish(r);
		u = refreshed(r);
		assert_int_equal(updater_find_target(u, "x", &target, &err),
				 VERDICT_TARGET_NOT_FOUND);
		assert_string_equal(buf_text(&r->requests), rows[i].request);
		assert_non_null(memfiles_find(&r->store, rows[i].file));
		tufrepo_free(r);
	}
}

static void hostile_target_names_are_never_fetched(void **state UNUSED)
{
	static const char *const paths[] = { "../x", "a/../x", "/x", "x/", ".", "a//x" };

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct tufrepo *r = tufrepo_new();
		SCOPED(updater) struct updater *u = NULL;
		SCOPED(buf) struct buf bytes = { 0 };
		struct updater_target target;
		struct err err;

		tufrepo_target(r, "targets", paths[i], "x");
		tufrepo_publish(r);
		u = refreshed(r);
		assert_int_equal(updater_find_target(u, paths[i], &target, &err), VERDICT_OK);
		assert_int_equal(updater_fetch_target(u, &target, &bytes, &err), VERDICT_MALFORMED);
		assert_string_equal(buf_text(&r->requests), "");
		tufrepo_free(r);
	}
}

static void refuse_role(const char *why, void (*attack)(struct tufrepo *r), enum verdict want)
{
	struct tufrepo *r = build(&graphs[2]);
	SCOPED(updater) struct updater *u = NULL;
	struct updater_target target;
	enum verdict got;
	struct err err;

	attack(r);
	u = refreshed(r);
	got = updater_find_target(u, PATH, &target, &err);
	if (got != want)
		fail_msg("%s: got %s, want %s", why, verdict_name(got), verdict_name(want));
	if (memfiles_find(&r->store, "a.json") != NULL)
		fail_msg("%s: it was stored", why);
	tufrepo_free(r);
}

static void role_expires(struct tufrepo *r)
{
	tufrepo_expire(r, "a", TUFREPO_NOW - 1);
	tufrepo_publish(r);
}

static void role_by_another_key(struct tufrepo *r)
{
	tufrepo_sign_by_none(r, "a");
	tufrepo_sign_by(r, "a", TUFREPO_KEY_TARGETS, NULL);
	tufrepo_publish(r);
}

static void role_is_not_listed(struct tufrepo *r)
{
	json_object_del(json_object_get(tufrepo_body(r, "snapshot"), "meta"), "a.json");
	tufrepo_bump(r, "snapshot");
	tufrepo_put(r, "snapshot");
	tufrepo_publish_timestamp(r);
}

static void role_is_missing(struct tufrepo *r)
{
	memfiles_drop(&r->metadata, "1.a.json");
}

static void role_of_another_version(struct tufrepo *r)
{
	tufrepo_bump(r, "a");
	tufrepo_publish(r);
	tufrepo_write(r, "2.a.json", tufrepo_read(r, "1.a.json"));
}

static void role_is_the_snapshot(struct tufrepo *r)
{
	tufrepo_write(r, "1.a.json", tufrepo_read(r, "1.snapshot.json"));
}

static void role_with_other_bytes(struct tufrepo *r)
{
	r->list_hashes = true;
	tufrepo_publish(r);
	memfiles_find(&r->metadata, "1.a.json")->data[0] = ' ';
}

static void untrusted_roles_end_the_search(void **state UNUSED)
{
	refuse_role("expired", role_expires, VERDICT_EXPIRED);
	refuse_role("another key", role_by_another_key, VERDICT_BELOW_THRESHOLD);
	refuse_role("not in the snapshot", role_is_not_listed, VERDICT_MISSING_TARGET_ROLE);
	refuse_role("not served", role_is_missing, VERDICT_MISSING);
	refuse_role("an old version", role_of_another_version, VERDICT_WRONG_VERSION);
	refuse_role("another role's file", role_is_the_snapshot, VERDICT_WRONG_ROLE);
	refuse_role("other bytes", role_with_other_bytes, VERDICT_BAD_HASH);
}

/* Two delegators demand different keys of one role: what the one accepted says nothing to the
 * other. */
static void a_cached_role_is_verified_for_each_delegator(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	SCOPED(updater) struct updater *u = NULL;
	struct updater_target target;
	struct err err;

	tufrepo_delegate(r, "targets", "a", 10, "one/*", false);
	tufrepo_delegate(r, "targets", "b", 11, "two/*", false);
	tufrepo_delegate(r, "a", "c", 12, "*/*", false);
	tufrepo_delegate(r, "b", "c", 13, "*/*", false);
	tufrepo_target(r, "c", "one/x", "x");
	tufrepo_target(r, "c", "two/x", "x");
	tufrepo_publish(r);
	u = refreshed(r);
	assert_int_equal(updater_find_target(u, "one/x", &target, &err), VERDICT_OK);
	assert_int_equal(updater_find_target(u, "two/x", &target, &err), VERDICT_BELOW_THRESHOLD);
	assert_int_equal(updater_find_target(u, "one/x", &target, &err), VERDICT_OK);
	tufrepo_free(r);
}

/* The same, with the first verdict left behind in the store by an earlier run. */
static void a_stored_role_is_verified_for_the_present_delegator(void **state UNUSED)
{
	struct tufrepo *r = build(&graphs[2]);
	SCOPED(updater) struct updater *u = refreshed(r);
	struct updater_target target;
	struct err err;

	assert_int_equal(updater_find_target(u, PATH, &target, &err), VERDICT_OK);
	updater_free(u);
	tufrepo_forbid_all(r, "targets", "a");
	tufrepo_allow(r, "targets", "a", 77, NULL);
	tufrepo_bump(r, "targets");
	tufrepo_publish(r);
	u = refreshed(r);
	assert_int_equal(updater_find_target(u, PATH, &target, &err), VERDICT_BELOW_THRESHOLD);
	tufrepo_free(r);
}

static void stored_roles_are_not_fetched_again(void **state UNUSED)
{
	struct tufrepo *r = build(&graphs[2]);
	struct err err;

	for (size_t i = 0; i < 2; i++) {
		SCOPED(updater) struct updater *u = refreshed(r);
		struct updater_target target;

		assert_int_equal(updater_find_target(u, PATH, &target, &err), VERDICT_OK);
		assert_string_equal(buf_text(&r->requests), i == 0 ? " 1.a.json" : "");
	}
	tufrepo_free(r);
}

static void the_search_stops_at_the_cap(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	SCOPED(updater) struct updater *u = NULL;
	struct updater_target target;
	struct err err;
	char name[16];

	for (int i = 1; i <= UPDATER_DELEGATIONS_MAX + 1; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		tufrepo_delegate(r, "targets", name, 10, "*", false);
	}
	tufrepo_target(r, "r32", "reached", "x");
	tufrepo_target(r, "r33", "not reached", "x");
	tufrepo_publish(r);
	u = refreshed(r);
	assert_int_equal(updater_find_target(u, "reached", &target, &err), VERDICT_OK);
	assert_int_equal(updater_find_target(u, "not reached", &target, &err),
			 VERDICT_TARGET_NOT_FOUND);
	tufrepo_free(r);
}

static void hash_prefixes_delegate(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	SCOPED(updater) struct updater *u = NULL;
	struct updater_target target;
	json_t *entry;
	struct err err;

	/* SHA-256("x") begins with 2d7116, SHA-256("y") with a1fce4. */
	tufrepo_delegate(r, "targets", "a", 10, NULL, false);
	entry = tufrepo_entry(r, "targets", "a");
	json_object_del(entry, "paths");
	jsondoc_set(entry, "path_hash_prefixes", json_pack("[s,s]", "00", "2d7"));
	tufrepo_target(r, "a", "x", "x");
	tufrepo_target(r, "a", "y", "y");
	tufrepo_publish(r);
	u = refreshed(r);
	assert_int_equal(updater_find_target(u, "x", &target, &err), VERDICT_OK);
	assert_int_equal(updater_find_target(u, "y", &target, &err), VERDICT_TARGET_NOT_FOUND);
	tufrepo_free(r);
}

/* Bins of five bits: 2d7116… is in bin 05, a1fce4… in 14. */
static struct tufrepo *build_bins(void)
{
	struct tufrepo *r = tufrepo_new();
	json_t *delegations;

	for (int i = 0; i < 32; i++) {
		char name[16];

		snprintf(name, sizeof(name), "bin-%02x", i);
		tufrepo_delegate(r, "targets", name, 10, "*", false);
	}
	delegations = json_object_get(tufrepo_body(r, "targets"), "delegations");
	json_object_del(delegations, "roles");
	jsondoc_set(delegations, "succinct_roles",
		    json_pack("{s:i,s:s,s:[],s:i}", "bit_length", 5, "name_prefix", "bin", "keyids",
			      "threshold", 1));
	tufrepo_allow(r, "targets", "bin", 10, NULL);
	tufrepo_target(r, "bin-05", "x", "x");
	tufrepo_target(r, "bin-14", "y", "y");
	tufrepo_target(r, "bin-00", "z", "in the wrong bin");
	tufrepo_publish(r);
	return r;
}

static void bins_delegate(void **state UNUSED)
{
	struct tufrepo *r = build_bins();
	SCOPED(updater) struct updater *u = refreshed(r);
	struct updater_target target;
	struct err err;

	assert_int_equal(updater_find_target(u, "x", &target, &err), VERDICT_OK);
	assert_string_equal(target.role, "bin-05");
	assert_int_equal(updater_find_target(u, "y", &target, &err), VERDICT_OK);
	assert_string_equal(buf_text(&r->requests), " 1.bin-05.json 1.bin-14.json");
	assert_int_equal(updater_find_target(u, "z", &target, &err), VERDICT_TARGET_NOT_FOUND);
	tufrepo_free(r);
}

struct seen {
	struct buf text;
	size_t left; /* end after so many */
};

static bool note(void *ctx, const struct updater_target *target)
{
	struct seen *seen = ctx;

	buf_printf(&seen->text, " %s:%s", target->role, target->path);
	return --seen->left > 0;
}

static void check_listing(struct updater *u, const char *role, size_t limit, const char *want)
{
	struct seen seen = { .left = limit };
	struct err err;

	assert_done(updater_each_target(u, role, note, &seen, &err) == VERDICT_OK, &err);
	assert_string_equal(buf_text(&seen.text), want);
	buf_release(&seen.text);
}

static void a_role_lists_what_a_search_would_find(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	SCOPED(updater) struct updater *u = NULL;
	struct seen seen = { .left = 9 };
	struct err err;

	tufrepo_delegate(r, "targets", "a", 10, "a/*", false);
	tufrepo_delegate(r, "targets", "b", 11, "*/*", false);
	tufrepo_delegate(r, "b", "c", 12, "c/*", false);
	tufrepo_target(r, "a", "a/one", "1");
	tufrepo_target(r, "a", "b/foreign", "2");
	tufrepo_target(r, "b", "a/one", "hidden by a");
	tufrepo_target(r, "b", "b/two", "3");
	tufrepo_target(r, "c", "c/three", "4");
	tufrepo_publish(r);
	u = refreshed(r);
	check_listing(u, "a", 9, " a:a/one");
	check_listing(u, "b", 9, " b:b/two c:c/three");
	check_listing(u, "targets", 9, " a:a/one b:b/two c:c/three");
	check_listing(u, "targets", 1, " a:a/one");
	assert_int_equal(updater_each_target(u, "nobody", note, &seen, &err),
			 VERDICT_MISSING_TARGET_ROLE);
	tufrepo_free(r);
}

static void bins_are_listed(void **state UNUSED)
{
	struct tufrepo *r = build_bins();
	SCOPED(updater) struct updater *u = refreshed(r);
	struct seen seen = { .left = 9 };
	struct err err;

	assert_done(updater_each_target(u, "targets", note, &seen, &err) == VERDICT_OK, &err);
	assert_non_null(strstr(buf_text(&seen.text), " bin-05:x"));
	assert_non_null(strstr(buf_text(&seen.text), " bin-14:y"));
	assert_null(strstr(buf_text(&seen.text), ":z"));
	buf_release(&seen.text);
	tufrepo_free(r);
}

TESTING_MAIN(cmocka_unit_test(graphs_are_searched_in_order),
	     cmocka_unit_test(a_found_target_is_fetched_and_checked),
	     cmocka_unit_test(false_targets_are_refused),
	     cmocka_unit_test(targets_are_asked_for_by_name_and_hash),
	     cmocka_unit_test(plain_repositories_have_plain_names),
	     cmocka_unit_test(hostile_role_names_are_encoded),
	     cmocka_unit_test(hostile_target_names_are_never_fetched),
	     cmocka_unit_test(untrusted_roles_end_the_search),
	     cmocka_unit_test(a_cached_role_is_verified_for_each_delegator),
	     cmocka_unit_test(a_stored_role_is_verified_for_the_present_delegator),
	     cmocka_unit_test(stored_roles_are_not_fetched_again),
	     cmocka_unit_test(the_search_stops_at_the_cap),
	     cmocka_unit_test(hash_prefixes_delegate), cmocka_unit_test(bins_delegate),
	     cmocka_unit_test(a_role_lists_what_a_search_would_find),
	     cmocka_unit_test(bins_are_listed), )

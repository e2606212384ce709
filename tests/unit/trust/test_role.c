#include "support/testing.h"

#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "support/tufrepo.h"
#include "trust/role.h"

/* Valid files to begin with; tests replace a piece of text. */
static struct tufrepo *sample(void)
{
	struct tufrepo *r = tufrepo_new();

	r->list_hashes = true;
	tufrepo_delegate(r, "targets", "a", 10, "x/*", true);
	tufrepo_target(r, "targets", "one", "1");
	tufrepo_publish(r);
	return r;
}

static const struct {
	const char *path;
	enum role_kind kind;
} files[] = {
	{ "1.root.json", ROLE_ROOT },         { "timestamp.json", ROLE_TIMESTAMP },
	{ "2.snapshot.json", ROLE_SNAPSHOT }, { "1.targets.json", ROLE_TARGETS },
	{ "1.a.json", ROLE_TARGETS },
};

static void valid_files_are_read(void **state UNUSED)
{
	struct tufrepo *r = sample();

	for (size_t i = 0; i < COUNT_OF(files); i++) {
		SCOPED(role) struct role *role = NULL;
		struct err err;

		assert_done(role_parse(&role, files[i].kind,
				       buf_span(memfiles_find(&r->metadata, files[i].path)),
				       &err) == VERDICT_OK,
			    &err);
		assert_int_equal(role->expires, TUFREPO_NOW + TUFREPO_LIFE);
	}
	tufrepo_free(r);
}

static void lookups_find_what_is_listed(void **state UNUSED)
{
	struct tufrepo *r = sample();
	SCOPED(role) struct role *snapshot = NULL;
	SCOPED(role) struct role *targets = NULL;
	struct role_listing listing;
	struct role_target target;
	struct err err;

	assert_int_equal(role_parse(&snapshot, ROLE_SNAPSHOT,
				    buf_span(memfiles_find(&r->metadata, "2.snapshot.json")), &err),
			 VERDICT_OK);
	assert_int_equal(role_parse(&targets, ROLE_TARGETS,
				    buf_span(memfiles_find(&r->metadata, "1.targets.json")), &err),
			 VERDICT_OK);
	assert_true(role_listing_of(&listing, snapshot, "a"));
	assert_int_equal(listing.version, 1);
	assert_true(listing.length > 0);
	assert_false(role_listing_of(&listing, snapshot, "b"));
	assert_true(role_target_find(&target, targets, "one"));
	assert_int_equal(target.length, 1);
	assert_false(role_target_find(&target, targets, "two"));
	assert_int_equal(targets->delegation_count, 1);
	assert_string_equal(targets->delegations[0].name, "a");
	assert_true(targets->delegations[0].terminating);
	tufrepo_free(r);
}

/* The file with the first `old` replaced. */
static void replace(struct buf *out, const struct buf *in, const char *old, const char *with)
{
	const char *text = (const char *)in->data;
	const char *at = strstr(text, old);

	if (at == NULL)
		fail_msg("no \"%s\" in %s", old, text);
	buf_put(out, text, (size_t)(at - text));
	buf_put_text(out, with);
	buf_put_text(out, at + strlen(old));
}

static const struct {
	const char *why, *path;
	enum role_kind kind;
	const char *old, *with;
	enum verdict want;
} edits[] = {
	{ "no signatures", "timestamp.json", ROLE_TIMESTAMP, "\"signatures\"", "\"signature\"",
	  VERDICT_MALFORMED },
	{ "no body", "timestamp.json", ROLE_TIMESTAMP, "\"signed\"", "\"singed\"",
	  VERDICT_MALFORMED },
	{ "no type", "timestamp.json", ROLE_TIMESTAMP, "\"_type\"", "\"type\"", VERDICT_MALFORMED },
	{ "another type", "timestamp.json", ROLE_TIMESTAMP, "\"_type\":\"timestamp\"",
	  "\"_type\":\"snapshot\"", VERDICT_WRONG_ROLE },
	{ "an unknown type", "timestamp.json", ROLE_TIMESTAMP, "\"_type\":\"timestamp\"",
	  "\"_type\":\"\"", VERDICT_WRONG_ROLE },
	{ "a type that is no text", "timestamp.json", ROLE_TIMESTAMP, "\"_type\":\"timestamp\"",
	  "\"_type\":1", VERDICT_MALFORMED },
	{ "no version", "timestamp.json", ROLE_TIMESTAMP, "\"version\":2}", "\"v\":2}",
	  VERDICT_MALFORMED },
	{ "version zero", "timestamp.json", ROLE_TIMESTAMP, "\"version\":2}", "\"version\":0}",
	  VERDICT_MALFORMED },
	{ "a negative version", "timestamp.json", ROLE_TIMESTAMP, "\"version\":2}",
	  "\"version\":-2}", VERDICT_MALFORMED },
	{ "a fraction", "timestamp.json", ROLE_TIMESTAMP, "\"version\":2}", "\"version\":2.0}",
	  VERDICT_MALFORMED },
	{ "a text", "timestamp.json", ROLE_TIMESTAMP, "\"version\":2}", "\"version\":\"2\"}",
	  VERDICT_MALFORMED },
	{ "past 2^53", "timestamp.json", ROLE_TIMESTAMP, "\"version\":2}",
	  "\"version\":9007199254740993}", VERDICT_MALFORMED },
	{ "past 2^64", "timestamp.json", ROLE_TIMESTAMP, "\"version\":2}",
	  "\"version\":99999999999999999999}", VERDICT_MALFORMED },
	{ "a duplicate member", "timestamp.json", ROLE_TIMESTAMP, "\"version\":2}",
	  "\"version\":2,\"version\":2}", VERDICT_MALFORMED },
	{ "a NUL", "timestamp.json", ROLE_TIMESTAMP, "\"spec_version\":\"1.0.34\"",
	  "\"spec_version\":\"1.0.34\",\"x\":\"\\u0000\"", VERDICT_MALFORMED },
	{ "invalid UTF-8", "timestamp.json", ROLE_TIMESTAMP, "\"spec_version\":\"1.0.34\"",
	  "\"spec_version\":\"1.0.34\",\"x\":\"\xff\"", VERDICT_MALFORMED },
	{ "a lone surrogate", "timestamp.json", ROLE_TIMESTAMP, "\"spec_version\":\"1.0.34\"",
	  "\"spec_version\":\"1.0.34\",\"x\":\"\\ud800\"", VERDICT_MALFORMED },
	{ "an older specification", "timestamp.json", ROLE_TIMESTAMP, "1.0.34", "1.0", VERDICT_OK },
	{ "a later minor one", "timestamp.json", ROLE_TIMESTAMP, "1.0.34", "1.9.0", VERDICT_OK },
	{ "a later major one", "timestamp.json", ROLE_TIMESTAMP, "1.0.34", "2.0.34",
	  VERDICT_MALFORMED },
	{ "a specification that is no number", "timestamp.json", ROLE_TIMESTAMP, "1.0.34", "1.x.34",
	  VERDICT_MALFORMED },
	{ "an expiry without zone", "timestamp.json", ROLE_TIMESTAMP, "Z\"", "\"",
	  VERDICT_MALFORMED },
	{ "an expiry with an offset", "timestamp.json", ROLE_TIMESTAMP, "Z\"", "+01:00\"",
	  VERDICT_MALFORMED },
	{ "an expiry with fractions", "timestamp.json", ROLE_TIMESTAMP, "Z\"", ".5Z\"",
	  VERDICT_MALFORMED },
	{ "an expiry that is no day", "timestamp.json", ROLE_TIMESTAMP, "-01-25T", "-02-30T",
	  VERDICT_MALFORMED },
	{ "a key id that is no text", "timestamp.json", ROLE_TIMESTAMP, "\"keyid\":\"",
	  "\"keyid\":1,\"x\":\"", VERDICT_MALFORMED },
	{ "a signature that is no text", "timestamp.json", ROLE_TIMESTAMP, "\"sig\":\"",
	  "\"sig\":[],\"x\":\"", VERDICT_MALFORMED },
	{ "no snapshot listed", "timestamp.json", ROLE_TIMESTAMP, "snapshot.json", "other.json",
	  VERDICT_MALFORMED },
	{ "a listing without version", "timestamp.json", ROLE_TIMESTAMP, "\"version\":2}}",
	  "\"v\":2}}", VERDICT_MALFORMED },
	{ "a negative length", "timestamp.json", ROLE_TIMESTAMP, "\"length\":", "\"length\":-",
	  VERDICT_MALFORMED },
	{ "an empty list of hashes", "timestamp.json", ROLE_TIMESTAMP, "\"hashes\":{",
	  "\"hashes\":{},\"x\":{", VERDICT_MALFORMED },
	{ "no targets listed", "2.snapshot.json", ROLE_SNAPSHOT, "targets.json", "t.json",
	  VERDICT_MALFORMED },
	{ "listings that are no object", "2.snapshot.json", ROLE_SNAPSHOT, "\"meta\":{",
	  "\"meta\":1,\"x\":{", VERDICT_MALFORMED },

	{ "no keys", "1.root.json", ROLE_ROOT, "\"keys\"", "\"kees\"", VERDICT_MALFORMED },
	{ "no roles", "1.root.json", ROLE_ROOT, "\"roles\"", "\"rolls\"", VERDICT_MALFORMED },
	{ "a role is missing", "1.root.json", ROLE_ROOT,
	  "\"snapshot\":", "\"snapshut\":", VERDICT_MALFORMED },
	{ "threshold zero", "1.root.json", ROLE_ROOT, "\"threshold\":1", "\"threshold\":0",
	  VERDICT_MALFORMED },
	{ "a negative threshold", "1.root.json", ROLE_ROOT, "\"threshold\":1", "\"threshold\":-1",
	  VERDICT_MALFORMED },
	{ "no threshold", "1.root.json", ROLE_ROOT, "\"threshold\"", "\"threshald\"",
	  VERDICT_MALFORMED },
	{ "no key ids", "1.root.json", ROLE_ROOT, "\"keyids\"", "\"keyeds\"", VERDICT_MALFORMED },
	{ "an empty key id", "1.root.json", ROLE_ROOT, "\"keyids\":[", "\"keyids\":[\"\",",
	  VERDICT_MALFORMED },
	{ "a key id that is a number", "1.root.json", ROLE_ROOT, "\"keyids\":[", "\"keyids\":[1,",
	  VERDICT_MALFORMED },
	{ "a key without value", "1.root.json", ROLE_ROOT, "\"keyval\"", "\"keyvul\"",
	  VERDICT_MALFORMED },
	{ "a key of another scheme", "1.root.json", ROLE_ROOT, "\"scheme\":\"ed25519\"",
	  "\"scheme\":\"ed448\"", VERDICT_OK },
	{ "consistency that is a text", "1.root.json", ROLE_ROOT, "snapshot\":true",
	  "snapshot\":\"true\"", VERDICT_MALFORMED },
	{ "consistency that is not said", "1.root.json", ROLE_ROOT, "consistent_snapshot", "other",
	  VERDICT_OK },

	{ "no targets", "1.targets.json", ROLE_TARGETS, "\"targets\":{", "\"turgets\":{",
	  VERDICT_MALFORMED },
	{ "a target without length", "1.targets.json", ROLE_TARGETS, "\"length\"", "\"lengthy\"",
	  VERDICT_MALFORMED },
	{ "a target without hashes", "1.targets.json", ROLE_TARGETS, "\"hashes\"", "\"hushes\"",
	  VERDICT_MALFORMED },
	{ "delegations without keys", "1.targets.json", ROLE_TARGETS, "\"keys\"", "\"kees\"",
	  VERDICT_MALFORMED },
	{ "delegations without roles", "1.targets.json", ROLE_TARGETS, "\"roles\"", "\"rolls\"",
	  VERDICT_MALFORMED },
	{ "a delegation without name", "1.targets.json", ROLE_TARGETS, "\"name\"", "\"nume\"",
	  VERDICT_MALFORMED },
	{ "a delegation to a top-level name", "1.targets.json", ROLE_TARGETS, "\"name\":\"a\"",
	  "\"name\":\"root\"", VERDICT_MALFORMED },
	{ "a delegation without paths", "1.targets.json", ROLE_TARGETS, "\"paths\"", "\"puths\"",
	  VERDICT_MALFORMED },
	{ "a delegation with both kinds of paths", "1.targets.json", ROLE_TARGETS,
	  "\"paths\":", "\"path_hash_prefixes\":[],\"paths\":", VERDICT_MALFORMED },
	{ "a pattern that is no text", "1.targets.json", ROLE_TARGETS, "\"paths\":[",
	  "\"paths\":[1,", VERDICT_MALFORMED },
	{ "paths that are no list", "1.targets.json", ROLE_TARGETS, "\"paths\":[",
	  "\"paths\":\"*\",\"x\":[", VERDICT_MALFORMED },
	{ "terminating that is a number", "1.targets.json", ROLE_TARGETS, "\"terminating\":true",
	  "\"terminating\":1", VERDICT_MALFORMED },
	{ "bins and roles", "1.targets.json", ROLE_TARGETS, "\"roles\"",
	  "\"succinct_roles\":{},\"roles\"", VERDICT_MALFORMED },
	{ "bins of no bits", "1.targets.json", ROLE_TARGETS, "\"roles\":[",
	  "\"succinct_roles\":{\"keyids\":[],\"threshold\":1,\"bit_length\":0,"
	  "\"name_prefix\":\"b\"},\"x\":[",
	  VERDICT_MALFORMED },
	{ "bins", "1.targets.json", ROLE_TARGETS, "\"roles\":[",
	  "\"succinct_roles\":{\"keyids\":[],\"threshold\":1,\"bit_length\":8,"
	  "\"name_prefix\":\"b\"},\"x\":[",
	  VERDICT_OK },
};

static void wrong_forms_are_refused(void **state UNUSED)
{
	struct tufrepo *r = sample();

	for (size_t i = 0; i < COUNT_OF(edits); i++) {
		SCOPED(role) struct role *role = NULL;
		SCOPED(buf) struct buf edited = { 0 };
		enum verdict got;
		struct err err;

		replace(&edited, memfiles_find(&r->metadata, edits[i].path), edits[i].old,
			edits[i].with);
		got = role_parse(&role, edits[i].kind, buf_span(&edited), &err);
		if (got != edits[i].want)
			fail_msg("%s: got %s (%s), want %s", edits[i].why, verdict_name(got),
				 got != VERDICT_OK ? err.why : "", verdict_name(edits[i].want));
	}
	tufrepo_free(r);
}

static void a_role_is_not_delegated_to_twice(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	SCOPED(role) struct role *role = NULL;
	struct err err;

	tufrepo_delegate(r, "targets", "a", 10, "x/*", false);
	tufrepo_delegate(r, "targets", "a", 11, "y/*", false);
	tufrepo_put(r, "targets");
	assert_int_equal(role_parse(&role, ROLE_TARGETS,
				    buf_span(memfiles_find(&r->metadata, "1.targets.json")), &err),
			 VERDICT_MALFORMED);
	tufrepo_free(r);
}

static void every_kind_has_its_cap(void **state UNUSED)
{
	struct tufrepo *r = sample();

	for (size_t i = 0; i < COUNT_OF(files); i++) {
		struct buf *bytes = memfiles_find(&r->metadata, files[i].path);
		SCOPED(role) struct role *role = NULL;
		struct err err;

		while (bytes->size < role_kind_max(files[i].kind))
			buf_put_u8(bytes, ' ');
		assert_int_equal(role_parse(&role, files[i].kind, buf_span(bytes), &err),
				 VERDICT_OK);
		role_free(role);
		role = NULL;
		buf_put_u8(bytes, ' ');
		assert_int_equal(role_parse(&role, files[i].kind, buf_span(bytes), &err),
				 VERDICT_TOO_LARGE);
	}
	tufrepo_free(r);
}

static void deep_nesting_is_refused(void **state UNUSED)
{
	SCOPED(buf) struct buf deep = { 0 };
	SCOPED(role) struct role *role = NULL;
	struct err err;

	for (size_t i = 0; i < 5000; i++)
		buf_put_u8(&deep, '[');
	assert_int_equal(role_parse(&role, ROLE_TIMESTAMP, buf_span(&deep), &err),
			 VERDICT_MALFORMED);
}

TESTING_MAIN(cmocka_unit_test(valid_files_are_read), cmocka_unit_test(lookups_find_what_is_listed),
	     cmocka_unit_test(wrong_forms_are_refused),
	     cmocka_unit_test(a_role_is_not_delegated_to_twice),
	     cmocka_unit_test(every_kind_has_its_cap), cmocka_unit_test(deep_nesting_is_refused), )

#include "trust/issuance.h"
#include "trust/publication.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "support/testing.h"

#define NOW INT64_C(1795000000)
#define DAY INT64_C(86400)

struct fixture {
	struct signer *items[SITEROLE_COUNT_];
	struct authority_signers signers;
	struct publication *pub;
	struct issuance_files files; /* of the last build */
};

static void build(struct fixture *f, int64_t now_s)
{
	struct err err = { 0 };

	assert_done(issuance_build(&f->files, f->pub, &f->signers, now_s, &err), &err);
}

static void fixture_make(struct fixture *f)
{
	const struct key *keys[SITEROLE_COUNT_];

	*f = (struct fixture){ .pub = publication_new() };
	f->signers = (struct authority_signers){ .items = f->items, .count = SITEROLE_COUNT_ };
	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		f->items[i] = signer_generate();
		keys[i] = signer_public(f->items[i]);
	}
	publication_found(f->pub, keys);
	build(f, NOW);
	issuance_accept(f->pub);
}

static void fixture_scoped(struct fixture *f)
{
	for (size_t i = 0; i < SITEROLE_COUNT_; i++)
		signer_free(f->items[i]);
	issuance_files_release(&f->files);
	publication_free(f->pub);
}

static void set(struct fixture *f, const char *path, const char *text)
{
	struct publication_target target = { .length = strlen(text) };
	struct err err = { 0 };

	digest_of(&target.sha256, span_of_text(text));
	assert_done(publication_set_target(f->pub, path, &target, &err), &err);
}

static void files_come_in_the_order_of_writing(void **state)
{
	static const char *const want[] = { "2.packages.json", "2.site.json", "2.snapshot.json",
					    "timestamp.json" };
	SCOPED(fixture) struct fixture f;

	(void)state;
	fixture_make(&f);
	set(&f, "site.json", "{}");
	set(&f, "package/LON00001.json", "{}");
	build(&f, NOW);
	assert_int_equal(f.files.count, COUNT_OF(want));
	for (size_t i = 0; i < COUNT_OF(want); i++)
		assert_string_equal(f.files.items[i].name, want[i]);
}

static void a_version_that_was_built_is_used_up(void **state)
{
	SCOPED(fixture) struct fixture f;

	(void)state;
	fixture_make(&f);
	set(&f, "site.json", "{}");
	build(&f, NOW);
	build(&f, NOW);
	assert_string_equal(f.files.items[0].name, "3.site.json");
	publication_saw_version(f.pub, SITEROLE_SITE, 40);
	publication_saw_version(f.pub, SITEROLE_SITE, 7);
	build(&f, NOW);
	assert_string_equal(f.files.items[0].name, "41.site.json");
	issuance_accept(f.pub);
	assert_int_equal(publication_version(f.pub, SITEROLE_SITE), 41);
}

static void dropped_changes_are_built_no_more(void **state)
{
	SCOPED(fixture) struct fixture f;
	struct publication_target target;

	(void)state;
	fixture_make(&f);
	set(&f, "site.json", "{}");
	assert_true(issuance_has_changes(f.pub));
	assert_true(publication_find_target(&target, f.pub, "site.json"));
	publication_drop_changes(f.pub);
	assert_false(issuance_has_changes(f.pub));
	assert_false(publication_find_target(&target, f.pub, "site.json"));
	build(&f, NOW);
	assert_int_equal(f.files.count, 0);
}

static void a_role_past_what_clients_read_is_refused(void **state)
{
	SCOPED(fixture) struct fixture f;
	struct err err = { 0 };

	(void)state;
	fixture_make(&f);
	for (int i = 0; i < 45000; i++) {
		char path[64];

		snprintf(path, sizeof(path), "package/LON%05X.json", i);
		set(&f, path, "{}");
	}
	assert_false(issuance_build(&f.files, f.pub, &f.signers, NOW, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

static void target_files_carry_their_hash(void **state)
{
	struct digest d;
	char *nested, *top;

	(void)state;
	memset(&d, 0xab, sizeof(d));
#define AB8  "abababababababab"
#define AB32 AB8 AB8 AB8 AB8
	nested = publication_target_file("manifest/LON00001/12", &d);
	assert_string_equal(nested, "manifest/LON00001/" AB32 ".12");
	top = publication_target_file("site.json", &d);
	assert_string_equal(top, AB32 ".site.json");
	free(nested);
	free(top);
}

/* The bytes of a role as last built; a copy that the caller may spoil and releases. */
static void copy_built(struct buf *out, const struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->files.count; i++)
		if (strcmp(f->files.items[i].name, name) == 0)
			buf_put_span(out, buf_span(&f->files.items[i].bytes));
	assert_true(out->size > 0);
}

static bool load(struct publication *pub, const struct fixture *f, enum siterole role,
		 const char *name, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	copy_built(&bytes, f, name);
	return publication_load(pub, role, buf_span(&bytes), err);
}

static void what_was_built_loads(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(publication) struct publication *pub = publication_new();
	struct err err = { 0 };

	(void)state;
	fixture_make(&f);
	assert_done(load(pub, &f, SITEROLE_ROOT, "1.root.json", &err), &err);
	assert_done(load(pub, &f, SITEROLE_TIMESTAMP, "timestamp.json", &err), &err);
	assert_done(load(pub, &f, SITEROLE_SNAPSHOT, "1.snapshot.json", &err), &err);
	for (size_t i = SITEROLE_TARGETS; i < SITEROLE_SNAPSHOT; i++) {
		SCOPED_TEXT char *name = alloc_printf("1.%s.json",
						      siterole_rule((enum siterole)i)->name);

		assert_int_equal(publication_listed_version(pub, (enum siterole)i), 1);
		assert_done(load(pub, &f, (enum siterole)i, name, &err), &err);
	}
	assert_false(issuance_has_changes(pub));
}

static void files_that_do_not_belong_are_refused(void **state)
{
	SCOPED(fixture) struct fixture f, other;
	SCOPED(publication) struct publication *pub = publication_new();
	SCOPED(buf) struct buf large = { 0 };
	struct err err = { 0 };

	(void)state;
	fixture_make(&f);
	fixture_make(&other);
	assert_done(load(pub, &f, SITEROLE_ROOT, "1.root.json", &err), &err);

	assert_false(load(pub, &other, SITEROLE_TIMESTAMP, "timestamp.json", &err));
	assert_int_equal(err.code, ERR_TRUST);
	assert_false(load(pub, &f, SITEROLE_TIMESTAMP, "1.snapshot.json", &err));
	assert_int_equal(err.code, ERR_FORMAT);
	assert_done(load(pub, &f, SITEROLE_TIMESTAMP, "timestamp.json", &err), &err);
	assert_false(load(pub, &other, SITEROLE_SNAPSHOT, "1.snapshot.json", &err));
	assert_int_equal(err.code, ERR_TRUST);
	assert_done(load(pub, &f, SITEROLE_SNAPSHOT, "1.snapshot.json", &err), &err);
	/* The right type and version, but of another role. */
	set(&f, "site.json", "{}");
	assert_false(load(pub, &f, SITEROLE_SITE, "1.targets.json", &err));
	assert_int_equal(err.code, ERR_TRUST);

	memset(buf_reserve(&large, 512001), ' ', 512001);
	buf_grew(&large, 512001);
	assert_false(publication_load(pub, SITEROLE_ROOT, buf_span(&large), &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

TESTING_MAIN(cmocka_unit_test(files_come_in_the_order_of_writing),
	     cmocka_unit_test(a_version_that_was_built_is_used_up),
	     cmocka_unit_test(dropped_changes_are_built_no_more),
	     cmocka_unit_test(a_role_past_what_clients_read_is_refused),
	     cmocka_unit_test(target_files_carry_their_hash),
	     cmocka_unit_test(what_was_built_loads),
	     cmocka_unit_test(files_that_do_not_belong_are_refused))

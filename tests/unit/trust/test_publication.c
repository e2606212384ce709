#include "trust/publication.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "support/pubbox.h"

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
static void copy_built(struct buf *out, const struct pubbox *f, const char *name)
{
	for (size_t i = 0; i < f->files.count; i++)
		if (strcmp(f->files.items[i].name, name) == 0)
			buf_put_span(out, buf_span(&f->files.items[i].bytes));
	assert_true(out->size > 0);
}

static bool load(struct publication *pub, const struct pubbox *f, enum siterole role,
		 const char *name, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	copy_built(&bytes, f, name);
	return publication_load(pub, role, buf_span(&bytes), err);
}

static void what_was_built_loads(void **state)
{
	SCOPED(pubbox) struct pubbox f;
	SCOPED(publication) struct publication *pub = publication_new();
	struct err err = { 0 };

	(void)state;
	pubbox_make(&f);
	assert_done(load(pub, &f, SITEROLE_ROOT, "1.root.json", &err), &err);
	assert_done(load(pub, &f, SITEROLE_TIMESTAMP, "timestamp.json", &err), &err);
	assert_done(load(pub, &f, SITEROLE_SNAPSHOT, "1.snapshot.json", &err), &err);
	for (size_t i = SITEROLE_TARGETS; i <= SITEROLE_ASSIGNMENTS; i++) {
		SCOPED_TEXT char *name = alloc_printf("1.%s.json",
						      siterole_name((enum siterole)i).text);

		assert_int_equal(publication_listed_version(pub, (enum siterole)i), 1);
		assert_done(load(pub, &f, (enum siterole)i, name, &err), &err);
	}
	assert_false(issuance_has_changes(pub));
}

static void files_that_do_not_belong_are_refused(void **state)
{
	SCOPED(pubbox) struct pubbox f, other;
	SCOPED(publication) struct publication *pub = publication_new();
	SCOPED(buf) struct buf large = { 0 };
	struct err err = { 0 };

	(void)state;
	pubbox_make(&f);
	pubbox_make(&other);
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
	pubbox_set(&f, "site.json", "{}");
	assert_false(load(pub, &f, SITEROLE_SITE, "1.targets.json", &err));
	assert_int_equal(err.code, ERR_TRUST);

	memset(buf_reserve(&large, 512001), ' ', 512001);
	buf_grew(&large, 512001);
	assert_false(publication_load(pub, SITEROLE_ROOT, buf_span(&large), &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

TESTING_MAIN(cmocka_unit_test(target_files_carry_their_hash),
	     cmocka_unit_test(what_was_built_loads),
	     cmocka_unit_test(files_that_do_not_belong_are_refused))

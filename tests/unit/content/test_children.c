#include "content/children.h"

#include <string.h>

#include "common/alloc.h"
#include "support/testing.h"

static void add(struct manifest *m, const char *path, enum manifest_type type)
{
	const struct manifest_entry e = {
		.path = path,
		.target = type == MANIFEST_LINK ? "x" : NULL,
		.same_as = MANIFEST_NOT_SAME,
		.mode = type == MANIFEST_LINK ? 0777 : 0755,
		.type = (uint8_t)type,
	};

	manifest_add_entry(m, &e);
}

/* '-' and '.' sort before '/': what is in a folder does not stand right behind it. */
static struct manifest *new_manifest(void)
{
	struct manifest *m = manifest_new();

	add(m, "a", MANIFEST_DIR);
	add(m, "a-b", MANIFEST_FILE);
	add(m, "a.c", MANIFEST_DIR);
	add(m, "a.c/z", MANIFEST_FILE);
	add(m, "a/d", MANIFEST_DIR);
	add(m, "a/d/e", MANIFEST_FILE);
	add(m, "a/f", MANIFEST_LINK);
	add(m, "b", MANIFEST_DIR);
	return m;
}

static char *listing(const struct children *c, uint32_t folder)
{
	char *text = alloc_text("");

	for (uint32_t e = children_first(c, folder); e != CHILDREN_NONE; e = c->next[e]) {
		char *longer = alloc_printf("%s%s ", text, children_name(c, e));

		alloc_text_free(&text);
		text = longer;
	}
	return text;
}

static void folders_list_what_is_in_them_in_order(void **state UNUSED)
{
	static const struct {
		uint32_t folder;
		const char *names;
	} rows[] = {
		{ CHILDREN_ROOT, "a a-b a.c b " },
		{ 0, "d f " },
		{ 2, "z " },
		{ 4, "e " },
		{ 7, "" },
		{ 1, "" },
	};
	SCOPED(manifest) struct manifest *m = new_manifest();
	SCOPED(children) struct children c = { 0 };

	children_init(&c, m);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		SCOPED_TEXT char *names = listing(&c, rows[i].folder);

		assert_string_equal(names, rows[i].names);
	}
}

static void names_are_found_in_their_folder_only(void **state UNUSED)
{
	SCOPED(manifest) struct manifest *m = new_manifest();
	SCOPED(children) struct children c = { 0 };

	children_init(&c, m);
	assert_int_equal(children_find(&c, CHILDREN_ROOT, "a"), 0);
	assert_int_equal(children_find(&c, CHILDREN_ROOT, "b"), 7);
	assert_int_equal(children_find(&c, 0, "f"), 6);
	assert_int_equal(children_find(&c, 4, "e"), 5);
	assert_int_equal(children_find(&c, CHILDREN_ROOT, "d"), CHILDREN_NONE);
	assert_int_equal(children_find(&c, 0, "e"), CHILDREN_NONE);
	assert_int_equal(children_find(&c, CHILDREN_ROOT, ""), CHILDREN_NONE);
	assert_int_equal(children_find(&c, CHILDREN_ROOT, "zz"), CHILDREN_NONE);
}

static void an_empty_package_has_an_empty_root(void **state UNUSED)
{
	SCOPED(manifest) struct manifest *m = manifest_new();
	SCOPED(children) struct children c = { 0 };

	children_init(&c, m);
	assert_int_equal(children_first(&c, CHILDREN_ROOT), CHILDREN_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folders_list_what_is_in_them_in_order),
		cmocka_unit_test(names_are_found_in_their_folder_only),
		cmocka_unit_test(an_empty_package_has_an_empty_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "content/pack.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "support/testing.h"

static int make_folder(void **state)
{
	const char *tmp = getenv("TMPDIR");

	*state = alloc_printf("%s/test_pack.XXXXXX", tmp != NULL ? tmp : "/tmp");
	return mkdtemp(*state) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
	struct err err;
	bool done = path_remove_tree(*state, &err);

	free(*state);
	return done ? 0 : -1;
}

static int count_files(const char *dir)
{
	struct dirent **names;
	int count = scandir(dir, &names, NULL, NULL);

	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return count - 2;
}

static void a_pack_has_the_name_of_its_bytes(void **state)
{
	SCOPED(pack) struct pack p = PACK_EMPTY;
	SCOPED(buf) struct buf bytes = { 0 };
	struct digest digest, want;
	char name[PACK_NAME_MAX];
	SCOPED_TEXT char *path = NULL;
	struct err err;

	assert_done(pack_begin(&p, *state, &err), &err);
	assert_done(pack_append(&p, span_of_text("first"), &err), &err);
	assert_int_equal(p.size, 5);
	assert_done(pack_append(&p, span_of_text("second"), &err), &err);
	assert_done(pack_commit(&digest, &p, &err), &err);
	digest_of(&want, span_of_text("firstsecond"));
	assert_true(digest_equal(&digest, &want));
	pack_print_name(name, &digest);
	path = path_join(*state, name);
	assert_done(path_read(&bytes, path, 100, &err), &err);
	assert_string_equal(buf_text(&bytes), "firstsecond");
	assert_int_equal(count_files(*state), 1);
}

static void a_pack_that_is_there_stays(void **state)
{
	struct err err;
	struct digest digest;

	for (int i = 0; i < 2; i++) {
		SCOPED(pack) struct pack p = PACK_EMPTY;

		assert_done(pack_begin(&p, *state, &err), &err);
		assert_done(pack_append(&p, span_of_text("same"), &err), &err);
		assert_done(pack_commit(&digest, &p, &err), &err);
	}
	assert_int_equal(count_files(*state), 1);
}

static void an_abandoned_pack_leaves_nothing(void **state)
{
	struct pack p = PACK_EMPTY;
	struct err err;

	assert_done(pack_begin(&p, *state, &err), &err);
	assert_done(pack_append(&p, span_of_text("bytes"), &err), &err);
	assert_int_equal(count_files(*state), 1);
	pack_abandon(&p);
	pack_abandon(&p);
	assert_int_equal(count_files(*state), 0);
}

static void names_have_one_form(void **state UNUSED)
{
	struct digest digest;
	char name[PACK_NAME_MAX];

	digest_of(&digest, span_of_text(""));
	pack_print_name(name, &digest);
	assert_true(pack_parse_name(&digest, name));
	name[0] = 'E';
	assert_false(pack_parse_name(&digest, name));
	assert_false(pack_parse_name(&digest, ".pack"));
	assert_false(pack_parse_name(&digest, ".new-0000000000000000"));
}

static void bytes_are_checked_against_their_name(void **state UNUSED)
{
	static const char text[] = "the bytes of a pack";
	static const struct {
		const char *why;
		size_t size;
		int flip; /* byte to change; -1 none */
		bool fine;
	} cases[] = {
		{ "as it should be", sizeof(text), -1, true },
		{ "one byte short", sizeof(text) - 1, -1, false },
		{ "nothing", 0, -1, false },
		{ "first byte changed", sizeof(text), 0, false },
		{ "last byte changed", sizeof(text), sizeof(text) - 1, false },
		{ "one byte more", sizeof(text) + 1, -1, false },
	};
	struct digest digest;

	digest_of(&digest, span_of(text, sizeof(text)));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(pack_check) struct pack_check check;
		char bytes[sizeof(text) + 1] = { 0 };
		struct err err;
		bool fine = true;

		memcpy(bytes, text, sizeof(text));
		if (cases[i].flip >= 0)
			bytes[cases[i].flip] ^= 1;
		pack_check_init(&check, &digest, sizeof(text));
		for (size_t at = 0; at < cases[i].size && fine; at++)
			fine = pack_check_feed(&check, span_of(bytes + at, 1), &err);
		fine = fine && pack_check_finish(&check, &err);
		if (fine != cases[i].fine)
			fail_msg("%s", cases[i].why);
		if (!fine)
			assert_int_equal(err.code, ERR_CORRUPT);
	}
}

TESTING_MAIN(cmocka_unit_test_setup_teardown(a_pack_has_the_name_of_its_bytes, make_folder,
					     remove_folder),
	     cmocka_unit_test_setup_teardown(a_pack_that_is_there_stays, make_folder,
					     remove_folder),
	     cmocka_unit_test_setup_teardown(an_abandoned_pack_leaves_nothing, make_folder,
					     remove_folder),
	     cmocka_unit_test(names_have_one_form),
	     cmocka_unit_test(bytes_are_checked_against_their_name))

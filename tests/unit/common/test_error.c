#include "support/testing.h"

#include <errno.h>
#include <string.h>

#include "common/error.h"

static void every_code_has_a_name_an_exit_and_an_advice(void **state UNUSED)
{
	for (int i = 0; i < ERR_COUNT_; i++) {
		enum err_code code = (enum err_code)i;

		assert_int_equal(strncmp(err_name(code), "PW-", 3), 0);
		assert_int_equal(strspn(err_name(code), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"),
				 strlen(err_name(code)));
		assert_in_range(err_exit(code), EXIT_DONE, EXIT_PROGRAM_FAILED);
		assert_true((err_exit(code) == EXIT_DONE) == (code == ERR_NONE));
		assert_string_not_equal(err_advice(code), "");
		assert_int_equal(err_by_name(err_name(code)), code);
	}
	assert_int_equal(err_by_name("PW-NOTHING-LIKE-IT"), ERR_INTERNAL);
	assert_int_equal(err_by_name(""), ERR_INTERNAL);
}

static void the_systems_reason_chooses_the_code(void **state UNUSED)
{
	static const struct {
		enum err_code given;
		int sys_errno;
		enum err_code want;
	} cases[] = {
		{ ERR_IO, ENOSPC, ERR_DISK_FULL },
		{ ERR_IO, EDQUOT, ERR_DISK_FULL },
		{ ERR_IO, EFBIG, ERR_DISK_FULL },
		{ ERR_IO, EACCES, ERR_PERMISSION },
		{ ERR_IO, EPERM, ERR_PERMISSION },
		{ ERR_IO, EROFS, ERR_PERMISSION },
		{ ERR_IO, ENOMEM, ERR_MEMORY },
		{ ERR_IO, ENOENT, ERR_NOT_FOUND },
		{ ERR_IO, EIO, ERR_IO },
		{ ERR_NET, ENOENT, ERR_NET },
		{ ERR_NET, ECONNRESET, ERR_NET },
		{ ERR_SOURCE, ENOSPC, ERR_DISK_FULL },
		{ ERR_SOURCE, ENOENT, ERR_SOURCE },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct err err = { 0 };

		assert_false(err_sys(&err, cases[i].given, cases[i].sys_errno, "file %s", "x"));
		assert_int_equal(err.code, cases[i].want);
		assert_int_equal(err.sys_errno, cases[i].sys_errno);
		assert_non_null(strstr(err.why, "file x: "));
		assert_non_null(strstr(err.why, strerror(cases[i].sys_errno)));
	}
}

static void too_many_open_files_have_their_own_advice(void **state UNUSED)
{
	struct err err = { 0 };

	err_sys(&err, ERR_IO, EMFILE, "file x");
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err_fix_text(&err), "ulimit -n"));
	err_sys(&err, ERR_IO, EIO, "file x");
	assert_string_equal(err_fix_text(&err), err_advice(ERR_IO));
}

static void the_first_to_say_what_was_attempted_is_heard(void **state UNUSED)
{
	struct err err = { 0 };

	assert_false(err_set(&err, ERR_NET, "why %d", 1));
	assert_false(err_what(&err, "inner"));
	assert_false(err_what(&err, "outer"));
	assert_string_equal(err.what, "inner");
	assert_string_equal(err_fix_text(&err), err_advice(ERR_NET));
	assert_false(err_fix(&err, "do that"));
	assert_string_equal(err_fix_text(&err), "do that");
	/* A new fault has nothing of the old one. */
	assert_false(err_set(&err, ERR_IO, "why 2"));
	assert_string_equal(err.what, "");
	assert_string_equal(err_fix_text(&err), err_advice(ERR_IO));
	assert_int_equal(err.sys_errno, 0);
}

static void foreign_text_of_any_length_is_one_line(void **state UNUSED)
{
	static char huge[100000];
	struct err err = { 0 };

	memset(huge, 'x', sizeof(huge) - 1);
	err_set(&err, ERR_NET, "%s", huge);
	assert_in_range(strlen(err.why), 100, ERR_TEXT_MAX - 1);
	err_sys(&err, ERR_IO, EIO, "%s", huge);
	assert_in_range(strlen(err.why), 100, ERR_TEXT_MAX - 1);
	err_set(&err, ERR_NET, "a\nb\x1b[0m\xff");
	assert_string_equal(err.why, "a\\nb\\x1b[0m\\xff");
	/* A character that does not fit whole is left out. */
	memset(huge, 0, sizeof(huge));
	for (size_t i = 0; i + 2 < 2000; i += 2)
		memcpy(huge + i, "\xc3\xa4", 2);
	err_set(&err, ERR_NET, "x%s", huge);
	assert_int_equal((uint8_t)err.why[strlen(err.why) - 1], 0xa4);
}

TESTING_MAIN(cmocka_unit_test(every_code_has_a_name_an_exit_and_an_advice),
	     cmocka_unit_test(the_systems_reason_chooses_the_code),
	     cmocka_unit_test(too_many_open_files_have_their_own_advice),
	     cmocka_unit_test(the_first_to_say_what_was_attempted_is_heard),
	     cmocka_unit_test(foreign_text_of_any_length_is_one_line))

/* Settings from one table: which source wins, and what is refused. */
#include "common/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/newfile.h"
#include "common/path.h"
#include "support/testing.h"

static const struct config_key keys[] = {
	{ "testing-folder", CONFIG_PATH, "/var/lib/x", "folder" },
	{ "testing-poll", CONFIG_DURATION, "15m", "seconds between polls" },
	{ "testing-rate", CONFIG_SIZE, NULL, "bytes a second" },
	{ "testing-flag", CONFIG_BOOL, "no", "a flag" },
	{ "testing-count", CONFIG_NUMBER, "3", "a number", .max = 32 },
	{ 0 },
};

static char file[64];

static int make_file(void **state UNUSED)
{
	snprintf(file, sizeof(file), "/tmp/test_config.XXXXXX");
	close(mkstemp(file));
	return 0;
}

static int remove_file(void **state UNUSED)
{
	unsetenv("PACKWAY_TESTING_POLL");
	return unlink(file);
}

static void write_file(const char *text)
{
	struct err err = { 0 };

	assert_done(newfile_write(file, 0600, span_of_text(text), &err), &err);
}

static void the_stronger_source_wins_in_any_order(void **state UNUSED)
{
	SCOPED(config) struct config *c = config_new(keys);
	struct err err = { 0 };

	assert_int_equal(config_number(c, "testing-poll", 0), 900);
	write_file("# comment\n\ntesting-poll = 1h\n testing-rate = 2MB/s ; inline\n");
	assert_done(config_read_file(c, file, &err), &err);
	assert_int_equal(config_number(c, "testing-poll", 0), 3600);
	assert_int_equal(config_number(c, "testing-rate", 0), 2000000);
	setenv("PACKWAY_TESTING_POLL", "30s", 1);
	assert_done(config_read_environment(c, &err), &err);
	assert_int_equal(config_number(c, "testing-poll", 0), 30);
	assert_done(config_set(c, "testing-poll", "7s", CONFIG_FLAG, NULL, &err), &err);
	assert_int_equal(config_number(c, "testing-poll", 0), 7);
	assert_done(config_set(c, "testing-poll", "9s", CONFIG_POLICY, NULL, &err), &err);
	assert_int_equal(config_number(c, "testing-poll", 0), 7);
	assert_int_equal(config_entry_at(c, 1).source, CONFIG_FLAG);
	assert_string_equal(config_text(c, "testing-folder"), "/var/lib/x");
	assert_false(config_flag(c, "testing-flag"));
	assert_done(config_set(c, "testing-count", "32", CONFIG_FLAG, NULL, &err), &err);
	assert_int_equal(config_number(c, "testing-count", 0), 32);
}

static void an_entry_says_where_its_value_stands(void **state UNUSED)
{
	SCOPED(config) struct config *c = config_new(keys);
	struct err err = { 0 };
	char want[80];

	write_file("\n\ntesting-flag = on\n");
	assert_done(config_read_file(c, file, &err), &err);
	snprintf(want, sizeof(want), "%s:3", file);
	assert_string_equal(config_entry_at(c, 3).where, want);
	assert_true(config_flag(c, "testing-flag"));
}

static void the_file_read_first_wins(void **state UNUSED)
{
	SCOPED(config) struct config *c = config_new(keys);
	struct err err = { 0 };

	write_file("testing-poll = 1h\n");
	assert_done(config_read_file(c, file, &err), &err);
	write_file("testing-poll = 2h\n");
	assert_done(config_read_file(c, file, &err), &err);
	assert_int_equal(config_number(c, "testing-poll", 0), 3600);
}

static void bad_files_are_refused_whole_with_their_line(void **state UNUSED)
{
	static const struct {
		const char *why, *text, *said;
	} cases[] = {
		{ "unknown key", "testing-poll = 1h\ntesting-pol = 1h\n", ":2: there is no key" },
		{ "wrong value", "testing-poll = 1h\ntesting-flag = maybe\n", "is not yes or no" },
		{ "too large", "testing-count = 33\n",
		  ":1: testing-count = \"33\" is not a whole number up to 32" },
		{ "section", "[x]\ntesting-poll = 1h\n", ":1: sections are not used" },
		{ "no pair", "testing-poll = 1h\nfrob\n", "expected" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(config) struct config *c = config_new(keys);
		struct err err = { 0 };

		write_file(cases[i].text);
		if (config_read_file(c, file, &err))
			fail_msg("%s: taken", cases[i].why);
		assert_int_equal(err.code, ERR_CONFIG);
		if (strstr(err.why, cases[i].said) == NULL)
			fail_msg("%s: said \"%s\"", cases[i].why, err.why);
		assert_int_equal(config_number(c, "testing-poll", 0), 900);
	}
}

static void absent_files_are_told_apart(void **state UNUSED)
{
	SCOPED(config) struct config *c = config_new(keys);
	struct err err = { 0 };

	assert_false(config_read_file(c, "/nowhere/x.conf", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_done(config_read_file_if_there(c, "/nowhere/x.conf", &err), &err);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_file, remove_file)
TESTING_MAIN(CASE(the_stronger_source_wins_in_any_order),
	     CASE(an_entry_says_where_its_value_stands), CASE(the_file_read_first_wins),
	     CASE(bad_files_are_refused_whole_with_their_line), CASE(absent_files_are_told_apart))

/* The command line's words against tables of options and arguments. */
#include "cli/options.h"

#include <string.h>

#include "support/testing.h"

static const struct option_spec global[] = {
	{ .name = "json", .help = "JSON" },
	{ .name = "help", .letter = 'h', .help = "help" },
	{ .name = "site", .type = OPTION_PATH, .help = "folder" },
	{ 0 },
};

static const struct option_spec own[] = {
	{ .name = "dp", .type = OPTION_NAME, .flags = OPTION_REPEATED, .help = "DPs" },
	{ .name = "output", .letter = 'o', .type = OPTION_PATH, .help = "file" },
	{ .name = "percent", .type = OPTION_NUMBER, .min = 1, .max = 100, .help = "sample" },
	{ .name = "ways", .type = OPTION_CHOICE, .choices = "in-tier|cross-tier", .help = "ways" },
	{ .name = "rate", .type = OPTION_SIZE, .help = "rate" },
	{ .name = "at", .type = OPTION_TIME, .help = "time" },
	{ 0 },
};

static const struct argument_spec arguments[] = {
	{ .name = "ID", .type = OPTION_TEXT, .help = "package" },
	{ .name = "PROGRAM", .type = OPTION_TEXT, .flags = ARGUMENT_OPTIONAL, .help = "program" },
	{ 0 },
};

#define WORDS(...) (const char *[]){ __VA_ARGS__ }, COUNT_OF(((const char *[]){ __VA_ARGS__ }))

static bool read_words(struct options **o, const char *const *words, size_t count, struct err *err)
{
	return options_read(o, global, own, arguments, words, count, err);
}

static void values_and_arguments_are_found_in_any_order(void **state UNUSED)
{
	SCOPED(options) struct options *o = NULL;
	struct err err = { 0 };

	assert_done(read_words(&o,
			       WORDS("--json", "LON00001", "--percent=7", "-o", "f", "install",
				     "--rate", "2MB/s"),
			       &err),
		    &err);
	assert_true(options_flag(o, "json"));
	assert_string_equal(options_argument(o, 0), "LON00001");
	assert_string_equal(options_argument(o, 1), "install");
	assert_null(options_argument(o, 2));
	assert_int_equal(options_number(o, "percent", 0), 7);
	assert_int_equal(options_number(o, "rate", 0), 2000000);
	assert_string_equal(options_text(o, "output"), "f");
	assert_false(options_given(o, "site"));
}

static void repeated_options_take_several_words(void **state UNUSED)
{
	SCOPED(options) struct options *o = NULL;
	struct err err = { 0 };
	const char *const *dps;
	size_t count;

	assert_done(read_words(&o, WORDS("ID", "--dp", "a", "b", "--json", "--dp=c"), &err), &err);
	dps = options_all(o, "dp", &count);
	assert_int_equal(count, 3);
	assert_string_equal(dps[0], "a");
	assert_string_equal(dps[1], "b");
	assert_string_equal(dps[2], "c");
}

static void words_behind_a_repeated_option_are_arguments_if_some_are_missing(void **state UNUSED)
{
	SCOPED(options) struct options *o = NULL;
	struct err err = { 0 };
	size_t count;

	assert_done(read_words(&o, WORDS("--dp", "a", "LON00001"), &err), &err);
	assert_string_equal(options_argument(o, 0), "LON00001");
	options_all(o, "dp", &count);
	assert_int_equal(count, 1);
}

static void two_dashes_end_the_options(void **state UNUSED)
{
	SCOPED(options) struct options *o = NULL;
	struct err err = { 0 };

	assert_done(read_words(&o, WORDS("--", "--json"), &err), &err);
	assert_string_equal(options_argument(o, 0), "--json");
	assert_false(options_flag(o, "json"));
}

static void help_needs_nothing_else(void **state UNUSED)
{
	SCOPED(options) struct options *o = NULL;
	struct err err = { 0 };

	assert_done(read_words(&o, WORDS("-h"), &err), &err);
	assert_true(options_flag(o, "help"));
}

static void wrong_words_are_usage_faults(void **state UNUSED)
{
	static const struct {
		const char *why;
		const char *words[4];
		const char *said;
	} cases[] = {
		{ "no argument", { "--json" }, "ID is missing" },
		{ "unknown option", { "x", "--frob" }, "unknown option \"--frob\"" },
		{ "unknown letter", { "x", "-z" }, "unknown option \"-z\"" },
		{ "beginnings are no names", { "x", "--perc", "3" }, "unknown option \"--perc\"" },
		{ "one argument too many", { "x", "y", "z" }, "unexpected argument \"z\"" },
		{ "no value", { "x", "--output" }, "--output needs a value" },
		{ "an option as value", { "x", "--output", "--json" }, "is an option" },
		{ "a flag with a value", { "x", "--json=yes" }, "--json takes no value" },
		{ "given twice", { "x", "--output=a", "--output=b" }, "given twice" },
		{ "below the range", { "x", "--percent=0" }, "between 1 and 100" },
		{ "no number", { "x", "--percent=ten" }, "is not a whole number" },
		{ "no choice", { "x", "--ways", "tier" }, "is not one of in-tier|cross-tier" },
		{ "no size", { "x", "--rate", "fast" }, "is not a size" },
		{ "no time", { "x", "--at", "noon" }, "is not a time" },
		{ "no name", { "x", "--dp", "a/b" }, "is not 1 to 64" },
		{ "a later name", { "x", "--dp", "a", "../b" }, "is not 1 to 64" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(options) struct options *o = NULL;
		struct err err = { 0 };
		size_t count = 0;

		while (count < 4 && cases[i].words[count] != NULL)
			count++;
		if (read_words(&o, cases[i].words, count, &err))
			fail_msg("%s: taken", cases[i].why);
		assert_int_equal(err.code, ERR_USAGE);
		if (strstr(err.why, cases[i].said) == NULL)
			fail_msg("%s: said \"%s\"", cases[i].why, err.why);
	}
}

TESTING_MAIN(cmocka_unit_test(values_and_arguments_are_found_in_any_order),
	     cmocka_unit_test(repeated_options_take_several_words),
	     cmocka_unit_test(words_behind_a_repeated_option_are_arguments_if_some_are_missing),
	     cmocka_unit_test(two_dashes_end_the_options),
	     cmocka_unit_test(help_needs_nothing_else),
	     cmocka_unit_test(wrong_words_are_usage_faults))

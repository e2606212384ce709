#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/command.h"

/* The words with | behind each, so that a table can hold them. */
static char *joined(const struct command *c)
{
	struct buf text = { 0 };

	for (size_t i = 0; i < c->count; i++)
		buf_printf(&text, "%s|", c->words[i]);
	return buf_take(&text);
}

static void words_follow_shell_quoting(void **state UNUSED)
{
	static const struct {
		const char *why, *in, *want;
	} cases[] = {
		{ "blanks separate", "a  b\tc\n", "a|b|c|" },
		{ "single quotes keep all", "a 'b \"$x\\' c", "a|b \"$x\\|c|" },
		{ "double quotes keep blanks", "a \"b  c\"", "a|b  c|" },
		{ "double quotes unescape four", "a \"\\\"\\\\\\$\\`\\n\"", "a|\"\\$`\\n|" },
		{ "an escaped newline in quotes vanishes", "a \"b\\\nc\"", "a|bc|" },
		{ "a backslash keeps the next", "a\\ b \\'", "a b|'|" },
		{ "an escaped newline vanishes", "a\\\nb", "ab|" },
		{ "parts join into one word", "a'b'\"c\"d", "abcd|" },
		{ "an empty word is a word", "a '' \"\"", "a|||" },
		{ "nothing is expanded", "a $HOME ~ * `x` ; # b", "a|$HOME|~|*|`x`|;|#|b|" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(command) struct command c;
		SCOPED_TEXT char *got = NULL;
		struct err err;

		assert_done(command_split(&c, cases[i].in, &err), &err);
		got = joined(&c);
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: got %s", cases[i].why, got);
		assert_null(c.words[c.count]);
	}
}

static void broken_lines_are_refused(void **state UNUSED)
{
	static const struct {
		const char *why, *in;
	} cases[] = {
		{ "open single quote", "a 'b" },
		{ "open double quote", "a \"b" },
		{ "escape at the end", "a \\" },
		{ "escape at the end of quotes", "a \"\\" },
		{ "no word", "  " },
		{ "an empty program name", "'' a" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(command) struct command c;
		struct err err;

		if (command_split(&c, cases[i].in, &err) || err.code != ERR_FORMAT)
			fail_msg("%s: %s", cases[i].why, cases[i].in);
		assert_int_equal(c.count, 0);
	}
}

static void limits_are_enforced(void **state UNUSED)
{
	SCOPED_TEXT char *long_word = alloc_zeroed(COMMAND_BYTES_MAX + 2, 1);
	SCOPED_TEXT char *many_words = alloc_zeroed(COMMAND_WORDS_MAX * 2 + 3, 1);
	SCOPED(command) struct command c;
	struct err err;

	memset(long_word, 'x', COMMAND_BYTES_MAX + 1);
	assert_false(command_split(&c, long_word, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	for (size_t i = 0; i <= COMMAND_WORDS_MAX; i++)
		memcpy(many_words + 2 * i, "x ", 2);
	assert_false(command_split(&c, many_words, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

static void content_is_put_in_its_place(void **state UNUSED)
{
	SCOPED(command) struct command c;
	SCOPED_TEXT char *got = NULL;
	struct err err;

	assert_done(command_split(&c, "{content}/a --in={content}:{content} '{content'", &err),
		    &err);
	command_place(&c, "/c d");
	got = joined(&c);
	assert_string_equal(got, "/c d/a|--in=/c d:/c d|{content|");
}

/* KB Q245703: a same-named program on the PATH must never run instead. */
static void relative_programs_are_content_only(void **state UNUSED)
{
	static const struct {
		const char *why, *in, *want;
	} cases[] = {
		{ "a bare name is content", "ls -l", "/c/ls" },
		{ "a dot is content", "./setup.sh", "/c/setup.sh" },
		{ "a subfolder is content", "bin/x", "/c/bin/x" },
		{ "absolute stays", "/usr/bin/true", "/usr/bin/true" },
		{ "the shell is the system's", "sh -c true", "/bin/sh" },
		{ "a shell in the content has a dot", "./sh", "/c/sh" },
		{ "out of the content", "../x", NULL },
		{ "out of it in the middle", "a/../../x", NULL },
		{ "the folder itself", "./", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(command) struct command c;
		SCOPED_TEXT char *got = NULL;
		struct err err;

		assert_done(command_split(&c, cases[i].in, &err), &err);
		if (command_file(&got, &c, "/c", &err) != (cases[i].want != NULL) ||
		    (got != NULL && strcmp(got, cases[i].want) != 0))
			fail_msg("%s: got %s", cases[i].why, got != NULL ? got : err.why);
	}
}

TESTING_MAIN(cmocka_unit_test(words_follow_shell_quoting),
	     cmocka_unit_test(broken_lines_are_refused), cmocka_unit_test(limits_are_enforced),
	     cmocka_unit_test(content_is_put_in_its_place),
	     cmocka_unit_test(relative_programs_are_content_only), )

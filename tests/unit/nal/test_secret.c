#include "support/testing.h"

#include <string.h>
#include <unistd.h>

#include "nal/secret.h"

static void only_what_a_server_can_be_told_is_taken(void **state UNUSED)
{
	static const struct {
		const char *why, *text;
		enum err_code want;
	} cases[] = {
		{ "a word", "swordfish", ERR_NONE },
		{ "blanks at both ends", " two  words ", ERR_NONE },
		{ "quotes and what configuration files use", "\"a'b\\c;d#e=[f]", ERR_NONE },
		{ "other scripts", "p\xc3\xa4ssw\xc3\xb6rt \xe2\x82\xac", ERR_NONE },
		{ "nothing", "", ERR_FORMAT },
		{ "a newline in the middle", "two\nlines", ERR_FORMAT },
		{ "a newline at the end", "line\n", ERR_FORMAT },
		{ "a tab", "a\tb", ERR_FORMAT },
		{ "no UTF-8", "p\xe4ssword", ERR_FORMAT },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(secret) struct secret *s = secret_new();
		struct err err = { 0 };
		bool taken = secret_set(s, span_of_text(cases[i].text), &err);

		if (taken != (cases[i].want == ERR_NONE) || (!taken && err.code != cases[i].want))
			fail_msg("%s: %s", cases[i].why, taken ? "taken" : err_name(err.code));
		if (taken)
			assert_string_equal(s->text, cases[i].text);
		else if (cases[i].text[0] != '\0')
			assert_null(strstr(err.why, cases[i].text));
	}
}

static void a_secret_has_a_limit(void **state UNUSED)
{
	SCOPED(secret) struct secret *s = secret_new();
	char long_one[SECRET_BYTES_MAX + 1];
	struct err err;

	memset(long_one, 'x', sizeof(long_one));
	assert_false(secret_set(s, span_of(long_one, sizeof(long_one)), &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_done(secret_set(s, span_of(long_one, SECRET_BYTES_MAX), &err), &err);
	assert_int_equal(s->size, SECRET_BYTES_MAX);
}

static bool read_from_pipe(struct secret *s, const char *text, struct err *err)
{
	int ends[2];
	bool done;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
	close(ends[1]);
	done = secret_read(s, ends[0], err);
	close(ends[0]);
	return done;
}

static void one_newline_at_the_end_of_a_file_is_not_the_secrets(void **state UNUSED)
{
	SCOPED(secret) struct secret *s = secret_new();
	char long_one[SECRET_BYTES_MAX + 2];
	struct err err;

	assert_done(read_from_pipe(s, "a b\n", &err), &err);
	assert_string_equal(s->text, "a b");
	assert_done(read_from_pipe(s, "from-notepad\r\n", &err), &err);
	assert_string_equal(s->text, "from-notepad");
	assert_done(read_from_pipe(s, "without", &err), &err);
	assert_string_equal(s->text, "without");
	assert_false(read_from_pipe(s, "two\nlines\n", &err));
	assert_false(read_from_pipe(s, "two\n\n", &err));
	assert_false(read_from_pipe(s, "\n", &err));
	memset(long_one, 'x', sizeof(long_one));
	long_one[sizeof(long_one) - 1] = '\0';
	assert_false(read_from_pipe(s, long_one, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

TESTING_MAIN(cmocka_unit_test(only_what_a_server_can_be_told_is_taken),
	     cmocka_unit_test(a_secret_has_a_limit),
	     cmocka_unit_test(one_newline_at_the_end_of_a_file_is_not_the_secrets))

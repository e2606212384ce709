#include "support/testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/newfile.h"
#include "support/tempdir.h"
#include "trust/secretfile.h"

#define NOBODY 65534

static const uint8_t public_key[SECRETFILE_KEY_SIZE] = { 1, 2, 3, [31] = 0xff };
static const uint8_t secret_key[SECRETFILE_KEY_SIZE] = { 9, 8, 7, [31] = 0xee };

struct place {
	char *top;
	char *file;
};

static int make_place(void **state)
{
	struct place *p = alloc_zeroed(1, sizeof(*p));
	struct err err;

	p->top = tempdir_make("secretfile");
	p->file = path_join(p->top, "key");
	*state = p;
	return secretfile_write(p->file, "ed25519", public_key, secret_key, &err) ? 0 : 1;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	tempdir_remove(p->top);
	free(p->file);
	free(p);
	return 0;
}

static bool reads(const struct place *p, const char *kind, struct err *err)
{
	uint8_t public_out[SECRETFILE_KEY_SIZE], secret_out[SECRETFILE_KEY_SIZE];

	return secretfile_read(public_out, secret_out, p->file, kind, err) &&
	       memcmp(public_out, public_key, sizeof(public_key)) == 0 &&
	       memcmp(secret_out, secret_key, sizeof(secret_key)) == 0;
}

static void keys_come_back_and_nobody_else_can_read_them(void **state)
{
	const struct place *p = *state;
	struct err err = { 0 };
	struct stat st;

	assert_done(reads(p, "ed25519", &err), &err);
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_key_is_never_replaced(void **state)
{
	const struct place *p = *state;
	SCOPED_TEXT char *dangling = path_join(p->top, "dangling");
	struct err err = { 0 };

	assert_false(secretfile_write(p->file, "ed25519", secret_key, public_key, &err));
	assert_int_equal(err.code, ERR_EXISTS);
	assert_done(reads(p, "ed25519", &err), &err);
	assert_int_equal(symlink("nowhere", dangling), 0);
	assert_false(secretfile_write(dangling, "ed25519", public_key, secret_key, &err));
	assert_int_equal(err.code, ERR_EXISTS);
}

static void a_key_that_others_may_read_is_refused(void **state)
{
	static const mode_t modes[] = { 0604, 0640, 0602, 0660, 0777, 0611 };
	const struct place *p = *state;

	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		struct err err = { 0 };

		assert_int_equal(chmod(p->file, modes[i]), 0);
		if (reads(p, "ed25519", &err))
			fail_msg("mode %04o", modes[i]);
		assert_int_equal(err.code, ERR_PERMISSION);
		assert_non_null(strstr(err.fix, "chmod 0600"));
	}
}

static void a_key_of_another_user_is_refused(void **state)
{
	const struct place *p = *state;
	struct err err = { 0 };

	if (geteuid() != 0)
		return;
	assert_int_equal(chown(p->file, NOBODY, NOBODY), 0);
	assert_false(reads(p, "ed25519", &err));
	assert_int_equal(err.code, ERR_PERMISSION);
}

static void what_stands_in_its_place_is_refused_at_once(void **state)
{
	const struct place *p = *state;
	SCOPED_TEXT char *other = path_join(p->top, "other");
	struct err err = { 0 };

	assert_int_equal(rename(p->file, other), 0);
	assert_false(reads(p, "ed25519", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(symlink("other", p->file), 0);
	assert_false(reads(p, "ed25519", &err));
	assert_int_equal(unlink(p->file), 0);
	alarm(20);
	assert_int_equal(mkfifo(p->file, 0600), 0);
	assert_false(reads(p, "ed25519", &err));
	assert_int_equal(err.code, ERR_FORMAT);
	alarm(0);
}

static void only_the_documented_form_is_read(void **state)
{
#define KEY  "0102030000000000000000000000000000000000000000000000000000000000"
#define HEAD "packway-secret-key 1 ed25519\n"
	static const struct {
		const char *why, *text;
	} cases[] = {
		{ "empty", "" },
		{ "another format",
		  "packway-secret-key 2 ed25519\npublic " KEY "\nsecret " KEY "\n" },
		{ "another kind", "packway-secret-key 1 x25519\npublic " KEY "\nsecret " KEY "\n" },
		{ "a kind that begins alike",
		  "packway-secret-key 1 ed25519x\npublic " KEY "\nsecret " KEY "\n" },
		{ "no secret", HEAD "public " KEY "\n" },
		{ "in another order", HEAD "secret " KEY "\npublic " KEY "\n" },
		{ "a short key", HEAD "public 0102\nsecret " KEY "\n" },
		{ "no hexadecimal", HEAD "public x" KEY "\nsecret " KEY "\n" },
		{ "a carriage return",
		  "packway-secret-key 1 ed25519\r\npublic " KEY "\r\nsecret " KEY "\r\n" },
		{ "no end of line", HEAD "public " KEY "\nsecret " KEY },
		{ "something behind", HEAD "public " KEY "\nsecret " KEY "\n\n" },
		{ "much behind", HEAD "public " KEY "\nsecret " KEY "\n" KEY KEY KEY KEY KEY },
	};
	const struct place *p = *state;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct err err = { 0 };

		assert_done(newfile_write(p->file, 0600, span_of_text(cases[i].text), &err), &err);
		if (reads(p, "ed25519", &err))
			fail_msg("%s was taken", cases[i].why);
		assert_int_equal(err.code, ERR_FORMAT);
		/* A message never quotes what may be a key. */
		assert_null(strstr(err.why, "0102"));
	}
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_place, remove_place)

TESTING_MAIN(CASE(keys_come_back_and_nobody_else_can_read_them), CASE(a_key_is_never_replaced),
	     CASE(a_key_that_others_may_read_is_refused), CASE(a_key_of_another_user_is_refused),
	     CASE(what_stands_in_its_place_is_refused_at_once),
	     CASE(only_the_documented_form_is_read))

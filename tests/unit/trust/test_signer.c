#include "trust/signer.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/path.h"
#include "common/text.h"
#include "support/tempdir.h"
#include "support/testing.h"
#include "trust/sealer.h"

/* RFC 8032, 7.1, test 3. */
static const char rfc_seed[] = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";
static const char rfc_signature[] =
	"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
	"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";

static int make_folder(void **state)
{
	*state = tempdir_make("signer");
	return 0;
}

static int remove_folder(void **state)
{
	tempdir_remove(*state);
	return 0;
}

static void put_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void the_rfc_seed_signs_as_the_rfc_says(void **state)
{
	const uint8_t message[] = { 0xaf, 0x82 };
	uint8_t seed[SIGNER_SEED_SIZE], signature[SIGNER_SIGNATURE_SIZE];
	char hex[2 * SIGNER_SIGNATURE_SIZE + 1];
	SCOPED(signer) struct signer *signer = NULL;

	(void)state;
	assert_true(text_unhex(seed, sizeof(seed), rfc_seed));
	signer = signer_from_seed(seed);
	signer_sign(signature, signer, span_of(message, sizeof(message)));
	text_hex(hex, signature, sizeof(signature));
	assert_string_equal(hex, rfc_signature);
}

static void a_saved_key_loads_and_signs(void **state)
{
	SCOPED_TEXT char *path = path_join(*state, "client.key");
	SCOPED(signer) struct signer *made = signer_generate();
	SCOPED(signer) struct signer *loaded = NULL;
	uint8_t signature[SIGNER_SIGNATURE_SIZE];
	struct stat st;
	struct err err;

	assert_done(signer_save(made, path, &err), &err);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_done(signer_load(&loaded, path, &err), &err);
	signer_sign(signature, loaded, span_of_text("hello"));
	assert_true(keys_verify(signer_public(made), span_of_text("hello"),
				span_of(signature, sizeof(signature))));
}

static void a_key_file_is_never_replaced(void **state)
{
	SCOPED_TEXT char *path = path_join(*state, "site.key");
	SCOPED(signer) struct signer *first = signer_generate();
	SCOPED(signer) struct signer *second = signer_generate();
	SCOPED(signer) struct signer *loaded = NULL;
	struct err err;

	assert_done(signer_save(first, path, &err), &err);
	assert_false(signer_save(second, path, &err));
	assert_int_equal(err.code, ERR_EXISTS);
	assert_done(signer_load(&loaded, path, &err), &err);
	assert_true(keys_equal(signer_public(loaded), signer_public(first)));
}

static void files_that_are_no_key_are_refused(void **state)
{
#define HEX "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
#define PUB "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
	static const struct {
		const char *why;
		const char *text;
		enum err_code want;
		mode_t mode;
	} cases[] = {
		{ "an empty file", "", ERR_FORMAT, 0600 },
		{ "another kind", "packway-secret-key 1 x25519\npublic " PUB "\nsecret " HEX "\n",
		  ERR_FORMAT, 0600 },
		{ "another version",
		  "packway-secret-key 2 ed25519\npublic " PUB "\nsecret " HEX "\n", ERR_FORMAT,
		  0600 },
		{ "no last line feed", "packway-secret-key 1 ed25519\npublic " PUB "\nsecret " HEX,
		  ERR_FORMAT, 0600 },
		{ "bytes behind",
		  "packway-secret-key 1 ed25519\npublic " PUB "\nsecret " HEX "\n\n", ERR_FORMAT,
		  0600 },
		{ "a digit missing", "packway-secret-key 1 ed25519\npublic fc\nsecret " HEX "\n",
		  ERR_FORMAT, 0600 },
		{ "the keys are no pair",
		  "packway-secret-key 1 ed25519\npublic " HEX "\nsecret " HEX "\n", ERR_FORMAT,
		  0600 },
		{ "readable by the group",
		  "packway-secret-key 1 ed25519\npublic " PUB "\nsecret " HEX "\n", ERR_PERMISSION,
		  0640 },
		{ "readable by all",
		  "packway-secret-key 1 ed25519\npublic " PUB "\nsecret " HEX "\n", ERR_PERMISSION,
		  0604 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED_TEXT char *path = path_join(*state, "try.key");
		struct signer *signer = NULL;
		struct err err = { 0 };

		put_file(path, cases[i].text, cases[i].mode);
		if (signer_load(&signer, path, &err))
			fail_msg("%s loads", cases[i].why);
		if (err.code != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err.why);
		assert_null(strstr(err.why, HEX));
	}
}

static void links_and_folders_are_no_key_files(void **state)
{
	SCOPED_TEXT char *real = path_join(*state, "real.key"),
			 *link = path_join(*state, "link.key");
	SCOPED(signer) struct signer *made = signer_generate();
	struct signer *signer;
	struct err err;

	assert_done(signer_save(made, real, &err), &err);
	assert_int_equal(symlink(real, link), 0);
	assert_false(signer_load(&signer, link, &err));
	assert_false(signer_load(&signer, *state, &err));
	assert_int_equal(err.code, ERR_FORMAT);
}

static void a_sealed_message_opens_with_its_pair_alone(void **state)
{
	SCOPED_TEXT char *path = path_join(*state, "sealing.key");
	SCOPED(sealer) struct sealer *made = sealer_generate(), *other = sealer_generate();
	SCOPED(sealer) struct sealer *loaded = NULL;
	SCOPED(buf) struct buf sealed = { 0 }, opened = { 0 };
	struct err err;

	assert_done(sealer_save(made, path, &err), &err);
	assert_done(sealer_load(&loaded, path, &err), &err);
	assert_true(sealer_seal(&sealed, sealer_public(made), span_of_text("hello")));
	assert_int_equal(sealed.size, 5 + SEALER_OVERHEAD);
	assert_false(sealer_unseal(&opened, other, buf_span(&sealed)));
	assert_int_equal(opened.size, 0);
	assert_true(sealer_unseal(&opened, loaded, buf_span(&sealed)));
	assert_string_equal(buf_text(&opened), "hello");
}

static void every_flipped_byte_of_a_sealed_message_is_noticed(void **state)
{
	SCOPED(sealer) struct sealer *sealer = sealer_generate();
	SCOPED(buf) struct buf sealed = { 0 }, opened = { 0 };

	(void)state;
	assert_true(sealer_seal(&sealed, sealer_public(sealer), span_of_text("hello")));
	/* The top bit: X25519 itself ignores that of a key's last byte. */
	for (size_t i = 0; i < sealed.size; i++) {
		sealed.data[i] ^= 0x80;
		/* X25519 ignores the top bit of a point: the rest of the key must not be malleable.
		 */
		assert_false(sealer_unseal(&opened, sealer, buf_span(&sealed)));
		sealed.data[i] ^= 0x80;
	}
	for (size_t size = 0; size < sealed.size; size++)
		assert_false(sealer_unseal(&opened, sealer, span_of(sealed.data, size)));
}

static void an_empty_message_is_sealed_too(void **state)
{
	SCOPED(sealer) struct sealer *sealer = sealer_generate();
	SCOPED(buf) struct buf sealed = { 0 }, opened = { 0 };

	(void)state;
	assert_true(sealer_seal(&sealed, sealer_public(sealer), span_of(NULL, 0)));
	assert_true(sealer_unseal(&opened, sealer, buf_span(&sealed)));
	assert_int_equal(opened.size, 0);
}

static void a_key_of_low_order_is_refused(void **state)
{
	static const uint8_t zero[SEALER_PUBLIC_SIZE];
	SCOPED(buf) struct buf sealed = { 0 };

	(void)state;
	assert_false(sealer_seal(&sealed, zero, span_of_text("hello")));
	assert_int_equal(sealed.size, 0);
}

#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

TESTING_MAIN(cmocka_unit_test(the_rfc_seed_signs_as_the_rfc_says),
	     WITH_FOLDER(a_saved_key_loads_and_signs), WITH_FOLDER(a_key_file_is_never_replaced),
	     WITH_FOLDER(files_that_are_no_key_are_refused),
	     WITH_FOLDER(links_and_folders_are_no_key_files),
	     WITH_FOLDER(a_sealed_message_opens_with_its_pair_alone),
	     cmocka_unit_test(every_flipped_byte_of_a_sealed_message_is_noticed),
	     cmocka_unit_test(an_empty_message_is_sealed_too),
	     cmocka_unit_test(a_key_of_low_order_is_refused))

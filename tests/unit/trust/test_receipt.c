#include "trust/receipt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "support/testing.h"

#define CLIENT "ab12000000000000000000000000000f"
#define OTHER  "ab12ffffffffffffffffffffffffffff"
#define CHAIN  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define STREAM "00112233445566778899aabbccddeeff"
#define NOW    INT64_C(1795000000)

struct fixture {
	struct signer *key;
	struct buf bytes;
	struct receipt_expected expected;
};

static void write_receipt(struct fixture *f, int64_t serial)
{
	SCOPED(receipt) struct receipt *receipt = receipt_new("LON", "ab12", serial, NOW);
	struct receipt_client *client;
	struct receipt_stream *stream;
	struct err err = { 0 };

	receipt_add_client(receipt, OTHER, RECEIPT_PENDING, NULL);
	client = receipt_add_client(receipt, CLIENT, RECEIPT_ENROLLED, "pc \xc3\xa4\n1");
	receipt_add_stream(client, "ffffffffffffffffffffffffffffffff", 0)->fork = true;
	stream = receipt_add_stream(client, STREAM, 41);
	snprintf(stream->chain, sizeof(stream->chain), "%s", CHAIN);
	receipt_add_refusal(stream, 17, "malformed");
	buf_clear(&f->bytes);
	assert_done(receipt_write(&f->bytes, receipt, f->key, &err), &err);
}

static void fixture_make(struct fixture *f)
{
	*f = (struct fixture){ .key = signer_generate() };
	f->expected = (struct receipt_expected){ .site = "LON",
						 .shard = "ab12",
						 .key = signer_public(f->key) };
	write_receipt(f, 5);
}

static void fixture_scoped(struct fixture *f)
{
	signer_free(f->key);
	buf_release(&f->bytes);
}

static enum receipt_verdict try_open(const struct fixture *f)
{
	SCOPED(receipt) struct receipt *receipt = NULL;

	return receipt_open(&receipt, buf_span(&f->bytes), &f->expected);
}

static void a_receipt_reads_as_it_was_written(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(receipt) struct receipt *receipt = NULL;
	const struct receipt_client *client;
	const struct receipt_stream *stream;

	(void)state;
	fixture_make(&f);
	assert_int_equal(receipt_open(&receipt, buf_span(&f.bytes), &f.expected), RECEIPT_OK);
	assert_int_equal(receipt->serial, 5);
	assert_int_equal(receipt->time_s, NOW);
	client = receipt_find_client(receipt, CLIENT);
	assert_non_null(client);
	assert_int_equal(client->state, RECEIPT_ENROLLED);
	assert_string_equal(client->name, "pc \xc3\xa4\n1");
	stream = receipt_find_stream(client, STREAM);
	assert_non_null(stream);
	assert_int_equal(stream->high, 41);
	assert_string_equal(stream->chain, CHAIN);
	assert_false(stream->fork);
	assert_string_equal(receipt_refusal_of(stream, 17), "malformed");
	assert_null(receipt_refusal_of(stream, 18));
	stream = receipt_find_stream(client, "ffffffffffffffffffffffffffffffff");
	assert_true(stream->fork);
	assert_string_equal(stream->chain, "");
	assert_null(receipt_find_stream(client, CLIENT));
	client = receipt_find_client(receipt, OTHER);
	assert_int_equal(client->state, RECEIPT_PENDING);
	assert_string_equal(client->name, "");
	assert_int_equal(client->stream_count, 0);
	assert_null(receipt_find_client(receipt, STREAM));
}

static void an_older_receipt_is_refused(void **state)
{
	static const struct {
		const char *why;
		int64_t seen;
		enum receipt_verdict want;
	} cases[] = {
		{ "the first one ever", 0, RECEIPT_OK },
		{ "a newer one", 4, RECEIPT_OK },
		{ "the same again", 5, RECEIPT_UNCHANGED },
		{ "an older one", 6, RECEIPT_ROLLBACK },
	};
	SCOPED(fixture) struct fixture f;

	(void)state;
	fixture_make(&f);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		f.expected.serial_seen = cases[i].seen;
		if (try_open(&f) != cases[i].want)
			fail_msg("%s", cases[i].why);
	}
}

static void receipts_of_others_are_refused(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(signer) struct signer *other = signer_generate();

	(void)state;
	fixture_make(&f);
	f.expected.site = "PAR";
	assert_int_equal(try_open(&f), RECEIPT_WRONG_SITE);
	f.expected.site = "LON";
	f.expected.shard = "ab13";
	assert_int_equal(try_open(&f), RECEIPT_WRONG_SHARD);
	f.expected.shard = "ab12";
	f.expected.key = signer_public(other);
	assert_int_equal(try_open(&f), RECEIPT_BAD_SIGNATURE);
}

static void no_flipped_bit_changes_what_is_believed(void **state)
{
	SCOPED(fixture) struct fixture f;
	json_auto_t *want = NULL;
	struct err err;

	(void)state;
	fixture_make(&f);
	assert_done(jsondoc_read(&want, buf_span(&f.bytes), &err), &err);
	for (size_t i = 0; i < f.bytes.size * 8; i++) {
		size_t at = i / 8;
		uint8_t flip = (uint8_t)(1u << i % 8);
		json_auto_t *got = NULL;

		f.bytes.data[at] ^= flip;
		if (try_open(&f) == RECEIPT_OK) {
			/* Another spelling of the same: the signature's hexadecimal in upper case.
			 */
			assert_done(jsondoc_read(&got, buf_span(&f.bytes), &err), &err);
			if (!json_equal(json_object_get(got, "signed"),
					json_object_get(want, "signed")))
				fail_msg("flip at %zu", at);
		}
		f.bytes.data[at] ^= flip;
	}
}

static void a_cut_receipt_is_malformed(void **state)
{
	SCOPED(fixture) struct fixture f;

	(void)state;
	fixture_make(&f);
	while (f.bytes.size > 0) {
		f.bytes.size--;
		assert_int_equal(try_open(&f), RECEIPT_MALFORMED);
	}
}

static void a_receipt_past_its_limit_is_not_parsed(void **state)
{
	SCOPED(fixture) struct fixture f;

	(void)state;
	fixture_make(&f);
	memset(buf_reserve(&f.bytes, RECEIPT_SIZE_MAX), ' ', RECEIPT_SIZE_MAX);
	buf_grew(&f.bytes, RECEIPT_SIZE_MAX);
	assert_int_equal(try_open(&f), RECEIPT_TOO_LARGE);
}

static void a_shard_that_grows_too_large_is_not_written(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(receipt) struct receipt *receipt = receipt_new("LON", "ab12", 1, NOW);
	struct err err = { 0 };

	(void)state;
	fixture_make(&f);
	for (unsigned int i = 0; i < 400; i++) {
		char id[RECEIPT_ID_SIZE];
		struct receipt_client *client;
		struct receipt_stream *stream;

		snprintf(id, sizeof(id), "ab12%028x", i);
		client = receipt_add_client(receipt, id, RECEIPT_ENROLLED, NULL);
		stream = receipt_add_stream(client, STREAM, 1000);
		for (uint64_t n = 0; n < RECEIPT_REFUSED_MAX; n++)
			receipt_add_refusal(stream, n,
					    "a reason of some length, so that it adds up");
	}
	buf_clear(&f.bytes);
	assert_false(receipt_write(&f.bytes, receipt, f.key, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

static void long_names_are_cut_at_a_whole_character(void **state)
{
	SCOPED(receipt) struct receipt *receipt = receipt_new("LON", "ab12", 1, NOW);
	char name[RECEIPT_NAME_MAX + 8] = "";
	const struct receipt_client *client;

	(void)state;
	memset(name, 'x', RECEIPT_NAME_MAX - 1);
	strcat(name, "\xe2\x82\xac");
	client = receipt_add_client(receipt, CLIENT, RECEIPT_ENROLLED, name);
	assert_int_equal(strlen(client->name), RECEIPT_NAME_MAX - 1);
}

static void bodies_are_read_strictly(void **state)
{
#define START                                                                                   \
	"{\"_type\":\"receipt\",\"format\":1,\"site\":\"LON\",\"shard\":\"ab12\",\"serial\":1," \
	"\"time\":\"2026-11-22T14:43:37Z\",\"clients\":"
#define WHO "\"" CLIENT "\":"
	static const struct {
		const char *why;
		const char *json;
		bool want;
	} cases[] = {
		{ "no client", START "{}}", true },
		{ "a client",
		  START "{" WHO "{\"state\":\"removed\",\"name\":null,\"streams\":{}}}}", true },
		{ "further members are ignored",
		  START "{" WHO "{\"state\":\"removed\",\"name\":\"x\",\"streams\":{},\"x\":1}}}",
		  true },
		{ "another type", "{\"_type\":\"timestamp\"}", false },
		{ "no object", "[]", false },
		{ "clients are an array", START "[]}", false },
		{ "a client of another shard",
		  START
		  "{\"ac12000000000000000000000000000f\":{\"state\":\"removed\",\"name\":null,"
		  "\"streams\":{}}}}",
		  false },
		{ "a client id that is none",
		  START "{\"ab12\":{\"state\":\"removed\",\"name\":null,\"streams\":{}}}}", false },
		{ "an unknown state",
		  START "{" WHO "{\"state\":\"root\",\"name\":null,\"streams\":{}}}}", false },
		{ "no state", START "{" WHO "{\"name\":null,\"streams\":{}}}}", false },
		{ "no name", START "{" WHO "{\"state\":\"removed\",\"streams\":{}}}}", false },
		{ "a name too long",
		  START
		  "{" WHO "{\"state\":\"removed\",\"streams\":{},\"name\":"
		  "\"0123456789012345678901234567890123456789012345678901234567890123456789\"}}}",
		  false },
		{ "no streams", START "{" WHO "{\"state\":\"removed\",\"name\":null}}}", false },
		{ "a stream id that is none",
		  START "{" WHO
			"{\"state\":\"removed\",\"name\":null,\"streams\":{\"x\":{\"high\":1,"
			"\"fork\":false,\"refused\":[]}}}}}",
		  false },
		{ "a whole stream",
		  START
		  "{" WHO "{\"state\":\"removed\",\"name\":null,\"streams\":{\"" STREAM
		  "\":{\"high\":1,\"fork\":false,\"refused\":[{\"seq\":1,\"reason\":\"r\"}]}}}}}",
		  true },
		{ "a chain",
		  START "{" WHO "{\"state\":\"removed\",\"name\":null,\"streams\":{\"" STREAM
			"\":{\"high\":1,\"chain\":\"" CHAIN "\",\"fork\":false,\"refused\":[]}}}}}",
		  true },
		{ "a chain that is none",
		  START "{" WHO "{\"state\":\"removed\",\"name\":null,\"streams\":{\"" STREAM
			"\":{\"high\":1,\"chain\":\"c\",\"fork\":false,\"refused\":[]}}}}}",
		  false },
		{ "a high mark below zero",
		  START "{" WHO "{\"state\":\"removed\",\"name\":null,\"streams\":{\"" STREAM
			"\":{\"high\":-1,\"fork\":false,\"refused\":[]}}}}}",
		  false },
		{ "no fork",
		  START "{" WHO "{\"state\":\"removed\",\"name\":null,\"streams\":{\"" STREAM
			"\":{\"high\":1,\"refused\":[]}}}}}",
		  false },
		{ "a refusal above the high mark",
		  START
		  "{" WHO "{\"state\":\"removed\",\"name\":null,\"streams\":{\"" STREAM
		  "\":{\"high\":1,\"fork\":false,\"refused\":[{\"seq\":2,\"reason\":\"r\"}]}}}}}",
		  false },
		{ "a refusal without a reason",
		  START "{" WHO "{\"state\":\"removed\",\"name\":null,\"streams\":{\"" STREAM
			"\":{\"high\":1,\"fork\":false,\"refused\":[{\"seq\":1}]}}}}}",
		  false },
		{ "refusals are an object",
		  START "{" WHO "{\"state\":\"removed\",\"name\":null,\"streams\":{\"" STREAM
			"\":{\"high\":1,\"fork\":false,\"refused\":{}}}}}}",
		  false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(receipt) struct receipt *receipt = NULL;
		json_auto_t *body = NULL;
		struct err err = { 0 };

		assert_done(jsondoc_read(&body, span_of_text(cases[i].json), &err), &err);
		if (receipt_parse(&receipt, body) != cases[i].want)
			fail_msg("%s", cases[i].why);
	}
}

TESTING_MAIN(cmocka_unit_test(a_receipt_reads_as_it_was_written),
	     cmocka_unit_test(an_older_receipt_is_refused),
	     cmocka_unit_test(receipts_of_others_are_refused),
	     cmocka_unit_test(no_flipped_bit_changes_what_is_believed),
	     cmocka_unit_test(a_cut_receipt_is_malformed),
	     cmocka_unit_test(a_receipt_past_its_limit_is_not_parsed),
	     cmocka_unit_test(a_shard_that_grows_too_large_is_not_written),
	     cmocka_unit_test(long_names_are_cut_at_a_whole_character),
	     cmocka_unit_test(bodies_are_read_strictly))

#include "trust/envelope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "support/testing.h"
#include "trust/handover.h"

#define STREAM "00112233445566778899aabbccddeeff"
#define NOW    INT64_C(1795000000)

/* A site, a client it knows, and one envelope of that client. */
struct fixture {
	struct sealer *site;
	struct signer *client;
	char client_id[ENVELOPE_ID_SIZE];
	const struct key *other; /* the one that the site knows instead */
	struct envelope_reader reader;
	struct buf bytes;
	char name[ENVELOPE_NAME_SIZE];
};

static const struct key *find_key(const char *client, void *ctx)
{
	const struct fixture *f = ctx;

	return strcmp(client, f->client_id) == 0 ? signer_public(f->client) : NULL;
}

static const struct key *find_nobody(const char *client, void *ctx)
{
	(void)client, (void)ctx;
	return NULL;
}

static json_t *records_of(unsigned int count)
{
	json_t *records = json_array();

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(records,
				      json_pack("{s:s,s:i,s:s}", "kind", "status", "id",
						10002 + (int)i, "text", "line\nfeed \"q\""));
	return records;
}

static bool try_seal(struct fixture *f, const struct envelope_header *header, const json_t *records,
		     struct err *err)
{
	struct envelope_name name;

	if (!envelope_seal(&f->bytes, &name, header, records, f->client, sealer_public(f->site),
			   err))
		return false;
	envelope_name_print(f->name, &name);
	return true;
}

static void seal(struct fixture *f, uint64_t first, unsigned int count)
{
	struct envelope_header header = {
		.kind = ENVELOPE_RECORDS, .stream = STREAM, .first = first, .time_s = NOW
	};
	json_auto_t *records = records_of(count);
	struct err err = { 0 };

	assert_done(try_seal(f, &header, records, &err), &err);
}

static void seal_enrolment(struct fixture *f)
{
	struct envelope_header header = { .kind = ENVELOPE_ENROL, .stream = STREAM, .time_s = NOW };
	json_auto_t *records = json_array();
	struct err err = { 0 };

	json_array_append_new(records, envelope_new_enrol_record(f->client, "t0ken"));
	assert_done(try_seal(f, &header, records, &err), &err);
}

/* From the client's key to another one. */
static void seal_handover(struct fixture *f)
{
	SCOPED(signer) struct signer *next = signer_generate();
	struct envelope_header header = { .kind = ENVELOPE_HANDOVER,
					  .stream = STREAM,
					  .time_s = NOW };
	const struct handover h = {
		.client = f->client_id,
		.stream = STREAM,
		.next = 42,
		.old_key = keys_ed25519_bytes(signer_public(f->client)),
	};
	json_auto_t *records = json_array();
	struct err err = { 0 };

	json_array_append_new(records, handover_new_record(&h, next));
	assert_done(try_seal(f, &header, records, &err), &err);
}

static void seal_records(struct fixture *f)
{
	seal(f, 1, 2);
}

/* One of each kind. */
static void (*const seal_kinds[])(struct fixture *f) = {
	[ENVELOPE_RECORDS] = seal_records,
	[ENVELOPE_ENROL] = seal_enrolment,
	[ENVELOPE_HANDOVER] = seal_handover,
};

static void fixture_make(struct fixture *f)
{
	*f = (struct fixture){ .site = sealer_generate(), .client = signer_generate() };
	keys_client_id(f->client_id, keys_ed25519_bytes(signer_public(f->client)));
	f->reader = (struct envelope_reader){ .sealer = f->site, .find_key = find_key, .ctx = f };
}

static void fixture_scoped(struct fixture *f)
{
	sealer_free(f->site);
	signer_free(f->client);
	buf_release(&f->bytes);
}

/* The name that the present bytes would have. */
static void rename_to_bytes(struct fixture *f)
{
	struct envelope_name name;

	assert_true(envelope_name_parse(&name, f->name));
	name.length = f->bytes.size;
	digest_of(&name.sha256, buf_span(&f->bytes));
	envelope_name_print(f->name, &name);
}

static enum envelope_verdict try_open(const struct fixture *f)
{
	SCOPED(envelope) struct envelope *e = NULL;

	return envelope_open(&e, f->name, buf_span(&f->bytes), &f->reader);
}

static void sealed_records_open(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(envelope) struct envelope *e = NULL;
	json_auto_t *want = records_of(3);
	struct envelope_header looked;

	(void)state;
	fixture_make(&f);
	seal(&f, 41, 3);
	assert_int_equal(envelope_look(&looked, f.name, buf_span(&f.bytes)), ENVELOPE_OK);
	assert_int_equal(looked.first, 41);
	assert_int_equal(envelope_open(&e, f.name, buf_span(&f.bytes), &f.reader), ENVELOPE_OK);
	assert_true(json_equal(e->records, want));
	assert_int_equal(e->header.kind, ENVELOPE_RECORDS);
	assert_string_equal(e->header.client, f.client_id);
	assert_string_equal(e->header.stream, STREAM);
	assert_int_equal(e->header.first, 41);
	assert_int_equal(e->header.count, 3);
	assert_int_equal(e->header.time_s, NOW);
	assert_null(e->new_key);
}

static void an_enrolment_opens_with_the_key_inside(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(envelope) struct envelope *e = NULL;

	(void)state;
	fixture_make(&f);
	f.reader.find_key = find_nobody;
	seal_enrolment(&f);
	assert_int_equal(envelope_open(&e, f.name, buf_span(&f.bytes), &f.reader), ENVELOPE_OK);
	assert_true(keys_equal(e->new_key, signer_public(f.client)));
	assert_string_equal(jsondoc_text(json_array_get(e->records, 0), "token"), "t0ken");
	assert_int_equal(e->header.first, 0);
}

static void an_enrolment_with_the_key_of_another_is_refused(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(signer) struct signer *other = signer_generate();
	struct envelope_header header = { .kind = ENVELOPE_ENROL, .stream = STREAM };
	json_auto_t *records = json_array();
	struct err err = { 0 };

	(void)state;
	fixture_make(&f);
	json_array_append_new(records, envelope_new_enrol_record(other, NULL));
	assert_done(try_seal(&f, &header, records, &err), &err);
	assert_int_equal(try_open(&f), ENVELOPE_BAD_SIGNATURE);
}

static void an_enrolment_without_a_key_is_malformed(void **state)
{
	static const char *const records_texts[] = {
		"[{\"kind\":\"enrol\"}]",
		"[{\"kind\":\"enrol\",\"public_key\":1}]",
		"[{\"kind\":\"enrol\",\"public_key\":\"abcd\"}]",
	};
	SCOPED(fixture) struct fixture f;

	(void)state;
	fixture_make(&f);
	for (size_t i = 0; i < COUNT_OF(records_texts); i++) {
		struct envelope_header header = { .kind = ENVELOPE_ENROL, .stream = STREAM };
		json_auto_t *records = NULL;
		struct err err = { 0 };

		assert_done(jsondoc_read(&records, span_of_text(records_texts[i]), &err), &err);
		assert_done(try_seal(&f, &header, records, &err), &err);
		assert_int_equal(try_open(&f), ENVELOPE_MALFORMED);
	}
}

static void what_does_not_fit_is_not_sealed(void **state)
{
	static const struct {
		const char *why;
		enum envelope_kind kind;
		uint64_t first;
		int64_t time_s;
		const char *records;
		enum err_code want;
	} cases[] = {
		{ "no record", ENVELOPE_RECORDS, 1, 0, "[]", ERR_LIMIT },
		{ "number 0", ENVELOPE_RECORDS, 0, 0, "[{}]", ERR_FORMAT },
		{ "a number past 2^53", ENVELOPE_RECORDS, (uint64_t)1 << 53, 0, "[{}]",
		  ERR_FORMAT },
		{ "a time before 1970", ENVELOPE_RECORDS, 1, -1, "[{}]", ERR_FORMAT },
		{ "a record that is no object", ENVELOPE_RECORDS, 1, 0, "[{},1]", ERR_FORMAT },
		{ "an enrolment among records", ENVELOPE_RECORDS, 1, 0, "[{},{\"kind\":\"enrol\"}]",
		  ERR_FORMAT },
		{ "a numbered enrolment", ENVELOPE_ENROL, 1, 0, "[{\"kind\":\"enrol\"}]",
		  ERR_FORMAT },
		{ "two enrolments", ENVELOPE_ENROL, 0, 0,
		  "[{\"kind\":\"enrol\"},{\"kind\":\"enrol\"}]", ERR_FORMAT },
		{ "an enrolment of another kind", ENVELOPE_ENROL, 0, 0, "[{\"kind\":\"status\"}]",
		  ERR_FORMAT },
	};
	SCOPED(fixture) struct fixture f;

	(void)state;
	fixture_make(&f);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct envelope_header header = { .kind = cases[i].kind,
						  .stream = STREAM,
						  .first = cases[i].first,
						  .time_s = cases[i].time_s };
		json_auto_t *records = NULL;
		struct err err = { 0 };

		assert_done(jsondoc_read(&records, span_of_text(cases[i].records), &err), &err);
		if (try_seal(&f, &header, records, &err))
			fail_msg("%s is sealed", cases[i].why);
		if (err.code != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err.why);
	}
}

static void the_limits_are_reached_and_not_passed(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED_TEXT char *text = alloc_zeroed(ENVELOPE_SIZE_MAX, 1);
	struct envelope_header header = { .kind = ENVELOPE_RECORDS, .stream = STREAM, .first = 1 };
	json_auto_t *many = records_of(ENVELOPE_RECORDS_MAX + 1), *record = json_object(),
		    *large = json_array();
	struct err err = { 0 };

	(void)state;
	fixture_make(&f);
	assert_false(try_seal(&f, &header, many, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	json_array_remove(many, 0);
	assert_done(try_seal(&f, &header, many, &err), &err);
	assert_int_equal(try_open(&f), ENVELOPE_OK);

	jsondoc_set_text(record, "t", "");
	memset(text, 'x', ENVELOPE_PAYLOAD_MAX - envelope_record_size(record));
	jsondoc_set_text(record, "t", text);
	assert_int_equal(envelope_record_size(record), ENVELOPE_PAYLOAD_MAX);
	json_array_append(large, record);
	assert_done(try_seal(&f, &header, large, &err), &err);
	assert_int_equal(f.bytes.size, ENVELOPE_SIZE_MAX);
	assert_int_equal(try_open(&f), ENVELOPE_OK);
	text[strlen(text)] = 'x';
	jsondoc_set_text(record, "t", text);
	assert_false(try_seal(&f, &header, large, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

static void a_sealing_key_of_low_order_is_refused(void **state)
{
	static const uint8_t zero[SEALER_PUBLIC_SIZE];
	SCOPED(fixture) struct fixture f;
	struct envelope_header header = { .kind = ENVELOPE_RECORDS, .stream = STREAM, .first = 1 };
	json_auto_t *records = records_of(1);
	struct envelope_name name;
	struct err err = { 0 };

	(void)state;
	fixture_make(&f);
	assert_false(envelope_seal(&f.bytes, &name, &header, records, f.client, zero, &err));
	assert_int_equal(err.code, ERR_TRUST);
}

static void names_parse_as_they_are_printed(void **state)
{
	SCOPED(fixture) struct fixture f;
	struct envelope_name name;
	char again[ENVELOPE_NAME_SIZE];

	(void)state;
	fixture_make(&f);
	seal(&f, 12345, 1);
	assert_true(envelope_name_parse(&name, f.name));
	envelope_name_print(again, &name);
	assert_string_equal(again, f.name);
	assert_int_equal(name.length, f.bytes.size);
	name.first = name.length = UINT64_MAX;
	envelope_name_print(again, &name);
	assert_true(envelope_name_parse(&name, again));
}

static void foreign_names_are_refused(void **state)
{
#define ID   "00112233445566778899aabbccddeeff"
#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	static const struct {
		const char *why;
		const char *name;
	} cases[] = {
		{ "nothing", "" },
		{ "a temporary file", ".new-0011223344556677" },
		{ "client too short", "0011-" ID "-1-200-" HASH },
		{ "client in upper case", "00112233445566778899AABBCCDDEEFF-" ID "-1-200-" HASH },
		{ "a path", "../" ID "-" ID "-1-200-" HASH },
		{ "stream missing", ID "-1-200-" HASH },
		{ "a sign", ID "-" ID "-+1-200-" HASH },
		{ "a leading zero", ID "-" ID "-01-200-" HASH },
		{ "no number", ID "-" ID "--200-" HASH },
		{ "a number past 64 bits", ID "-" ID "-18446744073709551616-200-" HASH },
		{ "hash too short", ID "-" ID "-1-200-0011" },
		{ "hash in upper case",
		  ID "-" ID "-1-200-"
		     "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff" },
		{ "something behind", ID "-" ID "-1-200-" HASH ".tmp" },
		{ "a space before", " " ID "-" ID "-1-200-" HASH },
	};
	SCOPED_TEXT char *endless = alloc_zeroed(100001, 1);
	struct envelope_name name;

	(void)state;
	assert_true(envelope_name_parse(&name, ID "-" ID "-1-200-" HASH));
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (envelope_name_parse(&name, cases[i].name))
			fail_msg("%s is taken", cases[i].why);
	memset(endless, '0', 100000);
	assert_false(envelope_name_parse(&name, endless));
}

/* Half-written on the way: to be looked at again, unlike a forged one. */
static void a_cut_object_is_incomplete(void **state)
{
	SCOPED(fixture) struct fixture f;
	struct envelope_header header;
	size_t size;

	(void)state;
	fixture_make(&f);
	seal(&f, 1, 2);
	size = f.bytes.size;
	for (f.bytes.size = 0; f.bytes.size < size; f.bytes.size++)
		if (envelope_look(&header, f.name, buf_span(&f.bytes)) != ENVELOPE_INCOMPLETE)
			fail_msg("cut at %zu", f.bytes.size);
	buf_put_u8(&f.bytes, 0);
	assert_int_equal(try_open(&f), ENVELOPE_INCOMPLETE);
}

/* A name that fits the cut bytes: somebody forged it. */
static void a_renamed_cut_object_is_refused(void **state)
{
	SCOPED(fixture) struct fixture f;
	size_t size;

	(void)state;
	fixture_make(&f);
	seal(&f, 1, 1);
	size = f.bytes.size;
	for (f.bytes.size = 0; f.bytes.size < size; f.bytes.size++) {
		rename_to_bytes(&f);
		if (try_open(&f) != ENVELOPE_MALFORMED)
			fail_msg("cut at %zu", f.bytes.size);
	}
}

static void every_flipped_byte_is_refused(void **state)
{
	for (size_t kind = 0; kind < COUNT_OF(seal_kinds); kind++) {
		SCOPED(fixture) struct fixture f;

		(void)state;
		fixture_make(&f);
		seal_kinds[kind](&f);
		for (size_t i = 0; i < f.bytes.size; i++) {
			f.bytes.data[i] ^= 0x01;
			assert_int_equal(try_open(&f), ENVELOPE_INCOMPLETE);
			f.bytes.data[i] ^= 0x01;
		}
	}
}

/* Somebody changed it and named it anew. What opens all the same has to say the same. */
static void every_flip_under_a_fitting_name_is_refused(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT_OF(seal_kinds); kind++) {
		SCOPED(fixture) struct fixture f;

		fixture_make(&f);
		seal_kinds[kind](&f);
		for (size_t i = 0; i < f.bytes.size * 8; i++) {
			f.bytes.data[i / 8] ^= (uint8_t)(1u << i % 8);
			rename_to_bytes(&f);
			if (try_open(&f) == ENVELOPE_OK)
				fail_msg("bit %zu of byte %zu flipped: opens", i % 8, i / 8);
			f.bytes.data[i / 8] ^= (uint8_t)(1u << i % 8);
		}
		rename_to_bytes(&f);
		assert_int_equal(try_open(&f), ENVELOPE_OK);
	}
}

static void every_flip_of_a_name_is_refused(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT_OF(seal_kinds); kind++) {
		SCOPED(fixture) struct fixture f;

		fixture_make(&f);
		seal_kinds[kind](&f);
		for (size_t i = 0; i < strlen(f.name) * 8; i++) {
			char whole = f.name[i / 8];

			f.name[i / 8] = (char)(whole ^ (1 << i % 8));
			if (try_open(&f) == ENVELOPE_OK)
				fail_msg("bit %zu of character %zu flipped: opens", i % 8, i / 8);
			f.name[i / 8] = whole;
		}
	}
}

static const struct key *find_client(const struct envelope_header *header, void *ctx)
{
	const struct fixture *f = ctx;

	return header->kind == ENVELOPE_HANDOVER || header->first + header->count <= 42
		       ? signer_public(f->client)
		       : NULL;
}

static const struct key *find_other(const char *client, void *ctx)
{
	const struct fixture *f = ctx;

	(void)client;
	return f->other;
}

static void a_handover_carries_the_new_key(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(envelope) struct envelope *e = NULL;

	(void)state;
	fixture_make(&f);
	seal_handover(&f);
	assert_int_equal(envelope_open(&e, f.name, buf_span(&f.bytes), &f.reader), ENVELOPE_OK);
	assert_non_null(e->new_key);
	assert_false(keys_equal(e->new_key, signer_public(f.client)));
	assert_memory_equal(e->signer, keys_ed25519_bytes(signer_public(f.client)),
			    sizeof(e->signer));
	assert_int_equal(e->next, 42);
}

/* The site knows another key of the client by now. */
static void a_former_key_opens_what_is_from_its_time(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(signer) struct signer *other = signer_generate();

	(void)state;
	fixture_make(&f);
	f.other = signer_public(other);
	f.reader.find_key = find_other;
	seal(&f, 40, 2);
	assert_int_equal(try_open(&f), ENVELOPE_BAD_SIGNATURE);
	f.reader.find_former = find_client;
	assert_int_equal(try_open(&f), ENVELOPE_OK);
	seal(&f, 40, 3);
	assert_int_equal(try_open(&f), ENVELOPE_BAD_SIGNATURE);
	seal_handover(&f);
	assert_int_equal(try_open(&f), ENVELOPE_OK);
}

/* A client's id is that of its first key; with another it has to be said. */
static void the_id_stays_with_another_key(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(signer) struct signer *other = signer_generate();
	struct envelope_header header = {
		.kind = ENVELOPE_RECORDS, .stream = STREAM, .first = 1, .time_s = NOW
	};
	json_auto_t *records = records_of(1);
	struct envelope_name name;
	struct err err = { 0 };

	(void)state;
	fixture_make(&f);
	snprintf(header.client, sizeof(header.client), "%s", f.client_id);
	assert_done(envelope_seal(&f.bytes, &name, &header, records, other, sealer_public(f.site),
				  &err),
		    &err);
	assert_string_equal(name.client, f.client_id);
	envelope_name_print(f.name, &name);
	assert_int_equal(try_open(&f), ENVELOPE_BAD_SIGNATURE);
	f.other = signer_public(other);
	f.reader.find_key = find_other;
	assert_int_equal(try_open(&f), ENVELOPE_OK);
}

static void reasons_have_their_verdict(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(sealer) struct sealer *other_site = sealer_generate();
	SCOPED(signer) struct signer *other = signer_generate();
	struct signer *own;
	struct envelope_name name;

	(void)state;
	fixture_make(&f);
	seal(&f, 7, 1);
	f.reader.find_key = find_nobody;
	assert_int_equal(try_open(&f), ENVELOPE_UNKNOWN_CLIENT);
	f.reader.find_key = find_key;
	f.reader.sealer = other_site;
	assert_int_equal(try_open(&f), ENVELOPE_CANNOT_OPEN);
	f.reader.sealer = f.site;

	/* The site knows another key for this id. */
	own = f.client;
	f.client = other;
	assert_int_equal(try_open(&f), ENVELOPE_BAD_SIGNATURE);
	f.client = own;

	/* The right bytes under the name of another number, stream or client. */
	assert_true(envelope_name_parse(&name, f.name));
	name.first++;
	envelope_name_print(f.name, &name);
	assert_int_equal(try_open(&f), ENVELOPE_WRONG_NAME);
	name.first--;
	name.stream[0] ^= 1;
	envelope_name_print(f.name, &name);
	assert_int_equal(try_open(&f), ENVELOPE_WRONG_NAME);
	name.stream[0] ^= 1;
	name.client[0] = name.client[0] == 'a' ? 'b' : 'a';
	envelope_name_print(f.name, &name);
	assert_int_equal(try_open(&f), ENVELOPE_WRONG_NAME);
}

static void too_large_is_said_before_anything_is_hashed(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(buf) struct buf large = { 0 };
	struct envelope_name name;
	struct envelope_header header;

	(void)state;
	fixture_make(&f);
	seal(&f, 1, 1);
	memset(buf_reserve(&large, ENVELOPE_SIZE_MAX + 1), 0, ENVELOPE_SIZE_MAX + 1);
	buf_grew(&large, ENVELOPE_SIZE_MAX + 1);
	assert_int_equal(envelope_look(&header, f.name, buf_span(&large)), ENVELOPE_TOO_LARGE);
	assert_true(envelope_name_parse(&name, f.name));
	name.length = ENVELOPE_SIZE_MAX + 1;
	envelope_name_print(f.name, &name);
	assert_int_equal(envelope_look(&header, f.name, buf_span(&f.bytes)), ENVELOPE_TOO_LARGE);
}

static void payloads_are_read_strictly(void **state)
{
	static const struct {
		const char *why;
		const char *payload;
		uint32_t count;
		bool want;
	} cases[] = {
		{ "two records", "{}\n{\"a\":1}\n", 2, true },
		{ "nothing", "", 1, false },
		{ "no last line feed", "{}", 1, false },
		{ "an empty line", "{}\n\n", 2, false },
		{ "more than promised", "{}\n{}\n", 1, false },
		{ "fewer than promised", "{}\n", 2, false },
		{ "no object", "[]\n", 1, false },
		{ "two on a line", "{}{}\n", 1, false },
		{ "a duplicate key", "{\"a\":1,\"a\":2}\n", 1, false },
		{ "no JSON", "hello\n", 1, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		json_auto_t *records = NULL;

		if (envelope_read_records(&records, span_of_text(cases[i].payload),
					  cases[i].count) != cases[i].want)
			fail_msg("%s", cases[i].why);
	}
}

TESTING_MAIN(cmocka_unit_test(sealed_records_open),
	     cmocka_unit_test(an_enrolment_opens_with_the_key_inside),
	     cmocka_unit_test(an_enrolment_with_the_key_of_another_is_refused),
	     cmocka_unit_test(an_enrolment_without_a_key_is_malformed),
	     cmocka_unit_test(what_does_not_fit_is_not_sealed),
	     cmocka_unit_test(the_limits_are_reached_and_not_passed),
	     cmocka_unit_test(a_sealing_key_of_low_order_is_refused),
	     cmocka_unit_test(names_parse_as_they_are_printed),
	     cmocka_unit_test(foreign_names_are_refused),
	     cmocka_unit_test(a_cut_object_is_incomplete),
	     cmocka_unit_test(a_renamed_cut_object_is_refused),
	     cmocka_unit_test(every_flipped_byte_is_refused),
	     cmocka_unit_test(every_flip_under_a_fitting_name_is_refused),
	     cmocka_unit_test(every_flip_of_a_name_is_refused),
	     cmocka_unit_test(a_handover_carries_the_new_key),
	     cmocka_unit_test(a_former_key_opens_what_is_from_its_time),
	     cmocka_unit_test(the_id_stays_with_another_key),
	     cmocka_unit_test(reasons_have_their_verdict),
	     cmocka_unit_test(too_large_is_said_before_anything_is_hashed),
	     cmocka_unit_test(payloads_are_read_strictly))

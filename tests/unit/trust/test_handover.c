/*
 * A hand-over is taken as the two keys agreed on it, and not otherwise.
 */
#include "support/testing.h"

#include <string.h>

#include "common/jsondoc.h"
#include "trust/handover.h"

#define CLIENT "00112233445566778899aabbccddeeff"
#define STREAM "ffeeddccbbaa99887766554433221100"

struct pair {
	struct signer *old_key, *new_key;
	struct handover h;
	json_t *record;
};

static void pair_make(struct pair *p)
{
	*p = (struct pair){ .old_key = signer_generate(), .new_key = signer_generate() };
	p->h = (struct handover){
		.client = CLIENT,
		.stream = STREAM,
		.next = 17,
		.old_key = keys_ed25519_bytes(signer_public(p->old_key)),
	};
	p->record = handover_new_record(&p->h, p->new_key);
}

static void pair_scoped(struct pair *p)
{
	signer_free(p->old_key);
	signer_free(p->new_key);
	json_decref(p->record);
}

static bool reads(const struct pair *p, const struct handover *as)
{
	SCOPED(key) struct key *key = NULL;
	struct handover h = *as;

	return handover_read(&key, &h, p->record);
}

static void what_was_agreed_is_read(void **state UNUSED)
{
	SCOPED(pair) struct pair p;
	SCOPED(key) struct key *key = NULL;
	struct handover h;

	pair_make(&p);
	h = p.h;
	h.next = 0;
	assert_true(handover_is_record(p.record));
	assert_true(handover_read(&key, &h, p.record));
	assert_true(keys_equal(key, signer_public(p.new_key)));
	assert_int_equal(h.next, 17);
}

static void another_client_stream_or_old_key_is_refused(void **state UNUSED)
{
	SCOPED(pair) struct pair p;
	struct handover h;

	pair_make(&p);
	h = p.h;
	h.client = STREAM;
	assert_false(reads(&p, &h));
	h = p.h;
	h.stream = CLIENT;
	assert_false(reads(&p, &h));
	h = p.h;
	h.old_key = keys_ed25519_bytes(signer_public(p.new_key));
	assert_false(reads(&p, &h));
}

static void a_changed_record_is_refused(void **state UNUSED)
{
	static const struct {
		const char *why, *member, *value;
	} cases[] = {
		{ "another number", "next", "18" },
		{ "no number", "next", "null" },
		{ "number 0", "next", "0" },
		{ "a negative number", "next", "-1" },
		{ "a number past 2^53", "next", "9007199254740993" },
		{ "no key", "public_key", "null" },
		{ "half a key", "public_key", "\"0011\"" },
		{ "a key of low order", "public_key",
		  "\"00000000000000000000000000000000"
		  "00000000000000000000000000000000\"" },
		{ "no signature", "signature", "null" },
		{ "an empty signature", "signature", "\"\"" },
		{ "another kind", "kind", "\"enrol\"" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(pair) struct pair p;

		pair_make(&p);
		json_object_set_new(p.record, cases[i].member,
				    json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		if (reads(&p, &p.h))
			fail_msg("%s: taken", cases[i].why);
	}
}

static void a_key_does_not_follow_itself(void **state UNUSED)
{
	SCOPED(pair) struct pair p;

	pair_make(&p);
	json_decref(p.record);
	p.record = handover_new_record(&p.h, p.old_key);
	assert_false(reads(&p, &p.h));
}

TESTING_MAIN(cmocka_unit_test(what_was_agreed_is_read),
	     cmocka_unit_test(another_client_stream_or_old_key_is_refused),
	     cmocka_unit_test(a_changed_record_is_refused),
	     cmocka_unit_test(a_key_does_not_follow_itself), )

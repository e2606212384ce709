#include "trust/authority.h"

#include <string.h>

#include "common/jsondoc.h"
#include "support/testing.h"

#define KEYS 3

/* A root body that lists three keys for the role "targets", of which two must sign. */
struct fixture {
	struct signer *items[KEYS];
	struct authority_signers signers;
	json_t *root;
	json_t *body; /* what is signed */
};

static void fixture_make(struct fixture *f)
{
	json_t *keys = json_object(), *keyids = json_array(), *roles = json_object();

	*f = (struct fixture){ .root = json_object(), .body = json_pack("{s:i}", "version", 7) };
	for (size_t i = 0; i < KEYS; i++) {
		f->items[i] = signer_generate();
		authority_add_key(keys, keyids, signer_public(f->items[i]));
	}
	f->signers = (struct authority_signers){ .items = f->items, .count = KEYS };
	jsondoc_set(roles, "targets", json_pack("{s:o,s:i}", "keyids", keyids, "threshold", 2));
	jsondoc_set(f->root, "keys", keys);
	jsondoc_set(f->root, "roles", roles);
}

static void fixture_scoped(struct fixture *f)
{
	for (size_t i = 0; i < KEYS; i++)
		signer_free(f->items[i]);
	json_decref(f->root);
	json_decref(f->body);
}

/* The body signed by the first `count` keys; the caller owns it. */
static json_t *sign(const struct fixture *f, size_t count)
{
	struct authority who = authority_by_root(f->root, "targets");
	struct authority_signers here = { .items = f->signers.items, .count = count };
	SCOPED(buf) struct buf text = { 0 };
	json_t *doc = json_object();
	struct err err = { 0 };

	assert_done(jsondoc_canonical(&text, f->body, &err), &err);
	jsondoc_set(doc, "signatures", authority_sign(&who, &here, buf_span(&text)));
	jsondoc_set(doc, "signed", json_incref(f->body));
	return doc;
}

static void as_many_as_the_threshold_must_sign(void **state)
{
	SCOPED(fixture) struct fixture f;
	struct authority who;

	(void)state;
	fixture_make(&f);
	who = authority_by_root(f.root, "targets");
	assert_int_equal(who.threshold, 2);
	assert_int_equal(authority_here(&who, &f.signers), KEYS);
	for (size_t count = 0; count <= KEYS; count++) {
		json_auto_t *doc = sign(&f, count);
		struct err err = { 0 };

		assert_int_equal(json_array_size(json_object_get(doc, "signatures")), count);
		assert_int_equal(authority_check(&who, doc, &err), count >= 2);
		if (count < 2)
			assert_int_equal(err.code, ERR_TRUST);
	}
}

static void a_changed_body_is_not_signed(void **state)
{
	SCOPED(fixture) struct fixture f;
	json_auto_t *doc = NULL;
	struct authority who;
	struct err err;

	(void)state;
	fixture_make(&f);
	who = authority_by_root(f.root, "targets");
	doc = sign(&f, KEYS);
	jsondoc_set_int(f.body, "version", 8);
	assert_false(authority_check(&who, doc, &err));
}

static void keys_of_others_neither_sign_nor_count(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(signer) struct signer *other = signer_generate();
	struct authority_signers others = { .items = &other, .count = 1 };
	json_auto_t *signatures = NULL;
	struct authority who;

	(void)state;
	fixture_make(&f);
	who = authority_by_root(f.root, "targets");
	assert_int_equal(authority_here(&who, &others), 0);
	signatures = authority_sign(&who, &others, span_of_text("text"));
	assert_int_equal(json_array_size(signatures), 0);
}

static void a_role_that_nobody_knows_is_signed_by_nobody(void **state)
{
	SCOPED(fixture) struct fixture f;
	struct authority unknown[3];
	json_auto_t *doc = NULL;

	(void)state;
	fixture_make(&f);
	doc = sign(&f, KEYS);
	unknown[0] = authority_by_root(f.root, "snapshot");
	unknown[1] = authority_by_targets(f.root, "packages");
	unknown[2] = authority_by_root(NULL, "targets");
	for (size_t i = 0; i < COUNT_OF(unknown); i++) {
		struct err err;

		assert_int_equal(authority_here(&unknown[i], &f.signers), 0);
		assert_false(authority_check(&unknown[i], doc, &err));
	}
}

/* A threshold below one would let an unsigned file pass. */
static void a_threshold_of_nothing_is_refused(void **state)
{
	static const int thresholds[] = { 0, -1 };
	SCOPED(fixture) struct fixture f;
	json_auto_t *doc = NULL;

	(void)state;
	fixture_make(&f);
	doc = sign(&f, 0);
	for (size_t i = 0; i < COUNT_OF(thresholds); i++) {
		json_t *role = json_object_get(json_object_get(f.root, "roles"), "targets");
		struct authority who;
		struct err err;

		jsondoc_set_int(role, "threshold", thresholds[i]);
		who = authority_by_root(f.root, "targets");
		assert_false(authority_check(&who, doc, &err));
	}
}

static void a_listed_id_without_a_key_counts_for_nothing(void **state)
{
	SCOPED(fixture) struct fixture f;
	struct authority who;
	json_t *keys;

	(void)state;
	fixture_make(&f);
	keys = json_object_get(f.root, "keys");
	json_object_clear(keys);
	who = authority_by_root(f.root, "targets");
	assert_int_equal(authority_here(&who, &f.signers), 0);
}

TESTING_MAIN(cmocka_unit_test(as_many_as_the_threshold_must_sign),
	     cmocka_unit_test(a_changed_body_is_not_signed),
	     cmocka_unit_test(keys_of_others_neither_sign_nor_count),
	     cmocka_unit_test(a_role_that_nobody_knows_is_signed_by_nobody),
	     cmocka_unit_test(a_threshold_of_nothing_is_refused),
	     cmocka_unit_test(a_listed_id_without_a_key_counts_for_nothing))

#include "trust/keychange.h"

#include <string.h>

#include "common/jsondoc.h"
#include "support/testing.h"
#include "trust/signer.h"

/* The same two roles in the form of root and in the form of a targets role. */
static json_t *new_holder(bool by_name)
{
	const char *named = "{\"keys\":{},\"roles\":{\"a\":{\"keyids\":[],\"threshold\":1},"
			    "\"b\":{\"keyids\":[],\"threshold\":1}}}";
	const char *listed =
		"{\"keys\":{},\"roles\":[{\"name\":\"a\",\"keyids\":[],\"threshold\":1},"
		"{\"name\":\"b\",\"keyids\":[],\"threshold\":1}]}";
	json_t *holder = NULL;
	struct err err;

	assert_done(jsondoc_read(&holder, span_of_text(by_name ? named : listed), &err), &err);
	return holder;
}

static size_t count_of(json_t *holder, const char *role)
{
	return json_array_size(json_object_get(keychange_entry(holder, role), "keyids"));
}

static void a_key_leaves_with_the_last_role_that_uses_it(void **state)
{
	(void)state;
	for (int by_name = 0; by_name <= 1; by_name++) {
		json_auto_t *holder = new_holder(by_name != 0);
		SCOPED(signer) struct signer *one = signer_generate();
		SCOPED(signer) struct signer *two = signer_generate();

		assert_true(keychange_add(holder, "a", signer_public(one)));
		assert_true(keychange_add(holder, "b", signer_public(one)));
		assert_true(keychange_add(holder, "b", signer_public(two)));
		assert_int_equal(json_object_size(json_object_get(holder, "keys")), 2);
		assert_true(keychange_drop(holder, "b", signer_public(one)));
		assert_int_equal(count_of(holder, "b"), 1);
		assert_int_equal(json_object_size(json_object_get(holder, "keys")), 2);
		assert_true(keychange_drop(holder, "a", signer_public(one)));
		assert_int_equal(count_of(holder, "a"), 0);
		assert_int_equal(json_object_size(json_object_get(holder, "keys")), 1);
		assert_false(keychange_drop(holder, "a", signer_public(one)));
	}
}

static void all_keys_of_a_role_go_at_once(void **state)
{
	json_auto_t *holder = new_holder(true);
	SCOPED(signer) struct signer *one = signer_generate();
	SCOPED(signer) struct signer *two = signer_generate();

	(void)state;
	assert_true(keychange_add(holder, "a", signer_public(one)));
	assert_true(keychange_add(holder, "b", signer_public(one)));
	assert_true(keychange_add(holder, "b", signer_public(two)));
	keychange_drop_all(holder, "b");
	assert_int_equal(count_of(holder, "b"), 0);
	assert_int_equal(count_of(holder, "a"), 1);
	assert_int_equal(json_object_size(json_object_get(holder, "keys")), 1);
	keychange_drop_all(holder, "c");
}

static void a_role_that_is_none_is_told(void **state)
{
	json_auto_t *holder = new_holder(true);
	SCOPED(signer) struct signer *one = signer_generate();

	(void)state;
	assert_null(keychange_entry(holder, "c"));
	assert_false(keychange_add(holder, "c", signer_public(one)));
	assert_false(keychange_drop(holder, "c", signer_public(one)));
}

TESTING_MAIN(cmocka_unit_test(a_key_leaves_with_the_last_role_that_uses_it),
	     cmocka_unit_test(all_keys_of_a_role_go_at_once),
	     cmocka_unit_test(a_role_that_is_none_is_told))

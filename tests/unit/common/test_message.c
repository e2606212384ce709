#include "common/message.h"

#include "common/jsondoc.h"
#include "support/testing.h"

static void a_message_says_what_happened_and_to_what(void **state UNUSED)
{
	const struct message_about about = {
		.advertisement = "LON20001",
		.package = "LON00001",
		.version = 3,
		.program = "install",
	};
	json_auto_t *data = json_pack("{s:i}", "exit", 0);
	json_auto_t *got = message_new(MESSAGE_SUCCEEDED, 0, &about, json_string("succeeded"),
				       json_incref(data));
	json_auto_t *want = json_pack("{s:s, s:i, s:s, s:s, s:s, s:i, s:s, s:s, s:O}", "kind",
				      "status", "id", 10008, "time", "1970-01-01T00:00:00Z",
				      "advertisement", "LON20001", "package", "LON00001", "version",
				      3, "program", "install", "text", "succeeded", "data", data);

	assert_true(json_equal(got, want));
}

static void what_does_not_apply_is_left_out(void **state UNUSED)
{
	const struct message_about about = { .advertisement = "LON20001", .version = 3 };
	json_auto_t *plain = message_new(MESSAGE_ENROLLED, 0, NULL, json_string("enrolled"), NULL);
	json_auto_t *of_offer = message_new(MESSAGE_REJECTED, 0, &about, json_string("rejected"),
					    NULL);

	assert_int_equal(json_object_size(plain), 4);
	assert_int_equal(json_object_size(of_offer), 5);
	assert_string_equal(jsondoc_text(of_offer, "advertisement"), "LON20001");
}

TESTING_MAIN(cmocka_unit_test(a_message_says_what_happened_and_to_what),
	     cmocka_unit_test(what_does_not_apply_is_left_out))

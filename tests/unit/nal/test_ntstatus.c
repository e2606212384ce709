#include "support/testing.h"

#include "nal/ntstatus.h"

static void codes_have_their_class(void **state UNUSED)
{
	static const struct {
		uint32_t code;
		enum nal_class want;
	} cases[] = {
		{ NTSTATUS_SUCCESS, NAL_CLASS_OK },  { 0xc0000022, NAL_CLASS_DENIED },
		{ 0xc000006d, NAL_CLASS_DENIED },    { 0xc00000d0, NAL_CLASS_BUSY },
		{ 0xc00000cc, NAL_CLASS_NOT_FOUND }, { 0xc000007f, NAL_CLASS_FULL },
		{ 0xdeadbeef, NAL_CLASS_UNKNOWN },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(ntstatus_class(cases[i].code), cases[i].want);
	assert_string_equal(ntstatus_name(0xc0000022), "NT_STATUS_ACCESS_DENIED");
	assert_null(ntstatus_name(0xdeadbeef));
}

static void a_name_is_found_in_a_line(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum nal_class want;
	} cases[] = {
		{ "session setup failed: NT_STATUS_LOGON_FAILURE\n", NAL_CLASS_DENIED },
		{ "connect (NT_STATUS_CONNECTION_REFUSED) to x", NAL_CLASS_UNREACHABLE },
		{ "NT_STATUS_IO_TIMEOUT", NAL_CLASS_TIMEOUT },
		{ "put: NT_STATUS_DISK_FULL", NAL_CLASS_FULL },
		{ "NT_STATUS_ACCESS_DENIED_X", NAL_CLASS_UNKNOWN },
		{ "NT_STATUS_", NAL_CLASS_UNKNOWN },
		{ "", NAL_CLASS_UNKNOWN },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(ntstatus_class_in(cases[i].text), cases[i].want);
}

TESTING_MAIN(cmocka_unit_test(codes_have_their_class),
	     cmocka_unit_test(a_name_is_found_in_a_line), )

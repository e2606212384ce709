#include "support/testing.h"

#include "nal/netserver.h"

/* The call itself is made by tests/flow/presence.py, with a real smbd. */
static void a_status_has_its_class(void **state UNUSED)
{
	static const struct {
		int64_t status;
		const char *said;
		enum nal_class want;
	} cases[] = {
		{ 0, "", NAL_CLASS_OK },
		{ 0, "NT_STATUS_ACCESS_DENIED", NAL_CLASS_OK },
		{ 5, "", NAL_CLASS_DENIED },
		{ 1219, "", NAL_CLASS_CONFLICT },
		{ 2152, "", NAL_CLASS_NOT_FOUND },
		{ 1003, "", NAL_CLASS_UNKNOWN },
		{ 1003, "session setup failed: NT_STATUS_LOGON_FAILURE ", NAL_CLASS_DENIED },
		{ 1003, "tree connect failed: NT_STATUS_REQUEST_NOT_ACCEPTED", NAL_CLASS_BUSY },
		{ -1, "", NAL_CLASS_UNKNOWN },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(netserver_class(cases[i].status, cases[i].said), cases[i].want);
}

TESTING_MAIN(cmocka_unit_test(a_status_has_its_class), )

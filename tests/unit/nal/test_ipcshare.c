#include "support/testing.h"

#include "nal/ipcshare.h"
#include "nal/ntstatus.h"

static const uint16_t commands[] = { SMBFRAME_SESSION_SETUP, SMBFRAME_SESSION_SETUP,
				     SMBFRAME_TREE_CONNECT, SMBFRAME_TREE_DISCONNECT,
				     SMBFRAME_LOGOFF };

static struct smbframe answer_to(const struct ipcshare *c, uint32_t status)
{
	return (struct smbframe){ .command = commands[c->leg],
				  .status = status,
				  .message = c->message,
				  .tree = 7,
				  .session = 0x51 };
}

/* Answer well up to the leg, and that one with `status`. */
static enum ipcshare_progress run_to(struct ipcshare *c, enum ipcshare_leg leg, uint32_t status)
{
	enum ipcshare_progress progress = IPCSHARE_NEXT;

	ipcshare_begin(c);
	while (progress == IPCSHARE_NEXT) {
		bool is_last = c->leg == leg;
		uint32_t good = c->leg == IPCSHARE_HELLO ? NTSTATUS_MORE_PROCESSING : 0;
		struct smbframe answer = answer_to(c, is_last ? status : good);

		progress = ipcshare_answer(c, &answer);
		if (is_last)
			break;
	}
	return progress;
}

/* Q226113: IPC$ is connected and released at once. */
static void ipc_is_connected_and_released(void **state UNUSED)
{
	struct ipcshare c;

	assert_int_equal(run_to(&c, IPCSHARE_LOGOFF, 0), IPCSHARE_OVER);
	assert_int_equal(c.class, NAL_CLASS_OK);
	assert_int_equal(c.session, 0x51);
	assert_int_equal(c.tree, 0);
	assert_int_equal(c.message, 5);
}

static void each_answer_has_its_class(void **state UNUSED)
{
	static const struct {
		enum ipcshare_leg leg;
		uint32_t status;
		enum nal_class want;
	} cases[] = {
		{ IPCSHARE_HELLO, NTSTATUS_SUCCESS, NAL_CLASS_PROTOCOL },
		{ IPCSHARE_HELLO, 0xc0000418, NAL_CLASS_DENIED },
		{ IPCSHARE_ANONYMOUS, 0xc000006d, NAL_CLASS_DENIED },
		{ IPCSHARE_ANONYMOUS, NTSTATUS_MORE_PROCESSING, NAL_CLASS_PROTOCOL },
		{ IPCSHARE_CONNECT, 0xc0000022, NAL_CLASS_DENIED },
		{ IPCSHARE_CONNECT, 0xc00000d0, NAL_CLASS_BUSY },
		{ IPCSHARE_CONNECT, 0xc0001234, NAL_CLASS_UNKNOWN },
		{ IPCSHARE_DISCONNECT, 0xc00000c9, NAL_CLASS_OK },
		{ IPCSHARE_LOGOFF, 0xc0000203, NAL_CLASS_OK },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ipcshare c;

		assert_int_equal(run_to(&c, cases[i].leg, cases[i].status), IPCSHARE_OVER);
		assert_int_equal(c.class, cases[i].want);
	}
}

static void interim_and_foreign_answers_are_passed_over(void **state UNUSED)
{
	struct ipcshare c;
	struct smbframe answer;

	ipcshare_begin(&c);
	answer = answer_to(&c, NTSTATUS_PENDING);
	assert_int_equal(ipcshare_answer(&c, &answer), IPCSHARE_WAIT);
	answer = answer_to(&c, NTSTATUS_MORE_PROCESSING);
	answer.message = 9;
	assert_int_equal(ipcshare_answer(&c, &answer), IPCSHARE_WAIT);
	answer.message = c.message;
	answer.command = SMBFRAME_LOGOFF;
	assert_int_equal(ipcshare_answer(&c, &answer), IPCSHARE_OVER);
	assert_int_equal(c.class, NAL_CLASS_PROTOCOL);
}

TESTING_MAIN(cmocka_unit_test(ipc_is_connected_and_released),
	     cmocka_unit_test(each_answer_has_its_class),
	     cmocka_unit_test(interim_and_foreign_answers_are_passed_over), )

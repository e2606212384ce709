#include "support/testing.h"

#include <string.h>

#include "nal/negotiate.h"

static const struct negotiate_random random_bytes_of_test = { .guid = { 1 }, .salt = { 2 } };

/* MS-SMB2 2.2.3: sizes, offsets and the order of members. */
static void the_request_is_as_the_standard_has_it(void **state UNUSED)
{
	SCOPED(buf) struct buf b = { 0 };
	struct span in;
	uint16_t size = 0, dialects = 0, mode = 0;
	uint32_t at = 0;

	negotiate_request(&b, &random_bytes_of_test);
	assert_int_equal(b.data[2] << 8 | b.data[3], b.size - 4);
	assert_memory_equal(b.data + 4, "\xfeSMB\x40\0", 6);
	in = span_skip(buf_span(&b), 4 + SMBFRAME_HEADER);
	assert_true(span_take_u16(&in, &size) && span_take_u16(&in, &dialects) &&
		    span_take_u16(&in, &mode));
	assert_int_equal(size, 36);
	assert_int_equal(dialects, 5);
	assert_int_equal(mode, 1);
	in = span_skip(in, 2 + 4);
	assert_memory_equal(in.data, random_bytes_of_test.guid, NEGOTIATE_GUID_SIZE);
	in = span_skip(in, NEGOTIATE_GUID_SIZE);
	assert_true(span_take_u32(&in, &at));
	assert_int_equal(at % 8, 0);
	assert_int_equal(b.size - 4 - at, 8 + 6 + NEGOTIATE_SALT_SIZE);
	assert_memory_equal(b.data + b.size - NEGOTIATE_SALT_SIZE, random_bytes_of_test.salt,
			    NEGOTIATE_SALT_SIZE);
}

static void no_smb_is_seen_from_its_first_bytes(void **state UNUSED)
{
	static const struct {
		const char *bytes;
		size_t size;
		enum smbframe_result want;
	} cases[] = {
		{ "", 0, SMBFRAME_MORE },
		{ "\0\0", 2, SMBFRAME_MORE },
		{ "\0\0\0\x48\xfeS", 6, SMBFRAME_MORE },
		{ "H", 1, SMBFRAME_NOT_SMB },
		{ "SSH-2.0-OpenSSH_9.2\r\n", 21, SMBFRAME_NOT_SMB },
		{ "\0\0\0\x48\xffSMB", 8, SMBFRAME_NOT_SMB },
		{ "\0\xff\xff\xff", 4, SMBFRAME_NOT_SMB },
		{ "\0\0\0\x08", 4, SMBFRAME_NOT_SMB },
		{ "\x83\0\0\1\x81", 5, SMBFRAME_SHUT_OUT },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct span in = span_of(cases[i].bytes, cases[i].size);
		struct smbframe frame;

		assert_int_equal(smbframe_take(&frame, &in), cases[i].want);
		assert_int_equal(in.size, cases[i].size);
	}
}

static void put_body(struct buf *out, uint16_t size, uint16_t dialect)
{
	static const uint8_t guid[NEGOTIATE_GUID_SIZE] = "nas12";

	buf_put_u16(out, size);
	buf_put_u16(out, 3);
	buf_put_u16(out, dialect);
	buf_put_u16(out, 0);
	buf_put(out, guid, sizeof(guid));
	buf_put_u32(out, 0x7f);
	buf_put_u32(out, 1 << 20);
	buf_put_u32(out, 8 << 20);
}

static void an_answer_is_read_within_its_bounds(void **state UNUSED)
{
	static const struct {
		uint16_t size, dialect, command;
		uint32_t status;
		bool want;
	} cases[] = {
		{ 65, 0x0202, SMBFRAME_NEGOTIATE, 0, true },
		{ 65, 0x0311, SMBFRAME_NEGOTIATE, 0, true },
		{ 65, 0x0400, SMBFRAME_NEGOTIATE, 0, false },
		{ 64, 0x0311, SMBFRAME_NEGOTIATE, 0, false },
		{ 65, 0x0311, SMBFRAME_LOGOFF, 0, false },
		{ 9, 0, SMBFRAME_NEGOTIATE, 0xc00000bb, true },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(buf) struct buf body = { 0 };
		struct smbframe answer = { .command = cases[i].command, .status = cases[i].status };
		struct negotiate n;

		put_body(&body, cases[i].size, cases[i].dialect);
		answer.body = buf_span(&body);
		assert_int_equal(negotiate_parse(&n, &answer), cases[i].want);
		if (cases[i].want && cases[i].status == 0) {
			assert_int_equal(n.dialect, cases[i].dialect);
			assert_int_equal(n.max_read, 8 << 20);
			assert_true(n.security_mode & NEGOTIATE_SIGNING_REQUIRED);
			assert_string_equal((const char *)n.guid, "nas12");
		}
		for (size_t k = 0; cases[i].status == 0 && k < body.size; k++) {
			answer.body = span_of(body.data, k);
			assert_false(negotiate_parse(&n, &answer));
		}
	}
}

TESTING_MAIN(cmocka_unit_test(the_request_is_as_the_standard_has_it),
	     cmocka_unit_test(no_smb_is_seen_from_its_first_bytes),
	     cmocka_unit_test(an_answer_is_read_within_its_bounds), )

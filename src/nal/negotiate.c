#include "nal/negotiate.h"

#include "common/macros.h"
#include "nal/ntstatus.h"

#define SIGNING_ENABLED     1
#define PREAUTH_INTEGRITY   1 /* the one context that 3.1.1 demands (2.2.3.1.1) */
#define SHA_512             1
#define REQUEST_BODY        36
#define ANSWER_BODY         65 /* StructureSize; the fixed part has 64 */
#define CONTEXT_ALIGNMENT   8
#define DIALECT_ANY_ABOVE_2 0x02ff

static const uint16_t dialects[] = { 0x0202, 0x0210, 0x0300, 0x0302, 0x0311 };

static void put_preauth(struct buf *out, const struct negotiate_random *random)
{
	buf_put_u16(out, PREAUTH_INTEGRITY);
	buf_put_u16(out, 6 + NEGOTIATE_SALT_SIZE);
	buf_put_u32(out, 0);
	buf_put_u16(out, 1); /* hash algorithms */
	buf_put_u16(out, NEGOTIATE_SALT_SIZE);
	buf_put_u16(out, SHA_512);
	buf_put(out, random->salt, NEGOTIATE_SALT_SIZE);
}

/* Contexts start at a multiple of 8 from the header. */
static size_t context_offset(void)
{
	size_t end = SMBFRAME_HEADER + REQUEST_BODY + sizeof(dialects);

	return (end + CONTEXT_ALIGNMENT - 1) / CONTEXT_ALIGNMENT * CONTEXT_ALIGNMENT;
}

void negotiate_request(struct buf *out, const struct negotiate_random *random)
{
	const struct smbframe head = { .command = SMBFRAME_NEGOTIATE };
	size_t start = smbframe_begin(out, &head);
	size_t message = out->size - SMBFRAME_HEADER;

	buf_put_u16(out, REQUEST_BODY);
	buf_put_u16(out, COUNT_OF(dialects));
	buf_put_u16(out, SIGNING_ENABLED);
	buf_put_u16(out, 0);
	buf_put_u32(out, 0); /* capabilities: none is used */
	buf_put(out, random->guid, NEGOTIATE_GUID_SIZE);
	buf_put_u32(out, (uint32_t)context_offset());
	buf_put_u16(out, 1);
	buf_put_u16(out, 0);
	for (size_t i = 0; i < COUNT_OF(dialects); i++)
		buf_put_u16(out, dialects[i]);
	while (out->size - message < context_offset())
		buf_put_u8(out, 0);
	put_preauth(out, random);
	smbframe_end(out, start);
}

static bool is_dialect(uint16_t value)
{
	for (size_t i = 0; i < COUNT_OF(dialects); i++)
		if (dialects[i] == value)
			return true;
	return value == DIALECT_ANY_ABOVE_2;
}

bool negotiate_parse(struct negotiate *out, const struct smbframe *answer)
{
	struct span body = answer->body;
	uint16_t size, contexts;
	uint32_t capabilities, max_transact;

	*out = (struct negotiate){ .status = answer->status };
	if (answer->command != SMBFRAME_NEGOTIATE)
		return false;
	if (answer->status != NTSTATUS_SUCCESS)
		return true;
	return span_take_u16(&body, &size) && size == ANSWER_BODY &&
	       span_take_u16(&body, &out->security_mode) && span_take_u16(&body, &out->dialect) &&
	       is_dialect(out->dialect) && span_take_u16(&body, &contexts) &&
	       span_take_copy(&body, out->guid, sizeof(out->guid)) &&
	       span_take_u32(&body, &capabilities) && span_take_u32(&body, &max_transact) &&
	       span_take_u32(&body, &out->max_read);
}

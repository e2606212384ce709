#include "nal/ipcshare.h"

#include <string.h>

#include "nal/ntstatus.h"

#define SETUP_SIZE      25
#define SETUP_TOKEN_AT  (SMBFRAME_HEADER + 24)
#define CONNECT_SIZE    9
#define CONNECT_PATH_AT (SMBFRAME_HEADER + 8)

/* NTLMSSP flags (MS-NLMP 2.2.2.5): NEGOTIATE_UNICODE, REQUEST_TARGET, NEGOTIATE_NTLM,
 * NEGOTIATE_ALWAYS_SIGN, NEGOTIATE_EXTENDED_SESSIONSECURITY, and for the answer ANONYMOUS. */
#define NTLM_FLAGS     0x00088205u
#define NTLM_ANONYMOUS 0x00000800u
#define NTLM_FIELDS    64 /* the fixed part of an AUTHENTICATE without version and MIC */

static const char ntlm_signature[8] = "NTLMSSP";

/* SPNEGO (RFC 4178) around a token of less than 100 bytes, so that each length is one byte. */
static void put_wrapped(struct buf *out, uint8_t tag, struct span inner)
{
	assert(inner.size < 0x80);
	buf_put_u8(out, tag);
	buf_put_u8(out, (uint8_t)inner.size);
	buf_put_span(out, inner);
}

/* NegTokenInit: the mechanism NTLMSSP, and its first message. */
static void put_init(struct buf *out, struct span token)
{
	static const uint8_t spnego_oid[] = { 0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02 };
	static const uint8_t mechanisms[] = { 0xa0, 0x0e, 0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06,
					      0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a };
	SCOPED(buf) struct buf octets = { 0 }, list = { 0 }, sequence = { 0 }, init = { 0 };

	put_wrapped(&octets, 0x04, token);
	buf_put(&list, mechanisms, sizeof(mechanisms));
	put_wrapped(&list, 0xa2, buf_span(&octets));
	put_wrapped(&sequence, 0x30, buf_span(&list));
	buf_put(&init, spnego_oid, sizeof(spnego_oid));
	put_wrapped(&init, 0xa0, buf_span(&sequence));
	put_wrapped(out, 0x60, buf_span(&init));
}

/* NegTokenResp: the mechanism's next message. */
static void put_response(struct buf *out, struct span token)
{
	SCOPED(buf) struct buf octets = { 0 }, member = { 0 }, sequence = { 0 };

	put_wrapped(&octets, 0x04, token);
	put_wrapped(&member, 0xa2, buf_span(&octets));
	put_wrapped(&sequence, 0x30, buf_span(&member));
	put_wrapped(out, 0xa1, buf_span(&sequence));
}

/* NEGOTIATE_MESSAGE (MS-NLMP 2.2.1.1): no domain, no workstation. */
static void put_ntlm_negotiate(struct buf *out)
{
	buf_put(out, ntlm_signature, sizeof(ntlm_signature));
	buf_put_u32(out, 1);
	buf_put_u32(out, NTLM_FLAGS);
	buf_put_u64(out, 0);
	buf_put_u64(out, 0);
}

static void put_field(struct buf *out, uint16_t size, uint32_t at)
{
	buf_put_u16(out, size);
	buf_put_u16(out, size);
	buf_put_u32(out, at);
}

/* AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3) of nobody: the LM response is one zero byte. */
static void put_ntlm_anonymous(struct buf *out)
{
	buf_put(out, ntlm_signature, sizeof(ntlm_signature));
	buf_put_u32(out, 3);
	put_field(out, 1, NTLM_FIELDS); /* LM response */
	for (int i = 0; i < 5; i++)     /* NT response, domain, user, workstation, session key */
		put_field(out, 0, NTLM_FIELDS + 1);
	buf_put_u32(out, NTLM_FLAGS | NTLM_ANONYMOUS);
	buf_put_u8(out, 0);
}

static void put_setup(struct buf *out, const struct ipcshare *c)
{
	SCOPED(buf) struct buf token = { 0 }, wrapped = { 0 };

	if (c->leg == IPCSHARE_HELLO) {
		put_ntlm_negotiate(&token);
		put_init(&wrapped, buf_span(&token));
	} else {
		put_ntlm_anonymous(&token);
		put_response(&wrapped, buf_span(&token));
	}
	buf_put_u16(out, SETUP_SIZE);
	buf_put_u8(out, 0); /* no binding to another session */
	buf_put_u8(out, 1); /* signing enabled; nobody's session is not signed (3.2.5.3.1) */
	buf_put_u32(out, 0);
	buf_put_u32(out, 0);
	buf_put_u16(out, SETUP_TOKEN_AT);
	buf_put_u16(out, (uint16_t)wrapped.size);
	buf_put_u64(out, 0); /* no session before this one */
	buf_put_span(out, buf_span(&wrapped));
}

static void put_utf16(struct buf *out, const char *ascii)
{
	for (; *ascii != '\0'; ascii++)
		buf_put_u16(out, (uint8_t)*ascii);
}

static void put_connect(struct buf *out, const char *host)
{
	SCOPED(buf) struct buf path = { 0 };

	put_utf16(&path, "\\\\");
	put_utf16(&path, host);
	put_utf16(&path, "\\IPC$");
	buf_put_u16(out, CONNECT_SIZE);
	buf_put_u16(out, 0);
	buf_put_u16(out, CONNECT_PATH_AT);
	buf_put_u16(out, (uint16_t)path.size);
	buf_put_span(out, buf_span(&path));
}

static const uint16_t commands[] = {
	[IPCSHARE_HELLO] = SMBFRAME_SESSION_SETUP,
	[IPCSHARE_ANONYMOUS] = SMBFRAME_SESSION_SETUP,
	[IPCSHARE_CONNECT] = SMBFRAME_TREE_CONNECT,
	[IPCSHARE_DISCONNECT] = SMBFRAME_TREE_DISCONNECT,
	[IPCSHARE_LOGOFF] = SMBFRAME_LOGOFF,
};
static_assert(COUNT_OF(commands) == IPCSHARE_LEG_COUNT_, "every leg has its command");

void ipcshare_begin(struct ipcshare *c)
{
	/* Message 0 was the NEGOTIATE. */
	*c = (struct ipcshare){ .message = 1, .class = NAL_CLASS_UNKNOWN };
}

void ipcshare_request(struct buf *out, const struct ipcshare *c, const char *host)
{
	const struct smbframe head = { .command = commands[c->leg],
				       .message = c->message,
				       .session = c->session,
				       .tree = c->tree };
	size_t start = smbframe_begin(out, &head);

	assert(strlen(host) <= IPCSHARE_HOST_MAX);
	if (c->leg <= IPCSHARE_ANONYMOUS) {
		put_setup(out, c);
	} else if (c->leg == IPCSHARE_CONNECT) {
		put_connect(out, host);
	} else {
		buf_put_u16(out, 4);
		buf_put_u16(out, 0);
	}
	smbframe_end(out, start);
}

static enum ipcshare_progress give_up(struct ipcshare *c, enum nal_class class)
{
	/* What was reached was reached, even if the release goes wrong: closing ends it all. */
	if (!c->was_connected)
		c->class = class;
	return IPCSHARE_OVER;
}

static enum ipcshare_progress go_on(struct ipcshare *c, const struct smbframe *answer)
{
	if (c->leg == IPCSHARE_HELLO)
		c->session = answer->session;
	if (c->leg == IPCSHARE_CONNECT) {
		c->tree = answer->tree;
		c->was_connected = true;
		c->class = NAL_CLASS_OK;
	}
	if (c->leg == IPCSHARE_DISCONNECT)
		c->tree = 0;
	if (c->leg == IPCSHARE_LOGOFF)
		return IPCSHARE_OVER;
	c->leg++;
	c->message++;
	return IPCSHARE_NEXT;
}

enum ipcshare_progress ipcshare_answer(struct ipcshare *c, const struct smbframe *answer)
{
	bool is_first = c->leg == IPCSHARE_HELLO;

	if (answer->message != c->message || answer->status == NTSTATUS_PENDING)
		return IPCSHARE_WAIT;
	if (answer->command != commands[c->leg])
		return give_up(c, NAL_CLASS_PROTOCOL);
	if (!c->was_connected)
		c->status = answer->status;
	if (answer->status == (is_first ? NTSTATUS_MORE_PROCESSING : NTSTATUS_SUCCESS))
		return go_on(c, answer);
	if (answer->status == NTSTATUS_SUCCESS || answer->status == NTSTATUS_MORE_PROCESSING)
		return give_up(c, NAL_CLASS_PROTOCOL);
	return give_up(c, ntstatus_class(answer->status));
}

#include "nal/smbframe.h"

#define LENGTH_SIZE      4
#define NEGATIVE_SESSION 0x83

static const uint8_t protocol_id[] = { 0xfe, 'S', 'M', 'B' };

/* The four bytes before a message: 0 and its size, most significant byte first. */
static enum smbframe_result take_length(size_t *size_out, struct span in)
{
	if (in.size == 0)
		return SMBFRAME_MORE;
	if (in.data[0] == NEGATIVE_SESSION)
		return SMBFRAME_SHUT_OUT;
	if (in.data[0] != 0)
		return SMBFRAME_NOT_SMB;
	if (in.size < LENGTH_SIZE)
		return SMBFRAME_MORE;
	*size_out = (size_t)in.data[1] << 16 | (size_t)in.data[2] << 8 | in.data[3];
	return *size_out >= SMBFRAME_HEADER && *size_out <= SMBFRAME_MAX ? SMBFRAME_WHOLE
									 : SMBFRAME_NOT_SMB;
}

/* `message` holds a whole header. */
static bool read_header(struct smbframe *out, struct span message)
{
	struct span skipped;
	uint16_t header_size, words;
	uint32_t next, process;

	*out = (struct smbframe){ .body = span_skip(message, SMBFRAME_HEADER) };
	message.size = SMBFRAME_HEADER;
	if (!span_take(&message, &skipped, sizeof(protocol_id)) ||
	    !span_take_u16(&message, &header_size) || !span_take_u16(&message, &words) ||
	    !span_take_u32(&message, &out->status) || !span_take_u16(&message, &out->command) ||
	    !span_take_u16(&message, &words) || !span_take_u32(&message, &out->flags) ||
	    !span_take_u32(&message, &next) || !span_take_u64(&message, &out->message) ||
	    !span_take_u32(&message, &process) || !span_take_u32(&message, &out->tree) ||
	    !span_take_u64(&message, &out->session))
		return false;
	if ((out->flags & SMBFRAME_DEFERRED) != 0)
		out->tree = 0; /* the field is half of an AsyncId there */
	/* No answer to one request is a compound of several. */
	return header_size == SMBFRAME_HEADER && next == 0;
}

enum smbframe_result smbframe_take(struct smbframe *out, struct span *in)
{
	size_t size = 0;
	enum smbframe_result result = take_length(&size, *in);
	struct span message;

	if (result != SMBFRAME_WHOLE)
		return result;
	message = span_skip(*in, LENGTH_SIZE);
	if (!span_equal(span_of(message.data, MIN_OF(message.size, sizeof(protocol_id))),
			span_of(protocol_id, MIN_OF(message.size, sizeof(protocol_id)))))
		return SMBFRAME_NOT_SMB;
	if (message.size < size)
		return SMBFRAME_MORE;
	message.size = size;
	if (!read_header(out, message))
		return SMBFRAME_NOT_SMB;
	*in = span_skip(*in, LENGTH_SIZE + size);
	return SMBFRAME_WHOLE;
}

size_t smbframe_begin(struct buf *out, const struct smbframe *head)
{
	static const uint8_t no_signature[16];
	size_t start = out->size;

	buf_put_u32(out, 0); /* the length, later */
	buf_put(out, protocol_id, sizeof(protocol_id));
	buf_put_u16(out, SMBFRAME_HEADER);
	buf_put_u16(out, head->message == 0 ? 0 : 1); /* CreditCharge */
	buf_put_u32(out, 0);
	buf_put_u16(out, head->command);
	buf_put_u16(out, 8); /* credits asked for */
	buf_put_u32(out, 0);
	buf_put_u32(out, 0);
	buf_put_u64(out, head->message);
	buf_put_u32(out, 0);
	buf_put_u32(out, head->tree);
	buf_put_u64(out, head->session);
	buf_put(out, no_signature, sizeof(no_signature));
	return start;
}

void smbframe_end(struct buf *out, size_t start)
{
	size_t size = out->size - start - LENGTH_SIZE;
	uint8_t *length = (uint8_t *)out->data + start;

	assert(size <= SMBFRAME_MAX);
	length[1] = (uint8_t)(size >> 16);
	length[2] = (uint8_t)(size >> 8);
	length[3] = (uint8_t)size;
}

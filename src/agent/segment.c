#include "agent/segment.h"

#include "common/crc32.h"

/* u32 size, u32 CRC of what follows; then u64 sequence, u8 key size, key, JSON. */

void segment_put(struct buf *out, const struct segment_record *record)
{
	SCOPED(buf) struct buf body = { 0 };

	assert(record->key.size <= SEGMENT_KEY_MAX && record->json.size <= SEGMENT_JSON_MAX);
	buf_put_u64(&body, record->sequence);
	buf_put_u8(&body, (uint8_t)record->key.size);
	buf_put_span(&body, record->key);
	buf_put_span(&body, record->json);
	buf_put_u32(out, (uint32_t)body.size);
	buf_put_u32(out, crc32_of(buf_span(&body)));
	buf_put_span(out, buf_span(&body));
}

static bool take_body(struct span *bytes, struct span *body)
{
	uint32_t size, crc;

	return span_take_u32(bytes, &size) && span_take_u32(bytes, &crc) &&
	       span_take(bytes, body, size) && crc32_of(*body) == crc;
}

bool segment_take(struct span *bytes, struct segment_record *out, uint64_t sequence)
{
	struct span rest = *bytes, body;
	uint8_t key_size;

	if (!take_body(&rest, &body) || !span_take_u64(&body, &out->sequence) ||
	    !span_take_u8(&body, &key_size) || !span_take(&body, &out->key, key_size) ||
	    out->sequence != sequence)
		return false;
	out->json = body;
	*bytes = rest;
	return true;
}

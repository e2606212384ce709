#include "common/span.h"

bool span_take(struct span *s, struct span *out, size_t size)
{
	if (size > s->size)
		return false;
	*out = span_of(s->data, size);
	*s = span_skip(*s, size);
	return true;
}

bool span_take_copy(struct span *s, void *dst, size_t size)
{
	struct span taken;

	if (!span_take(s, &taken, size))
		return false;
	if (size > 0)
		memcpy(dst, taken.data, size);
	return true;
}

static bool take_little_endian(struct span *s, uint64_t *out, size_t size)
{
	struct span taken;
	uint64_t value = 0;

	if (!span_take(s, &taken, size))
		return false;
	for (size_t i = size; i-- > 0;)
		value = value << 8 | taken.data[i];
	*out = value;
	return true;
}

bool span_take_u8(struct span *s, uint8_t *out)
{
	return span_take_copy(s, out, 1);
}

bool span_take_u16(struct span *s, uint16_t *out)
{
	uint64_t value;

	if (!take_little_endian(s, &value, 2))
		return false;
	*out = (uint16_t)value;
	return true;
}

bool span_take_u32(struct span *s, uint32_t *out)
{
	uint64_t value;

	if (!take_little_endian(s, &value, 4))
		return false;
	*out = (uint32_t)value;
	return true;
}

bool span_take_u64(struct span *s, uint64_t *out)
{
	return take_little_endian(s, out, 8);
}

bool span_take_varint(struct span *s, uint64_t *out, uint64_t max)
{
	struct span rest = *s;
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (!span_take_u8(&rest, &byte))
			return false;
		if (shift == 63 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) != 0)
			continue;
		if ((byte == 0 && shift > 0) || value > max)
			return false;
		*out = value;
		*s = rest;
		return true;
	}
	return false;
}

bool span_take_until(struct span *s, struct span *out, uint8_t byte, size_t max)
{
	size_t look = s->size > max ? max + 1 : s->size;
	const uint8_t *found = look > 0 ? memchr(s->data, byte, look) : NULL;

	if (found == NULL)
		return false;
	*out = span_of(s->data, (size_t)(found - s->data));
	*s = span_skip(*s, out->size + 1);
	return true;
}

bool span_take_line(struct span *s, struct span *out)
{
	if (s->size == 0)
		return false;
	if (span_take_until(s, out, '\n', s->size))
		return true;
	*out = *s;
	*s = span_skip(*s, s->size);
	return true;
}

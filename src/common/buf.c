#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

static size_t limit_of(const struct buf *b)
{
	return b->max != 0 ? b->max : BUF_MAX_DEFAULT;
}

void buf_release(struct buf *b)
{
	if (!b->is_lent)
		free(b->data);
	*b = (struct buf){ .max = b->max };
}

void buf_clear(struct buf *b)
{
	b->size = 0;
	if (b->data != NULL)
		b->data[0] = '\0';
}

void buf_move(struct buf *b, void *memory, size_t capacity)
{
	if (b->size > 0)
		memcpy(memory, b->data, b->size);
	if (!b->is_lent)
		free(b->data);
	b->data = memory;
	b->capacity = capacity;
	b->is_lent = false;
}

bool buf_room(const struct buf *b, size_t size)
{
	return size <= limit_of(b) - b->size;
}

void *buf_reserve(struct buf *b, size_t size)
{
	size_t need = b->size + size + 1;

	assert(buf_room(b, size)); /* foreign sizes are checked before they get here */
	if (need > b->capacity) {
		size_t grown = b->capacity * 2;

		b->capacity = need > grown ? need : grown;
		if (b->capacity < 64)
			b->capacity = 64;
		if (b->is_lent)
			buf_move(b, alloc_resize(NULL, b->capacity), b->capacity);
		else
			b->data = alloc_resize(b->data, b->capacity);
	}
	return b->data + b->size;
}

void buf_grew(struct buf *b, size_t size)
{
	assert(b->size + size < b->capacity);
	b->size += size;
	b->data[b->size] = '\0';
}

void buf_put(struct buf *b, const void *data, size_t size)
{
	void *end = buf_reserve(b, size);

	if (size > 0)
		memcpy(end, data, size);
	buf_grew(b, size);
}

void buf_put_span(struct buf *b, struct span s)
{
	buf_put(b, s.data, s.size);
}

void buf_put_text(struct buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}

static void put_little_endian(struct buf *b, uint64_t value, size_t size)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	buf_put(b, bytes, size);
}

void buf_put_u8(struct buf *b, uint8_t value)
{
	buf_put(b, &value, 1);
}

void buf_put_u16(struct buf *b, uint16_t value)
{
	put_little_endian(b, value, 2);
}

void buf_put_u32(struct buf *b, uint32_t value)
{
	put_little_endian(b, value, 4);
}

void buf_put_u64(struct buf *b, uint64_t value)
{
	put_little_endian(b, value, 8);
}

void buf_put_varint(struct buf *b, uint64_t value)
{
	while (value >= 0x80) {
		buf_put_u8(b, (uint8_t)(value | 0x80));
		value >>= 7;
	}
	buf_put_u8(b, (uint8_t)value);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
	va_list again;
	int size;

	assert(fmt != NULL);
	va_copy(again, args);
	size = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	assert(size >= 0); /* only a bad format of ours can fail */
	vsnprintf(buf_reserve(b, (size_t)size), (size_t)size + 1, fmt, args);
	buf_grew(b, (size_t)size);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_vprintf(b, fmt, args);
	va_end(args);
}

const char *buf_text(struct buf *b)
{
	buf_reserve(b, 0);
	b->data[b->size] = '\0';
	return (const char *)b->data;
}

char *buf_take(struct buf *b)
{
	char *taken;

	assert(!b->is_lent);
	buf_text(b);
	taken = (char *)b->data;
	*b = (struct buf){ .max = b->max };
	return taken;
}

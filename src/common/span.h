/*
 * A borrowed view of bytes, and bounded reading from its front.
 *
 * A span never owns. The span_take_* functions advance the view only when they succeed, so a
 * failed take leaves it where it was. Integers are little-endian, as in every format of ours.
 *
 * PURE.
 */
#ifndef COMMON_SPAN_H
#define COMMON_SPAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/macros.h"

struct span {
	const uint8_t *data;
	size_t size;
};

static inline struct span span_of(const void *data, size_t size)
{
	return (struct span){ .data = data, .size = size };
}

static inline struct span span_of_text(const char *text)
{
	return span_of(text, strlen(text));
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool span_equal_text(struct span a, const char *text)
{
	return span_equal(a, span_of_text(text));
}

/* True if all bytes are 0, and there is one at least. */
static inline bool span_is_zero(struct span s)
{
	return s.size > 0 && s.data[0] == 0 && memcmp(s.data, s.data + 1, s.size - 1) == 0;
}

/* The view behind the first `size` bytes, of which there must be that many. */
static inline struct span span_skip(struct span s, size_t size)
{
	assert(size <= s.size);
	return span_of(s.data + size, s.size - size);
}

/* Take exactly `size` bytes from the front. */
bool span_take(struct span *s, struct span *out, size_t size) MUST_USE;
bool span_take_copy(struct span *s, void *dst, size_t size) MUST_USE;
bool span_take_u8(struct span *s, uint8_t *out) MUST_USE;
bool span_take_u16(struct span *s, uint16_t *out) MUST_USE;
bool span_take_u32(struct span *s, uint32_t *out) MUST_USE;
bool span_take_u64(struct span *s, uint64_t *out) MUST_USE;

/*
 * Take an unsigned LEB128 number of at most `max`; refuses forms longer than needed, so that
 * each value has one encoding.
 */
bool span_take_varint(struct span *s, uint64_t *out, uint64_t max) MUST_USE;

/* Take up to and without `byte`, which is consumed; false if it is not among the first `max` + 1.
 */
bool span_take_until(struct span *s, struct span *out, uint8_t byte, size_t max) MUST_USE;

/* Take one line without its \n; the last may lack it. False at the end of the view. */
bool span_take_line(struct span *s, struct span *out) MUST_USE;

#endif

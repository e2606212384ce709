/*
 * A growing byte buffer with a hard upper limit.
 *
 * { 0 } is a valid empty buffer with the default limit. The bytes are always followed by a NUL
 * that is not counted, so `data` of a buffer that was written to is usable as text. Out of
 * memory stops the program; growing past the limit is a bug of the caller (assert), so whoever
 * appends foreign data checks its size first or uses buf_room.
 *
 * PURE.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "common/span.h"

#define BUF_MAX_DEFAULT ((size_t)1 << 31)

struct buf {
	uint8_t *data; /* NULL while nothing was ever written */
	size_t size;
	size_t capacity;
	size_t max;   /* 0: BUF_MAX_DEFAULT */
	bool is_lent; /* the memory is somebody else's: never freed, and left for own when it is too
			 small */
};

/* An empty buffer in `memory`, which outlives it. */
static inline struct buf buf_lent(void *memory, size_t capacity)
{
	return (struct buf){ .data = memory, .capacity = capacity, .is_lent = true };
}

/* The same content in memory of `capacity` bytes, which is the buffer's from now on. */
void buf_move(struct buf *b, void *memory, size_t capacity);

void buf_release(struct buf *b);
SCOPED_RELEASE(buf);

/* Forget the content, keep the memory. */
void buf_clear(struct buf *b);

/* True if `size` more bytes stay within the limit. */
bool buf_room(const struct buf *b, size_t size);

void buf_put(struct buf *b, const void *data, size_t size);
void buf_put_span(struct buf *b, struct span s);
void buf_put_text(struct buf *b, const char *text);
void buf_put_u8(struct buf *b, uint8_t value);
void buf_put_u16(struct buf *b, uint16_t value);
void buf_put_u32(struct buf *b, uint32_t value);
void buf_put_u64(struct buf *b, uint64_t value);
void buf_put_varint(struct buf *b, uint64_t value);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list args) PRINTF_LIKE(2, 0);

/*
 * Make room for `size` bytes behind the content and return where they start; the content grows
 * only by buf_grew. The pointer is valid until the next call on `b`.
 */
void *buf_reserve(struct buf *b, size_t size);
void buf_grew(struct buf *b, size_t size);

/* The content as text (NUL-terminated, "" when empty); borrowed until the next change. */
const char *buf_text(struct buf *b);

static inline struct span buf_span(const struct buf *b)
{
	return span_of(b->data, b->size);
}

/* Move the memory out; `b` is empty afterwards and the caller frees the result. Never NULL. */
char *buf_take(struct buf *b);

#endif

#include "content/cutter.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "content/chunker.h"
#include "content/idmap.h"

/* An unfinished chunk and a full room behind it, several times over so that moving is rare. */
#define BUFFER_SIZE (4 * (CHUNKER_MAX + CUTTER_ROOM))

/*
 * The first frames are smaller, so that the press soon has work for a second processor, and so are
 * the last ones, so that none waits long for the other at the end.
 */
#define FRAME_SMALL   (1u << 20)
#define FRAME_AT_LAST 4 /* no frame is larger than that part of what is still to come */

/* Kinds of frames that are filled side by side. */
enum texture {
	TEXTURE_LOOSE,
	TEXTURE_DENSE,
	TEXTURE_COUNT_,
};

struct cutter {
	struct chunker chunker;
	struct catalogue *cat;
	struct press *press;
	struct press_buffer *open[TEXTURE_COUNT_]; /* frames being filled, NULL for none */
	uint32_t full[TEXTURE_COUNT_];             /* at so many bytes */
	uint32_t frame_count;
	uint64_t to_come; /* bytes of the stream, at most */
	struct digest_ctx *hash;
	struct cutter_chunk *chunks;
	uint32_t chunk_count;
	uint64_t new_bytes;
	size_t begin, end; /* the unfinished chunk in the buffer */
	uint8_t *buffer;
};

struct cutter *cutter_new(struct catalogue *cat, struct press *press, uint64_t to_come)
{
	struct cutter *c = alloc_zeroed(1, sizeof(*c));

	chunker_init(&c->chunker);
	c->cat = cat;
	c->press = press;
	c->to_come = to_come;
	c->hash = digest_new();
	c->buffer = alloc_resize(NULL, BUFFER_SIZE);
	return c;
}

void cutter_free(struct cutter *c)
{
	if (c == NULL)
		return;
	digest_free(c->hash);
	free(c->chunks);
	free(c->buffer);
	free(c);
}

uint8_t *cutter_room(struct cutter *c)
{
	if (BUFFER_SIZE - c->end < CUTTER_ROOM) {
		memmove(c->buffer, c->buffer + c->begin, c->end - c->begin);
		c->end -= c->begin;
		c->begin = 0;
	}
	return c->buffer + c->end;
}

static void close_frame(struct cutter *c, enum texture texture)
{
	if (c->open[texture] != NULL)
		press_submit(c->press, c->open[texture]);
	c->open[texture] = NULL;
}

static uint32_t size_of_next(const struct cutter *c)
{
	uint32_t size = c->frame_count < 2 ? FRAME_SMALL << c->frame_count : FRAME_RAW_MAX;
	uint64_t at_last = MAX_OF(c->to_come / FRAME_AT_LAST, (uint64_t)FRAME_SMALL);

	return (uint32_t)MIN_OF((uint64_t)size, at_last);
}

static struct press_buffer *frame_for(struct cutter *c, enum texture texture, size_t size)
{
	if (c->open[texture] != NULL && c->full[texture] - c->open[texture]->size < size)
		close_frame(c, texture);
	if (c->open[texture] == NULL) {
		c->open[texture] = press_buffer(c->press);
		c->full[texture] = size_of_next(c);
		c->frame_count++;
		c->open[texture]->frame = catalogue_add_frame(c->cat);
		c->open[texture]->is_dense = texture == TEXTURE_DENSE;
	}
	return c->open[texture];
}

static uint32_t add_new_chunk(struct cutter *c, const struct digest *id, struct span bytes)
{
	enum texture texture = frame_is_dense(bytes) ? TEXTURE_DENSE : TEXTURE_LOOSE;
	struct press_buffer *frame = frame_for(c, texture, bytes.size);

	memcpy(frame->data + frame->size, bytes.data, bytes.size);
	frame->size += (uint32_t)bytes.size;
	c->new_bytes += bytes.size;
	return catalogue_add_chunk(c->cat, frame->frame, id, (uint32_t)bytes.size);
}

static void emit(struct cutter *c, size_t size)
{
	struct span bytes = span_of(c->buffer + c->begin, size);
	struct cutter_chunk *chunk;
	uint32_t number;

	ALLOC_GROW(c->chunks, c->chunk_count);
	chunk = &c->chunks[c->chunk_count++];
	chunk->size = (uint32_t)size;
	digest_update(c->hash, bytes);
	digest_finish(c->hash, &chunk->id);
	number = catalogue_find(c->cat, &chunk->id);
	if (number == IDMAP_NONE)
		number = add_new_chunk(c, &chunk->id, bytes);
	catalogue_use(c->cat, number);
	c->begin += size;
}

void cutter_take(struct cutter *c, size_t size)
{
	struct span bytes = span_of(c->buffer + c->end, size);
	size_t n;

	assert(size <= BUFFER_SIZE - c->end);
	c->to_come -= MIN_OF(c->to_come, (uint64_t)size);
	while ((n = chunker_next(&c->chunker, bytes)) > 0) {
		c->end += n;
		bytes = span_skip(bytes, n);
		emit(c, c->end - c->begin);
	}
	c->end += bytes.size;
}

void cutter_boundary(struct cutter *c)
{
	if (c->end > c->begin)
		emit(c, c->end - c->begin);
	chunker_restart(&c->chunker);
}

bool cutter_is_between(const struct cutter *c)
{
	return c->begin == c->end;
}

void cutter_take_known(struct cutter *c, uint32_t number, const struct cutter_chunk *chunk)
{
	assert(cutter_is_between(c));
	ALLOC_GROW(c->chunks, c->chunk_count);
	c->chunks[c->chunk_count++] = *chunk;
	catalogue_use(c->cat, number);
}

void cutter_finish(struct cutter *c)
{
	cutter_boundary(c);
	close_frame(c, TEXTURE_LOOSE);
	close_frame(c, TEXTURE_DENSE);
}

uint32_t cutter_chunk_count(const struct cutter *c)
{
	return c->chunk_count;
}

const struct cutter_chunk *cutter_chunk_at(const struct cutter *c, uint32_t number)
{
	assert(number < c->chunk_count);
	return &c->chunks[number];
}

void cutter_drop_chunks(struct cutter *c, uint32_t count)
{
	uint32_t kept = 1;

	assert(count <= c->chunk_count);
	/* ALLOC_GROW counts on the array having grown to its count step by step. */
	while (kept < count)
		kept *= 2;
	c->chunk_count = count;
	c->chunks = alloc_resize(c->chunks, kept * sizeof(*c->chunks));
}

uint64_t cutter_new_bytes(const struct cutter *c)
{
	return c->new_bytes;
}

#include "content/packer_known.h"

#include <errno.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"

#define NO_FILE UINT32_MAX

static struct cutter_chunk chunk_of_then(const struct packer *p, uint32_t number)
{
	const struct manifest_chunk *c = manifest_chunk_at(earlier_manifest(p->earlier), number);

	return (struct cutter_chunk){ .id = c->id, .size = c->size };
}

/* ---- large files: whole chunks, no neighbours ---- */

/* The chunks of then that cover [offset, offset + size), if they do so exactly and are all here. */
static bool find_chunks(const struct packer *p, uint64_t offset, uint64_t size, uint32_t *first_out,
			uint32_t *count_out)
{
	const struct manifest *then = earlier_manifest(p->earlier);
	uint32_t first = earlier_chunk_from(p->earlier, offset);
	uint64_t at = offset;
	uint32_t i = first;

	for (; at < offset + size && i < manifest_chunk_count(then); i++) {
		const struct manifest_chunk *c = manifest_chunk_at(then, i);

		if (c->offset != at || catalogue_find(p->cat, &c->id) == IDMAP_NONE)
			return false;
		at += c->size;
	}
	*first_out = first;
	*count_out = i - first;
	return at == offset + size;
}

static enum packer_known add_large(struct packer *p, uint32_t number, uint32_t *same_out)
{
	const struct source_entry *e = source_entry_at(p->source, number);
	uint32_t first, count, begin;

	assert(p->ahead == 0);
	if (!find_chunks(p, earlier_offset(p->earlier, number), e->size, &first, &count))
		return PACKER_KNOWN_NOT;
	cutter_boundary(p->cutter);
	begin = cutter_chunk_count(p->cutter);
	for (uint32_t i = first; i < first + count; i++) {
		struct cutter_chunk chunk = chunk_of_then(p, i);

		cutter_take_known(p->cutter, catalogue_find(p->cat, &chunk.id), &chunk);
	}
	packer_work_tell(p, e->size);
	if (!p->has_twin[number])
		return PACKER_KNOWN_ADDED;
	packer_work_hash_chunks(&p->contents[number], cutter_chunk_at(p->cutter, begin), count);
	*same_out = packer_work_meet(p, number);
	if (*same_out != MANIFEST_NOT_SAME)
		cutter_drop_chunks(p->cutter, begin);
	return PACKER_KNOWN_ADDED;
}

/* ---- small files: runs that share chunks ---- */

/* The next file with bytes behind entry `number`, or NO_FILE. */
static uint32_t next_file(const struct packer *p, uint32_t number)
{
	for (uint32_t i = number + 1; i < source_entry_count(p->source); i++) {
		const struct source_entry *e = source_entry_at(p->source, i);

		if (e->type == MANIFEST_FILE && e->size > 0)
			return i;
	}
	return NO_FILE;
}

static bool is_large(const struct packer *p, uint32_t number)
{
	return source_entry_at(p->source, number)->size >= PACKER_LARGE_FILE;
}

/* A small file that need not be read: unchanged, and it can be told whether it is the same as
 * another. */
static bool is_known_small(const struct packer *p, uint32_t number)
{
	return !is_large(p, number) && earlier_knows(p->earlier, number) &&
	       (!p->has_twin[number] || earlier_content(p->earlier, number) != NULL);
}

/* Decide whether a known small file is the same as an earlier one; each once, in their order. */
static uint32_t judge(struct packer *p, uint32_t number)
{
	if (number < p->judged)
		return p->same_as[number];
	p->judged = number + 1;
	p->same_as[number] = MANIFEST_NOT_SAME;
	if (p->has_twin[number]) {
		p->contents[number] = *earlier_content(p->earlier, number);
		p->same_as[number] = packer_work_meet(p, number);
	}
	return p->same_as[number];
}

/*
 * True if the stream goes on behind file `number` as it did then, up to offset `end` of then, and
 * is cut there again. Inside a file a cut depends on the bytes before it alone; at the end of one
 * it may have been made for a large neighbour, and counts only where there is one now.
 */
static bool goes_on_until(struct packer *p, uint32_t number, uint64_t end)
{
	uint64_t run_end = earlier_offset(p->earlier, number) +
			   source_entry_at(p->source, number)->size;
	uint32_t next = number;

	while (run_end < end) {
		next = next_file(p, next);
		if (next == NO_FILE || !is_known_small(p, next))
			return false;
		if (judge(p, next) != MANIFEST_NOT_SAME)
			continue;
		if (earlier_offset(p->earlier, next) != run_end)
			return false;
		run_end += source_entry_at(p->source, next)->size;
	}
	if (run_end > end)
		return true;
	next = next_file(p, next);
	return next == NO_FILE || is_large(p, next);
}

/* Take the chunk of then that begins `at` bytes into the file. Returns its size, or 0. */
static uint32_t take_chunk(struct packer *p, uint32_t number, uint64_t at)
{
	const struct manifest *then = earlier_manifest(p->earlier);
	uint64_t offset = earlier_offset(p->earlier, number) + at;
	uint32_t i = earlier_chunk_from(p->earlier, offset);
	struct cutter_chunk chunk;
	uint32_t known;

	if (!cutter_is_between(p->cutter) || i == manifest_chunk_count(then) ||
	    manifest_chunk_at(then, i)->offset != offset)
		return 0;
	chunk = chunk_of_then(p, i);
	known = catalogue_find(p->cat, &chunk.id);
	if (known == IDMAP_NONE || !goes_on_until(p, number, offset + chunk.size))
		return 0;
	cutter_take_known(p->cutter, known, &chunk);
	return chunk.size;
}

/* Up to where the file is read before a cut of then may be met again. */
static uint64_t next_cut(const struct packer *p, uint32_t number, uint64_t at)
{
	const struct manifest *then = earlier_manifest(p->earlier);
	uint64_t begin = earlier_offset(p->earlier, number);
	uint64_t size = source_entry_at(p->source, number)->size;
	uint32_t i = earlier_chunk_from(p->earlier, begin + at + 1);

	if (i == manifest_chunk_count(then))
		return size;
	return MIN_OF(size, manifest_chunk_at(then, i)->offset - begin);
}

/* Read a part of the file to the stream. */
static bool read_part(struct packer *p, uint32_t number, uint64_t from, uint64_t to,
		      struct err *err)
{
	const struct source_entry *e = source_entry_at(p->source, number);
	SCOPED_FD int fd = -1;

	if (!source_read_begin(&fd, p->source, number, err))
		return false;
	if (lseek(fd, (off_t)from, SEEK_SET) < 0)
		return err_sys(err, ERR_IO, errno, "%s", e->path);
	if (!packer_work_read(p, e, fd, to - from, err))
		return false;
	cutter_take(p->cutter, to - from);
	return source_read_end(p->source, number, fd, err);
}

static enum packer_known add_small(struct packer *p, uint32_t number, uint32_t *same_out,
				   struct err *err)
{
	uint64_t size = source_entry_at(p->source, number)->size;
	uint64_t at;

	*same_out = judge(p, number);
	if (*same_out != MANIFEST_NOT_SAME) {
		packer_work_tell(p, size);
		return PACKER_KNOWN_ADDED;
	}
	at = MIN_OF(size, p->ahead);
	p->ahead -= at;
	packer_work_tell(p, at);
	while (at < size) {
		uint64_t taken = take_chunk(p, number, at);
		uint64_t to = taken > 0 ? MIN_OF(size, at + taken) : next_cut(p, number, at);

		if (taken > 0)
			packer_work_tell(p, to - at);
		else if (!read_part(p, number, at, to, err))
			return PACKER_KNOWN_FAILED;
		p->ahead += taken > 0 ? at + taken - to : 0;
		at = to;
	}
	return PACKER_KNOWN_ADDED;
}

enum packer_known packer_known_add(struct packer *p, uint32_t number, uint32_t *same_out,
				   struct err *err)
{
	if (p->earlier == NULL || source_entry_at(p->source, number)->size == 0)
		return PACKER_KNOWN_NOT;
	if (is_large(p, number))
		return earlier_knows(p->earlier, number) ? add_large(p, number, same_out)
							 : PACKER_KNOWN_NOT;
	return is_known_small(p, number) ? add_small(p, number, same_out, err) : PACKER_KNOWN_NOT;
}

#include "content/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/arena.h"
#include "common/path.h"
#include "common/text.h"
#include "content/compact.h"
#include "content/link.h"

#define TYPE_SHIFT 12
#define MODE_MASK  0777u
#define TARGET_MAX 4095u
#define PATH_BYTES 4095u

struct manifest {
	struct arena texts;
	struct manifest_entry *entries;
	struct manifest_chunk *chunks;
	uint32_t *slots; /* numbers of the entries that have bytes in the stream */
	uint32_t entry_count, chunk_count, slot_count, file_count;
	uint64_t stream_size; /* by the files */
	uint64_t chunks_size; /* by the chunks */
	uint64_t tree_size;
};

static const struct compact_kind manifest_kind = {
	.magic = "PWMF",
	.noun = "manifest",
	.bytes_max = MANIFEST_BYTES_MAX,
	.body_max = MANIFEST_BODY_MAX,
};

struct manifest *manifest_new(void)
{
	return alloc_zeroed(1, sizeof(struct manifest));
}

void manifest_free(struct manifest *m)
{
	if (m == NULL)
		return;
	arena_release(&m->texts);
	free(m->entries);
	free(m->chunks);
	free(m->slots);
	free(m);
}

/* Add an entry whose texts live in the arena already. */
static struct manifest_entry *append_entry(struct manifest *m)
{
	ALLOC_GROW(m->entries, m->entry_count);
	m->entries[m->entry_count] = (struct manifest_entry){ .same_as = MANIFEST_NOT_SAME };
	return &m->entries[m->entry_count++];
}

/* Give the last entry its place in the stream, once its size and `same_as` are known. */
static void place_entry(struct manifest *m, uint32_t number)
{
	struct manifest_entry *e = &m->entries[number];

	if (e->type != MANIFEST_FILE)
		return;
	m->file_count++;
	m->tree_size += e->size;
	if (e->same_as < number) {
		e->offset = m->entries[e->same_as].offset;
		return;
	}
	e->offset = m->stream_size;
	m->stream_size += e->size;
	if (e->size == 0)
		return;
	ALLOC_GROW(m->slots, m->slot_count);
	m->slots[m->slot_count++] = number;
}

uint32_t manifest_add_entry(struct manifest *m, const struct manifest_entry *from)
{
	struct manifest_entry *e = append_entry(m);
	uint32_t number = m->entry_count - 1;

	*e = *from;
	e->path = arena_text(&m->texts, span_of_text(from->path));
	if (from->target != NULL)
		e->target = arena_text(&m->texts, span_of_text(from->target));
	place_entry(m, number);
	return number;
}

void manifest_add_chunk(struct manifest *m, const struct digest *id, uint32_t size)
{
	ALLOC_GROW(m->chunks, m->chunk_count);
	m->chunks[m->chunk_count++] = (struct manifest_chunk){
		.id = *id,
		.size = size,
		.offset = m->chunks_size,
	};
	m->chunks_size += size;
}

/* Checks that reading and writing share. Each returns false with the entry named. */

static bool wrong(struct err *err, const struct manifest_entry *e, const char *problem)
{
	return err_set(err, ERR_FORMAT, "manifest: %s: %s", e->path, problem);
}

static bool check_counts(const struct manifest *m, struct err *err)
{
	if (m->entry_count == 0)
		return err_set(err, ERR_FORMAT, "manifest: no entries");
	if (m->entry_count > MANIFEST_ENTRIES_MAX)
		return err_set(err, ERR_LIMIT, "%u files and folders, at most %u are allowed",
			       m->entry_count, MANIFEST_ENTRIES_MAX);
	if (m->chunk_count > MANIFEST_CHUNKS_MAX)
		return err_set(err, ERR_LIMIT, "content of %u chunks, at most %u are allowed",
			       m->chunk_count, MANIFEST_CHUNKS_MAX);
	if (m->texts.used > MANIFEST_TEXT_MAX)
		return err_set(err, ERR_LIMIT,
			       "paths of %zu bytes together, at most %u are allowed", m->texts.used,
			       MANIFEST_TEXT_MAX);
	if (m->stream_size != m->chunks_size)
		return err_set(
			err, ERR_FORMAT, "manifest: files of %llu bytes in chunks of %llu bytes",
			(unsigned long long)m->stream_size, (unsigned long long)m->chunks_size);
	return true;
}

static bool check_type(const struct manifest *m, uint32_t number, struct err *err)
{
	const struct manifest_entry *e = &m->entries[number];
	bool refers = e->same_as != MANIFEST_NOT_SAME;
	const struct manifest_entry *same = refers && e->same_as < number ? &m->entries[e->same_as]
									  : NULL;

	if (e->type >= MANIFEST_TYPE_COUNT_ || (e->mode & ~MODE_MASK) != 0)
		return wrong(err, e, "unknown type or mode");
	if ((e->type == MANIFEST_LINK) != (e->target != NULL))
		return wrong(err, e, "a link has a target, nothing else has");
	if (e->type == MANIFEST_LINK && e->mode != MODE_MASK)
		return wrong(err, e, "a link has no mode of its own");
	if (e->type != MANIFEST_FILE && (e->size != 0 || refers))
		return wrong(err, e, "only files have bytes");
	if (refers && (same == NULL || same->type != MANIFEST_FILE || same->size == 0 ||
		       same->size != e->size || same->same_as != MANIFEST_NOT_SAME))
		return wrong(err, e, "is the same as something that has no bytes of its own");
	return true;
}

static bool check_path(const struct manifest *m, uint32_t number, struct err *err)
{
	const struct manifest_entry *e = &m->entries[number];
	struct span path = span_of_text(e->path);

	if (!path_is_beneath(path))
		return wrong(err, e, "path is not beneath the root");
	if (!text_is_utf8(path))
		return wrong(err, e, "path is not UTF-8");
	if (number > 0 && strcmp(m->entries[number - 1].path, e->path) >= 0)
		return wrong(err, e, "paths do not ascend");
	return true;
}

static int compare_path(struct span path, const char *other)
{
	size_t size = strlen(other);
	int order = memcmp(path.data, other, MIN_OF(path.size, size));

	return order != 0 ? order : (path.size > size) - (path.size < size);
}

/* The entry of that path among the first `count`, which ascend; or NULL. */
static const struct manifest_entry *search(const struct manifest *m, uint32_t count,
					   struct span path)
{
	uint32_t low = 0;

	while (low < count) {
		uint32_t middle = low + (count - low) / 2;
		int order = compare_path(path, m->entries[middle].path);

		if (order == 0)
			return &m->entries[middle];
		if (order < 0)
			count = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* `last` is the parent of the entry before, which is most often this one's too. */
static bool check_parent(const struct manifest *m, uint32_t number,
			 const struct manifest_entry **last, struct err *err)
{
	const struct manifest_entry *e = &m->entries[number];
	const char *slash = strrchr(e->path, '/');
	struct span parent;

	if (slash == NULL)
		return true;
	parent = span_of(e->path, (size_t)(slash - e->path));
	if (*last == NULL || compare_path(parent, (*last)->path) != 0)
		*last = search(m, number, parent);
	if (*last == NULL || (*last)->type != MANIFEST_DIR)
		return wrong(err, e, "what it stands in is no folder of the manifest");
	return true;
}

static const char *find_target(struct span path, void *ctx)
{
	const struct manifest *m = ctx;
	const struct manifest_entry *e = search(m, m->entry_count, path);

	return e != NULL ? e->target : NULL;
}

static bool check_link(struct manifest *m, const struct manifest_entry *e, struct err *err)
{
	struct span target;
	enum link_verdict verdict;

	if (e->type != MANIFEST_LINK)
		return true;
	target = span_of_text(e->target);
	if (target.size == 0 || target.size > TARGET_MAX || !text_is_utf8(target))
		return wrong(err, e, "the link's target is empty, too long or not UTF-8");
	verdict = link_judge(span_of_text(e->path), target, find_target, m);
	if (verdict != LINK_INSIDE)
		return err_set(err, ERR_FORMAT, "manifest: %s: the link %s", e->path,
			       link_verdict_text(verdict));
	return true;
}

static bool check_chunks(const struct manifest *m, struct err *err)
{
	for (uint32_t i = 0; i < m->chunk_count; i++)
		if (m->chunks[i].size == 0 || m->chunks[i].size > CHUNKER_MAX)
			return err_set(err, ERR_FORMAT, "manifest: chunk %u has %u bytes", i,
				       m->chunks[i].size);
	return true;
}

static bool check(struct manifest *m, struct err *err)
{
	const struct manifest_entry *parent = NULL;

	if (!check_counts(m, err) || !check_chunks(m, err))
		return false;
	for (uint32_t i = 0; i < m->entry_count; i++)
		if (!check_path(m, i, err) || !check_type(m, i, err) ||
		    !check_parent(m, i, &parent, err))
			return false;
	/* Only now, when the order that the search relies on holds for all. */
	for (uint32_t i = 0; i < m->entry_count; i++)
		if (!check_link(m, &m->entries[i], err))
			return false;
	return true;
}

/* Files by size. */
struct sized {
	uint32_t size, entry;
};

static int compare_sized(const void *a, const void *b)
{
	const struct sized *x = a, *y = b;

	return (x->size > y->size) - (x->size < y->size);
}

static int compare_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The body, written column by column: like stands beside like, which compresses better. */

static void put_files(struct buf *out, const struct manifest *m)
{
	for (uint32_t i = 0; i < m->entry_count; i++) {
		const struct manifest_entry *e = &m->entries[i];

		if (e->type != MANIFEST_FILE)
			continue;
		buf_put_varint(out, e->same_as < i ? i - e->same_as : 0);
		if (e->same_as == MANIFEST_NOT_SAME)
			buf_put_varint(out, e->size);
	}
}

static size_t shared_start(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] != '\0' && a[n] == b[n])
		n++;
	return n;
}

static void put_paths(struct buf *out, const struct manifest *m)
{
	const char *before = "";

	for (uint32_t i = 0; i < m->entry_count; i++) {
		const char *path = m->entries[i].path;
		size_t shared = shared_start(before, path);

		buf_put_varint(out, shared);
		buf_put_varint(out, strlen(path + shared));
		buf_put_text(out, path + shared);
		before = path;
	}
}

/*
 * The numbers of the files that a mark stands for, ascending: the small ones of the stream that
 * share their size with another. The caller frees the result.
 */
static uint32_t *find_marked(uint32_t *count_out, const struct manifest *m)
{
	struct sized *files = alloc_zeroed(MAX_OF(m->slot_count, 1), sizeof(*files));
	uint32_t *marked = alloc_zeroed(MAX_OF(m->slot_count, 1), sizeof(*marked));
	uint32_t small = 0, count = 0;

	for (uint32_t i = 0; i < m->slot_count; i++) {
		uint64_t size = m->entries[m->slots[i]].size;

		if (size < MANIFEST_MARKED_MAX)
			files[small++] = (struct sized){ (uint32_t)size, m->slots[i] };
	}
	qsort(files, small, sizeof(*files), compare_sized);
	for (uint32_t i = 0; i < small; i++)
		if ((i > 0 && files[i - 1].size == files[i].size) ||
		    (i + 1 < small && files[i + 1].size == files[i].size))
			marked[count++] = files[i].entry;
	qsort(marked, count, sizeof(*marked), compare_number);
	free(files);
	*count_out = count;
	return marked;
}

/* The column is there if one of them has a mark. */
static void put_marks(struct buf *out, const struct manifest *m)
{
	uint32_t count, known = 0;
	uint32_t *marked = find_marked(&count, m);

	for (uint32_t i = 0; i < count; i++)
		known += m->entries[marked[i]].mark != 0;
	for (uint32_t i = 0; known > 0 && i < count; i++)
		buf_put_u32(out, m->entries[marked[i]].mark);
	free(marked);
}

static void put_body(struct buf *out, const struct manifest *m)
{
	buf_put_varint(out, m->entry_count);
	for (uint32_t i = 0; i < m->entry_count; i++)
		buf_put_u16(out, (uint16_t)(m->entries[i].type << TYPE_SHIFT | m->entries[i].mode));
	put_files(out, m);
	put_paths(out, m);
	for (uint32_t i = 0; i < m->entry_count; i++) {
		if (m->entries[i].type != MANIFEST_LINK)
			continue;
		buf_put_varint(out, strlen(m->entries[i].target));
		buf_put_text(out, m->entries[i].target);
	}
	buf_put_varint(out, m->chunk_count);
	for (uint32_t i = 0; i < m->chunk_count; i++)
		buf_put_varint(out, m->chunks[i].size);
	for (uint32_t i = 0; i < m->chunk_count; i++)
		buf_put(out, m->chunks[i].id.bytes, DIGEST_SIZE);
	put_marks(out, m);
}

bool manifest_write(struct buf *out, struct manifest *m, struct err *err)
{
	SCOPED(buf) struct buf body = { 0 };

	if (!check(m, err))
		return false;
	put_body(&body, m);
	return compact_write(out, &manifest_kind, buf_span(&body), err);
}

void manifest_identity(struct digest *out, const struct manifest *m)
{
	SCOPED(buf) struct buf body = { 0 };

	put_body(&body, m);
	digest_of(out, buf_span(&body));
}

/* Reading, column by column. `body` advances; false means that it ended or broke a limit. */

static bool take_modes(struct manifest *m, struct span *body)
{
	uint64_t count;

	if (!span_take_varint(body, &count, MANIFEST_ENTRIES_MAX) || count > body->size / 2)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct manifest_entry *e = append_entry(m);
		uint16_t word;

		if (!span_take_u16(body, &word))
			return false;
		e->type = (uint8_t)(word >> TYPE_SHIFT);
		e->mode = word & ((1u << TYPE_SHIFT) - 1);
	}
	return true;
}

static bool take_files(struct manifest *m, struct span *body)
{
	for (uint32_t i = 0; i < m->entry_count; i++) {
		struct manifest_entry *e = &m->entries[i];
		uint64_t back;

		if (e->type != MANIFEST_FILE)
			continue;
		if (!span_take_varint(body, &back, i))
			return false;
		if (back > 0) {
			e->same_as = i - (uint32_t)back;
			e->size = m->entries[e->same_as].size;
		} else if (!span_take_varint(body, &e->size,
					     MANIFEST_STREAM_MAX - m->stream_size)) {
			return false;
		}
		place_entry(m, i);
	}
	return true;
}

/* The one encoding: what is shared with the path before is shared as far as it goes. */
static bool take_path(struct manifest *m, const char **out, const char *before, struct span *body)
{
	uint64_t shared, size;
	struct span rest;
	char *path;

	if (!span_take_varint(body, &shared, strlen(before)) ||
	    !span_take_varint(body, &size, PATH_BYTES - shared) || !span_take(body, &rest, size) ||
	    size == 0 || rest.data[0] <= (uint8_t)before[shared] ||
	    memchr(rest.data, '\0', rest.size) != NULL || m->texts.used > MANIFEST_TEXT_MAX)
		return false;
	path = arena_room(&m->texts, shared + size + 1);
	memcpy(path, before, shared);
	memcpy(path + shared, rest.data, size);
	path[shared + size] = '\0';
	*out = path;
	return true;
}

static bool take_paths(struct manifest *m, struct span *body)
{
	const char *before = "";

	for (uint32_t i = 0; i < m->entry_count; i++) {
		if (!take_path(m, &m->entries[i].path, before, body))
			return false;
		before = m->entries[i].path;
	}
	return true;
}

static bool take_targets(struct manifest *m, struct span *body)
{
	for (uint32_t i = 0; i < m->entry_count; i++) {
		struct manifest_entry *e = &m->entries[i];
		uint64_t size;
		struct span target;

		if (e->type != MANIFEST_LINK)
			continue;
		if (!span_take_varint(body, &size, TARGET_MAX) || !span_take(body, &target, size) ||
		    size == 0 || memchr(target.data, '\0', target.size) != NULL ||
		    m->texts.used > MANIFEST_TEXT_MAX)
			return false;
		e->target = arena_text(&m->texts, target);
	}
	return true;
}

static bool take_chunks(struct manifest *m, struct span *body)
{
	uint64_t count, size;

	if (!span_take_varint(body, &count, MANIFEST_CHUNKS_MAX) ||
	    count > body->size / (DIGEST_SIZE + 1))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		static const struct digest later;

		if (!span_take_varint(body, &size, CHUNKER_MAX))
			return false;
		manifest_add_chunk(m, &later, (uint32_t)size);
	}
	for (uint64_t i = 0; i < count; i++)
		if (!span_take_copy(body, m->chunks[i].id.bytes, DIGEST_SIZE))
			return false;
	return true;
}

static bool take_marks(struct manifest *m, struct span *body)
{
	uint32_t count, known = 0;
	uint32_t *marked;
	bool done = true;

	if (body->size == 0)
		return true;
	marked = find_marked(&count, m);
	for (uint32_t i = 0; done && i < count; i++) {
		uint32_t *mark = &m->entries[marked[i]].mark;

		done = span_take_u32(body, mark);
		known += *mark != 0;
	}
	free(marked);
	/* Without any, the column is left out: one content has one body. */
	return done && known > 0;
}

static bool take_body(struct manifest *m, struct span body, struct err *err)
{
	static const struct {
		bool (*take)(struct manifest *m, struct span *body);
		const char *noun;
	} columns[] = {
		{ take_modes, "types and modes" }, { take_files, "file sizes" },
		{ take_paths, "paths" },           { take_targets, "link targets" },
		{ take_chunks, "chunks" },         { take_marks, "marks" },
	};

	for (size_t i = 0; i < COUNT_OF(columns); i++)
		if (!columns[i].take(m, &body))
			return err_set(err, ERR_FORMAT, "manifest: broken in its %s",
				       columns[i].noun);
	if (body.size > 0)
		return err_set(err, ERR_FORMAT, "manifest: %zu bytes behind its end", body.size);
	return true;
}

bool manifest_read(struct manifest **out, struct span bytes, struct err *err)
{
	SCOPED(manifest) struct manifest *m = manifest_new();
	SCOPED(buf) struct buf body = { 0 };

	if (!compact_read(&body, &manifest_kind, bytes, err) ||
	    !take_body(m, buf_span(&body), err) || !check(m, err))
		return false;
	*out = m;
	m = NULL;
	return true;
}

uint32_t manifest_entry_count(const struct manifest *m)
{
	return m->entry_count;
}

const struct manifest_entry *manifest_entry_at(const struct manifest *m, uint32_t number)
{
	assert(number < m->entry_count);
	return &m->entries[number];
}

uint32_t manifest_chunk_count(const struct manifest *m)
{
	return m->chunk_count;
}

const struct manifest_chunk *manifest_chunk_at(const struct manifest *m, uint32_t number)
{
	assert(number < m->chunk_count);
	return &m->chunks[number];
}

uint32_t manifest_mark_of(const struct manifest *m, const struct manifest_entry *e)
{
	return e->same_as != MANIFEST_NOT_SAME ? m->entries[e->same_as].mark : e->mark;
}

const struct manifest_entry *manifest_find(const struct manifest *m, const char *path)
{
	return search(m, m->entry_count, span_of_text(path));
}

uint64_t manifest_stream_size(const struct manifest *m)
{
	return m->stream_size;
}

uint64_t manifest_tree_size(const struct manifest *m)
{
	return m->tree_size;
}

uint32_t manifest_file_count(const struct manifest *m)
{
	return m->file_count;
}

struct manifest_piece_iter manifest_pieces(const struct manifest *m, uint64_t offset, uint64_t size)
{
	uint32_t low = 0, high = m->slot_count;

	assert(offset <= m->stream_size && size <= m->stream_size - offset);
	/* The last slot that begins at or before the offset. */
	while (low + 1 < high) {
		uint32_t middle = low + (high - low) / 2;

		if (m->entries[m->slots[middle]].offset <= offset)
			low = middle;
		else
			high = middle;
	}
	return (struct manifest_piece_iter){
		.m = m,
		.slot = low,
		.begin = offset,
		.next = offset,
		.end = offset + size,
	};
}

bool manifest_piece_next(struct manifest_piece_iter *it, struct manifest_piece *out)
{
	const struct manifest_entry *e;
	uint64_t within;

	if (it->next >= it->end)
		return false;
	e = &it->m->entries[it->m->slots[it->slot]];
	within = it->next - e->offset;
	*out = (struct manifest_piece){
		.entry = it->m->slots[it->slot++],
		.file_offset = within,
		.range_offset = it->next - it->begin,
		.size = MIN_OF(e->size - within, it->end - it->next),
	};
	it->next += out->size;
	return true;
}

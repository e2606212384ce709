#include "content/pairing.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "content/chunkmap.h"

#define NEIGHBOURS 8 /* names that are looked at on each side of a name's place */

/* The old files, in two orders: neighbours in the first begin alike, in the second they end alike.
 */
struct names {
	const struct manifest_entry **by_begin;
	const struct manifest_entry **by_end;
	size_t count;
};

struct pairing {
	const struct manifest *new, *old;
	struct chunkmap chunks; /* of the old one */
	struct names names;
	uint32_t chunk; /* of the new one: the first that may lie in the file in turn */
};

/* --- names ------------------------------------------------------------------------------------ */

static int compare_begins(const void *a, const void *b)
{
	const struct manifest_entry *const *x = a, *const *y = b;

	return strcmp((*x)->path, (*y)->path);
}

static int compare_paths_from_end(const char *a, const char *b)
{
	size_t i = strlen(a), k = strlen(b);

	while (i > 0 && k > 0 && a[i - 1] == b[k - 1])
		i--, k--;
	if (i == 0 || k == 0)
		return (i > 0) - (k > 0);
	return (uint8_t)a[i - 1] < (uint8_t)b[k - 1] ? -1 : 1;
}

static int compare_ends(const void *a, const void *b)
{
	const struct manifest_entry *const *x = a, *const *y = b;

	return compare_paths_from_end((*x)->path, (*y)->path);
}

static bool has_bytes(const struct manifest_entry *e)
{
	return e->type == MANIFEST_FILE && e->size > 0;
}

static void names_fill(struct names *names, const struct manifest *m)
{
	uint32_t entries = manifest_entry_count(m);

	names->by_begin = alloc_zeroed(MAX_OF(entries, 1), sizeof(*names->by_begin));
	names->by_end = alloc_zeroed(MAX_OF(entries, 1), sizeof(*names->by_end));
	for (uint32_t n = 0; n < entries; n++) {
		const struct manifest_entry *e = manifest_entry_at(m, n);

		if (!has_bytes(e) || e->same_as != MANIFEST_NOT_SAME)
			continue;
		names->by_begin[names->count] = e;
		names->by_end[names->count++] = e;
	}
	qsort(names->by_begin, names->count, sizeof(*names->by_begin), compare_begins);
	qsort(names->by_end, names->count, sizeof(*names->by_end), compare_ends);
}

static size_t common_begin(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] != '\0' && a[n] == b[n])
		n++;
	return n;
}

static size_t common_end(const char *a, const char *b, size_t max)
{
	size_t i = strlen(a), k = strlen(b), n = 0;

	while (n < max && n < i && n < k && a[i - 1 - n] == b[k - 1 - n])
		n++;
	return n;
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/*
 * How much of a path is in another: 0 where the last components have too little in common, as
 * libfoo.so.1 has with libbar.so.1. A version number that changed leaves most of both.
 */
static size_t likeness(const char *a, const char *b)
{
	const char *x = last_component(a), *y = last_component(b);
	size_t size = MAX_OF(strlen(x), strlen(y)), begin = common_begin(x, y);
	size_t in_name = begin + common_end(x, y, MIN_OF(strlen(x), strlen(y)) - begin);

	if (in_name * 3 < size * 2)
		return 0;
	begin = common_begin(a, b);
	return begin + common_end(a, b, MIN_OF(strlen(a), strlen(b)) - begin) +
	       (in_name == size ? size : 0);
}

typedef int compare_fn(const void *a, const void *b);

static size_t place_of(const struct manifest_entry *const *list, size_t count,
		       const struct manifest_entry *e, compare_fn *compare)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&list[middle], &e) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void look_around(const struct manifest_entry **best, size_t *score,
			const struct manifest_entry *const *list, size_t count,
			const struct manifest_entry *e, compare_fn *compare)
{
	size_t at = place_of(list, count, e, compare);
	size_t begin = at > NEIGHBOURS ? at - NEIGHBOURS : 0;

	for (size_t i = begin; i < count && i < at + NEIGHBOURS; i++) {
		size_t alike = likeness(list[i]->path, e->path);

		if (alike > *score) {
			*score = alike;
			*best = list[i];
		}
	}
}

static const struct manifest_entry *find_by_name(const struct names *names,
						 const struct manifest_entry *e)
{
	const struct manifest_entry *best = NULL;
	size_t score = 0;

	look_around(&best, &score, names->by_end, names->count, e, compare_ends);
	look_around(&best, &score, names->by_begin, names->count, e, compare_begins);
	return best;
}

/* --- chunks ----------------------------------------------------------------------------------- */

static const struct manifest_entry *entry_of_chunk(const struct manifest *m, uint32_t chunk)
{
	const struct manifest_chunk *c = manifest_chunk_at(m, chunk);
	struct manifest_piece_iter it = manifest_pieces(m, c->offset, c->size);
	struct manifest_piece piece;

	return manifest_piece_next(&it, &piece) ? manifest_entry_at(m, piece.entry) : NULL;
}

/* An old file with a chunk that lies in the new one as a whole. */
static const struct manifest_entry *find_by_chunk(struct pairing *p, const struct manifest_entry *e)
{
	uint32_t count = manifest_chunk_count(p->new);

	for (uint32_t n = p->chunk; n < count; n++) {
		const struct manifest_chunk *c = manifest_chunk_at(p->new, n);
		uint32_t old;

		if (c->offset + c->size > e->offset + e->size)
			break;
		old = c->offset >= e->offset ? chunkmap_find(&p->chunks, &c->id) : CHUNKMAP_NONE;
		if (old != CHUNKMAP_NONE)
			return entry_of_chunk(p->old, old);
	}
	return NULL;
}

static void skip_chunks(struct pairing *p, const struct manifest_entry *e)
{
	while (p->chunk < manifest_chunk_count(p->new) &&
	       manifest_chunk_at(p->new, p->chunk)->offset < e->offset)
		p->chunk++;
}

/* --- the whole -------------------------------------------------------------------------------- */

/* The entry whose bytes stand in the stream. */
static const struct manifest_entry *in_stream(const struct manifest *m,
					      const struct manifest_entry *e)
{
	return e->same_as != MANIFEST_NOT_SAME ? manifest_entry_at(m, e->same_as) : e;
}

static const struct manifest_entry *find_origin(struct pairing *p, const struct manifest_entry *e)
{
	const struct manifest_entry *same = manifest_find(p->old, e->path), *found;

	if (same != NULL && has_bytes(same))
		return in_stream(p->old, same);
	found = find_by_chunk(p, e);
	return found != NULL ? found : find_by_name(&p->names, e);
}

static void fill(struct delta_file *row, struct pairing *p, const struct manifest_entry *e)
{
	const struct manifest_entry *origin;

	row->new_size = e->size;
	if (p->old == NULL)
		return;
	skip_chunks(p, e);
	origin = find_origin(p, e);
	if (origin == NULL)
		return;
	row->old_offset = origin->offset;
	row->old_size = origin->size;
}

struct delta_file *pairing_find(size_t *count_out, const struct manifest *new,
				const struct manifest *old)
{
	uint32_t entries = manifest_entry_count(new);
	struct delta_file *rows = alloc_zeroed(MAX_OF(entries, 1), sizeof(*rows));
	struct pairing p = { .new = new, .old = old };

	*count_out = 0;
	if (old != NULL) {
		chunkmap_init(&p.chunks, old);
		names_fill(&p.names, old);
	}
	for (uint32_t n = 0; n < entries; n++) {
		const struct manifest_entry *e = manifest_entry_at(new, n);

		if (has_bytes(e) && e->same_as == MANIFEST_NOT_SAME)
			fill(&rows[(*count_out)++], &p, e);
	}
	if (old != NULL)
		chunkmap_release(&p.chunks);
	free(p.names.by_begin);
	free(p.names.by_end);
	return rows;
}

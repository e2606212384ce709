#include "content/treediff.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

static const char *const kind_names[] = {
	[TREEDIFF_ADDED] = "added",
	[TREEDIFF_REMOVED] = "removed",
	[TREEDIFF_CHANGED] = "changed",
	[TREEDIFF_RENAMED] = "renamed",
};
static_assert(COUNT_OF(kind_names) == TREEDIFF_KIND_COUNT_, "every kind has a name");

const char *treediff_kind_name(enum treediff_kind kind)
{
	assert(kind < TREEDIFF_KIND_COUNT_);
	return kind_names[kind];
}

/* ---- what files are told by ---- */

static bool is_file(const struct manifest_entry *e)
{
	return e->type == MANIFEST_FILE;
}

static void hash_bytes(struct digest *ids, const struct manifest *m, struct span stream)
{
	for (uint32_t i = 0; i < manifest_entry_count(m); i++) {
		const struct manifest_entry *e = manifest_entry_at(m, i);

		if (is_file(e) && e->same_as == MANIFEST_NOT_SAME)
			digest_of(&ids[i], span_of(stream.data + e->offset, (size_t)e->size));
	}
}

/* How a file is cut: which bytes of which chunk follow each other. */
struct cuts {
	struct digest *ids;
	struct digest_ctx *hash;
	uint32_t entry; /* the one being hashed; MANIFEST_NOT_SAME: none yet */
};

static void cuts_end(struct cuts *c)
{
	if (c->entry != MANIFEST_NOT_SAME)
		digest_finish(c->hash, &c->ids[c->entry]);
	digest_free(c->hash);
	c->hash = NULL;
	c->entry = MANIFEST_NOT_SAME;
}

static void cuts_add(struct cuts *c, const struct digest *chunk, const struct manifest_piece *piece)
{
	const uint64_t where[] = { piece->range_offset, piece->size };

	if (c->entry != piece->entry) {
		cuts_end(c);
		c->entry = piece->entry;
		c->hash = digest_new();
	}
	digest_update(c->hash, span_of(chunk, sizeof(*chunk)));
	digest_update(c->hash, span_of(where, sizeof(where)));
}

static void hash_cuts(struct digest *ids, const struct manifest *m)
{
	struct cuts cuts = { .ids = ids, .entry = MANIFEST_NOT_SAME };

	for (uint32_t i = 0; i < manifest_chunk_count(m); i++) {
		const struct manifest_chunk *chunk = manifest_chunk_at(m, i);
		struct manifest_piece piece;

		for (struct manifest_piece_iter it = manifest_pieces(m, chunk->offset, chunk->size);
		     manifest_piece_next(&it, &piece);)
			cuts_add(&cuts, &chunk->id, &piece);
	}
	cuts_end(&cuts);
}

void treediff_identify(struct treediff_side *side, const struct span *stream)
{
	const struct manifest *m = side->manifest;
	uint32_t count = manifest_entry_count(m);

	free(side->ids);
	side->ids = alloc_zeroed(MAX_OF(count, 1), sizeof(*side->ids));
	if (stream != NULL)
		hash_bytes(side->ids, m, *stream);
	else
		hash_cuts(side->ids, m);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t same = manifest_entry_at(m, i)->same_as;

		if (same != MANIFEST_NOT_SAME)
			side->ids[i] = side->ids[same];
	}
}

void treediff_side_release(struct treediff_side *side)
{
	free(side->ids);
	side->ids = NULL;
}

/* ---- the files of a side that the other one lacks, in orders that find them ---- */

struct loose {
	const struct manifest_entry *entry;
	const struct digest *id;
	bool is_taken;
};

struct loose_list {
	struct loose *items;
	size_t count;
};

static int compare_ids(const void *a, const void *b)
{
	const struct loose *x = a, *y = b;
	int order = memcmp(x->id, y->id, sizeof(*x->id));

	return order != 0 ? order : strcmp(x->entry->path, y->entry->path);
}

static int compare_sizes(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Empty files are all the same, and none is another's new name. */
static void add_loose(struct loose_list *list, const struct treediff_side *side, uint32_t number)
{
	const struct manifest_entry *e = manifest_entry_at(side->manifest, number);

	if (!is_file(e) || e->size == 0)
		return;
	ALLOC_GROW(list->items, list->count);
	list->items[list->count++] = (struct loose){ .entry = e, .id = &side->ids[number] };
}

static struct loose_list find_loose(const struct treediff_side *side,
				    const struct treediff_side *other)
{
	struct loose_list list = { 0 };

	for (uint32_t i = 0; i < manifest_entry_count(side->manifest); i++) {
		const char *path = manifest_entry_at(side->manifest, i)->path;

		if (manifest_find(other->manifest, path) == NULL)
			add_loose(&list, side, i);
	}
	if (list.count > 0)
		qsort(list.items, list.count, sizeof(*list.items), compare_ids);
	return list;
}

/* Where the files of that id begin; the end of the list where there are none. */
static size_t find_id(const struct loose_list *list, const struct digest *id)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(list->items[middle].id, id, sizeof(*id)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list->count && digest_equal(list->items[low].id, id) ? low : list->count;
}

static const struct digest *id_of(const struct treediff_side *side, const struct manifest_entry *e)
{
	return &side->ids[e - manifest_entry_at(side->manifest, 0)];
}

static bool has_size(const uint64_t *sizes, size_t count, uint64_t size)
{
	return count > 0 && bsearch(&size, sizes, count, sizeof(size), compare_sizes) != NULL;
}

/* Two of one size, neither found under its id on the other side, may be the same all the same. */
static bool loose_are_sure(const struct loose_list *old, const struct loose_list *new)
{
	uint64_t *sizes = alloc_zeroed(MAX_OF(old->count, 1), sizeof(*sizes));
	bool sure = true;

	for (size_t i = 0; i < old->count; i++)
		sizes[i] = old->items[i].entry->size;
	qsort(sizes, old->count, sizeof(*sizes), compare_sizes);
	for (size_t i = 0; sure && i < new->count; i++) {
		const struct loose *l = &new->items[i];

		sure = !has_size(sizes, old->count, l->entry->size) ||
		       find_id(old, l->id) < old->count;
	}
	free(sizes);
	return sure;
}

static bool same_paths_are_sure(const struct treediff_side *old, const struct treediff_side *new)
{
	for (uint32_t i = 0; i < manifest_entry_count(new->manifest); i++) {
		const struct manifest_entry *e = manifest_entry_at(new->manifest, i);
		const struct manifest_entry *was = manifest_find(old->manifest, e->path);

		if (was != NULL && is_file(e) && is_file(was) && e->size == was->size &&
		    !digest_equal(&new->ids[i], id_of(old, was)))
			return false;
	}
	return true;
}

bool treediff_is_sure(const struct treediff_side *old, const struct treediff_side *new)
{
	struct loose_list gone, come;
	bool sure;

	if (!same_paths_are_sure(old, new))
		return false;
	gone = find_loose(old, new);
	come = find_loose(new, old);
	sure = loose_are_sure(&gone, &come);
	free(gone.items);
	free(come.items);
	return sure;
}

/* ---- comparing ---- */

static void add_change(struct treediff *out, enum treediff_kind kind,
		       const struct manifest_entry *old, const struct manifest_entry *new)
{
	ALLOC_GROW(out->changes, out->count);
	out->changes[out->count++] = (struct treediff_change){ .kind = kind,
							       .old = old,
							       .new = new };
}

/* The first file that is gone and had these bytes; each is one file's old name. */
static const struct manifest_entry *take_old_name(struct loose_list *gone, const struct digest *id)
{
	for (size_t i = find_id(gone, id); i < gone->count && digest_equal(gone->items[i].id, id);
	     i++)
		if (!gone->items[i].is_taken) {
			gone->items[i].is_taken = true;
			return gone->items[i].entry;
		}
	return NULL;
}

static bool has_other_bytes(const struct treediff_side *old, const struct manifest_entry *was,
			    const struct treediff_side *new, const struct manifest_entry *e)
{
	return is_file(was) && is_file(e) &&
	       (was->size != e->size || !digest_equal(id_of(old, was), id_of(new, e)));
}

static bool is_same(const struct manifest_entry *was, const struct manifest_entry *e)
{
	return was->type == e->type && was->mode == e->mode &&
	       (e->type != MANIFEST_LINK || strcmp(was->target, e->target) == 0);
}

/* One that kept its path. */
static void look_at_kept(struct treediff *out, const struct treediff_side *old,
			 const struct manifest_entry *was, const struct treediff_side *new,
			 const struct manifest_entry *e)
{
	bool other = has_other_bytes(old, was, new, e);

	if (!other && is_same(was, e)) {
		out->unchanged++;
		return;
	}
	add_change(out, TREEDIFF_CHANGED, was, e);
	out->changes[out->count - 1].has_other_bytes = other;
}

static void look_at_new(struct treediff *out, struct loose_list *gone,
			const struct treediff_side *old, const struct treediff_side *new,
			uint32_t number)
{
	const struct manifest_entry *e = manifest_entry_at(new->manifest, number);
	const struct manifest_entry *was = manifest_find(old->manifest, e->path);

	if (was == NULL && is_file(e) && e->size > 0)
		was = take_old_name(gone, &new->ids[number]);
	if (was == NULL)
		add_change(out, TREEDIFF_ADDED, NULL, e);
	else if (strcmp(was->path, e->path) != 0)
		add_change(out, TREEDIFF_RENAMED, was, e);
	else
		look_at_kept(out, old, was, new, e);
}

static int compare_pointers(const void *a, const void *b)
{
	const struct manifest_entry *const *x = a, *const *y = b;

	return (*x > *y) - (*x < *y);
}

/* What is gone and is nobody's old name. */
static void add_removed(struct treediff *out, const struct treediff_side *old,
			const struct treediff_side *new, const struct loose_list *gone)
{
	const struct manifest_entry **renamed = alloc_zeroed(MAX_OF(gone->count, 1),
							     sizeof(*renamed));
	size_t count = 0;

	for (size_t i = 0; i < gone->count; i++)
		if (gone->items[i].is_taken)
			renamed[count++] = gone->items[i].entry;
	qsort(renamed, count, sizeof(*renamed), compare_pointers);
	for (uint32_t i = 0; i < manifest_entry_count(old->manifest); i++) {
		const struct manifest_entry *e = manifest_entry_at(old->manifest, i);

		if (manifest_find(new->manifest, e->path) == NULL &&
		    (count == 0 ||
		     bsearch(&e, renamed, count, sizeof(*renamed), compare_pointers) == NULL))
			add_change(out, TREEDIFF_REMOVED, e, NULL);
	}
	free(renamed);
}

static const char *path_of(const struct treediff_change *c)
{
	return c->new != NULL ? c->new->path : c->old->path;
}

static int compare_changes(const void *a, const void *b)
{
	return strcmp(path_of(a), path_of(b));
}

void treediff_compare(struct treediff *out, const struct treediff_side *old,
		      const struct treediff_side *new)
{
	struct loose_list gone = find_loose(old, new);

	for (uint32_t i = 0; i < manifest_entry_count(new->manifest); i++)
		look_at_new(out, &gone, old, new, i);
	add_removed(out, old, new, &gone);
	free(gone.items);
	if (out->count > 0)
		qsort(out->changes, out->count, sizeof(*out->changes), compare_changes);
}

void treediff_release(struct treediff *diff)
{
	free(diff->changes);
	*diff = (struct treediff){ 0 };
}

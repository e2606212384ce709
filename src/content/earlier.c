#include "content/earlier.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/path.h"

#define CHANGED UINT32_MAX

struct earlier {
	struct manifest *manifest;
	struct imprint *imprint;
	uint32_t *entry_of; /* per entry of the source: that of then, or CHANGED */
	bool is_all;
};

struct imprint_stamp earlier_stamp(const struct source_entry *entry)
{
	return (struct imprint_stamp){
		.inode = entry->inode,
		.modified_ns = entry->modified_ns,
		.changed_ns = entry->changed_ns,
	};
}

static bool load_manifest(struct earlier *e, const char *path)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct digest digest;
	struct err unread;

	if (!path_read(&bytes, path, MANIFEST_BYTES_MAX, &unread))
		return false;
	digest_of(&digest, buf_span(&bytes));
	return digest_equal(&digest, imprint_manifest(e->imprint)) &&
	       manifest_read(&e->manifest, buf_span(&bytes), &unread) &&
	       manifest_entry_count(e->manifest) == imprint_entry_count(e->imprint);
}

static bool load_imprint(struct earlier *e, const char *path)
{
	SCOPED(buf) struct buf bytes = { .max = IMPRINT_BYTES_MAX + 1 };
	struct err unread;

	return path_read(&bytes, path, IMPRINT_BYTES_MAX, &unread) &&
	       imprint_read(&e->imprint, buf_span(&bytes), &unread);
}

static bool is_unchanged_file(const struct earlier *e, uint32_t number,
			      const struct source_entry *now)
{
	const struct manifest_entry *then = manifest_entry_at(e->manifest, number);
	struct imprint_stamp stamp = earlier_stamp(now);

	return then->type == MANIFEST_FILE && now->type == MANIFEST_FILE &&
	       then->size == now->size && imprint_believes(e->imprint, number, &stamp);
}

static bool is_same_entry(const struct earlier *e, uint32_t number, const struct source_entry *now)
{
	const struct manifest_entry *then = manifest_entry_at(e->manifest, number);

	if (then->type != now->type || then->mode != now->mode)
		return false;
	if (now->type == MANIFEST_LINK)
		return strcmp(then->target, now->target) == 0;
	return now->type == MANIFEST_DIR || is_unchanged_file(e, number, now);
}

/* Both lists ascend by path. */
static void compare(struct earlier *e, const struct source *source)
{
	uint32_t old_count = manifest_entry_count(e->manifest);
	uint32_t count = source_entry_count(source);
	uint32_t old = 0;

	e->entry_of = alloc_zeroed(count, sizeof(*e->entry_of));
	e->is_all = count == old_count;
	for (uint32_t i = 0; i < count; i++) {
		const struct source_entry *now = source_entry_at(source, i);
		int order = -1;

		while (old < old_count &&
		       (order = strcmp(manifest_entry_at(e->manifest, old)->path, now->path)) < 0)
			old++;
		e->entry_of[i] = CHANGED;
		if (old == old_count || order != 0) {
			e->is_all = false;
			continue;
		}
		e->is_all = e->is_all && is_same_entry(e, old, now);
		if (is_unchanged_file(e, old, now))
			e->entry_of[i] = old;
	}
}

struct earlier *earlier_open(const char *manifest, const char *imprint, const struct source *source)
{
	struct earlier *e = alloc_zeroed(1, sizeof(*e));

	if (load_imprint(e, imprint) && load_manifest(e, manifest)) {
		compare(e, source);
		return e;
	}
	earlier_free(e);
	return NULL;
}

void earlier_free(struct earlier *e)
{
	if (e == NULL)
		return;
	manifest_free(e->manifest);
	imprint_free(e->imprint);
	free(e->entry_of);
	free(e);
}

bool earlier_is_all(const struct earlier *e)
{
	return e->is_all;
}

const struct manifest *earlier_manifest(const struct earlier *e)
{
	return e->manifest;
}

bool earlier_knows(const struct earlier *e, uint32_t number)
{
	return e->entry_of[number] != CHANGED;
}

uint64_t earlier_offset(const struct earlier *e, uint32_t number)
{
	return manifest_entry_at(e->manifest, e->entry_of[number])->offset;
}

const struct digest *earlier_content(const struct earlier *e, uint32_t number)
{
	return imprint_content_at(e->imprint, e->entry_of[number]);
}

uint32_t earlier_chunk_from(const struct earlier *e, uint64_t offset)
{
	uint32_t low = 0;
	uint32_t high = manifest_chunk_count(e->manifest);

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (manifest_chunk_at(e->manifest, middle)->offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

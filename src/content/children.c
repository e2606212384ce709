#include "content/children.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

/* The number of the entry with that path, whose length is given: entries ascend by their paths. */
static uint32_t find_path(const struct manifest *m, const char *path, size_t size)
{
	uint32_t low = 0, high = manifest_entry_count(m);

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const char *at = manifest_entry_at(m, middle)->path;
		int order = strncmp(at, path, size);

		if (order == 0 && at[size] == '\0')
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return CHILDREN_NONE;
}

static uint32_t folder_of(const struct manifest *m, const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? CHILDREN_ROOT : find_path(m, path, (size_t)(slash - path));
}

void children_init(struct children *c, const struct manifest *manifest)
{
	uint32_t count = manifest_entry_count(manifest);

	*c = (struct children){ .manifest = manifest, .root_first = CHILDREN_NONE };
	c->folder = alloc_zeroed(MAX_OF(count, 1), sizeof(*c->folder));
	c->first = alloc_zeroed(MAX_OF(count, 1), sizeof(*c->first));
	c->next = alloc_zeroed(MAX_OF(count, 1), sizeof(*c->next));
	for (uint32_t n = 0; n < count; n++)
		c->first[n] = CHILDREN_NONE;
	/* From the end, so that each becomes the first one of its folder. */
	for (uint32_t n = count; n-- > 0;) {
		uint32_t folder = folder_of(manifest, manifest_entry_at(manifest, n)->path);
		uint32_t *head = folder == CHILDREN_ROOT ? &c->root_first : &c->first[folder];

		assert(folder != CHILDREN_NONE);
		c->folder[n] = folder;
		c->next[n] = *head;
		*head = n;
	}
}

void children_release(struct children *c)
{
	free(c->folder);
	free(c->first);
	free(c->next);
	*c = (struct children){ 0 };
}

uint32_t children_first(const struct children *c, uint32_t folder)
{
	return folder == CHILDREN_ROOT ? c->root_first : c->first[folder];
}

uint32_t children_find(const struct children *c, uint32_t folder, const char *name)
{
	SCOPED_TEXT char *path =
		folder == CHILDREN_ROOT
			? alloc_text(name)
			: alloc_printf("%s/%s", manifest_entry_at(c->manifest, folder)->path, name);

	return find_path(c->manifest, path, strlen(path));
}

const char *children_name(const struct children *c, uint32_t entry)
{
	const char *path = manifest_entry_at(c->manifest, entry)->path;
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

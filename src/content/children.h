/*
 * The entries of a manifest as folders and what is in them: each entry's folder, and the entries
 * of each folder in the manifest's order.
 *
 * PURE.
 */
#ifndef CONTENT_CHILDREN_H
#define CONTENT_CHILDREN_H

#include <stdint.h>

#include "common/macros.h"
#include "content/manifest.h"

#define CHILDREN_ROOT UINT32_MAX /* the package's root, which is no entry */
#define CHILDREN_NONE (UINT32_MAX - 1)

struct children {
	const struct manifest *manifest;
	uint32_t *folder; /* for each entry: the folder that it is in */
	uint32_t *first;  /* for each entry: its first child, or CHILDREN_NONE */
	uint32_t *next;   /* for each entry: the next one in the same folder, or CHILDREN_NONE */
	uint32_t root_first;
};

/* `manifest`, which was read, is borrowed until the release. */
void children_init(struct children *c, const struct manifest *manifest);
void children_release(struct children *c);
SCOPED_RELEASE(children);

/* The first entry in a folder, or CHILDREN_NONE; goes on by `next`. */
uint32_t children_first(const struct children *c, uint32_t folder);

/* The entry called `name` in a folder, or CHILDREN_NONE. */
uint32_t children_find(const struct children *c, uint32_t folder, const char *name);

/* An entry's own name, without its folder; borrowed. */
const char *children_name(const struct children *c, uint32_t entry);

#endif

/*
 * The folder of one package in the content library: its lock, its indexes, and what may be removed.
 */
#ifndef CONTENT_LIBRARY_H
#define CONTENT_LIBRARY_H

#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"
#include "content/catalogue.h"
#include "content/index.h"

struct library {
	char *folder; /* <library>/<package> */
	char *packs;
	char *indexes;
	char *imprint; /* file: what the source of the latest version looked like */
	int lock;
};

#define LIBRARY_EMPTY      \
	{                  \
		.lock = -1 \
	}

/*
 * Make the package's folders where they are missing, and lock them against other runs, waiting a
 * few seconds. ERR_LOCKED where another holds it still. Ended by library_close, also after a
 * failure.
 */
bool library_open(struct library *lib, const char *root, const char *package, struct err *err)
	MUST_USE;
void library_close(struct library *lib);

static inline void library_scoped(struct library *lib)
{
	library_close(lib);
}

/* Read one index by its name and check that the name is that of its bytes. */
bool library_read_index(struct index **out, struct buf *bytes, const struct library *lib,
			const char *name, struct err *err) MUST_USE;

/* True if the pack is there in its full size. */
bool library_has_pack(const struct library *lib, const struct index_pack *pack);

/*
 * Remove what an interrupted run left: temporary files, and packs that no index names. Where an
 * index cannot be read, packs are left alone. With `cat`, the catalogue learns all indexes on the
 * way.
 */
bool library_tidy(const struct library *lib, struct catalogue *cat, struct err *err) MUST_USE;

/* Write an index file; stores its name. */
bool library_add_index(char *name_out, const struct library *lib, uint32_t version,
		       struct span bytes, struct err *err) MUST_USE;

#endif

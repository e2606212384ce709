/*
 * A pack: frames back to back and nothing else, named "<hash>.pack" by the SHA-256 of its bytes.
 * What is where in it stands in indexes. Packs are never changed.
 *
 * Writing: pack_begin → pack_append* → pack_commit. Until the commit the bytes stand in a file with
 * a temporary name in the same folder, which pack_abandon removes; after a kill it is left there,
 * and is for the next user of the folder to remove (its name begins with ".new-").
 */
#ifndef CONTENT_PACK_H
#define CONTENT_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/newfile.h"
#include "common/span.h"

#define PACK_BYTES_MAX    ((uint64_t)1 << 32)   /* that is read */
#define PACK_BYTES_TARGET ((uint64_t)256 << 20) /* a writer begins the next one past this */
#define PACK_NAME_MAX     70

struct pack {
	struct newfile file;
	struct digest_ctx *hash;
	uint64_t size;
	uint64_t flushed; /* bytes whose writing to disk was begun */
};

#define PACK_EMPTY                    \
	{                             \
		.file = NEWFILE_EMPTY \
	}

/* Begin a pack in the folder `dir`, which exists. */
bool pack_begin(struct pack *p, const char *dir, struct err *err) MUST_USE;

/* Append one frame; its offset is `p->size` from before the call. */
bool pack_append(struct pack *p, struct span stored, struct err *err) MUST_USE;

/*
 * Name the pack and make it durable. A pack of that name that is there already is left as it is.
 * `p` is empty afterwards, whether it worked or not.
 */
bool pack_commit(struct digest *out, struct pack *p, struct err *err) MUST_USE;
void pack_abandon(struct pack *p);

static inline void pack_scoped(struct pack *p)
{
	pack_abandon(p);
}

/* "<hash>.pack"; `dst` has room for PACK_NAME_MAX. */
void pack_print_name(char *dst, const struct digest *digest);
bool pack_parse_name(struct digest *out, const char *name) MUST_USE;

/*
 * Check a stream of bytes, as it arrives, against the size and the hash in an object's name. Serves
 * packs and indexes alike.
 *
 *     pack_check_init → pack_check_feed* → pack_check_finish, pack_check_release
 */
struct pack_check {
	struct digest_ctx *hash;
	struct digest expected;
	uint64_t size, seen;
};

void pack_check_init(struct pack_check *c, const struct digest *expected, uint64_t size);
void pack_check_release(struct pack_check *c);
SCOPED_RELEASE(pack_check);

/* False as soon as there are more bytes than there should be (ERR_CORRUPT). */
bool pack_check_feed(struct pack_check *c, struct span bytes, struct err *err) MUST_USE;

/* ERR_CORRUPT where bytes are missing or are not those that the name stands for. */
bool pack_check_finish(struct pack_check *c, struct err *err) MUST_USE;

#endif

#include "agent/mountread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "content/chunker.h"

#define CHUNK_NONE UINT32_MAX

/* What one thread reads with; kept for the next one. */
struct hand {
	struct digest_ctx *hash;
	uint8_t *raw;   /* CHUNKER_MAX bytes */
	uint32_t chunk; /* whose verified bytes stand in `raw`, or CHUNK_NONE */
	struct tree_files files;
	uint64_t generation; /* of the tree that the files are of; 0: none */
	struct hand *next;
};

struct mountread {
	struct mountfeed *feed;
	const struct manifest *manifest;
	pthread_mutex_t lock;
	struct hand *idle;
};

struct mountread *mountread_new(struct mountfeed *feed)
{
	struct mountread *r = alloc_zeroed(1, sizeof(*r));

	r->feed = feed;
	r->manifest = mountfeed_manifest(feed);
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

static void free_hand(struct hand *h)
{
	digest_free(h->hash);
	free(h->raw);
	tree_files_release(&h->files);
	free(h);
}

void mountread_free(struct mountread *r)
{
	if (r == NULL)
		return;
	while (r->idle != NULL) {
		struct hand *next = r->idle->next;

		free_hand(r->idle);
		r->idle = next;
	}
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static struct hand *take_hand(struct mountread *r)
{
	struct hand *h;

	pthread_mutex_lock(&r->lock);
	h = r->idle;
	if (h != NULL)
		r->idle = h->next;
	pthread_mutex_unlock(&r->lock);
	if (h != NULL)
		return h;
	h = alloc_zeroed(1, sizeof(*h));
	h->hash = digest_new();
	h->raw = alloc_zeroed(1, CHUNKER_MAX);
	h->chunk = CHUNK_NONE;
	tree_files_init(&h->files, NULL);
	return h;
}

static void put_hand(struct mountread *r, struct hand *h)
{
	pthread_mutex_lock(&r->lock);
	h->next = r->idle;
	r->idle = h;
	pthread_mutex_unlock(&r->lock);
}

static bool is_right(struct hand *h, const struct manifest_chunk *c)
{
	struct digest found;

	digest_update(h->hash, span_of(h->raw, c->size));
	digest_finish(h->hash, &found);
	return digest_equal(&found, &c->id);
}

enum belief {
	ZEROS_ARE_MISSING, /* most likely a hole that nobody has filled yet: not worth a hash */
	ZEROS_MAY_BE_RIGHT,
};

/* A run of zeros is cut into chunks of this size, so that a sparse file is no reason to ask. */
static bool looks_missing(const struct hand *h, const struct manifest_chunk *c)
{
	return c->size < CHUNKER_MAX && span_is_zero(span_of(h->raw, c->size));
}

/* Read chunk `n` as it stands on the disk; false if it is not there, or not right. */
static bool read_file(struct mountread *r, struct hand *h, uint32_t n, enum belief belief)
{
	const struct manifest_chunk *c = manifest_chunk_at(r->manifest, n);
	const struct tree *tree;
	uint64_t generation;
	bool got;

	tree = mountfeed_hold(&generation, r->feed);
	if (tree == NULL)
		return false;
	if (h->generation != generation) {
		tree_files_release(&h->files);
		tree_files_init(&h->files, tree);
		h->generation = generation;
	}
	got = tree_read(h->raw, &h->files, c->offset, c->size);
	mountfeed_release(r->feed);
	return got && !(belief == ZEROS_ARE_MISSING && looks_missing(h, c)) && is_right(h, c);
}

static bool read_recent(struct mountread *r, struct hand *h, uint32_t n)
{
	return mountfeed_copy_recent(h->raw, r->feed, n, 0,
				     manifest_chunk_at(r->manifest, n)->size);
}

/* Have chunk `n` in the hand, if it is here and right. */
static bool read_chunk(struct mountread *r, struct hand *h, uint32_t n, enum belief belief)
{
	if (h->chunk == n)
		return true;
	h->chunk = CHUNK_NONE;
	if (!read_recent(r, h, n) && !read_file(r, h, n, belief))
		return false;
	h->chunk = n;
	return true;
}

struct wait {
	struct mountread *read;
	struct hand *hand;
	uint32_t chunk;
	mountread_stop_fn *stop;
	void *ctx;
};

static enum mountfeed_need look(void *ctx)
{
	struct wait *w = ctx;

	if (w->stop != NULL && w->stop(w->ctx))
		return MOUNTFEED_INTERRUPTED;
	return read_chunk(w->read, w->hand, w->chunk, ZEROS_ARE_MISSING) ? MOUNTFEED_LOOK
									 : MOUNTFEED_HERE;
}

/* Have chunk `n` in the hand; what the same reader needs up to `last` may come with it. */
static int bring_chunk(struct wait *w, uint32_t last)
{
	static const struct {
		enum belief belief;
		enum mountfeed_urge urge;
	} tries[] = {
		{ ZEROS_ARE_MISSING, MOUNTFEED_MISSING },
		{ ZEROS_MAY_BE_RIGHT, MOUNTFEED_DAMAGED },
	};
	struct mountread *r = w->read;

	for (size_t i = 0; i < COUNT_OF(tries); i++) {
		if (read_chunk(r, w->hand, w->chunk, tries[i].belief))
			return 0;
		switch (mountfeed_need(r->feed, w->chunk, last - w->chunk + 1, tries[i].urge, look,
				       w)) {
		case MOUNTFEED_FAILED:
			return EIO;
		case MOUNTFEED_INTERRUPTED:
			return EINTR;
		case MOUNTFEED_HERE:
		case MOUNTFEED_LOOK:
			break;
		}
	}
	return read_chunk(r, w->hand, w->chunk, ZEROS_MAY_BE_RIGHT) ? 0 : EIO;
}

/* Copy a part of the chunk that is asked for; from the hand alone if that has it already. */
static int show_chunk(struct wait *w, uint32_t last, uint8_t *dst, size_t skip, size_t size)
{
	int rc;

	if (w->hand->chunk != w->chunk &&
	    mountfeed_copy_recent(dst, w->read->feed, w->chunk, skip, size))
		return 0;
	rc = bring_chunk(w, last);
	if (rc == 0)
		memcpy(dst, w->hand->raw + skip, size);
	return rc;
}

static int read_all(struct wait *w, uint8_t *dst, uint64_t offset, size_t size)
{
	const struct manifest *m = w->read->manifest;
	uint32_t last = mountfeed_chunk_at(m, offset + size - 1);
	int rc = 0;

	for (w->chunk = mountfeed_chunk_at(m, offset); size > 0 && rc == 0; w->chunk++) {
		const struct manifest_chunk *c = manifest_chunk_at(m, w->chunk);
		size_t skip = (size_t)(offset - c->offset);
		size_t part = MIN_OF(size, (size_t)c->size - skip);

		rc = show_chunk(w, last, dst, skip, part);
		dst += part;
		offset += part;
		size -= part;
	}
	return rc;
}

int mountread_range(struct mountread *r, void *dst, uint64_t offset, size_t size,
		    mountread_stop_fn *stop, void *ctx)
{
	struct wait w = { .read = r, .hand = take_hand(r), .stop = stop, .ctx = ctx };
	int rc = size > 0 ? read_all(&w, dst, offset, size) : 0;

	put_hand(r, w.hand);
	if (rc == 0)
		mountfeed_passed(r->feed, offset, size);
	return rc;
}

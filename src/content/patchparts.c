#include "content/patchparts.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

#include "common/alloc.h"

#define PIECE_SIZE  (64u << 10)
#define PIECE_COUNT 12u /* of each part; one of them is the reader's */

/* One part. All but the decoder and the pieces' bytes is under the lock. */
struct part {
	ZSTD_DCtx *zstd;
	struct span block; /* not decoded yet */
	uint8_t *bytes;    /* of PIECE_COUNT pieces, a ring */
	size_t sizes[PIECE_COUNT];
	unsigned first, count; /* pieces that are decoded and not given back */
	bool is_lent;          /* the first of them is with the reader */
	bool is_busy;          /* somebody decodes more */
	bool has_all;          /* of the block */
	bool has_ended;        /* its frame is complete */
	const char *fault;     /* NULL: none */
};

struct patchparts {
	pthread_mutex_t lock;
	pthread_cond_t wanted;  /* there is something to decode, or the end */
	pthread_cond_t decoded; /* a piece was added, or a part is idle again */
	pthread_t thread;
	bool has_thread;
	bool is_ending;
	struct part parts[PATCHFORM_PART_COUNT_];
};

static bool can_decode(const struct part *part)
{
	return !part->is_busy && !part->has_all && part->count < PIECE_COUNT;
}

/* Note what a call of the decoder did; the lock is held. */
static void note_decoded(struct part *part, size_t result, size_t used, size_t size)
{
	part->block = span_skip(part->block, used);
	if (ZSTD_isError(result)) {
		part->fault = ZSTD_getErrorName(result);
		part->has_all = true;
		return;
	}
	part->has_ended = result == 0;
	part->has_all = part->has_ended || size == 0 ||
			(part->block.size == 0 && size < PIECE_SIZE);
	if (size > 0)
		part->sizes[(part->first + part->count++) % PIECE_COUNT] = size;
}

/* Decode one piece of a part that can be decoded, with the lock released meanwhile. */
static void decode(struct patchparts *p, struct part *part)
{
	unsigned place = (part->first + part->count) % PIECE_COUNT;
	ZSTD_inBuffer in = { part->block.data, part->block.size, 0 };
	ZSTD_outBuffer out = { part->bytes + (size_t)place * PIECE_SIZE, PIECE_SIZE, 0 };
	size_t result;

	part->is_busy = true;
	pthread_mutex_unlock(&p->lock);
	result = ZSTD_decompressStream(part->zstd, &out, &in);
	pthread_mutex_lock(&p->lock);
	part->is_busy = false;
	note_decoded(part, result, in.pos, out.pos);
}

/* Of what can be decoded, what takes longest: the rest is left to the reader. NULL: nothing. */
static struct part *longest(struct patchparts *p)
{
	struct part *found = NULL;

	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++) {
		struct part *part = &p->parts[i];

		if (can_decode(part) && (found == NULL || part->block.size > found->block.size))
			found = part;
	}
	return found;
}

static void *work_ahead(void *arg)
{
	struct patchparts *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->is_ending) {
		struct part *part = longest(p);

		if (part == NULL) {
			pthread_cond_wait(&p->wanted, &p->lock);
			continue;
		}
		decode(p, part);
		pthread_cond_signal(&p->decoded);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct patchparts *patchparts_new(void)
{
	struct patchparts *p = alloc_zeroed(1, sizeof(*p));

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wanted, NULL);
	pthread_cond_init(&p->decoded, NULL);
	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++) {
		struct part *part = &p->parts[i];

		part->bytes = alloc_resize(NULL, (size_t)PIECE_COUNT * PIECE_SIZE);
		part->has_all = true;
		part->zstd = ZSTD_createDCtx();
		if (part->zstd == NULL)
			abort(); /* out of memory, as in alloc */
		ZSTD_DCtx_setParameter(part->zstd, ZSTD_d_windowLogMax, patchform_window_log[i]);
	}
	return p;
}

void patchparts_free(struct patchparts *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->is_ending = true;
	pthread_cond_signal(&p->wanted);
	pthread_mutex_unlock(&p->lock);
	if (p->has_thread)
		pthread_join(p->thread, NULL);
	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++) {
		ZSTD_freeDCtx(p->parts[i].zstd);
		free(p->parts[i].bytes);
	}
	pthread_cond_destroy(&p->decoded);
	pthread_cond_destroy(&p->wanted);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void patchparts_begin(struct patchparts *p, const struct span *blocks)
{
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++) {
		assert(p->parts[i].has_all && p->parts[i].count == 0);
		p->parts[i].block = blocks[i];
		p->parts[i].has_all = p->parts[i].has_ended || blocks[i].size == 0;
	}
	pthread_cond_signal(&p->wanted);
	if (!p->has_thread)
		p->has_thread = pthread_create(&p->thread, NULL, work_ahead, p) == 0;
	pthread_mutex_unlock(&p->lock);
}

/* The reader is done with the piece that it has of a part; the lock is held. */
static void give_back(struct patchparts *p, struct part *part)
{
	if (!part->is_lent)
		return;
	part->is_lent = false;
	part->first = (part->first + 1) % PIECE_COUNT;
	part->count--;
	if (can_decode(part))
		pthread_cond_signal(&p->wanted);
}

/* Until there is a piece of a part, or its block has no more; the lock is held. */
static void await(struct patchparts *p, struct part *part)
{
	while (part->count == 0 && !part->has_all) {
		if (part->is_busy)
			pthread_cond_wait(&p->decoded, &p->lock);
		else
			decode(p, part);
	}
}

/* The lock is held: of what is not used up somebody may be decoding more. */
static bool fault_of(struct err *err, const struct patchparts *p, const struct part *part,
		     const char *otherwise)
{
	return err_set(err, ERR_FORMAT, "patch: the %s: %s", patchform_part_names[part - p->parts],
		       part->fault != NULL ? part->fault : otherwise);
}

bool patchparts_next(struct span *out, struct patchparts *p, enum patchform_part which,
		     struct err *err)
{
	struct part *part = &p->parts[which];
	bool done;

	pthread_mutex_lock(&p->lock);
	give_back(p, part);
	await(p, part);
	part->is_lent = part->count > 0;
	if (part->is_lent)
		*out = span_of(part->bytes + (size_t)part->first * PIECE_SIZE,
			       part->sizes[part->first]);
	done = part->is_lent || fault_of(err, p, part, "they end too early");
	pthread_mutex_unlock(&p->lock);
	return done;
}

/* What a block decodes to belongs to its segment: nothing may be left of it. */
static bool is_used_up(struct patchparts *p, struct part *part, struct err *err)
{
	bool done;

	pthread_mutex_lock(&p->lock);
	give_back(p, part);
	await(p, part);
	done = (part->count == 0 && part->block.size == 0 && part->fault == NULL) ||
	       fault_of(err, p, part, "more than their segment needs");
	pthread_mutex_unlock(&p->lock);
	return done;
}

bool patchparts_end(struct patchparts *p, struct err *err)
{
	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++)
		if (!is_used_up(p, &p->parts[i], err))
			return false;
	return true;
}

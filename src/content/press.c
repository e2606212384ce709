#include "content/press.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/large.h"
#include "content/pack.h"

/* States of a buffer, in the order it goes through them. */
enum job_state {
	JOB_EMPTY,
	JOB_HELD, /* the caller fills it */
	JOB_QUEUED,
	JOB_BUSY, /* being compressed */
	JOB_DONE, /* waits for its turn to be written */
};

struct job {
	struct press_buffer buffer;
	struct buf stored; /* of one that was compressed */
	struct span bytes; /* of the frame, here or in the buffer itself */
	enum frame_codec codec;
	enum job_state state;
	uint64_t turn; /* the order of submission */
};

/* Where a frame was written, until its pack has a name. */
struct written {
	uint32_t frame, pack;
	uint64_t offset;
	uint32_t stored_size;
	enum frame_codec codec;
};

struct press {
	char *dir;
	uint64_t pack_bytes;
	pthread_t helper;
	pthread_mutex_t lock; /* guards all below, but buffers belong to whom their state says */
	pthread_cond_t changed;
	struct job jobs[PRESS_BUFFERS];
	uint64_t next_turn, next_write;
	bool is_writing; /* somebody writes frames, without the lock: packs and written are his */
	bool is_ending, has_failed;
	struct err err;
	struct frame_encoder *own, *helpers; /* the caller's and the helper's */
	struct pack *packs;
	struct written *written;
	uint32_t pack_count, written_count;
	uint64_t total_bytes;
};

static struct job *find_job(struct press *p, enum job_state state)
{
	struct job *found = NULL;

	for (size_t i = 0; i < COUNT_OF(p->jobs); i++)
		if (p->jobs[i].state == state && (found == NULL || p->jobs[i].turn < found->turn))
			found = &p->jobs[i];
	return found;
}

static void compress(struct job *job, struct frame_encoder *enc)
{
	struct span raw = span_of(job->buffer.data, job->buffer.size);

	buf_clear(&job->stored);
	job->codec = job->buffer.is_dense ? FRAME_STORED : frame_encode(&job->stored, enc, raw);
	job->bytes = job->buffer.is_dense ? raw : buf_span(&job->stored);
}

static bool begin_pack_if_needed(struct press *p, struct err *err)
{
	if (p->pack_count > 0 && p->packs[p->pack_count - 1].size < p->pack_bytes)
		return true;
	ALLOC_GROW(p->packs, p->pack_count);
	if (!pack_begin(&p->packs[p->pack_count], p->dir, err))
		return false;
	p->pack_count++;
	return true;
}

static bool write_job(struct press *p, const struct job *job, struct err *err)
{
	struct pack *pack;

	if (!begin_pack_if_needed(p, err))
		return false;
	pack = &p->packs[p->pack_count - 1];
	ALLOC_GROW(p->written, p->written_count);
	p->written[p->written_count++] = (struct written){
		.frame = job->buffer.frame,
		.pack = p->pack_count - 1,
		.offset = pack->size,
		.stored_size = (uint32_t)job->bytes.size,
		.codec = job->codec,
	};
	return pack_append(pack, job->bytes, err);
}

/* Write what is done, in order, for as long as there is some; called and left with the lock held.
 */
static void write_done(struct press *p)
{
	struct job *job;

	if (p->is_writing)
		return;
	p->is_writing = true;
	while ((job = find_job(p, JOB_DONE)) != NULL && job->turn == p->next_write) {
		struct err err = { 0 };
		bool fine = true;

		if (!p->has_failed) {
			pthread_mutex_unlock(&p->lock);
			fine = write_job(p, job, &err);
			pthread_mutex_lock(&p->lock);
		}
		if (!fine) {
			p->has_failed = true;
			p->err = err;
		}
		job->state = JOB_EMPTY;
		p->next_write++;
		pthread_cond_broadcast(&p->changed);
	}
	p->is_writing = false;
}

/* Take the oldest frame of the queue through; called and left with the lock held. */
static void work(struct press *p, struct job *job, struct frame_encoder *enc)
{
	job->state = JOB_BUSY;
	if (!p->has_failed) {
		pthread_mutex_unlock(&p->lock);
		compress(job, enc);
		pthread_mutex_lock(&p->lock);
	}
	job->state = JOB_DONE;
	write_done(p);
}

static void *help(void *ctx)
{
	struct press *p = ctx;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct job *job = find_job(p, JOB_QUEUED);

		if (job != NULL)
			work(p, job, p->helpers);
		else if (p->is_ending)
			break;
		else
			pthread_cond_wait(&p->changed, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct press *press_new(const char *dir, int level, uint64_t pack_bytes)
{
	struct press *p = alloc_zeroed(1, sizeof(*p));

	p->dir = alloc_text(dir);
	p->pack_bytes = pack_bytes;
	p->own = frame_encoder_new(level);
	p->helpers = frame_encoder_new(level);
	for (size_t i = 0; i < COUNT_OF(p->jobs); i++)
		p->jobs[i].buffer.data = large_alloc(FRAME_RAW_MAX);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	if (pthread_create(&p->helper, NULL, help, p) != 0)
		abort(); /* out of memory, as in alloc */
	return p;
}

/* Work until all that was submitted is written. */
static void drain(struct press *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->next_write < p->next_turn) {
		struct job *job = find_job(p, JOB_QUEUED);

		if (job != NULL)
			work(p, job, p->own);
		else
			pthread_cond_wait(&p->changed, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
}

void press_free(struct press *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->is_ending = true;
	p->has_failed = true; /* what is left is not worth the work */
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->helper, NULL);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	for (size_t i = 0; i < COUNT_OF(p->jobs); i++) {
		free(p->jobs[i].buffer.data);
		buf_release(&p->jobs[i].stored);
	}
	for (uint32_t i = 0; i < p->pack_count; i++)
		pack_abandon(&p->packs[i]);
	frame_encoder_free(p->own);
	frame_encoder_free(p->helpers);
	free(p->packs);
	free(p->written);
	free(p->dir);
	free(p);
}

struct press_buffer *press_buffer(struct press *p)
{
	struct job *empty;

	pthread_mutex_lock(&p->lock);
	while ((empty = find_job(p, JOB_EMPTY)) == NULL) {
		struct job *job = find_job(p, JOB_QUEUED);

		if (job != NULL)
			work(p, job, p->own);
		else
			pthread_cond_wait(&p->changed, &p->lock);
	}
	empty->state = JOB_HELD;
	pthread_mutex_unlock(&p->lock);
	empty->buffer.size = 0;
	empty->buffer.is_dense = false;
	return &empty->buffer;
}

void press_submit(struct press *p, struct press_buffer *buffer)
{
	struct job *job = (struct job *)buffer; /* its first member */

	pthread_mutex_lock(&p->lock);
	if (buffer->size > 0) {
		job->turn = p->next_turn++;
		job->state = JOB_QUEUED;
	} else {
		job->state = JOB_EMPTY;
	}
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

bool press_has_failed(struct press *p)
{
	bool has_failed;

	pthread_mutex_lock(&p->lock);
	has_failed = p->has_failed;
	pthread_mutex_unlock(&p->lock);
	return has_failed;
}

static bool name_packs(struct press *p, struct digest *names, struct err *err)
{
	for (uint32_t i = 0; i < p->pack_count; i++)
		if (!pack_commit(&names[i], &p->packs[i], err))
			return false;
	return true;
}

static void place_frames(const struct press *p, const struct digest *names, const uint64_t *sizes,
			 struct catalogue *cat)
{
	for (uint32_t i = 0; i < p->written_count; i++) {
		const struct written *w = &p->written[i];

		catalogue_place_frame(cat, w->frame,
				      &(struct catalogue_place){
					      .pack = names[w->pack],
					      .pack_size = sizes[w->pack],
					      .offset = w->offset,
					      .stored_size = w->stored_size,
					      .codec = w->codec,
				      });
	}
}

bool press_commit(struct press *p, struct catalogue *cat, struct err *err)
{
	struct digest *names;
	uint64_t *sizes;
	bool done;

	drain(p);
	if (p->has_failed) {
		*err = p->err;
		return false;
	}
	names = alloc_zeroed((size_t)p->pack_count + 1, sizeof(*names));
	sizes = alloc_zeroed((size_t)p->pack_count + 1, sizeof(*sizes));
	for (uint32_t i = 0; i < p->pack_count; i++) {
		sizes[i] = p->packs[i].size;
		p->total_bytes += sizes[i];
	}
	done = name_packs(p, names, err);
	if (done)
		place_frames(p, names, sizes, cat);
	free(names);
	free(sizes);
	return done;
}

uint32_t press_pack_count(const struct press *p)
{
	return p->pack_count;
}

uint64_t press_pack_bytes(const struct press *p)
{
	return p->total_bytes;
}

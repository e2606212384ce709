#include "content/crew.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/alloc.h"

struct crew {
	pthread_mutex_t lock;
	pthread_cond_t given; /* a job came, or the end */
	pthread_cond_t done;  /* a job was finished */
	pthread_t threads[CREW_THREADS_MAX];
	unsigned thread_count;
	unsigned members_named; /* numbers handed to threads so far */
	void *queue[CREW_DEPTH_MAX];
	unsigned head, count, depth;
	unsigned running; /* jobs in hand */
	bool ending;
	crew_fn fn;
	void *ctx;
};

/* Take the oldest job; the lock is held. */
static void *take(struct crew *crew)
{
	void *job = crew->queue[crew->head];

	crew->head = (crew->head + 1) % crew->depth;
	crew->count--;
	crew->running++;
	return job;
}

/* Run one job with the lock released meanwhile. */
static void work_one(struct crew *crew, unsigned member)
{
	void *job = take(crew);

	pthread_mutex_unlock(&crew->lock);
	crew->fn(crew->ctx, member, job);
	pthread_mutex_lock(&crew->lock);
	crew->running--;
	pthread_cond_signal(&crew->done);
}

static void *member_main(void *arg)
{
	struct crew *crew = arg;
	unsigned member;

	pthread_mutex_lock(&crew->lock);
	member = ++crew->members_named;
	for (;;) {
		while (crew->count == 0 && !crew->ending)
			pthread_cond_wait(&crew->given, &crew->lock);
		if (crew->count == 0)
			break;
		work_one(crew, member);
	}
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

struct crew *crew_new(unsigned threads, unsigned depth, crew_fn fn, void *ctx)
{
	struct crew *crew = alloc_zeroed(1, sizeof(*crew));

	assert(threads <= CREW_THREADS_MAX && depth >= 1 && depth <= CREW_DEPTH_MAX);
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->given, NULL);
	pthread_cond_init(&crew->done, NULL);
	crew->depth = depth;
	crew->fn = fn;
	crew->ctx = ctx;
	/* Fewer threads than hoped for: slower, not broken. */
	while (crew->thread_count < threads &&
	       pthread_create(&crew->threads[crew->thread_count], NULL, member_main, crew) == 0)
		crew->thread_count++;
	return crew;
}

void crew_free(struct crew *crew)
{
	if (crew == NULL)
		return;
	crew_drain(crew);
	pthread_mutex_lock(&crew->lock);
	crew->ending = true;
	pthread_cond_broadcast(&crew->given);
	pthread_mutex_unlock(&crew->lock);
	for (unsigned i = 0; i < crew->thread_count; i++)
		pthread_join(crew->threads[i], NULL);
	pthread_cond_destroy(&crew->done);
	pthread_cond_destroy(&crew->given);
	pthread_mutex_destroy(&crew->lock);
	free(crew);
}

unsigned crew_size(const struct crew *crew)
{
	return crew->thread_count + 1;
}

void crew_give(struct crew *crew, void *job)
{
	pthread_mutex_lock(&crew->lock);
	while (crew->count == crew->depth)
		work_one(crew, 0);
	crew->queue[(crew->head + crew->count) % crew->depth] = job;
	crew->count++;
	pthread_cond_signal(&crew->given);
	pthread_mutex_unlock(&crew->lock);
}

void crew_drain(struct crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	while (crew->count > 0 || crew->running > 0) {
		if (crew->count > 0)
			work_one(crew, 0);
		else
			pthread_cond_wait(&crew->done, &crew->lock);
	}
	pthread_mutex_unlock(&crew->lock);
}

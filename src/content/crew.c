#include "content/crew.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/alloc.h"

/* A job's work in items, for whoever comes to take one; under the crew's lock. */
struct share {
	crew_share_fn fn;
	void *ctx;
	unsigned next, count;
	unsigned running; /* items in hand */
	struct share *other;
};

struct crew {
	pthread_mutex_t lock;
	pthread_cond_t given; /* a job or a share came, or the end */
	pthread_cond_t done;  /* a job or an item was finished, or a share came */
	pthread_t threads[CREW_THREADS_MAX];
	unsigned thread_count;
	unsigned members_named; /* numbers handed to threads so far */
	void *queue[CREW_DEPTH_MAX];
	unsigned head, count, depth;
	unsigned running; /* jobs in hand */
	struct share *shares;
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
	pthread_cond_broadcast(&crew->done);
}

/* Do one item with the lock released meanwhile. */
static void share_one(struct crew *crew, struct share *s, unsigned member)
{
	unsigned item = s->next++;

	s->running++;
	pthread_mutex_unlock(&crew->lock);
	s->fn(s->ctx, member, item);
	pthread_mutex_lock(&crew->lock);
	s->running--;
	if (s->running == 0)
		pthread_cond_broadcast(&crew->done);
}

static struct share *open_share(const struct crew *crew)
{
	struct share *s = crew->shares;

	while (s != NULL && s->next == s->count)
		s = s->other;
	return s;
}

/* Do a job, or else an item of one; false if there is neither. The lock is held. */
static bool find_work(struct crew *crew, unsigned member)
{
	struct share *s;

	if (crew->count > 0) {
		work_one(crew, member);
		return true;
	}
	s = open_share(crew);
	if (s != NULL)
		share_one(crew, s, member);
	return s != NULL;
}

static void close_share(struct crew *crew, const struct share *s)
{
	struct share **at = &crew->shares;

	while (*at != s)
		at = &(*at)->other;
	*at = s->other;
}

void crew_share(struct crew *crew, unsigned member, crew_share_fn fn, void *ctx, unsigned count)
{
	struct share s = { .fn = fn, .ctx = ctx, .count = count };

	pthread_mutex_lock(&crew->lock);
	s.other = crew->shares;
	crew->shares = &s;
	pthread_cond_broadcast(&crew->given);
	pthread_cond_broadcast(&crew->done);
	while (s.next < s.count)
		share_one(crew, &s, member);
	while (s.running > 0)
		pthread_cond_wait(&crew->done, &crew->lock);
	close_share(crew, &s);
	pthread_mutex_unlock(&crew->lock);
}

static void *member_main(void *arg)
{
	struct crew *crew = arg;
	unsigned member;

	pthread_mutex_lock(&crew->lock);
	member = ++crew->members_named;
	while (find_work(crew, member) || !crew->ending)
		if (crew->count == 0 && open_share(crew) == NULL && !crew->ending)
			pthread_cond_wait(&crew->given, &crew->lock);
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
	while (crew->count > 0 || crew->running > 0)
		if (!find_work(crew, 0))
			pthread_cond_wait(&crew->done, &crew->lock);
	pthread_mutex_unlock(&crew->lock);
}

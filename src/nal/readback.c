#include "nal/readback.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"

#define PIECE ((size_t)256 << 10) /* stays in a processor's cache until it is hashed */

struct readback {
	int fd;
	way_back_fn *back;
	void *ctx;
	pthread_t thread;
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	uint64_t written;
	bool is_whole;   /* no more is written */
	bool is_dropped; /* nobody wants it any more */
};

/* Wait for more than `at` bytes; what is there, or `at` when that was all. */
static uint64_t wait_for_more(struct readback *r, uint64_t at)
{
	uint64_t end;

	pthread_mutex_lock(&r->lock);
	while (r->written == at && !r->is_whole && !r->is_dropped)
		pthread_cond_wait(&r->changed, &r->lock);
	end = r->is_dropped ? at : r->written;
	pthread_mutex_unlock(&r->lock);
	return end;
}

static ssize_t read_piece(const struct readback *r, uint8_t *piece, uint64_t at, size_t size)
{
	ssize_t n;

	do
		n = pread(r->fd, piece, size, (off_t)at);
	while (n < 0 && errno == EINTR);
	return n;
}

static void *follow(void *ctx)
{
	struct readback *r = ctx;
	uint8_t *piece = alloc_resize(NULL, PIECE);
	uint64_t at = 0, end;
	bool goes_on = true;

	while (goes_on && (end = wait_for_more(r, at)) > at) {
		ssize_t n = read_piece(r, piece, at, (size_t)MIN_OF(end - at, (uint64_t)PIECE));

		/* Whoever counts what came finds that it is not all. */
		goes_on = n > 0 && r->back(span_of(piece, (size_t)n), r->ctx);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(piece);
	return NULL;
}

static void release(struct readback *r)
{
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

struct readback *readback_begin(int fd, way_back_fn *back, void *ctx)
{
	struct readback *r;

	if (back == NULL)
		return NULL;
	r = alloc_zeroed(1, sizeof(*r));
	r->fd = fd;
	r->back = back;
	r->ctx = ctx;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	if (pthread_create(&r->thread, NULL, follow, r) == 0)
		return r;
	release(r);
	return NULL;
}

void readback_grew(struct readback *r, uint64_t bytes)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->written += bytes;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void end(struct readback *r, bool *why)
{
	pthread_mutex_lock(&r->lock);
	*why = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	release(r);
}

void readback_finish(struct readback *r)
{
	if (r != NULL)
		end(r, &r->is_whole);
}

void readback_drop(struct readback *r)
{
	if (r != NULL)
		end(r, &r->is_dropped);
}

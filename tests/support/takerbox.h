/*
 * Both ends of a handover (content/handover.h) in one process, over a distribution point in memory:
 * the keeper is a thread around an assembly of its own. The giving end is the test's: an honest one
 * (giver.h), or a hostile one that has the raw sockets and the memory.
 */
#ifndef TESTS_SUPPORT_TAKERBOX_H
#define TESTS_SUPPORT_TAKERBOX_H

#include <pthread.h>
#include <stdlib.h>

#include "common/wire.h"
#include "content/check.h"
#include "content/giver.h"
#include "content/handover.h"
#include "content/taker.h"
#include "support/fakedp.h"
#include "support/tempdir.h"

/* Before which of its steps the keeper ends without a word. */
enum takerbox_end {
	TAKERBOX_LIVES,
	TAKERBOX_ENDS_AT_ONCE,
	TAKERBOX_ENDS_BEFORE_STOCK,
	TAKERBOX_ENDS_BEFORE_SERVING,
	TAKERBOX_ENDS_BEFORE_DONE,
};

struct takerbox {
	char *top;
	char *gives; /* the folder of the worker's assembly */
	char *keeps; /* of the keeper's */
	struct fakedp dp;

	/* The keeper, while it runs. */
	struct assemble_params params;
	struct recent *recent; /* for one who reads meanwhile; NULL: nobody does */
	enum takerbox_end end;
	pthread_t thread;
	int takes;  /* its socket */
	int socket; /* the giver's */

	/* When it has ended. */
	bool is_done; /* the tree stands complete */
	uint64_t missing;
	struct err err;
};

static inline void takerbox_set_up(struct takerbox *b)
{
	*b = (struct takerbox){ .top = tempdir_make("handover") };
	b->gives = path_join(b->top, "gives");
	b->keeps = path_join(b->top, "keeps");
}

static inline void takerbox_tear_down(struct takerbox *b)
{
	tempdir_remove(b->top);
	free(b->gives);
	free(b->keeps);
	fakedp_release(&b->dp);
}

static inline bool takerbox_serve(struct takerbox *b, struct assemble *a, struct taker **t)
{
	return taker_open(t, b->takes, &b->err) && b->end != TAKERBOX_ENDS_BEFORE_STOCK &&
	       assemble_local(a, &b->err) == ASSEMBLE_DONE && taker_stock(*t, a, &b->err) &&
	       b->end != TAKERBOX_ENDS_BEFORE_SERVING && taker_serve(*t, &b->err);
}

static inline void takerbox_tell(const struct assemble_progress *now, void *ctx)
{
	const struct takerbox *b = ctx;

	(void)!taker_tell(b->takes, now->bytes);
}

static inline void takerbox_build(struct takerbox *b)
{
	SCOPED(assemble) struct assemble *a = NULL;
	struct taker *t = NULL;
	bool taken;

	if (!assemble_open(&a, &b->params, &b->err))
		return;
	taken = takerbox_serve(b, a, &t);
	taker_close(t);
	b->missing = assemble_missing(a);
	b->is_done = taken && assemble_finish(a, &b->err);
}

/* What the operation `build` does around it. */
static inline void *takerbox_keep(void *arg)
{
	struct takerbox *b = arg;
	json_auto_t *request = NULL;

	if (b->end == TAKERBOX_ENDS_AT_ONCE ||
	    wire_receive_json(&request, NULL, b->takes, -1, &b->err) != WIRE_FRAME) {
		path_close_fd(&b->takes);
		return NULL;
	}
	takerbox_build(b);
	if (b->end == TAKERBOX_LIVES && b->is_done)
		taker_say_done(b->takes);
	else if (b->end == TAKERBOX_LIVES)
		taker_refuse(b->takes, &b->err);
	path_close_fd(&b->takes);
	return NULL;
}

/* Start a keeper for a version; `seeds` are what it has. */
static inline void takerbox_start(struct takerbox *b, const struct fakeversion *v,
				  const struct assemble_seed *seeds, size_t seed_count)
{
	struct err err = { 0 };
	int pair[2];

	b->params = (struct assemble_params){
		.dir = b->keeps,
		.manifest = buf_span(&v->manifest),
		.seeds = seeds,
		.seed_count = seed_count,
		.recent = b->recent,
		.progress = takerbox_tell,
		.progress_ctx = b,
		.clock = clock_system(),
	};
	b->is_done = false;
	b->missing = UINT64_MAX;
	b->err = (struct err){ 0 };
	assert_done(wire_pair(pair, &err), &err);
	b->takes = pair[0];
	b->socket = pair[1];
	assert_int_equal(pthread_create(&b->thread, NULL, takerbox_keep, b), 0);
}

/* Fail unless the keeper's tree is the version's, whole. */
static inline void takerbox_assert_kept(const struct takerbox *b, const struct fakeversion *v)
{
	SCOPED_TEXT char *tree = path_join(b->keeps, "tree");
	SCOPED(check) struct check check = { 0 };
	struct err err = { 0 };

	if (!b->is_done)
		fail_msg("the keeper: %s", b->err.why);
	assert_done(check_tree(&check, tree, v->parsed, NULL, &err), &err);
	if (check.total != 0)
		fail_msg("%s is %s", check.items[0].path, check_kind_name(check.items[0].kind));
}

/* Wait until the keeper has ended; the giver has closed, or all is done. */
static inline void takerbox_join(struct takerbox *b)
{
	assert_int_equal(pthread_join(b->thread, NULL), 0);
}

#endif

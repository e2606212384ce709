#include "agent/mountfeed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/jobs.h"
#include "agent/keeper.h"
#include "agent/lease.h"
#include "agent/readahead.h"
#include "agent/workroom.h"
#include "common/alloc.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/path.h"
#include "content/recent.h"
#include "content/store.h"

#define REST_MS    5000 /* without requests: others may have the version's lock */
#define LOOK_MS    10   /* between two looks of one who waits */
#define RETRIES    4    /* of a part that nobody gives, each after twice as long */
#define RETRY_MS   1000
#define AHEAD_NONE UINT32_MAX

/* Of the agent's worker, which others need as well. */
#define BEGIN_MS      1000  /* so long its work for others is waited for */
#define LEASE_LOCK_MS 1000  /* and so long it waits for the version's lock for us */
#define LEASE_MS      30000 /* between two tries to have it */
#define PORTION_MS    1000  /* so long one request may keep it from others … */
#define PORTION_FIRST (READAHEAD_MAX / 8)
#define PORTION_MIN   (READAHEAD_MIN / 4) /* … or so many bytes, if that takes longer */

struct want {
	uint32_t first, count;
	bool mends;
	bool is_done, has_failed;
	atomic_bool is_abandoned; /* nobody waits: whoever is done with it frees it */
	struct want *next;
};

struct mountfeed {
	const struct mountfeed_params *params;
	struct manifest *manifest;
	char *hash; /* of the manifest */
	int64_t version;

	pthread_rwlock_t tree_lock; /* for the four below */
	struct tree tree;
	char *tree_path;
	uint64_t generation;
	struct recent *recent; /* what a keeper has landed lately; NULL: none lands any */

	int pin; /* of the complete version; the feed's thread alone asks for it */
	atomic_bool is_pinned;

	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* for all below */
	pthread_cond_t work, done;
	struct want *first, **last;
	struct readahead readahead;
	uint32_t ahead_first, ahead_count;
	bool is_busy; /* the worker may hold the version's lock */
	bool stops;

	/* The thread's alone. */
	uint64_t lease_ms; /* not before is a lease tried again */
	uint64_t portion;  /* bytes of one request to a worker that is leased */
};

/* ---- the worker ---- */

static json_t *new_question(const struct mountfeed *f, uint32_t first, uint32_t count)
{
	const struct mountfeed_params *p = f->params;
	json_t *question = json_object();

	jsondoc_set_text(question, "op", "demand");
	jsondoc_set_text(question, "package", p->package);
	jsondoc_set_int(question, "version", f->version != 0 ? f->version : p->version);
	jsondoc_set_int(question, "first", first);
	jsondoc_set_int(question, "count", count);
	jsondoc_set_int(question, "quota", (int64_t)p->job->settings->quota_bytes);
	if (p->advertisement != NULL)
		jsondoc_set_text(question, "advertisement", p->advertisement);
	if (p->program != NULL)
		jsondoc_set_text(question, "program", p->program);
	return question;
}

/* A worker that has died is replaced once. */
static bool ask_twice(json_t **answer_out, struct mountfeed *f, json_t *question, struct err *err)
{
	struct job *job = f->params->job;

	return keeper_ask(answer_out, job, question, job_ask_worker, err) ||
	       (err->code == ERR_INTERRUPTED &&
		keeper_ask(answer_out, job, question, job_ask_worker, err));
}

/* Where an agent runs, its worker is asked, over the sessions that it holds; a user's own ways are
 * not the agent's. */
static void lean_on_agent(struct mountfeed *f)
{
	struct job *job = f->params->job;
	uint64_t now_ms = clock_mono_ms(job->clock);

	if (job->caller != geteuid() || job_is_sharing(job) || now_ms < f->lease_ms)
		return;
	f->lease_ms = now_ms + LEASE_MS;
	(void)!lease_take(job);
}

enum leased {
	LEASED_DONE,
	LEASED_REFUSED, /* it has answered, with an error */
	LEASED_NONE,    /* no worker is leased, or none for this */
};

static bool ask_shared(json_t **answer_out, struct job *job, const json_t *question,
		       struct err *err)
{
	return job_ask_shared(answer_out, job, question, BEGIN_MS, err);
}

static enum leased ask_leased(json_t **answer_out, struct mountfeed *f, json_t *question,
			      struct err *err)
{
	struct job *job = f->params->job;
	bool done;

	lean_on_agent(f);
	if (!job_is_sharing(job))
		return LEASED_NONE;
	jsondoc_set_int(question, "lock_ms", LEASE_LOCK_MS);
	done = keeper_ask(answer_out, job, question, ask_shared, err);
	(void)json_object_del(question, "lock_ms");
	if (done)
		return LEASED_DONE;
	if (err->code != ERR_INTERRUPTED && err->code != ERR_LOCKED)
		return LEASED_REFUSED;
	log_debug("%s; asking a worker of our own", err->why);
	job_finish(job);
	f->lease_ms = clock_mono_ms(job->clock) + LEASE_MS;
	return LEASED_NONE;
}

/* It only saves a second hash, and only while content comes. */
static void have_recent(struct mountfeed *f)
{
	struct job *job = f->params->job;
	struct workroom_account account;
	struct recent *made = NULL;
	struct err err;

	if (job->recent != 0)
		return;
	workroom_find(&account, job->settings->worker_user);
	if (!account.changes)
		return;
	if (!recent_new(&made, &err)) {
		log_debug("%s", err.why);
		return;
	}
	job->recent = recent_fd(made);
	pthread_rwlock_wrlock(&f->tree_lock);
	f->recent = made;
	pthread_rwlock_unlock(&f->tree_lock);
}

/* What the own ways of the user who asks do not give, the system's may. Takes over `question`. */
static bool ask(json_t **answer_out, struct mountfeed *f, json_t *question, struct err *err)
{
	json_auto_t *owned = question;
	enum leased leased;

	have_recent(f);
	jobs_ask_as_caller(f->params->job, owned);
	leased = ask_leased(answer_out, f, owned, err);
	if (leased != LEASED_NONE)
		return leased == LEASED_DONE;
	if (ask_twice(answer_out, f, owned, err))
		return true;
	if (err->code != ERR_NO_CANDIDATE || json_object_del(owned, "uid") != 0)
		return false;
	return ask_twice(answer_out, f, owned, err);
}

/* Complete content stays while it is mounted. */
static void pin(struct mountfeed *f)
{
	SCOPED_TEXT char *dir = state_path(f->params->job->state, "store");
	SCOPED(store) struct store *store = NULL;
	struct store_id id;
	struct err ignored;

	if (f->pin >= 0 || !store_open(&store, dir, f->params->job->clock, &ignored) ||
	    !store_id_make(&id, f->params->package, (uint64_t)f->version) ||
	    !store_pin(&f->pin, store, &id, &ignored))
		return;
	atomic_store(&f->is_pinned, true);
}

static void open_tree(struct mountfeed *f, const char *path)
{
	struct err err;

	pthread_rwlock_wrlock(&f->tree_lock);
	tree_close(&f->tree);
	f->tree = (struct tree)TREE_CLOSED;
	if (!tree_open(&f->tree, path, f->manifest, &err)) {
		f->tree = (struct tree)TREE_CLOSED;
		log_debug("%s", err.why);
	}
	f->generation++;
	free(f->tree_path);
	f->tree_path = alloc_text(path);
	pthread_rwlock_unlock(&f->tree_lock);
}

static void take_answer(struct mountfeed *f, const json_t *answer, bool mends)
{
	const char *path = jsondoc_text(answer, "tree");

	/* Mended files are other files. */
	if (path != NULL && (f->tree_path == NULL || strcmp(f->tree_path, path) != 0 || mends))
		open_tree(f, path);
	if (jsondoc_flag(answer, "complete", false))
		pin(f);
}

static void drop_recent(struct mountfeed *f)
{
	f->params->job->recent = 0;
	pthread_rwlock_wrlock(&f->tree_lock);
	recent_free(f->recent);
	f->recent = NULL;
	pthread_rwlock_unlock(&f->tree_lock);
}

static bool fetch_at_once(struct mountfeed *f, uint32_t first, uint32_t count, bool mends,
			  struct err *err)
{
	json_auto_t *answer = NULL;
	json_t *question = new_question(f, first, count);

	if (mends) {
		/* Who mends takes the version back out of the store. */
		path_close_fd(&f->pin);
		f->pin = -1;
		atomic_store(&f->is_pinned, false);
		jsondoc_set_flag(question, "mend", true);
	}
	if (!ask(&answer, f, question, err))
		return false;
	take_answer(f, answer, mends);
	return true;
}

/* The chunks of a range of the stream. */
static void chunks_of(uint32_t *first, uint32_t *count, const struct manifest *m,
		      struct readahead_range range)
{
	*first = mountfeed_chunk_at(m, range.offset);
	*count = mountfeed_chunk_at(m, range.offset + range.size - 1) - *first + 1;
}

static uint64_t size_of(const struct manifest *m, uint32_t first, uint32_t count)
{
	const struct manifest_chunk *end = manifest_chunk_at(m, first + count - 1);

	return end->offset + end->size - manifest_chunk_at(m, first)->offset;
}

/* How many of the chunks to ask for first. */
static uint32_t next_portion(const struct mountfeed *f, uint32_t first, uint32_t count)
{
	uint64_t begin = manifest_chunk_at(f->manifest, first)->offset;
	uint32_t ignored, fitting;

	if (!job_is_sharing(f->params->job) || size_of(f->manifest, first, count) <= f->portion)
		return count;
	chunks_of(&ignored, &fitting, f->manifest, (struct readahead_range){ begin, f->portion });
	return MIN_OF(fitting, count);
}

static void adapt_portion(struct mountfeed *f, uint64_t ms)
{
	if (ms > PORTION_MS)
		f->portion = MAX_OF(f->portion * PORTION_MS / ms, (uint64_t)PORTION_MIN);
	else if (ms < PORTION_MS / 2)
		f->portion = MIN_OF(f->portion * 2, (uint64_t)READAHEAD_MAX);
}

static bool fetch(struct mountfeed *f, uint32_t first, uint32_t count, bool mends, struct err *err)
{
	const struct clock *clock = f->params->job->clock;

	/* One who mends throws away what is there, which is done once. */
	while (count > 0) {
		uint32_t part = mends ? count : next_portion(f, first, count);
		uint64_t began_ms = clock_mono_ms(clock);

		if (!fetch_at_once(f, first, part, mends, err))
			return false;
		adapt_portion(f, clock_mono_ms(clock) - began_ms);
		first += part;
		count -= part;
	}
	return true;
}

/* A leased worker that is busy gives all back once the line is closed. */
static void rest(struct mountfeed *f)
{
	json_auto_t *question = new_question(f, 0, 0);
	json_auto_t *answer = NULL;
	struct job *job = f->params->job;
	struct err err;
	bool done;

	jsondoc_set_flag(question, "rest", true);
	jobs_ask_as_caller(job, question);
	done = job_is_sharing(job) ? job_ask_shared(&answer, job, question, BEGIN_MS, &err)
				   : job_ask_worker(&answer, job, question, &err);
	if (!done)
		log_debug("%s", err.why);
	drop_recent(f);
}

/* ---- the thread ---- */

static void wait_until(struct timespec *out, uint64_t ms)
{
	clock_gettime(CLOCK_MONOTONIC, out);
	out->tv_sec += (time_t)(ms / 1000);
	out->tv_nsec += (long)(ms % 1000) * 1000000;
	if (out->tv_nsec >= 1000000000) {
		out->tv_sec++;
		out->tv_nsec -= 1000000000;
	}
}

/* Sleep under the lock; true once the feed is to stop. */
static bool pause_for(struct mountfeed *f, uint64_t ms)
{
	struct timespec until;
	bool stops;

	wait_until(&until, ms);
	pthread_mutex_lock(&f->lock);
	while (!f->stops && pthread_cond_timedwait(&f->work, &f->lock, &until) == 0)
		;
	stops = f->stops;
	pthread_mutex_unlock(&f->lock);
	return stops;
}

/* A server may be back in a moment; one with wrong bytes will not have others by then. */
static bool fetch_patiently(struct mountfeed *f, const struct want *w)
{
	uint64_t wait_ms = RETRY_MS;
	struct err err = { 0 };

	for (int i = 0; i <= RETRIES; i++, wait_ms *= 2) {
		if (fetch(f, w->first, w->count, w->mends, &err))
			return true;
		log_warn("%s: %s", f->params->package, err.why);
		if (err.code == ERR_CORRUPT || err_exit(err.code) != EXIT_NETWORK || i == RETRIES ||
		    w->is_abandoned || pause_for(f, wait_ms))
			return false;
	}
	return false;
}

static void serve_want(struct mountfeed *f, struct want *w)
{
	bool done;

	f->first = w->next;
	if (f->first == NULL)
		f->last = &f->first;
	if (w->is_abandoned) {
		free(w);
		return;
	}
	f->is_busy = true;
	pthread_mutex_unlock(&f->lock);
	done = fetch_patiently(f, w);
	pthread_mutex_lock(&f->lock);
	w->is_done = true;
	w->has_failed = !done;
	pthread_cond_broadcast(&f->done);
	if (w->is_abandoned)
		free(w);
}

/* In advance: a fault is told when somebody needs it. */
static void serve_ahead(struct mountfeed *f)
{
	uint32_t first = f->ahead_first, count = f->ahead_count;
	struct err err;

	f->ahead_first = AHEAD_NONE;
	f->is_busy = true;
	pthread_mutex_unlock(&f->lock);
	if (!fetch(f, first, count, false, &err))
		log_debug("in advance: %s", err.why);
	pthread_mutex_lock(&f->lock);
	pthread_cond_broadcast(&f->done);
}

static void wait_for_work(struct mountfeed *f)
{
	struct timespec until;

	if (!f->is_busy) {
		pthread_cond_wait(&f->work, &f->lock);
		return;
	}
	wait_until(&until, REST_MS);
	if (pthread_cond_timedwait(&f->work, &f->lock, &until) == 0 || f->first != NULL ||
	    f->ahead_first != AHEAD_NONE || f->stops)
		return;
	f->is_busy = false;
	pthread_mutex_unlock(&f->lock);
	rest(f);
	pthread_mutex_lock(&f->lock);
}

static void *serve(void *arg)
{
	struct mountfeed *f = arg;

	pthread_mutex_lock(&f->lock);
	while (!f->stops) {
		if (f->first != NULL)
			serve_want(f, f->first);
		else if (f->ahead_first != AHEAD_NONE)
			serve_ahead(f);
		else
			wait_for_work(f);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- for those who read ---- */

uint32_t mountfeed_chunk_at(const struct manifest *m, uint64_t offset)
{
	uint32_t low = 0, high = manifest_chunk_count(m);

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (manifest_chunk_at(m, middle)->offset <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* What is missing, and what follows as far as the reader seems to go. */
static struct want *new_want(struct mountfeed *f, uint32_t first, uint32_t count,
			     enum mountfeed_urge urge)
{
	struct want *w = alloc_zeroed(1, sizeof(*w));
	struct readahead_range range = readahead_missed(
		&f->readahead, manifest_chunk_at(f->manifest, first)->offset,
		size_of(f->manifest, first, count), manifest_stream_size(f->manifest));

	chunks_of(&w->first, &w->count, f->manifest, range);
	w->mends = urge == MOUNTFEED_DAMAGED;
	*f->last = w;
	f->last = &w->next;
	return w;
}

static enum mountfeed_need give_up(struct want *w, enum mountfeed_need why)
{
	w->is_abandoned = true;
	return why;
}

static enum mountfeed_need wait_for(struct mountfeed *f, struct want *w, mountfeed_ask_fn *ask_fn,
				    void *ctx)
{
	enum mountfeed_need result;

	while (!w->is_done) {
		struct timespec until;

		if (f->stops)
			return give_up(w, MOUNTFEED_INTERRUPTED);
		wait_until(&until, LOOK_MS);
		(void)pthread_cond_timedwait(&f->done, &f->lock, &until);
		if (w->is_done)
			break;
		pthread_mutex_unlock(&f->lock);
		result = ask_fn(ctx);
		pthread_mutex_lock(&f->lock);
		if (result != MOUNTFEED_HERE && !w->is_done)
			return give_up(w, result);
	}
	result = w->has_failed ? MOUNTFEED_FAILED : MOUNTFEED_HERE;
	free(w);
	return result;
}

enum mountfeed_need mountfeed_need(struct mountfeed *f, uint32_t first, uint32_t count,
				   enum mountfeed_urge urge, mountfeed_ask_fn *ask_fn, void *ctx)
{
	enum mountfeed_need result;

	pthread_mutex_lock(&f->lock);
	if (f->stops) {
		pthread_mutex_unlock(&f->lock);
		return MOUNTFEED_INTERRUPTED;
	}
	pthread_cond_signal(&f->work);
	result = wait_for(f, new_want(f, first, count, urge), ask_fn, ctx);
	pthread_mutex_unlock(&f->lock);
	return result;
}

void mountfeed_passed(struct mountfeed *f, uint64_t offset, uint64_t size)
{
	struct readahead_range range;

	pthread_mutex_lock(&f->lock);
	range = readahead_passed(&f->readahead, offset, size, manifest_stream_size(f->manifest));
	if (range.size > 0 && !atomic_load(&f->is_pinned)) {
		chunks_of(&f->ahead_first, &f->ahead_count, f->manifest, range);
		pthread_cond_signal(&f->work);
	}
	pthread_mutex_unlock(&f->lock);
}

const struct tree *mountfeed_hold(uint64_t *generation, struct mountfeed *f)
{
	pthread_rwlock_rdlock(&f->tree_lock);
	*generation = f->generation;
	if (f->tree.fd >= 0)
		return &f->tree;
	pthread_rwlock_unlock(&f->tree_lock);
	return NULL;
}

void mountfeed_release(struct mountfeed *f)
{
	pthread_rwlock_unlock(&f->tree_lock);
}

bool mountfeed_copy_recent(void *dst, struct mountfeed *f, uint32_t chunk, size_t skip, size_t size)
{
	bool copied;

	pthread_rwlock_rdlock(&f->tree_lock);
	copied = f->recent != NULL &&
		 recent_read(dst, f->recent, manifest_chunk_at(f->manifest, chunk), skip, size);
	pthread_rwlock_unlock(&f->tree_lock);
	return copied;
}

/* ---- open, close ---- */

static bool read_manifest(struct mountfeed *f, const json_t *answer, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct digest want, got;
	const char *path, *hash;

	if (!jsondoc_need_text(&path, answer, "manifest", err) ||
	    !jsondoc_need_text(&hash, answer, "manifest_hash", err) ||
	    !jsondoc_need_int(&f->version, answer, "version", 1, STORE_VERSION_MAX, err) ||
	    !path_read(&bytes, path, MANIFEST_BYTES_MAX, err))
		return false;
	/* A program runs what the plan says, whatever a worker does. */
	if (f->params->manifest != NULL)
		hash = f->params->manifest;
	digest_of(&got, buf_span(&bytes));
	if (!digest_parse(&want, hash) || !digest_equal(&want, &got))
		return err_set(err, ERR_TRUST, "%s is not the manifest that is signed", path);
	f->hash = alloc_text(hash);
	return manifest_read(&f->manifest, buf_span(&bytes), err);
}

static bool find_version(struct mountfeed *f, struct err *err)
{
	json_auto_t *answer = NULL;

	if (!ask(&answer, f, new_question(f, 0, 0), err) || !read_manifest(f, answer, err))
		return false;
	take_answer(f, answer, false);
	return true;
}

static bool have_beginning(struct mountfeed *f, struct err *err)
{
	struct readahead_range range;
	uint32_t first, count;

	if (f->pin >= 0 || manifest_chunk_count(f->manifest) == 0)
		return true;
	range = readahead_missed(&f->readahead, 0, 1, manifest_stream_size(f->manifest));
	chunks_of(&first, &count, f->manifest, range);
	return fetch(f, first, count, false, err);
}

static void init_locks(struct mountfeed *f)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->work, &attributes);
	pthread_cond_init(&f->done, &attributes);
	pthread_rwlock_init(&f->tree_lock, NULL);
	pthread_condattr_destroy(&attributes);
}

bool mountfeed_open(struct mountfeed **out, const struct mountfeed_params *params, struct err *err)
{
	struct mountfeed *f = alloc_zeroed(1, sizeof(*f));

	*f = (struct mountfeed){ .params = params,
				 .tree = TREE_CLOSED,
				 .pin = -1,
				 .ahead_first = AHEAD_NONE,
				 .portion = PORTION_FIRST,
				 .is_busy = true };
	f->last = &f->first;
	init_locks(f);
	if (find_version(f, err) && have_beginning(f, err)) {
		*out = f;
		return true;
	}
	mountfeed_close(f);
	return false;
}

bool mountfeed_start(struct mountfeed *f, struct err *err)
{
	int rc = pthread_create(&f->thread, NULL, serve, f);

	f->has_thread = rc == 0;
	return rc == 0 || err_sys(err, ERR_MEMORY, rc, "thread");
}

static void end_thread(struct mountfeed *f)
{
	pthread_mutex_lock(&f->lock);
	f->stops = true;
	pthread_cond_broadcast(&f->work);
	pthread_cond_broadcast(&f->done);
	pthread_mutex_unlock(&f->lock);
	if (f->has_thread)
		pthread_join(f->thread, NULL);
}

void mountfeed_close(struct mountfeed *f)
{
	if (f == NULL)
		return;
	end_thread(f);
	while (f->first != NULL) {
		struct want *next = f->first->next;

		free(f->first);
		f->first = next;
	}
	drop_recent(f);
	tree_close(&f->tree);
	free(f->tree_path);
	path_close_fd(&f->pin);
	manifest_free(f->manifest);
	free(f->hash);
	pthread_rwlock_destroy(&f->tree_lock);
	pthread_cond_destroy(&f->work);
	pthread_cond_destroy(&f->done);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

const struct manifest *mountfeed_manifest(const struct mountfeed *f)
{
	return f->manifest;
}

const char *mountfeed_manifest_hash(const struct mountfeed *f)
{
	return f->hash;
}

int64_t mountfeed_version(const struct mountfeed *f)
{
	return f->version;
}

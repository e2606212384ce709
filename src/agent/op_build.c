/*
 * The operation `build`, of the keeper: put a version together out of what a worker gives
 * (content/handover.h), in the store that is this account's alone. The worker says which version;
 * what it consists of is what the site signs.
 */
#include "agent/op.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "agent/generation.h"
#include "agent/policyset.h"
#include "common/alloc.h"
#include "common/bootid.h"
#include "common/log.h"
#include "common/path.h"
#include "common/wire.h"
#include "content/recent.h"
#include "content/store.h"
#include "content/store_seeds.h"
#include "content/taker.h"
#include "policy/docs.h"

#define LOCK_WAIT_MS  600000
#define ASKER_ENDS_MS 2000

struct build {
	struct worker *w;
	int giver; /* the line to it */
	bool mends;
	uint64_t quota_bytes;
	uint32_t lock_ms;

	struct store *store;
	struct store_id id;
	struct buf manifest;
	uint64_t size_bytes; /* of content, as signed */
	char *dir;
	int lock;
	int record; /* of a version that is still to be flushed; -1 */
	bool can_flush_behind;
	struct store_seeds seeds;
	struct recent *recent; /* of a mount that reads while it is built; NULL: none does */
	struct assemble *assemble;
	struct assemble_params params;
	atomic_bool cancel; /* the giver is gone */
};

/* ---- what is wanted ---- */

static bool read_request(struct build *b, const char **id_out, int64_t *version_out,
			 json_t *request, struct err *err)
{
	int64_t lock_ms = jsondoc_int(request, "lock_ms", LOCK_WAIT_MS);

	b->mends = jsondoc_flag(request, "mend", false);
	b->lock_ms = lock_ms >= 0 && lock_ms < LOCK_WAIT_MS ? (uint32_t)lock_ms : LOCK_WAIT_MS;
	if (!jsondoc_need_text(id_out, request, "package", err) ||
	    !jsondoc_need_int(version_out, request, "version", 1, STORE_VERSION_MAX, err))
		return false;
	return store_id_make(&b->id, *id_out, (uint64_t)*version_out) ||
	       err_set(err, ERR_FORMAT, "\"%s\" is no package", *id_out);
}

static bool read_signed(struct build *b, struct policyset *policy, const char *id, int64_t number,
			struct err *err)
{
	SCOPED(docs_package) struct docs_package package = { 0 };
	SCOPED_TEXT char *path = docs_path_manifest(id, number);
	const struct docs_version *version;

	if (!policyset_package(&package, policy, id, err))
		return false;
	version = docs_package_version(&package, number);
	if (version == NULL)
		return err_set(err, ERR_NOT_FOUND, "the site's policy has no version %lld of %s",
			       (long long)number, id);
	b->size_bytes = (uint64_t)version->bytes;
	if (!policyset_read(&b->manifest, policy, path, err))
		return false;
	return docs_package_is_manifest(version, buf_span(&b->manifest)) ||
	       err_set(err, ERR_TRUST, "%s is not the manifest that the package names", path);
}

/* The policy takes as long to verify as the worker to get here, and seldom changes meanwhile. */
struct look_ahead {
	char *name; /* of the generation; NULL: none was in force */
	struct policyset *policy;
};

static void open_policy(struct look_ahead *l, const struct build *b, struct err *err)
{
	l->name = generation_name(&b->w->state);
	if (!policyset_open(&l->policy, &b->w->state, clock_wall_s(b->w->clock), err))
		l->policy = NULL;
}

static void close_policy(struct look_ahead *l)
{
	policyset_close(l->policy);
	free(l->name);
	*l = (struct look_ahead){ 0 };
}

static bool is_in_force(const struct look_ahead *l, const struct build *b)
{
	SCOPED_TEXT char *name = generation_name(&b->w->state);

	return l->policy != NULL && l->name != NULL && name != NULL && strcmp(l->name, name) == 0;
}

static bool read_begin(struct build *b, struct look_ahead *l, struct err *err)
{
	json_auto_t *request = NULL;
	const char *id;
	int64_t version;

	if (wire_receive_json(&request, NULL, b->giver, -1, err) != WIRE_FRAME)
		return err_set(err, ERR_INTERRUPTED, "the worker has ended");
	if (!read_request(b, &id, &version, request, err))
		return false;
	if (!is_in_force(l, b)) {
		close_policy(l);
		open_policy(l, b, err);
	}
	return l->policy != NULL && read_signed(b, l->policy, id, version, err);
}

static bool find_signed(struct build *b, struct err *err)
{
	struct look_ahead l = { 0 };
	struct err ignored = { 0 };
	bool done;

	open_policy(&l, b, &ignored);
	done = read_begin(b, &l, err);
	close_policy(&l);
	return done;
}

/* ---- building ---- */

static void note_progress(const struct assemble_progress *now, void *ctx)
{
	struct build *b = ctx;

	if (!taker_tell(b->giver, now->bytes))
		atomic_store(&b->cancel, true);
}

static bool take_all(struct build *b, struct err *err)
{
	struct taker *t = NULL;
	bool done = taker_open(&t, b->giver, err) && assemble_open(&b->assemble, &b->params, err) &&
		    assemble_local(b->assemble, err) == ASSEMBLE_DONE &&
		    taker_stock(t, b->assemble, err) && taker_serve(t, err);

	taker_close(t);
	return done;
}

static bool commit(struct build *b, struct err *err)
{
	uint64_t bytes = assemble_stats(b->assemble).bytes_content;

	return b->can_flush_behind ? store_commit_early(&b->record, b->store, &b->id, bytes, err)
				   : store_commit(b->store, &b->id, bytes, err);
}

static bool assemble_version(struct build *b, struct err *err)
{
	char boot[BOOTID_SIZE];

	bootid_read(boot);
	b->can_flush_behind = boot[0] != '\0';
	b->params = (struct assemble_params){
		.dir = b->dir,
		.manifest = buf_span(&b->manifest),
		.seeds = b->seeds.list,
		.seed_count = b->seeds.count,
		.cancel = &b->cancel,
		.progress = note_progress,
		.progress_ctx = b,
		.flushes_behind = b->can_flush_behind,
		.recent = b->recent,
		.clock = b->w->clock,
	};
	return take_all(b, err) && assemble_finish(b->assemble, err) && commit(b, err);
}

static bool build(struct build *b, struct err *err)
{
	b->dir = store_build_path(b->store, &b->id);
	if (!store_seeds_init(&b->seeds, b->store, &b->id, err) || !assemble_version(b, err))
		return false;
	/* Whoever hears of it may want to remove it at once. */
	path_close_fd(&b->lock);
	taker_say_done(b->giver);
	return true;
}

static bool begin(struct build *b, struct err *err)
{
	const struct store_wanted wanted = {
		.manifest = buf_span(&b->manifest),
		.bytes = b->size_bytes,
		.quota = b->quota_bytes,
		.wait_ms = b->lock_ms,
		.mends = b->mends,
	};

	switch (store_begin(&b->lock, b->store, &b->id, &wanted, err)) {
	case STORE_BEGUN:
		return build(b, err);
	case STORE_HERE:
		taker_say_here(b->giver);
		return true;
	case STORE_FAULT:
	default:
		return false;
	}
}

/* The memory comes behind the request that says so. */
static bool receive_memory(struct build *b, const json_t *request, struct err *err)
{
	json_auto_t *frame = NULL;
	SCOPED_FD int fd = -1;

	if (!jsondoc_flag(request, "recent", false))
		return true;
	if (wire_receive_json(&frame, &fd, b->w->peer, -1, err) != WIRE_FRAME)
		return err_set(err, ERR_INTERRUPTED, "whoever asked has ended");
	/* Without it, who reads has the files. */
	return recent_attach(&b->recent, fd, err) || err->code == ERR_MEMORY;
}

static bool have_it(struct build *b, struct err *err)
{
	SCOPED_TEXT char *dir = state_path(&b->w->state, "store");

	return find_signed(b, err) && store_open(&b->store, dir, b->w->clock, err) && begin(b, err);
}

static void build_free(struct build *b)
{
	assemble_close(b->assemble);
	store_seeds_release(&b->seeds);
	recent_free(b->recent);
	store_close(b->store);
	buf_release(&b->manifest);
	free(b->dir);
	path_close_fd(&b->lock);
	path_close_fd(&b->record);
	free(b);
}

/* Whoever asked writes records, each of which the disk must have: they would wait for ours. */
static void let_asker_end(const struct build *b)
{
	struct pollfd asker = { .fd = b->w->peer };

	if (asker.fd >= 0)
		(void)poll(&asker, 1, ASKER_ENDS_MS);
}

/* Nobody waits for the disk: until it has all, the version's record says so. */
static void flush_behind(void *ctx)
{
	struct build *b = ctx;
	struct err err = { 0 };

	let_asker_end(b);
	if (!assemble_flush(b->assemble, &err) ||
	    !store_settle(b->store, &b->id, b->record, &err)) {
		store_doubt(b->record);
		log_warn("%s version %u is looked through when it is next wanted: %s",
			 b->id.package, (unsigned int)b->id.version, err.why);
	}
	build_free(b);
}

/* Whoever asked the worker for a version learns here which one it is. */
static json_t *new_result(const struct build *b)
{
	json_t *result = json_object();

	jsondoc_set_text(result, "package", b->id.package);
	jsondoc_set_int(result, "version", b->id.version);
	return result;
}

static struct build *build_new(struct worker *w, const json_t *request)
{
	struct build *b = alloc_zeroed(1, sizeof(*b));

	b->w = w;
	b->giver = w->passed;
	b->quota_bytes = (uint64_t)jsondoc_int(request, "quota", 0);
	b->lock = b->record = -1;
	return b;
}

bool op_build(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	struct build *b;
	bool done;

	if (w->passed < 0)
		return err_set(err, ERR_USAGE, "there is no line to a worker");
	b = build_new(w, request);
	done = receive_memory(b, request, err) && have_it(b, err);
	if (!done)
		taker_refuse(b->giver, err);
	else
		*result_out = new_result(b);
	if (!done || b->record < 0) {
		build_free(b);
		return done;
	}
	w->rest = flush_behind;
	w->rest_ctx = b;
	return true;
}

/*
 * The operation `demand`: have some chunks of a version here, for a mount that reads them. What the
 * mount opens stays open between its requests: the assembly, with the version's lock or the keeper
 * that has it, and the server that serves. `rest` gives both back until they are needed again,
 * so that a fetch of the same version need not wait. Where others share the worker, the server is
 * given back before each request of theirs, which may change what is known of servers, and the
 * assembly before one that needs the lock. What has come as a whole is committed to the store.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/allowance.h"
#include "agent/approach.h"
#include "agent/op.h"
#include "agent/packageview.h"
#include "agent/scene.h"
#include "agent/supplier.h"
#include "agent/waysource.h"
#include "common/alloc.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/path.h"
#include "common/text.h"
#include "content/assemble.h"
#include "content/store.h"
#include "content/store_seeds.h"

#define LOCK_WAIT_MS 600000

/* The server in use. The answer is what the approach lives on. */
struct reach {
	struct scene_question question;
	struct scene_answer answer;
	struct approach *approach; /* NULL: nobody is chosen */
	struct way *way;           /* NULL: to be reached */
	bool has_served;
	bool has_failed; /* somebody did */
};

struct demand {
	struct demand *next;
	struct worker *w;
	int peer;              /* whose it is */
	const json_t *request; /* at hand; NULL: none is */
	struct packageview view;
	struct buf manifest;
	uint32_t chunks;
	struct store *store;
	struct store_id id;
	bool told;     /* the first choice is known to the site */
	bool is_built; /* by the keeper, with this answer */

	/* While it is being put together; `assemble` is NULL otherwise. */
	struct assemble *assemble;
	struct assemble_params params;
	bool is_fetching;   /* local work goes on at any hour */
	atomic_bool cancel; /* the group's hours are over */
	struct store_seeds seeds;
	char *dir;
	int lock;            /* -1 with a giver */
	struct giver *giver; /* to the keeper; NULL: this account does all */

	struct reach reach;
	uint64_t bytes_network; /* of assemblies that are closed */
};

/* ---- records ---- */

static void tell(struct demand *d, enum message_id id, json_t *text, json_t *data)
{
	packageview_tell(&d->view, d->w, d->request, id, text, data);
}

static void tell_server_fault(struct demand *d, enum nal_class class, const struct err *why)
{
	const char *server = approach_server(d->reach.approach);
	json_t *data;

	if (approach_is_users(d->reach.approach) ||
	    (class != NAL_CLASS_CORRUPT && class != NAL_CLASS_CONTENT_MISSING))
		return;
	data = json_object();
	jsondoc_set_text(data, "server", server);
	jsondoc_set_text(data, "class", nal_class_name(class));
	tell(d, MESSAGE_SERVER_FAULT,
	     json_sprintf("%s: %s: %s", server, nal_class_name(class), why->why), data);
}

static void tell_choice(struct demand *d, json_t *decision)
{
	json_t *data = json_object();

	jsondoc_set(data, "decision", decision_excerpt(decision, DECISION_ATTACHED_MAX));
	tell(d, MESSAGE_SERVER_CHOSEN, json_incref(json_object_get(decision, "because")), data);
}

/* ---- a server ---- */

/* The first choice, and each that somebody failed in, is kept and told; the others were as before.
 */
static void leave_server(struct demand *d)
{
	static const struct arrival as_read = { .cost.how = ARRIVAL_RANGES, .by_mount = true };
	struct reach *r = &d->reach;
	bool is_news = !d->told || r->has_failed;
	json_t *decision;

	if (r->approach == NULL)
		return;
	if (r->way != NULL)
		approach_served(r->approach);
	if (r->has_served)
		approach_arrived(r->approach, &as_read);
	decision = approach_end(r->approach, is_news ? &d->w->state : NULL);
	if (is_news && d->request != NULL)
		tell_choice(d, decision);
	d->told = true;
	json_decref(decision);
	scene_answer_release(&r->answer);
	*r = (struct reach){ 0 };
}

static bool refuse_wait(const struct scene_answer *a, const struct demand *d, struct err *err)
{
	struct decision *record = scene_record(d->w->scene, &d->reach.question, a,
					       (uint32_t)d->view.version->version);
	json_auto_t *decision = decision_json(record);

	decision_free(record);
	return err_set(err, ERR_NO_CANDIDATE, "%s", jsondoc_text(decision, "because"));
}

static bool choose(struct demand *d, struct err *err)
{
	struct reach *r = &d->reach;
	struct scene *scene = d->w->scene;

	r->question = (struct scene_question){
		.kind = KIND_DP,
		.object = d->view.package.id,
		.version_key = d->view.key,
		.listed = d->view.place->dps,
		.listed_count = d->view.place->dp_count,
		.for_person = true, /* a program waits for the bytes */
	};
	if (!scene_look(scene, err) || !scene_choose(&r->answer, scene, &r->question, err))
		return false;
	if (r->answer.result.usable == 0 && r->answer.result.wait != SELECT_WAIT_NONE) {
		scene_wait_begin(scene, r->question.object);
		refuse_wait(&r->answer, d, err);
		scene_answer_release(&r->answer);
		return false;
	}
	r->approach = approach_begin(scene, &r->question, &r->answer,
				     (uint32_t)d->view.version->version);
	return true;
}

static bool reach_server(struct demand *d, struct err *err)
{
	struct reach *r = &d->reach;

	if (r->approach == NULL && !choose(d, err))
		return false;
	return r->way != NULL || approach_next(&r->way, r->approach, err);
}

static void note_rate(struct demand *d, uint64_t bytes, uint64_t began_ms)
{
	uint64_t ms = clock_mono_ms(d->w->clock) - began_ms;

	if (bytes > 0 && !approach_is_users(d->reach.approach))
		scene_measured(d->w->scene, approach_server(d->reach.approach), bytes,
			       ms > 0 ? ms : 1);
}

static enum nal_class class_of(enum assemble_result result, const struct waysource *ws)
{
	if (result == ASSEMBLE_CORRUPT)
		return NAL_CLASS_CORRUPT;
	return ws->class == NAL_CLASS_OK ? NAL_CLASS_PROTOCOL : ws->class;
}

static enum assemble_result take_part(struct demand *d, uint32_t first, uint32_t count,
				      struct err *err)
{
	struct waysource ws = {
		.way = d->reach.way,
		.package = d->view.package.id,
		.index_size = (uint64_t)d->view.place->index_size,
		.rate_bps = d->params.rate_bps,
	};
	const struct transfer_source source = waysource_of(&ws);
	uint64_t began_ms = clock_mono_ms(d->w->clock);
	uint64_t before = assemble_stats(d->assemble).bytes_network;
	enum assemble_result result;

	d->is_fetching = true;
	result = assemble_fetch_part(d->assemble, &source, first, count, err);
	d->is_fetching = false;
	if (result == ASSEMBLE_DONE) {
		note_rate(d, assemble_stats(d->assemble).bytes_network - before, began_ms);
		d->reach.has_served = true;
	} else if (result == ASSEMBLE_FAILED || result == ASSEMBLE_CORRUPT) {
		enum nal_class class = class_of(result, &ws);

		tell_server_fault(d, class, err);
		approach_failed(d->reach.approach, class, err);
		d->reach.way = NULL;
		d->reach.has_failed = true;
	}
	return result;
}

/* Nobody is left of the servers that were chosen. They may have been chosen long ago: once anew. */
static bool is_worth_a_choice(struct demand *d, bool *chose_again)
{
	bool is_stale = d->reach.has_served && !*chose_again;

	*chose_again = true;
	return is_stale;
}

static bool fail_for_good(struct demand *d, struct err *err)
{
	const struct err *last;

	if (d->reach.approach == NULL)
		return false;
	last = approach_last_error(d->reach.approach);
	if (last->code != ERR_NONE) {
		enum err_code code = last->code == ERR_CORRUPT ? ERR_CORRUPT : ERR_NO_CANDIDATE;

		err_set(err, code, "every server failed; the last one: %s", last->why);
	}
	leave_server(d);
	return false;
}

static struct allowance allowed(const struct demand *d)
{
	const struct scene_limits limits = scene_limits(d->w->scene);

	return allowance_of(&limits, 0, clock_wall_s(d->w->clock));
}

static bool say_closed(const struct demand *d, struct err *err)
{
	struct allowance a = allowed(d);
	SCOPED_TEXT char *text = allowance_text(&a);

	return err_set(err, ERR_NO_CANDIDATE, "%s", text);
}

static void watch_hours(const struct assemble_progress *now UNUSED, void *ctx)
{
	struct demand *d = ctx;

	if (d->is_fetching && allowed(d).is_closed)
		atomic_store(&d->cancel, true);
}

static bool fetch_part(struct demand *d, uint32_t first, uint32_t count, struct err *err)
{
	bool chose_again = false;

	atomic_store(&d->cancel, false);
	/* What is here can be read at any hour; the rest is not waited for by who reads. */
	if (!assemble_has(d->assemble, first, count) && allowed(d).is_closed)
		return say_closed(d, err);

	while (!assemble_has(d->assemble, first, count)) {
		enum assemble_result result;

		if (!reach_server(d, err)) {
			if (!is_worth_a_choice(d, &chose_again))
				return fail_for_good(d, err);
			leave_server(d);
			continue;
		}
		result = take_part(d, first, count, err);
		if (result == ASSEMBLE_CANCELLED)
			return say_closed(d, err);
		if (result == ASSEMBLE_LOCAL)
			return false;
	}
	/* What was chosen, or failed, is known from now on, not only once the mount has gone. */
	if (!d->told || d->reach.has_failed)
		leave_server(d);
	return true;
}

/* ---- the assembly ---- */

static bool is_here(const struct demand *d)
{
	return store_holds_exactly(d->store, &d->id, buf_span(&d->manifest));
}

static void close_assembly(struct demand *d)
{
	if (d->assemble != NULL)
		d->bytes_network += assemble_stats(d->assemble).bytes_network;
	assemble_close(d->assemble);
	d->assemble = NULL;
	store_seeds_release(&d->seeds);
	free(d->dir);
	d->dir = NULL;
	path_close_fd(&d->lock);
	d->lock = -1;
	giver_close(d->giver);
	d->giver = NULL;
}

/* A worker that others share waits less long for one who fetches the same. */
static uint32_t lock_wait_ms(const struct demand *d)
{
	int64_t ms = jsondoc_int(d->request, "lock_ms", LOCK_WAIT_MS);

	return ms >= 0 && ms < LOCK_WAIT_MS ? (uint32_t)ms : LOCK_WAIT_MS;
}

static bool open_assembly(struct demand *d, struct err *err)
{
	if (d->giver == NULL && !store_seeds_init(&d->seeds, d->store, &d->id, err))
		return false;
	d->dir = store_partial_path(d->store, &d->id);
	d->params = (struct assemble_params){
		.dir = d->dir,
		.giver = d->giver,
		.manifest = buf_span(&d->manifest),
		.index = d->view.place->index,
		.index_size = (uint64_t)d->view.place->index_size,
		.seeds = d->seeds.list,
		.seed_count = d->seeds.count,
		.rate_bps = allowed(d).rate_bps,
		.gap = PLAN_GAP_DEFAULT,
		.cancel = &d->cancel,
		.progress = watch_hours,
		.progress_ctx = d,
		.clock = d->w->clock,
	};
	return assemble_open(&d->assemble, &d->params, err) &&
	       assemble_local(d->assemble, err) == ASSEMBLE_DONE;
}

static bool commit(struct demand *d, struct err *err)
{
	struct assemble_stats stats;
	char network[32], content[32];

	if (!assemble_finish(d->assemble, err))
		return false;
	stats = assemble_stats(d->assemble);
	d->is_built = d->giver != NULL;
	if (!d->is_built && !store_commit(d->store, &d->id, stats.bytes_content, err))
		return false;
	close_assembly(d);
	leave_server(d);
	text_print_size(network, d->bytes_network);
	text_print_size(content, stats.bytes_content);
	tell(d, MESSAGE_FETCHED,
	     json_sprintf("read %s of content by a mount, with %s over the network", content,
			  network),
	     NULL);
	return true;
}

/* True with no assembly open: everything is here. */
static bool begin_there(struct demand *d, bool mends, struct err *err)
{
	switch (supplier_begin(&d->giver, d->w, &d->view, mends, lock_wait_ms(d), err)) {
	case GIVER_BEGUN:
		return open_assembly(d, err);
	case GIVER_HERE:
		return true;
	case GIVER_FAULT:
	default:
		return false;
	}
}

static bool begin_here(struct demand *d, bool mends, struct err *err)
{
	const struct store_wanted wanted = {
		.manifest = buf_span(&d->manifest),
		.bytes = (uint64_t)d->view.version->bytes,
		.quota = (uint64_t)jsondoc_int(d->request, "quota", 0),
		.wait_ms = lock_wait_ms(d),
		.mends = mends,
	};

	switch (store_begin(&d->lock, d->store, &d->id, &wanted, err)) {
	case STORE_BEGUN:
		return open_assembly(d, err);
	case STORE_HERE:
		return true;
	case STORE_FAULT:
	default:
		return false;
	}
}

static bool begin_assembly(struct demand *d, struct err *err)
{
	bool mends = jsondoc_flag(d->request, "mend", false);

	d->is_built = false;
	if (mends)
		close_assembly(d);
	if (d->assemble != NULL || (is_here(d) && !mends))
		return true;
	return store_part(d->store) == STORE_SUPPLIER ? begin_there(d, mends, err)
						      : begin_here(d, mends, err);
}

static bool have_part(struct demand *d, struct err *err)
{
	uint32_t first, count;

	if (!begin_assembly(d, err)) {
		close_assembly(d);
		return false;
	}
	if (d->assemble == NULL)
		return true;
	d->chunks = manifest_chunk_count(assemble_manifest(d->assemble));
	first = (uint32_t)MIN_OF(jsondoc_int(d->request, "first", 0), (int64_t)d->chunks);
	count = (uint32_t)MIN_OF(jsondoc_int(d->request, "count", 0), (int64_t)(d->chunks - first));
	return (assemble_missing(d->assemble) == 0 || fetch_part(d, first, count, err)) &&
	       (assemble_missing(d->assemble) > 0 || commit(d, err));
}

/* A keeper that has ended is of no use to the next request either. */
static bool have_part_or_close(struct demand *d, struct err *err)
{
	if (have_part(d, err))
		return true;
	if (d->giver != NULL && err->code == ERR_INTERRUPTED)
		close_assembly(d);
	return false;
}

/* ---- the request ---- */

static bool open_version(struct demand *d, struct err *err)
{
	struct worker *w = d->w;
	SCOPED_TEXT char *dir = state_path(&w->state, "store");

	if ((w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err))
		return false;
	op_refresh_if_old(w);
	return packageview_open(&d->view, w, jsondoc_text(d->request, "package"),
				jsondoc_int(d->request, "version", 0), err) &&
	       store_id_make(&d->id, d->view.package.id, (uint64_t)d->view.version->version) &&
	       store_open(&d->store, dir, w->clock, err) &&
	       packageview_manifest(&d->manifest, &d->view, w, err);
}

static void close_demand(struct demand *d)
{
	d->request = NULL; /* nobody listens any more */
	close_assembly(d);
	leave_server(d);
	packageview_release(&d->view);
	buf_release(&d->manifest);
	store_close(d->store);
	free(d);
}

void op_demand_close(struct worker *w)
{
	while (w->demands != NULL)
		op_demand_drop(w, w->demands->peer);
}

void op_demand_drop(struct worker *w, int peer)
{
	for (struct demand **at = &w->demands; *at != NULL; at = &(*at)->next) {
		struct demand *d = *at;

		if (d->peer != peer)
			continue;
		*at = d->next;
		close_demand(d);
		return;
	}
}

void op_demand_yield(struct worker *w, const json_t *request)
{
	const char *package = jsondoc_text(request, "package");

	for (struct demand *d = w->demands; d != NULL; d = d->next) {
		if (d->peer == w->peer)
			continue;
		leave_server(d);
		if (package != NULL && strcmp(package, d->view.package.id) == 0)
			close_assembly(d);
	}
}

static json_t *new_answer(const struct demand *d)
{
	bool is_complete = d->assemble == NULL && is_here(d);
	SCOPED_TEXT char *built = store_build_path(d->store, &d->id);
	SCOPED_TEXT char *manifest = is_complete ? store_manifest_path(d->store, &d->id)
						 : path_join(built, "manifest");
	SCOPED_TEXT char *tree = is_complete ? store_tree_path(d->store, &d->id)
					     : path_join(built, "tree");
	json_t *answer = json_object();

	jsondoc_set_text(answer, "package", d->view.package.id);
	jsondoc_set_int(answer, "version", d->view.version->version);
	jsondoc_set_text(answer, "manifest", manifest);
	jsondoc_set_text(answer, "manifest_hash", d->view.version->manifest);
	jsondoc_set_text(answer, "tree", tree);
	jsondoc_set_flag(answer, "complete", is_complete);
	if (d->is_built)
		jsondoc_set_flag(answer, "built", true);
	return answer;
}

/* One version for the life of a peer: it is the mount's own. */
static struct demand *find_demand(const struct worker *w)
{
	struct demand *d = w->demands;

	while (d != NULL && d->peer != w->peer)
		d = d->next;
	return d;
}

static bool open_demand(struct demand **out, struct worker *w, const json_t *request,
			struct err *err)
{
	struct demand *d = find_demand(w);

	if (d == NULL) {
		d = alloc_zeroed(1, sizeof(*d));
		*d = (struct demand){
			.next = w->demands, .w = w, .peer = w->peer, .request = request, .lock = -1
		};
		w->demands = d;
		if (!open_version(d, err)) {
			op_demand_drop(w, w->peer);
			return false;
		}
	}
	d->request = request;
	*out = d;
	return true;
}

static bool act(struct demand *d, struct err *err)
{
	if (!jsondoc_flag(d->request, "rest", false))
		return have_part_or_close(d, err);
	close_assembly(d);
	leave_server(d);
	return true;
}

/* One who shares this worker with others may have waited long enough. */
static bool say_begun(struct worker *w, struct err *err)
{
	return worker_event(w, json_pack("{s:s}", "event", "begun")) ||
	       err_set(err, ERR_INTERRUPTED, "nobody waits for it any more");
}

bool op_demand(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	struct demand *d;
	bool done;

	if (!say_begun(w, err) || !open_demand(&d, w, request, err))
		return false;
	done = act(d, err);
	if (done)
		*result_out = new_answer(d);
	d->request = NULL;
	return done;
}

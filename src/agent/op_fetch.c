/*
 * The operation `fetch`: have a version of a package here, whole and verified, from the best
 * server, else from the next.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/allowance.h"
#include "agent/approach.h"
#include "agent/choices.h"
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
#define OTHERS_MAX   4 /* other versions that a server is asked for */

struct fetch {
	struct worker *w;
	const json_t *request;
	struct packageview view;
	struct store *store;
	struct store_id id;
	struct buf manifest;
	struct assemble *assemble;
	json_t *decision;    /* of the choice; NULL: none was needed */
	json_t *waiting;     /* why there is nobody yet, or no time; NULL: neither, or all failed */
	const char *server;  /* borrowed from the decision */
	struct giver *giver; /* to the keeper; NULL: this account does all */
	bool is_built;       /* by the keeper */
	bool is_fetching;    /* local work goes on at any hour */
	atomic_bool cancel;
};

/* ---- records ---- */

static void tell(struct fetch *f, enum message_id id, json_t *text, json_t *data)
{
	packageview_tell(&f->view, f->w, f->request, id, text, data);
}

/* Worth an admin's look: the server does not hold what the site validated there. */
static bool is_server_fault(enum nal_class class)
{
	return class == NAL_CLASS_CORRUPT || class == NAL_CLASS_CONTENT_MISSING ||
	       class == NAL_CLASS_NOT_FOUND || class == NAL_CLASS_WRONG_VERSION;
}

static void tell_server_fault(struct fetch *f, const char *server, enum nal_class class,
			      const struct err *why)
{
	json_t *data;

	if (!is_server_fault(class))
		return;
	data = json_object();
	jsondoc_set_text(data, "server", server);
	jsondoc_set_text(data, "class", nal_class_name(class));
	tell(f, MESSAGE_SERVER_FAULT,
	     json_sprintf("%s: %s: %s", server, nal_class_name(class), why->why), data);
}

static void tell_choice(struct fetch *f)
{
	json_t *data;

	if (f->decision == NULL)
		return;
	data = json_object();
	jsondoc_set(data, "decision", decision_excerpt(f->decision, DECISION_ATTACHED_MAX));
	tell(f, MESSAGE_SERVER_CHOSEN, json_incref(json_object_get(f->decision, "because")), data);
}

static void tell_arrival(struct fetch *f, const struct assemble_stats *stats)
{
	char network[32], content[32];
	json_t *data = json_object();

	text_print_size(network, stats->bytes_network);
	text_print_size(content, stats->bytes_content);
	jsondoc_set_int(data, "bytes_network", (int64_t)stats->bytes_network);
	jsondoc_set_int(data, "bytes_content", (int64_t)stats->bytes_content);
	jsondoc_set_int(data, "bytes_seed", (int64_t)stats->bytes_seed);
	jsondoc_set_text(data, "how", plan_how_name(stats->how));
	jsondoc_set_text(data, "server", f->server);
	tell(f, MESSAGE_FETCHED,
	     json_sprintf("fetched %s of content with %s over the network (%s)", content, network,
			  plan_how_name(stats->how)),
	     data);
	tell(f, MESSAGE_VERIFIED,
	     json_sprintf("verified every chunk of version %lld",
			  (long long)f->view.version->version),
	     NULL);
}

/* ---- assembly ---- */

static struct allowance allowed(const struct fetch *f)
{
	const struct scene_limits limits = scene_limits(f->w->scene);

	return allowance_of(&limits, (uint64_t)jsondoc_int(f->request, "rate", 0),
			    clock_wall_s(f->w->clock));
}

/* True while the group's hours are on; else says until when nothing moves. */
static bool may_move(struct fetch *f)
{
	struct allowance a = allowed(f);
	SCOPED_TEXT char *text = NULL;

	if (!a.is_closed)
		return true;
	if (f->waiting != NULL)
		return false;
	text = allowance_text(&a);
	f->waiting = json_object();
	jsondoc_set_text(f->waiting, "reason", "window");
	jsondoc_set_text(f->waiting, "text", text);
	jsondoc_set_time(f->waiting, "until", a.until_s);
	return false;
}

static void show_progress(const struct assemble_progress *now, void *ctx)
{
	struct fetch *f = ctx;
	json_t *event = json_object();

	jsondoc_set_text(event, "event", "progress");
	jsondoc_set_int(event, "bytes", (int64_t)now->bytes);
	jsondoc_set_int(event, "total", (int64_t)now->bytes_total);
	jsondoc_set_int(event, "network", (int64_t)now->bytes_network);
	jsondoc_set_int(event, "rate", (int64_t)now->rate_bps);
	if (!worker_event(f->w, event) || (f->is_fetching && !may_move(f)))
		atomic_store(&f->cancel, true);
}

static enum nal_class class_of(enum assemble_result result, const struct waysource *ws)
{
	return result == ASSEMBLE_CORRUPT  ? NAL_CLASS_CORRUPT
	       : ws->class == NAL_CLASS_OK ? NAL_CLASS_PROTOCOL
					   : ws->class;
}

/* The newest of the other versions that has its index there; 0: none has. */
static int64_t other_version_at(const struct fetch *f, struct way *way)
{
	const struct docs_location *known = &f->view.location;
	size_t asked = 0;

	for (size_t i = known->version_count; i-- > 0 && asked < OTHERS_MAX;) {
		const struct docs_place *place = &known->versions[i];
		SCOPED_TEXT char *folder = path_join(f->view.package.id, "index");
		SCOPED_TEXT char *name = path_join(folder, place->index);
		struct way_stat ignored;
		struct err err;

		if (place->version == f->view.version->version)
			continue;
		asked++;
		if (way_stat(&ignored, way, name, &err) == NAL_CLASS_OK)
			return place->version;
	}
	return 0;
}

/* A server without this version that has another is behind, which is not the same as empty. */
static enum nal_class tell_versions_apart(enum nal_class class, const struct fetch *f,
					  const struct waysource *ws, struct err *err)
{
	int64_t other;

	if (class != NAL_CLASS_CONTENT_MISSING || !ws->lacks_index)
		return class;
	other = other_version_at(f, ws->way);
	if (other == 0)
		return class;
	err_set(err, ERR_NOT_FOUND, "it holds version %lld, not %lld", (long long)other,
		(long long)f->view.version->version);
	return NAL_CLASS_WRONG_VERSION;
}

static void measure(struct fetch *f, const struct approach *ap, uint64_t bytes, uint64_t began_ms)
{
	uint64_t ms = clock_mono_ms(f->w->clock) - began_ms;

	if (!approach_is_users(ap) && (approach_way(ap) != WAYKIND_MOUNT || bytes > 0))
		scene_measured(f->w->scene, approach_server(ap), bytes, ms > 0 ? ms : 1);
}

/* One server until it is done or fails. True: nothing is missing, or no other server would help. */
static bool fetch_from(enum assemble_result *result_out, struct fetch *f, struct approach *ap,
		       struct way *way, struct err *err)
{
	enum nal_class class;
	struct waysource ws = {
		.way = way,
		.package = f->view.package.id,
		.index_size = (uint64_t)f->view.place->index_size,
		.rate_bps = allowed(f).rate_bps,
	};
	const struct transfer_source source = waysource_of(&ws);
	uint64_t began_ms = clock_mono_ms(f->w->clock);
	uint64_t before = assemble_stats(f->assemble).bytes_network;

	f->is_fetching = true;
	*result_out = assemble_fetch(f->assemble, &source, err);
	f->is_fetching = false;
	if (*result_out == ASSEMBLE_DONE) {
		measure(f, ap, assemble_stats(f->assemble).bytes_network - before, began_ms);
		approach_served(ap);
		return true;
	}
	if (*result_out == ASSEMBLE_LOCAL || *result_out == ASSEMBLE_CANCELLED)
		return true;
	class = tell_versions_apart(class_of(*result_out, &ws), f, &ws, err);
	approach_failed(ap, class, err);
	if (!approach_is_users(ap))
		tell_server_fault(f, approach_server(ap), class, err);
	return false;
}

static bool fetch_from_any(struct fetch *f, struct approach *ap, struct err *err)
{
	enum assemble_result result = ASSEMBLE_FAILED;
	struct way *way;

	while (approach_next(&way, ap, err))
		if (fetch_from(&result, f, ap, way, err))
			return result == ASSEMBLE_DONE ||
			       (result == ASSEMBLE_CANCELLED &&
				err_set(err, ERR_INTERRUPTED, "the command that asked has ended"));
	if (approach_last_error(ap)->code != ERR_NONE) {
		struct err last = *approach_last_error(ap);

		err_set(err, ERR_NO_CANDIDATE, "every server failed; the last one: %s", last.why);
	}
	return false;
}

/* Nobody can be used now, but time helps: say for what, and until when. */
static void note_waiting(struct fetch *f, const struct scene_answer *a, const json_t *decision)
{
	const struct select_result *r = &a->result;

	if (f->waiting != NULL || r->usable > 0 || r->wait == SELECT_WAIT_NONE)
		return;
	f->waiting = json_object();
	jsondoc_set_text(f->waiting, "reason", select_wait_name(r->wait));
	jsondoc_set_text(f->waiting, "text", jsondoc_text(decision, "because"));
	if (r->wait_until_s > 0)
		jsondoc_set_time(f->waiting, "until", r->wait_until_s);
}

static bool waits_for_tier(const struct select_result *r)
{
	return r->usable == 0 &&
	       (r->wait == SELECT_WAIT_NEIGHBOURS || r->wait == SELECT_WAIT_DEFAULT);
}

/* The wait for a tier begins when it is first met, and is persistent: choose again with its start.
 */
static bool choose(struct scene_answer *a, struct fetch *f, const struct scene_question *q,
		   struct err *err)
{
	struct scene *scene = f->w->scene;

	if (!scene_choose(a, scene, q, err))
		return false;
	if (!waits_for_tier(&a->result) || memory_wait_since(scene_memory(scene), q->object) != 0)
		return true;
	scene_wait_begin(scene, q->object);
	scene_answer_release(a);
	return scene_choose(a, scene, q, err);
}

static struct scene_question question_of(const struct fetch *f)
{
	const json_t *seed = json_object_get(f->request, "seed");

	return (struct scene_question){
		.kind = KIND_DP,
		.object = f->view.package.id,
		.version_key = f->view.key,
		.listed = f->view.place->dps,
		.listed_count = f->view.place->dp_count,
		.only = jsondoc_text(f->request, "dp"),
		.policy = jsondoc_text(f->request, "policy"),
		.has_seed = json_is_integer(seed),
		.seed = (uint64_t)json_integer_value(seed),
		.for_person = jsondoc_flag(f->request, "for_person", true),
	};
}

/*
 * All of it was put together from what is here. That is a choice as well, and on record, with the
 * server that would have been asked.
 */
static void record_nothing(struct fetch *f, const struct assemble_stats *stats)
{
	const struct scene_question q = question_of(f);
	const struct arrival arrival = waysource_arrival(stats);
	SCOPED(scene_answer) struct scene_answer answer = { 0 };
	SCOPED(decision) struct decision *record = NULL;
	struct err err;

	if (!scene_choose(&answer, f->w->scene, &q, &err))
		return;
	record = scene_record(f->w->scene, &q, &answer, (uint32_t)f->view.version->version);
	decision_arrived(record, &arrival);
	decision_settle(record, NULL);
	f->decision = decision_json(record);
	if (!choices_save(&f->w->state, f->decision, &err))
		log_debug("the decision is not kept: %s", err.why);
	tell_choice(f);
}

static bool fetch_missing(struct fetch *f, struct err *err)
{
	const struct scene_question q = question_of(f);
	SCOPED(scene_answer) struct scene_answer answer = { 0 };
	struct approach *ap;
	bool done;

	if (!may_move(f))
		return err_set(err, ERR_NO_CANDIDATE, "%s", jsondoc_text(f->waiting, "text"));
	if (!choose(&answer, f, &q, err))
		return false;
	ap = approach_begin(f->w->scene, &q, &answer, (uint32_t)f->view.version->version);
	done = fetch_from_any(f, ap, err);
	if (done) {
		const struct assemble_stats stats = assemble_stats(f->assemble);
		const struct arrival arrival = waysource_arrival(&stats);

		approach_arrived(ap, &arrival);
	}
	f->decision = approach_end(ap, &f->w->state);
	note_waiting(f, &answer, f->decision);
	f->server = jsondoc_text(json_object_get(f->decision, "chosen"), "server");
	if (done)
		scene_wait_end(f->w->scene, q.object);
	tell_choice(f);
	return done;
}

/* The keeper has it under its final name already. */
static bool commit(struct fetch *f, const struct assemble_stats *stats, struct err *err)
{
	f->is_built = f->giver != NULL;
	return f->is_built || store_commit(f->store, &f->id, stats->bytes_content, err);
}

static bool assemble_version(struct assemble_stats *stats, struct fetch *f, struct err *err)
{
	SCOPED_TEXT char *dir = store_partial_path(f->store, &f->id);
	SCOPED(store_seeds) struct store_seeds seeds = { 0 };
	struct assemble_params params = {
		.dir = dir,
		.giver = f->giver,
		.manifest = buf_span(&f->manifest),
		.index = f->view.place->index,
		.index_size = (uint64_t)f->view.place->index_size,
		.rate_bps = allowed(f).rate_bps,
		.gap = PLAN_GAP_DEFAULT,
		.cancel = &f->cancel,
		.progress = show_progress,
		.progress_ctx = f,
		.clock = f->w->clock,
	};
	bool done;

	if (!store_seeds_init(&seeds, f->store, &f->id, err))
		return false;
	params.seeds = seeds.list;
	params.seed_count = seeds.count;
	if (!assemble_open(&f->assemble, &params, err))
		return false;
	done = assemble_local(f->assemble, err) == ASSEMBLE_DONE &&
	       (assemble_missing(f->assemble) == 0 || fetch_missing(f, err)) &&
	       assemble_finish(f->assemble, err);
	*stats = assemble_stats(f->assemble);
	done = done && commit(f, stats, err);
	if (done && f->decision == NULL)
		record_nothing(f, stats);
	if (done)
		tell_arrival(f, stats);
	assemble_close(f->assemble);
	f->assemble = NULL;
	return done;
}

/* ---- the answer ---- */

static json_t *new_result(struct fetch *f, const struct assemble_stats *stats, uint64_t began_ms)
{
	SCOPED_TEXT char *tree = store_tree_path(f->store, &f->id);
	const json_t *chosen = json_object_get(f->decision, "chosen");
	json_t *result = json_object();

	jsondoc_set_text(result, "package", f->view.package.id);
	jsondoc_set_int(result, "version", f->view.version->version);
	jsondoc_set_text(result, "server", jsondoc_text(chosen, "server"));
	jsondoc_set_text(result, "way", jsondoc_text(chosen, "way"));
	jsondoc_set_int(result, "bytes_content", (int64_t)stats->bytes_content);
	jsondoc_set_int(result, "bytes_network", (int64_t)stats->bytes_network);
	jsondoc_set_int(result, "bytes_seed", (int64_t)stats->bytes_seed);
	jsondoc_set_int(result, "chunks_fetched", (int64_t)stats->chunks_fetched);
	jsondoc_set_text(result, "how", plan_how_name(stats->how));
	jsondoc_set_int(result, "ms", (int64_t)(clock_mono_ms(f->w->clock) - began_ms));
	jsondoc_set_text(result, "path", tree);
	if (f->is_built)
		jsondoc_set_flag(result, "built", true);
	if (f->decision != NULL)
		jsondoc_set(result, "decision", json_incref(f->decision));
	return result;
}

static bool is_here(const struct fetch *f)
{
	return store_holds_exactly(f->store, &f->id, buf_span(&f->manifest));
}

static bool build_here(struct assemble_stats *stats, struct fetch *f, bool mends, struct err *err)
{
	const struct store_wanted wanted = {
		.manifest = buf_span(&f->manifest),
		.bytes = (uint64_t)f->view.version->bytes,
		.quota = (uint64_t)jsondoc_int(f->request, "quota", 0),
		.wait_ms = LOCK_WAIT_MS,
		.mends = mends,
	};
	SCOPED_FD int lock = -1;

	switch (store_begin(&lock, f->store, &f->id, &wanted, err)) {
	case STORE_BEGUN:
		return assemble_version(stats, f, err);
	case STORE_HERE:
		return true;
	case STORE_FAULT:
	default:
		return false;
	}
}

static bool build_there(struct assemble_stats *stats, struct fetch *f, bool mends, struct err *err)
{
	bool done;

	switch (supplier_begin(&f->giver, f->w, &f->view, mends, LOCK_WAIT_MS, err)) {
	case GIVER_BEGUN:
		done = assemble_version(stats, f, err);
		giver_close(f->giver);
		f->giver = NULL;
		return done;
	case GIVER_HERE:
		return true;
	case GIVER_FAULT:
	default:
		return false;
	}
}

static bool open_version(struct fetch *f, struct err *err)
{
	SCOPED_TEXT char *dir = state_path(&f->w->state, "store");

	return store_open(&f->store, dir, f->w->clock, err) &&
	       store_id_make(&f->id, f->view.package.id, (uint64_t)f->view.version->version) &&
	       packageview_manifest(&f->manifest, &f->view, f->w, err);
}

static bool have_it(json_t **result_out, struct fetch *f, struct err *err)
{
	struct assemble_stats stats = { .bytes_content = (uint64_t)f->view.version->bytes };
	uint64_t began_ms = clock_mono_ms(f->w->clock);
	bool mends = jsondoc_flag(f->request, "mend", false);

	if (!open_version(f, err))
		return false;
	if ((!is_here(f) || mends) &&
	    !(store_part(f->store) == STORE_SUPPLIER ? build_there(&stats, f, mends, err)
						     : build_here(&stats, f, mends, err)))
		return false;
	*result_out = new_result(f, &stats, began_ms);
	return true;
}

static void release(struct fetch *f)
{
	store_close(f->store);
	buf_release(&f->manifest);
	packageview_release(&f->view);
	json_decref(f->decision);
	json_decref(f->waiting);
}

bool op_fetch(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	struct fetch f = { .w = w, .request = request };
	const char *policy = jsondoc_text(request, "policy");
	const struct terms_policy *known;
	bool done;

	/* A wrong word is a wrong word, whether or not a choice has to be made. */
	if (policy != NULL && !terms_need(&known, policy, err))
		return false;
	if ((w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err))
		return false;
	op_refresh_if_old(w);
	if (!packageview_open(&f.view, w, jsondoc_text(request, "package"),
			      jsondoc_int(request, "version", 0), err))
		return false;
	done = have_it(result_out, &f, err);
	if (!done && f.waiting != NULL) {
		*result_out = json_object();
		jsondoc_set(*result_out, "waiting", json_incref(f.waiting));
		done = true;
	}
	release(&f);
	return done;
}

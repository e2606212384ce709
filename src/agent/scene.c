#include "agent/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/addresses.h"
#include "agent/choices.h"
#include "agent/context.h"
#include "agent/logons.h"
#include "agent/worker.h"
#include "common/alloc.h"
#include "common/bootid.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/random.h"
#include "nal/logon.h"
#include "nal/mounts.h"
#include "policy/systems.h"

struct scene {
	struct worker *w;
	struct conntab *conntab;
	struct memory *memory;
	struct stat memory_file; /* as this process last read or wrote it */
	struct preference preference;
	struct credential_set *credentials;
	struct policyset *policy;
	struct docs_site site;
	struct systems systems; /* of the policy, or of the enrolment alone */
	struct netaddr addresses[ADDRESSES_MAX];
	size_t address_count;
	char network[NETADDR_TEXT_MAX];
	struct mounts mounts;
	struct context context;
	char boot[BOOTID_SIZE];
};

/* All that scene_look reads anew. */
static void forget_policy(struct scene *s)
{
	systems_release(&s->systems);
	docs_site_release(&s->site);
	policyset_close(s->policy);
	s->policy = NULL;
	preference_release(&s->preference);
	credential_set_free(s->credentials);
	s->credentials = NULL;
	mounts_release(&s->mounts);
}

static void see_memory_file(struct stat *out, const struct scene *s)
{
	SCOPED_TEXT char *path = state_path(&s->w->state, STATE_NAL);

	if (stat(path, out) != 0)
		*out = (struct stat){ 0 };
}

static bool load_memory(struct scene *s, struct err *err)
{
	SCOPED_TEXT char *path = state_path(&s->w->state, STATE_NAL);
	SCOPED(buf) struct buf bytes = { 0 };

	see_memory_file(&s->memory_file, s);
	if (path_read(&bytes, path, MEMORY_BYTES_MAX, err) &&
	    memory_read(&s->memory, buf_span(&bytes), err))
		return true;
	if (err->code != ERR_NOT_FOUND)
		log_warn("%s: %s; what was learned of servers is learned again", path, err->why);
	s->memory = memory_new();
	return true;
}

static void save_memory(struct scene *s)
{
	SCOPED_TEXT char *path = state_path(&s->w->state, STATE_NAL);
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	if (!memory_is_dirty(s->memory))
		return;
	memory_write(&bytes, s->memory);
	if (!newfile_write_unflushed(path, 0600, buf_span(&bytes), &err))
		log_debug("%s: %s", path, err.why);
	see_memory_file(&s->memory_file, s);
}

/* A worker of its own learned something meanwhile; what this one learned is saved always. */
static bool catch_up(struct scene *s, struct err *err)
{
	struct memory *before = s->memory;
	struct stat now;

	see_memory_file(&now, s);
	if (now.st_ino == s->memory_file.st_ino && now.st_size == s->memory_file.st_size &&
	    now.st_mtim.tv_sec == s->memory_file.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == s->memory_file.st_mtim.tv_nsec)
		return true;
	if (!load_memory(s, err))
		return false;
	memory_free(before);
	return true;
}

bool scene_new(struct scene **out, struct worker *w, struct err *err)
{
	struct scene *s = alloc_zeroed(1, sizeof(*s));
	struct conntab_options options = CONNTAB_OPTIONS_DEFAULT;

	s->w = w;
	options.clock = w->clock;
	options.linger_ms = w->options.linger_s * 1000;
	options.owner = "agent";
	options.limits.tls_ca_file = w->options.tls_ca;
	context_init(&s->context, w->state.owner);
	bootid_read(s->boot);
	if (!load_memory(s, err)) {
		context_release(&s->context);
		free(s);
		return false;
	}
	s->conntab = conntab_new(&options);
	*out = s;
	return true;
}

/* Whatever is leased when nobody asks any more was never given back: `status` shows the sum. */
static void note_leaks(const struct scene *s)
{
	uint64_t leaks = conntab_leaks(s->conntab) + conntab_leases(s->conntab);
	json_auto_t *doc = NULL;
	struct err err;

	if (leaks == 0)
		return;
	if (!state_read_json(&doc, &s->w->state, STATE_SESSIONS, &err) || doc == NULL)
		doc = json_object();
	jsondoc_set_int(doc, "leaks", jsondoc_int(doc, "leaks", 0) + (int64_t)leaks);
	if (!state_write_json(&s->w->state, STATE_SESSIONS, doc, &err))
		log_debug("%s: %s", STATE_SESSIONS, err.why);
}

void scene_free(struct scene *s)
{
	if (s == NULL)
		return;
	note_leaks(s);
	save_memory(s);
	forget_policy(s);
	conntab_free(s->conntab);
	context_release(&s->context);
	memory_free(s->memory);
	free(s);
}

/* ---- what policy says ---- */

/* Before the first policy there is only what the enrolment named. */
static bool add_bootstrap(struct scene *s, struct err *err)
{
	SCOPED(state_identity) struct state_identity id;

	if (!state_load_identity(&id, &s->w->state, err))
		return false;
	for (size_t i = 0; i < id.cap_count; i++) {
		SCOPED_TEXT char *name = id.cap_count == 1 ? alloc_text("enrolment")
							   : alloc_printf("enrolment-%zu", i + 1);

		systems_add_address(systems_add_place(&s->systems, KIND_CAP, name), id.caps[i]);
	}
	return true;
}

static void add_group(struct scene *s, const char *name)
{
	struct docs_group doc = { 0 };
	struct err err;

	if (policyset_group(&doc, s->policy, name, &err))
		systems_add_group(&s->systems, &doc);
	else
		log_warn("boundary group %s: %s", name, err.why);
}

static bool read_policy(struct scene *s, struct err *err)
{
	/*
	 * A refresh that broke off, or a disk that rots, leaves files missing, damaged or of two
	 * publications: the next refresh mends that, if it is let.
	 */
	if (!policyset_open(&s->policy, &s->w->state, clock_wall_s(s->w->clock), err) ||
	    !policyset_site(&s->site, s->policy, err))
		return err_exit(err->code) != EXIT_LOCAL && add_bootstrap(s, err);
	systems_add_site(&s->systems, &s->site);
	for (size_t i = 0; i < s->site.group_count; i++)
		add_group(s, s->site.groups[i]);
	return true;
}

static void tick(struct scene *s)
{
	const struct memory_now now = {
		.wall_s = clock_wall_s(s->w->clock),
		.mono_s = clock_mono_ms(s->w->clock) / 1000,
		.boot = s->boot[0] != '\0' ? s->boot : NULL,
	};

	memory_tick(s->memory, &now);
}

/* What is wrong with one file is no reason to do without the other servers. */
static void read_credentials(struct scene *s)
{
	s->credentials = logons_load(&s->w->state);
	for (size_t i = 0; i < credential_fault_count(s->credentials); i++) {
		const struct err *fault = credential_fault(s->credentials, i);

		log_warn("%s: %s", fault->what, fault->why);
	}
}

bool scene_look(struct scene *s, struct err *err)
{
	struct err ignored;
	int count;

	forget_policy(s);
	conntab_tick(s->conntab);
	if (!catch_up(s, err))
		return false;
	tick(s);
	count = addresses_find(s->addresses, s->w->options.address, err);
	if (count < 0)
		return false;
	s->address_count = (size_t)count;
	snprintf(s->network, sizeof(s->network), "none");
	if (count > 0)
		addresses_network(s->network, &s->addresses[0]);
	/* Without a mount table there are just no mounts. */
	if (!mounts_read(&s->mounts, s->w->options.mounts, &ignored))
		log_warn("mount table: %s", ignored.why);
	read_credentials(s);
	context_set(&s->context, s->w->viewer);
	context_add_shares(&s->context, &s->mounts);
	worker_load_http(s->w);
	return choices_load_preference(&s->preference, &s->w->state, err) && read_policy(s, err);
}

void scene_close_idle(struct scene *s)
{
	conntab_tick(s->conntab);
}

struct policyset *scene_policy(const struct scene *s)
{
	return s->policy;
}

const struct docs_site *scene_site(const struct scene *s)
{
	return s->site.json != NULL ? &s->site : NULL;
}

struct scene_limits scene_limits(const struct scene *s)
{
	struct boundary_match match = boundary_find(s->systems.groups, s->systems.group_count,
						    s->addresses, s->address_count);
	const struct docs_group *doc;

	if (match.group == NULL)
		return (struct scene_limits){ .group = NULL };
	doc = &s->systems.group_docs[match.group - s->systems.groups];
	return (struct scene_limits){
		.group = doc->name,
		.max_rate = doc->max_rate,
		.window = doc->window,
	};
}

struct conntab *scene_conntab(const struct scene *s)
{
	return s->conntab;
}

/* ---- one choice ---- */

/* Whom an answer is for, while its candidates are found. */
struct asking {
	struct scene *scene;
	const struct scene_question *question;
	struct scene_answer *answer;
};

/*
 * Content that a user asks for comes with that user's own ticket, where there is one that no server
 * has refused. Policy and records are the system's business.
 */
static bool has_users_ticket(struct credential *out, const struct asking *ask,
			     const struct locator *where)
{
	const struct scene *s = ask->scene;
	const struct credential_context user = { .uid = s->context.as.uid };

	return s->context.has_user && ask->question->kind == KIND_DP &&
	       credential_find_users(out, s->credentials, where, &user) &&
	       !logon_was_refused(s->memory, out->fingerprint);
}

static enum logon log_on(struct credential *out, const struct locator *where, void *ctx)
{
	const struct asking *ask = ctx;
	const struct credential_context context = { .uid = ask->scene->w->state.owner,
						    .is_own = true };

	if (has_users_ticket(out, ask, where))
		return LOGON_READY;
	return logon_find(out, ask->scene->credentials, ask->scene->memory, where, &context);
}

/* A session by a user's own credential is that user's alone, and so is its process. */
static void log_on_as_user(struct way_target *target, const struct context *c)
{
	if (target->credential == NULL || !target->credential->is_users)
		return;
	target->context = context_name(c);
	target->as = &c->as;
}

static size_t add_sessions(struct select_open_way *out, size_t room, const struct asking *ask,
			   const struct select_address *addresses, size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count && found < room; i++) {
		struct way_target target = {
			.where = addresses[i].where,
			.credential = candidates_credential(&ask->answer->candidates,
							    &addresses[i]),
		};

		log_on_as_user(&target, ask->answer->context);
		if (!conntab_is_open(ask->scene->conntab, &target))
			continue;
		out[found++] = (struct select_open_way){
			.way = WAYKIND_SESSION,
			.evidence = WAYKIND_EVIDENCE_PATH,
			.address = i,
		};
	}
	return found;
}

/* What a user mounted carries content, which is verified chunk by chunk; policy and records go
 * over the system's ways. */
static void find_mounts(struct mountmatch_list *out, const struct scene *s, enum kind kind,
			const struct locator *const *where, size_t count)
{
	mountmatch_find(out, &s->mounts, &s->context.system, where, count);
	if (s->context.has_user && kind == KIND_DP)
		mountmatch_find(out, &s->mounts, &s->context.user, where, count);
}

static size_t add_mounts(struct select_open_way *out, size_t room, const struct asking *ask,
			 const struct select_address *addresses, size_t count)
{
	const struct locator **where = alloc_zeroed(count, sizeof(*where));
	struct mountmatch_list *mounts = &ask->answer->mounts;
	size_t before = mounts->count, found = 0;

	for (size_t i = 0; i < count; i++)
		where[i] = addresses[i].where;
	find_mounts(mounts, ask->scene, ask->question->kind, where, count);
	free(where);
	for (size_t i = before; i < mounts->count && found < room; i++) {
		const struct mountmatch *m = &mounts->items[i];

		out[found++] = (struct select_open_way){
			.way = WAYKIND_MOUNT,
			.evidence = m->evidence,
			.address = m->address,
			.at = m->at,
			.is_hung = conntab_is_hung(ask->scene->conntab, m->mount->target),
		};
	}
	return found;
}

static size_t find_ways(struct select_open_way *out, size_t room,
			const struct select_address *addresses, size_t count, void *ctx)
{
	const struct asking *ask = ctx;
	size_t sessions = add_sessions(out, room, ask, addresses, count);

	return sessions + add_mounts(&out[sessions], room - sessions, ask, addresses, count);
}

/* A CAP that refuses records may serve policy all the same: what is learned is kept apart. */
static char *memory_name(const struct scene_question *q, const char *name)
{
	return q->writes ? alloc_printf("%s/inbox", name) : alloc_text(name);
}

static struct memory_facts recall(const char *name, void *ctx)
{
	const struct asking *ask = ctx;
	const struct scene_question *q = ask->question;
	SCOPED_TEXT char *key = memory_name(q, name);

	return memory_facts(ask->scene->memory, key, q->version_key, q->kind, ask->scene->network,
			    "");
}

static bool find_candidates(struct scene_answer *a, struct scene *s, const struct scene_question *q,
			    struct err *err)
{
	struct asking ask = { .scene = s, .question = q, .answer = a };
	const struct candidates_question question = {
		.kind = q->kind,
		.listed = q->listed,
		.listed_count = q->listed_count,
		.only = q->only,
		.writes = q->writes,
	};
	const struct candidates_knowledge knowledge = {
		.find_ways = find_ways,
		.recall = recall,
		.log_on = log_on,
		.ctx = &ask,
	};

	if (!candidates_find(&a->candidates, &s->systems, &question, &knowledge, err))
		return false;
	a->input.candidates = a->candidates.items;
	a->input.count = a->candidates.count;
	return true;
}

static bool is_fenced_off(const struct scene_answer *a)
{
	return a->result.count > 0 && a->result.rows[0].reason == SELECT_FENCE;
}

/* A server that a person names is used now, not after its tier's minutes; a fence stays a fence. */
static void lift_tiers(struct scene_answer *a)
{
	if (a->result.usable > 0 || is_fenced_off(a))
		return;
	for (size_t i = 0; i < a->input.count; i++)
		a->candidates.items[i].group = NULL;
	a->input.groups = NULL;
	a->input.group_count = 0;
	select_result_release(&a->result);
	select_run(&a->result, &a->input);
}

bool scene_choose(struct scene_answer *out, struct scene *s, const struct scene_question *q,
		  struct err *err)
{
	*out = (struct scene_answer){ .context = &s->context };
	if (q->has_seed)
		out->seed = q->seed;
	else
		random_bytes(&out->seed, sizeof(out->seed));
	out->seed &= (uint64_t)JSONDOC_INT_MAX - 1; /* it is written as a JSON integer */
	out->input = (struct select_input){
		.kind = q->kind,
		.object = q->object,
		.groups = s->systems.groups,
		.group_count = s->systems.group_count,
		.addresses = s->addresses,
		.address_count = s->address_count,
		.preference = &s->preference,
		.now_s = clock_wall_s(s->w->clock),
		.wait_since_s = memory_wait_since(s->memory, q->object),
		.seed = out->seed,
		.flags = q->for_person ? SELECT_TRIES_BACKED_OFF : 0,
	};
	if ((q->policy != NULL && !terms_need(&out->input.policy, q->policy, err)) ||
	    !find_candidates(out, s, q, err)) {
		scene_answer_release(out);
		return false;
	}
	select_run(&out->result, &out->input);
	if (q->only != NULL)
		lift_tiers(out);
	return true;
}

bool scene_choose_another(struct scene_answer *out, struct scene *s, struct scene_question *q,
			  const struct scene_answer *best)
{
	struct err ignored;
	uint64_t lot;

	if (best->result.usable < 2)
		return false;
	random_bytes(&lot, sizeof(lot));
	q->only = best->result.rows[lot % best->result.usable].candidate->name;
	return scene_choose(out, s, q, &ignored);
}

void scene_answer_release(struct scene_answer *a)
{
	select_result_release(&a->result);
	mountmatch_list_release(&a->mounts);
	candidates_release(&a->candidates);
	*a = (struct scene_answer){ 0 };
}

struct decision *scene_record(const struct scene *s, const struct scene_question *q,
			      const struct scene_answer *a, uint32_t version)
{
	const struct decision_about about = {
		.package = q->kind == KIND_DP ? q->object : NULL,
		.version = version,
		.kind = q->kind,
		.context = context_name(&s->context),
		.seed = a->seed,
		.time_s = clock_wall_s(s->w->clock),
	};

	return decision_new(&a->result, &about);
}

/* The address that is tried as number `number`; false: there are no more. */
static bool find_address(size_t *out, const struct select_row *r, size_t number)
{
	const struct select_candidate *c = r->candidate;

	*out = r->address;
	for (size_t i = 0; number > 0 && i < c->address_count; i++) {
		bool is_chosen = r->way != WAYKIND_MOUNT && i == r->address;

		if (is_chosen || !c->addresses[i].has_provider || !c->addresses[i].has_credential)
			continue;
		*out = i;
		number--;
	}
	return number == 0;
}

/* The mount that a row is reached by. */
static const struct mounts_entry *mount_of(const struct scene_answer *a, const struct select_row *r)
{
	for (size_t i = 0; i < a->mounts.count; i++)
		if (a->mounts.items[i].at == r->at)
			return a->mounts.items[i].mount;
	return NULL;
}

static void go_through_mount(struct way_target *target, const struct scene_answer *a,
			     const struct select_row *r)
{
	const struct mounts_entry *mount = mount_of(a, r);

	assert(mount != NULL);
	target->mount_at = r->at;
	/* Whoever writes a mount's source may name any server: only its marker counts. */
	target->marker = WAY_MARKER_NEEDED;
	target->context = context_name_of(a->context, mount);
	target->as = context_user_of(a->context, mount);
}

bool scene_target(struct way_target *out, const struct scene_answer *a,
		  const struct scene_question *q, size_t row, size_t number)
{
	const struct select_row *r = &a->result.rows[row];
	bool by_mount = r->way == WAYKIND_MOUNT && number == 0;
	size_t address;

	assert(row < a->result.usable);
	if (!find_address(&address, r, number))
		return false;
	*out = (struct way_target){
		.where = r->candidate->addresses[address].where,
		.server = r->candidate->name,
		.credential = by_mount ? NULL
				       : candidates_credential(&a->candidates,
							       &r->candidate->addresses[address]),
		.marker = WAY_MARKER_IF_PRESENT,
		.kind = q->kind == KIND_CAP ? MARKER_CAP : MARKER_DP,
		.uuid = r->candidate->uuid,
	};
	if (by_mount)
		go_through_mount(out, a, r);
	else
		log_on_as_user(out, a->context);
	if (scene_row_is_inbox(a, row))
		out->marker = WAY_MARKER_IGNORED;
	return true;
}

bool scene_row_is_inbox(const struct scene_answer *a, size_t row)
{
	return a->candidates.is_inbox[a->result.rows[row].candidate - a->candidates.items];
}

/*
 * A CAP is no single object: that its files are away is a failure to back off from, not a fact
 * about one version. And a refusal lasts until credentials change only where there are any.
 */
static enum nal_class class_to_remember(const struct scene_question *q, enum nal_class what)
{
	bool is_missing = what == NAL_CLASS_NOT_FOUND || what == NAL_CLASS_CONTENT_MISSING;

	if (what == NAL_CLASS_DENIED || (q->kind == KIND_CAP && is_missing))
		return NAL_CLASS_UNREACHABLE;
	return what;
}

void scene_note(struct scene *s, const struct scene_question *q, const char *server,
		enum nal_class what)
{
	SCOPED_TEXT char *key = memory_name(q, server);
	uint64_t seed;

	random_bytes(&seed, sizeof(seed));
	tick(s);
	memory_record(s->memory, &(const struct memory_event){
					 .server = key,
					 .object = q->version_key,
					 .kind = q->kind,
					 .what = class_to_remember(q, what),
					 .config = "",
					 .seed = seed,
				 });
	save_memory(s);
}

void scene_refused(struct scene *s, const struct way_target *target)
{
	tick(s);
	logon_refused(s->memory, target->credential->fingerprint);
	log_warn("%s refused %s; it is not asked again with that before it changes",
		 target->where->host, target->credential->name);
	save_memory(s);
}

void scene_measured(struct scene *s, const char *server, uint64_t bytes, uint64_t ms)
{
	memory_transfer(s->memory, server, s->network, bytes, ms);
	save_memory(s);
}

void scene_wait_begin(struct scene *s, const char *object)
{
	memory_wait_begin(s->memory, object);
	save_memory(s);
}

void scene_wait_end(struct scene *s, const char *object)
{
	memory_wait_end(s->memory, object);
	save_memory(s);
}

struct memory *scene_memory(const struct scene *s)
{
	return s->memory;
}

/* ---- what is open ---- */

static json_t *new_mount_row(const struct scene *s, const struct systems_place *p,
			     const struct mountmatch *m)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "way", "mount");
	jsondoc_set_text(row, "server", p->name);
	jsondoc_set_text(row, "share", p->addresses[m->address].share);
	jsondoc_set(row, "at", jsondoc_new_text(m->mount->target));
	jsondoc_set_text(row, "fstype", m->mount->fstype);
	jsondoc_set_text(row, "evidence", waykind_evidence_name(m->evidence));
	jsondoc_set_text(row, "context", context_name_of(&s->context, m->mount));
	if (conntab_is_hung(s->conntab, m->mount->target))
		jsondoc_set_flag(row, "hung", true);
	return row;
}

static void add_mount_rows(json_t *rows, const struct scene *s, const struct systems_place *p)
{
	SCOPED(mountmatch_list) struct mountmatch_list list = { 0 };
	const struct locator **where = alloc_zeroed(p->address_count, sizeof(*where));

	for (size_t i = 0; i < p->address_count; i++)
		where[i] = &p->addresses[i];
	find_mounts(&list, s, p->kind, where, p->address_count);
	free(where);
	for (size_t i = 0; i < list.count; i++)
		json_array_append_new(rows, new_mount_row(s, p, &list.items[i]));
}

json_t *scene_connections(struct scene *s)
{
	json_t *rows = conntab_json(s->conntab);

	for (size_t i = 0; i < s->systems.place_count; i++)
		add_mount_rows(rows, s, &s->systems.places[i]);
	return rows;
}

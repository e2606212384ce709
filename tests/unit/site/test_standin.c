/*
 * The site's what-if and the client's locate are one choice: random sites are published, a client
 * reads their policy from the CAP as clients do, and for the same facts both give the same record.
 */
#include "support/testing.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/op.h"
#include "agent/packageview.h"
#include "agent/scene.h"
#include "agent/state.h"
#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/random.h"
#include "site/publish.h"
#include "site/release.h"
#include "site/standin.h"
#include "site/system.h"
#include "support/sitebox.h"

#define WORLDS    50
#define PLACES    20 /* of a client, in each world */
#define QUESTIONS 10 /* at each place: 10,000 together */
#define DPS       10

struct world {
	struct sitebox box;
	struct worker worker;
	char address[128]; /* the client's, as configured */
	char *mounts;      /* the client's mount table */
	char package[SITE_ID_SIZE];
	struct random_seq draw;
};

static uint64_t below(struct world *w, uint64_t n)
{
	return random_seq_below(&w->draw, n);
}

static bool chance(struct world *w, uint64_t percent)
{
	return below(w, 100) < percent;
}

/* ---- a site ---- */

/* With SQLite's own %Q: a quoted text, or NULL. */
static void sql(struct world *w, const char *fmt, ...)
{
	char *message = NULL, *text;
	va_list args;

	va_start(args, fmt);
	text = sqlite3_vmprintf(fmt, args);
	va_end(args);
	if (sqlite3_exec(db_handle(w->box.site->db), text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", text, message);
	sqlite3_free(text);
}

static const char *const nets[] = { "0.0.0.0/0",   "10.0.0.0/8",    "10.1.0.0/16",
				    "10.1.2.0/24", "10.2.0.0/15",   "10.3.4.0/22",
				    "10.1.2.3/32", "2001:db8::/32", "2001:db8:1::/48" };
static const char *const places[] = { "10.1.2.3", "10.1.2.4",    "10.1.9.9",      "10.2.0.1",
				      "10.3.4.5", "192.168.0.1", "2001:db8:1::5", "2001:db8:2::5" };
static const char *const policies[] = { "existing", "sms2", "nearest", "random", "preferred-only" };
static const char *const minutes[] = { NULL, "0", "30", "120" };
static const char *const groups[] = { NULL, "g0", "g1", "g2", "g3", "g4" };
static const char *const urls[] = { "http://d@.example/packway", "smb://d@/share", "file:///srv/d@",
				    "https://d@.example:8443/x" };

#define ONE_OF(w, list) (list)[below(w, COUNT_OF(list))]

static void make_groups(struct world *w)
{
	for (size_t g = 1; g < COUNT_OF(groups); g++)
		sql(w,
		    "INSERT INTO boundary_group(name, default_after_min, fence, policy,"
		    " cross_tier) VALUES(%Q, %Q, %d, %Q, %d)",
		    groups[g], ONE_OF(w, minutes), chance(w, 30),
		    chance(w, 30) ? ONE_OF(w, policies) : NULL, chance(w, 30));
	for (size_t g = 1; g < COUNT_OF(groups); g++) {
		for (uint64_t n = below(w, 3); n > 0; n--)
			sql(w, "INSERT OR IGNORE INTO neighbour VALUES(%Q, 'g%d', %d)", groups[g],
			    (int)below(w, COUNT_OF(groups)), (int)below(w, 3) * 60);
		for (uint64_t n = below(w, 3); n > 0; n--)
			sql(w, "INSERT INTO preferred VALUES(%Q, %d, '%s%d')", groups[g], (int)n,
			    chance(w, 50) ? "d" : "smb://d", (int)below(w, DPS));
	}
	for (size_t i = 0; i < COUNT_OF(nets); i++)
		if (chance(w, 60))
			sql(w, "INSERT INTO boundary VALUES(%Q, 'g%d')", nets[i],
			    (int)below(w, COUNT_OF(groups) - 1));
	for (int cap = 1; cap <= 3; cap++)
		sql(w, "UPDATE system SET group_name = %Q WHERE name = 'cap%d'", ONE_OF(w, groups),
		    cap);
}

static void make_dp(struct world *w, int d)
{
	size_t addresses = 1 + below(w, COUNT_OF(urls)), first = below(w, COUNT_OF(urls));
	int64_t id;

	sql(w,
	    "INSERT INTO system(kind, name, uuid, group_name, is_own, created)"
	    " VALUES('dp', 'd%d', '00000000-0000-4000-8000-00000000000%d', %Q, 0, 0)",
	    d, d, ONE_OF(w, groups));
	id = db_last_id(w->box.site->db);
	for (size_t i = 0; i < addresses; i++) {
		const char *url = urls[(first + i) % COUNT_OF(urls)];

		sql(w, "INSERT INTO system_address VALUES(%lld, %d, replace(%Q, '@', '%d'))",
		    (long long)id, (int)i, url, d);
	}
	if (chance(w, 80)) {
		sql(w, "INSERT INTO dp_package(system, package, created) VALUES(%lld, %Q, 0)",
		    (long long)id, w->package);
		sql(w,
		    "INSERT INTO dp_version(system, package, version, state, attempts,"
		    " next_attempt, reason, changed, index_name) SELECT %lld, package, 1, 'valid', 0, 0, NULL, 0,"
		    " index_name FROM package_version WHERE package = %Q",
		    (long long)id, w->package);
	}
}

/* Another site in the same database. The first DP always has the package. */
static void make_site(struct world *w)
{
	static const char *const emptied[] = { "dp_version", "dp_package", "preferred",
					       "neighbour",  "boundary",   "boundary_group" };

	sql(w, "BEGIN; UPDATE system SET group_name = NULL");
	for (size_t i = 0; i < COUNT_OF(emptied); i++)
		sql(w, "DELETE FROM %s", emptied[i]);
	sql(w, "DELETE FROM system WHERE kind = 'dp'");
	make_groups(w);
	for (int d = 0; d < DPS; d++)
		make_dp(w, d);
	sql(w,
	    "INSERT OR IGNORE INTO dp_package(system, package, created) SELECT min(id), %Q, 0 FROM system"
	    " WHERE kind = 'dp'",
	    w->package);
	sql(w,
	    "INSERT OR IGNORE INTO dp_version(system, package, version, state, attempts,"
	    " next_attempt, reason, changed, index_name) SELECT (SELECT min(id) FROM system"
	    " WHERE kind = 'dp'), package, 1, 'valid', 0, 0, NULL, 0, index_name"
	    " FROM package_version WHERE package = %Q; COMMIT",
	    w->package);
}

static void publish(struct world *w)
{
	static const struct policydoc_settings settings = { .poll_s = 900, .linger_s = 120 };
	json_auto_t *published = NULL;
	struct err err = { 0 };
	size_t failed;

	assert_done(publish_run(&published, &failed, w->box.site, &settings, &err), &err);
	assert_int_equal(failed, 0);
}

/* ---- a client ---- */

static void write_file(const char *path, const char *text)
{
	struct err err = { 0 };

	assert_done(newfile_write(path, 0600, span_of_text(text), &err), &err);
}

/* Some of the folders and web servers are mounted. */
static void mount_some(struct world *w)
{
	SCOPED(buf) struct buf table = { 0 };

	buf_put_text(&table, "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
	for (int d = 0; d < DPS; d++)
		if (chance(w, 15))
			buf_printf(&table,
				   "%d 22 0:%d / /mnt/d%d rw - fuse %sd%d%s rw,user_id=%d\n",
				   30 + d, 60 + d, d, chance(w, 50) ? "/srv/" : "http://", d,
				   chance(w, 50) ? "" : ".example/packway", (int)geteuid());
	write_file(w->mounts, buf_text(&table));
}

static void copy_root(struct world *w)
{
	SCOPED_TEXT char *from = sitebox_path(&w->box, "site/root.json");
	SCOPED_TEXT char *to = sitebox_path(&w->box, "state/metadata/root.json");
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err = { 0 };

	assert_done(path_read(&bytes, from, (size_t)1 << 20, &err), &err);
	assert_done(newfile_write(to, 0600, buf_span(&bytes), &err), &err);
}

static void make_client(struct world *w)
{
	SCOPED_TEXT char *dir = sitebox_path(&w->box, "state");
	SCOPED(state_identity)
	struct state_identity id = { .enrolment = STATE_PENDING, .site = "LON", .cap_count = 1 };
	struct err err = { 0 };

	w->mounts = sitebox_path(&w->box, "mountinfo");
	w->worker = (struct worker){
		.options = { .address = w->address, .mounts = w->mounts, .linger_s = 120 },
		.clock = &w->box.clock,
		.peer = -1,
		.viewer = -1,
		.peer_gone = true,
	};
	mount_some(w);
	assert_done(state_open(&w->worker.state, dir, STATE_CREATE, &err), &err);
	id.caps[0] = sitebox_path(&w->box, "cap");
	snprintf(id.client, sizeof(id.client), "%032d", 1);
	snprintf(id.stream, sizeof(id.stream), "%032d", 1);
	id.machine = alloc_text("machine");
	assert_done(state_save_identity(&w->worker.state, &id, &err), &err);
	copy_root(w);
}

static void refresh(struct world *w)
{
	SCOPED_TEXT char *package = docs_path_package(w->package);
	SCOPED_TEXT char *location = docs_path_location(w->package);
	json_auto_t *request = json_pack("{s:s, s:b, s:[s, s]}", "op", "refresh", "force", true,
					 "targets", package, location);
	json_auto_t *result = NULL;
	struct err err = { 0 };

	/* Outside every boundary, where no group's settings keep it from the CAPs. */
	snprintf(w->address, sizeof(w->address), "fd00::1");
	if (w->worker.scene == NULL)
		assert_done(scene_new(&w->worker.scene, &w->worker, &err), &err);
	assert_done(scene_look(w->worker.scene, &err), &err);
	assert_done(op_refresh(&result, &w->worker, request, &err), &err);
}

/* ---- both ---- */

/* What the client knows besides: the site is told it. */
static void learn_some(struct world *w, const struct scene_question *q)
{
	static const enum nal_class classes[] = { NAL_CLASS_OK,      NAL_CLASS_TIMEOUT,
						  NAL_CLASS_CORRUPT, NAL_CLASS_CONTENT_MISSING,
						  NAL_CLASS_DENIED,  NAL_CLASS_BUSY };
	char name[16];

	snprintf(name, sizeof(name), "d%d", (int)below(w, DPS));
	if (chance(w, 50))
		scene_note(w->worker.scene, q, name, ONE_OF(w, classes));
	if (chance(w, 30))
		scene_wait_begin(w->worker.scene, q->object);
	else if (chance(w, 30))
		scene_wait_end(w->worker.scene, q->object);
	w->box.now_s += (int64_t)below(w, 600);
}

static size_t told_mounts(struct standin_mount *out, size_t room, const struct scene_answer *a)
{
	size_t count = 0;

	for (size_t i = 0; i < a->input.count; i++) {
		const struct select_candidate *c = &a->input.candidates[i];

		for (size_t k = 0; k < c->way_count && count < room; k++)
			if (c->ways[k].way == WAYKIND_MOUNT)
				out[count++] = (struct standin_mount){
					.address = c->addresses[c->ways[k].address].where->text,
					.at = c->ways[k].at,
					.evidence = c->ways[k].evidence,
				};
	}
	return count;
}

static char *text_of(struct decision *d)
{
	json_auto_t *doc = decision_json(d);
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, doc);
	decision_free(d);
	return buf_take(&text);
}

static char *by_site(struct world *w, const struct scene_question *q, const struct scene_answer *a)
{
	const struct standin_question question = { .package = q->object, .policy = q->policy };
	SCOPED(standin) struct standin *s = NULL;
	SCOPED(standin_answer) struct standin_answer answer = { 0 };
	struct standin_mount mounts[8 * DPS];
	struct standin_client client = {
		.addresses = a->input.addresses,
		.address_count = a->input.address_count,
		.memory = scene_memory(w->worker.scene),
		.mounts = mounts,
		.seed = q->seed,
	};
	struct err err = { 0 };

	client.mount_count = told_mounts(mounts, COUNT_OF(mounts), a);
	assert_done(standin_open(&s, w->box.site, &question, &err), &err);
	assert_done(standin_choose(&answer, s, &client, &err), &err);
	return text_of(standin_record(s, &answer));
}

static void ask_both(struct world *w, const struct packageview *view, bool *has_server)
{
	struct scene_question q = {
		.kind = KIND_DP,
		.object = view->package.id,
		.version_key = view->key,
		.listed = view->place->dps,
		.listed_count = view->place->dp_count,
		.policy = chance(w, 50) ? ONE_OF(w, policies) : NULL,
		.has_seed = true,
		.seed = below(w, SELECT_SEED_MAX),
	};
	SCOPED(scene_answer) struct scene_answer a = { 0 };
	SCOPED_TEXT char *here = NULL;
	SCOPED_TEXT char *there = NULL;
	struct err err = { 0 };

	if (chance(w, 10)) {
		q.kind = KIND_CAP;
		q.object = q.version_key = "cap";
		q.listed = NULL;
	}
	if (chance(w, 1))
		learn_some(w, &q);
	assert_done(scene_choose(&a, w->worker.scene, &q, &err), &err);
	here = text_of(scene_record(w->worker.scene, &q, &a,
				    q.kind == KIND_DP ? (uint32_t)view->place->version : 0));
	there = by_site(w, &q, &a);
	if (strcmp(there, here) != 0)
		fail_msg("at %s:\n%s\n%s", w->address, here, there);
	*has_server = a.result.usable > 0;
}

static void move(struct world *w)
{
	struct err err = { 0 };

	snprintf(w->address, sizeof(w->address), "%s%s%s", ONE_OF(w, places),
		 chance(w, 30) ? "," : " ", chance(w, 30) ? ONE_OF(w, places) : "");
	if (chance(w, 30))
		mount_some(w);
	assert_done(scene_look(w->worker.scene, &err), &err);
}

static void make_package(struct world *w)
{
	SCOPED(release_result) struct release_result made = { 0 };
	SCOPED_TEXT char *source = sitebox_path(&w->box, "source");
	SCOPED_TEXT char *file = path_join(source, "file");
	struct err err = { 0 };

	assert_done(path_make_dirs(source, 0755, &err), &err);
	write_file(file, "content");
	assert_done(release_create(&made, w->box.site,
				   &(struct release_spec){ .name = "tool", .source = source },
				   &err),
		    &err);
	snprintf(w->package, sizeof(w->package), "%s", made.id);
}

static void add_cap(struct world *w, const char *name)
{
	SCOPED_TEXT char *folder = sitebox_path(&w->box, name);
	SCOPED_TEXT char *note = NULL;
	struct err err = { 0 };

	assert_done(system_add(w->box.site,
			       &(struct system_spec){
				       .kind = MARKER_CAP,
				       .name = name,
				       .urls = (const char *const[]){ folder },
				       .url_count = 1,
			       },
			       &note, &err),
		    &err);
}

static void open_world(struct world *w, uint64_t seed)
{
	*w = (struct world){ .address = "10.1.2.3" };
	random_seq_init(&w->draw, seed, "worlds");
	sitebox_open(&w->box);
	add_cap(w, "cap2");
	add_cap(w, "cap3");
	make_package(w);
	make_client(w);
}

static void close_world(struct world *w)
{
	scene_free(w->worker.scene);
	state_close(&w->worker.state);
	free(w->mounts);
	sitebox_close(&w->box);
}

static void what_if_equals_locate_in_10000_random_worlds(void **state UNUSED)
{
	size_t served = 0, asked = 0;
	struct world w;
	const uint64_t seed = testing_seed();

	open_world(&w, seed);
	for (int site = 0; site < WORLDS; site++) {
		make_site(&w);
		publish(&w);
		refresh(&w);
		for (int place = 0; place < PLACES; place++) {
			SCOPED(packageview) struct packageview view = { 0 };
			struct err err = { 0 };

			move(&w);
			assert_done(packageview_open(&view, &w.worker, w.package, 0, &err), &err);
			for (int i = 0; i < QUESTIONS; i++, asked++) {
				bool has_server;

				ask_both(&w, &view, &has_server);
				served += has_server;
			}
		}
	}
	print_message("%zu of %zu found a server\n", served, asked);
	assert_in_range(served, asked / 10, asked * 9 / 10);
	close_world(&w);
}

TESTING_MAIN(cmocka_unit_test(what_if_equals_locate_in_10000_random_worlds), )

/* What a keeper builds is what the site signs, whatever a worker says. */
#include "support/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "agent/op.h"
#include "agent/renewal.h"
#include "common/path.h"
#include "common/wire.h"
#include "content/chunker.h"
#include "content/giver.h"
#include "content/recent.h"
#include "content/store.h"
#include "policy/docs.h"
#include "support/fakedp.h"
#include "support/tempdir.h"
#include "support/tufrepo.h"
#include "trust/localmeta.h"

#define PACKAGE "LON00001"

static const struct fakefile files_1[] = { { .path = "a", .seed = 1, .size = 300000 } };
static const struct fakefile files_2[] = { { .path = "a", .seed = 2, .size = 400000 } };

static atomic_uint looks; /* at the clock */

static int64_t now_s(void *ctx UNUSED)
{
	atomic_fetch_add(&looks, 1);
	return TUFREPO_NOW;
}

static uint64_t now_ms(void *ctx UNUSED)
{
	return clock_mono_ms(clock_system());
}

static const struct clock now = { now_s, now_ms, NULL };

struct box {
	struct tufrepo *repo;
	struct fakedp dp;
	struct fakeversion v1, v2;

	/* The keeper. */
	struct worker w;
	uint64_t quota;
	bool reads; /* somebody does, while it is built */
	pthread_t thread;
	bool is_done;
	int64_t built; /* which version of PACKAGE it says; 0: none */
	struct err err;

	/* The giver. */
	int socket;
	struct giver *giver;
};

/* The package has version 1, and version 2 if `has_second`; the manifest of 1 is `listed`. */
static void publish(struct box *b, const struct fakeversion *listed, bool has_second)
{
	struct docs_version versions[] = {
		{ .version = 1, .manifest_size = (int64_t)b->v1.manifest.size, .bytes = 300000 },
		{ .version = 2, .manifest_size = (int64_t)b->v2.manifest.size, .bytes = 400000 },
	};
	char hex[2][DIGEST_HEX_SIZE];
	const struct docs_package package = {
		.id = PACKAGE,
		.name = "A package",
		.latest = has_second ? 2 : 1,
		.versions = versions,
		.version_count = has_second ? 2 : 1,
	};
	SCOPED_TEXT char *first = docs_path_manifest(PACKAGE, 1);
	SCOPED_TEXT char *second = docs_path_manifest(PACKAGE, 2);
	SCOPED(buf) struct buf text = { 0 };
	struct digest digest;

	for (int i = 0; i < 2; i++) {
		digest_of(&digest, buf_span(i == 0 ? &listed->manifest : &b->v2.manifest));
		digest_print(hex[i], &digest);
		versions[i].manifest = hex[i];
	}
	docs_package_write(&text, &package);
	tufrepo_target(b->repo, "targets", "site.json", "{}");
	tufrepo_target_bytes(b->repo, "targets", "package/" PACKAGE ".json", buf_span(&text));
	tufrepo_target_bytes(b->repo, "targets", first, buf_span(&b->v1.manifest));
	tufrepo_target_bytes(b->repo, "targets", second, buf_span(&b->v2.manifest));
	tufrepo_bump(b->repo, "targets");
	tufrepo_publish(b->repo);
}

/* As a refresh does that was asked for the package. */
static void refresh(struct box *b)
{
	const struct updater_source source = tufrepo_source(b->repo);
	SCOPED_TEXT char *first = docs_path_manifest(PACKAGE, 1);
	SCOPED_TEXT char *second = docs_path_manifest(PACKAGE, 2);
	json_auto_t *wanted = json_pack("[s,s,s]", "package/" PACKAGE ".json", first, second);
	const struct renewal r = {
		.state = &b->w.state,
		.source = &source,
		.now_s = TUFREPO_NOW,
		.how = RENEWAL_FULL,
		.targets = wanted,
	};
	struct renewal_outcome outcome;
	struct err err = { 0 };

	if (renewal_run(&outcome, &r, &err) != VERDICT_OK)
		fail_msg("refresh: %s", err.why);
}

static void set_up(struct box *b)
{
	char *dir = tempdir_make("op-build");
	SCOPED_TEXT char *metadata = NULL;
	struct err err = { 0 };

	*b = (struct box){ .repo = tufrepo_new(), .w.clock = &now, .w.peer = -1 };
	assert_done(state_open(&b->w.state, dir, STATE_CREATE, &err), &err);
	free(dir);
	metadata = state_path(&b->w.state, "metadata");
	assert_int_equal(localmeta_init(metadata,
					buf_span(memfiles_find(&b->repo->store, "root.json")),
					&err),
			 VERDICT_OK);
	fakedp_publish(&b->dp, &b->v1, 1, files_1, COUNT_OF(files_1));
	fakedp_publish(&b->dp, &b->v2, 2, files_2, COUNT_OF(files_2));
}

static void tear_down(struct box *b)
{
	tufrepo_free(b->repo);
	tempdir_remove(alloc_text(b->w.state.dir));
	state_close(&b->w.state);
	fakeversion_release(&b->v1);
	fakeversion_release(&b->v2);
	fakedp_release(&b->dp);
}

static void *keep(void *arg)
{
	struct box *b = arg;
	json_auto_t *request = json_pack("{s:s}", "op", "build");
	json_auto_t *result = NULL;

	jsondoc_set_int(request, "quota", (int64_t)b->quota);
	jsondoc_set_flag(request, "recent", b->reads);
	b->is_done = op_build(&result, &b->w, request, &b->err);
	worker_do_rest(&b->w);
	b->built = b->is_done && strcmp(jsondoc_text(result, "package"), PACKAGE) == 0
			   ? jsondoc_int(result, "version", 0)
			   : 0;
	path_close_fd(&b->w.passed);
	return NULL;
}

static void start(struct box *b)
{
	struct err err = { 0 };
	int pair[2];

	assert_done(wire_pair(pair, &err), &err);
	b->w.passed = pair[0];
	b->socket = pair[1];
	b->err = (struct err){ 0 };
	assert_int_equal(pthread_create(&b->thread, NULL, keep, b), 0);
}

static enum giver_begun ask(struct box *b, const char *package, int64_t version, struct err *err)
{
	json_auto_t *request = json_pack("{s:s}", "op", "begin");

	if (package != NULL)
		jsondoc_set_text(request, "package", package);
	jsondoc_set_int(request, "version", version);
	jsondoc_set_int(request, "lock_ms", 0);
	return giver_open(&b->giver, b->socket, request, err);
}

static void join(struct box *b)
{
	giver_close(b->giver);
	b->giver = NULL;
	assert_int_equal(pthread_join(b->thread, NULL), 0);
}

/* Download and hand over, with the giver that has begun. */
static void give(struct box *b, const struct fakeversion *v)
{
	SCOPED_TEXT char *dir = state_path(&b->w.state, "worker/gives");
	const struct assemble_params params = {
		.dir = dir,
		.giver = b->giver,
		.manifest = buf_span(&v->manifest),
		.index = b->dp.index_name,
		.gap = PLAN_GAP_DEFAULT,
		.clock = clock_system(),
	};
	struct transfer_source source = fakedp_source(&b->dp);
	SCOPED(assemble) struct assemble *a = NULL;
	struct err err = { 0 };

	assert_done(assemble_open(&a, &params, &err), &err);
	assert_int_equal(assemble_local(a, &err), ASSEMBLE_DONE);
	if (assemble_fetch(a, &source, &err) != ASSEMBLE_DONE)
		fail_msg("fetch: %s", err.why);
	assert_done(assemble_finish(a, &err), &err);
}

static bool is_kept(struct box *b, uint32_t version, const struct fakeversion *v)
{
	SCOPED_TEXT char *dir = state_path(&b->w.state, "store");
	struct store_id id = { PACKAGE, version };
	struct store *store;
	struct err err = { 0 };
	bool holds;

	assert_done(store_open(&store, dir, &now, &err), &err);
	holds = store_holds_exactly(store, &id, buf_span(&v->manifest));
	store_close(store);
	return holds;
}

static void a_version_is_built_as_the_site_signs_it(void **state UNUSED)
{
	struct box b;
	struct err err = { 0 };

	set_up(&b);
	publish(&b, &b.v1, false);
	refresh(&b);
	start(&b);
	if (ask(&b, PACKAGE, 1, &err) != GIVER_BEGUN)
		fail_msg("begin: %s", err.why);
	assert_false(is_kept(&b, 1, &b.v1));
	give(&b, &b.v1);
	join(&b);
	assert_int_equal(b.built, 1);
	assert_true(is_kept(&b, 1, &b.v1));
	/* And then it is here. */
	start(&b);
	assert_int_equal(ask(&b, PACKAGE, 1, &err), GIVER_HERE);
	join(&b);
	assert_int_equal(b.built, 1);
	tear_down(&b);
}

/* Until the keeper looks at policy, and a little longer: less would fail nothing, and prove less.
 */
static void start_ahead(struct box *b)
{
	unsigned int before = atomic_load(&looks);

	start(b);
	while (atomic_load(&looks) == before)
		usleep(1000);
	usleep(100000);
}

/* The keeper is started before the worker knows what it needs, and reads policy at once. */
static void policy_that_came_meanwhile_counts(void **state UNUSED)
{
	for (int had_some = 0; had_some < 2; had_some++) {
		struct box b;
		struct err err = { 0 };

		set_up(&b);
		publish(&b, &b.v1, false);
		if (had_some)
			refresh(&b);
		start_ahead(&b);
		publish(&b, &b.v1, true);
		refresh(&b);
		if (ask(&b, PACKAGE, 2, &err) != GIVER_BEGUN)
			fail_msg("begin: %s", err.why);
		give(&b, &b.v2);
		join(&b);
		assert_true(is_kept(&b, 2, &b.v2));
		tear_down(&b);
	}
}

static void assert_refused(struct box *b, const char *package, int64_t version, enum err_code want)
{
	struct err err = { 0 };

	start(b);
	assert_int_equal(ask(b, package, version, &err), GIVER_FAULT);
	join(b);
	if (err.code != want || b->is_done || b->err.code != want)
		fail_msg("%s %lld: %s, told as %s", package, (long long)version,
			 err_name(b->err.code), err_name(err.code));
	assert_string_equal(err.why, b->err.why);
}

static void what_the_site_does_not_have_is_not_built(void **state UNUSED)
{
	struct box b;

	set_up(&b);
	publish(&b, &b.v1, false);
	refresh(&b);
	assert_refused(&b, PACKAGE, 2, ERR_NOT_FOUND);
	assert_refused(&b, "LON00002", 1, ERR_NOT_FOUND);
	assert_refused(&b, "../../../..", 1, ERR_FORMAT);
	assert_refused(&b, "", 1, ERR_FORMAT);
	assert_refused(&b, NULL, 1, ERR_FORMAT);
	assert_refused(&b, PACKAGE, 0, ERR_FORMAT);
	assert_refused(&b, PACKAGE, -1, ERR_FORMAT);
	assert_refused(&b, PACKAGE, INT64_C(1) << 40, ERR_FORMAT);
	assert_false(is_kept(&b, 1, &b.v1));
	tear_down(&b);
}

static void a_manifest_that_the_package_does_not_name_is_not_built(void **state UNUSED)
{
	struct box b;

	set_up(&b);
	publish(&b, &b.v2, false);
	refresh(&b);
	assert_refused(&b, PACKAGE, 1, ERR_TRUST);
	tear_down(&b);
}

#define NO_FRAME (-2)

/* Send `memory`, or a frame without any (-1), or none, in the place of whoever asked. */
static void send_memory(struct box *b, int memory)
{
	json_auto_t *frame = json_object();
	struct err err = { 0 };
	int pair[2];

	assert_done(wire_pair(pair, &err), &err);
	if (memory != NO_FRAME)
		assert_done(wire_send_json(pair[1], frame, memory, &err), &err);
	close(pair[1]);
	b->w.peer = pair[0];
	b->reads = true;
}

static void assert_recent(const struct recent *r, const struct fakeversion *v)
{
	uint8_t bytes[CHUNKER_MAX];
	struct digest found;

	for (uint32_t n = 0; n < manifest_chunk_count(v->parsed); n++) {
		const struct manifest_chunk *c = manifest_chunk_at(v->parsed, n);

		assert_true(recent_read(bytes, r, c, 0, c->size));
		digest_of(&found, span_of(bytes, c->size));
		assert_true(digest_equal(&found, &c->id));
	}
}

static void one_who_reads_meanwhile_has_what_landed(void **state UNUSED)
{
	struct box b;
	struct recent *recent;
	struct err err = { 0 };

	set_up(&b);
	publish(&b, &b.v1, false);
	refresh(&b);
	assert_done(recent_new(&recent, &err), &err);
	send_memory(&b, recent_fd(recent));
	start(&b);
	if (ask(&b, PACKAGE, 1, &err) != GIVER_BEGUN)
		fail_msg("begin: %s", err.why);
	give(&b, &b.v1);
	join(&b);
	assert_true(is_kept(&b, 1, &b.v1));
	assert_recent(recent, &b.v1);
	recent_free(recent);
	close(b.w.peer);
	tear_down(&b);
}

static void one_who_reads_and_sends_no_memory_is_refused(void **state UNUSED)
{
	SCOPED_FD int other = open("/dev/null", O_RDWR | O_CLOEXEC);
	const struct {
		int memory;
		enum err_code code;
	} cases[] = {
		{ NO_FRAME, ERR_INTERRUPTED },
		{ -1, ERR_FORMAT },
		{ other, ERR_FORMAT },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct box b;

		set_up(&b);
		publish(&b, &b.v1, false);
		refresh(&b);
		send_memory(&b, cases[i].memory);
		assert_refused(&b, PACKAGE, 1, cases[i].code);
		close(b.w.peer);
		tear_down(&b);
	}
}

static bool is_flushed(const struct box *b)
{
	SCOPED_TEXT char *path = state_path(&b->w.state, "store/" PACKAGE "/1.record");
	SCOPED(buf) struct buf text = { 0 };
	struct err err = { 0 };

	assert_done(path_read(&text, path, 200, &err), &err);
	return strstr(buf_text(&text), "unflushed") == NULL;
}

/* Its records are small, and would have to wait for all that is flushed behind. */
static void who_asked_is_let_go_before_the_flush(void **state UNUSED)
{
	struct box b;
	struct err err = { 0 };
	int pair[2];

	set_up(&b);
	publish(&b, &b.v1, false);
	refresh(&b);
	assert_done(wire_pair(pair, &err), &err);
	b.w.peer = pair[0];
	start(&b);
	if (ask(&b, PACKAGE, 1, &err) != GIVER_BEGUN)
		fail_msg("begin: %s", err.why);
	give(&b, &b.v1);
	usleep(200000);
	assert_false(is_flushed(&b));
	close(pair[1]);
	join(&b);
	assert_true(is_flushed(&b));
	close(pair[0]);
	tear_down(&b);
}

static void without_policy_nothing_is_built(void **state UNUSED)
{
	struct box b;

	set_up(&b);
	assert_refused(&b, PACKAGE, 1, ERR_NOT_ENROLLED);
	tear_down(&b);
}

static void what_does_not_fit_the_quota_is_not_built(void **state UNUSED)
{
	struct box b;

	set_up(&b);
	publish(&b, &b.v1, false);
	refresh(&b);
	b.quota = 299999;
	assert_refused(&b, PACKAGE, 1, ERR_LIMIT);
	tear_down(&b);
}

static void what_another_one_builds_is_waited_for_no_longer_than_asked(void **state UNUSED)
{
	struct box b;
	SCOPED_TEXT char *dir = NULL;
	struct store_id id = { PACKAGE, 1 };
	struct store *store;
	struct err err = { 0 };
	int lock;

	set_up(&b);
	publish(&b, &b.v1, false);
	refresh(&b);
	dir = state_path(&b.w.state, "store");
	assert_done(store_open(&store, dir, &now, &err), &err);
	assert_done(store_lock(&lock, store, &id, 0, &err), &err);
	assert_refused(&b, PACKAGE, 1, ERR_LOCKED);
	close(lock);
	store_close(store);
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(a_version_is_built_as_the_site_signs_it),
	     cmocka_unit_test(policy_that_came_meanwhile_counts),
	     cmocka_unit_test(what_the_site_does_not_have_is_not_built),
	     cmocka_unit_test(a_manifest_that_the_package_does_not_name_is_not_built),
	     cmocka_unit_test(one_who_reads_meanwhile_has_what_landed),
	     cmocka_unit_test(one_who_reads_and_sends_no_memory_is_refused),
	     cmocka_unit_test(who_asked_is_let_go_before_the_flush),
	     cmocka_unit_test(without_policy_nothing_is_built),
	     cmocka_unit_test(what_does_not_fit_the_quota_is_not_built),
	     cmocka_unit_test(what_another_one_builds_is_waited_for_no_longer_than_asked))

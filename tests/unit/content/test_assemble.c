#include "support/testing.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "content/assemble.h"
#include "support/fakedp.h"
#include "support/tempdir.h"

/* About 6 MB: large, small, equal and empty files, a sparse one, links, folders of all modes. */
static const struct fakefile version_1[] = {
	{ .path = "bin", .is_dir = true },
	{ .path = "bin/tool", .seed = 1, .size = 3000000, .mode = 0755 },
	{ .path = "bin/tool-again", .seed = 1, .size = 3000000, .mode = 0600 },
	{ .path = "bin/run", .target = "tool" },
	{ .path = "closed", .is_dir = true, .mode = 0555 },
	{ .path = "closed/inner", .is_dir = true, .mode = 0500 },
	{ .path = "closed/inner/file", .seed = 2, .size = 700, .mode = 0400 },
	{ .path = "closed/write-only", .seed = 3, .size = 70000, .mode = 0444 },
	{ .path = "empty", .size = 0 },
	{ .path = "empty-dir", .is_dir = true },
	{ .path = "-dash \"quoted\" n\xc3\xa4me", .seed = 4, .size = 10 },
	{ .path = "share", .is_dir = true },
	{ .path = "share/a", .seed = 5, .size = 20000 },
	{ .path = "share/b", .seed = 6, .size = 30000 },
	{ .path = "share/c", .seed = 7, .size = 9000 },
	{ .path = "share/data", .seed = 8, .size = 2000000 },
	{ .path = "share/sparse", .seed = 0, .size = 3000000 },
	{ .path = "share/dangling", .target = "nowhere" },
};

/* A renamed small and a renamed large file, a changed small file, a new one, one gone. */
static const struct fakefile version_2[] = {
	{ .path = "bin", .is_dir = true },
	{ .path = "bin/tool-next", .seed = 1, .size = 3000000, .mode = 0755 },
	{ .path = "bin/run", .target = "tool-next" },
	{ .path = "empty", .size = 0 },
	{ .path = "share", .is_dir = true },
	{ .path = "share/a", .seed = 5, .size = 20000 },
	{ .path = "share/b-renamed", .seed = 6, .size = 30000 },
	{ .path = "share/c", .seed = 70, .size = 9000 },
	{ .path = "share/data", .seed = 8, .size = 2000000 },
	{ .path = "share/new", .seed = 9, .size = 500000 },
};

struct bench {
	char *top;
	char *dir; /* what the assembler works in */
	struct fakedp dp;
	struct fakeversion v1;
	char *seed_tree; /* after make_seed */
	char *seed_manifest;
};

static void set_up(struct bench *b)
{
	*b = (struct bench){ .top = tempdir_make("assemble") };
	b->dir = path_join(b->top, "partial");
	fakedp_publish(&b->dp, &b->v1, 1, version_1, COUNT_OF(version_1));
}

static void tear_down(struct bench *b)
{
	tempdir_remove(b->top);
	free(b->dir);
	free(b->seed_tree);
	free(b->seed_manifest);
	fakedp_release(&b->dp);
	fakeversion_release(&b->v1);
}

static struct assemble_params params_for(const struct bench *b, const struct fakeversion *v)
{
	return (struct assemble_params){
		.dir = b->dir,
		.manifest = buf_span(&v->manifest),
		.index = b->dp.index_name,
		.gap = PLAN_GAP_DEFAULT,
		.clock = clock_system(),
	};
}

/* Fail unless the entry stands on disk as the version has it. */
static void assert_entry(const char *tree, const struct fakefile *f)
{
	SCOPED_TEXT char *path = path_join(tree, f->path);
	SCOPED(buf) struct buf want = { 0 };
	SCOPED(buf) struct buf have = { 0 };
	struct err err = { 0 };
	struct stat st;
	char target[64] = "";

	if (lstat(path, &st) != 0)
		fail_msg("%s is missing", f->path);
	if (f->target != NULL) {
		assert_true(readlink(path, target, sizeof(target) - 1) > 0);
		assert_string_equal(target, f->target);
		return;
	}
	assert_int_equal(st.st_mode & 07777, f->mode != 0 ? f->mode : f->is_dir ? 0755 : 0644);
	assert_true(f->is_dir ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
	if (f->is_dir)
		return;
	fakefile_content(&want, f);
	assert_done(path_read(&have, path, 1u << 30, &err), &err);
	if (!span_equal(buf_span(&want), buf_span(&have)))
		fail_msg("%s has other bytes", f->path);
}

static void assert_tree(const struct bench *b, const struct fakefile *files, size_t count)
{
	SCOPED_TEXT char *tree = path_join(b->dir, "tree");

	for (size_t i = 0; i < count; i++)
		assert_entry(tree, &files[i]);
}

static void finish(struct assemble *a)
{
	struct err err = { 0 };

	assert_int_equal(assemble_missing(a), 0);
	assert_done(assemble_finish(a, &err), &err);
}

static void fetch_from(struct assemble *a, struct fakedp *dp, enum assemble_result want)
{
	struct transfer_source source = fakedp_source(dp);
	struct err err = { 0 };
	enum assemble_result got = assemble_fetch(a, &source, &err);

	if (got != want)
		fail_msg("%s instead of %s: %s", assemble_result_name(got),
			 assemble_result_name(want), err.why);
}

static struct assemble *open_local(const struct assemble_params *params)
{
	struct assemble *a = NULL;
	struct err err = { 0 };

	assert_done(assemble_open(&a, params, &err), &err);
	if (assemble_local(a, &err) != ASSEMBLE_DONE)
		fail_msg("local: %s", err.why);
	return a;
}

static void a_package_is_fetched_whole(void **state UNUSED)
{
	struct bench b;
	struct assemble_params params;
	struct assemble_stats stats;

	set_up(&b);
	params = params_for(&b, &b.v1);
	SCOPED(assemble) struct assemble *a = open_local(&params);

	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&b, version_1, COUNT_OF(version_1));
	stats = assemble_stats(a);
	assert_int_equal(stats.bytes_network, b.dp.bytes_sent);
	assert_int_equal(stats.bytes_seed, 0);
	assert_int_equal(stats.bytes_content, manifest_tree_size(b.v1.parsed));
	assert_int_equal(stats.how, PLAN_RANGES);
	assert_int_equal(stats.requests, 2); /* the index and one range */
	tear_down(&b);
}

static void zeros_stay_holes(void **state UNUSED)
{
	struct bench b;
	struct assemble_params params;
	struct stat st;

	set_up(&b);
	params = params_for(&b, &b.v1);
	SCOPED(assemble) struct assemble *a = open_local(&params);
	SCOPED_TEXT char *sparse = path_join(b.dir, "tree/share/sparse");

	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_int_equal(stat(sparse, &st), 0);
	assert_int_equal(st.st_size, 3000000);
	assert_true(st.st_blocks * 512 < 1000000);
	tear_down(&b);
}

/* KB Q191293: content that is missing or wrong on one server is fetched from the next. */
static void the_next_server_gets_the_rest(void **state UNUSED)
{
	static const struct {
		const char *why;
		enum fakedp_fault fault;
		uint64_t at;
		enum assemble_result want;
		bool keeps_some;
	} faults[] = {
		{ "a flipped byte", FAKEDP_FLIP, 2000000, ASSEMBLE_CORRUPT, true },
		{ "a truncated pack", FAKEDP_TRUNCATED, 1500000, ASSEMBLE_CORRUPT, true },
		{ "a connection that ends", FAKEDP_CUT, 1500000, ASSEMBLE_FAILED, true },
		{ "a missing pack", FAKEDP_MISSING, 0, ASSEMBLE_FAILED, false },
		{ "a byte lost on the way", FAKEDP_SHIFTED, 0, ASSEMBLE_CORRUPT, false },
		{ "an index with other bytes", FAKEDP_BAD_INDEX, 0, ASSEMBLE_CORRUPT, false },
	};

	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		struct bench b;
		struct assemble_params params;
		uint64_t all, rest, sent;

		set_up(&b);
		params = params_for(&b, &b.v1);
		SCOPED(assemble) struct assemble *a = open_local(&params);

		all = assemble_missing(a);
		b.dp.fault = faults[i].fault;
		b.dp.fault_at = faults[i].at;
		fetch_from(a, &b.dp, faults[i].want);
		rest = assemble_missing(a);
		if ((rest < all) != faults[i].keeps_some || rest == 0)
			fail_msg("%s: %" PRIu64 " of %" PRIu64 " are missing", faults[i].why, rest,
				 all);

		b.dp.fault = FAKEDP_FINE;
		sent = b.dp.bytes_sent;
		fetch_from(a, &b.dp, ASSEMBLE_DONE);
		if (faults[i].keeps_some && b.dp.bytes_sent - sent >= b.dp.packs[0].bytes.size)
			fail_msg("%s: what had come was fetched again", faults[i].why);
		finish(a);
		assert_tree(&b, version_1, COUNT_OF(version_1));
		tear_down(&b);
	}
}

static void a_corrupt_chunk_names_its_pack(void **state UNUSED)
{
	struct bench b;
	struct assemble_params params;
	struct err err = { 0 };
	char pack[PACK_NAME_MAX];

	set_up(&b);
	params = params_for(&b, &b.v1);
	SCOPED(assemble) struct assemble *a = open_local(&params);
	struct transfer_source source = fakedp_source(&b.dp);

	b.dp.fault = FAKEDP_FLIP;
	b.dp.fault_at = 100;
	assert_int_equal(assemble_fetch(a, &source, &err), ASSEMBLE_CORRUPT);
	assert_int_equal(err.code, ERR_CORRUPT);
	pack_print_name(pack, &b.dp.packs[0].digest);
	assert_non_null(strstr(err.why, pack));
	tear_down(&b);
}

static void one_corrupt_frame_costs_one_frame(void **state UNUSED)
{
	struct bench b;
	struct assemble_params params;
	uint64_t sent;

	set_up(&b);
	params = params_for(&b, &b.v1);
	SCOPED(assemble) struct assemble *a = open_local(&params);

	/* In the last frame: all others have come before it. */
	b.dp.fault = FAKEDP_FLIP;
	b.dp.fault_at = b.dp.packs[0].bytes.size - 10;
	fetch_from(a, &b.dp, ASSEMBLE_CORRUPT);
	b.dp.fault = FAKEDP_FINE;
	sent = b.dp.bytes_sent;
	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	assert_int_equal(b.dp.bytes_sent - sent,
			 b.dp.packs[0].frames[b.dp.packs[0].frame_count - 1].stored_size);
	tear_down(&b);
}

static void a_server_without_ranges_works_and_is_stopped(void **state UNUSED)
{
	struct bench b;
	struct assemble_params params;

	set_up(&b);
	params = params_for(&b, &b.v1);
	SCOPED(assemble) struct assemble *a = open_local(&params);

	b.dp.fault = FAKEDP_WHOLE;
	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&b, version_1, COUNT_OF(version_1));
	/* The body was endless: one piece more than the pack was taken. */
	assert_true(b.dp.bytes_sent <= b.dp.packs[0].bytes.size + b.dp.index.size + 4096);
	tear_down(&b);
}

static void a_connection_cut_anywhere_loses_at_most_one_frame(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	for (uint64_t step = 0; step < 40; step++) {
		struct assemble_params params = params_for(&b, &b.v1);
		SCOPED(assemble) struct assemble *a = open_local(&params);
		uint64_t total = b.dp.packs[0].bytes.size;
		uint64_t sent;

		b.dp.piece = (size_t)(1 + step * 7919);
		b.dp.fault = FAKEDP_CUT;
		b.dp.fault_at = total * step / 40;
		fetch_from(a, &b.dp, ASSEMBLE_FAILED);
		b.dp.fault = FAKEDP_FINE;
		sent = b.dp.bytes_sent;
		fetch_from(a, &b.dp, ASSEMBLE_DONE);
		assert_true(b.dp.bytes_sent - sent <= total - b.dp.fault_at + FAKEDP_FRAME_RAW);
		finish(a);
		if (step % 13 == 0)
			assert_tree(&b, version_1, COUNT_OF(version_1));
		struct err err = { 0 };
		assert_done(path_remove_tree(b.dir, &err), &err);
	}
	tear_down(&b);
}

struct death {
	uint32_t pieces_left;
};

static void die_in_time(void *ctx)
{
	struct death *d = ctx;

	if (d->pieces_left-- == 0)
		raise(SIGKILL);
}

/* In a child: fetch until the blow falls. Never returns. */
static void fetch_and_die(struct bench *b, const struct assemble_params *params, uint32_t pieces)
{
	struct death d = { pieces };
	struct transfer_source source = fakedp_source(&b->dp);
	struct assemble *a;
	struct err err = { 0 };

	b->dp.on_piece = die_in_time;
	b->dp.on_piece_ctx = &d;
	if (assemble_open(&a, params, &err) && assemble_local(a, &err) == ASSEMBLE_DONE &&
	    assemble_fetch(a, &source, &err) == ASSEMBLE_DONE)
		_exit(assemble_finish(a, &err) ? 0 : 1);
	_exit(2);
}

#define KILL_ROUNDS   30
#define QUEUED_FRAMES 6 /* in the queue, in both hands */

static void a_kill_at_any_moment_costs_what_was_in_flight(void **state UNUSED)
{
	struct random_seq r;
	const uint64_t seed = testing_seed();

	random_seq_init(&r, seed, "kill");
	for (int round = 0; round < KILL_ROUNDS; round++) {
		struct bench b;
		struct assemble_params params;
		uint32_t pieces;
		uint64_t total, sent_by_dead;
		int status;
		pid_t child;

		set_up(&b);
		b.dp.piece = 16384;
		params = params_for(&b, &b.v1);
		total = b.dp.packs[0].bytes.size;
		pieces = (uint32_t)random_seq_below(&r, total / b.dp.piece + 20);
		child = fork();
		if (child == 0)
			fetch_and_die(&b, &params, pieces);
		assert_int_equal(waitpid(child, &status, 0), child);

		SCOPED(assemble) struct assemble *a = open_local(&params);

		sent_by_dead = MIN_OF((uint64_t)pieces * b.dp.piece, total);
		fetch_from(a, &b.dp, ASSEMBLE_DONE);
		if (b.dp.bytes_sent + sent_by_dead >
		    total + b.dp.index.size + (uint64_t)QUEUED_FRAMES * FAKEDP_FRAME_RAW)
			fail_msg("round %d, %u pieces: %" PRIu64 " bytes were fetched again", round,
				 pieces, b.dp.bytes_sent);
		finish(a);
		assert_tree(&b, version_1, COUNT_OF(version_1));
		tear_down(&b);
	}
}

/* Fetch version 1 into top/old and keep it as a seed; then b->dir is fresh. */
static struct assemble_seed make_seed(struct bench *b)
{
	struct assemble_params params = params_for(b, &b->v1);
	SCOPED(assemble) struct assemble *a = open_local(&params);
	SCOPED_TEXT char *old = path_join(b->top, "old");

	fetch_from(a, &b->dp, ASSEMBLE_DONE);
	finish(a);
	assert_int_equal(rename(b->dir, old), 0);
	b->dp.bytes_sent = 0;
	b->dp.calls = 0;
	b->seed_tree = path_join(old, "tree");
	b->seed_manifest = path_join(old, "manifest");
	return (struct assemble_seed){ b->seed_tree, b->seed_manifest, 1 };
}

static void an_update_moves_only_what_is_new(void **state UNUSED)
{
	struct bench b;
	struct fakeversion v2;
	struct assemble_params params;
	struct assemble_seed seed;

	set_up(&b);
	seed = make_seed(&b);
	fakedp_publish(&b.dp, &v2, 2, version_2, COUNT_OF(version_2));
	params = params_for(&b, &v2);
	params.seeds = &seed;
	params.seed_count = 1;
	SCOPED(assemble) struct assemble *a = open_local(&params);

	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&b, version_2, COUNT_OF(version_2));
	/* New are 500,000 and 9,000 bytes, and the chunks at their edges. */
	assert_in_range(b.dp.bytes_sent, 509000, 509000 + 4 * CHUNKER_MAX);
	assert_true(assemble_stats(a).bytes_seed > 4000000);
	fakeversion_release(&v2);
	tear_down(&b);
}

/* --- patches and streams ---------------------------------------------------------------------- */

/* Version 1 is here, the DP has version 2 and the patch to it. */
struct update {
	struct bench b;
	struct fakeversion v2;
	struct assemble_seed seed;
	struct assemble_params params;
};

static void set_up_update(struct update *u)
{
	set_up(&u->b);
	u->seed = make_seed(&u->b);
	fakedp_publish(&u->b.dp, &u->v2, 2, version_2, COUNT_OF(version_2));
	fakedp_add_delta(&u->b.dp, &u->v2, &u->b.v1, 1);
	u->params = params_for(&u->b, &u->v2);
	u->params.seeds = &u->seed;
	u->params.seed_count = 1;
}

static void tear_down_update(struct update *u)
{
	fakeversion_release(&u->v2);
	tear_down(&u->b);
}

static void an_update_comes_as_a_patch(void **state UNUSED)
{
	struct update u;

	set_up_update(&u);
	SCOPED(assemble) struct assemble *a = open_local(&u.params);

	fetch_from(a, &u.b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&u.b, version_2, COUNT_OF(version_2));
	assert_int_equal(assemble_stats(a).how, PLAN_PATCH);
	/* The new bytes and hardly more: nothing at their edges. */
	assert_in_range(u.b.dp.bytes_sent, 509000, 509000 + 2000 + u.b.dp.index.size);
	assert_int_equal(assemble_stats(a).bytes_network, u.b.dp.bytes_sent);
	assert_int_equal(assemble_stats(a).requests, 2);
	tear_down_update(&u);
}

static void a_first_install_comes_as_a_stream(void **state UNUSED)
{
	struct update u;

	set_up_update(&u);
	fakedp_add_delta(&u.b.dp, &u.v2, NULL, 0);
	u.params.seed_count = 0;
	u.params.gap = 100u << 20; /* a round trip is dear, and there are two packs */
	SCOPED(assemble) struct assemble *a = open_local(&u.params);

	fetch_from(a, &u.b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&u.b, version_2, COUNT_OF(version_2));
	assert_int_equal(assemble_stats(a).how, PLAN_STREAM);
	assert_int_equal(assemble_stats(a).requests, 2);
	tear_down_update(&u);
}

static void a_patch_from_another_version_is_left_alone(void **state UNUSED)
{
	struct update u;

	set_up_update(&u);
	u.seed.version = 7;
	SCOPED(assemble) struct assemble *a = open_local(&u.params);

	fetch_from(a, &u.b.dp, ASSEMBLE_DONE);
	assert_int_equal(assemble_stats(a).how, PLAN_RANGES);
	tear_down_update(&u);
}

static void a_server_whose_patch_is_bad_is_named(void **state UNUSED)
{
	static const struct {
		const char *why;
		enum fakedp_fault fault;
		uint64_t at;
		enum assemble_result want;
	} faults[] = {
		{ "a flipped byte", FAKEDP_FLIP, 300000, ASSEMBLE_CORRUPT },
		{ "a flipped first byte", FAKEDP_FLIP, 0, ASSEMBLE_CORRUPT },
		{ "truncated", FAKEDP_TRUNCATED, 300000, ASSEMBLE_CORRUPT },
		{ "a connection that ends", FAKEDP_CUT, 300000, ASSEMBLE_FAILED },
		{ "bytes lost on the way", FAKEDP_SHIFTED, 0, ASSEMBLE_CORRUPT },
	};

	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		struct update u;

		set_up_update(&u);
		SCOPED(assemble) struct assemble *a = open_local(&u.params);

		u.b.dp.fault = faults[i].fault;
		u.b.dp.fault_at = faults[i].at;
		print_message("%s\n", faults[i].why);
		fetch_from(a, &u.b.dp, faults[i].want);
		u.b.dp.fault = FAKEDP_FINE;
		u.b.dp.bytes_sent = 0;
		fetch_from(a, &u.b.dp, ASSEMBLE_DONE);
		assert_true(u.b.dp.bytes_sent <= u.b.dp.delta.bytes.size);
		finish(a);
		assert_tree(&u.b, version_2, COUNT_OF(version_2));
		tear_down_update(&u);
	}
}

/* The right file by its hash, but another tree comes out of it: the site is at fault, or the seed.
 */
/* It was made from a version 1 that had version 2's share/c, which it copies from what is here. */
static void a_patch_that_lies_costs_bytes_only(void **state UNUSED)
{
	struct fakefile lies[COUNT_OF(version_1)];
	struct update u;
	struct fakeversion other;

	set_up_update(&u);
	memcpy(lies, version_1, sizeof(lies));
	for (size_t i = 0; i < COUNT_OF(lies); i++)
		if (strcmp(lies[i].path, "share/c") == 0)
			lies[i].seed = 70;
	fakedp_publish(&u.b.dp, &other, 2, lies, COUNT_OF(lies));
	fakedp_add_delta(&u.b.dp, &u.v2, &other, 1);
	u.params.gap = 100u << 20;
	SCOPED(assemble) struct assemble *a = open_local(&u.params);

	fetch_from(a, &u.b.dp, ASSEMBLE_DONE);
	assert_int_equal(assemble_stats(a).how, PLAN_RANGES);
	finish(a);
	assert_tree(&u.b, version_2, COUNT_OF(version_2));
	fakeversion_release(&other);
	tear_down_update(&u);
}

static void a_seed_that_was_changed_costs_bytes_only(void **state UNUSED)
{
	struct update u;

	set_up_update(&u);
	SCOPED_TEXT char *file = path_join(u.b.seed_tree, "bin/tool");
	int fd = open(file, O_WRONLY);

	assert_int_equal(pwrite(fd, "changed", 7, 1000000), 7);
	close(fd);
	SCOPED(assemble) struct assemble *a = open_local(&u.params);

	fetch_from(a, &u.b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&u.b, version_2, COUNT_OF(version_2));
	tear_down_update(&u);
}

static void a_patch_goes_on_where_it_was_cut(void **state UNUSED)
{
	for (uint64_t step = 0; step < 20; step++) {
		struct update u;
		uint64_t sent;

		set_up_update(&u);
		u.b.dp.piece = (size_t)(1 + step * 3001);
		u.b.dp.fault = FAKEDP_CUT;
		u.b.dp.fault_at = u.b.dp.delta.bytes.size * step / 20;
		{
			SCOPED(assemble) struct assemble *a = open_local(&u.params);

			fetch_from(a, &u.b.dp, ASSEMBLE_FAILED);
		}
		u.b.dp.fault = FAKEDP_FINE;
		sent = u.b.dp.bytes_sent;
		SCOPED(assemble) struct assemble *a = open_local(&u.params);

		fetch_from(a, &u.b.dp, ASSEMBLE_DONE);
		assert_true(u.b.dp.bytes_sent - sent <= u.b.dp.delta.bytes.size - u.b.dp.fault_at);
		finish(a);
		assert_tree(&u.b, version_2, COUNT_OF(version_2));
		tear_down_update(&u);
	}
}

static void a_server_without_ranges_gives_a_patch_too(void **state UNUSED)
{
	struct update u;

	set_up_update(&u);
	SCOPED(assemble) struct assemble *a = open_local(&u.params);

	u.b.dp.fault = FAKEDP_WHOLE;
	fetch_from(a, &u.b.dp, ASSEMBLE_DONE);
	assert_int_equal(assemble_stats(a).how, PLAN_PATCH);
	assert_true(u.b.dp.bytes_sent <= u.b.dp.delta.bytes.size + u.b.dp.index.size + 4096);
	tear_down_update(&u);
}

static void rollback_renames_and_equal_files_cost_nothing(void **state UNUSED)
{
	static const struct fakefile renamed[] = {
		{ .path = "a-new-folder", .is_dir = true },
		{ .path = "a-new-folder/b", .seed = 6, .size = 30000 },
		{ .path = "a-new-folder/b-copy", .seed = 6, .size = 30000 },
		{ .path = "c", .seed = 7, .size = 9000 },
		{ .path = "moved", .seed = 1, .size = 3000000 },
		{ .path = "z", .seed = 5, .size = 20000 },
	};
	static const struct {
		const char *why;
		const struct fakefile *files;
		uint32_t count;
	} targets[] = {
		{ "the same again", version_1, COUNT_OF(version_1) },
		{ "renamed and copied", renamed, COUNT_OF(renamed) },
	};

	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		struct bench b;
		struct fakeversion v;
		struct assemble_params params;
		struct assemble_seed seed;

		set_up(&b);
		seed = make_seed(&b);
		fakedp_publish(&b.dp, &v, 2, targets[i].files, targets[i].count);
		params = params_for(&b, &v);
		params.seeds = &seed;
		params.seed_count = 1;
		SCOPED(assemble) struct assemble *a = open_local(&params);

		if (assemble_missing(a) != 0)
			fail_msg("%s: %" PRIu64 " chunks are missing", targets[i].why,
				 assemble_missing(a));
		finish(a);
		assert_tree(&b, targets[i].files, targets[i].count);
		assert_int_equal(b.dp.calls, 0);
		assert_int_equal(assemble_stats(a).how, PLAN_NONE);
		fakeversion_release(&v);
		tear_down(&b);
	}
}

static void overwrite(const char *dir, const char *name, off_t offset, const char *bytes)
{
	SCOPED_TEXT char *path = path_join(dir, name);
	SCOPED_FD int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, strlen(bytes), offset), strlen(bytes));
}

static void a_seed_changed_behind_our_back_costs_bytes_only(void **state UNUSED)
{
	struct bench b;
	struct assemble_params params;
	struct assemble_seed seed;
	SCOPED_TEXT char *gone = NULL;

	set_up(&b);
	seed = make_seed(&b);
	overwrite(seed.tree, "bin/tool", 1000000, "changed");
	gone = path_join(seed.tree, "share/data");
	assert_int_equal(unlink(gone), 0);
	params = params_for(&b, &b.v1);
	params.seeds = &seed;
	params.seed_count = 1;
	SCOPED(assemble) struct assemble *a = open_local(&params);

	assert_true(assemble_missing(a) > 0);
	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&b, version_1, COUNT_OF(version_1));
	tear_down(&b);
}

/* What a store_reopen gives: a complete tree without journal, damaged in every way. */
static void a_damaged_tree_is_mended(void **state UNUSED)
{
	struct bench b;
	struct assemble_params params;
	SCOPED_TEXT char *tree = NULL;
	SCOPED_TEXT char *journal = NULL;
	SCOPED_TEXT char *extra = NULL;
	SCOPED_TEXT char *data = NULL;
	SCOPED_TEXT char *empty = NULL;
	struct err err = { 0 };

	set_up(&b);
	params = params_for(&b, &b.v1);
	tree = path_join(b.dir, "tree");
	journal = path_join(b.dir, "journal");
	extra = path_join(tree, "bin/extra/deep");
	data = path_join(tree, "share/data");
	empty = path_join(tree, "empty-dir");
	{
		SCOPED(assemble) struct assemble *a = open_local(&params);

		fetch_from(a, &b.dp, ASSEMBLE_DONE);
		finish(a);
	}
	assert_int_equal(unlink(journal), 0);
	overwrite(tree, "bin/tool", 1000000, "changed");
	overwrite(tree, "share/a", 20000, "longer");
	overwrite(tree, "share/sparse", 1500000, "no hole");
	assert_done(path_make_dirs(extra, 0755, &err), &err);
	assert_int_equal(unlink(data), 0);
	assert_int_equal(symlink("/etc", data), 0);
	assert_int_equal(rmdir(empty), 0);
	assert_int_equal(symlink("/", empty), 0);
	b.dp.bytes_sent = 0;

	SCOPED(assemble) struct assemble *a = open_local(&params);

	assert_in_range(assemble_missing(a), 1, 60);
	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&b, version_1, COUNT_OF(version_1));
	assert_false(path_exists(extra));
	assert_true(b.dp.bytes_sent < b.dp.packs[0].bytes.size);
	tear_down(&b);
}

static void another_manifest_starts_over(void **state UNUSED)
{
	struct bench b;
	struct fakeversion v2;
	struct assemble_params params;
	SCOPED_TEXT char *old = NULL;

	set_up(&b);
	params = params_for(&b, &b.v1);
	{
		SCOPED(assemble) struct assemble *a = open_local(&params);

		fetch_from(a, &b.dp, ASSEMBLE_DONE);
	}
	fakedp_publish(&b.dp, &v2, 2, version_2, COUNT_OF(version_2));
	params = params_for(&b, &v2);
	SCOPED(assemble) struct assemble *a = open_local(&params);

	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&b, version_2, COUNT_OF(version_2));
	old = path_join(b.dir, "tree/closed");
	assert_false(path_exists(old));
	fakeversion_release(&v2);
	tear_down(&b);
}

static void cancel_now(void *ctx)
{
	atomic_store((atomic_bool *)ctx, true);
}

static void a_cancelled_fetch_stops_and_can_go_on(void **state UNUSED)
{
	struct bench b;
	struct assemble_params params;
	atomic_bool cancel = false;

	set_up(&b);
	params = params_for(&b, &b.v1);
	params.cancel = &cancel;
	b.dp.on_piece = cancel_now;
	b.dp.on_piece_ctx = &cancel;
	SCOPED(assemble) struct assemble *a = open_local(&params);

	fetch_from(a, &b.dp, ASSEMBLE_CANCELLED);
	assert_true(b.dp.bytes_sent < b.dp.index.size + 100000);
	b.dp.on_piece = NULL;
	atomic_store(&cancel, false);
	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&b, version_1, COUNT_OF(version_1));
	tear_down(&b);
}

static void the_rate_is_kept(void **state UNUSED)
{
	static const struct fakefile files[] = { { .path = "f", .seed = 11, .size = 1000000 } };
	struct bench b;
	struct fakeversion v;
	struct assemble_params params;
	uint64_t begin_ms, took_ms;

	set_up(&b);
	fakedp_publish(&b.dp, &v, 2, files, COUNT_OF(files));
	params = params_for(&b, &v);
	params.rate_bps = 1000000;
	SCOPED(assemble) struct assemble *a = open_local(&params);

	begin_ms = clock_mono_ms(clock_system());
	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	took_ms = clock_mono_ms(clock_system()) - begin_ms;
	/* No upper bound that a busy machine could break. */
	assert_true(took_ms >= 850);
	fakeversion_release(&v);
	tear_down(&b);
}

static void note_progress(const struct assemble_progress *now, void *ctx)
{
	*(struct assemble_progress *)ctx = *now;
}

static void progress_ends_at_the_total(void **state UNUSED)
{
	struct bench b;
	struct assemble_params params;
	struct assemble_progress last = { 0 };

	set_up(&b);
	params = params_for(&b, &b.v1);
	params.progress = note_progress;
	params.progress_ctx = &last;
	SCOPED(assemble) struct assemble *a = open_local(&params);

	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	assert_int_equal(last.bytes, last.bytes_total);
	assert_int_equal(last.bytes_network, b.dp.bytes_sent);
	tear_down(&b);
}

/* A small file system of our own at `dir`; false where this machine does not let us. */
static bool mount_small(const char *dir, const char *size)
{
	SCOPED_TEXT char *options = alloc_printf("size=%s", size);

	return (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("packway-test", dir, "tmpfs", 0, options) == 0;
}

static bool grow_small(const char *dir, const char *size)
{
	SCOPED_TEXT char *options = alloc_printf("size=%s", size);

	return mount("packway-test", dir, "tmpfs", MS_REMOUNT, options) == 0;
}

#define CANNOT_MOUNT 77

/* In a child of its own namespace: fill the disk, make room, go on. Its exit code tells. */
static int fill_up_and_go_on(struct bench *b, const char *size)
{
	struct assemble_params params = params_for(b, &b->v1);
	struct transfer_source source = fakedp_source(&b->dp);
	struct assemble *a;
	struct err err = { 0 };
	uint64_t kept;

	if (!mount_small(b->top, size))
		return CANNOT_MOUNT;
	if (!assemble_open(&a, &params, &err) || assemble_local(a, &err) != ASSEMBLE_DONE)
		return 1;
	if (assemble_fetch(a, &source, &err) != ASSEMBLE_LOCAL || err.code != ERR_DISK_FULL)
		return 2;
	kept = manifest_stream_size(b->v1.parsed) - assemble_missing(a);
	if (!grow_small(b->top, "64m"))
		return 3;
	/* A new process would come to the same: the journal has what was written. */
	assemble_close(a);
	if (!assemble_open(&a, &params, &err) || assemble_local(a, &err) != ASSEMBLE_DONE)
		return 4;
	if (kept > 0 && assemble_stats(a).bytes_seed == 0)
		return 5;
	if (assemble_fetch(a, &source, &err) != ASSEMBLE_DONE || !assemble_finish(a, &err))
		return 6;
	assemble_close(a);
	assert_tree(b, version_1, COUNT_OF(version_1));
	return 0;
}

static void a_full_disk_loses_nothing(void **state UNUSED)
{
	static const char *const sizes[] = { "1m", "2m", "3m", "4m" };

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct bench b;
		int status;
		pid_t child;

		set_up(&b);
		child = fork();
		if (child == 0)
			_exit(fill_up_and_go_on(&b, sizes[i]));
		assert_int_equal(waitpid(child, &status, 0), child);
		tear_down(&b);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == CANNOT_MOUNT)
			skip();
		if (WEXITSTATUS(status) != 0)
			fail_msg("with %s: step %d", sizes[i], WEXITSTATUS(status));
	}
}

#define SMALL_FILES 5000

static void five_thousand_small_files_arrive(void **state UNUSED)
{
	struct fakefile *files = alloc_zeroed(SMALL_FILES + 50, sizeof(*files));
	char **names = alloc_zeroed(SMALL_FILES + 50, sizeof(*names));
	struct bench b;
	struct fakeversion v;
	struct assemble_params params;
	uint32_t count = 0;

	set_up(&b);
	for (uint32_t d = 0; d < 50; d++) {
		names[count] = alloc_printf("d%02u", d);
		files[count] = (struct fakefile){ .path = names[count], .is_dir = true };
		count++;
	}
	for (uint32_t n = 0; n < SMALL_FILES; n++) {
		names[count] = alloc_printf("d%02u/f%u", n % 50, n);
		files[count] = (struct fakefile){ names[count], n + 100, n % 4000, 0, NULL, false };
		count++;
	}
	fakedp_publish(&b.dp, &v, 2, files, count);
	params = params_for(&b, &v);
	SCOPED(assemble) struct assemble *a = open_local(&params);

	fetch_from(a, &b.dp, ASSEMBLE_DONE);
	finish(a);
	assert_tree(&b, files, count);
	for (uint32_t n = 0; n < count; n++)
		free(names[n]);
	free(names);
	free(files);
	fakeversion_release(&v);
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(a_package_is_fetched_whole), cmocka_unit_test(zeros_stay_holes),
	     cmocka_unit_test(the_next_server_gets_the_rest),
	     cmocka_unit_test(a_corrupt_chunk_names_its_pack),
	     cmocka_unit_test(one_corrupt_frame_costs_one_frame),
	     cmocka_unit_test(a_server_without_ranges_works_and_is_stopped),
	     cmocka_unit_test(a_connection_cut_anywhere_loses_at_most_one_frame),
	     cmocka_unit_test(a_kill_at_any_moment_costs_what_was_in_flight),
	     cmocka_unit_test(an_update_moves_only_what_is_new),
	     cmocka_unit_test(an_update_comes_as_a_patch),
	     cmocka_unit_test(a_first_install_comes_as_a_stream),
	     cmocka_unit_test(a_patch_from_another_version_is_left_alone),
	     cmocka_unit_test(a_server_whose_patch_is_bad_is_named),
	     cmocka_unit_test(a_patch_that_lies_costs_bytes_only),
	     cmocka_unit_test(a_seed_that_was_changed_costs_bytes_only),
	     cmocka_unit_test(a_patch_goes_on_where_it_was_cut),
	     cmocka_unit_test(a_server_without_ranges_gives_a_patch_too),
	     cmocka_unit_test(rollback_renames_and_equal_files_cost_nothing),
	     cmocka_unit_test(a_seed_changed_behind_our_back_costs_bytes_only),
	     cmocka_unit_test(a_damaged_tree_is_mended),
	     cmocka_unit_test(another_manifest_starts_over),
	     cmocka_unit_test(a_cancelled_fetch_stops_and_can_go_on),
	     cmocka_unit_test(the_rate_is_kept), cmocka_unit_test(progress_ends_at_the_total),
	     cmocka_unit_test(a_full_disk_loses_nothing),
	     cmocka_unit_test(five_thousand_small_files_arrive))

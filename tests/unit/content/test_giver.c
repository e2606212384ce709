/* Chunks pass from a worker's assembly to a keeper's; the keeper is a thread of this process. */
#include "support/testing.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/takerbox.h"

/* Random bytes are stored as they are, zeros are compressed, and stand in many places. */
static const struct fakefile version_1[] = {
	{ .path = "bin", .is_dir = true },
	{ .path = "bin/again", .seed = 1, .size = 1500000, .mode = 0600 },
	{ .path = "bin/run", .target = "tool" },
	{ .path = "bin/tool", .seed = 1, .size = 1500000, .mode = 0755 },
	{ .path = "closed", .is_dir = true, .mode = 0555 },
	{ .path = "closed/file", .seed = 2, .size = 700, .mode = 0400 },
	{ .path = "empty", .size = 0 },
	{ .path = "everybody", .seed = 3, .size = 90, .mode = 0666 },
	{ .path = "share", .is_dir = true },
	{ .path = "share/a", .seed = 5, .size = 20000 },
	{ .path = "share/data", .seed = 8, .size = 900000 },
	{ .path = "zeros", .seed = 0, .size = 2000000 },
};

static const struct fakefile version_2[] = {
	{ .path = "bin", .is_dir = true },
	{ .path = "bin/renamed", .seed = 1, .size = 1500000, .mode = 0755 },
	{ .path = "share", .is_dir = true },
	{ .path = "share/a", .seed = 50, .size = 20000 },
	{ .path = "share/data", .seed = 8, .size = 900000 },
	{ .path = "share/new", .seed = 9, .size = 300000 },
};

struct bench {
	struct takerbox box;
	struct fakeversion v1;
	struct assemble_params params;
	struct giver *giver;
	struct assemble *assemble;
	char *old_tree, *old_manifest; /* after make_seed */
	struct assemble_seed seed;
};

static void set_up(struct bench *b)
{
	*b = (struct bench){ .giver = NULL };
	takerbox_set_up(&b->box);
	fakedp_publish(&b->box.dp, &b->v1, 1, version_1, COUNT_OF(version_1));
}

static void tear_down(struct bench *b)
{
	free(b->old_tree);
	free(b->old_manifest);
	fakeversion_release(&b->v1);
	takerbox_tear_down(&b->box);
}

/* Version 1 stands at top/old, for those who want to draw on it. */
static void make_seed(struct bench *b)
{
	SCOPED_TEXT char *old = path_join(b->box.top, "old");

	fakedp_assemble(&b->box.dp, &b->v1, old);
	b->box.dp.bytes_sent = 0;
	b->old_tree = path_join(old, "tree");
	b->old_manifest = path_join(old, "manifest");
	b->seed = (struct assemble_seed){ b->old_tree, b->old_manifest, 1 };
}

static enum giver_begun open_giver(struct bench *b, struct err *err)
{
	json_auto_t *request = json_pack("{s:s}", "op", "begin");

	return giver_open(&b->giver, b->box.socket, request, err);
}

static void open_assembly(struct bench *b, const struct fakeversion *v)
{
	struct err err = { 0 };

	b->params = (struct assemble_params){
		.dir = b->box.gives,
		.giver = b->giver,
		.manifest = buf_span(&v->manifest),
		.index = b->box.dp.index_name,
		.seeds = &b->seed,
		.seed_count = b->old_tree != NULL,
		.gap = PLAN_GAP_DEFAULT,
		.clock = clock_system(),
	};
	assert_done(assemble_open(&b->assemble, &b->params, &err), &err);
}

/* Up to where fetching begins. */
static void begin(struct bench *b, const struct fakeversion *v)
{
	struct err err = { 0 };

	if (open_giver(b, &err) != GIVER_BEGUN)
		fail_msg("begin: %s", err.why);
	open_assembly(b, v);
	if (assemble_local(b->assemble, &err) != ASSEMBLE_DONE)
		fail_msg("local: %s", err.why);
}

static enum assemble_result fetch(struct bench *b, struct err *err)
{
	struct transfer_source source = fakedp_source(&b->box.dp);

	return assemble_fetch(b->assemble, &source, err);
}

static void fetch_all(struct bench *b)
{
	struct err err = { 0 };

	if (fetch(b, &err) != ASSEMBLE_DONE)
		fail_msg("fetch: %s", err.why);
	assert_int_equal(assemble_missing(b->assemble), 0);
}

static void leave(struct bench *b)
{
	assemble_close(b->assemble);
	b->assemble = NULL;
	giver_close(b->giver);
	b->giver = NULL;
	takerbox_join(&b->box);
}

static void finish(struct bench *b, const struct fakeversion *v)
{
	struct err err = { 0 };

	assert_done(assemble_finish(b->assemble, &err), &err);
	leave(b);
	takerbox_assert_kept(&b->box, v);
}

static bool has_codec(const struct fakedp *dp, enum frame_codec codec)
{
	for (uint32_t n = 0; n < dp->packs[0].frame_count; n++)
		if (dp->packs[0].frames[n].codec == codec)
			return true;
	return false;
}

static uint64_t stored_bytes(const struct fakedp *dp)
{
	uint64_t bytes = 0;

	for (uint32_t n = 0; n < dp->packs[0].frame_count; n++)
		if (dp->packs[0].frames[n].codec == FRAME_STORED)
			bytes += dp->packs[0].frames[n].stored_size;
	return bytes;
}

static void a_version_arrives_whole(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *tree = NULL;

	set_up(&b);
	assert_true(has_codec(&b.box.dp, FRAME_STORED));
	assert_true(has_codec(&b.box.dp, FRAME_ZSTD));
	takerbox_start(&b.box, &b.v1, NULL, 0);
	begin(&b, &b.v1);
	assert_int_equal(assemble_stats(b.assemble).bytes_seed, 0);
	fetch_all(&b);
	assert_int_equal(assemble_stats(b.assemble).bytes_network, b.box.dp.bytes_sent);
	finish(&b, &b.v1);
	/* Who gives keeps nothing. */
	tree = path_join(b.box.gives, "tree");
	assert_false(path_exists(tree));
	tear_down(&b);
}

/* A frame that is stored comes where the keeper reads it; what is to be decoded never does, since
 * who receives might change it meanwhile. */
static void what_is_received_comes_where_the_keeper_reads(void **state UNUSED)
{
	static const size_t pieces[] = { 5000, 1u << 20, 1u << 30 };

	for (size_t i = 0; i < COUNT_OF(pieces); i++) {
		struct bench b;

		set_up(&b);
		b.box.dp.piece = pieces[i];
		takerbox_start(&b.box, &b.v1, NULL, 0);
		begin(&b, &b.v1);
		fetch_all(&b);
		assert_in_range(b.box.dp.bytes_placed, 1, stored_bytes(&b.box.dp));
		assert_ptr_equal(b.box.dp.room, NULL);
		finish(&b, &b.v1);
		tear_down(&b);
	}
}

static void what_everybody_might_write_is_the_keepers_alone(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *file = NULL;
	struct stat st;

	set_up(&b);
	takerbox_start(&b.box, &b.v1, NULL, 0);
	begin(&b, &b.v1);
	fetch_all(&b);
	finish(&b, &b.v1);
	file = path_join(b.box.keeps, "tree/everybody");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0664);
	tear_down(&b);
}

static void a_package_without_bytes_arrives(void **state UNUSED)
{
	static const struct fakefile files[] = { { .path = "empty", .size = 0 } };
	struct bench b;
	struct fakeversion v;

	set_up(&b);
	fakedp_publish(&b.box.dp, &v, 2, files, COUNT_OF(files));
	takerbox_start(&b.box, &v, NULL, 0);
	begin(&b, &v);
	assert_int_equal(assemble_missing(b.assemble), 0);
	finish(&b, &v);
	fakeversion_release(&v);
	tear_down(&b);
}

static void a_patch_and_a_stream_arrive(void **state UNUSED)
{
	for (int is_patch = 0; is_patch < 2; is_patch++) {
		struct bench b;
		struct fakeversion v2;

		set_up(&b);
		make_seed(&b);
		fakedp_publish(&b.box.dp, &v2, 2, version_2, COUNT_OF(version_2));
		fakedp_add_delta(&b.box.dp, &v2, is_patch ? &b.v1 : NULL, (uint32_t)is_patch);
		takerbox_start(&b.box, &v2, NULL, 0);
		begin(&b, &v2);
		b.params.gap = 100u << 20; /* a round trip is dear, and there are two packs */
		fetch_all(&b);
		assert_int_equal(assemble_stats(b.assemble).how,
				 is_patch ? PLAN_PATCH : PLAN_STREAM);
		finish(&b, &v2);
		fakeversion_release(&v2);
		tear_down(&b);
	}
}

static void what_the_keeper_has_is_not_asked_for(void **state UNUSED)
{
	struct bench b;
	struct fakeversion v2;

	set_up(&b);
	make_seed(&b);
	fakedp_publish(&b.box.dp, &v2, 2, version_2, COUNT_OF(version_2));
	takerbox_start(&b.box, &v2, &b.seed, 1);
	begin(&b, &v2);
	assert_true(assemble_stats(b.assemble).bytes_seed > 2000000);
	fetch_all(&b);
	/* New are 320,000 bytes, and the chunks at their edges. */
	assert_in_range(b.box.dp.bytes_sent, 320000, 320000 + 4 * CHUNKER_MAX);
	finish(&b, &v2);
	fakeversion_release(&v2);
	tear_down(&b);
}

static void a_keeper_goes_on_where_another_one_stopped(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	uint64_t total;

	set_up(&b);
	total = b.box.dp.packs[0].bytes.size;
	takerbox_start(&b.box, &b.v1, NULL, 0);
	begin(&b, &b.v1);
	b.box.dp.fault = FAKEDP_CUT;
	b.box.dp.fault_at = total / 2;
	assert_int_equal(fetch(&b, &err), ASSEMBLE_FAILED);
	leave(&b);
	assert_false(b.box.is_done);
	assert_int_equal(b.box.err.code, ERR_INTERRUPTED);

	b.box.dp.fault = FAKEDP_FINE;
	b.box.dp.bytes_sent = 0;
	takerbox_start(&b.box, &b.v1, NULL, 0);
	begin(&b, &b.v1);
	assert_true(assemble_stats(b.assemble).bytes_seed > 0);
	fetch_all(&b);
	assert_true(b.box.dp.bytes_sent <=
		    total - b.box.dp.fault_at + FAKEDP_FRAME_RAW + b.box.dp.index.size);
	finish(&b, &b.v1);
	tear_down(&b);
}

static void a_finish_too_early_is_refused(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };

	set_up(&b);
	takerbox_start(&b.box, &b.v1, NULL, 0);
	begin(&b, &b.v1);
	b.box.dp.fault = FAKEDP_CUT;
	b.box.dp.fault_at = b.box.dp.packs[0].bytes.size - 1;
	assert_int_equal(fetch(&b, &err), ASSEMBLE_FAILED);
	assert_false(giver_finish(b.giver, &err));
	assert_int_equal(err.code, ERR_CORRUPT);
	leave(&b);
	assert_false(b.box.is_done);
	assert_true(b.box.missing > 0);
	tear_down(&b);
}

/* The byte is flipped in a frame that is stored as it is: only the keeper's hash can tell. */
static void a_wrong_chunk_is_its_servers_fault(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	char pack[PACK_NAME_MAX];

	set_up(&b);
	assert_int_equal(b.box.dp.packs[0].frames[0].codec, FRAME_STORED);
	takerbox_start(&b.box, &b.v1, NULL, 0);
	begin(&b, &b.v1);
	b.box.dp.fault = FAKEDP_FLIP;
	b.box.dp.fault_at = 100;
	assert_int_equal(fetch(&b, &err), ASSEMBLE_CORRUPT);
	assert_int_equal(err.code, ERR_CORRUPT);
	pack_print_name(pack, &b.box.dp.packs[0].digest);
	assert_non_null(strstr(err.why, pack));
	assert_true(assemble_missing(b.assemble) > 0);
	/* The next server has it. */
	b.box.dp.fault = FAKEDP_FINE;
	fetch_all(&b);
	finish(&b, &b.v1);
	tear_down(&b);
}

/* It was made from a version 1 with another share/a: the keeper's hash tells, ranges follow. */
static void a_patch_that_lies_costs_bytes_only(void **state UNUSED)
{
	struct fakefile lies[COUNT_OF(version_1)];
	struct bench b;
	struct fakeversion v2, other;

	memcpy(lies, version_1, sizeof(lies));
	assert_string_equal(lies[9].path, "share/a");
	lies[9].seed = 50;

	set_up(&b);
	make_seed(&b);
	fakedp_publish(&b.box.dp, &v2, 2, version_2, COUNT_OF(version_2));
	fakedp_publish(&b.box.dp, &other, 2, lies, COUNT_OF(lies));
	fakedp_add_delta(&b.box.dp, &v2, &other, 1);
	takerbox_start(&b.box, &v2, NULL, 0);
	begin(&b, &v2);
	b.params.gap = 100u << 20;
	fetch_all(&b);
	assert_int_equal(assemble_stats(b.assemble).how, PLAN_RANGES);
	finish(&b, &v2);
	fakeversion_release(&other);
	fakeversion_release(&v2);
	tear_down(&b);
}

#define CANNOT_MOUNT 77

static bool mount_small(const char *dir)
{
	return mkdir(dir, 0700) == 0 &&
	       (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("packway-test", dir, "tmpfs", 0, "size=2m") == 0;
}

/* In a child of its own namespace; its exit code tells. */
static int fill_up_and_go_on(struct bench *b)
{
	struct err err = { 0 };

	if (!mount_small(b->box.keeps))
		return CANNOT_MOUNT;
	takerbox_start(&b->box, &b->v1, NULL, 0);
	begin(b, &b->v1);
	if (fetch(b, &err) != ASSEMBLE_LOCAL)
		return 1;
	if (err.code != ERR_DISK_FULL || strstr(err.why, strerror(ENOSPC)) == NULL)
		return 2;
	if (mount("packway-test", b->box.keeps, "tmpfs", MS_REMOUNT, "size=64m") != 0)
		return 3;
	if (fetch(b, &err) != ASSEMBLE_DONE || !assemble_finish(b->assemble, &err))
		return 4;
	leave(b);
	takerbox_assert_kept(&b->box, &b->v1);
	return 0;
}

static void a_full_disk_of_the_keepers_is_told_in_its_words(void **state UNUSED)
{
	struct bench b;
	int status;
	pid_t child;

	set_up(&b);
	child = fork();
	if (child == 0)
		_exit(fill_up_and_go_on(&b));
	assert_int_equal(waitpid(child, &status, 0), child);
	tear_down(&b);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CANNOT_MOUNT)
		skip();
	if (WEXITSTATUS(status) != 0)
		fail_msg("step %d", WEXITSTATUS(status));
}

/* As far as it goes; the last fault. */
static enum err_code give_to_one_that_ends(struct bench *b)
{
	struct err err = { 0 };

	if (open_giver(b, &err) != GIVER_BEGUN)
		return err.code;
	open_assembly(b, &b->v1);
	if (assemble_local(b->assemble, &err) == ASSEMBLE_DONE && fetch(b, &err) == ASSEMBLE_DONE)
		(void)!assemble_finish(b->assemble, &err);
	return err.code;
}

static void a_keeper_that_ends_is_no_servers_fault(void **state UNUSED)
{
	for (int end = TAKERBOX_ENDS_AT_ONCE; end <= TAKERBOX_ENDS_BEFORE_DONE; end++) {
		struct bench b;

		set_up(&b);
		b.box.end = (enum takerbox_end)end;
		takerbox_start(&b.box, &b.v1, NULL, 0);
		if (give_to_one_that_ends(&b) != ERR_INTERRUPTED)
			fail_msg("the keeper's end at step %d is not told", end);
		leave(&b);
		tear_down(&b);
	}
}

static void a_giver_that_ends_leaves_the_keeper_nothing_to_finish(void **state UNUSED)
{
	for (int step = 0; step < 2; step++) {
		struct bench b;
		struct err err = { 0 };

		set_up(&b);
		takerbox_start(&b.box, &b.v1, NULL, 0);
		if (step == 0)
			close(b.box.socket);
		else
			assert_int_equal(open_giver(&b, &err), GIVER_BEGUN);
		leave(&b);
		assert_false(b.box.is_done);
		/* Of one that closed between frames there is nothing to say. */
		assert_true(b.box.err.code == ERR_INTERRUPTED || step == 0);
		tear_down(&b);
	}
}

/* It was told so with the last chunk. */
static void a_giver_that_ends_when_all_is_given_has_it_finished(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };

	set_up(&b);
	takerbox_start(&b.box, &b.v1, NULL, 0);
	assert_int_equal(open_giver(&b, &err), GIVER_BEGUN);
	open_assembly(&b, &b.v1);
	assert_int_equal(assemble_local(b.assemble, &err), ASSEMBLE_DONE);
	fetch_all(&b);
	leave(&b);
	assert_true(b.box.is_done);
	tear_down(&b);
}

static void a_keepers_refusal_comes_in_its_own_words(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	struct err why = { 0 };
	int pair[2];

	set_up(&b);
	assert_done(wire_pair(pair, &err), &err);
	err_set(&why, ERR_LIMIT, "it does not fit");
	err_fix(&why, "make room");
	taker_refuse(pair[0], &why);
	b.box.socket = pair[1];
	assert_int_equal(open_giver(&b, &err), GIVER_FAULT);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.why, "it does not fit");
	assert_string_equal(err.fix, "make room");
	close(pair[0]);
	tear_down(&b);
}

static void what_is_here_needs_no_giving(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	int pair[2];

	set_up(&b);
	assert_done(wire_pair(pair, &err), &err);
	taker_say_here(pair[0]);
	b.box.socket = pair[1];
	assert_int_equal(open_giver(&b, &err), GIVER_HERE);
	assert_null(b.giver);
	close(pair[0]);
	tear_down(&b);
}

static void a_wait_for_the_keeper_can_be_stopped(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	atomic_bool cancel = true;

	set_up(&b);
	make_seed(&b);
	takerbox_start(&b.box, &b.v1, &b.seed, 1);
	assert_int_equal(open_giver(&b, &err), GIVER_BEGUN);
	open_assembly(&b, &b.v1);
	b.params.cancel = &cancel;
	assert_int_equal(assemble_local(b.assemble, &err), ASSEMBLE_CANCELLED);
	leave(&b);
	assert_false(b.box.is_done);
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(a_version_arrives_whole),
	     cmocka_unit_test(what_is_received_comes_where_the_keeper_reads),
	     cmocka_unit_test(what_everybody_might_write_is_the_keepers_alone),
	     cmocka_unit_test(a_package_without_bytes_arrives),
	     cmocka_unit_test(a_patch_and_a_stream_arrive),
	     cmocka_unit_test(what_the_keeper_has_is_not_asked_for),
	     cmocka_unit_test(a_keeper_goes_on_where_another_one_stopped),
	     cmocka_unit_test(a_finish_too_early_is_refused),
	     cmocka_unit_test(a_wrong_chunk_is_its_servers_fault),
	     cmocka_unit_test(a_patch_that_lies_costs_bytes_only),
	     cmocka_unit_test(a_full_disk_of_the_keepers_is_told_in_its_words),
	     cmocka_unit_test(a_keeper_that_ends_is_no_servers_fault),
	     cmocka_unit_test(a_giver_that_ends_leaves_the_keeper_nothing_to_finish),
	     cmocka_unit_test(a_giver_that_ends_when_all_is_given_has_it_finished),
	     cmocka_unit_test(a_keepers_refusal_comes_in_its_own_words),
	     cmocka_unit_test(what_is_here_needs_no_giving),
	     cmocka_unit_test(a_wait_for_the_keeper_can_be_stopped))

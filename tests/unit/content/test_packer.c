#include "content/packer.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/random.h"
#include "content/deltamake.h"
#include "content/frame.h"
#include "content/library.h"
#include "content/manifest.h"
#include "content/pack.h"
#include "support/failnth.h"
#include "support/tempdir.h"
#include "support/testing.h"

#define PACKAGE "LON00001"

static int make_folder(void **state)
{
	*state = tempdir_make("packer");
	return chdir(*state) == 0 && mkdir("src", 0755) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
	int failed = chdir("/");

	tempdir_remove(*state);
	return failed;
}

static void put_bytes(const char *path, struct span bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	struct err err;

	assert_true(fd >= 0);
	assert_done(path_write_fd(fd, bytes, &err), &err);
	close(fd);
}

/* Noise of `size` bytes, the same for the same `seed`; it does not compress. */
static void fill_noise(struct buf *out, size_t size, uint64_t seed)
{
	struct random_seq r;

	random_seq_init(&r, seed, "test packer");
	for (size_t i = 0; i < size; i += 8)
		buf_put_u64(out, random_seq_next(&r));
	out->size = size;
}

static void put_noise(const char *path, size_t size, uint64_t seed)
{
	SCOPED(buf) struct buf bytes = { 0 };

	fill_noise(&bytes, size, seed);
	put_bytes(path, buf_span(&bytes));
}

/* Hexadecimal digits of noise: halves when compressed. */
static void put_text(const char *path, size_t size, uint64_t seed)
{
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED(buf) struct buf text = { 0 };

	fill_noise(&bytes, size / 2, seed);
	for (size_t i = 0; i < bytes.size; i++)
		buf_printf(&text, "%02x", bytes.data[i]);
	put_bytes(path, buf_span(&text));
}

/* A tree with a bit of everything. */
static void make_tree(void)
{
	assert_int_equal(mkdir("src/dir with space", 0755), 0);
	assert_int_equal(mkdir("src/empty", 0700), 0);
	put_bytes("src/-rf", span_of_text("leading dash"));
	put_bytes("src/new\nline", span_of_text("x"));
	put_bytes("src/'\"", span_of_text(""));
	put_text("src/dir with space/text", 3000000, 1);
	put_noise("src/dir with space/noise", 5000000, 2);
	put_text("src/dir with space/\xc3\xbcml\xc3\xa4ut", 700000, 3);
	for (unsigned int i = 0; i < 200; i++) {
		SCOPED_TEXT char *path = alloc_printf("src/small%u", i);

		put_text(path, 100 + 200 * (i % 50), i % 50);
		assert_int_equal(chmod(path, 0400 | (i & 0777)), 0);
	}
	assert_int_equal(symlink("dir with space/text", "src/link"), 0);
}

static struct packer_options options_for(uint32_t version)
{
	return (struct packer_options){
		.library = "lib",
		.package = PACKAGE,
		.version = version,
		.source = "src",
	};
}

static void run(struct packer_result *out, uint32_t version)
{
	struct packer_options options = options_for(version);
	struct err err;

	assert_done(packer_run(out, &options, &err), &err);
}

/* Decode a frame of the library and append the chunk to `out`, checking its hash. */
static void put_chunk(struct buf *out, const struct index *idx, const struct manifest_chunk *want)
{
	SCOPED(frame_decoder) struct frame_decoder *dec = frame_decoder_new();
	const struct index_chunk *chunk = index_find(idx, &want->id);
	const struct index_frame *frame;
	char name[PACK_NAME_MAX];
	SCOPED_TEXT char *path = NULL;
	SCOPED_TEXT char *stored = NULL;
	SCOPED_TEXT char *raw = NULL;
	SCOPED_FD int fd = -1;
	struct digest got;
	struct err err;

	assert_non_null(chunk);
	frame = index_frame_at(idx, chunk->frame);
	pack_print_name(name, &index_pack_at(idx, frame->pack)->digest);
	path = path_join("lib/" PACKAGE "/packs", name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	stored = alloc_zeroed(1, frame->stored_size);
	raw = alloc_zeroed(1, frame->raw_size);
	assert_int_equal(pread(fd, stored, frame->stored_size, (off_t)frame->offset),
			 frame->stored_size);
	assert_done(frame_decode(raw, frame->raw_size, dec, frame->codec,
				 span_of(stored, frame->stored_size), &err),
		    &err);
	assert_int_equal(chunk->size, want->size);
	digest_of(&got, span_of(raw + chunk->offset, chunk->size));
	assert_true(digest_equal(&got, &want->id));
	buf_put(out, raw + chunk->offset, chunk->size);
}

/* Check that manifest, index and packs together hold exactly what the source holds. */
static void check_content(const struct packer_result *r)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(manifest) struct manifest *m = NULL;
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf index_bytes = { 0 };
	SCOPED(buf) struct buf stream = { 0 };
	struct err err;

	assert_done(manifest_read(&m, buf_span(&r->manifest), &err), &err);
	assert_done(library_open(&lib, "lib", PACKAGE, &err), &err);
	assert_done(library_read_index(&idx, &index_bytes, &lib, r->index_name, &err), &err);
	for (uint32_t i = 0; i < manifest_chunk_count(m); i++)
		put_chunk(&stream, idx, manifest_chunk_at(m, i));
	for (uint32_t i = 0; i < manifest_entry_count(m); i++) {
		const struct manifest_entry *e = manifest_entry_at(m, i);
		SCOPED_TEXT char *path = path_join("src", e->path);
		SCOPED(buf) struct buf bytes = { 0 };
		struct stat st;

		assert_int_equal(lstat(path, &st), 0);
		if (e->type != MANIFEST_FILE)
			continue;
		assert_int_equal(e->mode, st.st_mode & 0777);
		assert_done(path_read(&bytes, path, 1u << 30, &err), &err);
		assert_true(
			span_equal(buf_span(&bytes), span_of(stream.data + e->offset, e->size)));
	}
}

/* What stands in the library, as one text; temporary files fail the test. */
static char *listing(void)
{
	static const char *const folders[] = { "lib/" PACKAGE "/packs", "lib/" PACKAGE "/index" };
	struct buf out = { 0 };

	for (size_t f = 0; f < COUNT_OF(folders); f++) {
		struct dirent **names;
		int count = scandir(folders[f], &names, NULL, alphasort);

		for (int i = 0; i < count; i++) {
			if (names[i]->d_name[0] == '.' && strlen(names[i]->d_name) > 2)
				fail_msg("left over: %s", names[i]->d_name);
			buf_printf(&out, "%s\n", names[i]->d_name);
			free(names[i]);
		}
		if (count >= 0)
			free(names);
	}
	return buf_take(&out);
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

static void a_tree_comes_back_as_it_was(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result r;

	make_tree();
	run(&r, 1);
	assert_int_equal(r.outcome, PACKER_MADE);
	assert_int_equal(r.files, 206);
	assert_int_equal(r.new_packs, 1);
	assert_int_equal(r.new_raw_bytes, r.stream_bytes);
	assert_true(r.stream_bytes < r.bytes);
	/* Text halves, noise stays. */
	assert_in_range(r.new_bytes, 5000000, 5000000 + 3700000 * 6 / 10 + 1000000);
	check_content(&r);
}

static void the_same_tree_gives_the_same_bytes(void **state UNUSED)
{
	SCOPED_TEXT char *first = NULL;
	SCOPED_TEXT char *second = NULL;
	SCOPED(packer_result) struct packer_result a;
	SCOPED(packer_result) struct packer_result b;
	struct err err;

	make_tree();
	run(&a, 1);
	first = listing();
	assert_true(path_remove_tree("lib", &err));
	run(&b, 1);
	second = listing();
	assert_string_equal(first, second);
	assert_true(span_equal(buf_span(&a.manifest), buf_span(&b.manifest)));
}

static void unchanged_content_makes_no_version(void **state UNUSED)
{
	struct packer_options options = options_for(2);
	SCOPED(packer_result) struct packer_result a;
	SCOPED(packer_result) struct packer_result b;
	SCOPED_TEXT char *before = NULL;
	SCOPED_TEXT char *after = NULL;
	struct err err;

	make_tree();
	run(&a, 1);
	before = listing();
	/* Times are not content. */
	assert_int_equal(utimensat(AT_FDCWD, "src/-rf", NULL, 0), 0);
	options.latest = &a.identity;
	assert_done(packer_run(&b, &options, &err), &err);
	assert_int_equal(b.outcome, PACKER_UNCHANGED);
	after = listing();
	assert_string_equal(before, after);
}

/* Q184512: an update carries what is new, nothing else. */
static void an_insertion_costs_little(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result a;
	SCOPED(packer_result) struct packer_result b;
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED(buf) struct buf changed = { 0 };
	struct err err;

	put_noise("src/big", 8000000, 1);
	run(&a, 1);
	assert_done(path_read(&bytes, "src/big", 1u << 30, &err), &err);
	buf_put(&changed, bytes.data, 4000000);
	buf_put_text(&changed, "something new in the middle");
	buf_put(&changed, bytes.data + 4000000, 4000000);
	put_bytes("src/big", buf_span(&changed));
	run(&b, 2);
	assert_in_range(b.new_raw_bytes, 1, 3 * 256 * 1024);
	check_content(&b);
}

static void same_and_renamed_files_cost_nothing(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result a;
	SCOPED(packer_result) struct packer_result b;

	put_noise("src/big", 1000000, 1);
	put_noise("src/small", 10000, 2);
	run(&a, 1);
	put_noise("src/big copy", 1000000, 1);
	put_noise("src/small copy", 10000, 2);
	run(&b, 2);
	assert_int_equal(b.new_raw_bytes, 0);
	assert_int_equal(b.new_packs, 0);
	assert_int_equal(b.stream_bytes, a.stream_bytes);
	check_content(&b);
	assert_int_equal(rename("src/big", "src/a new name, elsewhere"), 0);
	packer_result_release(&b);
	run(&b, 3);
	assert_int_equal(b.new_raw_bytes, 0);
	check_content(&b);
}

static void files_of_one_size_are_not_confused(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result r;

	for (unsigned int i = 0; i < 20; i++) {
		SCOPED_TEXT char *small = alloc_printf("src/s%02u", i);
		SCOPED_TEXT char *large = alloc_printf("src/l%02u", i);

		put_noise(small, 5000, i % 10);
		put_noise(large, 300000, i % 10);
	}
	run(&r, 1);
	assert_int_equal(r.bytes, 20 * 305000);
	assert_int_equal(r.stream_bytes, 10 * 305000);
	check_content(&r);
}

static void an_old_version_comes_back_without_packs(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result a;
	SCOPED(packer_result) struct packer_result b;
	SCOPED(packer_result) struct packer_result c;
	struct packer_repeated d;
	struct err err;

	put_noise("src/file", 1000000, 1);
	run(&a, 1);
	put_noise("src/file", 1000000, 2);
	run(&b, 2);
	assert_int_equal(b.new_packs, 1);
	/* By its content … */
	put_noise("src/file", 1000000, 1);
	run(&c, 3);
	assert_int_equal(c.new_packs, 0);
	assert_true(digest_equal(&a.identity, &c.identity));
	check_content(&c);
	/* … and by its index. */
	assert_done(packer_repeat(&d, "lib", PACKAGE, 4, a.index_name, &err), &err);
	assert_true(strncmp(d.index_name, "4-", 2) == 0);
	assert_string_equal(d.index_name + 2, a.index_name + 2);
	assert_int_equal(d.index_size, a.index_size);
}

/* They are named by their version: the new one has none of those names. */
static void an_old_version_comes_back_without_its_patches(void **state UNUSED)
{
	const struct index_delta deltas[] = { { .kind = INDEX_STREAM, .size = 10 },
					      { .kind = INDEX_PATCH, .from = 1, .size = 10 } };
	SCOPED(packer_result) struct packer_result a;
	struct packer_repeated d;
	char listed[INDEX_NAME_MAX];
	struct err err;

	put_noise("src/file", 1000000, 1);
	run(&a, 2);
	assert_done(deltamake_list(listed, "lib", PACKAGE, a.index_name, deltas, COUNT_OF(deltas),
				   &err),
		    &err);
	assert_string_not_equal(listed, a.index_name);
	assert_done(packer_repeat(&d, "lib", PACKAGE, 3, listed, &err), &err);
	assert_string_equal(d.index_name + 2, a.index_name + 2);
}

static void an_old_version_whose_packs_are_gone_is_not_found(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result r;
	struct packer_repeated d;
	struct err err;

	put_noise("src/file", 1000, 1);
	run(&r, 1);
	assert_true(path_remove_tree("lib/" PACKAGE "/packs", &err));
	assert_false(packer_repeat(&d, "lib", PACKAGE, 2, r.index_name, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_false(packer_repeat(&d, "lib", PACKAGE, 2, "7-00", &err));
	packer_result_release(&r);
	/* A lost pack is made again, not relied on. */
	run(&r, 2);
	assert_int_equal(r.new_packs, 1);
	check_content(&r);
}

static void one_empty_file_is_a_package(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result r;

	put_bytes("src/empty", span_of_text(""));
	run(&r, 1);
	assert_int_equal(r.files, 1);
	assert_int_equal(r.new_packs, 0);
	check_content(&r);
}

static void a_sparse_file_costs_almost_nothing(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result r;

	put_bytes("src/sparse", span_of_text("x"));
	assert_int_equal(truncate("src/sparse", (off_t)64 << 20), 0);
	run(&r, 1);
	assert_int_equal(r.bytes, 64 << 20);
	assert_in_range(r.new_bytes, 1, 100000);
	check_content(&r);
}

static void large_content_is_spread_over_packs(void **state UNUSED)
{
	struct packer_options options = options_for(1);
	SCOPED(packer_result) struct packer_result r;
	struct err err;

	put_noise("src/noise", 20000000, 1);
	options.pack_bytes = 5000000;
	assert_done(packer_run(&r, &options, &err), &err);
	assert_in_range(r.new_packs, 2, 4);
	check_content(&r);
}

static void a_version_without_an_index_is_swept(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result a;
	SCOPED(packer_result) struct packer_result b;
	SCOPED_TEXT char *index = NULL;
	SCOPED_TEXT char *left = NULL;
	char line[INDEX_NAME_MAX + 2];

	put_noise("src/file", 100000, 1);
	run(&a, 1);
	index = path_join("lib/" PACKAGE "/index", a.index_name);
	assert_int_equal(unlink(index), 0);
	put_bytes("lib/" PACKAGE "/packs/.new-0123", span_of_text("half"));
	put_bytes("lib/" PACKAGE "/index/.new-0123", span_of_text("half"));
	put_noise("src/file", 100000, 2);
	run(&b, 2);
	left = listing();
	snprintf(line, sizeof(line), "%s\n", b.index_name);
	assert_non_null(strstr(left, line));
	assert_int_equal(b.new_packs, 1);
	/* ".", "..", one pack; ".", "..", one index */
	assert_int_equal(count_lines(left), 6);
}

static void a_damaged_index_keeps_all_packs(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result a;
	SCOPED(packer_result) struct packer_result b;
	SCOPED_TEXT char *index = NULL;
	SCOPED_TEXT char *left = NULL;

	put_noise("src/file", 100000, 1);
	run(&a, 1);
	index = path_join("lib/" PACKAGE "/index", a.index_name);
	put_bytes(index, span_of_text("not an index any more"));
	put_noise("src/file", 100000, 2);
	run(&b, 2);
	left = listing();
	assert_int_equal(count_lines(left), 4 + 2 + 2);
}

/* Q263376: the source was deleted because it was the package share as well. */
static void source_and_library_must_not_overlap(void **state UNUSED)
{
	static const struct {
		const char *library, *source;
	} rows[] = { { "src", "src" }, { "src/lib", "src" }, { "lib", "lib/LON00001" } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct packer_options options = options_for(1);
		SCOPED(packer_result) struct packer_result r;
		struct err err;

		options.library = rows[i].library;
		options.source = rows[i].source;
		assert_false(packer_run(&r, &options, &err));
		assert_int_equal(err.code, ERR_SOURCE);
		assert_false(path_exists("src/lib"));
	}
}

static void a_second_run_waits_and_then_says_so(void **state UNUSED)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(packer_result) struct packer_result r;
	struct packer_options options = options_for(1);
	struct err err;

	put_bytes("src/file", span_of_text("x"));
	assert_done(library_open(&lib, "lib", PACKAGE, &err), &err);
	assert_false(packer_run(&r, &options, &err));
	assert_int_equal(err.code, ERR_LOCKED);
}

struct watch {
	uint64_t last, total;
	atomic_bool cancel;
	uint64_t cancel_at;
};

static void watch_progress(uint64_t done, uint64_t total, void *ctx)
{
	struct watch *w = ctx;

	assert_true(done >= w->last && done <= total);
	w->last = done;
	w->total = total;
	if (done >= w->cancel_at)
		atomic_store(&w->cancel, true);
}

static void progress_reaches_its_total(void **state UNUSED)
{
	struct watch w = { .cancel_at = UINT64_MAX };
	struct packer_options options = options_for(1);
	SCOPED(packer_result) struct packer_result r;
	struct err err;

	make_tree();
	options.progress = watch_progress;
	options.progress_ctx = &w;
	assert_done(packer_run(&r, &options, &err), &err);
	assert_int_equal(w.last, w.total);
	assert_int_equal(w.total, r.bytes);
}

static void a_cancelled_run_changes_nothing(void **state UNUSED)
{
	struct watch w = { .cancel_at = 10000000 };
	struct packer_options options = options_for(2);
	SCOPED(packer_result) struct packer_result a;
	SCOPED(packer_result) struct packer_result b;
	SCOPED_TEXT char *before = NULL;
	SCOPED_TEXT char *after = NULL;
	struct err err;

	put_noise("src/file", 1000, 1);
	run(&a, 1);
	before = listing();
	put_noise("src/file", 50000000, 2);
	options.progress = watch_progress;
	options.progress_ctx = &w;
	options.cancel = &w.cancel;
	assert_false(packer_run(&b, &options, &err));
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_true(w.last < 50000000);
	after = listing();
	assert_string_equal(before, after);
}

static void a_full_disk_changes_nothing_wherever_it_strikes(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result a;
	SCOPED_TEXT char *before = NULL;
	unsigned int n;

	put_noise("src/file", 1000, 1);
	run(&a, 1);
	before = listing();
	put_noise("src/file", 12000000, 2);
	for (n = 1;; n++) {
		struct packer_options options = options_for(2);
		SCOPED(packer_result) struct packer_result b;
		SCOPED_TEXT char *after = NULL;
		struct err err = { 0 };
		bool done;

		options.pack_bytes = 4000000;
		failnth_arm(n);
		done = packer_run(&b, &options, &err);
		if (!failnth_disarm()) {
			assert_done(done, &err);
			check_content(&b);
			break;
		}
		if (done) /* the flush of a folder behind a rename: it is there, and says so */
			fail_msg("call %u failed unnoticed", n);
		assert_int_equal(err.code, ERR_DISK_FULL);
		after = listing();
		/* The last call is the flush of the folder behind the index's name. */
		if (strcmp(before, after) != 0)
			assert_non_null(strstr(after, "2-"));
	}
	assert_true(n > 10);
}

/* In a child, so that it can be killed. */
static pid_t pack_in_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		struct packer_options options = options_for(2);
		struct packer_result r;
		struct err err;

		options.pack_bytes = 4000000;
		_exit(packer_run(&r, &options, &err) ? 0 : 1);
	}
	return child;
}

static void a_kill_at_any_moment_does_no_harm(void **state UNUSED)
{
	const uint64_t seed = testing_seed();
	struct random_seq r;
	SCOPED(packer_result) struct packer_result a;

	random_seq_init(&r, seed, "kill");
	put_noise("src/file", 1000, 1);
	run(&a, 1);
	put_text("src/file", 12000000, 2);
	for (int i = 0; i < 15; i++) {
		pid_t child = pack_in_child();
		int status;

		assert_true(child > 0);
		usleep((useconds_t)random_seq_below(&r, 120000));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	packer_result_release(&a);
	run(&a, 3);
	free(listing());
	check_content(&a);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

TESTING_MAIN(CASE(a_tree_comes_back_as_it_was), CASE(the_same_tree_gives_the_same_bytes),
	     CASE(unchanged_content_makes_no_version), CASE(an_insertion_costs_little),
	     CASE(same_and_renamed_files_cost_nothing), CASE(files_of_one_size_are_not_confused),
	     CASE(an_old_version_comes_back_without_packs),
	     CASE(an_old_version_comes_back_without_its_patches),
	     CASE(an_old_version_whose_packs_are_gone_is_not_found),
	     CASE(one_empty_file_is_a_package), CASE(a_sparse_file_costs_almost_nothing),
	     CASE(large_content_is_spread_over_packs), CASE(a_version_without_an_index_is_swept),
	     CASE(a_damaged_index_keeps_all_packs), CASE(source_and_library_must_not_overlap),
	     CASE(a_second_run_waits_and_then_says_so), CASE(progress_reaches_its_total),
	     CASE(a_cancelled_run_changes_nothing),
	     CASE(a_full_disk_changes_nothing_wherever_it_strikes),
	     CASE(a_kill_at_any_moment_does_no_harm))

/* Files that are not read because they look as they did: the result is as if they had been. */
#include "content/packer_known.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/random.h"
#include "support/tempdir.h"
#include "support/testing.h"

#define PACKAGE "LON00001"
#define FILES   400
#define ROUNDS  25

static int make_folder(void **state)
{
	*state = tempdir_make("packer_known");
	return chdir(*state) == 0 && mkdir("src", 0755) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
	int failed = chdir("/");

	tempdir_remove(*state);
	return failed;
}

static void put_file(unsigned int number, size_t size, uint64_t seed)
{
	char path[32];
	SCOPED(buf) struct buf bytes = { 0 };
	struct random_seq r;
	struct err err;
	int fd;

	random_seq_init(&r, seed, "known");
	while (bytes.size < size)
		buf_put_u64(&bytes, random_seq_next(&r));
	snprintf(path, sizeof(path), "src/f%03u", number);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_done(path_write_fd(fd, span_of(bytes.data, size), &err), &err);
	close(fd);
}

/* Mostly small ones, some large, some empty; few different contents, so that many are the same. */
static void put_random_file(struct random_seq *r, unsigned int number)
{
	uint64_t seed = random_seq_below(r, 300);
	static const size_t sizes[] = { 100, 5000, 5000, 20000, 70000, 200000, 300000, 0 };

	put_file(number, sizes[(seed * 7) % COUNT_OF(sizes)], seed);
}

static void wait_until_believed(void)
{
	const struct timespec pause = { .tv_sec = 2, .tv_nsec = 100000000 };

	assert_int_equal(nanosleep(&pause, NULL), 0);
}

static void run(struct packer_result *out, const char *library, uint32_t version,
		const struct digest *latest, bool reads_all)
{
	const struct packer_options options = {
		.library = library,
		.package = PACKAGE,
		.version = version,
		.source = "src",
		.latest = latest,
		.latest_manifest = "manifest",
		.reads_all = reads_all,
		.level = 1,
	};
	struct err err;

	assert_done(packer_run(out, &options, &err), &err);
}

static void keep_manifest(const struct packer_result *r)
{
	struct err err;

	assert_done(newfile_write("manifest", 0644, buf_span(&r->manifest), &err), &err);
}

/* Bytes that this process has read so far. */
static uint64_t bytes_read(void)
{
	char text[64] = "";
	uint64_t bytes = 0;
	FILE *f = fopen("/proc/self/io", "r");

	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_int_equal(sscanf(text, "rchar: %" SCNu64, &bytes), 1);
	return bytes;
}

static void change_some(struct random_seq *r)
{
	uint64_t count = 1 + random_seq_below(r, 6);

	for (uint64_t i = 0; i < count; i++) {
		unsigned int number = (unsigned int)random_seq_below(r, FILES);
		char path[32];

		snprintf(path, sizeof(path), "src/f%03u", number);
		if (random_seq_below(r, 3) == 0)
			(void)unlink(path);
		else
			put_random_file(r, number);
	}
}

static void the_manifest_is_that_of_reading_everything(void **state UNUSED)
{
	uint64_t seed = (uint64_t)time(NULL);
	struct random_seq r;
	SCOPED(packer_result) struct packer_result latest;
	uint64_t known = 0, whole = 0;

	print_message("# seed %" PRIu64 "\n", seed);
	random_seq_init(&r, seed, "known");
	for (unsigned int i = 0; i < FILES; i++)
		put_random_file(&r, i);
	wait_until_believed();
	run(&latest, "lib", 1, NULL, false);
	keep_manifest(&latest);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		SCOPED(packer_result) struct packer_result a;
		SCOPED(packer_result) struct packer_result b;
		uint64_t begin;

		change_some(&r);
		begin = bytes_read();
		run(&a, "lib", round + 2, &latest.identity, false);
		known += bytes_read() - begin;
		begin = bytes_read();
		run(&b, "other", round + 2, NULL, true);
		whole += bytes_read() - begin;
		assert_true(digest_equal(&a.identity, &b.identity));
		keep_manifest(&a);
		packer_result_release(&latest);
		latest = a;
		a = (struct packer_result){ 0 };
	}
	print_message("# read %" PRIu64 " of %" PRIu64 " bytes\n", known, whole);
	assert_true(known < whole / 2);
}

static void a_tree_that_was_not_touched_is_not_read(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result first;
	SCOPED(packer_result) struct packer_result again;
	SCOPED(packer_result) struct packer_result all;
	uint64_t begin;

	for (unsigned int i = 0; i < 50; i++)
		put_file(i, 50000, i);
	wait_until_believed();
	run(&first, "lib", 1, NULL, false);
	keep_manifest(&first);
	begin = bytes_read();
	run(&again, "lib", 2, &first.identity, false);
	assert_true(bytes_read() - begin < 100000);
	assert_int_equal(again.outcome, PACKER_UNCHANGED);
	assert_int_equal(again.files, 50);
	begin = bytes_read();
	run(&all, "lib", 2, &first.identity, true);
	assert_true(bytes_read() - begin > 50 * 50000);
	assert_int_equal(all.outcome, PACKER_UNCHANGED);
}

/* The first run believes none of them, since they were new; the second reads and remembers. */
static void files_that_were_new_are_read_once_more(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result first;
	SCOPED(packer_result) struct packer_result second;
	SCOPED(packer_result) struct packer_result third;
	uint64_t begin;

	for (unsigned int i = 0; i < 50; i++)
		put_file(i, 50000, i);
	run(&first, "lib", 1, NULL, false);
	keep_manifest(&first);
	wait_until_believed();
	begin = bytes_read();
	run(&second, "lib", 2, &first.identity, false);
	assert_true(bytes_read() - begin > 50 * 50000);
	begin = bytes_read();
	run(&third, "lib", 2, &first.identity, false);
	assert_true(bytes_read() - begin < 100000);
	assert_int_equal(third.outcome, PACKER_UNCHANGED);
}

static void a_new_mode_or_link_makes_a_version_without_reading(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result first;
	SCOPED(packer_result) struct packer_result second;
	uint64_t begin;

	for (unsigned int i = 0; i < 50; i++)
		put_file(i, 50000, i);
	wait_until_believed();
	run(&first, "lib", 1, NULL, false);
	keep_manifest(&first);
	assert_int_equal(symlink("f001", "src/link"), 0);
	assert_int_equal(chmod("src/f000", 0755), 0);
	begin = bytes_read();
	run(&second, "lib", 2, &first.identity, false);
	assert_int_equal(second.outcome, PACKER_MADE);
	assert_int_equal(second.new_raw_bytes, 0);
	assert_true(bytes_read() - begin < 500000);
}

/* Without its pack a chunk is read and stored again, however old its file is. */
static void what_the_library_lost_is_read_again(void **state UNUSED)
{
	SCOPED(packer_result) struct packer_result first;
	SCOPED(packer_result) struct packer_result second;
	struct err err;

	for (unsigned int i = 0; i < 50; i++)
		put_file(i, i == 7 ? 600000 : 50000, i);
	wait_until_believed();
	run(&first, "lib", 1, NULL, false);
	keep_manifest(&first);
	assert_true(path_remove_tree("lib/" PACKAGE "/packs", &err));
	put_file(60, 10, 60);
	run(&second, "lib", 2, &first.identity, false);
	assert_int_equal(second.outcome, PACKER_MADE);
	assert_int_equal(second.new_raw_bytes, second.stream_bytes);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

TESTING_MAIN(CASE(the_manifest_is_that_of_reading_everything),
	     CASE(a_tree_that_was_not_touched_is_not_read),
	     CASE(files_that_were_new_are_read_once_more),
	     CASE(a_new_mode_or_link_makes_a_version_without_reading),
	     CASE(what_the_library_lost_is_read_again))

/* Sparse packs are written anew: what is needed stays readable, and nothing else is touched. */
#include "content/repack.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/path.h"
#include "common/random.h"
#include "content/library.h"
#include "content/manifest.h"
#include "content/pack.h"
#include "content/packer.h"
#include "content/unpack.h"
#include "support/failnth.h"
#include "support/tempdir.h"
#include "support/testing.h"

#define PACKAGE "LON00001"
#define FILES   6

/* Two versions: six files of noise, and the last of them alone with a little more. */
struct shelf {
	char *dir;
	struct packer_result first, second;
};

static void put_noise(const char *path, size_t size, uint64_t seed)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct random_seq r;
	struct err err;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	random_seq_init(&r, seed, "test repack");
	for (size_t i = 0; i < size; i += 8)
		buf_put_u64(&bytes, random_seq_next(&r));
	assert_true(fd >= 0);
	assert_done(path_write_fd(fd, buf_span(&bytes), &err), &err);
	close(fd);
}

static void pack(struct packer_result *out, uint32_t version)
{
	const struct packer_options options = {
		.library = "lib",
		.package = PACKAGE,
		.version = version,
		.source = "src",
	};
	struct err err;

	assert_done(packer_run(out, &options, &err), &err);
	assert_int_equal(out->outcome, PACKER_MADE);
}

static void set_up(struct shelf *s)
{
	char path[32];

	s->dir = tempdir_make("repack");
	assert_int_equal(chdir(s->dir), 0);
	assert_int_equal(mkdir("src", 0755), 0);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "src/file%u", i);
		put_noise(path, 300000, i);
	}
	pack(&s->first, 1);
	for (unsigned i = 0; i + 1 < FILES; i++) {
		snprintf(path, sizeof(path), "src/file%u", i);
		assert_int_equal(unlink(path), 0);
	}
	put_noise("src/more", 50000, 99);
	pack(&s->second, 2);
}

static void tear_down(struct shelf *s)
{
	packer_result_release(&s->first);
	packer_result_release(&s->second);
	assert_int_equal(chdir("/"), 0);
	tempdir_remove(s->dir);
}

static void make_version(struct repack_version *out, uint32_t number, const struct packer_result *r)
{
	*out = (struct repack_version){
		.version = number,
		.index = r->index_name,
		.manifest = buf_span(&r->manifest),
	};
}

/* Repack for the second version alone, as if the first had been dropped. */
static bool repack_second(struct repack_result *out, const struct shelf *s, struct err *err)
{
	struct repack_version kept;
	const struct repack_options options = {
		.library = "lib",
		.package = PACKAGE,
		.versions = &kept,
		.count = 1,
		.dead_min = 1,
	};

	make_version(&kept, 2, &s->second);
	return repack_run(out, &options, err);
}

/* True if every chunk of the manifest comes out right by that index. */
static bool is_readable(const struct packer_result *r, const char *name)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(manifest) struct manifest *m = NULL;
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED(unpack_reader) struct unpack_reader *reader = NULL;
	struct err err;

	assert_done(manifest_read(&m, buf_span(&r->manifest), &err), &err);
	assert_done(library_open(&lib, "lib", PACKAGE, &err), &err);
	if (!library_read_index(&idx, &bytes, &lib, name, &err))
		return false;
	reader = unpack_reader_new(lib.folder, idx);
	for (uint32_t i = 0; i < manifest_chunk_count(m); i++) {
		const struct index_chunk *chunk = index_find(idx, &manifest_chunk_at(m, i)->id);
		struct span ignored;

		if (chunk == NULL || !unpack_reader_get(&ignored, reader, chunk, &err))
			return false;
	}
	return true;
}

static uint64_t bytes_of_packs(const char *index)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	uint64_t sum = 0;
	struct err err;

	assert_done(library_open(&lib, "lib", PACKAGE, &err), &err);
	assert_done(library_read_index(&idx, &bytes, &lib, index, &err), &err);
	for (uint32_t i = 0; i < index_pack_count(idx); i++)
		sum += index_pack_at(idx, i)->size;
	return sum;
}

static void tidy(void)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	struct err err;

	assert_done(library_open(&lib, "lib", PACKAGE, &err), &err);
	assert_done(library_tidy(&lib, NULL, &err), &err);
}

static void remove_index(const char *name)
{
	SCOPED_TEXT char *path = alloc_printf("lib/" PACKAGE "/index/%s", name);

	assert_int_equal(unlink(path), 0);
}

static void what_is_needed_of_a_sparse_pack_goes_into_a_new_one(void **state UNUSED)
{
	struct shelf s;
	SCOPED(repack_result) struct repack_result r;
	struct err err;

	set_up(&s);
	assert_done(repack_second(&r, &s, &err), &err);
	assert_int_equal(r.packs_old, 1);
	assert_in_range(r.bytes_new, 300000, 500000);
	assert_string_not_equal(r.made[0].index, "");
	/* Nothing old is gone or changed before the old indexes are. */
	assert_true(is_readable(&s.first, s.first.index_name));
	assert_true(is_readable(&s.second, s.second.index_name));
	assert_true(is_readable(&s.second, r.made[0].index));
	remove_index(s.first.index_name);
	remove_index(s.second.index_name);
	tidy();
	assert_true(is_readable(&s.second, r.made[0].index));
	assert_true(bytes_of_packs(r.made[0].index) < 600000);
	tear_down(&s);
}

static void packs_that_are_needed_are_left_alone(void **state UNUSED)
{
	struct shelf s;
	struct repack_version kept[2];
	const struct repack_options all = {
		.library = "lib",
		.package = PACKAGE,
		.versions = kept,
		.count = 2,
		.dead_min = 1,
	};
	const struct repack_options little = {
		.library = "lib",
		.package = PACKAGE,
		.versions = kept + 1,
		.count = 1,
		.dead_min = 10000000,
	};
	SCOPED(repack_result) struct repack_result r;
	struct err err;

	set_up(&s);
	make_version(&kept[0], 1, &s.first);
	make_version(&kept[1], 2, &s.second);
	assert_done(repack_run(&r, &all, &err), &err);
	assert_int_equal(r.packs_old, 0);
	assert_null(r.made);
	assert_done(repack_run(&r, &little, &err), &err);
	assert_int_equal(r.packs_old, 0);
	tear_down(&s);
}

static void a_damaged_pack_is_told_and_nothing_is_made(void **state UNUSED)
{
	struct shelf s;
	SCOPED(repack_result) struct repack_result r;
	static const char wrong[] = { 0x55 };
	struct err err;
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	char name[PACK_NAME_MAX];
	SCOPED_TEXT char *path = NULL;
	int fd;

	set_up(&s);
	assert_done(library_open(&lib, "lib", PACKAGE, &err), &err);
	assert_done(library_read_index(&idx, &bytes, &lib, s.first.index_name, &err), &err);
	library_close(&lib);
	lib = (struct library)LIBRARY_EMPTY;
	pack_print_name(name, &index_pack_at(idx, 0)->digest);
	path = path_join("lib/" PACKAGE "/packs", name);
	assert_int_equal(chmod(path, 0644), 0);
	fd = open(path, O_WRONLY);
	for (off_t at = 1000; at < (off_t)index_pack_at(idx, 0)->size; at += 10000)
		assert_int_equal(pwrite(fd, wrong, 1, at), 1);
	close(fd);
	assert_false(repack_second(&r, &s, &err));
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_null(r.made);
	tear_down(&s);
}

/* Whatever fails, the old indexes lead to every byte, and the next run completes. */
static void a_failure_at_any_call_leaves_all_that_was(void **state UNUSED)
{
	struct shelf s;
	unsigned int n;

	set_up(&s);
	for (n = 1;; n++) {
		SCOPED(repack_result) struct repack_result r;
		struct err err;
		bool done;

		failnth_arm(n);
		done = repack_second(&r, &s, &err);
		if (!failnth_disarm()) {
			assert_true(done);
			assert_true(is_readable(&s.second, r.made[0].index));
			break;
		}
		if (!done)
			assert_true(err.code == ERR_DISK_FULL || err.code == ERR_IO);
		assert_true(is_readable(&s.first, s.first.index_name));
		assert_true(is_readable(&s.second, s.second.index_name));
		tidy();
	}
	assert_true(n > 4);
	tear_down(&s);
}

TESTING_MAIN(cmocka_unit_test(what_is_needed_of_a_sparse_pack_goes_into_a_new_one),
	     cmocka_unit_test(packs_that_are_needed_are_left_alone),
	     cmocka_unit_test(a_damaged_pack_is_told_and_nothing_is_made),
	     cmocka_unit_test(a_failure_at_any_call_leaves_all_that_was), )

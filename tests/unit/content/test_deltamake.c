#include "content/deltamake.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/random.h"
#include "content/library.h"
#include "content/pack.h"
#include "content/packer.h"
#include "content/patchreader.h"
#include "content/unpack.h"
#include "support/tempdir.h"
#include "support/testing.h"

#define PACKAGE "LON00001"

/* Two versions of a package in a library: a program that was built anew, and a text. */
struct bench {
	char *top;
	struct packer_result v1, v2;
};

static void put_file(const char *path, struct span bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	struct err err;

	assert_true(fd >= 0);
	assert_done(path_write_fd(fd, bytes, &err), &err);
	close(fd);
}

/* Noise with an address every 32 bytes, which `shift` moves. */
static void put_program(const char *path, size_t size, uint8_t shift)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct random_seq r;

	random_seq_init(&r, 1, "program");
	while (bytes.size < size)
		buf_put_u64(&bytes, random_seq_next(&r));
	for (size_t i = 7; i < size; i += 32)
		bytes.data[i] = (uint8_t)(bytes.data[i] + shift);
	put_file(path, buf_span(&bytes));
}

static void pack(struct packer_result *out, uint32_t version)
{
	struct err err;

	assert_done(packer_run(out,
			       &(const struct packer_options){ .library = "library",
							       .package = PACKAGE,
							       .version = version,
							       .source = "src" },
			       &err),
		    &err);
}

static void set_up(struct bench *b)
{
	static const char words[] = "the same words again and again, which packs well\n";
	SCOPED(buf) struct buf text = { 0 };

	*b = (struct bench){ .top = tempdir_make("deltamake") };
	assert_int_equal(chdir(b->top), 0);
	assert_int_equal(mkdir("src", 0755), 0);
	for (size_t i = 0; i < 100000; i++)
		buf_printf(&text, "%zu %s", i * i, words);
	put_file("src/text", buf_span(&text));
	/* Nearly the same again, further away than a frame is long. */
	for (size_t i = 0; i < text.size; i += 20000)
		text.data[i] = '!';
	put_file("src/text-again", buf_span(&text));
	put_program("src/program-1.0", 700000, 0);
	pack(&b->v1, 1);
	assert_int_equal(unlink("src/program-1.0"), 0);
	put_program("src/program-1.1", 700000, 3);
	pack(&b->v2, 2);
}

static void tear_down(struct bench *b)
{
	packer_result_release(&b->v1);
	packer_result_release(&b->v2);
	assert_int_equal(chdir("/"), 0);
	tempdir_remove(b->top);
}

static struct deltamake_version version_of(const struct packer_result *r, uint32_t version)
{
	return (struct deltamake_version){ version, r->index_name, buf_span(&r->manifest) };
}

static void run(struct deltamake_result *out, const struct bench *b,
		const struct deltamake_version *from, uint64_t memory)
{
	const struct deltamake_options options = {
		.library = "library",
		.package = PACKAGE,
		.to = version_of(&b->v2, 2),
		.from = from,
		.memory_max = memory,
	};
	struct err err;

	assert_done(deltamake_run(out, &options, &err), &err);
}

static uint64_t ms_of(clockid_t id)
{
	struct timespec t;

	assert_int_equal(clock_gettime(id, &t), 0);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Half of one processor takes twice the time; what follows the last piece is not waited for. */
static void a_making_keeps_to_its_share_of_a_processor(void **state UNUSED)
{
	struct bench b;
	struct deltamake_result made;
	uint64_t began_ms, began_cpu_ms, ms, cpu_ms;
	struct err err;

	set_up(&b);
	const struct deltamake_options options = {
		.library = "library",
		.package = PACKAGE,
		.to = version_of(&b.v2, 2),
		.cpu_percent = 50,
	};

	began_ms = ms_of(CLOCK_MONOTONIC);
	began_cpu_ms = ms_of(CLOCK_PROCESS_CPUTIME_ID);
	assert_done(deltamake_run(&made, &options, &err), &err);
	ms = ms_of(CLOCK_MONOTONIC) - began_ms;
	cpu_ms = ms_of(CLOCK_PROCESS_CPUTIME_ID) - began_cpu_ms;
	assert_int_equal(made.outcome, DELTAMAKE_MADE);
	if (ms * 10 < cpu_ms * 15)
		fail_msg("%llu ms of CPU in %llu ms", (unsigned long long)cpu_ms,
			 (unsigned long long)ms);
	tear_down(&b);
}

static void unpack_version(struct unpack *out, const struct packer_result *r)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(index) struct index *idx = NULL;
	SCOPED(manifest) struct manifest *m = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	assert_done(library_open(&lib, "library", PACKAGE, &err), &err);
	assert_done(library_read_index(&idx, &bytes, &lib, r->index_name, &err), &err);
	assert_done(manifest_read(&m, buf_span(&r->manifest), &err), &err);
	assert_done(unpack_open(out, lib.folder, idx, m, NULL, &err), &err);
}

struct applied {
	struct span old;
	struct buf new;
};

static bool give_old(void *dst, uint64_t offset, size_t size, void *ctx, struct err *err UNUSED)
{
	const struct applied *a = ctx;

	memcpy(dst, a->old.data + offset, size);
	return true;
}

static bool take_new(struct span bytes, void *ctx, struct err *err UNUSED)
{
	struct applied *a = ctx;

	buf_put_span(&a->new, bytes);
	return true;
}

/* The file that was made leads from `old` to version 2. */
static void assert_leads(const struct bench *b, const struct index_delta *delta,
			 const struct packer_result *old)
{
	SCOPED(unpack) struct unpack from = { .stream = { NULL, 0 } };
	SCOPED(unpack) struct unpack to = { .stream = { NULL, 0 } };
	SCOPED(buf) struct buf file = { 0 };
	struct applied a = { .old = { NULL, 0 } };
	char name[INDEX_NAME_MAX];
	SCOPED_TEXT char *path = NULL;
	struct digest found;
	struct err err;

	index_print_delta(name, 2, delta);
	path = alloc_printf("library/" PACKAGE "/%s", name);
	assert_done(path_read(&file, path, 1u << 30, &err), &err);
	assert_int_equal(file.size, delta->size);
	digest_of(&found, buf_span(&file));
	assert_true(digest_equal(&found, &delta->digest));
	if (old != NULL)
		unpack_version(&from, old);
	unpack_version(&to, &b->v2);
	a.old = from.stream;
	SCOPED(patchreader)
	struct patchreader *r = patchreader_new(
		&(const struct patchreader_target){ .old_size = from.stream.size,
						    .new_size = to.stream.size,
						    .old = give_old,
						    .sink = take_new,
						    .ctx = &a });

	assert_done(patchreader_feed(r, buf_span(&file), &err), &err);
	assert_done(patchreader_finish(r, &err), &err);
	assert_true(span_equal(buf_span(&a.new), to.stream));
	buf_release(&a.new);
}

static void a_patch_follows_a_program_that_was_rebuilt(void **state UNUSED)
{
	struct bench b;
	struct deltamake_version from;
	struct deltamake_result made;

	set_up(&b);
	from = version_of(&b.v1, 1);
	run(&made, &b, &from, 0);
	assert_int_equal(made.outcome, DELTAMAKE_MADE);
	assert_int_equal(made.delta.kind, INDEX_PATCH);
	assert_int_equal(made.delta.from, 1);
	/* The ranges bring the whole program, the patch a byte in 32, all of them alike. */
	assert_true(made.without >= 700000);
	assert_true(made.delta.size < 1000);
	assert_leads(&b, &made.delta, &b.v1);
	tear_down(&b);
}

static void a_stream_brings_all_of_it(void **state UNUSED)
{
	struct bench b;
	struct deltamake_result made;

	set_up(&b);
	run(&made, &b, NULL, 0);
	assert_int_equal(made.outcome, DELTAMAKE_MADE);
	assert_int_equal(made.delta.kind, INDEX_STREAM);
	assert_true(made.delta.size < made.without * 3 / 4);
	assert_leads(&b, &made.delta, NULL);
	tear_down(&b);
}

static void what_saves_little_is_not_kept(void **state UNUSED)
{
	struct bench b;
	struct deltamake_version from;
	struct deltamake_result made;

	set_up(&b);
	/* From itself nothing has to move, and no patch is smaller than that. */
	from = version_of(&b.v2, 2);
	run(&made, &b, &from, 0);
	assert_int_equal(made.outcome, DELTAMAKE_NOT_WORTH);
	assert_int_equal(made.without, 0);
	assert_int_equal(rmdir("library/" PACKAGE "/patches"), 0);
	tear_down(&b);
}

static void run_beside_stream(struct deltamake_result *out, const struct bench *b,
			      const struct deltamake_version *from, uint64_t stream_size)
{
	const struct deltamake_options options = {
		.library = "library",
		.package = PACKAGE,
		.to = version_of(&b->v2, 2),
		.from = from,
		.stream_size = stream_size,
	};
	struct err err;

	assert_done(deltamake_run(out, &options, &err), &err);
}

static void a_patch_has_to_save_a_fifth_of_the_stream_too(void **state UNUSED)
{
	struct bench b;
	struct deltamake_version from;
	struct deltamake_result made, beside;
	uint64_t stream_size;

	set_up(&b);
	from = version_of(&b.v1, 1);
	run(&made, &b, &from, 0);
	/* The least of which four fifths are as much as the patch. */
	for (stream_size = made.delta.size; stream_size - stream_size / 5 < made.delta.size;)
		stream_size++;
	run_beside_stream(&beside, &b, &from, stream_size);
	assert_int_equal(beside.outcome, DELTAMAKE_MADE);
	assert_int_equal(beside.without, stream_size);
	run_beside_stream(&beside, &b, &from, stream_size - 1);
	assert_int_equal(beside.outcome, DELTAMAKE_NOT_WORTH);
	/* A stream that is larger than the ranges changes nothing. */
	run_beside_stream(&beside, &b, &from, made.without + 1);
	assert_int_equal(beside.outcome, DELTAMAKE_MADE);
	assert_int_equal(beside.without, made.without);
	tear_down(&b);
}

static void too_little_memory_makes_none(void **state UNUSED)
{
	struct bench b;
	struct deltamake_result made;

	set_up(&b);
	run(&made, &b, NULL, 1000);
	assert_int_equal(made.outcome, DELTAMAKE_TOO_LARGE);
	assert_true(made.without > 0);
	tear_down(&b);
}

static void it_stops_when_it_is_told_to(void **state UNUSED)
{
	struct bench b;
	struct deltamake_result made;
	atomic_bool cancel = true;
	struct err err = { 0 };

	set_up(&b);
	assert_false(deltamake_run(&made,
				   &(const struct deltamake_options){ .library = "library",
								      .package = PACKAGE,
								      .to = version_of(&b.v2, 2),
								      .cancel = &cancel },
				   &err));
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_int_equal(rmdir("library/" PACKAGE "/patches"), 0);
	tear_down(&b);
}

static void a_damaged_pack_is_named_before_anything_is_made(void **state UNUSED)
{
	struct bench b;
	struct deltamake_result made;
	struct err err = { 0 };
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(index) struct index *idx = NULL;
	char name[PACK_NAME_MAX];
	SCOPED_TEXT char *path = NULL;
	int fd;

	set_up(&b);
	assert_done(library_open(&lib, "library", PACKAGE, &err), &err);
	assert_done(library_read_index(&idx, &bytes, &lib, b.v2.index_name, &err), &err);
	pack_print_name(name, &index_pack_at(idx, 0)->digest);
	path = path_join(lib.packs, name);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "damage", 6, 1000), 6);
	close(fd);
	assert_false(deltamake_run(&made,
				   &(const struct deltamake_options){ .library = "library",
								      .package = PACKAGE,
								      .to = version_of(&b.v2, 2) },
				   &err));
	assert_int_equal(err.code, ERR_CORRUPT);
	tear_down(&b);
}

static bool is_there(const struct index_delta *delta)
{
	char name[INDEX_NAME_MAX];
	SCOPED_TEXT char *path = NULL;

	index_print_delta(name, 2, delta);
	path = alloc_printf("library/" PACKAGE "/%s", name);
	return path_exists(path);
}

static void what_is_listed_stays_and_the_rest_goes(void **state UNUSED)
{
	struct bench b;
	struct deltamake_version from;
	struct deltamake_result patch, stream;
	char name[INDEX_NAME_MAX];
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	set_up(&b);
	from = version_of(&b.v1, 1);
	run(&patch, &b, &from, 0);
	run(&stream, &b, NULL, 0);
	assert_done(
		deltamake_list(name, "library", PACKAGE, b.v2.index_name, &patch.delta, 1, &err),
		&err);
	assert_done(deltamake_tidy("library", PACKAGE, &err), &err);
	assert_true(is_there(&patch.delta));
	assert_false(is_there(&stream.delta));
	/* Listed twice is listed once. */
	assert_done(deltamake_list(name, "library", PACKAGE, name, &patch.delta, 1, &err), &err);
	assert_done(library_open(&lib, "library", PACKAGE, &err), &err);
	assert_done(library_read_index(&idx, &bytes, &lib, name, &err), &err);
	assert_int_equal(index_delta_count(idx), 1);
	assert_int_equal(index_delta_at(idx, 0)->size, patch.delta.size);
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(a_patch_follows_a_program_that_was_rebuilt),
	     cmocka_unit_test(a_stream_brings_all_of_it),
	     cmocka_unit_test(what_saves_little_is_not_kept),
	     cmocka_unit_test(a_patch_has_to_save_a_fifth_of_the_stream_too),
	     cmocka_unit_test(too_little_memory_makes_none),
	     cmocka_unit_test(it_stops_when_it_is_told_to),
	     cmocka_unit_test(a_making_keeps_to_its_share_of_a_processor),
	     cmocka_unit_test(a_damaged_pack_is_named_before_anything_is_made),
	     cmocka_unit_test(what_is_listed_stays_and_the_rest_goes))

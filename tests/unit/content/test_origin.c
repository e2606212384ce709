/* Bytes of an old version, from its files as they stand. */
#include "content/origin.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "content/tree.h"
#include "support/fakedp.h"
#include "support/tempdir.h"

/* Small files and large ones, and more of the latter than are mapped at once. */
#define LARGE      40
#define LARGE_SIZE 300000u
#define SMALL_SIZE 5000u
#define DRAWS      4000

struct old {
	char *top, *root;
	struct fakedp dp;
	struct fakeversion v;
	struct tree tree;
};

static void old_init(struct old *o)
{
	struct fakefile files[2 * LARGE] = { 0 };
	char names[2 * LARGE][8];
	struct err err = { 0 };

	for (uint32_t n = 0; n < 2 * LARGE; n++) {
		snprintf(names[n], sizeof(names[n]), "f%02u", n);
		files[n] = (struct fakefile){ .path = names[n],
					      .seed = n + 1,
					      .size = n % 2 == 0 ? LARGE_SIZE : SMALL_SIZE };
	}
	*o = (struct old){ .top = tempdir_make("origin") };
	o->root = path_join(o->top, "tree");
	fakedp_publish(&o->dp, &o->v, 1, files, COUNT_OF(files));
	assert_done(tree_create(&o->tree, o->root, o->v.parsed, &err), &err);

	SCOPED(tree_files) struct tree_files out;

	tree_files_init(&out, &o->tree);
	assert_done(tree_write(&out, 0, buf_span(&o->v.stream), &err), &err);
}

static void old_release(struct old *o)
{
	tree_close(&o->tree);
	fakeversion_release(&o->v);
	fakedp_release(&o->dp);
	free(o->root);
	tempdir_remove(o->top);
}
SCOPED_RELEASE(old);

static bool copies(struct origin *from, const struct old *o, uint64_t offset, size_t size)
{
	static uint8_t bytes[65536];

	return origin_copy(bytes, from, offset, size) &&
	       memcmp(bytes, o->v.stream.data + offset, size) == 0;
}

static void any_range_comes_as_it_is(void **state UNUSED)
{
	SCOPED(old) struct old o;
	SCOPED(origin) struct origin *from = NULL;
	struct random_seq r;

	random_seq_init(&r, testing_seed(), "origin");
	old_init(&o);
	from = origin_new(&o.tree);
	for (size_t i = 0; i < DRAWS; i++) {
		size_t size = 1 + (size_t)random_seq_below(&r, i % 2 == 0 ? 40 : 65536);
		uint64_t offset = random_seq_below(&r, o.v.stream.size - size + 1);

		origin_expect(from, offset, size);
		if (!copies(from, &o, offset, size))
			fail_msg("%zu bytes at %llu", size, (unsigned long long)offset);
	}
	assert_true(copies(from, &o, 0, 65536));
	assert_true(copies(from, &o, o.v.stream.size - 1, 1));
}

/* In a child: cmocka has a handler of its own for SIGBUS. Returns what did not hold. */
static int lose_a_file_in_use(struct old *o)
{
	SCOPED_TEXT char *large = path_join(o->root, "f00");
	SCOPED_TEXT char *small = path_join(o->root, "f01");
	SCOPED(origin) struct origin *from = origin_new(&o->tree);
	int wrong = 0;

	wrong += !copies(from, o, 10, 20);
	if (truncate(large, 0) != 0 || truncate(small, 0) != 0)
		return 100;
	wrong += copies(from, o, LARGE_SIZE - 50000, 20);
	wrong += copies(from, o, LARGE_SIZE + 100, 20);
	wrong += !copies(from, o, LARGE_SIZE + SMALL_SIZE + 200000, 20);
	return wrong;
}

static void what_a_file_lost_is_told_and_the_others_go_on(void **state UNUSED)
{
	SCOPED(old) struct old o;
	int status = -1;
	pid_t child;

	old_init(&o);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(lose_a_file_in_use(&o));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_file_that_is_short_gives_what_it_has(void **state UNUSED)
{
	SCOPED(old) struct old o;
	SCOPED_TEXT char *large = NULL;
	SCOPED(origin) struct origin *from = NULL;

	old_init(&o);
	large = path_join(o.root, "f00");
	assert_int_equal(truncate(large, LARGE_SIZE - 10), 0);
	from = origin_new(&o.tree);
	assert_true(copies(from, &o, 0, 20));
	assert_true(copies(from, &o, LARGE_SIZE - 30, 20));
	assert_false(copies(from, &o, LARGE_SIZE - 30, 21));
	assert_false(copies(from, &o, LARGE_SIZE - 5, 20));
}

/* The child's is first: a handler that is set once in a program stands behind cmocka's then. */
TESTING_MAIN(cmocka_unit_test(what_a_file_lost_is_told_and_the_others_go_on),
	     cmocka_unit_test(any_range_comes_as_it_is),
	     cmocka_unit_test(a_file_that_is_short_gives_what_it_has))

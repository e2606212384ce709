#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "agent/generation.h"
#include "common/alloc.h"
#include "common/newfile.h"
#include "support/failnth.h"
#include "support/tempdir.h"

static void open_state(struct state *st, const char *name)
{
	struct err err;
	char *dir = tempdir_make(name);

	assert_done(state_open(st, dir, STATE_CREATE, &err), &err);
	free(dir);
}

static void close_state(struct state *st)
{
	tempdir_remove(alloc_text(st->dir));
	state_close(st);
}

static void draft(const struct state *st, const char *text)
{
	SCOPED(generation) struct generation g = GENERATION_EMPTY;
	struct err err;

	assert_done(generation_draft(&g, st, &err), &err);
	SCOPED_TEXT char *file = path_join(g.targets, "a");

	assert_done(newfile_write(file, 0600, span_of_text(text), &err), &err);
}

static void put_in_force(const struct state *st, const char *text)
{
	struct err err;

	draft(st, text);
	assert_done(generation_commit(st, &err), &err);
}

static bool has(const struct generation *g, const char *text)
{
	SCOPED_TEXT char *file = path_join(g->targets, "a");
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	return path_read(&bytes, file, 100, &err) && strcmp(buf_text(&bytes), text) == 0;
}

static bool is_in_force(const struct state *st, const char *text)
{
	SCOPED(generation) struct generation g = GENERATION_EMPTY;
	struct err err;

	return generation_hold(&g, st, &err) && has(&g, text);
}

static void nothing_is_in_force_before_the_first_commit(void **unused)
{
	SCOPED(generation) struct generation g = GENERATION_EMPTY;
	struct state st;
	struct err err;

	(void)unused;
	open_state(&st, "generation-first");
	draft(&st, "one");
	assert_false(generation_hold(&g, &st, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_null(generation_name(&st));
	put_in_force(&st, "one");
	assert_true(is_in_force(&st, "one"));
	close_state(&st);
}

static void what_is_held_stays_until_it_is_let_go(void **unused)
{
	SCOPED(generation) struct generation g = GENERATION_EMPTY;
	struct state st;
	struct err err;

	(void)unused;
	open_state(&st, "generation-held");
	put_in_force(&st, "one");
	assert_done(generation_hold(&g, &st, &err), &err);
	SCOPED_TEXT char *dir = alloc_text(g.dir);

	put_in_force(&st, "two");
	generation_sweep(&st);
	assert_true(has(&g, "one"));
	assert_true(is_in_force(&st, "two"));
	generation_release(&g);
	generation_sweep(&st);
	assert_false(path_exists(dir));
	assert_true(is_in_force(&st, "two"));
	close_state(&st);
}

static void each_commit_has_another_name(void **unused)
{
	struct state st;

	(void)unused;
	open_state(&st, "generation-name");
	put_in_force(&st, "one");
	SCOPED_TEXT char *first = generation_name(&st);

	put_in_force(&st, "two");
	SCOPED_TEXT char *second = generation_name(&st);

	assert_string_not_equal(first, second);
	close_state(&st);
}

static void a_sweep_leaves_the_draft_and_what_is_in_force(void **unused)
{
	struct state st;
	struct err err;

	(void)unused;
	open_state(&st, "generation-sweep");
	put_in_force(&st, "one");
	draft(&st, "two");
	SCOPED_TEXT char *strange = path_join(st.dir, "policy/site.json");

	assert_done(newfile_write(strange, 0600, span_of_text("{}"), &err), &err);
	generation_sweep(&st);
	assert_false(path_exists(strange));
	assert_true(is_in_force(&st, "one"));
	assert_done(generation_commit(&st, &err), &err);
	assert_true(is_in_force(&st, "two"));
	close_state(&st);
}

static void a_damaged_pointer_is_none(void **unused)
{
	static const char *const texts[] = { "", "x", "0", "1/..", "99999999999999999999", "2" };
	struct state st;
	struct err err;

	(void)unused;
	open_state(&st, "generation-pointer");
	put_in_force(&st, "one");
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		SCOPED(generation) struct generation g = GENERATION_EMPTY;
		SCOPED_TEXT char *pointer = path_join(st.dir, "policy/current");

		assert_done(newfile_write(pointer, 0600, span_of_text(texts[i]), &err), &err);
		assert_false(generation_hold(&g, &st, &err));
	}
	put_in_force(&st, "two");
	assert_true(is_in_force(&st, "two"));
	close_state(&st);
}

/* Whichever call fails, and whether or not the process lives on: the old one, or the new one. */
static void a_commit_that_fails_leaves_one_whole_generation(void **unused)
{
	struct state st;

	(void)unused;
	open_state(&st, "generation-fail");
	for (unsigned int n = 1;; n++) {
		struct err err;
		bool done, failed;

		put_in_force(&st, "old");
		draft(&st, "new");
		failnth_arm_for_good(n);
		done = generation_commit(&st, &err);
		failed = failnth_disarm();
		assert_true(is_in_force(&st, done ? "new" : "old") ||
			    (failed && is_in_force(&st, "new")));
		generation_sweep(&st);
		assert_true(is_in_force(&st, "old") || is_in_force(&st, "new"));
		if (!failed)
			break;
	}
	close_state(&st);
}

TESTING_MAIN(cmocka_unit_test(nothing_is_in_force_before_the_first_commit),
	     cmocka_unit_test(what_is_held_stays_until_it_is_let_go),
	     cmocka_unit_test(each_commit_has_another_name),
	     cmocka_unit_test(a_sweep_leaves_the_draft_and_what_is_in_force),
	     cmocka_unit_test(a_damaged_pointer_is_none),
	     cmocka_unit_test(a_commit_that_fails_leaves_one_whole_generation))

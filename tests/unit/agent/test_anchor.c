/*
 * Whatever stands in the worker's folder, policy is judged by a root that follows from the first.
 */
#include "support/testing.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/anchor.h"
#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "support/tempdir.h"
#include "support/tufrepo.h"

#define STRANGER 77

struct box {
	struct state st;
	struct tufrepo *repo;
};

/* The root of this version that a site serves, in `out`. */
static void root_of(struct buf *out, struct tufrepo *repo, int version)
{
	SCOPED_TEXT char *name = alloc_printf("%d.root.json", version);

	buf_clear(out);
	buf_put_span(out, buf_span(memfiles_find(&repo->metadata, name)));
}

static void put(struct box *b, const char *name, struct span bytes)
{
	SCOPED_TEXT char *path = state_path(&b->st, name);
	struct err err;

	assert_done(newfile_write(path, 0644, bytes, &err), &err);
}

static void put_root(struct box *b, const char *name, struct tufrepo *repo, int version)
{
	SCOPED(buf) struct buf root = { 0 };

	root_of(&root, repo, version);
	put(b, name, buf_span(&root));
}

/* What the worker does with a root that it has accepted. */
static void accept(struct box *b, int version)
{
	SCOPED_TEXT char *metadata = state_path(&b->st, "metadata");
	const struct updater_store store = anchor_store(metadata);
	SCOPED(buf) struct buf root = { 0 };
	struct err err;

	root_of(&root, b->repo, version);
	assert_done(store.save(store.ctx, "root.json", buf_span(&root), &err), &err);
}

/* Versions 1 to 3, the second with another key of targets, the third with another of root. */
static void begin(struct box *b, const char *name)
{
	char *dir = tempdir_make(name);
	SCOPED_TEXT char *metadata = path_join(dir, "metadata");
	struct err err;

	*b = (struct box){ .repo = tufrepo_new() };
	assert_done(state_open(&b->st, dir, STATE_CREATE, &err), &err);
	assert_done(path_make_dirs(metadata, 0755, &err), &err);
	free(dir);
	tufrepo_allow(b->repo, "root", "targets", 30, NULL);
	tufrepo_publish_root(b->repo);
	tufrepo_allow(b->repo, "root", "root", 31, NULL);
	tufrepo_publish_root(b->repo);
}

static void begin_with_the_first(struct box *b, const char *name)
{
	SCOPED(buf) struct buf root = { 0 };
	struct err err;

	begin(b, name);
	root_of(&root, b->repo, 1);
	assert_done(anchor_begin(&b->st, buf_span(&root), &err), &err);
	accept(b, 1);
}

static void end(struct box *b)
{
	tufrepo_free(b->repo);
	tempdir_remove(alloc_text(b->st.dir));
	state_close(&b->st);
}

/* One that looks like the site's, signed by others. */
static struct tufrepo *stranger(int version)
{
	struct tufrepo *r = tufrepo_new();

	tufrepo_forbid_all(r, "root", "root");
	tufrepo_allow(r, "root", "root", STRANGER, NULL);
	tufrepo_sign_by_none(r, "root");
	tufrepo_sign_by(r, "root", STRANGER, NULL);
	tufrepo_set_version(r, "root", version);
	tufrepo_put(r, "root");
	return r;
}

static void newest_is(struct box *b, int version)
{
	SCOPED(buf) struct buf want = { 0 }, got = { 0 };

	root_of(&want, b->repo, version);
	assert_true(anchor_read(&got, &b->st));
	assert_true(span_equal(buf_span(&got), buf_span(&want)));
}

static bool stands(struct box *b, const char *name)
{
	SCOPED_TEXT char *path = state_path(&b->st, name);

	return path_exists(path);
}

static void it_follows_what_the_worker_has_kept(void **unused UNUSED)
{
	SCOPED(buf) struct buf root = { 0 };
	struct box b;

	begin_with_the_first(&b, "anchor-follow");
	newest_is(&b, 1);
	accept(&b, 2);
	accept(&b, 3);
	newest_is(&b, 3);
	assert_true(stands(&b, "trust/2.root.json") && stands(&b, "trust/3.root.json"));
	for (int version = 1; version <= 3; version++) {
		root_of(&root, b.repo, version);
		assert_true(anchor_has(&b.st, buf_span(&root)));
	}
	end(&b);
}

static void a_state_of_before_takes_over_the_root_once(void **unused UNUSED)
{
	struct tufrepo *other = stranger(2);
	struct box b;

	begin(&b, "anchor-before");
	put_root(&b, "metadata/root.json", b.repo, 2);
	newest_is(&b, 2);
	put_root(&b, "metadata/root.json", other, 2);
	newest_is(&b, 2);
	tufrepo_free(other);
	end(&b);
}

static void without_any_root_there_is_none(void **unused UNUSED)
{
	SCOPED(buf) struct buf got = { 0 };
	struct box b;

	begin(&b, "anchor-none");
	assert_false(anchor_read(&got, &b.st));
	put(&b, "metadata/root.json", span_of_text("{}"));
	assert_false(anchor_read(&got, &b.st));
	assert_false(stands(&b, "trust"));
	end(&b);
}

/* Where a worker that was taken over may write. */
static void what_others_signed_is_not_followed(void **unused UNUSED)
{
	static const struct {
		const char *name;
		int version;
	} places[] = {
		{ "metadata/root.json", 1 },         { "metadata/root.json", 2 },
		{ "metadata/roots/1.root.json", 1 }, { "metadata/roots/2.root.json", 2 },
		{ "metadata/roots/2.root.json", 1 }, { "metadata/roots/2.root.json", 9 },
	};

	for (size_t i = 0; i < COUNT_OF(places); i++) {
		struct tufrepo *other = stranger(places[i].version);
		SCOPED(buf) struct buf root = { 0 };
		struct box b;

		begin_with_the_first(&b, "anchor-strange");
		put_root(&b, places[i].name, other, places[i].version);
		newest_is(&b, 1);
		root_of(&root, other, places[i].version);
		assert_false(anchor_has(&b.st, buf_span(&root)));
		tufrepo_free(other);
		end(&b);
	}
}

static void a_gap_is_fetched_again(void **unused UNUSED)
{
	SCOPED(buf) struct buf want = { 0 }, got = { 0 };
	struct box b;
	struct err err;

	begin_with_the_first(&b, "anchor-gap");
	accept(&b, 2);
	accept(&b, 3);
	SCOPED_TEXT char *second = state_path(&b.st, "metadata/roots/2.root.json");
	SCOPED_TEXT char *newest = state_path(&b.st, "metadata/root.json");
	unlink(second);
	newest_is(&b, 1);
	assert_done(anchor_mend(&b.st, &err), &err);
	root_of(&want, b.repo, 1);
	assert_done(path_read(&got, newest, 1 << 20, &err), &err);
	assert_true(span_equal(buf_span(&got), buf_span(&want)));
	/* The worker's next refresh. */
	accept(&b, 2);
	accept(&b, 3);
	newest_is(&b, 3);
	end(&b);
}

static void a_damaged_one_is_made_good_by_the_one_before(void **unused UNUSED)
{
	struct box b;

	begin_with_the_first(&b, "anchor-damaged");
	accept(&b, 2);
	accept(&b, 3);
	newest_is(&b, 3);
	put(&b, "trust/3.root.json", span_of_text("{\"signed\":{}}"));
	newest_is(&b, 3);
	put(&b, "trust/1.root.json", span_of_text(""));
	put(&b, "trust/2.root.json", span_of_text(""));
	newest_is(&b, 3);
	end(&b);
}

/* The worker's may be anybody's by then: a person has to enrol the machine anew. */
static void where_all_are_damaged_none_is_taken_over(void **unused UNUSED)
{
	SCOPED(buf) struct buf got = { 0 };
	struct box b;

	begin_with_the_first(&b, "anchor-all-damaged");
	put(&b, "trust/1.root.json", span_of_text("rotten"));
	assert_false(anchor_read(&got, &b.st));
	end(&b);
}

/* Names of versions are numbers of 64 bits, and other files are none. */
static void other_names_are_passed_over(void **unused UNUSED)
{
	static const char *const names[] = {
		"trust/root.json",    "trust/0.root.json",
		"trust/-1.root.json", "trust/2.root.json~",
		"trust/2x.root.json", "trust/99999999999999999999.root.json",
		"trust/.root.json",   "trust/2.root.json.json",
	};
	struct box b;

	begin_with_the_first(&b, "anchor-names");
	for (size_t i = 0; i < COUNT_OF(names); i++)
		put(&b, names[i], span_of_text("x"));
	newest_is(&b, 1);
	end(&b);
}

static void to_begin_again_forgets_what_was(void **unused UNUSED)
{
	struct tufrepo *other = stranger(1);
	SCOPED(buf) struct buf root = { 0 }, got = { 0 };
	struct box b;
	struct err err;

	begin_with_the_first(&b, "anchor-again");
	accept(&b, 2);
	newest_is(&b, 2);
	root_of(&root, other, 1);
	assert_done(anchor_begin(&b.st, buf_span(&root), &err), &err);
	assert_true(anchor_read(&got, &b.st));
	assert_true(span_equal(buf_span(&got), buf_span(&root)));
	assert_false(stands(&b, "trust/2.root.json"));
	tufrepo_free(other);
	end(&b);
}

TESTING_MAIN(cmocka_unit_test(it_follows_what_the_worker_has_kept),
	     cmocka_unit_test(a_state_of_before_takes_over_the_root_once),
	     cmocka_unit_test(without_any_root_there_is_none),
	     cmocka_unit_test(what_others_signed_is_not_followed),
	     cmocka_unit_test(a_gap_is_fetched_again),
	     cmocka_unit_test(a_damaged_one_is_made_good_by_the_one_before),
	     cmocka_unit_test(where_all_are_damaged_none_is_taken_over),
	     cmocka_unit_test(other_names_are_passed_over),
	     cmocka_unit_test(to_begin_again_forgets_what_was))

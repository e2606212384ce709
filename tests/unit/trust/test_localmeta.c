#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/path.h"
#include "support/tufrepo.h"
#include "trust/localmeta.h"

static char *new_folder(void)
{
	const char *base = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
	char *dir = path_join(base, "packway-test_localmeta-XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static void end(char *dir)
{
	struct err err;

	assert_done(path_remove_tree(dir, &err), &err);
	free(dir);
}

static void files_are_kept_as_they_came(void **state UNUSED)
{
	char *dir = new_folder();
	struct updater_store store = localmeta_store(dir);
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	assert_false(store.load(store.ctx, "a.json", 10, &bytes));
	assert_done(store.save(store.ctx, "a.json", span_of_text("one"), &err), &err);
	assert_done(store.save(store.ctx, "a.json", span_of_text("other"), &err), &err);
	assert_true(store.load(store.ctx, "a.json", 5, &bytes));
	assert_string_equal(buf_text(&bytes), "other");
	buf_clear(&bytes);
	assert_false(store.load(store.ctx, "a.json", 4, &bytes));
	assert_done(store.remove(store.ctx, "a.json", &err), &err);
	assert_done(store.remove(store.ctx, "a.json", &err), &err);
	assert_false(store.load(store.ctx, "a.json", 10, &bytes));
	end(dir);
}

static void only_a_signed_root_begins(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	char *base = new_folder();
	SCOPED_TEXT char *dir = path_join(base, "made/on/demand");
	SCOPED_TEXT char *file = path_join(dir, "root.json");
	SCOPED(buf) struct buf kept = { 0 };
	struct buf *root = memfiles_find(&r->metadata, "1.root.json");
	struct err err;

	assert_int_equal(localmeta_init(dir, span_of_text("{}"), &err), VERDICT_MALFORMED);
	assert_false(path_exists(file));
	assert_done(localmeta_init(dir, buf_span(root), &err) == VERDICT_OK, &err);
	assert_done(path_read(&kept, file, ROLE_ROOT_MAX, &err), &err);
	assert_true(span_equal(buf_span(&kept), buf_span(root)));
	tufrepo_sign_by_none(r, "root");
	tufrepo_put(r, "root");
	assert_int_equal(localmeta_init(dir, buf_span(root), &err), VERDICT_BELOW_THRESHOLD);
	end(base);
	tufrepo_free(r);
}

static void the_floor_is_remembered(void **state UNUSED)
{
	char *dir = new_folder();
	struct updater_store store = localmeta_store(dir);
	struct err err;

	assert_int_equal(localmeta_floor(dir), 0);
	assert_done(localmeta_set_floor(dir, TUFREPO_NOW, &err), &err);
	assert_int_equal(localmeta_floor(dir), TUFREPO_NOW);
	assert_done(store.save(store.ctx, "clock-floor", span_of_text("junk"), &err), &err);
	assert_int_equal(localmeta_floor(dir), 0);
	end(dir);
}

TESTING_MAIN(cmocka_unit_test(files_are_kept_as_they_came),
	     cmocka_unit_test(only_a_signed_root_begins),
	     cmocka_unit_test(the_floor_is_remembered), )

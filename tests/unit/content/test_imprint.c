#include "content/imprint.h"

#include <string.h>

#include "support/testing.h"

#define SECOND   INT64_C(1000000000)
#define LISTED   (1000 * SECOND)
#define LONG_AGO (10 * SECOND)

static const struct digest manifest = { { 1, 2, 3 } };
static const struct digest content = { { 7 } };
static const struct imprint_stamp old_file = { 11, LONG_AGO, LONG_AGO + 1 };

static struct imprint *reread(const struct imprint *im)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct imprint *out;
	struct err err;

	imprint_write(&bytes, im);
	assert_done(imprint_read(&out, buf_span(&bytes), &err), &err);
	return out;
}

static void what_was_written_is_read(void **state UNUSED)
{
	SCOPED(imprint) struct imprint *im = imprint_new(&manifest, LISTED);
	SCOPED(imprint) struct imprint *back = NULL;

	imprint_add(im, &old_file, NULL);
	imprint_add(im, &old_file, &content);
	imprint_add(im, &(struct imprint_stamp){ UINT64_MAX, -5, INT64_MIN }, NULL);
	back = reread(im);
	assert_int_equal(imprint_entry_count(back), 3);
	assert_true(digest_equal(imprint_manifest(back), &manifest));
	assert_null(imprint_content_at(back, 0));
	assert_true(digest_equal(imprint_content_at(back, 1), &content));
	assert_null(imprint_content_at(back, 2));
	assert_true(imprint_believes(back, 1, &old_file));
}

static void any_other_stamp_is_not_believed(void **state UNUSED)
{
	SCOPED(imprint) struct imprint *im = imprint_new(&manifest, LISTED);
	struct imprint_stamp other[] = { old_file, old_file, old_file };

	imprint_add(im, &old_file, NULL);
	other[0].inode++;
	other[1].modified_ns++;
	other[2].changed_ns++;
	assert_true(imprint_believes(im, 0, &old_file));
	for (size_t i = 0; i < COUNT_OF(other); i++)
		assert_false(imprint_believes(im, 0, &other[i]));
}

/* A file may be written twice within one step of its file system's clock. */
static void a_file_touched_shortly_before_is_not_believed(void **state UNUSED)
{
	const int64_t ages[] = { -SECOND, 0, SECOND, 2 * SECOND, 2 * SECOND + 1 };

	for (size_t i = 0; i < COUNT_OF(ages); i++) {
		SCOPED(imprint) struct imprint *im = imprint_new(&manifest, LISTED);
		struct imprint_stamp modified = { 1, LISTED - ages[i], LONG_AGO };
		struct imprint_stamp changed = { 1, LONG_AGO, LISTED - ages[i] };

		imprint_add(im, &modified, NULL);
		imprint_add(im, &changed, NULL);
		assert_int_equal(imprint_believes(im, 0, &modified), ages[i] > 2 * SECOND);
		assert_int_equal(imprint_believes(im, 1, &changed), ages[i] > 2 * SECOND);
	}
}

static void a_damaged_one_is_refused(void **state UNUSED)
{
	SCOPED(imprint) struct imprint *im = imprint_new(&manifest, LISTED);
	SCOPED(buf) struct buf bytes = { 0 };

	imprint_add(im, &old_file, &content);
	imprint_write(&bytes, im);
	for (size_t i = 0; i < bytes.size; i++) {
		struct imprint *out;
		struct err err;

		assert_false(imprint_read(&out, span_of(bytes.data, i), &err));
		bytes.data[i] ^= 0x10;
		assert_false(imprint_read(&out, buf_span(&bytes), &err));
		assert_int_equal(err.code, ERR_FORMAT);
		bytes.data[i] ^= 0x10;
	}
}

TESTING_MAIN(cmocka_unit_test(what_was_written_is_read),
	     cmocka_unit_test(any_other_stamp_is_not_believed),
	     cmocka_unit_test(a_file_touched_shortly_before_is_not_believed),
	     cmocka_unit_test(a_damaged_one_is_refused))

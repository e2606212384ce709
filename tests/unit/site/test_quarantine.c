/* Refused uploads are kept within bounds. */
#include "site/quarantine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "support/sitebox.h"
#include "support/testing.h"

static int open_box(void **state)
{
	struct sitebox *box = alloc_zeroed(1, sizeof(*box));

	sitebox_open(box);
	*state = box;
	return 0;
}

static int close_box(void **state)
{
	struct sitebox *box = *state;

	sitebox_close(box);
	free(box);
	return 0;
}

static void keep(struct quarantine *q, size_t number, size_t size)
{
	SCOPED_TEXT char *name = alloc_printf("object %zu", number);
	uint8_t *bytes = alloc_zeroed(size, 1);

	quarantine_keep(q, "cap1", name, span_of(bytes, size), "bad-signature");
	free(bytes);
}

static void the_reason_stands_beside_the_object(void **state)
{
	struct sitebox *box = *state;
	SCOPED(quarantine) struct quarantine q;
	SCOPED(buf) struct buf text = { 0 };
	SCOPED_TEXT char *path = NULL;
	json_auto_t *about = NULL;
	struct err err = { 0 };

	quarantine_open(&q, box->site);
	quarantine_keep(&q, "cap1", "..\n\xff", span_of_text("bytes"), "wrong-name");
	assert_int_equal(q.count, 1);
	path = alloc_printf("%s/%s.json", q.folder, q.entries[0].name);
	assert_done(path_read(&text, path, 4096, &err), &err);
	assert_done(jsondoc_read(&about, buf_span(&text), &err), &err);
	assert_string_equal(jsondoc_text(about, "cap"), "cap1");
	assert_string_equal(jsondoc_text(about, "reason"), "wrong-name");
	assert_non_null(strstr(jsondoc_text(about, "name"), "\\xff"));
}

static void a_flood_is_kept_up_to_the_bound_only(void **state)
{
	struct sitebox *box = *state;
	SCOPED(quarantine) struct quarantine q;

	quarantine_open(&q, box->site);
	for (size_t i = 0; i < QUARANTINE_OBJECTS_MAX + 10; i++)
		keep(&q, i, 10);
	assert_false(quarantine_wants(&q));
	assert_int_equal(sitebox_count_files(box, "site/quarantine"), 2 * QUARANTINE_OBJECTS_MAX);
}

static void the_oldest_gives_way_in_a_later_run(void **state)
{
	struct sitebox *box = *state;
	SCOPED_TEXT char *oldest = NULL;
	struct quarantine q;

	quarantine_open(&q, box->site);
	for (size_t i = 0; i < QUARANTINE_OBJECTS_MAX; i++)
		keep(&q, i, 10);
	quarantine_release(&q);
	box->now_s += 60;
	quarantine_open(&q, box->site);
	assert_int_equal(q.count, QUARANTINE_OBJECTS_MAX);
	oldest = alloc_text(q.entries[0].name);
	keep(&q, 5000, 10);
	assert_int_equal(q.count, QUARANTINE_OBJECTS_MAX);
	assert_string_not_equal(q.entries[0].name, oldest);
	assert_int_equal(sitebox_count_files(box, "site/quarantine"), 2 * QUARANTINE_OBJECTS_MAX);
	quarantine_release(&q);
}

static void bytes_are_bounded_too(void **state)
{
	struct sitebox *box = *state;
	SCOPED(quarantine) struct quarantine q;

	quarantine_open(&q, box->site);
	for (size_t i = 0; i < 5; i++)
		keep(&q, i, QUARANTINE_BYTES_MAX / 4);
	assert_int_equal(q.count, 4);
	assert_true(q.bytes <= QUARANTINE_BYTES_MAX);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_box, close_box)
TESTING_MAIN(CASE(the_reason_stands_beside_the_object), CASE(a_flood_is_kept_up_to_the_bound_only),
	     CASE(the_oldest_gives_way_in_a_later_run), CASE(bytes_are_bounded_too))

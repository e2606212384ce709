#include "agent/history.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/segment.h"
#include "agent/stream.h"
#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "support/tempdir.h"
#include "support/testing.h"

#define STREAM "00112233445566778899aabbccddeeff"

/* A segment of one record with a time of its own, kept. */
static void keep(const char *dir, uint64_t first, time_t time_s)
{
	SCOPED_TEXT char *log = path_join(dir, "segment.log");
	SCOPED_TEXT char *json = alloc_printf("{\"id\":%d}", (int)first);
	const struct timespec times[2] = { { .tv_sec = time_s }, { .tv_sec = time_s } };
	const struct segment_record record = { .sequence = first, .json = span_of_text(json) };
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err = { 0 };

	segment_put(&bytes, &record);
	assert_done(newfile_write(log, 0600, buf_span(&bytes), &err), &err);
	assert_int_equal(utimensat(AT_FDCWD, log, times, 0), 0);
	assert_done(history_keep(dir, log, STREAM, first, &err), &err);
	assert_false(path_exists(log));
}

static void what_is_kept_is_listed_oldest_first(void **state UNUSED)
{
	char *dir = tempdir_make("history");
	json_auto_t *got = json_array();
	json_auto_t *want = json_pack("[{s:i,s:s,s:i},{s:i,s:s,s:i}]", "id", 7, "stream", STREAM,
				      "sequence", 7, "id", 3, "stream", STREAM, "sequence", 3);

	history_list(got, dir);
	assert_int_equal(json_array_size(got), 0);
	keep(dir, 3, 2000);
	keep(dir, 7, 1000);
	history_list(got, dir);
	assert_true(json_equal(got, want));
	tempdir_remove(dir);
}

static void the_oldest_go_and_foreign_files_are_left_out(void **state UNUSED)
{
	char *dir = tempdir_make("history");
	SCOPED_TEXT char *foreign = path_join(dir, "done/no segment.log");
	json_auto_t *got = json_array();
	struct err err = { 0 };

	for (uint64_t n = 1; n <= HISTORY_SEGMENTS_MAX + 3; n++)
		keep(dir, n, (time_t)(1000 + n));
	history_prune(dir);
	assert_done(newfile_write(foreign, 0600, span_of_text("junk"), &err), &err);
	history_list(got, dir);
	assert_int_equal(json_array_size(got), HISTORY_SEGMENTS_MAX);
	assert_int_equal(jsondoc_int(json_array_get(got, 0), "id", 0), 4);
	tempdir_remove(dir);
}

TESTING_MAIN(cmocka_unit_test(what_is_kept_is_listed_oldest_first),
	     cmocka_unit_test(the_oldest_go_and_foreign_files_are_left_out))

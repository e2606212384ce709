#include "support/testing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/sidecar.h"
#include "agent/stream.h"
#include "common/newfile.h"
#include "support/tempdir.h"

static struct err err;

static void append(struct stream *s, const char *json)
{
	assert_done(stream_append(s, span_of_text("key"), span_of_text(json), STREAM_SYNC, &err),
		    &err);
}

/* The text of record `number`, looked for from its segment on; NULL: it is not there. */
static char *record_of(const struct stream *s, uint64_t number)
{
	for (size_t i = 0; i < s->count; i++) {
		SCOPED(buf) struct buf bytes = { 0 };
		struct segment_record record;
		struct span rest;

		assert_done(stream_read_segment(&bytes, s, i, &err), &err);
		rest = buf_span(&bytes);
		for (uint64_t n = s->firsts[i]; segment_take(&rest, &record, n); n++)
			if (n == number)
				return alloc_printf("%.*s", (int)record.json.size,
						    (const char *)record.json.data);
	}
	return NULL;
}

static void assert_record(const struct stream *s, uint64_t number, const char *want)
{
	SCOPED_TEXT char *got = record_of(s, number);

	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void numbers_go_on_after_a_reopening(void **unused)
{
	char *dir = tempdir_make("stream-again");
	struct stream s;

	(void)unused;
	assert_done(stream_open(&s, dir, &err), &err);
	append(&s, "one");
	append(&s, "two");
	stream_close(&s);
	assert_done(stream_open(&s, dir, &err), &err);
	append(&s, "three");
	assert_int_equal(s.next, 4);
	assert_record(&s, 1, "one");
	assert_record(&s, 3, "three");
	stream_close(&s);
	tempdir_remove(dir);
}

static void a_record_torn_by_a_kill_goes(void **unused)
{
	char *dir = tempdir_make("stream-torn");
	struct stream s;

	(void)unused;
	assert_done(stream_open(&s, dir, &err), &err);
	append(&s, "one");
	append(&s, "two");
	SCOPED_TEXT char *file = stream_file(&s, 1, "log");

	assert_int_equal(truncate(file, (off_t)s.end - 1), 0);
	stream_close(&s);
	assert_done(stream_open(&s, dir, &err), &err);
	assert_int_equal(s.next, 2);
	append(&s, "other");
	assert_record(&s, 1, "one");
	assert_record(&s, 2, "other");
	stream_close(&s);
	tempdir_remove(dir);
}

static void a_full_segment_is_followed_by_another(void **unused)
{
	char *dir = tempdir_make("stream-full");
	struct stream s;

	(void)unused;
	assert_done(stream_open(&s, dir, &err), &err);
	for (unsigned int i = 0; i < STREAM_SEGMENT_RECORDS_MAX + 1; i++)
		append(&s, "x");
	assert_int_equal(s.count, 2);
	assert_int_equal(stream_last(&s, 0), STREAM_SEGMENT_RECORDS_MAX);
	assert_int_equal(stream_open_count(&s), 1);
	assert_done(stream_start_segment(&s, &err), &err);
	assert_int_equal(stream_open_count(&s), 0);
	stream_close(&s);
	tempdir_remove(dir);
}

static void what_belongs_to_no_segment_is_swept(void **unused)
{
	static const char *const names[] = { "0000000000000009.env", "0000000000000009.json",
					     ".new-0123", "strange" };
	char *dir = tempdir_make("stream-sweep");
	struct stream s;

	(void)unused;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		SCOPED_TEXT char *path = path_join(dir, names[i]);

		assert_done(newfile_write(path, 0600, span_of_text("x"), &err), &err);
	}
	assert_done(stream_open(&s, dir, &err), &err);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		SCOPED_TEXT char *path = path_join(dir, names[i]);

		assert_false(path_exists(path));
	}
	stream_close(&s);
	tempdir_remove(dir);
}

static void names_are_numbers_of_sixteen_digits(void **unused)
{
	static const struct {
		const char *name;
		uint64_t first; /* 0: no name */
	} cases[] = {
		{ "0000000000000001.log", 1 },  { "00000000000000ff.json", 255 },
		{ "0000000000000000.log", 0 },  { "000000000000001.log", 0 },
		{ "00000000000000011.log", 0 }, { "000000000000000g.log", 0 },
		{ "0000000000000001", 0 },      { "", 0 },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *kind;
		uint64_t first = 0;

		assert_int_equal(stream_parse_name(&first, &kind, cases[i].name),
				 cases[i].first != 0);
		if (cases[i].first != 0)
			assert_int_equal(first, cases[i].first);
	}
	assert_true(stream_is_id("0123456789abcdef0123456789abcdef"));
	assert_false(stream_is_id("0123456789abcdef0123456789abcde"));
}

static void a_sidecar_counts_only_beside_its_envelope(void **unused)
{
	char *dir = tempdir_make("stream-sidecar");
	char name[] = "name", chain[] = "c";
	struct stream s;

	(void)unused;
	assert_done(stream_open(&s, dir, &err), &err);
	assert_done(sidecar_write(&s, 1,
				  &(struct sidecar){ .name = name, .chain = chain, .sent_s = 17 },
				  &err),
		    &err);
	{
		SCOPED(sidecar) struct sidecar side;

		sidecar_read(&side, &s, 1);
		assert_null(side.name);
	}
	SCOPED_TEXT char *envelope = stream_file(&s, 1, "env");

	assert_done(newfile_write(envelope, 0600, span_of_text("x"), &err), &err);
	{
		SCOPED(sidecar) struct sidecar side;

		sidecar_read(&side, &s, 1);
		assert_string_equal(side.name, "name");
		assert_string_equal(side.chain, "c");
		assert_int_equal(side.sent_s, 17);
	}
	stream_close(&s);
	tempdir_remove(dir);
}

TESTING_MAIN(cmocka_unit_test(numbers_go_on_after_a_reopening),
	     cmocka_unit_test(a_record_torn_by_a_kill_goes),
	     cmocka_unit_test(a_full_segment_is_followed_by_another),
	     cmocka_unit_test(what_belongs_to_no_segment_is_swept),
	     cmocka_unit_test(names_are_numbers_of_sixteen_digits),
	     cmocka_unit_test(a_sidecar_counts_only_beside_its_envelope))

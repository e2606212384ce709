#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/capture.h"
#include "common/random.h"
#include "common/text.h"

static void short_output_is_kept_whole(void **state UNUSED)
{
	SCOPED(capture) struct capture c = { 0 };
	SCOPED(buf) struct buf text = { 0 };

	capture_add(&c, span_of_text("one\n"));
	capture_add(&c, span_of("a\0b", 3));
	capture_text(&text, &c);
	assert_string_equal(buf_text(&text), "one\na\\0b");
	assert_int_equal(c.total, 7);
}

static void empty_output_is_empty_text(void **state UNUSED)
{
	SCOPED(capture) struct capture c = { 0 };
	SCOPED(buf) struct buf text = { 0 };

	capture_text(&text, &c);
	assert_string_equal(buf_text(&text), "");
}

/* Against the obvious way: keep everything, cut at the end. */
static void any_pieces_give_head_and_tail(void **state UNUSED)
{
	const uint64_t seed = testing_seed();
	struct random_seq r;

	random_seq_init(&r, seed, "capture");
	for (int round = 0; round < 60; round++) {
		SCOPED(capture) struct capture c = { 0 };
		SCOPED(buf) struct buf all = { 0 }, got = { 0 }, want = { 0 };
		int pieces = (int)random_seq_below(&r, 30);

		for (int i = 0; i < pieces; i++) {
			size_t size = random_seq_below(&r, round % 3 == 0 ? 90000 : 5000);
			size_t start = all.size;
			uint8_t *p = buf_reserve(&all, size);

			for (size_t k = 0; k < size; k++)
				p[k] = (uint8_t)('a' + (start + k) % 26);
			buf_grew(&all, size);
			capture_add(&c, span_of(p, size));
		}
		capture_text(&got, &c);
		if (all.size <= 2 * CAPTURE_PART) {
			buf_put_span(&want, buf_span(&all));
		} else {
			buf_put(&want, all.data, CAPTURE_PART);
			buf_printf(&want, "\n[%zu bytes left out]\n", all.size - 2 * CAPTURE_PART);
			buf_put(&want, all.data + all.size - CAPTURE_PART, CAPTURE_PART);
		}
		assert_true(span_equal(buf_span(&got), buf_span(&want)));
	}
}

static void cut_characters_are_left_out(void **state UNUSED)
{
	/* Characters of three bytes: 32,768 is no multiple of three, so both cuts hit one. */
	SCOPED(capture) struct capture c = { 0 };
	SCOPED(buf) struct buf text = { 0 };

	for (int i = 0; i < 40000; i++)
		capture_add(&c, span_of("\xe2\x82\xac", 3));
	capture_text(&text, &c);
	assert_true(text_is_utf8(buf_span(&text)));
}

TESTING_MAIN(cmocka_unit_test(short_output_is_kept_whole),
	     cmocka_unit_test(empty_output_is_empty_text),
	     cmocka_unit_test(any_pieces_give_head_and_tail),
	     cmocka_unit_test(cut_characters_are_left_out), )

#include "support/testing.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"

static void an_untouched_buffer_is_empty_text(void **state UNUSED)
{
	SCOPED(buf) struct buf b = { 0 };
	char *taken;

	assert_int_equal(buf_span(&b).size, 0);
	buf_clear(&b);
	assert_string_equal(buf_text(&b), "");
	taken = buf_take(&b);
	assert_string_equal(taken, "");
	free(taken);
	assert_null(b.data);
}

static void content_is_followed_by_a_nul_that_is_not_counted(void **state UNUSED)
{
	SCOPED(buf) struct buf b = { 0 };

	for (size_t i = 0; i < 1000; i++) {
		buf_put_u8(&b, 'x');
		assert_int_equal(b.size, i + 1);
		assert_int_equal(b.data[b.size], 0);
	}
	memset(buf_reserve(&b, 10), 'y', 10);
	buf_grew(&b, 3);
	assert_string_equal((char *)b.data + 1000, "yyy");
	buf_clear(&b);
	assert_string_equal(buf_text(&b), "");
}

static void zero_bytes_are_content_like_others(void **state UNUSED)
{
	SCOPED(buf) struct buf b = { 0 };

	buf_put(&b, "a\0b", 3);
	buf_put(&b, NULL, 0);
	buf_put_span(&b, span_of(NULL, 0));
	assert_int_equal(b.size, 3);
	assert_memory_equal(b.data, "a\0b", 4);
}

static void integers_come_back_as_they_went_in(void **state UNUSED)
{
	static const uint64_t numbers[] = { 0,         1,         127,        128,
					    16383,     16384,     UINT32_MAX, (uint64_t)1 << 53,
					    INT64_MAX, UINT64_MAX };
	SCOPED(buf) struct buf b = { 0 };
	struct span s;

	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		buf_put_u8(&b, (uint8_t)numbers[i]);
		buf_put_u16(&b, (uint16_t)numbers[i]);
		buf_put_u32(&b, (uint32_t)numbers[i]);
		buf_put_u64(&b, numbers[i]);
		buf_put_varint(&b, numbers[i]);
	}
	s = buf_span(&b);
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		uint64_t u64, varint;
		uint32_t u32;
		uint16_t u16;
		uint8_t u8;

		assert_true(span_take_u8(&s, &u8) && u8 == (uint8_t)numbers[i]);
		assert_true(span_take_u16(&s, &u16) && u16 == (uint16_t)numbers[i]);
		assert_true(span_take_u32(&s, &u32) && u32 == (uint32_t)numbers[i]);
		assert_true(span_take_u64(&s, &u64) && u64 == numbers[i]);
		assert_true(span_take_varint(&s, &varint, UINT64_MAX) && varint == numbers[i]);
	}
	assert_int_equal(s.size, 0);
}

static void formatted_text_of_any_length_fits(void **state UNUSED)
{
	SCOPED(buf) struct buf b = { 0 };

	buf_printf(&b, "%s", "");
	assert_int_equal(b.size, 0);
	buf_put_text(&b, "n=");
	buf_printf(&b, "%0*d", 5000, 7);
	assert_int_equal(b.size, 5002);
	assert_int_equal(b.data[5001], '7');
	assert_int_equal(b.data[5002], 0);
}

static void a_limit_is_kept(void **state UNUSED)
{
	SCOPED(buf) struct buf b = { .max = 10 };

	assert_true(buf_room(&b, 10));
	assert_false(buf_room(&b, 11));
	assert_false(buf_room(&b, SIZE_MAX));
	buf_put_text(&b, "1234567");
	assert_true(buf_room(&b, 3));
	assert_false(buf_room(&b, 4));
	buf_put_text(&b, "890");
	assert_true(buf_room(&b, 0));
	assert_false(buf_room(&b, 1));
	buf_release(&b);
	assert_int_equal(b.max, 10);
	assert_true(buf_room(&b, 10));
}

static void growing_past_the_limit_stops_the_program(void **state UNUSED)
{
	const struct rlimit no_core = { 0, 0 };
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct buf b = { .max = 10 };

		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		buf_put_text(&b, "12345678901");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void what_was_taken_is_the_callers(void **state UNUSED)
{
	SCOPED(buf) struct buf b = { .max = 100 };
	char *taken;

	buf_put_text(&b, "first");
	taken = buf_take(&b);
	buf_put_text(&b, "second");
	assert_string_equal(taken, "first");
	assert_string_equal(buf_text(&b), "second");
	assert_int_equal(b.max, 100);
	free(taken);
}

static void lent_memory_is_used_while_it_suffices(void **state UNUSED)
{
	char memory[16] = "";
	struct buf b = buf_lent(memory, sizeof(memory));

	buf_put_text(&b, "fifteen letters");
	assert_ptr_equal(b.data, memory);
	buf_put_text(&b, ", and more");
	assert_ptr_not_equal(b.data, memory);
	assert_string_equal(buf_text(&b), "fifteen letters, and more");
	buf_release(&b);
	/* Released as it is, it stays its owner's. */
	b = buf_lent(memory, sizeof(memory));
	buf_release(&b);
	assert_null(b.data);
	buf_put_text(&b, "own");
	buf_release(&b);
}

static void content_moves_along_to_other_memory(void **state UNUSED)
{
	SCOPED(buf) struct buf b = { 0 };
	char *memory = malloc(100);

	buf_put_text(&b, "text");
	buf_move(&b, memory, 100);
	assert_ptr_equal(b.data, memory);
	assert_string_equal(buf_text(&b), "text");
}

TESTING_MAIN(cmocka_unit_test(lent_memory_is_used_while_it_suffices),
	     cmocka_unit_test(content_moves_along_to_other_memory),
	     cmocka_unit_test(an_untouched_buffer_is_empty_text),
	     cmocka_unit_test(content_is_followed_by_a_nul_that_is_not_counted),
	     cmocka_unit_test(zero_bytes_are_content_like_others),
	     cmocka_unit_test(integers_come_back_as_they_went_in),
	     cmocka_unit_test(formatted_text_of_any_length_fits), cmocka_unit_test(a_limit_is_kept),
	     cmocka_unit_test(growing_past_the_limit_stops_the_program),
	     cmocka_unit_test(what_was_taken_is_the_callers))

#include "support/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/wire.h"

/* Seconds by which each look at the clock moves it (linked with --wrap=clock_gettime). */
static struct {
	time_t step_s, moved_s;
} fast;

int __real_clock_gettime(clockid_t which, struct timespec *now);
int __wrap_clock_gettime(clockid_t which, struct timespec *now);
int __wrap_clock_gettime(clockid_t which, struct timespec *now)
{
	int rc = __real_clock_gettime(which, now);

	fast.moved_s += fast.step_s;
	now->tv_sec += fast.moved_s;
	return rc;
}

struct line {
	int a, b;
};

static int make_line(void **state)
{
	struct line *l = calloc(1, sizeof(*l));
	struct err err;
	int ends[2];

	if (l == NULL || !wire_pair(ends, &err))
		return 1;
	*l = (struct line){ ends[0], ends[1] };
	*state = l;
	return 0;
}

static void hang_up(int *end)
{
	if (*end >= 0)
		close(*end);
	*end = -1;
}

static int remove_line(void **state)
{
	struct line *l = *state;

	hang_up(&l->a);
	hang_up(&l->b);
	free(l);
	return 0;
}

static void put_raw(int socket, const void *bytes, size_t size)
{
	assert_int_equal(send(socket, bytes, size, MSG_NOSIGNAL), size);
}

static unsigned int open_descriptors(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) != -1;
	return count;
}

static void frames_arrive_one_by_one(void **state)
{
	const struct line *l = *state;
	SCOPED(buf) struct buf got = { 0 };
	struct err err = { 0 };

	assert_done(wire_send(l->a, span_of("a\0b", 3), -1, &err), &err);
	assert_done(wire_send(l->a, span_of(NULL, 0), -1, &err), &err);
	assert_done(wire_send(l->a, span_of_text("last"), -1, &err), &err);
	assert_int_equal(wire_receive(&got, NULL, l->b, 1000, &err), WIRE_FRAME);
	assert_int_equal(got.size, 3);
	assert_memory_equal(got.data, "a\0b", 3);
	assert_int_equal(wire_receive(&got, NULL, l->b, 1000, &err), WIRE_FRAME);
	assert_int_equal(got.size, 0);
	assert_int_equal(wire_receive(&got, NULL, l->b, 1000, &err), WIRE_FRAME);
	assert_string_equal(buf_text(&got), "last");
	assert_int_equal(wire_receive(&got, NULL, l->b, 0, &err), WIRE_TIMEOUT);
}

static void *send_largest(void *ctx)
{
	const struct line *l = ctx;
	uint8_t *bytes = malloc(WIRE_FRAME_MAX);
	struct err err;
	bool sent;

	if (bytes == NULL)
		return NULL;
	memset(bytes, 'x', WIRE_FRAME_MAX);
	sent = wire_send(l->a, span_of(bytes, WIRE_FRAME_MAX), -1, &err);
	free(bytes);
	return sent ? ctx : NULL;
}

/* Far more than a socket holds: both ends go on where they stopped. */
static void the_largest_frame_goes_through(void **state)
{
	struct line *l = *state;
	SCOPED(buf) struct buf got = { 0 };
	struct err err = { 0 };
	pthread_t sender;
	void *sent;

	assert_int_equal(pthread_create(&sender, NULL, send_largest, l), 0);
	assert_int_equal(wire_receive(&got, NULL, l->b, 10000, &err), WIRE_FRAME);
	assert_int_equal(pthread_join(sender, &sent), 0);
	assert_non_null(sent);
	assert_int_equal(got.size, WIRE_FRAME_MAX);
	assert_int_equal(got.data[WIRE_FRAME_MAX - 1], 'x');
}

static void a_frame_past_the_limit_is_not_sent(void **state)
{
	const struct line *l = *state;
	SCOPED(buf) struct buf got = { 0 };
	struct err err = { 0 };
	void *bytes = calloc(1, WIRE_FRAME_MAX + 1);

	assert_false(wire_send(l->a, span_of(bytes, WIRE_FRAME_MAX + 1), -1, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(wire_receive(&got, NULL, l->b, 0, &err), WIRE_TIMEOUT);
	free(bytes);
}

static void a_broken_line_is_told_from_one_that_ended(void **state)
{
	static const struct {
		const char *why;
		size_t size;
		const char *bytes;
		enum wire_result want;
		enum err_code code;
	} cases[] = {
		{ "nothing", 0, "", WIRE_END, ERR_NONE },
		{ "half a length", 2, "\x05", WIRE_FAILED, ERR_INTERRUPTED },
		{ "a length alone", 4, "\x05\0\0", WIRE_FAILED, ERR_INTERRUPTED },
		{ "half a frame", 6, "\x05\0\0\0ab", WIRE_FAILED, ERR_INTERRUPTED },
		{ "just past the limit", 4, "\x01\0\x80", WIRE_FAILED, ERR_LIMIT },
		{ "the greatest length", 4, "\xff\xff\xff\xff", WIRE_FAILED, ERR_LIMIT },
	};
	struct line *l = *state;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(buf) struct buf got = { 0 };
		struct err err = { 0 };
		enum wire_result result;
		int ends[2];

		assert_done(wire_pair(ends, &err), &err);
		if (cases[i].size > 0)
			put_raw(ends[0], cases[i].bytes, cases[i].size);
		close(ends[0]);
		result = wire_receive(&got, NULL, ends[1], 1000, &err);
		close(ends[1]);
		if (result != cases[i].want || err.code != cases[i].code)
			fail_msg("%s: result %d, %s", cases[i].why, result, err_name(err.code));
		assert_true(got.capacity < 4096);
	}
	assert_true(l->a >= 0);
}

static void a_peer_that_is_gone_is_a_fault_and_no_signal(void **state)
{
	struct line *l = *state;
	struct err err = { 0 };

	hang_up(&l->b);
	assert_false(wire_send(l->a, span_of_text("x"), -1, &err));
	assert_int_equal(err.code, ERR_IO);
}

static void *trickle(void *ctx)
{
	const struct line *l = ctx;
	const struct timespec pause = { .tv_nsec = 5000000 };

	for (int i = 0; i < 400 && send(l->a, "x", 1, MSG_NOSIGNAL) == 1; i++)
		nanosleep(&pause, NULL);
	return NULL;
}

/* The time for the rest is one for all of it: a peer cannot stretch it byte by byte. */
static void a_trickling_peer_is_given_up(void **state)
{
	struct line *l = *state;
	SCOPED(buf) struct buf got = { 0 };
	struct err err = { 0 };
	enum wire_result result;
	pthread_t peer;

	put_raw(l->a, "\x90\x01\0\0", 4);
	fast.step_s = 1;
	assert_int_equal(pthread_create(&peer, NULL, trickle, l), 0);
	result = wire_receive(&got, NULL, l->b, 1000, &err);
	fast.step_s = 0;
	hang_up(&l->b);
	assert_int_equal(pthread_join(peer, NULL), 0);
	assert_int_equal(result, WIRE_FAILED);
	assert_int_equal(err.code, ERR_INTERRUPTED);
}

static void a_descriptor_goes_with_its_frame(void **state)
{
	const struct line *l = *state;
	SCOPED(buf) struct buf got = { 0 };
	struct err err = { 0 };
	int ends[2], passed;
	char byte;

	assert_int_equal(pipe(ends), 0);
	assert_done(wire_send(l->a, span_of_text("with"), ends[1], &err), &err);
	assert_done(wire_send(l->a, span_of_text("without"), -1, &err), &err);
	close(ends[1]);
	assert_int_equal(wire_receive(&got, &passed, l->b, 1000, &err), WIRE_FRAME);
	assert_true(passed >= 0);
	assert_true((fcntl(passed, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(write(passed, "x", 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(passed);
	close(ends[0]);
	assert_int_equal(wire_receive(&got, &passed, l->b, 1000, &err), WIRE_FRAME);
	assert_int_equal(passed, -1);
}

static void descriptors_nobody_asked_for_are_closed(void **state)
{
	static const char bad_json[] = "no json";
	const struct line *l = *state;
	SCOPED(buf) struct buf got = { 0 };
	json_auto_t *doc = NULL;
	struct err err = { 0 };
	unsigned int before = open_descriptors();
	int passed = 0;

	assert_done(wire_send(l->a, span_of_text("x"), STDERR_FILENO, &err), &err);
	assert_int_equal(wire_receive(&got, NULL, l->b, 1000, &err), WIRE_FRAME);
	assert_done(wire_send(l->a, span_of_text(bad_json), STDERR_FILENO, &err), &err);
	assert_int_equal(wire_receive_json(&doc, &passed, l->b, 1000, &err), WIRE_FAILED);
	assert_int_equal(err.code, ERR_FORMAT);
	assert_int_equal(passed, -1);
	assert_int_equal(open_descriptors(), before);
}

/* A hostile peer attaches more than the protocol has. */
static void only_the_first_of_many_descriptors_is_kept(void **state)
{
	const struct line *l = *state;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(20 * sizeof(int))];
	} control = { 0 };
	char bytes[] = "\x01\0\0\0x";
	struct iovec iov = { .iov_base = bytes, .iov_len = 5 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control.space) };
	SCOPED(buf) struct buf got = { 0 };
	struct err err = { 0 };
	unsigned int before = open_descriptors();
	int fds[20], passed;

	for (size_t i = 0; i < COUNT_OF(fds); i++)
		fds[i] = STDERR_FILENO;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	assert_int_equal(sendmsg(l->a, &msg, MSG_NOSIGNAL), 5);
	assert_int_equal(wire_receive(&got, &passed, l->b, 1000, &err), WIRE_FRAME);
	assert_true(passed >= 0);
	close(passed);
	assert_int_equal(open_descriptors(), before);
}

static void documents_go_both_ways(void **state)
{
	const struct line *l = *state;
	json_auto_t *sent = json_pack("{s:s,s:i}", "op", "sync", "n", 5);
	json_auto_t *got = NULL, *back = NULL;
	struct err err = { 0 };

	assert_done(wire_send_json(l->a, sent, -1, &err), &err);
	assert_int_equal(wire_receive_json(&got, NULL, l->b, 1000, &err), WIRE_FRAME);
	assert_true(json_equal(sent, got));
	assert_done(wire_send_json(l->b, got, -1, &err), &err);
	assert_int_equal(wire_receive_json(&back, NULL, l->a, 1000, &err), WIRE_FRAME);
	assert_true(json_equal(sent, back));
	assert_int_equal(wire_receive_json(&got, NULL, l->b, 0, &err), WIRE_TIMEOUT);
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_line, remove_line)

TESTING_MAIN(CASE(frames_arrive_one_by_one), CASE(the_largest_frame_goes_through),
	     CASE(a_frame_past_the_limit_is_not_sent),
	     CASE(a_broken_line_is_told_from_one_that_ended),
	     CASE(a_peer_that_is_gone_is_a_fault_and_no_signal), CASE(a_trickling_peer_is_given_up),
	     CASE(a_descriptor_goes_with_its_frame), CASE(descriptors_nobody_asked_for_are_closed),
	     CASE(only_the_first_of_many_descriptors_is_kept), CASE(documents_go_both_ways))

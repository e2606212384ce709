/* A keeper whose giver has been taken over: it has the sockets and the memory, and says anything.
 */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "content/chunker.h"
#include "content/chunkmap.h"
#include "content/handroom.h"
#include "content/recent.h"
#include "support/takerbox.h"

/* Chunks of one place, and one of many: the zeros. */
static const struct fakefile files[] = {
	{ .path = "a", .seed = 1, .size = 1500000 },
	{ .path = "zeros", .seed = 0, .size = 2000000 },
};

#define ANSWER_MS 20000

struct bench {
	struct takerbox box;
	struct fakeversion v;
	struct chunkmap map;
	uint32_t chunks;
	uint32_t again;       /* a place that is not its chunk's first */
	struct recent *reads; /* what one has who reads meanwhile */

	/* The giver's. */
	struct handroom shared;
	uint8_t *room;
	int hands[LANDING_HANDS];
};

static json_t *receive(struct bench *b, int *fd_out)
{
	json_t *frame = NULL;
	struct err err = { 0 };

	if (wire_receive_json(&frame, fd_out, b->box.socket, ANSWER_MS, &err) != WIRE_FRAME)
		fail_msg("the keeper says nothing: %s", err.why);
	return frame;
}

/* Begin as a giver does, and stop where lots would follow. */
static void begin(struct bench *b)
{
	json_auto_t *request = json_pack("{s:s}", "op", "begin");
	struct err err = { 0 };
	bool has_stock = false;

	takerbox_start(&b->box, &b->v, NULL, 0);
	assert_done(wire_send_json(b->box.socket, request, -1, &err), &err);
	b->shared = HANDROOM_NONE;
	json_decref(receive(b, &b->shared.hands));
	json_decref(receive(b, &b->shared.slots));
	assert_done(handroom_map(&b->shared, &err), &err);
	b->room = b->shared.at;
	for (size_t i = 0; i < LANDING_HANDS; i++)
		json_decref(receive(b, &b->hands[i]));
	while (!has_stock) {
		json_auto_t *frame = receive(b, NULL);

		has_stock = jsondoc_flag(frame, "stock", false);
	}
	memset(b->room, 0, b->chunks);
}

static void set_up(struct bench *b)
{
	struct err err = { 0 };

	*b = (struct bench){ .chunks = 0 };
	takerbox_set_up(&b->box);
	assert_done(recent_new(&b->reads, &err), &err);
	assert_done(recent_attach(&b->box.recent, recent_fd(b->reads), &err), &err);
	fakedp_publish(&b->box.dp, &b->v, 1, files, COUNT_OF(files));
	chunkmap_init(&b->map, b->v.parsed);
	b->chunks = manifest_chunk_count(b->v.parsed);
	assert_in_range(b->chunks, 10, 200);
	while (b->map.first[b->again] == b->again)
		b->again++;
	begin(b);
}

static void leave(struct bench *b)
{
	path_close_fd(&b->box.socket);
	takerbox_join(&b->box);
}

static void tear_down(struct bench *b)
{
	handroom_release(&b->shared);
	for (size_t i = 0; i < LANDING_HANDS; i++)
		close(b->hands[i]);
	chunkmap_release(&b->map);
	fakeversion_release(&b->v);
	recent_free(b->box.recent);
	recent_free(b->reads);
	takerbox_tear_down(&b->box);
}

static const struct manifest_chunk *chunk_at(const struct bench *b, uint32_t n)
{
	return manifest_chunk_at(b->v.parsed, n);
}

static void place(struct bench *b, uint32_t chunk, uint32_t offset)
{
	const struct manifest_chunk *c = chunk_at(b, chunk);

	memcpy(b->room + offset, b->v.stream.data + c->offset, c->size);
}

static void say(struct bench *b, unsigned int hand, const void *packet, size_t size)
{
	assert_int_equal(send(b->hands[hand], packet, size, MSG_NOSIGNAL), size);
}

/* False: the hand has ended. */
static bool hear(struct bench *b, unsigned int hand, struct handover_reply *reply)
{
	struct pollfd fd = { .fd = b->hands[hand], .events = POLLIN };

	if (poll(&fd, 1, ANSWER_MS) != 1)
		fail_msg("hand %u does not answer", hand);
	return recv(b->hands[hand], reply, sizeof(*reply), 0) > 0;
}

static struct handover_reply ask(struct bench *b, unsigned int hand, const struct handover_lot *lot)
{
	struct handover_reply reply = { 0 };

	say(b, hand, lot, handover_lot_bytes(lot->count));
	assert_true(hear(b, hand, &reply));
	return reply;
}

static void assert_reply(struct handover_reply reply, enum landing_put outcome, uint32_t landed)
{
	assert_int_equal(reply.outcome, outcome);
	assert_int_equal(reply.landed, landed);
}

static void give_one(struct bench *b, unsigned int hand, uint32_t chunk)
{
	const struct handover_lot lot = { 1, { { chunk, 0 } } };

	place(b, chunk, 0);
	assert_reply(ask(b, hand, &lot), LANDING_PUT_DONE, 1);
}

static void give_rest(struct bench *b, unsigned int hand)
{
	for (uint32_t n = 0; n < b->chunks; n++)
		if (b->map.first[n] == n)
			give_one(b, hand, n);
}

/* What the keeper answers to it: it is done, or the code of its refusal. */
static enum err_code ask_finish(struct bench *b)
{
	json_auto_t *request = json_pack("{s:s}", "op", "finish");
	json_auto_t *frame = NULL;
	struct err err = { 0 };

	assert_done(wire_send_json(b->box.socket, request, -1, &err), &err);
	frame = receive(b, NULL);
	if (json_object_get(frame, "error") != NULL)
		(void)!jsondoc_take_error(&err, json_object_get(frame, "error"));
	return err.code;
}

static void assert_reads_nothing_wrong(struct bench *b)
{
	uint8_t bytes[CHUNKER_MAX];

	for (uint32_t n = 0; n < b->chunks; n++) {
		const struct manifest_chunk *c = chunk_at(b, n);

		if (recent_read(bytes, b->reads, c, 0, c->size) &&
		    memcmp(bytes, b->v.stream.data + c->offset, c->size) != 0)
			fail_msg("chunk %u is wrong for who reads meanwhile", n);
	}
}

/* Whoever reads meanwhile had at least that many of the chunks last. */
static void assert_reads_some(struct bench *b, uint32_t count)
{
	uint8_t bytes[CHUNKER_MAX];
	uint32_t found = 0;

	for (uint32_t n = 0; n < b->chunks; n++)
		found += b->map.first[n] == n &&
			 recent_read(bytes, b->reads, chunk_at(b, n), 0, chunk_at(b, n)->size);
	if (found < count)
		fail_msg("%u of %u", found, count);
}

static void finish(struct bench *b)
{
	assert_int_equal(ask_finish(b), ERR_NONE);
	leave(b);
	takerbox_assert_kept(&b->box, &b->v);
	assert_reads_nothing_wrong(b);
	assert_reads_some(b, 10);
}

/* None of the tree's bytes is another than the version's, or 0 where nothing came yet. */
static void assert_nothing_wrong(struct bench *b)
{
	SCOPED_TEXT char *tree = path_join(b->box.keeps, "tree");

	for (size_t i = 0; i < COUNT_OF(files); i++) {
		SCOPED_TEXT char *path = path_join(tree, files[i].path);
		SCOPED(buf) struct buf have = { 0 };
		SCOPED(buf) struct buf want = { 0 };
		struct err err = { 0 };

		fakefile_content(&want, &files[i]);
		if (!path_read(&have, path, want.size, &err))
			continue; /* not made yet */
		for (size_t n = 0; n < have.size; n++)
			if (have.data[n] != 0 && have.data[n] != want.data[n])
				fail_msg("%s: byte %zu is wrong", path, n);
	}
	assert_reads_nothing_wrong(b);
}

static void bytes_are_taken_from_anywhere_in_the_memory(void **state UNUSED)
{
	struct bench b;
	uint32_t end;

	set_up(&b);
	end = (uint32_t)HANDOVER_ROOM_BYTES - chunk_at(&b, 0)->size;
	place(&b, 0, end);
	place(&b, 1, 12345);
	const struct handover_lot lot = { 2, { { 0, end }, { 1, 12345 } } };

	assert_reply(ask(&b, 1, &lot), LANDING_PUT_DONE, 2);
	give_rest(&b, 0);
	finish(&b);
	tear_down(&b);
}

static void chunks_that_there_are_not_are_wrong(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	const struct {
		const char *why;
		struct handover_item item;
	} items[] = {
		{ "beyond the last one", { b.chunks, 0 } },
		{ "far beyond", { UINT32_MAX, 0 } },
		{ "a place that is not the first", { b.again, 0 } },
		{ "it leaves the memory by a byte",
		  { 0, (uint32_t)HANDOVER_ROOM_BYTES - chunk_at(&b, 0)->size + 1 } },
		{ "behind the memory", { 0, (uint32_t)HANDOVER_ROOM_BYTES } },
		{ "far behind", { 0, UINT32_MAX } },
		{ "other bytes", { 0, 1 } },
	};

	place(&b, 0, 0);
	for (size_t i = 0; i < COUNT_OF(items); i++) {
		struct handover_lot lot = { 1, { items[i].item } };
		struct handover_reply reply;

		if (items[i].item.chunk == b.again)
			place(&b, b.again, 0);
		reply = ask(&b, 0, &lot);
		if (reply.outcome != LANDING_PUT_WRONG || reply.landed != 0)
			fail_msg("%s", items[i].why);
	}
	give_rest(&b, 0);
	finish(&b);
	tear_down(&b);
}

static void what_stands_before_a_wrong_one_has_landed(void **state UNUSED)
{
	const struct handover_lot lot = { 3, { { 0, 0 }, { 1, 1 }, { 2, 0 } } };
	const struct handover_lot twice = { 2, { { 0, 0 }, { 0, 7 } } };
	struct bench b;

	set_up(&b);
	place(&b, 0, 0);
	assert_reply(ask(&b, 0, &lot), LANDING_PUT_WRONG, 1);
	/* It is there: bytes that come again are not looked at. */
	assert_reply(ask(&b, 1, &twice), LANDING_PUT_DONE, 2);
	give_rest(&b, 0);
	finish(&b);
	tear_down(&b);
}

static void a_packet_that_is_no_lot_ends_its_hand(void **state UNUSED)
{
	static const struct {
		const char *why;
		uint32_t count;
		size_t size;
	} packets[] = {
		{ "a byte", 0, 1 },
		{ "not all of the count", 1, 3 },
		{ "a count without items", 1, 4 },
		{ "half an item", 1, 8 },
		{ "an item too few", 3, 4 + 2 * 8 },
		{ "an item too many", 1, 4 + 2 * 8 },
		{ "nine items", LANDING_LOT_MAX + 1, 4 + (LANDING_LOT_MAX + 1) * 8 },
		{ "nine items in the room of eight", LANDING_LOT_MAX + 1, 4 + LANDING_LOT_MAX * 8 },
		{ "eight items and more behind them", LANDING_LOT_MAX,
		  4 + (LANDING_LOT_MAX + 1) * 8 },
		{ "a count that wraps around", UINT32_MAX / 8 + 2, 4 + 8 },
		{ "the greatest count", UINT32_MAX, 4 + LANDING_LOT_MAX * 8 },
		{ "a long one", UINT32_MAX, 60000 },
	};

	for (size_t i = 0; i < COUNT_OF(packets); i++) {
		static uint32_t bytes[60000 / sizeof(uint32_t)];
		struct handover_reply reply;
		struct bench b;

		set_up(&b);
		bytes[0] = packets[i].count;
		say(&b, 0, bytes, packets[i].size);
		if (hear(&b, 0, &reply))
			fail_msg("%s: it is taken", packets[i].why);
		/* That is all that comes of it. */
		give_rest(&b, 1);
		finish(&b);
		tear_down(&b);
	}
}

static void a_lot_is_as_long_as_it_says_and_no_longer_than_eight(void **state UNUSED)
{
	static const uint32_t nine[1 + 2 * (LANDING_LOT_MAX + 1)] = { LANDING_LOT_MAX + 1 };
	static const uint32_t two[1 + 2 * LANDING_LOT_MAX] = { 2 };
	const void *long_one = nine, *short_one = two;

	assert_false(handover_is_lot(long_one, sizeof(nine)));
	assert_false(handover_is_lot(short_one, 0));
	assert_false(handover_is_lot(short_one, 4 + 8));
	assert_true(handover_is_lot(short_one, 4 + 2 * 8));
	assert_false(handover_is_lot(short_one, 4 + 3 * 8));
}

static void only_what_ends_in_the_memory_fits(void **state UNUSED)
{
	const uint32_t room = (uint32_t)HANDOVER_ROOM_BYTES;

	assert_true(handover_fits(0, room));
	assert_true(handover_fits(room - 10, 10));
	assert_false(handover_fits(room - 9, 10));
	assert_false(handover_fits(room, 1));
	assert_false(handover_fits(UINT32_MAX, 2));
	assert_false(handover_fits(0, room + 1));
	assert_false(handover_fits(0, UINT32_MAX));
}

/* As taker.c asks it, without the checks before. */
static void an_offer_of_no_chunk_is_wrong_wherever_it_comes_from(void **state UNUSED)
{
	static const uint8_t bytes[CHUNKER_MAX];
	struct bench b;
	struct err err = { 0 };
	SCOPED_TEXT char *other = NULL;
	SCOPED(assemble) struct assemble *a = NULL;

	set_up(&b);
	other = path_join(b.box.top, "other");
	struct assemble_params params = b.box.params;

	params.dir = other;
	params.progress = NULL;
	assert_done(assemble_open(&a, &params, &err), &err);
	assert_int_equal(assemble_local(a, &err), ASSEMBLE_DONE);
	assert_int_equal(assemble_chunk_size(a, b.chunks), UINT32_MAX);
	assert_int_equal(assemble_chunk_size(a, 0), chunk_at(&b, 0)->size);
	assert_int_equal(assemble_offer(a, 0, UINT32_MAX, bytes, &err), LANDING_PUT_WRONG);
	assert_int_equal(assemble_offer(a, 0, b.chunks, bytes, &err), LANDING_PUT_WRONG);
	assert_int_equal(assemble_offer(a, 0, b.again, bytes, &err), LANDING_PUT_WRONG);
	assert_int_equal(assemble_offer(a, 0, 0, bytes, &err), LANDING_PUT_WRONG);
	assert_int_equal(assemble_missing(a), b.map.unique);
	leave(&b);
	tear_down(&b);
}

/* Another process of the same account flips a byte until it is killed; it has begun. */
static pid_t start_flipping(uint8_t *at)
{
	volatile uint8_t *byte = at;
	const uint8_t before = *byte;
	pid_t pid = fork();

	if (pid == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0)
		*byte ^= 0x10;
	assert_true(pid > 0);
	while (*byte == before)
		sched_yield();
	return pid;
}

static void stop_flipping(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define OFFERS_MAX 50

/* Offer a chunk while it changes, until it is taken. */
static bool offer_changing(struct bench *b, uint32_t chunk, unsigned int hand)
{
	const struct handover_lot lot = { 1, { { chunk, 0 } } };
	struct handover_reply reply = { .outcome = LANDING_PUT_WRONG };
	pid_t flips;

	place(b, chunk, 0);
	flips = start_flipping(b->room + chunk_at(b, chunk)->size - 1);
	for (int i = 0; i < OFFERS_MAX && reply.outcome == LANDING_PUT_WRONG; i++)
		reply = ask(b, hand, &lot);
	stop_flipping(flips);
	assert_true(reply.outcome != LANDING_PUT_FAULT);
	return reply.outcome == LANDING_PUT_DONE;
}

/* Whatever the keeper saw when it looked: it wrote what it saw. */
static void bytes_that_change_meanwhile_are_right_or_not_taken(void **state UNUSED)
{
	struct bench b;
	uint32_t taken = 0;

	set_up(&b);
	for (uint32_t n = 0; n < b.chunks; n++)
		if (b.map.first[n] == n)
			taken += offer_changing(&b, n, n % LANDING_HANDS);
	print_message("# %u of %u were taken\n", taken, b.map.unique);
	give_rest(&b, 0);
	finish(&b);
	tear_down(&b);
}

static void the_memory_keeps_its_size(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	assert_int_equal(ftruncate(b.shared.slots, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(b.shared.slots, (off_t)HANDOVER_SLOTS_BYTES + 4096), -1);
	assert_int_equal(errno, EPERM);
	/* Nor can it be sealed against what the keeper writes itself. */
	assert_int_equal(fcntl(b.shared.slots, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	assert_int_equal(errno, EPERM);
	/* Given back to the system, it is zeros, which are no chunk's bytes. */
	place(&b, 0, 0);
	assert_int_equal(fallocate(b.shared.hands, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				   (off_t)HANDOVER_ROOM_BYTES),
			 0);
	const struct handover_lot lot = { 1, { { 0, 0 } } };

	assert_reply(ask(&b, 0, &lot), LANDING_PUT_WRONG, 0);
	give_rest(&b, 0);
	finish(&b);
	tear_down(&b);
}

static void nothing_is_taken_after_the_finish(void **state UNUSED)
{
	const struct handover_lot lot = { 1, { { 0, 0 } } };
	struct handover_reply reply;
	struct bench b;

	set_up(&b);
	give_one(&b, 0, 1);
	assert_int_equal(ask_finish(&b), ERR_CORRUPT);
	place(&b, 0, 0);
	/* Sent or not, it is not heard. */
	(void)!send(b.hands[0], &lot, handover_lot_bytes(1), MSG_NOSIGNAL);
	assert_false(hear(&b, 0, &reply));
	leave(&b);
	assert_false(b.box.is_done);
	assert_nothing_wrong(&b);
	tear_down(&b);
}

static void lots_under_way_at_the_finish_change_nothing(void **state UNUSED)
{
	const struct handover_lot lot = { 1, { { 0, 0 } } };
	struct bench b;

	set_up(&b);
	give_rest(&b, 0);
	b.room[0] ^= 1;
	for (int i = 0; i < 8; i++)
		say(&b, (unsigned int)i % LANDING_HANDS, &lot, handover_lot_bytes(1));
	finish(&b);
	tear_down(&b);
}

/* Both at once, the right bytes and wrong ones; which of them is first is the machine's. */
static void two_hands_with_one_chunk_land_it_once_or_not(void **state UNUSED)
{
	struct handover_reply reply;
	struct bench b;

	set_up(&b);
	for (uint32_t n = 0; n < b.chunks; n++) {
		const uint32_t wrong = FRAME_RAW_MAX;
		const struct handover_lot lots[LANDING_HANDS] = {
			{ 1, { { n, n % 3 != 0 ? 0 : wrong } } },
			{ 1, { { n, n % 3 != 1 ? 0 : wrong } } }
		};

		if (b.map.first[n] != n)
			continue;
		place(&b, n, 0);
		memset(b.room + wrong, 0x5a, CHUNKER_MAX);
		for (unsigned int i = 0; i < LANDING_HANDS; i++)
			say(&b, i, &lots[i], handover_lot_bytes(1));
		for (unsigned int i = 0; i < LANDING_HANDS; i++)
			assert_true(hear(&b, i, &reply));
	}
	give_rest(&b, 1);
	finish(&b);
	tear_down(&b);
}

static void a_line_that_breaks_in_a_frame_is_an_end(void **state UNUSED)
{
	static const struct {
		const char *why, *bytes;
		size_t size;
	} ends[] = {
		{ "nothing", "", 0 },
		{ "half a length", "\x05\0", 2 },
		{ "half a frame", "\x05\0\0\0{", 5 },
		{ "a frame too large", "\xff\xff\xff\xff", 4 },
		{ "no JSON", "\x03\0\0\0abc", 7 },
	};

	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct bench b;

		set_up(&b);
		give_rest(&b, 0);
		assert_int_equal(write(b.box.socket, ends[i].bytes, ends[i].size), ends[i].size);
		leave(&b);
		if (b.box.is_done || b.box.err.code != ERR_INTERRUPTED)
			fail_msg("%s", ends[i].why);
		tear_down(&b);
	}
}

/* Without a socket to any hand, lots and answers that nobody reads: it ends with its line. */
static void a_giver_that_reads_no_answers_holds_nothing_up(void **state UNUSED)
{
	const struct handover_lot lot = { 1, { { 0, 0 } } };
	struct bench b;

	set_up(&b);
	for (unsigned int i = 0; i < LANDING_HANDS; i++)
		while (send(b.hands[i], &lot, handover_lot_bytes(1), MSG_NOSIGNAL | MSG_DONTWAIT) >
		       0)
			;
	leave(&b);
	assert_int_equal(b.box.err.code, ERR_INTERRUPTED);
	assert_nothing_wrong(&b);
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(bytes_are_taken_from_anywhere_in_the_memory),
	     cmocka_unit_test(chunks_that_there_are_not_are_wrong),
	     cmocka_unit_test(what_stands_before_a_wrong_one_has_landed),
	     cmocka_unit_test(a_packet_that_is_no_lot_ends_its_hand),
	     cmocka_unit_test(a_lot_is_as_long_as_it_says_and_no_longer_than_eight),
	     cmocka_unit_test(only_what_ends_in_the_memory_fits),
	     cmocka_unit_test(an_offer_of_no_chunk_is_wrong_wherever_it_comes_from),
	     cmocka_unit_test(bytes_that_change_meanwhile_are_right_or_not_taken),
	     cmocka_unit_test(the_memory_keeps_its_size),
	     cmocka_unit_test(nothing_is_taken_after_the_finish),
	     cmocka_unit_test(lots_under_way_at_the_finish_change_nothing),
	     cmocka_unit_test(two_hands_with_one_chunk_land_it_once_or_not),
	     cmocka_unit_test(a_line_that_breaks_in_a_frame_is_an_end),
	     cmocka_unit_test(a_giver_that_reads_no_answers_holds_nothing_up))

#include "support/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "content/chunker.h"
#include "content/recent.h"

struct box {
	struct recent *reader, *keeper;
	uint8_t got[CHUNKER_MAX];
};

static void set_up(struct box *b)
{
	struct err err = { 0 };

	assert_done(recent_new(&b->reader, &err), &err);
	assert_done(recent_attach(&b->keeper, recent_fd(b->reader), &err), &err);
}

static void tear_down(struct box *b)
{
	recent_free(b->keeper);
	recent_free(b->reader);
}

/* Chunks that are told apart by number; places in the index are spread like those of hashes. */
static struct manifest_chunk chunk_of(uint32_t number, uint32_t size)
{
	struct manifest_chunk c = { .size = size };
	uint32_t spread = number * 2654435761u;

	memcpy(c.id.bytes, &spread, sizeof(spread));
	memcpy(c.id.bytes + 8, &number, sizeof(number));
	return c;
}

static uint8_t byte_of(uint32_t number, size_t at)
{
	return (uint8_t)(number * 7 + at * 13 + (at >> 8));
}

static void fill(struct box *b, unsigned int hand, const struct manifest_chunk *c, uint32_t number)
{
	uint8_t *room = recent_room(b->keeper, hand, c);

	for (size_t i = 0; i < c->size; i++)
		room[i] = byte_of(number, i);
}

static void put(struct box *b, unsigned int hand, uint32_t number, uint32_t size)
{
	struct manifest_chunk c = chunk_of(number, size);

	fill(b, hand, &c, number);
	recent_publish(b->keeper, hand);
}

/* True if the chunk is there, and then its bytes are right. */
static bool is_there(struct box *b, uint32_t number, uint32_t size)
{
	struct manifest_chunk c = chunk_of(number, size);

	if (!recent_read(b->got, b->reader, &c, 0, size))
		return false;
	for (size_t i = 0; i < size; i++)
		if (b->got[i] != byte_of(number, i))
			fail_msg("chunk %u: byte %zu", number, i);
	return true;
}

static void a_chunk_is_there_once_it_is_published(void **state UNUSED)
{
	static const uint32_t sizes[] = { 1, 63, 64, 65, 70000, CHUNKER_MAX };

	for (uint32_t i = 0; i < COUNT_OF(sizes); i++) {
		for (unsigned int hand = 0; hand < RECENT_HANDS; hand++) {
			struct manifest_chunk c = chunk_of(i, sizes[i]);
			struct box b;

			set_up(&b);
			assert_false(is_there(&b, i, sizes[i]));
			fill(&b, hand, &c, i);
			assert_false(is_there(&b, i, sizes[i]));
			recent_publish(b.keeper, hand);
			assert_true(is_there(&b, i, sizes[i]));
			assert_false(is_there(&b, i + 1, sizes[i]));
			tear_down(&b);
		}
	}
}

static void a_part_of_a_chunk_can_be_had(void **state UNUSED)
{
	struct manifest_chunk c = chunk_of(5, 1000);
	struct box b;

	set_up(&b);
	put(&b, 0, 5, 1000);
	memset(b.got, 0, sizeof(b.got));
	assert_true(recent_read(b.got, b.reader, &c, 990, 10));
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(b.got[i], byte_of(5, 990 + i));
	assert_int_equal(b.got[10], 0);
	assert_true(recent_read(b.got, b.reader, &c, 1000, 0));
	tear_down(&b);
}

/* Names of one beginning share a place in the index, which tells them apart no further. */
static void another_chunk_is_never_taken_for_it(void **state UNUSED)
{
	struct manifest_chunk right = chunk_of(5, 1000), longer = right, other = right;
	struct box b;

	longer.size = 1001;
	other.id.bytes[DIGEST_SIZE - 1] ^= 1;
	set_up(&b);
	put(&b, 0, 5, 1000);
	assert_true(recent_read(b.got, b.reader, &right, 0, 10));
	assert_false(recent_read(b.got, b.reader, &longer, 0, 10));
	assert_false(recent_read(b.got, b.reader, &other, 0, 10));
	tear_down(&b);
}

/* Bytes that turn out wrong are in the room, and never shown. */
static void what_was_not_published_is_not_there(void **state UNUSED)
{
	struct manifest_chunk c = chunk_of(5, 1000);
	struct box b;

	set_up(&b);
	put(&b, 0, 4, 1000);
	memset(recent_room(b.keeper, 0, &c), 99, 1000);
	put(&b, 0, 6, 1000);
	assert_true(is_there(&b, 4, 1000));
	assert_false(is_there(&b, 5, 1000));
	assert_true(is_there(&b, 6, 1000));
	tear_down(&b);
}

/* All sizes, several times round: what is said to be there is right, and the last few are there. */
static void what_landed_last_is_there_and_what_is_older_goes(void **state UNUSED)
{
	static const uint32_t sizes[] = { CHUNKER_MAX, 70000, 16384, CHUNKER_MAX - 1, 1, 131072 };
	struct box b;
	uint64_t bytes = 0;
	uint32_t number = 0;

	set_up(&b);
	while (bytes < 3 * RECENT_HAND_BYTES) {
		uint32_t size = sizes[number % COUNT_OF(sizes)];

		put(&b, number % RECENT_HANDS, number, size);
		assert_true(is_there(&b, number, size));
		for (uint32_t back = 1; back < 12 && back <= number; back++)
			assert_true(is_there(&b, number - back,
					     sizes[(number - back) % COUNT_OF(sizes)]));
		if (number % 50 == 0)
			for (uint32_t n = 0; n < number; n += 3)
				(void)is_there(&b, n, sizes[n % COUNT_OF(sizes)]);
		bytes += size;
		number++;
	}
	assert_false(is_there(&b, 0, sizes[0]));
	assert_false(is_there(&b, 1, sizes[1]));
	tear_down(&b);
}

/* A hand begins to write over chunks of its own; what the other one has stays. */
static void a_room_takes_what_stood_there_before_it_is_written(void **state UNUSED)
{
	struct manifest_chunk c = chunk_of(3, CHUNKER_MAX);
	struct box b;

	set_up(&b);
	put(&b, 1, 1000, CHUNKER_MAX);
	put(&b, 0, 0, 500);
	put(&b, 0, 1, 500);
	for (uint64_t bytes = 0; is_there(&b, 0, 500); bytes += CHUNKER_MAX) {
		assert_true(bytes < RECENT_HAND_BYTES);
		assert_true(is_there(&b, 1, 500));
		/* Not published, and not a byte of it written. */
		(void)recent_room(b.keeper, 0, &c);
	}
	/* Its name stands there as before. */
	assert_false(is_there(&b, 1, 500));
	assert_true(is_there(&b, 1000, CHUNKER_MAX));
	tear_down(&b);
}

/* What a worker offers may look like a record, with the name of a chunk that is wanted. */
static void forge(uint8_t *at, const struct manifest_chunk *c)
{
	memcpy(at, c->id.bytes, DIGEST_SIZE);
	memcpy(at + DIGEST_SIZE, &c->size, sizeof(c->size));
}

/* Rooms of the greatest size, of which no byte is written. */
static void pass_rooms(struct box *b, uint64_t count)
{
	struct manifest_chunk c = chunk_of(5000000, CHUNKER_MAX);

	for (uint64_t n = 0; n < count; n++)
		(void)recent_room(b->keeper, RECENT_HANDS - 1, &c);
}

/*
 * Exactly where records stood, that were published and are gone; the last ones so near to the end
 * of the memory that nothing large could stand there.
 */
static void what_looks_like_a_record_is_none(void **state UNUSED)
{
	enum {
		HEAD = DIGEST_SIZE + sizeof(uint32_t),
		SMALL_STEP = 192, /* of a record of 100 bytes */
		SMALL = CHUNKER_MAX / SMALL_STEP,
		ROOMS = RECENT_HAND_BYTES / (CHUNKER_MAX + 64),
	};
	struct manifest_chunk large = chunk_of(5000000, CHUNKER_MAX);
	struct box b;
	uint8_t *bytes;

	set_up(&b);
	pass_rooms(&b, ROOMS - 1);
	for (uint32_t n = 0; n < SMALL; n++)
		put(&b, RECENT_HANDS - 1, n, 100);
	assert_true(is_there(&b, 0, 100));
	pass_rooms(&b, ROOMS - 1);
	assert_true(is_there(&b, 0, 100));
	bytes = recent_room(b.keeper, RECENT_HANDS - 1, &large);
	for (uint32_t n = 1; n < SMALL; n++) {
		struct manifest_chunk forged = chunk_of(n, n % 2 == 0 ? 100 : CHUNKER_MAX);

		forge(bytes + (size_t)n * SMALL_STEP - HEAD, &forged);
	}
	for (uint32_t n = 0; n < SMALL; n++) {
		struct manifest_chunk forged = chunk_of(n, n % 2 == 0 ? 100 : CHUNKER_MAX);

		assert_false(recent_read(b.got, b.reader, &forged, 0, forged.size));
	}
	tear_down(&b);
}

struct writer {
	struct box *box;
	pthread_t thread;
	atomic_bool stops;
	atomic_uint number; /* of the last one that is published */
};

#define WRITTEN_SIZE(number) (CHUNKER_MAX - 64 * ((number) % 50))

/* Without a lock, as the keeper does. Bytes are one value each, which is quick to tell. */
static void *write_on(void *arg)
{
	struct writer *w = arg;

	for (uint32_t n = 1; !atomic_load(&w->stops); n++) {
		struct manifest_chunk c = chunk_of(n, WRITTEN_SIZE(n));

		memset(recent_room(w->box->keeper, 0, &c), (int)(n % 251), c.size);
		recent_publish(w->box->keeper, 0);
		atomic_store(&w->number, n);
	}
	return NULL;
}

static uint32_t read_one(struct box *b, uint32_t n)
{
	struct manifest_chunk c = chunk_of(n, WRITTEN_SIZE(n));

	if (!recent_read(b->got, b->reader, &c, 0, c.size))
		return 0;
	if (b->got[0] != n % 251 || memcmp(b->got, b->got + 1, c.size - 1) != 0)
		fail_msg("chunk %u: bytes of another one", n);
	return 1;
}

/* The ones that the writer is about to reach are the ones that can go while they are copied. */
static void what_is_overwritten_while_it_is_copied_is_not_had(void **state UNUSED)
{
	uint32_t oldest = (uint32_t)(RECENT_HAND_BYTES / CHUNKER_MAX), had = 0;
	uint64_t until_ms = clock_mono_ms(clock_system()) + 500;
	struct box b;
	struct writer w = { .box = &b };

	set_up(&b);
	assert_int_equal(pthread_create(&w.thread, NULL, write_on, &w), 0);
	while (clock_mono_ms(clock_system()) < until_ms || had == 0) {
		uint32_t last = atomic_load(&w.number);

		for (uint32_t back = oldest - 4; back < oldest + 4 && back < last; back++)
			had += read_one(&b, last - back);
	}
	atomic_store(&w.stops, true);
	assert_int_equal(pthread_join(w.thread, NULL), 0);
	tear_down(&b);
}

/* One that is killed leaves the memory as it is; the next goes on behind. */
static void the_next_keeper_goes_on(void **state UNUSED)
{
	struct manifest_chunk c = chunk_of(2, 5000);
	struct err err = { 0 };
	struct box b;

	set_up(&b);
	put(&b, 0, 1, 5000);
	fill(&b, 0, &c, 2);
	recent_free(b.keeper);
	assert_done(recent_attach(&b.keeper, recent_fd(b.reader), &err), &err);
	assert_true(is_there(&b, 1, 5000));
	assert_false(is_there(&b, 2, 5000));
	put(&b, 0, 3, 5000);
	assert_true(is_there(&b, 1, 5000));
	assert_true(is_there(&b, 3, 5000));
	tear_down(&b);
}

static void what_is_no_memory_for_chunks_is_refused(void **state UNUSED)
{
	struct recent *r = NULL;
	struct err err = { 0 };
	int fd = memfd_create("another", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_false(recent_attach(&r, fd, &err));
	assert_int_equal(err.code, ERR_FORMAT);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_false(recent_attach(&r, fd, &err));
	close(fd);
	assert_false(recent_attach(&r, fd, &err));
	assert_false(recent_attach(&r, -1, &err));
	assert_null(r);
}

/* Nobody who has the descriptor can take memory from under the other. */
static void the_size_of_the_memory_is_fixed(void **state UNUSED)
{
	struct box b;

	set_up(&b);
	assert_int_equal(ftruncate(recent_fd(b.reader), 4096), -1);
	assert_int_equal(ftruncate(recent_fd(b.reader), INT64_C(1) << 30), -1);
	assert_int_equal(fcntl(recent_fd(b.reader), F_ADD_SEALS, F_SEAL_WRITE), -1);
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(a_chunk_is_there_once_it_is_published),
	     cmocka_unit_test(a_part_of_a_chunk_can_be_had),
	     cmocka_unit_test(another_chunk_is_never_taken_for_it),
	     cmocka_unit_test(what_was_not_published_is_not_there),
	     cmocka_unit_test(what_landed_last_is_there_and_what_is_older_goes),
	     cmocka_unit_test(a_room_takes_what_stood_there_before_it_is_written),
	     cmocka_unit_test(what_looks_like_a_record_is_none),
	     cmocka_unit_test(what_is_overwritten_while_it_is_copied_is_not_had),
	     cmocka_unit_test(the_next_keeper_goes_on),
	     cmocka_unit_test(what_is_no_memory_for_chunks_is_refused),
	     cmocka_unit_test(the_size_of_the_memory_is_fixed))

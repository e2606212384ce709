#include "content/recent.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "content/chunker.h"

#define PLACES 4096u /* by id; more than a hand has chunks of usual size */
#define STEP   64u   /* records begin at multiples of it */

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock of one process is none for another");

/*
 * What a hand puts down, one record behind the other and round again. Positions never go back; a
 * record at position `p` stands at `p` modulo RECENT_HAND_BYTES and is whole as long as `taken` is
 * not beyond `p` + RECENT_HAND_BYTES: that is looked at after its bytes were copied. A place only
 * ever names a record that was published, so nothing that looks like one is taken for it.
 */
struct track {
	atomic_uint_least64_t taken;          /* the keeper writes up to this position */
	atomic_uint_least64_t places[PLACES]; /* positions of records; 0: none */
	uint8_t bytes[RECENT_HAND_BYTES];
};

struct record {
	struct digest id;
	uint32_t size_bytes;
	uint8_t bytes[];
};
static_assert(RECENT_HAND_BYTES % STEP == 0 &&
		      RECENT_HAND_BYTES > 4 * (sizeof(struct record) + CHUNKER_MAX),
	      "a record never fills the whole");

struct memory {
	struct track tracks[RECENT_HANDS];
};

struct recent {
	struct memory *memory;
	int fd;                    /* the reader's; -1 */
	uint64_t at[RECENT_HANDS]; /* the keeper's: the record at hand */
};

static bool map(struct recent **out, int fd, int protection, struct err *err)
{
	void *memory = mmap(NULL, sizeof(struct memory), protection, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return err_sys(err, ERR_MEMORY, errno, "map shared memory");
	*out = alloc_zeroed(1, sizeof(**out));
	**out = (struct recent){ .memory = memory, .fd = -1 };
	return true;
}

/* A page that cannot be had is a fault here, and not a signal for who looks for a chunk. */
static bool reserve_places(int fd)
{
	for (size_t hand = 0; hand < RECENT_HANDS; hand++)
		if (fallocate(fd, 0, (off_t)(hand * sizeof(struct track)),
			      offsetof(struct track, bytes)) != 0)
			return false;
	return true;
}

bool recent_new(struct recent **out, struct err *err)
{
	SCOPED_FD int fd = memfd_create("packway-recent", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, sizeof(struct memory)) != 0 || !reserve_places(fd) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return err_sys(err, ERR_MEMORY, errno, "shared memory");
	if (!map(out, fd, PROT_READ, err))
		return false;
	(*out)->fd = fd;
	fd = -1;
	return true;
}

bool recent_attach(struct recent **out, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || st.st_size != (off_t)sizeof(struct memory))
		return err_set(err, ERR_FORMAT, "the descriptor is no memory for chunks");
	return map(out, fd, PROT_READ | PROT_WRITE, err);
}

void recent_free(struct recent *r)
{
	if (r == NULL)
		return;
	(void)munmap(r->memory, sizeof(*r->memory));
	path_close_fd(&r->fd);
	free(r);
}

int recent_fd(const struct recent *r)
{
	return r->fd;
}

static uint64_t record_bytes(uint32_t size_bytes)
{
	return (sizeof(struct record) + size_bytes + STEP - 1) / STEP * STEP;
}

/* No record goes over the end; none is at 0, which is no position. */
static uint64_t next_position(uint64_t taken, uint64_t need)
{
	uint64_t left = RECENT_HAND_BYTES - taken % RECENT_HAND_BYTES;

	if (taken == 0)
		return RECENT_HAND_BYTES;
	return need <= left ? taken : taken + left;
}

static struct record *record_at(struct track *t, uint64_t position)
{
	return (struct record *)(void *)(t->bytes + position % RECENT_HAND_BYTES);
}

uint8_t *recent_room(struct recent *r, unsigned int hand, const struct manifest_chunk *chunk)
{
	struct track *t = &r->memory->tracks[hand];
	uint64_t need, at;
	struct record *record;

	assert(hand < RECENT_HANDS && chunk->size <= CHUNKER_MAX);
	need = record_bytes(chunk->size);
	at = next_position(atomic_load(&t->taken), need);
	record = record_at(t, at);
	/* Before a byte of what stood there changes. */
	atomic_store(&t->taken, at + need);
	atomic_thread_fence(memory_order_seq_cst);
	r->at[hand] = at;
	record->id = chunk->id;
	record->size_bytes = chunk->size;
	return record->bytes;
}

static atomic_uint_least64_t *place_of(struct track *t, const struct digest *id)
{
	uint32_t number;

	memcpy(&number, id->bytes, sizeof(number));
	return &t->places[number % PLACES];
}

void recent_publish(struct recent *r, unsigned int hand)
{
	struct track *t = &r->memory->tracks[hand];

	atomic_store(place_of(t, &record_at(t, r->at[hand])->id), r->at[hand]);
}

static bool is_of(const struct record *record, const struct manifest_chunk *chunk)
{
	return record->size_bytes == chunk->size && digest_equal(&record->id, &chunk->id);
}

static bool read_track(void *dst, struct track *t, const struct manifest_chunk *chunk, size_t skip,
		       size_t size)
{
	uint64_t at = atomic_load(place_of(t, &chunk->id));
	const struct record *record = record_at(t, at);

	if (at == 0 || at % RECENT_HAND_BYTES + record_bytes(chunk->size) > RECENT_HAND_BYTES ||
	    !is_of(record, chunk))
		return false;
	memcpy(dst, record->bytes + skip, size);
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load(&t->taken) <= at + RECENT_HAND_BYTES;
}

bool recent_read(void *dst, const struct recent *r, const struct manifest_chunk *chunk, size_t skip,
		 size_t size)
{
	assert(skip <= chunk->size && size <= chunk->size - skip);
	for (unsigned int hand = 0; hand < RECENT_HANDS; hand++)
		if (read_track(dst, &r->memory->tracks[hand], chunk, skip, size))
			return true;
	return false;
}

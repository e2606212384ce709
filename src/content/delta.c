#include "content/delta.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define KEY_SIZE       16u /* bytes that are hashed */
#define FAR_STRIDE_LOG 4   /* of the whole old stream, every 16th position is in the table */
#define NEAR_BITS_MAX  24u /* 64 MiB */
#define FAR_BITS_MAX   27u /* 512 MiB */
#define TABLE_BITS_MIN 8u
#define NEAR_MIN       16u /* shorter matches are chance */
#define FAR_MIN        24u /* chance has more room in the whole stream */
#define NEAR_ENOUGH    32u /* with this many bytes right next door, nobody looks further */
#define BETTER_BY      8u  /* a new stretch has to be right in so many more bytes */
#define LONG_MATCH                                                                    \
	4096u /* decided at once, so that long repeats cost no square of their length \
	       */

/* Positions of the old stream by the hash of the bytes there; 0 is empty, else position + 1. */
struct table {
	uint32_t *slots;
	unsigned int bits; /* 0: none */
	unsigned int stride_log;
	uint64_t base; /* positions are relative to it */
};

/* A stretch of both streams that agrees exactly. */
struct match {
	uint64_t old_at;
	uint64_t new_at;
	uint64_t size;
};

struct maker {
	struct span old, new;
	uint64_t end;      /* of the file that is being walked, in the new stream */
	struct table near; /* of its likely origin */
	struct table far;  /* of everything */
	unsigned int near_bits_max;
	struct match last; /* where the stretch in force began; its size is not used */
	struct delta_op pending;
	delta_op_fn *op;
	void *ctx;
};

static uint64_t load64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

/* Any mixing would do; the constants are odd and without pattern. */
static uint32_t hash_of(const uint8_t *p, unsigned int bits)
{
	uint64_t h = (load64(p) * 0x9e3779b185ebca87u) ^ (load64(p + 8) * 0xc2b2ae3d27d4eb4fu);

	h = (h ^ (h >> 29)) * 0x165667b19e3779f9u;
	return (uint32_t)(h >> (64 - bits));
}

static uint64_t common_size(const uint8_t *a, const uint8_t *b, uint64_t max)
{
	uint64_t n = 0;

	for (; n + 8 <= max; n += 8) {
		uint64_t differs = load64(a + n) ^ load64(b + n);

		/* Which byte differs first depends on the byte order: let the loop below tell. */
		if (differs != 0)
			break;
	}
	while (n < max && a[n] == b[n])
		n++;
	return n;
}

/* --- tables ----------------------------------------------------------------------------------- */

static unsigned int bits_for(uint64_t positions, unsigned int max)
{
	unsigned int bits = TABLE_BITS_MIN;

	while (bits < max && ((uint64_t)1 << bits) < positions * 2)
		bits++;
	return bits;
}

/* Going backwards, so that of equal stretches the first one stays. */
static void table_fill(struct table *t, struct span old, uint64_t base, uint64_t size)
{
	uint64_t last;

	t->base = base;
	memset(t->slots, 0, sizeof(*t->slots) << t->bits);
	if (size < KEY_SIZE)
		return;
	last = MIN_OF((size - KEY_SIZE) >> t->stride_log, (uint64_t)UINT32_MAX - 1);
	for (uint64_t i = last + 1; i-- > 0;)
		t->slots[hash_of(old.data + base + (i << t->stride_log), t->bits)] = (uint32_t)(i +
												1);
}

static void look_up(struct match *best, const struct maker *m, const struct table *t, uint64_t at,
		    uint64_t min)
{
	uint64_t old_at, size;
	uint32_t slot;

	if (t->bits == 0)
		return;
	slot = t->slots[hash_of(m->new.data + at, t->bits)];
	if (slot == 0)
		return;
	old_at = t->base + ((uint64_t)(slot - 1) << t->stride_log);
	size = common_size(m->old.data + old_at, m->new.data + at,
			   MIN_OF(m->old.size - old_at, m->end - at));
	if (size >= min && size > best->size)
		*best = (struct match){ .old_at = old_at, .new_at = at, .size = size };
}

/* The best exact match at a position of the new stream; size 0: none. */
static struct match find_match(const struct maker *m, uint64_t at)
{
	struct match best = { .new_at = at };

	if (m->end - at < KEY_SIZE)
		return best;
	look_up(&best, m, &m->near, at, NEAR_MIN);
	if (best.size < NEAR_ENOUGH)
		look_up(&best, m, &m->far, at, FAR_MIN);
	return best;
}

/* --- operations ------------------------------------------------------------------------------- */

static bool flush(struct maker *m, struct err *err)
{
	struct delta_op op = m->pending;

	m->pending = (struct delta_op){ 0 };
	return (op.copy_size == 0 && op.insert_size == 0) || m->op(&op, m->ctx, err);
}

/* Unchanged neighbours become one copy, across the edges of files too. */
static bool put(struct maker *m, uint64_t old_at, uint64_t copy, uint64_t insert, struct err *err)
{
	struct delta_op *p = &m->pending;
	bool goes_on = p->copy_size > 0 && p->insert_size == 0 &&
		       p->old_offset + p->copy_size == old_at;

	if (copy == 0) {
		p->insert_size += insert;
		return true;
	}
	if (goes_on) {
		p->copy_size += copy;
		p->insert_size = insert;
		return true;
	}
	if (!flush(m, err))
		return false;
	m->pending = (struct delta_op){ old_at, copy, insert };
	return true;
}

/* --- the walk --------------------------------------------------------------------------------- */

/* True if the stretch in force is right about the byte at `at`. */
static bool agrees(const struct maker *m, uint64_t at)
{
	uint64_t old_at = m->last.old_at + (at - m->last.new_at);

	return old_at < m->old.size && m->old.data[old_at] == m->new.data[at];
}

/* How many bytes from `from` on are best taken from the stretch in force, up to `to`. */
static uint64_t reach_forward(const struct maker *m, uint64_t to)
{
	uint64_t limit = MIN_OF(to - m->last.new_at, m->old.size - m->last.old_at);
	const uint8_t *old = m->old.data + m->last.old_at, *new = m->new.data + m->last.new_at;
	int64_t score = 0, best = 0;
	uint64_t size = 0;

	for (uint64_t i = 0; i < limit; i++) {
		score += old[i] == new[i] ? 1 : -1;
		if (score > best) {
			best = score;
			size = i + 1;
		}
	}
	return size;
}

/* How many bytes before a match are best taken from its stretch, down to the last one's start. */
static uint64_t reach_back(const struct maker *m, const struct match *next)
{
	uint64_t limit = MIN_OF(next->new_at - m->last.new_at, next->old_at);
	const uint8_t *old = m->old.data + next->old_at, *new = m->new.data + next->new_at;
	int64_t score = 0, best = 0;
	uint64_t size = 0;

	for (uint64_t i = 1; i <= limit; i++) {
		score += *(old - i) == *(new - i) ? 1 : -1;
		if (score > best) {
			best = score;
			size = i;
		}
	}
	return size;
}

/* Both reach into the same `overlap` bytes before `to`: how many the stretch in force should keep.
 */
static uint64_t split(const struct maker *m, const struct match *next, uint64_t from,
		      uint64_t overlap)
{
	const uint8_t *new = m->new.data + from;
	const uint8_t *old = m->old.data + m->last.old_at + (from - m->last.new_at);
	const uint8_t *other = m->old.data + next->old_at - (next->new_at - from);
	int64_t score = 0, best = 0;
	uint64_t keep = 0;

	for (uint64_t i = 0; i < overlap; i++) {
		score += (old[i] == new[i]) - (other[i] == new[i]);
		if (score > best) {
			best = score;
			keep = i + 1;
		}
	}
	return keep;
}

/* The stretch in force ends before `next`, which takes over. */
static bool settle(struct maker *m, const struct match *next, struct err *err)
{
	uint64_t forward = reach_forward(m, next->new_at);
	uint64_t back = next->size > 0 ? reach_back(m, next) : 0;
	uint64_t end = m->last.new_at + forward, begin = next->new_at - back;
	uint64_t old_at = m->last.old_at;

	if (end > begin) {
		uint64_t keep = split(m, next, begin, end - begin);

		end = begin = begin + keep;
	}
	forward = end - m->last.new_at;
	if (!put(m, old_at, forward, begin - end, err))
		return false;
	m->last = (struct match){ .old_at = next->old_at - (next->new_at - begin),
				  .new_at = begin };
	return true;
}

/* How a match compares with staying: `kept` bytes of its length the stretch in force has right. */
enum verdict {
	VERDICT_PASS, /* not better: look at the next position */
	VERDICT_SAME, /* staying is as good: go on behind it */
	VERDICT_MOVE, /* worth a new stretch */
};

static enum verdict judge(uint64_t size, uint64_t kept)
{
	if (size == 0)
		return VERDICT_PASS;
	if (size > kept + BETTER_BY)
		return VERDICT_MOVE;
	return size == kept || size >= LONG_MATCH ? VERDICT_SAME : VERDICT_PASS;
}

/* The next match from `*at` on that is better than staying; false at the end of the file. */
static bool find_better(struct match *out, const struct maker *m, uint64_t *at)
{
	uint64_t ahead = *at, kept = 0; /* `kept` counts in [*at, ahead) */

	while (*at < m->end) {
		*out = find_match(m, *at);
		for (; ahead < *at + out->size; ahead++)
			kept += agrees(m, ahead);
		switch (judge(out->size, kept)) {
		case VERDICT_MOVE:
			return true;
		case VERDICT_SAME:
			*at += out->size;
			kept = 0;
			ahead = *at;
			break;
		case VERDICT_PASS:
			if (ahead == *at)
				ahead++;
			else
				kept -= agrees(m, *at);
			++*at;
			break;
		}
	}
	return false;
}

static bool walk(struct maker *m, uint64_t begin, const struct delta_file *f, struct err *err)
{
	struct match next;
	uint64_t at = begin;

	m->last = (struct match){ .old_at = f->old_offset, .new_at = begin };
	m->end = begin + f->new_size;
	while (find_better(&next, m, &at)) {
		if (!settle(m, &next, err))
			return false;
		at = next.new_at + next.size;
	}
	next = (struct match){ .old_at = m->old.size, .new_at = m->end };
	return settle(m, &next, err);
}

/* A file of which nothing is known has only the far table to look into. */
static void prepare_near(struct maker *m, const struct delta_file *f)
{
	m->near.bits = 0;
	if (f->old_size < KEY_SIZE)
		return;
	m->near.bits = bits_for(f->old_size, m->near_bits_max);
	table_fill(&m->near, m->old, f->old_offset, f->old_size);
}

static bool is_unchanged(const struct maker *m, uint64_t begin, const struct delta_file *f)
{
	return f->new_size == f->old_size &&
	       memcmp(m->old.data + f->old_offset, m->new.data + begin, f->new_size) == 0;
}

static bool make_file(struct maker *m, uint64_t begin, const struct delta_file *f, struct err *err)
{
	assert(f->old_offset <= m->old.size && f->old_size <= m->old.size - f->old_offset);
	if (f->new_size == 0)
		return true;
	if (m->old.size == 0)
		return put(m, 0, 0, f->new_size, err);
	if (is_unchanged(m, begin, f))
		return put(m, f->old_offset, f->new_size, 0, err);
	prepare_near(m, f);
	return walk(m, begin, f, err);
}

static unsigned int bits_within(uint64_t bytes, unsigned int max)
{
	unsigned int bits = TABLE_BITS_MIN;

	while (bits < max && (sizeof(uint32_t) << (bits + 1)) <= bytes)
		bits++;
	return bits;
}

static void make_tables(struct maker *m, uint64_t memory)
{
	unsigned int far_max;

	m->near_bits_max = bits_within(memory / 4, NEAR_BITS_MAX);
	m->near.slots = alloc_zeroed((size_t)1 << m->near_bits_max, sizeof(*m->near.slots));
	far_max = bits_within(memory - memory / 4, FAR_BITS_MAX);
	m->far.stride_log = FAR_STRIDE_LOG;
	m->far.bits = bits_for(m->old.size >> FAR_STRIDE_LOG, far_max);
	m->far.slots = alloc_zeroed((size_t)1 << m->far.bits, sizeof(*m->far.slots));
	table_fill(&m->far, m->old, 0, m->old.size);
}

static bool make_files(struct maker *m, const struct delta_input *in, struct err *err)
{
	uint64_t begin = 0;

	for (size_t i = 0; i < in->file_count; i++) {
		if (!make_file(m, begin, &in->files[i], err))
			return false;
		begin += in->files[i].new_size;
	}
	assert(begin == in->new_stream.size);
	return flush(m, err);
}

bool delta_make(const struct delta_input *in, delta_op_fn *op, void *ctx, struct err *err)
{
	struct maker m = { .old = in->old_stream, .new = in->new_stream, .op = op, .ctx = ctx };
	bool done;

	if (m.old.size > 0)
		make_tables(&m, MAX_OF(in->memory_max, DELTA_MEMORY_MIN));
	done = make_files(&m, in, err);
	free(m.near.slots);
	free(m.far.slots);
	return done;
}

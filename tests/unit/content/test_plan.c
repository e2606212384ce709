#include "support/testing.h"

#include <string.h>

#include "content/collect.h"
#include "content/plan.h"
#include "support/fakedp.h"

static const struct fakefile old_files[] = {
	{ .path = "a", .seed = 1, .size = 2000000 },
	{ .path = "b", .seed = 2, .size = 100000 },
	{ .path = "zeros", .seed = 0, .size = 2000000 },
};

static const struct fakefile new_files[] = {
	{ .path = "a", .seed = 1, .size = 2000000 },
	{ .path = "moved", .seed = 2, .size = 100000 },
	{ .path = "new", .seed = 3, .size = 1500000 },
	{ .path = "zeros", .seed = 0, .size = 2000000 },
};

struct bench {
	struct fakedp dp;
	struct fakeversion old, new;
	struct index *index;
	struct chunkmap want;
	struct plan plan;
};

static void set_up(struct bench *b)
{
	struct err err = { 0 };

	*b = (struct bench){ 0 };
	fakedp_publish(&b->dp, &b->old, 1, old_files, COUNT_OF(old_files));
	fakedp_publish(&b->dp, &b->new, 2, new_files, COUNT_OF(new_files));
	assert_done(index_read(&b->index, buf_span(&b->dp.index), &err), &err);
	chunkmap_init(&b->want, b->new.parsed);
	plan_init(&b->plan, &b->want);
}

static void tear_down(struct bench *b)
{
	plan_release(&b->plan);
	chunkmap_release(&b->want);
	index_free(b->index);
	fakeversion_release(&b->old);
	fakeversion_release(&b->new);
	fakedp_release(&b->dp);
}

static void equal_chunks_are_one(void **state UNUSED)
{
	struct bench b;
	uint32_t count, seen = 0;

	set_up(&b);
	count = manifest_chunk_count(b.new.parsed);
	assert_true(b.want.unique < count); /* the zeros */
	for (uint32_t n = 0; n < count; n++) {
		if (b.want.first[n] != n)
			continue;
		for (uint32_t at = n; at != CHUNKMAP_NONE; at = b.want.next[at]) {
			assert_int_equal(b.want.first[at], n);
			seen++;
		}
	}
	assert_int_equal(seen, count);
	tear_down(&b);
}

static void nothing_missing_needs_nothing(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };

	set_up(&b);
	memset(b.plan.have, 1, manifest_chunk_count(b.new.parsed));
	assert_done(plan_add_ranges(&b.plan, b.index, PLAN_GAP_DEFAULT, &err), &err);
	assert_int_equal(b.plan.how, PLAN_NONE);
	assert_int_equal(b.plan.requests, 0);
	assert_int_equal(b.plan.bytes_network, 0);
	assert_string_equal(plan_how_name(b.plan.how), "none");
	tear_down(&b);
}

static void seeds_and_ranges_cover_what_is_wanted(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	uint64_t copied = 0;

	set_up(&b);
	plan_add_seed(&b.plan, b.old.parsed, NULL);
	for (uint32_t i = 0; i < b.plan.copy_count; i++) {
		const struct plan_copy *c = &b.plan.copies[i];
		uint32_t size = manifest_chunk_at(b.new.parsed, c->chunk)->size;

		assert_memory_equal(b.old.stream.data + c->offset,
				    b.new.stream.data +
					    manifest_chunk_at(b.new.parsed, c->chunk)->offset,
				    size);
		assert_int_equal(b.plan.have[c->chunk], 0);
		b.plan.have[c->chunk] = 1;
		copied++;
	}
	assert_done(plan_add_ranges(&b.plan, b.index, PLAN_GAP_DEFAULT, &err), &err);
	assert_int_equal(b.plan.how, PLAN_RANGES);
	assert_in_range(b.plan.bytes_missing, 1500000, 1500000 + 4 * CHUNKER_MAX);
	assert_true(copied > 0 && copied < b.want.unique);
	tear_down(&b);
}

static void neighbouring_frames_share_a_range(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };

	set_up(&b);
	assert_done(plan_add_ranges(&b.plan, b.index, 0, &err), &err);
	assert_int_equal(b.plan.range_count, b.dp.pack_count); /* each pack in one piece */
	for (uint32_t n = 1; n < b.plan.range_count; n++)
		assert_true(b.plan.ranges[n].pack > b.plan.ranges[n - 1].pack);
	tear_down(&b);
}

static void a_gap_is_bridged_up_to_its_limit(void **state UNUSED)
{
	static const struct {
		const char *why;
		bool at_limit;
		uint32_t ranges;
	} gaps[] = {
		{ "a gap of the limit is read over", true, 1 },
		{ "a gap above it is not", false, 2 },
	};

	for (size_t i = 0; i < COUNT_OF(gaps); i++) {
		struct bench b;
		struct err err = { 0 };
		const struct index_frame *left_out = NULL;

		/* Everything of the first pack is missing but the second frame. */
		set_up(&b);
		memset(b.plan.have, 1, manifest_chunk_count(b.new.parsed));
		for (uint32_t f = 0; f < 3; f++) {
			const struct index_frame *frame = index_frame_at(
				b.index, index_pack_at(b.index, 0)->first_frame + f);

			if (f == 1) {
				left_out = frame;
				continue;
			}
			for (uint32_t c = 0; c < frame->chunk_count; c++) {
				uint32_t n = chunkmap_find(
					&b.want,
					&index_chunk_at(b.index, frame->first_chunk + c)->id);

				if (n != CHUNKMAP_NONE)
					b.plan.have[n] = 0;
			}
		}
		assert_done(plan_add_ranges(&b.plan, b.index,
					    left_out->stored_size - !gaps[i].at_limit, &err),
			    &err);
		if (b.plan.range_count != gaps[i].ranges)
			fail_msg("%s: %u ranges", gaps[i].why, b.plan.range_count);
		tear_down(&b);
	}
}

static void an_index_without_a_chunk_is_refused(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	SCOPED(index) struct index *other = NULL;
	struct fakedp dp = { 0 };
	struct fakeversion v;

	set_up(&b);
	fakedp_publish(&dp, &v, 1, old_files, COUNT_OF(old_files));
	assert_done(index_read(&other, buf_span(&dp.index), &err), &err);
	assert_false(plan_add_ranges(&b.plan, other, PLAN_GAP_DEFAULT, &err));
	assert_int_equal(err.code, ERR_FORMAT);
	fakeversion_release(&v);
	fakedp_release(&dp);
	tear_down(&b);
}

static void a_renamed_file_has_its_old_self_as_twin(void **state UNUSED)
{
	struct bench b;
	uint32_t *twins;

	set_up(&b);
	twins = plan_find_twins(b.new.parsed, b.old.parsed);
	assert_int_equal(twins[0], 0);            /* a: in its place */
	assert_int_equal(twins[1], 1);            /* moved: b */
	assert_int_equal(twins[2], PLAN_NO_TWIN); /* new */
	free(twins);
	tear_down(&b);
}

#define FILE_OF(p, s, m)                                                              \
	{                                                                             \
		.path = p, .type = MANIFEST_FILE, .mode = 0644, .size = s, .mark = m, \
		.same_as = MANIFEST_NOT_SAME                                          \
	}

static struct manifest *manifest_of(const struct manifest_entry *files, size_t count)
{
	struct manifest *m = manifest_new();

	for (size_t i = 0; i < count; i++)
		manifest_add_entry(m, &files[i]);
	return m;
}

static void marks_tell_renamed_files_of_one_size_apart(void **state UNUSED)
{
	static const struct manifest_entry old[] = {
		FILE_OF("a", 9, 11),
		FILE_OF("b", 9, 22),
		FILE_OF("c", 9, 33),
		{ .path = "c copy", .type = MANIFEST_FILE, .size = 9, .same_as = 2 },
		FILE_OF("here", 9, 4),
		FILE_OF("only", 7, 0),
	};
	static const struct manifest_entry new[] = {
		FILE_OF("here", 9, 5), FILE_OF("x", 9, 33),  FILE_OF("y", 9, 11),
		FILE_OF("z", 9, 22),   FILE_OF("z2", 9, 99), FILE_OF("z3", 7, 1),
		FILE_OF("z4", 7, 2),   FILE_OF("z5", 9, 0),
	};
	static const struct {
		uint32_t twin;
		const char *why;
	} wanted[COUNT_OF(new)] = {
		{ PLAN_NO_TWIN, "in its place with other bytes" },
		{ 2, "by its mark, of equal ones the first" },
		{ 0, "by its mark" },
		{ 1, "by its mark" },
		{ PLAN_NO_TWIN, "no old file has its mark" },
		{ 5, "the old tree has one of this size, which needs no mark" },
		{ 5, "the same" },
		{ 0, "it has no mark: gone from its place, the first" },
	};
	SCOPED(manifest) struct manifest *seed = manifest_of(old, COUNT_OF(old));
	SCOPED(manifest) struct manifest *want = manifest_of(new, COUNT_OF(new));
	uint32_t *twins = plan_find_twins(want, seed);

	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		if (twins[i] != wanted[i].twin)
			fail_msg("%s, %s: %u", new[i].path, wanted[i].why, twins[i]);
	free(twins);
}

struct frames {
	uint32_t count;
	uint32_t stop_at;
	bool equal;
	const struct bench *bench;
};

static bool take_frame(void *ctx, uint32_t frame, struct buf *stored)
{
	struct frames *f = ctx;
	const struct index_frame *at = index_frame_at(f->bench->index, frame);
	const struct fakepack *p = &f->bench->dp.packs[at->pack];

	f->equal = f->equal && stored->size == at->stored_size &&
		   memcmp(stored->data, p->bytes.data + at->offset, stored->size) == 0;
	return ++f->count != f->stop_at;
}

static void the_cheapest_way_is_taken(void **state UNUSED)
{
	enum { NEITHER = -1, STREAM, FROM_1, FROM_2 };
	static const struct {
		const char *why;
		uint64_t ranges;   /* bytes */
		uint32_t requests; /* of the ranges */
		uint64_t stream, from_1, from_2;
		uint64_t kept_of_stream;
		uint32_t here; /* the version that is here; 0: none */
		int want;
	} cases[] = {
		{ "ranges that are small", 100, 1, 500, 200, 300, 0, 1, NEITHER },
		{ "a patch from what is here", 1000, 1, 900, 200, 300, 0, 1, FROM_1 },
		{ "not from what is not here", 1000, 1, 900, 200, 300, 0, 2, FROM_2 },
		{ "the stream where nothing is here", 1000, 1, 900, 200, 300, 0, 0, STREAM },
		{ "equal costs: ranges, which need no whole file", 900, 1, 900, 950, 950, 0, 1,
		  NEITHER },
		{ "round trips count", 100, 30, 900, 2000, 2000, 0, 1, STREAM },
		{ "what was kept of a file need not come again", 150, 1, 900, 200, 300, 800, 1,
		  STREAM },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(index) struct index *idx = index_new();
		struct plan p = { .bytes_network = cases[i].ranges, .requests = cases[i].requests };
		const uint64_t kept[] = { cases[i].kept_of_stream, 0, 0 };
		struct plan_local local = { &cases[i].here, cases[i].here != 0, kept };
		const struct index_delta *found;

		index_add_delta(
			idx, &(struct index_delta){ INDEX_STREAM, 0, { { 1 } }, cases[i].stream });
		index_add_delta(
			idx, &(struct index_delta){ INDEX_PATCH, 1, { { 2 } }, cases[i].from_1 });
		index_add_delta(
			idx, &(struct index_delta){ INDEX_PATCH, 2, { { 3 } }, cases[i].from_2 });
		found = plan_find_delta(&p, idx, &local, 64);
		if (found != (cases[i].want == NEITHER
				      ? NULL
				      : index_delta_at(idx, (uint32_t)cases[i].want)))
			fail_msg("%s: another way was taken", cases[i].why);
		if (found != NULL)
			assert_int_equal(p.how,
					 found->kind == INDEX_STREAM ? PLAN_STREAM : PLAN_PATCH);
		/* What was not taken is told beside it. */
		if (found != NULL) {
			assert_int_equal(p.instead.how, PLAN_RANGES);
			assert_int_equal(p.instead.bytes, cases[i].ranges);
			assert_int_equal(p.instead.requests, cases[i].requests);
		} else {
			assert_int_not_equal(p.instead.how, PLAN_RANGES);
			assert_true(p.instead.bytes + 64 >=
				    cases[i].ranges + cases[i].requests * (uint64_t)64);
		}
	}
}

static void frames_are_cut_from_pieces_of_any_size(void **state UNUSED)
{
	static const size_t pieces[] = { 1000, 4096, 65537, 1u << 20, 1u << 30 };
	struct bench b;
	struct err err = { 0 };

	set_up(&b);
	assert_done(plan_add_ranges(&b.plan, b.index, 0, &err), &err);
	for (size_t i = 0; i < COUNT_OF(pieces); i++) {
		struct frames got = { .equal = true, .bench = &b };
		SCOPED(collect) struct collect c;
		const struct buf *pack = &b.dp.packs[0].bytes;
		static const uint8_t more[1];

		collect_init(&c, b.index, b.plan.frames, b.plan.ranges[0].frame_count,
			     &(struct collect_user){ .frame = take_frame, .ctx = &got });
		for (size_t at = 0; at < pack->size; at += pieces[i])
			assert_int_equal(collect_feed(&c, at,
						      span_of(pack->data + at,
							      MIN_OF(pieces[i], pack->size - at))),
					 COLLECT_MORE);
		assert_true(collect_is_complete(&c) && got.equal);
		assert_int_equal(got.count, b.plan.ranges[0].frame_count);
		assert_int_equal(collect_feed(&c, pack->size, span_of(more, 1)), COLLECT_ENOUGH);
	}
	tear_down(&b);
}

/* Who receives asks for places first, and puts bytes there long before they are handed on. */
struct receiver {
	struct random_seq random;
	struct frames got;
	struct buf slots[3]; /* that are free */
	size_t slot_count;
	struct collect collect;
	uint64_t asked;
	struct {
		uint64_t offset;
		struct span bytes;
	} under_way[4];
	size_t first, count;
	uint64_t here; /* bytes that were put in place */
};

static bool receiver_frame(void *ctx, uint32_t frame, struct buf *stored)
{
	struct receiver *r = ctx;
	bool goes_on = take_frame(&r->got, frame, stored);

	if (stored->is_lent) {
		buf_clear(stored);
		memset(stored->data, 0x5a, stored->capacity);
		r->slots[r->slot_count++] = *stored;
		*stored = (struct buf){ 0 };
	}
	return goes_on;
}

static bool receiver_slot(void *ctx, struct buf *out)
{
	struct receiver *r = ctx;

	if (r->slot_count == 0)
		return false;
	*out = r->slots[--r->slot_count];
	return true;
}

/* False: there is no place now, or nothing more to ask for. */
static bool receiver_ask(struct receiver *r, const struct buf *pack)
{
	uint64_t drawn = 1 + random_seq_below(&r->random, 700000);
	uint64_t size = MIN_OF(drawn, pack->size - r->asked);
	struct span bytes = span_of(pack->data + r->asked, (size_t)size);
	enum recvroom_where where;
	uint8_t *at;
	size_t room;

	if (size == 0 || r->count == COUNT_OF(r->under_way))
		return false;
	where = collect_place(&at, &room, &r->collect, r->asked);
	if (where == RECVROOM_LATER && r->count > 0)
		return false;
	if (where == RECVROOM_HERE) {
		bytes.size = MIN_OF(bytes.size, room);
		memcpy(at, bytes.data, bytes.size);
		bytes.data = at;
		r->here += bytes.size;
	}
	r->under_way[(r->first + r->count) % COUNT_OF(r->under_way)].offset = r->asked;
	r->under_way[(r->first + r->count++) % COUNT_OF(r->under_way)].bytes = bytes;
	r->asked += bytes.size;
	return true;
}

static void receiver_take(struct receiver *r)
{
	size_t at = r->first;
	struct span bytes = r->under_way[at].bytes;
	uint64_t offset = r->under_way[at].offset;

	r->first = (r->first + 1) % COUNT_OF(r->under_way);
	r->count--;
	while (bytes.size > 0) {
		size_t drawn = 1 + (size_t)random_seq_below(&r->random, 300000);
		size_t some = MIN_OF(bytes.size, drawn);

		assert_int_equal(collect_feed(&r->collect, offset, span_of(bytes.data, some)),
				 COLLECT_MORE);
		bytes = span_skip(bytes, some);
		offset += some;
	}
}

static void frames_come_to_their_places_ahead(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	struct random_seq random;

	random_seq_init(&random, testing_seed(), "receiver");
	set_up(&b);
	assert_done(plan_add_ranges(&b.plan, b.index, 0, &err), &err);
	for (int round = 0; round < 30; round++) {
		static uint8_t memory[3][FRAME_STORED_MAX + 1];
		struct receiver r = {
			.random = { random_seq_next(&random) },
			.got = { .equal = true, .bench = &b },
		};
		const struct collect_user user = {
			.frame = receiver_frame,
			.slot = receiver_slot,
			.ctx = &r,
		};
		const struct buf *pack = &b.dp.packs[0].bytes;

		while (r.slot_count < COUNT_OF(memory)) {
			r.slots[r.slot_count] = buf_lent(memory[r.slot_count], sizeof(memory[0]));
			r.slot_count++;
		}
		collect_init(&r.collect, b.index, b.plan.frames, b.plan.ranges[0].frame_count,
			     &user);
		while (!collect_is_complete(&r.collect)) {
			size_t ahead = random_seq_below(&r.random, COUNT_OF(r.under_way)) + 1;

			while (r.count < ahead && receiver_ask(&r, pack))
				;
			receiver_take(&r);
		}
		assert_true(r.got.equal && r.here > 0);
		assert_int_equal(r.got.count, b.plan.ranges[0].frame_count);
		assert_int_equal(r.slot_count, COUNT_OF(memory));
		collect_release(&r.collect);
	}
	tear_down(&b);
}

static void bytes_in_disorder_are_noticed(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	struct frames got = { .stop_at = 1, .equal = true, .bench = &b };
	SCOPED(collect) struct collect c;
	const struct buf *pack;

	set_up(&b);
	pack = &b.dp.packs[0].bytes;
	assert_done(plan_add_ranges(&b.plan, b.index, 0, &err), &err);
	collect_init(&c, b.index, b.plan.frames, b.plan.ranges[0].frame_count,
		     &(struct collect_user){ .frame = take_frame, .ctx = &got });
	assert_int_equal(collect_feed(&c, 0, span_of(pack->data, 100)), COLLECT_MORE);
	assert_int_equal(collect_feed(&c, 101, span_of(pack->data, 100)), COLLECT_DISORDER);
	assert_int_equal(collect_feed(&c, 0, span_of(pack->data, 100)), COLLECT_DISORDER);
	assert_int_equal(collect_feed(&c, 100, span_of(pack->data + 100, pack->size - 100)),
			 COLLECT_STOPPED);
	collect_release(&c);
	c = (struct collect){ 0 };
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(the_cheapest_way_is_taken), cmocka_unit_test(equal_chunks_are_one),
	     cmocka_unit_test(nothing_missing_needs_nothing),
	     cmocka_unit_test(seeds_and_ranges_cover_what_is_wanted),
	     cmocka_unit_test(neighbouring_frames_share_a_range),
	     cmocka_unit_test(a_gap_is_bridged_up_to_its_limit),
	     cmocka_unit_test(an_index_without_a_chunk_is_refused),
	     cmocka_unit_test(a_renamed_file_has_its_old_self_as_twin),
	     cmocka_unit_test(marks_tell_renamed_files_of_one_size_apart),
	     cmocka_unit_test(frames_are_cut_from_pieces_of_any_size),
	     cmocka_unit_test(frames_come_to_their_places_ahead),
	     cmocka_unit_test(bytes_in_disorder_are_noticed))

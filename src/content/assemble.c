#include "content/assemble.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "content/assemble_delta.h"
#include "content/assemble_index.h"
#include "content/assemble_work.h"
#include "content/collect.h"
#include "content/giver.h"
#include "content/index.h"
#include "content/pack.h"

#define DIR_MODE           0700
#define FILE_MODE          0600
#define MANIFEST_MODE      0644 /* whoever reads the tree may read it */
#define FRAME_BATCH_CHUNKS 8    /* what a hand takes of a frame that another one decoded */
#define WAIT_SLICE_MS      50
#define RATE_SPAN_MS       1000

static const char *const result_names[] = {
	[ASSEMBLE_DONE] = "done",           [ASSEMBLE_FAILED] = "failed",
	[ASSEMBLE_CORRUPT] = "corrupt",     [ASSEMBLE_LOCAL] = "local",
	[ASSEMBLE_CANCELLED] = "cancelled",
};
static_assert(COUNT_OF(result_names) == ASSEMBLE_RESULT_COUNT_, "every result has a name");

struct job {
	enum assemble_job kind;
	uint32_t first, count;
	struct buf stored;
};

const char *assemble_result_name(enum assemble_result result)
{
	return result_names[result];
}

/* False: there is none. */
static bool take_of(struct buf *out, struct assemble *a, struct assemble_work_pool *pool)
{
	bool has;

	pthread_mutex_lock(&a->spare_lock);
	has = pool->count > 0;
	if (has)
		*out = pool->list[--pool->count];
	pthread_mutex_unlock(&a->spare_lock);
	return has;
}

struct buf assemble_work_spare(struct assemble *a)
{
	struct buf b = { 0 };

	if (!take_of(&b, a, &a->slots))
		(void)take_of(&b, a, &a->spares);
	return b;
}

static void keep_spare(struct assemble *a, struct buf *b)
{
	struct assemble_work_pool *pool = b->is_lent ? &a->slots : &a->spares;

	buf_clear(b);
	pthread_mutex_lock(&a->spare_lock);
	if (b->data != NULL && pool->count < ASSEMBLE_WORK_SPARE) {
		pool->list[pool->count++] = *b;
		*b = (struct buf){ 0 };
	}
	pthread_mutex_unlock(&a->spare_lock);
	buf_release(b);
}

/* A decoded frame, whose chunks any hand may land. */
struct landing_share {
	struct assemble *a;
	const struct index_frame *frame;
	struct span raw;
	atomic_bool is_bad;
};

static void land_batch(void *ctx, unsigned member, unsigned item)
{
	struct landing_share *s = ctx;
	uint32_t first = item * FRAME_BATCH_CHUNKS;
	uint32_t count = MIN_OF((uint32_t)FRAME_BATCH_CHUNKS, s->frame->chunk_count - first);

	if (!atomic_load(&s->is_bad) &&
	    !landing_chunks(&s->a->hands[member], s->a->index, s->frame->first_chunk + first, count,
			    s->raw))
		atomic_store(&s->is_bad, true);
}

static void land_frame(struct assemble *a, unsigned member, uint32_t frame, struct span stored)
{
	struct landing_share s = { .a = a, .frame = index_frame_at(a->index, frame) };

	if (landing_decode(&s.raw, &a->hands[member], a->index, frame, stored))
		crew_share(a->crew, member, land_batch, &s,
			   (s.frame->chunk_count + FRAME_BATCH_CHUNKS - 1) / FRAME_BATCH_CHUNKS);
}

static void run_job(void *ctx, unsigned member, void *arg)
{
	struct assemble *a = ctx;
	struct landing_hand *hand = &a->hands[member];
	struct job *job = arg;

	switch (job->kind) {
	case ASSEMBLE_JOB_RECHECK:
		landing_recheck(hand, a->claimed, job->first, job->count);
		break;
	case ASSEMBLE_JOB_COPY:
		landing_copy(hand, a->plan.copies + job->first, job->count);
		break;
	case ASSEMBLE_JOB_GUESS:
		landing_guess(hand, job->first, a->twins);
		break;
	case ASSEMBLE_JOB_FRAME:
		land_frame(a, member, job->first, buf_span(&job->stored));
		break;
	case ASSEMBLE_JOB_MADE:
		landing_made(hand, job->first, job->count, buf_span(&job->stored));
		break;
	}
	keep_spare(a, &job->stored);
	free(job);
}

void assemble_work_give(struct assemble *a, enum assemble_job kind, uint32_t first, uint32_t count,
			struct buf *stored)
{
	struct job *job = alloc_zeroed(1, sizeof(*job));

	*job = (struct job){ .kind = kind, .first = first, .count = count };
	if (stored != NULL) {
		job->stored = *stored;
		*stored = (struct buf){ 0 };
	}
	crew_give(a->crew, job);
}

bool assemble_work_is_cancelled(const struct assemble *a)
{
	return a->params->cancel != NULL && atomic_load(a->params->cancel);
}

enum assemble_result assemble_work_cancelled(struct err *err)
{
	err_set(err, ERR_INTERRUPTED, "the transfer was stopped");
	return ASSEMBLE_CANCELLED;
}

static void sample_rate(struct assemble *a, uint64_t now_ms)
{
	if (now_ms - a->sample_ms < RATE_SPAN_MS)
		return;
	a->rate_bps = (a->bytes_network - a->sample_bytes) * 1000 / (now_ms - a->sample_ms);
	a->sample_ms = now_ms;
	a->sample_bytes = a->bytes_network;
}

void assemble_work_tell_now(struct assemble *a)
{
	struct assemble_progress now = {
		.bytes = atomic_load(&a->landing.bytes_done),
		.bytes_total = manifest_stream_size(a->manifest),
		.bytes_network = a->bytes_network,
		.rate_bps = a->rate_bps,
	};

	if (a->params->progress != NULL)
		a->params->progress(&now, a->params->progress_ctx);
}

void assemble_work_tell(struct assemble *a)
{
	uint64_t now_ms = clock_mono_ms(a->params->clock);

	sample_rate(a, now_ms);
	if (now_ms - a->progress_ms < ASSEMBLE_PROGRESS_MS)
		return;
	a->progress_ms = now_ms;
	assemble_work_tell_now(a);
}

bool assemble_work_read(struct buf *out, const struct assemble *a, const char *name, size_t max)
{
	SCOPED_TEXT char *path = path_join(a->params->dir, name);
	struct err ignored = { 0 };

	return path_read(out, path, max, &ignored);
}

/* Make the folder belong to this manifest. */
static bool claim_folder(struct assemble *a, struct err *err)
{
	SCOPED_TEXT char *path = path_join(a->params->dir, "manifest");
	SCOPED(buf) struct buf previous = { 0 };

	if (!path_make_dirs(a->params->dir, DIR_MODE, err))
		return false;
	if (assemble_work_read(&previous, a, "manifest", MANIFEST_BYTES_MAX)) {
		if (span_equal(buf_span(&previous), a->params->manifest))
			return true;
		if (!path_remove_tree(a->params->dir, err) ||
		    !path_make_dirs(a->params->dir, DIR_MODE, err))
			return false;
	}
	/* What decides what the folder is for is on the disk before anything else is. */
	return newfile_write(path, MANIFEST_MODE, a->params->manifest, err);
}

/* The journal says what to check; without one, a tree that is there is checked throughout. */
static bool open_journal(struct assemble *a, struct err *err)
{
	SCOPED_TEXT char *path = path_join(a->params->dir, "journal");
	uint32_t count = manifest_chunk_count(a->manifest);
	ssize_t got;
	bool is_new;

	a->claimed = alloc_zeroed(MAX_OF(count, 1), 1);
	a->journal_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	is_new = a->journal_fd < 0 && errno == ENOENT;
	if (is_new)
		a->journal_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (a->journal_fd < 0)
		return err_sys(err, ERR_IO, errno, "journal %s", path);
	if (is_new) {
		memset(a->claimed, 1, count);
		return true;
	}
	got = path_read_fd(a->journal_fd, a->claimed, count);
	return got >= 0 || err_sys(err, ERR_IO, errno, "journal %s", path);
}

/* The tree before the journal: a kill in between leaves a tree without one, which is checked. */
static bool open_parts(struct assemble *a, struct err *err)
{
	SCOPED_TEXT char *tree = path_join(a->params->dir, "tree");

	if (!manifest_read(&a->manifest, a->params->manifest, err))
		return false;
	/* What is kept there of an index or a patch is found by its hash. */
	if (a->params->giver != NULL)
		return path_make_dirs(a->params->dir, DIR_MODE, err);
	return claim_folder(a, err) && tree_create(&a->tree, tree, a->manifest, err) &&
	       open_journal(a, err);
}

/* What is received where it is handed over need not be copied there. */
static void lend_slots(struct assemble *a)
{
	const struct landing_port *port = a->landing.port;

	for (size_t i = 0; port != NULL && i < LANDING_SLOTS; i++)
		a->slots.list[a->slots.count++] = buf_lent(port->slots + i * LANDING_SLOT_BYTES,
							   LANDING_SLOT_BYTES);
}

static void start_work(struct assemble *a)
{
	chunkmap_init(&a->want, a->manifest);
	plan_init(&a->plan, &a->want);
	if (a->params->giver != NULL)
		landing_init_port(&a->landing, &a->want, &a->tree, giver_port(a->params->giver));
	else
		landing_init(&a->landing, &a->want, &a->tree, a->journal_fd);
	a->landing.recent = a->params->recent;
	for (unsigned int i = 0; i < ASSEMBLE_WORK_HANDS; i++)
		landing_hand_init(&a->hands[i], &a->landing, i,
				  a->params->index != NULL ? LANDING_ROOM_FRAMES
							   : LANDING_ROOM_CHUNKS);
	pthread_mutex_init(&a->spare_lock, NULL);
	lend_slots(a);
	a->crew = crew_new(ASSEMBLE_WORK_THREADS, ASSEMBLE_WORK_DEPTH, run_job, a);
	a->is_working = true;
	a->pace.rate_bps = a->params->rate_bps;
	a->sample_ms = clock_mono_ms(a->params->clock);
}

bool assemble_open(struct assemble **out, const struct assemble_params *params, struct err *err)
{
	struct assemble *a = alloc_zeroed(1, sizeof(*a));

	a->params = params;
	a->journal_fd = -1;
	a->tree = (struct tree)TREE_CLOSED;
	if (!open_parts(a, err)) {
		assemble_close(a);
		return false;
	}
	start_work(a);
	*out = a;
	return true;
}

/* Nothing comes any more: what the hands have is most of the memory. */
static void dismiss_hands(struct assemble *a)
{
	if (a->crew == NULL)
		return;
	crew_free(a->crew);
	a->crew = NULL;
	while (a->spares.count > 0)
		buf_release(&a->spares.list[--a->spares.count]);
	pthread_mutex_destroy(&a->spare_lock);
	for (size_t i = 0; i < ASSEMBLE_WORK_HANDS; i++)
		landing_hand_release(&a->hands[i]);
}

static void stop_work(struct assemble *a)
{
	dismiss_hands(a);
	landing_release(&a->landing);
	plan_release(&a->plan);
	chunkmap_release(&a->want);
}

void assemble_close(struct assemble *a)
{
	if (a == NULL)
		return;
	if (a->is_working)
		stop_work(a);
	index_free(a->index);
	free(a->claimed);
	path_close_fd(&a->journal_fd);
	tree_close(&a->tree);
	manifest_free(a->manifest);
	free(a);
}

enum assemble_result assemble_work_outcome(struct assemble *a, struct err *err)
{
	switch (landing_fault(&a->landing, err)) {
	case LANDING_LOCAL:
		return ASSEMBLE_LOCAL;
	case LANDING_CORRUPT:
	case LANDING_WRONG:
		return ASSEMBLE_CORRUPT;
	case LANDING_FINE:
		break;
	}
	return assemble_work_is_cancelled(a) ? assemble_work_cancelled(err) : ASSEMBLE_DONE;
}

uint64_t assemble_missing(const struct assemble *a)
{
	return atomic_load(&a->landing.missing);
}

/* Wait as long as the rate limit asks for, watching for a cancellation. */
void assemble_work_keep_pace(struct assemble *a, uint64_t bytes)
{
	uint64_t wait_ms = transfer_pace_wait_ms(&a->pace, bytes, clock_mono_ms(a->params->clock));

	while (wait_ms > 0 && !assemble_work_is_cancelled(a)) {
		uint64_t slice_ms = MIN_OF(wait_ms, (uint64_t)WAIT_SLICE_MS);
		struct timespec pause = { .tv_nsec = (long)slice_ms * 1000000 };

		nanosleep(&pause, NULL);
		wait_ms -= slice_ms;
		assemble_work_tell(a);
	}
}

void assemble_work_moved(struct assemble *a, size_t size_bytes)
{
	a->bytes_network += size_bytes;
	assemble_work_keep_pace(a, size_bytes);
	assemble_work_tell(a);
}

static bool take_slot(void *ctx, struct buf *out)
{
	struct assemble *a = ctx;

	return take_of(out, a, &a->slots);
}

static void take_spare(void *ctx, struct buf *out)
{
	struct assemble *a = ctx;

	(void)take_of(out, a, &a->spares);
}

static bool receive_frame(void *ctx, uint32_t frame, struct buf *stored)
{
	struct assemble *a = ctx;

	assemble_work_give(a, ASSEMBLE_JOB_FRAME, frame, 1, stored);
	return !atomic_load(&a->landing.broken);
}

/* One read_ranges call: the sink's context. */
struct reception {
	struct assemble *a;
	struct collect collect;
	enum collect_result last;
};

static bool receive(void *ctx, uint64_t offset, struct span bytes)
{
	struct reception *r = ctx;
	struct assemble *a = r->a;

	assemble_work_moved(a, bytes.size);
	if (assemble_work_is_cancelled(a) || atomic_load(&a->landing.broken))
		return false;
	r->last = collect_feed(&r->collect, offset, bytes);
	return r->last == COLLECT_MORE;
}

static enum assemble_result short_pack(const struct reception *r, const char *object,
				       struct err *err)
{
	if (r->last == COLLECT_DISORDER)
		err_set(err, ERR_CORRUPT, "%s: bytes came in disorder", object);
	else
		err_set(err, ERR_CORRUPT, "%s: it ends before the frame at byte %" PRIu64, object,
			index_frame_at(r->collect.index, r->collect.frames[r->collect.at])->offset);
	return ASSEMBLE_CORRUPT;
}

static enum recvroom_where place(uint8_t **at_out, size_t *size_out, uint64_t offset, void *ctx)
{
	return collect_place(at_out, size_out, ctx, offset);
}

/* Read ranges of a pack; what lands with the keeper may be received where that reads. */
static enum transfer_result read_pack(struct reception *r, const struct transfer_source *source,
				      const char *object, const struct transfer_range *list,
				      uint32_t count, struct err *err)
{
	const struct landing_port *port = r->a->landing.port;
	enum transfer_result got;

	if (port != NULL && source->lend != NULL) {
		const struct recvroom room = {
			.fd = port->slots_fd,
			.memory = port->slots,
			.size_bytes = LANDING_SLOTS * LANDING_SLOT_BYTES,
			.place = place,
			.ctx = &r->collect,
		};

		source->lend(source->ctx, &room);
		got = source->read_ranges(source->ctx, object, list, count, receive, r, err);
		source->lend(source->ctx, NULL);
		return got;
	}
	return source->read_ranges(source->ctx, object, list, count, receive, r, err);
}

static void end_collect(struct assemble *a, struct collect *c)
{
	for (size_t i = 0; i < COLLECT_AHEAD; i++)
		if (c->stored[i].data != NULL)
			keep_spare(a, &c->stored[i]);
	collect_release(c);
}

/* Read `count` ranges of one pack and land their frames. */
static enum assemble_result fetch_pack(struct assemble *a, const struct transfer_source *source,
				       const struct plan_range *ranges, uint32_t count,
				       struct err *err)
{
	const struct collect_user user = {
		.frame = receive_frame,
		.slot = take_slot,
		.spare = take_spare,
		.ctx = a,
	};
	struct reception r = { .a = a };
	struct transfer_range *list = alloc_zeroed(count, sizeof(*list));
	char name[PACK_NAME_MAX];
	SCOPED_TEXT char *object = NULL;
	enum transfer_result got;
	enum assemble_result result;
	uint32_t frames = 0;

	pack_print_name(name, &index_pack_at(a->index, ranges[0].pack)->digest);
	object = path_join("packs", name);
	for (uint32_t n = 0; n < count; n++) {
		list[n] = (struct transfer_range){ ranges[n].offset, ranges[n].size };
		frames += ranges[n].frame_count;
	}
	collect_init(&r.collect, a->index, a->plan.frames + ranges[0].first_frame, frames, &user);
	a->requests += count;
	got = read_pack(&r, source, object, list, count, err);
	free(list);
	/* The jobs refer to the frames; and what has arrived counts, however this ended. */
	crew_drain(a->crew);

	result = assemble_work_outcome(a, err);
	if (result == ASSEMBLE_DONE && !collect_is_complete(&r.collect))
		result = got == TRANSFER_FAILED ? ASSEMBLE_FAILED : short_pack(&r, object, err);
	end_collect(a, &r.collect);
	return result;
}

static uint32_t ranges_of_pack(const struct plan *p, uint32_t first)
{
	uint32_t n = first;

	while (n < p->range_count && p->ranges[n].pack == p->ranges[first].pack)
		n++;
	return n - first;
}

static enum assemble_result fetch_ranges(struct assemble *a, const struct transfer_source *source,
					 struct err *err)
{
	enum assemble_result result = ASSEMBLE_DONE;
	uint32_t count;

	for (uint32_t n = 0; n < a->plan.range_count && result == ASSEMBLE_DONE; n += count) {
		count = ranges_of_pack(&a->plan, n);
		result = fetch_pack(a, source, &a->plan.ranges[n], count, err);
	}
	return result;
}

static bool plan_rest(struct assemble *a, struct err *err)
{
	landing_have(&a->landing, a->plan.have);
	return plan_add_ranges(&a->plan, a->index, a->params->gap, err);
}

static uint64_t bytes_in(const struct transfer_source *source)
{
	return source->bytes_in != NULL ? source->bytes_in(source->ctx) : 0;
}

/* What came since and was handed to nobody has moved as well. */
static void count_dropped(struct assemble *a, const struct transfer_source *source,
			  uint64_t network_before, uint64_t in_before)
{
	uint64_t came = bytes_in(source) - in_before;
	uint64_t counted = a->bytes_network - network_before;

	if (came > counted)
		a->bytes_network += came - counted;
}

static enum assemble_result fetch_all(struct assemble *a, const struct transfer_source *source,
				      struct err *err)
{
	enum assemble_result result = assemble_index_get(a, source, err);

	if (result != ASSEMBLE_DONE)
		return result;
	if (!plan_rest(a, err))
		return ASSEMBLE_CORRUPT;
	if (assemble_delta_fetch(&result, a, source, err) == ASSEMBLE_DELTA_USELESS) {
		if (!plan_rest(a, err))
			return ASSEMBLE_CORRUPT;
		a->how = a->plan.how;
		result = fetch_ranges(a, source, err);
	}
	return result;
}

/* The keeper ends its part while who asked makes up the records. */
static void finish_ahead(struct assemble *a)
{
	struct err ignored;

	if (a->params->giver != NULL && assemble_missing(a) == 0)
		(void)!giver_ask_finish(a->params->giver, &ignored);
}

enum assemble_result assemble_fetch(struct assemble *a, const struct transfer_source *source,
				    struct err *err)
{
	uint64_t network = a->bytes_network, in = bytes_in(source);
	enum assemble_result result;

	assert(a->params->index != NULL);
	if (assemble_missing(a) == 0)
		return ASSEMBLE_DONE;
	landing_reset(&a->landing);
	result = fetch_all(a, source, err);
	count_dropped(a, source, network, in);
	if (result == ASSEMBLE_DONE)
		finish_ahead(a);
	assemble_work_tell_now(a);
	return result;
}

bool assemble_has(const struct assemble *a, uint32_t first, uint32_t count)
{
	for (uint32_t n = first; n < first + count; n++)
		if (!landing_is_done(&a->landing, a->want.first[n]))
			return false;
	return true;
}

/* As if everything were here but what is missing of [first, first + count). */
static bool plan_part(struct assemble *a, uint32_t first, uint32_t count, struct err *err)
{
	memset(a->plan.have, 1, manifest_chunk_count(a->manifest));
	for (uint32_t n = first; n < first + count; n++) {
		uint32_t chunk = a->want.first[n];

		a->plan.have[chunk] = landing_is_done(&a->landing, chunk);
	}
	return plan_add_ranges(&a->plan, a->index, a->params->gap, err);
}

static enum assemble_result fetch_part(struct assemble *a, const struct transfer_source *source,
				       uint32_t first, uint32_t count, struct err *err)
{
	enum assemble_result result = assemble_index_get(a, source, err);

	if (result != ASSEMBLE_DONE)
		return result;
	if (!plan_part(a, first, count, err))
		return ASSEMBLE_CORRUPT;
	a->how = PLAN_RANGES;
	return fetch_ranges(a, source, err);
}

enum assemble_result assemble_fetch_part(struct assemble *a, const struct transfer_source *source,
					 uint32_t first, uint32_t count, struct err *err)
{
	uint64_t network = a->bytes_network, in = bytes_in(source);
	enum assemble_result result;

	assert(a->params->index != NULL);
	assert((uint64_t)first + count <= manifest_chunk_count(a->manifest));
	landing_reset(&a->landing);
	result = fetch_part(a, source, first, count, err);
	count_dropped(a, source, network, in);
	return result;
}

void assemble_have(const struct assemble *a, uint8_t *have)
{
	landing_have(&a->landing, have);
}

uint32_t assemble_chunk_size(const struct assemble *a, uint32_t n)
{
	return n < manifest_chunk_count(a->manifest) ? manifest_chunk_at(a->manifest, n)->size
						     : UINT32_MAX;
}

enum landing_put assemble_offer(struct assemble *a, unsigned int hand, uint32_t chunk,
				const uint8_t *bytes, struct err *err)
{
	return landing_offer(&a->hands[hand], chunk, bytes, err);
}

bool assemble_finish(struct assemble *a, struct err *err)
{
	assert(assemble_missing(a) == 0);
	if (a->params->giver != NULL) {
		/* Memory goes back while the keeper is at it. */
		dismiss_hands(a);
		return giver_finish(a->params->giver, err);
	}
	for (size_t i = 0; i < ASSEMBLE_WORK_HANDS; i++) {
		tree_files_release(&a->hands[i].out);
		tree_files_init(&a->hands[i].out, &a->tree);
	}
	return tree_complete(&a->tree, err) &&
	       (a->params->flushes_behind || tree_sync(&a->tree, err));
}

bool assemble_flush(struct assemble *a, struct err *err)
{
	dismiss_hands(a);
	if (tree_sync(&a->tree, err))
		return true;
	tree_forget(&a->tree);
	return false;
}

struct assemble_stats assemble_stats(const struct assemble *a)
{
	return (struct assemble_stats){
		.bytes_content = manifest_tree_size(a->manifest),
		.bytes_network = a->bytes_network,
		.bytes_seed = atomic_load(&a->landing.bytes_seed),
		.chunks_fetched = atomic_load(&a->landing.chunks_fetched),
		.requests = a->requests,
		.how = a->how,
		.instead = a->instead,
	};
}

const struct manifest *assemble_manifest(const struct assemble *a)
{
	return a->manifest;
}

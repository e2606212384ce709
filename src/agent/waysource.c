#include "agent/waysource.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/path.h"

/*
 * What a DP lacks although it is listed is the site's to know: another class than a wrong name, as
 * that of a share which does not exist (nothing can be asked over such a way).
 */
static enum transfer_result fail(struct waysource *ws, enum nal_class class)
{
	bool is_object = class == NAL_CLASS_NOT_FOUND && !ws->way->broken;

	ws->class = is_object ? NAL_CLASS_CONTENT_MISSING : class;
	return TRANSFER_FAILED;
}

static enum transfer_result read_object(void *ctx, const char *name, uint64_t cap, struct buf *out,
					struct err *err)
{
	struct waysource *ws = ctx;
	SCOPED_TEXT char *path = path_join(ws->package, name);
	SCOPED(way_object) struct way_object object = { 0 };
	/* Nothing but the index is read as a whole: what is longer than policy says is none. */
	uint64_t max = ws->index_size > 0 ? MIN_OF(cap, ws->index_size) : cap;
	const struct way_get ask = {
		.max = MIN_OF(max, WAY_GET_MAX),
		.size = ws->index_size,
	};
	enum nal_class class = way_get(&object, ws->way, path, &ask, err);

	ws->lacks_index = class == NAL_CLASS_NOT_FOUND;
	if (class != NAL_CLASS_OK)
		return fail(ws, class);
	buf_put_span(out, buf_span(&object.bytes));
	return TRANSFER_OK;
}

struct stream {
	transfer_sink_fn sink;
	void *sink_ctx;
	const struct way_range *ranges;
	size_t range;
	uint64_t offset; /* of the next piece, in the object */
	bool stopped;
};

static bool pass_on(size_t range, struct span piece, void *ctx)
{
	struct stream *s = ctx;

	if (range != s->range) {
		s->range = range;
		s->offset = s->ranges[range].offset;
	}
	s->stopped = !s->sink(s->sink_ctx, s->offset, piece);
	s->offset += piece.size;
	return !s->stopped;
}

static enum transfer_result read_ranges(void *ctx, const char *name,
					const struct transfer_range *ranges, size_t count,
					transfer_sink_fn sink, void *sink_ctx, struct err *err)
{
	struct waysource *ws = ctx;
	SCOPED_TEXT char *path = path_join(ws->package, name);
	struct way_range *list = alloc_zeroed(count, sizeof(*list));
	struct stream s = { .sink = sink, .sink_ctx = sink_ctx, .ranges = list };
	enum nal_class class = NAL_CLASS_OK;

	ws->way->rate_bps = ws->rate_bps;
	ws->way->room = ws->room;
	for (size_t i = 0; i < count; i++)
		list[i] = (struct way_range){ .offset = ranges[i].offset, .size = ranges[i].size };
	for (size_t at = 0; at < count && class == NAL_CLASS_OK && !s.stopped;
	     at += WAY_RANGES_MAX) {
		s.ranges = list + at;
		s.range = SIZE_MAX;
		class = way_read_ranges(ws->way, path, list + at,
					MIN_OF(count - at, (size_t)WAY_RANGES_MAX), pass_on, &s,
					err);
	}
	free(list);
	ws->way->rate_bps = 0;
	ws->way->room = NULL;
	ws->lacks_index = class == NAL_CLASS_NOT_FOUND && strncmp(name, "index/", 6) == 0;
	if (s.stopped)
		return TRANSFER_STOPPED;
	return class == NAL_CLASS_OK ? TRANSFER_OK : fail(ws, class);
}

static void lend(void *ctx, const struct recvroom *room)
{
	struct waysource *ws = ctx;

	ws->room = room;
}

static uint64_t bytes_in(void *ctx)
{
	const struct waysource *ws = ctx;

	return way_counts(ws->way).bytes_in;
}

struct transfer_source waysource_of(struct waysource *ws)
{
	return (struct transfer_source){
		.read_object = read_object,
		.read_ranges = read_ranges,
		.lend = lend,
		.bytes_in = bytes_in,
		.ctx = ws,
	};
}

static enum arrival_how how_of(enum plan_how how)
{
	enum arrival_how out;

	return arrival_how_parse(&out, plan_how_name(how)) ? out : ARRIVAL_UNKNOWN;
}

struct arrival waysource_arrival(const struct assemble_stats *stats)
{
	struct arrival a = {
		.cost = { how_of(stats->how), stats->bytes_network, stats->requests },
	};

	if (stats->instead.how != PLAN_NONE)
		a.instead = (struct arrival_cost){ how_of(stats->instead.how), stats->instead.bytes,
						   stats->instead.requests };
	return a;
}

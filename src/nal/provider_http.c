/*
 * Plain web servers and `packway-site serve`, over HTTP/1.1 and HTTP/2.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "nal/dial.h"
#include "nal/httpproxy.h"
#include "nal/httpsession.h"
#include "nal/httpspread.h"
#include "nal/provider.h"

static struct httpsession *session_of(const struct way *way)
{
	return (struct httpsession *)way->session;
}

/* Connect now, so that a dead server shows here; through a proxy the first request tells. */
static enum nal_class http_open(struct session **out, const struct way_target *target,
				const struct way_limits *limits, struct way_link link,
				struct err *err)
{
	const struct locator *where = target->where;
	enum nal_class class = NAL_CLASS_OK;

	if (link.fd < 0 && !httpproxy_covers(locator_scheme_name(where->scheme), where->host))
		class = dial_wait(&link, where->host, where->port, limits->connect_ms, err);
	if (class != NAL_CLASS_OK)
		return class;
	return httpsession_open(out, target, limits, link, err);
}

/* One request for a name beneath the way's folder. */
static enum nal_class ask(struct httpsession_answer *answer, struct way *way, const char *name,
			  struct httpsession_request *request, struct err *err)
{
	SCOPED_TEXT char *url = NULL;

	if (!locator_join(&url, &way->where, name, err))
		return NAL_CLASS_UNKNOWN;
	request->url = url;
	return httpsession_ask(answer, session_of(way), request, &way->limits, err);
}

struct whole {
	struct way_object *out;
	size_t max;
};

static enum httpsession_body too_large(size_t max, struct err *err)
{
	err_set(err, ERR_LIMIT, "the object is larger than %zu bytes", max);
	return HTTPSESSION_BAD;
}

static enum httpsession_body whole_head(const struct httpsession_answer *answer, void *ctx,
					struct err *err)
{
	const struct whole *w = ctx;

	if (answer->status != 200) {
		err_set(err, ERR_NET_PROTOCOL, "the server answered %ld to a plain request",
			answer->status);
		return HTTPSESSION_BAD;
	}
	if (answer->length != UINT64_MAX && answer->length > w->max)
		return too_large(w->max, err);
	return HTTPSESSION_MORE;
}

static enum httpsession_body whole_body(const struct httpsession_answer *answer UNUSED,
					struct span piece, void *ctx, struct err *err)
{
	struct whole *w = ctx;

	if (piece.size > w->max - w->out->bytes.size)
		return too_large(w->max, err);
	buf_put_span(&w->out->bytes, piece);
	return HTTPSESSION_MORE;
}

static enum nal_class http_get(struct way_object *out, struct way *way, const char *name,
			       const struct way_get *get, struct err *err)
{
	struct whole w = { .out = out, .max = get->max };
	struct httpsession_request request = {
		.method = "GET", .head = whole_head, .body = whole_body, .ctx = &w
	};
	struct httpsession_answer answer;
	char condition[WAY_TOKEN_SIZE + 32];
	enum nal_class class;

	if (get->token != NULL && httpanswer_condition(condition, get->token))
		request.headers[0] = condition;
	class = ask(&answer, way, name, &request, err);
	if (class != NAL_CLASS_OK) {
		buf_clear(&out->bytes);
		return class;
	}
	if (answer.status == 304 && request.headers[0] == NULL) {
		err_set(err, ERR_NET_PROTOCOL, "the server answered 304 without being asked");
		return NAL_CLASS_PROTOCOL;
	}
	out->unchanged = answer.status == 304;
	memcpy(out->token, answer.token, sizeof(out->token));
	if (out->unchanged && out->token[0] == '\0')
		snprintf(out->token, sizeof(out->token), "%s", get->token);
	return NAL_CLASS_OK;
}

static enum nal_class http_stat(struct way_stat *out, struct way *way, const char *name,
				struct err *err)
{
	struct httpsession_request request = { .method = "HEAD" };
	struct httpsession_answer answer;
	enum nal_class class = ask(&answer, way, name, &request, err);

	if (class != NAL_CLASS_OK)
		return class;
	if (answer.length == UINT64_MAX) {
		err_set(err, ERR_NET_PROTOCOL, "the server does not tell the object's size");
		return NAL_CLASS_PROTOCOL;
	}
	out->size = answer.length;
	memcpy(out->token, answer.token, sizeof(out->token));
	return NAL_CLASS_OK;
}

/* A read of ranges: where the body stands, and what of it is wanted next. */
struct reading {
	struct way *way;
	const struct way_range *ranges;
	size_t count;
	size_t at;       /* index of the range that is wanted next */
	uint64_t done;   /* bytes of it that were delivered */
	uint64_t last;   /* the last byte that the request in flight asked for */
	uint64_t offset; /* of the next byte of the body, in the object */
	bool stopped;    /* by the sink */
	way_sink_fn *sink;
	void *ctx;
};

static enum httpsession_body range_head(const struct httpsession_answer *answer, void *ctx,
					struct err *err)
{
	struct reading *r = ctx;
	uint64_t first = r->ranges[r->at].offset + r->done;

	if (answer->status == 200) {
		r->way->session->no_ranges = true;
		r->offset = 0;
		return HTTPSESSION_MORE;
	}
	if (answer->status == 206 && answer->has_range && answer->range.first == first &&
	    answer->range.last == r->last &&
	    (answer->length == UINT64_MAX || answer->length == r->last - first + 1)) {
		r->offset = first;
		return HTTPSESSION_MORE;
	}
	err_set(err, ERR_NET_PROTOCOL, "bytes %llu-%llu were asked for, and others came",
		(unsigned long long)first, (unsigned long long)r->last);
	return HTTPSESSION_BAD;
}

/* Hand on what of `*piece` belongs to the range in turn, and drop what lies before it. */
static enum httpsession_body deliver(struct reading *r, struct span *piece)
{
	const struct way_range *want = &r->ranges[r->at];
	uint64_t next = want->offset + r->done;
	size_t n;

	if (r->offset < next) {
		n = (size_t)MIN_OF(piece->size, next - r->offset);
		*piece = span_skip(*piece, n);
		r->offset += n;
		return HTTPSESSION_MORE;
	}
	n = (size_t)MIN_OF(piece->size, want->size - r->done);
	if (!r->sink(r->at, span_of(piece->data, n), r->ctx)) {
		r->stopped = true;
		return HTTPSESSION_ENOUGH;
	}
	*piece = span_skip(*piece, n);
	r->offset += n;
	r->done += n;
	if (r->done == want->size) {
		r->at++;
		r->done = 0;
	}
	return HTTPSESSION_MORE;
}

static enum httpsession_body range_body(const struct httpsession_answer *answer, struct span piece,
					void *ctx, struct err *err)
{
	struct reading *r = ctx;

	while (piece.size > 0) {
		if (answer->status == 206 && r->offset > answer->range.last) {
			err_set(err, ERR_NET_PROTOCOL, "more bytes came than were asked for");
			return HTTPSESSION_BAD;
		}
		if (r->at == r->count)
			return HTTPSESSION_ENOUGH;
		if (deliver(r, &piece) == HTTPSESSION_ENOUGH)
			return HTTPSESSION_ENOUGH;
	}
	return HTTPSESSION_MORE;
}

/* The last byte of the ranges that follow each other without a gap: one request serves them. */
static uint64_t end_of_run(const struct reading *r)
{
	size_t i = r->at;

	while (i + 1 < r->count &&
	       r->ranges[i].offset + r->ranges[i].size == r->ranges[i + 1].offset)
		i++;
	return r->ranges[i].offset + r->ranges[i].size - 1;
}

static enum nal_class read_next(struct reading *r, const char *name, struct err *err)
{
	struct httpsession_request request = {
		.method = "GET", .head = range_head, .body = range_body, .ctx = r
	};
	struct httpsession_answer answer;
	size_t before = r->at;
	char line[80];
	enum nal_class class;

	r->last = end_of_run(r);
	snprintf(line, sizeof(line), "Range: bytes=%llu-%llu",
		 (unsigned long long)(r->ranges[r->at].offset + r->done),
		 (unsigned long long)r->last);
	request.headers[0] = line;
	class = ask(&answer, r->way, name, &request, err);
	if (class != NAL_CLASS_OK || r->stopped || r->at > before)
		return class;
	err_set(err, ERR_NET_PROTOCOL, "the object ends before byte %llu",
		(unsigned long long)r->last + 1);
	return NAL_CLASS_PROTOCOL;
}

static enum nal_class read_spread(struct reading *r, const char *name, struct err *err)
{
	SCOPED_TEXT char *url = NULL;
	enum nal_class class;
	struct httpspread spread = {
		.way = r->way,
		.ranges = r->ranges,
		.count = r->count,
		.sink = r->sink,
		.ctx = r->ctx,
	};

	if (!locator_join(&url, &r->way->where, name, err))
		return NAL_CLASS_UNKNOWN;
	spread.url = url;
	class = httpspread_read(&spread, err);
	r->at = spread.at;
	r->done = spread.done;
	r->stopped = spread.stopped;
	return class;
}

/* What the kernel receives ahead comes on top of the rate, and so does what libcurl holds. */
static void bound(struct way *way, unsigned connections)
{
	struct httpsession *s = session_of(way);
	uint64_t ahead = way_ahead(way, INT_MAX, httpsession_round_trip_us(s));

	httpsession_bound(s, way->rate_bps > 0 ? ahead / connections : 0);
}

static enum nal_class http_read_ranges(struct way *way, const char *name,
				       const struct way_range *ranges, size_t count,
				       way_sink_fn *sink, void *ctx, struct err *err)
{
	struct reading r = {
		.way = way, .ranges = ranges, .count = count, .sink = sink, .ctx = ctx
	};
	enum nal_class class = NAL_CLASS_OK;

	bound(way, httpspread_is_due(way, ranges, count) ? HTTPSPREAD_CONNECTIONS : 1);
	if (httpspread_is_due(way, ranges, count))
		class = read_spread(&r, name, err);
	while (class == NAL_CLASS_OK && r.at < count && !r.stopped)
		class = read_next(&r, name, err);
	return class;
}

static enum nal_class http_put(struct way *way, const char *name, const struct way_put *put,
			       struct err *err)
{
	struct httpsession_request request = { .method = "PUT", .put = put };
	struct httpsession_answer answer;

	if (put->mode == WAY_PUT_CREATE)
		request.headers[0] = "If-None-Match: *";
	return ask(&answer, way, name, &request, err);
}

static enum nal_class http_remove(struct way *way, const char *name, struct err *err)
{
	struct httpsession_request request = { .method = "DELETE" };
	struct httpsession_answer answer;

	return ask(&answer, way, name, &request, err);
}

#define HTTP_CAPABILITIES                                                                     \
	(PROVIDER_READ | PROVIDER_RANGE | PROVIDER_PUT | PROVIDER_REPLACE | PROVIDER_DELETE | \
	 PROVIDER_LINGERS)

#define HTTP_ENTRIES                                                                      \
	.capabilities = HTTP_CAPABILITIES, .open = http_open, .close = httpsession_close, \
	.is_alive = httpsession_is_alive, .get = http_get, .stat = http_stat,             \
	.read_ranges = http_read_ranges, .put = http_put, .remove = http_remove

const struct provider provider_http = { .scheme = LOCATOR_HTTP, HTTP_ENTRIES };
const struct provider provider_http_tls = { .scheme = LOCATOR_HTTPS, HTTP_ENTRIES };

#include "nal/httpspread.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/clock.h"

#define TURN_MS     200
#define AHEAD_BYTES ((uint64_t)HTTPSPREAD_PARTS * HTTPSPREAD_PART_BYTES)

/* A piece of one range, or of several that follow each other without a gap. */
struct part {
	uint64_t first, last; /* bytes of the object */
	size_t range;         /* that `first` lies in */
	struct httpsession_exchange *exchange;
	struct httpsession_request request;
	struct httpsession_answer answer;
	struct err err;
	struct buf bytes;
	size_t delivered; /* of bytes */
	char line[80];
	bool is_whole;
};

/* Parts in the order of the object: [head, head + used) modulo HTTPSPREAD_PARTS. */
struct spread {
	struct httpspread *job;
	struct part parts[HTTPSPREAD_PARTS];
	size_t head, used;
	size_t next_range; /* where the next part begins */
	uint64_t next_offset;
	struct way_limits limits; /* of one part: all of them share the line */
	bool is_broken;
	enum nal_class class; /* with `err`, where the server lets us wait */
	struct err err;
};

static struct httpsession *session_of(const struct httpspread *s)
{
	return (struct httpsession *)s->way->session;
}

bool httpspread_is_due(const struct way *way, const struct way_range *ranges, size_t count)
{
	const struct httpsession *session = (const struct httpsession *)way->session;
	bool is_one_part = count == 1 && ranges[0].size <= HTTPSPREAD_PART_BYTES;
	uint32_t rtt_us = httpsession_round_trip_us(session);

	return !is_one_part && !session->is_single && !session->session.no_ranges &&
	       rtt_us >= way->limits.far_us && way_ahead(way, AHEAD_BYTES, rtt_us) == AHEAD_BYTES;
}

static enum httpsession_body part_head(const struct httpsession_answer *answer, void *ctx,
				       struct err *err)
{
	const struct part *p = ctx;

	if (answer->status == 206 && answer->has_range && answer->range.first == p->first &&
	    answer->range.last == p->last)
		return HTTPSESSION_MORE;
	err_set(err, ERR_NET_PROTOCOL, "another range than was asked for");
	return HTTPSESSION_BAD;
}

static enum httpsession_body part_body(const struct httpsession_answer *answer UNUSED,
				       struct span piece, void *ctx, struct err *err)
{
	struct part *p = ctx;

	if (piece.size > p->last - p->first + 1 - p->bytes.size) {
		err_set(err, ERR_NET_PROTOCOL, "more bytes came than were asked for");
		return HTTPSESSION_BAD;
	}
	buf_put_span(&p->bytes, piece);
	return HTTPSESSION_MORE;
}

/* Move on to the byte behind `last`. */
static void advance(struct spread *s, uint64_t last)
{
	const struct way_range *ranges = s->job->ranges;

	while (s->next_range < s->job->count &&
	       ranges[s->next_range].offset + ranges[s->next_range].size <= last + 1)
		s->next_range++;
	if (s->next_range < s->job->count)
		s->next_offset = MAX_OF(last + 1, ranges[s->next_range].offset);
}

static uint64_t end_of_part(const struct spread *s)
{
	const struct way_range *ranges = s->job->ranges;
	size_t i = s->next_range;

	while (i + 1 < s->job->count && ranges[i].offset + ranges[i].size == ranges[i + 1].offset &&
	       ranges[i + 1].offset - s->next_offset < HTTPSPREAD_PART_BYTES)
		i++;
	return MIN_OF(ranges[i].offset + ranges[i].size, s->next_offset + HTTPSPREAD_PART_BYTES) -
	       1;
}

static void ask_next(struct spread *s)
{
	struct part *p = &s->parts[(s->head + s->used) % HTTPSPREAD_PARTS];

	buf_clear(&p->bytes);
	p->delivered = 0;
	p->is_whole = false;
	p->range = s->next_range;
	p->first = s->next_offset;
	p->last = end_of_part(s);
	snprintf(p->line, sizeof(p->line), "Range: bytes=%llu-%llu", (unsigned long long)p->first,
		 (unsigned long long)p->last);
	p->request = (struct httpsession_request){
		.method = "GET",
		.url = s->job->url,
		.headers = { p->line },
		.head = part_head,
		.body = part_body,
		.ctx = p,
	};
	p->exchange = httpsession_begin(&p->answer, session_of(s->job), &p->request, &s->limits,
					&p->err);
	s->used++;
	advance(s, p->last);
}

static struct part *part_at(struct spread *s, size_t i)
{
	return &s->parts[(s->head + i) % HTTPSPREAD_PARTS];
}

static size_t count_running(struct spread *s)
{
	size_t running = 0;

	for (size_t i = 0; i < s->used; i++)
		running += part_at(s, i)->exchange != NULL;
	return running;
}

static void ask_more(struct spread *s)
{
	size_t running = count_running(s);

	while (!s->is_broken && running < HTTPSPREAD_CONNECTIONS && s->used < HTTPSPREAD_PARTS &&
	       s->next_range < s->job->count) {
		ask_next(s);
		running++;
	}
}

static void end_part(struct spread *s, struct part *p)
{
	enum nal_class class = httpsession_end(p->exchange);

	p->exchange = NULL;
	p->is_whole = class == NAL_CLASS_OK && p->bytes.size == p->last - p->first + 1;
	s->is_broken |= !p->is_whole;
	if (class == NAL_CLASS_TIMEOUT || class == NAL_CLASS_SLOW) {
		s->class = class;
		s->err = p->err;
	}
}

static void end_finished(struct spread *s)
{
	for (size_t i = 0; i < s->used; i++) {
		struct part *p = part_at(s, i);

		if (p->exchange == NULL || !httpsession_is_over(p->exchange))
			continue;
		end_part(s, p);
	}
}

/* Hand on what has come of a part: false once the sink wants no more. */
static bool deliver_part(struct spread *s, struct part *p)
{
	struct httpspread *job = s->job;

	while (p->delivered < p->bytes.size) {
		const struct way_range *want = &job->ranges[job->at];
		size_t n = (size_t)MIN_OF((uint64_t)(p->bytes.size - p->delivered),
					  want->size - job->done);

		if (!job->sink(job->at, span_of(p->bytes.data + p->delivered, n), job->ctx)) {
			job->stopped = true;
			return false;
		}
		p->delivered += n;
		job->done += n;
		if (job->done == want->size) {
			job->at++;
			job->done = 0;
		}
	}
	return true;
}

/* In order: the first part as it comes, the next ones once it is whole. */
static void deliver(struct spread *s)
{
	uint64_t before = clock_mono_ms(clock_system());
	uint64_t away;

	while (s->used > 0 && deliver_part(s, part_at(s, 0)) && part_at(s, 0)->is_whole) {
		s->head = (s->head + 1) % HTTPSPREAD_PARTS;
		s->used--;
	}
	away = clock_mono_ms(clock_system()) - before;
	for (size_t i = 0; i < s->used; i++)
		if (part_at(s, i)->exchange != NULL)
			httpsession_excuse(part_at(s, i)->exchange, away);
}

static void clean_up(struct spread *s)
{
	for (size_t i = 0; i < HTTPSPREAD_PARTS; i++) {
		if (s->parts[i].exchange != NULL)
			(void)httpsession_end(s->parts[i].exchange);
		buf_release(&s->parts[i].bytes);
	}
}

enum nal_class httpspread_read(struct httpspread *job, struct err *err)
{
	struct spread *s = alloc_zeroed(1, sizeof(*s));
	enum nal_class class;

	s->job = job;
	s->limits = job->way->limits;
	s->limits.floor_bytes_per_s /= HTTPSPREAD_CONNECTIONS;
	s->next_offset = job->ranges[0].offset;
	while (!job->stopped && job->at < job->count) {
		ask_more(s);
		if (s->used == 0)
			break;
		httpsession_turn(session_of(job), TURN_MS);
		end_finished(s);
		deliver(s);
		/* What came before the fault in order is delivered; the rest is asked for anew. */
		if (s->is_broken)
			break;
	}
	session_of(job)->is_single |= s->is_broken;
	class = s->class;
	if (class != NAL_CLASS_OK)
		*err = s->err;
	clean_up(s);
	free(s);
	return class;
}

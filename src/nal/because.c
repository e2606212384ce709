#include "nal/because.h"

#include <inttypes.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/text.h"

static void put_tier(struct buf *out, const struct decision *d, const struct decision_candidate *c)
{
	static const char *const phrases[] = {
		[SELECT_TIER_PREFERRED] = "it is preferred",
		[SELECT_TIER_CURRENT] = "it is in this machine's group",
		[SELECT_TIER_NEIGHBOURS] = "it is in a neighbouring group whose time has come",
		[SELECT_TIER_DEFAULT] = "it is a default server of the site, whose time has come",
	};

	if (c->tier == SELECT_TIER_CURRENT && d->group == NULL)
		buf_put_text(out, "it is a default server of the site");
	else
		buf_put_text(out, phrases[c->tier]);
}

static void put_way(struct buf *out, const struct decision_candidate *c)
{
	if (c->way == WAYKIND_SESSION)
		buf_put_text(out, " and a connection to it is open");
	else if (c->way == WAYKIND_MOUNT)
		buf_printf(out, " and its share is mounted at %s", c->at != NULL ? c->at : "?");
}

static void put_term(struct buf *out, const struct decision *d, const struct decision_candidate *c)
{
	char rate[32];

	if (d->decided.by != SELECT_BY_TERM)
		return;
	if (d->decided.term == TERMS_STICKY) {
		buf_put_text(out, " and it served last time");
	} else if (d->decided.term == TERMS_GOODPUT && c->terms.goodput_bps > 0) {
		text_print_size(rate, c->terms.goodput_bps);
		buf_printf(out, " and it was measured at %s/s", rate);
	} else if (d->decided.term == TERMS_RANDOM) {
		buf_printf(out, ", drawn from %zu that are equal", d->decided.equals);
	}
}

static void put_reason(struct buf *out, const struct decision *d,
		       const struct decision_candidate *c)
{
	put_tier(out, d, c);
	put_way(out, c);
	put_term(out, d, c);
	if (d->decided.by == SELECT_BY_NOTHING)
		buf_put_text(out, d->listed == 1 ? "; it is the only one"
						 : "; no other can be used now");
	else if (d->decided.by == SELECT_BY_BACK_OFF)
		buf_put_text(out, "; the others failed a moment ago");
}

static void put_sms2(struct buf *out, const struct decision *d, const struct decision_candidate *c)
{
	buf_printf(out,
		   "it was drawn at random from %zu and open ways were not looked at (Q226113)",
		   d->valid);
	if (c->way == WAYKIND_SESSION)
		buf_put_text(out, "; the session that is open to it is reused");
}

/* The best-ranked other than the chosen one that was not tried in vain. */
static const struct decision_candidate *next_best(const struct decision *d)
{
	for (size_t i = 0; i < d->candidate_count; i++) {
		const struct decision_candidate *c = &d->candidates[i];
		bool was_tried = false;

		if (c->reason != SELECT_USABLE)
			break;
		for (size_t k = 0; k < d->attempt_count && !was_tried; k++)
			was_tried = strcmp(d->attempts[k].server, c->server) == 0;
		if ((int64_t)i != d->chosen && !was_tried)
			return c;
	}
	return NULL;
}

/* A server that served at another of its addresses did not fail. */
static bool is_failure(const struct decision *d, const struct decision_attempt *a)
{
	return a->what != NAL_CLASS_OK &&
	       (d->chosen < 0 || strcmp(d->candidates[d->chosen].server, a->server) != 0);
}

/* "dp3 came first but failed (timeout); " */
static void put_failures(struct buf *out, const struct decision *d)
{
	size_t failed = 0;

	for (size_t i = 0; i < d->attempt_count; i++) {
		if (!is_failure(d, &d->attempts[i]))
			continue;
		if (++failed <= 3)
			buf_printf(out, "%s%s failed (%s)", failed > 1 ? ", " : "",
				   d->attempts[i].server, nal_class_name(d->attempts[i].what));
	}
	if (failed > 3)
		buf_printf(out, " and %zu more failed", failed - 3);
	if (failed > 0)
		buf_put_text(out, "; ");
}

/* Nobody was asked, for there was nothing to ask for. */
static void put_unneeded(struct buf *out, const struct decision *d)
{
	const struct decision_candidate *c = next_best(d);

	buf_put_text(out, "nothing was read: ");
	arrival_print(out, &d->arrival);
	if (c != NULL)
		buf_printf(out, "; %s would have been asked", c->server);
	buf_put_u8(out, '.');
}

static void put_arrival(struct buf *out, const struct arrival *a)
{
	if (a->cost.how == ARRIVAL_UNKNOWN)
		return;
	buf_put_text(out, "; ");
	arrival_print(out, a);
}

static void put_chosen(struct buf *out, const struct decision *d)
{
	const struct decision_candidate *c = &d->candidates[d->chosen];
	const struct decision_candidate *next = next_best(d);
	const struct terms_policy *policy = terms_find(d->policy);

	put_failures(out, d);
	buf_printf(out, "%s %s: ", c->server, d->is_settled ? "was read" : "is chosen");
	if (d->chosen > 0) {
		put_tier(out, d, c);
		put_way(out, c);
	} else if (policy != NULL && policy->one_tier) {
		put_sms2(out, d, c);
	} else {
		put_reason(out, d, c);
	}
	if (next != NULL)
		buf_printf(out, "; next would %s %s", d->is_settled ? "have been" : "be",
			   next->server);
	put_arrival(out, &d->arrival);
	buf_put_u8(out, '.');
}

/* "2 fence, 1 denied" */
static void put_reasons(struct buf *out, const struct decision *d)
{
	size_t counts[SELECT_REASON_COUNT_] = { 0 };
	const char *between = "";

	for (size_t i = 0; i < d->candidate_count; i++)
		counts[d->candidates[i].reason]++;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		if (i == SELECT_USABLE || counts[i] == 0)
			continue;
		buf_printf(out, "%s%zu %s", between, counts[i],
			   select_reason_name((enum select_reason)i));
		between = ", ";
	}
}

static void put_nothing(struct buf *out, const struct decision *d)
{
	SCOPED_TEXT char *wait = because_wait(d, d->time_s);

	if (d->listed == 0) {
		buf_printf(out, "no %s is listed for it yet.", d->kind == KIND_CAP ? "CAP" : "DP");
		return;
	}
	if (d->attempt_count > 0) {
		put_failures(out, d);
		buf_put_text(out, "no other is left.");
		return;
	}
	buf_printf(out, "none of the %zu listed can be used now (", d->listed);
	put_reasons(out, d);
	buf_printf(out, ")%s%s.", wait != NULL ? "; " : "", wait != NULL ? wait : "");
}

char *because_sentence(const struct decision *d)
{
	SCOPED(buf) struct buf out = { 0 };

	if (d->arrival.cost.how == ARRIVAL_NONE)
		put_unneeded(&out, d);
	else if (d->chosen >= 0)
		put_chosen(&out, d);
	else
		put_nothing(&out, d);
	return buf_take(&out);
}

/* Rounded up: what opens in 61 s does not open in a minute. */
static char *span_text(int64_t seconds)
{
	if (seconds <= 90)
		return alloc_printf("%" PRId64 " s", MAX_OF(seconds, (int64_t)0));
	if (seconds <= 180 * 60)
		return alloc_printf("%" PRId64 " min", (seconds + 59) / 60);
	return alloc_printf("%" PRId64 " h", (seconds + 3599) / 3600);
}

char *because_wait(const struct decision *d, int64_t now_s)
{
	SCOPED_TEXT char *span = span_text(d->wait_until_s - now_s);

	switch (d->wait) {
	case SELECT_WAIT_NEIGHBOURS:
		return alloc_printf("neighbours open in %s", span);
	case SELECT_WAIT_DEFAULT:
		return alloc_printf("the site default opens in %s", span);
	case SELECT_WAIT_RETRY:
		return alloc_printf("the next try is in %s", span);
	case SELECT_WAIT_CHANGE:
		return alloc_text("only a change of settings or policy can help");
	case SELECT_WAIT_NONE:
	case SELECT_WAIT_COUNT_:
	default:
		return NULL;
	}
}

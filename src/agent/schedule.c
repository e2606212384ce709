#include "agent/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

static const char *const state_names[] = {
	[SCHEDULE_NOT_YET_AVAILABLE] = "not-yet-available",
	[SCHEDULE_OFFERED] = "offered",
	[SCHEDULE_DUE] = "due",
	[SCHEDULE_WAITING] = "waiting",
	[SCHEDULE_RUNNING] = "running",
	[SCHEDULE_SUCCEEDED] = "succeeded",
	[SCHEDULE_FAILED] = "failed",
	[SCHEDULE_INTERRUPTED] = "interrupted",
	[SCHEDULE_EXPIRED] = "expired",
	[SCHEDULE_STOPPED] = "stopped",
	[SCHEDULE_REJECTED] = "rejected",
};
static_assert(COUNT_OF(state_names) == SCHEDULE_STATE_COUNT_, "every state has a name");

static const char *const reason_names[] = {
	[SCHEDULE_NO_REASON] = "",
	[SCHEDULE_MANDATORY_TIME] = "mandatory-time",
	[SCHEDULE_WINDOW] = "window",
	[SCHEDULE_RUN_AFTER] = "run-after",
	[SCHEDULE_CONTENT] = "content",
	[SCHEDULE_OUTBOX_FULL] = "outbox-full",
	[SCHEDULE_POLICY_EXPIRED] = "policy-expired",
	[SCHEDULE_RETRY] = "retry",
	[SCHEDULE_BUSY] = "busy",
};
static_assert(COUNT_OF(reason_names) == SCHEDULE_REASON_COUNT_, "every reason has a name");

static const char *const rerun_names[] = {
	[SCHEDULE_RERUN_NEVER] = "never",
	[SCHEDULE_RERUN_ON_FAILURE] = "on-failure",
	[SCHEDULE_RERUN_ALWAYS] = "always",
};
static_assert(COUNT_OF(rerun_names) == SCHEDULE_RERUN_COUNT_, "every rule has a name");

const char *schedule_state_name(enum schedule_state state)
{
	assert(state < SCHEDULE_STATE_COUNT_);
	return state_names[state];
}

const char *schedule_reason_name(enum schedule_reason reason)
{
	assert(reason < SCHEDULE_REASON_COUNT_);
	return reason_names[reason];
}

bool schedule_parse_rerun(enum schedule_rerun *out, const char *text)
{
	for (size_t i = 0; i < COUNT_OF(rerun_names); i++) {
		if (strcmp(rerun_names[i], text) == 0) {
			*out = (enum schedule_rerun)i;
			return true;
		}
	}
	return false;
}

static bool is_success(const struct journal_run *run)
{
	return run->outcome == JOURNAL_SUCCEEDED || run->outcome == JOURNAL_SUCCEEDED_RESTART;
}

static enum schedule_state state_of_end(const struct journal_run *run)
{
	if (run->phase == JOURNAL_RUNNING)
		return SCHEDULE_RUNNING;
	if (is_success(run))
		return SCHEDULE_SUCCEEDED;
	return run->outcome == JOURNAL_INTERRUPTED ? SCHEDULE_INTERRUPTED : SCHEDULE_FAILED;
}

static enum journal_again again_of(enum schedule_rerun rerun, bool by_hand)
{
	static const enum journal_again rules[] = {
		[SCHEDULE_RERUN_NEVER] = JOURNAL_ONCE,
		[SCHEDULE_RERUN_ON_FAILURE] = JOURNAL_UNLESS_SUCCESS,
		[SCHEDULE_RERUN_ALWAYS] = JOURNAL_UNLESS_SUCCESS,
	};

	return by_hand && rerun == SCHEDULE_RERUN_ALWAYS ? JOURNAL_ALWAYS : rules[rerun];
}

/* True if the run that there was is the last word about this serial. */
static bool is_finished(const struct schedule_assignment *a, const struct journal_run *last,
			bool by_hand)
{
	if (last->phase == JOURNAL_RUNNING)
		return true;
	switch (again_of(a->rerun, by_hand)) {
	case JOURNAL_ALWAYS:
		return false;
	case JOURNAL_UNLESS_SUCCESS:
		return is_success(last);
	case JOURNAL_ONCE:
	default:
		/* What never began may be tried by hand, but not over and over by itself. */
		return !(by_hand && last->outcome == JOURNAL_NOT_STARTED);
	}
}

static int64_t pause_after(const struct journal_run *last)
{
	int64_t pause_s = SCHEDULE_RETRY_FIRST_S;

	for (uint32_t i = 1; i < last->attempt && pause_s < SCHEDULE_RETRY_MAX_S; i++)
		pause_s *= 2;
	return MIN_OF(pause_s, SCHEDULE_RETRY_MAX_S);
}

/* An end in the future was noted by a clock that was wrong: the pause starts now at the latest. */
static int64_t retry_time(const struct journal_run *last, int64_t now_s)
{
	return MIN_OF(last->ended_s, now_s) + pause_after(last);
}

static void wait_for(struct schedule_verdict *v, enum schedule_reason reason, int64_t until_s)
{
	v->state = SCHEDULE_WAITING;
	v->reason = reason;
	v->until_s = until_s;
}

/* Facts about the assignment itself: false if they settle it. */
static bool is_open(struct schedule_verdict *v, const struct schedule_assignment *a,
		    const struct journal_run *last, const struct schedule_facts *f)
{
	if (a->rejected != NULL) {
		v->state = SCHEDULE_REJECTED;
		v->text = a->rejected;
	} else if (a->stopped) {
		v->state = SCHEDULE_STOPPED;
	} else if (a->expires_s <= f->now_s) {
		v->state = SCHEDULE_EXPIRED;
	} else if (a->available_s != SCHEDULE_NEVER && a->available_s > f->now_s) {
		v->state = SCHEDULE_NOT_YET_AVAILABLE;
		v->until_s = a->available_s;
	} else if (a->mandatory_s == SCHEDULE_NEVER && !f->by_hand) {
		v->state = SCHEDULE_OFFERED;
	} else {
		return true;
	}
	/* What ended badly before is worth more than "expired". */
	if (last != NULL && v->state != SCHEDULE_NOT_YET_AVAILABLE && v->state != SCHEDULE_OFFERED)
		v->state = state_of_end(last);
	return false;
}

/* Facts that say when. Content may be fetched ahead while only the time is missing. */
static bool is_time(struct schedule_verdict *v, const struct schedule_assignment *a,
		    const struct journal_run *last, const struct schedule_facts *f)
{
	if (!f->by_hand && a->mandatory_s > f->now_s)
		wait_for(v, SCHEDULE_MANDATORY_TIME, a->mandatory_s);
	else if (last != NULL && !f->by_hand && last->phase == JOURNAL_ENDED &&
		 retry_time(last, f->now_s) > f->now_s)
		wait_for(v, SCHEDULE_RETRY, retry_time(last, f->now_s));
	else if (!f->by_hand && a->has_window && !clock_window_is_open(&a->window, f->now_s))
		wait_for(v, SCHEDULE_WINDOW, clock_window_next(&a->window, f->now_s));
	else
		return true;
	return false;
}

/* Facts that say whether anything may start at all. */
static bool may_start(struct schedule_verdict *v, const struct schedule_assignment *a,
		      const struct schedule_facts *f)
{
	if (f->policy_expired)
		wait_for(v, SCHEDULE_POLICY_EXPIRED, SCHEDULE_NEVER);
	else if (f->outbox_full)
		wait_for(v, SCHEDULE_OUTBOX_FULL, SCHEDULE_NEVER);
	else if (a->after_package != NULL &&
		 !journal_has_succeeded(f->journal, a->after_package, a->after_program))
		wait_for(v, SCHEDULE_RUN_AFTER, SCHEDULE_NEVER);
	else
		return true;
	return false;
}

static bool something_runs(const struct journal_list *journal)
{
	for (size_t i = 0; i < journal->count; i++)
		if (journal->runs[i].phase == JOURNAL_RUNNING)
			return true;
	return false;
}

void schedule_evaluate(struct schedule_verdict *out, const struct schedule_assignment *a,
		       const struct schedule_content *content, const struct schedule_facts *facts)
{
	const struct journal_run *last = journal_last(facts->journal, a->advertisement, a->serial);
	bool content_here = content == NULL || content->ready;

	*out = (struct schedule_verdict){
		.until_s = SCHEDULE_NEVER,
		.again = again_of(a->rerun, facts->by_hand),
		.restart_pending = last != NULL && last->restart_pending,
	};
	if (last != NULL && is_finished(a, last, facts->by_hand)) {
		out->state = state_of_end(last);
		return;
	}
	if (!is_open(out, a, last, facts) || !may_start(out, a, facts))
		return;
	out->wants_content = !content_here;
	if (!is_time(out, a, last, facts))
		return;
	/* Content of which nothing is known may be here, or comes while the other runs. */
	if (something_runs(facts->journal) && (content_here || content->reason == NULL)) {
		wait_for(out, SCHEDULE_BUSY, SCHEDULE_NEVER);
	} else if (!content_here) {
		wait_for(out, SCHEDULE_CONTENT, content->until_s);
		out->text = content->reason;
	} else {
		out->state = SCHEDULE_DUE;
	}
}

static int compare_times(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* An available time that is not given is the earliest there is. */
static int64_t available_of(const struct schedule_assignment *a)
{
	return a->available_s == SCHEDULE_NEVER ? INT64_MIN : a->available_s;
}

static int compare_assignments(const void *x, const void *y)
{
	const struct schedule_assignment *a = *(const struct schedule_assignment *const *)x;
	const struct schedule_assignment *b = *(const struct schedule_assignment *const *)y;
	int by_mandatory = compare_times(a->mandatory_s, b->mandatory_s);
	int by_available = compare_times(available_of(a), available_of(b));

	if (by_mandatory != 0)
		return by_mandatory;
	return by_available != 0 ? by_available : strcmp(a->advertisement, b->advertisement);
}

void schedule_order(size_t *order, const struct schedule_assignment *assignments, size_t count)
{
	const struct schedule_assignment **sorted = alloc_zeroed(count + 1, sizeof(*sorted));

	for (size_t i = 0; i < count; i++)
		sorted[i] = &assignments[i];
	qsort(sorted, count, sizeof(*sorted), compare_assignments);
	for (size_t i = 0; i < count; i++)
		order[i] = (size_t)(sorted[i] - assignments);
	free(sorted);
}

int64_t schedule_next(const struct schedule_verdict *verdicts, size_t count)
{
	int64_t next_s = SCHEDULE_NEVER;

	for (size_t i = 0; i < count; i++)
		next_s = MIN_OF(next_s, verdicts[i].until_s);
	return next_s;
}

int64_t schedule_time(const json_t *object, const char *key)
{
	const char *text = jsondoc_text(object, key);
	int64_t unix_s;

	return text != NULL && clock_parse(&unix_s, text) ? unix_s : SCHEDULE_NEVER;
}

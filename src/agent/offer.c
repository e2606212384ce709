#include "agent/offer.h"

#include <string.h>

#include "agent/permit.h"

static bool is_runnable(const struct schedule_verdict *v)
{
	return v->state == SCHEDULE_DUE || v->state == SCHEDULE_OFFERED ||
	       (v->state == SCHEDULE_WAITING && v->reason == SCHEDULE_BUSY);
}

/*
 * The program may be advertised more than once: the first that may run now, else the first, whose
 * state says why it may not.
 */
static bool find(size_t *index_out, struct schedule_verdict *v, const struct assigned *plan,
		 const struct schedule_facts *facts, uid_t caller, const json_t *request,
		 struct err *err)
{
	const struct schedule_content ready = { .ready = true, .until_s = SCHEDULE_NEVER };
	const char *package, *program;

	if (!jsondoc_need_text(&package, request, "package", err) ||
	    !jsondoc_need_text(&program, request, "program", err))
		return false;
	*index_out = SIZE_MAX;
	for (size_t i = 0; (i = assigned_find(plan, package, program, i)) != SIZE_MAX; i++) {
		struct schedule_verdict here = { 0 };

		if (!permit_offers(caller, jsondoc_text(assigned_row(plan, i), "offer_to")))
			continue;
		schedule_evaluate(&here, &plan->assignments[i], &ready, facts);
		if (*index_out != SIZE_MAX && !is_runnable(&here))
			continue;
		*index_out = i;
		*v = here;
		if (is_runnable(v))
			return true;
	}
	if (*index_out != SIZE_MAX)
		return true;
	err_set(err, ERR_NOT_FOUND, "%s of %s is not offered to this client", program, package);
	return err_fix(err, "see what is offered: packway list");
}

static bool is_allowed(const struct schedule_verdict *v, struct err *err)
{
	if (is_runnable(v))
		return true;
	if (v->state == SCHEDULE_SUCCEEDED) {
		err_set(err, ERR_REFUSED, "it has run already, and may run once");
		return err_fix(err,
			       "let the site's admin allow more: program add … --rerun always");
	}
	if (v->reason == SCHEDULE_OUTBOX_FULL)
		return err_set(err, ERR_OUTBOX_FULL, "records wait for a CAP and fill their room");
	return err_set(err, ERR_REFUSED, "it cannot run now: %s%s%s", schedule_state_name(v->state),
		       v->reason != SCHEDULE_NO_REASON ? ", " : "",
		       schedule_reason_name(v->reason));
}

bool offer_find(size_t *index_out, struct schedule_verdict *verdict_out,
		const struct assigned *plan, const struct schedule_facts *facts, uid_t caller,
		const json_t *request, struct err *err)
{
	struct schedule_facts by_hand = *facts;

	by_hand.by_hand = true;
	*verdict_out = (struct schedule_verdict){ 0 };
	return find(index_out, verdict_out, plan, &by_hand, caller, request, err) &&
	       is_allowed(verdict_out, err);
}

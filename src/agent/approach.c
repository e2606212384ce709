#include "agent/approach.h"

#include <stdlib.h>
#include <string.h>

#include "agent/choices.h"
#include "common/alloc.h"
#include "common/log.h"

struct approach {
	struct scene *scene;
	const struct scene_question *question;
	const struct scene_answer *answer;
	struct decision *decision;
	struct way_target *targets;
	struct connect *connect;
	struct way *way; /* leased; NULL between two attempts */
	size_t row;
	bool served;
	struct err last;
};

struct approach *approach_begin(struct scene *s, const struct scene_question *q,
				const struct scene_answer *a, uint32_t version)
{
	struct approach *ap = alloc_zeroed(1, sizeof(*ap));

	ap->scene = s;
	ap->question = q;
	ap->answer = a;
	ap->decision = scene_record(s, q, a, version);
	ap->targets = alloc_zeroed(a->result.usable, sizeof(*ap->targets));
	for (size_t i = 0; i < a->result.usable; i++)
		scene_target(&ap->targets[i], a, q, i);
	ap->connect = connect_begin(scene_conntab(s), ap->targets, a->result.usable, ap);
	return ap;
}

static void release_way(struct approach *ap)
{
	conntab_release(scene_conntab(ap->scene), ap->way);
	ap->way = NULL;
}

/* Why there was nobody to ask at all. */
static bool say_nobody(const struct approach *ap, struct err *err)
{
	const struct select_result *r = &ap->answer->result;

	if (r->usable > 0)
		return false;
	return err_set(err, ERR_NO_CANDIDATE, "%s", ap->decision->because);
}

bool approach_next(struct way **way_out, struct approach *ap, struct err *err)
{
	if (connect_next(&ap->way, &ap->row, ap->connect, err)) {
		*way_out = ap->way;
		return true;
	}
	say_nobody(ap, err);
	return false;
}

const char *approach_server(const struct approach *ap)
{
	return ap->answer->result.rows[ap->row].candidate->name;
}

enum waykind approach_way(const struct approach *ap)
{
	return ap->answer->result.rows[ap->row].way;
}

const char *approach_address(const struct approach *ap)
{
	return ap->targets[ap->row].where->text;
}

bool approach_is_inbox(const struct approach *ap)
{
	return scene_row_is_inbox(ap->answer, ap->row);
}

void approach_failed(struct approach *ap, enum nal_class what, const struct err *err)
{
	ap->last = *err;
	connect_reject(ap->connect, ap->row, what, err);
	release_way(ap);
}

void approach_served(struct approach *ap)
{
	ap->served = true;
}

const struct err *approach_last_error(const struct approach *ap)
{
	return &ap->last;
}

static void note_attempts(struct approach *ap)
{
	for (size_t i = 0; i < ap->answer->result.usable; i++) {
		const struct select_row *row = &ap->answer->result.rows[i];
		struct connect_record r = connect_record(ap->connect, i);

		/* Connected in advance, but its turn never came: that says nothing. */
		if (!r.tried || (r.class == NAL_CLASS_OK && !(ap->served && i == ap->row)))
			continue;
		decision_attempted(ap->decision, row->candidate->name, row->way, r.class, r.ms);
		scene_note(ap->scene, ap->question, row->candidate->name, r.class);
	}
}

json_t *approach_end(struct approach *ap, const struct state *st)
{
	json_t *record;
	struct err err;

	note_attempts(ap);
	decision_settle(ap->decision, ap->served ? approach_server(ap) : NULL);
	record = decision_json(ap->decision);
	if (st != NULL && !choices_save(st, record, &err))
		log_warn("the decision is not kept: %s", err.why);
	release_way(ap);
	connect_end(ap->connect);
	decision_free(ap->decision);
	free(ap->targets);
	free(ap);
	return record;
}

#include "agent/approach.h"

#include <stdlib.h>
#include <string.h>

#include "agent/choices.h"
#include "common/alloc.h"
#include "common/log.h"
#include "nal/credential.h"

/* One way to one server; a server with several addresses has several. */
struct
try {
	size_t row;
	size_t number; /* scene_target */
	bool was_reached;
	bool passed_over;
	bool is_silent; /* it was met, and then kept silent: it may only be slow */
};

struct approach {
	struct scene *scene;
	const struct scene_question *question;
	const struct scene_answer *answer;
	struct decision *decision;
	struct try *tries;
	struct way_target *targets; /* of the tries */
	size_t count;
	struct connect *connect;
	struct way *way; /* leased; NULL between two attempts */
	size_t at;       /* the try that was reached last */
	bool served;
	bool is_patient; /* in its second round */
	struct err last;
};

static void add_tries(struct approach *ap, size_t row)
{
	struct way_target target;

	for (size_t n = 0; scene_target(&target, ap->answer, ap->question, row, n); n++) {
		ALLOC_GROW(ap->targets, ap->count);
		ALLOC_GROW(ap->tries, ap->count);
		ap->targets[ap->count] = target;
		ap->tries[ap->count++] = (struct try){ .row = row, .number = n };
	}
}

static void begin_round(struct approach *ap)
{
	ap->connect = connect_begin(scene_conntab(ap->scene), ap->targets, ap->count, ap);
	if (ap->answer->result.policy->ladder_first)
		connect_look_first(ap->connect);
	if (ap->is_patient)
		connect_be_patient(ap->connect);
}

struct approach *approach_begin(struct scene *s, const struct scene_question *q,
				const struct scene_answer *a, uint32_t version)
{
	struct approach *ap = alloc_zeroed(1, sizeof(*ap));

	ap->scene = s;
	ap->question = q;
	ap->answer = a;
	ap->decision = scene_record(s, q, a, version);
	for (size_t i = 0; i < a->result.usable; i++)
		add_tries(ap, i);
	begin_round(ap);
	return ap;
}

static void release_way(struct approach *ap)
{
	conntab_release(scene_conntab(ap->scene), ap->way);
	ap->way = NULL;
}

static const struct select_row *row_of(const struct approach *ap, const struct try *try)
{
	return &ap->answer->result.rows[try->row];
}

static enum waykind way_of(const struct approach *ap, const struct try *try)
{
	return try->number == 0 ? row_of(ap, try)->way : WAYKIND_NEW;
}

const char *approach_server(const struct approach *ap)
{
	return row_of(ap, &ap->tries[ap->at])->candidate->name;
}

enum waykind approach_way(const struct approach *ap)
{
	return way_of(ap, &ap->tries[ap->at]);
}

const char *approach_address(const struct approach *ap)
{
	return ap->targets[ap->at].where->text;
}

bool approach_is_users(const struct approach *ap)
{
	return ap->targets[ap->at].as != NULL;
}

bool approach_is_inbox(const struct approach *ap)
{
	return scene_row_is_inbox(ap->answer, ap->tries[ap->at].row);
}

/* All addresses of a system have one content: a wrong one is wrong at each of them. */
static void pass_over_row(struct approach *ap, size_t row)
{
	for (size_t i = 0; i < ap->count; i++)
		ap->tries[i].passed_over |= ap->tries[i].row == row && i != ap->at;
}

void approach_failed(struct approach *ap, enum nal_class what, const struct err *err)
{
	bool was_let_in = way_counts(ap->way).connects > 0;

	ap->last = *err;
	release_way(ap);
	if (!was_let_in)
		what = connect_look_after(ap->connect, ap->at, what, &ap->last);
	if ((what == NAL_CLASS_CORRUPT || what == NAL_CLASS_WRONG_VERSION) &&
	    !approach_is_users(ap))
		pass_over_row(ap, ap->tries[ap->at].row);
	connect_reject(ap->connect, ap->at, what, &ap->last);
}

void approach_served(struct approach *ap)
{
	ap->served = true;
}

void approach_arrived(struct approach *ap, const struct arrival *arrival)
{
	decision_arrived(ap->decision, arrival);
}

const struct err *approach_last_error(const struct approach *ap)
{
	return &ap->last;
}

static bool was_tried(const struct approach *ap, size_t i)
{
	struct connect_record r = connect_record(ap->connect, i);
	bool served = ap->served && i == ap->at;

	/* Connected in advance, but its turn never came: that says nothing. */
	return r.tried && !ap->tries[i].passed_over && (r.class != NAL_CLASS_OK || served);
}

/*
 * That has a memory of its own, and says nothing about the server. A user's own account that may
 * not read there is as good as refused: the system's may.
 */
static bool is_refused_account(const struct approach *ap, size_t i)
{
	const struct way_target *target = &ap->targets[i];
	bool is_users = target->credential != NULL && target->credential->is_users;

	return connect_record(ap->connect, i).class == NAL_CLASS_DENIED &&
	       (is_users || conntab_has_refused(scene_conntab(ap->scene), target));
}

/* A server is remembered for what it was at the last of its addresses that was tried. */
static bool is_last_of_row(const struct approach *ap, size_t i)
{
	for (size_t k = i + 1; k < ap->count && ap->tries[k].row == ap->tries[i].row; k++)
		if (was_tried(ap, k) && !is_refused_account(ap, k))
			return false;
	return !ap->served || i == ap->at || ap->tries[i].row != ap->tries[ap->at].row;
}

/* What becomes of a server is known only when its last attempt has ended. */
static bool is_asked_again(const struct approach *ap, size_t row)
{
	for (size_t i = 0; i < ap->count; i++)
		if (ap->tries[i].row == row && ap->tries[i].is_silent)
			return true;
	return false;
}

static void note_attempt(struct approach *ap, size_t i)
{
	const struct try *try = &ap->tries[i];
	const char *server = row_of(ap, try)->candidate->name;
	struct connect_record r = connect_record(ap->connect, i);

	if (!was_tried(ap, i))
		return;
	decision_attempted(ap->decision, server, way_of(ap, try), r.class, r.ms);
	if (r.class == NAL_CLASS_OK && try->number > 0)
		decision_reached(ap->decision, server, approach_address(ap));
	if (is_refused_account(ap, i)) {
		scene_refused(ap->scene, &ap->targets[i]);
		return;
	}
	/* Where the whole folder is not there, nothing is known of the object. */
	if (r.class == NAL_CLASS_NOT_FOUND && !try->was_reached)
		r.class = NAL_CLASS_UNREACHABLE;
	/* What a user put there is nothing to remember of the server, for better or worse. */
	if (is_last_of_row(ap, i) && ap->targets[i].as == NULL && !is_asked_again(ap, try->row))
		scene_note(ap->scene, ap->question, server, r.class);
}

/* The ladder at the server that served, or else at the last one where it ran. */
static void note_presence(struct approach *ap)
{
	for (size_t i = 0; i < ap->count; i++) {
		struct connect_record r = connect_record(ap->connect, i);

		if (r.rung != NULL && (!ap->served || i <= ap->at))
			decision_presence(ap->decision, r.rung, r.rung_ms);
	}
}

static void note_round(struct approach *ap)
{
	for (size_t i = 0; i < ap->count; i++)
		note_attempt(ap, i);
	note_presence(ap);
}

/* ---- the second round ---- */

static size_t find_silent_ones(struct approach *ap)
{
	size_t found = 0;

	for (size_t i = 0; i < ap->count; i++) {
		struct connect_record r = connect_record(ap->connect, i);

		ap->tries[i].is_silent = was_tried(ap, i) && r.was_met &&
					 r.class == NAL_CLASS_TIMEOUT;
		found += ap->tries[i].is_silent;
	}
	return found;
}

static void keep_silent_ones(struct approach *ap)
{
	size_t kept = 0;

	for (size_t i = 0; i < ap->count; i++) {
		struct try t = ap->tries[i];

		if (!t.is_silent)
			continue;
		ap->tries[kept] = (struct try){ .row = t.row, .number = t.number };
		ap->targets[kept++] = ap->targets[i];
	}
	ap->count = kept;
}

/*
 * Nobody served. Where servers took connections and were only too slow to answer, as under a load
 * or behind a satellite, those are asked once more with more time; so are folders that were late.
 * False: nobody is.
 */
static bool ask_patiently(struct approach *ap)
{
	if (ap->is_patient || find_silent_ones(ap) == 0)
		return false;
	note_round(ap);
	connect_end(ap->connect);
	keep_silent_ones(ap);
	ap->at = 0;
	ap->is_patient = true;
	begin_round(ap);
	return true;
}

/* Why there was nobody to ask at all, or the last word of those who were asked. */
static bool say_nobody(struct approach *ap, struct err *err)
{
	if (ap->answer->result.usable == 0)
		return err_set(err, ERR_NO_CANDIDATE, "%s", ap->decision->because);
	for (size_t i = 0; i < ap->count && ap->last.code == ERR_NONE; i++)
		if (was_tried(ap, i))
			ap->last = *connect_record(ap->connect, i).err;
	return false;
}

static bool next_of_round(struct way **way_out, struct approach *ap, struct err *err)
{
	while (connect_next(&ap->way, &ap->at, ap->connect, err)) {
		*way_out = ap->way;
		ap->tries[ap->at].was_reached = true;
		if (!ap->tries[ap->at].passed_over)
			return true;
		connect_reject(ap->connect, ap->at, NAL_CLASS_UNKNOWN, &ap->last);
		release_way(ap);
	}
	return false;
}

bool approach_next(struct way **way_out, struct approach *ap, struct err *err)
{
	do {
		if (next_of_round(way_out, ap, err))
			return true;
	} while (ask_patiently(ap));
	return say_nobody(ap, err);
}

json_t *approach_end(struct approach *ap, const struct state *st)
{
	json_t *record;
	struct err err;

	note_round(ap);
	decision_settle(ap->decision, ap->served ? approach_server(ap) : NULL);
	record = decision_json(ap->decision);
	if (st != NULL && !choices_save(st, record, &err))
		log_debug("the decision is not kept: %s", err.why);
	release_way(ap);
	connect_end(ap->connect);
	decision_free(ap->decision);
	free(ap->targets);
	free(ap->tries);
	free(ap);
	return record;
}

#include "nal/decision.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/clock.h"
#include "nal/because.h"

static void describe(struct decision_candidate *out, const struct select_row *row)
{
	const struct select_candidate *c = row->candidate;
	const char *address = "";

	if (c->address_count > 0)
		address = c->addresses[row->address].where->text;
	*out = (struct decision_candidate){
		.server = alloc_text(c->name),
		.address = alloc_text(address),
		.reason = row->reason,
		.until_s = row->until_s,
		.tier = row->tier,
		.rank = row->rank,
		.way = row->way,
		.at = alloc_text(row->at),
		.terms = row->terms,
	};
}

static void say_why(struct decision *d)
{
	free(d->because);
	d->because = because_sentence(d);
}

struct decision *decision_new(const struct select_result *result,
			      const struct decision_about *about)
{
	struct decision *d = alloc_zeroed(1, sizeof(*d));

	*d = (struct decision){
		.package = alloc_text(about->package),
		.version = about->version,
		.kind = about->kind,
		.context = alloc_text(about->context),
		.policy = alloc_text(result->policy->name),
		.seed = about->seed & SELECT_SEED_MAX,
		.time_s = about->time_s,
		.group = alloc_text(result->match.group != NULL ? result->match.group->name : NULL),
		.listed = result->count,
		.valid = result->valid,
		.chosen = result->usable > 0 ? 0 : -1,
		.candidates = alloc_zeroed(result->count, sizeof(*d->candidates)),
		.candidate_count = result->count,
		.wait = result->wait,
		.wait_until_s = result->wait_until_s,
	};
	for (size_t i = 0; i < result->count; i++)
		describe(&d->candidates[i], &result->rows[i]);
	if (result->usable > 0)
		d->decided = select_decided(result);
	say_why(d);
	return d;
}

void decision_free(struct decision *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->candidate_count; i++) {
		free(d->candidates[i].server);
		free(d->candidates[i].address);
		free(d->candidates[i].at);
	}
	for (size_t i = 0; i < d->attempt_count; i++)
		free(d->attempts[i].server);
	free(d->candidates);
	free(d->attempts);
	free(d->package);
	free(d->context);
	free(d->policy);
	free(d->group);
	free(d->because);
	free(d->rung);
	free(d);
}

void decision_attempted(struct decision *d, const char *server, enum waykind way,
			enum nal_class what, uint64_t ms)
{
	ALLOC_GROW(d->attempts, d->attempt_count);
	d->attempts[d->attempt_count++] = (struct decision_attempt){
		.server = alloc_text(server),
		.way = way,
		.what = what,
		.ms = ms,
	};
}

void decision_presence(struct decision *d, const char *rung, uint64_t ms)
{
	free(d->rung);
	d->rung = alloc_text(rung);
	d->rung_ms = ms;
}

static int64_t candidate_find(const struct decision *d, const char *server)
{
	for (size_t i = 0; i < d->candidate_count; i++)
		if (strcmp(d->candidates[i].server, server) == 0)
			return (int64_t)i;
	return -1;
}

void decision_reached(struct decision *d, const char *server, const char *address)
{
	int64_t i = candidate_find(d, server);
	struct decision_candidate *c;

	if (i < 0)
		return;
	c = &d->candidates[i];
	free(c->address);
	free(c->at);
	c->address = alloc_text(address);
	c->at = NULL;
	c->way = WAYKIND_NEW;
}

void decision_arrived(struct decision *d, const struct arrival *arrival)
{
	d->arrival = *arrival;
}

void decision_settle(struct decision *d, const char *server)
{
	d->is_settled = true;
	d->chosen = server != NULL ? candidate_find(d, server) : -1;
	say_why(d);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void set_evidence(json_t *terms, const char *key, enum waykind_evidence evidence)
{
	SCOPED_TEXT char *weaker = alloc_printf("%s_evidence", key);

	if (evidence == WAYKIND_EVIDENCE_PATH)
		jsondoc_set_int(terms, key, 1);
	else if (evidence != WAYKIND_EVIDENCE_NONE)
		jsondoc_set_text(terms, weaker, waykind_evidence_name(evidence));
}

static json_t *terms_json(const struct select_terms *terms)
{
	json_t *object = json_object();

	set_evidence(object, "session", terms->session);
	set_evidence(object, "mount", terms->mount);
	if (terms->is_sticky)
		jsondoc_set_int(object, "sticky", 1);
	if (terms->goodput_bps > 0)
		jsondoc_set_int(object, "goodput_bps", (int64_t)terms->goodput_bps);
	if (terms->is_slow)
		jsondoc_set_int(object, "slow", 1);
	if (terms->is_backing_off)
		jsondoc_set_int(object, "backing_off", 1);
	return object;
}

static json_t *candidate_json(const struct decision_candidate *c)
{
	json_t *object = json_object();

	jsondoc_set_text(object, "server", c->server);
	jsondoc_set_text(object, "address", c->address);
	if (c->tier != SELECT_TIER_NONE)
		jsondoc_set_int(object, "tier", c->tier);
	if (c->reason != SELECT_USABLE) {
		jsondoc_set_text(object, "excluded", select_reason_name(c->reason));
		if (c->until_s != 0)
			jsondoc_set_time(object, "until", c->until_s);
		return object;
	}
	jsondoc_set_int(object, "rank", c->rank);
	jsondoc_set_text(object, "way", waykind_name(c->way));
	if (c->at != NULL)
		jsondoc_set_text(object, "at", c->at);
	jsondoc_set(object, "terms", terms_json(&c->terms));
	return object;
}

static json_t *chosen_json(const struct decision *d)
{
	const struct decision_candidate *c;
	json_t *object;

	if (d->chosen < 0)
		return json_null();
	c = &d->candidates[d->chosen];
	object = json_object();
	jsondoc_set_text(object, "server", c->server);
	jsondoc_set_text(object, "address", c->address);
	jsondoc_set_text(object, "way", waykind_name(c->way));
	if (c->at != NULL)
		jsondoc_set_text(object, "at", c->at);
	return object;
}

static json_t *attempts_json(const struct decision *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->attempt_count; i++) {
		json_t *one = json_object();

		jsondoc_set_text(one, "server", d->attempts[i].server);
		jsondoc_set_text(one, "way", waykind_name(d->attempts[i].way));
		jsondoc_set_text(one, "class", nal_class_name(d->attempts[i].what));
		jsondoc_set_int(one, "ms", (int64_t)d->attempts[i].ms);
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *wait_json(const struct decision *d)
{
	json_t *object = json_object();

	jsondoc_set_text(object, "reason", select_wait_name(d->wait));
	if (d->wait_until_s != 0)
		jsondoc_set_time(object, "until", d->wait_until_s);
	return object;
}

static void set_about(json_t *doc, const struct decision *d)
{
	if (d->package != NULL) {
		jsondoc_set_text(doc, "package", d->package);
		jsondoc_set_int(doc, "version", d->version);
	}
	jsondoc_set_text(doc, "kind", kind_name(d->kind));
	jsondoc_set_text(doc, "context", d->context);
	jsondoc_set_text(doc, "policy", d->policy);
	jsondoc_set_int(doc, "seed", (int64_t)d->seed);
	jsondoc_set_time(doc, "time", d->time_s);
	if (d->group != NULL)
		jsondoc_set_text(doc, "group", d->group);
	jsondoc_set_int(doc, "listed", (int64_t)d->listed);
	jsondoc_set_int(doc, "valid", (int64_t)d->valid);
	jsondoc_set_text(doc, "because", d->because);
	arrival_set(doc, &d->arrival);
}

json_t *decision_json(const struct decision *d)
{
	json_t *doc = json_object(), *candidates = json_array();

	set_about(doc, d);
	for (size_t i = 0; i < d->candidate_count; i++)
		json_array_append_new(candidates, candidate_json(&d->candidates[i]));
	jsondoc_set(doc, "chosen", chosen_json(d));
	jsondoc_set(doc, "candidates", candidates);
	jsondoc_set(doc, "attempts", attempts_json(d));
	if (d->rung != NULL) {
		json_t *presence = json_object();

		jsondoc_set_text(presence, "rung", d->rung);
		jsondoc_set_int(presence, "ms", (int64_t)d->rung_ms);
		jsondoc_set(doc, "presence", presence);
	}
	if (d->wait != SELECT_WAIT_NONE)
		jsondoc_set(doc, "waits", wait_json(d));
	return doc;
}

static size_t size_of(const json_t *doc)
{
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, doc);
	return text.size;
}

static bool is_chosen(const json_t *doc, const json_t *candidate)
{
	const char *chosen = jsondoc_text(json_object_get(doc, "chosen"), "server");
	const char *server = jsondoc_text(candidate, "server");

	return chosen != NULL && server != NULL && strcmp(chosen, server) == 0;
}

/* The first `keep` of a list, and the chosen one wherever it stands. */
static json_t *cut_list(const json_t *doc, const char *key, size_t keep)
{
	json_t *from = json_object_get(doc, key), *to = json_array(), *item;
	bool is_candidates = strcmp(key, "candidates") == 0;
	size_t i;

	json_array_foreach (from, i, item)
		if (i < keep || (is_candidates && is_chosen(doc, item)))
			json_array_append(to, item);
	return to;
}

static json_t *cut_to(json_t *doc, size_t keep)
{
	static const char *const lists[] = { "candidates", "attempts" };
	json_t *copy = json_copy(doc), *left_out = json_object();

	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		json_t *list = cut_list(doc, lists[i], keep);
		size_t all = json_array_size(json_object_get(doc, lists[i]));

		jsondoc_set_int(left_out, lists[i], (int64_t)(all - json_array_size(list)));
		jsondoc_set(copy, lists[i], list);
	}
	jsondoc_set(copy, "left_out", left_out);
	return copy;
}

json_t *decision_excerpt(json_t *doc, size_t bytes_max)
{
	size_t keep = MAX_OF(json_array_size(json_object_get(doc, "candidates")),
			     json_array_size(json_object_get(doc, "attempts")));
	json_t *excerpt = json_incref(doc);

	while (keep > 0 && size_of(excerpt) > bytes_max) {
		json_decref(excerpt);
		keep /= 2;
		excerpt = cut_to(doc, keep);
	}
	return excerpt;
}

static bool need_name(char **out, const json_t *object, const char *key, struct err *err)
{
	const char *text;

	if (!jsondoc_need_text(&text, object, key, err))
		return false;
	*out = alloc_text(text);
	return true;
}

static bool time_of(int64_t *out, const json_t *object, const char *key, struct err *err)
{
	const char *text = jsondoc_text(object, key);

	*out = 0;
	return text == NULL || clock_parse(out, text) ||
	       err_set(err, ERR_FORMAT, "\"%s\" is no time: %.40s", key, text);
}

static bool need_way(enum waykind *out, const json_t *object, struct err *err)
{
	const char *text;

	return jsondoc_need_text(&text, object, "way", err) &&
	       (waykind_parse(out, text) || err_set(err, ERR_FORMAT, "'%.32s' is no way", text));
}

static enum waykind_evidence evidence_of(const json_t *terms, const char *key)
{
	SCOPED_TEXT char *weaker = alloc_printf("%s_evidence", key);
	const char *text = jsondoc_text(terms, weaker);

	if (jsondoc_int(terms, key, 0) == 1)
		return WAYKIND_EVIDENCE_PATH;
	for (int i = WAYKIND_EVIDENCE_NONE; text != NULL && i < WAYKIND_EVIDENCE_COUNT_; i++)
		if (strcmp(text, waykind_evidence_name((enum waykind_evidence)i)) == 0)
			return (enum waykind_evidence)i;
	return WAYKIND_EVIDENCE_NONE;
}

static void terms_parse(struct select_terms *out, const json_t *terms)
{
	*out = (struct select_terms){
		.session = evidence_of(terms, "session"),
		.mount = evidence_of(terms, "mount"),
		.is_sticky = jsondoc_int(terms, "sticky", 0) == 1,
		.is_slow = jsondoc_int(terms, "slow", 0) == 1,
		.is_backing_off = jsondoc_int(terms, "backing_off", 0) == 1,
		.goodput_bps = (uint64_t)MAX_OF(jsondoc_int(terms, "goodput_bps", 0), (int64_t)0),
	};
}

static bool candidate_parse(struct decision_candidate *c, const json_t *object, struct err *err)
{
	const char *excluded = jsondoc_text(object, "excluded");
	int64_t tier = jsondoc_int(object, "tier", SELECT_TIER_NONE), rank = 0;

	c->tier = tier >= 0 && tier <= SELECT_TIER_DEFAULT ? (uint8_t)tier : SELECT_TIER_NONE;
	if (!need_name(&c->server, object, "server", err) ||
	    !need_name(&c->address, object, "address", err) ||
	    !time_of(&c->until_s, object, "until", err))
		return false;
	if (excluded != NULL)
		return (select_reason_parse(&c->reason, excluded) && c->reason != SELECT_USABLE) ||
		       err_set(err, ERR_FORMAT, "'%.32s' is no reason", excluded);
	c->at = alloc_text(jsondoc_text(object, "at"));
	terms_parse(&c->terms, json_object_get(object, "terms"));
	if (c->tier == SELECT_TIER_NONE)
		return err_set(err, ERR_FORMAT, "\"tier\" is missing");
	if (!jsondoc_need_int(&rank, object, "rank", 1, UINT32_MAX, err))
		return false;
	c->rank = (uint32_t)rank;
	return need_way(&c->way, object, err);
}

static bool candidates_parse(struct decision *d, const json_t *doc, struct err *err)
{
	json_t *list, *item;
	size_t i;

	if (!jsondoc_need_array(&list, doc, "candidates", DECISION_CANDIDATES_MAX, err))
		return false;
	d->candidates = alloc_zeroed(json_array_size(list), sizeof(*d->candidates));
	json_array_foreach (list, i, item) {
		d->candidate_count = i + 1;
		if (!candidate_parse(&d->candidates[i], item, err))
			return false;
	}
	return true;
}

static bool attempts_parse(struct decision *d, const json_t *doc, struct err *err)
{
	json_t *list, *item;
	size_t i;

	if (!jsondoc_need_array(&list, doc, "attempts", DECISION_ATTEMPTS_MAX, err))
		return false;
	json_array_foreach (list, i, item) {
		const char *server, *what;
		enum nal_class class;
		enum waykind way;
		int64_t ms;

		if (!jsondoc_need_text(&server, item, "server", err) ||
		    !need_way(&way, item, err) || !jsondoc_need_text(&what, item, "class", err) ||
		    !jsondoc_need_int(&ms, item, "ms", 0, JSONDOC_INT_MAX, err))
			return false;
		if (!nal_class_parse(&class, what))
			return err_set(err, ERR_FORMAT, "'%.32s' is no class", what);
		decision_attempted(d, server, way, class, (uint64_t)ms);
	}
	return true;
}

static bool about_parse(struct decision *d, const json_t *doc, struct err *err)
{
	int64_t version = 0, seed, listed, valid;
	const char *kind;

	d->package = alloc_text(jsondoc_text(doc, "package"));
	d->group = alloc_text(jsondoc_text(doc, "group"));
	if (d->package != NULL && !jsondoc_need_int(&version, doc, "version", 1, UINT32_MAX, err))
		return false;
	if (!jsondoc_need_text(&kind, doc, "kind", err) ||
	    !need_name(&d->context, doc, "context", err) ||
	    !need_name(&d->policy, doc, "policy", err) ||
	    !jsondoc_need_int(&seed, doc, "seed", 0, (int64_t)SELECT_SEED_MAX, err) ||
	    !time_of(&d->time_s, doc, "time", err) ||
	    !jsondoc_need_int(&listed, doc, "listed", 0, DECISION_CANDIDATES_MAX, err) ||
	    !jsondoc_need_int(&valid, doc, "valid", 0, listed, err) ||
	    !need_name(&d->because, doc, "because", err))
		return false;
	d->version = (uint32_t)version;
	d->seed = (uint64_t)seed;
	d->listed = (size_t)listed;
	d->valid = (size_t)valid;
	return (kind_parse(&d->kind, kind) ||
		err_set(err, ERR_FORMAT, "'%.32s' is no kind", kind)) &&
	       arrival_parse(&d->arrival, doc, err);
}

static bool chosen_parse(struct decision *d, const json_t *doc, struct err *err)
{
	const json_t *chosen = json_object_get(doc, "chosen");
	const char *server;

	d->chosen = -1;
	if (json_is_null(chosen))
		return true;
	if (!jsondoc_need_text(&server, chosen, "server", err))
		return false;
	d->chosen = candidate_find(d, server);
	return d->chosen >= 0 ||
	       err_set(err, ERR_FORMAT, "'%.64s' is chosen but no candidate", server);
}

static bool rest_parse(struct decision *d, const json_t *doc, struct err *err)
{
	const json_t *presence = json_object_get(doc, "presence");
	const json_t *waits = json_object_get(doc, "waits");
	const char *reason = jsondoc_text(waits, "reason");

	d->rung = alloc_text(jsondoc_text(presence, "rung"));
	d->rung_ms = (uint64_t)MAX_OF(jsondoc_int(presence, "ms", 0), (int64_t)0);
	for (int i = SELECT_WAIT_NONE; reason != NULL && i < SELECT_WAIT_COUNT_; i++)
		if (strcmp(reason, select_wait_name((enum select_wait)i)) == 0)
			d->wait = (enum select_wait)i;
	return time_of(&d->wait_until_s, waits, "until", err);
}

bool decision_parse(struct decision **out, const json_t *doc, struct err *err)
{
	SCOPED(decision) struct decision *d = alloc_zeroed(1, sizeof(*d));

	if (!about_parse(d, doc, err) || !candidates_parse(d, doc, err) ||
	    !chosen_parse(d, doc, err) || !attempts_parse(d, doc, err) || !rest_parse(d, doc, err))
		return false;
	*out = d;
	d = NULL;
	return true;
}

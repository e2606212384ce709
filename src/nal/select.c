#include "nal/select.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/random.h"

static const char *const reason_names[] = {
	[SELECT_USABLE] = "usable",
	[SELECT_FENCE] = "fence",
	[SELECT_LEFT_OUT] = "left-out",
	[SELECT_NO_PROVIDER] = "no-provider",
	[SELECT_NO_CREDENTIAL] = "no-credential",
	[SELECT_DENIED] = "denied",
	[SELECT_QUARANTINED] = "quarantined",
	[SELECT_KNOWN_MISSING] = "known-missing",
	[SELECT_BACKING_OFF] = "backing-off",
	[SELECT_NOT_PREFERRED] = "not-preferred",
	[SELECT_OTHER_GROUP] = "other-group",
	[SELECT_TIER_CLOSED] = "tier-closed",
};
static_assert(COUNT_OF(reason_names) == SELECT_REASON_COUNT_, "every reason has a name");

static const char *const wait_names[] = {
	[SELECT_WAIT_NONE] = "none",
	[SELECT_WAIT_NEIGHBOURS] = "neighbours",
	[SELECT_WAIT_DEFAULT] = "site-default",
	[SELECT_WAIT_RETRY] = "retry",
	[SELECT_WAIT_CHANGE] = "change",
};
static_assert(COUNT_OF(wait_names) == SELECT_WAIT_COUNT_, "every wait has a name");

/* Where the candidates of a client stand whose nearer groups hold no CAP at all. */
enum home {
	HOME_GROUP,    /* the usual: tiers by group */
	HOME_DEFAULT,  /* CAPs without a group stand in for the client's own */
	HOME_ANYWHERE, /* every CAP does */
};

/* What the phases share: computed once per run. */
struct scene {
	const struct select_input *in;
	const struct terms_policy *policy;
	const struct boundary_group *group; /* NULL: in none */
	struct preference site_prefer;
	const struct preference_list *prefer; /* the list that counts; never NULL */
	enum home home;
	bool crosses_tiers;
	uint64_t draw_base;
};

const char *select_reason_name(enum select_reason reason)
{
	assert(reason < SELECT_REASON_COUNT_);
	return reason_names[reason];
}

bool select_reason_parse(enum select_reason *out, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(reason_names); i++) {
		if (strcmp(name, reason_names[i]) == 0) {
			*out = (enum select_reason)i;
			return true;
		}
	}
	return false;
}

const char *select_wait_name(enum select_wait wait)
{
	assert(wait < SELECT_WAIT_COUNT_);
	return wait_names[wait];
}

/* --- the scene -------------------------------------------------------------------------------- */

static const struct terms_policy *policy_in_force(const struct select_input *in,
						  const struct boundary_group *group)
{
	const struct terms_policy *policy = in->policy;
	bool fenced = group != NULL && group->is_fenced;
	const char *own = in->preference != NULL ? in->preference->policy : NULL;
	const char *theirs = group != NULL ? group->policy : NULL;
	const char *first = fenced && theirs != NULL ? theirs : own;

	if (policy == NULL && first != NULL)
		policy = terms_find(first);
	if (policy == NULL && theirs != NULL)
		policy = terms_find(theirs);
	return policy != NULL ? policy : terms_default();
}

/* An entry that does not parse prefers nothing; the site refuses it where it is set. */
static void load_site_preferences(struct scene *scene)
{
	struct err ignored;

	for (size_t i = 0; i < scene->group->prefer_count; i++)
		(void)!preference_add(&scene->site_prefer, scene->in->kind, scene->group->prefer[i],
				      &ignored);
}

/* The client's list beats the site's, unless its group is fenced. */
static void choose_preferences(struct scene *scene)
{
	static const struct preference_list none;
	const struct preference_list *own = &none, *site = &none;
	bool fenced = scene->group != NULL && scene->group->is_fenced;

	if (scene->in->preference != NULL)
		own = &scene->in->preference->lists[scene->in->kind];
	if (scene->group != NULL) {
		load_site_preferences(scene);
		site = &scene->site_prefer.lists[scene->in->kind];
	}
	scene->prefer = own->count > 0 ? own : site;
	if (fenced && site->count > 0)
		scene->prefer = site;
}

static bool is_current(const struct scene *scene, const struct select_candidate *c)
{
	return scene->group != NULL && c->group != NULL &&
	       strcmp(c->group, scene->group->name) == 0;
}

static const struct boundary_neighbour *neighbour_of(const struct scene *scene,
						     const struct select_candidate *c)
{
	if (scene->group == NULL || c->group == NULL)
		return NULL;
	return boundary_neighbour_find(scene->group, c->group);
}

/*
 * A client has to reach some CAP to learn anything at all, and a group that was given none must
 * not cut it off (Q235873). Content can wait; policy cannot.
 */
static enum home home_of(const struct scene *scene)
{
	bool has_default = false;

	if (scene->in->kind != KIND_CAP)
		return HOME_GROUP;
	for (size_t i = 0; i < scene->in->count; i++) {
		const struct select_candidate *c = &scene->in->candidates[i];

		if (is_current(scene, c) || neighbour_of(scene, c) != NULL)
			return HOME_GROUP;
		has_default |= c->group == NULL;
	}
	return has_default ? HOME_DEFAULT : HOME_ANYWHERE;
}

static void scene_init(struct scene *scene, const struct select_input *in,
		       const struct boundary_match *match)
{
	struct random_seq draw;

	*scene = (struct scene){ .in = in, .group = match->group };
	scene->policy = policy_in_force(in, match->group);
	choose_preferences(scene);
	scene->home = home_of(scene);
	scene->crosses_tiers = match->group != NULL && match->group->ways_cross_tiers &&
			       terms_looks_at_ways(scene->policy);
	random_seq_init(&draw, in->seed & SELECT_SEED_MAX, in->object);
	scene->draw_base = random_seq_next(&draw);
}

/* --- ways ------------------------------------------------------------------------------------- */

static bool way_counts(const struct scene *scene, const struct select_open_way *way)
{
	return !way->is_hung && !(way->way == WAYKIND_MOUNT && scene->policy->ignores_mounts);
}

static bool way_carries(const struct select_candidate *c, const struct select_open_way *way)
{
	const struct select_address *address = &c->addresses[way->address];

	if (way->evidence != WAYKIND_EVIDENCE_PATH)
		return false;
	return way->way == WAYKIND_MOUNT || (address->has_provider && address->has_credential);
}

/* Policies that put mounts before sessions take the mount where both are open. */
static enum waykind first_way(const struct terms_policy *policy)
{
	for (size_t i = 0; i < policy->count; i++) {
		if (policy->terms[i] == TERMS_MOUNT)
			return WAYKIND_MOUNT;
		if (policy->terms[i] == TERMS_SESSION)
			break;
	}
	return WAYKIND_SESSION;
}

static void take_way(struct select_row *row, enum waykind way, size_t address, const char *at)
{
	row->way = way;
	row->address = address;
	row->at = at;
}

static bool take_open_way(const struct scene *scene, struct select_row *row)
{
	const struct select_candidate *c = row->candidate;
	const struct select_open_way *best = NULL;

	for (size_t i = 0; i < c->way_count; i++) {
		const struct select_open_way *way = &c->ways[i];

		if (!way_counts(scene, way) || !way_carries(c, way))
			continue;
		if (best == NULL || (best->way != way->way && way->way == first_way(scene->policy)))
			best = way;
	}
	if (best == NULL)
		return false;
	take_way(row, best->way, best->address, best->at);
	return true;
}

/* A fixed reason where nothing reaches the candidate; else its way and address are set. */
static enum select_reason find_way(const struct scene *scene, struct select_row *row)
{
	const struct select_candidate *c = row->candidate;
	enum select_reason reason = SELECT_NO_PROVIDER;

	if (take_open_way(scene, row))
		return SELECT_USABLE;
	for (size_t i = 0; i < c->address_count; i++) {
		if (!c->addresses[i].has_provider)
			continue;
		if (c->addresses[i].has_credential) {
			take_way(row, WAYKIND_NEW, i, NULL);
			return SELECT_USABLE;
		}
		if (reason != SELECT_DENIED)
			reason = c->addresses[i].is_denied ? SELECT_DENIED : SELECT_NO_CREDENTIAL;
	}
	return reason;
}

/* --- filter ----------------------------------------------------------------------------------- */

static bool exclude(struct select_row *row, enum select_reason reason, int64_t until_s)
{
	row->reason = reason;
	row->until_s = until_s;
	return false;
}

static bool is_outside_fence(const struct scene *scene, const struct select_candidate *c)
{
	if (scene->group == NULL || !scene->group->is_fenced || scene->home == HOME_ANYWHERE)
		return false;
	if (scene->home == HOME_DEFAULT && c->group == NULL)
		return false;
	return !is_current(scene, c) && neighbour_of(scene, c) == NULL;
}

/* For somebody who waits, a server that failed a moment ago is better than none. */
static bool tries_last(const struct scene *scene, struct select_row *row)
{
	row->terms.is_backing_off = (scene->in->flags & SELECT_TRIES_BACKED_OFF) != 0;
	return row->terms.is_backing_off;
}

static bool filter(const struct scene *scene, struct select_row *row)
{
	const struct memory_facts *facts = &row->candidate->facts;
	enum select_reason reason;

	if (is_outside_fence(scene, row->candidate))
		return exclude(row, SELECT_FENCE, 0);
	if (row->candidate->is_left_out)
		return exclude(row, SELECT_LEFT_OUT, 0);
	reason = find_way(scene, row);
	if (reason != SELECT_USABLE)
		return exclude(row, reason, 0);
	if (facts->is_denied)
		return exclude(row, SELECT_DENIED, 0);
	if (facts->quarantined_until_s > scene->in->now_s)
		return exclude(row, SELECT_QUARANTINED, facts->quarantined_until_s);
	if (facts->missing_until_s > scene->in->now_s && !tries_last(scene, row))
		return exclude(row, SELECT_KNOWN_MISSING, facts->missing_until_s);
	if (facts->back_off_until_s > scene->in->now_s && !tries_last(scene, row))
		return exclude(row, SELECT_BACKING_OFF, facts->back_off_until_s);
	row->is_valid = true;
	return true;
}

/* --- tier ------------------------------------------------------------------------------------- */

static bool entry_means(const struct preference_entry *entry, const struct select_candidate *c)
{
	if (preference_matches(entry, c->name, NULL, 0))
		return true;
	for (size_t i = 0; i < c->address_count; i++)
		if (preference_matches(entry, c->name, &c->addresses[i].where, 1))
			return true;
	return false;
}

static bool is_preferred(const struct scene *scene, const struct select_candidate *c)
{
	for (size_t i = 0; i < scene->prefer->count; i++)
		if (entry_means(&scene->prefer->entries[i], c))
			return true;
	return false;
}

/* When a tier opens that waits `minutes`; 0 for never, a time not after now for already. */
static int64_t opens_at(const struct select_input *in, uint32_t minutes)
{
	int64_t since_s = in->wait_since_s != 0 ? in->wait_since_s : in->now_s;

	if (minutes == BOUNDARY_NEVER)
		return 0;
	/* A wait that begins in the future is a clock that was set back: it begins now. */
	return MIN_OF(since_s, in->now_s) + (int64_t)minutes * 60;
}

static bool place(const struct scene *scene, struct select_row *row, uint8_t tier, uint32_t minutes)
{
	int64_t opens_s = opens_at(scene->in, minutes);

	row->tier = tier;
	if (minutes == 0 || (opens_s != 0 && opens_s <= scene->in->now_s))
		return true;
	/* Across tiers an open way need not wait, but what never opens stays shut. */
	if (opens_s != 0 && scene->crosses_tiers && row->way != WAYKIND_NEW)
		return true;
	return exclude(row, SELECT_TIER_CLOSED, opens_s);
}

static bool assign_tier(const struct scene *scene, struct select_row *row)
{
	const struct select_candidate *c = row->candidate;
	const struct boundary_neighbour *neighbour;

	if (scene->policy->one_tier)
		return place(scene, row, SELECT_TIER_CURRENT, 0);
	if (is_preferred(scene, c))
		return place(scene, row, SELECT_TIER_PREFERRED, 0);
	if (scene->policy->only_preferred)
		return exclude(row, SELECT_NOT_PREFERRED, 0);
	if (is_current(scene, c) || scene->home == HOME_ANYWHERE)
		return place(scene, row, SELECT_TIER_CURRENT, 0);
	neighbour = neighbour_of(scene, c);
	if (neighbour != NULL)
		return place(scene, row, SELECT_TIER_NEIGHBOURS, neighbour->minutes);
	if (c->group != NULL)
		return exclude(row, SELECT_OTHER_GROUP, 0);
	if (scene->group == NULL || scene->home == HOME_DEFAULT)
		return place(scene, row, SELECT_TIER_CURRENT, 0);
	return place(scene, row, SELECT_TIER_DEFAULT, scene->group->default_after_min);
}

/* --- rank ------------------------------------------------------------------------------------- */

static enum waykind_evidence best_evidence(const struct scene *scene,
					   const struct select_candidate *c, enum waykind way)
{
	enum waykind_evidence best = WAYKIND_EVIDENCE_NONE;

	for (size_t i = 0; i < c->way_count; i++)
		if (c->ways[i].way == way && way_counts(scene, &c->ways[i]) &&
		    c->ways[i].evidence > best)
			best = c->ways[i].evidence;
	return best;
}

static uint64_t draw_of(const struct scene *scene, const char *name)
{
	struct random_seq draw;

	/* A number for each name, so that leaving one out does not move the others. */
	random_seq_init(&draw, scene->draw_base, name);
	return random_seq_next(&draw);
}

static void gather_terms(const struct scene *scene, struct select_row *row)
{
	const struct select_candidate *c = row->candidate;
	struct select_terms *terms = &row->terms;

	terms->session = best_evidence(scene, c, WAYKIND_SESSION);
	terms->mount = best_evidence(scene, c, WAYKIND_MOUNT);
	terms->is_sticky = c->facts.is_sticky;
	terms->goodput_bps = c->facts.goodput_bps;
	terms->band = c->facts.goodput_band;
	terms->draw = draw_of(scene, c->name);
}

struct tier_best {
	uint64_t goodput_bps;
	uint8_t band;
};

/*
 * Inside a tier: an open way to a server that is measured much slower than another loses its
 * weight, and what was never measured counts as the best, for "unknown" is not "slow".
 */
static void weigh_goodput(const struct scene *scene, struct select_row *rows, size_t count)
{
	struct tier_best best[SELECT_TIER_DEFAULT + 1] = { 0 };
	uint64_t ratio = scene->policy->slow_ratio;

	for (size_t i = 0; i < count; i++) {
		struct tier_best *b = &best[rows[i].tier];

		b->goodput_bps = MAX_OF(b->goodput_bps, rows[i].terms.goodput_bps);
		b->band = MAX_OF(b->band, rows[i].terms.band);
	}
	for (size_t i = 0; i < count; i++) {
		struct select_terms *terms = &rows[i].terms;
		const struct tier_best *b = &best[rows[i].tier];

		terms->is_slow = ratio != 0 && terms->goodput_bps != 0 &&
				 terms->goodput_bps <= b->goodput_bps / ratio;
		if (terms->band == 0)
			terms->band = b->band;
	}
}

/* Smaller is better, in the order in which they are compared. */
enum {
	KEY_CROSS,
	KEY_TIER,
	KEY_BACK_OFF,
	KEY_TERMS,
	KEY_COUNT = KEY_TERMS + TERMS_MAX,
};

struct ranked {
	uint64_t key[KEY_COUNT];
	const struct select_row *row;
};

static uint64_t term_key(const struct select_terms *terms, enum terms_term term)
{
	bool counts = !terms->is_slow;

	switch (term) {
	case TERMS_SESSION:
		return (uint64_t)(WAYKIND_EVIDENCE_PATH - (counts ? terms->session : 0));
	case TERMS_MOUNT:
		return (uint64_t)(WAYKIND_EVIDENCE_PATH - (counts ? terms->mount : 0));
	case TERMS_STICKY:
		return counts && terms->is_sticky ? 0 : 1;
	case TERMS_GOODPUT:
		return (uint64_t)(UINT8_MAX - terms->band);
	case TERMS_RANDOM:
	case TERMS_COUNT_:
	default:
		return terms->draw;
	}
}

/* An open way decides inside its tier, or in all that are not preferred where the group says so. */
static uint64_t cross_key(const struct scene *scene, const struct select_row *row)
{
	if (!scene->crosses_tiers || row->tier == SELECT_TIER_PREFERRED)
		return 0;
	return row->way != WAYKIND_NEW && !row->terms.is_slow ? 1 : 2;
}

static void rank_key(const struct scene *scene, struct ranked *ranked, const struct select_row *row)
{
	ranked->row = row;
	ranked->key[KEY_CROSS] = cross_key(scene, row);
	ranked->key[KEY_TIER] = row->tier;
	ranked->key[KEY_BACK_OFF] = row->terms.is_backing_off;
	for (size_t i = 0; i < TERMS_MAX; i++)
		ranked->key[KEY_TERMS + i] = i < scene->policy->count
						     ? term_key(&row->terms,
								scene->policy->terms[i])
						     : 0;
}

/* Where two keys first differ, or KEY_COUNT. */
static size_t first_difference(const struct ranked *a, const struct ranked *b)
{
	size_t i = 0;

	while (i < KEY_COUNT && a->key[i] == b->key[i])
		i++;
	return i;
}

static int compare_ranked(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;
	size_t at = first_difference(a, b);

	if (at == KEY_COUNT)
		return strcmp(a->row->candidate->name, b->row->candidate->name);
	return a->key[at] < b->key[at] ? -1 : 1;
}

static void rank(const struct scene *scene, struct select_row *rows, size_t count)
{
	struct ranked *order = alloc_zeroed(count, sizeof(*order));
	struct select_row *sorted = alloc_zeroed(count, sizeof(*sorted));
	uint32_t next[SELECT_TIER_DEFAULT + 1] = { 0 };

	for (size_t i = 0; i < count; i++)
		gather_terms(scene, &rows[i]);
	weigh_goodput(scene, rows, count);
	for (size_t i = 0; i < count; i++)
		rank_key(scene, &order[i], &rows[i]);
	qsort(order, count, sizeof(*order), compare_ranked);
	for (size_t i = 0; i < count; i++) {
		sorted[i] = *order[i].row;
		sorted[i].rank = ++next[sorted[i].tier];
	}
	memcpy(rows, sorted, count * sizeof(*rows));
	free(sorted);
	free(order);
}

/* --- the whole -------------------------------------------------------------------------------- */

static enum select_wait wait_of(const struct select_row *row)
{
	if (row->until_s == 0)
		return SELECT_WAIT_CHANGE;
	if (row->reason != SELECT_TIER_CLOSED)
		return SELECT_WAIT_RETRY;
	return row->tier == SELECT_TIER_NEIGHBOURS ? SELECT_WAIT_NEIGHBOURS : SELECT_WAIT_DEFAULT;
}

/* What ends the wait of a result without a usable row: the reason that ends first. */
static void find_wait(struct select_result *out)
{
	if (out->usable > 0)
		return;
	out->wait = SELECT_WAIT_CHANGE;
	for (size_t i = 0; i < out->count; i++) {
		const struct select_row *row = &out->rows[i];

		if (row->until_s == 0 ||
		    (out->wait_until_s != 0 && row->until_s >= out->wait_until_s))
			continue;
		out->wait = wait_of(row);
		out->wait_until_s = row->until_s;
	}
}

/* Usable rows go to the front, the others to the back in the order in which they came. */
static void sort_out(const struct scene *scene, struct select_result *out)
{
	struct select_row *left_out = alloc_zeroed(out->count, sizeof(*left_out));
	size_t left = 0;

	for (size_t i = 0; i < out->count; i++) {
		struct select_row row = {
			.candidate = &scene->in->candidates[i],
			.tier = SELECT_TIER_NONE,
		};
		bool usable = filter(scene, &row) && assign_tier(scene, &row);

		out->valid += row.is_valid;
		if (usable)
			out->rows[out->usable++] = row;
		else
			left_out[left++] = row;
	}
	memcpy(out->rows + out->usable, left_out, left * sizeof(*left_out));
	free(left_out);
}

void select_run(struct select_result *out, const struct select_input *in)
{
	struct scene scene;

	*out = (struct select_result){
		.rows = alloc_zeroed(in->count, sizeof(*out->rows)),
		.count = in->count,
		.match = boundary_find(in->groups, in->group_count, in->addresses,
				       in->address_count),
	};
	scene_init(&scene, in, &out->match);
	out->policy = scene.policy;
	sort_out(&scene, out);
	rank(&scene, out->rows, out->usable);
	find_wait(out);
	preference_release(&scene.site_prefer);
}

void select_result_release(struct select_result *result)
{
	free(result->rows);
	*result = (struct select_result){ 0 };
}

bool select_can_reach(const struct select_input *in)
{
	SCOPED(select_result) struct select_result result;

	select_run(&result, in);
	return result.wait != SELECT_WAIT_CHANGE;
}

/* The first term by which two rows of one tier differ. */
static enum terms_term first_term(const struct terms_policy *policy, const struct select_row *a,
				  const struct select_row *b)
{
	for (size_t i = 0; i < policy->count; i++)
		if (term_key(&a->terms, policy->terms[i]) != term_key(&b->terms, policy->terms[i]))
			return policy->terms[i];
	return TERMS_RANDOM;
}

static bool tells_only_the_draw(const struct select_result *result, const struct select_row *row)
{
	const struct select_row *first = &result->rows[0];

	return row->tier == first->tier &&
	       row->terms.is_backing_off == first->terms.is_backing_off &&
	       first_term(result->policy, first, row) == TERMS_RANDOM;
}

struct select_decision select_decided(const struct select_result *result)
{
	const struct select_row *first = &result->rows[0], *second = &result->rows[1];
	struct select_decision decision = { .equals = 1 };

	assert(result->usable > 0);
	while (decision.equals < result->usable &&
	       tells_only_the_draw(result, &result->rows[decision.equals]))
		decision.equals++;
	if (result->usable == 1)
		return decision;
	if (first->tier > second->tier) {
		decision.by = SELECT_BY_OPEN_WAY;
	} else if (first->tier < second->tier) {
		decision.by = SELECT_BY_TIER;
	} else if (first->terms.is_backing_off != second->terms.is_backing_off) {
		decision.by = SELECT_BY_BACK_OFF;
	} else {
		decision.by = SELECT_BY_TERM;
		decision.term = first_term(result->policy, first, second);
	}
	return decision;
}

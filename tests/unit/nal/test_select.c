#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/random.h"
#include "nal/decision.h"
#include "nal/select.h"
#include "support/choice.h"

/* --- uniformity ------------------------------------------------------------------------------- */

enum { SEEDS = 2000 };

/* The sum that chi-square stays below with probability 0.999, for 4 and 6 degrees of freedom. */
#define CHI_SQUARE_4 18.467
#define CHI_SQUARE_6 22.458

static double chi_square(const unsigned int *counts, size_t n)
{
	double expected = (double)SEEDS / (double)n, sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
	return sum;
}

static void draw_many(unsigned int *counts, struct choice *c)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		SCOPED(select_result) struct select_result result;

		c->input.seed = seed;
		select_run(&result, &c->input);
		counts[result.rows[0].candidate - c->servers]++;
	}
}

/* Q226113, Q268442: a random member, drawn anew, with a mount and an open connection present. */
static void sms2_is_uniform_over_7_dps(void **state UNUSED)
{
	SCOPED(choice)
	struct choice *c = choice_of(
		"policy sms2\nserver dp1\nserver dp2 session\nserver dp3 mount /mnt/dp3\n"
		"server dp4\nserver dp5 sticky\nserver dp6 rate 9000000\nserver dp7");
	unsigned int counts[7] = { 0 };

	draw_many(counts, c);
	assert_true(chi_square(counts, 7) < CHI_SQUARE_6);
}

static void sms2_is_uniform_over_5_caps(void **state UNUSED)
{
	SCOPED(choice)
	struct choice *c = choice_of(
		"kind cap\nobject cap\npolicy sms2\nserver cap1 mount /mnt/cap1\nserver cap2\n"
		"server cap3 session\nserver cap4\nserver cap5");
	unsigned int counts[5] = { 0 };

	draw_many(counts, c);
	assert_true(chi_square(counts, 5) < CHI_SQUARE_4);
}

static void equals_are_drawn_uniformly_inside_a_tier(void **state UNUSED)
{
	SCOPED(choice)
	struct choice *c = choice_of(
		"group g 10.0.0.0/8\nclient 10.1.1.1\nserver a group g\nserver b group g\n"
		"server c group g\nserver d group g\nserver e group g\nserver f");
	unsigned int counts[6] = { 0 };

	draw_many(counts, c);
	assert_int_equal(counts[5], 0);
	assert_true(chi_square(counts, 5) < CHI_SQUARE_4);
}

static void existing_takes_the_mount_20_of_20(void **state UNUSED)
{
	SCOPED(choice)
	struct choice *c = choice_of(
		"server dp1\nserver dp2\nserver dp3 mount /mnt/dp3\nserver dp4\nserver dp5");

	for (uint64_t seed = 0; seed < 20; seed++) {
		SCOPED(select_result) struct select_result result;

		c->input.seed = seed;
		select_run(&result, &c->input);
		assert_string_equal(result.rows[0].candidate->name, "dp3");
		assert_int_equal(result.rows[0].way, WAYKIND_MOUNT);
		assert_string_equal(result.rows[0].at, "/mnt/dp3");
	}
}

static void packages_are_drawn_apart(void **state UNUSED)
{
	static const char *const ids[] = { "LON00001", "LON00002", "LON00003", "LON00004",
					   "LON00005", "LON00006", "LON00007", "LON00008" };
	SCOPED(choice) struct choice *c = choice_of("server a\nserver b\nserver c\nserver d");
	bool differ = false;
	const char *first = NULL;

	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		SCOPED(select_result) struct select_result result;

		c->input.object = ids[i];
		select_run(&result, &c->input);
		if (first == NULL)
			first = result.rows[0].candidate->name;
		differ |= strcmp(first, result.rows[0].candidate->name) != 0;
	}
	assert_true(differ);
}

static void leaving_one_out_moves_no_other(void **state UNUSED)
{
	SCOPED(choice)
	struct choice *c = choice_of(
		"policy random\nserver a\nserver b\nserver c\nserver d\nserver e");

	for (uint64_t seed = 0; seed < 50; seed++) {
		SCOPED(select_result) struct select_result whole, less;
		struct select_candidate *first;

		c->input.seed = seed;
		select_run(&whole, &c->input);
		first = &c->servers[whole.rows[0].candidate - c->servers];
		first->facts.is_denied = true;
		select_run(&less, &c->input);
		first->facts.is_denied = false;
		for (size_t i = 0; i < less.usable; i++)
			assert_ptr_equal(less.rows[i].candidate, whole.rows[i + 1].candidate);
	}
}

/* --- random worlds against an obvious implementation --------------------------------------------
 */

static const char *const names[] = { "dp0", "dp1", "dp2", "dp3", "dp4", "dp5", "dp6", "dp7" };
static const char *const group_names[] = { "g0", "g1", "g2", "g3" };

struct world {
	struct select_input in;
	struct select_candidate servers[8];
	struct select_address addresses[8][2];
	struct select_open_way ways[8][3];
	struct boundary_group groups[4];
	struct boundary_neighbour neighbours[4][2];
	struct netaddr_net nets[4];
	struct netaddr client;
	struct preference preference;
	const char *prefer[1];
};

static bool chance(struct random_seq *r, uint64_t one_in)
{
	return random_seq_below(r, one_in) == 0;
}

static int64_t maybe_until(struct random_seq *r)
{
	return chance(r, 8) ? CHOICE_NOW_S - 50 + (int64_t)random_seq_below(r, 100) : 0;
}

static void random_server(struct world *w, size_t s, const struct locator *places,
			  struct random_seq *r)
{
	static const uint64_t rates[] = { 0, 0, 1000, 3000, 4000, 5000, 16000, 70000 };
	struct select_candidate *c = &w->servers[s];

	*c = (struct select_candidate){
		.name = names[s],
		.group = chance(r, 3) ? NULL : group_names[random_seq_below(r, 4)],
		.addresses = w->addresses[s],
		.address_count = 1 + random_seq_below(r, 2),
		.ways = w->ways[s],
		.way_count = chance(r, 2) ? 0 : 1 + random_seq_below(r, 3),
		.facts = { .back_off_until_s = maybe_until(r),
			   .quarantined_until_s = maybe_until(r),
			   .missing_until_s = maybe_until(r),
			   .is_denied = chance(r, 12),
			   .is_sticky = chance(r, 6),
			   .goodput_bps = rates[random_seq_below(r, COUNT_OF(rates))] },
	};
	if (c->facts.goodput_bps > 0)
		c->facts.goodput_band = (uint8_t)(64 - __builtin_clzll(c->facts.goodput_bps));
	for (size_t k = 0; k < 2; k++)
		w->addresses[s][k] = (struct select_address){ &places[s], !chance(r, 6),
							      !chance(r, 8) };
	for (size_t k = 0; k < 3; k++)
		w->ways[s][k] = (struct select_open_way){
			.way = chance(r, 2) ? WAYKIND_SESSION : WAYKIND_MOUNT,
			.evidence = (enum waykind_evidence)(1 + random_seq_below(r, 3)),
			.address = random_seq_below(r, c->address_count),
			.is_hung = chance(r, 6),
		};
}

static uint32_t random_minutes(struct random_seq *r)
{
	static const uint32_t minutes[] = { 0, 30, 120, BOUNDARY_NEVER };

	return minutes[random_seq_below(r, COUNT_OF(minutes))];
}

static void random_group(struct world *w, size_t g, struct random_seq *r)
{
	for (size_t k = 0; k < 2; k++)
		w->neighbours[g][k] = (struct boundary_neighbour){
			group_names[random_seq_below(r, 4)], random_minutes(r)
		};
	w->nets[g] = (struct netaddr_net){ .base = { 4, { 10, (uint8_t)g } }, .prefix = 16 };
	w->groups[g] = (struct boundary_group){
		.name = group_names[g],
		.nets = &w->nets[g],
		.net_count = 1,
		.neighbours = w->neighbours[g],
		.neighbour_count = random_seq_below(r, 3),
		.default_after_min = random_minutes(r),
		.is_fenced = chance(r, 5),
		.ways_cross_tiers = chance(r, 4),
		.policy = chance(r, 4) ? "random" : NULL,
		.prefer = w->prefer,
		.prefer_count = chance(r, 4) ? 1 : 0,
	};
}

static void random_world(struct world *w, const struct locator *places, struct random_seq *r)
{
	size_t policies;
	const struct terms_policy *all = terms_all(&policies);
	struct err err;

	memset(w, 0, sizeof(*w));
	w->prefer[0] = names[random_seq_below(r, 8)];
	for (size_t s = 0; s < 8; s++)
		random_server(w, s, places, r);
	for (size_t g = 0; g < 4; g++)
		random_group(w, g, r);
	w->client = (struct netaddr){ 4, { 10, (uint8_t)random_seq_below(r, 5), 1, 1 } };
	if (chance(r, 3))
		assert_done(preference_add(&w->preference, KIND_DP, names[random_seq_below(r, 8)],
					   &err),
			    &err);
	w->in = (struct select_input){
		.kind = KIND_DP,
		.object = "LON00001",
		.candidates = w->servers,
		.count = random_seq_below(r, 9),
		.groups = w->groups,
		.group_count = 4,
		.addresses = &w->client,
		.address_count = chance(r, 10) ? 0 : 1,
		.preference = &w->preference,
		.policy = chance(r, 4) ? NULL : &all[random_seq_below(r, policies)],
		.now_s = CHOICE_NOW_S,
		.wait_since_s = chance(r, 2) ? 0
					     : CHOICE_NOW_S - (int64_t)random_seq_below(r, 9000),
		.seed = random_seq_next(r),
		.flags = chance(r, 4) ? SELECT_TRIES_BACKED_OFF : 0,
	};
}

/* What the reference finds for one server, written straight from the text of the design. */
struct verdict {
	enum select_reason reason;
	int64_t until_s;
	int tier;
	bool open; /* an open way that carries */
	int session, mount;
	bool backing_off;
};

static bool named(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

struct judge {
	const struct world *w;
	const struct boundary_group *mine;
	const struct terms_policy *policy;
	const char *preferred; /* a name in these worlds; NULL: none */
};

static struct judge judge_of(const struct world *w)
{
	struct judge j = { .w = w, .policy = w->in.policy };
	const struct preference_list *own = &w->preference.lists[KIND_DP];

	if (w->in.address_count > 0 && w->client.bytes[1] < 4)
		j.mine = &w->groups[w->client.bytes[1]];
	if (j.policy == NULL)
		j.policy = terms_find(j.mine != NULL && j.mine->policy != NULL ? j.mine->policy
									       : "existing");
	if (j.mine != NULL && j.mine->prefer_count > 0)
		j.preferred = w->prefer[0];
	if (own->count > 0 && !(j.mine != NULL && j.mine->is_fenced && j.preferred != NULL))
		j.preferred = own->entries[0].text;
	return j;
}

static void judge_ways(const struct judge *j, const struct select_candidate *c, struct verdict *v)
{
	for (size_t i = 0; i < c->way_count; i++) {
		const struct select_open_way *way = &c->ways[i];
		const struct select_address *a = &c->addresses[way->address];

		if (way->is_hung)
			continue;
		if (way->way == WAYKIND_MOUNT && strcmp(j->policy->name, "sms2") == 0)
			continue;
		if (way->way == WAYKIND_MOUNT)
			v->mount = MAX_OF(v->mount, (int)way->evidence);
		else
			v->session = MAX_OF(v->session, (int)way->evidence);
		if (way->evidence == WAYKIND_EVIDENCE_PATH &&
		    (way->way == WAYKIND_MOUNT || (a->has_provider && a->has_credential)))
			v->open = true;
	}
}

static enum select_reason judge_address(const struct select_candidate *c)
{
	bool any_provider = false;

	for (size_t i = 0; i < c->address_count; i++) {
		if (c->addresses[i].has_provider && c->addresses[i].has_credential)
			return SELECT_USABLE;
		any_provider |= c->addresses[i].has_provider;
	}
	return any_provider ? SELECT_NO_CREDENTIAL : SELECT_NO_PROVIDER;
}

static void judge_minutes(const struct judge *j, struct verdict *v, int tier, uint32_t minutes)
{
	int64_t since_s = j->w->in.wait_since_s == 0 ? CHOICE_NOW_S : j->w->in.wait_since_s;
	bool looks = strcmp(j->policy->name, "random") != 0;

	v->tier = tier;
	if (minutes == BOUNDARY_NEVER) {
		v->reason = SELECT_TIER_CLOSED;
	} else if (since_s + (int64_t)minutes * 60 > CHOICE_NOW_S &&
		   !(j->mine->ways_cross_tiers && looks && v->open)) {
		v->reason = SELECT_TIER_CLOSED;
		v->until_s = since_s + (int64_t)minutes * 60;
	}
}

static const struct boundary_neighbour *neighbour_named(const struct boundary_group *g,
							const char *name)
{
	for (size_t i = 0; g != NULL && i < g->neighbour_count; i++)
		if (named(g->neighbours[i].group, name))
			return &g->neighbours[i];
	return NULL;
}

static struct verdict judge(const struct judge *j, const struct select_candidate *c)
{
	struct verdict v = { .tier = -1 };
	const struct memory_facts *f = &c->facts;
	const struct boundary_neighbour *n = neighbour_named(j->mine, c->group);
	bool inside = j->mine != NULL && named(j->mine->name, c->group);

	judge_ways(j, c, &v);
	if (j->mine != NULL && j->mine->is_fenced && !inside && n == NULL)
		return (struct verdict){ .reason = SELECT_FENCE, .tier = -1 };
	if (!v.open)
		v.reason = judge_address(c);
	if (v.reason != SELECT_USABLE)
		return v;
	v.backing_off = f->back_off_until_s > CHOICE_NOW_S || f->missing_until_s > CHOICE_NOW_S;
	if (f->is_denied)
		v.reason = SELECT_DENIED;
	else if (f->quarantined_until_s > CHOICE_NOW_S)
		v.reason = SELECT_QUARANTINED, v.until_s = f->quarantined_until_s;
	else if (f->missing_until_s > CHOICE_NOW_S && j->w->in.flags == 0)
		v.reason = SELECT_KNOWN_MISSING, v.until_s = f->missing_until_s;
	else if (v.backing_off && j->w->in.flags == 0)
		v.reason = SELECT_BACKING_OFF, v.until_s = f->back_off_until_s;
	if (v.reason != SELECT_USABLE)
		return v;
	if (strcmp(j->policy->name, "sms2") == 0)
		v.tier = 1;
	else if (named(j->preferred, c->name))
		v.tier = 0;
	else if (strcmp(j->policy->name, "preferred-only") == 0)
		v.reason = SELECT_NOT_PREFERRED;
	else if (inside)
		v.tier = 1;
	else if (n != NULL)
		judge_minutes(j, &v, 2, n->minutes);
	else if (c->group != NULL)
		v.reason = SELECT_OTHER_GROUP;
	else if (j->mine == NULL)
		v.tier = 1;
	else
		judge_minutes(j, &v, 3, j->mine->default_after_min);
	return v;
}

struct field {
	const struct select_candidate *c;
	struct verdict v;
	bool slow;
	int band;
	uint64_t draw;
	bool placed;
};

static void judge_goodput(const struct judge *j, struct field *all, size_t n)
{
	bool ratio = j->policy->slow_ratio != 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t bps = all[i].c->facts.goodput_bps;

		all[i].band = all[i].c->facts.goodput_band;
		for (size_t k = 0; k < n; k++) {
			const struct memory_facts *f = &all[k].c->facts;

			if (all[k].v.reason != SELECT_USABLE || all[k].v.tier != all[i].v.tier)
				continue;
			if (ratio && bps > 0 && f->goodput_bps >= 4 * bps)
				all[i].slow = true;
			if (all[i].c->facts.goodput_band == 0)
				all[i].band = MAX_OF(all[i].band, (int)f->goodput_band);
		}
	}
}

/* True if a comes before b: one question after the other. */
static bool beats(const struct judge *j, const struct field *a, const struct field *b)
{
	const char *p = j->policy->name;
	bool looks = strcmp(p, "sms2") != 0 && strcmp(p, "random") != 0;
	bool cross = looks && j->mine != NULL && j->mine->ways_cross_tiers;
	int goodput = b->band - a->band;

	if (cross && (a->v.tier == 0) != (b->v.tier == 0))
		return a->v.tier == 0;
	if (cross && a->v.tier != 0 && (a->v.open && !a->slow) != (b->v.open && !b->slow))
		return a->v.open && !a->slow;
	if (a->v.tier != b->v.tier)
		return a->v.tier < b->v.tier;
	if (a->v.backing_off != b->v.backing_off)
		return b->v.backing_off;
	if (strcmp(p, "nearest") == 0 && goodput != 0)
		return goodput < 0;
	if (looks && (a->slow ? 0 : a->v.session) != (b->slow ? 0 : b->v.session))
		return (a->slow ? 0 : a->v.session) > (b->slow ? 0 : b->v.session);
	if (looks && (a->slow ? 0 : a->v.mount) != (b->slow ? 0 : b->v.mount))
		return (a->slow ? 0 : a->v.mount) > (b->slow ? 0 : b->v.mount);
	if (looks && (!a->slow && a->c->facts.is_sticky) != (!b->slow && b->c->facts.is_sticky))
		return !a->slow && a->c->facts.is_sticky;
	if (looks && goodput != 0)
		return goodput < 0;
	return a->draw < b->draw;
}

static struct field *best_left(const struct judge *j, struct field *all, size_t n)
{
	struct field *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (!all[i].placed && all[i].v.reason == SELECT_USABLE &&
		    (best == NULL || beats(j, &all[i], best)))
			best = &all[i];
	return best;
}

static void compare_world(const struct world *w, uint64_t round)
{
	SCOPED(select_result) struct select_result result;
	struct judge j = judge_of(w);
	struct field all[8] = { 0 };
	size_t n = w->in.count;

	select_run(&result, &w->in);
	for (size_t i = 0; i < n; i++) {
		const struct select_row *row = &result.rows[i];
		struct field *f = &all[row->candidate - w->servers];

		f->c = row->candidate;
		f->v = judge(&j, f->c);
		f->draw = row->terms.draw;
		if (row->reason != f->v.reason || row->until_s != f->v.until_s ||
		    (row->tier == SELECT_TIER_NONE ? -1 : row->tier) != f->v.tier)
			fail_msg(
				"round %lu, %s, %s: %s tier %u until %ld, reference %s tier %d until %ld",
				round, j.policy->name, f->c->name, select_reason_name(row->reason),
				row->tier, row->until_s, select_reason_name(f->v.reason), f->v.tier,
				f->v.until_s);
	}
	judge_goodput(&j, all, n);
	for (size_t i = 0; i < result.usable; i++) {
		struct field *best = best_left(&j, all, n);

		if (best == NULL || best->c != result.rows[i].candidate)
			fail_msg("round %lu, %s: place %zu is %s, reference %s", round,
				 j.policy->name, i, result.rows[i].candidate->name,
				 best != NULL ? best->c->name : "nobody");
		best->placed = true;
	}
	assert_null(best_left(&j, all, n));
}

static void random_worlds_equal_the_reference(void **state UNUSED)
{
	uint64_t seed = (uint64_t)time(NULL);
	struct locator places[8] = { 0 };
	struct random_seq r;
	struct err err;

	print_message("seed %lu\n", seed);
	random_seq_init(&r, seed, "worlds");
	for (size_t i = 0; i < 8; i++) {
		SCOPED_TEXT char *url = alloc_printf("http://%s/packway", names[i]);

		assert_done(locator_parse(&places[i], url, &err), &err);
	}
	for (uint64_t round = 0; round < 100000; round++) {
		struct world w;

		random_world(&w, places, &r);
		compare_world(&w, round);
		preference_release(&w.preference);
	}
	for (size_t i = 0; i < 8; i++)
		locator_release(&places[i]);
}

/* --- size ------------------------------------------------------------------------------------- */

static double milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* TARGETS P9. The bound here is wide, since sanitizers slow everything; the figure is printed. */
static void ten_thousand_candidates_are_ranked_quickly(void **state UNUSED)
{
	enum { N = 10000 };
	struct select_candidate *servers = alloc_zeroed(N, sizeof(*servers));
	struct locator place = { 0 };
	struct select_address address = { &place, true, true };
	char(*texts)[16] = alloc_zeroed(N, sizeof(*texts));
	struct select_input in = {
		.object = "LON00001", .candidates = servers, .count = N, .now_s = CHOICE_NOW_S
	};
	const struct decision_about about = {
		.package = "LON00001", .version = 1, .context = "system", .time_s = CHOICE_NOW_S
	};
	double best = 1e9;
	struct err err;

	assert_done(locator_parse(&place, "http://dp/packway", &err), &err);
	for (size_t i = 0; i < N; i++) {
		snprintf(texts[i], sizeof(texts[i]), "dp%zu", i);
		servers[i] = (struct select_candidate){ .name = texts[i],
							.addresses = &address,
							.address_count = 1 };
	}
	for (int round = 0; round < 7; round++) {
		double start = milliseconds();
		SCOPED(select_result) struct select_result result;
		SCOPED(decision) struct decision *d = NULL;

		in.seed = (uint64_t)round;
		select_run(&result, &in);
		d = decision_new(&result, &about);
		best = MIN_OF(best, milliseconds() - start);
		assert_int_equal(result.usable, N);
	}
	print_message("10,000 candidates with their record: %.2f ms of CPU\n", best);
	assert_true(best < 200);
	locator_release(&place);
	free(texts);
	free(servers);
}

/* Q235873: what is asked before preferred-only is accepted. */
static void a_lock_out_is_seen_before_it_happens(void **state UNUSED)
{
	SCOPED(choice) struct choice *none = choice_of("policy preferred-only\nserver dp1");
	SCOPED(choice)
	struct choice *some = choice_of(
		"policy preferred-only\nprefer dp1\nserver dp1 backoff 60\nserver dp2");
	SCOPED(choice)
	struct choice *fenced = choice_of(
		"group g 10.0.0.0/8 fence\nclient 10.1.1.1\npolicy preferred-only\n"
		"prefer dp1\nserver dp1\nserver dp2 group g");

	assert_false(select_can_reach(&none->input));
	assert_true(select_can_reach(&some->input));
	assert_false(select_can_reach(&fenced->input));
}

TESTING_MAIN(cmocka_unit_test(sms2_is_uniform_over_7_dps),
	     cmocka_unit_test(sms2_is_uniform_over_5_caps),
	     cmocka_unit_test(equals_are_drawn_uniformly_inside_a_tier),
	     cmocka_unit_test(existing_takes_the_mount_20_of_20),
	     cmocka_unit_test(packages_are_drawn_apart),
	     cmocka_unit_test(leaving_one_out_moves_no_other),
	     cmocka_unit_test(random_worlds_equal_the_reference),
	     cmocka_unit_test(ten_thousand_candidates_are_ranked_quickly),
	     cmocka_unit_test(a_lock_out_is_seen_before_it_happens), )

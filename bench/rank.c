/*
 * P9: ranks many candidates and makes the record of it, which is what a choice costs.
 *
 *     rank CANDIDATES ROUNDS POLICY     prints milliseconds of CPU: median and worst
 *
 * Eight boundary groups with sixteen networks each; every server has two addresses, and a third of
 * them a history: one failed a moment ago, one was measured, one has an open session.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/alloc.h"
#include "nal/decision.h"
#include "nal/select.h"

#define GROUPS   8
#define NETWORKS 16
#define NOW_S    1795000000

struct world {
	struct select_input input;
	struct boundary_group groups[GROUPS];
	char *group_names[GROUPS];
	struct netaddr_net networks[GROUPS][NETWORKS];
	struct boundary_neighbour neighbours[GROUPS];
	struct netaddr client;
	struct select_candidate *candidates;
	struct locator *places; /* two of each candidate */
	struct select_address *addresses;
	struct select_open_way *ways; /* one of each candidate */
};

static void make_groups(struct world *w)
{
	for (size_t g = 0; g < GROUPS; g++) {
		w->group_names[g] = alloc_printf("group-%zu", g);
		for (size_t n = 0; n < NETWORKS; n++) {
			SCOPED_TEXT char *net = alloc_printf("10.%zu.%zu.0/24", g, n);

			if (!netaddr_parse_net(&w->networks[g][n], net))
				abort();
		}
	}
	for (size_t g = 0; g < GROUPS; g++) {
		w->neighbours[g] = (struct boundary_neighbour){
			.group = w->group_names[(g + 1) % GROUPS],
		};
		w->groups[g] = (struct boundary_group){
			.name = w->group_names[g],
			.nets = w->networks[g],
			.net_count = NETWORKS,
			.neighbours = &w->neighbours[g],
			.neighbour_count = 1,
		};
	}
	if (!netaddr_parse(&w->client, "10.3.7.20"))
		abort();
}

static void make_places(struct world *w, size_t i)
{
	for (size_t a = 0; a < 2; a++) {
		SCOPED_TEXT char *url = alloc_printf("http://dp%zu-%zu.example/packway", i, a);
		struct err err;

		if (!locator_parse(&w->places[2 * i + a], url, &err))
			abort();
		w->addresses[2 * i + a] = (struct select_address){
			.where = &w->places[2 * i + a],
			.has_provider = true,
			.has_credential = true,
		};
	}
}

static struct memory_facts facts_of(size_t i)
{
	struct memory_facts facts = { 0 };

	if (i % 9 == 0)
		facts.back_off_until_s = NOW_S + 60;
	if (i % 9 == 3) {
		facts.goodput_bps = 1000000 + i * 1000;
		facts.goodput_band = (uint8_t)(20 + i % 5);
	}
	return facts;
}

static void make_candidate(struct world *w, size_t i)
{
	struct select_candidate *c = &w->candidates[i];

	make_places(w, i);
	w->ways[i] = (struct select_open_way){
		.way = WAYKIND_SESSION,
		.evidence = WAYKIND_EVIDENCE_PATH,
	};
	*c = (struct select_candidate){
		.name = alloc_printf("dp%zu", i),
		.group = w->group_names[i % GROUPS],
		.addresses = &w->addresses[2 * i],
		.address_count = 2,
		.ways = &w->ways[i],
		.way_count = i % 9 == 6,
		.facts = facts_of(i),
	};
}

static struct world *make_world(size_t count)
{
	struct world *w = alloc_zeroed(1, sizeof(*w));

	make_groups(w);
	w->candidates = alloc_zeroed(count, sizeof(*w->candidates));
	w->places = alloc_zeroed(2 * count, sizeof(*w->places));
	w->addresses = alloc_zeroed(2 * count, sizeof(*w->addresses));
	w->ways = alloc_zeroed(count, sizeof(*w->ways));
	for (size_t i = 0; i < count; i++)
		make_candidate(w, i);
	w->input = (struct select_input){
		.kind = KIND_DP,
		.object = "LON00001",
		.candidates = w->candidates,
		.count = count,
		.groups = w->groups,
		.group_count = GROUPS,
		.addresses = &w->client,
		.address_count = 1,
		.now_s = NOW_S,
	};
	return w;
}

static void free_world(struct world *w)
{
	for (size_t i = 0; i < w->input.count; i++) {
		locator_release(&w->places[2 * i]);
		locator_release(&w->places[2 * i + 1]);
		free((char *)(uintptr_t)w->candidates[i].name);
	}
	for (size_t g = 0; g < GROUPS; g++)
		free(w->group_names[g]);
	free(w->candidates);
	free(w->places);
	free(w->addresses);
	free(w->ways);
	free(w);
}

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double choose_once(struct world *w, uint64_t seed)
{
	const struct decision_about about = {
		.package = "LON00001",
		.version = 1,
		.kind = KIND_DP,
		.context = "system",
		.seed = seed,
		.time_s = NOW_S,
	};
	double began = cpu_ms();
	struct select_result result;
	struct decision *record;

	w->input.seed = seed;
	select_run(&result, &w->input);
	record = decision_new(&result, &about);
	began = cpu_ms() - began;
	if (result.usable == 0)
		abort();
	decision_free(record);
	select_result_release(&result);
	return began;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	const struct terms_policy *policy = argc == 4 ? terms_find(argv[3]) : NULL;
	size_t rounds = argc == 4 ? (size_t)atol(argv[2]) : 0;
	struct world *w;
	double *took;

	if (policy == NULL || atol(argv[1]) < 1 || rounds < 1) {
		fprintf(stderr, "usage: rank CANDIDATES ROUNDS POLICY\n");
		return 2;
	}
	took = alloc_zeroed(rounds, sizeof(*took));
	w = make_world((size_t)atol(argv[1]));
	w->input.policy = policy;
	for (size_t i = 0; i < rounds; i++)
		took[i] = choose_once(w, i + 1);
	qsort(took, rounds, sizeof(*took), by_size);
	printf("%.2f %.2f\n", took[rounds / 2], took[rounds - 1]);
	free_world(w);
	free(took);
	return 0;
}

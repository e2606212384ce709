#include "support/choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"

struct words {
	char *rest;
};

static char *next(struct words *w)
{
	return strtok_r(NULL, " \t", &w->rest);
}

struct choice *choice_new(void)
{
	struct choice *c = alloc_zeroed(1, sizeof(*c));

	c->input = (struct select_input){
		.object = "LON00001",
		.candidates = c->servers,
		.groups = c->groups,
		.addresses = c->client,
		.preference = &c->preference,
		.now_s = CHOICE_NOW_S,
		.seed = 1,
	};
	return c;
}

void choice_free(struct choice *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->input.count; i++)
		for (size_t k = 0; k < CHOICE_PER_SERVER; k++)
			locator_release(&c->places[i][k]);
	for (size_t i = 0; i < c->line_count; i++)
		free(c->lines[i]);
	preference_release(&c->preference);
	free(c);
}

static bool need(const char *word, const char *what, struct err *err)
{
	return word != NULL || err_set(err, ERR_USAGE, "%s is missing", what);
}

static bool number(uint64_t *out, struct words *w, const char *what, struct err *err)
{
	const char *word = next(w);

	return need(word, what, err) && (text_u64(out, word, 0, UINT64_MAX) ||
					 err_set(err, ERR_USAGE, "%s: %s", what, word));
}

static bool minutes(uint32_t *out, const char *word, struct err *err)
{
	uint64_t value;

	if (strcmp(word, "never") == 0) {
		*out = BOUNDARY_NEVER;
		return true;
	}
	if (!text_u64(&value, word, 0, 1000000))
		return err_set(err, ERR_USAGE, "minutes: %s", word);
	*out = (uint32_t)value;
	return true;
}

static bool group_neighbour(struct choice *c, size_t g, struct words *w, struct err *err)
{
	struct boundary_neighbour *n = &c->neighbours[g][c->groups[g].neighbour_count++];
	char *word = next(w), *colon;

	if (!need(word, "neighbour", err))
		return false;
	n->group = word;
	n->minutes = BOUNDARY_MINUTES_DEFAULT;
	colon = strchr(word, ':');
	if (colon == NULL)
		return true;
	*colon = '\0';
	return minutes(&n->minutes, colon + 1, err);
}

static bool group_word(struct choice *c, size_t g, const char *word, struct words *w,
		       struct err *err)
{
	struct boundary_group *group = &c->groups[g];

	if (strcmp(word, "neighbour") == 0)
		return group_neighbour(c, g, w, err);
	if (strcmp(word, "fence") == 0)
		return (group->is_fenced = true);
	if (strcmp(word, "cross-tier") == 0)
		return (group->ways_cross_tiers = true);
	if (strcmp(word, "policy") == 0)
		return need(group->policy = next(w), "policy", err);
	if (strcmp(word, "prefer") == 0)
		return need(c->prefers[g][group->prefer_count++] = next(w), "system", err);
	if (strcmp(word, "default-after") == 0) {
		word = next(w);
		return need(word, "minutes", err) && minutes(&group->default_after_min, word, err);
	}
	return netaddr_parse_net(&c->nets[g][group->net_count++], word) ||
	       err_set(err, ERR_USAGE, "network: %s", word);
}

static bool take_group(struct choice *c, struct words *w, struct err *err)
{
	size_t g = c->input.group_count++;
	const char *word;

	c->groups[g] = (struct boundary_group){
		.name = next(w),
		.nets = c->nets[g],
		.neighbours = c->neighbours[g],
		.prefer = c->prefers[g],
		.default_after_min = BOUNDARY_MINUTES_DEFAULT,
	};
	if (!need(c->groups[g].name, "name", err))
		return false;
	while ((word = next(w)) != NULL)
		if (!group_word(c, g, word, w, err))
			return false;
	return true;
}

static struct select_open_way *add_way(struct choice *c, size_t s, struct select_open_way way)
{
	struct select_open_way *added = &c->ways[s][c->servers[s].way_count++];

	*added = way;
	return added;
}

static bool until(int64_t *out, struct words *w, const char *what, struct err *err)
{
	uint64_t seconds;

	if (!number(&seconds, w, what, err))
		return false;
	*out = CHOICE_NOW_S + (int64_t)seconds;
	return true;
}

static bool server_address(struct choice *c, size_t s, const char *url, struct err *err)
{
	size_t k = c->servers[s].address_count++;

	c->addresses[s][k] = (struct select_address){
		.where = &c->places[s][k],
		.has_provider = true,
		.has_credential = true,
	};
	return need(url, "URL", err) && locator_parse_argument(&c->places[s][k], url, err);
}

static bool server_rate(struct memory_facts *facts, struct words *w, struct err *err)
{
	if (!number(&facts->goodput_bps, w, "rate", err))
		return false;
	facts->goodput_band = (uint8_t)(64 - __builtin_clzll(facts->goodput_bps | 1));
	return true;
}

static bool server_way(struct choice *c, size_t s, const char *word, struct words *w)
{
	static const struct {
		const char *word;
		struct select_open_way way;
	} ways[] = {
		{ "session", { .way = WAYKIND_SESSION, .evidence = WAYKIND_EVIDENCE_PATH } },
		{ "mount", { .way = WAYKIND_MOUNT, .evidence = WAYKIND_EVIDENCE_PATH } },
		{ "share-mount", { .way = WAYKIND_MOUNT, .evidence = WAYKIND_EVIDENCE_SHARE } },
		{ "server-mount", { .way = WAYKIND_MOUNT, .evidence = WAYKIND_EVIDENCE_SERVER } },
	};

	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct select_open_way *way;

		if (strcmp(word, ways[i].word) != 0)
			continue;
		way = add_way(c, s, ways[i].way);
		if (way->way == WAYKIND_MOUNT && way->evidence == WAYKIND_EVIDENCE_PATH)
			way->at = next(w);
		return true;
	}
	return false;
}

static bool server_word(struct choice *c, size_t s, const char *word, struct words *w,
			struct err *err)
{
	struct select_candidate *server = &c->servers[s];
	struct memory_facts *facts = &server->facts;

	if (server_way(c, s, word, w))
		return true;
	if (strcmp(word, "group") == 0)
		return need(server->group = next(w), "group", err);
	if (strcmp(word, "at") == 0)
		return server_address(c, s, next(w), err);
	if (strcmp(word, "hung") == 0)
		return (c->ways[s][server->way_count - 1].is_hung = true);
	if (strcmp(word, "rate") == 0)
		return server_rate(facts, w, err);
	if (strcmp(word, "sticky") == 0)
		return (facts->is_sticky = true);
	if (strcmp(word, "denied") == 0)
		return (facts->is_denied = true);
	if (strcmp(word, "quarantined") == 0)
		return until(&facts->quarantined_until_s, w, word, err);
	if (strcmp(word, "missing") == 0)
		return until(&facts->missing_until_s, w, word, err);
	if (strcmp(word, "backoff") == 0)
		return until(&facts->back_off_until_s, w, word, err);
	if (strcmp(word, "no-provider") == 0)
		c->addresses[s][server->address_count - 1].has_provider = false;
	else if (strcmp(word, "no-credential") == 0)
		c->addresses[s][server->address_count - 1].has_credential = false;
	else if (strcmp(word, "refused") == 0)
		c->addresses[s][server->address_count - 1].has_credential = !(
			c->addresses[s][server->address_count - 1].is_denied = true);
	else
		return err_set(err, ERR_USAGE, "server: what is '%s'", word);
	return true;
}

static bool take_server(struct choice *c, struct words *w, struct err *err)
{
	size_t s = c->input.count++;
	struct select_candidate *server = &c->servers[s];
	SCOPED_TEXT char *url = NULL;
	bool has_url;
	const char *word;

	*server = (struct select_candidate){
		.name = next(w),
		.addresses = c->addresses[s],
		.ways = c->ways[s],
	};
	if (!need(server->name, "name", err))
		return false;
	has_url = strstr(w->rest, "at ") == w->rest || strstr(w->rest, " at ") != NULL;
	url = alloc_printf("http://%s/packway", server->name);
	if (!has_url && !server_address(c, s, url, err))
		return false;
	while ((word = next(w)) != NULL)
		if (!server_word(c, s, word, w, err))
			return false;
	return true;
}

static bool take_client(struct choice *c, struct words *w, struct err *err)
{
	const char *word;

	while ((word = next(w)) != NULL)
		if (!netaddr_parse(&c->client[c->input.address_count++], word))
			return err_set(err, ERR_USAGE, "address: %s", word);
	return true;
}

static bool take_prefer(struct choice *c, struct words *w, struct err *err)
{
	const char *word;

	while ((word = next(w)) != NULL)
		if (!preference_add(&c->preference, c->input.kind, word, err))
			return false;
	return true;
}

static bool take_kind(struct choice *c, struct words *w, struct err *err)
{
	const char *word = next(w);

	return need(word, "kind", err) &&
	       (kind_parse(&c->input.kind, word) || err_set(err, ERR_USAGE, "kind: %s", word));
}

static bool take_object(struct choice *c, struct words *w, struct err *err)
{
	return need(c->input.object = next(w), "object", err);
}

static bool take_policy(struct choice *c, struct words *w, struct err *err)
{
	const char *word = next(w);

	return need(word, "policy", err) && terms_need(&c->input.policy, word, err);
}

static bool take_client_policy(struct choice *c, struct words *w, struct err *err)
{
	return preference_set_policy(&c->preference, next(w), err);
}

static bool take_waited(struct choice *c, struct words *w, struct err *err)
{
	uint64_t waited;

	if (!number(&waited, w, "minutes", err))
		return false;
	c->input.wait_since_s = CHOICE_NOW_S - (int64_t)waited * 60;
	return true;
}

static bool take_seed(struct choice *c, struct words *w, struct err *err)
{
	return number(&c->input.seed, w, "seed", err);
}

static bool take_by_hand(struct choice *c, struct words *w UNUSED, struct err *err UNUSED)
{
	c->input.flags |= SELECT_TRIES_BACKED_OFF;
	return true;
}

bool choice_line(struct choice *c, const char *line, struct err *err)
{
	static const struct {
		const char *word;
		bool (*take)(struct choice *, struct words *, struct err *);
	} verbs[] = {
		{ "group", take_group },     { "client", take_client },
		{ "server", take_server },   { "prefer", take_prefer },
		{ "kind", take_kind },       { "object", take_object },
		{ "policy", take_policy },   { "client-policy", take_client_policy },
		{ "waited", take_waited },   { "seed", take_seed },
		{ "by-hand", take_by_hand },
	};
	struct words words = { NULL };
	char *copy, *verb;

	if (c->line_count == COUNT_OF(c->lines))
		return err_set(err, ERR_LIMIT, "too many lines");
	copy = c->lines[c->line_count++] = alloc_text(line);
	verb = strtok_r(copy, " \t", &words.rest);
	if (verb == NULL || verb[0] == '#')
		return true;
	for (size_t i = 0; i < COUNT_OF(verbs); i++)
		if (strcmp(verb, verbs[i].word) == 0)
			return verbs[i].take(c, &words, err);
	return err_set(err, ERR_USAGE, "what is '%s'", verb);
}

struct choice *choice_of(const char *text)
{
	SCOPED_TEXT char *copy = alloc_text(text);
	struct choice *c = choice_new();
	char *rest = NULL;

	for (char *line = strtok_r(copy, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		struct err err;

		if (!choice_line(c, line, &err)) {
			fprintf(stderr, "%s: %s\n", line, err.why);
			abort();
		}
	}
	return c;
}

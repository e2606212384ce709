#include "site/standin.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "site/checks.h"
#include "site/policydoc.h"

struct standin {
	struct site *site;
	const struct standin_question *question;
	enum kind kind;
	const struct terms_policy *policy; /* NULL: what applies */
	struct systems systems;
	struct docs_location location;
	const struct docs_place *place; /* NULL for CAPs */
	char *version_key;              /* what quarantine is kept by */
	struct candidates plain;        /* for clients of whom nothing is known but addresses */
};

static const struct docs_place *newest(const struct docs_location *location)
{
	const struct docs_place *best = NULL;

	for (size_t i = 0; i < location->version_count; i++) {
		const struct docs_place *p = &location->versions[i];

		if (p->dp_count > 0 && (best == NULL || p->version > best->version))
			best = p;
	}
	return best;
}

static bool find_place(struct standin *s, struct err *err)
{
	const char *id = s->question->package;

	if (s->kind == KIND_CAP) {
		s->version_key = alloc_text("cap");
		return true;
	}
	if (!checks_object_id(id, "a package", err) ||
	    !policydoc_location(&s->location, s->site, id, err))
		return false;
	s->place = newest(&s->location);
	if (s->place == NULL) {
		err_set(err, ERR_NO_CANDIDATE, "no distribution point holds %s yet", id);
		return err_fix(err, "put it on some: packway-site package distribute %s --all", id);
	}
	s->version_key = alloc_printf("%s:%" PRId64, id, s->place->version);
	return true;
}

static bool is_system(const struct systems *systems, const char *name)
{
	for (size_t i = 0; i < systems->place_count; i++)
		if (strcmp(systems->places[i].name, name) == 0)
			return true;
	return false;
}

static bool check_without(const struct standin *s, struct err *err)
{
	for (size_t i = 0; i < s->question->without_count; i++) {
		const char *name = s->question->without[i];

		if (is_system(&s->systems, name))
			continue;
		err_set(err, ERR_NOT_FOUND, "--without: there is no CAP or DP \"%s\"", name);
		return err_fix(err, "see 'packway-site dp list' and 'packway-site cap list'");
	}
	return true;
}

/* ---- candidates ---- */

struct asking {
	const struct standin *standin;
	const struct standin_client *client;
};

static size_t index_of(const struct select_address *addresses, size_t count, const char *text)
{
	size_t i = 0;

	while (i < count && strcmp(addresses[i].where->text, text) != 0)
		i++;
	return i;
}

static size_t find_ways(struct select_open_way *out, size_t room,
			const struct select_address *addresses, size_t count, void *ctx)
{
	const struct standin_client *c = ((const struct asking *)ctx)->client;
	size_t found = 0;

	for (size_t i = 0; i < c->mount_count && found < room; i++) {
		size_t address = index_of(addresses, count, c->mounts[i].address);

		if (address < count)
			out[found++] = (struct select_open_way){
				.way = WAYKIND_MOUNT,
				.evidence = c->mounts[i].evidence,
				.address = address,
				.at = c->mounts[i].at,
			};
	}
	return found;
}

static struct memory_facts recall(const char *name, void *ctx)
{
	const struct asking *ask = ctx;

	return memory_facts(ask->client->memory, name, ask->standin->version_key,
			    ask->standin->kind, "", "");
}

static bool is_left_out(const struct standin *s, const char *name)
{
	for (size_t i = 0; i < s->question->without_count; i++)
		if (strcmp(s->question->without[i], name) == 0)
			return true;
	return false;
}

static bool find_candidates(struct candidates *out, const struct standin *s,
			    const struct standin_client *client, struct err *err)
{
	struct asking ask = { .standin = s, .client = client };
	const struct candidates_question question = {
		.kind = s->kind,
		.listed = s->place != NULL ? s->place->dps : NULL,
		.listed_count = s->place != NULL ? s->place->dp_count : 0,
	};
	const struct candidates_knowledge knowledge = {
		.find_ways = find_ways,
		.recall = client->memory != NULL ? recall : NULL,
		.ctx = &ask,
	};

	if (!candidates_find(out, &s->systems, &question, &knowledge, err))
		return false;
	for (size_t i = 0; i < out->count; i++)
		out->items[i].is_left_out = is_left_out(s, out->items[i].name);
	return true;
}

static bool find_plain(struct standin *s, struct err *err)
{
	static const struct standin_client nobody;

	return find_candidates(&s->plain, s, &nobody, err);
}

/* ---- the whole ---- */

bool standin_open(struct standin **out, struct site *site, const struct standin_question *question,
		  struct err *err)
{
	struct standin *s = alloc_zeroed(1, sizeof(*s));

	s->site = site;
	s->question = question;
	s->kind = strcmp(question->package, "cap") == 0 ? KIND_CAP : KIND_DP;
	if ((question->policy == NULL || terms_need(&s->policy, question->policy, err)) &&
	    find_place(s, err) && policydoc_systems(&s->systems, site, err) &&
	    check_without(s, err) && find_plain(s, err)) {
		*out = s;
		return true;
	}
	standin_close(s);
	return false;
}

void standin_close(struct standin *s)
{
	if (s == NULL)
		return;
	candidates_release(&s->plain);
	systems_release(&s->systems);
	docs_location_release(&s->location);
	free(s->version_key);
	free(s);
}

const char *standin_object(const struct standin *s)
{
	return s->question->package;
}

enum kind standin_kind(const struct standin *s)
{
	return s->kind;
}

int64_t standin_version(const struct standin *s)
{
	return s->place != NULL ? s->place->version : 0;
}

const struct candidates *standin_plain(const struct standin *s)
{
	return &s->plain;
}

const struct systems *standin_systems(const struct standin *s)
{
	return &s->systems;
}

/* ---- one choice ---- */

static bool is_plain(const struct standin_client *client)
{
	return client->memory == NULL && client->mount_count == 0;
}

bool standin_choose(struct standin_answer *out, const struct standin *s,
		    const struct standin_client *client, struct err *err)
{
	struct select_input input = {
		.kind = s->kind,
		.object = s->question->package,
		.groups = s->systems.groups,
		.group_count = s->systems.group_count,
		.addresses = client->addresses,
		.address_count = client->address_count,
		.policy = s->policy,
		.now_s = site_now(s->site),
		.seed = client->seed & SELECT_SEED_MAX,
	};

	*out = (struct standin_answer){ .seed = input.seed };
	if (!is_plain(client) && !find_candidates(&out->candidates, s, client, err))
		return false;
	if (client->memory != NULL)
		input.wait_since_s = memory_wait_since(client->memory, input.object);
	input.candidates = is_plain(client) ? s->plain.items : out->candidates.items;
	input.count = is_plain(client) ? s->plain.count : out->candidates.count;
	select_run(&out->result, &input);
	return true;
}

void standin_answer_release(struct standin_answer *a)
{
	select_result_release(&a->result);
	candidates_release(&a->candidates);
}

struct decision *standin_record(const struct standin *s, const struct standin_answer *a)
{
	const struct decision_about about = {
		.package = s->kind == KIND_DP ? s->question->package : NULL,
		.version = (uint32_t)standin_version(s),
		.kind = s->kind,
		.context = "system",
		.seed = a->seed,
		.time_s = site_now(s->site),
	};

	return decision_new(&a->result, &about);
}

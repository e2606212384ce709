#include "site/whatif.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "site/checks.h"
#include "site/whereabouts.h"

/* What one client is known by. */
struct known {
	struct whereabouts where;
	struct decision **decisions; /* that it told of, the newest first */
	size_t decision_count;
	struct memory *memory;
	struct standin_mount *mounts; /* point into the newest decision */
	size_t mount_count;
	json_t *notes;
};

static void known_release(struct known *k)
{
	for (size_t i = 0; i < k->decision_count; i++)
		decision_free(k->decisions[i]);
	free(k->decisions);
	memory_free(k->memory);
	free(k->mounts);
	json_decref(k->notes);
}
SCOPED_RELEASE(known);

/* Takes over `text`. */
static void note(struct known *k, char *text)
{
	json_array_append_new(k->notes, jsondoc_new_text(text));
	free(text);
}

/* ---- what a client told ---- */

static bool load_addresses(struct known *k, struct site *site, const char *client, struct err *err)
{
	if (!whereabouts_of(&k->where, site, client, err))
		return false;
	if (k->where.address_count == 0)
		note(k, alloc_text("it has told no address yet, and is taken as in no boundary"));
	return true;
}

/* Foreign: what cannot be read as a decision about a package is passed over. */
static void take_decision(struct known *k, const json_t *row)
{
	struct decision *d = NULL;
	struct err ignored;

	if (!decision_parse(&d, json_object_get(row, "decision"), &ignored))
		return;
	if (d->kind != KIND_DP || d->package == NULL) {
		decision_free(d);
		return;
	}
	ALLOC_GROW(k->decisions, k->decision_count);
	k->decisions[k->decision_count++] = d;
}

static bool load_decisions(struct known *k, struct site *site, const char *client, struct err *err)
{
	json_auto_t *rows = NULL;
	json_t *row;
	size_t i;

	if (!db_list(&rows, site->db, STMT_DECISIONS_SINCE,
		     DB_ARGS(db_text(client), db_int(site_now(site) - WHATIF_DECISIONS_S),
			     db_int(WHATIF_DECISIONS_MAX)),
		     err))
		return false;
	json_array_foreach (rows, i, row)
		take_decision(k, row);
	return true;
}

static void remember_attempts(struct memory *m, const struct decision *d)
{
	SCOPED_TEXT char *key = alloc_printf("%s:%" PRIu32, d->package, d->version);

	for (size_t i = 0; i < d->attempt_count; i++)
		memory_record(m, &(const struct memory_event){
					 .server = d->attempts[i].server,
					 .object = key,
					 .kind = KIND_DP,
					 .what = d->attempts[i].what,
					 .config = "",
					 .seed = d->seed,
				 });
}

static void remember_wait(struct memory *m, const struct decision *d)
{
	if (d->wait == SELECT_WAIT_NEIGHBOURS || d->wait == SELECT_WAIT_DEFAULT)
		memory_wait_begin(m, d->package);
	else if (d->chosen >= 0)
		memory_wait_end(m, d->package);
}

/* Its memory, made again from what it told, in the order of time; its clock never goes back. */
static void remember(struct known *k, int64_t now_s)
{
	struct memory_now now = { .boot = "told" };

	k->memory = memory_new();
	for (size_t i = k->decision_count; i-- > 0;) {
		const struct decision *d = k->decisions[i];

		now.wall_s = MAX_OF(now.wall_s, MIN_OF(d->time_s, now_s));
		now.mono_s = (uint64_t)now.wall_s;
		memory_tick(k->memory, &now);
		remember_attempts(k->memory, d);
		remember_wait(k->memory, d);
	}
	now.wall_s = now_s;
	now.mono_s = (uint64_t)now_s;
	memory_tick(k->memory, &now);
}

/* Mounts stay for long: those of its newest choice are taken as there. */
static void find_mounts(struct known *k)
{
	const struct decision *d = k->decision_count > 0 ? k->decisions[0] : NULL;

	for (size_t i = 0; d != NULL && i < d->candidate_count; i++) {
		const struct decision_candidate *c = &d->candidates[i];

		if (c->reason != SELECT_USABLE || c->terms.mount == WAYKIND_EVIDENCE_NONE)
			continue;
		ALLOC_GROW(k->mounts, k->mount_count);
		k->mounts[k->mount_count++] = (struct standin_mount){
			.address = c->address,
			.at = c->at,
			.evidence = c->terms.mount,
		};
	}
}

static void note_mount(struct known *k, const struct standin_mount *m, const char *time)
{
	const char *what = m->evidence == WAYKIND_EVIDENCE_PATH ? "" : "another share beside ";

	note(k, alloc_printf("%s%s is mounted%s%s by its choice of %s", what, m->address,
			     m->at != NULL ? " at " : "", m->at != NULL ? m->at : "", time));
}

static void note_mounts(struct known *k)
{
	char time[CLOCK_TEXT_MAX];

	if (k->decision_count == 0) {
		note(k, alloc_text("it has told of no choice in the last 7 days: its open ways, "
				   "and how servers served it, are not known here"));
		return;
	}
	clock_print(time, k->decisions[0]->time_s);
	if (k->mount_count == 0)
		note(k, alloc_printf("its choice of %s told of no mount; connections that are "
				     "open now are not known here",
				     time));
	for (size_t i = 0; i < k->mount_count; i++)
		note_mount(k, &k->mounts[i], time);
}

static bool get_to_know(struct known *k, struct site *site, const char *client, struct err *err)
{
	if (!load_addresses(k, site, client, err) || !load_decisions(k, site, client, err))
		return false;
	remember(k, site_now(site));
	find_mounts(k);
	note_mounts(k);
	note(k, alloc_text("what it measured, and what it prefers itself, is not known here"));
	return true;
}

/* ---- the answer ---- */

static json_t *address_list(const struct known *k)
{
	json_t *list = json_array();

	for (size_t i = 0; i < k->where.address_count; i++) {
		char text[NETADDR_TEXT_MAX];

		netaddr_print(text, &k->where.addresses[i]);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static bool answer(json_t **out, const struct standin *s, const struct known *k, uint64_t seed,
		   struct err *err)
{
	const struct standin_client client = {
		.addresses = k->where.addresses,
		.address_count = k->where.address_count,
		.memory = k->memory,
		.mounts = k->mounts,
		.mount_count = k->mount_count,
		.seed = seed,
	};
	SCOPED(standin_answer) struct standin_answer a = { 0 };
	SCOPED(decision) struct decision *d = NULL;

	if (!standin_choose(&a, s, &client, err))
		return false;
	d = standin_record(s, &a);
	*out = decision_json(d);
	jsondoc_set(*out, "addresses", address_list(k));
	jsondoc_set(*out, "notes", json_incref(k->notes));
	return true;
}

bool whatif_client(json_t **out, const struct standin *s, struct site *site, const char *typed,
		   uint64_t seed, struct err *err)
{
	SCOPED(known) struct known k = { .notes = json_array() };
	char id[CHECKS_CLIENT_SIZE];

	if (!checks_known_client(id, site, typed, err) || !get_to_know(&k, site, id, err) ||
	    !answer(out, s, &k, seed, err))
		return false;
	jsondoc_set_text(*out, "client", id);
	return true;
}

bool whatif_address(json_t **out, const struct standin *s, const char *address, uint64_t seed,
		    struct err *err)
{
	SCOPED(known) struct known k = { .where.address_count = 1, .notes = json_array() };

	if (!netaddr_parse(&k.where.addresses[0], address))
		return err_set(err, ERR_USAGE, "--address: \"%s\" is no IP address", address);
	note(&k, alloc_text("a machine without open ways, preferences or anything measured"));
	return answer(out, s, &k, seed, err);
}

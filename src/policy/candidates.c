#include "policy/candidates.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "nal/provider.h"

/* One finding. The arrays have room for all that may come, so that they never move. */
struct finding {
	struct candidates *out;
	const struct systems *systems;
	const struct candidates_question *question;
	const struct candidates_knowledge *knowledge;
};

static bool is_listed(const struct candidates_question *q, const char *name)
{
	if (q->listed == NULL)
		return true;
	for (size_t i = 0; i < q->listed_count; i++)
		if (strcmp(q->listed[i], name) == 0)
			return true;
	return false;
}

static void add_address(const struct finding *f, struct select_address *address,
			const struct locator *where)
{
	const struct candidates_knowledge *k = f->knowledge;
	struct credential *credential = &f->out->credentials[address - f->out->addresses];
	bool is_refused = k->log_on != NULL &&
			  k->log_on(credential, where, k->ctx) == LOGON_REFUSED;

	*address = (struct select_address){
		.where = where,
		.has_provider = provider_of_scheme(where->scheme) != NULL,
		.has_credential = !is_refused,
		.is_denied = is_refused,
	};
}

static struct memory_facts recall(const struct candidates_knowledge *k, const char *name)
{
	return k->recall != NULL ? k->recall(name, k->ctx) : (struct memory_facts){ 0 };
}

static size_t find_ways(const struct finding *f, const struct select_candidate *c)
{
	const struct candidates_knowledge *k = f->knowledge;

	if (k->find_ways == NULL)
		return 0;
	return k->find_ways(&f->out->ways[f->out->way_count],
			    c->address_count + CANDIDATES_WAYS_MAX, c->addresses, c->address_count,
			    k->ctx);
}

static void add(struct finding *f, const struct systems_place *as, const struct locator *locators,
		size_t count)
{
	struct candidates *out = f->out;
	struct select_address *addresses = &out->addresses[out->address_count];
	struct select_candidate *c = &out->items[out->count++];

	for (size_t i = 0; i < count; i++)
		add_address(f, &addresses[i], &locators[i]);
	out->address_count += count;
	*c = (struct select_candidate){
		.name = as->name,
		.uuid = as->uuid,
		.group = as->group,
		.addresses = addresses,
		.address_count = count,
		.ways = &out->ways[out->way_count],
		.facts = recall(f->knowledge, as->name),
	};
	c->way_count = find_ways(f, c);
	out->way_count += c->way_count;
}

static const struct systems_place *owner_of(const struct finding *f, const struct locator *where)
{
	for (size_t i = 0; i < f->systems->place_count; i++) {
		const struct systems_place *p = &f->systems->places[i];

		for (size_t k = 0; k < p->address_count; k++)
			if (p->kind == f->question->kind && locator_equal(&p->addresses[k], where))
				return p;
	}
	return NULL;
}

static const struct locator *keep_locator(struct candidates *out, const struct locator *where)
{
	out->locators[out->locator_count] = *where;
	return &out->locators[out->locator_count++];
}

/* An address as the one candidate; it keeps the name of the system it belongs to. */
static bool add_own_address(struct finding *f, const char *text, struct err *err)
{
	/* Only read: the name is the question's. */
	const struct systems_place stranger = { .name = (char *)(uintptr_t)text };
	const struct systems_place *owner;
	struct locator where = { 0 };

	if (!locator_parse_argument(&where, text, err))
		return false;
	owner = owner_of(f, &where);
	add(f, owner != NULL ? owner : &stranger, keep_locator(f->out, &where), 1);
	return true;
}

/*
 * Each address that can be written is a candidate of its own: a web server's may refuse where the
 * share beside it takes. What no provider speaks to may be mounted, and folders are written to.
 */
static void add_writable(struct finding *f, const struct systems_place *p)
{
	for (size_t i = 0; i < p->address_count; i++) {
		const struct provider *provider = provider_of_scheme(p->addresses[i].scheme);

		if (provider == NULL || (provider->capabilities & PROVIDER_PUT) != 0)
			add(f, p, &p->addresses[i], 1);
	}
}

/* An inbox elsewhere than beneath the CAP: no marker stands there, so no UUID is asked for. */
static void add_inbox(struct finding *f, const struct systems_place *p)
{
	struct systems_place inbox = *p;
	struct locator where = { 0 };
	struct err err;

	if (!locator_parse_argument(&where, p->inbox, &err)) {
		log_warn("%s: inbox \"%s\": %s", p->name, p->inbox, err.why);
		return;
	}
	inbox.uuid = NULL;
	f->out->is_inbox[f->out->count] = true;
	add(f, &inbox, keep_locator(f->out, &where), 1);
}

static void add_place(struct finding *f, const struct systems_place *p)
{
	const struct candidates_question *q = f->question;

	if (p->kind != q->kind || !is_listed(q, p->name) ||
	    (q->only != NULL && strcmp(q->only, p->name) != 0))
		return;
	if (q->writes && p->inbox != NULL)
		add_inbox(f, p);
	else if (q->writes)
		add_writable(f, p);
	else
		add(f, p, p->addresses, p->address_count);
}

static void make_room(struct candidates *out, const struct systems *systems)
{
	size_t count = 1; /* of `only` */

	for (size_t i = 0; i < systems->place_count; i++)
		count += 1 + systems->places[i].address_count; /* and an inbox */
	out->items = alloc_zeroed(count, sizeof(*out->items));
	out->is_inbox = alloc_zeroed(count, sizeof(*out->is_inbox));
	out->addresses = alloc_zeroed(count, sizeof(*out->addresses));
	out->credentials = alloc_zeroed(count, sizeof(*out->credentials));
	out->ways = alloc_zeroed((CANDIDATES_WAYS_MAX + 1) * count, sizeof(*out->ways));
	out->locators = alloc_zeroed(systems->place_count + 1, sizeof(*out->locators));
}

static bool is_address(const char *text)
{
	return text[0] == '/' || strstr(text, "://") != NULL;
}

static bool add_all(struct finding *f, struct err *err)
{
	const struct candidates_question *q = f->question;

	if (q->only != NULL && is_address(q->only))
		return add_own_address(f, q->only, err);
	for (size_t i = 0; i < f->systems->place_count; i++)
		add_place(f, &f->systems->places[i]);
	return q->only == NULL || f->out->count > 0 ||
	       err_set(err, ERR_NOT_FOUND, "no %s named %s holds this content", kind_name(q->kind),
		       q->only);
}

bool candidates_find(struct candidates *out, const struct systems *systems,
		     const struct candidates_question *question,
		     const struct candidates_knowledge *knowledge, struct err *err)
{
	struct finding f = { out, systems, question, knowledge };

	*out = (struct candidates){ 0 };
	make_room(out, systems);
	if (add_all(&f, err))
		return true;
	candidates_release(out);
	return false;
}

void candidates_release(struct candidates *c)
{
	for (size_t i = 0; i < c->locator_count; i++)
		locator_release(&c->locators[i]);
	free(c->locators);
	free(c->items);
	free(c->addresses);
	free(c->credentials);
	free(c->ways);
	free(c->is_inbox);
	*c = (struct candidates){ 0 };
}

const struct credential *candidates_credential(const struct candidates *c,
					       const struct select_address *address)
{
	const struct credential *credential = &c->credentials[address - c->addresses];

	return credential->name != NULL ? credential : NULL;
}

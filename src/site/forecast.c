#include "site/forecast.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "site/whereabouts.h"

/* The clients of one boundary group, or of none. */
struct class
{
	const struct boundary_group *group; /* NULL: in no boundary */
	struct netaddr address;             /* of one of them: in the group by it */
	int64_t clients;
};

/* Bytes between two groups, by a tier. */
struct link {
	const char *from; /* NULL: no group */
	const char *to;   /* NULL: the site default */
	uint8_t tier;
	int64_t clients;
};

struct forecast {
	const struct standin *standin;
	const struct candidates *candidates;
	struct boundary_index *index; /* while clients are counted */
	struct class *classes;        /* one for each group, and the last for those in none */
	size_t class_count;
	int64_t clients; /* all that are enrolled */
	int64_t unknown; /* of them told no address yet */
	int64_t waiting;
	int64_t *served; /* by candidate */
	struct link *links;
	size_t link_count;
	int64_t bytes; /* of the package */
	json_t *waits;
};

static void forecast_release(struct forecast *f)
{
	free(f->classes);
	free(f->served);
	free(f->links);
	json_decref(f->waits);
}
SCOPED_RELEASE(forecast);

/* ---- which clients there are ---- */

static void count_client(const struct whereabouts *where, void *ctx)
{
	struct forecast *f = ctx;
	const struct systems *systems = standin_systems(f->standin);
	struct boundary_match match = boundary_index_find(f->index, where->addresses,
							  where->address_count);
	size_t at = match.group != NULL ? (size_t)(match.group - systems->groups)
					: systems->group_count;
	struct class *c = &f->classes[at];

	f->clients++;
	if (where->address_count == 0) {
		f->unknown++;
		return;
	}
	c->clients++;
	c->group = match.group;
	c->address = match.group != NULL ? *match.address : where->addresses[0];
}

static bool count_clients(struct forecast *f, struct site *site, struct err *err)
{
	const struct systems *systems = standin_systems(f->standin);
	bool done;

	f->index = boundary_index_new(systems->groups, systems->group_count);
	done = whereabouts_each(site, count_client, f, err);
	boundary_index_free(f->index);
	return done;
}

/* ---- what they would choose ---- */

static void add_link(struct forecast *f, const struct class *c, const struct select_row *row,
		     int64_t clients)
{
	const char *from = c->group != NULL ? c->group->name : NULL;
	const char *to = row->candidate->group;

	/* Links of one class are the last ones. */
	for (size_t i = f->link_count; i-- > 0 && f->links[i].from == from;) {
		struct link *l = &f->links[i];

		if (l->tier == row->tier &&
		    (l->to == to || (l->to != NULL && to != NULL && strcmp(l->to, to) == 0))) {
			l->clients += clients;
			return;
		}
	}
	ALLOC_GROW(f->links, f->link_count);
	f->links[f->link_count++] = (struct link){ from, to, row->tier, clients };
}

static int compare_names(const void *left, const void *right)
{
	const struct select_row *const *a = left, *const *b = right;

	return strcmp((*a)->candidate->name, (*b)->candidate->name);
}

/* Evenly over the first `equals` rows; what does not divide goes on from `turn`. */
static void spread(struct forecast *f, const struct class *c, const struct select_result *result,
		   size_t turn)
{
	size_t equals = select_decided(result).equals;
	const struct select_row **rows = alloc_zeroed(equals, sizeof(*rows));
	int64_t each = c->clients / (int64_t)equals, rest = c->clients % (int64_t)equals;

	for (size_t i = 0; i < equals; i++)
		rows[i] = &result->rows[i];
	qsort(rows, equals, sizeof(*rows), compare_names);
	for (size_t i = 0; i < equals; i++) {
		const struct select_row *row = rows[(turn + i) % equals];
		int64_t clients = each + ((int64_t)i < rest ? 1 : 0);

		f->served[row->candidate - f->candidates->items] += clients;
		if (clients > 0)
			add_link(f, c, row, clients);
	}
	free(rows);
}

static void add_wait(struct forecast *f, const struct class *c, const struct standin_answer *a,
		     int64_t now_s)
{
	SCOPED(decision) struct decision *d = standin_record(f->standin, a);
	json_t *row = json_object();

	f->waiting += c->clients;
	jsondoc_set_text(row, "group", c->group != NULL ? c->group->name : NULL);
	jsondoc_set_int(row, "clients", c->clients);
	jsondoc_set_text(row, "reason", select_wait_name(a->result.wait));
	if (a->result.wait_until_s != 0)
		jsondoc_set_int(row, "minutes", (a->result.wait_until_s - now_s + 59) / 60);
	jsondoc_set_text(row, "because", d->because);
	json_array_append_new(f->waits, row);
}

static bool choose_for(struct forecast *f, size_t i, struct site *site, struct err *err)
{
	const struct class *c = &f->classes[i];
	const struct standin_client client = {
		.addresses = &c->address,
		.address_count = 1,
		.seed = i,
	};
	SCOPED(standin_answer) struct standin_answer a = { 0 };

	if (c->clients == 0)
		return true;
	if (!standin_choose(&a, f->standin, &client, err))
		return false;
	if (a.result.usable > 0)
		spread(f, c, &a.result, i);
	else
		add_wait(f, c, &a, site_now(site));
	return true;
}

static bool choose_for_all(struct forecast *f, struct site *site, struct err *err)
{
	for (size_t i = 0; i < f->class_count; i++)
		if (!choose_for(f, i, site, err))
			return false;
	return true;
}

/* ---- the answer ---- */

static json_t *server_list(const struct forecast *f)
{
	int64_t reading = f->clients - f->unknown - f->waiting;
	json_t *list = json_array();

	for (size_t i = 0; i < f->candidates->count; i++) {
		const struct select_candidate *c = &f->candidates->items[i];
		json_t *row = json_object();

		jsondoc_set_text(row, "server", c->name);
		jsondoc_set_text(row, "group", c->group);
		jsondoc_set_int(row, "clients", f->served[i]);
		jsondoc_set_int(row, "percent", reading > 0 ? f->served[i] * 100 / reading : 0);
		jsondoc_set_int(row, "bytes", f->served[i] * f->bytes);
		if (c->is_left_out)
			jsondoc_set_text(row, "excluded", select_reason_name(SELECT_LEFT_OUT));
		json_array_append_new(list, row);
	}
	return list;
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static json_t *link_list(const struct forecast *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->link_count; i++) {
		const struct link *l = &f->links[i];
		json_t *row = json_object();

		jsondoc_set_text(row, "from", l->from);
		jsondoc_set_text(row, "to", l->to);
		jsondoc_set_flag(row, "crosses", !is_same(l->from, l->to));
		jsondoc_set_int(row, "tier", l->tier);
		jsondoc_set_int(row, "clients", l->clients);
		jsondoc_set_int(row, "bytes", l->clients * f->bytes);
		json_array_append_new(list, row);
	}
	return list;
}

static json_t *note_list(const struct forecast *f)
{
	json_t *list = json_array();
	SCOPED_TEXT char *unknown = alloc_printf(
		"%" PRId64 " clients have told no address yet and are in no row", f->unknown);

	json_array_append_new(list, json_string("open ways of clients, what they measured and "
						"prefer themselves is not known here"));
	if (f->bytes > 0)
		json_array_append_new(list, json_string("bytes are those of the content: neither "
							"compression nor what clients have "
							"already is counted"));
	if (f->unknown > 0)
		json_array_append_new(list, json_string(unknown));
	return list;
}

static json_t *new_answer(const struct forecast *f)
{
	json_t *doc = json_object();

	if (standin_kind(f->standin) == KIND_DP)
		jsondoc_set_text(doc, "package", standin_object(f->standin));
	jsondoc_set_text(doc, "kind", kind_name(standin_kind(f->standin)));
	if (standin_version(f->standin) > 0)
		jsondoc_set_int(doc, "version", standin_version(f->standin));
	jsondoc_set_int(doc, "bytes", f->bytes);
	jsondoc_set_int(doc, "clients", f->clients);
	jsondoc_set_int(doc, "reading", f->clients - f->unknown - f->waiting);
	jsondoc_set_int(doc, "unknown", f->unknown);
	jsondoc_set(doc, "servers", server_list(f));
	jsondoc_set(doc, "links", link_list(f));
	jsondoc_set(doc, "waiting", json_incref(f->waits));
	jsondoc_set(doc, "notes", note_list(f));
	return doc;
}

static bool find_bytes(struct forecast *f, struct site *site, struct err *err)
{
	return standin_kind(f->standin) == KIND_CAP ||
	       db_number(&f->bytes, site->db, STMT_PACKAGE_BYTES,
			 DB_ARGS(db_text(standin_object(f->standin)),
				 db_int(standin_version(f->standin))),
			 0, err);
}

bool forecast_make(json_t **out, const struct standin *s, struct site *site, struct err *err)
{
	SCOPED(forecast)
	struct forecast f = {
		.standin = s,
		.candidates = standin_plain(s),
		.class_count = standin_systems(s)->group_count + 1,
		.waits = json_array(),
	};

	f.classes = alloc_zeroed(f.class_count, sizeof(*f.classes));
	f.served = alloc_zeroed(f.candidates->count, sizeof(*f.served));
	if (!find_bytes(&f, site, err) || !count_clients(&f, site, err) ||
	    !choose_for_all(&f, site, err))
		return false;
	*out = new_answer(&f);
	return true;
}

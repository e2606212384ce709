/* Leases, linger and leaks, with a clock of our own and sessions of a real server. */
#include "support/testing.h"

#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "nal/conntab.h"
#include "nal/credential.h"
#include "support/webserver.h"

struct world {
	struct webserver server;
	struct conntab *tab;
	struct locator where, beside; /* two folders on one server */
	uint64_t mono_ms;
	struct clock clock;
};

static int64_t wall(void *ctx)
{
	return 1700000000 + (int64_t)((const struct world *)ctx)->mono_ms / 1000;
}

static uint64_t mono(void *ctx)
{
	return ((const struct world *)ctx)->mono_ms;
}

static void begin(struct world *w)
{
	struct conntab_options options = CONNTAB_OPTIONS_DEFAULT;
	SCOPED_TEXT char *a = NULL, *b = NULL;
	struct err err = { 0 };

	*w = (struct world){ .mono_ms = 1000 };
	w->clock = (struct clock){ .wall_s = wall, .mono_ms = mono, .ctx = w };
	webserver_nginx(&w->server);
	options.clock = &w->clock;
	options.owner = "agent";
	w->tab = conntab_new(&options);
	a = webserver_url(&w->server, "cap");
	b = webserver_url(&w->server, "dp");
	assert_done(locator_parse(&w->where, a, &err), &err);
	assert_done(locator_parse(&w->beside, b, &err), &err);
}

static void end(struct world *w)
{
	conntab_free(w->tab);
	locator_release(&w->where);
	locator_release(&w->beside);
	webserver_stop(&w->server);
}

static struct way *acquire(struct world *w, const struct way_target *target, const void *user)
{
	struct way *way = NULL;
	struct err err = { 0 };

	assert_done(conntab_acquire(&way, w->tab, target, WAY_LINK_NONE, user, &err) ==
			    NAL_CLASS_OK,
		    &err);
	return way;
}

/* Q208618: one session per server and credential, however many folders and users. */
static void one_session_serves_all_folders_of_a_server(void **state UNUSED)
{
	struct world w;
	struct way *a, *b, *c;

	begin(&w);
	a = acquire(&w, &(struct way_target){ .where = &w.where }, &w);
	b = acquire(&w, &(struct way_target){ .where = &w.beside }, &w);
	c = acquire(&w, &(struct way_target){ .where = &w.where, .context = "ann" }, &w);
	assert_ptr_equal(a->session, b->session);
	assert_ptr_not_equal(a->session, c->session);
	assert_int_equal(conntab_sessions(w.tab), 2);
	assert_int_equal(conntab_leases(w.tab), 3);
	conntab_release(w.tab, a);
	conntab_release(w.tab, b);
	conntab_release(w.tab, c);
	assert_int_equal(conntab_leases(w.tab), 0);
	assert_int_equal(conntab_leaks(w.tab), 0);
	end(&w);
}

static void sessions_are_told_apart_by_credential_and_its_change(void **state UNUSED)
{
	const struct credential first = { .name = "LON\\agent", .fingerprint = "01" };
	const struct credential changed = { .name = "LON\\agent", .fingerprint = "02" };
	struct world w;
	struct way *a, *b, *c;

	begin(&w);
	a = acquire(&w, &(struct way_target){ .where = &w.where, .credential = &first }, &w);
	b = acquire(&w, &(struct way_target){ .where = &w.beside, .credential = &first }, &w);
	c = acquire(&w, &(struct way_target){ .where = &w.where, .credential = &changed }, &w);
	assert_ptr_equal(a->session, b->session);
	assert_ptr_not_equal(a->session, c->session);
	assert_false(conntab_is_open(w.tab, &(struct way_target){ .where = &w.where }));
	conntab_release(w.tab, a);
	conntab_release(w.tab, b);
	conntab_release(w.tab, c);
	end(&w);
}

/* Q227033, Q293662: a CAP and a DP of one server make one failed logon, not two. */
static void a_refused_account_is_not_tried_again_there(void **state UNUSED)
{
	const struct credential account = { .name = "LON\\agent", .fingerprint = "01" };
	const struct credential changed = { .name = "LON\\agent", .fingerprint = "02" };
	const struct credential guest = { .name = "guest" };
	struct way_target target;
	struct world w;
	struct way *way;
	struct err err = { 0 };

	begin(&w);
	target = (struct way_target){ .where = &w.where, .credential = &account };
	way = acquire(&w, &target, &w);
	assert_false(conntab_has_refused(w.tab, &target));
	way->is_refused = true;
	conntab_release(w.tab, way);
	assert_true(conntab_has_refused(w.tab, &target));
	assert_false(conntab_is_open(w.tab, &target));
	assert_int_equal(conntab_acquire(&way, w.tab, &target, WAY_LINK_NONE, &w, &err),
			 NAL_CLASS_DENIED);
	assert_int_equal(err.code, ERR_NET_DENIED);
	target.credential = &changed;
	conntab_release(w.tab, acquire(&w, &target, &w));
	target.credential = &guest;
	way = acquire(&w, &target, &w);
	way->is_refused = true;
	conntab_release(w.tab, way);
	conntab_release(w.tab, acquire(&w, &target, &w));
	end(&w);
}

/* Q126580: a connection lingers for a bounded time. */
static void a_session_lingers_and_ends(void **state UNUSED)
{
	struct world w;
	struct way_target target;
	struct way *way;

	begin(&w);
	target = (struct way_target){ .where = &w.where };
	assert_int_equal(conntab_tick(w.tab), UINT32_MAX);
	way = acquire(&w, &target, &w);
	w.mono_ms += 10 * CONNTAB_LINGER_MS;
	assert_int_equal(conntab_tick(w.tab), UINT32_MAX); /* a lease keeps it */
	conntab_release(w.tab, way);
	assert_int_equal(conntab_tick(w.tab), CONNTAB_LINGER_MS);
	w.mono_ms += CONNTAB_LINGER_MS - 1;
	assert_int_equal(conntab_tick(w.tab), 1);
	assert_true(conntab_is_open(w.tab, &target));
	w.mono_ms += 1;
	assert_int_equal(conntab_tick(w.tab), UINT32_MAX);
	assert_false(conntab_is_open(w.tab, &target));
	assert_int_equal(conntab_sessions(w.tab), 0);
	end(&w);
}

static void a_broken_session_is_not_offered_again(void **state UNUSED)
{
	struct world w;
	struct way_target target;
	struct way *way;

	begin(&w);
	target = (struct way_target){ .where = &w.where };
	way = acquire(&w, &target, &w);
	way->broken = true; /* as way_get does after a timeout */
	conntab_release(w.tab, way);
	assert_false(conntab_is_open(w.tab, &target));
	assert_int_equal(conntab_sessions(w.tab), 0);
	end(&w);
}

/* Q295441: what a user that died still held is given back, and counted. */
static void leases_of_the_dead_are_leaks(void **state UNUSED)
{
	struct world w;
	struct way_target target;
	int ann, bob;
	struct way *way;

	begin(&w);
	target = (struct way_target){ .where = &w.where };
	(void)acquire(&w, &target, &ann);
	(void)acquire(&w, &target, &ann);
	way = acquire(&w, &target, &bob);
	conntab_release_user(w.tab, &ann);
	assert_int_equal(conntab_leaks(w.tab), 2);
	assert_int_equal(conntab_leases(w.tab), 1);
	conntab_release(w.tab, way);
	assert_int_equal(conntab_leaks(w.tab), 2);
	end(&w);
}

static void a_thousand_cycles_leave_nothing(void **state UNUSED)
{
	struct world w;
	struct way_target target;

	begin(&w);
	target = (struct way_target){ .where = &w.where };
	for (int i = 0; i < 1000; i++) {
		conntab_release(w.tab, acquire(&w, &target, &w));
		if (i % 10 == 0)
			conntab_close_idle(w.tab);
	}
	conntab_close_idle(w.tab);
	assert_int_equal(conntab_sessions(w.tab), 0);
	assert_int_equal(conntab_leases(w.tab), 0);
	assert_int_equal(conntab_leaks(w.tab), 0);
	end(&w);
}

static void sessions_are_listed_for_people(void **state UNUSED)
{
	struct world w;
	struct way_target target;
	struct way *way;
	const json_t *row;
	json_t *rows;

	begin(&w);
	target = (struct way_target){ .where = &w.where, .server = "dp2" };
	way = acquire(&w, &target, &w);
	rows = conntab_json(w.tab);
	assert_int_equal(json_array_size(rows), 1);
	row = json_array_get(rows, 0);
	assert_string_equal(jsondoc_text(row, "way"), "session");
	assert_string_equal(jsondoc_text(row, "server"), "dp2");
	assert_string_equal(jsondoc_text(row, "share"), "cap");
	assert_string_equal(jsondoc_text(row, "context"), "system");
	assert_string_equal(jsondoc_text(row, "credential"), "none");
	assert_string_equal(jsondoc_text(row, "owner"), "agent");
	assert_string_equal(jsondoc_text(row, "opened"), "2023-11-14T22:13:21Z");
	assert_int_equal(jsondoc_int(row, "leases", -1), 1);
	assert_int_equal(jsondoc_int(row, "requests", -1), 0);
	json_decref(rows);
	conntab_release(w.tab, way);
	end(&w);
}

static void unknown_schemes_have_no_provider(void **state UNUSED)
{
	SCOPED(locator) struct locator where = { .text = NULL };
	struct way *way = NULL;
	struct world w;
	struct err err = { 0 };

	begin(&w);
	assert_done(locator_parse(&where, "nfs://nas/export", &err), &err);
	assert_int_equal(conntab_acquire(&way, w.tab, &(struct way_target){ .where = &where },
					 WAY_LINK_NONE, &w, &err),
			 NAL_CLASS_UNKNOWN);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	end(&w);
}

TESTING_MAIN(cmocka_unit_test(one_session_serves_all_folders_of_a_server),
	     cmocka_unit_test(sessions_are_told_apart_by_credential_and_its_change),
	     cmocka_unit_test(a_refused_account_is_not_tried_again_there),
	     cmocka_unit_test(a_session_lingers_and_ends),
	     cmocka_unit_test(a_broken_session_is_not_offered_again),
	     cmocka_unit_test(leases_of_the_dead_are_leaks),
	     cmocka_unit_test(a_thousand_cycles_leave_nothing),
	     cmocka_unit_test(sessions_are_listed_for_people),
	     cmocka_unit_test(unknown_schemes_have_no_provider), )

/* HTTP against nginx and against servers that misbehave in one way each. */
#include "support/testing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/path.h"
#include "nal/conntab.h"
#include "nal/dial.h"
#include "nal/provider.h"
#include "support/webserver.h"

struct fixture {
	struct webserver server;
	struct conntab *tab;
	struct locator where;
	struct way *way;
};

static void reach_far(struct fixture *f, const char *path, uint32_t far_us)
{
	static const struct conntab_options options = CONNTAB_OPTIONS_DEFAULT;
	struct conntab_options quick = options;
	SCOPED_TEXT char *url = webserver_url(&f->server, path);
	struct way_target target = { .where = &f->where };
	struct err err = { 0 };

	quick.limits.far_us = far_us;
	quick.limits.first_byte_ms = 500;
	quick.limits.floor_window_ms = 1000;
	f->tab = conntab_new(&quick);
	assert_done(locator_parse(&f->where, url, &err), &err);
	assert_done(conntab_acquire(&f->way, f->tab, &target, WAY_LINK_NONE, f, &err) ==
			    NAL_CLASS_OK,
		    &err);
}

static void reach(struct fixture *f, const char *path)
{
	reach_far(f, path, UINT32_MAX);
}

static void leave(struct fixture *f)
{
	conntab_release(f->tab, f->way);
	conntab_free(f->tab);
	locator_release(&f->where);
	webserver_stop(&f->server);
}

static void serve_file(const struct fixture *f, const char *name, const void *bytes, size_t size)
{
	SCOPED_TEXT char *path = path_join3(f->server.dir, "root", name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static void object_bytes(uint8_t out[WEBSERVER_OBJECT_SIZE])
{
	for (size_t i = 0; i < WEBSERVER_OBJECT_SIZE; i++)
		out[i] = (uint8_t)(i % 251);
}

/* Collects ranges, and checks that each byte is the object's. */
struct collector {
	const struct way_range *ranges;
	uint64_t got[8];
	size_t wrong;
	uint64_t stop_after;
};

static bool collect(size_t range, struct span piece, void *ctx)
{
	struct collector *c = ctx;

	for (size_t i = 0; i < piece.size; i++) {
		uint64_t at = c->ranges[range].offset + c->got[range] + i;

		c->wrong += piece.data[i] != at % 251;
	}
	c->got[range] += piece.size;
	return c->stop_after == 0 || c->got[range] < c->stop_after;
}

static void one_connection_serves_many_requests(void **state UNUSED)
{
	struct fixture f = { .way = NULL };
	struct way_target target = { .where = &f.where };
	struct way *again;
	struct err err = { 0 };

	webserver_nginx(&f.server);
	serve_file(&f, "a", "hello", 5);
	reach(&f, "");
	for (int i = 0; i < 5; i++) {
		SCOPED(way_object) struct way_object o = { .unchanged = false };

		assert_int_equal(way_get(&o, f.way, "a", &(struct way_get){ .max = 100 }, &err),
				 NAL_CLASS_OK);
		assert_string_equal(buf_text(&o.bytes), "hello");
	}
	conntab_release(f.tab, f.way);
	assert_true(conntab_is_open(f.tab, &target));
	assert_int_equal(conntab_acquire(&again, f.tab, &target, WAY_LINK_NONE, NULL, &err),
			 NAL_CLASS_OK);
	f.way = again;
	for (int i = 0; i < 3; i++) {
		SCOPED(way_object) struct way_object o = { .unchanged = false };

		/* An error page is drained, so that the connection stays. */
		assert_int_equal(way_get(&o, f.way, "none", &(struct way_get){ .max = 100 }, &err),
				 NAL_CLASS_NOT_FOUND);
		assert_int_equal(err.code, ERR_NOT_FOUND);
	}
	assert_int_equal(way_counts(f.way).connects, 1);
	assert_int_equal(way_counts(f.way).requests, 8);
	/* One more than ours: the fixture's look whether nginx is up sends nothing. */
	assert_int_equal(webserver_connections(&f.server), 1);
	leave(&f);
}

static void unchanged_objects_move_nothing(void **state UNUSED)
{
	struct fixture f = { .way = NULL };
	SCOPED(way_object) struct way_object first = { .unchanged = false };
	SCOPED(way_object) struct way_object second = { .unchanged = false };
	struct way_get get = { .max = 100 };
	struct err err = { 0 };

	webserver_nginx(&f.server);
	serve_file(&f, "timestamp.json", "{}", 2);
	reach(&f, "");
	assert_int_equal(way_get(&first, f.way, "timestamp.json", &get, &err), NAL_CLASS_OK);
	assert_true(first.token[0] != '\0');
	get.token = first.token;
	assert_int_equal(way_get(&second, f.way, "timestamp.json", &get, &err), NAL_CLASS_OK);
	assert_true(second.unchanged);
	assert_int_equal(second.bytes.size, 0);
	assert_string_equal(second.token, first.token);
	serve_file(&f, "timestamp.json", "{\"a\":1}", 7);
	assert_int_equal(way_get(&second, f.way, "timestamp.json", &get, &err), NAL_CLASS_OK);
	assert_false(second.unchanged);
	assert_int_equal(second.bytes.size, 7);
	leave(&f);
}

static void ranges_arrive_exactly(void **state UNUSED)
{
	static const struct way_range ranges[] = {
		{ 0, 1 }, { 1, 99 }, { 500, 1000 }, { 99999, 1 }
	};
	uint8_t bytes[WEBSERVER_OBJECT_SIZE];
	struct fixture f = { .way = NULL };
	struct collector c = { .ranges = ranges };
	struct err err = { 0 };

	webserver_nginx(&f.server);
	object_bytes(bytes);
	serve_file(&f, "p q", bytes, sizeof(bytes));
	reach(&f, "");
	assert_int_equal(way_read_ranges(f.way, "p q", ranges, 4, collect, &c, &err), NAL_CLASS_OK);
	assert_int_equal(c.wrong, 0);
	for (size_t i = 0; i < COUNT_OF(ranges); i++)
		assert_int_equal(c.got[i], ranges[i].size);
	assert_true(way_has_ranges(f.way));
	assert_int_equal(way_counts(f.way).bytes_in, 1101);
	/* Neighbours share a request. */
	assert_int_equal(way_counts(f.way).requests, 3);
	assert_int_equal(way_counts(f.way).connects, 1);
	leave(&f);
}

/* A large object whose byte at n is n % 251. */
static void serve_large(const struct fixture *f, const char *name, size_t size)
{
	uint8_t *bytes = alloc_resize(NULL, size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i % 251);
	serve_file(f, name, bytes, size);
	free(bytes);
}

static void a_far_server_is_read_over_several_connections(void **state UNUSED)
{
	static const struct way_range ranges[] = {
		{ 3, 1 },           { 100, 7000000 },       { 7000100, 10 },
		{ 7000110, 50000 }, { 8000000, 600 << 10 }, { 11999999, 1 },
	};
	struct fixture f = { .way = NULL };
	struct collector c = { .ranges = ranges };
	struct err err = { 0 };

	webserver_nginx(&f.server);
	serve_large(&f, "o", 12000000);
	reach_far(&f, "", 0);
	assert_int_equal(way_read_ranges(f.way, "o", ranges, 6, collect, &c, &err), NAL_CLASS_OK);
	assert_int_equal(c.wrong, 0);
	for (size_t i = 0; i < COUNT_OF(ranges); i++)
		assert_int_equal(c.got[i], ranges[i].size);
	assert_int_equal(way_counts(f.way).bytes_in, 7000012 + 50000 + (600 << 10));
	/* How many it takes depends on who is quicker; they are kept for the next read. */
	assert_in_range(way_counts(f.way).connects, 1, 6);
	c = (struct collector){ .ranges = ranges };
	assert_int_equal(way_read_ranges(f.way, "o", ranges, 6, collect, &c, &err), NAL_CLASS_OK);
	assert_int_equal(c.wrong, 0);
	assert_in_range(way_counts(f.way).connects, 1, 6);
	leave(&f);
}

static void a_sink_may_stop_several_connections(void **state UNUSED)
{
	static const struct way_range ranges[] = { { 0, 7000000 } };
	struct fixture f = { .way = NULL };
	struct collector c = { .ranges = ranges, .stop_after = 3000000 };
	struct err err = { 0 };

	webserver_nginx(&f.server);
	serve_large(&f, "o", 7000000);
	reach_far(&f, "", 0);
	assert_int_equal(way_read_ranges(f.way, "o", ranges, 1, collect, &c, &err), NAL_CLASS_OK);
	assert_int_equal(c.wrong, 0);
	assert_in_range(c.got[0], 3000000, 3600000);
	c = (struct collector){ .ranges = ranges };
	assert_int_equal(way_read_ranges(f.way, "o", ranges, 1, collect, &c, &err), NAL_CLASS_OK);
	assert_int_equal(c.got[0], 7000000);
	leave(&f);
}

static void ranges_past_the_end_are_protocol(void **state UNUSED)
{
	static const struct way_range past[] = { { 50, 100 }, { 200, 10 } };
	struct fixture f = { .way = NULL };
	struct collector c = { .ranges = past };
	struct err err = { 0 };

	webserver_nginx(&f.server);
	serve_file(&f, "short", "0123456789012345678901234567890123456789012345678901234567890",
		   60);
	reach(&f, "");
	assert_int_equal(way_read_ranges(f.way, "short", past, 1, collect, &c, &err),
			 NAL_CLASS_PROTOCOL);
	assert_int_equal(c.got[0], 0);
	assert_int_equal(way_read_ranges(f.way, "short", past + 1, 1, collect, &c, &err),
			 NAL_CLASS_PROTOCOL);
	leave(&f);
}

static void objects_are_put_and_removed(void **state UNUSED)
{
	struct fixture f = { .way = NULL };
	SCOPED(way_object) struct way_object o = { .unchanged = false };
	struct way_put put = { .mode = WAY_PUT_REPLACE, .bytes = span_of("one", 3) };
	struct way_stat st;
	struct err err = { 0 };

	webserver_nginx(&f.server);
	reach(&f, "base");
	assert_done(way_put(f.way, "sub/x", &put, &err) == NAL_CLASS_OK, &err);
	assert_done(way_get(&o, f.way, "sub/x", &(struct way_get){ .max = 3 }, &err) ==
			    NAL_CLASS_OK,
		    &err);
	assert_string_equal(buf_text(&o.bytes), "one");
	assert_int_equal(way_stat(&st, f.way, "sub/x", &err), NAL_CLASS_OK);
	assert_int_equal(st.size, 3);
	assert_int_equal(way_delete(f.way, "sub/x", &err), NAL_CLASS_OK);
	assert_int_equal(way_stat(&st, f.way, "sub/x", &err), NAL_CLASS_NOT_FOUND);
	leave(&f);
}

static void caps_are_kept(void **state UNUSED)
{
	struct fixture f = { .way = NULL };
	SCOPED(way_object) struct way_object o = { .unchanged = false };
	struct err err = { 0 };

	webserver_nginx(&f.server);
	serve_file(&f, "ten", "0123456789", 10);
	reach(&f, "");
	assert_int_equal(way_get(&o, f.way, "ten", &(struct way_get){ .max = 9 }, &err),
			 NAL_CLASS_PROTOCOL);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(o.bytes.size, 0);
	leave(&f);
}

static void a_sink_that_stops_is_no_fault(void **state UNUSED)
{
	static const struct way_range all[] = { { 0, WEBSERVER_OBJECT_SIZE } };
	uint8_t bytes[WEBSERVER_OBJECT_SIZE];
	struct fixture f = { .way = NULL };
	struct collector c = { .ranges = all, .stop_after = 1 };
	struct err err = { 0 };

	webserver_nginx(&f.server);
	object_bytes(bytes);
	serve_file(&f, "o", bytes, sizeof(bytes));
	reach(&f, "");
	assert_int_equal(way_read_ranges(f.way, "o", all, 1, collect, &c, &err), NAL_CLASS_OK);
	assert_false(way_is_broken(f.way));
	leave(&f);
}

static void names_never_leave_the_folder(void **state UNUSED)
{
	static const char *const names[] = { "../x", "/x", "a//b", "", "a/../b", "." };
	struct fixture f = { .way = NULL };
	SCOPED(way_object) struct way_object o = { .unchanged = false };
	struct err err = { 0 };

	webserver_nginx(&f.server);
	reach(&f, "base");
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		assert_int_equal(way_get(&o, f.way, names[i], &(struct way_get){ .max = 9 }, &err),
				 NAL_CLASS_UNKNOWN);
		assert_int_equal(err.code, ERR_REFUSED);
	}
	assert_int_equal(way_counts(f.way).requests, 0);
	leave(&f);
}

/* Each misbehaviour, what it is called, and how long it may hold us. */
static const struct {
	const char *why;
	enum webserver_fault fault;
	enum nal_class get, ranges;
	enum err_code code; /* of get */
	uint32_t within_ms;
} faults[] = {
	{ "silent after connect", WEBSERVER_SILENT, NAL_CLASS_TIMEOUT, NAL_CLASS_TIMEOUT,
	  ERR_NET_TIMEOUT, 1500 },
	{ "a head that drips is silence", WEBSERVER_DRIPS_HEAD, NAL_CLASS_TIMEOUT,
	  NAL_CLASS_TIMEOUT, ERR_NET_TIMEOUT, 1500 },
	{ "an endless head stops at its cap", WEBSERVER_ENDLESS_HEAD, NAL_CLASS_PROTOCOL,
	  NAL_CLASS_PROTOCOL, ERR_LIMIT, 1500 },
	{ "an endless body stops at the cap, or when all ranges are there", WEBSERVER_ENDLESS_BODY,
	  NAL_CLASS_PROTOCOL, NAL_CLASS_OK, ERR_LIMIT, 1500 },
	{ "ten bytes a second are below the floor", WEBSERVER_DRIPS_BODY, NAL_CLASS_SLOW,
	  NAL_CLASS_SLOW, ERR_NET_TIMEOUT, 3500 },
	{ "another range than asked for", WEBSERVER_WRONG_RANGE, NAL_CLASS_PROTOCOL,
	  NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL, 1500 },
	{ "a longer body than its range", WEBSERVER_LONG_RANGE, NAL_CLASS_PROTOCOL,
	  NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL, 1500 },
	{ "an encoding that was not asked for", WEBSERVER_FORCED_GZIP, NAL_CLASS_PROTOCOL,
	  NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL, 1500 },
	{ "a connection cut in the middle", WEBSERVER_CUTS, NAL_CLASS_UNREACHABLE,
	  NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE, 1500 },
	{ "hung up without an answer", WEBSERVER_HANGS_UP, NAL_CLASS_UNREACHABLE,
	  NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE, 1500 },
	{ "a redirect to another host is not followed", WEBSERVER_SENDS_AWAY, NAL_CLASS_PROTOCOL,
	  NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL, 1500 },
	{ "redirects in a circle end", WEBSERVER_SENDS_ROUND, NAL_CLASS_PROTOCOL,
	  NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL, 1500 },
	{ "what talks first is no web server", WEBSERVER_NO_HTTP, NAL_CLASS_PROTOCOL,
	  NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL, 1500 },
	{ "too busy (Q268500)", WEBSERVER_BUSY, NAL_CLASS_BUSY, NAL_CLASS_BUSY, ERR_NET, 1500 },
	{ "forbidden", WEBSERVER_FORBIDS, NAL_CLASS_DENIED, NAL_CLASS_DENIED, ERR_NET_DENIED,
	  1500 },
	{ "304 without a condition", WEBSERVER_LIES_UNCHANGED, NAL_CLASS_PROTOCOL,
	  NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL, 1500 },
};

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

static void check_class(const char *why, enum nal_class got, enum nal_class want, uint64_t ms,
			uint32_t within_ms, const struct err *err)
{
	if (got != want)
		fail_msg("%s: %s instead of %s (%s)", why, nal_class_name(got),
			 nal_class_name(want), err->why);
	if (ms > within_ms)
		fail_msg("%s: took %llu ms", why, (unsigned long long)ms);
}

/* A server that answers too late for a limit looks silent. */
static bool is_late(enum nal_class got, enum nal_class want, uint64_t ms, uint32_t within_ms)
{
	return ms > within_ms || (got == NAL_CLASS_TIMEOUT && want != NAL_CLASS_TIMEOUT);
}

/* Two ranges, so that a server that counts as far is asked for both at once. False: it came late,
 * and is tried again. */
static bool try_far(size_t i, bool is_last)
{
	static const struct way_range some[] = { { 1000, 4000 }, { 5500, 500 } };
	struct fixture f = { .way = NULL };
	struct collector c = { .ranges = some };
	struct err err = { 0 };
	uint64_t begun, took;
	enum nal_class class;
	bool counts;

	webserver_hostile(&f.server, faults[i].fault);
	reach_far(&f, "x", 0);
	begun = now();
	class = way_read_ranges(f.way, "o", some, 2, collect, &c, &err);
	took = now() - begun;
	leave(&f);
	counts = is_last || !is_late(class, faults[i].ranges, took, faults[i].within_ms);
	if (counts)
		check_class(faults[i].why, class, faults[i].ranges, took, faults[i].within_ms,
			    &err);
	return counts;
}

static bool try_get(struct fixture *f, size_t i, bool is_last)
{
	SCOPED(way_object) struct way_object o = { .unchanged = false };
	struct err err = { 0 };
	uint64_t begun = now(), took;
	enum nal_class class;

	class = way_get(&o, f->way, "o", &(struct way_get){ .max = 3u << 20 }, &err);
	took = now() - begun;
	if (!is_last && is_late(class, faults[i].get, took, faults[i].within_ms))
		return false;
	check_class(faults[i].why, class, faults[i].get, took, faults[i].within_ms, &err);
	assert_int_equal(err.code, faults[i].code);
	assert_int_equal(o.bytes.size, 0);
	return true;
}

static bool try_ranges(struct fixture *f, size_t i, bool is_last)
{
	static const struct way_range some[] = { { 1000, 5000 } };
	struct collector c = { .ranges = some };
	struct err err = { 0 };
	uint64_t begun = now(), took;
	enum nal_class class;

	class = way_read_ranges(f->way, "o", some, 1, collect, &c, &err);
	took = now() - begun;
	if (!is_last && is_late(class, faults[i].ranges, took, faults[i].within_ms))
		return false;
	check_class(faults[i].why, class, faults[i].ranges, took, faults[i].within_ms, &err);
	return true;
}

static bool try_near(size_t i, bool is_last)
{
	struct fixture f = { .way = NULL };
	bool counts;

	webserver_hostile(&f.server, faults[i].fault);
	reach(&f, "x");
	counts = try_get(&f, i, is_last) && try_ranges(&f, i, is_last);
	leave(&f);
	return counts;
}

static void try_each(bool (*try_one)(size_t i, bool is_last))
{
	for (size_t i = 0; i < COUNT_OF(faults); i++)
		for (int left = TESTING_TRIES; !try_one(i, left == 1); left--)
			;
}

static void misbehaving_far_servers_get_their_class(void **state UNUSED)
{
	try_each(try_far);
}

static void misbehaving_servers_get_their_class(void **state UNUSED)
{
	try_each(try_near);
}

static void far_servers_without_ranges_are_read_from_the_start(void **state UNUSED)
{
	static const struct way_range ranges[] = { { 10, 90 }, { 5000, 20000 } };
	struct fixture f = { .way = NULL };
	struct collector c = { .ranges = ranges };
	struct err err = { 0 };

	webserver_hostile(&f.server, WEBSERVER_NO_RANGES);
	reach_far(&f, "x", 0);
	assert_int_equal(way_read_ranges(f.way, "o", ranges, 2, collect, &c, &err), NAL_CLASS_OK);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(c.got[0], 90);
	assert_int_equal(c.got[1], 20000);
	assert_false(way_has_ranges(f.way));
	leave(&f);
}

static void servers_without_ranges_are_read_from_the_start(void **state UNUSED)
{
	static const struct way_range ranges[] = { { 10, 90 }, { 5000, 20000 } };
	struct fixture f = { .way = NULL };
	struct collector c = { .ranges = ranges };
	struct err err = { 0 };

	webserver_hostile(&f.server, WEBSERVER_NO_RANGES);
	reach(&f, "x");
	assert_int_equal(way_read_ranges(f.way, "o", ranges, 2, collect, &c, &err), NAL_CLASS_OK);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(c.got[0], 90);
	assert_int_equal(c.got[1], 20000);
	assert_false(way_has_ranges(f.way));
	assert_int_equal(way_counts(f.way).requests, 1);
	leave(&f);
}

static void redirects_within_the_server_are_followed(void **state UNUSED)
{
	struct fixture f = { .way = NULL };
	SCOPED(way_object) struct way_object o = { .unchanged = false };
	struct err err = { 0 };

	webserver_hostile(&f.server, WEBSERVER_SENDS_ON);
	reach(&f, "x");
	assert_int_equal(way_get(&o, f.way, "o", &(struct way_get){ .max = 100 }, &err),
			 NAL_CLASS_OK);
	assert_string_equal(buf_text(&o.bytes), "there");
	leave(&f);
}

static void dead_ports_are_classified(void **state UNUSED)
{
	struct webserver refusing, hole;
	struct way_link link;
	struct err err = { 0 };
	uint64_t took = UINT64_MAX;

	webserver_refusing(&refusing);
	webserver_black_hole(&hole);
	assert_int_equal(dial_wait(&link, "127.0.0.1", refusing.port, 1000, &err),
			 NAL_CLASS_UNREACHABLE);
	assert_int_equal(err.code, ERR_NET_REFUSED);
	for (int i = 0; i < TESTING_TRIES && took > 900; i++) {
		uint64_t begun = now();

		assert_int_equal(dial_wait(&link, "127.0.0.1", hole.port, 300, &err),
				 NAL_CLASS_TIMEOUT);
		assert_int_equal(err.code, ERR_NET_TIMEOUT);
		took = now() - begun;
	}
	assert_in_range(took, 290, 900);
	assert_int_equal(dial_wait(&link, "no-such-host.invalid", 80, 2000, &err),
			 NAL_CLASS_UNREACHABLE);
	assert_int_equal(err.code, ERR_NET_NAME);
	webserver_stop(&refusing);
	webserver_stop(&hole);
}

static void a_server_that_went_away_is_not_open(void **state UNUSED)
{
	struct fixture f = { .way = NULL };
	struct way_target target = { .where = &f.where };
	SCOPED(way_object) struct way_object o = { .unchanged = false };
	struct err err = { 0 };

	webserver_nginx(&f.server);
	serve_file(&f, "a", "hello", 5);
	reach(&f, "");
	assert_int_equal(way_get(&o, f.way, "a", &(struct way_get){ .max = 100 }, &err),
			 NAL_CLASS_OK);
	conntab_release(f.tab, f.way);
	f.way = NULL;
	assert_true(conntab_is_open(f.tab, &target));
	webserver_stop(&f.server);
	assert_false(conntab_is_open(f.tab, &target));
	assert_int_equal(conntab_acquire(&f.way, f.tab, &target, WAY_LINK_NONE, NULL, &err),
			 NAL_CLASS_UNREACHABLE);
	leave(&f);
}

/* A small upload to a server that takes it and says nothing. How long it takes, in ms. */
static uint64_t upload_to_a_silent_server(void)
{
	struct fixture f = { .way = NULL };
	struct way_put put = { .mode = WAY_PUT_CREATE, .bytes = span_of("envelope", 8) };
	struct err err = { 0 };
	uint64_t begun, took;

	webserver_hostile(&f.server, WEBSERVER_SILENT);
	reach(&f, "inbox");
	begun = now();
	assert_int_equal(way_put(f.way, "x", &put, &err), NAL_CLASS_TIMEOUT);
	took = now() - begun;
	leave(&f);
	return took;
}

static void uploads_to_a_silent_server_end(void **state UNUSED)
{
	uint64_t took = UINT64_MAX;

	for (int i = 0; i < TESTING_TRIES && took > 1500; i++)
		took = upload_to_a_silent_server();
	assert_in_range(took, 490, 1500);
}

static enum nal_class get_over_tls(struct fixture *f, const char *ca, struct err *err)
{
	struct conntab_options options = CONNTAB_OPTIONS_DEFAULT;
	SCOPED_TEXT char *url = alloc_printf("https://127.0.0.1:%u/", f->server.tls_port);
	struct way_target target = { .where = &f->where };
	enum nal_class class = NAL_CLASS_OK;

	options.limits.tls_ca_file = ca;
	f->tab = conntab_new(&options);
	assert_done(locator_parse(&f->where, url, err), err);
	assert_done(conntab_acquire(&f->way, f->tab, &target, WAY_LINK_NONE, f, err) ==
			    NAL_CLASS_OK,
		    err);
	for (int i = 0; i < 3 && class == NAL_CLASS_OK; i++) {
		SCOPED(way_object) struct way_object o = { .unchanged = false };

		class = way_get(&o, f->way, "a", &(struct way_get){ .max = 100 }, err);
	}
	if (class == NAL_CLASS_OK)
		assert_int_equal(way_counts(f->way).connects, 1);
	conntab_release(f->tab, f->way);
	conntab_free(f->tab);
	locator_release(&f->where);
	return class;
}

static void tls_wants_a_certificate_that_is_trusted(void **state UNUSED)
{
	struct fixture f = { .way = NULL };
	SCOPED_TEXT char *ca = NULL;
	struct err err = { 0 };

	webserver_nginx_tls(&f.server);
	serve_file(&f, "a", "hello", 5);
	ca = path_join(f.server.dir, "cert.pem");
	assert_done(get_over_tls(&f, ca, &err) == NAL_CLASS_OK, &err);
	assert_int_equal(get_over_tls(&f, NULL, &err), NAL_CLASS_PROTOCOL);
	assert_int_equal(err.code, ERR_NET_TLS);
	assert_int_equal(get_over_tls(&f, "/none.pem", &err), NAL_CLASS_PROTOCOL);
	assert_int_equal(err.code, ERR_NET_TLS);
	webserver_stop(&f.server);
}

TESTING_MAIN(cmocka_unit_test(one_connection_serves_many_requests),
	     cmocka_unit_test(unchanged_objects_move_nothing),
	     cmocka_unit_test(ranges_arrive_exactly),
	     cmocka_unit_test(a_far_server_is_read_over_several_connections),
	     cmocka_unit_test(a_sink_may_stop_several_connections),
	     cmocka_unit_test(misbehaving_far_servers_get_their_class),
	     cmocka_unit_test(far_servers_without_ranges_are_read_from_the_start),
	     cmocka_unit_test(ranges_past_the_end_are_protocol),
	     cmocka_unit_test(objects_are_put_and_removed), cmocka_unit_test(caps_are_kept),
	     cmocka_unit_test(a_sink_that_stops_is_no_fault),
	     cmocka_unit_test(names_never_leave_the_folder),
	     cmocka_unit_test(misbehaving_servers_get_their_class),
	     cmocka_unit_test(servers_without_ranges_are_read_from_the_start),
	     cmocka_unit_test(redirects_within_the_server_are_followed),
	     cmocka_unit_test(dead_ports_are_classified),
	     cmocka_unit_test(a_server_that_went_away_is_not_open),
	     cmocka_unit_test(uploads_to_a_silent_server_end),
	     cmocka_unit_test(tls_wants_a_certificate_that_is_trusted), )

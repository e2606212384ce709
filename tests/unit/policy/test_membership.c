#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "support/testing.h"

#include "policy/membership.h"

#define ME "0123456789abcdef0123456789abcdef"

static struct membership *new_client(void)
{
	struct membership *m = NULL;
	json_auto_t *tables = json_pack(
		"{s:[{s:s}], s:[{s:s,s:s}], s:[{s:s,s:s},{s:s,s:s}], s:[{s:i,s:i}], s:[{s:i}]}",
		"client", "name", "lab-01", "os", "id", "debian", "version", "12", "software",
		"name", "nginx", "version", "1.22", "name", "vim", "version", "9", "hardware",
		"cores", 4, "memory_mb", 8192, "unknown", "x", 1);
	struct err err;

	assert_done(membership_new(&m, ME, &err), &err);
	assert_done(membership_load(m, tables, &err), &err);
	return m;
}

static enum membership_result ask(const char *query, char *reason)
{
	SCOPED(membership) struct membership *m = new_client();
	const struct docs_collection c = { .name = "c", .query = query, .percent = DOCS_NEVER };

	return membership_evaluate(m, &c, reason);
}

static void queries_decide_about_this_client_only(void **state UNUSED)
{
	static const struct {
		const char *why, *query;
		enum membership_result want;
	} cases[] = {
		{ "everybody", "SELECT client_id FROM client", MEMBERSHIP_MEMBER },
		{ "a semicolon and a comment end it", "SELECT client_id FROM client; -- all",
		  MEMBERSHIP_MEMBER },
		{ "a table of its own", "SELECT client_id FROM software WHERE name = 'nginx'",
		  MEMBERSHIP_MEMBER },
		{ "nothing that is here", "SELECT client_id FROM software WHERE name = 'emacs'",
		  MEMBERSHIP_NOT_MEMBER },
		{ "a join",
		  "SELECT c.client_id FROM client c JOIN os USING (client_id) WHERE os.version >= '12'",
		  MEMBERSHIP_MEMBER },
		{ "a limit is over one client, so it means everybody",
		  "SELECT client_id FROM client ORDER BY client_id LIMIT 10", MEMBERSHIP_MEMBER },
		{ "numbers", "SELECT client_id FROM hardware WHERE memory_mb > 4096",
		  MEMBERSHIP_MEMBER },
		{ "a listed function",
		  "SELECT client_id FROM client WHERE lower(name) LIKE 'lab-%'",
		  MEMBERSHIP_MEMBER },
		{ "another client's id", "SELECT '" ME "x'", MEMBERSHIP_NOT_MEMBER },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char reason[MEMBERSHIP_REASON_MAX];

		if (ask(cases[i].query, reason) != cases[i].want)
			fail_msg("%s: %s (%s)", cases[i].why, cases[i].query, reason);
	}
}

static void what_is_no_predicate_is_refused(void **state UNUSED)
{
	static const struct {
		const char *why, *query;
	} cases[] = {
		{ "nothing", "" },
		{ "no SQL", "hello" },
		{ "a write", "DELETE FROM client" },
		{ "a write that returns", "DELETE FROM client RETURNING client_id" },
		{ "a table is made", "CREATE TABLE x (y)" },
		{ "two statements", "SELECT client_id FROM client; SELECT 1" },
		{ "a hidden second", "SELECT client_id FROM client; DROP TABLE client" },
		{ "a pragma", "PRAGMA table_info(client)" },
		{ "a pragma as a function", "SELECT name FROM pragma_table_info('client')" },
		{ "another file", "ATTACH '/etc/passwd' AS x" },
		{ "randomness", "SELECT client_id FROM client WHERE random() > 0" },
		{ "the clock", "SELECT client_id FROM client WHERE date('now') > '2020'" },
		{ "the clock in another way",
		  "SELECT client_id FROM client WHERE strftime('%s','now') > 1" },
		{ "the clock as a word",
		  "SELECT client_id FROM client WHERE current_timestamp > 'a'" },
		{ "the schema", "SELECT name FROM sqlite_master" },
		{ "an extension", "SELECT load_extension('x')" },
		{ "two columns", "SELECT client_id, name FROM client" },
		{ "an explanation", "EXPLAIN SELECT client_id FROM client" },
		{ "no end",
		  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n" },
		{ "all of memory", "SELECT hex(zeroblob(1000000000))" },
		{ "depth",
		  "SELECT ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("
		  "(((((((((((((((((((((((((((((((((((((((1" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char reason[MEMBERSHIP_REASON_MAX] = "";
		struct err err;

		if (ask(cases[i].query, reason) != MEMBERSHIP_ERROR || reason[0] == '\0')
			fail_msg("%s was evaluated: %s", cases[i].why, cases[i].query);
		if (membership_check_query(cases[i].query, &err))
			fail_msg("%s was accepted: %s", cases[i].why, cases[i].query);
	}
}

static void memory_is_bounded(void **state UNUSED)
{
	static const struct {
		const char *why, *query;
	} cases[] = {
		{ "rows to sort",
		  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) "
		  "SELECT printf('%60000d', i) FROM n ORDER BY 1" },
		{ "rows to tell apart",
		  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) "
		  "SELECT DISTINCT printf('%60000d', i) FROM n" },
		{ "a queue that doubles",
		  "WITH RECURSIVE n(t) AS (SELECT printf('%60000d', 1) UNION ALL "
		  "SELECT n.t FROM n, (SELECT 1 UNION ALL SELECT 2)) SELECT t FROM n" },
		{ "one long text",
		  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) "
		  "SELECT group_concat(printf('%60000d', i)) FROM n" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char reason[MEMBERSHIP_REASON_MAX] = "";
		int64_t most;

		(void)sqlite3_memory_highwater(1);
		if (ask(cases[i].query, reason) != MEMBERSHIP_ERROR)
			fail_msg("%s was evaluated", cases[i].why);
		most = sqlite3_memory_highwater(0);
		if (most > 2 * MEMBERSHIP_MEMORY_MAX)
			fail_msg("%s took %lld bytes (%s)", cases[i].why, (long long)most, reason);
	}
}

static void a_handle_survives_refusals(void **state UNUSED)
{
	SCOPED(membership) struct membership *m = new_client();
	struct docs_collection c = { .name = "c", .query = "DROP TABLE client", .percent = -1 };
	char reason[MEMBERSHIP_REASON_MAX];

	assert_int_equal(membership_evaluate(m, &c, reason), MEMBERSHIP_ERROR);
	c.query = "SELECT client_id FROM client";
	assert_int_equal(membership_evaluate(m, &c, reason), MEMBERSHIP_MEMBER);
}

static void named_members_are_found_by_their_hash(void **state UNUSED)
{
	SCOPED(membership) struct membership *m = new_client();
	char hash[65], reason[MEMBERSHIP_REASON_MAX];
	const char *members[] = { hash };
	struct docs_collection c = {
		.name = "c",
		.members = members,
		.member_count = 1,
		.salt = "00112233445566778899aabbccddeeff",
		.percent = DOCS_NEVER,
	};

	docs_member_hash(hash, c.salt, ME);
	assert_int_equal(membership_evaluate(m, &c, reason), MEMBERSHIP_MEMBER);
	docs_member_hash(hash, c.salt, "0123456789abcdef0123456789abcdee");
	assert_int_equal(membership_evaluate(m, &c, reason), MEMBERSHIP_NOT_MEMBER);
}

static size_t sample(int64_t percent, bool *in)
{
	const struct docs_collection c = {
		.name = "pilot",
		.query = "SELECT client_id FROM client",
		.percent = percent,
	};
	size_t count = 0;

	for (unsigned int i = 0; i < 2000; i++) {
		SCOPED(membership) struct membership *m = NULL;
		json_auto_t *nothing = json_object();
		char id[33], reason[MEMBERSHIP_REASON_MAX];
		struct err err;

		snprintf(id, sizeof(id), "%032x", i);
		assert_done(membership_new(&m, id, &err), &err);
		assert_done(membership_load(m, nothing, &err), &err);
		in[i] = membership_evaluate(m, &c, reason) == MEMBERSHIP_MEMBER;
		count += in[i];
	}
	return count;
}

static void a_percentage_is_a_stable_sample(void **state UNUSED)
{
	static bool ten[2000], half[2000];

	assert_in_range(sample(10, ten), 150, 250);
	assert_in_range(sample(50, half), 900, 1100);
	for (size_t i = 0; i < 2000; i++)
		assert_true(!ten[i] || half[i]);
}

TESTING_MAIN(cmocka_unit_test(queries_decide_about_this_client_only),
	     cmocka_unit_test(what_is_no_predicate_is_refused), cmocka_unit_test(memory_is_bounded),
	     cmocka_unit_test(a_handle_survives_refusals),
	     cmocka_unit_test(named_members_are_found_by_their_hash),
	     cmocka_unit_test(a_percentage_is_a_stable_sample), )

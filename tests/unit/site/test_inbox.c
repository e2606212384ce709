/* The order in which an inbox's objects are taken. */
#include "site/inbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "support/testing.h"

#define CLIENT_A "0123456789abcdef0123456789abcdef"
#define CLIENT_B "fedcba9876543210fedcba9876543210"

static struct inbox_entry entry(const char *client, uint64_t first)
{
	struct inbox_entry e = {
		.name = alloc_printf("%s-%llu", client, (unsigned long long)first),
		.class = first == 0 ? INBOX_ENROLMENT : INBOX_RECORDS,
		.promised = { .first = first },
	};

	snprintf(e.promised.client, sizeof(e.promised.client), "%s", client);
	snprintf(e.promised.stream, sizeof(e.promised.stream), "%s", CLIENT_A);
	return e;
}

static void release(struct inbox_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(entries[i].name);
}

static void clients_take_turns(void **state UNUSED)
{
	struct inbox_entry e[] = {
		entry(CLIENT_A, 9), entry(CLIENT_A, 5), entry(CLIENT_A, 1),
		entry(CLIENT_A, 7), entry(CLIENT_B, 1), entry(CLIENT_A, 3),
	};

	inbox_sort(e, COUNT_OF(e), 0);
	/* Both firsts, then the rest of the one that sends much, in its sequence. */
	assert_int_equal(e[0].promised.first, 1);
	assert_int_equal(e[1].promised.first, 1);
	assert_string_not_equal(e[0].promised.client, e[1].promised.client);
	for (size_t i = 2; i < COUNT_OF(e); i++) {
		assert_string_equal(e[i].promised.client, CLIENT_A);
		assert_int_equal(e[i].promised.first, 2 * i - 1);
		assert_int_equal(e[i].turn, i - 1);
	}
	release(e, COUNT_OF(e));
}

static void the_lot_decides_who_is_first(void **state UNUSED)
{
	struct inbox_entry e[] = { entry(CLIENT_A, 1), entry(CLIENT_B, 1) };

	inbox_sort(e, COUNT_OF(e), 0);
	assert_string_equal(e[0].promised.client, CLIENT_A);
	inbox_sort(e, COUNT_OF(e), UINT64_MAX);
	assert_string_equal(e[0].promised.client, CLIENT_B);
	release(e, COUNT_OF(e));
}

static void enrolments_come_first_and_foreign_files_last(void **state UNUSED)
{
	struct inbox_entry e[] = {
		{ .name = alloc_text("a note"), .class = INBOX_FOREIGN },
		entry(CLIENT_A, 1),
		entry(CLIENT_B, 0),
	};

	inbox_sort(e, COUNT_OF(e), 42);
	assert_int_equal(e[0].class, INBOX_ENROLMENT);
	assert_int_equal(e[1].class, INBOX_RECORDS);
	assert_int_equal(e[2].class, INBOX_FOREIGN);
	release(e, COUNT_OF(e));
}

TESTING_MAIN(cmocka_unit_test(clients_take_turns), cmocka_unit_test(the_lot_decides_who_is_first),
	     cmocka_unit_test(enrolments_come_first_and_foreign_files_last))

/* How content came, as words and as members of a record. */
#include "support/testing.h"

#include "common/alloc.h"
#include "nal/arrival.h"

static const struct {
	const char *words;
	struct arrival arrival;
} arrivals[] = {
	{ "", { .cost = { ARRIVAL_UNKNOWN, 0, 0 } } },
	{ "every byte of it was here", { .cost = { ARRIVAL_NONE, 0, 0 } } },
	{ "1.2 MB came as ranges in 5 requests", { .cost = { ARRIVAL_RANGES, 1200000, 5 } } },
	{ "21.4 kB came as a patch in 1 request, where ranges were 1.2 MB in 5",
	  { .cost = { ARRIVAL_PATCH, 21400, 1 }, .instead = { ARRIVAL_RANGES, 1200000, 5 } } },
	{ "900 B came as ranges in 2 requests, where a patch was 1.0 kB in 2",
	  { .cost = { ARRIVAL_RANGES, 900, 2 }, .instead = { ARRIVAL_PATCH, 1000, 2 } } },
	{ "2.0 MB came as a first-install stream in 2 requests, where ranges were 3.0 MB in 9",
	  { .cost = { ARRIVAL_STREAM, 2000000, 2 }, .instead = { ARRIVAL_RANGES, 3000000, 9 } } },
	{ "a mount has it come as ranges, as they are read",
	  { .cost = { ARRIVAL_RANGES, 0, 0 }, .by_mount = true } },
};

static void each_kind_has_its_words(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(arrivals); i++) {
		SCOPED(buf) struct buf out = { 0 };

		arrival_print(&out, &arrivals[i].arrival);
		buf_put_u8(&out, '\0');
		assert_string_equal((const char *)out.data, arrivals[i].words);
	}
}

static void members_read_back_the_same(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(arrivals); i++) {
		json_auto_t *doc = json_object();
		struct arrival again;
		struct err err = { 0 };

		arrival_set(doc, &arrivals[i].arrival);
		assert_done(arrival_parse(&again, doc, &err), &err);
		assert_memory_equal(&again.cost, &arrivals[i].arrival.cost, sizeof(again.cost));
		assert_memory_equal(&again.instead, &arrivals[i].arrival.instead,
				    sizeof(again.instead));
		assert_int_equal(again.by_mount, arrivals[i].arrival.by_mount);
	}
}

static void what_is_unknown_is_no_member(void **state UNUSED)
{
	json_auto_t *doc = json_object();

	arrival_set(doc, &arrivals[0].arrival);
	assert_int_equal(json_object_size(doc), 0);
}

static void wrong_members_are_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"{\"how\":\"pigeon\",\"bytes_network\":1,\"requests\":1}",
		"{\"how\":\"unknown\",\"bytes_network\":1,\"requests\":1}",
		"{\"how\":\"patch\",\"bytes_network\":-1,\"requests\":1}",
		"{\"how\":\"patch\",\"requests\":1}",
		"{\"how\":\"patch\",\"bytes_network\":1,\"requests\":1,\"instead\":{\"how\":\"\"}}",
	};

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		json_auto_t *doc = NULL;
		struct arrival out;
		struct err err = { 0 };

		assert_done(jsondoc_read(&doc, span_of_text(wrong[i]), &err), &err);
		assert_false(arrival_parse(&out, doc, &err));
		assert_int_equal(err.code, ERR_FORMAT);
	}
}

TESTING_MAIN(cmocka_unit_test(each_kind_has_its_words),
	     cmocka_unit_test(members_read_back_the_same),
	     cmocka_unit_test(what_is_unknown_is_no_member),
	     cmocka_unit_test(wrong_members_are_refused), )

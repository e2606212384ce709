#include "support/testing.h"

#include <string.h>

#include "nal/preference.h"

static void entries_match_by_name_server_share_and_prefix(void **state UNUSED)
{
	static const struct {
		const char *why, *entry;
		bool want;
	} cases[] = {
		{ "the system's name", "nas12", true },
		{ "in another case", "NAS12", true },
		{ "the host of an address", "files.example", true },
		{ "another name", "nas1", false },
		{ "server and share", "smb://files.example/PackWay", true },
		{ "the whole address", "smb://files.example/packway/content", true },
		{ "a prefix in another case", "smb://files.example/packway/CONTENT", true },
		{ "a longer path", "smb://files.example/packway/content/LON00001", false },
		{ "half a component", "smb://files.example/packway/cont", false },
		{ "another share", "smb://files.example/other", false },
		{ "another scheme", "http://files.example/packway", false },
		{ "the second address", "http://web/packway", true },
		{ "a UNC path", "\\\\FILES.EXAMPLE\\packway", true },
		{ "a server as explorers write it", "\\\\Files.Example", true },
		{ "a NAL path to a package's folder",
		  "[\"Display=\\\\x\\\"]MSWNET:[\"SMS_SITE=LON\"]"
		  "\\\\Files.Example\\Packway\\Content\\LON00001\\",
		  true },
		{ "a NAL path beside the system's folder",
		  "MSWNET:\\\\files.example\\packway\\other\\LON00001\\", false },
		{ "a NAL path of a server",
		  "[\"Display=x\"]MSWNET:[\"SMS_SITE=LON\"]\\\\FILES.EXAMPLE\\", true },
		{ "a NAL path of a folder", "LOCAL:\\srv\\packway\\", false },
		{ "a NAL path of another server", "MSWNET:\\\\files\\", false },
		{ "a NAL path",
		  "[\"Display=x\"]MSWNET:[\"SMS_SITE=LON\"]\\\\files.example\\packway\\", true },
	};
	SCOPED(locator) struct locator smb = { 0 }, http = { 0 };
	const struct locator *const addresses[] = { &smb, &http };
	struct err err;

	assert_done(locator_parse(&smb, "smb://files.example/packway/content", &err), &err);
	assert_done(locator_parse(&http, "http://web/packway", &err), &err);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(preference_entry) struct preference_entry entry = { 0 };

		assert_done(preference_entry_parse(&entry, cases[i].entry, &err), &err);
		if (preference_matches(&entry, "nas12", addresses, 2) != cases[i].want)
			fail_msg("%s: %s", cases[i].why, cases[i].entry);
	}
}

static void nonsense_is_refused(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum err_code want;
	} cases[] = {
		{ "", ERR_FORMAT },
		{ "two words", ERR_FORMAT },
		{ "ftp://x/y", ERR_UNSUPPORTED },
		{ "smb://u:p@x/y", ERR_REFUSED },
		{ "NWBIND:\\\\nw\\sys", ERR_UNSUPPORTED },
		{ "a/b", ERR_FORMAT },
		{ "C:\\SMSPKG", ERR_UNSUPPORTED },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct preference_entry entry;
		struct err err;

		assert_false(preference_entry_parse(&entry, cases[i].text, &err));
		if (err.code != cases[i].want)
			fail_msg("%s: %s", cases[i].text, err_name(err.code));
	}
}

static void lists_are_kept_apart_and_survive_storing(void **state UNUSED)
{
	SCOPED(preference) struct preference p = { 0 }, again = { 0 };
	SCOPED(buf) struct buf text = { 0 }, twice = { 0 };
	struct err err;

	assert_done(preference_add(&p, KIND_CAP, "cap1", &err), &err);
	assert_done(preference_add(&p, KIND_DP, "dp1", &err), &err);
	assert_done(preference_add(&p, KIND_DP, "smb://nas/p", &err), &err);
	assert_done(preference_add(&p, KIND_DP, "DP1", &err), &err);
	assert_int_equal(p.lists[KIND_DP].count, 2);
	assert_done(preference_set_policy(&p, "preferred-only", &err), &err);
	preference_write(&text, &p);
	assert_done(preference_read(&again, buf_span(&text), &err), &err);
	preference_write(&twice, &again);
	assert_string_equal(buf_text(&text), buf_text(&twice));
	assert_string_equal(again.policy, "preferred-only");
	assert_true(preference_remove(&again, KIND_DP, "dP1"));
	assert_false(preference_remove(&again, KIND_DP, "dp1"));
	assert_int_equal(again.lists[KIND_DP].count, 1);
	assert_string_equal(again.lists[KIND_DP].entries[0].text, "smb://nas/p");
}

static void stored_nonsense_is_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"",
		"{}",
		"{\"format\":2,\"cap\":[],\"dp\":[],\"policy\":null}",
		"{\"format\":1,\"cap\":[],\"policy\":null}",
		"{\"format\":1,\"cap\":[1],\"dp\":[],\"policy\":null}",
		"{\"format\":1,\"cap\":[\"a b\"],\"dp\":[],\"policy\":null}",
		"{\"format\":1,\"cap\":[],\"dp\":[],\"policy\":\"fastest\"}",
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct preference p;
		struct err err;

		if (preference_read(&p, span_of_text(texts[i]), &err))
			fail_msg("%s is taken", texts[i]);
	}
}

TESTING_MAIN(cmocka_unit_test(entries_match_by_name_server_share_and_prefix),
	     cmocka_unit_test(nonsense_is_refused),
	     cmocka_unit_test(lists_are_kept_apart_and_survive_storing),
	     cmocka_unit_test(stored_nonsense_is_refused), )

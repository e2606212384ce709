#include "support/testing.h"

#include <string.h>

#include "common/alloc.h"
#include "nal/nalpath.h"

static void paths_print_back_byte_for_byte(void **state UNUSED)
{
	static const struct {
		const char *why, *text, *url; /* NULL: no place of ours */
		enum nalpath_provider provider;
		bool is_container;
	} cases[] = {
		{ "the path of the design",
		  "[\"Display=\\\\S\\\"]MSWNET:[\"SMS_SITE=LON\",\"PREFERRED\"]"
		  "\\\\S\\SMSPKGD$\\LON00001\\",
		  "smb://s/SMSPKGD%24/LON00001", NALPATH_MSWNET, true },
		{ "no qualifiers", "MSWNET:\\\\S\\SMSPKGD$", "smb://s/SMSPKGD%24", NALPATH_MSWNET,
		  false },
		{ "written in lower case", "mswnet:\\\\s\\p\\", "smb://s/p", NALPATH_MSWNET, true },
		{ "empty brackets", "[]MSWNET:[]\\\\S\\p\\", "smb://s/p", NALPATH_MSWNET, true },
		{ "a bare UNC path", "\\\\NAS\\packway\\a b", "smb://nas/packway/a%20b",
		  NALPATH_GENERIC, false },
		{ "GENERIC", "GENERIC:\\\\S\\p", "smb://s/p", NALPATH_GENERIC, false },
		{ "a folder", "LOCAL:\\srv\\packway\\", "file:///srv/packway", NALPATH_LOCAL,
		  true },
		{ "a drive is no folder of Linux", "LOCAL:C:\\SMSPKG\\", NULL, NALPATH_LOCAL,
		  true },
		{ "NetWare bindery", "[\"Display=NW1\"]NWBIND:[\"SMS_SITE=LON\"]\\\\NW1\\SYS\\P\\",
		  NULL, NALPATH_NWBIND, true },
		{ "NetWare directory services", "NWNDS:[\"NDSTREE=T\"]\\\\T\\V.O\\P", NULL,
		  NALPATH_NWNDS, false },
		{ "a share alone is missing", "MSWNET:\\\\S\\", NULL, NALPATH_MSWNET, true },
		{ "a way out", "MSWNET:\\\\S\\p\\..\\q", NULL, NALPATH_MSWNET, false },
		{ "a single backslash", "MSWNET:\\S\\p", NULL, NALPATH_MSWNET, false },
		{ "a value with an equals sign", "MSWNET:[\"A=b=c\"]\\\\S\\p", "smb://s/p",
		  NALPATH_MSWNET, false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(nalpath) struct nalpath path = { 0 };
		SCOPED(locator) struct locator where = { 0 };
		SCOPED(buf) struct buf printed = { 0 };
		SCOPED_TEXT char *url = NULL;
		struct err err;

		if (!nalpath_parse(&path, cases[i].text, &err))
			fail_msg("%s: %s", cases[i].why, err.why);
		nalpath_print(&printed, &path);
		assert_string_equal(buf_text(&printed), cases[i].text);
		assert_int_equal(path.provider, cases[i].provider);
		assert_int_equal(path.is_container, cases[i].is_container);
		if (nalpath_locator(&where, &path, &err) != (cases[i].url != NULL))
			fail_msg("%s: taken or refused as a place", cases[i].why);
		if (cases[i].url != NULL) {
			url = locator_url(&where);
			assert_string_equal(url, cases[i].url);
		}
	}
}

static void netware_is_refused_by_name(void **state UNUSED)
{
	SCOPED(nalpath) struct nalpath path = { 0 };
	struct locator where = { 0 };
	struct err err;

	assert_done(nalpath_parse(&path, "NWNDS:\\\\T\\V", &err), &err);
	assert_false(nalpath_locator(&where, &path, &err));
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(err.why, "NWNDS"));
}

static void qualifiers_are_found_without_case(void **state UNUSED)
{
	SCOPED(nalpath) struct nalpath path = { 0 };
	struct err err;

	assert_done(nalpath_parse(
			    &path,
			    "[\"Display=\\\\S\\\"]MSWNET:[\"SMS_SITE=LON\",\"PREFERRED\"]\\\\S\\p",
			    &err),
		    &err);
	assert_string_equal(nalpath_find(&path.machine_qualifiers, "sms_site")->value, "LON");
	assert_null(nalpath_find(&path.machine_qualifiers, "preferred")->value);
	assert_string_equal(nalpath_find(&path.provider_qualifiers, "DISPLAY")->value, "\\\\S\\");
	assert_null(nalpath_find(&path.machine_qualifiers, "display"));
}

static void malformed_paths_are_refused(void **state UNUSED)
{
	static const struct {
		const char *why, *text;
		enum err_code want;
	} cases[] = {
		{ "nothing", "", ERR_FORMAT },
		{ "no path", "MSWNET:", ERR_FORMAT },
		{ "no provider", "[\"A\"]\\\\S\\p", ERR_FORMAT },
		{ "a provider that SMS had not", "IPX:\\\\S\\p", ERR_UNSUPPORTED },
		{ "a bracket left open", "[\"A\"MSWNET:\\\\S\\p", ERR_FORMAT },
		{ "a quote left open", "[\"A]MSWNET:\\\\S\\p", ERR_FORMAT },
		{ "no quotes", "[A]MSWNET:\\\\S\\p", ERR_FORMAT },
		{ "a comma too many", "[\"A\",]MSWNET:\\\\S\\p", ERR_FORMAT },
		{ "no key", "[\"=b\"]MSWNET:\\\\S\\p", ERR_FORMAT },
		{ "a control character", "MSWNET:\\\\S\\p\n", ERR_FORMAT },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct nalpath path = { 0 };
		struct err err;

		if (nalpath_parse(&path, cases[i].text, &err))
			fail_msg("%s is taken", cases[i].why);
		if (err.code != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(err.code));
		assert_null(path.path);
	}
}

static void seventeen_qualifiers_are_too_many(void **state UNUSED)
{
	SCOPED(buf) struct buf text = { 0 };
	struct nalpath path = { 0 };
	struct err err;

	for (int i = 0; i <= NALPATH_QUALIFIERS_MAX; i++)
		buf_printf(&text, "%c\"K%d\"", i == 0 ? '[' : ',', i);
	buf_put_text(&text, "]MSWNET:\\\\S\\p");
	assert_false(nalpath_parse(&path, buf_text(&text), &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

TESTING_MAIN(cmocka_unit_test(paths_print_back_byte_for_byte),
	     cmocka_unit_test(netware_is_refused_by_name),
	     cmocka_unit_test(qualifiers_are_found_without_case),
	     cmocka_unit_test(malformed_paths_are_refused),
	     cmocka_unit_test(seventeen_qualifiers_are_too_many), )

#include "support/testing.h"

#include <stdio.h>
#include <string.h>

#include "agent/dpkg.h"
#include "common/buf.h"

#define OK "Status: install ok installed\n"

static void installed_packages_are_found(void **state UNUSED)
{
	static const struct {
		const char *why, *in, *want;
	} cases[] = {
		{ "one", "Package: a\n" OK "Version: 1\nArchitecture: all\n\n", "a 1 all;" },
		{ "the last lacks its blank line", "Package: a\n" OK "Version: 1", "a 1 ;" },
		{ "two", "Package: a\n" OK "Version: 1\n\nPackage: b\n" OK "Version: 1:2~x-3\n\n",
		  "a 1 ;b 1:2~x-3 ;" },
		{ "removed ones are not installed",
		  "Package: a\nStatus: deinstall ok config-files\nVersion: 1\n\n", "" },
		{ "half-installed ones are not",
		  "Package: a\nStatus: install ok half-installed\nVersion: 1\n", "" },
		{ "not-installed is not",
		  "Package: a\nStatus: purge ok not-installed\nVersion: 1\n", "" },
		{ "held ones are", "Package: a\nStatus: hold ok installed\nVersion: 1\n", "a 1 ;" },
		{ "continued lines are no fields",
		  "Package: a\n" OK "Version: 1\nX: y\n Version: 9\n", "a 1 ;" },
		{ "no name", OK "Version: 1\n\nPackage: b\n" OK "Version: 2\n", "b 2 ;" },
		{ "no version", "Package: a\n" OK "\n", "" },
		{ "no UTF-8", "Package: a\xff\n" OK "Version: 1\n\nPackage: b\n" OK "Version: 2\n",
		  "b 2 ;" },
		{ "blank lines in a row", "\n\n\nPackage: a\n" OK "Version: 1\n\n\n\n", "a 1 ;" },
		{ "nothing", "", "" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(buf) struct buf got = { 0 };
		struct span rest = span_of_text(cases[i].in);
		struct dpkg_package p;

		while (dpkg_next(&rest, &p))
			buf_printf(&got, "%s %s %s;", p.name, p.version, p.arch);
		if (strcmp(buf_text(&got), cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, buf_text(&got));
	}
}

static void long_values_are_skipped(void **state UNUSED)
{
	SCOPED(buf) struct buf text = { 0 };
	struct dpkg_package p;
	struct span rest;

	buf_printf(&text, "Package: %0300d\n" OK "Version: 1\n\nPackage: b\n" OK "Version: 2\n", 7);
	rest = buf_span(&text);
	assert_true(dpkg_next(&rest, &p));
	assert_string_equal(p.name, "b");
	assert_false(dpkg_next(&rest, &p));
}

TESTING_MAIN(cmocka_unit_test(installed_packages_are_found),
	     cmocka_unit_test(long_values_are_skipped), )

#include "support/testing.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "nal/nalimport.h"

#define KEY "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\NAL\\Client"

/* Q235873, Q205406: what each setting of the three switches becomes. */
static void switches_become_a_policy(void **state UNUSED)
{
	static const struct {
		const char *why, *preferred, *existing, *random, *want;
	} cases[] = {
		{ "SMS's defaults, unsaid", NULL, NULL, NULL, NULL },
		{ "SMS's defaults, said", "0", "1", "1", "existing" },
		{ "preferred as well", "1", "1", "1", "existing" },
		{ "no random choice", "0", "1", "0", "existing" },
		{ "no existing connections", "0", "0", "1", "random" },
		{ "the same, with random unsaid", NULL, "0", NULL, "random" },
		{ "preferred only", "1", "0", "0", "preferred-only" },
		{ "nothing at all would be left", "0", "0", "0", NULL },
		{ "nothing at all, preferred unsaid", NULL, "0", "0", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *const values[] = { cases[i].preferred, cases[i].existing,
					       cases[i].random };
		SCOPED(buf) struct buf text = { 0 };
		SCOPED(regfile) struct regfile file = { 0 };
		SCOPED(nalimport) struct nalimport n = { 0 };
		struct err err;

		buf_put_text(&text, "REGEDIT4\n" KEY "]\n\"Other\"=\"x\"\n");
		for (size_t k = 0; k < COUNT_OF(values); k++)
			if (values[k] != NULL)
				buf_printf(&text, "\"%s\"=dword:%s\n",
					   nalimport_switch_name((enum nalimport_switch)k),
					   values[k]);
		assert_done(regfile_read(&file, buf_span(&text), &err), &err);
		assert_done(nalimport_find(&n, &file, &err), &err);
		if ((n.policy == NULL) != (cases[i].want == NULL) ||
		    (n.policy != NULL && strcmp(n.policy, cases[i].want) != 0))
			fail_msg("%s: %s", cases[i].why, n.policy != NULL ? n.policy : "none");
	}
}

static const char lists[] =
	"REGEDIT4\n" KEY "]\n\"use preferred servers\"=dword:%d\n" KEY
	"\\Preferred AbExprtDB\\CAP List for site LON]\n"
	"\"[\\\"Display=\\\\\\\\CAP1\\\\\\\"]MSWNET:[\\\"SMS_SITE=LON\\\"]\\\\\\\\CAP1\\\\CAP_LON\\\\\"=\"\"\n" KEY
	"\\Preferred AbExprtDB\\DP List for site LON]\n"
	"\"MSWNET:\\\\\\\\S\\\\SMSPKGD$\\\\LON00001\\\\\"=\"\"\n"
	"\"[\\\"Display=T\\\"]NWNDS:[\\\"A=1\\\"]\\\\\\\\T\\\\V.O.N\\\\P\\\\\"=\"\"\n"
	"\"[\\\"Display=T\\\"]NWNDS:[\\\"A=1\\\"]\\\\\\\\T\\\\V.O.N2\\\\P\\\\\"=\"\"\n"
	"\"IPX:\\\\\\\\S\\\\p\"=\"\"\n"
	"\"MSWNET:\\\\\\\\S2\\\\SMSPKGD$\\\\\"=\"\"\n";

/* Q244157: each NetWare path is refused by its whole name, and the rest is imported. */
static void lists_are_imported_but_for_what_cannot_be_had(void **state UNUSED)
{
	static const char *const refused[] = { "NWNDS", "NWNDS", "IPX" };
	SCOPED(regfile) struct regfile file = { 0 };
	SCOPED(nalimport) struct nalimport n = { 0 };
	SCOPED(preference) struct preference p = { 0 };
	char text[2048];
	size_t at = 0;
	struct err err;

	snprintf(text, sizeof(text), lists, 1);
	assert_done(regfile_read(&file, span_of_text(text), &err), &err);
	assert_done(nalimport_find(&n, &file, &err), &err);
	assert_int_equal(n.count, 6);
	for (size_t i = 0; i < n.count; i++) {
		assert_string_equal(n.entries[i].site, "LON");
		if (!n.entries[i].is_taken)
			assert_non_null(strstr(n.entries[i].why.why, refused[at++]));
	}
	assert_int_equal(at, COUNT_OF(refused));
	assert_done(nalimport_apply(&p, &n, &err), &err);
	assert_int_equal(p.lists[KIND_CAP].count, 1);
	assert_string_equal(p.lists[KIND_CAP].entries[0].text,
			    "[\"Display=\\\\CAP1\\\"]MSWNET:[\"SMS_SITE=LON\"]\\\\CAP1\\CAP_LON\\");
	assert_int_equal(p.lists[KIND_DP].count, 2);
	assert_string_equal(p.lists[KIND_DP].entries[1].text, "MSWNET:\\\\S2\\SMSPKGD$\\");
}

static void lists_of_a_client_that_did_not_use_them_stay_out(void **state UNUSED)
{
	SCOPED(regfile) struct regfile file = { 0 };
	SCOPED(nalimport) struct nalimport n = { 0 };
	SCOPED(preference) struct preference p = { 0 };
	char text[2048];
	struct err err;

	snprintf(text, sizeof(text), lists, 0);
	assert_done(regfile_read(&file, span_of_text(text), &err), &err);
	assert_done(nalimport_find(&n, &file, &err), &err);
	assert_int_equal(n.count, 6);
	assert_done(nalimport_apply(&p, &n, &err), &err);
	assert_int_equal(p.lists[KIND_CAP].count, 0);
	assert_int_equal(p.lists[KIND_DP].count, 0);
}

static void an_export_without_nal_is_said_so(void **state UNUSED)
{
	static const char text[] =
		"REGEDIT4\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\NAL\\Clients]\n"
		"\"Use Preferred Servers\"=dword:1\n";
	SCOPED(regfile) struct regfile file = { 0 };
	struct nalimport n;
	struct err err;

	assert_done(regfile_read(&file, span_of_text(text), &err), &err);
	assert_false(nalimport_find(&n, &file, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

TESTING_MAIN(cmocka_unit_test(switches_become_a_policy),
	     cmocka_unit_test(lists_are_imported_but_for_what_cannot_be_had),
	     cmocka_unit_test(lists_of_a_client_that_did_not_use_them_stay_out),
	     cmocka_unit_test(an_export_without_nal_is_said_so))

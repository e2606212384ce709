#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nal/credentialfile.h"

static void servers_are_written_in_many_ways(void **state UNUSED)
{
	static const struct {
		const char *text, *want; /* want NULL: refused */
	} cases[] = {
		{ "nas", "nas" },
		{ "NAS.Example", "nas.example" },
		{ "nas:1445", "nas:1445" },
		{ "nas:445", "nas:445" },
		{ "nas/share", "nas/share" },
		{ "nas/share/", "nas/share" },
		{ "nas/", "nas" },
		{ "nas:1445/Share", "nas:1445/Share" },
		{ "smb://nas:1445/share", "nas:1445/share" },
		{ "\\\\NAS\\packs$", "nas/packs%24" },
		{ "//nas/packs", "nas/packs" },
		{ "192.0.2.7", "192.0.2.7" },
		{ "[2001:DB8::1]", "[2001:db8::1]" },
		{ "[2001:db8::1]:445/s", "[2001:db8::1]:445/s" },
		{ "", NULL },
		{ "/share", NULL },
		{ "nas/share/folder", NULL },
		{ "nas:0", NULL },
		{ "nas:99999", NULL },
		{ "http://nas/x", NULL },
		{ "user@nas", NULL },
		{ "two words", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(credentialfile_server) struct credentialfile_server s = { 0 };
		struct err err = { 0 };
		bool parsed = credentialfile_server_parse(&s, cases[i].text, &err);
		char *text;

		if (parsed != (cases[i].want != NULL))
			fail_msg("%s: %s", cases[i].text, parsed ? "taken" : err.why);
		if (!parsed)
			continue;
		text = credentialfile_server_text(&s);
		assert_string_equal(text, cases[i].want);
		free(text);
	}
}

static void sections_are_read_with_their_secrets_as_they_are(void **state UNUSED)
{
	static const struct {
		const char *line, *want;
	} cases[] = {
		{ "secret = swordfish", "swordfish" },
		{ "secret=swordfish", "swordfish" },
		{ "  secret  =  two words  ", "two words" },
		{ "secret = \"  kept blanks \"", "  kept blanks " },
		{ "secret = a ;b #c = d [e]", "a ;b #c = d [e]" },
		{ "secret = \"say \\\"x\\\" \\\\ y\"", "say \"x\" \\ y" },
		{ "secret = back\\slash\"quote", "back\\slash\"quote" },
		{ "secret = \"", "\"" },
		{ "secret = p\xc3\xa4ss", "p\xc3\xa4ss" },
		{ "secret = dos\r", "dos" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(credentialfile) struct credentialfile f = { 0 };
		char text[256];
		struct err err;

		snprintf(text, sizeof(text),
			 "# comment\n\n[nas]\n ; another\nuser = OFFICE\\packway\n%s\n",
			 cases[i].line);
		assert_done(credentialfile_parse(&f, span_of_text(text), &err), &err);
		assert_int_equal(f.count, 1);
		assert_string_equal(f.sections[0].server.host, "nas");
		assert_string_equal(f.sections[0].user, "OFFICE\\packway");
		assert_string_equal(f.sections[0].secret->text, cases[i].want);
		assert_int_equal(f.sections[0].line, 3);
	}
}

static void kinds_and_servers_are_told_by_their_lines(void **state UNUSED)
{
	static const char text[] = "[Head office]\nserver = nas1:1445/packs\nkerberos = yes\n"
				   "[nas2]\nguest=yes\n"
				   "[nas3/packs]\nuser=u\nsecret=s\nset=2026-01-01T00:00:00Z\n";
	SCOPED(credentialfile) struct credentialfile f = { 0 };
	struct err err;

	assert_done(credentialfile_parse(&f, span_of_text(text), &err), &err);
	assert_int_equal(f.count, 3);
	assert_int_equal(f.sections[0].kind, CREDENTIALFILE_TICKET);
	assert_string_equal(f.sections[0].server.host, "nas1");
	assert_int_equal(f.sections[0].server.port, 1445);
	assert_int_equal(f.sections[1].kind, CREDENTIALFILE_GUEST);
	assert_int_equal(f.sections[2].kind, CREDENTIALFILE_ACCOUNT);
	assert_string_equal(f.sections[2].server.share, "packs");
	assert_string_equal(f.sections[2].set, "2026-01-01T00:00:00Z");
}

/* Q235179: what is wrong is told by its line alone. */
static void a_fault_names_the_line_and_quotes_nothing(void **state UNUSED)
{
	static const struct {
		const char *why, *text, *line;
	} cases[] = {
		{ "a line of no kind", "[nas]\nuser=u\nhunter2\n", "line 3" },
		{ "an unknown key", "[nas]\npassword = hunter2\n", "line 2" },
		{ "a pair before any section", "secret = hunter2\n", "line 1" },
		{ "an account without user", "[nas]\nsecret = hunter2\n", "line 1" },
		{ "an account without secret", "\n[nas]\nuser = u\n[b]\nguest=yes\n", "line 2" },
		{ "a secret twice", "[nas]\nsecret=hunter2\nsecret=hunter2\n", "line 3" },
		{ "an open quote inside quotes", "[nas]\nsecret=\"a\"hunter2\"\n", "line 2" },
		{ "an empty secret", "[nas]\nuser=hunter2\nsecret=\n", "line 3" },
		{ "an empty secret in quotes", "[nas]\nuser=hunter2\nsecret=\"\"\n", "line 3" },
		{ "a ticket and an account", "[nas]\nkerberos=yes\nuser=hunter2\nsecret=x\n",
		  "line 1" },
		{ "a ticket and a guest", "[nas]\nkerberos=yes\nguest=yes\n", "line 1" },
		{ "neither yes nor no", "[nas]\nkerberos=hunter2\n", "line 2" },
		{ "no server", "[the hunter2 one]\nguest=yes\n", "line 1" },
		{ "an open bracket", "[nas\nguest=yes\n", "line 1" },
		{ "a user without name", "[nas]\nuser=OFFICE\\\nsecret=hunter2\n", "line 2" },
		{ "a control character", "[nas]\nuser=u\nsecret=hunter2\x07\n", "line 3" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(credentialfile) struct credentialfile f = { 0 };
		struct err err = { 0 };

		if (credentialfile_parse(&f, span_of_text(cases[i].text), &err))
			fail_msg("%s: taken", cases[i].why);
		if (err.code != ERR_CONFIG || strncmp(err.why, cases[i].line, 6) != 0)
			fail_msg("%s: %s [%s]", cases[i].why, err.why, err_name(err.code));
		assert_null(strstr(err.why, "hunter2"));
		assert_null(strstr(err.fix, "hunter2"));
	}
}

static void what_is_printed_is_read_back(void **state UNUSED)
{
	static const char *const secrets[] = { "x", "\"", "\\", " a \"b\" \\c\\ ",
					       "p\xc3\xa4ss;#=[]" };
	struct err err;

	for (size_t i = 0; i < COUNT_OF(secrets); i++) {
		SCOPED(secret) struct secret *s = secret_new();
		SCOPED(credentialfile_server) struct credentialfile_server server = { 0 };
		SCOPED(credentialfile) struct credentialfile f = { 0 };
		char *text = secret_memory_new(CREDENTIALFILE_PRINT_MAX);
		struct credentialfile_section section = { .user = (char[]){ "OFFICE\\me" },
							  .set = (char[]){ "now" } };
		size_t size;

		assert_done(secret_set(s, span_of_text(secrets[i]), &err), &err);
		assert_done(credentialfile_server_parse(&server, "[fe80::1]:1445/a b", &err), &err);
		section.secret = s;
		section.server = server;
		size = credentialfile_print(text, &section);
		assert_done(credentialfile_parse(&f, span_of(text, size), &err), &err);
		secret_memory_free(text);
		assert_int_equal(f.count, 1);
		assert_string_equal(f.sections[0].secret->text, secrets[i]);
		assert_string_equal(f.sections[0].user, "OFFICE\\me");
		assert_string_equal(f.sections[0].set, "now");
		assert_true(credentialfile_server_equal(&f.sections[0].server, &server));
	}
}

TESTING_MAIN(cmocka_unit_test(servers_are_written_in_many_ways),
	     cmocka_unit_test(sections_are_read_with_their_secrets_as_they_are),
	     cmocka_unit_test(kinds_and_servers_are_told_by_their_lines),
	     cmocka_unit_test(a_fault_names_the_line_and_quotes_nothing),
	     cmocka_unit_test(what_is_printed_is_read_back))

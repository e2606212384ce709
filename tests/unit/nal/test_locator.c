#include "support/testing.h"

#include <string.h>

#include "common/alloc.h"
#include "nal/locator.h"

static void locators_have_one_normal_form(void **state UNUSED)
{
	static const struct {
		const char *why, *in, *url, *host, *share, *path;
		uint16_t port;
	} cases[] = {
		{ "a share", "smb://dp2/packway", "smb://dp2/packway", "dp2", "packway", "/", 445 },
		{ "host case and default port", "SMB://DP2:445/packway/", "smb://dp2/packway",
		  "dp2", "packway", "/", 445 },
		{ "a folder below the share", "smb://dp2/pkg$/a/b", "smb://dp2/pkg%24/a/b", "dp2",
		  "pkg$", "/a/b", 445 },
		{ "another port", "smb://dp2:14450/p", "smb://dp2:14450/p", "dp2", "p", "/",
		  14450 },
		{ "a web server's root", "http://web", "http://web", "web", "", "/", 80 },
		{ "trailing slash", "http://web:80/packway/", "http://web/packway", "web", "",
		  "/packway", 80 },
		{ "https", "https://Web.Example:443/x", "https://web.example/x", "web.example", "",
		  "/x", 443 },
		{ "needless encoding", "http://web/%70ack%77ay", "http://web/packway", "web", "",
		  "/packway", 80 },
		{ "needed encoding", "http://web/a%20b%3f", "http://web/a%20b%3F", "web", "",
		  "/a b?", 80 },
		{ "IPv6", "http://[2001:DB8::0:1]:8080/x", "http://[2001:db8::1]:8080/x",
		  "2001:db8::1", "", "/x", 8080 },
		{ "IPv6 without a port", "smb://[::1]/p", "smb://[::1]/p", "::1", "p", "/", 445 },
		{ "a folder", "file:///srv/packway/", "file:///srv/packway", "", "", "/srv/packway",
		  0 },
		{ "the root folder", "file:///", "file:///", "", "", "/", 0 },
		{ "localhost is this machine", "file://localhost/srv", "file:///srv", "", "",
		  "/srv", 0 },
		{ "a typed path", "/srv//my packs/", "file:///srv/my%20packs", "", "",
		  "/srv/my packs", 0 },
		{ "a typed path is not decoded", "/srv/100%41", "file:///srv/100%2541", "", "",
		  "/srv/100%41", 0 },
		{ "an export", "nfs://nas/export/packway", "nfs://nas/export/packway", "nas", "",
		  "/export/packway", 2049 },
		{ "a name of the NetBIOS kind", "smb://FILE_SRV-1/p", "smb://file_srv-1/p",
		  "file_srv-1", "p", "/", 445 },
		{ "UTF-8", "http://web/n\xc3\xa4s", "http://web/n%C3%A4s", "web", "", "/n\xc3\xa4s",
		  80 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(locator) struct locator loc = { 0 };
		SCOPED_TEXT char *url = NULL;
		struct err err;

		if (!locator_parse_argument(&loc, cases[i].in, &err))
			fail_msg("%s: %s: %s", cases[i].why, cases[i].in, err.why);
		url = locator_url(&loc);
		if (strcmp(url, cases[i].url) != 0 || strcmp(loc.host, cases[i].host) != 0 ||
		    strcmp(loc.share, cases[i].share) != 0 ||
		    strcmp(loc.path, cases[i].path) != 0 || loc.port != cases[i].port)
			fail_msg("%s: %s: got %s host '%s' share '%s' path '%s' port %u",
				 cases[i].why, cases[i].in, url, loc.host, loc.share, loc.path,
				 loc.port);
		assert_string_equal(loc.text, cases[i].in); /* printed back byte for byte */
	}
}

static void hostile_locators_are_refused(void **state UNUSED)
{
	static const struct {
		const char *why, *in;
		enum err_code want;
	} cases[] = {
		{ "a secret", "smb://user:secret@dp/p", ERR_REFUSED },
		{ "a user", "http://user@dp/p", ERR_REFUSED },
		{ "a secret before a scheme we do not know", "ftp://u:s@dp/p", ERR_REFUSED },
		{ "a scheme we do not know", "ftp://dp/p", ERR_UNSUPPORTED },
		{ "no scheme", "dp/p", ERR_FORMAT },
		{ "nothing", "", ERR_FORMAT },
		{ "no host", "http:///x", ERR_FORMAT },
		{ "no host, but a port", "http://:80/x", ERR_FORMAT },
		{ "port 0", "http://dp:0/x", ERR_FORMAT },
		{ "port past the end", "http://dp:65536/x", ERR_FORMAT },
		{ "an empty port", "http://dp:/x", ERR_FORMAT },
		{ "no share", "smb://dp", ERR_FORMAT },
		{ "no share but a slash", "smb://dp/", ERR_FORMAT },
		{ "a way out", "http://dp/a/../b", ERR_FORMAT },
		{ "an encoded way out", "http://dp/a/%2e%2E/b", ERR_FORMAT },
		{ "an encoded slash", "http://dp/a%2fb", ERR_FORMAT },
		{ "an encoded NUL", "http://dp/a%00b", ERR_FORMAT },
		{ "a bad escape", "http://dp/a%zz", ERR_FORMAT },
		{ "a cut escape", "http://dp/a%4", ERR_FORMAT },
		{ "a control character", "http://dp/a\nb", ERR_FORMAT },
		{ "an encoded control character", "http://dp/a%0db", ERR_FORMAT },
		{ "a backslash, which a server takes as a separator", "smb://dp/p/..\\x",
		  ERR_FORMAT },
		{ "a query", "http://dp/a?b", ERR_FORMAT },
		{ "a fragment", "http://dp/a#b", ERR_FORMAT },
		{ "an empty component", "http://dp/a//b", ERR_FORMAT },
		{ "a host for a folder", "file://dp/p", ERR_FORMAT },
		{ "no IPv6 address", "http://[::x]/p", ERR_FORMAT },
		{ "a bracket left open", "http://[::1/p", ERR_FORMAT },
		{ "bytes behind the bracket", "http://[::1]80/p", ERR_FORMAT },
		{ "an encoded host", "http://d%70/p", ERR_FORMAT },
		{ "a typed path out of itself", "/srv/../etc", ERR_FORMAT },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct locator loc = { 0 };
		struct err err;

		if (locator_parse_argument(&loc, cases[i].in, &err))
			fail_msg("%s: %s is taken", cases[i].why, cases[i].in);
		if (err.code != cases[i].want)
			fail_msg("%s: %s: %s", cases[i].why, cases[i].in, err_name(err.code));
		assert_null(strstr(err.why, "secret"));
		assert_null(loc.path);
	}
}

static void a_locator_of_2049_bytes_is_refused(void **state UNUSED)
{
	char text[LOCATOR_TEXT_MAX + 2] = "http://dp";
	struct locator loc = { 0 };
	struct err err;

	for (size_t i = 9; i < sizeof(text) - 1; i++)
		text[i] = i % 100 == 9 ? '/' : 'a';
	assert_false(locator_parse(&loc, text, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	text[LOCATOR_TEXT_MAX] = '\0';
	assert_done(locator_parse(&loc, text, &err), &err);
	locator_release(&loc);
}

static void places_are_compared_in_their_normal_form(void **state UNUSED)
{
	enum { NOTHING, HOST, SERVER, SHARE, BELOW, SAME };
	static const struct {
		const char *why, *outer, *inner;
		int want;
	} cases[] = {
		{ "the same", "smb://dp/p", "SMB://DP:445/P/", SAME },
		{ "smb folds case in paths", "smb://dp/p/A", "smb://dp/p/a", SAME },
		{ "http does not", "http://dp/A", "http://dp/a", SHARE },
		{ "below", "smb://dp/p", "smb://dp/p/a/b", BELOW },
		{ "a longer name is not below", "smb://dp/p/a", "smb://dp/p/ab", SHARE },
		{ "above is not below", "smb://dp/p/a", "smb://dp/p", SHARE },
		{ "another share", "smb://dp/p", "smb://dp/q", SERVER },
		{ "another port is another server", "smb://dp/p", "smb://dp:1445/p", HOST },
		{ "another scheme", "smb://dp/p", "http://dp/p", HOST },
		{ "another host", "smb://dp/p", "smb://dp2/p", NOTHING },
		{ "folders", "/srv", "file:///srv/x", BELOW },
		{ "folders have no host", "/srv", "http://dp/srv", NOTHING },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(locator) struct locator a = { 0 }, b = { 0 };
		int want = cases[i].want;
		struct err err;

		assert_done(locator_parse_argument(&a, cases[i].outer, &err), &err);
		assert_done(locator_parse_argument(&b, cases[i].inner, &err), &err);
		if (locator_equal(&a, &b) != (want == SAME) ||
		    locator_covers(&a, &b) != (want >= BELOW) ||
		    locator_same_share(&a, &b) != (want >= SHARE) ||
		    locator_same_server(&a, &b) != (want >= SERVER) ||
		    (a.scheme != LOCATOR_FILE && locator_same_host(&a, &b) != (want >= HOST)))
			fail_msg("%s: %s and %s", cases[i].why, cases[i].outer, cases[i].inner);
	}
}

static void joining_stays_beneath_the_locator(void **state UNUSED)
{
	static const struct {
		const char *base, *relative, *want;
	} cases[] = {
		{ "http://web/packway/", "pack/a b#1?.pack",
		  "http://web/packway/pack/a%20b%231%3F.pack" },
		{ "http://web", "timestamp.json", "http://web/timestamp.json" },
		{ "file:///", "x", "file:///x" },
		{ "smb://dp/p", "a/b", "smb://dp/p/a/b" },
		{ "http://web", "../x", NULL },
		{ "http://web", "a//b", NULL },
		{ "http://web", "a/", NULL },
		{ "http://web", "/a", NULL },
		{ "http://web", "", NULL },
		{ "smb://dp/p", "a\\b", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(locator) struct locator base = { 0 };
		SCOPED_TEXT char *url = NULL;
		struct err err;
		bool joined;

		assert_done(locator_parse(&base, cases[i].base, &err), &err);
		joined = locator_join(&url, &base, cases[i].relative, &err);
		if (joined != (cases[i].want != NULL) ||
		    (joined && strcmp(url, cases[i].want) != 0))
			fail_msg("%s + %s: got %s", cases[i].base, cases[i].relative,
				 joined ? url : err.why);
	}
}

static void what_is_below_is_told(void **state UNUSED)
{
	SCOPED(locator) struct locator outer = { 0 }, inner = { 0 };
	struct err err;

	assert_done(locator_parse(&outer, "smb://dp/p/a", &err), &err);
	assert_done(locator_parse(&inner, "smb://dp/P/A/b/c", &err), &err);
	assert_string_equal(locator_below(&outer, &inner), "/b/c");
	assert_string_equal(locator_below(&outer, &outer), "");
}

TESTING_MAIN(cmocka_unit_test(locators_have_one_normal_form),
	     cmocka_unit_test(hostile_locators_are_refused),
	     cmocka_unit_test(a_locator_of_2049_bytes_is_refused),
	     cmocka_unit_test(places_are_compared_in_their_normal_form),
	     cmocka_unit_test(joining_stays_beneath_the_locator),
	     cmocka_unit_test(what_is_below_is_told), )

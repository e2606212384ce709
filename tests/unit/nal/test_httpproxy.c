#include "support/testing.h"

#include <stdlib.h>

#include "nal/httpproxy.h"

static const char *const variables[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
					 "ALL_PROXY",  "no_proxy",    "NO_PROXY",    "HTTP_PROXY" };

/* What libcurl's manual says of each variable. HTTP_PROXY is not one: a CGI's client could set it.
 */
static void the_environment_decides(void **state UNUSED)
{
	static const struct {
		const char *name, *value, *exempt, *scheme, *host;
		bool covers;
	} cases[] = {
		{ NULL, NULL, NULL, "http", "dp1", false },
		{ "http_proxy", "http://p:3128", NULL, "http", "dp1", true },
		{ "http_proxy", "http://p:3128", NULL, "https", "dp1", false },
		{ "http_proxy", "", NULL, "http", "dp1", false },
		{ "HTTP_PROXY", "http://p:3128", NULL, "http", "dp1", false },
		{ "https_proxy", "http://p:3128", NULL, "https", "dp1", true },
		{ "HTTPS_PROXY", "http://p:3128", NULL, "https", "dp1", true },
		{ "all_proxy", "http://p:3128", NULL, "https", "dp1", true },
		{ "all_proxy", "http://p:3128", "*", "http", "dp1", false },
		{ "all_proxy", "http://p:3128", "dp1", "http", "dp1", false },
		{ "all_proxy", "http://p:3128", "a, DP1", "http", "dp1", false },
		{ "all_proxy", "http://p:3128", "dp", "http", "dp1", true },
		{ "all_proxy", "http://p:3128", "lan", "http", "dp1.lan", false },
		{ "all_proxy", "http://p:3128", ".lan", "http", "dp1.lan", false },
		{ "all_proxy", "http://p:3128", "an", "http", "dp1.lan", true },
		{ "all_proxy", "http://p:3128", ", ,", "http", "dp1", true },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		for (size_t k = 0; k < COUNT_OF(variables); k++)
			unsetenv(variables[k]);
		if (cases[i].name != NULL)
			assert_int_equal(setenv(cases[i].name, cases[i].value, 1), 0);
		if (cases[i].exempt != NULL)
			assert_int_equal(setenv("no_proxy", cases[i].exempt, 1), 0);
		if (httpproxy_covers(cases[i].scheme, cases[i].host) != cases[i].covers)
			fail_msg("case %zu", i);
	}
}

TESTING_MAIN(cmocka_unit_test(the_environment_decides))

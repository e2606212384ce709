#include "content/link.h"

#include <string.h>

#include "support/testing.h"

/* A tree's links for the rows below; everything else in it is a folder or not there. */
static const struct {
	const char *path, *target;
} links[] = {
	{ "here", "." },          { "up/two", "../.." }, { "a/b/up", "../.." }, { "loop", "loop" },
	{ "abs", "/etc/passwd" }, { "ping", "pong" },    { "pong", "ping" },
};

static const char *find(struct span path, void *ctx UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(links); i++)
		if (span_equal_text(path, links[i].path))
			return links[i].target;
	return NULL;
}

static const struct {
	const char *why, *path, *target;
	enum link_verdict want;
} rows[] = {
	{ "a neighbour", "l", "file", LINK_INSIDE },
	{ "dangling", "d/l", "not/there", LINK_INSIDE },
	{ "up to the root", "d/l", "..", LINK_INSIDE },
	{ "up and down again", "d/l", "../d/../e", LINK_INSIDE },
	{ "past the root", "d/l", "../..", LINK_CLIMBS },
	{ "past the root from the root", "l", "..", LINK_CLIMBS },
	{ "down and too far up", "l", "d/../../x", LINK_CLIMBS },
	{ "by way of nothing", "l", "x/../..", LINK_CLIMBS },
	{ "absolute", "l", "/etc", LINK_ABSOLUTE },
	{ "doubled slashes and dots", "d/l", ".././/../x", LINK_CLIMBS },
	{ "a folder whose name begins with dots", "l", "..x/...", LINK_INSIDE },
	{ "through a link to the root, inside", "d/l", "../a/b/up/x", LINK_INSIDE },
	{ "through a link to the root, then up", "d/l", "../a/b/up/..", LINK_CLIMBS },
	{ "through a link that is absolute", "l", "abs", LINK_ABSOLUTE },
	{ "through a link to its own folder", "l", "here/here/x", LINK_INSIDE },
	{ "a link to itself leads nowhere", "l", "loop/../..", LINK_INSIDE },
	{ "two links to each other lead nowhere", "l", "ping", LINK_INSIDE },
};

static void links_are_followed_as_the_kernel_would(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		enum link_verdict got = link_judge(span_of_text(rows[i].path),
						   span_of_text(rows[i].target), find, NULL);

		if (got != rows[i].want)
			fail_msg("%s: %s -> %s %s", rows[i].why, rows[i].path, rows[i].target,
				 link_verdict_text(got));
	}
}

static void endless_targets_are_tangled(void **state UNUSED)
{
	char target[2 * LINK_STEPS_MAX + 4] = "";

	for (size_t i = 0; i <= LINK_STEPS_MAX; i++)
		memcpy(target + 2 * i, "./", 3);
	assert_int_equal(link_judge(span_of_text("l"), span_of_text(target), find, NULL),
			 LINK_TANGLED);
}

TESTING_MAIN(cmocka_unit_test(links_are_followed_as_the_kernel_would),
	     cmocka_unit_test(endless_targets_are_tangled))

/*
 * A world to choose in, written as lines of text: for .case files, for the worked table of
 * docs/choosing.md, and for unit tests that want to read like sentences.
 *
 *     group NAME CIDR… [neighbour NAME:MINUTES|never]… [default-after MINUTES|never] [fence]
 *                      [cross-tier] [policy NAME] [prefer SYSTEM]…
 *     client ADDRESS…
 *     server NAME [group G] [at URL]… [mount PATH] [session] [device] [share-mount] [server-mount]
 *                 [hung] [rate BYTES/S] [sticky] [denied] [quarantined S] [missing S] [backoff S]
 *                 [no-provider] [no-credential]
 *     kind dp|cap        object ID         policy NAME      prefer TEXT…      client-policy NAME
 *     waited MINUTES     seed N            by-hand
 *
 * A server without `at` has http://NAME/packway; times count from now.
 */
#ifndef TESTS_SUPPORT_CHOICE_H
#define TESTS_SUPPORT_CHOICE_H

#include <stdbool.h>

#include "common/error.h"
#include "nal/select.h"

#define CHOICE_NOW_S      1795000000
#define CHOICE_SERVERS    64
#define CHOICE_GROUPS     8
#define CHOICE_PER_SERVER 4
#define CHOICE_PER_GROUP  8

struct choice {
	struct select_input input; /* ready to be used after every line */
	struct select_candidate servers[CHOICE_SERVERS];
	struct locator places[CHOICE_SERVERS][CHOICE_PER_SERVER];
	struct select_address addresses[CHOICE_SERVERS][CHOICE_PER_SERVER];
	struct select_open_way ways[CHOICE_SERVERS][CHOICE_PER_SERVER];
	struct boundary_group groups[CHOICE_GROUPS];
	struct netaddr_net nets[CHOICE_GROUPS][CHOICE_PER_GROUP];
	struct boundary_neighbour neighbours[CHOICE_GROUPS][CHOICE_PER_GROUP];
	const char *prefers[CHOICE_GROUPS][CHOICE_PER_GROUP];
	struct netaddr client[CHOICE_PER_GROUP];
	struct preference preference;
	char *lines[256]; /* what the texts above point into */
	size_t line_count;
};

struct choice *choice_new(void);
void choice_free(struct choice *c);
SCOPED_FREE(choice);

/* Take in one line; an empty one and one that begins with # say nothing. */
bool choice_line(struct choice *c, const char *line, struct err *err);

/* The same for several lines in one text. Ends the program with a message where one is wrong. */
struct choice *choice_of(const char *text);

#endif

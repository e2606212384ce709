/*
 * Fills a site with offers, faster than a command for each would:
 *
 *     manyoffers SITE PACKAGE PROGRAM COLLECTIONS ADVERTISEMENTS
 *
 * Every collection is a query of its own that holds on any Linux machine; the advertisements go
 * round them. No COLLECTIONS (0): all are for the collection `all`. The site is a throw-away:
 * nothing is synced.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/text.h"
#include "site/advertisement.h"
#include "site/collection.h"

static bool add_collection(struct site *site, unsigned int i, struct err *err)
{
	SCOPED_TEXT char *name = alloc_printf("many-%03u", i);
	SCOPED_TEXT char *query = alloc_printf("SELECT client.client_id FROM client JOIN os USING "
					       "(client_id) WHERE os.kernel <> 'none-%u'",
					       i);
	struct collection_spec spec = { .name = name, .query = query };

	return collection_add(site, &spec, err);
}

static bool add_offer(struct site *site, const char *package, const char *program, const char *name,
		      struct err *err)
{
	struct advertisement_spec spec = {
		.package = package,
		.program = program,
		.collection = name,
		.available_s = site_now(site),
		.mandatory_s = -1,
		.expires_s = -1,
	};
	char id[SITE_ID_SIZE];

	return advertisement_add(id, site, &spec, err);
}

static bool fill(struct site *site, char **argv, struct err *err)
{
	unsigned int collections = (unsigned int)atoi(argv[4]);
	unsigned int advertisements = (unsigned int)atoi(argv[5]);

	for (unsigned int i = 0; i < collections; i++)
		if (!add_collection(site, i, err))
			return false;
	for (unsigned int i = 0; i < advertisements; i++) {
		SCOPED_TEXT char *name = collections == 0
						 ? alloc_text("all")
						 : alloc_printf("many-%03u", i % collections);

		if (!add_offer(site, argv[2], argv[3], name, err))
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	SCOPED(site) struct site *site = NULL;
	struct err err;

	if (argc != 6 || atoi(argv[4]) < 0) {
		fprintf(stderr,
			"usage: manyoffers SITE PACKAGE PROGRAM COLLECTIONS ADVERTISEMENTS\n");
		return 2;
	}
	if (site_open(&site, argv[1], clock_system(), &err) &&
	    sqlite3_exec(db_handle(site->db), "PRAGMA synchronous = OFF", NULL, NULL, NULL) == 0 &&
	    fill(site, argv, &err))
		return 0;
	fprintf(stderr, "%s: %s\n", err.what, err.why);
	return 1;
}

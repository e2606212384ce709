#include "site/whereabouts.h"

#include <stdio.h>
#include <string.h>

static void add_address(struct whereabouts *w, const char *text)
{
	if (text != NULL && w->address_count < WHEREABOUTS_ADDRESSES_MAX &&
	    netaddr_parse(&w->addresses[w->address_count], text))
		w->address_count++;
}

/* Rows are (client, address, name), a client's addresses one after another. */
bool whereabouts_each(struct site *site, whereabouts_fn *fn, void *ctx, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_EVERY_ADDRESS, DB_NO_ARGS);
	struct whereabouts w = { .address_count = 0 };

	while (db_rows_next(&rows)) {
		const char *client = db_rows_text(&rows, 0);

		if (strcmp(w.client, client) != 0) {
			if (w.client[0] != '\0')
				fn(&w, ctx);
			snprintf(w.client, sizeof(w.client), "%s", client);
			snprintf(w.name, sizeof(w.name), "%s", db_rows_text(&rows, 2));
			w.address_count = 0;
		}
		add_address(&w, db_rows_text(&rows, 1));
	}
	if (w.client[0] != '\0')
		fn(&w, ctx);
	return db_rows_finish(&rows, err);
}

bool whereabouts_of(struct whereabouts *out, struct site *site, const char *client, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_CLIENT_ADDRESSES, DB_ARGS(db_text(client)));

	snprintf(out->client, sizeof(out->client), "%s", client);
	out->name[0] = '\0';
	out->address_count = 0;
	while (db_rows_next(&rows))
		add_address(out, db_rows_text(&rows, 0));
	return db_rows_finish(&rows, err);
}

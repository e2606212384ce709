/*
 * What the site knows of its advertisements and clients: counts, timelines, free queries.
 */
#ifndef SITE_REPORT_H
#define SITE_REPORT_H

#include "site/site.h"

#define REPORT_QUERY_STEPS_MAX INT64_C(2000000000) /* instructions of SQLite's machine */
#define REPORT_QUERY_ROWS_MAX  1000000

/*
 * Per advertisement (of `id`, an advertisement's or package's; NULL: all) how many clients are
 * targeted, received, waiting, running, succeeded, failed. ERR_NOT_FOUND for an id that is neither.
 * With `failed_only` those with a failure, with each failed client.
 */
enum report_scope {
	REPORT_ALL,
	REPORT_FAILED,
};
bool report_status(json_t **out, struct site *site, const char *id, enum report_scope scope,
		   struct err *err) MUST_USE;

/*
 * The timeline by client, stream and sequence; NULL: of all clients, all advertisements. A gap in
 * the numbers of a whole timeline is a row with "gap": how many records are missing.
 */
bool report_messages(json_t **out, struct site *site, const char *client, const char *advertisement,
		     struct err *err) MUST_USE;

/* Alerts (forks, refused uploads), the newest first. */
bool report_alerts(json_t **out, struct site *site, struct err *err) MUST_USE;

/*
 * Run one SELECT over inventory (`client`, `os`, …), `status` and `message`, read-only. Rows as
 * objects by column. ERR_QUERY with SQLite's reason.
 */
bool report_query(json_t **out, struct site *site, const char *sql, struct err *err) MUST_USE;

/*
 * The state of a run that a status message tells ("received", "waiting", …); NULL: it tells none.
 */
const char *report_state_of(int64_t message_id);

#endif

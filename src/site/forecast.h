/*
 * Where all clients together would read a package: clients per server, bytes per link between
 * boundary groups, and who would wait or reach nothing.
 *
 * Clients of whom the same is known choose alike, but for the draw; so the choice is made once for
 * each boundary group, and its clients are spread evenly over the servers that only the draw tells
 * apart. Open ways of clients are not known here: the forecast is that of machines that come new.
 */
#ifndef SITE_FORECAST_H
#define SITE_FORECAST_H

#include "site/standin.h"

/*
 * The forecast as `what-if --json` prints it (docs/choosing.md); the caller owns it.
 * `servers`, `links` and `waiting` are lists of objects.
 */
bool forecast_make(json_t **out, const struct standin *s, struct site *site, struct err *err)
	MUST_USE;

#endif

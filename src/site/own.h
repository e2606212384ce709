/*
 * Which addresses are this site's own: those that its `serve` answers. What belongs there is
 * written into SITE/www directly, whether or not serve runs (docs/ARCHITECTURE.md 2).
 */
#ifndef SITE_OWN_H
#define SITE_OWN_H

#include "nal/conntab.h"
#include "nal/locator.h"
#include "site/site.h"

#define OWN_FILE "packway-serve.json" /* what serve answers at its root */

enum own_answer {
	OWN_YES,    /* our serve answers there */
	OWN_NO,     /* something else does, or the address is no http(s) */
	OWN_SILENT, /* nothing answers, and the host is this machine: serve may start later */
	OWN_ABSENT, /* nothing answers on another machine */
};

/* A connection table with the site's settings; the caller frees it. */
struct conntab *own_new_table(const struct site *site) MUST_USE;

/* Ask the address. Blocks up to the connection limits of `tab`. */
enum own_answer own_ask(struct site *site, struct conntab *tab, const struct locator *where);

/* The folder beneath SITE/www for an address of ours; the caller frees it. */
char *own_folder(const struct site *site, const struct locator *where) MUST_USE;

/* What serve answers: {"format":1,"site","uuid"}, one line. */
void own_write(struct buf *out, const struct site *site);

/* True if `host` (a name or numeric address) is an address of this machine. May ask the DNS. */
bool own_host_is_local(const char *host);

#endif

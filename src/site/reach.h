/*
 * The way from the site to a server of its own: conntab_acquire with the account that the site has
 * for it, from SITE/credentials.d and, for root, /etc/packway/credentials.d behind it.
 *
 * An account that a server refused is not tried again before it changes: SITE/nal.json remembers
 * it, for all commands and for serve, whose cycles would lock it out (Q227033).
 */
#ifndef SITE_REACH_H
#define SITE_REACH_H

#include "common/error.h"
#include "common/macros.h"
#include "nal/conntab.h"
#include "nal/credential.h"
#include "nal/memory.h"
#include "site/site.h"

/* As conntab_acquire; `target->credential` is found here. Given back by reach_release. */
enum nal_class reach_acquire(struct way **out, struct site *site, struct conntab *tab,
			     const struct way_target *target, const void *user, struct err *err)
	MUST_USE;

/* Give the way back, and remember it if the server refused the account. NULL is fine. */
void reach_release(struct site *site, struct conntab *tab, struct way *way);

/* What is configured; the caller frees it. */
struct credential_set *reach_credentials(const struct site *site) MUST_USE;

/* What was refused; the caller frees it. Never NULL. */
struct memory *reach_memory(const struct site *site) MUST_USE;

/* Where `credential set` writes; the caller frees it. */
char *reach_folder(const struct site *site) MUST_USE;

#endif

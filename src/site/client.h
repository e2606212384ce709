/*
 * Clients as the site knows them: enrolment and what they are.
 */
#ifndef SITE_CLIENT_H
#define SITE_CLIENT_H

#include "site/site.h"

bool client_list(json_t **out, struct site *site, struct err *err) MUST_USE;

/* One client with inventory and streams; `typed` is an id or a unique name. The caller owns it. */
bool client_show(json_t **out, struct site *site, const char *typed, struct err *err) MUST_USE;

/* Let a pending (or removed) client in. ERR_NOT_FOUND. Approving twice is fine. */
bool client_approve(struct site *site, const char *typed, struct err *err) MUST_USE;

/* Let it out: it is told by its next receipt, and its inventory is dropped. */
bool client_remove(struct site *site, const char *typed, struct err *err) MUST_USE;

/* The receipt shard of a client, four hex digits; `dst` has room for CLIENT_SHARD_SIZE. */
#define CLIENT_SHARD_SIZE 5
void client_shard(char *dst, const char *client_id);

/* Ask for the client's receipt to be written anew, inside the caller's transaction. */
bool client_touch_receipt(struct site *site, const char *client_id, struct err *err) MUST_USE;

#endif

/*
 * Changes to who signs a role of our own site, in the object that says so: {"keys","roles"} of a
 * root body, where "roles" has names, or of a targets body's "delegations", where it is a list.
 *
 * PURE.
 */
#ifndef TRUST_KEYCHANGE_H
#define TRUST_KEYCHANGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "trust/keys.h"

/* The entry of `role_name`, {"keyids","threshold",…}; NULL if there is none. Borrowed. */
json_t *keychange_entry(json_t *holder, const char *role_name);

/* Let `key` sign the role, besides those that do. False if there is no such role. */
bool keychange_add(json_t *holder, const char *role_name, const struct key *key);

/*
 * Let `key` sign the role no more; it leaves "keys" with the last role that uses it. False if it
 * does not sign it. The threshold stays: the caller adds another key.
 */
bool keychange_drop(json_t *holder, const char *role_name, const struct key *key);

/* Let nobody sign the role any more: the caller adds a key. */
void keychange_drop_all(json_t *holder, const char *role_name);

#endif

#include "trust/keychange.h"

#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "trust/authority.h"

static bool is_named(const json_t *entry, const char *name)
{
	const char *text = jsondoc_text(entry, "name");

	return text != NULL && strcmp(text, name) == 0;
}

json_t *keychange_entry(json_t *holder, const char *role_name)
{
	json_t *roles = json_object_get(holder, "roles"), *entry;
	size_t i;

	if (json_is_object(roles))
		return json_object_get(roles, role_name);
	json_array_foreach (roles, i, entry)
		if (is_named(entry, role_name))
			return entry;
	return NULL;
}

bool keychange_add(json_t *holder, const char *role_name, const struct key *key)
{
	json_t *entry = keychange_entry(holder, role_name);

	if (entry == NULL)
		return false;
	authority_add_key(json_object_get(holder, "keys"), json_object_get(entry, "keyids"), key);
	return true;
}

static bool lists(const json_t *entry, const char *keyid, size_t *at)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(entry, "keyids"), i, item) {
		*at = i;
		if (strcmp(json_string_value(item), keyid) == 0)
			return true;
	}
	return false;
}

static bool is_used(json_t *holder, const char *keyid)
{
	json_t *roles = json_object_get(holder, "roles"), *entry;
	const char *name;
	size_t i, at;

	if (json_is_object(roles)) {
		json_object_foreach (roles, name, entry)
			if (lists(entry, keyid, &at))
				return true;
	} else {
		json_array_foreach (roles, i, entry)
			if (lists(entry, keyid, &at))
				return true;
	}
	return false;
}

/* The id at `at` of the role's list goes, and its key with the last role that uses it. */
static void drop_at(json_t *holder, json_t *keyids, size_t at)
{
	SCOPED_TEXT char *keyid = alloc_text(json_string_value(json_array_get(keyids, at)));

	json_array_remove(keyids, at);
	if (!is_used(holder, keyid))
		json_object_del(json_object_get(holder, "keys"), keyid);
}

void keychange_drop_all(json_t *holder, const char *role_name)
{
	json_t *keyids = json_object_get(keychange_entry(holder, role_name), "keyids");

	while (json_array_size(keyids) > 0)
		drop_at(holder, keyids, 0);
}

bool keychange_drop(json_t *holder, const char *role_name, const struct key *key)
{
	json_t *entry = keychange_entry(holder, role_name);
	char keyid[DIGEST_HEX_SIZE];
	struct digest id;
	size_t at;

	keys_id(&id, key);
	digest_print(keyid, &id);
	if (entry == NULL || !lists(entry, keyid, &at))
		return false;
	drop_at(holder, json_object_get(entry, "keyids"), at);
	return true;
}

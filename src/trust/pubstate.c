#include "trust/pubstate.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/jsondoc.h"
#include "common/macros.h"

const struct edition *pubstate_newest(const struct publication *pub, enum siterole role)
{
	return pub->roles[role].next.body != NULL ? &pub->roles[role].next : &pub->roles[role].now;
}

void pubstate_use(struct publication *pub, enum siterole role, struct edition *e)
{
	edition_release(&pub->roles[role].now);
	pub->roles[role].now = *e;
	*e = (struct edition){ 0 };
	publication_saw_version(pub, role, pub->roles[role].now.version);
}

void pubstate_restart_targets(struct publication *pub, enum siterole role)
{
	json_t *published = json_object_get(pub->roles[role].now.body, "targets");

	json_decref(pub->roles[role].targets);
	pub->roles[role].targets = published != NULL ? json_copy(published) : json_object();
}

struct authority pubstate_authority(const json_t *root, const json_t *targets, enum siterole role)
{
	const char *name = siterole_rule(role)->name;

	return siterole_is_delegated(role) ? authority_by_targets(targets, name)
					   : authority_by_root(root, name);
}

static const char *const signer_members[][2] = {
	[SITEROLE_ROOT] = { "keys", "roles" },
	[SITEROLE_TARGETS] = { "delegations" },
};

void pubstate_copy_signers(json_t *to, const json_t *from, enum siterole role)
{
	for (size_t i = 0; i < 2 && signer_members[role][i] != NULL; i++) {
		json_t *value = json_object_get(from, signer_members[role][i]);

		if (value != NULL)
			jsondoc_set(to, signer_members[role][i], json_deep_copy(value));
	}
}

void pubstate_name_file(char *dst, size_t size, enum siterole role, int64_t version)
{
	if (role == SITEROLE_TIMESTAMP)
		snprintf(dst, size, "timestamp.json");
	else
		snprintf(dst, size, "%" PRId64 ".%s.json", version, siterole_rule(role)->name);
}

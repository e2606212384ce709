#include "trust/pubstate.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/jsondoc.h"
#include "common/macros.h"

#define SPEC_VERSION "1.0.34"

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

/* Bins that were to come with the next build are forgotten. */
static void drop_new_bins(struct publication *pub, enum siterole whole)
{
	const struct siterole_rule *rule = siterole_rule(whole);

	for (enum siterole bin = rule->first_bin; bin < rule->first_bin + rule->bins; bin++) {
		if (pub->roles[bin].now.version > 0)
			continue;
		edition_release(&pub->roles[bin].now);
		json_object_clear(pub->roles[bin].targets);
	}
}

void pubstate_restart_targets(struct publication *pub, enum siterole role)
{
	const json_t *body = pub->roles[role].now.body;
	json_t *published = json_object_get(body, "targets");

	json_decref(pub->roles[role].targets);
	pub->roles[role].targets = published != NULL ? json_copy(published) : json_object();
	if (siterole_rule(role)->bins == 0)
		return;
	pub->roles[role].split = json_object_get(body, "delegations") != NULL;
	if (!pub->roles[role].split)
		drop_new_bins(pub, role);
}

json_t *pubstate_new_body(enum siterole role)
{
	json_t *body = json_object();

	jsondoc_set_text(body, "_type", siterole_rule(role)->type);
	jsondoc_set_text(body, "spec_version", SPEC_VERSION);
	if (siterole_lists_targets(role))
		jsondoc_set(body, "targets", json_object());
	else if (role != SITEROLE_ROOT)
		jsondoc_set(body, "meta", json_object());
	return body;
}

struct authority pubstate_authority(const json_t *delegator_body, enum siterole role)
{
	const struct siterole_name name = siterole_name(role);

	return siterole_delegator(role) == SITEROLE_ROOT
		       ? authority_by_root(delegator_body, name.text)
		       : authority_by_targets(delegator_body, name.text);
}

struct authority pubstate_authority_now(const struct publication *pub, enum siterole role)
{
	return pubstate_authority(pub->roles[siterole_delegator(role)].now.body, role);
}

bool pubstate_exists(const struct publication *pub, enum siterole role)
{
	return pubstate_newest(pub, role)->version > 0;
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
		snprintf(dst, size, "%" PRId64 ".%s.json", version, siterole_name(role).text);
}

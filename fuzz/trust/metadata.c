/*
 * Metadata as a server might send it: each kind's reader takes the bytes, and a file that is well
 * formed goes through the lookups, the signature check and the delegation matching.
 */
#include "common/digest.h"
#include "trust/role.h"
#include "trust/rolename.h"
#include "trust/trustset.h"
#include "trust/verify.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct role *role)
{
	struct role_listing listing;
	struct role_target target;
	struct digest digest;

	if (role->kind != ROLE_ROOT) {
		(void)!role_listing_of(&listing, role, "targets");
		(void)!role_target_find(&target, role, "a/b");
	}
	digest_of(&digest, span_of_text("a/b"));
	for (size_t i = 0; i < role->delegation_count; i++) {
		char *name = role_delegation_name(&role->delegations[i], &digest);

		role_delegation_covers(&role->delegations[i], "a/b", &digest);
		free(rolename_file(name));
		free(rolename_url(name, role->version));
		free(name);
	}
}

/* An own root is the one role that a set takes without anything else. */
static void trust(struct span bytes)
{
	SCOPED(trustset) struct trustset *set = trustset_new(0, TRUSTSET_STRICT);
	bool revoked;
	struct err err;

	if (trustset_load_root(set, bytes, &err) == VERDICT_OK)
		(void)!trustset_update_root(set, bytes, &revoked, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (enum role_kind kind = ROLE_ROOT; kind < ROLE_COUNT_; kind++) {
		SCOPED(role) struct role *role = NULL;
		struct err err;

		if (role_parse(&role, kind, span_of(data, size), &err) != VERDICT_OK)
			continue;
		look_up(role);
		if (kind == ROLE_ROOT)
			(void)!verify_threshold(role, &role->top[ROLE_ROOT], "root", &err);
	}
	trust(span_of(data, size));
	return 0;
}

/*
 * The search for targets over delegations, and what it needs of an updater: the roles, one after
 * the other. For the updater's own files only; others use updater.h.
 */
#ifndef TRUST_TARGETSEARCH_H
#define TRUST_TARGETSEARCH_H

#include "common/error.h"
#include "common/macros.h"
#include "trust/role.h"
#include "trust/updater.h"
#include "trust/verdict.h"

/*
 * The targets role `name` as `signers` signed it: held, stored or fetched, in this order. Borrowed
 * until the updater is freed.
 */
enum verdict updater_targets_role(struct updater *u, const char *name,
				  const struct role_signers *signers, const struct role **out,
				  struct err *err) MUST_USE;

/* The name of a role that updater_targets_role gave out. Borrowed likewise. */
const char *updater_targets_name(const struct updater *u, const struct role *role);

/* Who signs the top-level targets role. */
const struct role_signers *updater_targets_signers(const struct updater *u);

/* What updater_find_target, updater_each_target and updater_hold_role promise in updater.h. */
enum verdict targetsearch_find(struct updater *u, const char *path, struct updater_target *out,
			       struct err *err) MUST_USE;
enum verdict targetsearch_each(struct updater *u, const char *role,
			       bool (*each)(void *ctx, const struct updater_target *target),
			       void *ctx, struct err *err) MUST_USE;
enum verdict targetsearch_hold(struct updater *u, const char *role, struct err *err) MUST_USE;

#endif

/*
 * The inside of a publication, for publication.c, which holds it, and issuance.c, which makes new
 * role files out of it. Others use publication.h.
 *
 * PURE.
 */
#ifndef TRUST_PUBSTATE_H
#define TRUST_PUBSTATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "trust/authority.h"
#include "trust/edition.h"
#include "trust/publication.h"
#include "trust/siterole.h"

struct publication {
	struct {
		struct edition now;  /* as published; version 0 with a body: founded, never made */
		struct edition next; /* as built */
		json_t *targets; /* path → {"length","hashes"} with the changes; targets roles only
				  */
		int64_t floor;   /* the highest version ever handed out or seen */
		json_t *draft;   /* root: "keys" and "roles"; targets: "delegations"; NULL: as
				    published */
		struct edition given; /* made elsewhere, to be published next */
		struct buf given_bytes;
		bool waits; /* changed, and its keys are elsewhere */
		bool split; /* its targets are in its bins */
	} roles[SITEROLE_COUNT_];
};

/* What was built last, or what is published where nothing was. Borrowed. */
const struct edition *pubstate_newest(const struct publication *pub, enum siterole role);

/* `e`, which is empty then, is published from now on. */
void pubstate_use(struct publication *pub, enum siterole role, struct edition *e);

/* Forget the changes to what a role lists, and to whether it is split. */
void pubstate_restart_targets(struct publication *pub, enum siterole role);

/* A body that lists nothing, without version and expiry. The caller owns it. */
json_t *pubstate_new_body(enum siterole role) MUST_USE;

/* Who signs `role` by this body of its delegator (siterole_delegator). */
struct authority pubstate_authority(const json_t *delegator_body, enum siterole role);

/* Who signs it by what is published. */
struct authority pubstate_authority_now(const struct publication *pub, enum siterole role);

/* True if the role is published, or was built: not so for the bins of a role that is whole. */
bool pubstate_exists(const struct publication *pub, enum siterole role);

/* Copy what says who signs other roles from one body, or draft, of root or targets to another. */
void pubstate_copy_signers(json_t *to, const json_t *from, enum siterole role);

/* The name of a role's file beneath metadata/. */
void pubstate_name_file(char *dst, size_t size, enum siterole role, int64_t version);

#endif

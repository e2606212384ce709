/*
 * Small checks that several parts of the site share.
 */
#ifndef SITE_CHECKS_H
#define SITE_CHECKS_H

#include "site/site.h"

/*
 * ERR_IN_USE if the statement `users` (one parameter, one text column) yields rows for `name`: they
 * are named in the fault.
 */
bool checks_unused(struct site *site, enum site_statement users, const char *kind, const char *name,
		   struct err *err) MUST_USE;

/* ERR_USAGE unless `id` has the form of a package or advertisement id. */
bool checks_object_id(const char *id, const char *kind, struct err *err) MUST_USE;

/*
 * A client's id from what an admin typed: the id itself, or a name that only one client has.
 * `dst` has room for CHECKS_CLIENT_SIZE. ERR_NOT_FOUND, or ERR_USAGE where a name is not unique.
 */
#define CHECKS_CLIENT_SIZE 33
bool checks_client(char *dst, struct site *site, const char *typed, struct err *err) MUST_USE;

/* The same for a client that is there, in whatever state: else ERR_NOT_FOUND. */
bool checks_known_client(char *dst, struct site *site, const char *typed, struct err *err) MUST_USE;

#endif

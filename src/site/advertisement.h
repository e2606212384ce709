/*
 * Advertisements: a program offered to, or demanded of, a collection.
 */
#ifndef SITE_ADVERTISEMENT_H
#define SITE_ADVERTISEMENT_H

#include "site/site.h"

/* What `advertise` takes; texts are borrowed; times are -1 where there is none. */
struct advertisement_spec {
	const char *package;
	const char *program;
	const char *collection;
	int64_t available_s;
	int64_t mandatory_s;
	int64_t expires_s;
	const char *window;
	int64_t version;      /* 0: the latest */
	const char *offer_to; /* a Unix group, or NULL */
};

/* Store it; its id is written to `id_out` (SITE_ID_SIZE). ERR_NOT_FOUND, ERR_USAGE for times. */
bool advertisement_add(char *id_out, struct site *site, const struct advertisement_spec *spec,
		       struct err *err) MUST_USE;

enum advertisement_state {
	ADVERTISEMENT_ACTIVE,
	ADVERTISEMENT_STOPPED, /* nothing new starts; takes effect with the next publish */
};

/* Stop or resume. Doing it twice is fine. */
bool advertisement_set_state(struct site *site, const char *id, enum advertisement_state state,
			     struct err *err) MUST_USE;

bool advertisement_remove(struct site *site, const char *id, struct err *err) MUST_USE;
bool advertisement_list(json_t **out, struct site *site, struct err *err) MUST_USE;
bool advertisement_show(json_t **out, struct site *site, const char *id, struct err *err) MUST_USE;

#endif

/*
 * What DPs shall hold: versions by the database, and the objects that a version consists of by its
 * index in the library.
 */
#ifndef SITE_WANTED_H
#define SITE_WANTED_H

#include "content/index.h"
#include "site/site.h"

#define WANTED_OBJECT_MAX (SITE_ID_SIZE + INDEX_NAME_MAX) /* of an object's name on a DP */

/* A version that the DP shall hold. */
struct wanted {
	char package[SITE_ID_SIZE];
	int64_t version;
	char *index_name; /* of what is to be brought */
	bool is_valid;    /* it is all there */
	bool is_addition; /* another index beside one that is there and valid */
	char *held;       /* the index of what is there as a whole; NULL: nothing */
};

struct wanted_list {
	struct wanted *items;
	size_t count;
};

void wanted_release(struct wanted *item);
void wanted_list_release(struct wanted_list *list);
SCOPED_RELEASE(wanted_list);

enum wanted_scope {
	WANTED_DUE,   /* each version once, with what is to be brought next */
	WANTED_NAMED, /* each index whose objects are to stay; package, version, index only */
};

/* `out` must be empty. */
bool wanted_load(struct wanted_list *out, struct site *site, int64_t dp, enum wanted_scope scope,
		 struct err *err) MUST_USE;

/* An object by its name beneath the DP, "LON00001/packs/…"; false with a fault ends the walk. */
typedef bool (*wanted_object_fn)(void *ctx, const char *name, const struct index_object *object,
				 struct err *err);

/* Each object of a version once, its index last; stops at the first fault. */
bool wanted_each_object(struct site *site, const struct wanted *item, wanted_object_fn fn,
			void *ctx, struct err *err);

#endif

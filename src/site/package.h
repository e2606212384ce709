/*
 * Packages in the database: what exists, its versions, its removal. Making versions is release.h.
 */
#ifndef SITE_PACKAGE_H
#define SITE_PACKAGE_H

#include "site/site.h"

/* ERR_USAGE unless `id` is one, ERR_NOT_FOUND unless there is such a package. */
bool package_check(struct site *site, const char *id, struct err *err) MUST_USE;

/* What is known of a package. Texts are owned; package_info_release frees them. */
struct package_info {
	char id[SITE_ID_SIZE];
	char *name;
	char *source;
	int64_t latest;
};

void package_info_release(struct package_info *info);
SCOPED_RELEASE(package_info);

/* `out` must be empty. Faults as package_check. */
bool package_load(struct package_info *out, struct site *site, const char *id, struct err *err)
	MUST_USE;

/* One version; texts are owned. */
struct package_release {
	int64_t version;
	char *identity; /* of the content, hexadecimal */
	char *manifest; /* SHA-256 of its bytes, hexadecimal */
	char *index_name;
	int64_t manifest_size;
	int64_t index_size;
	int64_t files;
	int64_t bytes;
	int64_t bytes_new;
};

void package_release_release(struct package_release *release);
SCOPED_RELEASE(package_release);

/* ERR_NOT_FOUND if the package has no such version. `out` must be empty. */
bool package_load_release(struct package_release *out, struct site *site, const char *id,
			  int64_t version, struct err *err) MUST_USE;

/* Record a new version and make it the latest; inside the caller's transaction. */
bool package_add_release(struct site *site, const char *id, const struct package_release *release,
			 struct err *err) MUST_USE;

bool package_list(json_t **out, struct site *site, struct err *err) MUST_USE;

/* One package with its versions, programs and DPs; the caller owns it. */
bool package_show(json_t **out, struct site *site, const char *id, struct err *err) MUST_USE;

/*
 * Take it out of policy. Its content leaves library and DPs when the keeping time is over.
 * ERR_IN_USE while an advertisement or another package's program refers to it.
 */
bool package_remove(struct site *site, const char *id, struct err *err) MUST_USE;

#endif

/*
 * Making versions of packages: from a folder, or again from an earlier version.
 *
 * Content, index and manifest stand in the library before the database knows the version, so a kill
 * leaves at most files that the next run removes.
 */
#ifndef SITE_RELEASE_H
#define SITE_RELEASE_H

#include "content/packer.h"
#include "site/site.h"

#define RELEASE_NAME_MAX 64

/* What `package create` and `update` take; texts are borrowed. */
struct release_spec {
	const char *name;            /* create only */
	const char *source;          /* a folder; update: NULL is the one of last time */
	uint32_t source_flags;       /* enum source_flag */
	bool reads_all;              /* update: also files that look as they did last time */
	packer_progress_fn progress; /* may be NULL */
	void *progress_ctx;
};

struct release_result {
	char id[SITE_ID_SIZE];
	int64_t version;
	int64_t files;
	int64_t bytes;
	int64_t bytes_new; /* what has to be carried to a DP that has the versions before */
	bool is_unchanged; /* no new version: `version` is the latest */
	uint32_t links_skipped;
	char *skipped_text; /* the first of them; NULL: none */
};

void release_result_release(struct release_result *r);
SCOPED_RELEASE(release_result);

/*
 * Make a package with its version 1. ERR_SOURCE and ERR_SOURCE_CHANGED say what is wrong with the
 * folder, ERR_REFUSED that it overlaps the site's or a system's folder; no id is used up then.
 */
bool release_create(struct release_result *out, struct site *site, const struct release_spec *spec,
		    struct err *err) MUST_USE;

/* Make the next version; content that is that of the latest makes none. */
bool release_update(struct release_result *out, struct site *site, const char *id,
		    const struct release_spec *spec, struct err *err) MUST_USE;

/* Make a new version with the content of an old one. */
bool release_rollback(struct release_result *out, struct site *site, const char *id, int64_t to,
		      struct err *err) MUST_USE;

/*
 * Remove indexes that the database does not name: those of a run that was killed before its end,
 * and those that another one has followed. The caller holds the lock "package".
 */
bool release_drop_indexes(struct site *site, const char *id, struct err *err) MUST_USE;

/* The file that holds a version's manifest; the caller frees it. */
char *release_manifest_path(const struct site *site, const char *id, int64_t version) MUST_USE;

#endif

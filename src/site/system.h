/*
 * Site systems: the CAPs and DPs, their addresses, and where the site writes for each of them.
 */
#ifndef SITE_SYSTEM_H
#define SITE_SYSTEM_H

#include "nal/conntab.h"
#include "nal/locator.h"
#include "nal/marker.h"
#include "site/site.h"

#define SYSTEM_ADDRESSES_MAX 16

/* What `cap add` and `dp add` take; texts are borrowed, NULL and 0 mean none. */
struct system_spec {
	enum marker_kind kind;
	const char *name;
	const char *const *urls; /* the first is the one that the site writes through */
	size_t url_count;
	const char *group;
	const char *inbox;  /* CAPs: where clients put uploads, if not beneath the addresses */
	uint64_t max_rate;  /* DPs: bytes a second */
	const char *window; /* DPs: when content may be copied there */
	bool is_external;   /* DPs: filled by somebody else; the site only looks into it */
};

/*
 * Add a system. A folder that does not exist is made, unless somebody else fills it. What happened
 * is told in `note_out` where there is something to tell (the caller frees it; NULL otherwise).
 *
 * ERR_EXISTS for a name or first address in use, ERR_NOT_FOUND for a group, ERR_UNSUPPORTED for an
 * address that the site cannot write through, ERR_REFUSED for a folder that overlaps the site's
 * own or a plain web server as a CAP's first address.
 */
bool system_add(struct site *site, const struct system_spec *spec, char **note_out, struct err *err)
	MUST_USE;

/*
 * True if every client that polls within SYSTEM_OVERLAP_S knows another CAP than `name` by now, or
 * there are no clients. ERR_IN_USE says from when on that is so.
 */
#define SYSTEM_OVERLAP_S ((int64_t)14 * 86400) /* as long as a policy lives */
bool system_check_overlap(struct site *site, const char *name, struct err *err) MUST_USE;

/* Take it out of policy; what stands there is cleaned up later. ERR_NOT_FOUND, ERR_IN_USE. */
bool system_remove(struct site *site, enum marker_kind kind, const char *name, struct err *err)
	MUST_USE;

/* The list for the CLI; the caller owns it. */
bool system_list_json(json_t **out, struct site *site, enum marker_kind kind, struct err *err)
	MUST_USE;

struct system {
	int64_t id;
	enum marker_kind kind;
	char *name;
	char *uuid;
	char *group;
	char *inbox;
	char *urls[SYSTEM_ADDRESSES_MAX];
	size_t url_count;
	uint64_t max_rate;
	char *window;
	char *mount; /* where the file system of its folder was mounted when it was last ours */
	bool is_own;
	bool is_removed;
	bool is_external;
};

struct system_list {
	struct system *items;
	size_t count;
};

void system_list_release(struct system_list *list);
SCOPED_RELEASE(system_list);

enum system_scope {
	SYSTEM_LIVE,             /* those in policy */
	SYSTEM_LIVE_AND_REMOVED, /* and those of which something is still to be cleaned */
};

/* All systems of a kind, by name. The caller releases `out`. */
bool system_load(struct system_list *out, struct site *site, enum marker_kind kind,
		 enum system_scope scope, struct err *err) MUST_USE;

/* The system of that name in a loaded list; NULL: none. */
struct system *system_find(const struct system_list *list, const char *name);

/*
 * The locator through which the site writes, or looks into an external DP: the first address, or
 * the folder in SITE/www behind it. May ask an http address whose it is, and remember the answer.
 * `out` must be empty.
 */
bool system_write_locator(struct locator *out, struct site *site, struct conntab *tab,
			  struct system *system, struct err *err) MUST_USE;

/*
 * ERR_REFUSED if `folder` holds, or lies in, the site's folder or the folder of a system: content
 * that is its own source would eat itself (Q263376).
 */
bool system_check_source(struct site *site, const char *folder, struct err *err) MUST_USE;

#endif

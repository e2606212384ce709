#include "agent/context.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "nal/gvfs.h"

#define GROUPS_MAX 1024
#define SYSTEM     "system"

static char *name_of(uid_t uid)
{
	const struct passwd *pw = getpwuid(uid);

	return pw != NULL ? alloc_text(pw->pw_name) : NULL;
}

void context_init(struct context *c, uid_t owner)
{
	*c = (struct context){
		.system = { .uid = (int64_t)owner },
		.gvfs_box = TIMEBOX_EMPTY,
	};
	if (owner != 0)
		c->name = name_of(owner);
	c->system.user = c->name;
}

static void forget_user(struct context *c)
{
	timebox_end(&c->gvfs_box);
	c->gvfs_box.as = NULL;
	timebox_came_in_time(&c->gvfs_box); /* what hangs is another's */
	free((gid_t *)(uintptr_t)c->as.groups);
	free(c->name);
	c->name = NULL;
	c->as = (struct timebox_user){ 0 };
	c->has_user = false;
}

void context_release(struct context *c)
{
	forget_user(c);
}

static bool learn_user(struct context *c, uid_t uid)
{
	const struct passwd *pw = getpwuid(uid);
	gid_t *groups;
	int count = GROUPS_MAX;

	if (pw == NULL)
		return false;
	groups = alloc_zeroed(GROUPS_MAX, sizeof(*groups));
	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &count) < 0)
		count = GROUPS_MAX;
	c->name = alloc_text(pw->pw_name);
	c->as = (struct timebox_user){
		.uid = uid, .gid = pw->pw_gid, .groups = groups, .group_count = (size_t)count
	};
	c->user = (struct mountmatch_context){ .uid = (int64_t)uid,
					       .user = c->name,
					       .beyond = &c->system };
	return true;
}

void context_set(struct context *c, int64_t uid)
{
	/* Without root there is nobody else to be; root's own requests are the system's. */
	if (c->system.uid != 0)
		return;
	if (c->has_user && c->user.uid == uid)
		return;
	forget_user(c);
	if (uid <= 0)
		return;
	c->has_user = learn_user(c, (uid_t)uid);
	if (c->has_user)
		c->gvfs_box.as = &c->as;
	else
		log_debug("user %lld has no account: only the system's ways count", (long long)uid);
}

void context_add_shares(struct context *c, struct mounts *table)
{
	int64_t uid = c->has_user ? c->user.uid : c->system.uid;

	/* Root's desktop, should it have one, is a person's and not the system's. */
	if (uid != 0)
		gvfs_add(table, uid, &c->gvfs_box);
}

const char *context_name(const struct context *c)
{
	return c->name != NULL ? c->name : SYSTEM;
}

const char *context_name_of(const struct context *c, const struct mounts_entry *mount)
{
	return context_user_of(c, mount) != NULL || !c->has_user ? context_name(c) : SYSTEM;
}

const struct timebox_user *context_user_of(const struct context *c,
					   const struct mounts_entry *mount)
{
	return c->has_user && !mountmatch_counts(mount, &c->system) ? &c->as : NULL;
}

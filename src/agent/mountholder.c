#include "agent/mountholder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/path.h"
#include "common/spawn.h"
#include "common/text.h"
#include "nal/mounts.h"

#define NAMED_MAX     5
#define FUSERMOUNT_MS 10000
#define COMM_MAX      64

bool mountholder_look(struct mountholder *out, const char *at, struct err *err)
{
	SCOPED(mounts) struct mounts table = { 0 };

	*out = (struct mountholder){ 0 };
	if (!mounts_read(&table, NULL, err))
		return false;
	for (size_t i = 0; i < table.count; i++) {
		const struct mounts_entry *e = &table.entries[i];

		if (strcmp(e->target, at) != 0)
			continue;
		mountholder_release(out);
		*out = (struct mountholder){
			.is_mounted = true,
			.is_ours = strcmp(e->fstype, MOUNTHOLDER_FSTYPE) == 0 &&
				   e->fuse_uid == (int64_t)geteuid(),
			.source = alloc_text(e->source),
			.fstype = alloc_text(e->fstype),
		};
	}
	return true;
}

void mountholder_release(struct mountholder *h)
{
	free(h->source);
	free(h->fstype);
	*h = (struct mountholder){ 0 };
}

static bool is_beneath(const char *at, const char *path)
{
	size_t size = strlen(at);

	return strncmp(path, at, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

/* Links of /proc are read, not followed: nothing is asked of the mount. */
static bool leads_there(const char *link, const char *at)
{
	char path[PATH_MAX];
	ssize_t size = readlink(link, path, sizeof(path) - 1);

	if (size <= 0)
		return false;
	path[size] = '\0';
	return is_beneath(at, path);
}

static bool has_open_file(const char *process, const char *at)
{
	SCOPED_TEXT char *folder = path_join(process, "fd");
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	bool found = false;

	while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
		SCOPED_TEXT char *link = path_join(folder, entry->d_name);

		found = leads_there(link, at);
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

static bool is_in(const char *process, const char *at)
{
	static const char *const links[] = { "cwd", "exe", "root" };

	for (size_t i = 0; i < COUNT_OF(links); i++) {
		SCOPED_TEXT char *link = path_join(process, links[i]);

		if (leads_there(link, at))
			return true;
	}
	return has_open_file(process, at);
}

static void name_process(struct buf *out, const char *process, const char *pid)
{
	SCOPED_TEXT char *path = path_join(process, "comm");
	SCOPED_TEXT char *words = NULL;
	SCOPED(buf) struct buf comm = { 0 };
	struct err ignored;
	char *end;

	if (!path_read(&comm, path, COMM_MAX, &ignored))
		return;
	end = strchr(buf_text(&comm), '\n');
	if (end != NULL)
		*end = '\0';
	words = alloc_printf("%s%s (process %s)", out->size > 0 ? ", " : "", buf_text(&comm), pid);
	buf_put_span(out, span_of_text(words));
}

char *mountholder_processes(const char *at)
{
	SCOPED(buf) struct buf out = { 0 };
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	unsigned named = 0;

	while (proc != NULL && named < NAMED_MAX && (entry = readdir(proc)) != NULL) {
		SCOPED_TEXT char *process = path_join("/proc", entry->d_name);
		uint64_t pid;

		if (!text_u64(&pid, entry->d_name, 1, INT32_MAX) || pid == (uint64_t)getpid() ||
		    !is_in(process, at))
			continue;
		name_process(&out, process, entry->d_name);
		named++;
	}
	if (proc != NULL)
		closedir(proc);
	return out.size > 0 ? alloc_text(buf_text(&out)) : NULL;
}

/* 0, or an errno value. An ordinary user's mounts are undone by a program with the right to. */
static int fusermount(const char *at, const char *option)
{
	static const char *const paths[] = { "/usr/bin/fusermount3", "/bin/fusermount3" };
	struct spawn s = { 0 };
	int status = -1;
	pid_t pid;
	struct err ignored;

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		if (access(paths[i], X_OK) != 0)
			continue;
		s.argv = (const char *const[]){ paths[i], option, "--", at, NULL };
		if (!spawn_start(&pid, &s, &ignored))
			return EPERM;
		if (spawn_wait(&status, pid, FUSERMOUNT_MS) == SPAWN_RUNNING)
			spawn_stop(pid, 0);
		return status == 0 ? 0 : EBUSY;
	}
	return EPERM;
}

bool mountholder_unmount(const char *at, struct err *err)
{
	SCOPED_TEXT char *who = NULL;
	int rc;

	if (geteuid() == 0)
		rc = umount2(at, UMOUNT_NOFOLLOW) == 0 ? 0 : errno;
	else
		rc = fusermount(at, "-u");
	if (rc == 0)
		return true;
	if (rc != EBUSY)
		return err_sys(err, ERR_IO, rc, "unmount %s", at);
	who = mountholder_processes(at);
	err_set(err, ERR_IN_USE, "%s is in use by %s", at,
		who != NULL ? who : "somebody who is not seen from here");
	return err_fix(err, "let it end, or let it leave that folder, and try again");
}

void mountholder_detach(const char *at)
{
	if (geteuid() == 0)
		(void)umount2(at, UMOUNT_NOFOLLOW | MNT_DETACH);
	else
		(void)fusermount(at, "-uz");
}

#include "site/leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"

#define DEPTH_MAX   6       /* folders within folders: targets/manifest/<id>/… is three */
#define ENTRIES_MAX 1000000 /* an inbox is a folder that anybody may fill */
#define TEMP        ".new-" /* then 16 hex digits: common/newfile.c, nal/fileio.c, site/server.c */

struct walk {
	int64_t before_s;
	size_t left; /* entries that are still looked at */
};

static bool is_temp(const char *name)
{
	size_t prefix = strlen(TEMP);

	return strncmp(name, TEMP, prefix) == 0 && strlen(name) == prefix + 16 &&
	       strspn(name + prefix, "0123456789abcdef") == 16;
}

static void walk_folder(struct walk *w, int at, const char *name, int depth);

static void look(struct walk *w, int dir, const char *name, int depth)
{
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	if (S_ISDIR(st.st_mode))
		walk_folder(w, dir, name, depth + 1);
	else if (S_ISREG(st.st_mode) && is_temp(name) && st.st_mtime < w->before_s)
		(void)unlinkat(dir, name, 0);
}

/* Others may write there too: no link is followed. */
static void walk_folder(struct walk *w, int at, const char *name, int depth)
{
	int fd = depth <= DEPTH_MAX
			 ? openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
			 : -1;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (w->left > 0 && (entry = readdir(dir)) != NULL) {
		w->left--;
		/* Most are files that say by their names that they stay. */
		if (entry->d_type != DT_REG || is_temp(entry->d_name))
			look(w, fd, entry->d_name, depth);
	}
	closedir(dir);
}

void leftovers_remove(const char *folder, int64_t now_s)
{
	struct walk w = { .before_s = now_s - LEFTOVERS_AGE_S, .left = ENTRIES_MAX };

	walk_folder(&w, AT_FDCWD, folder, 0);
}

static void sweep_inbox(const struct outlet *o)
{
	SCOPED(locator) struct locator inbox = { 0 };
	struct err ignored;

	if (o->system->inbox != NULL &&
	    locator_parse_argument(&inbox, o->system->inbox, &ignored) &&
	    inbox.scheme == LOCATOR_FILE)
		leftovers_remove(inbox.path, site_now(o->site));
}

bool leftovers_sweep(struct outlet *o, struct err *err)
{
	SCOPED_TEXT char *key = alloc_printf("swept-%" PRId64, o->system->id);
	SITE_UNDO struct site *undo = o->site;
	const char *folder = outlet_folder(o);
	int64_t last, now_s = site_now(o->site);

	if (folder == NULL)
		return true;
	if (!site_setting(&last, o->site, key, err))
		return false;
	if (now_s - last < LEFTOVERS_AGE_S && now_s >= last)
		return true;
	leftovers_remove(folder, now_s);
	sweep_inbox(o);
	return site_begin(o->site, err) && site_set_setting(o->site, key, now_s, err) &&
	       site_commit(o->site, err);
}

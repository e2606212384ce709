#include "agent/generation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"

#define POINTER   "current"
#define DRAFT     "draft"
#define NAME_MAX_ 20 /* digits of a generation's number */
#define RACES_MAX 16 /* switches that may come between reading the pointer and holding */

static char *room_path(const struct state *st, const char *name)
{
	return path_join3(st->dir, "policy", name);
}

static bool parse_name(uint64_t *out, const char *name)
{
	return strlen(name) <= NAME_MAX_ && text_u64(out, name, 1, INT64_MAX);
}

char *generation_name(const struct state *st)
{
	SCOPED_TEXT char *path = room_path(st, POINTER);
	SCOPED(buf) struct buf bytes = { 0 };
	struct err ignored;
	uint64_t number;

	if (!path_read(&bytes, path, NAME_MAX_, &ignored) || !parse_name(&number, buf_text(&bytes)))
		return NULL;
	return alloc_printf("%" PRIu64, number);
}

static void name_rooms(struct generation *g, char *dir)
{
	g->dir = dir;
	g->metadata = path_join(dir, "metadata");
	g->targets = path_join(dir, "targets");
}

void generation_release(struct generation *g)
{
	if (g->fd >= 0)
		close(g->fd);
	free(g->dir);
	free(g->metadata);
	free(g->targets);
	*g = (struct generation)GENERATION_EMPTY;
}

/* A shared lock on the folder; -1 if it is gone, or is being removed. */
static int hold_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool is_still(const struct state *st, const char *name)
{
	SCOPED_TEXT char *now = generation_name(st);

	return now != NULL && strcmp(now, name) == 0;
}

/* The end of the scope closes it no longer. */
static int handed_over(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

bool generation_hold(struct generation *out, const struct state *st, struct err *err)
{
	*out = (struct generation)GENERATION_EMPTY;
	for (int i = 0; i < RACES_MAX; i++) {
		SCOPED_TEXT char *name = generation_name(st);
		SCOPED_TEXT char *dir = NULL;
		SCOPED_FD int fd = -1;

		if (name == NULL)
			break;
		dir = room_path(st, name);
		fd = hold_folder(dir);
		/* Only what is in force after it was held is safe from a sweep. */
		if (fd >= 0 && is_still(st, name)) {
			out->fd = handed_over(&fd);
			name_rooms(out, dir);
			dir = NULL;
			return true;
		}
	}
	return err_set(err, ERR_NOT_FOUND, "there is no policy in %s yet", st->dir);
}

bool generation_draft(struct generation *out, const struct state *st, struct err *err)
{
	*out = (struct generation)GENERATION_EMPTY;
	name_rooms(out, room_path(st, DRAFT));
	if (path_make_dirs(out->metadata, 0700, err) && path_make_dirs(out->targets, 0700, err))
		return true;
	generation_release(out);
	return false;
}

/* What stands in STATE/policy, one name after the other. */
static void each_entry(const struct state *st, void (*each)(void *ctx, const char *name), void *ctx)
{
	SCOPED_TEXT char *dir = path_join(st->dir, "policy");
	struct dirent **names;
	int count = scandir(dir, &names, NULL, NULL);

	for (int i = 0; i < count; i++) {
		if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
			each(ctx, names[i]->d_name);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

static void find_highest(void *ctx, const char *name)
{
	uint64_t *highest = ctx, number;

	if (parse_name(&number, name) && number > *highest)
		*highest = number;
}

/* No name comes twice: one that is held may stand there still. */
static char *next_name(const struct state *st)
{
	uint64_t highest = 0;

	each_entry(st, find_highest, &highest);
	return alloc_printf("%" PRIu64, highest + 1);
}

bool generation_commit(const struct state *st, struct err *err)
{
	SCOPED_TEXT char *room = path_join(st->dir, "policy");
	SCOPED_TEXT char *draft = room_path(st, DRAFT);
	SCOPED_TEXT char *name = next_name(st);
	SCOPED_TEXT char *dir = room_path(st, name);
	SCOPED_TEXT char *pointer = room_path(st, POINTER);

	if (!path_sync_fs(room, err))
		return false;
	if (rename(draft, dir) != 0)
		return err_sys(err, ERR_IO, errno, "folder %s", dir);
	return path_sync_dir(room, err) && newfile_write(pointer, 0600, span_of_text(name), err);
}

struct sweep {
	const struct state *st;
	const char *current;
};

static void sweep_entry(void *ctx, const char *name)
{
	const struct sweep *s = ctx;
	SCOPED_TEXT char *path = room_path(s->st, name);
	SCOPED_FD int fd = -1;
	struct err err;

	if (strcmp(name, POINTER) == 0 || strcmp(name, DRAFT) == 0 || strcmp(name, s->current) == 0)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
		return; /* somebody looks at it: it goes another time */
	if (!path_remove_tree(path, &err))
		log_debug("%s: %s", path, err.why);
}

void generation_sweep(const struct state *st)
{
	SCOPED_TEXT char *current = generation_name(st);
	struct sweep s = { .st = st, .current = current != NULL ? current : "" };

	each_entry(st, sweep_entry, &s);
}

#include "nal/gvfs.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"

/* One entry as the child writes it: its length, and as many bytes; 0 is the end. */
static bool tell_name(int socket, const char *name)
{
	size_t size = strlen(name);
	uint8_t head = (uint8_t)size;

	return size > UINT8_MAX ||
	       (timebox_write(socket, &head, 1, -1) && timebox_write(socket, name, size, -1));
}

static void list_in_child(int socket, void *ctx)
{
	DIR *folder = opendir(ctx);
	const struct dirent *e;
	size_t count = 0;
	uint8_t end = 0;

	while (folder != NULL && count < GVFS_SHARES_MAX && (e = readdir(folder)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if (!tell_name(socket, e->d_name))
			return;
		count++;
	}
	(void)timebox_write(socket, &end, 1, -1);
}

static uint32_t left_ms(uint64_t deadline_ms)
{
	uint64_t now = clock_mono_ms(clock_system());

	return deadline_ms > now ? (uint32_t)(deadline_ms - now) : 0;
}

/* False at the end, or where the child says no more; *result tells which. */
static bool take_name(enum timebox_result *result, char name[UINT8_MAX + 1], struct timebox *box,
		      uint64_t deadline_ms)
{
	uint8_t size = 0;

	*result = timebox_read(box, &size, 1, left_ms(deadline_ms));
	if (*result != TIMEBOX_DONE || size == 0)
		return false;
	*result = timebox_read(box, name, size, left_ms(deadline_ms));
	name[size] = '\0';
	return *result == TIMEBOX_DONE && strlen(name) == size;
}

static void list(struct mounts *table, char *folder, int64_t uid, struct timebox *box)
{
	static const int keep[TIMEBOX_KEEP_MAX] = { -1, -1, -1 };
	uint64_t deadline_ms = clock_mono_ms(clock_system()) + GVFS_WAIT_MS;
	enum timebox_result result = TIMEBOX_DONE;
	char name[UINT8_MAX + 1];
	struct err err;

	if (!timebox_start(box, list_in_child, folder, keep, &err)) {
		log_debug("%s: %s", folder, err.why);
		return;
	}
	for (size_t n = 0; n < GVFS_SHARES_MAX && take_name(&result, name, box, deadline_ms); n++)
		mounts_add_gvfs(table, folder, name, uid);
	timebox_end(box);
	if (result == TIMEBOX_LATE) {
		timebox_came_late(box);
		log_debug("%s: it does not answer within %d ms", folder, GVFS_WAIT_MS);
	}
}

static bool is_gvfs_of(const struct mounts_entry *mount, int64_t uid)
{
	return strcmp(mount->fstype, "fuse.gvfsd-fuse") == 0 && mount->fuse_uid == uid &&
	       !mount->is_hidden;
}

void gvfs_add(struct mounts *table, int64_t uid, struct timebox *box)
{
	size_t count = table->count; /* what is added is no folder to look into */

	for (size_t i = 0; i < count && !timebox_is_hung(box); i++) {
		SCOPED_TEXT char *folder = NULL;

		if (!is_gvfs_of(&table->entries[i], uid))
			continue;
		folder = alloc_text(table->entries[i].target); /* the table moves as it grows */
		list(table, folder, uid, box);
	}
}

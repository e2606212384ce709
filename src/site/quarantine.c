#include "site/quarantine.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"

#define ABOUT ".json"

static int compare_entries(const void *a, const void *b)
{
	const struct quarantine_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void add(struct quarantine *q, const char *name, uint64_t size)
{
	ALLOC_GROW(q->entries, q->count);
	q->entries[q->count++] = (struct quarantine_entry){ alloc_text(name), size };
	q->bytes += size;
}

/* What stands beside an object goes with it; what a killed run left under way goes now. */
static void note(struct quarantine *q, int dir, const char *name)
{
	size_t length = strlen(name), about = strlen(ABOUT);
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	if (name[0] == '.')
		(void)unlinkat(dir, name, 0);
	else if ((length < about || strcmp(name + length - about, ABOUT) != 0) &&
		 fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		add(q, name, (uint64_t)st.st_size);
}

void quarantine_open(struct quarantine *out, const struct site *site)
{
	const struct dirent *entry;
	DIR *dir;

	*out = (struct quarantine){ .site = site, .folder = site_path(site, "quarantine") };
	dir = opendir(out->folder);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		note(out, dirfd(dir), entry->d_name);
	if (dir != NULL)
		closedir(dir);
	if (out->count > 0)
		qsort(out->entries, out->count, sizeof(*out->entries), compare_entries);
}

void quarantine_release(struct quarantine *q)
{
	for (size_t i = 0; i < q->count; i++)
		free(q->entries[i].name);
	free(q->entries);
	free(q->folder);
	*q = (struct quarantine){ 0 };
}

bool quarantine_wants(const struct quarantine *q)
{
	return q->kept < QUARANTINE_OBJECTS_MAX;
}

static void drop_oldest(struct quarantine *q)
{
	SCOPED_TEXT char *object = path_join(q->folder, q->entries[0].name);
	SCOPED_TEXT char *about = alloc_printf("%s" ABOUT, object);

	(void)unlink(object);
	(void)unlink(about);
	q->bytes -= q->entries[0].size;
	free(q->entries[0].name);
	q->count--;
	memmove(q->entries, q->entries + 1, q->count * sizeof(*q->entries));
}

/* Unflushed: after a power cut a refused object may be missing here, which hurts nobody. */
static bool write_file(const char *path, struct span bytes)
{
	__attribute__((cleanup(newfile_scoped))) struct newfile nf = NEWFILE_EMPTY;
	struct err ignored;

	return newfile_begin(&nf, path, 0600, &ignored) && path_write_fd(nf.fd, bytes, &ignored) &&
	       newfile_commit_unflushed(&nf, &ignored);
}

static bool write_about(const struct quarantine *q, const char *path, const char *cap,
			const char *name, const char *reason)
{
	SCOPED_TEXT char *about = alloc_printf("%s" ABOUT, path);
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = json_object();

	jsondoc_set_text(doc, "cap", cap);
	jsondoc_set(doc, "name", jsondoc_new_text(name));
	jsondoc_set_text(doc, "reason", reason);
	jsondoc_set_time(doc, "time", site_now(q->site));
	jsondoc_write(&text, doc);
	buf_put_text(&text, "\n");
	return write_file(about, buf_span(&text));
}

/* The name is the sender's choice: its hash is ours. */
static char *new_name(const struct quarantine *q, const char *name)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest digest;

	digest_of(&digest, span_of_text(name));
	digest_print(hex, &digest);
	return alloc_printf("%012" PRId64 "-%.24s", site_now(q->site), hex);
}

static bool is_known(const struct quarantine *q, const char *own)
{
	const struct quarantine_entry key = { .name = (char *)(uintptr_t)own };

	return q->count > 0 &&
	       bsearch(&key, q->entries, q->count, sizeof(*q->entries), compare_entries) != NULL;
}

void quarantine_keep(struct quarantine *q, const char *cap, const char *name, struct span bytes,
		     const char *reason)
{
	SCOPED_TEXT char *own = new_name(q, name);
	SCOPED_TEXT char *path = path_join(q->folder, own);

	if (!quarantine_wants(q) || bytes.size > QUARANTINE_BYTES_MAX || is_known(q, own))
		return;
	while (q->count >= QUARANTINE_OBJECTS_MAX ||
	       (q->count > 0 && q->bytes + bytes.size > QUARANTINE_BYTES_MAX))
		drop_oldest(q);
	if (!write_file(path, bytes) || !write_about(q, path, cap, name, reason))
		return;
	add(q, own, bytes.size);
	q->kept++;
	qsort(q->entries, q->count, sizeof(*q->entries), compare_entries);
}

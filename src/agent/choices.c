#include "agent/choices.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"

#define ID_DIGITS 10

static int is_decision(const struct dirent *entry)
{
	return strlen(entry->d_name) == ID_DIGITS &&
	       strspn(entry->d_name, "0123456789") == ID_DIGITS;
}

struct ids {
	struct dirent **entries; /* ascending */
	int count;
};

static void ids_scoped(struct ids *ids)
{
	for (int i = 0; i < ids->count; i++)
		free(ids->entries[i]);
	free(ids->entries);
}

static bool list(struct ids *out, const struct state *st, struct err *err)
{
	SCOPED_TEXT char *dir = state_path(st, "decisions");

	out->count = scandir(dir, &out->entries, is_decision, alphasort);
	if (out->count >= 0)
		return true;
	*out = (struct ids){ 0 };
	return errno == ENOENT || err_sys(err, ERR_IO, errno, "folder %s", dir);
}

static void remove_old(const struct state *st, const struct ids *ids)
{
	for (int i = 0; i + CHOICES_KEPT <= ids->count; i++) {
		SCOPED_TEXT char *dir = state_path(st, "decisions");
		SCOPED_TEXT char *path = path_join(dir, ids->entries[i]->d_name);

		(void)unlink(path);
	}
}

bool choices_save(const struct state *st, json_t *decision, struct err *err)
{
	SCOPED(ids) struct ids ids = { 0 };
	SCOPED_TEXT char *name = NULL;
	SCOPED_TEXT char *id = NULL;
	uint64_t last = 0;

	if (!list(&ids, st, err))
		return false;
	if (ids.count > 0 &&
	    !text_u64(&last, ids.entries[ids.count - 1]->d_name, 0, UINT64_MAX - 1))
		last = 0;
	id = alloc_printf("%0*llu", ID_DIGITS, (unsigned long long)last + 1);
	name = alloc_printf("decisions/%s", id);
	jsondoc_set_text(decision, "id", id);
	/* What the site is told of a choice is in a record; this one is for who asks here. */
	if (!state_write_json_unflushed(st, name, decision, err))
		return false;
	remove_old(st, &ids);
	return true;
}

static bool load(json_t **out, const struct state *st, const char *id, struct err *err)
{
	SCOPED_TEXT char *name = alloc_printf("decisions/%s", id);
	SCOPED_TEXT char *path = state_path(st, name);
	SCOPED(buf) struct buf bytes = { 0 };

	if (!path_read(&bytes, path, STATE_DOC_MAX, err))
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_NOT_FOUND, "there is no decision %s", id)
			       : false;
	/* A power cut may have left half of one. */
	if (jsondoc_read(out, buf_span(&bytes), err))
		return true;
	err_what(err, "decision %s cannot be read", id);
	return err_fix(err, "see the one before: packway explain PACKAGE");
}

static bool is_about(const json_t *decision, const char *package)
{
	const char *about = jsondoc_text(decision, "package");
	const char *kind = jsondoc_text(decision, "kind");

	if (package == NULL)
		return about != NULL;
	if (strcmp(package, "cap") == 0)
		return kind != NULL && strcmp(kind, "cap") == 0;
	return about != NULL && strcmp(about, package) == 0;
}

/* The newest about `package`; with NULL the newest about any package. */
static bool load_newest(json_t **out, const struct state *st, const struct ids *ids,
			const char *package)
{
	struct err ignored;

	for (int i = ids->count; i-- > 0;) {
		if (!load(out, st, ids->entries[i]->d_name, &ignored))
			continue;
		if (is_about(*out, package))
			return true;
		json_decref(*out);
		*out = NULL;
	}
	return false;
}

bool choices_load(json_t **out, const struct state *st, const char *which, struct err *err)
{
	SCOPED(ids) struct ids ids = { 0 };

	*out = NULL;
	if (which != NULL && strlen(which) == ID_DIGITS && strspn(which, "0123456789") == ID_DIGITS)
		return load(out, st, which, err);
	if (!list(&ids, st, err))
		return false;
	if (load_newest(out, st, &ids, which))
		return true;
	if (which == NULL && ids.count > 0)
		return load(out, st, ids.entries[ids.count - 1]->d_name, err);
	err_set(err, ERR_NOT_FOUND, "no choice%s%s is on record", which != NULL ? " about " : "",
		which != NULL ? which : "");
	return err_fix(err, "see the choice that would be made now: packway locate ID");
}

bool choices_load_preference(struct preference *out, const struct state *st, struct err *err)
{
	SCOPED_TEXT char *path = state_path(st, "prefer.json");
	SCOPED(buf) struct buf bytes = { 0 };

	if (!path_read(&bytes, path, PREFERENCE_BYTES_MAX, err))
		return err->code == ERR_NOT_FOUND;
	return preference_read(out, buf_span(&bytes), err) || err_what(err, "cannot read %s", path);
}

bool choices_save_preference(const struct state *st, const struct preference *pref, struct err *err)
{
	SCOPED_TEXT char *path = state_path(st, "prefer.json");
	SCOPED(buf) struct buf bytes = { 0 };

	preference_write(&bytes, pref);
	return newfile_write(path, 0600, buf_span(&bytes), err);
}

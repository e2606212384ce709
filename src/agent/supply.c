#include "agent/supply.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/jobs.h"
#include "agent/mountpoint.h"
#include "agent/permit.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "content/store.h"

static json_t *new_fetch(const struct supply *s, size_t i, enum supply_how how)
{
	const json_t *row = assigned_row(s->plan, i);
	json_t *question = json_object();

	jsondoc_set_text(question, "op", "fetch");
	jsondoc_set_text(question, "package", jsondoc_text(row, "package"));
	jsondoc_set_int(question, "version", jsondoc_int(row, "version", 0));
	jsondoc_set_text(question, "advertisement", jsondoc_text(row, "advertisement"));
	jsondoc_set_text(question, "program", jsondoc_text(row, "program"));
	jsondoc_set_int(question, "quota", (int64_t)s->job->settings->quota_bytes);
	jsondoc_set_flag(question, "for_person", s->job->for_person);
	if (how == SUPPLY_MEND)
		jsondoc_set_flag(question, "mend", true);
	return question;
}

bool supply_fetch(char **path_out, char **way_out, const struct supply *s, size_t i,
		  enum supply_how how, struct err *err)
{
	json_auto_t *question = new_fetch(s, i, how);
	json_auto_t *answer = NULL;
	const json_t *waiting;

	if (!jobs_ask_for_content(&answer, s->job, question, JOBS_LINE_KEPT, err)) {
		assigned_set_wait(s->plan, i, err->why, SCHEDULE_NEVER);
		return false;
	}
	waiting = json_object_get(answer, "waiting");
	if (waiting != NULL) {
		assigned_set_wait(s->plan, i, jsondoc_text(waiting, "text"),
				  schedule_time(waiting, "until"));
		return err_set(err, ERR_NO_CANDIDATE, "%s", jsondoc_text(waiting, "text"));
	}
	assigned_set_ready(s->plan, i);
	*path_out = alloc_text(jsondoc_text(answer, "path"));
	*way_out = alloc_text(jsondoc_text(answer, "way"));
	return true;
}

/* "any", or a path; NULL: the program gets a copy. */
static const char *mount_of(const struct supply *s, size_t i)
{
	const char *mount = jsondoc_text(assigned_row(s->plan, i), "mount");

	return mount == NULL || strcmp(mount, "none") == 0 ? NULL : mount;
}

bool supply_prepare(char **path_out, char **way_out, const struct supply *s, size_t i,
		    struct err *err)
{
	if (mount_of(s, i) == NULL)
		return supply_fetch(path_out, way_out, s, i, SUPPLY_MISSING, err);
	*path_out = *way_out = NULL;
	assigned_set_ready(s->plan, i);
	return true;
}

/* Immediately before a run the tree is compared with the signed manifest once more. */
static bool verify_content(const struct supply *s, size_t i, struct err *err)
{
	const json_t *row = assigned_row(s->plan, i);
	json_auto_t *question = json_object();
	json_auto_t *answer = NULL;
	const json_t *finding;

	jsondoc_set_text(question, "op", "verify");
	jsondoc_set_text(question, "package", jsondoc_text(row, "package"));
	jsondoc_set_int(question, "version", jsondoc_int(row, "version", 0));
	if (!job_ask_offline(&answer, s->job, question, err))
		return false;
	finding = json_array_get(json_object_get(answer, "findings"), 0);
	if (finding == NULL)
		return true;
	return err_set(err, ERR_CORRUPT, "the content has changed since it was verified: %s is %s",
		       jsondoc_text(finding, "path"), jsondoc_text(finding, "finding"));
}

/* From here on until the last process of the run has ended, nobody removes the content. */
static bool pin_content(int *pin_out, const struct supply *s, size_t i, struct err *err)
{
	const json_t *row = assigned_row(s->plan, i);
	SCOPED_TEXT char *dir = state_path(s->job->state, "store");
	SCOPED(store) struct store *store = NULL;
	const char *package;
	int64_t version;
	struct store_id id;

	if (!jsondoc_need_text(&package, row, "package", err) ||
	    !jsondoc_need_int(&version, row, "version", 1, STORE_VERSION_MAX, err))
		return false;
	if (!store_id_make(&id, package, (uint64_t)version))
		return err_set(err, ERR_FORMAT, "\"%s\" is no package", package);
	return store_open(&store, dir, s->job->clock, err) && store_pin(pin_out, store, &id, err);
}

static bool hold_copy(int *pin_out, const struct supply *s, size_t i, struct err *err)
{
	SCOPED_TEXT char *path = NULL;
	SCOPED_TEXT char *way = NULL;

	if (!pin_content(pin_out, s, i, err))
		return false;
	if (verify_content(s, i, err))
		return true;
	if (err->code != ERR_CORRUPT)
		return false;
	log_warn("%s; it is fetched again", err->why);
	path_close_fd(pin_out);
	*pin_out = -1;
	return supply_fetch(&path, &way, s, i, SUPPLY_MEND, err) &&
	       pin_content(pin_out, s, i, err) && verify_content(s, i, err);
}

/* Whoever has a descriptor in a mount keeps it mounted. */
static bool hold_folder(int *pin_out, const char *path, struct err *err)
{
	*pin_out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *pin_out >= 0 || err_sys(err, ERR_IO, errno, "folder %s", path);
}

static bool hold_mount(int *pin_out, char **path_out, const struct supply *s, size_t i,
		       const char *mount, struct err *err)
{
	const json_t *row = assigned_row(s->plan, i);
	const struct mountpoint_request request = {
		.package = jsondoc_text(row, "package"),
		.version = jsondoc_int(row, "version", 0),
		.at = mount[0] == '/' ? mount : NULL,
		.manifest = jsondoc_text(row, "manifest"),
		.advertisement = jsondoc_text(row, "advertisement"),
		.program = jsondoc_text(row, "program"),
		.keeps = jsondoc_flag(row, "keep", false),
		.user = permit_is_guest(s->job->caller) ? s->job->caller : 0,
	};
	json_auto_t *result = NULL;

	if (!mountpoint_mount(&result, request.keeps ? NULL : pin_out, s->job, &request, err))
		return false;
	*path_out = alloc_text(jsondoc_text(result, "at"));
	if (!request.keeps && !jsondoc_flag(result, "already", false))
		return true;
	path_close_fd(pin_out);
	return hold_folder(pin_out, *path_out, err);
}

bool supply_hold(int *pin_out, char **path_out, char **way_out, const struct supply *s, size_t i,
		 struct err *err)
{
	const char *mount = mount_of(s, i);

	if (mount == NULL)
		return hold_copy(pin_out, s, i, err);
	if (hold_mount(pin_out, path_out, s, i, mount, err)) {
		*way_out = alloc_text("mount");
		return true;
	}
	if (strcmp(mount, "any") != 0 || err->code != ERR_UNSUPPORTED)
		return false;
	log_note("%s; the program gets a copy", err->why);
	err_clear(err);
	return supply_fetch(path_out, way_out, s, i, SUPPLY_MISSING, err) &&
	       hold_copy(pin_out, s, i, err);
}

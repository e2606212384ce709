/*
 * packway mount, unmount: a package as a read-only folder, read from a server as it is needed.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/mountpoint.h"
#include "cli/client.h"
#include "cli/usermount.h"
#include "common/alloc.h"
#include "common/path.h"

/* Whoever serves the mount works elsewhere. The caller frees it. */
static bool absolute(char **out, const char *path, struct err *err)
{
	SCOPED_TEXT char *here = NULL;

	if (path[0] == '/') {
		*out = alloc_text(path);
		return true;
	}
	here = getcwd(NULL, 0);
	if (here == NULL)
		return err_sys(err, ERR_IO, errno, "this folder");
	*out = path_join(here, path);
	return true;
}

/*
 * The place is the caller's, and mounted with his rights; what he may see of the package is the
 * agent's to decide, which then serves it.
 */
static bool mount_as_guest(json_t **result_out, struct client *c,
			   const struct mountpoint_request *r, struct err *err)
{
	SCOPED_TEXT char *source = alloc_printf("packway:%s", r->package);
	json_t *request = client_request("mount");
	bool made = mkdir(r->at, 0755) == 0;
	SCOPED_FD int fuse = -1;
	bool done;

	jsondoc_set_text(request, "package", r->package);
	jsondoc_set_int(request, "version", r->version);
	if (!usermount_open(&fuse, r->at, source, err)) {
		json_decref(request);
		if (made)
			(void)rmdir(r->at);
		return false;
	}
	c->passes = fuse;
	done = client_ask(result_out, c, request, err);
	c->passes = -1;
	if (done) {
		jsondoc_set_text(*result_out, "at", r->at);
		return true;
	}
	usermount_drop(r->at);
	if (made)
		(void)rmdir(r->at);
	return false;
}

static bool mount_here(json_t **result_out, struct client *c, const struct mountpoint_request *r,
		       struct err *err)
{
	struct job job;

	if (c->is_guest)
		return mount_as_guest(result_out, c, r, err);
	client_job(&job, c);
	return mountpoint_mount(result_out, NULL, &job, r, err);
}

static bool verb_mount(struct verb_call *call, struct err *err)
{
	const char *id = options_argument(call->options, 0);
	SCOPED(client) struct client c = { 0 };
	SCOPED_TEXT char *at = NULL;
	json_auto_t *result = NULL;
	struct mountpoint_request request = {
		.package = id,
		.version = (int64_t)options_number(call->options, "version", 0),
	};

	if (!client_open_guest(&c, call, err) ||
	    !absolute(&at, options_argument(call->options, 1), err))
		return false;
	request.at = at;
	if (!mount_here(&result, &c, &request, err))
		return err_what(err, "cannot mount %s", id);
	print_result(call->print, result, "%s version %lld is %smounted at %s", id,
		     (long long)jsondoc_int(result, "version", 0),
		     jsondoc_flag(result, "already", false) ? "already " : "",
		     jsondoc_text(result, "at"));
	return true;
}

static bool verb_unmount(struct verb_call *call, struct err *err)
{
	const char *dir = options_argument(call->options, 0);
	SCOPED(client) struct client c = { 0 };
	SCOPED_TEXT char *at = NULL;
	json_auto_t *result = NULL;
	struct job job;

	if (!client_open_guest(&c, call, err) || !absolute(&at, dir, err))
		return false;
	if (c.is_guest) {
		if (!usermount_close(at, err))
			return err_what(err, "cannot unmount %s", dir);
		result = json_pack("{s:s}", "at", at);
		print_result(call->print, result, "unmounted from %s", at);
		return true;
	}
	client_job(&job, &c);
	if (!mountpoint_unmount(&result, &job, at, err))
		return err_what(err, "cannot unmount %s", dir);
	print_result(call->print, result, "%s is unmounted from %s",
		     jsondoc_text(result, "package"), jsondoc_text(result, "at"));
	return true;
}

static const struct argument_spec mount_arguments[] = {
	{ "ID", OPTION_TEXT, 0, "package" },
	{ "DIR", OPTION_TEXT, 0, "folder that is empty or not there yet" },
	{ NULL },
};
static const struct argument_spec unmount_arguments[] = {
	{ "DIR", OPTION_TEXT, 0, "folder that a package is mounted at" },
	{ NULL },
};
static const struct option_spec mount_options[] = {
	{ .name = "version",
	  .type = OPTION_NUMBER,
	  .min = 1,
	  .max = UINT32_MAX,
	  .value = "N",
	  .help = "that version, not the latest" },
	{ NULL },
};

const struct verb client_verbs_mount[] = {
	{ .name = "mount",
	  .run = verb_mount,
	  .summary = "show a package as a folder, read from a server as it is needed",
	  .arguments = mount_arguments,
	  .options = mount_options },
	{ .name = "unmount",
	  .run = verb_unmount,
	  .summary = "end such a mount",
	  .arguments = unmount_arguments },
	{ NULL },
};

#include "agent/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"

static const char *const enrolment_names[] = {
	[STATE_NONE] = "none",
	[STATE_PENDING] = "pending",
	[STATE_ENROLLED] = "enrolled",
	[STATE_REMOVED] = "removed",
};

static const char *const rooms[] = {
	"lock", "metadata", "policy", "store", "journal", "outbox", "decisions", "worker",
};

/* Where they stood before there was a room of the worker's: in the folder itself. */
static const char *const moved[] = {
	STATE_NAL, STATE_CAP, STATE_STATUS, STATE_SESSIONS, STATE_SHARD, STATE_KEY,
};

const char *state_enrolment_name(enum state_enrolment e)
{
	assert(e < COUNT_OF(enrolment_names));
	return enrolment_names[e];
}

/*
 * Programs that run as somebody else get to their content through root's state, but see nothing
 * else there: all other rooms are closed, and so is every file.
 */
static bool let_through(const char *folder, struct err *err)
{
	struct stat info;

	if (geteuid() != 0 || stat(folder, &info) != 0 || (info.st_mode & 07777) != 0700)
		return true;
	return chmod(folder, 0711) == 0 || err_sys(err, ERR_IO, errno, "folder %s", folder);
}

static void move_documents(const char *dir)
{
	for (size_t i = 0; i < COUNT_OF(moved); i++) {
		SCOPED_TEXT char *from = path_join(dir, path_base(moved[i]));
		SCOPED_TEXT char *to = path_join(dir, moved[i]);

		/* One that does not move is learned again. */
		if (path_exists(from) && rename(from, to) != 0)
			log_debug("%s: %s", from, strerror(errno));
	}
}

static bool make_rooms(const char *dir, struct err *err)
{
	SCOPED_TEXT char *store = path_join(dir, "store");

	if (!path_make_dirs(dir, 0700, err))
		return err_what(err, "cannot make the state folder %s", dir);
	for (size_t i = 0; i < COUNT_OF(rooms); i++) {
		SCOPED_TEXT char *room = path_join(dir, rooms[i]);

		if (!path_make_dirs(room, 0700, err))
			return err_what(err, "cannot make the state folder %s", dir);
	}
	move_documents(dir);
	return let_through(dir, err) && let_through(store, err);
}

static bool is_ours(struct state *st, const char *dir, enum state_open_mode mode, struct err *err)
{
	struct stat info;

	if (stat(dir, &info) != 0) {
		err_sys(err, ERR_IO, errno, "state folder %s", dir);
		if (err->code == ERR_NOT_FOUND)
			err_fix(err,
				"enrol this machine (packway enroll FILE), or name another folder with --state");
		return err_what(err, "cannot open the client's state");
	}
	if (!S_ISDIR(info.st_mode))
		return err_set(err, ERR_IO, "state folder %s is no folder", dir);
	st->owner = info.st_uid;
	if (mode == STATE_SERVE && info.st_uid == 0)
		return true;
	if (info.st_uid != geteuid())
		return err_set(err, ERR_PERMISSION,
			       "state folder %s belongs to user %u, this command runs as %u", dir,
			       (unsigned int)info.st_uid, (unsigned int)geteuid());
	return true;
}

/* Whether somebody but root may rename what is in a folder; the sticky bit (/tmp) says no to that.
 * Whoever owns / is root, by whatever number in a namespace of users. */
static bool lets_others_swap(const struct stat *folder, uid_t root)
{
	bool others_write = (folder->st_mode & S_IWOTH) != 0 ||
			    ((folder->st_mode & S_IWGRP) != 0 && folder->st_gid != 0);

	return (folder->st_uid != 0 && folder->st_uid != root) ||
	       (others_write && (folder->st_mode & S_ISVTX) == 0);
}

static bool refuse_unguarded(const char *folder, const char *dir, struct err *err)
{
	err_set(err, ERR_PERMISSION, "%s, on the way to root's state %s, can be written by others",
		folder, dir);
	return err_fix(err, "make it root's alone (chown root, chmod go-w), or name another folder "
			    "with --state");
}

/*
 * What is in the state decides what root runs: whoever may write a folder above it could put
 * another in its place. `dir` is real: absolute and without links.
 */
static bool is_guarded(const char *dir, struct err *err)
{
	SCOPED_TEXT char *path = alloc_text(dir);
	struct stat root, folder;
	char *slash = path;

	if (geteuid() != 0)
		return true;
	if (stat("/", &root) != 0)
		return err_sys(err, ERR_IO, errno, "folder /");
	while (slash != NULL && path[0] != '\0') {
		if (lstat(path, &folder) != 0)
			return err_sys(err, ERR_IO, errno, "folder %s", path);
		if (lets_others_swap(&folder, root.st_uid))
			return refuse_unguarded(path, dir, err);
		slash = strrchr(path, '/');
		if (slash != NULL)
			*slash = '\0';
	}
	return !lets_others_swap(&root, root.st_uid) || refuse_unguarded("/", dir, err);
}

bool state_open(struct state *st, const char *dir, enum state_open_mode mode, struct err *err)
{
	struct err ignored;

	if (mode == STATE_CREATE && !make_rooms(dir, err))
		return false;
	if (!is_ours(st, dir, mode, err))
		return false;
	/* Rooms that newer versions added; a folder that cannot be written tells its user later. */
	if (mode == STATE_READ && !make_rooms(dir, &ignored))
		log_debug("%s: %s", dir, ignored.why);
	st->dir = realpath(dir, NULL);
	if (st->dir == NULL)
		return err_sys(err, ERR_IO, errno, "state folder %s", dir);
	if (is_guarded(st->dir, err))
		return true;
	state_close(st);
	return false;
}

void state_close(struct state *st)
{
	free(st->dir);
	st->dir = NULL;
}

char *state_path(const struct state *st, const char *name)
{
	return path_join(st->dir, name);
}

void state_identity_release(struct state_identity *id)
{
	free(id->machine);
	for (size_t i = 0; i < id->cap_count; i++)
		free(id->caps[i]);
	*id = (struct state_identity){ 0 };
}

static bool read_enrolment(enum state_enrolment *out, const char *name, struct err *err)
{
	for (size_t i = 0; i < COUNT_OF(enrolment_names); i++) {
		if (strcmp(name, enrolment_names[i]) == 0) {
			*out = (enum state_enrolment)i;
			return true;
		}
	}
	return err_set(err, ERR_FORMAT, "identity.json: unknown state \"%s\"", name);
}

static bool parse_identity(struct state_identity *out, const json_t *doc, struct err *err)
{
	const char *client, *site, *machine, *stream, *enrolment;
	const json_t *cap;
	json_t *caps;
	size_t i;

	if (!jsondoc_need_text(&client, doc, "client", err) ||
	    !jsondoc_need_text(&site, doc, "site", err) ||
	    !jsondoc_need_text(&machine, doc, "machine", err) ||
	    !jsondoc_need_text(&stream, doc, "stream", err) ||
	    !jsondoc_need_text(&enrolment, doc, "state", err) ||
	    !jsondoc_need_array(&caps, doc, "caps", STATE_ADDRESSES_MAX, err))
		return false;
	if (!text_is_client_id(client) || !text_is_client_id(stream) || strlen(site) > 3)
		return err_set(err, ERR_FORMAT, "identity.json: an id is malformed");
	if (!read_enrolment(&out->enrolment, enrolment, err))
		return false;
	snprintf(out->client, sizeof(out->client), "%s", client);
	snprintf(out->site, sizeof(out->site), "%s", site);
	snprintf(out->stream, sizeof(out->stream), "%s", stream);
	out->machine = alloc_text(machine);
	json_array_foreach (caps, i, cap)
		if (json_is_string(cap))
			out->caps[out->cap_count++] = alloc_text(json_string_value(cap));
	return true;
}

bool state_load_identity(struct state_identity *out, const struct state *st, struct err *err)
{
	SCOPED_TEXT char *path = state_path(st, "identity.json");
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *doc = NULL;

	*out = (struct state_identity){ 0 };
	if (!path_exists(path))
		return true;
	/* Unlike other files of the state it cannot be learned again: a damaged one is a fault. */
	if (path_read(&bytes, path, STATE_DOC_MAX, err) &&
	    jsondoc_read(&doc, buf_span(&bytes), err) && parse_identity(out, doc, err))
		return true;
	state_identity_release(out);
	err_fix(err,
		"restore %s from a backup, or enrol anew: packway reset, then packway enroll FILE",
		path);
	return err_what(err, "cannot read this client's identity");
}

bool state_has_identity(const struct state *st)
{
	SCOPED(state_identity) struct state_identity id = { 0 };
	struct err ignored;

	return state_load_identity(&id, st, &ignored) && id.enrolment != STATE_NONE;
}

bool state_save_identity(const struct state *st, const struct state_identity *id, struct err *err)
{
	json_auto_t *doc = json_object();
	json_t *caps = json_array();

	jsondoc_set_text(doc, "client", id->client);
	jsondoc_set_text(doc, "site", id->site);
	jsondoc_set_text(doc, "machine", id->machine != NULL ? id->machine : "");
	jsondoc_set_text(doc, "stream", id->stream);
	jsondoc_set_text(doc, "state", state_enrolment_name(id->enrolment));
	for (size_t i = 0; i < id->cap_count; i++)
		json_array_append_new(caps, jsondoc_new_text(id->caps[i]));
	jsondoc_set(doc, "caps", caps);
	return state_write_json(st, "identity.json", doc, err);
}

char *state_machine_id(void)
{
	const char *given = getauxval(AT_SECURE) != 0 ? NULL : getenv("PACKWAY_MACHINE_ID");
	SCOPED(buf) struct buf bytes = { 0 };
	char host[256] = "";
	struct err ignored;

	if (given != NULL && given[0] != '\0')
		return alloc_text(given);
	if (path_read(&bytes, "/etc/machine-id", 256, &ignored) && bytes.size > 0) {
		bytes.data[strcspn((char *)bytes.data, "\n")] = '\0';
		if (bytes.data[0] != '\0')
			return alloc_text((char *)bytes.data);
	}
	/* Containers and kiosks may have none: the name is better than nothing. */
	if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0')
		return alloc_text("unknown");
	return alloc_printf("host:%s", host);
}

static void set_aside(const char *path)
{
	SCOPED_TEXT char *damaged = alloc_printf("%s.damaged", path);

	if (rename(path, damaged) != 0)
		(void)unlink(path);
}

bool state_read_json(json_t **out, const struct state *st, const char *name, struct err *err)
{
	SCOPED_TEXT char *path = state_path(st, name);
	SCOPED(buf) struct buf bytes = { 0 };

	*out = NULL;
	if (!path_read(&bytes, path, STATE_DOC_MAX, err))
		return err->code == ERR_NOT_FOUND;
	if (jsondoc_read(out, buf_span(&bytes), err))
		return true;
	log_warn("%s: %s; it is set aside and learned again", path, err->why);
	set_aside(path);
	return true;
}

static void print(struct buf *out, const json_t *doc)
{
	jsondoc_write(out, doc);
	buf_put_u8(out, '\n');
}

bool state_write_json(const struct state *st, const char *name, const json_t *doc, struct err *err)
{
	SCOPED_TEXT char *path = state_path(st, name);
	SCOPED(buf) struct buf text = { 0 };

	print(&text, doc);
	return newfile_write(path, 0600, buf_span(&text), err);
}

bool state_write_json_unflushed(const struct state *st, const char *name, const json_t *doc,
				struct err *err)
{
	SCOPED_TEXT char *path = state_path(st, name);
	SCOPED(buf) struct buf text = { 0 };

	print(&text, doc);
	return newfile_write_unflushed(path, 0600, buf_span(&text), err);
}

bool state_lock(int *fd_out, const struct state *st, const char *name, uint32_t wait_ms,
		struct err *err)
{
	SCOPED_TEXT char *path = alloc_printf("%s/lock/%s.lock", st->dir, name);

	return path_lock(fd_out, path, wait_ms, err);
}

char *state_socket_path(const struct state *st)
{
	if (strcmp(st->dir, STATE_DEFAULT) == 0)
		return alloc_text("/run/packway/agent.sock");
	return state_path(st, "agent.sock");
}

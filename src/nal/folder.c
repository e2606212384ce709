#include "nal/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/path.h"
#include "common/text.h"
#include "nal/fileio.h"

/* What the child writes, together with the descriptor; then `marker_size` bytes. */
struct opened {
	int32_t fault;
	int32_t marker_fault; /* ENOENT: there is none */
	uint32_t marker_size;
	uint32_t may_hang;
};

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

const char *folder_of(const struct way_target *target)
{
	return target->mount_at != NULL ? target->mount_at : target->where->path;
}

static int open_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* An inbox may be written to and not read. */
	if (fd < 0 && errno == EACCES)
		fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

static void read_marker(struct opened *o, uint8_t *bytes, int dir, enum marker_kind kind)
{
	struct stat st;
	int fd = fileio_open(&st, dir, marker_file(kind));
	ssize_t got = fd >= 0 ? path_read_fd(fd, bytes, MARKER_BYTES_MAX + 1) : -1;

	if (got < 0)
		o->marker_fault = errno;
	else
		o->marker_size = (uint32_t)got;
	if (fd >= 0)
		close(fd);
}

static void open_in_child(int socket, void *ctx)
{
	const struct folder *f = ctx;
	struct opened o = { .marker_fault = ENOENT };
	uint8_t bytes[MARKER_BYTES_MAX + 1];
	int fd = open_folder(f->dir);

	if (fd < 0) {
		o.fault = errno;
	} else {
		o.may_hang = !fileio_is_local(fd);
		if (f->rule != WAY_MARKER_IGNORED) {
			o.marker_fault = 0;
			read_marker(&o, bytes, fd, f->kind);
		}
	}
	if (timebox_write(socket, &o, sizeof(o), fd) && o.marker_size > 0)
		(void)timebox_write(socket, bytes, o.marker_size, -1);
}

static void fail(struct folder *f, enum nal_class class)
{
	f->state = FOLDER_FAILED;
	f->class = class;
}

void folder_begin(struct folder *f, const struct way_target *target, struct timebox *box,
		  uint32_t timeout_ms, uint64_t now_ms)
{
	static const int keep[TIMEBOX_KEEP_MAX] = { -1, -1, -1 };

	*f = (struct folder){ .box = box,
			      .dir = alloc_text(folder_of(target)),
			      .rule = target->marker,
			      .kind = target->kind,
			      .timeout_ms = timeout_ms,
			      .begun_ms = now_ms,
			      .link = WAY_LINK_NONE };
	if (target->uuid != NULL && strlen(target->uuid) < sizeof(f->uuid))
		memcpy(f->uuid, target->uuid, strlen(target->uuid) + 1);
	f->link.may_hang = target->mount_at != NULL;
	f->link.box = box;
	if (!timebox_start(box, open_in_child, f, keep, &f->err))
		fail(f, timebox_start_class(&f->err));
}

void folder_release(struct folder *f)
{
	if (f->dir == NULL)
		return;
	if (f->state == FOLDER_BUSY)
		timebox_end(f->box);
	if (f->link.fd >= 0)
		close(f->link.fd);
	free(f->dir);
	f->dir = NULL;
}

int folder_fd(const struct folder *f)
{
	return f->state == FOLDER_BUSY ? f->box->socket : -1;
}

uint32_t folder_wait_ms(const struct folder *f, uint64_t now_ms)
{
	uint64_t due = f->begun_ms + f->timeout_ms;

	return f->state == FOLDER_BUSY && due > now_ms ? (uint32_t)(due - now_ms) : 0;
}

static void refuse(struct folder *f, const char *why)
{
	err_set(&f->err, ERR_NOT_FOUND, "folder %s: %s", f->dir, why);
	fail(f, NAL_CLASS_NOT_FOUND);
}

/* Whose folder is it? */
static void judge_marker(struct folder *f, const struct opened *o, struct span bytes)
{
	bool is_needed = f->rule == WAY_MARKER_NEEDED;

	if (f->rule == WAY_MARKER_IGNORED || (o->marker_fault == ENOENT && !is_needed))
		return;
	if (o->marker_fault == ENOENT) {
		refuse(f, "it has no marker, so nothing says whose it is");
		return;
	}
	if (o->marker_fault != 0) {
		fail(f, folder_errno_class(o->marker_fault, marker_file(f->kind), &f->err));
		return;
	}
	if (!marker_parse(&f->marker, bytes, &f->err)) {
		fail(f, NAL_CLASS_PROTOCOL);
		return;
	}
	f->has_marker = true;
	if (f->marker.kind != f->kind || (f->uuid[0] != '\0' && !marker_is(&f->marker, f->uuid)))
		refuse(f, "its marker is another system's");
}

static void take_answer(struct folder *f)
{
	struct opened o;
	uint8_t bytes[MARKER_BYTES_MAX + 1];
	enum timebox_result result = timebox_read_fd(&f->link.fd, f->box, &o, sizeof(o), 0);

	if (result == TIMEBOX_LATE)
		return;
	if (result == TIMEBOX_DONE && o.marker_size > 0 && o.marker_size <= sizeof(bytes))
		result = timebox_read(f->box, bytes, o.marker_size, 100);
	timebox_end(f->box);
	timebox_came_in_time(f->box);
	f->state = FOLDER_OPEN;
	if (result != TIMEBOX_DONE) {
		err_set(&f->err, ERR_IO, "folder %s: the child that opened it ended early", f->dir);
		fail(f, NAL_CLASS_UNKNOWN);
	} else if (o.fault != 0) {
		fail(f, folder_errno_class(o.fault, f->dir, &f->err));
	} else {
		f->link.may_hang |= o.may_hang != 0;
		judge_marker(f, &o, span_of(bytes, o.marker_size));
	}
}

enum folder_state folder_step(struct folder *f, uint64_t now_ms)
{
	if (f->state == FOLDER_BUSY)
		take_answer(f);
	if (f->state == FOLDER_BUSY && now_ms >= f->begun_ms + f->timeout_ms) {
		timebox_end(f->box);
		timebox_came_late(f->box);
		err_set(&f->err, ERR_NET_TIMEOUT, "folder %s: it does not answer within %u ms",
			f->dir, f->timeout_ms);
		fail(f, NAL_CLASS_TIMEOUT);
	}
	return f->state;
}

struct way_link folder_take(struct folder *f)
{
	struct way_link link = f->link;

	f->link = WAY_LINK_NONE;
	return link;
}

enum nal_class folder_fault(const struct folder *f, struct err *err)
{
	assert(f->state == FOLDER_FAILED);
	*err = f->err;
	return f->class;
}

enum nal_class folder_wait(struct folder *f, const struct way_target *target, struct timebox *box,
			   uint32_t timeout_ms, struct err *err)
{
	folder_begin(f, target, box, timeout_ms, now());
	while (folder_step(f, now()) == FOLDER_BUSY) {
		struct pollfd p = { .fd = folder_fd(f), .events = POLLIN };

		(void)poll(&p, 1, (int)folder_wait_ms(f, now()));
	}
	return f->state == FOLDER_OPEN ? NAL_CLASS_OK : folder_fault(f, err);
}

static const struct {
	int sys_errno;
	enum nal_class class;
	enum err_code code;
} faults[] = {
	{ ENOENT, NAL_CLASS_NOT_FOUND, ERR_NOT_FOUND },
	{ ENOTDIR, NAL_CLASS_NOT_FOUND, ERR_NOT_FOUND },
	{ EACCES, NAL_CLASS_DENIED, ERR_NET_DENIED },
	{ EPERM, NAL_CLASS_DENIED, ERR_NET_DENIED },
	{ EROFS, NAL_CLASS_DENIED, ERR_PERMISSION },
	{ EEXIST, NAL_CLASS_CONFLICT, ERR_EXISTS },
	{ EBUSY, NAL_CLASS_BUSY, ERR_IO },
	{ EUSERS, NAL_CLASS_BUSY, ERR_NET },
	{ ENOSPC, NAL_CLASS_FULL, ERR_DISK_FULL },
	{ EDQUOT, NAL_CLASS_FULL, ERR_DISK_FULL },
	{ ETIMEDOUT, NAL_CLASS_TIMEOUT, ERR_NET_TIMEOUT },
	{ ESTALE, NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE },
	{ ENOTCONN, NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE },
	{ EHOSTDOWN, NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE },
	{ EHOSTUNREACH, NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE },
	{ ECONNREFUSED, NAL_CLASS_UNREACHABLE, ERR_NET_REFUSED },
	{ ECONNABORTED, NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE },
	{ EIO, NAL_CLASS_UNREACHABLE, ERR_IO },
	{ ELOOP, NAL_CLASS_PROTOCOL, ERR_REFUSED },
	{ EXDEV, NAL_CLASS_PROTOCOL, ERR_REFUSED },
	{ EISDIR, NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL },
	{ E2BIG, NAL_CLASS_PROTOCOL, ERR_LIMIT },
	{ ENODATA, NAL_CLASS_UNKNOWN, ERR_IO },
};

enum nal_class folder_errno_class(int sys_errno, const char *name, struct err *err)
{
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		if (faults[i].sys_errno != sys_errno)
			continue;
		err_sys(err, faults[i].code, sys_errno, "%s", name);
		err->code = faults[i].code;
		return faults[i].class;
	}
	err_sys(err, ERR_IO, sys_errno, "%s", name);
	return NAL_CLASS_UNKNOWN;
}

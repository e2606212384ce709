/*
 * Folders: local ones, and whatever an OS mount shows.
 *
 * On a local disk calls are made directly. On a file system that may hang every call is made by
 * a child in the folder's time box, which streams its result back and is killed at the deadline;
 * the wait between two signs of life is judged like that for any server.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/path.h"
#include "nal/fileio.h"
#include "nal/folder.h"
#include "nal/pace.h"
#include "nal/provider.h"
#include "nal/timebox.h"

#define SYNC_MS 30000 /* the flush at the end of a put may take this long */

struct file_session {
	struct session session;
	int base_fd;
	bool may_hang;
	struct timebox *box;
};

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

static struct file_session *session_of(const struct way *way)
{
	return (struct file_session *)way->session;
}

static enum nal_class file_open(struct session **out, const struct way_target *target,
				const struct way_limits *limits, struct way_link link,
				struct err *err)
{
	SCOPED(folder) struct folder f = { .dir = NULL };
	struct file_session *s;

	assert(link.box != NULL);
	if (link.fd < 0) {
		enum nal_class class = folder_wait(&f, target, link.box, limits->connect_ms, err);

		if (class != NAL_CLASS_OK)
			return class;
		link = folder_take(&f);
	}
	s = alloc_zeroed(1, sizeof(*s));
	s->base_fd = link.fd;
	s->may_hang = link.may_hang;
	s->box = link.box;
	*out = &s->session;
	return NAL_CLASS_OK;
}

static void file_close(struct session *session)
{
	struct file_session *s = (struct file_session *)session;

	close(s->base_fd);
	free(s);
}

/* --- work in the time box ------------------------------------------------------------------- */

/* What a reading child writes first; the bytes asked for follow. */
struct head {
	int32_t fault;
	struct stat st;
};

/* What a child is to do; it works on its copy. */
struct job {
	int base_fd;
	const char *name;
	const struct way_range *ranges;
	size_t count;
	const struct way_put *put;
	const struct way_batch *batch;
	int socket;
	size_t max_entries;
	size_t piece; /* bytes that are moved at a time, at most FILEIO_PIECE */
};

static bool start(struct way *way, struct job *job, timebox_fn *work, enum nal_class *class,
		  struct err *err)
{
	struct file_session *s = session_of(way);
	int put_fd = job->put != NULL && job->put->bytes.data == NULL ? job->put->fd : -1;
	const int keep[TIMEBOX_KEEP_MAX] = { s->base_fd, put_fd, -1 };

	job->base_fd = s->base_fd;
	if (timebox_start(s->box, work, job, keep, err))
		return true;
	*class = timebox_start_class(err);
	return false;
}

static enum nal_class late(struct way *way, const char *name, struct err *err)
{
	timebox_came_late(session_of(way)->box);
	err_set(err, ERR_NET_TIMEOUT, "%s: the file system does not answer", name);
	return NAL_CLASS_TIMEOUT;
}

static enum nal_class not_done(enum timebox_result result, struct way *way, const char *name,
			       struct err *err)
{
	if (result == TIMEBOX_LATE)
		return late(way, name, err);
	err_set(err, ERR_NET_PROTOCOL, "%s: it ends early", name);
	return NAL_CLASS_PROTOCOL;
}

static enum nal_class read_head(struct head *head, struct way *way, const char *name,
				struct err *err)
{
	enum timebox_result result = timebox_read(session_of(way)->box, head, sizeof(*head),
						  way->limits.first_byte_ms);

	if (result != TIMEBOX_DONE)
		return not_done(result, way, name, err);
	if (head->fault != 0)
		return folder_errno_class(head->fault, name, err);
	return NAL_CLASS_OK;
}

/* --- reading --------------------------------------------------------------------------------- */

static void stream_range(int socket, int fd, const struct way_range *range, uint8_t *piece,
			 size_t piece_size)
{
	uint64_t done = 0;

	while (done < range->size) {
		size_t want = (size_t)MIN_OF(range->size - done, piece_size);
		ssize_t n = pread(fd, piece, want, (off_t)(range->offset + done));

		if (n <= 0 || !timebox_write(socket, piece, (size_t)n, -1))
			_exit(1);
		done += (uint64_t)n;
	}
}

static void read_in_child(int socket, void *ctx)
{
	const struct job *job = ctx;
	struct head head = { .fault = 0 };
	int fd = fileio_open(&head.st, job->base_fd, job->name);
	uint8_t *piece = alloc_resize(NULL, FILEIO_PIECE);

	if (fd < 0)
		head.fault = errno;
	if (!timebox_write(socket, &head, sizeof(head), -1))
		return;
	for (size_t i = 0; fd >= 0 && i < job->count; i++)
		stream_range(socket, fd, &job->ranges[i], piece, job->piece);
	free(piece);
}

static enum nal_class pace_class(enum pace_verdict verdict, struct way *way, const char *name,
				 struct err *err)
{
	if (verdict != PACE_SLOW)
		return late(way, name, err);
	err_set(err, ERR_NET_TIMEOUT, "%s: the file system is slower than the floor", name);
	return NAL_CLASS_SLOW;
}

/* Take one piece of the child's stream, within its pace. */
static enum nal_class take_piece(size_t *got, struct way *way, struct pace *pace, uint8_t *piece,
				 size_t want, const char *name, struct err *err)
{
	for (;;) {
		enum pace_verdict verdict = pace_check(pace, now());
		enum timebox_result result;

		if (verdict != PACE_FINE)
			return pace_class(verdict, way, name, err);
		result = timebox_read_some(got, session_of(way)->box, piece, want,
					   pace_wait_ms(pace, now()));
		if (result == TIMEBOX_ENDED)
			return not_done(result, way, name, err);
		if (result == TIMEBOX_LATE)
			continue;
		pace_arrived(pace, *got, now());
		way->session->counts.bytes_in += *got;
		return NAL_CLASS_OK;
	}
}

static enum nal_class take_range(bool *stopped, struct way *way, struct pace *pace, size_t index,
				 uint64_t size, way_sink_fn *sink, void *ctx, uint8_t *piece,
				 const char *name, struct err *err)
{
	while (size > 0 && !*stopped) {
		size_t got = 0;
		enum nal_class class = take_piece(&got, way, pace, piece,
						  (size_t)MIN_OF(size, FILEIO_PIECE), name, err);
		uint64_t before = now();

		if (class != NAL_CLASS_OK)
			return class;
		size -= got;
		*stopped = !sink(index, span_of(piece, got), ctx);
		pace_away(pace, now() - before);
	}
	return NAL_CLASS_OK;
}

static enum nal_class read_boxed(struct way *way, struct job *job, way_sink_fn *sink, void *ctx,
				 struct err *err)
{
	uint8_t *piece;
	struct head head;
	struct pace pace;
	bool stopped = false;
	enum nal_class class;

	if (!start(way, job, read_in_child, &class, err))
		return class;
	piece = alloc_resize(NULL, FILEIO_PIECE);
	class = read_head(&head, way, job->name, err);
	pace_begin(&pace, &way->limits, now());
	for (size_t i = 0; i < job->count && class == NAL_CLASS_OK && !stopped; i++)
		class = take_range(&stopped, way, &pace, i, job->ranges[i].size, sink, ctx, piece,
				   job->name, err);
	timebox_end(session_of(way)->box);
	free(piece);
	return class;
}

static enum nal_class read_direct(struct way *way, struct job *job, way_sink_fn *sink, void *ctx,
				  struct err *err)
{
	uint8_t *piece = alloc_resize(NULL, FILEIO_PIECE);
	struct stat st;
	SCOPED_FD int fd = fileio_open(&st, session_of(way)->base_fd, job->name);
	enum nal_class class = NAL_CLASS_OK;
	bool stopped = false;

	if (fd < 0)
		class = folder_errno_class(errno, job->name, err);
	for (size_t i = 0; i < job->count && class == NAL_CLASS_OK && !stopped; i++) {
		uint64_t done = 0;

		while (done < job->ranges[i].size && class == NAL_CLASS_OK && !stopped) {
			size_t want = (size_t)MIN_OF(job->ranges[i].size - done, job->piece);
			ssize_t n = pread(fd, piece, want, (off_t)(job->ranges[i].offset + done));

			if (n > 0) {
				done += (uint64_t)n;
				way->session->counts.bytes_in += (uint64_t)n;
				stopped = !sink(i, span_of(piece, (size_t)n), ctx);
			} else if (n == 0) {
				class = not_done(TIMEBOX_ENDED, way, job->name, err);
			} else if (errno != EINTR) {
				class = folder_errno_class(errno, job->name, err);
			}
		}
	}
	free(piece);
	return class;
}

static enum nal_class file_read_ranges(struct way *way, const char *name,
				       const struct way_range *ranges, size_t count,
				       way_sink_fn *sink, void *ctx, struct err *err)
{
	struct job job = {
		.name = name,
		.ranges = ranges,
		.count = count,
		.piece = (size_t)way_ahead(way, FILEIO_PIECE, 0),
	};

	way->session->counts.requests++;
	if (session_of(way)->may_hang)
		return read_boxed(way, &job, sink, ctx, err);
	return read_direct(way, &job, sink, ctx, err);
}

/* --- small whole objects --------------------------------------------------------------------- */

/* Size and times of a file; no bytes. */
static enum nal_class look(struct stat *st, struct way *way, const char *name, struct err *err)
{
	struct job job = { .name = name };
	struct head head = { .fault = 0 };
	enum nal_class class;
	int fd;

	way->session->counts.requests++;
	if (session_of(way)->may_hang) {
		if (!start(way, &job, read_in_child, &class, err))
			return class;
		class = read_head(&head, way, name, err);
		timebox_end(session_of(way)->box);
		*st = head.st;
		return class;
	}
	fd = fileio_open(st, session_of(way)->base_fd, name);
	if (fd < 0)
		return folder_errno_class(errno, name, err);
	close(fd);
	return NAL_CLASS_OK;
}

static enum nal_class file_stat(struct way_stat *out, struct way *way, const char *name,
				struct err *err)
{
	struct stat st = { 0 };
	enum nal_class class = look(&st, way, name, err);

	if (class != NAL_CLASS_OK)
		return class;
	out->size = (uint64_t)st.st_size;
	fileio_token(out->token, &st);
	return NAL_CLASS_OK;
}

static bool keep_piece(size_t range UNUSED, struct span piece, void *ctx)
{
	buf_put_span(ctx, piece);
	return true;
}

/*
 * A file replaced between the look and the read only by rename has another inode, and its bytes
 * are read with the older token: the next conditional get reads it again. No harm is done.
 */
static enum nal_class file_get(struct way_object *out, struct way *way, const char *name,
			       const struct way_get *get, struct err *err)
{
	struct way_range whole = { .offset = 0 };
	struct stat st = { 0 };
	enum nal_class class = look(&st, way, name, err);

	if (class != NAL_CLASS_OK)
		return class;
	fileio_token(out->token, &st);
	if (get->token != NULL && strcmp(get->token, out->token) == 0) {
		out->unchanged = true;
		return NAL_CLASS_OK;
	}
	if ((uint64_t)st.st_size > get->max) {
		err_set(err, ERR_LIMIT, "%s has %lld bytes, at most %zu are read", name,
			(long long)st.st_size, get->max);
		return NAL_CLASS_PROTOCOL;
	}
	whole.size = (uint64_t)st.st_size;
	if (whole.size > 0)
		class = file_read_ranges(way, name, &whole, 1, keep_piece, &out->bytes, err);
	if (class != NAL_CLASS_OK)
		buf_clear(&out->bytes);
	return class;
}

/* --- writing --------------------------------------------------------------------------------- */

/* What a writing child says: progress, answered by one byte; then the result. */
struct said {
	bool is_result;
	int32_t fault;
	uint64_t bytes;
};

/* In the child: tell the parent and wait for its leave to go on, so that rates can be kept. */
static bool tell_progress(uint64_t bytes, void *ctx)
{
	const struct job *job = ctx;
	struct said said = { .bytes = bytes };
	char leave = 0;

	return timebox_write(job->socket, &said, sizeof(said), -1) &&
	       path_read_fd(job->socket, &leave, 1) == 1 && leave == 1;
}

static void put_in_child(int socket, void *ctx)
{
	struct job *job = ctx;
	struct way_put put = *job->put;
	struct said said = { .is_result = true };

	job->socket = socket;
	put.sent = tell_progress;
	put.ctx = job;
	put.back = NULL; /* it would be called in the child */
	put.piece = job->piece;
	said.fault = fileio_put(job->base_fd, job->name, &put);
	(void)timebox_write(socket, &said, sizeof(said), -1);
}

static enum nal_class put_result(int fault, const char *name, struct err *err)
{
	if (fault == 0 || fault == ECANCELED)
		return NAL_CLASS_OK;
	return folder_errno_class(fault, name, err);
}

static void replace_in_child(int socket, void *ctx)
{
	struct job *job = ctx;
	struct way_batch batch = *job->batch;
	struct said said = { .is_result = true };

	job->socket = socket;
	batch.sent = tell_progress;
	batch.ctx = job;
	batch.piece = job->piece;
	said.fault = fileio_replace_all(job->base_fd, &batch);
	(void)timebox_write(socket, &said, sizeof(said), -1);
}

/* Whom to tell what was sent. */
struct listener {
	struct way *way;
	way_sent_fn *sent;
	void *ctx;
};

/* Count and pass on progress; false if the caller wants no more. */
static bool pass_on(uint64_t bytes, void *ctx)
{
	const struct listener *l = ctx;

	l->way->session->counts.bytes_out += bytes;
	return l->sent == NULL || l->sent(bytes, l->ctx);
}

static enum nal_class write_boxed(struct way *way, struct job *job, timebox_fn *work,
				  struct listener *listener, struct err *err)
{
	struct timebox *box = session_of(way)->box;
	enum timebox_result result;
	struct said said;
	enum nal_class class;

	if (!start(way, job, work, &class, err))
		return class;
	for (;;) {
		char leave;

		result = timebox_read(box, &said, sizeof(said), SYNC_MS);
		if (result != TIMEBOX_DONE || said.is_result)
			break;
		leave = pass_on(said.bytes, listener) ? 1 : 0;
		(void)timebox_write(box->socket, &leave, 1, -1);
	}
	timebox_end(box);
	if (result != TIMEBOX_DONE)
		return not_done(result, way, job->name, err);
	return put_result(said.fault, job->name, err);
}

static enum nal_class file_put(struct way *way, const char *name, const struct way_put *put,
			       struct err *err)
{
	struct job job = {
		.name = name,
		.put = put,
		.piece = (size_t)way_ahead(way, FILEIO_PIECE, 0),
	};
	struct listener listener = { .way = way, .sent = put->sent, .ctx = put->ctx };
	struct way_put counted = *put;

	way->session->counts.requests++;
	if (session_of(way)->may_hang)
		return write_boxed(way, &job, put_in_child, &listener, err);
	counted.sent = pass_on;
	counted.ctx = &listener;
	counted.piece = job.piece;
	return put_result(fileio_put(session_of(way)->base_fd, name, &counted), name, err);
}

static enum nal_class file_replace_all(struct way *way, const struct way_batch *batch,
				       struct err *err)
{
	struct job job = {
		.name = batch->folder,
		.batch = batch,
		.piece = (size_t)way_ahead(way, FILEIO_PIECE, 0),
	};
	struct listener listener = { .way = way, .sent = batch->sent, .ctx = batch->ctx };
	struct way_batch counted = *batch;

	way->session->counts.requests += batch->count;
	if (session_of(way)->may_hang)
		return write_boxed(way, &job, replace_in_child, &listener, err);
	counted.sent = pass_on;
	counted.ctx = &listener;
	counted.piece = job.piece;
	return put_result(fileio_replace_all(session_of(way)->base_fd, &counted), batch->folder,
			  err);
}

static void remove_in_child(int socket, void *ctx)
{
	const struct job *job = ctx;
	struct head head = { .fault = fileio_remove(job->base_fd, job->name) };

	(void)timebox_write(socket, &head, sizeof(head), -1);
}

static enum nal_class file_remove(struct way *way, const char *name, struct err *err)
{
	struct job job = { .name = name };
	struct head head;
	enum nal_class class;

	way->session->counts.requests++;
	if (!session_of(way)->may_hang)
		return put_result(fileio_remove(session_of(way)->base_fd, name), name, err);
	if (!start(way, &job, remove_in_child, &class, err))
		return class;
	class = read_head(&head, way, name, err);
	timebox_end(session_of(way)->box);
	return class;
}

/* --- listing --------------------------------------------------------------------------------- */

/* One entry as the child writes it, before its name; a name of 0 bytes is the end. */
struct listed {
	uint64_t size;
	int64_t mtime_s;
	int32_t fault; /* in the last */
	uint8_t is_folder;
	uint8_t name_size;
};

static bool tell_entry(const struct way_entry *entry, void *ctx)
{
	const struct job *job = ctx;
	struct listed l = { .size = entry->size,
			    .mtime_s = entry->mtime_s,
			    .is_folder = entry->is_folder,
			    .name_size = (uint8_t)strlen(entry->name) };

	return timebox_write(job->socket, &l, sizeof(l), -1) &&
	       timebox_write(job->socket, entry->name, l.name_size, -1);
}

static void list_in_child(int socket, void *ctx)
{
	struct job *job = ctx;
	struct listed end = { .size = 0 };

	job->socket = socket;
	end.fault = fileio_list(job->base_fd, job->name, job->max_entries, tell_entry, job);
	(void)timebox_write(socket, &end, sizeof(end), -1);
}

/* Pass one entry on; false at the end, with the child's result in *fault. */
static bool take_entry(enum timebox_result *result, int *fault, struct way *way,
		       way_entry_fn *entry, void *ctx)
{
	struct timebox *box = session_of(way)->box;
	uint32_t wait_ms = way->limits.floor_window_ms;
	char name[256] = { 0 };
	struct way_entry e = { .name = name };
	struct listed l;

	*result = timebox_read(box, &l, sizeof(l), wait_ms);
	if (*result == TIMEBOX_DONE && l.name_size > 0)
		*result = timebox_read(box, name, l.name_size, wait_ms);
	if (*result != TIMEBOX_DONE)
		return false;
	*fault = l.fault;
	e.size = l.size;
	e.mtime_s = l.mtime_s;
	e.is_folder = l.is_folder != 0;
	return l.name_size > 0 && entry(&e, ctx);
}

static enum nal_class file_list(struct way *way, const char *folder, size_t max_entries,
				way_entry_fn *entry, void *ctx, struct err *err)
{
	struct job job = { .name = folder, .max_entries = max_entries };
	enum timebox_result result;
	enum nal_class class;
	int fault = 0;

	way->session->counts.requests++;
	if (!session_of(way)->may_hang)
		return put_result(
			fileio_list(session_of(way)->base_fd, folder, max_entries, entry, ctx),
			folder, err);
	if (!start(way, &job, list_in_child, &class, err))
		return class;
	while (take_entry(&result, &fault, way, entry, ctx))
		;
	timebox_end(session_of(way)->box);
	if (result != TIMEBOX_DONE)
		return not_done(result, way, folder, err);
	return put_result(fault, folder, err);
}

const struct provider provider_file = {
	.scheme = LOCATOR_FILE,
	.capabilities = PROVIDER_READ | PROVIDER_RANGE | PROVIDER_PUT | PROVIDER_REPLACE |
			PROVIDER_LIST | PROVIDER_DELETE,
	.open = file_open,
	.close = file_close,
	.get = file_get,
	.stat = file_stat,
	.read_ranges = file_read_ranges,
	.put = file_put,
	.replace_all = file_replace_all,
	.remove = file_remove,
	.list = file_list,
};

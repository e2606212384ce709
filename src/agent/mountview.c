#define FUSE_USE_VERSION 312
#include "agent/mountview.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "content/children.h"

#define DEVICE      "/dev/fuse"
#define FOR_EVER_S  86400.0 /* names and attributes never change */
#define READ_MAX    ((uint32_t)1 << 20)
#define THREADS_MAX 64 /* so many may wait for the network before one waits for another */
#define BLOCK       4096

struct mountview {
	const struct mountview_params *params;
	struct children children;
	struct fuse_session *session;
	struct timespec made;
	bool is_mounted, has_handlers;
};

/* FUSE's root is 1; the entries follow. */
static uint32_t entry_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? CHILDREN_ROOT : (uint32_t)(ino - FUSE_ROOT_ID - 1);
}

static fuse_ino_t ino_of(uint32_t entry)
{
	return entry == CHILDREN_ROOT ? FUSE_ROOT_ID : (fuse_ino_t)entry + FUSE_ROOT_ID + 1;
}

static const struct mountview *view_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* NULL for the root; the kernel names no number that it was not given. */
static const struct manifest_entry *at(const struct mountview *v, uint32_t entry)
{
	return entry == CHILDREN_ROOT ? NULL : manifest_entry_at(v->params->manifest, entry);
}

static mode_t mode_of(const struct manifest_entry *e)
{
	static const mode_t types[] = {
		[MANIFEST_DIR] = S_IFDIR,
		[MANIFEST_FILE] = S_IFREG,
		[MANIFEST_LINK] = S_IFLNK,
	};

	return e == NULL ? S_IFDIR | 0755 : types[e->type] | e->mode;
}

static void fill(struct stat *st, const struct mountview *v, uint32_t entry)
{
	const struct manifest_entry *e = at(v, entry);

	*st = (struct stat){
		.st_ino = ino_of(entry),
		.st_mode = mode_of(e),
		.st_nlink = 1,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_blksize = BLOCK,
		.st_atim = v->made,
		.st_mtim = v->made,
		.st_ctim = v->made,
	};
	if (e != NULL && e->type == MANIFEST_FILE)
		st->st_size = (off_t)e->size;
	if (e != NULL && e->type == MANIFEST_LINK)
		st->st_size = (off_t)strlen(e->target);
	st->st_blocks = (st->st_size + 511) / 512;
}

static struct fuse_entry_param param_of(const struct mountview *v, uint32_t entry)
{
	struct fuse_entry_param p = {
		.ino = ino_of(entry),
		.attr_timeout = FOR_EVER_S,
		.entry_timeout = FOR_EVER_S,
	};

	fill(&p.attr, v, entry);
	return p;
}

static void on_init(void *ctx, struct fuse_conn_info *conn)
{
	const struct mountview *v = ctx;

	conn->max_read = READ_MAX; /* has to be what the mount says */
	conn->max_readahead = READ_MAX;
	conn->want |= conn->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
				       FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_SPLICE_WRITE);
	v->params->ready(v->params->ctx);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct mountview *v = view_of(req);
	uint32_t found = children_find(&v->children, entry_of(parent), name);
	/* What is not there never will be: the kernel may remember that as well. */
	struct fuse_entry_param p = { .entry_timeout = FOR_EVER_S };

	if (found != CHILDREN_NONE)
		p = param_of(v, found);
	fuse_reply_entry(req, &p);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino UNUSED, uint64_t count UNUSED)
{
	fuse_reply_none(req);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi UNUSED)
{
	struct stat st;

	fill(&st, view_of(req), entry_of(ino));
	fuse_reply_attr(req, &st, FOR_EVER_S);
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	const struct manifest_entry *e = at(view_of(req), entry_of(ino));

	if (e == NULL || e->type != MANIFEST_LINK)
		fuse_reply_err(req, EINVAL);
	else
		fuse_reply_readlink(req, e->target);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct manifest_entry *e = at(view_of(req), entry_of(ino));

	if (e == NULL || e->type != MANIFEST_FILE) {
		fuse_reply_err(req, EISDIR);
		return;
	}
	if ((fi->flags & O_ACCMODE) != O_RDONLY) {
		fuse_reply_err(req, EROFS);
		return;
	}
	fi->keep_cache = 1; /* content never changes: read twice, it is asked for once */
	fuse_reply_open(req, fi);
}

static void on_opendir(fuse_req_t req, fuse_ino_t ino UNUSED, struct fuse_file_info *fi)
{
	fi->keep_cache = 1;
	fi->cache_readdir = 1;
	fuse_reply_open(req, fi);
}

/* Offsets of a folder: 0 begins, then the number of the entry that comes next, plus 1. */
static uint32_t entry_at_offset(const struct mountview *v, uint32_t folder, off_t offset)
{
	uint32_t entry;

	if (offset == 0)
		return children_first(&v->children, folder);
	entry = (uint32_t)(offset - 1);
	return v->children.next[entry];
}

static void list_folder(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	const struct mountview *v = view_of(req);
	char *out;
	size_t used = 0;

	/* What no listing gave out is none of our offsets. */
	if (offset < 0 || offset > (off_t)manifest_entry_count(v->params->manifest)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	out = alloc_zeroed(1, size);
	for (uint32_t e = entry_at_offset(v, entry_of(ino), offset); e != CHILDREN_NONE;
	     e = v->children.next[e]) {
		struct fuse_entry_param p = param_of(v, e);
		const char *name = children_name(&v->children, e);
		off_t next = (off_t)e + 1;
		size_t need = plus ? fuse_add_direntry_plus(req, out + used, size - used, name, &p,
							    next)
				   : fuse_add_direntry(req, out + used, size - used, name, &p.attr,
						       next);

		if (need > size - used)
			break;
		used += need;
	}
	fuse_reply_buf(req, out, used);
	free(out);
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi UNUSED)
{
	list_folder(req, ino, size, offset, false);
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi UNUSED)
{
	list_folder(req, ino, size, offset, true);
}

static bool is_interrupted(void *ctx)
{
	return fuse_req_interrupted(ctx);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi UNUSED)
{
	const struct mountview *v = view_of(req);
	const struct manifest_entry *e = at(v, entry_of(ino));
	uint64_t from = (uint64_t)offset, begin;
	uint8_t *bytes;
	int rc;

	if (e == NULL || offset < 0 || from >= e->size) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	begin = e->same_as == MANIFEST_NOT_SAME ? e->offset : at(v, e->same_as)->offset;
	size = MIN_OF(size, e->size - from);
	bytes = malloc(size);
	rc = bytes == NULL ? ENOMEM
			   : mountread_range(v->params->read, bytes, begin + from, size,
					     is_interrupted, req);
	if (rc == 0)
		fuse_reply_buf(req, (const char *)bytes, size);
	else
		fuse_reply_err(req, rc);
	free(bytes);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino UNUSED)
{
	const struct manifest *m = view_of(req)->params->manifest;
	struct statvfs st = {
		.f_bsize = BLOCK,
		.f_frsize = BLOCK,
		.f_blocks = (manifest_tree_size(m) + BLOCK - 1) / BLOCK,
		.f_files = manifest_entry_count(m) + 1,
		.f_flag = ST_RDONLY | ST_NOSUID,
		.f_namemax = 255,
	};

	fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops operations = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.getattr = on_getattr,
	.readlink = on_readlink,
	.open = on_open,
	.read = on_read,
	.opendir = on_opendir,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.statfs = on_statfs,
};

bool mountview_is_possible(struct err *err)
{
	if (access(DEVICE, R_OK | W_OK) == 0)
		return true;
	err_set(err, ERR_UNSUPPORTED, "this machine has no FUSE that can be used: %s: %s", DEVICE,
		strerror(errno));
	return err_fix(err,
		       "load the kernel's module (modprobe fuse) and install fuse3, or fetch the "
		       "package instead: packway fetch ID -o DIR");
}

static char *options_of(const struct mountview_params *p)
{
	return alloc_printf(
		"ro,nosuid,nodev,noatime,subtype=packway,fsname=%s,max_read=%u%s", p->source,
		READ_MAX, p->for_all ? ",allow_other,default_permissions" : ",default_permissions");
}

/* libfuse tells why a mount fails by its log alone, whose receiver gets no context. */
static char last_words[256];

PRINTF_LIKE(2, 0)
static void hear(enum fuse_log_level level, const char *fmt, va_list args)
{
	if (level > FUSE_LOG_ERR)
		return;
	(void)vsnprintf(last_words, sizeof(last_words), fmt, args);
	last_words[strcspn(last_words, "\n")] = '\0';
}

static bool begin_session(struct mountview *v, struct err *err)
{
	SCOPED_TEXT char *options = options_of(v->params);
	char *argv[] = { (char[]){ "packway-mount" }, (char[]){ "-o" }, options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	fuse_set_log_func(hear);
	v->session = fuse_session_new(&args, &operations, sizeof(operations), v);
	fuse_opt_free_args(&args);
	if (v->session == NULL)
		return err_set(err, ERR_UNSUPPORTED, "libfuse takes not our options: %s", options);
	if (fuse_set_signal_handlers(v->session) != 0)
		return err_set(err, ERR_IO, "signals cannot be handled");
	v->has_handlers = true;
	if (fuse_session_mount(v->session, v->params->at) != 0)
		return err_set(err, ERR_IO, "%s cannot be mounted: %s", v->params->at, last_words);
	v->is_mounted = true;
	return true;
}

bool mountview_open(struct mountview **out, const struct mountview_params *params, struct err *err)
{
	struct mountview *v;

	if (!mountview_is_possible(err))
		return false;
	v = alloc_zeroed(1, sizeof(*v));
	v->params = params;
	clock_gettime(CLOCK_REALTIME, &v->made);
	children_init(&v->children, params->manifest);
	if (begin_session(v, err)) {
		*out = v;
		return true;
	}
	mountview_close(v);
	return false;
}

bool mountview_serve(bool *was_signalled, struct mountview *v, struct err *err)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int rc;

	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_max_threads(config, THREADS_MAX);
	rc = fuse_session_loop_mt(v->session, config);
	fuse_loop_cfg_destroy(config);
	*was_signalled = rc > 0;
	return rc >= 0 || err_sys(err, ERR_IO, -rc, "mount at %s", v->params->at);
}

void mountview_close(struct mountview *v)
{
	if (v == NULL)
		return;
	if (v->is_mounted)
		fuse_session_unmount(v->session);
	if (v->has_handlers)
		fuse_remove_signal_handlers(v->session);
	if (v->session != NULL)
		fuse_session_destroy(v->session);
	children_release(&v->children);
	free(v);
}

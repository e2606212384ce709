#include "site/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "content/pack.h"
#include "nal/mounts.h"
#include "site/own.h"
#include "site/reach.h"

bool outlet_open(struct outlet *out, struct site *site, struct system *system, struct err *err)
{
	struct way_target target = { 0 };
	enum nal_class class;

	*out = (struct outlet){ .site = site, .system = system };
	out->tab = own_new_table(site);
	if (!system_write_locator(&out->where, site, out->tab, system, err))
		return false;
	target = (struct way_target){
		.where = &out->where,
		.server = system->name,
		.kind = system->kind,
		.uuid = system->uuid,
	};
	class = reach_acquire(&out->way, site, out->tab, &target, out, err);
	return class == NAL_CLASS_OK;
}

void outlet_close(struct outlet *o)
{
	if (o->tab != NULL)
		reach_release(o->site, o->tab, o->way);
	conntab_free(o->tab);
	locator_release(&o->where);
	*o = (struct outlet){ 0 };
}

const char *outlet_folder(const struct outlet *o)
{
	return o->where.scheme == LOCATOR_FILE ? o->where.path : NULL;
}

static bool is_live_system(bool *out, struct outlet *o, const char *uuid, struct err *err)
{
	int64_t found;

	if (!db_number(&found, o->site->db, STMT_SYSTEM_UUID_IS_LIVE, DB_ARGS(db_text(uuid)), 0,
		       err))
		return false;
	*out = found != 0;
	return true;
}

/* A marker of a system that was removed may be taken over; everybody else's may not. */
static bool may_replace(struct outlet *o, const struct marker *there, struct err *err)
{
	bool is_live = false;

	if (strcmp(there->site, o->site->code) != 0)
		return err_set(err, ERR_REFUSED, "the folder belongs to site %s (%s \"%s\")",
			       there->site, marker_kind_name(there->kind), there->name);
	if (!is_live_system(&is_live, o, there->uuid, err))
		return false;
	return !is_live || err_set(err, ERR_REFUSED, "the folder belongs to %s \"%s\" of this site",
				   marker_kind_name(there->kind), there->name);
}

static bool write_marker(struct outlet *o, struct err *err)
{
	SCOPED(buf) struct buf text = { 0 };
	struct marker marker = { .kind = o->system->kind };
	struct outlet_source source;

	snprintf(marker.site, sizeof(marker.site), "%s", o->site->code);
	snprintf(marker.uuid, sizeof(marker.uuid), "%s", o->system->uuid);
	snprintf(marker.name, sizeof(marker.name), "%s", o->system->name);
	marker_write(&text, &marker);
	source = (struct outlet_source){ .bytes = buf_span(&text) };
	return outlet_put(o, marker_file(marker.kind), &source, OUTLET_REPLACE, err);
}

/* ---- the file system under a folder ---- */

/* Where the file system that holds the folder is mounted; NULL if that cannot be told. */
static char *mount_under(const char *folder)
{
	SCOPED(mounts) struct mounts table = { 0 };
	SCOPED_TEXT char *real = realpath(folder, NULL);
	const char *best = NULL;
	struct err ignored;

	if (real == NULL || !mounts_read(&table, NULL, &ignored))
		return NULL;
	for (size_t i = 0; i < table.count; i++) {
		const char *target = table.entries[i].target;
		size_t size = strlen(target);

		if (size > 1 &&
		    (strncmp(real, target, size) != 0 || (real[size] != '/' && real[size] != '\0')))
			continue;
		if (best == NULL || size > strlen(best))
			best = target;
	}
	return alloc_text(best);
}

/*
 * A mount point that is empty because nothing is mounted there looks like a new disk, and what is
 * put into it fills the disk beneath. A mount that came on top is a new disk.
 */
static bool check_mounted(const struct outlet *o, struct err *err)
{
	const char *folder = outlet_folder(o), *before = o->system->mount;
	SCOPED_TEXT char *now = NULL;

	if (folder == NULL || before == NULL)
		return true;
	now = mount_under(folder);
	if (now == NULL || strlen(now) >= strlen(before))
		return true;
	err_set(err, ERR_REFUSED, "the file system that folder %s lay on is not mounted at %s",
		folder, before);
	return err_fix(err, "mount it; or, if it is gone for good, remove the %s and add it anew",
		       marker_kind_name(o->system->kind));
}

static bool remember_mount(struct outlet *o, struct err *err)
{
	const char *folder = outlet_folder(o);
	SCOPED_TEXT char *now = folder != NULL ? mount_under(folder) : NULL;
	SITE_UNDO struct site *undo = o->site;

	if (now == NULL || (o->system->mount != NULL && strcmp(now, o->system->mount) == 0))
		return true;
	return site_begin(o->site, err) &&
	       db_run(o->site->db, STMT_SYSTEM_SET_MOUNT,
		      DB_ARGS(db_int(o->system->id), db_text(now)), err) &&
	       site_commit(o->site, err);
}

/* ---- claiming ---- */

/* Its marker is not there. */
static bool claim_anew(struct outlet *o, struct err *err)
{
	o->is_new = true;
	return o->system->is_removed || o->system->is_external ||
	       (check_mounted(o, err) && write_marker(o, err) && remember_mount(o, err));
}

bool outlet_claim(struct outlet *o, struct err *err)
{
	static const struct way_get ask = { .max = MARKER_BYTES_MAX };
	SCOPED(way_object) struct way_object object = { 0 };
	enum nal_class class = way_get(&object, o->way, marker_file(o->system->kind), &ask, err);
	struct marker there;

	if (class == NAL_CLASS_NOT_FOUND) {
		err_clear(err);
		return claim_anew(o, err);
	}
	if (class != NAL_CLASS_OK)
		return false;
	if (!marker_parse(&there, buf_span(&object.bytes), err))
		return err_what(err, "reading the marker %s", marker_file(o->system->kind));
	if (marker_is(&there, o->system->uuid))
		return o->system->is_external || remember_mount(o, err);
	return (o->system->is_removed || may_replace(o, &there, err)) && claim_anew(o, err);
}

/* Hold the rate: sleep as long as these bytes take. False: the rest may not move now. */
static bool keep_pace(struct outlet *o, uint64_t bytes)
{
	uint64_t wait_ms = transfer_pace_wait_ms(&o->pace, bytes, clock_mono_ms(o->site->clock));
	struct timespec wait = {
		.tv_sec = (time_t)(wait_ms / 1000),
		.tv_nsec = (long)(wait_ms % 1000) * 1000000,
	};

	if (wait_ms > 0)
		nanosleep(&wait, NULL);
	o->was_stopped = o->may_go_on != NULL && !o->may_go_on(o->ctx);
	return !o->was_stopped;
}

static bool pace(uint64_t bytes, void *ctx)
{
	struct outlet *o = ctx;

	if (o->moved != NULL)
		o->moved(bytes, o->ctx);
	return keep_pace(o, bytes);
}

/* What was stopped is no fault of the way, which knows of none. */
static bool is_done(const struct outlet *o, enum nal_class class, struct err *err)
{
	if (o->was_stopped)
		return err_set(err, ERR_INTERRUPTED, "it may go on later");
	return class == NAL_CLASS_OK;
}

/* An object on its way back. */
struct reading {
	struct outlet *outlet;
	struct pack_check check;
	struct err *err;
	bool is_wrong;
};

static bool take_back(struct span piece, void *ctx)
{
	struct reading *r = ctx;

	r->is_wrong = !pack_check_feed(&r->check, piece, r->err);
	return !r->is_wrong;
}

static bool put(struct outlet *o, const char *name, const struct outlet_source *source,
		enum outlet_mode mode, struct reading *back, struct err *err)
{
	SCOPED_FD int fd = -1;
	struct way_put ask = {
		.mode = mode == OUTLET_CREATE ? WAY_PUT_CREATE : WAY_PUT_REPLACE,
		.bytes = source->bytes,
		.fd = -1,
		.sent = pace,
		.ctx = o,
		.back = back != NULL ? take_back : NULL,
		.back_ctx = back,
	};
	enum nal_class class;

	if (source->path != NULL) {
		struct stat st;

		/* Whoever replaces the file meanwhile replaces the name, not what is open here. */
		fd = open(source->path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) != 0)
			return err_sys(err, ERR_IO, errno, "file %s", source->path);
		ask.bytes = span_of(NULL, 0);
		ask.fd = fd;
		ask.size = (uint64_t)st.st_size;
	} else if (ask.bytes.data == NULL) {
		ask.bytes = span_of("", 0);
	}
	o->way->rate_bps = o->pace.rate_bps;
	class = way_put(o->way, name, &ask, err);
	o->way->rate_bps = 0;
	o->was_there = class == NAL_CLASS_CONFLICT && mode == OUTLET_CREATE;
	if (o->was_there) {
		err_clear(err);
		return true;
	}
	return is_done(o, class, err);
}

bool outlet_put(struct outlet *o, const char *name, const struct outlet_source *source,
		enum outlet_mode mode, struct err *err)
{
	return put(o, name, source, mode, NULL, err);
}

bool outlet_replace_all(struct outlet *o, const char *folder, const struct way_small *objects,
			size_t count, struct err *err)
{
	const struct way_batch batch = {
		.folder = folder,
		.objects = objects,
		.count = count,
		.sent = pace,
		.ctx = o,
	};
	enum nal_class class;

	o->way->rate_bps = o->pace.rate_bps;
	class = way_replace_all(o->way, &batch, err);
	o->way->rate_bps = 0;
	return is_done(o, class, err);
}

static bool take_piece(size_t range UNUSED, struct span piece, void *ctx)
{
	struct reading *r = ctx;

	r->is_wrong = !pack_check_feed(&r->check, piece, r->err);
	return !r->is_wrong && keep_pace(r->outlet, piece.size);
}

static bool read_back(struct outlet *o, const char *name, uint64_t size, struct reading *r,
		      struct err *err)
{
	const struct way_range whole = { .offset = 0, .size = size };
	struct way_stat stat;
	enum nal_class class;

	if (way_stat(&stat, o->way, name, err) != NAL_CLASS_OK)
		return false;
	if (stat.size != size)
		return err_set(err, ERR_CORRUPT, "%s has %" PRIu64 " bytes there, not %" PRIu64,
			       name, stat.size, size);
	if (size == 0)
		return true;
	o->way->rate_bps = o->pace.rate_bps;
	class = way_read_ranges(o->way, name, &whole, 1, take_piece, r, err);
	o->way->rate_bps = 0;
	return is_done(o, class, err);
}

bool outlet_check(struct outlet *o, const char *name, uint64_t size, const struct digest *expected,
		  struct err *err)
{
	struct reading r = { .outlet = o, .err = err };
	bool done;

	pack_check_init(&r.check, expected, size);
	done = read_back(o, name, size, &r, err) && !r.is_wrong && pack_check_finish(&r.check, err);
	pack_check_release(&r.check);
	return done;
}

/* All of it came back beside the writing. False: it has to be read, or what stood there has. */
static bool is_back(const struct outlet *o, const struct reading *back)
{
	return !o->was_there && !back->is_wrong && back->check.seen == back->check.size;
}

bool outlet_put_checked(struct outlet *o, const char *name, const struct outlet_source *source,
			enum outlet_mode mode, uint64_t size, const struct digest *expected,
			struct err *err)
{
	struct err ignored = { 0 };
	struct reading back = { .outlet = o, .err = &ignored };
	bool done;

	pack_check_init(&back.check, expected, size);
	/* A rate holds for both together, so there one waits for the other. */
	done = put(o, name, source, mode, o->pace.rate_bps == 0 ? &back : NULL, err);
	if (done)
		done = is_back(o, &back) ? pack_check_finish(&back.check, err)
					 : outlet_check(o, name, size, expected, err);
	pack_check_release(&back.check);
	return done;
}

bool outlet_remove(struct outlet *o, const char *name, struct err *err)
{
	enum nal_class class = way_delete(o->way, name, err);

	if (class == NAL_CLASS_NOT_FOUND)
		err_clear(err);
	return class == NAL_CLASS_OK || class == NAL_CLASS_NOT_FOUND;
}

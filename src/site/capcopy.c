#include "site/capcopy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/jsondoc.h"
#include "common/log.h"
#include "common/path.h"
#include "content/manifest.h"
#include "nal/conntab.h"
#include "site/leftovers.h"
#include "site/outlet.h"
#include "site/receiptcopy.h"

#define TIMESTAMP  "metadata/timestamp.json"
#define INBOX      "inbox"
#define INBOX_MODE 01733 /* everybody may put a file and nobody may look or remove */
#define INBOX_OWN  0700  /* serve puts them there */

#define SECOND_LOOK_MS 20
#define SECOND_LOOKS   60

#define ADDED_AT_ONCE 16 /* files that are recorded together */

struct copy {
	struct site *site;
	struct system *cap;
	const struct capcopy_job *job;
	struct outlet outlet;
	json_t *known; /* object: what was put there before */
	json_t *added; /* array: names put now, and not recorded yet */
	size_t put;    /* how many were put */
};

static bool load_known(struct copy *c, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(c->site->db, STMT_CAP_FILES, DB_ARGS(db_int(c->cap->id)));

	while (db_rows_next(&rows))
		jsondoc_set_flag(c->known, db_rows_text(&rows, 0), true);
	return db_rows_finish(&rows, err);
}

/* A CAP that lost its disk says so by its missing marker or timestamp. */
static bool is_lost(struct copy *c)
{
	struct way_stat stat;
	struct err ignored;

	return c->outlet.is_new ||
	       way_stat(&stat, c->outlet.way, TIMESTAMP, &ignored) == NAL_CLASS_NOT_FOUND;
}

static bool forget_known(struct copy *c, struct err *err)
{
	SITE_UNDO struct site *undo = c->site;

	json_object_clear(c->known);
	return site_begin(c->site, err) &&
	       db_run(c->site->db, STMT_CAP_FORGET, DB_ARGS(db_int(c->cap->id)), err) &&
	       db_run(c->site->db, STMT_CAP_STATE_FORGET, DB_ARGS(db_int(c->cap->id)), err) &&
	       site_commit(c->site, err);
}

/* mkdir's mode passes the umask, and has no sticky bit everywhere. */
static bool set_mode(const char *inbox, mode_t mode, struct err *err)
{
	/* Others may write on a CAP: a link in the inbox's place must not lead us elsewhere. */
	SCOPED_FD int fd = open(inbox, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, errno, "folder %s", inbox);
	return (st.st_mode & 07777) == mode || fchmod(fd, mode) == 0 ||
	       err_sys(err, ERR_IO, errno, "folder %s", inbox);
}

static bool make_inbox(struct copy *c, struct err *err)
{
	const char *folder = outlet_folder(&c->outlet);
	SCOPED_TEXT char *inbox = folder != NULL ? path_join(folder, INBOX) : NULL;
	mode_t mode = c->cap->is_own ? INBOX_OWN : INBOX_MODE;

	return inbox == NULL || c->cap->inbox != NULL ||
	       (path_make_dirs(inbox, mode, err) && set_mode(inbox, mode, err));
}

static bool put_file(struct copy *c, const char *name, enum outlet_mode mode, struct err *err)
{
	SCOPED_TEXT char *path = path_join3(c->site->dir, "published", name);
	const struct outlet_source source = { .path = path };

	return outlet_put(&c->outlet, name, &source, mode, err);
}

/*
 * What stood there under a new name is none of this publication until it is seen to be: half a file
 * of a killed writer, a later one of before a restore, a stranger's.
 */
static bool put_again(struct copy *c, const char *name, struct err *err)
{
	SCOPED_TEXT char *path = path_join3(c->site->dir, "published", name);
	SCOPED(buf) struct buf bytes = { 0 };
	struct digest digest;

	if (!path_read(&bytes, path, MANIFEST_BYTES_MAX, err))
		return false;
	digest_of(&digest, buf_span(&bytes));
	if (outlet_check(&c->outlet, name, bytes.size, &digest, err))
		return true;
	err_clear(err);
	return put_file(c, name, OUTLET_REPLACE, err);
}

static bool record_added(struct copy *c, struct err *err)
{
	SITE_UNDO struct site *undo = c->site;
	json_t *name;
	size_t i;

	if (json_array_size(c->added) == 0)
		return true;
	if (!site_begin(c->site, err))
		return false;
	json_array_foreach (c->added, i, name)
		if (!db_run(c->site->db, STMT_CAP_FILE_ADD,
			    DB_ARGS(db_int(c->cap->id), db_text(json_string_value(name))), err))
			return false;
	if (!site_commit(c->site, err))
		return false;
	json_array_clear(c->added);
	return true;
}

static bool put_missing(struct copy *c, struct err *err)
{
	const struct publication_paths *files = c->job->files;

	for (size_t i = 0; i < files->count; i++) {
		const char *name = files->items[i];

		if (strcmp(name, TIMESTAMP) == 0 || json_object_get(c->known, name) != NULL)
			continue;
		if (!put_file(c, name, OUTLET_CREATE, err) ||
		    (c->outlet.was_there && !put_again(c, name, err)))
			return false;
		json_array_append_new(c->added, json_string(name));
		c->put++;
		/* Who is put off on the way shall not look at all of it again. */
		if (json_array_size(c->added) >= ADDED_AT_ONCE && !record_added(c, err))
			return false;
	}
	return true;
}

/* The timestamp it has, as far as we know; 0: none, or it missed receipts. */
static bool known_version(int64_t *out, struct copy *c, struct err *err)
{
	return db_number(out, c->site->db, STMT_CAP_TIMESTAMP, DB_ARGS(db_int(c->cap->id)), 0, err);
}

static bool record_state(struct copy *c, struct err *err)
{
	SITE_UNDO struct site *undo = c->site;

	return site_begin(c->site, err) &&
	       db_run(c->site->db, STMT_CAP_STATE_SET,
		      DB_ARGS(db_int(c->cap->id), db_int(c->job->timestamp_version),
			      db_int(site_now(c->site)), db_null()),
		      err) &&
	       site_commit(c->site, err);
}

static bool remove_one(struct copy *c, const char *name, struct err *err)
{
	SITE_UNDO struct site *undo = c->site;

	return outlet_remove(&c->outlet, name, err) && site_begin(c->site, err) &&
	       db_run(c->site->db, STMT_CAP_FILE_REMOVE, DB_ARGS(db_int(c->cap->id), db_text(name)),
		      err) &&
	       site_commit(c->site, err);
}

static bool clean(struct copy *c, struct err *err)
{
	const struct publication_paths *garbage = c->job->garbage;

	for (size_t i = 0; i < garbage->count; i++)
		if (json_object_get(c->known, garbage->items[i]) != NULL &&
		    !remove_one(c, garbage->items[i], err))
			return false;
	return true;
}

/*
 * A folder that is gone is made again, for nobody may be there to do it. Should it lie on a mount
 * that is away, then outlet_claim refuses it and it stays empty. A DP's folder is not made.
 */
static bool open_outlet(struct copy *c, struct err *err)
{
	const char *folder;

	if (outlet_open(&c->outlet, c->site, c->cap, err))
		return true;
	folder = outlet_folder(&c->outlet);
	if (folder == NULL || mkdir(folder, 0755) != 0)
		return false;
	log_warn("the folder of CAP \"%s\" was gone and is made again: %s", c->cap->name, folder);
	outlet_close(&c->outlet);
	err_clear(err);
	return outlet_open(&c->outlet, c->site, c->cap, err);
}

/*
 * A plain web server over the folder makes its entity tag of the size and the second of the change:
 * two timestamps of one second would be one to clients that ask whether it has changed.
 */
static void await_another_second(const struct copy *c)
{
	const struct timespec moment = { .tv_nsec = SECOND_LOOK_MS * 1000000 };
	const char *folder = outlet_folder(&c->outlet);
	SCOPED_TEXT char *path = folder != NULL ? path_join(folder, TIMESTAMP) : NULL;
	struct stat st;

	if (path == NULL || stat(path, &st) != 0)
		return;
	for (int i = 0; i < SECOND_LOOKS && time(NULL) == st.st_mtime; i++)
		nanosleep(&moment, NULL);
}

/* That of this publication: the file in SITE/published may be a later one's by now. */
static bool put_timestamp(struct copy *c, struct err *err)
{
	const struct outlet_source source = { .bytes = c->job->timestamp };

	await_another_second(c);
	return outlet_put(&c->outlet, TIMESTAMP, &source, OUTLET_REPLACE, err);
}

static bool bring(struct copy *c, struct err *err)
{
	int64_t version;
	bool is_lost_now;

	if (!open_outlet(c, err) || !outlet_claim(&c->outlet, err))
		return false;
	is_lost_now = is_lost(c);
	if ((is_lost_now && !forget_known(c, err)) || !load_known(c, err) || !make_inbox(c, err) ||
	    !known_version(&version, c, err) || !put_missing(c, err) || !record_added(c, err))
		return false;
	if (is_lost_now)
		version = 0;
	if (version == 0 && !receiptcopy_all(&c->outlet, err))
		return false;
	if (version != c->job->timestamp_version &&
	    (!put_timestamp(c, err) || !record_state(c, err)))
		return false;
	return clean(c, err) && leftovers_sweep(&c->outlet, err);
}

bool capcopy_run(size_t *files_out, struct site *site, struct system *cap,
		 const struct capcopy_job *job, struct err *err)
{
	json_auto_t *known = json_object();
	json_auto_t *added = json_array();
	struct copy c = {
		.site = site,
		.cap = cap,
		.job = job,
		.known = known,
		.added = added,
	};
	bool done = bring(&c, err);

	*files_out = c.put;
	outlet_close(&c.outlet);
	return done;
}

bool capcopy_inbox(struct locator *out, struct site *site, struct conntab *tab, struct system *cap,
		   struct err *err)
{
	SCOPED(locator) struct locator base = { 0 };
	SCOPED_TEXT char *url = NULL;

	if (cap->inbox != NULL)
		return locator_parse_argument(out, cap->inbox, err);
	return system_write_locator(&base, site, tab, cap, err) &&
	       locator_join(&url, &base, INBOX, err) && locator_parse(out, url, err);
}

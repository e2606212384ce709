#include "site/receiptcopy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/path.h"

#define LOCK_WAIT_MS   120000             /* another process puts receipts on the same CAP */
#define TRAY_BYTES_MAX ((size_t)16 << 20) /* of a tray, and one receipt more */
#define NAME_SIZE      16                 /* "ab12.json" */

/* One receipt on its way, and its shard. */
struct dish {
	char shard[NAME_SIZE];
	char name[NAME_SIZE];
	int64_t serial;
	struct buf bytes;
};

/* As many as are put at once. */
struct tray {
	struct dish dishes[WAY_TOGETHER_MAX];
	struct way_small objects[WAY_TOGETHER_MAX];
	size_t count;
	size_t bytes;
};

static void empty(struct tray *tray)
{
	for (size_t i = 0; i < tray->count; i++)
		buf_release(&tray->dishes[i].bytes);
	tray->count = 0;
	tray->bytes = 0;
}

static void tray_free(struct tray *tray)
{
	empty(tray);
	free(tray);
}
SCOPED_FREE(tray);

static void lay(struct tray *tray, const struct db_rows *rows)
{
	const char *shard = db_rows_text(rows, 0);
	struct dish *dish = &tray->dishes[tray->count];

	snprintf(dish->shard, sizeof(dish->shard), "%s", shard);
	snprintf(dish->name, sizeof(dish->name), "%.4s.json", shard);
	dish->serial = db_rows_int(rows, 1);
	dish->bytes = (struct buf){ 0 };
	buf_put_span(&dish->bytes, db_rows_blob(rows, 2));
	tray->objects[tray->count++] = (struct way_small){
		.name = dish->name,
		.bytes = buf_span(&dish->bytes),
	};
	tray->bytes += dish->bytes.size;
}

/* The next ones of a statement, after the last of the tray. */
static bool load(struct tray *tray, struct outlet *o, size_t statement, struct err *err)
{
	const struct dish *last = tray->count > 0 ? &tray->dishes[tray->count - 1] : NULL;
	SCOPED_TEXT char *after = alloc_text(last != NULL ? last->shard : "");
	SCOPED(db_rows)
	struct db_rows rows = db_query(
		o->site->db, statement,
		DB_ARGS(db_int(o->system->id), db_text(after), db_int(WAY_TOGETHER_MAX)));

	empty(tray);
	while (tray->bytes < TRAY_BYTES_MAX && db_rows_next(&rows))
		lay(tray, &rows);
	return db_rows_finish(&rows, err);
}

static bool put(struct outlet *o, const struct tray *tray, struct err *err)
{
	return outlet_replace_all(o, "receipts", tray->objects, tray->count, err);
}

static bool mark_paid(struct outlet *o, const struct tray *tray, struct err *err)
{
	SITE_UNDO struct site *undo = o->site;

	if (!site_begin(o->site, err))
		return false;
	for (size_t i = 0; i < tray->count; i++)
		if (!db_run(o->site->db, STMT_RECEIPT_PAID,
			    DB_ARGS(db_int(o->system->id), db_text(tray->dishes[i].shard),
				    db_int(tray->dishes[i].serial)),
			    err))
			return false;
	return site_commit(o->site, err);
}

static bool lock_receipts(int *fd_out, struct site *site, const struct system *cap, struct err *err)
{
	SCOPED_TEXT char *name = alloc_printf("receipts-%" PRId64, cap->id);

	return site_lock(fd_out, site, name, LOCK_WAIT_MS, err);
}

bool receiptcopy_all(struct outlet *o, struct err *err)
{
	SCOPED(tray) struct tray *tray = alloc_zeroed(1, sizeof(*tray));
	SCOPED_FD int lock = -1;
	bool done;

	if (!lock_receipts(&lock, o->site, o->system, err))
		return false;
	while ((done = load(tray, o, STMT_RECEIPT_ALL, err)) && tray->count > 0)
		if (!put(o, tray, err))
			return false;
	return done;
}

static bool pay(bool *taken_out, struct err *why, struct outlet *o, struct tray *tray,
		struct err *err)
{
	while (tray->count > 0) {
		*taken_out = put(o, tray, why);
		if (!*taken_out)
			return true;
		if (!mark_paid(o, tray, err) || !load(tray, o, STMT_RECEIPT_OWED, err))
			return false;
	}
	return true;
}

bool receiptcopy_owed(bool *taken_out, struct err *why, struct site *site, struct system *cap,
		      struct err *err)
{
	SCOPED(tray) struct tray *tray = alloc_zeroed(1, sizeof(*tray));
	SCOPED(outlet) struct outlet o = { .site = site, .system = cap };
	SCOPED_FD int lock = -1;

	*taken_out = true;
	if (!lock_receipts(&lock, site, cap, err) || !load(tray, &o, STMT_RECEIPT_OWED, err))
		return false;
	if (tray->count == 0)
		return true;
	*taken_out = outlet_open(&o, site, cap, why);
	return !*taken_out || pay(taken_out, why, &o, tray, err);
}

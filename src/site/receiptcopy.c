#include "site/receiptcopy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/path.h"

#define LOCK_WAIT_MS    120000             /* another process puts receipts on the same CAP */
#define BATCH_BYTES_MAX ((size_t)16 << 20) /* of a batch, and one receipt more */
#define NAME_SIZE       16                 /* "ab12.json" */

/* One receipt on its way, and its shard. */
struct item {
	char shard[NAME_SIZE];
	char name[NAME_SIZE];
	int64_t serial;
	struct buf bytes;
};

/* As many as are put at once. */
struct batch {
	struct item items[WAY_TOGETHER_MAX];
	struct way_small objects[WAY_TOGETHER_MAX];
	size_t count;
	size_t bytes;
};

static void clear(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		buf_release(&batch->items[i].bytes);
	batch->count = 0;
	batch->bytes = 0;
}

static void batch_free(struct batch *batch)
{
	clear(batch);
	free(batch);
}
SCOPED_FREE(batch);

static void add(struct batch *batch, const struct db_rows *rows)
{
	const char *shard = db_rows_text(rows, 0);
	struct item *item = &batch->items[batch->count];

	snprintf(item->shard, sizeof(item->shard), "%s", shard);
	snprintf(item->name, sizeof(item->name), "%.4s.json", shard);
	item->serial = db_rows_int(rows, 1);
	item->bytes = (struct buf){ 0 };
	buf_put_span(&item->bytes, db_rows_blob(rows, 2));
	batch->objects[batch->count++] = (struct way_small){
		.name = item->name,
		.bytes = buf_span(&item->bytes),
	};
	batch->bytes += item->bytes.size;
}

/* The next ones of a statement, after the last of the batch. */
static bool load(struct batch *batch, struct outlet *o, size_t statement, struct err *err)
{
	const struct item *last = batch->count > 0 ? &batch->items[batch->count - 1] : NULL;
	SCOPED_TEXT char *after = alloc_text(last != NULL ? last->shard : "");
	SCOPED(db_rows)
	struct db_rows rows = db_query(
		o->site->db, statement,
		DB_ARGS(db_int(o->system->id), db_text(after), db_int(WAY_TOGETHER_MAX)));

	clear(batch);
	while (batch->bytes < BATCH_BYTES_MAX && db_rows_next(&rows))
		add(batch, &rows);
	return db_rows_finish(&rows, err);
}

static bool put(struct outlet *o, const struct batch *batch, struct err *err)
{
	return outlet_replace_all(o, "receipts", batch->objects, batch->count, err);
}

static bool mark_paid(struct outlet *o, const struct batch *batch, struct err *err)
{
	SITE_UNDO struct site *undo = o->site;

	if (!site_begin(o->site, err))
		return false;
	for (size_t i = 0; i < batch->count; i++)
		if (!db_run(o->site->db, STMT_RECEIPT_PAID,
			    DB_ARGS(db_int(o->system->id), db_text(batch->items[i].shard),
				    db_int(batch->items[i].serial)),
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
	SCOPED(batch) struct batch *batch = alloc_zeroed(1, sizeof(*batch));
	SCOPED_FD int lock = -1;
	bool done;

	if (!lock_receipts(&lock, o->site, o->system, err))
		return false;
	while ((done = load(batch, o, STMT_RECEIPT_ALL, err)) && batch->count > 0)
		if (!put(o, batch, err))
			return false;
	return done;
}

static bool pay(bool *taken_out, struct err *why, struct outlet *o, struct batch *batch,
		struct err *err)
{
	while (batch->count > 0) {
		*taken_out = put(o, batch, why);
		if (!*taken_out)
			return true;
		if (!mark_paid(o, batch, err) || !load(batch, o, STMT_RECEIPT_OWED, err))
			return false;
	}
	return true;
}

bool receiptcopy_owed(bool *taken_out, struct err *why, struct site *site, struct system *cap,
		      struct err *err)
{
	SCOPED(batch) struct batch *batch = alloc_zeroed(1, sizeof(*batch));
	SCOPED(outlet) struct outlet o = { .site = site, .system = cap };
	SCOPED_FD int lock = -1;

	*taken_out = true;
	if (!lock_receipts(&lock, site, cap, err) || !load(batch, &o, STMT_RECEIPT_OWED, err))
		return false;
	if (batch->count == 0)
		return true;
	*taken_out = outlet_open(&o, site, cap, why);
	return !*taken_out || pay(taken_out, why, &o, batch, err);
}

#include "site/receipts.h"

#include <inttypes.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "site/capcopy.h"
#include "site/sitekeys.h"
#include "site/system.h"
#include "trust/receipt.h"

static enum receipt_state state_of(const char *name)
{
	for (enum receipt_state state = 0; state < RECEIPT_STATE_COUNT_; state++)
		if (strcmp(receipt_state_name(state), name) == 0)
			return state;
	return RECEIPT_PENDING;
}

static bool add_refusals(struct receipt_stream *stream, struct site *site, int64_t id,
			 struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_STREAM_REFUSALS,
				       DB_ARGS(db_int(id), db_int(RECEIPT_REFUSED_MAX)));

	while (db_rows_next(&rows))
		receipt_add_refusal(stream, (uint64_t)db_rows_int(&rows, 0),
				    db_rows_text(&rows, 1));
	return db_rows_finish(&rows, err);
}

static bool add_streams(struct receipt_client *client, struct site *site, const char *id,
			struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_RECEIPT_STREAMS,
				       DB_ARGS(db_text(id), db_int(RECEIPT_STREAMS_MAX)));

	while (db_rows_next(&rows)) {
		struct receipt_stream *stream = receipt_add_stream(client, db_rows_text(&rows, 1),
								   (uint64_t)db_rows_int(&rows, 2));

		stream->fork = db_rows_int(&rows, 3) != 0;
		if (!add_refusals(stream, site, db_rows_int(&rows, 0), err))
			return false;
	}
	return db_rows_finish(&rows, err);
}

static bool add_clients(struct receipt *receipt, struct site *site, const char *shard,
			struct err *err)
{
	SCOPED_TEXT char *after = alloc_printf("%s~", shard);
	SCOPED(db_rows)
	struct db_rows rows = db_query(
		site->db, STMT_RECEIPT_CLIENTS,
		DB_ARGS(db_text(shard), db_text(after), db_int(RECEIPT_CLIENTS_MAX)));

	while (db_rows_next(&rows)) {
		const char *id = db_rows_text(&rows, 0);
		struct receipt_client *client = receipt_add_client(
			receipt, id, state_of(db_rows_text(&rows, 1)), db_rows_text(&rows, 2));

		if (!add_streams(client, site, id, err))
			return false;
	}
	return db_rows_finish(&rows, err);
}

/* The serial of the file that is written next: it is used up whether or not that succeeds. */
static bool next_serial(int64_t *out, struct site *site, const char *shard, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return site_begin(site, err) &&
	       db_number(out, site->db, STMT_RECEIPT_NEXT, DB_ARGS(db_text(shard)), 0, err) &&
	       site_commit(site, err);
}

static bool write_shard(struct site *site, const char *shard, const struct signer *key,
			struct err *err)
{
	SCOPED_TEXT char *folder = site_path(site, "published/receipts");
	SCOPED_TEXT char *path = alloc_printf("%s/%s.json", folder, shard);
	SCOPED(receipt) struct receipt *receipt = NULL;
	SCOPED(buf) struct buf text = { 0 };
	int64_t serial;

	if (!next_serial(&serial, site, shard, err))
		return false;
	receipt = receipt_new(site->code, shard, serial, site_now(site));
	return add_clients(receipt, site, shard, err) && receipt_write(&text, receipt, key, err) &&
	       path_make_dirs(folder, 0755, err) && newfile_write(path, 0644, buf_span(&text), err);
}

/* What was asked for since the shard was read keeps it dirty. */
static bool mark_clean(struct site *site, json_t *dirty, struct err *err)
{
	SITE_UNDO struct site *undo = site;
	const char *shard;
	json_t *count;

	if (!site_begin(site, err))
		return false;
	json_object_foreach (dirty, shard, count)
		if (!db_run(site->db, STMT_RECEIPT_CLEAN,
			    DB_ARGS(db_text(shard), db_int(json_integer_value(count))), err))
			return false;
	return site_commit(site, err);
}

/* A CAP that missed receipts gets all of them with its next publish. */
static bool doubt_cap(struct site *site, const struct system *cap, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return site_begin(site, err) &&
	       db_run(site->db, STMT_CAP_DOUBT, DB_ARGS(db_int(cap->id)), err) &&
	       site_commit(site, err);
}

static bool put_on_caps(size_t *failed_out, struct site *site, const json_t *shards,
			struct err *err)
{
	SCOPED(system_list) struct system_list caps = { 0 };

	if (!system_load(&caps, site, MARKER_CAP, SYSTEM_LIVE, err))
		return false;
	for (size_t i = 0; i < caps.count; i++) {
		struct err why = { 0 };

		if (capcopy_receipts(site, &caps.items[i], shards, &why))
			continue;
		(*failed_out)++;
		if (!doubt_cap(site, &caps.items[i], err))
			return false;
	}
	return true;
}

static bool list_dirty(json_t *dirty, json_t *shards, struct site *site, struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = db_query(site->db, STMT_RECEIPT_DIRTY, DB_NO_ARGS);

	while (db_rows_next(&rows)) {
		jsondoc_set_int(dirty, db_rows_text(&rows, 0), db_rows_int(&rows, 1));
		json_array_append_new(shards, json_string(db_rows_text(&rows, 0)));
	}
	return db_rows_finish(&rows, err);
}

bool receipts_publish(size_t *failed_out, struct site *site, struct err *err)
{
	SCOPED(signer) struct signer *key = NULL;
	json_auto_t *dirty = json_object(); /* shard → how often it was asked for */
	json_auto_t *shards = json_array();
	json_t *shard;
	size_t i;

	*failed_out = 0;
	if (!list_dirty(dirty, shards, site, err))
		return false;
	if (json_array_size(shards) == 0)
		return true;
	if (!sitekeys_load_receipt(&key, site, err))
		return false;
	json_array_foreach (shards, i, shard)
		if (!write_shard(site, json_string_value(shard), key, err))
			return false;
	return put_on_caps(failed_out, site, shards, err) && mark_clean(site, dirty, err);
}

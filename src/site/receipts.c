#include "site/receipts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "site/capcopy.h"
#include "site/client.h"
#include "site/sitekeys.h"
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

static void put_chain(struct receipt_stream *stream, struct span chain)
{
	struct digest value;

	if (chain.size != DIGEST_SIZE)
		return;
	memcpy(value.bytes, chain.data, DIGEST_SIZE);
	digest_print(stream->chain, &value);
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
		put_chain(stream, db_rows_blob(&rows, 4));
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

/* A shard that is to be written. */
struct shard {
	char name[CLIENT_SHARD_SIZE];
	int64_t asked; /* how often it was asked for, so far */
	int64_t serial;
};

struct shards {
	struct shard *items;
	size_t count;
};

static void shards_scoped(struct shards *list)
{
	free(list->items);
}

static bool list_dirty(struct shards *out, struct site *site, struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = db_query(site->db, STMT_RECEIPT_DIRTY, DB_NO_ARGS);

	while (db_rows_next(&rows)) {
		struct shard shard = { .asked = db_rows_int(&rows, 1) };

		snprintf(shard.name, sizeof(shard.name), "%s", db_rows_text(&rows, 0));
		ALLOC_GROW(out->items, out->count);
		out->items[out->count++] = shard;
	}
	return db_rows_finish(&rows, err);
}

/*
 * The serials of the files that are written next, used up whether or not that succeeds; and every
 * CAP lacks these files from now on.
 */
static bool take_serials(struct shards *list, struct site *site, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	if (!site_begin(site, err) || !db_run(site->db, STMT_RECEIPT_FORGIVE, DB_NO_ARGS, err))
		return false;
	for (size_t i = 0; i < list->count; i++) {
		struct shard *shard = &list->items[i];

		if (!db_number(&shard->serial, site->db, STMT_RECEIPT_NEXT,
			       DB_ARGS(db_text(shard->name)), 0, err) ||
		    !db_run(site->db, STMT_RECEIPT_OWE,
			    DB_ARGS(db_text(shard->name), db_int(shard->serial)), err))
			return false;
	}
	return site_commit(site, err);
}

/* Unflushed: see write_all. */
static bool write_file(const char *path, struct span bytes, struct err *err)
{
	__attribute__((cleanup(newfile_scoped))) struct newfile nf = NEWFILE_EMPTY;

	return newfile_begin(&nf, path, 0644, err) && path_write_fd(nf.fd, bytes, err) &&
	       newfile_commit_unflushed(&nf, err);
}

static bool write_shard(struct site *site, const char *folder, const struct shard *shard,
			const struct signer *key, struct err *err)
{
	SCOPED_TEXT char *path = alloc_printf("%s/%s.json", folder, shard->name);
	SCOPED(receipt) struct receipt *receipt = NULL;
	SCOPED(buf) struct buf text = { 0 };

	receipt = receipt_new(site->code, shard->name, shard->serial, site_now(site));
	return add_clients(receipt, site, shard->name, err) &&
	       receipt_write(&text, receipt, key, err) && write_file(path, buf_span(&text), err);
}

/* One flush for all: they stay dirty until it is done. */
static bool write_all(const struct shards *list, struct site *site, struct err *err)
{
	SCOPED_TEXT char *folder = site_path(site, "published/receipts");
	SCOPED(signer) struct signer *key = NULL;

	if (!sitekeys_load_receipt(&key, site, err) || !path_make_dirs(folder, 0755, err))
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (!write_shard(site, folder, &list->items[i], key, err))
			return false;
	return path_sync_fs(folder, err);
}

/* What was asked for since the shard was read keeps it dirty. */
static bool mark_clean(const struct shards *list, struct site *site, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	if (!site_begin(site, err))
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (!db_run(site->db, STMT_RECEIPT_CLEAN,
			    DB_ARGS(db_text(list->items[i].name), db_int(list->items[i].asked)),
			    err))
			return false;
	return site_commit(site, err);
}

static bool renew(size_t *written_out, struct site *site, struct err *err)
{
	__attribute__((cleanup(shards_scoped))) struct shards list = { 0 };

	if (!list_dirty(&list, site, err))
		return false;
	if (list.count == 0)
		return true;
	*written_out = list.count;
	return take_serials(&list, site, err) && write_all(&list, site, err) &&
	       mark_clean(&list, site, err);
}

/* ---- CAPs ---- */

static bool mark_paid(struct site *site, const struct system *cap, const json_t *owed,
		      struct err *err)
{
	SITE_UNDO struct site *undo = site;
	json_t *row;
	size_t i;

	if (!site_begin(site, err))
		return false;
	json_array_foreach (owed, i, row)
		if (!db_run(site->db, STMT_RECEIPT_PAID,
			    DB_ARGS(db_int(cap->id), db_text(jsondoc_text(row, "shard")),
				    db_int(jsondoc_int(row, "serial", 0))),
			    err))
			return false;
	return site_commit(site, err);
}

static bool pay(struct receipts_result *result, struct site *site, struct system *cap,
		struct err *err)
{
	json_auto_t *owed = NULL;
	json_auto_t *shards = json_array();
	struct err why = { 0 };
	SCOPED_FD int lock = -1;
	json_t *row;
	size_t i;

	if (!capcopy_lock_receipts(&lock, site, cap, err) ||
	    !db_list(&owed, site->db, STMT_RECEIPT_OWED, DB_ARGS(db_int(cap->id)), err))
		return false;
	if (json_array_size(owed) == 0)
		return true;
	json_array_foreach (owed, i, row)
		json_array_append(shards, json_object_get(row, "shard"));
	if (capcopy_receipts(site, cap, shards, &why))
		return mark_paid(site, cap, owed, err);
	if (result->caps_failed++ == 0)
		snprintf(result->why, sizeof(result->why), "%.64s: %.400s", cap->name, why.why);
	return true;
}

bool receipts_publish(struct receipts_result *out, struct site *site, struct system_list *caps,
		      struct err *err)
{
	*out = (struct receipts_result){ 0 };
	if (!renew(&out->written, site, err))
		return false;
	for (size_t i = 0; i < caps->count; i++)
		if (!pay(out, site, &caps->items[i], err))
			return false;
	return true;
}

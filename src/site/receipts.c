#include "site/receipts.h"

#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"
#include "site/client.h"
#include "site/receiptcopy.h"
#include "site/sitekeys.h"
#include "trust/receipt.h"

#define SHARDS_AT_ONCE 256 /* in one transaction: others wait for it */

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

		if (db_rows_text(&rows, 3) != NULL)
			text_cut(client->key, sizeof(client->key), db_rows_text(&rows, 3));
		if (!add_streams(client, site, id, err))
			return false;
	}
	return db_rows_finish(&rows, err);
}

/* A shard that is to be written. */
struct shard {
	char name[CLIENT_SHARD_SIZE];
	int64_t serial;
};

struct shards {
	struct shard items[SHARDS_AT_ONCE];
	size_t count;
};

static bool list_dirty(struct shards *out, struct site *site, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_RECEIPT_DIRTY,
				       DB_ARGS(db_int(SHARDS_AT_ONCE)));

	out->count = 0;
	while (db_rows_next(&rows)) {
		struct shard *shard = &out->items[out->count++];

		snprintf(shard->name, sizeof(shard->name), "%s", db_rows_text(&rows, 0));
		shard->serial = db_rows_int(&rows, 1);
	}
	return db_rows_finish(&rows, err);
}

static bool write_shard(struct site *site, const struct shard *shard, const struct signer *key,
			struct err *err)
{
	struct db_value name = db_text(shard->name), serial = db_int(shard->serial);
	SCOPED(receipt) struct receipt *receipt = NULL;
	SCOPED(buf) struct buf text = { 0 };

	receipt = receipt_new(site->code, shard->name, shard->serial, site_now(site));
	return add_clients(receipt, site, shard->name, err) &&
	       receipt_write(&text, receipt, key, err) &&
	       db_run(site->db, STMT_RECEIPT_WRITTEN, DB_ARGS(name, serial), err) &&
	       db_run(site->db, STMT_RECEIPT_KEEP, DB_ARGS(name, db_blob(buf_span(&text))), err) &&
	       db_run(site->db, STMT_RECEIPT_OWE, DB_ARGS(name, serial), err);
}

/* What a receipt says, its serial and that every CAP lacks it come to be in one transaction. */
static bool write_some(struct shards *list, struct site *site, const struct signer *key,
		       struct err *err)
{
	SITE_UNDO struct site *undo = site;

	if (!site_begin(site, err) || !db_run(site->db, STMT_RECEIPT_FORGIVE, DB_NO_ARGS, err) ||
	    !list_dirty(list, site, err))
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (!write_shard(site, &list->items[i], key, err))
			return false;
	return site_commit(site, err);
}

static bool renew(size_t *written_out, struct site *site, struct err *err)
{
	SCOPED(signer) struct signer *key = NULL;
	struct shards list;

	if (!list_dirty(&list, site, err))
		return false;
	if (list.count == 0)
		return true;
	if (!sitekeys_load_receipt(&key, site, err))
		return false;
	do {
		if (!write_some(&list, site, key, err))
			return false;
		*written_out += list.count;
	} while (list.count == SHARDS_AT_ONCE);
	return true;
}

/* ---- CAPs ---- */

static bool pay(struct receipts_result *result, struct site *site, struct system *cap,
		struct err *err)
{
	struct err why = { 0 };
	bool taken;

	if (!receiptcopy_owed(&taken, &why, site, cap, err))
		return false;
	if (!taken && result->caps_failed++ == 0)
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

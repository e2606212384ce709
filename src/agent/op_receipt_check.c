/*
 * The operation `receipt-check`: what the site says it has of this client, if its word verifies.
 * Without network. The serial that was accepted is kept, so that an older word is refused.
 */
#include <string.h>

#include "agent/op.h"
#include "agent/policyset.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "common/text.h"
#include "trust/receipt.h"
#include "trust/signer.h"

static json_t *new_stream(const struct receipt_stream *s)
{
	json_t *row = json_object(), *refused = json_array();

	for (size_t i = 0; i < s->refused_count; i++) {
		json_t *r = json_object();

		jsondoc_set_int(r, "sequence", (int64_t)s->refused[i].sequence);
		jsondoc_set_text(r, "reason", s->refused[i].reason);
		json_array_append_new(refused, r);
	}
	jsondoc_set_int(row, "high", (int64_t)s->high);
	jsondoc_set_text(row, "chain", s->chain[0] != '\0' ? s->chain : NULL);
	jsondoc_set_flag(row, "fork", s->fork);
	jsondoc_set(row, "refused", refused);
	return row;
}

/* True if the file holds the key that the site knows of the client. */
static bool is_known(const struct worker *w, const char *file, const struct receipt_client *c)
{
	SCOPED_TEXT char *path = state_path(&w->state, file);
	SCOPED(signer) struct signer *key = NULL;
	char text[RECEIPT_KEY_SIZE], id[KEYS_CLIENT_SIZE];
	struct err err;

	if (!path_exists(path) || !signer_load(&key, path, &err))
		return false;
	text_hex(text, keys_ed25519_bytes(signer_public(key)), KEYS_ED25519_SIZE);
	keys_client_id(id, keys_ed25519_bytes(signer_public(key)));
	return c->key[0] != '\0' ? strcmp(text, c->key) == 0 : strcmp(id, c->id) == 0;
}

/* Which key of this client the site knows. */
static const char *key_word(const struct worker *w, const struct receipt_client *c)
{
	if (is_known(w, STATE_NEXT_KEY, c))
		return "next";
	return is_known(w, "client.key", c) ? "own" : "other";
}

static json_t *new_answer(const struct worker *w, const struct receipt *receipt, const char *client)
{
	const struct receipt_client *c = receipt_find_client(receipt, client);
	json_t *result = json_object(), *streams = json_object();

	jsondoc_set_text(result, "key", c != NULL ? key_word(w, c) : NULL);
	jsondoc_set_text(result, "state", c != NULL ? receipt_state_name(c->state) : NULL);
	for (size_t i = 0; c != NULL && i < c->stream_count; i++)
		jsondoc_set(streams, c->streams[i].id, new_stream(&c->streams[i]));
	jsondoc_set(result, "streams", streams);
	return result;
}

static void keep_serial(struct worker *w, const struct receipt *receipt)
{
	json_auto_t *seen = json_object();
	struct err err;

	jsondoc_set_int(seen, "serial", receipt->serial);
	if (!state_write_json(&w->state, "receipts.json", seen, &err))
		log_warn("receipts.json: %s", err.why);
}

static bool check(json_t **result_out, struct worker *w, struct span bytes,
		  const struct docs_site *site, const char *client, struct err *err)
{
	SCOPED(key) struct key *key = keys_new_ed25519(site->receipt_key);
	SCOPED(receipt) struct receipt *receipt = NULL;
	json_auto_t *seen = NULL;
	char shard[RECEIPT_SHARD_SIZE];
	struct receipt_expected expected = { .site = site->site, .shard = shard, .key = key };
	enum receipt_verdict verdict;

	receipt_shard(shard, client);
	if (!state_read_json(&seen, &w->state, "receipts.json", err))
		return false;
	expected.serial_seen = jsondoc_int(seen, "serial", 0);
	verdict = receipt_open(&receipt, bytes, &expected);
	if (verdict != RECEIPT_OK && verdict != RECEIPT_UNCHANGED)
		return err_set(err, ERR_TRUST, "the receipts are refused (%s)",
			       receipt_verdict_name(verdict));
	if (verdict == RECEIPT_OK)
		keep_serial(w, receipt);
	*result_out = new_answer(w, receipt, client);
	return true;
}

bool op_receipt_check(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	SCOPED(policyset) struct policyset *policy = NULL;
	SCOPED(docs_site) struct docs_site site = { 0 };
	SCOPED(buf) struct buf bytes = { 0 };
	const char *file, *client;

	return jsondoc_need_text(&file, request, "file", err) &&
	       jsondoc_need_text(&client, request, "client", err) &&
	       path_read(&bytes, file, RECEIPT_SIZE_MAX, err) &&
	       policyset_open(&policy, &w->state, clock_wall_s(w->clock), err) &&
	       policyset_site(&site, policy, err) &&
	       check(result_out, w, buf_span(&bytes), &site, client, err);
}

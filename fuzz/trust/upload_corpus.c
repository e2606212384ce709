/*
 * Writes the valid inputs of fuzz/corpus/envelope, handover and receipt:
 *
 *     ninja -C build fuzz/trust/upload_corpus && build/fuzz/trust/upload_corpus fuzz/corpus
 *
 * Sealing draws a one-time key, so the envelopes differ from run to run.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "corpuskeys.h"
#include "trust/envelope.h"
#include "trust/handover.h"
#include "trust/receipt.h"

#define NOW INT64_C(1795000000)

static void put(const char *corpus, const char *target, const char *name, struct span bytes)
{
	SCOPED_TEXT char *folder = path_join(corpus, target), *path = path_join(folder, name);
	struct err err;

	if (path_make_dirs(folder, 0755, &err) && newfile_write(path, 0644, bytes, &err))
		return;
	fprintf(stderr, "%s: %s\n", name, err.why);
	exit(1);
}

static void put_envelope(const char *corpus, const char *name, enum envelope_kind kind,
			 json_t *records)
{
	SCOPED(sealer) struct sealer *site = sealer_from_secret(corpuskeys_secret);
	SCOPED(signer) struct signer *client = signer_from_seed(corpuskeys_seed);
	struct envelope_header header = { .kind = kind,
					  .stream = CORPUSKEYS_STREAM,
					  .first = kind == ENVELOPE_RECORDS ? 41 : 0,
					  .time_s = NOW };
	SCOPED(buf) struct buf bytes = { 0 };
	struct envelope_name object;
	char text[ENVELOPE_NAME_SIZE];
	struct err err;

	if (!envelope_seal(&bytes, &object, &header, records, client, sealer_public(site), &err)) {
		fprintf(stderr, "%s: %s\n", name, err.why);
		exit(1);
	}
	put(corpus, "envelope", name, buf_span(&bytes));
	envelope_name_print(text, &object);
	put(corpus, "envelope", "name", span_of_text(text));
	json_decref(records);
}

static void put_envelopes(const char *corpus)
{
	SCOPED(signer) struct signer *client = signer_from_seed(corpuskeys_seed);
	SCOPED(signer) struct signer *other = signer_generate();
	json_t *enrol = json_array(), *stolen = json_array();

	json_array_append_new(enrol, envelope_new_enrol_record(client, "t0ken"));
	json_array_append_new(stolen, envelope_new_enrol_record(other, NULL));
	put_envelope(corpus, "enrol", ENVELOPE_ENROL, enrol);
	put_envelope(corpus, "enrol-other-key", ENVELOPE_ENROL, stolen);
	put_envelope(
		corpus, "records", ENVELOPE_RECORDS,
		json_pack("[{s:s,s:i},{s:s}]", "kind", "status", "id", 10008, "kind", "inventory"));
	put(corpus, "envelope", "payload", span_of_text("\x02{\"kind\":\"status\"}\n{}\n"));
	put(corpus, "envelope", "payload-short", span_of_text("\x02{}\n"));
	put(corpus, "envelope", "payload-array", span_of_text("\x01[]\n"));
}

/* The record by which another key follows the client's, alone and in its envelope. */
static void put_handover(const char *corpus)
{
	SCOPED(signer) struct signer *client = signer_from_seed(corpuskeys_seed);
	SCOPED(signer) struct signer *next = signer_from_seed(corpuskeys_secret);
	char id[KEYS_CLIENT_SIZE];
	struct handover h = {
		.client = CORPUSKEYS_STREAM,
		.stream = CORPUSKEYS_STREAM,
		.next = 42,
		.old_key = keys_ed25519_bytes(signer_public(client)),
	};
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *alone = handover_new_record(&h, next);
	json_t *records = json_array();

	jsondoc_write(&text, alone);
	put(corpus, "handover", "whole", buf_span(&text));
	jsondoc_set_text(alone, "signature", "00");
	buf_clear(&text);
	jsondoc_write(&text, alone);
	put(corpus, "handover", "short-signature", buf_span(&text));
	put(corpus, "handover", "other-kind", span_of_text("{\"kind\":\"enrol\"}"));
	keys_client_id(id, h.old_key);
	h.client = id;
	json_array_append_new(records, handover_new_record(&h, next));
	put_envelope(corpus, "handover", ENVELOPE_HANDOVER, records);
}

static void put_receipt(const char *corpus, const char *name, const char *shard, int64_t serial)
{
	SCOPED(receipt) struct receipt *receipt = receipt_new(CORPUSKEYS_SITE, shard, serial, NOW);
	SCOPED(signer) struct signer *key = signer_from_seed(corpuskeys_seed);
	SCOPED_TEXT char *id = alloc_printf("%s0000000000000000000000000000", shard);
	SCOPED(buf) struct buf bytes = { 0 };
	struct receipt_client *client;
	struct receipt_stream *stream;
	struct err err;

	client = receipt_add_client(receipt, id, RECEIPT_ENROLLED, "pc1");
	stream = receipt_add_stream(client, CORPUSKEYS_STREAM, 41);
	snprintf(stream->chain, sizeof(stream->chain), "%064x", 41);
	receipt_add_refusal(stream, 17, "malformed");
	id[8] = '1';
	client = receipt_add_client(receipt, id, RECEIPT_PENDING, NULL);
	snprintf(client->key, sizeof(client->key), "%064x", 7);
	if (!receipt_write(&bytes, receipt, key, &err))
		exit(1);
	put(corpus, "receipt", name, buf_span(&bytes));
}

static void put_bodies(const char *corpus)
{
	static const struct {
		const char *name;
		const char *clients;
	} bodies[] = {
		{ "body-empty", "{}" },
		{ "body-foreign-client", "{\"ff\":{}}" },
		{ "body-bad-state", "{\"ab120000000000000000000000000000\":{\"state\":\"x\"}}" },
		{ "body-bad-key", "{\"ab120000000000000000000000000000\":{\"state\":\"removed\","
				  "\"name\":null,\"key\":\"x\",\"streams\":{}}}" },
		{ "body-bad-stream", "{\"ab120000000000000000000000000000\":{\"state\":\"removed\","
				     "\"name\":null,\"streams\":{\"x\":{}}}}" },
	};

	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		SCOPED_TEXT char *text = alloc_printf(
			"{\"_type\":\"receipt\",\"format\":1,\"site\":\"LON\",\"shard\":\"ab12\","
			"\"serial\":1,\"time\":\"2026-11-22T14:43:37Z\",\"clients\":%s}",
			bodies[i].clients);

		put(corpus, "receipt", bodies[i].name, span_of_text(text));
	}
}

int main(int argc, char **argv)
{
	const char *corpus = argc > 1 ? argv[1] : "fuzz/corpus";

	put_envelopes(corpus);
	put_handover(corpus);
	put_bodies(corpus);
	put_receipt(corpus, "newer", CORPUSKEYS_SHARD, 3);
	put_receipt(corpus, "unchanged", CORPUSKEYS_SHARD, 2);
	put_receipt(corpus, "older", CORPUSKEYS_SHARD, 1);
	put_receipt(corpus, "other-shard", "ab13", 3);
	return 0;
}

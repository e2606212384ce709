/* The bytes as a signed shard, and as the document inside without its signature. */
#include "trust/receipt.h"

#include "common/jsondoc.h"
#include "corpuskeys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct receipt *receipt, const char *id)
{
	const struct receipt_client *client = receipt_find_client(receipt, id);
	const struct receipt_stream *stream = receipt_find_stream(client, CORPUSKEYS_STREAM);

	if (stream != NULL)
		(void)receipt_refusal_of(stream, stream->high);
}

static void fuzz_body(const json_t *body)
{
	SCOPED(receipt) struct receipt *receipt = NULL, *again = NULL;
	SCOPED(signer) struct signer *key = signer_from_seed(corpuskeys_seed);
	SCOPED(buf) struct buf bytes = { 0 };
	struct receipt_expected expected = { .key = signer_public(key) };
	struct err err;

	if (!receipt_parse(&receipt, body) || !receipt_write(&bytes, receipt, key, &err))
		return;
	expected.site = receipt->site;
	expected.shard = receipt->shard;
	if (receipt_open(&again, buf_span(&bytes), &expected) != RECEIPT_OK)
		__builtin_trap(); /* what parses is written so that it parses */
	for (size_t i = 0; i < again->client_count; i++)
		look_up(again, again->clients[i].id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(signer) struct signer *key = signer_from_seed(corpuskeys_seed);
	SCOPED(receipt) struct receipt *receipt = NULL;
	struct receipt_expected expected = { .site = CORPUSKEYS_SITE,
					     .shard = CORPUSKEYS_SHARD,
					     .key = signer_public(key),
					     .serial_seen = 2 };
	json_auto_t *doc = NULL;
	struct err err;

	(void)!receipt_open(&receipt, span_of(data, size), &expected);
	if (size <= RECEIPT_SIZE_MAX && jsondoc_read(&doc, span_of(data, size), &err)) {
		fuzz_body(doc);
		fuzz_body(json_object_get(doc, "signed"));
	}
	return 0;
}

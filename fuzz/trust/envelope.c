/*
 * Three ways in: the bytes as an object under the name that fits it (header, signature, seal), the
 * bytes as an unsealed payload behind a count byte, and the bytes as a name.
 */
#include "trust/envelope.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "corpuskeys.h"

#define ID_BYTES      16
#define CLIENT_OFFSET 16
#define FIRST_OFFSET  48

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct key *find_key(const char *client, void *ctx)
{
	(void)client;
	return signer_public(ctx);
}

/* The name that these bytes would have: otherwise few inputs get past it. */
static void name_of(char *dst, struct span bytes)
{
	struct envelope_name name = { .length = bytes.size };
	struct span rest = bytes;

	strcpy(name.client, CORPUSKEYS_STREAM);
	strcpy(name.stream, CORPUSKEYS_STREAM);
	if (bytes.size >= FIRST_OFFSET + sizeof(name.first)) {
		text_hex(name.client, bytes.data + CLIENT_OFFSET, ID_BYTES);
		text_hex(name.stream, bytes.data + CLIENT_OFFSET + ID_BYTES, ID_BYTES);
		rest = span_skip(rest, FIRST_OFFSET);
		if (!span_take_u64(&rest, &name.first))
			name.first = 0;
	}
	digest_of(&name.sha256, bytes);
	envelope_name_print(dst, &name);
}

/* What opened is sealed again and must open to the same. */
static void check_again(const struct envelope *e, const struct envelope_reader *reader,
			const struct signer *client)
{
	SCOPED(envelope) struct envelope *again = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct envelope_name name;
	char text[ENVELOPE_NAME_SIZE];
	struct err err;

	if (!envelope_seal(&bytes, &name, &e->header, e->records, client,
			   sealer_public(reader->sealer), &err))
		return; /* lines may grow by another spelling */
	envelope_name_print(text, &name);
	if (envelope_open(&again, text, buf_span(&bytes), reader) != ENVELOPE_OK ||
	    !json_equal(again->records, e->records))
		__builtin_trap();
}

static void fuzz_object(struct span bytes)
{
	SCOPED(sealer) struct sealer *site = sealer_from_secret(corpuskeys_secret);
	SCOPED(signer) struct signer *client = signer_from_seed(corpuskeys_seed);
	struct envelope_reader reader = { .sealer = site, .find_key = find_key, .ctx = client };
	SCOPED(envelope) struct envelope *e = NULL;
	char name[ENVELOPE_NAME_SIZE];

	name_of(name, bytes);
	if (envelope_open(&e, name, bytes, &reader) == ENVELOPE_OK)
		check_again(e, &reader, client);
}

static void fuzz_payload(struct span bytes)
{
	json_auto_t *records = NULL;
	uint8_t count;

	if (span_take_u8(&bytes, &count))
		(void)!envelope_read_records(&records, bytes, count);
}

static void fuzz_name(struct span bytes)
{
	char text[ENVELOPE_NAME_SIZE + 8] = "", again[ENVELOPE_NAME_SIZE];
	struct envelope_name name;

	memcpy(text, bytes.data, MIN_OF(bytes.size, sizeof(text) - 1));
	if (envelope_name_parse(&name, text)) {
		envelope_name_print(again, &name);
		if (strcmp(again, text) != 0)
			__builtin_trap(); /* two spellings of one name */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of(data, size);

	if (size == 0)
		return 0;
	fuzz_object(bytes);
	fuzz_payload(bytes);
	fuzz_name(bytes);
	return 0;
}

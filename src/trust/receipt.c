#include "trust/receipt.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/jsondoc.h"
#include "common/text.h"

#define FORMAT 1
#define TYPE   "receipt"

static const char *const verdict_names[] = {
	[RECEIPT_OK] = "ok",
	[RECEIPT_UNCHANGED] = "unchanged",
	[RECEIPT_TOO_LARGE] = "too-large",
	[RECEIPT_MALFORMED] = "malformed",
	[RECEIPT_BAD_SIGNATURE] = "bad-signature",
	[RECEIPT_WRONG_SITE] = "wrong-site",
	[RECEIPT_WRONG_SHARD] = "wrong-shard",
	[RECEIPT_ROLLBACK] = "rollback",
};
static_assert(COUNT_OF(verdict_names) == RECEIPT_VERDICT_COUNT_, "every verdict has a name");

static const char *const state_names[] = {
	[RECEIPT_PENDING] = "pending",
	[RECEIPT_ENROLLED] = "enrolled",
	[RECEIPT_REMOVED] = "removed",
};
static_assert(COUNT_OF(state_names) == RECEIPT_STATE_COUNT_, "every state has a name");

const char *receipt_verdict_name(enum receipt_verdict verdict)
{
	return verdict_names[verdict];
}

const char *receipt_state_name(enum receipt_state state)
{
	return state_names[state];
}

static void free_client(struct receipt_client *client)
{
	for (size_t i = 0; i < client->stream_count; i++)
		free(client->streams[i].refused);
	free(client->streams);
}

void receipt_free(struct receipt *receipt)
{
	if (receipt == NULL)
		return;
	for (size_t i = 0; i < receipt->client_count; i++)
		free_client(&receipt->clients[i]);
	free(receipt->clients);
	free(receipt);
}

void receipt_shard(char *dst, const char *client)
{
	memcpy(dst, client, RECEIPT_SHARD_SIZE - 1);
	dst[RECEIPT_SHARD_SIZE - 1] = '\0';
}

static bool is_in_shard(const char *client, const char *shard)
{
	return strncmp(client, shard, RECEIPT_SHARD_SIZE - 1) == 0;
}

/* ---- the site's side ---- */

/* Copy at most `size` - 1 bytes of UTF-8, ending with a whole character. */
static void copy_text(char *dst, size_t size, const char *src)
{
	size_t length = strnlen(src, size);

	if (length == size) {
		length = size - 1;
		while (length > 0 && ((uint8_t)src[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(dst, src, length);
	dst[length] = '\0';
}

struct receipt *receipt_new(const char *site, const char *shard, int64_t serial, int64_t time_s)
{
	struct receipt *receipt = alloc_zeroed(1, sizeof(*receipt));

	assert(serial >= 1);
	copy_text(receipt->site, sizeof(receipt->site), site);
	copy_text(receipt->shard, sizeof(receipt->shard), shard);
	receipt->serial = serial;
	receipt->time_s = time_s;
	return receipt;
}

struct receipt_client *receipt_add_client(struct receipt *receipt, const char *id,
					  enum receipt_state state, const char *name)
{
	struct receipt_client *client;

	assert(receipt->client_count < RECEIPT_CLIENTS_MAX);
	assert(is_in_shard(id, receipt->shard)); /* the site groups clients by receipt_shard */
	ALLOC_GROW(receipt->clients, receipt->client_count);
	client = &receipt->clients[receipt->client_count++];
	*client = (struct receipt_client){ .state = state };
	copy_text(client->id, sizeof(client->id), id);
	copy_text(client->name, sizeof(client->name), name != NULL ? name : "");
	return client;
}

struct receipt_stream *receipt_add_stream(struct receipt_client *client, const char *id,
					  uint64_t high)
{
	struct receipt_stream *stream;

	assert(client->stream_count < RECEIPT_STREAMS_MAX);
	ALLOC_GROW(client->streams, client->stream_count);
	stream = &client->streams[client->stream_count++];
	*stream = (struct receipt_stream){ .high = high };
	copy_text(stream->id, sizeof(stream->id), id);
	return stream;
}

void receipt_add_refusal(struct receipt_stream *stream, uint64_t sequence, const char *reason)
{
	struct receipt_refusal *refusal;

	assert(stream->refused_count < RECEIPT_REFUSED_MAX);
	ALLOC_GROW(stream->refused, stream->refused_count);
	refusal = &stream->refused[stream->refused_count++];
	refusal->sequence = sequence;
	copy_text(refusal->reason, sizeof(refusal->reason), reason);
}

static json_t *new_stream(const struct receipt_stream *stream)
{
	json_t *object = json_object(), *refused = json_array();

	for (size_t i = 0; i < stream->refused_count; i++) {
		json_t *refusal = json_object();

		jsondoc_set_int(refusal, "seq", (int64_t)stream->refused[i].sequence);
		jsondoc_set_text(refusal, "reason", stream->refused[i].reason);
		json_array_append_new(refused, refusal);
	}
	jsondoc_set_int(object, "high", (int64_t)stream->high);
	jsondoc_set_text(object, "chain", stream->chain[0] != '\0' ? stream->chain : NULL);
	jsondoc_set_flag(object, "fork", stream->fork);
	jsondoc_set(object, "refused", refused);
	return object;
}

static json_t *new_client(const struct receipt_client *client)
{
	json_t *object = json_object(), *streams = json_object();

	for (size_t i = 0; i < client->stream_count; i++)
		jsondoc_set(streams, client->streams[i].id, new_stream(&client->streams[i]));
	jsondoc_set_text(object, "state", state_names[client->state]);
	jsondoc_set_text(object, "name", client->name[0] != '\0' ? client->name : NULL);
	jsondoc_set(object, "streams", streams);
	if (client->key[0] != '\0')
		jsondoc_set_text(object, "key", client->key);
	return object;
}

static json_t *new_body(const struct receipt *receipt)
{
	json_t *body = json_object(), *clients = json_object();

	for (size_t i = 0; i < receipt->client_count; i++)
		jsondoc_set(clients, receipt->clients[i].id, new_client(&receipt->clients[i]));
	jsondoc_set_text(body, "_type", TYPE);
	jsondoc_set_int(body, "format", FORMAT);
	jsondoc_set_text(body, "site", receipt->site);
	jsondoc_set_text(body, "shard", receipt->shard);
	jsondoc_set_int(body, "serial", receipt->serial);
	jsondoc_set_time(body, "time", receipt->time_s);
	jsondoc_set(body, "clients", clients);
	return body;
}

bool receipt_write(struct buf *out, const struct receipt *receipt, const struct signer *key,
		   struct err *err)
{
	uint8_t signature[SIGNER_SIGNATURE_SIZE];
	char hex[2 * SIGNER_SIGNATURE_SIZE + 1];
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = json_object();
	json_t *body = new_body(receipt);
	size_t before = out->size;

	jsondoc_set(doc, "signed", body);
	if (!jsondoc_canonical(&text, body, err))
		return false;
	signer_sign(signature, key, buf_span(&text));
	text_hex(hex, signature, sizeof(signature));
	jsondoc_set_text(doc, "signature", hex);
	jsondoc_write(out, doc);
	if (out->size - before > RECEIPT_SIZE_MAX)
		return err_set(err, ERR_LIMIT, "receipt %s: %zu bytes, clients read at most %zu",
			       receipt->shard, out->size - before, RECEIPT_SIZE_MAX);
	return true;
}

/* ---- the client's side ---- */

static bool read_text(char *dst, size_t size, const char *text)
{
	size_t length = text != NULL ? strlen(text) : size;

	if (length >= size)
		return false;
	memcpy(dst, text, length + 1);
	return true;
}

static bool read_sequence(uint64_t *out, const json_t *object, const char *key)
{
	struct err err;
	int64_t value;

	if (!jsondoc_need_int(&value, object, key, 0, JSONDOC_INT_MAX, &err))
		return false;
	*out = (uint64_t)value;
	return true;
}

static bool read_refused(struct receipt_stream *stream, const json_t *object)
{
	json_t *refused, *entry;
	struct err err;
	size_t i;

	if (!jsondoc_need_array(&refused, object, "refused", RECEIPT_REFUSED_MAX, &err))
		return false;
	json_array_foreach (refused, i, entry) {
		const char *reason = jsondoc_text(entry, "reason");
		uint64_t sequence;

		if (!read_sequence(&sequence, entry, "seq") || reason == NULL ||
		    strlen(reason) > RECEIPT_REASON_MAX || sequence > stream->high)
			return false;
		receipt_add_refusal(stream, sequence, reason);
	}
	return true;
}

/* "chain" may be absent, or null. */
static bool read_chain(struct receipt_stream *stream, const json_t *object)
{
	const char *chain = jsondoc_text(object, "chain");
	struct digest value;

	if (chain == NULL)
		return json_object_get(object, "chain") == NULL ||
		       json_is_null(json_object_get(object, "chain"));
	if (!digest_parse_exact(&value, chain))
		return false;
	digest_print(stream->chain, &value);
	return true;
}

static bool read_stream(struct receipt_client *client, const char *id, const json_t *object)
{
	struct receipt_stream *stream;
	uint64_t high;

	if (!text_is_client_id(id) || !read_sequence(&high, object, "high") ||
	    !json_is_boolean(json_object_get(object, "fork")))
		return false;
	stream = receipt_add_stream(client, id, high);
	stream->fork = jsondoc_flag(object, "fork", false);
	return read_chain(stream, object) && read_refused(stream, object);
}

static bool read_state(enum receipt_state *out, const char *name)
{
	for (size_t i = 0; name != NULL && i < COUNT_OF(state_names); i++) {
		if (strcmp(state_names[i], name) == 0) {
			*out = (enum receipt_state)i;
			return true;
		}
	}
	return false;
}

static bool read_name(char *dst, size_t size, const json_t *value)
{
	return json_is_null(value) ? read_text(dst, size, "")
				   : read_text(dst, size, json_string_value(value));
}

/* "key" may be absent. */
static bool read_key(struct receipt_client *client, const json_t *object)
{
	const char *key = jsondoc_text(object, "key");
	uint8_t bytes[KEYS_ED25519_SIZE];

	if (key == NULL)
		return json_object_get(object, "key") == NULL;
	if (!text_unhex(bytes, sizeof(bytes), key))
		return false;
	text_hex(client->key, bytes, sizeof(bytes));
	return true;
}

static bool read_client(struct receipt *receipt, const char *id, const json_t *object)
{
	char name[RECEIPT_NAME_MAX + 1];
	struct receipt_client *client;
	enum receipt_state state;
	json_t *streams, *stream;
	const char *stream_id;
	struct err err;

	if (!text_is_client_id(id) || !is_in_shard(id, receipt->shard) ||
	    !read_state(&state, jsondoc_text(object, "state")) ||
	    !read_name(name, sizeof(name), json_object_get(object, "name")) ||
	    !jsondoc_need_object(&streams, object, "streams", &err) ||
	    json_object_size(streams) > RECEIPT_STREAMS_MAX)
		return false;
	client = receipt_add_client(receipt, id, state, name);
	if (!read_key(client, object))
		return false;
	json_object_foreach (streams, stream_id, stream) {
		if (!read_stream(client, stream_id, stream))
			return false;
	}
	return true;
}

static bool read_start(struct receipt *receipt, const json_t *body)
{
	const char *type = jsondoc_text(body, "_type"), *time = jsondoc_text(body, "time");
	struct err err;

	return type != NULL && strcmp(type, TYPE) == 0 &&
	       jsondoc_int(body, "format", 0) == FORMAT && time != NULL &&
	       clock_parse(&receipt->time_s, time) &&
	       read_text(receipt->site, sizeof(receipt->site), jsondoc_text(body, "site")) &&
	       read_text(receipt->shard, sizeof(receipt->shard), jsondoc_text(body, "shard")) &&
	       strlen(receipt->shard) == RECEIPT_SHARD_SIZE - 1 &&
	       jsondoc_need_int(&receipt->serial, body, "serial", 1, JSONDOC_INT_MAX, &err);
}

bool receipt_parse(struct receipt **out, const json_t *body)
{
	SCOPED(receipt) struct receipt *receipt = alloc_zeroed(1, sizeof(*receipt));
	json_t *clients, *client;
	const char *id;
	struct err err;

	if (!read_start(receipt, body) || !jsondoc_need_object(&clients, body, "clients", &err) ||
	    json_object_size(clients) > RECEIPT_CLIENTS_MAX)
		return false;
	json_object_foreach (clients, id, client) {
		if (!read_client(receipt, id, client))
			return false;
	}
	*out = receipt;
	receipt = NULL;
	return true;
}

static enum receipt_verdict read_signed(struct receipt **out, struct span bytes,
					const struct key *key)
{
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = NULL;
	const char *signature;
	json_t *body;
	struct err err;

	if (bytes.size > RECEIPT_SIZE_MAX)
		return RECEIPT_TOO_LARGE;
	if (!jsondoc_read(&doc, bytes, &err) || !jsondoc_need_object(&body, doc, "signed", &err) ||
	    !jsondoc_need_text(&signature, doc, "signature", &err) ||
	    !jsondoc_canonical(&text, body, &err))
		return RECEIPT_MALFORMED;
	if (!keys_verify_hex(key, buf_span(&text), signature))
		return RECEIPT_BAD_SIGNATURE;
	return receipt_parse(out, body) ? RECEIPT_OK : RECEIPT_MALFORMED;
}

static enum receipt_verdict judge(const struct receipt *receipt,
				  const struct receipt_expected *expected)
{
	if (strcmp(receipt->site, expected->site) != 0)
		return RECEIPT_WRONG_SITE;
	if (strcmp(receipt->shard, expected->shard) != 0)
		return RECEIPT_WRONG_SHARD;
	if (receipt->serial < expected->serial_seen)
		return RECEIPT_ROLLBACK;
	return receipt->serial == expected->serial_seen ? RECEIPT_UNCHANGED : RECEIPT_OK;
}

enum receipt_verdict receipt_open(struct receipt **out, struct span bytes,
				  const struct receipt_expected *expected)
{
	SCOPED(receipt) struct receipt *receipt = NULL;
	enum receipt_verdict verdict = read_signed(&receipt, bytes, expected->key);

	if (verdict != RECEIPT_OK)
		return verdict;
	verdict = judge(receipt, expected);
	if (verdict != RECEIPT_OK && verdict != RECEIPT_UNCHANGED)
		return verdict;
	*out = receipt;
	receipt = NULL;
	return verdict;
}

const struct receipt_client *receipt_find_client(const struct receipt *receipt, const char *id)
{
	for (size_t i = 0; i < receipt->client_count; i++)
		if (strcmp(receipt->clients[i].id, id) == 0)
			return &receipt->clients[i];
	return NULL;
}

const struct receipt_stream *receipt_find_stream(const struct receipt_client *client,
						 const char *id)
{
	for (size_t i = 0; i < client->stream_count; i++)
		if (strcmp(client->streams[i].id, id) == 0)
			return &client->streams[i];
	return NULL;
}

const char *receipt_refusal_of(const struct receipt_stream *stream, uint64_t sequence)
{
	for (size_t i = 0; i < stream->refused_count; i++)
		if (stream->refused[i].sequence == sequence)
			return stream->refused[i].reason;
	return NULL;
}

#include "trust/envelope.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/text.h"
#include "trust/handover.h"

#define MAGIC        "PWENVLP1"
#define MAGIC_SIZE   8
#define VERSION      1
#define ID_BYTES     16
#define HEADER_SIZE  96
#define TIME_MAX     INT64_C(253402300799) /* the last second of year 9999 */
#define ENROL_KIND   "enrol"
#define ENROL_PUBLIC "public_key"

static_assert(HEADER_SIZE + SIGNER_SIGNATURE_SIZE + SEALER_OVERHEAD == ENVELOPE_OVERHEAD,
	      "the overhead is header, seal and signature");
static_assert(ENVELOPE_ID_SIZE == KEYS_CLIENT_SIZE, "an envelope names its client");

static const char *const verdict_names[] = {
	[ENVELOPE_OK] = "ok",
	[ENVELOPE_INCOMPLETE] = "incomplete",
	[ENVELOPE_WRONG_NAME] = "wrong-name",
	[ENVELOPE_TOO_LARGE] = "too-large",
	[ENVELOPE_MALFORMED] = "malformed",
	[ENVELOPE_UNKNOWN_CLIENT] = "unknown-client",
	[ENVELOPE_BAD_SIGNATURE] = "bad-signature",
	[ENVELOPE_CANNOT_OPEN] = "cannot-open",
};
static_assert(COUNT_OF(verdict_names) == ENVELOPE_VERDICT_COUNT_, "every verdict has a name");

const char *envelope_verdict_name(enum envelope_verdict verdict)
{
	return verdict_names[verdict];
}

/* ---- names ---- */

static bool take_field(struct span *rest, char *dst, size_t size)
{
	struct span field;

	if (!span_take_until(rest, &field, '-', size - 1))
		return false;
	memcpy(dst, field.data, field.size);
	dst[field.size] = '\0';
	return true;
}

/* One spelling per number: no leading zero. */
static bool take_number(struct span *rest, uint64_t *out)
{
	char digits[21];

	return take_field(rest, digits, sizeof(digits)) && text_u64(out, digits, 0, UINT64_MAX) &&
	       (digits[0] != '0' || digits[1] == '\0');
}

static bool is_lower_hex(struct span text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!((text.data[i] >= '0' && text.data[i] <= '9') ||
		      (text.data[i] >= 'a' && text.data[i] <= 'f')))
			return false;
	return true;
}

bool envelope_name_parse(struct envelope_name *out, const char *name)
{
	struct span rest = span_of(name, strnlen(name, ENVELOPE_NAME_SIZE));

	return take_field(&rest, out->client, sizeof(out->client)) &&
	       text_is_client_id(out->client) &&
	       take_field(&rest, out->stream, sizeof(out->stream)) &&
	       text_is_client_id(out->stream) && take_number(&rest, &out->first) &&
	       take_number(&rest, &out->length) && rest.size == 2 * DIGEST_SIZE &&
	       is_lower_hex(rest) && digest_parse(&out->sha256, (const char *)rest.data);
}

void envelope_name_print(char *dst, const struct envelope_name *name)
{
	char hex[DIGEST_HEX_SIZE];

	digest_print(hex, &name->sha256);
	snprintf(dst, ENVELOPE_NAME_SIZE, "%s-%s-%" PRIu64 "-%" PRIu64 "-%s", name->client,
		 name->stream, name->first, name->length, hex);
}

/* ---- making ---- */

size_t envelope_record_size(const json_t *record)
{
	SCOPED(buf) struct buf line = { 0 };

	jsondoc_write(&line, record);
	return line.size + 1;
}

void envelope_record_hash(struct digest *out, const json_t *record)
{
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, record);
	digest_of(out, buf_span(&text));
}

void envelope_chain_add(struct digest *chain, const struct digest *record_hash)
{
	uint8_t both[2 * DIGEST_SIZE];

	memcpy(both, chain->bytes, DIGEST_SIZE);
	memcpy(both + DIGEST_SIZE, record_hash->bytes, DIGEST_SIZE);
	digest_of(chain, span_of(both, sizeof(both)));
}

json_t *envelope_new_enrol_record(const struct signer *key, const char *token)
{
	char hex[2 * KEYS_ED25519_SIZE + 1];
	json_t *record = json_object();

	text_hex(hex, keys_ed25519_bytes(signer_public(key)), KEYS_ED25519_SIZE);
	jsondoc_set_text(record, "kind", ENROL_KIND);
	jsondoc_set_text(record, ENROL_PUBLIC, hex);
	jsondoc_set_text(record, "token", token);
	return record;
}

static bool is_enrol_record(const json_t *record)
{
	const char *kind = jsondoc_text(record, "kind");

	return kind != NULL && strcmp(kind, ENROL_KIND) == 0;
}

/* They have envelopes of their own. */
static bool is_lone_record(const json_t *record)
{
	return is_enrol_record(record) || handover_is_record(record);
}

/* The records follow the kind and number of their header. */
static bool records_fit(const struct envelope_header *header, const json_t *records)
{
	size_t i;
	json_t *record;

	if (header->kind != ENVELOPE_RECORDS)
		return header->first == 0 && json_array_size(records) == 1 &&
		       (header->kind == ENVELOPE_ENROL ? is_enrol_record : handover_is_record)(
			       json_array_get(records, 0));
	json_array_foreach (records, i, record) {
		if (!json_is_object(record) || is_lone_record(record))
			return false;
	}
	return header->first >= 1 &&
	       header->first <= (uint64_t)JSONDOC_INT_MAX - ENVELOPE_RECORDS_MAX;
}

static bool write_payload(struct buf *out, const json_t *records, struct err *err)
{
	size_t i;
	json_t *record;

	json_array_foreach (records, i, record) {
		jsondoc_write(out, record);
		buf_put_u8(out, '\n');
		if (out->size > ENVELOPE_PAYLOAD_MAX)
			return err_set(err, ERR_LIMIT,
				       "envelope: its records need %zu bytes or more, %zu fit",
				       out->size, (size_t)ENVELOPE_PAYLOAD_MAX);
	}
	return true;
}

static void put_id(struct buf *out, const char *id)
{
	uint8_t bytes[ID_BYTES];
	bool fine = text_is_client_id(id) && text_unhex(bytes, sizeof(bytes), id);

	assert(fine); /* ids come from keys_client_id and from the install, not from outside */
	buf_put(out, bytes, sizeof(bytes));
}

static void put_header(struct buf *out, const struct envelope_header *header, struct span sealed)
{
	struct digest sha256;

	digest_of(&sha256, sealed);
	buf_put(out, MAGIC, MAGIC_SIZE);
	buf_put_u16(out, VERSION);
	buf_put_u8(out, (uint8_t)header->kind);
	buf_put_u8(out, 0);
	buf_put_u32(out, header->count);
	put_id(out, header->client);
	put_id(out, header->stream);
	buf_put_u64(out, header->first);
	buf_put_u64(out, (uint64_t)header->time_s);
	buf_put(out, sha256.bytes, sizeof(sha256.bytes));
}

static void name_bytes(struct envelope_name *out, const struct envelope_header *header,
		       struct span bytes)
{
	*out = (struct envelope_name){ .first = header->first, .length = bytes.size };
	memcpy(out->client, header->client, sizeof(out->client));
	memcpy(out->stream, header->stream, sizeof(out->stream));
	digest_of(&out->sha256, bytes);
}

bool envelope_seal(struct buf *out, struct envelope_name *name_out,
		   const struct envelope_header *header, const json_t *records,
		   const struct signer *key, const uint8_t *sealing_key, struct err *err)
{
	SCOPED(buf) struct buf payload = { 0 }, sealed = { 0 };
	struct envelope_header whole = *header;
	uint8_t signature[SIGNER_SIGNATURE_SIZE];
	size_t count = json_array_size(records);

	if (count == 0 || count > ENVELOPE_RECORDS_MAX)
		return err_set(err, ERR_LIMIT, "envelope: %zu records, from 1 to %d fit", count,
			       ENVELOPE_RECORDS_MAX);
	if (!records_fit(header, records) || header->time_s < 0 || header->time_s > TIME_MAX)
		return err_set(err, ERR_FORMAT,
			       "envelope: kind, number, time and records do not fit");
	if (!write_payload(&payload, records, err))
		return false;
	if (!sealer_seal(&sealed, sealing_key, buf_span(&payload)))
		return err_set(err, ERR_TRUST, "envelope: the site's sealing key is no key");
	whole.count = (uint32_t)count;
	if (whole.kind == ENVELOPE_ENROL || whole.client[0] == '\0')
		keys_client_id(whole.client, keys_ed25519_bytes(signer_public(key)));
	buf_clear(out);
	put_header(out, &whole, buf_span(&sealed));
	buf_put_span(out, buf_span(&sealed));
	signer_sign(signature, key, buf_span(out));
	buf_put(out, signature, sizeof(signature));
	name_bytes(name_out, &whole, buf_span(out));
	return true;
}

/* ---- opening ---- */

static bool take_id(struct span *rest, char *out)
{
	uint8_t bytes[ID_BYTES];

	if (!span_take_copy(rest, bytes, sizeof(bytes)))
		return false;
	text_hex(out, bytes, sizeof(bytes));
	return true;
}

static bool take_start(struct span *rest, struct envelope_header *out)
{
	struct span magic;
	uint16_t version;
	uint8_t kind, zero;

	if (!span_take(rest, &magic, MAGIC_SIZE) || !span_equal_text(magic, MAGIC) ||
	    !span_take_u16(rest, &version) || version != VERSION || !span_take_u8(rest, &kind) ||
	    kind >= ENVELOPE_KIND_COUNT_ || !span_take_u8(rest, &zero) || zero != 0)
		return false;
	out->kind = (enum envelope_kind)kind;
	return true;
}

/* `rest` is left at the sealed payload with the signature behind it. */
static bool take_header(struct span *rest, struct envelope_header *out, struct digest *sha256)
{
	uint64_t time_s;

	if (!take_start(rest, out) || !span_take_u32(rest, &out->count) || out->count == 0 ||
	    out->count > ENVELOPE_RECORDS_MAX || !take_id(rest, out->client) ||
	    !take_id(rest, out->stream) || !span_take_u64(rest, &out->first) ||
	    !span_take_u64(rest, &time_s) || time_s > (uint64_t)TIME_MAX ||
	    !span_take_copy(rest, sha256->bytes, sizeof(sha256->bytes)))
		return false;
	out->time_s = (int64_t)time_s;
	return rest->size >= SEALER_OVERHEAD + SIGNER_SIGNATURE_SIZE;
}

/* The parts of an object, borrowed from its bytes. */
struct parts {
	struct span signed_bytes;
	struct span sealed;
	struct span signature;
};

static enum envelope_verdict take_apart(struct parts *parts, struct envelope_header *header,
					struct span bytes)
{
	struct span rest = bytes;
	struct digest want, got;

	if (!take_header(&rest, header, &want))
		return ENVELOPE_MALFORMED;
	parts->sealed = span_of(rest.data, rest.size - SIGNER_SIGNATURE_SIZE);
	parts->signature = span_skip(rest, parts->sealed.size);
	parts->signed_bytes = span_of(bytes.data, bytes.size - SIGNER_SIGNATURE_SIZE);
	digest_of(&got, parts->sealed);
	return digest_equal(&want, &got) ? ENVELOPE_OK : ENVELOPE_MALFORMED;
}

static enum envelope_verdict look(struct parts *parts, struct envelope_header *header,
				  const char *name_text, struct span bytes)
{
	struct envelope_name name;
	struct digest got;
	enum envelope_verdict verdict;

	if (!envelope_name_parse(&name, name_text))
		return ENVELOPE_WRONG_NAME;
	if (bytes.size > ENVELOPE_SIZE_MAX || name.length > ENVELOPE_SIZE_MAX)
		return ENVELOPE_TOO_LARGE;
	digest_of(&got, bytes);
	if (name.length != bytes.size || !digest_equal(&got, &name.sha256))
		return ENVELOPE_INCOMPLETE;
	verdict = take_apart(parts, header, bytes);
	if (verdict != ENVELOPE_OK)
		return verdict;
	return strcmp(name.client, header->client) == 0 &&
			       strcmp(name.stream, header->stream) == 0 &&
			       name.first == header->first
		       ? ENVELOPE_OK
		       : ENVELOPE_WRONG_NAME;
}

enum envelope_verdict envelope_look(struct envelope_header *out, const char *name,
				    struct span bytes)
{
	struct parts parts;

	return look(&parts, out, name, bytes);
}

static json_t *read_record(struct span line)
{
	json_t *record = NULL;
	struct err err;

	if (!jsondoc_read(&record, line, &err) || json_is_object(record))
		return record;
	json_decref(record);
	return NULL;
}

bool envelope_read_records(json_t **out, struct span payload, uint32_t count)
{
	json_auto_t *records = json_array();
	struct span line;

	/* Each line ends with a line feed, the last one too. */
	if (payload.size == 0 || payload.data[payload.size - 1] != '\n')
		return false;
	while (span_take_line(&payload, &line)) {
		json_t *record = json_array_size(records) < count ? read_record(line) : NULL;

		if (record == NULL)
			return false;
		json_array_append_new(records, record);
	}
	if (json_array_size(records) != count)
		return false;
	*out = json_incref(records);
	return true;
}

static enum envelope_verdict unseal(struct envelope *e, const struct parts *parts,
				    const struct sealer *sealer)
{
	SCOPED(buf) struct buf payload = { 0 };

	if (!sealer_unseal(&payload, sealer, parts->sealed))
		return ENVELOPE_CANNOT_OPEN;
	return envelope_read_records(&e->records, buf_span(&payload), e->header.count) &&
			       records_fit(&e->header, e->records)
		       ? ENVELOPE_OK
		       : ENVELOPE_MALFORMED;
}

static bool is_signed_by(struct envelope *e, const struct parts *parts, const struct key *key)
{
	if (key == NULL || !keys_verify(key, parts->signed_bytes, parts->signature))
		return false;
	memcpy(e->signer, keys_ed25519_bytes(key), sizeof(e->signer));
	return true;
}

/* By the client's key, or by the one before it if it was signed in that one's time. */
static enum envelope_verdict check_signature(struct envelope *e, const struct parts *parts,
					     const struct envelope_reader *reader)
{
	const struct key *key = reader->find_key(e->header.client, reader->ctx);

	if (key == NULL)
		return ENVELOPE_UNKNOWN_CLIENT;
	if (is_signed_by(e, parts, key))
		return ENVELOPE_OK;
	return reader->find_former != NULL &&
			       is_signed_by(e, parts, reader->find_former(&e->header, reader->ctx))
		       ? ENVELOPE_OK
		       : ENVELOPE_BAD_SIGNATURE;
}

static enum envelope_verdict open_records(struct envelope *e, const struct parts *parts,
					  const struct envelope_reader *reader)
{
	enum envelope_verdict verdict = check_signature(e, parts, reader);

	return verdict == ENVELOPE_OK ? unseal(e, parts, reader->sealer) : verdict;
}

static enum envelope_verdict open_handover(struct envelope *e, const struct parts *parts,
					   const struct envelope_reader *reader)
{
	enum envelope_verdict verdict = open_records(e, parts, reader);
	struct handover h = {
		.client = e->header.client,
		.stream = e->header.stream,
		.old_key = e->signer,
	};

	if (verdict != ENVELOPE_OK)
		return verdict;
	if (!handover_read(&e->new_key, &h, json_array_get(e->records, 0)))
		return ENVELOPE_BAD_SIGNATURE;
	e->next = h.next;
	return ENVELOPE_OK;
}

/* Nobody knows the client yet: its key is inside, and its id is that key's hash. */
static enum envelope_verdict open_enrolment(struct envelope *e, const struct parts *parts,
					    const struct envelope_reader *reader)
{
	enum envelope_verdict verdict = unseal(e, parts, reader->sealer);
	uint8_t public_bytes[KEYS_ED25519_SIZE];
	char client[KEYS_CLIENT_SIZE];
	const char *hex;

	if (verdict != ENVELOPE_OK)
		return verdict;
	hex = jsondoc_text(json_array_get(e->records, 0), ENROL_PUBLIC);
	if (hex == NULL || !text_unhex(public_bytes, sizeof(public_bytes), hex))
		return ENVELOPE_MALFORMED;
	keys_client_id(client, public_bytes);
	e->new_key = keys_new_ed25519(public_bytes);
	return strcmp(client, e->header.client) == 0 &&
			       keys_verify(e->new_key, parts->signed_bytes, parts->signature)
		       ? ENVELOPE_OK
		       : ENVELOPE_BAD_SIGNATURE;
}

void envelope_free(struct envelope *envelope)
{
	if (envelope == NULL)
		return;
	json_decref(envelope->records);
	keys_free(envelope->new_key);
	free(envelope);
}

typedef enum envelope_verdict open_fn(struct envelope *e, const struct parts *parts,
				      const struct envelope_reader *reader);

static open_fn *const openers[] = {
	[ENVELOPE_RECORDS] = open_records,
	[ENVELOPE_ENROL] = open_enrolment,
	[ENVELOPE_HANDOVER] = open_handover,
};
static_assert(COUNT_OF(openers) == ENVELOPE_KIND_COUNT_, "every kind is opened");

enum envelope_verdict envelope_open(struct envelope **out, const char *name, struct span bytes,
				    const struct envelope_reader *reader)
{
	SCOPED(envelope) struct envelope *e = alloc_zeroed(1, sizeof(*e));
	struct parts parts;
	enum envelope_verdict verdict = look(&parts, &e->header, name, bytes);

	if (verdict != ENVELOPE_OK)
		return verdict;
	verdict = openers[e->header.kind](e, &parts, reader);
	if (verdict != ENVELOPE_OK)
		return verdict;
	*out = e;
	e = NULL;
	return ENVELOPE_OK;
}

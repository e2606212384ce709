/*
 * The operation `seal`: make an envelope of records, or of an enrolment, for the site's eyes only.
 * Without network; the sealing key comes from verified policy.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/op.h"
#include "agent/outbox.h"
#include "agent/policyset.h"
#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"
#include "trust/envelope.h"
#include "trust/handover.h"

static_assert(OUTBOX_SEGMENT_MAX <= ENVELOPE_PAYLOAD_MAX, "a segment fits an envelope");
static_assert(OUTBOX_GROUP_MAX <= ENVELOPE_RECORDS_MAX, "a segment fits an envelope");

static enum envelope_kind kind_of(const json_t *request)
{
	if (json_object_get(request, "enrol") != NULL)
		return ENVELOPE_ENROL;
	return json_object_get(request, "handover") != NULL ? ENVELOPE_HANDOVER : ENVELOPE_RECORDS;
}

/* The client's id is that of its first key. */
static bool read_client(struct envelope_header *out, const json_t *request, struct err *err)
{
	const char *client;

	if (out->kind == ENVELOPE_ENROL)
		return true;
	if (!jsondoc_need_text(&client, request, "client", err))
		return false;
	if (!text_is_client_id(client))
		return err_set(err, ERR_FORMAT, "\"client\" is malformed");
	memcpy(out->client, client, ENVELOPE_ID_SIZE);
	return true;
}

static bool read_header(struct envelope_header *out, const json_t *request, struct err *err)
{
	const char *stream;
	int64_t first = 0;

	out->kind = kind_of(request);

	if (!jsondoc_need_text(&stream, request, "stream", err))
		return false;
	if (out->kind == ENVELOPE_RECORDS &&
	    !jsondoc_need_int(&first, request, "first", 1, JSONDOC_INT_MAX, err))
		return false;
	if (strlen(stream) != ENVELOPE_ID_SIZE - 1)
		return err_set(err, ERR_FORMAT, "\"stream\" is malformed");
	out->first = (uint64_t)first;
	memcpy(out->stream, stream, ENVELOPE_ID_SIZE);
	return read_client(out, request, err);
}

static json_t *new_enrolment(const struct signer *key, const char *token, const char *name)
{
	json_t *record = envelope_new_enrol_record(key, token);
	json_t *records = json_array();

	if (name != NULL)
		jsondoc_set_text(record, "name", name);
	json_array_append_new(records, record);
	return records;
}

/* What the next key says to the site, to be signed by the present one. */
static bool new_handover(json_t **records_out, struct worker *w, const json_t *request,
			 const struct envelope_header *header, const struct signer *key,
			 struct err *err)
{
	SCOPED_TEXT char *path = state_path(&w->state, STATE_NEXT_KEY);
	SCOPED(signer) struct signer *next = NULL;
	const struct handover h = {
		.client = header->client,
		.stream = header->stream,
		.next = (uint64_t)jsondoc_int(json_object_get(request, "handover"), "next", 1),
		.old_key = keys_ed25519_bytes(signer_public(key)),
	};

	if (!signer_load(&next, path, err))
		return false;
	*records_out = json_array();
	json_array_append_new(*records_out, handover_new_record(&h, next));
	return true;
}

static bool make_records(json_t **records_out, struct worker *w, const json_t *request,
			 const struct envelope_header *header, const struct signer *key,
			 struct err *err)
{
	const json_t *enrol = json_object_get(request, "enrol");

	if (header->kind == ENVELOPE_HANDOVER)
		return new_handover(records_out, w, request, header, key, err);
	*records_out = enrol != NULL ? new_enrolment(key, jsondoc_text(enrol, "token"),
						     jsondoc_text(enrol, "name"))
				     : json_incref(json_object_get(request, "records"));
	return true;
}

/* What a kill leaves is swept at the next opening of the outbox, or replaced by the next. */
static char *new_file(const struct worker *w, enum envelope_kind kind, const char *name)
{
	static const char *const lone[] = {
		[ENVELOPE_ENROL] = "enrolment.env",
		[ENVELOPE_HANDOVER] = "handover.env",
	};

	return kind == ENVELOPE_RECORDS ? alloc_printf("%s/outbox/.new-%s", w->state.dir, name)
					: state_path(&w->state, lone[kind]);
}

/* What the chain of a stream becomes by these records; NULL where it is not known. */
static bool lengthen(char hex[DIGEST_HEX_SIZE], const char *before, const json_t *records)
{
	struct digest chain = ENVELOPE_CHAIN_START, hash;
	json_t *record;
	size_t i;

	if (before == NULL || (before[0] != '\0' && !digest_parse(&chain, before)))
		return false;
	json_array_foreach (records, i, record) {
		envelope_record_hash(&hash, record);
		envelope_chain_add(&chain, &hash);
	}
	digest_print(hex, &chain);
	return true;
}

static bool seal(json_t **result_out, struct worker *w, const json_t *request,
		 const struct docs_site *site, struct err *err)
{
	SCOPED_TEXT char *key_path = state_path(&w->state, "client.key");
	SCOPED(signer) struct signer *key = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED_TEXT char *file = NULL;
	json_auto_t *records = NULL;
	struct envelope_header header = { .time_s = clock_wall_s(w->clock) };
	struct envelope_name name;
	char text[ENVELOPE_NAME_SIZE], chain[DIGEST_HEX_SIZE];

	if (!read_header(&header, request, err) || !signer_load(&key, key_path, err) ||
	    !make_records(&records, w, request, &header, key, err) ||
	    !envelope_seal(&bytes, &name, &header, records, key, site->sealing_key, err))
		return false;
	envelope_name_print(text, &name);
	file = new_file(w, header.kind, text);
	if (!newfile_write(file, 0600, buf_span(&bytes), err))
		return false;
	*result_out = json_object();
	jsondoc_set_text(*result_out, "name", text);
	jsondoc_set_text(*result_out, "file", file);
	if (lengthen(chain, jsondoc_text(request, "chain"), records))
		jsondoc_set_text(*result_out, "chain", chain);
	jsondoc_set_text(*result_out, "site", site->site);
	return true;
}

bool op_seal(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	SCOPED(policyset) struct policyset *policy = NULL;
	SCOPED(docs_site) struct docs_site site = { 0 };

	return policyset_open(&policy, &w->state, clock_wall_s(w->clock), err) &&
	       policyset_site(&site, policy, err) && seal(result_out, w, request, &site, err);
}

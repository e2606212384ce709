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
#include "trust/envelope.h"

static_assert(OUTBOX_SEGMENT_MAX <= ENVELOPE_PAYLOAD_MAX, "a segment fits an envelope");
static_assert(OUTBOX_GROUP_MAX <= ENVELOPE_RECORDS_MAX, "a segment fits an envelope");

static bool read_header(struct envelope_header *out, const json_t *request, bool enrol,
			struct err *err)
{
	const char *stream;
	int64_t first = 0;

	if (!jsondoc_need_text(&stream, request, "stream", err))
		return false;
	if (!enrol && !jsondoc_need_int(&first, request, "first", 1, JSONDOC_INT_MAX, err))
		return false;
	if (strlen(stream) != ENVELOPE_ID_SIZE - 1)
		return err_set(err, ERR_FORMAT, "\"stream\" is malformed");
	out->kind = enrol ? ENVELOPE_ENROL : ENVELOPE_RECORDS;
	out->first = (uint64_t)first;
	memcpy(out->stream, stream, ENVELOPE_ID_SIZE);
	return true;
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
	const json_t *enrol = json_object_get(request, "enrol");
	SCOPED_TEXT char *key_path = state_path(&w->state, "client.key");
	SCOPED(signer) struct signer *key = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED_TEXT char *file = NULL;
	json_auto_t *records = json_incref(json_object_get(request, "records"));
	struct envelope_header header = { .time_s = clock_wall_s(w->clock) };
	struct envelope_name name;
	char text[ENVELOPE_NAME_SIZE], chain[DIGEST_HEX_SIZE];

	if (!read_header(&header, request, enrol != NULL, err) || !signer_load(&key, key_path, err))
		return false;
	if (enrol != NULL)
		records = new_enrolment(key, jsondoc_text(enrol, "token"),
					jsondoc_text(enrol, "name"));
	if (!envelope_seal(&bytes, &name, &header, records, key, site->sealing_key, err))
		return false;
	envelope_name_print(text, &name);
	/* What a kill leaves is swept at the next opening of the outbox, and an enrolment by the
	 * next. */
	file = enrol != NULL ? state_path(&w->state, "enrolment.env")
			     : alloc_printf("%s/outbox/.new-%s", w->state.dir, text);
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

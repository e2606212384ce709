#include "site/ingest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/jsondoc.h"
#include "common/text.h"
#include "site/client.h"
#include "site/inventory.h"
#include "site/report.h"
#include "site/token.h"

#define TEXT_MAX        2000  /* bytes of a message's text that are kept */
#define DATA_MAX        65536 /* bytes of a message's data; more is left out */
#define CLIENT_NAME_MAX 64    /* bytes of a client's name */
#define ALERTS_MAX      1000

bool ingest_alert(struct site *site, const char *client, const char *text, struct err *err)
{
	return db_run(site->db, STMT_ALERT_ADD,
		      DB_ARGS(db_int(site_now(site)), db_text(client), db_text(text)), err) &&
	       db_run(site->db, STMT_ALERT_TRIM, DB_ARGS(db_int(ALERTS_MAX)), err);
}

/* ---- enrolment ---- */

static bool client_state(char **out, struct site *site, const char *client, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_CLIENT_STATE, DB_ARGS(db_text(client)));

	*out = NULL;
	if (db_rows_next(&rows))
		*out = alloc_text(db_rows_text(&rows, 0));
	return db_rows_finish(&rows, err);
}

/* A name for people; the id's beginning until the inventory tells one. */
static void name_of(char *dst, size_t size, const json_t *record, const char *client)
{
	const char *name = jsondoc_text(record, "name");

	if (name != NULL && name[0] != '\0' && strlen(name) <= CLIENT_NAME_MAX)
		text_escape_line(dst, size, name);
	else
		snprintf(dst, size, "%.12s", client);
}

static bool enrol_as(struct site *site, const struct envelope *e, const char *state, int64_t token,
		     struct err *err)
{
	const json_t *record = json_array_get(e->records, 0);
	const char *client = e->header.client;
	char name[4 * CLIENT_NAME_MAX + 1], key[2 * KEYS_ED25519_SIZE + 1];

	name_of(name, sizeof(name), record, client);
	text_hex(key, keys_ed25519_bytes(e->enrol_key), KEYS_ED25519_SIZE);
	return db_run(site->db, STMT_CLIENT_ENROL,
		      DB_ARGS(db_text(client), db_text(name), db_text(state), db_text(key),
			      db_text(jsondoc_text(record, "machine")),
			      token > 0 ? db_int(token) : db_null(), db_int(site_now(site))),
		      err) &&
	       (strcmp(state, "enrolled") != 0 ||
		db_run(site->db, STMT_CLIENT_ROW_ADD,
		       DB_ARGS(db_text(client), db_text(name), db_text(site->code)), err)) &&
	       client_touch_receipt(site, client, err);
}

/* Whoever is enrolled or removed stays so: a replayed enrolment changes nothing, and costs no
 * token. */
static bool enrol(struct ingest_counts *counts, struct site *site, const struct envelope *e,
		  struct err *err)
{
	const char *token = jsondoc_text(json_array_get(e->records, 0), "token");
	SCOPED_TEXT char *state = NULL;
	int64_t token_id = 0;

	if (!client_state(&state, site, e->header.client, err))
		return false;
	if (state != NULL && strcmp(state, "pending") != 0)
		return client_touch_receipt(site, e->header.client, err);
	if (token != NULL && !token_use(&token_id, site, token, err))
		return false;
	if (token_id > 0)
		counts->enrolled++;
	else
		counts->pending++;
	return enrol_as(site, e, token_id > 0 ? "enrolled" : "pending", token_id, err);
}

/* ---- records ---- */

struct stream {
	int64_t id;
	int64_t high;
	bool forked;
};

static bool open_stream(struct stream *out, struct site *site, const struct envelope_header *h,
			struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = { 0 };

	if (!db_run(site->db, STMT_STREAM_ADD,
		    DB_ARGS(db_text(h->client), db_text(h->stream), db_int(site_now(site))), err))
		return false;
	rows = db_query(site->db, STMT_STREAM_FIND,
			DB_ARGS(db_text(h->client), db_text(h->stream)));
	if (!db_rows_next(&rows))
		return db_rows_finish(&rows, err) &&
		       err_set(err, ERR_DB, "stream %s vanished", h->stream);
	*out = (struct stream){
		.id = db_rows_int(&rows, 0),
		.high = db_rows_int(&rows, 1),
		.forked = db_rows_int(&rows, 2) != 0,
	};
	return db_rows_finish(&rows, err);
}

static void hash_record(struct digest *out, const json_t *record)
{
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, record);
	digest_of(out, buf_span(&text));
}

static bool mark_fork(struct site *site, struct stream *stream, const char *client,
		      int64_t sequence, struct err *err)
{
	SCOPED_TEXT char *text = alloc_printf(
		"two different records have number %" PRId64
		": a clone of this machine, or one that was set back; it starts a new stream",
		sequence);

	if (stream->forked)
		return true;
	stream->forked = true;
	return db_run(site->db, STMT_STREAM_FORK, DB_ARGS(db_int(stream->id)), err) &&
	       ingest_alert(site, client, text, err);
}

/* True in `is_new_out` if the number was not there; a different record under it is a fork. */
static bool check_number(bool *is_new_out, struct site *site, struct stream *stream,
			 const char *client, int64_t sequence, const struct digest *hash,
			 struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_RECORD_HASH,
				       DB_ARGS(db_int(stream->id), db_int(sequence)));
	bool is_same;

	*is_new_out = !db_rows_next(&rows);
	is_same = *is_new_out ||
		  span_equal(db_rows_blob(&rows, 0), span_of(hash->bytes, sizeof(hash->bytes)));
	return db_rows_finish(&rows, err) &&
	       (is_same || mark_fork(site, stream, client, sequence, err));
}

/* What is kept of a status message. */
struct message {
	const json_t *record;
	int64_t id;
	struct db_value time;
	char text[TEXT_MAX];
	char *data;
};

static bool read_message(struct message *m, const json_t *record, const char **refused)
{
	const char *time = jsondoc_text(record, "time"), *text = jsondoc_text(record, "text");
	const json_t *data = json_object_get(record, "data");
	SCOPED(buf) struct buf bytes = { 0 };
	int64_t time_s;

	m->record = record;
	m->id = jsondoc_int(record, "id", 0);
	m->time = time != NULL && clock_parse(&time_s, time) ? db_int(time_s) : db_null();
	text_escape_line(m->text, sizeof(m->text), text != NULL ? text : "");
	m->data = NULL;
	if (json_is_object(data)) {
		jsondoc_write(&bytes, data);
		if (bytes.size <= DATA_MAX)
			m->data = buf_take(&bytes);
	}
	if (m->id < 1 || m->id > 99999)
		*refused = "a status message without an id";
	return *refused == NULL;
}

static struct db_value member(const json_t *record, const char *key)
{
	const char *text = jsondoc_text(record, key);

	return db_text(text != NULL && strlen(text) <= CLIENT_NAME_MAX ? text : NULL);
}

static bool insert_message(struct site *site, const struct stream *stream, int64_t sequence,
			   const struct digest *hash, const struct message *m, struct err *err)
{
	int64_t version = jsondoc_int(m->record, "version", 0);

	return db_run(site->db, STMT_RECORD_ADD,
		      DB_ARGS(db_int(stream->id), db_int(sequence),
			      db_blob(span_of(hash->bytes, sizeof(hash->bytes))),
			      db_int(site_now(site)), db_null(), m->time, db_int(m->id),
			      member(m->record, "advertisement"), member(m->record, "package"),
			      version > 0 ? db_int(version) : db_null(),
			      member(m->record, "program"), db_text(m->text), db_text(m->data)),
		      err);
}

static bool update_run_state(struct site *site, const char *client, const struct stream *stream,
			     int64_t sequence, const struct message *m, struct err *err)
{
	const char *state = report_state_of(m->id);
	struct db_value advertisement = member(m->record, "advertisement");

	if (state == NULL || advertisement.type == DB_NULL_VALUE)
		return true;
	return db_run(site->db, STMT_RUN_STATE_SET,
		      DB_ARGS(advertisement, db_text(client), db_text(state), db_int(stream->id),
			      db_int(sequence), m->time, db_text(m->text)),
		      err);
}

/* A number without a status message: inventory, or a record that was not taken. */
static bool insert_bare(struct site *site, const struct stream *stream, int64_t sequence,
			const struct digest *hash, const char *refused, struct err *err)
{
	return db_run(site->db, STMT_RECORD_ADD,
		      DB_ARGS(db_int(stream->id), db_int(sequence),
			      db_blob(span_of(hash->bytes, sizeof(hash->bytes))),
			      db_int(site_now(site)), db_text(refused), db_null(), db_null(),
			      db_null(), db_null(), db_null(), db_null(), db_null(), db_null()),
		      err);
}

static bool store_status(struct site *site, const char *client, const struct stream *stream,
			 int64_t sequence, const struct digest *hash, const json_t *record,
			 struct err *err)
{
	struct message m = { 0 };
	const char *refused = NULL;
	bool done;

	if (read_message(&m, record, &refused))
		done = insert_message(site, stream, sequence, hash, &m, err) &&
		       update_run_state(site, client, stream, sequence, &m, err);
	else
		done = insert_bare(site, stream, sequence, hash, refused, err);
	free(m.data);
	return done;
}

/* What does not follow the form is refused by its number; the site's own faults stop the batch. */
static bool store_inventory(struct site *site, const char *client, const struct stream *stream,
			    int64_t sequence, const struct digest *hash, const json_t *record,
			    struct err *err)
{
	struct err why = { 0 };

	if (inventory_replace(site, client, json_object_get(record, "tables"), &why))
		return insert_bare(site, stream, sequence, hash, NULL, err);
	if (why.code != ERR_FORMAT && why.code != ERR_LIMIT) {
		*err = why;
		return false;
	}
	return insert_bare(site, stream, sequence, hash, why.why, err);
}

static bool store_record(struct site *site, const char *client, const struct stream *stream,
			 int64_t sequence, const struct digest *hash, const json_t *record,
			 struct err *err)
{
	const char *kind = jsondoc_text(record, "kind");

	if (kind != NULL && strcmp(kind, "status") == 0)
		return store_status(site, client, stream, sequence, hash, record, err);
	if (kind != NULL && strcmp(kind, "inventory") == 0)
		return store_inventory(site, client, stream, sequence, hash, record, err);
	return insert_bare(site, stream, sequence, hash, "a record of a kind that is not known",
			   err);
}

/* Advance over what had arrived out of its turn. */
static bool advance(struct site *site, struct stream *stream, struct err *err)
{
	int64_t high = stream->high, exists = 1;

	while (exists) {
		if (!db_number(&exists, site->db, STMT_RECORD_EXISTS,
			       DB_ARGS(db_int(stream->id), db_int(high + 1)), 0, err))
			return false;
		high += exists != 0;
	}
	stream->high = high;
	return db_run(site->db, STMT_STREAM_ADVANCE, DB_ARGS(db_int(stream->id), db_int(high)),
		      err);
}

static bool store_records(struct ingest_counts *counts, struct site *site, const struct envelope *e,
			  struct err *err)
{
	const char *client = e->header.client;
	struct stream stream = { 0 };
	json_t *record;
	size_t i;

	if (!open_stream(&stream, site, &e->header, err))
		return false;
	json_array_foreach (e->records, i, record) {
		int64_t sequence = (int64_t)(e->header.first + i);
		struct digest hash;
		bool is_new = false;

		hash_record(&hash, record);
		if (!check_number(&is_new, site, &stream, client, sequence, &hash, err))
			return false;
		if (is_new && !store_record(site, client, &stream, sequence, &hash, record, err))
			return false;
		counts->records += is_new;
		counts->duplicates += !is_new;
	}
	return advance(site, &stream, err) &&
	       db_run(site->db, STMT_CLIENT_SEEN, DB_ARGS(db_text(client), db_int(site_now(site))),
		      err) &&
	       client_touch_receipt(site, client, err);
}

bool ingest_envelope(enum ingest_result *out, struct ingest_counts *counts, struct site *site,
		     const struct envelope *envelope, struct err *err)
{
	SCOPED_TEXT char *state = NULL;

	*out = INGEST_STORED;
	if (envelope->header.kind == ENVELOPE_ENROL)
		return enrol(counts, site, envelope, err);
	if (!client_state(&state, site, envelope->header.client, err))
		return false;
	if (state == NULL || strcmp(state, "enrolled") != 0) {
		*out = state != NULL && strcmp(state, "pending") == 0 ? INGEST_PENDING
								      : INGEST_REMOVED;
		return true;
	}
	counts->envelopes++;
	return store_records(counts, site, envelope, err);
}

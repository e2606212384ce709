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
#include "site/clientkey.h"
#include "site/inventory.h"
#include "site/report.h"
#include "site/token.h"

/* A program's output is 64 KiB, or six times that where JSON has to escape each byte. */
#define DATA_MAX        ((size_t)512 * 1024) /* bytes of a message's data; more is left out */
#define UID_BYTES       16
#define TEXT_MAX        2000 /* bytes of a message's text that are kept */
#define CLIENT_NAME_MAX 64   /* bytes of a client's name */
#define ALERTS_MAX      1000
#define DAY_S           86400
#define KIND_LOST       "lost"

static const char *const result_names[] = {
	[INGEST_STORED] = "stored",         [INGEST_PENDING] = "pending",
	[INGEST_OVER_QUOTA] = "over-quota", [INGEST_REMOVED] = "removed",
	[INGEST_CROWDED] = "crowded",       [INGEST_GIVEN_UP] = "given-up-key",
};
static_assert(COUNT_OF(result_names) == INGEST_RESULT_COUNT_, "every result has a name");

const char *ingest_result_name(enum ingest_result result)
{
	return result_names[result];
}

bool ingest_alert(struct site *site, const char *client, const char *text, struct err *err)
{
	return db_run(site->db, STMT_ALERT_ADD,
		      DB_ARGS(db_int(site_now(site)), db_text(client), db_text(text)), err) &&
	       db_run(site->db, STMT_ALERT_TRIM, DB_ARGS(db_int(ALERTS_MAX)), err);
}

/* ---- enrolment ---- */

/* What decides whether a client's upload is taken. */
struct standing {
	enum { UNKNOWN, PENDING, ENROLLED, REMOVED } state;
	int64_t day_bytes; /* taken today */
};

static int64_t today(const struct site *site)
{
	return site_now(site) / DAY_S;
}

static bool find_standing(struct standing *out, struct site *site, const char *client,
			  struct err *err)
{
	static const char *const names[] = {
		[PENDING] = "pending", [ENROLLED] = "enrolled", [REMOVED] = "removed"
	};
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_CLIENT_STATE, DB_ARGS(db_text(client)));

	*out = (struct standing){ .state = UNKNOWN };
	if (!db_rows_next(&rows))
		return db_rows_finish(&rows, err);
	while (strcmp(names[++out->state], db_rows_text(&rows, 0)) != 0)
		assert(out->state < REMOVED); /* the table checks its values */
	if (db_rows_int(&rows, 3) == today(site))
		out->day_bytes = db_rows_int(&rows, 4);
	return db_rows_finish(&rows, err);
}

/* A name for people; the id's beginning until the inventory tells one. */
static void name_of(char *dst, size_t size, const json_t *record, const char *client)
{
	const char *name = jsondoc_text(record, "name");

	if (name != NULL && !text_is_blank(name) && strlen(name) <= CLIENT_NAME_MAX)
		text_cut(dst, size, name);
	else
		snprintf(dst, size, "%.12s", client);
}

static bool enrol_as(struct site *site, const struct envelope *e, const char *state, int64_t token,
		     struct err *err)
{
	const json_t *record = json_array_get(e->records, 0);
	const char *client = e->header.client;
	char name[CLIENT_NAME_MAX + 1], key[2 * KEYS_ED25519_SIZE + 1];

	name_of(name, sizeof(name), record, client);
	text_hex(key, keys_ed25519_bytes(e->new_key), KEYS_ED25519_SIZE);
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

/* Whoever can write to an inbox can ask to be let in: those who wait are counted. */
static bool is_crowded(bool *out, struct site *site, struct err *err)
{
	int64_t waiting;

	if (!db_number(&waiting, site->db, STMT_CLIENT_PENDING_COUNT, DB_NO_ARGS, 0, err))
		return false;
	*out = waiting >= INGEST_PENDING_MAX;
	return true;
}

/* Whoever is enrolled or removed stays so: a replayed enrolment changes nothing, and costs no
 * token. */
static bool enrol(enum ingest_result *out, struct ingest_counts *counts, struct site *site,
		  const struct envelope *e, struct err *err)
{
	const char *token = jsondoc_text(json_array_get(e->records, 0), "token");
	struct standing standing;
	int64_t token_id = 0;
	bool crowded = false;

	if (!find_standing(&standing, site, e->header.client, err))
		return false;
	if (standing.state == ENROLLED || standing.state == REMOVED)
		return client_touch_receipt(site, e->header.client, err);
	if (token != NULL && !token_use(&token_id, site, token, err))
		return false;
	if (token_id == 0 && standing.state == UNKNOWN && !is_crowded(&crowded, site, err))
		return false;
	if (crowded) {
		*out = INGEST_CROWDED;
		return true;
	}
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
	struct digest chain; /* of the records up to `high` */
	bool forked;
};

/* Where the chain was never made (the stream is older than chains), it starts over. */
static void read_chain(struct stream *stream, struct span chain)
{
	if (chain.size == DIGEST_SIZE)
		memcpy(stream->chain.bytes, chain.data, DIGEST_SIZE);
	else
		stream->high = 0;
}

/* A client begins another when the site's record numbers are not its own. */
static bool tell_stream(struct site *site, const char *client, struct err *err)
{
	int64_t count;

	return db_number(&count, site->db, STMT_STREAM_COUNT, DB_ARGS(db_text(client)), 0, err) &&
	       (count < 2 ||
		ingest_alert(
			site, client,
			"another record stream begins: a clone of this machine, or one that was "
			"set back",
			err));
}

static bool open_stream(struct stream *out, struct site *site, const struct envelope_header *h,
			struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = { 0 };

	if (!db_run(site->db, STMT_STREAM_ADD,
		    DB_ARGS(db_text(h->client), db_text(h->stream), db_int(site_now(site))), err) ||
	    (db_changed(site->db) > 0 && !tell_stream(site, h->client, err)))
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
	read_chain(out, db_rows_blob(&rows, 3));
	return db_rows_finish(&rows, err);
}

/* The numbers of one envelope. */
struct number {
	struct digest hash;
	bool is_there;
	bool is_other; /* there with another content */
};

/* A record that arrived, and then rotted before its receipt came, is no other life. */
static bool is_lost(const json_t *record)
{
	const char *kind = jsondoc_text(record, "kind");

	return kind != NULL && strcmp(kind, KIND_LOST) == 0;
}

static bool look_up(struct number *numbers, struct site *site, const struct stream *stream,
		    const struct envelope *e, struct err *err)
{
	int64_t first = (int64_t)e->header.first;
	SCOPED(db_rows) struct db_rows rows = { 0 };
	json_t *record;
	size_t i;

	json_array_foreach (e->records, i, record)
		envelope_record_hash(&numbers[i].hash, record);
	rows = db_query(site->db, STMT_RECORD_HASHES,
			DB_ARGS(db_int(stream->id), db_int(first),
				db_int(first + (int64_t)e->header.count - 1)));
	while (db_rows_next(&rows)) {
		struct number *n = &numbers[db_rows_int(&rows, 0) - first];

		n->is_there = true;
		n->is_other = !span_equal(db_rows_blob(&rows, 1),
					  span_of(n->hash.bytes, sizeof(n->hash.bytes))) &&
			      !is_lost(json_array_get(e->records, (size_t)(n - numbers)));
	}
	return db_rows_finish(&rows, err);
}

static bool mark_fork(struct ingest_counts *counts, struct site *site, struct stream *stream,
		      const char *client, int64_t sequence, struct err *err)
{
	SCOPED_TEXT char *text = alloc_printf(
		"two different records have number %" PRId64
		": a clone of this machine, or one that was set back; it starts a new stream",
		sequence);

	if (stream->forked)
		return true;
	stream->forked = true;
	counts->forks++;
	return db_run(site->db, STMT_STREAM_FORK, DB_ARGS(db_int(stream->id)), err) &&
	       ingest_alert(site, client, text, err);
}

static bool check_fork(struct ingest_counts *counts, struct site *site, struct stream *stream,
		       const struct envelope *e, const struct number *numbers, struct err *err)
{
	for (size_t i = 0; i < e->header.count; i++)
		if (numbers[i].is_other)
			return mark_fork(counts, site, stream, e->header.client,
					 (int64_t)(e->header.first + i), err);
	return true;
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
	text_cut(m->text, sizeof(m->text), text != NULL ? text : "");
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

/* Where a record goes. */
struct place {
	struct site *site;
	const char *client;
	const struct stream *stream;
	int64_t sequence;
	const struct digest *hash;
	struct db_value uid; /* the record's own id; NULL: it has none */
};

static bool insert_message(const struct place *p, const struct message *m, struct err *err)
{
	int64_t version = jsondoc_int(m->record, "version", 0);

	return db_run(p->site->db, STMT_RECORD_ADD,
		      DB_ARGS(db_int(p->stream->id), db_int(p->sequence),
			      db_blob(span_of(p->hash->bytes, sizeof(p->hash->bytes))),
			      db_int(site_now(p->site)), db_null(), m->time, db_int(m->id),
			      member(m->record, "advertisement"), member(m->record, "package"),
			      version > 0 ? db_int(version) : db_null(),
			      member(m->record, "program"), db_text(m->text), db_text(m->data),
			      p->uid),
		      err);
}

static bool update_run_state(const struct place *p, const struct message *m, struct err *err)
{
	const char *state = report_state_of(m->id);
	struct db_value advertisement = member(m->record, "advertisement");

	if (state == NULL || advertisement.type == DB_NULL_VALUE)
		return true;
	return db_run(p->site->db, STMT_RUN_STATE_SET,
		      DB_ARGS(advertisement, db_text(p->client), db_text(state),
			      db_int(p->stream->id), db_int(p->sequence), m->time,
			      db_text(m->text)),
		      err);
}

/* A number without a status message: inventory, a lost record, or one that was not taken. */
static bool insert_bare(const struct place *p, const char *refused, struct err *err)
{
	return db_run(p->site->db, STMT_RECORD_ADD,
		      DB_ARGS(db_int(p->stream->id), db_int(p->sequence),
			      db_blob(span_of(p->hash->bytes, sizeof(p->hash->bytes))),
			      db_int(site_now(p->site)), db_text(refused), db_null(), db_null(),
			      db_null(), db_null(), db_null(), db_null(), db_null(), db_null(),
			      p->uid),
		      err);
}

/* What does not follow the form is refused by its number; the site's own faults stop the batch. */
static bool refuse(struct ingest_counts *counts, const struct place *p, const char *why,
		   struct err *err)
{
	counts->malformed++;
	return insert_bare(p, why, err);
}

static bool store_status(struct ingest_counts *counts, const struct place *p, const json_t *record,
			 struct err *err)
{
	struct message m = { 0 };
	const char *refused = NULL;
	bool done;

	if (read_message(&m, record, &refused))
		done = insert_message(p, &m, err) && update_run_state(p, &m, err);
	else
		done = refuse(counts, p, refused, err);
	free(m.data);
	return done;
}

/* Records may arrive in any order: an older inventory does not replace a newer one (Q325585). */
static bool is_newest_inventory(bool *out, const struct place *p, struct err *err)
{
	if (!db_run(p->site->db, STMT_INVENTORY_STATE_SET,
		    DB_ARGS(db_text(p->client), db_int(p->stream->id), db_int(p->sequence)), err))
		return false;
	*out = db_changed(p->site->db) > 0;
	return true;
}

static bool store_inventory(struct ingest_counts *counts, const struct place *p,
			    const json_t *record, struct err *err)
{
	const json_t *tables = json_object_get(record, "tables");
	struct err why = { 0 };
	bool is_newest = false;

	if (!inventory_check(tables, &why))
		return refuse(counts, p, why.why, err);
	return is_newest_inventory(&is_newest, p, err) &&
	       (!is_newest || inventory_replace(p->site, p->client, tables, err)) &&
	       insert_bare(p, NULL, err);
}

/* Its bytes rotted on the client's disk: it keeps the numbers contiguous and carries nothing. */
static bool store_lost(struct ingest_counts *counts UNUSED, const struct place *p,
		       const json_t *record UNUSED, struct err *err)
{
	return insert_bare(p, NULL, err);
}

/* docs/ARCHITECTURE.md 6 */
static const struct {
	const char *name;
	bool (*store)(struct ingest_counts *counts, const struct place *p, const json_t *record,
		      struct err *err);
} kinds[] = {
	{ "status", store_status },
	{ "inventory", store_inventory },
	{ KIND_LOST, store_lost },
};

static bool store_record(struct ingest_counts *counts, const struct place *p, const json_t *record,
			 struct err *err)
{
	const char *kind = jsondoc_text(record, "kind");

	for (size_t i = 0; kind != NULL && i < COUNT_OF(kinds); i++)
		if (strcmp(kind, kinds[i].name) == 0)
			return kinds[i].store(counts, p, record, err);
	return refuse(counts, p, "a record of a kind that is not known", err);
}

/* Advance over this envelope, and over what had arrived out of its turn. */
static bool advance(struct site *site, const struct stream *stream, struct err *err)
{
	int64_t high = stream->high;
	struct digest chain = stream->chain;
	SCOPED(db_rows)
	struct db_rows rows = db_query(
		site->db, STMT_RECORD_HASHES,
		DB_ARGS(db_int(stream->id), db_int(high + 1), db_int(INT64_MAX)));

	while (db_rows_next(&rows) && db_rows_int(&rows, 0) == high + 1) {
		struct span bytes = db_rows_blob(&rows, 1);
		struct digest hash = { 0 };

		memcpy(hash.bytes, bytes.data, MIN_OF(bytes.size, sizeof(hash.bytes)));
		envelope_chain_add(&chain, &hash);
		high++;
	}
	return db_rows_finish(&rows, err) &&
	       (high == stream->high ||
		db_run(site->db, STMT_STREAM_ADVANCE,
		       DB_ARGS(db_int(stream->id), db_int(high),
			       db_blob(span_of(chain.bytes, sizeof(chain.bytes)))),
		       err));
}

/* A text that is no id counts as none: such records are told apart by their numbers alone. */
static struct db_value uid_of(uint8_t bytes[UID_BYTES], const json_t *record)
{
	const char *text = jsondoc_text(record, "uid");

	return text != NULL && text_unhex(bytes, UID_BYTES, text)
		       ? db_blob(span_of(bytes, UID_BYTES))
		       : db_null();
}

/* What this client sent in another stream before it started this one stands there. */
static bool is_stored(bool *out, const struct place *p, struct err *err)
{
	int64_t found = 0;

	if (p->uid.type != DB_NULL_VALUE && !db_number(&found, p->site->db, STMT_RECORD_HAS_UID,
						       DB_ARGS(p->uid, db_text(p->client)), 0, err))
		return false;
	*out = found != 0;
	return true;
}

static bool store_once(struct ingest_counts *counts, const struct place *p, const json_t *record,
		       struct err *err)
{
	bool stored;

	if (!is_stored(&stored, p, err))
		return false;
	counts->duplicates += stored;
	counts->records += !stored;
	return stored ? insert_bare(p, NULL, err) : store_record(counts, p, record, err);
}

static bool store_new(struct ingest_counts *counts, struct site *site, const struct stream *stream,
		      const struct envelope *e, const struct number *numbers, struct err *err)
{
	struct place p = { .site = site, .client = e->header.client, .stream = stream };
	uint8_t uid[UID_BYTES];
	json_t *record;
	size_t i;

	json_array_foreach (e->records, i, record) {
		p.sequence = (int64_t)(e->header.first + i);
		p.hash = &numbers[i].hash;
		p.uid = uid_of(uid, record);
		if (numbers[i].is_there)
			counts->duplicates++;
		else if (!store_once(counts, &p, record, err))
			return false;
	}
	return advance(site, stream, err);
}

static bool store_records(struct ingest_counts *counts, struct site *site, const struct envelope *e,
			  size_t size, struct err *err)
{
	const char *client = e->header.client;
	struct number numbers[ENVELOPE_RECORDS_MAX] = { 0 };
	struct stream stream = { 0 };

	return open_stream(&stream, site, &e->header, err) &&
	       look_up(numbers, site, &stream, e, err) &&
	       check_fork(counts, site, &stream, e, numbers, err) &&
	       (stream.forked || store_new(counts, site, &stream, e, numbers, err)) &&
	       db_run(site->db, STMT_CLIENT_SEEN,
		      DB_ARGS(db_text(client), db_int(site_now(site)), db_int(today(site)),
			      db_int((int64_t)size)),
		      err) &&
	       client_touch_receipt(site, client, err);
}

static enum ingest_result judge(const struct standing *standing, size_t size)
{
	switch (standing->state) {
	case PENDING:
		return INGEST_PENDING;
	case ENROLLED:
		return standing->day_bytes + (int64_t)size > INGEST_DAY_BYTES_MAX
			       ? INGEST_OVER_QUOTA
			       : INGEST_STORED;
	case UNKNOWN:
	case REMOVED:
	default:
		return INGEST_REMOVED;
	}
}

/* Both halves of a copied state folder may try: the first wins, and the site shows it. */
static bool hand_over(enum ingest_result *out, struct site *site, const struct envelope *e,
		      struct err *err)
{
	const char *client = e->header.client;
	enum clientkey_result result;

	if (!clientkey_hand_over(&result, site, e, err))
		return false;
	if (result == CLIENTKEY_GIVEN_UP) {
		*out = INGEST_GIVEN_UP;
		return ingest_alert(site, client,
				    "a key that this client gave up was to be replaced once more: "
				    "a copy of its state is elsewhere",
				    err);
	}
	if (result == CLIENTKEY_TAKEN &&
	    !ingest_alert(site, client, "the client signs with a new key from now on", err))
		return false;
	return client_touch_receipt(site, client, err);
}

bool ingest_envelope(enum ingest_result *out, struct ingest_counts *counts, struct site *site,
		     const struct envelope *envelope, size_t size, struct err *err)
{
	struct standing standing;

	*out = INGEST_STORED;
	if (envelope->header.kind == ENVELOPE_ENROL)
		return enrol(out, counts, site, envelope, err);
	if (!find_standing(&standing, site, envelope->header.client, err))
		return false;
	*out = judge(&standing, size);
	if (*out != INGEST_STORED)
		return true;
	if (envelope->header.kind == ENVELOPE_HANDOVER)
		return hand_over(out, site, envelope, err);
	counts->envelopes++;
	return store_records(counts, site, envelope, size, err);
}

#include "site/intake.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/text.h"
#include "nal/conntab.h"
#include "site/capcopy.h"
#include "site/quarantine.h"
#include "site/receipts.h"
#include "site/sitekeys.h"
#include "site/system.h"

#define LOCK_WAIT_MS 120000 /* another intake ends soon */

/* An object in an inbox. */
struct entry {
	char *name;
	uint64_t size;
	uint32_t turn; /* the how-many-th of its client: all firsts go before all seconds */
};

/* One sweep of one inbox. */
struct sweep {
	struct site *site;
	struct system *cap;
	struct way *way;
	const struct sealer *sealer;
	struct intake_result *result;
	struct entry *entries;
	size_t count;
	char **done; /* names whose records are in the transaction under way */
	size_t done_count;
	size_t batch_records;
	bool in_batch;
	struct key *key; /* of the client that was asked for last */
};

static bool note_entry(const struct way_entry *found, void *ctx)
{
	struct sweep *s = ctx;

	if (found->is_folder)
		return true;
	ALLOC_GROW(s->entries, s->count);
	s->entries[s->count++] = (struct entry){ .name = alloc_text(found->name),
						 .size = found->size };
	return true;
}

static int compare_names(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	struct envelope_name nx, ny;
	bool is_x = envelope_name_parse(&nx, x->name), is_y = envelope_name_parse(&ny, y->name);
	int order;

	if (!is_x || !is_y)
		return is_x != is_y ? (is_x ? -1 : 1) : strcmp(x->name, y->name);
	order = strcmp(nx.client, ny.client);
	if (order == 0)
		order = strcmp(nx.stream, ny.stream);
	if (order == 0)
		order = (nx.first > ny.first) - (nx.first < ny.first);
	return order != 0 ? order : strcmp(x->name, y->name);
}

static int compare_turns(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->turn != y->turn)
		return x->turn < y->turn ? -1 : 1;
	return compare_names(a, b);
}

/* Round-robin by client, so that one with a thousand objects delays nobody. */
static void order_by_turns(struct sweep *s)
{
	if (s->count == 0)
		return;
	qsort(s->entries, s->count, sizeof(*s->entries), compare_names);
	for (size_t i = 1; i < s->count; i++)
		if (strncmp(s->entries[i].name, s->entries[i - 1].name, ENVELOPE_ID_SIZE) == 0)
			s->entries[i].turn = s->entries[i - 1].turn + 1;
	qsort(s->entries, s->count, sizeof(*s->entries), compare_turns);
}

static const struct key *find_key(const char *client, void *ctx)
{
	struct sweep *s = ctx;
	SCOPED(db_rows)
	struct db_rows rows = db_query(s->site->db, STMT_CLIENT_STATE, DB_ARGS(db_text(client)));
	uint8_t bytes[KEYS_ED25519_SIZE];

	keys_free(s->key);
	s->key = NULL;
	if (db_rows_next(&rows) && text_unhex(bytes, sizeof(bytes), db_rows_text(&rows, 1)))
		s->key = keys_new_ed25519(bytes);
	return s->key;
}

static bool open_batch(struct sweep *s, struct err *err)
{
	if (s->in_batch)
		return true;
	s->in_batch = site_begin(s->site, err);
	return s->in_batch;
}

/* Only what is durable may be deleted; what cannot be deleted comes again and is stored once. */
static bool close_batch(struct sweep *s, struct err *err)
{
	struct err ignored;

	if (!s->in_batch)
		return true;
	s->in_batch = false;
	if (!site_commit(s->site, err))
		return false;
	for (size_t i = 0; i < s->done_count; i++) {
		if (way_delete(s->way, s->done[i], &ignored) != NAL_CLASS_OK)
			err_clear(&ignored);
		free(s->done[i]);
	}
	s->done_count = 0;
	s->batch_records = 0;
	return true;
}

static void add_done(struct sweep *s, const char *name)
{
	ALLOC_GROW(s->done, s->done_count);
	s->done[s->done_count++] = alloc_text(name);
}

/* Refused objects leave with the batch as well: their alert is part of it. */
static bool refuse(struct sweep *s, const char *name, struct span bytes, const char *reason,
		   struct err *err)
{
	SCOPED_TEXT char *text = NULL;
	char safe[256];

	text_escape_line(safe, sizeof(safe), name);
	text = alloc_printf("upload refused (%s): %s on %s", reason, safe, s->cap->name);
	quarantine_keep(s->site, s->cap->name, name, bytes, reason);
	s->result->refused++;
	add_done(s, name);
	return open_batch(s, err) && ingest_alert(s->site, NULL, text, err);
}

static bool handle_incomplete(struct sweep *s, const char *name, struct span bytes, struct err *err)
{
	int64_t now_s = site_now(s->site), first_seen;

	if (!open_batch(s, err) ||
	    !db_run(s->site->db, STMT_INCOMPLETE_ADD,
		    DB_ARGS(db_int(s->cap->id), db_text(name), db_int(now_s)), err) ||
	    !db_number(&first_seen, s->site->db, STMT_INCOMPLETE_SINCE,
		       DB_ARGS(db_int(s->cap->id), db_text(name)), now_s, err))
		return false;
	if (now_s - first_seen < INTAKE_INCOMPLETE_S) {
		s->result->incomplete++;
		return true;
	}
	return db_run(s->site->db, STMT_INCOMPLETE_REMOVE,
		      DB_ARGS(db_int(s->cap->id), db_text(name)), err) &&
	       refuse(s, name, bytes, "incomplete for a day", err);
}

static bool store(struct sweep *s, const char *name, const struct envelope *envelope,
		  struct err *err)
{
	enum ingest_result result;

	if (!open_batch(s, err) ||
	    !ingest_envelope(&result, &s->result->counts, s->site, envelope, err) ||
	    !db_run(s->site->db, STMT_INCOMPLETE_REMOVE, DB_ARGS(db_int(s->cap->id), db_text(name)),
		    err))
		return false;
	if (result == INGEST_PENDING) {
		s->result->waiting++;
		return true;
	}
	s->batch_records += envelope->header.count;
	add_done(s, name);
	return s->batch_records < INTAKE_BATCH_RECORDS || close_batch(s, err);
}

static bool take_object(struct sweep *s, const char *name, struct span bytes, struct err *err)
{
	const struct envelope_reader reader = { .sealer = s->sealer,
						.find_key = find_key,
						.ctx = s };
	SCOPED(envelope) struct envelope *envelope = NULL;
	enum envelope_verdict verdict = envelope_open(&envelope, name, bytes, &reader);

	if (verdict == ENVELOPE_OK)
		return store(s, name, envelope, err);
	if (verdict == ENVELOPE_INCOMPLETE)
		return handle_incomplete(s, name, bytes, err);
	return refuse(s, name, bytes, envelope_verdict_name(verdict), err);
}

static bool take_entry(struct sweep *s, const struct entry *entry, struct err *err)
{
	static const struct way_get ask = { .max = ENVELOPE_SIZE_MAX };
	SCOPED(way_object) struct way_object object = { 0 };
	struct err why = { 0 };

	if (entry->size > ENVELOPE_SIZE_MAX)
		return refuse(s, entry->name, span_of(NULL, 0),
			      envelope_verdict_name(ENVELOPE_TOO_LARGE), err);
	if (way_get(&object, s->way, entry->name, &ask, &why) == NAL_CLASS_OK)
		return take_object(s, entry->name, buf_span(&object.bytes), err);
	/* It may be gone, or be readable next time. */
	return true;
}

static bool take_all(struct sweep *s, struct err *err)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->entries[i].turn >= INTAKE_PER_CLIENT_MAX) {
			s->result->is_more = true;
			break;
		}
		if (!take_entry(s, &s->entries[i], err))
			return false;
	}
	return close_batch(s, err);
}

static void sweep_release(struct sweep *s)
{
	if (s->in_batch)
		site_abandon(s->site);
	for (size_t i = 0; i < s->count; i++)
		free(s->entries[i].name);
	for (size_t i = 0; i < s->done_count; i++)
		free(s->done[i]);
	free(s->entries);
	free(s->done);
	keys_free(s->key);
}

static enum nal_class open_inbox(struct way **way_out, struct site *site, struct conntab *tab,
				 struct system *cap, struct err *err)
{
	SCOPED(locator) struct locator inbox = { 0 };
	const struct way_target target = { .where = &inbox, .server = cap->name };

	if (!capcopy_inbox(&inbox, site, tab, cap, err))
		return NAL_CLASS_UNKNOWN;
	return conntab_acquire(way_out, tab, &target, WAY_LINK_NONE, site, err);
}

/* An inbox that cannot be read is the CAP's failure; a database that cannot be written is ours. */
static bool sweep_cap(struct intake_result *result, struct site *site, struct system *cap,
		      const struct sealer *sealer, struct err *err)
{
	const struct conntab_options options = CONNTAB_OPTIONS_DEFAULT;
	SCOPED(conntab) struct conntab *tab = conntab_new(&options);
	struct sweep s = { .site = site, .cap = cap, .sealer = sealer, .result = result };
	struct err why = { 0 };
	enum nal_class class = open_inbox(&s.way, site, tab, cap, &why);
	bool done = true;

	if (class == NAL_CLASS_OK)
		class = way_list(s.way, "", INTAKE_LIST_MAX, note_entry, &s, &why);
	if (class == NAL_CLASS_PROTOCOL && why.code == ERR_LIMIT) {
		result->is_more = true;
		class = NAL_CLASS_OK;
	}
	if (class == NAL_CLASS_OK) {
		order_by_turns(&s);
		done = take_all(&s, err);
	} else if (class != NAL_CLASS_NOT_FOUND) {
		/* Not found: the first publish makes the inbox. */
		result->caps_failed++;
	}
	sweep_release(&s);
	conntab_release(tab, s.way);
	return done;
}

bool intake_run(struct intake_result *out, struct site *site, struct err *err)
{
	SCOPED(system_list) struct system_list caps = { 0 };
	SCOPED(sealer) struct sealer *sealer = NULL;
	SCOPED_FD int lock = -1;
	size_t failed;

	*out = (struct intake_result){ 0 };
	if (!site_lock(&lock, site, "intake", LOCK_WAIT_MS, err) ||
	    !sitekeys_load_sealer(&sealer, site, err) ||
	    !system_load(&caps, site, MARKER_CAP, SYSTEM_LIVE, err))
		return false;
	for (size_t i = 0; i < caps.count; i++)
		if (!sweep_cap(out, site, &caps.items[i], sealer, err))
			return false;
	if (!receipts_publish(&failed, site, err))
		return false;
	out->caps_failed = MAX_OF(out->caps_failed, failed);
	return true;
}

#include "site/intake.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/text.h"
#include "site/clientkey.h"
#include "site/inbox.h"
#include "site/quarantine.h"
#include "site/receipts.h"
#include "site/sitekeys.h"
#include "site/system.h"

#define LOCK_WAIT_MS 120000 /* another intake ends soon */
#define REASONS_MAX  16     /* different ones in one sweep */
#define FORGET_S     (2 * INTAKE_PATIENCE_S)

static_assert(ENVELOPE_VERDICT_COUNT_ + INGEST_RESULT_COUNT_ <= REASONS_MAX,
	      "every reason to refuse an object has its place");

/* An opened envelope on its way into the database. */
struct item {
	const struct inbox_entry *entry;
	struct buf bytes;
	struct envelope *envelope;
	enum ingest_result result;
};

/* What one client had of this sweep: only what it signed itself counts. */
struct sender {
	size_t objects;
	size_t bytes;
	bool is_over; /* its quota of the day */
};

/* How often a reason occurred, and where first. */
struct tally {
	const char *reason;
	size_t count;
	char first[256];
};

/* One sweep of one inbox. */
struct sweep {
	struct site *site;
	const struct system *cap;
	const struct sealer *sealer;
	struct quarantine *quarantine;
	struct intake_result *result;
	struct inbox inbox;
	struct item items[INTAKE_BATCH_OBJECTS]; /* the batch under way */
	size_t item_count;
	size_t batch_bytes;
	const char **fresh; /* names that are incomplete and were not so before; borrowed */
	size_t fresh_count;
	const char **gone; /* names that were noted and are refused now; borrowed */
	size_t gone_count;
	struct sender *senders; /* by the entries' numbers */
	size_t noted;           /* objects that wait here, by the database */
	size_t waiting_bytes;   /* of those that were read again */
	struct tally tallies[REASONS_MAX];
	size_t tally_count;
	struct key *key; /* of the client that was asked for last */
	struct err why;  /* what reading an object failed with last */
};

/* ---- refusing ---- */

static void count_reason(struct sweep *s, const char *name, const char *reason)
{
	size_t i = 0;

	while (i < s->tally_count && strcmp(s->tallies[i].reason, reason) != 0)
		i++;
	assert(i < REASONS_MAX);
	if (i == s->tally_count) {
		s->tallies[s->tally_count++] = (struct tally){ .reason = reason };
		text_escape_line(s->tallies[i].first, sizeof(s->tallies[i].first), name);
	}
	s->tallies[i].count++;
}

static void refuse(struct sweep *s, const char *name, struct span bytes, const char *reason)
{
	quarantine_keep(s->quarantine, s->cap->name, name, bytes, reason);
	inbox_delete(&s->inbox, name);
	count_reason(s, name, reason);
	s->result->refused++;
}

/* One that nobody has looked into; only as much of a flood is read as will be kept. */
static void refuse_unread(struct sweep *s, const struct inbox_entry *entry, const char *reason)
{
	SCOPED(way_object) struct way_object object = { 0 };
	struct err ignored;

	if (quarantine_wants(s->quarantine) && entry->size <= ENVELOPE_SIZE_MAX &&
	    inbox_read(&object, &s->inbox, entry->name, &ignored) != NAL_CLASS_OK)
		return;
	refuse(s, entry->name, buf_span(&object.bytes), reason);
}

/* One alert per reason and sweep: a flood must not push the others out. */
static bool tell_refusals(struct sweep *s, struct err *err)
{
	SITE_UNDO struct site *undo = s->site;

	if (s->tally_count == 0)
		return true;
	if (!site_begin(s->site, err))
		return false;
	for (size_t i = 0; i < s->tally_count; i++) {
		const struct tally *t = &s->tallies[i];
		SCOPED_TEXT char *text = alloc_printf(
			"%zu uploads refused on %s (%s), the first is %s", t->count, s->cap->name,
			t->reason, t->first);

		if (!ingest_alert(s->site, NULL, text, err))
			return false;
	}
	return site_commit(s->site, err);
}

/* ---- waiting ---- */

/*
 * Since when an object has stood there: as long as we know it, or as its own date says where that
 * is longer. 0: never seen before, and so many wait that this one is not to.
 */
static bool first_seen(int64_t *out, struct sweep *s, const struct inbox_entry *entry,
		       struct err *err)
{
	if (!db_number(out, s->site->db, STMT_INCOMPLETE_SINCE,
		       DB_ARGS(db_int(s->cap->id), db_text(entry->name)), 0, err))
		return false;
	if (*out == 0 && s->noted < INTAKE_NOTED_MAX) {
		ALLOC_GROW(s->fresh, s->fresh_count);
		s->fresh[s->fresh_count++] = entry->name;
		s->noted++;
		*out = site_now(s->site);
	}
	if (*out > 0 && entry->mtime_s > 0)
		*out = MIN_OF(*out, entry->mtime_s);
	return true;
}

/* True in `stays_out` while its patience lasts; after that it is refused. */
static bool let_wait(bool *stays_out, struct sweep *s, const struct inbox_entry *entry,
		     const char *reason, struct err *err)
{
	int64_t patience = s->inbox.is_cut ? INTAKE_PATIENCE_SHORT_S : INTAKE_PATIENCE_S;
	int64_t since;

	if (!first_seen(&since, s, entry, err))
		return false;
	*stays_out = site_now(s->site) - since < patience;
	if (*stays_out)
		return true;
	refuse_unread(s, entry, reason);
	ALLOC_GROW(s->gone, s->gone_count);
	s->gone[s->gone_count++] = entry->name;
	return true;
}

/* ---- batches ---- */

static void drop_batch(struct sweep *s)
{
	for (size_t i = 0; i < s->item_count; i++) {
		envelope_free(s->items[i].envelope);
		buf_release(&s->items[i].bytes);
	}
	s->item_count = 0;
	s->batch_bytes = 0;
	s->fresh_count = 0;
	s->gone_count = 0;
}

static bool store_item(struct sweep *s, struct ingest_counts *counts, struct item *item,
		       struct err *err)
{
	return ingest_envelope(&item->result, counts, s->site, item->envelope, item->bytes.size,
			       err) &&
	       (item->result != INGEST_STORED ||
		db_run(s->site->db, STMT_INCOMPLETE_REMOVE,
		       DB_ARGS(db_int(s->cap->id), db_text(item->entry->name)), err));
}

/* And let go of notes on objects that somebody else took away. */
static bool store_fresh(struct sweep *s, struct err *err)
{
	int64_t before = site_now(s->site) - FORGET_S;

	for (size_t i = 0; i < s->fresh_count; i++)
		if (!db_run(s->site->db, STMT_INCOMPLETE_ADD,
			    DB_ARGS(db_int(s->cap->id), db_text(s->fresh[i]),
				    db_int(site_now(s->site))),
			    err))
			return false;
	for (size_t i = 0; i < s->gone_count; i++)
		if (!db_run(s->site->db, STMT_INCOMPLETE_REMOVE,
			    DB_ARGS(db_int(s->cap->id), db_text(s->gone[i])), err))
			return false;
	s->fresh_count = 0;
	s->gone_count = 0;
	return db_run(s->site->db, STMT_INCOMPLETE_FORGET,
		      DB_ARGS(db_int(s->cap->id), db_int(before)), err);
}

static bool store_batch(struct sweep *s, struct err *err)
{
	SITE_UNDO struct site *undo = s->site;
	struct ingest_counts counts = s->result->counts;

	if (s->item_count == 0 && s->fresh_count == 0 && s->gone_count == 0)
		return true;
	if (!site_begin(s->site, err))
		return false;
	for (size_t i = 0; i < s->item_count; i++)
		if (!store_item(s, &counts, &s->items[i], err))
			return false;
	if (!store_fresh(s, err) || !site_commit(s->site, err))
		return false;
	s->result->counts = counts;
	return true;
}

/* What was decided about an object, after it is on disk. */
static bool settle(struct sweep *s, const struct item *item, struct err *err)
{
	bool stays = false;

	switch (item->result) {
	case INGEST_STORED:
		inbox_delete(&s->inbox, item->entry->name);
		return true;
	case INGEST_PENDING:
	case INGEST_OVER_QUOTA:
		s->senders[item->entry->sender].is_over |= item->result == INGEST_OVER_QUOTA;
		if (!let_wait(&stays, s, item->entry, ingest_result_name(item->result), err))
			return false;
		s->result->waiting += stays;
		return true;
	case INGEST_REMOVED:
	case INGEST_CROWDED:
	case INGEST_GIVEN_UP:
	case INGEST_RESULT_COUNT_:
	default:
		refuse(s, item->entry->name, buf_span(&item->bytes),
		       ingest_result_name(item->result));
		return true;
	}
}

/* Only what is durable may be deleted. */
static bool flush(struct sweep *s, struct err *err)
{
	bool done = store_batch(s, err);

	for (size_t i = 0; done && i < s->item_count; i++)
		done = settle(s, &s->items[i], err);
	/* Those that wait for the first time are noted. */
	if (done && (s->fresh_count > 0 || s->gone_count > 0)) {
		size_t count = s->item_count;

		s->item_count = 0;
		done = store_batch(s, err);
		s->item_count = count;
	}
	drop_batch(s);
	return done;
}

/* Takes the envelope and the object's bytes over. */
static bool add_item(struct sweep *s, const struct inbox_entry *entry, struct way_object *object,
		     struct envelope *envelope, struct err *err)
{
	struct item *item = &s->items[s->item_count++];

	*item = (struct item){ .entry = entry, .bytes = object->bytes, .envelope = envelope };
	object->bytes = (struct buf){ 0 };
	s->senders[entry->sender].objects++;
	s->senders[entry->sender].bytes += item->bytes.size;
	s->batch_bytes += item->bytes.size;
	if (s->item_count < INTAKE_BATCH_OBJECTS && s->batch_bytes < INTAKE_BATCH_BYTES)
		return true;
	return flush(s, err);
}

/* ---- objects ---- */

static const struct key *find_key(const char *client, void *ctx)
{
	struct sweep *s = ctx;

	keys_free(s->key);
	s->key = clientkey_find(s->site, client);
	return s->key;
}

static const struct key *find_former(const struct envelope_header *header, void *ctx)
{
	struct sweep *s = ctx;

	keys_free(s->key);
	s->key = clientkey_find_former(s->site, header);
	return s->key;
}

static bool wait_for_rest(struct sweep *s, const struct inbox_entry *entry, struct err *err)
{
	bool stays = false;

	if (!let_wait(&stays, s, entry, envelope_verdict_name(ENVELOPE_INCOMPLETE), err))
		return false;
	s->result->incomplete += stays;
	return true;
}

static bool take_object(struct sweep *s, const struct inbox_entry *entry, struct way_object *object,
			struct err *err)
{
	const struct envelope_reader reader = {
		.sealer = s->sealer,
		.find_key = find_key,
		.find_former = find_former,
		.ctx = s,
	};
	struct envelope *envelope = NULL;
	enum envelope_verdict verdict = envelope_open(&envelope, entry->name,
						      buf_span(&object->bytes), &reader);

	if (verdict == ENVELOPE_OK)
		return add_item(s, entry, object, envelope, err);
	if (verdict == ENVELOPE_INCOMPLETE)
		return wait_for_rest(s, entry, err);
	refuse(s, entry->name, buf_span(&object->bytes), envelope_verdict_name(verdict));
	return true;
}

/* What waits was read before: its bytes must not take the time of what is new. */
static bool may_read_again(struct sweep *s, const struct inbox_entry *entry)
{
	if (entry->class != INBOX_WAITING)
		return true;
	s->waiting_bytes += entry->size;
	return s->waiting_bytes <= INTAKE_WAITING_BYTES;
}

static bool take_entry(struct sweep *s, const struct inbox_entry *entry, struct err *err)
{
	SCOPED(way_object) struct way_object object = { 0 };

	if (entry->class == INBOX_FOREIGN) {
		refuse_unread(s, entry, envelope_verdict_name(ENVELOPE_WRONG_NAME));
		return true;
	}
	if (entry->size > ENVELOPE_SIZE_MAX || entry->promised.length > ENVELOPE_SIZE_MAX) {
		refuse_unread(s, entry, envelope_verdict_name(ENVELOPE_TOO_LARGE));
		return true;
	}
	if (entry->size != entry->promised.length || !may_read_again(s, entry))
		return wait_for_rest(s, entry, err);
	if (inbox_read(&object, &s->inbox, entry->name, &s->why) == NAL_CLASS_OK)
		return take_object(s, entry, &object, err);
	/* It may be gone, or be readable next time. */
	return true;
}

/* True if this object's client had its share of the sweep. What is over its quota waits unread. */
static bool had_its_share(const struct sweep *s, const struct inbox_entry *entry)
{
	const struct sender *sender = &s->senders[entry->sender];

	return sender->objects >= INTAKE_PER_CLIENT_MAX ||
	       sender->bytes >= INTAKE_PER_CLIENT_BYTES || sender->is_over;
}

/* Enrolments come first and are stored before the records that they let in. */
static bool take_all(struct sweep *s, struct err *err)
{
	enum inbox_class class = INBOX_ENROLMENT;

	for (size_t i = 0; i < s->inbox.count; i++) {
		const struct inbox_entry *entry = &s->inbox.entries[i];

		if (way_is_broken(s->inbox.way))
			break;
		if (had_its_share(s, entry)) {
			s->result->is_more |= !s->senders[entry->sender].is_over;
			continue;
		}
		if (entry->class != class && !flush(s, err))
			return false;
		class = entry->class;
		if (!take_entry(s, entry, err))
			return false;
	}
	return flush(s, err);
}

/* ---- CAPs ---- */

static void note_failure(struct intake_result *result, const struct system *cap,
			 const struct err *why)
{
	if (result->caps_failed++ == 0)
		snprintf(result->why, sizeof(result->why), "%.64s: %.400s", cap->name, why->why);
}

static bool sweep_inbox(struct sweep *s, struct err *err)
{
	int64_t noted;
	bool done;

	if (!db_number(&noted, s->site->db, STMT_INCOMPLETE_COUNT, DB_ARGS(db_int(s->cap->id)), 0,
		       err))
		return false;
	s->noted = (size_t)noted;
	s->waiting_bytes = 0;
	s->senders = alloc_zeroed(MAX_OF(s->inbox.sender_count, (size_t)1), sizeof(*s->senders));
	done = take_all(s, err) && tell_refusals(s, err);
	free(s->senders);
	s->senders = NULL;
	if (s->inbox.count > 0 && way_is_broken(s->inbox.way))
		note_failure(s->result, s->cap, &s->why);
	s->result->is_more |= s->inbox.is_cut;
	return done;
}

/* An inbox that cannot be read is the CAP's failure; a database that cannot be written is ours. */
static bool sweep_cap(struct sweep *s, struct system *cap, struct err *err)
{
	static const struct inbox_limits limits = {
		.max = { [INBOX_ENROLMENT] = INTAKE_ENROL_MAX,
			 [INBOX_RECORDS] = INTAKE_LIST_MAX,
			 [INBOX_STRANGERS] = INTAKE_LIST_MAX,
			 [INBOX_WAITING] = INTAKE_WAITING_MAX,
			 [INBOX_OUTSIDERS] = INTAKE_OUTSIDERS_MAX,
			 [INBOX_FOREIGN] = INTAKE_FOREIGN_MAX },
		.share = INTAKE_PER_CLIENT_MAX,
	};
	struct err why = { 0 };
	bool done = true;

	s->cap = cap;
	if (!inbox_open(&s->inbox, s->site, cap, &limits, &why))
		note_failure(s->result, cap, &why);
	else
		done = sweep_inbox(s, err);
	drop_batch(s);
	s->tally_count = 0;
	inbox_close(&s->inbox);
	return done;
}

static bool sweep_all(struct sweep *s, struct system_list *caps, struct err *err)
{
	for (size_t i = 0; i < caps->count; i++)
		if (!sweep_cap(s, &caps->items[i], err))
			return false;
	return true;
}

static bool sweep(struct intake_result *result, struct site *site, struct system_list *caps,
		  struct err *err)
{
	SCOPED(quarantine) struct quarantine quarantine = { 0 };
	SCOPED(sealer) struct sealer *sealer = NULL;
	struct sweep *s;
	bool done;

	if (!sitekeys_load_sealer(&sealer, site, err))
		return false;
	quarantine_open(&quarantine, site);
	s = alloc_zeroed(1, sizeof(*s));
	s->site = site;
	s->sealer = sealer;
	s->quarantine = &quarantine;
	s->result = result;
	done = sweep_all(s, caps, err);
	keys_free(s->key);
	free(s->fresh);
	free(s->gone);
	free(s);
	return done;
}

bool intake_run(struct intake_result *out, struct site *site, struct err *err)
{
	SCOPED(system_list) struct system_list caps = { 0 };
	SCOPED_FD int lock = -1;
	struct receipts_result receipts;

	*out = (struct intake_result){ 0 };
	if (!site_lock(&lock, site, "intake", LOCK_WAIT_MS, err) ||
	    !system_load(&caps, site, MARKER_CAP, SYSTEM_LIVE, err) ||
	    !sweep(out, site, &caps, err) || !receipts_publish(&receipts, site, &caps, err))
		return false;
	out->receipts = receipts.written;
	if (receipts.caps_failed > out->caps_failed) {
		if (out->caps_failed == 0)
			memcpy(out->why, receipts.why, sizeof(out->why));
		out->caps_failed = receipts.caps_failed;
	}
	return true;
}

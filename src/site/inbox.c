#include "site/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/random.h"
#include "common/text.h"
#include "site/capcopy.h"
#include "site/fairlist.h"
#include "site/own.h"
#include "site/reach.h"

/* ---- order ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Clients one after another, each with its objects in sequence. */
static int compare_clients(const void *a, const void *b)
{
	const struct inbox_entry *x = a, *y = b;
	int order = (int)x->class - (int)y->class;

	if (order == 0 && x->class != INBOX_FOREIGN) {
		order = strcmp(x->promised.client, y->promised.client);
		if (order == 0)
			order = strcmp(x->promised.stream, y->promised.stream);
		if (order == 0)
			order = compare_numbers(x->promised.first, y->promised.first);
	}
	return order != 0 ? order : strcmp(x->name, y->name);
}

static int compare_turns(const void *a, const void *b)
{
	const struct inbox_entry *x = a, *y = b;
	int order = (int)x->class - (int)y->class;

	if (order == 0)
		order = compare_numbers(x->turn, y->turn);
	if (order == 0)
		order = compare_numbers(x->lot, y->lot);
	return order != 0 ? order : compare_clients(a, b);
}

static uint64_t lot_of(const struct inbox_entry *entry, uint64_t salt)
{
	uint8_t bytes[8] = { 0 };
	char hex[17];
	uint64_t number = 0;

	if (entry->class == INBOX_FOREIGN)
		return 0;
	/* An id is a hash already. */
	memcpy(hex, entry->promised.client, 16);
	hex[16] = '\0';
	if (!text_unhex(bytes, sizeof(bytes), hex))
		return 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		number = number << 8 | bytes[i];
	return number ^ salt;
}

static bool same_client(const struct inbox_entry *a, const struct inbox_entry *b)
{
	return a->class == b->class && a->class != INBOX_FOREIGN &&
	       strcmp(a->promised.client, b->promised.client) == 0;
}

size_t inbox_sort(struct inbox_entry *entries, size_t count, uint64_t salt)
{
	size_t senders = 0;

	if (count == 0)
		return 0;
	qsort(entries, count, sizeof(*entries), compare_clients);
	for (size_t i = 0; i < count; i++) {
		bool follows = i > 0 && same_client(&entries[i], &entries[i - 1]);

		entries[i].turn = follows ? entries[i - 1].turn + 1 : 0;
		entries[i].lot = lot_of(&entries[i], salt);
		entries[i].sender = follows ? senders - 1 : senders++;
	}
	qsort(entries, count, sizeof(*entries), compare_turns);
	return senders;
}

/* ---- listing ---- */

/* Objects of one class, each in its place. */
struct pool {
	struct fairlist *list;
	struct inbox_entry *entries;
	size_t count;
};

struct listing {
	struct site *site;
	const struct system *cap;
	struct pool pools[INBOX_CLASS_COUNT_];
	size_t looked;
	bool is_cut;
	bool has_noted; /* some wait, by the database */
};

/* Found in the database; a fault of it counts as no. */
static bool is_found(struct site *site, size_t statement, const struct db_value *args, size_t count)
{
	SCOPED(db_rows) struct db_rows rows = db_query(site->db, statement, args, count);

	return db_rows_next(&rows);
}

static bool is_noted(const struct listing *l, const char *name)
{
	return l->has_noted &&
	       is_found(l->site, STMT_INCOMPLETE_SINCE, DB_ARGS(db_int(l->cap->id), db_text(name)));
}

static bool is_known(const struct listing *l, const char *client)
{
	return is_found(l->site, STMT_CLIENT_STATE, DB_ARGS(db_text(client)));
}

static bool is_in_stream(const struct listing *l, const struct envelope_name *name)
{
	return is_found(l->site, STMT_STREAM_FIND,
			DB_ARGS(db_text(name->client), db_text(name->stream)));
}

static enum inbox_class class_of(struct inbox_entry *entry, const struct listing *l)
{
	if (!envelope_name_parse(&entry->promised, entry->name))
		return INBOX_FOREIGN;
	if (entry->size != entry->promised.length || is_noted(l, entry->name))
		return INBOX_WAITING;
	if (entry->promised.first == 0)
		return INBOX_ENROLMENT;
	if (is_in_stream(l, &entry->promised))
		return INBOX_RECORDS;
	return is_known(l, entry->promised.client) ? INBOX_STRANGERS : INBOX_OUTSIDERS;
}

/* Anybody can write any name, or ask to be let in: then whose it is tells nothing. */
static bool is_shared(enum inbox_class class)
{
	return class == INBOX_ENROLMENT || class == INBOX_OUTSIDERS || class == INBOX_FOREIGN;
}

/* Whose share of its class it takes. */
static const char *sender_of(const struct inbox_entry *entry, const struct listing *l)
{
	if (is_shared(entry->class) ||
	    (entry->class == INBOX_WAITING && !is_known(l, entry->promised.client)))
		return "";
	return entry->promised.client;
}

static void put_in_place(struct pool *pool, size_t place, struct inbox_entry *entry)
{
	if (place == pool->count) {
		ALLOC_GROW(pool->entries, pool->count);
		pool->entries[pool->count++] = (struct inbox_entry){ 0 };
	}
	free(pool->entries[place].name);
	entry->name = alloc_text(entry->name);
	pool->entries[place] = *entry;
}

static bool note_entry(const struct way_entry *found, void *ctx)
{
	struct listing *l = ctx;
	struct inbox_entry entry = {
		.name = (char *)(uintptr_t)found->name, /* copied if it gets a place */
		.size = found->size,
		.mtime_s = found->mtime_s,
	};
	struct pool *pool;
	size_t place;

	if (found->is_folder)
		return true;
	l->is_cut = l->looked++ == INBOX_LOOK_MAX;
	if (l->is_cut)
		return false;
	entry.class = class_of(&entry, l);
	pool = &l->pools[entry.class];
	place = fairlist_place(pool->list, sender_of(&entry, l));
	if (place != FAIRLIST_NONE)
		put_in_place(pool, place, &entry);
	return true;
}

static bool look_for_noted(struct listing *l, struct err *err)
{
	int64_t noted;

	if (!db_number(&noted, l->site->db, STMT_INCOMPLETE_COUNT, DB_ARGS(db_int(l->cap->id)), 0,
		       err))
		return false;
	l->has_noted = noted > 0;
	return true;
}

static void begin_listing(struct listing *l, const struct inbox_limits *limits)
{
	for (size_t i = 0; i < INBOX_CLASS_COUNT_; i++) {
		uint64_t seed;

		random_bytes(&seed, sizeof(seed));
		l->pools[i].list = fairlist_new(
			limits->max[i], is_shared(i) ? limits->max[i] : limits->share, seed);
	}
}

/* Hands what has a place to the inbox. */
static void end_listing(struct inbox *inbox, struct listing *l)
{
	inbox->is_cut = l->is_cut;
	for (size_t i = 0; i < INBOX_CLASS_COUNT_; i++) {
		struct pool *pool = &l->pools[i];

		for (size_t k = 0; k < pool->count; k++) {
			if (!fairlist_is_live(pool->list, k)) {
				free(pool->entries[k].name);
				continue;
			}
			ALLOC_GROW(inbox->entries, inbox->count);
			inbox->entries[inbox->count++] = pool->entries[k];
		}
		inbox->is_cut |= fairlist_is_cut(pool->list);
		free(pool->entries);
		fairlist_free(pool->list);
	}
}

/* A flood is many questions to the database: they are asked in one state of it. */
static enum nal_class list(struct inbox *inbox, struct listing *l,
			   const struct inbox_limits *limits, struct err *err)
{
	DB_UNDO struct db *undo = l->site->db;
	enum nal_class class;

	if (!db_begin_reading(l->site->db, err) || !look_for_noted(l, err))
		return NAL_CLASS_UNKNOWN;
	begin_listing(l, limits);
	/* Folders count too, and a listing that hits its own limit breaks the way. */
	class = way_list(inbox->way, "", 2 * (size_t)INBOX_LOOK_MAX, note_entry, l, err);
	end_listing(inbox, l);
	return class;
}

static enum nal_class reach(struct inbox *inbox, struct site *site, struct system *cap,
			    struct err *err)
{
	SCOPED(locator) struct locator where = { 0 };
	const struct way_target target = { .where = &where, .server = cap->name };

	if (!capcopy_inbox(&where, site, inbox->tab, cap, err))
		return NAL_CLASS_UNKNOWN;
	return reach_acquire(&inbox->way, site, inbox->tab, &target, site, err);
}

bool inbox_open(struct inbox *out, struct site *site, struct system *cap,
		const struct inbox_limits *limits, struct err *err)
{
	struct listing listing = { .site = site, .cap = cap };
	enum nal_class class;
	uint64_t salt;

	*out = (struct inbox){ .site = site, .tab = own_new_table(site) };
	class = reach(out, site, cap, err);
	if (class == NAL_CLASS_OK)
		class = list(out, &listing, limits, err);
	if (class == NAL_CLASS_NOT_FOUND) {
		err_clear(err);
		return true;
	}
	random_bytes(&salt, sizeof(salt));
	out->sender_count = inbox_sort(out->entries, out->count, salt);
	return class == NAL_CLASS_OK;
}

void inbox_close(struct inbox *inbox)
{
	for (size_t i = 0; i < inbox->count; i++)
		free(inbox->entries[i].name);
	free(inbox->entries);
	if (inbox->tab != NULL)
		reach_release(inbox->site, inbox->tab, inbox->way);
	conntab_free(inbox->tab);
	*inbox = (struct inbox){ 0 };
}

/* ---- objects ---- */

enum nal_class inbox_read(struct way_object *out, struct inbox *inbox, const char *name,
			  struct err *err)
{
	static const struct way_get ask = { .max = ENVELOPE_SIZE_MAX };

	return way_get(out, inbox->way, name, &ask, err);
}

void inbox_delete(struct inbox *inbox, const char *name)
{
	struct err ignored;

	if (way_delete(inbox->way, name, &ignored) != NAL_CLASS_OK)
		err_clear(&ignored);
}

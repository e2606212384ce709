#include "site/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/random.h"
#include "common/text.h"
#include "site/capcopy.h"
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

void inbox_sort(struct inbox_entry *entries, size_t count, uint64_t salt)
{
	if (count == 0)
		return;
	qsort(entries, count, sizeof(*entries), compare_clients);
	for (size_t i = 0; i < count; i++) {
		bool follows = i > 0 && same_client(&entries[i], &entries[i - 1]);

		entries[i].turn = follows ? entries[i - 1].turn + 1 : 0;
		entries[i].lot = lot_of(&entries[i], salt);
	}
	qsort(entries, count, sizeof(*entries), compare_turns);
}

/* ---- listing ---- */

struct listing {
	struct inbox *inbox;
	size_t max;
};

static enum inbox_class class_of(struct envelope_name *promised, const char *name)
{
	if (!envelope_name_parse(promised, name))
		return INBOX_FOREIGN;
	return promised->first == 0 ? INBOX_ENROLMENT : INBOX_RECORDS;
}

static bool note_entry(const struct way_entry *found, void *ctx)
{
	struct listing *l = ctx;
	struct inbox *inbox = l->inbox;
	struct inbox_entry entry = { .size = found->size, .mtime_s = found->mtime_s };

	if (found->is_folder)
		return true;
	inbox->is_cut = inbox->count == l->max;
	if (inbox->is_cut)
		return false;
	entry.name = alloc_text(found->name);
	entry.class = class_of(&entry.promised, found->name);
	ALLOC_GROW(inbox->entries, inbox->count);
	inbox->entries[inbox->count++] = entry;
	return true;
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

bool inbox_open(struct inbox *out, struct site *site, struct system *cap, size_t max,
		struct err *err)
{
	struct listing listing = { .inbox = out, .max = max };
	enum nal_class class;
	uint64_t salt;

	*out = (struct inbox){ .site = site, .tab = own_new_table(site) };
	class = reach(out, site, cap, err);
	if (class == NAL_CLASS_OK)
		/* Folders count too, and a listing that hits its own limit breaks the way. */
		class = way_list(out->way, "", 2 * max + 1, note_entry, &listing, err);
	if (class == NAL_CLASS_NOT_FOUND) {
		err_clear(err);
		return true;
	}
	random_bytes(&salt, sizeof(salt));
	inbox_sort(out->entries, out->count, salt);
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

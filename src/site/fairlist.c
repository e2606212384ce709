#include "site/fairlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/random.h"

/* A sender and the places that are theirs. */
struct holder {
	char sender[FAIRLIST_SENDER_SIZE];
	uint64_t seen;
	size_t *places;
	size_t count;
};

struct fairlist {
	size_t max;
	size_t share;
	struct random_seq random;
	uint64_t salt;
	struct holder *holders;
	size_t holder_count;
	uint32_t *table; /* holder + 1 by a hash of the sender; 0: free */
	size_t table_size;
	bool *live; /* of places */
	size_t placed;
	size_t *idle; /* places that were taken from somebody */
	size_t idle_count;
	bool is_cut;
};

struct fairlist *fairlist_new(size_t max, size_t share, uint64_t seed)
{
	struct fairlist *list = alloc_zeroed(1, sizeof(*list));

	assert(max >= 1 && max < UINT32_MAX / 4 && share >= 1);
	list->max = max;
	list->share = share;
	random_seq_init(&list->random, seed, "fairlist");
	list->salt = random_seq_next(&list->random);
	list->table_size = 2;
	while (list->table_size < 2 * max)
		list->table_size *= 2;
	list->table = alloc_zeroed(list->table_size, sizeof(*list->table));
	list->live = alloc_zeroed(max, sizeof(*list->live));
	list->idle = alloc_zeroed(max, sizeof(*list->idle));
	return list;
}

void fairlist_free(struct fairlist *list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < list->holder_count; i++)
		free(list->holders[i].places);
	free(list->holders);
	free(list->table);
	free(list->live);
	free(list->idle);
	free(list);
}

/* ---- holders ---- */

/* FNV-1a from a salt that senders do not know. */
static uint64_t hash_of(const struct fairlist *list, const char *sender)
{
	uint64_t hash = list->salt;

	for (; *sender != '\0'; sender++)
		hash = (hash ^ (uint8_t)*sender) * 0x100000001b3U;
	return hash ^ hash >> 29;
}

/* Where in the table this sender's holder is, or would be. Half of the table stays free. */
static uint32_t *find_slot(const struct fairlist *list, const char *sender)
{
	size_t at = hash_of(list, sender) & (list->table_size - 1);

	while (list->table[at] != 0 &&
	       strcmp(list->holders[list->table[at] - 1].sender, sender) != 0)
		at = (at + 1) & (list->table_size - 1);
	return &list->table[at];
}

static struct holder *add_holder(struct fairlist *list, uint32_t *slot, const char *sender)
{
	struct holder *h;

	ALLOC_GROW(list->holders, list->holder_count);
	h = &list->holders[list->holder_count++];
	*h = (struct holder){ 0 };
	snprintf(h->sender, sizeof(h->sender), "%s", sender);
	*slot = (uint32_t)list->holder_count;
	return h;
}

/* ---- places ---- */

/* Half the share for everybody; what is above it becomes idle. */
static void halve_share(struct fairlist *list)
{
	list->share /= 2;
	for (size_t i = 0; i < list->holder_count; i++) {
		struct holder *h = &list->holders[i];

		while (h->count > list->share) {
			size_t place = h->places[--h->count];

			list->live[place] = false;
			list->idle[list->idle_count++] = place;
			list->is_cut = true;
		}
	}
}

static bool has_room(const struct fairlist *list)
{
	return list->idle_count > 0 || list->placed < list->max;
}

static size_t new_place(struct fairlist *list, struct holder *h)
{
	size_t place = list->idle_count > 0 ? list->idle[--list->idle_count] : list->placed++;

	list->live[place] = true;
	ALLOC_GROW(h->places, h->count);
	h->places[h->count++] = place;
	return place;
}

/* Each of a sender's uploads is as likely to be among the places as any other (reservoir). */
static size_t drawn_place(struct fairlist *list, const struct holder *h)
{
	uint64_t lot = random_seq_below(&list->random, h->seen);

	list->is_cut = true;
	return lot < h->count ? h->places[lot] : FAIRLIST_NONE;
}

size_t fairlist_place(struct fairlist *list, const char *sender)
{
	uint32_t *slot = find_slot(list, sender);
	struct holder *h = *slot != 0 ? &list->holders[*slot - 1] : NULL;

	assert(strlen(sender) < FAIRLIST_SENDER_SIZE);
	while (!has_room(list) && list->share > 1 && (h == NULL || h->count < list->share))
		halve_share(list);
	if (h == NULL && !has_room(list)) {
		list->is_cut = true;
		return FAIRLIST_NONE;
	}
	if (h == NULL)
		h = add_holder(list, slot, sender);
	h->seen++;
	return h->count < list->share && has_room(list) ? new_place(list, h) : drawn_place(list, h);
}

bool fairlist_is_live(const struct fairlist *list, size_t place)
{
	return place < list->placed && list->live[place];
}

bool fairlist_is_cut(const struct fairlist *list)
{
	return list->is_cut;
}

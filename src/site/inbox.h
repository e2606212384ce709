/*
 * The inbox of one CAP: its way, and its objects in the order in which they are to be taken.
 *
 *     inbox_open → entries … inbox_read, inbox_delete … → inbox_close
 */
#ifndef SITE_INBOX_H
#define SITE_INBOX_H

#include "nal/conntab.h"
#include "site/system.h"
#include "trust/envelope.h"

/* In the order in which they are taken. */
enum inbox_class {
	INBOX_ENROLMENT,
	INBOX_RECORDS,
	INBOX_FOREIGN, /* the name is none of an envelope */
};

struct inbox_entry {
	char *name;
	enum inbox_class class;
	struct envelope_name promised; /* what the name says; not for INBOX_FOREIGN */
	uint64_t size;
	int64_t mtime_s; /* by the CAP's clock; 0 if it does not tell */
	uint32_t turn;   /* the how-many-th of its client: all firsts go before all seconds */
	uint64_t lot;    /* of its client in this sweep */
};

struct inbox {
	struct site *site;
	struct conntab *tab;
	struct way *way;
	struct inbox_entry *entries;
	size_t count;
	bool is_cut; /* there is more than was listed */
};

/*
 * Reach the inbox and list at most `max` objects. They are ordered by turns, clients within a turn
 * by a lot that is drawn anew each time, so that no client waits for another that sends much. A
 * folder that does not exist is an empty inbox: the first publish makes it. `out` is to be closed
 * whatever the result; the fault says why the CAP could not be read.
 */
bool inbox_open(struct inbox *out, struct site *site, struct system *cap, size_t max,
		struct err *err) MUST_USE;
void inbox_close(struct inbox *inbox);

static inline void inbox_scoped(struct inbox *inbox)
{
	inbox_close(inbox);
}

/* Fetch an object of at most ENVELOPE_SIZE_MAX bytes; `out` is emptied first. */
enum nal_class inbox_read(struct way_object *out, struct inbox *inbox, const char *name,
			  struct err *err) MUST_USE;

/* Remove an object. What cannot be removed comes again, and is seen to be stored already. */
void inbox_delete(struct inbox *inbox, const char *name);

/* Put entries in their order, with this salt for the lots. */
void inbox_sort(struct inbox_entry *entries, size_t count, uint64_t salt);

#endif

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

#define INBOX_LOOK_MAX 1000000 /* objects that one listing goes through */

/* In the order in which they are taken. */
enum inbox_class {
	INBOX_ENROLMENT,
	INBOX_RECORDS,   /* of a client and a stream that the site knows */
	INBOX_STRANGERS, /* of a client that it knows and a stream that it does not: a new one, or
			    forged, since a stream is known to its client alone */
	INBOX_WAITING, /* not whole by its size, or noted as waiting already (table `incomplete`) */
	INBOX_OUTSIDERS, /* of a client that it does not know */
	INBOX_FOREIGN,   /* the name is none of an envelope */
	INBOX_CLASS_COUNT_,
};

struct inbox_entry {
	char *name;
	enum inbox_class class;
	struct envelope_name promised; /* what the name says; not for INBOX_FOREIGN */
	uint64_t size;
	int64_t mtime_s; /* by the CAP's clock; 0 if it does not tell */
	uint32_t turn;   /* the how-many-th of its client: all firsts go before all seconds */
	uint64_t lot;    /* of its client in this sweep */
	size_t sender;   /* a number for its client and class, below the inbox's sender_count */
};

/*
 * How many of each class a sweep looks at, and how many of one client. Whoever floods an inbox has
 * a share like everybody, drawn from all of theirs. What is left out stays for later sweeps.
 */
struct inbox_limits {
	size_t max[INBOX_CLASS_COUNT_];
	size_t share; /* where clients are told apart: all but enrolments, outsiders and foreign */
};

struct inbox {
	struct site *site;
	struct conntab *tab;
	struct way *way;
	struct inbox_entry *entries;
	size_t count;
	size_t sender_count;
	bool is_cut; /* there is more than was listed */
};

/*
 * Reach the inbox and list it, within the limits. Objects are ordered by turns, clients within a
 * turn by a lot that is drawn anew each time, so that no client waits for another that sends much.
 * A folder that does not exist is an empty inbox: the first publish makes it. `out` is to be closed
 * whatever the result; the fault says why the CAP could not be read.
 */
bool inbox_open(struct inbox *out, struct site *site, struct system *cap,
		const struct inbox_limits *limits, struct err *err) MUST_USE;
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

/* Put entries in their order, with this salt for the lots; returns the number of senders. */
size_t inbox_sort(struct inbox_entry *entries, size_t count, uint64_t salt);

#endif

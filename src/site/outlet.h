/*
 * A CAP or DP opened for writing: the way through its first address, its marker, objects put and
 * read back.
 *
 *     outlet_open → outlet_claim → outlet_put … → outlet_close
 */
#ifndef SITE_OUTLET_H
#define SITE_OUTLET_H

#include "common/digest.h"
#include "content/transfer.h"
#include "nal/conntab.h"
#include "site/system.h"

struct outlet {
	struct site *site;
	struct system *system;
	struct conntab *tab;
	struct locator where;
	struct way *way;
	bool is_new;    /* outlet_claim found no marker of ours: nothing we put is there */
	bool was_there; /* the last outlet_put kept what stood under the name */
	struct transfer_pace pace; /* its rate holds for what is written and read back together */
	bool was_stopped;          /* by may_go_on */
	bool (*may_go_on)(void *ctx);             /* asked in mid-object; NULL: always */
	void (*moved)(uint64_t bytes, void *ctx); /* told of bytes written; may be NULL */
	void *ctx;
};

/* Open the way. `out` is to be closed whatever the result. Faults are ERR_NET_* or ERR_IO. */
bool outlet_open(struct outlet *out, struct site *site, struct system *system, struct err *err)
	MUST_USE;
void outlet_close(struct outlet *o);

static inline void outlet_scoped(struct outlet *o)
{
	outlet_close(o);
}

/*
 * Make the folder ours: write the marker where there is none, or an old one of ours. ERR_REFUSED if
 * it belongs to another site, or to another system of this one; or if there is no marker because
 * the file system that it lay on is not mounted. A removed system claims nothing: where the marker
 * is not its own any more it is only told so by `is_new`; so is an external one, into which nothing
 * is ever written.
 */
bool outlet_claim(struct outlet *o, struct err *err) MUST_USE;

/* The content of an object: bytes, or a file as it is when it is opened. */
struct outlet_source {
	struct span bytes;
	const char *path; /* NULL: bytes */
};

enum outlet_mode {
	OUTLET_CREATE,  /* one that is there already is kept: `was_there`; the caller looks into it
			 */
	OUTLET_REPLACE, /* readers see the old one or the new one */
};

bool outlet_put(struct outlet *o, const char *name, const struct outlet_source *source,
		enum outlet_mode mode, struct err *err) MUST_USE;

/*
 * Put an object of `size` bytes and read it back, beside the writing where that can be: the faults
 * are those of outlet_put, then those of outlet_check. What stood there already is read back too.
 */
bool outlet_put_checked(struct outlet *o, const char *name, const struct outlet_source *source,
			enum outlet_mode mode, uint64_t size, const struct digest *expected,
			struct err *err) MUST_USE;

/* Replace 1 to WAY_TOGETHER_MAX small objects of one folder, flushed together: way_replace_all. */
bool outlet_replace_all(struct outlet *o, const char *folder, const struct way_small *objects,
			size_t count, struct err *err) MUST_USE;

/* Read an object back and compare: ERR_CORRUPT, ERR_NOT_FOUND, or why it could not be read. */
bool outlet_check(struct outlet *o, const char *name, uint64_t size, const struct digest *expected,
		  struct err *err) MUST_USE;

/* Remove an object; one that is not there is fine. */
bool outlet_remove(struct outlet *o, const char *name, struct err *err) MUST_USE;

/* The local folder behind the outlet; NULL if it is not one. Borrowed. */
const char *outlet_folder(const struct outlet *o);

#endif

/*
 * One CAP brought to the present publication: files, receipts, inbox, cleaning.
 */
#ifndef SITE_CAPCOPY_H
#define SITE_CAPCOPY_H

#include "site/system.h"
#include "trust/publication.h"

struct capcopy_job {
	const struct publication_paths *files;   /* in the order in which they may appear */
	const struct publication_paths *garbage; /* no longer needed anywhere */
	int64_t timestamp_version;               /* of the publication */
	struct span timestamp; /* its bytes: a later publication replaces the file */
};

/* Bring it up to date; `files_out` says how many files were written. Receipts go along. */
bool capcopy_run(size_t *files_out, struct site *site, struct system *cap,
		 const struct capcopy_job *job, struct err *err) MUST_USE;

/*
 * The folder from which the site sweeps a CAP's uploads, as a locator; `out` must be empty. May ask
 * an http address whose it is.
 */
struct conntab;
bool capcopy_inbox(struct locator *out, struct site *site, struct conntab *tab, struct system *cap,
		   struct err *err) MUST_USE;

#endif

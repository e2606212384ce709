/*
 * Receipts: what the site has of each client, signed, on every CAP.
 *
 * They are made and kept in the database, and so is what each CAP lacks: one that cannot be reached
 * gets it at a later run.
 */
#ifndef SITE_RECEIPTS_H
#define SITE_RECEIPTS_H

#include "site/system.h"

struct receipts_result {
	size_t written;         /* shards that something had changed in */
	size_t caps_failed;     /* they did not take what they lack */
	char why[ERR_TEXT_MAX]; /* the first of those failures: "cap1: …" */
};

/*
 * Write the receipt shards that something changed in, and put on each of `caps` what it lacks.
 * Restartable at any point: no two documents have one serial. A fault is one of this machine.
 */
bool receipts_publish(struct receipts_result *out, struct site *site, struct system_list *caps,
		      struct err *err) MUST_USE;

#endif

/*
 * What this machine is: the tables of docs/ARCHITECTURE.md 5, without `client_id`.
 *
 * Reads local files only. Network mounts are never touched: a dead server must not hold up an
 * inventory. What cannot be read is left out; it is no fault.
 */
#ifndef AGENT_INVENTORY_H
#define AGENT_INVENTORY_H

#include <stdint.h>

#include "common/jsondoc.h"
#include "common/macros.h"

#define INVENTORY_PACKAGES_MAX 20000
#define INVENTORY_DISKS_MAX    64
#define INVENTORY_BYTES_MAX    ((size_t)900 << 10) /* of a record, which has to fit an envelope */

struct inventory_options {
	const char *root;    /* where /etc, /proc, /sys and /var are; NULL: "/" */
	const char *address; /* replaces the live addresses, comma-separated; NULL: look */
	const char *name;    /* replaces the host's name; NULL: look */
	const char *site;    /* NULL: none */
	const char *machine; /* the machine's id; NULL: none */
};

/* Take the inventory: an object of tables, each an array of rows. The caller owns it. */
json_t *inventory_take(const struct inventory_options *options) MUST_USE;

/*
 * A number that changes when the tables change, disks' free space apart (it always does). Not a
 * cryptographic hash. Never 0.
 */
uint64_t inventory_fingerprint(const json_t *tables);

/* The record for the outbox; `tables` is borrowed, the caller owns the result. */
json_t *inventory_record(json_t *tables, int64_t now_s) MUST_USE;

#endif

/*
 * The worker's operations, one file each; docs/ARCHITECTURE.md 7 has their requests and results.
 * All have the shape of worker_handler_fn.
 *
 * The first group may use the network. The second runs in a child without any and acts on verified
 * bytes only; its answers are what the supervisor believes.
 */
#ifndef AGENT_OP_H
#define AGENT_OP_H

#include "agent/worker.h"

worker_handler_fn op_refresh;
worker_handler_fn op_locate;
worker_handler_fn op_fetch;
worker_handler_fn op_demand;
worker_handler_fn op_connections;
worker_handler_fn op_upload;
worker_handler_fn op_receipts;
worker_handler_fn op_doctor;
worker_handler_fn op_probe;

worker_handler_fn op_found;
worker_handler_fn op_evaluate;
worker_handler_fn op_rekey;
worker_handler_fn op_seal;
worker_handler_fn op_receipt_check;
worker_handler_fn op_verify;

/* The third is root's keeper's (worker_options), which has no network either. */
worker_handler_fn op_build;

/* Policy not older than the poll interval, or a word why not; for operations of commands. */
void op_refresh_if_old(struct worker *w);

/*
 * What `demand` keeps open between a mount's requests. op_demand_yield is called before each
 * request (w->peer asks): other mounts let go of what it needs or makes stale, until they ask
 * again. The others: one peer is gone; the worker ends.
 */
void op_demand_yield(struct worker *w, const json_t *request);
void op_demand_drop(struct worker *w, int peer);
void op_demand_close(struct worker *w);

#endif

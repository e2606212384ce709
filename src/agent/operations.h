/*
 * The worker's operations, one file each (operations are named in docs/ARCHITECTURE.md 7 with their
 * requests and results). All have the shape of worker_handler_fn. The first group may use the
 * network; the second runs in a child without any and acts on verified bytes only.
 */
#ifndef AGENT_OPERATIONS_H
#define AGENT_OPERATIONS_H

#include "agent/worker.h"

worker_handler_fn operations_refresh;
worker_handler_fn operations_locate;
worker_handler_fn operations_fetch;
worker_handler_fn operations_connections;
worker_handler_fn operations_upload;
worker_handler_fn operations_receipts;
worker_handler_fn operations_probe;
worker_handler_fn operations_doctor;

worker_handler_fn operations_evaluate;
worker_handler_fn operations_seal;
worker_handler_fn operations_receipt_check;
worker_handler_fn operations_verify;

#endif

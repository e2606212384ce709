/*
 * The worker: the process that does network, parsing and assembly for a client. It answers JSON
 * requests (docs/ARCHITECTURE.md 7) on one or more stream sockets, one request at a time, and keeps
 * its sessions open between requests. With --offline it answers one request without any network and
 * ends; with --keep the one that builds content, as root, out of what a worker gives.
 *
 * Each operation has a handler in a file of its own; the table in worker.c joins them.
 */
#ifndef AGENT_WORKER_H
#define AGENT_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/sandbox.h"
#include "agent/state.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

#define WORKER_PEERS_MAX 64

struct scene;
struct demand;

/* What the command line of packway-worker says. */
struct worker_options {
	const char *state_dir;
	bool offline;        /* one request, no network */
	bool keeps;          /* besides: root's keeper, who owns the finished trees */
	uint32_t linger_s;   /* sessions and the process stay this long after the last request */
	const char *address; /* replaces this machine's addresses; comma-separated, NULL for none */
	const char *mounts;  /* mount table to read; NULL for this process's own */
	const char *tls_ca;  /* file of certificates to trust beside the system's; NULL for none */
	struct sandbox_account account;
	const struct sandbox *sandbox; /* what this process gave up; NULL: it did not */
	const struct clock *clock; /* NULL for the system's; the network's timeouts never ask it */
};

/* What an operation has left to do once its answer is out; frees `ctx`. */
typedef void worker_rest_fn(void *ctx);

struct worker {
	struct state state;
	struct worker_options options;
	const struct clock *clock;
	struct scene *scene; /* what is known of the site and its servers; made when first needed */
	struct demand *demands; /* what mounts that ask have open; NULL: none asked */
	int peer;               /* the socket of the request at hand */
	int passed;             /* a descriptor that came with it, until it is taken; -1: none */
	int64_t viewer;         /* uid of the user who asks; -1: the system (context.h) */
	bool peer_gone;         /* nobody listens to the request at hand any more */
	bool talks;             /* the request at hand most likely needs HTTP */
	bool loads_http;        /* http_loader was started, to load libcurl before it is needed */
	pthread_t http_loader;
	worker_rest_fn *rest; /* NULL: nothing */
	void *rest_ctx;
};

/* Handle one request; the caller owns *result_out. Events go out by worker_event. */
typedef bool worker_handler_fn(json_t **result_out, struct worker *w, const json_t *request,
			       struct err *err);

/* Serve until the first peer closes, or, once a peer was attached, until idle for linger_s. */
bool worker_serve(const struct worker_options *options, int socket, struct err *err) MUST_USE;

/* Send an event to whoever asked; takes over `event`. False once that peer is gone. */
bool worker_event(struct worker *w, json_t *event);

/*
 * The line to a keeper (content/handover.h), which the caller closes: what came with the request,
 * or else whoever asked starts one.
 */
bool worker_need_keeper(int *socket_out, struct worker *w, struct err *err) MUST_USE;

/*
 * libcurl takes as long to load as the policy to be verified: load it meanwhile, if the request at
 * hand needs it. Libraries are loaded one after the other, so the caller has loaded its own.
 */
void worker_load_http(struct worker *w);

/* Do what an operation has left, if it has, once its answer is out. */
void worker_do_rest(struct worker *w);

/* A record event: {"event":"record","record":…}; takes over `record`. */
void worker_record(struct worker *w, json_t *record);

#endif

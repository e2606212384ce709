/*
 * The built-in HTTP server of `packway-site serve`: plain files of one folder, and inboxes that
 * take envelopes. It knows nothing of the database: what is due now and then (publish, distribute,
 * intake) runs in children of its own, so that no request waits for a cycle.
 *
 *     GET, HEAD   any file beneath the folder: one range, ETag, If-None-Match, If-Modified-Since
 *     PUT         …/inbox/<name>: create only, and only names of envelopes
 * (docs/formats/envelope.md) GET /packway-serve.json   who serves here
 *
 * Nothing is executed, listed or replaced. Names stay beneath the folder, through no symbolic link.
 */
#ifndef SITE_SERVER_H
#define SITE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define SERVER_TIMEOUT_S 60 /* a connection that neither asks nor takes bytes is closed after it \
			     */
#define SERVER_CONNECTIONS 4000
#define SERVER_CYCLES_MAX  8
#define SERVER_HEADERS_MAX 16384 /* bytes of one request's head */

/* Called in a child process; its result is the child's exit code. Must open what it needs itself.
 */
typedef int server_cycle_fn(void *ctx);

struct server_cycle {
	const char *name;
	server_cycle_fn *run;
	void *ctx;
	uint32_t every_ms; /* from the end of one to the begin of the next */
	bool on_upload;    /* also soon after an envelope has arrived */
};

struct server_options {
	const char *host; /* address to listen on */
	uint16_t port;
	const char *folder;   /* what is served */
	struct span identity; /* the bytes of /packway-serve.json */
	const char *tls_cert; /* PEM files; NULL: plain HTTP */
	const char *tls_key;
	const struct server_cycle *cycles;
	size_t cycle_count;
};

/*
 * Serve until SIGTERM or SIGINT; then children are ended and true is returned. ERR_NET if the
 * address cannot be listened on, ERR_NET_TLS if certificate and key do not fit.
 */
bool server_run(const struct server_options *options, struct err *err) MUST_USE;

#endif

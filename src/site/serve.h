/*
 * `packway-site serve`: the HTTP server, and the cycles on timers in processes of their own, so
 * that no request ever waits for one.
 *
 *     serve ── event loop, HTTP
 *       ├─ publish and intake: every few seconds, and when an upload arrived
 *       ├─ distribute: its own, since it may wait for slow DPs
 *       └─ patches: its own, since making them takes minutes
 *
 * A process of the cycles that dies is started again after a moment; all of them end with serve.
 */
#ifndef SITE_SERVE_H
#define SITE_SERVE_H

#include "site/policydoc.h"
#include "site/site.h"

struct serve_options {
	const char *listen;
	const char *tls_cert;
	const char *tls_key;
	struct policydoc_settings settings;
	int64_t publish_every_s;
	int64_t intake_every_s;
	int64_t distribute_every_s;
	int64_t keep_s;
	uint64_t patch_memory;    /* bytes that making a patch may take */
	uint32_t patch_cpu;       /* per cent of one processor, the same; 0: all that it gets */
	uint64_t reserve;         /* bytes of the disk that no upload may use */
	void (*ready)(void *ctx); /* called once, listening; may be NULL */
	void *ctx;
};

/* Serve until SIGTERM or SIGINT. The fault is why it could not begin. */
bool serve_run(struct site *site, const struct serve_options *options, struct err *err) MUST_USE;

#endif

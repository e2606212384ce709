/*
 * The built-in HTTP server: SITE/www for reading, inboxes for putting, nothing else.
 *
 * It parses nothing but HTTP and names, holds no key, and touches no database: what is put lies in
 * an inbox until the intake looks. One thread, one event loop.
 */
#ifndef SITE_SERVER_H
#define SITE_SERVER_H

#include "site/site.h"

struct event_base;
struct server;

struct server_options {
	const char *listen;   /* ADDR:PORT, [ADDR]:PORT */
	const char *tls_cert; /* PEM chain; NULL: plain HTTP */
	const char *tls_key;
	uint64_t reserve;           /* bytes of the disk that no upload may use (reserve.h) */
	void (*arrived)(void *ctx); /* told after each accepted upload; may be NULL */
	void *ctx;
};

/* Listen. ERR_USAGE for an address that is none, ERR_IN_USE for one that is taken, ERR_NET_TLS. */
bool server_open(struct server **out, struct event_base *base, const struct site *site,
		 const struct server_options *options, struct err *err) MUST_USE;
void server_close(struct server *server);

/*
 * In a process that was forked off: give up the listening socket, so that it is free as soon as the
 * server has ended. The server is not used there otherwise.
 */
void server_let_go(struct server *server);

#endif

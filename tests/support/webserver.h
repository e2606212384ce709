/*
 * Real and hostile web servers for tests, on loopback: nginx over a folder, a server that
 * misbehaves in one chosen way, and a port where connects hang.
 */
#ifndef TESTS_SUPPORT_WEBSERVER_H
#define TESTS_SUPPORT_WEBSERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"

struct webserver {
	pid_t pid; /* 0: none runs */
	uint16_t port;
	uint16_t tls_port; /* nginx: the same over TLS and HTTP/2; 0: it has none */
	char *dir;         /* nginx: its folder; "root" in it is what it serves */
	int fds[8];        /* descriptors that stand for the server */
	size_t fd_count;
};

enum webserver_fault {
	WEBSERVER_SILENT,         /* accepts and never answers */
	WEBSERVER_DRIPS_HEAD,     /* one byte of the head a second */
	WEBSERVER_ENDLESS_HEAD,   /* header lines without end */
	WEBSERVER_ENDLESS_BODY,   /* no length, never stops */
	WEBSERVER_DRIPS_BODY,     /* announces 1,000,000 bytes, sends one every 100 ms */
	WEBSERVER_NO_RANGES,      /* answers 200 with the whole object whatever was asked */
	WEBSERVER_WRONG_RANGE,    /* 206 with other bytes than asked for */
	WEBSERVER_LONG_RANGE,     /* 206 whose body is longer than its Content-Range */
	WEBSERVER_FORCED_GZIP,    /* Content-Encoding: gzip */
	WEBSERVER_CUTS,           /* announces 100,000 bytes and hangs up after 1,000 */
	WEBSERVER_HANGS_UP,       /* closes after the request */
	WEBSERVER_SENDS_AWAY,     /* redirects to another host */
	WEBSERVER_SENDS_ROUND,    /* redirects to itself for ever */
	WEBSERVER_SENDS_ON,       /* redirects once, within itself */
	WEBSERVER_NO_HTTP,        /* talks SSH */
	WEBSERVER_BUSY,           /* 503 */
	WEBSERVER_FORBIDS,        /* 403 */
	WEBSERVER_LIES_UNCHANGED, /* 304 without being asked */
	WEBSERVER_FAULT_COUNT_,
};

/* The object that the misbehaving ones serve: byte i is i % 251, 100,000 bytes. */
#define WEBSERVER_OBJECT_SIZE 100000

/* Start nginx over DIR/root (made here, empty), with DAV's PUT and DELETE; stops the test if it
 * cannot. */
void webserver_nginx(struct webserver *server);

/* The same, and over TLS with HTTP/2 on tls_port, by the certificate DIR/cert.pem for 127.0.0.1. */
void webserver_nginx_tls(struct webserver *server);

void webserver_hostile(struct webserver *server, enum webserver_fault fault);

/* A port whose connects are never answered. */
void webserver_black_hole(struct webserver *server);

/* A port that refuses. */
void webserver_refusing(struct webserver *server);

/* Stop it and remove its folder. */
void webserver_stop(struct webserver *server);

/* nginx's log: lines of "connection requests method status uri". */
void webserver_log(struct buf *out, const struct webserver *server);

/* How many different connections nginx saw. */
unsigned webserver_connections(const struct webserver *server);

/* "http://127.0.0.1:PORT/PATH"; the caller frees it. */
char *webserver_url(const struct webserver *server, const char *path);

#endif

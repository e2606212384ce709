/*
 * One HTTP request and its answer over libcurl, guarded against every way a server can misbehave:
 * silence, dripping, endless heads and bodies, forced encodings, redirects to elsewhere.
 *
 * A session is one libcurl multi handle, whose connection cache serves every request to that
 * server, one after the other, or several at a time (httpspread.h). Requests block within the
 * limits; what they deliver is decided by the caller's body function. Used by provider_http.c
 * alone.
 */
#ifndef NAL_HTTPSESSION_H
#define NAL_HTTPSESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/curlcalls.h"
#include "nal/httpanswer.h"
#include "nal/provider.h"

#define HTTPSESSION_HEAD_MAX      65536 /* bytes of an answer's header lines */
#define HTTPSESSION_REDIRECTS_MAX 3
#define HTTPSESSION_SOCKETS_MAX   8

struct httpsession {
	struct session session; /* first, so that the two can be cast */
	struct curlcalls curl;
	CURLM *multi;
	struct curl_slist *resolved; /* the address that was connected to, pinned */
	struct way_link link;        /* connected, not used yet; fd -1: none */
	curl_socket_t sockets[HTTPSESSION_SOCKETS_MAX]; /* open ones; -1: free */
	uint32_t connect_ms;
	int connect_errno; /* of the last connect that failed */
	bool is_single;    /* it did not take several connections well */
	int window; /* bytes that the kernel may receive ahead of us, by connection; 0: any */
};

enum httpsession_body {
	HTTPSESSION_MORE,   /* go on */
	HTTPSESSION_ENOUGH, /* all that was wanted is here: end with NAL_CLASS_OK */
	HTTPSESSION_BAD,    /* NAL_CLASS_PROTOCOL; `err` was filled */
};

struct httpsession_answer {
	long status;
	uint64_t length; /* of the body as announced; UINT64_MAX: not announced */
	bool has_range;
	struct httpanswer_range range;
	char token[WAY_TOKEN_SIZE];
};

/* Takes a piece of the body of an answer with 2xx. */
typedef enum httpsession_body httpsession_body_fn(const struct httpsession_answer *answer,
						  struct span piece, void *ctx, struct err *err);

/* Judges the head of a 2xx answer before its body; may be called without a body following. */
typedef enum httpsession_body httpsession_head_fn(const struct httpsession_answer *answer,
						  void *ctx, struct err *err);

struct httpsession_request {
	const char *method; /* "GET", "HEAD", "PUT", "DELETE" */
	const char *url;
	const char *headers[3];    /* further lines; NULL ends */
	const struct way_put *put; /* what to send; NULL: nothing */
	httpsession_head_fn *head; /* NULL: any 2xx will do */
	httpsession_body_fn *body; /* NULL: bodies are dropped */
	void *ctx;
};

/* Open a session; no traffic. Takes the link over. */
enum nal_class httpsession_open(struct session **out, const struct way_target *target,
				const struct way_limits *limits, struct way_link link,
				struct err *err);

void httpsession_close(struct session *session);

/* True unless every connection of the session was closed by the peer. */
bool httpsession_is_alive(const struct session *session);

/*
 * Send a request and see it through. 2xx and 304 are NAL_CLASS_OK (look at answer->status); other
 * answers get their class. The session stays usable after any class.
 */
enum nal_class httpsession_ask(struct httpsession_answer *answer, struct httpsession *session,
			       const struct httpsession_request *request,
			       const struct way_limits *limits, struct err *err) MUST_USE;

/*
 * Several requests at a time, each over a connection of its own as far as there are some:
 *
 *     httpsession_begin* → { httpsession_turn, httpsession_is_over } → httpsession_end
 *
 * Redirects are not followed. What is given stays valid until the end; body functions are called
 * within httpsession_turn.
 */
struct httpsession_exchange;

struct httpsession_exchange *httpsession_begin(struct httpsession_answer *answer,
					       struct httpsession *session,
					       const struct httpsession_request *request,
					       const struct way_limits *limits, struct err *err)
	MUST_USE;

/* Let all of them go on, waiting up to `wait_ms` for one that can. */
void httpsession_turn(struct httpsession *session, uint32_t wait_ms);

/* True once it has ended, or was slower than its limits allow. */
bool httpsession_is_over(struct httpsession_exchange *x);

/* So much time was the caller's, not the server's. */
void httpsession_excuse(struct httpsession_exchange *x, uint64_t ms);

/* Its class, as of httpsession_ask; one that is not over is called off. Frees it. */
enum nal_class httpsession_end(struct httpsession_exchange *x);

/*
 * Let the kernel receive at most so many bytes before they are read, over each connection of the
 * session, those to come included; 0: as many as it likes, from now on.
 */
void httpsession_bound(struct httpsession *s, uint64_t bytes);

/* How long a round trip to the server takes, by the kernel's own measure; 0: not known. */
uint32_t httpsession_round_trip_us(const struct httpsession *s);

#endif

/*
 * Receipts: what the site says it has. One signed document per shard of client ids, replaced on
 * every CAP as receipts/<4 hex>.json; outside TUF, since clients fetch them only while records are
 * outstanding. See docs/formats/receipt.md.
 *
 * PURE.
 */
#ifndef TRUST_RECEIPT_H
#define TRUST_RECEIPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/keys.h"
#include "trust/signer.h"

#define RECEIPT_SIZE_MAX    ((size_t)4 << 20) /* bytes of one shard */
#define RECEIPT_CLIENTS_MAX 4096
#define RECEIPT_STREAMS_MAX 64  /* per client */
#define RECEIPT_REFUSED_MAX 200 /* per stream */
#define RECEIPT_NAME_MAX    64  /* characters of a client's name */
#define RECEIPT_REASON_MAX  128 /* characters of a reason */
#define RECEIPT_SHARD_SIZE  5   /* a shard, with its terminator */
#define RECEIPT_SITE_SIZE   4   /* a site's code, with its terminator */
#define RECEIPT_ID_SIZE     33  /* a client's or stream's id, with its terminator */
#define RECEIPT_KEY_SIZE    65  /* a public key in hexadecimal, with its terminator */

enum receipt_verdict {
	RECEIPT_OK,
	RECEIPT_UNCHANGED,     /* valid, and the same serial as seen before */
	RECEIPT_TOO_LARGE,     /* above RECEIPT_SIZE_MAX */
	RECEIPT_MALFORMED,     /* does not follow the format */
	RECEIPT_BAD_SIGNATURE, /* not signed by the site's receipt key */
	RECEIPT_WRONG_SITE,    /* signed, but of another site */
	RECEIPT_WRONG_SHARD,   /* signed, but of another shard */
	RECEIPT_ROLLBACK,      /* signed, but older than one seen before */
	RECEIPT_VERDICT_COUNT_,
};

/* "ok", "unchanged", …: travels unchanged into logs and messages. */
const char *receipt_verdict_name(enum receipt_verdict verdict);

enum receipt_state {
	RECEIPT_PENDING, /* waits for an admin */
	RECEIPT_ENROLLED,
	RECEIPT_REMOVED, /* the site takes nothing from this client any more */
	RECEIPT_STATE_COUNT_,
};

const char *receipt_state_name(enum receipt_state state);

struct receipt_refusal {
	uint64_t sequence;
	char reason[RECEIPT_REASON_MAX + 1];
};

struct receipt_stream {
	char id[RECEIPT_ID_SIZE];
	uint64_t high;               /* every number up to this one is stored or refused; 0: none */
	char chain[DIGEST_HEX_SIZE]; /* of the records up to `high` (trust/envelope.h); or empty */
	bool fork;                   /* one number came with two contents: start a new stream */
	struct receipt_refusal *refused; /* numbers up to `high` that were not stored */
	size_t refused_count;
};

struct receipt_client {
	char id[RECEIPT_ID_SIZE];
	enum receipt_state state;
	char name[RECEIPT_NAME_MAX + 1]; /* as the site knows it; may be empty */
	char key[RECEIPT_KEY_SIZE];      /* that it signs with; empty: the one that its id is of */
	struct receipt_stream *streams;
	size_t stream_count;
};

struct receipt {
	char site[RECEIPT_SITE_SIZE];
	char shard[RECEIPT_SHARD_SIZE];
	int64_t serial; /* grows with each version of this shard, from 1 */
	int64_t time_s;
	struct receipt_client *clients;
	size_t client_count;
};

void receipt_free(struct receipt *receipt);
SCOPED_FREE(receipt);

/* The shard of a client: the first four digits of its id. `dst` has room for RECEIPT_SHARD_SIZE. */
void receipt_shard(char *dst, const char *client);

/* ---- the site's side ---- */

/* An empty receipt; the caller frees it. */
struct receipt *receipt_new(const char *site, const char *shard, int64_t serial, int64_t time_s)
	MUST_USE;

/*
 * Add a client of this shard, a stream, a refused number. What is returned is borrowed until the
 * next thing of its kind is added. Names and reasons are cut to their limits at a whole character;
 * adding more than the limits above is a bug: whoever adds asks first, and leaves out the oldest
 * streams and refusals.
 */
struct receipt_client *receipt_add_client(struct receipt *receipt, const char *id,
					  enum receipt_state state, const char *name);
struct receipt_stream *receipt_add_stream(struct receipt_client *client, const char *id,
					  uint64_t high);
void receipt_add_refusal(struct receipt_stream *stream, uint64_t sequence, const char *reason);

/* Append the signed document to `out`. ERR_LIMIT if it is larger than RECEIPT_SIZE_MAX. */
bool receipt_write(struct buf *out, const struct receipt *receipt, const struct signer *key,
		   struct err *err) MUST_USE;

/* ---- the client's side ---- */

struct receipt_expected {
	const char *site;
	const char *shard;
	const struct key *key; /* the receipt key from site.json */
	int64_t serial_seen;   /* the highest serial accepted of this shard; 0: none */
};

/* `*out` is set for RECEIPT_OK and RECEIPT_UNCHANGED; the caller frees it. */
enum receipt_verdict receipt_open(struct receipt **out, struct span bytes,
				  const struct receipt_expected *expected) MUST_USE;

/* Borrowed from the receipt; NULL if it says nothing of the client or stream. */
const struct receipt_client *receipt_find_client(const struct receipt *receipt, const char *id);
const struct receipt_stream *receipt_find_stream(const struct receipt_client *client,
						 const char *id);

/* Why the site refused this number; NULL if it did not. Borrowed. */
const char *receipt_refusal_of(const struct receipt_stream *stream, uint64_t sequence);

/* The document without its signature: the parser alone, for its fuzzer. */
bool receipt_parse(struct receipt **out, const json_t *body) MUST_USE;

#endif

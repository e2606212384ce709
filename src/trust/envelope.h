/*
 * Envelopes: what a client puts into an inbox. Up to 200 records, sealed to the site's key and
 * signed by the client's, under a name that says whose they are and what the bytes must be. See
 * docs/formats/envelope.md.
 *
 * The inbox is a plain folder that anybody may write to and that may lose, cut, double or mix up
 * what it holds: envelope_open believes nothing that does not verify.
 *
 * PURE apart from the one-time key that sealing draws.
 */
#ifndef TRUST_ENVELOPE_H
#define TRUST_ENVELOPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/keys.h"
#include "trust/sealer.h"
#include "trust/signer.h"

#define ENVELOPE_SIZE_MAX    ((size_t)1 << 20) /* bytes of one object */
#define ENVELOPE_RECORDS_MAX 200
#define ENVELOPE_OVERHEAD    (160 + SEALER_OVERHEAD) /* bytes around the records' lines */
#define ENVELOPE_PAYLOAD_MAX (ENVELOPE_SIZE_MAX - ENVELOPE_OVERHEAD)
#define ENVELOPE_ID_SIZE     33  /* a client's or stream's id, with its terminator */
#define ENVELOPE_NAME_SIZE   192 /* a name, with its terminator */

/* What became of an object; the names are envelope_verdict_name's. */
enum envelope_verdict {
	ENVELOPE_OK,
	ENVELOPE_INCOMPLETE,     /* not (yet) the bytes that its name promises */
	ENVELOPE_WRONG_NAME,     /* the name is none of ours, or not that of its content */
	ENVELOPE_TOO_LARGE,      /* above ENVELOPE_SIZE_MAX */
	ENVELOPE_MALFORMED,      /* complete, but header or records do not follow the format */
	ENVELOPE_UNKNOWN_CLIENT, /* no key is known for this client */
	ENVELOPE_BAD_SIGNATURE,  /* not signed by the key of the client it names */
	ENVELOPE_CANNOT_OPEN,    /* not sealed to this site's key */
	ENVELOPE_VERDICT_COUNT_,
};

/* "ok", "incomplete", …: travels unchanged into logs and messages. */
const char *envelope_verdict_name(enum envelope_verdict verdict);

/* ---- names ---- */

/* <client>-<stream>-<first sequence number>-<length>-<sha256>, length and hash those of the bytes.
 */
struct envelope_name {
	char client[ENVELOPE_ID_SIZE]; /* 32 lower-case hexadecimal digits */
	char stream[ENVELOPE_ID_SIZE]; /* likewise, random per install */
	uint64_t first;
	uint64_t length;
	struct digest sha256;
};

/* Exactly what envelope_name_print writes; anything else is false. */
bool envelope_name_parse(struct envelope_name *out, const char *name) MUST_USE;

/* `dst` has room for ENVELOPE_NAME_SIZE. */
void envelope_name_print(char *dst, const struct envelope_name *name);

/* ---- making ---- */

enum envelope_kind {
	ENVELOPE_RECORDS,  /* records of a client that the site knows, numbered from 1 */
	ENVELOPE_ENROL,    /* one record of kind "enrol" with token and public key; number 0 */
	ENVELOPE_HANDOVER, /* one record of trust/handover.h, signed by the old key; number 0 */
	ENVELOPE_KIND_COUNT_,
};

struct envelope_header {
	enum envelope_kind kind;
	char client[ENVELOPE_ID_SIZE];
	char stream[ENVELOPE_ID_SIZE];
	uint64_t first; /* sequence number of the first record */
	uint32_t count; /* records follow each other without gaps */
	int64_t time_s; /* when it was sealed, by the client's clock */
};

/*
 * Seal `records` (an array of objects, 1 to ENVELOPE_RECORDS_MAX) into `out`, and name the result.
 * `count` is ignored: it follows from `records`; so is `client` where it is empty, and in an
 * enrolment: it is then the id that `key` gives, as it is until the client takes another key.
 *
 * For ENVELOPE_ENROL the one record must be of kind "enrol" and carry the "public_key" of `key`;
 * for ENVELOPE_HANDOVER it must be one of trust/handover.h; in
 * ENVELOPE_RECORDS there must be none of these kinds. ERR_LIMIT if the records' lines are more
 * than ENVELOPE_PAYLOAD_MAX bytes: take fewer. `sealing_key` has SEALER_PUBLIC_SIZE bytes;
 * ERR_TRUST if it is none.
 */
bool envelope_seal(struct buf *out, struct envelope_name *name_out,
		   const struct envelope_header *header, const json_t *records,
		   const struct signer *key, const uint8_t *sealing_key, struct err *err) MUST_USE;

/* The bytes that a record takes in an envelope: its line. */
size_t envelope_record_size(const json_t *record);

/* A new record of kind "enrol" for the client with this key; `token` may be NULL. */
json_t *envelope_new_enrol_record(const struct signer *key, const char *token) MUST_USE;

/*
 * Chains: one value for all records of a stream up to one of them, in their order. Client and site
 * compute it apart, each from what it has: equal values mean equal records, each in its place.
 */
#define ENVELOPE_CHAIN_START ((struct digest){ 0 }) /* before the first record */

/* The hash of a record, by which the site tells it from another with its number. */
void envelope_record_hash(struct digest *out, const json_t *record);

/* Lengthen `chain` by the next record. */
void envelope_chain_add(struct digest *chain, const struct digest *record_hash);

/* ---- opening ---- */

struct envelope {
	struct envelope_header header;
	json_t *records; /* array of `header.count` objects; the first is number `header.first` */
	struct key *new_key; /* ENVELOPE_ENROL: the key inside, which the client's id belongs to;
			     ENVELOPE_HANDOVER: the key that accepted; else NULL */
	uint8_t signer[KEYS_ED25519_SIZE]; /* the public key that signed it */
	uint64_t next; /* ENVELOPE_HANDOVER: the first number that `signer` did not sign */
};

void envelope_free(struct envelope *envelope);
SCOPED_FREE(envelope);

/* The key of a client, borrowed until the next call; NULL if none is known. */
typedef const struct key *(*envelope_key_fn)(const char *client, void *ctx);

/*
 * The key that the client had before, if it may have signed an object with this header before it
 * was given up; NULL if not. Borrowed likewise.
 */
typedef const struct key *(*envelope_former_fn)(const struct envelope_header *header, void *ctx);

struct envelope_reader {
	const struct sealer *sealer;
	envelope_key_fn find_key;       /* not called for ENVELOPE_ENROL */
	envelope_former_fn find_former; /* likewise; NULL: no client ever had another */
	void *ctx;
};

/*
 * Check name, size, completeness and header, without any key: enough to sort, to count against
 * quotas and to see duplicates. `out` is filled for ENVELOPE_OK.
 */
enum envelope_verdict envelope_look(struct envelope_header *out, const char *name,
				    struct span bytes) MUST_USE;

/*
 * envelope_look, then the client's signature, the seal, the records. An enrolment is opened before
 * its signature is checked, by the key inside; its client id is that key's. `*out` is set for
 * ENVELOPE_OK alone; the caller frees it.
 */
enum envelope_verdict envelope_open(struct envelope **out, const char *name, struct span bytes,
				    const struct envelope_reader *reader) MUST_USE;

/* The records of an unsealed payload of `count` lines: the parser alone, for its fuzzer. */
bool envelope_read_records(json_t **out, struct span payload, uint32_t count) MUST_USE;

#endif

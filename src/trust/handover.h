/*
 * How a client's key gives way to another: one record that the old key hands over and the new one
 * accepts. The envelope around it (trust/envelope.h) has the old key's signature, the record the
 * new one's, over both keys and over what the old one has signed. The client's id stays.
 *
 * PURE.
 */
#ifndef TRUST_HANDOVER_H
#define TRUST_HANDOVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "trust/keys.h"
#include "trust/signer.h"

#define HANDOVER_KIND "hand-over" /* of the record */

/* What is agreed between the two keys. Texts are borrowed. */
struct handover {
	const char *client;     /* whose keys they are */
	const char *stream;     /* what the old key has signed: this stream … */
	uint64_t next;          /* … up to the record before this one, and nothing else */
	const uint8_t *old_key; /* KEYS_ED25519_SIZE bytes, public */
};

/* The record by which `key` accepts; the caller owns it. */
json_t *handover_new_record(const struct handover *h, const struct signer *key) MUST_USE;

/* True if the record is one of this kind, whatever it says. */
bool handover_is_record(const json_t *record);

/*
 * Read the record and check that the new key accepts just this; `h->next` is set by it. The caller
 * frees the key. False: it does not follow the form, or the key did not sign it, or both keys are
 * one.
 */
bool handover_read(struct key **new_key_out, struct handover *h, const json_t *record) MUST_USE;

#endif

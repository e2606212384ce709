/*
 * Status messages: the records by which a client says what happened (docs/formats/records.md).
 */
#ifndef COMMON_MESSAGE_H
#define COMMON_MESSAGE_H

#include <stdint.h>

#include <jansson.h>

#include "common/macros.h"

/* Numbers below 11000 are those of SMS 2.0 for the same events. */
enum message_id {
	MESSAGE_RECEIVED = 10002,
	MESSAGE_NOT_STARTED = 10004,
	MESSAGE_STARTED = 10005,
	MESSAGE_FAILED = 10006,
	MESSAGE_SUCCEEDED = 10008,
	MESSAGE_REJECTED = 10018,
	MESSAGE_EXPIRED = 10019,
	MESSAGE_POLICY_SEEN = 11001,
	MESSAGE_SERVER_CHOSEN = 11002,
	MESSAGE_FETCHED = 11003,
	MESSAGE_VERIFIED = 11004,
	MESSAGE_WAITING = 11005,
	MESSAGE_INTERRUPTED = 11006,
	MESSAGE_SERVER_FAULT = 11007,
	MESSAGE_TRUST_FAULT = 11008,
	MESSAGE_ENROLLED = 11009,
	MESSAGE_STOPPED = 11010,
	MESSAGE_KEY_REPLACED = 11011,
};

/* What a message is about; NULL for what does not apply. The version counts with a package only. */
struct message_about {
	const char *advertisement;
	const char *package;
	int64_t version;
	const char *program;
};

/*
 * A record of the kind "status". `about` may be NULL; `text` and `data` are taken over, and `data`
 * may be NULL. The caller owns the record.
 */
json_t *message_new(enum message_id id, int64_t time_s, const struct message_about *about,
		    json_t *text, json_t *data) MUST_USE;

#endif

/*
 * Verdicts: what the metadata client says about what a server gave it.
 *
 * One documented name per reason. The names travel unchanged into status messages, the log and the
 * console; the text beside each says which attack it would be if it is one.
 *
 * PURE.
 */
#ifndef TRUST_VERDICT_H
#define TRUST_VERDICT_H

#include "common/error.h"
#include "common/macros.h"

/* X(symbol, name, err code, what it means) */
#define VERDICT_LIST(X)                                                                        \
	X(OK, "ok", NONE, "verified")                                                          \
	X(UNCHANGED, "unchanged", NONE, "the server has nothing newer than what is trusted")   \
	X(NO_ROOT, "no-root", TRUST, "no usable trusted root; no request was made")            \
	X(MALFORMED, "malformed", TRUST, "the bytes are no metadata (damaged or forged)")      \
	X(TOO_LARGE, "too-large", TRUST, "more bytes than allowed (endless data)")             \
	X(WRONG_ROLE, "wrong-role", TRUST, "another role's file was served (mix and match)")   \
	X(WRONG_VERSION, "wrong-version", TRUST,                                               \
	  "not the version that was asked for (mix and match)")                                \
	X(BELOW_THRESHOLD, "below-threshold", TRUST, "too few keys signed it (wrong key)")     \
	X(ROLLBACK, "rollback", TRUST, "older than what was trusted before (rollback)")        \
	X(VANISHED, "vanished", TRUST, "a role that was listed is gone (rollback)")            \
	X(EXPIRED, "expired", EXPIRED, "its life is over (freeze)")                            \
	X(BAD_LENGTH, "bad-length", TRUST, "not the signed length (mix and match)")            \
	X(BAD_HASH, "bad-hash", TRUST, "not the signed bytes (mix and match)")                 \
	X(MISSING, "missing", TRUST, "the server lacks a file that must be there")             \
	X(MISSING_TARGET_ROLE, "missing-target-role", TRUST,                                   \
	  "the snapshot does not list the role")                                               \
	X(TARGET_NOT_FOUND, "target-not-found", NOT_FOUND, "no role lists the target")         \
	X(UNREACHABLE, "unreachable", NET, "the server could not be read (slow or no answer)") \
	X(NOT_STORED, "not-stored", IO, "verified, but the local folder could not be written")

enum verdict {
#define X(symbol, name, code, text) VERDICT_##symbol,
	VERDICT_LIST(X)
#undef X
		VERDICT_COUNT_,
};

/* The stable name ("below-threshold") and the one-line meaning; never NULL. */
const char *verdict_name(enum verdict verdict);
const char *verdict_text(enum verdict verdict);

/* The fault code that a command ends with for this verdict; ERR_NONE for the two good ones. */
enum err_code verdict_code(enum verdict verdict);

/* Record why, under the verdict's fault code, and return `verdict`: return verdict_set(err, …). */
enum verdict verdict_set(struct err *err, enum verdict verdict, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* The same for a fault that `err` explains already: its reason is kept behind "SUBJECT: ". */
enum verdict verdict_wrap(struct err *err, enum verdict verdict, const char *subject);

#endif

/*
 * Verdicts: what the metadata client says about what a server gave it.
 *
 * One documented name per reason. The names travel unchanged into status messages, the log and the
 * console, and with them the attack that each would be if it is one.
 *
 * PURE.
 */
#ifndef TRUST_VERDICT_H
#define TRUST_VERDICT_H

#include "common/error.h"
#include "common/macros.h"

/*
 * X(symbol, name, err code, attack, what it means). The attack is the one of TUF's list that looks
 * like this to the one who is attacked; "" where none does.
 */
#define VERDICT_LIST(X)                                                                          \
	X(OK, "ok", NONE, "", "verified")                                                        \
	X(UNCHANGED, "unchanged", NONE, "", "the server has nothing newer than what is trusted") \
	X(NO_ROOT, "no-root", TRUST, "", "no usable trusted root; no request was made")          \
	X(MALFORMED, "malformed", TRUST, "", "the bytes are no metadata (damaged or forged)")    \
	X(TOO_LARGE, "too-large", TRUST, "endless data", "more bytes than allowed")              \
	X(WRONG_ROLE, "wrong-role", TRUST, "mix-and-match", "another role's file was served")    \
	X(WRONG_VERSION, "wrong-version", TRUST, "mix-and-match",                                \
	  "not the version that was asked for")                                                  \
	X(BELOW_THRESHOLD, "below-threshold", TRUST, "wrong key", "too few keys signed it")      \
	X(ROLLBACK, "rollback", TRUST, "rollback", "older than what was trusted before")         \
	X(VANISHED, "vanished", TRUST, "rollback", "a role that was listed is gone")             \
	X(EXPIRED, "expired", EXPIRED, "freeze", "its life is over")                             \
	X(BAD_LENGTH, "bad-length", TRUST, "mix-and-match", "not the signed length")             \
	X(BAD_HASH, "bad-hash", TRUST, "mix-and-match", "not the signed bytes")                  \
	X(MISSING, "missing", TRUST, "", "the server lacks a file that must be there")           \
	X(MISSING_TARGET_ROLE, "missing-target-role", TRUST, "",                                 \
	  "the snapshot does not list the role")                                                 \
	X(TARGET_NOT_FOUND, "target-not-found", NOT_FOUND, "", "no role lists the target")       \
	X(UNREACHABLE, "unreachable", NET, "", "the server could not be read")                   \
	X(SLOW, "slow", NET_TIMEOUT, "slow retrieval", "bytes came slower than the floor")       \
	X(NOT_STORED, "not-stored", IO, "", "verified, but the local folder could not be written")

enum verdict {
#define X(symbol, name, code, attack, text) VERDICT_##symbol,
	VERDICT_LIST(X)
#undef X
		VERDICT_COUNT_,
};

/* The stable name ("below-threshold") and the one-line meaning; never NULL. */
const char *verdict_name(enum verdict verdict);
const char *verdict_text(enum verdict verdict);

/*
 * The attack that this would be if it is one: "rollback", "freeze", "mix-and-match", "endless
 * data", "slow retrieval", "wrong key"; "" for none. A worn-out disk looks like some of them.
 */
const char *verdict_attack(enum verdict verdict);

/* The fault code that a command ends with for this verdict; ERR_NONE for the two good ones. */
enum err_code verdict_code(enum verdict verdict);

/* Record why, under the verdict's fault code, and return `verdict`: return verdict_set(err, …). */
enum verdict verdict_set(struct err *err, enum verdict verdict, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* The same for a fault that `err` explains already: its reason is kept behind "SUBJECT: ". */
enum verdict verdict_wrap(struct err *err, enum verdict verdict, const char *subject);

#endif

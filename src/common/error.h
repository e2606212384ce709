/*
 * Faults: one fixed-size value per failure, filled where the object is known and printed
 * once, at the top, as three lines: what failed, why, what to do.
 *
 * Expected outcomes are not faults; they are enums of the module that knows them. Bugs are
 * asserts. Filling a struct err cannot fail, so running out of memory can be reported too.
 *
 * Usual sequence: the function that detects calls err_set or err_sys (why); a caller that
 * knows what was being attempted adds err_what; err_fix replaces the code's standard advice.
 *
 * PURE apart from strerror.
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

#include <stdbool.h>

#include "common/macros.h"

/* What stands in the first line of a fault whose attempt nobody has named. */
#define ERR_WHAT_UNSAID "cannot go on"

#define ERR_TEXT_MAX  512 /* bytes of one line, terminator included */
#define ERR_FILES_MIN 256 /* open files with which every command works */

/* Exit codes of every command; a contract with scripts. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1,        /* by trust or policy */
	EXIT_USAGE = 2,          /* the command line */
	EXIT_NOT_FOUND = 3,      /* the named object does not exist */
	EXIT_NETWORK = 4,        /* no candidate left */
	EXIT_LOCAL = 5,          /* disk, permission, other local fault */
	EXIT_PROGRAM_FAILED = 6, /* the program that was run failed */
};

/*
 * One list feeds the enum, the stable names, the exit codes and the standard advice.
 * X(symbol, stable name, exit code, what to do)
 */
#define ERR_LIST(X)                                                                                \
	X(NONE, "PW-OK", EXIT_DONE, "nothing")                                                     \
	X(USAGE, "PW-USAGE", EXIT_USAGE, "run the command with --help")                            \
	X(NOT_FOUND, "PW-NOT-FOUND", EXIT_NOT_FOUND, "list what exists with the verb 'list'")      \
	X(EXISTS, "PW-EXISTS", EXIT_REFUSED, "choose another name, or remove the old one first")   \
	X(REFUSED, "PW-REFUSED", EXIT_REFUSED, "change the request or the policy that refuses it") \
	X(IN_USE, "PW-IN-USE", EXIT_REFUSED, "remove what refers to it first")                     \
	X(NOT_ENROLLED, "PW-NOT-ENROLLED", EXIT_REFUSED,                                           \
	  "enrol this machine: packway enroll FILE")                                               \
	X(NO_SITE, "PW-NO-SITE", EXIT_LOCAL,                                                       \
	  "name the site's folder with --site, or make one with 'packway-site init'")              \
	X(LOCKED, "PW-LOCKED", EXIT_LOCAL, "wait for the other command to end, then try again")    \
	X(IO, "PW-IO", EXIT_LOCAL, "check the disk and the path")                                  \
	X(DISK_FULL, "PW-DISK-FULL", EXIT_LOCAL,                                                   \
	  "free some space and try again; nothing was lost")                                       \
	X(PERMISSION, "PW-PERMISSION", EXIT_LOCAL, "run as the owner of the files, or as root")    \
	X(MEMORY, "PW-MEMORY", EXIT_LOCAL, "free some memory and try again")                       \
	X(LIMIT, "PW-LIMIT", EXIT_REFUSED, "split or shrink it below the limit")                   \
	X(FORMAT, "PW-FORMAT", EXIT_REFUSED, "get an undamaged copy; see docs/formats")            \
	X(CONFIG, "PW-CONFIG", EXIT_USAGE,                                                         \
	  "mend the configuration file; 'packway config' shows every key")                         \
	X(DB, "PW-DB", EXIT_LOCAL,                                                                 \
	  "check the disk; the database's copy from before the last migration stands beside it")   \
	X(QUERY, "PW-QUERY", EXIT_REFUSED, "use one SELECT over the inventory tables")             \
	X(SOURCE, "PW-SOURCE", EXIT_REFUSED,                                                       \
	  "mend the source folder and try again; nothing was published")                           \
	X(SOURCE_CHANGED, "PW-SOURCE-CHANGED", EXIT_REFUSED,                                       \
	  "wait until the source folder is at rest and try again")                                 \
	X(TRUST, "PW-TRUST", EXIT_REFUSED,                                                         \
	  "see 'packway status'; what was trusted before stays in force")                          \
	X(EXPIRED, "PW-EXPIRED", EXIT_REFUSED, "let the site publish again: packway-site publish") \
	X(CLOCK, "PW-CLOCK", EXIT_REFUSED, "set this machine's clock")                             \
	X(CORRUPT, "PW-CORRUPT", EXIT_NETWORK,                                                     \
	  "validate the server's copy: packway-site dp validate NAME PKG")                         \
	X(NO_CANDIDATE, "PW-NO-CANDIDATE", EXIT_NETWORK,                                           \
	  "see why each server was left out: packway explain")                                     \
	X(NET, "PW-NET", EXIT_NETWORK, "check the server and the way to it: packway doctor")       \
	X(NET_REFUSED, "PW-NET-REFUSED", EXIT_NETWORK,                                             \
	  "start the server, or mend its address or port")                                         \
	X(NET_TIMEOUT, "PW-NET-TIMEOUT", EXIT_NETWORK,                                             \
	  "check the server and the network to it: packway doctor")                                \
	X(NET_UNREACHABLE, "PW-NET-UNREACHABLE", EXIT_NETWORK,                                     \
	  "check this machine's network and routes: packway doctor")                               \
	X(NET_NAME, "PW-NET-NAME", EXIT_NETWORK,                                                   \
	  "check the name and this machine's DNS: packway doctor")                                 \
	X(NET_DENIED, "PW-NET-DENIED", EXIT_NETWORK,                                               \
	  "give this machine's account the right to read there")                                   \
	X(NET_TLS, "PW-NET-TLS", EXIT_NETWORK,                                                     \
	  "check the server's certificate and this machine's clock")                               \
	X(NET_PROTOCOL, "PW-NET-PROTOCOL", EXIT_NETWORK, "check what answers at that address")     \
	X(UNSUPPORTED, "PW-UNSUPPORTED", EXIT_REFUSED, "use one of the kinds named by --help")     \
	X(TOKEN, "PW-TOKEN", EXIT_REFUSED,                                                         \
	  "ask the site's admin for a new token: packway-site token create")                       \
	X(OUTBOX_FULL, "PW-OUTBOX-FULL", EXIT_LOCAL,                                               \
	  "bring a CAP back within reach, so that records can leave")                              \
	X(PROGRAM, "PW-PROGRAM", EXIT_PROGRAM_FAILED, "see its output: packway messages")          \
	X(INTERRUPTED, "PW-INTERRUPTED", EXIT_LOCAL,                                               \
	  "run the command again; it goes on where it stopped")                                    \
	X(INTERNAL, "PW-INTERNAL", EXIT_LOCAL, "report this with the command that showed it")

enum err_code {
#define X(symbol, name, exit, fix) ERR_##symbol,
	ERR_LIST(X)
#undef X
		ERR_COUNT_,
};

struct err {
	enum err_code code;
	int sys_errno;           /* 0 if no system call was involved */
	char what[ERR_TEXT_MAX]; /* what was attempted; may be empty */
	char why[ERR_TEXT_MAX];  /* one line, lower case, foreign bytes escaped */
	char fix[ERR_TEXT_MAX];  /* empty: the code's standard advice */
};

/* Record why something failed. Returns false always, so that failing reads: return err_set(...). */
bool err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * Record a failed system call: `: ` and the system's reason are appended. ENOSPC, EDQUOT,
 * EFBIG, EACCES, EPERM, EROFS, ENOMEM and, if `code` is ERR_IO, ENOENT choose the finer code
 * themselves; EMFILE and ENFILE bring their own advice. Returns false always.
 */
bool err_sys(struct err *err, enum err_code code, int sys_errno, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* Say what was attempted, unless an inner call has said it already. Returns false always. */
bool err_what(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Replace the standard advice. Returns false always. */
bool err_fix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The stable name ("PW-NET-REFUSED"), exit code and standard advice of a code; never NULL. */
const char *err_name(enum err_code code);
enum exit_code err_exit(enum err_code code);
const char *err_advice(enum err_code code);

/* The code of a stable name; ERR_INTERNAL where there is none. */
enum err_code err_by_name(const char *name);

/* The advice that applies to this fault: its own, or its code's. Borrowed from `err`. */
const char *err_fix_text(const struct err *err);

/* Forget a fault that was dealt with. */
void err_clear(struct err *err);

#endif

/*
 * What was run on this client: a write-ahead journal, so that a run-once program starts at most
 * once whatever is killed, and no result is lost. Format: docs/formats/journal.md.
 *
 * A run has a key (advertisement, serial) and an attempt number. While it is not settled it has a
 * folder of its own with the files
 *
 *     lock      held (flock) by the whole process tree of the run
 *     intent    what is to be run; written before anything starts
 *     started   not empty from the moment before execve; a second line once that has worked
 *     result    how it ended; written by the run's parent (reap.h)
 *
 * and afterwards one line in `history`. Unstarted with a free lock: nothing ever ran. Started
 * without a result and with a free lock: interrupted.
 *
 * Several processes may use one journal: journal_open takes its lock, so keep it open for moments.
 */
#ifndef AGENT_JOURNAL_H
#define AGENT_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

#define JOURNAL_DOC_MAX     ((size_t)1 << 20) /* bytes of an intent or a result */
#define JOURNAL_HISTORY_MAX ((size_t)64 << 20)
#define JOURNAL_EXECUTED    "executed\n" /* the second line of `started` */
#define JOURNAL_CODES_MAX   64           /* exit codes in a list of an intent */

enum journal_phase {
	JOURNAL_UNSTARTED, /* an intent that nothing came of; journal_begin takes its place */
	JOURNAL_RUNNING,   /* its processes hold the lock (about to start counts) */
	JOURNAL_ENDED,     /* see the outcome */
};

enum journal_outcome {
	JOURNAL_NONE,              /* has not ended */
	JOURNAL_SUCCEEDED,         /* an exit code of the success list */
	JOURNAL_SUCCEEDED_RESTART, /* one of the restart list: complete after a restart */
	JOURNAL_FAILED,            /* another exit code, or a signal */
	JOURNAL_TIMED_OUT,         /* ended by us at its time limit */
	JOURNAL_NOT_STARTED,       /* execve or what comes before it failed */
	JOURNAL_INTERRUPTED,       /* started, and nobody saw how it ended */
	JOURNAL_OUTCOME_COUNT_,
};

struct journal_run {
	char advertisement[9];
	uint64_t serial;
	uint32_t attempt; /* from 1 */
	char package[9];  /* empty where the intent is damaged */
	uint32_t version;
	char program[65];
	enum journal_phase phase;
	enum journal_outcome outcome;
	int code;             /* exit code; 128 + signal for a signal; -1 for none */
	int64_t started_s;    /* 0: unknown */
	int64_t ended_s;      /* 0: unknown */
	bool overdue;         /* over its time limit with its parent gone: see orphan.h */
	bool executed;        /* execve has worked, as far as is known by now */
	bool settled;         /* in the history, its folder is gone */
	bool started_told;    /* journal_mark_told was called for the start */
	bool restart_pending; /* succeeded-restart and no restart since */
};

/* Sorted by advertisement, serial, attempt. { 0 } is empty. */
struct journal_list {
	struct journal_run *runs;
	size_t count;
};

void journal_list_release(struct journal_list *list);
SCOPED_RELEASE(journal_list);

struct journal {
	char *dir;
	int lock; /* -1: not open */
};

#define JOURNAL_CLOSED     \
	{                  \
		.lock = -1 \
	}

/*
 * Open the journal in `dir` (made if absent), waiting up to `wait_ms` for another process to close
 * it. Folders that are only left-overs are removed. ERR_LOCKED if it stays busy.
 */
bool journal_open(struct journal *j, const char *dir, uint32_t wait_ms, struct err *err) MUST_USE;
void journal_close(struct journal *j);

static inline void journal_scoped(struct journal *j)
{
	journal_close(j);
}

/* Everything that was ever run and is remembered: the last attempt of settled keys, all others. */
bool journal_load(struct journal_list *out, const struct journal *j, struct err *err) MUST_USE;

/* The last attempt of a key, or NULL; borrowed. Unstarted ones do not count. */
const struct journal_run *journal_last(const struct journal_list *list, const char *advertisement,
				       uint64_t serial);

/* True if any run of the program has succeeded, whatever the version. */
bool journal_has_succeeded(const struct journal_list *list, const char *package,
			   const char *program);

/* When a new run of a key that has run before is allowed. */
enum journal_again {
	JOURNAL_ONCE,           /* only if it did not get as far as execve */
	JOURNAL_UNLESS_SUCCESS, /* if the last one did not succeed */
	JOURNAL_ALWAYS,         /* unless one is running */
};

enum journal_begin {
	JOURNAL_BEGUN,   /* the intent is durable; the lock is in *lock_out */
	JOURNAL_HAS_RUN, /* `again` forbids another */
	JOURNAL_IS_BUSY, /* one is running */
	JOURNAL_FAULT,   /* see err; nothing was recorded */
};

/*
 * Record the intent to run. `intent` is an object with at least "advertisement", "serial",
 * "package", "version" and "program" (borrowed; "attempt" and "time" are set in it). On success the
 * caller owns *folder_out and the descriptor *lock_out, which it hands to the run's processes.
 * The check and the record are one step, whatever other processes do.
 */
enum journal_begin journal_begin(char **folder_out, int *lock_out, const struct journal *j,
				 json_t *intent, enum journal_again again, int64_t now_s,
				 struct err *err) MUST_USE;

/*
 * Undo journal_begin after a failed start. Closes `lock`. False, and nothing is undone, if a
 * process of the run is there all the same or it came to its start: then it is a run like any
 * other.
 */
bool journal_abandon(const char *folder, int lock) MUST_USE;

/* Intent and result of a run that is not settled; *result_out is NULL without one. */
bool journal_read(json_t **intent_out, json_t **result_out, const struct journal *j,
		  const struct journal_run *run, struct err *err) MUST_USE;

/* Remember that the start was told (its record is in the outbox). */
bool journal_mark_told(const struct journal *j, const struct journal_run *run, struct err *err)
	MUST_USE;

/*
 * Move an ended run into the history: call it when its outcome is in the outbox. Done twice it does
 * no harm, so that a kill in between costs nothing.
 */
bool journal_settle(const struct journal *j, const struct journal_run *run, struct err *err)
	MUST_USE;

/* The folder of a run that is not settled; the caller frees it. */
char *journal_folder(const struct journal *j, const struct journal_run *run) MUST_USE;

/* The phase of the run in `folder`, without reading its documents. */
enum journal_phase journal_peek(const char *folder);

/* A result by the exit-code lists of its intent; `result` NULL is an interruption. */
enum journal_outcome journal_judge(int *code_out, const json_t *intent, const json_t *result);

/* succeeded, succeeded-restart, failed, timed-out, not-started, interrupted; none. */
const char *journal_outcome_name(enum journal_outcome outcome);

#endif

/*
 * What the worker gives up before it reads a byte of anybody else's (docs/ARCHITECTURE.md 9): new
 * privileges, core dumps, capabilities that it has no use for, system calls that no part of it and
 * of packway-smb makes, running programs other than packway-smb, and, without network, sockets,
 * children and writing outside the state folder.
 *
 * It is a second line: nothing in the worker relies on it, and where a kernel lacks a part the rest
 * holds. `packway doctor` says which parts do. Linux only (capset, seccomp, Landlock from its
 * second version, 5.19, on).
 */
#ifndef AGENT_SANDBOX_H
#define AGENT_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/macros.h"

enum sandbox_kind {
	SANDBOX_NETWORK,
	SANDBOX_OFFLINE,
	SANDBOX_KEEPER, /* offline; builds and removes content, and writes nowhere else */
};

/* Whom a process of root's becomes. */
struct sandbox_account {
	bool changes; /* false: it stays who it is */
	uid_t uid;
	gid_t gid;
	int64_t guest; /* uid of the one user whose account its children may take on; -1: nobody's
			*/
};

/* What is in force. */
struct sandbox {
	bool no_new_privileges;
	bool capabilities; /* root's are dropped; true for others, who have none */
	bool syscalls;
	bool files;   /* Landlock */
	bool account; /* not root's any more; true for others */
};

/*
 * Enter it, for this process and all that it starts; there is no way back. Call before there is a
 * second thread. `state_dir` is where a process without network may write. False: the account could
 * not be taken on, and nothing else may be done.
 */
bool sandbox_enter(struct sandbox *out, enum sandbox_kind kind, const char *state_dir,
		   const struct sandbox_account *account, struct err *err) MUST_USE;

/* True if every part is in force; else `missing_out` names the first that is not. */
bool sandbox_is_whole(const char **missing_out, const struct sandbox *s) MUST_USE;

#endif

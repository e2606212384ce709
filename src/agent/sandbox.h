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

#include "common/macros.h"

enum sandbox_kind {
	SANDBOX_NETWORK,
	SANDBOX_OFFLINE,
};

/* What is in force. */
struct sandbox {
	bool no_new_privileges;
	bool capabilities; /* root's are dropped; true for others, who have none */
	bool syscalls;
	bool files; /* Landlock */
};

/*
 * Enter it, for this process and all that it starts; there is no way back. Call before there is a
 * second thread. `state_dir` is where a process without network may write.
 */
void sandbox_enter(struct sandbox *out, enum sandbox_kind kind, const char *state_dir);

/* True if every part is in force; else `missing_out` names the first that is not. */
bool sandbox_is_whole(const char **missing_out, const struct sandbox *s) MUST_USE;

#endif

/*
 * Programs: commands of a package, with what their exit codes mean and when they may run.
 */
#ifndef SITE_PROGRAM_H
#define SITE_PROGRAM_H

#include "site/site.h"

#define PROGRAM_TIMEOUT_DEFAULT_S 600
#define PROGRAM_TIMEOUT_MAX_S     (7 * 86400)
#define PROGRAM_CODE_MAX          65535
#define PROGRAM_CODES_MAX         64

/* What `program add` takes; texts are borrowed, NULL means the default. */
struct program_spec {
	const char *package;
	const char *name;
	const char *command;
	uint64_t timeout_s;
	const char *const *success; /* lists of exit codes: "0", "0,2" */
	size_t success_count;       /* 0: success is 0 */
	const char *const *restart; /* likewise; these succeed and need a restart */
	size_t restart_count;
	const char *run_after; /* "ID:NAME" or NULL */
	const char *rerun;     /* "never", "always", "on-failure" */
	const char *as;        /* "root", "user" or an account's name */
	const char *mount;     /* "none", "any" or an absolute path */
	bool keep;             /* leave it mounted; with a mount only */
};

/*
 * Add a program. ERR_NOT_FOUND for a package or run-after program that does not exist, ERR_EXISTS,
 * ERR_USAGE for a command that cannot be split, codes that are none or a place that is none,
 * ERR_REFUSED for a run-after that would close a circle.
 */
bool program_add(struct site *site, const struct program_spec *spec, struct err *err) MUST_USE;

/*
 * The first word of `command` that looks like a secret: policy is readable by whoever can read a
 * CAP. NULL: none. The caller frees it.
 */
char *program_find_secret(const char *command) MUST_USE;

#endif

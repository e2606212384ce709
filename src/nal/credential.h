/*
 * Who we are to a server: an account that was configured for it, else the Kerberos ticket of this
 * context where there is one, else guest.
 *
 *     credential_set_load → credential_find → … credential_set_free
 *
 * Accounts stand in files of mode 0600 in folders named credentials.d; a file that others could
 * read or that belongs to somebody else is refused as a whole, and the others count nevertheless.
 * The set is read anew at each poll: nothing has to be restarted after a change.
 *
 * A *fingerprint* stands for a credential where it is remembered that a server refused it (`config`
 * of nal/memory.h) and where sessions are told apart (nal/conntab.h). It changes when the
 * credential changes, also when `credential set` gives the same secret anew, and tells nothing: it
 * is keyed by a random file of the state.
 */
#ifndef NAL_CREDENTIAL_H
#define NAL_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/credentialfile.h"
#include "nal/locator.h"
#include "nal/secret.h"

#define CREDENTIAL_FOLDER_SYSTEM    "/etc/packway/credentials.d" /* root's */
#define CREDENTIAL_FOLDER_NAME      "credentials.d"              /* in a state's or site's folder */
#define CREDENTIAL_FILES_MAX        256 /* of one folder; more are a fault */
#define CREDENTIAL_FINGERPRINT_SIZE 33  /* with its terminator */

enum credential_kind {
	CREDENTIAL_GUEST,
	CREDENTIAL_ACCOUNT,
	CREDENTIAL_TICKET,
	CREDENTIAL_KIND_COUNT_,
};

/* What to log on with. Texts and secret are borrowed from the set. */
struct credential {
	enum credential_kind kind;
	const char *name;            /* for lists: "guest", "ticket", or the user as configured */
	const char *domain;          /* accounts: "" where none was given */
	const char *user;            /* accounts: without the domain; "user@REALM" stays whole */
	const struct secret *secret; /* accounts; else NULL */
	const char *ccache; /* tickets: as KRB5CCNAME would say it; NULL: the library's own */
	bool is_configured; /* a file says so; else it is what there is */
	bool is_users;      /* of the user who asks, not the system's: so is a session with it */
	char fingerprint[CREDENTIAL_FINGERPRINT_SIZE]; /* guests: "" */
};

/* Whose ways: this decides whose ticket counts. */
struct credential_context {
	uid_t uid;
	bool is_own; /* this process's environment is that user's */
};

/* Where to read. */
struct credential_places {
	const char *folders[2]; /* the first that names a server counts; NULL: none */
	const char *key_path; /* the fingerprints' key, made if missing; NULL: for this set only */
	const char *ticket_copy; /* where a cache of another account is copied to (ticketcopy.h);
				    NULL: tickets are this process's own */
};

struct credential_set;

/*
 * Read the folders; those that are missing hold nothing. Never fails: what is wrong with a file or
 * the key is a fault of the set, for a list or the log, and the file's servers are not known then.
 */
struct credential_set *credential_set_load(const struct credential_places *places) MUST_USE;
void credential_set_free(struct credential_set *set);
SCOPED_FREE(credential_set);

/* What was wrong, each with its file's name; borrowed. */
size_t credential_fault_count(const struct credential_set *set);
const struct err *credential_fault(const struct credential_set *set, size_t i);

/*
 * The credential for a place. False where none is used: only smb logs on by one. A section for the
 * very port and share goes before one for either, and that before the host alone. `set` may be
 * NULL. `out` borrows from the set until credential_set_free.
 */
bool credential_find(struct credential *out, const struct credential_set *set,
		     const struct locator *where, const struct credential_context *context)
	MUST_USE;

/*
 * The ticket of a user for whom root acts. False where that user has none, and where a file says
 * what the place takes, unless that is a ticket. The same rules.
 */
bool credential_find_users(struct credential *out, const struct credential_set *set,
			   const struct locator *where, const struct credential_context *user)
	MUST_USE;

/*
 * The guest of that place: what remains after a ticket that nobody configured was refused there.
 * The same rules.
 */
bool credential_find_guest(struct credential *out, const struct locator *where) MUST_USE;

/* What a section of a file means. */
enum credential_kind credential_kind_of(enum credentialfile_kind kind);

/* "guest", "account", "ticket"; never NULL. */
const char *credential_kind_name(enum credential_kind kind);

/* What is configured, in the order that counts, for lists. Borrowed. */
struct credential_row {
	const struct credentialfile_section *section;
	const char *path;
	const char *fingerprint; /* of accounts; "" for others, whose it depends on the place */
};
size_t credential_count(const struct credential_set *set);
struct credential_row credential_row_at(const struct credential_set *set, size_t i);

/*
 * Write a section into a file of its own in `folder` (made 0700 if missing), named after the
 * server, in one step; one that is there already is replaced. ERR_EXISTS if another file of the
 * folder names this server: what a person wrote is left to that person.
 */
bool credential_save(const char *folder, const struct credentialfile_section *section,
		     struct err *err) MUST_USE;

/* Remove that file. ERR_NOT_FOUND; ERR_IN_USE if the server stands in a file with others. */
bool credential_remove(const char *folder, const struct credentialfile_server *server,
		       struct err *err) MUST_USE;

#endif

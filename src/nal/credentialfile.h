/*
 * The text of a file in credentials.d (docs/formats/credentials.md): sections of `key = value`
 * lines, one a server.
 *
 *     [nas]
 *     user = OFFICE\packway
 *     secret = "correct horse"
 *
 * This is no job for the library that reads the other configuration: its copies of a line are not
 * wiped, it ends a value at " ;", and it cuts a section's name after 49 bytes.
 *
 * PURE.
 */
#ifndef NAL_CREDENTIALFILE_H
#define NAL_CREDENTIALFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "nal/secret.h"

#define CREDENTIALFILE_BYTES_MAX    ((size_t)64 << 10)
#define CREDENTIALFILE_SECTIONS_MAX 256 /* of one file */
#define CREDENTIALFILE_USER_MAX     255 /* bytes of a user with its domain */

/* Which server: a host, perhaps one port, perhaps one share. */
struct credentialfile_server {
	char *host;    /* lower case, IPv6 without brackets */
	uint16_t port; /* 0: whatever port */
	char *share;   /* "": whatever share */
};

enum credentialfile_kind {
	CREDENTIALFILE_ACCOUNT, /* user and secret */
	CREDENTIALFILE_TICKET,  /* kerberos = yes */
	CREDENTIALFILE_GUEST,   /* guest = yes */
};

struct credentialfile_section {
	unsigned int line; /* where it begins */
	struct credentialfile_server server;
	enum credentialfile_kind kind;
	char *user;            /* as written, "OFFICE\packway"; NULL unless an account */
	struct secret *secret; /* NULL unless an account */
	char *set;             /* when `credential set` wrote it; NULL: a person did */
};

struct credentialfile {
	struct credentialfile_section *sections;
	size_t count;
};

/*
 * Parse a whole file; `out` must be empty and is released by the caller whatever the result.
 * ERR_CONFIG names the line ("line 3: …") and never quotes what stands there; ERR_LIMIT.
 */
bool credentialfile_parse(struct credentialfile *out, struct span bytes, struct err *err) MUST_USE;
void credentialfile_release(struct credentialfile *f);
SCOPED_RELEASE(credentialfile);

/*
 * Parse "nas", "nas:1445", "nas/share", "[fe80::1]:445/share", "\\nas\share" or "smb://nas/share".
 * `out` must be empty. ERR_CONFIG.
 */
bool credentialfile_server_parse(struct credentialfile_server *out, const char *text,
				 struct err *err) MUST_USE;
void credentialfile_server_release(struct credentialfile_server *s);
SCOPED_RELEASE(credentialfile_server);

/* "nas:1445/share", the normal form; the caller frees it. */
char *credentialfile_server_text(const struct credentialfile_server *s) MUST_USE;

bool credentialfile_server_equal(const struct credentialfile_server *a,
				 const struct credentialfile_server *b);

/* ERR_CONFIG for a user that is none: empty, control characters, nothing behind the domain. */
bool credentialfile_user_check(const char *user, struct err *err) MUST_USE;

#define CREDENTIALFILE_PRINT_MAX 8192 /* bytes of one printed section, terminator included */

/*
 * Print one section to `dst`, memory of secret_memory_new with CREDENTIALFILE_PRINT_MAX bytes.
 * Returns its length. credentialfile_parse gives back what was printed.
 */
size_t credentialfile_print(char *dst, const struct credentialfile_section *s);

#endif

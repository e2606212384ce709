/*
 * One secret for a server, in memory of its own: locked where the system lets us, left out of core
 * dumps, and wiped when freed. Nothing else may hold its bytes for longer than a call: no buf, no
 * log, no fault's text, no argument or environment of a program.
 */
#ifndef NAL_SECRET_H
#define NAL_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define SECRET_BYTES_MAX 255 /* what libsmbclient has room for */

struct secret {
	size_t size;
	char text[SECRET_BYTES_MAX + 1]; /* UTF-8, NUL-terminated, no control characters */
};

/* An empty one. */
struct secret *secret_new(void) MUST_USE;
void secret_free(struct secret *s);
SCOPED_FREE(secret);

/*
 * Take over the bytes. ERR_FORMAT for what no server could be told: nothing at all (servers do not
 * let an account without a password in from elsewhere), control characters such as a newline, bytes
 * that are no UTF-8; ERR_LIMIT above SECRET_BYTES_MAX. A fault never quotes the bytes.
 */
bool secret_set(struct secret *s, struct span bytes, struct err *err) MUST_USE;

/*
 * Read a file, pipe or terminal to its end or, on a terminal, to the end of the line. One newline
 * at the end is not part of the secret. Faults are those of secret_set, and ERR_IO.
 */
bool secret_read(struct secret *s, int fd, struct err *err) MUST_USE;

/* Memory of the same kind for texts with secrets in them; NULL-safe free wipes. */
void *secret_memory_new(size_t size) MUST_USE;
void secret_memory_free(void *memory);

#endif

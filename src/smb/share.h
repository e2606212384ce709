/*
 * One server's shares through libsmbclient: one context, one connection, one share at a time.
 *
 * Every call blocks for as long as the server likes; whoever waits for the answer kills the
 * process. Results are 0 or an errno value, and nterrno_last tells more.
 *
 * Objects that were opened for reading stay open until share_tidy or share_leave, so that the next
 * read of the same one costs a round trip less and none is spent on closing while somebody waits.
 *
 * Another share of the same server: the connection to the first is ended, then one to the second
 * made, since libsmbclient 4.17 with OneSharePerServer shows the first share under the second's
 * name, and without it opens a second session beside the first.
 */
#ifndef SMB_SHARE_H
#define SMB_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "nal/secret.h"
#include "nal/smbwire.h"

struct share;

/* `hello` and `secret` (NULL: none) are borrowed for as long as the result lives. */
bool share_new(struct share **out, const struct smbwire_hello *hello, const struct secret *secret,
	       struct err *err) MUST_USE;

/* Go to the share that a request names; all that is open on another one is closed. */
int share_enter(struct share *s, const char *name);

/* Size and time of an object that is then open for share_read. */
int share_open(struct smbwire_reply *out, struct share *s, const char *path);

/* Exactly `size` bytes into `dst`, or fewer at the object's end (`got_out`). */
int share_read(uint64_t *got_out, struct share *s, const char *path, uint64_t offset, void *dst,
	       uint64_t size);

/* The object may be closed when there is time. */
void share_done_with(struct share *s, const char *path);

/* Begin a new object (EEXIST); make the folders above it. Then append, and end or drop it. */
int share_create(struct share *s, const char *path);
int share_write(struct share *s, const void *bytes, uint64_t size);
int share_finish(struct share *s);
int share_drop(struct share *s);

int share_rename(struct share *s, const char *from, const char *to);
int share_delete(struct share *s, const char *path);

/* Begin to list a folder; then take entries, as many as `room` bytes hold. */
int share_list(struct share *s, const char *path);
int share_next_entries(bool *end_out, struct buf *out, struct share *s, size_t room);

/* Close what share_done_with named; everything. Talks to the server. */
void share_tidy(struct share *s);
void share_leave(struct share *s);

/*
 * The first reopening on a connection costs an ECHO, which is libsmbclient's way to see whether it
 * lives. Spend it, if it was not, while nobody waits.
 */
void share_warm_up(struct share *s);

#endif

/*
 * The end of a handover (handover.h) that takes: in the keeper, around an assembly of its own,
 * which checks and writes what the giver sends. The giver has the memory, and gets ready, while the
 * assembly is opened.
 *
 *     taker_open → taker_stock → taker_serve → taker_close
 *
 * Nothing that the giver does can bring about more than its own failure: a lot that is none ends
 * it.
 */
#ifndef CONTENT_TAKER_H
#define CONTENT_TAKER_H

#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"
#include "content/assemble.h"

struct taker;

/* Tell the giver that there is nothing to give. */
void taker_say_here(int socket);

/* Tell the giver a fault, in the place of any answer. */
void taker_refuse(int socket, const struct err *why);

/* Tell the giver what was found so far. False: it is gone. */
bool taker_tell(int socket, uint64_t bytes) MUST_USE;

/*
 * Make the shared memory and tell the giver to begin. `socket` is borrowed until the close.
 * ERR_INTERRUPTED: the giver is gone.
 */
bool taker_open(struct taker **out, int socket, struct err *err) MUST_USE;
void taker_close(struct taker *t);

/* `a` is open and assemble_local done: tell what is here. It is borrowed until the close. */
bool taker_stock(struct taker *t, struct assemble *a, struct err *err) MUST_USE;

/*
 * Take what comes until the giver asks to finish. True: nothing is missing, and nothing more will
 * come. ERR_INTERRUPTED: it went before; ERR_CORRUPT: it asked with something missing.
 */
bool taker_serve(struct taker *t, struct err *err) MUST_USE;

/* The version stands: tell it, at last. */
void taker_say_done(int socket);

#endif

/*
 * Files that are mapped for reading although others may change them meanwhile. Where the kernel has
 * no bytes for a page of one (the file became shorter, the disk cannot read it), zeros stand there
 * from then on and mapped_is_whole says so; by itself the kernel would end the program (SIGBUS). So
 * this is for bytes that are checked after reading, by a hash.
 *
 * The first mapping sets a handler of that signal for the whole program, and a table of what is
 * mapped here, since a signal comes with an address alone. A SIGBUS from anywhere else does what it
 * did before.
 */
#ifndef COMMON_MAPPED_H
#define COMMON_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAPPED_MAX 128 /* in one program at once */

struct mapped {
	const uint8_t *at; /* NULL: nothing is mapped */
	size_t size;
	unsigned place;
};

/*
 * Map the first `size` bytes (at least 1) of the file `fd`, which need not stay open. False where
 * that is not possible, with nothing mapped: the file is shorter, its file system cannot, or
 * MAPPED_MAX are mapped already. Any thread.
 */
bool mapped_open(struct mapped *m, int fd, size_t size);

/* Nobody may be reading. Does nothing where nothing is mapped. */
void mapped_close(struct mapped *m);

/* True unless zeros were read in place of bytes of the file. */
bool mapped_is_whole(const struct mapped *m);

#endif

/*
 * Memory that whoever reads offers to whoever receives for him, so that bytes are put where they
 * are wanted at once and are not copied there. The receiver may be another process, which gets the
 * descriptor: it can read all of the memory, and change it at any moment.
 */
#ifndef COMMON_RECVROOM_H
#define COMMON_RECVROOM_H

#include <stddef.h>
#include <stdint.h>

enum recvroom_where {
	RECVROOM_HERE,      /* at the place that was stored */
	RECVROOM_ELSEWHERE, /* in memory of the receiver's own, as if there were no room */
	RECVROOM_LATER,     /* all of it is in use: ask again when more was taken */
};

struct recvroom {
	int fd;          /* an anonymous file that cannot shrink; borrowed */
	uint8_t *memory; /* all of it, mapped here */
	size_t size_bytes;
	/*
	 * Where the bytes from `offset` of the object on are wanted, and for how many that holds.
	 * Asked in ascending order, for bytes that will be read. Whoever was told a place and does
	 * not read them after all writes there no more once the read has ended.
	 */
	enum recvroom_where (*place)(uint8_t **at_out, size_t *size_out, uint64_t offset,
				     void *ctx);
	void *ctx;
};

#endif

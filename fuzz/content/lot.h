/*
 * The version that lot.c has a keeper build, and where its chunks stand in the memory; shared with
 * the corpus.
 */
#ifndef FUZZ_CONTENT_LOT_H
#define FUZZ_CONTENT_LOT_H

#include <stdint.h>

#define LOT_CHUNKS 4
#define LOT_SIZE   100u  /* of each chunk */
#define LOT_STEP   1000u /* chunk n's bytes stand at n times this */
#define LOT_AGAIN  2     /* this one is chunk 0 again */

/* The byte that chunk `n` is made of. */
static inline uint8_t lot_byte(uint32_t n)
{
	return (uint8_t)(n == LOT_AGAIN ? 'a' : 'a' + n);
}

#endif

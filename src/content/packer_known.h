/*
 * Files that are as they were in the version before go to the stream by that version's chunks, and
 * are read only where a chunk of theirs reaches into what has changed. The stream, its cuts and
 * therefore the manifest come out as if everything had been read.
 */
#ifndef CONTENT_PACKER_KNOWN_H
#define CONTENT_PACKER_KNOWN_H

#include "content/packer_work.h"

enum packer_known {
	PACKER_KNOWN_NOT,    /* it is to be read */
	PACKER_KNOWN_ADDED,  /* it is in the stream, or the same as file `*same_out` */
	PACKER_KNOWN_FAILED, /* see `err` */
};

/* Add file `number`, whose turn it is. */
enum packer_known packer_known_add(struct packer *p, uint32_t number, uint32_t *same_out,
				   struct err *err) MUST_USE;

#endif

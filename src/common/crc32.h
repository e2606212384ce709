/*
 * CRC-32 (IEEE 802.3, as in zip and PNG): shows torn and rotten records in our own files. No
 * protection against anybody who means harm.
 *
 * PURE.
 */
#ifndef COMMON_CRC32_H
#define COMMON_CRC32_H

#include <stdint.h>

#include "common/span.h"

uint32_t crc32_of(struct span bytes);

#endif

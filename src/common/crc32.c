#include "common/crc32.h"

#include <zlib.h>

uint32_t crc32_of(struct span bytes)
{
	return (uint32_t)crc32_z(0, bytes.data, bytes.size);
}

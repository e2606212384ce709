/*
 * Room that is kept free on the site's disk, so that its database can always commit: below it serve
 * takes no uploads (507), clients keep their records, and what lies in inboxes is still taken in.
 */
#ifndef SITE_RESERVE_H
#define SITE_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"

#define RESERVE_DEFAULT      "64M" /* a batch of the intake, its journal, and what lies in inboxes */
#define RESERVE_INODES       256   /* files that can still be made */
#define RESERVE_WARNING_SIZE 256

/*
 * True if the file system of folder `fd` has more than `bytes` left for us once `size` more are on
 * it. One that does not tell counts as one that has.
 */
bool reserve_is_kept(int fd, uint64_t bytes, uint64_t size) MUST_USE;

/* What is to be said of the disk that holds folder `dir`: false, and nothing, if all is well. */
bool reserve_warning(char dst[RESERVE_WARNING_SIZE], const char *dir, uint64_t bytes) MUST_USE;

#endif

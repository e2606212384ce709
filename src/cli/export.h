/*
 * Put a copy of a content tree somewhere else, whole or not at all.
 *
 * The copy is made beside the target and renamed; bytes are shared where the file system can
 * (reflink), else copied in the kernel.
 */
#ifndef CLI_EXPORT_H
#define CLI_EXPORT_H

#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"

/*
 * Copy the tree `from` (or the open folder `from_fd`, where that is not -1) to `to`, which must be
 * absent or an empty folder. Modes and links are kept. ERR_EXISTS if something is there already.
 */
bool export_tree(const char *from, int from_fd, const char *to, struct err *err) MUST_USE;

#endif

#include "common/bootid.h"

#include <fcntl.h>

#include "common/path.h"

void bootid_read(char *dst)
{
	SCOPED_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd >= 0 ? path_read_fd(fd, dst, BOOTID_SIZE - 1) : 0;

	dst[size == BOOTID_SIZE - 1 ? size : 0] = '\0';
}

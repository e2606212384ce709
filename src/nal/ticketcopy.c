#include "nal/ticketcopy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/newfile.h"
#include "common/path.h"
#include "nal/secret.h"

static bool is_current(const char *to, const struct stat *original)
{
	struct stat st;

	return lstat(to, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       st.st_size == original->st_size && st.st_mtim.tv_sec == original->st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == original->st_mtim.tv_nsec;
}

static bool write_copy(const char *to, struct span bytes, const struct stat *original)
{
	const struct timespec times[2] = { original->st_mtim, original->st_mtim };
	SCOPED(newfile) struct newfile nf = NEWFILE_EMPTY;
	struct err ignored;

	return newfile_begin(&nf, to, 0600, &ignored) && path_write_fd(nf.fd, bytes, &ignored) &&
	       futimens(nf.fd, times) == 0 && newfile_commit_unflushed(&nf, &ignored);
}

bool ticketcopy_make(const char *to, const char *from, uid_t owner)
{
	SCOPED_FD int fd = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat original;
	uint8_t *bytes;
	ssize_t size;
	bool done;

	/* In /tmp anybody can leave a file of that name. */
	if (fd < 0 || fstat(fd, &original) != 0 || !S_ISREG(original.st_mode) ||
	    original.st_uid != owner || (size_t)original.st_size > TICKETCOPY_MAX)
		return false;
	if (is_current(to, &original))
		return true;
	bytes = secret_memory_new(TICKETCOPY_MAX);
	size = path_read_fd(fd, bytes, TICKETCOPY_MAX);
	done = size > 0 && write_copy(to, span_of(bytes, (size_t)size), &original);
	secret_memory_free(bytes);
	return done;
}

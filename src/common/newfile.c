#include "common/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/random.h"

static char *parent_of(const char *path)
{
	const char *base = path_base(path);

	if (base == path)
		return alloc_text(".");
	return base == path + 1 ? alloc_text("/")
				: alloc_printf("%.*s", (int)(base - path - 1), path);
}

bool newfile_begin(struct newfile *nf, const char *path, mode_t mode, struct err *err)
{
	SCOPED_TEXT char *parent = parent_of(path);
	uint64_t salt;

	random_bytes(&salt, sizeof(salt));
	*nf = (struct newfile){ .fd = -1 };
	nf->path = alloc_text(path);
	nf->temp = alloc_printf("%s/.new-%016" PRIx64, parent, salt);
	nf->fd = open(nf->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (nf->fd < 0) {
		err_sys(err, ERR_IO, errno, "file %s", path);
		newfile_abandon(nf);
		return false;
	}
	/* The mode asked for, whatever the umask: CAP and DP files are read by other accounts. */
	(void)fchmod(nf->fd, mode);
	return true;
}

void newfile_retarget(struct newfile *nf, const char *path)
{
	free(nf->path);
	nf->path = alloc_text(path);
}

/* Close and rename, if `done` so far. The caller abandons what is left either way. */
static bool make_visible(struct newfile *nf, bool done, struct err *err)
{
	if (close(nf->fd) != 0)
		done = false;
	nf->fd = -1;
	if (!done || rename(nf->temp, nf->path) != 0)
		return err_sys(err, ERR_IO, errno, "file %s", nf->path);
	free(nf->temp);
	nf->temp = NULL;
	return true;
}

bool newfile_commit(struct newfile *nf, struct err *err)
{
	SCOPED_TEXT char *parent = parent_of(nf->path);
	bool done = make_visible(nf, fsync(nf->fd) == 0, err) && path_sync_dir(parent, err);

	newfile_abandon(nf);
	return done;
}

bool newfile_commit_unflushed(struct newfile *nf, struct err *err)
{
	bool done = make_visible(nf, true, err);

	newfile_abandon(nf);
	return done;
}

void newfile_abandon(struct newfile *nf)
{
	if (nf->fd >= 0)
		close(nf->fd);
	if (nf->temp != NULL)
		(void)unlink(nf->temp);
	free(nf->temp);
	free(nf->path);
	*nf = (struct newfile){ .fd = -1 };
}

bool newfile_write(const char *path, mode_t mode, struct span bytes, struct err *err)
{
	SCOPED(newfile) struct newfile nf = NEWFILE_EMPTY;

	return newfile_begin(&nf, path, mode, err) && path_write_fd(nf.fd, bytes, err) &&
	       newfile_commit(&nf, err);
}

bool newfile_write_unflushed(const char *path, mode_t mode, struct span bytes, struct err *err)
{
	SCOPED(newfile) struct newfile nf = NEWFILE_EMPTY;

	return newfile_begin(&nf, path, mode, err) && path_write_fd(nf.fd, bytes, err) &&
	       newfile_commit_unflushed(&nf, err);
}

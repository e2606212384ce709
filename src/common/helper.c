#include "common/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"

/* The folder of this program; /proc names a replaced executable with " (deleted)" behind, which
 * does not touch the folder. */
static char *own_folder(void)
{
	char path[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (size <= 0)
		return NULL;
	path[size] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL)
		return NULL;
	*slash = '\0';
	return alloc_text(path);
}

bool helper_find(char **path_out, const char *name, struct err *err)
{
	SCOPED_TEXT char *own = own_folder();
	const char *const folders[] = { own, PACKWAY_LIBEXECDIR };

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		SCOPED_TEXT char *path = NULL;

		if (folders[i] == NULL)
			continue;
		path = path_join(folders[i], name);
		/* By the rights that count here: a worker of root's may read what its account may
		 * not. */
		if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0) {
			*path_out = alloc_text(path);
			return true;
		}
	}
	err_set(err, ERR_NOT_FOUND, "%s is neither in %s nor in %s", name,
		own != NULL ? own : "this program's folder", PACKWAY_LIBEXECDIR);
	return err_fix(err, "install packway completely, or build it with 'ninja -C build'");
}

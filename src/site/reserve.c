#include "site/reserve.h"

#include <stdio.h>
#include <sys/statvfs.h>

#include "common/text.h"

#define SIZE_TEXT 32

static bool has_inodes(const struct statvfs *fs)
{
	return fs->f_files == 0 || fs->f_favail >= RESERVE_INODES;
}

static uint64_t bytes_left(const struct statvfs *fs)
{
	return (uint64_t)fs->f_bavail * fs->f_frsize;
}

static bool is_kept(const struct statvfs *fs, uint64_t bytes, uint64_t size)
{
	uint64_t left = bytes_left(fs);

	return fs->f_blocks == 0 || (has_inodes(fs) && left >= size && left - size >= bytes);
}

bool reserve_is_kept(int fd, uint64_t bytes, uint64_t size)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) != 0 || is_kept(&fs, bytes, size);
}

bool reserve_warning(char dst[RESERVE_WARNING_SIZE], const char *dir, uint64_t bytes)
{
	char left[SIZE_TEXT], wanted[SIZE_TEXT];
	struct statvfs fs;

	if (statvfs(dir, &fs) != 0 || is_kept(&fs, bytes, 0))
		return false;
	text_print_size(left, bytes_left(&fs));
	text_print_size(wanted, bytes);
	if (has_inodes(&fs))
		snprintf(
			dst, RESERVE_WARNING_SIZE,
			"serve takes no uploads: %.32s are left on the site's disk, and %.32s of it "
			"are kept free (reserve)",
			left, wanted);
	else
		snprintf(dst, RESERVE_WARNING_SIZE,
			 "serve takes no uploads: the site's disk has no room for more files");
	return true;
}

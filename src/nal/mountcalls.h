/*
 * libmount's functions, loaded when the mount table is first read: with the three libraries that it
 * links it takes half a millisecond of each program that links it (bench/README.md), and most
 * commands look at no mounts.
 *
 * Calls go through a table, mount->new_table() for mnt_new_table(). Used by mounts.c alone.
 */
#ifndef NAL_MOUNTCALLS_H
#define NAL_MOUNTCALLS_H

#include <libmount.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"

#define MOUNTCALLS_LIST(X)        \
	X(free_iter)              \
	X(fs_get_devno)           \
	X(fs_get_fstype)          \
	X(fs_get_id)              \
	X(fs_get_option)          \
	X(fs_get_parent_id)       \
	X(fs_get_root)            \
	X(fs_get_source)          \
	X(fs_get_target)          \
	X(new_iter)               \
	X(new_table)              \
	X(table_next_fs)          \
	X(table_parse_file)       \
	X(table_parse_mtab)       \
	X(table_set_parser_errcb) \
	X(unref_table)

struct mountcalls {
#define MOUNTCALLS_MEMBER(name) typeof(&mnt_##name) name;
	MOUNTCALLS_LIST(MOUNTCALLS_MEMBER)
#undef MOUNTCALLS_MEMBER
};

/* Fill the table. ERR_UNSUPPORTED: libmount is not installed, or is older than what this program
 * was built with. */
bool mountcalls_load(struct mountcalls *out, struct err *err) MUST_USE;

#endif

#include "support/testing.h"

#include "agent/mountwatch.h"

static uint64_t sum(const char *table)
{
	return mountwatch_sum(span_of_text(table));
}

#define LOCAL  "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
#define CIFS   "29 27 0:41 / /mnt/dp4 rw - cifs //dp4/pkg rw\n"
#define RCLONE "28 27 0:40 / /mnt/dp3 rw shared:1 - fuse.rclone //dp3/packway rw\n"

static void only_mounts_that_may_carry_content_count(void **state UNUSED)
{
	static const struct {
		const char *why, *table;
		bool counts;
	} cases[] = {
		{ "nothing", "", false },
		{ "local disks", LOCAL, false },
		{ "a container's layers", "30 27 0:4 / /var/lib/x rw - overlay overlay rw\n",
		  false },
		{ "cifs", CIFS, true },
		{ "FUSE with a subtype", RCLONE, true },
		{ "FUSE without, as davfs2", "31 27 0:5 / /dav rw - fuse http://web/ rw\n", true },
		{ "the control file system of FUSE", "31 27 0:5 / /c rw - fusectl x rw\n", false },
		{ "NFS", "31 27 0:5 / /n rw - nfs4 nas:/e rw\n", true },
		{ "its server's side", "31 27 0:5 / /n rw - nfsd nfsd rw\n", false },
		{ "a type in a path", "31 27 0:5 / /-\\040cifs rw - tmpfs cifs rw\n", false },
		{ "no line of a table", "cifs\n", false },
		{ "no end of line", "31 27 0:5 / /n rw - cifs", true },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if ((sum(cases[i].table) != 0) != cases[i].counts)
			fail_msg("%s", cases[i].why);
}

static void the_sum_is_that_of_the_set(void **state UNUSED)
{
	assert_true(sum(CIFS RCLONE) == sum(RCLONE LOCAL CIFS));
	assert_true(sum(CIFS RCLONE) != sum(CIFS));
	assert_true(sum(CIFS) != sum(RCLONE));
}

static void the_kernels_table_is_watched(void **state UNUSED)
{
	struct mountwatch w;

	mountwatch_open(&w);
	assert_true(w.fd >= 0);
	w.sum += 1; /* as if others had been there before */
	assert_true(mountwatch_has_changed(&w) || w.sum == 0);
	mountwatch_close(&w);
	assert_int_equal(w.fd, -1);
}

TESTING_MAIN(cmocka_unit_test(only_mounts_that_may_carry_content_count),
	     cmocka_unit_test(the_sum_is_that_of_the_set),
	     cmocka_unit_test(the_kernels_table_is_watched), )

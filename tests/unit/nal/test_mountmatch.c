#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "nal/mountmatch.h"
#include "nal/mounts.h"

/* A table as a kernel with everything would print it; numbers are ids, devices and the like. */
static const char table_text[] =
	"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
	"28 27 0:40 / /mnt/dp3 rw,relatime - fuse.rclone //dp3/packway rw,user_id=0,group_id=0\n"
	"29 27 0:41 / /mnt/dp4 rw - cifs //DP4/Pkg$ rw,vers=3.1.1,addr=10.1.0.4,uid=1000\n"
	"30 27 0:42 /sub\\040dir /mnt/sub rw - cifs //DP2/PKG$/sub\\040dir rw,addr=10.1.0.2\n"
	"31 27 0:43 / /mnt/nas rw - nfs4 nas:/export rw,addr=10.1.0.9\n"
	"32 27 0:44 / /mnt/dav rw - fuse http://web:8080/packway/ rw,user_id=0,group_id=0,allow_other\n"
	"33 27 0:45 / /home/eve/dp5 rw - fuse.rclone //dp5/packway rw,user_id=1000,group_id=1000\n"
	"34 27 0:46 / /mnt/dp6 rw - cifs //dp6/packway rw,cruid=1000,addr=10.1.0.6\n"
	"35 27 254:0 /srv/dp7 /mnt/dp7 rw,relatime - ext4 /dev/vda rw\n"
	"36 27 0:47 / /mnt/old rw - cifs //dp8/packway rw\n"
	"37 27 0:48 / /mnt/old rw - tmpfs tmpfs rw\n"
	"38 27 0:49 / /mnt/auto rw - autofs /etc/auto.dp9 rw,fd=6\n"
	"39 27 0:50 / /mnt/view rw - fuse.bindfs /srv/dp10 rw,user_id=0,group_id=0\n"
	"40 27 0:51 / /mnt/remote rw - fuse.sshfs admin@dp11:/srv/packway rw,user_id=0\n"
	"41 27 0:52 / /mnt/alice rw - cifs //dp12/packway rw,user=alice\n"
	"42 27 0:41 /deep /mnt/deep rw - cifs //DP4/Pkg$ rw,addr=10.1.0.4\n";

static void read_table(struct mounts *table, const char *text)
{
	char path[] = "/tmp/test_mountmatch.XXXXXX";
	int fd = mkstemp(path);
	struct err err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_done(mounts_read(table, path, &err), &err);
	unlink(path);
}

/* The best match, as "evidence place". */
static char *best_match(const struct mounts *table, const struct mountmatch_context *context,
			const char *address)
{
	SCOPED(mountmatch_list) struct mountmatch_list list = { 0 };
	SCOPED(locator) struct locator where = { 0 };
	const struct locator *const addresses[] = { &where };
	const struct mountmatch *best = NULL;
	struct err err;

	assert_done(locator_parse_argument(&where, address, &err), &err);
	mountmatch_find(&list, table, context, addresses, 1);
	for (size_t i = 0; i < list.count; i++)
		if (best == NULL || list.items[i].evidence > best->evidence)
			best = &list.items[i];
	if (best == NULL)
		return alloc_text("none");
	return alloc_printf("%s%s%s", waykind_evidence_name(best->evidence),
			    best->at != NULL ? " " : "", best->at != NULL ? best->at : "");
}

static void mounts_are_matched_to_addresses(void **state UNUSED)
{
	static const struct mountmatch_context root = { 0 };
	static const struct mountmatch_context eve = { 1000, "eve" };
	static const struct mountmatch_context alice = { 1001, "alice" };
	static const struct {
		const char *why;
		const struct mountmatch_context *context;
		const char *address, *want;
	} cases[] = {
		{ "a FUSE mount whose source names the share", &root, "smb://dp3/packway",
		  "same-path /mnt/dp3" },
		{ "content in a folder of the share", &root, "smb://dp3/packway/a/b",
		  "same-path /mnt/dp3/a/b" },
		{ "case and dollar", &root, "smb://dp4/PKG$", "same-path /mnt/dp4" },
		{ "the same server under its address", &root, "smb://10.1.0.4/pkg$",
		  "same-path /mnt/dp4" },
		{ "under its whole name", &root, "smb://dp4.example.org/pkg$",
		  "same-path /mnt/dp4" },
		{ "another share of the server (Q185337)", &root, "smb://dp4/other",
		  "same-server" },
		{ "another server", &root, "smb://dp44/pkg$", "none" },
		{ "the folder that is mounted", &root, "smb://dp2/pkg$/sub dir/x",
		  "same-path /mnt/sub/x" },
		{ "the share above the folder that is mounted", &root, "smb://dp2/pkg$",
		  "same-share" },
		{ "a bind mount of a part of a share", &root, "smb://dp4/pkg$/deep",
		  "same-path /mnt/dp4/deep" },
		{ "an NFS export", &root, "nfs://nas/export/packway",
		  "same-path /mnt/nas/packway" },
		{ "an address of another kind on that machine", &root, "smb://nas/packway",
		  "same-server" },
		{ "WebDAV", &root, "http://web:8080/packway/x", "same-path /mnt/dav/x" },
		{ "another port is another service", &root, "http://web/packway", "same-server" },
		{ "a user's FUSE mount never attracts the system", &root, "smb://dp5/packway",
		  "none" },
		{ "it does count for that user", &eve, "smb://dp5/packway",
		  "same-path /home/eve/dp5" },
		{ "not for another", &alice, "smb://dp5/packway", "none" },
		{ "root's closed FUSE mount is none of a user's", &eve, "smb://dp3/packway",
		  "none" },
		{ "root's open one is", &eve, "http://web:8080/packway", "same-path /mnt/dav" },
		{ "credentials of a user", &root, "smb://dp6/packway", "none" },
		{ "for that user", &eve, "smb://dp6/packway", "same-path /mnt/dp6" },
		{ "mounted by a user's fstab line", &root, "smb://dp12/packway", "none" },
		{ "for that user, too", &alice, "smb://dp12/packway", "same-path /mnt/alice" },
		{ "covered by a later mount", &root, "smb://dp8/packway", "none" },
		{ "an automounter is left alone", &root, "smb://dp9/packway", "none" },
		{ "a bind mount of the folder", &root, "/srv/dp7", "same-path /mnt/dp7" },
		{ "a folder inside it", &root, "/srv/dp7/a", "same-path /mnt/dp7/a" },
		{ "the folder is the bind mount", &root, "/mnt/dp7", "same-path /mnt/dp7" },
		{ "a plain folder", &root, "/srv/dp0", "none" },
		{ "a folder on a network mount", &root, "/mnt/nas/packway",
		  "same-path /mnt/nas/packway" },
		{ "a folder on a user's mount", &root, "/home/eve/dp5", "none" },
		{ "a FUSE mount of a folder", &root, "/srv/dp10/p", "same-path /mnt/view/p" },
		{ "uid= is only the owner of files", &alice, "smb://dp4/pkg$",
		  "same-path /mnt/dp4" },
	};
	SCOPED(mounts) struct mounts table = { 0 };

	read_table(&table, table_text);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED_TEXT char *got = best_match(&table, cases[i].context, cases[i].address);

		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: %s: %s", cases[i].why, cases[i].address, got);
	}
}

static void gvfs_folders_count_for_their_user(void **state UNUSED)
{
	SCOPED(mounts) struct mounts table = { 0 };
	const struct mountmatch_context eve = { 1000, "eve" }, root = { 0 };
	SCOPED_TEXT char *hers = NULL, *roots = NULL, *odd = NULL;

	mounts_add_gvfs(&table, "/run/user/1000/gvfs", "smb-share:server=nas,share=pub%20lic",
			1000);
	mounts_add_gvfs(&table, "/run/user/1000/gvfs", "sftp:host=nas", 1000);
	assert_int_equal(table.count, 1);
	hers = best_match(&table, &eve, "smb://nas/pub lic/x");
	roots = best_match(&table, &root, "smb://nas/pub lic/x");
	assert_string_equal(hers, "same-path /run/user/1000/gvfs/"
				  "smb-share:server=nas,share=pub%20lic/x");
	assert_string_equal(roots, "none");
	odd = mountmatch_gvfs_source("smb-share:server=nas,share=%2e%2");
	assert_null(odd);
}

static void hostile_sources_name_no_place(void **state UNUSED)
{
	static const char *const sources[] = { "//",        "///x",           "//h",
					       "//h/../x",  "http://u:p@h/x", ":/x",
					       "//h/a\x01", "rclone:",        "" };

	for (size_t i = 0; i < COUNT_OF(sources); i++) {
		SCOPED_TEXT char *source = alloc_text(sources[i]);
		SCOPED_TEXT char *type = alloc_text("fuse.x"), *root = alloc_text("/");
		struct mounts_entry entry = { .source = source, .fstype = type, .root = root };
		struct locator where;

		if (mountmatch_source(&where, &entry))
			fail_msg("'%s' names %s", sources[i], where.path);
	}
}

static void the_machines_own_table_is_read(void **state UNUSED)
{
	SCOPED(mounts) struct mounts table = { 0 };
	struct err err;

	assert_done(mounts_read(&table, NULL, &err), &err);
	assert_true(table.count > 0);
}

static void odd_lines_hide_no_others(void **state UNUSED)
{
	SCOPED(mounts) struct mounts table = { 0 };

	read_table(&table, "27 1 254:0 / / rw - ext4 /dev/vda rw\nnonsense\n"
			   "28 27 0:40 / /mnt/x rw - cifs //dp/p rw\n");
	assert_int_equal(table.count, 2);
}

static void a_missing_table_is_a_fault(void **state UNUSED)
{
	struct mounts table;
	struct err err;

	assert_false(mounts_read(&table, "/nonexistent/mountinfo", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

TESTING_MAIN(cmocka_unit_test(mounts_are_matched_to_addresses),
	     cmocka_unit_test(gvfs_folders_count_for_their_user),
	     cmocka_unit_test(hostile_sources_name_no_place),
	     cmocka_unit_test(the_machines_own_table_is_read),
	     cmocka_unit_test(odd_lines_hide_no_others),
	     cmocka_unit_test(a_missing_table_is_a_fault), )

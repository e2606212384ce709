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
	"42 27 0:41 /deep /mnt/deep rw - cifs //DP4/Pkg$ rw,addr=10.1.0.4\n"
	"43 27 0:53 / /mnt/dp13 rw - smb3 //files/packway rw,vers=3.1.1,addr=10.1.0.13\n"
	"44 27 0:54 / /mnt/dp14 rw - nfs dp14:/srv/packway rw,vers=3,addr=2001:db8::14\n"
	"45 27 0:55 / /mnt/dp15 rw - fuse.rclone //dp15/packway rw,user_id=0,group_id=0,allow_other\n"
	"46 27 0:56 / /home/eve/dp16 rw - fuse.rclone //dp16/packway rw,user_id=1000,group_id=1000,"
	"allow_other\n"
	"47 27 0:57 / /run/user/1000/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw,user_id=1000\n"
	"48 27 0:58 / /mnt/deeper/dp17 rw - cifs //dp17/packway rw,addr=10.1.0.17\n"
	"49 48 0:59 / /mnt/deeper/dp17/in rw - cifs //dp18/packway rw,addr=10.1.0.18\n"
	"50 27 0:60 / /mnt/deeper rw - tmpfs tmpfs rw\n"
	"51 50 0:61 / /mnt/deeper/dp19 rw - cifs //dp19/packway rw,addr=10.1.0.19\n"
	"52 27 0:62 / /mnt/dav2 rw - davfs https://web2/packway rw\n"
	"53 27 0:63 / /mnt/six rw - cifs //2001:db8::20/packway rw,addr=2001:db8::20\n"
	"54 27 0:64 / /mnt/odd rw - fuse.rclone smb://dp21:1445/packway rw,user_id=0\n"
	"55 27 0:65 / /mnt/home rw - fuse.sshfs admin@dp22: rw,user_id=0\n"
	"56 38 0:66 / /mnt/auto rw - cifs //dp23/packway rw,addr=10.1.0.23\n";

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
	static const struct mountmatch_context eve = { 1000, "eve", NULL };
	static const struct mountmatch_context alice = { 1001, "alice", NULL };
	static const struct mountmatch_context eve_beyond = { 1000, "eve", &root };
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
		{ "covered by a later mount above it", &root, "smb://dp17/packway", "none" },
		{ "what lies on a covered one is covered", &root, "smb://dp18/packway", "none" },
		{ "what lies on the cover is not", &root, "smb://dp19/packway",
		  "same-path /mnt/deeper/dp19" },
		{ "smb3, and an alias of the server", &root, "smb://10.1.0.13/packway",
		  "same-path /mnt/dp13" },
		{ "an alias without its address says nothing", &root, "smb://dp13/packway",
		  "none" },
		{ "NFS 3 under an IPv6 address", &root, "nfs://[2001:db8::14]/srv/packway/x",
		  "same-path /mnt/dp14/x" },
		{ "an export below the one mounted above", &root, "nfs://dp14/srv", "same-share" },
		{ "root's FUSE mount that others may enter", &root, "smb://dp15/packway",
		  "same-path /mnt/dp15" },
		{ "a user's, though others may enter", &root, "smb://dp16/packway", "none" },
		{ "and not for another user", &alice, "smb://dp16/packway", "none" },
		{ "davfs over TLS", &root, "https://web2/packway/x", "same-path /mnt/dav2/x" },
		{ "plain HTTP is another service", &root, "http://web2/packway", "same-server" },
		{ "a source with an IPv6 address", &root, "smb://[2001:db8::20]/packway",
		  "same-path /mnt/six" },
		{ "a source that names the port", &root, "smb://dp21:1445/packway",
		  "same-path /mnt/odd" },
		{ "another port is another server's service", &root, "smb://dp21/packway",
		  "same-server" },
		{ "sshfs shows the server's paths, as NFS does", &root, "nfs://dp11/srv/packway/x",
		  "same-path /mnt/remote/x" },
		{ "which are no shares", &root, "smb://dp11/packway", "same-server" },
		{ "sshfs of a home folder names no place", &root, "nfs://dp22/", "none" },
		{ "what an automounter has mounted is a mount", &root, "smb://dp23/packway",
		  "same-path /mnt/auto" },
		{ "GVFS itself names no share", &eve, "smb://gvfsd-fuse/x", "none" },
		{ "beyond the system: a user's own", &eve_beyond, "smb://dp5/packway",
		  "same-path /home/eve/dp5" },
		{ "beyond the system: not root's", &eve_beyond, "smb://dp4/pkg$", "none" },
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
	const struct mountmatch_context eve = { 1000, "eve", NULL }, root = { 0 };
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

static void gvfs_entries_name_places(void **state UNUSED)
{
	static const struct {
		const char *entry, *want; /* NULL: no place */
	} cases[] = {
		{ "smb-share:server=nas,share=pub", "//nas/pub" },
		{ "smb-share:domain=SITE,server=nas,share=pub,user=eve", "//nas/pub" },
		{ "smb-share:port=1445,server=nas,share=pub lic", "smb://nas:1445/pub%20lic" },
		{ "dav:host=web,ssl=true,prefix=%2Fpack%2520way", "https://web/pack%2520way" },
		{ "dav:host=web,port=8080,ssl=false,prefix=%2Fp", "http://web:8080/p" },
		{ "dav:host=web,ssl=false", "http://web/" },
		{ "nfs:host=nas,prefix=%2Fexport", "nfs://nas/export" },
		{ "smb-server:server=nas", NULL },
		{ "smb-share:server=nas", NULL },
		{ "sftp:host=nas", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED_TEXT char *got = mountmatch_gvfs_source(cases[i].entry);

		if (got == NULL || cases[i].want == NULL ? got != cases[i].want
							 : strcmp(got, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].entry, got);
	}
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

/* As an initramfs shows it: the first file system is its own parent. */
static void the_first_file_system_covers_nothing(void **state UNUSED)
{
	static const struct mountmatch_context root = { 0 };
	SCOPED(mounts) struct mounts table = { 0 };
	SCOPED_TEXT char *got = NULL;

	read_table(&table, "1 1 0:2 / / rw - rootfs none rw\n"
			   "25 1 0:22 / /mnt/dp1 rw - cifs //dp1/packway rw,addr=10.0.2.100\n");
	got = best_match(&table, &root, "smb://10.0.2.100/packway");
	assert_string_equal(got, "same-path /mnt/dp1");
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
	     cmocka_unit_test(gvfs_entries_name_places),
	     cmocka_unit_test(hostile_sources_name_no_place),
	     cmocka_unit_test(the_machines_own_table_is_read),
	     cmocka_unit_test(the_first_file_system_covers_nothing),
	     cmocka_unit_test(odd_lines_hide_no_others),
	     cmocka_unit_test(a_missing_table_is_a_fault), )

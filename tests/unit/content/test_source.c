#include "content/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "content/manifest.h"
#include "support/tempdir.h"
#include "support/testing.h"

static int make_folder(void **state)
{
	*state = tempdir_make("source");
	return chdir(*state) == 0 && mkdir("src", 0755) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
	int failed = chdir("/");

	tempdir_remove(*state);
	return failed;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	struct err err;

	assert_true(fd >= 0);
	assert_done(path_write_fd(fd, span_of_text(text), &err), &err);
	close(fd);
}

static void entries_come_in_manifest_order(void **state UNUSED)
{
	static const char *const want[] = {
		"-r", "a", "a\nb", "a b", "a-b", "a/b", "a/b/\xc3\xa4", "a/link", "quote'\"",
	};
	SCOPED(source) struct source *s = NULL;
	struct err err;

	assert_int_equal(mkdir("src/a", 0750), 0);
	assert_int_equal(mkdir("src/a/b", 0755), 0);
	assert_int_equal(chmod("src/a", 01750), 0);
	put("src/a/b/\xc3\xa4", "12345");
	put("src/a-b", "");
	put("src/a b", "1");
	put("src/a\nb", "");
	put("src/-r", "22");
	put("src/quote'\"", "");
	assert_int_equal(symlink("../-r", "src/a/link"), 0);
	assert_done(source_open(&s, "src", 0, &err), &err);
	assert_int_equal(source_entry_count(s), COUNT_OF(want));
	for (uint32_t i = 0; i < COUNT_OF(want); i++)
		assert_string_equal(source_entry_at(s, i)->path, want[i]);
	assert_int_equal(source_entry_at(s, 1)->mode, 0750);
	assert_int_equal(source_entry_at(s, 1)->type, MANIFEST_DIR);
	assert_int_equal(source_entry_at(s, 6)->size, 5);
	assert_string_equal(source_entry_at(s, 7)->target, "../-r");
	assert_int_equal(source_size(s), 8);
	assert_done(source_settle(s, &err), &err);
}

/* A tree that two threads share: 20 × 20 folders with 2 files each. */
static void make_many_folders(void)
{
	for (int i = 0; i < 20; i++) {
		SCOPED_TEXT char *outer = alloc_printf("src/%02d", i);

		assert_int_equal(mkdir(outer, 0755), 0);
		for (int j = 0; j < 20; j++) {
			SCOPED_TEXT char *inner = alloc_printf("%s/%02d", outer, j);
			SCOPED_TEXT char *file = alloc_printf("%s/file", inner);
			SCOPED_TEXT char *other = alloc_printf("%s/other", inner);

			assert_int_equal(mkdir(inner, 0755), 0);
			put(file, inner);
			put(other, "");
		}
	}
}

static void many_folders_are_listed_whole(void **state UNUSED)
{
	struct err err;

	make_many_folders();
	for (int round = 0; round < 50; round++) {
		SCOPED(source) struct source *s = NULL;
		uint32_t at = 0;

		assert_done(source_open(&s, "src", 0, &err), &err);
		assert_int_equal(source_entry_count(s), 20 + 400 + 800);
		assert_int_equal(source_size(s), 400 * strlen("src/00/00"));
		for (int i = 0; i < 20; i++) {
			at++; /* the outer folder */
			for (int j = 0; j < 20; j++, at += 3) {
				SCOPED_TEXT char *file = alloc_printf("%02d/%02d/file", i, j);

				assert_string_equal(source_entry_at(s, at + 1)->path, file);
			}
		}
		assert_done(source_settle(s, &err), &err);
	}
}

static void one_bad_folder_among_many_is_found(void **state UNUSED)
{
	struct source *s = NULL;
	struct err err;

	make_many_folders();
	assert_int_equal(mkfifo("src/13/07/pipe", 0644), 0);
	for (int round = 0; round < 50; round++) {
		assert_false(source_open(&s, "src", 0, &err));
		assert_int_equal(err.code, ERR_SOURCE);
		assert_non_null(strstr(err.why, "13/07/pipe is a named pipe"));
	}
}

static void make_nothing(void) {}

static void make_pipe(void)
{
	assert_int_equal(mkfifo("src/pipe", 0644), 0);
}

static void make_socket(void)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX, .sun_path = "src/socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
	close(fd);
}

static void make_latin_name(void)
{
	put("src/caf\xe9", "");
}

static void make_absolute_link(void)
{
	put("src/file", "");
	assert_int_equal(symlink("/etc/passwd", "src/abs"), 0);
}

static void make_climbing_links(void)
{
	assert_int_equal(mkdir("src/d", 0755), 0);
	for (char c = '1'; c <= '7'; c++) {
		SCOPED_TEXT char *path = alloc_printf("src/d/up%c", c);

		assert_int_equal(symlink("../../x", path), 0);
	}
}

static void make_link_by_way_of_another(void)
{
	assert_int_equal(mkdir("src/d", 0755), 0);
	assert_int_equal(symlink("..", "src/d/base"), 0);
	assert_int_equal(symlink("d/base/..", "src/out"), 0);
}

static void make_latin_link(void)
{
	assert_int_equal(symlink("caf\xe9", "src/l"), 0);
}

static const struct {
	const char *why;
	void (*make)(void);
	enum err_code want;
	const char *says;
} refused[] = {
	{ "an empty folder", make_nothing, ERR_SOURCE, "is empty" },
	{ "a named pipe", make_pipe, ERR_SOURCE, "pipe is a named pipe" },
	{ "a socket", make_socket, ERR_SOURCE, "socket is a socket" },
	{ "a name that is not UTF-8", make_latin_name, ERR_SOURCE, "caf\\xe9" },
	{ "an absolute link", make_absolute_link, ERR_SOURCE, "abs -> /etc/passwd" },
	{ "climbing links, five of them named", make_climbing_links, ERR_SOURCE,
	  "7 symbolic links" },
	{ "a link out by way of another", make_link_by_way_of_another, ERR_SOURCE,
	  "out -> d/base/.." },
	{ "a target that is not UTF-8", make_latin_link, ERR_SOURCE, "l" },
};

static void what_no_package_can_hold_is_refused(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		SCOPED(source) struct source *s = NULL;
		struct err err = { 0 };

		assert_true(path_remove_tree("src", &err));
		assert_int_equal(mkdir("src", 0755), 0);
		refused[i].make();
		if (source_open(&s, "src", 0, &err))
			fail_msg("taken: %s", refused[i].why);
		if (err.code != refused[i].want || strstr(err.why, refused[i].says) == NULL)
			fail_msg("%s: %s [%s]", refused[i].why, err.why, err_name(err.code));
	}
}

static void a_source_that_is_not_there_is_a_fault(void **state UNUSED)
{
	SCOPED(source) struct source *s = NULL;
	struct err err;

	assert_false(source_open(&s, "nowhere", 0, &err));
	put("file", "");
	assert_false(source_open(&s, "file", 0, &err));
}

static void outside_links_are_left_out_on_request(void **state UNUSED)
{
	SCOPED(source) struct source *s = NULL;
	struct err err;

	make_climbing_links();
	assert_int_equal(symlink("nowhere", "src/dangling"), 0);
	assert_done(source_open(&s, "src", SOURCE_SKIP_OUTSIDE_LINKS, &err), &err);
	assert_int_equal(source_entry_count(s), 2);
	assert_string_equal(source_entry_at(s, 1)->path, "dangling");
	assert_int_equal(source_skipped_count(s), 7);
	assert_non_null(strstr(source_skipped_text(s), "d/up5 -> ../../x"));
	assert_null(strstr(source_skipped_text(s), "d/up6"));
}

static void a_folder_of_nothing_but_outside_links_is_empty(void **state UNUSED)
{
	SCOPED(source) struct source *s = NULL;
	struct err err;

	assert_int_equal(symlink("/etc", "src/abs"), 0);
	assert_false(source_open(&s, "src", SOURCE_SKIP_OUTSIDE_LINKS, &err));
	assert_int_equal(err.code, ERR_SOURCE);
}

static void append(void)
{
	int fd = open("src/file", O_WRONLY | O_APPEND);

	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void touch(void)
{
	assert_int_equal(utimensat(AT_FDCWD, "src/file", NULL, 0), 0);
}

static void replace(void)
{
	put("src/other", "bytes");
	assert_int_equal(rename("src/other", "src/file"), 0);
}

static void turn_into_pipe(void)
{
	assert_int_equal(unlink("src/file"), 0);
	assert_int_equal(mkfifo("src/file", 0644), 0);
}

static void turn_into_link(void)
{
	assert_int_equal(unlink("src/file"), 0);
	assert_int_equal(symlink("/etc/passwd", "src/file"), 0);
}

static void remove_it(void)
{
	assert_int_equal(unlink("src/file"), 0);
}

static const struct {
	const char *why;
	void (*change)(void);
} changes[] = {
	{ "it grew", append },
	{ "it was touched", touch },
	{ "it was replaced", replace },
	{ "it became a pipe", turn_into_pipe },
	{ "it became a link", turn_into_link },
	{ "it vanished", remove_it },
};

static void a_file_that_changes_is_noticed(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		SCOPED(source) struct source *s = NULL;
		SCOPED_FD int fd = -1;
		struct err err = { 0 };

		unlink("src/file");
		put("src/file", "bytes");
		assert_done(source_open(&s, "src", 0, &err), &err);
		usleep(10000); /* longer than a tick of the file system's clock */
		changes[i].change();
		if (source_read_begin(&fd, s, 0, &err))
			fail_msg("not noticed before: %s", changes[i].why);
		assert_int_equal(err.code, ERR_SOURCE_CHANGED);
	}
}

static void a_file_that_changes_while_read_is_noticed(void **state UNUSED)
{
	SCOPED(source) struct source *s = NULL;
	SCOPED_FD int fd = -1;
	struct err err;

	put("src/file", "bytes");
	assert_done(source_open(&s, "src", 0, &err), &err);
	assert_done(source_read_begin(&fd, s, 0, &err), &err);
	usleep(10000);
	append();
	assert_false(source_read_end(s, 0, fd, &err));
	assert_int_equal(err.code, ERR_SOURCE_CHANGED);
}

static void a_folder_that_changes_is_noticed(void **state UNUSED)
{
	static const char *const added[] = { "src/new", "src/d/new" };

	assert_int_equal(mkdir("src/d", 0755), 0);
	for (size_t i = 0; i < COUNT_OF(added); i++) {
		SCOPED(source) struct source *s = NULL;
		struct err err;

		assert_done(source_open(&s, "src", 0, &err), &err);
		usleep(10000);
		put(added[i], "");
		assert_false(source_settle(s, &err));
		assert_int_equal(err.code, ERR_SOURCE_CHANGED);
	}
}

static void an_unreadable_file_is_named(void **state UNUSED)
{
	SCOPED(source) struct source *s = NULL;
	SCOPED_FD int fd = -1;
	uid_t self = geteuid();
	struct err err;

	put("src/secret", "x");
	assert_int_equal(chmod("src/secret", 0), 0);
	assert_int_equal(chmod(".", 0755), 0);
	assert_done(source_open(&s, "src", 0, &err), &err);
	/* Root reads everything. */
	assert_int_equal(seteuid(self == 0 ? 65534 : self), 0);
	assert_false(source_read_begin(&fd, s, 0, &err));
	assert_int_equal(seteuid(self), 0);
	assert_int_equal(err.code, ERR_PERMISSION);
	assert_non_null(strstr(err.why, "secret"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

TESTING_MAIN(CASE(entries_come_in_manifest_order), CASE(many_folders_are_listed_whole),
	     CASE(one_bad_folder_among_many_is_found), CASE(what_no_package_can_hold_is_refused),
	     CASE(a_source_that_is_not_there_is_a_fault),
	     CASE(outside_links_are_left_out_on_request),
	     CASE(a_folder_of_nothing_but_outside_links_is_empty),
	     CASE(a_file_that_changes_is_noticed), CASE(a_file_that_changes_while_read_is_noticed),
	     CASE(a_folder_that_changes_is_noticed), CASE(an_unreadable_file_is_named))

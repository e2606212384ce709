#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/path.h"
#include "support/failnth.h"
#include "support/tempdir.h"

#define NOBODY 65534

static void make_file(const char *path, const char *text)
{
	SCOPED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err err;

	assert_true(fd >= 0);
	assert_done(path_write_fd(fd, span_of_text(text), &err), &err);
}

static void pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Run `act` as a user to whom rights mean something; its result. */
static int as_nobody(int (*act)(const char *), const char *dir)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (geteuid() == 0 &&
		    (chown(dir, NOBODY, NOBODY) != 0 || setregid(NOBODY, NOBODY) != 0 ||
		     setreuid(NOBODY, NOBODY) != 0))
			_exit(100);
		_exit(act(dir));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Text. */

static void parts_join_with_one_slash(void **state UNUSED)
{
	static const struct {
		const char *a, *b, *want;
	} cases[] = {
		{ "a", "b", "a/b" },       { "a/", "b", "a/b" }, { "a//", "//b", "a/b" },
		{ "/", "b", "/b" },        { "//", "b", "/b" },  { "", "b", "b" },
		{ "", "/b", "b" },         { "a", "", "a/" },    { "/a b", "c\nd", "/a b/c\nd" },
		{ "a", "b/c/", "a/b/c/" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED_TEXT char *got = path_join(cases[i].a, cases[i].b);

		if (strcmp(got, cases[i].want) != 0)
			fail_msg("\"%s\" and \"%s\": \"%s\"", cases[i].a, cases[i].b, got);
	}
}

static void the_base_is_behind_the_last_slash(void **state UNUSED)
{
	assert_string_equal(path_base("/a/b"), "b");
	assert_string_equal(path_base("b"), "b");
	assert_string_equal(path_base("/b"), "b");
	assert_string_equal(path_base("a/"), "");
	assert_string_equal(path_base(""), "");
}

static void only_plain_relative_names_are_beneath(void **state UNUSED)
{
	static const struct {
		const char *why;
		struct span in;
		bool fine;
	} cases[] = {
#define ROW(why, text, fine) { why, { (const uint8_t *)(text), sizeof(text) - 1 }, fine }
		ROW("one name", "a", true),
		ROW("a path", "a/b/c", true),
		ROW("spaces, quotes, a dash, a newline", "-a b/'\"\n", true),
		ROW("bytes that are no UTF-8", "\xff\xfe", true),
		ROW("three dots", ".../..a/b..", true),
		ROW("a hidden name", ".a", true),
		ROW("nothing", "", false),
		ROW("the root", "/", false),
		ROW("absolute", "/a", false),
		ROW("a slash behind", "a/", false),
		ROW("two slashes", "a//b", false),
		ROW("the parent", "..", false),
		ROW("the parent on the way", "a/../b", false),
		ROW("the parent at the end", "a/..", false),
		ROW("itself", ".", false),
		ROW("itself on the way", "a/./b", false),
		ROW("a NUL", "a\0b", false),
		ROW("a NUL behind", "a\0", false),
#undef ROW
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (path_is_beneath(cases[i].in) != cases[i].fine)
			fail_msg("%s", cases[i].why);
}

static void names_and_paths_have_the_systems_limits(void **state UNUSED)
{
	char path[5000];

	memset(path, 'a', sizeof(path));
	assert_true(path_is_beneath(span_of(path, 255)));
	assert_false(path_is_beneath(span_of(path, 256)));
	for (size_t i = 100; i < sizeof(path); i += 100)
		path[i] = '/';
	assert_true(path_is_beneath(span_of(path, 4095)));
	assert_false(path_is_beneath(span_of(path, 4096)));
}

static void a_folder_contains_itself_and_what_is_below(void **state UNUSED)
{
	static const struct {
		const char *why, *outer, *inner;
		bool want;
	} cases[] = {
		{ "itself", "tree", "tree", true },
		{ "itself with a slash", "tree/", "tree", true },
		{ "a folder in it", "tree", "tree/a", true },
		{ "what does not exist yet", "tree", "tree/new/b", true },
		{ "two that do not exist yet", "new", "new/b", true },
		{ "the same with a slash", "new/", "new/b", true },
		{ "a name that begins alike", "tree", "tree2", false },
		{ "a new name that begins alike", "new", "new2/b", false },
		{ "its parent", "tree/a", "tree", false },
		{ "by a link", "tree", "link/a", true },
		{ "a link out of it", "tree", "tree/exit/tree2", false },
		{ "new, behind a link", "tree", "link/new", true },
		{ "the root holds everything", "/", "tree", true },
		{ "here", ".", "tree", true },
		{ "here, what does not exist yet", ".", "new", true },
		{ "by a detour", "tree", "tree/a/../a", true },
		{ "out by a detour", "tree", "tree/a/../../tree2", false },
	};
	char *top = tempdir_make("path");
	SCOPED_FD int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(chdir(top), 0);
	assert_int_equal(mkdir("tree", 0700), 0);
	assert_int_equal(mkdir("tree/a", 0700), 0);
	assert_int_equal(mkdir("tree2", 0700), 0);
	assert_int_equal(symlink("tree", "link"), 0);
	assert_int_equal(symlink("..", "tree/exit"), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (path_contains(cases[i].outer, cases[i].inner) != cases[i].want)
			fail_msg("%s: \"%s\" and \"%s\"", cases[i].why, cases[i].outer,
				 cases[i].inner);
	assert_int_equal(fchdir(here), 0);
	tempdir_remove(top);
}

/* Folders. */

static void folders_are_made_with_their_parents(void **state UNUSED)
{
	char *top = tempdir_make("path");
	SCOPED_TEXT char *deep = path_join(top, "a/b c/\xc3\xa4/-d/");
	SCOPED_TEXT char *file = path_join(top, "file");
	SCOPED_TEXT char *below = path_join(file, "x");
	SCOPED_TEXT char *link = path_join(top, "link");
	struct err err = { 0 };

	assert_done(path_make_dirs(deep, 0700, &err), &err);
	assert_done(path_make_dirs(deep, 0700, &err), &err);
	assert_done(path_make_dirs("/", 0700, &err), &err);
	make_file(file, "");
	assert_false(path_make_dirs(file, 0700, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_false(path_make_dirs(below, 0700, &err));
	assert_int_equal(symlink("a", link), 0);
	assert_done(path_make_dirs(link, 0700, &err), &err);
	assert_false(path_make_dirs("", 0700, &err));
	tempdir_remove(top);
}

static int try_closed_folder(const char *dir)
{
	SCOPED_TEXT char *closed = path_join(dir, "closed");
	SCOPED_TEXT char *inside = path_join(closed, "a/b");
	struct err err = { 0 };

	if (mkdir(closed, 0500) != 0 || path_make_dirs(inside, 0700, &err))
		return 1;
	return err.code == ERR_PERMISSION ? 0 : 2;
}

static void a_closed_folder_is_told_by_its_code(void **state UNUSED)
{
	char *top = tempdir_make("path");

	assert_int_equal(as_nobody(try_closed_folder, top), 0);
	tempdir_remove(top);
}

/* Whole files. */

static void a_file_is_read_up_to_its_limit(void **state UNUSED)
{
	char *top = tempdir_make("path");
	SCOPED_TEXT char *file = path_join(top, "file");
	SCOPED(buf) struct buf out = { 0 };
	struct err err = { 0 };

	make_file(file, "12345");
	assert_done(path_read(&out, file, 5, &err), &err);
	assert_string_equal(buf_text(&out), "12345");
	assert_false(path_read(&out, file, 4, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	make_file(file, "");
	buf_clear(&out);
	assert_done(path_read(&out, file, 0, &err), &err);
	assert_int_equal(out.size, 0);
	tempdir_remove(top);
}

static void what_is_no_file_is_refused_at_once(void **state UNUSED)
{
	char *top = tempdir_make("path");
	SCOPED_TEXT char *fifo = path_join(top, "fifo");
	SCOPED_TEXT char *absent = path_join(top, "absent");
	SCOPED_TEXT char *loop = path_join(top, "loop");
	SCOPED(buf) struct buf out = { 0 };
	struct err err = { 0 };

	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(symlink("loop", loop), 0);
	alarm(20); /* a pipe without a writer must not stop us */
	assert_false(path_read(&out, fifo, 100, &err));
	assert_int_equal(err.code, ERR_IO);
	alarm(0);
	assert_false(path_read(&out, top, 100, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_false(path_read(&out, loop, 100, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_false(path_read(&out, absent, 100, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(out.size, 0);
	tempdir_remove(top);
}

/* As the kernel's own files do, and as any file may that somebody appends to. */
static void a_file_that_says_it_is_empty_is_read_whole(void **state UNUSED)
{
	SCOPED(buf) struct buf out = { 0 };
	struct err err = { 0 };

	assert_done(path_read(&out, "/proc/self/status", 65536, &err), &err);
	assert_non_null(strstr(buf_text(&out), "VmRSS"));
	buf_clear(&out);
	assert_false(path_read(&out, "/proc/self/status", 20, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

/* Removal. */

static int remove_closed_folders(const char *dir)
{
	SCOPED_TEXT char *tree = path_join(dir, "tree");
	SCOPED_TEXT char *deep = path_join(tree, "a/b/c");
	SCOPED_TEXT char *file = path_join(deep, "file");
	SCOPED_TEXT char *a = path_join(tree, "a");
	SCOPED_TEXT char *b = path_join(a, "b");
	struct err err = { 0 };

	if (!path_make_dirs(deep, 0700, &err))
		return 1;
	make_file(file, "x");
	/* A package may hold folders that even their owner may not enter. */
	if (chmod(deep, 0500) != 0 || chmod(b, 0) != 0 || chmod(a, 0) != 0 || chmod(tree, 0) != 0)
		return 2;
	if (!path_remove_tree(tree, &err))
		return 3;
	return path_exists(tree) ? 4 : 0;
}

static void folders_that_are_closed_go_too(void **state UNUSED)
{
	char *top = tempdir_make("path");

	assert_int_equal(as_nobody(remove_closed_folders, top), 0);
	tempdir_remove(top);
}

static void links_are_removed_and_not_followed(void **state UNUSED)
{
	char *top = tempdir_make("path");
	SCOPED_TEXT char *tree = path_join(top, "tree");
	SCOPED_TEXT char *outside = path_join(top, "outside");
	SCOPED_TEXT char *link = path_join(tree, "link");
	SCOPED_TEXT char *dangling = path_join(tree, "dangling");
	SCOPED_TEXT char *kept = path_join(outside, "kept");
	struct err err = { 0 };

	assert_done(path_make_dirs(tree, 0700, &err), &err);
	assert_done(path_make_dirs(outside, 0500, &err), &err);
	assert_int_equal(chmod(outside, 0700), 0);
	make_file(kept, "x");
	assert_int_equal(chmod(outside, 0500), 0);
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(symlink("nowhere", dangling), 0);
	assert_true(path_exists(dangling));
	assert_done(path_remove_tree(dangling, &err), &err);
	assert_done(path_remove_tree(link, &err), &err);
	assert_false(path_exists(link));
	assert_int_equal(symlink(outside, link), 0);
	assert_done(path_remove_tree(tree, &err), &err);
	assert_true(path_exists(kept));
	assert_done(path_remove_tree(tree, &err), &err);
	tempdir_remove(top);
}

/* A path in a package may be as long as the system takes; with ours before it, it is longer. */
static void a_tree_deeper_than_any_path_goes(void **state UNUSED)
{
	enum { LEVELS = 2000 };
	char *top = tempdir_make("path");
	SCOPED_TEXT char *tree = path_join(top, "tree");
	struct err err = { 0 };
	int fd;

	assert_done(path_make_dirs(tree, 0700, &err), &err);
	fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < LEVELS; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "deep", 0700), 0);
		next = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_done(path_remove_tree(tree, &err), &err);
	assert_false(path_exists(tree));
	tempdir_remove(top);
}

static int remove_what_is_held(const char *dir)
{
	SCOPED_TEXT char *held = path_join(dir, "held");
	SCOPED_TEXT char *file = path_join(held, "file");
	struct err err = { 0 };

	if (mkdir(held, 0700) != 0)
		return 1;
	make_file(file, "x");
	if (chmod(dir, 0500) != 0)
		return 2;
	if (path_remove_tree(held, &err))
		return 3;
	return chmod(dir, 0700) == 0 && err.code == ERR_PERMISSION ? 0 : 4;
}

static void what_cannot_be_removed_is_told(void **state UNUSED)
{
	char *top = tempdir_make("path");

	assert_int_equal(as_nobody(remove_what_is_held, top), 0);
	tempdir_remove(top);
}

/* Descriptors. */

static void nothing(int signal UNUSED) {}

/* A signal every few milliseconds, which interrupts whatever waits. */
static void disturb(bool on)
{
	const struct sigaction act = { .sa_handler = nothing };
	const struct timeval step = { .tv_usec = on ? 3000 : 0 };
	const struct itimerval timer = { .it_interval = step, .it_value = step };

	assert_int_equal(sigaction(SIGALRM, &act, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

#define PIPE_BYTES 300000 /* more than a pipe holds */

static void fill(uint8_t *bytes)
{
	for (size_t i = 0; i < PIPE_BYTES; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
}

/* Both ends in turn are slow, so that both reading and writing wait and are interrupted. */
static void interrupted_calls_go_on(void **state UNUSED)
{
	static uint8_t sent[PIPE_BYTES], got[PIPE_BYTES];
	struct err err = { 0 };
	int ends[2], status;
	pid_t child;

	fill(sent);
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		close(ends[1]);
		disturb(true);
		pause_ms(50);
		_exit(path_read_fd(ends[0], got, PIPE_BYTES) == PIPE_BYTES &&
				      memcmp(sent, got, PIPE_BYTES) == 0
			      ? 0
			      : 1);
	}
	close(ends[0]);
	disturb(true);
	assert_done(path_write_fd(ends[1], span_of(sent, PIPE_BYTES / 2), &err), &err);
	pause_ms(50);
	assert_done(path_write_fd(ends[1], span_of(sent + PIPE_BYTES / 2, PIPE_BYTES / 2), &err),
		    &err);
	disturb(false);
	close(ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void reading_ends_early_only_at_the_end(void **state UNUSED)
{
	char got[10];
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "abc", 3), 3);
	close(ends[1]);
	assert_int_equal(path_read_fd(ends[0], got, sizeof(got)), 3);
	assert_int_equal(path_read_fd(ends[0], got, sizeof(got)), 0);
	close(ends[0]);
	assert_int_equal(path_read_fd(ends[0], got, sizeof(got)), -1);
}

static void a_full_disk_has_its_code(void **state UNUSED)
{
	SCOPED_FD int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char *top = tempdir_make("path");
	SCOPED_TEXT char *dir = path_join(top, "a/b");
	struct err err = { 0 };

	assert_false(path_write_fd(full, span_of_text("x"), &err));
	assert_int_equal(err.code, ERR_DISK_FULL);
	for (unsigned int n = 1; n <= 2; n++) {
		failnth_arm(n);
		assert_false(path_make_dirs(dir, 0700, &err));
		assert_true(failnth_disarm());
		assert_int_equal(err.code, ERR_DISK_FULL);
	}
	assert_done(path_make_dirs(dir, 0700, &err), &err);
	failnth_arm(1);
	assert_false(path_sync_dir(dir, &err));
	failnth_arm(1);
	assert_false(path_sync_fs(dir, &err));
	assert_true(failnth_disarm());
	tempdir_remove(top);
}

/* Locks. */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void a_lock_keeps_others_out_until_it_is_closed(void **state UNUSED)
{
	char *top = tempdir_make("path");
	SCOPED_TEXT char *lock = path_join(top, "lock");
	struct err err = { 0 };
	uint64_t began;
	int one, two;

	assert_done(path_lock(&one, lock, 0, &err), &err);
	began = now_ms();
	assert_false(path_lock(&two, lock, 100, &err));
	assert_int_equal(err.code, ERR_LOCKED);
	assert_true(now_ms() - began >= 100);
	assert_false(path_lock_shared(&two, lock, 0, &err));
	close(one);
	assert_done(path_lock(&two, lock, 0, &err), &err);
	close(two);
	tempdir_remove(top);
}

static void shared_locks_go_together(void **state UNUSED)
{
	char *top = tempdir_make("path");
	SCOPED_TEXT char *lock = path_join(top, "lock");
	struct err err = { 0 };
	int one, two, three;

	assert_done(path_lock_shared(&one, lock, 0, &err), &err);
	assert_done(path_lock_shared(&two, lock, 0, &err), &err);
	assert_false(path_lock(&three, lock, 0, &err));
	close(one);
	assert_false(path_lock(&three, lock, 0, &err));
	close(two);
	assert_done(path_lock(&three, lock, 0, &err), &err);
	close(three);
	tempdir_remove(top);
}

static void a_lock_ends_with_its_holder(void **state UNUSED)
{
	char *top = tempdir_make("path");
	SCOPED_TEXT char *lock = path_join(top, "lock");
	struct err err = { 0 };
	int held, ready[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (!path_lock(&held, lock, 0, &err) || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_false(path_lock(&held, lock, 0, &err));
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_done(path_lock(&held, lock, 10000, &err), &err);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(held);
	close(ready[0]);
	close(ready[1]);
	tempdir_remove(top);
}

static void a_closed_descriptor_is_none_and_closes_nothing_else(void **state UNUSED)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int again;

	assert_true(fd >= 0);
	path_close_fd(&fd);
	assert_int_equal(fd, -1);
	again = open("/dev/null", O_RDONLY | O_CLOEXEC);
	path_close_fd(&fd);
	assert_int_equal(close(again), 0);
}

TESTING_MAIN(cmocka_unit_test(parts_join_with_one_slash),
	     cmocka_unit_test(a_closed_descriptor_is_none_and_closes_nothing_else),
	     cmocka_unit_test(the_base_is_behind_the_last_slash),
	     cmocka_unit_test(only_plain_relative_names_are_beneath),
	     cmocka_unit_test(names_and_paths_have_the_systems_limits),
	     cmocka_unit_test(a_folder_contains_itself_and_what_is_below),
	     cmocka_unit_test(folders_are_made_with_their_parents),
	     cmocka_unit_test(a_closed_folder_is_told_by_its_code),
	     cmocka_unit_test(a_file_is_read_up_to_its_limit),
	     cmocka_unit_test(what_is_no_file_is_refused_at_once),
	     cmocka_unit_test(a_file_that_says_it_is_empty_is_read_whole),
	     cmocka_unit_test(folders_that_are_closed_go_too),
	     cmocka_unit_test(links_are_removed_and_not_followed),
	     cmocka_unit_test(a_tree_deeper_than_any_path_goes),
	     cmocka_unit_test(what_cannot_be_removed_is_told),
	     cmocka_unit_test(interrupted_calls_go_on),
	     cmocka_unit_test(reading_ends_early_only_at_the_end),
	     cmocka_unit_test(a_full_disk_has_its_code),
	     cmocka_unit_test(a_lock_keeps_others_out_until_it_is_closed),
	     cmocka_unit_test(shared_locks_go_together),
	     cmocka_unit_test(a_lock_ends_with_its_holder))

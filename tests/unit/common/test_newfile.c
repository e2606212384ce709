#include "support/testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/newfile.h"
#include "support/failnth.h"
#include "support/tempdir.h"

struct place {
	char *top;
	char *file; /* top/file */
};

static int make_place(void **state)
{
	struct place *p = alloc_zeroed(1, sizeof(*p));

	p->top = tempdir_make("newfile");
	p->file = path_join(p->top, "file");
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	tempdir_remove(p->top);
	free(p->file);
	free(p);
	return 0;
}

static void assert_holds(const char *path, const char *want)
{
	SCOPED(buf) struct buf got = { 0 };
	struct err err = { 0 };

	assert_done(path_read(&got, path, 1000, &err), &err);
	assert_string_equal(buf_text(&got), want);
}

static unsigned int entries_of(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned int count = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		count++;
	closedir(d);
	return count - 2;
}

static void a_file_is_not_there_until_it_is_committed(void **state)
{
	const struct place *p = *state;
	SCOPED(newfile) struct newfile nf = NEWFILE_EMPTY;
	struct err err = { 0 };

	assert_done(newfile_begin(&nf, p->file, 0600, &err), &err);
	assert_done(path_write_fd(nf.fd, span_of_text("new"), &err), &err);
	assert_false(path_exists(p->file));
	assert_done(newfile_commit(&nf, &err), &err);
	assert_holds(p->file, "new");
	assert_int_equal(nf.fd, -1);
	assert_int_equal(entries_of(p->top), 1);
}

static void what_is_abandoned_leaves_nothing(void **state)
{
	const struct place *p = *state;
	struct newfile nf = NEWFILE_EMPTY;
	struct err err = { 0 };

	newfile_abandon(&nf);
	assert_done(newfile_write(p->file, 0600, span_of_text("old"), &err), &err);
	assert_done(newfile_begin(&nf, p->file, 0600, &err), &err);
	assert_done(path_write_fd(nf.fd, span_of_text("new"), &err), &err);
	assert_int_equal(entries_of(p->top), 2);
	newfile_abandon(&nf);
	newfile_abandon(&nf);
	assert_int_equal(entries_of(p->top), 1);
	assert_holds(p->file, "old");
}

static void the_mode_is_the_one_asked_for(void **state)
{
	static const mode_t modes[] = { 0600, 0644, 0755, 0666, 0400 };
	const struct place *p = *state;
	mode_t before = umask(077);
	struct err err = { 0 };
	struct stat st;

	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		assert_done(newfile_write(p->file, modes[i], span_of_text("x"), &err), &err);
		assert_int_equal(stat(p->file, &st), 0);
		assert_int_equal(st.st_mode & 07777, modes[i]);
	}
	umask(before);
}

static void a_link_is_replaced_and_not_followed(void **state)
{
	const struct place *p = *state;
	SCOPED_TEXT char *target = path_join(p->top, "target");
	struct err err = { 0 };
	struct stat st;

	assert_done(newfile_write(target, 0600, span_of_text("target"), &err), &err);
	assert_int_equal(symlink("target", p->file), 0);
	assert_done(newfile_write(p->file, 0600, span_of_text("new"), &err), &err);
	assert_int_equal(lstat(p->file, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_holds(target, "target");
}

static void another_name_may_be_chosen_on_the_way(void **state)
{
	const struct place *p = *state;
	SCOPED_TEXT char *other = path_join(p->top, "-\xc3\xa4 b\n");
	SCOPED(newfile) struct newfile nf = NEWFILE_EMPTY;
	struct err err = { 0 };

	assert_done(newfile_begin(&nf, p->file, 0600, &err), &err);
	assert_done(path_write_fd(nf.fd, span_of_text("x"), &err), &err);
	newfile_retarget(&nf, other);
	assert_done(newfile_commit_unflushed(&nf, &err), &err);
	assert_false(path_exists(p->file));
	assert_holds(other, "x");
}

static void a_name_without_folder_is_here(void **state)
{
	const struct place *p = *state;
	SCOPED_FD int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err = { 0 };

	assert_int_equal(chdir(p->top), 0);
	assert_done(newfile_write("file", 0600, span_of_text("x"), &err), &err);
	assert_int_equal(fchdir(here), 0);
	assert_holds(p->file, "x");
}

static void a_folder_in_the_way_stays(void **state)
{
	const struct place *p = *state;
	struct err err = { 0 };

	assert_int_equal(mkdir(p->file, 0700), 0);
	assert_false(newfile_write(p->file, 0600, span_of_text("x"), &err));
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(entries_of(p->top), 1);
}

static void a_folder_that_is_not_there_is_told(void **state)
{
	const struct place *p = *state;
	SCOPED_TEXT char *below = path_join(p->file, "x");
	struct err err = { 0 };

	assert_false(newfile_write(below, 0600, span_of_text("x"), &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.why, below));
}

/* Whichever call the full disk stops: the old file stands, or the new one where it was renamed. */
static void a_full_disk_leaves_one_whole_file(void **state)
{
	const struct place *p = *state;
	struct err err = { 0 };
	unsigned int n;

	for (n = 1;; n++) {
		bool done, renamed;

		assert_done(newfile_write(p->file, 0600, span_of_text("old"), &err), &err);
		failnth_arm(n);
		done = newfile_write(p->file, 0600, span_of_text("new"), &err);
		if (!failnth_disarm()) {
			assert_done(done, &err);
			break;
		}
		assert_false(done);
		assert_int_equal(err.code, ERR_DISK_FULL);
		assert_int_equal(entries_of(p->top), 1);
		/* open, write, fsync and rename come first; the folder's flush is the fifth. */
		renamed = n == 5;
		assert_holds(p->file, renamed ? "new" : "old");
	}
	assert_int_equal(n, 6);
	assert_holds(p->file, "new");
}

static void a_kill_leaves_the_old_file(void **state)
{
	const struct place *p = *state;
	struct newfile nf = NEWFILE_EMPTY;
	struct err err = { 0 };
	pid_t child;

	assert_done(newfile_write(p->file, 0600, span_of_text("old"), &err), &err);
	child = fork();
	if (child == 0) {
		if (newfile_begin(&nf, p->file, 0600, &err) &&
		    path_write_fd(nf.fd, span_of_text("ne"), &err))
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_holds(p->file, "old");
	assert_int_equal(entries_of(p->top), 2);
	/* What is left never hinders the next. */
	assert_done(newfile_write(p->file, 0600, span_of_text("new"), &err), &err);
	assert_holds(p->file, "new");
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_place, remove_place)

TESTING_MAIN(CASE(a_file_is_not_there_until_it_is_committed),
	     CASE(what_is_abandoned_leaves_nothing), CASE(the_mode_is_the_one_asked_for),
	     CASE(a_link_is_replaced_and_not_followed), CASE(another_name_may_be_chosen_on_the_way),
	     CASE(a_name_without_folder_is_here), CASE(a_folder_in_the_way_stays),
	     CASE(a_folder_that_is_not_there_is_told), CASE(a_full_disk_leaves_one_whole_file),
	     CASE(a_kill_leaves_the_old_file))

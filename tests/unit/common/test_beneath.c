#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/beneath.h"
#include "support/tempdir.h"

static const struct {
	const char *why, *path;
	bool opens;
} names[] = {
	{ "a file at the top", "file", true },
	{ "a file in a folder", "folder/file", true },
	{ "the parent", "../outside", false },
	{ "the parent by a detour", "folder/../../outside", false },
	{ "an absolute name", "/etc/passwd", false },
	{ "a link to a file", "link", false },
	{ "a link to a folder on the way", "folder-link/file", false },
	{ "a link that leaves", "exit/outside", false },
	{ "the folder itself", ".", false },
	{ "an empty name", "", false },
	{ "a trailing slash", "folder/", false },
};

static void make_file(const char *dir, const char *name)
{
	SCOPED_TEXT char *path = path_join(dir, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void make_link(const char *dir, const char *name, const char *target)
{
	SCOPED_TEXT char *path = path_join(dir, name);

	assert_int_equal(symlink(target, path), 0);
}

/* `top`/tree is the folder in question, `top`/outside what must never be reached. */
static char *make_tree(const char *top)
{
	SCOPED_TEXT char *folder = path_join(top, "tree/folder");
	struct err err = { 0 };
	char *tree = path_join(top, "tree");

	assert_done(path_make_dirs(folder, 0700, &err), &err);
	make_file(top, "outside");
	make_file(tree, "file");
	make_file(folder, "file");
	make_link(tree, "link", "file");
	make_link(tree, "folder-link", "folder");
	make_link(tree, "exit", "..");
	return tree;
}

/* How many cases went wrong; prints each. */
static int count_wrong(const char *tree)
{
	SCOPED_FD int dir = open(tree, O_RDONLY | O_DIRECTORY);
	int wrong = 0;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		SCOPED_FD int fd = beneath_open(dir, names[i].path, O_RDONLY, 0);

		if ((fd >= 0) == names[i].opens)
			continue;
		print_message("%s: \"%s\" %s\n", names[i].why, names[i].path,
			      fd >= 0 ? "was opened" : "was refused");
		wrong++;
	}
	return wrong;
}

static void names_stay_beneath(void **state UNUSED)
{
	char *top = tempdir_make("beneath");
	SCOPED_TEXT char *tree = make_tree(top);

	assert_int_equal(count_wrong(tree), 0);
	tempdir_remove(top);
}

static void forbid_openat2(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = COUNT_OF(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
		_exit(100);
}

static void names_stay_beneath_without_openat2(void **state UNUSED)
{
	char *top = tempdir_make("beneath");
	SCOPED_TEXT char *tree = make_tree(top);
	pid_t child = fork();
	int status;

	if (child == 0) {
		forbid_openat2();
		_exit(count_wrong(tree));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	tempdir_remove(top);
	if (WEXITSTATUS(status) == 100)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_parent_is_opened_with_its_last_component(void **state UNUSED)
{
	char *top = tempdir_make("beneath");
	SCOPED_TEXT char *tree = make_tree(top);
	SCOPED_FD int dir = open(tree, O_RDONLY | O_DIRECTORY);
	const char *base;
	SCOPED_FD int folder = beneath_open_parent(dir, "folder/new", &base);
	SCOPED_FD int same = beneath_open_parent(dir, "new", &base);
	SCOPED_FD int refused = beneath_open_parent(dir, "exit/new", &base);

	assert_string_equal(base, "new");
	assert_int_equal(mkdirat(folder, "new", 0700), 0);
	assert_int_equal(faccessat(dir, "folder/new", F_OK, 0), 0);
	assert_true(same >= 0);
	assert_int_equal(refused, -1);
	tempdir_remove(top);
}

TESTING_MAIN(cmocka_unit_test(names_stay_beneath),
	     cmocka_unit_test(names_stay_beneath_without_openat2),
	     cmocka_unit_test(a_parent_is_opened_with_its_last_component))

/* What a process in the sandbox can no longer do, tried in children. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "support/tempdir.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { HELD, NOT_HELD, NO_SANDBOX };

static char *dir;

static int make_dir(void **state)
{
	(void)state;
	dir = tempdir_make("sandbox");
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

/* In a child: enter, then try. The attempt returns 0 if it was refused as it should be. */
static int tried(enum sandbox_kind kind, int (*attempt)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct sandbox s;

		sandbox_enter(&s, kind, dir);
		if (!s.no_new_privileges || !s.syscalls || !s.capabilities)
			_exit(NO_SANDBOX);
		_exit(attempt() == 0 ? HELD : NOT_HELD);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 2;
}

static int refused(long result, int with)
{
	return result < 0 && errno == with ? 0 : 1;
}

static int try_mount(void)
{
	return refused(mount("none", dir, "tmpfs", 0, NULL), EPERM);
}

static int try_unshare(void)
{
	return refused(unshare(CLONE_NEWUSER), EPERM);
}

static int try_packet_socket(void)
{
	return refused(socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT) +
	       refused(socket(200, SOCK_STREAM, 0), EAFNOSUPPORT);
}

static int use_network(void)
{
	int families[] = { AF_UNIX, AF_INET, AF_INET6 };

	for (size_t i = 0; i < COUNT_OF(families); i++)
		if (socket(families[i], SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno != EAFNOSUPPORT)
			return 1;
	return 0;
}

static int try_any_socket(void)
{
	return refused(socket(AF_INET, SOCK_STREAM, 0), EPERM) +
	       refused(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
}

static int try_ptrace(void)
{
	return refused(syscall(SYS_ptrace, 0, 0, 0, 0), EPERM);
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return refused(pid, EPERM);
}

static int try_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return errno == EACCES || errno == EPERM ? 0 : 1;
}

static int write_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd >= 0 && write(fd, "x", 1) == 1 ? 0 : 1;
}

static int write_state(void)
{
	char path[4096], other[4096];

	snprintf(path, sizeof(path), "%s/file", dir);
	snprintf(other, sizeof(other), "%s/room", dir);
	if (write_file(path) != 0 || mkdir(other, 0700) != 0)
		return 1;
	snprintf(other, sizeof(other), "%s/room/file", dir);
	/* Content comes to its place so: out of one folder into another. */
	return rename(path, other) == 0 && truncate(other, 0) == 0 && unlink(other) == 0 &&
			       open("/dev/null", O_RDWR | O_CLOEXEC) >= 0
		       ? 0
		       : 1;
}

static int try_write_elsewhere(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s.beside", dir);
	return write_file(path) != 0 && errno == EACCES ? 0 : 1;
}

static int try_fifo(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/fifo", dir);
	/* By mknod, and by opening nothing: both ways are shut. */
	return refused(mkfifo(path, 0600), EPERM);
}

static int see_limits(void)
{
	struct rlimit core, size;

	return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 &&
			       getrlimit(RLIMIT_FSIZE, &size) == 0 && size.rlim_max < RLIM_INFINITY
		       ? 0
		       : 1;
}

static int see_capabilities(void)
{
	char line[256];
	unsigned long long effective = ~0ULL, bounding = ~0ULL;
	int no_new = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		sscanf(line, "CapEff: %llx", &effective);
		sscanf(line, "CapBnd: %llx", &bounding);
		sscanf(line, "NoNewPrivs: %d", &no_new);
	}
	if (f != NULL)
		fclose(f);
	/* SETUID, SETGID, KILL, DAC_READ_SEARCH: bits 7, 6, 5 and 2. */
	return no_new == 1 && (effective & ~0xe4ULL) == 0 &&
			       (geteuid() != 0 || (bounding & ~0xe4ULL) == 0)
		       ? 0
		       : 1;
}

static int see_no_capability(void)
{
	char line[256];
	unsigned long long effective = ~0ULL;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "CapEff: %llx", &effective);
	if (f != NULL)
		fclose(f);
	return effective == 0 ? 0 : 1;
}

static void neither_mounts_nor_namespaces_nor_devices(void **state)
{
	(void)state;
	for (int kind = SANDBOX_NETWORK; kind <= SANDBOX_OFFLINE; kind++) {
		assert_int_equal(tried((enum sandbox_kind)kind, try_mount), HELD);
		assert_int_equal(tried((enum sandbox_kind)kind, try_unshare), HELD);
		assert_int_equal(tried((enum sandbox_kind)kind, try_fifo), HELD);
		if (!SANITIZED)
			assert_int_equal(tried((enum sandbox_kind)kind, try_ptrace), HELD);
	}
}

static void the_network_is_ip_and_local_sockets(void **state)
{
	(void)state;
	assert_int_equal(tried(SANDBOX_NETWORK, use_network), HELD);
	assert_int_equal(tried(SANDBOX_NETWORK, try_packet_socket), HELD);
	assert_int_equal(tried(SANDBOX_OFFLINE, try_any_socket), HELD);
}

static void without_network_no_children(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	assert_int_equal(tried(SANDBOX_OFFLINE, try_fork), HELD);
}

static void no_program_is_run(void **state)
{
	(void)state;
	assert_int_equal(tried(SANDBOX_OFFLINE, try_program), HELD);
	if (!has_landlock())
		skip();
	assert_int_equal(tried(SANDBOX_NETWORK, try_program), HELD);
}

static void without_network_only_the_state_is_written(void **state)
{
	(void)state;
	if (!has_landlock())
		skip();
	assert_int_equal(tried(SANDBOX_OFFLINE, write_state), HELD);
	assert_int_equal(tried(SANDBOX_OFFLINE, try_write_elsewhere), HELD);
}

static void no_core_and_no_endless_file(void **state)
{
	(void)state;
	assert_int_equal(tried(SANDBOX_OFFLINE, see_limits), HELD);
}

static void four_capabilities_are_left_of_roots_and_none_without_network(void **state)
{
	(void)state;
	assert_int_equal(tried(SANDBOX_NETWORK, see_capabilities), HELD);
	assert_int_equal(tried(SANDBOX_OFFLINE, see_no_capability), HELD);
}

static void what_is_missing_has_a_name(void **state)
{
	struct sandbox s = { .no_new_privileges = true, .capabilities = true, .syscalls = true };
	const char *missing = NULL;

	(void)state;
	assert_false(sandbox_is_whole(&missing, &s));
	assert_non_null(strstr(missing, "Landlock"));
	s.files = true;
	assert_true(sandbox_is_whole(&missing, &s));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

TESTING_MAIN(CASE(neither_mounts_nor_namespaces_nor_devices),
	     CASE(the_network_is_ip_and_local_sockets), CASE(without_network_no_children),
	     CASE(no_program_is_run), CASE(without_network_only_the_state_is_written),
	     CASE(no_core_and_no_endless_file),
	     CASE(four_capabilities_are_left_of_roots_and_none_without_network),
	     CASE(what_is_missing_has_a_name))

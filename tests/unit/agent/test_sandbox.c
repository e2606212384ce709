/* What a process in the sandbox can no longer do, tried in children. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
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
#include "common/spawn.h"
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
static int tried_as(const struct sandbox_account *account, enum sandbox_kind kind,
		    int (*attempt)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct sandbox s;
		struct err err;

		if (!sandbox_enter(&s, kind, dir, account, &err) || !s.no_new_privileges ||
		    !s.syscalls || !s.capabilities)
			_exit(NO_SANDBOX);
		_exit(attempt() == 0 ? HELD : NOT_HELD);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int tried(enum sandbox_kind kind, int (*attempt)(void))
{
	const struct sandbox_account own = { .guest = -1 };

	return tried_as(&own, kind, attempt);
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

/* None but those, whatever of them is in force. */
static int see_capabilities_of(unsigned long long most)
{
	char line[256];
	unsigned long long effective = ~0ULL, permitted = ~0ULL, ambient = ~0ULL;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		sscanf(line, "CapEff: %llx", &effective);
		sscanf(line, "CapPrm: %llx", &permitted);
		sscanf(line, "CapAmb: %llx", &ambient);
	}
	if (f != NULL)
		fclose(f);
	return ((effective | permitted | ambient) & ~most) == 0 ? 0 : 1;
}

/* DAC_READ_SEARCH: what a worker of another account wrote is read. */
static int see_reading_at_most(void)
{
	return see_capabilities_of(0x4);
}

/* DAC_OVERRIDE, DAC_READ_SEARCH: bits 1 and 2. */
static int see_keeping_at_most(void)
{
	return see_capabilities_of(0x6);
}

static int keep_the_store_alone(void)
{
	char path[4096], beside[4096];

	snprintf(path, sizeof(path), "%s/store/file", dir);
	snprintf(beside, sizeof(beside), "%s/not-in-store", dir);
	if (write_file(path) != 0 || unlink(path) != 0)
		return 1;
	return has_landlock() && (write_file(beside) == 0 || errno != EACCES);
}

static void the_keeper_owns_the_store_and_writes_nowhere_else(void **state)
{
	char store[4096];

	(void)state;
	snprintf(store, sizeof(store), "%s/store", dir);
	assert_int_equal(mkdir(store, 0700), 0);
	assert_int_equal(tried(SANDBOX_KEEPER, see_keeping_at_most), HELD);
	assert_int_equal(tried(SANDBOX_KEEPER, keep_the_store_alone), HELD);
	assert_int_equal(tried(SANDBOX_KEEPER, try_any_socket), HELD);
	assert_int_equal(tried(SANDBOX_KEEPER, try_program), HELD);
}

/* An account of the worker's own. */

#define OWN_ID   64123
#define GUEST_ID 65534 /* nobody, of the group with the same number */

static int see_own_account(void)
{
	uid_t real, effective, saved;
	gid_t groups[2];

	return getresuid(&real, &effective, &saved) == 0 && real == OWN_ID && effective == OWN_ID &&
			       saved == OWN_ID && getegid() == OWN_ID && getgroups(2, groups) == 0
		       ? see_reading_at_most()
		       : 1;
}

static int try_root_again(void)
{
	return refused(setresuid(0, 0, 0), EPERM) + refused(setuid(0), EPERM) +
	       refused(setresgid(0, 0, 0), EPERM) + refused(setgroups(0, NULL), EPERM) +
	       refused(seteuid(0), EPERM);
}

static int try_roots_files(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/roots", dir);
	return refused(open(path, O_WRONLY | O_CLOEXEC), EACCES) + refused(unlink(path), EACCES) +
	       refused(chmod(path, 0666), EPERM) + (write_file("/etc/packway-test-sandbox") == 0);
}

static int read_roots_files(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/roots", dir);
	return open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : 1;
}

static int try_signals(void)
{
	return refused(kill(getppid(), 0), EPERM);
}

static int become_the_guest(void)
{
	gid_t groups[1024];
	int count = getgroups(1024, groups);
	const struct spawn_user guest = {
		.uid = GUEST_ID, .gid = GUEST_ID, .groups = groups, .group_count = (size_t)count
	};

	return count > 0 && spawn_take_account(&guest) && geteuid() == GUEST_ID &&
			       see_capabilities_of(0) == 0
		       ? 0
		       : 1;
}

static int try_the_guest(void)
{
	return refused(setresuid(GUEST_ID, GUEST_ID, GUEST_ID), EPERM);
}

static int try_another(void)
{
	const uid_t other = GUEST_ID + 1;

	return refused(setresuid(other, other, other), EPERM) +
	       refused(setresuid(GUEST_ID, GUEST_ID, 0), EPERM) +
	       refused(setresuid(GUEST_ID, 0, GUEST_ID), EPERM) +
	       refused(setresuid((uid_t)-1, 0, (uid_t)-1), EPERM) + try_root_again();
}

static void make_roots_file(void)
{
	char path[4096];

	assert_int_equal(chmod(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/roots", dir);
	assert_int_equal(write_file(path), 0);
}

static void an_account_of_its_own_is_taken_on_for_good(void **state)
{
	const struct sandbox_account account = { true, OWN_ID, OWN_ID, -1 };

	(void)state;
	if (geteuid() != 0)
		skip();
	make_roots_file();
	assert_int_equal(tried_as(&account, SANDBOX_NETWORK, see_own_account), HELD);
	assert_int_equal(tried_as(&account, SANDBOX_NETWORK, try_root_again), HELD);
	assert_int_equal(tried_as(&account, SANDBOX_NETWORK, try_roots_files), HELD);
	assert_int_equal(tried_as(&account, SANDBOX_NETWORK, read_roots_files), HELD);
	assert_int_equal(tried_as(&account, SANDBOX_NETWORK, try_signals), HELD);
	assert_int_equal(tried_as(&account, SANDBOX_NETWORK, try_the_guest), HELD);
}

static void a_guests_worker_becomes_that_guest_and_nobody_else(void **state)
{
	const struct sandbox_account account = { true, OWN_ID, OWN_ID, GUEST_ID };

	(void)state;
	if (geteuid() != 0 || getpwuid(GUEST_ID) == NULL || getpwuid(GUEST_ID)->pw_gid != GUEST_ID)
		skip();
	make_roots_file();
	assert_int_equal(tried_as(&account, SANDBOX_NETWORK, try_another), HELD);
	assert_int_equal(tried_as(&account, SANDBOX_NETWORK, try_roots_files), HELD);
	assert_int_equal(tried_as(&account, SANDBOX_NETWORK, become_the_guest), HELD);
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

static void four_capabilities_are_left_of_roots_and_one_without_network(void **state)
{
	(void)state;
	assert_int_equal(tried(SANDBOX_NETWORK, see_capabilities), HELD);
	assert_int_equal(tried(SANDBOX_OFFLINE, see_reading_at_most), HELD);
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
	     CASE(four_capabilities_are_left_of_roots_and_one_without_network),
	     CASE(the_keeper_owns_the_store_and_writes_nowhere_else),
	     CASE(an_account_of_its_own_is_taken_on_for_good),
	     CASE(a_guests_worker_becomes_that_guest_and_nobody_else),
	     CASE(what_is_missing_has_a_name))

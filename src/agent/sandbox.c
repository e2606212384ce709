#include "agent/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/helper.h"
#include "common/log.h"
#include "common/path.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1 /* it looks for leaks with a child that traces us */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

#define LANDLOCK_ABI_MIN      2 /* the first in which a file may be renamed into another folder */
#define LANDLOCK_ABI_TRUNCATE 3
#define LANDLOCK_TRUNCATE     (1ull << 14) /* newer than Debian 12's header */
#define FAMILY_MAX            63           /* families end at 46 today */
#define OFFLINE_FILE_MAX      ((rlim_t)1 << 30)

/* Capabilities. */

/* Guests' mounts are read by children with their accounts, which are killed when they hang; root's
 * own reading goes on where a folder says no. */
static const int kept_capabilities[] = { CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_DAC_READ_SEARCH };

static bool is_kept(int capability)
{
	for (size_t i = 0; i < COUNT_OF(kept_capabilities); i++)
		if (kept_capabilities[i] == capability)
			return true;
	return false;
}

/* What leaves the bounding set does not come back by running a program as root. */
static bool shrink_bounds(void)
{
	bool done = true;

	for (int c = 0; c < 64 && prctl(PR_CAPBSET_READ, c) >= 0; c++)
		if (!is_kept(c))
			done = prctl(PR_CAPBSET_DROP, c) == 0 && done;
	return done;
}

static bool drop_capabilities(enum sandbox_kind kind)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { 0 };
	bool bounded;

	if (geteuid() != 0)
		return true;
	bounded = shrink_bounds();
	if (syscall(SYS_capget, &header, sets) != 0)
		return false;
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		uint32_t mask = 0;

		for (size_t k = 0; kind == SANDBOX_NETWORK && k < COUNT_OF(kept_capabilities); k++)
			if ((size_t)CAP_TO_INDEX(kept_capabilities[k]) == i)
				mask |= (uint32_t)CAP_TO_MASK(kept_capabilities[k]);
		sets[i].effective &= mask;
		sets[i].permitted &= mask;
		sets[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, sets) == 0 && bounded;
}

/* System calls. */

#define NO(name) SCMP_SYS(name)

/* Made by nothing in the worker, curl, Samba, Kerberos or the C library's name services. */
static const int never[] = {
	NO(acct),
	NO(add_key),
	NO(adjtimex),
	NO(bpf),
	NO(chroot),
	NO(clock_adjtime),
	NO(clock_settime),
	NO(delete_module),
	NO(fanotify_init),
	NO(finit_module),
	NO(fsconfig),
	NO(fsmount),
	NO(fsopen),
	NO(fspick),
	NO(init_module),
	NO(io_uring_enter),
	NO(io_uring_setup),
	NO(io_uring_register),
	NO(ioperm),
	NO(iopl),
	NO(kcmp),
	NO(kexec_file_load),
	NO(kexec_load),
	NO(lookup_dcookie),
	NO(mknod),
	NO(mknodat),
	NO(mount),
	NO(mount_setattr),
	NO(move_mount),
	NO(move_pages),
	NO(nfsservctl),
	NO(open_by_handle_at),
	NO(open_tree),
	NO(perf_event_open),
	NO(pivot_root),
	NO(process_vm_readv),
	NO(process_vm_writev),
	NO(quotactl),
	NO(reboot),
	NO(request_key),
	NO(setdomainname),
	NO(sethostname),
	NO(setns),
	NO(settimeofday),
	NO(swapoff),
	NO(swapon),
	NO(syslog),
	NO(umount2),
	NO(unshare),
	NO(userfaultfd),
	NO(vhangup),
};

static const int never_offline[] = {
	NO(accept),   NO(accept4), NO(bind),   NO(connect), NO(execve),
	NO(execveat), NO(listen),  NO(socket), NO(setuid),  NO(setgid),
};

static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

static bool refuse(scmp_filter_ctx filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);

		/* Some exist on other machines only. */
		if (rc != 0 && rc != -EDOM && rc != -EFAULT)
			return false;
	}
	return true;
}

/* Packets below IP, Bluetooth, virtual machines and whatever a kernel has more. */
static bool refuse_families(scmp_filter_ctx filter)
{
	for (int family = 0; family <= FAMILY_MAX; family++) {
		bool is_used = false;

		for (size_t i = 0; i < COUNT_OF(families); i++)
			is_used = is_used || families[i] == family;
		if (!is_used &&
		    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family)) != 0)
			return false;
	}
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_GT, (scmp_datum_t)FAMILY_MAX)) == 0;
}

/* Threads, but no processes. clone3's arguments are in memory, out of a filter's sight: the C
 * library goes on with clone where the kernel has none. */
static bool refuse_children(scmp_filter_ctx filter)
{
	const int forks[] = { NO(fork), NO(vfork) };

	return refuse(filter, forks, COUNT_OF(forks)) &&
	       seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) == 0;
}

static bool refuse_tracing(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ptrace), 0) == 0;
}

static bool filter_syscalls(enum sandbox_kind kind)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	bool done = filter != NULL && refuse(filter, never, COUNT_OF(never)) &&
		    (HAS_SANITIZER || refuse_tracing(filter));

	if (done && kind == SANDBOX_NETWORK)
		done = refuse_families(filter);
	if (done && kind == SANDBOX_OFFLINE)
		done = refuse(filter, never_offline, COUNT_OF(never_offline)) &&
		       (HAS_SANITIZER || refuse_children(filter));
	done = done && seccomp_load(filter) == 0;
	if (filter != NULL)
		seccomp_release(filter);
	return done;
}

/* Files. */

static bool allow(int rules, const char *path, uint64_t rights)
{
	SCOPED_FD int fd = path != NULL ? open(path, O_PATH | O_CLOEXEC) : -1;
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };

	return fd >= 0 &&
	       syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

/* The first object is this program: packway-smb is loaded by the same interpreter. */
static int find_interpreter(struct dl_phdr_info *info, size_t size, void *ctx)
{
	const char **path = ctx;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_INTERP)
			*path = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	return 1;
}

static void allow_helper(int rules)
{
	SCOPED_TEXT char *helper = NULL;
	const char *interpreter = NULL;
	struct err ignored;

	if (!helper_find(&helper, "packway-smb", &ignored))
		return;
	dl_iterate_phdr(find_interpreter, &interpreter);
	(void)allow(rules, helper, LANDLOCK_ACCESS_FS_EXECUTE);
	(void)allow(rules, interpreter, LANDLOCK_ACCESS_FS_EXECUTE);
}

static uint64_t write_rights(long abi)
{
	uint64_t rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
			  LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
			  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM |
			  LANDLOCK_ACCESS_FS_REFER;

	return abi >= LANDLOCK_ABI_TRUNCATE ? rights | LANDLOCK_TRUNCATE : rights;
}

static const uint64_t made_by_nobody = LANDLOCK_ACCESS_FS_MAKE_CHAR |
				       LANDLOCK_ACCESS_FS_MAKE_BLOCK |
				       LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SOCK;

static bool confine_files(enum sandbox_kind kind, const char *state_dir)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t writes = write_rights(abi);
	struct landlock_ruleset_attr handled = {
		.handled_access_fs = writes | made_by_nobody | LANDLOCK_ACCESS_FS_EXECUTE,
	};
	SCOPED_FD int rules = -1;

	if (abi < LANDLOCK_ABI_MIN)
		return false;
	rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (rules < 0)
		return false;
	/* A CAP's inbox may be a folder anywhere, on a mount that comes later too. */
	if (!allow(rules, kind == SANDBOX_NETWORK ? "/" : state_dir, writes))
		return false;
	if (kind == SANDBOX_NETWORK)
		allow_helper(rules);
	else
		(void)allow(rules, "/dev/null",
			    LANDLOCK_ACCESS_FS_WRITE_FILE | (writes & LANDLOCK_TRUNCATE));
	return syscall(SYS_landlock_restrict_self, rules, 0) == 0;
}

/* Limits. */

static void set_limit(int resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) != 0)
		return;
	limit.rlim_max = MIN_OF(limit.rlim_max, value);
	limit.rlim_cur = MIN_OF(limit.rlim_cur, value);
	(void)setrlimit((__rlimit_resource_t)resource, &limit);
}

void sandbox_enter(struct sandbox *out, enum sandbox_kind kind, const char *state_dir)
{
	set_limit(RLIMIT_CORE, 0);
	/* What goes without network writes records and a plan; content only in the other. */
	if (kind == SANDBOX_OFFLINE)
		set_limit(RLIMIT_FSIZE, OFFLINE_FILE_MAX);
	*out = (struct sandbox){ 0 };
	out->no_new_privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
	out->capabilities = drop_capabilities(kind);
	out->files = confine_files(kind, state_dir);
	out->syscalls = filter_syscalls(kind);
	log_debug("sandbox: capabilities %d, system calls %d, files %d", out->capabilities,
		  out->syscalls, out->files);
}

bool sandbox_is_whole(const char **missing_out, const struct sandbox *s)
{
	if (!s->no_new_privileges)
		*missing_out = "new privileges are not given up";
	else if (!s->capabilities)
		*missing_out = "root's capabilities are not dropped";
	else if (!s->syscalls)
		*missing_out = "the kernel filters no system calls (seccomp)";
	else if (!s->files)
		*missing_out = "the kernel has no Landlock, or an old one";
	else
		return true;
	return false;
}

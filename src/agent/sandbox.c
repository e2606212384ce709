#include "agent/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <link.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
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

#define LANDLOCK_ABI_MIN      2 /* the first in which a file may be renamed into another folder */
#define LANDLOCK_ABI_TRUNCATE 3
#define LANDLOCK_TRUNCATE     (1ull << 14) /* newer than Debian 12's header */
#define FAMILY_MAX            AF_NETLINK   /* the greatest in use; one rule is for all above it */
#define OFFLINE_FILE_MAX      ((rlim_t)1 << 30)
#define PROCESSES_MAX         4096 /* all workers and packway-smb's together */
#define FILES_MAX             4096
#define GROUPS_MAX            1024

/* Capabilities. */

/* A guest's mounts are read by children with the guest's account, which are killed when they hang;
 * root's own reading goes on where a folder says no. The other rows are for that alone. */
static const int for_reading[] = { CAP_DAC_READ_SEARCH };
/* What another account has left goes; all else that a keeper writes is its own. */
static const int for_keeping[] = { CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE };
static const int for_guests[] = { CAP_DAC_READ_SEARCH, CAP_SETUID, CAP_SETGID, CAP_KILL };

/* Who serves guests: whoever is told so, and a worker that stays root, which serves all. */
static bool serves_guests(enum sandbox_kind kind, const struct sandbox_account *account)
{
	return kind == SANDBOX_NETWORK && (!account->changes || account->guest >= 0);
}

static uint64_t mask_of(const int *capabilities, size_t count)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < count; i++)
		mask |= 1ull << capabilities[i];
	return mask;
}

static uint64_t kept_mask(enum sandbox_kind kind, const struct sandbox_account *account)
{
	if (kind == SANDBOX_KEEPER)
		return mask_of(for_keeping, COUNT_OF(for_keeping));
	return serves_guests(kind, account) ? mask_of(for_guests, COUNT_OF(for_guests))
					    : mask_of(for_reading, COUNT_OF(for_reading));
}

/* What leaves the bounding set does not come back by running a program as root. */
static bool shrink_bounds(uint64_t kept)
{
	bool done = true;

	for (int c = 0; c < 64 && prctl(PR_CAPBSET_READ, c) >= 0; c++)
		if ((kept & 1ull << c) == 0)
			done = prctl(PR_CAPBSET_DROP, c) == 0 && done;
	return done;
}

static uint64_t reading_mask(void)
{
	return mask_of(for_reading, COUNT_OF(for_reading));
}

static bool set_capabilities(uint64_t kept, bool inheritable)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { 0 };

	if (syscall(SYS_capget, &header, sets) != 0)
		return false;
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		sets[i].permitted &= (uint32_t)(kept >> 32 * i);
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = inheritable ? sets[i].permitted &
							    (uint32_t)(reading_mask() >> 32 * i)
						  : 0;
	}
	return syscall(SYS_capset, &header, sets) == 0;
}

/* packway-smb reads root's tickets; it has no use for the rest, which do not pass to it. Where a
 * container's root has no such right there is none to pass on. */
static void pass_reading_on(void)
{
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0);
}

static bool drop_capabilities(enum sandbox_kind kind, const struct sandbox_account *account,
			      bool was_root)
{
	if (!was_root)
		return true;
	if (!set_capabilities(kept_mask(kind, account), account->changes))
		return false;
	if (account->changes)
		pass_reading_on();
	return true;
}

/* The account. */

static int find_groups(gid_t *groups, int64_t guest)
{
	const struct passwd *pw = guest >= 0 ? getpwuid((uid_t)guest) : NULL;
	int count = GROUPS_MAX;

	if (pw == NULL)
		return 0;
	return getgrouplist(pw->pw_name, pw->pw_gid, groups, &count) >= 0 ? count : GROUPS_MAX;
}

/* The guest's groups come along: then no child has to set any, which no filter could judge. */
static bool take_account(const struct sandbox_account *account, struct err *err)
{
	gid_t groups[GROUPS_MAX];
	int count = find_groups(groups, account->guest);

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups((size_t)count, groups) != 0 ||
	    setresgid(account->gid, account->gid, account->gid) != 0 ||
	    setresuid(account->uid, account->uid, account->uid) != 0)
		return err_sys(err, ERR_PERMISSION, errno, "take on the account %u",
			       (unsigned int)account->uid);
	/* A sanitizer looks for leaks with a child that traces us. */
	if (HAS_SANITIZER)
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return true;
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

/* A guest's worker may become the guest, for good, and nobody else. */
static bool refuse_other_accounts(scmp_filter_ctx filter, uid_t uid, gid_t gid)
{
	const int others[] = {
		NO(setuid),   NO(setgid),   NO(setreuid),  NO(setregid),
		NO(setfsuid), NO(setfsgid), NO(setgroups),
	};
	bool done = refuse(filter, others, COUNT_OF(others));

	for (unsigned int i = 0; i < 3; i++)
		done = done &&
		       seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), NO(setresuid), 1,
					SCMP_CMP(i, SCMP_CMP_NE, uid)) == 0 &&
		       seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), NO(setresgid), 1,
					SCMP_CMP(i, SCMP_CMP_NE, gid)) == 0;
	return done;
}

static bool limit_accounts(scmp_filter_ctx filter, const struct sandbox_account *account)
{
	const struct passwd *pw = account->guest >= 0 ? getpwuid((uid_t)account->guest) : NULL;

	return !account->changes || account->guest < 0 ||
	       refuse_other_accounts(filter, (uid_t)account->guest,
				     pw != NULL ? pw->pw_gid : (gid_t)-1);
}

static bool filter_syscalls(enum sandbox_kind kind, const struct sandbox_account *account)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	bool done = filter != NULL && refuse(filter, never, COUNT_OF(never)) &&
		    (HAS_SANITIZER || refuse_tracing(filter));

	if (done && kind == SANDBOX_NETWORK)
		done = refuse_families(filter) && limit_accounts(filter, account);
	if (done && kind != SANDBOX_NETWORK)
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

/* A CAP's inbox may be a folder anywhere, on a mount that comes later too. */
static char *writable_folder(enum sandbox_kind kind, const char *state_dir)
{
	static const char *const within[] = {
		[SANDBOX_NETWORK] = NULL,
		[SANDBOX_OFFLINE] = "",
		[SANDBOX_KEEPER] = "/store",
	};

	return kind == SANDBOX_NETWORK ? alloc_text("/")
				       : alloc_printf("%s%s", state_dir, within[kind]);
}

static bool confine_files(enum sandbox_kind kind, const char *state_dir)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t writes = write_rights(abi);
	struct landlock_ruleset_attr handled = {
		.handled_access_fs = writes | made_by_nobody | LANDLOCK_ACCESS_FS_EXECUTE,
	};
	SCOPED_TEXT char *writable = writable_folder(kind, state_dir);
	SCOPED_FD int rules = -1;

	if (abi < LANDLOCK_ABI_MIN)
		return false;
	rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (rules < 0)
		return false;
	if (!allow(rules, writable, writes))
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

/* What a process of an account of its own may have at once; threads count. */
static void limit_load(const struct sandbox_account *account)
{
	if (account->changes)
		set_limit(RLIMIT_NPROC, PROCESSES_MAX);
	set_limit(RLIMIT_NOFILE, FILES_MAX);
}

bool sandbox_enter(struct sandbox *out, enum sandbox_kind kind, const char *state_dir,
		   const struct sandbox_account *account, struct err *err)
{
	bool was_root = geteuid() == 0;
	bool bounded = !was_root || shrink_bounds(kept_mask(kind, account));

	set_limit(RLIMIT_CORE, 0);
	/* What goes without network writes records and a plan; content only in the other. */
	if (kind == SANDBOX_OFFLINE)
		set_limit(RLIMIT_FSIZE, OFFLINE_FILE_MAX);
	*out = (struct sandbox){ 0 };
	if (account->changes && !take_account(account, err))
		return false;
	limit_load(account);
	out->account = geteuid() != 0;
	out->no_new_privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
	out->capabilities = drop_capabilities(kind, account, was_root) && bounded;
	out->files = confine_files(kind, state_dir);
	out->syscalls = filter_syscalls(kind, account);
	log_debug("sandbox: account %u, capabilities %d, system calls %d, files %d",
		  (unsigned int)geteuid(), out->capabilities, out->syscalls, out->files);
	return true;
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

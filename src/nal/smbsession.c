#include "nal/smbsession.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/helper.h"
#include "common/spawn.h"
#include "common/wire.h"
#include "nal/credential.h"
#include "nal/folder.h"
#include "nal/ntstatus.h"
#include "nal/timebox.h"

#define PROGRAM      "packway-smb"
#define SHARED_BYTES (SMBWIRE_GAUGE_BYTES + SMBWIRE_AREA_BYTES)
#define LOOK_MS      200 /* how often the gauges are looked at while an answer is awaited */
#define END_MS       50  /* for the process to end by itself */
#define SETTLE_MS    300 /* for what was asked for in vain; a new session costs less than more */

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

static struct smbwire_gauges *gauges(const struct smbsession *s)
{
	return (struct smbwire_gauges *)s->shared;
}

uint8_t *smbsession_area(struct smbsession *s)
{
	return s->shared + SMBWIRE_GAUGE_BYTES;
}

void smbsession_hold(struct smbsession *s)
{
	atomic_store(&gauges(s)->is_held, 1);
}

void smbsession_let_go(struct smbsession *s)
{
	atomic_store(&gauges(s)->is_held, 0);
}

uint32_t smbsession_rtt_us(const struct smbsession *s)
{
	return atomic_load_explicit(&gauges(s)->rtt_us, memory_order_relaxed);
}

/*
 * Bytes that show that the server is at work. What it was sent counts while something is written
 * to it; else it is a request, which the kernel of a server that hangs acknowledges as well.
 */
static uint64_t moved(const struct smbsession *s)
{
	uint64_t sum = atomic_load_explicit(&gauges(s)->received, memory_order_relaxed);

	if (s->writes > 0)
		sum += atomic_load_explicit(&gauges(s)->sent, memory_order_relaxed);
	return sum;
}

/* --- the process ----------------------------------------------------------------------------- */

/* Its size is sealed: the other side can neither cut it under us nor let it grow. */
static int new_shared(struct err *err)
{
	int fd = memfd_create(PROGRAM, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && ftruncate(fd, SHARED_BYTES) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	err_sys(err, ERR_IO, errno, "memory for an SMB session");
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool map_shared(struct smbsession *s, int fd, struct err *err)
{
	void *at = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return err_sys(err, ERR_IO, errno, "memory for an SMB session");
	s->shared = at;
	return true;
}

/* The environment is made from nothing; a ticket's place is no secret. */
static bool start_process(struct smbsession *s, int its_end, const struct way_target *target,
			  struct err *err)
{
	const struct credential *as = target->credential;
	struct spawn_user user;
	SCOPED_TEXT char *path = NULL, *ccache = NULL, *config = NULL;
	const char *envp[] = { "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", NULL, NULL, NULL };
	const char *krb5_config = getenv("KRB5_CONFIG");
	struct spawn_fd fds[] = { { .from = its_end, .to = 3 } };
	const struct spawn_limit limits[] = { { RLIMIT_CORE, 0 }, { RLIMIT_NOFILE, 128 } };
	struct spawn spawn = {
		.envp = envp,
		.cwd = "/",
		.fds = fds,
		.fd_count = COUNT_OF(fds),
		.limits = limits,
		.limit_count = COUNT_OF(limits),
		.flags = SPAWN_NEW_GROUP | SPAWN_DIE_WITH_PARENT | SPAWN_NO_NEW_PRIVILEGES,
	};

	if (!helper_find(&path, PROGRAM, err))
		return false;
	if (target->as != NULL) {
		user = (struct spawn_user){ .uid = target->as->uid,
					    .gid = target->as->gid,
					    .groups = target->as->groups,
					    .group_count = target->as->group_count };
		spawn.user = &user;
	}
	if (as != NULL && as->kind == CREDENTIAL_TICKET) {
		size_t n = 2;

		if (as->ccache != NULL)
			envp[n++] = ccache = alloc_printf("KRB5CCNAME=%s", as->ccache);
		if (krb5_config != NULL)
			envp[n++] = config = alloc_printf("KRB5_CONFIG=%s", krb5_config);
	}
	spawn.argv = (const char *const[]){ path, "--session", NULL };
	return spawn_start(&s->pid, &spawn, err);
}

/* Like every frame, but straight from the secret's own memory. */
static bool send_secret(int socket, const struct secret *secret, struct err *err)
{
	size_t done = 0;

	while (done < secret->size) {
		ssize_t n = send(socket, secret->text + done, secret->size - done, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return err_sys(err, ERR_IO, errno, "send to " PROGRAM);
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

/*
 * The address that was reached a moment ago rather than the name: libsmbclient would resolve it
 * anew and wait five seconds for each address that is dead. Tickets are for names. Its URLs take an
 * IPv6 address only in the form that Windows gives those in paths.
 */
static char *host_to_use(const struct way_target *target, const struct way_link *link)
{
	bool by_name = target->credential != NULL && target->credential->kind == CREDENTIAL_TICKET;
	const char *host = by_name || link->address[0] == '\0' ? target->where->host
							       : link->address;
	SCOPED_TEXT char *literal = NULL;

	if (strchr(host, ':') == NULL)
		return alloc_text(host);
	literal = alloc_text(host);
	for (char *c = literal; *c != '\0'; c++)
		*c = *c == ':' ? '-' : *c == '%' ? 's' : *c;
	return alloc_printf("%s.ipv6-literal.net", literal);
}

static bool greet(struct smbsession *s, int shared, const struct way_target *target,
		  const struct way_link *link, struct err *err)
{
	static const enum smbwire_logon logons[] = {
		[CREDENTIAL_GUEST] = SMBWIRE_GUEST,
		[CREDENTIAL_ACCOUNT] = SMBWIRE_ACCOUNT,
		[CREDENTIAL_TICKET] = SMBWIRE_TICKET,
	};
	const struct credential *as = target->credential;
	SCOPED(buf) struct buf frame = { 0 };
	SCOPED_TEXT char *host = host_to_use(target, link);
	struct smbwire_hello hello = {
		.logon = as != NULL ? logons[as->kind] : SMBWIRE_GUEST,
		.port = target->where->port,
		.host = host,
		.user = "",
		.domain = "",
	};

	if (hello.logon == SMBWIRE_ACCOUNT) {
		hello.user = as->user;
		hello.domain = as->domain;
		hello.secret_size = (uint16_t)as->secret->size;
	}
	smbwire_write_hello(&frame, &hello);
	return wire_send(s->socket, buf_span(&frame), shared, err) &&
	       (hello.logon != SMBWIRE_ACCOUNT || send_secret(s->socket, as->secret, err));
}

static bool begin(struct smbsession *s, const struct way_target *target,
		  const struct way_link *link, struct err *err)
{
	int pair[2];
	int shared = new_shared(err);
	bool done = shared >= 0 && map_shared(s, shared, err) && wire_pair(pair, err);

	if (done) {
		s->socket = pair[0];
		done = start_process(s, pair[1], target, err);
		close(pair[1]);
	}
	done = done && greet(s, shared, target, link, err);
	if (shared >= 0)
		close(shared);
	return done;
}

enum nal_class smbsession_open(struct session **out, const struct way_target *target,
			       const struct way_limits *limits UNUSED, struct way_link link,
			       struct err *err)
{
	struct smbsession *s = alloc_zeroed(1, sizeof(*s));

	s->socket = -1;
	if (link.fd >= 0)
		close(link.fd);
	if (!begin(s, target, &link, err)) {
		smbsession_close(&s->session);
		return NAL_CLASS_UNKNOWN;
	}
	*out = &s->session;
	return NAL_CLASS_OK;
}

/* How the process ended is stored; -1 if that cannot be told. */
static int end_process(struct smbsession *s, int grace_ms)
{
	int status = -1;

	if (s->socket >= 0)
		close(s->socket);
	s->socket = -1;
	if (s->pid <= 0)
		return status;
	if (spawn_wait(&status, s->pid, grace_ms) == SPAWN_RUNNING) {
		kill(s->pid, SIGKILL);
		(void)spawn_wait(&status, s->pid, -1);
	}
	s->pid = 0;
	return status;
}

void smbsession_close(struct session *session)
{
	struct smbsession *s = (struct smbsession *)session;

	/* Nothing is gained by ending politely when an answer is still awaited. */
	end_process(s, s->under_way > 0 ? 0 : END_MS);
	if (s->shared != NULL)
		munmap(s->shared, SHARED_BYTES);
	free(s);
}

/* The process ends when the server hangs up, and then its socket shows it. */
bool smbsession_is_alive(const struct session *session)
{
	const struct smbsession *s = (const struct smbsession *)session;
	struct pollfd p = { .fd = s->socket, .events = POLLIN };

	return s->socket >= 0 && (s->under_way > 0 || poll(&p, 1, 0) == 0);
}

/* --- faults ---------------------------------------------------------------------------------- */

/* Classes that are not here have ERR_NET. */
static const enum err_code codes[NAL_CLASS_COUNT_] = {
	[NAL_CLASS_DENIED] = ERR_NET_DENIED,     [NAL_CLASS_NOT_FOUND] = ERR_NOT_FOUND,
	[NAL_CLASS_CONFLICT] = ERR_IN_USE,       [NAL_CLASS_FULL] = ERR_DISK_FULL,
	[NAL_CLASS_TIMEOUT] = ERR_NET_TIMEOUT,   [NAL_CLASS_UNREACHABLE] = ERR_NET_UNREACHABLE,
	[NAL_CLASS_PROTOCOL] = ERR_NET_PROTOCOL,
};

/* The errno behind a status tells less: half of what a server may say is EINVAL. */
enum nal_class smbsession_class(uint32_t status, uint32_t sys_errno, const char *name,
				struct err *err)
{
	enum nal_class class = status != 0 ? ntstatus_class(status) : NAL_CLASS_UNKNOWN;

	if (class != NAL_CLASS_UNKNOWN && class != NAL_CLASS_OK) {
		enum err_code code = codes[class] != ERR_NONE ? codes[class] : ERR_NET;

		err_set(err, code, "%s: the server says %s", name, ntstatus_name(status));
		return class;
	}
	switch (sys_errno) {
	case ECONNRESET:
	case EPIPE:
	case ENETRESET:
	case EBADF: /* libsmbclient's word for a file of a connection that is gone */
		err_sys(err, ERR_NET_UNREACHABLE, ECONNRESET, "%s", name);
		return NAL_CLASS_UNREACHABLE;
	case EREMCHG:
		err_set(err, ERR_NET_PROTOCOL, "%s: the share refers to another server", name);
		err_fix(err, "add that server to the site under its own name");
		return NAL_CLASS_PROTOCOL;
	case EINVAL: /* libsmbclient's word for a status that it does not know, and its own */
		if (status == 0)
			err_set(err, ERR_NET, "%s: libsmbclient cannot ask for it", name);
		else
			err_set(err, ERR_NET, "%s: the server says NTSTATUS 0x%08x", name, status);
		return NAL_CLASS_UNKNOWN;
	default:
		return folder_errno_class((int)sys_errno, name, err);
	}
}

static bool is_crash(int status)
{
	int sig = status >= 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	return sig == SIGSEGV || sig == SIGBUS || sig == SIGABRT || sig == SIGFPE || sig == SIGILL;
}

/* Its socket closed while an answer was awaited. What a server can crash breaks the protocol. */
static enum nal_class process_died(struct smbsession *s, const char *name, struct err *err)
{
	int status = end_process(s, END_MS);

	if (is_crash(status)) {
		err_set(err, ERR_NET_PROTOCOL, "%s: " PROGRAM " crashed with signal %d", name,
			WTERMSIG(status));
		return NAL_CLASS_PROTOCOL;
	}
	if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == SMBSESSION_EXIT_SETUP) {
		err_set(err, ERR_IO, PROGRAM " cannot start: its configuration is missing");
		err_fix(err, "install packway completely, or build it with 'ninja -C build'");
		return NAL_CLASS_UNKNOWN;
	}
	err_set(err, ERR_NET_UNREACHABLE, "%s: the connection's process ended", name);
	return NAL_CLASS_UNREACHABLE;
}

static enum nal_class kept_waiting(struct smbsession *s, enum pace_verdict verdict,
				   const char *name, struct err *err)
{
	end_process(s, 0);
	if (verdict == PACE_SLOW) {
		err_set(err, ERR_NET_TIMEOUT, "%s: the server is slower than the floor", name);
		return NAL_CLASS_SLOW;
	}
	err_set(err, ERR_NET_TIMEOUT, "%s: the server does not answer", name);
	return NAL_CLASS_TIMEOUT;
}

/* --- requests -------------------------------------------------------------------------------- */

static void send_with(struct smbsession *s, const struct smbwire_request *r, int fd)
{
	SCOPED(buf) struct buf frame = { 0 };
	struct err ignored;

	s->under_way++;
	s->writes += r->op == SMBWIRE_WRITE;
	if (s->socket < 0)
		return;
	smbwire_write_request(&frame, r);
	if (!wire_send(s->socket, buf_span(&frame), fd, &ignored))
		shutdown(s->socket, SHUT_WR);
}

void smbsession_send(struct smbsession *s, const struct smbwire_request *r)
{
	send_with(s, r, -1);
}

/* What fails about it shows in the first read, so its answer is nobody's. */
void smbsession_lend(struct smbsession *s, int fd)
{
	const struct smbwire_request r = { .op = SMBWIRE_ROOM };

	if (s->socket < 0)
		return;
	assert(s->unwanted == s->under_way);
	send_with(s, &r, fd);
	s->unwanted = s->under_way;
}

/* Wait for the socket, telling the pace what moves meanwhile. False: too slow, in `verdict`. */
static bool wait_answer(enum pace_verdict *verdict, struct smbsession *s, struct pace *pace)
{
	uint64_t seen = moved(s);

	for (;;) {
		struct pollfd p = { .fd = s->socket, .events = POLLIN };
		int ready = poll(&p, 1, (int)MIN_OF(pace_wait_ms(pace, now()), LOOK_MS));
		uint64_t is = moved(s);

		if (is > seen)
			pace_arrived(pace, is - seen, now());
		seen = MAX_OF(is, seen);
		if (ready > 0)
			return true;
		*verdict = pace_check(pace, now());
		if (*verdict != PACE_FINE)
			return false;
	}
}

static enum nal_class take_reply(struct smbwire_reply *out, struct smbsession *s, struct pace *pace,
				 const char *name, struct err *err)
{
	SCOPED(buf) struct buf frame = { 0 };
	enum pace_verdict verdict;

	if (s->socket < 0)
		return process_died(s, name, err);
	if (!wait_answer(&verdict, s, pace))
		return kept_waiting(s, verdict, name, err);
	if (wire_receive(&frame, NULL, s->socket, 0, err) != WIRE_FRAME)
		return process_died(s, name, err);
	s->under_way--;
	if (!smbwire_read_reply(out, buf_span(&frame), err)) {
		end_process(s, 0);
		return NAL_CLASS_PROTOCOL;
	}
	s->writes -= out->op == SMBWIRE_WRITE && s->writes > 0;
	s->session.counts.requests++;
	if ((out->flags & SMBWIRE_UP) != 0 && !s->was_up) {
		s->was_up = true;
		s->session.counts.connects++;
	}
	return NAL_CLASS_OK;
}

enum nal_class smbsession_receive(struct smbwire_reply *out, struct smbsession *s,
				  struct pace *pace, const char *name, struct err *err)
{
	enum nal_class class = NAL_CLASS_OK;

	while (s->unwanted > 0 && class == NAL_CLASS_OK) {
		s->unwanted--;
		class = take_reply(out, s, pace, name, err);
	}
	if (class == NAL_CLASS_OK)
		class = take_reply(out, s, pace, name, err);
	if (class != NAL_CLASS_OK || out->fault == 0)
		return class;
	s->status = out->status;
	return smbsession_class(out->status, out->fault, name, err);
}

void smbsession_settle(struct smbsession *s)
{
	uint64_t until = now() + SETTLE_MS;

	while (s->socket >= 0 && s->under_way > 0) {
		SCOPED(buf) struct buf frame = { 0 };
		uint64_t is = now();
		struct err ignored;

		if (is >= until || wire_receive(&frame, NULL, s->socket, (int)(until - is),
						&ignored) != WIRE_FRAME)
			end_process(s, 0);
		else
			s->under_way--;
	}
	s->unwanted = s->under_way;
	s->writes = 0;
}

void smbsession_abandon(struct smbsession *s)
{
	s->unwanted = s->under_way;
}

enum nal_class smbsession_ask(struct smbwire_reply *out, struct smbsession *s,
			      const struct smbwire_request *r, const struct way_limits *limits,
			      const char *name, struct err *err)
{
	struct pace pace;

	pace_begin(&pace, limits, now());
	smbsession_send(s, r);
	return smbsession_receive(out, s, &pace, name, err);
}

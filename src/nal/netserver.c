#include "nal/netserver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/helper.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "common/spawn.h"
#include "nal/ntstatus.h"

#define ANSWER_MAX 4096

/* Win32 error codes (MS-ERREF 2.2) and those of the LAN Manager. */
static const struct {
	int64_t status;
	enum nal_class class;
} classes[] = {
	{ 0, NAL_CLASS_OK },           { 5, NAL_CLASS_DENIED }, /* ERROR_ACCESS_DENIED */
	{ 53, NAL_CLASS_UNREACHABLE },                          /* ERROR_BAD_NETPATH */
	{ 64, NAL_CLASS_UNREACHABLE },                          /* ERROR_NETNAME_DELETED */
	{ 65, NAL_CLASS_DENIED },                               /* ERROR_NETWORK_ACCESS_DENIED */
	{ 71, NAL_CLASS_BUSY },        /* ERROR_REQ_NOT_ACCEP: the connection limit */
	{ 121, NAL_CLASS_TIMEOUT },    /* ERROR_SEM_TIMEOUT */
	{ 1219, NAL_CLASS_CONFLICT },  /* ERROR_SESSION_CREDENTIAL_CONFLICT (Q312512) */
	{ 1326, NAL_CLASS_DENIED },    /* ERROR_LOGON_FAILURE */
	{ 2114, NAL_CLASS_NOT_FOUND }, /* NERR_ServerNotStarted */
	{ 2152, NAL_CLASS_NOT_FOUND }, /* what libnetapi says without a pipe srvsvc */
};

enum nal_class netserver_class(int64_t status, const char *said)
{
	for (size_t i = 0; i < COUNT_OF(classes); i++)
		if (classes[i].status == status)
			return classes[i].class;
	/* 1003, ERROR_CAN_NOT_COMPLETE, is libnetapi's word for every failure before the call. */
	return ntstatus_class_in(said);
}

static bool start(pid_t *pid_out, int *output_out, const char *address, struct err *err)
{
	static const char *const env[] = { "PATH=/usr/bin:/bin", "LANG=C", "HOME=/nonexistent",
					   NULL };
	SCOPED_TEXT char *path = NULL;
	struct spawn s = { .envp = env, .flags = SPAWN_NEW_GROUP | SPAWN_DIE_WITH_PARENT };
	int fds[2];
	bool started;

	if (!helper_find(&path, "packway-smb", err))
		return false;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_sys(err, ERR_IO, errno, "a pipe");
	s.argv = (const char *const[]){ path, "--server-info", address, NULL };
	s.fds = &(struct spawn_fd){ .from = fds[1], .to = STDOUT_FILENO };
	s.fd_count = 1;
	started = spawn_start(pid_out, &s, err);
	close(fds[1]);
	if (!started) {
		close(fds[0]);
		return false;
	}
	*output_out = fds[0];
	return true;
}

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

/* Read all that it writes until it ends; false if it did not end in time, or wrote too much. */
static bool read_answer(struct buf *out, int fd, uint32_t timeout_ms)
{
	uint64_t due = now() + timeout_ms, at;

	while ((at = now()) < due) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, (int)(due - at)) <= 0)
			continue;
		n = read(fd, buf_reserve(out, ANSWER_MAX), ANSWER_MAX);
		if (n > 0)
			buf_grew(out, (size_t)n);
		if (n == 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (out->size > ANSWER_MAX)
			return false;
	}
	return false;
}

static enum nal_class judge(const struct buf *answer, const char *address, struct err *err)
{
	json_auto_t *doc = NULL;
	const char *said;
	enum nal_class class;
	int64_t status;

	if (!jsondoc_read(&doc, buf_span(answer), err)) {
		err_set(err, ERR_INTERNAL, "packway-smb ended without an answer about %s", address);
		return NAL_CLASS_UNKNOWN;
	}
	status = jsondoc_int(doc, "status", -1);
	said = jsondoc_text(doc, "said");
	class = netserver_class(status, said != NULL ? said : "");
	if (class != NAL_CLASS_OK)
		err_set(err, class == NAL_CLASS_DENIED ? ERR_NET_DENIED : ERR_NET,
			"%s: NetServerGetInfo gave status %lld%s%.200s", address, (long long)status,
			said != NULL && said[0] != '\0' ? ", " : "", said != NULL ? said : "");
	return class;
}

enum nal_class netserver_ask(const char *address, uint32_t timeout_ms, struct err *err)
{
	SCOPED(buf) struct buf answer = { 0 };
	SCOPED_FD int output = -1;
	bool in_time;
	pid_t pid;

	if (!start(&pid, &output, address, err))
		return NAL_CLASS_UNKNOWN;
	in_time = read_answer(&answer, output, timeout_ms);
	if (!in_time)
		(void)spawn_kill_group(pid, SIGKILL);
	(void)spawn_wait(NULL, pid, -1);
	if (in_time)
		return judge(&answer, address, err);
	err_set(err, ERR_NET_TIMEOUT, "%s: NetServerGetInfo did not come back within %u ms",
		address, timeout_ms);
	return NAL_CLASS_TIMEOUT;
}

#include "nal/smbknock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/random.h"
#include "nal/dial.h"
#include "nal/ipcshare.h"
#include "nal/ntstatus.h"
#include "nal/smbframe.h"

#define ANSWERS_MAX 32 /* of one conversation; six are needed, and some may be interim ones */

struct smbknock {
	int fd;
	char *host;
	enum smbknock_depth depth;
	uint32_t timeout_ms;
	uint64_t begun_ms;
	struct buf out; /* to be sent */
	size_t sent;    /* of it */
	struct buf in;
	unsigned answers;
	bool is_negotiated;
	struct ipcshare ipc;
	enum smbknock_state state;
	struct smbknock_result result;
	struct err err;
};

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

struct smbknock *smbknock_begin(int fd, const char *host, enum smbknock_depth depth,
				uint32_t timeout_ms, uint64_t now_ms)
{
	struct smbknock *k = alloc_zeroed(1, sizeof(*k));
	struct negotiate_random random;

	k->fd = fd;
	k->host = alloc_text(host);
	k->depth = depth;
	k->timeout_ms = timeout_ms;
	k->begun_ms = now_ms;
	k->in.max = 2 * SMBFRAME_MAX;
	random_bytes(&random, sizeof(random));
	negotiate_request(&k->out, &random);
	return k;
}

void smbknock_free(struct smbknock *k)
{
	if (k == NULL)
		return;
	close(k->fd);
	buf_release(&k->out);
	buf_release(&k->in);
	free(k->host);
	free(k);
}

struct pollfd smbknock_poll(const struct smbknock *k)
{
	return (struct pollfd){ .fd = k->fd, .events = k->sent < k->out.size ? POLLOUT : POLLIN };
}

/* How long the present part may take, from the beginning. */
static uint32_t limit_ms(const struct smbknock *k)
{
	if (k->is_negotiated || k->depth == SMBKNOCK_NEGOTIATE)
		return k->timeout_ms;
	return MIN_OF(k->timeout_ms, SMBKNOCK_NEGOTIATE_MS);
}

uint32_t smbknock_wait_ms(const struct smbknock *k, uint64_t now_ms)
{
	uint64_t due = k->begun_ms + limit_ms(k);

	return k->state == SMBKNOCK_BUSY && due > now_ms ? (uint32_t)(due - now_ms) : 0;
}

static void done(struct smbknock *k, enum nal_class class)
{
	/* IPC$ that was connected counts, even if its release was not confirmed. */
	if (k->ipc.was_connected)
		class = NAL_CLASS_OK;
	k->state = SMBKNOCK_DONE;
	k->result.class = class;
}

static void no_smb(struct smbknock *k, const char *what)
{
	err_set(&k->err, ERR_NET_PROTOCOL, "%s: %s", k->host, what);
	done(k, NAL_CLASS_PROTOCOL);
}

static void shut_out(struct smbknock *k)
{
	k->result.is_smb = true;
	err_set(&k->err, ERR_NET_DENIED, "%s: the server takes no connection from this machine",
		k->host);
	done(k, NAL_CLASS_DENIED);
}

static void refused(struct smbknock *k, uint32_t status, enum nal_class class)
{
	const char *name = ntstatus_name(status);

	err_set(&k->err, class == NAL_CLASS_DENIED ? ERR_NET_DENIED : ERR_NET, "%s: %s (0x%08x)",
		k->host, name != NULL ? name : "the server answered with a status", status);
	done(k, class);
}

static void negotiated(struct smbknock *k, const struct smbframe *answer)
{
	if (answer->message != 0 || answer->status == NTSTATUS_PENDING)
		return;
	if (!negotiate_parse(&k->result.answer, answer)) {
		no_smb(k, "a malformed answer to NEGOTIATE");
		return;
	}
	k->is_negotiated = k->result.is_smb = true;
	if (k->depth == SMBKNOCK_NEGOTIATE) {
		done(k, NAL_CLASS_OK);
	} else if (k->result.answer.status != NTSTATUS_SUCCESS) {
		refused(k, k->result.answer.status, ntstatus_class(k->result.answer.status));
	} else {
		ipcshare_begin(&k->ipc);
		ipcshare_request(&k->out, &k->ipc, k->host);
	}
}

static void go_on(struct smbknock *k, const struct smbframe *answer)
{
	if (!k->is_negotiated) {
		negotiated(k, answer);
		return;
	}
	switch (ipcshare_answer(&k->ipc, answer)) {
	case IPCSHARE_WAIT:
		break;
	case IPCSHARE_NEXT:
		ipcshare_request(&k->out, &k->ipc, k->host);
		break;
	case IPCSHARE_OVER:
		refused(k, k->ipc.status, k->ipc.class);
		break;
	}
}

static void take_answers(struct smbknock *k)
{
	struct span rest = buf_span(&k->in);
	struct smbframe answer;
	enum smbframe_result result = SMBFRAME_MORE;

	while (k->state == SMBKNOCK_BUSY &&
	       (result = smbframe_take(&answer, &rest)) == SMBFRAME_WHOLE) {
		if (++k->answers > ANSWERS_MAX)
			no_smb(k, "answers without end");
		else
			go_on(k, &answer);
	}
	if (k->state == SMBKNOCK_BUSY && result == SMBFRAME_SHUT_OUT)
		shut_out(k);
	if (k->state == SMBKNOCK_BUSY && result == SMBFRAME_NOT_SMB)
		no_smb(k, "what answers there is no SMB server");
	memmove(k->in.data, rest.data, rest.size);
	k->in.size = rest.size;
}

static void hung_up(struct smbknock *k, int sys_errno)
{
	const char *how = sys_errno == 0 ? "the connection was closed" : strerror(sys_errno);

	if (k->is_negotiated)
		err_set(&k->err, ERR_NET_UNREACHABLE, "%s: %s in mid-conversation", k->host, how);
	else
		err_set(&k->err, ERR_NET_PROTOCOL, "%s: %s, without an SMB answer", k->host, how);
	done(k, k->is_negotiated ? NAL_CLASS_UNREACHABLE : NAL_CLASS_PROTOCOL);
}

/* True if something moved. */
static bool flush(struct smbknock *k)
{
	ssize_t n;

	if (k->sent == k->out.size)
		return false;
	n = send(k->fd, k->out.data + k->sent, k->out.size - k->sent, MSG_NOSIGNAL);
	if (n > 0)
		k->sent += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		hung_up(k, errno);
	return n > 0;
}

/* True if something moved. */
static bool hear(struct smbknock *k)
{
	uint8_t piece[4096];
	ssize_t n = recv(k->fd, piece, sizeof(piece), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		hung_up(k, n < 0 ? errno : 0);
		return false;
	}
	buf_put(&k->in, piece, (size_t)n);
	take_answers(k);
	return true;
}

static void too_late(struct smbknock *k)
{
	err_set(&k->err, ERR_NET_TIMEOUT, "%s: no %s within %u ms", k->host,
		k->is_negotiated ? "end of the conversation" : "answer to NEGOTIATE", limit_ms(k));
	done(k, NAL_CLASS_TIMEOUT);
}

enum smbknock_state smbknock_step(struct smbknock *k, uint64_t now_ms)
{
	bool moved = true;

	while (moved && k->state == SMBKNOCK_BUSY) {
		moved = flush(k);
		moved |= k->state == SMBKNOCK_BUSY && hear(k);
	}
	if (k->state == SMBKNOCK_BUSY && now_ms >= k->begun_ms + limit_ms(k))
		too_late(k);
	return k->state;
}

void smbknock_result(struct smbknock_result *out, const struct smbknock *k, struct err *err)
{
	assert(k->state == SMBKNOCK_DONE);
	*out = k->result;
	if (out->class != NAL_CLASS_OK)
		*err = k->err;
}

enum nal_class smbknock_class(const struct smbknock_result *result)
{
	return result->class == NAL_CLASS_DENIED ? NAL_CLASS_UNREACHABLE : result->class;
}

void smbknock_wait(struct smbknock_result *out, char address[64], const char *host, uint16_t port,
		   enum smbknock_depth depth, uint32_t connect_ms, uint32_t timeout_ms,
		   struct err *err)
{
	struct way_link link;
	struct smbknock *k;

	*out = (struct smbknock_result){ .class = dial_wait(&link, host, port, connect_ms, err) };
	if (address != NULL)
		memcpy(address, link.address, sizeof(link.address));
	if (out->class != NAL_CLASS_OK)
		return;
	k = smbknock_begin(link.fd, host, depth, timeout_ms, now());
	while (smbknock_step(k, now()) == SMBKNOCK_BUSY) {
		struct pollfd p = smbknock_poll(k);

		(void)poll(&p, 1, (int)smbknock_wait_ms(k, now()));
	}
	smbknock_result(out, k, err);
	smbknock_free(k);
}

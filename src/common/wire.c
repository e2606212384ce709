#include "common/wire.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define REST_TIMEOUT_MS 30000

bool wire_pair(int sockets_out[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets_out) != 0)
		return err_sys(err, ERR_IO, errno, "socket pair");
	return true;
}

/* The first byte carries the descriptor; the rest goes without. */
static ssize_t send_some(int socket, struct span bytes, int pass_fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes.data, .iov_len = bytes.size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (pass_fd >= 0) {
		struct cmsghdr *c = &control.header;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.space);
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL);
}

static bool send_all(int socket, struct span bytes, int pass_fd, struct err *err)
{
	while (bytes.size > 0) {
		ssize_t n = send_some(socket, bytes, pass_fd);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_IO, errno, "send to the other process");
		bytes = span_skip(bytes, (size_t)n);
		pass_fd = -1;
	}
	return true;
}

bool wire_send(int socket, struct span frame, int pass_fd, struct err *err)
{
	uint8_t head[4];

	if (frame.size > WIRE_FRAME_MAX)
		return err_set(err, ERR_LIMIT, "a frame of %zu bytes, at most %u are sent",
			       frame.size, WIRE_FRAME_MAX);
	for (size_t i = 0; i < sizeof(head); i++)
		head[i] = (uint8_t)(frame.size >> (8 * i));
	return send_all(socket, span_of(head, sizeof(head)), pass_fd, err) &&
	       send_all(socket, frame, -1, err);
}

static bool wait_readable(int socket, int timeout_ms)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };
	int n;

	do {
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

/* Keep the first descriptor that comes; close any other, so that a peer cannot fill our table. */
static void keep_descriptor(struct msghdr *msg, int *fd_out)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*fd_out < 0)
				*fd_out = fd;
			else
				close(fd);
		}
	}
}

static ssize_t receive_some(int socket, void *dst, size_t size, int *fd_out)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = dst, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);

	if (n > 0)
		keep_descriptor(&msg, fd_out);
	return n;
}

/* True if more came before `until_ms`: one end for all of a frame, however it trickles. */
static bool rest_arrives(int socket, uint64_t until_ms)
{
	uint64_t now = clock_mono_ms(clock_system());

	return now < until_ms && wait_readable(socket, (int)(until_ms - now));
}

/* Bytes read, fewer only at the end of the stream; -1 with err on a fault. */
static ssize_t receive_all(int socket, void *dst, size_t size, int *fd_out, uint64_t until_ms,
			   struct err *err)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n;

		if (!rest_arrives(socket, until_ms)) {
			err_set(err, ERR_INTERRUPTED, "the other process stopped in mid-frame");
			return -1;
		}
		n = receive_some(socket, (char *)dst + have, size - have, fd_out);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, ERR_IO, errno, "read from the other process");
			return -1;
		}
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

static enum wire_result receive_frame(struct buf *out, int *fd_out, int socket, struct err *err)
{
	const uint64_t until_ms = clock_mono_ms(clock_system()) + REST_TIMEOUT_MS;
	uint8_t head[4];
	uint32_t size = 0;
	ssize_t n = receive_all(socket, head, sizeof(head), fd_out, until_ms, err);

	if (n < 0)
		return WIRE_FAILED;
	if (n == 0)
		return WIRE_END;
	if (n < (ssize_t)sizeof(head)) {
		err_set(err, ERR_INTERRUPTED, "the other process ended in mid-frame");
		return WIRE_FAILED;
	}
	for (size_t i = sizeof(head); i-- > 0;)
		size = size << 8 | head[i];
	if (size > WIRE_FRAME_MAX) {
		err_set(err, ERR_LIMIT, "a frame of %u bytes, at most %u are read", size,
			WIRE_FRAME_MAX);
		return WIRE_FAILED;
	}
	n = receive_all(socket, buf_reserve(out, size), size, fd_out, until_ms, err);
	if (n < 0)
		return WIRE_FAILED;
	if ((uint32_t)n < size) {
		err_set(err, ERR_INTERRUPTED, "the other process ended in mid-frame");
		return WIRE_FAILED;
	}
	buf_grew(out, size);
	return WIRE_FRAME;
}

enum wire_result wire_receive(struct buf *out, int *fd_out, int socket, int timeout_ms,
			      struct err *err)
{
	enum wire_result result;
	int fd = -1;

	buf_clear(out);
	if (fd_out != NULL)
		*fd_out = -1;
	if (!wait_readable(socket, timeout_ms))
		return WIRE_TIMEOUT;
	result = receive_frame(out, &fd, socket, err);
	if (fd >= 0 && (fd_out == NULL || result != WIRE_FRAME))
		close(fd);
	else if (fd_out != NULL)
		*fd_out = fd;
	return result;
}

bool wire_send_json(int socket, const json_t *doc, int pass_fd, struct err *err)
{
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, doc);
	return wire_send(socket, buf_span(&text), pass_fd, err);
}

enum wire_result wire_receive_json(json_t **doc_out, int *fd_out, int socket, int timeout_ms,
				   struct err *err)
{
	SCOPED(buf) struct buf frame = { 0 };
	enum wire_result result = wire_receive(&frame, fd_out, socket, timeout_ms, err);

	if (result != WIRE_FRAME)
		return result;
	if (jsondoc_read(doc_out, buf_span(&frame), err))
		return WIRE_FRAME;
	if (fd_out != NULL && *fd_out >= 0) {
		close(*fd_out);
		*fd_out = -1;
	}
	return WIRE_FAILED;
}

#include "nal/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "nal/timebox.h"

#define NEXT_ADDRESS_MS 250

struct target {
	struct sockaddr_storage address;
	socklen_t size;
	int fd; /* -1: not started, or failed */
};

/* What the resolving child writes: a header, then that many targets. */
struct resolved {
	int32_t gai_error;
	uint32_t count;
};

struct dial {
	char *host;
	uint16_t port;
	uint32_t timeout_ms;
	uint64_t begun_ms;
	uint64_t next_ms; /* when the next address is due */
	struct timebox resolver;
	struct target targets[DIAL_ADDRESSES_MAX];
	size_t count;   /* of targets */
	size_t started; /* targets begun, in order */
	enum dial_state state;
	struct way_link link;
	enum nal_class class;
	struct err err;
};

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

static void fail(struct dial *d, enum nal_class class)
{
	d->state = DIAL_FAILED;
	d->class = class;
}

static size_t resolve(struct target out[DIAL_ADDRESSES_MAX], const char *host, uint16_t port,
		      int flags, int32_t *gai_error)
{
	struct addrinfo ask = { .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char service[8];
	size_t count = 0;

	snprintf(service, sizeof(service), "%u", port);
	*gai_error = getaddrinfo(host, service, &ask, &list);
	if (*gai_error != 0)
		return 0;
	for (const struct addrinfo *a = list; a != NULL && count < DIAL_ADDRESSES_MAX;
	     a = a->ai_next) {
		if (a->ai_addrlen > sizeof(out[count].address))
			continue;
		out[count] = (struct target){ .size = a->ai_addrlen, .fd = -1 };
		memcpy(&out[count++].address, a->ai_addr, a->ai_addrlen);
	}
	freeaddrinfo(list);
	return count;
}

static void resolve_in_child(int socket, void *ctx)
{
	const struct dial *d = ctx;
	struct target targets[DIAL_ADDRESSES_MAX] = { { .size = 0 } };
	struct resolved head = { .count = 0 };

	head.count = (uint32_t)resolve(targets, d->host, d->port, 0, &head.gai_error);
	if (timebox_write(socket, &head, sizeof(head), -1) && head.count > 0)
		(void)timebox_write(socket, targets, head.count * sizeof(targets[0]), -1);
}

static void name_failed(struct dial *d, int gai_error)
{
	err_set(&d->err, ERR_NET_NAME, "name %s: %s", d->host, gai_strerror(gai_error));
	fail(d, NAL_CLASS_UNREACHABLE);
}

struct dial *dial_begin(const char *host, uint16_t port, uint32_t timeout_ms, uint64_t now_ms)
{
	static const int keep[TIMEBOX_KEEP_MAX] = { -1, -1, -1 };
	struct dial *d = alloc_zeroed(1, sizeof(*d));
	int32_t gai_error;

	d->host = alloc_text(host);
	d->port = port;
	d->timeout_ms = timeout_ms;
	d->begun_ms = d->next_ms = now_ms;
	d->resolver = (struct timebox)TIMEBOX_EMPTY;
	d->link = WAY_LINK_NONE;
	d->count = resolve(d->targets, host, port, AI_NUMERICHOST, &gai_error);
	if (d->count == 0 && gai_error != EAI_NONAME)
		name_failed(d, gai_error);
	else if (d->count == 0 && !timebox_start(&d->resolver, resolve_in_child, d, keep, &d->err))
		fail(d, NAL_CLASS_UNKNOWN);
	return d;
}

static void close_targets(struct dial *d)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->targets[i].fd >= 0)
			close(d->targets[i].fd);
		d->targets[i].fd = -1;
	}
}

void dial_free(struct dial *d)
{
	if (d == NULL)
		return;
	close_targets(d);
	timebox_end(&d->resolver);
	if (d->link.fd >= 0)
		close(d->link.fd);
	free(d->host);
	free(d);
}

size_t dial_poll(const struct dial *d, struct pollfd *out)
{
	size_t n = 0;

	if (d->resolver.socket >= 0)
		out[n++] = (struct pollfd){ .fd = d->resolver.socket, .events = POLLIN };
	for (size_t i = 0; i < d->started; i++)
		if (d->targets[i].fd >= 0)
			out[n++] = (struct pollfd){ .fd = d->targets[i].fd, .events = POLLOUT };
	return n;
}

uint32_t dial_wait_ms(const struct dial *d, uint64_t now_ms)
{
	uint64_t due = d->begun_ms + d->timeout_ms;

	if (d->state != DIAL_BUSY)
		return 0;
	if (d->count > 0 && d->started < d->count)
		due = MIN_OF(due, d->next_ms);
	return due > now_ms ? (uint32_t)(due - now_ms) : 0;
}

/* Look whether the resolving child has answered. */
static void take_addresses(struct dial *d)
{
	struct resolved head;
	enum timebox_result result = timebox_read(&d->resolver, &head, sizeof(head), 0);

	if (result == TIMEBOX_LATE)
		return;
	if (result == TIMEBOX_DONE && head.count > 0 && head.count <= DIAL_ADDRESSES_MAX)
		result = timebox_read(&d->resolver, d->targets, head.count * sizeof(d->targets[0]),
				      100);
	timebox_end(&d->resolver);
	if (result == TIMEBOX_DONE && head.count > 0)
		d->count = head.count;
	else
		name_failed(d, result == TIMEBOX_DONE ? head.gai_error : EAI_FAIL);
}

static void note_fault(struct dial *d, int sys_errno)
{
	static const struct {
		int sys_errno;
		enum err_code code;
	} codes[] = {
		{ ECONNREFUSED, ERR_NET_REFUSED },
		{ ETIMEDOUT, ERR_NET_TIMEOUT },
	};
	enum err_code code = ERR_NET_UNREACHABLE;

	for (size_t i = 0; i < COUNT_OF(codes); i++)
		if (codes[i].sys_errno == sys_errno)
			code = codes[i].code;
	err_sys(&d->err, code, sys_errno, "connect to %s port %u", d->host, d->port);
	d->err.code = code; /* EACCES of a local packet filter is no matter of file rights */
	d->class = sys_errno == ETIMEDOUT ? NAL_CLASS_TIMEOUT : NAL_CLASS_UNREACHABLE;
}

static void connected(struct dial *d, struct target *t)
{
	int on = 1;

	(void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	d->link.fd = t->fd;
	t->fd = -1;
	if (getnameinfo((struct sockaddr *)&t->address, t->size, d->link.address,
			sizeof(d->link.address), NULL, 0, NI_NUMERICHOST) != 0)
		d->link.address[0] = '\0';
	d->state = DIAL_CONNECTED;
	close_targets(d);
}

static void start_next(struct dial *d, uint64_t now_ms)
{
	struct target *t = &d->targets[d->started++];

	d->next_ms = now_ms + NEXT_ADDRESS_MS;
	t->fd = socket(t->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd >= 0 && connect(t->fd, (struct sockaddr *)&t->address, t->size) == 0) {
		connected(d, t);
		return;
	}
	if (t->fd >= 0 && errno == EINPROGRESS)
		return;
	note_fault(d, errno);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	d->next_ms = now_ms;
}

/* See which of the started connects have come to an end; true if one failed. */
static bool look_at_started(struct dial *d)
{
	bool one_failed = false;

	for (size_t i = 0; i < d->started && d->state == DIAL_BUSY; i++) {
		struct target *t = &d->targets[i];
		struct pollfd p = { .fd = t->fd, .events = POLLOUT };
		int fault = 0;
		socklen_t size = sizeof(fault);

		if (t->fd < 0 || poll(&p, 1, 0) <= 0)
			continue;
		if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &fault, &size) == 0 && fault == 0) {
			connected(d, t);
			return false;
		}
		note_fault(d, fault);
		close(t->fd);
		t->fd = -1;
		one_failed = true;
	}
	return one_failed;
}

static bool any_under_way(const struct dial *d)
{
	for (size_t i = 0; i < d->started; i++)
		if (d->targets[i].fd >= 0)
			return true;
	return false;
}

static void connect_addresses(struct dial *d, uint64_t now_ms)
{
	if (look_at_started(d))
		d->next_ms = now_ms;
	while (d->state == DIAL_BUSY && d->started < d->count && d->next_ms <= now_ms)
		start_next(d, now_ms);
	if (d->state == DIAL_BUSY && d->started == d->count && !any_under_way(d))
		d->state = DIAL_FAILED;
}

enum dial_state dial_step(struct dial *d, uint64_t now_ms)
{
	if (d->state == DIAL_BUSY && d->count == 0)
		take_addresses(d);
	if (d->state == DIAL_BUSY && d->count > 0)
		connect_addresses(d, now_ms);
	if (d->state == DIAL_BUSY && now_ms >= d->begun_ms + d->timeout_ms) {
		err_set(&d->err, ERR_NET_TIMEOUT, "%s port %u: no %s within %u ms", d->host,
			d->port, d->count == 0 ? "answer to its name" : "connection",
			d->timeout_ms);
		fail(d, NAL_CLASS_TIMEOUT);
	}
	if (d->state != DIAL_BUSY) {
		close_targets(d);
		timebox_end(&d->resolver);
	}
	return d->state;
}

struct way_link dial_take(struct dial *d)
{
	struct way_link link = d->link;

	d->link = WAY_LINK_NONE;
	return link;
}

enum nal_class dial_fault(const struct dial *d, struct err *err)
{
	assert(d->state == DIAL_FAILED);
	*err = d->err;
	return d->class;
}

enum nal_class dial_wait(struct way_link *out, const char *host, uint16_t port, uint32_t timeout_ms,
			 struct err *err)
{
	SCOPED(dial) struct dial *d = dial_begin(host, port, timeout_ms, now());
	struct pollfd fds[DIAL_POLL_MAX];

	*out = WAY_LINK_NONE;
	while (dial_step(d, now()) == DIAL_BUSY)
		(void)poll(fds, dial_poll(d, fds), (int)dial_wait_ms(d, now()));
	if (d->state == DIAL_FAILED)
		return dial_fault(d, err);
	*out = dial_take(d);
	return NAL_CLASS_OK;
}

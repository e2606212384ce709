#include "nal/httpsession.h"

#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/path.h"
#include "common/text.h"
#include "nal/dial.h"
#include "nal/pace.h"

#define BUFFER_BYTES   (256L << 10)
#define DROP_BYTES_MAX (64u << 10) /* of an error page, so that the connection can be kept */
#define PUT_QUICK_MAX  (1u << 20)  /* a larger object takes a server's disk some time */
#define CONN_AGE_S     86400L      /* the connection table decides how long one lives */

/* One request on its way. */
struct httpsession_exchange {
	struct httpsession *session;
	const struct httpsession_request *request;
	struct httpsession_answer *answer;
	struct err *err;
	CURL *easy;
	struct curl_slist *headers;
	struct pace pace;
	uint64_t head_bytes;
	uint64_t dropped;
	uint64_t sent;
	bool head_seen;
	bool is_over; /* of several at a time: `code` is libcurl's result */
	CURLcode code;
	bool enough;          /* we ended it ourselves, content */
	enum nal_class fault; /* we ended it ourselves, with this; NAL_CLASS_OK: no */
};

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

/*
 * OpenSSL writes to sockets with write(2), so a peer that hangs up would end us by SIGPIPE. Neither
 * the process's disposition nor a child's is ours to change: the signal is held back meanwhile.
 */
static bool hold_sigpipe(sigset_t *before)
{
	sigset_t pipe_only, pending;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigpending(&pending);
	(void)pthread_sigmask(SIG_BLOCK, &pipe_only, before);
	return sigismember(&pending, SIGPIPE) == 1;
}

static void release_sigpipe(const sigset_t *before, bool was_pending)
{
	static const struct timespec at_once = { 0 };
	sigset_t pipe_only;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	if (!was_pending)
		(void)sigtimedwait(&pipe_only, NULL, &at_once);
	(void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

/*
 * The kernel makes the buffer larger by itself as bytes are read, and the window with it; a size
 * that was set once keeps it from that until it is told that it may again.
 */
static void bound_socket(const struct httpsession *s, curl_socket_t fd)
{
	static const int grows = 0;

	if (s->window > 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &s->window, sizeof(s->window));
	else
		(void)setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &grows, sizeof(grows));
}

void httpsession_bound(struct httpsession *s, uint64_t bytes)
{
	int window = (int)MIN_OF(bytes, (uint64_t)INT_MAX);

	if (s->window == window)
		return;
	s->window = window;
	for (size_t i = 0; i < COUNT_OF(s->sockets); i++)
		if (s->sockets[i] >= 0)
			bound_socket(s, s->sockets[i]);
	if (s->link.fd >= 0)
		bound_socket(s, s->link.fd);
}

static void remember_socket(struct httpsession *s, curl_socket_t fd)
{
	if (s->window > 0)
		bound_socket(s, fd);
	for (size_t i = 0; i < COUNT_OF(s->sockets); i++) {
		if (s->sockets[i] < 0) {
			s->sockets[i] = fd;
			return;
		}
	}
}

/* A bounded connect, because libcurl has one limit for TCP and TLS together. */
static curl_socket_t connect_within(struct httpsession *s, const struct curl_sockaddr *address)
{
	int fd = socket(address->family, address->socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
			address->protocol);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int fault = 0;
	socklen_t size = sizeof(fault);

	if (fd < 0)
		fault = errno;
	else if (connect(fd, &address->addr, address->addrlen) == 0)
		return fd;
	else if (errno != EINPROGRESS)
		fault = errno;
	else if (poll(&p, 1, (int)s->connect_ms) == 0)
		fault = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &size) == 0 && fault == 0)
		return fd;
	s->connect_errno = fault;
	if (fd >= 0)
		close(fd);
	return CURL_SOCKET_BAD;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose UNUSED,
				 struct curl_sockaddr *address)
{
	struct httpsession *s = ctx;
	curl_socket_t fd = s->link.fd;

	s->link.fd = -1;
	if (fd < 0)
		fd = connect_within(s, address);
	if (fd >= 0)
		remember_socket(s, fd);
	return fd;
}

/* Of several requests none waits for another's connect: libcurl does it, the pace bounds it. */
static curl_socket_t open_socket_unconnected(void *ctx, curlsocktype purpose UNUSED,
					     struct curl_sockaddr *address)
{
	struct httpsession *s = ctx;
	curl_socket_t fd = s->link.fd;

	s->link.fd = -1;
	if (fd < 0)
		fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd >= 0)
		remember_socket(s, fd);
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int may_be_connected(void *ctx UNUSED, curl_socket_t fd, curlsocktype purpose UNUSED)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);

	return getpeername(fd, (struct sockaddr *)&peer, &size) == 0
		       ? CURL_SOCKOPT_ALREADY_CONNECTED
		       : CURL_SOCKOPT_OK;
}

static int is_connected(void *ctx UNUSED, curl_socket_t fd UNUSED, curlsocktype purpose UNUSED)
{
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static int close_socket(void *ctx, curl_socket_t fd)
{
	struct httpsession *s = ctx;

	for (size_t i = 0; i < COUNT_OF(s->sockets); i++)
		if (s->sockets[i] == fd)
			s->sockets[i] = -1;
	return close(fd);
}

static void pin_address(struct httpsession *s, const struct way_target *target)
{
	const char *address = s->link.address;
	const char *form = strchr(address, ':') != NULL ? "%s:%u:[%s]" : "%s:%u:%s";
	SCOPED_TEXT char *line = NULL;

	if (s->link.fd < 0 || address[0] == '\0' || strchr(target->where->host, ':') != NULL)
		return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	line = alloc_printf(form, target->where->host, target->where->port, address);
#pragma GCC diagnostic pop
	s->resolved = s->curl.slist_append(NULL, line);
}

static bool load(struct httpsession *s, struct err *err)
{
	if (!curlcalls_load(&s->curl, err))
		return false;
	s->multi = s->curl.multi_init();
	return s->multi != NULL || err_set(err, ERR_MEMORY, "libcurl: no memory for a session");
}

enum nal_class httpsession_open(struct session **out, const struct way_target *target,
				const struct way_limits *limits, struct way_link link,
				struct err *err)
{
	struct httpsession *s = alloc_zeroed(1, sizeof(*s));

	s->link = link;
	s->connect_ms = limits->connect_ms;
	for (size_t i = 0; i < COUNT_OF(s->sockets); i++)
		s->sockets[i] = -1;
	if (!load(s, err)) {
		httpsession_close(&s->session);
		return NAL_CLASS_UNKNOWN;
	}
	(void)s->curl.multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)HTTPSESSION_SOCKETS_MAX);
	pin_address(s, target);
	*out = &s->session;
	return NAL_CLASS_OK;
}

void httpsession_close(struct session *session)
{
	struct httpsession *s = (struct httpsession *)session;
	sigset_t before;
	bool was_pending = hold_sigpipe(&before);

	if (s->multi != NULL) {
		s->curl.multi_cleanup(s->multi);
		s->curl.slist_free_all(s->resolved);
	}
	release_sigpipe(&before, was_pending);
	if (s->link.fd >= 0)
		close(s->link.fd);
	free(s);
}

/* An idle peer that sent nothing is there, as far as we can tell; one that hung up is not. */
static bool has_hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

bool httpsession_is_alive(const struct session *session)
{
	const struct httpsession *s = (const struct httpsession *)session;

	if (s->link.fd >= 0)
		return !has_hung_up(s->link.fd);
	for (size_t i = 0; i < COUNT_OF(s->sockets); i++)
		if (s->sockets[i] >= 0 && !has_hung_up(s->sockets[i]))
			return true;
	return false;
}

static size_t count_head(char *line UNUSED, size_t size, size_t count, void *ctx)
{
	struct httpsession_exchange *x = ctx;

	x->head_bytes += size * count;
	if (x->head_bytes <= HTTPSESSION_HEAD_MAX)
		return size * count;
	err_set(x->err, ERR_LIMIT, "the server's header lines pass %d bytes", HTTPSESSION_HEAD_MAX);
	x->fault = NAL_CLASS_PROTOCOL;
	return 0;
}

static const char *header(const struct httpsession_exchange *x, const char *name)
{
	struct curl_header *h;

	if (x->session->curl.easy_header(x->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return NULL;
	return h->value;
}

static void protocol_fault(struct httpsession_exchange *x)
{
	x->fault = NAL_CLASS_PROTOCOL;
}

/* Read the head of the answer, once; false if the answer is not acceptable. */
static bool read_head(struct httpsession_exchange *x)
{
	struct httpsession_answer *a = x->answer;
	const struct curlcalls *curl = &x->session->curl;
	const char *encoding, *range;
	curl_off_t length = -1;

	if (x->head_seen)
		return x->fault == NAL_CLASS_OK;
	x->head_seen = true;
	encoding = header(x, "Content-Encoding");
	range = header(x, "Content-Range");
	(void)curl->easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &a->status);
	(void)curl->easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	a->length = length >= 0 ? (uint64_t)length : UINT64_MAX;
	a->has_range = range != NULL && httpanswer_range(&a->range, range);
	httpanswer_token(a->token, header(x, "ETag"), header(x, "Last-Modified"));
	if (a->status < 200 || a->status > 299)
		return true;
	if (encoding != NULL && !text_equal_nocase(encoding, "identity")) {
		err_set(x->err, ERR_NET_PROTOCOL, "the server insists on the encoding \"%s\"",
			encoding);
		protocol_fault(x);
		return false;
	}
	if (x->request->head != NULL &&
	    x->request->head(a, x->request->ctx, x->err) == HTTPSESSION_BAD) {
		protocol_fault(x);
		return false;
	}
	return true;
}

/* Error pages and bodies that nobody wants: read a little, for the connection's sake. */
static size_t drop_body(struct httpsession_exchange *x, size_t size)
{
	x->dropped += size;
	if (x->dropped <= DROP_BYTES_MAX)
		return size;
	x->enough = true;
	return 0;
}

static size_t take_body(char *data, size_t size, size_t count, void *ctx)
{
	struct httpsession_exchange *x = ctx;
	struct span piece = span_of(data, size * count);
	uint64_t before = now();
	enum httpsession_body verdict;

	pace_arrived(&x->pace, piece.size, before);
	x->session->session.counts.bytes_in += piece.size;
	if (!read_head(x))
		return 0;
	if (x->request->body == NULL || x->answer->status < 200 || x->answer->status > 299)
		return drop_body(x, piece.size);
	verdict = x->request->body(x->answer, piece, x->request->ctx, x->err);
	pace_away(&x->pace, now() - before);
	if (verdict == HTTPSESSION_MORE)
		return piece.size;
	if (verdict == HTTPSESSION_ENOUGH)
		x->enough = true;
	else
		protocol_fault(x);
	return 0;
}

/* All is sent: from here on the answer is judged, with time for a large object to be stored. */
static void await_answer(struct httpsession_exchange *x, uint64_t total)
{
	struct way_limits limits = x->pace.limits;

	if (total > PUT_QUICK_MAX)
		limits.first_byte_ms = MAX_OF(limits.first_byte_ms, limits.floor_window_ms);
	pace_begin(&x->pace, &limits, now());
}

static size_t give_body(char *dst, size_t size, size_t count, void *ctx)
{
	struct httpsession_exchange *x = ctx;
	const struct way_put *put = x->request->put;
	uint64_t total = put->bytes.data != NULL ? put->bytes.size : put->size;
	size_t n = (size_t)MIN_OF(total - x->sent, (uint64_t)size * count);
	uint64_t before = now();

	if (put->bytes.data != NULL) {
		memcpy(dst, put->bytes.data + x->sent, n);
	} else if (n > 0 && path_read_fd(put->fd, dst, n) != (ssize_t)n) {
		err_set(x->err, ERR_IO, "the file to send ends after %llu bytes",
			(unsigned long long)x->sent);
		x->fault = NAL_CLASS_UNKNOWN;
		return CURL_READFUNC_ABORT;
	}
	x->sent += n;
	x->session->session.counts.bytes_out += n;
	if (n > 0 && put->sent != NULL && !put->sent(n, put->ctx)) {
		x->enough = true;
		return CURL_READFUNC_ABORT;
	}
	pace_away(&x->pace, now() - before);
	pace_arrived(&x->pace, n, now());
	if (x->sent == total)
		await_answer(x, total);
	return n;
}

/* libcurl goes back to the start when a kept connection turns out dead before the first byte. */
static int rewind_body(void *ctx, curl_off_t offset, int origin)
{
	struct httpsession_exchange *x = ctx;
	const struct way_put *put = x->request->put;

	if (origin != SEEK_SET || (uint64_t)offset > x->sent)
		return CURL_SEEKFUNC_FAIL;
	if (put->bytes.data == NULL && lseek(put->fd, offset - (curl_off_t)x->sent, SEEK_CUR) < 0)
		return CURL_SEEKFUNC_FAIL;
	x->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static void set_session_options(struct httpsession_exchange *x, const struct way_limits *limits)
{
	struct httpsession *s = x->session;
	const struct curlcalls *curl = &s->curl;

	curl->easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
	curl->easy_setopt(x->easy, CURLOPT_QUICK_EXIT, 1L); /* no waiting for a dead resolver */
	curl->easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl->easy_setopt(x->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl->easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl->easy_setopt(x->easy, CURLOPT_USERAGENT, "packway/" PACKWAY_VERSION);
	curl->easy_setopt(x->easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	curl->easy_setopt(x->easy, CURLOPT_TCP_NODELAY, 1L);
	curl->easy_setopt(x->easy, CURLOPT_MAXAGE_CONN, CONN_AGE_S);
	curl->easy_setopt(x->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl->easy_setopt(x->easy, CURLOPT_OPENSOCKETDATA, s);
	curl->easy_setopt(x->easy, CURLOPT_SOCKOPTFUNCTION, is_connected);
	curl->easy_setopt(x->easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl->easy_setopt(x->easy, CURLOPT_CLOSESOCKETDATA, s);
	if (s->resolved != NULL)
		curl->easy_setopt(x->easy, CURLOPT_RESOLVE, s->resolved);
	if (limits->tls_ca_file != NULL)
		curl->easy_setopt(x->easy, CURLOPT_CAINFO, limits->tls_ca_file);
}

static void set_request_options(struct httpsession_exchange *x)
{
	const struct httpsession_request *r = x->request;
	const struct curlcalls *curl = &x->session->curl;

	curl->easy_setopt(x->easy, CURLOPT_URL, r->url);
	curl->easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, count_head);
	curl->easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
	curl->easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, take_body);
	curl->easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
	curl->easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, r->method);
	if (strcmp(r->method, "HEAD") == 0)
		curl->easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
	if (r->put != NULL) {
		uint64_t size = r->put->bytes.data != NULL ? r->put->bytes.size : r->put->size;

		curl->easy_setopt(x->easy, CURLOPT_UPLOAD, 1L);
		curl->easy_setopt(x->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
		curl->easy_setopt(x->easy, CURLOPT_READFUNCTION, give_body);
		curl->easy_setopt(x->easy, CURLOPT_READDATA, x);
		curl->easy_setopt(x->easy, CURLOPT_SEEKFUNCTION, rewind_body);
		curl->easy_setopt(x->easy, CURLOPT_SEEKDATA, x);
		x->headers = curl->slist_append(x->headers, "Expect:");
	}
	x->headers = curl->slist_append(x->headers, "Accept-Encoding: identity");
	for (size_t i = 0; i < COUNT_OF(r->headers) && r->headers[i] != NULL; i++)
		x->headers = curl->slist_append(x->headers, r->headers[i]);
	curl->easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
}

static const struct {
	CURLcode curl;
	enum nal_class class;
	enum err_code code;
	const char *words;
} curl_faults[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, NAL_CLASS_UNREACHABLE, ERR_NET_NAME, "its name is unknown" },
	{ CURLE_COULDNT_RESOLVE_PROXY, NAL_CLASS_UNREACHABLE, ERR_NET_NAME,
	  "the proxy's name is unknown" },
	{ CURLE_OPERATION_TIMEDOUT, NAL_CLASS_TIMEOUT, ERR_NET_TIMEOUT, "no connection in time" },
	{ CURLE_SSL_CONNECT_ERROR, NAL_CLASS_PROTOCOL, ERR_NET_TLS, "TLS does not come about" },
	{ CURLE_PEER_FAILED_VERIFICATION, NAL_CLASS_PROTOCOL, ERR_NET_TLS,
	  "its certificate is not accepted" },
	{ CURLE_SSL_CACERT_BADFILE, NAL_CLASS_PROTOCOL, ERR_NET_TLS,
	  "the file of trusted certificates cannot be read" },
	{ CURLE_GOT_NOTHING, NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE,
	  "it hung up without an answer" },
	{ CURLE_SEND_ERROR, NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE, "the connection was lost" },
	{ CURLE_RECV_ERROR, NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE, "the connection was lost" },
	{ CURLE_PARTIAL_FILE, NAL_CLASS_UNREACHABLE, ERR_NET_UNREACHABLE,
	  "the connection was cut in the middle of the answer" },
	{ CURLE_HTTP2, NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL, "its HTTP/2 is broken" },
	{ CURLE_HTTP2_STREAM, NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL, "its HTTP/2 is broken" },
	{ CURLE_WEIRD_SERVER_REPLY, NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL,
	  "what it says is no HTTP" },
	{ CURLE_UNSUPPORTED_PROTOCOL, NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL,
	  "what it says is no HTTP" },
	{ CURLE_BAD_CONTENT_ENCODING, NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL,
	  "its encoding is broken" },
	{ CURLE_OUT_OF_MEMORY, NAL_CLASS_UNKNOWN, ERR_MEMORY, "no memory" },
};

static enum nal_class connect_fault(struct httpsession_exchange *x)
{
	int fault = x->session->connect_errno;
	enum err_code code = fault == ECONNREFUSED ? ERR_NET_REFUSED
			     : fault == ETIMEDOUT  ? ERR_NET_TIMEOUT
						   : ERR_NET_UNREACHABLE;

	err_sys(x->err, code, fault != 0 ? fault : EHOSTUNREACH, "connect");
	x->err->code = code;
	return fault == ETIMEDOUT ? NAL_CLASS_TIMEOUT : NAL_CLASS_UNREACHABLE;
}

static enum nal_class curl_fault(struct httpsession_exchange *x, CURLcode code)
{
	const char *words = x->session->curl.easy_strerror(code);

	if (code == CURLE_COULDNT_CONNECT)
		return connect_fault(x);
	for (size_t i = 0; i < COUNT_OF(curl_faults); i++) {
		if (curl_faults[i].curl != code)
			continue;
		err_set(x->err, curl_faults[i].code, "%s (%s)", curl_faults[i].words, words);
		return curl_faults[i].class;
	}
	err_set(x->err, ERR_NET, "%s", words);
	return NAL_CLASS_UNKNOWN;
}

static enum nal_class pace_fault(struct httpsession_exchange *x, enum pace_verdict verdict)
{
	const struct way_limits *l = &x->pace.limits;

	if (verdict == PACE_SLOW) {
		err_set(x->err, ERR_NET_TIMEOUT, "less than %u bytes/s over %u s",
			l->floor_bytes_per_s, l->floor_window_ms / 1000);
		return NAL_CLASS_SLOW;
	}
	err_set(x->err, ERR_NET_TIMEOUT, "nothing came for %u s",
		(verdict == PACE_SILENT ? l->first_byte_ms : l->floor_window_ms) / 1000);
	return NAL_CLASS_TIMEOUT;
}

/* Drive the transfer until it ends or its pace is refused; *code_out is libcurl's result. */
static enum nal_class drive(struct httpsession_exchange *x, CURLcode *code_out)
{
	const struct curlcalls *curl = &x->session->curl;
	CURLM *multi = x->session->multi;
	int running = 1, queued;
	CURLMsg *msg;

	for (;;) {
		enum pace_verdict verdict;

		if (curl->multi_perform(multi, &running) != CURLM_OK || running == 0)
			break;
		verdict = pace_check(&x->pace, now());
		if (verdict != PACE_FINE)
			return pace_fault(x, verdict);
		(void)curl->multi_poll(multi, NULL, 0, (int)pace_wait_ms(&x->pace, now()), NULL);
	}
	*code_out = CURLE_FAILED_INIT;
	while ((msg = curl->multi_info_read(multi, &queued)) != NULL)
		if (msg->msg == CURLMSG_DONE)
			*code_out = msg->data.result;
	return NAL_CLASS_OK;
}

static enum nal_class judge(struct httpsession_exchange *x, CURLcode code)
{
	long connects = 0;

	(void)x->session->curl.easy_getinfo(x->easy, CURLINFO_NUM_CONNECTS, &connects);
	x->session->session.counts.connects += connects > 0 ? (uint64_t)connects : 0;
	if (x->fault != NAL_CLASS_OK)
		return x->fault;
	if (code != CURLE_OK && !x->enough)
		return curl_fault(x, code);
	if (!read_head(x))
		return x->fault;
	if (x->request->put != NULL && x->enough)
		return NAL_CLASS_OK; /* the sender's own wish */
	return httpanswer_class(x->answer->status, x->err);
}

/* ERR_MEMORY where libcurl has none. The rest of `x` is filled. */
static bool set_out(struct httpsession_exchange *x, const struct way_limits *limits)
{
	const struct curlcalls *curl = &x->session->curl;

	*x->answer = (struct httpsession_answer){ .length = UINT64_MAX };
	x->session->session.counts.requests++;
	x->easy = curl->easy_init();
	if (x->easy == NULL)
		return err_set(x->err, ERR_MEMORY, "libcurl: no memory for a request");
	set_session_options(x, limits);
	set_request_options(x);
	pace_begin(&x->pace, limits, now());
	(void)curl->multi_add_handle(x->session->multi, x->easy);
	return true;
}

static void put_away(struct httpsession_exchange *x)
{
	const struct curlcalls *curl = &x->session->curl;

	if (x->easy != NULL)
		(void)curl->multi_remove_handle(x->session->multi, x->easy);
	curl->easy_cleanup(x->easy);
	curl->slist_free_all(x->headers);
}

static enum nal_class ask_once(struct httpsession_answer *answer, char **redirect_out,
			       struct httpsession *session,
			       const struct httpsession_request *request,
			       const struct way_limits *limits, struct err *err)
{
	struct httpsession_exchange x = {
		.session = session, .request = request, .answer = answer, .err = err
	};
	enum nal_class class = NAL_CLASS_UNKNOWN;
	CURLcode code = CURLE_OK;
	char *redirect = NULL;
	sigset_t before;
	bool was_pending = hold_sigpipe(&before);

	session->connect_errno = 0;
	if (set_out(&x, limits)) {
		class = drive(&x, &code);
		if (class == NAL_CLASS_OK)
			class = judge(&x, code);
		if (session->curl.easy_getinfo(x.easy, CURLINFO_REDIRECT_URL, &redirect) ==
		    CURLE_OK)
			*redirect_out = alloc_text(redirect);
	}
	put_away(&x);
	release_sigpipe(&before, was_pending);
	return class;
}

struct httpsession_exchange *httpsession_begin(struct httpsession_answer *answer,
					       struct httpsession *session,
					       const struct httpsession_request *request,
					       const struct way_limits *limits, struct err *err)
{
	struct httpsession_exchange *x = alloc_zeroed(1, sizeof(*x));
	const struct curlcalls *curl = &session->curl;

	*x = (struct httpsession_exchange){
		.session = session, .request = request, .answer = answer, .err = err
	};
	if (!set_out(x, limits)) {
		x->is_over = true;
		x->code = CURLE_OUT_OF_MEMORY;
		return x;
	}
	(void)curl->easy_setopt(x->easy, CURLOPT_PRIVATE, x);
	(void)curl->easy_setopt(x->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket_unconnected);
	(void)curl->easy_setopt(x->easy, CURLOPT_SOCKOPTFUNCTION, may_be_connected);
	/* Streams of one HTTP/2 connection would share one window, and every lost packet. */
	(void)curl->easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	return x;
}

void httpsession_turn(struct httpsession *session, uint32_t wait_ms)
{
	const struct curlcalls *curl = &session->curl;
	int running, queued;
	CURLMsg *msg;
	sigset_t before;
	bool was_pending = hold_sigpipe(&before);

	(void)curl->multi_poll(session->multi, NULL, 0, (int)wait_ms, NULL);
	(void)curl->multi_perform(session->multi, &running);
	while ((msg = curl->multi_info_read(session->multi, &queued)) != NULL) {
		char *owner = NULL;

		if (msg->msg != CURLMSG_DONE ||
		    curl->easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &owner) != CURLE_OK ||
		    owner == NULL)
			continue;
		((struct httpsession_exchange *)(void *)owner)->is_over = true;
		((struct httpsession_exchange *)(void *)owner)->code = msg->data.result;
	}
	release_sigpipe(&before, was_pending);
}

bool httpsession_is_over(struct httpsession_exchange *x)
{
	enum pace_verdict verdict = x->is_over ? PACE_FINE : pace_check(&x->pace, now());

	if (verdict != PACE_FINE) {
		x->is_over = true;
		x->fault = pace_fault(x, verdict);
	}
	return x->is_over;
}

void httpsession_excuse(struct httpsession_exchange *x, uint64_t ms)
{
	pace_away(&x->pace, ms);
}

enum nal_class httpsession_end(struct httpsession_exchange *x)
{
	enum nal_class class = NAL_CLASS_UNKNOWN;
	sigset_t before;
	bool was_pending = hold_sigpipe(&before);

	if (x->is_over && x->easy != NULL)
		class = judge(x, x->code);
	put_away(x);
	free(x);
	release_sigpipe(&before, was_pending);
	return class;
}

uint32_t httpsession_round_trip_us(const struct httpsession *s)
{
	uint32_t least = UINT32_MAX;

	for (size_t i = 0; i < COUNT_OF(s->sockets); i++) {
		struct tcp_info info = { 0 };
		socklen_t size = sizeof(info);

		if (s->sockets[i] >= 0 &&
		    getsockopt(s->sockets[i], IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
			least = MIN_OF(least, info.tcpi_min_rtt);
	}
	return least == UINT32_MAX ? 0 : least;
}

static bool is_same_part(const struct curlcalls *curl, CURLU *a, CURLU *b, CURLUPart part)
{
	char *x = NULL, *y = NULL;
	bool same = curl->url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		    curl->url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		    text_equal_nocase(x, y);

	curl->free(x);
	curl->free(y);
	return same;
}

/* A server may send us on within itself, nowhere else: another host was not chosen. */
static bool stays_on_server(const struct curlcalls *curl, const char *from, const char *to)
{
	CURLU *a = curl->url(), *b = curl->url();
	bool stays = a != NULL && b != NULL &&
		     curl->url_set(a, CURLUPART_URL, from, 0) == CURLUE_OK &&
		     curl->url_set(b, CURLUPART_URL, to, 0) == CURLUE_OK &&
		     is_same_part(curl, a, b, CURLUPART_SCHEME) &&
		     is_same_part(curl, a, b, CURLUPART_HOST) &&
		     is_same_part(curl, a, b, CURLUPART_PORT);

	curl->url_cleanup(a);
	curl->url_cleanup(b);
	return stays;
}

static bool is_redirect(const struct httpsession_answer *answer, const char *redirect)
{
	return redirect != NULL && answer->status >= 300 && answer->status < 400;
}

enum nal_class httpsession_ask(struct httpsession_answer *answer, struct httpsession *session,
			       const struct httpsession_request *request,
			       const struct way_limits *limits, struct err *err)
{
	struct httpsession_request next = *request;
	SCOPED_TEXT char *url = NULL;

	for (int i = 0; i <= HTTPSESSION_REDIRECTS_MAX; i++) {
		SCOPED_TEXT char *redirect = NULL;
		enum nal_class class = ask_once(answer, &redirect, session, &next, limits, err);

		if (!is_redirect(answer, redirect))
			return class;
		if (request->put != NULL ||
		    !stays_on_server(&session->curl, request->url, redirect)) {
			err_set(err, ERR_NET_PROTOCOL, "the server sends us elsewhere: %s",
				redirect);
			return NAL_CLASS_PROTOCOL;
		}
		free(url);
		next.url = url = redirect;
		redirect = NULL;
	}
	err_set(err, ERR_NET_PROTOCOL, "the server sends us round in circles");
	return NAL_CLASS_PROTOCOL;
}

#include "site/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/beneath.h"
#include "common/log.h"
#include "common/path.h"
#include "common/random.h"
#include "trust/envelope.h"

#define UPLOAD_PAUSE_MS 200 /* an upload's followers come within this: one intake for all */
#define CHILD_GRACE_MS  5000

struct cycle_state {
	struct server *server;
	const struct server_cycle *cycle;
	struct event *timer;
	pid_t pid;  /* 0: not running */
	bool again; /* asked for while it ran */
};

struct server {
	const struct server_options *options;
	struct event_base *base;
	struct evhttp *http;
	SSL_CTX *tls;
	int folder;
	struct cycle_state cycles[SERVER_CYCLES_MAX];
};

/* ---- answers ---- */

static void add_header(struct evhttp_request *req, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

static const char *header(struct evhttp_request *req, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

/* A refusal with a plain line for whoever looks with a browser. */
static void refuse(struct evhttp_request *req, int code, const char *reason)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add_printf(body, "%d %s\n", code, reason);
	add_header(req, "Content-Type", "text/plain");
	evhttp_send_reply(req, code, reason, body);
	evbuffer_free(body);
}

static void refuse_errno(struct evhttp_request *req, int failed)
{
	switch (failed) {
	case EACCES:
	case EPERM:
		refuse(req, 403, "Forbidden");
		break;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		refuse(req, 503, "Busy");
		break;
	case ENOSPC:
	case EDQUOT:
		refuse(req, 507, "Insufficient Storage");
		break;
	default:
		refuse(req, 404, "Not Found");
		break;
	}
}

/* The request's path, decoded and without its slash; NULL unless it stays beneath the folder. */
static char *path_of(struct evhttp_request *req)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *raw = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	size_t size;
	char *path;

	if (raw == NULL || raw[0] != '/')
		return NULL;
	path = evhttp_uridecode(raw + 1, 0, &size);
	if (path != NULL && path_is_beneath(span_of(path, size)))
		return path;
	free(path);
	return NULL;
}

/* ---- files ---- */

struct file {
	int fd;
	struct stat info;
	char etag[64];
	char modified[64];
};

static void describe(struct file *f)
{
	struct tm tm;

	snprintf(f->etag, sizeof(f->etag), "\"%" PRIx64 "-%lx-%" PRIx64 "\"",
		 (uint64_t)f->info.st_mtim.tv_sec, f->info.st_mtim.tv_nsec,
		 (uint64_t)f->info.st_size);
	gmtime_r(&f->info.st_mtim.tv_sec, &tm);
	strftime(f->modified, sizeof(f->modified), "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* O_NONBLOCK: a FIFO that somebody put there must not hold the server up. */
static bool open_file(struct file *out, const struct server *s, const char *path)
{
	out->fd = beneath_open(s->folder, path, O_RDONLY | O_NONBLOCK, 0);
	if (out->fd < 0)
		return false;
	if (fstat(out->fd, &out->info) != 0 || !S_ISREG(out->info.st_mode)) {
		close(out->fd);
		errno = ENOENT;
		return false;
	}
	describe(out);
	return true;
}

static bool is_unchanged(struct evhttp_request *req, const struct file *f)
{
	const char *etag = header(req, "If-None-Match");
	const char *since = header(req, "If-Modified-Since");

	/* RFC 9110 13.2.2: the tag decides where both are given. */
	if (etag != NULL)
		return strcmp(etag, "*") == 0 || strstr(etag, f->etag) != NULL;
	return since != NULL && strcmp(since, f->modified) == 0;
}

enum range_kind {
	RANGE_WHOLE, /* none was asked for, or one that we may ignore */
	RANGE_PART,
	RANGE_INVALID, /* behind the end */
};

static bool take_number(const char **p, uint64_t *out)
{
	char *end;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*out = strtoull(*p, &end, 10);
	*p = end;
	return errno == 0;
}

/* RFC 9110 14.1.2, one range; lists are answered with the whole, which is allowed. */
static enum range_kind parse_range(uint64_t *first, uint64_t *last, const char *text, uint64_t size)
{
	const char *p = text + strlen("bytes=");
	uint64_t suffix;

	*last = size > 0 ? size - 1 : 0;
	if (strncmp(text, "bytes=", strlen("bytes=")) != 0 || strchr(p, ',') != NULL)
		return RANGE_WHOLE;
	if (*p == '-') {
		p++;
		if (!take_number(&p, &suffix) || *p != '\0')
			return RANGE_WHOLE;
		*first = suffix < size ? size - suffix : 0;
		return suffix > 0 && size > 0 ? RANGE_PART : RANGE_INVALID;
	}
	if (!take_number(&p, first) || *p++ != '-')
		return RANGE_WHOLE;
	if (*p != '\0') {
		uint64_t asked;

		if (!take_number(&p, &asked) || *p != '\0' || asked < *first)
			return RANGE_WHOLE;
		if (asked < *last)
			*last = asked;
	}
	return *first < size ? RANGE_PART : RANGE_INVALID;
}

static enum range_kind range_of(struct evhttp_request *req, const struct file *f, uint64_t *first,
				uint64_t *last)
{
	const char *range = header(req, "Range");
	const char *if_range = header(req, "If-Range");

	if (range == NULL || evhttp_request_get_command(req) != EVHTTP_REQ_GET ||
	    (if_range != NULL && strcmp(if_range, f->etag) != 0 &&
	     strcmp(if_range, f->modified) != 0))
		return RANGE_WHOLE;
	return parse_range(first, last, range, (uint64_t)f->info.st_size);
}

/* Takes over the descriptor. */
static void send_bytes(struct evhttp_request *req, struct file *f, int code, uint64_t first,
		       uint64_t size)
{
	struct evbuffer *body = evbuffer_new();
	char length[32];

	snprintf(length, sizeof(length), "%" PRIu64, size);
	add_header(req, "Content-Length", length);
	if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD || size == 0)
		close(f->fd);
	else if (evbuffer_add_file(body, f->fd, (ev_off_t)first, (ev_off_t)size) != 0)
		close(f->fd);
	evhttp_send_reply(req, code, code == 206 ? "Partial Content" : "OK", body);
	evbuffer_free(body);
}

static void send_file(struct evhttp_request *req, struct file *f)
{
	uint64_t first = 0, last = 0, size = (uint64_t)f->info.st_size;
	char range[96];

	add_header(req, "ETag", f->etag);
	add_header(req, "Last-Modified", f->modified);
	if (is_unchanged(req, f)) {
		close(f->fd);
		evhttp_send_reply(req, 304, "Not Modified", NULL);
		return;
	}
	add_header(req, "Accept-Ranges", "bytes");
	add_header(req, "Content-Type", "application/octet-stream");
	switch (range_of(req, f, &first, &last)) {
	case RANGE_PART:
		snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
			 last, size);
		add_header(req, "Content-Range", range);
		send_bytes(req, f, 206, first, last - first + 1);
		break;
	case RANGE_INVALID:
		snprintf(range, sizeof(range), "bytes */%" PRIu64, size);
		add_header(req, "Content-Range", range);
		close(f->fd);
		refuse(req, 416, "Range Not Satisfiable");
		break;
	case RANGE_WHOLE:
	default:
		send_bytes(req, f, 200, 0, size);
		break;
	}
}

static void send_identity(struct evhttp_request *req, const struct server *s)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add(body, s->options->identity.data, s->options->identity.size);
	add_header(req, "Content-Type", "application/json");
	evhttp_send_reply(req, 200, "OK", body);
	evbuffer_free(body);
}

static void answer_get(struct evhttp_request *req, const struct server *s, const char *path)
{
	struct file f;

	if (strcmp(path, "packway-serve.json") == 0)
		send_identity(req, s);
	else if (open_file(&f, s, path))
		send_file(req, &f);
	else
		refuse_errno(req, errno);
}

/* ---- inboxes ---- */

static void run_soon(struct cycle_state *c, uint32_t ms)
{
	const struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = (long)(ms % 1000) * 1000 };

	if (c->pid != 0)
		c->again = true;
	else
		evtimer_add(c->timer, &delay);
}

/* …/inbox/<name>: true if the name is an envelope's and its length the body's. */
static bool is_envelope(const char *path, size_t size)
{
	struct envelope_name name;
	const char *base = path_base(path);
	size_t front = (size_t)(base - path);
	const size_t inbox = strlen("inbox/");

	if (front < inbox || strncmp(base - inbox, "inbox/", inbox) != 0 ||
	    (front > inbox && base[-(ptrdiff_t)inbox - 1] != '/'))
		return false;
	return envelope_name_parse(&name, base) && name.length == size;
}

/* Under a hidden name first, then linked: a half-written envelope never has its name. */
static int store(int inbox, const char *base, struct span bytes)
{
	char temp[32];
	uint64_t salt;
	struct err ignored;
	int fd, failed = 0;

	random_bytes(&salt, sizeof(salt));
	snprintf(temp, sizeof(temp), ".new-%016" PRIx64, salt);
	fd = openat(inbox, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	if (!path_write_fd(fd, bytes, &ignored))
		failed = ignored.sys_errno;
	else if (fsync(fd) != 0 || linkat(inbox, temp, inbox, base, 0) != 0)
		failed = errno;
	close(fd);
	unlinkat(inbox, temp, 0);
	return failed;
}

static void wake_up(struct server *s)
{
	for (size_t i = 0; i < s->options->cycle_count; i++)
		if (s->cycles[i].cycle->on_upload)
			run_soon(&s->cycles[i], UPLOAD_PAUSE_MS);
}

static void answer_put(struct evhttp_request *req, struct server *s, const char *path)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(req);
	size_t size = evbuffer_get_length(body);
	const char *base;
	int inbox, failed;

	if (!is_envelope(path, size)) {
		refuse(req, 403, "Only envelopes may be put, and only into an inbox");
		return;
	}
	inbox = beneath_open_parent(s->folder, path, &base);
	if (inbox < 0) {
		refuse_errno(req, errno);
		return;
	}
	failed = store(inbox, base, span_of(evbuffer_pullup(body, -1), size));
	close(inbox);
	if (failed == EEXIST) {
		refuse(req, 412, "It is here already");
	} else if (failed != 0) {
		refuse_errno(req, failed);
	} else {
		evhttp_send_reply(req, 201, "Created", NULL);
		wake_up(s);
	}
}

static void answer(struct evhttp_request *req, void *ctx)
{
	struct server *s = ctx;
	char *path = path_of(req);

	if (path == NULL)
		refuse(req, 404, "Not Found");
	else if (evhttp_request_get_command(req) == EVHTTP_REQ_PUT)
		answer_put(req, s, path);
	else
		answer_get(req, s, path);
	free(path);
}

/* ---- cycles ---- */

static void start_cycle(evutil_socket_t fd UNUSED, short what UNUSED, void *ctx)
{
	struct cycle_state *c = ctx;

	if (c->pid != 0)
		return;
	c->pid = fork();
	if (c->pid == 0) {
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		/* A child must hold neither the port nor a client's connection; standard streams
		 * stay. */
		close_range(3, ~0u, 0);
		_exit(c->cycle->run(c->cycle->ctx));
	}
	if (c->pid < 0) {
		log_warn("%s: %s", c->cycle->name, strerror(errno));
		c->pid = 0;
		run_soon(c, c->cycle->every_ms);
	}
}

static void cycle_ended(struct cycle_state *c)
{
	bool again = c->again;

	c->pid = 0;
	c->again = false;
	run_soon(c, again ? UPLOAD_PAUSE_MS : c->cycle->every_ms);
}

static void reap(evutil_socket_t fd UNUSED, short what UNUSED, void *ctx)
{
	struct server *s = ctx;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (size_t i = 0; i < s->options->cycle_count; i++)
			if (s->cycles[i].pid == pid)
				cycle_ended(&s->cycles[i]);
}

static void stop(evutil_socket_t fd UNUSED, short what UNUSED, void *ctx)
{
	event_base_loopbreak(ctx);
}

/* A cycle is restartable at every step, so it may be ended at any. */
static void end_children(struct server *s)
{
	for (size_t i = 0; i < s->options->cycle_count; i++) {
		const struct timespec step = { .tv_nsec = 20 * 1000000 };
		struct cycle_state *c = &s->cycles[i];

		if (c->pid == 0)
			continue;
		kill(c->pid, SIGTERM);
		for (int ms = 0; ms < CHILD_GRACE_MS && waitpid(c->pid, NULL, WNOHANG) == 0;
		     ms += 20)
			nanosleep(&step, NULL);
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
}

/* ---- set-up ---- */

static bool tls_fault(const char *what, struct err *err)
{
	char text[200];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	return err_set(err, ERR_NET_TLS, "%s: %s", what, text);
}

static bool set_up_tls(struct server *s, struct err *err)
{
	const struct server_options *o = s->options;

	if (o->tls_cert == NULL)
		return true;
	s->tls = SSL_CTX_new(TLS_server_method());
	if (s->tls == NULL)
		return tls_fault("TLS", err);
	SSL_CTX_set_min_proto_version(s->tls, TLS1_2_VERSION);
	if (SSL_CTX_use_certificate_chain_file(s->tls, o->tls_cert) != 1)
		return tls_fault(o->tls_cert, err);
	if (SSL_CTX_use_PrivateKey_file(s->tls, o->tls_key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(s->tls) != 1)
		return tls_fault(o->tls_key, err);
	return true;
}

static struct bufferevent *new_connection(struct event_base *base, void *ctx)
{
	struct server *s = ctx;

	return bufferevent_openssl_socket_new(base, -1, SSL_new(s->tls), BUFFEREVENT_SSL_ACCEPTING,
					      BEV_OPT_CLOSE_ON_FREE);
}

static bool listen_on(struct server *s, struct err *err)
{
	const struct server_options *o = s->options;

	s->http = evhttp_new(s->base);
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT);
	evhttp_set_max_body_size(s->http, (ev_ssize_t)ENVELOPE_SIZE_MAX);
	evhttp_set_max_headers_size(s->http, SERVER_HEADERS_MAX);
	evhttp_set_timeout(s->http, SERVER_TIMEOUT_S);
	evhttp_set_gencb(s->http, answer, s);
	if (s->tls != NULL)
		evhttp_set_bevcb(s->http, new_connection, s);
	if (evhttp_bind_socket(s->http, o->host, o->port) == 0)
		return true;
	err_sys(err, ERR_NET, errno, "listen on %s port %u", o->host, o->port);
	return err_fix(err, "end what listens there, or choose another address with --listen");
}

static void set_up_cycles(struct server *s)
{
	for (size_t i = 0; i < s->options->cycle_count; i++) {
		struct cycle_state *c = &s->cycles[i];

		c->server = s;
		c->cycle = &s->options->cycles[i];
		c->timer = evtimer_new(s->base, start_cycle, c);
		run_soon(c, 0);
	}
}

static bool set_up(struct server *s, struct err *err)
{
	s->folder = open(s->options->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->folder < 0)
		return err_sys(err, ERR_IO, errno, "folder %s", s->options->folder);
	s->base = event_base_new();
	if (s->base == NULL)
		return err_set(err, ERR_MEMORY, "the event loop cannot be made");
	return set_up_tls(s, err) && listen_on(s, err);
}

static void loop(struct server *s)
{
	struct event *events[] = {
		evsignal_new(s->base, SIGTERM, stop, s->base),
		evsignal_new(s->base, SIGINT, stop, s->base),
		evsignal_new(s->base, SIGCHLD, reap, s),
	};

	for (size_t i = 0; i < COUNT_OF(events); i++)
		event_add(events[i], NULL);
	signal(SIGPIPE, SIG_IGN);
	set_up_cycles(s);
	event_base_dispatch(s->base);
	end_children(s);
	for (size_t i = 0; i < COUNT_OF(events); i++)
		event_free(events[i]);
}

static void tear_down(struct server *s)
{
	for (size_t i = 0; i < s->options->cycle_count; i++)
		if (s->cycles[i].timer != NULL)
			event_free(s->cycles[i].timer);
	if (s->http != NULL)
		evhttp_free(s->http);
	SSL_CTX_free(s->tls);
	if (s->base != NULL)
		event_base_free(s->base);
	path_close_fd(&s->folder);
}

bool server_run(const struct server_options *options, struct err *err)
{
	struct server s = { .options = options, .folder = -1 };
	bool done;

	assert(options->cycle_count <= SERVER_CYCLES_MAX);
	done = set_up(&s, err);
	if (done)
		loop(&s);
	tear_down(&s);
	return done || err_what(err, "cannot serve");
}

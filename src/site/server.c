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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/beneath.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/path.h"
#include "common/random.h"
#include "common/text.h"
#include "site/httprange.h"
#include "site/own.h"
#include "site/reserve.h"
#include "trust/envelope.h"

#define HEADERS_MAX   16384 /* bytes of a request's headers */
#define IDLE_S        75    /* a connection without a request is closed */
#define ETAG_SIZE     64
#define DATE_SIZE     40
#define NAME_SIZE_MAX 4096

struct server {
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	SSL_CTX *tls;
	int www; /* folder */
	int dir; /* the site's, where its database lies */
	uint64_t reserve;
	bool is_short;   /* of room: uploads are refused */
	struct buf self; /* OWN_FILE */
	void (*arrived)(void *ctx);
	void *ctx;
};

static void answer(struct evhttp_request *req, int status, const char *reason)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

	evhttp_add_header(headers, "Content-Length", "0");
	evhttp_send_reply(req, status, reason, NULL);
}

static void set(struct evhttp_request *req, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

static const char *header(struct evhttp_request *req, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

/* ---- reading ---- */

/* What a file is known by; a file that is replaced is another inode. */
struct identity {
	char etag[ETAG_SIZE];
	char modified[DATE_SIZE];
};

static void identify(struct identity *out, const struct stat *st)
{
	struct tm tm;

	snprintf(out->etag, sizeof(out->etag), "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
		 (uint64_t)st->st_ino,
		 (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec,
		 (uint64_t)st->st_size);
	gmtime_r(&st->st_mtim.tv_sec, &tm);
	strftime(out->modified, sizeof(out->modified), "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static bool is_unchanged(struct evhttp_request *req, const struct identity *id,
			 const struct stat *st)
{
	const char *none_match = header(req, "If-None-Match");
	const char *since = header(req, "If-Modified-Since");
	struct tm tm = { 0 };

	if (none_match != NULL)
		return httprange_etag_matches(none_match, id->etag);
	if (since == NULL || strptime(since, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
		return false;
	return st->st_mtim.tv_sec <= timegm(&tm);
}

/* A range of another state of the file would be a mix: then the whole is sent. */
static const char *range_of(struct evhttp_request *req, const struct identity *id)
{
	const char *condition = header(req, "If-Range");

	if (condition != NULL && strcmp(condition, id->etag) != 0 &&
	    strcmp(condition, id->modified) != 0)
		return NULL;
	return header(req, "Range");
}

/* Takes over `fd`. */
static void send_part(struct evhttp_request *req, int fd, uint64_t first, uint64_t size, int status)
{
	struct evbuffer *body = evbuffer_new();
	bool is_head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
	char length[24];

	snprintf(length, sizeof(length), "%" PRIu64, size);
	set(req, "Content-Length", length);
	if (is_head || size == 0)
		close(fd);
	else if (evbuffer_add_file(body, fd, (ev_off_t)first, (ev_off_t)size) != 0)
		close(fd);
	evhttp_send_reply(req, status, status == 206 ? "Partial Content" : "OK", body);
	evbuffer_free(body);
}

/* Takes over `fd`. */
static void send_file(struct evhttp_request *req, int fd, const struct stat *st)
{
	struct identity id;
	uint64_t first = 0, size = (uint64_t)st->st_size, total = size;
	char range[80];

	identify(&id, st);
	set(req, "ETag", id.etag);
	if (is_unchanged(req, &id, st)) {
		close(fd);
		evhttp_send_reply(req, 304, "Not Modified", NULL);
		return;
	}
	set(req, "Last-Modified", id.modified);
	set(req, "Accept-Ranges", "bytes");
	set(req, "Content-Type", "application/octet-stream");
	switch (httprange_parse(&first, &size, range_of(req, &id), total)) {
	case HTTPRANGE_WHOLE:
		send_part(req, fd, 0, total, 200);
		return;
	case HTTPRANGE_PART:
		snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
			 first + size - 1, total);
		set(req, "Content-Range", range);
		send_part(req, fd, first, size, 206);
		return;
	case HTTPRANGE_UNSATISFIABLE:
		snprintf(range, sizeof(range), "bytes */%" PRIu64, total);
		set(req, "Content-Range", range);
		close(fd);
		answer(req, 416, "Range Not Satisfiable");
		return;
	}
}

static void send_self(struct server *server, struct evhttp_request *req)
{
	struct evbuffer *body = evbuffer_new();

	set(req, "Content-Type", "application/json");
	set(req, "Cache-Control", "no-store");
	evbuffer_add(body, server->self.data, server->self.size);
	evhttp_send_reply(req, 200, "OK", body);
	evbuffer_free(body);
}

static void handle_get(struct server *server, struct evhttp_request *req, const char *name)
{
	struct stat st;
	int fd;

	if (strcmp(name, OWN_FILE) == 0) {
		send_self(server, req);
		return;
	}
	fd = beneath_open(server->www, name, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0) {
		answer(req, 404, "Not Found");
		return;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		answer(req, 404, "Not Found");
		return;
	}
	send_file(req, fd, &st);
}

/* ---- putting ---- */

/* `name` is <cap path>/inbox/<object>: its folder is cut off in place. NULL: it is no upload. */
static const char *split_inbox(char *name)
{
	char *object = strrchr(name, '/');

	if (object == NULL)
		return NULL;
	*object++ = '\0';
	return strcmp(path_base(name), "inbox") == 0 ? object : NULL;
}

static bool matches_name(const char *object, struct span bytes)
{
	struct envelope_name name;
	struct digest digest;

	if (!envelope_name_parse(&name, object) || name.length != bytes.size)
		return false;
	digest_of(&digest, bytes);
	return digest_equal(&digest, &name.sha256);
}

enum put_result {
	PUT_DONE,
	PUT_EXISTS,
	PUT_FAILED,
};

/* Whole under its name or not at all. Not synced: a client keeps it until a receipt covers it. */
static enum put_result store_upload(int folder, const char *object, struct span bytes)
{
	struct err ignored;
	enum put_result result = PUT_FAILED;
	char temp[40];
	uint64_t salt;
	int fd;

	random_bytes(&salt, sizeof(salt));
	snprintf(temp, sizeof(temp), ".new-%016" PRIx64, salt);
	fd = openat(folder, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return PUT_FAILED;
	if (path_write_fd(fd, bytes, &ignored)) {
		if (linkat(folder, temp, folder, object, 0) == 0)
			result = PUT_DONE;
		else if (errno == EEXIST)
			result = PUT_EXISTS;
	}
	close(fd);
	(void)unlinkat(folder, temp, 0);
	return result;
}

/* For the log, when it begins and when it ends; `status` says it meanwhile. */
static void note_room(struct server *server, bool is_short)
{
	if (is_short && !server->is_short)
		log_warn("the disk is nearly full: uploads are refused (507) until it has room");
	else if (!is_short && server->is_short)
		log_note("the disk has room: uploads are taken again");
	server->is_short = is_short;
}

/* The database has to take in what is accepted here, and may lie on another disk. */
static bool has_room(struct server *server, int folder, size_t size)
{
	bool has = reserve_is_kept(folder, server->reserve, size) &&
		   reserve_is_kept(server->dir, server->reserve, size);

	note_room(server, !has);
	return has;
}

static void answer_put(struct server *server, struct evhttp_request *req, enum put_result result)
{
	switch (result) {
	case PUT_DONE:
		answer(req, 201, "Created");
		if (server->arrived != NULL)
			server->arrived(server->ctx);
		return;
	case PUT_EXISTS:
		answer(req, 409, "Conflict");
		return;
	case PUT_FAILED:
		answer(req, 507, "Insufficient Storage");
		return;
	}
}

static void handle_put(struct server *server, struct evhttp_request *req, char *name)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(req);
	size_t size = evbuffer_get_length(body);
	const char *object = split_inbox(name);
	struct span bytes;
	SCOPED_FD int folder = -1;

	if (object == NULL) {
		answer(req, 403, "Forbidden");
		return;
	}
	bytes = span_of(size > 0 ? (const void *)evbuffer_pullup(body, -1) : "", size);
	if (size > ENVELOPE_SIZE_MAX || !matches_name(object, bytes)) {
		answer(req, 400, "Bad Request");
		return;
	}
	folder = beneath_open(server->www, name, O_RDONLY | O_DIRECTORY, 0);
	if (folder < 0) {
		answer(req, 404, "Not Found");
		return;
	}
	answer_put(server, req,
		   has_room(server, folder, size) ? store_upload(folder, object, bytes)
						  : PUT_FAILED);
}

/* ---- requests ---- */

/* The request's path, decoded, without its leading slash; NULL if it is none. Caller frees it. */
static char *request_name(struct evhttp_request *req)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	size_t size = 0;
	char *name;

	if (path == NULL || path[0] != '/' || strlen(path) > NAME_SIZE_MAX)
		return NULL;
	name = evhttp_uridecode(path + 1, 0, &size);
	if (name != NULL && path_is_beneath(span_of(name, size)))
		return name;
	free(name);
	return NULL;
}

static void handle(struct evhttp_request *req, void *ctx)
{
	struct server *server = ctx;
	enum evhttp_cmd_type command = evhttp_request_get_command(req);
	char *name = request_name(req);

	if (name == NULL)
		answer(req, 404, "Not Found");
	else if (command == EVHTTP_REQ_PUT)
		handle_put(server, req, name);
	else
		handle_get(server, req, name);
	free(name);
}

/* ---- opening ---- */

static bool tls_fault(struct err *err, const char *file)
{
	return err_set(err, ERR_NET_TLS, "%s: %s", file,
		       ERR_reason_error_string(ERR_peek_last_error()));
}

static bool open_tls(struct server *server, const struct server_options *options, struct err *err)
{
	if (options->tls_cert == NULL && options->tls_key == NULL)
		return true;
	if (options->tls_cert == NULL || options->tls_key == NULL)
		return err_set(err, ERR_USAGE, "--tls-cert and --tls-key belong together");
	server->tls = SSL_CTX_new(TLS_server_method());
	if (server->tls == NULL)
		return tls_fault(err, "TLS");
	SSL_CTX_set_min_proto_version(server->tls, TLS1_2_VERSION);
	if (SSL_CTX_use_certificate_chain_file(server->tls, options->tls_cert) != 1)
		return tls_fault(err, options->tls_cert);
	if (SSL_CTX_use_PrivateKey_file(server->tls, options->tls_key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(server->tls) != 1)
		return tls_fault(err, options->tls_key);
	return true;
}

static struct bufferevent *new_tls_connection(struct event_base *base, void *ctx)
{
	const struct server *server = ctx;
	struct bufferevent *bev = bufferevent_openssl_socket_new(
		base, -1, SSL_new(server->tls), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);

	if (bev != NULL)
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

static bool split_listen(char **host_out, uint16_t *port_out, const char *listen, struct err *err)
{
	const char *colon = strrchr(listen, ':');
	const char *host = listen;
	size_t length;
	uint64_t port;

	if (colon == NULL || !text_u64(&port, colon + 1, 1, UINT16_MAX))
		return err_set(err, ERR_USAGE, "\"%s\" is not ADDR:PORT", listen);
	length = (size_t)(colon - listen);
	if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
		host++;
		length -= 2;
	}
	*host_out = alloc_printf("%.*s", (int)length, host);
	*port_out = (uint16_t)port;
	return true;
}

static bool listen_on(struct server *server, const char *listen, struct err *err)
{
	SCOPED_TEXT char *host = NULL;
	uint16_t port = 0;

	if (!split_listen(&host, &port, listen, err))
		return false;
	errno = 0;
	server->bound = evhttp_bind_socket_with_handle(server->http, host, port);
	if (server->bound != NULL)
		return true;
	if (errno == EADDRINUSE)
		err_set(err, ERR_IN_USE, "another program listens on %s", listen);
	else
		err_sys(err, ERR_IO, errno != 0 ? errno : EADDRNOTAVAIL, "listening on %s", listen);
	return err_fix(err, "give another address with --listen ADDR:PORT");
}

static void configure(struct server *server)
{
	evhttp_set_gencb(server->http, handle, server);
	evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT);
	evhttp_set_max_headers_size(server->http, HEADERS_MAX);
	evhttp_set_max_body_size(server->http, (ev_ssize_t)ENVELOPE_SIZE_MAX);
	evhttp_set_timeout(server->http, IDLE_S);
	evhttp_set_default_content_type(server->http, NULL);
	if (server->tls != NULL)
		evhttp_set_bevcb(server->http, new_tls_connection, server);
}

bool server_open(struct server **out, struct event_base *base, const struct site *site,
		 const struct server_options *options, struct err *err)
{
	struct server *server = alloc_zeroed(1, sizeof(*server));
	SCOPED_TEXT char *www = site_path(site, "www");

	server->reserve = options->reserve;
	server->arrived = options->arrived;
	server->ctx = options->ctx;
	own_write(&server->self, site);
	server->www = open(www, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	server->dir = open(site->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	server->http = evhttp_new(base);
	if (server->www < 0) {
		err_sys(err, ERR_IO, errno, "folder %s", www);
	} else if (server->http != NULL && open_tls(server, options, err)) {
		configure(server);
		if (listen_on(server, options->listen, err)) {
			*out = server;
			return true;
		}
	}
	server_close(server);
	return false;
}

void server_let_go(struct server *server)
{
	close(evhttp_bound_socket_get_fd(server->bound));
}

void server_close(struct server *server)
{
	if (server == NULL)
		return;
	if (server->http != NULL)
		evhttp_free(server->http);
	SSL_CTX_free(server->tls);
	path_close_fd(&server->www);
	path_close_fd(&server->dir);
	buf_release(&server->self);
	free(server);
}

#include "support/webserver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/macros.h"
#include "common/path.h"
#include "support/tempdir.h"

static void need(bool fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	abort();
}

static void pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int listen_somewhere(uint16_t *port_out, int backlog)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	need(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "bind");
	need(getsockname(fd, (struct sockaddr *)&a, &size) == 0, "getsockname");
	need(backlog < 0 || listen(fd, backlog) == 0, "listen");
	*port_out = ntohs(a.sin_port);
	return fd;
}

static bool can_connect(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool can = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	return can;
}

static const char nginx_conf[] =
	"daemon off; master_process off; worker_processes 1; pid %s/pid; error_log %s/error;\n"
	"events { worker_connections 64; }\n"
	"http { keepalive_requests 100000;\n"
	"log_format row '$connection $connection_requests $request_method $status $uri';\n"
	"access_log %s/log row;\n"
	"client_body_temp_path %s/t1; proxy_temp_path %s/t2; fastcgi_temp_path %s/t3;\n"
	"uwsgi_temp_path %s/t4; scgi_temp_path %s/t5; sendfile on;\n"
	"server { listen 127.0.0.1:%u; root %s/root; dav_methods PUT DELETE;\n"
	"create_full_put_path on; }\n";

static const char nginx_tls_conf[] =
	"server { listen 127.0.0.1:%u ssl http2; root %s/root;\n"
	"ssl_certificate %s/cert.pem; ssl_certificate_key %s/key.pem; }\n";

static void write_conf(const struct webserver *server, const char *path)
{
	const char *d = server->dir;
	FILE *f = fopen(path, "w");

	need(f != NULL, path);
	fprintf(f, nginx_conf, d, d, d, d, d, d, d, d, server->port, d);
	if (server->tls_port != 0)
		fprintf(f, nginx_tls_conf, server->tls_port, d, d, d);
	fputs("}\n", f);
	fclose(f);
}

static void start_nginx(struct webserver *server)
{
	SCOPED_TEXT char *conf = NULL, *root = NULL, *error = NULL;

	close(listen_somewhere(&server->port, -1));
	need(chmod(server->dir, 0755) == 0, "chmod");
	root = path_join(server->dir, "root");
	conf = path_join(server->dir, "conf");
	error = path_join(server->dir, "error");
	need(mkdir(root, 0755) == 0, root);
	write_conf(server, conf);
	server->pid = fork();
	if (server->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("nginx", "nginx", "-p", server->dir, "-c", conf, "-e", error, NULL);
		execl("/usr/sbin/nginx", "nginx", "-p", server->dir, "-c", conf, "-e", error, NULL);
		_exit(127);
	}
	for (int i = 0; i < 200 && !can_connect(server->port); i++)
		pause_ms(20);
	need(can_connect(server->port), "nginx");
}

void webserver_nginx(struct webserver *server)
{
	*server = (struct webserver){ .dir = tempdir_make("nginx") };
	start_nginx(server);
}

void webserver_nginx_tls(struct webserver *server)
{
	SCOPED_TEXT char *command = NULL;

	*server = (struct webserver){ .dir = tempdir_make("nginx") };
	close(listen_somewhere(&server->tls_port, -1));
	command = alloc_printf("cd %s && openssl req -x509 -newkey ec -pkeyopt "
			       "ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test "
			       "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem "
			       "-out cert.pem 2>/dev/null",
			       server->dir);
	need(system(command) == 0, "openssl req");
	start_nginx(server);
}

/* --- servers that misbehave ------------------------------------------------------------------ */

struct talk {
	int fd;
	char request[4096];
	unsigned long long first, last; /* of the Range header */
	bool has_range;
};

static bool say(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0) {
		ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

static bool say_text(int fd, const char *text)
{
	return say(fd, text, strlen(text));
}

static void say_object(int fd, size_t from, size_t size)
{
	uint8_t *bytes = alloc_resize(NULL, size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)((from + i) % 251);
	say(fd, bytes, size);
	free(bytes);
}

static void until_gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	(void)poll(&p, 1, 60000);
}

static void drip(int fd, const char *text, long every_ms)
{
	while (say(fd, text, 1)) {
		if (text[1] != '\0')
			text++;
		pause_ms(every_ms);
	}
}

static void be_silent(struct talk *t)
{
	until_gone(t->fd);
}

static void drip_head(struct talk *t)
{
	drip(t->fd, "HTTP/1.1 200 OK\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1000);
}

static void endless_head(struct talk *t)
{
	say_text(t->fd, "HTTP/1.1 200 OK\r\n");
	while (say_text(t->fd, "X-More: bytes and bytes and bytes and bytes and bytes\r\n"))
		;
}

static void endless_body(struct talk *t)
{
	static const char zeros[65536];

	say_text(t->fd, "HTTP/1.1 200 OK\r\n\r\n");
	while (say(t->fd, zeros, sizeof(zeros)))
		;
}

static void drip_body(struct talk *t)
{
	say_text(t->fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
	drip(t->fd, "x", 100);
}

static void no_ranges(struct talk *t)
{
	say_text(t->fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
	say_object(t->fd, 0, WEBSERVER_OBJECT_SIZE);
}

static void wrong_range(struct talk *t)
{
	say_text(t->fd, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-10/100000\r\n"
			"Content-Length: 10\r\n\r\n");
	say_object(t->fd, 1, 10);
}

static void long_range(struct talk *t)
{
	char head[200];

	snprintf(head, sizeof(head),
		 "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %llu-%llu/100000\r\n"
		 "Connection: close\r\n\r\n",
		 t->first, t->last);
	say_text(t->fd, head);
	say_object(t->fd, t->first, t->last - t->first + 1 + 10);
	shutdown(t->fd, SHUT_RDWR);
}

static void forced_gzip(struct talk *t)
{
	say_text(t->fd,
		 "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd");
}

static void cut(struct talk *t)
{
	say_text(t->fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
	say_object(t->fd, 0, 1000);
	shutdown(t->fd, SHUT_RDWR);
}

static void hang_up(struct talk *t)
{
	shutdown(t->fd, SHUT_RDWR);
}

static void send_away(struct talk *t)
{
	say_text(t->fd, "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/x\r\n"
			"Content-Length: 0\r\n\r\n");
}

static void send_round(struct talk *t)
{
	say_text(t->fd, "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
}

static void send_on(struct talk *t)
{
	if (strstr(t->request, " /there") == NULL)
		say_text(t->fd, "HTTP/1.1 302 Found\r\nLocation: /there\r\n"
				"Content-Length: 0\r\n\r\n");
	else
		say_text(t->fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere");
}

static void no_http(struct talk *t)
{
	say_text(t->fd, "SSH-2.0-OpenSSH_9.2\r\n");
	until_gone(t->fd);
}

static void busy(struct talk *t)
{
	say_text(t->fd, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
}

static void forbid(struct talk *t)
{
	say_text(t->fd, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
}

static void lie_unchanged(struct talk *t)
{
	say_text(t->fd, "HTTP/1.1 304 Not Modified\r\n\r\n");
}

static void (*const faults[])(struct talk *t) = {
	[WEBSERVER_SILENT] = be_silent,
	[WEBSERVER_DRIPS_HEAD] = drip_head,
	[WEBSERVER_ENDLESS_HEAD] = endless_head,
	[WEBSERVER_ENDLESS_BODY] = endless_body,
	[WEBSERVER_DRIPS_BODY] = drip_body,
	[WEBSERVER_NO_RANGES] = no_ranges,
	[WEBSERVER_WRONG_RANGE] = wrong_range,
	[WEBSERVER_LONG_RANGE] = long_range,
	[WEBSERVER_FORCED_GZIP] = forced_gzip,
	[WEBSERVER_CUTS] = cut,
	[WEBSERVER_HANGS_UP] = hang_up,
	[WEBSERVER_SENDS_AWAY] = send_away,
	[WEBSERVER_SENDS_ROUND] = send_round,
	[WEBSERVER_SENDS_ON] = send_on,
	[WEBSERVER_NO_HTTP] = no_http,
	[WEBSERVER_BUSY] = busy,
	[WEBSERVER_FORBIDS] = forbid,
	[WEBSERVER_LIES_UNCHANGED] = lie_unchanged,
};
static_assert(COUNT_OF(faults) == WEBSERVER_FAULT_COUNT_, "every fault has its server");

/* Read one request's head; false when the peer is gone. */
static bool hear(struct talk *t)
{
	size_t have = 0;
	const char *range;

	while (have < sizeof(t->request) - 1) {
		ssize_t n = recv(t->fd, t->request + have, sizeof(t->request) - 1 - have, 0);

		if (n <= 0)
			return false;
		have += (size_t)n;
		t->request[have] = '\0';
		if (strstr(t->request, "\r\n\r\n") != NULL)
			break;
	}
	range = strstr(t->request, "Range: bytes=");
	t->has_range = range != NULL &&
		       sscanf(range, "Range: bytes=%llu-%llu", &t->first, &t->last) == 2;
	return true;
}

static void serve(int listener, enum webserver_fault fault)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		struct talk t = { .fd = accept(listener, NULL, NULL) };

		if (t.fd >= 0 && fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			while (hear(&t))
				faults[fault](&t);
			_exit(0);
		}
		close(t.fd);
	}
}

void webserver_hostile(struct webserver *server, enum webserver_fault fault)
{
	*server = (struct webserver){ .pid = 0 };
	int listener = listen_somewhere(&server->port, 64);

	server->pid = fork();
	if (server->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(listener, fault);
	}
	close(listener);
}

void webserver_black_hole(struct webserver *server)
{
	*server = (struct webserver){ .pid = 0 };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	server->fds[server->fd_count++] = listen_somewhere(&server->port, 0);
	a.sin_port = htons(server->port);
	/* With its queue full the kernel drops further connects without a word. */
	while (server->fd_count < 4) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		(void)connect(fd, (struct sockaddr *)&a, sizeof(a));
		server->fds[server->fd_count++] = fd;
	}
	pause_ms(20);
}

void webserver_refusing(struct webserver *server)
{
	*server = (struct webserver){ .pid = 0 };
	/* Bound and not listening: nobody else can take the port meanwhile. */
	server->fds[server->fd_count++] = listen_somewhere(&server->port, -1);
}

void webserver_stop(struct webserver *server)
{
	if (server->pid > 0) {
		kill(server->pid, SIGKILL);
		waitpid(server->pid, NULL, 0);
	}
	for (size_t i = 0; i < server->fd_count; i++)
		close(server->fds[i]);
	if (server->dir != NULL)
		tempdir_remove(server->dir);
	*server = (struct webserver){ .pid = 0 };
}

void webserver_log(struct buf *out, const struct webserver *server)
{
	SCOPED_TEXT char *path = path_join(server->dir, "log");
	struct err err;

	buf_clear(out);
	if (!path_read(out, path, 16u << 20, &err))
		buf_put_text(out, "");
}

unsigned webserver_connections(const struct webserver *server)
{
	SCOPED(buf) struct buf log = { 0 };
	bool seen[4096] = { false };
	unsigned count = 0;
	struct span rest, line;

	webserver_log(&log, server);
	rest = buf_span(&log);
	while (span_take_line(&rest, &line)) {
		unsigned long id = strtoul((const char *)line.data, NULL, 10) % COUNT_OF(seen);

		count += seen[id] ? 0 : 1;
		seen[id] = true;
	}
	return count;
}

char *webserver_url(const struct webserver *server, const char *path)
{
	return alloc_printf("http://127.0.0.1:%u/%s", server->port, path);
}

/*
 * P11: asks one server for one small object over and over, as clients poll, and counts.
 *
 *     poll HOST PORT PATH CONNECTIONS SECONDS
 *
 * The first answer's ETag goes into every later request, so that they end with 304; each of
 * CONNECTIONS kept-alive connections has one request under way. Prints answers a second, how many
 * were not 304, bytes sent and received per poll, and connections opened. IPv4 and plain HTTP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/macros.h"

#define ANSWER_MAX 65536

struct line {
	int socket;
	size_t got;
	char answer[ANSWER_MAX + 1];
};

struct load {
	struct sockaddr_in to;
	char *request;
	unsigned long answers;
	unsigned long others; /* not 304 */
	unsigned long sent, received;
	unsigned long opened;
};

static void stop(const char *what)
{
	fprintf(stderr, "poll: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void open_line(struct load *load, struct line *line)
{
	line->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	line->got = 0;
	if (line->socket < 0 ||
	    connect(line->socket, (const struct sockaddr *)&load->to, sizeof(load->to)) != 0)
		stop("connect");
	load->opened++;
}

static void ask(struct load *load, const struct line *line)
{
	size_t size = strlen(load->request);

	if (send(line->socket, load->request, size, MSG_NOSIGNAL) != (ssize_t)size)
		stop("send");
	load->sent += size;
}

/* The value of a header in a complete head, or NULL. */
static const char *header(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at == NULL ? NULL : at + strlen(name) + strspn(at + strlen(name), " ");
}

/* Size of the answer at the start of `line`, or 0 while it is not complete. */
static size_t complete(struct line *line)
{
	const char *end, *length;
	size_t size;

	line->answer[line->got] = '\0';
	end = strstr(line->answer, "\r\n\r\n");
	if (end == NULL)
		return 0;
	size = (size_t)(end + 4 - line->answer);
	length = header(line->answer, "\r\nContent-Length:");
	if (length != NULL && length < end && strncmp(line->answer + 9, "304", 3) != 0)
		size += strtoul(length, NULL, 10);
	return line->got >= size ? size : 0;
}

/* True when a whole answer is there. */
static bool receive(struct load *load, struct line *line)
{
	ssize_t n = recv(line->socket, line->answer + line->got, ANSWER_MAX - line->got, 0);

	if (n <= 0) /* servers may end a connection after some number of requests */
		return false;
	line->got += (size_t)n;
	load->received += (unsigned long)n;
	return complete(line) != 0;
}

/* Ask once without condition, for the token that makes the others conditional. */
static void learn_token(struct load *load, struct line *line, const char *host, const char *path)
{
	const char *tag;

	load->request = alloc_printf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
	open_line(load, line);
	ask(load, line);
	while (!receive(load, line))
		if (line->got == 0)
			stop("no answer");
	tag = header(line->answer, "\r\nETag:");
	if (tag == NULL) {
		fprintf(stderr, "poll: no ETag: %.200s\n", line->answer);
		exit(1);
	}
	free(load->request);
	load->request = alloc_printf("GET %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n"
				     "If-None-Match: %.*s\r\n\r\n",
				     path, host, (int)strcspn(tag, "\r\n"), tag);
	close(line->socket);
}

static void handle(struct load *load, struct line *line, int epoll)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = line };

	if (receive(load, line)) {
		load->answers++;
		load->others += strncmp(line->answer + 9, "304", 3) != 0;
		line->got = 0;
		ask(load, line);
		return;
	}
	if (line->got != 0)
		return;
	close(line->socket);
	open_line(load, line);
	epoll_ctl(epoll, EPOLL_CTL_ADD, line->socket, &event);
	ask(load, line);
}

static void poll_for(struct load *load, struct line *lines, size_t count, double seconds)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[256];
	double end = now_s() + seconds;

	for (size_t i = 0; i < count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &lines[i] };

		open_line(load, &lines[i]);
		epoll_ctl(epoll, EPOLL_CTL_ADD, lines[i].socket, &event);
		ask(load, &lines[i]);
	}
	while (now_s() < end) {
		int n = epoll_wait(epoll, events, COUNT_OF(events), 1000);

		for (int i = 0; i < n; i++)
			handle(load, events[i].data.ptr, epoll);
	}
	close(epoll);
}

int main(int argc, char **argv)
{
	struct load load = { .to = { .sin_family = AF_INET } };
	struct line *lines;
	size_t count;
	double seconds;

	if (argc != 6 || inet_pton(AF_INET, argv[1], &load.to.sin_addr) != 1 || atoi(argv[4]) < 1) {
		fprintf(stderr, "usage: poll HOST PORT PATH CONNECTIONS SECONDS\n");
		return 2;
	}
	load.to.sin_port = htons((uint16_t)atoi(argv[2]));
	count = (size_t)atoi(argv[4]);
	seconds = atof(argv[5]);
	lines = alloc_zeroed(count, sizeof(*lines));
	learn_token(&load, lines, argv[1], argv[3]);
	load.sent = load.received = load.opened = 0;
	poll_for(&load, lines, count, seconds);
	printf("%.0f %lu %.0f %.0f %lu\n", (double)load.answers / seconds, load.others,
	       (double)load.sent / (double)(load.answers + 1),
	       (double)load.received / (double)(load.answers + 1), load.opened);
	free(load.request);
	free(lines);
	return 0;
}

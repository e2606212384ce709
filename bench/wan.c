/*
 * wan A B DELAY_MS MBIT LOSS_PERCENT: a slow line, for kernels without netem. Makes two network
 * interfaces (TAP) with these names and hands frames on from one to the other, each way: a queue
 * that is emptied at the rate, then the delay. What would wait longer than 200 ms is dropped, and
 * so is each frame by the chance of loss. MBIT 0: no limit.
 *
 * Says "ready" once both are there; they may then be moved into other network namespaces. Ends with
 * its process. Needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/macros.h"

enum {
	FRAMES_MAX = 1 << 15, /* under way in one direction */
	FRAME_BYTES = 2048,
	ON_WIRE = 24,      /* preamble, checksum and gap of each */
	QUEUE_US = 200000, /* the longest wait for its turn */
	SLACK_NS = 20000,  /* of our own wake-ups */
	BATCH = 64,
};

struct frame {
	uint64_t due_us;
	size_t size;
	uint8_t bytes[FRAME_BYTES];
};

/* One direction. */
struct lane {
	int from, to;
	struct frame *frames; /* a ring */
	size_t first, count;
	uint64_t free_us; /* when the wire is done with what it has */
};

struct line {
	struct lane lanes[2];
	uint64_t delay_us;
	double bytes_per_us; /* 0: no limit */
	double loss;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int open_tap(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) {
		fprintf(stderr, "wan: %s: %s\n", name, strerror(errno));
		exit(EXIT_FAILURE);
	}
	return fd;
}

static bool is_lost(const struct line *l)
{
	return l->loss > 0 && drand48() < l->loss;
}

/* Put one frame that came in to the end of the queue, or drop it. */
static void queue(struct line *l, struct lane *lane, size_t size, uint64_t now)
{
	struct frame *f = &lane->frames[(lane->first + lane->count) % FRAMES_MAX];

	lane->free_us = MAX_OF(lane->free_us, now);
	if (is_lost(l) || lane->free_us - now > QUEUE_US)
		return;
	if (l->bytes_per_us > 0)
		lane->free_us += (uint64_t)((double)(size + ON_WIRE) / l->bytes_per_us);
	f->size = size;
	f->due_us = lane->free_us + l->delay_us;
	lane->count++;
}

static void take_in(struct line *l, struct lane *lane)
{
	for (int i = 0; i < BATCH && lane->count < FRAMES_MAX; i++) {
		struct frame *f = &lane->frames[(lane->first + lane->count) % FRAMES_MAX];
		ssize_t n = read(lane->from, f->bytes, sizeof(f->bytes));

		if (n <= 0)
			return;
		queue(l, lane, (size_t)n, now_us());
	}
}

/* Hand on what is due. Returns when the next is; UINT64_MAX: there is none. */
static uint64_t hand_on(struct lane *lane)
{
	while (lane->count > 0) {
		const struct frame *f = &lane->frames[lane->first];

		if (f->due_us > now_us())
			return f->due_us;
		/* An interface that is down takes nothing: as lost. */
		(void)!write(lane->to, f->bytes, f->size);
		lane->first = (lane->first + 1) % FRAMES_MAX;
		lane->count--;
	}
	return UINT64_MAX;
}

static void wait_until(const struct line *l, uint64_t due_us)
{
	struct pollfd fds[2];
	uint64_t now = now_us();
	uint64_t wait = due_us > now ? MIN_OF(due_us - now, (uint64_t)1000000) : 0;
	const struct timespec t = { (time_t)(wait / 1000000), (long)(wait % 1000000 * 1000) };

	for (size_t i = 0; i < COUNT_OF(fds); i++)
		fds[i] = (struct pollfd){ .fd = l->lanes[i].from, .events = POLLIN };
	(void)ppoll(fds, COUNT_OF(fds), &t, NULL);
}

int main(int argc, char **argv)
{
	struct line l = { .delay_us = 0 };

	if (argc != 6) {
		fputs("usage: wan A B DELAY_MS MBIT LOSS_PERCENT\n", stderr);
		return 2;
	}
	l.delay_us = (uint64_t)(atof(argv[3]) * 1000);
	l.bytes_per_us = atof(argv[4]) / 8;
	l.loss = atof(argv[5]) / 100;
	for (size_t i = 0; i < COUNT_OF(l.lanes); i++) {
		l.lanes[i].frames = alloc_zeroed(FRAMES_MAX, sizeof(struct frame));
		l.lanes[i].from = open_tap(argv[1 + i]);
	}
	l.lanes[0].to = l.lanes[1].from;
	l.lanes[1].to = l.lanes[0].from;
	prctl(PR_SET_TIMERSLACK, SLACK_NS);
	puts("ready");
	fflush(stdout);
	for (;;) {
		uint64_t next = UINT64_MAX;

		for (size_t i = 0; i < COUNT_OF(l.lanes); i++) {
			take_in(&l, &l.lanes[i]);
			next = MIN_OF(next, hand_on(&l.lanes[i]));
		}
		wait_until(&l, next);
	}
}

#include "smb/gauge.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>

#define FIRST_FD    4   /* behind the standard ones and the owner's socket */
#define LAST_FD     127 /* RLIMIT_NOFILE as smbsession.c sets it */
#define INTERVAL_US 200000
#define ESTABLISHED 1 /* TCP_ESTABLISHED, which only the other tcp.h names */

/* Read and written by the timer too, which interrupts nothing that uses them. */
static struct smbwire_gauges *gauges;
static uint64_t seen_received, seen_sent;

static bool tcp_info_of(int fd, struct tcp_info *info)
{
	int protocol = 0;
	socklen_t size = sizeof(protocol);

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0 ||
	    protocol != IPPROTO_TCP)
		return false;
	size = sizeof(*info);
	*info = (struct tcp_info){ 0 };
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) == 0 &&
	       info->tcpi_state == ESTABLISHED;
}

static int find_socket(struct tcp_info *info)
{
	static int known = -1;

	if (known >= 0 && tcp_info_of(known, info))
		return known;
	for (int fd = FIRST_FD; fd <= LAST_FD; fd++)
		if (tcp_info_of(fd, info))
			return known = fd;
	return known = -1;
}

int gauge_socket(void)
{
	struct tcp_info info;

	return find_socket(&info);
}

/* A counter that began anew is another connection's. */
static void add(_Atomic uint64_t *sum, uint64_t *seen, uint64_t is)
{
	uint64_t more = is >= *seen ? is - *seen : is;

	*seen = is;
	atomic_fetch_add_explicit(sum, more, memory_order_relaxed);
}

static void look(void)
{
	struct tcp_info info;

	if (find_socket(&info) < 0)
		return;
	add(&gauges->received, &seen_received, info.tcpi_bytes_received);
	add(&gauges->sent, &seen_sent, info.tcpi_bytes_acked);
	/* The smoothed one has the time in it that a busy machine took to acknowledge. */
	if (info.tcpi_min_rtt != UINT32_MAX)
		atomic_store_explicit(&gauges->rtt_us, info.tcpi_min_rtt, memory_order_relaxed);
}

static void on_timer(int sig UNUSED)
{
	int kept = errno;

	look();
	errno = kept;
}

bool gauge_init(struct smbwire_gauges *to)
{
	struct sigaction action = { .sa_handler = on_timer, .sa_flags = SA_RESTART };

	gauges = to;
	return sigaction(SIGALRM, &action, NULL) == 0;
}

bool gauge_is_held(void)
{
	return atomic_load(&gauges->is_held) != 0;
}

static void set_timer(suseconds_t us)
{
	const struct itimerval timer = { .it_interval.tv_usec = us, .it_value.tv_usec = us };

	(void)setitimer(ITIMER_REAL, &timer, NULL);
}

void gauge_begin(void)
{
	set_timer(INTERVAL_US);
}

void gauge_end(void)
{
	set_timer(0);
	look();
}

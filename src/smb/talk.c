#include "smb/talk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/wire.h"
#include "nal/smbsession.h"
#include "smb/gauge.h"
#include "smb/nterrno.h"
#include "smb/oneserver.h"
#include "smb/share.h"

#define OWNER_FD   3
#define SOON_MS    50 /* nobody waits: finish what was put off */
#define MEMORY_MAX ((rlim_t)512 << 20)
#define AT_REST_MS 2000 /* nothing is wanted any more: close all, give the memory back */

#define SHARED_BYTES (SMBWIRE_GAUGE_BYTES + SMBWIRE_AREA_BYTES)

struct talk {
	int socket;
	int shared_fd;
	uint8_t *area;
	struct smbwire_hello hello;
	struct buf texts; /* of hello */
	struct secret *secret;
	struct share *share;
	uint64_t high; /* bytes of the area that were ever used since it was given back */
	uint8_t *room; /* the owner's other memory, for reads; NULL: none */
	size_t room_size;
	dev_t room_device;
	ino_t room_inode;
	int passed; /* what came with the request; -1: nothing */
};

/* ---- the beginning ---- */

static bool map_shared(struct talk *t, int fd, struct err *err)
{
	uint8_t *at;

	if (fd < 0)
		return err_set(err, ERR_FORMAT, "no memory came with the hello");
	at = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return err_sys(err, ERR_IO, errno, "shared memory");
	t->shared_fd = fd;
	t->area = at + SMBWIRE_GAUGE_BYTES;
	gauge_init((struct smbwire_gauges *)at);
	return true;
}

/* The bytes go from the socket into the secret's own memory and nowhere else. */
static bool receive_secret(struct talk *t, struct err *err)
{
	size_t got = 0;

	if (t->hello.secret_size > SECRET_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "the secret is too long");
	t->secret = secret_new();
	while (got < t->hello.secret_size) {
		ssize_t n = recv(t->socket, t->secret->text + got, t->hello.secret_size - got, 0);

		if (n <= 0 && !(n < 0 && errno == EINTR))
			return err_set(err, ERR_IO, "the owner hung up");
		got += n > 0 ? (size_t)n : 0;
	}
	t->secret->size = got;
	return true;
}

static bool hear_hello(struct talk *t, struct err *err)
{
	SCOPED(buf) struct buf frame = { 0 };
	int fd = -1;

	if (wire_receive(&frame, &fd, t->socket, -1, err) != WIRE_FRAME)
		return false;
	return map_shared(t, fd, err) &&
	       smbwire_read_hello(&t->hello, &t->texts, buf_span(&frame), err) &&
	       (t->hello.secret_size == 0 || receive_secret(t, err)) &&
	       share_new(&t->share, &t->hello, t->secret, err);
}

/* ---- requests ---- */

static int do_open(struct smbwire_reply *out, struct talk *t, const struct smbwire_request *r)
{
	return share_open(out, t->share, r->path);
}

static void leave_room(struct talk *t)
{
	if (t->room != NULL)
		(void)munmap(t->room, t->room_size);
	t->room = NULL;
	t->room_size = 0;
}

/* It has to keep its size, or who cuts it would end this process. */
static bool is_room(const struct stat *st, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && st->st_size > 0 &&
	       (uint64_t)st->st_size <= SMBWIRE_ROOM_MAX;
}

static int do_room(struct smbwire_reply *out UNUSED, struct talk *t,
		   const struct smbwire_request *r UNUSED)
{
	struct stat st;
	void *at;

	if (t->passed < 0 || fstat(t->passed, &st) != 0 || !is_room(&st, t->passed))
		return EINVAL;
	if (t->room != NULL && st.st_dev == t->room_device && st.st_ino == t->room_inode)
		return 0;
	leave_room(t);
	at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, t->passed, 0);
	if (at == MAP_FAILED)
		return errno;
	t->room = at;
	t->room_size = (size_t)st.st_size;
	t->room_device = st.st_dev;
	t->room_inode = st.st_ino;
	return 0;
}

static int do_read(struct smbwire_reply *out, struct talk *t, const struct smbwire_request *r)
{
	bool is_there = (r->flags & SMBWIRE_THERE) != 0;

	if (is_there && (r->at > t->room_size || r->size > t->room_size - r->at))
		return EINVAL;
	return share_read(&out->size, t->share, r->path, r->offset,
			  (is_there ? t->room : t->area) + r->at, r->size);
}

static int do_create(struct smbwire_reply *out UNUSED, struct talk *t,
		     const struct smbwire_request *r)
{
	return share_create(t->share, r->path);
}

static int do_write(struct smbwire_reply *out, struct talk *t, const struct smbwire_request *r)
{
	int failed = share_write(t->share, t->area + r->at, r->size);

	out->size = failed == 0 ? r->size : 0;
	return failed;
}

static int do_finish(struct smbwire_reply *out UNUSED, struct talk *t,
		     const struct smbwire_request *r UNUSED)
{
	return share_finish(t->share);
}

static int do_drop(struct smbwire_reply *out UNUSED, struct talk *t,
		   const struct smbwire_request *r UNUSED)
{
	return share_drop(t->share);
}

static int do_rename(struct smbwire_reply *out UNUSED, struct talk *t,
		     const struct smbwire_request *r)
{
	return share_rename(t->share, r->path, r->to);
}

static int do_delete(struct smbwire_reply *out UNUSED, struct talk *t,
		     const struct smbwire_request *r)
{
	return share_delete(t->share, r->path);
}

static int do_list(struct smbwire_reply *out, struct talk *t, const struct smbwire_request *r)
{
	SCOPED(buf) struct buf entries = { 0 };
	bool end = false;
	int failed = 0;

	if ((r->flags & SMBWIRE_MORE) == 0)
		failed = share_list(t->share, r->path);
	if (failed == 0)
		failed = share_next_entries(&end, &entries, t->share, (size_t)r->size);
	if (failed != 0)
		return failed;
	if (entries.size > 0)
		memcpy(t->area + r->at, entries.data, entries.size);
	out->size = entries.size;
	out->flags |= end ? SMBWIRE_END : 0;
	return 0;
}

static const struct {
	int (*run)(struct smbwire_reply *out, struct talk *t, const struct smbwire_request *r);
	bool needs_share; /* it names one; others go on with what was begun */
} operations[] = {
	[SMBWIRE_OPEN] = { do_open, true },      [SMBWIRE_READ] = { do_read, true },
	[SMBWIRE_CREATE] = { do_create, true },  [SMBWIRE_WRITE] = { do_write, false },
	[SMBWIRE_FINISH] = { do_finish, false }, [SMBWIRE_DROP] = { do_drop, false },
	[SMBWIRE_RENAME] = { do_rename, true },  [SMBWIRE_DELETE] = { do_delete, true },
	[SMBWIRE_LIST] = { do_list, true },      [SMBWIRE_ROOM] = { do_room, false },
};
static_assert(COUNT_OF(operations) == SMBWIRE_OP_COUNT_, "every operation has a row");

/* A connection that ends during a call has no status, and libsmbclient's EINVAL for such. */
static bool was_cut(int failed, uint32_t status)
{
	return failed == EINVAL && status == 0 && gauge_socket() < 0;
}

static struct smbwire_reply run(struct talk *t, const struct smbwire_request *r)
{
	struct smbwire_reply reply = { .op = r->op };
	int failed = 0;

	nterrno_reset();
	gauge_begin();
	if (operations[r->op].needs_share)
		failed = share_enter(t->share, r->share);
	if (failed == 0)
		failed = operations[r->op].run(&reply, t, r);
	gauge_end();
	reply.status = failed != 0 ? nterrno_last() : 0;
	reply.fault = (uint32_t)(was_cut(failed, reply.status) ? ECONNRESET : failed);
	if (oneserver_was_left() && failed != 0) {
		reply.fault = EREMCHG;
		reply.status = 0;
	}
	if (gauge_socket() >= 0)
		reply.flags |= SMBWIRE_UP;
	if ((r->flags & SMBWIRE_THERE) == 0)
		t->high = MAX_OF(t->high, r->at + r->size);
	return reply;
}

static bool answer(struct talk *t, const struct smbwire_reply *reply)
{
	SCOPED(buf) struct buf frame = { 0 };
	struct err err;

	smbwire_write_reply(&frame, reply);
	return wire_send(t->socket, buf_span(&frame), -1, &err);
}

/* False once the owner is gone. */
static bool serve_one(struct talk *t)
{
	SCOPED(buf) struct buf frame = { 0 };
	SCOPED(buf) struct buf texts = { 0 };
	SCOPED_FD int passed = -1;
	struct smbwire_request r;
	struct smbwire_reply reply;
	struct err err;

	if (wire_receive(&frame, &passed, t->socket, -1, &err) != WIRE_FRAME ||
	    !smbwire_read_request(&r, &texts, buf_span(&frame), &err))
		return false;
	t->passed = passed;
	reply = run(t, &r);
	if (!answer(t, &reply))
		return false;
	if ((r.flags & SMBWIRE_LAST) != 0)
		share_done_with(t->share, r.path);
	if ((r.flags & SMBWIRE_NOW) != 0)
		share_tidy(t->share);
	return true;
}

/* ---- between requests ---- */

static void give_memory_back(struct talk *t)
{
	if (t->high > 0)
		(void)fallocate(t->shared_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				SMBWIRE_GAUGE_BYTES, (off_t)SMBWIRE_AREA_BYTES);
	t->high = 0;
}

/* What the server says unasked is a hang-up, or for libsmbclient to read with the next answer. */
static bool has_hung_up(int server)
{
	char byte;
	ssize_t n = recv(server, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

enum wait {
	WAIT_REQUEST,
	WAIT_QUIET, /* nothing happened for that long */
	WAIT_OVER,
};

static enum wait wait_request(const struct talk *t, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = t->socket, .events = POLLIN },
		{ .fd = gauge_socket(), .events = POLLIN },
	};

	for (;;) {
		int ready = poll(fds, COUNT_OF(fds), timeout_ms);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ready == 0 ? WAIT_QUIET : WAIT_OVER;
		if (fds[0].revents != 0)
			return WAIT_REQUEST;
		if (has_hung_up(fds[1].fd))
			return WAIT_OVER;
		fds[1].fd = -1;
	}
}

static enum wait rest(struct talk *t)
{
	enum wait wait = wait_request(t, SOON_MS);

	if (wait != WAIT_QUIET)
		return wait;
	gauge_begin();
	share_warm_up(t->share);
	share_tidy(t->share);
	gauge_end();
	do
		wait = wait_request(t, AT_REST_MS);
	while (wait == WAIT_QUIET && gauge_is_held());
	if (wait != WAIT_QUIET)
		return wait;
	gauge_begin();
	share_leave(t->share);
	gauge_end();
	give_memory_back(t);
	leave_room(t);
	return wait_request(t, -1);
}

/*
 * libsmbclient reads HOME/.smb/smb.conf, and /etc/samba/smb.conf only where that is missing. Ours
 * stands beside this program, or where the build makes it.
 */
static bool settle_configuration(void)
{
	static const char *const folders[] = { "smb-home", "../smb/home" };
	char own[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	own[size > 0 ? size : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		SCOPED_TEXT char *home = path_join(own, folders[i]);
		SCOPED_TEXT char *file = path_join(home, ".smb/smb.conf");

		if (faccessat(AT_FDCWD, file, R_OK, AT_EACCESS) == 0)
			return setenv("HOME", home, 1) == 0 && unsetenv("SMB_CONF_PATH") == 0;
	}
	return false;
}

/* libsmbclient holds all of a folder's entries at once: a server must not fill this machine. */
static void limit_memory(void)
{
#ifndef __SANITIZE_ADDRESS__
	static const struct rlimit data = { MEMORY_MAX, MEMORY_MAX };

	(void)setrlimit(RLIMIT_DATA, &data);
#endif
}

int talk_main(char **args UNUSED)
{
	struct talk t = { .socket = OWNER_FD, .shared_fd = -1 };
	struct err err;

	/* A secret may come: nobody traces this process. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	limit_memory();
	if (!settle_configuration())
		return SMBSESSION_EXIT_SETUP;
	if (!hear_hello(&t, &err))
		return EXIT_FAILURE;
	oneserver_begin(t.hello.logon == SMBWIRE_TICKET ? t.hello.host : NULL, t.hello.port);
	while (serve_one(&t) && rest(&t) == WAIT_REQUEST)
		;
	secret_free(t.secret);
	return EXIT_SUCCESS;
}

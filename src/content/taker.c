#include "content/taker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "common/wire.h"
#include "content/handover.h"
#include "content/handroom.h"

/* One hand: a thread that takes the lots of one socket. */
struct hand {
	struct taker *taker;
	unsigned int number;
	int socket; /* ours; -1: closed */
	int givers; /* the other end, until it is sent */
	bool has_thread;
	pthread_t thread;
};

struct taker {
	int socket;
	struct assemble *assemble; /* from taker_stock on */
	struct handroom room;
	struct hand hands[LANDING_HANDS];
};

/* Who does not listen any more has closed, which is found where it counts. */
static void say(int socket, json_t *frame)
{
	json_auto_t *owned = frame;
	struct err ignored;

	(void)!wire_send_json(socket, owned, -1, &ignored);
}

void taker_say_here(int socket)
{
	say(socket, json_pack("{s:b}", "here", 1));
}

void taker_say_done(int socket)
{
	say(socket, json_pack("{s:b}", "done", 1));
}

void taker_refuse(int socket, const struct err *why)
{
	json_t *frame = json_object();

	jsondoc_set(frame, "error", jsondoc_new_error(why));
	say(socket, frame);
}

bool taker_tell(int socket, uint64_t bytes)
{
	json_auto_t *frame = json_object();
	struct err ignored;

	jsondoc_set_int(frame, "bytes", (int64_t)bytes);
	return wire_send_json(socket, frame, -1, &ignored);
}

/* ---- what comes ---- */

static struct handover_reply take_lot(struct hand *h, const struct handover_lot *lot)
{
	struct taker *t = h->taker;
	struct handover_reply reply = { .outcome = LANDING_PUT_DONE };

	for (uint32_t i = 0; i < lot->count && reply.outcome == LANDING_PUT_DONE; i++) {
		const struct handover_item *it = &lot->items[i];

		reply.outcome = handover_fits(it->offset,
					      assemble_chunk_size(t->assemble, it->chunk))
					? assemble_offer(t->assemble, h->number, it->chunk,
							 t->room.at + it->offset, &reply.err)
					: LANDING_PUT_WRONG;
		reply.landed += reply.outcome == LANDING_PUT_DONE;
	}
	return reply;
}

static bool answer(int socket, const struct handover_reply *reply)
{
	size_t size = reply->outcome == LANDING_PUT_FAULT ? sizeof(*reply)
							  : offsetof(struct handover_reply, err);

	return send(socket, reply, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static void *serve_hand(void *arg)
{
	struct hand *h = arg;

	for (;;) {
		struct handover_lot lot = { 0 };
		struct handover_reply reply;
		ssize_t got = recv(h->socket, &lot, sizeof(lot), MSG_TRUNC); /* its whole size */

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || !handover_is_lot(&lot, (size_t)got))
			break;
		reply = take_lot(h, &lot);
		if (!answer(h->socket, &reply))
			break;
	}
	(void)shutdown(h->socket, SHUT_RDWR);
	return NULL;
}

/* ---- begin and end ---- */

static bool make_hands(struct taker *t, struct err *err)
{
	for (unsigned int i = 0; i < LANDING_HANDS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
			return err_sys(err, ERR_IO, errno, "a pair of sockets");
		t->hands[i].socket = pair[0];
		t->hands[i].givers = pair[1];
	}
	return true;
}

static bool send_room(const struct taker *t, struct err *err)
{
	json_auto_t *room = json_object();
	json_auto_t *slots = json_object();

	jsondoc_set_int(room, "room", (int64_t)HANDOVER_HANDS_BYTES);
	jsondoc_set_int(slots, "slots", (int64_t)HANDOVER_SLOTS_BYTES);
	return wire_send_json(t->socket, room, t->room.hands, err) &&
	       wire_send_json(t->socket, slots, t->room.slots, err);
}

static bool send_out(const struct taker *t, struct err *err)
{
	if (!send_room(t, err))
		return false;
	for (unsigned int i = 0; i < LANDING_HANDS; i++) {
		json_auto_t *hand = json_object();

		jsondoc_set_int(hand, "hand", i);
		if (!wire_send_json(t->socket, hand, t->hands[i].givers, err))
			return false;
	}
	return true;
}

static bool begin(struct taker *t, struct err *err)
{
	if (!handroom_make(&t->room, err) || !handroom_map(&t->room, err) || !make_hands(t, err))
		return false;
	if (!send_out(t, err))
		return err_set(err, ERR_INTERRUPTED, "the worker has ended");
	for (size_t i = 0; i < LANDING_HANDS; i++)
		path_close_fd(&t->hands[i].givers);
	return true;
}

bool taker_open(struct taker **out, int socket, struct err *err)
{
	struct taker *t = alloc_zeroed(1, sizeof(*t));

	t->socket = socket;
	t->room = HANDROOM_NONE;
	for (unsigned int i = 0; i < LANDING_HANDS; i++)
		t->hands[i] = (struct hand){ .taker = t, .number = i, .socket = -1, .givers = -1 };
	if (!begin(t, err)) {
		taker_close(t);
		return false;
	}
	*out = t;
	return true;
}

/* A hand ends when its socket is shut. */
static void end_hands(struct taker *t)
{
	for (size_t i = 0; i < LANDING_HANDS; i++) {
		struct hand *h = &t->hands[i];

		if (h->socket >= 0)
			(void)shutdown(h->socket, SHUT_RDWR);
		if (h->has_thread)
			(void)pthread_join(h->thread, NULL);
		h->has_thread = false;
		path_close_fd(&h->socket);
		path_close_fd(&h->givers);
	}
}

void taker_close(struct taker *t)
{
	if (t == NULL)
		return;
	end_hands(t);
	handroom_release(&t->room);
	free(t);
}

bool taker_stock(struct taker *t, struct assemble *a, struct err *err)
{
	json_auto_t *frame = json_pack("{s:b}", "stock", 1);

	t->assemble = a;
	assemble_have(t->assemble, t->room.at);
	return wire_send_json(t->socket, frame, -1, err) ||
	       err_set(err, ERR_INTERRUPTED, "the worker has ended");
}

static bool start_hands(struct taker *t, struct err *err)
{
	for (size_t i = 0; i < LANDING_HANDS; i++) {
		struct hand *h = &t->hands[i];
		int rc = pthread_create(&h->thread, NULL, serve_hand, h);

		if (rc != 0)
			return err_sys(err, ERR_MEMORY, rc, "start a thread");
		h->has_thread = true;
	}
	return true;
}

bool taker_serve(struct taker *t, struct err *err)
{
	json_auto_t *frame = NULL;
	bool asked;

	if (!start_hands(t, err))
		return false;
	asked = wire_receive_json(&frame, NULL, t->socket, -1, err) == WIRE_FRAME;
	end_hands(t);
	if (!asked)
		return err_set(err, ERR_INTERRUPTED, "the worker ended before it was done");
	if (assemble_missing(t->assemble) == 0)
		return true;
	err_set(err, ERR_CORRUPT, "the worker was done with chunks missing");
	return err_fix(err, "run the command again; if it comes again, report it");
}

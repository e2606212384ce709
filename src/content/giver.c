#include "content/giver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/wire.h"
#include "content/chunker.h"
#include "content/handover.h"
#include "content/handroom.h"

struct giver {
	int socket;
	struct handroom room;
	int hands[LANDING_HANDS];
	struct landing_port port;
	bool is_finishing; /* the keeper was told that all is given */
};

static bool say_gone(struct err *err)
{
	return err_set(err, ERR_INTERRUPTED, "the keeper of finished packages has ended");
}

/* One frame of the keeper's, which is root's and believed. */
static bool receive(json_t **out, int *fd_out, const struct giver *g, struct err *err)
{
	json_auto_t *frame = NULL;

	if (wire_receive_json(&frame, fd_out, g->socket, -1, err) != WIRE_FRAME)
		return say_gone(err);
	if (json_object_get(frame, "error") != NULL)
		return jsondoc_take_error(err, json_object_get(frame, "error"));
	*out = json_incref(frame);
	return true;
}

static bool take_room(struct giver *g, struct err *err)
{
	json_auto_t *frame = NULL;

	if (!receive(&frame, &g->room.slots, g, err))
		return false;
	if (g->room.slots < 0)
		return say_gone(err);
	if (!handroom_map(&g->room, err))
		return false;
	for (size_t i = 0; i < LANDING_HANDS; i++)
		g->port.rooms[i] = g->room.at + i * FRAME_RAW_MAX;
	g->port.slots = g->room.at + HANDOVER_HANDS_BYTES;
	g->port.slots_fd = g->room.slots;
	return true;
}

static bool take_hands(struct giver *g, struct err *err)
{
	for (size_t i = 0; i < LANDING_HANDS; i++) {
		json_auto_t *frame = NULL;

		if (!receive(&frame, &g->hands[i], g, err))
			return false;
		if (g->hands[i] < 0)
			return say_gone(err);
	}
	return true;
}

static enum giver_begun begin(struct giver *g, const json_t *request, struct err *err)
{
	json_auto_t *frame = NULL;

	if (!wire_send_json(g->socket, request, -1, err))
		return say_gone(err), GIVER_FAULT;
	if (!receive(&frame, &g->room.hands, g, err))
		return GIVER_FAULT;
	if (jsondoc_flag(frame, "here", false))
		return GIVER_HERE;
	if (g->room.hands < 0)
		return say_gone(err), GIVER_FAULT;
	return take_room(g, err) && take_hands(g, err) ? GIVER_BEGUN : GIVER_FAULT;
}

static_assert(LANDING_LOT_MAX * CHUNKER_MAX <= FRAME_RAW_MAX, "a lot has room in a hand's part");

/* The bytes of a lot stand in the shared memory already, or are copied there. */
static void place(struct handover_lot *out, const struct giver *g, unsigned int hand,
		  const struct landing_lot *lot)
{
	uint8_t *free_at = g->port.rooms[hand];
	const uint8_t *end = g->room.at + HANDOVER_ROOM_BYTES;

	*out = (struct handover_lot){ .count = lot->count };
	for (uint32_t i = 0; i < lot->count; i++) {
		struct span bytes = lot->items[i].bytes;
		const uint8_t *at = bytes.data;

		if (at < g->room.at || at >= end) {
			memcpy(free_at, bytes.data, bytes.size);
			at = free_at;
			free_at += bytes.size;
		}
		out->items[i] = (struct handover_item){ lot->items[i].chunk,
							(uint32_t)(at - g->room.at) };
	}
}

static enum landing_put put(uint32_t *landed_out, void *ctx, unsigned int hand,
			    const struct landing_lot *lot, struct err *err)
{
	const struct giver *g = ctx;
	struct handover_lot message;
	struct handover_reply reply;
	size_t size;
	ssize_t got;

	*landed_out = 0;
	if (lot->count == 0)
		return LANDING_PUT_DONE;
	place(&message, g, hand, lot);
	size = handover_lot_bytes(message.count);
	if (send(g->hands[hand], &message, size, MSG_NOSIGNAL) != (ssize_t)size)
		return say_gone(err), LANDING_PUT_FAULT;
	do
		got = recv(g->hands[hand], &reply, sizeof(reply), 0);
	while (got < 0 && errno == EINTR);
	if (got < (ssize_t)offsetof(struct handover_reply, err) || reply.landed > lot->count)
		return say_gone(err), LANDING_PUT_FAULT;
	*landed_out = reply.landed;
	if (reply.outcome == LANDING_PUT_FAULT)
		*err = reply.err;
	return (enum landing_put)reply.outcome;
}

enum giver_begun giver_open(struct giver **out, int socket, const json_t *request, struct err *err)
{
	struct giver *g = alloc_zeroed(1, sizeof(*g));
	enum giver_begun begun;

	*g = (struct giver){
		.socket = socket,
		.room = HANDROOM_NONE,
		.port = { .put = put, .ctx = g, .slots_fd = -1 },
	};
	for (size_t i = 0; i < LANDING_HANDS; i++)
		g->hands[i] = -1;
	begun = begin(g, request, err);
	if (begun == GIVER_BEGUN)
		*out = g;
	else
		giver_close(g);
	return begun;
}

void giver_close(struct giver *g)
{
	if (g == NULL)
		return;
	handroom_release(&g->room);
	for (size_t i = 0; i < LANDING_HANDS; i++)
		path_close_fd(&g->hands[i]);
	path_close_fd(&g->socket);
	free(g);
}

const struct landing_port *giver_port(const struct giver *g)
{
	return &g->port;
}

bool giver_stock(uint8_t *have, uint32_t count, struct giver *g, giver_progress_fn *progress,
		 void *ctx, struct err *err)
{
	for (;;) {
		json_auto_t *frame = NULL;

		if (!receive(&frame, NULL, g, err))
			return false;
		if (jsondoc_flag(frame, "stock", false)) {
			memcpy(have, g->room.at, count);
			return true;
		}
		if (!progress((uint64_t)jsondoc_int(frame, "bytes", 0), ctx))
			return err_set(err, ERR_INTERRUPTED, "the transfer was stopped");
	}
}

bool giver_ask_finish(struct giver *g, struct err *err)
{
	json_auto_t *request = json_pack("{s:s}", "op", "finish");

	g->is_finishing = g->is_finishing || wire_send_json(g->socket, request, -1, err);
	return g->is_finishing || say_gone(err);
}

bool giver_finish(struct giver *g, struct err *err)
{
	json_auto_t *frame = NULL;

	return giver_ask_finish(g, err) && receive(&frame, NULL, g, err) &&
	       (jsondoc_flag(frame, "done", false) || say_gone(err));
}

#include "content/giver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/wire.h"
#include "content/chunker.h"
#include "content/handover.h"

struct giver {
	int socket;
	uint8_t *room; /* NULL: none yet */
	int hands[LANDING_HANDS];
	struct landing_port port;
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

static bool map_room(struct giver *g, int memory, struct err *err)
{
	void *at = mmap(NULL, HANDOVER_ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);

	if (at == MAP_FAILED)
		return err_sys(err, ERR_MEMORY, errno, "map the keeper's memory");
	g->room = at;
	for (size_t i = 0; i < LANDING_HANDS; i++)
		g->port.rooms[i] = g->room + i * FRAME_RAW_MAX;
	g->port.slots = g->room + HANDOVER_HANDS_BYTES;
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
	SCOPED_FD int memory = -1;

	if (!wire_send_json(g->socket, request, -1, err))
		return say_gone(err), GIVER_FAULT;
	if (!receive(&frame, &memory, g, err))
		return GIVER_FAULT;
	if (jsondoc_flag(frame, "here", false))
		return GIVER_HERE;
	if (memory < 0)
		return say_gone(err), GIVER_FAULT;
	return map_room(g, memory, err) && take_hands(g, err) ? GIVER_BEGUN : GIVER_FAULT;
}

static_assert(LANDING_LOT_MAX * CHUNKER_MAX <= FRAME_RAW_MAX, "a lot has room in a hand's part");

/* The bytes of a lot stand in the shared memory already, or are copied there. */
static void place(struct handover_lot *out, const struct giver *g, unsigned int hand,
		  const struct landing_lot *lot)
{
	uint8_t *free_at = g->port.rooms[hand];
	const uint8_t *end = g->room + HANDOVER_ROOM_BYTES;

	*out = (struct handover_lot){ .count = lot->count };
	for (uint32_t i = 0; i < lot->count; i++) {
		struct span bytes = lot->items[i].bytes;
		const uint8_t *at = bytes.data;

		if (at < g->room || at >= end) {
			memcpy(free_at, bytes.data, bytes.size);
			at = free_at;
			free_at += bytes.size;
		}
		out->items[i] = (struct handover_item){ lot->items[i].chunk,
							(uint32_t)(at - g->room) };
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

	*g = (struct giver){ .socket = socket, .port = { .put = put, .ctx = g } };
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
	if (g->room != NULL)
		(void)munmap(g->room, HANDOVER_ROOM_BYTES);
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
			memcpy(have, g->room, count);
			return true;
		}
		if (!progress((uint64_t)jsondoc_int(frame, "bytes", 0), ctx))
			return err_set(err, ERR_INTERRUPTED, "the transfer was stopped");
	}
}

bool giver_finish(struct giver *g, struct err *err)
{
	json_auto_t *request = json_pack("{s:s}", "op", "finish");
	json_auto_t *frame = NULL;

	return (wire_send_json(g->socket, request, -1, err) || say_gone(err)) &&
	       receive(&frame, NULL, g, err) &&
	       (jsondoc_flag(frame, "done", false) || say_gone(err));
}

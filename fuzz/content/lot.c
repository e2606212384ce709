#include "lot.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/wire.h"
#include "content/handover.h"
#include "content/handroom.h"
#include "content/taker.h"

#define PACKETS_MAX 16

/* A keeper, and the giver's ends. */
struct both {
	char dir[64];
	struct buf manifest;
	struct assemble *assemble;
	struct taker *taker;
	pthread_t thread;
	int takes, gives;
	int hands[LANDING_HANDS];
	struct handroom shared;
	const uint8_t *room;
	bool landed[LOT_CHUNKS];
};

static void must(bool done)
{
	if (!done)
		abort();
}

static void make_manifest(struct buf *out)
{
	const struct manifest_entry file = {
		.path = "file",
		.type = MANIFEST_FILE,
		.mode = 0644,
		.size = LOT_CHUNKS * LOT_SIZE,
		.same_as = MANIFEST_NOT_SAME,
	};
	SCOPED(manifest) struct manifest *m = manifest_new();
	struct err err;

	manifest_add_entry(m, &file);
	for (uint32_t n = 0; n < LOT_CHUNKS; n++) {
		uint8_t bytes[LOT_SIZE];
		struct digest id;

		memset(bytes, lot_byte(n), sizeof(bytes));
		digest_of(&id, span_of(bytes, sizeof(bytes)));
		manifest_add_chunk(m, &id, LOT_SIZE);
	}
	must(manifest_write(out, m, &err));
}

static void *serve(void *arg)
{
	struct both *b = arg;
	struct err err;

	must(!taker_serve(b->taker, &err) && err.code == ERR_INTERRUPTED);
	return NULL;
}

static void receive_ends(struct both *b)
{
	struct err err;
	json_t *frame;

	b->shared = HANDROOM_NONE;
	must(wire_receive_json(&frame, &b->shared.hands, b->gives, -1, &err) == WIRE_FRAME);
	json_decref(frame);
	must(wire_receive_json(&frame, &b->shared.slots, b->gives, -1, &err) == WIRE_FRAME);
	json_decref(frame);
	must(handroom_map(&b->shared, &err));
	b->room = b->shared.at;
	for (size_t i = 0; i < LANDING_HANDS; i++) {
		must(wire_receive_json(&frame, &b->hands[i], b->gives, -1, &err) == WIRE_FRAME);
		json_decref(frame);
	}
	for (uint32_t n = 0; n < LOT_CHUNKS; n++)
		memset(b->shared.at + (size_t)n * LOT_STEP, lot_byte(n), LOT_SIZE);
}

static void begin(struct both *b, struct assemble_params *params)
{
	struct err err;
	int pair[2];

	must(mkdtemp(strcpy(b->dir, "/tmp/packway-fuzz-lot-XXXXXX")) != NULL);
	make_manifest(&b->manifest);
	*params = (struct assemble_params){
		.dir = b->dir,
		.manifest = buf_span(&b->manifest),
		.clock = clock_system(),
	};
	must(wire_pair(pair, &err));
	b->takes = pair[0];
	b->gives = pair[1];
	must(assemble_open(&b->assemble, params, &err));
	must(assemble_local(b->assemble, &err) == ASSEMBLE_DONE);
	must(taker_open(&b->taker, b->takes, &err));
	must(taker_stock(b->taker, b->assemble, &err)); /* into the room that is filled next */
	receive_ends(b);
	must(pthread_create(&b->thread, NULL, serve, b) == 0);
}

/* What landed is right, and nothing else is there. */
static void check_tree(const struct both *b)
{
	SCOPED_TEXT char *path = path_join(b->dir, "tree/file");
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	if (!path_read(&bytes, path, LOT_CHUNKS * LOT_SIZE, &err))
		return;
	for (size_t i = 0; i < bytes.size; i++) {
		uint32_t n = (uint32_t)(i / LOT_SIZE);
		bool has = b->landed[n == LOT_AGAIN ? 0 : n];

		must(bytes.data[i] == (has ? lot_byte(n) : 0));
	}
}

static void end(struct both *b)
{
	struct err err;

	close(b->gives);
	must(pthread_join(b->thread, NULL) == 0);
	taker_close(b->taker);
	check_tree(b);
	assemble_close(b->assemble);
	handroom_release(&b->shared);
	for (size_t i = 0; i < LANDING_HANDS; i++)
		close(b->hands[i]);
	close(b->takes);
	buf_release(&b->manifest);
	must(path_remove_tree(b->dir, &err));
}

/* Whether an item is to be taken. */
static bool is_right(const struct both *b, const struct handover_item *it)
{
	if (it->chunk >= LOT_CHUNKS || it->chunk == LOT_AGAIN ||
	    it->offset > HANDOVER_ROOM_BYTES - LOT_SIZE)
		return false;
	for (size_t i = 0; i < LOT_SIZE && !b->landed[it->chunk]; i++)
		if (b->room[it->offset + i] != lot_byte(it->chunk))
			return false;
	return true;
}

static void check_reply(struct both *b, const struct handover_lot *lot,
			const struct handover_reply *reply)
{
	uint32_t n = 0;

	while (n < lot->count && is_right(b, &lot->items[n]))
		b->landed[lot->items[n++].chunk] = true;
	must(reply->landed == n);
	must(reply->outcome == (n < lot->count ? LANDING_PUT_WRONG : LANDING_PUT_DONE));
}

/* False: the hand has ended, as it does on what is no lot. */
static bool give(struct both *b, int hand, struct span packet)
{
	static union {
		struct handover_lot lot;
		uint8_t bytes[UINT16_MAX];
	} copy;
	struct handover_reply reply;
	bool is_lot;

	memcpy(copy.bytes, packet.data, packet.size);
	is_lot = handover_is_lot(&copy.lot, packet.size);
	must(send(hand, packet.data, packet.size, MSG_NOSIGNAL) == (ssize_t)packet.size);
	if (recv(hand, &reply, sizeof(reply), 0) <= 0) {
		must(!is_lot);
		return false;
	}
	must(is_lot);
	check_reply(b, &copy.lot, &reply);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Packets of one hand, each with its length before it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct both b = { .gives = -1 };
	struct assemble_params params;
	struct span rest = span_of(data, size);
	uint16_t length;
	bool goes_on = true;

	begin(&b, &params);
	for (int n = 0; n < PACKETS_MAX && goes_on && span_take_u16(&rest, &length); n++) {
		struct span packet = span_of(rest.data, MIN_OF((size_t)length, rest.size));

		goes_on = give(&b, b.hands[n % LANDING_HANDS], packet);
		rest = span_skip(rest, packet.size);
	}
	end(&b);
	return 0;
}

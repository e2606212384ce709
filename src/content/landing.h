/*
 * Where chunks land: each is checked against its id and only then written to every place of the
 * tree that it has, and noted in the journal. Several threads land chunks at once, each with a
 * hand of its own.
 *
 * The journal is one byte for each chunk of the manifest, 1 once its bytes were written. It is a
 * claim and no proof: claimed chunks are hashed again before they count, so the journal needs no
 * flush and survives a kill at any point.
 */
#ifndef CONTENT_LANDING_H
#define CONTENT_LANDING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/chunkmap.h"
#include "content/frame.h"
#include "content/index.h"
#include "content/plan.h"
#include "content/recent.h"
#include "content/seam.h"
#include "content/tree.h"

enum landing_fault {
	LANDING_FINE,
	LANDING_CORRUPT, /* the bytes of a frame are not what the index and the manifest say */
	LANDING_WRONG,   /* chunks that were made from others are not what the manifest says */
	LANDING_LOCAL,   /* the tree cannot be written */
};

/* What became of chunks that were to be landed. */
enum landing_put {
	LANDING_PUT_DONE,
	LANDING_PUT_WRONG, /* one is not what its id says */
	LANDING_PUT_FAULT, /* one cannot be written: see err */
};

#define LANDING_LOT_MAX 8

/* A few different chunks, each by the number of its first place. */
struct landing_lot {
	uint32_t count;
	struct landing_item {
		uint32_t chunk;
		struct span bytes;
	} items[LANDING_LOT_MAX];
};

#define LANDING_HANDS      2
#define LANDING_SLOTS      7
#define LANDING_SLOT_BYTES ((size_t)FRAME_STORED_MAX + 4096)

/* Where chunks go that land in another process (giver.h). Each hand calls with its own number. */
struct landing_port {
	/* Check and write a lot: the first *landed_out chunks of it are there. */
	enum landing_put (*put)(uint32_t *landed_out, void *ctx, unsigned int hand,
				const struct landing_lot *lot, struct err *err);
	void *ctx;
	uint8_t *rooms[LANDING_HANDS]; /* FRAME_RAW_MAX bytes for each hand to decode into, or for a
					* lot that was decoded elsewhere */
	uint8_t *slots; /* LANDING_SLOTS times LANDING_SLOT_BYTES, for what is received */
	int slots_fd;   /* the anonymous file that these are */
};

/* What all hands share. */
struct landing {
	const struct landing_port *port; /* NULL: they land here */
	const struct chunkmap *want;
	const struct tree *tree;
	int journal_fd;
	struct recent *recent; /* for who reads meanwhile; NULL: nobody does */

	atomic_uchar *state; /* for each first chunk: enum in landing.c */
	uint8_t *present;    /* for each place: its bytes were read back and are right */
	atomic_uint_least64_t bytes_done;     /* of the stream, places counted each */
	atomic_uint_least64_t bytes_seed;     /* those of them that were here already */
	atomic_uint_least64_t chunks_fetched; /* different ones that came in frames */
	atomic_uint_least64_t missing;        /* different ones still to come */

	atomic_bool broken; /* a fault was noted; hands stop early */
	pthread_mutex_t lock;
	enum landing_fault fault; /* the first one, under the lock */
	struct err err;
};

/* `want`, `tree` and the journal's descriptor are borrowed until the release. */
void landing_init(struct landing *l, const struct chunkmap *want, const struct tree *tree,
		  int journal_fd);

/* The same for chunks that land elsewhere; `tree` gives the name for messages. */
void landing_init_port(struct landing *l, const struct chunkmap *want, const struct tree *tree,
		       const struct landing_port *port);
void landing_release(struct landing *l);

/* Forget the noted fault, for another try. */
void landing_reset(struct landing *l);

/* The noted fault; fills `err` unless it is LANDING_FINE. */
enum landing_fault landing_fault(struct landing *l, struct err *err);

/* Fill `have` (one byte for each chunk) with what is done, at the places of first chunks. */
void landing_have(const struct landing *l, uint8_t *have);

/* True if the first chunk `n` is done, with all its places. */
bool landing_is_done(const struct landing *l, uint32_t n);

/* Take for done what another process has found here: `have` has one byte for each chunk. */
void landing_believe(struct landing *l, const uint8_t *have);

/* What one thread works with. */
struct landing_hand {
	struct landing *landing;
	unsigned int number; /* below LANDING_HANDS */
	struct digest_ctx *hash;
	struct frame_decoder *decoder;
	uint8_t *raw; /* FRAME_RAW_MAX bytes */
	struct tree_files out;
	struct tree_files seed; /* of the tree that is drawn upon; its `tree` may be NULL */
};

/* What a hand will decode; it has room for a frame in either case, and memory for what it uses. */
enum landing_room {
	LANDING_ROOM_CHUNKS, /* nothing: chunks come as they are */
	LANDING_ROOM_FRAMES,
};

void landing_hand_init(struct landing_hand *h, struct landing *l, unsigned int number,
		       enum landing_room kind);
void landing_hand_release(struct landing_hand *h);

/* Draw on another tree from now on, or on none (NULL). */
void landing_hand_draw(struct landing_hand *h, const struct tree *seed);

/* Read back the places [first, first + count) that are claimed, and mark those that are right. */
void landing_recheck(struct landing_hand *h, const uint8_t *claimed, uint32_t first,
		     uint32_t count);

/* After all rechecks: chunks with every place right are done. One thread. */
void landing_settle(struct landing *l);

/* Copy chunks from the seed as its manifest lists them; those that turn out changed stay missing.
 */
void landing_copy(struct landing_hand *h, const struct plan_copy *copies, uint32_t count);

/* Try one chunk from the twins of its files (plan_find_twins). */
void landing_guess(struct landing_hand *h, uint32_t chunk, const uint32_t *twins);

/*
 * Try one chunk from what stands in the seed behind the place `behind` of its stream and in front
 * of the place `front` (LANDING_NOWHERE: not known). How it was found says where it stands there.
 */
#define LANDING_NOWHERE UINT64_MAX
enum seam landing_seam(struct landing_hand *h, uint32_t chunk, uint64_t behind, uint64_t front);

/*
 * Frame number `frame`, whose bytes are `stored`, decoded into *raw: bytes of the hand, valid until
 * it decodes another, or of `stored`. False: there is nothing to land; the fault is noted.
 */
bool landing_decode(struct span *raw, struct landing_hand *h, const struct index *idx,
		    uint32_t frame, struct span stored) MUST_USE;

/*
 * Land what is missing of the chunks [first, first + count) of the index, all of one frame, whose
 * decoded bytes are `raw`. False if the bytes are wrong or cannot be written, which is noted.
 */
bool landing_chunks(struct landing_hand *h, const struct index *idx, uint32_t first, uint32_t count,
		    struct span raw) MUST_USE;

/*
 * Land what is missing of the places [first, first + count), whose bytes follow each other in
 * `bytes`: they were made by a patch or stream.
 */
void landing_made(struct landing_hand *h, uint32_t first, uint32_t count, struct span bytes);

/*
 * Land one chunk whose bytes another process offers, and may be changing: they are copied before
 * they are checked, to `recent` if there is one, where they can be read once they are written. What
 * is there already is done. A number that is no first place is WRONG.
 */
enum landing_put landing_offer(struct landing_hand *h, uint32_t chunk, const uint8_t *bytes,
			       struct err *err) MUST_USE;

#endif

/*
 * Writes the corpus files of this folder's targets: make_content_corpus FOLDER, with FOLDER being
 * fuzz/corpus. Valid inputs of every shape, and a few that are wrong in one place behind the
 * compressor, where a fuzzer seldom gets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "content/compact.h"
#include "content/frame.h"
#include "content/handover.h"
#include "content/imprint.h"
#include "content/index.h"
#include "content/manifest.h"
#include "content/patchwriter.h"
#include "lot.h"

#define SOLO .same_as = MANIFEST_NOT_SAME

static const char *folder;

static void must(bool done, const struct err *err)
{
	if (done)
		return;
	log_error(err);
	exit(1);
}

static void save(const char *target, const char *name, struct span bytes)
{
	SCOPED_TEXT char *dir = path_join(folder, target);
	SCOPED_TEXT char *path = path_join(dir, name);
	struct err err;

	must(path_make_dirs(dir, 0755, &err) && newfile_write(path, 0644, bytes, &err), &err);
}

static void save_manifest(const char *name, const struct manifest_entry *entries, size_t count,
			  uint32_t chunk)
{
	SCOPED(manifest) struct manifest *m = manifest_new();
	SCOPED(buf) struct buf bytes = { 0 };
	struct digest id = { { 1, 2, 3 } };
	struct err err;

	for (size_t i = 0; i < count; i++)
		manifest_add_entry(m, &entries[i]);
	for (uint64_t left = manifest_stream_size(m); chunk > 0 && left > 0; id.bytes[4]++) {
		uint32_t size = (uint32_t)MIN_OF(left, (uint64_t)chunk);

		manifest_add_chunk(m, &id, size);
		left -= size;
	}
	must(manifest_write(&bytes, m, &err), &err);
	save("manifest", name, buf_span(&bytes));
}

static void save_body(const char *target, const char *name, const char *magic, struct span body)
{
	struct compact_kind kind = { .noun = target, .body_max = 1u << 20 };
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	memcpy(kind.magic, magic, sizeof(kind.magic));
	must(compact_write(&bytes, &kind, body, &err), &err);
	save(target, name, buf_span(&bytes));
}

static void manifests(void)
{
	static const struct manifest_entry one[] = {
		{ .path = "empty", .type = MANIFEST_FILE, .mode = 0644, SOLO },
	};
	static const struct manifest_entry many[] = {
		{ .path = "a", .type = MANIFEST_DIR, .mode = 0755, SOLO },
		{ .path = "a b", .type = MANIFEST_FILE, .mode = 0600, .size = 70000, SOLO },
		{ .path = "a/first", .type = MANIFEST_FILE, .mode = 0644, .size = 9, SOLO },
		{ .path = "a/up", .type = MANIFEST_LINK, .mode = 0777, .target = "..", SOLO },
		{ .path = "a/\xc3\xa4",
		  .type = MANIFEST_FILE,
		  .mode = 0644,
		  .size = 9,
		  .same_as = 2 },
		{ .path = "link", .type = MANIFEST_LINK, .mode = 0777, .target = "a/up/a b", SOLO },
		{ .path = "nowhere", .type = MANIFEST_LINK, .mode = 0777, .target = "x/./y", SOLO },
	};
	static const struct manifest_entry marked[] = {
		{ .path = "a", .type = MANIFEST_FILE, .mode = 0644, .size = 9, .mark = 77, SOLO },
		{ .path = "b", .type = MANIFEST_FILE, .mode = 0644, .size = 9, SOLO },
		{ .path = "c", .type = MANIFEST_FILE, .mode = 0644, .size = 70, SOLO },
	};
	static const struct {
		const char *name, *body;
		size_t size;
	} wrong[] = {
#define BODY(text) text, sizeof(text) - 1
		{ "trailing", BODY("\1\244\21\0\0\0\1a\0\0") },
		{ "long_number", BODY("\1\244\21\0\200\0\0\1a\0") },
		{ "climbs", BODY("\1\377\41\0\1a\2..\0") },
		{ "absolute", BODY("\1\377\41\0\1a\1/\0") },
		{ "parentless", BODY("\1\244\21\0\0\0\3a/b\0") },
		{ "dots", BODY("\1\244\21\0\0\0\2..\0") },
		{ "latin", BODY("\1\244\21\0\0\0\1\351\0") },
		{ "descends", BODY("\2\244\21\244\21\0\0\0\0\0\2ab\1\1a\0") },
		{ "sums", BODY("\1\244\21\0\4\0\1a\0") },
		{ "setuid", BODY("\1\244\31\0\0\0\1a\0") },
		{ "no_entries", BODY("\0\0") },
	};

	save_manifest("one", one, COUNT_OF(one), 0);
	save_manifest("many", many, COUNT_OF(many), 20000);
	save_manifest("marked", marked, COUNT_OF(marked), 80);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		save_body("manifest", wrong[i].name, "PWMF", span_of(wrong[i].body, wrong[i].size));
	save("manifest", "format_2", span_of("PWMF\2\0\0\0\0\0\0\0", 12));
	save("manifest", "too_large", span_of("PWMF\1\0\0\0\377\377\377\377", 12));
}

static void save_index(const char *name, uint32_t packs, uint32_t frames, uint32_t chunks)
{
	SCOPED(index) struct index *idx = index_new();
	SCOPED(buf) struct buf bytes = { 0 };
	struct index_delta stream = { .kind = INDEX_STREAM, .size = 1000 };
	struct index_delta patch = { .kind = INDEX_PATCH, .from = 1, .size = 10 };
	struct digest id = { { 0 } };
	struct err err;

	for (uint32_t p = 0; p < packs; p++) {
		index_add_pack(idx, &(struct digest){ { (uint8_t)(p + 1) } }, frames * 200);
		for (uint32_t f = 0; f < frames; f++) {
			bool stored = f % 2 != 0;

			index_add_frame(idx, f * 200, stored ? chunks * 30 : 150,
					stored ? FRAME_STORED : FRAME_ZSTD);
			for (uint32_t c = 0; c < chunks; c++) {
				digest_of(&id, span_of(id.bytes, DIGEST_SIZE));
				index_add_chunk(idx, &id, 30);
			}
		}
	}
	if (packs > 1) {
		index_add_delta(idx, &stream);
		index_add_delta(idx, &patch);
	}
	must(index_write(&bytes, idx, &err), &err);
	save("index", name, buf_span(&bytes));
}

static void indexes(void)
{
	static const uint8_t behind[] = { 0, 0, 0 };
	static const uint8_t patch_from_nowhere[35] = { 0, 1, 1 };
	static const uint8_t no_frames[36] = { 1, [33] = 9 };
	uint8_t body[72] = { 1, [33] = 9, 1, 0, 9, 1, 1, 9 };

	save_index("empty", 0, 0, 0);
	save_index("one", 1, 1, 1);
	save_index("many", 3, 4, 5);
	save_body("index", "behind", "PWIX", span_of(behind, sizeof(behind)));
	save_body("index", "patch_from_nowhere", "PWIX",
		  span_of(patch_from_nowhere, sizeof(patch_from_nowhere)));
	save_body("index", "no_frames", "PWIX", span_of(no_frames, sizeof(no_frames)));
	save_body("index", "valid", "PWIX", span_of(body, sizeof(body)));
	body[37] = 7;
	save_body("index", "codec", "PWIX", span_of(body, sizeof(body)));
	body[37] = 0;
	body[39] = 8;
	save_body("index", "stored_size", "PWIX", span_of(body, sizeof(body)));
	body[35] = 1;
	save_body("index", "outside", "PWIX", span_of(body, sizeof(body)));
}

static void save_frame(const char *name, enum frame_codec codec, uint32_t raw_size,
		       struct span stored)
{
	SCOPED(buf) struct buf bytes = { 0 };

	buf_put_u8(&bytes, (uint8_t)codec);
	buf_put_u32(&bytes, raw_size);
	buf_put_span(&bytes, stored);
	save("pack", name, buf_span(&bytes));
}

static void frames(void)
{
	SCOPED(frame_encoder) struct frame_encoder *enc = frame_encoder_new(FRAME_LEVEL_DEFAULT);
	SCOPED(buf) struct buf raw = { 0 };
	SCOPED(buf) struct buf stored = { 0 };
	uint32_t size;

	for (unsigned int i = 0; i < 300; i++)
		buf_printf(&raw, "line %u of a text\n", i);
	size = (uint32_t)raw.size;
	frame_encode(&stored, enc, buf_span(&raw));
	save_frame("text", FRAME_ZSTD, size, buf_span(&stored));
	save_frame("wrong_size", FRAME_ZSTD, size - 1, buf_span(&stored));
	save_frame("too_large", FRAME_ZSTD, UINT32_MAX, buf_span(&stored));
	save_frame("codec", FRAME_CODEC_COUNT_, size, buf_span(&stored));
	stored.data[stored.size / 2] ^= 0x55;
	save_frame("damaged", FRAME_ZSTD, size, buf_span(&stored));
	save_frame("stored", FRAME_STORED, size, buf_span(&raw));
	save_frame("stored_short", FRAME_STORED, size + 1, buf_span(&raw));
}

#define PATCH_OLD_SIZE 4096u /* as in patch.c */

static bool append(struct span bytes, void *ctx, struct err *err UNUSED)
{
	buf_put_span(ctx, bytes);
	return true;
}

/* From the old stream that patch.c gives to these bytes. */
static void save_patch(const char *name, struct span new_stream)
{
	SCOPED(buf) struct buf old = { 0 };
	SCOPED(buf) struct buf file = { 0 };
	const struct delta_file whole = { .new_size = new_stream.size, .old_size = PATCH_OLD_SIZE };
	struct delta_input in = {
		.new_stream = new_stream,
		.files = &whole,
		.file_count = 1,
		.memory_max = DELTA_MEMORY_MIN,
	};
	struct err err;

	for (size_t i = 0; i < PATCH_OLD_SIZE; i++)
		buf_put_u8(&old, (uint8_t)(i * 7));
	in.old_stream = buf_span(&old);
	buf_put_u8(&file, (uint8_t)(new_stream.size >> 16));
	buf_put_u16(&file, (uint16_t)new_stream.size);
	must(patchwriter_run(&in, 3, append, &file, &err), &err);
	save("patch", name, buf_span(&file));
}

static void patches(void)
{
	SCOPED(buf) struct buf text = { 0 };

	save_patch("empty", span_of(NULL, 0));
	for (size_t i = 0; i < 3000; i++)
		buf_put_u8(&text, (uint8_t)((i + 100) * 7));
	save_patch("copied", buf_span(&text));
	for (size_t i = 50; i < 3000; i += 97)
		text.data[i] ^= 0x40;
	save_patch("changed", buf_span(&text));
	for (unsigned int i = 0; i < 100; i++)
		buf_printf(&text, "%u bottles of something new\n", i * i);
	save_patch("inserted", buf_span(&text));
	while (text.size < 300000)
		buf_put(&text, text.data, MIN_OF(text.size, 60000));
	save_patch("long", buf_span(&text));
}

/* Without the sum at the end, which the target adds. */
static void save_imprint(const char *name, uint32_t files, uint8_t format)
{
	const struct digest digest = { { 9 } };
	SCOPED(imprint) struct imprint *im = imprint_new(&digest, 1700000000);
	SCOPED(buf) struct buf bytes = { 0 };

	for (uint32_t i = 0; i < files; i++) {
		const struct imprint_stamp stamp = { i, 1600000000 + i, 1600000000 };

		imprint_add(im, &stamp, i % 3 == 1 ? &digest : NULL);
	}
	imprint_write(&bytes, im);
	bytes.data[4] = format;
	save("imprint", name, span_of(bytes.data, bytes.size - DIGEST_SIZE));
}

static void imprints(void)
{
	save_imprint("none", 0, 1);
	save_imprint("some", 7, 1);
	save_imprint("format_2", 1, 2);
}

static void put_packet(struct buf *out, struct span packet)
{
	buf_put_u16(out, (uint16_t)packet.size);
	buf_put_span(out, packet);
}

static void put_lot(struct buf *out, const struct handover_lot *lot)
{
	put_packet(out, span_of(lot, handover_lot_bytes(lot->count)));
}

static void save_lot(const char *name, const struct handover_lot *lot)
{
	SCOPED(buf) struct buf bytes = { 0 };

	put_lot(&bytes, lot);
	save("lot", name, buf_span(&bytes));
}

/* A packet of `size` bytes whose count is `count`. */
static void save_packet(const char *name, uint32_t count, size_t size)
{
	const struct handover_lot all = { 1, { { 0, 0 } } };
	uint8_t packet[200] = { 0 };
	SCOPED(buf) struct buf bytes = { 0 };

	memcpy(packet, &count, sizeof(count));
	put_packet(&bytes, span_of(packet, size));
	put_lot(&bytes, &all);
	save("lot", name, buf_span(&bytes));
}

static void lots(void)
{
	const uint32_t room = (uint32_t)HANDOVER_ROOM_BYTES;
	const struct handover_lot all = { 3, { { 0, 0 }, { 1, LOT_STEP }, { 3, 3 * LOT_STEP } } };
	const struct handover_lot one = { 1, { { 1, LOT_STEP } } };
	SCOPED(buf) struct buf several = { 0 };

	save_lot("all", &all);
	save_lot("none", &(struct handover_lot){ 0 });
	save_lot("again", &(struct handover_lot){ 1, { { LOT_AGAIN, 0 } } });
	save_lot("beyond", &(struct handover_lot){ 1, { { LOT_CHUNKS, 0 } } });
	save_lot("far_beyond", &(struct handover_lot){ 1, { { UINT32_MAX, UINT32_MAX } } });
	save_lot("at_the_end", &(struct handover_lot){ 1, { { 0, room - LOT_SIZE } } });
	save_lot("over_the_end", &(struct handover_lot){ 1, { { 0, room - LOT_SIZE + 1 } } });
	save_lot("second_wrong", &(struct handover_lot){ 3, { { 0, 0 }, { 1, 0 }, { 3, 0 } } });
	save_lot("twice", &(struct handover_lot){ 2, { { 3, 3 * LOT_STEP }, { 3, 9 } } });
	save_packet("byte", 0, 1);
	save_packet("short", 2, 4 + 8);
	save_packet("long", 1, 4 + 2 * 8);
	save_packet("nine", LANDING_LOT_MAX + 1, 4 + (LANDING_LOT_MAX + 1) * 8);
	save_packet("nine_in_eight", LANDING_LOT_MAX + 1, 4 + LANDING_LOT_MAX * 8);
	save_packet("greatest", UINT32_MAX, 4 + LANDING_LOT_MAX * 8);
	put_lot(&several, &one);
	put_lot(&several, &all);
	put_lot(&several, &all);
	save("lot", "several", buf_span(&several));
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return EXIT_USAGE;
	folder = argv[1];
	manifests();
	indexes();
	frames();
	patches();
	imprints();
	lots();
	return EXIT_DONE;
}

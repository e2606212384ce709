#include "agent/outbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/covered.h"
#include "agent/history.h"
#include "agent/sidecar.h"
#include "agent/stream.h"
#include "common/alloc.h"
#include "common/crc32.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/random.h"
#include "common/text.h"

#define FULL_SHARE    64
#define RESERVE_SHARE 16 /* of small limits the reserve is this part */
static_assert(OUTBOX_RECORD_MAX <= SEGMENT_JSON_MAX, "a record fits its frame");
static_assert(OUTBOX_RECORD_MAX + OUTBOX_KEY_MAX + SEGMENT_FRAME_SIZE <= OUTBOX_SEGMENT_MAX,
	      "a record fits its segment");
static_assert(OUTBOX_KEY_MAX <= SEGMENT_KEY_MAX, "a key fits its frame");

struct outbox {
	char *dir;
	int lock;
	uint64_t bytes_max;
	uint64_t inventory_bytes;
	char id[STREAM_ID_SIZE];
	struct stream stream;
	json_t *keys; /* of all records, as members; NULL until somebody asks */
};

/* Open, close. */

static char *inventory_path(const struct outbox *ob)
{
	return path_join(ob->dir, "inventory");
}

/* Which stream is current: the file says; without one it is `wanted`. */
static bool settle_stream_id(struct outbox *ob, const char *wanted, struct err *err)
{
	SCOPED_TEXT char *path = path_join(ob->dir, "stream");
	SCOPED(buf) struct buf text = { 0 };

	if (path_exists(path)) {
		if (!path_read(&text, path, STREAM_ID_SIZE, err))
			return false;
		snprintf(ob->id, sizeof(ob->id), "%.32s", buf_text(&text));
		return stream_is_id(ob->id) || err_set(err, ERR_FORMAT, "%s names no stream", path);
	}
	if (!stream_is_id(wanted))
		return err_set(err, ERR_FORMAT, "\"%s\" is no stream", wanted);
	snprintf(ob->id, sizeof(ob->id), "%s", wanted);
	buf_printf(&text, "%s\n", wanted);
	return newfile_write(path, STREAM_FILE_MODE, buf_span(&text), err);
}

/* Streams that are not the current one: not yet, or not any more. */
static void remove_other_streams(const struct outbox *ob)
{
	DIR *dir = opendir(ob->dir);
	const struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		SCOPED_TEXT char *path = path_join(ob->dir, e->d_name);
		struct err err;

		if (strncmp(e->d_name, ".new-", 5) == 0 ||
		    (stream_is_id(e->d_name) && strcmp(e->d_name, ob->id) != 0))
			(void)path_remove_tree(path, &err);
	}
	if (dir != NULL)
		closedir(dir);
}

static bool open_current(struct outbox *ob, struct err *err)
{
	SCOPED_TEXT char *path = path_join(ob->dir, ob->id);

	return stream_open(&ob->stream, path, err);
}

static bool open_all(struct outbox *ob, const char *stream, uint32_t wait_ms, struct err *err)
{
	SCOPED_TEXT char *lock = path_join(ob->dir, "lock");
	SCOPED_TEXT char *inventory = inventory_path(ob);

	if (!path_make_dirs(ob->dir, STREAM_FOLDER_MODE, err) ||
	    !path_lock(&ob->lock, lock, wait_ms, err) || !settle_stream_id(ob, stream, err))
		return false;
	remove_other_streams(ob);
	ob->inventory_bytes = stream_file_size(inventory);
	return open_current(ob, err);
}

bool outbox_open(struct outbox **out, const char *dir, const char *stream, uint64_t bytes_max,
		 uint32_t wait_ms, struct err *err)
{
	struct outbox *ob = alloc_zeroed(1, sizeof(*ob));

	ob->dir = alloc_text(dir);
	ob->lock = ob->stream.fd = -1;
	ob->bytes_max = bytes_max != 0 ? bytes_max : OUTBOX_BYTES_MAX;
	if (!open_all(ob, stream, wait_ms, err)) {
		outbox_close(ob);
		return err_what(err, "cannot open the outbox %s", dir);
	}
	*out = ob;
	return true;
}

static void forget_keys(struct outbox *ob)
{
	json_decref(ob->keys);
	ob->keys = NULL;
}

void outbox_close(struct outbox *ob)
{
	if (ob == NULL)
		return;
	stream_close(&ob->stream);
	forget_keys(ob);
	path_close_fd(&ob->lock);
	free(ob->dir);
	free(ob);
}

const char *outbox_stream(const struct outbox *ob)
{
	return ob->id;
}

/* Room. */

uint64_t outbox_bytes(const struct outbox *ob)
{
	return ob->stream.bytes + ob->inventory_bytes;
}

uint64_t outbox_waiting(const struct outbox *ob)
{
	return ob->stream.next - ob->stream.firsts[0];
}

static uint64_t limit_without_reserve(const struct outbox *ob)
{
	return ob->bytes_max - MIN_OF(OUTBOX_RESERVE, ob->bytes_max / RESERVE_SHARE);
}

bool outbox_is_full(const struct outbox *ob)
{
	uint64_t limit = limit_without_reserve(ob);

	/* The inventory gives way, so it does not count. Full is a little before nothing fits. */
	return ob->stream.bytes >= limit - limit / FULL_SHARE;
}

/* It has a number now. */
static void forget_inventory(struct outbox *ob)
{
	SCOPED_TEXT char *path = inventory_path(ob);

	if (unlink(path) == 0 || errno == ENOENT)
		ob->inventory_bytes = 0;
}

/* An empty file remembers that the site lacks it. */
static void drop_inventory(struct outbox *ob)
{
	SCOPED_TEXT char *path = inventory_path(ob);
	SCOPED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, STREAM_FILE_MODE);

	if (fd >= 0)
		ob->inventory_bytes = 0;
	log_warn("the outbox is full: an inventory was dropped");
}

bool outbox_lacks_inventory(const struct outbox *ob)
{
	SCOPED_TEXT char *path = inventory_path(ob);
	struct stat st;

	return stat(path, &st) == 0 && st.st_size == 0;
}

static bool make_room(struct outbox *ob, uint64_t size, uint64_t limit)
{
	if (outbox_bytes(ob) + size > limit && ob->inventory_bytes > 0)
		drop_inventory(ob);
	return outbox_bytes(ob) + size <= limit;
}

/* Append. */

static void learn_key(struct outbox *ob, struct span key)
{
	SCOPED_TEXT char *text = alloc_printf("%.*s", (int)key.size, (const char *)key.data);

	if (key.size > 0)
		json_object_set_new_nocheck(ob->keys, text, json_true());
}

/* Read once, however many records are then appended. */
static bool learn_keys(struct outbox *ob, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	ob->keys = json_object();
	for (size_t i = 0; i < ob->stream.count; i++) {
		uint64_t number = ob->stream.firsts[i];
		struct segment_record record;
		struct span rest;

		if (!stream_read_segment(&bytes, &ob->stream, i, err)) {
			forget_keys(ob);
			return false;
		}
		rest = buf_span(&bytes);
		for (; segment_take(&rest, &record, number); number++)
			learn_key(ob, record.key);
	}
	return true;
}

static bool find_key(bool *found, struct outbox *ob, struct span key, struct err *err)
{
	SCOPED_TEXT char *text = alloc_printf("%.*s", (int)key.size, (const char *)key.data);

	*found = false;
	if (key.size == 0)
		return true;
	if (ob->keys == NULL && !learn_keys(ob, err))
		return false;
	*found = json_object_get(ob->keys, text) != NULL;
	return true;
}

/* What no envelope can carry would keep everything behind it from the site for ever. */
static bool fits_envelope(struct span json, struct span key, struct err *err)
{
	if (json.size <= OUTBOX_RECORD_MAX && key.size <= OUTBOX_KEY_MAX)
		return true;
	return err_set(err, ERR_LIMIT, "a record of %zu bytes, at most %zu are kept", json.size,
		       OUTBOX_RECORD_MAX);
}

/* `limit`: bytes that the outbox may take with this record. */
static enum outbox_result append_json(struct outbox *ob, struct span json, struct span key,
				      uint64_t limit, struct err *err)
{
	bool found;

	if (!fits_envelope(json, key, err))
		return OUTBOX_FAULT;
	if (!find_key(&found, ob, key, err))
		return OUTBOX_FAULT;
	if (found)
		return OUTBOX_KNOWN;
	if (!make_room(ob, json.size + key.size + SEGMENT_FRAME_SIZE, limit))
		return OUTBOX_FULL;
	if (!stream_append(&ob->stream, key, json, STREAM_SYNC, err))
		return OUTBOX_FAULT;
	if (ob->keys != NULL)
		learn_key(ob, key);
	return OUTBOX_KEPT;
}

/* A record's own id is given once and goes with it wherever it is numbered anew: by it the site
 * knows what it has already. */
static void write_record(struct buf *out, const json_t *record)
{
	json_auto_t *whole = json_copy((json_t *)(uintptr_t)record);
	uint8_t bytes[OUTBOX_UID_BYTES];
	char uid[2 * OUTBOX_UID_BYTES + 1];

	if (jsondoc_text(whole, "uid") == NULL) {
		random_bytes(bytes, sizeof(bytes));
		text_hex(uid, bytes, sizeof(bytes));
		jsondoc_set_text(whole, "uid", uid);
	}
	jsondoc_write(out, whole);
}

static enum outbox_result append_record(struct outbox *ob, const json_t *record, const char *key,
					uint64_t limit, struct err *err)
{
	SCOPED(buf) struct buf json = { 0 };

	write_record(&json, record);
	return append_json(ob, buf_span(&json), span_of_text(key != NULL ? key : ""), limit, err);
}

enum outbox_result outbox_append(struct outbox *ob, const json_t *record, const char *key,
				 struct err *err)
{
	return append_record(ob, record, key, limit_without_reserve(ob), err);
}

enum outbox_result outbox_append_end(struct outbox *ob, const json_t *record, const char *key,
				     struct err *err)
{
	return append_record(ob, record, key, ob->bytes_max, err);
}

enum outbox_result outbox_put_inventory(struct outbox *ob, const json_t *record, struct err *err)
{
	SCOPED_TEXT char *path = inventory_path(ob);
	SCOPED(buf) struct buf json = { 0 };

	write_record(&json, record);
	if (!fits_envelope(buf_span(&json), span_of_text(""), err))
		return OUTBOX_FAULT;
	if (ob->stream.bytes + json.size > limit_without_reserve(ob)) {
		drop_inventory(ob);
		return OUTBOX_FULL;
	}
	if (!newfile_write(path, STREAM_FILE_MODE, buf_span(&json), err))
		return OUTBOX_FAULT;
	ob->inventory_bytes = json.size;
	return OUTBOX_KEPT;
}

/* Seal. */

static json_t *lost_record(void)
{
	json_t *record = json_object();

	jsondoc_set_text(record, "kind", "lost");
	return record;
}

/*
 * The records of a whole segment. Numbers whose bytes are rotten are filled up: a hole would keep
 * the site waiting for ever.
 */
static json_t *load_records(const struct stream *s, size_t i, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	uint64_t next = s->firsts[i];
	struct segment_record record;
	struct span rest;
	json_t *records;

	if (!stream_read_segment(&bytes, s, i, err))
		return NULL;
	records = json_array();
	for (rest = buf_span(&bytes);
	     next <= stream_last(s, i) && segment_take(&rest, &record, next); next++) {
		json_t *doc = NULL;

		if (!jsondoc_read(&doc, record.json, err))
			doc = lost_record();
		json_array_append_new(records, doc);
	}
	if (next <= stream_last(s, i))
		log_warn("%" PRIu64 " records of the outbox are damaged",
			 stream_last(s, i) - next + 1);
	for (; next <= stream_last(s, i); next++)
		json_array_append_new(records, lost_record());
	return records;
}

/* The chain up to the record before segment `i`, whose neighbour is sealed. */
static char *chain_before(const struct outbox *ob, size_t i)
{
	const struct stream *s = &ob->stream;
	SCOPED(sidecar) struct sidecar side = { 0 };

	if (i == 0)
		return covered_chain(ob->dir, ob->id, s->firsts[0] - 1);
	sidecar_read(&side, s, s->firsts[i - 1]);
	return alloc_text(side.chain);
}

static void sealed_release(struct outbox_sealed *sealed)
{
	free(sealed->name);
	free(sealed->file);
	free(sealed->chain);
}

static bool seal_segment(struct outbox *ob, size_t i, outbox_seal_fn *seal, void *ctx,
			 struct err *err)
{
	struct stream *s = &ob->stream;
	SCOPED_TEXT char *envelope = stream_file(s, s->firsts[i], "env");
	SCOPED_TEXT char *chain = chain_before(ob, i);
	__attribute__((cleanup(sealed_release))) struct outbox_sealed sealed = { 0 };
	json_auto_t *records = load_records(s, i, err);

	if (records == NULL || !seal(&sealed, ob->id, s->firsts[i], chain, records, ctx, err))
		return false;
	if (rename(sealed.file, envelope) != 0)
		return err_sys(err, ERR_IO, errno, "envelope %s", sealed.file);
	/* The sidecar's own flush of the folder makes the envelope's name durable as well. */
	if (!sidecar_write(s, s->firsts[i],
			   &(struct sidecar){ .name = sealed.name, .chain = sealed.chain }, err))
		return false;
	s->bytes += stream_file_size(envelope);
	s->beside += stream_file_size(envelope);
	return true;
}

struct tally {
	size_t closed; /* segments that are whole */
	size_t unsent; /* sealed ones among them that no CAP has had */
};

static struct tally take_tally(const struct stream *s)
{
	struct tally t = { .closed = s->count - 1 };

	for (size_t i = 0; i + 1 < s->count; i++) {
		SCOPED(sidecar) struct sidecar side;

		sidecar_read(&side, s, s->firsts[i]);
		t.unsent += side.name != NULL && side.sent_s == 0;
	}
	return t;
}

/* The waiting inventory gets its number now. A kill between the two steps leaves a known key. */
static bool number_inventory(struct outbox *ob, struct err *err)
{
	SCOPED_TEXT char *path = inventory_path(ob);
	SCOPED(buf) struct buf json = { 0 };
	char key[32];

	if (ob->inventory_bytes == 0)
		return true;
	if (!path_read(&json, path, OUTBOX_RECORD_MAX, err))
		return false;
	snprintf(key, sizeof(key), "inventory/%08x", crc32_of(buf_span(&json)));
	switch (append_json(ob, buf_span(&json), span_of_text(key), limit_without_reserve(ob),
			    err)) {
	case OUTBOX_KEPT:
	case OUTBOX_KNOWN:
		forget_inventory(ob);
		return true;
	case OUTBOX_FULL: /* it was dropped for its own sake */
		return true;
	case OUTBOX_FAULT:
	default:
		return false;
	}
}

/*
 * Close the open segment if it is time: not while an envelope is still here to be sent (what
 * follows it had better be one large envelope than many small ones), nor past the limit.
 */
static bool close_open_segment(struct outbox *ob, struct err *err)
{
	struct tally t = take_tally(&ob->stream);

	if (t.unsent > 0 || t.closed >= OUTBOX_SEALED_MAX)
		return true;
	if (!number_inventory(ob, err))
		return false;
	return stream_open_count(&ob->stream) == 0 || stream_start_segment(&ob->stream, err);
}

/* An envelope is about as large as what it is made of; a full outbox would be twice its size. */
static bool has_room_for_envelope(const struct outbox *ob, size_t i)
{
	SCOPED_TEXT char *log = stream_file(&ob->stream, ob->stream.firsts[i], "log");

	return ob->stream.beside == 0 ||
	       ob->stream.beside + stream_file_size(log) <= ob->bytes_max / OUTBOX_SEALED_PART;
}

bool outbox_seal(struct outbox *ob, outbox_seal_fn *seal, void *ctx, struct err *err)
{
	if (!close_open_segment(ob, err))
		return false;
	for (size_t i = 0; i + 1 < ob->stream.count && i < OUTBOX_SEALED_MAX; i++) {
		SCOPED(sidecar) struct sidecar side;

		sidecar_read(&side, &ob->stream, ob->stream.firsts[i]);
		if (side.name != NULL && !side.spoiled)
			continue;
		if (side.name == NULL && !has_room_for_envelope(ob, i))
			break;
		if (!seal_segment(ob, i, seal, ctx, err))
			return err_what(err, "cannot seal records for the site");
	}
	return true;
}

void outbox_envelopes_release(struct outbox_envelopes *e)
{
	for (size_t i = 0; i < e->count; i++) {
		free(e->items[i].name);
		free(e->items[i].file);
	}
	free(e->items);
	*e = (struct outbox_envelopes){ 0 };
}

void outbox_due(struct outbox_envelopes *out, const struct outbox *ob, int64_t now_s,
		int64_t again_s)
{
	const struct stream *s = &ob->stream;

	*out = (struct outbox_envelopes){ 0 };
	for (size_t i = 0; i + 1 < s->count; i++) {
		SCOPED(sidecar) struct sidecar side;

		sidecar_read(&side, s, s->firsts[i]);
		if (side.name == NULL ||
		    (side.sent_s != 0 && side.sent_s <= now_s && side.sent_s > now_s - again_s))
			continue;
		ALLOC_GROW(out->items, out->count);
		out->items[out->count++] = (struct outbox_envelope){
			.name = alloc_text(side.name),
			.file = stream_file(s, s->firsts[i], "env"),
			.first = s->firsts[i],
			.count = (uint32_t)(s->firsts[i + 1] - s->firsts[i]),
			.sent_s = side.sent_s,
		};
	}
}

bool outbox_mark(struct outbox *ob, const char *name, enum outbox_fate fate, int64_t now_s,
		 struct err *err)
{
	const struct stream *s = &ob->stream;

	for (size_t i = 0; i + 1 < s->count; i++) {
		SCOPED(sidecar) struct sidecar side;

		sidecar_read(&side, s, s->firsts[i]);
		if (side.name == NULL || strcmp(side.name, name) != 0)
			continue;
		side.sent_s = fate == OUTBOX_SENT ? MAX_OF(now_s, 1) : 0;
		side.spoiled = fate == OUTBOX_SPOILED;
		return sidecar_write(s, s->firsts[i], &side, err);
	}
	return true;
}

/* Receipts. */

static uint64_t first_unsealed(const struct stream *s)
{
	for (size_t i = 0; i + 1 < s->count; i++) {
		SCOPED(sidecar) struct sidecar side;

		sidecar_read(&side, s, s->firsts[i]);
		if (side.name == NULL)
			return s->firsts[i];
	}
	return s->firsts[s->count - 1];
}

uint64_t outbox_first_unsealed(const struct outbox *ob)
{
	return first_unsealed(&ob->stream);
}

/* The log leaves first: without it the rest is a left-over that the next opening sweeps. */
static bool forget_segment(struct outbox *ob, size_t i, struct err *err)
{
	struct stream *s = &ob->stream;
	SCOPED_TEXT char *log = stream_file(s, s->firsts[i], "log");
	SCOPED_TEXT char *envelope = stream_file(s, s->firsts[i], "env");
	SCOPED_TEXT char *side = stream_file(s, s->firsts[i], "json");
	uint64_t beside = stream_file_size(envelope) + stream_file_size(side);
	uint64_t freed = stream_file_size(log) + beside;

	if (!history_keep(ob->dir, log, ob->id, s->firsts[i], err))
		return false;
	(void)unlink(envelope);
	(void)unlink(side);
	s->bytes -= MIN_OF(freed, s->bytes);
	s->beside -= MIN_OF(beside, s->beside);
	memmove(s->firsts + i, s->firsts + i + 1, (s->count - i - 1) * sizeof(*s->firsts));
	s->count--;
	return true;
}

/*
 * True if the site has what was sealed here, up to the end of segment `i`. Only there does a stream
 * that is this machine's alone end on the site: envelopes are stored whole.
 */
static bool is_ours(const struct outbox *ob, size_t i, uint64_t high, const char *chain)
{
	const struct stream *s = &ob->stream;
	SCOPED(sidecar) struct sidecar side;

	sidecar_read(&side, s, s->firsts[i]);
	return high == stream_last(s, i) && side.chain != NULL && strcmp(side.chain, chain) == 0;
}

/* The segments 0 to `last`. Where their chain ends is on disk before the first of them goes. */
static bool forget_segments(struct outbox *ob, size_t last, const char *chain, struct err *err)
{
	if (!covered_write(ob->dir, ob->id, stream_last(&ob->stream, last), chain, err))
		return false;
	/* From the front only: a gap would make the segment before it look longer than it is. */
	for (size_t i = 0; i <= last; i++)
		if (!forget_segment(ob, 0, err))
			return false;
	return true;
}

enum outbox_receipt outbox_apply_receipt(struct outbox *ob, uint64_t high, const char *chain,
					 struct err *err)
{
	const struct stream *s = &ob->stream;
	size_t i = s->count;

	forget_keys(ob);
	if (high >= first_unsealed(s))
		return OUTBOX_AHEAD;
	while (i > 0 && s->firsts[i - 1] > high)
		i--;
	if (i == 0 || chain == NULL)
		return OUTBOX_COVERED;
	if (!is_ours(ob, i - 1, high, chain))
		return OUTBOX_AHEAD;
	if (!forget_segments(ob, i - 1, chain, err))
		return OUTBOX_RECEIPT_FAULT;
	history_prune(ob->dir);
	return OUTBOX_COVERED;
}

/* New stream. */

static bool copy_segment(struct stream *to, const struct stream *from, size_t i, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	uint64_t next = from->firsts[i];
	struct segment_record record;
	struct span rest;

	if (!stream_read_segment(&bytes, from, i, err))
		return false;
	for (rest = buf_span(&bytes);
	     next <= stream_last(from, i) && segment_take(&rest, &record, next); next++)
		if (!stream_append(to, record.key, record.json, STREAM_LATER, err))
			return false;
	return true;
}

static bool copy_stream(const char *dir, const struct stream *from, struct err *err)
{
	struct stream to;
	bool done = stream_open(&to, dir, err);

	for (size_t i = 0; i < from->count && done; i++)
		done = copy_segment(&to, from, i, err);
	if (done && fsync(to.fd) != 0)
		done = err_sys(err, ERR_IO, errno, "outbox %s", dir);
	stream_close(&to);
	return done;
}

bool outbox_new_stream(struct outbox *ob, const char *stream, struct err *err)
{
	SCOPED_TEXT char *temp = alloc_printf("%s/.new-%s", ob->dir, stream);
	SCOPED_TEXT char *final = path_join(ob->dir, stream);
	SCOPED_TEXT char *name = path_join(ob->dir, "stream");
	SCOPED_TEXT char *text = alloc_printf("%s\n", stream);
	struct err ignored;
	bool switched;

	assert(stream_is_id(stream) && strcmp(stream, ob->id) != 0);
	/* The new one is whole under its name before the file says that it counts. */
	if (!path_remove_tree(temp, err) || !copy_stream(temp, &ob->stream, err))
		return false;
	if (rename(temp, final) != 0)
		return err_sys(err, ERR_IO, errno, "stream %s", final);
	if (!path_sync_dir(ob->dir, err))
		return false;
	switched = newfile_write(name, STREAM_FILE_MODE, span_of_text(text), err);
	/* After a fault the file may say either; what it says is what the next opening believes. */
	stream_close(&ob->stream);
	return settle_stream_id(ob, stream, switched ? err : &ignored) &&
	       open_current(ob, switched ? err : &ignored) && switched;
}

/* Looking back. */

bool outbox_recent(json_t **out, const struct outbox *ob, size_t max, struct err *err)
{
	const struct stream *s = &ob->stream;
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *all = json_array();
	size_t from = s->count;

	/* As many segments as it takes at one record each, not the whole of a full outbox. */
	while (from > 0 && s->next - s->firsts[from - 1] < max)
		from--;
	if (from == 0)
		history_list(all, ob->dir);
	for (size_t i = from > 0 ? from - 1 : 0; i < s->count; i++) {
		if (!stream_read_segment(&bytes, s, i, err))
			return false;
		history_put_segment(all, buf_span(&bytes), ob->id, s->firsts[i]);
	}
	while (json_array_size(all) > max)
		json_array_remove(all, 0);
	*out = json_incref(all);
	return true;
}

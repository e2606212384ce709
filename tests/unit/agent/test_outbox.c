#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/history.h"
#include "agent/outbox.h"
#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/random.h"

#define STREAM_A "00112233445566778899aabbccddeeff"
#define STREAM_B "ffeeddccbbaa99887766554433221100"
#define KILLS    50
#define NOW      1763822617
#define AGAIN    3600

/* System calls that change the disk fail here when the countdown reaches them. */
static int countdown;

static bool fails_now(void)
{
	if (countdown > 0 && --countdown == 0) {
		errno = EIO;
		return true;
	}
	return false;
}

int fsync(int fd)
{
	return fails_now() ? -1 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
	return fails_now() ? -1 : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int unlink(const char *path)
{
	return fails_now() ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

ssize_t write(int fd, const void *data, size_t size)
{
	/* Half of it arrives, as on a disk that fills up. */
	if (countdown == 1 && size > 1) {
		size_t half = size / 2;

		while (half > 0) {
			ssize_t n = (ssize_t)syscall(SYS_write, fd, data, half);

			if (n <= 0)
				break;
			half -= (size_t)n;
		}
	}
	return fails_now() ? -1 : (ssize_t)syscall(SYS_write, fd, data, size);
}

static int make_dir(void **state)
{
	static char dir[64];

	countdown = 0;
	snprintf(dir, sizeof(dir), "/tmp/test_outbox-XXXXXX");
	*state = mkdtemp(dir);
	return *state == NULL;
}

static int remove_dir(void **state)
{
	struct err err;

	countdown = 0;
	return path_remove_tree(*state, &err) ? 0 : 1;
}

static struct outbox *open_outbox(const char *dir)
{
	struct outbox *ob;
	struct err err;

	assert_done(outbox_open(&ob, dir, STREAM_A, 0, 1000, &err), &err);
	return ob;
}

static json_t *numbered(int n)
{
	return json_pack("{s:s,s:i}", "kind", "status", "n", n);
}

static enum outbox_result append(struct outbox *ob, int n, const char *key)
{
	json_auto_t *record = numbered(n);
	struct err err;

	return outbox_append(ob, record, key, &err);
}

static void append_many(struct outbox *ob, int from, int count)
{
	for (int n = from; n < from + count; n++)
		assert_int_equal(append(ob, n, NULL), OUTBOX_KEPT);
}

/* What was sealed, as the site would see it: number → n. */
struct site {
	const char *dir;
	int have[4096]; /* 0: not seen; n + 1 */
	int calls;
	int fail_at; /* which call fails; 0: none */
	size_t largest;
	int inventories;
	bool chain_is_lost;
	bool again;    /* names are others than before */
	bool is_bulky; /* envelopes are as large as they may be */
};

/* Stands for the chain of the records up to this number. */
static char *chain_at(uint64_t number)
{
	return number > 0 ? alloc_printf("c%llu", (unsigned long long)number) : alloc_text("");
}

static enum outbox_receipt receive(struct outbox *ob, uint64_t high)
{
	SCOPED_TEXT char *chain = chain_at(high);
	struct err err;

	return outbox_apply_receipt(ob, high, chain, &err);
}

static const uint8_t bulk[1u << 20];

static bool seal(struct outbox_sealed *out, const char *stream, uint64_t first, const char *chain,
		 const json_t *records, void *ctx, struct err *err)
{
	SCOPED_TEXT char *before = chain_at(first - 1);
	struct site *site = ctx;
	const json_t *record;
	size_t i;

	if (++site->calls == site->fail_at)
		return err_set(err, ERR_IO, "no sealing today");
	if (!site->chain_is_lost && (chain == NULL || strcmp(chain, before) != 0))
		return err_set(err, ERR_INTERNAL, "before %s: %s", before, chain);
	out->name = alloc_printf("%s-%llu%s", stream, (unsigned long long)first,
				 site->again ? "-again" : "");
	out->file = path_join(site->dir, "sealed.tmp");
	if (chain != NULL)
		out->chain = chain_at(first + json_array_size(records) - 1);
	site->largest = MAX_OF(site->largest, json_array_size(records));
	json_array_foreach (records, i, record) {
		int n = (int)jsondoc_int(record, "n", 0) + 1;
		int *slot = &site->have[first + i];

		/* One number never stands for two records. */
		if (*slot != 0 && *slot != n)
			return err_set(err, ERR_INTERNAL, "number %zu was %d, is %d",
				       (size_t)first + i, *slot, n);
		*slot = n;
		site->inventories += strcmp(jsondoc_text(record, "kind"), "inventory") == 0;
	}
	return newfile_write(out->file, 0600,
			     site->is_bulky ? span_of(bulk, sizeof(bulk)) : span_of_text(out->name),
			     err);
}

static size_t due_count(const struct outbox *ob, int64_t now_s)
{
	SCOPED(outbox_envelopes) struct outbox_envelopes due;

	outbox_due(&due, ob, now_s, AGAIN);
	return due.count;
}

static void send_all(struct outbox *ob, int64_t now_s)
{
	SCOPED(outbox_envelopes) struct outbox_envelopes due;
	struct err err;

	outbox_due(&due, ob, now_s, AGAIN);
	for (size_t i = 0; i < due.count; i++)
		assert_done(outbox_mark(ob, due.items[i].name, OUTBOX_SENT, now_s, &err), &err);
}

static size_t recent_count(const struct outbox *ob)
{
	json_auto_t *recent = NULL;
	struct err err;

	assert_done(outbox_recent(&recent, ob, 100000, &err), &err);
	return json_array_size(recent);
}

static void records_keep_their_numbers(void **state)
{
	json_auto_t *recent = NULL;
	struct err err;

	for (int n = 1; n <= 5; n++) {
		SCOPED(outbox) struct outbox *ob = open_outbox(*state);

		append_many(ob, n, 1);
		assert_int_equal(outbox_waiting(ob), n);
		assert_string_equal(outbox_stream(ob), STREAM_A);
	}
	{
		SCOPED(outbox) struct outbox *ob = open_outbox(*state);

		assert_done(outbox_recent(&recent, ob, 3, &err), &err);
	}
	assert_int_equal(json_array_size(recent), 3);
	for (int i = 0; i < 3; i++) {
		const json_t *record = json_array_get(recent, (size_t)i);

		assert_int_equal(jsondoc_int(record, "sequence", 0), i + 3);
		assert_int_equal(jsondoc_int(record, "n", 0), i + 3);
	}
}

static void a_known_key_is_not_added_again(void **state)
{
	struct site site = { .dir = *state };
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	struct err err;

	assert_int_equal(append(ob, 1, "a/1"), OUTBOX_KEPT);
	assert_int_equal(append(ob, 2, "a/2"), OUTBOX_KEPT);
	assert_int_equal(append(ob, 3, "a/1"), OUTBOX_KNOWN);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(append(ob, 3, "a/2"), OUTBOX_KNOWN);
	outbox_close(ob);
	ob = open_outbox(*state);
	assert_int_equal(append(ob, 3, "a/1"), OUTBOX_KNOWN);
	assert_int_equal(append(ob, 3, "a/3"), OUTBOX_KEPT);
}

/* KB Q311212: what was half written is no record, and harms none. */
static void a_record_torn_at_any_byte_goes(void **state)
{
	SCOPED_TEXT char *path = path_join3(*state, STREAM_A, "0000000000000001.log");
	SCOPED(buf) struct buf whole = { 0 };
	size_t two;
	struct err err;
	struct stat st;

	{
		SCOPED(outbox) struct outbox *ob = open_outbox(*state);

		append_many(ob, 1, 2);
		assert_int_equal(stat(path, &st), 0);
		two = (size_t)st.st_size;
		append_many(ob, 3, 1);
	}
	assert_done(path_read(&whole, path, 1u << 20, &err), &err);
	for (size_t size = two; size < whole.size; size++) {
		SCOPED(outbox) struct outbox *ob = NULL;

		assert_done(newfile_write(path, 0600, span_of(whole.data, size), &err), &err);
		ob = open_outbox(*state);
		assert_int_equal(outbox_waiting(ob), 2);
		append_many(ob, 7, 1);
		assert_int_equal(recent_count(ob), 3);
	}
}

static void envelopes_are_small_and_stable(void **state)
{
	struct site site = { .dir = *state };
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	struct err err;

	append_many(ob, 1, 450);
	/* A seal that fails is done again with the same records, however many came since. */
	site.fail_at = 2;
	assert_false(outbox_seal(ob, seal, &site, &err));
	outbox_close(ob);
	ob = open_outbox(*state);
	append_many(ob, 451, 30);
	site.fail_at = 0;
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(site.largest, OUTBOX_GROUP_MAX);
	for (int n = 1; n <= 450; n++)
		assert_int_equal(site.have[n], n + 1);
	/* What came while envelopes wait to be sent waits for the next one. */
	assert_int_equal(site.have[451], 0);
	assert_int_equal(due_count(ob, NOW), 3);
	send_all(ob, NOW);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(site.have[480], 481);
	assert_int_equal(due_count(ob, NOW), 1);
}

static void large_records_never_share_a_segment(void **state)
{
	struct site site = { .dir = *state };
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	SCOPED_TEXT char *text = alloc_zeroed(998u << 10, 1);
	json_auto_t *record = numbered(2), *next = numbered(3), *too_large = numbered(9);
	struct err err;

	memset(text, 'x', (998u << 10) - 1);
	jsondoc_set_text(record, "text", text);
	jsondoc_set_text(next, "text", text);
	append_many(ob, 1, 1);
	assert_int_equal(outbox_append(ob, record, NULL, &err), OUTBOX_KEPT);
	assert_int_equal(outbox_append(ob, next, NULL, &err), OUTBOX_KEPT);
	append_many(ob, 4, 1);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_in_range(site.largest, 1, 2);
	assert_int_equal(site.have[4], 5);
	jsondoc_set_text(too_large, "a", text);
	jsondoc_set_text(too_large, "b", text);
	assert_int_equal(outbox_append(ob, too_large, NULL, &err), OUTBOX_FAULT);
	assert_int_equal(err.code, ERR_LIMIT);
}

static void append_large(struct outbox *ob, int n)
{
	SCOPED_TEXT char *text = alloc_zeroed(998u << 10, 1);
	json_auto_t *record = numbered(n);
	struct err err;

	memset(text, 'x', (998u << 10) - 1);
	jsondoc_set_text(record, "text", text);
	assert_int_equal(outbox_append(ob, record, NULL, &err), OUTBOX_KEPT);
}

static void envelopes_take_a_fourth_of_the_room(void **state)
{
	struct site site = { .dir = *state, .is_bulky = true };
	SCOPED(outbox) struct outbox *ob = NULL;
	struct err err;

	assert_done(outbox_open(&ob, *state, STREAM_A, 16u << 20, 1000, &err), &err);
	for (int n = 1; n <= 10; n++)
		append_large(ob, n);
	for (uint64_t covered = 0; covered < 10; covered += due_count(ob, NOW)) {
		if (covered > 0) {
			send_all(ob, NOW);
			assert_int_equal(receive(ob, covered), OUTBOX_COVERED);
		}
		assert_done(outbox_seal(ob, seal, &site, &err), &err);
		assert_int_equal(due_count(ob, NOW), MIN_OF(10 - covered, (uint64_t)4));
		assert_in_range(outbox_bytes(ob), 1, (10 - covered + 4) << 20);
	}
	assert_int_equal(site.have[10], 11);
}

static char *uid_of_newest(const struct outbox *ob)
{
	json_auto_t *recent = NULL;
	struct err err;

	assert_done(outbox_recent(&recent, ob, 1, &err), &err);
	return alloc_text(jsondoc_text(json_array_get(recent, 0), "uid"));
}

static void a_record_keeps_its_own_id_in_a_new_stream(void **state)
{
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	struct err err;

	append_many(ob, 1, 2);
	SCOPED_TEXT char *before = uid_of_newest(ob);

	assert_int_equal(strlen(before), 2 * OUTBOX_UID_BYTES);
	assert_done(outbox_new_stream(ob, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", &err), &err);
	SCOPED_TEXT char *after = uid_of_newest(ob);

	assert_string_equal(before, after);
	append_many(ob, 3, 1);
	SCOPED_TEXT char *next = uid_of_newest(ob);

	assert_string_not_equal(next, after);
}

/* Numbers interleave exactly: the last one is ours, one before it is a clone's. */
static void a_receipt_for_a_clones_record_forgets_nothing(void **state)
{
	struct site site = { .dir = *state };
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	struct err err;

	append_many(ob, 1, 3);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	send_all(ob, NOW);
	assert_int_equal(outbox_apply_receipt(ob, 3, "another", &err), OUTBOX_AHEAD);
	assert_int_equal(outbox_waiting(ob), 3);
	/* A site that does not say what it has proves nothing. */
	assert_int_equal(outbox_apply_receipt(ob, 3, NULL, &err), OUTBOX_COVERED);
	assert_int_equal(outbox_waiting(ob), 3);
	assert_int_equal(receive(ob, 3), OUTBOX_COVERED);
	assert_int_equal(outbox_waiting(ob), 0);
	/* What was forgotten long ago is compared with nothing. */
	assert_int_equal(outbox_apply_receipt(ob, 2, "another", &err), OUTBOX_COVERED);
}

static void what_is_spoiled_is_sealed_again(void **state)
{
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	SCOPED(outbox_envelopes) struct outbox_envelopes due = { 0 };
	struct site site = { .dir = *state };
	struct err err;

	append_many(ob, 1, 3);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	send_all(ob, 1000);
	assert_done(outbox_mark(ob, STREAM_A "-1", OUTBOX_SPOILED, 1001, &err), &err);
	site.again = true;
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	outbox_due(&due, ob, 1001, AGAIN);
	assert_int_equal(due.count, 1);
	assert_string_equal(due.items[0].name, STREAM_A "-1-again");
	assert_int_equal(due.items[0].sent_s, 0);
	/* Once is enough. */
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(site.calls, 2);
	/* The site may have had the first one from elsewhere, whatever its name is here. */
	assert_done(outbox_mark(ob, STREAM_A "-1-again", OUTBOX_SPOILED, 1002, &err), &err);
	assert_int_equal(receive(ob, 3), OUTBOX_COVERED);
	assert_int_equal(outbox_waiting(ob), 0);
}

/* Nobody can say any more whether the site has what is here: it goes into a new stream. */
static void without_its_chain_nothing_is_forgotten(void **state)
{
	struct site site = { .dir = *state, .chain_is_lost = true };
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	SCOPED_TEXT char *covered = path_join(*state, "covered");
	struct err err;

	append_many(ob, 1, 1);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(receive(ob, 1), OUTBOX_COVERED);
	assert_int_equal(unlink(covered), 0);
	append_many(ob, 2, 2);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(receive(ob, 3), OUTBOX_AHEAD);
	assert_done(outbox_new_stream(ob, STREAM_B, &err), &err);
	assert_int_equal(outbox_waiting(ob), 2);
	site = (struct site){ .dir = *state };
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(receive(ob, 2), OUTBOX_COVERED);
	assert_int_equal(outbox_waiting(ob), 0);
}

/* A CAP that loses its disk loses nothing: what has no receipt is sent again. */
static void sent_is_not_done(void **state)
{
	struct site site = { .dir = *state };
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	struct err err;

	append_many(ob, 1, 3);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(due_count(ob, NOW), 1);
	send_all(ob, NOW);
	outbox_close(ob);
	ob = open_outbox(*state);
	assert_int_equal(due_count(ob, NOW + AGAIN - 1), 0);
	assert_int_equal(due_count(ob, NOW + AGAIN), 1);
	/* A clock that was ahead when it was sent must not hold it back for years. */
	assert_int_equal(due_count(ob, NOW - 100), 1);
	assert_int_equal(outbox_waiting(ob), 3);
	assert_int_equal(receive(ob, 3), OUTBOX_COVERED);
	assert_int_equal(due_count(ob, NOW + AGAIN), 0);
	assert_int_equal(outbox_waiting(ob), 0);
	assert_int_equal(recent_count(ob), 3);
	append_many(ob, 4, 1);
	assert_int_equal(recent_count(ob), 4);
}

static void only_what_is_covered_is_forgotten(void **state)
{
	static const struct {
		const char *why;
		uint64_t high;
		enum outbox_receipt want;
		uint64_t waiting;
	} cases[] = {
		{ "nothing", 0, OUTBOX_COVERED, 450 },
		{ "half an envelope, which only a clone sends", 199, OUTBOX_AHEAD, 450 },
		{ "the first envelope", 200, OUTBOX_COVERED, 250 },
		{ "an old receipt comes late", 5, OUTBOX_COVERED, 250 },
		{ "the second one", 400, OUTBOX_COVERED, 50 },
		{ "a number that was never sent", 450, OUTBOX_AHEAD, 50 },
	};
	struct site site = { .dir = *state };
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	struct err err;

	append_many(ob, 1, 400);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	append_many(ob, 401, 50);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum outbox_receipt got = receive(ob, cases[i].high);

		if (got != cases[i].want || outbox_waiting(ob) != cases[i].waiting)
			fail_msg("%s: %d, %llu wait", cases[i].why, got,
				 (unsigned long long)outbox_waiting(ob));
	}
	outbox_close(ob);
	ob = open_outbox(*state);
	assert_int_equal(outbox_waiting(ob), 50);
	append_many(ob, 451, 1);
}

static void numbers_go_on_after_everything_is_covered(void **state)
{
	struct site site = { .dir = *state };
	struct err err;

	for (int round = 0; round < 30; round++) {
		SCOPED(outbox) struct outbox *ob = open_outbox(*state);

		append_many(ob, round + 1, 1);
		assert_done(outbox_seal(ob, seal, &site, &err), &err);
		assert_int_equal(site.have[round + 1], round + 2);
		assert_int_equal(receive(ob, (uint64_t)round + 1), OUTBOX_COVERED);
	}
	{
		SCOPED(outbox) struct outbox *ob = open_outbox(*state);

		/* Looking back is bounded. */
		assert_int_equal(recent_count(ob), HISTORY_SEGMENTS_MAX);
	}
}

static void the_newest_inventory_is_sent_once(void **state)
{
	struct site site = { .dir = *state };
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	struct err err;

	for (int i = 0; i < 3; i++) {
		json_auto_t *inventory = json_pack("{s:s,s:i}", "kind", "inventory", "n", 70 + i);

		assert_int_equal(outbox_put_inventory(ob, inventory, &err), OUTBOX_KEPT);
		append_many(ob, i, 1);
	}
	assert_int_equal(outbox_waiting(ob), 3);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(site.inventories, 1);
	assert_int_equal(site.have[4], 73);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(site.inventories, 1);
}

static void a_full_outbox_drops_inventory_never_status(void **state)
{
	SCOPED(outbox) struct outbox *ob = NULL;
	json_auto_t *inventory = json_pack("{s:s,s:s}", "kind", "inventory", "x", "0123456789");
	json_auto_t *ending = NULL;
	int kept = 0;
	struct err err;

	assert_done(outbox_open(&ob, *state, STREAM_A, 20000, 0, &err), &err);
	assert_int_equal(outbox_put_inventory(ob, inventory, &err), OUTBOX_KEPT);
	while (!outbox_is_full(ob))
		append_many(ob, kept++, 1);
	/* New programs wait now, and nothing but the end of what runs fits the reserve. */
	while (append(ob, kept, NULL) == OUTBOX_KEPT)
		kept++;
	assert_true(outbox_lacks_inventory(ob));
	assert_int_equal(append(ob, kept, NULL), OUTBOX_FULL);
	ending = numbered(kept++);
	assert_int_equal(outbox_append_end(ob, ending, "LON20001-1-1/10008", &err), OUTBOX_KEPT);
	assert_int_equal(outbox_put_inventory(ob, inventory, &err), OUTBOX_FULL);
	assert_true(outbox_lacks_inventory(ob));
	assert_true(outbox_bytes(ob) <= 20000);
	assert_int_equal(outbox_waiting(ob), kept);
	assert_int_equal(recent_count(ob), kept);
}

static void a_fork_moves_what_is_not_covered(void **state)
{
	struct site site = { .dir = *state }, other = { .dir = *state };
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	struct err err;

	append_many(ob, 1, 205);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(receive(ob, 200), OUTBOX_COVERED);
	assert_int_equal(append(ob, 206, "k"), OUTBOX_KEPT);
	assert_done(outbox_new_stream(ob, STREAM_B, &err), &err);
	assert_string_equal(outbox_stream(ob), STREAM_B);
	assert_int_equal(outbox_waiting(ob), 6);
	assert_int_equal(append(ob, 206, "k"), OUTBOX_KNOWN);
	outbox_close(ob);
	ob = open_outbox(*state);
	assert_string_equal(outbox_stream(ob), STREAM_B);
	assert_done(outbox_seal(ob, seal, &other, &err), &err);
	for (int n = 1; n <= 6; n++)
		assert_int_equal(other.have[n], 200 + n + 1);
}

static void rotten_records_leave_no_hole(void **state)
{
	struct site site = { .dir = *state };
	SCOPED_TEXT char *path = path_join3(*state, STREAM_A, "0000000000000001.log");
	SCOPED(outbox) struct outbox *ob = open_outbox(*state);
	struct err err;
	int fd;

	append_many(ob, 1, 201);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "rot", 3, 400), 3);
	close(fd);
	assert_done(outbox_seal(ob, seal, &site, &err), &err);
	assert_int_equal(site.have[1], 2);
	assert_int_equal(site.have[200], 1);
	assert_int_equal(site.have[201], 202);
}

static void a_second_opener_waits_or_gives_up(void **state)
{
	SCOPED(outbox) struct outbox *a = open_outbox(*state);
	struct outbox *b;
	struct err err;

	assert_non_null(a);
	assert_false(outbox_open(&b, *state, STREAM_A, 0, 30, &err));
	assert_int_equal(err.code, ERR_LOCKED);
}

/* One life of an outbox. Steps that fail are left undone; acknowledged numbers go into `acked`. */
static void live(const char *dir, struct site *site, bool *acked)
{
	SCOPED(outbox) struct outbox *ob = NULL;
	json_auto_t *inventory = json_pack("{s:s,s:i}", "kind", "inventory", "n", 0);
	struct err err;

	if (!outbox_open(&ob, dir, STREAM_A, 0, 0, &err))
		return;
	for (int n = 1; n <= 4; n++) {
		char key[8];

		snprintf(key, sizeof(key), "k%d", n);
		acked[n] |= append(ob, n, key) <= OUTBOX_KNOWN;
	}
	(void)!outbox_put_inventory(ob, inventory, &err);
	(void)!outbox_seal(ob, seal, site, &err);
	for (int n = 5; n <= 6; n++)
		acked[n] |= append(ob, n, NULL) == OUTBOX_KEPT;
	(void)!receive(ob, 2);
	if (strcmp(outbox_stream(ob), STREAM_A) == 0)
		(void)!outbox_new_stream(ob, STREAM_B, &err);
}

/* Every call that changes the disk fails once; each time the outbox must recover whole. */
static void the_nth_failure_loses_nothing(void **state)
{
	int calls;

	countdown = 1000000;
	{
		struct site site = { .dir = *state };
		bool acked[16] = { 0 };
		struct err err;

		live(*state, &site, acked);
		calls = 1000000 - countdown;
		countdown = 0;
		assert_true(path_remove_tree(*state, &err));
	}
	assert_in_range(calls, 20, 500);
	for (int n = 1; n <= calls; n++) {
		struct site site = { .dir = *state }, after = { .dir = *state };
		SCOPED(outbox) struct outbox *ob = NULL;
		bool acked[16] = { 0 };
		int seen[16] = { 0 };
		json_auto_t *recent = NULL;
		const json_t *record;
		struct err err;
		size_t k;

		countdown = n;
		live(*state, &site, acked);
		countdown = 0;
		ob = open_outbox(*state);
		assert_done(outbox_seal(ob, seal, &after, &err), &err);
		send_all(ob, NOW);
		assert_done(outbox_seal(ob, seal, &after, &err), &err);
		assert_done(outbox_recent(&recent, ob, 1000, &err), &err);
		json_array_foreach (recent, k, record)
			seen[jsondoc_int(record, "n", 0) % 16]++;
		for (int i = 1; i <= 6; i++)
			if (acked[i] && seen[i] != 1)
				fail_msg("call %d fails: record %d is there %d times", n, i,
					 seen[i]);
		outbox_close(ob);
		ob = NULL;
		assert_true(path_remove_tree(*state, &err));
		assert_int_equal(mkdir(*state, 0700), 0);
	}
	print_message("# %d calls failed in turn\n", calls);
}

/* Append for ever and tell each acknowledged number. */
static void append_until_killed(const char *dir, int told)
{
	struct site site = { .dir = dir };
	struct err err;

	for (int n = 1;; n++) {
		SCOPED(outbox) struct outbox *ob = NULL;
		char key[16];

		snprintf(key, sizeof(key), "k%d", n);
		if (!outbox_open(&ob, dir, STREAM_A, 0, 1000, &err) ||
		    append(ob, n, key) > OUTBOX_KNOWN ||
		    syscall(SYS_write, told, &n, sizeof(n)) != sizeof(n))
			_exit(1);
		if (n % 5 == 0 && !outbox_seal(ob, seal, &site, &err))
			_exit(1);
	}
}

static void a_kill_loses_no_acknowledged_record(void **state)
{
	struct random_seq r;
	const uint64_t seed = testing_seed();

	random_seq_init(&r, seed, "kills");
	for (int round = 0; round < KILLS; round++) {
		struct timespec pause = { .tv_nsec = (long)random_seq_below(&r, 25000000) };
		SCOPED(outbox) struct outbox *ob = NULL;
		json_auto_t *recent = NULL;
		int told[2], n = 0, last = 0;
		struct err err;
		pid_t pid;

		assert_int_equal(pipe2(told, O_CLOEXEC), 0);
		pid = fork();
		if (pid == 0)
			append_until_killed(*state, told[1]);
		close(told[1]);
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		while (read(told[0], &n, sizeof(n)) == sizeof(n))
			last = n;
		close(told[0]);
		ob = open_outbox(*state);
		assert_done(outbox_recent(&recent, ob, 100000, &err), &err);
		assert_in_range(json_array_size(recent), last, last + 1);
		for (int i = 0; i < last; i++) {
			const json_t *record = json_array_get(recent, (size_t)i);

			assert_int_equal(jsondoc_int(record, "n", 0), i + 1);
			assert_int_equal(jsondoc_int(record, "sequence", 0), i + 1);
		}
		outbox_close(ob);
		ob = NULL;
		assert_true(path_remove_tree(*state, &err));
	}
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_dir, remove_dir)

TESTING_MAIN(CASE(records_keep_their_numbers), CASE(a_known_key_is_not_added_again),
	     CASE(a_record_torn_at_any_byte_goes), CASE(envelopes_are_small_and_stable),
	     CASE(large_records_never_share_a_segment), CASE(envelopes_take_a_fourth_of_the_room),
	     CASE(sent_is_not_done), CASE(a_record_keeps_its_own_id_in_a_new_stream),
	     CASE(a_receipt_for_a_clones_record_forgets_nothing),
	     CASE(what_is_spoiled_is_sealed_again), CASE(without_its_chain_nothing_is_forgotten),
	     CASE(only_what_is_covered_is_forgotten),
	     CASE(numbers_go_on_after_everything_is_covered),
	     CASE(the_newest_inventory_is_sent_once),
	     CASE(a_full_outbox_drops_inventory_never_status),
	     CASE(a_fork_moves_what_is_not_covered), CASE(rotten_records_leave_no_hole),
	     CASE(a_second_opener_waits_or_gives_up), CASE(the_nth_failure_loses_nothing),
	     CASE(a_kill_loses_no_acknowledged_record), )

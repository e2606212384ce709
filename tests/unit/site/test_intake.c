/*
 * Uploads into the database: everything exactly once, whatever the inbox does (Q301352, Q292030,
 * Q311212, Q325585).
 */
#include "site/intake.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "site/client.h"
#include "site/report.h"
#include "site/sitekeys.h"
#include "site/token.h"
#include "support/sitebox.h"
#include "support/testing.h"
#include "trust/receipt.h"

struct scene {
	struct sitebox box;
	struct sitebox_client client;
};

static int open_scene(void **state)
{
	struct scene *s = alloc_zeroed(1, sizeof(*s));

	sitebox_open(&s->box);
	sitebox_client_init(&s->client, 7);
	*state = s;
	return 0;
}

static int close_scene(void **state)
{
	struct scene *s = *state;

	sitebox_client_release(&s->client);
	sitebox_close(&s->box);
	free(s);
	return 0;
}

static struct intake_result sweep(struct scene *s)
{
	struct intake_result result;
	struct err err = { 0 };

	assert_done(intake_run(&result, s->box.site, &err), &err);
	return result;
}

static void enrol(struct scene *s)
{
	char token[TOKEN_SIZE];
	struct err err = { 0 };

	assert_done(token_create(token, s->box.site, 1, 3600, &err), &err);
	sitebox_put_enrolment(&s->box, &s->client, token);
	assert_int_equal(sweep(s).counts.enrolled, 1);
}

static void put_status(struct scene *s, uint64_t first, int count, const char *text)
{
	json_auto_t *records = json_array();

	for (int i = 0; i < count; i++)
		json_array_append_new(records, sitebox_status(10002, "LON20001", text));
	sitebox_put_records(&s->box, &s->client, first, records);
}

static size_t messages(struct scene *s)
{
	json_auto_t *rows = NULL;
	struct err err = { 0 };

	assert_done(report_messages(&rows, s->box.site, s->client.id, NULL, &err), &err);
	return json_array_size(rows);
}

/* The receipt as the client would read it; the caller frees it. */
static struct receipt *read_receipt(struct scene *s)
{
	char shard[CLIENT_SHARD_SIZE];
	SCOPED_TEXT char *path = NULL;
	SCOPED(signer) struct signer *key = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct receipt *receipt = NULL;
	struct err err = { 0 };
	struct receipt_expected expected;

	client_shard(shard, s->client.id);
	path = alloc_printf("%s/cap/receipts/%s.json", s->box.dir, shard);
	assert_done(path_read(&bytes, path, RECEIPT_SIZE_MAX, &err), &err);
	assert_done(sitekeys_load_receipt(&key, s->box.site, &err), &err);
	expected = (struct receipt_expected){
		.site = "LON",
		.shard = shard,
		.key = signer_public(key),
	};
	assert_int_equal(receipt_open(&receipt, buf_span(&bytes), &expected), RECEIPT_OK);
	return receipt;
}

static uint64_t high_of(struct scene *s)
{
	SCOPED(receipt) struct receipt *receipt = read_receipt(s);
	const struct receipt_client *client = receipt_find_client(receipt, s->client.id);
	const struct receipt_stream *stream;

	assert_non_null(client);
	stream = receipt_find_stream(client, s->client.stream);
	return stream != NULL ? stream->high : 0;
}

static void a_token_enrols_once(void **state)
{
	struct scene *s = *state;
	SCOPED(receipt) struct receipt *receipt = NULL;

	enrol(s);
	receipt = read_receipt(s);
	assert_int_equal(receipt_find_client(receipt, s->client.id)->state, RECEIPT_ENROLLED);
	assert_int_equal(sitebox_count_files(&s->box, "cap/inbox"), 0);
}

static void a_used_up_token_leaves_the_client_pending_until_it_is_approved(void **state)
{
	struct scene *s = *state;
	struct err err = { 0 };

	sitebox_put_enrolment(&s->box, &s->client, "LON-nonsense");
	assert_int_equal(sweep(s).counts.pending, 1);
	put_status(s, 1, 1, "received");
	assert_int_equal(sweep(s).waiting, 1);
	assert_int_equal(messages(s), 0);
	assert_done(client_approve(s->box.site, s->client.id, &err), &err);
	assert_int_equal(sweep(s).counts.records, 1);
	assert_int_equal(messages(s), 1);
}

static void the_same_object_twice_is_stored_once(void **state)
{
	struct scene *s = *state;
	struct intake_result result;

	enrol(s);
	put_status(s, 1, 5, "received");
	assert_int_equal(sweep(s).counts.records, 5);
	put_status(s, 1, 5, "received");
	result = sweep(s);
	assert_int_equal(result.counts.records, 0);
	assert_int_equal(result.counts.duplicates, 5);
	assert_int_equal(messages(s), 5);
	assert_int_equal(high_of(s), 5);
}

static void objects_in_reverse_order_end_in_sequence(void **state)
{
	struct scene *s = *state;

	enrol(s);
	put_status(s, 4, 3, "received");
	assert_int_equal(sweep(s).counts.records, 3);
	/* One gap row stands before the three. */
	assert_int_equal(messages(s), 4);
	assert_int_equal(high_of(s), 0);
	put_status(s, 1, 3, "received");
	sweep(s);
	assert_int_equal(messages(s), 6);
	assert_int_equal(high_of(s), 6);
}

static void half_an_object_waits_a_day_and_is_then_refused(void **state)
{
	struct scene *s = *state;
	static const char name[] =
		"0123456789abcdef0123456789abcdef-0123456789abcdef0123456789abcdef-"
		"1-100-0000000000000000000000000000000000000000000000000000000000000000";

	sitebox_put_raw(&s->box, name, span_of_text("half"));
	assert_int_equal(sweep(s).incomplete, 1);
	s->box.now_s += INTAKE_PATIENCE_S - 1;
	assert_int_equal(sweep(s).incomplete, 1);
	s->box.now_s += 1;
	assert_int_equal(sweep(s).refused, 1);
	assert_int_equal(sitebox_count_files(&s->box, "cap/inbox"), 0);
	assert_int_equal(sitebox_count_files(&s->box, "site/quarantine"), 2);
}

static void foreign_files_are_refused(void **state)
{
	struct scene *s = *state;
	json_auto_t *alerts = NULL;
	struct err err = { 0 };

	sitebox_put_raw(&s->box, "hello.txt", span_of_text("hello"));
	assert_int_equal(sweep(s).refused, 1);
	assert_done(report_alerts(&alerts, s->box.site, &err), &err);
	assert_non_null(strstr(jsondoc_text(json_array_get(alerts, 0), "text"), "wrong-name"));
}

static void an_unknown_client_is_refused(void **state)
{
	struct scene *s = *state;

	put_status(s, 1, 1, "received");
	assert_int_equal(sweep(s).refused, 1);
	assert_int_equal(messages(s), 0);
}

static void the_same_number_with_other_content_is_a_fork(void **state)
{
	struct scene *s = *state;
	SCOPED(receipt) struct receipt *receipt = NULL;

	enrol(s);
	put_status(s, 1, 2, "received");
	sweep(s);
	put_status(s, 2, 1, "another life");
	sweep(s);
	receipt = read_receipt(s);
	assert_true(
		receipt_find_stream(receipt_find_client(receipt, s->client.id), s->client.stream)
			->fork);
	assert_int_equal(messages(s), 2);
}

static void inventory_replaces_what_was_known(void **state)
{
	struct scene *s = *state;
	json_auto_t *rows = NULL;
	json_auto_t *records = json_pack("[{s:s, s:s, s:b, s:{s:[{s:s, s:s}], s:[{s:s}]}}]", "kind",
					 "inventory", "time", "2026-11-22T14:43:37Z", "full", 1,
					 "tables", "os", "id", "debian", "version", "12", "client",
					 "name", "ws1");
	struct err err = { 0 };

	enrol(s);
	sitebox_put_records(&s->box, &s->client, 1, records);
	assert_int_equal(sweep(s).counts.records, 1);
	assert_done(
		report_query(&rows, s->box.site,
			     "SELECT c.name, o.id FROM client AS c JOIN os AS o USING(client_id)",
			     &err),
		&err);
	assert_int_equal(json_array_size(rows), 1);
	assert_string_equal(jsondoc_text(json_array_get(rows, 0), "name"), "ws1");
	assert_string_equal(jsondoc_text(json_array_get(rows, 0), "id"), "debian");
	assert_int_equal(high_of(s), 1);
}

static void a_record_that_cannot_be_read_is_refused_by_its_number(void **state)
{
	struct scene *s = *state;
	SCOPED(receipt) struct receipt *receipt = NULL;
	json_auto_t *records = json_pack("[{s:s}]", "kind", "weather");
	const struct receipt_stream *stream;

	enrol(s);
	sitebox_put_records(&s->box, &s->client, 1, records);
	sweep(s);
	receipt = read_receipt(s);
	stream = receipt_find_stream(receipt_find_client(receipt, s->client.id), s->client.stream);
	assert_int_equal(stream->high, 1);
	assert_non_null(receipt_refusal_of(stream, 1));
}

static const struct receipt_stream *stream_of(const struct receipt *receipt, struct scene *s)
{
	return receipt_find_stream(receipt_find_client(receipt, s->client.id), s->client.stream);
}

/* Each of two twins would take the other's records for its own. */
static void a_forked_stream_takes_nothing_more(void **state)
{
	struct scene *s = *state;
	SCOPED(receipt) struct receipt *receipt = NULL;

	enrol(s);
	put_status(s, 1, 2, "received");
	sweep(s);
	put_status(s, 2, 3, "another life");
	assert_int_equal(sweep(s).counts.forks, 1);
	put_status(s, 3, 5, "received");
	assert_int_equal(sweep(s).counts.records, 0);
	assert_int_equal(messages(s), 2);
	receipt = read_receipt(s);
	assert_int_equal(stream_of(receipt, s)->high, 2);
	/* What is not covered comes again in a new stream. */
	snprintf(s->client.stream, sizeof(s->client.stream), "%s",
		 "00112233445566778899aabbccddeeff");
	put_status(s, 1, 5, "received");
	assert_int_equal(sweep(s).counts.records, 5);
	assert_int_equal(sitebox_count_files(&s->box, "cap/inbox"), 0);
}

static json_t *with_uid(json_t *record, char digit)
{
	char uid[33];

	memset(uid, digit, 32);
	uid[32] = '\0';
	jsondoc_set_text(record, "uid", uid);
	return record;
}

/* `uids`: one digit for each record. */
static void put_with_uids(struct scene *s, uint64_t first, const char *uids)
{
	json_auto_t *records = json_array();

	for (; *uids != '\0'; uids++)
		json_array_append_new(
			records, with_uid(sitebox_status(10002, "LON20001", "received"), *uids));
	sitebox_put_records(&s->box, &s->client, first, records);
}

static void in_stream(struct scene *s, const char *stream)
{
	snprintf(s->client.stream, sizeof(s->client.stream), "%s", stream);
}

/* What was stored without a receipt is sent again under another number. */
static void a_record_stands_once_whatever_its_stream_is(void **state)
{
	struct scene *s = *state;
	struct intake_result result;

	enrol(s);
	put_with_uids(s, 1, "123");
	assert_int_equal(sweep(s).counts.records, 3);
	in_stream(s, "00112233445566778899aabbccddeeff");
	put_with_uids(s, 1, "234");
	result = sweep(s);
	assert_int_equal(result.counts.records, 1);
	assert_int_equal(result.counts.duplicates, 2);
	assert_int_equal(messages(s), 4);
	assert_int_equal(high_of(s), 3);
}

/* The chain that a client has after sending these; `uids` as in put_with_uids. */
static void chain_of(char hex[DIGEST_HEX_SIZE], const char *uids)
{
	struct digest chain = ENVELOPE_CHAIN_START, hash;

	for (; *uids != '\0'; uids++) {
		json_auto_t *record = with_uid(sitebox_status(10002, "LON20001", "received"),
					       *uids);

		envelope_record_hash(&hash, record);
		envelope_chain_add(&chain, &hash);
	}
	digest_print(hex, &chain);
}

static void the_receipt_is_for(struct scene *s, const char *uids)
{
	SCOPED(receipt) struct receipt *receipt = read_receipt(s);
	char hex[DIGEST_HEX_SIZE];

	chain_of(hex, uids);
	assert_int_equal(stream_of(receipt, s)->high, strlen(uids));
	assert_string_equal(stream_of(receipt, s)->chain, hex);
}

/* What a receipt is for is all records up to its number, whatever their way here was. */
static void a_receipt_is_for_the_whole_chain(void **state)
{
	struct scene *s = *state;

	enrol(s);
	put_with_uids(s, 1, "12");
	sweep(s);
	the_receipt_is_for(s, "12");
	put_with_uids(s, 6, "6");
	put_with_uids(s, 4, "45");
	sweep(s);
	the_receipt_is_for(s, "12");
	put_with_uids(s, 3, "3");
	put_with_uids(s, 1, "12");
	sweep(s);
	the_receipt_is_for(s, "123456");
}

/* Twins whose numbers interleave: no number has two records, and neither gets a receipt for its
 * own. */
static void neither_of_two_twins_gets_a_receipt_for_the_others_records(void **state)
{
	struct scene *s = *state;
	SCOPED(receipt) struct receipt *receipt = NULL;
	char one[DIGEST_HEX_SIZE], other[DIGEST_HEX_SIZE];

	enrol(s);
	put_with_uids(s, 1, "12ab");
	put_with_uids(s, 5, "ef");
	assert_int_equal(sweep(s).counts.forks, 0);
	receipt = read_receipt(s);
	chain_of(one, "12abcd");
	chain_of(other, "12cdef");
	assert_int_equal(stream_of(receipt, s)->high, 6);
	assert_string_not_equal(stream_of(receipt, s)->chain, one);
	assert_string_not_equal(stream_of(receipt, s)->chain, other);
	the_receipt_is_for(s, "12abef");
}

/* Two machines of one identity: what they did together stands once, what each did alone as well. */
static void twins_lose_nothing_and_double_nothing(void **state)
{
	struct scene *s = *state;
	char common[ENVELOPE_ID_SIZE];

	enrol(s);
	snprintf(common, sizeof(common), "%s", s->client.stream);
	put_with_uids(s, 1, "12a");
	sweep(s);
	put_with_uids(s, 2, "2b");
	assert_int_equal(sweep(s).counts.forks, 1);
	in_stream(s, "000000000000000000000000000000aa");
	put_with_uids(s, 1, "12ac");
	in_stream(s, "000000000000000000000000000000bb");
	put_with_uids(s, 1, "2bd");
	sweep(s);
	assert_int_equal(messages(s), 6); /* 1 2 a b c d */
	in_stream(s, common);
	put_with_uids(s, 4, "c");
	assert_int_equal(sweep(s).counts.records, 0);
	assert_int_equal(messages(s), 6);
}

static void an_id_of_another_client_is_no_duplicate(void **state)
{
	struct scene *s = *state;

	enrol(s);
	put_with_uids(s, 1, "1");
	sweep(s);
	sitebox_client_release(&s->client);
	sitebox_client_init(&s->client, 77);
	enrol(s);
	put_with_uids(s, 1, "1");
	assert_int_equal(sweep(s).counts.records, 1);
}

/* Old clients give none, and a text that is none names nothing. */
static void what_is_no_id_tells_no_records_apart(void **state)
{
	struct scene *s = *state;
	json_auto_t *records = json_array();

	enrol(s);
	for (int i = 0; i < 2; i++) {
		json_t *record = sitebox_status(10002, "LON20001", "received");

		jsondoc_set_text(record, "uid", "no id");
		json_array_append_new(records, record);
	}
	sitebox_put_records(&s->box, &s->client, 1, records);
	assert_int_equal(sweep(s).counts.records, 2);
}

static void a_lost_record_keeps_the_numbers_contiguous(void **state)
{
	struct scene *s = *state;
	json_auto_t *lost = json_pack("[{s:s}, {s:s}]", "kind", "lost", "kind", "lost");
	struct intake_result result;

	enrol(s);
	put_status(s, 1, 1, "received");
	sweep(s);
	/* The first one rotted after it had arrived: that is no other life. */
	sitebox_put_records(&s->box, &s->client, 1, lost);
	result = sweep(s);
	assert_int_equal(result.counts.forks, 0);
	assert_int_equal(result.counts.malformed, 0);
	assert_int_equal(high_of(s), 2);
	assert_int_equal(messages(s), 1);
}

static json_t *new_inventory(const char *version)
{
	return json_pack("[{s:s, s:s, s:b, s:{s:[{s:s, s:s}]}}]", "kind", "inventory", "time",
			 "2026-11-22T14:43:37Z", "full", 1, "tables", "os", "id", "debian",
			 "version", version);
}

static void an_older_inventory_does_not_replace_a_newer_one(void **state)
{
	struct scene *s = *state;
	json_auto_t *older = new_inventory("11");
	json_auto_t *newer = new_inventory("12");
	json_auto_t *rows = NULL;
	struct err err = { 0 };

	enrol(s);
	sitebox_put_records(&s->box, &s->client, 2, newer);
	sweep(s);
	sitebox_put_records(&s->box, &s->client, 1, older);
	assert_int_equal(sweep(s).counts.records, 1);
	assert_int_equal(high_of(s), 2);
	assert_done(report_query(&rows, s->box.site, "SELECT version FROM os", &err), &err);
	assert_int_equal(json_array_size(rows), 1);
	assert_string_equal(jsondoc_text(json_array_get(rows, 0), "version"), "12");
}

static void a_bad_inventory_leaves_the_old_one(void **state)
{
	struct scene *s = *state;
	json_auto_t *good = new_inventory("12");
	json_auto_t *bad = json_pack("[{s:s, s:{s:[], s:s}}]", "kind", "inventory", "tables", "os",
				     "software", "none");
	json_auto_t *rows = NULL;
	struct err err = { 0 };

	enrol(s);
	sitebox_put_records(&s->box, &s->client, 1, good);
	sitebox_put_records(&s->box, &s->client, 2, bad);
	assert_int_equal(sweep(s).counts.malformed, 1);
	assert_done(report_query(&rows, s->box.site, "SELECT version FROM os", &err), &err);
	assert_int_equal(json_array_size(rows), 1);
	assert_int_equal(high_of(s), 2);
}

/* The only object in the inbox: its name and bytes. */
static char *take_object(struct scene *s, struct buf *bytes)
{
	SCOPED_TEXT char *inbox = sitebox_path(&s->box, "cap/inbox");
	SCOPED_TEXT char *path = NULL;
	struct err err = { 0 };
	struct dirent *entry;
	char *name = NULL;
	DIR *dir = opendir(inbox);

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			name = alloc_text(entry->d_name);
	closedir(dir);
	assert_non_null(name);
	path = path_join(inbox, name);
	assert_done(path_read(bytes, path, ENVELOPE_SIZE_MAX, &err), &err);
	assert_int_equal(unlink(path), 0);
	return name;
}

static void an_object_is_taken_once_its_rest_has_come(void **state)
{
	struct scene *s = *state;
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED_TEXT char *name = NULL;

	enrol(s);
	put_status(s, 1, 3, "received");
	name = take_object(s, &bytes);
	sitebox_put_raw(&s->box, name, span_of(bytes.data, bytes.size / 2));
	assert_int_equal(sweep(s).incomplete, 1);
	/* All of its room, and not yet all of its bytes. */
	bytes.data[bytes.size - 1] ^= 1;
	sitebox_put_raw(&s->box, name, buf_span(&bytes));
	assert_int_equal(sweep(s).incomplete, 1);
	bytes.data[bytes.size - 1] ^= 1;
	sitebox_put_raw(&s->box, name, buf_span(&bytes));
	assert_int_equal(sweep(s).counts.records, 3);
	assert_int_equal(messages(s), 3);
}

static void what_another_key_signed_is_refused(void **state)
{
	struct scene *s = *state;
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED_TEXT char *name = NULL;
	struct envelope_name promised;
	char text[ENVELOPE_NAME_SIZE];

	enrol(s);
	put_status(s, 1, 1, "received");
	name = take_object(s, &bytes);
	bytes.data[bytes.size - 1] ^= 1;
	assert_true(envelope_name_parse(&promised, name));
	digest_of(&promised.sha256, buf_span(&bytes));
	envelope_name_print(text, &promised);
	sitebox_put_raw(&s->box, text, buf_span(&bytes));
	assert_int_equal(sweep(s).refused, 1);
	assert_int_equal(messages(s), 0);
	assert_int_equal(sitebox_count_files(&s->box, "site/quarantine"), 2);
}

static void a_removed_client_is_refused_until_it_is_approved_again(void **state)
{
	struct scene *s = *state;
	struct err err = { 0 };

	enrol(s);
	assert_done(client_remove(s->box.site, s->client.id, &err), &err);
	put_status(s, 1, 1, "received");
	sitebox_put_enrolment(&s->box, &s->client, NULL);
	assert_int_equal(sweep(s).refused, 1);
	{
		SCOPED(receipt) struct receipt *receipt = read_receipt(s);

		assert_int_equal(receipt_find_client(receipt, s->client.id)->state,
				 RECEIPT_REMOVED);
	}
	assert_done(client_approve(s->box.site, s->client.id, &err), &err);
	put_status(s, 1, 1, "received");
	assert_int_equal(sweep(s).counts.records, 1);
}

static void enrolling_again_costs_no_token(void **state)
{
	struct scene *s = *state;
	json_auto_t *tokens = NULL;
	char token[TOKEN_SIZE];
	struct err err = { 0 };

	assert_done(token_create(token, s->box.site, 5, 3600, &err), &err);
	sitebox_put_enrolment(&s->box, &s->client, token);
	sweep(s);
	sitebox_put_enrolment(&s->box, &s->client, token);
	assert_int_equal(sweep(s).counts.enrolled, 0);
	assert_done(token_list(&tokens, s->box.site, &err), &err);
	assert_int_equal(jsondoc_int(json_array_get(tokens, 0), "used", 0), 1);
}

static void a_client_over_its_quota_waits_for_tomorrow(void **state)
{
	struct scene *s = *state;
	struct err err = { 0 };

	enrol(s);
	/* As if it had sent that much today already. */
	assert_done(db_begin(s->box.site->db, &err), &err);
	assert_done(db_run(s->box.site->db, STMT_CLIENT_SEEN,
			   DB_ARGS(db_text(s->client.id), db_int(s->box.now_s),
				   db_int(s->box.now_s / 86400), db_int(INGEST_DAY_BYTES_MAX)),
			   &err),
		    &err);
	assert_done(db_commit(s->box.site->db, &err), &err);
	put_status(s, 1, 1, "received");
	assert_int_equal(sweep(s).waiting, 1);
	assert_int_equal(sweep(s).waiting, 1);
	assert_int_equal(sitebox_count_files(&s->box, "cap/inbox"), 1);
	s->box.now_s = (s->box.now_s / 86400 + 1) * 86400;
	assert_int_equal(sweep(s).counts.records, 1);
}

/* Its folder is in the way of the receipts, then it is not. */
static void a_cap_gets_the_receipts_it_missed(void **state)
{
	struct scene *s = *state;
	SCOPED_TEXT char *receipts = sitebox_path(&s->box, "cap/receipts");
	struct intake_result result;
	struct err err = { 0 };

	enrol(s);
	assert_done(path_remove_tree(receipts, &err), &err);
	assert_int_equal(symlink("nowhere", receipts), 0);
	put_status(s, 1, 2, "received");
	result = sweep(s);
	assert_int_equal(result.counts.records, 2);
	assert_int_equal(result.caps_failed, 1);
	assert_non_null(strstr(result.why, "cap1: "));
	assert_int_equal(unlink(receipts), 0);
	result = sweep(s);
	assert_int_equal(result.caps_failed, 0);
	assert_int_equal(result.receipts, 0);
	assert_int_equal(high_of(s), 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
TESTING_MAIN(
	CASE(a_token_enrols_once),
	CASE(a_used_up_token_leaves_the_client_pending_until_it_is_approved),
	CASE(the_same_object_twice_is_stored_once), CASE(objects_in_reverse_order_end_in_sequence),
	CASE(half_an_object_waits_a_day_and_is_then_refused), CASE(foreign_files_are_refused),
	CASE(an_unknown_client_is_refused), CASE(the_same_number_with_other_content_is_a_fork),
	CASE(inventory_replaces_what_was_known),
	CASE(a_record_that_cannot_be_read_is_refused_by_its_number),
	CASE(a_forked_stream_takes_nothing_more), CASE(a_record_stands_once_whatever_its_stream_is),
	CASE(a_receipt_is_for_the_whole_chain),
	CASE(neither_of_two_twins_gets_a_receipt_for_the_others_records),
	CASE(twins_lose_nothing_and_double_nothing), CASE(an_id_of_another_client_is_no_duplicate),
	CASE(what_is_no_id_tells_no_records_apart),
	CASE(a_lost_record_keeps_the_numbers_contiguous),
	CASE(an_older_inventory_does_not_replace_a_newer_one),
	CASE(a_bad_inventory_leaves_the_old_one), CASE(an_object_is_taken_once_its_rest_has_come),
	CASE(what_another_key_signed_is_refused),
	CASE(a_removed_client_is_refused_until_it_is_approved_again),
	CASE(enrolling_again_costs_no_token), CASE(a_client_over_its_quota_waits_for_tomorrow),
	CASE(a_cap_gets_the_receipts_it_missed))

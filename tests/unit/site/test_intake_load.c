/*
 * Intake under stress: killed at random moments, and with a thousand clients. PACKWAY_TEST_SEED
 * repeats a run.
 */
#include "site/intake.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "common/random.h"
#include "site/report.h"
#include "site/sitekeys.h"
#include "site/token.h"
#include "support/sitebox.h"
#include "support/testing.h"
#include "trust/receipt.h"

#define KILLS        50
#define KILL_CLIENTS 6
#define KILL_RECORDS 5 /* per envelope; each client sends one per round */
#define KILL_MAX_US  30000

#define LOAD_CLIENTS   1000
#define LOAD_ENVELOPES 5
#define LOAD_RECORDS   20

static void put_status(struct sitebox *box, struct sitebox_client *client, uint64_t first,
		       size_t count)
{
	json_auto_t *records = json_array();

	for (size_t i = 0; i < count; i++) {
		SCOPED_TEXT char *text = alloc_printf("record %" PRIu64, first + i);

		json_array_append_new(records, sitebox_status(10002, "LON20001", text));
	}
	sitebox_put_records(box, client, first, records);
}

static void enrol_all(struct sitebox *box, struct sitebox_client *clients, size_t count)
{
	char token[TOKEN_SIZE];
	struct err err = { 0 };

	assert_done(token_create(token, box->site, count, 3600, &err), &err);
	for (size_t i = 0; i < count; i++) {
		sitebox_client_init(&clients[i], (uint16_t)(i + 1));
		sitebox_put_enrolment(box, &clients[i], token);
	}
}

/* ---- killed ---- */

static void sweep_in_child(const struct sitebox *box, int ready)
{
	SCOPED_TEXT char *dir = sitebox_path(box, "site");
	struct intake_result result;
	struct site *site = NULL;
	struct err err = { 0 };

	if (!site_open(&site, dir, &box->clock, &err) || write(ready, "r", 1) != 1 ||
	    !intake_run(&result, site, &err)) {
		fprintf(stderr, "intake: %s\n", err.why);
		_exit(1);
	}
	_exit(0);
}

/* True if the sweep was killed, false if it was done before. */
static bool sweep_and_kill(const struct sitebox *box, uint64_t after_us)
{
	const struct timespec delay = { .tv_nsec = (long)(after_us * 1000) };
	int status, ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		sweep_in_child(box, ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	nanosleep(&delay, NULL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ready[0]);
	close(ready[1]);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status);
}

static void check_timeline(struct sitebox *box, const struct sitebox_client *client, size_t count)
{
	json_auto_t *rows = NULL;
	struct err err = { 0 };

	assert_done(report_messages(&rows, box->site, client->id, NULL, &err), &err);
	assert_int_equal(json_array_size(rows), count);
	for (size_t i = 0; i < count; i++) {
		SCOPED_TEXT char *text = alloc_printf("record %zu", i + 1);
		const json_t *row = json_array_get(rows, i);

		assert_int_equal(jsondoc_int(row, "sequence", 0), i + 1);
		assert_string_equal(jsondoc_text(row, "text"), text);
	}
}

static void check_receipt(struct sitebox *box, const struct sitebox_client *client, uint64_t high)
{
	SCOPED(signer) struct signer *key = NULL;
	SCOPED(receipt) struct receipt *receipt = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED_TEXT char *path = NULL;
	char shard[RECEIPT_SHARD_SIZE];
	struct receipt_expected expected = { .site = "LON", .shard = shard };
	const struct receipt_client *found;
	struct err err = { 0 };

	receipt_shard(shard, client->id);
	path = alloc_printf("%s/cap/receipts/%s.json", box->dir, shard);
	assert_done(sitekeys_load_receipt(&key, box->site, &err), &err);
	assert_done(path_read(&bytes, path, RECEIPT_SIZE_MAX, &err), &err);
	expected.key = signer_public(key);
	assert_int_equal(receipt_open(&receipt, buf_span(&bytes), &expected), RECEIPT_OK);
	found = receipt_find_client(receipt, client->id);
	assert_non_null(found);
	assert_int_equal(receipt_find_stream(found, client->stream)->high, high);
}

static void check_token(struct sitebox *box, int64_t used)
{
	json_auto_t *tokens = NULL;
	struct err err = { 0 };

	assert_done(token_list(&tokens, box->site, &err), &err);
	assert_int_equal(jsondoc_int(json_array_get(tokens, 0), "used", 0), used);
}

/* Each round every client sends on, and now and then what it has sent before, for want of a
 * receipt. */
static void put_round(struct sitebox *box, struct sitebox_client *clients, size_t round,
		      struct random_seq *random)
{
	for (size_t i = 0; i < KILL_CLIENTS; i++) {
		size_t again = (size_t)random_seq_below(random, round + 1);

		put_status(box, &clients[i], round * KILL_RECORDS + 1, KILL_RECORDS);
		put_status(box, &clients[i], again * KILL_RECORDS + 1, KILL_RECORDS);
	}
}

static void fifty_kills_lose_nothing_and_double_nothing(void **state UNUSED)
{
	struct sitebox_client clients[KILL_CLIENTS];
	struct intake_result result;
	struct random_seq random;
	struct sitebox box;
	struct err err = { 0 };
	size_t kills = 0, rounds = 0;

	random_seq_init(&random, testing_seed(), "kills");
	sitebox_open(&box);
	enrol_all(&box, clients, KILL_CLIENTS);
	for (; kills < KILLS && rounds < 10 * KILLS; rounds++) {
		put_round(&box, clients, rounds, &random);
		kills += sweep_and_kill(&box, random_seq_below(&random, KILL_MAX_US));
	}
	print_message("%zu kills in %zu rounds\n", kills, rounds);
	assert_int_equal(kills, KILLS);
	do
		assert_done(intake_run(&result, box.site, &err), &err);
	while (result.is_more);
	assert_int_equal(result.caps_failed, 0);
	assert_int_equal(sitebox_count_files(&box, "cap/inbox"), 0);
	assert_int_equal(sitebox_count_files(&box, "site/quarantine"), 0);
	check_token(&box, KILL_CLIENTS);
	for (size_t i = 0; i < KILL_CLIENTS; i++) {
		check_timeline(&box, &clients[i], rounds * KILL_RECORDS);
		check_receipt(&box, &clients[i], rounds * KILL_RECORDS);
		sitebox_client_release(&clients[i]);
	}
	sitebox_close(&box);
}

/* ---- many ---- */

static double seconds(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* TARGETS P12, as a figure: what a machine does is the bench's business. */
static void a_thousand_clients_are_stored_in_one_sweep(void **state UNUSED)
{
	struct sitebox_client *clients = alloc_zeroed(LOAD_CLIENTS, sizeof(*clients));
	size_t records = (size_t)LOAD_CLIENTS * LOAD_ENVELOPES * LOAD_RECORDS;
	struct intake_result result;
	struct sitebox box;
	struct err err = { 0 };
	double wall, cpu;

	sitebox_open(&box);
	enrol_all(&box, clients, LOAD_CLIENTS);
	assert_done(intake_run(&result, box.site, &err), &err);
	assert_int_equal(result.counts.enrolled, LOAD_CLIENTS);
	for (size_t e = 0; e < LOAD_ENVELOPES; e++)
		for (size_t i = 0; i < LOAD_CLIENTS; i++)
			put_status(&box, &clients[i], e * LOAD_RECORDS + 1, LOAD_RECORDS);
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	assert_done(intake_run(&result, box.site, &err), &err);
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	print_message("%zu records in %.2f s (%.2f s of CPU): %.0f a second\n", records, wall, cpu,
		      (double)records / wall);
	assert_int_equal(result.counts.records, records);
	assert_int_equal(result.counts.envelopes, LOAD_CLIENTS * LOAD_ENVELOPES);
	assert_int_equal(sitebox_count_files(&box, "cap/inbox"), 0);
	for (size_t i = 0; i < LOAD_CLIENTS; i++)
		sitebox_client_release(&clients[i]);
	free(clients);
	sitebox_close(&box);
}

TESTING_MAIN(cmocka_unit_test(fifty_kills_lose_nothing_and_double_nothing),
	     cmocka_unit_test(a_thousand_clients_are_stored_in_one_sweep))

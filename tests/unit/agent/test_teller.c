#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/inventory.h"
#include "agent/teller.h"
#include "common/alloc.h"
#include "common/path.h"

#define STREAM "0123456789abcdef0123456789abcdef"

static const struct job_settings settings = { 0 };

struct place {
	char dir[64];
	struct state st;
	struct job job;
	size_t heard; /* records that the job's listener was told of */
};

static bool hear(const json_t *event UNUSED, void *ctx)
{
	struct place *p = ctx;

	p->heard++;
	return true;
}

static int make_place(void **state)
{
	struct place *p = alloc_zeroed(1, sizeof(*p));
	struct err err;

	snprintf(p->dir, sizeof(p->dir), "/tmp/test_teller-XXXXXX");
	if (mkdtemp(p->dir) == NULL || !state_open(&p->st, p->dir, STATE_CREATE, &err))
		return 1;
	p->job = (struct job){
		.state = &p->st,
		.settings = &settings,
		.clock = clock_system(),
		.worker = -1,
		.worker_token = -1,
		.event = hear,
		.event_ctx = p,
	};
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;
	struct err err;
	bool done;

	state_close(&p->st);
	done = path_remove_tree(p->dir, &err);
	free(p);
	return done ? 0 : 1;
}

static json_t *row(const char *advertisement, int serial)
{
	return json_pack("{s:s,s:i,s:s,s:i,s:s,s:s}", "advertisement", advertisement, "serial",
			 serial, "package", "LON00001", "version", 1, "program", "install",
			 "command", "true");
}

static void write_plan(struct place *p, int serial)
{
	json_auto_t *plan = json_pack("{s:[o,o]}", "assignments", row("LON20001", serial),
				      row("LON20002", 1));
	struct err err;

	assert_done(state_write_json(&p->st, "plan.json", plan, &err), &err);
}

static uint64_t kept(struct place *p)
{
	struct teller t = { .job = &p->job, .stream = STREAM };
	SCOPED(outbox) struct outbox *outbox = NULL;
	struct err err;

	assert_done(teller_open(&outbox, &t, &err), &err);
	return outbox_waiting(outbox);
}

static void tell(struct teller *t, size_t index, const struct schedule_verdict *v)
{
	SCOPED(outbox) struct outbox *outbox = NULL;
	struct err err;

	assert_done(teller_open(&outbox, t, &err), &err);
	teller_verdict(t, outbox, index, v);
}

static void an_arrival_is_told_once_for_each_serial(void **state)
{
	struct place *p = *state;
	struct err err;

	for (int serial = 1; serial <= 2; serial++) {
		for (int again = 0; again < 2; again++) {
			SCOPED(assigned) struct assigned plan;
			struct teller t = { .job = &p->job, .stream = STREAM, .plan = &plan };

			write_plan(p, serial);
			assert_done(assigned_load(&plan, &p->st, &err), &err);
			assert_done(teller_received(&t, &err), &err);
			assert_done(assigned_save(&plan, &p->st, &err), &err);
			assert_int_equal(kept(p), serial + 1);
		}
	}
	assert_int_equal(p->heard, 3);
}

/* As after a kill: told.json was not saved, the outbox has the record. */
static void what_is_told_again_after_a_kill_is_known(void **state)
{
	struct place *p = *state;
	struct err err;

	write_plan(p, 1);
	for (int again = 0; again < 2; again++) {
		SCOPED(assigned) struct assigned plan;
		struct teller t = { .job = &p->job, .stream = STREAM, .plan = &plan };

		assert_done(assigned_load(&plan, &p->st, &err), &err);
		assert_done(teller_received(&t, &err), &err);
		assert_false(t.untold);
		assert_int_equal(kept(p), 2);
	}
}

static void a_wait_is_told_when_its_reason_changes(void **state)
{
	struct place *p = *state;
	SCOPED(assigned) struct assigned plan;
	struct teller t = { .job = &p->job, .stream = STREAM, .plan = &plan };
	const struct schedule_verdict busy = { .state = SCHEDULE_WAITING,
					       .reason = SCHEDULE_BUSY,
					       .until_s = SCHEDULE_NEVER };
	const struct schedule_verdict window = { .state = SCHEDULE_WAITING,
						 .reason = SCHEDULE_WINDOW,
						 .until_s = 2000000000 };
	const struct schedule_verdict due = { .state = SCHEDULE_DUE };
	struct err err;

	write_plan(p, 1);
	assert_done(assigned_load(&plan, &p->st, &err), &err);
	tell(&t, 0, &busy);
	assert_int_equal(kept(p), 1);
	tell(&t, 0, &busy);
	assert_int_equal(kept(p), 1);
	tell(&t, 1, &busy);
	assert_int_equal(kept(p), 2);
	tell(&t, 0, &window);
	assert_int_equal(kept(p), 3);
	tell(&t, 0, &due);
	assert_int_equal(kept(p), 3);
}

static void an_inventory_is_queued_when_it_is_another(void **state)
{
	struct place *p = *state;
	struct teller t = { .job = &p->job, .stream = STREAM };
	json_auto_t *one = json_pack("{s:[{s:s}]}", "os", "id", "debian");
	json_auto_t *other = json_pack("{s:[{s:s}]}", "os", "id", "ubuntu");
	SCOPED_TEXT char *noted = state_path(&p->st, "inventory.json");
	SCOPED(buf) struct buf first = { 0 }, second = { 0 }, third = { 0 };
	struct err err;

	teller_inventory(&t, one);
	assert_done(path_read(&first, noted, 4096, &err), &err);
	teller_inventory(&t, one);
	assert_done(path_read(&second, noted, 4096, &err), &err);
	assert_string_equal(buf_text(&first), buf_text(&second));
	teller_inventory(&t, other);
	assert_done(path_read(&third, noted, 4096, &err), &err);
	assert_string_not_equal(buf_text(&first), buf_text(&third));
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_place, remove_place)

TESTING_MAIN(CASE(an_arrival_is_told_once_for_each_serial),
	     CASE(what_is_told_again_after_a_kill_is_known),
	     CASE(a_wait_is_told_when_its_reason_changes),
	     CASE(an_inventory_is_queued_when_it_is_another), )

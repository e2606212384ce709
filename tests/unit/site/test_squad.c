/* Several at work at once: each has its own end, and nobody waits for another. */
#include "site/squad.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "support/sitebox.h"
#include "support/testing.h"

#define WAIT_S 60 /* sanitized, and beside many others */

enum { DOES_WELL = 1, FAILS, DIES, NEVER_ENDS, SECOND };

struct seen {
	atomic_int done[8]; /* by id, as the processes tell */
	atomic_bool had_database;
};

static bool work(struct site *site, int64_t id, void *ctx, struct err *err)
{
	struct seen *seen = ctx;
	int64_t one = 0;

	if (db_number(&one, site->db, STMT_PACKAGE_EXISTED, DB_ARGS(db_text("LON00001")), 0, err))
		atomic_store(&seen->had_database, true);
	if (id == NEVER_ENDS)
		for (;;)
			pause();
	if (id == DIES)
		abort();
	atomic_fetch_add(&seen->done[id], 1);
	return id != FAILS || err_set(err, ERR_NET, "as it was told to");
}

struct post {
	struct sitebox box;
	struct seen *seen; /* shared with the processes */
	struct squad *squad;
};

static int open_post(void **state)
{
	struct post *p = alloc_zeroed(1, sizeof(*p));

	*state = p;
	sitebox_open(&p->box);
	p->seen = mmap(NULL, sizeof(*p->seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (p->seen == MAP_FAILED)
		return -1;
	p->squad = squad_new(p->box.site, work, p->seen);
	return 0;
}

static int close_post(void **state)
{
	struct post *p = *state;

	squad_free(p->squad);
	munmap(p->seen, sizeof(*p->seen));
	sitebox_close(&p->box);
	free(p);
	return 0;
}

static void start(struct post *p, int64_t id)
{
	struct err err;

	assert_done(squad_start(p->squad, id, "dp", &err), &err);
}

/* Until so many are left. */
static void wait_until_left(struct post *p, size_t left)
{
	time_t end = time(NULL) + WAIT_S;

	while (squad_collect(p->squad) > left) {
		assert_true(time(NULL) < end);
		squad_pause(p->squad);
	}
}

static void each_works_with_a_database_of_its_own(void **state)
{
	struct post *p = *state;

	start(p, DOES_WELL);
	start(p, SECOND);
	assert_true(squad_is_running(p->squad, DOES_WELL));
	wait_until_left(p, 0);
	assert_false(squad_is_running(p->squad, DOES_WELL));
	assert_int_equal(atomic_load(&p->seen->done[DOES_WELL]), 1);
	assert_int_equal(atomic_load(&p->seen->done[SECOND]), 1);
	assert_true(atomic_load(&p->seen->had_database));
	assert_int_equal(squad_failed(p->squad), 0);
}

static void one_that_fails_or_dies_is_counted_and_hurts_nobody(void **state)
{
	struct post *p = *state;

	start(p, FAILS);
	start(p, DIES);
	start(p, DOES_WELL);
	wait_until_left(p, 0);
	assert_int_equal(squad_failed(p->squad), 2);
	assert_int_equal(atomic_load(&p->seen->done[DOES_WELL]), 1);
}

static void one_that_hangs_delays_nobody_and_is_put_off(void **state)
{
	struct post *p = *state;

	start(p, NEVER_ENDS);
	start(p, DOES_WELL);
	wait_until_left(p, 1);
	assert_int_equal(atomic_load(&p->seen->done[DOES_WELL]), 1);
	assert_true(squad_is_running(p->squad, NEVER_ENDS));
	/* The box's clock stands: it has run for no time at all. */
	squad_put_off(p->squad, 1);
	assert_true(squad_is_running(p->squad, NEVER_ENDS));
	squad_put_off(p->squad, 0);
	assert_int_equal(squad_collect(p->squad), 0);
	assert_int_equal(squad_failed(p->squad), 1);
}

static void the_same_one_may_start_again_once_it_has_ended(void **state)
{
	struct post *p = *state;

	start(p, DOES_WELL);
	wait_until_left(p, 0);
	start(p, DOES_WELL);
	wait_until_left(p, 0);
	assert_int_equal(atomic_load(&p->seen->done[DOES_WELL]), 2);
}

/* Freed with one at work: it is gone when that returns. */
static void nobody_outlives_the_squad(void **state)
{
	struct post *p = *state;

	start(p, NEVER_ENDS);
	squad_free(p->squad);
	p->squad = NULL;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, open_post, close_post)
TESTING_MAIN(ROW(each_works_with_a_database_of_its_own),
	     ROW(one_that_fails_or_dies_is_counted_and_hurts_nobody),
	     ROW(one_that_hangs_delays_nobody_and_is_put_off),
	     ROW(the_same_one_may_start_again_once_it_has_ended), ROW(nobody_outlives_the_squad), )

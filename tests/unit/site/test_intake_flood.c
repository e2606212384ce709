/*
 * Inboxes that somebody floods: others wait at most twice as long, and what the site keeps stays
 * within its bounds. PACKWAY_TEST_FLOOD: how many objects a flood of names has.
 */
#include "site/intake.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "site/quarantine.h"
#include "site/token.h"
#include "support/sitebox.h"
#include "support/testing.h"

#define QUIET         40 /* clients that send what clients send */
#define QUIET_OBJECTS 8
#define QUIET_RECORDS 20
#define FLOOD         8000  /* objects of a flood of names */
#define FLOOD_VALID   200   /* envelopes of a client that may send */
#define FLOODER       QUIET /* its place among the clients */

struct scene {
	struct sitebox box;
	struct sitebox_client clients[QUIET + 1];
	uint64_t next; /* number of the quiet clients' next record */
	size_t flood;
	uint64_t put; /* floods before this one: names are not used again */
};

static int open_scene(void **state)
{
	struct scene *s = alloc_zeroed(1, sizeof(*s));
	struct intake_result result;
	char token[TOKEN_SIZE];
	struct err err = { 0 };

	sitebox_open(&s->box);
	assert_done(token_create(token, s->box.site, COUNT_OF(s->clients), 3600, &err), &err);
	for (size_t i = 0; i < COUNT_OF(s->clients); i++) {
		sitebox_client_init(&s->clients[i], (uint16_t)(i + 1));
		sitebox_put_enrolment(&s->box, &s->clients[i], token);
	}
	assert_done(intake_run(&result, s->box.site, &err), &err);
	assert_int_equal(result.counts.enrolled, COUNT_OF(s->clients));
	s->next = 1;
	s->flood = getenv("PACKWAY_TEST_FLOOD") ? strtoul(getenv("PACKWAY_TEST_FLOOD"), NULL, 10)
						: FLOOD;
	*state = s;
	return 0;
}

static int close_scene(void **state)
{
	struct scene *s = *state;

	for (size_t i = 0; i < COUNT_OF(s->clients); i++)
		sitebox_client_release(&s->clients[i]);
	sitebox_close(&s->box);
	free(s);
	return 0;
}

static void put_status(struct scene *s, size_t client, uint64_t first, size_t count)
{
	json_auto_t *records = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(records, sitebox_status(10002, "LON20001", "a record"));
	sitebox_put_records(&s->box, &s->clients[client], first, records);
}

/* What every quiet client has to say. */
static void put_quiet(struct scene *s)
{
	for (size_t n = 0; n < QUIET_OBJECTS; n++, s->next += QUIET_RECORDS)
		for (size_t i = 0; i < QUIET; i++)
			put_status(s, i, s->next, QUIET_RECORDS);
}

/* ---- what was stored, and when ---- */

static int64_t highest_of(struct scene *s, size_t client)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(
		s->box.site->db, STMT_STREAM_FIND,
		DB_ARGS(db_text(s->clients[client].id), db_text(s->clients[client].stream)));

	return db_rows_next(&rows) ? db_rows_int(&rows, 1) : 0;
}

static bool quiet_is_stored(struct scene *s)
{
	for (size_t i = 0; i < QUIET; i++)
		if (highest_of(s, i) != (int64_t)s->next - 1)
			return false;
	return true;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * Processor time of sweeps until all that the quiet clients sent is stored and receipted; a busy
 * machine says nothing about waiting.
 */
static double time_until_stored(struct scene *s, size_t *sweeps_out)
{
	double begin = seconds();
	struct intake_result result;
	struct err err = { 0 };

	for (*sweeps_out = 0; !quiet_is_stored(s); ++*sweeps_out) {
		assert_true(*sweeps_out < 10);
		assert_done(intake_run(&result, s->box.site, &err), &err);
	}
	return seconds() - begin;
}

static double usual_time(struct scene *s)
{
	double least = 1e9;

	for (size_t round = 0; round < 2; round++) {
		size_t sweeps;
		double took;

		put_quiet(s);
		took = time_until_stored(s, &sweeps);
		assert_int_equal(sweeps, 1);
		least = MIN_OF(least, took);
	}
	return least;
}

/* ---- floods ---- */

static void touch(const struct scene *s, const char *name)
{
	SCOPED_TEXT char *path = alloc_printf("%s/cap/inbox/%s", s->box.dir, name);
	const struct timespec now[2] = { { .tv_sec = s->box.now_s }, { .tv_sec = s->box.now_s } };
	SCOPED_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(futimens(fd, now), 0);
}

/* An object's name: of this client, with bytes that have `length` and are of no such hash. */
static char *name_of(const char *client, uint64_t number, uint64_t length)
{
	struct envelope_name name = { .first = number + 1, .length = length };
	char text[ENVELOPE_NAME_SIZE];

	snprintf(name.client, sizeof(name.client), "%s", client);
	snprintf(name.stream, sizeof(name.stream), "%032" PRIx64, number % 7);
	envelope_name_print(text, &name);
	return alloc_text(text);
}

static void put_names(struct scene *s, uint64_t length, bool of_strangers)
{
	uint64_t first = s->put * s->flood; /* some of the last flood may stand there still */

	for (uint64_t i = first; i < first + s->flood; i++) {
		SCOPED_TEXT char *stranger = alloc_printf("%032" PRIx64, i);
		SCOPED_TEXT char *name = name_of(of_strangers ? stranger : s->clients[i % 3].id, i,
						 length);

		touch(s, name);
	}
}

static void put_own(struct scene *s)
{
	for (uint64_t i = 0; i < FLOOD_VALID; i++)
		put_status(s, FLOODER, 1 + (i + s->put * FLOOD_VALID) * QUIET_RECORDS,
			   QUIET_RECORDS);
}

static void put_foreign(struct scene *s)
{
	for (size_t i = 0; i < s->flood; i++) {
		SCOPED_TEXT char *name = alloc_printf("junk %" PRIu64 " %zu", s->put, i);

		touch(s, name);
	}
}

static void put_halves(struct scene *s)
{
	put_names(s, 1000, false);
}

static void put_forgeries(struct scene *s)
{
	put_names(s, 0, false);
}

static void put_strangers(struct scene *s)
{
	put_names(s, 0, true);
}

static void what_is_kept_is_bounded(struct scene *s)
{
	int64_t noted;
	struct err err = { 0 };

	assert_done(db_number(&noted, s->box.site->db, STMT_INCOMPLETE_COUNT, DB_ARGS(db_int(1)), 0,
			      &err),
		    &err);
	assert_in_range(noted, 0, INTAKE_NOTED_MAX);
	assert_in_range(sitebox_count_files(&s->box, "site/quarantine"), 0,
			2 * QUARANTINE_OBJECTS_MAX);
}

/* Processor time of looking at every name once, which nobody can be spared. */
static double looking_time(const struct scene *s)
{
	SCOPED_TEXT char *path = sitebox_path(&s->box, "cap/inbox");
	double begin = seconds();
	DIR *dir = opendir(path);
	const struct dirent *entry;
	struct stat st;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		assert_int_equal(fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
	closedir(dir);
	return seconds() - begin;
}

/* Everything that the quiet ones send is stored and receipted in one sweep, in at most twice the
 * time, and twice that of a look at the names that the flood has put there. */
static void flood(struct scene *s, const char *what, void (*put)(struct scene *s))
{
	double usual = usual_time(s), took = 1e9, looking = 0;
	size_t sweeps;

	/* A busy machine may spoil a measurement, not three. */
	for (size_t i = 0; i < 3 && took > 2 * (usual + looking); i++) {
		put(s);
		put_quiet(s);
		looking = looking_time(s);
		took = time_until_stored(s, &sweeps);
		print_message("%s: %.2f s of CPU instead of %.2f, %.2f for the names, %zu sweeps\n",
			      what, took, usual, looking, sweeps);
		assert_int_equal(sweeps, 1);
		s->put++;
	}
	assert_true(took <= 2 * (usual + looking));
	what_is_kept_is_bounded(s);
}

static void a_client_that_floods_delays_others_by_twice_at_most(void **state)
{
	flood(*state, "valid envelopes of one client", put_own);
}

static void files_that_are_no_uploads_do_too(void **state)
{
	flood(*state, "foreign files", put_foreign);
}

static void halves_in_the_names_of_others_do_too(void **state)
{
	flood(*state, "halves", put_halves);
}

static void forgeries_in_the_names_of_others_do_too(void **state)
{
	flood(*state, "forgeries", put_forgeries);
}

static void uploads_of_strangers_do_too(void **state)
{
	flood(*state, "uploads of strangers", put_strangers);
}

/* Of all that floods nothing is left in the end, and nothing of it was stored. */
static void a_flood_is_drained_and_forgotten(void **state)
{
	struct scene *s = *state;
	struct intake_result result;
	struct err err = { 0 };
	size_t sweeps = 0;

	s->flood /= 3;
	put_halves(s);
	put_foreign(s);
	put_strangers(s);
	for (; sitebox_count_files(&s->box, "cap/inbox") > 0; sweeps++) {
		assert_true(sweeps < 200 + s->flood / 100);
		assert_done(intake_run(&result, s->box.site, &err), &err);
		assert_int_equal(result.counts.records, 0);
		what_is_kept_is_bounded(s);
		s->box.now_s += INTAKE_PATIENCE_S / 4;
	}
	print_message("drained in %zu sweeps\n", sweeps);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
TESTING_MAIN(CASE(a_client_that_floods_delays_others_by_twice_at_most),
	     CASE(files_that_are_no_uploads_do_too), CASE(halves_in_the_names_of_others_do_too),
	     CASE(forgeries_in_the_names_of_others_do_too), CASE(uploads_of_strangers_do_too),
	     CASE(a_flood_is_drained_and_forgotten))

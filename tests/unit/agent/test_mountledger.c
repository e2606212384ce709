/* What is mounted where, and by whom it is held. */
#include "support/testing.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/mountledger.h"
#include "common/newfile.h"
#include "support/tempdir.h"

struct place {
	char *top;
	struct state st;
};

static int make_place(void **state)
{
	struct place *p = alloc_zeroed(1, sizeof(*p));
	SCOPED_TEXT char *dir = NULL;
	struct err err;

	p->top = tempdir_make("mountledger");
	dir = path_join(p->top, "client");
	*state = p;
	return state_open(&p->st, dir, STATE_CREATE, &err) ? 0 : 1;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	state_close(&p->st);
	tempdir_remove(p->top);
	free(p);
	return 0;
}

static void note(const struct place *p, const char *at, const char *package)
{
	json_auto_t *record = json_object();
	struct err err;

	jsondoc_set_int(record, "format", 1);
	jsondoc_set_text(record, "at", at);
	jsondoc_set_text(record, "package", package);
	assert_done(mountledger_write(&p->st, record, &err), &err);
}

static void a_record_is_found_by_its_place_until_it_is_removed(void **state)
{
	const struct place *p = *state;
	SCOPED_FD int one = -1, two = -1;
	json_auto_t *read = NULL;
	json_auto_t *all = NULL;
	json_auto_t *rest = NULL;
	struct err err;

	assert_done(mountledger_claim(&one, &p->st, "/mnt/one", 0, &err), &err);
	assert_done(mountledger_claim(&two, &p->st, "/mnt/two", 0, &err), &err);
	note(p, "/mnt/one", "LON00001");
	note(p, "/mnt/two", "LON00002");
	read = mountledger_read(&p->st, "/mnt/two");
	assert_string_equal(jsondoc_text(read, "package"), "LON00002");
	all = mountledger_list(&p->st);
	assert_int_equal(json_array_size(all), 2);
	mountledger_remove(&p->st, "/mnt/two");
	assert_null(mountledger_read(&p->st, "/mnt/two"));
	rest = mountledger_list(&p->st);
	assert_int_equal(json_array_size(rest), 1);
	/* Once more is no fault. */
	mountledger_remove(&p->st, "/mnt/two");
}

static void a_place_is_held_until_its_process_is_gone(void **state)
{
	const struct place *p = *state;
	SCOPED_FD int fd = -1;
	int ready[2], status;
	char byte;
	struct err err;
	pid_t holder;

	assert_int_equal(pipe(ready), 0);
	holder = fork();
	if (holder == 0) {
		int held = -1;

		if (!mountledger_claim(&held, &p->st, "/mnt/one", 0, &err) ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_false(mountledger_claim(&fd, &p->st, "/mnt/one", 0, &err));
	assert_int_equal(err.code, ERR_LOCKED);
	assert_done(mountledger_claim(&fd, &p->st, "/mnt/other", 0, &err), &err);
	path_close_fd(&fd);
	/* However it ends: the record stays, the claim does not. */
	assert_int_equal(kill(holder, SIGKILL), 0);
	assert_int_equal(waitpid(holder, &status, 0), holder);
	assert_done(mountledger_claim(&fd, &p->st, "/mnt/one", 0, &err), &err);
	close(ready[0]);
	close(ready[1]);
}

static void what_cannot_be_read_is_left_out(void **state)
{
	static const char *const broken[] = { "", "{", "[]", "{\"at\":\"/mnt/x\"}",
					      "{\"package\":\"LON00001\"}" };
	const struct place *p = *state;
	SCOPED_FD int fd = -1;
	json_auto_t *all = NULL;
	struct err err;

	assert_done(mountledger_claim(&fd, &p->st, "/mnt/one", 0, &err), &err);
	note(p, "/mnt/one", "LON00001");
	for (size_t i = 0; i < COUNT_OF(broken); i++) {
		SCOPED_TEXT char *path = alloc_printf("%s/" MOUNTLEDGER_FOLDER "/%zu.json",
						      p->st.dir, i);

		assert_done(newfile_write(path, 0600, span_of_text(broken[i]), &err), &err);
	}
	all = mountledger_list(&p->st);
	assert_int_equal(json_array_size(all), 1);
	assert_string_equal(jsondoc_text(json_array_get(all, 0), "at"), "/mnt/one");
}

static void without_a_mount_there_is_an_empty_list(void **state)
{
	const struct place *p = *state;
	json_auto_t *all = mountledger_list(&p->st);

	assert_int_equal(json_array_size(all), 0);
	assert_null(mountledger_read(&p->st, "/mnt/one"));
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
TESTING_MAIN(ROW(a_record_is_found_by_its_place_until_it_is_removed),
	     ROW(a_place_is_held_until_its_process_is_gone), ROW(what_cannot_be_read_is_left_out),
	     ROW(without_a_mount_there_is_an_empty_list), )

#include "support/testing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/state.h"
#include "common/newfile.h"
#include "support/tempdir.h"

#define NOBODY   65534
#define SOME_ID  "0123456789abcdef0123456789abcdef"
#define OTHER_ID "fedcba9876543210fedcba9876543210"

struct place {
	char *top;
	struct state st;
};

static int make_place(void **state)
{
	struct place *p = alloc_zeroed(1, sizeof(*p));
	SCOPED_TEXT char *dir = NULL;
	struct err err;

	p->top = tempdir_make("state");
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

static void put_file(const struct place *p, const char *name, const char *text)
{
	SCOPED_TEXT char *path = state_path(&p->st, name);
	struct err err;

	assert_done(newfile_write(path, 0600, span_of_text(text), &err), &err);
}

static bool has_file(const struct place *p, const char *name)
{
	SCOPED_TEXT char *path = state_path(&p->st, name);

	return path_exists(path);
}

static void a_folder_that_is_missing_is_made_on_request_only(void **state)
{
	const struct place *p = *state;
	SCOPED_TEXT char *dir = path_join(p->top, "a/b c");
	SCOPED(state) struct state st = { 0 };
	struct err err = { 0 };
	struct stat info;

	assert_false(state_open(&st, dir, STATE_READ, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_false(path_exists(dir));
	assert_done(state_open(&st, dir, STATE_CREATE, &err), &err);
	assert_int_equal(stat(dir, &info), 0);
	/* Others may at most go through it, to the content of a program that runs as them. */
	assert_int_equal(info.st_mode & 066, 0);
}

static void a_file_in_the_folders_place_is_refused(void **state)
{
	const struct place *p = *state;
	SCOPED_TEXT char *file = state_path(&p->st, "file");
	struct state st = { 0 };
	struct err err = { 0 };

	put_file(p, "file", "x");
	assert_false(state_open(&st, file, STATE_CREATE, &err));
	assert_false(state_open(&st, file, STATE_READ, &err));
	assert_false(state_open(&st, "", STATE_CREATE, &err));
}

static void another_users_folder_is_refused(void **state)
{
	const struct place *p = *state;
	struct state st = { 0 };
	struct err err = { 0 };

	if (geteuid() != 0)
		return;
	assert_int_equal(chown(p->st.dir, NOBODY, NOBODY), 0);
	assert_false(state_open(&st, p->st.dir, STATE_READ, &err));
	assert_int_equal(err.code, ERR_PERMISSION);
	/* Not for what stands above it, which is another check and another thing to do. */
	assert_non_null(strstr(err.why, "belongs to user"));
}

static void an_identity_comes_back_as_it_was_saved(void **state)
{
	static const enum state_enrolment all[] = { STATE_NONE, STATE_PENDING, STATE_ENROLLED,
						    STATE_REMOVED };
	const struct place *p = *state;
	struct err err = { 0 };

	for (size_t i = 0; i < COUNT_OF(all); i++) {
		SCOPED(state_identity) struct state_identity got = { 0 };
		struct state_identity id = {
			.enrolment = all[i],
			.client = SOME_ID,
			.site = "LON",
			.machine = (char *)(uintptr_t) "host:\xc3\xa4 \"x\"",
			.stream = OTHER_ID,
			.caps = { (char *)(uintptr_t) "file:///a b",
				  (char *)(uintptr_t) "http://cap1/" },
			.cap_count = 2,
		};

		assert_done(state_save_identity(&p->st, &id, &err), &err);
		assert_done(state_load_identity(&got, &p->st, &err), &err);
		assert_int_equal(got.enrolment, id.enrolment);
		assert_string_equal(got.client, id.client);
		assert_string_equal(got.site, id.site);
		assert_string_equal(got.machine, id.machine);
		assert_string_equal(got.stream, id.stream);
		assert_int_equal(got.cap_count, 2);
		assert_string_equal(got.caps[1], id.caps[1]);
	}
}

static void without_an_identity_there_is_none(void **state)
{
	const struct place *p = *state;
	SCOPED(state_identity) struct state_identity id;
	struct err err = { 0 };

	assert_done(state_load_identity(&id, &p->st, &err), &err);
	assert_int_equal(id.enrolment, STATE_NONE);
	assert_string_equal(id.client, "");
}

static void a_damaged_identity_is_a_fault_and_stays(void **state)
{
#define REST "\"machine\":\"m\",\"stream\":\"" OTHER_ID "\",\"caps\":[]}"
	static const struct {
		const char *why, *text;
	} cases[] = {
		{ "empty", "" },
		{ "cut", "{\"client\":\"" SOME_ID },
		{ "another document", "[]" },
		{ "no members", "{}" },
		{ "an id that is none",
		  "{\"client\":\"../x\",\"site\":\"LON\",\"state\":\"enrolled\"," REST },
		{ "a site of four letters",
		  "{\"client\":\"" SOME_ID "\",\"site\":\"LONG\",\"state\":\"enrolled\"," REST },
		{ "an unknown state",
		  "{\"client\":\"" SOME_ID "\",\"site\":\"LON\",\"state\":\"maybe\"," REST },
		{ "too many CAPs", "{\"client\":\"" SOME_ID
				   "\",\"site\":\"LON\",\"state\":\"enrolled\",\"machine\":\"m\","
				   "\"stream\":\"" OTHER_ID
				   "\",\"caps\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}" },
	};
#undef REST
	const struct place *p = *state;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct state_identity id;
		struct err err = { 0 };

		put_file(p, "identity.json", cases[i].text);
		if (state_load_identity(&id, &p->st, &err))
			fail_msg("%s was taken", cases[i].why);
		assert_non_null(strstr(err.fix, "enrol anew"));
		assert_int_equal(id.cap_count, 0);
		assert_true(has_file(p, "identity.json"));
	}
}

static void other_documents_that_are_damaged_are_set_aside(void **state)
{
	const struct place *p = *state;
	json_auto_t *doc = json_pack("{s:i}", "a", 1), *got = NULL;
	struct err err = { 0 };

	assert_done(state_read_json(&got, &p->st, "nal.json", &err), &err);
	assert_null(got);
	assert_done(state_write_json(&p->st, "nal.json", doc, &err), &err);
	assert_done(state_read_json(&got, &p->st, "nal.json", &err), &err);
	assert_true(json_equal(got, doc));
	json_decref(got);
	got = NULL;
	put_file(p, "nal.json", "{\"a\":");
	assert_done(state_read_json(&got, &p->st, "nal.json", &err), &err);
	assert_null(got);
	assert_false(has_file(p, "nal.json"));
	assert_true(has_file(p, "nal.json.damaged"));
}

static void a_document_that_is_no_file_is_a_fault(void **state)
{
	const struct place *p = *state;
	SCOPED_TEXT char *path = state_path(&p->st, "nal.json");
	json_t *got = NULL;
	struct err err = { 0 };

	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(state_read_json(&got, &p->st, "nal.json", &err));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(state_read_json(&got, &p->st, "nal.json", &err));
}

static void roots_state_is_refused_where_others_could_swap_it(void **state)
{
	const struct place *p = *state;
	static const struct {
		const char *why;
		uid_t owner;
		gid_t group;
		mode_t mode;
		bool want;
	} cases[] = {
		{ "root's alone", 0, 0, 0755, true },
		{ "another user's folder above", NOBODY, 0, 0755, false },
		{ "a group that writes", 0, NOBODY, 0775, false },
		{ "everybody writes", 0, 0, 0777, false },
		{ "as in /tmp", 0, 0, 01777, true },
		{ "root's own group writes", 0, 0, 0775, true },
	};

	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct state st = { 0 };
		struct err err = { 0 };

		assert_int_equal(chown(p->top, cases[i].owner, cases[i].group), 0);
		assert_int_equal(chmod(p->top, cases[i].mode), 0);
		if (state_open(&st, p->st.dir, STATE_READ, &err) != cases[i].want)
			fail_msg("%s", cases[i].why);
		if (!cases[i].want)
			assert_int_equal(err.code, ERR_PERMISSION);
		state_close(&st);
	}
}

static void locks_have_names(void **state)
{
	const struct place *p = *state;
	struct err err = { 0 };
	int one, two, three;

	assert_done(state_lock(&one, &p->st, "metadata", 0, &err), &err);
	assert_done(state_lock(&two, &p->st, "outbox", 0, &err), &err);
	assert_false(state_lock(&three, &p->st, "metadata", 0, &err));
	assert_int_equal(err.code, ERR_LOCKED);
	close(one);
	close(two);
}

static void a_machine_always_has_some_id(void **state UNUSED)
{
	SCOPED_TEXT char *given = NULL;
	SCOPED_TEXT char *own = NULL;

	setenv("PACKWAY_MACHINE_ID", "the-id", 1);
	given = state_machine_id();
	assert_string_equal(given, "the-id");
	setenv("PACKWAY_MACHINE_ID", "", 1);
	own = state_machine_id();
	unsetenv("PACKWAY_MACHINE_ID");
	assert_string_not_equal(own, "");
	assert_null(strchr(own, '\n'));
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_place, remove_place)

TESTING_MAIN(CASE(a_folder_that_is_missing_is_made_on_request_only),
	     CASE(a_file_in_the_folders_place_is_refused), CASE(another_users_folder_is_refused),
	     CASE(an_identity_comes_back_as_it_was_saved), CASE(without_an_identity_there_is_none),
	     CASE(a_damaged_identity_is_a_fault_and_stays),
	     CASE(other_documents_that_are_damaged_are_set_aside),
	     CASE(a_document_that_is_no_file_is_a_fault), CASE(locks_have_names),
	     CASE(roots_state_is_refused_where_others_could_swap_it),
	     CASE(a_machine_always_has_some_id))

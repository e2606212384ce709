#include "support/testing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/newfile.h"
#include "nal/logon.h"
#include "support/tempdir.h"

struct world {
	char *dir;
	char *key;
	struct credential_set *set;
	struct memory *memory;
};

static void look(struct world *w, const char *text)
{
	const struct credential_places places = { .folders = { w->dir }, .key_path = w->key };
	char *path = path_join(w->dir, "a.conf");
	struct err err;

	assert_done(newfile_write(path, 0600, span_of_text(text), &err), &err);
	free(path);
	credential_set_free(w->set);
	w->set = credential_set_load(&places);
}

static void begin(struct world *w)
{
	*w = (struct world){ .dir = tempdir_make("logon"), .memory = memory_new() };
	w->key = path_join(w->dir, "key");
	unsetenv("KRB5CCNAME");
	memory_tick(w->memory, &(const struct memory_now){ .wall_s = 1000, .mono_s = 1 });
}

static void end(struct world *w)
{
	credential_set_free(w->set);
	memory_free(w->memory);
	free(w->key);
	tempdir_remove(w->dir);
}

static enum logon find(struct credential *c, const struct world *w, const char *url)
{
	const struct credential_context context = { .uid = geteuid(), .is_own = true };
	SCOPED(locator) struct locator where = { 0 };
	struct err err;

	assert_done(locator_parse(&where, url, &err), &err);
	return logon_find(c, w->set, w->memory, &where, &context);
}

/* Q227033, Q293662: one failure is all that a wrong secret gets, and a restart is no news. */
static void a_refused_account_rests_until_it_changes(void **state UNUSED)
{
	static const char wrong[] = "[nas]\nuser=u\nsecret=wrong\n";
	SCOPED(buf) struct buf stored = { 0 };
	struct world w;
	struct credential c;
	struct err err;

	begin(&w);
	look(&w, wrong);
	assert_int_equal(find(&c, &w, "smb://nas/x"), LOGON_READY);
	logon_refused(w.memory, c.fingerprint);
	assert_int_equal(find(&c, &w, "smb://nas/x"), LOGON_REFUSED);
	assert_int_equal(find(&c, &w, "smb://nas/another"), LOGON_REFUSED);
	assert_int_equal(find(&c, &w, "smb://other/x"), LOGON_READY);
	memory_write(&stored, w.memory);
	memory_free(w.memory);
	assert_done(memory_read(&w.memory, buf_span(&stored), &err), &err);
	look(&w, wrong);
	memory_tick(w.memory, &(const struct memory_now){ .wall_s = 1000000, .mono_s = 5 });
	assert_int_equal(find(&c, &w, "smb://nas/x"), LOGON_REFUSED);
	look(&w, "[nas]\nuser=u\nsecret=right\n");
	assert_int_equal(find(&c, &w, "smb://nas/x"), LOGON_READY);
	end(&w);
}

static void a_refused_guest_is_nothing_to_remember(void **state UNUSED)
{
	struct world w;
	struct credential c;

	begin(&w);
	look(&w, "[nas]\nguest=yes\n");
	assert_int_equal(find(&c, &w, "smb://nas/x"), LOGON_READY);
	logon_refused(w.memory, c.fingerprint);
	assert_int_equal(find(&c, &w, "smb://nas/x"), LOGON_READY);
	assert_int_equal(find(&c, &w, "http://nas/x"), LOGON_NOT_NEEDED);
	assert_int_equal(find(&c, &w, "file:///srv"), LOGON_NOT_NEEDED);
	end(&w);
}

static void a_ticket_nobody_asked_for_gives_way_to_guest(void **state UNUSED)
{
	struct world w;
	struct credential c;
	char *cache;
	struct err err;

	begin(&w);
	cache = path_join(w.dir, "cache");
	assert_done(newfile_write(cache, 0600, span_of_text("ticket"), &err), &err);
	assert_int_equal(setenv("KRB5CCNAME", cache, 1), 0);
	look(&w, "[dom]\nkerberos=yes\n");
	assert_int_equal(find(&c, &w, "smb://nas/x"), LOGON_READY);
	assert_int_equal(c.kind, CREDENTIAL_TICKET);
	logon_refused(w.memory, c.fingerprint);
	assert_int_equal(find(&c, &w, "smb://nas/x"), LOGON_READY);
	assert_int_equal(c.kind, CREDENTIAL_GUEST);
	assert_int_equal(find(&c, &w, "smb://dom/x"), LOGON_READY);
	assert_int_equal(c.kind, CREDENTIAL_TICKET);
	logon_refused(w.memory, c.fingerprint);
	assert_int_equal(find(&c, &w, "smb://dom/x"), LOGON_REFUSED);
	assert_done(newfile_write(cache, 0600, span_of_text("renewed"), &err), &err);
	assert_int_equal(find(&c, &w, "smb://dom/x"), LOGON_READY);
	assert_int_equal(find(&c, &w, "smb://nas/x"), LOGON_READY);
	assert_int_equal(c.kind, CREDENTIAL_TICKET);
	unsetenv("KRB5CCNAME");
	free(cache);
	end(&w);
}

TESTING_MAIN(cmocka_unit_test(a_refused_account_rests_until_it_changes),
	     cmocka_unit_test(a_refused_guest_is_nothing_to_remember),
	     cmocka_unit_test(a_ticket_nobody_asked_for_gives_way_to_guest))

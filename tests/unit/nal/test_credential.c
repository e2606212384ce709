#include "support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/newfile.h"
#include "nal/credential.h"
#include "support/tempdir.h"

struct world {
	char *dir;    /* of everything */
	char *folder; /* credentials.d */
	char *key;
	struct credential_set *set;
};

static void begin(struct world *w)
{
	*w = (struct world){ .dir = tempdir_make("credential") };
	w->folder = path_join(w->dir, "credentials.d");
	w->key = path_join(w->dir, "credential.key");
	assert_int_equal(unsetenv("KRB5CCNAME"), 0);
}

static void end(struct world *w)
{
	credential_set_free(w->set);
	free(w->folder);
	free(w->key);
	tempdir_remove(w->dir);
}

static void look(struct world *w)
{
	credential_set_free(w->set);
	w->set = credential_set_load(
		&(struct credential_places){ .folders = { w->folder }, .key_path = w->key });
}

static void put(const struct world *w, const char *name, mode_t mode, const char *text)
{
	char *path = path_join(w->folder, name);
	struct err err;

	assert_done(path_make_dirs(w->folder, 0700, &err), &err);
	assert_done(newfile_write(path, mode, span_of_text(text), &err), &err);
	free(path);
}

static bool find(struct credential *out, const struct world *w, const char *url)
{
	/* Nobody's, so that no ticket of whoever runs the test counts. */
	const struct credential_context context = { .uid = 4294967294u };
	SCOPED(locator) struct locator where = { 0 };
	struct err err;

	assert_done(locator_parse(&where, url, &err), &err);
	return credential_find(out, w->set, &where, &context);
}

static void who(const struct world *w, const char *url, const char *want)
{
	struct credential c;

	assert_true(find(&c, w, url));
	if (strcmp(c.name, want) != 0)
		fail_msg("%s: %s instead of %s", url, c.name, want);
}

static void the_section_that_says_most_counts(void **state UNUSED)
{
	struct world w;
	struct credential c;

	begin(&w);
	put(&w, "a.conf", 0600,
	    "[nas]\nuser=host\nsecret=1\n[nas:1445]\nuser=port\nsecret=2\n"
	    "[nas/Packs]\nuser=share\nsecret=3\n[nas:1445/packs]\nuser=LON\\both\nsecret=4\n");
	put(&w, "b.conf", 0600, "[open]\nguest=yes\n[dom]\nkerberos=yes\n");
	put(&w, "not-this.txt", 0600, "rubbish");
	look(&w);
	assert_int_equal(credential_fault_count(w.set), 0);
	who(&w, "smb://nas/x", "host");
	who(&w, "smb://nas:1446/x", "host");
	who(&w, "smb://nas:1445/x", "port");
	who(&w, "smb://NAS/packs/LON00001", "share");
	who(&w, "smb://nas:1445/PACKS", "LON\\both");
	who(&w, "smb://nas2/packs", "guest");
	who(&w, "smb://open/x", "guest");
	who(&w, "smb://dom/x", "ticket");
	assert_true(find(&c, &w, "smb://nas:1445/packs"));
	assert_int_equal(c.kind, CREDENTIAL_ACCOUNT);
	assert_string_equal(c.domain, "LON");
	assert_string_equal(c.user, "both");
	assert_string_equal(c.secret->text, "4");
	assert_true(c.is_configured);
	assert_false(find(&c, &w, "http://nas/packs"));
	end(&w);
}

static void files_that_others_read_are_refused_and_the_rest_counts(void **state UNUSED)
{
	struct world w;
	const struct err *fault;
	char *link;

	begin(&w);
	put(&w, "a-good.conf", 0600, "[nas1]\nuser=one\nsecret=1\n");
	put(&w, "b-group.conf", 0640, "[nas2]\nuser=two\nsecret=hunter2\n");
	put(&w, "c-broken.conf", 0600, "[nas3]\nuser=three\nhunter2\n");
	link = path_join(w.folder, "d-link.conf");
	assert_int_equal(symlink("a-good.conf", link), 0);
	free(link);
	put(&w, "e-again.conf", 0600, "[NAS1]\nuser=other\nsecret=1\n");
	look(&w);
	who(&w, "smb://nas1/x", "one");
	who(&w, "smb://nas2/x", "guest");
	who(&w, "smb://nas3/x", "guest");
	assert_int_equal(credential_fault_count(w.set), 4);
	fault = credential_fault(w.set, 0);
	assert_int_equal(fault->code, ERR_PERMISSION);
	assert_non_null(strstr(fault->why, "b-group.conf"));
	assert_non_null(strstr(fault->why, "0640"));
	fault = credential_fault(w.set, 1);
	assert_int_equal(fault->code, ERR_CONFIG);
	assert_non_null(strstr(fault->why, "c-broken.conf: line 3"));
	assert_null(strstr(fault->why, "hunter2"));
	assert_non_null(strstr(credential_fault(w.set, 2)->why, "d-link.conf"));
	assert_non_null(strstr(credential_fault(w.set, 3)->why, "e-again.conf"));
	end(&w);
}

static void fingerprint_of(char *dst, struct world *w, const char *url)
{
	struct credential c;

	look(w);
	assert_true(find(&c, w, url));
	assert_int_equal(strlen(c.fingerprint), CREDENTIAL_FINGERPRINT_SIZE - 1);
	memcpy(dst, c.fingerprint, CREDENTIAL_FINGERPRINT_SIZE);
}

/* Q227033: one wrong secret is one failed logon, until it is changed or set anew. */
static void a_fingerprint_changes_with_the_credential_alone(void **state UNUSED)
{
	char first[CREDENTIAL_FINGERPRINT_SIZE], other[CREDENTIAL_FINGERPRINT_SIZE];
	struct world w;

	begin(&w);
	put(&w, "a.conf", 0600, "[nas]\nuser=u\nsecret=one\n");
	fingerprint_of(first, &w, "smb://nas/x");
	put(&w, "a.conf", 0600, "# touched\n[nas]\nuser = u\nsecret = \"one\"\n[b]\nguest=1\n");
	fingerprint_of(other, &w, "smb://nas/y");
	assert_string_equal(first, other);
	put(&w, "a.conf", 0600, "[nas]\nuser=u\nsecret=two\n");
	fingerprint_of(other, &w, "smb://nas/x");
	assert_string_not_equal(first, other);
	put(&w, "a.conf", 0600, "[nas]\nuser=v\nsecret=one\n");
	fingerprint_of(other, &w, "smb://nas/x");
	assert_string_not_equal(first, other);
	put(&w, "a.conf", 0600, "[nas]\nuser=u\nsecret=one\nset=today\n");
	fingerprint_of(other, &w, "smb://nas/x");
	assert_string_not_equal(first, other);
	end(&w);
}

static void fingerprints_of_two_states_have_nothing_in_common(void **state UNUSED)
{
	char first[CREDENTIAL_FINGERPRINT_SIZE], other[CREDENTIAL_FINGERPRINT_SIZE];
	struct world w;
	struct stat st;

	begin(&w);
	put(&w, "a.conf", 0600, "[nas]\nuser=u\nsecret=one\n");
	fingerprint_of(first, &w, "smb://nas/x");
	assert_int_equal(stat(w.key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unlink(w.key), 0);
	fingerprint_of(other, &w, "smb://nas/x");
	assert_string_not_equal(first, other);
	end(&w);
}

static void append(const char *path, struct span bytes)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	struct err err;

	assert_true(fd >= 0);
	assert_done(path_write_fd(fd, bytes, &err), &err);
	close(fd);
}

/* Whose the file is decides, and anybody may leave one of that name in /tmp. */
static void a_users_ticket_gives_way_to_what_is_configured(void **state UNUSED)
{
	const struct credential_context user = { .uid = 3000000000u + (uid_t)getpid() };
	char *cache = alloc_printf("/tmp/krb5cc_%u", user.uid);
	struct world w;
	SCOPED(locator) struct locator any = { 0 }, dom = { 0 }, nas = { 0 }, old = { 0 };
	struct credential c;
	struct err err;

	if (geteuid() != 0) {
		free(cache);
		skip();
	}
	begin(&w);
	put(&w, "a.conf", 0600, "[nas]\nuser=u\nsecret=s\n[dom]\nkerberos=yes\n[old]\nguest=yes\n");
	look(&w);
	assert_done(locator_parse(&any, "smb://any/x", &err), &err);
	assert_done(locator_parse(&dom, "smb://dom/x", &err), &err);
	assert_done(locator_parse(&nas, "smb://nas/x", &err), &err);
	assert_done(locator_parse(&old, "smb://old/x", &err), &err);
	assert_false(credential_find_users(&c, w.set, &any, &user));
	assert_done(newfile_write(cache, 0600, span_of_text("ticket"), &err), &err);
	assert_false(credential_find_users(&c, w.set, &any, &user)); /* root's */
	assert_int_equal(chown(cache, user.uid, 0), 0);
	assert_true(credential_find_users(&c, w.set, &any, &user));
	assert_true(c.is_users && c.kind == CREDENTIAL_TICKET && !c.is_configured);
	assert_true(credential_find_users(&c, w.set, &dom, &user));
	assert_false(credential_find_users(&c, w.set, &nas, &user));
	assert_false(credential_find_users(&c, w.set, &old, &user));
	assert_int_equal(chmod(cache, 0640), 0);
	assert_false(credential_find_users(&c, w.set, &any, &user));
	assert_int_equal(unlink(cache), 0);
	free(cache);
	end(&w);
}

static void a_ticket_counts_in_its_own_context_and_changes_when_renewed(void **state UNUSED)
{
	const struct credential_context mine = { .uid = geteuid(), .is_own = true },
					theirs = { .uid = 12345 };
	SCOPED(locator) struct locator where = { 0 };
	struct world w;
	struct credential c;
	char *cache, *name, before[CREDENTIAL_FINGERPRINT_SIZE];
	uint8_t long_ticket[1024];
	struct err err;

	begin(&w);
	assert_done(locator_parse(&where, "smb://nas/x", &err), &err);
	cache = path_join(w.dir, "cache");
	name = alloc_printf("FILE:%s", cache);
	assert_int_equal(setenv("KRB5CCNAME", name, 1), 0);
	look(&w);
	assert_true(credential_find(&c, w.set, &where, &mine));
	assert_int_equal(c.kind, CREDENTIAL_GUEST);
	assert_done(newfile_write(cache, 0600, span_of_text("ticket"), &err), &err);
	assert_true(credential_find(&c, w.set, &where, &mine));
	assert_int_equal(c.kind, CREDENTIAL_TICKET);
	assert_string_equal(c.ccache, name);
	assert_false(c.is_configured);
	memcpy(before, c.fingerprint, sizeof(before));
	/* The library appends what servers it was used for. */
	memset(long_ticket, 't', sizeof(long_ticket));
	assert_int_equal(truncate(cache, 0), 0);
	append(cache, span_of(long_ticket, sizeof(long_ticket)));
	assert_true(credential_find(&c, w.set, &where, &mine));
	memcpy(before, c.fingerprint, sizeof(before));
	append(cache, span_of_text("a server's"));
	assert_true(credential_find(&c, w.set, &where, &mine));
	assert_string_equal(before, c.fingerprint);
	assert_done(newfile_write(cache, 0600, span_of_text("renewed"), &err), &err);
	assert_true(credential_find(&c, w.set, &where, &mine));
	assert_string_not_equal(before, c.fingerprint);
	assert_int_equal(chmod(cache, 0644), 0);
	assert_true(credential_find(&c, w.set, &where, &mine));
	assert_int_equal(c.kind, CREDENTIAL_GUEST);
	assert_int_equal(chmod(cache, 0600), 0);
	assert_true(credential_find(&c, w.set, &where, &theirs));
	assert_int_equal(c.kind, CREDENTIAL_GUEST);
	assert_true(credential_find_guest(&c, &where));
	assert_int_equal(c.kind, CREDENTIAL_GUEST);
	unsetenv("KRB5CCNAME");
	free(cache);
	free(name);
	end(&w);
}

static bool save(const struct world *w, const char *server, const char *secret, struct err *err)
{
	struct credentialfile_section s = { .user = (char[]){ "LON\\me" } };
	bool done;

	assert_done(credentialfile_server_parse(&s.server, server, err), err);
	s.secret = secret_new();
	assert_done(secret_set(s.secret, span_of_text(secret), err), err);
	done = credential_save(w->folder, &s, err);
	secret_free(s.secret);
	credentialfile_server_release(&s.server);
	return done;
}

static bool remove_one(const struct world *w, const char *server, struct err *err)
{
	SCOPED(credentialfile_server) struct credentialfile_server s = { 0 };

	assert_done(credentialfile_server_parse(&s, server, err), err);
	return credential_remove(w->folder, &s, err);
}

static void one_is_set_replaced_and_removed(void **state UNUSED)
{
	static const char *const servers[] = { "nas", "nas:1445", "[fe80::1]:1445/a b", "nas/x$" };
	struct world w;
	struct credential c;
	struct err err;

	begin(&w);
	for (size_t i = 0; i < COUNT_OF(servers); i++)
		assert_done(save(&w, servers[i], "one", &err), &err);
	assert_done(save(&w, "NAS", "two", &err), &err);
	look(&w);
	assert_int_equal(credential_fault_count(w.set), 0);
	assert_int_equal(credential_count(w.set), COUNT_OF(servers));
	assert_true(find(&c, &w, "smb://nas/q"));
	assert_string_equal(c.secret->text, "two");
	for (size_t i = 0; i < COUNT_OF(servers); i++)
		assert_done(remove_one(&w, servers[i], &err), &err);
	assert_false(remove_one(&w, "nas", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	look(&w);
	assert_int_equal(credential_count(w.set), 0);
	end(&w);
}

static void what_a_power_cut_left_is_swept(void **state UNUSED)
{
	const struct timespec long_ago[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct world w;
	char *old, *fresh;
	struct err err;

	begin(&w);
	put(&w, ".new-1", 0600, "secret");
	put(&w, ".new-2", 0600, "secret");
	old = path_join(w.folder, ".new-1");
	fresh = path_join(w.folder, ".new-2");
	assert_int_equal(utimensat(AT_FDCWD, old, long_ago, 0), 0);
	assert_done(save(&w, "nas", "one", &err), &err);
	assert_false(path_exists(old));
	assert_true(path_exists(fresh));
	free(old);
	free(fresh);
	end(&w);
}

static void a_persons_file_is_left_to_the_person(void **state UNUSED)
{
	struct world w;
	struct err err;

	begin(&w);
	put(&w, "mine.conf", 0600, "[nas]\nuser=u\nsecret=one\n[b]\nguest=yes\n");
	assert_false(save(&w, "nas", "two", &err));
	assert_int_equal(err.code, ERR_EXISTS);
	assert_non_null(strstr(err.why, "mine.conf"));
	assert_false(remove_one(&w, "nas", &err));
	assert_int_equal(err.code, ERR_IN_USE);
	assert_done(save(&w, "nas/share", "two", &err), &err);
	end(&w);
}

TESTING_MAIN(cmocka_unit_test(the_section_that_says_most_counts),
	     cmocka_unit_test(files_that_others_read_are_refused_and_the_rest_counts),
	     cmocka_unit_test(a_fingerprint_changes_with_the_credential_alone),
	     cmocka_unit_test(fingerprints_of_two_states_have_nothing_in_common),
	     cmocka_unit_test(a_users_ticket_gives_way_to_what_is_configured),
	     cmocka_unit_test(a_ticket_counts_in_its_own_context_and_changes_when_renewed),
	     cmocka_unit_test(one_is_set_replaced_and_removed),
	     cmocka_unit_test(what_a_power_cut_left_is_swept),
	     cmocka_unit_test(a_persons_file_is_left_to_the_person))

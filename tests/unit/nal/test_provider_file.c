/* Folders, once directly and once as an OS mount, whose calls run in a time box. */
#include "support/testing.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/random.h"
#include "nal/conntab.h"
#include "support/tempdir.h"

struct fixture {
	char *dir;
	struct conntab *tab;
	struct locator where;
	struct way *way;
};

static void reach(struct fixture *f, bool by_mount)
{
	static const struct conntab_options options = CONNTAB_OPTIONS_DEFAULT;
	struct err err = { 0 };
	SCOPED_TEXT char *url = NULL;
	struct way_target target = { .where = &f->where };

	if (f->dir == NULL)
		f->dir = tempdir_make("file");
	url = by_mount ? alloc_text("smb://nas/packway") : alloc_printf("file://%s", f->dir);
	assert_done(locator_parse(&f->where, url, &err), &err);
	target.mount_at = by_mount ? f->dir : NULL;
	f->tab = conntab_new(&options);
	assert_done(conntab_acquire(&f->way, f->tab, &target, WAY_LINK_NONE, NULL, &err) ==
			    NAL_CLASS_OK,
		    &err);
	assert_int_equal(f->way->by_mount, by_mount);
}

static void leave(struct fixture *f)
{
	conntab_release(f->tab, f->way);
	assert_int_equal(conntab_sessions(f->tab), 0); /* folders do not linger */
	conntab_free(f->tab);
	locator_release(&f->where);
	tempdir_remove(f->dir);
	*f = (struct fixture){ .dir = NULL };
}

static char *in_dir(const struct fixture *f, const char *name)
{
	return path_join(f->dir, name);
}

static void place(const struct fixture *f, const char *name, const char *text)
{
	SCOPED_TEXT char *path = in_dir(f, name);
	struct err err = { 0 };

	assert_done(newfile_write(path, 0644, span_of_text(text), &err), &err);
}

/* Every behaviour holds for both kinds. */
#define FOR_BOTH(f) for (int mount = 0; mount < 2 && (reach((f), mount == 1), true); mount++)

static bool append(size_t range, struct span piece, void *ctx)
{
	struct buf *out = ctx;

	buf_printf(out, "%s%zu:", out->size > 0 ? " " : "", range);
	buf_put_span(out, piece);
	return true;
}

static void objects_are_read_whole_and_by_ranges(void **state UNUSED)
{
	static const struct way_range ranges[] = { { 1, 2 }, { 5, 3 } };
	static const struct way_range past[] = { { 8, 3 } };
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };

	FOR_BOTH(&f)
	{
		SCOPED(way_object) struct way_object o = { .unchanged = false };
		SCOPED(buf) struct buf got = { 0 };
		struct way_get get = { .max = 10 };
		struct way_stat st;

		place(&f, "ten", "0123456789");
		assert_done(way_get(&o, f.way, "ten", &get, &err) == NAL_CLASS_OK, &err);
		assert_string_equal(buf_text(&o.bytes), "0123456789");
		assert_int_equal(way_read_ranges(f.way, "ten", ranges, 2, append, &got, &err),
				 NAL_CLASS_OK);
		assert_string_equal(buf_text(&got), "0:12 1:567");
		assert_int_equal(way_counts(f.way).bytes_in, 15);
		assert_int_equal(way_read_ranges(f.way, "ten", past, 1, append, &got, &err),
				 NAL_CLASS_PROTOCOL);
		get.max = 9;
		assert_int_equal(way_get(&o, f.way, "ten", &get, &err), NAL_CLASS_PROTOCOL);
		assert_int_equal(err.code, ERR_LIMIT);
		assert_int_equal(way_get(&o, f.way, "none", &get, &err), NAL_CLASS_NOT_FOUND);
		assert_int_equal(way_stat(&st, f.way, "ten", &err), NAL_CLASS_OK);
		assert_int_equal(st.size, 10);
		leave(&f);
	}
}

static void unchanged_objects_move_nothing(void **state UNUSED)
{
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };

	FOR_BOTH(&f)
	{
		SCOPED(way_object) struct way_object o = { .unchanged = false };
		char token[WAY_TOKEN_SIZE];
		struct way_get get = { .max = 10, .token = token };

		place(&f, "t", "one");
		get.token = NULL;
		assert_int_equal(way_get(&o, f.way, "t", &get, &err), NAL_CLASS_OK);
		memcpy(token, o.token, sizeof(token));
		get.token = token;
		assert_int_equal(way_get(&o, f.way, "t", &get, &err), NAL_CLASS_OK);
		assert_true(o.unchanged);
		assert_int_equal(o.bytes.size, 0);
		place(&f, "t", "two"); /* same size, perhaps the same clock tick, another inode */
		assert_int_equal(way_get(&o, f.way, "t", &get, &err), NAL_CLASS_OK);
		assert_false(o.unchanged);
		assert_string_equal(buf_text(&o.bytes), "two");
		leave(&f);
	}
}

static void links_and_devices_are_not_followed(void **state UNUSED)
{
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };

	FOR_BOTH(&f)
	{
		SCOPED(way_object) struct way_object o = { .unchanged = false };
		SCOPED_TEXT char *link = in_dir(&f, "link");
		SCOPED_TEXT char *fifo = in_dir(&f, "fifo");
		SCOPED_TEXT char *up = in_dir(&f, "up");
		struct way_get get = { .max = 1u << 20 };
		struct way_put put = { .mode = WAY_PUT_REPLACE, .bytes = span_of("x", 1) };

		assert_int_equal(symlink("/etc/passwd", link), 0);
		assert_int_equal(symlink("..", up), 0);
		assert_int_equal(mkfifo(fifo, 0644), 0);
		assert_int_equal(way_get(&o, f.way, "link", &get, &err), NAL_CLASS_PROTOCOL);
		assert_int_equal(way_get(&o, f.way, "fifo", &get, &err), NAL_CLASS_PROTOCOL);
		assert_int_not_equal(way_put(f.way, "up/evil", &put, &err), NAL_CLASS_OK);
		assert_int_equal(way_get(&o, f.way, "../x", &get, &err), NAL_CLASS_UNKNOWN);
		assert_int_equal(err.code, ERR_REFUSED);
		leave(&f);
	}
}

static unsigned mode_of(const struct fixture *f, const char *name)
{
	SCOPED_TEXT char *path = in_dir(f, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static bool count_entry(const struct way_entry *entry, void *ctx)
{
	struct buf *out = ctx;

	buf_printf(out, "[%s %llu%s]", entry->name, (unsigned long long)entry->size,
		   entry->is_folder ? " folder" : "");
	return true;
}

static bool count_sent(uint64_t bytes, void *ctx)
{
	*(uint64_t *)ctx += bytes;
	return true;
}

static void objects_are_written_whole(void **state UNUSED)
{
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };

	FOR_BOTH(&f)
	{
		SCOPED(way_object) struct way_object o = { .unchanged = false };
		SCOPED(buf) struct buf listed = { 0 };
		uint64_t sent = 0;
		struct way_put put = { .mode = WAY_PUT_CREATE,
				       .bytes = span_of("one", 3),
				       .sent = count_sent,
				       .ctx = &sent };
		mode_t before = umask(0077);

		assert_done(way_put(f.way, "a/b/c", &put, &err) == NAL_CLASS_OK, &err);
		umask(before);
		assert_int_equal(sent, 3);
		assert_int_equal(mode_of(&f, "a/b/c"), 0644);
		assert_int_equal(way_put(f.way, "a/b/c", &put, &err), NAL_CLASS_CONFLICT);
		assert_int_equal(err.code, ERR_EXISTS);
		put.mode = WAY_PUT_REPLACE;
		put.bytes = span_of("three", 5);
		assert_int_equal(way_put(f.way, "a/b/c", &put, &err), NAL_CLASS_OK);
		assert_int_equal(way_get(&o, f.way, "a/b/c", &(struct way_get){ .max = 9 }, &err),
				 NAL_CLASS_OK);
		assert_string_equal(buf_text(&o.bytes), "three");
		assert_int_equal(way_list(f.way, "a/b", 10, count_entry, &listed, &err),
				 NAL_CLASS_OK);
		assert_string_equal(buf_text(&listed), "[c 5]");
		buf_clear(&listed);
		assert_int_equal(way_list(f.way, "", 10, count_entry, &listed, &err), NAL_CLASS_OK);
		assert_string_equal(buf_text(&listed), "[a 0 folder]");
		assert_int_equal(way_delete(f.way, "a/b/c", &err), NAL_CLASS_OK);
		assert_int_equal(way_delete(f.way, "a/b/c", &err), NAL_CLASS_NOT_FOUND);
		leave(&f);
	}
}

static void a_large_file_is_put_from_its_descriptor(void **state UNUSED)
{
	const size_t size = (5u << 20) + 7;
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };

	FOR_BOTH(&f)
	{
		char name[] = "/tmp/packway-test-put-XXXXXX";
		int fd = mkstemp(name);
		uint64_t sent = 0;
		struct way_put put = { .mode = WAY_PUT_CREATE,
				       .fd = fd,
				       .size = size,
				       .sent = count_sent,
				       .ctx = &sent };
		struct way_stat st;

		assert_true(fd >= 0 && unlink(name) == 0 && ftruncate(fd, (off_t)size) == 0);
		assert_done(way_put(f.way, "big", &put, &err) == NAL_CLASS_OK, &err);
		assert_int_equal(sent, size);
		assert_int_equal(way_stat(&st, f.way, "big", &err), NAL_CLASS_OK);
		assert_int_equal(st.size, size);
		/* The file is at its end now: the next put finds it too short. */
		assert_int_equal(way_put(f.way, "big2", &put, &err), NAL_CLASS_UNKNOWN);
		assert_int_equal(way_stat(&st, f.way, "big2", &err), NAL_CLASS_NOT_FOUND);
		close(fd);
		leave(&f);
	}
}

/* Count what stands in the folder, hidden names included. */
static int names_in(const char *dir)
{
	SCOPED_TEXT char *command = alloc_printf("ls -A '%s' | wc -l", dir);
	FILE *p = popen(command, "r");
	int n = -1;

	assert_non_null(p);
	assert_int_equal(fscanf(p, "%d", &n), 1);
	pclose(p);
	return n;
}

/* What came back of a put; it ends at `wanted` bytes. */
struct back {
	struct buf bytes;
	size_t wanted;
};

static bool take_back(struct span piece, void *ctx)
{
	struct back *b = ctx;

	buf_put_span(&b->bytes, piece);
	return b->bytes.size < b->wanted;
}

static int noise_file(struct buf *out, size_t size)
{
	char name[] = "/tmp/packway-test-put-XXXXXX";
	int fd = mkstemp(name);
	struct err err = { 0 };

	random_bytes(buf_reserve(out, size), size);
	buf_grew(out, size);
	assert_true(fd >= 0 && unlink(name) == 0);
	assert_done(path_write_fd(fd, buf_span(out), &err), &err);
	return fd;
}

/* A mount is not read in passing: it may hang. */
static void what_is_put_comes_back_from_local_folders(void **state UNUSED)
{
	const size_t size = (5u << 20) + 7;
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };

	FOR_BOTH(&f)
	{
		SCOPED(buf) struct buf noise = { 0 };
		int fd = noise_file(&noise, size);
		struct back all = { .wanted = SIZE_MAX }, some = { .wanted = 1 };
		struct way_put put = { .fd = fd, .size = size, .back = take_back };

		put.back_ctx = &all;
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_done(way_put(f.way, "all", &put, &err) == NAL_CLASS_OK, &err);
		if (mount == 0)
			assert_true(span_equal(buf_span(&all.bytes), buf_span(&noise)));
		else
			assert_int_equal(all.bytes.size, 0);
		/* Who wants no more does not end the put. */
		put.back_ctx = &some;
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_done(way_put(f.way, "some", &put, &err) == NAL_CLASS_OK, &err);
		assert_true(some.bytes.size < size);
		/* The file is at its end: there is nothing to write, and nothing comes back. */
		assert_int_equal(way_put(f.way, "none", &put, &err), NAL_CLASS_UNKNOWN);
		assert_int_equal(names_in(f.dir), 2);
		buf_release(&all.bytes);
		buf_release(&some.bytes);
		close(fd);
		leave(&f);
	}
}

static void listings_are_bounded(void **state UNUSED)
{
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };

	FOR_BOTH(&f)
	{
		SCOPED(buf) struct buf listed = { 0 };

		place(&f, "a", "");
		place(&f, "b", "");
		place(&f, ".new-0123", "");
		assert_int_equal(way_list(f.way, "", 2, count_entry, &listed, &err), NAL_CLASS_OK);
		assert_int_equal(way_list(f.way, "", 1, count_entry, &listed, &err),
				 NAL_CLASS_PROTOCOL);
		assert_int_equal(err.code, ERR_LIMIT);
		leave(&f);
	}
}

/* Wherever the writing stops, the old object stands and nothing else. */
static void a_put_that_fails_leaves_the_old_object(void **state UNUSED)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };

	signal(SIGXFSZ, SIG_IGN);
	FOR_BOTH(&f)
	{
		SCOPED(buf) struct buf bytes = { 0 };
		struct way_put put = { .mode = WAY_PUT_REPLACE };

		memset(buf_reserve(&bytes, 3u << 20), 'x', 3u << 20);
		buf_grew(&bytes, 3u << 20);
		put.bytes = buf_span(&bytes);
		place(&f, "o", "old");
		for (rlim_t limit = 0; limit < 3u << 20; limit += 700001) {
			SCOPED(way_object) struct way_object o = { .unchanged = false };
			struct rlimit l = { limit, RLIM_INFINITY };

			assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
			assert_int_equal(way_put(f.way, "o", &put, &err), NAL_CLASS_UNKNOWN);
			assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
			assert_int_equal(
				way_get(&o, f.way, "o", &(struct way_get){ .max = 9 }, &err),
				NAL_CLASS_OK);
			assert_string_equal(buf_text(&o.bytes), "old");
			assert_int_equal(names_in(f.dir), 1);
		}
		leave(&f);
	}
}

static bool stop_at_once(uint64_t bytes UNUSED, void *ctx UNUSED)
{
	return false;
}

static void a_sender_that_stops_leaves_nothing(void **state UNUSED)
{
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };

	FOR_BOTH(&f)
	{
		struct way_put put = { .bytes = span_of("abc", 3), .sent = stop_at_once };

		assert_int_equal(way_put(f.way, "o", &put, &err), NAL_CLASS_OK);
		assert_int_equal(names_in(f.dir), 0);
		leave(&f);
	}
}

/* ---- many at once ---- */

#define BATCH 40

/* Objects "0.json" to "39.json", all with the same bytes. */
struct many {
	char names[BATCH][32];
	struct way_small objects[BATCH];
	struct way_batch batch;
	uint64_t sent;
};

static void fill(struct many *m, size_t count, const char *text)
{
	*m = (struct many){ .sent = 0 };
	for (size_t i = 0; i < count; i++) {
		snprintf(m->names[i], sizeof(m->names[i]), "%zu.json", i);
		m->objects[i] = (struct way_small){ m->names[i], span_of_text(text) };
	}
	m->batch = (struct way_batch){
		.folder = "a/b",
		.objects = m->objects,
		.count = count,
		.sent = count_sent,
		.ctx = &m->sent,
	};
}

static void assert_all(const struct fixture *f, size_t count, const char *text)
{
	SCOPED_TEXT char *folder = in_dir(f, "a/b");
	struct err err = { 0 };

	assert_int_equal(names_in(folder), count);
	for (size_t i = 0; i < count; i++) {
		SCOPED_TEXT char *path = alloc_printf("%s/%zu.json", folder, i);
		SCOPED(buf) struct buf bytes = { 0 };

		assert_done(path_read(&bytes, path, 99, &err), &err);
		assert_string_equal(buf_text(&bytes), text);
	}
}

/* Few are flushed one by one, many together. */
static void many_objects_are_replaced_together(void **state UNUSED)
{
	static const size_t counts[] = { 1, 8, 9, BATCH };
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };
	struct many m;

	FOR_BOTH(&f)
	{
		for (size_t i = 0; i < COUNT_OF(counts); i++) {
			fill(&m, counts[i], "old");
			assert_done(way_replace_all(f.way, &m.batch, &err) == NAL_CLASS_OK, &err);
			fill(&m, counts[i], "newer");
			assert_done(way_replace_all(f.way, &m.batch, &err) == NAL_CLASS_OK, &err);
			assert_int_equal(m.sent, 5 * counts[i]);
			assert_all(&f, counts[i], "newer");
			assert_int_equal(mode_of(&f, "a/b/0.json"), 0644);
		}
		leave(&f);
	}
}

/* The last of them is too large for the disk: none has got its name by then. */
static void a_batch_that_fails_replaces_nothing(void **state UNUSED)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	const struct rlimit small = { 4, RLIM_INFINITY };
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };
	struct many m;

	signal(SIGXFSZ, SIG_IGN);
	FOR_BOTH(&f)
	{
		fill(&m, BATCH, "old");
		assert_done(way_replace_all(f.way, &m.batch, &err) == NAL_CLASS_OK, &err);
		fill(&m, BATCH, "new");
		m.objects[BATCH - 1].bytes = span_of_text("newer");
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		assert_int_equal(way_replace_all(f.way, &m.batch, &err), NAL_CLASS_UNKNOWN);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
		assert_all(&f, BATCH, "old");
		fill(&m, BATCH, "new");
		m.batch.sent = stop_at_once;
		assert_int_equal(way_replace_all(f.way, &m.batch, &err), NAL_CLASS_OK);
		assert_all(&f, BATCH, "old");
		leave(&f);
	}
}

static void a_batch_stays_in_its_folder(void **state UNUSED)
{
	static const char *const names[] = { "../o", "a/o", "", "." };
	struct fixture f = { .dir = NULL };
	struct err err = { 0 };
	struct many m;

	FOR_BOTH(&f)
	{
		for (size_t i = 0; i < COUNT_OF(names); i++) {
			fill(&m, 2, "new");
			m.objects[1].name = names[i];
			assert_int_equal(way_replace_all(f.way, &m.batch, &err), NAL_CLASS_UNKNOWN);
			assert_int_equal(err.code, ERR_REFUSED);
		}
		fill(&m, 2, "new");
		m.batch.folder = "..";
		assert_int_equal(way_replace_all(f.way, &m.batch, &err), NAL_CLASS_UNKNOWN);
		assert_int_equal(names_in(f.dir), 0);
		leave(&f);
	}
}

/* In the child: put one object into the inbox as somebody who may not read it. */
static int put_as_nobody(struct fixture *f)
{
	struct way_put put = { .mode = WAY_PUT_CREATE, .bytes = span_of("envelope", 8) };
	struct err err;

	if (setgid(65534) != 0 || setuid(65534) != 0)
		return 99;
	if (way_put(f->way, "inbox/one", &put, &err) != NAL_CLASS_OK)
		return 1;
	return way_put(f->way, "inbox/one", &put, &err) == NAL_CLASS_CONFLICT ? 0 : 2;
}

/* An inbox has mode 1733: clients drop and cannot look. */
static void an_inbox_takes_what_it_does_not_show(void **state UNUSED)
{
	struct fixture f = { .dir = NULL };

	if (geteuid() != 0)
		skip();
	FOR_BOTH(&f)
	{
		SCOPED_TEXT char *inbox = in_dir(&f, "inbox");
		int status;
		pid_t pid;

		assert_int_equal(chmod(f.dir, 0755), 0);
		assert_int_equal(mkdir(inbox, 0700), 0);
		assert_int_equal(chmod(inbox, 01733), 0);
		pid = fork();
		if (pid == 0)
			_exit(put_as_nobody(&f));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		assert_int_equal(names_in(inbox), 1);
		leave(&f);
	}
}

TESTING_MAIN(cmocka_unit_test(objects_are_read_whole_and_by_ranges),
	     cmocka_unit_test(unchanged_objects_move_nothing),
	     cmocka_unit_test(links_and_devices_are_not_followed),
	     cmocka_unit_test(objects_are_written_whole),
	     cmocka_unit_test(a_large_file_is_put_from_its_descriptor),
	     cmocka_unit_test(what_is_put_comes_back_from_local_folders),
	     cmocka_unit_test(listings_are_bounded),
	     cmocka_unit_test(a_put_that_fails_leaves_the_old_object),
	     cmocka_unit_test(a_sender_that_stops_leaves_nothing),
	     cmocka_unit_test(many_objects_are_replaced_together),
	     cmocka_unit_test(a_batch_that_fails_replaces_nothing),
	     cmocka_unit_test(a_batch_stays_in_its_folder),
	     cmocka_unit_test(an_inbox_takes_what_it_does_not_show), )

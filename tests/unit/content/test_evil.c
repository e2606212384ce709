/*
 * Trees and names that want out of the store, counted: whatever a manifest says and whatever stands
 * where a version is put together, nothing beside the store is made, changed or removed.
 */
#include "support/testing.h"

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#include <zstd.h>

#include "content/assemble.h"
#include "content/check.h"
#include "content/compact.h"
#include "content/store.h"
#include "content/tree.h"
#include "support/fakedp.h"
#include "support/tempdir.h"

#define CASES_WANTED 100
#define ENTRIES_MAX  4
#define SOLO         .same_as = MANIFEST_NOT_SAME

static size_t cases_seen;

/* ---- the store, and what stands beside it ---- */

struct place {
	char *top;
	char *outside; /* TOP/outside: a file, and folders with one each */
	char *packages;
	struct store *store;
	struct store_id id;
	char *partial;
	struct digest before; /* of all that is outside the store */
};

static struct buf *seen_so_far;
static const char *passed_over;

static int see(const char *path, const struct stat *st, int kind UNUSED, struct FTW *at UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED_TEXT char *line = NULL;
	struct err ignored;
	char target[256] = "";

	if (strcmp(path, passed_over) == 0)
		return FTW_SKIP_SUBTREE;
	if (S_ISLNK(st->st_mode))
		(void)!readlink(path, target, sizeof(target) - 1);
	line = alloc_printf("%s %o %llu %s\n", path, st->st_mode,
			    S_ISDIR(st->st_mode) ? 0 : (unsigned long long)st->st_size, target);
	buf_put_text(seen_so_far, line);
	if (S_ISREG(st->st_mode) && path_read(&bytes, path, 1u << 20, &ignored))
		buf_put_span(seen_so_far, buf_span(&bytes));
	return FTW_CONTINUE;
}

static void look_outside(struct digest *out, const struct place *p)
{
	SCOPED(buf) struct buf seen = { 0 };

	seen_so_far = &seen;
	passed_over = p->packages;
	assert_int_equal(nftw(p->top, see, 16, FTW_PHYS | FTW_ACTIONRETVAL), 0);
	digest_of(out, buf_span(&seen));
}

static void write_outside(const struct place *p, const char *name)
{
	SCOPED_TEXT char *path = path_join(p->outside, name);
	struct err err = { 0 };
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0640);

	assert_true(fd >= 0);
	assert_done(path_write_fd(fd, span_of_text("precious"), &err), &err);
	close(fd);
}

static void set_up(struct place *p)
{
	SCOPED_TEXT char *deep = NULL;
	struct err err = { 0 };

	*p = (struct place){ .top = tempdir_make("evil") };
	p->outside = path_join(p->top, "outside");
	p->packages = path_join(p->top, "store");
	deep = path_join(p->outside, "dir");
	assert_done(path_make_dirs(deep, 0750, &err), &err);
	write_outside(p, "file");
	write_outside(p, "dir/file");
	assert_int_equal(chmod(deep, 0550), 0); /* whoever makes it usable has followed something */
	assert_done(store_open(&p->store, p->packages, clock_system(), &err), &err);
	assert_true(store_id_make(&p->id, "LON00001", 1));
	p->partial = store_partial_path(p->store, &p->id);
	look_outside(&p->before, p);
}

static void tear_down(struct place *p)
{
	SCOPED_TEXT char *deep = path_join(p->outside, "dir");

	(void)chmod(deep, 0750);
	store_close(p->store);
	free(p->partial);
	free(p->packages);
	free(p->outside);
	tempdir_remove(p->top);
}

static void nothing_left_the_store(const struct place *p, const char *why)
{
	struct digest after;

	look_outside(&after, p);
	if (!digest_equal(&after, &p->before))
		fail_msg("%s: something beside the store has changed", why);
	if (path_exists("/packway-evil") || path_exists("/tmp/packway-evil"))
		fail_msg("%s: an absolute name was followed", why);
	cases_seen++;
}

/* ---- manifests by hand ---- */

struct evil_entry {
	uint8_t type;
	uint16_t mode;
	const char *path;
	size_t path_size;
	const char *target; /* of links */
	size_t target_size;
};

#define NAMED(text)    .path = text, .path_size = sizeof(text) - 1
#define LEADS_TO(text) .target = text, .target_size = sizeof(text) - 1
#define DIR_AT(p)                                            \
	{                                                    \
		.type = MANIFEST_DIR, .mode = 0755, NAMED(p) \
	}
#define FILE_AT(p)                                            \
	{                                                     \
		.type = MANIFEST_FILE, .mode = 0644, NAMED(p) \
	}
#define LINK_AT(p, t)                                                      \
	{                                                                  \
		.type = MANIFEST_LINK, .mode = 0777, NAMED(p), LEADS_TO(t) \
	}
#define KIND_AT(p, t)                                            \
	{                                                        \
		.type = t, .mode = 0644, NAMED(p), LEADS_TO("x") \
	}
#define MODE_AT(p, t, m)                                      \
	{                                                     \
		.type = t, .mode = m, NAMED(p), LEADS_TO("x") \
	}

static size_t shared_size(const struct evil_entry *a, const struct evil_entry *b)
{
	size_t n = 0;

	while (a != NULL && n < a->path_size && n < b->path_size && a->path[n] == b->path[n])
		n++;
	return n;
}

/* The columns of docs/formats/manifest.md, with no check of ours on the way. All files are empty.
 */
static void put_body(struct buf *out, const struct evil_entry *entries, size_t count)
{
	buf_put_varint(out, count);
	for (size_t i = 0; i < count; i++)
		buf_put_u16(out, (uint16_t)(entries[i].type << 12 | entries[i].mode));
	for (size_t i = 0; i < count; i++)
		if (entries[i].type == MANIFEST_FILE)
			buf_put(out, "\0\0", 2);
	for (size_t i = 0; i < count; i++) {
		size_t shared = shared_size(i > 0 ? &entries[i - 1] : NULL, &entries[i]);

		buf_put_varint(out, shared);
		buf_put_varint(out, entries[i].path_size - shared);
		buf_put(out, entries[i].path + shared, entries[i].path_size - shared);
	}
	for (size_t i = 0; i < count; i++)
		if (entries[i].type == MANIFEST_LINK) {
			buf_put_varint(out, entries[i].target_size);
			buf_put(out, entries[i].target, entries[i].target_size);
		}
	buf_put_u8(out, 0);
}

static void put_manifest(struct buf *out, struct span body)
{
	static const struct compact_kind kind = {
		.magic = "PWMF", .noun = "manifest", .bytes_max = 1u << 30, .body_max = 1u << 30
	};
	struct err err = { 0 };

	assert_done(compact_write(out, &kind, body, &err), &err);
}

static bool assembles(struct place *p, struct span manifest, struct err *err)
{
	const struct assemble_params params = {
		.dir = p->partial,
		.manifest = manifest,
		.gap = PLAN_GAP_DEFAULT,
		.clock = clock_system(),
	};
	SCOPED(assemble) struct assemble *a = NULL;

	return assemble_open(&a, &params, err) && assemble_local(a, err) == ASSEMBLE_DONE &&
	       assemble_missing(a) == 0 && assemble_finish(a, err) &&
	       store_commit(p->store, &p->id, 0, err);
}

/* No reader would let it through: then the tree has to stand up for itself. */
static void build_unread(struct place *p, const struct evil_entry *entries, size_t count)
{
	SCOPED(manifest) struct manifest *m = manifest_new();
	SCOPED_TEXT char *root = path_join(p->partial, "tree");
	struct tree t;
	struct err err = { 0 };

	for (size_t i = 0; i < count; i++) {
		const struct manifest_entry e = {
			.path = entries[i].path,
			.target = entries[i].target,
			.type = (uint8_t)MIN_OF((int)entries[i].type, MANIFEST_LINK),
			.mode = entries[i].mode,
			SOLO,
		};

		manifest_add_entry(m, &e);
	}
	assert_done(path_make_dirs(p->partial, 0700, &err), &err);
	if (tree_create(&t, root, m, &err)) {
		(void)!tree_complete(&t, &err);
		tree_close(&t);
	}
}

static void refused_and_harmless(const char *why, const struct evil_entry *entries, size_t count)
{
	SCOPED(buf) struct buf body = { 0 };
	SCOPED(buf) struct buf manifest = { 0 };
	struct place p;
	struct err err = { 0 };

	set_up(&p);
	put_body(&body, entries, count);
	put_manifest(&manifest, buf_span(&body));
	if (assembles(&p, buf_span(&manifest), &err))
		fail_msg("%s: such a tree was built", why);
	build_unread(&p, entries, count);
	nothing_left_the_store(&p, why);
	tear_down(&p);
}

/* ---- names and trees that no manifest may hold ---- */

#define LONG_64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_256 LONG_64 LONG_64 LONG_64 LONG_64
#define LONG_4K                                                                                   \
	LONG_256 LONG_256 LONG_256 LONG_256 LONG_256 LONG_256 LONG_256 LONG_256 LONG_256 LONG_256 \
		LONG_256 LONG_256 LONG_256 LONG_256 LONG_256 LONG_256
#define UPS_32 \
	"../../../../../../../../../../../../../../../../../../../../../../../../../../../../../../../../"

static const struct {
	const char *why;
	struct evil_entry entries[ENTRIES_MAX];
} refused[] = {
	/* out by the name */
	{ "absolute", { FILE_AT("/packway-evil") } },
	{ "absolute, in a folder that all may write", { FILE_AT("/tmp/packway-evil") } },
	{ "the root of all", { DIR_AT("/") } },
	{ "two slashes", { FILE_AT("//packway-evil") } },
	{ "the parent itself", { DIR_AT("..") } },
	{ "in the parent", { FILE_AT("../evil") } },
	{ "two up", { FILE_AT("../../outside/evil") } },
	{ "three up", { FILE_AT("../../../outside/evil") } },
	{ "thirty-two up", { FILE_AT(UPS_32 "tmp/packway-evil") } },
	{ "a detour by the parent", { DIR_AT("a"), FILE_AT("a/../evil") } },
	{ "a detour out", { DIR_AT("a"), FILE_AT("a/../../evil") } },
	{ "a folder that is a parent", { DIR_AT("a"), DIR_AT("a/.."), FILE_AT("a/../evil") } },
	{ "a detour without the folder", { FILE_AT("a/../../outside/evil") } },
	{ "the parent at the end", { DIR_AT("a"), DIR_AT("a/..") } },
	{ "the parent with a slash", { DIR_AT("../") } },
	{ "the root's parent", { FILE_AT("/../packway-evil") } },
	{ "onto a file outside", { FILE_AT("../../../outside/file") } },
	{ "a folder onto a folder outside", { DIR_AT("../../../outside/dir") } },
	{ "a link onto a file outside", { LINK_AT("../../../outside/file", "x") } },
	{ "onto the store's manifest", { FILE_AT("../manifest") } },
	/* spelt otherwise */
	{ "here", { DIR_AT(".") } },
	{ "here, then a name", { FILE_AT("./a") } },
	{ "here in the middle", { DIR_AT("a"), FILE_AT("a/./b") } },
	{ "nothing", { DIR_AT("") } },
	{ "an empty step", { DIR_AT("a"), FILE_AT("a//b") } },
	{ "a slash at the end", { DIR_AT("a/") } },
	{ "overlong dots", { FILE_AT("\xc0\xae\xc0\xae/evil") } },
	{ "an overlong slash",
	  { FILE_AT("..\xc0\xaf"
		    "evil") } },
	{ "an overlong slash of three bytes",
	  { FILE_AT("..\xe0\x80\xaf"
		    "evil") } },
	{ "half a pair of UTF-16", { FILE_AT("\xed\xa0\x80") } },
	{ "past Unicode", { FILE_AT("\xf4\x90\x80\x80") } },
	{ "no UTF-8", { FILE_AT("\xff") } },
	{ "no UTF-8 behind a letter", { FILE_AT("a\xfe") } },
	{ "a character cut off", { FILE_AT("a\xc3") } },
	{ "NUL", { FILE_AT("\0") } },
	{ "NUL in the middle", { FILE_AT("a\0b") } },
	{ "NUL at the end", { FILE_AT("a\0") } },
	{ "NUL behind the parent", { FILE_AT("..\0/a") } },
	{ "NUL behind an absolute name", { FILE_AT("/packway-evil\0a") } },
	{ "a step of 256 bytes", { FILE_AT(LONG_256) } },
	{ "a step of 4,096 bytes", { FILE_AT(LONG_4K) } },
	{ "4,096 bytes in steps", { FILE_AT(UPS_32 UPS_32 LONG_4K) } },
	{ "8,192 bytes", { FILE_AT(LONG_4K LONG_4K) } },
	/* through what is no folder */
	{ "beneath a file", { FILE_AT("a"), FILE_AT("a/b") } },
	{ "beneath a link out", { LINK_AT("a", "../../../outside"), FILE_AT("a/evil") } },
	{ "beneath an absolute link", { LINK_AT("a", "/tmp"), FILE_AT("a/packway-evil") } },
	{ "beneath a link here", { LINK_AT("a", "."), FILE_AT("a/b") } },
	{ "beneath a link to a folder", { LINK_AT("a", "b"), FILE_AT("a/x"), DIR_AT("b") } },
	{ "a folder beneath a link out", { LINK_AT("a", "../../../outside"), DIR_AT("a/d") } },
	{ "a link beneath a link out", { LINK_AT("a", "../.."), LINK_AT("a/l", "x") } },
	{ "beneath nothing", { FILE_AT("a/b") } },
	{ "two deep beneath nothing", { DIR_AT("a"), FILE_AT("a/b/c") } },
	{ "a folder after what is in it", { FILE_AT("a/b"), DIR_AT("a") } },
	/* one name twice */
	{ "two files", { FILE_AT("a"), FILE_AT("a") } },
	{ "a file and a folder", { FILE_AT("a"), DIR_AT("a") } },
	{ "a link, then a file through it",
	  { LINK_AT("a", "../../../outside/file"), FILE_AT("a") } },
	{ "a file, then a link", { FILE_AT("a"), LINK_AT("a", "/tmp") } },
	{ "a folder, then a link in its place",
	  { DIR_AT("a"), LINK_AT("a", "../../../outside"), FILE_AT("a/evil") } },
	{ "a link, then a folder in its place",
	  { LINK_AT("a", "../../../outside"), DIR_AT("a"), FILE_AT("a/evil") } },
	{ "a name again, after others", { FILE_AT("a"), FILE_AT("b"), LINK_AT("a", "/tmp") } },
	/* links out */
	{ "to the root", { LINK_AT("l", "/") } },
	{ "to an absolute file", { LINK_AT("l", "/etc/passwd") } },
	{ "to two slashes", { LINK_AT("l", "//") } },
	{ "to the parent", { LINK_AT("l", "..") } },
	{ "to the parent with a slash", { LINK_AT("l", "../") } },
	{ "to the parent by here", { LINK_AT("l", "./..") } },
	{ "to a file outside", { LINK_AT("l", "../../../outside/file") } },
	{ "two up from one deep", { DIR_AT("d"), LINK_AT("d/l", "../..") } },
	{ "out and in again", { LINK_AT("l", "../tree/a") } },
	{ "by way of nothing", { LINK_AT("l", "x/../..") } },
	{ "down, then too far up", { DIR_AT("d"), LINK_AT("l", "d/../../x") } },
	{ "thirty-two up", { LINK_AT("l", UPS_32) } },
	{ "doubled slashes and dots", { DIR_AT("d"), LINK_AT("d/l", ".././/../x") } },
	{ "by way of a link up",
	  { DIR_AT("a"), DIR_AT("a/b"), LINK_AT("a/b/up", "../.."), LINK_AT("z", "a/b/up/..") } },
	{ "by way of a link here", { LINK_AT("h", "."), LINK_AT("l", "h/h/h/../..") } },
	{ "by way of two links",
	  { DIR_AT("a"), LINK_AT("a/u", ".."), LINK_AT("v", "a/u"), LINK_AT("w", "v/..") } },
	{ "a target with NUL", { LINK_AT("l", "a\0/../../..") } },
	{ "no target", { LINK_AT("l", "") } },
	{ "a target of 4,096 bytes", { LINK_AT("l", LONG_4K) } },
	{ "a target that is no UTF-8", { LINK_AT("l", "\x80") } },
	/* what is no content */
	{ "kind 3", { KIND_AT("a", 3) } },
	{ "kind 4", { KIND_AT("a", 4) } },
	{ "kind 5", { KIND_AT("a", 5) } },
	{ "kind 6, a block device's", { KIND_AT("a", 6) } },
	{ "kind 7", { KIND_AT("a", 7) } },
	{ "kind 8", { KIND_AT("a", 8) } },
	{ "kind 12, a socket's", { KIND_AT("a", 12) } },
	{ "kind 15", { KIND_AT("a", 15) } },
	{ "set-uid", { MODE_AT("a", MANIFEST_FILE, 04755) } },
	{ "set-gid", { MODE_AT("a", MANIFEST_FILE, 02755) } },
	{ "all bits", { MODE_AT("a", MANIFEST_FILE, 07777) } },
	{ "a set-gid folder", { MODE_AT("a", MANIFEST_DIR, 02755) } },
	{ "a sticky folder", { MODE_AT("a", MANIFEST_DIR, 01777) } },
	{ "a set-uid link", { MODE_AT("a", MANIFEST_LINK, 04777) } },
	{ "a link with a mode", { MODE_AT("a", MANIFEST_LINK, 0644) } },
};

static void evil_manifests_are_refused_and_build_nothing(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		size_t count = 0;

		while (count < ENTRIES_MAX && refused[i].entries[count].path != NULL)
			count++;
		refused_and_harmless(refused[i].why, refused[i].entries, count);
	}
}

/* ---- names that only look evil: they are content, and land inside ---- */

static const struct fakefile harmless[] = {
	{ .path = "\n", .seed = 1, .size = 3 },
	{ .path = "line\nbreak\r\n", .seed = 2, .size = 3 },
	{ .path = " ", .seed = 3, .size = 3 },
	{ .path = "\t\x1b[31m\x07", .seed = 4, .size = 3 },
	{ .path = "...", .seed = 5, .size = 3 },
	{ .path = "..a", .seed = 6, .size = 3 },
	{ .path = "-rf", .seed = 7, .size = 3 },
	{ .path = "$(touch evil)`id`;|&", .seed = 8, .size = 3 },
	{ .path = "*", .seed = 9, .size = 3 },
	{ .path = "~root", .seed = 10, .size = 3 },
	{ .path = "..\\..\\evil", .seed = 11, .size = 3 },
	{ .path = "C:\\evil", .seed = 12, .size = 3 },
	{ .path = "\\\\server\\share", .seed = 13, .size = 3 },
	{ .path = "%2e%2e%2fevil", .seed = 14, .size = 3 },
	{ .path = "CON", .seed = 15, .size = 3 },
	{ .path = "nul.txt ", .seed = 16, .size = 3 },
	{ .path = "file:stream", .seed = 17, .size = 3 },
	/* case tricks, and what looks alike */
	{ .path = "case", .is_dir = true },
	{ .path = "case/in", .seed = 18, .size = 3 },
	{ .path = "Case", .target = "case" },
	{ .path = "CASE", .seed = 19, .size = 3 },
	{ .path = "\xc3\xa9", .seed = 20, .size = 3 },
	{ .path = "e\xcc\x81", .target = "case" },
	{ .path = "\xef\xac\x81", .seed = 21, .size = 3 },
	{ .path = "fi", .target = "case" },
	{ .path = "\xe2\x80\xaetxt.exe", .seed = 22, .size = 3 },
	{ .path = "\xef\xbc\x8e\xef\xbc\x8e\xef\xbc\x8f"
		  "evil",
	  .seed = 23,
	  .size = 3 },
	{ .path = "K", .seed = 24, .size = 3 },
	{ .path = "\xe2\x84\xaa", .target = "case" },
	/* the store's own names, and the longest */
	{ .path = "manifest", .seed = 25, .size = 3 },
	{ .path = "journal", .is_dir = true },
	{ .path = ".new-0123456789abcdef", .seed = 26, .size = 3 },
	{ .path = "1.record", .target = "nowhere" },
	{ .path = "tree", .is_dir = true },
	{ .path = "tree/tree", .target = ".." },
	{ .path = LONG_64 LONG_64 LONG_64
	  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
	  .seed = 27,
	  .size = 3 },
};

static void names_that_look_evil_land_inside(void **state UNUSED)
{
	SCOPED(check) struct check check = { 0 };
	struct fakedp dp = { 0 };
	struct fakeversion v;
	struct place p;
	struct err err = { 0 };

	set_up(&p);
	fakedp_publish(&dp, &v, 1, harmless, COUNT_OF(harmless));
	{
		const struct assemble_params params = {
			.dir = p.partial,
			.manifest = buf_span(&v.manifest),
			.index = dp.index_name,
			.gap = PLAN_GAP_DEFAULT,
			.clock = clock_system(),
		};
		const struct transfer_source source = fakedp_source(&dp);
		SCOPED(assemble) struct assemble *a = NULL;

		assert_done(assemble_open(&a, &params, &err), &err);
		assert_int_equal(assemble_local(a, &err), ASSEMBLE_DONE);
		assert_int_equal(assemble_fetch(a, &source, &err), ASSEMBLE_DONE);
		assert_done(assemble_finish(a, &err), &err);
		assert_done(store_commit(p.store, &p.id, 100, &err), &err);
	}
	{
		SCOPED_TEXT char *tree = store_tree_path(p.store, &p.id);

		assert_done(check_tree(&check, tree, v.parsed, NULL, &err), &err);
	}
	assert_int_equal(check.total, 0);
	nothing_left_the_store(&p, "names that look evil");
	cases_seen += COUNT_OF(harmless) - 1;
	fakeversion_release(&v);
	fakedp_release(&dp);
	tear_down(&p);
}

/* ---- what stands already where a tree is put together ---- */

enum stands {
	STANDS_LINK_TO_DIR,
	STANDS_LINK_TO_FILE,
	STANDS_LINK_TO_NOTHING,
	STANDS_LINK_TO_ITSELF,
	STANDS_HARD_LINK,
	STANDS_FIFO,
	STANDS_SOCKET,
	STANDS_DEVICE,
	STANDS_FILE,
	STANDS_SHUT_FOLDER,
	STANDS_COUNT_,
};

static const char *const stands_names[] = {
	[STANDS_LINK_TO_DIR] = "a link to a folder outside",
	[STANDS_LINK_TO_FILE] = "a link to a file outside",
	[STANDS_LINK_TO_NOTHING] = "a link to what would be made outside",
	[STANDS_LINK_TO_ITSELF] = "a link to itself",
	[STANDS_HARD_LINK] = "a hard link of a file outside",
	[STANDS_FIFO] = "a FIFO",
	[STANDS_SOCKET] = "a socket",
	[STANDS_DEVICE] = "a device",
	[STANDS_FILE] = "a file",
	[STANDS_SHUT_FOLDER] = "a folder without rights",
};
static_assert(COUNT_OF(stands_names) == STANDS_COUNT_, "every kind has a name");

/* Beneath the partial folder. */
static const char *const spots[] = { "tree",           "tree/dir",  "tree/dir/file",
				     "tree/dir/empty", "tree/link", "tree/stray" };

static const struct fakefile wanted[] = {
	{ .path = "dir", .is_dir = true },
	{ .path = "dir/file", .seed = 1, .size = 300000, .mode = 0755 },
	{ .path = "dir/copy", .seed = 1, .size = 300000 },
	{ .path = "dir/empty", .size = 0 },
	{ .path = "link", .target = "dir/file" },
};

static bool stand_link(const struct place *p, const char *to, const char *path)
{
	SCOPED_TEXT char *target = path_join(p->outside, to);

	return symlink(target, path) == 0;
}

static bool stand_socket(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool done;

	snprintf(at.sun_path, sizeof(at.sun_path), "%.*s", (int)sizeof(at.sun_path) - 1, path);
	done = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
	close(fd);
	return done;
}

static bool stand(const struct place *p, const char *path, enum stands kind)
{
	SCOPED_TEXT char *file = path_join(p->outside, "file");

	switch (kind) {
	case STANDS_LINK_TO_DIR:
		return stand_link(p, "dir", path);
	case STANDS_LINK_TO_FILE:
		return stand_link(p, "file", path);
	case STANDS_LINK_TO_NOTHING:
		return stand_link(p, "evil", path);
	case STANDS_LINK_TO_ITSELF:
		return symlink(path_base(path), path) == 0;
	case STANDS_HARD_LINK:
		return link(file, path) == 0;
	case STANDS_FIFO:
		return mkfifo(path, 0666) == 0;
	case STANDS_SOCKET:
		return stand_socket(path);
	case STANDS_DEVICE: /* root's alone to make; the null device does no harm */
		return mknod(path, S_IFCHR | 0666, makedev(1, 3)) == 0 || mkfifo(path, 0666) == 0;
	case STANDS_FILE:
		return close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)) == 0;
	case STANDS_SHUT_FOLDER:
	case STANDS_COUNT_:
		break;
	}
	return mkdir(path, 0) == 0;
}

/* Either it is put right, whole, or it is refused; and in neither case by way of what stood there.
 */
static void build_over(struct place *p, struct fakedp *dp, const struct fakeversion *v,
		       const char *why)
{
	const struct assemble_params params = {
		.dir = p->partial,
		.manifest = buf_span(&v->manifest),
		.index = dp->index_name,
		.gap = PLAN_GAP_DEFAULT,
		.clock = clock_system(),
	};
	const struct transfer_source source = fakedp_source(dp);
	SCOPED(assemble) struct assemble *a = NULL;
	SCOPED(check) struct check check = { 0 };
	SCOPED_TEXT char *tree = store_tree_path(p->store, &p->id);
	struct err err = { 0 };
	bool done = assemble_open(&a, &params, &err) && assemble_local(a, &err) == ASSEMBLE_DONE &&
		    (assemble_missing(a) == 0 ||
		     assemble_fetch(a, &source, &err) == ASSEMBLE_DONE) &&
		    assemble_finish(a, &err) && store_commit(p->store, &p->id, 600000, &err);

	if (!done)
		return;
	assert_done(check_tree(&check, tree, v->parsed, NULL, &err), &err);
	if (check.total > 0)
		fail_msg("%s: %s is %s", why, check.items[0].path,
			 check_kind_name(check.items[0].kind));
}

static void what_stands_there_leads_nowhere(void **state UNUSED)
{
	struct fakedp dp = { 0 };
	struct fakeversion v;

	fakedp_publish(&dp, &v, 1, wanted, COUNT_OF(wanted));
	for (size_t i = 0; i < COUNT_OF(spots) * STANDS_COUNT_; i++) {
		const char *spot = spots[i / STANDS_COUNT_];
		enum stands kind = (enum stands)(i % STANDS_COUNT_);
		SCOPED_TEXT char *why = alloc_printf("%s at %s", stands_names[kind], spot);
		SCOPED_TEXT char *path = NULL;
		SCOPED_TEXT char *above = NULL;
		struct place p;
		struct err err = { 0 };

		set_up(&p);
		path = path_join(p.partial, spot);
		above = alloc_printf("%.*s", (int)(path_base(path) - path - 1), path);
		assert_done(path_make_dirs(above, 0700, &err), &err);
		if (!stand(&p, path, kind))
			fail_msg("%s cannot be made", why);
		look_outside(&p.before, &p);
		build_over(&p, &dp, &v, why);
		nothing_left_the_store(&p, why);
		tear_down(&p);
	}
	fakeversion_release(&v);
	fakedp_release(&dp);
}

/* ---- bombs ---- */

static void put_head(struct buf *out, uint32_t format, uint32_t size)
{
	buf_put(out, "PWMF", 4);
	buf_put_u32(out, format);
	buf_put_u32(out, size);
}

/* A frame that decodes to `size` zeros, saying so or not. */
static void put_zeros(struct buf *out, size_t size, bool says_size)
{
	static const char zeros[1 << 16];
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(size) / 8 + 4096;
	ZSTD_outBuffer to = { buf_reserve(out, room), room, 0 };

	ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, says_size);
	if (says_size)
		ZSTD_CCtx_setPledgedSrcSize(zstd, size);
	for (size_t at = 0; at < size; at += sizeof(zeros)) {
		ZSTD_inBuffer in = { zeros, MIN_OF(sizeof(zeros), size - at), 0 };
		bool last = at + in.size == size;

		while (ZSTD_compressStream2(zstd, &to, &in, last ? ZSTD_e_end : ZSTD_e_continue) >
			       0 &&
		       last)
			;
	}
	ZSTD_freeCCtx(zstd);
	buf_grew(out, to.pos);
}

static const struct {
	const char *why;
	uint32_t format, says; /* in the head */
	size_t zeros;          /* that the frame holds */
	bool frame_says;
} bombs[] = {
	{ "1 GiB in a frame that says so", 1, 1u << 30, 1u << 30, true },
	{ "1 GiB in a frame that says so, a head that does not", 1, 100, 1u << 30, true },
	{ "1 GiB in a frame that keeps silent", 1, 100, 1u << 30, false },
	{ "one byte above the limit", 1, (64u << 20) + 1, (64u << 20) + 1, true },
	{ "the largest size there is", 1, UINT32_MAX, 100, true },
	{ "less than the head says", 1, 64u << 20, 100, true },
	{ "another format", 2, 100, 100, true },
	{ "64 MiB of zeros", 1, 64u << 20, 64u << 20, true },
};

static void compressed_bombs_do_not_go_off(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(bombs); i++) {
		SCOPED(buf) struct buf bytes = { 0 };
		struct place p;
		struct err err = { 0 };

		set_up(&p);
		put_head(&bytes, bombs[i].format, bombs[i].says);
		put_zeros(&bytes, bombs[i].zeros, bombs[i].frame_says);
		if (assembles(&p, buf_span(&bytes), &err))
			fail_msg("%s: was read", bombs[i].why);
		nothing_left_the_store(&p, bombs[i].why);
		tear_down(&p);
	}
}

/* Counts and sizes that are claimed, with nothing behind them. */
static const struct {
	const char *why, *body;
	size_t size;
} claims[] = {
#define CLAIM(text) text, sizeof(text) - 1
	{ "1,000,001 entries", CLAIM("\xc1\x84\x3d") },
	{ "2^32 entries", CLAIM("\x80\x80\x80\x80\x10") },
	{ "2^64 - 1 entries", CLAIM("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") },
	{ "a number without an end", CLAIM("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") },
	{ "10^6 entries in three bytes", CLAIM("\xc0\x84\x3d") },
	{ "no entries", CLAIM("\0\0") },
	{ "a file of 2^41 bytes without chunks",
	  CLAIM("\1\244\21\0\x80\x80\x80\x80\x80\x40\0\1a\0") },
	{ "a file of 2^63 bytes",
	  CLAIM("\1\244\21\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\1\0\1a\0") },
	{ "two files whose sum is 0 again",
	  CLAIM("\2\244\21\244\21\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\1"
		"\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\1\0\1a\0\1b\0") },
	{ "2^32 chunks", CLAIM("\1\244\21\0\0\0\1a\x80\x80\x80\x80\x10") },
	{ "a chunk of 2^32 bytes", CLAIM("\1\244\21\0\4\0\1a\1\x80\x80\x80\x80\x10") },
	{ "a path of 2^32 bytes", CLAIM("\1\244\21\0\0\0\x80\x80\x80\x80\x10"
					"a") },
	{ "a path that shares what is not there", CLAIM("\1\244\21\0\0\x7f\1a\0") },
};

static void claims_without_bytes_are_refused(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(claims); i++) {
		SCOPED(buf) struct buf bytes = { 0 };
		struct place p;
		struct err err = { 0 };

		set_up(&p);
		put_manifest(&bytes, span_of(claims[i].body, claims[i].size));
		if (assembles(&p, buf_span(&bytes), &err))
			fail_msg("%s: was read", claims[i].why);
		nothing_left_the_store(&p, claims[i].why);
		tear_down(&p);
	}
}

/* `count` empty files, 0000000 and on. */
static void put_many(struct buf *out, size_t count)
{
	SCOPED(buf) struct buf body = { 0 };
	char before[16] = "", name[16];

	buf_put_varint(&body, count);
	for (size_t i = 0; i < count; i++)
		buf_put_u16(&body, MANIFEST_FILE << 12 | 0644);
	for (size_t i = 0; i < count; i++)
		buf_put(&body, "\0\0", 2);
	for (size_t i = 0; i < count; i++) {
		size_t shared = 0;

		snprintf(name, sizeof(name), "%07zu", i);
		while (before[shared] != '\0' && before[shared] == name[shared])
			shared++;
		buf_put_varint(&body, shared);
		buf_put_varint(&body, strlen(name) - shared);
		buf_put(&body, name + shared, strlen(name) - shared);
		memcpy(before, name, sizeof(before));
	}
	buf_put_u8(&body, 0);
	put_manifest(out, buf_span(&body));
}

static void a_million_entries_are_read_and_not_one_more(void **state UNUSED)
{
	for (size_t more = 0; more < 2; more++) {
		SCOPED(manifest) struct manifest *m = NULL;
		SCOPED(buf) struct buf bytes = { 0 };
		struct err err = { 0 };

		put_many(&bytes, MANIFEST_ENTRIES_MAX + more);
		if (manifest_read(&m, buf_span(&bytes), &err) != (more == 0))
			fail_msg("%zu more than the most: %s", more, err.why);
		cases_seen++;
	}
}

static void enough_cases_were_seen(void **state UNUSED)
{
	print_message("# %zu evil trees and names\n", cases_seen);
	assert_true(cases_seen >= CASES_WANTED);
}

TESTING_MAIN(cmocka_unit_test(evil_manifests_are_refused_and_build_nothing),
	     cmocka_unit_test(names_that_look_evil_land_inside),
	     cmocka_unit_test(what_stands_there_leads_nowhere),
	     cmocka_unit_test(compressed_bombs_do_not_go_off),
	     cmocka_unit_test(claims_without_bytes_are_refused),
	     cmocka_unit_test(a_million_entries_are_read_and_not_one_more),
	     cmocka_unit_test(enough_cases_were_seen))

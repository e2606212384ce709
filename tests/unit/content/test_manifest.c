#include "content/manifest.h"

#include <string.h>

#include "common/alloc.h"
#include "content/chunker.h"
#include "content/compact.h"
#include "support/testing.h"

#define SOLO .same_as = MANIFEST_NOT_SAME

static const struct compact_kind kind = {
	.magic = "PWMF", .noun = "manifest", .bytes_max = 1u << 26, .body_max = 1u << 26
};

static const struct manifest_entry tree[] = {
	{ .path = "-dash", .type = MANIFEST_FILE, .mode = 0644, .size = 10, SOLO },
	{ .path = "a b'\"", .type = MANIFEST_FILE, .mode = 0755, .size = 200, SOLO },
	{ .path = "dir", .type = MANIFEST_DIR, .mode = 0755, SOLO },
	{ .path = "dir-not", .type = MANIFEST_FILE, .mode = 0600, .size = 0, SOLO },
	{ .path = "dir/copy", .type = MANIFEST_FILE, .mode = 0444, .size = 200, .same_as = 1 },
	{ .path = "dir/empty", .type = MANIFEST_DIR, .mode = 0700, SOLO },
	{ .path = "dir/link", .type = MANIFEST_LINK, .mode = 0777, .target = "../dir-not", SOLO },
	{ .path = "line\nbreak", .type = MANIFEST_FILE, .mode = 0, .size = 300, SOLO },
	{ .path = "\xc3\xa9t\xc3\xa9", .type = MANIFEST_FILE, .mode = 0777, .size = 5, SOLO },
};

static void number_digest(struct digest *out, uint32_t n)
{
	digest_of(out, span_of(&n, sizeof(n)));
}

static void add_tree(struct manifest *m)
{
	static const uint32_t sizes[] = { 110, 400, 5 };

	for (size_t i = 0; i < COUNT_OF(tree); i++)
		manifest_add_entry(m, &tree[i]);
	for (uint32_t i = 0; i < COUNT_OF(sizes); i++) {
		struct digest id;

		number_digest(&id, i);
		manifest_add_chunk(m, &id, sizes[i]);
	}
}

static void write_tree(struct buf *out)
{
	SCOPED(manifest) struct manifest *m = manifest_new();
	struct err err;

	add_tree(m);
	assert_done(manifest_write(out, m, &err), &err);
}

static void a_manifest_comes_back_as_it_was(void **state UNUSED)
{
	static const uint64_t offsets[] = { 0, 10, 0, 210, 10, 0, 0, 210, 510 };
	SCOPED(manifest) struct manifest *m = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	write_tree(&bytes);
	assert_done(manifest_read(&m, buf_span(&bytes), &err), &err);
	assert_int_equal(manifest_entry_count(m), COUNT_OF(tree));
	for (uint32_t i = 0; i < COUNT_OF(tree); i++) {
		const struct manifest_entry *e = manifest_entry_at(m, i);

		assert_string_equal(e->path, tree[i].path);
		assert_int_equal(e->type, tree[i].type);
		assert_int_equal(e->mode, tree[i].mode);
		assert_int_equal(e->size, tree[i].size);
		assert_int_equal(e->same_as, tree[i].same_as);
		assert_int_equal(e->offset, offsets[i]);
	}
	assert_string_equal(manifest_find(m, "dir/link")->target, "../dir-not");
	assert_null(manifest_find(m, "dir/link2"));
	assert_int_equal(manifest_chunk_count(m), 3);
	assert_int_equal(manifest_chunk_at(m, 2)->offset, 510);
	assert_int_equal(manifest_stream_size(m), 515);
	assert_int_equal(manifest_tree_size(m), 715);
	assert_int_equal(manifest_file_count(m), 6);
}

static void one_content_has_one_identity(void **state UNUSED)
{
	SCOPED(manifest) struct manifest *made = manifest_new();
	SCOPED(manifest) struct manifest *read = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED(buf) struct buf again = { 0 };
	struct digest a, b;
	struct err err;

	add_tree(made);
	write_tree(&bytes);
	assert_done(manifest_read(&read, buf_span(&bytes), &err), &err);
	manifest_identity(&a, made);
	manifest_identity(&b, read);
	assert_true(digest_equal(&a, &b));
	assert_done(manifest_write(&again, read, &err), &err);
	assert_true(span_equal(buf_span(&bytes), buf_span(&again)));
}

#define MARKED(p, s, m)                                                                    \
	{                                                                                  \
		.path = p, .type = MANIFEST_FILE, .mode = 0644, .size = s, SOLO, .mark = m \
	}

/* Of the small files in the stream that share a size; of others nobody asks for one. */
static void marks_are_kept_where_sizes_are_shared(void **state UNUSED)
{
	static const struct manifest_entry files[] = {
		MARKED("a", 10, 1),
		MARKED("b", 20, 2),
		MARKED("c", 10, 0x80000003),
		{ .path = "d", .type = MANIFEST_FILE, .mode = 0644, .size = 10, .same_as = 2 },
		MARKED("e", MANIFEST_MARKED_MAX, 5),
		MARKED("f", MANIFEST_MARKED_MAX, 6),
	};
	static const uint32_t kept[] = { 1, 0, 0x80000003, 0x80000003, 0, 0 };
	SCOPED(manifest) struct manifest *m = manifest_new();
	SCOPED(manifest) struct manifest *read = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct digest id = { { 0 } }, a, b;
	struct err err;

	for (size_t i = 0; i < COUNT_OF(files); i++)
		manifest_add_entry(m, &files[i]);
	manifest_add_chunk(m, &id, 40);
	for (size_t i = 0; i < 2; i++)
		manifest_add_chunk(m, &id, MANIFEST_MARKED_MAX);
	assert_done(manifest_write(&bytes, m, &err), &err);
	assert_done(manifest_read(&read, buf_span(&bytes), &err), &err);
	for (uint32_t i = 0; i < COUNT_OF(files); i++)
		assert_int_equal(manifest_mark_of(read, manifest_entry_at(read, i)), kept[i]);
	manifest_identity(&a, m);
	manifest_identity(&b, read);
	assert_true(digest_equal(&a, &b));
}

static void pieces_cover_a_range_file_by_file(void **state UNUSED)
{
	static const struct manifest_piece want[] = {
		{ .entry = 0, .file_offset = 5, .range_offset = 0, .size = 5 },
		{ .entry = 1, .file_offset = 0, .range_offset = 5, .size = 200 },
		{ .entry = 7, .file_offset = 0, .range_offset = 205, .size = 300 },
		{ .entry = 8, .file_offset = 0, .range_offset = 505, .size = 4 },
	};
	SCOPED(manifest) struct manifest *m = manifest_new();
	struct manifest_piece piece;
	size_t n = 0;

	add_tree(m);
	for (struct manifest_piece_iter it = manifest_pieces(m, 5, 509);
	     manifest_piece_next(&it, &piece); n++) {
		assert_true(n < COUNT_OF(want));
		assert_int_equal(piece.entry, want[n].entry);
		assert_int_equal(piece.file_offset, want[n].file_offset);
		assert_int_equal(piece.range_offset, want[n].range_offset);
		assert_int_equal(piece.size, want[n].size);
	}
	assert_int_equal(n, COUNT_OF(want));
	for (uint64_t at = 0; at < 515; at++) {
		struct manifest_piece_iter it = manifest_pieces(m, at, 1);

		assert_true(manifest_piece_next(&it, &piece));
		assert_int_equal(manifest_entry_at(m, piece.entry)->offset + piece.file_offset, at);
		assert_false(manifest_piece_next(&it, &piece));
	}
}

#define DIR_AT(p)                                                   \
	{                                                           \
		.path = p, .type = MANIFEST_DIR, .mode = 0755, SOLO \
	}
#define FILE_AT(p)                                                   \
	{                                                            \
		.path = p, .type = MANIFEST_FILE, .mode = 0644, SOLO \
	}
#define LINK_AT(p, t)                                                             \
	{                                                                         \
		.path = p, .type = MANIFEST_LINK, .mode = 0777, .target = t, SOLO \
	}

static const struct {
	const char *why;
	struct manifest_entry entries[4];
	uint32_t chunk; /* size of the one chunk; 0: none */
} refused[] = {
	{ "no entries", { { 0 } }, 0 },
	{ "absolute", { FILE_AT("/etc") }, 0 },
	{ "above", { FILE_AT("../x") }, 0 },
	{ "above in the middle", { DIR_AT("a"), DIR_AT("a/.."), FILE_AT("a/../x") }, 0 },
	{ "dot", { DIR_AT(".") }, 0 },
	{ "doubled slash", { DIR_AT("a"), FILE_AT("a//b") }, 0 },
	{ "trailing slash", { DIR_AT("a/") }, 0 },
	{ "not UTF-8", { FILE_AT("\xff") }, 0 },
	{ "overlong UTF-8 of a slash", { FILE_AT("\xc0\xaf") }, 0 },
	{ "twice the same", { FILE_AT("a"), FILE_AT("a") }, 0 },
	{ "out of order", { FILE_AT("b"), FILE_AT("a") }, 0 },
	{ "no parent", { FILE_AT("a/b") }, 0 },
	{ "under a file", { FILE_AT("a"), FILE_AT("a/b") }, 0 },
	{ "under a link", { LINK_AT("a", "b"), FILE_AT("a/x"), DIR_AT("b") }, 0 },
	{ "absolute link", { LINK_AT("a", "/etc") }, 0 },
	{ "climbing link", { LINK_AT("a", "..") }, 0 },
	{ "climbing by way of another",
	  { DIR_AT("a"), DIR_AT("a/b"), LINK_AT("a/b/up", "../.."), LINK_AT("z", "a/b/up/..") },
	  0 },
	{ "link without target", { LINK_AT("a", "") }, 0 },
	{ "link with a target that is not UTF-8", { LINK_AT("a", "\x80") }, 0 },
	{ "link with a mode",
	  { { .path = "a", .type = MANIFEST_LINK, .mode = 0644, .target = "b", SOLO } },
	  0 },
	{ "setuid", { { .path = "a", .type = MANIFEST_FILE, .mode = 04755, SOLO } }, 0 },
	{ "unknown type", { { .path = "a", .type = 3, SOLO } }, 0 },
	{ "folder with bytes",
	  { { .path = "a", .type = MANIFEST_DIR, .mode = 0755, .size = 4, SOLO } },
	  0 },
	{ "bytes without chunks",
	  { { .path = "a", .type = MANIFEST_FILE, .mode = 0644, .size = 4, SOLO } },
	  0 },
	{ "chunks without bytes", { FILE_AT("a") }, 4 },
	{ "chunk too large",
	  { { .path = "a", .type = MANIFEST_FILE, .mode = 0644, .size = CHUNKER_MAX + 1, SOLO } },
	  CHUNKER_MAX + 1 },
	{ "same as an empty file",
	  { FILE_AT("a"), { .path = "b", .type = MANIFEST_FILE, .mode = 0644, .same_as = 0 } },
	  0 },
	{ "same as itself",
	  { { .path = "a", .type = MANIFEST_FILE, .mode = 0644, .size = 4, .same_as = 0 } },
	  4 },
	{ "same as a copy",
	  { { .path = "a", .type = MANIFEST_FILE, .mode = 0644, .size = 4, SOLO },
	    { .path = "b", .type = MANIFEST_FILE, .mode = 0644, .size = 4, .same_as = 0 },
	    { .path = "c", .type = MANIFEST_FILE, .mode = 0644, .size = 4, .same_as = 1 } },
	  4 },
	{ "same with another size",
	  { { .path = "a", .type = MANIFEST_FILE, .mode = 0644, .size = 4, SOLO },
	    { .path = "b", .type = MANIFEST_FILE, .mode = 0644, .size = 5, .same_as = 0 } },
	  4 },
};

static void dangerous_trees_are_not_written(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		SCOPED(manifest) struct manifest *m = manifest_new();
		SCOPED(buf) struct buf bytes = { 0 };
		struct digest id = { { 0 } };
		struct err err;

		for (size_t j = 0; j < 4 && refused[i].entries[j].path != NULL; j++)
			manifest_add_entry(m, &refused[i].entries[j]);
		if (refused[i].chunk > 0)
			manifest_add_chunk(m, &id, refused[i].chunk);
		if (manifest_write(&bytes, m, &err))
			fail_msg("written: %s", refused[i].why);
		assert_int_equal(err.code, ERR_FORMAT);
		assert_int_equal(bytes.size, 0);
	}
}

/* Files a and c of one byte each, in a chunk of two. */
#define TWO_OF_ONE_SIZE                          \
	"\2\244\21\244\21\0\1\0\1\0\1a\0\1c\1\2" \
	"0123456789abcdef0123456789abcdef"

/* Bodies made by hand: what no writer of ours writes. One file entry unless the row says more. */
static const struct {
	const char *why;
	const char *body;
	size_t size;
	bool fine;
} bodies[] = {
#define BODY(text) text, sizeof(text) - 1
	{ "one empty file", BODY("\1\244\21\0\0\0\1a\0"), true },
	{ "bytes behind the end", BODY("\1\244\21\0\0\0\1a\0\0"), false },
	{ "a number longer than needed", BODY("\1\244\21\0\200\0\0\1a\0"), false },
	{ "empty path", BODY("\1\244\21\0\0\0\0\0"), false },
	{ "NUL in a path", BODY("\1\244\21\0\0\0\3a\0b\0"), false },
	{ "shares more than there is", BODY("\1\244\21\0\0\1\1a\0"), false },
	{ "shares less than it could", BODY("\2\244\21\244\21\0\0\0\0\0\2ab\0\2ac\0"), false },
	{ "shares what it could", BODY("\2\244\21\244\21\0\0\0\0\0\2ab\1\1c\0"), true },
	{ "goes back", BODY("\2\244\21\244\21\0\0\0\0\0\2ab\1\1a\0"), false },
	{ "refers to what comes later", BODY("\1\244\21\1\0\1a\0"), false },
	{ "more entries than bytes", BODY("\377\3\244\21"), false },
	{ "chunks without their ids", BODY("\1\244\21\0\4\0\1a\1\4"), false },
	{ "two files of one size without marks", BODY(TWO_OF_ONE_SIZE), true },
	{ "two files of one size with marks", BODY(TWO_OF_ONE_SIZE "\1\2\3\4\0\0\0\0"), true },
	{ "marks that say nothing", BODY(TWO_OF_ONE_SIZE "\0\0\0\0\0\0\0\0"), false },
	{ "too few marks", BODY(TWO_OF_ONE_SIZE "\1\2\3\4"), false },
	{ "too many marks", BODY(TWO_OF_ONE_SIZE "\1\2\3\4\1\2\3\4\1\2\3\4"), false },
	{ "nothing", BODY(""), false },
};

static void bodies_are_read_strictly(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		SCOPED(manifest) struct manifest *m = NULL;
		SCOPED(buf) struct buf bytes = { 0 };
		struct err err = { 0 };

		assert_true(compact_write(&bytes, &kind, span_of(bodies[i].body, bodies[i].size),
					  &err));
		if (manifest_read(&m, buf_span(&bytes), &err) != bodies[i].fine)
			fail_msg("%s: %s", bodies[i].why, err.why);
	}
}

static void short_manifests_are_refused(void **state UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };

	write_tree(&bytes);
	for (size_t size = 0; size < bytes.size; size++) {
		SCOPED(manifest) struct manifest *m = NULL;
		struct err err;

		assert_false(manifest_read(&m, span_of(bytes.data, size), &err));
	}
}

/* The signature finds every flip. Here: none does harm, and what is read keeps the promises. */
static void flipped_bytes_do_no_harm(void **state UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };

	write_tree(&bytes);
	for (size_t i = 0; i < bytes.size * 8; i++) {
		SCOPED(manifest) struct manifest *m = NULL;
		SCOPED(buf) struct buf again = { 0 };
		struct err err;

		bytes.data[i / 8] ^= (uint8_t)(1u << i % 8);
		if (manifest_read(&m, buf_span(&bytes), &err))
			assert_done(manifest_write(&again, m, &err), &err);
		bytes.data[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}

/* CONTENT.md 1: a large package's manifest stays small. The time is for bench; this is the size. */
static void a_large_manifest_is_small(void **state UNUSED)
{
	SCOPED(manifest) struct manifest *m = manifest_new();
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	for (uint32_t i = 0; i < 20000; i++) {
		SCOPED_TEXT char *path = alloc_printf("file-%08u-with-a-longish-name.dat",
						      i * 1237);
		struct manifest_entry e = {
			.path = path, .type = MANIFEST_FILE, .mode = 0644, SOLO
		};

		e.size = 53687 + i % 1000;
		e.mark = i * 2654435761u + 1; /* each shares its size with twenty others */
		manifest_add_entry(m, &e);
	}
	for (uint64_t left = 20000ull * 53687 + 20 * 499500ull; left > 0;) {
		struct digest id;
		uint32_t size = (uint32_t)MIN_OF(left, 70000u);

		number_digest(&id, (uint32_t)left);
		manifest_add_chunk(m, &id, size);
		left -= size;
	}
	assert_done(manifest_write(&bytes, m, &err), &err);
	assert_in_range(bytes.size, 500000, 900000);
}

TESTING_MAIN(cmocka_unit_test(a_manifest_comes_back_as_it_was),
	     cmocka_unit_test(one_content_has_one_identity),
	     cmocka_unit_test(marks_are_kept_where_sizes_are_shared),
	     cmocka_unit_test(pieces_cover_a_range_file_by_file),
	     cmocka_unit_test(dangerous_trees_are_not_written),
	     cmocka_unit_test(bodies_are_read_strictly),
	     cmocka_unit_test(short_manifests_are_refused),
	     cmocka_unit_test(flipped_bytes_do_no_harm),
	     cmocka_unit_test(a_large_manifest_is_small))

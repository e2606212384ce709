#include "content/treediff.h"

#include <stdio.h>
#include <string.h>

#include "support/testing.h"

/* A tree of files one after another in a stream; the cuts between chunks are given. */
struct tree {
	struct manifest *manifest;
	struct treediff_side side;
	struct span stream;
};

static struct tree tree_of(const char *const *paths, const char *const *texts, size_t count,
			   const uint32_t *cuts, char *stream)
{
	struct tree t = { .manifest = manifest_new() };
	size_t size = 0, done = 0;

	for (size_t i = 0; i < count; i++) {
		const struct manifest_entry e = {
			.path = paths[i],
			.size = strlen(texts[i]),
			.type = MANIFEST_FILE,
			.same_as = MANIFEST_NOT_SAME,
			.mode = 0644,
		};

		manifest_add_entry(t.manifest, &e);
		memcpy(stream + size, texts[i], strlen(texts[i]));
		size += strlen(texts[i]);
	}
	for (size_t i = 0; done < size; done += cuts[i++]) {
		struct digest id;

		digest_of(&id, span_of(stream + done, cuts[i]));
		manifest_add_chunk(t.manifest, &id, cuts[i]);
	}
	assert_true(done == size);
	t.stream = span_of(stream, size);
	t.side.manifest = t.manifest;
	return t;
}

static void tree_free(struct tree *t)
{
	treediff_side_release(&t->side);
	manifest_free(t->manifest);
}

/* As manifest_write would, a manifest has to be read once before its offsets are used. */
static void settle(struct tree *t)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct manifest *read;
	struct err err;

	assert_done(manifest_write(&bytes, t->manifest, &err), &err);
	assert_done(manifest_read(&read, buf_span(&bytes), &err), &err);
	manifest_free(t->manifest);
	t->manifest = read;
	t->side.manifest = read;
}

static void expect(const struct treediff *diff, const char *text)
{
	char got[256] = "";

	for (size_t i = 0; i < diff->count; i++) {
		const struct treediff_change *c = &diff->changes[i];

		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s %s", i > 0 ? ", " : "",
			 treediff_kind_name(c->kind), c->new != NULL ? c->new->path : c->old->path);
	}
	assert_string_equal(got, text);
}

static void files_cut_alike_are_known_without_their_bytes(void **state UNUSED)
{
	char a[64], b[64];
	struct tree old = tree_of((const char *[]){ "a", "b" },
				  (const char *[]){ "aaaa", "bbbbbb" }, 2, (uint32_t[]){ 4, 6 }, a);
	struct tree new = tree_of((const char *[]){ "b", "z" },
				  (const char *[]){ "bbbbbb", "aaaa" }, 2, (uint32_t[]){ 6, 4 }, b);
	SCOPED(treediff) struct treediff diff = { 0 };

	settle(&old);
	settle(&new);
	treediff_identify(&old.side, NULL);
	treediff_identify(&new.side, NULL);
	assert_true(treediff_is_sure(&old.side, &new.side));
	treediff_compare(&diff, &old.side, &new.side);
	expect(&diff, "renamed z");
	assert_true(diff.unchanged == 1);
	tree_free(&old);
	tree_free(&new);
}

static void files_cut_otherwise_are_told_by_their_bytes(void **state UNUSED)
{
	char a[64], b[64];
	struct tree old = tree_of((const char *[]){ "a", "b" },
				  (const char *[]){ "aaaa", "bbbbbb" }, 2, (uint32_t[]){ 4, 6 }, a);
	struct tree new = tree_of((const char *[]){ "a", "c" },
				  (const char *[]){ "aaaa", "bbbbbb" }, 2, (uint32_t[]){ 5, 5 }, b);
	SCOPED(treediff) struct treediff diff = { 0 };

	settle(&old);
	settle(&new);
	treediff_identify(&old.side, NULL);
	treediff_identify(&new.side, NULL);
	assert_true(!treediff_is_sure(&old.side, &new.side));
	treediff_identify(&old.side, &old.stream);
	treediff_identify(&new.side, &new.stream);
	treediff_compare(&diff, &old.side, &new.side);
	expect(&diff, "renamed c");
	assert_true(diff.unchanged == 1);
	tree_free(&old);
	tree_free(&new);
}

static void each_old_name_is_given_once(void **state UNUSED)
{
	char a[64], b[64];
	struct tree old = tree_of((const char *[]){ "a" }, (const char *[]){ "aaaa" }, 1,
				  (uint32_t[]){ 4 }, a);
	struct tree new = tree_of((const char *[]){ "b", "c" }, (const char *[]){ "aaaa", "aaaa" },
				  2, (uint32_t[]){ 4, 4 }, b);
	SCOPED(treediff) struct treediff diff = { 0 };

	settle(&old);
	settle(&new);
	treediff_identify(&old.side, &old.stream);
	treediff_identify(&new.side, &new.stream);
	treediff_compare(&diff, &old.side, &new.side);
	expect(&diff, "renamed b, added c");
	tree_free(&old);
	tree_free(&new);
}

TESTING_MAIN(cmocka_unit_test(files_cut_alike_are_known_without_their_bytes),
	     cmocka_unit_test(files_cut_otherwise_are_told_by_their_bytes),
	     cmocka_unit_test(each_old_name_is_given_once))

#include "content/pairing.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "support/testing.h"

struct file {
	const char *path;
	uint32_t size; /* one chunk of it, whose id is made from `seed` */
	uint8_t seed;
	uint32_t same; /* number of the file with the same bytes + 1; 0: none */
};

#define FILES_MAX 8

/* Paths ascend, as a manifest wants; folders are left out, which no pairing looks at. */
static struct manifest *manifest_of(const struct file *files)
{
	struct manifest *m = manifest_new();

	for (size_t i = 0; i < FILES_MAX && files[i].path != NULL; i++) {
		const struct file *f = &files[i];
		struct digest id = { { f->seed } };

		manifest_add_entry(
			m, &(const struct manifest_entry){
				   .path = f->path,
				   .size = f->size,
				   .type = MANIFEST_FILE,
				   .same_as = f->same != 0 ? f->same - 1 : MANIFEST_NOT_SAME,
				   .mode = 0644,
			   });
		if (f->size > 0 && f->same == 0)
			manifest_add_chunk(m, &id, f->size);
	}
	return m;
}

#define NONE UINT64_MAX

static const struct {
	const char *why;
	struct file old[FILES_MAX];
	struct file new[FILES_MAX];
	uint64_t want[FILES_MAX]; /* offset of the origin in the old stream */
} rows[] = {
	{ "the same path is the origin, whatever it holds",
	  { { "a", 10, 1, 0 }, { "b", 20, 2, 0 } },
	  { { "a", 11, 2, 0 }, { "b", 20, 3, 0 } },
	  { 0, 10 } },
	{ "a renamed file is found by its chunk",
	  { { "a", 10, 1, 0 }, { "b", 20, 2, 0 } },
	  { { "zzz", 20, 2, 0 } },
	  { 10 } },
	{ "a version in a folder's name",
	  { { "lib/6.1-55/kernel/fs.ko", 10, 1, 0 }, { "lib/6.1-55/kernel/net.ko", 10, 2, 0 } },
	  { { "lib/6.1-56/kernel/fs.ko", 10, 3, 0 }, { "lib/6.1-56/kernel/net.ko", 10, 4, 0 } },
	  { 0, 10 } },
	{ "a version in the name itself",
	  { { "boot/config-6.1.0-55", 10, 1, 0 }, { "boot/vmlinuz-6.1.0-55", 10, 2, 0 } },
	  { { "boot/config-6.1.0-56", 10, 3, 0 }, { "boot/vmlinuz-6.1.0-56", 10, 4, 0 } },
	  { 0, 10 } },
	{ "names with nothing in common have no origin",
	  { { "usr/lib/libfoo.so.1", 10, 1, 0 } },
	  { { "usr/lib/z.bin", 10, 2, 0 } },
	  { NONE } },
	{ "empty files and copies of others have no row",
	  { { "a", 10, 1, 0 } },
	  { { "a", 10, 1, 0 }, { "b", 0, 0, 0 }, { "c", 10, 1, 1 }, { "d", 5, 9, 0 } },
	  { 0, NONE } },
	{ "an origin that is a copy stands where its twin does",
	  { { "a", 10, 1, 0 }, { "b", 10, 1, 1 } },
	  { { "b", 12, 4, 0 } },
	  { 0 } },
	{ "an empty old file is no origin", { { "a", 0, 0, 0 } }, { { "a", 10, 1, 0 } }, { NONE } },
};

static void files_find_their_origin(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		SCOPED(manifest) struct manifest *old = manifest_of(rows[i].old);
		SCOPED(manifest) struct manifest *new = manifest_of(rows[i].new);
		size_t count;
		struct delta_file *found = pairing_find(&count, new, old);
		uint64_t sum = 0;

		for (size_t k = 0; k < count; k++) {
			uint64_t got = found[k].old_size > 0 ? found[k].old_offset : NONE;

			if (got != rows[i].want[k])
				fail_msg("%s: file %zu from %lld, want %lld", rows[i].why, k,
					 (long long)got, (long long)rows[i].want[k]);
			sum += found[k].new_size;
		}
		assert_int_equal(sum, manifest_stream_size(new));
		free(found);
	}
}

static void a_first_install_comes_from_nowhere(void **state UNUSED)
{
	SCOPED(manifest) struct manifest *new = manifest_of(rows[0].new);
	size_t count;
	struct delta_file *found = pairing_find(&count, new, NULL);

	assert_int_equal(count, 2);
	assert_int_equal(found[0].new_size, 11);
	assert_int_equal(found[0].old_size, 0);
	free(found);
}

TESTING_MAIN(cmocka_unit_test(files_find_their_origin),
	     cmocka_unit_test(a_first_install_comes_from_nowhere))

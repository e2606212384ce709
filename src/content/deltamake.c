#include "content/deltamake.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/newfile.h"
#include "common/path.h"
#include "content/library.h"
#include "content/pairing.h"
#include "content/patchwriter.h"
#include "content/plan.h"
#include "content/unpack.h"

#define FOLDER_MODE  0755
#define FILE_MODE    0644
#define LOCK_WAIT_MS 2000
#define TEMP_PREFIX  ".new-"
#define NAP_MS       200                   /* between looks at the cancel flag */
#define COMPRESSORS  ((uint64_t)320 << 20) /* what four of them take at the highest level */

static const char *const outcome_names[] = {
	[DELTAMAKE_MADE] = "made",
	[DELTAMAKE_NOT_WORTH] = "not-worth",
	[DELTAMAKE_TOO_LARGE] = "too-large",
};
static_assert(COUNT_OF(outcome_names) == DELTAMAKE_OUTCOME_COUNT_, "every outcome has a name");

const char *deltamake_outcome_name(enum deltamake_outcome outcome)
{
	assert(outcome < DELTAMAKE_OUTCOME_COUNT_);
	return outcome_names[outcome];
}

/* One version as it stands in the library. */
struct version {
	struct index *index;
	struct manifest *manifest;
	struct unpack unpacked;
};

static void version_release(struct version *v)
{
	unpack_close(&v->unpacked);
	index_free(v->index);
	manifest_free(v->manifest);
}

struct make {
	const struct deltamake_options *options;
	struct library lib; /* never locked here: packs and indexes do not change */
	char *patches;
	int lock;
	struct version to, from;
	struct newfile file;
	struct digest_ctx *hash;
	uint64_t size, size_max; /* so far; of what is worth it */
	uint64_t began_ms, began_cpu_ms;
};

static void make_release(struct make *m)
{
	newfile_abandon(&m->file);
	digest_free(m->hash);
	version_release(&m->to);
	version_release(&m->from);
	path_close_fd(&m->lock);
	library_close(&m->lib);
	free(m->patches);
}
SCOPED_RELEASE(make);

static bool load(struct version *v, const struct library *lib, const struct deltamake_version *of,
		 struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	return library_read_index(&v->index, &bytes, lib, of->index, err) &&
	       manifest_read(&v->manifest, of->manifest, err);
}

/* --- what it has to beat ---------------------------------------------------------------------- */

/* What a client moves that has the old version, or nothing, and takes the best of what there is. */
static bool count_without(uint64_t *out, const struct make *m, struct err *err)
{
	struct plan_cost cost;

	if (!plan_count_ranges(&cost, m->to.manifest, m->from.manifest, m->to.index, err))
		return false;
	*out = cost.bytes;
	if (m->from.manifest != NULL && m->options->stream_size != 0)
		*out = MIN_OF(*out, m->options->stream_size);
	return true;
}

static uint64_t worth_at_most(const struct make *m, uint64_t without)
{
	return m->from.manifest != NULL ? without - without / 5 : without - without / 50;
}

static bool is_worth(const struct make *m)
{
	return m->size <= m->size_max;
}

/* --- making ----------------------------------------------------------------------------------- */

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* How long to sleep until what was used is no more than the share of the time that has passed. */
static uint64_t due_ms(const struct make *m)
{
	uint32_t percent = m->options->cpu_percent;
	uint64_t passed = clock_mono_ms(clock_system()) - m->began_ms;
	uint64_t used = cpu_ms() - m->began_cpu_ms;

	if (percent == 0 || percent >= 100 || used * 100 / percent <= passed)
		return 0;
	return used * 100 / percent - passed;
}

static bool is_cancelled(const struct make *m)
{
	return m->options->cancel != NULL && atomic_load(m->options->cancel);
}

static void keep_share(const struct make *m)
{
	uint64_t wait_ms;

	while (!is_cancelled(m) && (wait_ms = due_ms(m)) > 0) {
		const struct timespec nap = { .tv_nsec = (long)MIN_OF(wait_ms, NAP_MS) * 1000000 };

		nanosleep(&nap, NULL);
	}
}

static bool put(struct span bytes, void *ctx, struct err *err)
{
	struct make *m = ctx;

	keep_share(m);
	if (is_cancelled(m))
		return err_set(err, ERR_INTERRUPTED, "it was stopped");
	digest_update(m->hash, bytes);
	m->size += bytes.size;
	if (!is_worth(m))
		return err_set(err, ERR_LIMIT, "it saves too little");
	return path_write_fd(m->file.fd, bytes, err);
}

static bool write_file(struct make *m, uint64_t memory, struct err *err)
{
	const struct manifest *old = m->from.manifest;
	struct delta_input in = {
		.old_stream = m->from.unpacked.stream,
		.new_stream = m->to.unpacked.stream,
		.memory_max = memory - COMPRESSORS,
	};
	struct delta_file *files = pairing_find(&in.file_count, m->to.manifest, old);
	bool done;

	in.files = files;
	done = patchwriter_run(
		&in, old != NULL ? PATCHWRITER_LEVEL_PATCH : PATCHWRITER_LEVEL_STREAM, put, m, err);
	free(files);
	return done;
}

static bool unpack(struct version *v, const struct make *m, struct err *err)
{
	return v->manifest == NULL || unpack_open(&v->unpacked, m->lib.folder, v->index,
						  v->manifest, m->options->cancel, err);
}

static bool begin_file(struct make *m, struct err *err)
{
	SCOPED_TEXT char *path = path_join(m->patches, "unnamed");

	m->hash = digest_new();
	return newfile_begin(&m->file, path, FILE_MODE, err);
}

static bool keep_file(struct make *m, const struct index_delta *delta, struct err *err)
{
	char name[INDEX_NAME_MAX];
	SCOPED_TEXT char *path = NULL;

	index_print_delta(name, m->options->to.version, delta);
	path = path_join(m->lib.folder, name);
	newfile_retarget(&m->file, path);
	return newfile_commit(&m->file, err);
}

static bool make_it(struct deltamake_result *out, struct make *m, uint64_t memory, struct err *err)
{
	m->size_max = worth_at_most(m, out->without);
	if (!unpack(&m->from, m, err) || !unpack(&m->to, m, err) || !begin_file(m, err) ||
	    (!write_file(m, memory, err) && is_worth(m)))
		return false;
	out->delta.size = m->size;
	digest_finish(m->hash, &out->delta.digest);
	if (!is_worth(m)) {
		out->outcome = DELTAMAKE_NOT_WORTH;
		return true;
	}
	out->outcome = DELTAMAKE_MADE;
	return keep_file(m, &out->delta, err);
}

/* What a killed run left: nobody else makes any now. */
static bool sweep(const char *folder, struct err *err)
{
	DIR *dir = opendir(folder);
	const struct dirent *e;
	bool done = true;

	if (dir == NULL)
		return err_sys(err, ERR_IO, errno, "folder %s", folder);
	while (done && (e = readdir(dir)) != NULL)
		if (strncmp(e->d_name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0 &&
		    unlinkat(dirfd(dir), e->d_name, 0) != 0)
			done = err_sys(err, ERR_IO, errno, "remove %s/%s", folder, e->d_name);
	closedir(dir);
	return done;
}

static void name_folders(struct make *m, const char *library, const char *package)
{
	m->lib.folder = path_join(library, package);
	m->lib.packs = path_join(m->lib.folder, "packs");
	m->lib.indexes = path_join(m->lib.folder, "index");
	m->patches = path_join(m->lib.folder, "patches");
}

static bool take_lock(struct make *m, struct err *err)
{
	SCOPED_TEXT char *path = path_join(m->lib.folder, ".patches-lock");

	return path_make_dirs(m->patches, FOLDER_MODE, err) &&
	       path_lock(&m->lock, path, LOCK_WAIT_MS, err) && sweep(m->patches, err);
}

#define MAKE_EMPTY                                                       \
	{                                                                \
		.lib = LIBRARY_EMPTY, .lock = -1, .file = NEWFILE_EMPTY, \
	}

bool deltamake_run(struct deltamake_result *out, const struct deltamake_options *options,
		   struct err *err)
{
	SCOPED(make) struct make m = MAKE_EMPTY;
	uint64_t memory = options->memory_max != 0 ? options->memory_max : DELTAMAKE_MEMORY_DEFAULT;

	*out = (struct deltamake_result){ .outcome = DELTAMAKE_TOO_LARGE };
	m.options = options;
	m.began_ms = clock_mono_ms(clock_system());
	m.began_cpu_ms = cpu_ms();
	name_folders(&m, options->library, options->package);
	if (!load(&m.to, &m.lib, &options->to, err) ||
	    (options->from != NULL && !load(&m.from, &m.lib, options->from, err)) ||
	    !count_without(&out->without, &m, err))
		return false;
	out->delta.kind = options->from != NULL ? INDEX_PATCH : INDEX_STREAM;
	out->delta.from = options->from != NULL ? options->from->version : 0;
	if (memory < DELTAMAKE_MEMORY_MIN)
		return true;
	return take_lock(&m, err) && make_it(out, &m, memory, err);
}

/* --- listing and tidying ---------------------------------------------------------------------- */

bool deltamake_list(char *name_out, const char *library, const char *package, const char *of,
		    const struct index_delta *deltas, size_t count, struct err *err)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct digest ignored;
	uint32_t version;

	if (!library_open(&lib, library, package, err) ||
	    !library_read_index(&idx, &bytes, &lib, of, err))
		return false;
	for (size_t i = 0; i < count; i++)
		index_set_delta(idx, &deltas[i]);
	buf_clear(&bytes);
	return index_parse_name(&version, &ignored, of) && index_write(&bytes, idx, err) &&
	       library_add_index(name_out, &lib, version, buf_span(&bytes), err);
}

/* The names of all patches that the package's indexes list. */
struct names {
	char (*items)[INDEX_NAME_MAX];
	size_t count;
};

static void add_names(struct names *names, const struct index *idx, uint32_t version)
{
	for (uint32_t i = 0; i < index_delta_count(idx); i++) {
		ALLOC_GROW(names->items, names->count);
		index_print_delta(names->items[names->count++], version, index_delta_at(idx, i));
	}
}

/* False where an index cannot be read: it may name patches that nothing else does. */
static bool find_names(struct names *names, const struct library *lib, struct err *err)
{
	DIR *dir = opendir(lib->indexes);
	const struct dirent *e;
	bool done = true;

	if (dir == NULL)
		return err_sys(err, ERR_IO, errno, "folder %s", lib->indexes);
	while (done && (e = readdir(dir)) != NULL) {
		SCOPED(index) struct index *idx = NULL;
		SCOPED(buf) struct buf bytes = { 0 };
		struct digest ignored;
		uint32_t version;

		if (!index_parse_name(&version, &ignored, e->d_name))
			continue;
		done = library_read_index(&idx, &bytes, lib, e->d_name, err);
		if (done)
			add_names(names, idx, version);
	}
	closedir(dir);
	return done;
}

static bool is_named(const struct names *names, const char *file)
{
	SCOPED_TEXT char *name = path_join("patches", file);

	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], name) == 0)
			return true;
	return false;
}

static bool remove_unnamed(const char *folder, const struct names *names, struct err *err)
{
	DIR *dir = opendir(folder);
	const struct dirent *e;
	bool done = true;

	if (dir == NULL)
		return errno == ENOENT || err_sys(err, ERR_IO, errno, "folder %s", folder);
	while (done && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.' && !is_named(names, e->d_name) &&
		    unlinkat(dirfd(dir), e->d_name, 0) != 0)
			done = err_sys(err, ERR_IO, errno, "remove %s/%s", folder, e->d_name);
	closedir(dir);
	return done;
}

bool deltamake_tidy(const char *library, const char *package, struct err *err)
{
	SCOPED(make) struct make m = MAKE_EMPTY;
	struct names names = { 0 };
	bool done;

	name_folders(&m, library, package);
	done = take_lock(&m, err) && find_names(&names, &m.lib, err) &&
	       remove_unnamed(m.patches, &names, err);
	free(names.items);
	return done;
}

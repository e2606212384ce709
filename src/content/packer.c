#include "content/packer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "content/chunker.h"
#include "content/cutter.h"
#include "content/idmap.h"
#include "content/library.h"
#include "content/manifest.h"
#include "content/pack.h"
#include "content/press.h"
#include "content/source.h"

/*
 * Files of this size and more stand on chunk boundaries of their own, so that the same file has
 * the same chunks wherever it stands. Below it a file may be smaller than a chunk, and sameness
 * is found by hashing it whole.
 */
#define LARGE_FILE CHUNKER_MAX

#define PROGRESS_BYTES ((uint64_t)4 << 20)

struct packer {
	const struct packer_options *options;
	struct source *source;
	struct catalogue *cat;
	struct press *press;
	struct cutter *cutter;
	struct manifest *manifest;
	uint8_t *has_twin;       /* per entry: another file has its size, so they may be the same */
	struct digest *contents; /* per entry: a hash that tells files of one size apart */
	struct idmap by_content; /* entries with bytes in the stream */
	uint64_t done, reported;
};

static void packer_release(struct packer *p)
{
	cutter_free(p->cutter);
	press_free(p->press);
	catalogue_free(p->cat);
	manifest_free(p->manifest);
	source_close(p->source);
	idmap_release(&p->by_content);
	free(p->has_twin);
	free(p->contents);
}
SCOPED_RELEASE(packer);

void packer_result_release(struct packer_result *r)
{
	buf_release(&r->manifest);
	free(r->skipped_text);
	*r = (struct packer_result){ 0 };
}

static bool is_cancelled(const struct packer *p)
{
	return p->options->cancel != NULL && atomic_load(p->options->cancel);
}

static bool check_going(const struct packer *p, struct err *err)
{
	if (is_cancelled(p))
		return err_set(err, ERR_INTERRUPTED, "stopped on request; nothing was changed");
	return true;
}

static void add_progress(struct packer *p, uint64_t bytes)
{
	uint64_t total = source_size(p->source);

	p->done += bytes;
	if (p->options->progress == NULL ||
	    (p->done - p->reported < PROGRESS_BYTES && p->done < total))
		return;
	p->reported = p->done;
	p->options->progress(p->done, total, p->options->progress_ctx);
}

struct sized {
	uint64_t size;
	uint32_t entry;
};

static int compare_sized(const void *a, const void *b)
{
	const struct sized *sa = a;
	const struct sized *sb = b;

	return (sa->size > sb->size) - (sa->size < sb->size);
}

/* Only files that share their size with another can be the same as another. */
static void find_twins(struct packer *p)
{
	uint32_t count = source_entry_count(p->source);
	struct sized *files = alloc_zeroed(count, sizeof(*files));
	uint32_t n = 0;

	p->has_twin = alloc_zeroed(count, 1);
	p->contents = alloc_zeroed(count, sizeof(*p->contents));
	for (uint32_t i = 0; i < count; i++) {
		const struct source_entry *e = source_entry_at(p->source, i);

		if (e->type == MANIFEST_FILE && e->size > 0)
			files[n++] = (struct sized){ .size = e->size, .entry = i };
	}
	qsort(files, n, sizeof(*files), compare_sized);
	for (uint32_t i = 1; i < n; i++)
		if (files[i].size == files[i - 1].size)
			p->has_twin[files[i].entry] = p->has_twin[files[i - 1].entry] = 1;
	free(files);
}

static const struct digest *content_at(uint32_t number, const void *ctx)
{
	const struct packer *p = ctx;

	return &p->contents[number];
}

/*
 * The earlier file with the same size and content hash, or MANIFEST_NOT_SAME; then this one is
 * remembered for those to come.
 */
static uint32_t meet(struct packer *p, uint32_t number)
{
	uint32_t earlier = idmap_find(&p->by_content, &p->contents[number], content_at, p);

	if (earlier == IDMAP_NONE) {
		idmap_put(&p->by_content, number, content_at, p);
		return MANIFEST_NOT_SAME;
	}
	/* A small file may hold what the hash of a large one is made from. */
	return source_entry_at(p->source, earlier)->size == source_entry_at(p->source, number)->size
		       ? earlier
		       : MANIFEST_NOT_SAME;
}

static bool file_changed(const struct source_entry *e, struct err *err)
{
	return err_set(err, ERR_SOURCE_CHANGED, "%s changed while it was read", e->path);
}

/* Read exactly `size` bytes to the cutter's room. */
static bool read_room(struct packer *p, const struct source_entry *e, int fd, size_t size,
		      struct err *err)
{
	ssize_t got = path_read_fd(fd, cutter_room(p->cutter), size);

	if (got < 0)
		return err_sys(err, ERR_IO, errno, "%s", e->path);
	if ((size_t)got != size)
		return file_changed(e, err);
	add_progress(p, size);
	return true;
}

static bool pack_small_file(struct packer *p, uint32_t number, uint32_t *same_out, int fd,
			    struct err *err)
{
	const struct source_entry *e = source_entry_at(p->source, number);

	if (!read_room(p, e, fd, e->size, err))
		return false;
	if (p->has_twin[number]) {
		digest_of(&p->contents[number], span_of(cutter_room(p->cutter), e->size));
		*same_out = meet(p, number);
	}
	if (*same_out == MANIFEST_NOT_SAME)
		cutter_take(p->cutter, e->size);
	return true;
}

/* The hash of the ids of the chunks from `first` on: files that are the same have the same. */
static void hash_chunks(struct digest *out, const struct cutter *c, uint32_t first)
{
	struct digest_ctx *hash = digest_new();

	for (uint32_t i = first; i < cutter_chunk_count(c); i++)
		digest_update(hash, span_of(cutter_chunk_at(c, i)->id.bytes, DIGEST_SIZE));
	digest_finish(hash, out);
	digest_free(hash);
}

static bool pack_large_file(struct packer *p, uint32_t number, uint32_t *same_out, int fd,
			    struct err *err)
{
	const struct source_entry *e = source_entry_at(p->source, number);
	uint32_t first;

	cutter_boundary(p->cutter);
	first = cutter_chunk_count(p->cutter);
	for (uint64_t left = e->size; left > 0;) {
		size_t size = (size_t)MIN_OF(left, (uint64_t)CUTTER_ROOM);

		if (!check_going(p, err) || !read_room(p, e, fd, size, err))
			return false;
		cutter_take(p->cutter, size);
		left -= size;
	}
	cutter_boundary(p->cutter);
	if (!p->has_twin[number])
		return true;
	hash_chunks(&p->contents[number], p->cutter, first);
	*same_out = meet(p, number);
	if (*same_out != MANIFEST_NOT_SAME)
		cutter_drop_chunks(p->cutter, first);
	return true;
}

static bool pack_file(struct packer *p, uint32_t number, uint32_t *same_out, struct err *err)
{
	const struct source_entry *e = source_entry_at(p->source, number);
	SCOPED_FD int fd = -1;

	if (!source_read_begin(&fd, p->source, number, err))
		return false;
	if (e->size >= LARGE_FILE ? !pack_large_file(p, number, same_out, fd, err)
				  : !pack_small_file(p, number, same_out, fd, err))
		return false;
	return source_read_end(p->source, number, fd, err);
}

static bool pack_entry(struct packer *p, uint32_t number, struct err *err)
{
	const struct source_entry *e = source_entry_at(p->source, number);
	struct manifest_entry entry = {
		.path = e->path,
		.target = e->target,
		.size = e->size,
		.same_as = MANIFEST_NOT_SAME,
		.mode = e->mode,
		.type = e->type,
	};

	if (!check_going(p, err))
		return false;
	if (e->type == MANIFEST_FILE && !pack_file(p, number, &entry.same_as, err))
		return false;
	manifest_add_entry(p->manifest, &entry);
	return true;
}

static bool pack_all(struct packer *p, struct err *err)
{
	uint32_t count = source_entry_count(p->source);

	for (uint32_t i = 0; i < count; i++)
		/* A failed disk is known before the whole source was read in vain. */
		if (!pack_entry(p, i, err) || press_has_failed(p->press))
			break;
	if (manifest_entry_count(p->manifest) == count)
		cutter_finish(p->cutter);
	else if (!press_has_failed(p->press))
		return false;
	if (press_has_failed(p->press))
		return press_commit(p->press, p->cat, err);
	for (uint32_t i = 0; i < cutter_chunk_count(p->cutter); i++) {
		const struct cutter_chunk *chunk = cutter_chunk_at(p->cutter, i);

		manifest_add_chunk(p->manifest, &chunk->id, chunk->size);
	}
	return source_settle(p->source, err);
}

static bool check_apart(const struct packer_options *o, struct err *err)
{
	if (path_contains(o->library, o->source) || path_contains(o->source, o->library))
		return err_set(err, ERR_SOURCE, "the source %s and the content library %s overlap",
			       o->source, o->library);
	return true;
}

static bool set_up(struct packer *p, const struct library *lib, struct err *err)
{
	const struct packer_options *o = p->options;

	if (!source_open(&p->source, o->source, o->source_flags, err))
		return false;
	p->cat = catalogue_new();
	if (!library_tidy(lib, p->cat, err))
		return false;
	p->press = press_new(lib->packs, o->level != 0 ? o->level : FRAME_LEVEL_DEFAULT,
			     o->pack_bytes != 0 ? o->pack_bytes : PACK_BYTES_TARGET);
	p->cutter = cutter_new(p->cat, p->press);
	p->manifest = manifest_new();
	find_twins(p);
	return true;
}

static bool describe(struct packer_result *out, struct packer *p, struct err *err)
{
	const struct digest *latest = p->options->latest;

	if (!manifest_write(&out->manifest, p->manifest, err))
		return false;
	digest_of(&out->manifest_digest, buf_span(&out->manifest));
	manifest_identity(&out->identity, p->manifest);
	out->outcome = latest != NULL && digest_equal(latest, &out->identity) ? PACKER_UNCHANGED
									      : PACKER_MADE;
	out->files = manifest_file_count(p->manifest);
	out->bytes = manifest_tree_size(p->manifest);
	out->stream_bytes = manifest_stream_size(p->manifest);
	out->new_raw_bytes = cutter_new_bytes(p->cutter);
	out->links_skipped = source_skipped_count(p->source);
	out->skipped_text = alloc_text(source_skipped_text(p->source));
	return true;
}

static bool publish(struct packer_result *out, struct packer *p, const struct library *lib,
		    struct err *err)
{
	SCOPED(buf) struct buf index_bytes = { 0 };

	if (!press_commit(p->press, p->cat, err) || !catalogue_write(&index_bytes, p->cat, err))
		return false;
	out->new_packs = press_pack_count(p->press);
	out->new_bytes = press_pack_bytes(p->press);
	out->index_size = index_bytes.size;
	return library_add_index(out->index_name, lib, p->options->version, buf_span(&index_bytes),
				 err);
}

bool packer_run(struct packer_result *out, const struct packer_options *options, struct err *err)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(packer) struct packer p = { .options = options };
	struct err unimportant;

	*out = (struct packer_result){ 0 };
	if (!check_apart(options, err) ||
	    !library_open(&lib, options->library, options->package, err) ||
	    !set_up(&p, &lib, err) || !pack_all(&p, err) || !describe(out, &p, err))
		return false;
	if (out->outcome == PACKER_UNCHANGED)
		return true;
	if (!check_going(&p, err))
		return false;
	if (publish(out, &p, &lib, err))
		return true;
	/* Packs that have their names by now are named by no index. What fails here the next run
	 * does. */
	if (!library_tidy(&lib, NULL, &unimportant))
		err_clear(&unimportant);
	return false;
}

bool packer_repeat(char *name_out, const char *library, const char *package, uint32_t version,
		   const char *earlier_index, struct err *err)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };

	if (!library_open(&lib, library, package, err) ||
	    !library_read_index(&idx, &bytes, &lib, earlier_index, err))
		return false;
	for (uint32_t i = 0; i < index_pack_count(idx); i++) {
		char name[PACK_NAME_MAX];

		pack_print_name(name, &index_pack_at(idx, i)->digest);
		if (!library_has_pack(&lib, index_pack_at(idx, i)))
			return err_set(err, ERR_NOT_FOUND,
				       "pack %s of %s is no longer in the library", name, package);
	}
	return library_add_index(name_out, &lib, version, buf_span(&bytes), err);
}

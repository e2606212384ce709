#include "content/packer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "content/pack.h"
#include "content/packer_known.h"
#include "content/packer_work.h"

#define IMPRINT_MODE   0644
#define PROGRESS_BYTES ((uint64_t)4 << 20)

static void packer_release(struct packer *p)
{
	cutter_free(p->cutter);
	press_free(p->press);
	catalogue_free(p->cat);
	manifest_free(p->manifest);
	earlier_free(p->earlier);
	source_close(p->source);
	idmap_release(&p->by_content);
	free(p->has_twin);
	free(p->contents);
	free(p->same_as);
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

bool packer_work_check(const struct packer *p, struct err *err)
{
	if (is_cancelled(p))
		return err_set(err, ERR_INTERRUPTED, "stopped on request; nothing was changed");
	return true;
}

void packer_work_tell(struct packer *p, uint64_t bytes)
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
	p->same_as = alloc_zeroed(count, sizeof(*p->same_as));
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

uint32_t packer_work_meet(struct packer *p, uint32_t number)
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

bool packer_work_read(struct packer *p, const struct source_entry *e, int fd, size_t size,
		      struct err *err)
{
	ssize_t got = path_read_fd(fd, cutter_room(p->cutter), size);

	if (got < 0)
		return err_sys(err, ERR_IO, errno, "%s", e->path);
	if ((size_t)got != size)
		return file_changed(e, err);
	packer_work_tell(p, size);
	return true;
}

static bool pack_small_file(struct packer *p, uint32_t number, uint32_t *same_out, int fd,
			    struct err *err)
{
	const struct source_entry *e = source_entry_at(p->source, number);

	if (!packer_work_read(p, e, fd, e->size, err))
		return false;
	if (p->has_twin[number]) {
		digest_of(&p->contents[number], span_of(cutter_room(p->cutter), e->size));
		*same_out = packer_work_meet(p, number);
	}
	if (*same_out == MANIFEST_NOT_SAME)
		cutter_take(p->cutter, e->size);
	return true;
}

void packer_work_hash_chunks(struct digest *out, const struct cutter_chunk *chunks, uint32_t count)
{
	struct digest_ctx *hash = digest_new();

	for (uint32_t i = 0; i < count; i++)
		digest_update(hash, span_of(chunks[i].id.bytes, DIGEST_SIZE));
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

		if (!packer_work_check(p, err) || !packer_work_read(p, e, fd, size, err))
			return false;
		cutter_take(p->cutter, size);
		left -= size;
	}
	cutter_boundary(p->cutter);
	if (!p->has_twin[number])
		return true;
	packer_work_hash_chunks(&p->contents[number], cutter_chunk_at(p->cutter, first),
				cutter_chunk_count(p->cutter) - first);
	*same_out = packer_work_meet(p, number);
	if (*same_out != MANIFEST_NOT_SAME)
		cutter_drop_chunks(p->cutter, first);
	return true;
}

static bool pack_file(struct packer *p, uint32_t number, uint32_t *same_out, struct err *err)
{
	const struct source_entry *e = source_entry_at(p->source, number);
	SCOPED_FD int fd = -1;

	switch (packer_known_add(p, number, same_out, err)) {
	case PACKER_KNOWN_ADDED:
		return true;
	case PACKER_KNOWN_FAILED:
		return false;
	case PACKER_KNOWN_NOT:
		break;
	}
	if (!source_read_begin(&fd, p->source, number, err))
		return false;
	if (e->size >= PACKER_LARGE_FILE ? !pack_large_file(p, number, same_out, fd, err)
					 : !pack_small_file(p, number, same_out, fd, err))
		return false;
	return source_read_end(p->source, number, fd, err);
}

/* By what was hashed anyway, to find files that are the same. */
static uint32_t mark_of(const struct packer *p, uint32_t number)
{
	const uint8_t *hash = p->contents[number].bytes;
	uint32_t mark;

	if (!p->has_twin[number] || source_entry_at(p->source, number)->size >= PACKER_LARGE_FILE)
		return 0;
	mark = (uint32_t)hash[0] | (uint32_t)hash[1] << 8 | (uint32_t)hash[2] << 16 |
	       (uint32_t)hash[3] << 24;
	return mark != 0 ? mark : 1;
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

	if (!packer_work_check(p, err))
		return false;
	if (e->type == MANIFEST_FILE && !pack_file(p, number, &entry.same_as, err))
		return false;
	entry.mark = mark_of(p, number);
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

static bool look_at_source(struct packer *p, const struct library *lib, struct err *err)
{
	const struct packer_options *o = p->options;

	if (!source_open(&p->source, o->source, o->source_flags, err))
		return false;
	if (o->latest_manifest != NULL && !o->reads_all)
		p->earlier = earlier_open(o->latest_manifest, lib->imprint, p->source);
	return true;
}

static bool set_up(struct packer *p, const struct library *lib, struct err *err)
{
	const struct packer_options *o = p->options;

	p->cat = catalogue_new();
	if (!library_tidy(lib, p->cat, err))
		return false;
	p->press = press_new(lib->packs, o->level != 0 ? o->level : FRAME_LEVEL_DEFAULT,
			     o->pack_bytes != 0 ? o->pack_bytes : PACK_BYTES_TARGET);
	p->cutter = cutter_new(p->cat, p->press, source_size(p->source));
	p->manifest = manifest_new();
	find_twins(p);
	return true;
}

static void describe_source(struct packer_result *out, const struct packer *p)
{
	out->links_skipped = source_skipped_count(p->source);
	out->skipped_text = alloc_text(source_skipped_text(p->source));
}

static void describe_tree(struct packer_result *out, const struct manifest *m)
{
	manifest_identity(&out->identity, m);
	out->files = manifest_file_count(m);
	out->bytes = manifest_tree_size(m);
	out->stream_bytes = manifest_stream_size(m);
}

static bool describe(struct packer_result *out, struct packer *p, struct err *err)
{
	const struct digest *latest = p->options->latest;

	if (!manifest_write(&out->manifest, p->manifest, err))
		return false;
	digest_of(&out->manifest_digest, buf_span(&out->manifest));
	describe_tree(out, p->manifest);
	out->outcome = latest != NULL && digest_equal(latest, &out->identity) ? PACKER_UNCHANGED
									      : PACKER_MADE;
	out->new_raw_bytes = cutter_new_bytes(p->cutter);
	describe_source(out, p);
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

/*
 * Remember what the source looked like. Not flushed, and no fault where it cannot be written: it
 * is checked when it is read, and without it the next run reads everything.
 */
static void leave_imprint(const struct packer *p, const struct library *lib,
			  const struct digest *manifest)
{
	SCOPED(imprint) struct imprint *im = imprint_new(manifest, source_listed_ns(p->source));
	SCOPED(newfile) struct newfile file = NEWFILE_EMPTY;
	SCOPED(buf) struct buf bytes = { 0 };
	struct err ignored;

	for (uint32_t i = 0; i < source_entry_count(p->source); i++) {
		const struct source_entry *e = source_entry_at(p->source, i);
		struct imprint_stamp stamp = earlier_stamp(e);
		bool is_small_twin = p->has_twin[i] && e->size < PACKER_LARGE_FILE;

		imprint_add(im, &stamp, is_small_twin ? &p->contents[i] : NULL);
	}
	imprint_write(&bytes, im);
	if (newfile_begin(&file, lib->imprint, IMPRINT_MODE, &ignored) &&
	    path_write_fd(file.fd, buf_span(&bytes), &ignored) &&
	    newfile_commit_unflushed(&file, &ignored))
		return;
	err_clear(&ignored);
}

/* The content is that of the latest version, whose manifest file may have other bytes than ours. */
static void leave_imprint_of_latest(const struct packer *p, const struct library *lib)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct digest digest;
	struct err unread;

	if (p->options->latest_manifest == NULL ||
	    !path_read(&bytes, p->options->latest_manifest, MANIFEST_BYTES_MAX, &unread))
		return;
	digest_of(&digest, buf_span(&bytes));
	leave_imprint(p, lib, &digest);
}

/* Nothing has to be read where all is as it was. */
static bool is_as_it_was(struct packer_result *out, const struct packer *p)
{
	if (p->earlier == NULL || p->options->latest == NULL || !earlier_is_all(p->earlier))
		return false;
	describe_tree(out, earlier_manifest(p->earlier));
	if (!digest_equal(p->options->latest, &out->identity))
		return false;
	out->outcome = PACKER_UNCHANGED;
	describe_source(out, p);
	return true;
}

static bool finish(struct packer_result *out, struct packer *p, const struct library *lib,
		   struct err *err)
{
	struct err unimportant;

	if (out->outcome == PACKER_UNCHANGED) {
		leave_imprint_of_latest(p, lib);
		return true;
	}
	if (!packer_work_check(p, err))
		return false;
	if (publish(out, p, lib, err)) {
		leave_imprint(p, lib, &out->manifest_digest);
		return true;
	}
	/* Packs that have their names by now are named by no index. What fails here the next run
	 * does. */
	if (!library_tidy(lib, NULL, &unimportant))
		err_clear(&unimportant);
	return false;
}

bool packer_run(struct packer_result *out, const struct packer_options *options, struct err *err)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED(packer) struct packer p = { .options = options };

	*out = (struct packer_result){ 0 };
	if (!check_apart(options, err) ||
	    !library_open(&lib, options->library, options->package, err) ||
	    !look_at_source(&p, &lib, err))
		return false;
	/* Nothing was read, so there is no mixture of two states to be afraid of. */
	if (is_as_it_was(out, &p))
		return true;
	return set_up(&p, &lib, err) && pack_all(&p, err) && describe(out, &p, err) &&
	       finish(out, &p, &lib, err);
}

bool packer_repeat(struct packer_repeated *out, const char *library, const char *package,
		   uint32_t version, const char *earlier_index, struct err *err)
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
	/* Patches and streams are files of the version that they were made for. */
	index_drop_deltas(idx);
	buf_clear(&bytes);
	if (!index_write(&bytes, idx, err))
		return false;
	out->index_size = bytes.size;
	return library_add_index(out->index_name, &lib, version, buf_span(&bytes), err);
}

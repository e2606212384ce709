#include "content/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "content/pack.h"

#define FILE_MODE 0600

/* The frame that was decoded last: chunks follow each other in it as they do in the stream. */
struct unpack_reader {
	const char *folder;
	const struct index *idx;
	struct frame_decoder *decoder;
	struct digest_ctx *hash;
	int pack_fd;
	uint32_t pack;  /* that is open; UINT32_MAX: none */
	uint32_t frame; /* that is decoded; UINT32_MAX: none */
	uint8_t *stored, *raw;
};

static bool open_pack(struct unpack_reader *w, uint32_t pack, struct err *err)
{
	char name[PACK_NAME_MAX];
	SCOPED_TEXT char *path = NULL;

	if (w->pack == pack)
		return true;
	pack_print_name(name, &index_pack_at(w->idx, pack)->digest);
	path = alloc_printf("%s/packs/%s", w->folder, name);
	path_close_fd(&w->pack_fd);
	w->pack_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (w->pack_fd < 0)
		return err_sys(err, ERR_IO, errno, "pack %s", path);
	w->pack = pack;
	return true;
}

static bool is_read(struct unpack_reader *w, const struct index_frame *f)
{
	size_t done = 0;

	while (done < f->stored_size) {
		ssize_t n = pread(w->pack_fd, w->stored + done, f->stored_size - done,
				  (off_t)(f->offset + done));

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool decode(struct unpack_reader *w, uint32_t frame, struct err *err)
{
	const struct index_frame *f = index_frame_at(w->idx, frame);
	struct err ignored;

	if (w->frame == frame)
		return true;
	w->frame = UINT32_MAX;
	if (!open_pack(w, f->pack, err))
		return false;
	if (!is_read(w, f) || !frame_decode(w->raw, f->raw_size, w->decoder, f->codec,
					    span_of(w->stored, f->stored_size), &ignored))
		return err_set(err, ERR_CORRUPT, "a pack is damaged at byte %" PRIu64, f->offset);
	w->frame = frame;
	return true;
}

struct unpack_reader *unpack_reader_new(const char *folder, const struct index *idx)
{
	struct unpack_reader *w = alloc_zeroed(1, sizeof(*w));

	*w = (struct unpack_reader){
		.folder = folder,
		.idx = idx,
		.decoder = frame_decoder_new(),
		.hash = digest_new(),
		.pack_fd = -1,
		.pack = UINT32_MAX,
		.frame = UINT32_MAX,
		.stored = alloc_zeroed(1, FRAME_STORED_MAX),
		.raw = alloc_zeroed(1, FRAME_RAW_MAX),
	};
	return w;
}

void unpack_reader_free(struct unpack_reader *w)
{
	if (w == NULL)
		return;
	path_close_fd(&w->pack_fd);
	frame_decoder_free(w->decoder);
	digest_free(w->hash);
	free(w->stored);
	free(w->raw);
	free(w);
}

bool unpack_reader_get(struct span *out, struct unpack_reader *w, const struct index_chunk *chunk,
		       struct err *err)
{
	struct digest found;

	if (!decode(w, chunk->frame, err))
		return false;
	*out = span_of(w->raw + chunk->offset, chunk->size);
	digest_update(w->hash, *out);
	digest_finish(w->hash, &found);
	return digest_equal(&found, &chunk->id) ||
	       err_set(err, ERR_CORRUPT, "a chunk in a pack has other bytes than its id");
}

static bool put_chunk(uint8_t *dst, struct unpack_reader *w, const struct manifest_chunk *c,
		      struct err *err)
{
	const struct index_chunk *at = index_find(w->idx, &c->id);
	struct span bytes;

	if (at == NULL || at->size != c->size)
		return err_set(err, ERR_CORRUPT, "the index does not hold a chunk of the version");
	if (!unpack_reader_get(&bytes, w, at, err))
		return false;
	memcpy(dst + c->offset, bytes.data, bytes.size);
	return true;
}

static bool put_all(uint8_t *dst, struct unpack_reader *w, const struct manifest *m,
		    const atomic_bool *cancel, struct err *err)
{
	for (uint32_t n = 0; n < manifest_chunk_count(m); n++) {
		if (cancel != NULL && atomic_load(cancel))
			return err_set(err, ERR_INTERRUPTED, "it was stopped");
		if (!put_chunk(dst, w, manifest_chunk_at(m, n), err))
			return false;
	}
	return true;
}

/* Room first: a mapped file that the disk has no room for would kill us when it is written. */
static bool map_file(struct unpack *u, const char *folder, uint64_t size, struct err *err)
{
	SCOPED_FD int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
	int failed = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)size);
	void *at;

	if (failed != 0)
		return err_sys(err, ERR_IO, failed, "room for %" PRIu64 " bytes in %s", size,
			       folder);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return err_sys(err, ERR_IO, errno, "mapping %" PRIu64 " bytes in %s", size, folder);
	u->stream = span_of(at, size);
	return true;
}

bool unpack_open(struct unpack *out, const char *folder, const struct index *idx,
		 const struct manifest *manifest, const atomic_bool *cancel, struct err *err)
{
	SCOPED(unpack_reader) struct unpack_reader *w = NULL;
	bool done;

	*out = (struct unpack){ .stream = { NULL, 0 } };
	if (manifest_stream_size(manifest) == 0)
		return true;
	if (!map_file(out, folder, manifest_stream_size(manifest), err))
		return false;
	w = unpack_reader_new(folder, idx);
	done = put_all((uint8_t *)(uintptr_t)out->stream.data, w, manifest, cancel, err);
	if (!done)
		unpack_close(out);
	return done;
}

void unpack_close(struct unpack *u)
{
	if (u->stream.data != NULL)
		munmap((void *)(uintptr_t)u->stream.data, u->stream.size);
	u->stream = span_of(NULL, 0);
}

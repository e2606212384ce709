#include "content/patching.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/large.h"
#include "common/path.h"
#include "content/origin.h"
#include "content/patchreader.h"

#define FILE_MODE   0600
#define REPLAY_SIZE 65536u
#define BATCH_ROOM \
	(2 * PATCHING_BATCH - 1) /* with the byte that a buffer has behind: one large page */

struct patching {
	const struct patching_params *params;
	struct patchreader *reader;
	struct origin *origin;
	int fd;
	uint64_t offset;
	struct buf bytes; /* of the new stream, from the chunk `first` on */
	uint32_t first;   /* not handed over yet */
	uint32_t whole;   /* chunks behind it that are complete in `bytes` */
	uint64_t whole_size;
	bool is_wrong;
	struct err wrong; /* the first thing that was */
};

/* True if the next `size` bytes of the new stream belong to chunks that nobody wants any more. */
static bool is_unwanted(const struct patching *p, size_t size)
{
	const struct patching_params *params = p->params;
	uint64_t end = patchreader_made(p->reader) + size;
	uint32_t count = manifest_chunk_count(params->manifest);

	for (uint32_t n = p->first + p->whole;
	     n < count && manifest_chunk_at(params->manifest, n)->offset < end; n++)
		if (!params->is_here(n, params->ctx))
			return false;
	return true;
}

static bool give_old(void *dst, uint64_t offset, size_t size, void *ctx, struct err *err)
{
	struct patching *p = ctx;

	return is_unwanted(p, size) || origin_copy(dst, p->origin, offset, size) ||
	       err_set(err, ERR_FORMAT, "the old tree is not what it was");
}

static void expect_old(uint64_t offset, uint64_t size, void *ctx)
{
	const struct patching *p = ctx;

	origin_expect(p->origin, offset, size);
}

static bool hand_over(struct patching *p, struct err *err)
{
	SCOPED(buf) struct buf rest = { 0 };
	bool wanted;

	if (p->whole == 0)
		return true;
	buf_put(&rest, p->bytes.data + p->whole_size, p->bytes.size - p->whole_size);
	p->bytes.size = p->whole_size;
	wanted = p->params->chunks(p->first, p->whole, &p->bytes, p->params->ctx);
	p->first += p->whole;
	p->whole = 0;
	p->whole_size = 0;
	buf_clear(&p->bytes);
	buf_put_span(&p->bytes, buf_span(&rest));
	return wanted || err_set(err, ERR_FORMAT, "other chunks come out than the version has");
}

static uint32_t size_of_chunk(const struct patching *p, uint32_t n)
{
	return n < manifest_chunk_count(p->params->manifest)
		       ? manifest_chunk_at(p->params->manifest, n)->size
		       : UINT32_MAX;
}

static bool take_new(struct span bytes, void *ctx, struct err *err)
{
	struct patching *p = ctx;
	uint32_t next;

	if (p->bytes.size == 0)
		large_reserve(&p->bytes, (size_t)MIN_OF((uint64_t)BATCH_ROOM,
							manifest_stream_size(p->params->manifest)));
	buf_put_span(&p->bytes, bytes);
	while ((next = size_of_chunk(p, p->first + p->whole)) <= p->bytes.size - p->whole_size) {
		p->whole_size += next;
		p->whole++;
	}
	return p->whole_size < PATCHING_BATCH || hand_over(p, err);
}

static void apply(struct patching *p, struct span bytes)
{
	if (!p->is_wrong)
		p->is_wrong = !patchreader_feed(p->reader, bytes, &p->wrong);
}

/* What an interrupted run kept; more than the file has is another file. */
static bool replay(struct patching *p, struct err *err)
{
	SCOPED_TEXT char *piece = alloc_zeroed(1, REPLAY_SIZE);
	ssize_t n;

	while ((n = read(p->fd, piece, REPLAY_SIZE)) > 0) {
		p->offset += (uint64_t)n;
		if (p->offset > p->params->delta->size) {
			p->is_wrong = true;
			return true;
		}
		apply(p, span_of(piece, (size_t)n));
	}
	return n == 0 || err_sys(err, ERR_IO, errno, "file %s", p->params->path);
}

/* What an interrupted run kept need not be of this file, or even be ours: begin again then. */
static bool start(struct patching *p, struct err *err)
{
	const struct patching_params *params = p->params;

	patchreader_free(p->reader);
	p->reader = patchreader_new(&(const struct patchreader_target){
		.old_size = params->old != NULL ? manifest_stream_size(params->old->manifest) : 0,
		.new_size = manifest_stream_size(params->manifest),
		.old = give_old,
		.soon = expect_old,
		.sink = take_new,
		.ctx = p,
	});
	p->is_wrong = false;
	p->offset = 0;
	p->first = p->whole = 0;
	p->whole_size = 0;
	buf_clear(&p->bytes);
	return lseek(p->fd, 0, SEEK_SET) == 0 ||
	       err_sys(err, ERR_IO, errno, "file %s", params->path);
}

static bool start_again(struct patching *p, struct err *err)
{
	return (ftruncate(p->fd, 0) == 0 ||
		err_sys(err, ERR_IO, errno, "file %s", p->params->path)) &&
	       start(p, err);
}

bool patching_open(struct patching **out, const struct patching_params *params, struct err *err)
{
	SCOPED(patching) struct patching *p = alloc_zeroed(1, sizeof(*p));

	p->params = params;
	p->origin = origin_new(params->old);
	p->fd = open(params->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (p->fd < 0)
		return err_sys(err, ERR_IO, errno, "file %s", params->path);
	if (!start(p, err) || !replay(p, err) || (p->is_wrong && !start_again(p, err)))
		return false;
	*out = p;
	p = NULL;
	return true;
}

void patching_close(struct patching *p)
{
	if (p == NULL)
		return;
	patchreader_free(p->reader);
	origin_free(p->origin);
	path_close_fd(&p->fd);
	buf_release(&p->bytes);
	free(p);
}

uint64_t patching_offset(const struct patching *p)
{
	return p->offset;
}

bool patching_feed(struct patching *p, struct span bytes, struct err *err)
{
	assert(bytes.size <= p->params->delta->size - p->offset);
	for (size_t done = 0; done < bytes.size;) {
		ssize_t n = write(p->fd, bytes.data + done, bytes.size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_IO, errno, "file %s", p->params->path);
		done += (size_t)n;
	}
	p->offset += bytes.size;
	apply(p, bytes);
	return true;
}

/* What came out of the file is hashed in any case, so this is worth its time only in doubt. */
static bool hash_file(struct digest *out, struct patching *p)
{
	SCOPED_TEXT char *piece = alloc_zeroed(1, REPLAY_SIZE);
	struct digest_ctx *hash = digest_new();
	uint64_t at = 0;
	ssize_t n;

	while ((n = pread(p->fd, piece, REPLAY_SIZE, (off_t)at)) > 0) {
		digest_update(hash, span_of(piece, (size_t)n));
		at += (uint64_t)n;
	}
	digest_finish(hash, out);
	digest_free(hash);
	return n == 0;
}

bool patching_is_named(struct patching *p, struct err *err)
{
	struct digest found;

	/* A file that cannot be read again is no fault of the server's. */
	return !hash_file(&found, p) || digest_equal(&found, &p->params->delta->digest) ||
	       err_set(err, ERR_CORRUPT,
		       "the patch's bytes are not those that its name stands for");
}

enum patching_result patching_end(struct patching *p, struct err *err)
{
	const struct index_delta *delta = p->params->delta;

	if (p->offset < delta->size) {
		err_set(err, ERR_CORRUPT, "the patch ends after %" PRIu64 " of %" PRIu64 " bytes",
			p->offset, delta->size);
		return PATCHING_SHORT;
	}
	if (!p->is_wrong)
		p->is_wrong = !patchreader_finish(p->reader, &p->wrong) || !hand_over(p, &p->wrong);
	if (!p->is_wrong)
		return PATCHING_COMPLETE;
	if (!patching_is_named(p, err))
		return PATCHING_CORRUPT;
	*err = p->wrong;
	return PATCHING_USELESS;
}

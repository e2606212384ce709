#include "content/assemble_index.h"

#include "common/alloc.h"
#include "common/digest.h"
#include "common/newfile.h"
#include "common/path.h"
#include "content/index.h"

#define FILE_MODE 0600

static bool index_is(struct span bytes, const char *name)
{
	struct digest want, found;
	uint32_t version;

	if (!index_parse_name(&version, &want, name))
		return false;
	digest_of(&found, bytes);
	return digest_equal(&found, &want);
}

/* An index that comes at the limited rate. */
struct trickle {
	struct assemble *a;
	struct buf *bytes;
};

static bool take_of_index(void *ctx, uint64_t offset, struct span bytes)
{
	struct trickle *t = ctx;
	struct assemble *a = t->a;

	assemble_work_moved(a, bytes.size);
	if (assemble_work_is_cancelled(a) || offset != t->bytes->size ||
	    bytes.size > a->params->index_size - t->bytes->size)
		return false;
	buf_put_span(t->bytes, bytes);
	return t->bytes->size < a->params->index_size;
}

/* What is not the whole index is found by its hash. */
static enum transfer_result trickle_index(struct buf *bytes, struct assemble *a,
					  const struct transfer_source *source, const char *object,
					  struct err *err)
{
	const struct transfer_range whole = { .offset = 0, .size = a->params->index_size };
	struct trickle t = { .a = a, .bytes = bytes };
	enum transfer_result got = source->read_ranges(source->ctx, object, &whole, 1,
						       take_of_index, &t, err);

	return got == TRANSFER_STOPPED ? TRANSFER_OK : got;
}

static enum assemble_result download_index(struct buf *bytes, struct assemble *a,
					   const struct transfer_source *source, struct err *err)
{
	SCOPED_TEXT char *object = path_join("index", a->params->index);
	SCOPED_TEXT char *path = path_join(a->params->dir, "index");
	enum transfer_result got;

	a->requests++;
	if (a->params->rate_bps > 0 && a->params->index_size > 0 &&
	    a->params->index_size <= INDEX_BYTES_MAX) {
		got = trickle_index(bytes, a, source, object, err);
	} else {
		got = source->read_object(source->ctx, object, INDEX_BYTES_MAX, bytes, err);
		a->bytes_network += bytes->size;
	}
	if (assemble_work_is_cancelled(a))
		return assemble_work_cancelled(err);
	if (got != TRANSFER_OK)
		return ASSEMBLE_FAILED;
	if (!index_is(buf_span(bytes), a->params->index)) {
		err_set(err, ERR_CORRUPT, "%s: its bytes are not those that its name stands for",
			object);
		return ASSEMBLE_CORRUPT;
	}
	return newfile_write_unflushed(path, FILE_MODE, buf_span(bytes), err) ? ASSEMBLE_DONE
									      : ASSEMBLE_LOCAL;
}

enum assemble_result assemble_index_get(struct assemble *a, const struct transfer_source *source,
					struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct digest ignored;

	if (a->index != NULL)
		return ASSEMBLE_DONE;
	if (!assemble_work_read(&bytes, a, "index", INDEX_BYTES_MAX) ||
	    !index_is(buf_span(&bytes), a->params->index)) {
		enum assemble_result got;

		buf_clear(&bytes);
		got = download_index(&bytes, a, source, err);
		if (got != ASSEMBLE_DONE)
			return got;
	}
	if (!index_read(&a->index, buf_span(&bytes), err))
		return ASSEMBLE_CORRUPT;
	return index_parse_name(&a->version, &ignored, a->params->index) ? ASSEMBLE_DONE
									 : ASSEMBLE_CORRUPT;
}

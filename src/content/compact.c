#include "content/compact.h"

#include <zstd.h>

#define LEVEL 6

static ZSTD_CCtx *new_encoder(void)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	if (zstd != NULL)
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, LEVEL);
	return zstd;
}

bool compact_write(struct buf *out, const struct compact_kind *kind, struct span body,
		   struct err *err)
{
	size_t room = ZSTD_compressBound(body.size);
	ZSTD_CCtx *zstd;
	size_t size;

	if (body.size > kind->body_max)
		return err_set(err, ERR_LIMIT, "%s of %zu bytes, at most %zu are allowed",
			       kind->noun, body.size, kind->body_max);
	buf_put(out, kind->magic, 4);
	buf_put_u32(out, COMPACT_FORMAT);
	buf_put_u32(out, (uint32_t)body.size);
	zstd = new_encoder();
	if (zstd == NULL)
		return err_set(err, ERR_MEMORY, "%s: no memory to compress it", kind->noun);
	size = ZSTD_compress2(zstd, buf_reserve(out, room), room, body.data, body.size);
	ZSTD_freeCCtx(zstd);
	if (ZSTD_isError(size))
		return err_set(err, ERR_MEMORY, "%s: %s", kind->noun, ZSTD_getErrorName(size));
	buf_grew(out, size);
	return true;
}

static bool take_head(uint32_t *body_size_out, const struct compact_kind *kind, struct span *bytes,
		      struct err *err)
{
	struct span magic;
	uint32_t format;

	if (!span_take(bytes, &magic, 4) || !span_equal(magic, span_of(kind->magic, 4)))
		return err_set(err, ERR_FORMAT, "this is no %s", kind->noun);
	if (!span_take_u32(bytes, &format) || !span_take_u32(bytes, body_size_out))
		return err_set(err, ERR_FORMAT, "%s: ends in its head", kind->noun);
	if (format != COMPACT_FORMAT)
		return err_set(err, ERR_FORMAT, "%s: format %u, this program reads %u", kind->noun,
			       format, COMPACT_FORMAT);
	if (*body_size_out > kind->body_max)
		return err_set(err, ERR_LIMIT, "%s: body of %u bytes, at most %zu are read",
			       kind->noun, *body_size_out, kind->body_max);
	return true;
}

bool compact_read(struct buf *out, const struct compact_kind *kind, struct span bytes,
		  struct err *err)
{
	uint32_t body_size;
	size_t got;

	if (bytes.size > kind->bytes_max)
		return err_set(err, ERR_LIMIT, "%s of %zu bytes, at most %zu are read", kind->noun,
			       bytes.size, kind->bytes_max);
	if (!take_head(&body_size, kind, &bytes, err))
		return false;
	/* One frame that says its size and fills the rest. */
	if (ZSTD_getFrameContentSize(bytes.data, bytes.size) != body_size ||
	    ZSTD_findFrameCompressedSize(bytes.data, bytes.size) != bytes.size)
		return err_set(err, ERR_FORMAT, "%s: the body is not one zstd frame of %u bytes",
			       kind->noun, body_size);
	got = ZSTD_decompress(buf_reserve(out, body_size), body_size, bytes.data, bytes.size);
	if (ZSTD_isError(got) || got != body_size)
		return err_set(err, ERR_FORMAT, "%s: %s", kind->noun,
			       ZSTD_isError(got) ? ZSTD_getErrorName(got) : "the body is short");
	buf_grew(out, got);
	return true;
}

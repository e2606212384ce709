#include "content/imprint.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define MAGIC      "PWIM"
#define FORMAT     1
#define STAMP_SIZE 24
#define NO_CONTENT UINT32_MAX

struct imprint {
	struct digest manifest;
	int64_t listed_ns;
	struct imprint_stamp *stamps;
	uint32_t *content_of; /* per entry: its position in contents, or NO_CONTENT */
	uint32_t count;
	struct digest *contents;
	uint32_t content_count;
};

struct imprint *imprint_new(const struct digest *manifest, int64_t listed_ns)
{
	struct imprint *im = alloc_zeroed(1, sizeof(*im));

	im->manifest = *manifest;
	im->listed_ns = listed_ns;
	return im;
}

void imprint_free(struct imprint *im)
{
	if (im == NULL)
		return;
	free(im->stamps);
	free(im->content_of);
	free(im->contents);
	free(im);
}

void imprint_add(struct imprint *im, const struct imprint_stamp *stamp,
		 const struct digest *content)
{
	ALLOC_GROW(im->stamps, im->count);
	ALLOC_GROW(im->content_of, im->count);
	im->stamps[im->count] = *stamp;
	im->content_of[im->count] = NO_CONTENT;
	if (content != NULL) {
		ALLOC_GROW(im->contents, im->content_count);
		im->contents[im->content_count] = *content;
		im->content_of[im->count] = im->content_count++;
	}
	im->count++;
}

static void put_entries(struct buf *out, const struct imprint *im)
{
	for (uint32_t i = 0; i < im->count; i++) {
		buf_put_u64(out, im->stamps[i].inode);
		buf_put_u64(out, (uint64_t)im->stamps[i].modified_ns);
		buf_put_u64(out, (uint64_t)im->stamps[i].changed_ns);
	}
	for (uint32_t i = 0; i < im->count; i++) {
		if (im->content_of[i] == NO_CONTENT)
			continue;
		buf_put_u32(out, i);
		buf_put(out, im->contents[im->content_of[i]].bytes, DIGEST_SIZE);
	}
}

void imprint_write(struct buf *out, const struct imprint *im)
{
	size_t begin = out->size;
	struct digest sum;

	buf_put_text(out, MAGIC);
	buf_put_u32(out, FORMAT);
	buf_put(out, im->manifest.bytes, DIGEST_SIZE);
	buf_put_u64(out, (uint64_t)im->listed_ns);
	buf_put_u32(out, im->count);
	buf_put_u32(out, im->content_count);
	put_entries(out, im);
	digest_of(&sum, span_of(out->data + begin, out->size - begin));
	buf_put(out, sum.bytes, DIGEST_SIZE);
}

static bool is_whole(struct span *bytes)
{
	struct digest sum;
	struct span body;

	if (bytes->size < DIGEST_SIZE || bytes->size > IMPRINT_BYTES_MAX)
		return false;
	body = span_of(bytes->data, bytes->size - DIGEST_SIZE);
	digest_of(&sum, body);
	if (memcmp(sum.bytes, bytes->data + body.size, DIGEST_SIZE) != 0)
		return false;
	*bytes = body;
	return true;
}

static bool take_head(struct imprint *im, struct span *rest)
{
	struct span magic;
	uint32_t format;
	uint64_t listed;

	if (!span_take(rest, &magic, strlen(MAGIC)) || !span_equal_text(magic, MAGIC) ||
	    !span_take_u32(rest, &format) || format != FORMAT ||
	    !span_take_copy(rest, im->manifest.bytes, DIGEST_SIZE) ||
	    !span_take_u64(rest, &listed) || !span_take_u32(rest, &im->count) ||
	    !span_take_u32(rest, &im->content_count))
		return false;
	im->listed_ns = (int64_t)listed;
	return im->content_count <= im->count &&
	       rest->size == (uint64_t)im->count * STAMP_SIZE +
				     (uint64_t)im->content_count * (4 + DIGEST_SIZE);
}

static bool take_stamp(struct imprint_stamp *out, struct span *rest)
{
	uint64_t modified, changed;

	if (!span_take_u64(rest, &out->inode) || !span_take_u64(rest, &modified) ||
	    !span_take_u64(rest, &changed))
		return false;
	out->modified_ns = (int64_t)modified;
	out->changed_ns = (int64_t)changed;
	return true;
}

static bool take_entries(struct imprint *im, struct span *rest)
{
	im->stamps = alloc_zeroed(im->count, sizeof(*im->stamps));
	im->content_of = alloc_zeroed(im->count, sizeof(*im->content_of));
	im->contents = alloc_zeroed(im->content_count, sizeof(*im->contents));
	for (uint32_t i = 0; i < im->count; i++) {
		im->content_of[i] = NO_CONTENT;
		if (!take_stamp(&im->stamps[i], rest))
			return false;
	}
	for (uint32_t i = 0, next = 0; i < im->content_count; i++) {
		uint32_t entry;

		if (!span_take_u32(rest, &entry) || entry < next || entry >= im->count ||
		    !span_take_copy(rest, im->contents[i].bytes, DIGEST_SIZE))
			return false;
		im->content_of[entry] = i;
		next = entry + 1;
	}
	return true;
}

bool imprint_read(struct imprint **out, struct span bytes, struct err *err)
{
	SCOPED(imprint) struct imprint *im = alloc_zeroed(1, sizeof(*im));

	if (!is_whole(&bytes) || !take_head(im, &bytes) || !take_entries(im, &bytes))
		return err_set(err, ERR_FORMAT, "no imprint of a source, or a damaged one");
	*out = im;
	im = NULL;
	return true;
}

uint32_t imprint_entry_count(const struct imprint *im)
{
	return im->count;
}

const struct digest *imprint_manifest(const struct imprint *im)
{
	return &im->manifest;
}

bool imprint_believes(const struct imprint *im, uint32_t number, const struct imprint_stamp *now)
{
	const struct imprint_stamp *then = &im->stamps[number];
	int64_t latest = MAX_OF(then->modified_ns, then->changed_ns);

	assert(number < im->count);
	return then->inode == now->inode && then->modified_ns == now->modified_ns &&
	       then->changed_ns == now->changed_ns && latest < im->listed_ns - IMPRINT_DOUBT_NS;
}

const struct digest *imprint_content_at(const struct imprint *im, uint32_t number)
{
	assert(number < im->count);
	return im->content_of[number] == NO_CONTENT ? NULL : &im->contents[im->content_of[number]];
}

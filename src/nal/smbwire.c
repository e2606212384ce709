#include "nal/smbwire.h"

#include <string.h>

#include "common/path.h"

static bool bad(struct err *err, const char *what)
{
	return err_set(err, ERR_FORMAT, "%s between packway-smb and its owner", what);
}

static void put_text(struct buf *out, const char *text)
{
	size_t size = text != NULL ? strlen(text) : 0;

	assert(size <= SMBWIRE_TEXT_MAX);
	buf_put_u16(out, (uint16_t)size);
	buf_put(out, text, size);
}

/* Texts are collected first and pointed at last, since `texts` may move while it grows. */
static bool take_text(size_t *at_out, struct buf *texts, struct span *frame)
{
	struct span text;
	uint16_t size;

	if (!span_take_u16(frame, &size) || size > SMBWIRE_TEXT_MAX ||
	    !span_take(frame, &text, size) || memchr(text.data, '\0', text.size) != NULL)
		return false;
	*at_out = texts->size;
	buf_put_span(texts, text);
	buf_put_u8(texts, 0);
	return true;
}

static const char *text_at(const struct buf *texts, size_t at)
{
	return (const char *)texts->data + at;
}

void smbwire_write_hello(struct buf *out, const struct smbwire_hello *hello)
{
	buf_put_u8(out, SMBWIRE_FORMAT);
	buf_put_u8(out, (uint8_t)hello->logon);
	buf_put_u16(out, hello->port);
	buf_put_u16(out, hello->secret_size);
	put_text(out, hello->host);
	put_text(out, hello->user);
	put_text(out, hello->domain);
}

bool smbwire_read_hello(struct smbwire_hello *out, struct buf *texts, struct span frame,
			struct err *err)
{
	size_t host, user, domain;
	uint8_t format, logon;

	buf_clear(texts);
	if (!span_take_u8(&frame, &format) || format != SMBWIRE_FORMAT)
		return bad(err, "another format");
	if (!span_take_u8(&frame, &logon) || logon >= SMBWIRE_LOGON_COUNT_ ||
	    !span_take_u16(&frame, &out->port) || !span_take_u16(&frame, &out->secret_size) ||
	    !take_text(&host, texts, &frame) || !take_text(&user, texts, &frame) ||
	    !take_text(&domain, texts, &frame) || frame.size != 0)
		return bad(err, "a damaged hello");
	out->logon = (enum smbwire_logon)logon;
	out->host = text_at(texts, host);
	out->user = text_at(texts, user);
	out->domain = text_at(texts, domain);
	return true;
}

void smbwire_write_request(struct buf *out, const struct smbwire_request *r)
{
	buf_put_u8(out, (uint8_t)r->op);
	buf_put_u8(out, r->flags);
	buf_put_u64(out, r->offset);
	buf_put_u64(out, r->size);
	buf_put_u64(out, r->at);
	put_text(out, r->share);
	put_text(out, r->path);
	put_text(out, r->to);
}

static bool is_within(const struct smbwire_request *r)
{
	bool is_there = r->op == SMBWIRE_READ && (r->flags & SMBWIRE_THERE) != 0;
	uint64_t room = is_there ? SMBWIRE_ROOM_MAX : SMBWIRE_AREA_BYTES;

	return r->at <= room && r->size <= MIN_OF(room - r->at, (uint64_t)SMBWIRE_AREA_BYTES) &&
	       r->offset <= INT64_MAX - SMBWIRE_AREA_BYTES;
}

bool smbwire_read_request(struct smbwire_request *out, struct buf *texts, struct span frame,
			  struct err *err)
{
	size_t share, path, to;
	uint8_t op;

	buf_clear(texts);
	if (!span_take_u8(&frame, &op) || op >= SMBWIRE_OP_COUNT_ ||
	    !span_take_u8(&frame, &out->flags) || !span_take_u64(&frame, &out->offset) ||
	    !span_take_u64(&frame, &out->size) || !span_take_u64(&frame, &out->at) ||
	    !take_text(&share, texts, &frame) || !take_text(&path, texts, &frame) ||
	    !take_text(&to, texts, &frame) || frame.size != 0)
		return bad(err, "a damaged request");
	out->op = (enum smbwire_op)op;
	if (!is_within(out))
		return bad(err, "a damaged request");
	out->share = text_at(texts, share);
	out->path = text_at(texts, path);
	out->to = text_at(texts, to);
	return true;
}

void smbwire_write_reply(struct buf *out, const struct smbwire_reply *r)
{
	buf_put_u8(out, (uint8_t)r->op);
	buf_put_u8(out, r->flags);
	buf_put_u32(out, r->fault);
	buf_put_u32(out, r->status);
	buf_put_u64(out, r->size);
	buf_put_u64(out, (uint64_t)r->mtime_ns);
}

bool smbwire_read_reply(struct smbwire_reply *out, struct span frame, struct err *err)
{
	uint64_t mtime_ns;
	uint8_t op;

	if (!span_take_u8(&frame, &op) || op >= SMBWIRE_OP_COUNT_ ||
	    !span_take_u8(&frame, &out->flags) || !span_take_u32(&frame, &out->fault) ||
	    !span_take_u32(&frame, &out->status) || !span_take_u64(&frame, &out->size) ||
	    !span_take_u64(&frame, &mtime_ns) || frame.size != 0 || out->fault > INT16_MAX ||
	    out->size > INT64_MAX)
		return bad(err, "a damaged reply");
	out->op = (enum smbwire_op)op;
	out->mtime_ns = (int64_t)mtime_ns;
	return true;
}

bool smbwire_write_entry(struct buf *out, const struct smbwire_entry *e, size_t room)
{
	size_t size = strlen(e->name);

	if (room < out->size || room - out->size < size + 18)
		return false;
	buf_put_u64(out, e->size);
	buf_put_u64(out, (uint64_t)e->mtime_s);
	buf_put_u8(out, e->is_folder ? 1 : 0);
	buf_put_u8(out, (uint8_t)size);
	buf_put(out, e->name, size);
	return true;
}

static bool is_component(struct span name)
{
	return path_is_beneath(name) && memchr(name.data, '/', name.size) == NULL;
}

bool smbwire_take_entry(struct smbwire_entry *out, struct span *bytes, struct err *err)
{
	struct span at = *bytes, name;
	uint64_t mtime_s;
	uint8_t folder, size;

	if (!span_take_u64(&at, &out->size) || out->size > INT64_MAX ||
	    !span_take_u64(&at, &mtime_s) || !span_take_u8(&at, &folder) || folder > 1 ||
	    !span_take_u8(&at, &size) || !span_take(&at, &name, size) || !is_component(name))
		return bad(err, "a damaged listing");
	out->mtime_s = (int64_t)mtime_s;
	out->is_folder = folder == 1;
	memcpy(out->name, name.data, name.size);
	out->name[name.size] = '\0';
	*bytes = at;
	return true;
}

#include "agent/capture.h"

#include <inttypes.h>

void capture_release(struct capture *c)
{
	buf_release(&c->head);
	buf_release(&c->tail);
	*c = (struct capture){ 0 };
}

/* Take up to `room` bytes from the front. */
static struct span take_up_to(struct span *bytes, size_t room)
{
	struct span part = span_of(bytes->data, MIN_OF(bytes->size, room));

	*bytes = span_skip(*bytes, part.size);
	return part;
}

static void add_to_ring(struct capture *c, struct span bytes)
{
	/* Of more than a ring only the end can stay. */
	if (bytes.size > CAPTURE_PART)
		bytes = span_skip(bytes, bytes.size - CAPTURE_PART);
	while (bytes.size > 0) {
		struct span part = take_up_to(&bytes, CAPTURE_PART - c->tail_at);

		memcpy(c->tail.data + c->tail_at, part.data, part.size);
		c->tail_at = (c->tail_at + part.size) % CAPTURE_PART;
	}
}

void capture_add(struct capture *c, struct span bytes)
{
	c->total += bytes.size;
	buf_put_span(&c->head, take_up_to(&bytes, CAPTURE_PART - c->head.size));
	buf_put_span(&c->tail, take_up_to(&bytes, CAPTURE_PART - c->tail.size));
	if (bytes.size > 0)
		add_to_ring(c, bytes);
}

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Without a character at the end whose rest is behind the cut. */
static struct span without_cut_end(struct span s)
{
	size_t back = 0;
	uint8_t lead;

	while (back < 3 && back < s.size && is_continuation(s.data[s.size - 1 - back]))
		back++;
	if (back == s.size)
		return s;
	lead = s.data[s.size - 1 - back];
	if ((lead >= 0xc0 && back < 1) || (lead >= 0xe0 && back < 2) || (lead >= 0xf0 && back < 3))
		return span_of(s.data, s.size - 1 - back);
	return s;
}

static struct span without_cut_start(struct span s)
{
	for (int i = 0; i < 3 && s.size > 0 && is_continuation(s.data[0]); i++)
		s = span_skip(s, 1);
	return s;
}

static void put_printable(struct buf *out, struct span bytes)
{
	for (size_t i = 0; i < bytes.size; i++) {
		if (bytes.data[i] == '\0')
			buf_put_text(out, "\\0");
		else
			buf_put_u8(out, bytes.data[i]);
	}
}

void capture_text(struct buf *out, const struct capture *c)
{
	SCOPED(buf) struct buf tail = { 0 };
	uint64_t left_out = c->total - c->head.size - c->tail.size;

	if (c->tail.size > 0) {
		buf_put(&tail, c->tail.data + c->tail_at, c->tail.size - c->tail_at);
		buf_put(&tail, c->tail.data, c->tail_at);
	}
	if (left_out == 0) {
		/* The two parts are neighbours: a character on the seam is whole. */
		put_printable(out, buf_span(&c->head));
		put_printable(out, buf_span(&tail));
		return;
	}
	put_printable(out, without_cut_end(buf_span(&c->head)));
	buf_printf(out, "\n[%" PRIu64 " bytes left out]\n", left_out);
	put_printable(out, without_cut_start(buf_span(&tail)));
}

/* The first byte chooses what the rest is: a hello, a request, a reply, a listing. What is read is
 * written again, and must be the same bytes. */
#include "nal/smbwire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct buf *written, struct span frame)
{
	if (!span_equal(buf_span(written), frame))
		abort();
}

static void hello(struct span frame)
{
	SCOPED(buf) struct buf texts = { 0 };
	SCOPED(buf) struct buf again = { 0 };
	struct smbwire_hello h;
	struct err err;

	if (!smbwire_read_hello(&h, &texts, frame, &err))
		return;
	smbwire_write_hello(&again, &h);
	same(&again, frame);
}

static void request(struct span frame)
{
	SCOPED(buf) struct buf texts = { 0 };
	SCOPED(buf) struct buf again = { 0 };
	struct smbwire_request r;
	struct err err;
	bool is_there;

	if (!smbwire_read_request(&r, &texts, frame, &err))
		return;
	is_there = r.op == SMBWIRE_READ && (r.flags & SMBWIRE_THERE) != 0;
	if (r.size > SMBWIRE_AREA_BYTES ||
	    r.at > (is_there ? SMBWIRE_ROOM_MAX : SMBWIRE_AREA_BYTES) - r.size)
		abort();
	smbwire_write_request(&again, &r);
	same(&again, frame);
}

static void reply(struct span frame)
{
	SCOPED(buf) struct buf again = { 0 };
	struct smbwire_reply r;
	struct err err;

	if (!smbwire_read_reply(&r, frame, &err))
		return;
	smbwire_write_reply(&again, &r);
	same(&again, frame);
}

static void listing(struct span bytes)
{
	SCOPED(buf) struct buf again = { 0 };
	struct span rest = bytes;
	struct smbwire_entry e;
	struct err err;

	while (rest.size > 0 && smbwire_take_entry(&e, &rest, &err))
		if (!smbwire_write_entry(&again, &e, bytes.size))
			abort();
	same(&again, span_of(bytes.data, bytes.size - rest.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = size > 0 ? span_of(data + 1, size - 1) : span_of("", 0);

	switch (size > 0 ? data[0] : 0) {
	case 'h':
		hello(rest);
		break;
	case 'q':
		request(rest);
		break;
	case 'a':
		reply(rest);
		break;
	case 'l':
		listing(rest);
		break;
	}
	return 0;
}

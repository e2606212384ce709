/*
 * SMB shares, over a process for each session (smbsession.h).
 *
 * Size and time of change stand in for an entity tag. An object of known length is opened and read,
 * two round trips; one of unknown length costs a third, for its size, so that no read has to find
 * the end. A pipeline of reads keeps the server busy while bytes are being used here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/path.h"
#include "common/random.h"
#include "nal/ntstatus.h"
#include "nal/provider.h"
#include "nal/smbknock.h"
#include "nal/smbplan.h"
#include "nal/smbsession.h"

#define PIECE_WRITE    ((uint64_t)8 << 20)
#define PIECE_THERE    ((uint64_t)4 << 20) /* larger pieces span what has places of its own */
#define SLOTS_MAX      4
#define MEASURED_MIN   ((uint64_t)1 << 20) /* less says nothing about a rate */
#define CONFLICT_TRIES 30                  /* a reader has the old object open for a moment */
#define CONFLICT_MS    100
#define KNOCK_SHARE    2 /* half the time for a connection is left to the answer to a NEGOTIATE */

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

static struct smbsession *session_of(const struct way *way)
{
	return (struct smbsession *)way->session;
}

/* An SMB server answers there, or this ends in time: libsmbclient would take 5 s to connect. */
static enum nal_class smb_open(struct session **out, const struct way_target *target,
			       const struct way_limits *limits, struct way_link link,
			       struct err *err)
{
	const struct locator *where = target->where;
	struct smbknock_result knock = { .class = NAL_CLASS_OK };

	if (link.address[0] == '\0')
		smbknock_wait(&knock, link.address, where->host, where->port, SMBKNOCK_NEGOTIATE,
			      limits->connect_ms, limits->connect_ms / KNOCK_SHARE, err);
	if (knock.class != NAL_CLASS_OK)
		return smbknock_class(&knock);
	return smbsession_open(out, target, limits, link, err);
}

/* A name beneath the way's folder as a path beneath the share. */
static char *path_of(const struct way *way, const char *name)
{
	const char *base = way->where.path[0] == '/' ? way->where.path + 1 : way->where.path;

	if (base[0] == '\0')
		return alloc_text(name);
	return name[0] == '\0' ? alloc_text(base) : alloc_printf("%s/%s", base, name);
}

/*
 * A server that does not let us in at all is not worth another word on this session. Whether it is
 * the logon that it refused, or the share to somebody whom it knows, its status tells.
 */
static enum nal_class judged(struct way *way, enum nal_class class)
{
	const struct smbsession *s = session_of(way);

	if (class == NAL_CLASS_OK || (s->socket >= 0 && s->was_up))
		return class;
	way->broken = true;
	way->is_refused |= class == NAL_CLASS_DENIED && s->status != NTSTATUS_ACCESS_DENIED;
	return class;
}

static enum nal_class ask(struct smbwire_reply *reply, struct way *way, enum smbwire_op op,
			  const char *path, const char *to, const char *name, struct err *err)
{
	const struct smbwire_request r = {
		.op = op,
		.share = way->where.share,
		.path = path,
		.to = to,
	};
	enum nal_class class = smbsession_ask(reply, session_of(way), &r, &way->limits, name, err);

	return judged(way, class);
}

/* --- reading --------------------------------------------------------------------------------- */

/*
 * How much to read at once, by the round trip: the server is idle for one between two reads, so the
 * longer it is the longer a read should be; where it is short, bytes that stay in the processor's
 * cache cost less.
 */
static const struct {
	uint32_t up_to_us;
	uint64_t size;
} pieces[] = {
	{ 500, (uint64_t)2 << 20 },
	{ 2000, (uint64_t)8 << 20 },
	{ UINT32_MAX, (uint64_t)16 << 20 },
};

static uint64_t piece_for(uint32_t rtt_us)
{
	size_t i = 0;

	while (rtt_us > pieces[i].up_to_us)
		i++;
	return pieces[i].size;
}

/* A piece that was asked for, and where its bytes come. */
struct piece {
	struct way_range range;
	const uint8_t *at;
};

/* A read of pieces, some of them asked for ahead. */
struct stream {
	struct way *way;
	const char *name;
	const char *path;
	struct smbplan plan;
	struct pace pace;
	uint64_t piece_max;
	const struct recvroom *room;   /* NULL: all goes to the area */
	struct piece slots[SLOTS_MAX]; /* what was asked for, by place in the area */
	size_t slot_count;
	size_t asked; /* pieces in all */
	size_t taken;
	uint8_t flags; /* of the last one */
	uint64_t bytes;
};

static void stream_begin(struct stream *st, struct way *way, const char *name, const char *path,
			 const struct way_range *ranges, size_t count)
{
	const struct smbsession *s = session_of(way);
	uint32_t rtt_us = smbsession_rtt_us(s);

	*st = (struct stream){ .way = way, .name = name, .path = path, .flags = SMBWIRE_LAST };
	st->piece_max = way_ahead(way, piece_for(rtt_us), rtt_us);
	st->slot_count = MIN_OF((size_t)(SMBWIRE_AREA_BYTES / st->piece_max), SLOTS_MAX);
	st->room = st->piece_max <= PIECE_THERE && way->rate_bps == 0 ? way->room : NULL;
	/* Of a limited rate nothing is left for the bytes in between, nor for more than is next. */
	if (way->rate_bps > 0)
		st->slot_count = MIN_OF(st->slot_count, (size_t)2);
	smbplan_init(&st->plan, ranges, count,
		     way->rate_bps > 0 ? 0 : smbplan_gap(s->bytes_per_s, rtt_us));
	pace_begin(&st->pace, &way->limits, now());
	smbsession_hold(session_of(way));
	if (st->room != NULL)
		smbsession_lend(session_of(way), st->room->fd);
}

/* Where the bytes of the next piece go, as the request says it, and how many may be in it at most.
 * False: nowhere yet. */
static bool find_place(struct smbwire_request *r, struct piece *piece, uint64_t *max_out,
		       const struct stream *st)
{
	enum recvroom_where where = RECVROOM_ELSEWHERE;
	uint64_t offset;
	uint8_t *at;
	size_t size;

	if (!smbplan_peek(&offset, &st->plan))
		return false;
	if (st->room != NULL)
		where = st->room->place(&at, &size, offset, st->room->ctx);
	if (where == RECVROOM_LATER && st->asked > st->taken)
		return false;
	if (where == RECVROOM_HERE) {
		uint64_t parts = (size + st->piece_max - 1) / st->piece_max;

		r->flags = SMBWIRE_THERE;
		r->at = (uint64_t)(at - st->room->memory);
		piece->at = at;
		*max_out = (size + parts - 1) / parts;
		return true;
	}
	r->at = st->asked % st->slot_count * st->piece_max;
	piece->at = smbsession_area(session_of(st->way)) + r->at;
	*max_out = st->piece_max;
	return true;
}

static bool ask_ahead(struct stream *st)
{
	struct piece *piece = &st->slots[st->asked % st->slot_count];
	struct smbwire_request r = { .op = SMBWIRE_READ, .share = st->way->where.share };
	uint64_t max;

	if (st->asked - st->taken == st->slot_count || !find_place(&r, piece, &max, st) ||
	    !smbplan_next(&st->plan, &piece->range, max))
		return false;
	r.path = st->path;
	r.offset = piece->range.offset;
	r.size = piece->range.size;
	if (st->plan.at == st->plan.count)
		r.flags |= st->flags;
	st->asked++;
	smbsession_send(session_of(st->way), &r);
	return true;
}

/* The bytes of the next piece; its place in the object is stored. */
static enum nal_class take_piece(struct span *out, uint64_t *offset, struct stream *st,
				 struct err *err)
{
	struct smbsession *s = session_of(st->way);
	const struct piece *p = &st->slots[st->taken % st->slot_count];
	const struct way_range *piece = &p->range;
	struct smbwire_reply reply;
	enum nal_class class = smbsession_receive(&reply, s, &st->pace, st->name, err);

	if (class != NAL_CLASS_OK)
		return class;
	if (reply.op != SMBWIRE_READ || reply.size != piece->size) {
		err_set(err, ERR_NET_PROTOCOL, "%s: it ends before byte %" PRIu64, st->name,
			piece->offset + piece->size);
		return NAL_CLASS_PROTOCOL;
	}
	s->session.counts.bytes_in += piece->size;
	st->bytes += piece->size;
	*offset = piece->offset;
	*out = span_of(p->at, (size_t)piece->size);
	return NAL_CLASS_OK;
}

/* What was measured decides how large a gap is worth reading along. */
static void stream_end(struct stream *st, uint64_t begun_ms)
{
	struct smbsession *s = session_of(st->way);
	uint64_t ms = now() - begun_ms;

	if (st->room != NULL) {
		smbsession_settle(s);
		st->way->broken |= s->socket < 0;
	}
	smbsession_abandon(s);
	smbsession_let_go(s);
	if (st->bytes >= MEASURED_MIN && ms > 0)
		s->bytes_per_s = st->bytes * 1000 / ms;
}

static enum nal_class stream_run(struct stream *st, way_sink_fn *sink, void *ctx, struct err *err)
{
	uint64_t begun_ms = now();
	enum nal_class class = NAL_CLASS_OK;
	bool wanted = true;

	while (wanted && class == NAL_CLASS_OK) {
		struct span bytes;
		uint64_t offset, before;

		while (ask_ahead(st))
			;
		if (st->taken == st->asked)
			break;
		class = take_piece(&bytes, &offset, st, err);
		if (class != NAL_CLASS_OK)
			break;
		before = now();
		wanted = smbplan_deliver(&st->plan, offset, bytes, sink, ctx);
		pace_away(&st->pace, now() - before);
		st->taken++;
	}
	stream_end(st, begun_ms);
	return judged(st->way, class);
}

static enum nal_class smb_read_ranges(struct way *way, const char *name,
				      const struct way_range *ranges, size_t count,
				      way_sink_fn *sink, void *ctx, struct err *err)
{
	SCOPED_TEXT char *path = path_of(way, name);
	struct stream st;

	stream_begin(&st, way, name, path, ranges, count);
	return stream_run(&st, sink, ctx, err);
}

static void write_token(char out[WAY_TOKEN_SIZE], const struct smbwire_reply *reply)
{
	snprintf(out, WAY_TOKEN_SIZE, "%" PRIu64 "-%" PRId64, reply->size, reply->mtime_ns);
}

static enum nal_class look(struct smbwire_reply *reply, struct way *way, const char *name,
			   const char *path, struct err *err)
{
	enum nal_class class = ask(reply, way, SMBWIRE_OPEN, path, NULL, name, err);

	if (class != NAL_CLASS_OK || (reply->flags & SMBWIRE_FOLDER) == 0)
		return class;
	err_set(err, ERR_NET_PROTOCOL, "%s is a folder", name);
	return NAL_CLASS_PROTOCOL;
}

static bool append(size_t range UNUSED, struct span piece, void *ctx)
{
	struct way_object *out = ctx;

	buf_put_span(&out->bytes, piece);
	return true;
}

static enum nal_class get_bytes(struct way_object *out, struct way *way, const char *name,
				const char *path, uint64_t size, uint8_t flags, struct err *err)
{
	const struct way_range whole = { .offset = 0, .size = size };
	struct stream st;

	(void)buf_reserve(&out->bytes, (size_t)size);
	stream_begin(&st, way, name, path, &whole, 1);
	st.flags = flags;
	return stream_run(&st, append, out, err);
}

static enum nal_class smb_get(struct way_object *out, struct way *way, const char *name,
			      const struct way_get *get, struct err *err)
{
	SCOPED_TEXT char *path = path_of(way, name);
	struct smbwire_reply reply;
	enum nal_class class;

	if (get->size > 0 && get->size <= get->max) {
		class = get_bytes(out, way, name, path, get->size, SMBWIRE_LAST, err);
		if (class != NAL_CLASS_PROTOCOL || session_of(way)->socket < 0)
			return class;
		/* It is shorter: the caller gets what is there. */
		buf_clear(&out->bytes);
		err_clear(err);
	}
	class = look(&reply, way, name, path, err);
	if (class != NAL_CLASS_OK)
		return class;
	write_token(out->token, &reply);
	if (get->token != NULL && strcmp(get->token, out->token) == 0) {
		out->unchanged = true;
		return NAL_CLASS_OK;
	}
	if (reply.size > get->max) {
		err_set(err, ERR_LIMIT, "the object is larger than %zu bytes", get->max);
		return NAL_CLASS_PROTOCOL;
	}
	if (reply.size == 0)
		return NAL_CLASS_OK;
	class = get_bytes(out, way, name, path, reply.size, SMBWIRE_LAST | SMBWIRE_NOW, err);
	if (class != NAL_CLASS_OK)
		buf_clear(&out->bytes);
	return class;
}

static enum nal_class smb_stat(struct way_stat *out, struct way *way, const char *name,
			       struct err *err)
{
	SCOPED_TEXT char *path = path_of(way, name);
	struct smbwire_reply reply;
	enum nal_class class = look(&reply, way, name, path, err);

	if (class != NAL_CLASS_OK)
		return class;
	out->size = reply.size;
	write_token(out->token, &reply);
	return NAL_CLASS_OK;
}

/* --- writing --------------------------------------------------------------------------------- */

/* An object on its way to the server. */
struct sending {
	struct way *way;
	const struct way_put *put;
	const char *name;
	struct pace pace;
	struct span rest; /* of put->bytes */
	uint64_t left;
	size_t asked, taken;
	uint64_t sizes[SLOTS_MAX];
	uint64_t piece_max;
	size_t slot_count;
	bool stopped; /* by put->sent */
};

/* Fill a slot; false if our own file fails. */
static bool fill(uint8_t *slot, struct sending *se, size_t size, struct err *err)
{
	if (se->put->bytes.data != NULL) {
		memcpy(slot, se->rest.data, size);
		se->rest = span_skip(se->rest, size);
		return true;
	}
	errno = 0;
	if (path_read_fd(se->put->fd, slot, size) == (ssize_t)size)
		return true;
	if (errno != 0)
		return err_sys(err, ERR_IO, errno, "read what is to be sent");
	return err_set(err, ERR_IO, "what is to be sent became shorter");
}

static bool send_ahead(struct sending *se, bool *failed, struct err *err)
{
	struct smbsession *s = session_of(se->way);
	size_t slot = se->asked % se->slot_count;
	size_t size = (size_t)MIN_OF(se->left, se->piece_max);
	struct smbwire_request r = { .op = SMBWIRE_WRITE, .size = size, .at = slot * PIECE_WRITE };

	if (se->left == 0 || se->asked - se->taken == se->slot_count)
		return false;
	if (!fill(smbsession_area(s) + slot * PIECE_WRITE, se, size, err)) {
		*failed = true;
		return false;
	}
	se->left -= size;
	se->sizes[slot] = size;
	se->asked++;
	smbsession_send(s, &r);
	return true;
}

static enum nal_class sent_piece(struct sending *se, struct err *err)
{
	uint64_t size = se->sizes[se->taken++ % se->slot_count], before;
	struct smbsession *s = session_of(se->way);
	struct smbwire_reply reply;
	enum nal_class class = smbsession_receive(&reply, s, &se->pace, se->name, err);

	if (class != NAL_CLASS_OK)
		return class;
	s->session.counts.bytes_out += size;
	before = now();
	se->stopped |= se->put->sent != NULL && !se->put->sent(size, se->put->ctx);
	pace_away(&se->pace, now() - before);
	return NAL_CLASS_OK;
}

static enum nal_class send_bytes(struct sending *se, struct err *err)
{
	enum nal_class class = NAL_CLASS_OK;
	bool failed = false;

	pace_begin(&se->pace, &se->way->limits, now());
	while (class == NAL_CLASS_OK && !se->stopped && !failed) {
		while (send_ahead(se, &failed, err))
			;
		if (failed || se->taken == se->asked)
			break;
		class = sent_piece(se, err);
	}
	smbsession_abandon(session_of(se->way));
	return failed ? NAL_CLASS_UNKNOWN : class;
}

static enum nal_class write_held(bool *stopped, struct way *way, const char *name, const char *path,
				 const struct way_put *put, struct err *err)
{
	struct sending se = {
		.way = way,
		.put = put,
		.name = name,
		.rest = put->bytes,
		.left = put->bytes.data != NULL ? put->bytes.size : put->size,
		.piece_max = way_ahead(way, PIECE_WRITE, smbsession_rtt_us(session_of(way))),
		/* A limited rate allows for no queue. */
		.slot_count = way->rate_bps > 0 ? 1 : SLOTS_MAX,
	};
	struct smbwire_reply reply;
	struct err ignored;
	enum nal_class class = ask(&reply, way, SMBWIRE_CREATE, path, NULL, name, err);

	if (class != NAL_CLASS_OK)
		return class;
	class = judged(way, send_bytes(&se, err));
	*stopped = se.stopped;
	if (class == NAL_CLASS_OK && !se.stopped)
		return ask(&reply, way, SMBWIRE_FINISH, NULL, NULL, name, err);
	if (session_of(way)->socket >= 0)
		(void)ask(&reply, way, SMBWIRE_DROP, NULL, NULL, name, &ignored);
	return class;
}

/* Write the whole object under `path`; nothing of it remains unless all went well. */
static enum nal_class write_object(bool *stopped, struct way *way, const char *name,
				   const char *path, const struct way_put *put, struct err *err)
{
	enum nal_class class;

	smbsession_hold(session_of(way));
	class = write_held(stopped, way, name, path, put, err);
	smbsession_let_go(session_of(way));
	return class;
}

static char *temporary_beside(const char *path)
{
	const char *base = path_base(path);
	uint64_t salt;

	random_bytes(&salt, sizeof(salt));
	return alloc_printf("%.*s.new-%016" PRIx64, (int)(base - path), path, salt);
}

static void pause_ms(uint32_t ms)
{
	(void)usleep(ms * 1000);
}

/*
 * Readers keep what they read open for a moment, and then it can be neither removed nor replaced.
 * For a rename libsmbclient tells the first of its faults, that something stands there.
 */
static enum nal_class ask_patiently(struct way *way, enum smbwire_op op, const char *path,
				    const char *to, const char *name, struct err *err)
{
	struct smbwire_reply reply;
	enum nal_class class = NAL_CLASS_CONFLICT;

	for (int i = 0; i < CONFLICT_TRIES && class == NAL_CLASS_CONFLICT; i++) {
		if (i > 0)
			pause_ms(CONFLICT_MS);
		class = ask(&reply, way, op, path, to, name, err);
	}
	return class;
}

/* Whole under a name of its own first, then in place of what stood there. */
static enum nal_class replace(struct way *way, const char *name, const char *path,
			      const struct way_put *put, struct err *err)
{
	SCOPED_TEXT char *temporary = temporary_beside(path);
	bool stopped = false;
	struct err ignored = { 0 };
	enum nal_class class = write_object(&stopped, way, name, temporary, put, err);

	if (class != NAL_CLASS_OK || stopped)
		return class;
	class = ask_patiently(way, SMBWIRE_RENAME, temporary, path, name, err);
	if (class != NAL_CLASS_OK && session_of(way)->socket >= 0)
		(void)ask_patiently(way, SMBWIRE_DELETE, temporary, NULL, name, &ignored);
	return class;
}

static enum nal_class smb_put(struct way *way, const char *name, const struct way_put *put,
			      struct err *err)
{
	SCOPED_TEXT char *path = path_of(way, name);
	bool stopped = false;

	/* Nothing else is exclusive: libsmbclient's rename removes what stands in its way. */
	if (put->mode == WAY_PUT_CREATE)
		return write_object(&stopped, way, name, path, put, err);
	return replace(way, name, path, put, err);
}

static enum nal_class smb_remove(struct way *way, const char *name, struct err *err)
{
	SCOPED_TEXT char *path = path_of(way, name);

	return ask_patiently(way, SMBWIRE_DELETE, path, NULL, name, err);
}

/* --- listing --------------------------------------------------------------------------------- */

struct listing {
	size_t left; /* entries that may still come */
	bool stopped;
	way_entry_fn *entry;
	void *ctx;
};

static enum nal_class take_entries(struct listing *l, struct span bytes, struct err *err)
{
	while (bytes.size > 0 && !l->stopped) {
		struct smbwire_entry e;
		struct way_entry entry = { .name = e.name };

		if (!smbwire_take_entry(&e, &bytes, err))
			return NAL_CLASS_PROTOCOL;
		if (e.name[0] == '.')
			continue;
		if (l->left-- == 0) {
			err_set(err, ERR_LIMIT, "the folder has too many entries");
			return NAL_CLASS_PROTOCOL;
		}
		entry.size = e.size;
		entry.mtime_s = e.mtime_s;
		entry.is_folder = e.is_folder;
		l->stopped = !l->entry(&entry, l->ctx);
	}
	return NAL_CLASS_OK;
}

/* A copy, since the bytes in the area may change while they are looked at. */
static enum nal_class take_batch(struct listing *l, struct way *way, size_t size, struct err *err)
{
	uint8_t *copy;
	enum nal_class class;

	if (size > SMBWIRE_AREA_BYTES) {
		err_set(err, ERR_NET_PROTOCOL, "the folder's entries do not fit");
		return NAL_CLASS_PROTOCOL;
	}
	copy = alloc_copy(smbsession_area(session_of(way)), size);
	class = take_entries(l, span_of(copy, size), err);
	free(copy);
	return class;
}

static enum nal_class smb_list(struct way *way, const char *folder, size_t max_entries,
			       way_entry_fn *entry, void *ctx, struct err *err)
{
	SCOPED_TEXT char *path = path_of(way, folder);
	struct listing l = { .left = max_entries, .entry = entry, .ctx = ctx };
	struct smbwire_request r = { .op = SMBWIRE_LIST, .share = way->where.share };
	struct smbwire_reply reply = { .flags = 0 };
	enum nal_class class = NAL_CLASS_OK;

	r.path = path;
	r.size = SMBWIRE_AREA_BYTES;
	smbsession_hold(session_of(way));
	while (class == NAL_CLASS_OK && !l.stopped && (reply.flags & SMBWIRE_END) == 0) {
		class = judged(way, smbsession_ask(&reply, session_of(way), &r, &way->limits,
						   folder, err));
		r.flags = SMBWIRE_MORE;
		if (class == NAL_CLASS_OK)
			class = take_batch(&l, way, (size_t)reply.size, err);
	}
	smbsession_let_go(session_of(way));
	return class;
}

const struct provider provider_smb = {
	.scheme = LOCATOR_SMB,
	.capabilities = PROVIDER_READ | PROVIDER_RANGE | PROVIDER_PUT | PROVIDER_REPLACE |
			PROVIDER_LIST | PROVIDER_DELETE | PROVIDER_LINGERS,
	.open = smb_open,
	.close = smbsession_close,
	.is_alive = smbsession_is_alive,
	.get = smb_get,
	.stat = smb_stat,
	.read_ranges = smb_read_ranges,
	.put = smb_put,
	.remove = smb_remove,
	.list = smb_list,
};

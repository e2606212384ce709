#include "nal/way.h"

#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "nal/provider.h"

#define ABSENCE_LOOKS 3
#define ABSENCE_MS    200
#define AHEAD_MIN     (16u << 10)

void way_object_release(struct way_object *object)
{
	buf_release(&object->bytes);
	object->unchanged = false;
	object->token[0] = '\0';
}

/* Classes after which the connection may be half dead, or the peer is not worth another word. */
static bool breaks_session(enum nal_class class)
{
	return class == NAL_CLASS_TIMEOUT || class == NAL_CLASS_UNREACHABLE ||
	       class == NAL_CLASS_SLOW || class == NAL_CLASS_PROTOCOL;
}

static enum nal_class ended(struct way *way, enum nal_class class, const char *verb,
			    const char *name, struct err *err)
{
	if (breaks_session(class))
		way->broken = true;
	if (class != NAL_CLASS_OK)
		err_what(err, "%s %s at %s", verb, name, way->where.text);
	return class;
}

static bool is_allowed(const struct way *way, unsigned capability, struct err *err)
{
	if (way_can(way, capability))
		return true;
	return err_set(err, ERR_UNSUPPORTED, "%s cannot do that",
		       locator_scheme_name(way->session->provider->scheme));
}

static bool is_fine(const struct way *way, unsigned capability, const char *name, struct err *err)
{
	if (!is_allowed(way, capability, err))
		return false;
	if (!path_is_beneath(span_of_text(name)))
		return err_set(err, ERR_REFUSED, "\"%s\" is no name beneath a folder", name);
	return true;
}

enum nal_class way_get(struct way_object *out, struct way *way, const char *name,
		       const struct way_get *ask, struct err *err)
{
	enum nal_class class = NAL_CLASS_UNKNOWN;

	assert(ask->max <= WAY_GET_MAX);
	buf_clear(&out->bytes);
	out->unchanged = false;
	out->token[0] = '\0';
	if (is_fine(way, PROVIDER_READ, name, err))
		class = way->session->provider->get(out, way, name, ask, err);
	return ended(way, class, "read", name, err);
}

static bool may_pass(const struct way *way, enum nal_class class)
{
	return way->session->provider == &provider_smb && !way->broken &&
	       (class == NAL_CLASS_NOT_FOUND || class == NAL_CLASS_CONFLICT);
}

enum nal_class way_get_replaced(struct way_object *out, struct way *way, const char *name,
				const struct way_get *ask, struct err *err)
{
	enum nal_class class = way_get(out, way, name, ask, err);

	for (int i = 1; i < ABSENCE_LOOKS && may_pass(way, class); i++) {
		(void)usleep(ABSENCE_MS * 1000);
		err_clear(err);
		class = way_get(out, way, name, ask, err);
	}
	return class;
}

enum nal_class way_stat(struct way_stat *out, struct way *way, const char *name, struct err *err)
{
	enum nal_class class = NAL_CLASS_UNKNOWN;

	*out = (struct way_stat){ .size = 0 };
	if (is_fine(way, PROVIDER_READ, name, err))
		class = way->session->provider->stat(out, way, name, err);
	return ended(way, class, "look at", name, err);
}

static void check_ranges(const struct way_range *ranges, size_t count)
{
	uint64_t end = 0;

	assert(count >= 1 && count <= WAY_RANGES_MAX);
	for (size_t i = 0; i < count; i++) {
		assert(ranges[i].size >= 1 && ranges[i].offset >= end);
		assert(ranges[i].size <= INT64_MAX - ranges[i].offset);
		end = ranges[i].offset + ranges[i].size;
	}
}

enum nal_class way_read_ranges(struct way *way, const char *name, const struct way_range *ranges,
			       size_t count, way_sink_fn *sink, void *ctx, struct err *err)
{
	enum nal_class class = NAL_CLASS_UNKNOWN;

	check_ranges(ranges, count);
	if (is_fine(way, PROVIDER_READ, name, err))
		class = way->session->provider->read_ranges(way, name, ranges, count, sink, ctx,
							    err);
	return ended(way, class, "read", name, err);
}

enum nal_class way_put(struct way *way, const char *name, const struct way_put *ask,
		       struct err *err)
{
	unsigned needs = ask->mode == WAY_PUT_REPLACE ? PROVIDER_REPLACE : PROVIDER_PUT;
	enum nal_class class = NAL_CLASS_UNKNOWN;

	if (is_fine(way, needs, name, err))
		class = way->session->provider->put(way, name, ask, err);
	return ended(way, class, "write", name, err);
}

/* Notes whether the one whom it asks wants no more. */
struct asking {
	const struct way_batch *batch;
	bool stopped;
};

static bool ask_sent(uint64_t bytes, void *ctx)
{
	struct asking *a = ctx;

	a->stopped = a->batch->sent != NULL && !a->batch->sent(bytes, a->batch->ctx);
	return !a->stopped;
}

/* For providers that gain nothing by a batch. */
static enum nal_class replace_singly(struct way *way, const struct way_batch *batch,
				     struct err *err)
{
	struct asking asking = { .batch = batch };
	enum nal_class class = NAL_CLASS_OK;

	for (size_t i = 0; i < batch->count && class == NAL_CLASS_OK && !asking.stopped; i++) {
		SCOPED_TEXT char *name = path_join(batch->folder, batch->objects[i].name);
		const struct way_put put = {
			.mode = WAY_PUT_REPLACE,
			.bytes = batch->objects[i].bytes,
			.sent = ask_sent,
			.ctx = &asking,
		};

		class = way->session->provider->put(way, name, &put, err);
	}
	return class;
}

static bool is_fine_batch(const struct way *way, const struct way_batch *batch, struct err *err)
{
	assert(batch->count >= 1 && batch->count <= WAY_TOGETHER_MAX);
	for (size_t i = 0; i < batch->count; i++) {
		assert(batch->objects[i].bytes.data != NULL);
		if (strchr(batch->objects[i].name, '/') != NULL ||
		    !path_is_beneath(span_of_text(batch->objects[i].name)))
			return err_set(err, ERR_REFUSED, "\"%s\" is no name in a folder",
				       batch->objects[i].name);
	}
	return is_fine(way, PROVIDER_REPLACE, batch->folder, err);
}

enum nal_class way_replace_all(struct way *way, const struct way_batch *batch, struct err *err)
{
	const struct provider *provider = way->session->provider;
	enum nal_class class = NAL_CLASS_UNKNOWN;

	if (is_fine_batch(way, batch, err))
		class = provider->replace_all != NULL ? provider->replace_all(way, batch, err)
						      : replace_singly(way, batch, err);
	return ended(way, class, "write into", batch->folder, err);
}

enum nal_class way_delete(struct way *way, const char *name, struct err *err)
{
	enum nal_class class = NAL_CLASS_UNKNOWN;

	if (is_fine(way, PROVIDER_DELETE, name, err))
		class = way->session->provider->remove(way, name, err);
	return ended(way, class, "remove", name, err);
}

enum nal_class way_list(struct way *way, const char *folder, size_t max_entries,
			way_entry_fn *entry, void *ctx, struct err *err)
{
	enum nal_class class = NAL_CLASS_UNKNOWN;
	bool fine = folder[0] == '\0' ? is_allowed(way, PROVIDER_LIST, err)
				      : is_fine(way, PROVIDER_LIST, folder, err);

	if (fine)
		class = way->session->provider->list(way, folder, max_entries, entry, ctx, err);
	return ended(way, class, "list", folder, err);
}

struct session_counts way_counts(const struct way *way)
{
	return way->session->counts;
}

bool way_has_ranges(const struct way *way)
{
	return way_can(way, PROVIDER_RANGE) && !way->session->no_ranges;
}

bool way_is_broken(const struct way *way)
{
	return way->broken;
}

bool way_can(const struct way *way, unsigned capabilities)
{
	return (way->session->provider->capabilities & capabilities) == capabilities;
}

uint64_t way_ahead(const struct way *way, uint64_t usual, uint32_t rtt_us)
{
	uint64_t rate = MIN_OF(way->rate_bps, (uint64_t)1 << 40); /* or it would overflow below */
	uint64_t trip = rate * MIN_OF(rtt_us, (uint32_t)1000000) / 1000000;
	uint64_t ahead = MAX_OF(MAX_OF(rate / 8, trip + trip / 2), (uint64_t)AHEAD_MIN);

	return rate == 0 ? usual : MIN_OF(ahead, usual);
}

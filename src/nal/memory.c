#include "nal/memory.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/random.h"

/* Clocks are compared in whole seconds and drift a little; less than this is no jump. */
enum {
	JUMP_S = 30,
};

enum consequence {
	CLEARS = 1 << 0,      /* the server works: back-off and denial end */
	BACKS_OFF = 1 << 1,   /* not before a growing time has passed */
	MISSES = 1 << 2,      /* that object is not there for a while */
	QUARANTINES = 1 << 3, /* that object's bytes are wrong there */
	DENIES = 1 << 4,      /* not with these credentials */
	UNSTICKS = 1 << 5,    /* redraw */
	STICKS = 1 << 6,      /* stay with it */
};

static const unsigned int consequences[] = {
	[NAL_CLASS_OK] = CLEARS | STICKS,
	[NAL_CLASS_NOT_FOUND] = MISSES,
	[NAL_CLASS_CONTENT_MISSING] = MISSES | UNSTICKS,
	[NAL_CLASS_WRONG_VERSION] = MISSES,
	[NAL_CLASS_DENIED] = DENIES | UNSTICKS,
	[NAL_CLASS_CONFLICT] = BACKS_OFF,
	[NAL_CLASS_BUSY] = BACKS_OFF | UNSTICKS,
	[NAL_CLASS_FULL] = BACKS_OFF | UNSTICKS,
	[NAL_CLASS_TIMEOUT] = BACKS_OFF | UNSTICKS,
	[NAL_CLASS_UNREACHABLE] = BACKS_OFF | UNSTICKS,
	[NAL_CLASS_SLOW] = BACKS_OFF | UNSTICKS,
	[NAL_CLASS_CORRUPT] = QUARANTINES | UNSTICKS,
	[NAL_CLASS_PROTOCOL] = BACKS_OFF | UNSTICKS,
	[NAL_CLASS_UNKNOWN] = 0,
};
static_assert(COUNT_OF(consequences) == NAL_CLASS_COUNT_, "every class has its consequence");

struct object {
	char *name;
	int64_t until_s;
};

struct objects {
	struct object *items;
	size_t count;
};

struct goodput {
	char *network;
	uint64_t bps;
	uint8_t band;
	int64_t at_s;
};

struct server {
	char *name;
	uint32_t failures; /* in a row */
	enum nal_class last_class;
	int64_t touched_s;
	int64_t back_off_until_s;
	char *denied_config; /* NULL: not denied */
	struct objects quarantined;
	struct objects missing;
	struct goodput goodput[MEMORY_NETWORKS_MAX];
	size_t goodput_count;
};

struct sticky {
	char *server; /* NULL: none */
	int64_t until_s;
};

struct memory {
	struct server *servers; /* sorted by name */
	size_t count;
	struct sticky sticky[KIND_COUNT_];
	struct objects waits; /* `until_s` holds since when */
	int64_t wall_s;       /* of the last tick; 0: there was none */
	uint64_t mono_s;
	char *boot;
	bool is_dirty;
};

struct memory *memory_new(void)
{
	return alloc_zeroed(1, sizeof(struct memory));
}

static void objects_release(struct objects *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].name);
	free(list->items);
	*list = (struct objects){ 0 };
}

static void server_release(struct server *s)
{
	free(s->name);
	free(s->denied_config);
	objects_release(&s->quarantined);
	objects_release(&s->missing);
	for (size_t i = 0; i < s->goodput_count; i++)
		free(s->goodput[i].network);
}

void memory_free(struct memory *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->count; i++)
		server_release(&m->servers[i]);
	for (size_t i = 0; i < KIND_COUNT_; i++)
		free(m->sticky[i].server);
	objects_release(&m->waits);
	free(m->servers);
	free(m->boot);
	free(m);
}

/* --- objects: short lists of a name and a time ------------------------------------------------ */

static struct object *object_find(const struct objects *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return &list->items[i];
	return NULL;
}

static void object_remove(struct objects *list, struct object *gone)
{
	free(gone->name);
	*gone = list->items[--list->count];
}

static void object_remove_oldest(struct objects *list)
{
	size_t oldest = 0;

	for (size_t i = 1; i < list->count; i++)
		if (list->items[i].until_s < list->items[oldest].until_s)
			oldest = i;
	object_remove(list, &list->items[oldest]);
}

/* The list never shrinks its memory, so that growing by doubling stays right after a removal. */
static void object_set(struct objects *list, size_t max, const char *name, int64_t until_s)
{
	struct object *known = object_find(list, name);

	if (known != NULL) {
		known->until_s = until_s;
		return;
	}
	if (list->count >= max)
		object_remove_oldest(list);
	ALLOC_GROW(list->items, list->count);
	list->items[list->count++] = (struct object){ alloc_text(name), until_s };
}

static int64_t object_until(const struct objects *list, const char *name, int64_t now_s)
{
	const struct object *known = object_find(list, name);

	return known != NULL && known->until_s > now_s ? known->until_s : 0;
}

static void objects_shift(struct objects *list, int64_t by_s)
{
	for (size_t i = 0; i < list->count; i++)
		list->items[i].until_s += by_s;
}

/* --- servers ---------------------------------------------------------------------------------- */

/* The place of a name in the sorted array, found or not. */
static size_t server_place(const struct memory *m, const char *name)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(m->servers[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct server *server_find(const struct memory *m, const char *name)
{
	size_t at = server_place(m, name);

	return at < m->count && strcmp(m->servers[at].name, name) == 0 ? &m->servers[at] : NULL;
}

static void server_forget_oldest(struct memory *m)
{
	size_t oldest = 0;

	for (size_t i = 1; i < m->count; i++)
		if (m->servers[i].touched_s < m->servers[oldest].touched_s)
			oldest = i;
	server_release(&m->servers[oldest]);
	memmove(&m->servers[oldest], &m->servers[oldest + 1],
		(m->count - oldest - 1) * sizeof(*m->servers));
	m->count--;
}

static struct server *server_need(struct memory *m, const char *name)
{
	size_t at = server_place(m, name);

	if (at == m->count || strcmp(m->servers[at].name, name) != 0) {
		if (m->count >= MEMORY_SERVERS_MAX) {
			server_forget_oldest(m);
			at = server_place(m, name);
		}
		ALLOC_GROW(m->servers, m->count);
		memmove(&m->servers[at + 1], &m->servers[at],
			(m->count - at) * sizeof(*m->servers));
		m->servers[at] = (struct server){ .name = alloc_text(name) };
		m->count++;
	}
	m->servers[at].touched_s = m->wall_s;
	m->is_dirty = true;
	return &m->servers[at];
}

/* --- time ------------------------------------------------------------------------------------- */

static void shift_later(int64_t *stamp_s, int64_t by_s)
{
	if (*stamp_s != 0)
		*stamp_s += by_s;
}

static void shift_all(struct memory *m, int64_t by_s)
{
	for (size_t i = 0; i < m->count; i++) {
		struct server *s = &m->servers[i];

		shift_later(&s->touched_s, by_s);
		shift_later(&s->back_off_until_s, by_s);
		objects_shift(&s->quarantined, by_s);
		objects_shift(&s->missing, by_s);
		for (size_t k = 0; k < s->goodput_count; k++)
			s->goodput[k].at_s += by_s;
	}
	for (size_t i = 0; i < KIND_COUNT_; i++)
		shift_later(&m->sticky[i].until_s, by_s);
	objects_shift(&m->waits, by_s);
	m->is_dirty = true;
}

/*
 * Within one boot the monotonic clock says how much time has really passed. Across boots nobody
 * knows; then only a step back is certain to be a jump, and is taken as no time at all.
 */
static int64_t jump_of(const struct memory *m, const struct memory_now *now)
{
	int64_t by_wall = now->wall_s - m->wall_s;
	bool same_boot = now->boot != NULL && m->boot != NULL && strcmp(now->boot, m->boot) == 0 &&
			 now->mono_s >= m->mono_s;
	int64_t jump = by_wall;

	if (same_boot)
		jump = by_wall - (int64_t)(now->mono_s - m->mono_s);
	else if (by_wall >= 0)
		return 0;
	return jump > JUMP_S || jump < -JUMP_S ? jump : 0;
}

void memory_tick(struct memory *m, const struct memory_now *now)
{
	int64_t jump = m->wall_s != 0 ? jump_of(m, now) : 0;

	if (jump != 0)
		shift_all(m, jump);
	m->wall_s = now->wall_s;
	m->mono_s = now->mono_s;
	if (now->boot == NULL || m->boot == NULL || strcmp(now->boot, m->boot) != 0) {
		free(m->boot);
		m->boot = alloc_text(now->boot);
	}
}

/* --- consequences ----------------------------------------------------------------------------- */

/* Doubles up to the cap, then up to a quarter is taken off, so that a fleet does not move in step.
 */
static int64_t back_off_s(uint32_t failures, uint64_t seed)
{
	uint32_t doublings = MIN_OF(failures - 1, 20u);
	int64_t delay = MIN_OF((int64_t)MEMORY_BACK_OFF_FIRST_S << doublings,
			       (int64_t)MEMORY_BACK_OFF_CAP_S);
	struct random_seq jitter;

	random_seq_init(&jitter, seed, "back-off");
	return delay - (int64_t)random_seq_below(&jitter, (uint64_t)delay / 4 + 1);
}

static void unstick(struct memory *m, enum kind kind, const char *server)
{
	if (m->sticky[kind].server != NULL && strcmp(m->sticky[kind].server, server) == 0)
		memory_unstick(m, kind);
}

static void stick(struct memory *m, enum kind kind, const char *server)
{
	struct sticky *sticky = &m->sticky[kind];
	int64_t life_s = kind == KIND_CAP ? MEMORY_STICKY_CAP_S : MEMORY_STICKY_DP_S;

	/* Staying with it does not renew the term, or nobody would ever move on. */
	if (sticky->server != NULL && strcmp(sticky->server, server) == 0 &&
	    sticky->until_s > m->wall_s)
		return;
	free(sticky->server);
	*sticky = (struct sticky){ alloc_text(server), m->wall_s + life_s };
}

static void object_forget(struct objects *list, const char *name)
{
	struct object *known = object_find(list, name);

	if (known != NULL)
		object_remove(list, known);
}

static void clear_failures(struct server *s, const char *object)
{
	s->failures = 0;
	s->back_off_until_s = 0;
	free(s->denied_config);
	s->denied_config = NULL;
	object_forget(&s->missing, object);
	object_forget(&s->quarantined, object);
}

static unsigned int consequences_of(const struct memory_event *event)
{
	unsigned int todo = consequences[event->what];
	bool has_account = event->config != NULL && event->config[0] != '\0';

	/*
	 * Who came without an account has none to keep back, and what a CAP lacks may come with the
	 * next publish: both may be mended at any time by others.
	 */
	if (((todo & DENIES) != 0 && !has_account) ||
	    ((todo & MISSES) != 0 && event->kind == KIND_CAP))
		todo = (todo & ~(unsigned int)(DENIES | MISSES)) | BACKS_OFF;
	return todo;
}

void memory_record(struct memory *m, const struct memory_event *event)
{
	unsigned int todo = consequences_of(event);
	struct server *s;

	if (todo == 0)
		return;
	s = server_need(m, event->server);
	s->last_class = event->what;
	if ((todo & CLEARS) != 0)
		clear_failures(s, event->object);
	if ((todo & BACKS_OFF) != 0)
		s->back_off_until_s = m->wall_s + back_off_s(++s->failures, event->seed);
	if ((todo & MISSES) != 0)
		object_set(&s->missing, MEMORY_OBJECTS_MAX, event->object,
			   m->wall_s + MEMORY_MISSING_S);
	if ((todo & QUARANTINES) != 0)
		object_set(&s->quarantined, MEMORY_OBJECTS_MAX, event->object,
			   m->wall_s + MEMORY_QUARANTINE_S);
	if ((todo & DENIES) != 0) {
		free(s->denied_config);
		s->denied_config = alloc_text(event->config);
	}
	if ((todo & UNSTICKS) != 0)
		unstick(m, event->kind, event->server);
	if ((todo & STICKS) != 0)
		stick(m, event->kind, event->server);
}

void memory_unstick(struct memory *m, enum kind kind)
{
	if (m->sticky[kind].server == NULL)
		return;
	free(m->sticky[kind].server);
	m->sticky[kind] = (struct sticky){ 0 };
	m->is_dirty = true;
}

/* --- goodput ---------------------------------------------------------------------------------- */

static struct goodput *goodput_find(const struct server *s, const char *network)
{
	for (size_t i = 0; i < s->goodput_count; i++)
		if (strcmp(s->goodput[i].network, network) == 0)
			return (struct goodput *)(uintptr_t)&s->goodput[i];
	return NULL;
}

static struct goodput *goodput_need(struct server *s, const char *network)
{
	struct goodput *g = goodput_find(s, network);

	if (g != NULL)
		return g;
	g = &s->goodput[0];
	if (s->goodput_count < MEMORY_NETWORKS_MAX) {
		g = &s->goodput[s->goodput_count++];
	} else {
		for (size_t i = 1; i < s->goodput_count; i++)
			if (s->goodput[i].at_s < g->at_s)
				g = &s->goodput[i];
		free(g->network);
	}
	*g = (struct goodput){ .network = alloc_text(network) };
	return g;
}

/* The octave of a rate, 1 to 64. */
static uint8_t octave(uint64_t bps)
{
	return (uint8_t)(64 - __builtin_clzll(bps | 1));
}

/* A band is left only when the average is a quarter beyond its edge: figures near one do not
 * make the choice swing. */
static uint8_t band_of(uint64_t bps, uint8_t old)
{
	uint8_t up = octave(bps - bps / 5), down = octave(bps + bps / 4);

	if (old == 0)
		return octave(bps);
	if (up > old)
		return up;
	return down < old ? down : old;
}

/* How much of 16 the old average counts for: 11 when fresh, less the longer ago it was. */
static uint64_t weight_of(int64_t age_s)
{
	return 11u >> MIN_OF(MAX_OF(age_s, (int64_t)0) / MEMORY_GOODPUT_HALF_S, (int64_t)4);
}

void memory_transfer(struct memory *m, const char *server, const char *network, uint64_t bytes,
		     uint64_t ms)
{
	struct goodput *g;
	uint64_t weight, sample;

	if (bytes < MEMORY_GOODPUT_BYTES || bytes > UINT64_MAX / 1000)
		return;
	sample = MIN_OF(bytes * 1000 / MAX_OF(ms, (uint64_t)1), UINT64_MAX / 32);
	g = goodput_need(server_need(m, server), network);
	weight = g->bps > 0 ? weight_of(m->wall_s - g->at_s) : 0;
	g->bps = MAX_OF((g->bps * weight + sample * (16 - weight)) / 16, (uint64_t)1);
	g->band = band_of(g->bps, g->band);
	g->at_s = m->wall_s;
}

/* --- what choice asks ------------------------------------------------------------------------- */

static bool denies(const struct server *s, const char *config)
{
	return s->denied_config != NULL &&
	       strcmp(s->denied_config, config != NULL ? config : "") == 0;
}

struct memory_facts memory_facts(const struct memory *m, const char *server, const char *object,
				 enum kind kind, const char *network, const char *config)
{
	const struct sticky *sticky = &m->sticky[kind];
	const struct server *s = server_find(m, server);
	const struct goodput *g = s != NULL ? goodput_find(s, network) : NULL;
	struct memory_facts facts = {
		.is_sticky = sticky->server != NULL && sticky->until_s > m->wall_s &&
			     strcmp(sticky->server, server) == 0,
	};

	if (s == NULL)
		return facts;
	facts.back_off_until_s = s->back_off_until_s > m->wall_s ? s->back_off_until_s : 0;
	facts.quarantined_until_s = object_until(&s->quarantined, object, m->wall_s);
	facts.missing_until_s = object_until(&s->missing, object, m->wall_s);
	facts.is_denied = denies(s, config);
	if (g != NULL && m->wall_s - g->at_s < MEMORY_GOODPUT_LIFE_S) {
		facts.goodput_bps = g->bps;
		facts.goodput_band = g->band;
	}
	return facts;
}

int64_t memory_wait_since(const struct memory *m, const char *object)
{
	const struct object *wait = object_find(&m->waits, object);

	return wait != NULL ? wait->until_s : 0;
}

void memory_wait_begin(struct memory *m, const char *object)
{
	if (object_find(&m->waits, object) != NULL)
		return;
	object_set(&m->waits, MEMORY_WAITS_MAX, object, m->wall_s);
	m->is_dirty = true;
}

void memory_wait_end(struct memory *m, const char *object)
{
	struct object *wait = object_find(&m->waits, object);

	if (wait == NULL)
		return;
	object_remove(&m->waits, wait);
	m->is_dirty = true;
}

bool memory_is_dirty(const struct memory *m)
{
	return m->is_dirty;
}

/* --- the stored form -------------------------------------------------------------------------- */

static json_t *objects_json(const struct objects *list)
{
	json_t *object = json_object();

	for (size_t i = 0; i < list->count; i++)
		jsondoc_set_int(object, list->items[i].name, list->items[i].until_s);
	return object;
}

static json_t *server_json(const struct server *s)
{
	json_t *object = json_object(), *rates = json_object();

	jsondoc_set_int(object, "failures", s->failures);
	jsondoc_set_text(object, "class", nal_class_name(s->last_class));
	jsondoc_set_int(object, "touched", s->touched_s);
	jsondoc_set_int(object, "back_off_until", s->back_off_until_s);
	jsondoc_set_text(object, "denied_config", s->denied_config);
	jsondoc_set(object, "quarantined", objects_json(&s->quarantined));
	jsondoc_set(object, "missing", objects_json(&s->missing));
	for (size_t i = 0; i < s->goodput_count; i++) {
		json_t *rate = json_object();

		jsondoc_set_int(rate, "bps", (int64_t)s->goodput[i].bps);
		jsondoc_set_int(rate, "band", s->goodput[i].band);
		jsondoc_set_int(rate, "at", s->goodput[i].at_s);
		jsondoc_set(rates, s->goodput[i].network, rate);
	}
	jsondoc_set(object, "goodput", rates);
	return object;
}

void memory_write(struct buf *out, struct memory *m)
{
	json_auto_t *doc = json_object();
	json_t *servers = json_object(), *sticky = json_object();

	for (size_t i = 0; i < m->count; i++)
		jsondoc_set(servers, m->servers[i].name, server_json(&m->servers[i]));
	for (size_t i = 0; i < KIND_COUNT_; i++) {
		json_t *one = json_object();

		jsondoc_set_text(one, "server", m->sticky[i].server);
		jsondoc_set_int(one, "until", m->sticky[i].until_s);
		jsondoc_set(sticky, kind_name((enum kind)i), one);
	}
	jsondoc_set_int(doc, "format", 1);
	jsondoc_set_int(doc, "wall", m->wall_s);
	jsondoc_set_int(doc, "mono", (int64_t)m->mono_s);
	jsondoc_set_text(doc, "boot", m->boot);
	jsondoc_set(doc, "servers", servers);
	jsondoc_set(doc, "sticky", sticky);
	jsondoc_set(doc, "waits", objects_json(&m->waits));
	jsondoc_write(out, doc);
	buf_put_u8(out, '\n');
	m->is_dirty = false;
}

static bool name_is_fine(const char *name, struct err *err)
{
	size_t size = strlen(name);

	return (size > 0 && size <= MEMORY_TEXT_MAX) ||
	       err_set(err, ERR_LIMIT, "memory of servers: a name of %zu bytes", size);
}

static bool need_time(int64_t *out, const json_t *object, const char *key, struct err *err)
{
	/* A clock set back to 1970 moves stamps before it. */
	return jsondoc_need_int(out, object, key, -JSONDOC_INT_MAX, JSONDOC_INT_MAX, err);
}

static bool objects_read(struct objects *list, size_t max, const json_t *object, const char *key,
			 struct err *err)
{
	json_t *map, *value;
	const char *name;
	int64_t until_s;

	if (!jsondoc_need_object(&map, object, key, err))
		return false;
	if (json_object_size(map) > max)
		return err_set(err, ERR_LIMIT, "\"%s\" has more than %zu members", key, max);
	json_object_foreach (map, name, value) {
		if (!name_is_fine(name, err) || !need_time(&until_s, map, name, err))
			return false;
		object_set(list, max, name, until_s);
	}
	return true;
}

static bool goodput_read(struct server *s, const json_t *object, struct err *err)
{
	json_t *map, *value;
	const char *network;

	if (!jsondoc_need_object(&map, object, "goodput", err))
		return false;
	if (json_object_size(map) > MEMORY_NETWORKS_MAX)
		return err_set(err, ERR_LIMIT, "\"goodput\" has more than %d members",
			       MEMORY_NETWORKS_MAX);
	json_object_foreach (map, network, value) {
		int64_t bps, band, at_s;

		if (!name_is_fine(network, err) ||
		    !jsondoc_need_int(&bps, value, "bps", 1, JSONDOC_INT_MAX, err) ||
		    !jsondoc_need_int(&band, value, "band", 1, 64, err) ||
		    !need_time(&at_s, value, "at", err))
			return false;
		s->goodput[s->goodput_count++] = (struct goodput){
			.network = alloc_text(network),
			.bps = (uint64_t)bps,
			.band = (uint8_t)band,
			.at_s = at_s,
		};
	}
	return true;
}

static bool server_read(struct server *s, const json_t *object, struct err *err)
{
	const char *what;
	int64_t failures;

	if (!jsondoc_need_int(&failures, object, "failures", 0, UINT32_MAX, err) ||
	    !jsondoc_need_text(&what, object, "class", err) ||
	    !need_time(&s->back_off_until_s, object, "back_off_until", err) ||
	    !need_time(&s->touched_s, object, "touched", err))
		return false;
	if (!nal_class_parse(&s->last_class, what))
		return err_set(err, ERR_FORMAT, "'%.32s' is no class", what);
	s->failures = (uint32_t)failures;
	s->denied_config = alloc_text(jsondoc_text(object, "denied_config"));
	return objects_read(&s->quarantined, MEMORY_OBJECTS_MAX, object, "quarantined", err) &&
	       objects_read(&s->missing, MEMORY_OBJECTS_MAX, object, "missing", err) &&
	       goodput_read(s, object, err);
}

static bool servers_read(struct memory *m, const json_t *doc, struct err *err)
{
	json_t *map, *value;
	const char *name;

	if (!jsondoc_need_object(&map, doc, "servers", err))
		return false;
	if (json_object_size(map) > MEMORY_SERVERS_MAX)
		return err_set(err, ERR_LIMIT, "\"servers\" has more than %d members",
			       MEMORY_SERVERS_MAX);
	json_object_foreach (map, name, value) {
		if (!name_is_fine(name, err) || !server_read(server_need(m, name), value, err))
			return false;
	}
	return true;
}

static bool sticky_read(struct memory *m, const json_t *doc, struct err *err)
{
	json_t *map, *one;

	if (!jsondoc_need_object(&map, doc, "sticky", err))
		return false;
	for (size_t i = 0; i < KIND_COUNT_; i++) {
		if (!jsondoc_need_object(&one, map, kind_name((enum kind)i), err) ||
		    !need_time(&m->sticky[i].until_s, one, "until", err))
			return false;
		m->sticky[i].server = alloc_text(jsondoc_text(one, "server"));
	}
	return true;
}

bool memory_read(struct memory **out, struct span bytes, struct err *err)
{
	SCOPED(memory) struct memory *m = memory_new();
	json_auto_t *doc = NULL;
	int64_t format, mono_s;

	if (bytes.size > MEMORY_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "memory of servers: %zu bytes, at most %zu are read",
			       bytes.size, MEMORY_BYTES_MAX);
	if (!jsondoc_read(&doc, bytes, err) ||
	    !jsondoc_need_int(&format, doc, "format", 1, 1, err) ||
	    !need_time(&m->wall_s, doc, "wall", err) || !need_time(&mono_s, doc, "mono", err) ||
	    !servers_read(m, doc, err) || !sticky_read(m, doc, err) ||
	    !objects_read(&m->waits, MEMORY_WAITS_MAX, doc, "waits", err))
		return false;
	m->mono_s = (uint64_t)mono_s;
	m->boot = alloc_text(jsondoc_text(doc, "boot"));
	m->is_dirty = false;
	*out = m;
	m = NULL;
	return true;
}

#include "nal/probe.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/jsondoc.h"
#include "nal/folder.h"
#include "nal/netserver.h"
#include "nal/presence.h"
#include "nal/provider.h"
#include "nal/smbknock.h"

#define MOMENT_MS 50 /* what a rung gets at least */

static const char *const rung_names[] = {
	[PROBE_SESSION] = "session",
	[PROBE_NEGOTIATE] = "negotiate",
	[PROBE_NETSERVERGETINFO] = "netservergetinfo",
	[PROBE_IPC] = "ipc",
	[PROBE_HTTP] = "http",
	[PROBE_FILE] = "file",
};
static_assert(COUNT_OF(rung_names) == PROBE_RUNG_COUNT_, "every rung has a name");

const char *probe_rung_name(enum probe_rung rung)
{
	assert(rung < PROBE_RUNG_COUNT_);
	return rung_names[rung];
}

const char *probe_class_name(const struct probe_step *step)
{
	return step->is_skipped ? "not-applicable" : nal_class_name(step->class);
}

const struct probe_step *probe_last(const struct probe *probe)
{
	return probe->count > 0 ? &probe->steps[probe->count - 1] : NULL;
}

uint32_t probe_ms(const struct probe *probe)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < probe->count; i++)
		sum += probe->steps[i].ms;
	return sum;
}

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

/* What the answer to one rung says about the server behind it. */
static enum probe_presence presence_of(enum probe_rung rung, enum nal_class class)
{
	static const enum probe_presence table[] = {
		[NAL_CLASS_OK] = PROBE_PRESENT,
		[NAL_CLASS_NOT_FOUND] = PROBE_PRESENT, /* it answered; the marker is elsewhere */
		[NAL_CLASS_CONTENT_MISSING] = PROBE_PRESENT,
		[NAL_CLASS_WRONG_VERSION] = PROBE_PRESENT,
		[NAL_CLASS_DENIED] = PROBE_PRESENT,
		[NAL_CLASS_CONFLICT] = PROBE_PRESENT,
		[NAL_CLASS_BUSY] = PROBE_PRESENT,
		[NAL_CLASS_FULL] = PROBE_PRESENT,
		[NAL_CLASS_TIMEOUT] = PROBE_ABSENT,
		[NAL_CLASS_UNREACHABLE] = PROBE_ABSENT,
		[NAL_CLASS_SLOW] = PROBE_PRESENT,
		[NAL_CLASS_CORRUPT] = PROBE_PRESENT,
		[NAL_CLASS_PROTOCOL] = PROBE_UNKNOWN, /* something is there, of another kind */
		[NAL_CLASS_UNKNOWN] = PROBE_UNKNOWN,
	};
	static_assert(COUNT_OF(table) == NAL_CLASS_COUNT_, "every class says something");

	static const struct {
		enum probe_rung rung;
		enum nal_class class;
		enum probe_presence presence;
	} others[] = {
		{ PROBE_FILE, NAL_CLASS_NOT_FOUND, PROBE_ABSENT },
		/* A mount that hangs says nothing about its server. */
		{ PROBE_FILE, NAL_CLASS_TIMEOUT, PROBE_UNKNOWN },
		/* Whatever answers there, it is no SMB server. */
		{ PROBE_NEGOTIATE, NAL_CLASS_PROTOCOL, PROBE_ABSENT },
		/* It answered a NEGOTIATE a moment ago, and its own status is an answer. */
		{ PROBE_IPC, NAL_CLASS_TIMEOUT, PROBE_UNKNOWN },
		{ PROBE_IPC, NAL_CLASS_UNREACHABLE, PROBE_UNKNOWN },
		{ PROBE_IPC, NAL_CLASS_UNKNOWN, PROBE_PRESENT },
	};

	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (others[i].rung == rung && others[i].class == class)
			return others[i].presence;
	return table[class];
}

static struct probe_step *begin_step(struct probe *out, enum probe_rung rung)
{
	struct probe_step *step = &out->steps[out->count++];

	assert(out->count <= PROBE_STEPS_MAX);
	*step = (struct probe_step){ .rung = rung };
	return step;
}

static void end_step(struct probe *out, struct probe_step *step, enum nal_class class,
		     uint64_t begun_ms)
{
	step->class = class;
	step->ms = (uint32_t)(now() - begun_ms);
	if (class == NAL_CLASS_OK)
		step->err = (struct err){ .code = ERR_NONE };
	out->presence = presence_of(step->rung, class);
}

static void ask_http(struct probe *out, struct conntab *tab, const struct way_target *target)
{
	bool was_open = conntab_is_open(tab, target);
	struct probe_step *step = begin_step(out, was_open ? PROBE_SESSION : PROBE_HTTP);
	struct way *way = NULL;
	struct way_stat st;
	uint64_t begun = now();
	enum nal_class class;

	class = conntab_acquire(&way, tab, target, WAY_LINK_NONE, out, &step->err);
	if (class == NAL_CLASS_OK)
		class = way_stat(&st, way, marker_file(target->kind), &step->err);
	conntab_release(tab, way);
	end_step(out, step, class, begun);
}

static void ask_folder(struct probe *out, struct conntab *tab, const struct way_target *target)
{
	SCOPED(folder) struct folder f = { .dir = NULL };
	struct probe_step *step = begin_step(out, PROBE_FILE);
	uint64_t begun = now();

	end_step(out, step,
		 folder_wait(&f, target, conntab_box(tab, target), PROBE_FOLDER_MS, &step->err),
		 begun);
}

/* ---- the ladder of SMB ---- */

/* True if the server said anything at all over that session. */
static bool answers(enum nal_class *class_out, struct way *way, enum marker_kind kind,
		    struct err *err)
{
	struct way_stat st;

	*class_out = way_stat(&st, way, marker_file(kind), err);
	if (way_is_broken(way))
		return false;
	/* It was not for the marker that it was asked. */
	if (*class_out != NAL_CLASS_UNKNOWN)
		*class_out = NAL_CLASS_OK;
	return true;
}

/*
 * Ask over a session that is open. False if there is none, or all turned out to be dead: then they
 * are closed, and the other rungs open nothing beside them.
 */
static bool ask_session(struct probe *out, struct conntab *tab, const struct way_target *target)
{
	struct way *way = conntab_borrow(tab, target->where, out);
	uint64_t begun = now();
	struct probe_step *step;
	enum nal_class class;
	bool answered = false;

	if (way == NULL)
		return false;
	step = begin_step(out, PROBE_SESSION);
	for (; way != NULL; way = answered ? NULL : conntab_borrow(tab, target->where, out)) {
		answered = answers(&class, way, target->kind, &step->err);
		conntab_release(tab, way);
	}
	end_step(out, step, class, begun);
	return answered;
}

/* How long a rung may take: no longer than is left, and a moment in any case. */
static uint32_t share_of(uint32_t limit_ms, uint64_t due_ms)
{
	uint64_t at = now();

	return due_ms > at + MOMENT_MS ? MIN_OF(limit_ms, (uint32_t)(due_ms - at)) : MOMENT_MS;
}

static bool ask_negotiate(struct probe *out, char address[64], const struct locator *where,
			  uint64_t due_ms)
{
	struct probe_step *step = begin_step(out, PROBE_NEGOTIATE);
	struct smbknock_result result;
	uint64_t begun = now();

	smbknock_wait(&result, address, where->host, where->port, SMBKNOCK_NEGOTIATE,
		      share_of(PROBE_CONNECT_MS, due_ms), SMBKNOCK_NEGOTIATE_MS, &step->err);
	end_step(out, step, result.class, begun);
	return result.class == NAL_CLASS_OK;
}

static bool ask_netserver(struct probe *out, const char *server, uint16_t port, uint64_t due_ms)
{
	struct probe_step *step = begin_step(out, PROBE_NETSERVERGETINFO);
	uint64_t begun = now();

	step->is_skipped = port != NETSERVER_PORT;
	if (step->is_skipped)
		return false;
	end_step(out, step, netserver_ask(server, share_of(NETSERVER_MS, due_ms), &step->err),
		 begun);
	return step->class == NAL_CLASS_OK;
}

static void ask_ipc(struct probe *out, const char *server, uint16_t port, uint64_t due_ms)
{
	struct probe_step *step = begin_step(out, PROBE_IPC);
	struct smbknock_result result;
	uint64_t begun = now();

	smbknock_wait(&result, NULL, server, port, SMBKNOCK_IPC, share_of(PROBE_CONNECT_MS, due_ms),
		      share_of(SMBKNOCK_IPC_MS, due_ms), &step->err);
	end_step(out, step, result.class, begun);
}

static void climb(struct probe *out, const struct locator *where,
		  const struct probe_knocked *knocked, uint32_t limit_ms)
{
	uint64_t due_ms = now() + limit_ms;
	const char *server = where->host;
	char address[64] = "";

	if (knocked != NULL) {
		begin_step(out, PROBE_NEGOTIATE)->ms = knocked->ms;
		server = knocked->address;
	} else {
		if (!ask_negotiate(out, address, where, due_ms))
			return;
		if (address[0] != '\0')
			server = address;
	}
	/* A third is kept for IPC$, which is quick where it works at all. */
	if (!ask_netserver(out, server, where->port, due_ms - limit_ms / 3))
		ask_ipc(out, server, where->port, due_ms);
}

/* The other rungs, or what they said a moment ago. */
static void ask_anew(struct probe *out, struct conntab *tab, const struct locator *where,
		     const struct probe_knocked *knocked, uint32_t limit_ms)
{
	struct presence *known = conntab_presence(tab);

	if (!presence_may_ask(known, where, now())) {
		(void)!presence_last(out, known, where);
		return;
	}
	climb(out, where, knocked, limit_ms);
	presence_learned(known, where, out, now());
}

void probe_before(struct probe *out, struct conntab *tab, const struct way_target *target,
		  const struct probe_knocked *knocked)
{
	*out = (struct probe){ .presence = PROBE_UNKNOWN };
	if (!ask_session(out, tab, target) &&
	    !presence_known(out, conntab_presence(tab), target->where, now()))
		ask_anew(out, tab, target->where, knocked, PROBE_LADDER_MS);
}

static void ask_smb(struct probe *out, struct conntab *tab, const struct way_target *target,
		    uint32_t limit_ms)
{
	if (!ask_session(out, tab, target))
		ask_anew(out, tab, target->where, NULL, limit_ms);
}

void probe_after(struct probe *out, struct conntab *tab, const struct way_target *target)
{
	*out = (struct probe){ .presence = PROBE_UNKNOWN };
	ask_smb(out, tab, target, PROBE_AFTER_MS);
}

void probe_run(struct probe *out, struct conntab *tab, const struct way_target *target)
{
	const struct provider *provider = provider_for(target);

	*out = (struct probe){ .presence = PROBE_UNKNOWN };
	if (provider == &provider_file)
		ask_folder(out, tab, target);
	else if (target->where->scheme == LOCATOR_SMB)
		ask_smb(out, tab, target, PROBE_LADDER_MS);
	else if (provider != NULL)
		ask_http(out, tab, target);
}

static json_t *presence_json(enum probe_presence presence)
{
	return presence == PROBE_UNKNOWN ? json_null() : json_boolean(presence == PROBE_PRESENT);
}

json_t *probe_json(const struct probe *probe, const char *locator)
{
	json_t *doc = json_object(), *steps = json_array();

	jsondoc_set(doc, "locator", jsondoc_new_text(locator));
	jsondoc_set(doc, "present", presence_json(probe->presence));
	jsondoc_set_text(doc, "rung",
			 probe->count > 0 ? probe_rung_name(probe->steps[probe->count - 1].rung)
					  : NULL);
	for (size_t i = 0; i < probe->count; i++) {
		json_t *step = json_object();

		jsondoc_set_text(step, "rung", probe_rung_name(probe->steps[i].rung));
		jsondoc_set_text(step, "class", probe_class_name(&probe->steps[i]));
		jsondoc_set_int(step, "ms", probe->steps[i].ms);
		json_array_append_new(steps, step);
	}
	jsondoc_set(doc, "steps", steps);
	return doc;
}

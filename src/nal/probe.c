#include "nal/probe.h"

#include "common/clock.h"
#include "common/jsondoc.h"
#include "nal/folder.h"
#include "nal/provider.h"

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
		[NAL_CLASS_TIMEOUT] = PROBE_ABSENT,
		[NAL_CLASS_UNREACHABLE] = PROBE_ABSENT,
		[NAL_CLASS_SLOW] = PROBE_PRESENT,
		[NAL_CLASS_CORRUPT] = PROBE_PRESENT,
		[NAL_CLASS_PROTOCOL] = PROBE_UNKNOWN, /* something is there, of another kind */
		[NAL_CLASS_UNKNOWN] = PROBE_UNKNOWN,
	};
	static_assert(COUNT_OF(table) == NAL_CLASS_COUNT_, "every class says something");

	if (rung == PROBE_FILE && class == NAL_CLASS_NOT_FOUND)
		return PROBE_ABSENT;
	if (rung == PROBE_FILE && class == NAL_CLASS_TIMEOUT)
		return PROBE_UNKNOWN; /* a mount that hangs says nothing about its server */
	return table[class];
}

static void ask_http(struct probe *out, struct conntab *tab, const struct way_target *target)
{
	bool was_open = conntab_is_open(tab, target);
	struct probe_step *step = &out->steps[out->count++];
	struct way *way = NULL;
	struct way_stat st;
	uint64_t begun = now();

	step->rung = was_open ? PROBE_SESSION : PROBE_HTTP;
	step->class = conntab_acquire(&way, tab, target, WAY_LINK_NONE, out, &step->err);
	if (step->class == NAL_CLASS_OK)
		step->class = way_stat(&st, way, marker_file(target->kind), &step->err);
	conntab_release(tab, way);
	step->ms = (uint32_t)(now() - begun);
	out->presence = presence_of(step->rung, step->class);
}

static void ask_folder(struct probe *out, struct conntab *tab, const struct way_target *target)
{
	SCOPED(folder) struct folder f = { .dir = NULL };
	struct probe_step *step = &out->steps[out->count++];
	uint64_t begun = now();

	step->rung = PROBE_FILE;
	step->class = folder_wait(&f, target, conntab_box(tab, target), PROBE_FOLDER_MS,
				  &step->err);
	step->ms = (uint32_t)(now() - begun);
	out->presence = presence_of(step->rung, step->class);
}

void probe_run(struct probe *out, struct conntab *tab, const struct way_target *target)
{
	const struct provider *provider = provider_for(target);

	*out = (struct probe){ .presence = PROBE_UNKNOWN };
	if (provider == &provider_file)
		ask_folder(out, tab, target);
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
		jsondoc_set_text(step, "class", nal_class_name(probe->steps[i].class));
		jsondoc_set_int(step, "ms", probe->steps[i].ms);
		json_array_append_new(steps, step);
	}
	jsondoc_set(doc, "steps", steps);
	return doc;
}

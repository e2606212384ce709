/* publish and intake. */
#include "cli/site_call.h"

#include "common/jsondoc.h"
#include "common/log.h"
#include "site/intake.h"
#include "site/publish.h"

static struct policydoc_settings settings_of(const struct verb_call *call)
{
	return (struct policydoc_settings){
		.poll_s = (int64_t)config_number(call->config, "poll", 0),
		.linger_s = (int64_t)config_number(call->config, "linger", 0),
	};
}

static bool run_publish(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "cap" }, { "state" }, { "files" }, { "reason" }, { 0 },
	};
	const struct policydoc_settings settings = settings_of(call);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;
	size_t failed;

	if (!site_call_open(&site, call, err) || !publish_run(&doc, &failed, site, &settings, err))
		return false;
	print_result(call->print, doc, "%s: timestamp %lld", jsondoc_text(doc, "outcome"),
		     (long long)jsondoc_int(doc, "timestamp", 0));
	print_section(call->print, "client access points", columns, json_object_get(doc, "caps"));
	call->exit = failed > 0 ? EXIT_NETWORK : EXIT_DONE;
	return true;
}

static bool run_intake(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	struct intake_result result;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !intake_run(&result, site, err))
		return false;
	jsondoc_set_int(doc, "envelopes", (int64_t)result.counts.envelopes);
	jsondoc_set_int(doc, "records", (int64_t)result.counts.records);
	jsondoc_set_int(doc, "duplicates", (int64_t)result.counts.duplicates);
	jsondoc_set_int(doc, "enrolled", (int64_t)result.counts.enrolled);
	jsondoc_set_int(doc, "pending", (int64_t)result.counts.pending);
	jsondoc_set_int(doc, "incomplete", (int64_t)result.incomplete);
	jsondoc_set_int(doc, "refused", (int64_t)result.refused);
	jsondoc_set_int(doc, "caps_failed", (int64_t)result.caps_failed);
	jsondoc_set_flag(doc, "more", result.is_more);
	print_result(call->print, doc, "%zu records stored, %zu clients enrolled, %zu pending",
		     result.counts.records, result.counts.enrolled, result.counts.pending);
	if (result.refused > 0)
		log_warn("%zu uploads were refused; see 'packway-site status'", result.refused);
	if (result.caps_failed > 0)
		log_warn("%zu CAPs could not be swept", result.caps_failed);
	call->exit = result.caps_failed > 0 ? EXIT_NETWORK : EXIT_DONE;
	return true;
}

const struct verb site_cycle_verbs[] = {
	{
		.name = "publish",
		.run = run_publish,
		.summary = "sign policy and put it on every CAP",
	},
	{
		.name = "intake",
		.run = run_intake,
		.summary = "sweep every inbox once, store what came, give receipts",
	},
	{ 0 },
};

/* publish. */
#include "cli/site_call.h"

#include "common/jsondoc.h"
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

const struct verb site_cycle_verbs[] = {
	{
		.name = "publish",
		.run = run_publish,
		.summary = "sign policy and put it on every CAP",
	},
	{ 0 },
};

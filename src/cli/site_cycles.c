/* publish, intake, and the start of serve. */
#include "cli/site_call.h"

#include <errno.h>
#include <unistd.h>

#include "cli/site_serve.h"
#include "common/alloc.h"
#include "common/helper.h"
#include "common/jsondoc.h"
#include "common/log.h"
#include "site/intake.h"
#include "site/publish.h"

static bool run_publish(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "cap" }, { "state" }, { "files" }, { "reason" }, { 0 },
	};
	const struct policydoc_settings settings = site_call_settings(call);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;
	size_t failed;

	if (!site_call_open(&site, call, err) || !publish_run(&doc, &failed, site, &settings, err))
		return false;
	print_result(call->print, doc, "%s: timestamp %lld", jsondoc_text(doc, "outcome"),
		     (long long)jsondoc_int(doc, "timestamp", 0));
	if (json_array_size(json_object_get(doc, "waiting")) > 0)
		print_note(
			call->print,
			"role %s has changed and waits for keys that are elsewhere: packway-site "
			"keys request FILE; everything else is published",
			json_string_value(json_array_get(json_object_get(doc, "waiting"), 0)));
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
	jsondoc_set_int(doc, "malformed", (int64_t)result.counts.malformed);
	jsondoc_set_int(doc, "forks", (int64_t)result.counts.forks);
	jsondoc_set_int(doc, "incomplete", (int64_t)result.incomplete);
	jsondoc_set_int(doc, "waiting", (int64_t)result.waiting);
	jsondoc_set_int(doc, "quarantined", (int64_t)result.refused);
	jsondoc_set_int(doc, "receipts", (int64_t)result.receipts);
	jsondoc_set_int(doc, "caps_failed", (int64_t)result.caps_failed);
	jsondoc_set_flag(doc, "more", result.is_more);
	print_result(call->print, doc,
		     "%zu records stored from %zu envelopes, %zu were there already; "
		     "%zu clients enrolled, %zu pending; %zu objects incomplete, %zu quarantined",
		     result.counts.records, result.counts.envelopes, result.counts.duplicates,
		     result.counts.enrolled, result.counts.pending, result.incomplete,
		     result.refused);
	if (result.refused > 0)
		log_warn("%zu uploads were refused; see 'packway-site status'", result.refused);
	if (result.caps_failed > 0)
		log_warn("%zu CAPs could not be swept, or did not take receipts: %s",
			 result.caps_failed, result.why);
	call->exit = result.caps_failed > 0 ? EXIT_NETWORK : EXIT_DONE;
	return true;
}

/*
 * The server is a program of its own: libevent and libssl would take longer to link than many a
 * verb to run. It reads the same command line again, in this process's place.
 */
static bool run_serve(struct verb_call *call, struct err *err)
{
	SCOPED_TEXT char *path = NULL;

	if (!helper_find(&path, "packway-serve", err))
		return false;
	execv(path, call->argv);
	return err_sys(err, ERR_IO, errno, "%s", path);
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
	{
		.name = "serve",
		.run = run_serve,
		.summary = SITE_SERVE_SUMMARY,
		.options = site_serve_options,
	},
	{ 0 },
};

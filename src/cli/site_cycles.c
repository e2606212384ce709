/* publish, intake and serve. */
#include "cli/site_call.h"

#include "common/jsondoc.h"
#include "common/log.h"
#include "site/distribute.h"
#include "site/intake.h"
#include "site/publish.h"
#include "site/serve.h"

struct policydoc_settings site_call_settings(const struct verb_call *call)
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

static void say_ready(void *ctx)
{
	const struct verb_call *call = ctx;
	json_auto_t *doc = json_object();

	jsondoc_set_text(doc, "listen", config_text(call->config, "listen"));
	print_line(call->print, doc, "serving on %s", config_text(call->config, "listen"));
}

static bool run_serve(struct verb_call *call, struct err *err)
{
	const struct config *c = call->config;
	SCOPED(site) struct site *site = NULL;
	const struct serve_options options = {
		.listen = config_text(c, "listen"),
		.tls_cert = config_text(c, "tls-cert"),
		.tls_key = config_text(c, "tls-key"),
		.settings = site_call_settings(call),
		.publish_every_s = (int64_t)config_number(c, "publish-every", 1),
		.intake_every_s = (int64_t)config_number(c, "intake-every", 1),
		.distribute_every_s = (int64_t)config_number(c, "distribute-every", 1),
		.keep_s = (int64_t)config_number(c, "keep", DISTRIBUTE_KEEP_DEFAULT_S),
		.patch_memory = config_number(c, "patch-memory", 0),
		.patch_cpu = (uint32_t)MIN_OF(config_number(c, "patch-cpu", 0), (uint64_t)100),
		.reserve = config_number(c, "reserve", 0),
		.ready = say_ready,
		.ctx = call,
	};

	return site_call_open(&site, call, err) && serve_run(site, &options, err);
}

static const struct option_spec serve_options[] = {
	{ .name = "listen",
	  .type = OPTION_TEXT,
	  .value = "ADDR:PORT",
	  .help = "where to listen (0.0.0.0:8480)" },
	{ .name = "tls-cert", .type = OPTION_PATH, .help = "certificate chain (PEM)" },
	{ .name = "tls-key", .type = OPTION_PATH, .help = "its private key (PEM)" },
	{ .name = "reserve",
	  .type = OPTION_SIZE,
	  .value = "SIZE",
	  .help = "room on the site's disk below which no uploads are taken (64M)" },
	{ 0 },
};

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
		.summary = "serve CAPs and DPs by HTTP, and run all cycles on timers",
		.options = serve_options,
	},
	{ 0 },
};

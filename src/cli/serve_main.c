/*
 * packway-serve: `packway-site serve` and nothing else. packway-site starts it in its own place,
 * with its own command line; people do not.
 */
#include "cli/site_call.h"
#include "cli/site_serve.h"
#include "common/jsondoc.h"
#include "site/distribute.h"
#include "site/serve.h"

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
		.patch_cpu = (uint32_t)config_number(c, "patch-cpu", 0),
		.reserve = config_number(c, "reserve", 0),
		.ready = say_ready,
		.ctx = call,
	};

	return site_call_open(&site, call, err) && serve_run(site, &options, err);
}

int main(int argc, char **argv)
{
	static const struct verb verbs[] = {
		{
			.name = "serve",
			.run = run_serve,
			.summary = SITE_SERVE_SUMMARY,
			.options = site_serve_options,
		},
		{ 0 },
	};
	static const struct verb *const groups[] = { verbs, NULL };

	return site_call_main(groups, argc, argv);
}

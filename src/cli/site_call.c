#include "cli/site_call.h"

#include <sys/resource.h>

#include "common/alloc.h"
#include "common/path.h"
#include "site/owner.h"
#include "site/reserve.h"

static const struct option_spec options[] = {
	{ .name = "site", .type = OPTION_PATH, .value = "DIR", .help = "the site's folder" },
	{ 0 },
};

static const struct config_key keys[] = {
	{ "site", CONFIG_PATH, "/var/lib/packway-site", "the site's folder" },
	{ "listen", CONFIG_TEXT, "0.0.0.0:8480", "address and port of serve" },
	{ "tls-cert", CONFIG_PATH, NULL, "certificate chain of serve (PEM); with tls-key: HTTPS" },
	{ "tls-key", CONFIG_PATH, NULL, "private key of serve (PEM)" },
	{ "tls-ca", CONFIG_PATH, NULL, "authorities that CAPs and DPs are checked against (PEM)" },
	{ "poll", CONFIG_DURATION, "15m", "how often clients look for policy" },
	{ "linger", CONFIG_DURATION, "120s", "how long clients keep an unused connection open" },
	{ "publish-every", CONFIG_DURATION, "2s", "how often serve looks for changes to publish" },
	{ "intake-every", CONFIG_DURATION, "5s", "how often serve sweeps the inboxes" },
	{ "distribute-every", CONFIG_DURATION, "30s", "how often serve looks at the DPs" },
	{ "patch-memory", CONFIG_SIZE, "1G",
	  "memory that making a patch may take; below 512M none is made" },
	{ "patch-cpu", CONFIG_NUMBER, "100",
	  "per cent of one processor that serve gives to the making of patches, 100 at most",
	  .max = 100 },
	{ "patch-versions", CONFIG_NUMBER, "3",
	  "from how many versions before the latest patches are made, 32 at most; the library keeps those",
	  .max = SITE_PATCH_VERSIONS_MAX },
	{ "reserve", CONFIG_SIZE, RESERVE_DEFAULT,
	  "room on the site's disk below which serve takes no uploads" },
	{ "keep", CONFIG_DURATION, "30d",
	  "how long content that nothing names stays on DPs and in the library" },
	{ 0 },
};

/* The site's own file is stronger than the machine's. */
static bool read_files(struct config *c, const char *explicit_path, struct err *err)
{
	SCOPED_TEXT char *own = path_join(config_text(c, "site"), "site.conf");

	if (explicit_path != NULL)
		return config_read_file(c, explicit_path, err);
	return config_read_file_if_there(c, own, err) &&
	       config_read_file_if_there(c, "/etc/packway/site.conf", err);
}

bool site_call_open(struct site **out, const struct verb_call *call, struct err *err)
{
	const char *dir = config_text(call->config, "site");

	if (!owner_become(dir, err) || !site_open(out, dir, call->clock, err))
		return false;
	(*out)->tls_ca = config_text(call->config, "tls-ca");
	(*out)->patch_versions = (uint32_t)config_number(call->config, "patch-versions",
							 SITE_PATCH_VERSIONS);
	return true;
}

struct policydoc_settings site_call_settings(const struct verb_call *call)
{
	return (struct policydoc_settings){
		.poll_s = (int64_t)config_number(call->config, "poll", 0),
		.linger_s = (int64_t)config_number(call->config, "linger", 0),
	};
}

int site_call_main(const struct verb *const *groups, int argc, char **argv)
{
	static const struct rlimit no_core = { 0, 0 };
	const struct program program = {
		.name = "packway-site",
		.summary =
			"publish packages to machines by the way that is already open: the site's side",
		.groups = groups,
		.options = options,
		.keys = keys,
		.read_files = read_files,
	};

	/* It signs: a key is in plain memory for the moments that the arithmetic takes. */
	(void)setrlimit(RLIMIT_CORE, &no_core);
	return verb_main(&program, argc, argv);
}

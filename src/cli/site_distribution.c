/* package distribute, dp validate, dp status. */
#include "cli/progress.h"
#include "cli/site_call.h"

#include <string.h>

#include "common/jsondoc.h"
#include "common/log.h"
#include "common/text.h"
#include "site/deltas.h"
#include "site/distribute.h"
#include "site/dpexport.h"
#include "site/dpplan.h"
#include "site/upkeep.h"

static void show_progress(uint64_t done, uint64_t total, void *ctx)
{
	progress_show(ctx, done, total);
}

static const struct print_column status_columns[] = {
	{ "dp" },           { "package" }, { "version" }, { "state" }, { "attempts" },
	{ "next_attempt" }, { "reason" },  { "tree" },    { 0 },
};

/* Only what was asked for: the other DPs of the package are not this command's business. */
static json_t *rows_of(const json_t *all, const char *const *dps, size_t count)
{
	json_t *rows = json_array(), *row;
	size_t i;

	json_array_foreach (all, i, row) {
		bool is_asked = count == 0;

		for (size_t j = 0; j < count; j++)
			is_asked |= strcmp(jsondoc_text(row, "dp"), dps[j]) == 0;
		if (is_asked)
			json_array_append(rows, row);
	}
	return rows;
}

static bool some_failed(const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (strcmp(jsondoc_text(row, "state"), "failed") == 0)
			return true;
	return false;
}

#define PATCHES_WAIT_MS (3600u * 1000u) /* for serve, which may be making them */

static void tell_patch(const char *text, void *ctx)
{
	print_note(ctx, "%s", text);
}

/* Patches first: then the DPs get everything in one go. */
static bool make_patches(struct verb_call *call, struct site *site, const char *id, struct err *err)
{
	const struct deltas_options options = {
		.package = id,
		.memory_max = config_number(call->config, "patch-memory", 0),
		.lock_wait_ms = PATCHES_WAIT_MS,
		.told = tell_patch,
		.ctx = call->print,
	};

	return options_flag(call->options, "no-patches") || deltas_run(site, &options, err);
}

static int64_t keep_s(const struct verb_call *call)
{
	return (int64_t)config_number(call->config, "keep", DISTRIBUTE_KEEP_DEFAULT_S);
}

/* Before the copying, so that what is repacked goes along. */
static bool keep_up(struct verb_call *call, struct site *site, const char *id, struct err *err)
{
	const struct upkeep_options options = {
		.package = id,
		.keep_s = keep_s(call),
		.lock_wait_ms = PATCHES_WAIT_MS,
	};

	return options_flag(call->options, "no-patches") || upkeep_run(site, &options, err);
}

static bool distribute(size_t *failed_out, struct verb_call *call, struct site *site,
		       const char *id, const char *const *dps, size_t count, struct err *err)
{
	struct progress progress = { 0 };
	const struct distribute_options options = {
		.package = id,
		.dps = dps,
		.dp_count = count,
		.ignores_backoff = true,
		.keep_s = keep_s(call),
		.progress = show_progress,
		.progress_ctx = &progress,
	};
	bool done;

	if (!distribute_want(site, id, dps, count, err) ||
	    (options_flag(call->options, "tree") &&
	     !distribute_want_trees(site, id, dps, count, err)) ||
	    !make_patches(call, site, id, err) || !keep_up(call, site, id, err))
		return false;
	progress_begin(&progress, id, call->clock, !call->is_quiet);
	done = distribute_run(failed_out, site, &options, err);
	progress_end(&progress);
	return done;
}

static bool show_plan(struct verb_call *call, struct site *site, const char *id,
		      const char *const *dps, size_t count, struct err *err)
{
	static const struct print_column links[] = {
		{ "group" },
		{ "dps" },
		{ "bytes", PRINT_SIZE },
		{ "seconds", PRINT_DURATION, "takes" },
		{ 0 },
	};
	static const struct print_column rows[] = {
		{ "dp" },
		{ "group" },
		{ "version" },
		{ "state" },
		{ "objects" },
		{ "bytes", PRINT_SIZE },
		{ "max_rate", PRINT_RATE },
		{ "seconds", PRINT_DURATION, "takes" },
		{ "window" },
		{ 0 },
	};
	json_auto_t *doc = NULL;

	if (!dpplan_make(&doc, site, id, dps, count, err))
		return false;
	if (print_is_json(call->print)) {
		print_document(call->print, doc);
		return true;
	}
	print_table(call->print, rows, json_object_get(doc, "dps"), "no DPs");
	print_section(call->print, "by group", links, json_object_get(doc, "links"));
	if (jsondoc_int(doc, "patches_to_make", 0) > 0)
		print_note(call->print,
			   "patches and streams to make before: %lld; not counted above",
			   (long long)jsondoc_int(doc, "patches_to_make", 0));
	return true;
}

static bool run_distribute(struct verb_call *call, struct err *err)
{
	const char *id = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *all = NULL;
	json_auto_t *rows = NULL;
	const char *const *dps;
	size_t count, failed;

	dps = options_all(call->options, "dp", &count);
	if (options_flag(call->options, "all") == (count > 0))
		return err_set(err, ERR_USAGE, "give either --dp NAME... or --all");
	if (!site_call_open(&site, call, err))
		return false;
	if (options_flag(call->options, "dry-run"))
		return show_plan(call, site, id, dps, count, err);
	if (!distribute(&failed, call, site, id, dps, count, err) ||
	    !distribute_status(&all, site, NULL, id, err))
		return false;
	rows = rows_of(all, dps, count);
	print_table(call->print, status_columns, rows, "no DPs");
	call->exit = failed > 0 || some_failed(rows) ? EXIT_NETWORK : EXIT_DONE;
	if (call->exit == EXIT_DONE)
		print_note(call->print, "clients see it after the next publish");
	return true;
}

static bool run_status(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) ||
	    !distribute_status(&rows, site, options_argument(call->options, 0), NULL, err))
		return false;
	print_table(call->print, status_columns, rows, "nothing is distributed");
	return true;
}

static bool run_validate(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "package" }, { "object" }, { "state" }, { "reason" }, { 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;
	json_t *row;
	size_t i;

	if (!site_call_open(&site, call, err) ||
	    !distribute_validate(&rows, site, options_argument(call->options, 0),
				 options_argument(call->options, 1), err))
		return false;
	print_table(call->print, columns, rows, "nothing to validate");
	json_array_foreach (rows, i, row)
		if (strcmp(jsondoc_text(row, "state"), "valid") != 0)
			call->exit = EXIT_NETWORK;
	if (call->exit != EXIT_DONE)
		log_warn("damaged objects are copied anew by the next 'package distribute'");
	return true;
}

static bool run_export(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;
	enum dpexport_scope scope = options_flag(call->options, "marker-only") ? DPEXPORT_MARKER
									       : DPEXPORT_ALL;
	char size[32];

	if (!site_call_open(&site, call, err) ||
	    !dpexport_run(&doc, site, options_argument(call->options, 0),
			  options_argument(call->options, 1), scope, err))
		return false;
	text_print_size(size, (uint64_t)jsondoc_int(doc, "bytes", 0));
	print_result(call->print, doc, "%s: %lld objects, %lld copied now (%s)",
		     jsondoc_text(doc, "folder"), (long long)jsondoc_int(doc, "objects", 0),
		     (long long)jsondoc_int(doc, "copied", 0), size);
	return true;
}

static const struct argument_spec export_arguments[] = {
	{ .name = "NAME", .type = OPTION_NAME, .help = "the DP" },
	{ .name = "DIR", .type = OPTION_PATH, .help = "the folder to fill, such as a stick's" },
	{ 0 },
};

static const struct option_spec export_options[] = {
	{ .name = "marker-only", .help = "write the marker and copy nothing" },
	{ 0 },
};

static const struct argument_spec id_argument[] = {
	{ .name = "ID", .type = OPTION_TEXT, .help = "the package's id" },
	{ 0 },
};

static const struct argument_spec status_arguments[] = {
	{ .name = "NAME", .type = OPTION_NAME, .flags = ARGUMENT_OPTIONAL, .help = "one DP" },
	{ 0 },
};

static const struct argument_spec validate_arguments[] = {
	{ .name = "NAME", .type = OPTION_NAME, .help = "the DP" },
	{ .name = "PKG",
	  .type = OPTION_TEXT,
	  .flags = ARGUMENT_OPTIONAL,
	  .help = "one package; all that it holds if not given" },
	{ 0 },
};

static const struct option_spec distribute_options[] = {
	{ .name = "dp", .type = OPTION_NAME, .flags = OPTION_REPEATED, .help = "to these DPs" },
	{ .name = "all", .help = "to all DPs" },
	{ .name = "dry-run", .help = "show what would go where, and change nothing" },
	{ .name = "tree", .help = "keep a plain copy there as well, for other tools" },
	{ .name = "no-patches", .help = "do not wait for patches and streams" },
	{ 0 },
};

const struct verb site_distribution_verbs[] = {
	{
		.name = "package distribute",
		.run = run_distribute,
		.summary = "copy a package to DPs and validate it there",
		.arguments = id_argument,
		.options = distribute_options,
	},
	{
		.name = "dp export",
		.run = run_export,
		.summary = "put what a DP shall hold into a folder, for a stick or rsync",
		.arguments = export_arguments,
		.options = export_options,
		.notes =
			"The folder becomes the DP's as it is: copy its content to the root of the "
			"DP.\nThe DP must have been told what to hold by 'package distribute' "
			"before.\nWith --marker-only the content can come from the library, which has "
			"a DP's layout:\n"
			"rsync -a --exclude='.*' --exclude=manifest SITE/library/ NAS:SHARE/",
	},
	{
		.name = "dp status",
		.run = run_status,
		.summary = "what each DP holds, waits for or failed to get",
		.arguments = status_arguments,
	},
	{
		.name = "dp validate",
		.run = run_validate,
		.summary = "read back what a DP holds and check every hash",
		.arguments = validate_arguments,
	},
	{ 0 },
};

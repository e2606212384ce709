/* package and program. */
#include "cli/site_call.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cli/progress.h"
#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/log.h"
#include "common/text.h"
#include "content/source.h"
#include "site/package.h"
#include "site/program.h"
#include "site/release.h"
#include "site/versions.h"

static void show_progress(uint64_t done, uint64_t total, void *ctx)
{
	progress_show(ctx, done, total);
}

static void print_release(struct verb_call *call, const struct release_result *made)
{
	json_auto_t *doc = json_object();

	if (made->links_skipped > 0)
		log_warn("%u links that lead out of the folder are left out: %s",
			 made->links_skipped, made->skipped_text);
	jsondoc_set_text(doc, "id", made->id);
	jsondoc_set_int(doc, "version", made->version);
	jsondoc_set_int(doc, "files", made->files);
	jsondoc_set_int(doc, "bytes", made->bytes);
	jsondoc_set_int(doc, "bytes_new", made->bytes_new);
	jsondoc_set_flag(doc, "unchanged", made->is_unchanged);
	print_result(call->print, doc, "%s", made->id);
	if (made->is_unchanged)
		print_note(call->print, "unchanged: version %" PRId64 " has this content",
			   made->version);
	else
		print_note(call->print, "version %" PRId64 ": %" PRId64 " files", made->version,
			   made->files);
}

static struct release_spec spec_of(const struct verb_call *call, struct progress *progress)
{
	return (struct release_spec){
		.source = options_text(call->options, "source"),
		.source_flags = options_flag(call->options, "skip-outside-links")
					? SOURCE_SKIP_OUTSIDE_LINKS
					: 0,
		.progress = show_progress,
		.progress_ctx = progress,
	};
}

static bool run_create(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	SCOPED(release_result) struct release_result made = { 0 };
	struct progress progress = { 0 };
	struct release_spec spec = spec_of(call, &progress);
	bool done;

	spec.name = options_argument(call->options, 0);
	if (!site_call_open(&site, call, err))
		return false;
	progress_begin(&progress, spec.name, call->clock, !call->is_quiet);
	done = release_create(&made, site, &spec, err);
	progress_end(&progress);
	if (done)
		print_release(call, &made);
	return done;
}

static bool run_update(struct verb_call *call, struct err *err)
{
	const char *id = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	SCOPED(release_result) struct release_result made = { 0 };
	struct progress progress = { 0 };
	struct release_spec spec = spec_of(call, &progress);
	bool done;

	spec.reads_all = options_flag(call->options, "verify");
	if (!site_call_open(&site, call, err))
		return false;
	progress_begin(&progress, id, call->clock, !call->is_quiet);
	done = release_update(&made, site, id, &spec, err);
	progress_end(&progress);
	if (done)
		print_release(call, &made);
	return done;
}

static bool run_rollback(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	SCOPED(release_result) struct release_result made = { 0 };
	int64_t to = (int64_t)options_number(call->options, "to", 0);

	if (!site_call_open(&site, call, err) ||
	    !release_rollback(&made, site, options_argument(call->options, 0), to, err))
		return false;
	print_release(call, &made);
	return true;
}

static bool run_list(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "id" },  { "name" },     { "version" }, { "files" }, { "bytes", PRINT_SIZE },
		{ "dps" }, { "programs" }, { "source" },  { 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) || !package_list(&rows, site, err))
		return false;
	print_table(call->print, columns, rows, "no packages");
	return true;
}

static bool run_show(struct verb_call *call, struct err *err)
{
	static const struct print_column fields[] = {
		{ "id" }, { "name" }, { "version" }, { "source" }, { 0 },
	};
	static const struct print_column versions[] = {
		{ "version" },           { "files" },
		{ "bytes", PRINT_SIZE }, { "bytes_new", PRINT_SIZE, "new" },
		{ "created" },           { 0 },
	};
	static const struct print_column programs[] = {
		{ "name" },  { "command" }, { "timeout_s", PRINT_DURATION, "timeout" },
		{ "as" },    { "rerun" },   { "run_after" },
		{ "mount" }, { 0 },
	};
	static const struct print_column dps[] = {
		{ "dp" }, { "version" }, { "state" }, { "reason" }, { 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;

	if (!site_call_open(&site, call, err) ||
	    !package_show(&doc, site, options_argument(call->options, 0), err))
		return false;
	print_fields(call->print, fields, doc);
	print_section(call->print, "versions", versions, json_object_get(doc, "versions"));
	print_section(call->print, "programs", programs, json_object_get(doc, "programs"));
	print_section(call->print, "distribution points", dps, json_object_get(doc, "dps"));
	return true;
}

static const char *patch_text(const json_t *doc, char *size)
{
	int64_t bytes = jsondoc_int(doc, "bytes_patch", -1);

	if (bytes < 0)
		return jsondoc_text(doc, "patch");
	text_print_size(size, (uint64_t)bytes);
	return size;
}

static void print_diff(struct verb_call *call, const json_t *doc)
{
	static const struct print_column columns[] = {
		{ "change" },
		{ "type" },
		{ "path" },
		{ "was" },
		{ "what" },
		{ "size_before", PRINT_SIZE, "before" },
		{ "size", PRINT_SIZE },
		{ 0 },
	};
	char ranges[32], patch[32];

	if (print_is_json(call->print)) {
		print_document(call->print, doc);
		return;
	}
	print_table(call->print, columns, json_object_get(doc, "changes"), "no difference");
	text_print_size(ranges, (uint64_t)jsondoc_int(doc, "bytes_ranges", 0));
	print_result(call->print, doc,
		     "%" PRId64 " added, %" PRId64 " removed, %" PRId64 " changed, %" PRId64
		     " renamed, %" PRId64 " unchanged",
		     jsondoc_int(doc, "added", 0), jsondoc_int(doc, "removed", 0),
		     jsondoc_int(doc, "changed", 0), jsondoc_int(doc, "renamed", 0),
		     jsondoc_int(doc, "unchanged", 0));
	print_result(call->print, doc,
		     "a client that has version %" PRId64 " moves %s by ranges (%" PRId64
		     " requests), by patch: %s",
		     jsondoc_int(doc, "from", 0), ranges, jsondoc_int(doc, "requests", 0),
		     patch_text(doc, patch));
}

/* Checked to be a number when it was read. */
static int64_t version_argument(const struct verb_call *call, size_t at)
{
	uint64_t number = strtoull(options_argument(call->options, at), NULL, 10);

	return (int64_t)MIN_OF(number, (uint64_t)INT32_MAX);
}

static bool run_diff(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;

	if (!site_call_open(&site, call, err) ||
	    !versions_compare(&doc, site, options_argument(call->options, 0),
			      version_argument(call, 1), version_argument(call, 2), err))
		return false;
	print_diff(call, doc);
	return true;
}

/* "1 (20 kB), 2 (3 kB)" for people; programs read `patches`. */
static void add_patch_texts(json_t *rows)
{
	json_t *row, *patch;
	size_t i, k;

	json_array_foreach (rows, i, row) {
		json_t *texts = json_array();

		json_array_foreach (json_object_get(row, "patches"), k, patch) {
			char size[32];

			text_print_size(size, (uint64_t)jsondoc_int(patch, "bytes", 0));
			json_array_append_new(texts,
					      json_sprintf("%" PRId64 " (%s)",
							   jsondoc_int(patch, "from", 0), size));
		}
		jsondoc_set(row, "patches", texts);
	}
}

static bool run_versions(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "version" },
		{ "state" },
		{ "clients" },
		{ "succeeded" },
		{ "dps" },
		{ "files" },
		{ "bytes", PRINT_SIZE },
		{ "bytes_new", PRINT_SIZE, "new" },
		{ "bytes_stream", PRINT_SIZE, "stream" },
		{ "patches", .title = "patches from" },
		{ "created" },
		{ 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) ||
	    !versions_list(&rows, site, options_argument(call->options, 0), err))
		return false;
	if (!print_is_json(call->print))
		add_patch_texts(rows);
	print_table(call->print, columns, rows, "no versions");
	return true;
}

static bool run_remove(struct verb_call *call, struct err *err)
{
	const char *id = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !package_remove(site, id, err))
		return false;
	jsondoc_set_text(doc, "removed", id);
	print_result(call->print, doc, "package %s removed", id);
	return true;
}

/* Policy is readable by whoever can read a CAP. */
static void warn_of_secrets(const char *command)
{
	SCOPED_TEXT char *word = program_find_secret(command);

	if (word != NULL)
		log_warn(
			"\"%s\" looks like a secret: everybody who can read a CAP can read command lines",
			word);
}

static bool run_program_add(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();
	struct program_spec spec = {
		.package = options_argument(call->options, 0),
		.name = options_argument(call->options, 1),
		.command = options_text(call->options, "command"),
		.timeout_s = options_number(call->options, "timeout", PROGRAM_TIMEOUT_DEFAULT_S),
		.run_after = options_text(call->options, "run-after"),
		.rerun = options_text(call->options, "rerun"),
		.as = options_text(call->options, "as"),
		.mount = options_text(call->options, "mount"),
		.keep = options_flag(call->options, "keep"),
	};

	spec.success = options_all(call->options, "success", &spec.success_count);
	spec.restart = options_all(call->options, "restart-codes", &spec.restart_count);
	if (!site_call_open(&site, call, err) || !program_add(site, &spec, err))
		return false;
	warn_of_secrets(spec.command);
	jsondoc_set_text(doc, "package", spec.package);
	jsondoc_set_text(doc, "name", spec.name);
	print_result(call->print, doc, "program %s:%s added", spec.package, spec.name);
	return true;
}

static const struct argument_spec id_argument[] = {
	{ .name = "ID", .type = OPTION_TEXT, .help = "the package's id, such as LON00001" },
	{ 0 },
};

static const struct argument_spec diff_arguments[] = {
	{ .name = "ID", .type = OPTION_TEXT, .help = "the package's id" },
	{ .name = "V1", .type = OPTION_NUMBER, .help = "the version that a client has" },
	{ .name = "V2", .type = OPTION_NUMBER, .help = "the version that it shall have" },
	{ 0 },
};

static const struct argument_spec program_arguments[] = {
	{ .name = "ID", .type = OPTION_TEXT, .help = "the package's id" },
	{ .name = "NAME", .type = OPTION_NAME, .help = "the program's name" },
	{ 0 },
};

static const struct option_spec program_options[] = {
	{ .name = "command",
	  .type = OPTION_TEXT,
	  .flags = OPTION_REQUIRED,
	  .value = "CMD",
	  .help = "its command line; {content} is the content's folder" },
	{ .name = "timeout",
	  .type = OPTION_DURATION,
	  .min = 1,
	  .max = PROGRAM_TIMEOUT_MAX_S,
	  .help = "end it after this time (10m)" },
	{ .name = "mount",
	  .type = OPTION_TEXT,
	  .value = "none|any|/PATH",
	  .help = "how it gets its content: a local copy (none), or a read-only mount, anywhere or there" },
	{ .name = "keep",
	  .type = OPTION_FLAG,
	  .flags = OPTION_APART,
	  .help = "leave it mounted there, until packway unmount" },
	{ .name = "success",
	  .type = OPTION_TEXT,
	  .flags = OPTION_REPEATED,
	  .value = "CODE",
	  .help = "exit codes that mean success (0)" },
	{ .name = "restart-codes",
	  .type = OPTION_TEXT,
	  .flags = OPTION_REPEATED,
	  .value = "CODE",
	  .help = "exit codes that mean success after a restart" },
	{ .name = "run-after",
	  .type = OPTION_TEXT,
	  .value = "ID:NAME",
	  .help = "a program that must have succeeded first" },
	{ .name = "rerun",
	  .type = OPTION_CHOICE,
	  .choices = "never|always|on-failure",
	  .help = "whether it may run again (never)" },
	{ .name = "as",
	  .type = OPTION_TEXT,
	  .value = "root|user|NAME",
	  .help = "the account that it runs as (root)" },
	{ 0 },
};

static const struct argument_spec create_arguments[] = {
	{ .name = "NAME", .type = OPTION_TEXT, .help = "the package's name, for people" },
	{ 0 },
};

static const struct option_spec create_options[] = {
	{ .name = "source",
	  .type = OPTION_PATH,
	  .flags = OPTION_REQUIRED,
	  .value = "DIR",
	  .help = "the folder with its content" },
	{ .name = "skip-outside-links", .help = "leave out links that lead out of the folder" },
	{ 0 },
};

static const struct option_spec update_options[] = {
	{ .name = "source",
	  .type = OPTION_PATH,
	  .value = "DIR",
	  .help = "the folder with its content; the one of last time if not given" },
	{ .name = "skip-outside-links", .help = "leave out links that lead out of the folder" },
	{ .name = "verify",
	  .help = "read every file, also those that have the size, times and inode of last time" },
	{ 0 },
};

static const struct option_spec rollback_options[] = {
	{ .name = "to",
	  .type = OPTION_NUMBER,
	  .flags = OPTION_REQUIRED,
	  .value = "V",
	  .min = 1,
	  .max = INT32_MAX,
	  .help = "the version whose content is wanted again" },
	{ 0 },
};

const struct verb site_package_verbs[] = {
	{
		.name = "package create",
		.run = run_create,
		.summary = "make a package from a folder",
		.arguments = create_arguments,
		.options = create_options,
	},
	{
		.name = "package update",
		.run = run_update,
		.summary = "make a package's next version",
		.arguments = id_argument,
		.options = update_options,
	},
	{
		.name = "package rollback",
		.run = run_rollback,
		.summary = "make a new version with the content of an old one",
		.arguments = id_argument,
		.options = rollback_options,
	},
	{ .name = "package list", .run = run_list, .summary = "list the packages" },
	{
		.name = "package show",
		.run = run_show,
		.summary = "show a package with its versions, programs and DPs",
		.arguments = id_argument,
	},
	{
		.name = "package versions",
		.run = run_versions,
		.summary = "list a package's versions and how many clients have each",
		.arguments = id_argument,
		.notes =
			"A client counts for the version that its newest message about the package "
			"names: content fetched (11003) or a program succeeded (10008); \"succeeded\" "
			"counts the latter alone.",
	},
	{
		.name = "package diff",
		.run = run_diff,
		.summary = "show what differs between two versions and what an update moves",
		.arguments = diff_arguments,
	},
	{
		.name = "package remove",
		.run = run_remove,
		.summary = "take a package out of policy and, later, off the DPs",
		.arguments = id_argument,
	},
	{
		.name = "program add",
		.run = run_program_add,
		.summary = "add a program to a package",
		.arguments = program_arguments,
		.options = program_options,
	},
	{ 0 },
};

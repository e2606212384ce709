/*
 * packway fetch, verify, cache: content on this machine.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/export.h"
#include "common/alloc.h"
#include "common/path.h"
#include "common/text.h"
#include "content/store.h"

static void put_options(json_t *request, const struct options *o, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (!options_given(o, *names))
			continue;
		if (strcmp(*names, "version") == 0 || strcmp(*names, "seed") == 0 ||
		    strcmp(*names, "rate") == 0)
			jsondoc_set_int(request, *names, (int64_t)options_number(o, *names, 0));
		else
			jsondoc_set_text(request, *names, options_text(o, *names));
	}
}

static bool verb_fetch(struct verb_call *call, struct err *err)
{
	static const char *const names[] = { "version", "dp", "policy", "seed", "rate", NULL };
	const char *to = options_text(call->options, "output");
	const char *id = options_argument(call->options, 0);
	SCOPED(client) struct client c = { 0 };
	json_t *request = client_request("fetch");
	json_auto_t *result = NULL;
	const char *server;
	char size[32];

	jsondoc_set_text(request, "package", id);
	put_options(request, call->options, names);
	if (!client_open_guest(&c, call, err)) {
		json_decref(request);
		return false;
	}
	if (!client_ask(&result, &c, request, err))
		return err_what(err, "cannot fetch %s", id);
	if (to != NULL) {
		if (!export_tree(jsondoc_text(result, "path"), c.content, to, err))
			return err_what(err, "cannot put %s into %s", id, to);
		jsondoc_set_text(result, "path", to);
	}
	/* The decision is for explain; CLI.md's object has no room for it. */
	json_object_del(result, "decision");
	server = jsondoc_text(result, "server");
	text_print_size(size, (uint64_t)jsondoc_int(result, "bytes_network", 0));
	print_result(call->print, result, "%s version %lld is here: %s", id,
		     (long long)jsondoc_int(result, "version", 0), jsondoc_text(result, "path"));
	print_note(call->print, "%s over the network (%s%s%s), every chunk verified", size,
		   jsondoc_text(result, "how"), server != NULL ? ", from " : "",
		   server != NULL ? server : "");
	return true;
}

static const struct print_column finding_columns[] = {
	{ "package", PRINT_TEXT, NULL },
	{ "version", PRINT_TEXT, NULL },
	{ "path", PRINT_TEXT, NULL },
	{ "finding", PRINT_TEXT, NULL },
	{ NULL },
};

static bool verb_verify(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	json_t *request = client_request("verify");
	json_auto_t *result = NULL;
	json_t *findings;

	jsondoc_set_text(request, "package", options_argument(call->options, 0));
	if (!client_open(&c, call, STATE_READ, err)) {
		json_decref(request);
		return false;
	}
	if (!client_ask(&result, &c, request, err))
		return err_what(err, "cannot verify content");
	findings = json_object_get(result, "findings");
	print_table(call->print, finding_columns, findings, "everything is as it was signed");
	if (json_array_size(findings) > 0)
		call->exit = EXIT_REFUSED;
	return true;
}

static const struct print_column cache_columns[] = {
	{ "package", PRINT_TEXT, NULL },
	{ "version", PRINT_TEXT, NULL },
	{ "bytes", PRINT_SIZE, "size" },
	{ "complete", PRINT_TEXT, NULL },
	{ "in_use", PRINT_TEXT, NULL },
	{ "last_used", PRINT_TEXT, NULL },
	{ NULL },
};

static json_t *new_row(const struct store_item *item)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "package", item->id.package);
	jsondoc_set_int(row, "version", item->id.version);
	jsondoc_set_int(row, "bytes", (int64_t)item->bytes);
	jsondoc_set_flag(row, "complete", item->complete);
	jsondoc_set_flag(row, "in_use", item->in_use);
	jsondoc_set_time(row, "last_used", item->last_used_s);
	return row;
}

/* Remove what nobody uses; what is in use stays and is listed. */
static bool clear(struct store *store, const struct store_item *items, size_t count,
		  struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (!store_remove(store, &items[i].id, err) && err->code != ERR_IN_USE)
			return false;
	return true;
}

static bool verb_cache(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	SCOPED_TEXT char *dir = NULL;
	SCOPED(store) struct store *store = NULL;
	json_auto_t *rows = json_array();
	struct store_item *items = NULL;
	size_t count;
	bool done;

	if (!client_open(&c, call, STATE_READ, err))
		return false;
	dir = state_path(&c.state, "store");
	done = store_open(&store, dir, call->clock, err) && store_list(&items, &count, store, err);
	if (done && options_flag(call->options, "clear")) {
		done = clear(store, items, count, err);
		free(items);
		items = NULL;
		done = done && store_list(&items, &count, store, err);
	}
	for (size_t i = 0; done && i < count; i++)
		json_array_append_new(rows, new_row(&items[i]));
	free(items);
	if (!done)
		return err_what(err, "cannot look into the content store");
	print_table(call->print, cache_columns, rows, "the store is empty");
	return true;
}

static const struct argument_spec package_argument[] = {
	{ "ID", OPTION_TEXT, 0, "package" },
	{ NULL },
};
static const struct argument_spec package_optional[] = {
	{ "ID", OPTION_TEXT, ARGUMENT_OPTIONAL, "package; all that are here if none is named" },
	{ NULL },
};
static const struct option_spec fetch_options[] = {
	{ .name = "version",
	  .type = OPTION_NUMBER,
	  .min = 1,
	  .max = UINT32_MAX,
	  .value = "N",
	  .help = "that version, not the latest" },
	{ .name = "output",
	  .type = OPTION_PATH,
	  .letter = 'o',
	  .value = "DIR",
	  .help = "put the tree there, a folder that is empty or not there yet" },
	{ .name = "dp",
	  .type = OPTION_TEXT,
	  .value = "NAME|URL",
	  .help = "read from that distribution point, or that address and no other" },
	{ .name = "policy", .type = OPTION_TEXT, .value = "NAME", .help = "choose by that policy" },
	{ .name = "seed",
	  .type = OPTION_NUMBER,
	  .max = UINT64_MAX,
	  .value = "N",
	  .help = "seed of the draw among equals" },
	{ .name = "rate",
	  .type = OPTION_SIZE,
	  .value = "R",
	  .help = "at most so many bytes a second" },
	{ NULL },
};
static const struct option_spec cache_options[] = {
	{ .name = "clear", .type = OPTION_FLAG, .help = "remove all that is not in use" },
	{ NULL },
};

const struct verb client_verbs_content[] = {
	{ .name = "fetch",
	  .run = verb_fetch,
	  .summary = "download a package and verify it",
	  .arguments = package_argument,
	  .options = fetch_options },
	{ .name = "verify",
	  .run = verb_verify,
	  .summary = "check the content that is here again",
	  .arguments = package_optional },
	{ .name = "cache",
	  .run = verb_cache,
	  .summary = "show or clear the content store",
	  .options = cache_options },
	{ NULL },
};

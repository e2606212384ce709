/* token and client. */
#include "cli/site_call.h"

#include <string.h>

#include "common/jsondoc.h"
#include "common/text.h"
#include "site/client.h"
#include "site/token.h"

static bool run_token_create(struct verb_call *call, struct err *err)
{
	const struct options *o = call->options;
	uint64_t uses = options_number(o, "uses", 1);
	uint64_t life_s = options_number(o, "expires", TOKEN_EXPIRES_DEFAULT_S);
	const char *bundle = options_text(o, "bundle");
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();
	char token[TOKEN_SIZE];

	if (!site_call_open(&site, call, err) || !token_create(token, site, uses, life_s, err))
		return false;
	if (bundle != NULL && !token_write_bundle(site, token, bundle, err))
		return false;
	jsondoc_set_text(doc, "token", token);
	jsondoc_set_int(doc, "uses", (int64_t)uses);
	jsondoc_set_time(doc, "expires", site_now(site) + (int64_t)life_s);
	if (bundle != NULL)
		jsondoc_set(doc, "bundle", jsondoc_new_text(bundle));
	print_result(call->print, doc, "%s", token);
	return true;
}

static bool run_token_list(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "id" }, { "state" }, { "uses" }, { "used" }, { "expires" }, { 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) || !token_list(&rows, site, err))
		return false;
	print_table(call->print, columns, rows, "no tokens");
	return true;
}

static bool run_token_revoke(struct verb_call *call, struct err *err)
{
	const char *text = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();
	uint64_t id;

	if (!text_u64(&id, text, 1, INT64_MAX))
		return err_set(err, ERR_USAGE, "\"%s\" is not a token's number; see 'token list'",
			       text);
	if (!site_call_open(&site, call, err) || !token_revoke(site, (int64_t)id, err))
		return false;
	jsondoc_set_int(doc, "revoked", (int64_t)id);
	print_result(call->print, doc, "token %s revoked", text);
	return true;
}

static const struct print_column client_columns[] = {
	{ "client_id", .title = "client" },    { "name" },      { "state" },
	{ "agent_version", .title = "agent" }, { "last_seen" }, { 0 },
};

static bool run_client_list(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) || !client_list(&rows, site, err))
		return false;
	print_table(call->print, client_columns, rows, "no clients");
	return true;
}

static bool run_client_show(struct verb_call *call, struct err *err)
{
	static const struct print_column os[] = {
		{ "name" }, { "version" }, { "kernel" }, { "arch" }, { 0 },
	};
	static const struct print_column network[] = {
		{ "interface" }, { "address" }, { "prefix" }, { "mac" }, { 0 },
	};
	static const struct print_column disk[] = {
		{ "device" }, { "mount" }, { "fstype" }, { "size_mb" }, { "free_mb" }, { 0 },
	};
	static const struct print_column streams[] = {
		{ "stream" }, { "high" }, { "forked" }, { "created" }, { 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;

	if (!site_call_open(&site, call, err) ||
	    !client_show(&doc, site, options_argument(call->options, 0), err))
		return false;
	print_fields(call->print, client_columns, doc);
	print_section(call->print, "operating system", os, json_object_get(doc, "os"));
	print_section(call->print, "network", network, json_object_get(doc, "network"));
	print_section(call->print, "disks", disk, json_object_get(doc, "disk"));
	print_section(call->print, "streams", streams, json_object_get(doc, "streams"));
	return true;
}

static bool run_client_approve(struct verb_call *call, struct err *err)
{
	const char *typed = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !client_approve(site, typed, err))
		return false;
	jsondoc_set(doc, "approved", jsondoc_new_text(typed));
	print_result(call->print, doc, "client %s approved; it learns so after the next intake",
		     typed);
	return true;
}

static bool run_client_remove(struct verb_call *call, struct err *err)
{
	const char *typed = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !client_remove(site, typed, err))
		return false;
	jsondoc_set(doc, "removed", jsondoc_new_text(typed));
	print_result(call->print, doc, "client %s removed", typed);
	return true;
}

static const struct argument_spec token_argument[] = {
	{ .name = "ID", .type = OPTION_TEXT, .help = "the token's number, from 'token list'" },
	{ 0 },
};

static const struct argument_spec client_argument[] = {
	{ .name = "ID",
	  .type = OPTION_TEXT,
	  .help = "the client's id, or a name that only it has" },
	{ 0 },
};

static const struct option_spec token_options[] = {
	{ .name = "uses",
	  .type = OPTION_NUMBER,
	  .min = 1,
	  .max = TOKEN_USES_MAX,
	  .help = "how many clients may enrol with it (1)" },
	{ .name = "expires",
	  .type = OPTION_DURATION,
	  .min = 1,
	  .max = TOKEN_EXPIRES_MAX_S,
	  .help = "how long it may be used (24h)" },
	{ .name = "bundle",
	  .type = OPTION_PATH,
	  .help = "also write the file that 'packway enroll FILE' takes" },
	{ 0 },
};

const struct verb site_client_verbs[] = {
	{
		.name = "token create",
		.run = run_token_create,
		.summary = "make a token with which clients enrol by themselves",
		.options = token_options,
	},
	{ .name = "token list", .run = run_token_list, .summary = "list the tokens" },
	{
		.name = "token revoke",
		.run = run_token_revoke,
		.summary = "let nobody enrol with a token any more",
		.arguments = token_argument,
	},
	{ .name = "client list", .run = run_client_list, .summary = "list the clients" },
	{
		.name = "client show",
		.run = run_client_show,
		.summary = "show a client with its inventory",
		.arguments = client_argument,
	},
	{
		.name = "client approve",
		.run = run_client_approve,
		.summary = "let a pending client in",
		.arguments = client_argument,
	},
	{
		.name = "client remove",
		.run = run_client_remove,
		.summary = "let a client out and drop its inventory",
		.arguments = client_argument,
	},
	{ 0 },
};

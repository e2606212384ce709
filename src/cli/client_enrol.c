/*
 * packway enroll, rekey, reset: how a machine becomes a site's client, and ceases to be.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/bundle.h"
#include "cli/client.h"
#include "common/alloc.h"
#include "common/path.h"

#define ROOT_MAX ((size_t)1 << 20)

static bool read_root(json_t *request, const char *file, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	json_t *root = NULL;

	if (!path_read(&bytes, file, ROOT_MAX, err) || !jsondoc_read(&root, buf_span(&bytes), err))
		return err_what(err, "cannot read the trusted root %s", file);
	jsondoc_set(request, "root", root);
	return true;
}

static bool read_parts(json_t *request, const struct options *options, struct err *err)
{
	const char *cap = options_text(options, "cap");
	const char *root = options_text(options, "root");
	json_t *caps = json_array();

	jsondoc_set(request, "caps", caps);
	if (cap == NULL || root == NULL)
		return err_set(err, ERR_USAGE, "a bundle's FILE is needed, or --cap and --root");
	json_array_append_new(caps, jsondoc_new_text(cap));
	/* Without a token an admin approves the client by hand. */
	jsondoc_set_text(request, "token", options_text(options, "token"));
	return read_root(request, root, err);
}

static bool verb_enroll(struct verb_call *call, struct err *err)
{
	const char *file = options_argument(call->options, 0);
	SCOPED(client) struct client c = { 0 };
	json_auto_t *request = client_request("enroll");
	json_auto_t *result = NULL;

	if (file != NULL ? !bundle_read(request, file, err)
			 : !read_parts(request, call->options, err))
		return err_what(err, "cannot enrol this machine");
	if (!client_open(&c, call, STATE_CREATE, err) ||
	    !client_ask(&result, &c, json_incref(request), err))
		return err_what(err, "cannot enrol this machine");
	print_result(call->print, result, "%s: client %s of site %s", jsondoc_text(result, "state"),
		     jsondoc_text(result, "client"), jsondoc_text(result, "site"));
	return true;
}

static bool verb_rekey(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	json_auto_t *result = NULL;

	if (!client_open(&c, call, STATE_READ, err) ||
	    !client_ask(&result, &c, client_request("rekey"), err))
		return err_what(err, "cannot give this client a new key");
	print_result(
		call->print, result, "%s",
		strcmp(jsondoc_text(result, "key"), "own") == 0
			? "the site knows this client by its new key"
			: "the new key is here, and takes its place as soon as the site says so");
	return true;
}

/*
 * What belongs to the identity: what it was told and what it told. The settings of this machine
 * stay, and content, which is verified before every use.
 */
static bool verb_reset(struct verb_call *call, struct err *err)
{
	static const char *const of_identity[] = {
		"client.key",     "identity.json", "metadata",      "policy",
		"worker",         "plan.json",     "told.json",     "waits.json",
		"quiet.json",     "journal",       "outbox",        "receipts.json",
		"inventory.json", "decisions",     "enrolment.env", STATE_UPLOAD,
		"trust",          STATE_NEXT_KEY,  "handover.json", "handover.env",
		"replaced.json",
	};
	SCOPED(client) struct client c = { 0 };
	SCOPED_FD int lock = -1;
	SCOPED_FD int cycle = -1;
	json_auto_t *result = json_object();

	/* Neither an agent nor a command may be at work with what goes. */
	if (!client_open(&c, call, STATE_READ, err) ||
	    !state_lock(&lock, &c.state, "state", 2000, err) ||
	    !state_lock(&cycle, &c.state, "cycle", 2000, err))
		return err_what(err, "cannot forget this client's identity");
	for (size_t i = 0; i < COUNT_OF(of_identity); i++) {
		SCOPED_TEXT char *path = state_path(&c.state, of_identity[i]);

		if (!path_remove_tree(path, err))
			return err_what(err, "cannot forget this client's identity");
	}
	print_result(call->print, result, "the identity is forgotten; enrol this machine anew");
	return true;
}

static const struct option_spec enroll_options[] = {
	{ .name = "cap", .type = OPTION_TEXT, .value = "URL", .help = "address of a CAP" },
	{ .name = "root", .type = OPTION_PATH, .value = "FILE", .help = "the site's trusted root" },
	{ .name = "token",
	  .type = OPTION_TEXT,
	  .value = "T",
	  .help = "token from the site's admin" },
	{ NULL },
};

static const struct argument_spec enroll_arguments[] = {
	{ "FILE", OPTION_PATH, ARGUMENT_OPTIONAL,
	  "a bundle from packway-site token create --bundle" },
	{ NULL },
};

const struct verb client_verbs_enrol[] = {
	{ .name = "enroll",
	  .run = verb_enroll,
	  .summary = "make this machine a client of a site",
	  .arguments = enroll_arguments,
	  .options = enroll_options },
	{ .name = "rekey",
	  .run = verb_rekey,
	  .summary = "hand this client's identity over to a new key" },
	{ .name = "reset",
	  .run = verb_reset,
	  .summary = "forget the identity, before an image is taken of this machine" },
	{ NULL },
};

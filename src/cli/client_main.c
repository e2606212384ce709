/*
 * packway: the client's commands.
 */
#include <string.h>

#include "cli/client.h"
#include "common/alloc.h"
#include "common/path.h"

#define CONFIG_FILE "/etc/packway/packway.conf"

static const struct option_spec options[] = {
	{ .name = "state",
	  .type = OPTION_PATH,
	  .value = "DIR",
	  .help = "folder of this client's state" },
	{ NULL },
};

/* The state's own file comes before the machine's, so that several clients fit on one machine. */
static bool read_files(struct config *c, const char *explicit_path, struct err *err)
{
	SCOPED_TEXT char *own = path_join(config_text(c, "state"), "packway.conf");

	if (explicit_path != NULL)
		return config_read_file(c, explicit_path, err);
	return config_read_file_if_there(c, own, err) &&
	       config_read_file_if_there(c, CONFIG_FILE, err);
}

static const struct verb verbs_config[] = { VERB_CONFIG_ROW, { NULL } };

static const struct verb *const groups[] = {
	client_verbs_enrol,   client_verbs_work,
	client_verbs_content, client_verbs_mount,
	client_verbs_choice,  client_verbs_prefer,
	client_verbs_look,    client_verbs_credentials,
	verbs_config,         NULL,
};

static const struct program packway = {
	.name = "packway",
	.summary = "carries packages to this machine by the way that is already open",
	.groups = groups,
	.options = options,
	.keys = client_keys,
	.read_files = read_files,
};

int main(int argc, char **argv)
{
	return verb_main(&packway, argc, argv);
}

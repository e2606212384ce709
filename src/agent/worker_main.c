/*
 * packway-worker: does network, parsing and assembly for a client. Started by packway and
 * packway-agent with a socket as descriptor 3; nobody runs it by hand.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/sandbox.h"
#include "agent/worker.h"
#include "common/log.h"
#include "common/text.h"

static const struct option long_options[] = {
	{ "state", required_argument, NULL, 's' },
	{ "linger", required_argument, NULL, 'l' },
	{ "address", required_argument, NULL, 'a' },
	{ "mounts", required_argument, NULL, 'm' },
	{ "tls-ca", required_argument, NULL, 't' },
	{ "offline", no_argument, NULL, 'o' },
	{ NULL, 0, NULL, 0 },
};

static bool read_options(struct worker_options *out, int argc, char **argv, struct err *err)
{
	uint64_t linger_s = 0;
	int letter;

	while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (letter) {
		case 's':
			out->state_dir = optarg;
			break;
		case 'l':
			if (!text_u64(&linger_s, optarg, 0, 86400))
				return err_set(err, ERR_USAGE,
					       "--linger %s is no number of seconds", optarg);
			break;
		case 'a':
			out->address = optarg;
			break;
		case 'm':
			out->mounts = optarg;
			break;
		case 't':
			out->tls_ca = optarg;
			break;
		case 'o':
			out->offline = true;
			break;
		default:
			return err_set(err, ERR_USAGE, "unknown option");
		}
	}
	out->linger_s = (uint32_t)linger_s;
	return out->state_dir != NULL || err_set(err, ERR_USAGE, "--state is missing");
}

static bool serve_shut(struct worker_options *options, struct err *err)
{
	struct sandbox sandbox;

	sandbox_enter(&sandbox, options->offline ? SANDBOX_OFFLINE : SANDBOX_NETWORK,
		      options->state_dir);
	options->sandbox = &sandbox;
	return worker_serve(options, 3, err);
}

int main(int argc, char **argv)
{
	struct worker_options options = { 0 };
	struct err err = { 0 };

	log_setup("packway-worker", LOG_NORMAL);
	if (read_options(&options, argc, argv, &err) && serve_shut(&options, &err))
		return EXIT_DONE;
	err_what(&err, "packway-worker cannot start: it is a helper of packway, not a command");
	log_error(&err);
	return (int)err_exit(err.code);
}

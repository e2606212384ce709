/*
 * packway-worker by fastclock.h: what it remembers of servers, how long sessions linger and its
 * wall clock go by the fast clock, its network timeouts by the real one. It stands as
 * "packway-worker" beside a copy of fastagent, which starts it.
 */
#include <getopt.h>
#include <stdlib.h>

#include "agent/worker.h"
#include "common/log.h"
#include "support/fastclock.h"

static const struct option long_options[] = {
	{ "state", required_argument, NULL, 's' },
	{ "linger", required_argument, NULL, 'l' },
	{ "address", required_argument, NULL, 'a' },
	{ "account", required_argument, NULL, 'u' },
	{ "guest", required_argument, NULL, 'u' },
	{ "offline", no_argument, NULL, 'o' },
	{ NULL, 0, NULL, 0 },
};

static bool take_option(struct worker_options *out, int letter)
{
	switch (letter) {
	case 's':
		out->state_dir = optarg;
		return true;
	case 'l':
		out->linger_s = (uint32_t)strtoul(optarg, NULL, 10);
		return true;
	case 'a':
		out->address = optarg;
		return true;
	case 'u': /* it stays who it is: its folders are the test's own */
		return true;
	case 'o':
		out->offline = true;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct worker_options options = { 0 };
	uint64_t rate;
	const struct clock clock = fastclock(&rate);
	struct err err = { 0 };
	int letter;

	log_setup("packway-worker", LOG_NORMAL);
	options.clock = &clock;
	while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!take_option(&options, letter))
			return EXIT_USAGE;
	if (worker_serve(&options, 3, &err))
		return EXIT_DONE;
	log_error(&err);
	return (int)err_exit(err.code);
}

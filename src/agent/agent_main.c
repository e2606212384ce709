/*
 * packway-agent: the supervisor behind `packway agent`, and with --reap the parent of one run.
 * Started by packway; nobody runs it by hand.
 */
#include <getopt.h>
#include <string.h>

#include "agent/reap.h"
#include "agent/supervisor.h"
#include "common/log.h"
#include "common/text.h"

enum option_id {
	OPTION_STATE = 1,
	OPTION_LINGER,
	OPTION_POLL,
	OPTION_QUOTA,
	OPTION_ADDRESS,
	OPTION_NAME,
	OPTION_MOUNTS,
	OPTION_TLS_CA,
	OPTION_WORKER_USER,
	OPTION_ENROLL_DIR,
};

static const struct option long_options[] = {
	{ "state", required_argument, NULL, OPTION_STATE },
	{ "linger", required_argument, NULL, OPTION_LINGER },
	{ "poll", required_argument, NULL, OPTION_POLL },
	{ "quota", required_argument, NULL, OPTION_QUOTA },
	{ "address", required_argument, NULL, OPTION_ADDRESS },
	{ "name", required_argument, NULL, OPTION_NAME },
	{ "mounts", required_argument, NULL, OPTION_MOUNTS },
	{ "tls-ca", required_argument, NULL, OPTION_TLS_CA },
	{ "worker-user", required_argument, NULL, OPTION_WORKER_USER },
	{ "enroll-dir", required_argument, NULL, OPTION_ENROLL_DIR },
	{ NULL, 0, NULL, 0 },
};

static bool take_number(uint64_t *out, const char *flag, const char *text, uint64_t max,
			struct err *err)
{
	return text_u64(out, text, 0, max) ||
	       err_set(err, ERR_USAGE, "--%s %s is no number up to %llu", flag, text,
		       (unsigned long long)max);
}

static bool take_option(struct supervisor_options *out, struct job_settings *settings, int id,
			struct err *err)
{
	uint64_t number = 0;

	switch ((enum option_id)id) {
	case OPTION_STATE:
		out->state_dir = optarg;
		return true;
	case OPTION_LINGER:
		if (!take_number(&number, "linger", optarg, SUPERVISOR_POLL_MAX_S, err))
			return false;
		settings->linger_s = (uint32_t)number;
		return true;
	case OPTION_POLL:
		if (!take_number(&number, "poll", optarg, SUPERVISOR_POLL_MAX_S, err))
			return false;
		out->poll_s = (uint32_t)number;
		return true;
	case OPTION_QUOTA:
		return take_number(&settings->quota_bytes, "quota", optarg, INT64_MAX, err);
	case OPTION_ADDRESS:
		settings->address = optarg;
		return true;
	case OPTION_NAME:
		settings->name = optarg;
		return true;
	case OPTION_MOUNTS:
		settings->mounts = optarg;
		return true;
	case OPTION_TLS_CA:
		settings->tls_ca = optarg;
		return true;
	case OPTION_WORKER_USER:
		settings->worker_user = optarg;
		return true;
	case OPTION_ENROLL_DIR:
		settings->enroll_dir = optarg;
		return true;
	default:
		return err_set(err, ERR_USAGE, "unknown option");
	}
}

static bool read_options(struct supervisor_options *out, struct job_settings *settings, int argc,
			 char **argv, struct err *err)
{
	int id;

	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!take_option(out, settings, id, err))
			return false;
	return out->state_dir != NULL || err_set(err, ERR_USAGE, "--state is missing");
}

static bool spawn_worker(int *socket_out, pid_t *pid_out, const struct job *job, struct err *err)
{
	return job_spawn_worker(socket_out, pid_out, job, JOB_WORKER_NETWORK, err);
}

int main(int argc, char **argv)
{
	static const struct supervisor_hooks hooks = { .run = job_run,
						       .spawn_worker = spawn_worker };
	struct job_settings settings = { 0 };
	struct supervisor_options options = {
		.settings = &settings,
		.clock = clock_system(),
		.hooks = &hooks,
	};
	struct err err = { 0 };

	if (argc == 3 && strcmp(argv[1], REAP_OPTION) == 0)
		return reap_main(argv[2]);
	log_setup("packway-agent", LOG_NORMAL);
	if (read_options(&options, &settings, argc, argv, &err) && supervisor_serve(&options, &err))
		return EXIT_DONE;
	log_error(&err);
	return (int)err_exit(err.code);
}

/*
 * packway-worker: does network, parsing and assembly for a client. Started by packway and
 * packway-agent with a socket as descriptor 3; nobody runs it by hand.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "agent/worker.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"

static const struct option long_options[] = {
	{ "state", required_argument, NULL, 's' },   { "linger", required_argument, NULL, 'l' },
	{ "address", required_argument, NULL, 'a' }, { "mounts", required_argument, NULL, 'm' },
	{ "tls-ca", required_argument, NULL, 't' },  { "account", required_argument, NULL, 'u' },
	{ "guest", required_argument, NULL, 'g' },   { "offline", no_argument, NULL, 'o' },
	{ "keep", no_argument, NULL, 'k' },          { NULL, 0, NULL, 0 },
};

/* "UID:GID", neither of them root's. */
static bool take_account(struct sandbox_account *out, const char *text, struct err *err)
{
	const char *colon = strchr(text, ':');
	SCOPED_TEXT char *uid_text = alloc_printf("%.*s", (int)strcspn(text, ":"), text);
	uint64_t uid, gid;

	if (colon == NULL || !text_u64(&uid, uid_text, 1, UINT32_MAX - 1) ||
	    !text_u64(&gid, colon + 1, 1, UINT32_MAX - 1))
		return err_set(err, ERR_USAGE, "--account %s is no account", text);
	out->changes = true;
	out->uid = (uid_t)uid;
	out->gid = (gid_t)gid;
	return true;
}

static bool take_guest(struct sandbox_account *out, const char *text, struct err *err)
{
	uint64_t uid;

	if (!text_u64(&uid, text, 1, UINT32_MAX - 1))
		return err_set(err, ERR_USAGE, "--guest %s is no account", text);
	out->guest = (int64_t)uid;
	return true;
}

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
		case 'u':
			if (!take_account(&out->account, optarg, err))
				return false;
			break;
		case 'g':
			if (!take_guest(&out->account, optarg, err))
				return false;
			break;
		case 'o':
			out->offline = true;
			break;
		case 'k':
			out->offline = out->keeps = true;
			break;
		default:
			return err_set(err, ERR_USAGE, "unknown option");
		}
	}
	out->linger_s = (uint32_t)linger_s;
	return out->state_dir != NULL || err_set(err, ERR_USAGE, "--state is missing");
}

/* A change of account takes back what the parent asked for. */
static bool end_with_parent(struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return err_sys(err, ERR_IO, errno, "end with the parent");
	/* Where it is gone already, the socket's end says so. */
	return true;
}

static enum sandbox_kind kind_of(const struct worker_options *options)
{
	return options->keeps     ? SANDBOX_KEEPER
	       : options->offline ? SANDBOX_OFFLINE
				  : SANDBOX_NETWORK;
}

static bool serve_shut(struct worker_options *options, struct err *err)
{
	struct sandbox sandbox;

	if (!sandbox_enter(&sandbox, kind_of(options), options->state_dir, &options->account,
			   err) ||
	    !end_with_parent(err))
		return false;
	options->sandbox = &sandbox;
	return worker_serve(options, 3, err);
}

/* Somebody may wait for the end, and the handlers of forty libraries have nothing to put in order.
 */
static _Noreturn void end_at_once(int code)
{
	if (HAS_SANITIZER)
		exit(code);
	_exit(code);
}

int main(int argc, char **argv)
{
	struct worker_options options = { .account.guest = -1 };
	struct err err = { 0 };

	log_setup("packway-worker", LOG_NORMAL);
	/* A limit on the sizes of files is a failed write. */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (read_options(&options, argc, argv, &err) && serve_shut(&options, &err))
		end_at_once(EXIT_DONE);
	err_what(&err, "packway-worker cannot start: it is a helper of packway, not a command");
	log_error(&err);
	return (int)err_exit(err.code);
}

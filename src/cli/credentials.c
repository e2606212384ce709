#include "cli/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/jsondoc.h"
#include "common/log.h"
#include "common/path.h"
#include "common/random.h"
#include "common/text.h"
#include "nal/logon.h"

/* ---- asking ---- */

static void wake_up(int signal_number UNUSED)
{
	/* That the read returns is all: the terminal has to be put right before we end. */
}

static const int ending_signals[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP };

/* The question comes once there is no echo any more: answers may come fast. */
static bool read_without_echo(struct secret *secret, const char *user, const char *server,
			      struct err *err)
{
	char shown[2 * CREDENTIALFILE_USER_MAX];
	struct sigaction wake = { .sa_handler = wake_up }, before[COUNT_OF(ending_signals)];
	struct termios as_it_was, quiet;
	bool done;

	if (tcgetattr(STDIN_FILENO, &as_it_was) != 0)
		return err_sys(err, ERR_IO, errno, "the terminal");
	quiet = as_it_was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	for (size_t i = 0; i < COUNT_OF(ending_signals); i++)
		sigaction(ending_signals[i], &wake, &before[i]);
	done = tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0 ||
	       err_sys(err, ERR_IO, errno, "the terminal");
	text_escape_line(shown, sizeof(shown), user);
	fprintf(stderr, "secret of %s at %s: ", shown, server);
	fflush(stderr);
	done = done && secret_read(secret, STDIN_FILENO, err);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &as_it_was);
	for (size_t i = 0; i < COUNT_OF(ending_signals); i++)
		sigaction(ending_signals[i], &before[i], NULL);
	fputc('\n', stderr);
	if (!done && err->sys_errno == EINTR)
		err_set(err, ERR_INTERRUPTED, "no secret was given");
	return done;
}

static bool read_file(struct secret *secret, const char *path, struct err *err)
{
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "%s", path);
	return secret_read(secret, fd, err);
}

static bool ask(struct secret *secret, const struct options *o, const char *user,
		const char *server, struct err *err)
{
	const char *path = options_text(o, "secret-file");
	bool done;

	if (path != NULL)
		done = read_file(secret, path, err);
	else if (!isatty(STDIN_FILENO))
		done = secret_read(secret, STDIN_FILENO, err);
	else
		done = read_without_echo(secret, user, server, err);
	/* What was typed is no file that was damaged. */
	if (!done && (err->code == ERR_FORMAT || err->code == ERR_LIMIT))
		err->code = ERR_USAGE;
	return done;
}

/* ---- set ---- */

static bool choose_kind(struct credentialfile_section *s, const struct options *o, struct err *err)
{
	bool kerberos = options_flag(o, "kerberos"), guest = options_flag(o, "guest");
	bool user = options_given(o, "user");

	if (kerberos + guest + user != 1)
		return err_set(err, ERR_USAGE, "one of --user U, --kerberos and --guest is needed");
	if (!user && options_given(o, "secret-file"))
		return err_set(err, ERR_USAGE, "--secret-file goes with --user");
	s->kind = kerberos ? CREDENTIALFILE_TICKET
		  : guest  ? CREDENTIALFILE_GUEST
			   : CREDENTIALFILE_ACCOUNT;
	return true;
}

/* When it was set, and something that no other time has: giving the same secret anew is a change.
 */
static char *new_stamp(const struct verb_call *call)
{
	char time_text[CLOCK_TEXT_MAX];
	uint32_t salt;

	clock_print(time_text, clock_wall_s(call->clock));
	random_bytes(&salt, sizeof(salt));
	return alloc_printf("%s %08" PRIx32, time_text, salt);
}

static void scoped_section_scoped(struct credentialfile_section *s)
{
	credentialfile_server_release(&s->server);
	secret_free(s->secret);
	free(s->user);
	free(s->set);
}

static bool usage(struct err *err)
{
	if (err->code == ERR_CONFIG)
		err->code = ERR_USAGE;
	return false;
}

static bool fill(struct credentialfile_section *s, const struct verb_call *call, struct err *err)
{
	const struct options *o = call->options;
	SCOPED_TEXT char *server = NULL;

	if (!choose_kind(s, o, err) ||
	    !credentialfile_server_parse(&s->server, options_argument(o, 0), err))
		return usage(err);
	s->set = new_stamp(call);
	if (s->kind != CREDENTIALFILE_ACCOUNT)
		return true;
	s->user = alloc_text(options_text(o, "user"));
	if (!credentialfile_user_check(s->user, err))
		return usage(err);
	s->secret = secret_new();
	server = credentialfile_server_text(&s->server);
	return ask(s->secret, o, s->user, server, err);
}

static const char *kind_text(const struct credentialfile_section *s)
{
	return credential_kind_name(credential_kind_of(s->kind));
}

static const char *name_of(const struct credentialfile_section *s)
{
	return s->user != NULL ? s->user : kind_text(s);
}

bool credentials_set(struct verb_call *call, const char *folder, struct err *err)
{
	SCOPED(scoped_section) struct credentialfile_section section = { 0 };
	SCOPED_TEXT char *server = NULL;
	json_auto_t *doc = json_object();

	if (!fill(&section, call, err) || !credential_save(folder, &section, err))
		return err_what(err, "cannot set a credential for %s",
				options_argument(call->options, 0));
	server = credentialfile_server_text(&section.server);
	jsondoc_set_text(doc, "server", server);
	jsondoc_set_text(doc, "user", name_of(&section));
	jsondoc_set_text(doc, "kind", kind_text(&section));
	print_result(call->print, doc, "%s is used at %s from the next connection on",
		     name_of(&section), server);
	return true;
}

/* ---- list and remove ---- */

static json_t *new_row(const struct credential_row *row, const struct memory *memory)
{
	SCOPED_TEXT char *server = credentialfile_server_text(&row->section->server);
	json_t *doc = json_object();

	jsondoc_set_text(doc, "server", server);
	jsondoc_set_text(doc, "user", name_of(row->section));
	jsondoc_set_text(doc, "kind", kind_text(row->section));
	jsondoc_set_flag(doc, "refused",
			 memory != NULL && logon_was_refused(memory, row->fingerprint));
	jsondoc_set(doc, "file", jsondoc_new_text(row->path));
	return doc;
}

void credentials_list(struct verb_call *call, const struct credential_set *set,
		      const struct memory *memory)
{
	static const struct print_column columns[] = {
		{ "server" }, { "user" }, { "kind" }, { "refused" }, { "file" }, { 0 },
	};
	json_auto_t *rows = json_array();

	for (size_t i = 0; i < credential_count(set); i++) {
		struct credential_row row = credential_row_at(set, i);

		json_array_append_new(rows, new_row(&row, memory));
	}
	print_table(call->print, columns, rows,
		    "no credentials: servers are asked with a ticket, or as guest");
	for (size_t i = 0; i < credential_fault_count(set); i++) {
		const struct err *fault = credential_fault(set, i);

		log_warn("%s; to mend it: %s", fault->why, err_fix_text(fault));
		call->exit = err_exit(fault->code);
	}
}

bool credentials_remove(struct verb_call *call, const char *folder, struct err *err)
{
	SCOPED(credentialfile_server) struct credentialfile_server server = { 0 };
	SCOPED_TEXT char *text = NULL;
	json_auto_t *doc = json_object();

	if (!credentialfile_server_parse(&server, options_argument(call->options, 0), err))
		return usage(err);
	if (!credential_remove(folder, &server, err))
		return err_what(err, "cannot remove a credential");
	text = credentialfile_server_text(&server);
	jsondoc_set_text(doc, "server", text);
	print_result(call->print, doc, "the credential for %s is removed", text);
	return true;
}

const struct argument_spec credentials_arguments[] = {
	{ "SERVER", OPTION_TEXT, 0, "nas, nas:1445 or nas/share" },
	{ NULL },
};

const struct option_spec credentials_set_options[] = {
	{ .name = "user",
	  .type = OPTION_TEXT,
	  .value = "U",
	  .help = "user, DOMAIN\\user or user@REALM; the secret is asked for" },
	{ .name = "secret-file",
	  .type = OPTION_PATH,
	  .help = "read the secret from there and do not ask" },
	{ .name = "kerberos",
	  .type = OPTION_FLAG,
	  .help = "use the Kerberos ticket there, and nothing else" },
	{ .name = "guest", .type = OPTION_FLAG, .help = "be a guest there, and nothing else" },
	{ NULL },
};

const char credentials_set_notes[] =
	"The secret is one line of UTF-8 text, at most 255 bytes.\n"
	"Without --secret-file it is read from the terminal without echo, or from standard input if\n"
	"that is no terminal; it is never taken from the command line or the environment.\n\n"
	"The next connection uses it; nothing has to be restarted.\n"
	"An account that a server refused is not tried again before it is set anew.";

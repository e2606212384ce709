#include "smb/serverinfo.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <credentials.h>
#include <netapi.h>

#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"
#include "common/path.h"

#define LEVEL    101
#define SAID_MAX 512 /* bytes of what the libraries printed */

/*
 * Samba's libraries print to both outputs. What they say is caught in memory, so that it neither
 * gets between the answer nor onto somebody's terminal. Returns the descriptor of the real output.
 */
static int catch_outputs(int *caught_out)
{
	int real = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	*caught_out = memfd_create("said", MFD_CLOEXEC);
	if (real < 0 || *caught_out < 0 || dup2(*caught_out, STDOUT_FILENO) < 0 ||
	    dup2(*caught_out, STDERR_FILENO) < 0)
		return -1;
	return real;
}

/* What was caught, as one printable line. */
static void read_said(char said[SAID_MAX], int caught)
{
	ssize_t n;

	fflush(stdout);
	n = pread(caught, said, SAID_MAX - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	for (char *c = said; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = ' ';
}

static void put_info(json_t *doc, const struct SERVER_INFO_101 *info)
{
	jsondoc_set(doc, "name", jsondoc_new_text(info->sv101_name));
	jsondoc_set(doc, "version",
		    json_sprintf("%u.%u", info->sv101_version_major, info->sv101_version_minor));
	jsondoc_set_int(doc, "type", info->sv101_type);
}

/* True anonymity: with an empty account name there would be a logon that fails. */
static NET_API_STATUS begin(struct libnetapi_ctx **out)
{
	struct cli_credentials *nobody = cli_credentials_init_anon(NULL);
	NET_API_STATUS status = libnetapi_init(out);

	return status != 0 ? status : libnetapi_set_creds(*out, nobody);
}

static json_t *ask(const char *host)
{
	json_t *doc = json_object();
	struct libnetapi_ctx *ctx = NULL;
	uint8_t *info = NULL;
	NET_API_STATUS status = begin(&ctx);

	if (status == 0)
		status = NetServerGetInfo(host, LEVEL, &info);
	if (status == 0 && info != NULL)
		put_info(doc, (const struct SERVER_INFO_101 *)(const void *)info);
	jsondoc_set_int(doc, "status", status);
	NetApiBufferFree(info);
	if (ctx != NULL)
		libnetapi_free(ctx); /* ends the session */
	return doc;
}

int serverinfo_main(char **args)
{
	int caught, real = catch_outputs(&caught);
	SCOPED(buf) struct buf text = { 0 };
	char said[SAID_MAX];
	json_auto_t *doc = NULL;

	if (real < 0)
		return EXIT_LOCAL;
	doc = ask(args[0]);
	read_said(said, caught);
	jsondoc_set_text(doc, "said", said);
	jsondoc_write(&text, doc);
	return write(real, text.data, text.size) == (ssize_t)text.size ? 0 : EXIT_LOCAL;
}

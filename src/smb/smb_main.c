/*
 * packway-smb: what needs Samba's own client libraries, each time in a process of its own, which is
 * killed when it takes too long and takes every connection with it when it ends.
 *
 * This program alone is linked with them, and so is under their licence, the GPL version 3 or
 * later. It is started by the others (nal/netserver.h, nal/smbsession.h), not by people.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/error.h"
#include "common/macros.h"
#include "smb/serverinfo.h"
#include "smb/talk.h"

struct mode {
	const char *word;
	int arguments; /* behind the word */
	int (*run)(char **args);
};

static const struct mode modes[] = {
	{ "--server-info", 1, serverinfo_main },
	{ "--session", 0, talk_main },
};

int main(int argc, char **argv)
{
	static const struct rlimit no_core = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &no_core);
	for (size_t i = 0; argc > 1 && i < COUNT_OF(modes); i++) {
		if (strcmp(argv[1], modes[i].word) != 0 || argc != modes[i].arguments + 2)
			continue;
		/* At once: the libraries' own ends are not waited for. */
		_exit(modes[i].run(argv + 2));
	}
	fputs("packway-smb is started by packway's other programs\n", stderr);
	return EXIT_USAGE;
}

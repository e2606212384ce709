/*
 * smbcycles URL NAME COUNT SEED: leases a way to an SMB share, reads the object NAME through it,
 * gives it back, COUNT times, and kills the session's process at random moments. Some reads fail by
 * that; at the end nothing may be left. Prints one JSON object.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/macros.h"
#include "nal/conntab.h"
#include "nal/smbsession.h"

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (dir != NULL && readdir(dir) != NULL)
		count++;
	if (dir != NULL)
		closedir(dir);
	return count;
}

/* Memory of this process in KiB. */
static long resident(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file != NULL) {
		if (fscanf(file, "%*s %ld", &pages) != 1)
			pages = 0;
		fclose(file);
	}
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static bool one_cycle(struct conntab *tab, const struct way_target *target, const char *name)
{
	static const struct way_get ask = { .max = 1 << 20 };
	SCOPED(way_object) struct way_object object = { 0 };
	struct way *way = NULL;
	struct err err;
	bool done;

	if (conntab_acquire(&way, tab, target, WAY_LINK_NONE, tab, &err) != NAL_CLASS_OK)
		return false;
	if (rand() % 8 == 0)
		kill(((struct smbsession *)way->session)->pid, SIGKILL);
	done = way_get(&object, way, name, &ask, &err) == NAL_CLASS_OK;
	if (rand() % 8 == 0 && ((struct smbsession *)way->session)->pid > 0)
		kill(((struct smbsession *)way->session)->pid, SIGKILL);
	conntab_release(tab, way);
	if (rand() % 16 == 0)
		conntab_close_idle(tab);
	return done;
}

int main(int argc, char **argv)
{
	struct conntab_options options = CONNTAB_OPTIONS_DEFAULT;
	SCOPED(locator) struct locator where = { 0 };
	const struct way_target target = { .where = &where };
	int before, done = 0, count = argc == 5 ? atoi(argv[3]) : 0;
	long first = 0;
	struct conntab *tab;
	struct err err;

	if (argc != 5 || !locator_parse(&where, argv[1], &err))
		return 2;
	srand((unsigned)atoi(argv[4]));
	before = open_descriptors();
	tab = conntab_new(&options);
	for (int i = 0; i < count; i++) {
		done += one_cycle(tab, &target, argv[2]);
		if (i == count / 4)
			first = resident();
	}
	printf("{\"done\": %d, \"leases\": %zu, \"leaks\": %llu, ", done, conntab_leases(tab),
	       (unsigned long long)conntab_leaks(tab));
	conntab_free(tab);
	printf("\"descriptors\": %d, \"children\": %d, \"grown_kib\": %ld}\n",
	       open_descriptors() - before, waitpid(-1, NULL, WNOHANG) >= 0, resident() - first);
	return 0;
}

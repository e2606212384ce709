/*
 * Run one fuzz target over every file of a corpus folder, as TAP. A crash or sanitizer report ends
 * the program, which the test runner counts as a failure.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : ".";
	struct dirent **names;
	int count = scandir(folder, &names, NULL, alphasort);
	int run = 0;

	for (int i = 0; i < count; i++) {
		SCOPED(buf) struct buf bytes = { 0 };
		SCOPED_TEXT char *path = path_join(folder, names[i]->d_name);
		struct err err;

		if (names[i]->d_name[0] != '.' && path_read(&bytes, path, 64u << 20, &err)) {
			LLVMFuzzerTestOneInput(bytes.data, bytes.size);
			printf("ok %d - %s\n", ++run, names[i]->d_name);
		}
		free(names[i]);
	}
	if (count >= 0)
		free(names);
	if (run == 0)
		printf("not ok 1 - %s holds no input\n", folder);
	printf("1..%d\n", run > 0 ? run : 1);
	return run > 0 ? 0 : 1;
}

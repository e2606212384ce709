#include "smb/nterrno.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

static uint32_t last;

void nterrno_reset(void)
{
	last = 0;
}

uint32_t nterrno_last(void)
{
	return last;
}

/* Samba's prototype; an NTSTATUS is a 32-bit number. */
int map_errno_from_nt_status(uint32_t status);

__attribute__((visibility("default"))) int map_errno_from_nt_status(uint32_t status)
{
	static int (*original)(uint32_t);

	if (original == NULL)
		*(void **)&original = dlsym(RTLD_NEXT, "map_errno_from_nt_status");
	if (status != 0)
		last = status;
	return original != NULL ? original(status) : EINVAL;
}

#include "common/latelib.h"

#include <dlfcn.h>
#include <string.h>

/* Through memory, since C knows no conversion between pointers to objects and to functions. */
static bool find_call(void *table, const struct latelib_call *call, void *library)
{
	void *found = dlsym(library, call->name);

	memcpy((char *)table + call->offset, &found, sizeof(found));
	return found != NULL;
}

/* Not every library bears being unloaded. */
bool latelib_load(void *table, const struct latelib *lib, struct err *err)
{
	void *library = dlopen(lib->file, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);

	if (library == NULL)
		return err_set(err, ERR_UNSUPPORTED, "%s needs %s: %s", lib->what, lib->file,
			       dlerror());
	for (size_t i = 0; i < lib->count; i++)
		if (!find_call(table, &lib->calls[i], library))
			return err_set(err, ERR_UNSUPPORTED, "%s has no %s", lib->file,
				       lib->calls[i].name);
	return true;
}

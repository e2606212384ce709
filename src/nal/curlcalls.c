#include "nal/curlcalls.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define LIBRARY "libcurl.so.4"

static const struct {
	const char *name;
	size_t offset;
} calls[] = {
#define CALL(name) { "curl_" #name, offsetof(struct curlcalls, name) },
	CURLCALLS_LIST(CALL)
#undef CALL
};

/* Through memory, since C knows no conversion between pointers to objects and to functions. */
static bool find_call(struct curlcalls *out, size_t n, void *library)
{
	void *found = dlsym(library, calls[n].name);

	memcpy((char *)out + calls[n].offset, &found, sizeof(found));
	return found != NULL;
}

/* libcurl's libraries do not bear being unloaded. */
bool curlcalls_load(struct curlcalls *out, struct err *err)
{
	void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);

	if (library == NULL)
		return err_set(err, ERR_UNSUPPORTED, "HTTP needs %s: %s", LIBRARY, dlerror());
	for (size_t n = 0; n < COUNT_OF(calls); n++)
		if (!find_call(out, n, library))
			return err_set(err, ERR_UNSUPPORTED, "%s has no %s", LIBRARY,
				       calls[n].name);
	if (out->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ERR_MEMORY, "libcurl: it cannot be set up");
	return true;
}

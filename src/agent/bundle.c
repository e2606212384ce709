#include "agent/bundle.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>

#include "agent/state.h"
#include "common/alloc.h"
#include "common/path.h"

#define BYTES_MAX ((size_t)1 << 20)
#define CAPS_MAX  10000

bool bundle_read(json_t *request, const char *file, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *bundle = NULL;
	json_t *caps, *root, *first = json_array();
	const char *token;

	jsondoc_set(request, "caps", first);
	if (!path_read(&bytes, file, BYTES_MAX, err) ||
	    !jsondoc_read(&bundle, buf_span(&bytes), err) ||
	    !jsondoc_need_array(&caps, bundle, "caps", CAPS_MAX, err) ||
	    !jsondoc_need_object(&root, bundle, "root", err) ||
	    !jsondoc_need_text(&token, bundle, "token", err))
		return err_what(err, "cannot read the enrolment bundle %s", file);
	for (size_t i = 0; i < json_array_size(caps) && i < STATE_ADDRESSES_MAX; i++)
		json_array_append(first, json_array_get(caps, i));
	jsondoc_set(request, "root", json_incref(root));
	jsondoc_set_text(request, "token", token);
	return true;
}

static int is_bundle(const struct dirent *entry)
{
	return fnmatch("*.json", entry->d_name, FNM_PERIOD) == 0;
}

json_t *bundle_list(const char *folder)
{
	json_t *paths = json_array();
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_bundle, alphasort);

	for (int i = 0; i < count; i++) {
		SCOPED_TEXT char *path = path_join(folder, entries[i]->d_name);

		json_array_append_new(paths, jsondoc_new_text(path));
		free(entries[i]);
	}
	free(entries);
	return paths;
}

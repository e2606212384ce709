#include "site/quarantine.h"

#include <dirent.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "site/intake.h"

static size_t files_in(const char *folder)
{
	DIR *dir = opendir(folder);
	size_t count = 0;

	while (dir != NULL && readdir(dir) != NULL)
		count++;
	if (dir != NULL)
		closedir(dir);
	return count;
}

static void write_reason(const char *path, struct site *site, const char *cap, const char *name,
			 const char *reason)
{
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = json_object();
	struct err ignored;

	jsondoc_set_text(doc, "cap", cap);
	jsondoc_set(doc, "name", jsondoc_new_text(name));
	jsondoc_set_text(doc, "reason", reason);
	jsondoc_set_time(doc, "time", site_now(site));
	jsondoc_write(&text, doc);
	if (!newfile_write(path, 0600, buf_span(&text), &ignored))
		return;
}

void quarantine_keep(struct site *site, const char *cap, const char *name, struct span bytes,
		     const char *reason)
{
	SCOPED_TEXT char *folder = site_path(site, "quarantine");
	SCOPED_TEXT char *object = NULL;
	SCOPED_TEXT char *about = NULL;
	char hex[DIGEST_HEX_SIZE];
	struct digest digest;
	struct err ignored;

	if (files_in(folder) >= 2 * INTAKE_QUARANTINE_FILES)
		return;
	/* The name is the sender's choice: its hash is ours. */
	digest_of(&digest, span_of_text(name));
	digest_print(hex, &digest);
	object = alloc_printf("%s/%.32s", folder, hex);
	about = alloc_printf("%s.json", object);
	if (newfile_write(object, 0600, bytes, &ignored))
		write_reason(about, site, cap, name, reason);
}

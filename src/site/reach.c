#include "site/reach.h"

#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "nal/logon.h"

char *reach_folder(const struct site *site)
{
	return site_path(site, CREDENTIAL_FOLDER_NAME);
}

struct credential_set *reach_credentials(const struct site *site)
{
	SCOPED_TEXT char *own = reach_folder(site);
	SCOPED_TEXT char *key = site_path(site, "credential.key");
	const struct credential_places places = {
		.folders = { own, geteuid() == 0 ? CREDENTIAL_FOLDER_SYSTEM : NULL },
		.key_path = key,
	};

	return credential_set_load(&places);
}

struct memory *reach_memory(const struct site *site)
{
	SCOPED_TEXT char *path = site_path(site, "nal.json");
	SCOPED(buf) struct buf bytes = { 0 };
	struct memory *memory = NULL;
	struct err err = { 0 };

	if (!path_read(&bytes, path, MEMORY_BYTES_MAX, &err) ||
	    !memory_read(&memory, buf_span(&bytes), &err)) {
		if (err.code != ERR_NOT_FOUND)
			log_warn("%s: %s; what servers refused is learned again", path, err.why);
		memory = memory_new();
	}
	memory_tick(memory, &(const struct memory_now){
				    .wall_s = site_now(site),
				    .mono_s = clock_mono_ms(site->clock) / 1000,
			    });
	return memory;
}

/* Read anew, since another process may have noted something meanwhile. */
static void remember(const struct site *site, const char *refused)
{
	SCOPED_TEXT char *path = site_path(site, "nal.json");
	SCOPED(memory) struct memory *memory = reach_memory(site);
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	logon_refused(memory, refused);
	memory_write(&bytes, memory);
	if (!newfile_write(path, 0600, buf_span(&bytes), &err))
		log_warn("%s: %s", path, err.why);
}

static void warn_of_faults(const struct credential_set *set)
{
	for (size_t i = 0; i < credential_fault_count(set); i++)
		log_warn("%s: %s", credential_fault(set, i)->what, credential_fault(set, i)->why);
}

static enum nal_class say_refused(const struct credential *c, const struct way_target *target,
				  struct err *err)
{
	err_set(err, ERR_NET_DENIED, "%s refused %s before; it is not asked again with that",
		target->where->host, c->name);
	err_fix(err, "give the right secret: packway-site credential set %s", target->where->host);
	return NAL_CLASS_DENIED;
}

enum nal_class reach_acquire(struct way **out, struct site *site, struct conntab *tab,
			     const struct way_target *target, const void *user, struct err *err)
{
	const struct credential_context context = { .uid = geteuid(), .is_own = true };
	SCOPED(credential_set) struct credential_set *set = NULL;
	SCOPED(memory) struct memory *memory = NULL;
	struct way_target full = *target;
	struct credential credential = { 0 };

	if (target->where->scheme != LOCATOR_SMB)
		return conntab_acquire(out, tab, target, WAY_LINK_NONE, user, err);
	set = reach_credentials(site);
	memory = reach_memory(site);
	warn_of_faults(set);
	switch (logon_find(&credential, set, memory, target->where, &context)) {
	case LOGON_REFUSED:
		return say_refused(&credential, target, err);
	case LOGON_READY:
		full.credential = &credential;
		break;
	case LOGON_NOT_NEEDED:
		break;
	}
	return conntab_acquire(out, tab, &full, WAY_LINK_NONE, user, err);
}

void reach_release(struct site *site, struct conntab *tab, struct way *way)
{
	if (way != NULL && way->is_refused && way->fingerprint[0] != '\0')
		remember(site, way->fingerprint);
	conntab_release(tab, way);
}

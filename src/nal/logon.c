#include "nal/logon.h"

#include <stdio.h>

#define KEY_SIZE (CREDENTIAL_FINGERPRINT_SIZE + 16)

static void key_of(char *dst, const char *fingerprint)
{
	snprintf(dst, KEY_SIZE, "credential %s", fingerprint);
}

bool logon_was_refused(const struct memory *m, const char *fingerprint)
{
	char key[KEY_SIZE];

	if (fingerprint[0] == '\0')
		return false;
	key_of(key, fingerprint);
	return memory_facts(m, key, "", KIND_CAP, "", fingerprint).is_denied;
}

enum logon logon_find(struct credential *out, const struct credential_set *set,
		      const struct memory *memory, const struct locator *where,
		      const struct credential_context *context)
{
	if (!credential_find(out, set, where, context))
		return LOGON_NOT_NEEDED;
	if (!logon_was_refused(memory, out->fingerprint))
		return LOGON_READY;
	if (out->is_configured || !credential_find_guest(out, where))
		return LOGON_REFUSED;
	return LOGON_READY;
}

void logon_refused(struct memory *m, const char *fingerprint)
{
	char key[KEY_SIZE];

	if (fingerprint[0] == '\0')
		return;
	key_of(key, fingerprint);
	memory_record(m, &(const struct memory_event){
				 .server = key,
				 .object = "",
				 .kind = KIND_CAP,
				 .what = NAL_CLASS_DENIED,
				 .config = fingerprint,
			 });
}

#include "agent/permit.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/assigned.h"
#include "common/alloc.h"

#define GROUPS_MAX 1024

enum need {
	NEED_NOTHING, /* looking harms nobody */
	NEED_OFFER,   /* of the package, and of the program where one is named */
	NEED_OWNER,
};

static const struct {
	const char *op;
	enum need need;
} needs[] = {
	{ "connections", NEED_NOTHING }, { "locate", NEED_OFFER }, { "fetch", NEED_OFFER },
	{ "run", NEED_OFFER },           { "mount", NEED_OFFER },  { "sync", NEED_OWNER },
	{ "enroll", NEED_OWNER },        { "doctor", NEED_OWNER }, { "verify", NEED_OWNER },
	{ "probe", NEED_OWNER },         { "rekey", NEED_OWNER },  { "lease", NEED_OWNER },
};

bool permit_is_guest(uid_t caller)
{
	return caller != 0 && caller != geteuid();
}

static enum need need_of(const char *op)
{
	for (size_t i = 0; i < COUNT_OF(needs); i++)
		if (strcmp(needs[i].op, op) == 0)
			return needs[i].need;
	return NEED_OWNER;
}

static bool is_in_group(uid_t uid, const char *name)
{
	const struct passwd *who = getpwuid(uid);
	const struct group *group = getgrnam(name);
	gid_t groups[GROUPS_MAX];
	int count = GROUPS_MAX;
	gid_t wanted;

	if (who == NULL || group == NULL)
		return false;
	wanted = group->gr_gid;
	if (getgrouplist(who->pw_name, who->pw_gid, groups, &count) < 0)
		return false;
	for (int i = 0; i < count; i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

bool permit_offers(uid_t caller, const char *offer_to)
{
	return caller == 0 || caller == geteuid() ||
	       (offer_to != NULL && is_in_group(caller, offer_to));
}

static bool is_offered(const struct assigned *plan, uid_t caller, const json_t *request)
{
	const char *package = jsondoc_text(request, "package");
	const char *program = jsondoc_text(request, "program");

	for (size_t i = 0; package != NULL && i < plan->count; i++) {
		if (strcmp(plan->assignments[i].package, package) == 0 &&
		    (program == NULL || strcmp(plan->assignments[i].program, program) == 0) &&
		    permit_offers(caller, jsondoc_text(assigned_row(plan, i), "offer_to")))
			return true;
	}
	return false;
}

bool permit_request(const struct state *st, uid_t caller, const json_t *request, struct err *err)
{
	SCOPED(assigned) struct assigned plan = { 0 };
	const char *op = jsondoc_text(request, "op");
	enum need need = need_of(op != NULL ? op : "");

	if (caller == 0 || caller == geteuid() || need == NEED_NOTHING)
		return true;
	if (need == NEED_OFFER) {
		if (!assigned_load(&plan, st, err))
			return false;
		if (is_offered(&plan, caller, request))
			return true;
	}
	err_set(err, ERR_PERMISSION, "user %u may not ask this client's agent for that",
		(unsigned int)caller);
	return err_fix(err, need == NEED_OFFER
				    ? "let the site's admin offer it: advertise … --offer-to GROUP"
				    : "run the command as root, or as the owner of the state");
}

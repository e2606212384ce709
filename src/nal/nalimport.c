#include "nal/nalimport.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/text.h"

#define ROOT  "\\Software\\Microsoft\\NAL\\Client"
#define LISTS "\\Preferred AbExprtDB\\"

static const struct {
	const char *name;
	bool is_on;
} switches[] = {
	[NALIMPORT_PREFERRED] = { "Use Preferred Servers", false },
	[NALIMPORT_EXISTING] = { "Use Existing Connections", true },
	[NALIMPORT_RANDOM] = { "Use Random Path Selection", true },
};
static_assert(COUNT_OF(switches) == NALIMPORT_SWITCH_COUNT_, "every switch has a row");

static const struct {
	const char *front;
	enum kind kind;
} lists[] = {
	{ "CAP List for site ", KIND_CAP },
	{ "DP List for site ", KIND_DP },
};

const char *nalimport_switch_name(enum nalimport_switch which)
{
	return switches[which].name;
}

void nalimport_release(struct nalimport *n)
{
	free(n->entries);
	*n = (struct nalimport){ 0 };
}

/* Where `text` goes on behind `front`, without regard to ASCII case; NULL: it does not begin so. */
static const char *behind(const char *text, const char *front)
{
	size_t size = strlen(front);

	return strncasecmp(text, front, size) == 0 ? text + size : NULL;
}

/* What stands behind NAL's key: "" for itself; NULL for keys elsewhere. Under the hive come
 * Wow6432Node and other copies. */
static const char *below_root(const char *key)
{
	const char *rest;

	for (const char *at = strchr(key, '\\'); at != NULL; at = strchr(at + 1, '\\')) {
		rest = behind(at, ROOT);
		if (rest == NULL)
			rest = behind(at, "\\Software\\Wow6432Node\\Microsoft\\NAL\\Client");
		if (rest != NULL && (*rest == '\0' || *rest == '\\'))
			return rest;
	}
	return NULL;
}

static bool number_of(uint32_t *out, const struct regfile_value *v)
{
	uint64_t number;

	*out = v->number;
	if (v->type != REGFILE_TEXT)
		return v->type == REGFILE_NUMBER;
	if (!text_u64(&number, v->text, 0, UINT32_MAX))
		return false;
	*out = (uint32_t)number;
	return true;
}

static bool take_switch(struct nalimport *n, const struct regfile_value *v, struct err *err)
{
	uint32_t number;

	for (size_t i = 0; i < COUNT_OF(switches); i++) {
		if (!text_equal_nocase(v->name, switches[i].name))
			continue;
		if (!number_of(&number, v))
			return err_set(err, ERR_FORMAT, "\"%s\" is no number", v->name);
		n->is_on[i] = number != 0;
		n->is_said[i] = true;
	}
	return true;
}

static void take_entry(struct nalimport *n, enum kind kind, const char *site,
		       const struct regfile_value *v)
{
	SCOPED(preference_entry) struct preference_entry parsed = { 0 };
	struct nalimport_entry *e;

	if (v->name[0] == '\0')
		return;
	ALLOC_GROW(n->entries, n->count);
	e = &n->entries[n->count++];
	*e = (struct nalimport_entry){ .kind = kind, .site = site, .path = v->name };
	e->is_taken = preference_entry_parse(&parsed, v->name, &e->why);
}

static bool take_value(struct nalimport *n, const struct regfile_value *v, bool *is_any,
		       struct err *err)
{
	const char *rest = below_root(v->key), *list, *site;

	if (rest == NULL)
		return true;
	*is_any = true;
	if (*rest == '\0')
		return take_switch(n, v, err);
	list = behind(rest, LISTS);
	for (size_t i = 0; list != NULL && i < COUNT_OF(lists); i++) {
		site = behind(list, lists[i].front);
		if (site != NULL)
			take_entry(n, lists[i].kind, site, v);
	}
	return true;
}

/*
 * SMS went by preferred servers, existing connections and random choice, in that order, each where
 * it was on. `existing` does all of that here, so that a client without random choice is not cut
 * off; `random` and not `sms2`, which would take no notice of preferred servers.
 */
static const char *policy_of(const struct nalimport *n)
{
	if (!n->is_said[NALIMPORT_EXISTING] && !n->is_said[NALIMPORT_RANDOM])
		return NULL;
	if (n->is_on[NALIMPORT_EXISTING])
		return "existing";
	if (n->is_on[NALIMPORT_RANDOM])
		return "random";
	return n->is_on[NALIMPORT_PREFERRED] ? "preferred-only" : NULL;
}

bool nalimport_find(struct nalimport *out, const struct regfile *file, struct err *err)
{
	bool is_any = false;

	*out = (struct nalimport){ 0 };
	for (size_t i = 0; i < COUNT_OF(switches); i++)
		out->is_on[i] = switches[i].is_on;
	for (size_t i = 0; i < file->count; i++)
		if (!take_value(out, &file->values[i], &is_any, err)) {
			nalimport_release(out);
			return false;
		}
	if (!is_any)
		return err_set(err, ERR_NOT_FOUND, "the export holds nothing of NAL") ||
		       err_fix(err, "export HKEY_LOCAL_MACHINE" ROOT " with all beneath it");
	out->policy = policy_of(out);
	return true;
}

bool nalimport_apply(struct preference *p, const struct nalimport *n, struct err *err)
{
	if (n->policy != NULL && !preference_set_policy(p, n->policy, err))
		return false;
	for (size_t i = 0; n->is_on[NALIMPORT_PREFERRED] && i < n->count; i++)
		if (n->entries[i].is_taken &&
		    !preference_add(p, n->entries[i].kind, n->entries[i].path, err))
			return false;
	return true;
}

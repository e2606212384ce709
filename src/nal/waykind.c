#include "nal/waykind.h"

#include <string.h>

static const char *const names[] = {
	[WAYKIND_NEW] = "new",
	[WAYKIND_MOUNT] = "mount",
	[WAYKIND_SESSION] = "session",
};
static_assert(COUNT_OF(names) == WAYKIND_COUNT_, "every way has a name");

static const char *const evidence_names[] = {
	[WAYKIND_EVIDENCE_NONE] = "none",
	[WAYKIND_EVIDENCE_SERVER] = "same-server",
	[WAYKIND_EVIDENCE_SHARE] = "same-share",
	[WAYKIND_EVIDENCE_PATH] = "same-path",
};
static_assert(COUNT_OF(evidence_names) == WAYKIND_EVIDENCE_COUNT_, "every evidence has a name");

const char *waykind_name(enum waykind way)
{
	assert(way < WAYKIND_COUNT_);
	return names[way];
}

bool waykind_parse(enum waykind *out, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (enum waykind)i;
			return true;
		}
	}
	return false;
}

const char *waykind_evidence_name(enum waykind_evidence evidence)
{
	assert(evidence < WAYKIND_EVIDENCE_COUNT_);
	return evidence_names[evidence];
}

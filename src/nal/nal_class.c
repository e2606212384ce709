#include "nal/class.h"

#include <string.h>

static const char *const names[] = {
	[NAL_CLASS_OK] = "ok",
	[NAL_CLASS_NOT_FOUND] = "not-found",
	[NAL_CLASS_CONTENT_MISSING] = "content-missing",
	[NAL_CLASS_WRONG_VERSION] = "wrong-version",
	[NAL_CLASS_DENIED] = "denied",
	[NAL_CLASS_CONFLICT] = "conflict",
	[NAL_CLASS_BUSY] = "busy",
	[NAL_CLASS_FULL] = "full",
	[NAL_CLASS_TIMEOUT] = "timeout",
	[NAL_CLASS_UNREACHABLE] = "unreachable",
	[NAL_CLASS_SLOW] = "slow",
	[NAL_CLASS_CORRUPT] = "corrupt",
	[NAL_CLASS_PROTOCOL] = "protocol",
	[NAL_CLASS_UNKNOWN] = "unknown",
};
static_assert(COUNT_OF(names) == NAL_CLASS_COUNT_, "every class has a name");

const char *nal_class_name(enum nal_class what)
{
	assert(what < NAL_CLASS_COUNT_);
	return names[what];
}

bool nal_class_parse(enum nal_class *out, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (enum nal_class)i;
			return true;
		}
	}
	return false;
}

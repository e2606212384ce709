#include "nal/mountcalls.h"

#include "common/latelib.h"

static const struct latelib_call calls[] = {
#define CALL(name) { "mnt_" #name, offsetof(struct mountcalls, name) },
	MOUNTCALLS_LIST(CALL)
#undef CALL
};

bool mountcalls_load(struct mountcalls *out, struct err *err)
{
	static const struct latelib lib = {
		.file = "libmount.so.1",
		.what = "the mount table",
		.calls = calls,
		.count = COUNT_OF(calls),
	};

	return latelib_load(out, &lib, err);
}

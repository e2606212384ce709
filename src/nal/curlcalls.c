#include "nal/curlcalls.h"

#include "common/latelib.h"

static const struct latelib_call calls[] = {
#define CALL(name) { "curl_" #name, offsetof(struct curlcalls, name) },
	CURLCALLS_LIST(CALL)
#undef CALL
};

bool curlcalls_load(struct curlcalls *out, struct err *err)
{
	static const struct latelib lib = {
		.file = "libcurl.so.4",
		.what = "HTTP",
		.calls = calls,
		.count = COUNT_OF(calls),
	};

	if (!latelib_load(out, &lib, err))
		return false;
	if (out->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ERR_MEMORY, "libcurl: it cannot be set up");
	return true;
}

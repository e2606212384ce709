#include "nal/curlcalls.h"

#include <pthread.h>

#include "common/latelib.h"

/* libcurl has a lock of its own about its set-up, at which others spin. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static const struct latelib_call calls[] = {
#define CALL(name) { "curl_" #name, offsetof(struct curlcalls, name) },
	CURLCALLS_LIST(CALL)
#undef CALL
};

static bool load(struct curlcalls *out, struct err *err)
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

bool curlcalls_load(struct curlcalls *out, struct err *err)
{
	bool done;

	pthread_mutex_lock(&loading);
	done = load(out, err);
	pthread_mutex_unlock(&loading);
	return done;
}

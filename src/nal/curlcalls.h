/*
 * libcurl's functions, loaded when they are first wanted: it links some thirty libraries, and a
 * program that linked it would take longer to start than many a command to run (bench/README.md).
 *
 * Calls go through a table, curl->easy_init() for curl_easy_init(). libcurl's own check of the
 * types given to setopt and getinfo is for its functions alone: give numbers as long or curl_off_t,
 * as its manual says. Used by httpsession.c alone.
 */
#ifndef NAL_CURLCALLS_H
#define NAL_CURLCALLS_H

#include <curl/curl.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"

#define CURLCALLS_LIST(X)      \
	X(easy_cleanup)        \
	X(easy_getinfo)        \
	X(easy_header)         \
	X(easy_init)           \
	X(easy_setopt)         \
	X(easy_strerror)       \
	X(free)                \
	X(global_init)         \
	X(multi_add_handle)    \
	X(multi_cleanup)       \
	X(multi_info_read)     \
	X(multi_init)          \
	X(multi_perform)       \
	X(multi_poll)          \
	X(multi_remove_handle) \
	X(multi_setopt)        \
	X(slist_append)        \
	X(slist_free_all)      \
	X(url)                 \
	X(url_cleanup)         \
	X(url_get)             \
	X(url_set)

struct curlcalls {
#define CURLCALLS_MEMBER(name) typeof(&curl_##name) name;
	CURLCALLS_LIST(CURLCALLS_MEMBER)
#undef CURLCALLS_MEMBER
};

/*
 * Fill the table. libcurl is loaded and set up by whoever comes first, which takes some
 * milliseconds, and stays until the process ends; any number of threads may ask at once.
 * ERR_UNSUPPORTED: it is not installed, or is older than what this program was built with.
 */
bool curlcalls_load(struct curlcalls *out, struct err *err) MUST_USE;

#endif

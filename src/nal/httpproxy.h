/*
 * Which hosts are reached through a proxy, by the variables of the environment that libcurl goes by
 * (CURLOPT_PROXY(3)).
 */
#ifndef NAL_HTTPPROXY_H
#define NAL_HTTPPROXY_H

#include <stdbool.h>

/* True if libcurl would go through a proxy to `host`, for "http" or "https". */
bool httpproxy_covers(const char *scheme, const char *host);

#endif

#include "nal/httpproxy.h"

#include <stdlib.h>
#include <string.h>

#include "common/span.h"

static const char *first_of(const char *const names[2])
{
	const char *value = getenv(names[0]);

	if (value == NULL && names[1] != NULL)
		value = getenv(names[1]);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* One entry of no_proxy: the host itself, or a domain that it ends with. */
static bool is_exempt(const char *host, struct span entry)
{
	size_t size = strlen(host);

	if (span_equal_text(entry, "*"))
		return true;
	while (entry.size > 0 && entry.data[0] == '.')
		entry = span_skip(entry, 1);
	if (entry.size == 0 || entry.size > size ||
	    strncasecmp(host + size - entry.size, (const char *)entry.data, entry.size) != 0)
		return false;
	return size == entry.size || host[size - entry.size - 1] == '.';
}

bool httpproxy_covers(const char *scheme, const char *host)
{
	static const char *const http[] = { "http_proxy", NULL };
	static const char *const https[] = { "https_proxy", "HTTPS_PROXY" };
	static const char *const all[] = { "all_proxy", "ALL_PROXY" };
	static const char *const none[] = { "no_proxy", "NO_PROXY" };
	const char *exempt = first_of(none);

	if (first_of(strcmp(scheme, "https") == 0 ? https : http) == NULL && first_of(all) == NULL)
		return false;
	while (exempt != NULL && *exempt != '\0') {
		size_t size = strcspn(exempt, ", ");

		if (is_exempt(host, span_of(exempt, size)))
			return false;
		exempt += size;
		exempt += strspn(exempt, ", ");
	}
	return true;
}

#include "site/own.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "nal/connect.h"

#define ANSWER_MAX 4096 /* bytes of OWN_FILE */

void own_write(struct buf *out, const struct site *site)
{
	json_auto_t *doc = json_object();

	jsondoc_set_int(doc, "format", 1);
	jsondoc_set_text(doc, "site", site->code);
	jsondoc_set_text(doc, "uuid", site->uuid);
	jsondoc_write(out, doc);
	buf_put_text(out, "\n");
}

struct conntab *own_new_table(const struct site *site)
{
	struct conntab_options options = CONNTAB_OPTIONS_DEFAULT;

	/* A client has other servers to go to; what the site writes has this one only. */
	options.limits.connect_ms *= CONNECT_PATIENCE;
	options.limits.first_byte_ms *= CONNECT_PATIENCE;
	options.limits.tls_ca_file = site->tls_ca;
	return conntab_new(&options);
}

static bool names_us(const struct site *site, struct span bytes)
{
	json_auto_t *doc = NULL;
	struct err ignored;
	const char *uuid;

	if (!jsondoc_read(&doc, bytes, &ignored))
		return false;
	uuid = jsondoc_text(doc, "uuid");
	return uuid != NULL && strcmp(uuid, site->uuid) == 0;
}

/* The server's root: the same scheme, host and port without a path. */
static bool root_of(struct locator *out, const struct locator *where, struct err *err)
{
	bool is_ipv6 = strchr(where->host, ':') != NULL;
	SCOPED_TEXT char *text = alloc_printf("%s://%s%s%s:%u/", locator_scheme_name(where->scheme),
					      is_ipv6 ? "[" : "", where->host, is_ipv6 ? "]" : "",
					      where->port);

	return locator_parse(out, text, err);
}

static bool same_address(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a == NULL || b == NULL || a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr,
			      &((const struct sockaddr_in *)(const void *)b)->sin_addr,
			      sizeof(struct in_addr)) == 0;
	return a->sa_family == AF_INET6 &&
	       memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
		      &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr,
		      sizeof(struct in6_addr)) == 0;
}

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;

	return address->sa_family == AF_INET && ntohl(v4->sin_addr.s_addr) >> 24 == 127;
}

static bool is_an_interface(const struct ifaddrs *interfaces, const struct sockaddr *address)
{
	for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next)
		if (same_address(i->ifa_addr, address))
			return true;
	return false;
}

bool own_host_is_local(const char *host)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	struct ifaddrs *interfaces = NULL;
	bool is_local = false;

	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return false;
	if (getifaddrs(&interfaces) == 0)
		for (struct addrinfo *a = found; a != NULL && !is_local; a = a->ai_next)
			is_local = is_loopback(a->ai_addr) ||
				   is_an_interface(interfaces, a->ai_addr);
	freeifaddrs(interfaces);
	freeaddrinfo(found);
	return is_local;
}

static enum own_answer judge_silence(enum nal_class class, const struct locator *where)
{
	if (class != NAL_CLASS_UNREACHABLE && class != NAL_CLASS_TIMEOUT)
		return OWN_NO;
	return own_host_is_local(where->host) ? OWN_SILENT : OWN_ABSENT;
}

enum own_answer own_ask(struct site *site, struct conntab *tab, const struct locator *where)
{
	static const struct way_get ask = { .max = ANSWER_MAX };
	SCOPED(locator) struct locator root = { 0 };
	SCOPED(way_object) struct way_object object = { 0 };
	struct way_target target = { .where = &root };
	struct way *way = NULL;
	enum nal_class class;
	struct err err = { 0 };

	if (where->scheme != LOCATOR_HTTP && where->scheme != LOCATOR_HTTPS)
		return OWN_NO;
	if (!root_of(&root, where, &err))
		return OWN_NO;
	class = conntab_acquire(&way, tab, &target, WAY_LINK_NONE, site, &err);
	if (class == NAL_CLASS_OK)
		class = way_get(&object, way, OWN_FILE, &ask, &err);
	conntab_release(tab, way);
	if (class != NAL_CLASS_OK)
		return judge_silence(class, where);
	return names_us(site, buf_span(&object.bytes)) ? OWN_YES : OWN_NO;
}

char *own_folder(const struct site *site, const struct locator *where)
{
	/* A locator's path is decoded and has no "..": it stays beneath www. */
	return path_join3(site->dir, "www", where->path + strspn(where->path, "/"));
}

#include "agent/addresses.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "common/alloc.h"

static int read_configured(struct netaddr *out, const char *configured, struct err *err)
{
	SCOPED_TEXT char *copy = alloc_text(configured);
	char *rest = copy, *word;
	int count = 0;

	while ((word = strsep(&rest, ", \t")) != NULL) {
		if (word[0] == '\0')
			continue;
		if (count == ADDRESSES_MAX)
			break;
		if (!netaddr_parse(&out[count], word)) {
			err_set(err, ERR_CONFIG, "address: \"%s\" is no IP address", word);
			return -1;
		}
		count++;
	}
	return count;
}

static bool take_address(struct netaddr *out, const struct sockaddr *address)
{
	*out = (struct netaddr){ 0 };
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

		out->family = 4;
		memcpy(out->bytes, &in->sin_addr, 4);
		return true;
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

		out->family = 6;
		memcpy(out->bytes, &in6->sin6_addr, 16);
		return !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr);
	}
	return false;
}

/* IFF_RUNNING is what the kernel knows of the carrier. */
static int take_all(struct netaddr *out, const struct ifaddrs *list, bool loopback)
{
	int count = 0;

	for (const struct ifaddrs *i = list; i != NULL && count < ADDRESSES_MAX; i = i->ifa_next) {
		const unsigned int live = IFF_UP | IFF_RUNNING;

		if (i->ifa_addr == NULL || (i->ifa_flags & live) != live ||
		    ((i->ifa_flags & IFF_LOOPBACK) != 0) != loopback)
			continue;
		if (take_address(&out[count], i->ifa_addr))
			count++;
	}
	return count;
}

int addresses_find(struct netaddr *out, const char *configured, struct err *err)
{
	struct ifaddrs *list;
	int count;

	if (configured != NULL && configured[0] != '\0')
		return read_configured(out, configured, err);
	if (getifaddrs(&list) != 0) {
		err_sys(err, ERR_IO, errno, "this machine's addresses");
		return -1;
	}
	count = take_all(out, list, false);
	if (count == 0)
		count = take_all(out, list, true);
	freeifaddrs(list);
	return count;
}

void addresses_network(char *dst, const struct netaddr *address)
{
	struct netaddr_net net = { .base = *address };

	net.prefix = address->family == 4 ? 24 : 64;
	memset(net.base.bytes + net.prefix / 8, 0, sizeof(net.base.bytes) - net.prefix / 8);
	netaddr_print_net(dst, &net);
}

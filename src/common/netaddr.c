#include "common/netaddr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define MAPPING_BITS 96

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static unsigned int bits_of(const struct netaddr *a)
{
	return a->family == 4 ? 32 : 128;
}

bool netaddr_parse(struct netaddr *out, const char *text)
{
	struct netaddr a = { 0 };

	if (inet_pton(AF_INET, text, a.bytes) == 1) {
		a.family = 4;
	} else if (inet_pton(AF_INET6, text, a.bytes) == 1) {
		a.family = 6;
		if (memcmp(a.bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
			memmove(a.bytes, a.bytes + 12, 4);
			memset(a.bytes + 4, 0, 12);
			a.family = 4;
		}
	} else {
		return false;
	}
	*out = a;
	return true;
}

/* True if the first `prefix` bits are the same. */
static bool same_front(const uint8_t *a, const uint8_t *b, unsigned int prefix)
{
	unsigned int whole = prefix / 8, rest = prefix % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool has_host_bits(const struct netaddr_net *net)
{
	struct netaddr cleared = { .family = net->base.family };
	unsigned int whole = net->prefix / 8, rest = net->prefix % 8;

	memcpy(cleared.bytes, net->base.bytes, whole);
	if (rest != 0)
		cleared.bytes[whole] = (uint8_t)(net->base.bytes[whole] & (0xff00u >> rest));
	return !netaddr_equal(&cleared, &net->base);
}

bool netaddr_parse_net(struct netaddr_net *out, const char *text)
{
	const char *slash = strchr(text, '/');
	struct netaddr_net net;
	char address[NETADDR_TEXT_MAX];
	uint64_t prefix, mapping;
	size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);

	if (size >= sizeof(address))
		return false;
	memcpy(address, text, size);
	address[size] = '\0';
	if (!netaddr_parse(&net.base, address))
		return false;
	/* The prefix of a mapped network counts the bits of the mapping too. */
	mapping = net.base.family == 4 && strchr(address, ':') != NULL ? MAPPING_BITS : 0;
	prefix = mapping + bits_of(&net.base);
	if (slash != NULL && !text_u64(&prefix, slash + 1, mapping, prefix))
		return false;
	net.prefix = (uint8_t)(prefix - mapping);
	if (has_host_bits(&net))
		return false;
	*out = net;
	return true;
}

bool netaddr_equal(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool netaddr_net_equal(const struct netaddr_net *a, const struct netaddr_net *b)
{
	return a->prefix == b->prefix && netaddr_equal(&a->base, &b->base);
}

bool netaddr_net_contains(const struct netaddr_net *net, const struct netaddr *address)
{
	return address->family != 0 && net->base.family == address->family &&
	       same_front(net->base.bytes, address->bytes, net->prefix);
}

void netaddr_print(char *dst, const struct netaddr *a)
{
	if (a->family == 0 ||
	    inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->bytes, dst, NETADDR_TEXT_MAX) == NULL)
		snprintf(dst, NETADDR_TEXT_MAX, "none");
}

void netaddr_print_net(char *dst, const struct netaddr_net *net)
{
	size_t used;

	netaddr_print(dst, &net->base);
	used = strlen(dst);
	snprintf(dst + used, NETADDR_TEXT_MAX - used, "/%u", net->prefix);
}

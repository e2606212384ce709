#include "nal/presence.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define MINUTE_MS 60000

struct server {
	char *host;
	uint16_t port;
	uint64_t asked_ms;
	struct probe found;
};

struct presence {
	struct server *servers;
	size_t count;
	uint64_t asked_ms[PRESENCE_PER_MINUTE]; /* a ring of the last probes */
	size_t asked;                           /* probes ever */
};

struct presence *presence_new(void)
{
	return alloc_zeroed(1, sizeof(struct presence));
}

void presence_free(struct presence *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++)
		free(p->servers[i].host);
	free(p->servers);
	free(p);
}

static const struct server *find(const struct presence *p, const struct locator *where)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->servers[i].port == where->port &&
		    strcmp(p->servers[i].host, where->host) == 0)
			return &p->servers[i];
	return NULL;
}

bool presence_known(struct probe *out, const struct presence *p, const struct locator *where,
		    uint64_t now_ms)
{
	const struct server *s = find(p, where);

	if (s == NULL || s->found.presence != PROBE_PRESENT ||
	    now_ms >= s->asked_ms + PRESENCE_TTL_MS)
		return false;
	*out = s->found;
	return true;
}

bool presence_may_ask(const struct presence *p, const struct locator *where, uint64_t now_ms)
{
	const struct server *s = find(p, where);

	if (s != NULL && now_ms < s->asked_ms + PRESENCE_AGAIN_MS)
		return false;
	return p->asked < PRESENCE_PER_MINUTE ||
	       now_ms >= p->asked_ms[p->asked % PRESENCE_PER_MINUTE] + MINUTE_MS;
}

bool presence_last(struct probe *out, const struct presence *p, const struct locator *where)
{
	const struct server *s = find(p, where);

	if (s != NULL)
		*out = s->found;
	return s != NULL;
}

/* The server's place, a free one, or that of the one asked longest ago. */
static struct server *place(struct presence *p, const struct locator *where)
{
	struct server *s = (struct server *)(uintptr_t)find(p, where);

	if (s != NULL)
		return s;
	if (p->count < PRESENCE_SERVERS_MAX) {
		ALLOC_GROW(p->servers, p->count);
		p->servers[p->count] = (struct server){ .host = NULL };
		return &p->servers[p->count++];
	}
	s = &p->servers[0];
	for (size_t i = 1; i < p->count; i++)
		if (p->servers[i].asked_ms < s->asked_ms)
			s = &p->servers[i];
	return s;
}

void presence_learned(struct presence *p, const struct locator *where, const struct probe *found,
		      uint64_t now_ms)
{
	struct server *s = place(p, where);
	char *host = alloc_text(where->host);

	free(s->host);
	*s = (struct server){
		.host = host, .port = where->port, .asked_ms = now_ms, .found = *found
	};
	p->asked_ms[p->asked++ % PRESENCE_PER_MINUTE] = now_ms;
}

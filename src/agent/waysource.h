/*
 * A way as the source of an assembly: content knows no network, the NAL knows no content, and the
 * agent joins them.
 */
#ifndef AGENT_WAYSOURCE_H
#define AGENT_WAYSOURCE_H

#include "content/assemble.h"
#include "content/transfer.h"
#include "nal/arrival.h"
#include "nal/way.h"

struct waysource {
	struct way *way;
	const char *package;         /* the folder on the DP */
	uint64_t index_size;         /* as policy says; 0: not known */
	uint64_t rate_bps;           /* of the assembly; 0: any */
	const struct recvroom *room; /* lent by the assembly; NULL: none */
	enum nal_class class;        /* of the last failure */
	bool lacks_index;            /* what it failed by is that the index is not there */
};

/* The source over `ws`, which must outlive it. */
struct transfer_source waysource_of(struct waysource *ws);

/* What an assembly did, in the words of a decision record. */
struct arrival waysource_arrival(const struct assemble_stats *stats) MUST_USE;

#endif

/*
 * What a client's boundary group allows its transfers of content, at this moment: how fast they may
 * be, and whether it is their hour at all. Fetches and mounts ask alike.
 */
#ifndef AGENT_ALLOWANCE_H
#define AGENT_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/scene.h"
#include "common/macros.h"

struct allowance {
	uint64_t rate_bps; /* for all servers together; 0: any */
	bool is_closed;    /* nothing may move before `until_s` */
	int64_t until_s;
	const char *group;  /* whose limits they are; NULL: there is none. Borrowed, as the next */
	const char *window; /* until the next scene_look; NULL: always */
};

/*
 * The allowance of one who asked for `rate_bps` (0: for none) at `now_s`: of two rates the smaller
 * one holds.
 */
struct allowance allowance_of(const struct scene_limits *limits, uint64_t rate_bps, int64_t now_s)
	MUST_USE;

/* "waits for the hours of group …" for one that is closed; the caller frees it. */
char *allowance_text(const struct allowance *a) MUST_USE;

#endif

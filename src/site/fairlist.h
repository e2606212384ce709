/*
 * Which of very many uploads one sweep looks at. Whoever floods an inbox must not push others out
 * of it: each sender has an equal share of the places, and which of their own are in it is drawn.
 *
 *     fairlist_new → fairlist_place, once for each upload → fairlist_free
 *
 * The uploads themselves are the caller's, in an array in which each has the place that it was
 * given. Not more than `max` places are ever given, and memory is bounded by that number.
 *
 * PURE.
 */
#ifndef SITE_FAIRLIST_H
#define SITE_FAIRLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"

#define FAIRLIST_NONE        SIZE_MAX
#define FAIRLIST_SENDER_SIZE 33 /* with the terminator */

struct fairlist;

/*
 * `share`: places of one sender at most; it is halved whenever all places are taken. `seed` decides
 * the draws and must be unknown to senders.
 */
struct fairlist *fairlist_new(size_t max, size_t share, uint64_t seed) MUST_USE;
void fairlist_free(struct fairlist *list);
SCOPED_FREE(fairlist);

/*
 * The place of one more upload: a new one, the next behind those that were given; or one whose
 * upload gives way to this; or FAIRLIST_NONE. `sender` has at most FAIRLIST_SENDER_SIZE - 1 bytes.
 */
size_t fairlist_place(struct fairlist *list, const char *sender) MUST_USE;

/* True if that place's upload is still meant after all were placed. */
bool fairlist_is_live(const struct fairlist *list, size_t place);

/* True if something has no place. */
bool fairlist_is_cut(const struct fairlist *list);

#endif

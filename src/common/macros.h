/*
 * Language helpers used everywhere: attributes, scope-bound release, array sizes.
 *
 * PURE. No I/O, no clock, no state.
 */
#ifndef COMMON_MACROS_H
#define COMMON_MACROS_H

#include <assert.h>
#include <stddef.h>

#define COUNT_OF(array)         (sizeof(array) / sizeof((array)[0]))
#define MUST_USE                __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define UNUSED                  __attribute__((unused))

#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

/* 1 in a build that looks for leaks, which it does at exit, with a child that traces its parent. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

/*
 * Bind a variable's release to the end of its scope:
 *
 *     SCOPED(status) struct status *st = status_new();     heap object, status_free
 *     SCOPED(buf) struct buf text = { 0 };                  caller's struct, buf_release
 *
 * A header makes its type usable with SCOPED by one of the two macros below. A variable that is
 * there for its release alone counts as used.
 */
#define SCOPED(name) __attribute__((cleanup(name##_scoped), unused))

#define SCOPED_FREE(name)                                      \
	static inline void name##_scoped(struct name **object) \
	{                                                      \
		name##_free(*object);                          \
	}                                                      \
	struct name

#define SCOPED_RELEASE(name)                                  \
	static inline void name##_scoped(struct name *object) \
	{                                                     \
		name##_release(object);                       \
	}                                                     \
	struct name

#endif

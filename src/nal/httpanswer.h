/*
 * What an HTTP answer means to the NAL: status codes as classes, Content-Range, entity tags.
 *
 * PURE.
 */
#ifndef NAL_HTTPANSWER_H
#define NAL_HTTPANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/class.h"
#include "nal/way.h"

struct httpanswer_range {
	uint64_t first;
	uint64_t last;  /* the last byte, included */
	uint64_t total; /* the object's size; UINT64_MAX where the server writes "*" */
};

/*
 * The class of a status that is no success for what was asked, with its words. 2xx and 304 are
 * NAL_CLASS_OK and leave `err` alone.
 */
enum nal_class httpanswer_class(long status, struct err *err);

/* "bytes 0-99/1000", or a star for the total; numbers below 2^63, first <= last < total. */
bool httpanswer_range(struct httpanswer_range *out, const char *text) MUST_USE;

/*
 * The condition token of an answer: its ETag, else its Last-Modified, else "". Values that are too
 * long or hold control characters count as absent. Either argument may be NULL.
 */
void httpanswer_token(char out[WAY_TOKEN_SIZE], const char *etag, const char *last_modified);

/*
 * The request header that asks conditionally by a token of ours, such as `If-None-Match: "x"`;
 * false for a text that is no such token. `dst` has room for WAY_TOKEN_SIZE + 32.
 */
bool httpanswer_condition(char *dst, const char *token) MUST_USE;

#endif

/*
 * JSON documents, read strictly and written in two forms, over jansson.
 *
 * Reading refuses what a hostile or careless writer could use: duplicate keys, nesting deeper than
 * JSONDOC_DEPTH_MAX, NUL, bytes behind the document, invalid UTF-8, integers past 2^53. The size is
 * the caller's business: whoever reads bytes from others caps them first.
 *
 * Values are jansson's json_t; keep them in json_auto_t or decref them.
 *
 * PURE.
 */
#ifndef COMMON_JSONDOC_H
#define COMMON_JSONDOC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define JSONDOC_DEPTH_MAX 32
#define JSONDOC_INT_MAX   ((int64_t)1 << 53)

/* Parse one document; the caller owns the result. ERR_FORMAT says where it went wrong. */
bool jsondoc_read(json_t **out, struct span bytes, struct err *err) MUST_USE;

/*
 * Append the OLPC canonical form that TUF signs: keys sorted by bytes, no spaces, only backslash
 * and quote escaped. ERR_FORMAT if the document holds a number that is no integer.
 */
bool jsondoc_canonical(struct buf *out, const json_t *doc, struct err *err) MUST_USE;

/* Append a compact form with sorted keys, for files and pipes. */
void jsondoc_write(struct buf *out, const json_t *doc);

/*
 * Members of an object, by type. The first three return NULL, `fallback` or `fallback` where the
 * member is absent or of another type; texts are borrowed from the document.
 */
const char *jsondoc_text(const json_t *object, const char *key);
int64_t jsondoc_int(const json_t *object, const char *key, int64_t fallback);
bool jsondoc_flag(const json_t *object, const char *key, bool fallback);

/* Members that must be there; ERR_FORMAT names the key. Texts and objects are borrowed. */
bool jsondoc_need_text(const char **out, const json_t *object, const char *key, struct err *err)
	MUST_USE;
bool jsondoc_need_int(int64_t *out, const json_t *object, const char *key, int64_t min, int64_t max,
		      struct err *err) MUST_USE;
bool jsondoc_need_array(json_t **out, const json_t *object, const char *key, size_t max_items,
			struct err *err) MUST_USE;
bool jsondoc_need_object(json_t **out, const json_t *object, const char *key, struct err *err)
	MUST_USE;

/* Set a member, taking over `value`; NULL values of text become JSON null. */
void jsondoc_set(json_t *object, const char *key, json_t *value);
void jsondoc_set_text(json_t *object, const char *key, const char *text);
void jsondoc_set_int(json_t *object, const char *key, int64_t value);
void jsondoc_set_flag(json_t *object, const char *key, bool value);
void jsondoc_set_time(json_t *object, const char *key, int64_t unix_s); /* RFC 3339 text */

/* A JSON string from foreign bytes: what is not UTF-8 is escaped as \xNN text first. */
json_t *jsondoc_new_text(const char *text) MUST_USE;

/* The fault as {"code","what","why","fix"}; the caller owns it. */
json_t *jsondoc_new_error(const struct err *err) MUST_USE;

/* The other way round: the fault that another process of ours reported. Returns false always. */
bool jsondoc_take_error(struct err *err, const json_t *object);

#endif

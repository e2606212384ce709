/*
 * What the readers and writers of the policy documents share: members with limits, arrays of texts,
 * times, the document's frame.
 *
 * PURE.
 */
#ifndef POLICY_DOCS_READ_H
#define POLICY_DOCS_READ_H

#include "policy/docs.h"

/* Parse the frame: size, JSON, "format": 1. The caller owns *json_out. */
bool docs_read_frame(json_t **json_out, struct span bytes, struct err *err) MUST_USE;

/* An optional text: *out is NULL where the member is null or absent; another type is a fault. */
bool docs_read_text(const char **out, const json_t *object, const char *key, struct err *err)
	MUST_USE;

/* A text that `is_fine` accepts. */
bool docs_read_checked(const char **out, const json_t *object, const char *key,
		       bool (*is_fine)(const char *), struct err *err) MUST_USE;

/* An array of texts into `texts` (room for `max`). */
bool docs_read_texts(const char **texts, size_t *count_out, const json_t *object, const char *key,
		     size_t max, struct err *err) MUST_USE;

/* An array of texts of any length up to `max`, newly allocated; the caller frees *texts_out. */
bool docs_read_new_texts(const char ***texts_out, size_t *count_out, const json_t *object,
			 const char *key, size_t max, struct err *err) MUST_USE;

/* An optional RFC 3339 time, DOCS_NEVER where null. */
bool docs_read_time(int64_t *out, const json_t *object, const char *key, struct err *err) MUST_USE;

/* An optional integer, DOCS_NEVER where null. */
bool docs_read_optional_int(int64_t *out, const json_t *object, const char *key, int64_t min,
			    int64_t max, struct err *err) MUST_USE;

/* Set a time, or null for DOCS_NEVER; the same for an integer. */
void docs_read_put_time(json_t *object, const char *key, int64_t unix_s);
void docs_read_put_int(json_t *object, const char *key, int64_t value);
void docs_read_put_texts(json_t *object, const char *key, const char *const *texts, size_t count);

/* "bin": two lower-case hex digits below DOCS_BINS. */
bool docs_read_bin(unsigned int *out, const json_t *doc, struct err *err) MUST_USE;
void docs_read_put_bin(json_t *object, unsigned int bin);

/* Append the canonical form and drop `json`. */
void docs_read_finish(struct buf *out, json_t *json);

/* True for "HH:MM-HH:MM", 64 hex digits, 32 hex digits, a UUID's form. */
bool docs_read_is_window(const char *text);
bool docs_read_is_digest(const char *text);
bool docs_read_is_uuid(const char *text);

#endif

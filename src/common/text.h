/*
 * Small text functions: escaping for terminals, numbers, names, UTF-8.
 *
 * PURE.
 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "common/span.h"

/*
 * Copy `src` as one printable line: control characters (C0, DEL, C1, and those of Unicode that turn
 * or hide what stands beside them), and bytes that are not valid UTF-8 become \n, \t or \xNN. At
 * most `size` - 1 bytes are written, then a terminator; an escape or character that does not fit
 * whole is left out.
 */
void text_escape_line(char *dst, size_t size, const char *src);
void text_escape_span(char *dst, size_t size, struct span src);

/* Copy `src` as it is; a character that does not fit whole into `size` - 1 bytes ends it. */
void text_cut(char *dst, size_t size, const char *src);

/* True if `bytes` is valid UTF-8 (RFC 3629: no surrogates, no overlong forms). NUL is allowed. */
bool text_is_utf8(struct span bytes);

/* True if nobody would see anything: no character but white space and joiners, Unicode's too. */
bool text_is_blank(const char *text);

/* Lower-case hexadecimal of `size` bytes; `dst` has room for 2 * size + 1. */
void text_hex(char *dst, const uint8_t *src, size_t size);

/* Exactly `size` bytes from 2 * size hexadecimal digits of either case; nothing may follow. */
bool text_unhex(uint8_t *dst, size_t size, const char *hex) MUST_USE;

/* A whole decimal number within [min, max]; no sign, space or other characters. */
bool text_u64(uint64_t *out, const char *text, uint64_t min, uint64_t max) MUST_USE;

/*
 * A name that an admin gives to a system, group, collection or program: 1 to 64 characters from
 * letters, digits, '.', '_' and '-', not beginning with '.' or '-'.
 */
bool text_is_name(const char *text);

/* Package ids and advertisement ids: three of [A-Z0-9] and five upper-case hex digits. */
bool text_is_object_id(const char *text);

/* Client ids: 32 lower-case hex digits. */
bool text_is_client_id(const char *text);

/* Equality without regard to ASCII case, whatever the locale. */
bool text_equal_nocase(const char *a, const char *b);

/*
 * Sizes and rates: a decimal number, perhaps with a fraction, and K, M, G, T (powers of 1000) or
 * KiB, MiB, GiB, TiB (powers of 1024), each with or without B; a rate may end with /s.
 */
bool text_size(uint64_t *bytes_out, const char *text) MUST_USE;

/* Durations: a number and s, m, h or d; a bare number is seconds. Result in seconds. */
bool text_duration(uint64_t *seconds_out, const char *text) MUST_USE;

/* A size for people, as in "20.4 MB"; `dst` has room for 32 bytes. */
void text_print_size(char *dst, uint64_t bytes);

#endif

/*
 * Registry exports of Windows: "REGEDIT4" (8 bits, taken as Windows-1252 where it is not UTF-8) and
 * "Windows Registry Editor Version 5.00" (UTF-16 with or without its mark, or UTF-8).
 *
 *     regfile_read → keys and values in the file's order → regfile_release
 *
 * PURE.
 */
#ifndef NAL_REGFILE_H
#define NAL_REGFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define REGFILE_BYTES_MAX  ((size_t)1 << 20)
#define REGFILE_VALUES_MAX 16384

enum regfile_type {
	REGFILE_TEXT,   /* "…" */
	REGFILE_NUMBER, /* dword:, or hex(4): with its four bytes */
	REGFILE_OTHER,  /* hex: of any kind; checked and left out */
};

/* Values that the export deletes are left out, and so are those of keys that it deletes. */
struct regfile_value {
	const char *key; /* "HKEY_LOCAL_MACHINE\SOFTWARE\…" */
	char *name;      /* "" is the key's default value */
	enum regfile_type type;
	char *text; /* REGFILE_TEXT; else NULL */
	uint32_t number;
};

struct regfile {
	char **keys;
	size_t key_count;
	struct regfile_value *values;
	size_t count;
};

/* `out` must be empty. ERR_FORMAT with the line, ERR_LIMIT. */
bool regfile_read(struct regfile *out, struct span bytes, struct err *err) MUST_USE;
void regfile_release(struct regfile *f);
SCOPED_RELEASE(regfile);

#endif

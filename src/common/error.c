#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

static const struct {
	const char *name;
	enum exit_code exit;
	const char *fix;
} codes[] = {
#define X(symbol, name, exit, fix) [ERR_##symbol] = { name, exit, fix },
	ERR_LIST(X)
#undef X
};
static_assert(COUNT_OF(codes) == ERR_COUNT_, "every code has a row");

/* Foreign bytes may stand in any text: control characters never reach a terminal or log. */
PRINTF_LIKE(2, 0) static void put(char *dst, const char *fmt, va_list args)
{
	char raw[ERR_TEXT_MAX];

	vsnprintf(raw, sizeof(raw), fmt, args);
	text_escape_line(dst, ERR_TEXT_MAX, raw);
}

bool err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list args;

	err_clear(err);
	err->code = code;
	va_start(args, fmt);
	put(err->why, fmt, args);
	va_end(args);
	return false;
}

static enum err_code finer_code(enum err_code code, int sys_errno)
{
	switch (sys_errno) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_DISK_FULL;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_PERMISSION;
	case ENOMEM:
		return ERR_MEMORY;
	case ENOENT:
		return code == ERR_IO ? ERR_NOT_FOUND : code;
	default:
		return code;
	}
}

bool err_sys(struct err *err, enum err_code code, int sys_errno, const char *fmt, ...)
{
	va_list args;
	size_t used;

	err_clear(err);
	err->code = finer_code(code, sys_errno);
	err->sys_errno = sys_errno;
	va_start(args, fmt);
	put(err->why, fmt, args);
	va_end(args);
	used = strlen(err->why);
	snprintf(err->why + used, sizeof(err->why) - used, ": %s", strerror(sys_errno));
	if (sys_errno == EMFILE || sys_errno == ENFILE)
		err_fix(err, "allow it more open files (ulimit -n), at least %d", ERR_FILES_MIN);
	return false;
}

bool err_what(struct err *err, const char *fmt, ...)
{
	va_list args;

	if (err->what[0] != '\0')
		return false;
	va_start(args, fmt);
	put(err->what, fmt, args);
	va_end(args);
	return false;
}

bool err_fix(struct err *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put(err->fix, fmt, args);
	va_end(args);
	return false;
}

const char *err_name(enum err_code code)
{
	assert(code < ERR_COUNT_);
	return codes[code].name;
}

enum exit_code err_exit(enum err_code code)
{
	assert(code < ERR_COUNT_);
	return codes[code].exit;
}

const char *err_advice(enum err_code code)
{
	assert(code < ERR_COUNT_);
	return codes[code].fix;
}

enum err_code err_by_name(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(codes); i++)
		if (strcmp(codes[i].name, name) == 0)
			return (enum err_code)i;
	return ERR_INTERNAL;
}

const char *err_fix_text(const struct err *err)
{
	return err->fix[0] != '\0' ? err->fix : err_advice(err->code);
}

void err_clear(struct err *err)
{
	*err = (struct err){ .code = ERR_NONE };
}

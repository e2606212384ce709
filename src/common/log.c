#include "common/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/text.h"

static struct {
	const char *program;
	enum log_level level;
} sink = { .program = "packway", .level = LOG_NORMAL };

static void take_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/", O_PATH);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void log_setup(const char *program, enum log_level level)
{
	take_standard_descriptors();
	sink.program = program;
	sink.level = level;
}

PRINTF_LIKE(2, 0) static void line(const char *prefix, const char *fmt, va_list args)
{
	char raw[2048], safe[2048];

	vsnprintf(raw, sizeof(raw), fmt, args);
	text_escape_line(safe, sizeof(safe), raw);
	fprintf(stderr, "%s: %s%s\n", sink.program, prefix, safe);
}

void log_warn(const char *fmt, ...)
{
	va_list args;

	if (sink.level < LOG_NORMAL)
		return;
	va_start(args, fmt);
	line("warning: ", fmt, args);
	va_end(args);
}

void log_note(const char *fmt, ...)
{
	va_list args;

	if (sink.level < LOG_NORMAL)
		return;
	va_start(args, fmt);
	line("", fmt, args);
	va_end(args);
}

void log_debug(const char *fmt, ...)
{
	va_list args;

	if (sink.level < LOG_VERBOSE)
		return;
	va_start(args, fmt);
	line("", fmt, args);
	va_end(args);
}

void log_error(const struct err *err)
{
	fprintf(stderr, "%s: %s\n  %s\n  %s [%s]\n", sink.program,
		err->what[0] != '\0' ? err->what : ERR_WHAT_UNSAID, err->why, err_fix_text(err),
		err_name(err->code));
}

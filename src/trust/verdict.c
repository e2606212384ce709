#include "trust/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum err_code code;
	const char *attack;
	const char *text;
} rows[] = {
#define X(symbol, name, code, attack, text) [VERDICT_##symbol] = { name, ERR_##code, attack, text },
	VERDICT_LIST(X)
#undef X
};
static_assert(COUNT_OF(rows) == VERDICT_COUNT_, "every verdict has a name");

const char *verdict_name(enum verdict verdict)
{
	assert(verdict < VERDICT_COUNT_);
	return rows[verdict].name;
}

const char *verdict_text(enum verdict verdict)
{
	assert(verdict < VERDICT_COUNT_);
	return rows[verdict].text;
}

const char *verdict_attack(enum verdict verdict)
{
	assert(verdict < VERDICT_COUNT_);
	return rows[verdict].attack;
}

enum err_code verdict_code(enum verdict verdict)
{
	assert(verdict < VERDICT_COUNT_);
	return rows[verdict].code;
}

enum verdict verdict_set(struct err *err, enum verdict verdict, const char *fmt, ...)
{
	char why[ERR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	err_set(err, verdict_code(verdict), "%s (%s)", why, verdict_name(verdict));
	return verdict;
}

enum verdict verdict_wrap(struct err *err, enum verdict verdict, const char *subject)
{
	char why[ERR_TEXT_MAX];

	memcpy(why, err->why, sizeof(why));
	return verdict_set(err, verdict, "%s: %s", subject, why);
}

#include "trust/pathmatch.h"

#include <stddef.h>
#include <stdint.h>

/* The code point at `*p`, which is moved behind it. The text is valid UTF-8. */
static uint32_t take_char(const char **p)
{
	const uint8_t *s = (const uint8_t *)*p;
	uint32_t point = s[0];
	size_t more = point < 0x80 ? 0 : point < 0xe0 ? 1 : point < 0xf0 ? 2 : 3;

	if (more > 0)
		point &= 0x3fu >> more;
	for (size_t i = 1; i <= more && (s[i] & 0xc0) == 0x80; i++)
		point = point << 6 | (s[i] & 0x3fu);
	*p += 1;
	while ((**p & 0xc0) == 0x80)
		*p += 1;
	return point;
}

/* The end of the set that opens before `p`: its ']', or NULL where '[' stands for itself. */
static const char *set_end(const char *p)
{
	if (*p == '!')
		p++;
	if (*p == ']')
		p++;
	while (*p != '\0' && *p != ']' && *p != '/')
		p++;
	return *p == ']' ? p : NULL;
}

static bool set_has(const char *p, const char *end, uint32_t c)
{
	bool negated = *p == '!';
	bool found = false;

	if (negated)
		p++;
	while (p < end) {
		uint32_t low = take_char(&p);
		uint32_t high = low;

		if (*p == '-' && p + 1 < end) {
			p++;
			high = take_char(&p);
		}
		if (c >= low && c <= high)
			found = true;
	}
	return found != negated;
}

/* Match one pattern element other than '*' against one character; both move on success. */
static bool match_one(const char **pattern, const char **path)
{
	const char *next = *pattern;
	uint32_t want = take_char(&next);
	uint32_t c;

	if (**path == '\0')
		return false;
	c = take_char(path);
	if (want == '[') {
		const char *end = set_end(next);

		if (end != NULL) {
			*pattern = end + 1;
			return c != '/' && set_has(next, end, c);
		}
	}
	*pattern = next;
	return want == '?' ? c != '/' : c == want;
}

bool pathmatch_glob(const char *pattern, const char *path)
{
	const char *star = NULL; /* behind the last '*', where a mismatch goes back to */
	const char *from = NULL; /* what that '*' has not swallowed yet */

	while (*path != '\0' || *pattern != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			from = path;
			continue;
		}
		if (*pattern != '\0' && match_one(&pattern, &path))
			continue;
		if (star == NULL || *from == '\0' || *from == '/')
			return false;
		(void)take_char(&from);
		path = from;
		pattern = star;
	}
	return true;
}

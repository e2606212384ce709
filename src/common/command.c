#include "common/command.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/path.h"

#define CONTENT_MARK "{content}"

void command_release(struct command *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->words[i]);
	free(c->words);
	*c = (struct command){ 0 };
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool keeps_backslash_meaning(char c)
{
	return c == '"' || c == '\\' || c == '$' || c == '`';
}

/* Each take_* reads its part at *p into `word` and leaves *p behind it; false: the text ended. */
static bool take_single_quoted(struct buf *word, const char **p)
{
	const char *end = strchr(*p, '\'');

	if (end == NULL)
		return false;
	buf_put(word, *p, (size_t)(end - *p));
	*p = end + 1;
	return true;
}

static bool take_double_quoted(struct buf *word, const char **p)
{
	for (; **p != '"'; (*p)++) {
		if (**p == '\0')
			return false;
		if (**p == '\\' && (*p)[1] == '\n') {
			(*p)++;
			continue;
		}
		if (**p == '\\' && keeps_backslash_meaning((*p)[1]))
			(*p)++;
		buf_put_u8(word, (uint8_t) * *p);
	}
	(*p)++;
	return true;
}

static bool take_escaped(struct buf *word, const char **p)
{
	if (**p == '\0')
		return false;
	if (**p != '\n')
		buf_put_u8(word, (uint8_t) * *p);
	(*p)++;
	return true;
}

static bool take_word(struct buf *word, const char **p, struct err *err)
{
	while (**p != '\0' && !is_blank(**p)) {
		char c = *(*p)++;

		if (c == '\'' && !take_single_quoted(word, p))
			return err_set(err, ERR_FORMAT, "command: a ' is never closed");
		if (c == '"' && !take_double_quoted(word, p))
			return err_set(err, ERR_FORMAT, "command: a \" is never closed");
		if (c == '\\' && !take_escaped(word, p))
			return err_set(err, ERR_FORMAT,
				       "command: nothing follows the last backslash");
		if (c != '\'' && c != '"' && c != '\\')
			buf_put_u8(word, (uint8_t)c);
	}
	return true;
}

static bool split_words(struct command *c, const char *p, struct err *err)
{
	for (;;) {
		SCOPED(buf) struct buf word = { 0 };

		while (is_blank(*p))
			p++;
		if (*p == '\0')
			return true;
		if (c->count == COMMAND_WORDS_MAX)
			return err_set(err, ERR_LIMIT, "command: more than %d words",
				       COMMAND_WORDS_MAX);
		if (!take_word(&word, &p, err))
			return false;
		c->words[c->count++] = buf_take(&word);
	}
}

bool command_split(struct command *out, const char *text, struct err *err)
{
	SCOPED(command) struct command c = { 0 };
	size_t size = strlen(text);

	*out = c;
	if (size > COMMAND_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "command: %zu characters, at most %d are read", size,
			       COMMAND_BYTES_MAX);
	c.words = alloc_zeroed(COMMAND_WORDS_MAX + 1, sizeof(*c.words));
	if (!split_words(&c, text, err))
		return false;
	if (c.count == 0 || c.words[0][0] == '\0')
		return err_set(err, ERR_FORMAT, "command: it names no program");
	*out = c;
	c = (struct command){ 0 };
	return true;
}

static char *replaced(const char *word, const char *folder)
{
	SCOPED(buf) struct buf text = { 0 };

	for (const char *at; (at = strstr(word, CONTENT_MARK)) != NULL;
	     word = at + strlen(CONTENT_MARK)) {
		buf_put(&text, word, (size_t)(at - word));
		buf_put_text(&text, folder);
	}
	buf_put_text(&text, word);
	return buf_take(&text);
}

void command_place(struct command *c, const char *folder)
{
	for (size_t i = 0; i < c->count; i++) {
		char *word = replaced(c->words[i], folder);

		free(c->words[i]);
		c->words[i] = word;
	}
}

bool command_file(char **path_out, const struct command *c, const char *folder, struct err *err)
{
	const char *word = c->words[0];

	if (word[0] == '/') {
		*path_out = alloc_text(word);
		return true;
	}
	if (strcmp(word, "sh") == 0) {
		*path_out = alloc_text("/bin/sh");
		return true;
	}
	while (strncmp(word, "./", 2) == 0)
		word += 2;
	if (!path_is_beneath(span_of_text(word)))
		return err_set(err, ERR_REFUSED, "command: \"%s\" is no file of the content",
			       c->words[0]);
	*path_out = path_join(folder, word);
	return true;
}

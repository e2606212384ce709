#include "cli/explain.h"

#include "common/jsondoc.h"

static const struct print_column candidate_columns[] = {
	{ "server", PRINT_TEXT, NULL }, { "address", PRINT_TEXT, NULL },
	{ "tier", PRINT_TEXT, NULL },   { "rank", PRINT_TEXT, NULL },
	{ "way", PRINT_TEXT, NULL },    { "excluded", PRINT_TEXT, NULL },
	{ "until", PRINT_TEXT, NULL },  { NULL },
};

static const struct print_column attempt_columns[] = {
	{ "server", PRINT_TEXT, NULL },
	{ "way", PRINT_TEXT, NULL },
	{ "class", PRINT_TEXT, NULL },
	{ "ms", PRINT_TEXT, NULL },
	{ NULL },
};

void explain_print(struct print *p, const json_t *decision)
{
	const char *because = jsondoc_text(decision, "because");
	const json_t *candidates = json_object_get(decision, "candidates");
	const json_t *attempts = json_object_get(decision, "attempts");
	int64_t left_out = jsondoc_int(json_object_get(decision, "left_out"), "candidates", 0);

	print_result(p, decision, "%s", because != NULL ? because : "no sentence was recorded");
	if (print_is_json(p))
		return;
	if (json_is_array(candidates))
		print_section(p, "candidates", candidate_columns, candidates);
	if (left_out > 0)
		print_note(p, "and %lld more candidates, which the record had no room for",
			   (long long)left_out);
	if (json_array_size(attempts) > 0)
		print_section(p, "attempts", attempt_columns, attempts);
}

/*
 * Run one .case file of the choice: given lines (tests/support/choice.h), then what to expect.
 *
 *     chosen NAME WAY [AT] | chosen none     order NAME…          excluded NAME REASON [in SECONDS]
 *     tier NAME N                            wait KIND [MINUTES]  valid N
 *     because TEXT                           reach yes|no         group NAME|none
 *
 * With --table the choice is printed as the Markdown table of docs/choosing.md instead.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/text.h"
#include "nal/because.h"
#include "nal/decision.h"
#include "support/choice.h"

struct run {
	struct choice *choice;
	struct select_result result;
	struct decision *decision;
	int failed;
};

static void fail(struct run *run, const char *line, const char *got)
{
	printf("  expected \"%s\", got \"%s\"\n", line, got);
	run->failed++;
}

static void check(struct run *run, const char *line, const char *want, const char *got)
{
	if (strcmp(want, got) != 0)
		fail(run, line, got);
}

static const struct select_row *row_of(const struct run *run, const char *name)
{
	for (size_t i = 0; i < run->result.count; i++)
		if (strcmp(run->result.rows[i].candidate->name, name) == 0)
			return &run->result.rows[i];
	printf("  no server '%s'\n", name);
	exit(1);
}

static void chosen(struct run *run, const char *line, char *want)
{
	const struct select_row *row = &run->result.rows[0];
	SCOPED_TEXT char *got = NULL;

	if (run->result.usable == 0)
		got = alloc_text("none");
	else
		got = alloc_printf("%s %s%s%s", row->candidate->name, waykind_name(row->way),
				   row->at != NULL ? " " : "", row->at != NULL ? row->at : "");
	check(run, line, want, got);
}

static void order(struct run *run, const char *line, char *want)
{
	SCOPED(buf) struct buf got = { 0 };

	for (size_t i = 0; i < run->result.usable; i++)
		buf_printf(&got, "%s%s", i > 0 ? " " : "", run->result.rows[i].candidate->name);
	check(run, line, want, buf_text(&got));
}

static void excluded(struct run *run, const char *line, char *want)
{
	char *rest = NULL, *name = strtok_r(want, " ", &rest);
	const struct select_row *row = row_of(run, name);
	SCOPED(buf) struct buf got = { 0 };

	buf_put_text(&got, select_reason_name(row->reason));
	if (row->until_s != 0)
		buf_printf(&got, " in %" PRId64, row->until_s - CHOICE_NOW_S);
	check(run, line, rest, buf_text(&got));
}

static void tier(struct run *run, const char *line, char *want)
{
	char *rest = NULL, *name = strtok_r(want, " ", &rest);
	SCOPED_TEXT char *got = alloc_printf("%u", row_of(run, name)->tier);

	check(run, line, rest, got);
}

static void wait_for(struct run *run, const char *line, char *want)
{
	SCOPED(buf) struct buf got = { 0 };

	buf_put_text(&got, select_wait_name(run->result.wait));
	if (run->result.wait_until_s != 0)
		buf_printf(&got, " %" PRId64, (run->result.wait_until_s - CHOICE_NOW_S) / 60);
	check(run, line, want, buf_text(&got));
}

static void valid(struct run *run, const char *line, char *want)
{
	SCOPED_TEXT char *got = alloc_printf("%zu", run->result.valid);

	check(run, line, want, got);
}

static void because(struct run *run, const char *line, char *want)
{
	check(run, line, want, run->decision->because);
}

static void reach(struct run *run, const char *line, char *want)
{
	check(run, line, want, select_can_reach(&run->choice->input) ? "yes" : "no");
}

static void group(struct run *run, const char *line, char *want)
{
	const struct boundary_group *found = run->result.match.group;

	check(run, line, want, found != NULL ? found->name : "none");
}

static void expect(struct run *run, const char *line)
{
	static const struct {
		const char *word;
		void (*check)(struct run *, const char *, char *);
	} checks[] = {
		{ "chosen ", chosen },   { "order ", order },   { "excluded ", excluded },
		{ "tier ", tier },       { "wait ", wait_for }, { "valid ", valid },
		{ "because ", because }, { "reach ", reach },   { "group ", group },
	};

	for (size_t i = 0; i < COUNT_OF(checks); i++) {
		size_t size = strlen(checks[i].word);

		if (strncmp(line, checks[i].word, size) == 0) {
			SCOPED_TEXT char *want = alloc_text(line + size);

			checks[i].check(run, line, want);
			return;
		}
	}
	fail(run, line, "no check of that name");
}

static void choose(struct run *run)
{
	const struct select_input *in = &run->choice->input;
	const struct decision_about about = {
		.package = in->kind == KIND_DP ? in->object : NULL,
		.version = 3,
		.kind = in->kind,
		.context = "system",
		.seed = in->seed,
		.time_s = in->now_s,
	};

	select_run(&run->result, in);
	run->decision = decision_new(&run->result, &about);
}

static void print_terms(const struct select_terms *t)
{
	printf("%s%s%s", t->session == WAYKIND_EVIDENCE_PATH ? "session " : "",
	       t->mount == WAYKIND_EVIDENCE_PATH ? "mount " : "", t->is_sticky ? "sticky " : "");
	if (t->goodput_bps > 0) {
		char rate[32];

		text_print_size(rate, t->goodput_bps);
		printf("%s/s ", rate);
	}
	printf("%s", t->is_slow ? "slow " : "");
}

static void print_row(const struct select_row *row)
{
	printf("| %s | ", row->candidate->name);
	if (row->tier != SELECT_TIER_NONE)
		printf("%u", row->tier);
	printf(" | ");
	if (row->reason == SELECT_USABLE) {
		printf("%u | %s | ", row->rank, waykind_name(row->way));
		print_terms(&row->terms);
	} else {
		printf(" | | left out: %s", select_reason_name(row->reason));
		if (row->until_s != 0)
			printf(", for %" PRId64 " min", (row->until_s - CHOICE_NOW_S + 59) / 60);
		printf(" ");
	}
	printf("|\n");
}

static void print_table(const struct run *run)
{
	printf("| server | tier | rank | way | terms |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < run->result.count; i++)
		print_row(&run->result.rows[i]);
	printf("\n> %s\n", run->decision->because);
}

static bool take_given(struct run *run, const char *line)
{
	struct err err;

	if (choice_line(run->choice, line, &err))
		return true;
	printf("  %s: %s\n", line, err.why);
	run->failed++;
	return false;
}

static void run_text(struct run *run, char *text)
{
	bool expecting = false;
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		line += strspn(line, " ");
		if (strcmp(line, "expect") == 0) {
			choose(run);
			expecting = true;
		} else if (line[0] == '#' || strcmp(line, "given") == 0) {
			continue;
		} else if (expecting) {
			expect(run, line);
		} else if (!take_given(run, line)) {
			return;
		}
	}
	if (run->decision == NULL)
		choose(run);
}

int main(int argc, char **argv)
{
	bool as_table = argc == 3 && strcmp(argv[1], "--table") == 0;
	struct run run = { .choice = choice_new() };
	SCOPED(buf) struct buf text = { 0 };
	struct err err;

	if (argc < 2 || !path_read(&text, argv[argc - 1], 1 << 20, &err)) {
		fprintf(stderr, "usage: select_case [--table] FILE.case\n");
		return 2;
	}
	buf_put_u8(&text, '\0');
	run_text(&run, (char *)text.data);
	if (as_table)
		print_table(&run);
	decision_free(run.decision);
	select_result_release(&run.result);
	choice_free(run.choice);
	return run.failed > 0;
}

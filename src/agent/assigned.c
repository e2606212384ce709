#include "agent/assigned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"

#define SAVES "saves" /* how often told.json was saved; no advertisement is named so */

static void read_assignment(struct schedule_assignment *a, const json_t *row)
{
	const json_t *after = json_object_get(row, "run_after");
	const char *window = jsondoc_text(row, "window");
	const char *rerun = jsondoc_text(row, "rerun");
	const char *state = jsondoc_text(row, "state");

	*a = (struct schedule_assignment){
		.advertisement = jsondoc_text(row, "advertisement"),
		.serial = (uint64_t)jsondoc_int(row, "serial", 1),
		.package = jsondoc_text(row, "package"),
		.program = jsondoc_text(row, "program"),
		.after_package = jsondoc_text(after, "package"),
		.after_program = jsondoc_text(after, "program"),
		.stopped = state != NULL && strcmp(state, "stopped") == 0,
		.available_s = schedule_time(row, "available"),
		.mandatory_s = schedule_time(row, "mandatory"),
		.expires_s = schedule_time(row, "expires"),
	};
	a->has_window = window != NULL && clock_window_parse(&a->window, window);
	if (rerun == NULL || !schedule_parse_rerun(&a->rerun, rerun))
		a->rerun = SCHEDULE_RERUN_NEVER;
}

/* Our own child wrote the plan, so a row without its names is a bug of ours: it is left out all the
 * same. */
static bool is_whole(const json_t *row)
{
	static const char *const needed[] = { "advertisement", "package", "program", "command" };

	for (size_t i = 0; i < COUNT_OF(needed); i++)
		if (jsondoc_text(row, needed[i]) == NULL)
			return false;
	return true;
}

static void read_content(struct assigned *p, size_t index)
{
	const json_t *wait = json_object_get(p->waits, p->assignments[index].advertisement);

	p->contents[index] = (struct schedule_content){
		.reason = jsondoc_text(wait, "text"),
		.until_s = schedule_time(wait, "until"),
	};
}

static void read_plan(struct assigned *p)
{
	const json_t *rows = json_object_get(p->doc, "assignments");
	size_t count = json_array_size(rows);

	p->assignments = alloc_zeroed(count, sizeof(*p->assignments));
	p->contents = alloc_zeroed(count, sizeof(*p->contents));
	for (size_t i = 0; i < count && is_whole(json_array_get(rows, i)); i++) {
		read_assignment(&p->assignments[i], json_array_get(rows, i));
		read_content(p, i);
		p->count++;
	}
	p->expires_s = schedule_time(json_object_get(p->doc, "trusted"), "expires");
}

bool assigned_load(struct assigned *out, const struct state *st, struct err *err)
{
	*out = (struct assigned){ 0 };
	if (!state_read_json(&out->doc, st, "plan.json", err) ||
	    !state_read_json(&out->told, st, "told.json", err) ||
	    !state_read_json(&out->waits, st, "waits.json", err)) {
		assigned_release(out);
		return false;
	}
	if (out->doc == NULL)
		out->doc = json_object();
	if (out->told == NULL)
		out->told = json_object();
	if (out->waits == NULL)
		out->waits = json_object();
	read_plan(out);
	return true;
}

void assigned_release(struct assigned *p)
{
	json_decref(p->doc);
	json_decref(p->told);
	json_decref(p->waits);
	free(p->assignments);
	free(p->contents);
	*p = (struct assigned){ 0 };
}

const json_t *assigned_row(const struct assigned *p, size_t index)
{
	assert(index < p->count);
	return json_array_get(json_object_get(p->doc, "assignments"), index);
}

size_t assigned_find(const struct assigned *p, const char *package, const char *program,
		     size_t from)
{
	for (size_t i = from; i < p->count; i++)
		if (strcmp(p->assignments[i].package, package) == 0 &&
		    strcmp(p->assignments[i].program, program) == 0)
			return i;
	return SIZE_MAX;
}

void assigned_set_wait(struct assigned *p, size_t index, const char *text, int64_t until_s)
{
	json_t *wait = json_object();

	jsondoc_set_text(wait, "text", text);
	if (until_s != SCHEDULE_NEVER)
		jsondoc_set_time(wait, "until", until_s);
	jsondoc_set(p->waits, p->assignments[index].advertisement, wait);
	read_content(p, index);
}

void assigned_set_ready(struct assigned *p, size_t index)
{
	json_object_del(p->waits, p->assignments[index].advertisement);
	p->contents[index] = (struct schedule_content){ .ready = true, .until_s = SCHEDULE_NEVER };
}

bool assigned_is_new(const struct assigned *p, size_t index)
{
	const struct schedule_assignment *a = &p->assignments[index];
	SCOPED_TEXT char *front = alloc_printf("%llu ", (unsigned long long)a->serial);
	const char *before = jsondoc_text(p->told, a->advertisement);

	return before == NULL || strncmp(before, front, strlen(front)) != 0;
}

static char *new_word(const struct assigned *p, size_t index, const char *state)
{
	return alloc_printf("%llu %s", (unsigned long long)p->assignments[index].serial, state);
}

bool assigned_is_told(const struct assigned *p, size_t index, const char *state)
{
	SCOPED_TEXT char *now = new_word(p, index, state);
	const char *before = jsondoc_text(p->told, p->assignments[index].advertisement);

	return before != NULL && strcmp(before, now) == 0;
}

void assigned_tell(struct assigned *p, size_t index, const char *state)
{
	SCOPED_TEXT char *now = new_word(p, index, state);

	jsondoc_set_text(p->told, p->assignments[index].advertisement, now);
}

char *assigned_key(const struct assigned *p, size_t index, const char *state)
{
	const struct schedule_assignment *a = &p->assignments[index];

	/* A state may come again; between two saves it does not. */
	return alloc_printf("%s-%llu/%s/%lld", a->advertisement, (unsigned long long)a->serial,
			    state, (long long)jsondoc_int(p->told, SAVES, 0));
}

/* Only what is still assigned stays. */
static json_t *still_assigned(const struct assigned *p, const json_t *of)
{
	json_t *kept = json_object();

	for (size_t i = 0; i < p->count; i++) {
		const char *id = p->assignments[i].advertisement;
		json_t *value = json_object_get(of, id);

		if (value != NULL)
			jsondoc_set(kept, id, json_incref(value));
	}
	return kept;
}

bool assigned_save(const struct assigned *p, const struct state *st, struct err *err)
{
	json_auto_t *told = still_assigned(p, p->told);
	json_auto_t *waits = still_assigned(p, p->waits);

	jsondoc_set_int(told, SAVES, jsondoc_int(p->told, SAVES, 0) + 1);
	return state_write_json(st, "told.json", told, err) &&
	       state_write_json(st, "waits.json", waits, err);
}

#include "agent/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/orphan.h"
#include "common/alloc.h"
#include "common/bootid.h"
#include "common/clock.h"
#include "common/crc32.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"

#define HISTORY_NAME  "history"
#define LINE_MAX      512
#define STARTED_MAX   256
#define ATTEMPTS_MAX  1000000
#define FOLDER_MODE   0700
#define FILE_MODE     0600
#define COMPACT_SPARE 256 /* superseded lines that are tolerated */

static const char *const outcome_names[] = {
	[JOURNAL_NONE] = "none",
	[JOURNAL_SUCCEEDED] = "succeeded",
	[JOURNAL_SUCCEEDED_RESTART] = "succeeded-restart",
	[JOURNAL_FAILED] = "failed",
	[JOURNAL_TIMED_OUT] = "timed-out",
	[JOURNAL_NOT_STARTED] = "not-started",
	[JOURNAL_INTERRUPTED] = "interrupted",
};
static_assert(COUNT_OF(outcome_names) == JOURNAL_OUTCOME_COUNT_, "every outcome has a name");

const char *journal_outcome_name(enum journal_outcome outcome)
{
	assert(outcome < JOURNAL_OUTCOME_COUNT_);
	return outcome_names[outcome];
}

void journal_list_release(struct journal_list *list)
{
	free(list->runs);
	*list = (struct journal_list){ 0 };
}

static struct journal_run *add_run(struct journal_list *list)
{
	ALLOC_GROW(list->runs, list->count);
	list->runs[list->count] = (struct journal_run){ .code = -1 };
	return &list->runs[list->count++];
}

static int compare_runs(const void *a, const void *b)
{
	const struct journal_run *x = a, *y = b;
	int by_id = strcmp(x->advertisement, y->advertisement);

	if (by_id != 0)
		return by_id;
	if (x->serial != y->serial)
		return x->serial < y->serial ? -1 : 1;
	return (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

static void sort_list(struct journal_list *list)
{
	if (list->count > 1)
		qsort(list->runs, list->count, sizeof(*list->runs), compare_runs);
}

static bool same_key(const struct journal_run *a, const char *advertisement, uint64_t serial)
{
	return a->serial == serial && strcmp(a->advertisement, advertisement) == 0;
}

const struct journal_run *journal_last(const struct journal_list *list, const char *advertisement,
				       uint64_t serial)
{
	struct journal_run key = { .serial = serial, .attempt = UINT32_MAX };
	size_t low = 0, high = list->count;

	snprintf(key.advertisement, sizeof(key.advertisement), "%s", advertisement);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_runs(&list->runs[middle], &key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low > 0 && same_key(&list->runs[low - 1], advertisement, serial)) {
		if (list->runs[low - 1].phase != JOURNAL_UNSTARTED)
			return &list->runs[low - 1];
		low--;
	}
	return NULL;
}

static bool is_success(enum journal_outcome outcome)
{
	return outcome == JOURNAL_SUCCEEDED || outcome == JOURNAL_SUCCEEDED_RESTART;
}

bool journal_has_succeeded(const struct journal_list *list, const char *package,
			   const char *program)
{
	for (size_t i = 0; i < list->count; i++)
		if (is_success(list->runs[i].outcome) &&
		    strcmp(list->runs[i].package, package) == 0 &&
		    strcmp(list->runs[i].program, program) == 0)
			return true;
	return false;
}

/* History lines: words separated by blanks, the last the CRC of what stands before it. */

static const char *or_dash(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

static void put_line(struct buf *out, const struct journal_run *r, const char *boot)
{
	size_t start = out->size;
	uint32_t crc;

	buf_printf(out, "%s %" PRIu64 " %u %s %u %s %s %d %" PRId64 " %" PRId64 " %s",
		   r->advertisement, r->serial, r->attempt, or_dash(r->package), r->version,
		   or_dash(r->program), journal_outcome_name(r->outcome), r->code, r->started_s,
		   r->ended_s, or_dash(boot));
	crc = crc32_of(span_of(out->data + start, out->size - start));
	buf_printf(out, " %08x\n", crc);
}

static bool outcome_by_name(enum journal_outcome *out, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(outcome_names); i++) {
		if (strcmp(outcome_names[i], name) == 0) {
			*out = (enum journal_outcome)i;
			return true;
		}
	}
	return false;
}

/* Every field is bounded by its format; the CRC has vouched for the line before it gets here. */
static bool take_line(struct journal_run *out, const char *line, const char *boot_now)
{
	struct journal_run r = { .phase = JOURNAL_ENDED, .settled = true };
	char outcome[32], boot[40];

	if (sscanf(line, "%8s %" SCNu64 " %u %8s %u %64s %31s %d %" SCNd64 " %" SCNd64 " %39s",
		   r.advertisement, &r.serial, &r.attempt, r.package, &r.version, r.program,
		   outcome, &r.code, &r.started_s, &r.ended_s, boot) != 11 ||
	    !text_is_object_id(r.advertisement) || !outcome_by_name(&r.outcome, outcome))
		return false;
	if (strcmp(r.package, "-") == 0)
		r.package[0] = '\0';
	if (strcmp(r.program, "-") == 0)
		r.program[0] = '\0';
	r.restart_pending = r.outcome == JOURNAL_SUCCEEDED_RESTART && strcmp(boot, boot_now) == 0;
	*out = r;
	return true;
}

static bool crc_is_right(struct span line)
{
	char text[9];
	uint8_t want[4];
	uint32_t crc;

	if (line.size < 10 || line.size >= LINE_MAX)
		return false;
	memcpy(text, line.data + line.size - 8, 8);
	text[8] = '\0';
	crc = crc32_of(span_of(line.data, line.size - 9));
	return text_unhex(want, sizeof(want), text) &&
	       crc == ((uint32_t)want[0] << 24 | (uint32_t)want[1] << 16 | (uint32_t)want[2] << 8 |
		       want[3]);
}

static char *history_path(const struct journal *j)
{
	return path_join(j->dir, HISTORY_NAME);
}

/* A line torn by a kill was never acknowledged: its run still has its folder. */
static bool load_history(struct journal_list *list, size_t *lines_out, const struct journal *j,
			 struct err *err)
{
	SCOPED_TEXT char *path = history_path(j);
	SCOPED(buf) struct buf bytes = { 0 };
	char boot[BOOTID_SIZE], text[LINE_MAX];
	struct span rest, line;

	*lines_out = 0;
	/* Only a history that is not there is an empty one: what it holds must not run again. */
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return true;
	if (!path_read(&bytes, path, JOURNAL_HISTORY_MAX, err))
		return false;
	bootid_read(boot);
	rest = buf_span(&bytes);
	while (span_take_line(&rest, &line)) {
		struct journal_run run;

		(*lines_out)++;
		if (!crc_is_right(line))
			continue;
		memcpy(text, line.data, line.size);
		text[line.size] = '\0';
		if (take_line(&run, text, boot))
			*add_run(list) = run;
	}
	return true;
}

char *journal_folder(const struct journal *j, const struct journal_run *run)
{
	return alloc_printf("%s/%s-%" PRIu64 "-%u", j->dir, run->advertisement, run->serial,
			    run->attempt);
}

static bool parse_folder_name(struct journal_run *run, const char *name)
{
	char serial[24];
	const char *dash;
	uint64_t attempt;

	if (strlen(name) < 12 || strlen(name) > 48 || name[8] != '-')
		return false;
	snprintf(run->advertisement, sizeof(run->advertisement), "%.8s", name);
	dash = strchr(name + 9, '-');
	if (dash == NULL || (size_t)(dash - name - 9) >= sizeof(serial))
		return false;
	snprintf(serial, sizeof(serial), "%.*s", (int)(dash - name - 9), name + 9);
	if (!text_is_object_id(run->advertisement) ||
	    !text_u64(&run->serial, serial, 0, INT64_MAX) ||
	    !text_u64(&attempt, dash + 1, 1, ATTEMPTS_MAX))
		return false;
	run->attempt = (uint32_t)attempt;
	return true;
}

static bool read_doc(json_t **out, const char *folder, const char *name, struct err *err)
{
	SCOPED_TEXT char *path = path_join(folder, name);
	SCOPED(buf) struct buf bytes = { 0 };

	return path_read(&bytes, path, JOURNAL_DOC_MAX, err) &&
	       jsondoc_read(out, buf_span(&bytes), err);
}

/* True if no process of the run is left. */
static bool lock_is_free(const char *folder)
{
	SCOPED_TEXT char *path = path_join(folder, "lock");
	SCOPED_FD int fd = open(path, O_RDWR | O_CLOEXEC);

	/* A lock that cannot be looked at is taken for held: a second run is worse than a late one.
	 */
	return fd < 0 ? errno == ENOENT : flock(fd, LOCK_SH | LOCK_NB) == 0;
}

static bool has_started(struct journal_run *run, const char *folder)
{
	SCOPED_TEXT char *path = path_join(folder, "started");
	SCOPED(buf) struct buf text = { 0 };
	struct stat st;
	struct err ignored;

	/* What cannot be looked at is taken for started, as a lock is for held. */
	if (stat(path, &st) != 0)
		return errno != ENOENT;
	if (st.st_size == 0)
		return false;
	run->started_s = st.st_mtime;
	run->executed = path_read(&text, path, STARTED_MAX, &ignored) &&
			strstr(buf_text(&text), "\n" JOURNAL_EXECUTED) != NULL;
	return true;
}

static bool contains_code(const json_t *codes, json_int_t code)
{
	const json_t *one;
	size_t i;

	json_array_foreach (codes, i, one)
		if (json_is_integer(one) && json_integer_value(one) == code)
			return true;
	return false;
}

enum journal_outcome journal_judge(int *code_out, const json_t *intent, const json_t *result)
{
	const json_t *exit_code = json_object_get(result, "exit");
	const json_t *sig = json_object_get(result, "signal");
	const json_t *success = json_object_get(intent, "success");

	*code_out = -1;
	if (result == NULL)
		return JOURNAL_INTERRUPTED;
	if (json_is_integer(exit_code))
		*code_out = (int)json_integer_value(exit_code);
	else if (json_is_integer(sig))
		*code_out = 128 + (int)json_integer_value(sig);
	if (jsondoc_text(result, "error") != NULL)
		return JOURNAL_NOT_STARTED;
	if (jsondoc_flag(result, "timed_out", false))
		return JOURNAL_TIMED_OUT;
	if (!json_is_integer(exit_code))
		return json_is_integer(sig) ? JOURNAL_FAILED : JOURNAL_INTERRUPTED;
	if (contains_code(json_object_get(intent, "restart"), *code_out))
		return JOURNAL_SUCCEEDED_RESTART;
	if (json_array_size(success) > 0 ? contains_code(success, *code_out) : *code_out == 0)
		return JOURNAL_SUCCEEDED;
	return JOURNAL_FAILED;
}

static void take_intent(struct journal_run *run, const json_t *intent)
{
	const char *package = jsondoc_text(intent, "package");
	const char *program = jsondoc_text(intent, "program");

	if (package != NULL && text_is_object_id(package))
		snprintf(run->package, sizeof(run->package), "%s", package);
	if (program != NULL && text_is_name(program))
		snprintf(run->program, sizeof(run->program), "%s", program);
	run->version = (uint32_t)jsondoc_int(intent, "version", 0);
}

static void take_result(struct journal_run *run, const json_t *intent, const json_t *result)
{
	const char *boot = jsondoc_text(result, "boot");
	const char *ended = jsondoc_text(result, "ended");
	char boot_now[BOOTID_SIZE];

	run->phase = JOURNAL_ENDED;
	run->outcome = journal_judge(&run->code, intent, result);
	if (ended == NULL || !clock_parse(&run->ended_s, ended))
		run->ended_s = run->started_s;
	bootid_read(boot_now);
	run->restart_pending = run->outcome == JOURNAL_SUCCEEDED_RESTART && boot != NULL &&
			       strcmp(boot, boot_now) == 0;
}

/* In this order: a result is written before the lock is given up, and what holds the lock may yet
 * start. */
static enum journal_phase look(struct journal_run *run, const char *folder)
{
	SCOPED_TEXT char *result = path_join(folder, "result");
	bool is_free = lock_is_free(folder);
	bool started = has_started(run, folder);

	if (path_exists(result)) {
		/* Start and end may both have come since. */
		(void)has_started(run, folder);
		return JOURNAL_ENDED;
	}
	if (!is_free)
		return JOURNAL_RUNNING;
	return started ? JOURNAL_ENDED : JOURNAL_UNSTARTED;
}

enum journal_phase journal_peek(const char *folder)
{
	struct journal_run ignored = { 0 };

	return look(&ignored, folder);
}

static void load_folder(struct journal_run *run, const char *folder)
{
	SCOPED_TEXT char *told = path_join(folder, "told");
	SCOPED_TEXT char *result_path = path_join(folder, "result");
	SCOPED_TEXT char *overdue = path_join(folder, ORPHAN_MARK);
	json_auto_t *intent = NULL, *result = NULL;
	struct err err;

	if (!read_doc(&intent, folder, "intent", &err))
		log_warn("run %s: %s", path_base(folder), err.why);
	take_intent(run, intent);
	run->started_told = path_exists(told);
	run->overdue = path_exists(overdue);
	run->phase = look(run, folder);
	if (run->phase != JOURNAL_ENDED)
		return;
	/* A result that cannot be read is none. */
	if (path_exists(result_path) && !read_doc(&result, folder, "result", &err))
		result = NULL;
	take_result(run, intent, result);
}

/* In the history already: the folder outlived the kill that came behind the line. */
static bool is_settled(const struct journal_list *list, size_t settled, const struct journal_run *r)
{
	for (size_t i = 0; i < settled; i++)
		if (compare_runs(&list->runs[i], r) == 0)
			return true;
	return false;
}

/* First out of sight in one step: a folder that lost `started` before `intent` would look as if
 * nothing had run. */
static void remove_folder(const char *folder)
{
	SCOPED_TEXT char *gone = alloc_printf("%.*s.gone-%s", (int)(path_base(folder) - folder),
					      folder, path_base(folder));
	struct err err;

	if (rename(folder, gone) == 0)
		(void)path_remove_tree(gone, &err);
}

static bool load_folders(struct journal_list *list, const struct journal *j, struct err *err)
{
	size_t settled = list->count;
	DIR *dir = opendir(j->dir);
	const struct dirent *e;

	if (dir == NULL)
		return err_sys(err, ERR_IO, errno, "journal %s", j->dir);
	while ((e = readdir(dir)) != NULL) {
		struct journal_run run = { .code = -1 };
		SCOPED_TEXT char *folder = NULL;

		if (!parse_folder_name(&run, e->d_name))
			continue;
		folder = path_join(j->dir, e->d_name);
		if (is_settled(list, settled, &run)) {
			remove_folder(folder);
			continue;
		}
		load_folder(&run, folder);
		*add_run(list) = run;
	}
	closedir(dir);
	return true;
}

/* Of settled runs of one key only the last counts. The list is sorted. */
static void drop_superseded(struct journal_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct journal_run *r = &list->runs[i];

		if (r->settled && i + 1 < list->count &&
		    same_key(r, list->runs[i + 1].advertisement, list->runs[i + 1].serial) &&
		    list->runs[i + 1].settled)
			continue;
		list->runs[kept++] = *r;
	}
	list->count = kept;
}

bool journal_load(struct journal_list *out, const struct journal *j, struct err *err)
{
	size_t lines;

	*out = (struct journal_list){ 0 };
	if (!load_history(out, &lines, j, err) || !load_folders(out, j, err)) {
		journal_list_release(out);
		return false;
	}
	sort_list(out);
	drop_superseded(out);
	return true;
}

/* Folders that were never finished or are already done with. Harmless; so are failures here. */
static void remove_leftovers(const struct journal *j)
{
	DIR *dir = opendir(j->dir);
	const struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		SCOPED_TEXT char *path = path_join(j->dir, e->d_name);
		struct err err;

		if (strncmp(e->d_name, ".new-", 5) == 0 || strncmp(e->d_name, ".gone-", 6) == 0)
			(void)path_remove_tree(path, &err);
	}
	if (dir != NULL)
		closedir(dir);
}

/* Rewrite the history without superseded and torn lines once they are many. */
static bool compact_history(const struct journal *j, struct err *err)
{
	SCOPED(journal_list) struct journal_list list = { 0 };
	SCOPED_TEXT char *path = history_path(j);
	SCOPED(buf) struct buf text = { 0 };
	char boot[BOOTID_SIZE];
	size_t lines;

	if (!load_history(&list, &lines, j, err))
		return false;
	sort_list(&list);
	drop_superseded(&list);
	if (lines <= list.count + list.count / 2 + COMPACT_SPARE)
		return true;
	bootid_read(boot);
	for (size_t i = 0; i < list.count; i++)
		put_line(&text, &list.runs[i], list.runs[i].restart_pending ? boot : "");
	return newfile_write(path, FILE_MODE, buf_span(&text), err);
}

bool journal_open(struct journal *j, const char *dir, uint32_t wait_ms, struct err *err)
{
	SCOPED_TEXT char *lock = path_join(dir, "lock");

	*j = (struct journal)JOURNAL_CLOSED;
	if (!path_make_dirs(dir, FOLDER_MODE, err) || !path_lock(&j->lock, lock, wait_ms, err))
		return err_what(err, "cannot open the run journal %s", dir);
	j->dir = alloc_text(dir);
	remove_leftovers(j);
	return true;
}

void journal_close(struct journal *j)
{
	free(j->dir);
	path_close_fd(&j->lock);
	*j = (struct journal)JOURNAL_CLOSED;
}

/* Make the folder with its lock held and its intent in it, then give it its name. */
static bool make_folder(int *lock_out, const struct journal *j, const char *folder,
			const json_t *intent, struct err *err)
{
	SCOPED_TEXT char *temp = alloc_printf("%s/.new-%s", j->dir, path_base(folder));
	SCOPED_TEXT char *intent_path = path_join(temp, "intent");
	SCOPED_TEXT char *lock_path = path_join(temp, "lock");
	SCOPED(buf) struct buf text = { 0 };
	int lock = -1;

	if (!path_make_dirs(temp, FOLDER_MODE, err) || !path_lock(&lock, lock_path, 0, err))
		return false;
	jsondoc_write(&text, intent);
	if (!newfile_write(intent_path, FILE_MODE, buf_span(&text), err)) {
		close(lock);
		return false;
	}
	if (rename(temp, folder) != 0) {
		close(lock);
		return err_sys(err, ERR_IO, errno, "run folder %s", folder);
	}
	if (!path_sync_dir(j->dir, err)) {
		(void)!journal_abandon(folder, lock);
		return false;
	}
	*lock_out = lock;
	return true;
}

static bool may_run_again(const struct journal_run *last, enum journal_again again)
{
	/* A start that failed is none: nothing of the program ran. */
	if (last == NULL || again == JOURNAL_ALWAYS || last->outcome == JOURNAL_NOT_STARTED)
		return true;
	return again == JOURNAL_UNLESS_SUCCESS && !is_success(last->outcome);
}

static void remove_unstarted(const struct journal *j, const struct journal_list *list,
			     const struct journal_run *key)
{
	for (size_t i = 0; i < list->count; i++) {
		SCOPED_TEXT char *folder = NULL;

		if (list->runs[i].phase != JOURNAL_UNSTARTED ||
		    !same_key(&list->runs[i], key->advertisement, key->serial))
			continue;
		folder = journal_folder(j, &list->runs[i]);
		remove_folder(folder);
	}
}

static bool read_key(struct journal_run *key, const json_t *intent, struct err *err)
{
	const char *advertisement;
	int64_t serial;

	if (!jsondoc_need_text(&advertisement, intent, "advertisement", err) ||
	    !jsondoc_need_int(&serial, intent, "serial", 0, INT64_MAX, err))
		return false;
	if (!text_is_object_id(advertisement))
		return err_set(err, ERR_FORMAT, "\"%s\" is no advertisement", advertisement);
	snprintf(key->advertisement, sizeof(key->advertisement), "%s", advertisement);
	key->serial = (uint64_t)serial;
	return true;
}

enum journal_begin journal_begin(char **folder_out, int *lock_out, const struct journal *j,
				 json_t *intent, enum journal_again again, int64_t now_s,
				 struct err *err)
{
	SCOPED(journal_list) struct journal_list list = { 0 };
	struct journal_run key = { 0 };
	const struct journal_run *last;

	if (!read_key(&key, intent, err) || !journal_load(&list, j, err))
		return JOURNAL_FAULT;
	last = journal_last(&list, key.advertisement, key.serial);
	if (last != NULL && last->phase == JOURNAL_RUNNING)
		return JOURNAL_IS_BUSY;
	if (!may_run_again(last, again))
		return JOURNAL_HAS_RUN;
	remove_unstarted(j, &list, &key);
	key.attempt = last != NULL ? last->attempt + 1 : 1;
	jsondoc_set_int(intent, "attempt", key.attempt);
	jsondoc_set_time(intent, "time", now_s);
	*folder_out = journal_folder(j, &key);
	if (make_folder(lock_out, j, *folder_out, intent, err))
		return JOURNAL_BEGUN;
	free(*folder_out);
	*folder_out = NULL;
	return JOURNAL_FAULT;
}

bool journal_abandon(const char *folder, int lock)
{
	SCOPED_TEXT char *result = path_join(folder, "result");
	struct journal_run ignored;

	/* Only once ours is gone does the lock tell whether others have it. */
	close(lock);
	if (!lock_is_free(folder) || has_started(&ignored, folder) || path_exists(result))
		return false;
	remove_folder(folder);
	return true;
}

bool journal_read(json_t **intent_out, json_t **result_out, const struct journal *j,
		  const struct journal_run *run, struct err *err)
{
	SCOPED_TEXT char *folder = journal_folder(j, run);
	SCOPED_TEXT char *result = path_join(folder, "result");

	*intent_out = *result_out = NULL;
	if (!read_doc(intent_out, folder, "intent", err))
		return false;
	if (!path_exists(result) || read_doc(result_out, folder, "result", err))
		return true;
	json_decref(*intent_out);
	*intent_out = NULL;
	return false;
}

bool journal_mark_told(const struct journal *j, const struct journal_run *run, struct err *err)
{
	SCOPED_TEXT char *folder = journal_folder(j, run);
	SCOPED_TEXT char *path = path_join(folder, "told");

	return newfile_write(path, FILE_MODE, span_of("1\n", 2), err);
}

/* Behind a torn last line a new one needs a fresh start. */
static bool ends_with_newline(int fd)
{
	struct stat st;
	char last;

	return fstat(fd, &st) == 0 &&
	       (st.st_size == 0 || (pread(fd, &last, 1, st.st_size - 1) == 1 && last == '\n'));
}

static bool append_history(const struct journal *j, const struct journal_run *run, struct err *err)
{
	SCOPED_TEXT char *path = history_path(j);
	SCOPED(buf) struct buf text = { 0 };
	SCOPED_FD int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, FILE_MODE);
	char boot[BOOTID_SIZE] = "";

	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "file %s", path);
	if (!ends_with_newline(fd))
		buf_put_text(&text, "\n");
	if (run->restart_pending)
		bootid_read(boot);
	put_line(&text, run, boot);
	if (!path_write_fd(fd, buf_span(&text), err))
		return false;
	if (fsync(fd) != 0)
		return err_sys(err, ERR_IO, errno, "file %s", path);
	return path_sync_dir(j->dir, err);
}

bool journal_settle(const struct journal *j, const struct journal_run *run, struct err *err)
{
	SCOPED_TEXT char *folder = journal_folder(j, run);

	assert(run->phase == JOURNAL_ENDED);
	if (run->settled || !path_exists(folder))
		return true;
	if (!append_history(j, run, err))
		return err_what(err, "cannot keep the outcome of %s", run->advertisement);
	remove_folder(folder);
	return compact_history(j, err);
}

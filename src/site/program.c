#include "site/program.h"

#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/command.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "common/text.h"
#include "site/checks.h"
#include "site/package.h"

/* A chain of run-after is followed this far; a longer one is refused. */
#define CHAIN_MAX 64

static bool read_codes(json_t *codes, const char *text, const char *option, struct err *err)
{
	SCOPED_TEXT char *copy = alloc_text(text);
	char *rest = copy, *word;

	while ((word = strsep(&rest, ",")) != NULL) {
		uint64_t code;

		if (!text_u64(&code, word, 0, PROGRAM_CODE_MAX))
			return err_set(err, ERR_USAGE,
				       "--%s: \"%s\" is not an exit code between 0 and %d", option,
				       word, PROGRAM_CODE_MAX);
		if (json_array_size(codes) >= PROGRAM_CODES_MAX)
			return err_set(err, ERR_LIMIT, "--%s: at most %d exit codes are kept",
				       option, PROGRAM_CODES_MAX);
		json_array_append_new(codes, json_integer((json_int_t)code));
	}
	return true;
}

/* The lists as one JSON text; the caller frees it. */
static bool codes_text(char **out, const char *const *lists, size_t count, const char *option,
		       struct err *err)
{
	json_auto_t *codes = json_array();
	SCOPED(buf) struct buf text = { 0 };

	for (size_t i = 0; i < count; i++)
		if (!read_codes(codes, lists[i], option, err))
			return false;
	jsondoc_write(&text, codes);
	*out = buf_take(&text);
	return true;
}

static bool read_run_after(char **package_out, char **program_out, const char *text,
			   struct err *err)
{
	const char *colon;

	if (text == NULL)
		return true;
	colon = strchr(text, ':');
	if (colon == NULL)
		return err_set(err, ERR_USAGE, "--run-after: \"%s\" is not ID:NAME", text);
	*package_out = alloc_printf("%.*s", (int)(colon - text), text);
	*program_out = alloc_text(colon + 1);
	return checks_object_id(*package_out, "a package", err);
}

static bool program_exists(bool *out, struct site *site, const char *package, const char *name,
			   struct err *err)
{
	int64_t found;

	if (!db_number(&found, site->db, STMT_PROGRAM_EXISTS,
		       DB_ARGS(db_text(package), db_text(name)), 0, err))
		return false;
	*out = found != 0;
	return true;
}

/* One step along the chain; *package becomes NULL at its end. Both are replaced and owned. */
static bool follow(struct site *site, char **package, char **name, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_PROGRAM_AFTER,
				       DB_ARGS(db_text(*package), db_text(*name)));
	bool goes_on = db_rows_next(&rows);

	alloc_text_free(package);
	alloc_text_free(name);
	*package = goes_on ? alloc_text(db_rows_text(&rows, 0)) : NULL;
	*name = goes_on ? alloc_text(db_rows_text(&rows, 1)) : NULL;
	return db_rows_finish(&rows, err);
}

/*
 * A program waits for one that exists before it, so a circle can only be closed by a program that
 * names itself; the walk is there for databases that were mended by hand.
 */
static bool check_chain(struct site *site, const struct program_spec *spec, const char *package,
			const char *name, struct err *err)
{
	SCOPED_TEXT char *at_package = alloc_text(package);
	SCOPED_TEXT char *at_name = alloc_text(name);
	bool exists;

	if (package == NULL)
		return true;
	if (strcmp(package, spec->package) == 0 && strcmp(name, spec->name) == 0)
		return err_set(err, ERR_REFUSED, "program \"%s\" cannot run after itself", name);
	if (!program_exists(&exists, site, package, name, err))
		return false;
	if (!exists)
		return err_set(err, ERR_NOT_FOUND, "--run-after: package %s has no program \"%s\"",
			       package, name);
	for (int i = 0; at_package != NULL; i++) {
		if (i >= CHAIN_MAX ||
		    (strcmp(at_package, spec->package) == 0 && strcmp(at_name, spec->name) == 0))
			return err_set(
				err, ERR_REFUSED,
				"run-after of \"%s\" leads in a circle, or further than %d programs",
				spec->name, CHAIN_MAX);
		if (!follow(site, &at_package, &at_name, err))
			return false;
	}
	return true;
}

static bool check_command(const char *text, struct err *err)
{
	SCOPED(command) struct command words = { 0 };
	SCOPED_TEXT char *file = NULL;
	struct err inner = { 0 };

	if (command_split(&words, text, &inner) && command_file(&file, &words, "/", &inner))
		return true;
	return err_set(err, ERR_USAGE, "--command: %s", inner.why);
}

static bool check_account(const char *as, struct err *err)
{
	if (as == NULL || text_is_name(as))
		return true;
	return err_set(err, ERR_USAGE, "--as: \"%s\" is neither root, user nor an account's name",
		       as);
}

/* A place that some machine may have: absolute, and no way out of itself. */
static bool is_place(const char *mount)
{
	return mount[0] == '/' && path_is_beneath(span_of_text(mount + 1));
}

static bool check_mount(const struct program_spec *spec, struct err *err)
{
	if (spec->mount == NULL || strcmp(spec->mount, "none") == 0)
		return !spec->keep ||
		       err_set(err, ERR_USAGE, "--keep: there is no mount to be kept");
	if (strcmp(spec->mount, "any") != 0 && !is_place(spec->mount))
		return err_set(err, ERR_USAGE,
			       "--mount: \"%s\" is neither none, any nor an absolute path",
			       spec->mount);
	return !spec->keep || spec->mount[0] == '/' ||
	       err_set(err, ERR_USAGE, "--keep: a mount that is kept needs a path of its own");
}

static bool add_row(struct site *site, const struct program_spec *spec, const char *after_package,
		    const char *after_program, struct err *err)
{
	static const char *const zero[] = { "0" };
	SCOPED_TEXT char *success = NULL;
	SCOPED_TEXT char *restart = NULL;

	if (!codes_text(&success, spec->success_count > 0 ? spec->success : zero,
			spec->success_count > 0 ? spec->success_count : 1, "success", err) ||
	    !codes_text(&restart, spec->restart, spec->restart_count, "restart-codes", err))
		return false;
	if (db_run(site->db, STMT_PROGRAM_ADD,
		   DB_ARGS(db_text(spec->package), db_text(spec->name), db_text(spec->command),
			   db_int((int64_t)spec->timeout_s), db_text(success), db_text(restart),
			   db_text(after_package), db_text(after_program),
			   db_text(spec->rerun != NULL ? spec->rerun : "never"),
			   db_text(spec->as != NULL ? spec->as : "root"),
			   db_text(spec->mount != NULL ? spec->mount : "none"), db_int(spec->keep)),
		   err))
		return true;
	if (err->code == ERR_EXISTS)
		err_set(err, ERR_EXISTS, "package %s has a program \"%s\" already", spec->package,
			spec->name);
	return false;
}

bool program_add(struct site *site, const struct program_spec *spec, struct err *err)
{
	SITE_UNDO struct site *undo = site;
	SCOPED_TEXT char *after_package = NULL;
	SCOPED_TEXT char *after_program = NULL;

	return check_command(spec->command, err) && check_account(spec->as, err) &&
	       check_mount(spec, err) &&
	       read_run_after(&after_package, &after_program, spec->run_after, err) &&
	       site_begin(site, err) && package_check(site, spec->package, err) &&
	       check_chain(site, spec, after_package, after_program, err) &&
	       add_row(site, spec, after_package, after_program, err) &&
	       site_commit_policy(site, err);
}

static bool looks_secret(const char *word)
{
	static const char *const marks[] = { "passw",  "passphrase", "secret",  "token",
					     "apikey", "api-key",    "api_key", "credential" };
	const char *scheme = strstr(word, "://"), *at;

	for (size_t i = 0; i < COUNT_OF(marks); i++)
		if (strcasestr(word, marks[i]) != NULL)
			return true;
	at = scheme != NULL ? strchr(scheme, '@') : NULL;
	return at != NULL && memchr(scheme + 3, ':', (size_t)(at - scheme - 3)) != NULL;
}

char *program_find_secret(const char *command)
{
	SCOPED(command) struct command words = { 0 };
	struct err ignored;

	if (!command_split(&words, command, &ignored))
		return NULL;
	for (size_t i = 0; i < words.count; i++)
		if (looks_secret(words.words[i]))
			return alloc_text(words.words[i]);
	return NULL;
}

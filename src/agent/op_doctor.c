/*
 * The operation `doctor`: what a person would check by hand: clock, disk, DNS, proxy, trust, the
 * accounts for servers, and each CAP and DP, rung by rung.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/logons.h"
#include "agent/op.h"
#include "agent/sandbox.h"
#include "agent/scene.h"
#include "agent/workroom.h"
#include "common/alloc.h"
#include "common/path.h"
#include "nal/logon.h"
#include "nal/mounts.h"
#include "nal/probe.h"

#define DISK_LOW_BYTES (512ull << 20)

struct examination {
	struct worker *w;
	json_t *checks;
	int64_t failed;
};

/* Takes over `text`. */
static void add(struct examination *e, const char *check, const char *subject, bool fine,
		json_t *text)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "check", check);
	jsondoc_set_text(row, "subject", subject);
	jsondoc_set_text(row, "result", fine ? "ok" : "failed");
	jsondoc_set(row, "text", text);
	json_array_append_new(e->checks, row);
	if (!fine)
		e->failed++;
}

static void check_disk(struct examination *e)
{
	struct statvfs info;
	uint64_t free_bytes;

	if (statvfs(e->w->state.dir, &info) != 0) {
		add(e, "disk", e->w->state.dir, false, json_string("cannot be asked"));
		return;
	}
	free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
	add(e, "disk", e->w->state.dir, free_bytes >= DISK_LOW_BYTES,
	    json_sprintf("%llu MB free", (unsigned long long)(free_bytes / 1000000)));
}

static void check_sandbox(struct examination *e)
{
	const struct sandbox *s = e->w->options.sandbox;
	const char *missing = "not entered";
	bool whole = s != NULL && sandbox_is_whole(&missing, s);

	/* An old kernel is no fault of this machine's setup. */
	add(e, "sandbox", "packway-worker", s != NULL,
	    json_string(whole ? "capabilities, system calls and files are given up" : missing));
}

/* Root's alone it need not be: what a fault in it can write is then root's. */
static void check_account(struct examination *e)
{
	if (e->w->state.owner != 0)
		add(e, "worker", "packway-worker", true,
		    json_sprintf("has your own account, %u: without root there is one",
				 (unsigned int)geteuid()));
	else if (geteuid() != 0)
		add(e, "worker", "packway-worker", true,
		    json_sprintf("has an account of its own, %u: what only root may enter or write "
				 "is out of its reach",
				 (unsigned int)geteuid()));
	else
		add(e, "worker", "packway-worker", true,
		    json_string("is root: there is no account " WORKROOM_ACCOUNT_DEFAULT
				", or worker-user says so"));
}

static void check_trust(struct examination *e)
{
	struct policyset *policy = scene_policy(e->w->scene);
	struct updater_state state;
	char until[CLOCK_TEXT_MAX];

	if (policy == NULL) {
		add(e, "trust", "policy", false, json_string("there is no trusted policy yet"));
		return;
	}
	policyset_state(&state, policy);
	clock_print(until, state.expires);
	add(e, "trust", "policy", state.expires > state.now_s,
	    json_sprintf("version %lld, in force until %s", (long long)state.timestamp, until));
	add(e, "clock", "this machine", state.clock != UPDATER_CLOCK_FAR_BEHIND,
	    json_string(state.clock == UPDATER_CLOCK_FINE
				? "not behind what was seen before"
				: "behind the time of the last accepted policy"));
}

static void check_proxy(struct examination *e)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "all_proxy" };

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (getenv(names[i]) != NULL)
			add(e, "proxy", names[i], true, json_string("set: requests go through it"));
}

static const char *kind_name_of(const struct credentialfile_section *s)
{
	return credential_kind_name(credential_kind_of(s->kind));
}

static void check_accounts(struct examination *e)
{
	SCOPED(credential_set) struct credential_set *set = logons_load(&e->w->state);

	for (size_t i = 0; i < credential_fault_count(set); i++)
		add(e, "account", CREDENTIAL_FOLDER_NAME, false,
		    jsondoc_new_text(credential_fault(set, i)->why));
	for (size_t i = 0; i < credential_count(set); i++) {
		struct credential_row row = credential_row_at(set, i);
		SCOPED_TEXT char *server = credentialfile_server_text(&row.section->server);
		bool is_refused = logon_was_refused(scene_memory(e->w->scene), row.fingerprint);
		const char *user = row.section->user;
		SCOPED_TEXT char *text = alloc_printf(
			"%s%s", user != NULL ? user : kind_name_of(row.section),
			is_refused ? ": the server refused it; it rests until it is set anew" : "");

		add(e, "account", server, !is_refused, jsondoc_new_text(text));
	}
}

static void check_name(struct examination *e, const struct locator *where)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	int rc;

	if (where->host[0] == '\0')
		return;
	rc = getaddrinfo(where->host, NULL, &hints, &found);
	add(e, "dns", where->host, rc == 0, json_string(rc == 0 ? "resolves" : gai_strerror(rc)));
	if (rc == 0)
		freeaddrinfo(found);
}

/* An inbox that only root may write: records would wait for another CAP. */
static void check_inbox(struct examination *e, const struct docs_system *s,
			const struct locator *where)
{
	SCOPED_TEXT char *inbox = NULL;

	if (s->kind != DOCS_CAP || s->inbox != NULL || where->scheme != LOCATOR_FILE)
		return;
	inbox = path_join(where->path, "inbox");
	if (faccessat(AT_FDCWD, inbox, W_OK | X_OK, AT_EACCESS) != 0 && errno == EACCES)
		add(e, "inbox", inbox, false,
		    json_sprintf("the account %u may not write it: chmod 1733 makes it everybody's "
				 "to write, worker-user = root in packway.conf makes it root",
				 (unsigned int)geteuid()));
}

static void check_address(struct examination *e, const struct docs_system *s, const char *address)
{
	struct locator where = { 0 };
	struct way_target target = {
		.where = &where,
		.server = s->name,
		.marker = WAY_MARKER_IF_PRESENT,
		.kind = s->kind == DOCS_CAP ? MARKER_CAP : MARKER_DP,
		.uuid = s->uuid,
	};
	const struct probe_step *last;
	struct probe probe;
	struct err err;

	if (!locator_parse_argument(&where, address, &err)) {
		add(e, s->kind == DOCS_CAP ? "cap" : "dp", address, false, json_string(err.why));
		return;
	}
	check_name(e, &where);
	probe_run(&probe, scene_conntab(e->w->scene), &target);
	last = probe.count > 0 ? &probe.steps[probe.count - 1] : NULL;
	add(e, s->kind == DOCS_CAP ? "cap" : "dp", address, probe.presence != PROBE_ABSENT,
	    json_sprintf("%s: %s%s%s%s%s", s->name,
			 probe.presence == PROBE_PRESENT  ? "present"
			 : probe.presence == PROBE_ABSENT ? "absent"
							  : "not known",
			 last != NULL ? " by " : "",
			 last != NULL ? probe_rung_name(last->rung) : "",
			 last != NULL && last->err.why[0] != '\0' ? ": " : "",
			 last != NULL ? last->err.why : ""));
	/* It has answered: this does not hang. */
	if (probe.presence == PROBE_PRESENT)
		check_inbox(e, s, &where);
	locator_release(&where);
}

static bool only_root_enters(const struct mounts *table, const char *at)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct mounts_entry *m = &table->entries[i];

		if (strcmp(m->target, at) == 0 && !m->is_hidden && m->fuse_uid == 0)
			return !m->allows_other;
	}
	return false;
}

/* The kernel lets nobody into a FUSE mount but who made it, whatever rights somebody else has. */
static void check_mounts(struct examination *e)
{
	json_auto_t *rows = scene_connections(e->w->scene);
	SCOPED(mounts) struct mounts table = { 0 };
	const json_t *row;
	struct err ignored;
	size_t i;

	if (e->w->state.owner != 0 || geteuid() == 0 ||
	    !mounts_read(&table, e->w->options.mounts, &ignored))
		return;
	json_array_foreach (rows, i, row) {
		const char *at = jsondoc_text(row, "at");

		if (at != NULL && only_root_enters(&table, at))
			add(e, "mount", at, false,
			    json_string("only root may enter it: mount it with allow_other, or "
					"set worker-user = root in packway.conf"));
	}
}

static void check_systems(struct examination *e)
{
	const struct docs_site *site = scene_site(e->w->scene);

	if (site == NULL)
		return;
	for (size_t i = 0; i < site->system_count; i++)
		for (size_t k = 0; k < site->systems[i].address_count; k++)
			check_address(e, &site->systems[i], site->systems[i].addresses[k]);
}

bool op_doctor(json_t **result_out, struct worker *w, const json_t *request UNUSED, struct err *err)
{
	struct examination e = { .w = w };

	if ((w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err))
		return false;
	e.checks = json_array();
	check_disk(&e);
	check_sandbox(&e);
	check_account(&e);
	check_trust(&e);
	check_proxy(&e);
	check_accounts(&e);
	check_mounts(&e);
	check_systems(&e);
	*result_out = json_object();
	jsondoc_set(*result_out, "checks", e.checks);
	jsondoc_set_int(*result_out, "failed", e.failed);
	return true;
}

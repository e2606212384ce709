/*
 * The policy in force is one whole publication, whatever a server does and whatever fails here.
 */
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/generation.h"
#include "agent/policyset.h"
#include "agent/renewal.h"
#include "common/alloc.h"
#include "common/newfile.h"
#include "support/failnth.h"
#include "support/tempdir.h"
#include "support/tufrepo.h"
#include "trust/localmeta.h"

/* One document of each kind; their texts are those of a publication. */
static const struct document {
	const char *role, *path;
} documents[] = {
	{ "site", "site.json" },
	{ "site", "group/branch.json" },
	{ "assignments", "advertisement/0f.json" },
	{ "assignments", "collection/1e.json" },
	{ "packages", "package/LON00001.json" },
	{ "locations", "location/LON00001.json" },
};

#define HELD_PACKAGE  "package/LON00001.json"
#define HELD_LOCATION "location/LON00001.json"

struct box {
	struct state st;
	struct tufrepo *repo;
};

/* A site whose every document says `text`. */
static void publish(struct tufrepo *r, const char *text)
{
	for (size_t i = 0; i < COUNT_OF(documents); i++) {
		SCOPED_TEXT char *body = alloc_printf("{\"%s\":\"%s\"}", documents[i].path, text);

		tufrepo_target(r, documents[i].role, documents[i].path, body);
	}
	tufrepo_bump(r, "site");
	tufrepo_bump(r, "assignments");
	tufrepo_bump(r, "packages");
	tufrepo_bump(r, "locations");
	tufrepo_publish(r);
}

static void delegate_all(struct tufrepo *r)
{
	r->list_hashes = true;
	tufrepo_delegate(r, "targets", "site", 10, "site.json", false);
	jsondoc_set(json_array_get(json_object_get(json_object_get(tufrepo_body(r, "targets"),
								   "delegations"),
						   "roles"),
				   0),
		    "paths", json_pack("[s,s]", "site.json", "group/*"));
	tufrepo_delegate(r, "targets", "assignments", 11, "advertisement/*", false);
	jsondoc_set(json_array_get(json_object_get(json_object_get(tufrepo_body(r, "targets"),
								   "delegations"),
						   "roles"),
				   1),
		    "paths", json_pack("[s,s]", "advertisement/*", "collection/*"));
	tufrepo_delegate(r, "targets", "packages", 12, "package/*", false);
	tufrepo_delegate(r, "targets", "locations", 13, "location/*", false);
}

static enum verdict renew_how(struct box *b, enum renewal_how how, const char *wanted,
			      struct err *err)
{
	const struct updater_source source = tufrepo_source(b->repo);
	json_auto_t *targets = wanted != NULL ? json_pack("[s]", wanted) : NULL;
	const struct renewal r = {
		.state = &b->st,
		.source = &source,
		.now_s = TUFREPO_NOW,
		.how = how,
		.targets = targets,
	};
	struct renewal_outcome outcome;

	buf_clear(&b->repo->requests);
	return renewal_run(&outcome, &r, err);
}

static enum verdict renew(struct box *b)
{
	struct err err;

	return renew_how(b, RENEWAL_FULL, NULL, &err);
}

static void begin_empty(struct box *b, const char *name)
{
	char *dir = tempdir_make(name);
	struct err err;

	*b = (struct box){ .repo = tufrepo_new() };
	assert_done(state_open(&b->st, dir, STATE_CREATE, &err), &err);
	free(dir);
	SCOPED_TEXT char *metadata = state_path(&b->st, "metadata");

	assert_int_equal(localmeta_init(metadata,
					buf_span(memfiles_find(&b->repo->store, "root.json")),
					&err),
			 VERDICT_OK);
	delegate_all(b->repo);
}

/* A client that has the first publication, and a server that has the second, new root and all. */
static void begin(struct box *b, const char *name)
{
	struct err err;

	begin_empty(b, name);
	publish(b->repo, "first");
	assert_int_equal(renew_how(b, RENEWAL_FULL, HELD_PACKAGE, &err), VERDICT_OK);
	assert_int_equal(renew_how(b, RENEWAL_POLL, HELD_LOCATION, &err), VERDICT_OK);
	tufrepo_allow(b->repo, "root", "targets", 30, NULL);
	tufrepo_publish_root(b->repo);
	publish(b->repo, "second");
}

static void end(struct box *b)
{
	tufrepo_free(b->repo);
	tempdir_remove(alloc_text(b->st.dir));
	state_close(&b->st);
}

/* True if every document in force is that of the publication `text`, by its signed hash. */
static bool is_in_force(struct box *b, const char *text)
{
	SCOPED(policyset) struct policyset *p = NULL;
	struct err err;

	if (!policyset_open(&p, &b->st, TUFREPO_NOW, &err))
		return false;
	for (size_t i = 0; i < COUNT_OF(documents); i++) {
		SCOPED(buf) struct buf bytes = { 0 };
		SCOPED_TEXT char *want = alloc_printf("{\"%s\":\"%s\"}", documents[i].path, text);

		if (!policyset_read(&bytes, p, documents[i].path, &err) ||
		    strcmp(buf_text(&bytes), want) != 0)
			return false;
	}
	return true;
}

static int64_t newest_timestamp(const struct box *b)
{
	SCOPED_TEXT char *path = state_path(&b->st, "metadata/timestamp.json");
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *doc = NULL;
	struct err err;

	if (!path_read(&bytes, path, 1 << 20, &err) || !jsondoc_read(&doc, buf_span(&bytes), &err))
		return 0;
	return jsondoc_int(json_object_get(doc, "signed"), "version", 0);
}

/* ---- the straight way ---- */

static void a_whole_publication_comes_into_force(void **unused)
{
	struct box b;

	(void)unused;
	begin(&b, "renewal-whole");
	assert_true(is_in_force(&b, "first"));
	assert_int_equal(renew(&b), VERDICT_OK);
	assert_true(is_in_force(&b, "second"));
	assert_true(renewal_is_complete(&b.st));
	end(&b);
}

static void an_unchanged_poll_asks_for_the_timestamp_alone(void **unused)
{
	struct box b;
	struct err err;

	(void)unused;
	begin(&b, "renewal-poll");
	assert_int_equal(renew(&b), VERDICT_OK);
	SCOPED_TEXT char *before = generation_name(&b.st);

	assert_int_equal(renew_how(&b, RENEWAL_POLL, NULL, &err), VERDICT_OK);
	assert_string_equal(buf_text(&b.repo->requests), " timestamp.json");
	SCOPED_TEXT char *after = generation_name(&b.st);

	assert_string_equal(before, after);
	end(&b);
}

static void only_what_changed_is_fetched(void **unused)
{
	struct box b;

	(void)unused;
	begin(&b, "renewal-change");
	assert_int_equal(renew(&b), VERDICT_OK);
	tufrepo_target(b.repo, "site", "group/branch.json", "{\"group\":\"other\"}");
	tufrepo_bump(b.repo, "site");
	tufrepo_publish(b.repo);
	assert_int_equal(renew(&b), VERDICT_OK);
	assert_null(strstr(buf_text(&b.repo->requests), "advertisement/"));
	assert_non_null(strstr(buf_text(&b.repo->requests), "group/"));
	assert_false(is_in_force(&b, "second"));
	end(&b);
}

static void what_the_site_lists_no_more_is_gone(void **unused)
{
	SCOPED(policyset) struct policyset *p = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct box b;
	struct err err;

	(void)unused;
	begin(&b, "renewal-gone");
	assert_int_equal(renew(&b), VERDICT_OK);
	json_object_del(json_object_get(tufrepo_body(b.repo, "packages"), "targets"), HELD_PACKAGE);
	tufrepo_bump(b.repo, "packages");
	tufrepo_publish(b.repo);
	assert_int_equal(renew(&b), VERDICT_OK);
	SCOPED(generation) struct generation g = GENERATION_EMPTY;

	assert_done(generation_hold(&g, &b.st, &err), &err);
	SCOPED_TEXT char *file = path_join(g.targets, HELD_PACKAGE);

	assert_false(path_exists(file));
	assert_done(policyset_open(&p, &b.st, TUFREPO_NOW, &err), &err);
	assert_false(policyset_read(&bytes, p, HELD_PACKAGE, &err));
	end(&b);
}

static void who_reads_sees_one_set_across_a_switch(void **unused)
{
	SCOPED(policyset) struct policyset *p = NULL;
	struct box b;
	struct err err;

	(void)unused;
	begin(&b, "renewal-reader");
	assert_done(policyset_open(&p, &b.st, TUFREPO_NOW, &err), &err);
	assert_int_equal(renew(&b), VERDICT_OK);
	generation_sweep(&b.st);
	for (size_t i = 0; i < COUNT_OF(documents); i++) {
		SCOPED(buf) struct buf bytes = { 0 };

		assert_done(policyset_read(&bytes, p, documents[i].path, &err), &err);
		assert_non_null(strstr(buf_text(&bytes), "first"));
	}
	assert_true(is_in_force(&b, "second"));
	end(&b);
}

/* ---- servers that lie or lack ---- */

struct damage {
	struct memfiles *files;
	char *name;
	struct buf whole;
};

static void keep_whole(struct damage *d, struct memfiles *files, const char *name)
{
	*d = (struct damage){ .files = files, .name = alloc_text(name) };
	buf_put_span(&d->whole, buf_span(memfiles_find(files, name)));
}

static void mend(struct damage *d)
{
	memfiles_put(d->files, d->name, buf_span(&d->whole));
	buf_release(&d->whole);
	free(d->name);
}

/* Every file that the second publication is read from, in the order of requests. */
static size_t requested(char *names[64], struct box *b)
{
	SCOPED(buf) struct buf text = { 0 };
	char *save = NULL;
	size_t count = 0;

	assert_int_equal(renew(b), VERDICT_OK);
	buf_put_span(&text, buf_span(&b->repo->requests));
	for (char *name = strtok_r((char *)(uintptr_t)buf_text(&text), " ", &save);
	     name != NULL && count < 64; name = strtok_r(NULL, " ", &save))
		names[count++] = alloc_text(name);
	return count;
}

static struct memfiles *files_with(struct box *b, const char *name)
{
	if (memfiles_find(&b->repo->metadata, name) != NULL)
		return &b->repo->metadata;
	return memfiles_find(&b->repo->targets, name) != NULL ? &b->repo->targets : NULL;
}

/* The names of one publication are the same in every box. */
static size_t list_files(char *names[64])
{
	struct box b;
	size_t count;

	begin(&b, "renewal-list");
	count = requested(names, &b);
	end(&b);
	return count;
}

typedef size_t spoil_fn(struct box *b, struct damage *d);

static void refused(struct box *b, const char *name, const char *how, size_t at)
{
	enum verdict verdict = renew(b);

	if (verdict == VERDICT_OK || verdict == VERDICT_UNCHANGED)
		fail_msg("%s, %s %zu: taken", name, how, at);
}

static size_t flip_every_byte(struct box *b, struct damage *d)
{
	for (size_t at = 0; at < d->whole.size; at++) {
		SCOPED(buf) struct buf bytes = { 0 };

		buf_put_span(&bytes, buf_span(&d->whole));
		bytes.data[at] ^= (uint8_t)(1u << (at * 5 % 8)); /* each bit in turn */
		memfiles_put(d->files, d->name, buf_span(&bytes));
		refused(b, d->name, "byte", at);
	}
	return d->whole.size;
}

static size_t cut_everywhere(struct box *b, struct damage *d)
{
	for (size_t size = 0; size < d->whole.size; size++) {
		memfiles_put(d->files, d->name, span_of(d->whole.data, size));
		refused(b, d->name, "cut to", size);
	}
	return d->whole.size;
}

static size_t lengthen(struct box *b, struct damage *d)
{
	SCOPED(buf) struct buf bytes = { 0 };

	buf_put_span(&bytes, buf_span(&d->whole));
	buf_put_span(&bytes, span_of_text("{}"));
	memfiles_put(d->files, d->name, buf_span(&bytes));
	refused(b, d->name, "longer than", d->whole.size);
	return 1;
}

static size_t take_away(struct box *b, struct damage *d)
{
	memfiles_drop(d->files, d->name);
	/* No newer root is what every server says most of the time. */
	if (strstr(d->name, "root.json") != NULL)
		return 0;
	refused(b, d->name, "without", 0);
	return 1;
}

/*
 * Spoil one file after the other, each in a client that has the publication before. The old one
 * stays in force all the while; the whole file then brings the new one.
 */
static size_t spoil_each(spoil_fn *spoil)
{
	char *names[64];
	size_t count = list_files(names), done = 0;

	assert_true(count >= 12);
	for (size_t i = 0; i < count; i++) {
		struct box b;
		struct damage d;

		begin(&b, "renewal-spoil");
		if (files_with(&b, names[i]) != NULL) {
			keep_whole(&d, files_with(&b, names[i]), names[i]);
			done += spoil(&b, &d);
			assert_true(is_in_force(&b, "first"));
			mend(&d);
			assert_int_equal(renew(&b), VERDICT_OK);
			assert_true(is_in_force(&b, "second"));
		}
		end(&b);
		free(names[i]);
	}
	return done;
}

static void every_flipped_byte_is_refused(void **unused)
{
	(void)unused;
	assert_true(spoil_each(flip_every_byte) > 3000);
}

static void every_truncation_is_refused(void **unused)
{
	(void)unused;
	assert_true(spoil_each(cut_everywhere) > 3000);
}

static void every_file_that_is_too_long_is_refused(void **unused)
{
	(void)unused;
	assert_true(spoil_each(lengthen) >= 12);
}

static void every_file_that_is_missing_is_noticed(void **unused)
{
	(void)unused;
	assert_true(spoil_each(take_away) >= 11);
}

static void a_refusal_names_the_document_and_its_version(void **unused)
{
	char *names[64];
	size_t count = list_files(names);
	struct box b;
	struct err err;

	(void)unused;
	begin(&b, "renewal-why");
	for (size_t i = 0; i < count; i++) {
		if (strstr(names[i], "branch.json") != NULL)
			memfiles_put(&b.repo->targets, names[i], span_of_text("{}"));
		free(names[i]);
	}
	assert_int_equal(renew_how(&b, RENEWAL_POLL, NULL, &err), VERDICT_BAD_LENGTH);
	assert_non_null(strstr(err.why, "group/branch.json"));
	assert_non_null(strstr(err.why, "bad-length"));
	end(&b);
}

/* Fetched once is enough, although the set was not whole. */
static void a_second_try_asks_only_for_what_is_missing(void **unused)
{
	struct damage d;
	struct box b;
	char *names[64];
	size_t count = list_files(names);

	(void)unused;
	begin(&b, "renewal-resume");
	for (size_t i = 0; i < count; i++) {
		if (strstr(names[i], "package/") != NULL) {
			keep_whole(&d, &b.repo->targets, names[i]);
			memfiles_drop(&b.repo->targets, names[i]);
		}
		free(names[i]);
	}
	assert_int_equal(renew(&b), VERDICT_MISSING);
	mend(&d);
	assert_int_equal(renew(&b), VERDICT_OK);
	assert_null(strstr(buf_text(&b.repo->requests), "group/"));
	assert_null(strstr(buf_text(&b.repo->requests), "location/"));
	assert_non_null(strstr(buf_text(&b.repo->requests), "package/"));
	assert_true(is_in_force(&b, "second"));
	end(&b);
}

/* What was verified protects against rollback, although its documents never were whole. */
static void an_older_server_is_refused_after_a_newer_one_that_was_not_whole(void **unused)
{
	struct memfiles old = { 0 };
	struct damage d;
	struct box b;
	char *names[64];
	size_t count = list_files(names);
	int64_t version;

	(void)unused;
	begin_empty(&b, "renewal-rollback");
	publish(b.repo, "first");
	assert_int_equal(renew(&b), VERDICT_OK);
	version = newest_timestamp(&b);
	memfiles_copy(&old, &b.repo->metadata);
	publish(b.repo, "second");
	for (size_t i = 0; i < count; i++) {
		if (strstr(names[i], "branch.json") != NULL) {
			keep_whole(&d, &b.repo->targets, names[i]);
			memfiles_drop(&b.repo->targets, names[i]);
		}
		free(names[i]);
	}
	assert_int_equal(renew(&b), VERDICT_MISSING);
	assert_true(newest_timestamp(&b) > version);
	struct memfiles served = b.repo->metadata;

	b.repo->metadata = old;
	assert_int_equal(renew(&b), VERDICT_ROLLBACK);
	b.repo->metadata = served;
	mend(&d);
	assert_int_equal(renew(&b), VERDICT_OK);
	memfiles_release(&old);
	end(&b);
}

/* ---- withdrawn keys ---- */

static void withdraw(struct box *b, const char *role, int new_key)
{
	tufrepo_forbid_all(b->repo, "root", role);
	tufrepo_allow(b->repo, "root", role, new_key, NULL);
	tufrepo_sign_by_none(b->repo, role);
	tufrepo_sign_by(b->repo, role, new_key, NULL);
	tufrepo_publish_root(b->repo);
}

/*
 * A server that has the root which withdraws a key, and nothing beyond: the root is taken at once,
 * and what is in force stays so, but as expired: nothing new starts by it.
 */
static void a_set_whose_key_is_withdrawn_stays_as_expired(void **unused)
{
	static const char *const roles[] = { "timestamp", "snapshot", "targets" };

	(void)unused;
	for (size_t i = 0; i < COUNT_OF(roles); i++) {
		struct updater_state state;
		struct policyset *p = NULL;
		struct box b;
		struct err err;

		begin(&b, "renewal-withdrawn");
		assert_int_equal(renew(&b), VERDICT_OK);
		assert_done(policyset_open(&p, &b.st, TUFREPO_NOW, &err), &err);
		policyset_state(&state, p);
		assert_true(state.expires > TUFREPO_NOW);
		policyset_close(p);
		withdraw(&b, roles[i], 40);
		assert_int_not_equal(renew(&b), VERDICT_OK);
		assert_true(is_in_force(&b, "second"));
		assert_done(policyset_open(&p, &b.st, TUFREPO_NOW, &err), &err);
		policyset_state(&state, p);
		assert_true(state.expires <= TUFREPO_NOW);
		assert_string_equal(state.expires_role, "root");
		policyset_close(p);
		tufrepo_bump(b.repo, "targets");
		publish(b.repo, "third");
		assert_int_equal(renew(&b), VERDICT_OK);
		assert_true(is_in_force(&b, "third"));
		end(&b);
	}
}

/* ---- this machine's faults ---- */

static void one_whole_set_is_in_force(struct box *b)
{
	assert_true(is_in_force(b, "first") || is_in_force(b, "second"));
}

static void every_failing_call(void (*arm)(unsigned int n))
{
	for (unsigned int n = 1;; n++) {
		struct box b;
		enum verdict verdict;
		bool failed;

		begin(&b, "renewal-fail");
		arm(n);
		verdict = renew(&b);
		failed = failnth_disarm();
		if (failed && verdict != VERDICT_NOT_STORED && verdict != VERDICT_OK)
			fail_msg("call %u: %s", n, verdict_name(verdict));
		one_whole_set_is_in_force(&b);
		assert_int_equal(renew(&b), VERDICT_OK);
		assert_true(is_in_force(&b, "second"));
		end(&b);
		if (!failed)
			break;
	}
}

static void a_disk_that_is_full_for_a_moment_leaves_one_whole_set(void **unused)
{
	(void)unused;
	every_failing_call(failnth_arm);
}

static void a_kill_or_a_full_disk_at_any_point_leaves_one_whole_set(void **unused)
{
	(void)unused;
	every_failing_call(failnth_arm_for_good);
}

static void replace(const char *path, const char *text)
{
	struct err err;

	if (text == NULL)
		assert_int_equal(unlink(path), 0);
	else
		assert_done(newfile_write(path, 0600, span_of_text(text), &err), &err);
}

/* In force: a role, the list of roles, the pointer. */
static void metadata_that_rots_is_mended(void **unused)
{
	static const char *const files[] = {
		"metadata/timestamp.json", "metadata/snapshot.json", "metadata/targets.json",
		"metadata/packages.json",  "metadata/site.json",     "roles",
	};
	static const char *const texts[] = { "{}", "", NULL };
	struct box b;

	(void)unused;
	begin(&b, "renewal-rot");
	assert_int_equal(renew(&b), VERDICT_OK);
	for (size_t i = 0; i < 2 * COUNT_OF(files) * COUNT_OF(texts); i++) {
		const char *file = files[i / 2 / COUNT_OF(texts)];
		SCOPED(generation) struct generation g = GENERATION_EMPTY;
		SCOPED_TEXT char *path = NULL;
		struct err err;

		/* Either copy may rot. */
		assert_done(generation_hold(&g, &b.st, &err), &err);
		path = i % 2 == 0 || file[0] == 'r' ? path_join(g.dir, file)
						    : state_path(&b.st, file);
		replace(path, texts[i / 2 % COUNT_OF(texts)]);
		generation_release(&g);
		assert_int_equal(renew_how(&b, RENEWAL_POLL, NULL, &err), VERDICT_OK);
		assert_true(is_in_force(&b, "second"));
		assert_true(renewal_is_complete(&b.st));
	}
	SCOPED_TEXT char *pointer = state_path(&b.st, "policy/current");

	replace(pointer, "x");
	assert_int_equal(renew(&b), VERDICT_OK);
	assert_true(renewal_is_complete(&b.st));
	end(&b);
}

static void a_document_that_rots_is_mended_when_it_is_asked_for(void **unused)
{
	struct box b;
	struct err err;

	(void)unused;
	begin(&b, "renewal-rotten");
	assert_int_equal(renew(&b), VERDICT_OK);
	for (size_t i = 0; i < COUNT_OF(documents); i++) {
		SCOPED(generation) struct generation g = GENERATION_EMPTY;

		assert_done(generation_hold(&g, &b.st, &err), &err);
		SCOPED_TEXT char *path = path_join(g.targets, documents[i].path);

		replace(path, "rotten");
		assert_false(is_in_force(&b, "second"));
		assert_int_equal(renew_how(&b, RENEWAL_POLL, documents[i].path, &err), VERDICT_OK);
		assert_true(is_in_force(&b, "second"));
	}
	end(&b);
}

static void nothing_is_asked_without_a_root(void **unused)
{
	struct box b;

	(void)unused;
	begin(&b, "renewal-root");
	SCOPED_TEXT char *root = state_path(&b.st, "metadata/root.json");
	SCOPED_TEXT char *trust = state_path(&b.st, "trust");
	struct err err;

	replace(root, NULL);
	assert_done(path_remove_tree(trust, &err), &err);
	assert_int_equal(renew(&b), VERDICT_NO_ROOT);
	assert_string_equal(buf_text(&b.repo->requests), "");
	assert_false(is_in_force(&b, "first"));
	end(&b);
}

static void a_root_that_the_worker_lost_comes_back(void **unused)
{
	struct box b;

	(void)unused;
	begin(&b, "renewal-lost-root");
	SCOPED_TEXT char *root = state_path(&b.st, "metadata/root.json");

	replace(root, NULL);
	assert_int_equal(renew(&b), VERDICT_OK);
	assert_true(is_in_force(&b, "second"));
	end(&b);
}

/* Whoever has taken over the worker writes where the worker does. */
static void another_root_in_its_place_counts_for_nothing(void **unused)
{
	struct box b;

	(void)unused;
	begin(&b, "renewal-other-root");
	assert_int_equal(renew(&b), VERDICT_OK);
	SCOPED(policyset) struct policyset *p = NULL;
	SCOPED(generation) struct generation g = GENERATION_EMPTY;
	struct err err;

	assert_done(generation_hold(&g, &b.st, &err), &err);
	SCOPED_TEXT char *newest = state_path(&b.st, "metadata/root.json");
	SCOPED_TEXT char *own = path_join(g.metadata, "root.json");
	SCOPED_TEXT char *timestamp = path_join(g.metadata, "timestamp.json");

	/* A root and a timestamp of other keys: as a set they hold together. */
	tufrepo_forbid_all(b.repo, "root", "root");
	tufrepo_allow(b.repo, "root", "root", 77, NULL);
	tufrepo_sign_by_none(b.repo, "root");
	tufrepo_sign_by(b.repo, "root", 77, NULL);
	tufrepo_forbid_all(b.repo, "root", "timestamp");
	tufrepo_allow(b.repo, "root", "timestamp", 78, NULL);
	tufrepo_sign_by_none(b.repo, "timestamp");
	tufrepo_sign_by(b.repo, "timestamp", 78, NULL);
	tufrepo_put(b.repo, "root");
	tufrepo_publish_timestamp(b.repo);
	replace(newest, buf_text(memfiles_find(&b.repo->metadata, "2.root.json")));
	replace(own, buf_text(memfiles_find(&b.repo->metadata, "2.root.json")));
	replace(timestamp, buf_text(memfiles_find(&b.repo->metadata, "timestamp.json")));
	assert_false(policyset_open(&p, &b.st, TUFREPO_NOW, &err));
	assert_int_equal(err.code, ERR_TRUST);
	end(&b);
}

TESTING_MAIN(cmocka_unit_test(a_whole_publication_comes_into_force),
	     cmocka_unit_test(an_unchanged_poll_asks_for_the_timestamp_alone),
	     cmocka_unit_test(only_what_changed_is_fetched),
	     cmocka_unit_test(what_the_site_lists_no_more_is_gone),
	     cmocka_unit_test(who_reads_sees_one_set_across_a_switch),
	     cmocka_unit_test(every_flipped_byte_is_refused),
	     cmocka_unit_test(every_truncation_is_refused),
	     cmocka_unit_test(every_file_that_is_too_long_is_refused),
	     cmocka_unit_test(every_file_that_is_missing_is_noticed),
	     cmocka_unit_test(a_refusal_names_the_document_and_its_version),
	     cmocka_unit_test(a_second_try_asks_only_for_what_is_missing),
	     cmocka_unit_test(an_older_server_is_refused_after_a_newer_one_that_was_not_whole),
	     cmocka_unit_test(a_set_whose_key_is_withdrawn_stays_as_expired),
	     cmocka_unit_test(a_disk_that_is_full_for_a_moment_leaves_one_whole_set),
	     cmocka_unit_test(a_kill_or_a_full_disk_at_any_point_leaves_one_whole_set),
	     cmocka_unit_test(metadata_that_rots_is_mended),
	     cmocka_unit_test(a_document_that_rots_is_mended_when_it_is_asked_for),
	     cmocka_unit_test(nothing_is_asked_without_a_root),
	     cmocka_unit_test(a_root_that_the_worker_lost_comes_back),
	     cmocka_unit_test(another_root_in_its_place_counts_for_nothing))

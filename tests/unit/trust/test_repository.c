#include "trust/repository.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "common/random.h"
#include "support/failnth.h"
#include "support/tempdir.h"
#include "support/testing.h"
#include "trust/localmeta.h"
#include "trust/updater.h"

#define NOW  INT64_C(1795000000)
#define DAY  INT64_C(86400)
#define YEAR (365 * DAY)

struct fixture {
	char *dir, *published, *keys;
	struct repository_folders where;
};

static void fixture_new(struct fixture *f)
{
	f->dir = tempdir_make("repository");
	f->published = path_join(f->dir, "published");
	f->keys = path_join(f->dir, "keys");
	f->where = (struct repository_folders){ .published = f->published, .keys = f->keys };
}

static void fixture_scoped(struct fixture *f)
{
	tempdir_remove(f->dir);
	free(f->published);
	free(f->keys);
}

static void fixture_create(struct fixture *f)
{
	struct err err;

	fixture_new(f);
	assert_done(repository_create(&f->where, NOW, &err), &err);
}

static struct repository *reopen(const struct fixture *f)
{
	struct repository *repo = NULL;
	struct err err = { 0 };

	assert_done(repository_open(&repo, &f->where, &err), &err);
	return repo;
}

/* ---- an obvious client of its own: it knows nothing of the code it checks ---- */

struct checker {
	size_t roles; /* delegated ones */
	const char *published;
	char problem[1200]; /* empty: the publication is whole and signed */
	size_t targets;
	char listed[64][SITEROLE_PATH_MAX + 80]; /* "path=hash" of the first targets */
};

static bool problem(struct checker *c, const char *what, const char *name)
{
	snprintf(c->problem, sizeof(c->problem), "%s: %s", name, what);
	return false;
}

static bool read_published(struct buf *out, struct checker *c, const char *name)
{
	SCOPED_TEXT char *path = path_join(c->published, name);
	struct err err = { 0 };

	return path_read(out, path, 64u << 20, &err) || problem(c, err.why, name);
}

static bool matches_entry(struct checker *c, const char *name, struct span bytes,
			  const json_t *entry)
{
	char hex[DIGEST_HEX_SIZE];
	const char *want = jsondoc_text(json_object_get(entry, "hashes"), "sha256");
	struct digest d;

	digest_of(&d, bytes);
	digest_print(hex, &d);
	return (want != NULL && strcmp(want, hex) == 0 &&
		jsondoc_int(entry, "length", -1) == (int64_t)bytes.size) ||
	       problem(c, "hash or length is not as listed", name);
}

/* One key, threshold 1, as the site makes them. */
static bool has_signature(struct checker *c, const char *name, const json_t *doc,
			  const json_t *keys, const json_t *role)
{
	const char *id = json_string_value(json_array_get(json_object_get(role, "keyids"), 0));
	const json_t *entry = json_array_get(json_object_get(doc, "signatures"), 0);
	SCOPED(buf) struct buf text = { 0 };
	SCOPED(key) struct key *key = NULL;
	struct err err;

	if (id == NULL || jsondoc_int(role, "threshold", 0) != 1 ||
	    json_array_size(json_object_get(doc, "signatures")) != 1 ||
	    strcmp(jsondoc_text(entry, "keyid"), id) != 0)
		return problem(c, "the signer is not the one listed", name);
	if (!keys_parse(&key, json_object_get(keys, id), &err) ||
	    !jsondoc_canonical(&text, json_object_get(doc, "signed"), &err))
		return problem(c, err.why, name);
	return keys_verify_hex(key, buf_span(&text), jsondoc_text(entry, "sig")) ||
	       problem(c, "the signature is wrong", name);
}

static json_t *check_file(struct checker *c, const char *name, const json_t *keys,
			  const json_t *role, const json_t *listed)
{
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *doc = NULL;
	json_t *body;
	struct err err;

	if (!read_published(&bytes, c, name))
		return NULL;
	if (listed != NULL && !matches_entry(c, name, buf_span(&bytes), listed))
		return NULL;
	if (!jsondoc_read(&doc, buf_span(&bytes), &err)) {
		problem(c, err.why, name);
		return NULL;
	}
	body = json_object_get(doc, "signed");
	if (keys == NULL) { /* root signs itself */
		keys = json_object_get(body, "keys");
		role = json_object_get(json_object_get(body, "roles"), "root");
	}
	if (!has_signature(c, name, doc, keys, role))
		return NULL;
	if (strcmp(jsondoc_text(body, "spec_version"), "1.0.34") != 0 ||
	    (listed != NULL &&
	     jsondoc_int(listed, "version", -1) != jsondoc_int(body, "version", -2))) {
		problem(c, "spec_version or version is wrong", name);
		return NULL;
	}
	return json_incref(body);
}

static json_t *check_role(struct checker *c, const char *role, const json_t *meta,
			  const json_t *keys, const json_t *who)
{
	SCOPED_TEXT char *key = alloc_printf("%s.json", role);
	const json_t *listed = json_object_get(meta, key);
	SCOPED_TEXT char *name = alloc_printf("metadata/%" PRId64 ".%s.json",
					      jsondoc_int(listed, "version", -1), role);

	return check_file(c, name, keys, who, listed);
}

static bool check_targets(struct checker *c, json_t *body)
{
	json_t *entry;
	const char *path;

	json_object_foreach (json_object_get(body, "targets"), path, entry) {
		const char *hash = jsondoc_text(json_object_get(entry, "hashes"), "sha256");
		const char *base = path_base(path);
		SCOPED_TEXT char *name = alloc_printf("targets/%.*s%s.%s", (int)(base - path), path,
						      hash, base);
		SCOPED(buf) struct buf bytes = { 0 };

		if (!read_published(&bytes, c, name) ||
		    !matches_entry(c, name, buf_span(&bytes), entry))
			return false;
		if (c->targets < COUNT_OF(c->listed))
			snprintf(c->listed[c->targets], sizeof(c->listed[0]), "%s=%s", path,
				 (const char *)bytes.data);
		c->targets++;
	}
	return true;
}

static bool check_delegated(struct checker *c, const json_t *targets, const json_t *meta)
{
	const json_t *delegations = json_object_get(targets, "delegations");
	size_t i;
	json_t *entry;

	json_array_foreach (json_object_get(delegations, "roles"), i, entry) {
		json_auto_t *body = check_role(c, jsondoc_text(entry, "name"), meta,
					       json_object_get(delegations, "keys"), entry);

		c->roles++;
		if (body == NULL || !check_targets(c, body) || !check_delegated(c, body, meta))
			return false;
	}
	return true;
}

static json_t *check_newest_root(struct checker *c)
{
	json_t *body = check_file(c, "metadata/1.root.json", NULL, NULL, NULL);

	for (int version = 2; body != NULL; version++) {
		SCOPED_TEXT char *name = alloc_printf("metadata/%d.root.json", version);
		SCOPED_TEXT char *path = path_join(c->published, name);
		json_t *next;

		if (!path_exists(path))
			break;
		next = check_file(c, name, json_object_get(body, "keys"),
				  json_object_get(json_object_get(body, "roles"), "root"), NULL);
		json_decref(body);
		body = next;
	}
	return body;
}

static bool check_publication(struct checker *c, const struct fixture *f)
{
	json_auto_t *root = NULL, *timestamp = NULL, *snapshot = NULL, *targets = NULL;
	const json_t *keys, *roles, *meta;

	*c = (struct checker){ .published = f->published };
	root = check_newest_root(c);
	if (root == NULL)
		return false;
	if (!jsondoc_flag(root, "consistent_snapshot", false))
		return problem(c, "no consistent snapshot", "root");
	keys = json_object_get(root, "keys");
	roles = json_object_get(root, "roles");
	timestamp = check_file(c, "metadata/timestamp.json", keys,
			       json_object_get(roles, "timestamp"), NULL);
	if (timestamp == NULL)
		return false;
	snapshot = check_role(c, "snapshot", json_object_get(timestamp, "meta"), keys,
			      json_object_get(roles, "snapshot"));
	if (snapshot == NULL)
		return false;
	meta = json_object_get(snapshot, "meta");
	targets = check_role(c, "targets", meta, keys, json_object_get(roles, "targets"));
	if (targets == NULL || json_object_size(json_object_get(targets, "targets")) != 0 ||
	    !check_delegated(c, targets, meta))
		return false;
	return json_object_size(meta) == c->roles + 1 ||
	       problem(c, "lists roles that nobody delegates to", "snapshot");
}

static void assert_whole(const struct fixture *f, size_t targets)
{
	struct checker c;

	if (!check_publication(&c, f))
		fail_msg("%s", c.problem);
	assert_int_equal(c.targets, targets);
}

static bool publishes(const struct fixture *f, const char *path_and_text)
{
	struct checker c;

	if (!check_publication(&c, f))
		fail_msg("%s", c.problem);
	for (size_t i = 0; i < c.targets; i++)
		if (strcmp(c.listed[i], path_and_text) == 0)
			return true;
	return false;
}

/* ---- steps ---- */

static void set(struct repository *repo, const char *path, const char *text)
{
	struct err err = { 0 };

	assert_done(repository_set_target(repo, path, span_of_text(text), &err), &err);
}

static enum repository_outcome commit(struct repository *repo, int64_t now_s)
{
	enum repository_outcome outcome = REPOSITORY_UNCHANGED;
	struct err err = { 0 };

	assert_done(repository_commit(&outcome, repo, now_s, &err), &err);
	return outcome;
}

static int64_t version_of(const struct repository *repo, enum siterole role)
{
	struct repository_role shown;

	repository_show_role(&shown, repo, role);
	return shown.version;
}

/* ---- cases ---- */

static void a_new_publication_is_whole_and_empty(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED(publication_paths) struct publication_paths files = { 0 };

	(void)state;
	fixture_create(&f);
	assert_whole(&f, 0);
	repo = reopen(&f);
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++) {
		struct repository_role shown;

		if (siterole_is_bin(role))
			continue;
		repository_show_role(&shown, repo, role);
		assert_int_equal(shown.version, 1);
		assert_int_equal(shown.bins, 0);
		assert_int_equal(shown.expires_s, NOW + siterole_rule(role)->life_s);
		assert_int_equal(shown.keys.listed, 1);
		assert_int_equal(shown.keys.threshold, 1);
		assert_int_equal(shown.keys.here, 1);
	}
	repository_files(&files, repo);
	assert_int_equal(files.count, 8);
	assert_string_equal(files.items[6], "metadata/1.root.json");
	assert_string_equal(files.items[7], "metadata/timestamp.json");
}

static void creating_twice_is_refused(void **state)
{
	SCOPED(fixture) struct fixture f;
	struct err err;

	(void)state;
	fixture_create(&f);
	assert_false(repository_create(&f.where, NOW, &err));
	assert_int_equal(err.code, ERR_EXISTS);
	assert_whole(&f, 0);
}

static void an_empty_folder_is_no_publication(void **state)
{
	SCOPED(fixture) struct fixture f;
	struct repository *repo;
	struct err err = { 0 };

	(void)state;
	fixture_new(&f);
	assert_false(repository_open(&repo, &f.where, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void only_changed_roles_get_a_new_version(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL;

	(void)state;
	fixture_create(&f);
	repo = reopen(&f);
	repository_begin(repo);
	set(repo, "package/LON00001.json", "one");
	set(repo, "manifest/LON00001/1", "manifest");
	assert_int_equal(commit(repo, NOW + 5), REPOSITORY_CHANGED);
	assert_int_equal(version_of(repo, SITEROLE_PACKAGES), 2);
	assert_int_equal(version_of(repo, SITEROLE_SITE), 1);
	assert_int_equal(version_of(repo, SITEROLE_TARGETS), 1);
	assert_int_equal(version_of(repo, SITEROLE_SNAPSHOT), 2);
	assert_int_equal(version_of(repo, SITEROLE_TIMESTAMP), 2);
	assert_whole(&f, 2);
	assert_true(publishes(&f, "package/LON00001.json=one"));
}

static void the_same_content_is_no_change(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL;

	(void)state;
	fixture_create(&f);
	repo = reopen(&f);
	repository_begin(repo);
	set(repo, "site.json", "{}");
	assert_int_equal(commit(repo, NOW), REPOSITORY_CHANGED);
	repository_begin(repo);
	set(repo, "site.json", "{}");
	assert_int_equal(commit(repo, NOW + 60), REPOSITORY_UNCHANGED);
	repository_begin(repo);
	set(repo, "site.json", "other");
	set(repo, "site.json", "{}");
	assert_int_equal(commit(repo, NOW + 60), REPOSITORY_UNCHANGED);
	assert_int_equal(version_of(repo, SITEROLE_TIMESTAMP), 2);
}

static void changes_that_were_not_committed_are_forgotten(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL;

	(void)state;
	fixture_create(&f);
	repo = reopen(&f);
	repository_begin(repo);
	set(repo, "site.json", "{}");
	repository_begin(repo);
	assert_int_equal(commit(repo, NOW), REPOSITORY_UNCHANGED);
	assert_whole(&f, 0);
}

static void a_removed_target_is_no_longer_listed_but_kept(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED(publication_paths)
	struct publication_paths early = { 0 }, late = { 0 }, none = { 0 };
	struct err err = { 0 };

	(void)state;
	fixture_create(&f);
	repo = reopen(&f);
	repository_begin(repo);
	set(repo, "group/a.json", "a");
	set(repo, "group/b.json", "b");
	commit(repo, NOW);
	repository_begin(repo);
	assert_done(repository_remove_target(repo, "group/a.json", &err), &err);
	assert_done(repository_remove_target(repo, "group/none.json", &err), &err);
	assert_int_equal(commit(repo, NOW + 400 * DAY), REPOSITORY_CHANGED);
	assert_whole(&f, 1);
	assert_false(publishes(&f, "group/a.json=a"));

	/* Kept for 30 days from when it left, not from when it was written. */
	assert_done(repository_garbage(&early, repo, NOW + 429 * DAY, &err), &err);
	for (size_t i = 0; i < early.count; i++)
		assert_null(strstr(early.items[i], "a.json"));
	assert_done(repository_garbage(&late, repo, NOW + 431 * DAY, &err), &err);
	assert_true(late.count > 1);
	for (size_t i = 0; i < late.count; i++)
		assert_null(strstr(late.items[i], "b.json"));
	assert_done(repository_remove(repo, &late, &err), &err);
	assert_whole(&f, 1);
	assert_done(repository_garbage(&none, repo, NOW + 431 * DAY, &err), &err);
	assert_int_equal(none.count, 0);
}

static void a_path_that_no_role_signs_is_refused(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL;
	struct err err = { 0 };

	(void)state;
	fixture_create(&f);
	repo = reopen(&f);
	repository_begin(repo);
	assert_false(repository_set_target(repo, "../keys/x", span_of_text("x"), &err));
	assert_int_equal(err.code, ERR_REFUSED);
	assert_false(repository_remove_target(repo, "other", &err));
	assert_int_equal(err.code, ERR_REFUSED);
}

static void each_role_is_renewed_in_its_time(void **state)
{
	static const struct {
		const char *why;
		int64_t after_s;
		enum repository_outcome want;
		const char *renewed;
	} cases[] = {
		{ "after an hour nothing is due", 3600, REPOSITORY_UNCHANGED, "" },
		{ "after a day the timestamp", DAY, REPOSITORY_RENEWED, "timestamp " },
		{ "after eight days all online roles", 8 * DAY, REPOSITORY_RENEWED,
		  "site locations assignments snapshot timestamp " },
		{ "after a year the packages too", YEAR + DAY, REPOSITORY_RENEWED,
		  "targets packages site locations assignments snapshot timestamp " },
		{ "after two and a half years everything", 3 * YEAR, REPOSITORY_RENEWED,
		  "root targets packages site locations assignments snapshot timestamp " },
		{ "a clock that was ahead renews nothing", -DAY, REPOSITORY_UNCHANGED, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(fixture) struct fixture f;
		SCOPED(repository) struct repository *repo = NULL;
		SCOPED(buf) struct buf renewed = { 0 };

		fixture_create(&f);
		repo = reopen(&f);
		repository_begin(repo);
		if (commit(repo, NOW + cases[i].after_s) != cases[i].want)
			fail_msg("%s: another outcome", cases[i].why);
		for (enum siterole role = 0; role < SITEROLE_COUNT_; role++)
			if (version_of(repo, role) > 1)
				buf_printf(&renewed, "%s ", siterole_name(role).text);
		if (strcmp(buf_text(&renewed), cases[i].renewed) != 0)
			fail_msg("%s: %s", cases[i].why, buf_text(&renewed));
		assert_whole(&f, 0);
	}
}

/* ---- the product's own client ---- */

static enum updater_fetched fetch_published(void *ctx, const struct updater_request *request,
					    struct buf *out, struct err *err)
{
	const struct fixture *f = ctx;
	SCOPED_TEXT char *base = path_join(
		f->published, request->base == UPDATER_METADATA ? "metadata" : "targets");
	SCOPED_TEXT char *path = path_join(base, request->path);

	if (path_read(out, path, request->max, err))
		return UPDATER_GOT;
	return err->code == ERR_NOT_FOUND ? UPDATER_NOT_FOUND : UPDATER_FAILED;
}

static void refresh_and_expect(struct fixture *f, const char *local, int64_t now_s,
			       const char *path, const char *text)
{
	const struct updater_source source = { .fetch = fetch_published, .ctx = f };
	const struct updater_options options = { .now_s = now_s };
	struct updater_store store = localmeta_store(local);
	SCOPED(updater) struct updater *u = updater_new(&store, &source, &options);
	SCOPED(buf) struct buf bytes = { 0 };
	struct updater_target target;
	struct err err = { 0 };

	if (updater_refresh(u, &err) != VERDICT_OK ||
	    updater_find_target(u, path, &target, &err) != VERDICT_OK ||
	    updater_fetch_target(u, &target, &bytes, &err) != VERDICT_OK)
		fail_msg("%s: %s", path, err.why);
	assert_string_equal(buf_text(&bytes), text);
}

static void the_client_follows_the_site_through_its_years(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED(buf) struct buf root = { 0 };
	SCOPED_TEXT char *local = NULL;
	struct err err = { 0 };

	(void)state;
	fixture_create(&f);
	local = path_join(f.dir, "local");
	repo = reopen(&f);
	assert_done(repository_read_root(&root, repo, &err), &err);
	assert_int_equal(localmeta_init(local, buf_span(&root), &err), VERDICT_OK);
	for (int month = 0; month < 72; month++) {
		int64_t now_s = NOW + month * 30 * DAY;
		char text[32];

		snprintf(text, sizeof(text), "month %d", month);
		repository_begin(repo);
		set(repo, "manifest/LON00001/1", text);
		set(repo, "location/LON00001.json", text);
		set(repo, "advertisement/0a.json", "the same");
		commit(repo, now_s);
		refresh_and_expect(&f, local, now_s, "manifest/LON00001/1", text);
		refresh_and_expect(&f, local, now_s, "location/LON00001.json", text);
		refresh_and_expect(&f, local, now_s, "advertisement/0a.json", "the same");
	}
	assert_true(version_of(repo, SITEROLE_ROOT) > 2);
}

static void remove_key(const struct fixture *f, const char *name)
{
	SCOPED_TEXT char *path = path_join(f->keys, name);

	assert_int_equal(unlink(path), 0);
}

static void a_key_that_is_elsewhere_stops_only_its_own_role(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL, *again = NULL;
	enum repository_outcome outcome;
	struct repository_role shown;
	struct err err = { 0 };

	(void)state;
	fixture_create(&f);
	remove_key(&f, "root.key");
	remove_key(&f, "packages.key");
	repo = reopen(&f);
	repository_show_role(&shown, repo, SITEROLE_PACKAGES);
	assert_int_equal(shown.keys.here, 0);
	repository_begin(repo);
	set(repo, "site.json", "{}");
	/* Also when the missing keys' roles would have been renewed. */
	assert_int_equal(commit(repo, NOW + 3 * YEAR), REPOSITORY_CHANGED);
	assert_int_equal(version_of(repo, SITEROLE_PACKAGES), 1);
	assert_int_equal(version_of(repo, SITEROLE_TARGETS), 2);
	repository_begin(repo);
	set(repo, "package/LON00001.json", "{}");
	set(repo, "site.json", "{\"poll\":1}");
	/* The change waits, everything else goes on. */
	assert_done(repository_commit(&outcome, repo, NOW + 3 * YEAR, &err), &err);
	assert_true(repository_waits(repo, SITEROLE_PACKAGES));
	assert_false(repository_waits(repo, SITEROLE_SITE));
	assert_whole(&f, 1);
	again = reopen(&f);
	assert_int_equal(version_of(again, SITEROLE_PACKAGES), 1);
	assert_int_equal(version_of(again, SITEROLE_SITE), 3);
}

static void a_lost_target_file_is_written_again(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED(publication_paths) struct publication_paths files = { 0 };
	SCOPED_TEXT char *path = NULL;

	(void)state;
	fixture_create(&f);
	repo = reopen(&f);
	repository_begin(repo);
	set(repo, "site.json", "{}");
	commit(repo, NOW);
	repository_files(&files, repo);
	path = path_join(f.published, files.items[0]);
	assert_int_equal(unlink(path), 0);
	repository_begin(repo);
	set(repo, "site.json", "{}");
	assert_int_equal(commit(repo, NOW), REPOSITORY_UNCHANGED);
	assert_whole(&f, 1);
}

static void put_bytes(const char *path, struct span bytes)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
	fclose(file);
}

static void a_flipped_byte_in_metadata_is_noticed(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(publication_paths) struct publication_paths files = { 0 };
	SCOPED(repository) struct repository *repo = NULL;
	const uint64_t seed = testing_seed();
	struct random_seq draw;

	(void)state;
	random_seq_init(&draw, seed, "flips");
	fixture_create(&f);
	repo = reopen(&f);
	repository_begin(repo);
	set(repo, "site.json", "{}");
	commit(repo, NOW);
	repository_files(&files, repo);
	for (int i = 0; i < 200; i++) {
		/* Item 0 is the target's file, which opening does not read. */
		size_t which = 1 + random_seq_below(&draw, files.count - 1);
		SCOPED_TEXT char *path = path_join(f.published, files.items[which]);
		SCOPED(buf) struct buf bytes = { 0 };
		struct repository *damaged = NULL;
		struct err err = { 0 };
		uint8_t flip;
		size_t at;

		assert_done(path_read(&bytes, path, 1 << 20, &err), &err);
		at = random_seq_below(&draw, bytes.size);
		flip = (uint8_t)(1 + random_seq_below(&draw, 255));
		bytes.data[at] ^= flip;
		put_bytes(path, buf_span(&bytes));
		if (repository_open(&damaged, &f.where, &err)) {
			struct checker c;

			/* Harmless spellings: a hexadecimal digit in upper case, for one. */
			if (!check_publication(&c, &f))
				fail_msg("%s at %zu is not noticed: %s", files.items[which], at,
					 c.problem);
			repository_close(damaged);
		}
		bytes.data[at] ^= flip;
		put_bytes(path, buf_span(&bytes));
	}
	assert_whole(&f, 1);
}

/* One change of a site's life: some targets new, some other, one gone. */
static bool publish_second(const struct fixture *f, struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;
	enum repository_outcome outcome;

	if (!repository_open(&repo, &f->where, err))
		return false;
	repository_begin(repo);
	return repository_set_target(repo, "site.json", span_of_text("second"), err) &&
	       repository_set_target(repo, "manifest/LON00001/2", span_of_text("new"), err) &&
	       repository_remove_target(repo, "group/a.json", err) &&
	       repository_commit(&outcome, repo, NOW + 3 * YEAR, err);
}

static void publish_first(struct fixture *f)
{
	SCOPED(repository) struct repository *repo = NULL;

	fixture_create(f);
	repo = reopen(f);
	repository_begin(repo);
	set(repo, "site.json", "first");
	set(repo, "group/a.json", "a");
	commit(repo, NOW);
}

/* `seen` maps file names to hashes: a version that is used again for other bytes shows. */
static void assert_versions_are_stable(json_t *seen, const struct fixture *f)
{
	SCOPED_TEXT char *metadata = path_join(f->published, "metadata");

	for (size_t role = 0; role < SITEROLE_TIMESTAMP; role++) {
		for (int version = 1; version < 12; version++) {
			SCOPED_TEXT char *name = alloc_printf(
				"%d.%s.json", version, siterole_name((enum siterole)role).text);
			SCOPED_TEXT char *path = path_join(metadata, name);
			SCOPED(buf) struct buf bytes = { 0 };
			char hex[DIGEST_HEX_SIZE];
			const char *before = jsondoc_text(seen, name);
			struct digest d;
			struct err err;

			if (!path_read(&bytes, path, 1 << 20, &err))
				continue;
			digest_of(&d, buf_span(&bytes));
			digest_print(hex, &d);
			if (before != NULL && strcmp(before, hex) != 0)
				fail_msg("%s was used for two contents", name);
			jsondoc_set_text(seen, name, hex);
		}
	}
}

static void fail_each_call(void (*arm)(unsigned int n))
{
	unsigned int n;

	for (n = 1; n < 500; n++) {
		SCOPED(fixture) struct fixture f;
		json_auto_t *seen = json_object();
		struct err err = { 0 };
		bool done, failed;

		publish_first(&f);
		assert_versions_are_stable(seen, &f);
		arm(n);
		done = publish_second(&f, &err);
		failed = failnth_disarm();
		assert_versions_are_stable(seen, &f);
		if (!failed) {
			assert_done(done, &err);
			assert_true(publishes(&f, "site.json=second"));
			break;
		}
		if (done)
			fail_msg("call %u failed and nobody noticed", n);
		/* Whole, and either all of the old or all of the new. */
		if (publishes(&f, "site.json=first"))
			assert_true(publishes(&f, "group/a.json=a"));
		else
			assert_true(publishes(&f, "manifest/LON00001/2=new"));
		assert_done(publish_second(&f, &err), &err);
		assert_true(publishes(&f, "site.json=second"));
		assert_versions_are_stable(seen, &f);
	}
	print_message("# %u calls failed in turn\n", n - 1);
	assert_true(n > 20 && n < 500);
}

static void a_failing_call_leaves_a_valid_publication(void **state)
{
	(void)state;
	fail_each_call(failnth_arm);
}

static void a_death_at_any_call_leaves_a_valid_publication(void **state)
{
	(void)state;
	fail_each_call(failnth_arm_for_good);
}

static void a_creation_that_was_cut_short_goes_on(void **state)
{
	unsigned int n;

	(void)state;
	for (n = 1; n < 500; n++) {
		SCOPED(fixture) struct fixture f;
		struct err err = { 0 };
		bool failed, done;

		fixture_new(&f);
		failnth_arm_for_good(n);
		done = repository_create(&f.where, NOW, &err);
		failed = failnth_disarm();
		assert_true(done != failed);
		if (!failed)
			break;
		if (!repository_create(&f.where, NOW + 60, &err))
			assert_int_equal(err.code, ERR_EXISTS); /* the last flush alone failed */
		assert_whole(&f, 0);
	}
	assert_true(n > 20 && n < 500);
}

/* ---- bins ---- */

static void set_packages(struct repository *repo, int count)
{
	for (int i = 0; i < count; i++) {
		char path[64];

		snprintf(path, sizeof(path), "package/LON%05X.json", i);
		set(repo, path, "{}");
	}
}

static enum verdict refresh(struct fixture *f, const char *local)
{
	const struct updater_store store = localmeta_store(local);
	const struct updater_source source = { .fetch = fetch_published, .ctx = f };
	const struct updater_options options = { .now_s = NOW };
	SCOPED(updater) struct updater *u = updater_new(&store, &source, &options);
	struct err err;

	return updater_refresh(u, &err);
}

/*
 * A site that has published whole lists for years grows past them: clients with older trusted state
 * follow, and what was published before is rolled back to by nobody.
 */
static void a_list_that_becomes_bins_takes_its_clients_along(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL, *again = NULL;
	SCOPED(buf) struct buf root = { 0 }, before = { 0 }, after = { 0 };
	SCOPED_TEXT char *local = NULL, *timestamp = NULL;
	struct err err = { 0 };

	(void)state;
	fixture_create(&f);
	local = path_join(f.dir, "local");
	timestamp = path_join3(f.published, "metadata", "timestamp.json");
	repo = reopen(&f);
	assert_done(repository_read_root(&root, repo, &err), &err);
	assert_int_equal(localmeta_init(local, buf_span(&root), &err), VERDICT_OK);
	repository_begin(repo);
	set_packages(repo, SITEROLE_SPLIT_ABOVE);
	commit(repo, NOW);
	refresh_and_expect(&f, local, NOW, "package/LON00007.json", "{}");
	assert_done(path_read(&before, timestamp, 1 << 20, &err), &err);

	repository_begin(repo);
	set_packages(repo, SITEROLE_SPLIT_ABOVE + 1);
	set(repo, "package/LON00007.json", "{\"new\":1}");
	assert_int_equal(commit(repo, NOW), REPOSITORY_CHANGED);
	refresh_and_expect(&f, local, NOW, "package/LON00007.json", "{\"new\":1}");
	refresh_and_expect(&f, local, NOW, "package/LON00008.json", "{}");
	/* All that was published stands there still: an old timestamp is all that it takes. */
	assert_done(path_read(&after, timestamp, 1 << 20, &err), &err);
	put_bytes(timestamp, buf_span(&before));
	assert_int_equal(refresh(&f, local), VERDICT_ROLLBACK);
	put_bytes(timestamp, buf_span(&after));
	refresh_and_expect(&f, local, NOW, "package/LON00007.json", "{\"new\":1}");
	assert_whole(&f, SITEROLE_SPLIT_ABOVE + 1);

	again = reopen(&f);
	repository_begin(again);
	assert_int_equal(commit(again, NOW), REPOSITORY_UNCHANGED);
	repository_begin(again);
	set(again, "package/LON00007.json", "{\"new\":2}");
	commit(again, NOW);
	refresh_and_expect(&f, local, NOW, "package/LON00007.json", "{\"new\":2}");
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void twenty_thousand_targets_are_published(void **state)
{
	SCOPED(fixture) struct fixture f;
	SCOPED(repository) struct repository *repo = NULL, *again = NULL;
	double start = seconds(), written, committed, opened;

	(void)state;
	fixture_create(&f);
	repo = reopen(&f);
	repository_begin(repo);
	for (int i = 0; i < 20000; i++) {
		char path[64], text[64];

		snprintf(path, sizeof(path), "package/LON%05X.json", i);
		snprintf(text, sizeof(text), "{\"id\":%d}", i);
		set(repo, path, text);
	}
	written = seconds();
	assert_int_equal(commit(repo, NOW), REPOSITORY_CHANGED);
	committed = seconds();
	again = reopen(&f);
	opened = seconds();
	print_message("# 20,000 targets: write %.2f s, commit %.2f s, open %.2f s\n",
		      written - start, committed - written, opened - committed);
	repository_begin(again);
	set(again, "package/LON00007.json", "{}");
	assert_int_equal(commit(again, NOW), REPOSITORY_CHANGED);
	print_message("# one change among them: %.2f s\n", seconds() - opened);
}

TESTING_MAIN(cmocka_unit_test(a_new_publication_is_whole_and_empty),
	     cmocka_unit_test(creating_twice_is_refused),
	     cmocka_unit_test(an_empty_folder_is_no_publication),
	     cmocka_unit_test(only_changed_roles_get_a_new_version),
	     cmocka_unit_test(the_same_content_is_no_change),
	     cmocka_unit_test(changes_that_were_not_committed_are_forgotten),
	     cmocka_unit_test(a_removed_target_is_no_longer_listed_but_kept),
	     cmocka_unit_test(a_path_that_no_role_signs_is_refused),
	     cmocka_unit_test(each_role_is_renewed_in_its_time),
	     cmocka_unit_test(the_client_follows_the_site_through_its_years),
	     cmocka_unit_test(a_key_that_is_elsewhere_stops_only_its_own_role),
	     cmocka_unit_test(a_lost_target_file_is_written_again),
	     cmocka_unit_test(a_flipped_byte_in_metadata_is_noticed),
	     cmocka_unit_test(a_failing_call_leaves_a_valid_publication),
	     cmocka_unit_test(a_death_at_any_call_leaves_a_valid_publication),
	     cmocka_unit_test(a_creation_that_was_cut_short_goes_on),
	     cmocka_unit_test(a_list_that_becomes_bins_takes_its_clients_along),
	     cmocka_unit_test(twenty_thousand_targets_are_published))

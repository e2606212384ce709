#include "trust/issuance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "support/pubbox.h"
#include "trust/keychange.h"
#include "trust/updater.h"

static void files_come_in_the_order_of_writing(void **state)
{
	static const char *const want[] = { "2.packages.json", "2.site.json", "2.snapshot.json",
					    "timestamp.json" };
	SCOPED(pubbox) struct pubbox f;

	(void)state;
	pubbox_make(&f);
	pubbox_set(&f, "site.json", "{}");
	pubbox_set(&f, "package/LON00001.json", "{}");
	pubbox_build(&f, NOW);
	assert_int_equal(f.files.count, COUNT_OF(want));
	for (size_t i = 0; i < COUNT_OF(want); i++)
		assert_string_equal(f.files.items[i].name, want[i]);
}

static void a_version_that_was_built_is_used_up(void **state)
{
	SCOPED(pubbox) struct pubbox f;

	(void)state;
	pubbox_make(&f);
	pubbox_set(&f, "site.json", "{}");
	pubbox_build(&f, NOW);
	pubbox_build(&f, NOW);
	assert_string_equal(f.files.items[0].name, "3.site.json");
	publication_saw_version(f.pub, SITEROLE_SITE, 40);
	publication_saw_version(f.pub, SITEROLE_SITE, 7);
	pubbox_build(&f, NOW);
	assert_string_equal(f.files.items[0].name, "41.site.json");
	issuance_accept(f.pub);
	assert_int_equal(publication_version(f.pub, SITEROLE_SITE), 41);
}

static void dropped_changes_are_built_no_more(void **state)
{
	SCOPED(pubbox) struct pubbox f;
	struct publication_target target;

	(void)state;
	pubbox_make(&f);
	pubbox_set(&f, "site.json", "{}");
	assert_true(issuance_has_changes(f.pub));
	assert_true(publication_find_target(&target, f.pub, "site.json"));
	publication_drop_changes(f.pub);
	assert_false(issuance_has_changes(f.pub));
	assert_false(publication_find_target(&target, f.pub, "site.json"));
	pubbox_build(&f, NOW);
	assert_int_equal(f.files.count, 0);
}

static void a_role_past_what_clients_read_is_refused(void **state)
{
	SCOPED(pubbox) struct pubbox f;
	struct err err = { 0 };

	(void)state;
	pubbox_make(&f);
	for (int i = 0; i < 45000; i++) {
		char path[64];

		snprintf(path, sizeof(path), "collection/%05x.json", i);
		pubbox_set(&f, path, "{}");
	}
	assert_false(issuance_build(&f.files, f.pub, &f.signers, NOW, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

/* ---- bins ---- */

static void set_packages(struct pubbox *f, int count)
{
	char path[64];

	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "package/LON%05X.json", i);
		pubbox_set(f, path, "{}");
	}
}

static size_t count_bins(const struct pubbox *f)
{
	size_t count = 0;

	for (size_t i = 0; i < f->files.count; i++)
		if (strchr(f->files.items[i].name, '-') != NULL)
			count++;
	return count;
}

static bool has_file(const struct pubbox *f, const char *name)
{
	for (size_t i = 0; i < f->files.count; i++)
		if (strcmp(f->files.items[i].name, name) == 0)
			return true;
	return false;
}

static void split_packages(struct pubbox *f)
{
	set_packages(f, SITEROLE_SPLIT_ABOVE + 1);
	pubbox_build(f, NOW);
	issuance_accept(f->pub);
}

static void a_long_list_becomes_bins_for_good(void **state)
{
	SCOPED(pubbox) struct pubbox f;
	struct publication_target target;
	struct err err = { 0 };

	(void)state;
	pubbox_make(&f);
	set_packages(&f, SITEROLE_SPLIT_ABOVE);
	pubbox_build(&f, NOW);
	issuance_accept(f.pub);
	assert_int_equal(publication_bins(f.pub, SITEROLE_PACKAGES), 0);
	assert_int_equal(count_bins(&f), 0);

	split_packages(&f);
	assert_int_equal(publication_bins(f.pub, SITEROLE_PACKAGES), SITEROLE_PACKAGES_BINS);
	assert_int_equal(publication_bins(f.pub, SITEROLE_LOCATIONS), 0);
	assert_int_equal(count_bins(&f), SITEROLE_PACKAGES_BINS);
	assert_true(publication_find_target(&target, f.pub, "package/LON00000.json"));

	/* A role must not leave the snapshot: it stays split however short it becomes. */
	for (int i = 1; i <= SITEROLE_SPLIT_ABOVE; i++) {
		char path[64];

		snprintf(path, sizeof(path), "package/LON%05X.json", i);
		assert_done(publication_remove_target(f.pub, path, &err), &err);
	}
	pubbox_build(&f, NOW);
	issuance_accept(f.pub);
	assert_int_equal(publication_bins(f.pub, SITEROLE_PACKAGES), SITEROLE_PACKAGES_BINS);
	assert_true(publication_find_target(&target, f.pub, "package/LON00000.json"));
	assert_false(publication_find_target(&target, f.pub, "package/LON00001.json"));
}

static void one_change_makes_one_bin(void **state)
{
	SCOPED(pubbox) struct pubbox f;
	SCOPED_TEXT char *want = NULL;

	(void)state;
	pubbox_make(&f);
	split_packages(&f);
	pubbox_set(&f, "package/LON00007.json", "{\"new\":1}");
	pubbox_build(&f, NOW);
	want = alloc_printf(
		"2.%s.json",
		siterole_name(siterole_bin_of_path(SITEROLE_PACKAGES, "package/LON00007.json"))
			.text);
	assert_int_equal(f.files.count, 3);
	assert_string_equal(f.files.items[0].name, want);
	assert_true(has_file(&f, "timestamp.json"));
}

static void a_split_that_was_dropped_leaves_nothing(void **state)
{
	SCOPED(pubbox) struct pubbox f;
	SCOPED(publication_paths) struct publication_paths paths = { 0 };

	(void)state;
	pubbox_make(&f);
	set_packages(&f, SITEROLE_SPLIT_ABOVE + 1);
	pubbox_build(&f, NOW);
	publication_drop_changes(f.pub);
	pubbox_build(&f, NOW);
	assert_int_equal(f.files.count, 0);
	assert_false(issuance_has_changes(f.pub));
	publication_list_built(&paths, f.pub);
	assert_int_equal(paths.count, 8);
}

/* Signatures and bytes are spread over time, and no file ever comes near its end. */
static void bins_are_renewed_a_few_at_a_time(void **state)
{
	SCOPED(pubbox) struct pubbox f;
	size_t most = 0;

	(void)state;
	pubbox_make(&f);
	split_packages(&f);
	for (int week = 1; week < 3 * 52; week++) {
		int64_t now_s = NOW + week * 7 * DAY;

		pubbox_build(&f, now_s);
		issuance_accept(f.pub);
		most = MAX_OF(most, count_bins(&f));
		for (enum siterole role = 0; role < SITEROLE_SNAPSHOT; role++)
			if (publication_version(f.pub, role) > 0)
				assert_true(publication_expires(f.pub, role) >= now_s + 6 * DAY);
	}
	print_message("# at most %zu of %d bins in one week\n", most, SITEROLE_PACKAGES_BINS);
	assert_true(most >= 1 && most <= SITEROLE_PACKAGES_BINS / 8);
}

static void put_new_key(struct pubbox *f, enum siterole role)
{
	json_t *holder = publication_signers(f->pub, role);
	struct signer *fresh = signer_generate();
	size_t dropped = 0;

	for (size_t i = 0; i < f->signers.count; i++)
		if (keychange_drop(holder, siterole_name(role).text, signer_public(f->items[i])))
			dropped++;
	assert_int_equal(dropped, 1);
	assert_true(keychange_add(holder, siterole_name(role).text, signer_public(fresh)));
	f->items[f->signers.count++] = fresh;
}

static void bins_are_signed_by_the_new_keys_of_their_role(void **state)
{
	SCOPED(pubbox) struct pubbox f;

	(void)state;
	pubbox_make(&f);
	split_packages(&f);
	put_new_key(&f, SITEROLE_PACKAGES);
	pubbox_build(&f, NOW);
	issuance_accept(f.pub);
	assert_true(has_file(&f, "2.targets.json"));
	assert_int_equal(count_bins(&f), SITEROLE_PACKAGES_BINS);
	pubbox_build(&f, NOW);
	assert_int_equal(f.files.count, 0);
}

/* ---- what a client fetches ---- */

/* A server of all that was ever built, and a client's store: files by their names. */
struct served {
	json_t *files; /* name → {"at": index of bytes} */
	struct buf *bytes;
	size_t count;
	size_t fetched; /* bytes since it was set to 0 */
};

static void put_file(struct served *s, const char *name, struct span bytes)
{
	ALLOC_GROW(s->bytes, s->count);
	s->bytes[s->count] = (struct buf){ 0 };
	buf_put_span(&s->bytes[s->count], bytes);
	jsondoc_set_int(s->files, name, (int64_t)s->count++);
}

static const struct buf *find_file(const struct served *s, const char *name)
{
	int64_t at = jsondoc_int(s->files, name, -1);

	return at >= 0 ? &s->bytes[at] : NULL;
}

static void served_scoped(struct served *s)
{
	for (size_t i = 0; i < s->count; i++)
		buf_release(&s->bytes[i]);
	free(s->bytes);
	json_decref(s->files);
}

static void serve_built(struct served *s, struct pubbox *f)
{
	for (size_t i = 0; i < f->files.count; i++)
		put_file(s, f->files.items[i].name, buf_span(&f->files.items[i].bytes));
	issuance_accept(f->pub);
}

static enum updater_fetched fetch_served(void *ctx, const struct updater_request *r,
					 struct buf *out, struct err *err UNUSED)
{
	struct served *s = ctx;
	const struct buf *bytes = find_file(s, r->path);

	if (bytes == NULL)
		return UPDATER_NOT_FOUND;
	assert_true(bytes->size <= r->max);
	s->fetched += bytes->size;
	buf_put_span(out, buf_span(bytes));
	return UPDATER_GOT;
}

static bool load_stored(void *ctx, const char *file, size_t max, struct buf *out)
{
	const struct buf *bytes = find_file(ctx, file);

	if (bytes == NULL || bytes->size > max)
		return false;
	buf_put_span(out, buf_span(bytes));
	return true;
}

static bool save_stored(void *ctx, const char *file, struct span bytes, struct err *err UNUSED)
{
	put_file(ctx, file, bytes);
	return true;
}

static bool remove_stored(void *ctx, const char *file, struct err *err UNUSED)
{
	json_object_del(((struct served *)ctx)->files, file);
	return true;
}

/* A refresh, and a search for everything that one package has. */
static void follow(struct served *server, struct served *store, const char *const *paths,
		   enum verdict want)
{
	const struct updater_source source = { .fetch = fetch_served, .ctx = server };
	const struct updater_store kept = {
		.load = load_stored, .save = save_stored, .remove = remove_stored, .ctx = store
	};
	SCOPED(updater)
	struct updater *u = updater_new(&kept, &source, &(struct updater_options){ .now_s = NOW });
	struct updater_target target;
	struct err err = { 0 };

	assert_int_equal(updater_refresh(u, &err), want);
	for (size_t i = 0; want == VERDICT_OK && paths[i] != NULL; i++)
		if (updater_find_target(u, paths[i], &target, &err) != VERDICT_OK)
			fail_msg("%s: %s", paths[i], err.why);
}

static void set_everything(struct pubbox *f, int packages, int versions)
{
	char path[64];

	for (int i = 0; i < packages; i++) {
		snprintf(path, sizeof(path), "package/LON%05X.json", i);
		pubbox_set(f, path, "{}");
		snprintf(path, sizeof(path), "location/LON%05X.json", i);
		pubbox_set(f, path, "{}");
		for (int version = 1; version <= versions; version++) {
			snprintf(path, sizeof(path), "manifest/LON%05X/%d", i, version);
			pubbox_set(f, path, "{}");
		}
	}
	for (int i = 0; i < 128; i++) {
		snprintf(path, sizeof(path), "%s/%02x.json",
			 i < 64 ? "advertisement" : "collection", i % 64);
		pubbox_set(f, path, "{}");
	}
}

/* All of one package at once: a program, a version with its manifest, where it is. */
static void one_change_among_ten_thousand_packages_is_small(void **state)
{
	static const char *const before[] = { "package/LON00007.json", "location/LON00007.json",
					      "manifest/LON00007/2", NULL };
	static const char *const after[] = { "package/LON00007.json", "location/LON00007.json",
					     "manifest/LON00007/3", NULL };
	SCOPED(pubbox) struct pubbox f;
	SCOPED(served) struct served server = { .files = json_object() };
	SCOPED(served) struct served store = { .files = json_object() };
	size_t whole;

	(void)state;
	pubbox_make(&f);
	serve_built(&server, &f);
	put_file(&store, "root.json", buf_span(&f.files.items[0].bytes));
	set_everything(&f, 10000, 2);
	pubbox_build(&f, NOW);
	serve_built(&server, &f);
	follow(&server, &store, before, VERDICT_OK);
	whole = server.fetched;

	for (size_t i = 0; after[i] != NULL; i++)
		pubbox_set(&f, after[i], "{\"new\":1}");
	pubbox_build(&f, NOW);
	serve_built(&server, &f);
	server.fetched = 0;
	follow(&server, &store, after, VERDICT_OK);
	print_message("# first %zu bytes, one change %zu bytes\n", whole, server.fetched);
	assert_true(server.fetched > 0 && server.fetched <= 100000);
	server.fetched = 0;
	follow(&server, &store, after, VERDICT_OK);
	assert_true(server.fetched < 2000);
}

/* ---- keys that are elsewhere ---- */

/* Take the key of a role out of those that are here. */
static struct signer *take_signer(struct pubbox *f, enum siterole role)
{
	struct publication_keys keys;

	for (size_t i = 0; i < f->signers.count; i++) {
		struct signer *taken = f->items[i];

		f->items[i] = f->items[--f->signers.count];
		publication_role_keys(&keys, f->pub, role, &f->signers);
		if (keys.here == 0)
			return taken;
		f->items[f->signers.count++] = f->items[i];
		f->items[i] = taken;
	}
	fail_msg("no key of the role is here");
	return NULL;
}

static json_t *request(struct pubbox *f, int64_t now_s)
{
	json_t *wishes = NULL;
	struct err err = { 0 };

	publication_split(f->pub);
	assert_done(issuance_request(&wishes, f->pub, &f->signers, now_s, &err), &err);
	publication_drop_changes(f->pub);
	return wishes;
}

/* Sign one wish and give it back. */
static bool give(struct pubbox *f, json_t *wish, struct signer *signer, struct err *err)
{
	const struct authority_signers one = { .items = &signer, .count = 1 };
	SCOPED(buf) struct buf text = { 0 };

	assert_done(jsondoc_canonical(&text, json_object_get(wish, "signed"), err), err);
	authority_countersign(json_object_get(wish, "signatures"), json_object_get(wish, "keys"),
			      &one, buf_span(&text));
	return issuance_give(f->pub, wish, err);
}

static void a_split_waits_for_keys_that_are_elsewhere(void **state)
{
	SCOPED(pubbox) struct pubbox f;
	SCOPED(signer) struct signer *away = NULL;
	json_auto_t *wishes = NULL;
	struct err err = { 0 };
	json_t *wish;
	size_t i;

	(void)state;
	pubbox_make(&f);
	away = take_signer(&f, SITEROLE_PACKAGES);
	set_packages(&f, SITEROLE_SPLIT_ABOVE + 1);
	pubbox_build(&f, NOW);
	assert_int_equal(f.files.count, 0);
	assert_true(publication_waits(f.pub, SITEROLE_PACKAGES));
	wishes = request(&f, NOW);
	assert_int_equal(json_array_size(wishes), 1 + SITEROLE_PACKAGES_BINS);

	/* All but one of them: the site would name keys for a bin that is not there. */
	json_array_foreach (wishes, i, wish)
		if (i != 100)
			assert_done(give(&f, wish, away, &err), &err);
	assert_false(issuance_build(&f.files, f.pub, &f.signers, NOW, &err));
	assert_int_equal(err.code, ERR_REFUSED);
	assert_done(give(&f, json_array_get(wishes, 100), away, &err), &err);
	pubbox_build(&f, NOW);
	issuance_accept(f.pub);
	assert_int_equal(count_bins(&f), SITEROLE_PACKAGES_BINS);
	assert_int_equal(publication_bins(f.pub, SITEROLE_PACKAGES), SITEROLE_PACKAGES_BINS);
	assert_false(publication_waits(f.pub, SITEROLE_PACKAGES));
}

/* Whoever signs one change is asked for what would be due soon, all at once and not each week. */
static void a_request_renews_bins_together(void **state)
{
	static const struct {
		const char *why;
		int64_t after_days;
		size_t wishes;
	} cases[] = {
		{ "young bins are left alone", 30, 1 },
		{ "old ones come along", 200, SITEROLE_PACKAGES_BINS },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(pubbox) struct pubbox f;
		SCOPED(signer) struct signer *away = NULL;
		json_auto_t *wishes = NULL;

		pubbox_make(&f);
		split_packages(&f);
		away = take_signer(&f, SITEROLE_PACKAGES);
		pubbox_set(&f, "package/LON00007.json", "{\"new\":1}");
		wishes = request(&f, NOW + cases[i].after_days * DAY);
		if (json_array_size(wishes) != cases[i].wishes)
			fail_msg("%s: %zu", cases[i].why, json_array_size(wishes));
	}
}

/* Clients could not read the role between its new keys' being named and its being signed by them.
 */
static void new_keys_are_named_together_with_what_they_signed(void **state)
{
	static const enum siterole roles[] = { SITEROLE_PACKAGES, SITEROLE_TARGETS, SITEROLE_ROOT };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(roles); i++) {
		SCOPED(pubbox) struct pubbox f;
		SCOPED(signer) struct signer *away = NULL;
		json_auto_t *wishes = NULL;
		struct err err = { 0 };

		pubbox_make(&f);
		pubbox_set(&f, "package/LON00007.json", "{}");
		pubbox_build(&f, NOW);
		issuance_accept(f.pub);
		put_new_key(&f, roles[i]);
		away = f.items[--f.signers.count];
		pubbox_build(&f, NOW);
		assert_int_equal(f.files.count, 0);
		assert_true(publication_waits(f.pub, siterole_delegator(roles[i])));
		wishes = request(&f, NOW);
		assert_int_equal(json_array_size(wishes), 1);
		assert_done(give(&f, json_array_get(wishes, 0), away, &err), &err);
		pubbox_build(&f, NOW);
		issuance_accept(f.pub);
		assert_false(publication_waits(f.pub, siterole_delegator(roles[i])));
		assert_int_equal(publication_version(f.pub, roles[i]), 2 + (i == 0));
	}
}

TESTING_MAIN(cmocka_unit_test(files_come_in_the_order_of_writing),
	     cmocka_unit_test(a_version_that_was_built_is_used_up),
	     cmocka_unit_test(dropped_changes_are_built_no_more),
	     cmocka_unit_test(a_role_past_what_clients_read_is_refused),
	     cmocka_unit_test(a_long_list_becomes_bins_for_good),
	     cmocka_unit_test(one_change_makes_one_bin),
	     cmocka_unit_test(a_split_that_was_dropped_leaves_nothing),
	     cmocka_unit_test(bins_are_renewed_a_few_at_a_time),
	     cmocka_unit_test(bins_are_signed_by_the_new_keys_of_their_role),
	     cmocka_unit_test(one_change_among_ten_thousand_packages_is_small),
	     cmocka_unit_test(a_split_waits_for_keys_that_are_elsewhere),
	     cmocka_unit_test(a_request_renews_bins_together),
	     cmocka_unit_test(new_keys_are_named_together_with_what_they_signed))

/*
 * What a site publishes, with one byte flipped or its end cut off, one at a time through all of it:
 * a client refuses it, or what it uses is what it used before. A small site with one of everything,
 * and a publication in memory whose packages are in bins. PACKWAY_TEST_BITS=8 flips every bit of
 * every byte.
 */
#include "support/testing.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "content/assemble.h"
#include "content/check.h"
#include "policy/docs.h"
#include "site/advertisement.h"
#include "site/collection.h"
#include "site/distribute.h"
#include "site/group.h"
#include "site/program.h"
#include "site/publish.h"
#include "site/release.h"
#include "site/sitekeys.h"
#include "site/system.h"
#include "support/pubbox.h"
#include "support/sitebox.h"
#include "support/tufrepo.h"
#include "trust/role.h"

/* ---- spoiling ---- */

/* False if a client was deceived by the file as it is now. */
typedef bool (*is_safe_fn)(void *ctx);

struct spoiling {
	size_t step; /* from one byte to the next */
	size_t tries;
	size_t harmless; /* were taken, and changed nothing */
};

static unsigned int bits_of_a_byte(void)
{
	const char *bits = getenv("PACKWAY_TEST_BITS");

	return bits != NULL ? (unsigned int)atoi(bits) : 1;
}

static void try_flips(struct spoiling *s, const char *name, struct buf *file, is_safe_fn is_safe,
		      void *ctx)
{
	for (size_t at = 0; at < file->size; at += s->step) {
		for (unsigned int i = 0; i < bits_of_a_byte(); i++, s->tries++) {
			unsigned int bit = (unsigned int)(at * 5 + i) % 8;

			file->data[at] ^= (uint8_t)(1u << bit);
			if (!is_safe(ctx))
				fail_msg("%s, bit %u of byte %zu flipped: taken", name, bit, at);
			file->data[at] ^= (uint8_t)(1u << bit);
		}
	}
}

static void try_lengths(struct spoiling *s, const char *name, struct buf *file, is_safe_fn is_safe,
			void *ctx)
{
	const size_t whole = file->size;

	for (file->size = 0; file->size < whole; file->size += s->step, s->tries++)
		if (!is_safe(ctx))
			fail_msg("%s, cut to %zu bytes: taken", name, file->size);
	buf_put_u8(file, ' ');
	if (!is_safe(ctx))
		fail_msg("%s, a byte longer: taken", name);
	file->size = whole;
}

static void spoil(struct spoiling *s, const char *name, struct buf *file, is_safe_fn is_safe,
		  void *ctx)
{
	try_flips(s, name, file, is_safe, ctx);
	try_lengths(s, name, file, is_safe, ctx);
	if (!is_safe(ctx))
		fail_msg("%s, whole: refused, or something else", name);
}

/* Every byte of a large file takes the time of a deep test. */
static size_t step_of_large(void)
{
	return getenv("PACKWAY_TEST_BITS") != NULL ? 1 : 8;
}

static void tell(const char *what, const struct spoiling *s)
{
	print_message("# %s: %zu tries, %zu taken and harmless\n", what, s->tries, s->harmless);
	assert_true(s->tries > 0);
}

/* ---- a client of metadata ---- */

struct view {
	struct tufrepo *repo;   /* its `metadata` and `targets` are served */
	struct memfiles before; /* the client's, before it meets the publication */
	struct memfiles after;  /* a refresh of the whole one, and all its roles */
	struct memfiles top;    /* a refresh of the whole one */
	int64_t now_s;
	struct spoiling *counts;
	const char *path; /* a target of the role that is spoilt */
	struct updater *updater;
	const struct updater_target *target;
	struct span whole; /* that target's bytes */
	size_t targets;    /* that were spoilt */
};

static bool same_signed(const struct buf *a, const struct buf *b)
{
	json_auto_t *x = NULL, *y = NULL;
	struct err err;

	return jsondoc_read(&x, buf_span(a), &err) && jsondoc_read(&y, buf_span(b), &err) &&
	       json_equal(json_object_get(x, "signed"), json_object_get(y, "signed"));
}

static bool is_in(struct memfiles *files, const struct memfile *f)
{
	const struct buf *there = memfiles_find(files, f->name);

	return there != NULL &&
	       (span_equal(buf_span(there), buf_span(&f->bytes)) || same_signed(there, &f->bytes));
}

/* True if all that the client keeps was said by the site. */
static bool keeps_only_truth(struct view *v)
{
	for (size_t i = 0; i < v->repo->store.count; i++)
		if (!is_in(&v->before, &v->repo->store.list[i]) &&
		    !is_in(&v->after, &v->repo->store.list[i]))
			return false;
	return true;
}

static bool keeps_all(struct view *v, const struct memfiles *files)
{
	for (size_t i = 0; i < files->count; i++)
		if (!is_in(&v->repo->store, &files->list[i]))
			return false;
	return true;
}

static enum verdict renew(struct view *v)
{
	SCOPED(updater) struct updater *u = tufrepo_client(v->repo, v->now_s, 0);
	struct err err;

	memfiles_copy(&v->repo->store, &v->before);
	return updater_refresh(u, &err);
}

static bool a_refresh_is_safe(void *ctx)
{
	struct view *v = ctx;
	enum verdict verdict = renew(v);

	v->counts->harmless += verdict == VERDICT_OK;
	return keeps_only_truth(v) && (verdict != VERDICT_OK || keeps_all(v, &v->top));
}

/* The stored files as they are now, without a server. */
static bool a_look_is_safe(void *ctx)
{
	struct view *v = ctx;
	SCOPED(updater) struct updater *u = tufrepo_offline_client(v->repo, v->now_s);
	struct updater_target t;
	struct err err;
	enum verdict verdict = updater_load_trusted(u, &err);

	if (verdict == VERDICT_OK)
		verdict = updater_find_target(u, v->path, &t, &err);
	v->counts->harmless += verdict == VERDICT_OK;
	return verdict != VERDICT_OK ||
	       (keeps_only_truth(v) && keeps_all(v, &v->after) &&
		t.listing.length == v->target->listing.length &&
		json_equal((json_t *)(uintptr_t)t.listing.hashes,
			   (json_t *)(uintptr_t)v->target->listing.hashes));
}

/* The role of `path` comes from the server for the first time. */
static bool a_search_is_safe(void *ctx)
{
	struct view *v = ctx;
	struct updater_target t;
	struct err err;
	enum verdict verdict = updater_find_target(v->updater, v->path, &t, &err);

	if (verdict == VERDICT_OK) {
		v->counts->harmless++;
		if (!keeps_all(v, &v->after))
			return false;
		updater_free(v->updater);
		memfiles_copy(&v->repo->store, &v->before);
		v->updater = tufrepo_client(v->repo, v->now_s, 0);
		return updater_refresh(v->updater, &err) == VERDICT_OK;
	}
	return keeps_only_truth(v);
}

static bool a_target_is_safe(void *ctx)
{
	struct view *v = ctx;
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;
	enum verdict verdict = updater_fetch_target(v->updater, v->target, &bytes, &err);

	v->counts->harmless += verdict == VERDICT_OK;
	return verdict == VERDICT_OK ? span_equal(buf_span(&bytes), v->whole) : bytes.size == 0;
}

static struct buf *served(struct memfiles *files, const char *name)
{
	struct buf *bytes = memfiles_find(files, name);

	if (bytes == NULL)
		fail_msg("%s is not published", name);
	return bytes;
}

/* The served file of a top-level role as it was asked for last. */
static void spoil_role(struct view *v, const char *name)
{
	spoil(v->counts, name, served(&v->repo->metadata, name), a_refresh_is_safe, v);
}

/*
 * The file of a delegated role, which the client has to fetch for `path`; all else that it needs it
 * has. `role` is its name without the version.
 */
static void spoil_delegated(struct view *v, const char *role, const char *path)
{
	SCOPED_TEXT char *stored = alloc_printf("%s.json", role);
	SCOPED_TEXT char *url = NULL;
	json_auto_t *doc = NULL;
	struct memfiles start = { 0 };
	struct err err;

	assert_done(jsondoc_read(&doc, buf_span(served(&v->after, stored)), &err), &err);
	url = alloc_printf("%lld.%s",
			   (long long)jsondoc_int(json_object_get(doc, "signed"), "version", 0),
			   stored);
	memfiles_copy(&start, &v->before);
	memfiles_copy(&v->before, &v->after);
	memfiles_drop(&v->before, stored);
	memfiles_copy(&v->repo->store, &v->before);
	v->path = path;
	v->updater = tufrepo_client(v->repo, v->now_s, 0);
	assert_int_equal(updater_refresh(v->updater, &err), VERDICT_OK);
	spoil(v->counts, url, served(&v->repo->metadata, url), a_search_is_safe, v);
	updater_free(v->updater);
	v->updater = NULL;
	memfiles_copy(&v->before, &start);
	memfiles_release(&start);
}

static void close_view(struct view *v)
{
	updater_free(v->updater);
	memfiles_release(&v->before);
	memfiles_release(&v->after);
	memfiles_release(&v->top);
	tufrepo_free(v->repo);
}

/* Nothing served, nothing held. */
static void open_view(struct view *v, int64_t now_s, struct spoiling *counts)
{
	*v = (struct view){ .repo = tufrepo_new(), .now_s = now_s, .counts = counts };
	memfiles_release(&v->repo->metadata);
	memfiles_release(&v->repo->targets);
	memfiles_release(&v->repo->store);
}

/* ---- a small site ---- */

struct world {
	struct sitebox box;
	char package[SITE_ID_SIZE];
	struct view view;
	struct spoiling counts;
};

static void publish(struct world *w)
{
	static const struct policydoc_settings settings = { .poll_s = 900, .linger_s = 120 };
	json_auto_t *published = NULL;
	struct err err = { 0 };
	size_t failed;

	w->box.now_s += 10;
	assert_done(publish_run(&published, &failed, w->box.site, &settings, &err), &err);
	assert_int_equal(failed, 0);
}

static void add_dp(struct world *w)
{
	SCOPED_TEXT char *folder = sitebox_path(&w->box, "dp");
	SCOPED_TEXT char *note = NULL;
	struct err err = { 0 };

	assert_done(system_add(w->box.site,
			       &(struct system_spec){
				       .kind = MARKER_DP,
				       .name = "dp1",
				       .urls = (const char *const[]){ folder },
				       .url_count = 1,
			       },
			       &note, &err),
		    &err);
}

static void make_source(const char *source)
{
	SCOPED_TEXT char *sub = path_join(source, "lib");
	SCOPED_TEXT char *script = path_join(source, "install");
	SCOPED_TEXT char *data = path_join(sub, "data");
	struct err err = { 0 };

	assert_done(path_make_dirs(sub, 0755, &err), &err);
	assert_done(newfile_write(script, 0755, span_of_text("#!/bin/sh\nexit 0\n"), &err), &err);
	assert_done(
		newfile_write(data, 0644, span_of_text("some content of a small package\n"), &err),
		&err);
}

static void make_package(struct world *w)
{
	SCOPED(release_result) struct release_result made = { 0 };
	SCOPED_TEXT char *source = sitebox_path(&w->box, "source");
	struct distribute_options how = { .package = w->package };
	struct err err = { 0 };
	size_t failed;

	make_source(source);
	assert_done(release_create(&made, w->box.site,
				   &(struct release_spec){ .name = "tool", .source = source },
				   &err),
		    &err);
	snprintf(w->package, sizeof(w->package), "%s", made.id);
	assert_done(distribute_want(w->box.site, w->package, NULL, 0, &err), &err);
	assert_done(distribute_run(&failed, w->box.site, &how, &err), &err);
	assert_int_equal(failed, 0);
}

static void offer_it(struct world *w)
{
	const struct program_spec program = {
		.package = w->package,
		.name = "install",
		.command = "./install",
		.timeout_s = 600,
		.rerun = "never",
		.as = "root",
		.mount = "none",
	};
	const struct advertisement_spec offer = {
		.package = w->package,
		.program = "install",
		.collection = "some",
		.available_s = w->box.now_s,
		.mandatory_s = -1,
		.expires_s = -1,
	};
	char id[SITE_ID_SIZE];
	struct err err = { 0 };

	assert_done(program_add(w->box.site, &program, &err), &err);
	assert_done(collection_add(w->box.site,
				   &(struct collection_spec){
					   .name = "some",
					   .query = "SELECT client_id FROM os",
				   },
				   &err),
		    &err);
	assert_done(group_add(w->box.site, &(struct group_spec){ .name = "branch" }, &err), &err);
	assert_done(group_add_boundary(w->box.site, "10.1.0.0/16", "branch", &err), &err);
	assert_done(advertisement_add(id, w->box.site, &offer, &err), &err);
}

static void load_folder(struct memfiles *to, const char *folder, const char *prefix)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		SCOPED_TEXT char *path = path_join(folder, entry->d_name);
		SCOPED_TEXT char *name = alloc_printf("%s%s", prefix, entry->d_name);
		SCOPED_TEXT char *inner = alloc_printf("%s/", name);
		SCOPED(buf) struct buf bytes = { 0 };
		struct err err = { 0 };
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		assert_int_equal(lstat(path, &st), 0);
		if (S_ISDIR(st.st_mode)) {
			load_folder(to, path, inner);
			continue;
		}
		assert_done(path_read(&bytes, path, (size_t)1 << 24, &err), &err);
		memfiles_put(to, name, buf_span(&bytes));
	}
	closedir(dir);
}

static void load_box(struct world *w, struct memfiles *to, const char *folder)
{
	SCOPED_TEXT char *path = sitebox_path(&w->box, folder);

	memfiles_release(to);
	load_folder(to, path, "");
}

/* Fetch all that the site lists; the roles' files are held then. */
static bool want_each(void *ctx, const struct updater_target *t)
{
	struct view *v = ctx;
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	assert_int_equal(updater_fetch_target(v->updater, t, &bytes, &err), VERDICT_OK);
	return true;
}

/* What the client holds of the publication that is served, by an honest refresh. */
static void meet(struct view *v, struct memfiles *out)
{
	struct err err;

	v->updater = tufrepo_client(v->repo, v->now_s, 0);
	assert_int_equal(updater_refresh(v->updater, &err), VERDICT_OK);
	assert_int_equal(updater_each_target(v->updater, "targets", want_each, v, &err),
			 VERDICT_OK);
	memfiles_copy(out, &v->repo->store);
	updater_free(v->updater);
	v->updater = NULL;
}

static void open_world(struct world *w)
{
	SCOPED_TEXT char *root = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *rotated = NULL;
	struct err err = { 0 };

	*w = (struct world){ .counts = { .step = 1 } };
	sitebox_open(&w->box);
	open_view(&w->view, w->box.now_s + 60, &w->counts);
	root = sitebox_path(&w->box, "site/root.json");
	assert_done(path_read(&bytes, root, (size_t)1 << 20, &err), &err);
	memfiles_put(&w->view.repo->store, "root.json", buf_span(&bytes));
	load_box(w, &w->view.repo->metadata, "cap/metadata");
	load_box(w, &w->view.repo->targets, "cap/targets");
	meet(&w->view, &w->view.before);
	add_dp(w);
	make_package(w);
	offer_it(w);
	assert_done(sitekeys_rotate(&rotated, w->box.site, "targets", &err), &err);
	publish(w);
	load_box(w, &w->view.repo->metadata, "cap/metadata");
	load_box(w, &w->view.repo->targets, "cap/targets");
	assert_int_equal(renew(&w->view), VERDICT_OK);
	memfiles_copy(&w->view.top, &w->view.repo->store);
	meet(&w->view, &w->view.after);
}

static void close_world(struct world *w)
{
	close_view(&w->view);
	sitebox_close(&w->box);
}

/* "7.snapshot.json" of what the client holds in the end. */
static char *url_of(struct view *v, const char *role)
{
	SCOPED_TEXT char *stored = alloc_printf("%s.json", role);
	json_auto_t *doc = NULL;
	struct err err;

	assert_done(jsondoc_read(&doc, buf_span(served(&v->after, stored)), &err), &err);
	return alloc_printf("%lld.%s",
			    (long long)jsondoc_int(json_object_get(doc, "signed"), "version", 0),
			    stored);
}

static void spoilt_metadata_of_a_small_site_is_refused_or_harmless(void **state UNUSED)
{
	static const char *const roles[] = { "root", "snapshot", "targets" };
	struct world w;

	open_world(&w);
	SCOPED_TEXT char *package = docs_path_package(w.package);
	SCOPED_TEXT char *location = docs_path_location(w.package);

	spoil_role(&w.view, "timestamp.json");
	for (size_t i = 0; i < COUNT_OF(roles); i++) {
		SCOPED_TEXT char *url = url_of(&w.view, roles[i]);

		spoil_role(&w.view, url);
	}
	spoil_delegated(&w.view, "site", "site.json");
	spoil_delegated(&w.view, "packages", package);
	spoil_delegated(&w.view, "locations", location);
	spoil_delegated(&w.view, "assignments", "advertisement/00.json");
	tell("metadata", &w.counts);
	close_world(&w);
}

/* What a disk or a program does to the files that a client holds. */
static void spoilt_metadata_in_a_clients_store_is_refused_or_harmless(void **state UNUSED)
{
	SCOPED(updater) struct updater *honest = NULL;
	struct updater_target target;
	struct world w;
	struct err err;

	open_world(&w);
	SCOPED_TEXT char *package = docs_path_package(w.package);

	memfiles_copy(&w.view.repo->store, &w.view.after);
	honest = tufrepo_offline_client(w.view.repo, w.view.now_s);
	assert_int_equal(updater_load_trusted(honest, &err), VERDICT_OK);
	assert_int_equal(updater_find_target(honest, package, &target, &err), VERDICT_OK);
	w.view.path = package;
	w.view.target = &target;
	memfiles_release(&w.view.before);
	static const char *const files[] = { "root.json", "timestamp.json", "snapshot.json",
					     "targets.json", "packages.json" };

	for (size_t i = 0; i < COUNT_OF(files); i++)
		spoil(&w.counts, files[i], served(&w.view.repo->store, files[i]), a_look_is_safe,
		      &w.view);
	tell("stored metadata", &w.counts);
	close_world(&w);
}

/* ---- target files: every document and manifest ---- */

static char *file_of(const struct updater_target *t)
{
	const char *base = path_base(t->path);
	const char *hash = json_string_value(json_object_get(t->listing.hashes, "sha256"));

	return alloc_printf("%.*s%s.%s", (int)(base - t->path), t->path, hash, base);
}

static bool spoil_target(void *ctx, const struct updater_target *t)
{
	struct view *v = ctx;
	SCOPED_TEXT char *name = file_of(t);
	struct buf *file = served(&v->repo->targets, name);
	SCOPED(buf) struct buf whole = { 0 };

	buf_put_span(&whole, buf_span(file));
	v->whole = buf_span(&whole);
	v->target = t;
	spoil(v->counts, name, file, a_target_is_safe, v);
	v->targets++;
	return true;
}

static void spoilt_documents_and_manifests_are_refused(void **state UNUSED)
{
	struct world w;
	struct err err;

	open_world(&w);
	memfiles_copy(&w.view.repo->store, &w.view.after);
	w.view.updater = tufrepo_client(w.view.repo, w.view.now_s, 0);
	assert_int_equal(updater_refresh(w.view.updater, &err), VERDICT_OK);
	assert_int_equal(
		updater_each_target(w.view.updater, "targets", spoil_target, &w.view, &err),
		VERDICT_OK);
	tell("targets", &w.counts);
	/* Nothing but the whole files was taken, each once. */
	assert_int_equal(w.counts.harmless, w.view.targets);
	close_world(&w);
}

/* ---- index and packs ---- */

struct shelf {
	struct memfiles files; /* of the package's folder on the DP */
	struct assemble_params params;
	struct span manifest;
	char *dir;
	struct spoiling counts;
};

static enum transfer_result read_object(void *ctx, const char *name, uint64_t cap, struct buf *out,
					struct err *err)
{
	struct shelf *s = ctx;
	const struct buf *file = memfiles_find(&s->files, name);

	if (file == NULL || file->size > cap) {
		err_set(err, ERR_NOT_FOUND, "%s is not there, or too large", name);
		return TRANSFER_FAILED;
	}
	buf_put_span(out, buf_span(file));
	return TRANSFER_OK;
}

static enum transfer_result read_ranges(void *ctx, const char *name,
					const struct transfer_range *ranges, size_t count,
					transfer_sink_fn sink, void *sink_ctx, struct err *err)
{
	struct shelf *s = ctx;
	const struct buf *file = memfiles_find(&s->files, name);

	for (size_t i = 0; i < count; i++) {
		uint64_t size = ranges[i].size, offset = ranges[i].offset;

		if (file == NULL || offset + size > file->size) {
			err_set(err, ERR_NOT_FOUND, "%s ends early", name);
			return TRANSFER_FAILED;
		}
		if (!sink(sink_ctx, offset, span_of(file->data + offset, (size_t)size)))
			return TRANSFER_STOPPED;
	}
	return TRANSFER_OK;
}

/* True if the tree is the manifest's. */
static bool tree_is_whole(struct shelf *s)
{
	SCOPED(manifest) struct manifest *m = NULL;
	SCOPED(check) struct check found = { 0 };
	SCOPED_TEXT char *tree = path_join(s->dir, "tree");
	struct err err;

	return manifest_read(&m, s->manifest, &err) && check_tree(&found, tree, m, NULL, &err) &&
	       found.total == 0;
}

static bool a_download_is_safe(void *ctx)
{
	struct shelf *s = ctx;
	SCOPED(assemble) struct assemble *a = NULL;
	const struct transfer_source source = {
		.read_object = read_object,
		.read_ranges = read_ranges,
		.ctx = s,
	};
	enum assemble_result result;
	struct err err = { 0 };

	assert_done(path_remove_tree(s->dir, &err), &err);
	assert_done(assemble_open(&a, &s->params, &err), &err);
	assert_int_equal(assemble_local(a, &err), ASSEMBLE_DONE);
	result = assemble_fetch(a, &source, &err);
	if (result != ASSEMBLE_DONE)
		return result == ASSEMBLE_CORRUPT || result == ASSEMBLE_FAILED;
	s->counts.harmless++;
	return assemble_finish(a, &err) && tree_is_whole(s);
}

static const struct buf *find_with(const struct memfiles *files, const char *text)
{
	for (size_t i = 0; i < files->count; i++)
		if (strstr(files->list[i].name, text) != NULL)
			return &files->list[i].bytes;
	fail_msg("no file with %s in its name", text);
	return NULL;
}

static const char *name_with(const struct memfiles *files, const char *text)
{
	for (size_t i = 0; i < files->count; i++)
		if (strncmp(files->list[i].name, text, strlen(text)) == 0)
			return files->list[i].name;
	fail_msg("no file whose name begins with %s", text);
	return NULL;
}

static void spoilt_indexes_and_packs_are_refused_or_harmless(void **state UNUSED)
{
	struct shelf s = { .counts = { .step = 1 } };
	struct world w;

	open_world(&w);
	SCOPED_TEXT char *folder = alloc_printf("dp/%s", w.package);

	load_box(&w, &s.files, folder);
	s.dir = sitebox_path(&w.box, "partial");
	s.manifest = buf_span(find_with(&w.view.repo->targets, "manifest/"));
	s.params = (struct assemble_params){
		.dir = s.dir,
		.manifest = s.manifest,
		.index = name_with(&s.files, "index/") + strlen("index/"),
		.gap = PLAN_GAP_DEFAULT,
		.clock = clock_system(),
	};
	for (size_t i = 0; i < s.files.count; i++)
		if (strncmp(s.files.list[i].name, "index/", 6) == 0 ||
		    strncmp(s.files.list[i].name, "packs/", 6) == 0)
			spoil(&s.counts, s.files.list[i].name, &s.files.list[i].bytes,
			      a_download_is_safe, &s);
	tell("index and packs", &s.counts);
	free(s.dir);
	memfiles_release(&s.files);
	close_world(&w);
}

/* ---- bins ---- */

static void put_build(struct memfiles *to, const struct issuance_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		memfiles_put(to, files->items[i].name, buf_span(&files->items[i].bytes));
}

static void set_packages(struct pubbox *box, unsigned int count)
{
	for (unsigned int i = 1; i <= count; i++) {
		SCOPED_TEXT char *path = alloc_printf("package/LON%05X.json", i);

		pubbox_set(box, path, path);
	}
}

static void spoilt_bins_are_refused_or_harmless(void **state UNUSED)
{
	static const char path[] = "package/LON00001.json";
	const struct siterole_name bin = siterole_name(
		siterole_bin_of_path(SITEROLE_PACKAGES, path));
	struct spoiling counts = { .step = 1 };
	struct pubbox box;
	struct view v;

	pubbox_make(&box);
	open_view(&v, NOW, &counts);
	put_build(&v.repo->metadata, &box.files);
	memfiles_put(&v.repo->store, "root.json",
		     buf_span(served(&v.repo->metadata, "1.root.json")));
	set_packages(&box, SITEROLE_SPLIT_ABOVE + 1);
	pubbox_build(&box, NOW);
	issuance_accept(box.pub);
	put_build(&v.repo->metadata, &box.files);
	memfiles_copy(&v.before, &v.repo->store);
	{
		struct updater_target t;
		struct err err;

		v.updater = tufrepo_client(v.repo, v.now_s, 0);
		assert_int_equal(updater_refresh(v.updater, &err), VERDICT_OK);
		assert_int_equal(updater_find_target(v.updater, path, &t, &err), VERDICT_OK);
		assert_string_equal(t.role, bin.text);
		memfiles_copy(&v.after, &v.repo->store);
		updater_free(v.updater);
	}
	spoil_delegated(&v, bin.text, path);
	counts.step = step_of_large();
	spoil_delegated(&v, "packages", path);
	tell("bins", &counts);
	close_view(&v);
	pubbox_scoped(&box);
}

TESTING_MAIN(cmocka_unit_test(spoilt_metadata_of_a_small_site_is_refused_or_harmless),
	     cmocka_unit_test(spoilt_metadata_in_a_clients_store_is_refused_or_harmless),
	     cmocka_unit_test(spoilt_documents_and_manifests_are_refused),
	     cmocka_unit_test(spoilt_indexes_and_packs_are_refused_or_harmless),
	     cmocka_unit_test(spoilt_bins_are_refused_or_harmless), )

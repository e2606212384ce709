#include "support/tufrepo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/jsondoc.h"
#include "common/text.h"
#include "trust/rolename.h"
#include "trust/signer.h"

static void must(bool condition)
{
	if (!condition)
		abort();
}

struct buf *memfiles_find(struct memfiles *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->list[i].name, name) == 0)
			return &files->list[i].bytes;
	return NULL;
}

void memfiles_put(struct memfiles *files, const char *name, struct span bytes)
{
	struct buf *there = memfiles_find(files, name);

	if (there == NULL) {
		ALLOC_GROW(files->list, files->count);
		files->list[files->count] = (struct memfile){ .name = alloc_text(name) };
		there = &files->list[files->count++].bytes;
	}
	buf_clear(there);
	buf_put_span(there, bytes);
}

void memfiles_drop(struct memfiles *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++) {
		if (strcmp(files->list[i].name, name) != 0)
			continue;
		free(files->list[i].name);
		buf_release(&files->list[i].bytes);
		files->list[i] = files->list[--files->count];
		return;
	}
}

void memfiles_copy(struct memfiles *to, const struct memfiles *from)
{
	memfiles_release(to);
	for (size_t i = 0; i < from->count; i++)
		memfiles_put(to, from->list[i].name, buf_span(&from->list[i].bytes));
}

bool memfiles_equal(const struct memfiles *a, const struct memfiles *b)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct buf *other = memfiles_find((struct memfiles *)(uintptr_t)b,
							a->list[i].name);

		if (other == NULL || !span_equal(buf_span(other), buf_span(&a->list[i].bytes)))
			return false;
	}
	return a->count == b->count;
}

void memfiles_release(struct memfiles *files)
{
	while (files->count > 0)
		memfiles_drop(files, files->list[0].name);
	free(files->list);
	*files = (struct memfiles){ 0 };
}

static struct signer *signer_of(int key)
{
	uint8_t seed[SIGNER_SEED_SIZE];

	memset(seed, key + 1, sizeof(seed));
	return signer_from_seed(seed);
}

static char *keyid_of(int key)
{
	SCOPED(signer) struct signer *signer = signer_of(key);
	char hex[DIGEST_HEX_SIZE];
	struct digest id;

	keys_id(&id, signer_public(signer));
	digest_print(hex, &id);
	return alloc_text(hex);
}

static struct tufrepo_role *role_of(struct tufrepo *r, const char *name)
{
	for (size_t i = 0; i < r->role_count; i++)
		if (strcmp(r->roles[i].name, name) == 0)
			return &r->roles[i];
	fprintf(stderr, "no role %s\n", name);
	abort();
}

json_t *tufrepo_body(struct tufrepo *r, const char *role)
{
	return role_of(r, role)->body;
}

static json_t *new_body(const char *type)
{
	json_t *body = json_object();

	jsondoc_set_text(body, "_type", type);
	jsondoc_set_text(body, "spec_version", "1.0.34");
	jsondoc_set_int(body, "version", 1);
	jsondoc_set_time(body, "expires", TUFREPO_NOW + TUFREPO_LIFE);
	return body;
}

static json_t *add_role(struct tufrepo *r, const char *name, const char *type)
{
	json_t *body = new_body(type);

	ALLOC_GROW(r->roles, r->role_count);
	r->roles[r->role_count++] = (struct tufrepo_role){ .name = alloc_text(name), .body = body };
	return body;
}

static json_t *new_entry(void)
{
	json_t *entry = json_object();

	jsondoc_set(entry, "keyids", json_array());
	jsondoc_set_int(entry, "threshold", 1);
	return entry;
}

static json_t *keys_of(struct tufrepo *r, const char *holder)
{
	json_t *body = tufrepo_body(r, holder);

	if (strcmp(holder, "root") == 0)
		return json_object_get(body, "keys");
	return json_object_get(json_object_get(body, "delegations"), "keys");
}

json_t *tufrepo_entry(struct tufrepo *r, const char *holder, const char *role)
{
	json_t *body = tufrepo_body(r, holder);
	json_t *list, *entry;
	size_t i;

	if (strcmp(holder, "root") == 0)
		return json_object_get(json_object_get(body, "roles"), role);
	list = json_object_get(json_object_get(body, "delegations"), "roles");
	json_array_foreach (list, i, entry)
		if (strcmp(jsondoc_text(entry, "name"), role) == 0)
			return entry;
	return json_object_get(json_object_get(body, "delegations"), "succinct_roles");
}

void tufrepo_allow(struct tufrepo *r, const char *holder, const char *role, int key,
		   const char *keyid)
{
	SCOPED(signer) struct signer *signer = signer_of(key);
	SCOPED_TEXT char *id = keyid != NULL ? alloc_text(keyid) : keyid_of(key);

	jsondoc_set(keys_of(r, holder), id, keys_print(signer_public(signer)));
	must(json_array_append_new(json_object_get(tufrepo_entry(r, holder, role), "keyids"),
				   json_string(id)) == 0);
}

void tufrepo_forbid_all(struct tufrepo *r, const char *holder, const char *role)
{
	json_array_clear(json_object_get(tufrepo_entry(r, holder, role), "keyids"));
}

void tufrepo_sign_by(struct tufrepo *r, const char *role, int key, const char *keyid)
{
	struct tufrepo_role *t = role_of(r, role);

	must(t->signer_count < COUNT_OF(t->signers));
	t->signers[t->signer_count++] = (struct tufrepo_signer){
		.key = key,
		.keyid = keyid != NULL ? alloc_text(keyid) : keyid_of(key),
	};
}

static void forget_signers(struct tufrepo_role *role)
{
	while (role->signer_count > 0)
		free(role->signers[--role->signer_count].keyid);
}

void tufrepo_sign_by_none(struct tufrepo *r, const char *role)
{
	forget_signers(role_of(r, role));
}

void tufrepo_delegate(struct tufrepo *r, const char *holder, const char *role, int key,
		      const char *pattern, bool terminating)
{
	json_t *body = tufrepo_body(r, holder);
	json_t *entry = new_entry();
	json_t *paths = json_array();
	bool is_new = true;

	if (json_object_get(body, "delegations") == NULL)
		jsondoc_set(body, "delegations", json_pack("{s:{},s:[]}", "keys", "roles"));
	jsondoc_set_text(entry, "name", role);
	jsondoc_set_flag(entry, "terminating", terminating);
	if (pattern != NULL)
		json_array_append_new(paths, json_string(pattern));
	jsondoc_set(entry, "paths", paths);
	json_array_append_new(json_object_get(json_object_get(body, "delegations"), "roles"),
			      entry);
	for (size_t i = 0; i < r->role_count; i++)
		if (strcmp(r->roles[i].name, role) == 0)
			is_new = false;
	if (is_new) {
		jsondoc_set(add_role(r, role, "targets"), "targets", json_object());
		tufrepo_sign_by(r, role, key, NULL);
	}
	tufrepo_allow(r, holder, role, key, NULL);
}

static json_t *new_listing(struct span bytes, const char *with_version, int64_t version)
{
	json_t *listing = json_object();
	char hex[DIGEST_HEX_SIZE];
	struct digest digest;

	if (with_version != NULL)
		jsondoc_set_int(listing, with_version, version);
	if (bytes.data == NULL)
		return listing;
	digest_of(&digest, bytes);
	digest_print(hex, &digest);
	jsondoc_set_int(listing, "length", (int64_t)bytes.size);
	jsondoc_set(listing, "hashes", json_pack("{s:s}", "sha256", hex));
	return listing;
}

void tufrepo_target(struct tufrepo *r, const char *role, const char *path, const char *content)
{
	tufrepo_target_bytes(r, role, path, span_of_text(content));
}

void tufrepo_target_bytes(struct tufrepo *r, const char *role, const char *path,
			  struct span content)
{
	json_t *listing = new_listing(content, NULL, 0);
	const char *hex = jsondoc_text(json_object_get(listing, "hashes"), "sha256");
	SCOPED_TEXT char *url = rolename_target_url(path, r->plain_names ? NULL : hex);

	if (url != NULL)
		memfiles_put(&r->targets, url, content);
	jsondoc_set(json_object_get(tufrepo_body(r, role), "targets"), path, listing);
}

void tufrepo_set_version(struct tufrepo *r, const char *role, int64_t version)
{
	jsondoc_set_int(tufrepo_body(r, role), "version", version);
}

void tufrepo_bump(struct tufrepo *r, const char *role)
{
	tufrepo_set_version(r, role, jsondoc_int(tufrepo_body(r, role), "version", 0) + 1);
}

void tufrepo_expire(struct tufrepo *r, const char *role, int64_t unix_s)
{
	jsondoc_set_time(tufrepo_body(r, role), "expires", unix_s);
}

static json_t *sign(const struct tufrepo_role *role, struct span payload)
{
	json_t *list = json_array();

	for (size_t i = 0; i < role->signer_count; i++) {
		SCOPED(signer) struct signer *signer = signer_of(role->signers[i].key);
		uint8_t signature[SIGNER_SIGNATURE_SIZE];
		char hex[2 * SIGNER_SIGNATURE_SIZE + 1];

		signer_sign(signature, signer, payload);
		text_hex(hex, signature, sizeof(signature));
		json_array_append_new(
			list, json_pack("{s:s,s:s}", "keyid", role->signers[i].keyid, "sig", hex));
	}
	return list;
}

static char *path_of(struct tufrepo *r, const char *name)
{
	int64_t version = jsondoc_int(tufrepo_body(r, name), "version", 0);
	bool plain = strcmp(name, "timestamp") == 0 ||
		     (r->plain_names && strcmp(name, "root") != 0);

	return rolename_url(name, plain ? 0 : version);
}

void tufrepo_put(struct tufrepo *r, const char *name)
{
	struct tufrepo_role *role = role_of(r, name);
	SCOPED_TEXT char *path = path_of(r, name);
	SCOPED(buf) struct buf payload = { 0 };
	struct err err;
	json_t *document = json_object();

	must(jsondoc_canonical(&payload, role->body, &err));
	jsondoc_set(document, "signatures", sign(role, buf_span(&payload)));
	must(json_object_set(document, "signed", role->body) == 0);
	tufrepo_write(r, path, document);
}

static void list_role(struct tufrepo *r, json_t *meta, const char *name)
{
	SCOPED_TEXT char *file = alloc_printf("%s.json", name);
	SCOPED_TEXT char *path = path_of(r, name);
	const struct buf *bytes = memfiles_find(&r->metadata, path);
	struct span listed = { 0 };

	if (r->list_hashes && bytes != NULL)
		listed = buf_span(bytes);
	jsondoc_set(
		meta, file,
		new_listing(listed, "version", jsondoc_int(tufrepo_body(r, name), "version", 0)));
}

static bool is_targets(const struct tufrepo_role *role)
{
	return strcmp(jsondoc_text(role->body, "_type"), "targets") == 0;
}

static void publish_snapshot(struct tufrepo *r)
{
	json_t *meta = json_object_get(tufrepo_body(r, "snapshot"), "meta");

	for (size_t i = 0; i < r->role_count; i++) {
		if (!is_targets(&r->roles[i]))
			continue;
		tufrepo_put(r, r->roles[i].name);
		list_role(r, meta, r->roles[i].name);
	}
	tufrepo_put(r, "snapshot");
}

void tufrepo_publish_timestamp(struct tufrepo *r)
{
	list_role(r, json_object_get(tufrepo_body(r, "timestamp"), "meta"), "snapshot");
	tufrepo_bump(r, "timestamp");
	tufrepo_put(r, "timestamp");
}

void tufrepo_publish(struct tufrepo *r)
{
	tufrepo_bump(r, "snapshot");
	publish_snapshot(r);
	tufrepo_publish_timestamp(r);
}

void tufrepo_publish_root(struct tufrepo *r)
{
	tufrepo_bump(r, "root");
	tufrepo_put(r, "root");
}

json_t *tufrepo_read(struct tufrepo *r, const char *path)
{
	const struct buf *bytes = memfiles_find(&r->metadata, path);
	json_t *document = NULL;
	struct err err;

	must(bytes != NULL && jsondoc_read(&document, buf_span(bytes), &err));
	return document;
}

void tufrepo_write(struct tufrepo *r, const char *path, json_t *document)
{
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, document);
	json_decref(document);
	memfiles_put(&r->metadata, path, buf_span(&text));
}

static void add_top_roles(struct tufrepo *r)
{
	static const char *const names[] = { "root", "timestamp", "snapshot", "targets" };

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		add_role(r, names[i], names[i]);
		tufrepo_sign_by(r, names[i], (int)i, NULL);
	}
	jsondoc_set_flag(tufrepo_body(r, "root"), "consistent_snapshot", true);
	jsondoc_set(tufrepo_body(r, "root"), "keys", json_object());
	jsondoc_set(tufrepo_body(r, "root"), "roles", json_object());
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		jsondoc_set(json_object_get(tufrepo_body(r, "root"), "roles"), names[i],
			    new_entry());
		tufrepo_allow(r, "root", names[i], (int)i, NULL);
	}
	jsondoc_set(tufrepo_body(r, "timestamp"), "meta", json_object());
	jsondoc_set(tufrepo_body(r, "snapshot"), "meta", json_object());
	jsondoc_set(tufrepo_body(r, "targets"), "targets", json_object());
}

struct tufrepo *tufrepo_new(void)
{
	struct tufrepo *r = alloc_zeroed(1, sizeof(*r));

	add_top_roles(r);
	tufrepo_put(r, "root");
	memfiles_put(&r->store, "root.json", buf_span(memfiles_find(&r->metadata, "1.root.json")));
	publish_snapshot(r);
	list_role(r, json_object_get(tufrepo_body(r, "timestamp"), "meta"), "snapshot");
	tufrepo_put(r, "timestamp");
	return r;
}

void tufrepo_free(struct tufrepo *r)
{
	for (size_t i = 0; i < r->role_count; i++) {
		forget_signers(&r->roles[i]);
		json_decref(r->roles[i].body);
		free(r->roles[i].name);
	}
	free(r->roles);
	memfiles_release(&r->metadata);
	memfiles_release(&r->targets);
	memfiles_release(&r->store);
	buf_release(&r->requests);
	free(r);
}

static enum updater_fetched serve(void *ctx, const struct updater_request *request, struct buf *out,
				  struct err *err)
{
	struct tufrepo *r = ctx;
	const struct buf *bytes = memfiles_find(
		request->base == UPDATER_METADATA ? &r->metadata : &r->targets, request->path);

	(void)err;
	buf_printf(&r->requests, " %s", request->path);
	if (request->if_changed && r->not_modified)
		return UPDATER_UNCHANGED;
	if (bytes == NULL)
		return UPDATER_NOT_FOUND;
	buf_put_span(out, buf_span(bytes));
	if (bytes->size > request->max && !r->oversize)
		return UPDATER_TOO_LARGE;
	return UPDATER_GOT;
}

static bool store_load(void *ctx, const char *file, size_t max, struct buf *out)
{
	struct tufrepo *r = ctx;
	const struct buf *bytes = memfiles_find(&r->store, file);

	if (bytes == NULL || bytes->size > max)
		return false;
	buf_put_span(out, buf_span(bytes));
	return true;
}

static bool is_faulty(struct tufrepo *r)
{
	return r->calls_until_fault > 0 && --r->calls_until_fault == 0;
}

static bool store_save(void *ctx, const char *file, struct span bytes, struct err *err)
{
	struct tufrepo *r = ctx;

	if (is_faulty(r))
		return err_set(err, ERR_DISK_FULL, "file %s: no space left", file);
	memfiles_put(&r->store, file, bytes);
	return true;
}

static bool store_remove(void *ctx, const char *file, struct err *err)
{
	struct tufrepo *r = ctx;

	if (is_faulty(r))
		return err_set(err, ERR_IO, "file %s: cannot be removed", file);
	memfiles_drop(&r->store, file);
	return true;
}

static struct updater *new_client(struct tufrepo *r, const struct updater_source *source,
				  const struct updater_options *options)
{
	const struct updater_store store = {
		.load = store_load,
		.save = store_save,
		.remove = store_remove,
		.ctx = r,
	};

	return updater_new(&store, source, options);
}

struct updater_source tufrepo_source(struct tufrepo *r)
{
	return (struct updater_source){ .fetch = serve, .ctx = r };
}

struct updater *tufrepo_client(struct tufrepo *r, int64_t now_s, int64_t floor_s)
{
	const struct updater_source source = tufrepo_source(r);

	return new_client(r, &source,
			  &(struct updater_options){ .now_s = now_s, .floor_s = floor_s });
}

struct updater *tufrepo_offline_client(struct tufrepo *r, int64_t now_s)
{
	return new_client(r, NULL, &(struct updater_options){ .now_s = now_s });
}

enum verdict tufrepo_refresh(struct tufrepo *r)
{
	SCOPED(updater) struct updater *u = tufrepo_client(r, TUFREPO_NOW, 0);
	struct err err;

	buf_clear(&r->requests);
	return updater_refresh(u, &err);
}

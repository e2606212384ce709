/*
 * The operation `verify`: check content that is here against what is signed now. Without network.
 *
 * A request with "package" and "version" is about that version, and says where it stands: what a
 * program is run from. Without a package all complete versions are checked.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/op.h"
#include "agent/policyset.h"
#include "common/alloc.h"
#include "common/digest.h"
#include "common/path.h"
#include "content/check.h"
#include "content/manifest.h"
#include "content/store.h"

struct verification {
	struct worker *w;
	struct policyset *policy;
	struct store *store;
	json_t *findings;
	size_t checked;
	char *path; /* of the last tree */
};

static void add_finding(struct verification *v, const struct store_id *id, const char *path,
			const char *finding)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "package", id->package);
	jsondoc_set_int(row, "version", id->version);
	jsondoc_set_text(row, "path", path);
	jsondoc_set_text(row, "finding", finding);
	json_array_append_new(v->findings, row);
}

/* The stored manifest counts only if the site still signs its hash. */
static bool read_manifest(struct manifest **out, struct verification *v, const struct store_id *id,
			  struct err *err)
{
	SCOPED(docs_package) struct docs_package package = { 0 };
	SCOPED_TEXT char *path = store_manifest_path(v->store, id);
	SCOPED(buf) struct buf bytes = { 0 };
	const struct docs_version *version;
	struct digest want, got;

	if (!policyset_package(&package, v->policy, id->package, err))
		return false;
	version = docs_package_version(&package, id->version);
	if (version == NULL)
		return err_set(err, ERR_NOT_FOUND, "the site's policy has no version %u of %s",
			       id->version, id->package);
	if (!path_read(&bytes, path, MANIFEST_BYTES_MAX, err))
		return false;
	digest_of(&got, buf_span(&bytes));
	if (!digest_parse(&want, version->manifest) || !digest_equal(&want, &got))
		return err_set(err, ERR_TRUST, "the manifest here is not the one that is signed");
	return manifest_read(out, buf_span(&bytes), err);
}

static bool verify_one(struct verification *v, const struct store_id *id, struct err *err)
{
	SCOPED(manifest) struct manifest *manifest = NULL;
	SCOPED(check) struct check check = { 0 };
	SCOPED_FD int pin = -1;

	/* The pin is no owner: it only keeps the tree from going while it is read. */
	if (!store_pin(&pin, v->store, id, err))
		return false;
	free(v->path);
	v->path = store_tree_path(v->store, id);
	v->checked++;
	if (!read_manifest(&manifest, v, id, err)) {
		if (err_exit(err->code) == EXIT_LOCAL)
			return false;
		add_finding(v, id, "", err->why);
		return true;
	}
	if (!check_tree(&check, v->path, manifest, NULL, err))
		return false;
	for (size_t i = 0; i < check.count; i++)
		add_finding(v, id, check.items[i].path, check_kind_name(check.items[i].kind));
	return true;
}

static bool is_meant(const json_t *request, const struct store_item *item)
{
	const char *package = jsondoc_text(request, "package");
	int64_t version = jsondoc_int(request, "version", 0);

	return item->complete && (package == NULL || strcmp(item->id.package, package) == 0) &&
	       (version == 0 || item->id.version == version);
}

static bool verify_all(struct verification *v, const json_t *request, struct err *err)
{
	struct store_item *items = NULL;
	size_t count = 0;
	bool done = store_list(&items, &count, v->store, err);

	for (size_t i = 0; i < count && done; i++)
		if (is_meant(request, &items[i]))
			done = verify_one(v, &items[i].id, err);
	free(items);
	if (done && v->checked == 0 && jsondoc_text(request, "package") != NULL)
		return err_set(err, ERR_NOT_FOUND, "%s is not in this client's store",
			       jsondoc_text(request, "package"));
	return done;
}

bool op_verify(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	struct verification v = { .w = w };
	SCOPED_TEXT char *dir = state_path(&w->state, "store");
	bool done;

	if (!policyset_open(&v.policy, &w->state, clock_wall_s(w->clock), err))
		return false;
	v.findings = json_array();
	done = store_open(&v.store, dir, w->clock, err) && verify_all(&v, request, err);
	if (done) {
		*result_out = json_object();
		jsondoc_set(*result_out, "findings", json_incref(v.findings));
		jsondoc_set_int(*result_out, "checked", (int64_t)v.checked);
		jsondoc_set_text(*result_out, "path", v.path);
	}
	json_decref(v.findings);
	free(v.path);
	store_close(v.store);
	policyset_close(v.policy);
	return done;
}

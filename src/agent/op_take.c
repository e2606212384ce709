/*
 * The operation `take`, of the keeper: what a worker with an account of its own has put together
 * becomes a finished version of root's, if it is what the site signs. See content/takeover.h.
 *
 * ERR_CORRUPT: it is not, and the worker has it back, to mend. ERR_NOT_FOUND: there is none.
 */
#include <string.h>

#include "agent/op.h"
#include "agent/policyset.h"
#include "common/alloc.h"
#include "common/digest.h"
#include "common/path.h"
#include "content/store_take.h"
#include "content/takeover.h"

#define LOCK_WAIT_MS 600000

struct taking {
	struct store *store;
	struct store_id id;
	struct digest want; /* of the manifest, as it is signed */
	char *dir;
	struct buf manifest;
};

static bool find_signed(struct taking *t, struct worker *w, const json_t *request, struct err *err)
{
	SCOPED(docs_package) struct docs_package package = { 0 };
	struct policyset *policy = NULL;
	const struct docs_version *version;
	const char *id;
	int64_t number;
	bool done;

	if (!jsondoc_need_text(&id, request, "package", err) ||
	    !jsondoc_need_int(&number, request, "version", 1, STORE_VERSION_MAX, err))
		return false;
	if (!store_id_make(&t->id, id, (uint64_t)number))
		return err_set(err, ERR_FORMAT, "\"%s\" is no package", id);
	if (!policyset_open(&policy, &w->state, clock_wall_s(w->clock), err))
		return false;
	done = policyset_package(&package, policy, id, err);
	policyset_close(policy);
	if (!done)
		return false;
	version = docs_package_version(&package, number);
	return (version != NULL && digest_parse(&t->want, version->manifest)) ||
	       err_set(err, ERR_NOT_FOUND, "the site's policy has no version %lld of %s",
		       (long long)number, id);
}

static bool read_manifest(struct manifest **out, struct taking *t, struct err *err)
{
	SCOPED_TEXT char *path = path_join(t->dir, "manifest");
	struct digest got;

	if (!path_read(&t->manifest, path, MANIFEST_BYTES_MAX, err))
		return false;
	digest_of(&got, buf_span(&t->manifest));
	if (!digest_equal(&t->want, &got))
		return err_set(err, ERR_CORRUPT, "%s is not the manifest that is signed", path);
	return manifest_read(out, buf_span(&t->manifest), err);
}

/* Nothing in it is looked at before the folder itself is root's. */
static enum takeover take_over(uint64_t *bytes_out, struct taking *t, struct err *err)
{
	SCOPED(manifest) struct manifest *manifest = NULL;

	if (!takeover_folder(t->dir, 0700, err) || !read_manifest(&manifest, t, err))
		return err->code == ERR_DISK_FULL ? TAKEOVER_FAULT : TAKEOVER_CHANGED;
	*bytes_out = manifest_tree_size(manifest);
	return takeover_tree(t->dir, manifest, err);
}

static bool give_back(struct taking *t, struct err *err)
{
	struct err why = *err;
	struct err failed;

	if (!store_take_back(t->store, &t->id, &failed)) {
		*err = failed;
		return false;
	}
	err_set(err, ERR_CORRUPT, "%s", why.why);
	return err_fix(err, "try again; if it comes again, some process of the worker's account "
			    "changes what is put together here");
}

static bool take(struct taking *t, struct err *err)
{
	SCOPED_FD int lock = -1;
	uint64_t bytes = 0;

	if (!store_take_begin(&lock, t->store, &t->id, LOCK_WAIT_MS, err))
		return err->code == ERR_NOT_FOUND && store_holds(t->store, &t->id);
	t->dir = store_taking_path(t->store, &t->id);
	switch (take_over(&bytes, t, err)) {
	case TAKEOVER_DONE:
		return store_take_end(t->store, &t->id, buf_span(&t->manifest), bytes, err);
	case TAKEOVER_CHANGED:
		return give_back(t, err);
	case TAKEOVER_FAULT:
	default:
		return false;
	}
}

bool op_take(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	SCOPED_TEXT char *dir = state_path(&w->state, "store");
	struct taking t = { .store = NULL };
	bool done = find_signed(&t, w, request, err) && store_open(&t.store, dir, w->clock, err);

	if (done) {
		store_take_back_others(t.store, &t.id);
		done = take(&t, err);
	}
	if (done)
		*result_out = json_object();
	free(t.dir);
	buf_release(&t.manifest);
	store_close(t.store);
	return done;
}

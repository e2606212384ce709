#include "agent/packageview.h"

#include <stdio.h>
#include <string.h>

#include "agent/op.h"
#include "agent/scene.h"
#include "common/alloc.h"
#include "common/text.h"

static bool refresh_with(struct worker *w, json_t *targets, struct err *err)
{
	json_auto_t *request = json_object();
	json_auto_t *result = NULL;

	jsondoc_set_text(request, "op", "refresh");
	jsondoc_set(request, "targets", targets);
	return op_refresh(&result, w, request, err);
}

/* After a refresh as well there may be none: it may have rotted since. */
static bool need_policy(struct policyset **out, const struct worker *w, struct err *err)
{
	*out = scene_policy(w->scene);
	if (*out != NULL)
		return true;
	if (!state_has_identity(&w->state))
		return err_set(err, ERR_NOT_ENROLLED, "%s holds no identity", w->state.dir);
	return err_set(err, ERR_NOT_FOUND, "there is no policy here yet");
}

static bool read_documents(struct packageview *v, struct worker *w, const char *id, struct err *err)
{
	struct policyset *policy;

	return need_policy(&policy, w, err) && policyset_package(&v->package, policy, id, err) &&
	       policyset_location(&v->location, policy, id, err);
}

static bool bring_documents(struct packageview *v, struct worker *w, const char *id,
			    struct err *err)
{
	SCOPED_TEXT char *package = docs_path_package(id);
	SCOPED_TEXT char *location = docs_path_location(id);

	if (read_documents(v, w, id, err))
		return true;
	if (err->code != ERR_NOT_FOUND)
		return false;
	packageview_release(v);
	if (!refresh_with(w, json_pack("[s,s]", package, location), err))
		return false;
	if (read_documents(v, w, id, err))
		return true;
	if (err->code == ERR_NOT_FOUND && v->package.json != NULL)
		return err_set(err, ERR_NO_CANDIDATE, "no distribution point holds %s yet", id);
	if (err->code == ERR_NOT_FOUND)
		err_set(err, ERR_NOT_FOUND, "the site's policy has no package %s", id);
	return false;
}

/* The newest version that is both described and held by somebody. */
static const struct docs_place *newest(const struct packageview *v)
{
	const struct docs_place *best = NULL;

	for (size_t i = 0; i < v->location.version_count; i++) {
		const struct docs_place *p = &v->location.versions[i];

		if (p->dp_count > 0 && docs_package_version(&v->package, p->version) != NULL &&
		    (best == NULL || p->version > best->version))
			best = p;
	}
	return best;
}

static bool pick_version(struct packageview *v, int64_t version, struct err *err)
{
	const char *id = v->package.id;

	v->place = version == 0 ? newest(v) : docs_location_version(&v->location, version);
	if (version != 0 && docs_package_version(&v->package, version) == NULL)
		return err_set(err, ERR_NOT_FOUND, "%s has no version %lld", id,
			       (long long)version);
	if (v->place == NULL || v->place->dp_count == 0) {
		if (version == 0)
			return err_set(err, ERR_NO_CANDIDATE, "no distribution point holds %s yet",
				       id);
		return err_set(err, ERR_NO_CANDIDATE,
			       "no distribution point holds %s version %lld yet", id,
			       (long long)version);
	}
	v->version = docs_package_version(&v->package, v->place->version);
	snprintf(v->key, sizeof(v->key), "%s:%lld", id, (long long)v->place->version);
	return true;
}

bool packageview_open(struct packageview *out, struct worker *w, const char *id, int64_t version,
		      struct err *err)
{
	*out = (struct packageview){ 0 };
	if (id == NULL || !text_is_object_id(id))
		return err_set(err, ERR_NOT_FOUND, "\"%s\" is no package's id",
			       id != NULL ? id : "");
	if (bring_documents(out, w, id, err) && pick_version(out, version, err))
		return true;
	packageview_release(out);
	return false;
}

void packageview_release(struct packageview *v)
{
	docs_package_release(&v->package);
	docs_location_release(&v->location);
	*v = (struct packageview){ 0 };
}

/* The role that signs packages signs the manifest's hash in the package's document as well. */
static bool is_right(const struct packageview *v, struct span bytes, struct err *err)
{
	return docs_package_is_manifest(v->version, bytes) ||
	       err_set(err, ERR_TRUST, "the manifest of %s is not the one that its package names",
		       v->key);
}

static bool read_target(struct buf *out, const struct worker *w, const char *path, struct err *err)
{
	struct policyset *policy;

	return need_policy(&policy, w, err) && policyset_read(out, policy, path, err);
}

bool packageview_manifest(struct buf *out, const struct packageview *v, struct worker *w,
			  struct err *err)
{
	SCOPED_TEXT char *path = docs_path_manifest(v->package.id, v->version->version);

	if (!read_target(out, w, path, err) &&
	    (err->code != ERR_NOT_FOUND || !refresh_with(w, json_pack("[s]", path), err) ||
	     !read_target(out, w, path, err)))
		return false;
	return is_right(v, buf_span(out), err);
}

void packageview_tell(const struct packageview *v, struct worker *w, const json_t *request,
		      enum message_id id, json_t *text, json_t *data)
{
	const struct message_about about = {
		.advertisement = jsondoc_text(request, "advertisement"),
		.package = v->package.id,
		.version = v->version->version,
		.program = jsondoc_text(request, "program"),
	};

	worker_record(w, message_new(id, clock_wall_s(w->clock), &about, text, data));
}

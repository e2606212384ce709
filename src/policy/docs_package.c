#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/text.h"
#include "policy/docs_read.h"

#define TIMEOUT_MAX_S (30 * 86400)

static bool read_version(struct docs_version *out, const json_t *object, struct err *err)
{
	return jsondoc_need_int(&out->version, object, "version", 1, UINT32_MAX, err) &&
	       docs_read_checked(&out->manifest, object, "manifest", docs_read_is_digest, err) &&
	       jsondoc_need_int(&out->manifest_size, object, "manifest_size", 0, JSONDOC_INT_MAX,
				err) &&
	       jsondoc_need_int(&out->files, object, "files", 0, JSONDOC_INT_MAX, err) &&
	       jsondoc_need_int(&out->bytes, object, "bytes", 0, JSONDOC_INT_MAX, err);
}

static bool read_codes(int64_t *codes, size_t *count_out, const json_t *object, const char *key,
		       struct err *err)
{
	const json_t *item;
	json_t *array;
	size_t i;

	if (!jsondoc_need_array(&array, object, key, DOCS_CODES_MAX, err))
		return false;
	json_array_foreach (array, i, item) {
		if (!json_is_integer(item))
			return err_set(err, ERR_FORMAT, "\"%s\" holds something that is no integer",
				       key);
		codes[i] = json_integer_value(item);
	}
	*count_out = json_array_size(array);
	return true;
}

static bool read_after(struct docs_program *out, const json_t *object, struct err *err)
{
	const json_t *after = json_object_get(object, "run_after");

	if (after == NULL || json_is_null(after))
		return true;
	return docs_read_checked(&out->after_package, after, "package", text_is_object_id, err) &&
	       docs_read_checked(&out->after_program, after, "program", text_is_name, err);
}

static bool read_rerun(struct docs_program *out, const json_t *object, struct err *err)
{
	const char *name;

	if (!jsondoc_need_text(&name, object, "rerun", err))
		return false;
	return docs_rerun_parse(&out->rerun, name) ||
	       err_set(err, ERR_FORMAT, "\"rerun\" is unknown: \"%s\"", name);
}

static bool read_program(struct docs_program *out, const json_t *object, struct err *err)
{
	out->keep = jsondoc_flag(object, "keep", false);
	return docs_read_checked(&out->name, object, "name", text_is_name, err) &&
	       jsondoc_need_text(&out->command, object, "command", err) &&
	       jsondoc_need_int(&out->timeout_s, object, "timeout_s", 1, TIMEOUT_MAX_S, err) &&
	       read_codes(out->success, &out->success_count, object, "success", err) &&
	       read_codes(out->restart, &out->restart_count, object, "restart", err) &&
	       read_after(out, object, err) && read_rerun(out, object, err) &&
	       jsondoc_need_text(&out->as, object, "as", err) &&
	       jsondoc_need_text(&out->mount, object, "mount", err);
}

static bool read_versions(struct docs_package *out, struct err *err)
{
	const json_t *item;
	json_t *array;
	size_t i;

	if (!jsondoc_need_array(&array, out->json, "versions", DOCS_VERSIONS_MAX, err))
		return false;
	out->versions = alloc_zeroed(json_array_size(array), sizeof(*out->versions));
	json_array_foreach (array, i, item)
		if (!read_version(&out->versions[out->version_count++], item, err))
			return false;
	return true;
}

static bool read_programs(struct docs_package *out, struct err *err)
{
	const json_t *item;
	json_t *array;
	size_t i;

	if (!jsondoc_need_array(&array, out->json, "programs", DOCS_PROGRAMS_MAX, err))
		return false;
	out->programs = alloc_zeroed(json_array_size(array), sizeof(*out->programs));
	json_array_foreach (array, i, item)
		if (!read_program(&out->programs[out->program_count++], item, err))
			return false;
	return true;
}

bool docs_package_parse(struct docs_package *out, struct span bytes, struct err *err)
{
	*out = (struct docs_package){ 0 };
	if (docs_read_frame(&out->json, bytes, err) &&
	    docs_read_checked(&out->id, out->json, "id", text_is_object_id, err) &&
	    jsondoc_need_text(&out->name, out->json, "name", err) &&
	    jsondoc_need_int(&out->latest, out->json, "latest", 0, UINT32_MAX, err) &&
	    read_versions(out, err) && read_programs(out, err))
		return true;
	docs_package_release(out);
	return err_what(err, "cannot read a package's document");
}

static json_t *new_version(const struct docs_version *v)
{
	json_t *object = json_object();

	jsondoc_set_int(object, "version", v->version);
	jsondoc_set_text(object, "manifest", v->manifest);
	jsondoc_set_int(object, "manifest_size", v->manifest_size);
	jsondoc_set_int(object, "files", v->files);
	jsondoc_set_int(object, "bytes", v->bytes);
	return object;
}

static json_t *new_codes(const int64_t *codes, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_integer(codes[i]));
	return array;
}

static json_t *new_after(const struct docs_program *p)
{
	json_t *object;

	if (p->after_package == NULL)
		return json_null();
	object = json_object();
	jsondoc_set_text(object, "package", p->after_package);
	jsondoc_set_text(object, "program", p->after_program);
	return object;
}

static json_t *new_program(const struct docs_program *p)
{
	json_t *object = json_object();

	jsondoc_set_text(object, "name", p->name);
	jsondoc_set_text(object, "command", p->command);
	jsondoc_set_int(object, "timeout_s", p->timeout_s);
	jsondoc_set(object, "success", new_codes(p->success, p->success_count));
	jsondoc_set(object, "restart", new_codes(p->restart, p->restart_count));
	jsondoc_set(object, "run_after", new_after(p));
	jsondoc_set_text(object, "rerun", docs_rerun_name(p->rerun));
	jsondoc_set_text(object, "as", p->as);
	jsondoc_set_text(object, "mount", p->mount);
	jsondoc_set_flag(object, "keep", p->keep);
	return object;
}

void docs_package_write(struct buf *out, const struct docs_package *doc)
{
	json_t *object = json_object(), *versions = json_array(), *programs = json_array();

	for (size_t i = 0; i < doc->version_count; i++)
		json_array_append_new(versions, new_version(&doc->versions[i]));
	for (size_t i = 0; i < doc->program_count; i++)
		json_array_append_new(programs, new_program(&doc->programs[i]));
	jsondoc_set_int(object, "format", 1);
	jsondoc_set_text(object, "id", doc->id);
	jsondoc_set_text(object, "name", doc->name);
	jsondoc_set_int(object, "latest", doc->latest);
	jsondoc_set(object, "versions", versions);
	jsondoc_set(object, "programs", programs);
	docs_read_finish(out, object);
}

void docs_package_release(struct docs_package *doc)
{
	json_decref(doc->json);
	free(doc->versions);
	free(doc->programs);
	*doc = (struct docs_package){ 0 };
}

const struct docs_version *docs_package_version(const struct docs_package *doc, int64_t version)
{
	for (size_t i = 0; i < doc->version_count; i++)
		if (doc->versions[i].version == version)
			return &doc->versions[i];
	return NULL;
}

bool docs_package_is_manifest(const struct docs_version *version, struct span bytes)
{
	struct digest want, got;

	digest_of(&got, bytes);
	return digest_parse(&want, version->manifest) && digest_equal(&want, &got);
}

const struct docs_program *docs_package_program(const struct docs_package *doc, const char *name)
{
	for (size_t i = 0; i < doc->program_count; i++)
		if (strcmp(doc->programs[i].name, name) == 0)
			return &doc->programs[i];
	return NULL;
}

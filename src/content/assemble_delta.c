#include "content/assemble_delta.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "content/assemble_work.h"
#include "content/patching.h"

#define VERSIONS_MAX 64 /* seeds of the package that patches may start from */

/* One patch that comes in: the context of sink and receiver. */
struct incoming {
	struct assemble *a;
	struct patching *patching;
	uint64_t size; /* of the file */
	bool is_local; /* it cannot be kept: `err` says why */
	struct err err;
};

static bool receive_made(uint32_t first, uint32_t count, struct buf *bytes, void *ctx)
{
	struct assemble *a = ctx;

	assemble_work_give(a, ASSEMBLE_JOB_MADE, first, count, bytes);
	*bytes = assemble_work_spare(a);
	return !atomic_load(&a->landing.broken);
}

static bool is_here(uint32_t n, void *ctx)
{
	const struct assemble *a = ctx;

	return landing_is_done(&a->landing, a->want.first[n]);
}

static bool receive_patch(void *ctx, uint64_t offset, struct span bytes)
{
	struct incoming *in = ctx;
	struct assemble *a = in->a;
	uint64_t at = patching_offset(in->patching);

	a->bytes_network += bytes.size;
	assemble_work_keep_pace(a, bytes.size);
	assemble_work_tell(a);
	if (assemble_work_is_cancelled(a))
		return false;
	/* A server without ranges begins at the beginning, and one may send too much. */
	if (offset + bytes.size <= at)
		return true;
	if (offset > at)
		return false;
	bytes = span_skip(bytes, (size_t)(at - offset));
	bytes.size = MIN_OF(bytes.size, (size_t)(in->size - at));
	in->is_local = !patching_feed(in->patching, bytes, &in->err);
	return !in->is_local && patching_offset(in->patching) < in->size;
}

static enum transfer_result read_patch(struct incoming *in, const struct transfer_source *source,
				       const char *name, struct err *err)
{
	const struct transfer_range rest = {
		.offset = patching_offset(in->patching),
		.size = in->size - patching_offset(in->patching),
	};

	if (rest.size == 0)
		return TRANSFER_OK;
	in->a->requests++;
	return source->read_ranges(source->ctx, name, &rest, 1, receive_patch, in, err);
}

static enum assemble_delta judge_patch(enum assemble_result *result_out, struct incoming *in,
				       enum transfer_result got, struct err *err)
{
	struct assemble *a = in->a;
	enum patching_result end;
	struct err why = { 0 }, ignored = { 0 };

	end = patching_end(in->patching, &why);
	crew_drain(a->crew);
	if (end == PATCHING_COMPLETE && landing_fault(&a->landing, &ignored) == LANDING_WRONG &&
	    !patching_is_named(in->patching, &why))
		end = PATCHING_CORRUPT;
	*result_out = in->is_local ? ASSEMBLE_LOCAL : ASSEMBLE_DONE;
	if (in->is_local)
		*err = in->err;
	else if (landing_fault(&a->landing, err) == LANDING_LOCAL)
		*result_out = ASSEMBLE_LOCAL;
	else if (assemble_work_is_cancelled(a))
		*result_out = assemble_work_cancelled(err);
	else if (end == PATCHING_SHORT && got == TRANSFER_FAILED)
		*result_out = ASSEMBLE_FAILED;
	else if (end == PATCHING_SHORT || end == PATCHING_CORRUPT)
		*result_out = ASSEMBLE_CORRUPT;
	if (*result_out == ASSEMBLE_CORRUPT)
		*err = why;
	if (*result_out != ASSEMBLE_DONE)
		return ASSEMBLE_DELTA_ENDED;
	return assemble_missing(a) == 0 ? ASSEMBLE_DELTA_DONE : ASSEMBLE_DELTA_USELESS;
}

/* Where the file of a delta is kept while it comes; named so that no other is taken for it. */
static char *path_of(const struct assemble *a, const struct index_delta *delta)
{
	char hex[DIGEST_HEX_SIZE];

	digest_print(hex, &delta->digest);
	return alloc_printf("%s/patch-%.16s", a->params->dir, hex);
}

static enum assemble_delta run_patch(enum assemble_result *result_out, struct assemble *a,
				     const struct transfer_source *source, const struct tree *old,
				     const struct index_delta *delta, struct err *err)
{
	SCOPED_TEXT char *path = path_of(a, delta);
	const struct patching_params params = {
		.manifest = a->manifest,
		.old = old,
		.delta = delta,
		.path = path,
		.chunks = receive_made,
		.is_here = is_here,
		.ctx = a,
	};
	struct incoming in = { .a = a, .size = delta->size };
	SCOPED(patching) struct patching *patching = NULL;
	char name[INDEX_NAME_MAX];
	enum transfer_result got;
	enum assemble_delta outcome;
	uint64_t kept;

	*result_out = ASSEMBLE_LOCAL;
	if (!patching_open(&patching, &params, err))
		return ASSEMBLE_DELTA_ENDED;
	in.patching = patching;
	kept = patching_offset(patching);
	index_print_delta(name, a->version, delta);
	got = read_patch(&in, source, name, err);
	outcome = judge_patch(result_out, &in, got, err);
	if (outcome != ASSEMBLE_DELTA_ENDED || *result_out == ASSEMBLE_CORRUPT)
		(void)unlink(path);
	/* What an interrupted run kept may be what is wrong, and is no fault of this server. */
	if (outcome == ASSEMBLE_DELTA_ENDED && *result_out == ASSEMBLE_CORRUPT && kept > 0)
		return ASSEMBLE_DELTA_USELESS;
	return outcome;
}

/* Open the tree of a version that is here. */
static bool open_version(struct tree *tree, struct manifest **m, const struct assemble *a,
			 uint32_t version)
{
	struct err ignored = { 0 };

	for (size_t i = 0; i < a->params->seed_count; i++) {
		const struct assemble_seed *seed = &a->params->seeds[i];
		SCOPED(buf) struct buf bytes = { 0 };

		if (seed->version == version)
			return path_read(&bytes, seed->manifest, MANIFEST_BYTES_MAX, &ignored) &&
			       manifest_read(m, buf_span(&bytes), &ignored) &&
			       tree_open(tree, seed->tree, *m, &ignored);
	}
	return false;
}

static uint64_t *find_kept(const struct assemble *a)
{
	uint32_t count = index_delta_count(a->index);
	uint64_t *kept = alloc_zeroed(MAX_OF(count, 1), sizeof(*kept));
	struct stat st;

	for (uint32_t n = 0; n < count; n++) {
		SCOPED_TEXT char *path = path_of(a, index_delta_at(a->index, n));

		if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
			kept[n] = (uint64_t)st.st_size;
	}
	return kept;
}

static const struct index_delta *find_delta(struct assemble *a)
{
	uint32_t versions[VERSIONS_MAX];
	size_t count = 0;
	uint64_t *kept = find_kept(a);
	const struct index_delta *found;

	for (size_t i = 0; i < a->params->seed_count && count < VERSIONS_MAX; i++)
		if (a->params->seeds[i].version != 0)
			versions[count++] = a->params->seeds[i].version;
	found = plan_find_delta(&a->plan, a->index,
				&(const struct plan_local){ versions, count, kept },
				a->params->gap);
	free(kept);
	a->instead = a->plan.instead;
	if (a->instead.how != PLAN_NONE) {
		a->instead.bytes += a->bytes_network;
		a->instead.requests += a->requests;
	}
	return found;
}

enum assemble_delta assemble_delta_fetch(enum assemble_result *result_out, struct assemble *a,
					 const struct transfer_source *source, struct err *err)
{
	const struct index_delta *delta = a->no_deltas ? NULL : find_delta(a);
	SCOPED(manifest) struct manifest *m = NULL;
	SCOPED(tree) struct tree old = TREE_CLOSED;
	enum assemble_delta outcome = ASSEMBLE_DELTA_USELESS;

	if (delta == NULL)
		return ASSEMBLE_DELTA_USELESS;
	if (delta->kind == INDEX_STREAM)
		outcome = run_patch(result_out, a, source, NULL, delta, err);
	else if (open_version(&old, &m, a, delta->from))
		outcome = run_patch(result_out, a, source, &old, delta, err);
	if (outcome == ASSEMBLE_DELTA_DONE)
		a->how = a->plan.how;
	/* Whatever it was, it would be the same again. */
	a->no_deltas = outcome == ASSEMBLE_DELTA_USELESS;
	if (a->no_deltas)
		a->instead = (struct plan_offer){ .how = PLAN_NONE };
	landing_reset(&a->landing);
	return outcome;
}

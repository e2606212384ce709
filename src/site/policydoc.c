#include "site/policydoc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/log.h"
#include "common/path.h"
#include "content/manifest.h"
#include "policy/docs.h"
#include "site/collection.h"
#include "site/group.h"
#include "site/release.h"
#include "site/sitekeys.h"
#include "site/system.h"

/* One staging: what was staged, so that everything else can be taken out. */
struct stage {
	struct site *site;
	struct repository *repo;
	const struct policydoc_settings *settings;
	json_t *paths; /* object: path → true */
};

/* Takes over `path`. */
static bool put_bytes(struct stage *st, char *path, struct span bytes, struct err *err)
{
	SCOPED_TEXT char *owned = path;

	jsondoc_set_flag(st->paths, owned, true);
	return repository_set_target(st->repo, owned, bytes, err);
}

static bool list(json_t **out, struct stage *st, enum site_statement statement,
		 const struct db_value *values, size_t count, struct err *err)
{
	return db_list(out, st->site->db, statement, values, count, err);
}

/* NULL stays "none": times and versions that are not set. */
static int64_t number_or_never(const json_t *row, const char *key)
{
	return jsondoc_int(row, key, DOCS_NEVER);
}

/* ---- site.json ---- */

static bool fill_keys(struct docs_site *doc, const struct stage *st, struct err *err)
{
	SCOPED(sealer) struct sealer *sealer = NULL;
	SCOPED(signer) struct signer *receipt = NULL;

	if (!sitekeys_load_sealer(&sealer, st->site, err) ||
	    !sitekeys_load_receipt(&receipt, st->site, err))
		return false;
	memcpy(doc->sealing_key, sealer_public(sealer), sizeof(doc->sealing_key));
	memcpy(doc->receipt_key, keys_ed25519_bytes(signer_public(receipt)),
	       sizeof(doc->receipt_key));
	return true;
}

static void add_systems(struct docs_site *doc, const struct system_list *from,
			enum docs_system_kind kind)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct system *s = &from->items[i];
		struct docs_system *to = &doc->systems[doc->system_count++];

		*to = (struct docs_system){
			.name = s->name,
			.kind = kind,
			.uuid = s->uuid,
			.group = s->group,
			.inbox = s->inbox,
			.address_count = MIN_OF(s->url_count, (size_t)DOCS_ADDRESSES_MAX),
		};
		for (size_t j = 0; j < to->address_count; j++)
			to->addresses[j] = s->urls[j];
	}
}

static bool load_systems(struct system_list *caps, struct system_list *dps, struct site *site,
			 struct err *err)
{
	return system_load(caps, site, MARKER_CAP, SYSTEM_LIVE, err) &&
	       system_load(dps, site, MARKER_DP, SYSTEM_LIVE, err);
}

/* The array is allocated; its texts are those of the lists. */
static void fill_systems(struct docs_site *doc, const struct system_list *caps,
			 const struct system_list *dps)
{
	doc->systems = alloc_zeroed(caps->count + dps->count, sizeof(*doc->systems));
	add_systems(doc, caps, DOCS_CAP);
	add_systems(doc, dps, DOCS_DP);
}

static bool stage_site(struct stage *st, const json_t *groups, struct err *err)
{
	SCOPED(system_list) struct system_list caps = { 0 };
	SCOPED(system_list) struct system_list dps = { 0 };
	SCOPED(buf) struct buf text = { 0 };
	struct docs_site doc = {
		.site = st->site->code,
		.name = st->site->name,
		.poll_s = st->settings->poll_s,
		.linger_s = st->settings->linger_s,
		.group_count = json_array_size(groups),
	};
	json_t *row;
	size_t i;

	if (!fill_keys(&doc, st, err) || !load_systems(&caps, &dps, st->site, err))
		return false;
	doc.groups = alloc_zeroed(doc.group_count, sizeof(*doc.groups));
	json_array_foreach (groups, i, row)
		doc.groups[i] = jsondoc_text(row, "name");
	fill_systems(&doc, &caps, &dps);
	docs_site_write(&text, &doc);
	free(doc.groups);
	free(doc.systems);
	return put_bytes(st, alloc_text(DOCS_PATH_SITE), buf_span(&text), err);
}

/* ---- group/<name>.json ---- */

static size_t fill_networks(struct netaddr_net *out, const json_t *texts)
{
	size_t count = 0, i;
	json_t *text;

	json_array_foreach (texts, i, text)
		if (netaddr_parse_net(&out[count], json_string_value(text)))
			count++;
	return count;
}

static void write_group(struct buf *out, const json_t *row)
{
	const json_t *boundaries = json_object_get(row, "boundaries");
	const json_t *neighbours = json_object_get(row, "neighbours");
	const json_t *prefer = json_object_get(row, "prefer");
	struct docs_group doc = {
		.name = jsondoc_text(row, "name"),
		.default_after_min = number_or_never(row, "default_after_minutes"),
		.fence = jsondoc_flag(row, "fence", false),
		.policy = jsondoc_text(row, "policy"),
		.cross_tier = strcmp(jsondoc_text(row, "open_ways"), "cross-tier") == 0,
		.max_rate = (uint64_t)jsondoc_int(row, "max_rate", 0),
		.window = jsondoc_text(row, "window"),
		.boundaries = alloc_zeroed(json_array_size(boundaries), sizeof(*doc.boundaries)),
		.neighbours = alloc_zeroed(json_array_size(neighbours), sizeof(*doc.neighbours)),
		.prefer = alloc_zeroed(json_array_size(prefer), sizeof(*doc.prefer)),
	};
	json_t *item;
	size_t i;

	doc.boundary_count = fill_networks(doc.boundaries, boundaries);
	json_array_foreach (neighbours, i, item)
		doc.neighbours[doc.neighbour_count++] = (struct docs_neighbour){
			.group = jsondoc_text(item, "group"),
			.minutes = jsondoc_int(item, "minutes", 0),
		};
	json_array_foreach (prefer, i, item)
		doc.prefer[doc.prefer_count++] = json_string_value(item);
	docs_group_write(out, &doc);
	free(doc.boundaries);
	free(doc.neighbours);
	free(doc.prefer);
}

/* A name that was mistyped, or of a group that is gone. Clients find nothing under it. */
static bool warn_of_strangers(struct stage *st, struct err *err)
{
	json_auto_t *rows = NULL;
	json_t *row;
	size_t i;

	if (!group_list_strangers(&rows, st->site, NULL, err))
		return false;
	json_array_foreach (rows, i, row)
		log_warn("group %s names the neighbour %s, which does not exist",
			 jsondoc_text(row, "group"), jsondoc_text(row, "other"));
	return true;
}

static bool read_group(struct buf *text, struct site *site, const char *name, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_GROUP_SHOW, DB_ARGS(db_text(name)));
	json_auto_t *group = NULL;

	if (!db_rows_next(&rows))
		return db_rows_finish(&rows, err) &&
		       err_set(err, ERR_NOT_FOUND, "boundary group %s is gone", name);
	group = db_rows_json(&rows);
	write_group(text, group);
	return true;
}

static bool stage_groups(struct stage *st, const json_t *groups, struct err *err)
{
	json_t *row;
	size_t i;

	json_array_foreach (groups, i, row) {
		const char *name = jsondoc_text(row, "name");
		SCOPED(buf) struct buf text = { 0 };

		if (!read_group(&text, st->site, name, err) ||
		    !put_bytes(st, docs_path_group(name), buf_span(&text), err))
			return false;
	}
	return true;
}

/* ---- package/<id>.json, manifest/<id>/<version>, location/<id>.json ---- */

static enum docs_rerun rerun_of(const json_t *row)
{
	enum docs_rerun rerun = DOCS_RERUN_NEVER;

	if (!docs_rerun_parse(&rerun, jsondoc_text(row, "rerun")))
		rerun = DOCS_RERUN_NEVER;
	return rerun;
}

static size_t fill_codes(int64_t *out, const json_t *codes)
{
	size_t count = 0, i;
	json_t *code;

	json_array_foreach (codes, i, code)
		if (count < DOCS_CODES_MAX)
			out[count++] = json_integer_value(code);
	return count;
}

static void fill_program(struct docs_program *out, const json_t *row)
{
	*out = (struct docs_program){
		.name = jsondoc_text(row, "name"),
		.command = jsondoc_text(row, "command"),
		.timeout_s = jsondoc_int(row, "timeout_s", 0),
		.after_package = jsondoc_text(row, "after_package"),
		.after_program = jsondoc_text(row, "after_program"),
		.rerun = rerun_of(row),
		.as = jsondoc_text(row, "run_as"),
		.mount = jsondoc_text(row, "mount"),
		.keep = jsondoc_int(row, "keep", 0) != 0,
	};
	out->success_count = fill_codes(out->success, json_object_get(row, "success"));
	out->restart_count = fill_codes(out->restart, json_object_get(row, "restart"));
}

static void write_package(struct buf *out, const json_t *package, const json_t *versions,
			  const json_t *programs)
{
	struct docs_package doc = {
		.id = jsondoc_text(package, "id"),
		.name = jsondoc_text(package, "name"),
		.latest = jsondoc_int(package, "latest", 0),
		.versions = alloc_zeroed(json_array_size(versions), sizeof(*doc.versions)),
		.programs = alloc_zeroed(json_array_size(programs), sizeof(*doc.programs)),
	};
	json_t *row;
	size_t i;

	json_array_foreach (versions, i, row)
		doc.versions[doc.version_count++] = (struct docs_version){
			.version = jsondoc_int(row, "version", 0),
			.manifest = jsondoc_text(row, "manifest"),
			.manifest_size = jsondoc_int(row, "manifest_size", 0),
			.files = jsondoc_int(row, "files", 0),
			.bytes = jsondoc_int(row, "bytes", 0),
		};
	json_array_foreach (programs, i, row)
		fill_program(&doc.programs[doc.program_count++], row);
	docs_package_write(out, &doc);
	free(doc.versions);
	free(doc.programs);
}

static bool stage_manifest(struct stage *st, const char *id, const json_t *version, struct err *err)
{
	int64_t number = jsondoc_int(version, "version", 0);
	SCOPED_TEXT char *path = release_manifest_path(st->site, id, number);
	SCOPED(buf) struct buf bytes = { 0 };

	return path_read(&bytes, path, MANIFEST_BYTES_MAX, err) &&
	       put_bytes(st, docs_path_manifest(id, number), buf_span(&bytes), err);
}

/* Rows are (version, index_name, index_size, dp), a version's DPs one after another. */
static void write_location(struct buf *out, const char *id, const json_t *rows)
{
	size_t count = json_array_size(rows), i;
	const char **names = alloc_zeroed(count, sizeof(*names));
	struct docs_location doc = {
		.package = id,
		.versions = alloc_zeroed(count, sizeof(*doc.versions)),
	};
	struct docs_place *place = NULL;
	json_t *row;

	json_array_foreach (rows, i, row) {
		int64_t version = jsondoc_int(row, "version", 0);

		names[i] = jsondoc_text(row, "dp");
		if (place == NULL || place->version != version) {
			place = &doc.versions[doc.version_count++];
			*place = (struct docs_place){
				.version = version,
				.index = jsondoc_text(row, "index_name"),
				.index_size = jsondoc_int(row, "index_size", 0),
				.dps = &names[i],
			};
		}
		place->dp_count++;
	}
	docs_location_write(out, &doc);
	free(doc.versions);
	free(names);
}

static bool stage_package(struct stage *st, const json_t *package, struct err *err)
{
	const char *id = jsondoc_text(package, "id");
	SCOPED(buf) struct buf text = { 0 };
	SCOPED(buf) struct buf location = { 0 };
	json_auto_t *versions = NULL;
	json_auto_t *programs = NULL;
	json_auto_t *places = NULL;
	json_t *row;
	size_t i;

	if (!list(&versions, st, STMT_PACKAGE_ALL_VERSIONS, DB_ARGS(db_text(id)), err) ||
	    !list(&programs, st, STMT_PROGRAM_ROWS, DB_ARGS(db_text(id)), err) ||
	    !list(&places, st, STMT_LOCATION_ROWS, DB_ARGS(db_text(id)), err))
		return false;
	write_package(&text, package, versions, programs);
	write_location(&location, id, places);
	json_array_foreach (versions, i, row)
		if (!stage_manifest(st, id, row, err))
			return false;
	return put_bytes(st, docs_path_package(id), buf_span(&text), err) &&
	       put_bytes(st, docs_path_location(id), buf_span(&location), err);
}

static bool stage_packages(struct stage *st, struct err *err)
{
	json_auto_t *packages = NULL;
	json_t *row;
	size_t i;

	if (!list(&packages, st, STMT_PACKAGE_IDS, DB_NO_ARGS, err))
		return false;
	json_array_foreach (packages, i, row)
		if (!stage_package(st, row, err))
			return false;
	return true;
}

/* ---- bins ---- */

/* The bin of each row by its member `key`, found once; the caller frees it. */
static uint8_t *bins_of(const json_t *rows, const char *key)
{
	uint8_t *bins = alloc_zeroed(json_array_size(rows), sizeof(*bins));
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		bins[i] = (uint8_t)docs_bin(jsondoc_text(row, key));
	return bins;
}

/* ---- advertisement/<bin>.json ---- */

/*
 * A run is due again under a new serial: another version than the one last published. "Latest" is
 * the newest version that a DP holds, and never goes back: a DP that loses a version would make
 * every client run the one before, and then the newer one again.
 */
static bool resolve_version(int64_t *version_out, int64_t *serial_out, struct stage *st,
			    const json_t *row, struct err *err)
{
	const char *id = jsondoc_text(row, "id");
	int64_t published = jsondoc_int(row, "published_version", 0);

	*serial_out = jsondoc_int(row, "serial", 1);
	*version_out = jsondoc_int(row, "version", 0);
	if (*version_out == 0) {
		if (!db_number(version_out, st->site->db, STMT_LOCATION_NEWEST,
			       DB_ARGS(db_text(jsondoc_text(row, "package"))), 1, err))
			return false;
		*version_out = MAX_OF(*version_out, published);
	}
	if (published == *version_out)
		return true;
	*serial_out += published != 0;
	return db_run(st->site->db, STMT_ADVERTISEMENT_SET_PUBLISHED,
		      DB_ARGS(db_text(id), db_int(*version_out), db_int(*serial_out)), err);
}

static bool fill_advertisement(struct docs_advertisement *out, struct stage *st, const json_t *row,
			       struct err *err)
{
	*out = (struct docs_advertisement){
		.id = jsondoc_text(row, "id"),
		.package = jsondoc_text(row, "package"),
		.program = jsondoc_text(row, "program"),
		.collection = jsondoc_text(row, "collection"),
		.stopped = jsondoc_int(row, "stopped", 0) != 0,
		.available_s = number_or_never(row, "available"),
		.mandatory_s = number_or_never(row, "mandatory"),
		.expires_s = number_or_never(row, "expires"),
		.window = jsondoc_text(row, "window"),
		.offer_to = jsondoc_text(row, "offer_to"),
	};
	return resolve_version(&out->version, &out->serial, st, row, err);
}

static bool stage_advertisement_bin(struct stage *st, unsigned int bin,
				    struct docs_advertisement *items, size_t count, struct err *err)
{
	const struct docs_advertisements doc = { .bin = bin, .items = items, .count = count };
	SCOPED(buf) struct buf text = { 0 };

	if (count == 0)
		return true;
	docs_advertisements_write(&text, &doc);
	return put_bytes(st, docs_path_advertisements(bin), buf_span(&text), err);
}

static bool stage_advertisement_bins(struct stage *st, const json_t *rows, const uint8_t *bins,
				     struct docs_advertisement *items, struct err *err)
{
	for (unsigned int bin = 0; bin < DOCS_BINS; bin++) {
		size_t count = 0, i;
		json_t *row;

		json_array_foreach (rows, i, row)
			if (bins[i] == bin && !fill_advertisement(&items[count++], st, row, err))
				return false;
		if (!stage_advertisement_bin(st, bin, items, count, err))
			return false;
	}
	return true;
}

static bool stage_advertisements(struct stage *st, struct err *err)
{
	struct docs_advertisement *items;
	json_auto_t *rows = NULL;
	uint8_t *bins;
	bool done;

	if (!list(&rows, st, STMT_ADVERTISEMENT_ROWS, DB_NO_ARGS, err))
		return false;
	items = alloc_zeroed(json_array_size(rows), sizeof(*items));
	bins = bins_of(rows, "id");
	done = stage_advertisement_bins(st, rows, bins, items, err);
	free(bins);
	free(items);
	return done;
}

/* ---- collection/<bin>.json ---- */

/* The hashed members stay in `hashes`, an array of arrays that keeps the texts alive. */
static bool fill_collection(struct docs_collection *out, struct stage *st, const json_t *row,
			    json_t *hashes, struct err *err)
{
	const char *name = jsondoc_text(row, "name");
	const char *salt = jsondoc_text(row, "salt");
	json_auto_t *members = NULL;
	json_t *member;
	size_t i;

	*out = (struct docs_collection){
		.name = name,
		.query = jsondoc_text(row, "query"),
		.salt = salt,
		.percent = number_or_never(row, "percent"),
	};
	if (salt == NULL)
		return true;
	if (!list(&members, st, STMT_COLLECTION_MEMBERS, DB_ARGS(db_text(name)), err))
		return false;
	out->members = alloc_zeroed(json_array_size(members), sizeof(*out->members));
	json_array_foreach (members, i, member) {
		char hash[65];

		docs_member_hash(hash, salt, jsondoc_text(member, "client_id"));
		json_array_append_new(hashes, json_string(hash));
		out->members[out->member_count++] = json_string_value(
			json_array_get(hashes, json_array_size(hashes) - 1));
	}
	return true;
}

static bool stage_collection_bin(struct stage *st, const json_t *rows, const uint8_t *bins,
				 unsigned int bin, struct docs_collection *items, struct err *err)
{
	json_auto_t *hashes = json_array();
	struct docs_collections doc = { .bin = bin, .items = items };
	SCOPED(buf) struct buf text = { 0 };
	bool done = true;
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (done && bins[i] == bin)
			done = fill_collection(&items[doc.count++], st, row, hashes, err);
	if (done && doc.count > 0) {
		docs_collections_write(&text, &doc);
		done = put_bytes(st, docs_path_collections(bin), buf_span(&text), err);
	}
	for (i = 0; i < doc.count; i++)
		free(items[i].members);
	return done;
}

static bool stage_collections(struct stage *st, struct err *err)
{
	struct docs_collection *items;
	json_auto_t *rows = NULL;
	uint8_t *bins;
	bool done = true;

	if (!list(&rows, st, STMT_COLLECTION_ROWS, DB_NO_ARGS, err))
		return false;
	items = alloc_zeroed(json_array_size(rows), sizeof(*items));
	bins = bins_of(rows, "name");
	for (unsigned int bin = 0; done && bin < DOCS_BINS; bin++)
		done = stage_collection_bin(st, rows, bins, bin, items, err);
	free(bins);
	free(items);
	return done;
}

/* ---- all ---- */

struct leftovers {
	const json_t *staged;
	json_t *paths;
};

static bool note_leftover(const char *path, const struct publication_target *target UNUSED,
			  void *ctx)
{
	struct leftovers *l = ctx;

	if (json_object_get(l->staged, path) == NULL)
		json_array_append_new(l->paths, json_string(path));
	return true;
}

static bool remove_leftovers(struct stage *st, struct err *err)
{
	json_auto_t *paths = json_array();
	struct leftovers l = { .staged = st->paths, .paths = paths };
	json_t *path;
	size_t i;

	repository_each_target(st->repo, note_leftover, &l);
	json_array_foreach (paths, i, path)
		if (!repository_remove_target(st->repo, json_string_value(path), err))
			return false;
	return true;
}

bool policydoc_stage(struct site *site, struct repository *repo,
		     const struct policydoc_settings *settings, struct err *err)
{
	json_auto_t *paths = json_object();
	json_auto_t *groups = NULL;
	struct stage st = { .site = site, .repo = repo, .settings = settings, .paths = paths };

	repository_begin(repo);
	return list(&groups, &st, STMT_GROUP_LIST, DB_NO_ARGS, err) &&
	       stage_site(&st, groups, err) && stage_groups(&st, groups, err) &&
	       warn_of_strangers(&st, err) && stage_packages(&st, err) &&
	       stage_advertisements(&st, err) && stage_collections(&st, err) &&
	       remove_leftovers(&st, err);
}

/* ---- for a choice ---- */

static bool add_group(struct systems *out, struct site *site, const char *name, struct err *err)
{
	SCOPED(buf) struct buf text = { 0 };
	struct docs_group doc = { 0 };

	if (!read_group(&text, site, name, err) || !docs_group_parse(&doc, buf_span(&text), err))
		return false;
	systems_add_group(out, &doc);
	return true;
}

bool policydoc_systems(struct systems *out, struct site *site, struct err *err)
{
	SCOPED(system_list) struct system_list caps = { 0 };
	SCOPED(system_list) struct system_list dps = { 0 };
	json_auto_t *groups = NULL;
	struct docs_site doc = { 0 };
	json_t *row;
	size_t i;

	if (!load_systems(&caps, &dps, site, err) ||
	    !db_list(&groups, site->db, STMT_GROUP_LIST, DB_NO_ARGS, err))
		return false;
	fill_systems(&doc, &caps, &dps);
	systems_add_site(out, &doc);
	free(doc.systems);
	json_array_foreach (groups, i, row)
		if (!add_group(out, site, jsondoc_text(row, "name"), err))
			return false;
	return true;
}

bool policydoc_location(struct docs_location *out, struct site *site, const char *id,
			struct err *err)
{
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *places = NULL;
	int64_t latest;

	if (!db_number(&latest, site->db, STMT_PACKAGE_LATEST, DB_ARGS(db_text(id)), 0, err))
		return false;
	if (latest == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no package %s", id);
	if (!db_list(&places, site->db, STMT_LOCATION_ROWS, DB_ARGS(db_text(id)), err))
		return false;
	write_location(&text, id, places);
	return docs_location_parse(out, buf_span(&text), err);
}

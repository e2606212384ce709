/*
 * Write the corpus of the metadata target into the folder named on the command line: valid files
 * of every kind and form, signed by the test keys. Run after a change of the form, by hand:
 *
 *     build/fuzz/trust/metadata_corpus fuzz/corpus/metadata
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "support/tufrepo.h"

static const char *const files[][2] = {
	{ "2.root.json", "root" },         { "3.root.json", "root-odd-keys" },
	{ "timestamp.json", "timestamp" }, { "3.snapshot.json", "snapshot" },
	{ "1.targets.json", "targets" },   { "1.paths.json", "delegated" },
	{ "1.bins.json", "bins" },
};

static void odd_keys(struct tufrepo *r)
{
	json_t *keys = json_object_get(tufrepo_body(r, "root"), "keys");

	jsondoc_set(keys, "lattice",
		    json_pack("{s:s,s:s,s:{s:s}}", "keytype", "lattice", "scheme", "l-1", "keyval",
			      "public", "00"));
	jsondoc_set(keys, "curve",
		    json_pack("{s:s,s:s,s:{s:s}}", "keytype", "ecdsa", "scheme",
			      "ecdsa-sha2-nistp256", "keyval", "public",
			      "-----BEGIN PUBLIC KEY-----\n"
			      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsRoQn2aVpMl3hiCSnlZOR0OT4sZb\n"
			      "-----END PUBLIC KEY-----\n"));
	json_array_append_new(json_object_get(tufrepo_entry(r, "root", "targets"), "keyids"),
			      json_string("nobody"));
	tufrepo_publish_root(r);
}

static void bins(struct tufrepo *r)
{
	json_t *delegations;

	tufrepo_delegate(r, "targets", "bins", 11, "bin/*", true);
	tufrepo_delegate(r, "bins", "bin-0", 12, "*", false);
	delegations = json_object_get(tufrepo_body(r, "bins"), "delegations");
	json_object_del(delegations, "roles");
	jsondoc_set(delegations, "succinct_roles",
		    json_pack("{s:i,s:s,s:[],s:i}", "bit_length", 4, "name_prefix", "bin", "keyids",
			      "threshold", 1));
}

static void paths(struct tufrepo *r)
{
	json_t *entry;

	tufrepo_delegate(r, "targets", "paths", 10, "[a-c]/?*", false);
	tufrepo_target(r, "paths", "a/b", "content");
	tufrepo_delegate(r, "paths", "../odd name", 10, NULL, false);
	entry = tufrepo_entry(r, "paths", "../odd name");
	json_object_del(entry, "paths");
	jsondoc_set(entry, "path_hash_prefixes", json_pack("[s,s]", "c14", "00"));
}

int main(int argc, char **argv)
{
	struct tufrepo *r = tufrepo_new();
	int status = argc == 2 ? EXIT_SUCCESS : EXIT_FAILURE;

	r->list_hashes = true;
	paths(r);
	bins(r);
	tufrepo_publish_root(r);
	odd_keys(r);
	tufrepo_publish(r);
	tufrepo_publish(r);
	for (size_t i = 0; i < COUNT_OF(files) && status == EXIT_SUCCESS; i++) {
		SCOPED_TEXT char *path = path_join(argv[1], files[i][1]);
		struct buf *bytes = memfiles_find(&r->metadata, files[i][0]);
		struct err err;

		if (bytes == NULL || !newfile_write(path, 0644, buf_span(bytes), &err))
			status = EXIT_FAILURE;
	}
	tufrepo_free(r);
	return status;
}

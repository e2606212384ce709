#include "support/sitebox.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"
#include "site/publish.h"
#include "site/sitekeys.h"
#include "site/system.h"
#include "support/testing.h"

static int64_t wall_s(void *ctx)
{
	const struct sitebox *box = ctx;

	return box->now_s;
}

static uint64_t mono_ms(void *ctx)
{
	const struct sitebox *box = ctx;

	return (uint64_t)box->now_s * 1000;
}

char *sitebox_path(const struct sitebox *box, const char *name)
{
	return path_join(box->dir, name);
}

void sitebox_open(struct sitebox *box)
{
	static const struct policydoc_settings settings = { .poll_s = 900, .linger_s = 120 };
	SCOPED_TEXT char *dir = NULL;
	SCOPED_TEXT char *cap = NULL;
	SCOPED_TEXT char *note = NULL;
	json_auto_t *published = NULL;
	struct err err = { 0 };
	size_t failed;

	*box = (struct sitebox){ .now_s = 1800000000 };
	box->clock = (struct clock){ .wall_s = wall_s, .mono_ms = mono_ms, .ctx = box };
	snprintf(box->dir, sizeof(box->dir), "/tmp/sitebox.XXXXXX");
	assert_non_null(mkdtemp(box->dir));
	dir = sitebox_path(box, "site");
	cap = sitebox_path(box, "cap");
	assert_done(site_init(dir, "LON", NULL, &box->clock, &err), &err);
	assert_done(site_open(&box->site, dir, &box->clock, &err), &err);
	assert_done(system_add(box->site,
			       &(struct system_spec){
				       .kind = MARKER_CAP,
				       .name = "cap1",
				       .urls = (const char *const[]){ cap },
				       .url_count = 1,
			       },
			       &note, &err),
		    &err);
	assert_done(publish_run(&published, &failed, box->site, &settings, &err), &err);
	assert_int_equal(failed, 0);
}

void sitebox_close(struct sitebox *box)
{
	struct err err;

	site_close(box->site);
	path_remove_tree(box->dir, &err);
}

void sitebox_client_init(struct sitebox_client *c, uint16_t seed)
{
	uint8_t bytes[SIGNER_SEED_SIZE];
	struct digest digest;
	char hex[DIGEST_HEX_SIZE];

	memset(bytes, seed & 0xff, sizeof(bytes));
	bytes[0] = (uint8_t)(seed >> 8);
	c->key = signer_from_seed(bytes);
	digest_of(&digest, span_of(keys_ed25519_bytes(signer_public(c->key)), KEYS_ED25519_SIZE));
	digest_print(hex, &digest);
	snprintf(c->id, sizeof(c->id), "%.32s", hex);
	text_hex(c->stream, bytes, 16);
}

void sitebox_client_release(struct sitebox_client *c)
{
	signer_free(c->key);
}

/* Unflushed: tests put thousands. */
void sitebox_put_raw(struct sitebox *box, const char *name, struct span bytes)
{
	const struct timespec now[2] = { { .tv_sec = box->now_s }, { .tv_sec = box->now_s } };
	SCOPED_TEXT char *path = alloc_printf("%s/cap/inbox/%s", box->dir, name);
	struct newfile nf = NEWFILE_EMPTY;
	struct err err = { 0 };

	assert_done(newfile_begin(&nf, path, 0644, &err), &err);
	assert_done(path_write_fd(nf.fd, bytes, &err), &err);
	assert_int_equal(futimens(nf.fd, now), 0);
	assert_done(newfile_commit_unflushed(&nf, &err), &err);
}

static void put(struct sitebox *box, struct sitebox_client *c, enum envelope_kind kind,
		uint64_t first, const json_t *records)
{
	SCOPED(sealer) struct sealer *sealer = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct envelope_header header = { .kind = kind, .first = first, .time_s = box->now_s };
	char text[ENVELOPE_NAME_SIZE];
	struct envelope_name name;
	struct err err = { 0 };

	snprintf(header.stream, sizeof(header.stream), "%s", c->stream);
	assert_done(sitekeys_load_sealer(&sealer, box->site, &err), &err);
	assert_done(
		envelope_seal(&bytes, &name, &header, records, c->key, sealer_public(sealer), &err),
		&err);
	envelope_name_print(text, &name);
	sitebox_put_raw(box, text, buf_span(&bytes));
}

void sitebox_put_enrolment(struct sitebox *box, struct sitebox_client *c, const char *token)
{
	json_auto_t *records = json_array();

	json_array_append_new(records, envelope_new_enrol_record(c->key, token));
	put(box, c, ENVELOPE_ENROL, 0, records);
}

void sitebox_put_records(struct sitebox *box, struct sitebox_client *c, uint64_t first,
			 const json_t *records)
{
	put(box, c, ENVELOPE_RECORDS, first, records);
}

json_t *sitebox_status(int id, const char *advertisement, const char *text)
{
	json_t *record = json_object();

	jsondoc_set_text(record, "kind", "status");
	jsondoc_set_int(record, "id", id);
	jsondoc_set_text(record, "time", "2026-11-22T14:43:37Z");
	jsondoc_set_text(record, "advertisement", advertisement);
	jsondoc_set_text(record, "package", "LON00001");
	jsondoc_set_text(record, "program", "install");
	jsondoc_set_int(record, "version", 1);
	jsondoc_set_text(record, "text", text);
	return record;
}

size_t sitebox_count_files(const struct sitebox *box, const char *folder)
{
	SCOPED_TEXT char *path = sitebox_path(box, folder);
	DIR *dir = opendir(path);
	struct dirent *entry;
	size_t count = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	if (dir != NULL)
		closedir(dir);
	return count;
}

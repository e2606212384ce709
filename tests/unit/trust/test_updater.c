#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "support/tufrepo.h"
#include "trust/updater.h"

#define DAY_S 86400

static struct tufrepo *begin(void (*prepare)(struct tufrepo *r))
{
	struct tufrepo *r = tufrepo_new();

	if (prepare != NULL)
		prepare(r);
	assert_int_equal(tufrepo_refresh(r), VERDICT_OK);
	return r;
}

/* Ways to prepare. */

static void with_hashes(struct tufrepo *r)
{
	r->list_hashes = true;
	tufrepo_publish(r);
}

static void at_version_three(struct tufrepo *r)
{
	tufrepo_bump(r, "targets");
	tufrepo_publish(r);
	tufrepo_bump(r, "targets");
	tufrepo_publish(r);
}

static void plain(struct tufrepo *r)
{
	r->plain_names = true;
	jsondoc_set_flag(tufrepo_body(r, "root"), "consistent_snapshot", false);
	tufrepo_publish_root(r);
	tufrepo_publish(r);
}

static void with_delegation(struct tufrepo *r)
{
	tufrepo_delegate(r, "targets", "a", 10, "*", false);
	tufrepo_publish(r);
}

static void two_of_three_root(struct tufrepo *r)
{
	tufrepo_allow(r, "root", "root", 20, NULL);
	tufrepo_allow(r, "root", "root", 21, NULL);
	jsondoc_set_int(tufrepo_entry(r, "root", "root"), "threshold", 2);
	tufrepo_sign_by(r, "root", 20, NULL);
	tufrepo_publish_root(r);
}

/* Attacks, and honest changes that look like some. */

static void nothing(struct tufrepo *r)
{
	(void)r;
}

static void next_publication(struct tufrepo *r)
{
	tufrepo_bump(r, "targets");
	tufrepo_publish(r);
}

static void root_expires(struct tufrepo *r)
{
	tufrepo_expire(r, "root", TUFREPO_NOW - 1);
	tufrepo_publish_root(r);
	next_publication(r);
}

static void root_expires_this_second(struct tufrepo *r)
{
	tufrepo_expire(r, "root", TUFREPO_NOW);
	tufrepo_publish_root(r);
}

static void root_expired_then_mended(struct tufrepo *r)
{
	tufrepo_expire(r, "root", TUFREPO_NOW - 1);
	tufrepo_publish_root(r);
	tufrepo_expire(r, "root", TUFREPO_NOW + 1);
	tufrepo_publish_root(r);
}

static void root_skips_a_version(struct tufrepo *r)
{
	SCOPED(buf) struct buf skipped = { 0 };

	tufrepo_bump(r, "root");
	tufrepo_publish_root(r);
	buf_put_span(&skipped, buf_span(memfiles_find(&r->metadata, "3.root.json")));
	memfiles_put(&r->metadata, "2.root.json", buf_span(&skipped));
	memfiles_drop(&r->metadata, "3.root.json");
}

static void root_repeats_its_version(struct tufrepo *r)
{
	SCOPED(buf) struct buf again = { 0 };

	buf_put_span(&again, buf_span(memfiles_find(&r->metadata, "1.root.json")));
	memfiles_put(&r->metadata, "2.root.json", buf_span(&again));
}

static void rotate_root(struct tufrepo *r, bool signed_by_old, bool signed_by_new)
{
	tufrepo_forbid_all(r, "root", "root");
	tufrepo_allow(r, "root", "root", 30, NULL);
	if (!signed_by_old)
		tufrepo_sign_by_none(r, "root");
	if (signed_by_new)
		tufrepo_sign_by(r, "root", 30, NULL);
	tufrepo_publish_root(r);
}

static void root_rotates(struct tufrepo *r)
{
	rotate_root(r, true, true);
	tufrepo_sign_by_none(r, "root");
	tufrepo_sign_by(r, "root", 30, NULL);
	tufrepo_publish_root(r);
}

static void root_not_signed_by_old(struct tufrepo *r)
{
	rotate_root(r, false, true);
}

static void root_not_signed_by_new(struct tufrepo *r)
{
	rotate_root(r, true, false);
}

static void root_by_one_of_two(struct tufrepo *r)
{
	tufrepo_sign_by_none(r, "root");
	tufrepo_sign_by(r, "root", 21, NULL);
	tufrepo_publish_root(r);
}

static void root_by_other_two(struct tufrepo *r)
{
	tufrepo_sign_by_none(r, "root");
	tufrepo_sign_by(r, "root", 20, NULL);
	tufrepo_sign_by(r, "root", 21, NULL);
	tufrepo_publish_root(r);
}

static void root_lowers_its_own_threshold(struct tufrepo *r)
{
	jsondoc_set_int(tufrepo_entry(r, "root", "root"), "threshold", 1);
	tufrepo_sign_by_none(r, "root");
	tufrepo_sign_by(r, "root", 21, NULL);
	tufrepo_publish_root(r);
}

static void root_threshold_zero(struct tufrepo *r)
{
	jsondoc_set_int(tufrepo_entry(r, "root", "timestamp"), "threshold", 0);
	tufrepo_publish_root(r);
}

static void root_is_endless(struct tufrepo *r)
{
	SCOPED(buf) struct buf many = { 0 };

	for (size_t i = 0; i <= ROLE_ROOT_MAX; i++)
		buf_put_u8(&many, ' ');
	memfiles_put(&r->metadata, "2.root.json", buf_span(&many));
}

static void endless_and_the_source_lies(struct tufrepo *r)
{
	root_is_endless(r);
	r->oversize = true;
}

static void root_is_a_targets_file(struct tufrepo *r)
{
	tufrepo_write(r, "2.root.json", tufrepo_read(r, "1.targets.json"));
}

static void timestamp_is_a_snapshot_file(struct tufrepo *r)
{
	tufrepo_write(r, "timestamp.json", tufrepo_read(r, "1.snapshot.json"));
}

static void snapshot_is_a_targets_file(struct tufrepo *r)
{
	tufrepo_bump(r, "snapshot");
	tufrepo_publish_timestamp(r);
	tufrepo_write(r, "2.snapshot.json", tufrepo_read(r, "1.targets.json"));
}

static void targets_is_a_snapshot_file(struct tufrepo *r)
{
	next_publication(r);
	tufrepo_write(r, "2.targets.json", tufrepo_read(r, "2.snapshot.json"));
}

/* A delegated role has targets' form: only the signers tell. */
static void targets_is_a_delegated_file(struct tufrepo *r)
{
	next_publication(r);
	tufrepo_set_version(r, "a", 3);
	tufrepo_put(r, "a");
	tufrepo_write(r, "3.targets.json", tufrepo_read(r, "3.a.json"));
	tufrepo_set_version(r, "targets", 3);
	tufrepo_bump(r, "snapshot");
	jsondoc_set_int(json_object_get(json_object_get(tufrepo_body(r, "snapshot"), "meta"),
					"targets.json"),
			"version", 3);
	tufrepo_put(r, "snapshot");
	tufrepo_publish_timestamp(r);
}

static void timestamp_goes_back(struct tufrepo *r)
{
	tufrepo_set_version(r, "timestamp", 2);
	tufrepo_put(r, "timestamp");
}

static void timestamp_changes_without_version(struct tufrepo *r)
{
	jsondoc_set_int(json_object_get(json_object_get(tufrepo_body(r, "timestamp"), "meta"),
					"snapshot.json"),
			"version", 100);
	tufrepo_put(r, "timestamp");
}

static void timestamp_lists_an_older_snapshot(struct tufrepo *r)
{
	tufrepo_set_version(r, "snapshot", 2);
	tufrepo_publish_timestamp(r);
}

static void timestamp_is_missing(struct tufrepo *r)
{
	memfiles_drop(&r->metadata, "timestamp.json");
}

static void timestamp_expires(struct tufrepo *r)
{
	tufrepo_expire(r, "timestamp", TUFREPO_NOW - 1);
	tufrepo_publish_timestamp(r);
}

static void timestamp_by_snapshots_key(struct tufrepo *r)
{
	tufrepo_sign_by_none(r, "timestamp");
	tufrepo_sign_by(r, "timestamp", TUFREPO_KEY_SNAPSHOT, NULL);
	tufrepo_publish_timestamp(r);
}

/* The right key id over the wrong key's signature. */
static void timestamp_by_a_pretender(struct tufrepo *r)
{
	json_t *doc = tufrepo_read(r, "timestamp.json");
	SCOPED_TEXT char *id = alloc_text(
		jsondoc_text(json_array_get(json_object_get(doc, "signatures"), 0), "keyid"));

	json_decref(doc);
	tufrepo_sign_by_none(r, "timestamp");
	tufrepo_sign_by(r, "timestamp", 40, id);
	tufrepo_publish_timestamp(r);
}

static void timestamp_unsigned(struct tufrepo *r)
{
	tufrepo_sign_by_none(r, "timestamp");
	tufrepo_publish_timestamp(r);
}

static void timestamp_signed_twice_by_one_id(struct tufrepo *r)
{
	tufrepo_sign_by(r, "timestamp", TUFREPO_KEY_TIMESTAMP, NULL);
	tufrepo_publish_timestamp(r);
}

static void timestamp_with_a_bad_signature_beside(struct tufrepo *r)
{
	json_t *doc, *list;

	tufrepo_publish_timestamp(r);
	doc = tufrepo_read(r, "timestamp.json");
	list = json_object_get(doc, "signatures");
	json_array_append_new(list, json_pack("{s:s,s:s}", "keyid", "other", "sig", ""));
	json_array_append_new(list, json_pack("{s:s,s:s}", "keyid", "third", "sig", "no hex"));
	json_array_append_new(list, json_pack("{s:s,s:s}", "keyid", "", "sig", "00"));
	tufrepo_write(r, "timestamp.json", doc);
}

static void timestamp_edited_after_signing(struct tufrepo *r)
{
	json_t *doc;

	tufrepo_publish_timestamp(r);
	doc = tufrepo_read(r, "timestamp.json");
	jsondoc_set_time(json_object_get(doc, "signed"), "expires", TUFREPO_NOW + 100 * DAY_S);
	tufrepo_write(r, "timestamp.json", doc);
}

static void timestamp_has_unknown_fields(struct tufrepo *r)
{
	jsondoc_set(tufrepo_body(r, "timestamp"), "x-odd",
		    json_pack("{s:[i,{s:n}],s:s}", "list", 1, "none", "text", "a\"b\\c\nd"));
	tufrepo_publish_timestamp(r);
}

static void timestamp_unknown_field_is_edited(struct tufrepo *r)
{
	json_t *doc;

	timestamp_has_unknown_fields(r);
	doc = tufrepo_read(r, "timestamp.json");
	jsondoc_set_text(json_object_get(doc, "signed"), "x-odd", "other");
	tufrepo_write(r, "timestamp.json", doc);
}

static void timestamp_is_no_json(struct tufrepo *r)
{
	memfiles_put(&r->metadata, "timestamp.json", span_of_text("<html>not here</html>"));
}

static void timestamp_is_empty(struct tufrepo *r)
{
	memfiles_put(&r->metadata, "timestamp.json", span_of("", 0));
}

static void timestamp_has_bytes_behind(struct tufrepo *r)
{
	tufrepo_publish_timestamp(r);
	buf_put_text(memfiles_find(&r->metadata, "timestamp.json"), "{}");
}

static void timestamp_is_endless(struct tufrepo *r)
{
	struct buf *bytes = memfiles_find(&r->metadata, "timestamp.json");

	while (bytes->size <= ROLE_TIMESTAMP_MAX)
		buf_put_u8(bytes, ' ');
}

static void snapshot_is_missing(struct tufrepo *r)
{
	next_publication(r);
	memfiles_drop(&r->metadata, "2.snapshot.json");
}

static void snapshot_of_another_version(struct tufrepo *r)
{
	next_publication(r);
	tufrepo_write(r, "2.snapshot.json", tufrepo_read(r, "1.snapshot.json"));
}

static void snapshot_expires(struct tufrepo *r)
{
	tufrepo_expire(r, "snapshot", TUFREPO_NOW - 1);
	tufrepo_publish(r);
}

static void snapshot_by_timestamps_key(struct tufrepo *r)
{
	tufrepo_sign_by_none(r, "snapshot");
	tufrepo_sign_by(r, "snapshot", TUFREPO_KEY_TIMESTAMP, NULL);
	tufrepo_publish(r);
}

static void snapshot_lists_older_targets(struct tufrepo *r)
{
	tufrepo_set_version(r, "targets", 2);
	tufrepo_publish(r);
}

static void snapshot_forgets_a_role(struct tufrepo *r)
{
	json_object_del(json_object_get(tufrepo_body(r, "snapshot"), "meta"), "a.json");
	tufrepo_bump(r, "snapshot");
	tufrepo_put(r, "snapshot");
	tufrepo_publish_timestamp(r);
}

static void snapshot_length_differs(struct tufrepo *r)
{
	json_t *doc;

	next_publication(r);
	doc = tufrepo_read(r, "3.snapshot.json");
	jsondoc_set_text(doc, "x", "unsigned fields change the bytes");
	tufrepo_write(r, "3.snapshot.json", doc);
}

static void snapshot_shorter(struct tufrepo *r)
{
	json_t *doc;

	next_publication(r);
	doc = tufrepo_read(r, "3.snapshot.json");
	json_array_clear(json_object_get(doc, "signatures"));
	tufrepo_write(r, "3.snapshot.json", doc);
}

static void swap_bytes_of(struct tufrepo *r, const char *path)
{
	struct buf *bytes = memfiles_find(&r->metadata, path);
	uint8_t *space = memchr(bytes->data, '{', bytes->size);

	/* Same length, same JSON, other bytes: an upper-case hex digit of the signature. */
	for (uint8_t *p = space; p < bytes->data + bytes->size; p++)
		if (memcmp(p, "\"sig\":\"", 7) == 0)
			for (p += 7; *p != '"'; p++)
				if (*p >= 'a' && *p <= 'f') {
					*p = (uint8_t)(*p - 'a' + 'A');
					return;
				}
	fail_msg("%s has no letter to change", path);
}

static void snapshot_hash_differs(struct tufrepo *r)
{
	next_publication(r);
	swap_bytes_of(r, "3.snapshot.json");
}

static void targets_hash_differs(struct tufrepo *r)
{
	next_publication(r);
	swap_bytes_of(r, "2.targets.json");
}

static void targets_is_missing(struct tufrepo *r)
{
	next_publication(r);
	memfiles_drop(&r->metadata, "2.targets.json");
}

static void targets_of_another_version(struct tufrepo *r)
{
	next_publication(r);
	tufrepo_write(r, "2.targets.json", tufrepo_read(r, "1.targets.json"));
}

static void targets_expires(struct tufrepo *r)
{
	tufrepo_expire(r, "targets", TUFREPO_NOW - 1);
	next_publication(r);
}

static void targets_by_snapshots_key(struct tufrepo *r)
{
	tufrepo_sign_by_none(r, "targets");
	tufrepo_sign_by(r, "targets", TUFREPO_KEY_SNAPSHOT, NULL);
	next_publication(r);
}

static void targets_listed_too_large(struct tufrepo *r)
{
	json_t *meta = json_object_get(tufrepo_body(r, "snapshot"), "meta");

	next_publication(r);
	jsondoc_set_int(json_object_get(meta, "targets.json"), "length", ROLE_TARGETS_MAX + 1);
	tufrepo_bump(r, "snapshot");
	tufrepo_put(r, "snapshot");
	tufrepo_publish_timestamp(r);
}

/* Thresholds over the snapshot role; each publishes a new root and a new snapshot. */

static void snapshot_threshold(struct tufrepo *r, int threshold)
{
	jsondoc_set_int(tufrepo_entry(r, "root", "snapshot"), "threshold", threshold);
	tufrepo_publish_root(r);
	tufrepo_publish(r);
}

static void two_keys_sign(struct tufrepo *r)
{
	tufrepo_allow(r, "root", "snapshot", 50, NULL);
	tufrepo_sign_by(r, "snapshot", 50, NULL);
	snapshot_threshold(r, 2);
}

static void one_key_too_few(struct tufrepo *r)
{
	tufrepo_allow(r, "root", "snapshot", 50, NULL);
	snapshot_threshold(r, 2);
}

static void one_key_under_two_ids(struct tufrepo *r)
{
	tufrepo_allow(r, "root", "snapshot", TUFREPO_KEY_SNAPSHOT, "another-id");
	tufrepo_sign_by(r, "snapshot", TUFREPO_KEY_SNAPSHOT, "another-id");
	snapshot_threshold(r, 2);
}

static void a_key_of_another_role_signs_too(struct tufrepo *r)
{
	tufrepo_sign_by(r, "snapshot", TUFREPO_KEY_ROOT, NULL);
	snapshot_threshold(r, 2);
}

static void key_id_is_no_hash(struct tufrepo *r)
{
	tufrepo_allow(r, "root", "snapshot", 51, "a friendly name");
	tufrepo_sign_by_none(r, "snapshot");
	tufrepo_sign_by(r, "snapshot", 51, "a friendly name");
	snapshot_threshold(r, 1);
}

static void key_id_without_key(struct tufrepo *r)
{
	json_array_append_new(json_object_get(tufrepo_entry(r, "root", "snapshot"), "keyids"),
			      json_string("nobody"));
	snapshot_threshold(r, 1);
}

static void unknown_key_type_beside(struct tufrepo *r)
{
	jsondoc_set(json_object_get(tufrepo_body(r, "root"), "keys"), "odd",
		    json_pack("{s:s,s:s,s:{s:s}}", "keytype", "lattice", "scheme", "l-1", "keyval",
			      "public", "00"));
	key_id_without_key(r);
}

static void role_lists_a_key_twice(struct tufrepo *r)
{
	tufrepo_allow(r, "root", "snapshot", TUFREPO_KEY_SNAPSHOT, NULL);
	snapshot_threshold(r, 1);
}

/* Recovery from versions that an attacker ran ahead. */

static void rotate(struct tufrepo *r, const char *role, int key)
{
	tufrepo_forbid_all(r, "root", role);
	tufrepo_allow(r, "root", role, key, NULL);
	tufrepo_sign_by_none(r, role);
	tufrepo_sign_by(r, role, key, NULL);
}

static void recover_timestamp(struct tufrepo *r)
{
	rotate(r, "timestamp", 60);
	tufrepo_publish_root(r);
	tufrepo_set_version(r, "timestamp", 0);
	tufrepo_publish_timestamp(r);
}

static void recover_snapshot(struct tufrepo *r)
{
	rotate(r, "snapshot", 61);
	rotate(r, "timestamp", 60);
	tufrepo_publish_root(r);
	tufrepo_set_version(r, "snapshot", 0);
	tufrepo_publish(r);
}

static void recover_targets(struct tufrepo *r)
{
	rotate(r, "snapshot", 61);
	tufrepo_publish_root(r);
	tufrepo_set_version(r, "targets", 1);
	tufrepo_publish(r);
}

/* Whoever had the timestamp's key may have shown old snapshots: both files go. */
static void new_timestamp_key_forgets_the_snapshot(struct tufrepo *r)
{
	rotate(r, "timestamp", 60);
	tufrepo_publish_root(r);
	tufrepo_set_version(r, "targets", 1);
	tufrepo_publish(r);
}

static void added_key_is_no_recovery(struct tufrepo *r)
{
	tufrepo_allow(r, "root", "snapshot", 61, NULL);
	tufrepo_publish_root(r);
	tufrepo_set_version(r, "targets", 1);
	tufrepo_publish(r);
}

static void run_ahead(struct tufrepo *r)
{
	tufrepo_set_version(r, "timestamp", 9000);
	tufrepo_set_version(r, "snapshot", 9000);
	tufrepo_set_version(r, "targets", 9000);
	tufrepo_publish(r);
}

static const struct {
	const char *why;
	void (*prepare)(struct tufrepo *r);
	void (*attack)(struct tufrepo *r);
	enum verdict want;
	const char *may_change; /* stored roles that the second refresh may replace */
} attacks[] = {
	{ "nothing new", NULL, nothing, VERDICT_OK, "" },
	{ "a publication", NULL, next_publication, VERDICT_OK, "timestamp snapshot targets" },
	{ "a publication with hashes", with_hashes, next_publication, VERDICT_OK,
	  "timestamp snapshot targets" },
	{ "unversioned names", plain, next_publication, VERDICT_OK, "timestamp snapshot targets" },

	{ "an expired root stays but stops", NULL, root_expires, VERDICT_EXPIRED, "root" },
	{ "expiry is not after now", NULL, root_expires_this_second, VERDICT_EXPIRED, "root" },
	{ "only the last root's expiry counts", NULL, root_expired_then_mended, VERDICT_OK,
	  "root" },
	{ "a root version is skipped", NULL, root_skips_a_version, VERDICT_WRONG_VERSION, "" },
	{ "a root version is repeated", NULL, root_repeats_its_version, VERDICT_WRONG_VERSION, "" },
	{ "root rotates", NULL, root_rotates, VERDICT_OK, "root" },
	{ "the old root's keys did not sign", NULL, root_not_signed_by_old, VERDICT_BELOW_THRESHOLD,
	  "" },
	{ "the new root's keys did not sign", NULL, root_not_signed_by_new, VERDICT_BELOW_THRESHOLD,
	  "" },
	{ "one of two root keys", two_of_three_root, root_by_one_of_two, VERDICT_BELOW_THRESHOLD,
	  "" },
	{ "two others of three root keys", two_of_three_root, root_by_other_two, VERDICT_OK,
	  "root" },
	{ "a lower threshold needs the old one first", two_of_three_root,
	  root_lowers_its_own_threshold, VERDICT_BELOW_THRESHOLD, "" },
	{ "a threshold of zero", NULL, root_threshold_zero, VERDICT_MALFORMED, "" },
	{ "an endless root", NULL, root_is_endless, VERDICT_TOO_LARGE, "" },
	{ "a source that ignores the cap", NULL, endless_and_the_source_lies, VERDICT_TOO_LARGE,
	  "" },
	{ "targets served as root", NULL, root_is_a_targets_file, VERDICT_WRONG_ROLE, "" },

	{ "snapshot served as timestamp", NULL, timestamp_is_a_snapshot_file, VERDICT_WRONG_ROLE,
	  "" },
	{ "targets served as snapshot", NULL, snapshot_is_a_targets_file, VERDICT_WRONG_ROLE,
	  "timestamp" },
	{ "snapshot served as targets", NULL, targets_is_a_snapshot_file, VERDICT_WRONG_ROLE,
	  "timestamp snapshot" },
	{ "a delegated role served as targets", with_delegation, targets_is_a_delegated_file,
	  VERDICT_BELOW_THRESHOLD, "timestamp snapshot" },

	{ "an older timestamp", at_version_three, timestamp_goes_back, VERDICT_ROLLBACK, "" },
	{ "another timestamp of the same version", NULL, timestamp_changes_without_version,
	  VERDICT_OK, "" },
	{ "a timestamp that lists an older snapshot", at_version_three,
	  timestamp_lists_an_older_snapshot, VERDICT_ROLLBACK, "" },
	{ "a newer timestamp of the same snapshot", with_hashes, timestamp_lists_an_older_snapshot,
	  VERDICT_OK, "timestamp" },
	{ "no timestamp", NULL, timestamp_is_missing, VERDICT_MISSING, "" },
	{ "an expired timestamp", NULL, timestamp_expires, VERDICT_EXPIRED, "" },
	{ "timestamp by another role's key", NULL, timestamp_by_snapshots_key,
	  VERDICT_BELOW_THRESHOLD, "" },
	{ "timestamp by a stranger under the right id", NULL, timestamp_by_a_pretender,
	  VERDICT_BELOW_THRESHOLD, "" },
	{ "timestamp without signatures", NULL, timestamp_unsigned, VERDICT_BELOW_THRESHOLD, "" },
	{ "two signatures under one id", NULL, timestamp_signed_twice_by_one_id, VERDICT_MALFORMED,
	  "" },
	{ "bad signatures beside a good one", NULL, timestamp_with_a_bad_signature_beside,
	  VERDICT_OK, "timestamp" },
	{ "a changed expiry", NULL, timestamp_edited_after_signing, VERDICT_BELOW_THRESHOLD, "" },
	{ "unknown fields", NULL, timestamp_has_unknown_fields, VERDICT_OK, "timestamp" },
	{ "unknown fields are signed too", NULL, timestamp_unknown_field_is_edited,
	  VERDICT_BELOW_THRESHOLD, "" },
	{ "a web page instead", NULL, timestamp_is_no_json, VERDICT_MALFORMED, "" },
	{ "an empty file", NULL, timestamp_is_empty, VERDICT_MALFORMED, "" },
	{ "bytes behind the document", NULL, timestamp_has_bytes_behind, VERDICT_MALFORMED, "" },
	{ "an endless timestamp", NULL, timestamp_is_endless, VERDICT_TOO_LARGE, "" },

	{ "no snapshot", NULL, snapshot_is_missing, VERDICT_MISSING, "timestamp" },
	{ "an old snapshot under the new name", NULL, snapshot_of_another_version,
	  VERDICT_WRONG_VERSION, "timestamp" },
	{ "an expired snapshot", NULL, snapshot_expires, VERDICT_EXPIRED, "timestamp" },
	{ "snapshot by another role's key", NULL, snapshot_by_timestamps_key,
	  VERDICT_BELOW_THRESHOLD, "timestamp" },
	{ "a snapshot that lists older targets", at_version_three, snapshot_lists_older_targets,
	  VERDICT_ROLLBACK, "timestamp" },
	{ "a snapshot that forgets a role", with_delegation, snapshot_forgets_a_role,
	  VERDICT_VANISHED, "timestamp" },
	{ "a longer snapshot than listed", with_hashes, snapshot_length_differs, VERDICT_TOO_LARGE,
	  "timestamp" },
	{ "a shorter snapshot than listed", with_hashes, snapshot_shorter, VERDICT_BAD_LENGTH,
	  "timestamp" },
	{ "other bytes than listed", with_hashes, snapshot_hash_differs, VERDICT_BAD_HASH,
	  "timestamp" },

	{ "other targets than listed", with_hashes, targets_hash_differs, VERDICT_BAD_HASH,
	  "timestamp snapshot" },
	{ "no targets", NULL, targets_is_missing, VERDICT_MISSING, "timestamp snapshot" },
	{ "old targets under the new name", NULL, targets_of_another_version, VERDICT_WRONG_VERSION,
	  "timestamp snapshot" },
	{ "expired targets", NULL, targets_expires, VERDICT_EXPIRED, "timestamp snapshot" },
	{ "targets by another role's key", NULL, targets_by_snapshots_key, VERDICT_BELOW_THRESHOLD,
	  "timestamp snapshot" },
	{ "targets listed beyond the cap", NULL, targets_listed_too_large, VERDICT_TOO_LARGE,
	  "timestamp snapshot" },

	{ "two keys sign", NULL, two_keys_sign, VERDICT_OK, "root timestamp snapshot" },
	{ "one key too few", NULL, one_key_too_few, VERDICT_BELOW_THRESHOLD, "root timestamp" },
	{ "one key under two ids counts once", NULL, one_key_under_two_ids, VERDICT_BELOW_THRESHOLD,
	  "root timestamp" },
	{ "another role's key does not count", NULL, a_key_of_another_role_signs_too,
	  VERDICT_BELOW_THRESHOLD, "root timestamp" },
	{ "key ids need not be hashes", NULL, key_id_is_no_hash, VERDICT_OK,
	  "root timestamp snapshot" },
	{ "a key id without key", NULL, key_id_without_key, VERDICT_OK, "root timestamp snapshot" },
	{ "a key of an unknown type", NULL, unknown_key_type_beside, VERDICT_OK,
	  "root timestamp snapshot" },
	{ "a role that lists a key id twice", NULL, role_lists_a_key_twice, VERDICT_MALFORMED, "" },

	{ "timestamp recovers by a new key", run_ahead, recover_timestamp, VERDICT_OK,
	  "root timestamp" },
	{ "snapshot recovers by new keys", run_ahead, recover_snapshot, VERDICT_OK,
	  "root timestamp snapshot" },
	{ "targets recover by a new snapshot key", run_ahead, recover_targets, VERDICT_OK,
	  "root timestamp snapshot targets" },
	{ "a new timestamp key forgets the snapshot too", run_ahead,
	  new_timestamp_key_forgets_the_snapshot, VERDICT_OK, "root timestamp snapshot targets" },
	{ "an added key revokes nothing", run_ahead, added_key_is_no_recovery, VERDICT_ROLLBACK,
	  "root timestamp" },
};

/* Every stored file is as before unless it is named in `may_change`. */
static void check_store(const char *why, const struct memfiles *before, struct memfiles *after,
			const char *may_change)
{
	for (size_t i = 0; i < before->count; i++) {
		const char *name = before->list[i].name;
		SCOPED_TEXT char *role = alloc_printf("%.*s", (int)(strlen(name) - 5), name);
		const struct buf *now = memfiles_find(after, name);

		if (strstr(may_change, role) != NULL)
			continue;
		if (now == NULL || !span_equal(buf_span(now), buf_span(&before->list[i].bytes)))
			fail_msg("%s: the stored %s changed", why, role);
	}
}

static void attacks_are_named_and_leave_trust_alone(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(attacks); i++) {
		struct tufrepo *r = begin(attacks[i].prepare);
		struct memfiles before = { 0 };
		enum verdict got;

		memfiles_copy(&before, &r->store);
		attacks[i].attack(r);
		got = tufrepo_refresh(r);
		if (got != attacks[i].want)
			fail_msg("%s: got %s, want %s", attacks[i].why, verdict_name(got),
				 verdict_name(attacks[i].want));
		check_store(attacks[i].why, &before, &r->store, attacks[i].may_change);
		memfiles_release(&before);
		tufrepo_free(r);
	}
}

static void requests_come_in_order(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();

	assert_int_equal(tufrepo_refresh(r), VERDICT_OK);
	assert_string_equal(buf_text(&r->requests),
			    " 2.root.json timestamp.json 1.snapshot.json 1.targets.json");
	assert_int_equal(tufrepo_refresh(r), VERDICT_OK);
	assert_string_equal(buf_text(&r->requests), " 2.root.json timestamp.json");
	next_publication(r);
	assert_int_equal(tufrepo_refresh(r), VERDICT_OK);
	assert_string_equal(buf_text(&r->requests),
			    " 2.root.json timestamp.json 2.snapshot.json 2.targets.json");
	tufrepo_free(r);
}

static void no_request_without_a_root(void **state UNUSED)
{
	static const char *const roots[] = { "", "{}", "[]", "no json" };

	for (size_t i = 0; i < COUNT_OF(roots); i++) {
		struct tufrepo *r = tufrepo_new();

		memfiles_put(&r->store, "root.json", span_of_text(roots[i]));
		assert_int_equal(tufrepo_refresh(r), VERDICT_NO_ROOT);
		memfiles_drop(&r->store, "root.json");
		assert_int_equal(tufrepo_refresh(r), VERDICT_NO_ROOT);
		assert_string_equal(buf_text(&r->requests), "");
		tufrepo_free(r);
	}
}

static void an_unsigned_root_is_of_no_use(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();

	tufrepo_sign_by_none(r, "root");
	tufrepo_put(r, "root");
	memfiles_put(&r->store, "root.json", buf_span(memfiles_find(&r->metadata, "1.root.json")));
	assert_int_equal(tufrepo_refresh(r), VERDICT_NO_ROOT);
	assert_string_equal(buf_text(&r->requests), "");
	tufrepo_free(r);
}

static void roots_stop_at_the_cap(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	SCOPED(updater) struct updater *u = NULL;
	struct updater_state s;
	struct err err;

	for (size_t i = 0; i < UPDATER_ROOTS_MAX + 5; i++)
		tufrepo_publish_root(r);
	u = tufrepo_client(r, TUFREPO_NOW, 0);
	assert_int_equal(updater_refresh(u, &err), VERDICT_OK);
	updater_state(&s, u);
	assert_int_equal(s.root, 1 + UPDATER_ROOTS_MAX);
	tufrepo_free(r);
}

static void expired_local_files_still_detect_rollback(void **state UNUSED)
{
	struct tufrepo *r = begin(at_version_three);
	SCOPED(updater) struct updater *u = NULL;
	struct err err;

	/* Ten days on, all that is stored is expired; the server offers older versions that live.
	 */
	tufrepo_expire(r, "root", TUFREPO_NOW + 99 * DAY_S);
	tufrepo_publish_root(r);
	tufrepo_expire(r, "timestamp", TUFREPO_NOW + 99 * DAY_S);
	tufrepo_set_version(r, "timestamp", 1);
	tufrepo_put(r, "timestamp");
	u = tufrepo_client(r, TUFREPO_NOW + 20 * DAY_S, 0);
	assert_int_equal(updater_refresh(u, &err), VERDICT_ROLLBACK);
	tufrepo_free(r);
}

/* A server that repeats its last timestamp for ever is a freeze once that expires. */
static void a_repeated_timestamp_expires(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	SCOPED(updater) struct updater *u = NULL;
	struct err err;

	tufrepo_expire(r, "timestamp", TUFREPO_NOW + DAY_S);
	tufrepo_publish_timestamp(r);
	assert_int_equal(tufrepo_refresh(r), VERDICT_OK);
	u = tufrepo_client(r, TUFREPO_NOW + DAY_S, 0);
	assert_int_equal(updater_refresh(u, &err), VERDICT_EXPIRED);
	tufrepo_free(r);
}

static void a_poll_ends_with_one_request(void **state UNUSED)
{
	static const struct {
		const char *why;
		bool not_modified;
	} ways[] = {
		{ "the server knows the condition", true },
		{ "the server sends the same bytes", false },
	};

	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct tufrepo *r = begin(NULL);
		SCOPED(updater) struct updater *u = tufrepo_client(r, TUFREPO_NOW, 0);
		struct err err;

		r->not_modified = ways[i].not_modified;
		buf_clear(&r->requests);
		if (updater_poll(u, &err) != VERDICT_UNCHANGED ||
		    strcmp(buf_text(&r->requests), " timestamp.json") != 0)
			fail_msg("%s: requests%s", ways[i].why, buf_text(&r->requests));
		tufrepo_free(r);
	}
}

static void a_changed_poll_uses_what_it_fetched(void **state UNUSED)
{
	struct tufrepo *r = begin(NULL);
	SCOPED(updater) struct updater *u = tufrepo_client(r, TUFREPO_NOW, 0);
	struct err err;

	next_publication(r);
	buf_clear(&r->requests);
	assert_int_equal(updater_poll(u, &err), VERDICT_OK);
	assert_string_equal(buf_text(&r->requests),
			    " timestamp.json 2.root.json 2.snapshot.json 2.targets.json");
	tufrepo_free(r);
}

static void a_poll_with_an_attack_is_refused(void **state UNUSED)
{
	struct tufrepo *r = begin(at_version_three);
	SCOPED(updater) struct updater *u = tufrepo_client(r, TUFREPO_NOW, 0);
	struct err err;

	timestamp_goes_back(r);
	assert_int_equal(updater_poll(u, &err), VERDICT_ROLLBACK);
	tufrepo_free(r);
}

/* The timestamp that came before the new root is signed by the key that it withdraws. */
static void a_poll_across_a_rotation_asks_again(void **state UNUSED)
{
	struct tufrepo *r = begin(NULL);
	SCOPED(updater) struct updater *u = tufrepo_client(r, TUFREPO_NOW, 0);
	struct err err;

	tufrepo_publish_timestamp(r);
	rotate(r, "timestamp", 60);
	tufrepo_publish_root(r);
	/* Both polled and fetched again are signed by the old key: refused, not looped. */
	buf_clear(&r->requests);
	assert_int_equal(updater_poll(u, &err), VERDICT_BELOW_THRESHOLD);
	assert_string_equal(buf_text(&r->requests),
			    " timestamp.json 2.root.json 3.root.json timestamp.json");
	tufrepo_free(r);
}

static void a_poll_mends_a_broken_set(void **state UNUSED)
{
	static const char *const lost[] = { "timestamp.json", "snapshot.json", "targets.json" };

	for (size_t i = 0; i < COUNT_OF(lost); i++) {
		struct tufrepo *r = begin(NULL);
		SCOPED(updater) struct updater *u = tufrepo_client(r, TUFREPO_NOW, 0);
		struct err err;

		r->not_modified = true;
		memfiles_drop(&r->store, lost[i]);
		assert_int_equal(updater_poll(u, &err), VERDICT_OK);
		assert_non_null(memfiles_find(&r->store, lost[i]));
		tufrepo_free(r);
	}
}

static void a_poll_of_an_expired_set_is_a_refresh(void **state UNUSED)
{
	struct tufrepo *r = begin(NULL);
	SCOPED(updater) struct updater *u = tufrepo_client(r, TUFREPO_NOW + TUFREPO_LIFE, 0);
	struct err err;

	r->not_modified = true;
	assert_int_equal(updater_poll(u, &err), VERDICT_EXPIRED);
	tufrepo_free(r);
}

static void the_floor_replaces_a_clock_that_is_behind(void **state UNUSED)
{
	static const struct {
		const char *why;
		int64_t now, floor;
		enum updater_clock clock;
		enum verdict want;
	} rows[] = {
		{ "no floor", TUFREPO_NOW, 0, UPDATER_CLOCK_FINE, VERDICT_OK },
		{ "the clock is at the floor", TUFREPO_NOW, TUFREPO_NOW, UPDATER_CLOCK_FINE,
		  VERDICT_OK },
		{ "one second behind", TUFREPO_NOW - 1, TUFREPO_NOW, UPDATER_CLOCK_BEHIND,
		  VERDICT_OK },
		{ "a day behind", TUFREPO_NOW - DAY_S, TUFREPO_NOW, UPDATER_CLOCK_BEHIND,
		  VERDICT_OK },
		{ "more than a day behind", TUFREPO_NOW - DAY_S - 1, TUFREPO_NOW,
		  UPDATER_CLOCK_FAR_BEHIND, VERDICT_OK },
		{ "1970 is no lock-out", 0, TUFREPO_NOW, UPDATER_CLOCK_FAR_BEHIND, VERDICT_OK },
		{ "turning the clock back revives nothing", 0, TUFREPO_NOW + TUFREPO_LIFE,
		  UPDATER_CLOCK_FAR_BEHIND, VERDICT_EXPIRED },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct tufrepo *r = tufrepo_new();
		SCOPED(updater) struct updater *u = tufrepo_client(r, rows[i].now, rows[i].floor);
		struct updater_state s;
		enum verdict got;
		struct err err;

		got = updater_refresh(u, &err);
		updater_state(&s, u);
		if (got != rows[i].want || s.clock != rows[i].clock ||
		    s.accepted != (got == VERDICT_OK))
			fail_msg("%s: %s, clock %d", rows[i].why, verdict_name(got), (int)s.clock);
		tufrepo_free(r);
	}
}

/* Offline: what was trusted stays in force, whatever the time, and no request is made. */
static void offline_trusts_what_is_stored(void **state UNUSED)
{
	struct tufrepo *r = tufrepo_new();
	SCOPED(updater) struct updater *u = NULL;
	struct updater_target target;
	struct updater_state s;
	struct err err;

	tufrepo_delegate(r, "targets", "a", 10, "x/*", false);
	tufrepo_target(r, "a", "x/one", "content");
	tufrepo_publish(r);
	u = tufrepo_client(r, TUFREPO_NOW, 0);
	assert_int_equal(updater_refresh(u, &err), VERDICT_OK);
	assert_int_equal(updater_find_target(u, "x/one", &target, &err), VERDICT_OK);
	updater_free(u);
	buf_clear(&r->requests);
	u = tufrepo_offline_client(r, TUFREPO_NOW + 99 * DAY_S);
	assert_done(updater_load_trusted(u, &err) == VERDICT_OK, &err);
	assert_done(updater_find_target(u, "x/one", &target, &err) == VERDICT_OK, &err);
	assert_string_equal(target.role, "a");
	updater_state(&s, u);
	assert_int_equal(s.expires, TUFREPO_NOW + TUFREPO_LIFE);
	assert_false(s.stale);
	assert_string_equal(buf_text(&r->requests), "");
	tufrepo_free(r);
}

/* A server that gives a new timestamp and withholds the rest does not take away what there was. */
static void offline_survives_a_refresh_that_broke_off(void **state UNUSED)
{
	static const struct {
		const char *why;
		void (*attack)(struct tufrepo *r);
		enum verdict refused;
	} rows[] = {
		{ "the snapshot is withheld", snapshot_is_missing, VERDICT_MISSING },
		{ "the targets are withheld", targets_is_missing, VERDICT_MISSING },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct tufrepo *r = begin(NULL);
		SCOPED(updater) struct updater *u = tufrepo_offline_client(r, TUFREPO_NOW);
		struct updater_state s;
		struct err err;

		rows[i].attack(r);
		assert_int_equal(tufrepo_refresh(r), rows[i].refused);
		if (updater_load_trusted(u, &err) != VERDICT_OK)
			fail_msg("%s: %s", rows[i].why, err.why);
		updater_state(&s, u);
		assert_int_equal(s.targets, 1);
		assert_true(s.stale);
		tufrepo_free(r);
	}
}

static void offline_refuses_what_nobody_signed(void **state UNUSED)
{
	static const char *const files[] = { "root.json", "timestamp.json", "snapshot.json",
					     "targets.json" };

	for (size_t i = 0; i < COUNT_OF(files); i++) {
		struct tufrepo *r = begin(NULL);
		SCOPED(updater) struct updater *u = tufrepo_offline_client(r, TUFREPO_NOW);
		struct buf *bytes = memfiles_find(&r->store, files[i]);
		char *at = strstr(buf_text(bytes), "\"version\":1");
		struct err err;

		assert_non_null(at);
		memcpy(at, "\"version\":2", 11);
		assert_true(updater_load_trusted(u, &err) != VERDICT_OK);
		tufrepo_free(r);
	}
}

/* Fail the first, second, … store call of a refresh that brings everything new. */
static void a_failing_store_loses_nothing(void **state UNUSED)
{
	bool failed = true;

	for (size_t n = 1; failed; n++) {
		struct tufrepo *r = begin(run_ahead);
		enum verdict got;

		recover_targets(r);
		r->calls_until_fault = n;
		got = tufrepo_refresh(r);
		failed = got == VERDICT_NOT_STORED;
		if (!failed && got != VERDICT_OK)
			fail_msg("store call %zu: %s", n, verdict_name(got));
		r->calls_until_fault = 0;
		/* Recovery must work from wherever it stopped. */
		got = tufrepo_refresh(r);
		if (got != VERDICT_OK)
			fail_msg("after the failure of store call %zu: %s", n, verdict_name(got));
		tufrepo_free(r);
		assert_true(n < 20);
	}
}

static struct tufrepo *before_a_flip(void)
{
	struct tufrepo *r = tufrepo_new();

	with_hashes(r);
	tufrepo_publish_root(r);
	return r;
}

static void flip_each_byte_of(const char *path)
{
	size_t size = 1;

	for (size_t at = 0; at < size; at++) {
		struct tufrepo *r = before_a_flip();
		struct buf *bytes = memfiles_find(&r->metadata, path);
		struct memfiles before = { 0 };

		size = bytes->size;
		memfiles_copy(&before, &r->store);
		bytes->data[at] ^= 1;
		if (tufrepo_refresh(r) == VERDICT_OK)
			fail_msg("%s with byte %zu flipped was accepted", path, at);
		check_store(path, &before, &r->store,
			    strstr(path, "root") != NULL ? "" : "root timestamp snapshot");
		assert_null(memfiles_find(&r->store, "targets.json"));
		memfiles_release(&before);
		tufrepo_free(r);
	}
}

static void every_flipped_byte_is_refused(void **state UNUSED)
{
	flip_each_byte_of("2.root.json");
	flip_each_byte_of("timestamp.json");
	flip_each_byte_of("2.snapshot.json");
	flip_each_byte_of("1.targets.json");
}

static void every_truncation_is_refused(void **state UNUSED)
{
	static const char *const paths[] = { "2.root.json", "timestamp.json", "2.snapshot.json",
					     "1.targets.json" };

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		size_t size = 1;

		for (size_t keep = 0; keep < size; keep++) {
			struct tufrepo *r = tufrepo_new();
			struct buf *bytes;

			tufrepo_publish_root(r);
			tufrepo_publish(r);
			bytes = memfiles_find(&r->metadata, paths[i]);
			size = bytes->size;
			bytes->size = keep;
			if (tufrepo_refresh(r) == VERDICT_OK)
				fail_msg("%s cut to %zu bytes was accepted", paths[i], keep);
			tufrepo_free(r);
		}
	}
}

TESTING_MAIN(cmocka_unit_test(attacks_are_named_and_leave_trust_alone),
	     cmocka_unit_test(requests_come_in_order), cmocka_unit_test(no_request_without_a_root),
	     cmocka_unit_test(an_unsigned_root_is_of_no_use),
	     cmocka_unit_test(roots_stop_at_the_cap),
	     cmocka_unit_test(expired_local_files_still_detect_rollback),
	     cmocka_unit_test(a_repeated_timestamp_expires),
	     cmocka_unit_test(a_poll_ends_with_one_request),
	     cmocka_unit_test(a_changed_poll_uses_what_it_fetched),
	     cmocka_unit_test(a_poll_with_an_attack_is_refused),
	     cmocka_unit_test(a_poll_across_a_rotation_asks_again),
	     cmocka_unit_test(a_poll_mends_a_broken_set),
	     cmocka_unit_test(a_poll_of_an_expired_set_is_a_refresh),
	     cmocka_unit_test(the_floor_replaces_a_clock_that_is_behind),
	     cmocka_unit_test(offline_trusts_what_is_stored),
	     cmocka_unit_test(offline_survives_a_refresh_that_broke_off),
	     cmocka_unit_test(offline_refuses_what_nobody_signed),
	     cmocka_unit_test(a_failing_store_loses_nothing),
	     cmocka_unit_test(every_flipped_byte_is_refused),
	     cmocka_unit_test(every_truncation_is_refused), )

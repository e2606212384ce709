#include "site/schema.h"

#include "site/statements.h"

/*
 * Version 1. Times are seconds since 1970; NULL is "none" or "never". Rows that clients may still
 * refer to are never reused: ids come from counters in `setting`, and what leaves keeps its row
 * with the time of its removal.
 */
static const char version_1[] =
	"CREATE TABLE setting("
	" key TEXT PRIMARY KEY, value ANY NOT NULL) WITHOUT ROWID, STRICT;"

	"CREATE TABLE boundary_group("
	" name TEXT PRIMARY KEY,"
	" default_after_min INTEGER," /* NULL: never */
	" fence INTEGER NOT NULL,"
	" policy TEXT,"
	" cross_tier INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
	"CREATE TABLE neighbour("
	" group_name TEXT NOT NULL REFERENCES boundary_group ON DELETE CASCADE,"
	" other TEXT NOT NULL REFERENCES boundary_group,"
	" minutes INTEGER NOT NULL,"
	" PRIMARY KEY(group_name, other)) WITHOUT ROWID, STRICT;"
	"CREATE TABLE preferred("
	" group_name TEXT NOT NULL REFERENCES boundary_group ON DELETE CASCADE,"
	" position INTEGER NOT NULL,"
	" server TEXT NOT NULL,"
	" PRIMARY KEY(group_name, position)) WITHOUT ROWID, STRICT;"
	"CREATE TABLE boundary("
	" cidr TEXT PRIMARY KEY,"
	" group_name TEXT NOT NULL REFERENCES boundary_group) WITHOUT ROWID, STRICT;"
	"CREATE INDEX boundary_of_group ON boundary(group_name);"

	"CREATE TABLE system("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" kind TEXT NOT NULL CHECK(kind IN ('cap', 'dp')),"
	" name TEXT NOT NULL,"
	" uuid TEXT NOT NULL,"
	" group_name TEXT REFERENCES boundary_group,"
	" inbox TEXT,"
	" max_rate INTEGER," /* bytes a second */
	" window TEXT,"
	" is_own INTEGER NOT NULL," /* its first address is answered by this site's serve */
	" created INTEGER NOT NULL,"
	" removed INTEGER) STRICT;"
	"CREATE UNIQUE INDEX system_name ON system(kind, name) WHERE removed IS NULL;"
	"CREATE INDEX system_of_group ON system(group_name);"
	"CREATE TABLE system_address("
	" system INTEGER NOT NULL REFERENCES system ON DELETE CASCADE,"
	" position INTEGER NOT NULL,"
	" url TEXT NOT NULL,"
	" PRIMARY KEY(system, position)) WITHOUT ROWID, STRICT;"

	"CREATE TABLE package("
	" id TEXT PRIMARY KEY,"
	" name TEXT NOT NULL,"
	" source TEXT NOT NULL,"
	" latest INTEGER NOT NULL,"
	" created INTEGER NOT NULL,"
	" removed INTEGER) WITHOUT ROWID, STRICT;"
	"CREATE TABLE package_version("
	" package TEXT NOT NULL REFERENCES package,"
	" version INTEGER NOT NULL,"
	" identity TEXT NOT NULL," /* of the content: equal trees have equal ones */
	" manifest TEXT NOT NULL," /* SHA-256 of its bytes */
	" manifest_size INTEGER NOT NULL,"
	" index_name TEXT NOT NULL,"
	" index_size INTEGER NOT NULL,"
	" files INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL,"
	" bytes_new INTEGER NOT NULL,"
	" created INTEGER NOT NULL,"
	" PRIMARY KEY(package, version)) WITHOUT ROWID, STRICT;"
	"CREATE TABLE program("
	" package TEXT NOT NULL REFERENCES package,"
	" name TEXT NOT NULL,"
	" command TEXT NOT NULL,"
	" timeout_s INTEGER NOT NULL,"
	" success TEXT NOT NULL," /* JSON arrays of exit codes */
	" restart TEXT NOT NULL,"
	" after_package TEXT,"
	" after_program TEXT,"
	" rerun TEXT NOT NULL,"
	" run_as TEXT NOT NULL,"
	" PRIMARY KEY(package, name),"
	" FOREIGN KEY(after_package, after_program) REFERENCES program(package, name)"
	") WITHOUT ROWID, STRICT;"

	"CREATE TABLE collection("
	" name TEXT PRIMARY KEY,"
	" query TEXT,"
	" salt TEXT,"
	" percent INTEGER,"
	" created INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
	"CREATE TABLE collection_member("
	" collection TEXT NOT NULL REFERENCES collection ON DELETE CASCADE,"
	" client_id TEXT NOT NULL,"
	" PRIMARY KEY(collection, client_id)) WITHOUT ROWID, STRICT;"
	"INSERT INTO collection VALUES('all', 'SELECT client_id FROM client', NULL, NULL, 0);"

	"CREATE TABLE advertisement("
	" id TEXT PRIMARY KEY,"
	" package TEXT NOT NULL,"
	" program TEXT NOT NULL,"
	" collection TEXT NOT NULL REFERENCES collection,"
	" version INTEGER," /* NULL: latest */
	" available INTEGER,"
	" mandatory INTEGER,"
	" expires INTEGER,"
	" window TEXT,"
	" offer_to TEXT,"
	" stopped INTEGER NOT NULL DEFAULT 0,"
	" serial INTEGER NOT NULL DEFAULT 1,"
	" published_version INTEGER," /* what `serial` was last counted for */
	" created INTEGER NOT NULL,"
	" FOREIGN KEY(package, program) REFERENCES program(package, name)"
	") WITHOUT ROWID, STRICT;"
	"CREATE INDEX advertisement_of_program ON advertisement(package, program);"
	"CREATE INDEX advertisement_to_collection ON advertisement(collection);"

	/* Distribution: what each DP shall hold, and what was written and read back there. */
	"CREATE TABLE dp_package("
	" system INTEGER NOT NULL REFERENCES system,"
	" package TEXT NOT NULL REFERENCES package,"
	" created INTEGER NOT NULL,"
	" PRIMARY KEY(system, package)) WITHOUT ROWID, STRICT;"
	"CREATE TABLE dp_version("
	" system INTEGER NOT NULL REFERENCES system,"
	" package TEXT NOT NULL,"
	" version INTEGER NOT NULL,"
	" state TEXT NOT NULL CHECK(state IN ('valid', 'failed')),"
	" attempts INTEGER NOT NULL,"
	" next_attempt INTEGER NOT NULL,"
	" reason TEXT,"
	" changed INTEGER NOT NULL,"
	" PRIMARY KEY(system, package, version)) WITHOUT ROWID, STRICT;"
	"CREATE TABLE dp_object("
	" system INTEGER NOT NULL REFERENCES system,"
	" name TEXT NOT NULL," /* beneath the DP: LON00001/packs/… */
	" size INTEGER NOT NULL,"
	" unused_since INTEGER," /* no live version names it any more */
	" PRIMARY KEY(system, name)) WITHOUT ROWID, STRICT;"

	/* What was put on each CAP, without listing it. */
	"CREATE TABLE cap_file("
	" system INTEGER NOT NULL REFERENCES system,"
	" name TEXT NOT NULL,"
	" PRIMARY KEY(system, name)) WITHOUT ROWID, STRICT;"
	"CREATE TABLE cap_state("
	" system INTEGER PRIMARY KEY REFERENCES system,"
	" timestamp_version INTEGER NOT NULL,"
	" changed INTEGER NOT NULL,"
	" reason TEXT) STRICT;"

	/* Clients: who may report, and what they reported. */
	"CREATE TABLE token("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" hash TEXT NOT NULL UNIQUE,"
	" uses INTEGER NOT NULL,"
	" used INTEGER NOT NULL,"
	" expires INTEGER NOT NULL,"
	" revoked INTEGER NOT NULL,"
	" created INTEGER NOT NULL) STRICT;"
	"CREATE TABLE enrolment("
	" client_id TEXT PRIMARY KEY,"
	" name TEXT NOT NULL,"
	" state TEXT NOT NULL CHECK(state IN ('pending', 'enrolled', 'removed')),"
	" public_key TEXT NOT NULL,"
	" machine TEXT,"
	" token INTEGER,"
	" created INTEGER NOT NULL,"
	" last_seen INTEGER NOT NULL,"
	" day INTEGER NOT NULL DEFAULT 0," /* since 1970: that of day_bytes */
	" day_bytes INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID, STRICT;"
	"CREATE INDEX enrolment_pending ON enrolment(state) WHERE state = 'pending';"
	"CREATE TABLE stream("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" client_id TEXT NOT NULL,"
	" stream TEXT NOT NULL,"
	" high INTEGER NOT NULL," /* every number up to it is stored or refused */
	" forked INTEGER NOT NULL,"
	" created INTEGER NOT NULL,"
	" UNIQUE(client_id, stream)) STRICT;"
	"CREATE TABLE record("
	" stream INTEGER NOT NULL REFERENCES stream,"
	" sequence INTEGER NOT NULL,"
	" hash BLOB NOT NULL,"
	" received INTEGER NOT NULL,"
	" refused TEXT," /* why its content was not taken */
	" time INTEGER,"
	" id INTEGER," /* NULL: not a status message */
	" advertisement TEXT,"
	" package TEXT,"
	" version INTEGER,"
	" program TEXT,"
	" text TEXT,"
	" data TEXT,"
	" PRIMARY KEY(stream, sequence)) WITHOUT ROWID, STRICT;"
	"CREATE INDEX record_of_advertisement ON record(advertisement)"
	" WHERE advertisement IS NOT NULL;"
	"CREATE INDEX record_refused ON record(stream, sequence) WHERE refused IS NOT NULL;"
	"CREATE TABLE run_state("
	" advertisement TEXT NOT NULL,"
	" client_id TEXT NOT NULL,"
	" state TEXT NOT NULL,"
	" stream INTEGER NOT NULL,"
	" sequence INTEGER NOT NULL,"
	" time INTEGER,"
	" text TEXT,"
	" PRIMARY KEY(advertisement, client_id)) WITHOUT ROWID, STRICT;"
	"CREATE TABLE inventory_state(" /* the record that the inventory tables come from */
	" client_id TEXT PRIMARY KEY,"
	" stream INTEGER NOT NULL,"
	" sequence INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
	"CREATE TABLE receipt_shard("
	" shard TEXT PRIMARY KEY,"
	" serial INTEGER NOT NULL,"
	" is_dirty INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
	"CREATE TABLE receipt_owed(" /* shards that a CAP has not got in their latest form */
	" system INTEGER NOT NULL REFERENCES system,"
	" shard TEXT NOT NULL,"
	" serial INTEGER NOT NULL,"
	" PRIMARY KEY(system, shard)) WITHOUT ROWID, STRICT;"
	"CREATE TABLE incomplete("
	" system INTEGER NOT NULL REFERENCES system,"
	" name TEXT NOT NULL,"
	" first_seen INTEGER NOT NULL,"
	" PRIMARY KEY(system, name)) WITHOUT ROWID, STRICT;"
	"CREATE TABLE alert("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" time INTEGER NOT NULL,"
	" client_id TEXT,"
	" text TEXT NOT NULL) STRICT;"

	/* Inventory: the tables that collections read (docs/ARCHITECTURE.md 5). */
	"CREATE TABLE client(client_id TEXT PRIMARY KEY, name TEXT, site TEXT, agent_version TEXT,"
	" machine TEXT) WITHOUT ROWID;"
	"CREATE TABLE os(client_id TEXT NOT NULL, id TEXT, name TEXT, version TEXT, kernel TEXT,"
	" arch TEXT);"
	"CREATE TABLE hardware(client_id TEXT NOT NULL, vendor TEXT, product TEXT, serial TEXT,"
	" cpu TEXT, cores INTEGER, memory_mb INTEGER);"
	"CREATE TABLE network(client_id TEXT NOT NULL, interface TEXT, address TEXT,"
	" prefix INTEGER, mac TEXT);"
	"CREATE TABLE disk(client_id TEXT NOT NULL, device TEXT, mount TEXT, fstype TEXT,"
	" size_mb INTEGER, free_mb INTEGER);"
	"CREATE TABLE software(client_id TEXT NOT NULL, name TEXT, version TEXT, arch TEXT,"
	" source TEXT);"
	"CREATE INDEX os_of_client ON os(client_id);"
	"CREATE INDEX hardware_of_client ON hardware(client_id);"
	"CREATE INDEX network_of_client ON network(client_id);"
	"CREATE INDEX disk_of_client ON disk(client_id);"
	"CREATE INDEX software_of_client ON software(client_id);"

	/* What `query` sees beside the inventory. */
	"CREATE VIEW message AS SELECT s.client_id, s.stream, r.sequence,"
	" strftime('%Y-%m-%dT%H:%M:%SZ', r.time, 'unixepoch') AS time, r.id, r.advertisement,"
	" r.package, r.version, r.program, r.text"
	" FROM record AS r JOIN stream AS s ON s.id = r.stream WHERE r.id IS NOT NULL;"
	"CREATE VIEW status AS SELECT advertisement, client_id, state,"
	" strftime('%Y-%m-%dT%H:%M:%SZ', time, 'unixepoch') AS time, text FROM run_state;";

/* Groups may name each other as neighbours; and an unmounted folder is told from a lost disk. */
static const char version_2[] =
	"ALTER TABLE neighbour RENAME TO neighbour_1;"
	"CREATE TABLE neighbour("
	" group_name TEXT NOT NULL REFERENCES boundary_group ON DELETE CASCADE,"
	" other TEXT NOT NULL," /* need not exist, or not yet */
	" minutes INTEGER NOT NULL,"
	" PRIMARY KEY(group_name, other)) WITHOUT ROWID, STRICT;"
	"INSERT INTO neighbour SELECT group_name, other, minutes FROM neighbour_1;"
	"DROP TABLE neighbour_1;"
	"ALTER TABLE system ADD COLUMN mount TEXT;";

/* A record's own id: it stays when the record is numbered anew after a fork. */
static const char record_uid[] = "ALTER TABLE record ADD COLUMN uid BLOB;"
				 "CREATE INDEX record_of_uid ON record(uid) WHERE uid IS NOT NULL;";

/*
 * Patches and streams, and the index that lists them: it becomes the version's once the DPs hold
 * what it lists. Until then a DP is valid for the one before.
 */
static const char deltas[] =
	"ALTER TABLE package_version ADD COLUMN next_index TEXT;"
	"ALTER TABLE package_version ADD COLUMN next_size INTEGER;"
	"ALTER TABLE package_version ADD COLUMN next_since INTEGER;"
	"ALTER TABLE dp_version ADD COLUMN index_name TEXT;"
	"UPDATE dp_version AS d SET index_name = (SELECT v.index_name FROM package_version AS v"
	" WHERE v.package = d.package AND v.version = d.version) WHERE state = 'valid';"
	"CREATE TABLE package_delta("
	" package TEXT NOT NULL REFERENCES package,"
	" version INTEGER NOT NULL,"
	" origin INTEGER NOT NULL," /* the version it starts from; 0: a stream */
	" outcome TEXT NOT NULL,"
	" digest TEXT," /* SHA-256, where it was made */
	" size INTEGER NOT NULL,"
	" without INTEGER NOT NULL," /* what moves without it */
	" made INTEGER NOT NULL,"
	" PRIMARY KEY(package, version, origin)) WITHOUT ROWID, STRICT;";

/* Which clients have which version: `package versions` looks at the messages of one package. */
static const char content_records[] = "CREATE INDEX record_of_content ON record(package)"
				      " WHERE id IN (10008, 11003);";

/* DPs that somebody else fills, plain copies on DPs, versions that leave, and limits of groups. */
static const char distribution[] =
	"ALTER TABLE system ADD COLUMN external INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE dp_package ADD COLUMN tree INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE dp_tree("
	" system INTEGER NOT NULL REFERENCES system,"
	" package TEXT NOT NULL,"
	" version INTEGER NOT NULL,"
	" state TEXT NOT NULL CHECK(state IN ('begun', 'valid', 'failed')),"
	" next_attempt INTEGER NOT NULL,"
	" reason TEXT,"
	" unused_since INTEGER,"
	" PRIMARY KEY(system, package, version)) WITHOUT ROWID, STRICT;"
	"ALTER TABLE package_version ADD COLUMN dropped INTEGER;" /* its content has left the
								     library */
	"ALTER TABLE boundary_group ADD COLUMN max_rate INTEGER;" /* bytes a second, of each client
								   */
	"ALTER TABLE boundary_group ADD COLUMN window TEXT;";

/* Programs that read their content from a mount. */
static const char program_mounts[] =
	"ALTER TABLE program ADD COLUMN mount TEXT NOT NULL DEFAULT 'none';"
	"ALTER TABLE program ADD COLUMN keep INTEGER NOT NULL DEFAULT 0;";

/* What a stream's records up to `high` hash to, one after the other: for receipts. */
static const char record_chain[] = "ALTER TABLE stream ADD COLUMN chain BLOB;";

/* Receipts as CAPs have them; those of before are written anew. */
static const char receipt_documents[] = "CREATE TABLE receipt_document("
					" shard TEXT PRIMARY KEY,"
					" document BLOB NOT NULL) STRICT;"
					"UPDATE receipt_shard SET is_dirty = 1 WHERE serial > 0;";

/* The key that a client signed with before, and up to which record. */
static const char client_keys[] = "ALTER TABLE enrolment ADD COLUMN former_key TEXT;"
				  "ALTER TABLE enrolment ADD COLUMN former_stream TEXT;"
				  "ALTER TABLE enrolment ADD COLUMN former_next INTEGER;"
				  "ALTER TABLE enrolment ADD COLUMN key_changed INTEGER;";

static const char *const migrations[] = {
	version_1,      version_2,    record_uid,        deltas,      content_records, distribution,
	program_mounts, record_chain, receipt_documents, client_keys,
};

static const char *const statements[] = {
#define X(symbol, sql) [STMT_##symbol] = sql,
	SITE_STATEMENTS(X)
#undef X
};
static_assert(COUNT_OF(statements) == STMT_COUNT_, "every statement has its text");

const struct db_spec *schema_spec(void)
{
	static const struct db_spec spec = {
		.application_id = SCHEMA_APPLICATION_ID,
		.statements = statements,
		.statement_count = COUNT_OF(statements),
		.migrations = migrations,
		.migration_count = COUNT_OF(migrations),
	};

	return &spec;
}

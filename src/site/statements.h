/*
 * Every statement that the site runs on its database: X(symbol, SQL) makes STMT_symbol.
 *
 * Columns of lists carry the names of CLI.md's JSON, with a form behind a colon (common/db.h).
 */
#ifndef SITE_STATEMENTS_H
#define SITE_STATEMENTS_H

/* clang-format off */
#define SITE_STATEMENTS(X)                                                                         \
	/* settings and counters */                                                                \
	X(SETTING_SET, "INSERT INTO setting VALUES(?1, ?2)"                                        \
		" ON CONFLICT(key) DO UPDATE SET value = excluded.value")                          \
	X(SETTING_COUNT, "INSERT INTO setting VALUES(?1, 1)"                                       \
		" ON CONFLICT(key) DO UPDATE SET value = value + 1")                               \
	X(SETTING_GET, "SELECT value FROM setting WHERE key = ?1")                                 \
	X(SITE_IDENTITY, "SELECT (SELECT value FROM setting WHERE key = 'code'),"                  \
		" (SELECT value FROM setting WHERE key = 'name'),"                                 \
		" (SELECT value FROM setting WHERE key = 'uuid')")                                 \
                                                                                                   \
	/* boundary groups */                                                                      \
	X(GROUP_ADD, "INSERT INTO boundary_group(name, default_after_min, fence, policy," \
		" cross_tier, max_rate, window) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")                     \
	X(GROUP_EXISTS, "SELECT 1 FROM boundary_group WHERE name = ?1")                            \
	X(GROUP_ADD_NEIGHBOUR, "INSERT INTO neighbour VALUES(?1, ?2, ?3)")                         \
	X(GROUP_ADD_PREFERRED, "INSERT INTO preferred VALUES(?1, ?2, ?3)")                         \
	X(GROUP_REMOVE, "DELETE FROM boundary_group WHERE name = ?1")                              \
	X(GROUP_USERS, "SELECT 'boundary ' || cidr FROM boundary WHERE group_name = ?1"            \
		" UNION ALL SELECT kind || ' ' || name FROM system"                                \
		"  WHERE group_name = ?1 AND removed IS NULL LIMIT 5")                             \
	X(GROUP_STRANGERS, "SELECT group_name AS \"group\", other FROM neighbour AS n"             \
		" WHERE (?1 IS NULL OR group_name = ?1) AND NOT EXISTS"                            \
		" (SELECT 1 FROM boundary_group WHERE name = n.other) ORDER BY group_name, other") \
	X(GROUP_FORGET_REMOVED, "UPDATE system SET group_name = NULL"                              \
		" WHERE group_name = ?1 AND removed IS NOT NULL")                                  \
	X(GROUP_LIST, "SELECT name, (SELECT count(*) FROM boundary WHERE group_name = g.name)"     \
		" AS boundaries, (SELECT count(*) FROM system WHERE group_name = g.name"           \
		" AND removed IS NULL) AS systems, (SELECT json_group_array(other) FROM"           \
		" (SELECT other FROM neighbour WHERE group_name = g.name ORDER BY other))"         \
		" AS \"neighbours:json\", default_after_min AS default_after_minutes,"             \
		" fence AS \"fence:flag\", policy,"                                                \
		" iif(cross_tier, 'cross-tier', 'in-tier') AS open_ways, max_rate, window"         \
		" FROM boundary_group AS g ORDER BY name")                                         \
	X(GROUP_SHOW, "SELECT name, default_after_min AS default_after_minutes,"                   \
		" fence AS \"fence:flag\", policy,"                                                \
		" iif(cross_tier, 'cross-tier', 'in-tier') AS open_ways, max_rate, window,"        \
		" (SELECT json_group_array(cidr) FROM (SELECT cidr FROM boundary"                  \
		"  WHERE group_name = g.name ORDER BY cidr)) AS \"boundaries:json\","              \
		" (SELECT json_group_array(json_object('group', other, 'minutes', minutes)) FROM"  \
		"  (SELECT other, minutes FROM neighbour WHERE group_name = g.name ORDER BY minutes, other))" \
		" AS \"neighbours:json\","                                                         \
		" (SELECT json_group_array(server) FROM (SELECT server FROM preferred"             \
		"  WHERE group_name = g.name ORDER BY position)) AS \"prefer:json\","              \
		" (SELECT json_group_array(kind || ' ' || name) FROM (SELECT kind, name FROM system"   \
		"  WHERE group_name = g.name AND removed IS NULL ORDER BY kind, name))"            \
		" AS \"systems:json\" FROM boundary_group AS g WHERE name = ?1")                   \
	X(BOUNDARY_ADD, "INSERT INTO boundary VALUES(?1, ?2)")                                     \
	X(BOUNDARY_OWNER, "SELECT group_name FROM boundary WHERE cidr = ?1")                       \
	X(BOUNDARY_REMOVE, "DELETE FROM boundary WHERE cidr = ?1")                                 \
	X(BOUNDARY_LIST, "SELECT cidr AS boundary, group_name AS \"group\" FROM boundary"          \
		" ORDER BY group_name, cidr")                                                      \
                                                                                                   \
	/* CAPs and DPs */                                                                         \
	X(SYSTEM_ADD, "INSERT INTO system(kind, name, uuid, group_name, inbox, max_rate, window,"  \
		" is_own, created, external) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")                    \
	X(SYSTEM_ADD_ADDRESS, "INSERT INTO system_address VALUES(?1, ?2, ?3)")                     \
	X(SYSTEM_FIND, "SELECT id FROM system WHERE kind = ?1 AND name = ?2 AND removed IS NULL")  \
	X(SYSTEM_NAME_IS_KNOWN, "SELECT 1 FROM system WHERE name = ?1 AND removed IS NULL LIMIT 1")\
	X(SYSTEM_CREATED, "SELECT created FROM system WHERE kind = ?1 AND name = ?2"               \
		" AND removed IS NULL")                                                            \
	X(SYSTEM_OLDEST_OTHER, "SELECT min(created) FROM system WHERE kind = ?1"                   \
		" AND name != ?2 AND removed IS NULL")                                             \
	X(SYSTEM_REMOVE, "UPDATE system SET removed = ?2 WHERE id = ?1")                           \
	X(SYSTEM_SET_OWN, "UPDATE system SET is_own = ?2 WHERE id = ?1")                           \
	X(SYSTEM_SET_MOUNT, "UPDATE system SET mount = ?2 WHERE id = ?1")                          \
	X(SYSTEM_PREFERRED_BY, "SELECT group_name FROM preferred WHERE server = ?1 LIMIT 1")       \
	X(SYSTEM_LIST, "SELECT name, (SELECT json_group_array(url) FROM (SELECT url FROM"          \
		" system_address WHERE system = s.id ORDER BY position)) AS \"addresses:json\","   \
		" group_name AS \"group\", inbox, max_rate, window, external AS \"external:flag\", uuid," \
		" created AS \"created:time\" FROM system AS s"                                    \
		" WHERE kind = ?1 AND removed IS NULL ORDER BY name")                              \
	X(SYSTEM_ROWS, "SELECT id, kind, name, uuid, group_name, inbox, max_rate, window, is_own," \
		" removed, mount, external FROM system AS s WHERE kind = ?1 AND (removed IS NULL"            \
		" OR (?2 AND EXISTS (SELECT 1 FROM dp_object WHERE system = s.id)))"               \
		" ORDER BY name, id")                                                              \
	X(SYSTEM_ADDRESSES, "SELECT url FROM system_address WHERE system = ?1 ORDER BY position")  \
	X(SYSTEM_FIRST_ADDRESSES, "SELECT s.kind, s.name, a.url FROM system AS s"                  \
		" JOIN system_address AS a ON a.system = s.id"                                     \
		" WHERE a.position = 0 AND s.removed IS NULL ORDER BY s.kind, s.name")             \
                                                                                                   \
	/* packages */                                                                             \
	X(PACKAGE_ADD, "INSERT INTO package VALUES(?1, ?2, ?3, 0, ?4, NULL)")                      \
	X(PACKAGE_FIND, "SELECT id, name, source, latest FROM package"                             \
		" WHERE id = ?1 AND removed IS NULL")                                              \
	X(PACKAGE_SET_SOURCE, "UPDATE package SET source = ?2 WHERE id = ?1")                      \
	X(PACKAGE_SET_LATEST, "UPDATE package SET latest = ?2 WHERE id = ?1")                      \
	X(PACKAGE_REMOVE, "UPDATE package SET removed = ?2 WHERE id = ?1")                         \
	X(PACKAGE_ADD_VERSION, "INSERT INTO package_version(package, version, identity, manifest," \
		" manifest_size, index_name, index_size, files, bytes, bytes_new, created)"        \
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")                           \
	X(PACKAGE_VERSION, "SELECT manifest, manifest_size, index_name, index_size, files, bytes," \
		" bytes_new, identity FROM package_version WHERE package = ?1 AND version = ?2"     \
		" AND dropped IS NULL")                                                            \
	X(PACKAGE_LIST, "SELECT p.id, p.name, p.latest AS version, v.files, v.bytes,"              \
		" (SELECT count(*) FROM program WHERE package = p.id) AS programs,"                \
		" (SELECT count(*) FROM dp_package AS d JOIN system AS s ON s.id = d.system"       \
		"  WHERE d.package = p.id AND s.removed IS NULL) AS dps,"                          \
		" p.source, p.created AS \"created:time\""                                         \
		" FROM package AS p LEFT JOIN package_version AS v"                                \
		" ON v.package = p.id AND v.version = p.latest"                                    \
		" WHERE p.removed IS NULL ORDER BY p.id")                                          \
	X(PACKAGE_VERSIONS, "SELECT version, files, bytes, bytes_new, manifest, index_name AS \"index\","  \
		" created AS \"created:time\" FROM package_version WHERE package = ?1"             \
		" AND dropped IS NULL ORDER BY version")                                                               \
	X(PACKAGE_ALL_VERSIONS, "SELECT version, manifest, manifest_size, files, bytes,"           \
		" index_name, index_size FROM package_version WHERE package = ?1"                  \
		" AND dropped IS NULL ORDER BY version")                                           \
	X(PACKAGE_INDEX_IS_KNOWN, "SELECT 1 FROM package_version"                                  \
		" WHERE package = ?1 AND ?2 IN (index_name, next_index) AND dropped IS NULL")                                         \
	X(PACKAGE_IDS, "SELECT id, name, latest FROM package"                                      \
		" WHERE removed IS NULL AND latest > 0 ORDER BY id")                               \
	X(PACKAGE_DPS, "SELECT s.name AS dp, v.version, coalesce(v.state, 'waiting') AS state,"    \
		" v.reason FROM dp_package AS d JOIN system AS s ON s.id = d.system"               \
		" LEFT JOIN dp_version AS v ON v.system = d.system AND v.package = d.package"      \
		" WHERE d.package = ?1 AND s.removed IS NULL ORDER BY s.name, v.version")          \
	X(DP_FORGET_PACKAGE, "DELETE FROM dp_package WHERE package = ?1")                          \
	X(PACKAGE_USERS, "SELECT 'advertisement ' || id FROM advertisement WHERE package = ?1"     \
		" UNION ALL SELECT 'program ' || package || ':' || name FROM program"              \
		"  WHERE after_package = ?1 AND package <> ?1 LIMIT 5")                            \
                                                                                                   \
	/* programs */                                                                             \
	X(PROGRAM_ADD, "INSERT INTO program VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"      \
		" ?11, ?12)")                                                                      \
	X(PROGRAM_EXISTS, "SELECT 1 FROM program WHERE package = ?1 AND name = ?2")                \
	X(PROGRAM_AFTER, "SELECT after_package, after_program FROM program"                        \
		" WHERE package = ?1 AND name = ?2 AND after_package IS NOT NULL")                 \
	X(PROGRAM_LIST, "SELECT name, command, timeout_s, success AS \"success:json\","            \
		" restart AS \"restart:json\","                                                    \
		" after_package || ':' || after_program AS run_after, rerun, run_as AS \"as\","    \
		" mount, keep FROM program WHERE package = ?1 ORDER BY name")                                  \
	X(PROGRAM_ROWS, "SELECT name, command, timeout_s, success AS \"success:json\","          \
		" restart AS \"restart:json\", after_package,"                             \
		" after_program, rerun, run_as, mount, keep FROM program WHERE package = ?1"       \
		" ORDER BY name")                                                                  \
	X(PROGRAM_FORGET_ORDER, "UPDATE program SET after_package = NULL, after_program = NULL"    \
		" WHERE package = ?1")                                                             \
	X(PROGRAM_REMOVE_ALL, "DELETE FROM program WHERE package = ?1")                            \
                                                                                                   \
	/* collections */                                                                          \
	X(COLLECTION_ADD, "INSERT INTO collection VALUES(?1, ?2, ?3, ?4, ?5)")                     \
	X(COLLECTION_ADD_MEMBER, "INSERT OR IGNORE INTO collection_member VALUES(?1, ?2)")         \
	X(COLLECTION_FIND, "SELECT query, salt, percent FROM collection WHERE name = ?1")          \
	X(COLLECTION_REMOVE, "DELETE FROM collection WHERE name = ?1")                             \
	X(COLLECTION_USERS, "SELECT 'advertisement ' || id FROM advertisement"                     \
		" WHERE collection = ?1 LIMIT 5")                                                  \
	X(COLLECTION_LIST, "SELECT name, query, (SELECT count(*) FROM collection_member"           \
		" WHERE collection = c.name) AS named_members, percent FROM collection AS c"       \
		" ORDER BY name")                                                                  \
	X(COLLECTION_MEMBERS, "SELECT client_id FROM collection_member WHERE collection = ?1"      \
		" ORDER BY client_id")                                                             \
	X(COLLECTION_ROWS, "SELECT name, query, salt, percent FROM collection ORDER BY name")      \
                                                                                                   \
	/* advertisements */                                                                       \
	X(ADVERTISEMENT_ADD, "INSERT INTO advertisement(id, package, program, collection, version,"\
		" available, mandatory, expires, window, offer_to, created)"                       \
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")                           \
	X(ADVERTISEMENT_SET_STOPPED, "UPDATE advertisement SET stopped = ?2 WHERE id = ?1")        \
	X(ADVERTISEMENT_REMOVE, "DELETE FROM advertisement WHERE id = ?1")                         \
	X(ADVERTISEMENT_LIST, "SELECT id AS advertisement, package, program, collection,"          \
		" version, iif(stopped, 'stopped', 'active') AS state,"                            \
		" available AS \"available:time\", mandatory AS \"mandatory:time\","               \
		" expires AS \"expires:time\", window, offer_to, serial,"                          \
		" created AS \"created:time\" FROM advertisement"                                  \
		" WHERE ?1 IS NULL OR id = ?1 ORDER BY id")                                        \
	X(ADVERTISEMENT_ROWS, "SELECT id, package, program, collection, version, available,"       \
		" mandatory, expires, window, offer_to, stopped, serial, published_version"        \
		" FROM advertisement ORDER BY id")                                                 \
	X(ADVERTISEMENT_SET_PUBLISHED, "UPDATE advertisement"                                      \
		" SET published_version = ?2, serial = ?3 WHERE id = ?1")                          \
                                                                                                   \
	/* tokens and clients */                                                                   \
	X(TOKEN_ADD, "INSERT INTO token(hash, uses, used, expires, revoked, created)"              \
		" VALUES(?1, ?2, 0, ?3, 0, ?4)")                                                   \
	X(TOKEN_LIST, "SELECT id, uses, used, expires AS \"expires:time\","                        \
		" CASE WHEN revoked THEN 'revoked' WHEN expires <= ?1 THEN 'expired'"              \
		" WHEN used >= uses THEN 'used up' ELSE 'valid' END AS state,"                     \
		" created AS \"created:time\" FROM token ORDER BY id")                             \
	X(TOKEN_REVOKE, "UPDATE token SET revoked = 1 WHERE id = ?1")                              \
	X(TOKEN_USE, "UPDATE token SET used = used + 1 WHERE hash = ?1 AND revoked = 0"            \
		" AND used < uses AND expires > ?2 RETURNING id")                                  \
	X(CLIENT_LIST, "SELECT e.client_id, e.name, e.state, c.agent_version,"                     \
		" e.created AS \"created:time\", e.last_seen AS \"last_seen:time\","               \
		" e.key_changed AS \"key_changed:time\""                                           \
		" FROM enrolment AS e LEFT JOIN client AS c ON c.client_id = e.client_id"          \
		" WHERE ?1 IS NULL OR e.client_id = ?1 ORDER BY e.name, e.client_id")              \
	X(CLIENT_BY_NAME, "SELECT client_id FROM enrolment WHERE name = ?1 LIMIT 2")               \
	X(CLIENT_STATE, "SELECT state, public_key, last_seen, day, day_bytes FROM enrolment"       \
		" WHERE client_id = ?1")                                                           \
	X(CLIENT_KEYS, "SELECT public_key, former_key, former_stream, former_next FROM enrolment" \
		" WHERE client_id = ?1")                                                           \
	X(CLIENT_HAND_OVER, "UPDATE enrolment SET former_key = public_key, former_stream = ?2,"    \
		" former_next = ?3, public_key = ?4, key_changed = ?5 WHERE client_id = ?1")       \
	X(CLIENT_ENROL, "INSERT INTO enrolment(client_id, name, state, public_key, machine,"       \
		" token, created, last_seen) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)"               \
		" ON CONFLICT(client_id) DO UPDATE SET state = excluded.state,"                    \
		" name = excluded.name, machine = excluded.machine, token = excluded.token,"       \
		" last_seen = excluded.last_seen")                                                 \
	X(CLIENT_SET_STATE, "UPDATE enrolment SET state = ?2 WHERE client_id = ?1")                \
	X(CLIENT_SEEN, "UPDATE enrolment SET last_seen = ?2, day = ?3,"                            \
		" day_bytes = iif(day = ?3, day_bytes, 0) + ?4 WHERE client_id = ?1")              \
	X(CLIENT_ROW_ADD, "INSERT INTO client(client_id, name, site) VALUES(?1, ?2, ?3)"           \
		" ON CONFLICT(client_id) DO UPDATE SET name = excluded.name")                      \
	X(CLIENT_ROW_REMOVE, "DELETE FROM client WHERE client_id = ?1")                            \
	X(CLIENT_IDS, "SELECT client_id FROM enrolment WHERE state = 'enrolled' ORDER BY client_id") \
	X(CLIENT_PENDING_COUNT, "SELECT count(*) FROM enrolment WHERE state = 'pending'")          \
	X(CLIENT_COUNT, "SELECT count(*) FROM enrolment WHERE state = 'enrolled'")                 \
	X(CLIENT_STREAMS, "SELECT stream, high, forked AS \"forked:flag\","                        \
		" created AS \"created:time\" FROM stream WHERE client_id = ?1 ORDER BY id")       \
	X(CLIENT_OS, "SELECT name, version, kernel, arch FROM os WHERE client_id = ?1")            \
	X(CLIENT_HARDWARE, "SELECT vendor, product, serial, cpu, cores, memory_mb FROM hardware"   \
		" WHERE client_id = ?1")                                                           \
	X(CLIENT_NETWORK, "SELECT interface, address, prefix, mac FROM network WHERE client_id = ?1") \
	X(CLIENT_DISK, "SELECT device, mount, fstype, size_mb, free_mb FROM disk WHERE client_id = ?1") \
	X(CLIENT_ROW, "SELECT name, site, agent_version, machine FROM client WHERE client_id = ?1")\
	X(OS_ROWS, "SELECT id, name, version, kernel, arch FROM os WHERE client_id = ?1")          \
	X(SOFTWARE_ROWS, "SELECT name, version, arch, source FROM software WHERE client_id = ?1")  \
	X(CLIENT_SOFTWARE_COUNT, "SELECT count(*) FROM software WHERE client_id = ?1")             \
                                                                                                   \
	/* inventory */                                                                            \
	X(OS_CLEAR, "DELETE FROM os WHERE client_id = ?1")                                         \
	X(OS_ADD, "INSERT INTO os VALUES(?1, ?2, ?3, ?4, ?5, ?6)")                                 \
	X(HARDWARE_CLEAR, "DELETE FROM hardware WHERE client_id = ?1")                             \
	X(HARDWARE_ADD, "INSERT INTO hardware VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")                 \
	X(NETWORK_CLEAR, "DELETE FROM network WHERE client_id = ?1")                               \
	X(NETWORK_ADD, "INSERT INTO network VALUES(?1, ?2, ?3, ?4, ?5)")                           \
	X(DISK_CLEAR, "DELETE FROM disk WHERE client_id = ?1")                                     \
	X(DISK_ADD, "INSERT INTO disk VALUES(?1, ?2, ?3, ?4, ?5, ?6)")                             \
	X(SOFTWARE_CLEAR, "DELETE FROM software WHERE client_id = ?1")                             \
	X(SOFTWARE_ADD, "INSERT INTO software VALUES(?1, ?2, ?3, ?4, ?5)")                         \
	X(CLIENT_ROW_UPDATE, "UPDATE client SET name = coalesce(?2, name),"                        \
		" agent_version = ?3, machine = ?4 WHERE client_id = ?1")                          \
	X(CLIENT_ROW_FROM_ENROLMENT, "INSERT INTO client(client_id, name, site, machine)"          \
		" SELECT client_id, name, ?2, machine FROM enrolment WHERE client_id = ?1"         \
		" ON CONFLICT(client_id) DO NOTHING")                                              \
	X(RECEIPT_TOUCH, "INSERT INTO receipt_shard VALUES(?1, 0, 1)"                              \
		" ON CONFLICT(shard) DO UPDATE SET is_dirty = 1")                                  \
                                                                                                   \
	/* distribution */                                                                         \
	X(DP_WANT, "INSERT OR IGNORE INTO dp_package(system, package, created) VALUES(?1, ?2, ?3)")                        \
	/* the latest version, those that advertisements name, and the newest of what is there */  \
	/* 2: what to bring next, 3: all is there, 4: it is an addition, 5: what is there as a whole */ \
	X(DP_WANTED, "SELECT v.package, v.version,"                                                \
		" iif(d.state = 'valid' AND d.index_name = v.index_name,"                          \
		"  coalesce(v.next_index, v.index_name), v.index_name),"                           \
		" coalesce(d.state = 'valid' AND d.index_name = coalesce(v.next_index, v.index_name), 0)," \
		" coalesce(d.state = 'valid' AND d.index_name = v.index_name"                      \
		"  AND v.next_index IS NOT NULL, 0),"                                              \
		" iif(d.state = 'valid', d.index_name, NULL) FROM dp_package AS w"                 \
		" JOIN package AS p ON p.id = w.package AND p.removed IS NULL"                     \
		" JOIN package_version AS v ON v.package = w.package"                              \
		" LEFT JOIN dp_version AS d ON d.system = w.system AND d.package = v.package"      \
		" AND d.version = v.version WHERE w.system = ?1 AND (v.version = p.latest"         \
		" OR EXISTS (SELECT 1 FROM advertisement AS a WHERE a.package = v.package"         \
		"  AND a.version = v.version)"                                                     \
		" OR (d.state = 'valid' AND v.version > p.latest - ?2))"                           \
		" ORDER BY v.package, v.version DESC")                                             \
	/* every index whose objects are to stay */                                                \
	X(DP_NAMED, "SELECT v.package, v.version, n.value, 0, 0, NULL FROM dp_package AS w"        \
		" JOIN package AS p ON p.id = w.package AND p.removed IS NULL"                     \
		" JOIN package_version AS v ON v.package = w.package"                              \
		" JOIN json_each(json_array(v.index_name, v.next_index)) AS n ON n.value IS NOT NULL" \
		" LEFT JOIN dp_version AS d ON d.system = w.system AND d.package = v.package"      \
		" AND d.version = v.version WHERE w.system = ?1 AND (v.version = p.latest"         \
		" OR EXISTS (SELECT 1 FROM advertisement AS a WHERE a.package = v.package"         \
		"  AND a.version = v.version)"                                                     \
		" OR (d.state = 'valid' AND v.version > p.latest - ?2))")                          \
	X(DP_FORGET_UNWANTED, "DELETE FROM dp_version AS d WHERE system = ?1 AND NOT EXISTS"       \
		" (SELECT 1 FROM dp_package AS w JOIN package AS p ON p.id = w.package"            \
		"  AND p.removed IS NULL WHERE w.system = d.system AND w.package = d.package"      \
		"  AND (d.version = p.latest OR EXISTS (SELECT 1 FROM advertisement AS a"          \
		"   WHERE a.package = d.package AND a.version = d.version)"                        \
		"   OR (d.state = 'valid' AND d.version > p.latest - ?2)))")                       \
	/* plain copies */                                                                         \
	X(TREE_WANT, "UPDATE dp_package SET tree = 1 WHERE system = ?1 AND package = ?2")          \
	X(TREE_DUE, "SELECT w.package, d.version FROM dp_package AS w"                             \
		" JOIN package AS p ON p.id = w.package AND p.removed IS NULL"                     \
		" JOIN dp_version AS d ON d.system = w.system AND d.package = w.package"           \
		"  AND d.state = 'valid'"                                                          \
		" JOIN package_version AS v ON v.package = d.package AND v.version = d.version"    \
		"  AND v.dropped IS NULL"                                                          \
		" LEFT JOIN dp_tree AS t ON t.system = w.system AND t.package = w.package"         \
		"  AND t.version = d.version"                                                      \
		" WHERE w.system = ?1 AND w.tree AND (?2 IS NULL OR w.package = ?2)"               \
		" AND (t.state IS NULL OR t.state = 'begun'"                                       \
		"  OR (t.state = 'failed' AND (?4 OR t.next_attempt <= ?3)))"                      \
		" ORDER BY w.package, d.version DESC")                                             \
	X(TREE_SET, "INSERT INTO dp_tree VALUES(?1, ?2, ?3, ?4, ?5, ?6, NULL)"                     \
		" ON CONFLICT(system, package, version) DO UPDATE SET state = excluded.state,"     \
		" next_attempt = excluded.next_attempt, reason = excluded.reason")                 \
	X(TREE_DOUBT, "UPDATE dp_tree AS t SET unused_since = iif(EXISTS"                          \
		" (SELECT 1 FROM dp_package AS w JOIN dp_version AS d ON d.system = w.system"      \
		"  AND d.package = w.package AND d.state = 'valid' WHERE w.system = t.system"      \
		"  AND w.package = t.package AND w.tree AND d.version = t.version)"                \
		" AND EXISTS (SELECT 1 FROM system AS s WHERE s.id = t.system"                     \
		"  AND s.removed IS NULL), NULL, coalesce(unused_since, ?2)) WHERE system = ?1")   \
	X(TREE_UNUSED, "SELECT package, version FROM dp_tree"                                      \
		" WHERE system = ?1 AND unused_since <= ?2")                                       \
	X(TREE_REMOVE, "DELETE FROM dp_tree WHERE system = ?1 AND package = ?2 AND version = ?3")  \
	X(TREES_FORGET, "DELETE FROM dp_tree WHERE system = ?1")                                   \
	X(DP_OBJECT_EXISTS, "SELECT 1 FROM dp_object WHERE system = ?1 AND name = ?2")             \
	X(DP_OBJECT_ADD, "INSERT INTO dp_object VALUES(?1, ?2, ?3, NULL)"                          \
		" ON CONFLICT(system, name) DO UPDATE SET unused_since = NULL")                    \
	X(DP_OBJECT_REMOVE, "DELETE FROM dp_object WHERE system = ?1 AND name = ?2")               \
	X(DP_OBJECTS_DOUBT, "UPDATE dp_object SET unused_since = ?2"                               \
		" WHERE system = ?1 AND unused_since IS NULL")                                     \
	X(DP_OBJECT_USED, "UPDATE dp_object SET unused_since = NULL WHERE system = ?1 AND name = ?2") \
	X(DP_OBJECTS_UNUSED, "SELECT name FROM dp_object"                                          \
		" WHERE system = ?1 AND unused_since <= ?2 ORDER BY name")                         \
	X(DP_OBJECTS_FORGET, "DELETE FROM dp_object WHERE system = ?1")                            \
	X(DP_VERSIONS_FORGET, "DELETE FROM dp_version WHERE system = ?1")                          \
	X(DP_VERSION_SET, "INSERT INTO dp_version VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"      \
		" ON CONFLICT(system, package, version) DO UPDATE SET state = excluded.state,"     \
		" attempts = excluded.attempts, next_attempt = excluded.next_attempt,"             \
		" reason = excluded.reason, changed = excluded.changed,"                           \
		" index_name = excluded.index_name")                           \
	X(DP_VERSION_ATTEMPTS, "SELECT attempts FROM dp_version"                                   \
		" WHERE system = ?1 AND package = ?2 AND version = ?3")                            \
	X(DP_VERSION_NEXT, "SELECT next_attempt FROM dp_version"                                   \
		" WHERE system = ?1 AND package = ?2 AND version = ?3")                            \
	X(DP_STATUS, "SELECT s.name AS dp, v.package, v.version,"                                  \
		" coalesce(d.state, 'waiting') AS state, d.attempts,"                              \
		" coalesce(d.reason, iif(d.state IS NULL, 'its hours are ' || s.window, NULL))"    \
		" AS reason,"                                                                      \
		" iif(d.state = 'failed', d.next_attempt, NULL) AS \"next_attempt:time\","         \
		" d.changed AS \"changed:time\","                                                  \
		" iif(w.tree, coalesce((SELECT t.state || coalesce(': ' || t.reason, '')"          \
		"  FROM dp_tree AS t WHERE t.system = w.system AND t.package = v.package"          \
		"  AND t.version = v.version), 'waiting'), NULL) AS tree"                          \
		" FROM dp_package AS w"                                                            \
		" JOIN system AS s ON s.id = w.system AND s.removed IS NULL"                       \
		" JOIN package AS p ON p.id = w.package AND p.removed IS NULL"                     \
		" JOIN package_version AS v ON v.package = w.package"                              \
		" LEFT JOIN dp_version AS d ON d.system = w.system AND d.package = v.package"      \
		" AND d.version = v.version"                                                       \
		" WHERE (v.version = p.latest OR d.state IS NOT NULL)"                             \
		" AND (?1 IS NULL OR s.name = ?1) AND (?2 IS NULL OR v.package = ?2)"              \
		" ORDER BY s.name, v.package, v.version")                                          \
                                                                                                   \
	/* patches and streams */                                                                  \
	X(DELTA_PACKAGES, "SELECT p.id, p.latest FROM package AS p WHERE p.removed IS NULL"        \
		" AND p.latest > 0 AND (?1 IS NULL OR p.id = ?1)"                                  \
		" AND EXISTS (SELECT 1 FROM dp_package AS w WHERE w.package = p.id) ORDER BY p.id") \
	/* which versions a patch may start from: 0 is nothing, and first, since its stream is     \
	   what a patch has to beat */                                                             \
	X(DELTA_ORIGINS, "SELECT o.origin FROM (SELECT 0 AS origin UNION ALL"                      \
		" SELECT v.version FROM package_version AS v JOIN package_version AS t"            \
		"  ON t.package = v.package AND t.version = ?2 AND t.identity <> v.identity"       \
		"  WHERE v.package = ?1 AND v.version < ?2 AND v.version >= ?2 - ?3"               \
		"  AND v.dropped IS NULL) AS o"                                                    \
		" LEFT JOIN package_delta AS d ON d.package = ?1 AND d.version = ?2"               \
		"  AND d.origin = o.origin"                                                        \
		" WHERE d.outcome IS NULL OR (d.outcome = 'failed' AND d.made < ?4)"               \
		" ORDER BY o.origin <> 0, o.origin DESC")                                          \
	X(DELTA_TO_MAKE, "SELECT count(*) FROM (SELECT 0 AS origin UNION ALL"                      \
		" SELECT v.version FROM package_version AS v JOIN package_version AS t"            \
		"  ON t.package = v.package AND t.version = ?2 AND t.identity <> v.identity"       \
		"  WHERE v.package = ?1 AND v.version < ?2 AND v.version >= ?2 - ?3"               \
		"  AND v.dropped IS NULL) AS o"                                                    \
		" WHERE NOT EXISTS (SELECT 1 FROM package_delta AS d WHERE d.package = ?1"         \
		"  AND d.version = ?2 AND d.origin = o.origin)")                                   \
	X(DELTA_SET, "INSERT OR REPLACE INTO package_delta VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)") \
	X(DELTA_MADE, "SELECT origin, digest, size FROM package_delta"                             \
		" WHERE package = ?1 AND version = ?2 AND outcome = 'made' ORDER BY origin")       \
	X(DELTA_INDEX, "SELECT coalesce(next_index, index_name) FROM package_version"              \
		" WHERE package = ?1 AND version = ?2")                                            \
	X(DELTA_ONE, "SELECT outcome, size FROM package_delta"                                     \
		" WHERE package = ?1 AND version = ?2 AND origin = ?3")                            \
	/* of each enrolled client the newest message about the package that names a version */    \
	X(VERSION_LIST, "WITH told AS (SELECT s.client_id AS client, r.version, r.id, s.id AS stream," \
		" r.sequence FROM record AS r JOIN stream AS s ON s.id = r.stream"                 \
		" JOIN enrolment AS e ON e.client_id = s.client_id AND e.state = 'enrolled'"       \
		" WHERE r.package = ?1 AND r.id IN (10008, 11003) AND r.version IS NOT NULL),"     \
		" newest AS (SELECT version, row_number() OVER (PARTITION BY client"               \
		"  ORDER BY stream DESC, sequence DESC) AS place FROM told),"                      \
		" success AS (SELECT version, row_number() OVER (PARTITION BY client"              \
		"  ORDER BY stream DESC, sequence DESC) AS place FROM told WHERE id = 10008)"      \
		" SELECT v.version, iif(v.dropped IS NOT NULL, 'dropped',"                           \
		"  iif(v.version = p.latest, 'latest', iif(EXISTS"                \
		"  (SELECT 1 FROM advertisement AS a WHERE a.package = v.package"                  \
		"   AND a.version = v.version), 'pinned', 'kept'))) AS state, v.files, v.bytes,"    \
		" v.bytes_new,"                                                                    \
		" (SELECT count(*) FROM newest WHERE version = v.version AND place = 1) AS clients," \
		" (SELECT count(*) FROM success WHERE version = v.version AND place = 1) AS succeeded," \
		" (SELECT count(*) FROM dp_version AS d JOIN system AS s ON s.id = d.system"       \
		"  WHERE d.package = v.package AND d.version = v.version AND d.state = 'valid'"    \
		"  AND s.removed IS NULL) AS dps,"                                                 \
		" (SELECT size FROM package_delta AS o WHERE o.package = v.package"                \
		"  AND o.version = v.version AND o.origin = 0 AND o.outcome = 'made') AS bytes_stream," \
		" (SELECT json_group_array(json_object('from', origin, 'bytes', size))"            \
		"  FROM (SELECT origin, size FROM package_delta AS o WHERE o.package = v.package"  \
		"  AND o.version = v.version AND o.origin > 0 AND o.outcome = 'made' ORDER BY origin))" \
		" AS \"patches:json\", v.created AS \"created:time\""                              \
		" FROM package_version AS v JOIN package AS p ON p.id = v.package"                 \
		" WHERE v.package = ?1 ORDER BY v.version")                                        \
	/* upkeep of the library */                                                                \
	X(UPKEEP_PACKAGES, "SELECT id FROM package WHERE latest > 0 AND (?1 IS NULL OR id = ?1)"   \
		" AND EXISTS (SELECT 1 FROM package_version AS v WHERE v.package = package.id"     \
		"  AND v.dropped IS NULL) ORDER BY id")                                            \
	/* what nothing names, that was followed by another version so long ago; or the package is gone */ \
	X(UPKEEP_DROP, "UPDATE package_version AS v SET dropped = ?4, next_index = NULL,"          \
		" next_size = NULL, next_since = NULL WHERE package = ?1 AND dropped IS NULL"      \
		" AND (EXISTS (SELECT 1 FROM package AS p WHERE p.id = v.package"                  \
		"  AND p.removed <= ?3)"                                                           \
		" OR (version < (SELECT latest FROM package WHERE id = v.package) - ?2"            \
		"  AND EXISTS (SELECT 1 FROM package_version AS n WHERE n.package = v.package"     \
		"   AND n.version = v.version + 1 AND n.created <= ?3)"                            \
		"  AND NOT EXISTS (SELECT 1 FROM advertisement AS a WHERE a.package = v.package"   \
		"   AND a.version = v.version)"                                                    \
		"  AND NOT EXISTS (SELECT 1 FROM dp_version AS d JOIN system AS s"                 \
		"   ON s.id = d.system AND s.removed IS NULL WHERE d.package = v.package"          \
		"   AND d.version = v.version AND d.state = 'valid')))")                           \
	X(UPKEEP_DROPPED, "SELECT version FROM package_version AS v WHERE package = ?1"            \
		" AND dropped IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dp_tree AS t"              \
		"  WHERE t.package = v.package AND t.version = v.version)")                        \
	X(UPKEEP_VERSIONS, "SELECT version, index_name, next_index IS NOT NULL"                    \
		" FROM package_version WHERE package = ?1 AND dropped IS NULL"                     \
		" ORDER BY version DESC")                                                          \
	X(DELTA_SET_NEXT, "UPDATE package_version SET next_index = ?3, next_size = ?4,"            \
		" next_since = ?5 WHERE package = ?1 AND version = ?2")                            \
	/* once all valid DPs hold it, or some for long enough */                                  \
	X(DELTA_SWITCH, "UPDATE package_version AS v SET index_name = next_index,"                 \
		" index_size = next_size, next_index = NULL, next_size = NULL, next_since = NULL"  \
		" WHERE v.next_index IS NOT NULL AND (NOT EXISTS (SELECT 1 FROM dp_version AS d"   \
		"  JOIN system AS s ON s.id = d.system AND s.removed IS NULL"                      \
		"  WHERE d.package = v.package AND d.version = v.version AND d.state = 'valid'"    \
		"  AND d.index_name IS NOT v.next_index) OR (v.next_since < ?1 AND EXISTS"         \
		"  (SELECT 1 FROM dp_version AS d WHERE d.package = v.package"                     \
		"   AND d.version = v.version AND d.state = 'valid' AND d.index_name = v.next_index)))") \
	X(SYSTEM_UUID_IS_LIVE, "SELECT 1 FROM system WHERE uuid = ?1 AND removed IS NULL")         \
                                                                                                   \
	X(LOCATION_ROWS, "SELECT v.version, v.index_name, v.index_size, s.name AS dp"              \
		" FROM dp_version AS d JOIN system AS s ON s.id = d.system AND s.removed IS NULL"  \
		" JOIN dp_package AS w ON w.system = d.system AND w.package = d.package"           \
		" JOIN package_version AS v ON v.package = d.package AND v.version = d.version"    \
		" WHERE d.package = ?1 AND d.state = 'valid'"                                      \
		" AND d.index_name IN (v.index_name, v.next_index) ORDER BY v.version, s.name")          \
	X(LOCATION_NEWEST, "SELECT coalesce((SELECT max(d.version) FROM dp_version AS d"           \
		" JOIN system AS s ON s.id = d.system AND s.removed IS NULL"                       \
		" WHERE d.package = ?1 AND d.state = 'valid'),"                                    \
		" (SELECT latest FROM package WHERE id = ?1))")                                    \
                                                                                                   \
	/* CAPs */                                                                                 \
	X(CAP_FILES, "SELECT name FROM cap_file WHERE system = ?1")                                \
	X(CAP_FILE_ADD, "INSERT OR IGNORE INTO cap_file VALUES(?1, ?2)")                           \
	X(CAP_FILE_REMOVE, "DELETE FROM cap_file WHERE system = ?1 AND name = ?2")                 \
	X(CAP_FORGET, "DELETE FROM cap_file WHERE system = ?1")                                    \
	X(CAP_STATE_FORGET, "DELETE FROM cap_state WHERE system = ?1")                             \
	X(CAP_TIMESTAMP, "SELECT timestamp_version FROM cap_state WHERE system = ?1")              \
	X(CAP_STATE_SET, "INSERT INTO cap_state VALUES(?1, ?2, ?3, ?4)"                            \
		" ON CONFLICT(system) DO UPDATE SET timestamp_version = excluded.timestamp_version," \
		" changed = excluded.changed, reason = excluded.reason")                           \
	X(RECEIPT_ALL, /* arguments as RECEIPT_OWED; every CAP gets the same */                    \
		"SELECT shard, 0, document FROM receipt_document WHERE ?1"                  \
		" AND shard > ?2 ORDER BY shard LIMIT ?3")                                         \
                                                                                                   \
	/* intake and receipts */                                                                  \
	X(STREAM_ADD, "INSERT OR IGNORE INTO stream(client_id, stream, high, forked, created)"     \
		" VALUES(?1, ?2, 0, 0, ?3)")                                                       \
	X(STREAM_FIND, "SELECT id, high, forked, chain FROM stream"                                \
		" WHERE client_id = ?1 AND stream = ?2")                                           \
	X(STREAM_COUNT, "SELECT count(*) FROM stream WHERE client_id = ?1")                        \
	X(STREAM_ADVANCE, "UPDATE stream SET high = ?2, chain = ?3 WHERE id = ?1")                 \
	X(STREAM_FORK, "UPDATE stream SET forked = 1 WHERE id = ?1")                               \
	X(STREAM_REFUSALS, "SELECT sequence, refused FROM record WHERE stream = ?1"                \
		" AND refused IS NOT NULL ORDER BY sequence DESC LIMIT ?2")                        \
	X(RECORD_HASHES, "SELECT sequence, hash FROM record WHERE stream = ?1"                     \
		" AND sequence BETWEEN ?2 AND ?3 ORDER BY sequence")                               \
	X(RECORD_ADD, "INSERT INTO record"                                                         \
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)")            \
	X(RECORD_HAS_UID, "SELECT 1 FROM record AS r JOIN stream AS s ON s.id = r.stream"          \
		" WHERE r.uid = ?1 AND s.client_id = ?2 LIMIT 1")                                  \
	X(RUN_STATE_SET, "INSERT INTO run_state VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"                \
		" ON CONFLICT(advertisement, client_id) DO UPDATE SET state = excluded.state,"     \
		" stream = excluded.stream, sequence = excluded.sequence, time = excluded.time,"   \
		" text = excluded.text WHERE excluded.stream > stream"                             \
		" OR (excluded.stream = stream AND excluded.sequence > sequence)")                 \
	X(INVENTORY_STATE_SET, "INSERT INTO inventory_state VALUES(?1, ?2, ?3)"                    \
		" ON CONFLICT(client_id) DO UPDATE SET stream = excluded.stream,"                  \
		" sequence = excluded.sequence WHERE excluded.stream > stream"                     \
		" OR (excluded.stream = stream AND excluded.sequence > sequence)")                 \
	X(ALERT_ADD, "INSERT INTO alert(time, client_id, text) VALUES(?1, ?2, ?3)")                \
	X(ALERT_TRIM, "DELETE FROM alert WHERE id <= (SELECT max(id) FROM alert) - ?1")            \
	X(INCOMPLETE_ADD, "INSERT OR IGNORE INTO incomplete VALUES(?1, ?2, ?3)")                   \
	X(INCOMPLETE_COUNT, "SELECT count(*) FROM incomplete WHERE system = ?1")                   \
	X(INCOMPLETE_SINCE, "SELECT first_seen FROM incomplete WHERE system = ?1 AND name = ?2")   \
	X(INCOMPLETE_REMOVE, "DELETE FROM incomplete WHERE system = ?1 AND name = ?2")             \
	X(INCOMPLETE_FORGET, "DELETE FROM incomplete WHERE system = ?1 AND first_seen < ?2")       \
	X(RECEIPT_DIRTY, "SELECT shard, serial + 1 FROM receipt_shard WHERE is_dirty"              \
		" ORDER BY shard LIMIT ?1")                                                        \
	X(RECEIPT_WRITTEN, "UPDATE receipt_shard SET serial = ?2, is_dirty = 0 WHERE shard = ?1")  \
	X(RECEIPT_KEEP, "INSERT INTO receipt_document VALUES(?1, ?2)"                              \
		" ON CONFLICT(shard) DO UPDATE SET document = excluded.document")                  \
	X(RECEIPT_OWE, "INSERT INTO receipt_owed SELECT id, ?1, ?2 FROM system"                    \
		" WHERE kind = 'cap' AND removed IS NULL"                                          \
		" ON CONFLICT(system, shard) DO UPDATE SET serial = excluded.serial")              \
	X(RECEIPT_OWED, "SELECT o.shard, o.serial, d.document FROM receipt_owed AS o"              \
		" JOIN receipt_document AS d ON d.shard = o.shard WHERE o.system = ?1"             \
		" AND o.shard > ?2 ORDER BY o.shard LIMIT ?3")                                     \
	X(RECEIPT_PAID, "DELETE FROM receipt_owed WHERE system = ?1 AND shard = ?2"                \
		" AND serial <= ?3")                                                               \
	X(RECEIPT_FORGIVE, "DELETE FROM receipt_owed WHERE system IN"                              \
		" (SELECT id FROM system WHERE removed IS NOT NULL)")                              \
	X(RECEIPT_CLIENTS, "SELECT client_id, state, name,"                                        \
		" iif(former_key IS NULL, NULL, public_key) FROM enrolment"                        \
		" WHERE client_id >= ?1 AND client_id < ?2 ORDER BY client_id LIMIT ?3")           \
	X(RECEIPT_STREAMS, "SELECT id, stream, high, forked, chain FROM stream"                    \
		" WHERE client_id = ?1 ORDER BY id DESC LIMIT ?2")                                 \
                                                                                                   \
	/* reports */                                                                              \
	X(REPORT_ID_IS_KNOWN, "SELECT 1 FROM advertisement WHERE id = ?1"                          \
		" UNION ALL SELECT 1 FROM package WHERE id = ?1 AND removed IS NULL LIMIT 1")      \
	X(REPORT_STATES, "SELECT state, count(*) FROM run_state WHERE advertisement = ?1"          \
		" GROUP BY state")                                                                 \
	X(REPORT_FAILURES, "SELECT r.client_id AS client, e.name, r.state, r.time AS \"time:time\"," \
		" r.text FROM run_state AS r LEFT JOIN enrolment AS e ON e.client_id = r.client_id"\
		" WHERE r.advertisement = ?1 AND r.state = 'failed' ORDER BY e.name")              \
	X(REPORT_MESSAGES, "SELECT s.client_id AS client, s.stream, r.sequence, r.time AS \"time:time\"," \
		" r.id, r.package, r.version, r.program, r.advertisement, r.text,"                 \
		" r.data AS \"data:json\", r.received AS \"received:time\", r.refused"             \
		" FROM stream AS s JOIN record AS r ON r.stream = s.id"                            \
		" WHERE (?1 IS NULL OR s.client_id = ?1) AND (?2 IS NULL OR r.advertisement = ?2)" \
		" ORDER BY s.client_id, s.id, r.sequence")                                         \
	X(REPORT_ALERTS, "SELECT time AS \"time:time\", client_id AS client, text FROM alert"      \
		" ORDER BY id DESC LIMIT 50")                                                      \
	X(REPORT_ADVERTISEMENTS, "SELECT id, package, program, collection, stopped"                \
		" FROM advertisement WHERE ?1 IS NULL OR id = ?1 OR package = ?1 ORDER BY id")     \
                                                                                                   \
	/* choices: 11002 is "server chosen" (docs/formats/records.md) */                          \
	X(CLIENT_EXISTS, "SELECT 1 FROM enrolment WHERE client_id = ?1")                           \
	X(PACKAGE_LATEST, "SELECT latest FROM package WHERE id = ?1 AND removed IS NULL")          \
	X(PACKAGE_BYTES, "SELECT bytes FROM package_version WHERE package = ?1 AND version = ?2")  \
	X(CLIENT_ADDRESSES, "SELECT address FROM network WHERE client_id = ?1"                     \
		/* as the client, which knows no place by link-local addresses */                  \
		" AND address IS NOT NULL AND address NOT LIKE 'fe80:%' ORDER BY rowid")           \
	X(EVERY_ADDRESS, "SELECT e.client_id, n.address, e.name"                                   \
		" FROM enrolment AS e LEFT JOIN network AS n ON n.client_id = e.client_id"         \
		" AND n.address NOT LIKE 'fe80:%'"                                                 \
		" WHERE e.state = 'enrolled' ORDER BY e.client_id, n.rowid")                       \
	X(DECISIONS_SINCE, "SELECT json_extract(r.data, '$.decision') AS \"decision:json\""        \
		" FROM stream AS s JOIN record AS r ON r.stream = s.id"                            \
		" WHERE s.client_id = ?1 AND r.id = 11002 AND coalesce(r.time, r.received) >= ?2"  \
		" AND json_type(r.data, '$.decision') = 'object'"                                  \
		" ORDER BY s.id DESC, r.sequence DESC LIMIT ?3")                                   \
	/* what a group lacks: packages that some DP has in their latest version, and no DP there */ \
	X(GROUP_LACKS, "SELECT p.id FROM package AS p WHERE p.removed IS NULL AND p.latest > 0"    \
		" AND EXISTS (SELECT 1 FROM advertisement WHERE package = p.id AND NOT stopped)"   \
		" AND EXISTS (SELECT 1 FROM dp_package AS w JOIN system AS s ON s.id = w.system"   \
		"  JOIN dp_version AS d ON d.system = w.system AND d.package = w.package"          \
		"  WHERE w.package = p.id AND s.removed IS NULL AND d.version = p.latest"          \
		"  AND d.state = 'valid')"                                                         \
		" AND NOT EXISTS (SELECT 1 FROM system AS s JOIN dp_version AS d"                  \
		"  ON d.system = s.id AND d.package = p.id AND d.version = p.latest"               \
		"  WHERE s.group_name = ?1 AND s.removed IS NULL AND d.state = 'valid')"           \
		" ORDER BY p.id")                                                                  \
	X(PACKAGES_NOWHERE, "SELECT p.id FROM package AS p WHERE p.removed IS NULL"                \
		" AND p.latest > 0 AND EXISTS (SELECT 1 FROM advertisement WHERE package = p.id"   \
		"  AND NOT stopped)"                                                               \
		" AND NOT EXISTS (SELECT 1 FROM dp_version AS d JOIN system AS s"                  \
		"  ON s.id = d.system WHERE d.package = p.id AND d.version = p.latest"             \
		"  AND s.removed IS NULL AND d.state = 'valid') ORDER BY p.id")                    \
	X(PACKAGE_EXISTED, "SELECT 1 FROM package WHERE id = ?1")                                  \
	X(DECISION_FIND, "SELECT json_extract(r.data, '$.decision') AS \"decision:json\""          \
		" FROM stream AS s JOIN record AS r ON r.stream = s.id"                            \
		" WHERE s.client_id = ?1 AND r.id = 11002 AND (?2 IS NULL OR r.package = ?2)"      \
		" AND coalesce(r.time, r.received) <= ?3"                                          \
		" AND json_type(r.data, '$.decision') = 'object'"                                  \
		" ORDER BY coalesce(r.time, r.received) DESC, s.id DESC, r.sequence DESC LIMIT 1") \
	X(DECISION_FIRST, "SELECT min(coalesce(r.time, r.received))"                               \
		" FROM stream AS s JOIN record AS r ON r.stream = s.id"                            \
		" WHERE s.client_id = ?1 AND r.id = 11002 AND (?2 IS NULL OR r.package = ?2)"      \
		" AND json_type(r.data, '$.decision') = 'object'")
/* clang-format on */

enum site_statement {
#define X(symbol, sql) STMT_##symbol,
	SITE_STATEMENTS(X)
#undef X
		STMT_COUNT_,
};

#endif

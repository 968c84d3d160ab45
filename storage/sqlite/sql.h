#pragma once
// Every statement that runs on the way of a step, a claim, an event or a load. Tests assert their query plans.

namespace workflows::storage::sqlite::sql {

// Ten rows in one statement cost SQLite half of what ten statements do.
#define WORKFLOWS_SQL_FIVE(row) row ", " row ", " row ", " row ", " row
#define WORKFLOWS_SQL_TEN(row) WORKFLOWS_SQL_FIVE(row) ", " WORKFLOWS_SQL_FIVE(row)
// The database's clock: leases are compared by it alone, whatever the clocks of the engines say.
#define WORKFLOWS_SQL_NOW "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
// In the order that `read_info` expects.
#define WORKFLOWS_SQL_INFO "key, workflow, id, generation, status, created, updated, wake, version, owner, expires"
// No later generation has replaced it. What has been replaced is finished: of the others none is looked for.
#define WORKFLOWS_SQL_IS_NEWEST                                                                                       \
  "(instances.status < 16 OR NOT EXISTS (SELECT 1 FROM instances AS later WHERE later.workflow = instances.workflow " \
  "AND later.id = instances.id AND later.generation > instances.generation))"
// In the order that `read_entry` expects.
#define WORKFLOWS_SQL_COMMON \
  "instance, prev, kind, step, attempt, at, began, name, step_kind, occurrence, after, need, value, deadline, source"
#define WORKFLOWS_SQL_ENTRY WORKFLOWS_SQL_COMMON ", event, event_type, detail"

// ---- workflows
inline constexpr char kWorkflowId[] = "SELECT id FROM workflows WHERE name = ?1";
inline constexpr char kWorkflowName[] = "SELECT name FROM workflows WHERE id = ?1";
inline constexpr char kAddWorkflow[] = "INSERT INTO workflows(name) VALUES(?1)";

// ---- values too large for their row
inline constexpr char kAddBlob[] = "INSERT INTO blobs(data) VALUES(?1)";
inline constexpr char kBlob[] = "SELECT data FROM blobs WHERE id = ?1";

inline constexpr char kRemoveBlob[] = "DELETE FROM blobs WHERE id = ?1";

// ---- instances
#define WORKFLOWS_SQL_NEW                                                                                           \
  "INSERT INTO instances(workflow, id, status, owner, unsettled, created, updated, version, params, keep_success, " \
  "keep_failure, generation, head) "
#define WORKFLOWS_SQL_NEW_ROW "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0)"
inline constexpr char kCreateNew[] = WORKFLOWS_SQL_NEW "VALUES" WORKFLOWS_SQL_NEW_ROW;
inline constexpr char kCreateTen[] = WORKFLOWS_SQL_NEW "VALUES" WORKFLOWS_SQL_TEN(WORKFLOWS_SQL_NEW_ROW);
// Also refuses when a later generation exists and the first one was deleted: that is why it is not left to the index.
inline constexpr char kCreate[] = WORKFLOWS_SQL_NEW
    "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0 "
    "WHERE NOT EXISTS (SELECT 1 FROM instances WHERE workflow = ?1 AND id = ?2)";
inline constexpr char kParamsById[] =
    "SELECT key, params FROM instances WHERE workflow = ?1 AND id = ?2 ORDER BY generation DESC LIMIT 1";
inline constexpr char kStatusById[] =
    "SELECT key, status, owner, head, unsettled, updated FROM instances WHERE workflow = ?1 AND id = ?2 ORDER BY "
    "generation DESC LIMIT 1";
inline constexpr char kInfoById[] =
    "SELECT " WORKFLOWS_SQL_INFO " FROM instances WHERE workflow = ?1 AND id = ?2 ORDER BY generation DESC LIMIT 1";
inline constexpr char kInfo[] = "SELECT " WORKFLOWS_SQL_INFO " FROM instances WHERE key = ?1 AND status <> 19";
inline constexpr char kWhole[] =
    "SELECT " WORKFLOWS_SQL_INFO ", head, unsettled, params FROM instances WHERE key = ?1 AND status <> 19";
inline constexpr char kGenerations[] =
    "SELECT " WORKFLOWS_SQL_INFO " FROM instances WHERE workflow = ?1 AND id = ?2 ORDER BY generation DESC";
inline constexpr char kNewestGeneration[] =
    "SELECT newest.key FROM instances AS this JOIN instances AS newest USING (workflow, id) "
    "WHERE this.key = ?1 AND this.status <> 19 ORDER BY newest.generation DESC LIMIT 1";
inline constexpr char kHead[] = "SELECT owner, head, unsettled FROM instances WHERE key = ?1 AND status <> 19";
inline constexpr char kOutcome[] = "SELECT status, head FROM instances WHERE key = ?1 AND status <> 19";
inline constexpr char kUnsettle[] = "UPDATE instances SET unsettled = 1 WHERE key = ?1 AND owner = ?2";
inline constexpr char kStoreHead[] = "UPDATE instances SET head = ?2 WHERE key = ?1";
inline constexpr char kSetStatus[] =
    "UPDATE instances SET status = CASE WHEN status IN (3, 5) THEN status ELSE ?3 END, wake = ?4, "
    "updated = CASE WHEN status = 3 THEN updated ELSE ?5 END, head = max(head, ?6), unsettled = unsettled AND ?7 "
    "WHERE key = ?1 AND owner = ?2";
inline constexpr char kFinish[] =
    "UPDATE instances SET status = ?2, wake = NULL, updated = ?3, head = ?4, unsettled = 0, owner = 0, "
    "expires = ?3 + nullif(CASE ?2 WHEN 16 THEN keep_success ELSE keep_failure END, -1) "
    "WHERE key = ?1 AND NOT (status = 5 AND ?2 = 16)";
// Sets a status that an entry brings. `updated` of a paused instance tells since when its timers stand still.
inline constexpr char kMove[] =
    "UPDATE instances SET status = ?2, wake = NULL, head = ?4, unsettled = unsettled AND ?5, "
    "updated = CASE WHEN status = 3 THEN updated ELSE ?3 END, owner = CASE WHEN ?5 THEN owner ELSE 0 END "
    "WHERE key = ?1";
inline constexpr char kAskOwner[] = "UPDATE instances SET status = ?2, updated = ?3 WHERE key = ?1";
inline constexpr char kNextGeneration[] =
    "INSERT INTO instances(workflow, id, generation, status, owner, head, unsettled, created, updated, version, "
    "params, "
    "keep_success, keep_failure) "
    "SELECT workflow, id, generation + 1, 0, 0, 0, 0, created, ?2, version, ?3, keep_success, keep_failure "
    "FROM instances WHERE key = ?1";
inline constexpr char kRelease[] =
    "UPDATE instances SET status = 0, owner = 0, wake = NULL, head = max(head, ?3), unsettled = 0 "
    "WHERE key = ?1 AND owner = ?2";
// ---- removal: a removed instance is out of sight at once; its rows go in small transactions
inline constexpr char kRemove[] =
    "UPDATE instances SET status = 19, workflow = 0, id = 'removed ' || key, owner = 0, wake = NULL, expires = NULL, "
    "head = ?2, unsettled = 0 WHERE key = ?1";
inline constexpr char kExpired[] =
    "SELECT workflow, id, generation FROM instances WHERE expires <= ?1 ORDER BY expires LIMIT ?2";
inline constexpr char kGenerationsUpTo[] =
    "SELECT key, owner, head, unsettled FROM instances WHERE workflow = ?1 AND id = ?2 AND generation <= ?3";
inline constexpr char kRemoved[] =
    "SELECT key, head FROM instances WHERE status = 19 AND (head > 0 OR key < (SELECT max(key) FROM instances)) "
    "LIMIT ?1";
inline constexpr char kPrevious[] = "SELECT prev, value FROM journal WHERE seq = ?1 AND instance = ?2";
inline constexpr char kRemoveEntry[] = "DELETE FROM journal WHERE seq = ?1";
// The greatest `seq` stays taken, and so does the greatest key.
inline constexpr char kEmptyEntry[] =
    "UPDATE journal SET instance = 0, prev = 0, name = NULL, value = NULL, event_type = NULL, detail = NULL, "
    "source = NULL WHERE seq = ?1";
inline constexpr char kGreatestSeq[] = "SELECT coalesce(max(seq), 0) FROM journal";
inline constexpr char kRemoveBlobs[] =
    "DELETE FROM blobs WHERE id IN (SELECT payload FROM inbox WHERE instance = ?1 AND typeof(payload) = 'integer')";
inline constexpr char kRemoveInbox[] = "DELETE FROM inbox WHERE instance = ?1";
inline constexpr char kRemoveParams[] =
    "DELETE FROM blobs WHERE id IN (SELECT params FROM instances WHERE key = ?1 AND typeof(params) = 'integer')";
inline constexpr char kRemoveInstance[] =
    "DELETE FROM instances WHERE key = ?1 AND key < (SELECT max(key) FROM instances)";
inline constexpr char kEmptyInstance[] = "UPDATE instances SET head = 0, params = NULL WHERE key = ?1";
inline constexpr char kParams[] = "SELECT params FROM instances WHERE key = ?1";

// `status < 16` is said to SQLite once more, so that it may use the index of unfinished instances.
inline constexpr char kClaimable[] =
    "SELECT " WORKFLOWS_SQL_INFO
    " FROM instances WHERE status = ?1 AND owner = 0 AND workflow = ?2 AND status < 16 "
    "ORDER BY key LIMIT ?3";
inline constexpr char kClaimableById[] =
    "SELECT " WORKFLOWS_SQL_INFO
    " FROM instances WHERE workflow = ?2 AND id = ?4 AND +status = ?1 AND +owner = 0 "
    "ORDER BY generation DESC LIMIT ?3";
inline constexpr char kClaim[] =
    "UPDATE instances SET owner = ?2, status = ?3, keep_success = coalesce(keep_success, ?4), "
    "keep_failure = coalesce(keep_failure, ?5) WHERE key = ?1";

// ---- journal
inline constexpr char kAppend[] =
    "INSERT INTO journal(seq, " WORKFLOWS_SQL_ENTRY ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
#define WORKFLOWS_SQL_ROW "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
inline constexpr char kAppendTen[] =
    "INSERT INTO journal(seq, " WORKFLOWS_SQL_COMMON ") VALUES" WORKFLOWS_SQL_TEN(WORKFLOWS_SQL_ROW);
inline constexpr char kEntry[] = "SELECT " WORKFLOWS_SQL_ENTRY " FROM journal WHERE seq = ?1";
inline constexpr char kTail[] = "SELECT seq, instance FROM journal WHERE seq > ?1";
inline constexpr char kNewestInTail[] = "SELECT max(seq) FROM journal WHERE seq > ?1 AND instance = ?2";

// ---- inbox
inline constexpr char kAddEvent[] =
    "INSERT INTO inbox(instance, type, event_id, at, taken, payload) VALUES(?1, ?2, ?3, ?4, 0, ?5) "
    "ON CONFLICT DO NOTHING";
inline constexpr char kCopyEvent[] =
    "INSERT INTO inbox(instance, type, event_id, at, taken, payload) "
    "SELECT ?2, type, event_id, at, ?3, ?4 FROM inbox WHERE id = ?1";
inline constexpr char kTakeEvent[] = "UPDATE inbox SET taken = 1 WHERE id = ?1 AND instance = ?2 AND taken = 0";
inline constexpr char kInbox[] =
    "SELECT id, instance, type, at, taken, payload FROM inbox WHERE instance = ?1 ORDER BY id";
inline constexpr char kArrivals[] =
    "SELECT inbox.id, instance, type, at, taken, payload, owner "
    "FROM inbox CROSS JOIN instances ON instances.key = inbox.instance WHERE inbox.id > ?1 ORDER BY inbox.id";
inline constexpr char kWithUntaken[] =
    "SELECT key FROM instances WHERE status = ?1 AND owner = ?2 AND status < 16 "
    "AND EXISTS (SELECT 1 FROM inbox WHERE inbox.instance = instances.key AND taken = 0)";

// ---- owners
// Tells as well after which entry those of this owner are numbered.
inline constexpr char kFence[] =
    "SELECT (SELECT coalesce(max(seq), 0) FROM journal), (SELECT 1 FROM notices WHERE owner = ?1) "
    "FROM owners WHERE id = ?1 AND epoch = ?2";
inline constexpr char kNotices[] = "SELECT id, instance, kind FROM notices WHERE owner = ?1 ORDER BY id";
inline constexpr char kNotify[] = "INSERT INTO notices(owner, instance, kind) VALUES(?1, ?2, ?3)";
inline constexpr char kForgetNotices[] = "DELETE FROM notices WHERE owner = ?1 AND id <= ?2";
// The epoch is the time of opening: ids alone may come again in a database that was restored from a copy.
inline constexpr char kOpenOwner[] =
    "INSERT INTO owners(epoch, lease_until, pid, scan_from) "
    "VALUES(" WORKFLOWS_SQL_NOW ", " WORKFLOWS_SQL_NOW
    " + ?1, ?2, (SELECT coalesce(max(seq), 0) FROM journal)) "
    "RETURNING id, epoch";
inline constexpr char kRenew[] = "UPDATE owners SET lease_until = " WORKFLOWS_SQL_NOW " + ?2 WHERE id = ?1";
inline constexpr char kOwners[] = "SELECT id, scan_from, lease_until <= " WORKFLOWS_SQL_NOW " FROM owners";
inline constexpr char kScanFrom[] = "SELECT scan_from FROM owners WHERE id = ?1";
inline constexpr char kMoveScan[] = "UPDATE owners SET scan_from = ?2 WHERE id = ?1";
inline constexpr char kRemoveOwner[] = "DELETE FROM owners WHERE id = ?1";
inline constexpr char kSettle[] = "UPDATE instances SET head = ?3 WHERE key = ?1 AND owner = ?2 AND head < ?3";
inline constexpr char kTakeAway[] =
    "UPDATE instances SET owner = 0, unsettled = 0, status = ?3 WHERE status = ?1 AND owner = ?2 AND status < 16";

inline constexpr char kDataVersion[] = "PRAGMA data_version";

}  // namespace workflows::storage::sqlite::sql

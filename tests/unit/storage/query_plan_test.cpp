#include <gmock/gmock.h>

#include "storage/sqlite/list_statement.h"
#include "storage/sqlite/sql.h"
#include "tests/unit/storage/sqlite_file.h"

namespace workflows::storage::sqlite {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class QueryPlan : public SqliteFile {
 protected:
  std::string plan_of(const std::string& sql) {
    std::string plan;
    const auto collect = [](void* into, int, char** values, char**) {
      *static_cast<std::string*>(into) += std::string(values[3]) + "\n";
      return 0;
    };
    const auto explain = "EXPLAIN QUERY PLAN " + sql;
    if (sqlite3_exec(raw_.handle(), explain.c_str(), collect, &plan, nullptr) != SQLITE_OK)
      throw std::runtime_error(sql + ": " + sqlite3_errmsg(raw_.handle()));
    return plan;
  }

 private:
  std::unique_ptr<Store> store_ = connect();
  RawConnection raw_{path()};
};

TEST_F(QueryPlan, NoStatementWalksThroughATableOrSorts) {
  for (const auto* sql : {sql::kWorkflowId,     sql::kWorkflowName,  sql::kBlob,           sql::kRemoveBlob,
                          sql::kCreate,         sql::kCreateNew,     sql::kParamsById,     sql::kStatusById,
                          sql::kInfoById,       sql::kInfo,          sql::kWhole,          sql::kOutcome,
                          sql::kUnsettle,       sql::kStoreHead,     sql::kSetStatus,      sql::kFinish,
                          sql::kRelease,        sql::kClaimable,     sql::kClaimableById,  sql::kClaim,
                          sql::kAppend,         sql::kAppendTen,     sql::kEntry,          sql::kTail,
                          sql::kNewestInTail,   sql::kAddEvent,      sql::kTakeEvent,      sql::kInbox,
                          sql::kArrivals,       sql::kWithUntaken,   sql::kFence,          sql::kRenew,
                          sql::kScanFrom,       sql::kMoveScan,      sql::kRemoveOwner,    sql::kSettle,
                          sql::kTakeAway,       sql::kMove,          sql::kAskOwner,       sql::kNotices,
                          sql::kNotify,         sql::kForgetNotices, sql::kNextGeneration, sql::kNewestGeneration,
                          sql::kHead,           sql::kRemove,        sql::kExpired,        sql::kGenerationsUpTo,
                          sql::kRemoved,        sql::kPrevious,      sql::kRemoveEntry,    sql::kRemoveInbox,
                          sql::kRemoveInstance, sql::kCreateTen}) {
    for (const auto* table : {"workflows", "instances", "journal", "inbox", "blobs", "owners", "notices"})
      EXPECT_THAT(plan_of(sql), Not(HasSubstr(std::string("SCAN ") + table))) << sql;
    EXPECT_THAT(plan_of(sql), Not(HasSubstr("TEMP B-TREE"))) << sql;
  }
}

TEST_F(QueryPlan, LoadingReadsTheJournalByItsKeyAlone) {
  EXPECT_EQ(plan_of(sql::kWhole), "SEARCH instances USING INTEGER PRIMARY KEY (rowid=?)\n");
  EXPECT_EQ(plan_of(sql::kEntry), "SEARCH journal USING INTEGER PRIMARY KEY (rowid=?)\n");
  EXPECT_EQ(plan_of(sql::kNewestInTail), "SEARCH journal USING INTEGER PRIMARY KEY (rowid>?)\n");
}

TEST_F(QueryPlan, ClaimsAndTakeoversUseTheIndexOfUnfinishedInstances) {
  EXPECT_EQ(plan_of(sql::kClaimable),
            "SEARCH instances USING INDEX instances_unfinished (status=? AND owner=? AND workflow=?)\n");
  EXPECT_EQ(plan_of(sql::kTakeAway), "SEARCH instances USING INDEX instances_unfinished (status=? AND owner=?)\n");
  EXPECT_THAT(plan_of(sql::kWithUntaken),
              HasSubstr("SEARCH instances USING COVERING INDEX instances_unfinished (status=? AND owner=?)"));
  EXPECT_THAT(plan_of(sql::kWithUntaken), HasSubstr("SEARCH inbox USING INDEX inbox_untaken (instance=?)"));
}

TEST_F(QueryPlan, S30_RetentionLooksAtNothingThatHasNotExpired) {
  EXPECT_EQ(plan_of(sql::kExpired), "SEARCH instances USING INDEX instances_expiring (expires<?)\n");
  EXPECT_THAT(plan_of(sql::kRemoved), HasSubstr("SEARCH instances USING INDEX instances_removed (status=?)"));
}

TEST_F(QueryPlan, ListsWalkTheKeysUnlessAnIndexSuitsTheirFilter) {
  const auto plan = [&](const ListQuery& query) { return plan_of(list_statement(query)); };
  const std::string by_key = "SEARCH instances USING INTEGER PRIMARY KEY (rowid>?)\n";
  EXPECT_EQ(plan({}), by_key);
  EXPECT_EQ(plan({.workflow = "w"}), by_key);
  EXPECT_EQ(plan({.status = Status::complete}), by_key);
  EXPECT_EQ(plan({.created_after = TimePoint()}), by_key);
  EXPECT_EQ(plan({.workflow = "w", .status = Status::errored, .created_after = TimePoint()}), by_key);
  EXPECT_EQ(plan({.id_prefix = "a"}), by_key);
  EXPECT_THAT(plan({.newest_only = true}), HasSubstr(by_key));
  EXPECT_THAT(plan({.newest_only = true}), HasSubstr("SEARCH later USING COVERING INDEX instances_by_id (workflow=? "
                                                     "AND id=? AND generation>?)"));
  EXPECT_THAT(plan({.workflow = "w", .id_prefix = "a"}),
              HasSubstr("SEARCH instances USING INDEX instances_by_id (workflow=? AND id>? AND id<?)"));
  EXPECT_THAT(plan({.status = Status::waiting}),
              HasSubstr("SEARCH instances USING INDEX instances_unfinished (status=?"));
}

TEST_F(QueryPlan, JournalHasNoIndexToKeepUp) {
  RawConnection raw(path());
  EXPECT_EQ(raw.row("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'journal'"), "0");
}

}  // namespace
}  // namespace workflows::storage::sqlite

#pragma once
// What the world saw: what was committed, what was told to code and to callers, which bodies ran. Everything that is
// written down here is held against the invariants at once. With durability normal, a copy of the ledger belongs to a
// copy of the database: what a power cut undoes was never seen. With durability full nothing that is in here is undone.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/memory/memory_data.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/evaluate.h"

namespace workflows::simulation {

using storage::memory::Tables;
using Name = std::pair<std::string, std::string>;  // of an instance: its workflow and its id
using Programs = std::map<std::string, Op>;        // by name of the workflow

// A body that runs: of this step, or of its compensation.
struct Body {
  InstanceKey key;
  Ticket ticket;
  std::uint32_t attempt;
  const Op* op;
  bool is_rollback;
};

class Ledger {
 public:
  Ledger(const Programs& programs, Counters& counters) : programs_(&programs), counters_(&counters) {}

  // ---- the database: to be called after every write; `life` is the engine that wrote, 0: a caller, who may be about
  // to remove an instance
  void observe(const Tables& data, TimePoint latest, int life, const std::optional<Name>& removing);

  // ---- the code of one life of an instance
  void asked(InstanceKey key, Ticket ticket, const Op& op);
  void told(InstanceKey key, Ticket ticket, const Op& op, const Outcome& outcome, const Tables& data);
  void won(InstanceKey key, const Op& race, std::size_t winner);
  void body_began(const Body& body, int life, bool owned);

  // ---- callers
  void created(const std::string& id, InstanceKey key, const Tables& data);
  void sent(const std::string& event_id, const Tables& data);

  // ---- at the end
  void check_acknowledged(const Tables& data) const;
  static void check_indexes(const Tables& data);
  // Waits of this instance for which there is an event that they did not take.
  std::vector<std::string> starving(InstanceKey key, const Tables& data) const;
  // Events that this instance waits for, by type.
  std::vector<std::string> awaited(InstanceKey key) const;

 private:
  struct Step {
    StepKind kind{};
    std::string name{};
    std::uint32_t occurrence = 0;
    std::uint32_t attempt = 0;
    bool ended = false;
    bool withdrawn = false;  // a wait whose await was cancelled
    TimePoint began{};
    std::optional<TimePoint> deadline{};
    std::vector<std::pair<TimePoint, TimePoint>> pauses{};  // since `deadline` was recorded; they put it off
    std::string type{};
  };
  struct Bodies {
    std::uint32_t count = 0;
    std::set<int> lives{};  // that began one, or said so
  };
  struct Compensation {
    std::string name;
    std::uint32_t occurrence;
    bool goes_on;
  };
  struct Record {
    std::string workflow{};
    std::string id{};
    const Op* program = nullptr;
    std::vector<RecordedEntry> entries{};
    std::map<Ticket, Step> steps{};
    std::map<Ticket, std::uint32_t> places{};
    std::map<std::uint32_t, Bodies> bodies{};  // by place, as what the code was told
    std::map<std::uint32_t, BodyOutcome> told{};
    std::map<std::uint32_t, std::size_t> winners{};
    std::map<std::string, std::int64_t> last_taken{};
    std::vector<Compensation> to_compensate{};  // the last one first
    std::size_t compensated = 0;
    std::set<std::string> events{};  // ids
    Status status{};
    bool chain_stopped = false;
    bool ended = false;
    bool paused = false;
    bool stood_still = false;  // for some time: its timers have moved
    bool rolls_back = false;
    std::optional<TimePoint> expires{};
  };
  class Facts;

  Record& record_of(const storage::memory::Instance& instance);
  bool has_expired(const Record& record, TimePoint latest) const;
  void check_removed(const Tables& data, TimePoint latest, const std::optional<Name>& removing);
  static void check_status(const Record& record, Status status, int life);
  void check_created(const std::string& id, InstanceKey key, const Tables& data) const;
  void check_sent(const std::string& event_id, const Tables& data) const;
  void check(Record& record, const Entry& entry, const Tables& data, TimePoint latest, int life);
  void check_step(Record& record, const Entry& entry, const Tables& data, int life);
  void check_attempt(Record& record, const Step& step, const Op& op, const Entry& entry, int life);
  void check_time(const Step& step, const Op* op, const Entry& entry, bool stood_still);
  void check_taken(Record& record, const Step& step, const Entry& entry, const Tables& data);
  void check_compensation(Record& record, const Entry& entry);
  void begin_chain(Record& record, const Entry& entry);
  void check_end(Record& record, const Entry& entry);
  static void check_report(const Record& record, const Entry& entry);
  void shift(Record& record, const Entry& resumed);
  static TimePoint due(const Step& step, TimePoint when);
  const Op* op_of(const Record& record, Ticket ticket) const;
  BodyOutcome expected(const Record& record) const;

  const Programs* programs_;
  Counters* counters_;
  std::map<InstanceKey, Record> records_;
  std::map<InstanceKey, std::string> created_;  // ids
  std::set<std::string> sent_;                  // ids of events
  std::set<InstanceKey> removed_;
  std::set<std::string> removed_events_;  // with their instances
};

}  // namespace workflows::simulation

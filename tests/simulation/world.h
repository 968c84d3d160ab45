#pragma once
// One run: engines over one database, on one simulated clock, moved in an order that the seed gives, with what can go
// wrong going wrong. Then nothing goes wrong any more, and everything has to come to its end.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/simulation/scenario.h"
#include "tests/simulation/simulated_store.h"
#include "tests/simulation/worker.h"

namespace workflows::simulation {

BOOST_DEFINE_ENUM_CLASS(Control, pause, resume, terminate, roll_back, restart, remove)

class World {
 public:
  World(const Scenario& scenario, Counters& counters);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Throws Violation.
  void run();
  // What is recorded of all instances, for people.
  std::string journal() const;

 private:
  class WallClock;

  // A process, with or without life in it.
  struct Process {
    std::shared_ptr<Wire> wire{};
    std::unique_ptr<Worker> worker{};
    int life = 0;
    std::uint32_t stands_still = 0;  // for so many moves
  };
  // On its way, with what it is about.
  struct Call {
    std::vector<std::string> ids;
    std::string event_id{};  // "": creations
  };
  enum class Answer : std::uint8_t { done, refused, none };
  struct Backup {
    storage::memory::Tables tables;
    Ledger ledger;
  };

  bool has(Fault fault) const;
  std::string some_id() { return "i" + std::to_string(random_.below(scenario_.instances)); }
  std::string workflow_of(const std::string& id) const;
  CreateRequest creation_of(const std::string& id) const;
  Process& some_process() { return processes_[random_.below(processes_.size())]; }
  Worker* some_worker() { return some_process().worker.get(); }
  std::shared_ptr<Wire> new_wire(const Process* process);
  HostOptions options() const;

  // moves
  void move();
  void go_wrong();
  void move(Process& process);
  void pass(Millis by);
  void start(Process& process);
  void kill(Process& process);
  void look_after(Process& process);
  void stop_if_failed(Process& process);
  void cut_power();
  void upgrade();
  void create();
  void create_batch();
  void send_event(int number);
  std::optional<InstanceInfo> newest(const std::string& id) const;
  void control();
  void control(Client& client, Control verb, const std::string& id);
  void check_control(Control verb, const InstanceInfo& before, const std::optional<InstanceInfo>& after,
                     Answer answer) const;
  Answer call(const std::function<void(Client&)>& verb);
  void ask(Worker& worker, Call call, const std::function<CallId(Host&)>& verb);
  void hear(const Process& process);
  void hear(const Call& call, const decltype(CallReply::result)& result);
  WriteFault write_fault(std::string_view write);
  void connect_client();

  // the database
  void before(const storage::WriteBatch& batch);
  void after(const Process* process, const storage::WriteBatch& batch,
             const std::expected<std::vector<storage::ItemResult>, Error>& results);
  void observe(const Process* process);
  void keep_backup();

  // the end
  void settle();
  bool has_everything_ended() const;
  void let_everybody_work();
  bool work(Process& process);
  void check_nobody_starves() const;
  void feed();
  void check_end();

  const Scenario scenario_;
  Random random_;
  Counters& counters_;
  Programs programs_;
  std::shared_ptr<storage::memory::Data> data_ = std::make_shared<storage::memory::Data>();
  Ledger ledger_;
  TimePoint now_;
  TimePoint latest_;
  runtime::SteadyTime steady_{};
  std::shared_ptr<WallClock> clock_;
  std::vector<Process> processes_;
  std::shared_ptr<Wire> client_wire_;
  std::unique_ptr<Client> client_;
  std::deque<Backup> backups_;  // commits that are not synced, oldest first
  std::map<std::pair<int, CallId>, Call> calls_;
  std::vector<std::vector<std::string>> batches_;  // ids that were to be created together
  int lives_ = 0;
  int events_ = 0;
  bool is_patched_ = false;
  bool faultless_ = false;
  bool power_fails_ = false;
  std::optional<Name> removing_;  // by the call under way
  // Of the batch that is being committed.
  bool owner_is_current_ = false;
  std::vector<InstanceKey> foreign_;
};

}  // namespace workflows::simulation

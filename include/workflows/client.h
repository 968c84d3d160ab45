#pragma once
// Management from outside: create, look, send events, pause, restart, delete. Runs no workflow code and needs no
// engine; a running engine, in any process, acts on what a client does within milliseconds.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <workflows/error.h>
#include <workflows/instance_info.h>
#include <workflows/time.h>

namespace workflows {

enum class OnConflict : std::uint8_t { error, return_existing };

struct CreateRequest {
  std::string workflow{};
  std::string params = "{}";  // JSON
  std::string id{};           // "": a UUID v7
  OnConflict on_conflict = OnConflict::error;
  std::optional<Retention> retention{};  // absent: as the workflow says
};

struct SendEventRequest {
  std::string workflow{};
  std::string id{};
  std::string type{};
  std::string payload = "null";  // JSON
  std::string event_id{};        // "": no deduplication (S24)
};

struct InstanceRef {
  InstanceKey key = 0;
  std::string workflow{};
  std::string id{};
};

using BatchOutcome = std::vector<std::variant<InstanceRef, Error>>;

struct RestartRequest {
  std::string workflow{};
  std::string id{};
  // Results of steps that this one does not follow are kept (S28). "": nothing is.
  std::string from_step{};
  std::uint32_t count = 1;
  StepKind kind = StepKind::do_;
};

struct Restarted {
  InstanceRef instance;
  std::vector<StepInfo> kept{};
};

struct ClientOptions {
  std::string database{};  // a path
  bool create = true;      // make the file if it is not there
  bool read_only = false;  // every call that would write throws StoreError
};

// Thread-safe; calls block for one transaction at most. Every call throws the WorkflowsError classes of error.h.
//
//   workflows::Client client({.database = "shop.db"});
//   auto order = client.create({.workflow = "order", .params = R"({"sku":"A1"})"});
//   client.send_event({.workflow = "order", .id = order.id, .type = "paid"});
class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // Acknowledged after commit. InstanceExistsError: the id is taken (or its params differ, with return_existing).
  InstanceRef create(const CreateRequest& request);
  // One transaction, each item with its own outcome, in their order (S29).
  BatchOutcome create_batch(const std::vector<CreateRequest>& requests);
  // InstanceNotFoundError, InstanceFinishedError.
  void send_event(const SendEventRequest& request);

  // Lifecycle (S26). Each takes effect at once, whether or not an engine runs the instance: when the call returns, no
  // later step of it is recorded; the engine hears of it within milliseconds. InstanceNotFoundError,
  // InvalidTransitionError.
  void pause(const std::string& workflow,
             const std::string& id);  // bodies that run may finish: waitingForPause, then paused
  void resume(const std::string& workflow, const std::string& id);
  void terminate(const std::string& workflow, const std::string& id, bool rollback = false);
  // A new generation with the same id, params and creation time. InvalidConfigError: there is no such step to start
  // from.
  Restarted restart(const RestartRequest& request);
  // All generations, with their events.
  void remove(const std::string& workflow, const std::string& id);
  // One transaction; absent: removed.
  std::vector<std::optional<Error>> remove_batch(const std::string& workflow, const std::vector<std::string>& ids);
  // Removes finished instances whose retention is over, and what removed ones left, in small transactions, until
  // `limit` rows are gone or nothing is left. Engines do it by themselves. Returns how many rows it removed.
  std::uint64_t collect_garbage(std::uint64_t limit);

  // InstanceNotFoundError.
  InstanceRef get(const std::string& workflow, const std::string& id);
  bool exists(const std::string& workflow, const std::string& id);
  // Of the generation that this key names, here and below; `result` follows to the newest one.
  InstanceStatus status(InstanceKey key);
  InstanceInfo info(InstanceKey key);
  // Every generation, newest first. InstanceNotFoundError.
  std::vector<InstanceInfo> generations(const std::string& workflow, const std::string& id);
  std::vector<StepInfo> steps(InstanceKey key);
  InstanceHistory history(InstanceKey key);
  // Entries after the cursor, in commit order; 0: all.
  std::vector<RecordedEntry> entries(InstanceKey key, std::int64_t after = 0);
  // Blocks until another connection has committed anything, or `timeout` has passed (then: false).
  bool wait_for_change(Millis timeout);
  // By age, oldest first; pass the last key as `after` for the next page.
  std::vector<InstanceInfo> list(const ListQuery& query);

  // Blocks until its newest generation is finished or `timeout` has passed (then: absent). Absent timeout: for ever.
  std::optional<InstanceStatus> result(InstanceKey key, std::optional<Millis> timeout);

  // Idempotent; afterwards every call throws EngineClosedError.
  void close();

 private:
  friend class ClientAccess;
  struct State;
  explicit Client(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace workflows

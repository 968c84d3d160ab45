#pragma once
// Management from outside: create, look, send events. Runs no workflow code and needs no engine; a running engine, in
// any process, acts on what a client does within milliseconds.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <workflows/instance_info.h>
#include <workflows/time.h>

namespace workflows {

enum class OnConflict : std::uint8_t { error, return_existing };

struct CreateRequest {
  std::string workflow{};
  std::string params = "{}";  // JSON
  std::string id{};           // "": a UUID v7
  OnConflict on_conflict = OnConflict::error;
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

struct ClientOptions {
  std::string database{};  // a path
  bool create = true;      // make the file if it is not there
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
  // InstanceNotFoundError, InstanceFinishedError.
  void send_event(const SendEventRequest& request);

  // InstanceNotFoundError.
  InstanceRef get(const std::string& workflow, const std::string& id);
  bool exists(const std::string& workflow, const std::string& id);
  InstanceStatus status(InstanceKey key);
  std::vector<StepInfo> steps(InstanceKey key);
  // By age, oldest first; pass the last key as `after` for the next page.
  std::vector<InstanceInfo> list(const ListQuery& query);

  // Blocks until the instance is finished or `timeout` has passed (then: absent). Absent timeout: for ever.
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

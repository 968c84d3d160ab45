#include <fmt/format.h>
#include <unistd.h>
#include <workflows/client.h>
#include <workflows/host.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "engine/core/report.h"
#include "engine/runtime/client_access.h"
#include "engine/values/json.h"
#include "engine/values/text.h"
#include "storage/store.h"

namespace workflows {
namespace {

using values::quoted;
using SteadyTime = std::chrono::steady_clock::time_point;

// How often a waiting client looks whether another connection has committed.
constexpr std::chrono::milliseconds kPollPeriod{2};

template <class T>
T value_or_throw(std::expected<T, Error> result) {
  if (!result) throw_error(result.error());
  return std::move(*result);
}

// What a store that is merely busy could not tell is asked again later.
template <class T>
std::optional<T> value_unless_busy(std::expected<T, Error> result) {
  if (!result && result.error().code == ErrorCode::store_busy) return std::nullopt;
  return value_or_throw(std::move(result));
}

void check_json(std::string_view what, std::string_view text) {
  if (const auto problem = values::json_problem(text)) {
    throw SerializationError(fmt::format("The {} are not valid JSON: {}. Given: {}.", what, *problem, quoted(text)));
  }
}

std::string describe(const std::string& workflow, const std::string& id) {
  return fmt::format("instance {} of workflow {}", quoted(id, 100), quoted(workflow));
}

[[noreturn]] void throw_not_found(const std::string& workflow, const std::string& id) {
  throw InstanceNotFoundError(
      fmt::format("There is no {}. Check both names, or list the instances of the workflow.", describe(workflow, id)));
}

std::optional<SteadyTime> deadline_after(std::optional<Millis> timeout) {
  if (!timeout || *timeout > kMaxDuration) return std::nullopt;
  return std::chrono::steady_clock::now() + *timeout;
}

}  // namespace

struct Client::State {
  State(std::shared_ptr<storage::Database> its_database, std::shared_ptr<const Clock> its_clock)
      : database(std::move(its_database)), clock(std::move(its_clock)), store(value_or_throw(database->connect())) {}

  // Every call begins here.
  static std::unique_lock<std::mutex> enter(const std::unique_ptr<State>& state) {
    if (state == nullptr) throw_closed();
    if (state->pid != ::getpid()) {
      throw ForkedError(
          fmt::format("This client belongs to process {} and cannot be used in process {}, which was forked "
                      "from it. Open a client of its own there.",
                      state->pid, ::getpid()));
    }
    std::unique_lock lock(state->mutex);
    state->check_open();
    return lock;
  }

  void check_open() const {
    if (store == nullptr) throw_closed();
  }

  [[noreturn]] static void throw_closed() { throw EngineClosedError("This client is closed. Open a new one."); }

  TimePoint now() const { return clock ? clock->now() : std::chrono::floor<Millis>(std::chrono::system_clock::now()); }

  template <class Result>
  Result commit(const storage::Item& item) {
    return std::get<Result>(value_or_throw(store->commit({.items = {&item, 1}})).front());
  }

  void notice_changes() {
    if (value_unless_busy(store->changed()).value_or(false)) ++changes;
  }

  // A moment without the lock. False when the deadline has come.
  bool pause(std::unique_lock<std::mutex>& lock, std::optional<SteadyTime> deadline) {
    const auto now = std::chrono::steady_clock::now();
    if (deadline && now >= *deadline) return false;
    closing.wait_until(lock, deadline ? std::min(now + kPollPeriod, *deadline) : now + kPollPeriod);
    check_open();
    return true;
  }

  const pid_t pid = ::getpid();
  std::mutex mutex;  // guards everything below
  std::condition_variable closing;
  std::shared_ptr<storage::Database> database;
  std::shared_ptr<const Clock> clock;
  std::unique_ptr<storage::Store> store;  // absent once closed
  std::uint64_t changes = 0;              // commits of others, as far as noticed
};

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}

Client::Client(ClientOptions options)
    : state_(std::make_unique<State>(
          value_or_throw(storage::open_database({.location = std::move(options.database), .create = options.create})),
          nullptr)) {}

Client ClientAccess::open(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock) {
  return Client(std::make_unique<Client::State>(std::move(database), std::move(clock)));
}

Client::~Client() { close(); }
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&& other) noexcept {
  close();
  state_ = std::move(other.state_);
  return *this;
}

InstanceRef Client::create(const CreateRequest& request) {
  const auto lock = State::enter(state_);
  check_workflow_name(request.workflow);
  if (!request.id.empty()) check_instance_id(request.id);
  check_json("params", request.params);
  const TimePoint now = state_->now();
  const std::string id = request.id.empty() ? make_instance_id(now) : request.id;
  const auto created = state_->commit<storage::Created>(
      storage::Create{.workflow = request.workflow, .id = id, .params = request.params, .version = {}, .created = now});
  if (created.existed && request.on_conflict == OnConflict::error) {
    throw InstanceExistsError(
        fmt::format("There is an {} already. Give another id, or ask for the existing one to be returned.",
                    describe(request.workflow, id)));
  }
  if (created.existed && !created.same_params) {
    throw InstanceExistsError(
        fmt::format("There is an {} already, with other params. It is returned only when the params "
                    "are the same, byte for byte; give another id for other params.",
                    describe(request.workflow, id)));
  }
  return {.key = created.key, .workflow = request.workflow, .id = id};
}

void Client::send_event(const SendEventRequest& request) {
  const auto lock = State::enter(state_);
  check_workflow_name(request.workflow);
  check_instance_id(request.id);
  check_event_type(request.type);
  check_json("event's contents", request.payload);
  const auto sent = state_->commit<storage::Sent>(storage::SendEvent{.workflow = request.workflow,
                                                                     .id = request.id,
                                                                     .type = request.type,
                                                                     .payload = request.payload,
                                                                     .event_id = request.event_id,
                                                                     .at = state_->now()});
  if (!sent.refused) return;
  if (*sent.refused == ErrorCode::instance_not_found) throw_not_found(request.workflow, request.id);
  throw_error({*sent.refused, fmt::format("The {} is finished and takes no event {}. Restart it, or send the event to "
                                          "another instance.",
                                          describe(request.workflow, request.id), quoted(request.type))});
}

InstanceRef Client::get(const std::string& workflow, const std::string& id) {
  const auto lock = State::enter(state_);
  check_workflow_name(workflow);
  check_instance_id(id);
  const auto found = value_or_throw(state_->store->find(workflow, id));
  if (!found) throw_not_found(workflow, id);
  return {.key = found->key, .workflow = workflow, .id = id};
}

bool Client::exists(const std::string& workflow, const std::string& id) {
  const auto lock = State::enter(state_);
  check_workflow_name(workflow);
  check_instance_id(id);
  return value_or_throw(state_->store->find(workflow, id)).has_value();
}

InstanceStatus Client::status(InstanceKey key) {
  const auto lock = State::enter(state_);
  return value_or_throw(state_->store->status(key));
}

std::vector<StepInfo> Client::steps(InstanceKey key) {
  const auto lock = State::enter(state_);
  const auto loaded = value_or_throw(state_->store->load(key));
  return core::report_steps(loaded.history, loaded.inbox);
}

std::vector<InstanceInfo> Client::list(const ListQuery& query) {
  const auto lock = State::enter(state_);
  if (query.workflow) check_workflow_name(*query.workflow);
  return value_or_throw(state_->store->list(query));
}

std::optional<InstanceStatus> Client::result(InstanceKey key, std::optional<Millis> timeout) {
  auto lock = State::enter(state_);
  const auto deadline = deadline_after(timeout);
  for (;;) {
    state_->notice_changes();  // before the status is read, so that a later change is seen as one
    const std::uint64_t seen = state_->changes;
    auto status = value_unless_busy(state_->store->status(key));
    if (status && is_finished(status->status)) return status;
    do {
      if (!state_->pause(lock, deadline)) return std::nullopt;
      state_->notice_changes();
    } while (status && state_->changes == seen);
  }
}

void Client::close() {
  if (state_ == nullptr) return;
  if (state_->pid != ::getpid()) {
    (void)state_.release();  // a connection must not be touched in a forked process, not even to close it
    return;
  }
  const std::lock_guard lock(state_->mutex);
  state_->store.reset();
  state_->database.reset();
  state_->closing.notify_all();
}

}  // namespace workflows

#include <fmt/format.h>
#include <unistd.h>
#include <workflows/client.h>
#include <workflows/host.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <span>
#include <utility>

#include "engine/core/report.h"
#include "engine/core/restart.h"
#include "engine/runtime/client_access.h"
#include "engine/runtime/refusal.h"
#include "engine/values/json.h"
#include "engine/values/mutex.h"
#include "engine/values/redaction.h"
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
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

template <class Check>
std::optional<Error> refusal(Check check) {
  try {
    check();
  } catch (const WorkflowsError& error) { return Error{error.code(), error.what()}; }
  return std::nullopt;
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

std::string_view words_of(storage::Verb verb) {
  switch (verb) {
    case storage::Verb::pause:
      return "paused";
    case storage::Verb::resume:
      return "resumed";
    case storage::Verb::terminate:
    case storage::Verb::roll_back:
      return "terminated";
    case storage::Verb::remove:
      return "deleted";
  }
  return "changed";
}

storage::Create to_item(const CreateRequest& request, TimePoint now) {
  check_workflow_name(request.workflow);
  if (!request.id.empty()) check_instance_id(request.id);
  check_json("params", request.params);
  return {.workflow = request.workflow,
          .id = request.id.empty() ? make_instance_id(now) : request.id,
          .params = request.params,
          .version = {},
          .created = now,
          .new_id = request.id.empty(),
          .retention = request.retention};
}

}  // namespace

struct Client::State {
  State(std::shared_ptr<storage::Database> its_database, std::shared_ptr<const Clock> its_clock)
      : clock(std::move(its_clock)), database(std::move(its_database)), store(value_or_throw(database->connect())) {}

  // Every call begins here: the client is there, of this process and open, and stays so.
  class SCOPED_CAPABILITY Call {
   public:
    explicit Call(const std::unique_ptr<State>& state) ACQUIRE(state->mutex) : lock_(usable(state).mutex) {
      state->check_open();
    }
    ~Call() RELEASE() = default;
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    values::MutexLock lock_;
  };

  static State& usable(const std::unique_ptr<State>& state) {
    if (state == nullptr) throw_closed();
    if (state->pid != ::getpid()) {
      throw ForkedError(
          fmt::format("This client belongs to process {} and cannot be used in process {}, which was forked "
                      "from it. Open a client of its own there.",
                      state->pid, ::getpid()));
    }
    return *state;
  }

  void check_open() const REQUIRES(mutex) {
    if (store == nullptr) throw_closed();
  }

  [[noreturn]] static void throw_closed() { throw EngineClosedError("This client is closed. Open a new one."); }

  TimePoint now() const { return clock ? clock->now() : std::chrono::floor<Millis>(std::chrono::system_clock::now()); }

  std::vector<storage::ItemResult> commit(std::span<const storage::Item> items) REQUIRES(mutex) {
    return value_or_throw(store->commit({.items = items}));
  }
  template <class Result>
  Result commit(const storage::Item& item) REQUIRES(mutex) {
    return std::get<Result>(commit(std::span(&item, 1)).front());
  }

  void control(const std::string& workflow, const std::string& id, storage::Verb verb) REQUIRES(mutex) {
    check_workflow_name(workflow);
    check_instance_id(id);
    const auto done =
        commit<storage::Controlled>(storage::Control{.workflow = workflow, .id = id, .verb = verb, .at = now()});
    if (done.refused) throw_error(runtime::refusal(done, workflow, id, words_of(verb)));
  }

  // What was taken out of an imported history is not there to be run again.
  void check_whole(const RestartRequest& request) REQUIRES(mutex) {
    const auto info = value_or_throw(store->find(request.workflow, request.id));
    if (!info || !is_finished(info->status)) return;
    const auto old = value_or_throw(store->load(info->key));
    if (old.history.empty() || !values::has_redaction_mark(old.history.back())) return;
    if (request.from_step.empty() && old.params != values::kRedacted) return;
    throw SerializationError(
        fmt::format("The {} cannot be restarted{}: values of it were redacted before it was imported. Export it with "
                    "--sensitive, and import that.",
                    describe(request.workflow, request.id), request.from_step.empty() ? "" : " from a step"));
  }

  void notice_changes() REQUIRES(mutex) {
    if (value_unless_busy(store->changed()).value_or(false)) ++changes;
  }

  // A moment without the lock. False when the deadline has come.
  bool pause(std::optional<SteadyTime> deadline) REQUIRES(mutex) {
    const auto now = std::chrono::steady_clock::now();
    if (deadline && now >= *deadline) return false;
    closing.wait_until(mutex, deadline ? std::min(now + kPollPeriod, *deadline) : now + kPollPeriod);
    check_open();
    return true;
  }

  const pid_t pid = ::getpid();
  const std::shared_ptr<const Clock> clock;
  values::Mutex mutex;
  std::condition_variable_any closing;
  std::shared_ptr<storage::Database> database GUARDED_BY(mutex);
  std::unique_ptr<storage::Store> store GUARDED_BY(mutex);  // absent once closed
  std::uint64_t changes GUARDED_BY(mutex) = 0;              // commits of others, as far as noticed
  std::uint64_t seen_changes GUARDED_BY(mutex) = 0;         // by wait_for_change
};

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}

Client::Client(ClientOptions options)
    : state_(std::make_unique<State>(
          value_or_throw(storage::open_database(
              {.location = std::move(options.database), .create = options.create, .read_only = options.read_only})),
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
  const State::Call call(state_);
  storage::Create item = to_item(request, state_->now());
  CreateRequest named = request;
  named.id = item.id;
  const auto created = state_->commit<storage::Created>(std::move(item));
  if (const auto error = runtime::conflict(created, named)) throw_error(*error);
  return {.key = created.key, .workflow = named.workflow, .id = named.id};
}

BatchOutcome Client::create_batch(const std::vector<CreateRequest>& requests) {
  const State::Call call(state_);
  BatchOutcome outcomes;
  std::vector<CreateRequest> named;
  storage::CreateBatch batch;
  for (const CreateRequest& request : requests) {
    const auto error = refusal([&] { batch.creates.push_back(to_item(request, state_->now())); });
    outcomes.emplace_back(error.value_or(Error{}));
    if (error) continue;
    named.push_back(request);
    named.back().id = batch.creates.back().id;
  }
  if (named.empty()) return outcomes;
  const auto created = state_->commit<storage::CreatedBatch>(std::move(batch)).created;
  std::size_t next = 0;
  for (auto& outcome : outcomes) {
    if (!std::get<Error>(outcome).message.empty()) continue;
    outcome = runtime::outcome_of(created[next], named[next]);
    ++next;
  }
  return outcomes;
}

void Client::send_event(const SendEventRequest& request) {
  const State::Call call(state_);
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

void Client::pause(const std::string& workflow, const std::string& id) {
  const State::Call call(state_);
  state_->control(workflow, id, storage::Verb::pause);
}

void Client::resume(const std::string& workflow, const std::string& id) {
  const State::Call call(state_);
  state_->control(workflow, id, storage::Verb::resume);
}

void Client::terminate(const std::string& workflow, const std::string& id, bool rollback) {
  const State::Call call(state_);
  state_->control(workflow, id, rollback ? storage::Verb::roll_back : storage::Verb::terminate);
}

void Client::remove(const std::string& workflow, const std::string& id) {
  const State::Call call(state_);
  state_->control(workflow, id, storage::Verb::remove);
}

std::vector<std::optional<Error>> Client::remove_batch(const std::string& workflow,
                                                       const std::vector<std::string>& ids) {
  const State::Call call(state_);
  check_workflow_name(workflow);
  std::vector<std::optional<Error>> outcomes;
  std::vector<storage::Item> items;
  for (const std::string& id : ids) {
    outcomes.push_back(refusal([&] { check_instance_id(id); }));
    if (!outcomes.back())
      items.emplace_back(
          storage::Control{.workflow = workflow, .id = id, .verb = storage::Verb::remove, .at = state_->now()});
  }
  if (items.empty()) return outcomes;
  const auto results = state_->commit(items);
  auto result = results.begin();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (outcomes[i]) continue;
    const auto& done = std::get<storage::Controlled>(*result++);
    if (done.refused) outcomes[i] = runtime::refusal(done, workflow, ids[i], words_of(storage::Verb::remove));
  }
  return outcomes;
}

Restarted Client::restart(const RestartRequest& request) {
  const State::Call call(state_);
  check_workflow_name(request.workflow);
  check_instance_id(request.id);
  state_->check_whole(request);
  storage::Restart item{.workflow = request.workflow, .id = request.id, .at = state_->now(), .keep = {}};
  std::vector<StepInfo> kept;
  if (!request.from_step.empty()) {
    item.keep = [&](const storage::Loaded& old) -> std::expected<storage::Kept, Error> {
      auto history = core::keep_for_restart(old.history, {request.from_step, request.count, request.kind});
      if (!history) return std::unexpected(std::move(history.error()));
      history->entries.front().at = item.at;
      kept = core::report_steps(history->entries, old.inbox);
      return storage::Kept{std::move(history->entries), std::move(history->events)};
    };
  }
  const auto done = state_->commit<storage::Controlled>(item);
  if (done.refused) throw_error(runtime::refusal(done, request.workflow, request.id, "restarted"));
  return {.instance = {.key = done.key, .workflow = request.workflow, .id = request.id}, .kept = std::move(kept)};
}

std::uint64_t Client::collect_garbage(std::uint64_t limit) {
  constexpr std::uint64_t kRowsAtOnce = 1'000;
  std::uint64_t removed = 0;
  for (bool more = true; more && removed < limit;) {
    const State::Call call(state_);
    const auto part =
        value_or_throw(state_->store->collect_garbage(state_->now(), std::min(kRowsAtOnce, limit - removed)));
    removed += part.rows;
    more = part.more;
  }
  return removed;
}

InstanceRef Client::get(const std::string& workflow, const std::string& id) {
  const State::Call call(state_);
  check_workflow_name(workflow);
  check_instance_id(id);
  const auto found = value_or_throw(state_->store->find(workflow, id));
  if (!found) throw_not_found(workflow, id);
  return {.key = found->key, .workflow = workflow, .id = id};
}

bool Client::exists(const std::string& workflow, const std::string& id) {
  const State::Call call(state_);
  check_workflow_name(workflow);
  check_instance_id(id);
  return value_or_throw(state_->store->find(workflow, id)).has_value();
}

InstanceStatus Client::status(InstanceKey key) {
  const State::Call call(state_);
  return value_or_throw(state_->store->status(key));
}

InstanceInfo Client::info(InstanceKey key) {
  const State::Call call(state_);
  auto found = value_or_throw(state_->store->find(key));
  if (!found) throw InstanceNotFoundError(fmt::format("There is no instance with key {}. It was removed.", key));
  return std::move(*found);
}

std::vector<InstanceInfo> Client::generations(const std::string& workflow, const std::string& id) {
  const State::Call call(state_);
  check_workflow_name(workflow);
  check_instance_id(id);
  auto found = value_or_throw(state_->store->generations(workflow, id));
  if (found.empty()) throw_not_found(workflow, id);
  return found;
}

std::vector<StepInfo> Client::steps(InstanceKey key) {
  const State::Call call(state_);
  const auto loaded = value_or_throw(state_->store->load(key));
  return core::report_steps(loaded.history, loaded.inbox);
}

InstanceHistory Client::history(InstanceKey key) {
  const State::Call call(state_);
  InstanceHistory history;
  std::optional<Error> failed;
  storage::Store& store = *state_->store;
  value_or_throw(store.together([&] {
    auto loaded = store.load(key);
    auto entries = store.entries(key, 0);
    if (!loaded || !entries) {
      failed = loaded ? entries.error() : loaded.error();
      return;
    }
    history = {std::move(loaded->info), std::move(loaded->params), std::move(*entries), std::move(loaded->inbox)};
  }));
  if (failed) throw_error(*failed);
  return history;
}

std::vector<RecordedEntry> Client::entries(InstanceKey key, std::int64_t after) {
  const State::Call call(state_);
  return value_or_throw(state_->store->entries(key, after));
}

bool Client::wait_for_change(Millis timeout) {
  const State::Call call(state_);
  const auto deadline = deadline_after(timeout);
  const std::uint64_t seen = state_->seen_changes;
  for (;;) {
    state_->notice_changes();
    if (state_->changes != seen) {
      state_->seen_changes = state_->changes;
      return true;
    }
    if (!state_->pause(deadline)) return false;
  }
}

std::vector<InstanceInfo> Client::list(const ListQuery& query) {
  const State::Call call(state_);
  if (query.workflow) check_workflow_name(*query.workflow);
  return value_or_throw(state_->store->list(query));
}

std::optional<InstanceStatus> Client::result(InstanceKey key, std::optional<Millis> timeout) {
  const State::Call call(state_);
  const auto deadline = deadline_after(timeout);
  for (;;) {
    state_->notice_changes();  // before the status is read, so that a later change is seen as one
    const std::uint64_t seen = state_->changes;
    key = value_unless_busy(state_->store->newest_generation(key)).value_or(key);
    auto status = value_unless_busy(state_->store->status(key));
    if (status && is_finished(status->status)) return status;
    do {
      if (!state_->pause(deadline)) return std::nullopt;
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
  const values::MutexLock lock(state_->mutex);
  state_->store.reset();
  state_->database.reset();
  state_->closing.notify_all();
}

}  // namespace workflows

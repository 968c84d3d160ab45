#include "engine/workflow/loop.h"

#include <chrono>
#include <future>
#include <new>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <boost/asio/steady_timer.hpp>

#include "engine/values/prefetch.h"

namespace workflows::detail {
namespace {

constexpr auto kDelayFunctionTime = std::chrono::seconds(5);
constexpr const char* kLogger = "workflows";

std::shared_ptr<spdlog::logger> logger() {
  if (auto known = spdlog::get(kLogger)) return known;
  try {
    return spdlog::stderr_color_mt(kLogger);
  } catch (const spdlog::spdlog_ex&) {  // another engine was faster
    return spdlog::get(kLogger);
  }
}

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

template <class T>
T value_of(Calls::Result result) {
  if (auto* error = std::get_if<Error>(&result)) throw_error(*error);
  if constexpr (!std::is_void_v<T>) return std::get<T>(std::move(result));
}

}  // namespace

Loop::Loop(HostOptions options, Functions functions, std::uint32_t pool_size)
    : log_(logger()),
      functions_(std::move(functions)),
      host_(std::move(options)),
      readable_(io_, host_.fd()),
      bodies_(pool_size, [this] { return host_.now(); }, [this] { wake(); }) {}

void Loop::run() {
  boost::asio::post(io_, [this] { turn(); });
  wait_for_host();
  const values::MutexLock lock(closing_mutex_);
  thread_ = std::thread([this] {
    thread_id_ = std::this_thread::get_id();
    run_handlers();
    // Calls that came in while the loop ended.
    io_.restart();
    io_.poll();
  });
}

void Loop::run_handlers() {
  for (;;) {
    try {
      io_.run();
      return;
    } catch (const std::bad_alloc&) { give_up(); }
  }
}

void Loop::wake() {
  try {
    boost::asio::post(io_, [this] { turn(); });
  } catch (const std::bad_alloc&) { host_.clock_moved(); }  // wakes it without memory
}

Loop::~Loop() { close(); }

// ---------------------------------------------------------------- calls

void Loop::check_thread() const {
  if (std::this_thread::get_id() != thread_id_) return;
  throw WrongLoopError(
      "workflow code called the engine and would wait for itself; make the call in the body of a step");
}

InstanceRef Loop::create(CreateRequest request) {
  check_thread();
  return value_of<InstanceRef>(calls_.issue([&] { return host_.create(std::move(request)); }).get());
}

BatchOutcome Loop::create_batch(std::vector<CreateRequest> requests) {
  check_thread();
  return value_of<BatchOutcome>(calls_.issue([&] { return host_.create_batch(std::move(requests)); }).get());
}

void Loop::send_event(SendEventRequest request) {
  check_thread();
  value_of<void>(calls_.issue([&] { return host_.send_event(std::move(request)); }).get());
}

std::optional<InstanceStatus> Loop::result(InstanceKey instance, std::optional<Millis> timeout) {
  check_thread();
  const auto future = calls_.watch(instance, [&] { return host_.watch(instance); });
  if (timeout && future.wait_for(*timeout) == std::future_status::timeout) return std::nullopt;
  return value_of<InstanceStatus>(future.get());
}

InstanceStatus Loop::replay(InstanceHistory history) {
  check_thread();
  std::promise<std::shared_future<Calls::Result>> issued;
  post([&] {
    try {
      issued.set_value(calls_.issue([&] { return host_.replay(std::move(history)); }));
    } catch (...) { issued.set_exception(std::current_exception()); }
  });
  return value_of<InstanceStatus>(issued.get_future().get().get());
}

Client& Loop::client() {
  return calls_.use([this]() -> std::reference_wrapper<Client> { return host_.client(); });
}

void Loop::look() {
  calls_.use([this] { host_.look(); });
}

Host::Counters Loop::counters() {
  check_thread();
  std::promise<Host::Counters> promise;
  calls_.use([&] { boost::asio::post(io_, [&] { promise.set_value(host_.counters()); }); });
  return promise.get_future().get();
}

void Loop::clock_moved() {
  calls_.use([&] { boost::asio::post(io_, [this] { host_.clock_moved(); }); });
}

void Loop::close() {
  check_thread();
  if (bodies_.on_this_thread()) {
    throw WrongLoopError("a step body closed the engine and would wait for itself; close it on another thread");
  }
  const values::MutexLock lock(closing_mutex_);
  if (!thread_.joinable()) return;
  boost::asio::post(io_, [this] { begin_close(); });
  thread_.join();
  bodies_.join();
}

// ---------------------------------------------------------------- the turn

void Loop::wait_for_host() {
  readable_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code error) {
    if (error) return;
    turn();
    if (state_ != State::closed) wait_for_host();
  });
}

void Loop::turn() {
  if (state_ == State::closed) return;
  try {
    const auto committed = [this] { return host_.signalled(); };
    // Code for which memory ran out asks for nothing more: that it stands still then means nothing.
    while (!give_up_ && (carry_out_actions() || release_stalled() || bodies_.wait_briefly(committed))) {}
  } catch (const WorkflowsError& error) { stop({error.code(), error.what()}); }
  if (std::exchange(give_up_, false)) return give_up();
  bodies_.hand_over();  // what is left of a turn that broke off
  if (state_ == State::closing && retiring_.empty()) end_close();
}

bool Loop::carry_out_actions() {
  take_ended_bodies();
  actions_ = host_.poll(std::move(actions_));
  for (std::size_t next = 0; next < actions_.size(); ++next) {
    look_ahead(next);
    std::visit([this](auto& what) { handle(what); }, actions_[next]);
  }
  bodies_.hand_over();
  return !actions_.empty();
}

// First for the run, then for what it finds in there.
void Loop::look_ahead(std::size_t next) const {
  constexpr std::size_t kFar = 6;
  constexpr std::size_t kNear = 3;
  const auto resolve_at = [this](std::size_t place) {
    return place < actions_.size() ? std::get_if<ResolveStep>(&actions_[place]) : nullptr;
  };
  if (const ResolveStep* resolve = resolve_at(next + kFar)) {
    if (const Run* run = find(resolve->instance)) values::prefetch<320>(run);
  }
  if (const ResolveStep* resolve = resolve_at(next + kNear)) {
    const Run* run = find(resolve->instance);
    const Operation* operation = run != nullptr ? run->find(resolve->ticket) : nullptr;
    if (operation != nullptr) values::prefetch<192>(operation);
  }
}

void Loop::take_ended_bodies() {
  while (const auto attempt = bodies_.next_ended()) {
    Run& run = attempt->run;
    run.body_ended(*attempt);
    if (run.retired() && run.quiet()) let_go(run);
  }
}

// A run whose code no longer asks what it asked before gets the outcomes that were held back for that.
bool Loop::release_stalled() {
  bool released = false;
  std::erase_if(replaying_, [&](InstanceKey instance) {
    const Run* run = find(instance);
    if (run == nullptr || !run->replaying()) return true;
    if (run->quiet()) released |= host_.release_stalled(instance);
    return false;
  });
  return released;
}

Run* Loop::find(InstanceKey instance) const {
  const auto found = runs_.find(instance);
  return found == runs_.end() ? nullptr : found->second.get();
}

void Loop::handle(StartInstance& action) {
  if (state_ != State::open) return;
  const InstanceKey instance = action.instance;
  const auto code = functions_.find(action.workflow);
  auto& run = runs_[instance] = std::make_unique<Run>(*this, std::move(action));
  run->start(code->second);
  if (host_.replaying(instance)) replaying_.push_back(instance);
}

void Loop::handle(ResolveStep& action) {
  if (Run* run = find(action.instance)) run->resolve(action.ticket, std::move(action.outcome));
}
void Loop::handle(RunStepBody& action) {
  if (Run* run = find(action.instance)) run->run_body(action.ticket, action.attempt);
}
void Loop::handle(CancelStepBody& action) {
  if (Run* run = find(action.instance)) run->cancel_body(action.ticket, action.attempt);
}
void Loop::handle(AttemptDue& action) {
  if (Run* run = find(action.instance)) run->attempt_due(action);
}
void Loop::handle(ChooseRetryDelay& action) {
  if (Run* run = find(action.instance)) run->choose_delay(action.ticket, action.attempt, std::move(action.failure));
}
void Loop::handle(StartNode& action) {
  if (Run* run = find(action.instance)) run->start_node(action.node, action.failed_dependency);
}

void Loop::handle(EvictInstance& action) { retire(action.instance, Leave::until_called_back); }
void Loop::handle(InstanceEnded& action) { retire(action.instance, Leave::for_good); }
void Loop::handle(CallReply& action) { calls_.answer(std::move(action)); }
void Loop::handle(LogRecord& action) { log_->log(level_of(action.level), "{}", action.message); }
void Loop::handle(EngineStopped& action) { stop(action.error); }
void Loop::handle(RunRollback& action) {
  if (Run* run = find(action.instance)) run->roll_back(std::move(action));
}

void Loop::when_delay_is_late(std::function<void()> late) {
  auto timer = std::make_shared<boost::asio::steady_timer>(io_, kDelayFunctionTime);
  timer->async_wait([this, timer, late = std::move(late)](boost::system::error_code error) {
    if (error || state_ != State::open) return;
    late();
    turn();
  });
}

// ---------------------------------------------------------------- the end of a run, and of all

void Loop::retire(InstanceKey instance, Leave leave) {
  const auto found = runs_.find(instance);
  if (found == runs_.end()) return;
  Run& run = *found->second;
  Retiring& place = retiring_[&run];  // first: without memory the run stays where it is
  place = {std::move(found->second), leave};
  runs_.erase(found);
  run.retire();
  if (run.quiet()) let_go(run);
}

void Loop::retire_all() {
  std::vector<InstanceKey> all;
  all.reserve(runs_.size());
  for (const auto& [instance, run] : runs_) all.push_back(instance);
  for (const InstanceKey instance : all) retire(instance, Leave::for_good);
}

void Loop::let_go(Run& run) {
  const InstanceKey instance = run.instance();
  const bool comes_back = retiring_.at(&run).leave == Leave::until_called_back;
  retiring_.erase(&run);
  if (comes_back) host_.evicted(instance);
}

void Loop::stop(const Error& error) {
  log_->error("the engine has stopped: {}", error.message);
  calls_.refuse(error);
  retire_all();
}

// Memory ran out for the loop itself. What it was about to do it has forgotten: the instances go to whoever opens the
// database next.
void Loop::give_up() {
  if (state_ == State::closed) return;
  state_ = State::closing;
  const Error error{ErrorCode::store,
                    "memory ran out for the loop that runs workflow code; nothing that was "
                    "acknowledged is lost. Give the process more memory and start the engine again"};
  stop(error);
  bodies_.hand_over();
  bodies_.call_a_thread();
  if (retiring_.empty()) return end_close();
  wait_for_host();  // it may be what failed
  wake();           // bodies that had ended may have been on their way
}

void Loop::begin_close() {
  calls_.refuse({ErrorCode::engine_closed, "the engine is closed; start a new one"});
  state_ = State::closing;
  retire_all();
  turn();
}

void Loop::end_close() {
  state_ = State::closed;
  readable_.release();
  work_.reset();
  io_.stop();
  host_.close();  // last: memory may run out in it
}

}  // namespace workflows::detail

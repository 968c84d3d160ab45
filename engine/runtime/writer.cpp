#include "engine/runtime/writer.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <optional>
#include <span>

#include "engine/runtime/refusal.h"
#include "engine/testing/fail_point.h"

namespace workflows::runtime {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kBatchItems = 5'000;  // bounds the time that one commit takes
constexpr std::size_t kLoadsBetweenCommits = 256;
constexpr std::size_t kStepsInMessage = 64;
constexpr std::size_t kFew = 4;
constexpr auto kAwake = std::chrono::microseconds(50);
using PollTime = std::chrono::duration<int, std::milli>;
// Other processes' commits are noticed at once where the kernel tells of them, and so soon where it does not (S25).
constexpr PollTime kLookInterval(25);
// The kernel tells of what was written before it was committed: then it is looked for some times, soon. A disk may take
// longer, and the notice may have been lost in work of our own: so it is looked for some times more.
constexpr PollTime kCommitTime(1);
constexpr int kLooksAfterNotice = 10;
constexpr int kLooksAfterWork = 40;
constexpr PollTime kRareLookInterval(250);
constexpr auto kOwnersInterval = std::chrono::seconds(1);
constexpr std::uint32_t kArrivalsAtOnce = 1'000;
constexpr std::uint64_t kGarbageAtOnce = 1'000;  // rows: as long as a usual commit

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

}  // namespace

Writer::Writer(std::unique_ptr<storage::Store> store, Millis lease, Mailbox& mailbox,
               std::shared_ptr<const Clock> clock, SteadyClock steady)
    : store_(std::move(store)),
      lease_(lease),
      mailbox_(mailbox),
      clock_(std::move(clock)),
      steady_(steady ? steady : steady_clock::now) {
  pollfd notice{store_->change_fd(), POLLIN, 0};
  auto owner = store_->open_owner(lease_);
  if (!owner) throw_error(owner.error());
  owner_ = *owner;
  kernel_tells_ = ::poll(&notice, 1, 0) == 1;  // of what was just written
  next_renewal_ = steady_() + lease_ / 3;
  next_look_at_owners_ = steady_() + kOwnersInterval;
  if (!steady) thread_ = std::thread([this] { run(); });
}

Writer::~Writer() { close(); }

void Writer::submit(Submissions& submissions) {
  if (submissions.empty()) return;
  {
    const values::MutexLock lock(mutex_);
    incoming_.submissions.take(submissions);
  }
  wake();
}

void Writer::submit(storage::Item&& item, Tell tell) {
  {
    const values::MutexLock lock(mutex_);
    incoming_.submissions.push(std::move(item), tell);
  }
  wake();
}

void Writer::load(InstanceKey instance) {
  {
    const values::MutexLock lock(mutex_);
    incoming_.loads.push_back(instance);
  }
  wake();
}

void Writer::watch(CallId call, InstanceKey instance) {
  {
    const values::MutexLock lock(mutex_);
    incoming_.watches.push_back({call, instance});
  }
  wake();
}

void Writer::close() {
  bool closed = false;
  {
    const values::MutexLock lock(mutex_);
    closed = std::exchange(closing_, true);
  }
  wake();
  if (thread_.joinable()) return thread_.join();
  if (!closed) run();
}

storage::Store::Counters Writer::store_counters() const {
  return {transactions_.load(std::memory_order_relaxed), statements_.load(std::memory_order_relaxed)};
}

// Without memory the engine stops, as it does after a failed write: what was under way is dropped, and whoever asked
// for it is told.
void Writer::run() {
  for (;;) {
    try {
      do { wait_for_work(); } while (round());
      return end();
    } catch (const std::bad_alloc&) {
      work_ = {};
      next_load_ = 0;
      fail(storage::out_of_memory());
    }
  }
}

bool Writer::round() {
  if (!take_work()) return false;
  commit(work_.submissions);
  mailbox_.post(outgoing_);  // who waits for the commit does not wait for the rest
  load_instances();
  answer_watches(work_.watches);
  work_.watches.clear();
  keep_ownership();
  collect_garbage();
  look_around();
  const auto counters = store_->counters();
  transactions_.store(counters.transactions, std::memory_order_relaxed);
  statements_.store(counters.statements, std::memory_order_relaxed);
  mailbox_.post(outgoing_);
  WORKFLOWS_FAIL_POINT("after_post");
  return true;
}

void Writer::end() {
  if (!failure_) {
    if (auto closed = store_->close_owner(owner_); !closed) fail(std::move(closed.error()));
  }
  for (const auto& [instance, call] : watches_) {
    outgoing_.push_back(
        Answered{{call, Error{ErrorCode::engine_closed, "the engine was closed before the instance finished"}}});
  }
  mailbox_.post(outgoing_);
}

void Writer::wait_for_work() {
  if (has_loads_left()) return;
  if (std::exchange(committed_few_, false)) stay_awake();
  if (!has_work_) sleep();
}

// False when closing and nothing is left to commit.
bool Writer::take_work() {
  const values::MutexLock lock(mutex_);
  if (has_work_.exchange(closing_)) looks_ = std::min(looks_, kLooksAfterNotice);
  if (closing_ && incoming_.submissions.empty()) return false;
  std::swap(work_.submissions, incoming_.submissions);
  std::swap(work_.watches, incoming_.watches);
  if (!has_loads_left()) {
    work_.loads.clear();
    next_load_ = 0;
  }
  work_.loads.insert(work_.loads.end(), incoming_.loads.begin(), incoming_.loads.end());
  incoming_.loads.clear();
  return true;
}

// Until there is work, or another process has committed, or it is time to look.
void Writer::sleep() {
  asleep_ = true;
  if (!has_work_) {
    std::array<pollfd, 2> fds{{{wakeup_.fd(), POLLIN, 0}, {store_->change_fd(), POLLIN, 0}}};  // poll skips a -1
    const bool is_rare = kernel_tells_ && looks_ >= kLooksAfterNotice + kLooksAfterWork;
    const PollTime interval = looks_ < kLooksAfterNotice ? kCommitTime : is_rare ? kRareLookInterval : kLookInterval;
    ::poll(fds.data(), fds.size(), interval.count());
    const bool is_told = (fds[1].revents & POLLIN) != 0;
    kernel_tells_ |= is_told;
    looks_ = is_told ? 0 : std::min(looks_ + 1, kLooksAfterNotice + kLooksAfterWork);
  }
  asleep_ = false;
  wakeup_.clear({});
}

void Writer::wake() {
  has_work_ = true;
  if (asleep_.exchange(false)) wakeup_.signal();
}

// A lone instance asks for its next commit within microseconds: to sleep and be woken takes longer.
void Writer::stay_awake() {
  const auto end = steady_clock::now() + kAwake;
  while (!has_work_.load(std::memory_order_relaxed) && steady_clock::now() < end) std::this_thread::yield();
}

// ---------------------------------------------------------------- commits

void Writer::commit(Submissions& submissions) {
  const std::size_t count = submissions.items.size();
  committed_few_ = count > 0 && count <= kFew;
  for (std::size_t first = 0; first < count; first += kBatchItems) {
    const std::size_t last = std::min(first + kBatchItems, count);
    if (!commit_batch(submissions, first, last)) {
      for (std::size_t i = first; i < count; ++i) refuse(submissions.tells[i]);
      break;
    }
    if (last < count) mailbox_.post(outgoing_);
  }
  submissions.clear();
}

bool Writer::commit_batch(Submissions& submissions, std::size_t first, std::size_t last) {
  if (failure_) return false;
  const storage::WriteBatch batch{owner_, std::span(submissions.items).subspan(first, last - first)};
  WORKFLOWS_FAIL_POINT("before_commit");
  auto results = store_->commit(batch);
  // Somebody else holds the file: nothing was written, and nothing here can go on without it.
  while (!results && results.error().code == ErrorCode::store_busy) {
    outgoing_.push_back(WriterLog{{LogLevel::warning, results.error().message + "; trying again"}});
    mailbox_.post(outgoing_);
    {
      const values::MutexLock lock(mutex_);
      if (closing_) break;
    }
    results = store_->commit(batch);
  }
  if (!results) {
    fail(std::move(results.error()));
    return false;
  }
  WORKFLOWS_FAIL_POINT("after_commit");
  for (std::size_t i = first; i < last; ++i) tell(submissions.tells[i], submissions.items[i], (*results)[i - first]);
  return true;
}

void Writer::tell(Tell tell, storage::Item& item, storage::ItemResult& result) {
  if (std::holds_alternative<storage::Lost>(result)) return;  // a notice tells why
  std::visit(
      Overloaded{
          [](TellNobody) {},
          [&](TellStep step) { tell_step(step, std::get<storage::AppendEntry>(item).entry); },
          [&](TellRun run) {
            outgoing_.push_back(RunDurable{run.instance});
            answer_ended(run.instance);
          },
          [&](TellBatch batch) {
            outgoing_.push_back(BatchCreated{batch.call, std::move(std::get<storage::CreatedBatch>(result).created)});
          },
          [&](TellCreate create) { outgoing_.push_back(CreateDone{create.call, std::get<storage::Created>(result)}); },
          [&](TellSend send) {
            arrivals_due_ = true;
            const auto& event = std::get<storage::SendEvent>(item);
            const auto refused = std::get<storage::Sent>(result).refused;
            CallReply reply{send.call, {}};
            if (refused) reply.result = refusal(*refused, event.workflow, event.id);
            outgoing_.push_back(Answered{std::move(reply)});
          },
      },
      tell);
  if (auto* claimed = std::get_if<storage::Claimed>(&result)) {
    untaken_due_ |= !claimed->instances.empty();
    outgoing_.push_back(InstancesClaimed{std::move(claimed->instances)});
  }
}

// Steps make up nearly all messages: those that follow each other share one.
void Writer::tell_step(TellStep step, Entry& entry) {
  auto* last = outgoing_.empty() ? nullptr : std::get_if<StepsDurable>(&outgoing_.back());
  if (last == nullptr || last->steps.size() == kStepsInMessage) {
    last = &std::get<StepsDurable>(outgoing_.emplace_back(StepsDurable{}));
    last->steps.reserve(committed_few_ ? kFew : kStepsInMessage);
  }
  last->steps.push_back({step.instance, step.ticket, {std::move(entry.value)}});
}

void Writer::refuse(Tell tell) {
  const auto answer = [&](CallId call) { outgoing_.push_back(Answered{{call, *failure_}}); };
  if (const auto* create = std::get_if<TellCreate>(&tell)) answer(create->call);
  if (const auto* send = std::get_if<TellSend>(&tell)) answer(send->call);
  if (const auto* batch = std::get_if<TellBatch>(&tell)) answer(batch->call);
}

void Writer::fail(Error error) {
  if (failure_) return;
  failure_ = error;
  outgoing_.push_back(WriterFailed{std::move(error)});
}

template <class T>
std::optional<T> Writer::checked(std::expected<T, Error> result) {
  if (result) return std::move(*result);
  if (result.error().code != ErrorCode::store_busy) fail(std::move(result.error()));
  return std::nullopt;
}

// ---------------------------------------------------------------- reads

// A few at a time, so that recovery of many instances does not hold up the commits of those that run already.
void Writer::load_instances() {
  if (failure_ || next_load_ == work_.loads.size()) return;
  const std::size_t end = std::min(next_load_ + kLoadsBetweenCommits, work_.loads.size());
  auto read = store_->together([&] {
    for (; next_load_ < end; ++next_load_) {
      const InstanceKey instance = work_.loads[next_load_];
      auto found = store_->load(instance);
      if (!found && found.error().code == ErrorCode::instance_not_found) {
        outgoing_.push_back(InstanceGone{instance});
        continue;
      }
      auto loaded = checked(std::move(found));
      if (!loaded) return;
      loads_.fetch_add(1, std::memory_order_relaxed);
      outgoing_.push_back(InstanceLoaded{std::make_unique<storage::Loaded>(std::move(*loaded))});
    }
  });
  if (!read && read.error().code != ErrorCode::store_busy) fail(std::move(read.error()));
}

// Whoever waits for an instance waits for its newest generation.
void Writer::answer_watches(const std::vector<Watch>& watches) {
  for (const auto& [call, instance] : watches) {
    const auto newest = store_->newest_generation(instance);
    auto status = newest ? store_->status(*newest) : std::unexpected(newest.error());
    if (!status) {
      outgoing_.push_back(Answered{{call, std::move(status.error())}});
    } else if (is_finished(status->status)) {
      outgoing_.push_back(Answered{{call, std::move(*status)}});
    } else {
      watches_.emplace(*newest, call);
    }
  }
}

// This owner has just ended it.
void Writer::answer_ended(InstanceKey instance) {
  const auto [begin, end] = watches_.equal_range(instance);
  if (begin == end) return;
  const auto status = store_->status(instance);
  if (status && !is_finished(status->status)) return;  // it was paused, or rolls back
  for (auto watch = begin; watch != end; ++watch) {
    CallReply reply{watch->second, {}};
    if (status)
      reply.result = *status;
    else
      reply.result = status.error();
    outgoing_.push_back(Answered{std::move(reply)});
  }
  watches_.erase(begin, end);
}

void Writer::look_around() {
  if (failure_) return;
  const auto changed = checked(store_->changed());
  if (changed.value_or(false)) {
    arrivals_due_ = true;
    looks_ = std::max(looks_, kLooksAfterNotice);
    outgoing_.push_back(OthersCommitted{});
    std::vector<Watch> watches;
    for (const auto& [instance, call] : std::exchange(watches_, {})) watches.push_back({call, instance});
    answer_watches(watches);
    notices_due_ = true;
  }
  if (notices_due_) hear_notices();
  if (arrivals_due_) fetch_arrivals();
  if (!untaken_due_) return;
  if (auto instances = checked(store_->with_untaken_events(owner_.id))) {
    untaken_due_ = false;
    outgoing_.push_back(EventsUntaken{std::move(*instances)});
  }
}

void Writer::hear_notices() {
  auto notices = checked(store_->notices(owner_.id));
  if (!notices) return;
  notices_due_ = !notices->empty();
  if (!notices_due_) return;
  const storage::Item heard = storage::Heard{notices->back().id};
  if (!checked(store_->commit({owner_, {&heard, 1}}))) return;  // busy: notices_due_ stays
  notices_due_ = false;
  outgoing_.push_back(Noticed{std::move(*notices)});
}

void Writer::collect_garbage() {
  if (failure_ || !garbage_due_) return;
  const auto collected = checked(store_->collect_garbage(clock_->now(), kGarbageAtOnce));
  garbage_due_ = collected && collected->more;
  if (garbage_due_) wake();
}

void Writer::fetch_arrivals() {
  auto arrivals = checked(store_->arrivals(owner_.id, last_arrival_, kArrivalsAtOnce));
  if (!arrivals) return;
  last_arrival_ = arrivals->last;
  arrivals_due_ = arrivals->events.size() == kArrivalsAtOnce;
  for (auto& [instance, event] : arrivals->events) outgoing_.push_back(EventArrived{instance, std::move(event)});
}

void Writer::keep_ownership() {
  if (failure_) return;
  const auto now = steady_();
  if (now >= next_renewal_) {
    const storage::Item renew = storage::Renew{lease_};
    if (checked(store_->commit({owner_, {&renew, 1}}))) next_renewal_ = now + lease_ / 3;
  }
  if (now < next_look_at_owners_) return;
  next_look_at_owners_ = now + kOwnersInterval;
  garbage_due_ = true;
  if (checked(store_->replace_dead_owners()).value_or(0) > 0) outgoing_.push_back(OthersCommitted{});
}

}  // namespace workflows::runtime

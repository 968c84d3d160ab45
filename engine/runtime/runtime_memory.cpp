// Instances into memory and out of it: claiming, loading, resting, hibernation.

#include <algorithm>
#include <utility>

#include "engine/runtime/runtime.h"
#include "engine/testing/planted_bug.h"

namespace workflows {
namespace {

constexpr Millis kCrowdedPatience{100};
constexpr Millis kKeepPatience{100};
constexpr int kMostKept = 10;
constexpr std::uint32_t kLoadsUnderWay = 1024;
constexpr std::uint32_t kClaimQueued = 500;
constexpr std::uint32_t kStartAtOnce = 1'000;  // of what a call creates: a turn starts them all
constexpr std::uint32_t kClaimWaiting = 5'000;

}  // namespace

std::uint32_t Host::Runtime::room() const {
  const std::uint32_t occupied = occupied_.load() + claiming_.load();
  if (options_.max_concurrent_instances == 0) return kStartAtOnce;
  return occupied < options_.max_concurrent_instances ? options_.max_concurrent_instances - occupied : 0;
}

void Host::Runtime::claim() {
  if (!usable() || options_.workflows.empty()) return;
  if (std::exchange(claim_under_way_, true)) {
    claim_again_ = true;
    return;
  }
  storage::Claim item{.workflows = {},
                      .id = options_.only_id,
                      .retentions = {},
                      .queued = std::min(room(), kClaimQueued),
                      .waiting = kClaimWaiting};
  for (const RegisteredWorkflow& workflow : options_.workflows) {
    item.workflows.push_back(workflow.name);
    item.retentions.emplace(workflow.name, workflow.retention);
  }
  claiming_ = item.queued;
  outgoing_.push(std::move(item), runtime::TellNobody{});
}

void Host::Runtime::handle(runtime::InstancesClaimed& message) {
  const TimePoint moment = now();
  std::uint32_t queued = 0;
  for (const InstanceInfo& info : message.instances) {
    if (info.status == Status::waiting) {
      fall_asleep(info.key, info.wake);
      if (info.wake && *info.wake <= moment) wake_up(info.key);
    } else {
      ++queued;
      wake_up(info.key);
    }
  }
  const bool more_waiting = message.instances.size() - queued == kClaimWaiting;
  const bool more_queued = queued == claiming_;
  claiming_ = 0;  // those that came are counted now
  claim_under_way_ = false;
  crowded_ = more_queued && room() == 0;
  if (crowded_) hurry();
  if (more_waiting || (more_queued && room() > 0) || std::exchange(claim_again_, false)) claim();
}

void Host::Runtime::handle(runtime::OthersCommitted& /*message*/) { claim(); }

void Host::Runtime::handle(runtime::EventsUntaken& message) {
  for (const InstanceKey instance : message.instances) {
    if (asleep_.contains(instance)) wake_up(instance);
  }
}

void Host::Runtime::start_created(const storage::Created& created, CreateRequest& request, TimePoint moment) {
  const RegisteredWorkflow* workflow = registered(request.workflow);
  core::Identity identity{.workflow = request.workflow, .id = request.id, .generation = 1, .created = moment};
  start(created.key, core::Instance(std::move(identity), limits_of(workflow), {}, {}), std::move(request.params));
}

Host::Runtime::Slot& Host::Runtime::start(InstanceKey key, core::Instance&& machine, std::string params) {
  actions_.push_back(StartInstance{key, machine.identity().workflow, machine.identity().id, std::move(params),
                                   machine.identity().created});
  auto slot = std::make_unique<Slot>(key, std::move(machine));
  return *slots_.insert_or_assign(key, std::move(slot)).first->second;
}

void Host::Runtime::fall_asleep(InstanceKey instance, std::optional<TimePoint> wake) {
  asleep_[instance] = wake ? timers_.arm(*wake, {instance, kAsleep}) : runtime::TimerId{};
  hibernated_ = asleep_.size();
}

void Host::Runtime::forget_sleeper(InstanceKey instance) {
  const auto sleeper = asleep_.find(instance);
  if (sleeper == asleep_.end()) return;
  timers_.disarm(sleeper->second);
  asleep_.erase(sleeper);
  hibernated_ = asleep_.size();
}

void Host::Runtime::wake_up(InstanceKey instance) {
  if (const auto slot = slots_.find(instance); slot != slots_.end()) {
    slot->second->claimed_again |= slot->second->machine.ended();
    return;
  }
  if (!loading_.insert(instance).second) return;
  forget_sleeper(instance);
  ++occupied_;
  to_load_.push_back(instance);
}

void Host::Runtime::issue_loads() {
  for (; loads_issued_ < kLoadsUnderWay && !to_load_.empty() && has_place(); ++loads_issued_) {
    writer_->load(to_load_.front());
    to_load_.pop_front();
  }
  if (!has_place() && !to_load_.empty() && !std::exchange(crowded_, true)) hurry();
}

// Those that are to be loaded count as occupying one already, so that no others are claimed meanwhile.
bool Host::Runtime::has_place() const {
  if (WORKFLOWS_PLANTED(limit_ignored)) return true;
  return options_.max_concurrent_instances == 0 || occupied_ - to_load_.size() < options_.max_concurrent_instances;
}

// Whoever only waits makes room for those that queue.
void Host::Runtime::hurry() {
  for (const auto& [key, slot] : slots_) {
    if (slot->waits && !slot->evicting) rest(*slot);
  }
}

void Host::Runtime::handle(runtime::InstanceLoaded& message) {
  storage::Loaded& loaded = *message.loaded;
  end_load(loaded.info.key);
  if (is_finished(loaded.info.status) || loaded.info.owner != writer_->owner() || !usable()) return give_up_place();
  if (loaded.info.status == Status::waiting_for_pause) {
    give_up_place();
    return park(loaded.info.key);
  }
  const RegisteredWorkflow* workflow = registered(loaded.info.workflow);
  core::Identity identity{.workflow = loaded.info.workflow,
                          .id = loaded.info.id,
                          .generation = loaded.info.generation,
                          .created = loaded.info.created,
                          .version = loaded.info.version,
                          .code_version = workflow == nullptr ? std::string() : workflow->version,
                          .started = now()};
  Slot& slot = start(
      loaded.info.key,
      core::Instance(std::move(identity), limits_of(workflow), std::move(loaded.history), std::move(loaded.inbox)),
      std::move(loaded.params));
  slot.waits = loaded.info.status == Status::waiting;
  slot.wake = loaded.info.wake;
  if (loaded.info.status == Status::rolling_back) slot.machine.roll_back(now());
  mark(slot);
}

void Host::Runtime::handle(runtime::InstanceGone& message) {
  end_load(message.instance);
  give_up_place();
}

void Host::Runtime::end_load(InstanceKey instance) {
  --loads_issued_;
  loading_.erase(instance);
}

// Somebody may queue for it.
void Host::Runtime::give_up_place() {
  --occupied_;
  if (crowded_) claim();
}

// A waiting instance keeps its memory for a while; for a short one when others queue for it.
void Host::Runtime::rest(Slot& slot) {
  const Millis patience = options_.hibernate_after.millis();
  timers_.disarm(slot.idle);
  slot.idle = timers_.arm(now() + (crowded_ ? std::min(patience, kCrowdedPatience) : patience), {slot.key, kIdle});
}

void Host::Runtime::evict(Slot& slot) {
  if (std::exchange(slot.evicting, true)) return;
  slot.stirred = false;
  actions_.push_back(EvictInstance{slot.key});
}

bool Host::Runtime::keep(InstanceKey instance, std::optional<Millis> own_timer) {
  const auto found = slots_.find(instance);
  if (found == slots_.end() || !found->second->evicting) return false;
  Slot& slot = *found->second;
  if (!own_timer && slot.kept++ == kMostKept) return false;
  slot.evicting = false;
  slot.idle = timers_.arm(now() + std::max(own_timer.value_or(kKeepPatience), kKeepPatience), {slot.key, kIdle});
  goes_on(instance);
  return true;
}

void Host::Runtime::goes_on(InstanceKey instance) {
  const auto found = slots_.find(instance);
  if (found == slots_.end() || !found->second->waits || !usable()) return;
  found->second->waits = false;
  submit(storage::SetStatus{.instance = instance, .status = Status::running, .wake = {}, .at = now()});
}

void Host::Runtime::evicted(InstanceKey instance) {
  const auto found = slots_.find(instance);
  if (found == slots_.end() || !found->second->evicting) return;
  Slot& slot = *found->second;
  const auto wake = slot.wake;
  const bool stirred = slot.stirred;
  const bool lost = slot.lost;
  const bool to_be_paused = slot.to_be_paused;
  drop(slot);
  if (!usable() || lost) return;
  if (to_be_paused) return park(instance);
  submit(
      storage::SetStatus{.instance = instance, .status = Status::waiting, .wake = wake, .at = now(), .unload = true});
  fall_asleep(instance, wake);
  if (stirred && !WORKFLOWS_PLANTED(event_lost_in_hibernation)) wake_up(instance);
}

void Host::Runtime::drop(Slot& slot) {
  for (const runtime::TimerId timer : slot.timers) timers_.disarm(timer);
  timers_.disarm(slot.idle);
  const InstanceKey instance = slot.key;
  const bool claimed_again = slot.claimed_again;
  const bool counts = slot.replay == 0;
  slots_.erase(slots_.find(instance));
  if (claimed_again) wake_up(instance);
  if (counts) give_up_place();
}

}  // namespace workflows

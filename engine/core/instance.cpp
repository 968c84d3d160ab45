#include "engine/core/instance.h"

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <memory>

#include <workflows/host.h>

#include "engine/core/retry.h"
#include "engine/testing/planted_bug.h"

namespace workflows::core {
namespace {

template <class Check>
std::optional<Error> refusal(Check check) {
  try {
    check();
  } catch (const WorkflowsError& error) { return Error{error.code(), error.what()}; }
  return std::nullopt;
}

Failure engine_failure(std::string_view type, std::string message) {
  Failure failure;
  failure.type = type;
  failure.message = std::move(message);
  return failure;
}

// Only steps that differ from the defaults or depend on others carry a detail.
std::string detail_of(const DoRequest& request) {
  const std::string config = request.config.to_json();
  if (config.empty() && request.depends.empty() && !request.rollback) return {};
  boost::json::object detail;
  if (!config.empty()) detail["config"] = boost::json::parse(config);
  if (!request.depends.empty()) {
    detail["depends"] = boost::json::array(request.depends.begin(), request.depends.end());
  }
  if (request.rollback) {
    const std::string rollback = request.rollback->step.to_json();
    detail["rollback"] = {{"config", rollback.empty() ? boost::json::object() : boost::json::parse(rollback)},
                          {"on_failure", request.rollback->continue_on_failure ? "continue" : "halt"}};
  }
  return boost::json::serialize(detail);
}

// A share in [0, 1) that is the same for the same attempt of the same step: the core has no randomness of its own.
double jitter_share(const Identity& identity, Ticket ticket, std::uint32_t attempt) {
  std::uint64_t hash = std::hash<std::string>{}(identity.id) ^ (std::uint64_t{ticket} << 32U | attempt);
  hash = (hash ^ (hash >> 33U)) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ (hash >> 33U)) * 0xc4ceb9fe1a85ec53ULL;
  return static_cast<double>((hash ^ (hash >> 33U)) >> 11U) * 0x1.0p-53;
}

// The details of a body that beats often are recorded now and then.
constexpr Millis kBetweenHeartbeats{1000};

Outcome to_outcome(BodyOutcome outcome) {
  return std::visit([](auto& value) { return Outcome(std::move(value)); }, outcome);
}

std::string seconds(Millis duration) {
  const auto ms = duration.count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

bool is_accepted(Millis duration) { return duration >= Millis::zero() && duration <= kMaxDuration; }

std::optional<Error> problem_of(const SleepRequest& request, TimePoint now) {
  const auto* duration = std::get_if<Duration>(&request.until);
  if (duration && duration->millis() < Millis::zero()) {
    return Error{ErrorCode::invalid_duration, "sleep '" + request.name + "' has a negative duration (" +
                                                  seconds(duration->millis()) + "); give 0 or more"};
  }
  if (duration ? is_accepted(duration->millis()) : std::get<TimePoint>(request.until) <= now + kMaxDuration) return {};
  return Error{ErrorCode::invalid_duration,
               "sleep '" + request.name + "' would last longer than 10 years, the longest that is allowed"};
}

std::optional<Error> problem_of(const WaitRequest& request) {
  if (auto error = refusal([&] { check_event_type(request.type); })) return error;
  if (!request.timeout || is_accepted(request.timeout->millis())) return std::nullopt;
  return Error{ErrorCode::invalid_duration, "wait '" + request.name + "' has a timeout of " +
                                                seconds(request.timeout->millis()) +
                                                "; accepted are 0 to 10 years, or none to wait for ever"};
}

}  // namespace

const Instance::Extra Instance::kPlain;

// ---------------------------------------------------------------- asking

// A ticket is the number of the question in this run. Questions of an earlier life that left no record are asked again,
// perhaps in another order: they fill the gaps, so that the numbers go on counting questions.
Ticket Instance::free_ticket() {
  while (free_ < steps_.size() && steps_[free_].key != nullptr) ++free_;
  return free_;
}

Instance::Step& Instance::new_step(Ticket ticket) {
  if (steps_.size() <= ticket) steps_.resize(ticket + std::size_t{1});
  Step& step = steps_[ticket];
  step.after = static_cast<std::uint32_t>(delivered_);
  step.need = asked_at_delivery_;
  return step;
}

// The next question of this kind and name was asked in an earlier life: what it said then counts, not what it says now.
bool Instance::is_recorded(StepKind kind, const std::string& name) const {
  const auto found = names_.find(key_of(kind, name));
  if (found == names_.end()) return false;
  const auto& [asked, recorded] = found->second;
  return asked < recorded.size() && recorded[asked] != kNoTicket;
}

std::expected<Ticket, Error> Instance::ask(StepKind kind, const std::string& name, Source source) {
  if (auto error = refusal([&] { check_step_name(name); })) return std::unexpected(std::move(*error));
  if (result_ && !parked()) {  // code that goes on while it is being forgotten is not to notice
    return std::unexpected(Error{ErrorCode::instance_finished, "step '" + name + "' was asked for after the run of '" +
                                                                   identity_.id + "' had ended; await it inside run"});
  }
  if (asked_ >= limits_.steps) {
    return std::unexpected(Error{
        ErrorCode::step_limit, "step '" + name + "' would be number " + std::to_string(asked_ + 1) + " of instance '" +
                                   identity_.id + "', but at most " + std::to_string(limits_.steps) +
                                   " steps are allowed; raise step_limit or split the workflow"});
  }
  auto& [key, names] = *names_.try_emplace(key_of(kind, name)).first;
  const std::uint32_t occurrence = ++names.asked;
  const bool recorded = occurrence <= names.recorded.size() && names.recorded[occurrence - 1] != kNoTicket;
  const Ticket ticket = recorded ? names.recorded[occurrence - 1] : free_ticket();
  if (!recorded) {
    Step& step = new_step(ticket);
    step.kind = kind;
    step.key = &key;
    step.occurrence = occurrence;
  }
  steps_[ticket].asked = true;
  if (recorded) {
    if (unasked_ > 0) --unasked_;
    if (given_up_.erase(ticket) > 0) order_.push_back({ticket});
  } else {
    steps_[ticket].source = source;
  }
  newest_ = std::max(newest_, ticket);
  ++asked_;
  asking_ = Asking{.ticket = ticket};
  return ticket;
}

// Ends a verb: what the new question sets free is delivered, to the asker itself if nothing else is on its way to the
// code. Outcomes that were delivered together are handed over together again, or the asker would have a lead.
Asked Instance::answer(TimePoint now) {
  Asked answer{.ticket = asking_->ticket};
  if (asking_->run) {
    answer.state = Asked::State::run;
    answer.attempt = steps_[answer.ticket].attempt;
  }
  asking_.reset();
  const bool alone = !resolve_queued_ && !resolve_taken_;
  const std::size_t before = effects_.size();
  deliver_in_order();
  const bool is_only_one = alone && effects_.size() == before + 1;
  go_ahead(now);
  if (!is_only_one || effects_.size() != before + 1) return answer;
  auto& resolve = std::get<Resolve>(effects_.back());
  if (resolve.ticket != answer.ticket) return answer;
  answer.state = Asked::State::resolved;
  answer.outcome = std::move(resolve.outcome);
  effects_.pop_back();
  resolve_queued_ = false;
  return answer;
}

void Instance::open_do(Ticket ticket, const DoRequest& request) {
  Step& step = steps_[ticket];
  static const StepConfig defaults;
  if (request.config == defaults && request.depends.empty() && !request.rollback) return;
  step.extra = std::make_unique<Extra>(
      Extra{.config = request.config, .detail = detail_of(request), .rollback = request.rollback});
}

std::expected<Asked, Error> Instance::do_(DoRequest request, TimePoint now) {
  const auto ticket = ask(StepKind::do_, request.name, request.source);
  if (!ticket) return std::unexpected(ticket.error());
  if (steps_[*ticket].phase != Phase::unknown) {
    go_on(*ticket, now);
    return answer(now);
  }
  if (!steps_[*ticket].recorded) open_do(*ticket, request);
  if (holds()) {
    hold(*ticket, DoRequest{});
  } else {
    start_attempt(*ticket, 1, now);
  }
  return answer(now);
}

std::expected<Asked, Error> Instance::do_failed(DoRequest request, Failure failure, TimePoint now) {
  const auto ticket = ask(StepKind::do_, request.name, request.source);
  if (!ticket) return std::unexpected(ticket.error());
  if (steps_[*ticket].phase != Phase::unknown) {
    go_on(*ticket, now);
    return answer(now);
  }
  if (!steps_[*ticket].recorded) open_do(*ticket, request);
  if (holds()) {
    hold(*ticket, std::move(failure));
  } else {
    end_do(*ticket, std::move(failure), now);
  }
  return answer(now);
}

std::expected<Asked, Error> Instance::sleep(SleepRequest request, TimePoint now) {
  if (!is_recorded(StepKind::sleep, request.name)) {
    if (auto error = problem_of(request, now)) return std::unexpected(std::move(*error));
  }
  const auto ticket = ask(StepKind::sleep, request.name, request.source);
  if (!ticket) return std::unexpected(ticket.error());
  if (steps_[*ticket].phase != Phase::unknown) {
    go_on(*ticket, now);
  } else if (holds()) {
    hold(*ticket, std::move(request));
  } else {
    begin_sleep(*ticket, request, now);
  }
  return answer(now);
}

void Instance::begin_sleep(Ticket ticket, const SleepRequest& request, TimePoint now) {
  Step& step = steps_[ticket];
  const auto* duration = std::get_if<Duration>(&request.until);
  step.began = now;
  step.deadline = duration ? now + duration->millis() : std::get<TimePoint>(request.until);
  if (*step.deadline <= now) {
    end_sleep(ticket, now);
  } else {
    append(identified_entry(EntryKind::sleep_started, ticket, now), Urgency::eager);
    wait_until(ticket, Phase::sleeping, step.deadline);
  }
}

std::expected<Asked, Error> Instance::wait(WaitRequest request, TimePoint now) {
  if (!is_recorded(StepKind::wait_for_event, request.name)) {
    if (auto error = problem_of(request)) return std::unexpected(std::move(*error));
  }
  const auto ticket = ask(StepKind::wait_for_event, request.name, request.source);
  if (!ticket) return std::unexpected(ticket.error());
  if (steps_[*ticket].phase != Phase::unknown) {
    go_on(*ticket, now);
  } else if (holds()) {
    hold(*ticket, std::move(request));
  } else {
    begin_wait(*ticket, request, now);
  }
  return answer(now);
}

void Instance::begin_wait(Ticket ticket, const WaitRequest& request, TimePoint now) {
  Step& step = steps_[ticket];
  step.began = now;
  step.extra = std::make_unique<Extra>(Extra{.event_type = request.type});
  if (request.timeout) step.deadline = now + request.timeout->millis();
  if (take_waiting_event(ticket, now)) return;
  if (step.deadline && *step.deadline <= now) {
    time_out_wait(ticket, now);
  } else {
    append(identified_entry(EntryKind::wait_started, ticket, now), Urgency::eager);
    wait_until(ticket, Phase::waiting, step.deadline);
  }
}

std::expected<Value, Error> Instance::value(ValueRequest request, TimePoint now) {
  const auto ticket = ask(StepKind::value, request.name, request.source);
  if (!ticket) return std::unexpected(ticket.error());
  Step& step = steps_[*ticket];
  if (step.phase == Phase::ended) {
    step.phase = Phase::delivered;
    request.value = std::get<Value>(std::move(step.ending->outcome));
    step.ending.reset();
  } else {
    step.phase = Phase::delivered;
    Entry noted = identified_entry(EntryKind::step_completed, *ticket, now);
    noted.value = request.value.json;
    append(std::move(noted), Urgency::eager);
  }
  static_cast<void>(answer(now));
  return std::move(request.value);
}

std::expected<bool, Error> Instance::patched(const std::string& id, Source source, TimePoint now) {
  const auto known = patches_.find(id);
  if (known != patches_.end()) return known->second;
  const std::string name = "patch " + id;
  const bool is_new = is_recorded(StepKind::value, name) || caught_up();
  if (is_new) {
    if (auto noted = value({name, {"true"}, source}, now); !noted) return std::unexpected(std::move(noted.error()));
  }
  patches_[id] = is_new;
  return is_new;
}

// The code asks again for a step that an earlier life of the instance left open.
void Instance::go_on(Ticket ticket, TimePoint now) {
  Step& step = steps_[ticket];
  switch (step.phase) {
    case Phase::running: {  // the process died in this attempt
      if (limits_.replay_only) break;
      if (is_over(step)) {  // or the run was ended, and its bodies with it
        step.phase = Phase::stopped;
        break;
      }
      step.phase = Phase::unknown;
      Failure lost = engine_failure(kProcessLost, "the process ended while attempt " + std::to_string(step.attempt) +
                                                      " of step '" + std::string(step_name(ticket)) + "' ran");
      if (step.attempt > step.more().config.retries.limit) {
        end_do(ticket, std::move(lost), now);
      } else {
        rest(ticket, lost, Millis::zero(), now);
      }
      break;
    }
    case Phase::resting:
      wait_until(ticket, Phase::resting, step.deadline);
      break;
    case Phase::sleeping:
      if ((*step.deadline <= now || WORKFLOWS_PLANTED(sleep_ends_with_its_process)) && !stands_still()) {
        end_sleep(ticket, now);
      } else {
        wait_until(ticket, Phase::sleeping, step.deadline);
      }
      break;
    case Phase::waiting:
      if (!stands_still() && take_waiting_event(ticket, now)) break;
      if (step.deadline && *step.deadline <= now && !stands_still()) {
        time_out_wait(ticket, now);
      } else {
        wait_until(ticket, Phase::waiting, step.deadline);
      }
      break;
    default:
      break;
  }
}

void Instance::abandon(Ticket ticket, TimePoint now) {
  Step& step = steps_.at(ticket);
  if (step.forsaken || result_) return;
  cancels_ = true;
  step.forsaken = true;
  step.forsaken_early |= step.phase < Phase::ending;
  if (step.kind == StepKind::wait_for_event) withdraw(ticket);
  if (step.forsaken_before) return;
  record_question(ticket);
  append(entry(EntryKind::abandoned, ticket, now), Urgency::eager);
}

void Instance::finish(BodyOutcome outcome, TimePoint now) {
  if (result_ || chain_began_) return;
  if (limits_.determinism != Determinism::ignore) {
    if (const auto missing = missing_step()) return diverge(*missing, now);
  }
  if (limits_.replay_only) return end_replay(&outcome);
  if (rolling_back_) return;  // it failed as it did before; the rollbacks go on
  const auto* output = std::get_if<Value>(&outcome);
  if (output && limits_.payload_bytes != 0 && output->json.size() > limits_.payload_bytes) {
    outcome = engine_failure("PayloadTooLargeError", "the output of run has " + std::to_string(output->json.size()) +
                                                         " bytes; at most " + std::to_string(limits_.payload_bytes) +
                                                         " are allowed (payload_limit)");
  }
  if (auto* failure = std::get_if<Failure>(&outcome)) {
    for (Ticket ticket = 0; ticket < steps_.size(); ++ticket) {
      if (can_be_rolled_back(ticket)) return begin_rollback(std::move(*failure), now);
    }
  }
  const bool completed = std::holds_alternative<Value>(outcome);
  if (completed && roll_back_asked_) return begin_rollback(std::nullopt, now);
  stop_everything();
  end_run(completed ? EntryKind::instance_completed : EntryKind::instance_errored,
          completed ? std::move(std::get<Value>(outcome).json) : std::get<Failure>(outcome).to_json(), now);
}

// ---------------------------------------------------------------- a step's life

void Instance::enter(Step& step, Phase phase) {
  const auto busy = [](Phase p) {
    return p == Phase::starting || p == Phase::running || p == Phase::choosing || p == Phase::ending;
  };
  if (busy(step.phase)) --busy_;
  if (busy(phase)) ++busy_;
  step.phase = phase;
}

bool Instance::is_armed(const Step& step) {
  const bool timed = step.phase == Phase::running || step.phase == Phase::resting || step.phase == Phase::sleeping ||
                     step.phase == Phase::waiting;
  return step.asked && timed && step.deadline;
}

void Instance::wait_until(Ticket ticket, Phase phase, std::optional<TimePoint> deadline) {
  Step& step = steps_[ticket];
  enter(step, phase);
  step.deadline = deadline;
  if (is_over(step)) return;
  if (deadline) {
    deadlines_.emplace(*deadline, ticket);
    if (!pausing_) effects_.emplace_back(Arm{ticket, *deadline});
  } else {
    ++endless_waits_;
  }
  if (phase == Phase::waiting) waits_[step.more().event_type].push_back(ticket);
}

void Instance::start_attempt(Ticket ticket, std::uint32_t attempt, TimePoint now) {
  Step& step = steps_[ticket];
  if (pausing_) return hold(ticket, DoRequest{});
  step.attempt = attempt;
  step.began = now;
  step.start_recorded = false;
  if (const auto beat = beats_.find(ticket); beat != beats_.end()) beat->second.before = beat->second.details;
  // At most once, ever: the start is on disk before the body runs (S10).
  if (step.more().config.retries.limit == 0 && !WORKFLOWS_PLANTED(body_before_its_start)) {
    enter(step, Phase::starting);
    return append_start(ticket, Urgency::awaited);
  }
  if (cancels_) record_question(ticket);
  run_body(ticket, now);
}

void Instance::append_start(Ticket ticket, Urgency urgency) {
  steps_[ticket].start_recorded = true;
  append(identified_entry(EntryKind::attempt_started, ticket, steps_[ticket].began), urgency);
}

void Instance::run_body(Ticket ticket, TimePoint now) {
  Step& step = steps_[ticket];
  enter(step, Phase::running);
  step.began = now;
  step.deadline = attempt_deadline(step, now);
  effects_.emplace_back(Arm{ticket, *step.deadline});
  if (step.kind == StepKind::rollback) {
    effects_.emplace_back(RollBack{ticket, step.attempt, *rollback_of_});
  } else if (asking_ && asking_->ticket == ticket) {
    asking_->run = true;
  } else {
    effects_.emplace_back(RunBody{ticket, step.attempt});
  }
}

// An attempt ends with its timeout, or when its body gives no sign of life for too long.
TimePoint Instance::attempt_deadline(const Step& step, TimePoint sign_of_life) {
  const StepConfig& config = step.more().config;
  const TimePoint timeout = step.began + config.timeout.millis();
  return config.heartbeat_timeout ? std::min(timeout, sign_of_life + config.heartbeat_timeout->millis()) : timeout;
}

TimePoint Instance::last_sign_of_life(Ticket ticket) const {
  const TimePoint began = steps_[ticket].began;
  const auto beat = beats_.find(ticket);
  return beat == beats_.end() ? began : std::max(began, beat->second.last);
}

void Instance::heartbeat(Ticket ticket, std::uint32_t attempt, Value details, TimePoint now) {
  Step& step = steps_.at(ticket);
  if (result_ || step.phase != Phase::running || step.attempt != attempt) return;
  step.deadline = attempt_deadline(step, now);  // a timer that fires before it is armed anew
  const auto [beat, first] = beats_.try_emplace(ticket);
  beat->second.details = std::move(details.json);
  beat->second.last = now;
  if (!first && now < beat->second.recorded + kBetweenHeartbeats) return;
  beat->second.recorded = now;
  record_heartbeat(ticket, now);
}

void Instance::record_heartbeat(Ticket ticket, TimePoint now) {
  record_question(ticket);  // the first entry of a step tells its identity
  Entry noted = entry(EntryKind::heartbeat, ticket, now);
  noted.value = beats_.at(ticket).details;
  append(std::move(noted), Urgency::eager);
}

std::optional<Value> Instance::last_heartbeat(Ticket ticket) const {
  const auto beat = beats_.find(ticket);
  if (beat == beats_.end() || beat->second.before.empty()) return std::nullopt;
  return Value{beat->second.before};
}

void Instance::record_start(Ticket ticket, std::uint32_t attempt, TimePoint /*now*/) {
  const Step& step = steps_.at(ticket);
  if (result_ || step.phase != Phase::running || step.attempt != attempt || step.start_recorded) return;
  append_start(ticket, Urgency::eager);
}

void Instance::body_finished(Ticket ticket, std::uint32_t attempt, BodyOutcome outcome, TimePoint now) {
  Step& step = steps_.at(ticket);
  if (result_ || step.phase != Phase::running || step.attempt != attempt) {
    effects_.emplace_back(LateResult{ticket, attempt});
    return;
  }
  effects_.emplace_back(Disarm{ticket});
  const auto beat = beats_.find(ticket);
  if (beat != beats_.end() && std::holds_alternative<Failure>(outcome) && beat->second.recorded != now) {
    record_heartbeat(ticket, now);
  }
  if (auto* failure = std::get_if<Failure>(&outcome)) {
    attempt_failed(ticket, std::move(*failure), now);
  } else {
    end_do(ticket, std::move(outcome), now);
  }
}

void Instance::attempt_failed(Ticket ticket, Failure failure, TimePoint now) {
  Step& step = steps_[ticket];
  if (!failure.retryable || step.attempt > step.more().config.retries.limit)
    return end_do(ticket, std::move(failure), now);
  if (step.more().config.retries.dynamic_delay) {
    enter(step, Phase::choosing);
    step.ending = std::make_unique<Ending>(failure);
    effects_.emplace_back(ChooseDelay{ticket, step.attempt, std::move(failure)});
    return;
  }
  rest(ticket, failure,
       retry_delay(step.more().config.retries, step.attempt, jitter_share(identity_, ticket, step.attempt)), now);
}

void Instance::delay_chosen(Ticket ticket, std::uint32_t attempt, std::variant<Millis, Failure> delay, TimePoint now) {
  Step& step = steps_.at(ticket);
  if (result_ || step.phase != Phase::choosing || step.attempt != attempt) return;
  if (auto* failure = std::get_if<Failure>(&delay)) return end_do(ticket, std::move(*failure), now);
  const Failure failure = std::get<Failure>(std::exchange(step.ending, nullptr)->outcome);
  const Millis chosen = std::get<Millis>(delay);
  if (is_accepted(chosen)) return rest(ticket, failure, chosen, now);
  Failure nonsense =
      engine_failure("StepError", "the retry delay of step '" + std::string(step_name(ticket)) + "' was computed as " +
                                      std::to_string(chosen.count()) + " ms after attempt " + std::to_string(attempt) +
                                      "; accepted are 0 to 10 years");
  nonsense.cause = std::make_shared<const Failure>(failure);
  end_do(ticket, std::move(nonsense), now);
}

void Instance::rest(Ticket ticket, const Failure& failure, Millis delay, TimePoint now) {
  Entry failed = identified_entry(EntryKind::attempt_failed, ticket, now);
  failed.began = steps_[ticket].began;
  failed.value = failure.to_json();
  failed.deadline = now + delay;
  append(std::move(failed), Urgency::eager);
  steps_[ticket].began = now;  // of the rest
  wait_until(ticket, Phase::resting, now + delay);
  park_if_quiet(now);
}

void Instance::end(Ticket ticket, Entry&& entry, Outcome&& outcome) {
  Step& step = steps_[ticket];
  enter(step, Phase::ending);
  step.ending = std::make_unique<Ending>(std::move(outcome));
  lets_go_on_ = true;
  if (WORKFLOWS_PLANTED(told_before_commit)) {
    append(Entry(entry), Urgency::awaited);
    return durable(ticket, {std::move(entry.value)}, step.began);
  }
  append(std::move(entry), Urgency::awaited);
}

// Where code goes on, the newest question must be on record: it tells a later life how many questions came before. Or
// else that life would let the code go on too soon, and same-named steps of parallel branches would change places.
void Instance::record_question(Ticket ticket) {
  if (!steps_[ticket].recorded) append_start(ticket, Urgency::eager);
}

void Instance::end_do(Ticket ticket, BodyOutcome outcome, TimePoint now) {
  Step& step = steps_[ticket];
  if (const auto* value = std::get_if<Value>(&outcome);
      value && limits_.payload_bytes != 0 && value->json.size() > limits_.payload_bytes) {
    outcome = engine_failure("PayloadTooLargeError", "the result of step '" + std::string(step_name(ticket)) +
                                                         "' has " + std::to_string(value->json.size()) +
                                                         " bytes; at most " + std::to_string(limits_.payload_bytes) +
                                                         " are allowed (payload_limit)");
  }
  auto* value = std::get_if<Value>(&outcome);
  Entry ended = identified_entry(value ? EntryKind::step_completed : EntryKind::step_failed, ticket, now);
  if (step.attempt > 0) ended.began = step.began;
  ended.value = value ? std::exchange(value->json, {}) : std::get<Failure>(outcome).to_json();
  end(ticket, std::move(ended), to_outcome(std::move(outcome)));
}

void Instance::end_sleep(Ticket ticket, TimePoint now) {
  Entry ended = identified_entry(EntryKind::sleep_finished, ticket, now);
  ended.began = steps_[ticket].began;
  end(ticket, std::move(ended), Value{"null"});
}

void Instance::take_event(Ticket ticket, InboxEvent event, TimePoint now) {
  Entry ended = identified_entry(EntryKind::wait_taken, ticket, now);
  ended.began = steps_[ticket].began;
  ended.event = event.id;
  end(ticket, std::move(ended), Received{std::move(event.type), std::move(event.payload), event.at});
}

// The oldest event of this wait's type, if it came in time.
bool Instance::take_waiting_event(Ticket ticket, TimePoint now) {
  const Step& step = steps_[ticket];
  const auto queue = inbox_.find(step.more().event_type);
  if (queue == inbox_.end() || queue->second.empty()) return false;
  const bool late = step.deadline && *step.deadline < now && queue->second.front().at > *step.deadline;
  if (late) return false;
  if (WORKFLOWS_PLANTED(event_for_two_waits)) queue->second.push_front(queue->second.front());
  InboxEvent event = std::move(queue->second.front());
  queue->second.pop_front();
  take_event(ticket, std::move(event), now);
  return true;
}

void Instance::time_out_wait(Ticket ticket, TimePoint now) {
  const Step& step = steps_[ticket];
  Failure failure = engine_failure("WaitTimeoutError", "no event of type '" + step.more().event_type +
                                                           "' came for wait '" + std::string(step_name(ticket)) +
                                                           "' within " + seconds(*step.deadline - step.began));
  Entry ended = identified_entry(EntryKind::wait_timed_out, ticket, now);
  ended.began = step.began;
  ended.value = failure.to_json();
  end(ticket, std::move(ended), std::move(failure));
}

void Instance::timer(Ticket ticket, TimePoint now) {
  Step& step = steps_.at(ticket);
  if (result_ || !is_armed(step) || is_interrupted(step)) return;
  if (now < *step.deadline) {  // that of an earlier deadline, or a clock that stepped back: not before time (S20)
    effects_.emplace_back(Arm{ticket, *step.deadline});
    return;
  }
  deadlines_.erase({*step.deadline, ticket});
  if (step.phase == Phase::running) {
    effects_.emplace_back(AttemptDue{ticket, step.attempt, step.began});
  } else if (step.phase == Phase::resting) {
    start_attempt(ticket, step.attempt + 1, now);
  } else if (step.phase == Phase::sleeping) {
    end_sleep(ticket, now);
  } else {
    std::erase(waits_[step.more().event_type], ticket);
    time_out_wait(ticket, now);
  }
}

void Instance::attempt_due(Ticket ticket, std::uint32_t attempt, std::optional<TimePoint> began, TimePoint now) {
  Step& step = steps_.at(ticket);
  if (result_ || step.phase != Phase::running || step.attempt != attempt) return;
  step.began = began.value_or(now);
  step.deadline = attempt_deadline(step, last_sign_of_life(ticket));
  if (now < *step.deadline) {
    effects_.emplace_back(Arm{ticket, *step.deadline});
    return;
  }
  effects_.emplace_back(CancelBody{ticket, attempt});
  attempt_failed(ticket, timeout_failure(ticket, now), now);
}

Failure Instance::timeout_failure(Ticket ticket, TimePoint now) const {
  const Step& step = steps_[ticket];
  const StepConfig& config = step.more().config;
  const std::string attempt =
      "attempt " + std::to_string(step.attempt) + " of step '" + std::string(step_name(ticket)) + "' ";
  if (now >= step.began + config.timeout.millis())
    return engine_failure("StepTimeoutError",
                          attempt + "took longer than its timeout of " + seconds(config.timeout.millis()));
  return engine_failure("StepTimeoutError", attempt + "gave no sign of life for " +
                                                seconds(config.heartbeat_timeout->millis()) + " (heartbeat_timeout)");
}

void Instance::event(InboxEvent event, TimePoint now) {
  if (event.id <= last_event_) return;
  last_event_ = event.id;
  inbox_[event.type].push_back(event);
  if (!stands_still()) take_events(event.type, now);
}

void Instance::take_events(const std::string& type, TimePoint now) {
  auto& waits = waits_[type];
  auto& untaken = inbox_[type];
  while (!result_ && !waits.empty() && !untaken.empty()) {
    const Ticket ticket = waits.front();
    waits.pop_front();
    if (const auto deadline = steps_[ticket].deadline) {
      deadlines_.erase({*deadline, ticket});
      effects_.emplace_back(Disarm{ticket});
    } else {
      --endless_waits_;
    }
    if (!take_waiting_event(ticket, now)) time_out_wait(ticket, now);
  }
}

}  // namespace workflows::core

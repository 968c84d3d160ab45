#include "tests/simulation/world.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/runtime/client_access.h"
#include "tests/simulation/invariants.h"

namespace workflows::simulation {
namespace {

constexpr TimePoint kStart{std::chrono::sys_days(std::chrono::year(2030) / 1 / 1)};
constexpr Millis kLease{10'000};

bool is_refusal(ErrorCode code) {
  return code == ErrorCode::invalid_transition || code == ErrorCode::instance_not_found ||
         code == ErrorCode::instance_finished || code == ErrorCode::instance_exists;
}

bool is_allowed(Control verb, Status from) {
  if (from == Status::rolling_back) return false;
  if (verb == Control::restart || verb == Control::remove) return true;
  if (verb == Control::resume) return from == Status::paused || from == Status::waiting_for_pause;
  return !is_finished(from);
}

bool went_wrong(ErrorCode code, const Wire& wire) { return code == ErrorCode::store_busy || wire.cut; }

}  // namespace

class World::WallClock final : public Clock {
 public:
  explicit WallClock(const TimePoint& now) : now_(now) {}
  TimePoint now() const override { return now_; }

 private:
  const TimePoint& now_;
};

World::World(const Scenario& scenario, Counters& counters)
    : scenario_(scenario),
      random_(scenario.seed),
      counters_(counters),
      ledger_(programs_, counters),
      now_(kStart),
      latest_(now_),
      clock_(std::make_shared<WallClock>(now_)),
      processes_(scenario.workers) {
  for (std::size_t i = 0; i < scenario_.programs.size(); ++i)
    programs_.emplace("w" + std::to_string(i), scenario_.programs[i]);
  data_->now = [this] { return now_; };
  connect_client();
}

// Whatever has been seen, nobody writes any more.
World::~World() {
  client_wire_->cut = true;
  for (Process& process : processes_) {
    if (process.wire) process.wire->cut = true;
  }
}

bool World::has(Fault fault) const { return !faultless_ && std::ranges::count(scenario_.faults, fault) > 0; }

std::string World::workflow_of(const std::string& id) const {
  return "w" + std::to_string(std::stoul(id.substr(1)) % programs_.size());
}

CreateRequest World::creation_of(const std::string& id) const {
  CreateRequest request{.workflow = workflow_of(id), .id = id, .on_conflict = OnConflict::return_existing};
  if (std::ranges::count(scenario_.faults, Fault::retention) > 0)
    request.retention = Retention{.success = Millis(3'000), .failure = Millis(3'000)};
  return request;
}

HostOptions World::options() const {
  HostOptions options{.hibernate_after = Millis(scenario_.hibernate_ms),
                      .lease = kLease,
                      .max_concurrent_instances = scenario_.at_once,
                      .clock = clock_};
  for (const auto& [name, program] : programs_) options.workflows.push_back({name, is_patched_ ? "2" : "1"});
  return options;
}

void World::run() {
  for (std::uint32_t i = 0; i < scenario_.moves; ++i) {
    move();
    if (std::exchange(power_fails_, false)) cut_power();
  }
  settle();
  check_end();
}

std::string World::journal() const {
  std::string text;
  for (const auto& [key, instance] : data_->tables.instances) {
    const InstanceInfo& info = instance.info;
    text += fmt::format("  instance {} ({}), generation {}: {}, owner {}\n", info.id, info.workflow, info.generation,
                        to_string(info.status), info.owner);
    for (const auto& [cursor, entry] : instance.history) {
      text += fmt::format("    {} +{} ms: {} {} {}#{} attempt {} {}\n", cursor, (entry.at - kStart).count(),
                          to_string(entry.kind), entry.step, entry.name, entry.occurrence, entry.attempt, entry.value);
    }
  }
  return text;
}

// ---------------------------------------------------------------- moves

void World::move() {
  const std::size_t kind = random_.below(100);
  if (kind < 70) return move(some_process());
  if (kind < 80) return pass(Millis(random_.one_in(4) ? random_.below(4'000) : random_.below(60)));
  if (kind < 86) return create();
  if (kind < 92) return send_event(random_.one_in(4) ? 0 : ++events_);
  if (kind < 94 && has(Fault::lifecycle)) return control();
  if (kind < 98) go_wrong();
}

void World::go_wrong() {
  if (random_.one_in(3)) return;
  switch (scenario_.faults.empty() ? Fault::busy : random_.pick(scenario_.faults)) {
    case Fault::death:
      return kill(some_process());
    case Fault::partition:
      some_process().stands_still = static_cast<std::uint32_t>(5 + random_.below(100));
      return pass(Millis(random_.below(2) * 2 * kLease.count()));
    case Fault::clock_step:
      now_ += Millis(static_cast<std::int64_t>(random_.below(40'000)) - 20'000);
      latest_ = std::max(latest_, now_);
      return counters_.sometimes("the clock stepped");
    case Fault::power_cut:
      if (random_.one_in(3)) cut_power();
      return;
    case Fault::upgrade:
      if (!is_patched_) upgrade();
      return;
    default:
      return;
  }
}

void World::move(Process& process) {
  if (process.stands_still > 0) {
    --process.stands_still;
    return;
  }
  if (!process.worker) return start(process);
  Worker& worker = *process.worker;
  const std::size_t kind = random_.below(20);
  if (kind < 7) {
    worker.act();
  } else if (kind < 9) {
    worker.turn();
  } else if (kind < 14) {
    worker.write();
  } else if (kind < 18 && worker.open_bodies() > 0) {
    worker.end_body(random_.below(worker.open_bodies()));
  } else if (kind == 18) {
    worker.confirm_eviction();
  } else if (has(Fault::late_body) && worker.late_bodies() > 0) {
    worker.end_late_body();
  } else if (random_.one_in(40)) {  // closed in peace
    process.worker.reset();
    counters_.sometimes("an engine was closed");
  }
  look_after(process);
}

void World::pass(Millis by) {
  now_ += by;
  steady_ += by;
  latest_ = std::max(latest_, now_);
}

void World::start(Process& process) {
  process.wire = new_wire(&process);
  process.life = ++lives_;
  const std::size_t at_once = scenario_.at_once == 0 ? SIZE_MAX : scenario_.at_once;
  const Surroundings around{programs_, ledger_, counters_, data_->tables, is_patched_, at_once};
  try {
    process.worker = std::make_unique<Worker>(process.life, around, options(), connect_by(data_, process.wire),
                                              [this] { return steady_; });
  } catch (const WorkflowsError& error) {
    hold(0, went_wrong(error.code(), *process.wire), std::string("an engine did not open: ") + error.what());
  }
}

void World::kill(Process& process) {
  if (!process.worker) return;
  if (process.worker->open_bodies() > 0) counters_.sometimes("a process died in a body");
  counters_.sometimes("a process died");
  process.wire->cut = true;
  process.worker.reset();
}

void World::look_after(Process& process) {
  if (process.wire->died) return kill(process);
  hear(process);
  stop_if_failed(process);
}

// An engine stops only for what went wrong with its connection, or when it lost its ownership.
void World::stop_if_failed(Process& process) {
  if (!process.worker || !process.worker->stopped()) return;
  const std::string why = process.worker->stopped()->message;
  const bool lost = why.contains("ownership was lost");
  hold(0, lost || process.wire->cut, "an engine stopped: " + why);
  if (lost) counters_.sometimes("stale owner refused");
  process.worker.reset();
}

void World::cut_power() {
  counters_.sometimes("the power was cut");
  for (Process& process : processes_) {
    if (process.wire) process.wire->cut = true;
    process.worker.reset();
  }
  if (backups_.empty()) return;
  counters_.sometimes("commits were lost with the power");
  Backup& backup = backups_[random_.below(backups_.size())];
  data_->tables = std::move(backup.tables);
  ledger_ = std::move(backup.ledger);
  for (auto& [id, row] : data_->tables.owners) row.store = nullptr;
  backups_.clear();
}

void World::upgrade() {
  for (Process& process : processes_) kill(process);
  is_patched_ = true;
}

// ---------------------------------------------------------------- callers

void World::connect_client() {
  client_wire_ = new_wire(nullptr);
  client_ = std::make_unique<Client>(ClientAccess::open(connect_by(data_, client_wire_), clock_));
}

World::Answer World::call(const std::function<void(Client&)>& verb) {
  Answer answer = Answer::done;
  try {
    verb(*client_);
  } catch (const WorkflowsError& error) {
    const bool refused = is_refusal(error.code());
    hold(0, refused || went_wrong(error.code(), *client_wire_), std::string("a call failed: ") + error.what());
    counters_.sometimes(refused ? "a call was refused" : "a call broke off");
    answer = refused ? Answer::refused : Answer::none;
  }
  removing_.reset();
  if (client_wire_->cut) connect_client();
  return answer;
}

// An engine that has stopped, and that nobody has looked after yet, refuses.
void World::ask(Worker& worker, Call call, const std::function<CallId(Host&)>& verb) {
  try {
    calls_[{worker.life(), verb(worker.host())}] = std::move(call);
  } catch (const WorkflowsError& error) {
    hold(0, is_of_stopped(error.code()), std::string("a call failed: ") + error.what());
  }
}

void World::create() {
  if (random_.one_in(4)) return create_batch();
  const std::string id = some_id();
  if (Worker* worker = some_worker()) {
    ask(*worker, {{id}}, [&](Host& host) { return host.create(creation_of(id)); });
  } else {
    call([&](Client& client) { ledger_.created(id, client.create(creation_of(id)).key, data_->tables); });
  }
}

// New ids, which nobody else creates: all of them are there in the end, or none.
void World::create_batch() {
  if (batches_.size() > 1) return;
  std::vector<std::string> ids;
  std::vector<CreateRequest> requests;
  for (std::size_t i = 0; i < 2; ++i) {
    ids.push_back("b" + std::to_string(10 * batches_.size() + i));
    requests.push_back(creation_of(ids.back()));
  }
  batches_.push_back(ids);
  if (Worker* worker = some_worker())
    ask(*worker, {std::move(ids)}, [&](Host& host) { return host.create_batch(std::move(requests)); });
}

// What is sent depends on its number alone, so that it may be sent twice. Some are for nobody.
void World::send_event(int number) {
  if (number == 0) number = 1 + static_cast<int>(random_.below(static_cast<std::size_t>(events_) + 1));
  const std::string id = "i" + std::to_string(static_cast<std::uint32_t>(number) % (scenario_.instances + 1));
  SendEventRequest request{.workflow = workflow_of(id),
                           .id = id,
                           .type = number / 7 % 2 == 0 ? "x" : "y",
                           .payload = std::to_string(1'000 + number),
                           .event_id = "e" + std::to_string(number)};
  if (Worker* worker = some_worker()) {
    ask(*worker, {{id}, request.event_id}, [&](Host& host) { return host.send_event(request); });
  } else {
    call([&](Client& client) {
      client.send_event(request);
      ledger_.sent(request.event_id, data_->tables);
    });
  }
}

void World::hear(const Process& process) {
  if (!process.worker) return;
  for (const auto& [call, result] : process.worker->take_replies()) {
    if (const auto known = calls_.extract({process.life, call})) hear(known.mapped(), result);
  }
}

void World::hear(const Call& call, const decltype(CallReply::result)& result) {
  const auto created = [&](const std::string& id, const InstanceRef& ref) {
    hold(10, ref.id == id, "a creation was answered with another instance");
    ledger_.created(id, ref.key, data_->tables);
  };
  if (const auto* ref = std::get_if<InstanceRef>(&result)) {
    created(call.ids.front(), *ref);
  } else if (const auto* batch = std::get_if<BatchOutcome>(&result)) {
    counters_.sometimes("a batch was created");
    for (std::size_t i = 0; i < batch->size(); ++i) created(call.ids[i], std::get<InstanceRef>((*batch)[i]));
  } else if (const auto* error = std::get_if<Error>(&result)) {
    hold(0, is_refusal(error->code) || is_of_stopped(error->code), "a call failed: " + error->message);
  } else {
    ledger_.sent(call.event_id, data_->tables);
  }
}

std::optional<InstanceInfo> World::newest(const std::string& id) const {
  const auto key = data_->tables.keys.find({workflow_of(id), id});
  if (key == data_->tables.keys.end()) return std::nullopt;
  return data_->tables.instances.at(key->second).info;
}

void World::control() {
  const std::string id = some_id();
  using enum Control;
  static const std::vector often = {pause, pause, pause, resume, resume, resume, terminate, roll_back, restart, remove};
  const Control verb = random_.pick(often);
  if (verb == remove && random_.below(3) > 0) return;
  const auto before = newest(id);
  const Answer answer = call([&](Client& client) { control(client, verb, id); });
  if (answer != Answer::none && before) check_control(verb, *before, newest(id), answer);
}

void World::control(Client& client, Control verb, const std::string& id) {
  const std::string workflow = workflow_of(id);
  switch (verb) {
    case Control::pause:
      return client.pause(workflow, id);
    case Control::resume:
      return client.resume(workflow, id);
    case Control::terminate:
      return client.terminate(workflow, id);
    case Control::roll_back:
      return client.terminate(workflow, id, true);
    case Control::restart:
      return ledger_.created(id, client.restart({.workflow = workflow, .id = id}).instance.key, data_->tables);
    case Control::remove:
      removing_ = {workflow, id};
      return client.remove(workflow, id);
  }
}

// The table of S26. What an acknowledged call has done, the ledger holds from then on.
void World::check_control(Control verb, const InstanceInfo& before, const std::optional<InstanceInfo>& after,
                          Answer answer) const {
  const std::string what = fmt::format("{} of instance {}, which was {},", boost::describe::enum_to_string(verb, ""),
                                       before.id, to_string(before.status));
  hold(0, (answer == Answer::done) == is_allowed(verb, before.status), what + " was refused, or was not");
  if (answer == Answer::refused) return;
  const auto is_now = [&](Status one, Status other) {
    return after && (after->status == one || after->status == other);
  };
  const auto holds = [&] {
    switch (verb) {
      case Control::pause:
        return is_now(Status::paused, Status::waiting_for_pause);
      case Control::resume:
        return is_now(Status::queued, Status::running);
      case Control::terminate:
        return is_now(Status::terminated, Status::terminated);
      case Control::roll_back:
        return is_now(Status::rolling_back, Status::terminated);
      case Control::restart:
        return is_now(Status::queued, Status::queued) && after->generation == before.generation + 1 &&
               is_finished(data_->tables.instances.at(before.key).info.status);
      case Control::remove:
        return !after;
    }
    return false;
  };
  hold(1, holds(), what + " was acknowledged and did not happen");
  counters_.sometimes("acknowledged: " + std::string(boost::describe::enum_to_string(verb, "")));
}

// ---------------------------------------------------------------- the database

std::shared_ptr<Wire> World::new_wire(const Process* process) {
  auto wire = std::make_shared<Wire>();
  wire->fault = [this](std::string_view write) { return write_fault(write); };
  wire->before = [this](const auto& batch) { before(batch); };
  wire->after = [this, process](const auto& batch, const auto& results) { after(process, batch, results); };
  wire->changed = [this, process] { observe(process); };
  return wire;
}

WriteFault World::write_fault(std::string_view write) {
  if (has(Fault::busy) && random_.one_in(6)) {
    counters_.sometimes(fmt::format("busy: {}", write));
    return WriteFault::busy;
  }
  if (has(Fault::failed_write) && random_.one_in(30)) {
    counters_.sometimes(fmt::format("failed: {}", write));
    return random_.one_in(2) ? WriteFault::fails : WriteFault::unheard;
  }
  if (has(Fault::death_in_write) && random_.one_in(20)) {
    counters_.sometimes(fmt::format("died in: {}", write));
    return random_.one_in(2) ? WriteFault::dies_before : WriteFault::dies_after;
  }
  if (has(Fault::power_cut) && random_.one_in(60)) {
    counters_.sometimes("the power failed in a write");
    power_fails_ = true;
    return random_.one_in(2) ? WriteFault::dies_before : WriteFault::dies_after;
  }
  return WriteFault::none;
}

void World::before(const storage::WriteBatch& batch) {
  if (has(Fault::power_cut) && scenario_.unsynced > 0) keep_backup();
  foreign_.clear();
  if (!batch.owner) return;
  const auto row = data_->tables.owners.find(batch.owner->id);
  owner_is_current_ = row != data_->tables.owners.end() && row->second.owner.epoch == batch.owner->epoch;
  for (const auto& [key, instance] : data_->tables.instances) {
    if (instance.info.owner != batch.owner->id) foreign_.push_back(key);
  }
}

// Some commits are synced to the disk; what came since is lost with the power.
void World::keep_backup() {
  if (random_.one_in(4) || backups_.size() >= scenario_.unsynced) backups_.clear();
  backups_.push_back({data_->tables, ledger_});
}

void World::after(const Process* process, const storage::WriteBatch& batch,
                  const std::expected<std::vector<storage::ItemResult>, Error>& results) {
  if (!results) return;
  hold(4, !batch.owner || owner_is_current_, "an owner that was replaced has written");
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const auto* append = std::get_if<storage::AppendEntry>(&batch.items[i]);
    if (append == nullptr) continue;
    const bool is_foreign =
        std::ranges::count(foreign_, append->instance) > 0 || !data_->tables.instances.contains(append->instance);
    const bool written = !std::holds_alternative<storage::Lost>((*results)[i]);
    if (is_foreign && !written) counters_.sometimes("an entry for a lost instance was refused");
    hold(4, !is_foreign || !written, "an engine has written for an instance that is not its own");
  }
  observe(process);
}

void World::observe(const Process* process) {
  ledger_.observe(data_->tables, latest_, process == nullptr ? 0 : process->life, removing_);
}

// ---------------------------------------------------------------- the end

void World::settle() {
  faultless_ = true;
  if (!is_patched_ && std::ranges::count(scenario_.faults, Fault::upgrade) > 0) upgrade();
  for (Process& process : processes_) process.stands_still = 0;
  int rounds = 0;
  for (let_everybody_work(); !has_everything_ended(); let_everybody_work()) {
    hold(16, ++rounds < 3'000, "something has not come to its end");
    check_nobody_starves();
    feed();
    pass(Millis(std::min(200 + 20 * rounds, 2'000)));
  }
}

bool World::has_everything_ended() const {
  return std::ranges::all_of(data_->tables.instances,
                             [](const auto& row) { return is_finished(row.second.info.status); });
}

// Until nothing happens any more at this time: a round may go by with messages alone.
void World::let_everybody_work() {
  for (int rounds = 0, quiet = 0; quiet < 4; ++rounds) {
    hold(16, rounds < 1'000, "the engines do not come to rest");
    const std::uint64_t before = data_->tables.commits;
    bool busy = false;
    for (Process& process : processes_) busy |= work(process);
    quiet = busy || data_->tables.commits != before ? 0 : quiet + 1;
  }
}

// True if anything was done.
bool World::work(Process& process) {
  if (!process.worker) start(process);
  Worker& worker = *process.worker;
  bool busy = false;
  while (worker.act() || worker.confirm_eviction()) busy = true;
  while (worker.open_bodies() > 0) {
    worker.end_body(0);
    busy = true;
  }
  worker.write();
  look_after(process);
  return busy || !process.worker;
}

void World::check_nobody_starves() const {
  if (scenario_.at_once > 0) return;  // it may queue for memory
  for (const auto& [key, instance] : data_->tables.instances) {
    const Status status = instance.info.status;
    if (instance.info.owner == 0 || (status != Status::running && status != Status::waiting)) continue;
    for (const std::string& type : ledger_.starving(key, data_->tables))
      hold(15, false, "instance " + instance.info.id + " sleeps although the event of type " + type + " has come");
  }
}

void World::feed() {
  for (const auto& [key, instance] : std::map(data_->tables.instances)) {
    const auto& [workflow, id] = std::pair(instance.info.workflow, instance.info.id);
    if (is_finished(instance.info.status)) continue;
    if (instance.info.status == Status::paused) call([&](Client& client) { client.resume(workflow, id); });
    for (const std::string& type : ledger_.awaited(key)) {
      if (random_.one_in(2)) continue;
      call([&](Client& client) {
        client.send_event({.workflow = workflow, .id = id, .type = type, .payload = std::to_string(++events_)});
      });
    }
  }
}

void World::check_end() {
  ledger_.check_acknowledged(data_->tables);
  Ledger::check_indexes(data_->tables);
  for (const auto& ids : batches_) {
    const auto is_there = [&](const std::string& id) { return data_->tables.keys.contains({workflow_of(id), id}); };
    const auto there = std::ranges::count_if(ids, is_there);
    const bool may_expire = std::ranges::count(scenario_.faults, Fault::retention) > 0;
    hold(10, may_expire || there == 0 || there == std::ssize(ids), "a batch was created in part");
  }
  for (const Process& process : processes_) {
    hold(17, process.worker->host().counters().loaded_instances == 0,
         "all instances have ended, and some are still in memory");
  }
  Worker& worker = *processes_.front().worker;
  for (const auto& [key, instance] : std::map(data_->tables.instances)) {
    if (instance.info.status == Status::terminated) continue;
    worker.replay(client_->history(key));
  }
}

}  // namespace workflows::simulation

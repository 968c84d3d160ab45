#include "tests/support/store_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "storage/sqlite/sqlite_database.h"

namespace workflows::testing {
namespace {

using namespace storage;

constexpr Millis kHour = std::chrono::hours(1);
// More than the WAL may hold before it is moved into the file, 4 KiB each.
constexpr int kHeavyEntries = 2100;

std::size_t hash_of(const World& world) { return std::hash<std::string>{}(world.text()); }

bool is_owned(const WorldInstance& instance) { return instance.owned && instance.key != 0; }

// Nobody has asked for something else of it.
bool is_free(const WorldInstance& instance) {
  return is_owned(instance) && instance.status != Status::waiting_for_pause && instance.status != Status::rolling_back;
}

std::string name_of(const Item& item, const ItemResult& result) {
  constexpr std::array kItems{"create",  "create batch", "append", "set status", "send",    "control",
                              "restart", "import",       "heard",  "claim",      "release", "renew"};
  constexpr std::array kVerbs{"pause", "resume", "terminate", "roll back", "remove"};
  static_assert(kItems.size() == std::variant_size_v<Item>);
  if (std::holds_alternative<Lost>(result)) return "lost";
  if (const auto* controlled = std::get_if<Controlled>(&result); controlled && controlled->refused) return "refused";
  if (const auto* control = std::get_if<Control>(&item)) return kVerbs.at(static_cast<std::size_t>(control->verb));
  return kItems.at(item.index());
}

// The first line in which they differ.
std::string difference(const std::string& expected, const std::string& found) {
  const auto [one, other] = std::ranges::mismatch(expected, found);
  const auto line = [](const std::string& text, std::string::const_iterator at) {
    const auto begin = text.rfind('\n', static_cast<std::size_t>(std::max<std::ptrdiff_t>(at - text.begin() - 1, 0)));
    const auto from = begin == std::string::npos ? 0 : begin + 1;
    return text.substr(from, text.find('\n', from) - from);
  };
  return fmt::format("expected: {}\n   found: {}\n", line(expected, one), line(found, other));
}

}  // namespace

std::optional<Error> StoreWorker::work() {
  earlier_.insert(hash_of(world_));
  auto error = open();
  for (int done = 0; !error && done < plan_.turns; ++done) error = turn();
  store_.reset();
  database_.reset();
  return error;
}

std::string StoreWorker::look_again() {
  const auto opened = sqlite::open_sqlite({.location = path_, .durability = plan_.durability}, Millis(0));
  if (!opened) return "cannot be opened: " + opened.error().message;
  const auto store = (*opened)->connect();
  if (!store) return "cannot be opened: " + store.error().message;
  auto found = read_world(**store, owner_.id);
  if (!found) return "cannot be read: " + found.error().message;
  const auto text = found->text();
  const bool known = text == world_.text() || (in_flight_ && text == in_flight_->text()) ||
                     (forgetful_ && earlier_.contains(std::hash<std::string>{}(text)));
  std::string wrong = known ? "" : difference(world_.text(), text);
  wrong += unsound(**store);
  world_ = std::move(*found);
  in_flight_.reset();
  forgetful_ = false;
  ++lives_;
  earlier_ = {hash_of(world_)};
  return wrong;
}

std::optional<Error> StoreWorker::open() {
  auto opened = sqlite::open_sqlite({.location = path_, .durability = plan_.durability}, Millis(0));
  if (!opened) return opened.error();
  database_ = std::move(*opened);
  auto store = database_->connect();
  if (!store) return store.error();
  store_ = std::move(*store);
  auto after = world_;
  after.disown();
  const auto owner = write<Owner>(*store_, std::move(after), [this] { return store_->open_owner(kHour); });
  if (!owner) return owner.error();
  owner_ = *owner;
  return std::nullopt;
}

template <class T>
std::expected<T, Error> StoreWorker::attempt(World after, const std::function<std::expected<T, Error>()>& act) {
  in_flight_ = std::move(after);
  auto result = act();
  if (result) {
    world_ = std::move(*in_flight_);
    earlier_.insert(hash_of(world_));
  }
  if (result || result.error().code == ErrorCode::store_busy) in_flight_.reset();  // busy: "nothing was written"
  return result;
}

template <class T>
std::expected<T, Error> StoreWorker::write(Store& store, World after,
                                           const std::function<std::expected<T, Error>()>& act) {
  auto result = attempt<T>(std::move(after), act);
  if (!result && result.error().code != ErrorCode::store_busy) check_that_it_refuses(store, result.error());
  return result;
}

std::optional<Error> StoreWorker::commit(Store& store, std::optional<Owner> owner, const Items& items, World after) {
  const auto results = write<std::vector<ItemResult>>(store, std::move(after),
                                                      [&] { return store.commit({.owner = owner, .items = items}); });
  if (!results) return results.error();
  for (std::size_t i = 0; i < items.size(); ++i) learn(items[i], (*results)[i]);
  return std::nullopt;
}

// Keys are known only once they are stored.
void StoreWorker::learn(const Item& item, const ItemResult& result) {
  const auto note = [this](const std::string& id, InstanceKey key) { world_.find(id)->key = key; };
  if (const auto* create = std::get_if<Create>(&item)) note(create->id, std::get<Created>(result).key);
  if (const auto* import = std::get_if<Import>(&item)) note(import->history.info.id, std::get<Created>(result).key);
  if (const auto* restart = std::get_if<Restart>(&item); restart && !std::get<Controlled>(result).refused)
    note(restart->id, std::get<Controlled>(result).key);
  if (const auto* batch = std::get_if<CreateBatch>(&item))
    for (std::size_t i = 0; i < batch->creates.size(); ++i)
      note(batch->creates[i].id, std::get<CreatedBatch>(result).created[i].key);
  ++done_[name_of(item, result)];
}

// S44. A second attempt must come to nothing, and say the same.
void StoreWorker::check_that_it_refuses(Store& store, const Error& error) {
  const Items items{Create{.workflow = kWorkflow, .id = "after a failure", .params = "{}", .new_id = true}};
  const auto again = store.commit({.owner = std::nullopt, .items = items});
  if (again)
    broken_promise_ = "wrote after this failure: " + error.message;
  else if (again.error() != error)
    broken_promise_ = fmt::format("failed with: {}\nand then with: {}", error.message, again.error().message);
}

std::optional<Error> StoreWorker::turn() {
  const auto choice = below(40);
  if (choice == 0) return start_again(true);
  if (choice == 1) return start_again(false);
  if (choice == 2) return close_and_open_owner();
  if (choice <= 5) return read();
  if (choice <= 8) return collect_garbage();
  if (choice <= 18) return act_from_outside();
  return write_batch(plan_.heavy && choice >= 32);
}

std::optional<Error> StoreWorker::start_again(bool close_owner) {
  if (close_owner) {
    auto after = world_;
    after.disown();
    const auto closed = write<void>(*store_, std::move(after), [this] { return store_->close_owner(owner_); });
    if (!closed) return closed.error();
  }
  store_.reset();
  database_.reset();
  return open();
}

std::optional<Error> StoreWorker::close_and_open_owner() {
  auto after = world_;
  after.disown();
  const auto closed = write<void>(*store_, after, [this] { return store_->close_owner(owner_); });
  if (!closed) return closed.error();
  const auto owner = write<Owner>(*store_, std::move(after), [this] { return store_->open_owner(kHour); });
  if (!owner) return owner.error();
  owner_ = *owner;
  return std::nullopt;
}

std::optional<Error> StoreWorker::write_batch(bool heavy) {
  World after = world_;
  Items items;
  if (heavy) {
    auto* target = pick(after, is_owned);
    for (int i = 0; target && i < kHeavyEntries; ++i) {
      const auto large = entry(EntryKind::step_completed, '"' + std::string(3998, 'v') + '"');
      target->record(large);
      items.push_back(AppendEntry{.instance = target->key, .entry = large});
    }
  }
  for (auto count = 1 + below(9); count > 0; --count)
    if (!add(items, after)) add_create(items, after);
  return commit(*store_, owner_, items, std::move(after));
}

// Through a connection of its own, as another process would.
std::optional<Error> StoreWorker::act_from_outside() {
  auto store = database_->connect();
  if (!store) return store.error();
  auto after = world_;
  Items items;
  for (auto count = 1 + below(5); count > 0; --count) add_from_outside(items, after);
  return commit(**store, std::nullopt, items, std::move(after));
}

// What has expired is gone at once, all rows of it in portions.
std::optional<Error> StoreWorker::collect_garbage() {
  const auto time = now();
  auto after = world_;
  for (const auto& instance : world_.instances)
    if (instance.expires && *instance.expires <= time) after.remove(instance.id, instance.generation);
  const auto collected =
      attempt<Store::Collected>(std::move(after), [&] { return store_->collect_garbage(time, 1 + below(10)); });
  if (!collected) return collected.error();
  done_["collect garbage"] += collected->rows == 0 ? 0 : 1;
  return std::nullopt;
}

std::optional<Error> StoreWorker::read() {
  const auto found = read_world(*store_, owner_.id);
  if (!found) return found.error();
  if (found->text() != world_.text())
    broken_promise_ = "read something else:\n" + difference(world_.text(), found->text());
  if (const auto changed = store_->changed(); !changed) return changed.error();
  if (const auto arrived = store_->arrivals(owner_.id, 0, 10); !arrived) return arrived.error();
  if (const auto replaced = store_->replace_dead_owners(); !replaced) return replaced.error();
  return std::nullopt;
}

bool StoreWorker::add(Items& items, World& world) {
  using Add = bool (StoreWorker::*)(Items&, World&);
  constexpr std::array<Add, 18> kChoices{
      &StoreWorker::add_create,     &StoreWorker::add_entry,  &StoreWorker::add_entry,    &StoreWorker::add_entry,
      &StoreWorker::add_entry,      &StoreWorker::add_take,   &StoreWorker::add_take,     &StoreWorker::add_event,
      &StoreWorker::add_status,     &StoreWorker::add_claim,  &StoreWorker::add_claim,    &StoreWorker::add_end,
      &StoreWorker::add_lost_entry, &StoreWorker::add_pause,  &StoreWorker::add_rollback, &StoreWorker::add_heard,
      &StoreWorker::add_renew,      &StoreWorker::add_release};
  return (this->*kChoices.at(below(kChoices.size())))(items, world);
}

bool StoreWorker::add_from_outside(Items& items, World& world) {
  using Add = bool (StoreWorker::*)(Items&, World&);
  constexpr std::array<Add, 8> kChoices{&StoreWorker::add_event,   &StoreWorker::add_event,   &StoreWorker::add_control,
                                        &StoreWorker::add_control, &StoreWorker::add_control, &StoreWorker::add_control,
                                        &StoreWorker::add_restart, &StoreWorker::add_import};
  return (this->*kChoices.at(below(kChoices.size())))(items, world);
}

bool StoreWorker::add_create(Items& items, World& world) {
  if (below(4) != 0) {
    items.push_back(create(world));
    return true;
  }
  CreateBatch batch;
  for (auto count = 1 + below(3); count > 0; --count) batch.creates.push_back(create(world));
  items.push_back(std::move(batch));
  return true;
}

// Some exist already, and are left as they are; some have been removed, and begin anew.
Create StoreWorker::create(World& world) {
  const bool again = made_ > 0 && below(6) == 0;
  const bool owned = below(3) != 0;
  WorldInstance made{.id = fmt::format("i{}", again ? below(made_) : made_++),
                     .params = value(),
                     .status = owned ? Status::running : Status::queued,
                     .owned = owned};
  const Create item{.workflow = kWorkflow,
                    .id = made.id,
                    .params = made.params,
                    .created = now(),
                    .owned = owned,
                    .retention = retention_of(made.id)};
  if (!world.find(made.id)) world.instances.push_back(std::move(made));
  return item;
}

bool StoreWorker::add_entry(Items& items, World& world) {
  auto* target = pick(world, is_owned);
  if (!target) return false;
  const auto recorded = entry(EntryKind::step_completed, value());
  items.push_back(AppendEntry{.instance = target->key, .entry = recorded});
  target->record(recorded);
  return true;
}

bool StoreWorker::add_end(Items& items, World& world) {
  auto* target = below(3) == 0 ? pick(world, is_owned) : nullptr;
  if (!target) return false;
  const bool rolls_back = target->status == Status::rolling_back;  // and does not complete any more
  const auto recorded = entry(rolls_back ? EntryKind::instance_terminated : EntryKind::instance_completed, value());
  items.push_back(AppendEntry{.instance = target->key, .entry = recorded});
  target->record(recorded);
  return true;
}

bool StoreWorker::add_take(Items& items, World& world) {
  const auto waits = [](const InboxEvent& event) { return !event.taken; };
  auto* target = pick(world, [&](const WorldInstance& instance) {
    return is_owned(instance) && std::ranges::any_of(instance.inbox, waits);
  });
  if (!target) return false;
  const auto event = std::ranges::find_if(target->inbox, waits);
  const auto place = static_cast<std::size_t>(event - target->inbox.begin());
  auto recorded = entry(EntryKind::wait_taken, "");
  recorded.event = id_of_event(*target, place);
  if (recorded.event == 0) return false;
  event->taken = true;
  items.push_back(AppendEntry{.instance = target->key, .entry = recorded});
  target->record(recorded, place);
  return true;
}

// 0: not stored yet, or not to be read.
std::int64_t StoreWorker::id_of_event(const WorldInstance& instance, std::size_t place) {
  const auto loaded = store_->load(instance.key);
  return loaded && place < loaded->inbox.size() ? loaded->inbox[place].id : 0;
}

// Some have been sent before, under the same id of their sender.
bool StoreWorker::add_event(Items& items, World& world) {
  auto* target = pick(world, [](const WorldInstance& instance) { return !is_finished(instance.status); });
  if (!target) return false;
  const auto event_id = below(2) == 0 ? fmt::format("e{}.{}", lives_, below(4)) : "";
  const SendEvent event{
      .workflow = kWorkflow, .id = target->id, .type = "paid", .payload = value(), .event_id = event_id, .at = now()};
  items.push_back(event);
  if (!event_id.empty() && std::ranges::count(target->event_ids, event_id) != 0) return true;
  target->inbox.push_back({.type = event.type, .payload = event.payload, .at = event.at});
  target->event_ids.push_back(event_id);
  return true;
}

bool StoreWorker::add_status(Items& items, World& world) {
  auto* target = pick(world, is_owned);
  if (!target) return false;
  SetStatus change{.instance = target->key, .status = Status::running, .at = now()};
  if (below(3) != 0) {
    change.status = Status::waiting;
    if (below(2) == 0) change.wake = now();
    change.unload = below(2) == 0;
  }
  items.push_back(change);
  if (is_free(*target)) target->status = change.status;
  target->wake = change.wake;
  return true;
}

bool StoreWorker::add_release(Items& items, World& world) {
  auto* target = pick(world, is_free);
  if (!target) return false;
  items.push_back(Release{.instance = target->key});
  target->status = Status::queued;
  target->wake.reset();
  target->owned = false;
  return true;
}

bool StoreWorker::add_claim(Items& items, World& world) {
  const Claim claim{.workflows = {kWorkflow},
                    .queued = static_cast<std::uint32_t>(below(4)),
                    .waiting = static_cast<std::uint32_t>(below(4))};
  items.push_back(claim);
  const auto take = [&](Status from, Status to, std::uint32_t& limit) {
    for (auto& instance : world.instances) {
      if (limit == 0) return;
      if (instance.owned || instance.status != from) continue;
      instance.owned = true;
      instance.status = to;
      --limit;
    }
  };
  auto queued = claim.queued;
  take(Status::rolling_back, Status::rolling_back, queued);
  take(Status::queued, Status::running, queued);
  auto waiting = claim.waiting;
  take(Status::waiting, Status::waiting, waiting);
  return true;
}

// Another time always: what does not change a page is not written, and all runs of a plan are to write the same.
bool StoreWorker::add_renew(Items& items, World&) {
  items.push_back(Renew{.lease = kHour * ++clock_});
  return true;
}

std::string StoreWorker::value() {
  constexpr std::array<std::size_t, 8> kSizes{2, 2, 2, 20, 20, 300, 5'000, 20'000};
  return '"' + std::string(kSizes.at(below(kSizes.size())), static_cast<char>('a' + below(26))) + '"';
}

WorldInstance* StoreWorker::pick(World& world, const std::function<bool(const WorldInstance&)>& condition) {
  std::vector<WorldInstance*> candidates;
  for (auto& instance : world.instances)
    if (condition(instance)) candidates.push_back(&instance);
  return candidates.empty() ? nullptr : candidates[below(candidates.size())];
}

Entry StoreWorker::entry(EntryKind kind, std::string value) {
  Entry made;
  made.kind = kind;
  made.step = static_cast<std::uint32_t>(below(100));
  made.step_kind = StepKind::do_;
  made.name = "step";
  made.occurrence = 1;
  made.attempt = 1;
  made.at = now();
  made.value = std::move(value);
  return made;
}

}  // namespace workflows::testing

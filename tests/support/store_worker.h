#pragma once
// A seeded user of a Store: does one random thing after another to a database file, and knows what has to be there.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "storage/store.h"
#include "tests/support/store_world.h"

namespace workflows::testing {

class StoreWorker {
 public:
  // `heavy`: some batches fill the WAL beyond the size at which it is moved into the file.
  struct Plan {
    std::uint64_t seed = 1;
    int turns = 30;
    Durability durability = Durability::full;
    bool heavy = false;
  };
  StoreWorker(std::string path, Plan plan) : path_(std::move(path)), plan_(plan), random_(plan.seed) {}

  // Opens the database and does `turns` things, or fewer if the database fails. Nothing stays open.
  std::optional<Error> work();
  // After `work`: opens the database again, undisturbed, and compares it with what was acknowledged. Then takes it as
  // it was found. "" if nothing is missing, and what is there beyond the acknowledged is one whole batch.
  std::string look_again();

  // After a loss of power with durability `normal`, an earlier state may be there again.
  void may_have_gone_back() { forgetful_ = true; }

  // How often each was acknowledged: "create batch", "pause", "lost" (an item), "collect garbage", ...
  const std::map<std::string, int>& done() const { return done_; }
  // Whether the store broke a promise while it failed: "" or which.
  const std::string& broken_promise() const { return broken_promise_; }

 private:
  static constexpr auto kWorkflow = "order";
  using Items = std::vector<storage::Item>;

  std::optional<Error> open();
  std::optional<Error> turn();
  std::optional<Error> write_batch(bool heavy);
  std::optional<Error> act_from_outside();
  std::optional<Error> collect_garbage();
  std::optional<Error> start_again(bool close_owner);
  std::optional<Error> close_and_open_owner();
  std::optional<Error> read();

  // The world becomes `after` if `act` succeeds, and may become it if `act` fails.
  template <class T>
  std::expected<T, Error> attempt(World after, const std::function<std::expected<T, Error>()>& act);
  // The same for what does not end with a failed read: the store writes no more after it has failed.
  template <class T>
  std::expected<T, Error> write(storage::Store& store, World after,
                                const std::function<std::expected<T, Error>()>& act);
  std::optional<Error> commit(storage::Store& store, std::optional<storage::Owner> owner, const Items& items,
                              World after);
  void learn(const storage::Item& item, const storage::ItemResult& result);
  void check_that_it_refuses(storage::Store& store, const Error& error);

  // Each adds an item and does to `world` what the item is to do to the database. False: nothing to do it to.
  bool add(Items& items, World& world);
  bool add_from_outside(Items& items, World& world);
  bool add_create(Items& items, World& world);
  storage::Create create(World& world);
  bool add_entry(Items& items, World& world);
  bool add_end(Items& items, World& world);
  bool add_take(Items& items, World& world);
  bool add_event(Items& items, World& world);
  bool add_status(Items& items, World& world);
  bool add_release(Items& items, World& world);
  bool add_claim(Items& items, World& world);
  bool add_renew(Items& items, World& world);
  // store_worker_lifecycle.cpp
  bool add_lost_entry(Items& items, World& world);
  bool add_pause(Items& items, World& world);
  bool add_rollback(Items& items, World& world);
  bool add_heard(Items& items, World& world);
  bool add_control(Items& items, World& world);
  bool add_restart(Items& items, World& world);
  bool add_import(Items& items, World& world);

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  std::string value();
  std::int64_t id_of_event(const WorldInstance& instance, std::size_t place);
  TimePoint now() { return TimePoint(Millis(1'700'000'000'000 + ++clock_)); }
  WorldInstance* pick(World& world, const std::function<bool(const WorldInstance&)>& condition);
  Entry entry(EntryKind kind, std::string value);

  std::string path_;
  Plan plan_;
  std::mt19937_64 random_;
  std::int64_t clock_ = 0;
  std::uint64_t made_ = 0;
  int lives_ = 0;  // the ids that events had before are not known any more after `look_again`

  std::shared_ptr<storage::Database> database_;
  std::unique_ptr<storage::Store> store_;
  storage::Owner owner_;

  World world_;                              // as acknowledged
  std::optional<World> in_flight_;           // what a failed call may have made of it
  std::unordered_set<std::size_t> earlier_;  // hashes of the texts of all worlds so far
  std::map<std::string, int> done_;
  bool forgetful_ = false;
  std::string broken_promise_;
};

}  // namespace workflows::testing

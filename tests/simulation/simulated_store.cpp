#include "tests/simulation/simulated_store.h"

#include <utility>

#include "storage/memory/memory_store.h"

namespace workflows::simulation {
namespace {

using namespace storage;

class SimulatedStore final : public Store {
 public:
  SimulatedStore(std::unique_ptr<Store> inner, std::shared_ptr<Wire> wire)
      : inner_(std::move(inner)), wire_(std::move(wire)) {}

  std::expected<std::vector<ItemResult>, Error> commit(const WriteBatch& batch) override {
    return writing("commit", [&] {
      wire_->before(batch);
      auto results = inner_->commit(batch);
      wire_->after(batch, results);
      return results;
    });
  }

  std::expected<Owner, Error> open_owner(Millis lease) override {
    return changing("open_owner", [&] { return inner_->open_owner(lease); });
  }
  std::expected<std::uint32_t, Error> replace_dead_owners() override {
    return changing("replace_dead_owners", [&] { return inner_->replace_dead_owners(); });
  }
  std::expected<void, Error> close_owner(const Owner& owner) override {
    return changing("close_owner", [&] { return inner_->close_owner(owner); });
  }
  std::expected<Collected, Error> collect_garbage(TimePoint now, std::uint64_t limit) override {
    return changing("collect_garbage", [&] { return inner_->collect_garbage(now, limit); });
  }

  std::expected<bool, Error> changed() override { return inner_->changed(); }
  std::expected<Arrivals, Error> arrivals(OwnerId owner, std::int64_t after, std::uint32_t limit) override {
    return inner_->arrivals(owner, after, limit);
  }
  std::expected<std::vector<InstanceKey>, Error> with_untaken_events(OwnerId owner) override {
    return inner_->with_untaken_events(owner);
  }
  std::expected<std::vector<Notice>, Error> notices(OwnerId owner) override { return inner_->notices(owner); }
  std::expected<void, Error> together(const std::function<void()>& reads) override { return inner_->together(reads); }
  std::expected<Loaded, Error> load(InstanceKey key) override { return inner_->load(key); }
  std::expected<std::optional<InstanceInfo>, Error> find(const std::string& workflow, const std::string& id) override {
    return inner_->find(workflow, id);
  }
  std::expected<std::optional<InstanceInfo>, Error> find(InstanceKey key) override { return inner_->find(key); }
  std::expected<InstanceStatus, Error> status(InstanceKey key) override { return inner_->status(key); }
  std::expected<std::vector<InstanceInfo>, Error> generations(const std::string& workflow,
                                                              const std::string& id) override {
    return inner_->generations(workflow, id);
  }
  std::expected<std::vector<RecordedEntry>, Error> entries(InstanceKey key, std::int64_t after) override {
    return inner_->entries(key, after);
  }
  std::expected<InstanceKey, Error> newest_generation(InstanceKey key) override {
    return inner_->newest_generation(key);
  }
  std::expected<std::vector<InstanceInfo>, Error> list(const ListQuery& query) override { return inner_->list(query); }
  Counters counters() const override { return inner_->counters(); }

 private:
  std::optional<Error> unusable() const {
    if (!wire_->cut) return std::nullopt;
    return Error{ErrorCode::store, "the connection to the database is gone"};
  }
  Error break_down() {
    wire_->cut = true;
    return *unusable();
  }
  Error die() {
    wire_->died = true;
    return break_down();
  }

  template <class Write>
  auto changing(std::string_view what, Write write) -> decltype(write()) {
    return writing(what, [&] {
      auto done = write();
      wire_->changed();
      return done;
    });
  }

  template <class Write>
  auto writing(std::string_view what, Write write) -> decltype(write()) {
    if (const auto error = unusable()) return std::unexpected(*error);
    const WriteFault fault = wire_->fault(what);
    if (fault == WriteFault::busy) return std::unexpected(Error{ErrorCode::store_busy, "another one writes"});
    if (fault == WriteFault::fails) return std::unexpected(break_down());
    if (fault == WriteFault::dies_before) return std::unexpected(die());
    auto done = write();
    if (fault == WriteFault::unheard) return std::unexpected(break_down());
    if (fault == WriteFault::dies_after) return std::unexpected(die());
    return done;
  }

  std::unique_ptr<Store> inner_;
  std::shared_ptr<Wire> wire_;
};

class SimulatedDatabase final : public Database {
 public:
  SimulatedDatabase(std::shared_ptr<Database> inner, std::shared_ptr<Wire> wire)
      : inner_(std::move(inner)), wire_(std::move(wire)) {}
  std::expected<std::unique_ptr<Store>, Error> connect() override {
    return std::make_unique<SimulatedStore>(std::move(*inner_->connect()), wire_);
  }

 private:
  std::shared_ptr<Database> inner_;
  std::shared_ptr<Wire> wire_;
};

}  // namespace

std::shared_ptr<storage::Database> connect_by(std::shared_ptr<memory::Data> data, std::shared_ptr<Wire> wire) {
  return std::make_shared<SimulatedDatabase>(memory::open_memory(std::move(data)), std::move(wire));
}

}  // namespace workflows::simulation

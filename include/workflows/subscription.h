#pragma once
// Every entry of an instance, those so far and then live, from any process.
//
//   workflows::Client client({.database = "shop.db"});
//   workflows::Subscription entries(client, client.get("checkout", "order-17").key);
//   while (const auto entry = entries.next()) std::cout << to_string(entry->entry.kind) << ' ' << entry->entry.name;

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include <workflows/client.h>
#include <workflows/journal.h>
#include <workflows/time.h>

namespace workflows {

// Reads what is committed, by itself: nobody waits for a slow reader, and nothing is kept for it. Of one generation.
// Not thread-safe; others may use the client meanwhile.
class Subscription {
 public:
  // Entries after this cursor; 0: all. `client` outlives the subscription.
  Subscription(Client& client, InstanceKey instance, std::int64_t after = 0);
  Subscription(std::shared_ptr<Client> client, InstanceKey instance, std::int64_t after = 0);

  // The next entry; waits for it. Absent: the entry that ended the instance has been given, or the instance was
  // removed (then `ended`), or `timeout` has passed.
  std::optional<RecordedEntry> next(std::optional<Duration> timeout = std::nullopt);
  bool ended() const noexcept { return ended_; }
  // Of the last entry that was given: to subscribe again there.
  std::int64_t cursor() const noexcept { return cursor_; }

 private:
  void read();

  std::shared_ptr<Client> client_;
  InstanceKey instance_;
  std::int64_t cursor_;
  std::int64_t read_;  // the last cursor that was read
  std::deque<RecordedEntry> entries_{};
  bool ended_ = false;
};

}  // namespace workflows

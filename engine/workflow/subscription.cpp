#include <workflows/subscription.h>

#include <algorithm>
#include <chrono>

namespace workflows {
namespace {

// Another user of the client may have noticed the change that this one waits for.
constexpr Millis kLookAgain{100};

}  // namespace

Subscription::Subscription(Client& client, InstanceKey instance, std::int64_t after)
    : Subscription(std::shared_ptr<Client>(std::shared_ptr<Client>(), &client), instance, after) {}

Subscription::Subscription(std::shared_ptr<Client> client, InstanceKey instance, std::int64_t after)
    : client_(std::move(client)), instance_(instance), cursor_(after), read_(after) {}

void Subscription::read() {
  try {
    const bool is_over = is_finished(client_->status(instance_).status);
    for (RecordedEntry& entry : client_->entries(instance_, read_)) entries_.push_back(std::move(entry));
    if (!entries_.empty()) read_ = entries_.back().cursor;
    ended_ = is_over && entries_.empty();
  } catch (const InstanceNotFoundError&) { ended_ = true; }
}

std::optional<RecordedEntry> Subscription::next(std::optional<Duration> timeout) {
  using Steady = std::chrono::steady_clock;
  const auto end = timeout ? std::optional(Steady::now() + timeout->millis()) : std::nullopt;
  while (entries_.empty() && !ended_) {
    read();
    if (!entries_.empty() || ended_) break;
    const auto left = end ? std::chrono::ceil<Millis>(*end - Steady::now()) : kLookAgain;
    if (left <= Millis::zero()) return std::nullopt;
    client_->wait_for_change(std::min(left, kLookAgain));
  }
  if (entries_.empty()) return std::nullopt;
  RecordedEntry next = std::move(entries_.front());
  entries_.pop_front();
  cursor_ = next.cursor;
  ended_ = next.entry.kind >= EntryKind::instance_completed;
  return next;
}

}  // namespace workflows

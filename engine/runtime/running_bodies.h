#pragma once
// Bodies that have begun and not ended. One that runs for longer gets a record of its start (S10); shorter ones cost
// one entry. Most end within microseconds: that they did is seen here, without a look at their instances, which are
// many.

#include <cstdint>
#include <deque>
#include <optional>

#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <workflows/host.h>

namespace workflows::runtime {

struct Body {
  InstanceKey instance;
  Ticket ticket;
  std::uint32_t attempt;

  bool operator==(const Body&) const = default;
  friend std::size_t hash_value(const Body& body) {
    std::size_t hash = boost::hash<InstanceKey>()(body.instance);
    boost::hash_combine(hash, (std::uint64_t{body.ticket} << 32) | body.attempt);
    return hash;
  }
};

class RunningBodies {
 public:
  static constexpr Millis kLinger{20};

  void began(const Body& body, TimePoint now) {
    running_.insert(body);
    begun_.push_back({now + kLinger, body});
  }
  void ended(const Body& body) { running_.erase(body); }

  // When a body that runs now will have lingered.
  std::optional<TimePoint> next() {
    while (!begun_.empty() && !running_.contains(begun_.front().body)) begun_.pop_front();
    return begun_.empty() ? std::nullopt : std::optional(begun_.front().lingers_from);
  }
  // Each body once.
  std::optional<Body> pop_lingering(TimePoint now) {
    const auto due = next();
    if (!due || *due > now) return {};
    const Body body = begun_.front().body;
    begun_.pop_front();
    running_.erase(body);
    return body;
  }

 private:
  struct Begun {
    TimePoint lingers_from;
    Body body;
  };
  boost::unordered_flat_set<Body> running_;
  std::deque<Begun> begun_;  // in the order of time
};

}  // namespace workflows::runtime

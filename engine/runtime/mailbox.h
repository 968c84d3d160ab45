#pragma once
// From the writer to the host: what became durable, what was read, what others did. Batches in, batches out; the host
// is woken only when the mailbox was empty.

#include <atomic>
#include <cstdint>
#include <iterator>
#include <memory>
#include <variant>
#include <vector>

#include <workflows/host.h>

#include "engine/runtime/wakeup.h"
#include "engine/values/mutex.h"
#include "storage/store.h"

namespace workflows::runtime {

// In the order of their entries.
struct StepsDurable {
  struct One {
    InstanceKey instance;
    Ticket ticket;
    Value recorded;  // what its entry holds
  };
  std::vector<One> steps;
};
struct RunDurable {
  InstanceKey instance;
};
struct CreateDone {
  CallId call;
  storage::Created created;
};
struct Answered {
  CallReply reply;
};
struct InstanceLoaded {
  std::unique_ptr<storage::Loaded> loaded;
};
// It was removed meanwhile.
struct InstanceGone {
  InstanceKey instance;
};
struct EventArrived {
  InstanceKey instance;
  InboxEvent event;
};
struct InstancesClaimed {
  std::vector<InstanceInfo> instances;
};
struct EventsUntaken {
  std::vector<InstanceKey> instances;
};
struct OthersCommitted {};
// What others did to instances of this owner.
struct Noticed {
  std::vector<storage::Notice> notices;
};
struct BatchCreated {
  CallId call;
  std::vector<storage::Created> created;
};
struct WriterFailed {
  Error error;
};
struct WriterLog {
  LogRecord record;
};

using Message =
    std::variant<StepsDurable, RunDurable, CreateDone, Answered, InstanceLoaded, InstanceGone, EventArrived,
                 InstancesClaimed, EventsUntaken, OthersCommitted, Noticed, BatchCreated, WriterFailed, WriterLog>;

class Mailbox {
 public:
  explicit Mailbox(Wakeup& wakeup) : wakeup_(wakeup) {}

  // Leaves `messages` empty.
  void post(std::vector<Message>& messages) {
    if (messages.empty()) return;
    bool was_empty = false;
    {
      const values::MutexLock lock(mutex_);
      was_empty = messages_.empty();
      if (was_empty) {
        messages_.swap(messages);
      } else {
        messages_.insert(messages_.end(), std::move_iterator(messages.begin()), std::move_iterator(messages.end()));
      }
    }
    messages.clear();
    if (!was_empty) return;
    wakeups_.fetch_add(1, std::memory_order_relaxed);
    wakeup_.signal();
  }

  // What came, in the place of `messages`, which is empty.
  void take(std::vector<Message>& messages) {
    const values::MutexLock lock(mutex_);
    messages_.swap(messages);
  }

  std::uint64_t wakeups() const { return wakeups_.load(std::memory_order_relaxed); }

 private:
  Wakeup& wakeup_;
  values::Mutex mutex_;
  std::vector<Message> messages_ GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> wakeups_ = 0;
};

}  // namespace workflows::runtime

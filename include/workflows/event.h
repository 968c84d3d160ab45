#pragma once
// What a workflow is started with, and what it may wait for.

#include <string>

#include <workflows/codec.h>
#include <workflows/time.h>

namespace workflows {

struct Event {
  std::string workflow_name;
  std::string instance_id;
  TimePoint timestamp{};    // of the creation; the same on every replay
  std::string params = {};  // JSON

  template <class T>
  T payload() const {
    return Codec<T>::decode(params);
  }
};

template <class T>
struct ReceivedEvent {
  std::string type;
  T payload;
  TimePoint timestamp;
};

}  // namespace workflows

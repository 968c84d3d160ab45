#pragma once
// What Python holds of an engine object. A process that was forked off has the memory but not the threads, and must not
// touch the database connections: there the object is left behind, not destroyed.

#include <memory>
#include <utility>

#include <pybind11/pybind11.h>
#include <unistd.h>

namespace workflows::python {

template <class T>
class Owned {
 public:
  explicit Owned(std::unique_ptr<T> object) : object_(std::move(object)) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

  ~Owned() {
    if (getpid() != pid_) {
      static_cast<void>(object_.release());
      return;
    }
    const pybind11::gil_scoped_release unlocked;  // threads are joined and the database is closed
    object_.reset();
  }

  T* operator->() { return object_.get(); }
  T& operator*() { return *object_; }

 private:
  std::unique_ptr<T> object_;
  pid_t pid_ = getpid();
};

}  // namespace workflows::python

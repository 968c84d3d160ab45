#pragma once
// Memory for objects that a thread makes and drops by the hundred in turns, as `struct Attempt : Recycled<Attempt>`.
// What a thread drops is kept for the next one that it makes: malloc keeps seven of a size at hand, and what goes
// beyond that costs a lock and the look at its neighbours, which are in nobody's cache. For a block of a KiB or more it
// even tidies up all small ones. At most kSpares are kept.

#include <cstddef>
#include <new>
#include <utility>

namespace workflows::values {

template <class T>
class Recycled {
 public:
  static void* operator new(std::size_t bytes) {
    if (spare == nullptr) return ::operator new(bytes);
    --spares;
    return std::exchange(spare, spare->next);
  }
  static void operator delete(void* memory) noexcept {
    if (over || spares == kSpares) return ::operator delete(memory);
    thread_local const AtEnd at_end;
    spare = new (memory) Spare{spare};
    ++spares;
  }

 private:
  friend T;
  Recycled() = default;
  static constexpr std::size_t kSpares = 1'024;

  struct Spare {
    Spare* next;
  };
  // Of the thread. What is dropped after it is nobody's to keep.
  struct AtEnd {
    ~AtEnd() {
      over = true;
      while (spare != nullptr) ::operator delete(std::exchange(spare, spare->next));
    }
  };
  static inline thread_local Spare* spare = nullptr;
  static inline thread_local std::size_t spares = 0;
  static inline thread_local bool over = false;
};

}  // namespace workflows::values

#pragma once
// The first of several to end; Step::race makes it.

#include <coroutine>
#include <cstddef>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>

#include <workflows/declared_step.h>
#include <workflows/when_all.h>

namespace workflows::detail {

// What it needs of the run: true if the race is over at once.
bool begin_race(Run& run, Race& race);
// The index of the winner. Whatever has not ended is left alone.
std::size_t end_race(Run& run, Race& race);

template <class T>
concept Racing = requires(T&& awaitable) {
  { part(std::forward<T>(awaitable)).operation() } -> std::same_as<Operation&>;
};

template <class... Parts>
class [[nodiscard]] RaceOf {
 public:
  using Result = std::variant<decltype(result_of(std::declval<Parts&>()))...>;

  RaceOf(Run& run, Parts&&... parts) : run_(&run), parts_(std::move(parts)...) {}

  bool await_ready() {
    std::apply([](auto&... part) { (part.begin(), ...); }, parts_);
    race_.racers = std::apply([](auto&... part) { return std::vector<Operation*>{&part.operation()...}; }, parts_);
    return begin_race(*run_, race_);
  }
  void await_suspend(std::coroutine_handle<> code) noexcept { race_.code = code; }
  Result await_resume() { return result(end_race(*run_, race_), std::index_sequence_for<Parts...>()); }

 private:
  template <std::size_t... I>
  Result result(std::size_t winner, std::index_sequence<I...> /*all*/) {
    std::optional<Result> result;
    ((I == winner ? void(result.emplace(std::in_place_index<I>, result_of(std::get<I>(parts_)))) : void()), ...);
    return std::move(*result);
  }

  Run* run_;
  std::tuple<Parts...> parts_;
  Race race_;
};

}  // namespace workflows::detail

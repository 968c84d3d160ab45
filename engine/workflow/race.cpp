// Races of a run. The winner is the one whose outcome comes first; the others are left alone, unless they belong to the
// graph of declared steps, where others may need them. Code goes on when no body that lost still runs, and nothing else
// of the instance is delivered before that: on replay, where no such body runs, the order is the same.

#include <algorithm>
#include <string>

#include "engine/workflow/loop.h"
#include "engine/workflow/run.h"

namespace workflows::detail {

bool Run::is_free(const Operation& operation) { return !operation.node; }

bool Run::has_lost(const Operation& operation) {
  const Race* race = operation.race;
  return race != nullptr && race->winner && race->racers[*race->winner] != &operation && is_free(operation);
}

bool Run::is_at_rest(const Race& race) {
  return std::ranges::none_of(race.racers,
                              [](const Operation* racer) { return has_lost(*racer) && racer->running != nullptr; });
}

bool Run::is_over(const Race& race) {
  const auto ended = [](const Operation* racer) { return racer->done() || is_free(*racer); };
  return race.winner && race.racers[*race.winner]->done() && is_at_rest(race) &&
         std::ranges::all_of(race.racers, ended);
}

bool Run::is_blocked(const Operation& operation) {
  return operation.running != nullptr || (operation.race != nullptr && !is_at_rest(*operation.race));
}

bool Run::begin_race(Race& race) {
  for (Operation* racer : race.racers) racer->race = &race;
  const auto first = std::ranges::find_if(race.racers, &Operation::done);
  if (first == race.racers.end()) return false;
  win(**first);
  if (!is_at_rest(race)) held_.push_back({.race = &race});
  return is_over(race);
}

void Run::win(Operation& operation) {
  Race& race = *operation.race;
  if (race.winner) return;
  race.winner = static_cast<std::size_t>(std::ranges::find(race.racers, &operation) - race.racers.begin());
  for (Operation* racer : race.racers) {
    if (!has_lost(*racer)) continue;
    if (racer->running != nullptr) racer->running->cancel();
    if (racer->next_attempt != 0) answer_for_lost(*racer->ticket, std::exchange(racer->next_attempt, 0));
  }
}

// Something of the race has ended.
void Run::go_on(Race& race) {
  if (!race.code) return;  // it has not begun to wait, or goes on already
  if (!is_at_rest(race)) {
    held_.push_back({.race = &race});
  } else if (is_over(race)) {
    resume(std::exchange(race.code, {}));
  }
}

std::size_t Run::end_race(Race& race) {
  const std::size_t first = *race.winner;
  const auto recorded = Codec<std::size_t>::decode(
      loop_.host().value(instance_, {.name = "race", .value = {std::to_string(first)}}).json);
  for (Operation* racer : race.racers) {
    if (racer->done()) {
      racer->race = nullptr;
    } else {
      leave(*racer);
    }
  }
  return recorded < race.racers.size() && race.racers[recorded]->done() ? recorded : first;
}

void Run::leave(Operation& loser) {
  if (loser.ticket) {
    lost_.insert(*loser.ticket);
    asked_[*loser.ticket] = nullptr;
    std::erase_if(held_, [&](const Held& held) { return held.race == nullptr && held.ticket == *loser.ticket; });
    loop_.host().abandon(instance_, *loser.ticket);
  }
  StepNode* step = loser.step;
  loser = Operation{.step = step};  // awaited again, it is a step of its own
}

// No further attempt: the locals that the body refers to may be gone.
void Run::answer_for_lost(Ticket ticket, std::uint32_t attempt) {
  Failure failure;
  failure.type = "StepError";
  failure.message = "the step lost a race and is not tried again";
  failure.retryable = false;
  loop_.host().body_finished(instance_, ticket, attempt, std::move(failure));
}

}  // namespace workflows::detail

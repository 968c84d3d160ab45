#include "tests/simulation/last_words.h"

#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include <fmt/format.h>

namespace workflows::simulation {
namespace {

constexpr unsigned kStuckS = 60;  // a run takes milliseconds
constexpr std::array kEnds{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};

std::string words;
std::array<struct sigaction, NSIG> others;  // handlers, of sanitizers
std::array<char, 65'536> stack;             // the usual one may be what has overflowed

// Nothing in here may ask for memory. The signal comes again, to whom it would have come.
void speak(int signal) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, words.data(), words.size());
  const auto index = static_cast<std::size_t>(signal);
  ::sigaction(signal, &others[index], nullptr);
  ::raise(signal);
}

bool listen() {
  const stack_t alternative{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
  ::sigaltstack(&alternative, nullptr);
  struct sigaction action{};
  action.sa_handler = speak;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : kEnds) ::sigaction(signal, &action, &others[static_cast<std::size_t>(signal)]);
  return true;
}

}  // namespace

LastWords::LastWords(const Scenario& scenario) {
  [[maybe_unused]] static const bool listens = listen();
  words = fmt::format("seed {} ends the process, or stands still; to repeat it:\n  {}\n", scenario.seed,
                      command_of(scenario));
  ::alarm(kStuckS);
}

LastWords::~LastWords() {
  ::alarm(0);
  words.clear();
}

}  // namespace workflows::simulation

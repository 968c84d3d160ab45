#include "engine/cli/interrupt.h"

#include <csignal>

namespace workflows::cli {
namespace {

volatile std::sig_atomic_t came = 0;

}  // namespace

Interrupts::Interrupts() {
  came = 0;
  const auto note = [](int number) { came = number; };
  before_int_ = std::signal(SIGINT, note);
  before_term_ = std::signal(SIGTERM, note);
}

Interrupts::~Interrupts() {
  std::signal(SIGINT, before_int_);
  std::signal(SIGTERM, before_term_);
}

int Interrupts::exit_code() {
  constexpr int kSignalled = 128;  // as shells count
  return came == 0 ? 0 : kSignalled + came;
}

}  // namespace workflows::cli

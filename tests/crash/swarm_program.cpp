// One engine of a swarm: the C++ twin of tests/python/swarm_program.py.

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <workflows/workflows.h>
#include <boost/describe/class.hpp>

using namespace std::chrono_literals;
using workflows::Event;
using workflows::Step;
using workflows::StepContext;
using workflows::Workflow;

struct Transfer {
  int amount;
};
BOOST_DESCRIBE_STRUCT(Transfer, (), (amount))

struct Exchange {
  int numbers;
};
BOOST_DESCRIBE_STRUCT(Exchange, (), (numbers))

std::string bank;

struct Trip {
  int amount;
  bool fails;
};
BOOST_DESCRIBE_STRUCT(Trip, (), (amount, fails))

void book(const std::string& instance, const std::string& what, const std::string& key, int amount) {
  const std::string line =
      std::to_string(getpid()) + ' ' + instance + ' ' + what + ' ' + key + ' ' + std::to_string(amount) + '\n';
  const int file = ::open(bank.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const bool written = ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  ::close(file);
  if (!written) throw std::runtime_error("cannot write to " + bank);
}

void book(const std::string& instance, const StepContext& context, int amount) {
  book(instance, context.name(), context.idempotency_key(), amount);
}

Workflow<int> transfer(const Event& event, Step& step) {
  const int amount = event.payload<Transfer>().amount;
  auto debit = step.do_("debit", [&](StepContext& context) {
    book(event.instance_id, context, -amount);
    return amount;
  });
  const int debited = co_await debit;
  co_await step.sleep("settle", 20ms);
  auto credit = step.do_("credit", [&](StepContext& context) {
    book(event.instance_id, context, debited);
    return debited;
  });
  co_return co_await credit;
}

Workflow<std::vector<int>> exchange(const Event& event, Step& step) {
  std::vector<int> numbers(static_cast<std::size_t>(event.payload<Exchange>().numbers));
  for (int& number : numbers) number = (co_await step.wait_for_event<int>("number", "number")).payload;
  co_return numbers;
}

// All of it, or nothing that is not cancelled.
Workflow<int> trip(const Event& event, Step& step) {
  const auto [amount, fails] = event.payload<Trip>();
  for (const std::string what : {"flight", "hotel", "tickets"}) {
    auto booked = step.do_(
        what,
        [&](StepContext& context) {
          if (fails && what == "tickets") throw workflows::NonRetryableError("sold out");
          book(event.instance_id, context, amount);
          return amount;
        },
        workflows::rollback(
            [instance = event.instance_id, what](const workflows::RollbackContext<int>& undo) {
              book(instance, "cancel-" + what, undo.idempotency_key(), 0);
            },
            {.retries = {.limit = 20}}));
    co_await booked;
  }
  co_return amount;
}

Workflow<int> guarded(const Event& event, Step& step) {
  auto first = step.do_("first", [&](StepContext& context) {
    book(event.instance_id, context, 1);
    return 1;
  });
  const int before = co_await first;
  auto second = step.do_("second", [&](StepContext& context) {
    book(event.instance_id, context, 2);
    while (::access((bank + ".open").c_str(), F_OK) != 0) std::this_thread::sleep_for(10ms);
    return before + 2;
  });
  co_return co_await second;
}

Workflow<std::string> vigil(const Event&, Step& step) {
  co_return (co_await step.wait_for_event<std::string>("end", "end")).payload;
}

int main(int argc, char** argv) try {
  if (argc != 4) throw std::invalid_argument("usage: swarm_program DATABASE BANK LEASE");
  bank = argv[2];
  workflows::Engine engine({.database = argv[1], .hibernate_after = 50ms, .lease = argv[3]});
  engine.add("transfer", transfer);
  engine.add("exchange", exchange);
  engine.add("trip", trip);
  engine.add("guarded", guarded);
  engine.add("vigil", vigil);
  engine.start();
  engine.create("vigil", {}, {.id = "vigil", .on_conflict = workflows::OnConflict::return_existing})
      .result<std::string>();
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

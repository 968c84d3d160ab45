// The smallest workflow: two steps and a short sleep between them.
//
//   hello DATABASE ID
//
// Run it again with the same arguments: it goes on where it was, or says what it said before.

#include <iostream>
#include <string>

#include <workflows/workflows.h>

#include "execution_log.h"

using namespace std::chrono_literals;
using workflows::Event;
using workflows::Step;
using workflows::StepContext;
using workflows::Workflow;

Workflow<std::string> hello(const Event& event, Step& step) {
  const auto name = event.payload<std::string>();

  auto greet = step.do_("greet", [&](StepContext& context) {
    record(context);
    return "Hello, " + name;
  });
  const std::string greeting = co_await greet;

  co_await step.sleep("take a breath", 200ms);

  auto emphasize = step.do_("emphasize", [&](StepContext& context) {
    record(context);
    return greeting + "!";
  });
  co_return co_await emphasize;
}

int main(int argc, char** argv) try {
  if (argc != 3) throw std::invalid_argument("usage: hello DATABASE ID");
  workflows::Engine engine({.database = argv[1]});
  engine.add("hello", hello);
  engine.start();
  auto instance =
      engine.create("hello", "World", {.id = argv[2], .on_conflict = workflows::OnConflict::return_existing});
  std::cout << workflows::to_json(instance.result<std::string>()) << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

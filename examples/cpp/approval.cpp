// An offer that somebody has to approve before it goes out.
//
//   approval DATABASE ID [PATIENCE]           for example: approval offers.db offer-7 "3 days"
//
// The workflow prepares the offer and waits for the word of a person; who says nothing in time has refused. Meanwhile
// this program plays the office: it pauses the instance over the lunch break, in which the approval arrives, and
// resumes it. Kill it whenever you like and run it again with the same arguments.

#include <iostream>
#include <string>

#include <workflows/workflows.h>

#include "execution_log.h"

using workflows::Duration;
using workflows::Event;
using workflows::Step;
using workflows::StepContext;
using workflows::Workflow;

Workflow<std::string> approval(const Event& event, Step& step) {
  const Duration patience = event.payload<std::string>();

  auto prepare = step.do_("prepare the offer", [](StepContext& context) {
    record(context);
    return std::string("two pallets of tomatoes");
  });
  const std::string offer = co_await prepare;

  std::string by;
  try {
    // While the instance is paused, the time to answer stands still, and an answer is kept.
    const auto word = co_await step.wait_for_event<std::string>("get the approval", "approved", {.timeout = patience});
    by = word.payload;
  } catch (const workflows::WaitTimeoutError&) { co_return "nobody has approved " + offer; }

  auto send = step.do_("send the offer", [](StepContext& context) { record(context); });
  co_await send;
  co_return offer + ", approved by " + by;
}

void play_the_office(const workflows::InstanceHandle& instance) try {
  instance.pause();
  instance.send_event("approved", "Ada", "the approval");  // at every start; counted once, for it has an id
  instance.resume();
} catch (const workflows::InvalidTransitionError&) {
  std::cerr << "the offer is out already\n";
} catch (const workflows::InstanceFinishedError&) { std::cerr << "the offer is out already\n"; }

int main(int argc, char** argv) try {
  if (argc != 3 && argc != 4) throw std::invalid_argument("usage: approval DATABASE ID [PATIENCE]");
  const std::string patience = argc == 4 ? argv[3] : "3 days";

  workflows::Engine engine({.database = argv[1]});
  engine.add("approval", approval);
  engine.start();

  auto offer =
      engine.create("approval", patience, {.id = argv[2], .on_conflict = workflows::OnConflict::return_existing});
  play_the_office(offer);
  std::cout << workflows::to_json(offer.result<std::string>()) << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

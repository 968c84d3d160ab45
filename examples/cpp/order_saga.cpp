// An order that goes wrong, and what puts it right.
//
//   order_saga DATABASE ID
//
// It places an order at the shop, pays for it, and calls a courier; but no courier comes. So the run fails, and the
// engine compensates what was done, the last thing first: the payment is refunded, then the order cancelled. Kill it
// whenever you like and run it again with the same arguments: nothing is compensated twice, and nothing is forgotten.

#include <filesystem>
#include <iostream>
#include <string>

#include <workflows/workflows.h>

#include "execution_log.h"
#include "grocery_shop.h"

using workflows::Event;
using workflows::rollback;
using workflows::RollbackContext;
using workflows::Step;
using workflows::StepContext;
using workflows::Workflow;

class Sale {
 public:
  explicit Sale(GroceryShop shop) : shop_(std::move(shop)) {}

  Workflow<void> run(const Event&, Step& step) {
    // A rollback function runs when the locals of this function are gone: it captures by value, or what outlives it.
    auto order = step.do_(
        "place the order",
        [&](StepContext& context) {
          record(context);
          return shop_.order(context.idempotency_key());
        },
        rollback([this](const RollbackContext<std::string>& undo) { shop_.cancel(undo.idempotency_key()); }));
    co_await order;

    auto payment = step.do_(
        "pay",
        [&](StepContext& context) {
          record(context);
          return shop_.pay(context.idempotency_key());
        },
        rollback([this](const RollbackContext<std::string>& undo) { shop_.refund(undo.idempotency_key()); },
                 {.retries = {.limit = 20}}));
    co_await payment;

    auto courier = step.do_("call a courier", [&](StepContext& context) {
      record(context);
      throw workflows::NonRetryableError("no courier drives today");
    });
    co_await courier;
  }

 private:
  GroceryShop shop_;
};

int main(int argc, char** argv) try {
  if (argc != 3) throw std::invalid_argument("usage: order_saga DATABASE ID");

  Sale sale{GroceryShop(std::filesystem::path(argv[1]).replace_extension(".shop"))};
  workflows::Engine engine({.database = argv[1]});
  engine.add("sale", [&](const Event& event, Step& step) { return sale.run(event, step); });
  engine.start();

  auto instance = engine.create("sale", {}, {.id = argv[2], .on_conflict = workflows::OnConflict::return_existing});
  try {
    instance.result();
  } catch (const workflows::WorkflowFailedError& error) { std::cerr << error.what() << '\n'; }
  std::cout << instance.status().rollback << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

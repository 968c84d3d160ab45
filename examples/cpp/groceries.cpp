// An agent that does the week's groceries.
//
//   groceries DATABASE ID [DELIVERY]          for example: groceries groceries.db week-47 "2 days"
//
// It waits for the list of recipes, compiles the ingredients, checks which of them are left over at home, orders the
// rest from the shop, pays, and waits for the delivery. Kill it whenever you like and run it again with the same
// arguments: it goes on where it was, and the shop gets one order.

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include <workflows/workflows.h>
#include <boost/describe/class.hpp>

#include "execution_log.h"
#include "grocery_shop.h"

using namespace std::chrono_literals;
using workflows::depends;
using workflows::Event;
using workflows::Step;
using workflows::StepContext;
using workflows::StepOptions;
using workflows::Workflow;
using Items = std::vector<std::string>;

struct Recipe {
  std::string name;
  Items ingredients;
};
BOOST_DESCRIBE_STRUCT(Recipe, (), (name, ingredients))

struct Week {
  Items pantry;
  std::string delivery;
};
BOOST_DESCRIBE_STRUCT(Week, (), (pantry, delivery))

struct Order {
  std::string order;
  Items items;
};
BOOST_DESCRIBE_STRUCT(Order, (), (order, items))

struct Groceries {
  std::string order;
  Items items;
  std::string receipt;
};
BOOST_DESCRIBE_STRUCT(Groceries, (), (order, items, receipt))

const std::vector<Recipe> kRecipes = {
    {"pancakes", {"eggs", "flour", "milk", "salt"}},
    {"pasta al pomodoro", {"basil", "pasta", "salt", "tomatoes"}},
    {"shakshuka", {"eggs", "onions", "peppers", "tomatoes"}},
};
const Items kPantry = {"flour", "pasta", "salt"};

class Agent {
 public:
  explicit Agent(GroceryShop shop) : shop_(std::move(shop)) {}

  Workflow<Groceries> run(const Event& event, Step& step) {
    const auto week = event.payload<Week>();
    const auto list =
        co_await step.wait_for_event<std::vector<Recipe>>("get the list", "groceries-list", {.timeout = "7 days"});

    auto ingredients = step.do_("compile ingredients", [&](StepContext& context) {
      record(context);
      std::set<std::string> all;
      for (const Recipe& recipe : list.payload) all.insert(recipe.ingredients.begin(), recipe.ingredients.end());
      return Items(all.begin(), all.end());
    });

    // A step that depends on another gets its result: the engine runs that one first.
    auto missing = step.do_("check left-overs", depends(ingredients), [&](Items items, StepContext& context) {
      record(context);
      std::erase_if(items, [&](const auto& item) { return std::ranges::count(week.pantry, item) > 0; });
      return items;
    });

    // The process may die after the shop has accepted the order and before the engine knows. Then the step runs again,
    // with the same idempotency key: the shop sees that it has this order already.
    const StepOptions persistent{.retries = {.limit = 10, .delay = 2s}};
    auto order = step.do_("place the order", depends(missing), persistent, [&](Items items, StepContext& context) {
      record(context);
      return Order{shop_.order(context.idempotency_key()), std::move(items)};
    });
    const Order placed = co_await order;

    auto pay = step.do_("proceed with payment", persistent, [&](StepContext& context) {
      record(context);
      return shop_.pay(context.idempotency_key());
    });
    const std::string receipt = co_await pay;

    co_await step.sleep("wait for the delivery", week.delivery);
    co_return Groceries{placed.order, placed.items, receipt};
  }

 private:
  GroceryShop shop_;
};

int main(int argc, char** argv) try {
  if (argc != 3 && argc != 4) throw std::invalid_argument("usage: groceries DATABASE ID [DELIVERY]");
  const std::string delivery = argc == 4 ? argv[3] : "2 days";

  Agent agent{GroceryShop(std::filesystem::path(argv[1]).replace_extension(".shop"))};
  workflows::Engine engine({.database = argv[1]});
  engine.add("groceries", [&](const Event& event, Step& step) { return agent.run(event, step); });
  engine.start();

  auto week = engine.create("groceries", Week{kPantry, delivery},
                            {.id = argv[2], .on_conflict = workflows::OnConflict::return_existing});
  try {
    week.send_event("groceries-list", kRecipes, "the list");  // at every start; counted once, for it has an id
  } catch (const workflows::InstanceFinishedError&) { std::cerr << "this week's groceries are ordered already\n"; }
  std::cout << workflows::to_json(week.result<Groceries>()) << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

#include "tests/simulation/program.h"

#include <utility>

namespace workflows::simulation {
namespace {

constexpr std::size_t kMostLeaves = 10;

class Generator {
 public:
  explicit Generator(Random& random) : random_(random) {}

  Op program() {
    Op root{.kind = Kind::sequence};
    for (std::size_t ops = 1 + random_.below(4); ops > 0; --ops) root.children.push_back(op(0));
    if (random_.one_in(6)) root.children.push_back({.kind = Kind::fail});
    return root;
  }

 private:
  Op op(int depth) {
    if (depth >= 3 || leaves_ >= kMostLeaves) return leaf();
    switch (random_.below(12)) {
      case 0:
        return group(Kind::sequence, depth, 2);
      case 1:
      case 2:
        return group(Kind::gather, depth, 2 + random_.below(2));
      case 3:
        return race();
      case 4:
        return graph();
      case 5: {
        Op rescue = group(Kind::rescue, depth, 1);
        return rescue;
      }
      case 6: {
        Op patched = group(Kind::patched, depth, 2);
        patched.name = "p" + std::to_string(patches_++);
        return patched;
      }
      default:
        return leaf();
    }
  }

  Op group(Kind kind, int depth, std::size_t size) {
    Op group{.kind = kind};
    for (; size > 0; --size) group.children.push_back(op(depth + 1));
    return group;
  }

  Op race() {
    Op race{.kind = Kind::race, .name = "race", .cancels = random_.one_in(2)};
    for (std::size_t racers = 2; racers > 0; --racers) race.children.push_back(leaf());
    return race;
  }

  Op graph() {
    Op graph{.kind = Kind::graph, .width = static_cast<std::uint32_t>(random_.below(3))};
    const std::size_t nodes = 2 + random_.below(3);
    for (std::uint32_t node = 0; node < nodes; ++node) {
      Op step = do_();
      step.limit = std::max(step.limit, 1U);
      for (std::uint32_t other = 0; other < node; ++other) {
        if (random_.below(3) > 0) step.depends.push_back(other);
      }
      graph.children.push_back(std::move(step));
    }
    return graph;
  }

  Op leaf() {
    ++leaves_;
    switch (random_.below(6)) {
      case 0:
        return {.kind = Kind::sleep, .name = "s", .ms = duration()};
      case 1:
      case 2: {
        const bool endless = random_.one_in(3);
        return {
            .kind = Kind::wait, .name = "w", .ms = endless ? -1 : duration(), .type = random_.one_in(2) ? "x" : "y"};
      }
      default:
        return do_();
    }
  }

  // Few names, so that branches use the same ones.
  Op do_() {
    Op op{.kind = Kind::do_, .name = random_.one_in(2) ? "a" : "b"};
    if (random_.one_in(3)) op.fails = static_cast<std::uint32_t>(1 + random_.below(2));
    op.fatal = op.fails > 0 && random_.one_in(4);
    op.limit = static_cast<std::uint32_t>(random_.one_in(5) ? 0 : 2 + random_.below(4));
    op.delay_ms = random_.one_in(3) ? 0 : static_cast<std::int64_t>(random_.below(1'000));
    op.chooses_delay = random_.one_in(8);
    if (random_.one_in(3)) op.timeout_ms = static_cast<std::int64_t>(100 + random_.below(3'000));
    op.rollback = random_.one_in(3);
    if (op.rollback && random_.one_in(4)) op.rollback_fails = static_cast<std::uint32_t>(1 + random_.below(4));
    op.goes_on = op.rollback && random_.one_in(2);
    return op;
  }

  std::int64_t duration() {
    return static_cast<std::int64_t>(random_.one_in(6) ? 0 : random_.below(random_.one_in(3) ? 20'000 : 500));
  }

  Random& random_;
  std::size_t leaves_ = 0;
  int patches_ = 0;
};

void number(Op& op, std::uint32_t& next) {
  op.place = next++;
  for (Op& child : op.children) number(child, next);
}

Op numbered(Op program) {
  std::uint32_t next = 0;
  number(program, next);
  return program;
}

bool is_group(Kind kind) { return kind == Kind::sequence || kind == Kind::gather || kind == Kind::rescue; }

// Every way to make `op` smaller in one place.
void shrink(const Op& op, std::vector<Op>& found) {
  if (op.kind == Kind::sequence || op.kind == Kind::gather) {
    for (std::size_t i = 0; i < op.children.size(); ++i) {
      found.push_back(op);
      found.back().children.erase(found.back().children.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  if (is_group(op.kind) || op.kind == Kind::race || op.kind == Kind::patched) {
    for (const Op& child : op.children) found.push_back(child);
  }
  if (op.kind == Kind::graph && op.children.size() > 1) {
    found.push_back(op);
    found.back().children.pop_back();
  }
  if (op.kind == Kind::do_) {
    Op plain{.kind = op.kind, .name = op.name, .limit = op.limit, .rollback = op.rollback, .depends = op.depends};
    if (to_json(plain) != to_json(op)) found.push_back(plain);
    if (op.rollback) {
      found.push_back(op);
      found.back().rollback = false;
    }
  }
  for (std::size_t i = 0; i < op.children.size(); ++i) {
    std::vector<Op> children;
    shrink(op.children[i], children);
    for (Op& child : children) {
      if ((op.kind == Kind::graph || op.kind == Kind::race) && is_group(child.kind)) continue;
      found.push_back(op);
      found.back().children[i] = std::move(child);
    }
  }
}

}  // namespace

Op random_program(Random& random) { return numbered(Generator(random).program()); }

boost::json::value to_json(const Op& program) {
  static const boost::json::value defaults = boost::json::value_from(Op{});
  boost::json::object all = boost::json::value_from(program).as_object();
  boost::json::object told;
  for (auto& [name, value] : all) {
    if (name == "kind" || value != defaults.as_object().at(name)) told[name] = value;
  }
  if (program.children.empty()) return told;
  boost::json::array children;
  for (const Op& child : program.children) children.push_back(to_json(child));
  told["children"] = std::move(children);
  return told;
}

Op program_from(const boost::json::value& json) {
  boost::json::object all = boost::json::value_from(Op{}).as_object();
  for (const auto& [name, value] : json.as_object()) {
    if (name != "children") all[name] = value;
  }
  Op op = boost::json::value_to<Op>(boost::json::value(std::move(all)));
  if (const auto* children = json.as_object().if_contains("children")) {
    for (const auto& child : children->as_array()) op.children.push_back(program_from(child));
  }
  return op;
}

std::vector<Op> smaller(const Op& program) {
  std::vector<Op> found;
  shrink(program, found);
  for (Op& op : found) {
    if (op.kind != Kind::sequence) op = {.kind = Kind::sequence, .children = {op}};
    op = numbered(std::move(op));
  }
  return found;
}

const Op* find(const Op& program, std::uint32_t place) {
  if (program.place == place) return &program;
  for (const Op& child : program.children) {
    if (const Op* found = find(child, place)) return found;
  }
  return nullptr;
}

// ---------------------------------------------------------------- what its steps are

StepConfig config_of(const Op& op) {
  return {.retries = {.limit = op.limit, .delay = Millis(op.delay_ms), .dynamic_delay = op.chooses_delay},
          .timeout = Millis(op.timeout_ms)};
}

RollbackConfig rollback_of(const Op& op) {
  return {.step = {.retries = {.limit = kRollbackLimit, .delay = Millis(100)}}, .continue_on_failure = op.goes_on};
}

DoRequest request_of(const Op& op) {
  DoRequest request{.name = op.name, .config = config_of(op)};
  if (op.rollback) request.rollback = rollback_of(op);
  return request;
}

Failure failure_of(std::string type, std::uint32_t place) {
  Failure failure;
  failure.type = std::move(type);
  failure.message = "of " + std::to_string(place);
  return failure;
}

std::string text_of(const BodyOutcome& end) {
  if (const auto* value = std::get_if<Value>(&end)) return value->json;
  const auto& failure = std::get<Failure>(end);
  return failure.type + ": " + failure.message;
}

BodyOutcome body_outcome(const Op& op, std::uint32_t attempt) {
  if (attempt > op.fails) return Value{std::to_string(op.place)};
  Failure failure = failure_of(op.fatal && attempt == op.fails ? "FatalError" : "FlakyError", op.place);
  failure.retryable = failure.type == "FlakyError";
  return failure;
}

BodyOutcome rollback_outcome(const Op& op, std::uint32_t attempt) {
  if (attempt > op.rollback_fails) return Value{"null"};
  return failure_of("FlakyError", op.place);
}

}  // namespace workflows::simulation

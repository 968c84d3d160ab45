#include "tests/simulation/evaluate.h"

#include <string>
#include <utility>
#include <vector>

namespace workflows::simulation {
namespace {

bool failed(const BodyOutcome& end) { return std::holds_alternative<Failure>(end); }

BodyOutcome list_of(const std::vector<BodyOutcome>& ends) {
  std::string json = "[";
  for (const BodyOutcome& end : ends) {
    if (json.size() > 1) json += ',';
    json += std::get<Value>(end).json;
  }
  return Value{json + ']'};
}

End sequence(const Op& op, Leaves& leaves) {
  std::vector<BodyOutcome> ends;
  for (const Op& child : op.children) {
    End end = evaluate(child, leaves);
    if (!end || failed(*end)) return end;
    ends.push_back(std::move(*end));
  }
  return list_of(ends);
}

// All at the same time. Fails with the first that failed, first in the program, when all have ended.
End gather(const Op& op, Leaves& leaves) {
  std::vector<BodyOutcome> ends;
  for (const Op& child : op.children) {
    if (End end = evaluate(child, leaves)) ends.push_back(std::move(*end));
  }
  if (ends.size() < op.children.size()) return std::nullopt;
  for (BodyOutcome& end : ends) {
    if (failed(end)) return std::move(end);
  }
  return list_of(ends);
}

// The first to end decides; the others go on alone.
End race(const Op& op, Leaves& leaves) {
  auto winner = leaves.winner(op, std::nullopt);
  if (!winner) {
    std::optional<std::size_t> first;
    for (std::size_t i = 0; i < op.children.size(); ++i) {
      if (evaluate(op.children[i], leaves) && !first) first = i;
    }
    winner = leaves.winner(op, first);
  }
  return winner ? evaluate(op.children.at(*winner), leaves) : std::nullopt;
}

End rescue(const Op& op, Leaves& leaves) {
  End end = evaluate(op.children.front(), leaves);
  if (!end || !failed(*end)) return end;
  return Value{"\"caught " + std::get<Failure>(*end).type + "\""};
}

}  // namespace

End evaluate(const Op& op, Leaves& leaves) {
  switch (op.kind) {
    case Kind::do_:
    case Kind::sleep:
    case Kind::wait:
      return leaves.step(op);
    case Kind::sequence:
      return sequence(op, leaves);
    case Kind::gather:
      return gather(op, leaves);
    case Kind::race:
      return race(op, leaves);
    case Kind::graph:
      return leaves.graph(op);
    case Kind::rescue:
      return rescue(op, leaves);
    case Kind::patched:
      return evaluate(op.children.at(leaves.patched(op) ? 0 : 1), leaves);
    case Kind::fail:
      return failure_of("BoomError", op.place);
  }
  return std::nullopt;
}

}  // namespace workflows::simulation

// Code that changes while instances run, in the C++ API (S39, S40, S41).

#include <array>
#include <sstream>
#include <string>
#include <vector>

#include "tests/integration/cpp_api.h"

namespace workflows::testing {
namespace {

class CppDivergence : public CppApiTest {
 protected:
  // Code that does one step and then waits for ever.
  auto code(std::string name) {
    return [this, name](const Event&, Step& step) -> Workflow<int> {
      auto first = step.do_(name, [this] { return ++bodies_; });
      const int value = co_await first;
      co_await step.wait_for_event<int>("go", "go", {.timeout = std::nullopt});
      co_return value;
    };
  }

  // Runs `before` until the instance waits, then `now` in an engine of its own.
  template <class Before, class Now>
  InstanceHandle change(Before before, Now now, WorkflowOptions options = {}) {
    engine_ = start(std::move(before));
    wait_until(engine_->create("test", {}, {.id = "one"}), Status::waiting);
    engine_->close();
    engine_ = start({.database = file()}, [&](Engine& its) { its.add("test", std::move(now), options); });
    auto instance = engine_->get("test", "one");
    instance.send_event("look", 0);  // one that waits is loaded when something comes for it
    return instance;
  }

  std::unique_ptr<Engine> engine_;
  std::atomic<int> bodies_ = 0;
};

TEST_F(CppDivergence, S39_ARenamedStepPausesTheInstanceWithAReportThatNamesBothPlaces) {
  auto instance = change(code("charge"), code("charge card"));
  instance.send_event("go", 1);
  wait_until(instance, Status::paused);
  const std::string reason = instance.status().reason;
  EXPECT_EQ(reason.find("diverged: "), 0U) << reason;
  EXPECT_NE(reason.find("do 'charge' #1, which has ended, asked for at cpp_divergence_test.cpp:"), std::string::npos)
      << reason;
  EXPECT_NE(reason.find("do 'charge card' #1 at cpp_divergence_test.cpp:"), std::string::npos) << reason;
  EXPECT_EQ(bodies_, 1);
}

TEST_F(CppDivergence, S39_AnOpenStepThatWasRenamedIsNoticedToo) {
  const auto sleeper = [](std::string name) {
    return [name](const Event&, Step& step) -> Workflow<void> { co_await step.sleep(name, 10h); };
  };
  auto instance = change(sleeper("nap"), sleeper("rest"));
  wait_until(instance, Status::paused);
  EXPECT_NE(instance.status().reason.find("sleep 'nap' #1, which is open"), std::string::npos);
}

TEST_F(CppDivergence, S39_ItGoesOnWhenTheCodeWasPutBackAndItIsResumed) {
  auto instance = change(code("charge"), code("charge card"));
  wait_until(instance, Status::paused);
  engine_->close();
  engine_ = start(code("charge"));
  instance = engine_->get("test", "one");
  instance.resume();
  instance.send_event("go", 1);
  EXPECT_EQ(instance.result<int>(), 1);
  EXPECT_EQ(bodies_, 1);
}

TEST_F(CppDivergence, S28_S39_OrWhenItIsRestarted) {
  auto instance = change(code("charge"), code("charge card"));
  wait_until(instance, Status::paused);
  instance.restart();
  instance.send_event("go", 1);
  EXPECT_EQ(instance.result<int>(), 2);
}

TEST_F(CppDivergence, S39_ThePolicyMayFailTheInstanceOrIgnoreTheChange) {
  auto failed = change(code("charge"), code("charge card"), {.determinism = Determinism::fail});
  EXPECT_EQ(failure_of_run(failed).type, "DivergenceError");
  engine_->client().remove("test", "one");
  engine_->close();
  auto ignored = change(code("charge"), code("charge card"), {.determinism = Determinism::ignore});
  ignored.send_event("go", 1);
  EXPECT_EQ(ignored.result<int>(), 3);
}

TEST_F(CppDivergence, S40_APatchIsForInstancesThatHadNotComeThere) {
  const auto before = [](const Event&, Step& step) -> Workflow<std::string> {
    auto first = step.do_("first", [] { return 1; });
    co_await first;
    co_await step.wait_for_event<int>("go", "go", {.timeout = std::nullopt});
    co_return "old";
  };
  const auto now = [](const Event&, Step& step) -> Workflow<std::string> {
    std::string way = "old";
    if (step.patched("check first")) {
      auto check = step.do_("check", [] { return 1; });
      co_await check;
      way = "checked";
    }
    auto first = step.do_("first", [] { return 1; });
    co_await first;
    co_await step.wait_for_event<int>("go", "go", {.timeout = std::nullopt});
    if (step.patched("later")) way += ", later";
    co_return way;
  };
  auto instance = change(before, now);
  instance.send_event("go", 1);
  EXPECT_EQ(instance.result<std::string>(), "old, later");
  auto fresh = engine_->create("test");
  fresh.send_event("go", 1);
  EXPECT_EQ(fresh.result<std::string>(), "checked, later");
}

TEST_F(CppDivergence, S40_TheVersionsThatRanAnInstanceAreRecorded) {
  auto instance = change(code("charge"), code("charge"), {.version = "2"});
  instance.send_event("go", 1);
  instance.result<int>();
  std::vector<std::string> versions;
  for (const auto& [cursor, entry] : engine_->client().entries(engine_->client().get("test", "one").key)) {
    if (entry.kind == EntryKind::version) versions.push_back(entry.value);
  }
  EXPECT_EQ(versions, std::vector<std::string>{"2"});
}

// ---------------------------------------------------------------- replay alone (S41)

TEST_F(CppDivergence, S41_AReplayTellsWhetherCodeFitsAHistoryAndRunsNoBody) {
  engine_ = start(code("charge"));
  auto instance = engine_->create("test", {}, {.id = "one"});
  wait_until(instance, Status::waiting);
  Client& client = engine_->client();
  const InstanceKey key = client.get("test", "one").key;
  EXPECT_EQ(replay(client.history(key), code("charge")).verdict, ReplayVerdict::incomplete);
  const Replayed renamed = replay(client.history(key), code("charge card"));
  EXPECT_EQ(renamed.verdict, ReplayVerdict::diverged);
  EXPECT_NE(renamed.report.find("the history has  do 'charge' #1"), std::string::npos) << renamed.report;
  instance.send_event("go", 1);
  instance.result<int>();
  const auto history = client.history(key);
  EXPECT_EQ(replay(history, code("charge")).verdict, ReplayVerdict::match);
  const auto longer = [](const Event&, Step& step) -> Workflow<int> {
    auto first = step.do_("charge", [] { return 1; });
    const int value = co_await first;
    co_await step.wait_for_event<int>("go", "go");
    co_await step.sleep("nap", 1h);
    co_return value;
  };
  EXPECT_EQ(replay(history, longer).verdict, ReplayVerdict::diverged);
  EXPECT_EQ(bodies_, 1);
  EXPECT_EQ(client.history(key).entries, history.entries);
}

TEST_F(CppDivergence, S41_AProgramAcceptsReplay) {
  engine_ = start(code("charge"));
  wait_until(engine_->create("test", {}, {.id = "one"}), Status::waiting);
  engine_->close();
  const auto run = [&](const std::string& charge, std::vector<std::string> arguments) {
    ReplayCommand command;
    command.add("test", code(charge));
    std::vector<const char*> argv = {"program"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    std::ostringstream out;
    const auto exit = command.run(static_cast<int>(argv.size()), argv.data(), out, out);
    return std::pair(exit, out.str());
  };
  EXPECT_EQ(run("charge", {}).first, std::nullopt);
  EXPECT_EQ(run("charge", {"serve"}).first, std::nullopt);
  EXPECT_EQ(run("charge", {"replay"}).first, 2);
  EXPECT_EQ(run("charge", {"replay", file(), "one"}),
            std::pair(std::optional(0), std::string("incomplete  test/one\n")));
  const auto [exit, told] = run("charge card", {"replay", file(), "--all"});
  EXPECT_EQ(exit, 12);
  EXPECT_NE(told.find("diverged  test/one\n"), std::string::npos);
  EXPECT_NE(told.find("do 'charge' #1"), std::string::npos);
  EXPECT_EQ(run("charge", {"replay", file(), "two"}).first, 3);
  EXPECT_EQ(run("charge", {"replay", file(), "--json", "one"}).second,
            R"({"workflow":"test","id":"one","generation":1,"outcome":"incomplete",)"
            R"("report":"the code does what the history says, as far as that goes"})"
            "\n");
  EXPECT_EQ(run("charge", {"replay", file(), "--all", "--status", "complete"}).second, "");
  EXPECT_EQ(run("charge", {"replay", file(), "--all", "--workflow", "test", "--status", "waiting"}).second,
            "incomplete  test/one\n");
  for (const std::vector<std::string>& refused : {std::vector<std::string>{"--all", "one"},
                                                  {"--status", "waiting", "one"},
                                                  {"--all", "--status", "asleep"},
                                                  {"--all", "--status"},
                                                  {"--none"},
                                                  {"--json"}}) {
    std::vector<std::string> arguments = {"replay", file()};
    arguments.insert(arguments.end(), refused.begin(), refused.end());
    EXPECT_EQ(run("charge", arguments).first, 2) << refused.front();
  }
  EXPECT_EQ(run("charge", {"replay", file() + ".none", "--all"}).first, 20);
  EXPECT_EQ(bodies_, 1);
}

TEST_F(CppDivergence, S41_AReplayOfAllGoesOverNewestGenerations) {
  engine_ = start(code("charge"));
  wait_until(engine_->create("test", {}, {.id = "one"}), Status::waiting);
  engine_->client().restart({.workflow = "test", .id = "one"});
  engine_->close();
  ReplayCommand command;
  command.add("test", code("charge"));
  const std::string database = file();
  const std::array<const char*, 4> argv = {"program", "replay", database.c_str(), "--all"};
  std::ostringstream out;
  EXPECT_EQ(command.run(4, argv.data(), out, out), 0);
  EXPECT_EQ(out.str(), "incomplete  test/one@2\n");
}

TEST_F(CppDivergence, S41_GraphsBranchesAndNestedFunctionsAreReplayed) {
  const auto branch = [](Step& step, std::string name) -> Workflow<int> {
    auto first = step.do_(name, [] { return 1; });
    auto second = step.do_(name, depends(first), [](int value) { return value + 1; });
    co_return co_await second;
  };
  const auto test = [branch](const Event&, Step& step) -> Workflow<int> {
    std::vector<Workflow<int>> branches;
    for (const char* name : {"a", "b", "a"}) branches.push_back(branch(step, name));
    int sum = 0;
    for (const int value : co_await when_all(std::move(branches))) sum += value;
    co_return sum;
  };
  engine_ = start(test);
  EXPECT_EQ(engine_->create("test", {}, {.id = "one"}).result<int>(), 6);
  Client& client = engine_->client();
  const Replayed replayed = replay(client.history(client.get("test", "one").key), test);
  EXPECT_EQ(replayed.verdict, ReplayVerdict::match) << replayed.report;
}

}  // namespace
}  // namespace workflows::testing

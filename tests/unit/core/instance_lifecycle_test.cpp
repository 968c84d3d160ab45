// What operators do to a running instance: pause and resume (S27), terminate and roll back (S28, S31, S32).

#include <chrono>

#include "tests/support/durable.h"
#include "tests/unit/core/instance_harness.h"

namespace workflows::core {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const StepConfig kOnce{.retries = {.limit = 0}};

// ---------------------------------------------------------------- pause (S27)

TEST(InstancePause, S27_AnInstanceThatOnlyWaitsIsParkedAtOnce) {
  Life run;
  run.sleep("nap", 10s);
  run.pause();
  run.expect(
      {"append sleep_started nap#1 until +10000 eager", "arm nap#1 +10000", "disarm nap#1", "append paused awaited"});
  run.commit();
  run.expect({"finished paused "});
}

TEST(InstancePause, S27_BodiesThatRunMayFinishAndTheirResultsAreKept) {
  Life run;
  run.do_("charge");
  run.do_("ship");
  run.pause();
  run.expect({"arm charge#1 +600000", "arm ship#1 +600000"});
  run.body("charge#1.1", Value{"1"});
  run.commit();
  run.expect({"append attempt_started ship#1.1 eager", "disarm charge#1", "append step_completed charge#1.1 1 awaited",
              "resolve charge#1 1"});
  run.body("ship#1.1", Value{"2"});
  run.commit();
  run.expect(
      {"disarm ship#1", "append step_completed ship#1.1 2 awaited", "resolve ship#1 2", "append paused awaited"});
}

TEST(InstancePause, S27_WhatTheCodeAsksForMeanwhileBeginsWhenItIsResumed) {
  Life run;
  run.do_("charge");
  run.pause();
  EXPECT_EQ(run.do_("ship"), "pending ship#1");
  EXPECT_EQ(run.sleep("nap", 10s), "pending nap#1");
  EXPECT_EQ(run.wait("rating", "rated"), "pending rating#1");
  run.expect({"arm charge#1 +600000"});
  run.advance(1h);
  run.resume();
  run.expect({"append resumed eager", "arm ship#1 +4200000", "run ship#1.1",
              "append sleep_started nap#1 until +3610000 eager", "arm nap#1 +3610000",
              "append wait_started rating#1 until +90000000 eager", "arm rating#1 +90000000"});
}

TEST(InstancePause, S27_EveryTimerGetsTheTimeThatWasLeft) {
  Life run;
  run.do_("charge");  // so that it is not parked
  run.sleep("nap", 10s);
  run.wait("rating", "rated", 20s);
  run.do_("flaky");
  run.advance(1s);
  run.body("flaky#1.1", failure("Busy"));  // again in a second
  run.advance(500ms);
  run.pause();
  run.expect({"arm charge#1 +600000", "append sleep_started nap#1 until +10000 eager", "arm nap#1 +10000",
              "append wait_started rating#1 until +20000 eager", "arm rating#1 +20000", "arm flaky#1 +600000",
              "disarm flaky#1", "append attempt_failed flaky#1.1 !Busy until +2000 eager", "arm flaky#1 +2000",
              "disarm flaky#1", "disarm nap#1", "disarm rating#1"});
  run.advance(1h);
  for (const char* late : {"nap#1", "rating#1", "flaky#1"}) run.timer(late);  // they were on their way
  run.expect({});
  run.resume();
  run.expect({"append resumed eager", "arm flaky#1 +3602000", "arm nap#1 +3610000", "arm rating#1 +3620000"});
}

TEST(InstancePause, S27_SoDoTimersOfALifeThatComesAfterThePause) {
  Life first;
  first.sleep("nap", 10s);
  first.advance(4s);
  first.pause();
  first.commit();
  first.expect({"append sleep_started nap#1 until +10000 eager", "arm nap#1 +10000", "disarm nap#1",
                "append paused awaited", "finished paused "});
  std::vector<Entry> history = first.journal();
  history.push_back({.kind = EntryKind::resumed, .at = kStart + 1h, .began = kStart + 4s});
  Life second(history);
  second.advance(1h);
  EXPECT_EQ(second.sleep("nap", 10s), "pending nap#1");
  second.expect({"arm nap#1 +3606000"});  // the 6 seconds that were left
}

TEST(InstancePause, S27_APauseOfAPauseCountsOnceForATimerThatBeganBetweenThem) {
  const auto at = [](Millis since) { return kStart + since; };
  const auto paused = [&](Millis from, Millis to) {
    return Entry{.kind = EntryKind::resumed, .at = at(to), .began = at(from)};
  };
  Entry nap{.kind = EntryKind::sleep_started, .step_kind = StepKind::sleep, .occurrence = 1, .name = "nap"};
  nap.at = at(25s);
  nap.deadline = at(35s);
  Life run(std::vector<Entry>{paused(5s, 15s), nap, paused(30s, 130s)});
  run.advance(130s);
  run.sleep("nap", 10s);
  run.expect({"arm nap#1 +135000"});
}

TEST(InstancePause, S27_EventsAreKeptAndTakenOnResume) {
  Life run;
  run.do_("charge");
  run.wait("rating", "rated", std::nullopt);
  run.pause();
  run.event(1, "rated", "5");
  run.expect({"arm charge#1 +600000", "append wait_started rating#1 eager"});
  run.resume();
  run.expect({"append resumed eager", "append wait_taken rating#1 event 1 awaited"});
}

TEST(InstancePause, S27_ARetryThatFallsDueMeanwhileStartsWhenItIsResumed) {
  Life run;
  run.do_("charge");
  run.do_("flaky");
  run.pause();
  run.body("flaky#1.1", failure("Busy"));
  run.expect({"arm charge#1 +600000", "arm flaky#1 +600000", "disarm flaky#1",
              "append attempt_failed flaky#1.1 !Busy until +1000 eager"});
  run.advance(1min);
  run.resume();
  run.expect({"append resumed eager", "arm flaky#1 +61000"});
  run.advance(1s);
  run.timer("flaky#1");
  run.expect({"arm flaky#1 +661000", "run flaky#1.2"});
}

TEST(InstancePause, S26_APauseOfOneThatHasEndedOrIsPausedChangesNothing) {
  Life run;
  run.finish(Value{"1"});
  run.pause();
  run.expect({"append instance_completed 1 awaited"});
  Life paused;
  paused.do_("charge");
  paused.pause();
  paused.pause();
  paused.expect({"arm charge#1 +600000"});
}

// ---- parked: the record of the pause is on its way to disk, and the instance is to be forgotten

void park(Life& run) {
  run.do_("charge");
  run.pause();
  run.body("charge#1.1", Value{"1"});
  run.commit();
  run.expect({"arm charge#1 +600000", "disarm charge#1", "append step_completed charge#1.1 1 awaited",
              "resolve charge#1 1", "append paused awaited"});
}

TEST(InstancePause, S27_CodeThatGoesOnWhileItIsParkedNoticesNothingAndBeginsNothing) {
  Life run;
  park(run);
  EXPECT_EQ(run.do_("ship"), "pending ship#1");
  EXPECT_EQ(run.sleep("nap", 1s), "pending nap#1");
  run.finish(Value{"2"});
  run.commit();
  run.expect({"finished paused "});
}

TEST(InstancePause, S26_AResumeThatOvertakesThePauseIsRecordedAndTheInstanceIsToBeLoadedAgain) {
  Life run;
  park(run);
  run.do_("ship");
  run.resume();
  run.expect({"append resumed eager"});
  EXPECT_TRUE(run.instance().parked());
}

// ---------------------------------------------------------------- rollback (S31, S32)

// Three steps with rollbacks have ended, and `open` runs.
void three_steps(Life& run) {
  for (const std::string name : {"a", "b", "c"}) {
    run.do_undoable(name);
    run.body(name + "#1.1", Value{"\"" + name + "\""});
    run.commit();
  }
}
const std::vector<std::string> kThreeSteps = {
    "arm a#1 +600000", "disarm a#1", "append step_completed a#1.1 \"a\" awaited", "resolve a#1 \"a\"",
    "arm b#1 +600000", "disarm b#1", "append step_completed b#1.1 \"b\" awaited", "resolve b#1 \"b\"",
    "arm c#1 +600000", "disarm c#1", "append step_completed c#1.1 \"c\" awaited", "resolve c#1 \"c\""};

TEST(InstanceRollback, S31_AFailedRunRollsBackInReverseOrderOneAtATimeEachWithItsOutput) {
  Life run;
  three_steps(run);
  run.expect(kThreeSteps);
  run.finish(failure("Broke"));
  run.expect({"append rollback_started !Broke awaited"});
  for (const std::string name : {"c", "b", "a"}) {
    run.commit();
    run.expect({"arm " + name + "#1 +600000", "roll back " + name + "#1.1 !Broke \"" + name + "\""});
    run.undone(name + "#1.1");
    run.expect({"disarm " + name + "#1", "append step_completed " + name + "#1.1 null awaited"});
  }
  run.commit();
  run.expect({"append instance_errored !Broke awaited"});
  EXPECT_EQ(run.last_entry().detail,
            R"({"rollback":{"compensated":[{"name":"c","count":1},{"name":"b","count":1},{"name":"a","count":1}],)"
            R"("failed":[],"not_run":[]}})");
  run.commit();
  run.expect({"finished instance_errored !Broke"});
}

TEST(InstanceRollback, S31_AStepThatStartedIsRolledBackEvenIfItHasNoOutput) {
  Life run;
  run.do_undoable("failed", {}, kOnce);
  run.commit();
  run.body("failed#1.1", failure("Busy"));
  run.commit();
  run.do_undoable("cut short");
  run.do_("plain");
  run.expect({"append attempt_started failed#1.1 awaited", "arm failed#1 +600000", "run failed#1.1", "disarm failed#1",
              "append step_failed failed#1.1 !Busy awaited", "resolve failed#1 !Busy", "arm cut short#1 +600000",
              "arm plain#1 +600000"});
  run.finish(failure("Broke"));
  run.expect({"append attempt_started cut short#1.1 eager", "disarm cut short#1", "cancel cut short#1.1",
              "disarm plain#1", "cancel plain#1.1", "append rollback_started !Broke awaited"});
  run.commit();
  run.expect({"arm cut short#1 +600000", "roll back cut short#1.1 !Broke"});
  run.undone("cut short#1.1");
  run.commit();
  run.expect({"disarm cut short#1", "append step_completed cut short#1.1 null awaited", "arm failed#1 +600000",
              "roll back failed#1.1 !Broke"});
}

// That it was asked for may be on record from before its body began.
TEST(InstanceRollback, S31_ABodyThatRunsIsRecordedAsStartedBeforeTheRollbacks) {
  Life run;
  run.do_("open");
  run.pause();
  run.do_undoable("held");
  run.body("open#1.1", Value{"1"});
  run.expect({"append attempt_started held#1 eager", "arm open#1 +600000", "disarm open#1",
              "append step_completed open#1.1 1 awaited"});
  run.resume();
  run.commit();
  run.expect({"append resumed eager", "arm held#1 +600000", "run held#1.1", "resolve open#1 1"});
  run.finish(failure("Broke"));
  run.expect({"append attempt_started held#1.1 eager", "disarm held#1", "cancel held#1.1",
              "append rollback_started !Broke awaited"});
}

TEST(InstanceRollback, S28_ARunOfNoStepsWhoseRollbackIsOnRecordEndsInALaterLife) {
  Life run(std::vector<Entry>{{.kind = EntryKind::rollback_started}});
  run.roll_back();
  run.expect({"append instance_terminated awaited"});
}

TEST(InstanceRollback, S31_AStepThatNeverStartedIsNotRolledBack) {
  Life run;
  run.do_undoable("ran");
  run.body("ran#1.1", Value{"1"});
  run.commit();
  run.do_("open");
  run.pause();
  EXPECT_EQ(run.do_undoable("held"), "pending held#1");
  run.expect({"arm ran#1 +600000", "disarm ran#1", "append step_completed ran#1.1 1 awaited", "resolve ran#1 1",
              "arm open#1 +600000"});
  run.roll_back();
  run.commit();
  run.expect({"disarm open#1", "cancel open#1.1", "append rollback_started awaited", "arm ran#1 +600000",
              "roll back ran#1.1 !WorkflowTerminatedError 1"});
  run.undone("ran#1.1");
  run.commit();
  run.expect({"disarm ran#1", "append step_completed ran#1.1 null awaited", "append instance_terminated awaited"});
}

TEST(InstanceRollback, S31_ACompletedRunRollsNothingBack) {
  Life run;
  three_steps(run);
  run.finish(Value{"1"});
  auto expected = kThreeSteps;
  expected.emplace_back("append instance_completed 1 awaited");
  run.expect(expected);
}

TEST(InstanceRollback, S31_ARollbackIsTriedAgainAfterItsOwnRetries) {
  Life run;
  run.do_undoable("a", {.step = {.retries = {.limit = 1, .delay = 5s}}});
  run.body("a#1.1", Value{"1"});
  run.commit();
  run.finish(failure("Broke"));
  run.commit();
  run.expect({"arm a#1 +600000", "disarm a#1", "append step_completed a#1.1 1 awaited", "resolve a#1 1",
              "append rollback_started !Broke awaited", "arm a#1 +600000", "roll back a#1.1 !Broke 1"});
  run.undone("a#1.1", failure("Busy"));
  run.expect({"disarm a#1", "append attempt_failed a#1.1 !Busy until +5000 eager", "arm a#1 +5000"});
  run.advance(5s);
  run.undo_timer("a#1");
  run.expect({"arm a#1 +605000", "roll back a#1.2 !Broke 1"});
  run.advance(10min);
  run.undo_timer("a#1");  // it takes too long
  run.undo_due("a#1.2", kStart + 5s);
  run.commit();
  run.expect({"due a#1.2 since +5000", "cancel a#1.2", "append step_failed a#1.2 !StepTimeoutError awaited",
              "append instance_errored !Broke awaited"});
}

TEST(InstanceRollback, S32_OneThatFailsForGoodStopsTheChainUnlessItIsToGoOn) {
  for (const bool goes_on : {false, true}) {
    Life run;
    run.do_undoable("first");
    run.body("first#1.1", Value{"1"});
    run.commit();
    run.do_undoable("second", {.step = kOnce, .continue_on_failure = goes_on});
    run.body("second#1.1", Value{"2"});
    run.commit();
    run.finish(failure("Broke"));
    run.commit();
    run.commit();  // limit 0: the start is on disk before the rollback runs
    run.undone("second#1.1", failure("Stuck"));
    run.commit();
    const std::string report = goes_on ? "" : run.last_entry().detail;
    if (goes_on) {
      run.undone("first#1.1");
      run.commit();
      EXPECT_THAT(run.last_entry().detail,
                  HasSubstr(R"("compensated":[{"name":"first","count":1}],"failed":[{"name")"));
    } else {
      EXPECT_THAT(report,
                  HasSubstr(R"("compensated":[],"failed":[{"name":"second","count":1,"error":{"type":"Stuck")"));
      EXPECT_THAT(report, HasSubstr(R"("not_run":[{"name":"first","count":1}])"));
    }
    EXPECT_EQ(run.last_entry().kind, EntryKind::instance_errored);
    run.crash();
  }
}

TEST(InstanceRollback, S28_S31_ATerminationRollsBackWithoutAFailureOfTheRun) {
  Life run;
  run.do_undoable("a");
  run.body("a#1.1", Value{"1"});
  run.commit();
  run.sleep("nap", 1h);
  run.expect({"arm a#1 +600000", "disarm a#1", "append step_completed a#1.1 1 awaited", "resolve a#1 1",
              "append sleep_started nap#1 until +3600000 eager", "arm nap#1 +3600000"});
  run.roll_back();
  run.commit();
  run.expect({"disarm nap#1", "append rollback_started awaited", "arm a#1 +600000",
              "roll back a#1.1 !WorkflowTerminatedError 1"});
  run.undone("a#1.1");
  run.commit();
  run.commit();
  run.expect({"disarm a#1", "append step_completed a#1.1 null awaited", "append instance_terminated awaited",
              "finished instance_terminated "});
}

TEST(InstanceRollback, S28_ATerminationThatOvertakesTheCompletionTakesItsPlace) {
  Life run;
  run.do_undoable("a");
  run.body("a#1.1", Value{"1"});
  run.commit();
  run.finish(Value{"1"});
  run.expect({"arm a#1 +600000", "disarm a#1", "append step_completed a#1.1 1 awaited", "resolve a#1 1",
              "append instance_completed 1 awaited"});
  run.refuse();
  run.roll_back();
  run.commit();
  run.expect({"append rollback_started awaited", "arm a#1 +600000", "roll back a#1.1 !WorkflowTerminatedError 1"});
}

TEST(InstanceRollback, S28_S39_CodeThatReturnsWithoutItsHistoryIsRolledBackAllTheSame) {
  Life first({.determinism = Determinism::ignore});
  first.do_("a");
  first.body("a#1.1", Value{"1"});
  first.commit();
  first.expect({"arm a#1 +600000", "disarm a#1", "append step_completed a#1.1 1 awaited", "resolve a#1 1"});
  Life run = first.crash();
  run.roll_back();
  run.finish(Value{"1"});
  run.expect({"append rollback_started awaited"});
}

TEST(InstanceRollback, S28_ATerminationOfAPausedInstanceRollsBackAtOnce) {
  Life run;
  run.do_undoable("a");
  run.pause();
  run.roll_back();
  run.commit();
  run.expect({"arm a#1 +600000", "append attempt_started a#1.1 eager", "disarm a#1", "cancel a#1.1",
              "append rollback_started awaited", "arm a#1 +600000", "roll back a#1.1 !WorkflowTerminatedError"});
}

TEST(InstanceRollback, S10_ABodyThatWasCancelledByTheRollbackWasNotLostWithAProcess) {
  Life run;
  run.do_undoable("a");
  run.linger("a#1.1");
  run.roll_back();
  run.commit();
  const std::string rolls_back = "roll back a#1.1 !WorkflowTerminatedError";
  run.expect({"arm a#1 +600000", "append attempt_started a#1.1 eager", "disarm a#1", "cancel a#1.1",
              "append rollback_started awaited", "arm a#1 +600000", rolls_back});
  Life next = run.crash();
  next.do_undoable("a");
  next.expect({"arm a#1 +600000", rolls_back});
}

TEST(InstanceRollback, S28_AnInstanceThatIsLostCancelsItsBodiesAndRecordsNothing) {
  Life run;
  run.do_undoable("a");
  run.sleep("nap", 1h);
  run.expect({"arm a#1 +600000", "append sleep_started nap#1 until +3600000 eager", "arm nap#1 +3600000"});
  run.instance().lose();
  run.expect({"disarm a#1", "cancel a#1.1", "disarm nap#1"});
  run.body("a#1.1", Value{"1"});
  run.expect({"late a#1.1"});
}

// ---------------------------------------------------------------- crashes in a rollback

// Code that fails after three steps, one of whose rollbacks fails at first. Played from `history` on, until the process
// has written `limit` entries or the run has ended; counts the rollbacks that were carried out.
struct Saga {
  std::map<std::string, int> undone{};
  std::vector<std::string> order{};

  std::vector<Entry> play(std::vector<Entry> history, std::size_t limit, bool terminate) {
    Instance run(kIdentity, {}, history, {});
    TimePoint now = kStart + Millis(history.size());
    std::vector<Effect> effects;
    std::vector<RollBack> undoing;
    std::vector<Entry> awaited;
    std::vector<std::pair<TimePoint, Ticket>> timers;
    std::size_t next = 0;
    bool ended = false;
    const auto go_on = [&] {
      while (next < 3) {
        DoRequest request{.name = std::string(1, static_cast<char>('a' + next)), .rollback = RollbackConfig{}};
        const auto asked = run.do_(std::move(request), now).value();
        if (asked.state == Asked::State::run) run.body_finished(asked.ticket, asked.attempt, Value{"1"}, now);
        if (asked.state != Asked::State::resolved) return;
        ++next;
      }
      if (terminate) {
        static_cast<void>(run.wait({"never", "never", std::nullopt}, now));
      } else {
        run.finish(failure("Broke"), now);
      }
    };
    go_on();
    while (!ended && !testing::Test::HasFailure()) {
      run.take_effects(effects);
      for (Effect& effect : effects) {
        if (auto* append = std::get_if<Append>(&effect)) {
          if (history.size() == limit) return history;
          history.push_back(append->entry);
          if (append->urgency == Urgency::awaited) awaited.push_back(append->entry);
        }
        if (auto* undo = std::get_if<RollBack>(&effect)) undoing.push_back(*undo);
        if (auto* arm = std::get_if<Arm>(&effect)) timers.emplace_back(arm->at, arm->ticket);
        if (std::holds_alternative<Resolve>(effect)) {
          ++next;
          go_on();
        }
        ended |= std::holds_alternative<Finished>(effect);
      }
      if (!effects.empty()) continue;
      if (!awaited.empty()) {
        for (const Entry& entry : std::exchange(awaited, {})) report_durable(run, entry, now);
      } else if (!undoing.empty()) {
        for (const RollBack& undo : std::exchange(undoing, {})) {
          const std::string name(run.step_name(undo.ticket));
          order.push_back(name);
          if (name == "b" && undone[name]++ == 0) {
            run.body_finished(undo.ticket, undo.attempt, failure("Busy"), now);
          } else {
            run.body_finished(undo.ticket, undo.attempt, Value{"null"}, now);
          }
        }
      } else if (!timers.empty()) {
        for (const auto& [at, ticket] : std::exchange(timers, {})) {
          now = std::max(now, at);
          run.timer(ticket, now);
        }
      } else if (terminate && !run.rolling_back()) {
        run.roll_back(now);
      } else {
        std::string recorded;
        for (const Entry& entry : history) recorded += std::string(to_string(entry.kind)) + " " + entry.name + "; ";
        ADD_FAILURE() << "stuck after " << recorded;
      }
    }
    return history;
  }
};

std::string report_of(const std::vector<Entry>& history) { return history.back().detail; }

TEST(InstanceRollback, S31_WhereverTheProcessDiesEachStepIsRolledBackOnceAndTheReportIsTheSame) {
  for (const bool terminate : {false, true}) {
    const std::vector<Entry> undisturbed = Saga().play({}, 1'000, terminate);
    ASSERT_EQ(undisturbed.back().kind, terminate ? EntryKind::instance_terminated : EntryKind::instance_errored);
    EXPECT_THAT(report_of(undisturbed), HasSubstr(R"("failed":[],"not_run":[])"));
    for (std::size_t cut = 0; cut < undisturbed.size(); ++cut) {
      Saga saga;
      auto history = saga.play({}, cut, terminate);
      ASSERT_EQ(history.size(), cut);
      const std::vector<std::string> before = std::exchange(saga.order, {});
      history = saga.play(history, 1'000, terminate);
      EXPECT_EQ(history.back().kind, undisturbed.back().kind) << cut;
      EXPECT_EQ(report_of(history), report_of(undisturbed)) << cut;
      std::map<std::string, int> committed;
      for (const Entry& entry : history) {
        if (entry.step_kind == StepKind::rollback && entry.kind == EntryKind::step_completed) ++committed[entry.name];
      }
      EXPECT_EQ(committed, (std::map<std::string, int>{{"a", 1}, {"b", 1}, {"c", 1}})) << cut;
      EXPECT_LE(before.size() + saga.order.size(), 5) << cut;  // three, one that failed, one that was cut short
      if (testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace workflows::core

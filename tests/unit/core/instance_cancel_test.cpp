// Awaits that the code cancelled, and code that does not ask again for what it asked before (S7, S38).

#include <chrono>

#include "tests/unit/core/instance_harness.h"

namespace workflows::core {
namespace {

using namespace std::chrono_literals;

// ---------------------------------------------------------------- cancelled awaits

TEST(InstanceCancel, AStepGoesOnWithoutItsAwaitAndItsOutcomeIsRecorded) {
  Life run;
  run.do_("slow", {.retries = {.limit = 1}});
  run.abandon("slow#1");
  run.abandon("slow#1");
  run.expect({"arm slow#1 +600000", "append attempt_started slow#1.1 eager", "append abandoned slow#1.1 eager"});
  run.body("slow#1.1", failure("Busy"));
  run.advance(1s);
  run.timer("slow#1");
  run.body("slow#1.2", Value{"1"});
  run.commit();
  run.expect({"disarm slow#1", "append attempt_failed slow#1.1 !Busy until +1000 eager", "arm slow#1 +1000",
              "arm slow#1 +601000", "run slow#1.2", "disarm slow#1", "append step_completed slow#1.2 1 awaited"});
}

TEST(InstanceCancel, ACancelledStepIsKnownAgainHoweverLittleOfItWasRecorded) {
  Life first;
  first.do_("slow");
  first.abandon("slow#1");
  first.do_("next");
  first.expect({"arm slow#1 +600000", "append attempt_started slow#1.1 eager", "append abandoned slow#1.1 eager",
                "append attempt_started next#1.1 eager", "arm next#1 +600000"});
  Life second = first.crash();
  EXPECT_EQ(second.do_("slow"), "pending slow#1");
  EXPECT_EQ(second.ticket("slow#1"), 0u);
  second.abandon("slow#1");  // again; that is on record
  EXPECT_EQ(second.do_("next"), "pending next#1");
  second.expect({"append attempt_failed slow#1.1 !ProcessLost until +0 eager", "arm slow#1 +0",
                 "append attempt_failed next#1.1 !ProcessLost until +0 eager", "arm next#1 +0"});
}

// first: `slow` is given up; then `next` runs and completes; then `slow` completes.
class CancelledBeforeItsOutcome : public testing::Test {
 protected:
  CancelledBeforeItsOutcome() {
    first.do_("slow");
    first.abandon("slow#1");
    first.do_("next");
    first.body("next#1.1", Value{"2"});
    first.body("slow#1.1", Value{"1"});
    first.commit();
    first.expect({"arm slow#1 +600000", "append attempt_started slow#1.1 eager", "append abandoned slow#1.1 eager",
                  "append attempt_started next#1.1 eager", "arm next#1 +600000", "disarm next#1",
                  "append step_completed next#1.1 2 awaited", "disarm slow#1",
                  "append step_completed slow#1.1 1 awaited", "resolve next#1 2"});
  }

  Life first;
};

TEST_F(CancelledBeforeItsOutcome, IsNotAnsweredUntilItIsCancelledAgain) {
  Life second = first.crash();
  EXPECT_EQ(second.do_("slow"), "pending slow#1");
  EXPECT_TRUE(second.instance().replaying());
  EXPECT_FALSE(second.release_stalled());  // `next` tells that the code went on without
  second.abandon("slow#1");
  EXPECT_EQ(second.do_("next"), "resolved next#1 2");
  EXPECT_FALSE(second.instance().replaying());
  EXPECT_FALSE(second.release_stalled());
  second.expect({});
}

TEST_F(CancelledBeforeItsOutcome, ACrashBeforeTheCodeGoesOnLeavesItFreeToWait) {
  Life second = first.after(2);  // the start, and that its await was cancelled
  EXPECT_EQ(second.do_("slow"), "pending slow#1");
  second.timer("slow#1");
  second.body("slow#1.2", Value{"1"});
  second.commit();
  second.expect({"append attempt_failed slow#1.1 !ProcessLost until +0 eager", "arm slow#1 +0", "arm slow#1 +600000",
                 "run slow#1.2", "disarm slow#1", "append step_completed slow#1.2 1 awaited"});
  EXPECT_TRUE(second.instance().replaying());
  EXPECT_TRUE(second.release_stalled());
  second.expect({"append reclaimed slow#1.2 eager", "resolve slow#1 1"});
  EXPECT_FALSE(second.release_stalled());
  EXPECT_EQ(second.do_("other"), "run other#1.1");
  second.body("other#1.1", Value{"3"});
  second.commit();
  second.expect({"append attempt_started other#1.1 eager", "arm other#1 +600000", "disarm other#1",
                 "append step_completed other#1.1 3 awaited", "resolve other#1 3"});

  Life third = second.crash();  // it was given to the code: so it is again
  EXPECT_EQ(third.do_("slow"), "resolved slow#1 1");
  EXPECT_EQ(third.do_("other"), "resolved other#1 3");
  EXPECT_FALSE(third.instance().replaying());
  third.expect({});
}

TEST(InstanceCancel, AnAwaitThatIsCancelledWhenItsOutcomeWasWrittenCountsAsOneThatNobodyHears) {
  Life first;
  first.do_("a");
  first.body("a#1.1", Value{"1"});
  first.expect({"arm a#1 +600000", "disarm a#1", "append step_completed a#1.1 1 awaited"});
  first.abandon("a#1");
  first.commit();
  first.do_("b");
  first.body("b#1.1", Value{"2"});
  EXPECT_EQ(first.last_entry().after, 1u);
  first.commit();
  first.expect({"append abandoned a#1.1 eager", "append attempt_started b#1.1 eager", "arm b#1 +600000", "disarm b#1",
                "append step_completed b#1.1 2 awaited", "resolve b#1 2"});
  Life second = first.crash();
  EXPECT_EQ(second.do_("a"), "pending a#1");
  second.abandon("a#1");
  EXPECT_EQ(second.do_("b"), "resolved b#1 2");
  second.expect({});
}

TEST(InstanceCancel, AnOutcomeThatWasGivenOutIsGivenOutAgainIfTheCancellationLeftNoRecord) {
  Life first;
  first.do_("a");
  first.body("a#1.1", Value{"1"});
  first.commit();
  first.expect({"arm a#1 +600000", "disarm a#1", "append step_completed a#1.1 1 awaited", "resolve a#1 1"});
  first.abandon("a#1");
  first.expect({"append abandoned a#1.1 eager"});
  Life unheard = first.after(2);
  EXPECT_EQ(unheard.do_("a"), "pending a#1");
  unheard.abandon("a#1");
  unheard.expect({});
  Life heard = first.after(1);
  EXPECT_EQ(heard.do_("a"), "resolved a#1 1");
  heard.expect({});
}

TEST(InstanceCancel, AnAwaitMayBeCancelledForTheFirstTimeDuringReplay) {
  Life first;
  first.do_("a");
  first.do_("b");
  first.body("b#1.1", Value{"2"});
  first.body("a#1.1", Value{"1"});
  first.commit();
  first.expect({"arm a#1 +600000", "arm b#1 +600000", "disarm b#1", "append step_completed b#1.1 2 awaited",
                "disarm a#1", "append step_completed a#1.1 1 awaited", "resolve b#1 2", "resolve a#1 1"});
  Life second = first.crash();
  EXPECT_EQ(second.do_("a"), "pending a#1");
  second.abandon("a#1");
  EXPECT_EQ(second.do_("b"), "resolved b#1 2");
  second.expect({"append abandoned a#1.1 eager"});
  EXPECT_FALSE(second.instance().replaying());
  Life third = second.crash();
  EXPECT_EQ(third.do_("a"), "pending a#1");
  EXPECT_EQ(third.do_("b"), "resolved b#1 2");
  third.abandon("a#1");
  third.expect({});
}

TEST(InstanceCancel, WhatWasTakenBackMayBeCancelledAgain) {
  Life first;
  first.sleep("nap", 1s);
  first.abandon("nap#1");
  first.advance(1s);
  first.timer("nap#1");
  first.commit();
  first.expect({"append sleep_started nap#1 until +1000 eager", "arm nap#1 +1000", "append abandoned nap#1 eager",
                "append sleep_finished nap#1 until +1000 awaited"});
  Life second = first.crash();
  second.sleep("nap", 1s);
  EXPECT_TRUE(second.release_stalled());
  second.expect({"append reclaimed nap#1 eager", "resolve nap#1 null"});
  second.abandon("nap#1");  // before the code heard of it
  second.expect({"append abandoned nap#1 eager"});
  Life third = second.crash();
  EXPECT_EQ(third.sleep("nap", 1s), "pending nap#1");
  third.abandon("nap#1");
  EXPECT_FALSE(third.instance().replaying());
  third.expect({});
}

TEST(InstanceCancel, S23_ACancelledWaitLeavesTheEventToTheNextOne) {
  Life run;
  run.wait("a", "paid", 1h);
  run.wait("endless", "paid", std::nullopt);
  run.abandon("a#1");
  run.abandon("endless#1");
  run.event(1, "paid", "1");
  EXPECT_FALSE(run.instance().waiting());
  run.wait("b", "paid", std::nullopt);
  run.commit();
  run.expect({"append wait_started a#1 until +3600000 eager", "arm a#1 +3600000", "append wait_started endless#1 eager",
              "disarm a#1", "append abandoned a#1 eager", "append abandoned endless#1 eager",
              "append wait_taken b#1 event 1 awaited", "resolve b#1 <paid 1>"});
}

TEST(InstanceCancel, S23_AWaitThatWasCancelledInAnEarlierLifeTakesNoEventUntilItIsWaitedForAfterAll) {
  Life first;
  first.wait("a", "paid", 1h);
  first.abandon("a#1");
  first.expect(
      {"append wait_started a#1 until +3600000 eager", "arm a#1 +3600000", "disarm a#1", "append abandoned a#1 eager"});
  Life second = first.crash();
  EXPECT_EQ(second.wait("a", "paid", 1h), "pending a#1");
  second.event(1, "paid", "1");
  second.expect({});
  EXPECT_TRUE(second.instance().replaying());
  EXPECT_TRUE(second.release_stalled());  // the code has nothing else to do
  second.commit();
  second.expect({"append wait_started a#1 until +3600000 eager", "append wait_taken a#1 event 1 until +3600000 awaited",
                 "resolve a#1 <paid 1>"});

  Life third = second.crash();
  EXPECT_EQ(third.wait("a", "paid", 1h), "resolved a#1 <paid 1>");
  EXPECT_FALSE(third.instance().replaying());
}

TEST(InstanceCancel, S38_AWaitIsCancelledAgainOnReplayAndTheNextOneGetsTheEvent) {
  Life first;
  first.wait("a", "paid", 1h);
  first.abandon("a#1");
  first.wait("b", "paid", std::nullopt);
  first.event(1, "paid", "1");
  first.commit();
  Life second = first.crash();
  EXPECT_EQ(second.wait("a", "paid", 1h), "pending a#1");
  second.abandon("a#1");
  EXPECT_EQ(second.wait("b", "paid", std::nullopt), "resolved b#1 <paid 1>");
  EXPECT_FALSE(second.instance().replaying());
  second.expect({});
}

TEST(InstanceCancel, AWaitThatHasNotBegunIsNotBegunWhenItWasCancelled) {
  Life run;
  run.do_("body");
  run.pause();
  run.wait("a", "paid", 1h);
  run.abandon("a#1");
  run.event(1, "paid", "1");
  run.resume();
  run.expect(
      {"arm body#1 +600000", "append attempt_started a#1 eager", "append abandoned a#1 eager", "append resumed eager"});
}

TEST(InstanceCancel, HeldBackOutcomesAreNotReleasedWhileTheCodeIsAboutToCancelAsBefore) {
  Life first;
  first.sleep("long", 1h);
  first.do_("other");
  first.abandon("long#1");
  first.do_("next");  // asked for without any outcome
  first.body("other#1.1", Value{"1"});
  first.commit();
  first.expect({"append sleep_started long#1 until +3600000 eager", "arm long#1 +3600000", "arm other#1 +600000",
                "append abandoned long#1 eager", "append attempt_started next#1.1 eager", "arm next#1 +600000",
                "disarm other#1", "append step_completed other#1.1 1 awaited", "resolve other#1 1"});
  Life second = first.crash();
  second.sleep("long", 1h);
  EXPECT_EQ(second.do_("other"), "pending other#1");
  EXPECT_FALSE(second.release_stalled());  // the sleep is still open, yet `next` has its place before `other`'s result
  second.abandon("long#1");
  EXPECT_EQ(second.do_("next"), "pending next#1");
  second.expect({"arm long#1 +3600000", "append attempt_failed next#1.1 !ProcessLost until +0 eager", "arm next#1 +0",
                 "resolve other#1 1"});
}

// ---------------------------------------------------------------- what was recorded is waited for

TEST(InstanceReplayGate, S7_AResultIsHeldBackUntilTheOtherBranchHasAskedAsBefore) {
  Life first;
  first.do_("a");
  first.do_("b");
  first.body("a#1.1", Value{"1"});
  first.commit();
  first.do_("next");  // a's branch
  first.body("next#1.1", Value{"\"of a\""});
  first.body("b#1.1", Value{"2"});
  first.commit();
  first.do_("next");  // b's branch
  first.body("next#2.1", Value{"\"of b\""});
  first.commit();
  // That `b` has been asked for reaches the disk with the first outcome, before that.
  first.expect({"append attempt_started b#1.1 eager", "arm a#1 +600000", "arm b#1 +600000", "disarm a#1",
                "append step_completed a#1.1 1 awaited", "resolve a#1 1", "arm next#1 +600000", "disarm next#1",
                "append step_completed next#1.1 \"of a\" awaited", "disarm b#1",
                "append step_completed b#1.1 2 awaited", "resolve next#1 \"of a\"", "resolve b#1 2",
                "arm next#2 +600000", "disarm next#2", "append step_completed next#2.1 \"of b\" awaited",
                "resolve next#2 \"of b\""});

  Life b_first = first.crash();
  EXPECT_EQ(b_first.do_("b"), "pending b#1");  // its branch must not be the first to ask for `next`
  EXPECT_EQ(b_first.do_("a"), "resolved a#1 1");
  EXPECT_EQ(b_first.do_("next"), "pending next#1");
  b_first.expect({"resolve next#1 \"of a\"", "resolve b#1 2"});
  b_first.settled();
  EXPECT_EQ(b_first.do_("next"), "resolved next#2 \"of b\"");
  b_first.expect({});

  Life a_first = first.crash();
  EXPECT_EQ(a_first.do_("a"), "pending a#1");
  EXPECT_EQ(a_first.do_("b"), "pending b#1");
  a_first.expect({"resolve a#1 1"});
}

TEST(InstanceReplayGate, S7_OneThatLeftNoRecordIsWaitedForToo) {
  Life first;
  first.do_("a");
  first.do_("next");  // another branch's first
  first.do_("c");
  first.body("a#1.1", Value{"1"});
  first.commit();
  first.expect({"append attempt_started c#1.1 eager", "arm a#1 +600000", "arm next#1 +600000", "arm c#1 +600000",
                "disarm a#1", "append step_completed a#1.1 1 awaited", "resolve a#1 1"});
  Life second = first.crash();
  EXPECT_EQ(second.do_("c"), "pending c#1");
  EXPECT_EQ(second.do_("a"), "pending a#1");        // it would ask for `next` at once
  EXPECT_EQ(second.do_("next"), "pending next#1");  // new work waits until the code has caught up
  second.expect({"append attempt_failed c#1.1 !ProcessLost until +0 eager", "arm c#1 +0", "resolve a#1 1",
                 "arm next#1 +600000", "run next#1.1"});
}

TEST(InstanceReplayGate, S7_AnEntryTellsHowManyHadBeenAskedForBeforeTheOutcomeThatItFollowed) {
  Life first;
  first.do_("a");
  first.do_("b");
  first.body("a#1.1", Value{"1"});
  first.commit();
  first.sleep("nap", 1h);
  first.crash();
  std::vector<Entry> history = first.journal();
  ASSERT_EQ(history.front().name, "b");
  history.erase(history.begin());
  EXPECT_EQ(history.back().after, 1u);
  EXPECT_EQ(history.back().need, 2u);
  Life second(history);
  EXPECT_EQ(second.do_("a"), "pending a#1");
  EXPECT_EQ(second.do_("b"), "pending b#1");
  second.expect({"resolve a#1 1"});
  EXPECT_EQ(second.sleep("nap", 1h), "pending nap#1");
  second.expect({"arm nap#1 +3600000", "arm b#1 +600000", "run b#1.1"});
}

TEST(InstanceReplayGate, S7_AResultIsNotHandedBackAtOnceWhileAnEarlierOneIsOnItsWay) {
  Life first;
  first.do_("b");
  first.sleep("nap", 1h);
  first.body("b#1.1", Value{"1"});
  first.commit();
  first.do_("c");
  first.body("c#1.1", Value{"2"});
  first.commit();
  first.crash();
  const auto begin = [](Life& life) {
    EXPECT_EQ(life.do_("b"), "pending b#1");
    EXPECT_EQ(life.sleep("nap", 1h), "pending nap#1");
  };
  Life not_taken = first.crash();
  begin(not_taken);
  EXPECT_EQ(not_taken.do_("c"), "pending c#1");
  not_taken.expect({"arm nap#1 +3600000", "resolve b#1 1", "resolve c#1 2"});
  Life not_settled = first.crash();
  begin(not_settled);
  not_settled.expect({"arm nap#1 +3600000", "resolve b#1 1"});
  EXPECT_EQ(not_settled.do_("c"), "pending c#1");
  not_settled.expect({"resolve c#1 2"});
  Life settled = first.crash();
  begin(settled);
  settled.expect({"arm nap#1 +3600000", "resolve b#1 1"});
  settled.settled();
  EXPECT_EQ(settled.do_("c"), "resolved c#1 2");
  settled.expect({});
}

TEST(InstanceReplayGate, S39_WhereDivergenceIsIgnoredAMissingStepHoldsNothingBackForEver) {
  Life first({.determinism = Determinism::ignore});
  for (const char* name : {"removed", "a", "b"}) {
    first.do_(name);
    first.body(std::string(name) + "#1.1", Value{"1"});
    first.commit();
  }
  Life second = first.crash();
  EXPECT_EQ(second.do_("a"), "pending a#1");
  EXPECT_TRUE(second.release_stalled());
  second.expect({"resolve a#1 1"});
  second.settled();
  second.do_("b");
  second.release_stalled();
  second.expect({"resolve b#1 1"});
  second.settled();
  EXPECT_FALSE(second.release_stalled());  // what is left was not asked for
  EXPECT_EQ(second.do_("c"), "pending c#1");
  EXPECT_TRUE(second.release_stalled());
  second.expect({"arm c#1 +600000", "run c#1.1"});
  second.body("c#1.1", Value{"3"});
  second.commit();
  second.expect({"disarm c#1", "append step_completed c#1.1 3 awaited", "resolve c#1 3"});

  Life third = second.crash();  // the same way
  third.do_("a");
  EXPECT_TRUE(third.release_stalled());
  third.expect({"resolve a#1 1"});
  third.settled();
  third.do_("b");
  third.release_stalled();
  third.expect({"resolve b#1 1"});
  third.settled();
  third.do_("c");
  third.release_stalled();
  third.expect({"resolve c#1 3"});
}

TEST(InstanceReplayGate, NothingIsReleasedWhenNothingIsHeldBack) {
  Life run;
  EXPECT_FALSE(run.release_stalled());
  run.do_("a");
  EXPECT_FALSE(run.release_stalled());
  run.expect({"arm a#1 +600000"});
}

TEST(InstanceReplayGate, S38_ReplayRecordsNothing) {
  Life first;
  first.do_("a");
  first.body("a#1.1", Value{"1"});
  first.sleep("nap", 0s);
  first.wait("poll", "paid", 0s);
  first.event(1, "paid", "1");
  first.wait("event", "paid", 1h);
  first.do_failed("ship", failure("DependencyError"));
  first.commit();
  first.crash();
  Life second = first.crash();
  second.do_("a");
  second.sleep("nap", 1h);
  second.wait("poll", "paid", 1h);
  second.wait("event", "paid", 1h);
  second.do_("ship");
  second.expect({"resolve a#1 1", "resolve nap#1 null", "resolve poll#1 !WaitTimeoutError", "resolve event#1 <paid 1>",
                 "resolve ship#1 !DependencyError"});
  EXPECT_EQ(second.journal(), first.journal());
}

}  // namespace
}  // namespace workflows::core

// `sleep` and `wait`: deadlines that are recorded once, events that are taken once (S18-S24).

#include <chrono>
#include <limits>

#include "tests/unit/core/instance_harness.h"

namespace workflows::core {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// ---------------------------------------------------------------- sleep (S18, S20)

TEST(InstanceSleep, S18_ItEndsAtItsDeadlineAndItsEndIsOnDiskBeforeTheCodeGoesOn) {
  Life run;
  EXPECT_EQ(run.sleep("nap", 1500ms), "pending nap#1");
  run.expect({"append sleep_started nap#1 until +1500 eager", "arm nap#1 +1500"});
  run.advance(1500ms);
  run.timer("nap#1");
  run.expect({"append sleep_finished nap#1 until +1500 awaited"});
  EXPECT_EQ(run.last_entry().began, kStart);
  run.commit();
  run.expect({"resolve nap#1 null"});
}

TEST(InstanceSleep, S18_TheRecordedDeadlineWinsOverChangedCode) {
  Life first;
  first.sleep("nap", 10s);
  first.expect({"append sleep_started nap#1 until +10000 eager", "arm nap#1 +10000"});
  Life second = first.crash();
  second.advance(4s);
  EXPECT_EQ(second.sleep("nap", 1h), "pending nap#1");
  second.expect({"arm nap#1 +10000"});
}

TEST(InstanceSleep, S18_ARecordedSleepIsNotMeasuredByWhatTheCodeSaysNow) {
  Life first;
  first.sleep("nap", 10s);
  first.advance(10s);
  first.timer("nap#1");
  first.expect({"append sleep_started nap#1 until +10000 eager", "arm nap#1 +10000",
                "append sleep_finished nap#1 until +10000 awaited"});
  Life open = first.after(1);
  EXPECT_EQ(open.sleep("nap", -3s), "pending nap#1");  // such as: until a time that has passed by now
  open.expect({"append sleep_finished nap#1 until +10000 awaited"});
  Life ended = first.after(2);
  EXPECT_EQ(ended.sleep("nap", kMaxDuration + 1ms), "resolved nap#1 null");
  ended.expect({});
}

TEST(InstanceSleep, S18_AFinishedSleepNeverSleepsAgain) {
  Life first;
  first.sleep("nap", 0s);
  first.expect({"append sleep_finished nap#1 until +0 awaited"});
  Life second = first.crash();
  EXPECT_EQ(second.sleep("nap", 1h), "resolved nap#1 null");
  second.expect({});
}

TEST(InstanceSleep, S18_AZeroOrPastDeadlineReturnsAtOnceAndIsRecorded) {
  Life run;
  run.advance(1min);
  EXPECT_EQ(run.sleep("zero", 0s), "pending zero#1");
  EXPECT_EQ(run.sleep_until("now", run.now()), "pending now#1");
  EXPECT_EQ(run.sleep_until("past", kStart - 1s), "pending past#1");
  EXPECT_EQ(run.sleep_until("long past", TimePoint(Millis(-1'000'000))), "pending long past#1");
  run.commit();
  run.expect({"append sleep_finished zero#1 until +60000 awaited", "append sleep_finished now#1 until +60000 awaited",
              "append sleep_finished past#1 until -1000 awaited",
              "append sleep_finished long past#1 until -1728001000000 awaited", "resolve zero#1 null",
              "resolve now#1 null", "resolve past#1 null", "resolve long past#1 null"});
}

TEST(InstanceSleep, S18_TenYearsPassAndOneMillisecondMoreIsRefused) {
  Life run;
  EXPECT_EQ(run.sleep("a", kMaxDuration), "pending a#1");
  EXPECT_EQ(run.sleep_until("b", kStart + kMaxDuration), "pending b#1");
  const std::string deadline = std::to_string(kMaxDuration.count());
  run.expect({"append sleep_started a#1 until +" + deadline + " eager", "arm a#1 +" + deadline,
              "append sleep_started b#1 until +" + deadline + " eager", "arm b#1 +" + deadline});
  EXPECT_EQ(run.sleep("c", kMaxDuration + 1ms), "refused invalid_duration");
  EXPECT_THAT(run.error()->message, HasSubstr("sleep 'c'"));
  EXPECT_EQ(run.sleep_until("c", kStart + kMaxDuration + 1ms), "refused invalid_duration");
  EXPECT_EQ(run.sleep("c", Millis::max()), "refused invalid_duration");
  EXPECT_EQ(run.sleep_until("c", TimePoint::max()), "refused invalid_duration");
  run.expect({});
}

TEST(InstanceSleep, S18_ANegativeDurationIsRefused) {
  Life run;
  EXPECT_EQ(run.sleep("nap", -1ms), "refused invalid_duration");
  EXPECT_THAT(run.error()->message, HasSubstr("-1 ms"));
  EXPECT_EQ(run.sleep("nap", Millis::min()), "refused invalid_duration");
  run.expect({});
}

TEST(InstanceSleep, S20_ATimerThatComesEarlyIsSetAgain) {
  Life run;
  run.sleep("nap", 10s);
  run.advance(9999ms);
  run.timer("nap#1");
  run.expect({"append sleep_started nap#1 until +10000 eager", "arm nap#1 +10000", "arm nap#1 +10000"});
  run.advance(1ms);
  run.timer("nap#1");
  run.expect({"append sleep_finished nap#1 until +10000 awaited"});
}

TEST(InstanceSleep, S20_AClockThatStepsBackUnfiresNothing) {
  Life first;
  first.sleep("nap", 10s);
  first.advance(10s);
  first.timer("nap#1");
  first.advance(-1h);
  first.timer("nap#1");
  first.commit();
  first.expect({"append sleep_started nap#1 until +10000 eager", "arm nap#1 +10000",
                "append sleep_finished nap#1 until +10000 awaited", "resolve nap#1 null"});
  Life second = first.crash();
  second.advance(-1h);
  EXPECT_EQ(second.sleep("nap", 10s), "resolved nap#1 null");
  second.expect({});
}

TEST(InstanceSleep, S20_ASleeperThatWasDueWhileNoEngineRanEndsWhenItIsAskedForAgain) {
  Life first;
  first.sleep("nap", 10s);
  first.expect({"append sleep_started nap#1 until +10000 eager", "arm nap#1 +10000"});
  Life second = first.crash();
  second.advance(10s);
  EXPECT_EQ(second.sleep("nap", 10s), "pending nap#1");
  EXPECT_EQ(second.instance().wake(), std::nullopt);
  second.commit();
  second.expect({"append sleep_finished nap#1 until +10000 awaited", "resolve nap#1 null"});
}

// ---------------------------------------------------------------- wait (S21-S24)

TEST(InstanceWait, S22_AnEventAfterTheWaitIsTaken) {
  Life run;
  EXPECT_EQ(run.wait("payment", "paid"), "pending payment#1");
  run.expect({"append wait_started payment#1 until +86400000 eager", "arm payment#1 +86400000"});
  run.event(7, "paid", "{\"sum\":5}");
  run.expect({"disarm payment#1", "append wait_taken payment#1 event 7 until +86400000 awaited"});
  run.commit();
  run.expect({"resolve payment#1 <paid {\"sum\":5}>"});
}

TEST(InstanceWait, S22_AWaitThatWasAskedForDuringAPauseGetsItsEventInALaterLife) {
  Life first;
  first.do_("open");
  first.pause();
  first.wait("payment", "paid");
  first.body("open#1.1", Value{"1"});
  first.expect({"append attempt_started payment#1 eager", "arm open#1 +600000", "disarm open#1",
                "append step_completed open#1.1 1 awaited"});
  first.resume();
  first.commit();
  first.expect({"append resumed eager", "append wait_started payment#1 until +86400000 eager",
                "arm payment#1 +86400000", "resolve open#1 1"});
  Life second = first.crash();
  second.do_("open");
  second.wait("payment", "paid");
  second.expect({"arm payment#1 +86400000", "resolve open#1 1"});
  second.event(7, "paid", "5");
  second.expect({"disarm payment#1", "append wait_taken payment#1 event 7 until +86400000 awaited"});
}

TEST(InstanceWait, S22_AnEventBeforeTheWaitIsTheSame) {
  Life run;
  run.event(7, "paid", "{\"sum\":5}");
  EXPECT_EQ(run.wait("payment", "paid"), "pending payment#1");
  run.expect({"append wait_taken payment#1 event 7 until +86400000 awaited"});
  run.commit();
  run.expect({"resolve payment#1 <paid {\"sum\":5}>"});
}

TEST(InstanceWait, S23_AfterACrashTheEventIsEitherWithTheWaitOrStillThere) {
  Life first;
  first.wait("payment", "paid");
  first.event(7, "paid", "5");
  first.commit();
  first.expect({"append wait_started payment#1 until +86400000 eager", "arm payment#1 +86400000", "disarm payment#1",
                "append wait_taken payment#1 event 7 until +86400000 awaited", "resolve payment#1 <paid 5>"});
  Life nothing = first.after(0);
  EXPECT_EQ(nothing.wait("payment", "paid"), "pending payment#1");
  nothing.expect({"append wait_taken payment#1 event 7 until +86400000 awaited"});
  Life started = first.after(1);
  EXPECT_EQ(started.wait("payment", "paid"), "pending payment#1");
  started.expect({"append wait_taken payment#1 event 7 until +86400000 awaited"});
  Life taken = first.after(2);
  EXPECT_EQ(taken.wait("payment", "paid"), "resolved payment#1 <paid 5>");
  EXPECT_EQ(taken.wait("payment", "paid", 0s), "pending payment#2");  // it is not there a second time
  taken.expect({"append wait_timed_out payment#2 !WaitTimeoutError until +0 awaited"});
}

TEST(InstanceWait, S22_EventsOfATypeAreTakenInOrderOneByEachWait) {
  Life run;
  run.event(1, "paid", "1");
  run.event(2, "other", "2");
  run.event(3, "paid", "3");
  run.wait("a", "paid", std::nullopt);
  run.wait("b", "paid", std::nullopt);
  run.wait("c", "paid", std::nullopt);
  run.wait("d", "paid", std::nullopt);
  run.expect({"append wait_taken a#1 event 1 awaited", "append wait_taken b#1 event 3 awaited",
              "append wait_started c#1 eager", "append wait_started d#1 eager"});
  run.event(4, "paid", "4");
  run.event(5, "paid", "5");
  run.event(6, "paid", "6");
  run.expect({"append wait_taken c#1 event 4 awaited", "append wait_taken d#1 event 5 awaited"});
  run.wait("e", "paid", std::nullopt);
  run.commit();
  run.expect({"append wait_taken e#1 event 6 awaited", "resolve a#1 <paid 1>", "resolve b#1 <paid 3>",
              "resolve c#1 <paid 4>", "resolve d#1 <paid 5>", "resolve e#1 <paid 6>"});
}

TEST(InstanceWait, S22_WaitsKeepTheirTurnOverARestart) {
  Life first;
  first.wait("a", "paid", std::nullopt);
  first.wait("b", "paid", std::nullopt);
  first.expect({"append wait_started a#1 eager", "append wait_started b#1 eager"});
  Life second = first.crash();
  second.wait("a", "paid", std::nullopt);
  second.wait("b", "paid", std::nullopt);
  second.event(1, "paid", "1");
  second.expect({"append wait_taken a#1 event 1 awaited"});
}

TEST(InstanceWait, S22_ATimedOutWaitTakesNoEvent) {
  Life run;
  run.wait("a", "paid", 10s);
  run.wait("b", "paid", 1h);
  run.advance(10s);
  run.timer("a#1");
  run.event(1, "paid", "1");
  run.expect({"append wait_started a#1 until +10000 eager", "arm a#1 +10000",
              "append wait_started b#1 until +3600000 eager", "arm b#1 +3600000",
              "append wait_timed_out a#1 !WaitTimeoutError until +10000 awaited", "disarm b#1",
              "append wait_taken b#1 event 1 until +3600000 awaited"});
}

TEST(InstanceWait, S21_ATimeoutIsRecordedAndTheSameOnReplay) {
  Life first;
  first.wait("payment", "paid", 10s);
  first.advance(9999ms);
  first.timer("payment#1");  // too early
  first.advance(1ms);
  first.timer("payment#1");
  first.commit();
  first.expect({"append wait_started payment#1 until +10000 eager", "arm payment#1 +10000", "arm payment#1 +10000",
                "append wait_timed_out payment#1 !WaitTimeoutError until +10000 awaited",
                "resolve payment#1 !WaitTimeoutError"});
  EXPECT_THAT(first.last_entry().value, HasSubstr("type 'paid' came for wait 'payment' within 10 s"));
  Life second = first.crash();
  second.event(1, "paid", "1");  // too late for this one
  EXPECT_EQ(second.wait("payment", "paid", 10s), "resolved payment#1 !WaitTimeoutError");
  second.expect({});
}

TEST(InstanceWait, S21_ZeroPolls) {
  Life run;
  EXPECT_EQ(run.wait("a", "paid", 0s), "pending a#1");
  run.expect({"append wait_timed_out a#1 !WaitTimeoutError until +0 awaited"});
  run.event(1, "paid", "1");
  EXPECT_EQ(run.wait("b", "paid", 0s), "pending b#1");
  run.expect({"append wait_taken b#1 event 1 until +0 awaited"});
}

TEST(InstanceWait, S21_WithoutATimeoutItWaitsForEver) {
  Life first;
  EXPECT_EQ(first.wait("payment", "paid", std::nullopt), "pending payment#1");
  first.expect({"append wait_started payment#1 eager"});
  EXPECT_TRUE(first.instance().waiting());
  EXPECT_EQ(first.instance().wake(), std::nullopt);
  first.advance(24h * 365 * 200);
  first.timer("payment#1");
  first.expect({});
  Life second = first.crash();
  second.wait("payment", "paid", 1s);  // as first recorded: for ever
  second.expect({});
  EXPECT_TRUE(second.instance().waiting());
  second.event(1, "paid", "1");
  EXPECT_FALSE(second.instance().waiting());
  second.expect({"append wait_taken payment#1 event 1 awaited"});
}

TEST(InstanceWait, S21_TimeoutsFromZeroToTenYearsAreAccepted) {
  Life run;
  const std::string deadline = std::to_string(kMaxDuration.count());
  EXPECT_EQ(run.wait("a", "paid", kMaxDuration), "pending a#1");
  run.expect({"append wait_started a#1 until +" + deadline + " eager", "arm a#1 +" + deadline});
  EXPECT_EQ(run.wait("b", "paid", kMaxDuration + 1ms), "refused invalid_duration");
  EXPECT_EQ(run.wait("b", "paid", -1ms), "refused invalid_duration");
  EXPECT_THAT(run.error()->message, HasSubstr("-1 ms"));
  EXPECT_EQ(run.wait("b", "paid", Millis::max()), "refused invalid_duration");
  EXPECT_EQ(run.wait("b", "no spaces"), "refused invalid_name");
  EXPECT_EQ(run.wait("b", ""), "refused invalid_name");
  run.expect({});
}

TEST(InstanceWait, S22_AnEventThatCameInTimeWhileTheProcessWasDownBeatsTheTimeout) {
  Life first;
  first.wait("payment", "paid", 10s);
  first.advance(10s);
  first.event_while_down(1, "paid", "1");  // at the very deadline
  first.expect({"append wait_started payment#1 until +10000 eager", "arm payment#1 +10000"});
  Life second = first.crash();
  second.advance(1h);
  second.wait("payment", "paid", 10s);
  second.expect({"append wait_taken payment#1 event 1 until +10000 awaited"});
}

TEST(InstanceWait, S22_AnEventAfterTheDeadlineDoesNotAndStaysForTheNextWait) {
  Life first;
  first.wait("payment", "paid", 10s);
  first.wait("later", "paid", 2h);
  first.advance(10001ms);
  first.event_while_down(1, "paid", "1");
  first.expect({"append wait_started payment#1 until +10000 eager", "arm payment#1 +10000",
                "append wait_started later#1 until +7200000 eager", "arm later#1 +7200000"});
  Life second = first.crash();
  second.advance(1h);
  second.wait("payment", "paid", 10s);
  second.wait("later", "paid", 2h);
  second.expect({"append wait_timed_out payment#1 !WaitTimeoutError until +10000 awaited",
                 "append wait_taken later#1 event 1 until +7200000 awaited"});
}

TEST(InstanceWait, S22_AnEventAfterTheDeadlineDoesNotEitherWhenItOvertakesTheTimer) {
  Life run;
  run.wait("payment", "paid", 10s);
  run.wait("later", "paid", 2h);
  run.advance(1h);  // a machine that was asleep: the event is read before the timer fires
  run.event(1, "paid", "1");
  run.timer("payment#1");
  run.expect({"append wait_started payment#1 until +10000 eager", "arm payment#1 +10000",
              "append wait_started later#1 until +7200000 eager", "arm later#1 +7200000", "disarm payment#1",
              "append wait_timed_out payment#1 !WaitTimeoutError until +10000 awaited", "disarm later#1",
              "append wait_taken later#1 event 1 until +7200000 awaited"});
}

TEST(InstanceWait, S22_EventAndTimerRacingHaveOneWinner) {
  Life run;
  run.wait("payment", "paid", 10s);
  run.advance(10s);
  run.event(1, "paid", "1");
  run.timer("payment#1");
  run.commit();
  run.timer("payment#1");
  run.expect({"append wait_started payment#1 until +10000 eager", "arm payment#1 +10000", "disarm payment#1",
              "append wait_taken payment#1 event 1 until +10000 awaited", "resolve payment#1 <paid 1>"});
}

TEST(InstanceWait, S22_AnEventThatIsDeliveredTwiceCountsOnce) {
  Life first;
  first.event(5, "paid", "5");
  first.event(5, "paid", "5");
  first.wait("a", "paid", std::nullopt);
  first.event(5, "paid", "5");
  first.wait("b", "paid", 0s);
  first.expect(
      {"append wait_taken a#1 event 5 awaited", "append wait_timed_out b#1 !WaitTimeoutError until +0 awaited"});
  Life second = first.crash();
  second.event(5, "paid", "5");  // it was in the inbox that was loaded
  second.wait("a", "paid", std::nullopt);
  second.wait("b", "paid", 0s);
  second.wait("c", "paid", std::nullopt);
  second.expect({"resolve a#1 <paid 5>", "resolve b#1 !WaitTimeoutError", "append wait_started c#1 eager"});
}

TEST(InstanceWait, S23_AnEventIsNeverTakenByAWaitThatTheCodeDidNotAskForInThisLife) {
  Life first;
  first.wait("payment", "paid", std::nullopt);
  first.expect({"append wait_started payment#1 eager"});
  Life second = first.crash();
  second.event(1, "paid", "1");
  second.expect({});
  second.wait("payment", "paid", std::nullopt);
  second.expect({"append wait_taken payment#1 event 1 awaited"});
}

TEST(InstanceWait, S22_TheRecordedTypeWinsOverChangedCode) {
  Life first;
  first.wait("payment", "paid", std::nullopt);
  first.expect({"append wait_started payment#1 eager"});
  Life second = first.crash();
  second.event(1, "settled", "1");
  second.wait("payment", "settled", std::nullopt);
  second.expect({});
  second.event(2, "paid", "2");
  second.expect({"append wait_taken payment#1 event 2 awaited"});
}

// Another life may have begun by then, in the same engine: the store would take it for that one's.
TEST(InstancePause, S27_AValueThatTheCodeAsksForAfterItWasParkedIsNotRecorded) {
  Life run;
  run.pause();
  EXPECT_EQ(run.value("now", "1"), "1");
  run.expect({"append paused awaited"});
}

}  // namespace
}  // namespace workflows::core

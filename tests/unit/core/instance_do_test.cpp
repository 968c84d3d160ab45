// `do`: attempts, retries, timeouts, limits, and what a crash leaves of them (S7-S17).

#include <chrono>
#include <limits>

#include "tests/unit/core/instance_harness.h"

namespace workflows::core {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

StepConfig with_limit(std::uint32_t limit) { return {.retries = {.limit = limit}}; }

// Asks for `charge`, ends its body with `value` and commits.
void complete(Life& run, const std::string& name, const std::string& value) {
  ASSERT_EQ(run.do_(name), "run " + name + "#1.1");
  run.body(name + "#1.1", Value{value});
  run.commit();
  run.expect({"arm " + name + "#1 " + "+600000", "disarm " + name + "#1",
              "append step_completed " + name + "#1.1 " + value + " awaited", "resolve " + name + "#1 " + value});
}

// ---------------------------------------------------------------- one attempt

TEST(InstanceDo, S5_ItsResultIsGivenOutOnlyWhenItIsOnDisk) {
  Life run;
  EXPECT_EQ(run.do_("charge"), "run charge#1.1");
  run.expect({"arm charge#1 +600000"});
  run.body("charge#1.1", Value{"42"});
  run.expect({"disarm charge#1", "append step_completed charge#1.1 42 awaited"});
  run.commit();
  run.expect({"resolve charge#1 42"});
}

TEST(InstanceDo, S7_AReplayedStepIsAnsweredAtOnceByteForByteAndDoesNothing) {
  Life first;
  const std::string bytes = "{\"total\" : 1.50,\"who\":\"\xc3\xa9\"}";
  complete(first, "charge", bytes);
  Life second = first.crash();
  EXPECT_TRUE(second.instance().replaying());
  EXPECT_EQ(second.do_("charge"), "resolved charge#1 " + bytes);
  EXPECT_FALSE(second.instance().replaying());
  second.expect({});
  EXPECT_EQ(second.journal().size(), 1u);
}

TEST(InstanceDo, S7_OccurrencesCountCallsOfOneNameAndKindInCallOrder) {
  Life run;
  EXPECT_EQ(run.do_("work"), "run work#1.1");
  EXPECT_EQ(run.do_("work"), "run work#2.1");
  EXPECT_EQ(run.sleep("work", 1s), "pending work#1");  // another kind counts by itself
  EXPECT_EQ(run.do_("other"), "run other#1.1");
  EXPECT_EQ(run.do_("work"), "run work#3.1");
  run.expect({"arm work#1 +600000", "arm work#2 +600000", "append sleep_started work#1 until +1000 eager",
              "arm work#1 +1000", "arm other#1 +600000", "arm work#3 +600000"});
}

TEST(InstanceDo, S7_TheOccurrenceIsThatOfTheCallWhoeverEndsFirst) {
  Life first;
  first.do_("work");
  first.do_("work");
  first.body("work#2.1", Value{"\"second\""});
  first.body("work#1.1", Value{"\"first\""});
  first.commit();
  Life second = first.crash();
  EXPECT_EQ(second.do_("work"), "pending work#1");  // work#2's outcome came first
  EXPECT_EQ(second.do_("work"), "pending work#2");
  second.expect({"resolve work#2 \"second\"", "resolve work#1 \"first\""});
}

TEST(InstanceDo, S8_ABadNameIsRefusedBeforeAnythingIsRecorded) {
  Life run;
  EXPECT_EQ(run.do_(""), "refused invalid_name");
  EXPECT_EQ(run.do_("two\nlines"), "refused invalid_name");
  EXPECT_EQ(run.do_(std::string(257, 'x')), "refused invalid_name");
  EXPECT_EQ(run.sleep("", 1s), "refused invalid_name");
  EXPECT_EQ(run.wait("", "paid"), "refused invalid_name");
  run.expect({});
  EXPECT_EQ(run.do_(std::string(256, 'x')).substr(0, 4), "run ");
  EXPECT_EQ(run.ticket(std::string(256, 'x') + "#1"), 0u);  // the refused ones took no number
  run.expect({"arm " + std::string(256, 'x') + "#1 +600000"});
}

TEST(InstanceDo, S9_TheFirstRecordedConfigIsAuthoritative) {
  Life first;
  EXPECT_EQ(first.do_("charge", {.retries = {.limit = 1, .delay = 7s}, .timeout = 30s}), "run charge#1.1");
  first.body("charge#1.1", failure("Busy"));
  first.expect({"arm charge#1 +30000", "disarm charge#1", "append attempt_failed charge#1.1 !Busy until +7000 eager",
                "arm charge#1 +7000"});
  Life second = first.crash();
  EXPECT_EQ(second.do_("charge", {.retries = {.limit = 9}, .timeout = 1h}), "pending charge#1");
  EXPECT_EQ(second.instance().config(second.ticket("charge#1")).retries.limit, 1u);
  second.advance(7s);
  second.timer("charge#1");
  second.expect({"arm charge#1 +7000", "arm charge#1 +37000", "run charge#1.2"});
  second.body("charge#1.2", failure("Busy"));
  second.expect({"disarm charge#1", "append step_failed charge#1.2 !Busy awaited"});
}

TEST(InstanceDo, S9_AStepRecordedWithDefaultsKeepsThemWhateverTheCodeSaysNow) {
  Life first;
  first.do_("charge");
  first.linger("charge#1.1");
  first.expect({"arm charge#1 +600000", "append attempt_started charge#1.1 eager"});
  Life second = first.crash();
  second.do_("charge", with_limit(0));
  EXPECT_EQ(second.instance().config(0), StepConfig{});
  second.expect({"append attempt_failed charge#1.1 !ProcessLost until +0 eager", "arm charge#1 +0"});
}

TEST(InstanceDo, S37_WhatAStepDependsOnIsRecordedWithIt) {
  Life run;
  complete(run, "a", "1");
  run.do_("b", {}, {0});
  run.body("b#1.1", Value{"2"});
  EXPECT_EQ(run.last_entry().detail, R"({"depends":[0]})");
  run.expect({"arm b#1 +600000", "disarm b#1", "append step_completed b#1.1 2 awaited"});
}

TEST(InstanceDo, TheEntryTellsWhichStepItWasAndWhenItsAttemptBegan) {
  Life run;
  complete(run, "a", "1");
  run.advance(5s);
  run.do_("b", with_limit(3));
  run.advance(250ms);
  run.body("b#1.1", failure("Busy"));
  const Entry failed = run.last_entry();
  EXPECT_EQ(failed.step, 1u);
  EXPECT_EQ(failed.step_kind, StepKind::do_);
  EXPECT_EQ(failed.name, "b");
  EXPECT_EQ(failed.occurrence, 1u);
  EXPECT_EQ(failed.after, 1u);
  EXPECT_EQ(failed.need, 1u);
  EXPECT_EQ(failed.began, kStart + 5s);
  EXPECT_EQ(failed.at, kStart + 5250ms);
  EXPECT_EQ(failed.detail, R"({"config":{"retries":{"limit":3}}})");
  run.advance(1s);
  run.timer("b#1");
  run.body("b#1.2", Value{"2"});
  const Entry completed = run.last_entry();
  EXPECT_EQ(completed.began, kStart + 6250ms);
  EXPECT_EQ(completed.after, 1u);
  EXPECT_EQ(completed.name, "b");
  run.expect({"arm b#1 +605000", "disarm b#1", "append attempt_failed b#1.1 !Busy until +6250 eager", "arm b#1 +6250",
              "arm b#1 +606250", "run b#1.2", "disarm b#1", "append step_completed b#1.2 2 awaited"});
}

TEST(InstanceDo, S14_TheIdempotencyKeyStaysOverAttemptsAndReplaysAndDiffersPerStep) {
  Life first;
  first.do_("charge");
  first.do_("charge");
  const std::string key = first.instance().idempotency_key(0);
  EXPECT_NE(first.instance().idempotency_key(1), key);
  first.body("charge#1.1", failure("Busy"));
  EXPECT_EQ(first.instance().idempotency_key(0), key);
  first.expect({"arm charge#1 +600000", "arm charge#2 +600000", "disarm charge#1",
                "append attempt_failed charge#1.1 !Busy until +1000 eager", "arm charge#1 +1000"});
  Life second = first.crash();
  second.do_("charge");
  EXPECT_EQ(second.instance().idempotency_key(0), key);
  second.expect({"arm charge#1 +1000"});
}

// ---------------------------------------------------------------- attempts (S9-S11)

TEST(InstanceDo, S10_AttemptsAreOneMoreThanTheLimitAndBackOff) {
  Life run;
  EXPECT_EQ(run.do_("charge", with_limit(2)), "run charge#1.1");
  run.body("charge#1.1", failure("Busy"));
  run.expect({"arm charge#1 +600000", "disarm charge#1", "append attempt_failed charge#1.1 !Busy until +1000 eager",
              "arm charge#1 +1000"});
  run.advance(1s);
  run.timer("charge#1");
  run.body("charge#1.2", failure("Busy"));
  run.expect({"arm charge#1 +601000", "run charge#1.2", "disarm charge#1",
              "append attempt_failed charge#1.2 !Busy until +3000 eager", "arm charge#1 +3000"});
  run.advance(2s);
  run.timer("charge#1");
  run.body("charge#1.3", failure("Broken"));
  run.expect(
      {"arm charge#1 +603000", "run charge#1.3", "disarm charge#1", "append step_failed charge#1.3 !Broken awaited"});
  run.commit();
  run.expect({"resolve charge#1 !Broken"});
}

TEST(InstanceDo, S10_ARetryAfterARestartComesAtTheRecordedTime) {
  Life first;
  first.do_("charge");
  first.body("charge#1.1", failure("Busy"));
  first.expect({"arm charge#1 +600000", "disarm charge#1", "append attempt_failed charge#1.1 !Busy until +1000 eager",
                "arm charge#1 +1000"});
  Life second = first.crash();
  second.advance(400ms);
  EXPECT_EQ(second.do_("charge"), "pending charge#1");
  second.expect({"arm charge#1 +1000"});
  second.advance(600ms);
  second.timer("charge#1");
  second.expect({"arm charge#1 +601000", "run charge#1.2"});
}

TEST(InstanceDo, S10_ARetryThatWasDueWhileNoEngineRanIsDueAtOnce) {
  Life first;
  first.do_("charge");
  first.body("charge#1.1", failure("Busy"));
  Life second = first.crash();
  second.advance(1h);
  EXPECT_EQ(second.do_("charge"), "pending charge#1");
  EXPECT_EQ(second.instance().wake(), kStart + 1s);
  second.timer("charge#1");
  second.expect({"arm charge#1 +1000", "arm charge#1 +4200000", "run charge#1.2"});
}

TEST(InstanceDo, S10_WithLimitZeroTheStartIsOnDiskBeforeTheBodyRuns) {
  Life run;
  EXPECT_EQ(run.do_("charge", with_limit(0)), "pending charge#1");
  run.expect({"append attempt_started charge#1.1 awaited"});
  run.advance(3s);
  run.commit();
  run.expect({"arm charge#1 +603000", "run charge#1.1"});  // the timeout counts from the body's start
  run.linger("charge#1.1");                                // recorded already
  run.body("charge#1.1", failure("Busy"));
  run.expect({"disarm charge#1", "append step_failed charge#1.1 !Busy awaited"});
}

TEST(InstanceDo, S10_WithLimitZeroABodyNeverRunsAgainOnceItsStartIsOnDisk) {
  Life first;
  first.do_("charge", with_limit(0));
  first.expect({"append attempt_started charge#1.1 awaited"});

  Life without_start = first.after(0);
  EXPECT_EQ(without_start.do_("charge", with_limit(0)), "pending charge#1");
  without_start.expect({"append attempt_started charge#1.1 awaited"});

  Life with_start = first.after(1);
  EXPECT_EQ(with_start.do_("charge", with_limit(0)), "pending charge#1");
  with_start.expect({"append step_failed charge#1.1 !ProcessLost awaited"});
  with_start.commit();
  with_start.expect({"resolve charge#1 !ProcessLost"});
}

TEST(InstanceDo, S10_AnAttemptThatTheProcessDiedInCountsAsAFailedOne) {
  Life first;
  first.do_("charge", with_limit(1));
  first.advance(20ms);
  first.linger("charge#1.1");
  first.linger("charge#1.1");
  first.expect({"arm charge#1 +600000", "append attempt_started charge#1.1 eager"});
  EXPECT_EQ(first.last_entry().at, kStart);  // when it began, not when that became worth a record

  Life second = first.crash();
  second.advance(1h);
  EXPECT_EQ(second.do_("charge", with_limit(1)), "pending charge#1");
  second.expect({"append attempt_failed charge#1.1 !ProcessLost until +3600020 eager", "arm charge#1 +3600020"});
  EXPECT_THAT(second.last_entry().value, HasSubstr("attempt 1 of step 'charge'"));
  EXPECT_EQ(second.last_entry().began, kStart);
  second.timer("charge#1");
  second.linger("charge#1.2");
  second.expect({"arm charge#1 +4200020", "run charge#1.2", "append attempt_started charge#1.2 eager"});

  Life third = second.crash();  // that was the last attempt
  EXPECT_EQ(third.do_("charge", with_limit(1)), "pending charge#1");
  third.expect({"append step_failed charge#1.2 !ProcessLost awaited"});
}

TEST(InstanceDo, S10_TheStartOfAnAttemptThatIsOverIsNotRecorded) {
  Life run;
  run.do_("charge");
  run.body("charge#1.1", failure("Busy"));
  run.linger("charge#1.1");
  run.advance(1s);
  run.timer("charge#1");
  run.linger("charge#1.1");
  run.expect({"arm charge#1 +600000", "disarm charge#1", "append attempt_failed charge#1.1 !Busy until +1000 eager",
              "arm charge#1 +1000", "arm charge#1 +601000", "run charge#1.2"});
  run.linger("charge#1.2");
  run.expect({"append attempt_started charge#1.2 eager"});
}

TEST(InstanceDo, S11_AChosenDelayIsUsedAsItIs) {
  Life run;
  run.do_("charge", {.retries = {.limit = 2, .delay = 1h, .dynamic_delay = true}});
  run.body("charge#1.1", failure("Busy"));
  run.expect({"arm charge#1 +600000", "disarm charge#1", "choose charge#1.1 !Busy"});
  EXPECT_FALSE(run.instance().waiting());
  run.delay("charge#1.1", Millis(17));
  run.expect({"append attempt_failed charge#1.1 !Busy until +17 eager", "arm charge#1 +17"});
  run.delay("charge#1.1", Millis(99));  // answered before
  run.expect({});
  run.advance(17ms);
  run.timer("charge#1");
  run.body("charge#1.2", failure("Worse"));
  run.delay("charge#1.1", Millis(99));  // of the attempt before
  run.expect({"arm charge#1 +600017", "run charge#1.2", "disarm charge#1", "choose charge#1.2 !Worse"});
}

TEST(InstanceDo, S11_ADelayFunctionThatFailsEndsTheStep) {
  Life run;
  run.do_("charge", {.retries = {.limit = 2, .dynamic_delay = true}});
  run.body("charge#1.1", failure("Busy"));
  run.delay("charge#1.1", failure("DelayBroken"));
  run.expect({"arm charge#1 +600000", "disarm charge#1", "choose charge#1.1 !Busy",
              "append step_failed charge#1.1 !DelayBroken awaited"});
}

TEST(InstanceDo, S11_ADelayThatIsNoneEndsTheStepAndTheErrorSaysWhy) {
  for (const Millis nonsense : {Millis(-1), kMaxDuration + 1ms, Millis::max(), Millis::min()}) {
    Life run;
    run.do_("charge", {.retries = {.limit = 2, .dynamic_delay = true}});
    run.body("charge#1.1", failure("Busy"));
    run.delay("charge#1.1", nonsense);
    run.expect({"arm charge#1 +600000", "disarm charge#1", "choose charge#1.1 !Busy",
                "append step_failed charge#1.1 !StepError awaited"});
    EXPECT_THAT(run.last_entry().value, HasSubstr("delay"));
    EXPECT_THAT(run.last_entry().value, HasSubstr("charge"));
    EXPECT_THAT(run.last_entry().value, HasSubstr(std::to_string(nonsense.count()) + " ms"));
  }
}

TEST(InstanceDo, S11_TheLastAttemptAsksForNoDelay) {
  Life run;
  run.do_("charge", {.retries = {.limit = 1, .dynamic_delay = true}});
  run.body("charge#1.1", failure("Busy"));
  run.delay("charge#1.1", Millis(0));
  run.timer("charge#1");
  run.body("charge#1.2", failure("Busy"));
  run.expect({"arm charge#1 +600000", "disarm charge#1", "choose charge#1.1 !Busy",
              "append attempt_failed charge#1.1 !Busy until +0 eager", "arm charge#1 +0", "arm charge#1 +600000",
              "run charge#1.2", "disarm charge#1", "append step_failed charge#1.2 !Busy awaited"});
}

// ---------------------------------------------------------------- timeouts (S12)

TEST(InstanceDo, S12_ATimeoutFailsTheAttemptAndCancelsTheBody) {
  Life run;
  run.do_("charge", {.retries = {.limit = 1}, .timeout = 2s});
  run.advance(2s);
  run.time_out("charge#1.1", kStart);
  run.expect({"arm charge#1 +2000", "due charge#1.1 since +0", "cancel charge#1.1",
              "append attempt_failed charge#1.1 !StepTimeoutError until +3000 eager", "arm charge#1 +3000"});
  EXPECT_THAT(run.last_entry().value, HasSubstr("2 s"));
  run.advance(1s);
  run.timer("charge#1");
  run.advance(2s);
  run.time_out("charge#1.2", kStart + 3s);
  run.expect({"arm charge#1 +5000", "run charge#1.2", "due charge#1.2 since +3000", "cancel charge#1.2",
              "append step_failed charge#1.2 !StepTimeoutError awaited"});
}

TEST(InstanceDo, S12_TheTimeOfAnAttemptRunsFromTheBeginningOfItsBody) {
  Life run;
  run.do_("charge", {.retries = {.limit = 0}, .timeout = 2s});
  run.commit();
  run.advance(2s);
  run.timer("charge#1");
  run.attempt_due("charge#1.1", {});  // it waits for a thread
  run.expect({"append attempt_started charge#1.1 awaited", "arm charge#1 +2000", "run charge#1.1",
              "due charge#1.1 since +0", "arm charge#1 +4000"});
  run.advance(2s);
  run.time_out("charge#1.1", kStart + 3s);
  run.expect({"due charge#1.1 since +2000", "arm charge#1 +5000"});
  run.advance(1s);
  run.time_out("charge#1.1", kStart + 3s);
  run.expect(
      {"due charge#1.1 since +3000", "cancel charge#1.1", "append step_failed charge#1.1 !StepTimeoutError awaited"});
  EXPECT_EQ(run.last_entry().began, kStart + 3s);
}

TEST(InstanceDo, S12_AnAnswerThatComesWhenTheBodyHasEndedChangesNothing) {
  Life run;
  run.do_("charge", {.timeout = 2s});
  run.advance(2s);
  run.timer("charge#1");
  run.body("charge#1.1", Value{"1"});
  run.attempt_due("charge#1.1", kStart);
  run.expect({"arm charge#1 +2000", "due charge#1.1 since +0", "disarm charge#1",
              "append step_completed charge#1.1 1 awaited"});
}

TEST(InstanceDo, S12_ABodyThatBeganLateHasItsTimeForItsFirstSignOfLife) {
  Life run;
  run.do_("charge", {.timeout = 10s, .heartbeat_timeout = 2s});
  run.advance(2s);
  run.time_out("charge#1.1", kStart + 1s);
  run.expect({"arm charge#1 +2000", "due charge#1.1 since +0", "arm charge#1 +3000"});
  run.heartbeat("charge#1.1", "1");
  run.advance(1s);
  run.timer("charge#1");
  run.expect({"append attempt_started charge#1.1 eager", "append heartbeat charge#1.1 1 eager", "arm charge#1 +4000"});
  run.advance(1s);
  run.time_out("charge#1.1", kStart + 1s);
  run.expect({"due charge#1.1 since +1000", "cancel charge#1.1",
              "append attempt_failed charge#1.1 !StepTimeoutError until +5000 eager", "arm charge#1 +5000"});
}

TEST(InstanceDo, S12_ALateResultIsReportedAndDiscarded) {
  Life run;
  run.do_("charge", {.timeout = 2s});
  run.advance(2s);
  run.time_out("charge#1.1", kStart);
  run.expect({"arm charge#1 +2000", "due charge#1.1 since +0", "cancel charge#1.1",
              "append attempt_failed charge#1.1 !StepTimeoutError until +3000 eager", "arm charge#1 +3000"});
  run.body("charge#1.1", Value{"1"});  // while it rests
  run.expect({"late charge#1.1"});
  run.advance(1s);
  run.timer("charge#1");
  run.expect({"arm charge#1 +5000", "run charge#1.2"});
  run.body("charge#1.1", Value{"1"});  // while the next attempt runs
  run.expect({"late charge#1.1"});
  run.body("charge#1.2", Value{"2"});
  run.body("charge#1.2", Value{"3"});  // while the outcome is on its way to disk
  run.expect({"disarm charge#1", "append step_completed charge#1.2 2 awaited", "late charge#1.2"});
}

TEST(InstanceDo, S20_ATimerOfThePastDoesNotEndTheNextAttempt) {
  Life run;
  run.do_("charge", {.timeout = 2s});
  run.body("charge#1.1", failure("Busy"));
  run.advance(1s);
  run.timer("charge#1");
  run.expect({"arm charge#1 +2000", "disarm charge#1", "append attempt_failed charge#1.1 !Busy until +1000 eager",
              "arm charge#1 +1000", "arm charge#1 +3000", "run charge#1.2"});
  run.advance(1s);
  run.timer("charge#1");  // the first attempt's timeout, disarmed too late
  run.expect({"arm charge#1 +3000"});
}

TEST(InstanceDo, ATimerOfAStepThatWaitsForTheDiskDoesNothing) {
  Life run;
  run.do_("charge", with_limit(0));
  run.timer("charge#1");
  run.expect({"append attempt_started charge#1.1 awaited"});
  run.commit();
  run.body("charge#1.1", Value{"1"});
  run.advance(1h);
  run.timer("charge#1");
  run.expect(
      {"arm charge#1 +600000", "run charge#1.1", "disarm charge#1", "append step_completed charge#1.1 1 awaited"});
  run.commit();
  run.timer("charge#1");
  run.expect({"resolve charge#1 1"});
}

// ---------------------------------------------------------------- failures (S13, S15, S35)

TEST(InstanceDo, S13_ANonRetryableFailureEndsTheStepAtOnce) {
  Life run;
  run.do_("charge");
  run.body("charge#1.1", failure("CardStolen", false));
  run.commit();
  run.expect({"arm charge#1 +600000", "disarm charge#1", "append step_failed charge#1.1 !CardStolen awaited",
              "resolve charge#1 !CardStolen"});
}

TEST(InstanceDo, S13_ARecordedFailureIsRaisedAgainWithAllThatItCarried) {
  Failure cause = failure("socket.timeout");
  Failure stolen = failure("shop.CardStolen", false);
  stolen.traceback = "line 7";
  stolen.data = R"({"args":[1,2]})";
  stolen.cause = std::make_shared<const Failure>(cause);
  Life first;
  first.do_("charge");
  first.body("charge#1.1", stolen);
  first.commit();
  Life second = first.crash();
  const auto asked = second.instance().do_({"charge", {}, {}}, kStart);
  const auto& again = std::get<Failure>(*asked->outcome);
  EXPECT_EQ(again.to_json(), stolen.to_json());
  EXPECT_EQ(again.cause->type, "socket.timeout");
  second.expect({});
}

TEST(InstanceDo, S15_AResultOfExactlyTheLimitPassesAndOneByteMoreFailsWithoutRetry) {
  Life run(Limits{.steps = 10, .payload_bytes = 8});
  run.do_("fits");
  run.body("fits#1.1", Value{"12345678"});
  run.do_("large");
  run.body("large#1.1", Value{"123456789"});
  run.expect({"arm fits#1 +600000", "disarm fits#1", "append step_completed fits#1.1 12345678 awaited",
              "arm large#1 +600000", "disarm large#1", "append step_failed large#1.1 !PayloadTooLargeError awaited"});
  EXPECT_THAT(run.last_entry().value, HasSubstr("step 'large' has 9 bytes; at most 8 are allowed"));
}

TEST(InstanceDo, S15_LimitZeroIsNone) {
  Life run(Limits{.steps = 10, .payload_bytes = 0});
  run.do_("large");
  run.body("large#1.1", Value{std::string(3 << 20, '1')});
  EXPECT_EQ(run.last_entry().kind, EntryKind::step_completed);
  run.crash();
}

TEST(InstanceDo, S35_AStepWhoseDependencyFailedFailsWithoutRunning) {
  Life first;
  EXPECT_EQ(first.do_failed("ship", failure("DependencyError")), "pending ship#1");
  first.commit();
  first.expect({"append step_failed ship#1 !DependencyError awaited", "resolve ship#1 !DependencyError"});
  Life second = first.crash();
  EXPECT_EQ(second.do_failed("ship", failure("SomethingElse")), "resolved ship#1 !DependencyError");
  second.expect({});
}

// ---------------------------------------------------------------- number of steps (S16)

TEST(InstanceDo, S16_ExactlyTheLimitPassesAndOneMoreIsRefused) {
  Life run(Limits{.steps = 3});
  run.do_("a");
  run.sleep("b", 0s);
  run.wait("c", "paid", std::nullopt);
  EXPECT_EQ(run.do_("d"), "refused step_limit");
  EXPECT_EQ(run.sleep("d", 1s), "refused step_limit");
  EXPECT_EQ(run.wait("d", "paid"), "refused step_limit");
  EXPECT_THAT(run.error()->message, HasSubstr("number 4"));
  EXPECT_THAT(run.error()->message, HasSubstr("at most 3"));
  run.expect({"arm a#1 +600000", "append sleep_finished b#1 until +0 awaited", "append wait_started c#1 eager"});
}

TEST(InstanceDo, S16_ReplayedStepsCountOnce) {
  Life first(Limits{.steps = 3});
  complete(first, "a", "1");
  complete(first, "b", "2");
  Life second = first.crash();
  EXPECT_EQ(second.do_("a"), "resolved a#1 1");
  EXPECT_EQ(second.do_("b"), "resolved b#1 2");
  EXPECT_EQ(second.do_("c"), "run c#1.1");
  EXPECT_EQ(second.do_("d"), "refused step_limit");
  second.expect({"arm c#1 +600000"});
}

// ---------------------------------------------------------------- never again (S7, S43)

TEST(InstanceDo, S43_WhateverPrefixOfTheJournalIsFoundACommittedResultIsNeverMadeAgain) {
  Life first;
  first.do_("charge", with_limit(2));
  first.linger("charge#1.1");
  first.body("charge#1.1", failure("Busy"));
  first.advance(1s);
  first.timer("charge#1");
  first.linger("charge#1.2");
  first.body("charge#1.2", Value{"42"});
  first.commit();
  first.expect({"arm charge#1 +600000", "append attempt_started charge#1.1 eager", "disarm charge#1",
                "append attempt_failed charge#1.1 !Busy until +1000 eager", "arm charge#1 +1000",
                "arm charge#1 +601000", "run charge#1.2", "append attempt_started charge#1.2 eager", "disarm charge#1",
                "append step_completed charge#1.2 42 awaited", "resolve charge#1 42"});
  const std::vector<std::string> answers = {"run charge#1.1", "pending charge#1", "pending charge#1",
                                            "pending charge#1", "resolved charge#1 42"};
  const std::vector<std::vector<std::string>> effects = {
      {"arm charge#1 +601000"},
      {"append attempt_failed charge#1.1 !ProcessLost until +1000 eager", "arm charge#1 +1000"},
      {"arm charge#1 +1000"},
      {"append attempt_failed charge#1.2 !ProcessLost until +1000 eager", "arm charge#1 +1000"},
      {}};
  ASSERT_EQ(first.journal().size() + 1, answers.size());
  for (std::size_t kept = 0; kept < answers.size(); ++kept) {
    SCOPED_TRACE(kept);
    Life second = first.after(kept);
    EXPECT_EQ(second.do_("charge", with_limit(2)), answers[kept]);
    second.expect(effects[kept]);
  }
}

}  // namespace
}  // namespace workflows::core

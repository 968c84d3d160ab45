// The end of a run, and what an instance says of itself on the way there (S4, S12, S15, S26, S38).

#include <chrono>

#include "tests/unit/core/instance_harness.h"

namespace workflows::core {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// ---------------------------------------------------------------- finish

TEST(InstanceFinish, S4_TheOutputIsGivenOutWhenItIsOnDisk) {
  Life run;
  run.finish(Value{"{\"ok\":true}"});
  run.expect({"append instance_completed {\"ok\":true} awaited"});
  run.commit();
  run.expect({"finished instance_completed {\"ok\":true}"});
}

TEST(InstanceFinish, S4_AnErrorThatLeavesRunMakesTheInstanceErrored) {
  Life run;
  run.finish(failure("shop.SoldOut", false));
  EXPECT_EQ(run.last_entry().value, failure("shop.SoldOut", false).to_json());
  run.commit();
  run.expect({"append instance_errored !shop.SoldOut awaited", "finished instance_errored !shop.SoldOut"});
}

TEST(InstanceFinish, S15_AnOutputOfExactlyTheLimitPassesAndOneByteMoreIsAFailure) {
  Life fits(Limits{.steps = 10, .payload_bytes = 4});
  fits.finish(Value{"1234"});
  fits.expect({"append instance_completed 1234 awaited"});
  Life large(Limits{.steps = 10, .payload_bytes = 4});
  large.finish(Value{"12345"});
  large.expect({"append instance_errored !PayloadTooLargeError awaited"});
  EXPECT_THAT(large.last_entry().value, HasSubstr("the output of run has 5 bytes; at most 4 are allowed"));
  Life unlimited(Limits{.steps = 10, .payload_bytes = 0});
  unlimited.finish(Value{"12345"});
  unlimited.expect({"append instance_completed 12345 awaited"});
}

TEST(InstanceFinish, S12_OpenBodiesAreCancelledAndEveryTimerIsDisarmed) {
  Life run;
  run.do_("runs");
  run.do_("starts", {.retries = {.limit = 0}});
  run.do_("rests");
  run.body("rests#1.1", failure("Busy"));
  run.do_("ends");
  run.body("ends#1.1", Value{"1"});
  run.sleep("sleeps", 1h);
  run.wait("waits", "paid", 1h);
  run.wait("waits long", "paid", std::nullopt);
  run.expect({"arm runs#1 +600000", "append attempt_started starts#1.1 awaited", "arm rests#1 +600000",
              "disarm rests#1", "append attempt_failed rests#1.1 !Busy until +1000 eager", "arm rests#1 +1000",
              "arm ends#1 +600000", "disarm ends#1", "append step_completed ends#1.1 1 awaited",
              "append sleep_started sleeps#1 until +3600000 eager", "arm sleeps#1 +3600000",
              "append wait_started waits#1 until +3600000 eager", "arm waits#1 +3600000",
              "append wait_started waits long#1 eager"});
  run.finish(Value{"1"});
  run.expect({"disarm runs#1", "cancel runs#1.1", "disarm rests#1", "disarm sleeps#1", "disarm waits#1",
              "append instance_completed 1 awaited"});
}

TEST(InstanceFinish, NothingIsAcceptedAfterwards) {
  Life run;
  run.do_("runs");
  run.do_("starts", {.retries = {.limit = 0}});
  run.do_("chooses", {.retries = {.dynamic_delay = true}});
  run.body("chooses#1.1", failure("Busy"));
  run.sleep("sleeps", 1h);
  run.wait("waits", "paid", std::nullopt);
  run.finish(Value{"1"});
  run.expect({"arm runs#1 +600000", "append attempt_started starts#1.1 awaited", "arm chooses#1 +600000",
              "disarm chooses#1", "choose chooses#1.1 !Busy", "append sleep_started sleeps#1 until +3600000 eager",
              "arm sleeps#1 +3600000", "append wait_started waits#1 eager", "disarm runs#1", "cancel runs#1.1",
              "disarm sleeps#1", "append instance_completed 1 awaited"});
  EXPECT_EQ(run.do_("more"), "refused instance_finished");
  EXPECT_THAT(run.error()->message, HasSubstr("step 'more'"));
  EXPECT_EQ(run.do_failed("more", failure("Busy")), "refused instance_finished");
  EXPECT_EQ(run.sleep("more", 1s), "refused instance_finished");
  EXPECT_EQ(run.wait("more", "paid"), "refused instance_finished");
  run.finish(failure("Again"));
  run.abandon("waits#1");
  run.linger("runs#1.1");
  run.delay("chooses#1.1", Millis(5));
  run.event(1, "paid", "1");
  run.advance(2h);
  run.timer("sleeps#1");
  run.timer("runs#1");
  EXPECT_FALSE(run.release_stalled());
  run.expect({});
  run.body("runs#1.1", Value{"1"});  // it ended although it was cancelled
  run.expect({"late runs#1.1"});
  run.commit();  // of the start as well: that body does not run any more
  run.expect({"finished instance_completed 1"});
}

TEST(InstanceFinish, S5_AnOutcomeThatWasOnItsWayIsNotGivenOutAfterTheEnd) {
  Life run;
  run.do_("a");
  run.body("a#1.1", Value{"1"});
  run.finish(Value{"2"});
  run.commit();
  run.expect({"arm a#1 +600000", "disarm a#1", "append step_completed a#1.1 1 awaited",
              "append instance_completed 2 awaited", "finished instance_completed 2"});
}

TEST(InstanceFinish, AnEndThatDidNotReachTheDiskIsReachedAgain) {
  Life first;
  first.do_("a");
  first.body("a#1.1", Value{"1"});
  first.commit();
  first.finish(Value{"2"});
  first.expect({"arm a#1 +600000", "disarm a#1", "append step_completed a#1.1 1 awaited", "resolve a#1 1",
                "append instance_completed 2 awaited"});
  Life second = first.after(1);
  EXPECT_EQ(second.do_("a"), "resolved a#1 1");
  second.finish(Value{"2"});
  second.expect({"append instance_completed 2 awaited"});
}

// ---------------------------------------------------------------- what it says of itself

TEST(InstanceViews, S26_ItWaitsWhenEveryOpenStepSleepsWaitsOrRests) {
  Life run;
  const auto& instance = run.instance();
  EXPECT_FALSE(instance.waiting());  // the code has not asked for anything yet
  EXPECT_EQ(instance.wake(), std::nullopt);

  run.wait("event", "paid", std::nullopt);
  EXPECT_TRUE(instance.waiting());
  EXPECT_EQ(instance.wake(), std::nullopt);

  run.sleep("nap", 1h);
  EXPECT_TRUE(instance.waiting());
  EXPECT_EQ(instance.wake(), kStart + 1h);

  run.do_("charge");
  EXPECT_FALSE(instance.waiting());
  run.body("charge#1.1", failure("Busy"));
  EXPECT_TRUE(instance.waiting());
  EXPECT_EQ(instance.wake(), kStart + 1s);

  run.advance(1s);
  run.timer("charge#1");
  EXPECT_FALSE(instance.waiting());
  EXPECT_EQ(instance.wake(), kStart + 1h);
  run.body("charge#1.2", Value{"1"});
  EXPECT_FALSE(instance.waiting());  // the outcome is on its way to disk
  run.commit();
  EXPECT_TRUE(instance.waiting());

  run.event(1, "paid", "1");
  EXPECT_FALSE(instance.waiting());
  run.commit();
  EXPECT_TRUE(instance.waiting());
  run.advance(1h);
  run.timer("nap#1");
  EXPECT_FALSE(instance.waiting());
  EXPECT_EQ(instance.wake(), std::nullopt);
  run.commit();
  EXPECT_FALSE(instance.waiting());
  run.crash();
}

TEST(InstanceViews, S26_ItDoesNotWaitWhileALimitZeroStepStartsOrADelayIsChosen) {
  Life run;
  run.wait("event", "paid", 1h);
  run.do_("once", {.retries = {.limit = 0}});
  EXPECT_FALSE(run.instance().waiting());
  run.commit();
  EXPECT_FALSE(run.instance().waiting());
  run.body("once#1.1", Value{"1"});
  run.commit();
  EXPECT_TRUE(run.instance().waiting());
  run.do_("slow", {.retries = {.dynamic_delay = true}});
  run.body("slow#1.1", failure("Busy"));
  EXPECT_FALSE(run.instance().waiting());
  run.delay("slow#1.1", Millis(5));
  EXPECT_TRUE(run.instance().waiting());
  EXPECT_EQ(run.instance().wake(), kStart + 5ms);
  run.crash();
}

TEST(InstanceViews, S26_AFinishedRunDoesNotWait) {
  Life run;
  run.sleep("nap", 1h);
  EXPECT_TRUE(run.instance().waiting());
  run.finish(Value{"1"});
  EXPECT_FALSE(run.instance().waiting());
  EXPECT_EQ(run.instance().wake(), std::nullopt);
  run.crash();
}

TEST(InstanceViews, S38_ItReplaysUntilItHasAskedForAndGotAllThatIsRecorded) {
  Life first;
  EXPECT_FALSE(first.instance().replaying());
  first.do_("a");
  first.body("a#1.1", Value{"1"});
  first.commit();
  EXPECT_FALSE(first.instance().replaying());
  first.do_("b");
  first.body("b#1.1", Value{"2"});
  first.commit();
  first.sleep("nap", 1h);
  first.crash();

  Life second = first.crash();
  EXPECT_TRUE(second.instance().replaying());
  EXPECT_FALSE(second.instance().waiting());
  second.do_("a");
  EXPECT_TRUE(second.instance().replaying());
  second.do_("b");
  EXPECT_TRUE(second.instance().replaying());  // `nap` is recorded, too
  EXPECT_FALSE(second.instance().waiting());
  EXPECT_EQ(second.sleep("nap", 1h), "pending nap#1");  // recorded, yet open
  EXPECT_FALSE(second.instance().replaying());
  EXPECT_TRUE(second.instance().waiting());
  EXPECT_EQ(second.instance().wake(), kStart + 1h);
  second.expect({"arm nap#1 +3600000"});
}

TEST(InstanceViews, StepsAreKnownByNameOccurrenceAndConfig) {
  Life run;
  run.do_("a", {.timeout = 5s});
  run.sleep("a", 1h);
  run.do_("a");
  const auto& instance = run.instance();
  EXPECT_EQ(instance.step_name(2), "a");
  EXPECT_EQ(instance.occurrence(1), 1u);
  EXPECT_EQ(instance.occurrence(2), 2u);
  EXPECT_EQ(instance.config(0).timeout, Duration(5s));
  EXPECT_EQ(instance.identity().id, "order-17");
  run.crash();
}

}  // namespace
}  // namespace workflows::core

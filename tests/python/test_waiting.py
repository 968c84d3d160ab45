# pyright: basic
"""Sleeping and events (S18-S24)."""

from __future__ import annotations

import asyncio
import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import pytest
import workflows

from support import (
    PATIENCE_S,
    VirtualTime,
    counters,
    opened,
    result_over,
    run_once,
    until,
    until_recorded,
    until_status,
)


async def test_s18_a_sleep_keeps_its_deadline_whatever_the_code_says_later(tmp_path: Path) -> None:
    time, duration = VirtualTime(), "2 days"

    @workflows.workflow
    async def sleepy(event: workflows.Event, step: workflows.Step) -> Any:
        await step.sleep("nap", duration)
        return "awake"

    async with opened(tmp_path / "s.db", sleepy, time=time) as engine:
        await until_recorded(await engine.create(sleepy, id="s"), "nap")
    duration = "9 years"
    time.advance("1 day")
    async with opened(tmp_path / "s.db", sleepy, time=time) as engine:
        instance = await engine.get(sleepy, "s")
        assert (await instance.status()).status == "waiting"
        assert await result_over(time, instance, "1 day") == "awake"


async def test_s20_a_sleeper_that_was_due_while_nothing_ran_wakes_at_open(tmp_path: Path) -> None:
    time = VirtualTime()

    @workflows.workflow
    async def sleepy(event: workflows.Event, step: workflows.Step) -> Any:
        await step.sleep("nap", "2 days")
        return "awake"

    async with opened(tmp_path / "s.db", sleepy, time=time) as engine:
        await until_recorded(await engine.create(sleepy, id="s"), "nap")
    time.advance("3 days")
    async with opened(tmp_path / "s.db", sleepy, time=time) as engine:
        assert await (await engine.get(sleepy, "s")).result(timeout=PATIENCE_S) == "awake"


@pytest.mark.parametrize("when", ["2020-01-01T00:00:00Z", dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "0 s"])
async def test_s18_a_time_that_has_passed_returns_at_once_and_is_recorded(when: Any) -> None:
    @workflows.workflow
    async def past(event: workflows.Event, step: workflows.Step) -> Any:
        return await (step.sleep("nap", when) if when == "0 s" else step.sleep_until("nap", when))

    async with opened(":memory:", past) as engine:
        instance = await engine.create(past)
        assert await instance.result() is None
        (info,) = await instance.steps()
        assert (info.name, info.kind, info.status) == ("nap", "sleep", "completed")


async def test_s18_s19_bad_durations_and_times_raise_before_anything_is_recorded() -> None:
    @workflows.workflow
    async def bad(event: workflows.Event, step: workflows.Step) -> Any:
        for duration in (5, "soon", None, "11 years", dt.timedelta(days=-1)):
            with pytest.raises(workflows.InvalidDurationError, match="nap"):
                step.sleep("nap", duration)  # type: ignore[arg-type]
            with pytest.raises(workflows.InvalidDurationError, match=r"nap|timeout"):
                step.wait_for_event("nap", "t", timeout=duration if duration is not None else "x")  # type: ignore[arg-type]
        with pytest.raises(workflows.InvalidDurationError, match=r"'nap'.*has no time zone; add one"):
            step.sleep_until("nap", dt.datetime(2030, 1, 1))
        with pytest.raises(workflows.InvalidDurationError, match="no time zone"):
            step.sleep_until("nap", "2030-01-01")
        with pytest.raises(workflows.InvalidDurationError, match="nap"):
            step.sleep_until("nap", 1_900_000_000)  # type: ignore[arg-type]
        return "ok"

    async with opened(":memory:", bad) as engine:
        instance = await engine.create(bad)
        assert await instance.result() == "ok"
        assert await instance.steps() == []


async def test_a_sleep_counts_from_its_call_also_when_it_is_awaited_later() -> None:
    time = VirtualTime()

    @workflows.workflow
    async def early(event: workflows.Event, step: workflows.Step) -> Any:
        nap = step.sleep("nap", "1 hour")
        await step.wait_for_event("go", "go")
        await nap
        return "awake"

    async with opened(":memory:", early, time=time) as engine:
        instance = await engine.create(early)
        await until_recorded(instance, "go")
        time.advance("1 hour")
        await instance.send_event("go")
        assert await instance.result(timeout=PATIENCE_S) == "awake"


async def test_a_sleep_that_is_never_awaited_is_warned_about_at_the_end() -> None:
    @workflows.workflow
    async def careless(event: workflows.Event, step: workflows.Step) -> Any:
        step.sleep("forgotten", "1 hour")
        return "done"

    with pytest.warns(RuntimeWarning, match=r"step\.sleep 'forgotten' was never awaited in instance 'c'") as caught:
        async with opened(":memory:", careless) as engine:
            assert await (await engine.create(careless, id="c")).result() == "done"
    assert caught[0].filename == __file__


async def test_s16_a_sleep_that_was_refused_is_not_warned_about() -> None:
    @workflows.workflow
    async def limited(event: workflows.Event, step: workflows.Step) -> None:
        await step.sleep("first", "0 s")
        with pytest.raises(workflows.StepLimitError):
            await step.sleep("second", "0 s")
        with pytest.raises(workflows.StepLimitError):
            await step.wait_for_event("third", "t")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await run_once(limited, step_limit=1)


async def test_s21_an_event_has_type_payload_and_timestamp() -> None:
    @workflows.workflow
    async def waiting(event: workflows.Event, step: workflows.Step) -> Any:
        got = await step.wait_for_event("one", type="order.paid")
        return [got, dict(got)]

    time = VirtualTime()
    async with opened(":memory:", waiting, time=time) as engine:
        instance = await engine.create(waiting)
        time.advance("1 s")
        await instance.send_event("order.paid", {"amount": 3, "by": {"card"}})
        at = dt.datetime(2026, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
        payload = {"amount": 3, "by": {"card"}}
        got, mapping = await instance.result()
        assert got == workflows.ReceivedEvent("order.paid", payload, at)
        assert mapping == {"type": "order.paid", "payload": payload, "timestamp": at}


async def test_s21_a_timeout_is_recorded_and_the_same_on_replay(tmp_path: Path) -> None:
    time = VirtualTime()
    seen: list[Any] = []

    @workflows.workflow
    async def waiting(event: workflows.Event, step: workflows.Step) -> Any:
        try:
            await step.wait_for_event("first", "late", timeout="1 hour")
        except workflows.WaitTimeoutError as error:
            seen.append(str(error))
        seen.append(await step.wait_for_event("second", "late", timeout="0 s", default="nothing"))
        return (await step.wait_for_event("third", "late", timeout=None)).payload

    async with opened(tmp_path / "t.db", waiting, time=time) as engine:
        instance = await engine.create(waiting, id="t")
        await until_recorded(instance, "first")
        time.advance("1 hour")
        await until_recorded(instance, "third")
    async with opened(tmp_path / "t.db", waiting, time=time) as engine:
        instance = await engine.get(waiting, "t")
        await instance.send_event("late", "now")
        assert await instance.result(timeout=PATIENCE_S) == "now"
    assert seen == [seen[0], "nothing"] * 2
    assert "'late'" in seen[0]


async def test_s21_none_as_default_is_a_default() -> None:
    @workflows.workflow
    async def waiting(event: workflows.Event, step: workflows.Step) -> Any:
        return await step.wait_for_event("w", "t", timeout="0 s", default=None)

    assert await run_once(waiting) is None


async def test_s22_events_are_kept_and_waits_are_served_in_order() -> None:
    @workflows.workflow
    async def waiting(event: workflows.Event, step: workflows.Step) -> Any:
        await step.wait_for_event("start", "start")
        waits = [step.wait_for_event(f"wait {n}", "number") for n in range(3)]
        return [got.payload for got in await asyncio.gather(*waits)]

    async with opened(":memory:", waiting) as engine:
        instance = await engine.create(waiting)
        for number in range(3):
            await instance.send_event("number", number)
        await instance.send_event("start")
        assert await instance.result() == [0, 1, 2]


async def test_s24_events_to_the_finished_and_the_unknown_are_errors_and_ids_deduplicate() -> None:
    @workflows.workflow
    async def two(event: workflows.Event, step: workflows.Step) -> Any:
        return [(await step.wait_for_event("w", "t")).payload for _ in range(2)]

    async with opened(":memory:", two) as engine:
        instance = await engine.create(two, id="t")
        for payload in ("first", "again", "second"):
            await instance.send_event("t", payload, event_id="second" if payload == "second" else "first")
        assert await instance.result() == ["first", "second"]
        with pytest.raises(workflows.InstanceFinishedError, match="'t'"):
            await instance.send_event("t", 1)
        with pytest.raises(workflows.InstanceNotFoundError, match="nobody"):
            await engine.get(two, "nobody")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("no spaces", 1), workflows.InvalidNameError),
        ((5, 1), workflows.InvalidNameError),
        (("", 1), workflows.InvalidNameError),
        (({"typ": "x"},), workflows.InvalidNameError),
        (({"type": "x", "payload": 1, "more": 2},), workflows.InvalidNameError),
        (("t", object()), workflows.SerializationError),
        (("t", "x" * 2_000_000), workflows.PayloadTooLargeError),
    ],
)
async def test_s46_bad_events_are_refused(arguments: Any, error: type[Exception]) -> None:
    @workflows.workflow
    async def waiting(event: workflows.Event, step: workflows.Step) -> Any:
        return (await step.wait_for_event("w", "t")).payload

    async with opened(":memory:", waiting) as engine:
        instance = await engine.create(waiting)
        with pytest.raises(error):
            await instance.send_event(*arguments)
        with pytest.raises(workflows.InvalidNameError, match="event id"):
            await instance.send_event("t", 1, event_id="")
        await instance.send_event("t", "good")
        assert await instance.result() == "good"


async def test_hibernated_instances_come_back_by_replay() -> None:
    time, runs = VirtualTime(), []

    @workflows.workflow
    async def resting(event: workflows.Event, step: workflows.Step) -> Any:
        runs.append(event.instance_id)
        unwound = False
        try:

            @step.do
            async def first() -> str:
                return "kept"

            kept = await first()
            got = await step.wait_for_event("go", "go", timeout="5 days", default=None)
        except asyncio.CancelledError:
            unwound = True
            raise
        finally:
            runs.append(f"unwound {unwound}")
        await step.sleep("nap", "1 day")
        return [kept, got and got.payload]

    async with opened(":memory:", resting, time=time, hibernate_after="10 seconds") as engine:
        instance = await engine.create(resting, id="r")
        await until_recorded(instance, "go")
        await hibernated(engine, time)
        await instance.send_event("go", 7)
        await until_recorded(instance, "nap")
        await hibernated(engine, time)
        assert await result_over(time, instance, "1 day") == ["kept", 7]
    assert runs == ["r", "unwound True", "r", "unwound False", "r", "unwound False"]


async def test_code_that_is_about_to_react_to_an_outcome_is_not_hibernated() -> None:
    @workflows.workflow
    async def slow(event: workflows.Event, step: workflows.Step) -> Any:
        never = asyncio.ensure_future(step.wait_for_event("never", "never", timeout="1 day"))

        @step.do
        async def first() -> int:
            return 1

        @step.do
        async def second() -> int:
            return 2

        got = [await first()]
        await asyncio.sleep(0.05)
        got.append(await second())
        never.cancel()
        return got

    async with opened(":memory:", slow, hibernate_after="0 seconds") as engine:
        instance = await engine.create(slow)
        assert await instance.result(timeout=PATIENCE_S) == [1, 2]


async def hibernated(engine: workflows.Engine, time: VirtualTime) -> None:
    def rested() -> bool:
        time.advance("10 seconds")
        return counters(engine)["hibernated_instances"] == 1

    await until(rested)
    assert counters(engine)["loaded_instances"] == 0


async def test_code_that_swallows_its_suspension_is_reported_and_never_recorded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    time, lives = VirtualTime(), 0

    @workflows.workflow
    async def deaf(event: workflows.Event, step: workflows.Step) -> Any:
        nonlocal lives
        lives += 1
        try:
            return (await step.wait_for_event("go", "go")).payload
        except BaseException:
            for verb in (lambda: step.sleep("x", "1 s"), step.do("y")(lambda: 1)):
                with pytest.raises(asyncio.CancelledError):
                    verb()
            return "swallowed"

    async with opened(":memory:", deaf, time=time) as engine:
        instance = await engine.create(deaf, id="deaf")
        await until_recorded(instance, "go")
        await hibernated(engine, time)
        await instance.send_event("go", 3)
        assert await instance.result(timeout=PATIENCE_S) == 3
        assert [info.name for info in await instance.steps()] == ["go"]
    assert lives == 2
    assert "instance 'deaf' of workflow 'deaf' ended by itself after it was cancelled" in caplog.text


async def test_a_plain_run_hibernates_too() -> None:
    time, lives = VirtualTime(), 0

    @workflows.workflow
    def blocking(event: workflows.Event, step: workflows.SyncStep) -> Any:
        nonlocal lives
        lives += 1
        return step.wait_for_event("go", "go").payload

    async with opened(":memory:", blocking, time=time) as engine:
        instance = await engine.create(blocking)
        await until_status(instance, "waiting")
        await hibernated(engine, time)
        await instance.send_event("go", 5)
        assert await instance.result(timeout=PATIENCE_S) == 5
    assert lives == 2


async def test_a_retry_that_is_due_when_its_instance_would_hibernate_runs_once() -> None:
    time, attempts = VirtualTime(), 0

    @workflows.workflow
    async def flaky(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"retries": {"limit": 1, "delay": "10 seconds"}})
        async def work() -> int:
            nonlocal attempts
            attempts += 1
            await asyncio.sleep(0)
            if attempts == 1:
                raise ValueError("first")
            return attempts

        return await work()

    async with opened(":memory:", flaky, time=time, hibernate_after="0 seconds") as engine:
        instance = await engine.create(flaky)
        await until_status(instance, "waiting")
        assert await result_over(time, instance, "10 seconds") == 2


async def test_s18_plain_runs_that_hibernate_at_once_all_wake_up() -> None:
    @workflows.workflow
    def sleepy(event: workflows.Event, step: workflows.SyncStep) -> str:
        step.sleep("nap", "10 ms")
        return "awake"

    async with opened(":memory:", sleepy, hibernate_after="0 s") as engine:
        instances = [await engine.create(sleepy) for _ in range(50)]
        assert [await instance.result(timeout=PATIENCE_S) for instance in instances] == ["awake"] * 50

"""S26 to S30: what an operator does to instances, from the owner's process and from another one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import workflows

from support import PATIENCE_S, VirtualTime, opened, result_over, run_once, until, until_recorded, until_status


@workflows.workflow
async def sleeper(event: workflows.Event, step: workflows.Step) -> str:
    await step.sleep("nap", "1 hour")
    return "rested"


@workflows.workflow
async def waiter(event: workflows.Event, step: workflows.Step) -> Any:
    return (await step.wait_for_event("go", "go", timeout=None)).payload


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


async def test_s27_a_paused_sleep_gets_the_time_that_was_left() -> None:
    time = VirtualTime()
    async with opened(":memory:", sleeper, time=time) as engine:
        instance = await engine.create(sleeper)
        await until_recorded(instance, "nap")
        time.advance("20 minutes")
        await instance.pause()
        await until_status(instance, "paused")
        time.advance("5 hours")
        await instance.resume()
        await until_status(instance, "waiting")
        assert (await instance.steps())[0].status == "waiting"
        time.advance("39 minutes")
        await asyncio.sleep(0.05)
        assert (await instance.status()).status == "waiting"
        assert await result_over(time, instance, "1 minute") == "rested"


async def test_s27_a_pause_lets_the_body_finish_and_begins_no_other() -> None:
    began, go_on, ran = asyncio.Event(), asyncio.Event(), list[str]()

    @workflows.workflow
    async def steps(event: workflows.Event, step: workflows.Step) -> list[str]:
        @step.do
        async def first() -> None:
            began.set()
            await go_on.wait()
            ran.append("first")

        @step.do
        async def second() -> None:
            ran.append("second")

        await first()
        await second()
        return ran

    async with opened(":memory:", steps) as engine:
        instance = await engine.create(steps)
        await began.wait()
        await instance.pause()
        assert (await instance.status()).status == "waitingForPause"
        go_on.set()
        await until_status(instance, "paused")
        assert ran == ["first"]
        await instance.pause()  # no change
        await instance.resume()
        assert await instance.result(PATIENCE_S) == ["first", "second"]


async def test_s27_a_pause_that_is_taken_back_before_the_body_ends_changes_nothing() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    @workflows.workflow
    async def slow(event: workflows.Event, step: workflows.Step) -> int:
        @step.do
        async def work() -> int:
            began.set()
            await go_on.wait()
            return 7

        return await work()

    async with opened(":memory:", slow) as engine:
        instance = await engine.create(slow)
        await began.wait()
        await instance.pause()
        await instance.resume()
        assert (await instance.status()).status == "running"
        go_on.set()
        assert await instance.result(PATIENCE_S) == 7


async def test_s27_events_that_come_meanwhile_are_kept() -> None:
    async with opened(":memory:", waiter) as engine:
        instance = await engine.create(waiter)
        await until_status(instance, "waiting")
        await instance.pause()
        await until_status(instance, "paused")
        await instance.send_event("go", 5)
        await instance.resume()
        assert await instance.result(PATIENCE_S) == 5


async def test_s28_termination_cancels_the_body_and_nothing_more_is_recorded() -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    @workflows.workflow
    async def long(event: workflows.Event, step: workflows.Step) -> None:
        @step.do
        async def work() -> None:
            began.set()
            try:
                await asyncio.sleep(PATIENCE_S)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        await work()

    async with opened(":memory:", long) as engine:
        instance = await engine.create(long)
        await began.wait()
        await instance.terminate()
        assert (await instance.status()).status == "terminated"
        await asyncio.wait_for(cancelled.wait(), PATIENCE_S)
        with pytest.raises(workflows.WorkflowTerminatedError):
            await instance.result(PATIENCE_S)
        with pytest.raises(workflows.InvalidTransitionError, match="terminated"):
            await instance.terminate()


@pytest.mark.parametrize("engine_runs", [True, False])
async def test_s26_a_client_in_another_connection_does_the_same(db: Path, engine_runs: bool) -> None:
    async def call(function: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(function)

    async with opened(db, waiter) as engine:
        await engine.create(waiter, id="a")
        await until_status(await engine.get(waiter, "a"), "waiting")
    engine = workflows.Engine(db, workflows=[waiter])
    if engine_runs:
        await engine.open()
    with workflows.Client(db) as client:
        instance = client.get("waiter", "a")
        await call(instance.pause)
        await until(lambda: instance.status().status == "paused")
        await call(instance.resume)
        with pytest.raises(workflows.InvalidTransitionError, match="paused"):
            await call(instance.resume)
        assert instance.status().status in ("queued", "running", "waiting")
        await call(instance.terminate)
        assert instance.status().status == "terminated"
        await call(instance.restart)
        assert instance.status().status in ("queued", "running", "waiting")
        await call(instance.delete)
        assert not client.exists("waiter", "a")
        with pytest.raises(workflows.InstanceNotFoundError):
            await call(instance.pause)
    await engine.close()


async def test_s28_a_restart_begins_anew_and_whoever_waits_gets_the_new_result() -> None:
    runs = 0

    @workflows.workflow
    async def counting(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def count() -> int:
            nonlocal runs
            runs += 1
            return runs

        counted = await count()
        return [counted, (await step.wait_for_event("go", "go")).payload, event.timestamp]

    async with opened(":memory:", counting) as engine:
        instance = await engine.create(counting, {"a": 1}, id="x")
        await until_status(instance, "waiting")
        result = asyncio.create_task(instance.result(PATIENCE_S))
        created = (await anext(aiter(engine.list()))).created
        assert await instance.restart() == []
        await until_status(instance, "waiting")
        await instance.send_event("go", "now")
        assert await result == [2, "now", created]
        assert [info.generation async for info in engine.list(id_prefix="x")] == [1, 2]


async def test_s28_a_restart_from_a_step_keeps_what_does_not_follow_it() -> None:
    ran = list[str]()

    @workflows.workflow
    async def graph(event: workflows.Event, step: workflows.Step) -> list[str]:
        def work(name: str, depends: list[Any]) -> Any:
            @step.do(name, depends=depends, concurrent=True)
            async def body(*results: Any) -> str:
                ran.append(name)
                return name

            return body

        left, right = work("left", []), work("right", [])
        after_left = work("after left", [left])
        after_right = work("after right", [right])
        both = work("both", [after_left, after_right])
        await both()
        ran.append("end")
        return ran

    async with opened(":memory:", graph) as engine:
        instance = await engine.create(graph)
        await instance.result(PATIENCE_S)
        ran.clear()
        kept = await instance.restart(from_step="after left")
        assert sorted(info.name for info in kept) == ["after right", "left", "right"]
        await instance.result(PATIENCE_S)
        assert ran == ["after left", "both", "end"]
        with pytest.raises(workflows.InvalidConfigError, match="'left' #1"):
            await instance.restart(from_step="nowhere")


async def test_s29_each_item_of_a_batch_has_its_own_outcome() -> None:
    @workflows.workflow
    async def echo(event: workflows.Event, step: workflows.Step) -> Any:
        return event.payload

    async with opened(":memory:", echo) as engine:
        await engine.create(echo, id="taken")
        outcomes = await engine.create_batch(
            echo, [{"id": "a", "params": 1}, {"id": "taken"}, {"id": "not an id"}, {"params": 4}, {"name": "b"}]
        )
        assert [type(outcome).__name__ for outcome in outcomes] == [
            "Instance", "InstanceExistsError", "InvalidNameError", "Instance", "InvalidConfigError",
        ]  # fmt: skip
        made = [outcome for outcome in outcomes if isinstance(outcome, workflows.Instance)]
        assert [await instance.result(PATIENCE_S) for instance in made] == [1, 4]
        removed = await engine.delete_batch(echo, ["a", "nobody", "taken"])
        assert [type(error).__name__ for error in removed] == ["NoneType", "InstanceNotFoundError", "NoneType"]
        assert not await engine.exists(echo, "a")


async def test_s29_ten_thousand_are_created_in_one_transaction(db: Path) -> None:
    with workflows.Client(db) as client:
        outcomes = client.create_batch("later", [{"id": str(i)} for i in range(10_000)])
        assert all(isinstance(outcome, workflows.ClientInstance) for outcome in outcomes)
        assert sum(1 for _ in client.list("later", status="queued")) == 10_000


async def test_s30_finished_instances_go_when_their_time_has_come() -> None:
    time = VirtualTime()

    @workflows.workflow(retention={"success": "1 day", "failure": "2 days"})
    async def brief(event: workflows.Event, step: workflows.Step) -> None:
        if event.payload == "fail":
            raise ValueError("as asked")

    async with opened(":memory:", brief, time=time) as engine:
        done = await engine.create(brief, id="done")
        failed = await engine.create(brief, "fail", id="failed")
        longer = await engine.create(brief, id="longer", retention="3 days")

        def finished(instance: workflows.Instance) -> Callable[[], Awaitable[bool]]:
            async def reached() -> bool:
                return (await instance.status()).status.is_finished

            return reached

        def are_left(ids: list[str]) -> Callable[[], Awaitable[bool]]:
            async def reached() -> bool:
                return [info.id async for info in engine.list()] == ids

            return reached

        for instance in (done, failed, longer):
            await until(finished(instance))

        for ids in (["failed", "longer"], ["longer"], []):
            time.advance("1 day")
            await until(are_left(ids))


async def test_a_subscriber_gets_everything_and_then_what_comes() -> None:
    @workflows.workflow
    async def talk(event: workflows.Event, step: workflows.Step) -> str:
        @step.do(config={"sensitive": "output"})
        async def secret() -> str:
            return "password"

        await secret()
        await step.wait_for_event("go", "go")
        return "done"

    async with opened(":memory:", talk) as engine:
        instance = await engine.create(talk)
        await until_status(instance, "waiting")
        seen = list[workflows.EntryInfo]()
        async for entry in instance.subscribe():
            seen.append(entry)
            if entry.kind == "wait_started":
                await instance.send_event("go")
        assert [entry.kind for entry in seen] == [
            "step_completed", "wait_started", "wait_taken", "instance_completed",
        ]  # fmt: skip
        assert seen[0].value == "[REDACTED]"
        assert str(seen[0].source).startswith("test_lifecycle.py:")
        assert seen[-1].value == "done"
        later = [entry async for entry in instance.subscribe(after=seen[1].cursor)]
        assert later == seen[2:]
        assert [entry async for entry in instance.subscribe(after=seen[-1].cursor)] == []


async def test_s17_a_subscriber_sees_no_heartbeat_of_a_sensitive_step() -> None:
    @workflows.workflow
    async def copying(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"sensitive": "output"})
        async def secret(ctx: workflows.StepContext) -> None:
            ctx.heartbeat({"password": "hunter2"})

        @step.do
        async def known(ctx: workflows.StepContext) -> None:
            ctx.heartbeat({"copied": 1})

        await secret()
        await known()

    async with opened(":memory:", copying) as engine:
        instance = await engine.create(copying)
        entries = [entry async for entry in instance.subscribe()]
        assert [entry.value for entry in entries if entry.kind == "heartbeat"] == ["[REDACTED]", {"copied": 1}]


def test_a_client_subscribes_too(db: Path) -> None:
    async def finish() -> None:
        async with opened(db, waiter) as engine:
            instance = await engine.create(waiter, id="a")
            await until_recorded(instance, "go")
            await instance.send_event("go", 1)
            await instance.result(PATIENCE_S)

    asyncio.run(finish())
    with workflows.Client(db) as client:
        kinds = [entry.kind for entry in client.get("waiter", "a").subscribe()]
    assert kinds == ["wait_started", "wait_taken", "instance_completed"]


async def test_s14_the_last_heartbeat_is_given_to_the_next_attempt() -> None:
    time = VirtualTime()

    @workflows.workflow
    async def copying(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"heartbeat_timeout": "10 seconds", "retries": {"limit": 1, "delay": "0 s"}})
        async def copy(ctx: workflows.StepContext) -> Any:
            if ctx.attempt == 2:
                return ctx.last_heartbeat
            ctx.heartbeat({"copied": 1})
            ctx.heartbeat({"copied": 2})
            return await asyncio.sleep(PATIENCE_S)

        return await copy()

    async with opened(":memory:", copying, time=time) as engine:
        instance = await engine.create(copying)
        await until_recorded(instance, "copy")
        assert await result_over(time, instance, "11 seconds") == {"copied": 2}
        (info,) = await instance.steps()
        assert isinstance(info.attempts[0].error, workflows.StepTimeoutError)
        assert "heartbeat_timeout" in str(info.attempts[0].error)


async def test_what_the_code_gets_from_outside_is_the_same_on_replay(db: Path) -> None:
    seen = list[Any]()

    @workflows.workflow
    async def outside(event: workflows.Event, step: workflows.Step) -> None:
        seen.append((step.now(), step.random(), step.uuid4(), step.random()))
        await step.wait_for_event("go", "go")

    async with opened(db, outside) as engine:
        await until_status(await engine.create(outside, id="a"), "waiting")
    async with opened(db, outside) as engine:
        instance = await engine.get(outside, "a")
        await instance.send_event("go")
        await instance.result(PATIENCE_S)
    assert seen[0] == seen[1]
    assert seen[0][1] != seen[0][3]


async def test_a_race_has_the_same_winner_on_replay(db: Path) -> None:
    winners = list[Any]()

    @workflows.workflow
    async def racing(event: workflows.Event, step: workflows.Step) -> None:
        fast = step.wait_for_event("fast", "fast")
        slow = step.sleep("slow", "1 hour")
        winner = await step.race(slow, fast)
        winners.append(winner.payload if winner is not None else "slow")
        await step.wait_for_event("end", "end", timeout=None)

    def came(lives: int) -> Callable[[], bool]:
        return lambda: len(winners) == lives

    for life in range(2):
        async with opened(db, racing) as engine:
            instance = await engine.create(racing, id="a", on_conflict="return")
            if not winners:
                await instance.send_event("fast", "first")
            await until_recorded(instance, "end")
            await until(came(life + 1))
    assert winners == ["first", "first"]


async def test_a_race_takes_declared_steps() -> None:
    @workflows.workflow
    async def racing(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def slow() -> str:
            await asyncio.sleep(3600)
            return "slow"

        @step.do
        async def fast() -> str:
            return "fast"

        return await step.race(slow, fast)

    assert await run_once(racing) == "fast"


async def test_the_result_of_a_deleted_instance_says_so() -> None:
    @workflows.workflow
    async def short(event: workflows.Event, step: workflows.Step) -> None: ...

    async with opened(":memory:", short) as engine:
        instance = await engine.create(short, id="gone")
        await instance.result(timeout=PATIENCE_S)
        await instance.delete()
        with pytest.raises(workflows.InstanceNotFoundError, match="'gone' of workflow 'short' .* was deleted"):
            await instance.result(timeout=PATIENCE_S)


async def test_s38_the_log_is_silent_while_the_code_runs_over_what_it_did(
    db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    @workflows.workflow
    async def talkative(event: workflows.Event, step: workflows.Step) -> None:
        @step.do
        async def work() -> None: ...

        step.log.info("before")
        await work()
        step.log.info("after")
        await step.wait_for_event("go", "go")

    for _ in range(2):
        async with opened(db, talkative) as engine:
            instance = await engine.create(talkative, id="a", on_conflict="return")
            await until_status(instance, "waiting")
    records = [r for r in caplog.records if r.name == "workflows.talkative"]
    assert [r.message for r in records] == ["before", "after"]
    assert (records[1].instance, records[1].step) == ("a", "work")  # type: ignore[attr-defined]

# pyright: basic
"""How long an attempt may take (S11, S12), and when its time begins."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import workflows
from workflows import _bodies

from support import PATIENCE_S, VirtualTime, opened, until, until_recorded

ONCE = {"retries": {"limit": 0}}


naps: set[str] = set()


@workflows.workflow
async def nap(event: workflows.Event, step: workflows.Step) -> None:
    naps.add(event.instance_id)
    await step.sleep("nap", event.payload)


async def pass_time(engine: workflows.Engine, time: VirtualTime, duration: str) -> None:
    """Until everything that is due by then has been carried out."""
    napping = await engine.create(nap, duration)
    await until(lambda: napping.id in naps)
    time.advance(duration)
    await napping.result(PATIENCE_S)


@contextlib.asynccontextmanager
async def busy_executor() -> AsyncGenerator[threading.Event]:
    """asyncio's own threads are busy until the event is set."""
    loop, release = asyncio.get_running_loop(), threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        loop.set_default_executor(executor)
        blocked = asyncio.create_task(asyncio.to_thread(release.wait))
        try:
            yield release
        finally:
            release.set()
            await blocked


async def test_s12_a_timeout_cancels_an_async_body() -> None:
    time, cancelled = VirtualTime(), []

    @workflows.workflow
    async def slow(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"timeout": "1 minute", **ONCE})
        async def body(ctx: workflows.StepContext) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(ctx.cancelled)
                raise

        with pytest.raises(workflows.StepTimeoutError, match="timeout of 60 s"):
            await body()
        return "ok"

    async with opened(":memory:", slow, time=time) as engine:
        instance = await engine.create(slow)
        await until_recorded(instance, "body")
        time.advance("1 minute")
        assert await instance.result(timeout=PATIENCE_S) == "ok"
    assert cancelled == [True]


async def test_s12_a_timeout_tells_a_thread_through_its_context() -> None:
    time, running = VirtualTime(), threading.Event()

    @workflows.workflow
    async def slow(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"timeout": "1 minute", **ONCE})
        def body(ctx: workflows.StepContext) -> None:
            running.set()
            while not ctx.cancelled:
                threading.Event().wait(0.001)

        with pytest.raises(workflows.StepTimeoutError):
            await body()
        return "ok"

    async with opened(":memory:", slow, time=time) as engine:
        instance = await engine.create(slow)
        await asyncio.to_thread(running.wait, PATIENCE_S)
        time.advance("1 minute")
        assert await instance.result(timeout=PATIENCE_S) == "ok"


async def test_s12_s43_a_body_that_ignores_its_cancellation_is_reported_and_never_overlaps_itself(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bodies, "GRACE_SECONDS", 0.0)
    time, release = VirtualTime(), threading.Event()
    began: list[int] = []
    inside = 0

    @workflows.workflow
    async def deaf(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do("deaf step", config={"timeout": "1 minute", "retries": {"limit": 1, "delay": "0 s"}})
        def body(ctx: workflows.StepContext) -> int:
            nonlocal inside
            inside += 1
            assert inside == 1
            began.append(ctx.attempt)
            if ctx.attempt == 1:
                release.wait()
            inside -= 1
            return ctx.attempt

        return await body()

    async with opened(":memory:", deaf, time=time) as engine:
        instance = await engine.create(deaf, id="deaf-one")
        await until(lambda: began == [1])
        time.advance("1 minute")
        await until(lambda: "still runs" in caplog.text)
        release.set()
        assert await instance.result(timeout=PATIENCE_S) == 2
    assert began == [1, 2]
    assert "'deaf step' of instance 'deaf-one'" in caplog.text
    assert "the result is discarded" in caplog.text


async def test_s12_the_time_of_a_body_begins_when_a_thread_takes_it() -> None:
    time, release = VirtualTime(), threading.Event()
    began: list[str] = []

    @workflows.workflow
    async def blocking(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"timeout": "1 day", **ONCE})
        def body() -> None:
            began.append("blocking")
            release.wait()

        await body()

    @workflows.workflow
    async def slow(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"timeout": "1 minute", **ONCE})
        def body(ctx: workflows.StepContext) -> None:
            began.append("slow")
            while not ctx.cancelled:
                threading.Event().wait(0.001)

        with pytest.raises(workflows.StepTimeoutError, match="timeout of 60 s"):
            await body()
        return "cancelled"

    async with opened(":memory:", blocking, slow, nap, time=time, thread_pool_size=1) as engine:
        first = await engine.create(blocking)
        await until(lambda: began == ["blocking"])
        second = await engine.create(slow)
        await until_recorded(second, "body")
        await pass_time(engine, time, "3 minutes")
        await pass_time(engine, time, "30 seconds")
        release.set()
        await first.result(PATIENCE_S)
        await until(lambda: began == ["blocking", "slow"])
        await pass_time(engine, time, "59 seconds")
        (info,) = await second.steps()
        assert info.status == "running"
        time.advance("1 second")
        assert await second.result(PATIENCE_S) == "cancelled"


async def test_s12_the_time_of_a_rollback_begins_when_a_thread_takes_it() -> None:
    time = VirtualTime()
    undone: list[int] = []

    def undo(ctx: workflows.StepContext, error: Exception, value: Any) -> None:
        undone.append(ctx.attempt)

    @workflows.workflow
    async def failing(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(rollback=undo, rollback_config={"timeout": "1 minute", **ONCE})
        async def body() -> None: ...

        await body()
        raise ValueError("after all")

    async with opened(":memory:", failing, nap, time=time) as engine, busy_executor() as release:
        instance = await engine.create(failing)
        runner: Any = engine._access.runner
        await until(lambda: None in [attempt.began for attempt in runner.rollbacks._running.values()])
        await pass_time(engine, time, "5 minutes")
        release.set()
        with pytest.raises(workflows.WorkflowFailedError):
            await instance.result(PATIENCE_S)
    assert undone == [1]


async def test_s11_the_time_of_a_delay_function_begins_when_a_thread_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bodies, "DELAY_SECONDS", 0.0)

    def delay(ctx: workflows.StepContext, error: Exception) -> str:
        return "0 s"

    @workflows.workflow
    async def trying(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"retries": {"delay": delay}})
        async def body(ctx: workflows.StepContext) -> int:
            if ctx.attempt == 1:
                raise ValueError("once")
            return ctx.attempt

        return await body()

    async with opened(":memory:", trying, nap) as engine, busy_executor() as release:
        instance = await engine.create(trying)
        runner: Any = engine._access.runner
        await until(lambda: bool(runner.bodies._delays))
        await (await engine.create(nap, "1 ms")).result(PATIENCE_S)  # the loop has looked what is due
        monkeypatch.setattr(_bodies, "DELAY_SECONDS", float(PATIENCE_S))
        release.set()
        assert await instance.result(PATIENCE_S) == 2

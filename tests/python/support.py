"""What the tests of the engine share."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import workflows
from workflows import _core
from workflows._engine import Engine
from workflows._time import duration_ms

T = TypeVar("T")

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
PATIENCE_S = 30  # no test waits so long, unless it fails


class VirtualTime:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.native = _core.ManualClock(START_MS)
        self._engines: list[Engine] = []

    def use(self, engine: Engine) -> None:
        engine._clock = self.native  # pyright: ignore[reportPrivateUsage]
        self._engines.append(engine)

    def advance(self, duration: str) -> None:
        self.native.advance(duration_ms(duration, "duration"))
        for engine in self._engines:
            runner = engine._access.runner  # pyright: ignore[reportPrivateUsage]
            if runner is not None and not runner.closed:
                runner.host.clock_moved()


@contextlib.asynccontextmanager
async def opened(db: Any, *workflows_: Any, time: VirtualTime | None = None, **options: Any) -> AsyncGenerator[Engine]:
    """An open engine that leaves nothing behind."""
    engine = workflows.Engine(db, workflows=workflows_, **options)
    if time is not None:
        time.use(engine)
    async with engine:
        yield engine
    assert_nothing_left(engine)


def assert_nothing_left(engine: Engine) -> None:
    runner = engine._access.runner  # pyright: ignore[reportPrivateUsage]
    assert runner is not None
    assert not runner._tasks  # pyright: ignore[reportPrivateUsage]
    assert not runner._replies  # pyright: ignore[reportPrivateUsage]


async def run_once(workflow: Any, params: Any = None, **options: Any) -> Any:
    """The output of one instance in a database of its own."""
    async with opened(":memory:", workflow, **options) as engine:
        instance = await engine.create(workflow, params)
        return await instance.result(timeout=PATIENCE_S)


async def result_over(time: VirtualTime, instance: workflows.Instance, duration: str) -> Any:
    """The result of an instance that waits for time to pass."""
    time.advance(duration)
    result = asyncio.create_task(instance.result(timeout=PATIENCE_S))
    while not result.done():
        time.advance("0 s")
        await asyncio.sleep(0.001)
    return result.result()


async def until(reached: Callable[[], bool | Awaitable[bool]]) -> None:
    """Lets the loop turn until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            held = reached()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.001)


async def until_status(instance: workflows.Instance, status: str) -> None:
    async def reached() -> bool:
        return (await instance.status()).status == status

    await until(reached)


async def until_recorded(instance: workflows.Instance, step: str, result: Any = None) -> None:
    """Until a step of this name (and with this result) is on record."""

    async def reached() -> bool:
        infos = [info for info in await instance.steps() if info.name == step]
        return bool(infos) and result in (None, *[info.result for info in infos])

    await until(reached)


def counters(engine: Engine) -> dict[str, int]:
    runner = engine._access.runner  # pyright: ignore[reportPrivateUsage]
    assert runner is not None
    return runner.host.counters()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))

"""Nothing that grows with the number of instances, or of engines, stays behind: objects, tasks, files, threads, memory.

Each kind of instance is looked at alone, so that 64 bytes for one of it are seen. WORKFLOWS_LEAKS=100000 runs that many
instances instead of some thousands.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import os
import statistics
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import workflows
import workflows.testing
from workflows import Event, Step, _bodies, workflow

from support import counters, open_files, opened, until

WAVES = 6  # of each kind; the memory after one is compared with that after each other
AT_ONCE = 50
TIMES = 3  # that a kind has to leak to be said to
GRACE_SECONDS = 0.05  # for so long a cancelled body is remembered
PAGES = 1_500_000  # bytes of the file that SQLite may hold at one moment and not at another


@workflow
async def passes(event: Event, step: Step) -> Any:
    @step.do
    async def greet() -> str:
        return f"hello {event.payload}"

    return await greet()


@workflow
async def fails(event: Event, step: Step) -> None:
    @step.do(config={"retries": {"limit": 0}})
    async def declined() -> None:
        raise ValueError("card declined")

    await declined()


@workflow
async def rolls_back(event: Event, step: Step) -> None:
    async def unbook(ctx: workflows.StepContext, error: Exception, output: str | None) -> None:
        pass

    @step.do(rollback=unbook)
    async def book() -> str:
        return "booked"

    await book()
    raise workflows.NonRetryableError("no seat")


@workflow
async def races(event: Event, step: Step) -> Any:
    """The slow one is cancelled when the instance ends."""

    @step.do(concurrent=True)
    async def slow() -> str:
        await asyncio.Event().wait()
        return "slow"

    @step.do(concurrent=True)
    async def fast() -> str:
        return "fast"

    return await step.race(slow(), fast())


@workflow
async def waits(event: Event, step: Step) -> Any:
    return (await step.wait_for_event("approval", "approved", timeout=None)).payload


@workflow
async def in_threads(event: Event, step: Step) -> Any:
    @step.do
    def greet(ctx: workflows.StepContext) -> str:
        return f"hello {ctx.attempt}"

    return await greet()


@workflow
async def sleeps(event: Event, step: Step) -> None:
    await step.sleep("nap", "1 ms")


@workflow
async def retries(event: Event, step: Step) -> Any:
    @step.do(config={"retries": {"limit": 1, "delay": "1 ms"}})
    async def flaky(ctx: workflows.StepContext) -> str:
        if ctx.attempt == 1:
            raise ValueError("once")
        return "at last"

    return await flaky()


@workflow
async def times_out(event: Event, step: Step) -> None:
    @step.do(config={"timeout": "1 ms", "retries": {"limit": 0}})
    async def stuck() -> None:
        await asyncio.Event().wait()

    await stuck()


@workflow
async def depends(event: Event, step: Step) -> Any:
    @step.do
    async def top() -> int:
        return 1

    @step.do(depends=[top])
    async def left(top: int) -> int:
        return top + 1

    @step.do(depends=[top])
    async def right(top: int) -> int:
        return top + 2

    @step.do(depends=[left, right], concurrent=True)
    async def bottom(left: int, right: int) -> int:
        return left + right

    return await bottom()


@workflow
async def paused(event: Event, step: Step) -> Any:
    return (await step.wait_for_event("approval", "approved", timeout=None)).payload


@workflow
async def restarted(event: Event, step: Step) -> Any:
    @step.do
    async def greet() -> str:
        return "hello"

    return await greet()


@workflow
async def replayed(event: Event, step: Step) -> Any:
    @step.do
    async def greet() -> str:
        return "hello"

    return await greet()


@dataclass(frozen=True)
class Wave:
    """Some instances of a kind."""

    engine: workflows.Engine
    client: workflows.Client
    code: Any
    instances: list[workflows.Instance]

    async def ended(self) -> None:
        outcomes = set(await asyncio.gather(*map(ended, self.instances)))
        assert outcomes == {"failed" if self.code in (fails, rolls_back, times_out) else "passed"}


async def wake(wave: Wave) -> None:
    """What has left memory comes back."""
    await until(lambda: counters(wave.engine)["hibernated_instances"] == len(wave.instances))
    for number, instance in enumerate(wave.instances):
        if number % 2:
            await instance.send_event("approved", "yes")
        else:
            wave.client.get(wave.code, instance.id).send_event("approved", "yes")


async def pause_and_resume(wave: Wave) -> None:
    for instance in wave.instances:
        await instance.pause()

    async def are_paused() -> bool:
        return {(await instance.status()).status for instance in wave.instances} == {"paused"}

    await until(are_paused)
    for instance in wave.instances:
        await instance.resume()
        await instance.send_event("approved", "yes")


async def restart(wave: Wave) -> None:
    await wave.ended()
    for instance in wave.instances:
        await instance.restart()


async def replay(wave: Wave) -> None:
    await wave.ended()
    for instance in wave.instances:
        assert workflows.testing.replay(wave.code, await instance.history()).outcome == "match"


async def nothing(wave: Wave) -> None:
    pass


# What is done with the instances of each kind before their end.
KINDS: dict[Any, Callable[[Wave], Awaitable[None]]] = {
    passes: nothing,
    fails: nothing,
    rolls_back: nothing,
    races: nothing,
    waits: wake,
    in_threads: nothing,
    sleeps: nothing,
    retries: nothing,
    times_out: nothing,
    depends: nothing,
    paused: pause_and_resume,
    restarted: restart,
    replayed: replay,
}


async def ended(instance: workflows.Instance) -> str:
    try:
        await instance.result()  # without a timeout: asyncio keeps cancelled timers until there are a hundred
    except workflows.WorkflowFailedError:
        return "failed"
    return "passed"


INSTANCES = int(os.environ.get("WORKFLOWS_LEAKS", str(len(KINDS) * WAVES * 2 * AT_ONCE)))


async def run(engine: workflows.Engine, client: workflows.Client, code: Any, instances: int) -> None:
    """From their creation to their removal."""
    for _ in range(0, instances, AT_ONCE):
        wave = Wave(engine, client, code, [await engine.create(code) for _ in range(AT_ONCE)])
        await KINDS[code](wave)
        await wave.ended()
        assert [step.status for step in client.get(code, wave.instances[0].id).steps()]
        client.delete_batch(code, [instance.id for instance in wave.instances])
    await asyncio.sleep(2 * GRACE_SECONDS)


class Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    ]


def native_bytes() -> int:
    """What the allocator of C has given out."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Mallinfo2
    info = libc.mallinfo2()
    return int(info.uordblks + info.hblkhd)


@dataclass(frozen=True)
class Held:
    """What the process still holds after everything was let go."""

    objects: Counter[str]  # by type
    blocks: int  # of Python's allocator
    bytes: int
    files: int
    threads: int
    tasks: int

    @classmethod
    def now(cls) -> Held:
        for _ in range(3):
            gc.collect()
        objects = Counter(type(held).__name__ for held in gc.get_objects())
        threads = len(os.listdir("/proc/self/task"))
        return cls(objects, sys.getallocatedblocks(), native_bytes(), open_files(), threads, len(asyncio.all_tasks()))

    def growth_since(self, before: Held) -> Held:
        return Held(
            self.objects - before.objects,
            self.blocks - before.blocks,
            self.bytes - before.bytes,
            self.files - before.files,
            self.threads - before.threads,
            self.tasks - before.tasks,
        )


def assert_nothing_scales(growth: Held, times: int) -> None:
    """What every tenth time leaves would be seen."""
    print(f"after {times}: {growth}")
    assert {kind: count for kind, count in growth.objects.items() if count > times / 10} == {}
    assert growth.blocks < times / 10 + 1_000
    assert growth.bytes < times * 16 + PAGES
    assert growth.threads < times / 10  # pools fill when it is their turn
    assert (growth.files, growth.tasks) == (0, 0)


def typical_growth(values: Sequence[int]) -> float:
    """From one wave to the next. Caches are filled and emptied at one time; a leak is there at each."""
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(values))


@dataclass(frozen=True)
class Leak:
    bytes: float  # for each instance
    blocks: float

    def __bool__(self) -> bool:
        return self.bytes >= 32 or self.blocks >= 0.5


async def leak_of(code: Any, engine: workflows.Engine, client: workflows.Client) -> Leak:
    wave = INSTANCES // (len(KINDS) * WAVES)
    native: list[int] = []
    blocks: list[int] = []
    before = Held.now()
    for _ in range(WAVES):
        await run(engine, client, code, wave)
        gc.collect()
        native.append(native_bytes())
        blocks.append(sys.getallocatedblocks())
    assert_nothing_scales(Held.now().growth_since(before), WAVES * wave)
    return Leak(typical_growth(native) / wave, typical_growth(blocks) / wave)


async def lasting_leak_of(code: Any, engine: workflows.Engine, client: workflows.Client) -> Leak:
    """A cache that is still filling looks like a leak, but not every time."""
    leak = await leak_of(code, engine, client)
    for _ in range(TIMES - 1):
        if leak:
            leak = await leak_of(code, engine, client)
    return leak


async def test_instances_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One engine for all kinds: its caches are full after the first of each."""
    monkeypatch.setattr(_bodies, "GRACE_SECONDS", GRACE_SECONDS)
    path = tmp_path / "leaks.db"
    async with opened(path, *KINDS, hibernate_after="0 s", durability="normal") as engine:
        with workflows.Client(path) as client:
            for code in KINDS:
                await run(engine, client, code, 4 * AT_ONCE)
            leaks = {code.__name__: await lasting_leak_of(code, engine, client) for code in KINDS}
    print(leaks)
    assert {name: leak for name, leak in leaks.items() if leak} == {}


async def test_engines_leave_nothing_behind(tmp_path: Path) -> None:
    async def open_and_close(times: int) -> None:
        for _ in range(times):
            async with opened(tmp_path / "leaks.db", passes) as engine:
                assert await ended(await engine.create(passes)) == "passed"
            with workflows.Client(tmp_path / "leaks.db") as client:
                assert [*client.list(limit=1)]

    await open_and_close(50)
    before = Held.now()
    await open_and_close(200)
    assert_nothing_scales(Held.now().growth_since(before), 200)


async def test_what_ends_well_leaves_nothing_for_the_garbage_collector(tmp_path: Path) -> None:
    """What it would have to look for grows with the number of instances, and stops the program for as long."""
    kinds = (passes, waits, in_threads, sleeps, retries, depends, restarted)
    async with opened(tmp_path / "garbage.db", *kinds, hibernate_after="0 s", durability="normal") as engine:
        with workflows.Client(tmp_path / "garbage.db") as client:
            for code in kinds:
                await run(engine, client, code, AT_ONCE)
            gc.collect()
            gc.disable()
            try:
                garbage = {code.__name__: await garbage_of(code, engine, client) for code in kinds}
            finally:
                gc.enable()
    assert {name: count for name, count in garbage.items() if count >= AT_ONCE} == {}


async def garbage_of(code: Any, engine: workflows.Engine, client: workflows.Client) -> int:
    await run(engine, client, code, AT_ONCE)
    return gc.collect()

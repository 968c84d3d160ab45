"""Nothing that grows with the number of instances, or of engines, stays behind: objects, tasks, files, threads, memory.

WORKFLOWS_LEAKS=100000 runs that many instances instead of some thousands.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import workflows
from workflows import Event, Step, workflow
from workflows._bodies import GRACE_SECONDS

from support import PATIENCE_S, counters, open_files, opened, until

INSTANCES = int(os.environ.get("WORKFLOWS_LEAKS", "5000"))
OF_A_KIND = 20  # at once
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


ALL = [passes, fails, rolls_back, races, waits]


async def ended(instance: workflows.Instance) -> str:
    try:
        await instance.result(timeout=PATIENCE_S)
    except workflows.WorkflowFailedError:
        return "failed"
    return "passed"


async def wave(engine: workflows.Engine, client: workflows.Client) -> None:
    """Some of each kind, from their creation to their removal. Who waits is hibernated, and woken by its event."""
    created = {code: [await engine.create(code) for _ in range(OF_A_KIND)] for code in ALL}
    await until(lambda: counters(engine)["hibernated_instances"] == OF_A_KIND)
    for number, waiting in enumerate(created[waits]):
        if number % 2:
            await waiting.send_event("approved", "yes")
        else:
            client.get(waits, waiting.id).send_event("approved", "yes")
    for code, instances in created.items():
        outcomes = set(await asyncio.gather(*map(ended, instances)))
        assert outcomes == {"failed" if code in (fails, rolls_back) else "passed"}
        assert [step.status for step in client.get(code, instances[0].id).steps()]
        client.delete_batch(code, [instance.id for instance in instances])


async def run(engine: workflows.Engine, client: workflows.Client, instances: int) -> None:
    for _ in range(instances // (OF_A_KIND * len(ALL))):
        await wave(engine, client)
    await asyncio.sleep(GRACE_SECONDS + 0.2)  # for so long a cancelled body is remembered


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
    assert (growth.files, growth.threads, growth.tasks) == (0, 0, 0)


async def test_instances_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "leaks.db"
    async with opened(path, *ALL, hibernate_after="0 s", durability="normal") as engine:
        with workflows.Client(path) as client:
            await run(engine, client, max(INSTANCES // 3, 1_000))
            before = Held.now()
            await run(engine, client, INSTANCES)
            assert_nothing_scales(Held.now().growth_since(before), INSTANCES)


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

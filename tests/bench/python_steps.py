"""Steps per second, latency and start-up in Python; one JSON line a figure, with the ceiling of the same run."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import workflows
from workflows import _core

STEPS = 10
RESULT = "r" * 62
HOUR_MS = 3_600_000

latencies: list[float] = []


@workflows.workflow
async def ten(event: workflows.Event, step: workflows.Step) -> None:
    await step.sleep("until all are here", "1 hour")
    for _ in range(STEPS):

        @step.do("step")
        async def one() -> str:
            return RESULT

        await one()


@workflows.workflow
async def serial(event: workflows.Event, step: workflows.Step) -> None:
    for i in range(3_000):

        @step.do("step")
        async def one() -> str:
            return RESULT

        started = time.perf_counter()
        await one()
        if i >= 1_000:
            latencies.append(time.perf_counter() - started)


def figure(what: str, value: float, unit: str, ceiling: float | None = None, of: str = "") -> None:
    row: dict[str, Any] = {"what": what, "value": round(value, 3 if unit == "s" else 0), "unit": unit}
    if ceiling is not None:
        row |= {"ceiling": round(ceiling), "of": of}
    print(json.dumps(row), flush=True)


async def plain_futures(instances: int, steps: int) -> float:
    """Awaits per second of tasks that await futures which the loop resolves: no durability."""
    loop = asyncio.get_running_loop()

    async def one() -> None:
        for _ in range(steps):
            future = loop.create_future()
            loop.call_soon(future.set_result, None)
            await future

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(instances)))
    return instances * steps / (time.perf_counter() - started)


async def steps_per_second(db: Path, instances: int) -> float:
    engine = workflows.Engine(db, workflows=[ten], hibernate_after="2 hours")
    clock = engine._clock = _core.ManualClock(1_700_000_000_000)
    async with engine:
        created = await asyncio.gather(*(engine.create(ten, id=f"i{i}") for i in range(instances)))
        while [info async for info in engine.list(status="running", limit=1)]:
            await asyncio.sleep(0.01)
        results = [asyncio.ensure_future(instance.result()) for instance in created]
        await asyncio.sleep(0.1)
        started = time.perf_counter()
        clock.advance(HOUR_MS)
        engine._access.here().host.clock_moved()
        await asyncio.gather(*results)
        return instances * STEPS / (time.perf_counter() - started)


async def measure_latency(db: Path) -> None:
    async with workflows.Engine(db, workflows=[serial]) as engine:
        await (await engine.create(serial)).result()


def single_commits(db: Path, count: int) -> list[float]:
    connection = sqlite3.connect(db, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE log(seq INTEGER PRIMARY KEY, payload TEXT)")
    took = []
    for _ in range(count):
        started = time.perf_counter()
        connection.execute("INSERT INTO log(payload) VALUES(?)", (RESULT,))
        took.append(time.perf_counter() - started)
    connection.close()
    return took[count // 3 :]


def import_seconds(statement: str) -> float:
    def once() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        return time.perf_counter() - started

    return median(once() for _ in range(10))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for instances in (1, 100, 1_000, 10_000):
            ceiling = asyncio.run(plain_futures(instances, STEPS if instances > 1 else 10_000))
            rate = asyncio.run(steps_per_second(Path(folder, f"{instances}.db"), instances))
            what = f"Python steps/s, {instances} concurrent instances"
            figure(what, rate, "steps/s", ceiling, "plain asyncio futures, no durability")
        bare = single_commits(Path(folder, "ceiling.db"), 3_000)
        asyncio.run(measure_latency(Path(folder, "serial.db")))
        for name, index in (("p50", 49), ("p99", 98)):
            ours, one_row = (quantiles(took, n=100)[index] * 1e6 for took in (latencies, bare))
            figure(f"Python latency of a serial step, {name}", ours, "us", one_row, "one-row commit")
    asyncio_alone = import_seconds("import asyncio, logging, threading")
    ours_too = import_seconds("import asyncio, logging, threading, workflows")
    figure("import workflows, beyond asyncio", ours_too - asyncio_alone, "s")


if __name__ == "__main__":
    main()

"""Steps in Python: how many a second, how long one takes, how fast they are replayed."""

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import workflows

import ceiling
from rounds import Options, Series, Target, bench_ceiling, options, print_figure, run_rounds

STEPS = 10
RESULT = "r" * 62  # 64 bytes as JSON
PLAIN_FUTURES = "plain asyncio futures (C)"


class Wave:
    """Instances that begin their steps at the same moment: their creation is not part of what is measured."""

    def expect(self, instances: int) -> None:
        self.instances = self.running = instances
        self.waiting = 0
        self.all_here, self.go, self.done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def start_line(self) -> None:
        """Nothing that the engine knows of."""
        self.waiting += 1
        if self.waiting == self.instances:
            self.all_here.set()
        await self.go.wait()

    def finished(self) -> None:
        self.running -= 1
        if self.running == 0:
            self.done.set()

    async def take(self, engine: workflows.Engine, instances: int) -> float:
        """Seconds from the first step asked for to the moment at which the last instance has got its last result."""
        self.expect(instances)
        await asyncio.gather(*(engine.create(TenSteps) for _ in range(instances)))
        await self.all_here.wait()
        started = time.perf_counter()
        self.go.set()
        await self.done.wait()
        return time.perf_counter() - started


class TenSteps(workflows.WorkflowEntrypoint):
    env: Wave

    async def run(self, event: workflows.Event, step: workflows.Step) -> None:
        await self.env.start_line()
        for _ in range(STEPS):

            @step.do("step")
            async def one() -> str:
                return RESULT

            await one()
        self.env.finished()


@workflows.workflow
async def grow_wal(event: workflows.Event, step: workflows.Step) -> None:
    """Fills the engine's WAL to its full size, as that of the ceilings is, and SQLite's page cache."""
    for _ in range(50):

        @step.do("large")
        async def large() -> str:
            return "x" * (512 << 10)

        await large()


def in_new_file(measure: Any, *arguments: Any) -> Any:
    """The result of the coroutine function, called with the path of a database that is not there yet."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Path(folder, "engine.db"), *arguments))


# ---- P4


async def steps_per_second(db: Path, instances: int, waves: int) -> float:
    wave = Wave()
    async with workflows.Engine(db, workflows=[TenSteps, grow_wal], env=wave, hibernate_after="1 day") as engine:
        await (await engine.create(grow_wal)).result()
        await wave.take(engine, instances)
        return median([instances * STEPS / await wave.take(engine, instances) for _ in range(waves)])


def many_instances(given: Options) -> None:
    sizes: dict[int, tuple[Series, Series]] = {100: ([], []), 1_000: ([], [])}
    if given.full:
        sizes[10_000] = ([], [])

    def engine(instances: int, waves: int) -> None:
        sizes[instances][0].append(in_new_file(steps_per_second, instances, waves))

    def futures(instances: int, waves: int) -> None:
        sizes[instances][1].append(asyncio.run(ceiling.plain_futures(instances, STEPS, waves)))

    calls = [(size, max(1, 2_000 // size)) for size in sizes]
    run_rounds([partial(measure, *call) for call in calls for measure in (engine, futures)], given.rounds)
    for size, (values, ceilings) in sizes.items():
        print_figure(
            "P4",
            f"Python steps/s, {size} instances",
            values,
            "steps/s",
            ceiling=ceilings,
            of=PLAIN_FUTURES,
            target=Target("ratio", "more", 0.3) if size == 1_000 else None,
            curve=("Python", size),
        )


# ---- P5


async def serial_latencies(db: Path, count: int) -> Series:
    """Microseconds of each step of one instance alone."""
    took: Series = []

    @workflows.workflow
    async def serial(event: workflows.Event, step: workflows.Step) -> None:
        for _ in range(count):

            @step.do("step")
            async def one() -> str:
                return RESULT

            started = time.perf_counter()
            await one()
            took.append((time.perf_counter() - started) * 1e6)

    async with workflows.Engine(db, workflows=[serial, grow_wal]) as engine:
        await (await engine.create(grow_wal)).result()
        await (await engine.create(serial)).result()
    return took


def one_instance(given: Options) -> None:
    count = 1_000
    p50, p99, commit_p50, commit_p99 = Series(), Series(), Series(), Series()

    def engine() -> None:
        percentiles = quantiles(in_new_file(serial_latencies, count), n=100)
        p50.append(percentiles[49])
        p99.append(percentiles[98])

    def commits() -> None:
        middle, tail = bench_ceiling(given, "commit", count)
        commit_p50.append(middle * 1e6)
        commit_p99.append(tail * 1e6)

    run_rounds([engine, commits], given.rounds)
    target = Target("ratio", "less", 1.5)
    what, of = "Python latency of a serial step", "one-row commit (B)"
    print_figure("P5", f"{what}, p50", p50, "us", ceiling=commit_p50, of=of, target=target)
    print_figure("P5", f"{what}, p99", p99, "us", ceiling=commit_p99, of=of)


# ---- P6


@workflows.workflow
async def one_step(event: workflows.Event, step: workflows.Step) -> None:
    @step.do("step")
    async def one() -> str:
        return RESULT

    await one()


async def instances_per_second(db: Path, instances: int) -> float:
    async with workflows.Engine(db, workflows=[one_step, grow_wal]) as engine:
        await (await engine.create(grow_wal)).result()
        started = time.perf_counter()
        created = await engine.create_batch(one_step, ({} for _ in range(instances)))
        made = [instance for instance in created if isinstance(instance, workflows.Instance)]
        await asyncio.gather(*(instance.result() for instance in made))
        return len(made) / (time.perf_counter() - started)


def whole_instances(given: Options) -> None:
    instances = 1_000
    values, ceilings = Series(), Series()

    def engine() -> None:
        values.append(in_new_file(instances_per_second, instances))

    def futures() -> None:
        ceilings.append(asyncio.run(ceiling.plain_futures(instances, STEPS, 3)))

    run_rounds([engine, futures], given.rounds)
    print_figure(
        "P6",
        "Python instances created (in one batch) and completed, one step each, 1000 at a time",
        values,
        "instances/s",
        ceiling=ceilings,
        of=PLAIN_FUTURES,
        target=Target("ratio", "more", 0.15),
    )


# ---- P7


class Replayed(workflows.WorkflowEntrypoint):
    """Woken by an event again and again. Each time its code runs over all that is recorded."""

    env: "Replay"

    async def run(self, event: workflows.Event, step: workflows.Step) -> None:
        began = time.perf_counter()
        for _ in range(Replay.RECORDED):

            @step.do("step")
            async def one() -> str:
                return RESULT

            await one()
        ended = time.perf_counter()
        while True:
            again = await step.wait_for_event("again", "again")
            self.env.received(again.payload, began, ended)


class Replay:
    RECORDED = 5_000

    def __init__(self) -> None:
        self.round = 0
        self.in_code: Series = []
        self.from_file: Series = []
        self._came = asyncio.Event()

    async def run(self, engine: workflows.Engine, instance: workflows.Instance) -> None:
        while engine._access.here().host.counters()["hibernated_instances"] == 0:
            await asyncio.sleep(0.01)
        self.round += 1
        self._came.clear()
        self._started = time.perf_counter()
        await instance.send_event("again", self.round)
        await self._came.wait()

    def received(self, sent: int, began: float, ended: float) -> None:
        if sent == self.round:
            self.in_code.append(self.RECORDED / (ended - began))
            self.from_file.append(self.RECORDED / (ended - self._started))
            self._came.set()


async def replayed(db: Path, rounds: int) -> Replay:
    replay = Replay()
    async with workflows.Engine(db, workflows=[Replayed], env=replay, hibernate_after="1 ms") as engine:
        instance = await engine.create(Replayed)
        for _ in range(rounds):
            await replay.run(engine, instance)
    return replay


def replays(given: Options) -> None:
    replay: Replay = in_new_file(replayed, given.rounds + 2)
    target = Target("value", "more", 300_000)
    print_figure("P7", "Python replay, recorded steps handed to the code", replay.in_code, "steps/s", target=target)
    print_figure("P7", "Python replay, reading the file included", replay.from_file, "steps/s")


def main() -> None:
    given = options()
    given.run("P4", many_instances)
    given.run("P5", one_instance)
    given.run("P6", whole_instances)
    given.run("P7", replays)


if __name__ == "__main__":
    main()

"""Steps in Python: how many a second, how long one takes, how fast they are replayed."""

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import ceiling
from rounds import Options, Series, Target, options, print_figure, run_rounds

import workflows

STEPS = 10
RESULT = "r" * 62  # 64 bytes as JSON
PLAIN_FUTURES = "plain asyncio futures (C)"


class Wave:
    """Instances that begin their steps at the same moment: their creation is not part of what is measured."""

    def __init__(self, instances: int) -> None:
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

    async def take(self, engine: workflows.Engine) -> float:
        """Seconds from the first step asked for to the moment at which the last instance has got its last result."""
        global wave
        wave = self
        await asyncio.gather(*(engine.create(ten_steps) for _ in range(self.instances)))
        await self.all_here.wait()
        started = time.perf_counter()
        self.go.set()
        await self.done.wait()
        return time.perf_counter() - started


wave: Wave


@workflows.workflow
async def ten_steps(event: workflows.Event, step: workflows.Step) -> None:
    await wave.start_line()
    for _ in range(STEPS):

        @step.do("step")
        async def one() -> str:
            return RESULT

        await one()
    wave.finished()


@workflows.workflow
async def grow_wal(event: workflows.Event, step: workflows.Step) -> None:
    """Fills the engine's WAL to its full size, as that of the ceilings is."""
    for _ in range(20):

        @step.do("large")
        async def large() -> str:
            return "x" * (512 << 10)

        await large()


async def steps_per_second(instances: int, waves: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder, "engine.db")
        async with workflows.Engine(db, workflows=[ten_steps, grow_wal], hibernate_after="1 day") as engine:
            await (await engine.create(grow_wal)).result()
            await Wave(instances).take(engine)
            return median([instances * STEPS / await Wave(instances).take(engine) for _ in range(waves)])


def many_instances(given: Options) -> None:
    """P4."""
    sizes: dict[int, tuple[Series, Series]] = {100: ([], []), 1_000: ([], [])}
    if given.full:
        sizes[10_000] = ([], [])

    def engine(instances: int, waves: int) -> None:
        sizes[instances][0].append(asyncio.run(steps_per_second(instances, waves)))

    def futures(instances: int, waves: int) -> None:
        sizes[instances][1].append(asyncio.run(ceiling.plain_futures(instances, STEPS, waves)))

    calls = [(size, max(1, 2_000 // size)) for size in sizes]
    measurements = [partial(measure, *call) for call in calls for measure in (engine, futures)]
    run_rounds(list(measurements), given.rounds)
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


def main() -> None:
    given = options()
    many_instances(given)


if __name__ == "__main__":
    main()

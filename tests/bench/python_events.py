"""P11 in Python: events from another process, and what an engine that waits for them costs."""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles

import workflows

from rounds import Options, Series, Target, options, print_figure

EVENTS = 200


@workflows.workflow
async def listener(event: workflows.Event, step: workflows.Step) -> list[float]:
    """Returns the milliseconds that each event took."""
    took = []
    for _ in range(EVENTS):
        tick = await step.wait_for_event("tick", "tick")
        took.append((time.monotonic() - tick.payload) * 1e3)
    return took


def send_events(db: str) -> None:
    """In the other process: at moments that have nothing to do with the engine's."""
    pause = random.Random(1).uniform
    with workflows.Client(db) as client:
        ears = client.get("listener", "ears")
        for _ in range(EVENTS):
            time.sleep(pause(0.002, 0.020))
            ears.send_event("tick", time.monotonic())


async def listen(db: Path) -> tuple[list[float], float]:
    """The milliseconds of the events, and the percentage of a core while none came."""
    async with workflows.Engine(db, workflows=[listener]) as engine:
        ears = await engine.create(listener, id="ears")
        await asyncio.sleep(0.5)
        cpu = time.process_time()
        await asyncio.sleep(3)
        idle = (time.process_time() - cpu) / 3 * 100
        sender = await asyncio.create_subprocess_exec(sys.executable, __file__, "send", str(db))
        took: list[float] = await ears.result()
        await sender.wait()
        return took, idle


def events(given: Options) -> None:
    p50, p99, idle = Series(), Series(), Series()
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            took, percent = asyncio.run(listen(Path(folder, "engine.db")))
        percentiles = quantiles(took, n=100)
        p50.append(percentiles[49])
        p99.append(percentiles[98])
        idle.append(percent)
    what = "Python event from another process to the waiting code"
    print_figure("P11", f"{what}, p50", p50, "ms", target=Target("value", "less", 5))
    print_figure("P11", f"{what}, p99", p99, "ms", target=Target("value", "less", 50))
    print_figure("P11", "Python CPU of one core while waiting", idle, "%", target=Target("value", "less", 1))


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send_events(sys.argv[2])
    else:
        options().run("P11", events)

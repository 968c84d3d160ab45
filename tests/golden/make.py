"""Writes the golden database of the format that this tree has: `python tests/golden/make.py tests/golden/v2.golden`.

Run once for each version of the format, with the last tree that writes it. The instances:

    finished/done      complete
    failed/broken      errored
    branches/waiting   waits for an event, which is there already but of another type
    branches/sleeping  sleeps; all before that is recorded

and from format 2 on:

    remembers/paused   paused while it waits for an event
    undone/rolled      errored, and rolled back
    undone/booked      waits for an event, before it fails and rolls back
"""

import asyncio
import contextlib
import os
import sqlite3
import sys
from pathlib import Path

import workflows
from workflows_of_then import ALL


async def until_asked(instance: workflows.Instance, name: str) -> None:
    while not any(step.name == name for step in await instance.steps()):
        await asyncio.sleep(0.01)


async def main(path: str) -> None:
    async with workflows.Engine(path, workflows=ALL, hibernate_after="500 ms") as engine:
        done = await engine.create("finished", {"n": 1}, id="done")
        await done.result()
        broken = await engine.create("failed", id="broken")
        with contextlib.suppress(workflows.WorkflowFailedError):
            await broken.result()
        waiting = await engine.create("branches", id="waiting")
        await waiting.send_event("other", {"kept": True})
        await until_asked(waiting, "approval")
        sleeping = await engine.create("branches", id="sleeping")
        await sleeping.send_event("approved", "yes")
        await until_asked(sleeping, "rest")
        paused = await engine.create("remembers", id="paused")
        await until_asked(paused, "approval")
        await paused.pause()
        rolled = await engine.create("undone", id="rolled")
        await rolled.send_event("left")
        with contextlib.suppress(workflows.WorkflowFailedError):
            await rolled.result()
        booked = await engine.create("undone", id="booked")
        await until_asked(booked, "departure")
        await asyncio.sleep(1)  # all that wait are hibernated


path = Path(sys.argv[1])
path.unlink(missing_ok=True)
asyncio.run(main(os.fspath(path)))
with sqlite3.connect(path) as database:
    for folder in (Path(__file__).parent, Path(workflows.__file__).parent.parent):  # in tracebacks
        without_it = "UPDATE journal SET value = replace(value, ?, '') WHERE typeof(value) = 'text'"
        database.execute(without_it, [f"{folder.resolve()}/"])
    database.commit()
    database.execute("VACUUM")  # process ids stand in what was deleted
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
for left in path.parent.glob(path.name + "-*"):
    left.unlink()

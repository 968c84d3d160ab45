"""Runs the article's first listing, which sleeps for thirty minutes, on a clock that is moved by hand.

Every start sets the clock to the same moment. What the instance waits for lies in the database given as argument.
"""
# pyright: reportPrivateUsage=false

import asyncio
import contextlib
import importlib
import json
import sys
from pathlib import Path

import workflows
from workflows import _core

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples/python"))
blog_workflow = importlib.import_module("blog_workflow")

MORNING_MS = 1_800_000_000_000
TEN_MINUTES_MS = 600_000


async def main(database: str) -> None:
    clock = _core.ManualClock(MORNING_MS)
    engine = workflows.Engine(database, workflows=[blog_workflow.recorded(blog_workflow.MyWorkflow)])
    engine._clock = clock
    async with engine:
        instance = await engine.create("MyWorkflow", blog_workflow.PARAMS, id="a", on_conflict="return")
        with contextlib.suppress(workflows.InstanceFinishedError):
            await instance.send_event("simple-event", event_id="the event")
        result = asyncio.ensure_future(instance.result())
        while not result.done():
            if (await instance.status()).status == "waiting":
                clock.advance(TEN_MINUTES_MS)
                engine._access.here().host.clock_moved()
        print(json.dumps(await result))


asyncio.run(main(sys.argv[1]))

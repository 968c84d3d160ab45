"""A request that waits for a person, and is reminded when nobody answers in time.

The waiting outlives the process. An operator may pause the request meanwhile: then its time stands still, and what is
answered is kept until it is resumed.
"""

import argparse
import asyncio
import contextlib
import json
from typing import Any

import workflows

from execution_log import record


@workflows.workflow
async def approval(event: workflows.Event, step: workflows.Step) -> dict[str, Any]:
    async def tell(name: str, text: str) -> None:
        @step.do(name)
        async def mail() -> str:
            record(name)
            return text

        await mail()

    await tell("ask", f"Please approve {event.payload['what']}")
    answer = await step.wait_for_event("answer", "answered", timeout=event.payload["patience"], default=None)
    if answer is None:
        await tell("remind", "Somebody waits for you")
        try:
            answer = await step.wait_for_event("late answer", "answered", timeout="30 days")
        except workflows.WaitTimeoutError:
            return {"approved": False, "by": None}
    await tell("inform", "It is decided")
    return {"approved": answer.payload["yes"], "by": answer.payload["who"]}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--id", required=True)
    options = parser.parse_args()
    async with workflows.Engine(options.db, workflows=[approval]) as engine:
        params = {"what": "a new chair", "patience": "50 ms"}
        request = await engine.create(approval, params, id=options.id, on_conflict="return")
        answer = asyncio.create_task(request.result())
        async for entry in request.subscribe():
            if entry.kind == "step_completed" and entry.name == "remind":
                with contextlib.suppress(workflows.InvalidTransitionError):  # it may be paused, or over
                    await request.pause()
                with contextlib.suppress(workflows.InstanceFinishedError):
                    await request.send_event("answered", {"yes": True, "who": "Ada"}, event_id="the answer")
                with contextlib.suppress(workflows.InvalidTransitionError):
                    await request.resume()
        print(json.dumps(await answer))


if __name__ == "__main__":
    asyncio.run(main())

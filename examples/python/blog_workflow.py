"""The first Python listing of "A closer look at Python Workflows" (Cloudflare's blog, November 2025).

It differs from the article in the import, in the `await` that the article forgot before `step.sleep`, and in the import
of datetime, which the article left out. The rest is the smallest program that runs it.

The workflow sleeps for thirty minutes and then waits for an event of type "simple-event", which another process sends:

    workflows.Client("blog.db").get("MyWorkflow", "a").send_event("simple-event")
"""
# mypy: disable-error-code="no-untyped-def"
# pyright: basic
# ruff: noqa: UP017

import argparse
import asyncio
import json
from datetime import datetime, timezone

import workflows
from workflows import WorkflowEntrypoint

from execution_log import recorded


# fmt: off
class MyWorkflow(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("my first step")
        async def my_first_step():
            user_email = event["payload"]["userEmail"]
            created_timestamp = event["payload"]["createdTimestamp"]
            return {
                "userEmail": user_email,
                "createdTimestamp": created_timestamp,
            }

        await my_first_step()

        await step.sleep("my first sleep", "30 minutes")

        await step.wait_for_event(
            "receive example event",
            "simple-event",
            timeout="1 hour",
        )

        developer_week = datetime(2024, 10, 24, 13, 0, 0, tzinfo=timezone.utc)
        await step.sleep_until("sleep until X times out", developer_week)
# fmt: on


PARAMS = {"userEmail": "ada@example.com", "createdTimestamp": "2025-11-10T14:00:00Z"}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--id", required=True)
    options = parser.parse_args()
    async with workflows.Engine(options.db, workflows=[recorded(MyWorkflow)]) as engine:
        instance = await engine.create("MyWorkflow", PARAMS, id=options.id, on_conflict="return")
        print(json.dumps(await instance.result()))


if __name__ == "__main__":
    asyncio.run(main())

"""The second Python listing of "A closer look at Python Workflows" (Cloudflare's blog, November 2025).

It differs from the article in the import alone. The rest is the smallest program that runs it.
"""
# mypy: disable-error-code="no-untyped-def"
# pyright: basic

import argparse
import asyncio
import json

import workflows
from workflows import WorkflowEntrypoint

from execution_log import recorded


# fmt: off
class PythonWorkflowDAG(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do('dependency 1')
        async def dep_1():
            # does stuff
            print('executing dep1')

        @step.do('dependency 2')
        async def dep_2():
            # does stuff
            print('executing dep2')

        @step.do('demo do', depends=[dep_1, dep_2], concurrent=True)
        async def final_step(res1=None, res2=None):
            # does stuff
            print('something')

        await final_step()
# fmt: on


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--id", required=True)
    options = parser.parse_args()
    async with workflows.Engine(options.db, workflows=[recorded(PythonWorkflowDAG)]) as engine:
        instance = await engine.create("PythonWorkflowDAG", id=options.id, on_conflict="return")
        print(json.dumps(await instance.result()))


if __name__ == "__main__":
    asyncio.run(main())

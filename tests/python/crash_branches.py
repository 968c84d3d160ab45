"""A program for the crash tests: parallel branches that ask for same-named steps, in an order that differs from run to
run. Each branch has to get its own results, whenever the process is killed (S7). Its database is given as argument.
"""

import asyncio
import json
import os
import random
import sys
from typing import Any

import workflows

BRANCHES = 5
TURNS = 3


def record(ctx: workflows.StepContext) -> None:
    with open(os.environ["EXECUTION_LOG"], "a", buffering=1) as log:
        log.write(f"{ctx.step.name} #{ctx.step.count}\n")


@workflows.workflow
async def branches(_event: workflows.Event, step: workflows.Step) -> list[Any]:
    @step.do("work")
    async def work(branch: int, turn: int, ctx: workflows.StepContext) -> str:
        record(ctx)
        await asyncio.sleep(random.random() / 100)
        return f"{branch}.{turn}"

    @step.do("work in a thread")
    def work_in_a_thread(branch: int, ctx: workflows.StepContext) -> str:
        record(ctx)
        return f"{branch} in a thread"

    @step.do("fail at first", config={"retries": {"limit": 10, "delay": "5 ms", "backoff": "constant"}})
    async def fail_at_first(branch: int, ctx: workflows.StepContext) -> int:
        if ctx.attempt == 1:
            raise RuntimeError("the first attempt fails")
        return branch

    @step.do("take long")
    async def take_long() -> None:
        await asyncio.sleep(60)

    async def branch(number: int) -> list[Any]:
        results: list[Any] = []
        for turn in range(TURNS):
            results.append(await work(number, turn))
            await step.sleep("pause", f"{random.randint(0, 5)} ms")
        results.append(await fail_at_first(number))
        results.append(await work_in_a_thread(number))
        return results

    gathered: list[Any] = await asyncio.gather(*map(branch, range(BRANCHES)))
    try:
        async with asyncio.timeout(0.02):
            await take_long()
    except TimeoutError:
        gathered.append("took too long")
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(wait(step)) for _ in range(2)]
    return [*gathered, *(wait.result() for wait in waits)]


async def wait(step: workflows.Step) -> int:
    event = await step.wait_for_event("wait for a number", "number")
    number: int = event.payload
    return number


async def main(database: str) -> None:
    async with workflows.Engine(database, workflows=[branches]) as engine:
        instance = await engine.create(branches, id="a", on_conflict="return")
        for number in range(2):
            try:
                await instance.send_event("number", number, event_id=f"number {number}")
            except workflows.InstanceFinishedError:
                break
        print(json.dumps(await instance.result()))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

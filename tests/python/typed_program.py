"""A program as users write it, for the type checkers (`make check`): what they see is what happens."""

from __future__ import annotations

import asyncio
from typing import Any, assert_type

import workflows


class Order(workflows.WorkflowEntrypoint):
    async def run(self, event: workflows.Event, step: workflows.Step) -> int:
        @step.do
        async def price() -> int:
            return 20

        @step.do("charge the card", config={"retries": {"limit": 3}})
        async def charge(price: int, ctx: workflows.StepContext, tip: int = 0) -> str:
            return f"{ctx.step.name}: {price + tip}"

        @step.do("in a thread", [charge], True, workflows.StepConfig(retries=workflows.Retries(limit=1)))
        def threaded(charged: str) -> tuple[str, int]:
            return charged, len(charged)

        assert_type(await price(), int)
        assert_type(await charge(), str)
        assert_type(await charge(tip=5), str)
        assert_type(await threaded(), tuple[str, int])
        assert_type(await asyncio.gather(price(), charge()), tuple[int, str])
        assert_type(await asyncio.wait_for(price(), 1), int)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(price())
        assert_type(task.result(), int)
        assert_type(price.__name__, str)
        nap = step.sleep("nap", "0 s")
        await nap
        await step.sleep_until("past", "2020-01-01T00:00:00Z")
        got = await step.wait_for_event("poll", "none", timeout="0 s", default=None)
        assert_type(got, workflows.ReceivedEvent | None)
        return await price()


@workflows.workflow(name="blocking")
def blocking(event: workflows.Event, step: workflows.SyncStep) -> str:
    @step.do
    async def one() -> int:
        return 1

    @step.do("text")
    def text(one: int) -> str:
        return str(one)

    step.sleep("nap", "0 s")
    assert_type(one(), int)
    assert_type(text(), str)
    assert_type(step.wait_for_event("w", "t", timeout="0 s", default=3), workflows.ReceivedEvent | int)
    return text()


async def main(db: str) -> list[Any]:
    async with workflows.Engine(db, workflows=[Order, blocking]) as engine:
        instances = [await engine.create(Order, {"sku": "A1"}, id="order-17"), await engine.create(blocking)]
        assert_type(instances[0], workflows.Instance)
        results = [await instance.result(timeout=30) for instance in instances]
        statuses = [info.status async for info in engine.list(Order, status=workflows.Status.COMPLETE)]
        assert_type(statuses, list[workflows.Status])
        return [*results, *statuses]

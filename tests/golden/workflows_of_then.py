"""The workflows whose instances lie in the golden databases. Their steps never change: old histories must replay."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import workflows

executed: list[str] = []


@workflows.workflow
async def finished(event: workflows.Event, step: workflows.Step) -> Any:
    @step.do("many types")
    async def many_types() -> Any:
        executed.append("many types")
        return {"when": datetime(2026, 11, 22, tzinfo=UTC), "price": Decimal("9.90"), "raw": b"\x00\xff", 7: {1, 2}}

    @step.do("large")
    async def large() -> str:
        executed.append("large")
        return "x" * 10_000

    return [await many_types(), len(await large()), event.payload]


@workflows.workflow
async def failed(event: workflows.Event, step: workflows.Step) -> None:
    @step.do("declined", config={"retries": {"limit": 1, "delay": "1 ms"}})
    async def declined() -> None:
        executed.append("declined")
        raise ValueError("card declined")

    await declined()


@workflows.workflow
async def branches(event: workflows.Event, step: workflows.Step) -> Any:
    """Two branches with steps of the same name, then a wait and a sleep, then a graph."""

    async def branch(number: int) -> str:
        @step.do("work")
        async def work() -> str:
            executed.append("work")
            return f"first {number}"

        @step.do("work")
        async def more() -> str:
            executed.append("work")
            return f"{first} second {number}"

        first = await work()
        return await more()

    results = await asyncio.gather(branch(1), branch(2))
    approval = await step.wait_for_event("approval", "approved", timeout=None)

    @step.do("left")
    async def left() -> int:
        executed.append("left")
        return 1

    @step.do("right", config={"timeout": "1 minute", "sensitive": "output"})
    async def right() -> int:
        executed.append("right")
        return 2

    @step.do("sum", depends=[left, right], concurrent=True)
    async def total(a: int, b: int) -> int:
        executed.append("sum")
        return a + b

    summed = await total()
    await step.sleep("rest", "1 hour")

    @step.do("last")
    async def last() -> str:
        executed.append("last")
        return "end"

    return [results, approval.payload, summed, await last()]


# From format 2 on.


@workflows.workflow
async def remembers(event: workflows.Event, step: workflows.Step) -> Any:
    """What the code got from outside of it, and a race that the wait lost."""
    values = [step.now().isoformat(), step.random(), str(step.uuid4()), step.patched("since-format-2")]
    winner = await step.race(step.wait_for_event("never", "never"), step.sleep("short", "1 ms"))

    @step.do("keep")
    async def keep() -> list[Any]:
        executed.append("keep")
        return values

    kept = await keep()
    approval = await step.wait_for_event("approval", "approved", timeout=None)
    return [kept == values, winner, approval.payload]


@workflows.workflow
async def undone(event: workflows.Event, step: workflows.Step) -> None:
    async def unbook(ctx: workflows.StepContext, error: Exception, output: str | None) -> None:
        executed.append(f"unbook {output}")

    @step.do("book", rollback=unbook)
    async def book() -> str:
        executed.append("book")
        return "seat 7"

    await book()
    await step.wait_for_event("departure", "left", timeout=None)
    raise workflows.NonRetryableError("no train")


OF_FORMAT_1 = [finished, failed, branches]
ALL = [*OF_FORMAT_1, remembers, undone]

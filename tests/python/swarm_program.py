"""One engine of a swarm (swarm.py): `DATABASE BANK LEASE`. Runs the instances in the database until an event ends the
vigil. What each body does goes into a file, the bank: `PID INSTANCE STEP KEY AMOUNT`. tests/crash/swarm_program.cpp is
the same program; either goes on where the other was killed.
"""

import asyncio
import os
import sys
from typing import Any

import workflows

database, bank, lease = sys.argv[1:]


def book(instance: str, ctx: workflows.StepContext, amount: int, what: str | None = None) -> None:
    line = f"{os.getpid()} {instance} {what or ctx.step.name} {ctx.idempotency_key} {amount}\n"
    file = os.open(bank, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def is_open() -> bool:
    return os.path.exists(f"{bank}.open")


@workflows.workflow
async def transfer(event: workflows.Event, step: workflows.Step) -> int:
    amount: int = event.payload["amount"]

    @step.do("debit")
    async def debit(ctx: workflows.StepContext) -> int:
        book(event.instance_id, ctx, -amount)
        return amount

    @step.do("credit")
    async def credit(debited: int, ctx: workflows.StepContext) -> int:
        book(event.instance_id, ctx, debited)
        return debited

    debited = await debit()
    await step.sleep("settle", "20 ms")
    return await credit(debited)


@workflows.workflow
async def exchange(event: workflows.Event, step: workflows.Step) -> list[int]:
    return [(await step.wait_for_event("number", "number")).payload for _ in range(event.payload["numbers"])]


@workflows.workflow
async def trip(event: workflows.Event, step: workflows.Step) -> int:
    """All of it, or nothing that is not cancelled."""
    amount: int = event.payload["amount"]

    async def reserve(what: str) -> None:
        def cancel(ctx: workflows.StepContext, _error: Exception, _booked: int | None) -> None:
            book(event.instance_id, ctx, 0, f"cancel-{what}")

        @step.do(what, rollback=cancel, rollback_config={"retries": {"limit": 20}})
        def reserved(ctx: workflows.StepContext) -> int:
            if event.payload["fails"] and what == "tickets":
                raise workflows.NonRetryableError("sold out")
            book(event.instance_id, ctx, amount)
            return amount

        await reserved()

    for what in ("flight", "hotel", "tickets"):
        await reserve(what)
    return amount


@workflows.workflow
async def guarded(event: workflows.Event, step: workflows.Step) -> int:
    @step.do("first")
    async def first(ctx: workflows.StepContext) -> int:
        book(event.instance_id, ctx, 1)
        return 1

    @step.do("second")
    async def second(before: int, ctx: workflows.StepContext) -> int:
        book(event.instance_id, ctx, 2)
        while not is_open():
            await asyncio.sleep(0.01)
        return before + 2

    return await second(await first())


@workflows.workflow
async def vigil(_event: workflows.Event, step: workflows.Step) -> Any:
    return (await step.wait_for_event("end", "end")).payload


async def main() -> None:
    all_of_them = [transfer, exchange, trip, guarded, vigil]
    async with workflows.Engine(database, workflows=all_of_them, lease=lease, hibernate_after="50 ms") as engine:
        instance = await engine.create(vigil, id="vigil", on_conflict="return")
        await instance.result()


try:
    asyncio.run(main())
except workflows.StoreError as error:
    sys.exit(str(error))

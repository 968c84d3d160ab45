"""An order that is undone when it cannot be shipped.

Each step brings the function that takes it back. When the last one fails, the others are taken back in reverse order,
one at a time, each until it has succeeded: kill the program whenever you like and start it again with the same --db and
--id, and every booking is taken back once.
"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import workflows

from execution_log import record


class Ledger:
    """Stands for the services of a shop. It books each key once, however often it is asked to."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def book(self, what: str, key: str) -> None:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        if any(json.loads(line)["key"] == key for line in lines):
            return
        with self.file.open("a") as file:
            file.write(json.dumps({"what": what, "key": key}) + "\n")


def order_saga(ledger: Ledger) -> Any:
    """The workflow, with the services that it uses."""

    @workflows.workflow(name="order")
    async def order(event: workflows.Event, step: workflows.Step) -> str:
        async def book(what: str) -> str:
            def take_back(ctx: workflows.StepContext, error: Exception, booking: str | None) -> None:
                record(f"take back {what}")
                ledger.book(f"take back {booking}, because {error}", ctx.idempotency_key)

            @step.do(what, rollback=take_back)
            def booked(ctx: workflows.StepContext) -> str:
                record(what)
                ledger.book(what, ctx.idempotency_key)
                return f"{what} of {event.payload['item']}"

            return await booked()

        for what in ("charge the card", "reserve the goods", "print the label"):
            await book(what)

        @step.do("hand over to the carrier")
        def hand_over(ctx: workflows.StepContext) -> str:
            if event.payload["item"] == "piano":
                raise workflows.NonRetryableError("too heavy")
            return "parcel 1"

        return await hand_over()

    return order


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--id", required=True)
    parser.add_argument("--item", default="piano")
    options = parser.parse_args()
    ledger = Ledger(Path(options.db).with_suffix(".ledger"))
    async with workflows.Engine(options.db, workflows=[order_saga(ledger)]) as engine:
        instance = await engine.create("order", {"item": options.item}, id=options.id, on_conflict="return")
        try:
            print(json.dumps(await instance.result()))
        except workflows.WorkflowFailedError as failed:
            report = (await instance.status()).rollback
            assert report is not None
            taken_back = [booking.name for booking in report.compensated]
            print(json.dumps({"failed": str(failed.__cause__), "taken back": taken_back}))


if __name__ == "__main__":
    asyncio.run(main())

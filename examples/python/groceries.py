"""An agent that does the week's groceries.

It waits for the list of recipes, compiles the ingredients, checks which of them are left over at home, orders the rest
from the shop, pays, and waits for the delivery. Kill it whenever you like and start it again with the same --db and
--id: it goes on where it was, and the shop gets one order.
"""

import argparse
import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import workflows

from execution_log import record
from grocery_shop import GroceryShop

RECIPES = [
    {"name": "pancakes", "ingredients": ["eggs", "flour", "milk", "salt"]},
    {"name": "pasta al pomodoro", "ingredients": ["basil", "pasta", "salt", "tomatoes"]},
    {"name": "shakshuka", "ingredients": ["eggs", "onions", "peppers", "tomatoes"]},
]
PANTRY = ["flour", "pasta", "salt"]


class Groceries(workflows.WorkflowEntrypoint):
    async def run(self, event: workflows.Event, step: workflows.Step) -> dict[str, Any]:
        shop: GroceryShop = self.env["shop"]
        recipes = await step.wait_for_event("get the list", "groceries-list", timeout="7 days")

        @step.do("compile ingredients")
        async def ingredients(ctx: workflows.StepContext) -> list[str]:
            record(ctx.step.name)
            return sorted({item for recipe in recipes.payload for item in recipe["ingredients"]})

        # A parameter named like a step is what that step returned: the engine runs it first.
        @step.do("check left-overs")
        async def missing(ingredients: list[str], ctx: workflows.StepContext) -> list[str]:
            record(ctx.step.name)
            return [item for item in ingredients if item not in event.payload["pantry"]]

        # The process may die after the shop has accepted the order and before the engine knows. Then the step runs
        # again, with the same idempotency key: the shop sees that it has this order already.
        @step.do("place the order", config={"retries": {"limit": 10, "delay": "2 seconds"}})
        def order(missing: list[str], ctx: workflows.StepContext) -> dict[str, Any]:
            record(ctx.step.name)
            return {"order": shop.order(missing, key=ctx.idempotency_key), "items": missing}

        placed = await order()

        @step.do("proceed with payment", config={"retries": {"limit": 10, "delay": "2 seconds"}})
        def pay(ctx: workflows.StepContext) -> str:
            record(ctx.step.name)
            return shop.pay(placed["order"], key=ctx.idempotency_key)

        receipt = await pay()
        await step.sleep("wait for the delivery", event.payload["delivery"])
        return {**placed, "receipt": receipt}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True, help="the file in which the agent remembers")
    parser.add_argument("--id", required=True, help="which week this is, for example week-47")
    parser.add_argument("--shop", type=Path, help="the file that stands for the shop (default: beside the database)")
    parser.add_argument("--answer-after", type=float, default=0, help="seconds until the shop answers")
    parser.add_argument("--delivery", default="2 days", help="how long the delivery takes")
    options = parser.parse_args()

    shop = GroceryShop(options.shop or Path(options.db).with_suffix(".shop"), options.answer_after)
    params = {"pantry": PANTRY, "delivery": options.delivery}
    async with workflows.Engine(options.db, workflows=[Groceries], env={"shop": shop}) as engine:
        week = await engine.create(Groceries, params, id=options.id, on_conflict="return")
        # Sent at every start, and counted once, for it has an id.
        with contextlib.suppress(workflows.InstanceFinishedError):
            await week.send_event("groceries-list", RECIPES, event_id="the list")
        print(json.dumps(await week.result()))


if __name__ == "__main__":
    asyncio.run(main())

"""Sums up sales files into one report: fan-out over the files, for each file two steps, fan-in into the report.

The steps form a graph; `concurrent=True` runs what does not depend on each other at the same time.
"""

import argparse
import asyncio
import csv
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path

import workflows

from execution_log import record

Sale = tuple[str, Decimal]  # product and amount
SALES = Path(__file__).parent / "sales"


def read_sale(row: dict[str, str]) -> Sale | None:
    try:
        return row["product"], int(row["pieces"]) * Decimal(row["price"])
    except (ValueError, InvalidOperation):
        return None


def add_up(sales: Iterable[Sale]) -> dict[str, Decimal]:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for product, amount in sales:
        sums[product] += amount
    return dict(sorted(sums.items()))


@workflows.workflow
async def data_pipeline(event: workflows.Event, step: workflows.Step) -> dict[str, Decimal]:
    folder, report = Path(event.payload["folder"]), Path(event.payload["report"])

    # What the folder holds may change; what this run works on is decided once, in a step.
    @step.do("list files")
    def files(ctx: workflows.StepContext) -> list[str]:
        record(ctx.step.name)
        return sorted(path.name for path in folder.glob("*.csv"))

    sums: list[workflows.DeclaredStep[..., dict[str, Decimal]]] = []
    for file in await files():

        @step.do(f"read {file}")
        def sales(ctx: workflows.StepContext, file: str = file) -> list[Sale]:
            record(ctx.step.name)
            with (folder / file).open(newline="") as rows:
                return [sale for sale in map(read_sale, csv.DictReader(rows)) if sale]

        @step.do(f"sum up {file}", depends=[sales])
        def total(sales: list[Sale], ctx: workflows.StepContext) -> dict[str, Decimal]:
            record(ctx.step.name)
            return add_up(sales)

        sums.append(total)

    @step.do("write the report", depends=sums, concurrent=True, max_concurrency=4)
    def write(*totals: dict[str, Decimal], ctx: workflows.StepContext) -> dict[str, Decimal]:
        record(ctx.step.name)
        overall = add_up(itertools.chain.from_iterable(total.items() for total in totals))
        # A name of its own first, then renamed: a reader never sees half a report.
        unfinished = report.with_suffix(".unfinished")
        unfinished.write_text("".join(f"{product},{amount}\n" for product, amount in overall.items()))
        unfinished.replace(report)
        return overall

    return await write()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--id", required=True)
    parser.add_argument("--folder", default=str(SALES), help="where the sales files are")
    parser.add_argument("--report", help="the file to write (default: beside the database)")
    options = parser.parse_args()
    params = {"folder": options.folder, "report": options.report or str(Path(options.db).with_suffix(".csv"))}
    async with workflows.Engine(options.db, workflows=[data_pipeline]) as engine:
        instance = await engine.create(data_pipeline, params, id=options.id, on_conflict="return")
        print(json.dumps(await instance.result(), default=str))


if __name__ == "__main__":
    asyncio.run(main())

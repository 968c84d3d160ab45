"""Run by test_full_disk.py in a mount namespace of its own: fills the small disk that it is given, makes it larger and
goes on. Prints the error, the output, how many steps had begun by the error, and which ran more than once.
"""

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

import workflows

ran: Counter[int] = Counter()


@workflows.workflow
async def fill(event: workflows.Event, step: workflows.Step) -> str:
    for i in range(40):

        @step.do(f"block {i}")
        async def block(number: int = i) -> str:
            ran[number] += 1
            return "x" * 100_000

        await block()
    return "done"


async def run_until_full(disk: Path) -> None:
    try:
        async with workflows.Engine(disk / "full.db", workflows=[fill]) as engine:
            await (await engine.create(fill, id="a")).result()
    except workflows.StoreError as error:
        print(error)


async def go_on(disk: Path) -> None:
    async with workflows.Engine(disk / "full.db", workflows=[fill]) as engine:
        print(await (await engine.get(fill, "a")).result())


disk = Path(sys.argv[1])
asyncio.run(run_until_full(disk))
begun = len(ran)
subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
asyncio.run(go_on(disk))
print(begun, [number for number, count in ran.items() if count > 1])

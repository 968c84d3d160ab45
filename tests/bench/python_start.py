"""P12: what a Python program pays until its first step is durable, each time in an interpreter of its own."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rounds import Options, Series, Target, options, print_figure

PROGRAM = """
import sys, time
clock = time.perf_counter
began = clock()
import workflows
imported = clock()
import asyncio, json

@workflows.workflow
async def one(event, step):
    @step.do("step")
    async def first():
        return 1
    await first()
    done.set_result(clock())

async def main():
    global done
    done = asyncio.get_running_loop().create_future()
    opening = clock()
    async with workflows.Engine(sys.argv[1], workflows=[one]) as engine:
        opened = clock()
        await engine.create(one)
        print(json.dumps([imported - began, opened - opening, await done - opened]))

asyncio.run(main())
"""
ASYNCIO = "import time; began = time.perf_counter(); import asyncio, logging; print(time.perf_counter() - began)"


# As an installed package is: compiled.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def output(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", *arguments], env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def start(given: Options) -> None:
    imports, opens, firsts, asyncio_alone = Series(), Series(), Series(), Series()
    with tempfile.TemporaryDirectory() as folder:
        db = str(Path(folder, "engine.db"))
        output(PROGRAM, db)  # makes the file, and the byte code
        for _ in range(max(10, given.rounds)):
            imported, opened, first = json.loads(output(PROGRAM, db))
            imports.append(imported * 1e3)
            opens.append(opened * 1e3)
            firsts.append(first * 1e3)
            asyncio_alone.append(float(output(ASYNCIO)) * 1e3)
    print_figure(
        "P12",
        "Python import workflows",
        imports,
        "ms",
        ceiling=asyncio_alone,
        of="import asyncio, logging",
        target=Target("value", "less", 50),
    )
    print_figure("P12", "Python open an existing file", opens, "ms", target=Target("value", "less", 5))
    print_figure("P12", "Python create, first durable step", firsts, "ms", target=Target("value", "less", 10))


if __name__ == "__main__":
    options().run("P12", start)

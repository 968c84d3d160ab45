"""(C): what asyncio allows without an engine. The yardsticks A and B are in ceiling.h."""

import asyncio
import time
from statistics import median


async def plain_futures(instances: int, steps: int, waves: int) -> float:
    """Awaits per second of tasks that await futures which the loop resolves: no durability."""
    await _wave(instances, steps)
    return median([instances * steps / await _wave(instances, steps) for _ in range(waves)])


async def _wave(instances: int, steps: int) -> float:
    """Seconds from the start of tasks that are there already."""
    loop = asyncio.get_running_loop()
    go = asyncio.Event()

    async def one() -> None:
        await go.wait()
        for _ in range(steps):
            future = loop.create_future()
            loop.call_soon(future.set_result, None)
            await future

    tasks = [asyncio.ensure_future(one()) for _ in range(instances)]
    await asyncio.sleep(0)
    started = time.perf_counter()
    go.set()
    await asyncio.gather(*tasks)
    return time.perf_counter() - started

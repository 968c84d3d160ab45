# pyright: basic
"""Parallel branches and cancellation with asyncio's own tools, over restarts (S7, S12, S38)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import workflows

from support import PATIENCE_S, counters, opened, run_once, until_recorded, until_status

ONCE = {"retries": {"limit": 0}}


async def branch(step: workflows.Step, name: str, depth: int) -> list[str]:
    """Asks for same-named steps, with a few turns of the loop between outcome and next question."""
    got: list[str] = []
    for _ in range(3):

        @step.do("shared")
        async def shared(who: str, ctx: workflows.StepContext) -> str:
            for _ in range(random.randrange(12)):
                await asyncio.sleep(0)
            return f"{who}{ctx.step.count}"

        call: Any = shared(name)
        for _ in range(depth):
            call = asyncio.gather(call)
        value: Any = await call
        while isinstance(value, list):
            (value,) = value
        got.append(value)
    return got


@pytest.mark.parametrize("seed", range(12))
async def test_s7_gathered_steps_of_one_name_get_the_same_results_after_restarts(seed: int, tmp_path: Path) -> None:
    random.seed(seed)
    seen: list[Any] = []

    @workflows.workflow
    async def fan(event: workflows.Event, step: workflows.Step) -> Any:
        results = await asyncio.gather(*(branch(step, name, depth) for depth, name in enumerate("abc")))
        seen.append(results)
        for number in range(2):
            await step.wait_for_event(f"go {number}", "go")
        return results

    async with opened(tmp_path / "f.db", fan) as engine:
        await until_recorded(await engine.create(fan, id="f"), "go 0")
    async with opened(tmp_path / "f.db", fan) as engine:
        instance = await engine.get(fan, "f")
        await instance.send_event("go")
        await until_recorded(instance, "go 1")
    async with opened(tmp_path / "f.db", fan) as engine:
        instance = await engine.get(fan, "f")
        await instance.send_event("go")
        assert await instance.result(timeout=PATIENCE_S) == seen[0]
        assert len(await instance.steps()) == 9 + 2
    assert seen == [seen[0]] * 3
    for name, results in zip("abc", seen[0], strict=True):
        assert all(result.startswith(name) for result in results)


@pytest.mark.parametrize("stop_after", range(1, 9))
async def test_s7_branches_that_were_cut_off_anywhere_go_on_where_they_were(stop_after: int, tmp_path: Path) -> None:
    random.seed(stop_after)
    bodies: Counter[str] = Counter()
    cut = asyncio.Event()

    @workflows.workflow
    async def fan(event: workflows.Event, step: workflows.Step) -> Any:
        async def chain(name: str) -> list[str]:
            got: list[str] = []
            for number in range(3):

                @step.do("shared")
                async def shared(who: str, ctx: workflows.StepContext) -> str:
                    for _ in range(random.randrange(8)):
                        await asyncio.sleep(0)
                    bodies[who] += 1
                    if bodies.total() == stop_after:
                        cut.set()
                    return f"{who} as {ctx.step.count}"

                got.append(await shared(f"{name}{number}"))
            return got

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(chain(name)) for name in "abc"]
        return [task.result() for task in tasks]

    async with opened(tmp_path / "f.db", fan) as engine:
        instance = await engine.create(fan, id="f")
        await cut.wait()
        recorded = {info.number: info.result for info in await instance.steps() if info.status == "completed"}
    async with opened(tmp_path / "f.db", fan) as engine:
        instance = await engine.get(fan, "f")
        results = await instance.result(timeout=PATIENCE_S)
        infos = await instance.steps()
    assert [[text.split(" ")[0] for text in chain] for chain in results] == [
        [f"{n}{i}" for i in range(3)] for n in "abc"
    ]
    counts = [int(text.split(" ")[2]) for chain in results for text in chain]
    assert sorted(counts) == list(range(1, 10))
    assert recorded.items() <= {info.number: info.result for info in infos}.items()
    for who, times in bodies.items():
        was_recorded = any(text.startswith(f"{who} ") for text in recorded.values())
        assert times == 1 if was_recorded else times <= 2


async def test_task_group_cancels_the_siblings_of_a_branch_that_fails() -> None:
    cancelled: list[str] = []

    @workflows.workflow
    async def grouped(event: workflows.Event, step: workflows.Step) -> Any:
        async def long() -> None:
            try:
                await step.wait_for_event("never", "never")
            except asyncio.CancelledError:
                cancelled.append("long")
                raise

        @step.do(config=ONCE)
        async def fails() -> None:
            raise ValueError("sibling")

        async def group() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(long())
                tasks.create_task(fails())

        with pytest.raises(ExceptionGroup) as caught:
            await group()
        return [str(error) for error in caught.value.exceptions]

    assert await run_once(grouped) == ["sibling"]
    assert cancelled == ["long"]


@pytest.mark.parametrize("tool", ["timeout", "wait_for"])
async def test_a_timeout_of_asyncio_around_a_step_ends_the_await_and_keeps_the_result(
    tool: str, tmp_path: Path
) -> None:
    bodies = 0
    release = asyncio.Event()

    @workflows.workflow
    async def impatient(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def slow() -> str:
            nonlocal bodies
            bodies += 1
            await release.wait()
            return "kept"

        async def hurry() -> str:
            if tool == "wait_for":
                return await asyncio.wait_for(slow(), 0.01)
            async with asyncio.timeout(0.01):
                return await slow()

        with pytest.raises(TimeoutError):
            await hurry()
        await step.wait_for_event("go", "go")
        return "went on"

    async with opened(tmp_path / "t.db", impatient) as engine:
        instance = await engine.create(impatient, id="t")
        await until_recorded(instance, "go")
        release.set()
        await until_recorded(instance, "slow", "kept")
    async with opened(tmp_path / "t.db", impatient) as engine:
        instance = await engine.get(impatient, "t")
        await instance.send_event("go")
        assert await instance.result(timeout=PATIENCE_S) == "went on"
    assert bodies == 1


async def test_cancelling_one_await_does_not_disturb_another_of_the_same_step() -> None:
    release = asyncio.Event()

    @workflows.workflow
    async def shared(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def slow() -> str:
            await release.wait()
            return "result"

        call = slow()

        async def wait() -> str:
            return await call

        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        for _ in range(20):
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        release.set()
        return [await second, await call, first.cancelled()]

    assert await run_once(shared) == ["result", "result", True]


async def test_a_call_whose_await_was_cancelled_says_how_to_await_it_again() -> None:
    @workflows.workflow
    async def again(event: workflows.Event, step: workflows.Step) -> Any:
        wait = step.wait_for_event("w", "t")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await wait
        with pytest.raises(RuntimeError, match=r"asyncio\.shield"):
            await wait
        shielded = asyncio.ensure_future(step.wait_for_event("x", "t"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.shield(shielded)
        await step.sleep("both gave up", "0 s")
        return (await shielded).payload

    async with opened(":memory:", again) as engine:
        instance = await engine.create(again)
        await until_recorded(instance, "both gave up")
        await instance.send_event("t", "for the one that waits")
        assert await instance.result(timeout=PATIENCE_S) == "for the one that waits"


async def test_the_first_of_several_waits_wins() -> None:
    @workflows.workflow
    async def racing(event: workflows.Event, step: workflows.Step) -> Any:
        waits = {asyncio.ensure_future(step.wait_for_event(t, t)): t for t in ("a", "b")}
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for other in pending:
            other.cancel()
        return [waits[one] for one in done]

    async with opened(":memory:", racing) as engine:
        instance = await engine.create(racing)
        await instance.send_event("b")
        assert await instance.result(timeout=PATIENCE_S) == ["b"]


async def test_queues_locks_and_semaphores_between_branches_replay(tmp_path: Path) -> None:
    seen: list[Any] = []

    @workflows.workflow
    async def pipeline(event: workflows.Event, step: workflows.Step) -> Any:
        queue: asyncio.Queue[int | None] = asyncio.Queue()
        results: list[Any] = []

        @step.do
        async def make(number: int) -> int:
            for _ in range(random.randrange(5)):
                await asyncio.sleep(0)
            return number

        @step.do
        async def use(number: int, worker: str) -> str:
            return f"{worker}{number}"

        async def produce() -> None:
            for number in range(6):
                await queue.put(await make(number))
            for _ in "ab":
                await queue.put(None)

        async def consume(worker: str) -> None:
            while (number := await queue.get()) is not None:
                results.append(await use(number, worker=worker))

        await asyncio.gather(produce(), consume("a"), consume("b"))
        seen.append(list(results))
        await step.wait_for_event("go", "go")
        return results

    async with opened(tmp_path / "p.db", pipeline) as engine:
        await until_recorded(await engine.create(pipeline, id="p"), "go")
    async with opened(tmp_path / "p.db", pipeline) as engine:
        instance = await engine.get(pipeline, "p")
        await instance.send_event("go")
        await instance.result(timeout=PATIENCE_S)
        assert len(await instance.steps()) == 6 + 6 + 1
    assert seen[0] == seen[1]
    assert sorted(text[1:] for text in seen[0]) == list("012345")


async def test_s38_a_replayed_step_costs_no_transaction_and_no_read(tmp_path: Path) -> None:
    @workflows.workflow
    async def long(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def s() -> int:
            return 1

        total = sum([await s() for _ in range(200)])
        await step.wait_for_event("go", "go")
        return total

    async with opened(tmp_path / "l.db", long) as engine:
        await until_recorded(await engine.create(long, id="l"), "go")
    async with opened(tmp_path / "l.db", long) as engine:
        instance = await engine.get(long, "l")
        await instance.send_event("go")
        assert await instance.result(timeout=PATIENCE_S) == 200
        counted = counters(engine)
    assert counted["loads"] == 1
    assert counted["transactions"] < 20  # opening, the event, the end


async def test_code_that_asks_no_more_for_what_is_recorded_does_not_hang(tmp_path: Path) -> None:
    """Replay waits for the questions of before; when they do not come, it goes on without them."""
    asks_first = True

    @workflows.workflow(determinism="ignore")
    async def changed(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def first() -> int:
            return 1

        @step.do
        async def second() -> int:
            return 2

        branches = [first(), second()] if asks_first else [second()]
        values = await asyncio.gather(*branches)
        await step.wait_for_event("go", "go")
        return values

    async with opened(tmp_path / "c.db", changed) as engine:
        await until_recorded(await engine.create(changed, id="c"), "go")
    asks_first = False
    async with opened(tmp_path / "c.db", changed) as engine:
        instance = await engine.get(changed, "c")
        await instance.send_event("go")
        assert await instance.result(timeout=PATIENCE_S) == [2]


async def test_an_await_that_is_cancelled_when_its_outcome_is_there_is_cancelled_on_replay_too(tmp_path: Path) -> None:
    """Both outcomes come together; the branch that gets the first one cancels the other, which has not got its own."""
    seen: list[Any] = []

    @workflows.workflow
    async def torn(event: workflows.Event, step: workflows.Step) -> Any:
        await step.wait_for_event("both are here", "go")
        children = [asyncio.create_task(step.wait_for_event(name, name)) for name in "ab"]
        done, (other,) = await asyncio.wait(children, return_when=asyncio.FIRST_COMPLETED)
        other.cancel()
        await asyncio.wait([other])
        seen.append([(await task).payload for task in done] + [other.cancelled()])
        await step.wait_for_event("go", "go")
        return seen

    async with opened(tmp_path / "t.db", torn) as engine:
        instance = await engine.create(torn, id="t")
        for name in ("a", "b", "go"):
            await instance.send_event(name, name)
        await until_recorded(instance, "go")
    async with opened(tmp_path / "t.db", torn) as engine:
        instance = await engine.get(torn, "t")
        await instance.send_event("go")
        assert await instance.result(timeout=PATIENCE_S) == [["a", True], ["a", True]]
        assert {info.status for info in await instance.steps()} == {"completed"}


async def test_code_has_an_outcome_as_soon_as_it_is_there_and_cannot_be_cancelled_in_between(tmp_path: Path) -> None:
    seen: list[str] = []

    @workflows.workflow
    async def quick(event: workflows.Event, step: workflows.Step) -> Any:
        call = step.wait_for_event("w", "t")
        child = asyncio.create_task(call)
        await asyncio.sleep(0)
        while not call._pending.settled:  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0)
        child.cancel()
        await asyncio.wait([child])
        seen.append("cancelled" if child.cancelled() else "got it")
        await step.wait_for_event("go", "go")
        return seen

    async with opened(tmp_path / "t.db", quick) as engine:
        instance = await engine.create(quick, id="t")
        await instance.send_event("t")
        await until_recorded(instance, "go")
    async with opened(tmp_path / "t.db", quick) as engine:
        instance = await engine.get(quick, "t")
        await instance.send_event("go")
        assert await instance.result(timeout=PATIENCE_S) == ["got it", "got it"]


async def test_an_outcome_held_back_for_a_cancellation_that_does_not_recur_comes_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows._runner.LOOK_SECONDS", 0.01)
    patience: float | None = 0.001

    @workflows.workflow
    async def once_impatient(event: workflows.Event, step: workflows.Step) -> Any:
        try:
            async with asyncio.timeout(patience):
                return (await step.wait_for_event("w", "t")).payload
        except TimeoutError:
            await asyncio.Event().wait()

    async with opened(tmp_path / "o.db", once_impatient) as engine:
        instance = await engine.create(once_impatient, id="o")
        await until_recorded(instance, "w")
        await asyncio.sleep(0.05)
    patience = None
    async with opened(tmp_path / "o.db", once_impatient) as engine:
        instance = await engine.get(once_impatient, "o")
        await until_status(instance, "waiting")
        await instance.send_event("t", "at last")
        assert await instance.result(timeout=PATIENCE_S) == "at last"


async def test_children_that_outlive_run_are_cancelled_with_it() -> None:
    ended: list[str] = []

    @workflows.workflow
    async def leaving(event: workflows.Event, step: workflows.Step) -> Any:
        async def child() -> None:
            try:
                await step.wait_for_event("never", "never")
            finally:
                ended.append("child")

        task = asyncio.create_task(child())
        while not task.done() and not ended:
            await asyncio.sleep(0)
            if len(asyncio.all_tasks()) > 1:
                break
        return "done"

    async with opened(":memory:", leaving) as engine:
        instance = await engine.create(leaving)
        assert await instance.result(timeout=PATIENCE_S) == "done"
        await until_status(instance, "complete")
    assert ended == ["child"]


async def test_a_thousand_branches_of_one_instance() -> None:
    @workflows.workflow
    async def wide(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def s(number: int) -> int:
            return number

        return await asyncio.gather(*(s(number) for number in range(1000)))

    assert await run_once(wide) == list(range(1000))

"""S39 to S41: code that changed under a running instance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import workflows

from support import PATIENCE_S, opened, until_recorded, until_status

Code = Callable[[workflows.Step], Awaitable[Any]]


async def do(step: workflows.Step, name: str) -> str:
    @step.do(name)
    async def body() -> str:
        return name

    return await body()


async def pause_at(step: workflows.Step) -> None:
    await step.wait_for_event("go", "go", timeout=None)


async def abc(step: workflows.Step) -> Any:
    for name in ("a", "b", "c"):
        await do(step, name)
    await pause_at(step)
    return await do(step, "end")


async def renamed(step: workflows.Step) -> Any:
    for name in ("a", "B", "c"):
        await do(step, name)
    await pause_at(step)


async def removed(step: workflows.Step) -> Any:
    for name in ("a", "c"):
        await do(step, name)
    await pause_at(step)


async def inserted(step: workflows.Step) -> Any:
    for name in ("a", "new", "b", "c"):
        await do(step, name)
    await pause_at(step)


async def reordered(step: workflows.Step) -> Any:
    for name in ("a", "c", "b"):
        await do(step, name)
    await pause_at(step)


async def rekinded(step: workflows.Step) -> Any:
    await do(step, "a")
    await step.sleep("b", "0 s")
    await do(step, "c")
    await pause_at(step)


async def ends_early(step: workflows.Step) -> Any:
    return await do(step, "a")


async def raises_early(step: workflows.Step) -> Any:
    await do(step, "a")
    raise KeyError("new bug")


async def waits_elsewhere(step: workflows.Step) -> Any:
    for name in ("a", "b", "c"):
        await do(step, name)
    await step.wait_for_event("another", "go", timeout=None)


async def appended(step: workflows.Step) -> Any:
    await abc(step)
    return await do(step, "more")


async def with_values(step: workflows.Step) -> Any:
    await do(step, "a")
    step.now()
    await do(step, "b")
    await do(step, "c")
    await pause_at(step)
    return "values"


async def guarded(step: workflows.Step) -> Any:
    await do(step, "a")
    if step.patched("new"):
        await do(step, "new")
    await do(step, "b")
    await do(step, "c")
    await pause_at(step)
    return ["later", step.patched("new"), step.patched("after")]


async def loop_3(step: workflows.Step) -> Any:
    for _ in range(3):
        await do(step, "again")
    await pause_at(step)


async def loop_2(step: workflows.Step) -> Any:
    for _ in range(2):
        await do(step, "again")
    await pause_at(step)
    return "short"


async def loop_4(step: workflows.Step) -> Any:
    for _ in range(4):
        await do(step, "again")
    await pause_at(step)


async def parallel(step: workflows.Step) -> Any:
    await asyncio.gather(*(do(step, name) for name in ("a", "b", "c")))
    await pause_at(step)
    return "parallel"


async def serial_of_parallel(step: workflows.Step) -> Any:
    for name in ("a", "b", "c"):
        await do(step, name)
    await pause_at(step)
    return "serial"


def graph(edges: dict[str, list[str]]) -> Code:
    async def code(step: workflows.Step) -> Any:
        declared: dict[str, Any] = {}
        for name, needs in edges.items():

            def body(*results: Any, name: str = name) -> str:
                return name

            declared[name] = step.do(name, depends=[declared[need] for need in needs], concurrent=True)(body)
        await declared["last"]()
        await pause_at(step)
        return "graph"

    return code


DIAMOND = {"top": [], "left": ["top"], "right": ["top"], "last": ["left", "right"]}
NARROW = {"top": [], "left": ["top"], "right": ["left"], "last": ["left", "right"]}
WITHOUT_RIGHT = {"top": [], "left": ["top"], "last": ["left"]}
WITH_MORE = {"top": [], "left": ["top"], "right": ["top"], "more": [], "last": ["left", "right", "more"]}

DIVERGED = [
    (abc, renamed, "do 'b' #1", "do 'B' #1"),
    (abc, removed, "do 'b' #1", "do 'c' #1"),
    (abc, inserted, "do 'b' #1", "do 'new' #1"),
    (abc, reordered, "do 'b' #1", "do 'c' #1"),
    (abc, rekinded, "it was a do and is a sleep now", "sleep 'b' #1"),
    (abc, ends_early, "do 'b' #1", "ends without asking for it"),
    (abc, raises_early, "do 'b' #1", "ends without asking for it"),
    (abc, waits_elsewhere, "wait_for_event 'go' #1", "wait_for_event 'another' #1"),
    (loop_3, loop_2, "do 'again' #3", "do 'again'"),
    (loop_3, loop_4, "wait_for_event 'go' #1", "do 'again' #4"),
    (graph(DIAMOND), graph(WITHOUT_RIGHT), "do 'right' #1", "do 'left' #1"),
    (graph(DIAMOND), graph(WITH_MORE), "do 'last' #1", "do 'more' #1"),
]
SAME = [
    (abc, abc, "end"),
    (abc, appended, "more"),
    (abc, with_values, "values"),
    (abc, guarded, ["later", False, True]),
    (parallel, parallel, "parallel"),
    (graph(DIAMOND), graph(DIAMOND), "graph"),
]


def workflow_of(code: Code, **options: Any) -> Any:
    @workflows.workflow(name="changing", **options)
    async def changing(event: workflows.Event, step: workflows.Step) -> Any:
        return await code(step)

    return changing


async def begin(db: Path, code: Code) -> None:
    async with opened(db, workflow_of(code)) as engine:
        instance = await engine.create("changing", id="i")
        await until_recorded(instance, "go")
        await until_status(instance, "waiting")


@pytest.mark.parametrize(("before", "after", "recorded", "asked"), DIVERGED)
async def test_s39_code_that_changed_pauses_the_instance_with_a_report(
    tmp_path: Path, before: Code, after: Code, recorded: str, asked: str
) -> None:
    db = tmp_path / "a.db"
    await begin(db, before)
    async with opened(db, workflow_of(after)) as engine:
        instance = await engine.get("changing", "i")
        await instance.send_event("go")
        await until_status(instance, "paused")
        reason = (await instance.status()).reason
        assert reason is not None
        assert reason.startswith("diverged: ")
        assert recorded in reason
        assert asked in reason
        assert "test_divergence.py:" in reason
        assert "step.patched" in reason
    async with opened(db, workflow_of(before)) as engine:  # the code is put back
        instance = await engine.get("changing", "i")
        await instance.resume()
        await instance.result(PATIENCE_S)


@pytest.mark.parametrize(("before", "after", "output"), SAME)
async def test_s39_code_that_only_goes_on_differently_is_not_divergence(
    tmp_path: Path, before: Code, after: Code, output: Any
) -> None:
    db = tmp_path / "a.db"
    await begin(db, before)
    async with opened(db, workflow_of(after)) as engine:
        instance = await engine.get("changing", "i")
        await instance.send_event("go")
        assert await instance.result(PATIENCE_S) == output


async def test_s39_the_policy_can_be_to_fail(tmp_path: Path) -> None:
    await begin(tmp_path / "a.db", abc)
    async with opened(tmp_path / "a.db", workflow_of(renamed, determinism="fail")) as engine:
        instance = await engine.get("changing", "i")
        await instance.send_event("go")
        with pytest.raises(workflows.WorkflowFailedError) as failed:
            await instance.result(PATIENCE_S)
        assert isinstance(failed.value.cause, workflows.DivergenceError)


async def test_s39_or_to_ignore_it(tmp_path: Path) -> None:
    await begin(tmp_path / "a.db", loop_3)
    async with opened(tmp_path / "a.db", workflow_of(loop_2, determinism="ignore")) as engine:
        instance = await engine.get("changing", "i")
        await instance.send_event("go")
        assert await instance.result(PATIENCE_S) == "short"


async def test_s40_a_patch_stays_what_it_was(tmp_path: Path) -> None:
    async def patched(step: workflows.Step) -> Any:
        await do(step, "a")
        if step.patched("new"):
            await do(step, "new")
        await pause_at(step)
        return step.patched("new")

    db = tmp_path / "a.db"
    await begin(db, patched)
    async with opened(db, workflow_of(patched)) as engine:
        instance = await engine.get("changing", "i")
        assert [info.name for info in await instance.steps() if info.kind == "do"] == ["a", "new"]
        await instance.send_event("go")
        assert await instance.result(PATIENCE_S) is True


async def test_s40_each_version_that_ran_an_instance_is_recorded(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    for version in ("1", "2", "2"):
        async with opened(db, workflow_of(abc, version=version)) as engine:
            instance = await engine.create("changing", id="i", on_conflict="return")
            await until_recorded(instance, "go")
            await until_status(instance, "waiting")
            if version == "2":
                await instance.send_event("other")
                await asyncio.sleep(0.05)
    with workflows.Client(db) as client:
        assert [info.version for info in client.list()] == ["1"]
        entries = client._access.here().entries(1, 0)  # pyright: ignore[reportPrivateUsage]
        assert [entry[-1] for entry in entries if entry[1] == "version"] == [b"2"]


async def test_s39_code_that_waits_for_something_else_between_steps_is_given_time(tmp_path: Path) -> None:
    async def dawdling(step: workflows.Step) -> Any:
        await do(step, "a")
        await asyncio.sleep(0.3)
        await do(step, "b")
        await pause_at(step)
        return "done"

    db = tmp_path / "a.db"
    await begin(db, dawdling)
    async with opened(db, workflow_of(dawdling)) as engine:
        instance = await engine.get("changing", "i")
        await instance.send_event("go")
        assert await instance.result(PATIENCE_S) == "done"


async def test_s39_branches_that_interleave_differently_are_not_divergence(tmp_path: Path) -> None:
    chance = random.Random(7)

    async def branch(step: workflows.Step, number: int, delays: list[int]) -> list[str]:
        results = []
        for turns in delays:

            @step.do("work")
            async def body(turns: int = turns) -> str:
                for _ in range(turns):
                    await asyncio.sleep(0)
                return f"{number}"

            results.append(await body())
        return results

    def code(schedule: list[list[int]]) -> Code:
        async def run(step: workflows.Step) -> Any:
            results = await asyncio.gather(*(branch(step, i, delays) for i, delays in enumerate(schedule)))
            await pause_at(step)
            return results

        return run

    for round_ in range(30):
        db = tmp_path / f"{round_}.db"
        sizes = [chance.randint(1, 4) for _ in range(chance.randint(2, 5))]
        await begin(db, code([[chance.randint(0, 5) for _ in range(size)] for size in sizes]))
        async with opened(
            db, workflow_of(code([[chance.randint(0, 5) for _ in range(size)] for size in sizes]))
        ) as engine:
            instance = await engine.get("changing", "i")
            await instance.send_event("go")
            assert await instance.result(PATIENCE_S) == [[str(i)] * size for i, size in enumerate(sizes)]

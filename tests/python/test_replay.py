"""S41: code against a recorded history, without effects."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import workflows
import workflows.testing
from workflows._blocking import HandOver
from workflows._runner import STALL_TURNS

from support import PATIENCE_S, opened, until_status

ran = list[str]()


def order(*names: str, end: str = "done") -> Any:
    @workflows.workflow(name="order")
    async def code(event: workflows.Event, step: workflows.Step) -> str:
        for name in names:

            @step.do(name)
            async def body(name: str = name) -> str:
                ran.append(name)
                return name

            await body()
        await step.sleep("rest", "1 ms")
        await step.wait_for_event("go", "go")
        return end

    return code


async def recorded(db: Path, *, finished: bool) -> workflows.History:
    async with opened(db, order("a", "b")) as engine:
        instance = await engine.create("order", id="i")
        if finished:
            await instance.send_event("go")
            await instance.result(PATIENCE_S)
        else:
            await until_status(instance, "waiting")
    ran.clear()
    with workflows.Client(db) as client:
        return client.get("order", "i").history()


@pytest.mark.parametrize(
    ("finished", "code", "outcome", "told"),
    [
        (True, order("a", "b"), "match", "does what the history says"),
        (False, order("a", "b"), "incomplete", "as far as that goes"),
        (False, order("a", "c"), "diverged", "do 'b' #1"),
        (True, order("a"), "diverged", "do 'b' #1"),
        (True, order("a", "b", "c"), "diverged", "do 'c' #1"),
        (True, order("a", "b", end="other"), "diverged", "another output"),
    ],
)
async def test_s41_replay_tells_whether_code_does_what_a_history_says(
    tmp_path: Path, finished: bool, code: Any, outcome: str, told: str
) -> None:
    result = workflows.testing.replay(code, await recorded(tmp_path / "a.db", finished=finished))
    assert result.outcome == outcome
    assert told in result.report
    assert ran == []


async def test_s41_replay_writes_nothing(tmp_path: Path) -> None:
    history = await recorded(tmp_path / "a.db", finished=False)
    before = (tmp_path / "a.db").read_bytes()
    workflows.testing.replay(order("x"), history)
    assert (tmp_path / "a.db").read_bytes() == before


async def test_s41_a_history_of_another_workflow_is_refused(tmp_path: Path) -> None:
    @workflows.workflow
    async def another(event: workflows.Event, step: workflows.Step) -> None: ...

    with pytest.raises(workflows.InvalidNameError, match="'order'"):
        workflows.testing.replay(another, await recorded(tmp_path / "a.db", finished=True))


async def test_s39_the_thread_of_a_plain_def_may_be_slow_to_take_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflows.workflow(name="order")
    def code(event: workflows.Event, step: workflows.SyncStep) -> int:
        @step.do("a")
        def a() -> int:
            return 1

        return a()

    async with opened(tmp_path / "shop.db", code) as engine:
        await (await engine.create("order", id="i")).result(PATIENCE_S)
    with workflows.Client(tmp_path / "shop.db") as client:
        history = client.get("order", "i").history()

    async def many_turns() -> None:
        for _ in range(4 * STALL_TURNS):
            await asyncio.sleep(0)

    def hand_over(self: HandOver, ask: Any) -> Any:
        answer = take(self, ask)
        loop = self._run.runner.loop  # pyright: ignore[reportPrivateUsage]
        asyncio.run_coroutine_threadsafe(many_turns(), loop).result(PATIENCE_S)
        return answer

    take = HandOver.__call__
    monkeypatch.setattr(HandOver, "__call__", hand_over)
    assert workflows.testing.replay(code, history).outcome == "match"

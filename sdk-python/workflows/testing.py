"""Helps to test workflows: whether code does what a history says.

with workflows.Client("shop.db") as client:
    history = client.get("Order", "order-17").history()
assert workflows.testing.replay(Order, history).outcome == "match"
"""

from __future__ import annotations

import asyncio
import inspect
import os
import pdb  # noqa: T100 (what `debug` opens)
import threading
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

from workflows._define import name_of
from workflows._engine import Engine
from workflows._errors import InvalidNameError
from workflows._info import History
from workflows._values import Serializer

__all__ = ["ReplayResult", "replay"]

_PACKAGE = os.path.dirname(__file__) + os.sep


@dataclass(frozen=True)
class ReplayResult:
    """What came of a replay.

    Attributes:
        outcome: "match"; "incomplete" if the code does what the history says, but that ended first; "diverged" if it
            does something else.
        report: for people; where they part, and what to do.
    """

    outcome: Literal["match", "incomplete", "diverged"]
    report: str


def replay(
    workflow: Any,
    history: History,
    *,
    env: Any = None,
    serializer: Serializer | None = None,
    debug: str | None = None,
) -> ReplayResult:
    """Runs the code of a workflow over a history, without effects: no step body runs, nothing is written.

    Args:
        workflow: the class or function.
        history: of an instance of this workflow: `Instance.history()`, `ClientInstance.history()`.
        env: what the workflow finds as `self.env`.
        serializer: the one that the history was recorded with; default JsonSerializer.
        debug: the name of a step, or "NAME#COUNT": opens pdb in the code where it gets the outcome of this step.

    Raises:
        InvalidNameError: the history is one of another workflow.
    """
    if name_of(workflow) != history.native.workflow:
        raise InvalidNameError(
            f"{history!r} is not one of the workflow {name_of(workflow)!r}; give the workflow that it was recorded with"
        )
    results: list[ReplayResult | BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(_replay(workflow, history, env, serializer, debug)))
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run, name="workflows-replay")  # so that it works beside a running event loop
    thread.start()
    thread.join()
    (result,) = results
    if isinstance(result, BaseException):
        raise result
    return result


class _Stop:
    """Opens the debugger where user code gets the outcome of a step."""

    def __init__(self, step: str):
        name, mark, count = step.rpartition("#")
        counted = bool(mark) and count.isdecimal()
        self._name = name if counted else step
        self._count = int(count) if counted else None
        self._seen = 0

    def __call__(self, pending: Any) -> None:
        if pending.name != self._name:
            return
        self._seen += 1
        if self._count not in (None, self._seen):
            return
        frame: FrameType | None = inspect.currentframe()
        while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
            frame = frame.f_back
        pdb.Pdb(nosigint=True, skip=["workflows", "workflows.*"]).set_trace(frame)


async def _replay(
    workflow: Any, history: History, env: Any, serializer: Serializer | None, debug: str | None
) -> ReplayResult:
    async with Engine(":memory:", workflows=[workflow], env=env, serializer=serializer) as engine:
        runner = engine._access.here()  # pyright: ignore[reportPrivateUsage]
        if debug is not None:
            runner.shows_values, runner.slow_turn_seconds, runner.on_outcome = True, float("inf"), _Stop(debug)
        status = await runner.reply(runner.host.replay(history.native))
        outcome, _, report = status[4].partition(": ")
        return ReplayResult(outcome, report)

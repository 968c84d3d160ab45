"""Helps to test workflows: whether code does what a history says.

with workflows.Client("shop.db") as client:
    history = client.get("Order", "order-17").history()
assert workflows.testing.replay(Order, history).outcome == "match"
"""

from __future__ import annotations

import asyncio
import bdb
import inspect
import os
import pdb  # noqa: T100 (what `debug` opens)
import threading
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

from workflows._define import name_of
from workflows._engine import Engine
from workflows._errors import InvalidConfigError, InvalidNameError
from workflows._failures import summary
from workflows._info import History
from workflows._pending import FAILURE
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
        debug: the name of a step, or "NAME#COUNT": opens pdb in the code where it gets the outcome of this step, or of
            one that depends on it.

    Raises:
        InvalidNameError: the history is one of another workflow.
        InvalidConfigError: the code gets no outcome of the step to debug.
        bdb.BdbQuit: the debugger was left by `quit`.
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


class _Debugger(pdb.Pdb):
    """Knows whether it was left by `quit`, whatever the code made of that."""

    left = False

    def set_quit(self) -> None:
        """Part of pdb."""
        self.left = True
        super().set_quit()


class _Stop:
    """Opens the debugger where user code gets the outcome of a step, or of one that depends on it."""

    def __init__(self, step: str):
        name, mark, count = step.rpartition("#")
        counted = bool(mark) and count.isdecimal()
        self._name = name if counted else step
        self._count = int(count) if counted else None
        self._due = ""  # what to say in the thread of a plain def
        self.debugger = _Debugger(nosigint=True, skip=["workflows", "workflows.*"])
        self.seen: dict[tuple[str, int], None] = {}
        self.reached = False

    def __call__(self, awaited: Any) -> None:
        """On the thread of the loop."""
        for pending in _with_dependencies(awaited):
            step = (pending.name, awaited.run.runner.host.occurrence(awaited.run.key, pending.ticket))
            is_new = step not in self.seen
            self.seen[step] = None
            if is_new and pending.name == self._name and self._count in (None, step[1]):
                self._due = _words_of(pending, awaited)
        if self._due and awaited.run.definition.is_async:
            self.open()

    def open(self) -> None:
        """In the thread of the code, if it is due."""
        words, self._due = self._due, ""
        if not words or self.debugger.left:
            return
        self.reached = True
        self.debugger.message(words)
        frame: FrameType | None = inspect.currentframe()
        while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
            frame = frame.f_back
        self.debugger.set_trace(frame)

    def check_reached(self, step: str) -> None:
        """InvalidConfigError if the code was never stopped."""
        if not self.reached:
            steps = ", ".join(f"{name}#{count}" for name, count in self.seen) or "none"
            raise InvalidConfigError(f"The code gets no outcome of a step {step!r}. Those whose it gets: {steps}.")


def _with_dependencies(awaited: Any) -> list[Any]:
    found = [awaited]
    for pending in found:  # grows
        found += [each for each in getattr(pending, "depends", ()) if all(each is not known for known in found)]
    return [pending for pending in reversed(found) if pending.outcome is not None]


def _words_of(pending: Any, awaited: Any) -> str:
    if pending.outcome[0] == FAILURE:
        text = f"{pending.name!r} failed: {summary(pending.failure())}"
    else:
        text = f"{pending.name!r} gave {pending.decode(pending.outcome)!r}"
    return text if pending is awaited else f"{text}; {awaited.name!r} needed it"


async def _replay(
    workflow: Any, history: History, env: Any, serializer: Serializer | None, debug: str | None
) -> ReplayResult:
    async with Engine(":memory:", workflows=[workflow], env=env, serializer=serializer) as engine:
        runner = engine._access.here()  # pyright: ignore[reportPrivateUsage]
        stop = None if debug is None else _Stop(debug)
        if stop is not None:
            runner.shows_values, runner.slow_turn_seconds, runner.patience_seconds = True, float("inf"), float("inf")
            runner.on_outcome, runner.on_answer = stop, stop.open
        status = await runner.reply(runner.host.replay(history.native))
        outcome, _, report = status[4].partition(": ")
        if stop is not None and stop.debugger.left:
            raise bdb.BdbQuit
        if stop is not None and debug is not None and outcome != "diverged":
            stop.check_reached(debug)
        return ReplayResult(outcome, report)

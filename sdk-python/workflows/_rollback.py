"""Runs the functions that compensate steps (S31): each attempt is a task, plain functions run in a thread."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from workflows import _failures
from workflows._config import CompiledRollback, public_config
from workflows._context import StepContext, StepName
from workflows._pending import FAILURE, VALUE

if TYPE_CHECKING:
    from workflows._declaration import Declaration
    from workflows._run import Run
    from workflows._runner import Runner

logger = logging.getLogger("workflows")


class Attempt:
    """One attempt to compensate a step."""

    def __init__(self, run: Run, ticket: int, number: int):
        self.run = run
        self.ticket = ticket
        self.number = number
        self.cancelled = False  # read by threads
        self.began: int | None = 0  # the engine's time, in ms; 0: at once; None: it waits for a thread, which sets it
        self.task: asyncio.Task[None] | None = None

    def heartbeat(self, details: Any) -> None:
        """A sign of life, from any thread."""
        self.run.runner.heartbeat(self.run.key, self.ticket, self.number, details)


class Rollbacks:
    """All rollbacks of one engine. Lives on the loop's thread."""

    def __init__(self, runner: Runner):
        self._runner = runner
        self._running: dict[tuple[int, int], Attempt] = {}

    def start(
        self, key: int, ticket: int, number: int, of: int, error: _failures.Failure, output: bytes | None
    ) -> None:
        """Begins an attempt. The code of the run goes on no more."""
        run = self._runner.runs.get(key)
        if run is None:
            return
        run.stop()
        attempt = self._running[key, ticket] = Attempt(run, ticket, number)
        attempt.task = self._runner.spawn(self._run(attempt, run.rollbacks[of], error, output))

    def began(self, key: int, ticket: int, number: int) -> int | None:
        """As in `Attempt`; 0 also if this is not one of ours."""
        attempt = self._running.get((key, ticket))
        return attempt.began if attempt is not None and attempt.number == number else 0

    def cancel(self, key: int, ticket: int, number: int) -> bool:
        """The attempt timed out. False if this is not one of ours."""
        attempt = self._running.get((key, ticket))
        if attempt is None or attempt.number != number:
            return False
        attempt.cancelled = True
        if attempt.task is not None:
            attempt.task.cancel()
        return True

    def cancel_all(self) -> None:
        """The engine closes."""
        for attempt in list(self._running.values()):
            attempt.cancelled = True
            if attempt.task is not None:
                attempt.task.cancel()

    async def _run(self, attempt: Attempt, step: Declaration, failure: _failures.Failure, output: bytes | None) -> None:
        codec = self._runner.codec
        outcome: tuple[Any, ...] | None = None
        try:
            rollback: CompiledRollback = step.rollback
            error = _failures.to_exception(failure, codec)
            value = None if output is None else codec.decode(output)
            context = self._context(attempt, step)
            if inspect.iscoroutinefunction(rollback.function):
                result = await rollback.function(context, error, value)
            else:
                attempt.began = None
                result = await asyncio.to_thread(self._in_thread, attempt, rollback.function, context, error, value)
                if inspect.isawaitable(result):
                    result = await result
            outcome = (VALUE, codec.encode(result, f"result of the rollback of step {step.name!r}"))
        except Exception as problem:
            outcome = (FAILURE, _failures.from_exception(problem, codec))
        finally:
            self._running.pop((attempt.run.key, attempt.ticket), None)
            if outcome is not None and not self._runner.closed:
                self._runner.host.body_finished(attempt.run.key, attempt.ticket, attempt.number, cast("Any", outcome))
                self._runner.touch()

    def _in_thread(self, attempt: Attempt, function: Callable[..., Any], *args: Any) -> Any:
        attempt.began = self._runner.host.now_ms()
        return function(*args)

    def _context(self, attempt: Attempt, step: Declaration) -> StepContext:
        host, key = self._runner.host, attempt.run.key
        return StepContext(
            StepName(step.name, host.occurrence(key, attempt.ticket)),
            attempt.number,
            public_config(host.step_config(key, attempt.ticket)),
            host.idempotency_key(key, attempt.ticket),
            cast("Any", attempt),
        )

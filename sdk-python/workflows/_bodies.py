"""Runs the bodies of steps: async ones as tasks, plain functions in threads."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from workflows import _failures
from workflows._declaration import Node
from workflows._errors import StepError
from workflows._pending import FAILURE, VALUE
from workflows._time import MAX_DURATION_MS, duration_ms
from workflows._watched import Watched

if TYPE_CHECKING:
    from workflows._runner import Runner

logger = logging.getLogger("workflows")

GRACE_SECONDS = 1.0  # how long a cancelled body may go on before that is reported
DELAY_SECONDS = 5.0  # how long a retry delay may take to be computed (S11)


class Body:
    """One attempt that runs."""

    def __init__(self, node: Node, attempt: int):
        self.node = node
        self.attempt = attempt
        self.cancelled = False  # read by threads
        self.task: asyncio.Task[Any] | None = None
        self.next_attempt: int | None = None
        self.bound: inspect.BoundArguments | None = None
        self.context: contextvars.Context = node.context.copy()
        self.what = f"step {node.name!r} of {node.run!r}"


class Bodies:
    """All bodies of one engine. Lives on the loop's thread; worker threads only run functions and encode results."""

    def __init__(self, runner: Runner, threads: int | None):
        self._runner = runner
        self._threads = threads if threads is not None else min(32, (os.cpu_count() or 1) + 4)
        self._pool: ThreadPoolExecutor | None = None
        self._running: dict[tuple[int, int], Body] = {}
        self._delays: set[asyncio.Task[None]] = set()

    def start(self, node: Node, attempt: int) -> None:
        """Begins an attempt, or notes it if an earlier one that ignored its cancellation still runs (S43)."""
        assert node.ticket is not None
        id = (node.run.key, node.ticket)
        earlier = self._running.get(id)
        if earlier is not None:
            earlier.next_attempt = attempt
            return
        body = self._running[id] = Body(node, attempt)
        node.run.bodies += 1
        if node.step.is_async:
            self._spawn(body, self._run_async(body))
        else:
            context = node.step_context(attempt, body) if node.step.parameters.wants_context else None
            self._executor().submit(body.context.run, self._run_in_thread, body, context)

    def cancel(self, key: int, ticket: int, attempt: int) -> None:
        """The attempt timed out or its run is over."""
        body = self._running.get((key, ticket))
        if body is None:
            return
        if body.next_attempt == attempt:  # it never began
            body.next_attempt = None
        if body.attempt == attempt:
            self._cancel(body)

    def _cancel(self, body: Body) -> None:
        if body.cancelled:
            return
        body.cancelled = True
        if body.task is not None:
            body.task.cancel()
        self._runner.loop.call_later(GRACE_SECONDS, self._report_ignored, body)

    def _report_ignored(self, body: Body) -> None:
        if body in self._running.values():
            logger.warning(
                "Attempt %d of %s still runs %g s after it was cancelled; its result will be discarded. In a thread, "
                "look at ctx.cancelled; in async code, let asyncio.CancelledError pass.",
                body.attempt,
                body.what,
                GRACE_SECONDS,
            )

    def _executor(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="workflows-step")
        return self._pool

    def _spawn(self, body: Body, work: Any) -> None:
        body.task = self._runner.spawn(work, body.context)
        body.task.add_done_callback(lambda task: self._ended(body, None if task.cancelled() else task.result()))

    async def _run_async(self, body: Body) -> tuple[Any, ...]:
        node = body.node
        context = node.step_context(body.attempt, body) if node.step.parameters.wants_context else None

        async def call() -> Any:
            bound = node.bind(context)
            result = node.step.function(*bound.args, **bound.kwargs)
            return await (Watched(result, body.what) if asyncio.iscoroutine(result) else result)

        return await self._outcome(body, call())

    async def _outcome(self, body: Body, work: Awaitable[Any]) -> tuple[Any, ...]:
        try:
            return self._encoded(body, await work)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return self._failed(error)  # something that the body awaited was cancelled, not the body
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            return self._failed(error)

    def _run_in_thread(self, body: Body, context: Any) -> None:
        outcome: tuple[Any, ...]
        try:
            bound = body.node.bind(context)
            result = body.node.step.function(*bound.args, **bound.kwargs)
            if inspect.isawaitable(result):  # a plain function that hands on a coroutine
                self._runner.call_soon_from_thread(self._spawn, body, self._outcome(body, result))
                return
            outcome = self._encoded(body, result)
        except BaseException as error:
            outcome = self._failed(error)
        self._runner.call_soon_from_thread(self._ended, body, outcome)

    def _encoded(self, body: Body, result: Any) -> tuple[Any, ...]:
        return (VALUE, self._runner.codec.encode(result, f"result of step {body.node.name!r}"))

    def _failed(self, error: BaseException) -> tuple[Any, ...]:
        return (FAILURE, _failures.from_exception(error, self._runner.codec))

    def _ended(self, body: Body, outcome: tuple[Any, ...] | None) -> None:
        node = body.node
        assert node.ticket is not None
        del self._running[node.run.key, node.ticket]
        node.run.bodies -= 1
        if self._runner.closed:
            return
        if outcome is not None:
            self._runner.host.body_finished(node.run.key, node.ticket, body.attempt, outcome)
        node.run.touch()
        if body.next_attempt is not None and not node.run.stopped:
            self.start(node, body.next_attempt)

    # ---- retry delays

    def choose_delay(self, node: Node, attempt: int, failure: tuple[Any, ...]) -> None:
        """Asks the user's function for the time before the next attempt (S11)."""
        task = self._runner.spawn(self._choose_delay(node, attempt, failure), node.context.copy())
        self._delays.add(task)
        task.add_done_callback(self._delays.discard)

    async def _choose_delay(self, node: Node, attempt: int, failure: tuple[Any, ...]) -> None:
        run, codec = node.run, self._runner.codec
        error = _failures.to_exception(failure, codec)
        answer: int | _failures.Failure
        try:
            answer = await self._delay(node, attempt, error)
        except Exception as problem:
            answer = self._delay_failure(node, error, problem)
        if not self._runner.closed:
            assert node.ticket is not None
            self._runner.host.delay_chosen(run.key, node.ticket, attempt, answer)
            run.touch()

    async def _delay(self, node: Node, attempt: int, error: Exception) -> int:
        function = node.step.config.delay
        if function is None:
            raise LookupError("it was recorded as a function, but the code does not give one now")
        context = node.step_context(attempt, None)
        limit = asyncio.timeout(DELAY_SECONDS)
        try:
            async with limit:
                delay = await asyncio.to_thread(function, context, error)
                if inspect.isawaitable(delay):
                    delay = await delay
        except TimeoutError:
            if limit.expired():
                raise TimeoutError(f"it took longer than {DELAY_SECONDS:g} s") from None
            raise
        milliseconds = duration_ms(delay, "returned delay")
        if milliseconds > MAX_DURATION_MS:
            raise ValueError(f"it returned {delay!r}; a delay lasts 10 years at most")
        return milliseconds

    def _delay_failure(self, node: Node, error: Exception, problem: Exception) -> _failures.Failure:
        failure = StepError(
            f"Step {node.name!r} failed ({_failures.summary(error)}) and is not tried again, because its "
            f"retries.delay function gave no delay: {_failures.summary(problem)}"
        )
        failure.__cause__ = error
        return _failures.from_exception(failure, self._runner.codec)._replace(retryable=False)

    # ---- the end

    @property
    def running(self) -> bool:
        """Whether any body runs."""
        return bool(self._running)

    def cancel_all(self) -> None:
        """Cancels every body and what chooses delays."""
        for body in list(self._running.values()):
            body.next_attempt = None
            self._cancel(body)
        for delay in self._delays:
            delay.cancel()

    def close(self) -> None:
        """Takes no more work. Threads that still run are left to end by themselves."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

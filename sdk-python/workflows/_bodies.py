"""Runs the bodies of steps: async ones as tasks, plain functions in threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from workflows import _failures, _watched
from workflows._context import StepContext
from workflows._declaration import Node
from workflows._errors import StepError
from workflows._pending import FAILURE, VALUE
from workflows._time import MAX_DURATION_MS, duration_ms

if TYPE_CHECKING:
    from workflows._runner import Runner

logger = logging.getLogger("workflows")

GRACE_SECONDS = 1.0  # how long a cancelled body may go on before that is reported
THREAD_NAMES = "workflows-step"  # how those of threads begin that run bodies
DELAY_SECONDS = 5.0  # how long a retry delay may take to be computed (S11)


class Body:
    """One attempt that runs, and what a task has to do with it after its first part."""

    def __init__(self, node: Node, attempt: int):
        self.node = node
        self.attempt = attempt
        self.cancelled = False  # read by threads
        self.began: int | None = 0  # the engine's time, in ms; 0: at once; None: it waits for a thread, which sets it
        self.lost = False  # cut short although nothing is wrong with it: what it makes of that is not its outcome
        self.task: asyncio.Task[Any] | None = None
        self.next_attempt: int | None = None

    def heartbeat(self, details: Any) -> None:
        """A sign of life, from any thread."""
        self.node.run.runner.heartbeat(self.node.run.key, cast("int", self.node.ticket), self.attempt, details)

    @property
    def what(self) -> str:
        """For messages."""
        return f"step {self.node.name!r} of {self.node.run!r}"


class Carrier(Coroutine[Any, Any, Any]):
    """What a task runs that is the current one while bodies run their first part. A body that suspends is adopted: the
    task goes on with it, to its end.
    """

    __slots__ = ("_adopted", "_context", "_coroutine", "_end", "_loop", "_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._woken: asyncio.Future[None] | None = None
        self._coroutine: Any = None
        self._context: Any = None
        self._end: Any = None
        self._adopted: tuple[Any, ...] = ()  # what the body yielded and its task does not know yet

    def __await__(self) -> Any:
        return self

    def adopt(self, coroutine: Any, context: contextvars.Context, yielded: Any, end: Callable[..., Any]) -> None:
        """Goes on with a body that has yielded; what `end(value, error)` makes of its end is the task's result."""
        self._coroutine, self._context, self._end, self._adopted = coroutine, context, end, (yielded,)
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def send(self, value: Any, /) -> Any:
        """Part of the coroutine protocol."""
        if self._coroutine is None:
            self._woken = woken = self._loop.create_future()
            woken._asyncio_future_blocking = True  # as a future's own iterator does
            return woken
        if self._adopted:
            (yielded,), self._adopted = self._adopted, ()
            return yielded
        return self._step(self._coroutine.send, value)

    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any:
        """Part of the coroutine protocol."""
        del tb
        error = typ if val is None else val
        if self._coroutine is None:
            raise error
        self._adopted = ()
        return self._step(self._coroutine.throw, error)

    def _step(self, step: Callable[[Any], Any], value: Any) -> Any:
        try:
            return self._context.run(step, value)
        except StopIteration as stop:
            outcome = self._end(stop.value, None)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            outcome = self._end(None, error)  # something that the body awaited was cancelled, not the body
        raise StopIteration(outcome)

    def close(self) -> None:
        """Part of the coroutine protocol."""
        if self._coroutine is not None:
            self._coroutine.close()


class Bodies:
    """All bodies of one engine. Lives on the loop's thread; worker threads only run functions and encode results."""

    def __init__(self, runner: Runner, threads: int | None):
        self._runner = runner
        self._threads = threads if threads is not None else min(32, (os.cpu_count() or 1) + 4)
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._running: dict[tuple[int, int], Body] = {}
        self._delays: set[asyncio.Task[None]] = set()

    def start(self, node: Node, attempt: int) -> None:
        """Begins an attempt, or notes it if an earlier one that ignored its cancellation still runs (S43)."""
        if node.running:
            self._running[_id(node)].next_attempt = attempt
            return
        body = self._began(Body(node, attempt))
        step = node.declaration
        context = node.step_context(attempt, body) if step.wants_context else None
        if not step.is_async:
            body.began = None
            self._executor().submit(node.context.copy().run, self._run_in_thread, body, context)
            return
        try:
            bound = node.bind(context)
        except BaseException as error:
            self._ended(body, self._failed(error))
        else:
            self._runner.run_body(node, attempt, body, bound.args, bound.kwargs)

    def _began(self, body: Body) -> Body:
        self._running[_id(body.node)] = body
        body.node.running = True
        body.node.run.bodies += 1
        return body

    # ---- the end of the first part of an async body

    def returned(self, node: Node, attempt: int, body: Body | None, value: Any) -> None:
        """It was all of it."""
        self._report(node, attempt, body, self._outcome(node, value, None))

    def raised(self, node: Node, attempt: int, body: Body | None, error: BaseException) -> None:
        """It was all of it."""
        self._report(node, attempt, body, self._failed(error))

    def _report(self, node: Node, attempt: int, body: Body | None, outcome: tuple[Any, ...]) -> None:
        if body is not None:
            self._ended(body, outcome)
        elif not self._runner.closed:
            self._runner.host.body_finished(node.run.key, cast("int", node.ticket), attempt, outcome)
            node.run.touch()

    def adopt(
        self,
        node: Node,
        attempt: int,
        body: Body | None,
        task: asyncio.Task[Any],
        coroutine: Any,
        context: contextvars.Context,
        yielded: Any,
    ) -> None:
        """It has suspended: the task goes on with it."""
        body = body or self._began(Body(node, attempt))
        carrier: Any = task.get_coro()
        watched = self._runner.watched(coroutine, body.what)
        carrier.adopt(watched, context, yielded, functools.partial(self._outcome, node))
        task._log_destroy_pending = True  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        asyncio._register_task(task)
        self._follow(body, self._runner.hold(task))

    def make_idle_task(self) -> asyncio.Task[Any]:
        """A task for bodies that run their first part. Nobody sees it until it adopts one."""
        task = self._runner.loop.create_task(Carrier(self._runner.loop), context=self._runner.turn_context.copy())
        task._log_destroy_pending = False  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        asyncio._unregister_task(task)
        return task

    async def awaiting(self, awaitable: Awaitable[Any]) -> Any:
        """For functions that return something else than a coroutine."""
        return await awaitable

    def report_slow(self, node: Node, coroutine: Any, seconds: float) -> None:
        """The first part took long."""
        _watched.report(coroutine, Body(node, 0).what, seconds)

    def began(self, key: int, ticket: int, attempt: int) -> int | None:
        """As in `Body`. What waits for an attempt before it that does not end, has no time beyond its own: the step is
        not to hang for good.
        """
        body = self._running.get((key, ticket))
        return body.began if body is not None and body.attempt == attempt else 0

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

    def _executor(self) -> concurrent.futures.ThreadPoolExecutor:
        if self._pool is None:
            self._pool = concurrent.futures.ThreadPoolExecutor(self._threads, thread_name_prefix=THREAD_NAMES)
        return self._pool

    def _follow(self, body: Body, task: asyncio.Task[Any]) -> None:
        body.task = task
        task.add_done_callback(lambda task: self._ended(body, None if task.cancelled() else task.result()))

    def _run_in_thread(self, body: Body, context: StepContext | None) -> None:
        body.began = self._runner.host.now_ms()
        try:
            bound = body.node.bind(context)
            result = body.node.function(*bound.args, **bound.kwargs)
        except BaseException as error:
            outcome = self._failed(error)
        else:
            if inspect.isawaitable(result):  # a plain function that hands on a coroutine
                self._runner.call_soon_from_thread(self._go_on, body, result, contextvars.copy_context())
                return
            outcome = self._outcome(body.node, result, None)
        self._runner.call_soon_from_thread(self._ended, body, outcome)

    def _go_on(self, body: Body, awaitable: Awaitable[Any], context: contextvars.Context) -> None:
        task = self.make_idle_task()
        coroutine = self.awaiting(awaitable)
        self.adopt(body.node, body.attempt, body, task, coroutine, context, None)

    def _outcome(self, node: Node, value: Any, error: BaseException | None) -> tuple[Any, ...]:
        if error is None:
            try:
                return (VALUE, self._runner.codec.encode(value, f"result of step {node.name!r}"))
            except BaseException as problem:
                error = problem
        return self._failed(error)

    def _failed(self, error: BaseException) -> tuple[Any, ...]:
        return (FAILURE, _failures.from_exception(error, self._runner.codec))

    def _ended(self, body: Body, outcome: tuple[Any, ...] | None) -> None:
        node = body.node
        del self._running[_id(node)]
        node.running = False
        node.run.bodies -= 1
        if self._runner.closed:
            return
        if outcome is not None and not body.lost:
            self._runner.host.body_finished(node.run.key, cast("int", node.ticket), body.attempt, outcome)
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
        function = node.declaration.delay
        if function is None:
            raise LookupError("it was recorded as a function, but the code does not give one now")
        context = node.step_context(attempt, None)
        limit = asyncio.timeout(None)
        try:
            async with limit:
                delay = await asyncio.to_thread(self._delay_in_thread, limit, function, context, error)
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

    def _delay_in_thread(self, limit: asyncio.Timeout, function: Callable[..., Any], *args: Any) -> Any:
        self._runner.call_soon_from_thread(self._time_delay, limit)
        return function(*args)

    def _time_delay(self, limit: asyncio.Timeout) -> None:
        with contextlib.suppress(RuntimeError):  # the engine has closed meanwhile
            limit.reschedule(self._runner.loop.time() + DELAY_SECONDS)

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
            self._lose(body)
        for delay in self._delays:
            delay.cancel()

    def cancel_run(self, key: int) -> None:
        """Cancels the bodies of one run, which goes on when the engine is opened again."""
        for body in list(self._running.values()):
            if body.node.run.key == key:
                self._lose(body)

    def _lose(self, body: Body) -> None:
        body.lost = True
        body.next_attempt = None
        self._cancel(body)

    def close(self) -> None:
        """Takes no more work. Threads that still run are left to end by themselves."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _id(node: Node) -> tuple[int, int]:
    assert node.ticket is not None
    return (node.run.key, node.ticket)

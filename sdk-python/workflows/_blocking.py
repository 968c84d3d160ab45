"""The verbs for a plain `def run`: it has a thread of its own, in which each verb blocks until the answer is there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from workflows._declaration import Declaration
from workflows._pending import NO_DEFAULT, StepCall
from workflows._step import Rollback, Step, StepLog
from workflows._time import Duration

if TYPE_CHECKING:
    from uuid import UUID

    from workflows._config_classes import RollbackConfig, StepConfig
    from workflows._events import ReceivedEvent
    from workflows._run import Run

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Depends = Sequence["BlockingStep[..., Any]"] | Mapping[str, "BlockingStep[..., Any]"]


class BlockingStep(Generic[P, R]):
    """A step that `@step.do` declared in a plain `def run`: calling it returns the result."""

    __name__: str

    def __init__(self, hand_over: HandOver, declaration: Declaration):
        functools.update_wrapper(self, declaration.function)
        self._hand_over = hand_over
        self.declaration = declaration

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> R: ...

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Runs the step, after what it depends on, and returns its result. Arguments fill the other parameters."""

        def ask() -> StepCall[R]:
            return self.declaration.call(args, kwargs)

        return self._hand_over(ask)

    def __repr__(self) -> str:
        return repr(self.declaration)


class BlockingDecorator(Protocol):
    """What `step.do(...)` returns: it declares the function that it is put on."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> BlockingStep[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> BlockingStep[P, R]: ...


class HandOver:
    """Carries a question from the run's thread to the loop, and the answer back."""

    def __init__(self, run: Run):
        self._run = run

    def __call__(self, ask: Callable[[], Awaitable[T]]) -> T:
        if threading.get_ident() == self._run.runner.thread:
            raise RuntimeError(
                "The verbs of a plain def run block; they cannot be used in an async step body, which runs on the loop"
            )
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()
        context = contextvars.copy_context()
        if not self._run.runner.call_soon_from_thread(self._begin, ask, answer, context):
            raise asyncio.CancelledError(f"{self._run!r} is not running any more")
        try:
            return answer.result()
        except concurrent.futures.CancelledError:
            raise asyncio.CancelledError(f"{self._run!r} is not running any more") from None
        finally:
            if self._run.runner.on_answer is not None:
                self._run.runner.on_answer()

    def _begin(
        self, ask: Callable[[], Awaitable[T]], answer: concurrent.futures.Future[T], context: contextvars.Context
    ) -> None:
        try:
            call = context.run(ask)
        except asyncio.CancelledError:
            answer.cancel()
            return
        except BaseException as error:
            answer.set_exception(error)
            return
        self._run.verbs += 1
        task = self._run.runner.spawn(self._wait(call), context)
        task.add_done_callback(lambda done: self._finish(done, answer))

    async def _wait(self, call: Awaitable[T]) -> T:
        return await call

    def _finish(self, task: asyncio.Task[T], answer: concurrent.futures.Future[T]) -> None:
        self._run.verbs -= 1  # from here on the code may go on, also if its thread takes its time
        if task.cancelled():
            answer.cancel()
            answer.set_running_or_notify_cancel()
        elif (error := task.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(task.result())


class SyncStep:
    """The durable verbs, for a plain `def run`: each blocks and returns the value. `Step` says what they do."""

    def __init__(self, run: Run):
        self._step = Step(run)
        self._hand_over = HandOver(run)

    @property
    def log(self) -> StepLog:
        """A logger that says nothing while the code runs over what it did before."""
        return self._step.log

    @overload
    def do(self, function: Callable[P, Awaitable[R]], /) -> BlockingStep[P, R]: ...

    @overload
    def do(self, function: Callable[P, R], /) -> BlockingStep[P, R]: ...

    @overload
    def do(
        self,
        name: str | None = None,
        depends: Depends | None = None,
        concurrent: bool = False,
        config: StepConfig | Mapping[str, Any] | None = None,
        *,
        max_concurrency: int | None = None,
        rollback: Rollback | None = None,
        rollback_config: RollbackConfig | Mapping[str, Any] | None = None,
        result_type: Any = None,
    ) -> BlockingDecorator: ...

    def do(self, name: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Declares a function as a step; calling it runs it, after what it depends on. As `Step.do`."""
        declare: Callable[..., Any] = self._step.do
        if callable(name):
            return BlockingStep[Any, Any](self._hand_over, declare(name).declaration)
        declare = declare(name, *args, **kwargs)

        def blocking(function: Callable[..., Any]) -> BlockingStep[Any, Any]:
            return BlockingStep(self._hand_over, declare(function).declaration)

        return blocking

    def sleep(self, name: str, duration: Duration) -> None:
        """Sleeps for a duration. As `Step.sleep`."""
        self._hand_over(lambda: self._step.sleep(name, duration))

    def sleep_until(self, name: str, time: datetime | str) -> None:
        """Sleeps until a point in time. As `Step.sleep_until`."""
        self._hand_over(lambda: self._step.sleep_until(name, time))

    @overload
    def wait_for_event(self, name: str, type: str, timeout: Duration | None = "24 hours") -> ReceivedEvent: ...

    @overload
    def wait_for_event(
        self, name: str, type: str, timeout: Duration | None = "24 hours", *, default: T
    ) -> ReceivedEvent | T: ...

    def wait_for_event(
        self, name: str, type: str, timeout: Duration | None = "24 hours", *, default: Any = NO_DEFAULT
    ) -> Any:
        """Waits for an event and returns it. As `Step.wait_for_event`."""
        return self._hand_over(lambda: self._step.wait_for_event(name, type, timeout, default=default))

    def now(self) -> datetime:
        """The time, in UTC; on replay the same as the first time."""
        return self._hand_over(lambda: _ready(self._step.now()))

    def random(self) -> float:
        """A random number from 0 to 1; on replay the same as the first time."""
        return self._hand_over(lambda: _ready(self._step.random()))

    def uuid4(self) -> UUID:
        """A random UUID; on replay the same as the first time."""
        return self._hand_over(lambda: _ready(self._step.uuid4()))

    def patched(self, id: str) -> bool:
        """Whether the code goes the new way here. As `Step.patched`."""
        return self._hand_over(lambda: _ready(self._step.patched(id)))

    def race(self, *steps: BlockingStep[[], T]) -> T:
        """Runs several declared steps and returns what the first one to end gives. As `Step.race`."""

        def ask() -> Awaitable[T]:
            return self._step.race(*(step.declaration.call((), {}) for step in steps))

        return self._hand_over(ask)


async def _ready(value: T) -> T:
    return value

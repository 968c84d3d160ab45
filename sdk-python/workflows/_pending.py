"""What the code of a workflow awaits: a question to the engine, its outcome, and who waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from workflows import _failures
from workflows._events import ReceivedEvent
from workflows._time import to_datetime

if TYPE_CHECKING:
    from workflows._run import Run

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

VALUE, FAILURE, RECEIVED = 0, 1, 2  # what an outcome is, its first member
NO_DEFAULT: Any = object()


class Pending:
    """A step that the code asked for. Lives on the loop's thread.

    Each await has a future of its own, so that cancelling one awaiting task does not disturb another.
    """

    verb = ""  # of `step`

    __slots__ = ("_heard", "_waiters", "abandoned", "error", "expected", "name", "outcome", "run", "ticket")

    def __init__(self, run: Run, name: str):
        self.run = run
        self.name = name
        self.ticket: int | None = None
        self.outcome: tuple[Any, ...] | None = None
        self.error: Exception | None = None  # the engine refused the question
        self.expected = False  # the code may await it
        self.abandoned = False
        self._heard = False  # somebody got the outcome
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def settled(self) -> bool:
        """Whether there is something to hand over."""
        return self.outcome is not None or self.error is not None

    def settle(self, outcome: tuple[Any, ...]) -> None:
        """The outcome is durable."""
        self.outcome = outcome
        self._wake()

    def refuse(self, error: Exception) -> None:
        """The engine did not take the question; nothing is recorded."""
        self.error = error
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def cancel_waiters(self) -> None:
        """The run is over: nobody gets an answer."""
        for waiter in self._waiters:
            waiter.cancel()

    def wait(self) -> Generator[Any, None, Any]:
        """Suspends until the outcome is there and returns its value."""
        self.run.unawaited.pop(self, None)
        if self.abandoned:
            raise RuntimeError(
                f"Step {self.name!r} is awaited again after its await was cancelled. Put asyncio.shield(...) around an "
                f"await that is to be repeated."
            )
        if not self.settled:
            yield from self._suspend()
        if self.run.stopped:
            raise asyncio.CancelledError
        self._heard = True
        return self.value()

    def _suspend(self) -> Generator[Any, None, None]:
        waiter = self.run.runner.loop.create_future()
        self._waiters.append(waiter)
        try:
            yield from waiter.__await__()
        except BaseException as error:
            self._waiters.remove(waiter)
            collected = isinstance(error, GeneratorExit)
            if (
                not collected and not self._waiters and not self._heard
            ):  # also when the outcome came in the same turn as the cancellation
                self.run.abandon(self)
            raise
        self._waiters.remove(waiter)

    def value(self) -> Any:
        """What the step gave, decoded anew for everyone who asks, or its exception."""
        if self.outcome is None or self.outcome[0] == FAILURE:
            raise self.failure()
        return self.decode(self.outcome)

    def failure(self) -> Exception:
        """The exception of a step that failed."""
        if self.error is not None:
            return self.error
        assert self.outcome is not None
        return _failures.to_exception(self.outcome[1], self.run.runner.codec)

    def decode(self, outcome: tuple[Any, ...]) -> Any:
        """The value of an outcome that is not a failure."""
        raise NotImplementedError


class Sleep(Pending):
    """A `step.sleep` or `step.sleep_until`."""

    verb = "sleep"

    __slots__ = ()

    def decode(self, outcome: tuple[Any, ...]) -> None:
        """Sleeps have no value."""
        del outcome


class Wait(Pending):
    """A `step.wait_for_event`."""

    verb = "wait_for_event"

    __slots__ = ("default",)

    def __init__(self, run: Run, name: str, default: Any):
        super().__init__(run, name)
        self.default = default

    def value(self) -> Any:
        """The event, or the default if the wait timed out."""
        if self.default is NO_DEFAULT or self.outcome is None or self.outcome[0] != FAILURE:
            return super().value()
        timed_out = self.outcome[1][0] == "WaitTimeoutError"
        return self.default if timed_out else super().value()

    def decode(self, outcome: tuple[Any, ...]) -> ReceivedEvent:
        """The event that was taken."""
        _, type, payload, at = outcome
        return ReceivedEvent(type, self.run.runner.codec.decode(payload), to_datetime(at))


class StepCall(Coroutine[Any, Any, R_co], Generic[R_co]):
    """What a step verb returns in async code: await it, or give it to `asyncio.gather`, `TaskGroup.create_task` and
    the like. The step was asked for when the verb was called, not when it is awaited.
    """

    __slots__ = ("_driver", "_pending")

    def __init__(self, pending: Pending):
        self._pending = pending
        self._driver: Generator[Any, None, R_co] | None = None

    def __await__(self) -> Generator[Any, None, R_co]:
        return self._pending.wait()

    def __repr__(self) -> str:
        return f"<StepCall of {self._pending.name!r}>"

    def _drive(self) -> Generator[Any, None, R_co]:
        if self._driver is None:
            self._driver = self.__await__()
        return self._driver

    def send(self, value: Any, /) -> Any:
        """Part of the coroutine protocol, for asyncio."""
        return self._drive().send(value)

    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any:
        """Part of the coroutine protocol, for asyncio."""
        del tb
        return self._drive().throw(typ if val is None else val)

    def close(self) -> None:
        """Part of the coroutine protocol, for asyncio."""
        if self._driver is not None:
            self._driver.close()

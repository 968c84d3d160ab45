"""What the code of a workflow awaits: a question to the engine, its outcome, and who waits for that."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from workflows import _core, _failures
from workflows._time import to_datetime

if TYPE_CHECKING:
    from workflows._events import ReceivedEvent
    from workflows._run import Run

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

VALUE, FAILURE, RECEIVED = 0, 1, 2  # what an outcome is, its first member
NO_DEFAULT: Any = object()


class Pending(_core.Pending):
    """A step that the code asked for. Lives on the loop's thread."""

    verb = ""  # of `step`

    __slots__ = ()

    run: Run

    def value(self) -> Any:
        """What the step gave, decoded anew for everyone who asks, or its exception."""
        if self.run.runner.on_outcome is not None:
            self.run.runner.on_outcome(self)
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
        from workflows._events import ReceivedEvent

        _, type, payload, at = outcome
        return ReceivedEvent(type, self.run.runner.codec.decode(payload), to_datetime(at))


class StepCall(_core.StepCall, Coroutine[Any, Any, R_co], Generic[R_co]):
    """What a step verb returns in async code: await it, or give it to `asyncio.gather`, `TaskGroup.create_task` and
    the like. The step was asked for when the verb was called, not when it is awaited.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __await__(self) -> Generator[Any, None, R_co]: ...

"""What the code of a workflow gets as `step`."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from workflows import _core, _names
from workflows._config import compile_config
from workflows._declaration import Declaration
from workflows._errors import InvalidConfigError
from workflows._pending import NO_DEFAULT, Sleep, StepCall, Wait
from workflows._time import Duration, duration_ms, moment_ms

if TYPE_CHECKING:
    from uuid import UUID

    from workflows._config_classes import RollbackConfig, StepConfig
    from workflows._events import ReceivedEvent
    from workflows._run import Run

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Rollback = Callable[[Any, Exception, Any], Any]
Depends = Sequence["DeclaredStep[..., Any]"] | Mapping[str, "DeclaredStep[..., Any]"]


class DeclaredStep(_core.DeclaredStep, Generic[P, R]):
    """A step that `@step.do` declared. Calling it asks for the step, `await` gives its result.

    Dependencies run first. Arguments that are not dependencies are passed at the call: `await charge(order, amount=5)`.
    Called twice, the step runs twice, under the same name and another count.
    """

    declaration: Declaration
    __name__: str
    __wrapped__: Callable[P, Any]

    if TYPE_CHECKING:

        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> StepCall[R]: ...

        @overload
        def __call__(self, *args: Any, **kwargs: Any) -> StepCall[R]: ...

        def __call__(self, *args: Any, **kwargs: Any) -> StepCall[R]:
            """Asks for the step. Arguments fill the parameters that no dependency fills.

            Raises:
                DependencyError: a cycle, or a parameter that nothing fills.
                TypeError: arguments that the function does not take.
            """
            ...

    def __getattr__(self, name: str) -> Any:
        """The function's name, attributes and signature."""
        return self.declaration.function if name == "__wrapped__" else getattr(self.declaration.function, name)

    def __repr__(self) -> str:
        return repr(self.declaration)


class _Doc:
    """The docstring of a class, and on its instances that of their function."""

    def __init__(self, of_class: str | None):
        self._of_class = of_class

    def __get__(self, step: DeclaredStep[..., Any] | None, owner: type) -> str | None:
        return self._of_class if step is None else step.declaration.function.__doc__


DeclaredStep.__doc__ = cast("Any", _Doc(DeclaredStep.__doc__))


class StepDecorator(Protocol):
    """What `step.do(...)` returns: it declares the function that it is put on."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> DeclaredStep[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> DeclaredStep[P, R]: ...


class Step:
    """The durable verbs, for an async `run`. What they return is recorded; after a crash the code runs again and every
    verb that has an outcome returns it at once.
    """

    def __init__(self, run: Run):
        self._run = run

    @functools.cached_property
    def log(self) -> StepLog:
        """A logger that says nothing while the code runs over what it did before."""
        return StepLog(self._run)

    @overload
    def do(self, function: Callable[P, Awaitable[R]], /) -> DeclaredStep[P, R]: ...

    @overload
    def do(self, function: Callable[P, R], /) -> DeclaredStep[P, R]: ...

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
    ) -> StepDecorator: ...

    def do(
        self,
        name: Any = None,
        depends: Depends | None = None,
        concurrent: bool = False,
        config: StepConfig | Mapping[str, Any] | None = None,
        *,
        max_concurrency: int | None = None,
        rollback: Rollback | None = None,
        rollback_config: RollbackConfig | Mapping[str, Any] | None = None,
        result_type: Any = None,
    ) -> Any:
        """Declares a function as a step; runs nothing. `await function()` runs it, after what it depends on.

            @step.do("charge the card", config={"retries": {"limit": 3, "delay": "2 seconds"}})
            async def charge(order, ctx):        # `order` is another step; ctx is the context
                return await cards.charge(order["total"], ctx.idempotency_key)

            receipt = await charge()

        A plain `def` runs in a thread. The result is recorded before it is returned.

        Args:
            name: 1 to 256 characters; the function's name when left out. Works without parentheses, too: `@step.do`.
            depends: what it depends on: a list of steps, whose results are passed in that order, or a dict from
                parameter names to steps. When left out: parameters named like a step or its function.
            concurrent: run independent dependencies at the same time, over the whole graph below this step.
            config: retries, timeout, sensitive; see `StepConfig`.
            max_concurrency: at most so many steps of that graph at a time; needs `concurrent=True`.
            rollback: what compensates this step once it has started, if the instance fails later: a function
                `(ctx, error, output)`, async or not; `output` is None if the step has none. Rollbacks run one at a
                time, the last step first, each as a durable step with retries.
            rollback_config: retries, timeout and `on_failure` ("halt" or "continue") of the rollback; see
                `RollbackConfig`.
            result_type: the type of the result, for reading values whose class has moved; default: the return
                annotation.

        Raises:
            InvalidNameError, InvalidConfigError, DependencyError: what was given is not accepted; the message names it.
        """
        compiled = compile_config(config, rollback, rollback_config)
        width = _width(concurrent, max_concurrency)
        declare = functools.partial(
            _core.declare, self._run, None if callable(name) else name, depends, width, compiled, result_type
        )
        return declare(name) if callable(name) else declare

    def sleep(self, name: str, duration: Duration) -> StepCall[None]:
        """Sleeps for a duration: a timedelta, or text such as "30 minutes". It counts from this call, also if it is
        awaited later, and is over at the same moment after a crash. At most 10 years.
        """
        milliseconds = duration_ms(duration, f"duration of sleep {name!r}")
        return self._sleep(name, milliseconds, absolute=False)

    def sleep_until(self, name: str, time: datetime | str) -> StepCall[None]:
        """Sleeps until a point in time: a datetime with a time zone, or ISO 8601 text with one. A time that has passed
        returns at once.
        """
        milliseconds = moment_ms(time, f"time of sleep_until {name!r}")
        return self._sleep(name, milliseconds, absolute=True)

    def _sleep(self, name: str, milliseconds: int, *, absolute: bool) -> StepCall[None]:
        pending = Sleep(self._run, _names.step_name(name))
        self._run.sleep(pending, milliseconds, absolute)
        return StepCall(pending)

    @overload
    def wait_for_event(
        self, name: str, type: str, timeout: Duration | None = "24 hours"
    ) -> StepCall[ReceivedEvent]: ...

    @overload
    def wait_for_event(
        self, name: str, type: str, timeout: Duration | None = "24 hours", *, default: T
    ) -> StepCall[ReceivedEvent | T]: ...

    def wait_for_event(
        self, name: str, type: str, timeout: Duration | None = "24 hours", *, default: Any = NO_DEFAULT
    ) -> StepCall[Any]:
        """Waits for an event of a type that is sent to this instance, before or after this call.

        Args:
            name: the name of the step.
            type: 1 to 100 characters: letters, digits, _ . and -.
            timeout: a duration; None waits for ever, a duration of zero only looks.
            default: returned when the time is over, instead of raising.

        Raises:
            WaitTimeoutError: no event came in time (when awaited).
        """
        milliseconds = None if timeout is None else duration_ms(timeout, f"timeout of wait_for_event {name!r}")
        pending = Wait(self._run, _names.step_name(name), default)
        self._run.wait_for_event(pending, _names.event_type(type), milliseconds)
        return StepCall(pending)

    def now(self) -> datetime:
        """The time, in UTC; on replay the same as the first time."""
        return self._value("now", datetime.now(UTC))

    def random(self) -> float:
        """A random number from 0 to 1 (not included); on replay the same as the first time."""
        import random

        return self._value("random", random.random())

    def uuid4(self) -> UUID:
        """A random UUID; on replay the same as the first time."""
        import uuid

        return self._value("uuid4", uuid.uuid4())

    def _value(self, name: str, value: T) -> T:
        codec = self._run.runner.codec
        return cast("T", codec.decode(self._run.value(name, codec.encode(value, name))))

    def patched(self, id: str) -> bool:
        """Whether the code goes the new way here.

            if step.patched("check the address"):
                await check_address()

        True, and recorded, in runs that came here after the patch; False, for good, in runs that had passed this point
        before.
        """
        return self._run.patched(_names.step_name(id))

    async def race(self, *steps: Awaitable[T] | DeclaredStep[[], T]) -> T:
        """Awaits several steps, or runs several declared ones, and returns what the first one to end gives, or raises
        its exception; which one that was is recorded. The others are not awaited any more. They go on, and their
        outcomes are recorded; but a wait leaves the event to the next one.

            paid = await step.race(step.wait_for_event("paid", "paid"), step.sleep("too late", "1 day"))
        """
        if not steps:
            raise TypeError("race needs at least one step")
        awaitables: list[Awaitable[T]] = [one() if isinstance(one, DeclaredStep) else one for one in steps]
        tasks = [asyncio.ensure_future(one) for one in awaitables]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            winner = tasks[self._value("race", _index(tasks, done))]
            return await winner
        finally:
            for task in tasks:
                task.cancel()


def _index(steps: Sequence[Any], winners: set[Any]) -> int:
    return next(i for i, step in enumerate(steps) if step in winners)


class StepLog(logging.LoggerAdapter[logging.Logger]):
    """Logs what the code does for the first time; says nothing while it runs over what it did before (S38)."""

    def __init__(self, run: Run):
        super().__init__(logging.getLogger(f"workflows.{run.definition.name}"), {})
        self._run = run

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        """Whether a message would be logged now."""
        return not self._run.is_replaying and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Adds which instance it is, and the step that its code asked for last."""
        extra: dict[str, Any] = dict(kwargs.get("extra") or {})
        extra |= {"workflow": self._run.definition.name, "instance": self._run.id, "step": self._run.last_step}
        kwargs["extra"] = extra
        return msg, kwargs


def _width(concurrent: object, max_concurrency: object) -> int:
    if concurrent is False and max_concurrency is None:
        return 1
    if not isinstance(concurrent, bool):
        raise InvalidConfigError(f"concurrent is {concurrent!r}. Accepted: True or False.")
    if max_concurrency is None:
        return 0 if concurrent else 1
    if not concurrent:
        raise InvalidConfigError("max_concurrency bounds a concurrent graph; add concurrent=True")
    if not isinstance(max_concurrency, int) or isinstance(max_concurrency, bool) or not 1 <= max_concurrency < 2**32:
        raise InvalidConfigError(f"max_concurrency is {max_concurrency!r}. Accepted: a whole number from 1 on.")
    return max_concurrency

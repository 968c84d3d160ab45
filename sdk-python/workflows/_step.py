"""What workflow code gets as `step`, and the steps that it declares."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from workflows import _names
from workflows._config import Compiled, StepConfig, compile_config, public_config
from workflows._errors import DependencyError, InvalidConfigError
from workflows._parameters import Given, Parameters
from workflows._pending import NO_DEFAULT, Pending, StepCall, Wait
from workflows._time import Duration, duration_ms, moment_ms

if TYPE_CHECKING:
    from workflows._bodies import Body
    from workflows._events import ReceivedEvent
    from workflows._run import Run

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Depends = Sequence["DeclaredStep[..., Any]"] | Mapping[str, "DeclaredStep[..., Any]"]


class StepName(Mapping[str, Any]):
    """Which step this is: `name`, and `count`, the how-manieth of that name in this run."""

    __slots__ = ("count", "name")

    def __init__(self, name: str, count: int):
        self.name = name
        self.count = count

    def __getitem__(self, key: str) -> Any:
        return {"name": self.name, "count": self.count}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(("name", "count"))

    def __len__(self) -> int:
        return 2


class StepContext(Mapping[str, Any]):
    """What the body of a step gets as its parameter `ctx`. Also a mapping with the keys step, attempt, config.

    Attributes:
        step: `step.name`, and `step.count`, the how-manieth step of that name in this run.
        attempt: 1 for the first attempt; goes on counting after a crash.
        config: the config that the step runs with; a copy.
        idempotency_key: the same for every attempt and replay of this step, and no other; give it to services that
            must not do a thing twice.
    """

    __slots__ = ("_body", "attempt", "config", "idempotency_key", "step")

    def __init__(
        self, step: StepName, attempt: int, config: StepConfig, idempotency_key: str, body: Body | None = None
    ):
        self.step = step
        self.attempt = attempt
        self.config = config
        self.idempotency_key = idempotency_key
        self._body = body

    @property
    def cancelled(self) -> bool:
        """Whether this attempt has timed out or its run is over. A body in a thread should look and return early; in
        an async body the current await raises asyncio.CancelledError.
        """
        return self._body is not None and self._body.cancelled

    def __getitem__(self, key: str) -> Any:
        if key == "step":
            return self.step
        if key == "attempt":
            return self.attempt
        if key == "config":
            return self.config.as_dict()
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("step", "attempt", "config"))

    def __len__(self) -> int:
        return 3


class Node(Pending):
    """One run of a declared step within the graph of its instance."""

    __slots__ = ("context", "depends", "given", "id", "needed", "step")

    def __init__(self, run: Run, step: DeclaredStep[..., Any], id: int, depends: Sequence[Node] = ()):
        super().__init__(run, step.name)
        self.step = step
        self.id = id
        self.depends = depends
        self.given = Given()
        self.needed = False  # another step waits for the outcome
        self.context: Any = None  # contextvars of the caller

    def decode(self, outcome: tuple[Any, ...]) -> Any:
        """The result, as the annotated type if its class has moved."""
        return self.run.runner.codec.decode(outcome[1], self.step.result_hint)

    def bind(self, context: StepContext | None) -> inspect.BoundArguments:
        """The arguments for the function: results of dependencies, arguments of the call."""
        results = [node.value() for node in self.depends]
        names = list(self.step.depends)
        values = dict(zip(names, results, strict=False))
        return self.step.parameters.bind(context, values, self.given, results[len(names) :])

    def step_context(self, attempt: int, body: Body | None) -> StepContext:
        """The context for an attempt."""
        host, key, ticket = self.run.runner.host, self.run.key, cast("int", self.ticket)
        return StepContext(
            StepName(self.name, host.occurrence(key, ticket)),
            attempt,
            public_config(host.step_config(key, ticket)),
            host.idempotency_key(key, ticket),
            body,
        )


class DeclaredStep(Generic[P, R]):
    """A step that `@step.do` declared. Calling it asks for the step, `await` gives its result.

    Dependencies run first. Arguments that are not dependencies are passed at the call: `await charge(order, amount=5)`.
    Called twice, the step runs twice, under the same name and another count.
    """

    __name__: str

    def __init__(
        self,
        run: Run,
        function: Callable[..., Any],
        name: str | None,
        *,
        depends: Depends | None,
        width: int,
        config: Compiled,
        result_type: Any,
    ):
        functools.update_wrapper(self, function)
        self._run = run
        self.function = function
        self.name = _names.step_name(name if name is not None else getattr(function, "__name__", ""))
        self.width = width  # how many steps of its graph run at a time; 0: no bound
        self.config = config
        self.parameters = Parameters(function)
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
        )
        self.depends: dict[str, DeclaredStep[..., Any]] = {}
        self.extra: list[DeclaredStep[..., Any]] = []  # for *args, or only to come after
        self.node: Node | None = None
        self._result_type = result_type
        self._by_name = depends is None
        if depends is None:
            self._bind_by_name(())
        elif isinstance(depends, Mapping):
            self._bind_map(depends)
        else:
            self._bind_list(depends)
        run.declared(self)

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
        return StepCall(self._run.call(self, args, kwargs))

    def __repr__(self) -> str:
        return f"<step {self.name!r}>"

    @property
    def run(self) -> Run:
        """The run that it was declared in."""
        return self._run

    def result_hint(self) -> object:
        """The type that results should have: `result_type`, or the return annotation."""
        if self._result_type is not None:
            return self._result_type
        try:
            return typing.get_type_hints(self.function).get("return")
        except Exception:  # names that are local to `run`
            return getattr(self.function, "__annotations__", {}).get("return")

    def all_depends(self) -> list[DeclaredStep[..., Any]]:
        """What it depends on, in the order of its parameters."""
        return [*self.depends.values(), *self.extra]

    def accept(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Given:
        """Sorts the arguments of a direct call."""
        self.bind_late(kwargs)
        given = self.parameters.accept(self.name, args, kwargs, self.depends)
        self.check_complete(given, (self,))
        return given

    def bind_late(self, given: Iterable[str]) -> None:
        """Before its first run: steps that were declared after it."""
        if self._by_name and self.node is None:
            self._bind_by_name(given)

    def check_complete(self, given: Given, trail: Sequence[DeclaredStep[..., Any]]) -> None:
        """DependencyError if a parameter stays empty. `trail` leads from the step that was called to this one."""
        missing = self.parameters.missing(given, self.depends)
        if not missing:
            return
        path = " -> ".join([*(step.name for step in trail), missing[0]])
        raise DependencyError(
            f"Parameter {missing[0]!r} of step {self.name!r} is neither a declared step nor given at the call "
            f"({path}). Declared: {self._run.declared_names()}."
        )

    def _bind_by_name(self, given: Iterable[str]) -> None:
        for parameter in self.parameters.named:
            if parameter.name in self.depends or parameter.name in given:
                continue
            found = self._run.find_declared(parameter.name)
            if found is not None and not (found is self and parameter.default is not inspect.Parameter.empty):
                self.depends[parameter.name] = found
        order = [p.name for p in self.parameters.named]
        self.depends = dict(sorted(self.depends.items(), key=lambda item: order.index(item[0])))

    def _bind_map(self, depends: Mapping[str, DeclaredStep[..., Any]]) -> None:
        known = {parameter.name for parameter in self.parameters.named}
        for name, step in depends.items():
            if name not in known:
                raise DependencyError(
                    f"depends of step {self.name!r} names the parameter {name!r}, which its function does not have. "
                    f"It has: {', '.join(sorted(known)) or 'none'}."
                )
            self.depends[name] = self._dependency(step)

    def _bind_list(self, depends: object) -> None:
        if isinstance(depends, str) or not isinstance(depends, Sequence):
            raise DependencyError(
                f"depends of step {self.name!r} is {depends!r}. Accepted: a list of declared steps, or a dict from "
                f"parameter names to them."
            )
        steps = [self._dependency(step) for step in cast("Sequence[object]", depends)]
        named = self.parameters.named
        self.depends = {parameter.name: step for parameter, step in zip(named, steps, strict=False)}
        self.extra = steps[len(named) :]
        if self.extra and named and not self.parameters.takes_extra:
            raise DependencyError(
                f"Step {self.name!r} depends on {len(steps)} steps, but its function takes {len(named)} results "
                f"({', '.join(p.name for p in named)}); give it as many parameters, or none to leave the results out"
            )

    def _dependency(self, step: object) -> DeclaredStep[..., Any]:
        step = getattr(step, "declared", step)
        if not isinstance(step, DeclaredStep):
            raise DependencyError(
                f"depends of step {self.name!r} has {step!r}, which is not a declared step; decorate it with @step.do"
            )
        found = cast("DeclaredStep[..., Any]", step)
        if found.run is not self._run:
            raise DependencyError(
                f"Step {self.name!r} depends on {found.name!r}, which was declared in another instance "
                f"({self.name} -> {found.name}); declare it in this run"
            )
        return found


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
            result_type: the type of the result, for reading values whose class has moved; default: the return
                annotation.

        Raises:
            InvalidNameError, InvalidConfigError, DependencyError: what was given is not accepted; the message names it.
        """
        compiled, width = compile_config(config), _width(concurrent, max_concurrency)

        def declare(function: Callable[..., Any]) -> Any:
            if not callable(function):
                raise TypeError(f"@step.do goes on a function; found {function!r}")
            given = None if callable(name) else name
            return DeclaredStep[Any, Any](
                self._run, function, given, depends=depends, width=width, config=compiled, result_type=result_type
            )

        return declare(name) if callable(name) else declare

    def sleep(self, name: str, duration: Duration) -> StepCall[None]:
        """Sleeps for a duration: a timedelta, or text such as "30 minutes". It counts from this call, also if it is
        awaited later, and is over at the same moment after a crash. At most 10 years.
        """
        milliseconds = duration_ms(duration, f"duration of sleep {name!r}")
        return StepCall(self._run.sleep(_names.step_name(name), milliseconds, absolute=False))

    def sleep_until(self, name: str, time: datetime | str) -> StepCall[None]:
        """Sleeps until a point in time: a datetime with a time zone, or ISO 8601 text with one. A time that has passed
        returns at once.
        """
        milliseconds = moment_ms(time, f"time of sleep_until {name!r}")
        return StepCall(self._run.sleep(_names.step_name(name), milliseconds, absolute=True))

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
        return StepCall(self._run.wait_for_event(pending, _names.event_type(type), milliseconds))


def _width(concurrent: object, max_concurrency: object) -> int:
    if not isinstance(concurrent, bool):
        raise InvalidConfigError(f"concurrent is {concurrent!r}. Accepted: True or False.")
    if max_concurrency is None:
        return 0 if concurrent else 1
    if not concurrent:
        raise InvalidConfigError("max_concurrency bounds a concurrent graph; add concurrent=True")
    if not isinstance(max_concurrency, int) or isinstance(max_concurrency, bool) or not 1 <= max_concurrency < 2**32:
        raise InvalidConfigError(f"max_concurrency is {max_concurrency!r}. Accepted: a whole number from 1 on.")
    return max_concurrency

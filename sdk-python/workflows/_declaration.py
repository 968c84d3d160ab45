"""A step that workflow code declared, and its runs within the graph of its instance (S33-S36)."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from workflows import _core, _names
from workflows._config import Compiled, public_config
from workflows._context import StepContext, StepName
from workflows._errors import DependencyError
from workflows._parameters import Given, Parameters
from workflows._pending import Pending, StepCall

if TYPE_CHECKING:
    from workflows._bodies import Body
    from workflows._run import Run


class Node(_core.Node, Pending):
    """One run of a declared step."""

    verb = "do"

    __slots__ = ()

    step: Declaration | None
    given: Given | None
    depends: Sequence[Node]

    def decode(self, outcome: tuple[Any, ...]) -> Any:
        """The result, as the annotated type if its class has moved."""
        return self.run.runner.codec.decode(outcome[1], self._result_hint)

    def _result_hint(self) -> object:
        """The type that results should have: `result_type`, or the return annotation."""
        if self.result_type is not None:
            return self.result_type
        try:
            return typing.get_type_hints(self.function).get("return")
        except Exception:  # names that are local to `run`
            return getattr(self.function, "__annotations__", {}).get("return")

    @property
    def declaration(self) -> Declaration:
        """What it runs, as long as it has not ended."""
        assert self.step is not None
        return self.step

    def bind(self, context: StepContext | None) -> inspect.BoundArguments:
        """The arguments for the function: results of dependencies, arguments of the call."""
        step = self.declaration
        results = [node.value() for node in self.depends]
        names = list(step.depends)
        values = dict(zip(names, results, strict=False))
        return step.parameters.bind(context, values, self.given or Given(), results[len(names) :])

    def step_context(self, attempt: int, body: Body | None) -> StepContext:
        """The context for an attempt."""
        host, key, ticket = self.run.runner.host, self.run.key, cast("int", self.ticket)
        details = host.last_heartbeat(key, ticket) if attempt > 1 else None
        return StepContext(
            StepName(self.name, host.occurrence(key, ticket)),
            attempt,
            public_config(host.step_config(key, ticket)),
            host.idempotency_key(key, ticket),
            body,
            None if details is None else self.run.runner.codec.decode(details),
        )


class Declaration(_core.Declaration):
    """One `@step.do`: a function, its name and config, and what it depends on.

    Dependencies are bound to declarations, not to names: redeclaring a name changes nothing for who is bound already.
    """

    run: Run
    node: Node | None
    parameters: Parameters
    depends: dict[str, Declaration]
    extra: Sequence[Declaration]  # for *args, or only to come after

    __slots__ = ("_by_name",)

    def __init__(
        self,
        run: Run,
        function: Callable[..., Any],
        name: str | None,
        depends: object,
        config: Compiled,
        result_type: Any,
        width: int,
    ):
        if not callable(function):
            raise TypeError(f"@step.do goes on a function; found {function!r}")
        function_name: str = getattr(function, "__name__", "")
        known_as = _names.step_name(name if name is not None else function_name)
        super().__init__(run, function, known_as, config, result_type, width)
        self._by_name = depends is None
        if depends is None:
            self._bind_by_name(())
        elif isinstance(depends, Mapping):
            self._bind_map(cast("Mapping[object, object]", depends))
        else:
            self._bind_list(depends)
        self.bare = not (self.parameters.takes_arguments or self.depends or self.extra)
        run.by_function[function_name] = run.by_name[self.name] = self

    def __repr__(self) -> str:
        return f"<step {self.name!r}>"

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> StepCall[Any]:
        """A direct call by user code that takes arguments or is part of a graph."""
        return StepCall(self.run.call(self, args, kwargs))

    def all_depends(self) -> list[Declaration]:
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
        if self.node is None and self.parameters.named and self._by_name:
            self._bind_by_name(given)

    def check_complete(self, given: Given, trail: Sequence[Declaration]) -> None:
        """DependencyError if a parameter stays empty. `trail` leads from the step that was called to this one."""
        missing = self.parameters.missing(given, self.depends)
        if not missing:
            return
        path = " -> ".join([*(step.name for step in trail), missing[0]])
        raise DependencyError(
            f"Parameter {missing[0]!r} of step {self.name!r} is neither a declared step nor given at the call "
            f"({path}). Declared: {self.run.declared_names()}."
        )

    def _bind_by_name(self, given: Iterable[str]) -> None:
        for parameter in self.parameters.named:
            if parameter.name in self.depends or parameter.name in given:
                continue
            found = self.run.find_declared(parameter.name)
            if found is not None and not (found is self and parameter.default is not inspect.Parameter.empty):
                self.depends[parameter.name] = found
        order = [p.name for p in self.parameters.named]
        self.depends = dict(sorted(self.depends.items(), key=lambda item: order.index(item[0])))

    def _bind_map(self, depends: Mapping[object, object]) -> None:
        known = {parameter.name for parameter in self.parameters.named}
        for name, step in depends.items():
            if not isinstance(name, str) or name not in known:
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

    def _dependency(self, step: object) -> Declaration:
        found = getattr(step, "declaration", None)
        if not isinstance(found, Declaration):
            raise DependencyError(
                f"depends of step {self.name!r} has {step!r}, which is not a declared step; decorate it with @step.do"
            )
        if found.run is not self.run:
            raise DependencyError(
                f"Step {self.name!r} depends on {found.name!r}, which was declared in another instance "
                f"({self.name} -> {found.name}); declare it in this run"
            )
        return found

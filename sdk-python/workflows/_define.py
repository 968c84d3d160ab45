"""How workflows are written: a class with `run`, or a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias, TypeVar, overload

from workflows import _core, _names
from workflows._config import choice, retention_ms
from workflows._errors import InvalidNameError
from workflows._time import Duration

if TYPE_CHECKING:
    from workflows._config_classes import Retention

_MARK = "__workflow__"
_POLICIES = ("pause", "fail", "ignore")

Determinism: TypeAlias = Literal["pause", "fail", "ignore"]
Kept: TypeAlias = "Retention | Mapping[str, Any] | Duration | None"


class WorkflowEntrypoint:
    """Base of workflows that are written as a class.

    The workflow is named after the class, or after its attribute `name`. `run` may be `async def` or a plain `def`; in
    a plain one every step verb blocks and returns the value (it runs on a thread of its own).

        class Order(workflows.WorkflowEntrypoint):
            async def run(self, event: workflows.Event, step: workflows.Step) -> str:
                @step.do("charge the card")
                async def charge() -> str:
                    return await self.env.cards.charge(event.payload["card"])

                return await charge()

    A new object is made for every run; what a step does is recorded, what an object holds is not.

    Attributes:
        name: the workflow's name, if it is not to be the class's.
        version: recorded with each instance that is created, and when another version goes on with one.
        determinism: what becomes of an instance whose code no longer does what its history says: "pause" it with a
            report, "fail" it, or "ignore" that.
        retention: how long finished instances are kept; a `Retention`, a dict of its keys, or one duration for all.
        env: what was given to the engine as `env=`.
    """

    name: ClassVar[str]
    version: ClassVar[str] = ""
    determinism: ClassVar[Determinism] = "pause"
    retention: ClassVar[Kept] = None
    env: Any

    def run(self, event: Any, step: Any) -> Any:
        """The workflow's code. What it returns is the instance's output; an exception that leaves it fails it."""
        raise NotImplementedError(f"{type(self).__name__} is a workflow and needs a method run(self, event, step)")


_Function = TypeVar("_Function", bound=Callable[..., Any])


@overload
def workflow(function: _Function, /) -> _Function: ...


@overload
def workflow(
    *, name: str | None = None, version: str = "", retention: Kept = None, determinism: Determinism = "pause"
) -> Callable[[_Function], _Function]: ...


def workflow(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    version: str = "",
    retention: Kept = None,
    determinism: Determinism = "pause",
) -> Any:
    """Makes a function `(event, step)` a workflow, with or without parentheses. The function stays what it is.

        @workflows.workflow
        async def groceries(event: workflows.Event, step: workflows.Step) -> None: ...

    Args:
        function: async, or a plain function in which every step verb blocks.
        name: the workflow's name; the function's when left out.
        version: recorded with each instance that is created, and when another version goes on with one.
        retention: how long finished instances are kept; default: for ever.
        determinism: what becomes of an instance whose code no longer does what its history says: "pause", "fail" or
            "ignore".

    Raises:
        InvalidConfigError: retention or determinism is not accepted.
        InvalidNameError: the name is not one that a workflow may have.
    """

    def mark(target: Any) -> Any:
        if not callable(target):
            raise TypeError(f"@workflows.workflow goes on a function (event, step); found {target!r}")

        def make(_env: Any) -> Any:
            return target

        definition = Definition(
            name=_names.workflow_name(name if name is not None else getattr(target, "__name__", "")),
            version=_version(version),
            determinism=choice(determinism, "determinism", _POLICIES),
            retention=retention_ms(retention) or (None, None),
            is_async=inspect.iscoroutinefunction(target),
            make=make,
            place=_place(target),
        )
        setattr(target, _MARK, definition)
        return target

    return mark if function is None else mark(function)


class Definition(NamedTuple):
    """A workflow as the engine needs it.

    Attributes:
        make: called with the engine's `env`; gives the code of one run.
        place: file and line of the code, for warnings.
    """

    name: str
    version: str
    determinism: str
    retention: _core.Retention
    is_async: bool
    make: Callable[[Any], Callable[[Any, Any], Any]]
    place: tuple[str, int]


def _place(function: Any) -> tuple[str, int]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else ("<unknown>", 1)


def _version(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidNameError(f"A workflow's version must be a string, found {value!r} of type {type(value).__name__}")
    return value


def define(target: Any) -> Definition:
    """The definition of a workflow class or function."""
    marked = getattr(target, _MARK, None)
    if isinstance(marked, Definition):
        return marked
    if isinstance(target, type) and issubclass(target, WorkflowEntrypoint) and target is not WorkflowEntrypoint:
        return _define_class(target)
    raise TypeError(
        f"{target!r} is not a workflow. Accepted: a subclass of workflows.WorkflowEntrypoint, or a function decorated "
        f"with @workflows.workflow."
    )


def _define_class(cls: type[WorkflowEntrypoint]) -> Definition:
    def make(env: Any) -> Callable[[Any, Any], Any]:
        entrypoint = cls.__new__(cls)
        entrypoint.env = env  # so that __init__ finds it
        cls.__init__(entrypoint)
        return entrypoint.run

    return Definition(
        name=_names.workflow_name(getattr(cls, "name", cls.__name__)),
        version=_version(cls.version),
        determinism=choice(cls.determinism, "determinism", _POLICIES),
        retention=retention_ms(cls.retention) or (None, None),
        is_async=inspect.iscoroutinefunction(cls.run),
        make=make,
        place=_place(cls.run),
    )


def name_of(target: Any) -> str:
    """The name of a workflow that is given as class, function or name."""
    return _names.workflow_name(target) if isinstance(target, str) else define(target).name

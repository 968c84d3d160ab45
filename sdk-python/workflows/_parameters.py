"""Which parameter of a step's function gets what: the context, a dependency, an argument of the call (S33)."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

_CONTEXT = "ctx"
_ANY_PARAMETERS = inspect.Signature(
    [
        inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ]
)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Given(NamedTuple):
    """Arguments of one call: by parameter, and what goes to `*args` and `**kwargs`."""

    named: Mapping[str, Any] = {}
    extra: Sequence[Any] = ()
    keywords: Mapping[str, Any] = {}


class Parameters:
    """The parameters of one function."""

    __slots__ = ("_signature", "_variadic", "is_async", "named", "wants_context")

    def __init__(self, function: Callable[..., Any]):
        self._signature = _signature(function)
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
        )
        parameters = self._signature.parameters
        self.wants_context = _CONTEXT in parameters
        self.named = [p for p in parameters.values() if p.kind not in _VARIADIC and p.name != _CONTEXT]
        self._variadic = {p.kind: p.name for p in parameters.values() if p.kind in _VARIADIC}

    @property
    def takes_arguments(self) -> bool:
        """Whether there are parameters but the context."""
        return bool(self.named or self._variadic)

    @property
    def takes_extra(self) -> bool:
        """Whether there is a `*args`."""
        return inspect.Parameter.VAR_POSITIONAL in self._variadic

    def accept(self, step: str, args: tuple[Any, ...], kwargs: dict[str, Any], taken: Mapping[str, object]) -> Given:
        """Sorts the arguments of a call; `taken` are the parameters that dependencies fill. Else TypeError."""
        free = [p for p in self.named if p.name not in taken]
        positional = [p for p in free if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        if len(args) > len(positional) and not self.takes_extra:
            raise TypeError(
                f"step {step!r} takes at most {len(positional)} positional arguments{_but(taken)}, not {len(args)}"
            )
        named: dict[str, Any] = {p.name: arg for p, arg in zip(positional, args, strict=False)}
        keywords: dict[str, Any] = {}
        known = {p.name for p in free if p.kind is not inspect.Parameter.POSITIONAL_ONLY}
        for name, value in kwargs.items():
            if name in named:
                raise TypeError(f"step {step!r} got two values for the argument {name!r}")
            if name in known:
                named[name] = value
            elif inspect.Parameter.VAR_KEYWORD in self._variadic and name not in taken and name != _CONTEXT:
                keywords[name] = value
            else:
                raise TypeError(f"step {step!r} takes no argument {name!r}{_but(taken)}")
        return Given(named, args[len(positional) :], keywords)

    def missing(self, given: Given, taken: Mapping[str, object]) -> list[str]:
        """Parameters that nothing fills."""
        return [
            p.name
            for p in self.named
            if p.default is inspect.Parameter.empty and p.name not in given.named and p.name not in taken
        ]

    def bind(
        self, context: object, values: Mapping[str, Any], given: Given, extra: Sequence[Any]
    ) -> inspect.BoundArguments:
        """The arguments to call the function with."""
        arguments: OrderedDict[str, Any] = OrderedDict()
        bound = inspect.BoundArguments(self._signature, arguments)
        if not self._signature.parameters:
            return bound
        arguments.update(given.named)
        arguments.update(values)
        if self.wants_context:
            arguments[_CONTEXT] = context
        for kind, name in self._variadic.items():
            arguments[name] = (
                (*extra, *given.extra) if kind is inspect.Parameter.VAR_POSITIONAL else dict(given.keywords)
            )
        bound.apply_defaults()
        return bound


def _but(taken: Mapping[str, object]) -> str:
    return f" ({', '.join(taken)} {'are' if len(taken) > 1 else 'is'} filled by dependencies)" if taken else ""


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except ValueError:  # some functions made in C do not say
        return _ANY_PARAMETERS

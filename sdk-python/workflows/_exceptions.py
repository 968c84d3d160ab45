"""Exceptions taken apart into values, and put together again without running their constructors (S13)."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, cast

_PACKAGE = os.path.dirname(__file__) + os.sep
_HEAD = "Traceback (most recent call last):\n"
_KEPT = "_workflows_traceback"  # attribute of an exception: how it was recorded before


def find_attribute(reference: str) -> object | None:
    """What "module:qualified.name" names, importing the module if that works; None if there is no such thing."""
    module_name, _, qualified = reference.partition(":")
    found: Any = sys.modules.get(module_name)
    if found is None:
        try:
            found = importlib.import_module(module_name)
        except Exception:
            return None
    for part in qualified.split("."):
        found = getattr(found, part, None)
    return cast("object | None", found)


def reference_to(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def find_exception(reference: str) -> type[Exception] | None:
    found = find_attribute(reference)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _builtin_base(cls: type[BaseException]) -> type[BaseException]:
    """The nearest class that comes with Python: it alone may hold state outside `args` and `__dict__`."""
    return next(base for base in cls.__mro__ if base.__module__ == "builtins" and issubclass(base, BaseException))


def take_apart(error: BaseException) -> tuple[tuple[object, ...], dict[str, object]]:
    """Arguments and attributes, notes included."""
    base: Any = _builtin_base(type(error))
    _, args, *rest = base.__reduce__(error)
    state = dict(rest[0]) if rest and rest[0] else {}
    state.pop(_KEPT, None)
    return tuple(args), state


def put_together(cls: type[Exception], args: tuple[object, ...], state: dict[str, object]) -> Exception:
    """The exception as it was. `__init__` of user classes does not run: its signature need not fit `args`."""
    base = _builtin_base(cls)
    try:
        error = base.__new__(cls, *args)
    except TypeError:  # a class made in C has a constructor of its own
        error = cls.__new__(cls, *args)
    try:
        base.__init__(error, *args)
    except TypeError:  # a user class passes other arguments on
        error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error


def traceback_text(error: BaseException, *, chain: bool = True) -> str:
    """The traceback for people, without the frames of this library; with those of its causes, if `chain` is set."""
    shown = traceback.TracebackException.from_exception(error)
    todo: list[traceback.TracebackException | None] = [shown]
    seen = set[int]()
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if frames := _of_user(each.stack):
            each.stack = traceback.StackSummary.from_list(frames)
        todo += [each.__cause__, each.__context__, *(each.exceptions or ())]
    return "".join(shown.format(chain=chain))


def keep_traceback(error: BaseException, text: str) -> None:
    """Lets an exception that was recorded, and is raised again from the record, show where it came from first."""
    if _HEAD in text:
        with contextlib.suppress(AttributeError, TypeError):
            setattr(error, _KEPT, text)


def recorded_traceback(error: BaseException) -> str:
    """The traceback as it is recorded, without the causes: each is recorded with its own. One that was kept goes on
    from where the exception was raised again.
    """
    kept: str | None = getattr(error, _KEPT, None)
    if kept is None:
        return traceback_text(error, chain=error.__cause__ is None)
    before, head, after = f"\n{kept}".rpartition(f"\n{_HEAD}")
    frames = "".join(traceback.format_list(_of_user(traceback.extract_tb(error.__traceback__)))) if head else ""
    return f"{before}{head}{frames}{after}"[1:]


def _of_user(frames: traceback.StackSummary) -> list[traceback.FrameSummary]:
    return [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]


def safely(show: Callable[[object], str], value: object) -> str:
    """What `show` says of the value, or its class."""
    try:
        return show(value)
    except Exception:
        return f"<{type(value).__qualname__}>"


def text_of(error: BaseException) -> str:
    """`str(error)`, whatever its class makes of that."""
    return safely(str, error)

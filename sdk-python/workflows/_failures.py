"""Exceptions of user code as the engine records them, and back (S13)."""

from __future__ import annotations

from typing import Any, NamedTuple

from workflows._errors import (
    DependencyError,
    NonRetryableError,
    PayloadTooLargeError,
    SerializationError,
    StepError,
    by_name,
)
from workflows._exceptions import keep_traceback, recorded_traceback, text_of
from workflows._values import Codec

_FINAL = (NonRetryableError, SerializationError, PayloadTooLargeError, DependencyError)
_MAX_CAUSES = 32
_MAX_TRACEBACK = 32_000  # characters


class Failure(NamedTuple):
    """As it crosses to the engine. `data` is JSON: class, arguments and attributes."""

    type: str
    message: str
    retryable: bool
    traceback: str
    cause: Any  # Failure | None, as a plain tuple when it comes from the engine
    data: bytes


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def from_exception(error: BaseException, codec: Codec, *, _depth: int = 0) -> Failure:
    """Never fails, whatever the exception holds."""
    cause = error.__cause__
    return Failure(
        type=f"{type(error).__module__}.{type(error).__qualname__}",
        message=_printable(text_of(error)),
        retryable=not isinstance(error, _FINAL),
        traceback=_printable(recorded_traceback(error)[-_MAX_TRACEBACK:]),
        cause=from_exception(cause, codec, _depth=_depth + 1) if cause is not None and _depth < _MAX_CAUSES else None,
        data=codec.encode_exception(error),
    )


def to_exception(failure: tuple[Any, ...], codec: Codec) -> Exception:
    """The exception as it was, or StepError with all that is recorded of it."""
    record = Failure._make(failure)
    error = _restored(record, codec)
    keep_traceback(error, record.traceback)
    if record.cause is not None:
        error.__cause__ = to_exception(record.cause, codec)
    return error


def _restored(record: Failure, codec: Codec) -> Exception:
    data: Any = None
    if record.data:
        error, data = codec.decode_exception(record.data)
        if error is not None:
            return error
    name = record.type.removeprefix("workflows.")
    if name in by_name and not issubclass(by_name[name], StepError):  # made by the engine
        return by_name[name](record.message)
    return StepError(record.message, type_name=record.type, traceback=record.traceback, data=data)


def summary(error: BaseException) -> str:
    """One line for messages: "ValueError: too small"."""
    name = type(error).__name__
    if isinstance(error, StepError):  # stands for a class that is not here
        name = error.type_name.rpartition(".")[2]
    return f"{name}: {error}" if str(error) else name

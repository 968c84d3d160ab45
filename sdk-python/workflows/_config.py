"""How a step runs (S9), and the options of the engine, as Python users write them. The engine fills in defaults."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from workflows import _core
from workflows._errors import InvalidConfigError, InvalidDurationError
from workflows._time import duration_ms
from workflows._values import encode

if TYPE_CHECKING:
    from workflows._config_classes import StepConfig


class Compiled(NamedTuple):
    """A checked config: what the engine gets (None: the defaults), and the delay that the engine asks us for."""

    native: _core.StepConfig | None = None
    delay: Callable[[Any, Exception], Any] | None = None
    rollback: CompiledRollback | None = None


class CompiledRollback(NamedTuple):
    """How a step is compensated."""

    function: Callable[..., Any]
    native: _core.StepConfig | None
    goes_on: bool


_DEFAULTS = Compiled()
_BACKOFFS = ("constant", "linear", "exponential")


def compile_config(
    config: StepConfig | Mapping[str, Any] | None, rollback: object = None, rollback_config: object = None
) -> Compiled:
    """Checks a step's config. Raises InvalidConfigError that names the key."""
    compiled = _DEFAULTS if config is None else _compile(_members(config, "StepConfig", "config"))
    if rollback is None and rollback_config is None:
        return compiled
    return compiled._replace(rollback=_rollback(rollback, rollback_config))


def _rollback(function: object, config: object) -> CompiledRollback:
    if not callable(function):
        raise InvalidConfigError(
            f"rollback is {function!r}. Accepted: a function (ctx, error, output), async or not."
            if function is not None
            else "rollback_config needs rollback: the function that compensates the step"
        )
    _check_takes_three(function)
    if config is None:
        return CompiledRollback(function, None, False)
    given = dict(_members(config, "RollbackConfig", "rollback_config"))
    on_failure = given.pop("on_failure", "halt")
    if on_failure not in ("halt", "continue"):
        raise _refusal("on_failure", on_failure, '"halt" or "continue"')
    compiled = _compile(given)
    if compiled.delay is not None:
        raise _refusal("retries.delay", compiled.delay, "for a rollback, a duration")
    return CompiledRollback(function, compiled.native, on_failure == "continue")


def _check_takes_three(function: Callable[..., Any]) -> None:
    """Found now, not when the step is to be undone."""
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError as error:
        raise InvalidConfigError(
            f"rollback is {function!r}, which cannot be called with three arguments: {error}. Accepted: a function "
            "(ctx, error, output), async or not."
        ) from None
    except ValueError:  # some functions made in C do not say what they take
        return


def _compile(given: Mapping[str, Any]) -> Compiled:
    plain: dict[str, Any] = {}
    delay: Callable[[Any, Exception], Any] | None = None
    if "retries" in given:
        plain["retries"], delay = _retries(given["retries"])
    if "timeout" in given:
        plain["timeout"] = _duration(given["timeout"], "timeout")
    if given.get("heartbeat_timeout") is not None:
        plain["heartbeat_timeout"] = _duration(given["heartbeat_timeout"], "heartbeat_timeout")
    sensitive = given.get("sensitive")
    if sensitive is not None:
        if sensitive != "output":
            raise _refusal("sensitive", sensitive, '"output"')
        plain["sensitive"] = sensitive
    return Compiled(_core.StepConfig(encode(plain, "config").decode(), delay is not None), delay)


def _retries(value: object) -> tuple[dict[str, Any], Callable[[Any, Exception], Any] | None]:
    given = _members(value, "Retries", "config retries")
    plain: dict[str, Any] = {}
    delay: Callable[[Any, Exception], Any] | None = None
    if "limit" in given:
        plain["limit"] = _limit(given["limit"])
    if "delay" in given:
        if callable(given["delay"]):
            delay = given["delay"]
        else:
            plain["delay"] = _duration(given["delay"], "retries.delay")
    if "backoff" in given:
        if given["backoff"] not in _BACKOFFS:
            raise _refusal("retries.backoff", given["backoff"], '"constant", "linear" or "exponential"')
        plain["backoff"] = given["backoff"]
    if "max_delay" in given:
        plain["max_delay"] = _duration(given["max_delay"], "retries.max_delay")
    if "jitter" in given:
        plain["jitter"] = _share(given["jitter"])
    return plain, delay


def _members(value: object, shape_name: str, where: str, what: str = "The step's") -> Mapping[str, Any]:
    import dataclasses

    from workflows import _config_classes

    shape: type[Any] = getattr(_config_classes, shape_name)
    known = [f.name for f in dataclasses.fields(shape)]
    if isinstance(value, shape):
        return {name: getattr(value, name) for name in known}
    if not isinstance(value, Mapping):
        raise InvalidConfigError(
            f"{what} {where} is {value!r} of type {type(value).__name__}. Accepted: a dict with the keys "
            f"{', '.join(known)}, or workflows.{shape_name}."
        )
    for key in cast("Mapping[object, Any]", value):
        if key not in known:
            raise InvalidConfigError(f"{what} {where} has an unknown key {key!r}. Known keys: {', '.join(known)}.")
    return cast("Mapping[str, Any]", value)


def _refusal(key: str, value: object, accepted: str) -> InvalidConfigError:
    return InvalidConfigError(f"In the step's config {key} is {value!r}, which is not accepted. Accepted: {accepted}.")


def _duration(value: object, key: str) -> int:
    try:
        return duration_ms(value, f"step's config {key}")
    except InvalidDurationError as error:
        raise InvalidConfigError(str(error)) from None


def _limit(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**32 - 1:
        raise _refusal("retries.limit", value, "a whole number from 0 on; 0 means one attempt")
    return value


def _share(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1 or math.isnan(value):
        raise _refusal("retries.jitter", value, "a number from 0 to 1")
    return float(value)


def public_config(native: _core.StepConfig) -> StepConfig:
    """The config that a step runs with, for its context."""
    from workflows._config_classes import Retries, StepConfig

    return StepConfig(
        retries=Retries(
            limit=native.limit,
            delay=timedelta(milliseconds=native.delay_ms),
            backoff=cast("Any", native.backoff),
            max_delay=timedelta(milliseconds=native.max_delay_ms),
            jitter=native.jitter,
        ),
        timeout=timedelta(milliseconds=native.timeout_ms),
        heartbeat_timeout=None
        if native.heartbeat_timeout_ms is None
        else timedelta(milliseconds=native.heartbeat_timeout_ms),
        sensitive="output" if native.sensitive_output else None,
    )


# ---- options of the engine


def retention_ms(value: object) -> _core.Retention | None:
    """Milliseconds of a Retention, of a dict of its keys, or of one duration for both."""
    if value is None:
        return None
    if isinstance(value, (str, timedelta)):
        both = duration_ms(value, "retention")
        return (both, both)
    given = _members(value, "Retention", "retention", what="The")
    kept = [given.get(key) for key in ("success", "failure")]
    success, failure = (None if one is None else duration_ms(one, "retention") for one in kept)
    return (success, failure)


_SIZES = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}


def size_bytes(value: object, what: str) -> int:
    """Bytes of `1048576` or "1 MiB"; None and 0 mean no limit."""
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        number = value.strip().rstrip("abgikmABGIKM").rstrip()
        unit = value.strip()[len(number) :].strip().lower()
        try:
            size = float(number) * _SIZES[unit]
        except (KeyError, ValueError):
            size = -1
        if 0 <= size < 2**63:
            return math.ceil(size)
    raise InvalidConfigError(
        f'The {what} is {value!r}. Accepted: a number of bytes, or text such as "512 KiB" or "1 MiB"; 0 for none.'
    )


def count(value: object, what: str, *, least: int) -> int:
    """A whole number of at least `least` that the engine can hold."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**32:
        raise InvalidConfigError(f"The {what} is {value!r}. Accepted: a whole number from {least} on.")
    return value


def choice(value: object, what: str, accepted: tuple[str, ...]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in accepted:
        raise InvalidConfigError(f"The {what} is {value!r}. Accepted: {', '.join(map(repr, accepted))}.")
    return value


def database_path(value: object) -> bytes:
    """The path as the operating system has it."""
    if not isinstance(value, (str, os.PathLike)):
        raise InvalidConfigError(
            f'db is {value!r} of type {type(value).__name__}. Accepted: the path of a file, or ":memory:".'
        )
    path = os.fsencode(cast("str | os.PathLike[str]", value))
    if not path or b"\0" in path or b"://" in path:
        raise InvalidConfigError(f'db is {value!r}. Accepted: the path of a file, or ":memory:".')
    return path

"""Durations and points in time, as Python has them and as the engine counts them: in milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workflows import _core
from workflows._errors import InvalidDurationError

Duration = timedelta | str
"""A `timedelta`, or text such as "30 minutes", "1h30m" or "1.5 days"."""

MAX_DURATION_MS = 10 * 36525 * 24 * 3600 * 10  # ten years of 365.25 days

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def _ceiling(span: timedelta) -> int:
    return -(-span // _MILLISECOND)


def duration_ms(value: object, what: str) -> int:
    """Milliseconds, fractions rounded up. `what` names the value in errors."""
    if isinstance(value, timedelta):
        if value < timedelta(0):
            raise InvalidDurationError(f"The {what} is {value!r}; a duration is not negative")
        return _ceiling(value)
    if isinstance(value, str):
        try:
            return _core.parse_duration(value)
        except (InvalidDurationError, TypeError) as error:  # TypeError: half a surrogate pair
            raise InvalidDurationError(f"The {what} cannot be read. {error}") from None
    raise InvalidDurationError(
        f"The {what} is {value!r} of type {type(value).__name__}. Accepted: a timedelta, or text with units such as "
        f'"30 seconds", "1h30m" or "1.5 days"; a bare number does not say its unit.'
    )


def moment_ms(value: object, what: str) -> int:
    """Milliseconds since 1970 of an aware datetime or an ISO 8601 text, fractions rounded up."""
    return _ceiling(_since_epoch(value, what))


def after_ms(value: object, what: str) -> int:
    """The same as a bound: what comes after that moment has more milliseconds, cut to whole ones."""
    moment = _since_epoch(value, what)
    whole = moment // timedelta(milliseconds=1)
    return whole if moment == timedelta(milliseconds=whole) else whole - 1


def _since_epoch(value: object, what: str) -> timedelta:
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise InvalidDurationError(
                f"The {what} {value!r} cannot be read ({error}). Accepted: ISO 8601 such as 2026-05-01T09:00:00+00:00."
            ) from None
    if not isinstance(moment, datetime):
        raise InvalidDurationError(
            f"The {what} is {value!r} of type {type(value).__name__}. Accepted: a datetime with a time zone, or ISO "
            f"8601 text such as 2026-05-01T09:00:00+00:00."
        )
    if moment.utcoffset() is None:
        raise InvalidDurationError(
            f"The {what} {value!r} has no time zone; add one, for example .replace(tzinfo=datetime.timezone.utc)"
        )
    return moment - _EPOCH


def to_datetime(milliseconds: int) -> datetime:
    """The UTC time that the engine counts as `milliseconds`."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_datetime_or_none(milliseconds: int | None) -> datetime | None:
    """`to_datetime`, but None stays None."""
    return None if milliseconds is None else to_datetime(milliseconds)


def wait_seconds(value: float | timedelta | str | None, what: str) -> float | None:
    """A timeout of a waiting call in seconds; a number counts as seconds, as in asyncio. None: for ever."""
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not value >= 0:
            raise InvalidDurationError(f"The {what} is {value!r}; it must be 0 or more seconds")
        return float(value)
    return duration_ms(value, what) / 1000

"""Checks of names before they cross to the engine, which knows the rules (S1, S2, S8, S21)."""

from __future__ import annotations

from workflows import _core
from workflows._errors import InvalidNameError


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidNameError(f"The {what} must be a string, found {value!r} of type {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidNameError(
            f"The {what} {value!r} has half a surrogate pair at position {error.start + 1}"
        ) from None
    return value


def workflow_name(value: object) -> str:
    """The name, if it may be one of a workflow; else InvalidNameError."""
    name = _text(value, "workflow name")
    _core.check_workflow_name(name)
    return name


def instance_id(value: object) -> str:
    """The id, if it may be one of an instance; else InvalidNameError."""
    name = _text(value, "instance id")
    _core.check_instance_id(name)
    return name


def step_name(value: object) -> str:
    """The name, if it may be one of a step; else InvalidNameError."""
    name = _text(value, "step name")
    _core.check_step_name(name)
    return name


def event_type(value: object) -> str:
    """The type, if it may be one of an event; else InvalidNameError."""
    name = _text(value, "event type")
    _core.check_event_type(name)
    return name


def event_id(value: object) -> str:
    """The id, if it may deduplicate an event; else InvalidNameError."""
    name = _text(value, "event id")
    if not name:
        raise InvalidNameError("The event id is empty; leave it out to send without deduplication")
    return name

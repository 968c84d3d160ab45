"""The exceptions of the library. One table, `by_code`, maps the engine's error codes to them."""

from __future__ import annotations

from typing import Any, ClassVar


class WorkflowsError(Exception):
    """Base of every exception that the library raises.

    `code` is the same short string in Python, C++, the command line and HTTP, for example "instance_not_found".
    """

    code: ClassVar[str] = "error"

    def __str__(self) -> str:  # KeyError, a base of some, would quote the message
        return BaseException.__str__(self)


class InstanceNotFoundError(WorkflowsError, KeyError):
    """No instance of this workflow has this id."""

    code = "instance_not_found"


class InstanceExistsError(WorkflowsError):
    """The id is taken, or it is taken with other params (`on_conflict="return"`)."""

    code = "instance_exists"


class InstanceFinishedError(WorkflowsError):
    """The instance is finished; it takes no more events."""

    code = "instance_finished"


class InvalidTransitionError(WorkflowsError):
    """The instance's status does not allow this call."""

    code = "invalid_transition"


class InvalidNameError(WorkflowsError, ValueError):
    """A workflow name, instance id, step name or event type that is not accepted."""

    code = "invalid_name"


class InvalidConfigError(WorkflowsError, ValueError):
    """An option or a key of a step's config that is unknown or has a value that is not accepted."""

    code = "invalid_config"


class InvalidDurationError(WorkflowsError, ValueError):
    """A duration or a point in time that cannot be read."""

    code = "invalid_duration"


class StepError(WorkflowsError):
    """A failure whose own class cannot be restored here: recorded by another program, or its class is gone.

    Attributes:
        type_name: the class as it was recorded, such as "shop.CardDeclined" or "ProcessLost".
        message: its text.
        traceback: the recorded traceback as text, "" if there is none.
        data: arguments and attributes as recorded, or None.
    """

    code = "step_failed"

    def __init__(self, message: str = "", *, type_name: str = "StepError", traceback: str = "", data: Any = None):
        super().__init__(message)
        self.type_name = type_name
        self.message = message
        self.traceback = traceback
        self.data = data


class StepTimeoutError(WorkflowsError, TimeoutError):
    """An attempt took longer than the `timeout` of the step's config."""

    code = "step_timeout"


class WaitTimeoutError(WorkflowsError, TimeoutError):
    """No event came within the timeout of `step.wait_for_event`."""

    code = "wait_timeout"


class NonRetryableError(WorkflowsError):
    """Raise this (or a subclass) in a step to fail the step at once, without further attempts.

    raise workflows.NonRetryableError("the card is stolen")
    """

    code = "non_retryable"


class SerializationError(WorkflowsError, TypeError):
    """A value that cannot be recorded, or a recorded value that cannot be read. The message names its path and type."""

    code = "serialization"


class PayloadTooLargeError(WorkflowsError, ValueError):
    """A value that, encoded, is larger than the engine's `payload_limit`."""

    code = "payload_too_large"


class StepLimitError(WorkflowsError):
    """The instance asked for more steps than the engine's `step_limit`."""

    code = "step_limit"


class DivergenceError(WorkflowsError):
    """The code does not ask for what is recorded of this run."""

    code = "divergence"


class DependencyError(WorkflowsError):
    """A step cannot run because of what it depends on: a cycle, something missing, or a dependency that failed.

    If a dependency failed, its exception is the `__cause__`.
    """

    code = "dependency"


class WorkflowFailedError(WorkflowsError):
    """The instance failed. `cause` (also `__cause__`) is the exception that left its `run`."""

    code = "workflow_failed"

    def __init__(self, message: str = "", cause: BaseException | None = None):
        super().__init__(message)
        self.cause = cause
        if cause is not None:
            self.__cause__ = cause


class WorkflowTerminatedError(WorkflowsError):
    """The instance was terminated before it had a result."""

    code = "workflow_terminated"


class StoreError(WorkflowsError):
    """The database cannot be opened, read or written. The message says why and what to do."""

    code = "store"


class StoreBusyError(StoreError):
    """Another process holds the database for too long."""

    code = "store_busy"


class StoreCorruptError(StoreError):
    """The file is damaged, or it is not a database of this library."""

    code = "store_corrupt"


class StoreVersionError(StoreError):
    """The file was written by a version of the library that this one does not know."""

    code = "store_version"


class EngineClosedError(WorkflowsError, RuntimeError):
    """The engine or client is closed, or was never opened."""

    code = "engine_closed"


class WrongLoopError(WorkflowsError, RuntimeError):
    """The engine is used outside the event loop that opened it."""

    code = "wrong_loop"


class ForkedError(WorkflowsError, RuntimeError):
    """The engine or client was opened by the process that this one was forked from."""

    code = "forked"


def _classes(base: type[WorkflowsError]) -> list[type[WorkflowsError]]:
    return [found for direct in base.__subclasses__() for found in (direct, *_classes(direct))]


by_code: dict[str, type[WorkflowsError]] = {error.code: error for error in _classes(WorkflowsError)}
"""The class of each code of the engine."""

by_name: dict[str, type[WorkflowsError]] = {error.__name__: error for error in by_code.values()}
"""The class of each name that the engine writes into the failures it makes itself ("StepTimeoutError")."""

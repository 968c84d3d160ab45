"""What is seen of an instance from outside: values, as of one moment of the database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from workflows import _failures
from workflows._errors import WorkflowFailedError, WorkflowsError, WorkflowTerminatedError
from workflows._time import to_datetime, to_datetime_or_none
from workflows._values import Codec


class Status(StrEnum):
    """The status of an instance. COMPLETE, ERRORED and TERMINATED are final."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    WAITING_FOR_PAUSE = "waitingForPause"
    PAUSED = "paused"
    ROLLING_BACK = "rollingBack"
    COMPLETE = "complete"
    ERRORED = "errored"
    TERMINATED = "terminated"

    @property
    def is_finished(self) -> bool:
        """Whether the instance has come to its end."""
        return self in (Status.COMPLETE, Status.ERRORED, Status.TERMINATED)


@dataclass(frozen=True)
class InstanceStatus:
    """How an instance stands.

    Attributes:
        status: one of `Status`; compares equal to its word, such as "running".
        output: what `run` returned, once the instance is complete.
        error: the exception that left `run`, once the instance has failed.
    """

    status: Status
    output: Any = None
    error: Exception | None = None


@dataclass(frozen=True)
class InstanceInfo:
    """One line of a list of instances. Times are in UTC.

    Attributes:
        workflow: the name of the workflow.
        id: the id of the instance.
        generation: 1, and one more after each restart.
        status: how it stands.
        created: when it was created.
        updated: when something was last recorded.
        wake: when a waiting instance goes on at the latest; None if only an event can wake it.
        version: the version of the workflow's code that it was created with.
    """

    workflow: str
    id: str
    generation: int
    status: Status
    created: datetime
    updated: datetime
    wake: datetime | None
    version: str


@dataclass(frozen=True)
class AttemptInfo:
    """One attempt of a step. Times are in UTC; None is unknown or not yet."""

    number: int
    began: datetime | None
    ended: datetime | None
    error: Exception | None


@dataclass(frozen=True)
class StepInfo:
    """One step of an instance, as recorded.

    Attributes:
        number: the step's number in this run, from 0.
        name: its name.
        count: the how-manieth step of this kind and name it is, from 1.
        kind: "do", "sleep" or "wait_for_event".
        status: "running", "waiting", "retrying", "completed", "failed" or "timed_out".
        attempts: the attempts of a "do".
        began, ended: when it began and ended, in UTC.
        deadline: when a sleep, a wait or the time before the next attempt ends.
        event_type: what a "wait_for_event" waits for.
        config: the part of its config that differs from the defaults; durations in milliseconds.
        depends: the numbers of the steps that it depends on.
        result: what it returned; "[REDACTED]" if it is sensitive.
        error: why it failed.
    """

    number: int
    name: str
    count: int
    kind: str
    status: str
    attempts: list[AttemptInfo]
    began: datetime | None
    ended: datetime | None
    deadline: datetime | None
    event_type: str | None
    config: dict[str, Any]
    depends: list[int]
    result: Any
    error: Exception | None


def instance_info(row: tuple[Any, ...]) -> InstanceInfo:
    """From the tuple of the engine."""
    _key, workflow, id, generation, status, created, updated, wake, version = row
    return InstanceInfo(
        workflow=workflow,
        id=id,
        generation=generation,
        status=Status(status),
        created=to_datetime(created),
        updated=to_datetime(updated),
        wake=to_datetime_or_none(wake),
        version=version,
    )


def instance_status(row: tuple[Any, ...], codec: Codec) -> InstanceStatus:
    """From the tuple of the engine. Values of classes that are not known here stay the JSON that they are."""
    status, output, failure = row
    return InstanceStatus(
        status=Status(status),
        output=codec.decode(output, lenient=True) if status == Status.COMPLETE else None,
        error=_failures.to_exception(failure, codec) if failure else None,
    )


def output_of(row: tuple[Any, ...], codec: Codec, workflow: str, id: str) -> Any:
    """What a finished instance returned; else the exception that says why there is nothing."""
    status, output, failure = row
    if status == Status.COMPLETE:
        return codec.decode(output)
    what = f"Instance {id!r} of workflow {workflow!r}"
    if status == Status.ERRORED and failure:
        cause = _failures.to_exception(failure, codec)
        raise WorkflowFailedError(f"{what} failed: {_failures.summary(cause)}", cause)
    if status == Status.TERMINATED:
        raise WorkflowTerminatedError(f"{what} was terminated")
    raise WorkflowsError(f"{what} ended as {status!r}")


def step_info(row: tuple[Any, ...], codec: Codec) -> StepInfo:
    """From the tuple of the engine."""
    (
        number,
        kind,
        name,
        count,
        status,
        attempts,
        began,
        ended,
        deadline,
        event_type,
        config,
        depends,
        result,
        failure,
    ) = row
    return StepInfo(
        number=number,
        name=name,
        count=count,
        kind=kind,
        status=status,
        attempts=[
            AttemptInfo(
                number=attempt_number,
                began=to_datetime_or_none(attempt_began),
                ended=to_datetime_or_none(attempt_ended),
                error=_failures.to_exception(attempt_failure, codec) if attempt_failure else None,
            )
            for attempt_number, attempt_began, attempt_ended, attempt_failure in attempts
        ],
        began=to_datetime_or_none(began),
        ended=to_datetime_or_none(ended),
        deadline=to_datetime_or_none(deadline),
        event_type=event_type or None,
        config=json.loads(config) if config else {},
        depends=list(depends),
        result=_shown(result, codec),
        error=_failures.to_exception(failure, codec) if failure else None,
    )


def _shown(result: bytes, codec: Codec) -> Any:
    if not result:
        return None
    return "[REDACTED]" if result == b"[REDACTED]" else codec.decode(result, lenient=True)

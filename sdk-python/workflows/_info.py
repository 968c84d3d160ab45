"""What is seen of an instance from outside: values, as of one moment of the database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from workflows import _core, _failures
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
class RolledBack:
    """A step in a rollback report: its name, the how-manieth of that name, and why its rollback failed if it did."""

    name: str
    count: int
    error: Exception | None = None


@dataclass(frozen=True)
class RollbackReport:
    """What became of the steps that were to be compensated, in the order in which that was done."""

    compensated: list[RolledBack]
    failed: list[RolledBack]
    not_run: list[RolledBack]


@dataclass(frozen=True)
class InstanceStatus:
    """How an instance stands.

    Attributes:
        status: one of `Status`; compares equal to its word, such as "running".
        output: what `run` returned, once the instance is complete.
        error: the exception that left `run`, once the instance has failed.
        rollback: after rollbacks, which steps were compensated, which failed, which were not run.
        reason: why the engine paused it: "diverged: ..." with a report, if its code no longer does what its history
            says.
    """

    status: Status
    output: Any = None
    error: Exception | None = None
    rollback: RollbackReport | None = None
    reason: str | None = None


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
        expires: when retention removes it; None is never.
    """

    workflow: str
    id: str
    generation: int
    status: Status
    created: datetime
    updated: datetime
    wake: datetime | None
    version: str
    expires: datetime | None


@dataclass(frozen=True)
class EntryInfo:
    """One entry of the journal of an instance, as `subscribe` gives them. Times are in UTC.

    Attributes:
        cursor: its place; `subscribe(after=cursor)` goes on behind it.
        kind: what happened: "attempt_started", "attempt_failed", "step_completed", "step_failed", "sleep_started",
            "sleep_finished", "wait_started", "wait_taken", "wait_timed_out", "abandoned", "reclaimed", "heartbeat";
            of the instance as a whole "rollback_started", "paused", "resumed", "version", "restarted",
            "instance_completed", "instance_errored", "instance_terminated".
        step: the number of the step in its run.
        name, count, step_kind: which step it is, where the entry tells.
        attempt: of a "do" or a rollback, from 1.
        at: when it was recorded.
        began: when what it ends began.
        deadline: of a sleep, a wait or the next attempt.
        event_type: what a "wait_started" waits for.
        source: where the code asked for the step, such as "shop.py:42".
        value: the result, the output, or the details; "[REDACTED]" of a sensitive step.
        error: the failure that it records.
    """

    cursor: int
    kind: str
    step: int
    name: str
    count: int
    step_kind: str
    attempt: int
    at: datetime
    began: datetime | None
    deadline: datetime | None
    event_type: str | None
    source: str | None
    value: Any
    error: Exception | None

    @property
    def is_last(self) -> bool:
        """Whether the instance has ended with it."""
        return self.kind in ("instance_completed", "instance_errored", "instance_terminated")


class History:
    """Everything that is recorded of one generation of an instance, for `workflows.testing.replay`. Made by
    `Instance.history` and `ClientInstance.history`.
    """

    def __init__(self, native: _core.History):
        self.native = native

    def __repr__(self) -> str:
        return f"<workflows.History of instance {self.native.id!r} of {self.native.workflow!r}>"


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
        kind: "do", "sleep", "wait_for_event", "value" or "rollback".
        status: "pending", "running", "waiting", "retrying", "completed", "failed" or "timed_out".
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
    _key, workflow, id, generation, status, created, updated, wake, version, _owner, expires = row
    return InstanceInfo(
        workflow=workflow,
        id=id,
        generation=generation,
        status=Status(status),
        created=to_datetime(created),
        updated=to_datetime(updated),
        wake=to_datetime_or_none(wake),
        version=version,
        expires=to_datetime_or_none(expires),
    )


def instance_status(row: tuple[Any, ...], codec: Codec) -> InstanceStatus:
    """From the tuple of the engine. Values of classes that are not known here stay the JSON that they are."""
    status, output, failure, rollback, reason = row
    return InstanceStatus(
        status=Status(status),
        output=codec.decode(output, lenient=True) if status == Status.COMPLETE else None,
        error=_failures.to_exception(failure, codec) if failure else None,
        rollback=_rollback_report(rollback, codec) if rollback else None,
        reason=reason or None,
    )


def _rollback_report(report: bytes, codec: Codec) -> RollbackReport:
    def steps(rows: list[dict[str, Any]]) -> list[RolledBack]:
        return [RolledBack(row["name"], row["count"], _failure(row.get("error"), codec)) for row in rows]

    parts = json.loads(report)
    return RollbackReport(steps(parts["compensated"]), steps(parts["failed"]), steps(parts["not_run"]))


def _failure(failure: dict[str, Any] | None, codec: Codec) -> Exception | None:
    return None if failure is None else _parsed(json.dumps(failure).encode(), codec)


def _parsed(failure: bytes, codec: Codec) -> Exception:
    return _failures.to_exception(_core.parse_failure(failure), codec)


_OF_INSTANCE = (
    "rollback_started", "paused", "resumed", "version", "restarted",
    "instance_completed", "instance_errored", "instance_terminated",
)  # fmt: skip
_FAILURES = ("attempt_failed", "step_failed", "wait_timed_out", "instance_errored", "rollback_started")


def entry_info(row: tuple[Any, ...], codec: Codec, sensitive: set[int]) -> EntryInfo:
    """From the tuple of the engine. `sensitive`: steps whose values are not shown; grows as their entries come."""
    cursor, kind, step, step_kind, name, count, attempt, at, began, deadline, event_type, source, detail, value = row
    if detail and b"config" in detail and "sensitive" in json.loads(detail).get("config", {}):
        sensitive.add(step)
    redacted = step in sensitive and kind not in _OF_INSTANCE  # whose entries have the number 0 for a step
    failed = kind in _FAILURES and bool(value)
    return EntryInfo(
        cursor=cursor,
        kind=kind,
        step=step,
        name=name,
        count=count,
        step_kind=step_kind,
        attempt=attempt,
        at=to_datetime(at),
        began=to_datetime_or_none(began),
        deadline=to_datetime_or_none(deadline),
        event_type=event_type or None,
        source=source or None,
        value=None if failed else _entry_value(kind, value, codec, redacted=redacted),
        error=_parsed(value, codec) if failed else None,
    )


def _entry_value(kind: str, value: bytes, codec: Codec, *, redacted: bool) -> Any:
    if not value:
        return None
    if kind == "version":
        return value.decode()
    if kind in ("paused", "restarted"):
        return json.loads(value)
    return "[REDACTED]" if redacted else codec.decode(value, lenient=True)


def output_of(row: tuple[Any, ...], codec: Codec, workflow: str, id: str) -> Any:
    """What a finished instance returned; else the exception that says why there is nothing."""
    status, output, failure, _rollback, _reason = row
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

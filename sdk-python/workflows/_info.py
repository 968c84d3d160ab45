"""What the engine tells of instances, made into what users see of them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from workflows import _core, _failures
from workflows._errors import WorkflowFailedError, WorkflowsError, WorkflowTerminatedError
from workflows._time import to_datetime, to_datetime_or_none
from workflows._values import Codec, decode, encode

if TYPE_CHECKING:
    from workflows._records import EntryInfo, InstanceInfo, InstanceStatus, RollbackReport, RolledBack, StepInfo


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


class History:
    """Everything that is recorded of one generation of an instance, for `workflows.testing.replay`. Made by
    `Instance.history` and `ClientInstance.history`.
    """

    def __init__(self, native: _core.History):
        self.native = native

    def __repr__(self) -> str:
        return f"<workflows.History of instance {self.native.id!r} of {self.native.workflow!r}>"


def instance_info(row: tuple[Any, ...]) -> InstanceInfo:
    """From the tuple of the engine."""
    from workflows._records import InstanceInfo

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
    from workflows._records import InstanceStatus

    status, output, failure, rollback, reason = row
    return InstanceStatus(
        status=Status(status),
        output=codec.decode(output, lenient=True) if status == Status.COMPLETE else None,
        error=_failures.to_exception(failure, codec) if failure else None,
        rollback=_rollback_report(rollback, codec) if rollback else None,
        reason=reason or None,
    )


def _rollback_report(report: bytes, codec: Codec) -> RollbackReport:
    from workflows._records import RollbackReport, RolledBack

    def steps(rows: list[dict[str, Any]]) -> list[RolledBack]:
        return [RolledBack(row["name"], row["count"], _failure(row.get("error"), codec)) for row in rows]

    parts = decode(report)
    return RollbackReport(steps(parts["compensated"]), steps(parts["failed"]), steps(parts["not_run"]))


def _failure(failure: dict[str, Any] | None, codec: Codec) -> Exception | None:
    return None if failure is None else _parsed(encode(failure, "failure"), codec)


def _parsed(failure: bytes, codec: Codec) -> Exception:
    return _failures.to_exception(_core.parse_failure(failure), codec)


_OF_INSTANCE = (
    "rollback_started", "paused", "resumed", "version", "restarted",
    "instance_completed", "instance_errored", "instance_terminated",
)  # fmt: skip
_FAILURES = ("attempt_failed", "step_failed", "wait_timed_out", "instance_errored", "rollback_started")


def entry_info(row: tuple[Any, ...], codec: Codec, sensitive: set[int]) -> EntryInfo:
    """From the tuple of the engine. `sensitive`: steps whose values are not shown; grows as their entries come."""
    from workflows._records import EntryInfo

    cursor, kind, step, step_kind, name, count, attempt, at, began, deadline, event_type, source, detail, value = row
    if detail and b"config" in detail and "sensitive" in decode(detail).get("config", {}):
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
        return decode(value)
    return "[REDACTED]" if redacted else codec.decode(value, lenient=True)


def output_of(row: tuple[Any, ...], codec: Codec, workflow: str, id: str) -> Any:
    """What a finished instance returned; else the exception that says why there is nothing."""
    status, output, failure, _rollback, _reason = row
    if status == Status.COMPLETE:
        return codec.decode(output)
    what = f"Instance {id!r} of workflow {workflow!r}"
    if status == Status.ERRORED and failure:
        cause = _failures.to_exception(failure, codec)
        failed = WorkflowFailedError(f"{what} failed: {_failures.summary(cause)}", cause)
        if recorded := _failures.Failure._make(failure).traceback:
            failed.add_note(f"As recorded:\n{recorded}")
        raise failed
    if status == Status.TERMINATED:
        raise WorkflowTerminatedError(f"{what} was terminated")
    raise WorkflowsError(f"{what} ended as {status!r}")


def step_info(row: tuple[Any, ...], codec: Codec) -> StepInfo:
    """From the tuple of the engine."""
    from workflows._records import AttemptInfo, StepInfo

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
        config=decode(config) if config else {},
        depends=list(depends),
        result=_shown(result, codec),
        error=_failures.to_exception(failure, codec) if failure else None,
    )


def _shown(result: bytes, codec: Codec) -> Any:
    if not result:
        return None
    return "[REDACTED]" if result == b"[REDACTED]" else codec.decode(result, lenient=True)

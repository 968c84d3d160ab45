"""What is seen of an instance from outside: values, as of one moment of the database. Imported with the first one, for
a dataclass takes half a millisecond to be made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workflows._info import Status


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
        status: "pending", "running", "waiting", "retrying", "completed", "failed", "timed_out", or
            "cancelled": a wait that the code gave up.
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


for _public in (RolledBack, RollbackReport, InstanceStatus, InstanceInfo, EntryInfo, AttemptInfo, StepInfo):
    _public.__module__ = "workflows"

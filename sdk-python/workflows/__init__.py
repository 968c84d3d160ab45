"""Durable workflows: Python code that survives crashes, in one database file, without a server.

A workflow is code whose steps are recorded. When the process dies, the next one that opens the database runs the code
again, and every step that has an outcome returns it at once instead of running.

    import asyncio
    import workflows

    class Groceries(workflows.WorkflowEntrypoint):
        async def run(self, event, step):
            @step.do("place the order", config={"retries": {"limit": 3, "delay": "2 seconds"}})
            async def order(ctx):
                return {"order": ctx.idempotency_key, "items": event.payload["items"]}

            placed = await order()
            await step.sleep("wait for delivery", "2 days")
            return placed

    async def main():
        async with workflows.Engine("groceries.db", workflows=[Groceries]) as engine:
            instance = await engine.create(Groceries, {"items": ["eggs"]}, id="week-47")
            print(await instance.result())

    asyncio.run(main())

Write workflows with `WorkflowEntrypoint` or `@workflow`; their code gets an `Event` and a `Step` (or, in a plain `def`,
a `SyncStep`). Run them with `Engine`, or with `run` in a script. Look and send events from other processes with
`Client`. Every error derives from `WorkflowsError`.

Durations are `timedelta` or text such as "30 seconds", "1h30m", "1.5 days"; times are datetimes with a time zone.
"""

from typing import TYPE_CHECKING

from workflows._blocking import BlockingStep, SyncStep
from workflows._client import Client, ClientInstance
from workflows._context import StepContext
from workflows._define import WorkflowEntrypoint, workflow
from workflows._engine import Engine, Instance, run
from workflows._errors import (
    DependencyError,
    DivergenceError,
    EngineClosedError,
    ForkedError,
    InstanceExistsError,
    InstanceFinishedError,
    InstanceNotFoundError,
    InvalidConfigError,
    InvalidDurationError,
    InvalidNameError,
    InvalidTransitionError,
    NonRetryableError,
    PayloadTooLargeError,
    SerializationError,
    StepError,
    StepLimitError,
    StepTimeoutError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreVersionError,
    WaitTimeoutError,
    WorkflowFailedError,
    WorkflowsError,
    WorkflowTerminatedError,
    WrongLoopError,
)
from workflows._info import History, Status
from workflows._pending import StepCall
from workflows._step import DeclaredStep, Step
from workflows._values import JsonSerializer, PickleSerializer, Serializer

if TYPE_CHECKING:
    from workflows._config_classes import Retention, Retries, RollbackConfig, StepConfig
    from workflows._events import Event, ReceivedEvent
    from workflows._records import (
        AttemptInfo,
        EntryInfo,
        InstanceInfo,
        InstanceStatus,
        RollbackReport,
        RolledBack,
        StepInfo,
    )

__all__ = [
    "AttemptInfo",
    "BlockingStep",
    "Client",
    "ClientInstance",
    "DeclaredStep",
    "DependencyError",
    "DivergenceError",
    "Engine",
    "EngineClosedError",
    "EntryInfo",
    "Event",
    "ForkedError",
    "History",
    "Instance",
    "InstanceExistsError",
    "InstanceFinishedError",
    "InstanceInfo",
    "InstanceNotFoundError",
    "InstanceStatus",
    "InvalidConfigError",
    "InvalidDurationError",
    "InvalidNameError",
    "InvalidTransitionError",
    "JsonSerializer",
    "NonRetryableError",
    "PayloadTooLargeError",
    "PickleSerializer",
    "ReceivedEvent",
    "Retention",
    "Retries",
    "RollbackConfig",
    "RollbackReport",
    "RolledBack",
    "SerializationError",
    "Serializer",
    "Status",
    "Step",
    "StepCall",
    "StepConfig",
    "StepContext",
    "StepError",
    "StepInfo",
    "StepLimitError",
    "StepTimeoutError",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreError",
    "StoreVersionError",
    "SyncStep",
    "WaitTimeoutError",
    "WorkflowEntrypoint",
    "WorkflowFailedError",
    "WorkflowTerminatedError",
    "WorkflowsError",
    "WrongLoopError",
    "run",
    "workflow",
]

for _public in [globals()[_name] for _name in __all__ if _name in globals()]:
    _public.__module__ = "workflows"

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """The rest of `__all__`: what few programs need before they have run for a while, or at all."""
        if name not in __all__:
            raise AttributeError(f"module 'workflows' has no attribute {name!r}")
        from workflows import _config_classes, _events, _records

        for module in (_config_classes, _events, _records):
            if hasattr(module, name):
                return getattr(module, name)
        raise AssertionError(f"{name} is public, but nowhere")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})

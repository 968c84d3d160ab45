"""What a workflow is started with, and what it receives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar


class _Record(Mapping[str, Any]):
    """Attributes that can also be read by the keys that Cloudflare's users know."""

    _keys: ClassVar[dict[str, str]]

    def __getitem__(self, key: str) -> Any:
        return getattr(self, self._keys[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


@dataclass(frozen=True)
class Event(_Record):
    """What an instance was created with. Also a mapping with the keys payload, timestamp, instanceId, workflowName.

    Attributes:
        payload: the params, `{}` when none were given.
        timestamp: when the instance was created, in UTC; the same on every replay.
        instance_id: the id of the instance.
        workflow_name: the name of the workflow.
        schedule: None; set only for instances that a schedule created.
    """

    payload: Any
    timestamp: datetime
    instance_id: str
    workflow_name: str
    schedule: None = None
    _keys: ClassVar[dict[str, str]] = {
        "payload": "payload",
        "timestamp": "timestamp",
        "instanceId": "instance_id",
        "workflowName": "workflow_name",
    }


@dataclass(frozen=True)
class ReceivedEvent(_Record):
    """What `step.wait_for_event` returns. Also a mapping with the keys type, payload, timestamp.

    Attributes:
        type: the type that was waited for.
        payload: what the sender gave.
        timestamp: when the event arrived, in UTC.
    """

    type: str
    payload: Any
    timestamp: datetime
    _keys: ClassVar[dict[str, str]] = {"type": "type", "payload": "payload", "timestamp": "timestamp"}


for _public in (Event, ReceivedEvent):
    _public.__module__ = "workflows"

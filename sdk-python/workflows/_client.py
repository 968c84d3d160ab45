"""Management from outside an engine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from workflows import _core, _names
from workflows._config import choice, database_path, retention_ms
from workflows._define import Kept, name_of
from workflows._engine import (
    Batch,
    ListQuery,
    Refusals,
    event_arguments,
    refusals,
    restart_arguments,
)
from workflows._errors import ForkedError, WorkflowsError
from workflows._following import Following
from workflows._info import History, Status, instance_info, instance_status, output_of, step_info
from workflows._time import wait_seconds
from workflows._values import Codec, Serializer

if TYPE_CHECKING:
    from workflows._records import EntryInfo, InstanceInfo, InstanceStatus, StepInfo

Steps: TypeAlias = "list[StepInfo]"
Outcomes: TypeAlias = "list[ClientInstance | WorkflowsError]"

_SLICE_MS = 200  # a blocking wait looks so often whether Ctrl-C was pressed


class Access:
    """The way of a client and its instances to the database."""

    def __init__(self, native: _core.Client, codec: Codec):
        self._native = native
        self._pid = os.getpid()
        self.codec = codec

    @property
    def belongs_here(self) -> bool:
        """Whether this process opened it."""
        return os.getpid() == self._pid

    def here(self) -> _core.Client:
        """The client, if it may be used here."""
        if not self.belongs_here:
            raise ForkedError(
                "This client was opened by the process that this one was forked from; open one of its own"
            )
        return self._native


class Client:
    """Creates instances, sends events and looks, from any process, whether or not an engine runs. It runs no workflow
    code; a running engine acts on what it does within milliseconds. Its calls block for one transaction at most, except
    `result`. It may be used from several threads.

        with workflows.Client("shop.db") as client:
            order = client.create("Order", {"sku": "A1"}, id="order-17")
            order.send_event("paid")
            print(order.result(timeout="1 minute"))

    Args:
        db: the path of the database file, which is made if it is not there.
        serializer: the one that the engines of this database use; default JsonSerializer.

    Raises:
        StoreError, StoreBusyError, StoreCorruptError, StoreVersionError: the file cannot be used.
    """

    def __init__(self, db: str | os.PathLike[str], *, serializer: Serializer | None = None):
        self._access = Access(_core.Client(database_path(db), True), Codec(serializer))

    def close(self) -> None:
        """Closes the database. Idempotent; every later call raises EngineClosedError."""
        if self._access.belongs_here:
            self._access.here().close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create(
        self,
        workflow: Any,
        params: Any = None,
        *,
        id: str | None = None,
        on_conflict: Literal["error", "return"] = "error",
        retention: Kept = None,
    ) -> ClientInstance:
        """Creates an instance; an engine that runs its workflow starts it. As `Engine.create`."""
        name = name_of(workflow)
        existing = choice(on_conflict, "on_conflict", ("error", "return")) == "return"
        payload = self._access.codec.encode({} if params is None else params, "params")
        new_id = "" if id is None else _names.instance_id(id)
        ref = self._access.here().create(name, payload, new_id, existing, retention_ms(retention))
        return ClientInstance(self._access, *ref)

    def create_batch(self, workflow: Any, items: Iterable[Mapping[str, Any]]) -> Outcomes:
        """Creates many instances in one transaction. As `Engine.create_batch`."""
        name, batch = name_of(workflow), Batch(items, self._access.codec)
        rows = self._access.here().create_batch(name, batch.accepted) if batch.accepted else []
        return batch.outcomes(rows, lambda ref: ClientInstance(self._access, *ref))

    def delete_batch(self, workflow: Any, ids: Iterable[str]) -> Refusals:
        """Deletes many instances in one transaction. As `Engine.delete_batch`."""
        return refusals(self._access.here().remove_batch(name_of(workflow), [str(id) for id in ids]))

    def get(self, workflow: Any, id: str) -> ClientInstance:
        """The instance of this id; InstanceNotFoundError if there is none."""
        return ClientInstance(self._access, *self._access.here().get(name_of(workflow), _names.instance_id(id)))

    def exists(self, workflow: Any, id: str) -> bool:
        """Whether the workflow has an instance of this id."""
        return self._access.here().exists(name_of(workflow), _names.instance_id(id))

    def list(
        self,
        workflow: Any = None,
        status: Status | str | None = None,
        *,
        created_after: datetime | str | None = None,
        id_prefix: str = "",
        limit: int | None = None,
    ) -> Iterator[InstanceInfo]:
        """The instances, oldest first. As `Engine.list`."""
        query = ListQuery(workflow, status, created_after, id_prefix, limit)
        while query.wanted:
            rows = self._access.here().list(*query.arguments())
            yield from map(instance_info, rows)
            query.seen(rows)

    def send_event(
        self,
        workflow: Any,
        id: str,
        type: str | Mapping[str, Any],
        payload: Any = None,
        *,
        event_id: str | None = None,
    ) -> None:
        """Sends an event to an instance. As `Instance.send_event`; InstanceNotFoundError if there is none."""
        self.get(workflow, id).send_event(type, payload, event_id=event_id)

    def status(self, workflow: Any, id: str) -> InstanceStatus:
        """How an instance stands, as of now."""
        return self.get(workflow, id).status()

    def result(self, workflow: Any, id: str, timeout: float | timedelta | str | None = None) -> Any:
        """Waits until an instance is finished and returns its output. As `Instance.result`."""
        return self.get(workflow, id).result(timeout)

    def steps(self, workflow: Any, id: str) -> Steps:
        """The steps of an instance as recorded so far."""
        return self.get(workflow, id).steps()

    def pause(self, workflow: Any, id: str) -> None:
        """Pauses an instance. As `Instance.pause`."""
        self.get(workflow, id).pause()

    def resume(self, workflow: Any, id: str) -> None:
        """Lets a paused instance go on. As `Instance.resume`."""
        self.get(workflow, id).resume()

    def terminate(self, workflow: Any, id: str, rollback: bool = False) -> None:
        """Ends an instance. As `Instance.terminate`."""
        self.get(workflow, id).terminate(rollback)

    def restart(self, workflow: Any, id: str, from_step: str | None = None, count: int = 1, kind: str = "do") -> Steps:
        """Begins an instance anew. As `Instance.restart`."""
        return self.get(workflow, id).restart(from_step, count, kind)

    def delete(self, workflow: Any, id: str) -> None:
        """Removes an instance. As `Instance.delete`."""
        self.get(workflow, id).delete()

    def collect_garbage(self) -> int:
        """Removes finished instances whose retention is over, and what deleted ones left, in small transactions.
        Engines do it by themselves. Returns how many rows were removed.
        """
        return self._access.here().collect_garbage(2**62)


class ClientInstance:
    """One instance of a workflow, as a client sees it. Made by `Client.create` and `Client.get`.

    Attributes:
        id: its id.
        workflow: the name of its workflow.
    """

    def __init__(self, access: Access, key: int, workflow: str, id: str):
        self.id = id
        self.workflow = workflow
        self._access = access
        self._key = key

    def __repr__(self) -> str:
        return f"<workflows.ClientInstance {self.id!r} of {self.workflow!r}>"

    def status(self) -> InstanceStatus:
        """How it stands, as of now."""
        return instance_status(self._access.here().status(self.workflow, self.id), self._access.codec)

    def result(self, timeout: float | timedelta | str | None = None) -> Any:
        """Waits until it is finished and returns what `run` returned. Ctrl-C ends the waiting.

        Args:
            timeout: seconds, a timedelta or text such as "5 minutes"; None waits for ever.

        Raises:
            WorkflowFailedError: an exception left `run`; it is the `cause`.
            WorkflowTerminatedError: it was terminated.
            TimeoutError: it is not finished yet; it goes on.
        """
        seconds = wait_seconds(timeout, "timeout of result")
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = _SLICE_MS if deadline is None else max(0, round((deadline - time.monotonic()) * 1000))
            status = self._access.here().result(self._key, min(left, _SLICE_MS))
            if status is not None:
                return output_of(status, self._access.codec, self.workflow, self.id)
            if left == 0:
                raise TimeoutError(f"{self!r} was not finished within {timeout!r}")

    def send_event(self, type: str | Mapping[str, Any], payload: Any = None, *, event_id: str | None = None) -> None:
        """Sends it an event. As `Instance.send_event`."""
        name, data, known = event_arguments(type, payload, event_id, self._access.codec)
        self._access.here().send_event(self.workflow, self.id, name, data, known)

    def steps(self) -> list[StepInfo]:
        """Its steps as recorded so far, in the order in which they were asked for."""
        rows = self._access.here().steps(self.workflow, self.id)
        return [step_info(row, self._access.codec) for row in rows]

    def history(self) -> History:
        """Everything that is recorded of it, for `workflows.testing.replay`."""
        return History(self._access.here().history(self._access.here().get(self.workflow, self.id)[0]))

    def pause(self) -> None:
        """Pauses it. As `Instance.pause`."""
        self._access.here().pause(self.workflow, self.id)

    def resume(self) -> None:
        """Lets it go on. As `Instance.resume`."""
        self._access.here().resume(self.workflow, self.id)

    def terminate(self, rollback: bool = False) -> None:
        """Ends it. As `Instance.terminate`."""
        self._access.here().terminate(self.workflow, self.id, rollback)

    def restart(self, from_step: str | None = None, count: int = 1, kind: str = "do") -> list[StepInfo]:
        """Begins it anew and returns the steps that were kept. As `Instance.restart`."""
        arguments = restart_arguments(from_step, count, kind)
        ref, kept = self._access.here().restart(self.workflow, self.id, *arguments)
        self._key = ref[0]
        return [step_info(row, self._access.codec) for row in kept]

    def delete(self) -> None:
        """Removes it. As `Instance.delete`."""
        self._access.here().remove(self.workflow, self.id)

    def subscribe(self, after: int | None = None) -> Iterator[EntryInfo]:
        """Everything that is recorded of it, then live. Blocks between entries. As `Instance.subscribe`."""
        key = self._access.here().get(self.workflow, self.id)[0]
        following = Following(self._access.codec, after)
        while True:
            yield from following.read(self._access.here().entries(key, following.cursor))
            if following.ended:
                return
            time.sleep(following.pause)

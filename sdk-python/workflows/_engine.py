"""The engine as Python programs use it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast

from workflows import _core, _names
from workflows._config import choice, count, database_path, retention_ms, size_bytes
from workflows._define import Definition, Kept, define, name_of
from workflows._errors import (
    EngineClosedError,
    InstanceNotFoundError,
    InvalidConfigError,
    InvalidNameError,
    WorkflowsError,
    WrongLoopError,
    by_code,
)
from workflows._following import Following
from workflows._info import History, Status, instance_info, instance_status, output_of, step_info
from workflows._runner import Runner
from workflows._time import Duration, after_ms, duration_ms, wait_seconds
from workflows._values import Codec, Serializer

if TYPE_CHECKING:
    from workflows._records import EntryInfo, InstanceInfo, InstanceStatus, StepInfo

PAGE = 500  # instances read at a time by `list`

T = TypeVar("T")
Outcomes: TypeAlias = "list[Instance | WorkflowsError]"
Refusals: TypeAlias = "list[WorkflowsError | None]"

_open_runners: set[Runner] = set()


@atexit.register
def _close_what_is_open() -> None:
    """For programs that end without closing their engine."""
    for runner in list(_open_runners):
        if runner.belongs_here:
            runner.close_now()


class Access:
    """The way of an engine and its instances to what is open now, if anything is."""

    def __init__(self, codec: Codec):
        self.codec = codec
        self.runner: Runner | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is an open engine."""
        return self.runner is not None and not self.runner.closed

    def here(self) -> Runner:
        """What is open, if it may be used here."""
        if self.runner is None:
            raise EngineClosedError("The engine is not open; use `async with engine:` or `await engine.open()`")
        self.runner.check()
        return self.runner

    async def read(self, read: Callable[..., Any], *args: Any) -> Any:
        """One short query, in a thread: the loop never waits for the disk."""
        return await asyncio.to_thread(read, self.here().host.client(), *args)

    async def change(self, change: Callable[..., Any], *args: Any) -> Any:
        """One short transaction, in a thread; whoever runs the instance hears of it."""
        result = await self.read(change, *args)
        self.here().host.look()
        return result


class Engine:
    """Runs workflows and keeps what they did in one database file.

        async with workflows.Engine("shop.db", workflows=[Order]) as engine:
            instance = await engine.create(Order, {"sku": "A1"}, id="order-17")
            print(await instance.result())

    Opening it resumes every unfinished instance of these workflows. It runs on the event loop that opened it.

    Args:
        db: the path of the database file, which is made if it is not there; ":memory:" keeps nothing.
        workflows: what to run: subclasses of WorkflowEntrypoint and functions decorated with @workflow.
        env: anything; workflows that are classes find it as `self.env`.
        durability: "full" survives power loss; "normal" survives the death of the process and is faster.
        serializer: how values are recorded; default JsonSerializer.
        max_concurrent_instances: how many instances are in memory at a time; default: no bound.
        hibernate_after: an instance that only waits leaves memory after this duration.
        lease: how long after the death of this process another engine takes its instances over.
        step_limit: how many steps one instance may ask for.
        payload_limit: the largest recorded value: bytes, or text such as "1 MiB"; 0 for none.
        thread_pool_size: how many steps that are plain functions run at a time; default: as many as Python's own pools.

    Raises:
        InvalidConfigError, InvalidDurationError, InvalidNameError: an option is not accepted; the message names it.
        TypeError: something in `workflows` is not one.
    """

    def __init__(
        self,
        db: str | os.PathLike[str],
        *,
        workflows: Iterable[Any] = (),
        env: Any = None,
        durability: Literal["full", "normal"] = "full",
        serializer: Serializer | None = None,
        max_concurrent_instances: int | None = None,
        hibernate_after: Duration = "10 seconds",
        lease: Duration = "30 seconds",
        step_limit: int = 10_000,
        payload_limit: int | str | None = "1 MiB",
        thread_pool_size: int | None = None,
    ):
        self._definitions = _by_name(workflows)
        self._env = env
        self._access = Access(Codec(serializer))
        self._threads = None if thread_pool_size is None else count(thread_pool_size, "thread_pool_size", least=1)
        self._clock: _core.ManualClock | None = None  # for tests
        self._closing: asyncio.Task[None] | None = None
        self._options: dict[str, Any] = {
            "database": database_path(db),
            "durability": choice(durability, "durability", ("full", "normal")),
            "workflows": [(d.name, d.version, d.determinism, *d.retention) for d in self._definitions.values()],
            "hibernate_after_ms": duration_ms(hibernate_after, "hibernate_after"),
            "lease_ms": duration_ms(lease, "lease"),
            "step_limit": count(step_limit, "step_limit", least=1),
            "payload_limit": size_bytes(payload_limit, "payload_limit"),
            "max_concurrent_instances": 0
            if max_concurrent_instances is None
            else count(max_concurrent_instances, "max_concurrent_instances", least=1),
            "only_id": "",
        }

    def __repr__(self) -> str:
        state = "open" if self._access.is_open else "closed"
        return f"<workflows.Engine {os.fsdecode(self._options['database'])!r} {state}>"

    async def open(self) -> Engine:
        """Opens the database and resumes what is unfinished. `async with` does it.

        Raises:
            StoreError, StoreBusyError, StoreCorruptError, StoreVersionError: the file cannot be used.
        """
        if self._access.is_open:
            self._access.here()
            return self
        host = _core.Host(clock=self._clock, **self._options)
        runner = self._access.runner = Runner(host, self._definitions, self._env, self._access.codec, self._threads)
        self._closing = None
        _open_runners.add(runner)
        return self

    async def close(self, *, drain: Duration | None = None) -> None:
        """Stops all instances and closes the database; they go on when an engine opens it again. Idempotent.

        Args:
            drain: how long running step bodies may go on, so that their results are recorded. By default they are
                cancelled at once, and their attempts count as lost.
        """
        seconds = 0.0 if drain is None else duration_ms(drain, "drain") / 1000
        runner = self._access.runner
        if runner is None or runner.closed or not runner.belongs_here:
            return
        if self._closing is None:
            runner.check_loop()
            self._closing = asyncio.create_task(self._close(runner, seconds))
        await asyncio.shield(self._closing)

    async def _close(self, runner: Runner, drain_seconds: float) -> None:
        try:
            await runner.close(drain_seconds)
        finally:
            runner.close_now()
            _open_runners.discard(runner)

    async def __aenter__(self) -> Engine:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def create(
        self,
        workflow: Any,
        params: Any = None,
        *,
        id: str | None = None,
        on_conflict: Literal["error", "return"] = "error",
        retention: Kept = None,
    ) -> Instance:
        """Creates an instance and starts it. When this returns, the instance survives whatever happens.

        Args:
            workflow: the class, the function or the name. A name may be one that another engine runs.
            params: what the workflow finds as `event.payload`; `{}` if left out.
            id: 1 to 100 letters, digits, _ and -; unique within the workflow. Default: a UUID.
            on_conflict: what happens if the id exists: "error", or "return" for the existing instance, if its params
                are the same.
            retention: how long it is kept once it is finished; default: as the workflow says.

        Raises:
            InstanceExistsError: the id exists.
            InvalidNameError, SerializationError, PayloadTooLargeError: what was given is not accepted.
        """
        runner = self._access.here()
        name = self._known_name(workflow)
        existing = choice(on_conflict, "on_conflict", ("error", "return")) == "return"
        payload = self._access.codec.encode({} if params is None else params, "params")
        new_id = "" if id is None else _names.instance_id(id)
        call = runner.host.create(name, payload, new_id, existing, retention_ms(retention))
        return Instance(self._access, *await runner.reply(call))

    async def create_batch(self, workflow: Any, items: Iterable[Mapping[str, Any]]) -> Outcomes:
        """Creates many instances in one transaction. When this returns, they survive whatever happens.

            outcomes = await engine.create_batch(Order, [{"id": "order-1", "params": {"sku": "A1"}}, {"params": {}}])

        Args:
            workflow: the class, the function or the name.
            items: mappings with `id`, `params` and `retention`, all optional.

        Returns:
            For each item, in their order: an Instance, or the WorkflowsError that the item met.
        """
        runner = self._access.here()
        name, batch = self._known_name(workflow), Batch(items, self._access.codec)
        rows: list[tuple[Any, ...]] = []
        if batch.accepted:
            rows = await runner.reply(runner.host.create_batch(name, batch.accepted))
        return batch.outcomes(rows, lambda ref: Instance(self._access, *ref))

    async def delete_batch(self, workflow: Any, ids: Iterable[str]) -> Refusals:
        """Deletes many instances in one transaction, with all that they recorded.

        Returns:
            For each id, in their order: None, or the WorkflowsError that it met.
        """
        name, known = name_of(workflow), [str(id) for id in ids]
        rows = await self._access.change(_core.Client.remove_batch, name, known)
        return refusals(rows)

    async def get(self, workflow: Any, id: str) -> Instance:
        """The instance of this id.

        Raises:
            InstanceNotFoundError: there is none.
        """
        name, known = name_of(workflow), _names.instance_id(id)
        return Instance(self._access, *await self._access.read(_core.Client.get, name, known))

    async def exists(self, workflow: Any, id: str) -> bool:
        """Whether the workflow has an instance of this id."""
        name, known = name_of(workflow), _names.instance_id(id)
        found: bool = await self._access.read(_core.Client.exists, name, known)
        return found

    async def list(
        self,
        workflow: Any = None,
        status: Status | str | None = None,
        *,
        created_after: datetime | str | None = None,
        id_prefix: str = "",
        limit: int | None = None,
    ) -> AsyncIterator[InstanceInfo]:
        """The instances, oldest first.

            async for info in engine.list(Order, status="errored"):
                print(info.id)

        Args:
            workflow: only of this one: class, function or name.
            status: only of this one, such as "waiting".
            created_after: only younger ones: a datetime with a time zone, or ISO 8601 text.
            id_prefix: only ids that begin with this.
            limit: at most so many; default: all.
        """
        query = ListQuery(workflow, status, created_after, id_prefix, limit)
        while query.wanted:
            rows: list[tuple[Any, ...]] = await self._access.read(_core.Client.list, *query.arguments())
            for row in rows:
                yield instance_info(row)
            query.seen(rows)

    def _known_name(self, workflow: Any) -> str:
        name = name_of(workflow)
        if not isinstance(workflow, str) and name not in self._definitions:
            raise InvalidNameError(
                f"The workflow {name!r} is not one of this engine's; add it to Engine(workflows=[...]), or create it "
                f"by its name if another engine runs it"
            )
        return name


class Instance:
    """One instance of a workflow, of an open engine. Made by `engine.create` and `engine.get`.

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
        return f"<workflows.Instance {self.id!r} of {self.workflow!r}>"

    async def status(self) -> InstanceStatus:
        """How it stands, as of now."""
        row = await self._access.read(_core.Client.status, self.workflow, self.id)
        return instance_status(row, self._access.codec)

    async def result(self, timeout: float | timedelta | str | None = None) -> Any:
        """Waits until it is finished and returns what `run` returned, whichever engine runs it.

        Args:
            timeout: seconds, a timedelta or text such as "5 minutes"; None waits for ever.

        Raises:
            WorkflowFailedError: an exception left `run`; it is the `cause`.
            WorkflowTerminatedError: it was terminated.
            TimeoutError: it is not finished yet; it goes on.
            InstanceNotFoundError: it was deleted.
        """
        seconds = wait_seconds(timeout, "timeout of result")
        runner = self._access.here()
        if seconds == 0:
            return await self._result_so_far(timeout)
        ended = runner.reply(runner.host.watch(self._key))
        try:
            status = await ended if seconds is None else await self._within(seconds, ended, timeout)
        except InstanceNotFoundError:
            raise InstanceNotFoundError(
                f"The instance {self.id!r} of workflow {self.workflow!r} is not there any more; it was deleted"
            ) from None
        return output_of(status, self._access.codec, self.workflow, self.id)

    async def _result_so_far(self, timeout: object) -> Any:
        row = await self._access.read(_core.Client.status, self.workflow, self.id)
        if not Status(row[0]).is_finished:
            raise TimeoutError(f"{self!r} was not finished within {timeout!r}")
        return output_of(row, self._access.codec, self.workflow, self.id)

    async def _within(self, seconds: float, ended: Awaitable[Any], timeout: object) -> Any:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await ended
        except TimeoutError:
            if limit.expired():
                raise TimeoutError(f"{self!r} was not finished within {timeout!r}") from None
            raise

    async def send_event(
        self, type: str | Mapping[str, Any], payload: Any = None, *, event_id: str | None = None
    ) -> None:
        """Sends it an event. When this returns, the event survives whatever happens.

        Args:
            type: 1 to 100 letters, digits, _ . and -; or a dict of `type` and `payload`.
            payload: any value that can be recorded.
            event_id: a second event of the same id is ignored.

        Raises:
            InstanceFinishedError: it is finished.
            InvalidNameError, SerializationError, PayloadTooLargeError: what was given is not accepted.
        """
        runner = self._access.here()
        name, data, known = event_arguments(type, payload, event_id, self._access.codec)
        await runner.reply(runner.host.send_event(self.workflow, self.id, name, data, known))

    async def steps(self) -> list[StepInfo]:
        """Its steps as recorded so far, in the order in which they were asked for."""
        rows = await self._access.read(_core.Client.steps, self.workflow, self.id)
        return [step_info(row, self._access.codec) for row in rows]

    async def history(self) -> History:
        """Everything that is recorded of it, for `workflows.testing.replay`."""
        key, _, _ = await self._access.read(_core.Client.get, self.workflow, self.id)
        return History(await self._access.read(_core.Client.history, key))

    async def pause(self) -> None:
        """Lets step bodies that run finish and starts no new ones; sleeps, waits and retry delays stand still.

        Raises:
            InvalidTransitionError: it is finished, or rolls back.
        """
        await self._access.change(_core.Client.pause, self.workflow, self.id)

    async def resume(self) -> None:
        """Lets a paused instance go on; every timer gets the time that was left.

        Raises:
            InvalidTransitionError: it is not paused.
        """
        await self._access.change(_core.Client.resume, self.workflow, self.id)

    async def terminate(self, rollback: bool = False) -> None:
        """Ends it: step bodies that run are cancelled, nothing more is recorded.

        Args:
            rollback: compensate the steps that have started, first; the status is "rollingBack" meanwhile.

        Raises:
            InvalidTransitionError: it is finished, or rolls back.
        """
        await self._access.change(_core.Client.terminate, self.workflow, self.id, rollback)

    async def restart(self, from_step: str | None = None, count: int = 1, kind: str = "do") -> list[StepInfo]:
        """Begins it anew: the same id, params and creation time, a new generation.

        Args:
            from_step: keep the results of steps that this one does not follow; None keeps nothing.
            count: the how-manieth step of that name.
            kind: its kind: "do", "sleep" or "wait_for_event".

        Returns:
            The steps that were kept.

        Raises:
            InvalidTransitionError: it rolls back.
            InvalidConfigError: there is no such step.
        """
        arguments = restart_arguments(from_step, count, kind)
        ref, kept = await self._access.change(_core.Client.restart, self.workflow, self.id, *arguments)
        self._key = ref[0]
        return [step_info(row, self._access.codec) for row in kept]

    async def delete(self) -> None:
        """Removes it with all generations and events, whether it runs or not.

        Raises:
            InvalidTransitionError: it rolls back.
        """
        await self._access.change(_core.Client.remove, self.workflow, self.id)

    async def subscribe(self, after: int | None = None) -> AsyncIterator[EntryInfo]:
        """Everything that is recorded of its newest generation, then live; ends after the entry that ends it.

            async for entry in instance.subscribe():
                print(entry.kind, entry.name)

        Args:
            after: the cursor of an entry: only what comes after it.
        """
        key, _, _ = await self._access.read(_core.Client.get, self.workflow, self.id)
        following = Following(self._access.codec, after)
        while True:
            rows = await self._access.read(_core.Client.entries, key, following.cursor)
            for entry in following.read(rows):
                yield entry
            if following.ended:
                return
            await asyncio.sleep(following.pause)


class ListQuery:
    """What `list` was asked for, and how far it has come."""

    def __init__(self, workflow: Any, status: Any, created_after: Any, id_prefix: str, limit: int | None):
        self._workflow = None if workflow is None else name_of(workflow)
        self._status = None if status is None else choice(str(status), "status", tuple(map(str, Status)))
        self._created_after = None if created_after is None else after_ms(created_after, "created_after")
        self._id_prefix = "" if id_prefix == "" else _names.instance_id(id_prefix)
        self._left = None if limit is None else count(limit, "limit", least=0)
        self._after = 0
        self._ended = False

    @property
    def wanted(self) -> int:
        """How many the next page may have; 0: no more pages."""
        return 0 if self._ended else PAGE if self._left is None else min(PAGE, self._left)

    def arguments(self) -> tuple[Any, ...]:
        """For the engine."""
        return (self._workflow, self._status, self._created_after, self._id_prefix, self.wanted, self._after)

    def seen(self, rows: list[tuple[Any, ...]]) -> None:
        """A page came."""
        self._ended = len(rows) < self.wanted
        if self._left is not None:
            self._left -= len(rows)
        if rows:
            self._after = rows[-1][0]


class Batch:
    """What `create_batch` was given: what can be sent, and what each other item met."""

    def __init__(self, items: Iterable[Mapping[str, Any]], codec: Codec):
        self.accepted: list[tuple[str, bytes, tuple[int | None, int | None] | None]] = []
        self._refused: list[WorkflowsError | None] = []
        for item in items:
            try:
                self.accepted.append(self._checked(item, codec))
                self._refused.append(None)
            except WorkflowsError as error:
                self._refused.append(error)

    @staticmethod
    def _checked(item: Mapping[str, Any], codec: Codec) -> tuple[str, bytes, tuple[int | None, int | None] | None]:
        if not isinstance(cast("object", item), Mapping) or set(item) - {"id", "params", "retention"}:
            raise InvalidConfigError(
                f"The item {item!r} is not accepted. Accepted: a mapping with the keys id, params, retention."
            )
        id, params = item.get("id"), item.get("params")
        payload = codec.encode({} if params is None else params, "params")
        return ("" if id is None else _names.instance_id(id), payload, retention_ms(item.get("retention")))

    def outcomes(
        self, rows: list[tuple[Any, ...]], instance: Callable[[tuple[Any, ...]], T]
    ) -> list[T | WorkflowsError]:
        """In the order of the items; `rows` is what the engine answered for the accepted ones."""
        answers = iter(rows)
        return [self._outcome(next(answers), instance) if refused is None else refused for refused in self._refused]

    @staticmethod
    def _outcome(row: tuple[Any, ...], instance: Callable[[tuple[Any, ...]], T]) -> T | WorkflowsError:
        return by_code[row[0]](row[1]) if len(row) == 2 else instance(row)


def refusals(rows: list[tuple[str, str] | None]) -> list[WorkflowsError | None]:
    """What each item of a `delete_batch` met."""
    return [None if row is None else by_code[row[0]](row[1]) for row in rows]


def restart_arguments(from_step: str | None, count_: int, kind: str) -> tuple[str, int, str]:
    """Checked."""
    step = "" if from_step is None else _names.step_name(from_step)
    return (step, count(count_, "count", least=1), choice(kind, "kind", ("do", "sleep", "wait_for_event")))


def event_arguments(
    type: str | Mapping[str, Any], payload: Any, event_id: str | None, codec: Codec
) -> tuple[str, bytes, str]:
    """Type, encoded payload and id of an event, checked."""
    if isinstance(type, Mapping):
        unknown = set(type) - {"type", "payload"}
        if unknown or "type" not in type or payload is not None:
            raise InvalidNameError(
                f"The event {dict(type)!r} is not accepted. Accepted: send_event(type, payload), or one dict with the "
                f"keys type and payload."
            )
        event = type
        type, payload = event["type"], event.get("payload")
    data = codec.encode(payload, "event payload")
    return _names.event_type(type), data, "" if event_id is None else _names.event_id(event_id)


def _by_name(workflows: Iterable[Any]) -> dict[str, Definition]:
    definitions: dict[str, Definition] = {}
    for target in workflows:
        definition = define(target)
        if definition.name in definitions:
            raise InvalidNameError(f"Two workflows are named {definition.name!r}; give one of them another name")
        definitions[definition.name] = definition
    return definitions


def run(workflow: Any, params: Any = None, *, id: str | None = None, db: str | os.PathLike[str] = ":memory:") -> Any:
    """Runs one instance of a workflow to its end and returns its output; blocks. For scripts.

    If the id exists in the database, that instance is resumed, or its output returned if it is complete. Ctrl-C stops
    the program, not the instance: run it again to go on.

        print(workflows.run(groceries, {"pantry": []}, id="week-47", db="groceries.db"))

    Args:
        workflow: a subclass of WorkflowEntrypoint, or a function decorated with @workflow.
        params: what the workflow finds as `event.payload`. May be left out to resume.
        id: the instance's id; a new UUID if left out.
        db: the path of the database; by default nothing is kept.

    Raises:
        WorkflowFailedError: an exception left the workflow's `run`; it is the `cause`.
        InstanceExistsError: the id exists with other params.
        WrongLoopError: an event loop runs in this thread; use `Engine` there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_run(workflow, params, id, db))
    raise WrongLoopError("workflows.run blocks and would stop the event loop that runs here; use workflows.Engine")


async def _run(workflow: Any, params: Any, id: str | None, db: str | os.PathLike[str]) -> Any:
    async with alone(workflow, params, id=id, db=db) as instance:
        return await instance.result()


@contextlib.asynccontextmanager
async def alone(
    workflow: Any, params: Any, *, id: str | None, db: str | os.PathLike[str]
) -> AsyncGenerator[Instance, None]:
    """An instance, created or resumed, with an engine that runs no other one: that ends with it, and an attempt that is
    cut short by the end of its engine counts.
    """
    known = _core.make_instance_id() if id is None else _names.instance_id(id)
    engine = Engine(db, workflows=[workflow])
    engine._options["only_id"] = known  # pyright: ignore[reportPrivateUsage]
    async with engine:
        if params is None and await engine.exists(workflow, known):
            instance = await engine.get(workflow, known)
        else:
            instance = await engine.create(workflow, params, id=known, on_conflict="return")
        yield instance

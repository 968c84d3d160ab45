"""Drives the engine from an event loop, as host.h asks: poll it when its descriptor is readable and after every turn in
which a verb was used, and carry out what it says.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from workflows import _core, _failures, _names, _watched
from workflows._blocking import SyncStep
from workflows._bodies import Bodies
from workflows._declaration import Declaration, Node
from workflows._define import Definition
from workflows._errors import EngineClosedError, ForkedError, WorkflowsError, WrongLoopError, by_code
from workflows._parameters import Parameters
from workflows._pending import FAILURE, VALUE, StepCall
from workflows._rollback import Rollbacks
from workflows._run import CODE, Run
from workflows._step import DeclaredStep, Step
from workflows._time import to_datetime
from workflows._values import Codec

if TYPE_CHECKING:
    from workflows._events import Event

logger = logging.getLogger("workflows")

T = TypeVar("T")

STALL_TURNS = 50  # turns of the loop in which a replaying run does nothing before it counts as stalled
ELSEWHERE_SECONDS = 5.0  # code that waits for something else than steps may take so long to the next one
LOOK_SECONDS = 1.0
"""So long after something came it is looked whether it was an outcome that the engine holds back, of a step whose await
an earlier life of the run had cancelled and this one has not; and which code has timers of its own.
"""
PATIENCE_SECONDS = 5.0  # how long code that was cancelled may take to end when the engine closes
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
_REPLY_ERROR = 3  # index of Error in CallReply::result


@functools.cache
def _event_class() -> type[Event]:
    """Imported with the first instance: to make a dataclass takes longer than to open a database."""
    from workflows._events import Event

    return Event


class Classes(NamedTuple):
    """What the native half needs of this one."""

    node: type[Node] = Node
    call: type[StepCall[Any]] = StepCall
    declaration: type[Declaration] = Declaration
    declared: type[DeclaredStep[..., Any]] = DeclaredStep
    parameters: type[Parameters] = Parameters
    check_step_name: Callable[[object], str] = _names.step_name
    package: str = os.path.dirname(__file__)
    code: contextvars.ContextVar[Run | None] = CODE


class Runner(_core.Driver):
    """One open engine on one running loop. Everything happens on the loop's thread."""

    def __init__(
        self, host: _core.Host, definitions: Mapping[str, Definition], env: Any, codec: Codec, threads: int | None
    ):
        loop = asyncio.get_running_loop()
        super().__init__(host, loop, Classes())
        self.host = host
        self.codec = codec
        self.plain_values = codec.is_plain
        self.slow_turn_seconds = _watched.SLOW_TURN_SECONDS
        self.loop = loop
        self.thread = threading.get_ident()
        self.bodies = Bodies(self, threads)
        self.rollbacks = Rollbacks(self)
        self._pid = os.getpid()
        self._definitions = definitions
        self._env = env
        self._failure: WorkflowsError | None = None  # why the engine stopped
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop itself holds tasks weakly
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._replaying: set[Run] = set()  # runs that still find recorded outcomes
        self._stalling: set[Run] = set()  # those of them that may stand still
        self._look: asyncio.TimerHandle | None = None
        self._own_timers: dict[Run, float] | None = None  # of this turn of the loop
        self._tick_due = False
        self._tick_count = 0
        self._due: deque[tuple[int, Callable[[], None]]] = deque()
        self.patience_seconds = ELSEWHERE_SECONDS
        self.on_outcome: Callable[[Any], None] | None = None  # with `shows_values`: sees every Pending that is awaited
        self.on_answer: Callable[[], None] | None = None  # in the thread of a plain def, when a verb has its answer
        self.turn_context = contextvars.copy_context()
        self.turn_callback = self.turn
        self._actions: dict[int, Callable[..., None]] = {  # by the place in host.h's Action; the rest is done natively
            0: self._start_instance,
            3: self._cancel_body,
            4: self._choose_delay,
            5: self._start_node,
            6: self._evict,
            7: self._instance_ended,
            8: self._reply,
            9: self._log,
            10: self._stopped,
            11: self.rollbacks.start,
            12: self._attempt_due,
        }
        self.loop.add_reader(host.fd, self._wake)
        self.touch()

    # ---- for everyone

    def check_usable(self) -> None:
        """Raises if the engine cannot be used here and now."""
        if os.getpid() != self._pid:
            raise ForkedError(
                "This engine was opened by the process that this one was forked from; open one of its own"
            )
        if self._failure is not None:
            raise self._failure
        if self.closed:
            raise EngineClosedError("The engine is closed; open one with `async with workflows.Engine(...)`")
        self.check_loop()

    def check_loop(self) -> None:
        """Raises if this is not the loop that opened the engine."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is not self.loop:
            raise WrongLoopError(
                f"The engine is used {'outside of any event loop' if loop is None else 'on another event loop'}; it "
                f"belongs to the loop that opened it. In a thread, use asyncio.run_coroutine_threadsafe, or "
                f"workflows.Client."
            )

    @property
    def belongs_here(self) -> bool:
        """Whether this process opened it."""
        return os.getpid() == self._pid

    def spawn(self, work: Coroutine[Any, Any, T], context: contextvars.Context | None = None) -> asyncio.Task[T]:
        """A task that is held until it is done."""
        return self.hold(self.loop.create_task(work, context=context or self.turn_context.copy()))

    def hold(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        """Holds a task until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def watched(self, coroutine: Coroutine[Any, Any, Any], what: Run | str) -> _core.Watched:
        """A coroutine that is reported, as `what`, when it keeps the loop for long."""
        return _core.Watched(coroutine, what, self.slow_turn_seconds)

    def call_soon_from_thread(self, callback: Callable[..., object], *args: Any) -> bool:
        """From another thread; False if the loop is gone."""
        try:
            self.loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            return False
        return True

    def heartbeat(self, key: int, ticket: int, attempt: int, details: Any) -> None:
        """A body's sign of life, from any thread."""
        encoded = self.codec.encode(details, "details of a heartbeat")
        if threading.get_ident() == self.thread:
            self._beat(key, ticket, attempt, encoded)
        else:
            self.call_soon_from_thread(self._beat, key, ticket, attempt, encoded)

    def _beat(self, key: int, ticket: int, attempt: int, details: bytes) -> None:
        if not self.closed:
            self.host.heartbeat(key, ticket, attempt, details)
            self.touch()

    async def reply(self, call: int) -> Any:
        """The answer to a call."""
        self.touch()
        future = self._replies[call] = self.loop.create_future()
        try:
            return await future
        finally:
            self._replies.pop(call, None)

    # ---- the loop

    def _wake(self) -> None:
        for run in self._replaying - self._stalling:  # what came may be for one that stands still
            self.watch_stall(run)
        if self._look is None and self.runs:
            self._look = self.loop.call_later(LOOK_SECONDS, self._look_after_runs, context=self.turn_context)
        self.turn()

    def _look_after_runs(self) -> None:
        self._look = None
        if self.closed or self._failure is not None:
            return
        for run in self.runs.values():
            if run not in self._replaying and not run.stopped and self.host.replaying(run.key):
                self._watch_replay(run)
        if timers := self._all_own_timers():
            for run in timers:
                self.host.goes_on(run.key)
            self.touch()

    def _own_timer(self, run: Run) -> float | None:
        """The loop's time at which the last timer goes off that the run's code has set, by `asyncio.timeout`,
        `asyncio.sleep` and the like. None: it has set none, or the loop is not one of asyncio's own.
        """
        if self._own_timers is None:
            self._own_timers = self._all_own_timers()
            self.loop.call_soon(self._forget_own_timers, context=self.turn_context)
        return self._own_timers.get(run)

    def _forget_own_timers(self) -> None:
        self._own_timers = None

    def _all_own_timers(self) -> dict[Run, float]:
        timers: dict[Run, float] = {}
        due: Iterable[asyncio.Handle] = getattr(self.loop, "_ready", ())  # in this very turn
        for handle in (*getattr(self.loop, "_scheduled", ()), *due):
            run = None if handle.cancelled() else handle._context.get(CODE)
            if run is not None and run.runner is self and not run.stopped:
                when = handle.when() if isinstance(handle, asyncio.TimerHandle) else 0.0
                timers[run] = max(timers.get(run, 0.0), when)
        return timers

    def _carry_out(self, kind: int, action: tuple[Any, ...]) -> None:
        try:
            self._actions[kind](*action)
        except Exception:
            logger.exception("The engine could not carry out %s%r", self._actions[kind].__name__, action)

    def _start_instance(self, key: int, workflow: str, id: str, params: bytes, created: int) -> None:
        if self.closing:
            return
        run = self.runs[key] = Run(self, key, self._definitions[workflow], id)
        run.task = self.loop.create_task(self._execute(run, params, created), context=self.turn_context.copy())
        self._tasks.add(run.task)
        run.task.add_done_callback(functools.partial(self._code_ended, run), context=self.turn_context)
        if self.host.replaying(key):
            self._watch_replay(run)

    def _cancel_body(self, key: int, ticket: int, attempt: int) -> None:
        if not self.rollbacks.cancel(key, ticket, attempt):
            self.bodies.cancel(key, ticket, attempt)

    def _attempt_due(self, key: int, ticket: int, attempt: int, since: int) -> None:
        began = self.rollbacks.began(key, ticket, attempt)
        if began == 0:
            began = self.bodies.began(key, ticket, attempt)
        self.host.attempt_due(key, ticket, attempt, None if began is None else max(began, since))
        self.touch()

    def _choose_delay(self, key: int, ticket: int, attempt: int, failure: tuple[Any, ...]) -> None:
        node = self.runs[key].open_step(ticket) if key in self.runs else None
        if node is not None:
            self.bodies.choose_delay(node, attempt, failure)

    def _start_node(self, key: int, node: int, failed: int | None) -> None:
        if key in self.runs:
            self.runs[key].start_node(node, failed)

    def _evict(self, key: int) -> None:
        run = self.runs.get(key)
        if run is None:
            self.host.evicted(key)
            return
        timer = self._own_timer(run)
        own_timer_ms = None if timer is None else math.ceil((timer - self.loop.time()) * 1000)
        if (timer is not None or run.may_go_on()) and self.host.keep(key, own_timer_ms):
            self.touch()
            return
        run.evicting = True
        run.stop()
        if run.task is None:  # its code had ended, and rests between two attempts of a rollback
            self._forget_evicted(run)

    def _forget_evicted(self, run: Run) -> None:
        self.runs.pop(run.key, None)
        run.let_go()
        self.host.evicted(run.key)
        self.touch()

    def _instance_ended(self, key: int, _status: tuple[Any, ...]) -> None:
        run = self.runs.pop(key, None)
        if run is not None:
            run.stop()
            run.let_go()

    def _reply(self, call: int, kind: int, result: Any) -> None:
        future = self._replies.get(call)
        if future is None or future.done():
            return
        if kind == _REPLY_ERROR:
            code, message = result
            future.set_exception(by_code[code](message))
        else:
            future.set_result(result)

    def _log(self, level: int, message: str) -> None:
        logger.log(_LEVELS[level], "%s", message)

    def _stopped(self, code: str, message: str) -> None:
        self._failure = by_code[code](message)
        self.failed = True
        logger.error("The engine has stopped: %s", message)
        self._stop_all()
        self._fail_replies(self._failure)

    # ---- the code of an instance

    async def _execute(self, run: Run, params: bytes, created: int) -> tuple[Any, ...] | None:
        """The outcome of the run; None if its code was made to end."""
        CODE.set(run)
        definition = run.definition
        try:
            event = _event_class()(self.codec.decode(params), to_datetime(created), run.id, definition.name)
            code = definition.make(self._env)
            if definition.is_async:
                output = await self.watched(code(event, Step(run)), run)
            else:
                output = await self._in_thread(run, code, event)
            return (VALUE, self.codec.encode(output, "output"))
        except asyncio.CancelledError as error:
            if run.stopped or _is_being_cancelled():
                raise
            return self._failed(error)  # something that the code awaited was cancelled, not the code
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            return self._failed(error)

    def _failed(self, error: BaseException) -> tuple[Any, ...]:
        return (FAILURE, _failures.from_exception(error, self.codec))

    async def _in_thread(self, run: Run, code: Callable[[Any, Any], Any], event: Event) -> Any:
        done: asyncio.Future[tuple[Any, BaseException | None]] = self.loop.create_future()

        def finish(output: Any, error: BaseException | None) -> None:
            if not done.done():
                done.set_result((output, error))

        def main() -> None:
            try:
                output = code(event, SyncStep(run))
            except BaseException as error:
                self.call_soon_from_thread(finish, None, error)
            else:
                self.call_soon_from_thread(finish, output, None)

        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(main,), name=f"workflows-{run.id}", daemon=True).start()
        output, error = await done
        if error is not None:
            raise error
        if asyncio.iscoroutine(output):
            output.close()
            raise TypeError(f"{run!r} returned a coroutine from a plain def; make its run async")
        return output

    def _code_ended(self, run: Run, task: asyncio.Task[tuple[Any, ...] | None]) -> None:
        self._tasks.discard(task)
        outcome = None if task.cancelled() else task.result()
        if run.stopped:
            self._stopped_code_ended(run, outcome, was_cancelled=task.cancelling() > 0)
        else:
            self._free_code_ended(run, outcome)
        run.task = None  # it knows the run as well: nothing else would hold the two

    def _free_code_ended(self, run: Run, outcome: tuple[Any, ...] | None) -> None:
        if outcome is None:
            logger.warning("%r was cancelled from outside; it goes on when the engine is opened again", run)
            # A loop that shuts down does this; then Python waits for the threads before anyone can close the engine.
            self.bodies.cancel_run(run.key)
        elif not self.closed:
            self.host.finish(run.key, outcome)
            self.touch()
        run.stop()
        if outcome is not None:
            run.warn_unawaited()

    def _stopped_code_ended(self, run: Run, outcome: tuple[Any, ...] | None, was_cancelled: bool) -> None:
        if outcome is not None and was_cancelled:
            logger.warning(
                "%r ended by itself after it was cancelled; that is not recorded. Let asyncio.CancelledError pass.", run
            )
        if run.evicting and not self.closed:
            self._forget_evicted(run)

    # ---- turns that are counted: to let branches react, and to see that a replaying run stands still

    def after_turns(self, turns: int, callback: Callable[[], None]) -> None:
        """Calls back after so many turns of the loop; always the same number, so that the first due come first."""
        self._due.append((self._tick_count + turns, callback))
        self._tick_soon()

    def watch_stall(self, run: Run) -> None:
        """The run did something; if it replays, look whether it goes on."""
        if run.replays:
            run.quiet_turns = 0
            run.patient_until = None
            self._stalling.add(run)
            self._tick_soon()

    def _watch_replay(self, run: Run) -> None:
        run.replays = True
        self._replaying.add(run)
        self.watch_stall(run)

    def _tick_soon(self) -> None:
        if not self._tick_due and (self._stalling or self._due):
            self._tick_due = True
            self.loop.call_soon(self._tick, context=self.turn_context)

    def _tick(self) -> None:
        self._tick_due = False
        if self.closed:
            return
        self._tick_count += 1
        while self._due and self._due[0][0] <= self._tick_count:
            self._due.popleft()[1]()
        for run in list(self._stalling):
            if run.stopped or not self.host.replaying(run.key):
                self._stalling.discard(run)
                self._replaying.discard(run)
                run.replays = False
            elif run.bodies or run.reacting:
                self._stalling.discard(run)  # until it goes on
            else:
                self._count_quiet_turn(run)
        self._tick_soon()

    def _count_quiet_turn(self, run: Run) -> None:
        run.quiet_turns += 1
        if run.quiet_turns < STALL_TURNS:
            return
        run.quiet_turns = 0
        if not run.waits_for_steps() and not self._was_patient(run):
            self._stalling.discard(run)
        elif self.host.release_stalled(run.key):
            self.touch()
        else:
            self._stalling.discard(run)  # until something happens

    def _was_patient(self, run: Run) -> bool:
        if run.patient_until is not None:
            return self.loop.time() >= run.patient_until
        run.patient_until = self.loop.time() + self.patience_seconds
        self.loop.call_later(self.patience_seconds, self._look_again, run, run.patient_until, context=self.turn_context)
        return False

    def _look_again(self, run: Run, since: float) -> None:
        if run.patient_until == since and not run.stopped and not self.closed:
            self._stalling.add(run)
            self._tick_soon()

    # ---- the end

    def _stop_all(self) -> None:
        for run in list(self.runs.values()):
            run.stop()
        self.bodies.cancel_all()
        self.rollbacks.cancel_all()

    def _fail_replies(self, error: Exception) -> None:
        for future in self._replies.values():
            if not future.done():
                future.set_exception(error)

    async def close(self, drain_seconds: float) -> None:
        """Ends all code, lets bodies finish for `drain_seconds`, then cancels them and closes the engine."""
        self.closing = True
        for run in list(self.runs.values()):
            if run.may_go_on() or self._own_timer(run) is not None:
                self.host.goes_on(run.key)
            run.stop()
        if drain_seconds > 0:
            await self._until(lambda: not self.bodies.running, drain_seconds)
        self.bodies.cancel_all()
        self.rollbacks.cancel_all()
        await self._until(lambda: not self._tasks, PATIENCE_SECONDS)
        for task in self._tasks:
            logger.warning("%r does not end although it was cancelled; it is left behind", task)
        self.close_now()

    async def _until(self, reached: Callable[[], bool], seconds: float) -> None:
        deadline = self.loop.time() + seconds
        while not reached() and self.loop.time() < deadline:
            tasks = [*self._tasks]
            if tasks:
                await asyncio.wait(tasks, timeout=min(0.05, deadline - self.loop.time()))
            else:
                await asyncio.sleep(0.005)

    def close_now(self) -> None:
        """Closes the engine without waiting for anything of ours. Idempotent."""
        if self.closed:
            return
        self.closed = True
        if self._look is not None:
            self._look.cancel()
        if not self.loop.is_closed():
            self.loop.remove_reader(self.host.fd)
            self._fail_replies(EngineClosedError("The engine was closed before the answer came"))
        self.bodies.close()
        self.host.close()
        self.release_host()
        del self.host  # and with it its files; who is still around looks at `closed` first


def _is_being_cancelled() -> bool:
    """Whether the running task is. A function of its own: a frame that an exception holds must not hold its task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

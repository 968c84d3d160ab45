"""One running instance: the steps that its code asked for, and the graph that it declared."""

from __future__ import annotations

import asyncio
import contextvars
import warnings
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from workflows import _failures
from workflows._declaration import Declaration, Node
from workflows._define import Definition
from workflows._errors import DependencyError, WorkflowsError
from workflows._parameters import Given
from workflows._pending import FAILURE, Pending, Sleep, Wait

if TYPE_CHECKING:
    from workflows._runner import Runner

PENDING, RUN, RESOLVED = 0, 1, 2  # what became of a question (Asked in host.h)

REACTION_TURNS = 8
"""How many turns of the loop a branch may take from an outcome to its next question. `gather` and `TaskGroup` pass an
outcome on over two or three, nested ones over more."""


class Run:
    """Lives on the loop's thread. Every verb of user code comes through here.

    Replay must find the questions of parallel branches in the order in which they were asked. The engine delivers
    outcomes in the recorded order; here each branch gets the time to react before the next outcome is handed over, in
    the first life as in every other, so that the order of the outcomes alone decides who asks first.
    """

    def __init__(self, runner: Runner, key: int, definition: Definition, id: str):
        self.runner = runner
        self.key = key
        self.definition = definition
        self.id = id
        self.task: asyncio.Task[Any] | None = None
        self.stopped = False  # its code is to end, whatever it does is not recorded
        self.evicting = False  # ... and the engine waits to hear that it has
        self.bodies = 0  # that run now
        self.quiet_turns = 0
        self.unawaited: dict[Pending, None] = {}
        self._expected = 0  # outcomes that the code may await
        self._pausing = False  # the code reacts to an outcome
        self._abandoned: list[Pending] = []  # not yet reported
        self._deliveries: deque[tuple[Pending, tuple[Any, ...]]] = deque()  # outcomes to be handed over after that
        self._asked: dict[int, Pending] = {}  # by ticket; settled ones are dropped
        self._nodes: dict[int, Node] = {}
        self._by_function: dict[str, Declaration] = {}
        self._by_name: dict[str, Declaration] = {}

    def __repr__(self) -> str:
        return f"instance {self.id!r} of workflow {self.definition.name!r}"

    # ---- asked by user code

    def sleep(self, name: str, milliseconds: int, *, absolute: bool) -> Pending:
        """Asks for a sleep: for some time, or until a time."""
        self._check()
        pending = Sleep(self, name)
        self._note(pending, self.runner.host.sleep(self.key, name, milliseconds, absolute))
        return pending

    def wait_for_event(self, pending: Wait, type: str, timeout_ms: int | None) -> Pending:
        """Asks for an event."""
        self._check()
        self._note(pending, self.runner.host.wait_for_event(self.key, pending.name, type, timeout_ms))
        return pending

    def call(self, step: Declaration, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Node:
        """A direct call of a declared step."""
        self._check()
        given = step.accept(args, kwargs)
        base = self._connect(step)
        id = self.runner.host.call_node(self.key, base.id, step.width, bool(args or kwargs))
        self.touch()
        node = self._nodes.get(id)
        if node is None:  # a run of its own (S36)
            node = self._nodes[id] = Node(self, step, id, base.depends)
        node.given = given
        self._mark_needed(node, contextvars.copy_context())
        self._expect(node)
        return node

    def abandon(self, pending: Pending) -> None:
        """Nobody awaits it any more: its await was cancelled. The step goes on and its outcome is recorded.

        The engine is told a little later, or before the next question. Until then it may turn out that not the await
        was cancelled but the whole run, by a loop that shuts down; then nothing is to be recorded.
        """
        if self.stopped or self.runner.closed or (isinstance(pending, Node) and pending.needed):
            return
        pending.abandoned = True
        self._forget(pending)
        if isinstance(pending, Node) and pending.step.node is pending:
            pending.step.node = None  # whoever depends on it later gets a run that is awaited
        if not self._abandoned:
            self.runner.after_turns(REACTION_TURNS, self._report_abandoned)
        self._abandoned.append(pending)

    def _report_abandoned(self) -> None:
        for pending in self._abandoned:
            if pending.ticket is not None:
                self.runner.host.abandon(self.key, pending.ticket)
                self.touch()
        self._abandoned.clear()

    def _check(self) -> None:
        self.runner.check()
        if self.stopped:
            raise asyncio.CancelledError(f"{self} is not running any more")
        self._report_abandoned()

    def _note(self, pending: Pending, asked: tuple[int, int, int, tuple[Any, ...] | None]) -> None:
        pending.ticket, state, _, outcome = asked
        self._expect(pending)
        if state == RESOLVED and outcome is not None:
            self._hand_over(pending, outcome)
        else:
            self._asked[pending.ticket] = pending
        self.touch()

    def _expect(self, pending: Pending) -> None:
        self.unawaited[pending] = None
        if not pending.settled and not pending.expected:
            pending.expected = True
            self._expected += 1

    def _forget(self, pending: Pending) -> None:
        if pending.expected:
            pending.expected = False
            self._expected -= 1

    # ---- outcomes, one after the other

    @property
    def reacting(self) -> bool:
        """Whether the code has not yet got, or has not yet had the time to react to, all outcomes that are there."""
        return self._pausing or bool(self._deliveries)

    def _hand_over(self, pending: Pending, outcome: tuple[Any, ...]) -> None:
        if self.reacting:
            self._deliveries.append((pending, outcome))
        else:
            self._deliver(pending, outcome)

    def _deliver(self, pending: Pending, outcome: tuple[Any, ...]) -> None:
        expected = pending.expected
        self._forget(pending)
        pending.settle(outcome)
        if isinstance(pending, Node):
            self.runner.host.node_finished(self.key, pending.id, outcome[0] != FAILURE)
        if expected and self._expected > 0:
            self._pausing = True
            self.runner.after_turns(REACTION_TURNS, self._go_on)
        self.touch()

    def _go_on(self) -> None:
        self._pausing = False
        while self._deliveries and not self._pausing and not self.stopped:
            self._deliver(*self._deliveries.popleft())

    def touch(self) -> None:
        """Something happened in this run; the engine is to be polled after this turn of the loop."""
        self.runner.touch()
        self.runner.watch_stall(self)

    # ---- the graph

    def declared(self, step: Declaration) -> None:
        """Remembers a declared step; of two of the same name the later counts for what is declared from now on."""
        self._by_function[step.function_name] = step
        self._by_name[step.name] = step

    def find_declared(self, name: str) -> Declaration | None:
        """The step that a parameter of this name depends on."""
        return self._by_function.get(name) or self._by_name.get(name)

    def declared_names(self) -> str:
        """For messages."""
        return ", ".join(sorted({*self._by_function, *self._by_name})) or "none"

    def _connect(self, step: Declaration) -> Node:
        """Makes the step and all that it depends on known to the engine's graph."""
        if step.node is not None:
            return step.node
        order = self._unconnected(step)
        nodes = [Node(self, one, self.runner.host.declare(self.key, one.name)) for one in order]
        for one, node in zip(order, nodes, strict=True):
            one.node = self._nodes[node.id] = node
        for one, node in zip(order, nodes, strict=True):
            node.depends = [dependency.node for dependency in one.all_depends() if dependency.node is not None]
            self.runner.host.connect(self.key, node.id, [dependency.id for dependency in node.depends])
        return nodes[0]

    def _unconnected(self, step: Declaration) -> list[Declaration]:
        trails: dict[Declaration, tuple[Declaration, ...]] = {step: (step,)}
        todo = [step]
        while todo:
            current = todo.pop()
            for dependency in current.all_depends():
                if dependency.node is not None or dependency in trails:
                    continue
                trails[dependency] = (*trails[current], dependency)
                dependency.bind_late(())
                dependency.check_complete(Given(), trails[dependency])
                todo.append(dependency)
        return list(trails)

    def _mark_needed(self, node: Node, context: contextvars.Context) -> None:
        todo = [node]
        while todo:
            current = todo.pop()
            current.context = context
            for dependency in current.depends:
                if not dependency.needed:
                    dependency.needed = True
                    todo.append(dependency)

    # ---- told by the engine

    def start_node(self, id: int, failed: int | None) -> None:
        """All that the node depends on has ended."""
        if self.stopped:
            return
        node = self._nodes[id]
        tickets = [dependency.ticket for dependency in node.depends if dependency.ticket is not None]
        native = node.step.config.native
        try:
            if failed is None:
                asked = self.runner.host.do_(self.key, node.name, native, tickets)
            else:
                failure = self._dependency_failure(node, self._nodes[failed])
                asked = self.runner.host.do_failed(self.key, node.name, native, tickets, failure)
        except WorkflowsError as error:
            self._refuse(node, error)
            return
        node.ticket, state, attempt, outcome = asked
        if node.abandoned:
            self.runner.host.abandon(self.key, node.ticket)
        if state == RESOLVED and outcome is not None:
            self._hand_over(node, outcome)
            return
        self._asked[node.ticket] = node
        if state == RUN:
            self.runner.bodies.start(node, attempt)
        self.touch()

    def _dependency_failure(self, node: Node, dependency: Node) -> _failures.Failure:
        error = dependency.failure()
        failed = DependencyError(
            f"Step {node.name!r} did not run: its dependency {dependency.name!r} failed. {_failures.summary(error)}"
        )
        original = error.__cause__ if isinstance(error, DependencyError) else None
        failed.__cause__ = original or error
        return _failures.from_exception(failed, self.runner.codec)

    def _refuse(self, node: Node, error: WorkflowsError) -> None:
        self._forget(node)
        node.refuse(error)
        self.runner.host.node_finished(self.key, node.id, False)
        self.touch()

    def resolve(self, ticket: int, outcome: tuple[Any, ...]) -> None:
        """The outcome of a step is durable."""
        pending = self._asked.pop(ticket, None)
        if pending is not None and not self.stopped:
            self._hand_over(pending, outcome)

    def node_of(self, ticket: int) -> Node | None:
        """The open `do` step of this ticket."""
        found = self._asked.get(ticket)
        return found if isinstance(found, Node) else None

    # ---- the end

    def stop(self) -> None:
        """Ends the code: it is to be forgotten, not to fail."""
        if self.stopped:
            return
        self.stopped = True
        self._abandoned.clear()
        if self.task is not None and self.definition.is_async:
            self.task.cancel()
        for pending in self._open():
            pending.cancel_waiters()

    def _open(self) -> Iterable[Pending]:
        waiting = [pending for pending, _ in self._deliveries]
        return dict.fromkeys([*self._asked.values(), *self._nodes.values(), *waiting])

    def warn_unawaited(self) -> None:
        """At the end of the run."""
        for pending in self.unawaited:
            warnings.warn_explicit(
                f"step.{pending.verb} {pending.name!r} was never awaited in {self}",
                RuntimeWarning,
                *self.definition.place,
            )

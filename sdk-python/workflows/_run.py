"""One running instance: the steps that its code asked for, and the graph that it declared."""

from __future__ import annotations

import asyncio
import contextvars
import warnings
from typing import TYPE_CHECKING, Any, cast

from workflows import _core, _failures
from workflows._declaration import Declaration, Node
from workflows._define import Definition
from workflows._errors import DependencyError
from workflows._parameters import Given
from workflows._pending import FAILURE, Pending

if TYPE_CHECKING:
    from workflows._runner import Runner

CODE: contextvars.ContextVar[Run | None] = contextvars.ContextVar("workflows.code", default=None)
"""The run whose code this is; None in the bodies of its steps. A timer that code sets in the loop keeps it as well."""

REACTION_TURNS = 8
"""How many turns of the loop a branch may take from an outcome to its next question. `gather` and `TaskGroup` pass an
outcome on over two or three, nested ones over more."""


class Run(_core.Run):
    """Lives on the loop's thread. Every verb of user code comes through here, or through the native half of it."""

    __slots__ = (
        "_abandoned",
        "_nodes",
        "bodies",
        "definition",
        "evicting",
        "id",
        "patient_until",
        "quiet_turns",
        "runner",
        "task",
        "verbs",
    )

    def __init__(self, runner: Runner, key: int, definition: Definition, id: str):
        super().__init__(runner, key)
        self.runner: Runner = runner
        self.definition = definition
        self.id = id
        self.task: asyncio.Task[Any] | None = None  # until its code has ended
        self.evicting = False  # its code was told to end, and the engine waits to hear that it has
        self.bodies = 0  # that run now
        self.quiet_turns = 0
        self.patient_until: float | None = None  # it stands still, but may wait for something else than steps
        self.verbs = 0  # that its thread waits in, if its code is a plain def
        self._abandoned: list[Pending] = []  # not yet reported
        self._nodes: dict[int, Node] = {}  # of the graph

    def __repr__(self) -> str:
        return f"instance {self.id!r} of workflow {self.definition.name!r}"

    @property
    def is_replaying(self) -> bool:
        """Its code runs over what it did before."""
        return self.stopped or self.runner.closed or self.runner.host.replaying(self.key)

    def waits_for_steps(self) -> bool:
        """Whether all of its code is known to wait for steps. If not, it may go on by itself."""
        if not self.definition.is_async:
            return self.verbs > 0
        return self.task is not None and _waits_for_steps(self.task)

    def may_go_on(self) -> bool:
        """Whether code that asks nothing just now may do so by itself, or has ended and not said so yet."""
        return not self.stopped and not self.waits_for_steps()

    # ---- asked by user code

    def call(self, step: Declaration, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Node:
        """A direct call of a declared step."""
        self.check()
        given = step.accept(args, kwargs)
        context = contextvars.copy_context()
        if (step.node is None or step.node.id < 0) and not step.depends and not step.extra:
            return self._call_alone(step, given if args or kwargs else None, context)
        base = self._connect(step)
        id = self.runner.host.call_node(self.key, base.id, step.width, bool(args or kwargs))
        self.touch()
        node = self._nodes.get(id)
        if node is None:  # a run of its own (S36)
            node = self._nodes[id] = Node(step)
            node.id = id
            node.depends = base.depends
        node.given = given
        self._mark_needed(node, context)
        self.expect(node)
        return node

    def _call_alone(self, step: Declaration, given: Given | None, context: contextvars.Context) -> Node:
        """It needs no graph. It joins one when something is called that depends on it."""
        node = Node(step)
        if step.node is None and given is None:
            step.node = node
        node.given = given
        node.context = context
        self.expect(node)
        self.do_(node, ())
        return node

    def abandon(self, pending: Pending) -> None:
        """Nobody awaits it any more: its await was cancelled. The step goes on and its outcome is recorded.

        The engine is told a little later, or before the next question. Until then it may turn out that not the await
        was cancelled but the whole run, by a loop that shuts down; then nothing is to be recorded.
        """
        if self.stopped or self.runner.closed or (isinstance(pending, Node) and pending.needed):
            return
        pending.abandoned = True
        self.forget(pending)
        if isinstance(pending, Node) and pending.step is not None and pending.step.node is pending:
            pending.step.node = None  # whoever depends on it later gets a run that is awaited
        if not self._abandoned:
            self.runner.after_turns(REACTION_TURNS, self._report_abandoned)
        self._abandoned.append(pending)
        self.has_abandoned = True

    def _report_abandoned(self) -> None:
        self.has_abandoned = False
        for pending in self._abandoned:
            if pending.ticket is not None:
                self.runner.host.abandon(self.key, pending.ticket)
                self.touch()
        self._abandoned.clear()

    def check_open(self) -> None:
        """Before a question: raises if the run is over."""
        if self.stopped:
            raise asyncio.CancelledError(f"{self} is not running any more")
        self._report_abandoned()

    def pause(self) -> None:
        """Lets the code react to an outcome before it gets the next one."""
        self.runner.after_turns(REACTION_TURNS, self.go_on)

    # ---- the graph

    def find_declared(self, name: str) -> Declaration | None:
        """The step that a parameter of this name depends on."""
        return self.by_function.get(name) or self.by_name.get(name)

    def declared_names(self) -> str:
        """For messages."""
        return ", ".join(sorted({*self.by_function, *self.by_name})) or "none"

    def _connect(self, step: Declaration) -> Node:
        """Makes the step and all that it depends on known to the engine's graph."""
        if step.node is not None and step.node.id >= 0:
            return step.node
        host = self.runner.host
        order = self._unconnected(step)
        nodes = [one.node or Node(one) for one in order]
        for one, node in zip(order, nodes, strict=True):
            node.id = host.declare(self.key, one.name)
            one.node = self._nodes[node.id] = node
        for one, node in zip(order, nodes, strict=True):
            node.depends = [dependency.node for dependency in one.all_depends() if dependency.node is not None]
            host.connect(self.key, node.id, [dependency.id for dependency in node.depends])
            if node.context is not None:  # it was called before it was part of the graph: that was its first call
                host.call_node(self.key, node.id, 0, False)
        return nodes[0]

    def _unconnected(self, step: Declaration) -> list[Declaration]:
        trails: dict[Declaration, tuple[Declaration, ...]] = {step: (step,)}
        todo = [step]
        while todo:
            current = todo.pop()
            for dependency in current.all_depends():
                if dependency in trails or (dependency.node is not None and dependency.node.id >= 0):
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
        node.started = True
        if node.settled:  # it was begun before it was part of the graph
            self.runner.host.node_finished(self.key, id, node.outcome is not None and node.outcome[0] != FAILURE)
        begun = node.settled or node.ticket is not None
        if begun:
            return
        self._ask(node, failed)
        if node.abandoned and node.ticket is not None:
            self.runner.host.abandon(self.key, node.ticket)

    def _ask(self, node: Node, failed: int | None) -> None:
        tickets = [dependency.ticket for dependency in node.depends if dependency.ticket is not None]
        if failed is None:
            self.do_(node, tickets)
        else:
            self.do_failed(node, tickets, self._dependency_failure(node, self._nodes[failed]))

    def _dependency_failure(self, node: Node, dependency: Node) -> _failures.Failure:
        error = dependency.failure()
        failed = DependencyError(
            f"Step {node.name!r} did not run: its dependency {dependency.name!r} failed. {_failures.summary(error)}"
        )
        original = error.__cause__ if isinstance(error, DependencyError) else None
        failed.__cause__ = original or error
        return _failures.from_exception(failed, self.runner.codec)

    # ---- the end

    def stop(self) -> None:
        """Ends the code: it is to be forgotten, not to fail."""
        if self.stopped:
            return
        super().stop()
        self._abandoned.clear()
        if self.task is not None and self.definition.is_async:
            self.task.cancel()
        for node in self._nodes.values():
            node.cancel_waiters()
        self._nodes.clear()
        self.by_function.clear()
        self.by_name.clear()

    def warn_unawaited(self) -> None:
        """At the end of the run."""
        for pending in self.unawaited:
            warnings.warn_explicit(
                f"step.{pending.verb} {pending.name!r} was never awaited in {self}",
                RuntimeWarning,
                *self.definition.place,
            )


def _waits_for_steps(waiting: Any) -> bool:
    if isinstance(waiting, asyncio.Task):
        return not waiting.cancelling() and _waits_for_steps(getattr(cast("Any", waiting), "_fut_waiter", None))
    children: list[Any] | None = getattr(waiting, "_children", None)
    if children is not None:  # what `gather` returns
        return all(child.done() or _waits_for_steps(child) for child in children)
    return type(waiting).__module__ == "workflows._core"

# pyright: basic
"""How workflows are written (S1), without an engine."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from typing import Any

import pytest
import workflows
from workflows import _define
from workflows._parameters import Given, Parameters


class Order(workflows.WorkflowEntrypoint):
    async def run(self, event: workflows.Event, step: workflows.Step) -> None: ...


class Named(workflows.WorkflowEntrypoint):
    name = "another-name"
    version = "7"

    def run(self, event: workflows.Event, step: workflows.SyncStep) -> None: ...


@workflows.workflow
async def bare(event: workflows.Event, step: workflows.Step) -> int:
    """Documented."""
    return 1


@workflows.workflow(name="given-name", version="2")
def plain(event: workflows.Event, step: workflows.SyncStep) -> None: ...


def test_s1_a_workflow_is_named_after_its_class_its_function_or_what_was_given() -> None:
    assert [_define.define(w).name for w in (Order, Named, bare, plain)] == [
        "Order",
        "another-name",
        "bare",
        "given-name",
    ]
    assert [_define.define(w).version for w in (Order, Named, bare, plain)] == ["", "7", "", "2"]
    assert [_define.define(w).is_async for w in (Order, Named, bare, plain)] == [True, False, True, False]


def test_a_decorated_function_stays_what_it_is() -> None:
    assert inspect.iscoroutinefunction(bare)
    assert bare.__doc__ == "Documented."
    assert list(inspect.signature(bare).parameters) == ["event", "step"]


@pytest.mark.parametrize("name", ["", "-x", "a b", "x" * 65, 5, None])
def test_s1_a_name_that_is_not_accepted_is_an_error_at_once(name: Any) -> None:
    if name is not None:
        with pytest.raises(workflows.InvalidNameError, match="workflow name"):
            workflows.workflow(name=name)(lambda event, step: None)
    with pytest.raises(workflows.InvalidNameError, match="workflow name"):
        workflows.Engine(":memory:", workflows=[type("Bad", (workflows.WorkflowEntrypoint,), {"name": name})])


@pytest.mark.parametrize("target", [None, 3, "Order", lambda event, step: None, workflows.WorkflowEntrypoint, object])
def test_what_is_no_workflow_is_refused_and_says_what_is(target: Any) -> None:
    with pytest.raises(TypeError, match=r"WorkflowEntrypoint.*@workflows\.workflow"):
        workflows.Engine(":memory:", workflows=[target])


def test_two_workflows_of_one_name_are_refused() -> None:
    with pytest.raises(workflows.InvalidNameError, match="Two workflows are named 'Order'"):
        workflows.Engine(":memory:", workflows=[Order, workflows.workflow(name="Order")(lambda event, step: None)])


def test_a_policy_or_retention_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(workflows.InvalidConfigError, match="determinism is 'hope'.*'pause', 'fail', 'ignore'"):
        workflows.workflow(name="w", determinism="hope")(lambda event, step: None)  # type: ignore[call-overload]
    with pytest.raises(workflows.InvalidConfigError, match="retention has an unknown key 'forever'"):
        workflows.workflow(name="w", retention={"forever": True})(lambda event, step: None)
    with pytest.raises(workflows.InvalidDurationError, match="retention"):
        workflows.workflow(name="w", retention="soon")(lambda event, step: None)


def test_env_is_there_before_init_of_the_workflow_runs() -> None:
    class Eager(workflows.WorkflowEntrypoint):
        def __init__(self) -> None:
            self.from_env = self.env["key"]

        async def run(self, event: workflows.Event, step: workflows.Step) -> None: ...

    code: Any = _define.define(Eager).make({"key": 3})
    assert code.__self__.from_env == 3


def test_importing_starts_nothing() -> None:
    program = (
        "import threading, os, sys; before = set(os.listdir('/proc/self/fd')); import workflows; "
        "assert threading.active_count() == 1; assert 'sqlite3' not in sys.modules; "
        "assert 'pydantic' not in sys.modules; assert set(os.listdir('/proc/self/fd')) <= before"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)})


def test_importing_takes_no_module_that_only_some_programs_need() -> None:
    program = (
        "import sys, asyncio, logging; before = set(sys.modules); import workflows; "
        "taken = set(sys.modules) - before; assert 'InstanceInfo' in dir(workflows); "
        "print(taken & {'json', 'uuid', 'random', 'concurrent.futures.thread', 'workflows._records'})"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert found.stdout == "set()\n"


# ---- parameters of step functions


def bind(
    function: Any, *args: Any, taken: dict[str, Any] | None = None, extra: tuple[Any, ...] = (), **kwargs: Any
) -> Any:
    parameters = Parameters(function)
    given = parameters.accept("s", args, kwargs, taken or {})
    bound = parameters.bind("CTX", taken or {}, given, extra)
    return function(*bound.args, **bound.kwargs)


def test_s33_ctx_stands_wherever_it_likes() -> None:
    assert bind(lambda ctx: ctx) == "CTX"
    assert bind(lambda a, ctx, b: (a, ctx, b), 1, 2) == (1, "CTX", 2)
    assert bind(lambda a, *, ctx: (a, ctx), a=1) == (1, "CTX")


def test_s33_dependencies_and_arguments_of_the_call_share_the_parameters() -> None:
    assert bind(lambda order, amount, ctx, tip=1: (order, amount, ctx, tip), 5, taken={"order": "O"}) == (
        "O",
        5,
        "CTX",
        1,
    )
    assert bind(lambda a, /, b=2, *c, d=4, **e: (a, b, c, d, e), 1, extra=(8, 9)) == (1, 2, (8, 9), 4, {})
    assert bind(lambda a, **more: (a, more), 1, x=2) == (1, {"x": 2})


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((1, 2), {}, r"step 's' takes at most 1 positional arguments \(order is filled by dependencies\), not 2"),
        ((1,), {"amount": 2}, "two values for the argument 'amount'"),
        ((), {"order": 2}, "takes no argument 'order'.*filled by dependencies"),
        ((), {"other": 2}, "takes no argument 'other'"),
        ((), {"ctx": 2}, "takes no argument 'ctx'"),
    ],
)
def test_arguments_that_do_not_fit_are_a_type_error(args: Any, kwargs: Any, message: str) -> None:
    def function(order: Any, amount: Any, ctx: Any) -> None: ...

    with pytest.raises(TypeError, match=message):
        bind(function, *args, taken={"order": 1}, **kwargs)


def test_parameters_that_nothing_fills() -> None:
    def function(a: Any, b: Any, c: Any = 3, *d: Any, ctx: Any, **e: Any) -> None: ...

    assert Parameters(function).missing(Given({"a": 1}), {}) == ["b"]
    assert Parameters(print).missing(Given(), {}) == []

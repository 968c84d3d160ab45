# pyright: basic
"""`step.do`: identity, attempts, contexts, errors (S7-S17)."""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import functools
import inspect
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import workflows
from workflows import _bodies

import shapes
from support import PATIENCE_S, VirtualTime, opened, result_over, run_once, until_recorded, until_status

ONCE = {"retries": {"limit": 0}}
AT_ONCE = {"retries": {"limit": 2, "delay": "0 s"}}


async def test_s7_same_named_steps_are_told_apart_by_count() -> None:
    @workflows.workflow
    async def twice(event: workflows.Event, step: workflows.Step) -> Any:
        counts: list[Any] = []
        for number in range(3):

            @step.do("again")
            async def again(ctx: workflows.StepContext, number: int = number) -> Any:
                return [number, ctx.step.count]

            counts.append(await again())
        return counts

    assert await run_once(twice) == [[0, 1], [1, 2], [2, 3]]


async def test_s7_a_completed_step_never_runs_again(tmp_path: Path) -> None:
    bodies: list[str] = []

    @workflows.workflow
    async def halting(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def first() -> Any:
            bodies.append("first")
            return {"at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "pair": (1, {2})}

        value = await first()
        await step.wait_for_event("go", "go")
        return value

    async with opened(tmp_path / "s.db", halting) as engine:
        await until_status(await engine.create(halting, id="x"), "waiting")
    async with opened(tmp_path / "s.db", halting) as engine:
        instance = await engine.get(halting, "x")
        await instance.send_event("go")
        value = await instance.result(timeout=PATIENCE_S)
    assert value == {"at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "pair": (1, {2})}
    assert bodies == ["first"]


async def test_s7_the_occurrence_follows_the_calls_not_the_awaits() -> None:
    @workflows.workflow
    async def order(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do("s")
        async def s(name: str, ctx: workflows.StepContext) -> str:
            return f"{name}{ctx.step.count}"

        a, b = s("a"), s("b")
        return [await b, await a]

    assert await run_once(order) == ["b2", "a1"]


async def test_s8_a_bad_name_is_an_error_before_anything_is_recorded() -> None:
    @workflows.workflow
    async def bad(event: workflows.Event, step: workflows.Step) -> Any:
        async def body() -> None: ...

        names: list[Any] = ["", "x" * 257, "a\nb", 5]
        for name in names:
            with pytest.raises(workflows.InvalidNameError):
                step.do(name)(body)
            with pytest.raises(workflows.InvalidNameError):
                step.sleep(name, "1 s")
            with pytest.raises(workflows.InvalidNameError):
                step.wait_for_event(name, "t")
        with pytest.raises(workflows.InvalidNameError):
            step.wait_for_event("w", "no spaces")
        return "ok"

    async with opened(":memory:", bad) as engine:
        instance = await engine.create(bad)
        assert await instance.result() == "ok"
        assert await instance.steps() == []


async def test_s9_a_bad_config_is_an_error_at_the_declaration() -> None:
    @workflows.workflow
    async def bad(event: workflows.Event, step: workflows.Step) -> Any:
        with pytest.raises(workflows.InvalidConfigError, match="unknown key 'retry'"):
            step.do("a", config={"retry": 3})
        with pytest.raises(workflows.InvalidConfigError, match="concurrent is 'yes'"):
            step.do("a", concurrent="yes")  # type: ignore[call-overload]
        with pytest.raises(workflows.InvalidConfigError, match="concurrent=True"):
            step.do("a", max_concurrency=2)
        with pytest.raises(workflows.InvalidConfigError, match="max_concurrency is 0"):
            step.do("a", concurrent=True, max_concurrency=0)
        with pytest.raises(TypeError, match="on a function"):
            step.do("a")(3)  # type: ignore[call-overload]
        return "ok"

    assert await run_once(bad) == "ok"


async def test_s9_the_first_recorded_config_is_authoritative(tmp_path: Path) -> None:
    time, limit, seen = VirtualTime(), 3, []

    @workflows.workflow
    async def configured(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"retries": {"limit": limit, "delay": "1 day"}})
        async def flaky(ctx: workflows.StepContext) -> Any:
            seen.append(ctx.config.retries.limit)
            if ctx.attempt == 1:
                raise ValueError
            return ctx.attempt

        return await flaky()

    async with opened(tmp_path / "c.db", configured, time=time) as engine:
        await until_status(await engine.create(configured, id="c"), "waiting")
    limit = 0
    async with opened(tmp_path / "c.db", configured, time=time) as engine:
        instance = await engine.get(configured, "c")
        assert await result_over(time, instance, "1 day") == 2
    assert seen == [3, 3]


async def test_s10_attempts_are_limit_plus_one() -> None:
    attempts: list[int] = []

    @workflows.workflow
    async def stubborn(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config=AT_ONCE)
        async def fails(ctx: workflows.StepContext) -> None:
            attempts.append(ctx.attempt)
            raise ValueError(f"attempt {ctx.attempt}")

        with pytest.raises(ValueError, match="attempt 3"):
            await fails()

    async with opened(":memory:", stubborn) as engine:
        instance = await engine.create(stubborn)
        await instance.result(timeout=PATIENCE_S)
        (info,) = await instance.steps()
    assert attempts == [1, 2, 3]
    assert (info.status, str(info.error)) == ("failed", "attempt 3")
    assert [(a.number, str(a.error)) for a in info.attempts] == [(n, f"attempt {n}") for n in (1, 2, 3)]


async def test_s10_an_attempt_that_the_engine_was_closed_in_counts(tmp_path: Path) -> None:
    attempts: list[int] = []
    running = asyncio.Event()

    @workflows.workflow
    async def cut(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"retries": {"limit": 1, "delay": "0 s"}})
        async def slow(ctx: workflows.StepContext) -> int:
            attempts.append(ctx.attempt)
            running.set()
            if ctx.attempt == 1:
                await asyncio.Event().wait()
            return ctx.attempt

        return await slow()

    async with opened(tmp_path / "c.db", cut) as engine:
        instance = await engine.create(cut, id="c")
        await running.wait()
        await until_recorded(instance, "slow")  # the start, after a while
    async with opened(tmp_path / "c.db", cut) as engine:
        instance = await engine.get(cut, "c")
        assert await instance.result(timeout=PATIENCE_S) == 2
        (info,) = await instance.steps()
        assert isinstance(info.attempts[0].error, workflows.StepError)
        assert info.attempts[0].error.type_name == "ProcessLost"
    assert attempts == [1, 2]


async def test_s10_with_limit_zero_the_body_runs_at_most_once_ever(tmp_path: Path) -> None:
    bodies = 0
    running = asyncio.Event()

    @workflows.workflow
    async def once(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config=ONCE)
        async def charge() -> None:
            nonlocal bodies
            bodies += 1
            running.set()
            await asyncio.Event().wait()

        await charge()

    async with opened(tmp_path / "o.db", once) as engine:
        await engine.create(once, id="o")
        await running.wait()
    async with opened(tmp_path / "o.db", once) as engine:
        with pytest.raises(workflows.WorkflowFailedError, match="ProcessLost: the process ended") as caught:
            await (await engine.get(once, "o")).result(timeout=PATIENCE_S)
        assert isinstance(caught.value.cause, workflows.StepError)
    assert bodies == 1


@pytest.mark.parametrize("kind", ["plain", "async", "timedelta"])
async def test_s11_a_callable_delay_is_asked_with_context_and_error(kind: str) -> None:
    asked: list[Any] = []

    def delay(ctx: workflows.StepContext, error: Exception) -> Any:
        asked.append((ctx.attempt, ctx.step.name, type(error)))
        return dt.timedelta(0) if kind == "timedelta" else "0 s"

    async def delay_async(ctx: workflows.StepContext, error: Exception) -> Any:
        await asyncio.sleep(0)
        return delay(ctx, error)

    @workflows.workflow
    async def asking(event: workflows.Event, step: workflows.Step) -> Any:
        retries = workflows.Retries(limit=5, delay=delay_async if kind == "async" else delay)

        @step.do(config=workflows.StepConfig(retries=retries))
        async def flaky(ctx: workflows.StepContext) -> int:
            if ctx.attempt < 3:
                raise shapes.CardDeclinedError(1, card="c")
            return ctx.attempt

        return await flaky()

    assert await run_once(asking) == 3
    assert asked == [(1, "flaky", shapes.CardDeclinedError), (2, "flaky", shapes.CardDeclinedError)]


def raising(ctx: Any, error: Exception) -> Any:
    raise RuntimeError("no idea")


async def never(ctx: Any, error: Exception) -> Any:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("delay", "said"),
    [
        (raising, "RuntimeError: no idea"),
        (never, "longer than 0.2 s"),
        (lambda ctx, error: 5, "bare number"),
        (lambda ctx, error: None, "None"),
        (lambda ctx, error: "11 years", "10 years|years"),
        (lambda: "1 s", "TypeError"),
    ],
)
async def test_s11_a_delay_that_is_none_fails_the_step_and_says_why(
    delay: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bodies, "DELAY_SECONDS", 0.2 if delay is never else PATIENCE_S)
    bodies = 0

    @workflows.workflow
    async def asking(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"retries": {"delay": delay}})
        async def fails() -> None:
            nonlocal bodies
            bodies += 1
            raise ValueError("the reason")

        with pytest.raises(workflows.StepError, match=f"the reason.*({said})") as caught:
            await fails()
        assert isinstance(caught.value.__cause__, ValueError)
        return "ok"

    assert await run_once(asking) == "ok"
    assert bodies == 1


@pytest.mark.parametrize("caught", [True, False])
async def test_s13_non_retryable_fails_the_step_at_once_and_for_ever(caught: bool, tmp_path: Path) -> None:
    bodies = 0

    @workflows.workflow
    async def final(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def fails() -> None:
            nonlocal bodies
            bodies += 1
            raise workflows.NonRetryableError("stolen")

        if not caught:
            await fails()
        try:
            await fails()
        except workflows.NonRetryableError as error:
            await step.wait_for_event("go", "go")
            return str(error)

    async with opened(tmp_path / "f.db", final) as engine:
        instance = await engine.create(final, id="f")
        await until_status(instance, "waiting" if caught else "errored")
    async with opened(tmp_path / "f.db", final) as engine:
        instance = await engine.get(final, "f")
        if caught:
            await instance.send_event("go")
            assert await instance.result(timeout=PATIENCE_S) == "stolen"
        else:
            with pytest.raises(workflows.WorkflowFailedError, match="stolen"):
                await instance.result(timeout=PATIENCE_S)
    assert bodies == 1


async def test_s13_a_users_exception_comes_back_as_itself_after_a_restart(tmp_path: Path) -> None:
    seen: list[Any] = []

    @workflows.workflow
    async def failing(event: workflows.Event, step: workflows.Step) -> None:
        @step.do(config=ONCE)
        async def pay() -> None:
            try:
                raise ConnectionError("bank is closed")
            except ConnectionError as error:
                raise shapes.CardDeclinedError(51, card="visa") from error

        try:
            await pay()
        except shapes.CardDeclinedError as error:
            seen.append((error.code, error.card, repr(error.__cause__)))
            await step.wait_for_event("go", "go")
            raise

    async with opened(tmp_path / "e.db", failing) as engine:
        await until_status(await engine.create(failing, id="e"), "waiting")
    async with opened(tmp_path / "e.db", failing) as engine:
        instance = await engine.get(failing, "e")
        await instance.send_event("go")
        with pytest.raises(workflows.WorkflowFailedError) as caught:
            await instance.result(timeout=PATIENCE_S)
    assert seen == [(51, "visa", "ConnectionError('bank is closed')")] * 2
    assert isinstance(caught.value.cause, shapes.CardDeclinedError)
    assert (caught.value.cause.code, type(caught.value.cause.__cause__)) == (51, ConnectionError)


async def test_s14_the_context_tells_the_body_about_itself() -> None:
    @workflows.workflow
    async def telling(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do("named", config={"retries": {"limit": 2, "delay": "0 s"}, "timeout": "1 m"})
        async def tell(ctx: workflows.StepContext) -> Any:
            if ctx.attempt == 1:
                raise ValueError(ctx.idempotency_key)
            ctx["config"]["retries"]["limit"] = 99  # a copy
            return [ctx.step.name, ctx.step.count, ctx.attempt, ctx.config.retries.limit, ctx.cancelled,
                    ctx["step"]["name"], ctx["step"]["count"], ctx["attempt"], ctx["config"]["retries"]["limit"],
                    ctx.config.timeout, ctx.idempotency_key]  # fmt: skip

        return [await tell(), await tell()]

    async with opened(":memory:", telling) as engine:
        instance = await engine.create(telling)
        one, two = await instance.result(timeout=PATIENCE_S)
        first, second = await instance.steps()
    assert one[:10] == ["named", 1, 2, 2, False, "named", 1, 2, 2, dt.timedelta(minutes=1)]
    assert two[1] == 2
    assert one[10] == str(first.attempts[0].error)  # the same for every attempt
    assert two[10] == str(second.attempts[0].error) != one[10]


async def test_s15_a_result_that_cannot_be_recorded_fails_the_step_at_once() -> None:
    bodies = 0

    @workflows.workflow
    async def unrecordable(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do("open socket")
        async def body() -> Any:
            nonlocal bodies
            bodies += 1
            return {"socket": [shapes.Unrecordable()]}

        with pytest.raises(
            workflows.SerializationError, match=r"'open socket'\['socket'\]\[0\] is of type shapes.Unrec"
        ):
            await body()
        return "ok"

    assert await run_once(unrecordable) == "ok"
    assert bodies == 1


async def test_s15_a_result_that_is_too_large_fails_the_step_at_once() -> None:
    @workflows.workflow
    async def large(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do("large one")
        async def body(size: int) -> str:
            return "x" * (size - 2)

        with pytest.raises(workflows.PayloadTooLargeError, match="'large one' has 1025 bytes; at most 1024"):
            await body(1025)
        return len(await body(1000))

    assert await run_once(large, payload_limit="1 KiB") == 998
    assert await run_once(large_output, payload_limit=0) == 2_000_000


@workflows.workflow
async def large_output(event: workflows.Event, step: workflows.Step) -> int:
    @step.do
    async def body() -> str:
        return "x" * 2_000_000

    return len(await body())


async def test_s15_an_output_that_cannot_be_recorded_fails_the_instance() -> None:
    @workflows.workflow
    async def bad(event: workflows.Event, step: workflows.Step) -> Any:
        return shapes.Unrecordable()

    async with opened(":memory:", bad) as engine:
        with pytest.raises(workflows.WorkflowFailedError, match=r"output is of type shapes.Unrecordable") as caught:
            await (await engine.create(bad)).result()
        assert isinstance(caught.value.cause, workflows.SerializationError)


async def test_s16_exactly_the_limit_of_steps_passes() -> None:
    @workflows.workflow
    async def counting(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def s() -> None: ...

        await s()
        await step.sleep("s", "0 s")
        await s()
        with pytest.raises(workflows.StepLimitError, match="at most 3"):
            await s()
        with pytest.raises(workflows.StepLimitError, match="at most 3"):
            step.sleep("t", "0 s")
        return "ok"

    assert await run_once(counting, step_limit=3) == "ok"


async def test_s17_a_sensitive_result_is_hidden_from_operators_only() -> None:
    @workflows.workflow
    async def secret(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"sensitive": "output"})
        async def token() -> str:
            return "hunter2"

        return len(await token())

    async with opened(":memory:", secret) as engine:
        instance = await engine.create(secret)
        assert await instance.result() == 7
        (info,) = await instance.steps()
        assert info.result == "[REDACTED]"


# ---- bodies


async def test_plain_bodies_run_in_threads_several_at_a_time() -> None:
    together = threading.Barrier(3, timeout=PATIENCE_S)

    @workflows.workflow
    async def threads(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        def meet() -> bool:
            together.wait()
            return threading.current_thread() is not threading.main_thread()

        return await asyncio.gather(meet(), meet(), meet())

    assert await run_once(threads, thread_pool_size=3) == [True] * 3


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def test_bodies_see_the_context_variables_of_the_caller() -> None:
    @workflows.workflow
    async def seeing(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        def below() -> str:
            return variable.get()

        @step.do
        async def top(below: str) -> list[str]:
            seen = [below, variable.get()]
            variable.set("from the body")
            return seen

        variable.set("from run")
        return [*await top(), variable.get()]

    assert await run_once(seeing) == ["from run", "from run", "from run"]
    assert variable.get() == "unset"


async def test_bodies_may_be_lambdas_partials_objects_and_functions_that_hand_on_a_coroutine() -> None:
    class Callable:
        async def __call__(self, x: int = 1) -> int:
            return x

    async def later() -> str:
        return "later"

    @workflows.workflow
    async def shapes_of_functions(event: workflows.Event, step: workflows.Step) -> Any:
        return [
            await step.do("lambda")(lambda: 1)(),
            await step.do("object")(Callable())(5),
            await step.do("partial")(functools.partial(pow, 2))(3),
            await step.do("handed on")(lambda: later())(),  # noqa: PLW0108 - not a coroutine function itself
            await step.do("builtin")(max)(1, 2),
        ]

    assert await run_once(shapes_of_functions) == [1, 5, 8, "later", 2]


async def test_a_declared_step_keeps_name_docstring_and_signature() -> None:
    @workflows.workflow
    async def keeping(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do("label")
        async def charge(order: str, amount: int = 5) -> str:
            """Charges."""
            return order * amount

        return [charge.__name__, charge.__doc__, str(inspect.signature(charge)), repr(charge)]

    name, doc, signature, shown = await run_once(keeping)
    assert (name, doc, shown) == ("charge", "Charges.", "<step 'label'>")
    assert signature.startswith("(order: 'str', amount: 'int' = 5)")


async def test_steps_may_be_asked_for_inside_a_body() -> None:
    @workflows.workflow
    async def nesting(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def inner() -> int:
            return 2

        @step.do("outer")
        async def outer() -> int:
            return await inner() + 1

        return await outer()

    assert await run_once(nesting) == 3


async def test_a_class_that_has_moved_is_restored_through_the_annotation(tmp_path: Path) -> None:
    class Moved(workflows.WorkflowEntrypoint):
        async def run(self, event: workflows.Event, step: workflows.Step) -> Any:
            @step.do(result_type=shapes.Item)
            async def item() -> Any:
                return shapes.Item("a")

            value = await item()
            await step.wait_for_event("go", "go")
            return repr(value)

    original = shapes.Item.__module__
    shapes.Item.__module__ = "shapes_before"
    sys.modules["shapes_before"] = shapes
    try:
        async with opened(tmp_path / "m.db", Moved) as engine:
            await until_status(await engine.create(Moved, id="m"), "waiting")
    finally:
        shapes.Item.__module__ = original
        del sys.modules["shapes_before"]
    async with opened(tmp_path / "m.db", Moved) as engine:
        instance = await engine.get(Moved, "m")
        await instance.send_event("go")
        assert await instance.result(timeout=PATIENCE_S) == "Item(name='a', count=1, tags=[])"


async def test_a_body_that_cancels_itself_fails_the_attempt() -> None:
    @workflows.workflow
    async def odd(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config=ONCE)
        async def body() -> None:
            raise asyncio.CancelledError("by itself")

        with pytest.raises(workflows.StepError) as caught:
            await body()
        return caught.value.type_name

    assert await run_once(odd) == "asyncio.exceptions.CancelledError"

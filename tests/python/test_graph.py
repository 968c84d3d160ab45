# pyright: basic
"""Steps that depend on steps (S33-S37)."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import workflows

from support import PATIENCE_S, opened, run_once, until_status

ONCE = {"retries": {"limit": 0}}


async def test_s33_dependencies_by_list_map_function_name_and_step_name() -> None:
    @workflows.workflow
    async def forms(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do("label one")
        async def one() -> int:
            return 1

        @step.do("two")
        async def a_function_of_another_name() -> int:
            return 2

        @step.do(depends=[one, a_function_of_another_name])
        async def by_list(res1: int, res2: int, ctx: workflows.StepContext) -> Any:
            return [res1, res2, ctx.step.name]

        @step.do(depends={"y": one, "x": a_function_of_another_name})
        async def by_map(x: int, *, y: int, z: int = 9) -> Any:
            return [x, y, z]

        @step.do
        async def by_name(ctx: workflows.StepContext, two: int, one: int, pantry: tuple[()] = ()) -> Any:
            return [one, two, pantry, ctx.attempt]

        @step.do(depends=[one, a_function_of_another_name])
        async def by_star(*results: int) -> Any:
            return results

        @step.do(depends=[one, a_function_of_another_name])
        async def only_after() -> Any:
            return "after"

        @step.do("2025", [one, a_function_of_another_name], True, ONCE)
        async def november_2025(res1: Any = None, res2: Any = None) -> Any:
            return [res1, res2]

        @step.do("2025 ctx", [one, a_function_of_another_name], True)
        async def november_with_ctx(res1: Any, ctx: Any, res2: Any) -> Any:
            return [res1, ctx["attempt"], res2]

        return [await f() for f in (by_list, by_map, by_name, by_star, only_after, november_2025, november_with_ctx)]

    assert await run_once(forms) == [
        [1, 2, "by_list"], [2, 1, 9], [1, 2, (), 1], (1, 2), "after", [1, 2], [1, 1, 2],
    ]  # fmt: skip


async def test_s33_a_step_may_depend_on_one_that_is_declared_later() -> None:
    @workflows.workflow
    async def forward(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def top(later: int, other: int = 5) -> Any:
            return [later, other]

        @step.do
        async def later() -> int:
            return 1

        @step.do
        async def other() -> int:
            return 2

        return await top()

    assert await run_once(forward) == [1, 2]


async def test_s33_arguments_fill_what_dependencies_do_not() -> None:
    @workflows.workflow
    async def arguments(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def order() -> str:
            return "order"

        @step.do
        async def charge(order: str, card: str, amount: int = 1, *, tip: int = 0) -> Any:
            return [order, card, amount, tip]

        with pytest.raises(TypeError, match="'order'"):
            charge(order="mine", card="c")
        return [await charge("visa", amount=5), await charge(card="amex", tip=2), await order()]

    async with opened(":memory:", arguments) as engine:
        instance = await engine.create(arguments)
        assert await instance.result() == [["order", "visa", 5, 0], ["order", "amex", 1, 2], "order"]
        names = Counter(info.name for info in await instance.steps())
    assert names == {"order": 1, "charge": 2}


@pytest.mark.parametrize("concurrent", [False, True])
async def test_s34_a_diamond_runs_its_top_once(concurrent: bool) -> None:
    bodies: Counter[str] = Counter()

    @workflows.workflow
    async def diamond(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def root() -> int:
            bodies["root"] += 1
            return 1

        @step.do
        async def top(root: int) -> int:
            bodies["top"] += 1
            return root + 1

        @step.do
        async def left(top: int) -> int:
            bodies["left"] += 1
            return top * 10

        @step.do
        async def right(top: int) -> int:
            bodies["right"] += 1
            return top * 100

        @step.do(concurrent=concurrent)
        async def join(left: int, right: int, top: int) -> Any:
            return [left, right, top]

        return [await join(), await top()]

    async with opened(":memory:", diamond) as engine:
        instance = await engine.create(diamond)
        assert await instance.result() == [[20, 200, 2], 2]
        infos = {info.name: info for info in await instance.steps()}
    assert bodies == {"root": 1, "top": 1, "left": 1, "right": 1}
    assert infos["left"].depends == [infos["top"].number]  # S37
    assert infos["join"].depends == [infos[name].number for name in ("left", "right", "top")]


async def test_s34_concurrent_runs_the_whole_subgraph_at_the_same_time_within_a_bound() -> None:
    running = most = 0

    @workflows.workflow
    async def wide(event: workflows.Event, step: workflows.Step) -> Any:
        nonlocal most

        async def leaf() -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            for _ in range(20):
                await asyncio.sleep(0)
            running -= 1
            return 1

        outcomes: list[int] = []
        bounds: list[dict[str, Any]] = [{}, {"concurrent": True}, {"concurrent": True, "max_concurrency": 2}]
        for options in bounds:
            most = 0
            below = [step.do(f"leaf {n}")(leaf) for n in range(4)]

            @step.do("middle", depends=below)
            async def middle(*results: int) -> int:
                return sum(results)

            @step.do("top", depends=[middle], **options)
            async def top(total: int) -> int:
                return total

            assert await top() == 4
            outcomes.append(most)
        return outcomes

    assert await run_once(wide) == [1, 4, 2]


async def test_s34_plain_functions_run_concurrently_too() -> None:
    together = threading.Barrier(2, timeout=PATIENCE_S)

    @workflows.workflow
    async def threads(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        def left() -> bool:
            return together.wait() >= 0

        @step.do
        def right() -> bool:
            return together.wait() >= 0

        @step.do(concurrent=True)
        def join(left: bool, right: bool) -> Any:
            return [left, right]

        return await join()

    assert await run_once(threads) == [True, True]


async def test_s35_a_cycle_is_an_error_that_names_the_path() -> None:
    @workflows.workflow
    async def cyclic(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def a(b: int) -> int:
            return b

        @step.do
        async def b(c: int) -> int:
            return c

        @step.do
        async def c(a: int) -> int:
            return a

        for one in (a, b, c):
            with pytest.raises(workflows.DependencyError, match=" -> ".join("abcabc"["abc".index(one.__name__) :][:4])):
                one()

        @step.do
        async def self_made(self_made: int) -> int:
            return self_made

        with pytest.raises(workflows.DependencyError, match="self_made -> self_made"):
            self_made()
        return "ok"

    async with opened(":memory:", cyclic) as engine:
        instance = await engine.create(cyclic)
        assert await instance.result() == "ok"
        assert await instance.steps() == []


async def test_s35_what_is_missing_is_an_error_that_names_the_path() -> None:
    @workflows.workflow
    async def missing(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do("list files")
        async def files(folder: str) -> Any:
            return folder

        @step.do
        async def report(files: Any) -> Any:
            return files

        with pytest.raises(
            workflows.DependencyError, match=r"report -> list files -> folder.*Declared: files, list files, report"
        ):
            report()
        with pytest.raises(workflows.DependencyError, match="'folder' of step 'list files'"):
            files()

        @step.do
        async def folder() -> str:
            return "home"

        return await report()

    assert await run_once(missing) == "home"


@pytest.mark.parametrize(
    ("depends", "said"),
    [
        ("names", "depends of step 'x' is 'names'"),
        (["a"], "has 'a', which is not a declared step"),
        ([lambda: 1], "not a declared step"),
        ({"nothing": None}, "names the parameter 'nothing'.*It has: value"),
        (5, "depends of step 'x' is 5"),
    ],
)
async def test_s35_what_is_no_dependency_is_refused_at_the_declaration(depends: Any, said: str) -> None:
    @workflows.workflow
    async def wrong(event: workflows.Event, step: workflows.Step) -> Any:
        with pytest.raises(workflows.DependencyError, match=said):
            step.do("x", depends)(lambda value: value)
        return "ok"

    assert await run_once(wrong) == "ok"


async def test_s35_more_dependencies_than_parameters_are_refused() -> None:
    @workflows.workflow
    async def wrong(event: workflows.Event, step: workflows.Step) -> Any:
        a, b = step.do("a")(lambda: 1), step.do("b")(lambda: 2)
        with pytest.raises(workflows.DependencyError, match="depends on 2 steps, but its function takes 1"):
            step.do("x", [a, b])(lambda one: one)
        return "ok"

    assert await run_once(wrong) == "ok"


async def test_s35_a_step_of_another_instance_is_refused() -> None:
    steps: list[Any] = []

    @workflows.workflow
    async def lending(event: workflows.Event, step: workflows.Step) -> Any:
        if not steps:
            steps.append(step.do("lent")(lambda: 1))
            return "lent"
        with pytest.raises(
            workflows.DependencyError, match=r"'lent', which was declared in another instance.*mine -> lent"
        ):
            step.do("mine", depends=steps)(lambda one: one)
        return "refused"

    async with opened(":memory:", lending) as engine:
        assert await (await engine.create(lending)).result() == "lent"
        assert await (await engine.create(lending)).result() == "refused"


@pytest.mark.parametrize("restart", [False, True])
async def test_s35_a_failed_dependency_fails_its_dependents_once_without_running_them(
    restart: bool, tmp_path: Path
) -> None:
    bodies: Counter[str] = Counter()

    @workflows.workflow
    async def failing(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config=ONCE)
        async def root() -> None:
            bodies["root"] += 1
            raise ValueError("rotten")

        @step.do
        async def left(root: None) -> None:
            bodies["left"] += 1

        @step.do
        async def right(root: None) -> None:
            bodies["right"] += 1

        @step.do(concurrent=True)
        async def join(left: None, right: None) -> None:
            bodies["join"] += 1

        with pytest.raises(
            workflows.DependencyError, match=r"'join' did not run: its dependency '(left|right)' failed"
        ) as caught:
            await join()
        assert isinstance(caught.value.__cause__, ValueError)
        assert str(caught.value.__cause__) == "rotten"
        with pytest.raises(workflows.DependencyError, match="'left' did not run: its dependency 'root' failed"):
            await left()
        if restart:
            await step.wait_for_event("go", "go")
        return "ok"

    async with opened(tmp_path / "d.db", failing) as engine:
        instance = await engine.create(failing, id="d")
        await until_status(instance, "waiting" if restart else "complete")
    async with opened(tmp_path / "d.db", failing) as engine:
        instance = await engine.get(failing, "d")
        if restart:
            await instance.send_event("go")
        assert await instance.result(timeout=PATIENCE_S) == "ok"
        assert {info.name: info.status for info in await instance.steps() if info.kind == "do"} == dict.fromkeys(
            ["root", "left", "right", "join"], "failed"
        )
    assert bodies == {"root": 1}


async def test_s36_calling_a_step_twice_is_two_occurrences() -> None:
    bodies: list[int] = []

    @workflows.workflow
    async def twice(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def s(ctx: workflows.StepContext) -> int:
            bodies.append(ctx.step.count)
            return ctx.step.count

        return [*await asyncio.gather(s(), s()), await s()]

    assert await run_once(twice) == [1, 2, 3]
    assert sorted(bodies) == [1, 2, 3]


async def test_s36_a_name_redeclared_in_a_loop_is_a_new_step_for_those_declared_after_it() -> None:
    @workflows.workflow
    async def loop(event: workflows.Event, step: workflows.Step) -> Any:
        results: list[Any] = []
        kept: list[Any] = []
        for number in range(3):

            @step.do("value")
            async def value(number: int = number) -> int:
                return number

            @step.do("double")
            async def double(value: int) -> int:
                return value * 2

            kept.append(double)
            results.append(await double())
        return [results, [await one() for one in kept]]

    assert await run_once(loop) == [[0, 2, 4], [0, 2, 4]]


async def test_a_step_whose_await_was_cancelled_runs_anew_for_a_dependent() -> None:
    bodies = 0
    began, release = asyncio.Event(), asyncio.Event()

    @workflows.workflow
    async def again(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def slow() -> int:
            nonlocal bodies
            bodies += 1
            began.set()
            if bodies == 1:
                await release.wait()
            return bodies

        @step.do
        async def after(slow: int) -> int:
            return slow

        call = asyncio.ensure_future(slow())
        await began.wait()
        call.cancel()
        await asyncio.wait([call])
        result = await after()
        release.set()
        return result

    assert await run_once(again) == 2


async def test_a_chain_longer_than_pythons_stack_works() -> None:
    @workflows.workflow
    async def chain(event: workflows.Event, step: workflows.Step) -> Any:
        def link(below: int = 0) -> int:
            return below + 1

        last = step.do(link)
        for _ in range(1500):
            last = step.do("link", [last])(link)
        return await last()

    assert await run_once(chain, thread_pool_size=2) == 1501

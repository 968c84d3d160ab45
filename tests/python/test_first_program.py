"""The programs of the documentation, as users write them (S3, S4)."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import workflows

import typed_program
from support import PATIENCE_S, VirtualTime, opened, run_once, until_recorded, until_status


class Groceries(workflows.WorkflowEntrypoint):
    async def run(self, event: workflows.Event, step: workflows.Step) -> Any:
        basket = await step.wait_for_event("get the list", "groceries-list", timeout="7 days")

        @step.do("compile ingredients")
        async def ingredients() -> list[str]:
            return sorted({i for recipe in basket.payload["recipes"] for i in recipe["ingredients"]})

        @step.do("check left-overs")
        async def missing(ingredients: list[str]) -> list[str]:
            return [i for i in ingredients if i not in event.payload["pantry"]]

        @step.do("place the order", config={"retries": {"limit": 3, "delay": "2 seconds"}})
        async def order(missing: list[str], ctx: workflows.StepContext) -> dict[str, Any]:
            return {"order": ctx.idempotency_key, "items": missing}

        placed = await order()
        await step.sleep("wait for delivery", "2 days")
        return placed


RECIPES = {"recipes": [{"ingredients": ["eggs", "salt"]}, {"ingredients": ["basil", "salt"]}]}


@pytest.mark.parametrize("file", [":memory:", "groceries.db"])
async def test_the_first_program(file: str, tmp_path: Path) -> None:
    time = VirtualTime()
    async with opened(file if file == ":memory:" else tmp_path / file, Groceries, time=time) as engine:
        instance = await engine.create(Groceries, id="week-47", params={"pantry": ["salt"]})
        await instance.send_event("groceries-list", RECIPES)
        await until_recorded(instance, "wait for delivery")
        time.advance("2 days")
        placed = await instance.result(timeout=PATIENCE_S)
        assert placed["items"] == ["basil", "eggs"]
        assert [s.name for s in await instance.steps()] == [
            "get the list", "compile ingredients", "check left-overs", "place the order", "wait for delivery",
        ]  # fmt: skip
        assert (await instance.steps())[3].depends == [2]


async def test_s3_the_event_tells_who_and_when() -> None:
    @workflows.workflow
    async def tell(event: workflows.Event, step: workflows.Step) -> Any:
        return {
            "attributes": [event.payload, event.timestamp, event.instance_id, event.workflow_name, event.schedule],
            "mapping": dict(event),
        }

    time = VirtualTime()
    async with opened(":memory:", tell, time=time) as engine:
        told = await (await engine.create(tell, {"a": (1,)}, id="one")).result()
        start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        assert told["attributes"] == [{"a": (1,)}, start, "one", "tell", None]
        assert told["mapping"] == {
            "payload": {"a": (1,)},
            "timestamp": start,
            "instanceId": "one",
            "workflowName": "tell",
        }
        empty = await (await engine.create("tell")).result()
        assert empty["attributes"][0] == {}


async def test_s4_what_run_returns_is_the_output_and_an_error_that_leaves_it_fails_it() -> None:
    @workflows.workflow
    async def either(event: workflows.Event, step: workflows.Step) -> Any:
        if event.payload["fail"]:
            raise LookupError("not here") from ValueError("inner")
        return {"done"}

    async with opened(":memory:", either) as engine:
        good = await engine.create(either, {"fail": False})
        assert await good.result() == {"done"}
        assert await good.status() == workflows.InstanceStatus(workflows.Status.COMPLETE, {"done"})
        bad = await engine.create(either, {"fail": True}, id="bad")
        with pytest.raises(
            workflows.WorkflowFailedError, match="'bad' of workflow 'either' failed: LookupError: not here"
        ) as caught:
            await bad.result()
        assert isinstance(caught.value.cause, LookupError)
        assert caught.value.__cause__ is caught.value.cause
        assert isinstance(caught.value.cause.__cause__, ValueError)
        status = await bad.status()
        assert status.status == "errored"
        assert isinstance(status.error, LookupError)


async def test_workflows_that_are_classes_find_env_and_make_an_object_a_run() -> None:
    class Env(workflows.WorkflowEntrypoint):
        seen = 0

        async def run(self, event: workflows.Event, step: workflows.Step) -> Any:
            self.seen += 1
            return [self.env, self.seen]

    async with opened(":memory:", Env, env={"db": 1}) as engine:
        assert [await (await engine.create(Env)).result() for _ in range(2)] == [[{"db": 1}, 1]] * 2


class BlogWorkflow(workflows.WorkflowEntrypoint):
    """The first listing of the article, with the awaits it forgot."""

    async def run(self, event: Any, step: Any) -> Any:
        @step.do("my first step")  # type: ignore[untyped-decorator]
        async def my_first_step() -> Any:
            return {"user_email": event["payload"]["userEmail"]}

        first = await my_first_step()
        await step.sleep("my first sleep", "30 minutes")
        received = await step.wait_for_event("receive example event", "simple-event", timeout="1 hour")
        await step.sleep_until("sleep until X times out", dt.datetime(2024, 10, 24, 13, tzinfo=dt.UTC))
        return [first, received["payload"]]


async def test_the_blogs_workflow() -> None:
    time = VirtualTime()
    async with opened(":memory:", BlogWorkflow, time=time) as engine:
        instance = await engine.create(BlogWorkflow, {"userEmail": "a@b.c"})
        await until_recorded(instance, "my first sleep")
        await instance.send_event({"type": "simple-event", "payload": 5})
        time.advance("30 minutes")
        assert await instance.result(timeout=PATIENCE_S) == [{"user_email": "a@b.c"}, 5]


async def test_the_blogs_graph() -> None:
    class PythonWorkflowDAG(workflows.WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            @step.do("dependency 1")  # type: ignore[untyped-decorator]
            async def dep_1() -> str:
                return "one"

            @step.do("dependency 2")  # type: ignore[untyped-decorator]
            async def dep_2() -> str:
                return "two"

            @step.do("demo do", [dep_1, dep_2], True, {"timeout": "1 minute"})  # type: ignore[untyped-decorator]
            async def final_step(res1: Any = None, res2: Any = None) -> Any:
                return [res1, res2]

            return await final_step()

    assert await run_once(PythonWorkflowDAG) == ["one", "two"]


# ---- workflows.run


@workflows.workflow
async def greet(event: workflows.Event, step: workflows.Step) -> str:
    @step.do
    async def greeting() -> str:
        return f"Hello, {event.payload.get('name', 'nobody')}"

    return await greeting()


def test_run_creates_resumes_and_returns_the_output(tmp_path: Path) -> None:
    assert workflows.run(greet, {"name": "Ada"}) == "Hello, Ada"
    db = tmp_path / "g.db"
    assert workflows.run(greet, {"name": "Ada"}, id="a", db=db) == "Hello, Ada"
    assert workflows.run(greet, {"name": "Ada"}, id="a", db=db) == "Hello, Ada"
    assert workflows.run(greet, id="a", db=db) == "Hello, Ada"
    with pytest.raises(workflows.InstanceExistsError):
        workflows.run(greet, {"name": "Bob"}, id="a", db=db)


async def test_run_inside_a_loop_says_what_to_use() -> None:
    with pytest.raises(workflows.WrongLoopError, match=r"workflows\.Engine"):
        workflows.run(greet)


def test_run_raises_what_the_workflow_raised() -> None:
    @workflows.workflow
    async def fail(event: workflows.Event, step: workflows.Step) -> None:
        raise KeyError("x")

    with pytest.raises(workflows.WorkflowFailedError) as caught:
        workflows.run(fail)
    assert isinstance(caught.value.cause, KeyError)


# ---- plain def


def test_a_plain_run_blocks_in_every_verb_and_gets_the_values() -> None:
    @workflows.workflow
    def blocking(event: workflows.Event, step: workflows.SyncStep) -> Any:
        @step.do
        def one() -> int:
            return 1

        @step.do("two of it")
        async def two(one: int, plus: int = 0) -> int:
            await asyncio.sleep(0)
            return one + 1 + plus

        step.sleep("nap", "1 ms")
        step.sleep_until("past", "2020-01-01T00:00:00Z")
        nothing = step.wait_for_event("poll", "none", timeout="0 s", default="nothing")
        with pytest.raises(workflows.WaitTimeoutError):
            step.wait_for_event("poll", "none", timeout="0 s")

        @step.do(config={"retries": {"limit": 0}})
        def fails() -> None:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            fails()
        with pytest.raises(workflows.InvalidNameError):
            step.sleep("", "1 s")
        return [two(), two(plus=5), nothing, [s.__name__ for s in (one, two)]]

    assert workflows.run(blocking) == [2, 7, "nothing", ["one", "two"]]


async def test_an_async_body_in_a_plain_run_cannot_block_the_loop() -> None:
    @workflows.workflow
    def wrong(event: workflows.Event, step: workflows.SyncStep) -> Any:
        @step.do(config={"retries": {"limit": 0}})
        async def nested() -> None:
            step.sleep("nap", "1 s")

        return nested()

    async with opened(":memory:", wrong) as engine:
        with pytest.raises(workflows.WorkflowFailedError, match="cannot be used in an async step body"):
            await (await engine.create(wrong)).result()


async def test_a_plain_run_that_waits_ends_with_its_engine(tmp_path: Path) -> None:
    ended: list[str] = []

    @workflows.workflow
    def waiting(event: workflows.Event, step: workflows.SyncStep) -> Any:
        try:
            return step.wait_for_event("go", "go").payload
        finally:
            ended.append("unwound")

    async with opened(tmp_path / "w.db", waiting) as engine:
        await until_status(await engine.create(waiting, id="w"), "waiting")
    assert ended == ["unwound"]
    async with opened(tmp_path / "w.db", waiting) as engine:
        instance = await engine.get(waiting, "w")
        await instance.send_event("go", 3)
        assert await instance.result(timeout=PATIENCE_S) == 3


async def test_a_plain_run_that_returns_a_coroutine_is_told_to_be_async() -> None:
    async def inner() -> None: ...

    @workflows.workflow
    def wrong(event: workflows.Event, step: workflows.SyncStep) -> Any:
        return inner()

    async with opened(":memory:", wrong) as engine:
        with pytest.raises(workflows.WorkflowFailedError, match="make its run async"):
            await (await engine.create(wrong)).result()


async def test_the_program_that_the_type_checkers_read_runs() -> None:
    assert await typed_program.main(":memory:") == [20, "1", "complete"]

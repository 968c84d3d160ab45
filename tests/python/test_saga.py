"""S31, S32: what was done is undone, in reverse order, each once, across crashes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import workflows

from support import PATIENCE_S, VirtualTime, opened, result_over, until, until_status


class Shop:
    """A world outside, and what was done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failing: dict[str, int] = {}  # rollbacks that fail so many times

    def workflow(self, *, fails: bool = True, on_failure: str = "halt") -> Any:
        @workflows.workflow(name="order")
        async def order(event: workflows.Event, step: workflows.Step) -> str:
            async def do(name: str) -> str:
                async def undo(ctx: workflows.StepContext, error: Exception, output: str | None) -> None:
                    self.done.append(f"undo {name} of {output} for {type(error).__name__} #{ctx.attempt}")
                    if self.failing.get(name, 0) > 0:
                        self.failing[name] -= 1
                        raise RuntimeError(f"cannot undo {name}")

                @step.do(
                    name,
                    rollback=undo,
                    rollback_config={"retries": {"limit": 1, "delay": "1 minute"}, "on_failure": on_failure},
                )
                async def body() -> str:
                    self.done.append(name)
                    return f"<{name}>"

                return await body()

            await do("charge")
            await do("reserve")

            @step.do("plain")
            async def plain() -> None: ...

            await plain()
            await do("ship")
            if fails:
                raise ValueError("no stock")
            await step.wait_for_event("delivered", "delivered", timeout=None)
            return "sold"

        return order


def undone(*names: str, error: str = "ValueError", attempt: int = 1) -> list[str]:
    return [f"undo {name} of <{name}> for {error} #{attempt}" for name in names]


async def test_s31_a_failure_undoes_every_step_in_reverse_order() -> None:
    shop = Shop()
    async with opened(":memory:", shop.workflow()) as engine:
        instance = await engine.create("order")
        with pytest.raises(workflows.WorkflowFailedError) as failed:
            await instance.result(PATIENCE_S)
        assert isinstance(failed.value.cause, ValueError)
        assert shop.done == ["charge", "reserve", "ship", *undone("ship", "reserve", "charge")]
        status = await instance.status()
        assert status.status == "errored"
        assert status.rollback is not None
        assert [step.name for step in status.rollback.compensated] == ["ship", "reserve", "charge"]
        kinds = [(info.kind, info.name, info.status) for info in await instance.steps() if info.kind == "rollback"]
        assert kinds == [("rollback", name, "completed") for name in ("ship", "reserve", "charge")]


async def test_s32_a_rollback_that_fails_for_good_stops_the_chain() -> None:
    shop, time = Shop(), VirtualTime()
    shop.failing["reserve"] = 2
    async with opened(":memory:", shop.workflow(), time=time) as engine:
        instance = await engine.create("order")
        await until(lambda: len(shop.done) == 5)
        assert (await instance.status()).status == "rollingBack"
        with pytest.raises(workflows.InvalidTransitionError, match="rollingBack"):
            await instance.terminate()
        with pytest.raises(workflows.WorkflowFailedError):
            await result_over(time, instance, "1 minute")
        assert shop.done[3:] == [*undone("ship", "reserve"), *undone("reserve", attempt=2)]
        report = (await instance.status()).rollback
        assert report is not None
        assert [step.name for step in report.compensated] == ["ship"]
        assert [(step.name, str(step.error)) for step in report.failed] == [("reserve", "cannot undo reserve")]
        assert [step.name for step in report.not_run] == ["charge"]


async def test_s32_or_goes_on_if_that_is_wanted() -> None:
    shop, time = Shop(), VirtualTime()
    shop.failing["ship"] = 9
    async with opened(":memory:", shop.workflow(on_failure="continue"), time=time) as engine:
        instance = await engine.create("order")
        await until(lambda: len(shop.done) == 4)
        with pytest.raises(workflows.WorkflowFailedError):
            await result_over(time, instance, "1 minute")
        report = (await instance.status()).rollback
        assert report is not None
        assert [step.name for step in report.compensated] == ["reserve", "charge"]
        assert [step.name for step in report.failed] == ["ship"]


@pytest.mark.parametrize("reopened", [False, True])
async def test_s28_terminating_with_rollback_undoes_what_was_done(tmp_path: Path, reopened: bool) -> None:
    shop = Shop()
    order = shop.workflow(fails=False)
    async with opened(tmp_path / "a.db", order) as engine:
        instance = await engine.create("order", id="a")
        await until_status(instance, "waiting")
        if not reopened:
            await instance.terminate(rollback=True)
            with pytest.raises(workflows.WorkflowTerminatedError):
                await instance.result(PATIENCE_S)
    if reopened:
        with workflows.Client(tmp_path / "a.db") as client:
            client.get("order", "a").terminate(rollback=True)
            assert client.status("order", "a").status == "rollingBack"
        async with opened(tmp_path / "a.db", order) as engine:
            instance = await engine.get("order", "a")
            with pytest.raises(workflows.WorkflowTerminatedError):
                await instance.result(PATIENCE_S)
    assert shop.done[3:] == undone("ship", "reserve", "charge", error="WorkflowTerminatedError")


async def test_s31_a_chain_that_was_interrupted_goes_on_where_it_stopped(tmp_path: Path) -> None:
    shop = Shop()
    shop.failing["reserve"] = 1
    async with opened(tmp_path / "a.db", shop.workflow()) as engine:
        await engine.create("order", id="a")
        await until(lambda: len(shop.done) == 5)
        await asyncio.sleep(0.05)
    time = VirtualTime()
    time.native.set(10**13)  # the minute is over
    async with opened(tmp_path / "a.db", shop.workflow(), time=time) as engine:
        with pytest.raises(workflows.WorkflowFailedError):
            await (await engine.get("order", "a")).result(PATIENCE_S)
    assert shop.done[3:] == [*undone("ship", "reserve"), *undone("reserve", attempt=2), *undone("charge")]


async def test_s32_code_that_catches_everything_does_not_skip_rollbacks() -> None:
    undid = list[str]()

    @workflows.workflow
    async def stubborn(event: workflows.Event, step: workflows.Step) -> None:
        @step.do(rollback=lambda ctx, error, output: undid.append("first"))
        async def first() -> None: ...

        await first()
        try:
            await step.wait_for_event("never", "never", timeout=None)
        except BaseException:
            await asyncio.sleep(0)
        return

    async with opened(":memory:", stubborn) as engine:
        instance = await engine.create(stubborn)
        await until_status(instance, "waiting")
        await instance.terminate(rollback=True)
        with pytest.raises(workflows.WorkflowTerminatedError):
            await instance.result(PATIENCE_S)
    assert undid == ["first"]


async def test_s8_the_longest_name_can_be_undone_as_well() -> None:
    undid = list[str]()

    @workflows.workflow
    async def long(event: workflows.Event, step: workflows.Step) -> None:
        @step.do("n" * 256, rollback=lambda ctx, error, output: undid.append(ctx.step.name))
        async def body() -> None: ...

        await body()
        raise ValueError("later")

    async with opened(":memory:", long) as engine:
        with pytest.raises(workflows.WorkflowFailedError):
            await (await engine.create(long)).result(PATIENCE_S)
    assert undid == ["n" * 256]


async def test_s28_what_was_undone_is_done_again_after_a_restart_and_undone_again() -> None:
    shop = Shop()
    async with opened(":memory:", shop.workflow()) as engine:
        instance = await engine.create("order")
        with pytest.raises(workflows.WorkflowFailedError):
            await instance.result(PATIENCE_S)
        shop.done.clear()
        assert await instance.restart(from_step="ship") == []
        with pytest.raises(workflows.WorkflowFailedError):
            await instance.result(PATIENCE_S)
    assert shop.done == ["charge", "reserve", "ship", *undone("ship", "reserve", "charge")]


async def test_s31_a_step_that_failed_is_undone_without_an_output() -> None:
    outputs = list[Any]()

    @workflows.workflow
    async def failing(event: workflows.Event, step: workflows.Step) -> None:
        @step.do(config={"retries": {"limit": 0}}, rollback=lambda ctx, error, output: outputs.append(output))
        async def charge() -> None:
            raise ValueError("half done")

        await charge()

    async with opened(":memory:", failing) as engine:
        with pytest.raises(workflows.WorkflowFailedError):
            await (await engine.create(failing)).result(PATIENCE_S)
    assert outputs == [None]


async def test_a_caught_failure_is_no_reason_to_roll_back() -> None:
    @workflows.workflow
    async def calm(event: workflows.Event, step: workflows.Step) -> str:
        @step.do(config={"retries": {"limit": 0}}, rollback=lambda ctx, error, output: None)
        async def charge() -> None:
            raise ValueError("declined")

        try:
            await charge()
        except ValueError:
            return "asked for another card"
        return "charged"

    async with opened(":memory:", calm) as engine:
        instance = await engine.create(calm)
        assert await instance.result(PATIENCE_S) == "asked for another card"
        assert (await instance.status()).rollback is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rollback": 3}, "rollback is 3"),
        ({"rollback": lambda ctx, error: None}, "cannot be called with three arguments: too many positional"),
        ({"rollback": lambda ctx, *, error, output: None}, "cannot be called with three arguments"),
        ({"rollback_config": {}}, "rollback_config needs rollback"),
        ({"rollback": print, "rollback_config": {"on_failure": "panic"}}, "on_failure"),
        ({"rollback": print, "rollback_config": {"retry": 1}}, "unknown key 'retry'"),
    ],
)
async def test_s46_what_cannot_be_a_rollback_is_said_so(arguments: dict[str, Any], message: str) -> None:
    @workflows.workflow
    async def wrong(event: workflows.Event, step: workflows.Step) -> None:
        step.do("a", **arguments)

    async with opened(":memory:", wrong) as engine:
        with pytest.raises(workflows.WorkflowFailedError) as failed:
            await (await engine.create(wrong)).result(PATIENCE_S)
        assert isinstance(failed.value.cause, workflows.InvalidConfigError)
        assert message in str(failed.value.cause)

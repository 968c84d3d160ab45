# pyright: basic
"""Code that waits for steps and has something else to do as well: timers of asyncio, other awaits (S6, S22, S23)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import workflows

from support import PATIENCE_S, counters, opened, run_once, until, until_recorded, until_status


async def by_timeout(step: workflows.Step) -> Any:
    async with asyncio.timeout(0.1):
        await step.wait_for_event("w", "t", timeout=None)


async def by_wait_for(step: workflows.Step) -> Any:
    await asyncio.wait_for(step.wait_for_event("w", "t", timeout=None), 0.1)


async def by_timeout_of_a_sleep(step: workflows.Step) -> Any:
    async with asyncio.timeout(0.1):
        await step.sleep("s", "1 h")


async def in_a_branch(step: workflows.Step) -> Any:
    waiting = asyncio.ensure_future(step.wait_for_event("w", "t", timeout=None))
    await asyncio.sleep(0.1)
    waiting.cancel()
    raise TimeoutError


FORMS = [by_timeout, by_wait_for, by_timeout_of_a_sleep, in_a_branch]


@pytest.mark.parametrize("form", FORMS)
async def test_a_timer_of_asyncio_goes_off_although_the_engine_sees_only_waiting(form: Any) -> None:
    @workflows.workflow
    async def patient(event: workflows.Event, step: workflows.Step) -> str:
        try:
            await form(step)
        except TimeoutError:
            return "timed out"
        return "never"

    assert await run_once(patient, hibernate_after="0 s") == "timed out"


@pytest.mark.parametrize("form", FORMS)
async def test_s6_it_goes_off_in_the_next_life_too(form: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @workflows.workflow
    async def patient(event: workflows.Event, step: workflows.Step) -> str:
        @step.do
        async def work() -> str:
            return "worked"

        try:
            await form(step)
        except TimeoutError:
            return await work()
        return "never"

    with monkeypatch.context() as patch:  # in this life it never does
        call_at = asyncio.BaseEventLoop.call_at
        patch.setattr(
            asyncio.BaseEventLoop,
            "call_at",
            lambda self, when, *args, **kwargs: call_at(
                self, when + 3600 if 0.05 < when - self.time() < 0.15 else when, *args, **kwargs
            ),
        )
        async with opened(tmp_path / "w.db", patient) as engine:
            instance = await engine.create(patient, id="p")
            await until_recorded(instance, "s" if form is by_timeout_of_a_sleep else "w")
    async with opened(tmp_path / "w.db", patient) as engine:
        assert await (await engine.get(patient, "p")).result(timeout=PATIENCE_S) == "worked"


async def test_s6_it_is_known_on_disk_that_such_code_does_not_only_wait(tmp_path: Path) -> None:
    @workflows.workflow
    async def patient(event: workflows.Event, step: workflows.Step) -> None:
        async with asyncio.timeout(3600):
            await step.wait_for_event("w", "t", timeout=None)

    async with opened(tmp_path / "w.db", patient) as engine:
        instance = await engine.create(patient)
        await until_status(instance, "waiting")
        await until_status(instance, "running")


async def test_timers_of_a_step_s_body_do_not_keep_the_code_in_memory() -> None:
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    @workflows.workflow
    async def short(event: workflows.Event, step: workflows.Step) -> None:
        @step.do
        async def connect() -> None:
            timers.append(loop.call_later(3600, print, "the pool is tidied"))

        await connect()
        await step.wait_for_event("w", "t", timeout=None)

    async with opened(":memory:", short, hibernate_after="0 s") as engine:
        instance = await engine.create(short)
        await until(lambda: counters(engine)["hibernated_instances"] == 1)
        await instance.send_event("t")
        await instance.result(timeout=PATIENCE_S)
    timers[0].cancel()


async def test_s22_s23_a_wait_that_was_given_up_leaves_the_event_to_the_next_one() -> None:
    gave_up = asyncio.Event()

    @workflows.workflow
    async def second_chance(event: workflows.Event, step: workflows.Step) -> Any:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(step.wait_for_event("first", "cmd", timeout=None), 0.01)
        await step.sleep("pause", "0 s")
        gave_up.set()
        return (await step.wait_for_event("second", "cmd")).payload

    async with opened(":memory:", second_chance) as engine:
        instance = await engine.create(second_chance)
        await gave_up.wait()
        await instance.send_event("cmd", "A")
        assert await instance.result(timeout=PATIENCE_S) == "A"
        statuses = {info.name: info.status for info in await instance.steps()}
        assert statuses == {"first": "cancelled", "pause": "completed", "second": "completed"}


async def test_s22_the_wait_that_lost_a_race_leaves_the_event_to_the_next_one() -> None:
    ticks = 3

    @workflows.workflow
    async def ticking(event: workflows.Event, step: workflows.Step) -> Any:
        for _ in range(ticks):
            got = await step.race(step.wait_for_event("cmd", "cmd"), step.sleep("tick", "1 ms"))
            assert got is None
        await step.sleep("quiet", "0 s")
        return (await step.wait_for_event("last", "cmd")).payload

    async with opened(":memory:", ticking) as engine:
        instance = await engine.create(ticking)
        await until_recorded(instance, "last")
        await instance.send_event("cmd", "A")
        assert await instance.result(timeout=PATIENCE_S) == "A"

# pyright: basic
"""Code that keeps the event loop for itself is named."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import workflows

from support import opened


async def test_code_that_keeps_the_loop_is_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows._watched.SLOW_TURN_SECONDS", -1.0)

    @workflows.workflow
    async def selfish(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do("greedy")
        async def greedy() -> None: ...

        await greedy()

    async with opened(":memory:", selfish) as engine:
        await (await engine.create(selfish, id="me")).result()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("instance 'me' of workflow 'selfish' kept the event loop" in text for text in warnings)
    assert any("step 'greedy' of instance 'me'" in text for text in warnings)

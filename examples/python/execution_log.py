"""Writes down every step body that runs, in the file that EXECUTION_LOG names: one line `NAME #N`, for the n-th step of
that name. So a test or a demonstration can count them, even when the process was killed."""

import functools
import os
from collections.abc import Awaitable, Callable
from typing import Any

import workflows


def record(name: str, count: int = 1) -> None:
    path = os.environ.get("EXECUTION_LOG")
    if path is None:
        return
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(log, f"{name} #{count}\n".encode())
    finally:
        os.close(log)


def recorded(entrypoint: type[workflows.WorkflowEntrypoint]) -> Callable[..., Awaitable[Any]]:
    """The same workflow, each of its bodies preceded by `record`: for programs whose text is to stay as it is."""

    @workflows.workflow(name=entrypoint.__name__)
    async def run(event: workflows.Event, step: workflows.Step) -> Any:
        return await entrypoint().run(event, _RecordedStep(step))

    return run


class _RecordedStep:
    def __init__(self, step: Any) -> None:
        self._step = step

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._step, verb)

    def do(self, name: str, **options: Any) -> Callable[[Callable[..., Awaitable[Any]]], Any]:
        def declare(body: Callable[..., Awaitable[Any]]) -> Any:
            @functools.wraps(body)
            async def recorded_body(*arguments: Any, **named: Any) -> Any:
                record(name)
                return await body(*arguments, **named)

            return self._step.do(name, **options)(recorded_body)

        return declare

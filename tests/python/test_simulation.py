"""Programs of the simulation (tests/simulation), run in Python on the real engine, come to what its model says."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import workflows

from support import PATIENCE_S, opened

BUILD = Path(os.environ.get("WORKFLOWS_BUILD", Path(__file__).resolve().parents[2] / "build/release"))
PROGRAMS = 150
COMMAND = [str(BUILD / "tests/simulation"), "--print", "--seeds"]


class FlakyError(Exception):
    pass


class FatalError(workflows.NonRetryableError):
    pass


class BoomError(Exception):
    pass


class Interpreter:
    """What tests/simulation/evaluate.h says, said in Python."""

    def __init__(self, step: workflows.Step):
        self._step = step

    async def evaluate(self, op: dict[str, Any]) -> Any:
        return await getattr(self, "_" + op["kind"].rstrip("_"))(op)

    def _declared(self, op: dict[str, Any], depends: list[Any], width: int = 0) -> Any:
        async def body(*_results: Any, ctx: workflows.StepContext) -> int:
            if ctx.attempt > op.get("fails", 0):
                return int(op["place"])
            raise (FatalError if op.get("fatal") and ctx.attempt == op["fails"] else FlakyError)(f"of {op['place']}")

        async def undo(ctx: workflows.StepContext, error: Exception, output: int | None) -> None: ...

        return self._step.do(
            op["name"],
            depends=depends,
            concurrent=True,
            max_concurrency=width or None,
            config={"retries": {"limit": op.get("limit", 5), "delay": "0 ms"}},
            rollback=undo if op.get("rollback") else None,
        )(body)

    async def _do(self, op: dict[str, Any]) -> Any:
        return await self._declared(op, [])()

    async def _sleep(self, op: dict[str, Any]) -> None:
        await self._step.sleep(op["name"], f"{op.get('ms', 0)} ms")

    async def _wait(self, op: dict[str, Any]) -> Any:
        timeout = None if op["ms"] < 0 else f"{op['ms']} ms"
        return (await self._step.wait_for_event(op["name"], op["type"], timeout=timeout)).payload

    async def _sequence(self, op: dict[str, Any]) -> list[Any]:
        return [await self.evaluate(child) for child in op.get("children", [])]

    async def _gather(self, op: dict[str, Any]) -> list[Any]:
        ends = await asyncio.gather(*map(self.evaluate, op["children"]), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return list(ends)

    async def _race(self, op: dict[str, Any]) -> Any:
        return await self._step.race(*map(self.evaluate, op["children"]))

    async def _graph(self, op: dict[str, Any]) -> Any:
        nodes: list[Any] = []
        for child in op["children"]:
            depends = [nodes[other] for other in child.get("depends", [])]
            nodes.append(self._declared(child, depends, op.get("width", 0)))
        return await nodes[-1]()

    async def _rescue(self, op: dict[str, Any]) -> Any:
        try:
            return await self.evaluate(op["children"][0])
        except Exception as error:
            return f"caught {type(error).__name__}"

    async def _patched(self, op: dict[str, Any]) -> Any:
        return await self.evaluate(op["children"][0 if self._step.patched(op["name"]) else 1])

    async def _fail(self, op: dict[str, Any]) -> None:
        raise BoomError(f"of {op['place']}")


@workflows.workflow
async def interpreted(event: workflows.Event, step: workflows.Step) -> Any:
    return await Interpreter(step).evaluate(dict(event.payload))


async def end_of(engine: workflows.Engine, said: dict[str, Any]) -> dict[str, Any]:
    instance = await engine.create(interpreted, said["program"])
    for event in said["events"]:
        try:
            await instance.send_event(event["type"], event["payload"])
        except workflows.InstanceFinishedError:
            break
    end: dict[str, Any] = {}
    try:
        end["output"] = await instance.result(PATIENCE_S)
    except workflows.WorkflowFailedError as error:
        end["error"] = type(error.__cause__).__name__
    status = await instance.status()
    compensated = [] if status.rollback is None else [step.name for step in status.rollback.compensated]
    return end | {"status": str(status.status), "compensated": sorted(compensated)}


def predictions() -> list[dict[str, Any]]:
    lines = subprocess.run(
        [*COMMAND, str(PROGRAMS)], capture_output=True, check=True, text=True, timeout=PATIENCE_S
    ).stdout.splitlines()
    return [json.loads(line) for line in lines]


async def test_programs_come_to_what_the_model_says() -> None:
    async with opened(":memory:", interpreted) as engine:
        for seed, said in enumerate(predictions(), 1):
            end = await end_of(engine, said)
            assert end == {key: said[key] for key in end}, f"seed {seed}: {' '.join(COMMAND)} 1 --first {seed}"

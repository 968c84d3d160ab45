"""`workflows run`: one instance to its end, with its steps as they come."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from workflows._cli import harmless, load
from workflows._engine import Engine, Instance
from workflows._errors import SerializationError
from workflows._values import Codec

if TYPE_CHECKING:
    from workflows._cli import Request
    from workflows._info import StepInfo

_LOOK_EVERY_S = 0.2


def run(request: Request) -> int:
    """Creates or resumes the instance, and prints its output."""
    workflow = load(request["targets"][0])
    params = _params(request["params"])
    try:
        print(asyncio.run(_run(request, workflow, params)))
    except KeyboardInterrupt:
        again = f" --id {request['id']}" if request["id"] else ""
        print(
            f"\nStopped. The instance is safe: `workflows run {request['targets'][0]}{again}` goes on.", file=sys.stderr
        )
        raise
    return 0


def _params(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise SerializationError(f"The params are not JSON: {error}. Given: {text[:80]!r}.") from None


async def _run(request: Request, workflow: Any, params: Any) -> str:
    async with Engine(request["db"], workflows=[workflow]) as engine:
        known = request["id"] or None
        if known is not None and params is None and await engine.exists(workflow, known):
            instance = await engine.get(workflow, known)
        else:
            instance = await engine.create(workflow, params, id=known, on_conflict="return")
        if not request["json"] and sys.stderr.isatty():
            output = await _watched(instance)
        else:
            output = await instance.result()
        text = Codec(None).encode(output, "output").decode()
        return _as_json(instance, text) if request["json"] else text


def _as_json(instance: Instance, output: str) -> str:
    head = json.dumps({"workflow": instance.workflow, "id": instance.id})
    return f'{head[:-1]}, "status": "complete", "output": {output}}}'


async def _watched(instance: Instance) -> Any:
    """The result, with a line on standard error for each step that ends meanwhile."""
    print(f"{instance.workflow}/{instance.id}", file=sys.stderr)
    result = asyncio.ensure_future(instance.result())
    shown: set[int] = set()
    while True:
        await asyncio.wait([result], timeout=_LOOK_EVERY_S)
        for step in await instance.steps():
            if step.ended is not None and step.number not in shown:
                shown.add(step.number)
                print(_line(step), file=sys.stderr)
        if result.done():
            return result.result()


def _line(step: StepInfo) -> str:
    mark = "✓" if step.status == "completed" else "✗"
    count = f" ({step.count})" if step.count > 1 else ""
    return f"{mark} {step.kind:<14}  {harmless(step.name)}{count}"

"""`workflows run`: one instance to its end, with its steps as they come."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import threading
from typing import TYPE_CHECKING, Any

from workflows._bodies import THREAD_NAMES
from workflows._cli import harmless, interrupted, load, note, say
from workflows._engine import Instance, alone
from workflows._errors import DivergenceError, SerializationError
from workflows._failures import summary
from workflows._values import Codec

if TYPE_CHECKING:
    from workflows._cli import Request
    from workflows._records import EntryInfo, InstanceStatus

_MARKS = {
    "attempt_failed": "↻", "step_completed": "✓", "step_failed": "✗", "sleep_started": "…", "sleep_finished": "✓",
    "wait_started": "…", "wait_taken": "✓", "wait_timed_out": "✗",
}  # fmt: skip


def run(request: Request) -> int:
    """Creates or resumes the instance, and prints its output."""
    workflow = load(request["targets"][0])
    params = _params(request["params"])
    try:
        output = asyncio.run(_run(request, workflow, params))
    except KeyboardInterrupt:
        return _stopped(request)
    say(harmless(output) if sys.__stdout__ is not None and sys.__stdout__.isatty() else output)
    return 0


def _stopped(request: Request) -> int:
    message = "Stopped."
    if request["id"]:
        words = ["workflows", "run", request["targets"][0], "--id", request["id"], "--db", request["db"]]
        message += f" The instance is safe: `{shlex.join(words)}` goes on."
    code = interrupted(request, message)
    if any(thread.name.startswith(THREAD_NAMES) and thread.is_alive() for thread in threading.enumerate()):
        os._exit(code)  # Python would wait for a body that nobody can stop, and whose result is lost
    return code


def _params(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # JSON, but more than Python reads: thousands of digits, deep nesting
        raise SerializationError(f"The params cannot be read: {error}.") from None


async def _run(request: Request, workflow: Any, params: Any) -> str:
    async with alone(workflow, params, id=request["id"] or None, db=request["db"]) as instance:
        request["id"] = instance.id
        output = await _followed(instance, request)
        text = Codec(None).encode(output, "output").decode()
        return _as_json(instance, text) if request["json"] else text


def _as_json(instance: Instance, output: str) -> str:
    head = json.dumps({"workflow": instance.workflow, "id": instance.id})
    return f'{head[:-1]}, "status": "complete", "output": {output}}}'


async def _followed(instance: Instance, request: Request) -> Any:
    """The output. On a terminal there is a line on standard error for each step that begins to wait or ends meanwhile.

    Raises:
        DivergenceError: the engine has paused it, because this code does not do what its history says.
    """
    progress = not request["json"] and sys.stderr.isatty()
    if progress:
        print(f"{instance.workflow}/{instance.id}", file=sys.stderr)
    steps: dict[int, str] = {}
    async for entry in instance.subscribe():
        if entry.name:
            count = f" ({entry.count})" if entry.count > 1 else ""
            steps[entry.step] = f"{entry.step_kind:<14}  {harmless(entry.name)}{count}"
        if entry.kind == "paused":
            _tell_why(await instance.status(), request)
        elif progress and entry.kind in _MARKS:
            print(f"{_MARKS[entry.kind]} {steps[entry.step]}{_more(entry)}", file=sys.stderr)
    return await instance.result()


def _tell_why(status: InstanceStatus, request: Request) -> None:
    if status.status != "paused":
        return  # it was resumed since
    reason = status.reason or "it was paused from outside"
    if reason.startswith("diverged"):
        raise DivergenceError(reason)
    note(request, f"Paused: {reason}. It goes on when it is resumed.")


def _more(entry: EntryInfo) -> str:
    if entry.error is not None:
        return f"  {harmless(summary(entry.error))}"
    return f"  until {entry.deadline:%Y-%m-%d %H:%M:%SZ}" if entry.deadline is not None else ""

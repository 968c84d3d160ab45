"""`workflows worker`: serves the workflows of modules until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any

from workflows._cli import load, load_module, note, say, workflow_names
from workflows._define import name_of
from workflows._engine import Engine
from workflows._errors import InvalidConfigError

if TYPE_CHECKING:
    from workflows._cli import Request

_STOPPING = (signal.SIGTERM, signal.SIGINT)
_PATIENCE = "365 days"  # a running body may take as long as it likes: the second signal ends it


def serve(request: Request) -> int:
    """Serves until SIGTERM or Ctrl-C. Then bodies that run may end; a second signal ends the process at once."""
    found = [workflow for target in request["targets"] for workflow in _workflows_of(target)]
    workflows = [workflow for index, workflow in enumerate(found) if all(workflow is not e for e in found[:index])]
    asyncio.run(_serve(request, workflows))
    return 0


def _tell(request: Request, state: str, message: str, workflows: list[Any]) -> None:
    if request["json"]:
        say(json.dumps({"state": state, "workflows": [name_of(workflow) for workflow in workflows]}))
    else:
        note(request, message)


def _workflows_of(target: str) -> list[Any]:
    if ":" in target:
        return [load(target)]
    module = load_module(target)
    names = workflow_names(module)
    if not names:
        raise InvalidConfigError(
            f"The module {target!r} has no workflows. Accepted: a module with subclasses of WorkflowEntrypoint, or "
            f"with functions decorated with @workflows.workflow."
        )
    return [getattr(module, name) for name in names]


async def _serve(request: Request, workflows: list[Any]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        loop.add_signal_handler(number, stop.set)
    engine = Engine(request["db"], workflows=workflows)
    await engine.open()
    count = f"{len(workflows)} workflow{'' if len(workflows) == 1 else 's'}"
    _tell(request, "serving", f"Serving {count} from {request['db']}.", workflows)
    await stop.wait()
    for number in _STOPPING:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
    _tell(request, "stopping", "Stopping when the running steps have ended; once more to stop at once.", workflows)
    await engine.close(drain=_PATIENCE)

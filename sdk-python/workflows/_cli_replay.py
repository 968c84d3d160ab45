"""`workflows replay ID MODULE:NAME`: current code against recorded histories, with effects off (S41)."""

from __future__ import annotations

import bdb
import json
import os
from typing import TYPE_CHECKING

from workflows import _core, testing
from workflows._cli import harmless, load, say
from workflows._client import Client
from workflows._define import name_of
from workflows._errors import DivergenceError, InvalidConfigError
from workflows._info import History

if TYPE_CHECKING:
    from workflows._cli import Request

_MARKS = {"match": "✓", "incomplete": "…", "diverged": "✗"}


def replay(request: Request) -> int:
    """Says of each history whether the code still fits: exit code 0 if all do, 12 if one diverges."""
    workflow = load(request["targets"][0])
    diverged = False
    for name in _names(request, name_of(workflow)):
        history = History(_core.cli_history(os.fsencode(request["db"]), name_of(workflow), os.fsencode(name)))
        try:
            result = testing.replay(workflow, history, debug=request["debug"] or None)
        except bdb.BdbQuit:
            return 0  # whoever left the debugger has seen enough
        diverged |= result.outcome == "diverged"
        say(_line(request, name, history, result))
    return _core.cli_exit_code(DivergenceError.code) if diverged else 0


def _names(request: Request, workflow: str) -> list[str]:
    if not request["all"]:
        return [request["id"]]
    if request["workflow"] not in ("", workflow):
        raise InvalidConfigError(
            f"{request['targets'][0]!r} is the workflow {workflow!r}, and {request['workflow']!r} was asked for."
        )
    with Client(request["db"]) as client:
        newest = {info.id: info for info in client.list(workflow)}  # a later generation comes later
    return [f"{workflow}/{id}" for id, info in newest.items() if request["status"] in ("", info.status)]


def _line(request: Request, name: str, history: History, result: testing.ReplayResult) -> str:
    workflow, id = history.native.workflow, history.native.id
    if request["json"]:
        shown = {"workflow": workflow, "id": id, "generation": history.native.generation}
        return json.dumps({**shown, "outcome": result.outcome, "report": result.report})
    report = f"\n{harmless(result.report)}" if result.outcome == "diverged" else ""
    is_whole = "/" in name or "." in name or name == "-"  # which no id has
    label = name if is_whole else f"{workflow}/{name}"
    return f"{_MARKS[result.outcome]} {result.outcome}  {harmless(label)}{report}"

"""`workflows replay ID MODULE:NAME`: current code against recorded histories, with effects off (S41)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from workflows import _core, testing
from workflows._cli import harmless, load
from workflows._client import Client
from workflows._define import name_of
from workflows._errors import DivergenceError, InvalidConfigError

if TYPE_CHECKING:
    from workflows._cli import Request

_MARKS = {"match": "✓", "incomplete": "…", "diverged": "✗"}


def replay(request: Request) -> int:
    """Says of each history whether the code still fits: exit code 0 if all do, 12 if one diverges."""
    workflow = load(request["targets"][0])
    diverged = False
    with Client(request["db"]) as client:
        for id in _ids(client, request, workflow):
            result = testing.replay(workflow, client.get(workflow, id).history(), debug=request["debug"] or None)
            diverged |= result.outcome == "diverged"
            print(_line(request, name_of(workflow), id, result), flush=True)
    return _core.cli_exit_code(DivergenceError.code) if diverged else 0


def _ids(client: Client, request: Request, workflow: Any) -> list[str]:
    name = name_of(workflow)
    given, slash, id = request["id"].rpartition("/")
    wanted = given if slash else request["workflow"]
    if wanted and wanted != name:
        raise InvalidConfigError(f"{request['targets'][0]!r} is the workflow {name!r}, and {wanted!r} was asked for.")
    if not request["all"]:
        return [id]
    status = request["status"] or None
    return list(dict.fromkeys(info.id for info in client.list(workflow, status)))


def _line(request: Request, workflow: str, id: str, result: testing.ReplayResult) -> str:
    if request["json"]:
        shown = {"workflow": workflow, "id": id, "outcome": result.outcome, "report": result.report}
        return json.dumps(shown)
    report = f"\n{harmless(result.report)}" if result.outcome == "diverged" else ""
    return f"{_MARKS[result.outcome]} {result.outcome}  {workflow}/{id}{report}"

"""`workflows replay ID MODULE:NAME`: current code against recorded histories, with effects off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows._cli import load
from workflows._errors import InvalidConfigError

if TYPE_CHECKING:
    from workflows._cli import Request


def replay(request: Request) -> int:
    """Says whether the code still fits: exit code 0 if it does, 12 if it diverges."""
    load(request["targets"][0])
    raise InvalidConfigError("This version cannot replay code against a history; `replay ID` alone shows the history.")

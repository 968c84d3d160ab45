"""User code that keeps the event loop to itself stalls every workflow: measure each of its turns, and say where."""

from __future__ import annotations

import logging
import time
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger("workflows")

SLOW_TURN_SECONDS = 1.0


class Watched(Coroutine[Any, Any, Any]):
    """Runs a coroutine and logs a warning when one turn of it takes too long. `what` names it."""

    __slots__ = ("_coroutine", "_what")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], what: str):
        self._coroutine = coroutine
        self._what = what

    def __await__(self) -> Any:  # an iterator with send and throw is all that `await` needs
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any, /) -> Any:
        """Part of the coroutine protocol."""
        began = time.perf_counter()
        try:
            return self._coroutine.send(value)
        finally:
            self._report(time.perf_counter() - began)

    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any:
        """Part of the coroutine protocol."""
        del tb
        began = time.perf_counter()
        try:
            return self._coroutine.throw(typ if val is None else val)
        finally:
            self._report(time.perf_counter() - began)

    def close(self) -> None:
        """Part of the coroutine protocol."""
        self._coroutine.close()

    def _report(self, seconds: float) -> None:
        if seconds < SLOW_TURN_SECONDS:
            return
        frame = getattr(self._coroutine, "cr_frame", None)
        where = f" before {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
        logger.warning(
            "%s kept the event loop for %.1f s%s; nothing else could run. Move blocking calls into a step with a plain "
            "def, which runs in a thread.",
            self._what,
            seconds,
            where,
        )

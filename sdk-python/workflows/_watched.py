"""User code that keeps the event loop to itself stalls every workflow. `_core.Watched` measures its turns; here is what
is said about a long one.
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger("workflows")

SLOW_TURN_SECONDS = 1.0


def report(coroutine: Any, what: object, seconds: float) -> None:
    """Warns that `coroutine`, which `what` names, kept the loop for so long."""
    frame = getattr(coroutine, "cr_frame", None)
    where = f" before {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
    logger.warning(
        "%s kept the event loop for %.1f s%s; nothing else could run. Move blocking calls into a step with a plain "
        "def, which runs in a thread.",
        what,
        seconds,
        where,
    )

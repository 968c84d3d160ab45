"""How far a subscriber has come in the entries of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows._info import entry_info
from workflows._values import Codec

if TYPE_CHECKING:
    from workflows._records import EntryInfo

_LOOK_SECONDS = 0.005  # how often it looks, while something happens ...
_LONGEST_LOOK_SECONDS = 0.1  # ... and while nothing does


class Following:
    """What `subscribe` reads, turned into what its user gets.

    Attributes:
        cursor: the last entry that was read; what comes behind it is to be read next.
        ended: whether the entry that ends the instance was read.
        pause: for how many seconds there is nothing to look for.
    """

    def __init__(self, codec: Codec, after: int | None):
        # From the beginning, also with `after`: the first entry of a step tells whether it is sensitive.
        self.cursor = 0
        self.ended = False
        self.pause = _LOOK_SECONDS
        self._after = after or 0
        self._codec = codec
        self._sensitive = set[int]()

    def read(self, rows: list[tuple[Any, ...]]) -> list[EntryInfo]:
        """Of the rows behind the cursor, the entries that the subscriber has asked for."""
        entries = [entry_info(row, self._codec, self._sensitive) for row in rows]
        self.pause = _LOOK_SECONDS if rows else min(self.pause * 2, _LONGEST_LOOK_SECONDS)
        if entries:
            self.cursor = entries[-1].cursor
            self.ended = entries[-1].is_last
        return [entry for entry in entries if entry.cursor > self._after]

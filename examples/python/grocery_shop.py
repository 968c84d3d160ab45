"""Stands for the web service of a grocery shop: a file of what the shop has accepted, one JSON object a line.

Like a good service, it accepts a request once per idempotency key, and answers a repeated one as it answered the first.
"""

import fcntl
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class GroceryShop:
    file: Path
    answer_after_s: float = 0  # how long the network takes to bring the answer

    def order(self, items: list[str], *, key: str) -> str:
        """Returns the number of the order."""
        return f"order {self._accept('order', key, {'items': items})}"

    def pay(self, order: str, *, key: str) -> str:
        """Returns the number of the receipt."""
        return f"receipt {self._accept('payment', key, {'for': order})}"

    def accepted(self) -> list[dict[str, Any]]:
        if not self.file.exists():
            return []
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def _accept(self, what: str, key: str, details: dict[str, Any]) -> int:
        with self.file.open("a", buffering=1) as book:
            fcntl.flock(book, fcntl.LOCK_EX)
            keys = [entry["key"] for entry in self.accepted() if entry["what"] == what]
            if key not in keys:
                book.write(json.dumps({"what": what, "key": key, **details}) + "\n")
                keys.append(key)
        time.sleep(self.answer_after_s)
        return keys.index(key) + 1

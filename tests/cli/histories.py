"""Histories as documents, at fixed times: what the command line is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cli_support import Cli

START = datetime(2026, 1, 1, tzinfo=UTC)


def iso(at: float) -> str:
    """So many seconds after the start."""
    return (START + timedelta(seconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def failure(type: str, message: str, **more: Any) -> dict[str, Any]:
    return {"type": type, "message": message, **more}


class History:
    """A document that grows by what happens. Times are seconds after the start."""

    def __init__(self, workflow: str, id: str, params: Any = None, version: str = "", created: float = 0):
        self.instance: dict[str, Any] = {
            "workflow": workflow, "id": id, "generation": 1, "status": "paused",
            "created": iso(created), "updated": iso(created), "wake": None, "version": version,
        }  # fmt: skip
        self.params = {} if params is None else params
        self.entries: list[dict[str, Any]] = []
        self.inbox: list[dict[str, Any]] = []
        self.redacted = False
        self._steps = 0
        self._occurrences: dict[tuple[str, str], int] = {}

    def document(self) -> str:
        return json.dumps({
            "format": "workflows-history", "version": 1, "redacted": self.redacted, "instance": self.instance,
            "params": self.params, "entries": self.entries, "inbox": self.inbox,
        })  # fmt: skip

    def entry(self, kind: str, at: float, **more: Any) -> History:
        self.entries.append({"cursor": len(self.entries) + 1, "kind": kind, "at": iso(at), **more})
        self.instance["updated"] = iso(at)
        return self

    def do(
        self,
        name: str,
        began: float,
        ended: float,
        result: Any = None,
        *,
        failures: tuple[tuple[float, float, Any], ...] = (),
        failed: Any = None,
        depends: list[int] | None = None,
        config: dict[str, Any] | None = None,
    ) -> History:
        """`failures`: of earlier attempts, as (began, ended, failure)."""
        identity = self._identity("do", name, depends, config)
        for number, (start, end, what) in enumerate(failures, 1):
            self.entry(
                "attempt_failed", end, **identity, attempt=number, began=iso(start), deadline=iso(end + 1), value=what
            )
        last = {**identity, "attempt": len(failures) + 1, "began": iso(began)}
        if failed is not None:
            return self.entry("step_failed", ended, **last, value=failed)
        return self.entry("step_completed", ended, **last, value=result)

    def begin(self, name: str, at: float) -> History:
        return self.entry("attempt_started", at, **self._identity("do", name), attempt=1)

    def sleep(self, name: str, began: float, until: float, *, over: bool = True) -> History:
        identity = self._identity("sleep", name)
        self.entry("sleep_started", began, **identity, deadline=iso(until))
        return self.entry("sleep_finished", until, step=identity["step"], began=iso(began)) if over else self

    def wait(
        self, name: str, type: str, began: float, until: float | None, *, taken: int | None = None, at: float = 0
    ) -> History:
        identity = self._identity("wait_for_event", name)
        deadline = {} if until is None else {"deadline": iso(until)}
        self.entry("wait_started", began, **identity, event_type=type, **deadline)
        return (
            self
            if taken is None
            else self.entry("wait_taken", at, step=identity["step"], began=iso(began), event=taken)
        )

    def event(self, type: str, payload: Any, at: float, *, taken: bool = False) -> History:
        self.inbox.append({"id": len(self.inbox) + 1, "type": type, "payload": payload, "at": iso(at), "taken": taken})
        return self

    def complete(self, at: float, output: Any) -> History:
        self.instance["status"] = "complete"
        return self.entry("instance_completed", at, value=output)

    def errored(self, at: float, what: Any, rollback: Any = None) -> History:
        self.instance["status"] = "errored"
        return self.entry(
            "instance_errored", at, value=what, **({} if rollback is None else {"detail": {"rollback": rollback}})
        )

    def pause(self, at: float, reason: str = "", message: str = "") -> History:
        value = {"value": {"reason": reason, "message": message}} if reason else {}
        return self.entry("paused", at, **value)

    def _identity(self, kind: str, name: str, depends: list[int] | None = None, config: Any = None) -> dict[str, Any]:
        occurrence = self._occurrences[kind, name] = self._occurrences.get((kind, name), 0) + 1
        step, self._steps = self._steps, self._steps + 1
        detail = {key: value for key, value in (("config", config), ("depends", depends)) if value}
        return {
            "step": step, "step_kind": kind, "name": name, "occurrence": occurrence, "source": f"shop.py:{10 + step}",
            **({"detail": detail} if detail else {}),
        }  # fmt: skip


BANK_AWAY = failure("builtins.ConnectionError", "the bank is away")
DECLINED = failure(
    "shop.CardDeclined", "no money", retryable=False,
    traceback="""Traceback (most recent call last):
  File "shop.py", line 12, in charge
    raise CardDeclined("no money")
""",
    cause=failure("builtins.OSError", "HTTP 402"),
)  # fmt: skip


def complete_order(id: str = "o-1") -> History:
    return (
        History("order", id, {"sku": "A1", "count": 2}, version="1")
        .do("reserve stock", 0.1, 0.35, {"shelf": 7})
        .do("card token", 0.35, 0.5, "tok_secret_4711", config={"sensitive": "output"})
        .do(
            "charge", 4.0, 4.8, {"paid": 24}, depends=[0, 1], config={"retries": {"limit": 3}},
            failures=((0.5, 0.9, BANK_AWAY), (1.9, 2.0, failure("StepTimeoutError", "took longer than 100 ms"))),
        )
        .sleep("cool down", 4.8, 6.0)
        .event("parcel", {"weight": 1.5}, 7, taken=True)
        .event("parcel", {"weight": 9}, 8)
        .wait("parcel left", "parcel", 6.0, 100.0, taken=1, at=7.0)
        .complete(7.1, {"order": id, "items": ["A1", "A1"]})
    )  # fmt: skip


def failed_order(id: str = "o-2") -> History:
    report = {
        "compensated": [{"name": "reserve stock", "count": 1}],
        "failed": [{"name": "mail", "count": 1, "error": failure("builtins.OSError", "no server")}],
        "not_run": [],
    }
    return (
        History("order", id, {"sku": "B2"}, created=60)
        .do("reserve stock", 60.0, 60.2, {"shelf": 1})
        .do("charge", 60.2, 61.0, failed=DECLINED, depends=[0])
        .errored(62.0, DECLINED, report)
    )


def paused_order(id: str = "o-3") -> History:
    return (
        History("order", id, {}, version="1", created=120)
        .entry("version", 120.0, value="2")
        .do("reserve stock", 120.0, 121.0, [1, 2, 3])
        .begin("charge", 121.0)
        .sleep("a day", 121.0, 86521.0, over=False)
        .wait("approval", "approved", 121.0, None)
        .event("note", "for later", 130)
        .pause(
            140.0, "diverged",
            "at step 1 the history has do \"charge\" (shop.py:11), the code asks for do \"bill\" (shop.py:14)\n"
            "Run the code that it began with, or restart it.",
        )
    )  # fmt: skip


def hostile(id: str = "evil") -> History:
    escape = "\x1b]0;owned\x07\x1b[2J\r\u202eabc\u2028"
    return (
        History("order", id, {"text": escape}, version=escape)
        .do("名前 naïve 👩‍👩‍👧 " + "長" * 40, 0, 1, {"x": escape})
        .do("big", 1, 2, "y" * 300_000)
        .do("bad", 2, 3, failed=failure("T" + escape, escape, traceback=escape + "\nnext " + escape))
        .event("note", escape, 1)
        .errored(4, failure("T", escape, traceback=escape))
    )


def imported(folder: Path, *histories: History) -> Cli:
    cli = Cli(folder / "shop.db")
    for history in histories:
        answer = cli("import", "-", stdin=history.document())
        assert answer.code == 0, answer
    return cli

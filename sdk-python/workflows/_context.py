"""What the body of a step is told about itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from workflows._config_classes import StepConfig


class Attempt(Protocol):
    """The body that runs."""

    @property
    def cancelled(self) -> bool:
        """Whether it is to end."""
        ...

    def heartbeat(self, details: Any) -> None:
        """It is well."""
        ...


class StepName(Mapping[str, Any]):
    """Which step this is: `name`, and `count`, the how-manieth of that name in this run."""

    __slots__ = ("count", "name")

    def __init__(self, name: str, count: int):
        self.name = name
        self.count = count

    def __getitem__(self, key: str) -> Any:
        return {"name": self.name, "count": self.count}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(("name", "count"))

    def __len__(self) -> int:
        return 2

    def __repr__(self) -> str:
        return f"StepName(name={self.name!r}, count={self.count})"


class StepContext(Mapping[str, Any]):
    """What the body of a step gets as its parameter `ctx`. Also a mapping with the keys step, attempt, config.

    Attributes:
        step: `step.name`, and `step.count`, the how-manieth step of that name in this run.
        attempt: 1 for the first attempt; goes on counting after a crash.
        config: the config that the step runs with; a copy.
        idempotency_key: the same for every attempt and replay of this step, and no other; give it to services that
            must not do a thing twice.
        last_heartbeat: what the attempt before this one gave to `heartbeat` last; None if there is nothing.
    """

    __slots__ = ("_body", "attempt", "config", "idempotency_key", "last_heartbeat", "step")

    def __init__(
        self,
        step: StepName,
        attempt: int,
        config: StepConfig,
        idempotency_key: str,
        body: Attempt | None = None,
        last_heartbeat: Any = None,
    ):
        self.step = step
        self.attempt = attempt
        self.config = config
        self.idempotency_key = idempotency_key
        self.last_heartbeat = last_heartbeat
        self._body = body

    @property
    def cancelled(self) -> bool:
        """Whether this attempt has timed out or its run is over. A body in a thread should look and return early; in
        an async body the current await raises asyncio.CancelledError.
        """
        return self._body is not None and self._body.cancelled

    def heartbeat(self, details: Any = None) -> None:
        """A sign of life, for steps with a `heartbeat_timeout`, from async code and threads. `details`, any value that
        can be recorded, are given to the next attempt if this one fails; after a crash, those of about a second before.
        """
        if self._body is not None:
            self._body.heartbeat(details)

    def __getitem__(self, key: str) -> Any:
        if key == "step":
            return self.step
        if key == "attempt":
            return self.attempt
        if key == "config":
            return self.config.as_dict()
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("step", "attempt", "config"))

    def __len__(self) -> int:
        return 3

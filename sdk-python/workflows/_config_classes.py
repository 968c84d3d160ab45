"""The shapes in which users may write a step's config and the retention, instead of dicts.

Imported when one is first used: to make a dataclass takes half a millisecond, and most programs write dicts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from workflows._time import Duration

Delay = Duration | Callable[[Any, Exception], Duration | Awaitable[Duration]]
"""A duration, or a callable (sync or async) that gets the step's context and the error and returns one."""


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often and when a failed step is tried again.

    Attributes:
        limit: further attempts after the first; 0 means that the body runs at most once, ever.
        delay: the time before the next attempt, or a callable `(ctx, error)` that returns it (within 5 seconds; it may
            be async). What a callable returns is used as it is, without `backoff`.
        backoff: how the delay d grows after attempt n: "constant" d, "linear" d*n, "exponential" d*2^(n-1).
        max_delay: the delay grows no longer than this.
        jitter: the share of the delay that is random, from 0 to 1.
    """

    limit: int = 5
    delay: Delay = "1 second"
    backoff: Literal["constant", "linear", "exponential"] = "exponential"
    max_delay: Duration = "1 hour"
    jitter: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StepConfig:
    """The config of a step, as an alternative to a dict of the same keys.

        config=workflows.StepConfig(retries=workflows.Retries(limit=3, delay="2s"), timeout=timedelta(minutes=1))

    Attributes:
        retries: what happens after a failed attempt.
        timeout: how long one attempt may take. A plain function that waits for a thread has not begun.
        heartbeat_timeout: an attempt also fails when its body does not call `ctx.heartbeat()` for so long.
        sensitive: "output" hides the result from operators: they see [REDACTED]. The program gets the real value.
    """

    retries: Retries = field(default_factory=Retries)
    timeout: Duration = "10 minutes"
    heartbeat_timeout: Duration | None = None
    sensitive: Literal["output"] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as a dict, with only the keys that are set."""
        result: dict[str, Any] = {"retries": dataclasses.asdict(self.retries), "timeout": self.timeout}
        if self.heartbeat_timeout is not None:
            result["heartbeat_timeout"] = self.heartbeat_timeout
        if self.sensitive is not None:
            result["sensitive"] = self.sensitive
        return result


@dataclass(frozen=True, kw_only=True)
class RollbackConfig(StepConfig):
    """The config of a rollback, as an alternative to a dict of the same keys.

    Attributes:
        on_failure: a rollback that fails for good stops those that are left ("halt"), or not ("continue").
    """

    on_failure: Literal["halt", "continue"] = "halt"


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long finished instances are kept; None is for ever.

    Attributes:
        success: after the instance is complete.
        failure: after it has failed or was terminated.
    """

    success: Duration | None = None
    failure: Duration | None = None


for _public in (Retries, StepConfig, RollbackConfig, Retention):
    _public.__module__ = "workflows"

"""Holds a mixed load for an hour, or for SOAK_MINUTES: creates, steps, sleeps and events of another process for four
engines, of which two are killed again and again, one each minute. Two live through all of it, one of each language.
What has ended is removed after a while. Prints how memory, files and latency develop, and what they did in the first
and in the last third after the warm-up. Ends with 1 if anything was lost, repeated or wrong (tests/python/swarm.py says
what that is), or if something grows that should not:

- the WAL, which is moved into the file before it is long;
- the file, in which the room of what was removed is used again;
- the memory of the engines that live on;
- latency: of a call, and of an instance from its creation to its end. Beside it stands how long the disk takes for a
  page of its own at the same time: where that has become slower, the others may.
"""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/python"))

if len(sys.argv) > 1:
    os.environ["WORKFLOWS_BUILD"] = str(Path(sys.argv[1]).resolve())

from workflows import Retention  # noqa: E402

from swarm import Swarm, Violation  # noqa: E402

LIVE_ON = ("python", "cpp")
LEAST_ROWS = 24
MOST_WAL_MB = 64
SECONDS_BETWEEN_PAGES = 0.25
COLUMNS = (
    "   min  instances   file MB   WAL MB   python MB   C++ MB   "
    "disk ms 50/99 %   call ms 50/99 %   run ms 50/99 %  kills"
)


@dataclass
class Row:
    minutes: float
    instances: int
    file_mb: float
    wal_mb: float
    memory_mb: list[float]  # of those that live on
    disk_ms: tuple[float, float]  # half of them took less, and 99 of 100
    call_ms: tuple[float, float]
    run_ms: tuple[float, float]
    kills: int

    def __str__(self) -> str:
        latencies = [f"{low:.1f} / {high:.1f}" for low, high in (self.disk_ms, self.call_ms, self.run_ms)]
        python, cpp = self.memory_mb
        sizes = f"{self.file_mb:9.1f} {self.wal_mb:8.1f} {python:11.1f} {cpp:8.1f}"
        disk, calls, runs = latencies
        return f"{self.minutes:6.1f} {self.instances:10} {sizes} {disk:>17} {calls:>17} {runs:>16} {self.kills:6}"


@dataclass(frozen=True)
class Bound:
    """What a figure of the last third may be, seen from the first one."""

    name: str
    of: Callable[[Row], float]
    times: float
    more: float = 0
    beside: Callable[[Row], float] = lambda row: 1  # what slows it down

    def line(self, early: list[Row], late: list[Row]) -> tuple[str, bool]:
        before, after = (median(map(self.of, part)) for part in (early, late))
        slowed = median(map(self.beside, late)) / median(map(self.beside, early))
        limit = before * self.times * max(1, slowed) + self.more
        grown = after > limit
        return f"{self.name:12} {before:12.2f} {after:12.2f} {limit:12.2f}{'  grows' if grown else ''}", grown


# An allocator and a page cache keep some megabytes at one time and not at another.
BOUNDS = (
    Bound("file MB", lambda row: row.file_mb, times=1.2, more=2),
    Bound("WAL MB", lambda row: row.wal_mb, times=1.2, more=2),
    Bound("python MB", lambda row: row.memory_mb[0], times=1, more=8),
    Bound("C++ MB", lambda row: row.memory_mb[1], times=1, more=8),
    Bound("call ms 50 %", lambda row: row.call_ms[0], times=2, beside=lambda row: row.disk_ms[0]),
    Bound("call ms 99 %", lambda row: row.call_ms[1], times=2, beside=lambda row: row.disk_ms[1]),
    Bound("run ms 50 %", lambda row: row.run_ms[0], times=2, beside=lambda row: row.disk_ms[0]),
    Bound("run ms 99 %", lambda row: row.run_ms[1], times=2, beside=lambda row: row.disk_ms[1]),
)


def megabytes(file: Path) -> float:
    return file.stat().st_size / 2**20 if file.exists() else 0.0


def resident_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def median_and_99th(milliseconds: list[float]) -> tuple[float, float]:
    if len(milliseconds) < 2:
        return (0.0, 0.0)
    hundredths = quantiles(milliseconds, n=100)
    return (hundredths[49], hundredths[98])


@dataclass
class Soak(Swarm):
    row_seconds: float = 60
    rows: list[Row] = field(default_factory=list[Row])

    def __post_init__(self) -> None:
        super().__post_init__()
        self._began = self._row_began = self._page_written = time.monotonic()
        self._disk_ms: list[float] = []
        self._calls_ms: list[float] = []
        self._runs_ms: list[float] = []
        self._watched: tuple[str, float] | None = None  # a transfer, from its creation to its end

    def _add_work(self) -> None:
        began, transfers = time.monotonic(), len(self.transfers)
        super()._add_work()
        self._calls_ms.append((time.monotonic() - began) * 1000)
        if self._watched is None and len(self.transfers) > transfers:
            self._watched = (f"t{transfers}", began)

    def _observe(self) -> None:
        now = time.monotonic()
        if self._watched and self._client.status("transfer", self._watched[0]).status.is_finished:
            self._runs_ms.append((now - self._watched[1]) * 1000)
            self._watched = None
        self._see_ends()
        self._write_page(now)
        if now - self._row_began < self.row_seconds:
            return
        self.rows.append(self._measure(now))
        print(self.rows[-1], flush=True)
        self._row_began, self._disk_ms, self._calls_ms, self._runs_ms = now, [], [], []

    def _write_page(self, now: float) -> None:
        if now - self._page_written < SECONDS_BETWEEN_PAGES:
            return
        with (self.folder / "page").open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            began = time.monotonic()
            os.fsync(file.fileno())
        self._disk_ms.append((time.monotonic() - began) * 1000)
        self._page_written = now

    def _measure(self, now: float) -> Row:
        return Row(
            (now - self._began) / 60, len(self.transfers) + len(self.sent), megabytes(self.database),
            megabytes(Path(f"{self.database}-wal")),
            [resident_mb(member.process.pid) for member in self._members[: self.spared]],
            median_and_99th(self._disk_ms), median_and_99th(self._calls_ms), median_and_99th(self._runs_ms), self.kills,
        )  # fmt: skip


def grows(rows: list[Row]) -> bool:
    """Prints the first and the last third after a warm-up of a quarter."""
    warm = rows[len(rows) // 4 :]
    third = len(warm) // 3
    early, late = warm[:third], warm[-third:]
    lines = [bound.line(early, late) for bound in BOUNDS]
    print(f"\n{'':12}  first third   last third      at most", *(line for line, _ in lines), sep="\n")
    longest = max(row.wal_mb for row in rows)
    if longest > MOST_WAL_MB:
        print(f"the WAL had {longest:.0f} MB")
    return longest > MOST_WAL_MB or any(grown for _, grown in lines)


def main() -> int:
    minutes = float(os.environ.get("SOAK_MINUTES", "60"))
    seed = int(os.environ.get("SOAK_SEED", "1"))
    kept = min(60, minutes * 60 / 12)
    print(f"{minutes:g} minutes, seed {seed}, removed after {kept:g} s\n{COLUMNS}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(
            Path(folder), seed, languages=(*LIVE_ON, "python", "cpp"), spared=len(LIVE_ON), lease="30 s", stop_share=0,
            retention=Retention(success=f"{kept} s"), row_seconds=min(60, minutes * 60 / LEAST_ROWS),
        )  # fmt: skip
        try:
            soak.run(minutes * 60, mean_s_between_kills=min(60, minutes * 60 / 8))
        except Violation as violation:
            print(violation)
            return 1
    if grows(soak.rows):
        return 1
    print(f"nothing lost: {len(soak.transfers)} transfers, {sum(map(len, soak.sent))} events, {soak.kills} kills")
    return 0


if __name__ == "__main__":
    sys.exit(main())

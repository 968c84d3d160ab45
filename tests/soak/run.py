"""Holds a mixed load for an hour, or for SOAK_MINUTES: creates, steps, sleeps and events of another process for four
engines, of which one is killed each minute. Prints how memory, files and latency develop. Ends with 1 if anything was
lost, repeated or wrong (tests/python/swarm.py says what that is), or if something grows that should not:

- the WAL, which is moved into the file before it is long;
- the file, by more for each instance than at the beginning;
- the memory of an engine: what is finished must not stay there.
"""

import contextlib
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/python"))

if len(sys.argv) > 1:
    os.environ["WORKFLOWS_BUILD"] = str(Path(sys.argv[1]).resolve())

from swarm import Swarm, Violation  # noqa: E402

ROWS = 24
MOST_WAL_MB = 64
MOST_GROWTH = 1.5
SLACK_MB = 32  # what an allocator may keep at one time and not at another
COLUMNS = (
    "   min  instances   file MB   WAL MB   KiB/inst.   python MB   C++ MB   call ms 50/99 %   run ms 50/99 %  kills"
)


@dataclass
class Row:
    minutes: float
    instances: int
    file_mb: float
    wal_mb: float
    memory_mb: dict[str, float]  # of the largest engine of each language
    calls_ms: tuple[float, float]
    runs_ms: tuple[float, float]
    kills: int

    @property
    def kib_per_instance(self) -> float:
        return self.file_mb * 1024 / max(self.instances, 1)

    def __str__(self) -> str:
        calls, runs = (f"{low:.1f} / {high:.1f}" for low, high in (self.calls_ms, self.runs_ms))
        sizes = f"{self.file_mb:9.1f} {self.wal_mb:8.1f} {self.kib_per_instance:11.2f}"
        memory = f"{self.memory_mb['python']:11.1f} {self.memory_mb['cpp']:8.1f}"
        return f"{self.minutes:6.1f} {self.instances:10} {sizes} {memory} {calls:>17} {runs:>16} {self.kills:6}"


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
        self._began = self._row_began = time.monotonic()
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
        if now - self._row_began < self.row_seconds:
            return
        self.rows.append(self._measure(now))
        print(self.rows[-1], flush=True)
        self._row_began, self._calls_ms, self._runs_ms = now, [], []

    def _measure(self, now: float) -> Row:
        memory = dict.fromkeys(self.languages, 0.0)
        for member in self._members:
            memory[member.language] = max(memory[member.language], resident_mb(member.process.pid))
        return Row(
            (now - self._began) / 60, len(self.transfers) + len(self.sent), megabytes(self.database),
            megabytes(Path(f"{self.database}-wal")), memory, median_and_99th(self._calls_ms),
            median_and_99th(self._runs_ms), self.kills,
        )  # fmt: skip


def growth(rows: list[Row]) -> list[str]:
    """What is larger in the last quarter than it may be after the second one."""
    quarter = len(rows) // 4
    early, late = rows[quarter : 2 * quarter], rows[-quarter:]
    found: list[str] = []
    if (wal := max(row.wal_mb for row in rows)) > MOST_WAL_MB:
        found.append(f"the WAL had {wal:.0f} MB")
    before, after = (max(row.kib_per_instance for row in part) for part in (early, late))
    if after > MOST_GROWTH * before:
        found.append(f"the file went from {before:.2f} to {after:.2f} KiB for each instance")
    for language in rows[0].memory_mb:
        before, after = (max(row.memory_mb[language] for row in part) for part in (early, late))
        if after > MOST_GROWTH * before + SLACK_MB:
            found.append(f"an engine in {language} went from {before:.0f} to {after:.0f} MB")
    return found


def main() -> int:
    minutes = float(os.environ.get("SOAK_MINUTES", "60"))
    seed = int(os.environ.get("SOAK_SEED", "1"))
    print(f"{minutes:g} minutes, seed {seed}\n{COLUMNS}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), seed, lease="30 s", stop_share=0, row_seconds=minutes * 60 / ROWS)
        try:
            soak.run(minutes * 60, mean_s_between_kills=min(60, minutes * 60 / 8))
        except Violation as violation:
            print(violation)
            return 1
    if grown := growth(soak.rows):
        print("grows without bound: " + "; ".join(grown))
        return 1
    print(f"nothing lost: {len(soak.transfers)} transfers, {sum(map(len, soak.sent))} events, {soak.kills} kills")
    return 0


if __name__ == "__main__":
    sys.exit(main())

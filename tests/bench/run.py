"""Runs the benchmarks of a build tree and prints one table: `python tests/bench/run.py build/release`.

Each figure stands beside its own ceiling, measured in the same run: what the disk, SQLite or asyncio allow without an
engine. Nothing here passes or fails. The figures are left in build/bench/results.json, for report.py.
"""

import argparse
import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from figures import COLUMNS, RESULTS, Figure, Results, cells

HERE = Path(__file__).resolve().parent
PROGRAMS = ("bench_steps", "bench_many", "bench_growth", "bench_events")
SCRIPTS = ("python_steps.py", "python_start.py", "python_events.py")


def commands(tests: Path, arguments: list[str]) -> Iterator[list[str]]:
    for program in PROGRAMS:
        yield [str(tests / program), *arguments]
    for script in SCRIPTS:
        yield [sys.executable, str(HERE / script), str(tests), *arguments]


def figures(command: list[str]) -> Iterator[Figure]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        for line in program.stdout:
            yield json.loads(line)
    if program.returncode != 0:
        print(f"{' '.join(command)} failed with {program.returncode}; its figures are missing", file=sys.stderr)


def machine() -> list[str]:
    """What the figures depend on; nothing that names a machine."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return [
        f"{os.cpu_count()} cores ({model[1] if model else platform.machine()})",
        f"Linux {platform.release().split('-')[0]}, temporary files on {file_system()}",
        f"SQLite {sqlite3.sqlite_version}, g++ {answer('g++', '-dumpfullversion')}, Python {platform.python_version()}",
    ]


def file_system() -> str:
    return answer("stat", "--file-system", "--format=%T", os.environ.get("TMPDIR", "/tmp"))


def answer(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path, help="a build tree: build/release")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="the sizes of the targets, also where that takes long")
    parser.add_argument("--only", default="", help="one target: P3")
    given = parser.parse_args()
    arguments = ["--rounds", str(given.rounds), "--only", given.only, *(["--full"] if given.full else [])]
    found: list[Figure] = []
    for command in commands(given.build.resolve() / "tests", arguments):
        for figure in figures(command):
            found.append(figure)
            print(" | ".join(filter(None, cells(figure))), file=sys.stderr, flush=True)
    found.sort(key=lambda figure: int(figure["id"][1:]))
    sizes = "full" if given.full else "shortened; `make bench-report` takes the full ones"
    results = Results([*machine(), f"sizes: {sizes}; medians of {given.rounds} rounds"], found)
    if not given.only:
        results.write(RESULTS)
    print("\n".join(results.machine), end="\n\n")
    print_table([COLUMNS, *map(cells, found)])


if __name__ == "__main__":
    main()

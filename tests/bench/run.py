"""Runs the benchmarks of a build tree and prints one table: `python tests/bench/run.py build/release`.

Each figure stands beside its own ceiling, measured in the same run: what the disk, SQLite or asyncio allow without an
engine. Nothing here passes or fails. `--report` takes the full sizes and writes plots and PERFORMANCE.md as well.
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
from typing import Any

HERE = Path(__file__).resolve().parent
PROGRAMS = ("bench_steps", "bench_many", "bench_growth", "bench_events")
SCRIPTS = ("python_steps.py", "python_start.py", "python_events.py")

Figure = dict[str, Any]


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
        print(f"{command} failed with {program.returncode}", file=sys.stderr)


def machine() -> list[str]:
    """What the figures depend on; nothing that names a machine."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    compiler = subprocess.run(["g++", "-dumpfullversion"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return [
        f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), Linux {platform.release().split('-')[0]}",
        f"SQLite {sqlite3.sqlite_version}, g++ {compiler}, Python {platform.python_version()}",
        f"file system of the temporary folder: {file_system()}",
    ]


def file_system() -> str:
    command = ["stat", "--file-system", "--format=%T", os.environ.get("TMPDIR", "/tmp")]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


# ---- the table


def number(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def met(figure: Figure) -> bool | None:
    if "target" not in figure:
        return None
    reached = figure["ratio" if figure["compares"] == "ratio" else "value"]
    return bool(reached >= figure["target"] if figure["better"] == "more" else reached <= figure["target"])


def target(figure: Figure) -> str:
    if "target" not in figure:
        return ""
    sign = "at least" if figure["better"] == "more" else "at most"
    unit = "of the ceiling" if figure["compares"] == "ratio" else figure["unit"]
    return f"{sign} {number(figure['target'])} {unit}"


COLUMNS = ("", "what", "measured [low .. high]", "ceiling of the same run", "ratio", "target", "met")


def cells(figure: Figure) -> tuple[str, ...]:
    measured = f"{number(figure['value'])} {figure['unit']} [{number(figure['low'])} .. {number(figure['high'])}]"
    ceiling = f"{number(figure['ceiling'])}, {figure['of']}" if "ceiling" in figure else ""
    ratio = f"{figure['ratio']:.3g}" if "ratio" in figure else ""
    reached = met(figure)
    answer = "" if reached is None else "yes" if reached else "no"
    return figure["id"], figure["what"], measured, ceiling, ratio, target(figure), answer


def print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    arguments = ["--rounds", str(given.rounds), *(["--full"] if given.report else [])]
    found: list[Figure] = []
    for command in commands(given.build.resolve() / "tests", arguments):
        for figure in figures(command):
            found.append(figure)
            print(" | ".join(filter(None, cells(figure))), file=sys.stderr, flush=True)
    found.sort(key=lambda figure: int(figure["id"][1:]))
    print("\n".join(machine()))
    print(f"sizes: {'full' if given.report else 'shortened; the full ones with `make bench-report`'}\n")
    print_table([COLUMNS, *map(cells, found)])


if __name__ == "__main__":
    main()

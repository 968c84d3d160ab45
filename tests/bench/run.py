"""Runs every benchmark of a build tree and prints one table: `python tests/bench/run.py build/release`.

Each figure stands beside its own ceiling, measured in the same run: what the disk, SQLite or asyncio allow without an
engine. Nothing here passes or fails.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def figures(command: list[str]) -> list[dict[str, Any]]:
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def row(figure: dict[str, Any]) -> tuple[str, str, str, str]:
    value = f"{figure['value']:,} {figure['unit']}"
    if "ceiling" not in figure:
        return figure["what"], value, "", ""
    ratio = figure["value"] / figure["ceiling"]
    return figure["what"], value, f"{figure['ceiling']:,} {figure['unit']} ({figure['of']})", f"{ratio:.2f}"


def main() -> None:
    build = Path(sys.argv[1]).resolve()
    commands = [[str(binary)] for binary in sorted((build / "tests").glob("bench_*")) if os.access(binary, os.X_OK)]
    commands.append([sys.executable, str(HERE / "python_steps.py")])
    rows = [("what", "measured", "ceiling of the same run", "ratio")]
    for command in commands:
        rows += [row(figure) for figure in figures(command)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(4)]
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    for cells in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()

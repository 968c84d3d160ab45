"""The programs that the crash tests kill: every example, in both languages."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crash_harness import DATABASE, Scenario

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WORKFLOWS_BUILD", ROOT / "build/release"))
SHOP = Path(DATABASE).with_suffix(".shop").name


def python(program: str, *options: str) -> Callable[[Path], list[str]]:
    path = ROOT / "examples/python" / program
    return lambda folder: [sys.executable, str(path), "--db", str(folder / DATABASE), "--id", "a", *options]


def cpp(program: str, *options: str) -> Callable[[Path], list[str]]:
    path = BUILD / "examples/cpp" / f"example_{program}"
    return lambda folder: [str(path), str(folder / DATABASE), "a", *options]


def orders_of_python(folder: Path) -> list[Any]:
    """What the shop has accepted, but for the keys, which differ from run to run."""
    accepted = [json.loads(line) for line in (folder / SHOP).read_text().splitlines()]
    return [{name: value for name, value in entry.items() if name != "key"} for entry in accepted]


def orders_of_cpp(folder: Path) -> list[str]:
    return [line.split()[0] for line in (folder / SHOP).read_text().splitlines()]


def report(folder: Path) -> str:
    return (folder / DATABASE).with_suffix(".csv").read_text()


# The article's first listing sleeps for thirty minutes: it runs on a clock that is moved by hand.
ON_A_MANUAL_CLOCK = Path(__file__).with_name("crash_blog_workflow.py")

SCENARIOS = [
    Scenario("python-groceries", python("groceries.py", "--delivery", "100 ms"), orders_of_python),
    Scenario("python-train_model", python("train_model.py")),
    Scenario("python-data_pipeline", python("data_pipeline.py"), report),
    Scenario("python-blog_dag", python("blog_dag.py")),
    Scenario("python-blog_workflow", lambda folder: [sys.executable, str(ON_A_MANUAL_CLOCK), str(folder / DATABASE)]),
    Scenario("cpp-groceries", cpp("groceries", "100 ms"), orders_of_cpp),
    Scenario("cpp-hello", cpp("hello")),
    Scenario("cpp-pipeline", cpp("pipeline")),
]

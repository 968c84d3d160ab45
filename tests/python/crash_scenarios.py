"""The programs that the crash tests kill: every example, in both languages, and one that is harder than they are."""

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


def bookings(folder: Path) -> list[str]:
    return [json.loads(line)["what"] for line in (folder / DATABASE).with_suffix(".ledger").read_text().splitlines()]


def of_the_tests(program: str) -> Callable[[Path], list[str]]:
    path = Path(__file__).with_name(program)
    return lambda folder: [sys.executable, str(path), str(folder / DATABASE)]


# Commits: the creation, the results of steps that wait for each other, the end.
EXAMPLES = [
    Scenario("python-groceries", 7, python("groceries.py", "--delivery", "100 ms"), orders_of_python),
    Scenario("python-train_model", 19, python("train_model.py")),
    Scenario("python-data_pipeline", 6, python("data_pipeline.py"), report),
    Scenario("python-blog_dag", 4, python("blog_dag.py")),
    Scenario("python-blog_workflow", 5, of_the_tests("crash_blog_workflow.py")),
    Scenario("python-order_saga", 9, python("order_saga.py"), bookings),
    Scenario("python-approval", 6, python("approval.py")),
    Scenario("cpp-groceries", 7, cpp("groceries", "100 ms"), orders_of_cpp),
    Scenario("cpp-hello", 5, cpp("hello")),
    Scenario("cpp-pipeline", 6, cpp("pipeline")),
    Scenario("cpp-order_saga", 8, cpp("order_saga"), orders_of_cpp),
    Scenario("cpp-approval", 5, cpp("approval")),
]
SCENARIOS = [*EXAMPLES, Scenario("python-branches", 8, of_the_tests("crash_branches.py"))]


def scenario_named(name: str) -> Scenario:
    return next(scenario for scenario in SCENARIOS if scenario.name == name)

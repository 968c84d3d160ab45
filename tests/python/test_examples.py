"""The examples run undisturbed: output, executed bodies, effects; and a second start changes nothing (S6, S7)."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crash_harness import Scenario, Trial
from crash_scenarios import EXAMPLES, ROOT, scenario_named

SHOPPING_LIST = ["basil", "eggs", "milk", "onions", "peppers", "tomatoes"]
GROCERIES = {"order": "order 1", "items": SHOPPING_LIST, "receipt": "receipt 1"}
GROCERIES_STEPS = {"compile ingredients", "check left-overs", "place the order", "proceed with payment"}
MONTHS = ("2026-07", "2026-08", "2026-09", "2026-10")
CHAPTERS = range(1, 13)
BOOKINGS = ("charge the card", "reserve the goods", "print the label")

OUTPUTS: dict[str, Any] = {
    "python-groceries": GROCERIES,
    "python-train_model": {"slope": 3.0149658570205022, "offset": 1.9588105111963419},
    "python-data_pipeline": {
        "apples": "86.80",
        "bread": "466.20",
        "cheese": "2203.50",
        "coffee": "403.20",
        "eggs": "59.70",
    },
    "python-blog_dag": None,
    "python-blog_workflow": None,
    "python-order_saga": {"failed": "too heavy", "taken back": [*reversed(BOOKINGS)]},
    "python-approval": {"approved": True, "by": "Ada"},
    "cpp-groceries": GROCERIES,
    "cpp-hello": "Hello, World!",
    "cpp-pipeline": {"files": 12, "words": 7800, "longest": "chapter-12.txt"},
    "cpp-order_saga": {
        "compensated": [{"name": "pay", "count": 1}, {"name": "place the order", "count": 1}],
        "failed": [],
        "not_run": [],
    },
    "cpp-approval": "two pallets of tomatoes, approved by Ada",
}
STEPS: dict[str, set[str]] = {
    "python-groceries": GROCERIES_STEPS,
    "python-data_pipeline": {
        "list files", "write the report", *(f"{verb} {month}.csv" for verb in ("read", "sum up") for month in MONTHS),
    },
    "python-blog_dag": {"dependency 1", "dependency 2", "demo do"},
    "python-blog_workflow": {"my first step"},
    "python-order_saga": {*BOOKINGS, *(f"take back {booking}" for booking in BOOKINGS)},
    "python-approval": {"ask", "remind", "inform"},
    "cpp-groceries": GROCERIES_STEPS,
    "cpp-hello": {"greet", "emphasize"},
    "cpp-pipeline": {
        "list files", "add up", "find the longest", "report", *(f"count chapter-{number}.txt" for number in CHAPTERS),
    },
    "cpp-order_saga": {"place the order", "pay", "call a courier"},
    "cpp-approval": {"prepare the offer", "send the offer"},
}  # fmt: skip


@pytest.mark.parametrize("scenario", EXAMPLES, ids=lambda scenario: scenario.name)
def test_an_example_runs_each_step_once_and_a_second_start_runs_none(scenario: Scenario, tmp_path: Path) -> None:
    first = Trial(scenario, tmp_path).run()
    assert first.output == OUTPUTS[scenario.name]
    assert set(first.bodies.values()) == {1}
    if scenario.name in STEPS:
        assert first.bodies.keys() == {f"{step} #1" for step in STEPS[scenario.name]}

    second = Trial(scenario, tmp_path).run()
    assert (second.output, second.bodies, second.outside) == (first.output, first.bodies, first.outside)


@pytest.mark.parametrize("language", ["python", "cpp"])
def test_the_grocery_shop_sees_one_order_and_one_payment(language: str, tmp_path: Path) -> None:
    accepted = Trial(scenario_named(f"{language}-groceries"), tmp_path).run().outside
    if language == "python":
        assert accepted == [{"what": "order", "items": SHOPPING_LIST}, {"what": "payment", "for": "order 1"}]
    else:
        assert accepted == ["order", "payment"]


def test_a_failed_sale_is_refunded_and_cancelled_in_this_order(tmp_path: Path) -> None:
    accepted = Trial(scenario_named("cpp-order_saga"), tmp_path).run().outside
    assert accepted == ["order", "payment", "refund", "cancellation"]


def test_training_asks_a_person_in_the_doubtful_rounds_alone(tmp_path: Path) -> None:
    bodies = Trial(scenario_named("python-train_model"), tmp_path).run().bodies
    runs = {name: sum(body.startswith(f"{name} #") for body in bodies) for name in ("train", "evaluate", "adjust")}
    assert runs == {"train": 6, "evaluate": 6, "adjust": 2}
    assert bodies["ask a person #2"] == 1
    assert bodies["ask a person #3"] == 0


def test_the_demo_tells_that_nothing_was_done_twice() -> None:
    demo = subprocess.run(
        [sys.executable, str(ROOT / "examples/python/demo.py")], capture_output=True, text=True, check=False
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Orders at the shop: 1. Payments: 1." in demo.stdout
    assert "2  place the order" in demo.stdout
    assert "1  proceed with payment" in demo.stdout

"""How the Python programs take and print figures: the twin of rounds.h, with its words."""

import argparse
import json
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

Series = list[float]
"""One value a round."""


@dataclass
class Options:
    """What the programs are called with."""

    tests: Path  # the folder of the built test programs
    rounds: int
    full: bool
    only: str

    def run(self, ids: str, measure: Callable[["Options"], None]) -> None:
        """`ids`: of the targets that `measure` has figures for."""
        if self.only in ("", *ids.split()):
            measure(self)


def options() -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("tests", type=Path, help="the folder of bench_ceiling: build/release/tests")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="the sizes of the targets, also where that takes long")
    parser.add_argument("--only", default="", help="a target: P4")
    given = parser.parse_args()
    return Options(given.tests.resolve(), given.rounds, given.full, given.only)


def run_rounds(measurements: list[Callable[[], None]], rounds: int) -> None:
    """Each measurement appends one value to each of its series; the order changes from round to round."""
    shuffle = random.Random(1).shuffle
    for _ in range(rounds):
        shuffle(measurements)
        for measure in measurements:
            measure()


def bench_ceiling(given: Options, *arguments: object) -> list[float]:
    """What the program of ceiling.cpp prints."""
    command = [str(given.tests / "bench_ceiling"), *map(str, arguments)]
    return [float(word) for word in subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split()]


@dataclass
class Target:
    """What a figure should reach: the number itself, or its ratio to the ceiling."""

    compares: Literal["ratio", "value"]
    better: Literal["more", "less"]
    at: float


def print_figure(
    id: str,
    what: str,
    values: Series,
    unit: str,
    *,
    ceiling: Series | None = None,
    of: str = "",
    target: Target | None = None,
    curve: tuple[str, float] | None = None,
) -> None:
    """One line of JSON."""
    row: dict[str, Any] = {"id": id, "what": what, "unit": unit, **_spread(values, "value", "low", "high")}
    if ceiling is not None:
        ratios = [value / highest for value, highest in zip(values, ceiling, strict=True)]
        row |= {"ceiling": _digits(median(ceiling)), "of": of, **_spread(ratios, "ratio", "ratio_low", "ratio_high")}
    if target is not None:
        row |= {"target": target.at, "compares": target.compares, "better": target.better}
    if curve is not None:
        row |= {"curve": curve[0], "x": curve[1]}
    print(json.dumps(row), flush=True)


def _spread(values: Series, middle: str, low: str, high: str) -> dict[str, float]:
    return {middle: _digits(median(values)), low: _digits(min(values)), high: _digits(max(values))}


def _digits(value: float) -> float:
    return float(f"{value:.6g}")

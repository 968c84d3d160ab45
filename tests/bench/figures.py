"""Figures as the programs print them (rounds.h, rounds.py), and as people read them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build/bench/results.json"
COLUMNS = ("", "what", "measured [low .. high]", "ceiling of the same run", "ratio", "target", "met")

Figure = dict[str, Any]


@dataclass
class Results:
    """All figures of a run."""

    machine: list[str]
    figures: list[Figure]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": self.machine, "figures": self.figures}, indent=1) + "\n")

    @staticmethod
    def read(path: Path) -> "Results":
        return Results(**json.loads(path.read_text()))


def reached(figure: Figure) -> float:
    """What is compared with the target."""
    return float(figure["ratio" if figure["compares"] == "ratio" else "value"])


def is_met(figure: Figure) -> bool | None:
    """None if there is no target."""
    if "target" not in figure:
        return None
    wanted = float(figure["target"])
    return reached(figure) >= wanted if figure["better"] == "more" else reached(figure) <= wanted


def number(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def target(figure: Figure) -> str:
    if "target" not in figure:
        return ""
    bound = "at least" if figure["better"] == "more" else "at most"
    unit = "of the ceiling" if figure["compares"] == "ratio" else figure["unit"]
    return f"{bound} {number(figure['target'])} {unit}"


def cells(figure: Figure) -> tuple[str, ...]:
    """One for each of COLUMNS."""
    measured = f"{number(figure['value'])} {figure['unit']} [{number(figure['low'])} .. {number(figure['high'])}]"
    ceiling = f"{number(figure['ceiling'])}, {figure['of']}" if "ceiling" in figure else ""
    ratio = f"{figure['ratio']:.3g}" if "ratio" in figure else ""
    met = {None: "", True: "yes", False: "no"}[is_met(figure)]
    return figure["id"], figure["what"], measured, ceiling, ratio, target(figure), met

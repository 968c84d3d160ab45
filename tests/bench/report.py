"""Draws the plots of the last run of run.py and writes its table into PERFORMANCE.md, between the two markers."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

from figures import COLUMNS, RESULTS, ROOT, Figure, Results, cells, is_met, reached

PAGE = ROOT / "PERFORMANCE.md"
PLOTS = ROOT / "tests/bench/plots"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
COLOURS = {"C++": "tab:blue", "Python": "tab:orange"}


def save(figure: Any, name: str) -> None:
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / name, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def draw_throughput(figures: list[Figure]) -> None:
    """Steps a second against instances, each curve beside its ceiling."""
    curves = defaultdict(list)
    for figure in figures:
        if "curve" in figure:
            curves[figure["curve"]].append(figure)
    plot, axes = pyplot.subplots(figsize=(7, 4))
    for curve, points in curves.items():
        points.sort(key=lambda point: float(point["x"]))
        x = [point["x"] for point in points]
        y = [point["value"] for point in points]
        below = [point["value"] - point["low"] for point in points]
        above = [point["high"] - point["value"] for point in points]
        axes.errorbar(x, y, yerr=(below, above), marker="o", capsize=3, color=COLOURS[curve], label=curve)
        ceilings = [point["ceiling"] for point in points]
        axes.plot(x, ceilings, "--", color=COLOURS[curve], label=points[0]["of"])
    axes.set(xscale="log", yscale="log", xlabel="concurrent instances", ylabel="durable steps/s")
    axes.grid(alpha=0.3)
    axes.legend()
    save(plot, "throughput.svg")


def draw_latency(figures: list[Figure]) -> None:
    """A serial step beside one commit."""
    shown = [figure for figure in figures if figure["id"] in ("P3", "P5")]
    plot, axes = pyplot.subplots(figsize=(7, 2.5))
    for row, figure in enumerate(reversed(shown)):
        axes.barh(row + 0.2, figure["value"], height=0.4, color=COLOURS[figure["what"].split()[0]])
        axes.barh(row - 0.2, figure["ceiling"], height=0.4, color="lightgrey", label="" if row else figure["of"])
    axes.set_yticks(range(len(shown)), [figure["what"] for figure in reversed(shown)])
    axes.set(xlabel="microseconds")
    axes.legend()
    save(plot, "latency.svg")


def draw_targets(figures: list[Figure]) -> None:
    """How far each figure is from its target; right of the line is better."""
    shown = [figure for figure in reversed(figures) if "target" in figure and reached(figure) > 0]
    plot, axes = pyplot.subplots(figsize=(7, 0.25 * len(shown) + 1))
    for row, figure in enumerate(shown):
        share = reached(figure) / figure["target"]
        axes.barh(
            row, share if figure["better"] == "more" else 1 / share, color="tab:green" if is_met(figure) else "tab:red"
        )
    axes.set_yticks(range(len(shown)), [f"{figure['what']}  {figure['id']}" for figure in shown], fontsize=7)
    axes.axvline(1, color="black")
    axes.margins(y=0.01)
    axes.set(xscale="log", xlabel="reached / target (1: met; to the right: better)")
    save(plot, "targets.svg")


def table(results: Results) -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(cells, results.figures)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*(f"- {line}" for line in results.machine), "", *lines])


def rewrite(page: Path, text: str) -> None:
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main() -> None:
    mpl.use("svg")
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text
    mpl.rcParams["svg.hashsalt"] = "workflows"  # the same figures give the same file
    results = Results.read(RESULTS)
    draw_throughput(results.figures)
    draw_latency(results.figures)
    draw_targets(results.figures)
    rewrite(PAGE, table(results))


if __name__ == "__main__":
    main()

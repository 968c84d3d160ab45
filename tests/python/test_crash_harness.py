"""The crash harness notices what it is there for: each program here is wrong in one way, and is found out."""

import sys
from pathlib import Path

import pytest

from crash_harness import Crasher, Kill, Scenario, Violation

PROGRAM = """
import asyncio, os, pathlib, sys, workflows

def note(name, line):
    with open(name, "a") as file:
        file.write(line + "\\n")
    return len(pathlib.Path(name).read_text().splitlines())

@workflows.workflow
async def program(event, step):
    @step.do
    async def first():
        note(os.environ["EXECUTION_LOG"], "first #1")

    @step.do
    async def second():
        note(os.environ["EXECUTION_LOG"], "second #1")
        return 0

    await first()
    starts = note("starts", "one more")
    if sys.argv[1] == "repeats a committed step" and starts == 2:
        note(os.environ["EXECUTION_LOG"], "first #1")
    if sys.argv[1] == "does something twice":
        note("outside", "done")
    if sys.argv[1] == "runs another step" and starts == 2:
        note(os.environ["EXECUTION_LOG"], "third #1")
    await second()
    if sys.argv[1] == "fails when resumed" and starts == 2:
        raise RuntimeError("resumed")
    return starts if sys.argv[1] == "returns something else" else 0

print(workflows.run(program, id="a", db="workflows.db"))
"""

# By then the first step is committed and the code has gone on from there; it has to go there again.
KILL = Kill("before_commit", 4)


def crasher(bug: str, folder: Path) -> Crasher:
    def outside(folder: Path) -> str:
        file = folder / "outside"
        return file.read_text() if file.exists() else ""

    return Crasher(Scenario("program", 3, lambda _: [sys.executable, "-c", PROGRAM, bug], outside), folder)


def test_a_correct_program_passes(tmp_path: Path) -> None:
    assert crasher("", tmp_path).once([KILL]) == 1


@pytest.mark.parametrize(
    ("bug", "found"),
    [
        ("repeats a committed step", "first #1 ran again after its result was committed"),
        ("does something twice", "outside there is"),
        ("runs another step", "third #1"),
        ("fails when resumed", "ended with 1"),
        ("returns something else", "the output is 2, undisturbed 1"),
    ],
)
def test_a_wrong_program_is_found_out(bug: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(Violation, match=found):
        crasher(bug, tmp_path).once([KILL])

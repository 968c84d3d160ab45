"""What a step costs the processor, counted by valgrind: the same on every machine, whatever else runs on it."""

import os
import re
import subprocess
from pathlib import Path

BUDGET = 20_000
"""Instructions a step in C++, all threads and SQLite included. It took 17,000 when this was written, and 29,000 before
the work of PERFORMANCE.md."""


def instructions(steps: int) -> int:
    program = Path(os.environ.get("WORKFLOWS_BUILD", "build/release")) / "tests" / "counted_steps"
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program), str(steps)]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    collected = re.search(r"Collected : (\d+)", report)
    assert collected, report
    return int(collected[1])


def test_a_step_of_a_hundred_concurrent_instances_stays_within_its_budget() -> None:
    assert (instructions(60) - instructions(10)) / (100 * 50) <= BUDGET

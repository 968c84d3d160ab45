"""Runs every test of a build tree, C++ and Python, and ends with one line: `N passed, M failed, K skipped`.

`python tests/run.py build/release` runs everything, `python tests/run.py build/asan --native` the C++ tests alone.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JOB_TIMEOUT_S = 900


@dataclass(frozen=True)
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Job:
    """One test process, and how to count what its report says."""

    name: str
    command: list[str]
    report: Path
    count: Callable[[Path], Counts]


def count_gtest(report: Path) -> Counts:
    counts = Counts()
    for suite in json.loads(report.read_text())["testsuites"]:
        for case in suite["testsuite"]:
            skipped = case["result"] == "SKIPPED" or case["status"] == "NOTRUN"
            failed = "failures" in case
            counts += Counts(not skipped and not failed, failed, skipped and not failed)
    return counts


def count_junit(report: Path) -> Counts:
    counts = Counts()
    for case in ElementTree.parse(report).iter("testcase"):
        failed = case.find("failure") is not None or case.find("error") is not None
        skipped = case.find("skipped") is not None
        counts += Counts(not skipped and not failed, failed, skipped and not failed)
    return counts


def native_jobs(build: Path, reports: Path) -> list[Job]:
    jobs: list[Job] = []
    for binary in sorted((build / "tests").glob("*_tests")):
        report = reports / f"{binary.name}.json"
        command = [str(binary), "--gtest_brief=1", f"--gtest_output=json:{report}"]
        jobs.append(Job(binary.name, command, report, count_gtest))
    return jobs


def python_jobs(reports: Path) -> list[Job]:
    jobs: list[Job] = []
    for folder in ("python", "cli", "counted", "docs"):
        report = reports / f"{folder}.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", f"tests/{folder}"]
        jobs.append(Job(f"tests/{folder}", command, report, count_junit))
    return jobs


def run(job: Job, environment: dict[str, str]) -> Counts:
    """Runs one job; a process that dies, hangs or reports nothing counts as a failure beside those it reported."""
    job.report.unlink(missing_ok=True)
    started = time.monotonic()
    try:
        process = subprocess.run(
            job.command, cwd=ROOT, env=environment, timeout=JOB_TIMEOUT_S, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        output, ended = process.stdout, process.returncode
    except subprocess.TimeoutExpired as expired:
        seen = expired.stdout or b""
        output, ended = seen.decode(errors="replace") + f"\nstopped after {JOB_TIMEOUT_S} seconds", None
    counts = job.count(job.report) if job.report.exists() else Counts()
    if ended != 0 and not counts.failed:
        counts += Counts(failed=1)
        output += f"\n{job.name} ended with {ended} although no test of it failed: {' '.join(job.command)}"
    details = f"{output}\n" if counts.failed else ""
    print(f"{details}{job.name}: {counts} in {time.monotonic() - started:.1f} s", flush=True)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs every test and counts.")
    parser.add_argument("build", type=Path, help="a build tree, such as build/release")
    parser.add_argument("--native", action="store_true", help="only the C++ tests")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    reports = build / "reports"
    reports.mkdir(parents=True, exist_ok=True)
    jobs = native_jobs(build, reports) + ([] if arguments.native else python_jobs(reports))
    environment = os.environ | {"WORKFLOWS_BUILD": str(build)}
    # A shell lets what it starts in the background ignore Ctrl-C, and tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        total = sum(pool.map(partial(run, environment=environment), jobs), Counts())
    print(total)
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main())

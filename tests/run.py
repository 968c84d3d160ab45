"""Runs every test of a build tree, C++ and Python, and ends with one line: `N passed, M failed, K skipped`.

`python tests/run.py build/release` runs everything, `python tests/run.py build/tsan --native` the C++ tests alone.
`--asan` is for a build tree with AddressSanitizer, and leaves out what such a tree does not show: what a step costs,
what is installed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JOB_TIMEOUT_S = 1800


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


def python_jobs(reports: Path, folders: Iterable[str], environment: dict[str, str]) -> list[Job]:
    variables = [f"{name}={value}" for name, value in environment.items()]
    jobs: list[Job] = []
    for folder in folders:
        report = reports / f"{folder}.xml"
        command = ["env", *variables, sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", f"tests/{folder}"]
        jobs.append(Job(f"tests/{folder}", command, report, count_junit))
    return jobs


def runtime_of(library: str) -> str:
    command = ["g++", f"-print-file-name={library}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def under_asan(found: Path) -> dict[str, str]:
    """The environment of a Python that loads a module with AddressSanitizer in it. The runtime, and the library whose
    `throw` it watches, come before all others. CPython leaves memory behind when it ends; tests/python/test_leaks.py
    counts. Its own allocator would hide what happens to small objects. What is found goes to files: tests keep what
    programs print."""
    return {
        "LD_PRELOAD": f"{runtime_of('libasan.so')} {runtime_of('libstdc++.so.6')}",
        "ASAN_OPTIONS": f"detect_leaks=0:log_path={found}",
        "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={found}",
        "PYTHONMALLOC": "malloc",
    }


def count_found(found: Path) -> Counts:
    """What the sanitizers wrote, in whichever process: not every test looks at how a program ended."""
    files = sorted(found.parent.glob(f"{found.name}.*"))
    for file in files:
        print(file.read_text(errors="replace"))
    return Counts(failed=len(files))


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
    parser.add_argument("--asan", action="store_true", help="the build tree has AddressSanitizer in it")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    reports = build / "reports"
    reports.mkdir(parents=True, exist_ok=True)
    found = reports / "found"
    for old in reports.glob("found.*"):
        old.unlink()
    jobs = native_jobs(build, reports)
    if arguments.asan:
        jobs += python_jobs(reports, ("python", "cli"), under_asan(found))
    elif not arguments.native:
        jobs += python_jobs(reports, ("python", "cli", "counted", "docs"), {})
    environment = os.environ | {"WORKFLOWS_BUILD": str(build)}
    # A shell lets what it starts in the background ignore Ctrl-C, and tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        total = sum(pool.map(partial(run, environment=environment), jobs), Counts()) + count_found(found)
    print(total)
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main())

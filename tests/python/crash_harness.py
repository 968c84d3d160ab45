"""Kills a real program with SIGKILL, starts it again until it finishes, and compares with a run that nobody disturbed.

What must hold, whatever was killed when:
- the output is that of the undisturbed run, and so is what the program did to the world outside;
- a step whose result was committed never runs again (S7);
- a body runs once, and once more for each kill that may have cut it off.

A program writes each body that it runs as a line `NAME #N` into the file that EXECUTION_LOG names, and prints its
output as its last line.
"""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import workflows

# Passed around every commit; the library of a test build kills itself there (engine/testing/fail_point.h).
FAIL_POINTS = ("before_commit", "after_commit", "after_post")

# A step has six attempts unless it says otherwise, and one that was cut off counts. So a trial stays below that.
MOST_KILLS = 5

LONGEST_LIFE_S = 120
PROGRAMS_AT_ONCE = os.cpu_count() or 1


@dataclass(frozen=True)
class Scenario:
    """A program, and what it did to the world outside. Both get the folder that it works in; DATABASE is in it.

    `commits`: it makes at least so many, because each of them waits for the one before.
    """

    name: str
    commits: int
    command: Callable[[Path], list[str]]
    outside: Callable[[Path], Any] = lambda _: None


DATABASE = "workflows.db"
LOG = "executed"
PREFIXES = {"do": "", "rollback": "take back "}  # of the names that bodies record, by kind


@dataclass(frozen=True)
class Kill:
    """At the n-th pass of a fail point, or some time after the start."""

    point: str = ""
    passes: int = 0
    after_s: float = 0

    def __str__(self) -> str:
        return f"{self.point}:{self.passes}" if self.point else f"{self.after_s * 1000:.0f} ms"


@dataclass(frozen=True)
class Result:
    output: Any
    outside: Any
    bodies: Counter[str]
    kills: list[Kill]
    took_s: float


class Violation(AssertionError):  # noqa: N818
    """Something happened that no kill may cause."""


@dataclass
class Trial:
    """One database from its beginning to the end of its program."""

    scenario: Scenario
    folder: Path
    kills: list[Kill] = field(default_factory=list[Kill])
    committed: dict[str, int] = field(default_factory=dict[str, int])

    def run(self, planned: Iterator[Kill] | None = None) -> Result:
        """Kills as planned, one life each, until the plan or the program is at its end."""
        started = time.monotonic()
        for kill in planned or ():
            output = self._end(self._start(kill), kill)
            if output is not None:
                break
            self.kills.append(kill)
            self._note_committed()
        else:
            output = self._end(self._start(None), None)
        return self._result(output, started)

    def run_twice_at_once(self, kill: Kill) -> Result:
        """Two processes on one database; one is killed, and the other brings the work to its end."""
        started = time.monotonic()
        doomed, other = self._start(kill), self._start(None)
        if self._end(doomed, kill) is None:
            self.kills.append(kill)
        return self._result(self._end(other, None), started)

    def __str__(self) -> str:
        return f"{self.scenario.name}, killed at [{', '.join(map(str, self.kills))}]"

    def _start(self, kill: Kill | None) -> "subprocess.Popen[str]":
        environment = os.environ | {"EXECUTION_LOG": str(self.folder / LOG)}
        if kill and kill.point:
            environment["WORKFLOWS_KILL_AT"] = f"{kill.point}:{kill.passes}"
        return subprocess.Popen(
            self.scenario.command(self.folder), env=environment, cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def _end(self, process: "subprocess.Popen[str]", kill: Kill | None) -> str | None:
        """Waits for the process. Returns what it printed, or None if it was killed."""
        by_time = kill is not None and kill.after_s > 0
        try:
            output, errors = process.communicate(timeout=kill.after_s if kill and by_time else LONGEST_LIFE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            if by_time:
                return None
            raise Violation(f"{self}: did not end within {LONGEST_LIFE_S} s\n{errors}") from None
        if kill and process.returncode == -signal.SIGKILL:
            return None
        if process.returncode != 0:
            raise Violation(f"{self}: ended with {process.returncode}\n{errors}")
        return output

    def _result(self, output: str | None, started: float) -> Result:
        if output is None:
            raise Violation(f"{self}: killed without being told to")
        bodies = self._bodies()
        for step, runs in self.committed.items():
            if bodies[step] != runs:
                raise Violation(f"{self}: {step} ran again after its result was committed")
        took_s = time.monotonic() - started
        return Result(
            json.loads(output.splitlines()[-1]), self.scenario.outside(self.folder), bodies, self.kills, took_s
        )

    def _bodies(self) -> Counter[str]:
        log = self.folder / LOG
        return Counter(log.read_text().splitlines()) if log.exists() else Counter()

    def _note_committed(self) -> None:
        """Remembers how often each step had run by the time at which its result is found in the database."""
        bodies = self._bodies()
        for step in committed_steps(self.folder / DATABASE):
            self.committed.setdefault(step, bodies[step])


def committed_steps(database: Path) -> list[str]:
    """The completed steps in a database whose program is dead. Looks at a copy: opening a database repairs it, which is
    left to the program."""
    if not database.exists():
        return []
    copy = database.parent / "copy"
    copy.mkdir()
    try:
        for file in database.parent.glob(f"{database.name}*"):
            shutil.copy(file, copy)
        with workflows.Client(copy / database.name) as client:
            return [
                f"{PREFIXES[step.kind]}{step.name} #{step.count}"
                for info in client.list()
                for step in client.get(info.workflow, info.id).steps()
                if step.kind in PREFIXES and step.status == "completed"
            ]
    finally:
        shutil.rmtree(copy)


def compare(trial: Trial, result: Result, undisturbed: Result) -> None:
    if result.output != undisturbed.output:
        raise Violation(f"{trial}: the output is {result.output}, undisturbed {undisturbed.output}")
    if result.outside != undisturbed.outside:
        raise Violation(f"{trial}: outside there is {result.outside}, undisturbed {undisturbed.outside}")
    if result.bodies.keys() != undisturbed.bodies.keys():
        raise Violation(f"{trial}: ran {sorted(result.bodies)}, undisturbed {sorted(undisturbed.bodies)}")
    for body, runs in result.bodies.items():
        if not 1 <= runs <= 1 + len(result.kills):
            raise Violation(f"{trial}: {body} ran {runs} times")


@dataclass
class Crasher:
    """Runs trials of one scenario, each in a folder of its own, a few at a time."""

    scenario: Scenario
    folder: Path
    undisturbed: Result = field(init=False)

    def __post_init__(self) -> None:
        self._numbers = itertools.count()
        self.undisturbed = self._trial().run()

    def at_every_pass(self, point: str) -> int:
        """Kills at the 1st, 2nd, ... pass of the point, until a run is over before. Returns the number of kills."""
        kills = 0
        for first in itertools.count(1, PROGRAMS_AT_ONCE):
            plans = [[Kill(point, passes)] for passes in range(first, first + PROGRAMS_AT_ONCE)]
            killed = self.all_of(plans)
            kills += killed
            if killed < len(plans):
                return kills
        raise AssertionError

    def all_of(self, plans: list[list[Kill]]) -> int:
        """One trial for each plan. Returns the number of kills."""
        with ThreadPoolExecutor(PROGRAMS_AT_ONCE) as pool:
            return sum(pool.map(self.once, plans))

    def once(self, plan: list[Kill]) -> int:
        trial = self._trial()
        self._check(trial, trial.run(iter(plan)))
        return len(trial.kills)

    def beside_another(self, kill: Kill) -> int:
        """Two processes at once, one of them killed. Returns the number of kills: 0 if it had ended before."""
        trial = self._trial()
        self._check(trial, trial.run_twice_at_once(kill))
        return len(trial.kills)

    def random_plan(self, chance: random.Random) -> list[Kill]:
        return [self._random_kill(chance) for _ in range(chance.randint(1, MOST_KILLS))]

    def _random_kill(self, chance: random.Random) -> Kill:
        if chance.random() < 0.5:
            return Kill(chance.choice(FAIL_POINTS), chance.randint(1, 8))
        return Kill(after_s=chance.uniform(0.1, 1.1) * self.undisturbed.took_s)

    def _check(self, trial: Trial, result: Result) -> None:
        compare(trial, result, self.undisturbed)
        shutil.rmtree(trial.folder)

    def _trial(self) -> Trial:
        folder = self.folder / f"{self.scenario.name}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        return Trial(self.scenario, folder)

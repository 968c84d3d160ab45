"""Several engines on one database, in Python and in C++, that are killed and stopped at random while work arrives.

What must hold in the end:
- whatever was acknowledged is there, and has ended as it would have without any of this (S5, S6);
- money: the bank, which does a thing once for each idempotency key, has got one debit and one credit of each transfer,
  and its sum is zero (S14);
- sagas: a trip that is complete has booked all of it and cancelled nothing; of one that failed, or was terminated, all
  that was booked is cancelled, each once and the last one first (S31);
- events: each exchange got each number that was sent to it once, in the order of sending (S22, S23);
- no step ran again after a later one of its instance, so none after its result was committed (S43);
- an engine that stood still for longer than its lease was replaced, could write no more, and ended saying so (S42).
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path

import workflows

BUILD = Path(os.environ.get("WORKFLOWS_BUILD", Path(__file__).resolve().parents[2] / "build/release"))
PROGRAMS: dict[str, list[str]] = {
    "python": [sys.executable, str(Path(__file__).with_name("swarm_program.py"))],
    "cpp": [str(BUILD / "tests/swarm_program")],
}
STEPS = ("debit", "credit")
BOOKINGS = ("flight", "hotel", "tickets")  # of each trip
NUMBERS = 20  # of each exchange
SEEN_AT_ONCE = 8
LEASE = "1 s"
STANDSTILL_S = 2.5  # longer than the lease and than it takes the others to notice
PATIENCE_S = 90
LOST = "the ownership was lost"


class Violation(AssertionError):  # noqa: N818
    """Something happened that no kill may cause."""


@dataclass
class Member:
    """A process with an engine."""

    language: str
    process: "subprocess.Popen[str]"


@dataclass
class Swarm:
    folder: Path
    seed: int
    languages: tuple[str, ...] = ("python", "cpp", "python", "cpp")
    lease: str = LEASE
    stop_share: float = 0.15  # of the disturbances; the others are kills
    spared: int = 0  # so many, from the first on, are left alone
    retention: workflows.Retention | None = None  # of what has ended: then whoever runs it looks with `_see_ends`
    kills: int = 0
    stops: int = 0
    fenced: int = 0
    transfers: list[int] = field(default_factory=list[int])  # amounts, as acknowledged
    trips: list[tuple[int, bool]] = field(default_factory=list[tuple[int, bool]])  # amounts, and which are to fail
    terminated: set[int] = field(default_factory=set[int])  # trips, as acknowledged
    sent: list[list[int]] = field(default_factory=list[list[int]])  # numbers to each exchange, as acknowledged

    def __post_init__(self) -> None:
        self.database = self.folder / "workflows.db"
        self.bank = self.folder / "bank"
        self._chance = random.Random(self.seed)
        self._client = workflows.Client(self.database)
        self._standing_still: set[int] = set()
        self._open: deque[tuple[str, str, object]] = deque()  # instances that nobody has seen end, and their outputs
        self._suspects: set[int] = set()  # who stood still at some time: the last body may come late
        self._members = [self._start(language) for language in self.languages]

    def run(self, seconds: float, mean_s_between_kills: float = 0.25, *, load_per_tick: int = 2) -> None:
        """Gives them work and disturbs them for so long; then leaves them in peace until they are done, and checks."""
        try:
            now = time.monotonic()
            end = now + seconds
            while now < end:
                for _ in range(load_per_tick):
                    self._add_work()
                before, now = now, time.monotonic()
                if self._chance.random() < (now - before) / mean_s_between_kills:  # as often where a call takes longer
                    self._disturb()
                self._look_after()
                self._observe()
                time.sleep(0.02)
            self._finish()
        finally:
            for member in self._members:
                with member.process:
                    member.process.kill()
            self._client.close()
        self._check_bank()

    # ---- work

    def _add_work(self) -> None:
        with contextlib.suppress(workflows.StoreBusyError):  # nothing was written
            self._chance.choices((self._create_transfer, self._create_trip, self._send_number), (3, 2, 5))[0]()

    def _create_transfer(self) -> None:
        amount = self._chance.randint(1, 1000)
        self._create("transfer", {"amount": amount}, f"t{len(self.transfers)}")
        self.transfers.append(amount)
        self._open.append(("transfer", f"t{len(self.transfers) - 1}", amount))

    def _create(self, workflow: str, params: dict[str, int], name: str) -> None:
        self._client.create(workflow, params, id=name, on_conflict="return", retention=self.retention)

    def _create_trip(self) -> None:
        amount, fails = self._chance.randint(1, 1000), self._chance.random() < 0.4
        number = len(self.trips)
        self._create("trip", {"amount": amount, "fails": fails}, f"s{number}")
        self.trips.append((amount, fails))
        self._open.append(("trip", f"s{number}", amount))
        if self._chance.random() < 0.3:  # wherever it is by now
            with contextlib.suppress(workflows.InvalidTransitionError):
                self._client.terminate("trip", f"s{number}", rollback=True)
                self.terminated.add(number)

    def _send_number(self) -> None:
        if not self.sent or len(self.sent[-1]) == NUMBERS:
            name = f"x{len(self.sent)}"
            self._create("exchange", {"numbers": NUMBERS}, name)
            self.sent.append([])
            self._open.append(("exchange", name, self.sent[-1]))
        name, numbers = f"x{len(self.sent) - 1}", self.sent[-1]
        number, event_id = self._chance.randint(0, 10**6), f"n{len(numbers)}"
        self._client.send_event("exchange", name, "number", number, event_id=event_id)
        numbers.append(number)
        if self._chance.random() < 0.3:  # a sender that is not sure sends again
            with contextlib.suppress(workflows.InstanceFinishedError):
                self._client.send_event("exchange", name, "number", number, event_id=event_id)

    def _observe(self) -> None:
        """Called now and then; for who wants to measure."""

    # ---- disturbance

    def _disturb(self) -> None:
        member = self._chance.choice(self._members[self.spared :])
        if member.process.pid in self._standing_still:
            return
        if self._chance.random() >= self.stop_share or self._standing_still:
            member.process.kill()
            self.kills += 1
        else:
            self._stop(member)

    def _stop(self, member: Member) -> None:
        """Woken by a thread: our own calls may wait for the one who is stopped, who may hold the right to write."""

        def wake() -> None:
            member.process.send_signal(signal.SIGCONT)
            self._standing_still.discard(member.process.pid)

        self.stops += 1
        self._standing_still.add(member.process.pid)
        self._suspects.add(member.process.pid)
        member.process.send_signal(signal.SIGSTOP)
        threading.Timer(STANDSTILL_S, wake).start()

    def _look_after(self) -> None:
        for number, member in enumerate(self._members):
            if member.process.poll() is not None:
                self._bury(member)
                self._members[number] = self._start(member.language)

    def _bury(self, member: Member) -> None:
        _, errors = member.process.communicate()
        code = member.process.returncode
        if code == -signal.SIGKILL:
            return
        # Who is stopped may hold the right to write: then the leases of the others run out as well. So they do when the
        # machine is too busy to let anybody renew a short one.
        if not (code == 1 and LOST in errors and self.stop_share > 0):
            raise Violation(f"{self}: a {member.language} engine ended with {code}: {errors}")
        self.fenced += 1

    def _start(self, language: str) -> Member:
        command = [*PROGRAMS[language], str(self.database), str(self.bank), self.lease]
        process = subprocess.Popen(command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return Member(language, process)

    # ---- the end

    def _finish(self) -> None:
        while self.sent and len(self.sent[-1]) < NUMBERS:
            self._send_number()
        while self._standing_still:
            time.sleep(0.02)
        deadline = time.monotonic() + PATIENCE_S
        while self._open:
            if time.monotonic() > deadline:
                raise Violation(f"{self}: {self._open[0]} does not end: {self._client.steps(*self._open[0][:2])}")
            self._look_after()
            self._see_ends()
            time.sleep(0.02)
        self._client.send_event("vigil", "vigil", "end", "the end")
        for member in self._members:
            if member.process.wait(PATIENCE_S) != 0:
                self._bury(member)

    def _see_ends(self) -> None:
        """Of the instances that have been open for longest."""
        for _ in range(min(len(self._open), SEEN_AT_ONCE)):
            instance = self._open.popleft()
            if not self._has_ended(*instance):
                self._open.append(instance)

    def _has_ended(self, workflow: str, name: str, output: object) -> bool:
        try:
            status = self._client.status(workflow, name).status
            if not status.is_finished:
                return False
            if workflow == "trip" and status != (expected := self._end_of_trip(int(name[1:]))):
                raise Violation(f"{self}: trip {name} ended {status}, and was to end {expected}")
            if workflow == "trip" and status != "complete":
                return True
            found = self._client.result(workflow, name)
        except workflows.InstanceNotFoundError as error:
            raise Violation(f"{self}: {workflow} {name} is gone") from error
        if found != output:
            raise Violation(f"{self}: {workflow} {name} returned {found}, expected {output}")
        return True

    def _end_of_trip(self, number: int) -> str:
        return "terminated" if number in self.terminated else "errored" if self.trips[number][1] else "complete"

    def _check_bank(self) -> None:
        booked: dict[str, tuple[str, str, int]] = {}
        last_step: dict[str, int] = defaultdict(int)
        for line in self.bank.read_text().splitlines():
            pid, instance, step, key, amount = line.split()
            if booked.setdefault(key, (instance, step, int(amount))) != (instance, step, int(amount)):
                raise Violation(f"{self}: {line} has the key of {booked[key]}")
            if step not in STEPS:
                continue
            if STEPS.index(step) < last_step[instance] and int(pid) not in self._suspects:
                raise Violation(f"{self}: {step} of {instance} ran again after a later step")
            last_step[instance] = max(last_step[instance], STEPS.index(step))
        done = [(instance, step) for instance, step, _ in booked.values()]
        transfers = Counter((instance, step) for instance, step in done if step in STEPS)
        expected = Counter((f"t{number}", step) for number in range(len(self.transfers)) for step in STEPS)
        if transfers != expected:
            raise Violation(f"{self}: done and expected differ in {(transfers - expected) + (expected - transfers)}")
        if total := sum(amount for _, step, amount in booked.values() if step in STEPS):
            raise Violation(f"{self}: {total} were made out of nothing")
        for number in range(len(self.trips)):
            self._check_trip(number, [step for instance, step in done if instance == f"s{number}"])

    def _check_trip(self, number: int, done: list[str]) -> None:
        """In the order in which it was done first; once, by their keys."""
        cancelled = [step.removeprefix("cancel-") for step in done if step.startswith("cancel-")]
        booked = [step for step in done if step in BOOKINGS]
        complete = self._end_of_trip(number) == "complete"
        if len(set(done)) < len(done):
            raise Violation(f"{self}: trip s{number} did something twice: {done}")
        if complete and (booked != list(BOOKINGS) or cancelled):
            raise Violation(f"{self}: trip s{number} is complete, but did {done}")
        if not complete and set(booked) - set(cancelled):
            raise Violation(f"{self}: trip s{number} left something booked: {done}")
        if cancelled != sorted(cancelled, key=BOOKINGS.index, reverse=True):
            raise Violation(f"{self}: trip s{number} did not cancel the last one first: {done}")

    def __str__(self) -> str:
        return f"swarm of seed {self.seed}"

"""Several engines on one file, in both languages: killed, and stopped for longer than their lease (S5, S42, S43). What
must hold is said in swarm.py. `make crash` does the same for minutes.
"""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import workflows

from swarm import LEASE, LOST, PATIENCE_S, PROGRAMS, Swarm

SEED = 20261123


def test_four_engines_that_are_killed_and_stopped_at_random_lose_and_repeat_nothing(tmp_path: Path) -> None:
    swarm = Swarm(tmp_path, SEED)
    swarm.run(seconds=8)
    assert swarm.kills >= 4
    assert swarm.stops >= 1
    assert len(swarm.transfers) >= 20
    assert len(swarm.sent) >= 2
    assert len(swarm.trips) >= 10
    assert swarm.terminated


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("stopped", "other"), [("python", "cpp"), ("cpp", "python")])
def test_s42_an_engine_that_stood_still_for_longer_than_its_lease_is_replaced_and_refused(
    stopped: str, other: str, tmp_path: Path
) -> None:
    database, bank = tmp_path / "workflows.db", tmp_path / "bank"

    def start(language: str) -> "subprocess.Popen[str]":
        command = [*PROGRAMS[language], str(database), str(bank), LEASE]
        return subprocess.Popen(command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def bookings(step: str) -> list[int]:
        lines = bank.read_text().splitlines() if bank.exists() else []
        return [int(line.split()[0]) for line in lines if line.split()[2] == step]

    with workflows.Client(database) as client:
        client.create("guarded", id="g")
        with start(stopped) as slow:
            wait_for(lambda: bookings("second") == [slow.pid])
            slow.send_signal(signal.SIGSTOP)
            Path(f"{bank}.open").touch()
            with start(other) as quick:
                assert client.result("guarded", "g", timeout=PATIENCE_S) == 3
                slow.send_signal(signal.SIGCONT)
                _, errors = slow.communicate(timeout=PATIENCE_S)
                assert slow.returncode == 1
                assert LOST in errors
                client.send_event("vigil", "vigil", "end", "the end")
                assert quick.wait(PATIENCE_S) == 0
        assert bookings("first") == [slow.pid]
        assert bookings("second") == [slow.pid, quick.pid]
        assert client.result("guarded", "g") == 3

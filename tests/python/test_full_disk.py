"""A disk that is full: a real one, of two megabytes (S44)."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("full_disk.py")
IN_A_NAMESPACE = ["unshare", "--map-root-user", "--mount"]


def may_mount(folder: Path) -> bool:
    command = [*IN_A_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_s44_a_full_disk_stops_the_engine_and_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    if not may_mount(tmp_path):
        pytest.skip("this machine does not let us mount a file system, not even in a namespace of our own")
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" "$3" "$1"'
    command = [*IN_A_NAMESPACE, "sh", "-c", script, "sh", str(tmp_path), sys.executable, str(PROGRAM)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
    assert "the disk is full" in output[0]
    assert output[1] == "done"
    begun, _, repeated = output[2].partition(" ")
    assert 5 < int(begun) < 40
    # The one step whose result could not be written, and no other.
    assert repeated == f"[{int(begun) - 1}]"

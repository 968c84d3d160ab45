"""What the commands say of instances whose engine lives, is gone, or never was."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import workflows

from cli_support import ROOT, Cli
from histories import History, imported

# Serves one instance that runs, one that waits and one that sleeps, and says when they do.
ENGINE = """
import asyncio, sys, workflows
@workflows.workflow
async def three(event, step):
    if event.payload == "sleeps":
        await step.sleep("nap", "1 hour")
    if event.payload == "waits":
        await step.wait_for_event("the word", "word", timeout=None)
    @step.do("part 0")
    async def part():
        await asyncio.sleep(3600)
    await part()
async def main():
    async with workflows.Engine(sys.argv[1], workflows=[three], durability=sys.argv[2]) as engine:
        for id in ("runs", "waits", "sleeps"):
            await engine.create(three, id, id=id)
        while True:
            statuses = [info.status async for info in engine.list()]
            begun = await (await engine.get(three, "runs")).steps()
            if sorted(statuses) == ["running", "waiting", "waiting"] and begun:
                break
            await asyncio.sleep(0.01)
        print("ready", flush=True)
        await asyncio.sleep(3600)
asyncio.run(main())
"""


def engine_on(db: Path, durability: str = "full") -> subprocess.Popen[str]:
    engine = subprocess.Popen(
        [sys.executable, "-c", ENGINE, str(db), durability], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "sdk-python")},
    )  # fmt: skip
    assert engine.stdout is not None
    assert engine.stdout.readline() == "ready\n"
    return engine


def kill(engine: subprocess.Popen[str]) -> None:
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    assert engine.stdout is not None
    engine.stdout.close()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Left by an engine that was killed with all three at hand."""
    cli = Cli(tmp_path_factory.mktemp("killed") / "killed.db")
    kill(engine_on(cli.db))
    return cli


@pytest.fixture
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cli]:
    engine = engine_on(tmp_path / "served.db", getattr(request, "param", "full"))
    yield Cli(tmp_path / "served.db")
    kill(engine)


def sources(cli: Cli, id: str) -> list[str]:
    return [wake_up["source"] for wake_up in cli.json("inspect", "inspect", id)["wake_ups"]]


def test_what_an_engine_that_lives_has_waits_for_body_event_and_time(served: Cli) -> None:
    assert [sources(served, id) for id in ("runs", "waits", "sleeps")] == [["body"], ["event"], ["timer"]]
    assert served.json("inspect", "inspect", "runs")["served"] is True
    assert served.json("stats", "stats")["engines"] == 1
    report = served.json("doctor", "doctor")
    assert [(engine["alive"], engine["durability"]) for engine in report["engines"]] == [(True, "full")]


def test_what_a_dead_engine_had_goes_on_when_another_engine_runs(killed: Cli) -> None:
    assert killed.json("stats", "stats")["engines"] == 0
    seen = killed.json("inspect", "inspect", "runs")
    assert seen["served"] is False
    assert sources(killed, "runs") == ["engine"]
    assert sources(killed, "waits") == ["engine", "event"]
    shown = killed.ok("inspect", "runs")
    assert "which is gone" in shown
    assert "no engine runs its body now" in shown
    assert "GOES ON\n  when an engine runs that has workflow three\n" in shown


def test_what_is_due_already_waits_for_an_engine_alone(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "killed.db")
    kill(engine_on(cli.db))
    cli.ok("send-event", "waits", "word")
    assert sources(cli, "waits") == ["engine"]
    due = json.loads(cli("--json", "inspect", "sleeps", WORKFLOWS_CLI_NOW="2099-01-01T00:00:00.000Z").out)
    assert [wake_up["source"] for wake_up in due["wake_ups"]] == ["engine"]


def test_the_doctor_finds_instances_of_an_engine_that_is_gone(killed: Cli, tmp_path: Path) -> None:
    copy = Cli(tmp_path / "copy.db")
    with sqlite3.connect(killed.db) as database:
        database.execute("VACUUM INTO ?", (str(copy.db),))
    database.close()
    for cli in (killed, copy):
        report = cli.json("doctor", "doctor", code=1)
        assert report["sound"] is True
        found = [(finding["severity"], finding["check"]) for finding in report["findings"]]
        assert ("stuck", "dead_engine") in found
        assert [(engine["alive"], engine["durability"]) for engine in report["engines"]] == [(False, None)]


def test_looking_takes_nothing_from_an_engine(served: Cli) -> None:
    before = sorted(file.name for file in served.db.parent.iterdir())
    for arguments in (["stats"], ["doctor"], ["inspect", "runs"]):
        served.ok(*arguments)
    with workflows.Client(served.db) as client:
        client.create("nobody", id="written")  # a commit finds nothing locked
    assert served.json("inspect", "inspect", "runs")["served"] is True
    assert sorted(file.name for file in served.db.parent.iterdir()) == before


@pytest.mark.parametrize("served", ["normal"], indirect=True)
def test_the_doctor_tells_how_durable_commits_are(served: Cli) -> None:
    assert served.json("doctor", "doctor")["engines"][0]["durability"] == "normal"
    assert "durability   normal: a loss of power may take" in served.ok("doctor")


def test_without_an_engine_the_doctor_says_so(tmp_path: Path) -> None:
    cli = imported(tmp_path, History("order", "o-1").complete(1, None))
    assert cli.json("doctor", "doctor")["engines"] == []
    assert "durability   no engine runs" in cli.ok("doctor")


def test_the_doctor_exits_with_one_when_instances_are_stuck(tmp_path: Path) -> None:
    def stuck(cli: Cli) -> list[str]:
        report = cli.json("doctor", "doctor", code=1)
        assert report["sound"] is True
        return [finding["check"] for finding in report["findings"] if finding["severity"] == "stuck"]

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert stuck(imported(tmp_path / "a", History("order", "o-1").pause(1, "diverged", "elsewhere"))) == ["diverged"]
    queued = imported(tmp_path / "b", History("order", "o-1").do("one", 0, 1, 1).pause(1))
    queued.ok("resume", "o-1")
    with sqlite3.connect(queued.db) as database:
        database.execute("UPDATE instances SET updated = 0")
    database.close()
    assert stuck(queued) == ["nobody_runs"]
    assert "\n! sound, but instances are stuck  " in queued("doctor").out


def test_a_body_that_was_cut_short_runs_nowhere(tmp_path: Path) -> None:
    cli = imported(tmp_path, History("order", "o-1").begin("charge", 1).pause(2))
    cli.ok("resume", "o-1")
    assert sources(cli, "o-1") == ["engine"]
    assert "no engine runs its body now" in cli.ok("inspect", "o-1")


def waiting_for_pause(tmp_path: Path) -> Any:
    cli = imported(tmp_path, History("order", "o-1").begin("charge", 1).sleep("nap", 1, 90_000, over=False).pause(2))
    with sqlite3.connect(cli.db) as database:
        database.execute("UPDATE instances SET status = 3, owner = 1")
        database.execute("INSERT INTO owners VALUES(1, 0, 1e15, 1, 100)")
    database.close()
    return cli


def test_what_is_to_be_paused_goes_on_when_it_is_resumed(tmp_path: Path) -> None:
    cli = waiting_for_pause(tmp_path)
    assert sources(cli, "o-1") == ["engine", "resume"]  # the engine of this row is gone
    assert "workflows resume order/o-1" in cli.ok("inspect", "o-1")


def test_the_time_of_what_is_paused_stands_still(tmp_path: Path) -> None:
    cli = imported(tmp_path, History("order", "o-1").sleep("nap", 0, 90_000, over=False).pause(0))
    shown = cli.ok("inspect", "o-1")
    assert "sleeps until 1d 01h after it is resumed" in shown
    assert "workflows resume order/o-1" in shown

"""Reading a database that an engine uses, that nobody uses, or that is a copy: nobody is held up, nothing changes."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import workflows

from cli_support import NATIVE, ROOT, Cli

READING = [
    ["list"], ["inspect", "busy"], ["tail", "busy"], ["tail"], ["replay", "busy"], ["graph", "busy"],
    ["export", "busy"], ["stats"], ["doctor"], ["diff", "busy", "still"],
]  # fmt: skip

WORKER = """
import asyncio, sys, workflows
@workflows.workflow
async def steps(event, step):
    for i in range(event.payload["count"]):
        @step.do("step")
        async def one():
            return i
        await one()
        print(i, flush=True)
        await asyncio.sleep(0)
    await step.wait_for_event("the end", "end", timeout=None)
async def main():
    async with workflows.Engine(sys.argv[1], workflows=[steps]) as engine:
        await engine.create(steps, {"count": 30}, id="still")
        instance = await engine.create(steps, {"count": 1_000_000}, id="busy")
        await instance.result()
asyncio.run(main())
"""


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@workflows.workflow
async def steps(event: workflows.Event, step: workflows.Step) -> int:
    done = 0
    while not (await asyncio.to_thread(Path(event.payload["stop"]).exists)):

        @step.do("step")
        async def one() -> int:
            return 1

        done += await one()
    return done


async def test_every_reading_command_works_beside_a_running_engine(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "busy.db")
    stop = tmp_path / "stop"
    async with workflows.Engine(cli.db, workflows=[steps], step_limit=1_000_000) as engine:
        still = await engine.create(steps, {"stop": str(tmp_path)}, id="still")
        assert await still.result(timeout=30) == 0
        busy = await engine.create(steps, {"stop": str(stop)}, id="busy")
        while len(await busy.steps()) < 10:
            await asyncio.sleep(0.01)
        for arguments in READING:
            answer = await asyncio.to_thread(cli, *arguments)
            assert answer.code == (1 if arguments[0] == "diff" else 0), answer
        seen = await asyncio.to_thread(cli.json, "inspect", "inspect", "busy")
        assert seen["instance"]["status"] == "running"
        assert seen["instance"]["owner"] is not None
        stop.touch()
        done = await busy.result(timeout=30)
    # The engine's own entries, no more and no less.
    assert len(cli.json("inspect", "inspect", "busy")["steps"]) == done


async def test_what_the_commands_change_reaches_a_running_engine(tmp_path: Path) -> None:
    @workflows.workflow
    async def waits(event: workflows.Event, step: workflows.Step) -> object:
        return (await step.wait_for_event("the word", "word", timeout=None)).payload

    cli = Cli(tmp_path / "shop.db")
    async with workflows.Engine(cli.db, workflows=[waits]) as engine:
        instance = await engine.create(waits, id="w")
        await asyncio.to_thread(cli.ok, "send-event", "w", "word", '{"ok": true}')
        assert await instance.result(timeout=30) == {"ok": True}


@pytest.mark.parametrize(
    "arguments", [["list"], ["inspect", "o-1"], ["tail"], ["stats"], ["doctor"], ["export", "o-1"]]
)
def test_a_file_that_nobody_uses_is_left_as_it_was(own_shop: Cli, arguments: list[str]) -> None:
    before = files_of(own_shop.db.parent)
    assert own_shop(*arguments).code == (1 if arguments == ["doctor"] else 0)  # one has diverged
    assert files_of(own_shop.db.parent) == before


def test_a_file_that_may_not_be_written_is_read(own_shop: Cli) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(own_shop.db, folder / "shop 100%.db")
        (folder / "shop 100%.db").chmod(0o444)
        folder.chmod(0o555)
        # Nothing is forbidden to root: then it is somebody else who reads.
        other = ["setpriv", "--reuid", "65534", "--clear-groups"] if os.getuid() == 0 else []
        cli = Cli(folder / "shop 100%.db", door=[*other, *NATIVE])
        assert cli.ok("inspect", "o-1").startswith("✓ complete")
        assert cli.json("doctor", "doctor", code=1)["sound"] is True
        assert [file.name for file in folder.iterdir()] == ["shop 100%.db"]
        assert cli.error("resume", "o-3")["code"] == "store"
        folder.chmod(0o755)


def test_a_file_whose_engine_was_killed_is_read_and_its_log_kept(tmp_path: Path) -> None:
    db = tmp_path / "killed.db"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "sdk-python")}
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(db)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert worker.stdout is not None
    for line in worker.stdout:
        if int(line) > 200:
            break
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    copies = tmp_path / "copies"
    copies.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{db}{suffix}", copies)
    for folder in (tmp_path, copies):
        cli = Cli(folder / "killed.db")
        log = (folder / "killed.db-wal").read_bytes()
        file = cli.db.read_bytes()
        assert len(log) > 0
        assert len(cli.json("inspect", "inspect", "busy")["steps"]) > 100
        assert cli.json("doctor", "doctor", code=1)["sound"] is True  # its engine is gone
        assert (folder / "killed.db-wal").read_bytes() == log
        assert cli.db.read_bytes() == file


async def test_s39_the_report_of_code_that_diverged_is_shown_whole(tmp_path: Path) -> None:
    def order(step_name: str) -> Callable[..., object]:
        @workflows.workflow(name="order")
        async def run(event: workflows.Event, step: workflows.Step) -> None:
            @step.do(step_name)
            async def one() -> int:
                return 1

            await one()
            await step.wait_for_event("the end", "end", timeout=None)

        return run

    cli = Cli(tmp_path / "shop.db")
    for code in ("charge", "bill"):
        async with workflows.Engine(cli.db, workflows=[order(code)]) as engine:
            instance = await engine.create("order", id="o-1", on_conflict="return")
            if code == "bill":
                await instance.send_event("end")  # what only waits is not run again before something happens
            while (await instance.status()).status != ("waiting" if code == "charge" else "paused"):
                await asyncio.sleep(0.01)
    shown = cli.ok("inspect", "o-1")
    report = shown.partition("PAUSED\n  diverged: ")[2].partition("\n\n")[0]
    assert "charge" in report
    assert "bill" in report
    assert "…" not in report
    findings = cli.json("doctor", "doctor", code=1)["findings"]
    assert [finding["message"] for finding in findings if finding["check"] == "diverged"] == [
        "order/o-1@1 is paused: the code diverged from its history"
    ]


async def test_s32_the_report_of_a_rollback_is_shown(tmp_path: Path) -> None:
    @workflows.workflow
    async def trip(event: workflows.Event, step: workflows.Step) -> None:
        async def undo(ctx: workflows.StepContext, error: Exception, output: object) -> None:
            if ctx.step.name == "hotel":
                raise OSError("no line")

        for name in ("flight", "hotel", "car"):

            @step.do(name, rollback=undo, rollback_config={"retries": {"limit": 0}})
            async def book() -> str:
                return "booked"

            await book()
        raise ValueError("no visa")

    cli = Cli(tmp_path / "shop.db")
    async with workflows.Engine(cli.db, workflows=[trip]) as engine:
        instance = await engine.create(trip, id="t-1")
        with pytest.raises(workflows.WorkflowFailedError):
            await instance.result(timeout=30)
    assert "ROLLBACK\n  compensated: car\n  failed: hotel\n  not run: flight\n" in cli.ok("inspect", "t-1")
    rolled_back = [step for step in cli.json("inspect", "inspect", "t-1")["steps"] if step["kind"] == "rollback"]
    assert [(step["name"], step["status"]) for step in rolled_back] == [("car", "completed"), ("hotel", "failed")]

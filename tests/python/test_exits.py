"""A Python program may end in many ways, in the middle of a step. Each ends the process as the program's own code or
signal says; none hangs, crashes the interpreter, or loses or repeats what was committed (S5, S7).
"""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

import pytest
import workflows

from support import PATIENCE_S, opened

PROGRAM = """{first}
import asyncio, os, signal, sys, threading, workflows

def note(line):
    with open("log", "a") as file:
        file.write(line + "\\n")

second_began = threading.Event()
leaving = sys.argv[1] == "leave"

@workflows.workflow
async def two_steps(event, step):
    @step.do("first")
    async def first():
        note("first")
        return 1

    @step.do("second", config={{"retries": {{"limit": 100, "delay": "1 ms"}}}})
    {kind} second(before, ctx):
        note("second")
        second_began.set()
        if leaving:
{body}
        return before + 1

    return await second(await first())

async def main():
    engine = await workflows.Engine("workflows.db", workflows=[two_steps]).open()
    if leaving:
{before}
    instance = await engine.create(two_steps, id="a", on_conflict="return")
    if leaving:
{after}
    result = await instance.result()
    await engine.close()
    return result

print(asyncio.run(main()))
"""


@dataclass(frozen=True)
class Exit:
    """What the program does in its second step and beside it, and how it ends."""

    code: int
    body: str = "await asyncio.sleep(60)"
    kind: str = "async def"
    first: str = ""
    before: str = "pass"
    after: str = "pass"


IN_SECOND_STEP = "await asyncio.to_thread(second_began.wait)\n"
IN_A_THREAD = {"kind": "def", "body": "while not ctx.cancelled: pass"}
EXITS = {
    "returns without closing": Exit(0, after=IN_SECOND_STEP + "return"),
    "returns without closing while a thread runs": Exit(0, **IN_A_THREAD, after=IN_SECOND_STEP + "return"),
    "raises": Exit(1, after=IN_SECOND_STEP + "raise RuntimeError"),
    "raises while a thread runs": Exit(1, **IN_A_THREAD, after=IN_SECOND_STEP + "raise RuntimeError"),
    "sys.exit": Exit(3, after=IN_SECOND_STEP + "sys.exit(3)"),
    "sys.exit in a body": Exit(3, body="sys.exit(3)"),
    "os._exit": Exit(4, after=IN_SECOND_STEP + "os._exit(4)"),
    "os._exit in a body": Exit(4, body="os._exit(4)"),
    "os._exit in the thread of a body": Exit(4, kind="def", body="os._exit(4)"),
    "os._exit in a thread of its own": Exit(4, body="threading.Thread(target=os._exit, args=(4,)).start()"),
    "abort": Exit(-signal.SIGABRT, body="os.abort()"),
    "SIGTERM": Exit(-signal.SIGTERM, body="signal.raise_signal(signal.SIGTERM)"),
    "Ctrl-C in a body": Exit(-signal.SIGINT, body="signal.raise_signal(signal.SIGINT)\nawait asyncio.sleep(60)"),
    "closes twice at once": Exit(
        0, after=IN_SECOND_STEP + "return await asyncio.gather(engine.close(), engine.close())"
    ),
    "leaves a thread that waits for ever": Exit(
        0, after="threading.Thread(target=threading.Event().wait, daemon=True).start()\n" + IN_SECOND_STEP + "return"
    ),
    "deletes everything": Exit(0, after=IN_SECOND_STEP + "del engine, instance\nimport gc; gc.collect()\nreturn"),
}


def run(folder: Path, exit_: Exit, mode: str) -> tuple[int, str, str]:
    def block(text: str, depth: int) -> str:
        return indent(text, " " * depth)

    text = PROGRAM.format(
        first=exit_.first,
        kind=exit_.kind,
        body=block(exit_.body, 12),
        before=block(exit_.before, 8),
        after=block(exit_.after, 8),
    )
    ended = subprocess.run(
        [sys.executable, "-c", text, mode], cwd=folder, text=True, capture_output=True, timeout=PATIENCE_S, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


def expect_to_go_on(folder: Path, exit_: Exit) -> None:
    code, output, errors = run(folder, exit_, "go on")
    assert (code, output) == (0, "2\n"), errors


@pytest.mark.parametrize("way", EXITS)
def test_however_a_program_ends_its_work_goes_on_where_it_was(way: str, tmp_path: Path) -> None:
    code, _, errors = run(tmp_path, EXITS[way], "leave")
    assert code == EXITS[way].code, errors
    assert "Fatal Python error" not in errors or way == "abort"
    expect_to_go_on(tmp_path, EXITS[way])
    assert (tmp_path / "log").read_text().splitlines() == ["first", "second", "second"]


# Counted in turns of the loop: the interrupt meets the creation and the steps.
INTERRUPT = """
def turn(left):
    if left == 0:
        signal.raise_signal(signal.SIGINT)
    asyncio.get_running_loop().call_soon(turn, left - 1)
turn({turns})
"""


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144])
def test_ctrl_c_at_any_turn_of_the_loop_stops_the_program_and_not_the_work(turns: int, tmp_path: Path) -> None:
    interrupted = Exit(-signal.SIGINT, before=INTERRUPT.format(turns=turns))
    code, _, errors = run(tmp_path, interrupted, "leave")
    assert code == -signal.SIGINT, errors
    assert "Fatal Python error" not in errors
    expect_to_go_on(tmp_path, interrupted)
    log = (tmp_path / "log").read_text().splitlines()
    assert log.count("first") <= 2
    assert log[-1] == "second"
    assert "first" not in log[log.index("second") :]


EVERY_AWAIT = """
import asyncio, contextlib, signal, sys, workflows

place, turns = sys.argv[1], int(sys.argv[2])

def turn(left):
    if left == 0:
        signal.raise_signal(signal.SIGINT)
    else:
        asyncio.get_running_loop().call_soon(turn, left - 1)

def at(name):
    global place
    if name == place:
        place = ""
        turn(turns)

def note(line):
    with open("log", "a") as file:
        file.write(line + "\\n")

@workflows.workflow
async def all_of_it(event, step):
    async def take_back(ctx, error, output):
        at("rollback")
        await asyncio.sleep(0)
        note("take back")

    @step.do("book", rollback=take_back)
    async def book():
        note("book")

    @step.do("retried", config={"retries": {"limit": 9, "delay": "20 ms"}})
    async def retried(ctx):
        if ctx.attempt == 1:
            at("retry delay")
            raise RuntimeError
        note("retried")

    @step.do("left")
    async def left():
        await asyncio.sleep(0)
        note("left")

    @step.do("right")
    def right():
        note("right")

    @step.do("both", depends=[left, right], concurrent=True)
    async def both(left, right):
        note("both")

    async def branch(number):
        @step.do(f"branch {number}")
        async def run():
            await asyncio.sleep(0)
            note(f"branch {number}")
        await run()

    await book()
    at("sleep")
    await step.sleep("nap", "20 ms")
    at("wait_for_event")
    await step.wait_for_event("go", "go")
    await retried()
    at("gather")
    await asyncio.gather(branch(1), branch(2))
    at("graph")
    await both()
    raise workflows.NonRetryableError("take it back")

async def main():
    at("open")
    async with workflows.Engine("workflows.db", workflows=[all_of_it]) as engine:
        at("create")
        instance = await engine.create(all_of_it, id="a", on_conflict="return")
        with contextlib.suppress(workflows.InstanceFinishedError):
            await instance.send_event("go", event_id="go")
        with contextlib.suppress(workflows.WorkflowFailedError):
            await instance.result()
        taken_back = (await instance.status()).rollback.compensated
        at("exit of async with")
    engine = workflows.Engine("workflows.db", workflows=[all_of_it])
    await engine.open()
    at("close")
    await engine.close()
    print(*(step.name for step in taken_back))

asyncio.run(main())
"""
PLACES = ("open", "create", "sleep", "wait_for_event", "retry delay", "gather", "graph", "rollback",
          "exit of async with", "close")  # fmt: skip
# How many turns of the loop after it; `make crash` takes more.
TURNS = range(int(os.environ.get("WORKFLOWS_TURNS", "2")))
BODIES = ("book", "retried", "left", "right", "both", "branch 1", "branch 2", "take back")


def run_every_await(folder: Path, place: str, turns: int) -> tuple[int, str, str]:
    ended = subprocess.run(
        [sys.executable, "-c", EVERY_AWAIT, place, str(turns)], cwd=folder, text=True, capture_output=True,
        timeout=PATIENCE_S, check=False, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_at_every_await_ends_the_program_and_not_the_work(place: str, turns: int, tmp_path: Path) -> None:
    code, _, errors = run_every_await(tmp_path, place, turns)
    if code != -signal.SIGINT:  # many turns later everything may be over, or asyncio be at its own end
        assert turns > 0, errors
        assert place in {"exit of async with", "close"}, errors
        assert code == 0 or "KeyboardInterrupt" in errors
    assert "Fatal Python error" not in errors
    database = tmp_path / "workflows.db"
    if database.exists():
        with contextlib.closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert run_every_await(tmp_path, "nowhere", 0)[:2] == (0, "book\n")
    log = (tmp_path / "log").read_text().splitlines()
    assert set(log) == set(BODIES)
    assert max(log.count(body) for body in BODIES) <= 2
    assert log.count("book") == 1 or place == "create"


def test_the_collector_may_look_at_every_moment(tmp_path: Path) -> None:
    expect_to_go_on(tmp_path, Exit(0, first="import gc; gc.set_threshold(1)"))


async def test_what_a_body_in_a_thread_returns_because_the_engine_closes_is_not_its_result(tmp_path: Path) -> None:
    returned = threading.Event()
    began = asyncio.Event()

    async def stay_until_the_thread_has_reported() -> None:
        await asyncio.to_thread(returned.wait)
        for _ in range(100):
            await asyncio.sleep(0.001)

    @workflows.workflow
    async def cut(event: workflows.Event, step: workflows.Step) -> str:
        @step.do
        def in_a_thread(ctx: workflows.StepContext) -> str:
            if returned.is_set():
                return "whole"
            while not ctx.cancelled:
                time.sleep(0.001)
            returned.set()
            return "cut short"

        @step.do
        async def beside() -> None:
            if not returned.is_set():
                began.set()
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    await stay_until_the_thread_has_reported()
                    raise

        result, _ = await asyncio.gather(in_a_thread(), beside())
        return result

    async with opened(tmp_path / "e.db", cut) as engine:
        await engine.create(cut, id="c")
        await began.wait()
    async with opened(tmp_path / "e.db", cut) as engine:
        assert await (await engine.get(cut, "c")).result(timeout=PATIENCE_S) == "whole"
